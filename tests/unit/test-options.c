/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line: options in order, their arguments, bad ones, and the help text. */
#include "api/option.h"

#include <string.h>

#include "util/error.h"

static GString *seen;

static bool take(const char *value, GError **error)
{
    if (value && !strcmp(value, "bad")) {
        return fail(error, "value 'bad' is bad");
    }
    g_string_append_printf(seen, "%s;", value ? value : "(none)");
    return true;
}

static bool take_word(const char *word, GError **error)
{
    g_string_append_printf(seen, "word %s;", word);
    return true;
}

static char *answer_machine(const char *value)
{
    g_autofree char *name = NULL;

    return option_is_question(value, &name) ? g_strconcat("about ", name ? name : "all", NULL) : NULL;
}

OPTION(machine, .name = "machine", .alias = "M", .arg = "NAME", .section = "Machine", .help = "the board",
       .parse = take, .answer = answer_machine);
OPTION(paused, .name = "S", .section = "Machine", .help = "do not start", .parse = take);
OPTION(other, .name = "other", .arg = "A-VERY-LONG-ARGUMENT=ON|OFF,ANOTHER=ONE",
       .help = "a help text that is long enough to be wrapped, since a terminal has only so many columns to show",
       .parse = take);

static void assert_line(const char *line, const char *expected_error, const char *expected)
{
    g_auto(GStrv) argv = g_strsplit(line, " ", -1);
    g_autoptr(GError) error = NULL;

    seen = g_string_new(NULL);
    bool ok = options_parse((int)g_strv_length(argv), argv, take_word, &error);
    g_assert_cmpint(ok, ==, !expected_error);
    g_assert_cmpstr(error ? error->message : NULL, ==, expected_error);
    g_assert_cmpstr(seen->str, ==, expected);
    g_string_free(seen, TRUE);
}

static void test_order(void)
{
    assert_line("prog -machine virt -S disk --M x", NULL, "virt;(none);word disk;x;");
}

static void test_argument_may_look_like_an_option(void)
{
    assert_line("prog -machine -S", NULL, "-S;");
}

static void test_errors(void)
{
    assert_line("prog -machin x", "unknown option '-machin' (did you mean '-machine'?)", "");
    assert_line("prog -zzzzzzzzzz", "unknown option '-zzzzzzzzzz' (-help lists them)", "");
    assert_line("prog -machine", "option '-machine' needs an argument: NAME", "");
    assert_line("prog -machine bad", "-machine bad: value 'bad' is bad", "");
}

static void assert_answer(const char *line, const char *expected, const char *taken)
{
    g_autofree char *answer = NULL;

    assert_line(line, NULL, taken);
    answer = options_take_answer();
    g_assert_cmpstr(answer, ==, expected);
}

static void test_questions(void)
{
    assert_answer("prog -S -M help -zzz", "about all", "(none);");
    assert_answer("prog -M ?", "about all", "");
    assert_answer("prog -M virt,help", "about virt", "");
    assert_answer("prog -M virt,acpi=off,help", "about virt", "");
    assert_answer("prog -M virt,help=no", NULL, "virt,help=no;");
    assert_answer("prog -M helpful", NULL, "helpful;");
}

static void test_help(void)
{
    g_autofree char *text = options_help();

    g_assert_true(g_str_has_prefix(text, "Machine:\n  -S"));
    g_assert_nonnull(strstr(text, "  -machine, -M NAME             the board\n"));
    g_assert_nonnull(strstr(text, "\nOther options:\n  -other A-VERY-LONG-ARGUMENT=ON|OFF,ANOTHER=ONE\n"));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_assert_cmpuint(strlen(*line), <=, 100);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/parse/in-order", test_order);
    g_test_add_func("/options/parse/argument-may-look-like-an-option", test_argument_may_look_like_an_option);
    g_test_add_func("/options/parse/errors-name-the-option", test_errors);
    g_test_add_func("/options/question/ends-the-line", test_questions);
    g_test_add_func("/options/help/has-sections", test_help);
    return g_test_run();
}
