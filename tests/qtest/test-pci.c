/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PCI configuration space of the host bridge, and what is not there. */
#include "tests/qtest/board.h"

static void test_bridge(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    g_assert_cmphex(qtest_readl(s, ECAM_BASE), ==, 0x00081b36);
    g_assert_cmphex(qtest_readl(s, ECAM_BASE + 8), ==, 0x06000000);
    g_assert_cmphex(qtest_readw(s, ECAM_BASE + 0x2c), ==, 0x1af4);
    qtest_quit(s);
}

static void test_absent(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    g_assert_cmphex(qtest_readl(s, ECAM_BASE + (1 << 15)), ==, UINT32_MAX);
    g_assert_cmphex(qtest_readl(s, ECAM_BASE + (1 << 20)), ==, UINT32_MAX);
    g_assert_cmphex(qtest_readb(s, ECAM_BASE + 0xfffffff), ==, 0xff);
    qtest_writel(s, ECAM_BASE + (1 << 15) + 4, 7);
    qtest_quit(s);
}

static void test_masks(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    qtest_writel(s, ECAM_BASE, 0);
    qtest_writel(s, ECAM_BASE + 4, UINT32_MAX);
    qtest_writel(s, ECAM_BASE + 0x10, UINT32_MAX); /* it has no window */
    g_assert_cmphex(qtest_readl(s, ECAM_BASE), ==, 0x00081b36);
    g_assert_cmphex(qtest_readl(s, ECAM_BASE + 4), ==, 0x547);
    g_assert_cmphex(qtest_readl(s, ECAM_BASE + 0x10), ==, 0);
    qtest_quit(s);
}

static void test_windows(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    g_assert_cmphex(qtest_readl(s, 0x40000000), ==, UINT32_MAX);
    g_assert_cmphex(qtest_readl(s, 0x3000000), ==, UINT32_MAX);
    qtest_writel(s, 0x40000000, 1);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pci/config/host-bridge-is-there", test_bridge);
    g_test_add_func("/pci/config/absent-functions-read-ones", test_absent);
    g_test_add_func("/pci/config/only-writable-bits-change", test_masks);
    g_test_add_func("/pci/windows/nobody-answers", test_windows);
    return g_test_run();
}
