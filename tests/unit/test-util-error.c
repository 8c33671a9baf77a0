/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Errors: what they say, and that a hostile message cannot drive the terminal. */
#include "util/error.h"

#include <errno.h>

static void test_fail_sets_message(void)
{
    GError *error = NULL;

    g_assert_false(fail(&error, "page at 0x%x is past the end of '%s'", 16, "ram"));
    g_assert_cmpstr(error->message, ==, "page at 0x10 is past the end of 'ram'");
    g_assert_true(g_error_matches(error, GODWIT_ERROR, 0));
    g_error_free(error);
}

static void test_fail_without_error(void)
{
    g_assert_false(fail(NULL, "nobody hears this"));
    g_assert_null(fail_null(NULL, "nor this"));
    g_assert_false(fail_errno(NULL, ENOENT, "nor this"));
    error_context(NULL, "nor this");
}

static void test_errno_appended(void)
{
    GError *error = NULL;

    fail_errno(&error, ENOENT, "cannot open '%s'", "x");
    g_assert_cmpstr(error->message, ==, "cannot open 'x': No such file or directory");
    g_error_free(error);
}

static void test_context_in_front(void)
{
    GError *error = NULL;

    error_context(&error, "no error, no context");
    g_assert_null(error);
    fail(&error, "inner");
    error_context(&error, "outer %d", 1);
    g_assert_cmpstr(error->message, ==, "outer 1: inner");
    g_error_free(error);
}

static void test_report_is_terminal_safe(void)
{
    if (g_test_subprocess()) {
        error_set_program_name("prog");
        error_report("a\033[2J\nb\x7f\xc2\x9b\xff\xc3\xa4.");
        warn_report("w");
        info_report("i");
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("prog: a\\x1b*2J\\x0ab\\x7f\\xc2\\x9b\\xff\xc3\xa4.\n"
                              "prog: warning: w\nprog: info: i\n");
}

static const char *names[] = {"migrate", "migrate_cancel", "max-bandwidth", "stop", NULL};

static const char *nth_name(unsigned i, void *opaque)
{
    return names[i];
}

static void test_did_you_mean(void)
{
    g_assert_cmpstr(did_you_mean("migarte", nth_name, NULL), ==, "migrate");
    g_assert_cmpstr(did_you_mean("max_bandwith", nth_name, NULL), ==, "max-bandwidth");
    g_assert_cmpstr(did_you_mean("stpo", nth_name, NULL), ==, "stop");
    g_assert_cmpstr(did_you_mean("quit", nth_name, NULL), ==, NULL);
    g_assert_cmpstr(did_you_mean("", nth_name, NULL), ==, NULL);
}

static void test_did_you_mean_long(void)
{
    char *given = g_strnfill(100000, 'x');

    g_assert_cmpstr(did_you_mean(given, nth_name, NULL), !=, "stop");
    g_free(given);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/error/fail/sets-message-and-domain", test_fail_sets_message);
    g_test_add_func("/error/fail/takes-null", test_fail_without_error);
    g_test_add_func("/error/fail-errno/appends-reason", test_errno_appended);
    g_test_add_func("/error/context/goes-in-front", test_context_in_front);
    g_test_add_func("/error/report/is-terminal-safe", test_report_is_terminal_safe);
    g_test_add_func("/error/did-you-mean/finds-nearest", test_did_you_mean);
    g_test_add_func("/error/did-you-mean/takes-long-names", test_did_you_mean_long);
    return g_test_run();
}
