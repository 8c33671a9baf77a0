/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The test finisher: how the machine ends. */
#include "tests/qtest/board.h"

static void check_exit(uint32_t value, int status)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    qtest_set_expected_status(s, status);
    qtest_writel(s, FINISHER_BASE, value);
    g_assert_cmpint(qtest_wait_exit(s), ==, status);
    qtest_quit(s);
}

static void test_pass(void)
{
    check_exit(0x5555, 0);
}

static void test_fail(void)
{
    check_exit(0x2a3333, 0x2a);
}

static void test_reset(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    qtest_writel(s, FINISHER_BASE, 0x7777);
    qtest_qmp_eventwait(s, "RESET");
    qtest_quit(s);
}

static void test_other_values(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    qtest_writel(s, FINISHER_BASE, 0x1234);
    qtest_writel(s, FINISHER_BASE + 4, 0x5555);
    g_assert_cmphex(qtest_readl(s, FINISHER_BASE), ==, 0);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/finisher/pass/ends-with-status-0", test_pass);
    g_test_add_func("/finisher/fail/ends-with-the-guest's-status", test_fail);
    g_test_add_func("/finisher/reset/resets", test_reset);
    g_test_add_func("/finisher/other-values/are-ignored", test_other_values);
    return g_test_run();
}
