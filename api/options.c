/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line: finding an option's row, handing it its argument, and the text of -help. */
#include "api/option.h"

#include <string.h>

#include "api/field.h"
#include "util/error.h"

static char *answer; /* of the command line; see options_take_answer() */

static bool is_called(const Option *option, const char *name)
{
    return !strcmp(option->name, name) || (option->alias && !strcmp(option->alias, name));
}

static const Option *find_option(const char *name)
{
    LINKER_SET_FOREACH (options, Option, o) {
        if (is_called(o, name)) {
            return o;
        }
    }
    return NULL;
}

static const char *nth_option_name(unsigned i, void *opaque)
{
    LINKER_SET_FOREACH (options, Option, o) {
        if (i-- == 0) {
            return o->name;
        }
        if (o->alias && i-- == 0) {
            return o->alias;
        }
    }
    return NULL;
}

static bool fail_unknown_option(const char *word, const char *name, GError **error)
{
    const char *like = did_you_mean(name, nth_option_name, NULL);

    if (like) {
        return fail(error, "unknown option '%s' (did you mean '-%s'?)", word, like);
    }
    return fail(error, "unknown option '%s' (-help lists them)", word);
}

/* Parses the option at argv[*i], moving *i over its argument. */
static bool parse_option(int argc, char **argv, int *i, GError **error)
{
    const char *word = argv[*i];
    const char *name = word + (word[1] == '-' ? 2 : 1);
    const Option *option = find_option(name);
    const char *value = NULL;

    if (!option) {
        return fail_unknown_option(word, name, error);
    }
    if (option->arg) {
        if (*i + 1 >= argc) {
            return fail(error, "option '%s' needs an argument: %s", word, option->arg);
        }
        value = argv[++*i];
    }
    if (option->answer && (answer = option->answer(value))) {
        return true;
    }
    if (option->parse && !option->parse(value, error)) {
        error_context(error, value ? "%s %s" : "%s", word, value);
        return false;
    }
    return true;
}

bool options_parse(int argc, char **argv, bool (*positional)(const char *word, GError **error),
                   GError **error)
{
    for (int i = 1; i < argc && !answer; i++) {
        if (argv[i][0] == '-' && argv[i][1]) {
            if (!parse_option(argc, argv, &i, error)) {
                return false;
            }
        } else if (!positional) {
            return fail(error, "'%s' is not an option", argv[i]);
        } else if (!positional(argv[i], error)) {
            return false;
        }
    }
    return true;
}

/* --- questions --- */

char *options_take_answer(void)
{
    return g_steal_pointer(&answer);
}

static bool is_help(const char *word)
{
    return !strcmp(word, "help") || !strcmp(word, "?");
}

bool option_is_question(const char *value, char **name)
{
    g_autoptr(GPtrArray) pairs = NULL;
    bool asked = false;

    if (is_help(value)) {
        if (name) {
            *name = NULL;
        }
        return true;
    }
    pairs = name ? options_split(value, "", NULL) : NULL;
    for (guint i = 1; pairs && i < pairs->len; i++) {
        const KeyValue *kv = pairs->pdata[i];
        asked |= !kv->value && is_help(kv->key);
    }
    if (asked) {
        const KeyValue *first = pairs->pdata[0];
        *name = g_strdup(first->value ? first->value : first->key);
    }
    return asked;
}

void option_list_line(GString *out, const char *name, const char *help)
{
    g_string_append_printf(out, "%-24s %s\n", name, help ? help : "");
}

/* --- help --- */

enum { HELP_COLUMN = 32, HELP_WIDTH = 100 };

static const char *section_of(const Option *option)
{
    return option->section ? option->section : "Other options";
}

static int by_section_then_name(gconstpointer a, gconstpointer b)
{
    const Option *x = *(const Option *const *)a, *y = *(const Option *const *)b;
    int order = !x->section - !y->section; /* what has no heading comes last */

    if (!order) {
        order = strcmp(section_of(x), section_of(y));
    }
    return order ? order : strcmp(x->name, y->name);
}

static void append_wrapped(GString *out, const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    size_t column = HELP_COLUMN;

    for (char **word = words; *word; word++) {
        if (column > HELP_COLUMN && column + 1 + strlen(*word) > HELP_WIDTH) {
            g_string_append_printf(out, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        } else if (column > HELP_COLUMN) {
            g_string_append_c(out, ' ');
            column++;
        }
        g_string_append(out, *word);
        column += strlen(*word);
    }
    g_string_append_c(out, '\n');
}

static void append_option(GString *out, const Option *option)
{
    g_autofree char *alias = option->alias ? g_strconcat(", -", option->alias, NULL) : g_strdup("");
    g_autofree char *left =
        g_strdup_printf("  -%s%s %s", option->name, alias, option->arg ? option->arg : "");

    g_string_append(out, left);
    if (strlen(left) + 1 > HELP_COLUMN) {
        g_string_append_printf(out, "\n%*s", HELP_COLUMN, "");
    } else {
        g_string_append_printf(out, "%*s", (int)(HELP_COLUMN - strlen(left)), "");
    }
    append_wrapped(out, option->help ? option->help : "");
}

char *options_help(void)
{
    g_autoptr(GPtrArray) sorted = g_ptr_array_new();
    GString *out = g_string_new(NULL);
    const char *section = NULL;

    LINKER_SET_FOREACH (options, Option, o) {
        g_ptr_array_add(sorted, (void *)o);
    }
    g_ptr_array_sort(sorted, by_section_then_name);
    for (guint i = 0; i < sorted->len; i++) {
        const Option *option = sorted->pdata[i];
        if (g_strcmp0(section, section_of(option))) {
            g_string_append_printf(out, "%s%s:\n", section ? "\n" : "", section_of(option));
            section = section_of(option);
        }
        append_option(out, option);
    }
    return g_string_free(out, FALSE);
}
