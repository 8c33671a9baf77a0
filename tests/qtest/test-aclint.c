/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Software interrupts and the machine timer. */
#include "tests/qtest/board.h"

#define TICK_NS 100

static void test_msip(void)
{
    QTestState *s = qtest_init(BOARD_ARGS " -smp 2");

    qtest_writel(s, CLINT_BASE + 4, 1);
    g_assert_cmphex(board_mip(s, 1) & MIP_MSIP, ==, MIP_MSIP);
    g_assert_cmphex(board_mip(s, 0) & MIP_MSIP, ==, 0);
    g_assert_cmphex(qtest_readl(s, CLINT_BASE + 4), ==, 1);
    qtest_writel(s, CLINT_BASE + 4, 0xfffffffe);
    g_assert_cmphex(board_mip(s, 1) & MIP_MSIP, ==, 0);
    qtest_quit(s);
}

static void test_missing_hart(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    qtest_writel(s, CLINT_BASE + 8, 1);
    g_assert_cmphex(qtest_readl(s, CLINT_BASE + 8), ==, 0);
    qtest_writeq(s, MTIMER_BASE + 8, 1);
    g_assert_cmphex(qtest_readq(s, MTIMER_BASE + 8), ==, 0);
    qtest_quit(s);
}

static void test_time_follows_clock(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);
    uint64_t before = qtest_readq(s, MTIME);

    qtest_clock_step(s, 1000 * TICK_NS);
    g_assert_cmpuint(qtest_readq(s, MTIME), ==, before + 1000);
    g_assert_cmpuint(qtest_readl(s, MTIME), ==, (uint32_t)(before + 1000));
    qtest_quit(s);
}

static void test_timer_fires(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);
    uint64_t when = qtest_readq(s, MTIME) + 500;

    qtest_writeq(s, MTIMER_BASE, when);
    qtest_clock_step(s, 499 * TICK_NS);
    g_assert_cmphex(board_mip(s, 0) & MIP_MTIP, ==, 0);
    qtest_clock_step(s, TICK_NS);
    g_assert_cmphex(board_mip(s, 0) & MIP_MTIP, ==, MIP_MTIP);
    qtest_quit(s);
}

static void test_later_compare_lowers(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    qtest_writeq(s, MTIMER_BASE, 0);
    g_assert_cmphex(board_mip(s, 0) & MIP_MTIP, ==, MIP_MTIP);
    qtest_writel(s, MTIMER_BASE + 4, 1);
    g_assert_cmphex(qtest_readq(s, MTIMER_BASE), ==, UINT64_C(1) << 32);
    g_assert_cmphex(board_mip(s, 0) & MIP_MTIP, ==, 0);
    qtest_quit(s);
}

/* The sum of clock and distance would not fit any clock. */
static void test_far_compare(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    qtest_writeq(s, MTIMER_BASE, UINT64_MAX);
    qtest_writeq(s, MTIMER_BASE, INT64_MAX);
    qtest_clock_step(s, INT64_C(1) << 40);
    g_assert_cmphex(board_mip(s, 0) & MIP_MTIP, ==, 0);
    qtest_quit(s);
}

static void test_written_time(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    qtest_writeq(s, MTIMER_BASE, 2000000);
    qtest_writeq(s, MTIME, 1000000);
    g_assert_cmpuint(qtest_readq(s, MTIME), ==, 1000000);
    qtest_clock_step(s, 1000000 * TICK_NS - 1);
    g_assert_cmphex(board_mip(s, 0) & MIP_MTIP, ==, 0);
    qtest_clock_step(s, 1);
    g_assert_cmphex(board_mip(s, 0) & MIP_MTIP, ==, MIP_MTIP);
    qtest_quit(s);
}

static void test_sswi(void)
{
    QTestState *s = qtest_init("-M virt,aclint=on -nodefaults -bios none");

    qtest_writel(s, SSWI_BASE, 1);
    g_assert_cmphex(board_mip(s, 0) & MIP_SSIP, ==, MIP_SSIP);
    g_assert_cmphex(qtest_readl(s, SSWI_BASE), ==, 0);
    qtest_writel(s, SSWI_BASE, 0);
    g_assert_cmphex(board_mip(s, 0) & MIP_SSIP, ==, MIP_SSIP);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/aclint/msip/raises-and-lowers-one-hart", test_msip);
    g_test_add_func("/aclint/registers/missing-hart-is-ignored", test_missing_hart);
    g_test_add_func("/aclint/mtime/follows-the-virtual-clock", test_time_follows_clock);
    g_test_add_func("/aclint/mtime/written-value-counts-on", test_written_time);
    g_test_add_func("/aclint/mtimecmp/fires-on-its-tick", test_timer_fires);
    g_test_add_func("/aclint/mtimecmp/later-value-lowers-the-line", test_later_compare_lowers);
    g_test_add_func("/aclint/mtimecmp/far-value-never-fires", test_far_compare);
    g_test_add_func("/aclint/sswi/sets-and-does-not-clear", test_sswi);
    return g_test_run();
}
