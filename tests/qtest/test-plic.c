/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The interrupt controller: gateways, priorities, thresholds, claims. */
#include "tests/qtest/board.h"

#define PRIORITY(source)      (PLIC_BASE + 4 * (source))
#define ENABLE(context, word) (PLIC_BASE + 0x2000 + 0x80 * (context) + 4 * (word))
#define THRESHOLD(context)    (PLIC_BASE + 0x200000 + 0x1000 * (context))
#define CLAIM(context)        (THRESHOLD(context) + 4)

static QTestState *start(void)
{
    return qtest_init(BOARD_ARGS " -smp 2");
}

static void set_source(QTestState *s, int source, int level)
{
    qtest_set_irq_in(s, "plic", "unnamed-gpio-in", source, level);
}

static void enable(QTestState *s, unsigned context, unsigned source, unsigned priority)
{
    uint64_t word = ENABLE(context, source / 32);

    qtest_writel(s, PRIORITY(source), priority);
    qtest_writel(s, word, qtest_readl(s, word) | 1u << (source % 32));
}

static void test_line_reaches_hart(void)
{
    QTestState *s = start();

    enable(s, 3, 40, 1); /* S-mode of hart 1 */
    set_source(s, 40, 1);
    g_assert_cmphex(board_mip(s, 1) & MIP_SEIP, ==, MIP_SEIP);
    g_assert_cmphex(board_mip(s, 0) & (MIP_SEIP | MIP_MEIP), ==, 0);
    qtest_quit(s);
}

static void test_claim_takes_highest(void)
{
    QTestState *s = start();

    enable(s, 0, 12, 2);
    enable(s, 0, 40, 5);
    enable(s, 0, 41, 5);
    set_source(s, 41, 1);
    set_source(s, 12, 1);
    set_source(s, 40, 1);
    g_assert_cmpuint(qtest_readl(s, CLAIM(0)), ==, 40);
    g_assert_cmpuint(qtest_readl(s, CLAIM(0)), ==, 41);
    g_assert_cmpuint(qtest_readl(s, CLAIM(0)), ==, 12);
    g_assert_cmpuint(qtest_readl(s, CLAIM(0)), ==, 0);
    qtest_quit(s);
}

static void test_claimed_line_falls(void)
{
    QTestState *s = start();

    enable(s, 0, 40, 1);
    set_source(s, 40, 1);
    g_assert_cmphex(board_mip(s, 0) & MIP_MEIP, ==, MIP_MEIP);
    g_assert_cmpuint(qtest_readl(s, CLAIM(0)), ==, 40);
    g_assert_cmphex(board_mip(s, 0) & MIP_MEIP, ==, 0);
    qtest_quit(s);
}

static void test_high_line_comes_again(void)
{
    QTestState *s = start();

    enable(s, 0, 40, 1);
    set_source(s, 40, 1);
    g_assert_cmpuint(qtest_readl(s, CLAIM(0)), ==, 40);
    g_assert_cmpuint(qtest_readl(s, CLAIM(0)), ==, 0);
    qtest_writel(s, CLAIM(0), 40);
    g_assert_cmpuint(qtest_readl(s, CLAIM(0)), ==, 40);
    set_source(s, 40, 0);
    qtest_writel(s, CLAIM(0), 40);
    g_assert_cmpuint(qtest_readl(s, CLAIM(0)), ==, 0);
    qtest_quit(s);
}

static void test_threshold_masks(void)
{
    QTestState *s = start();

    enable(s, 0, 40, 3);
    qtest_writel(s, THRESHOLD(0), 3);
    set_source(s, 40, 1);
    g_assert_cmphex(board_mip(s, 0) & MIP_MEIP, ==, 0);
    qtest_writel(s, THRESHOLD(0), 2);
    g_assert_cmphex(board_mip(s, 0) & MIP_MEIP, ==, MIP_MEIP);
    qtest_quit(s);
}

static void test_priority_zero_never_interrupts(void)
{
    QTestState *s = start();

    enable(s, 0, 40, 0);
    set_source(s, 40, 1);
    g_assert_true(board_plic_pending(s, 40));
    g_assert_cmphex(board_mip(s, 0) & MIP_MEIP, ==, 0);
    g_assert_cmpuint(qtest_readl(s, CLAIM(0)), ==, 0);
    qtest_quit(s);
}

static void test_source_zero_is_none(void)
{
    QTestState *s = start();

    qtest_writel(s, PRIORITY(0), 7);
    qtest_writel(s, ENABLE(0, 0), UINT32_MAX);
    g_assert_cmphex(qtest_readl(s, PRIORITY(0)), ==, 0);
    g_assert_cmphex(qtest_readl(s, ENABLE(0, 0)), ==, UINT32_MAX - 1);
    qtest_quit(s);
}

/* Completions of sources that were not claimed here, or do not exist. */
static void test_foreign_completion_is_ignored(void)
{
    QTestState *s = start();

    enable(s, 0, 40, 1);
    set_source(s, 40, 1);
    g_assert_cmpuint(qtest_readl(s, CLAIM(0)), ==, 40);
    qtest_writel(s, CLAIM(2), 40);
    qtest_writel(s, CLAIM(0), 0);
    qtest_writel(s, CLAIM(0), UINT32_MAX);
    g_assert_false(board_plic_pending(s, 40));
    qtest_writel(s, CLAIM(0), 40);
    g_assert_true(board_plic_pending(s, 40));
    qtest_quit(s);
}

/* Contexts of harts that do not exist, and everything between registers. */
static void test_holes_read_zero(void)
{
    QTestState *s = start();

    qtest_writel(s, THRESHOLD(4), 5);
    qtest_writel(s, PLIC_BASE + 0x5ffffc, 5);
    qtest_writel(s, ENABLE(0, 3), 5);
    g_assert_cmphex(qtest_readl(s, THRESHOLD(4)), ==, 0);
    g_assert_cmphex(qtest_readl(s, PLIC_BASE + 0x5ffffc), ==, 0);
    g_assert_cmphex(qtest_readl(s, ENABLE(0, 3)), ==, 0);
    qtest_quit(s);
}

static void test_reset_forgets(void)
{
    QTestState *s = start();

    enable(s, 0, 40, 1);
    set_source(s, 40, 1);
    qtest_qmp_assert_success(s, "{'execute': 'system_reset'}");
    qtest_qmp_eventwait(s, "RESET");
    g_assert_false(board_plic_pending(s, 40));
    g_assert_cmphex(qtest_readl(s, ENABLE(0, 1)), ==, 0);
    g_assert_cmphex(board_mip(s, 0) & MIP_MEIP, ==, 0);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/plic/line/reaches-the-hart", test_line_reaches_hart);
    g_test_add_func("/plic/claim/takes-highest-priority-then-lowest-number", test_claim_takes_highest);
    g_test_add_func("/plic/claim/lowers-the-line", test_claimed_line_falls);
    g_test_add_func("/plic/complete/high-line-comes-again", test_high_line_comes_again);
    g_test_add_func("/plic/complete/foreign-one-is-ignored", test_foreign_completion_is_ignored);
    g_test_add_func("/plic/threshold/masks-up-to-its-value", test_threshold_masks);
    g_test_add_func("/plic/priority/zero-never-interrupts", test_priority_zero_never_interrupts);
    g_test_add_func("/plic/registers/source-zero-is-none", test_source_zero_is_none);
    g_test_add_func("/plic/registers/holes-read-zero", test_holes_read_zero);
    g_test_add_func("/plic/reset/forgets", test_reset_forgets);
    return g_test_run();
}
