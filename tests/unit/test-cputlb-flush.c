/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Address spaces and leaves of all sizes: what a flush drops, and what it keeps. */
#include "cputlb.h"

static void test_switch_asid(void)
{
    uint64_t walks;

    fill_pages();
    tlb_flush(cpu[0]->env);
    set_asid(1);
    g_assert_cmpuint(load(WINDOW), ==, 1);
    set_asid(2);
    g_assert_cmpuint(load(WINDOW), ==, 2);
    walks = stats(0)->walks;
    set_asid(1);
    g_assert_cmpuint(load(WINDOW), ==, 1);
    g_assert_cmpuint(stats(0)->walks, ==, walks);
}

static void test_flush_asid(void)
{
    uint64_t walks;

    fill_pages();
    tlb_flush(cpu[0]->env);
    set_asid(2);
    load(WINDOW);
    set_asid(1);
    load(WINDOW);
    load(RAM_BASE);
    tlb_flush_asid(cpu[0]->env, 1);
    walks = stats(0)->walks;
    load(RAM_BASE); /* global */
    g_assert_cmpuint(stats(0)->walks, ==, walks);
    load(WINDOW);
    g_assert_cmpuint(stats(0)->walks, ==, walks + 1);
    set_asid(2);
    load(WINDOW);
    g_assert_cmpuint(stats(0)->walks, ==, walks + 1);
}

static void test_flush_page(void)
{
    uint64_t walks;

    fill_pages();
    tlb_flush(cpu[0]->env);
    set_asid(1);
    load(WINDOW);
    load(WINDOW + TARGET_PAGE_SIZE);
    tlb_flush_page(cpu[0]->env, WINDOW + 8);
    walks = stats(0)->walks;
    load(WINDOW + TARGET_PAGE_SIZE);
    g_assert_cmpuint(stats(0)->walks, ==, walks);
    load(WINDOW);
    g_assert_cmpuint(stats(0)->walks, ==, walks + 1);
}

/* A page flush inside a 2 MiB leaf drops all of the leaf; a refill inside it needs no walk. */
static void test_flush_large(void)
{
    uint64_t walks;

    fill_pages();
    tlb_flush(cpu[0]->env);
    walks = stats(0)->walks;
    g_assert_cmpuint(load(LARGE + 5 * TARGET_PAGE_SIZE), ==, 5);
    g_assert_cmpuint(load(LARGE + 6 * TARGET_PAGE_SIZE), ==, 6);
    g_assert_cmpuint(stats(0)->walks, ==, walks + 1);
    tlb_flush_page(cpu[0]->env, LARGE + 9 * TARGET_PAGE_SIZE);
    load(LARGE + 6 * TARGET_PAGE_SIZE);
    g_assert_cmpuint(stats(0)->walks, ==, walks + 2);
}

/* The same where the leaf is larger than anything that the second level keeps in one entry. */
static void test_flush_giant(void)
{
    uint64_t walks;

    fill_pages();
    tlb_flush(cpu[0]->env);
    load(GIANT + 5 * TARGET_PAGE_SIZE);
    walks = stats(0)->walks;
    tlb_flush_page(cpu[0]->env, GIANT + (UINT64_C(3) << 30));
    load(GIANT + 5 * TARGET_PAGE_SIZE);
    g_assert_cmpuint(stats(0)->walks, ==, walks + 1);
}

/* Flushes of small pages leave large leaves alone, wherever they are. */
static void test_flush_beside_large(void)
{
    uint64_t walks;

    fill_pages();
    tlb_flush(cpu[0]->env);
    load(LARGE);
    walks = stats(0)->walks;
    tlb_flush_page(cpu[0]->env, WINDOW);
    load(LARGE + TARGET_PAGE_SIZE);
    g_assert_cmpuint(stats(0)->walks, ==, walks);
}

/* Jumps into a large leaf go when any of its pages is flushed; others stay when none leads into it. */
static void check_jump_after_flush(uint64_t pc, uint64_t expected)
{
    const TCGEnv *env = cpu[0]->env;
    const JumpTableEntry *e = &env->jump[0][jump_table_index(pc)];

    tlb_flush(cpu[0]->env);
    load(LARGE);
    tlb_jump_insert(cpu[0]->accel, 0, pc, host, false);
    tlb_flush_page(cpu[0]->env, LARGE + 9 * TARGET_PAGE_SIZE);
    g_assert_cmphex(e->pc, ==, expected);
    tlb_flush(cpu[0]->env);
}

static void test_flush_large_jump(void)
{
    check_jump_after_flush(LARGE + 0x5000, UINT64_MAX);
}

static void test_flush_large_straddling_jump(void)
{
    check_jump_after_flush(LARGE - 2, UINT64_MAX);
}

static void test_flush_large_data(void)
{
    check_jump_after_flush(RAM_BASE + CODE_AT, RAM_BASE + CODE_AT);
}

/* The first and the last place of a page, and the one before it, which may straddle into it. */
static void test_flush_page_jumps(void)
{
    static const struct {
        int64_t offset;
        bool goes;
    } jumps[] = {{-4, false}, {-2, true}, {0, true}, {0x7fe, true}, {TARGET_PAGE_SIZE - 2, true},
                 {TARGET_PAGE_SIZE, false}};
    const uint64_t page = WINDOW + 3 * TARGET_PAGE_SIZE;
    const TCGEnv *env = cpu[0]->env;

    tlb_flush(cpu[0]->env);
    for (unsigned i = 0; i < G_N_ELEMENTS(jumps); i++) {
        tlb_jump_insert(cpu[0]->accel, 0, page + jumps[i].offset, host, false);
    }
    tlb_flush_page(cpu[0]->env, page);
    for (unsigned i = 0; i < G_N_ELEMENTS(jumps); i++) {
        uint64_t pc = page + jumps[i].offset;

        g_assert_cmphex(env->jump[0][jump_table_index(pc)].pc, ==, jumps[i].goes ? UINT64_MAX : pc);
    }
    tlb_flush(cpu[0]->env);
}

void add_flush_tests(void)
{
    g_test_add_func("/cputlb/asid/switch-back-needs-no-walk", test_switch_asid);
    g_test_add_func("/cputlb/asid/flush-keeps-others-and-global", test_flush_asid);
    g_test_add_func("/cputlb/page/flush-drops-one-page", test_flush_page);
    g_test_add_func("/cputlb/page/flush-drops-whole-large-leaf", test_flush_large);
    g_test_add_func("/cputlb/page/flush-drops-whole-giant-leaf", test_flush_giant);
    g_test_add_func("/cputlb/page/flush-drops-jumps-of-the-page", test_flush_page_jumps);
    g_test_add_func("/cputlb/page/flush-beside-large-leaf-keeps-it", test_flush_beside_large);
    g_test_add_func("/cputlb/page/flush-of-large-leaf-drops-jumps-into-it", test_flush_large_jump);
    g_test_add_func("/cputlb/page/flush-of-large-leaf-drops-straddling-jump", test_flush_large_straddling_jump);
    g_test_add_func("/cputlb/page/flush-of-large-leaf-keeps-jumps-elsewhere", test_flush_large_data);
}
