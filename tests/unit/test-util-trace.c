/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Trace points and counters. */
#include "util/trace.h"

#include <glib/gstdio.h>
#include <string.h>

#include "util/counters.h"

TRACE_EVENT(test_alpha, "value %d text '%s'");
TRACE_EVENT(test_beta, "nothing");
COUNTER(test_second, "counts more");
COUNTER(test_first, "counts things");

static int evaluated;

static int evaluate(void)
{
    return ++evaluated;
}

static void test_off_costs_nothing(void)
{
    trace(test_alpha, evaluate(), "x");
    g_assert_cmpint(evaluated, ==, 0);
}

static void test_glob(void)
{
    GError *error = NULL;
    char *path = NULL, *text;

    g_assert_cmpint(g_file_open_tmp("trace-XXXXXX", &path, NULL), >=, 0);
    g_assert_true(trace_set_file(path, &error));
    g_assert_true(trace_enable("test_*", &error));
    g_assert_true(trace_enable("-test_beta", &error));
    g_assert_true(trace_enabled(test_alpha));
    g_assert_false(trace_enabled(test_beta));
    trace(test_alpha, 42, "x");
    trace(test_beta);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_nonnull(strstr(text, " test_alpha: value 42 text 'x'\n"));
    g_assert_null(strstr(text, "test_beta"));
    g_remove(path);
    g_free(path);
    g_free(text);
}

static void test_unknown(void)
{
    GError *error = NULL;

    g_assert_false(trace_enable("test_alhpa", &error));
    g_assert_cmpstr(error->message, ==, "no trace event matches 'test_alhpa' (did you mean 'test_alpha'?)");
    g_clear_error(&error);
    g_assert_false(trace_enable("zzz*", &error));
    g_clear_error(&error);
    g_assert_false(trace_set_file("/nonexistent/x", &error));
    g_clear_error(&error);
}

static void append_event(const char *name, const char *format, bool enabled, void *opaque)
{
    g_string_append_printf(opaque, "%s[%s] ", name, format);
}

static void test_list(void)
{
    GString *all = g_string_new(NULL);

    trace_list(append_event, all);
    g_assert_cmpstr(all->str, ==, "test_alpha[value %d text '%s'] test_beta[nothing] ");
    g_string_free(all, TRUE);
}

static void append_counter(const char *name, const char *help, uint64_t value, void *opaque)
{
    g_string_append_printf(opaque, "%s=%d ", name, (int)value);
}

static void test_counters(void)
{
    GString *all = g_string_new(NULL);

    counter_inc(test_second);
    counter_add(test_first, 5);
    counters_foreach("test_", append_counter, all);
    g_assert_cmpstr(all->str, ==, "test_first=5 test_second=1 ");
    g_assert_cmpuint(counter_read(test_first), ==, 5);
    g_string_free(all, TRUE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/trace/off/evaluates-no-argument", test_off_costs_nothing);
    g_test_add_func("/trace/enable/selects-by-glob", test_glob);
    g_test_add_func("/trace/enable/names-what-is-unknown", test_unknown);
    g_test_add_func("/trace/list/is-sorted", test_list);
    g_test_add_func("/counters/foreach/is-sorted", test_counters);
    return g_test_run();
}
