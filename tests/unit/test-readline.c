/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The line editor: which line comes out of which keys. */
#include "monitor/readline.h"

#include <string.h>

static GString *lines, *shown;
static Readline *rl;

static void write_text(void *opaque, const char *text, size_t len)
{
    g_string_append_len(shown, text, (gssize)len);
}

static void take_line(void *opaque, const char *line)
{
    g_string_append_printf(lines, "%s|", line);
    readline_prompt(rl);
}

static void complete(void *opaque, const char *prefix, GPtrArray *candidates)
{
    static const char *const words[] = {"migrate", "migrate_cancel", "migrate_continue", "quit"};

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        if (g_str_has_prefix(words[i], prefix)) {
            g_ptr_array_add(candidates, g_strdup(words[i]));
        }
    }
}

static void assert_keys(const char *keys, const char *expected)
{
    static const ReadlineOps ops = {.write = write_text, .line = take_line, .complete = complete};

    lines = g_string_new(NULL);
    shown = g_string_new(NULL);
    rl = readline_new("> ", &ops, NULL);
    readline_prompt(rl);
    for (const char *p = keys; *p; p++) {
        readline_input(rl, (uint8_t)*p);
    }
    g_assert_cmpstr(lines->str, ==, expected);
    readline_free(rl);
    g_string_free(lines, TRUE);
    g_string_free(shown, TRUE);
}

static void test_plain(void)
{
    assert_keys("info status\rquit\n", "info status|quit|");
}

static void test_crlf(void)
{
    assert_keys("a\r\nb\r\n", "a|b|");
}

static void test_editing(void)
{
    assert_keys("bc\x01"
                "a\x05"
                "d\r",
                "abcd|");                            /* Ctrl-A, Ctrl-E */
    assert_keys("abcX\x7f\r", "abc|");               /* backspace */
    assert_keys("abXc\x02\x7f\r", "abc|");           /* Ctrl-B */
    assert_keys("one two\x17three\r", "one three|"); /* Ctrl-W */
    assert_keys("one two\x15three\r", "three|");     /* Ctrl-U */
    assert_keys("one two\x01\x0bthree\r", "three|"); /* Ctrl-K */
    assert_keys("one\x15two \x19\r", "two one|");    /* Ctrl-Y */
    assert_keys("aXb\x01\x06\x04\r", "ab|");         /* Ctrl-F, Ctrl-D */
    assert_keys("oops\x03yes\r", "yes|");            /* Ctrl-C */
}

static void test_arrows(void)
{
    assert_keys("ac\x1b[Db\r", "abc|");
    assert_keys("bc\x1b[Ha\x1b[Fd\r", "abcd|");
    assert_keys("bc\x1b[1~a\x1b[4~d\r", "abcd|");
    assert_keys("Xabc\x1bOH\x1b[3~\r", "abc|");
    assert_keys("a\x1b[1;5Cb\r", "ab|");
}

static void test_history(void)
{
    assert_keys("one\rtwo\r\x1b[A\x1b[A\r", "one|two|one|");
    assert_keys("one\rtwo\r\x10\x10\x0e\r", "one|two|two|");
    assert_keys("one\rdraft\x10\x0e!\r", "one|draft!|");
    assert_keys("one\r\x10\x10\x10\r", "one|one|");
}

static void test_completion(void)
{
    assert_keys("q\t\r", "quit |");
    assert_keys("mi\t_ca\t\r", "migrate_cancel |");
    assert_keys("zzz\t\r", "zzz|");
}

static void test_long_lines(void)
{
    g_autofree char *keys = g_strnfill(10000, 'x');
    g_autofree char *expected = g_strnfill(4095, 'x');
    g_autofree char *line = g_strconcat(expected, "|", NULL);

    keys[9999] = '\r';
    assert_keys(keys, line);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/readline/lines/come-out-on-enter", test_plain);
    g_test_add_func("/readline/lines/crlf-is-one-enter", test_crlf);
    g_test_add_func("/readline/lines/are-bounded", test_long_lines);
    g_test_add_func("/readline/editing/control-keys", test_editing);
    g_test_add_func("/readline/editing/escape-sequences", test_arrows);
    g_test_add_func("/readline/history/goes-back-and-forth", test_history);
    g_test_add_func("/readline/completion/completes-words", test_completion);
    return g_test_run();
}
