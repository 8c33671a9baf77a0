/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HMP: lines against Field tables, expressions, help, completion. */
#include <string.h>

#include "monitor/hmp-args.h"
#include "monitor/hmp.h"

/* --- commands to play with --- */

static const char *const speed_names[] = {"slow", "fast", NULL};

typedef struct PlayArgs {
    bool detach, resume, on;
    char *uri, *fmt, *rest;
    int64_t number;
    uint64_t size;
    int speed;
} PlayArgs;

static const Field play_args[] = {
    F_BOOL(PlayArgs, detach, "detach", .optional = true, .help = "do not wait"),
    F_BOOL(PlayArgs, resume, "resume", .optional = true),
    F_STRING(PlayArgs, uri, "uri", .positional = true, .help = "where to"),
    F_I64(PlayArgs, number, "number", .positional = true, .optional = true),
    F_ENUM(PlayArgs, speed, "speed", speed_names, "Speed", .positional = true, .optional = true),
    F_BOOL(PlayArgs, on, "on", .positional = true, .optional = true),
    FIELD_END,
};

static bool run_play(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const PlayArgs *a = args;

    g_string_append_printf(ctx->output, "%d%d %s %" G_GINT64_FORMAT " %s %d\n", a->detach, a->resume, a->uri,
                           a->number, speed_names[a->speed], a->on);
    return true;
}

COMMAND(play, .hmp = "play", .hmp_alias = "pl", .help = "play a little", .args = play_args,
        .args_size = sizeof(PlayArgs), .run = run_play);

static const Field dump_args[] = {
    F_STRING(PlayArgs, fmt, "fmt", .positional = true, .optional = true),
    F_I64(PlayArgs, number, "addr", .positional = true),
    FIELD_END,
};

static bool run_dump(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const PlayArgs *a = args;

    g_string_append_printf(ctx->output, "%s %" G_GINT64_FORMAT "\n", a->fmt ? a->fmt : "-", a->number);
    return true;
}

COMMAND(dump, .hmp = "dump", .help = "show memory", .args = dump_args, .args_size = sizeof(PlayArgs),
        .run = run_dump);

static const Field set_args[] = {
    F_STRING(PlayArgs, uri, "name", .positional = true),
    F_SIZE(PlayArgs, size, "size", .positional = true),
    F_STRING(PlayArgs, rest, "rest", .rest_of_line = true, .optional = true),
    FIELD_END,
};

static bool run_set(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const PlayArgs *a = args;

    g_string_append_printf(ctx->output, "%s %" G_GUINT64_FORMAT " [%s]\n", a->uri, a->size,
                           a->rest ? a->rest : "");
    return true;
}

COMMAND(set, .hmp = "set", .help = "set something", .args = set_args, .args_size = sizeof(PlayArgs),
        .run = run_set);

static bool run_any(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    JsonObject *json = (JsonObject *)args;

    g_string_append_printf(ctx->output, "%s %s\n", json_object_get_string_member(json, "driver"),
                           json_object_get_string_member_with_default(json, "drive", "-"));
    return true;
}

COMMAND(any, .hmp = "any_add", .help = "add anything", .args_any = true, .args_implied = "driver",
        .run = run_any);

typedef struct Reply {
    uint64_t speed;
    char *name;
} Reply;

static const Field reply_fields[] = {
    F_U64(Reply, speed, "speed", .unit = "bytes/s"),
    F_STRING(Reply, name, "name"),
    FIELD_END,
};

static bool run_info_play(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    Reply *r = reply;

    r->speed = 5;
    r->name = g_strdup("n");
    return true;
}

COMMAND(info_play, .hmp = "info play", .help = "show the play", .reply = reply_fields,
        .reply_size = sizeof(Reply), .run = run_info_play);

/* --- tests --- */

static char *output_of(const char *line)
{
    GString *output = g_string_new(NULL);
    CommandContext ctx = {.output = output};

    hmp_execute(&ctx, line);
    return g_string_free(output, FALSE);
}

static void assert_output(const char *line, const char *expected)
{
    g_autofree char *output = output_of(line);

    g_assert_cmpstr(output, ==, expected);
}

static void test_positional(void)
{
    assert_output("play unix:/x", "00 unix:/x 0 slow 0\n");
    assert_output("  play unix:/x 3 fast on  ", "00 unix:/x 3 fast 1\n");
    assert_output("pl \"a \\\"b\\n\"", "00 a \"b\n 0 slow 0\n");
}

static void test_flags(void)
{
    assert_output("play -d x", "10 x 0 slow 0\n");
    assert_output("play -d -r x", "11 x 0 slow 0\n");
    assert_output("play -dr x", "11 x 0 slow 0\n");
    assert_output("play x -5", "00 x -5 slow 0\n");
    assert_output("play -q x", "Error: unknown flag '-q'\n");
}

static void test_errors(void)
{
    assert_output("play", "Error: parameter 'uri' is missing\n");
    assert_output("play x 1 fast on more", "Error: 'more' is more than command 'play' takes\n");
    assert_output("play x 1 fats",
                  "Error: parameter 'speed' does not accept value 'fats' (did you mean 'fast'?)\n");
    assert_output("play \"x", "Error: string lacks its closing quote\n");
    assert_output("play x 1z", "Error: parameter 'number' is not a number at 'z'\n");
    assert_output("plya x", "unknown command: 'plya' (did you mean 'play'?)\n");
    assert_output("info plya", "unknown command: 'info plya' (did you mean 'info play'?)\n");
    assert_output("", "");
}

static void test_format(void)
{
    assert_output("dump /4xw 0x10", "4xw 16\n");
    assert_output("dump/4xw 0x10 + 2*8", "4xw 32\n");
    assert_output("dump 0x10", "- 16\n");
    assert_output("dump /4xw", "Error: parameter 'addr' is missing\n");
}

static void test_sizes_and_rest(void)
{
    assert_output("set a 2G", "a 2147483648 []\n");
    assert_output("set a 2*4096 the  rest, \"as it stands\" ", "a 8192 [the  rest, \"as it stands\"]\n");
}

static void test_any(void)
{
    assert_output("any_add disk,drive=a,,b", "disk a,b\n");
    assert_output("any_add", "Error: command 'any_add' needs arguments\n");
}

static void test_reply_is_printed(void)
{
    assert_output("info play", "speed: 5 bytes/s\nname: n\n");
}

static void assert_value(const char *text, int64_t expected)
{
    g_autoptr(GError) error = NULL;
    int64_t value;

    g_assert_true(hmp_parse_expression(&text, &value, &error));
    g_assert_cmpint(value, ==, expected);
    g_assert_cmpstr(text, ==, "");
}

static void test_expressions(void)
{
    assert_value("1+2*3", 7);
    assert_value("(1 + 2) * 3", 9);
    assert_value("~0", -1);
    assert_value("0x80000000 + 010", 0x80000008);
    assert_value("-7 % 4", -3);
    assert_value("'A' | 0x100", 0x141);
    assert_value("0x8000000000000000 / -1", INT64_MIN);
}

static void test_path_behind_expression(void)
{
    const char *text = "0x1000 /tmp/x";
    int64_t value;

    g_assert_true(hmp_parse_expression(&text, &value, NULL));
    g_assert_cmpint(value, ==, 0x1000);
    g_assert_cmpstr(text, ==, " /tmp/x");
    assert_value("8/2", 4);
    assert_value("8 / 2", 4);
}

static void test_expression_errors(void)
{
    static const char *const bad[] = {"", "1/0", "1%0", "(1", "$pc", "x", "1+", "99999999999999999999999"};

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        const char *text = bad[i];
        g_autoptr(GError) error = NULL;
        int64_t value;
        g_assert_false(hmp_parse_expression(&text, &value, &error));
        g_assert_nonnull(error);
    }
    g_autofree char *deep = g_strnfill(100000, '(');
    const char *text = deep;
    int64_t value;
    g_assert_false(hmp_parse_expression(&text, &value, NULL));
}

static void test_help(void)
{
    assert_output("help play", "play|pl [-d] [-r] uri [number] [speed] [on] -- play a little\n"
                               "  -d (detach): do not wait\n  uri: where to\n");
    assert_output("help dump", "dump [/fmt] addr -- show memory\n");
    assert_output("help any_add", "any_add driver[,name=value...] -- add anything\n");
    assert_output("help info play", "info play -- show the play\n");
    g_autofree char *all = output_of("help");
    g_assert_nonnull(strstr(all, "set name size [rest...] -- set something\n"));
    g_autofree char *info = output_of("info");
    g_assert_nonnull(strstr(info, "info play -- show the play\n"));
}

static void assert_completion(const char *prefix, const char *expected)
{
    g_autoptr(GPtrArray) candidates = g_ptr_array_new_with_free_func(g_free);

    hmp_complete(prefix, candidates);
    g_ptr_array_add(candidates, NULL);
    g_autofree char *joined = g_strjoinv(" ", (char **)candidates->pdata);
    g_assert_cmpstr(joined, ==, expected);
}

static void test_completion(void)
{
    assert_completion("pla", "play");
    assert_completion("inf", "info");
    assert_completion("info pl", "play");
    assert_completion("play x 1 f", "fast");
    assert_completion("play -d x 1 fast o", "on off");
    assert_completion("help dum", "dump");
    assert_completion("nothing x", "");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hmp/args/positional", test_positional);
    g_test_add_func("/hmp/args/flags", test_flags);
    g_test_add_func("/hmp/args/errors-name-the-parameter", test_errors);
    g_test_add_func("/hmp/args/format", test_format);
    g_test_add_func("/hmp/args/sizes-and-rest-of-line", test_sizes_and_rest);
    g_test_add_func("/hmp/args/option-text", test_any);
    g_test_add_func("/hmp/reply/printed-from-its-table", test_reply_is_printed);
    g_test_add_func("/hmp/expressions/values", test_expressions);
    g_test_add_func("/hmp/expression/a-path-behind-it-is-no-division", test_path_behind_expression);
    g_test_add_func("/hmp/expressions/errors", test_expression_errors);
    g_test_add_func("/hmp/help/synopsis-and-lists", test_help);
    g_test_add_func("/hmp/completion/names-and-values", test_completion);
    return g_test_run();
}
