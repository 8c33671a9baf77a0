/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Page slots: what a loop's loads and stores remember goes when the first level's entry goes. */
#include "cputlb.h"

static bool slots_wanted(void)
{
    return !tcg_config()->interpreter && !tcg_config()->no_page_slots;
}

static unsigned filled_slots(const PageSlot *slots, vaddr page)
{
    unsigned n = 0;

    for (unsigned i = 0; i < PAGE_SLOTS; i++) {
        n += slots[i].limit && slots[i].tag == page;
    }
    return n;
}

/* r3 times: st r1 -> [r2], or ld r1 <- [r2] */
static void run_loop(unsigned op, vaddr addr, uint64_t value, unsigned times)
{
    const uint32_t program[] = {insn(MARK, 0, 0, 0), insn(op, 1, 2, 0), insn(ADDI, 3, 3, -1),
                                insn(LOOP, 3, 0, -3), insn(HALT, 0, 0, 0)};

    put_code(CODE_AT, program, sizeof(program));
    *var(0, 1) = value;
    *var(0, 2) = addr;
    *var(0, 3) = times;
    run(cpu[0], CODE_AT);
}

static void fill_slot(unsigned op, vaddr addr)
{
    TCGEnv *env = cpu[0]->env;
    const PageSlot *slots = op == ST ? env->write_slot[0] : env->read_slot[0];

    run_loop(op, addr, 1, 10);
    g_assert_cmpuint(filled_slots(slots, addr & TARGET_PAGE_MASK), ==, slots_wanted());
}

/* D4 with a slot between the store and the first level. */
static void test_slot_rearm(void)
{
    start_log();
    fill_slot(ST, RAM_BASE + DATA_AT);
    take_dirty(DATA_AT, NULL);
    g_assert_false(migration_dirty(DATA_AT));
    run_loop(ST, RAM_BASE + DATA_AT, 2, 1);
    g_assert_true(migration_dirty(DATA_AT));
    stop_log();
}

static void test_slot_becomes_code(void)
{
    const uint32_t program[] = {insn(LI, 7, 0, 7), insn(HALT, 0, 0, 0)};

    fill_slot(ST, RAM_BASE + 0x6800);
    put_code(0x6800, program, sizeof(program));
    run(cpu[0], 0x6800);
    run_loop(ST, RAM_BASE + 0x6800, insn(LI, 7, 0, 8) | (uint64_t)program[1] << 32, 1);
    run(cpu[0], 0x6800);
    g_assert_cmpuint(*var(0, 7), ==, 8);
}

static void test_slot_asid(void)
{
    fill_pages();
    set_asid(1);
    fill_slot(LD, WINDOW + 8 * TARGET_PAGE_SIZE);
    g_assert_cmpuint(*var(0, 1), ==, 9);
    set_asid(2);
    run_loop(LD, WINDOW + 8 * TARGET_PAGE_SIZE, 0, 1);
    g_assert_cmpuint(*var(0, 1), ==, 10);
    ((ToyCPU *)cpu[0]->env)->asid = 3; /* the mapping changed, and the guest says so */
    tlb_flush_asid(cpu[0]->env, 2);
    run_loop(LD, WINDOW + 8 * TARGET_PAGE_SIZE, 0, 1);
    g_assert_cmpuint(*var(0, 1), ==, 11);
    set_asid(0);
}

static void test_slot_flush_page(void)
{
    fill_pages();
    set_asid(1);
    fill_slot(LD, WINDOW + 8 * TARGET_PAGE_SIZE);
    ((ToyCPU *)cpu[0]->env)->asid = 2;
    tlb_flush_page(cpu[0]->env, WINDOW + 8 * TARGET_PAGE_SIZE + 16);
    run_loop(LD, WINDOW + 8 * TARGET_PAGE_SIZE, 0, 1);
    g_assert_cmpuint(*var(0, 1), ==, 10);
    set_asid(0);
}

/* Its entry in the first level has gone to another page meanwhile. */
static void test_slot_outlives_entry(void)
{
    const vaddr page = WINDOW + 8 * TARGET_PAGE_SIZE;

    fill_pages();
    set_asid(1);
    fill_slot(LD, page);
    load(page + TLB_ENTRIES * TARGET_PAGE_SIZE);
    ((ToyCPU *)cpu[0]->env)->asid = 2;
    tlb_flush_page(cpu[0]->env, page);
    run_loop(LD, page, 0, 1);
    g_assert_cmpuint(*var(0, 1), ==, 10);
    set_asid(0);
}

static void test_slot_flush_large(void)
{
    const TCGEnv *env = cpu[0]->env;

    fill_slot(LD, LARGE + 5 * TARGET_PAGE_SIZE);
    tlb_flush_page(cpu[0]->env, LARGE + 9 * TARGET_PAGE_SIZE);
    g_assert_cmpuint(filled_slots(env->read_slot[0], LARGE + 5 * TARGET_PAGE_SIZE), ==, 0);
}

/* The last bytes of a page: a slot must not let an access cross. */
static void test_slot_crossing(void)
{
    fill_pages();
    fill_slot(LD, RAM_BASE + 3 * TARGET_PAGE_SIZE);
    run_loop(LD, RAM_BASE + 4 * TARGET_PAGE_SIZE - 4, 0, 10);
    g_assert_cmpuint(*var(0, 1), ==, UINT64_C(4) << 32);
}

/* The highest and the lowest page differ from an empty slot's tag in all ways that a page can. */
static void test_slot_empty_matches_nothing(void)
{
    TCGEnv *env = cpu[0]->env;

    for (unsigned i = 0; i < PAGE_SLOTS; i++) {
        env->read_slot[0][i].limit = 0;
        env->read_slot[0][i].tag = RAM_BASE + 3 * TARGET_PAGE_SIZE;
        env->read_slot[0][i].addend = 0;
    }
    fill_pages();
    run_loop(LD, RAM_BASE + 3 * TARGET_PAGE_SIZE, 0, 1);
    g_assert_cmpuint(*var(0, 1), ==, 3);
}

/* A site that goes from page to page is translated without a slot, and does what it did. */
static void test_slot_bad_site(void)
{
    /* r4 and r2 change places each time round */
    const uint32_t program[] = {insn(MARK, 0, 0, 0),   insn(LD, 1, 2, 0),    insn(ADDI, 5, 2, 0),
                                insn(ADDI, 2, 4, 0),   insn(ADDI, 4, 5, 0),  insn(ADDI, 3, 3, -1),
                                insn(LOOP, 3, 0, -6),  insn(HALT, 0, 0, 0)};
    uint64_t bad = stats(0)->bad_sites;

    fill_pages();
    put_code(CODE_AT, program, sizeof(program));
    for (unsigned round = 0; round < 100 && stats(0)->bad_sites == bad; round++) {
        *var(0, 2) = RAM_BASE + 3 * TARGET_PAGE_SIZE;
        *var(0, 4) = RAM_BASE + 4 * TARGET_PAGE_SIZE;
        *var(0, 3) = 2000;
        run(cpu[0], CODE_AT);
        g_assert_cmpuint(*var(0, 1), ==, 4);
    }
    for (unsigned round = 0; round < 20; round++) {
        *var(0, 3) = 2000;
        run(cpu[0], CODE_AT);
    }
    g_assert_cmpuint(stats(0)->bad_sites, ==, bad + slots_wanted());
}

void add_slot_tests(void)
{
    g_test_add_func("/cputlb/slot/D4-rearm-empties", test_slot_rearm);
    g_test_add_func("/cputlb/slot/page-becomes-code", test_slot_becomes_code);
    g_test_add_func("/cputlb/slot/another-address-space", test_slot_asid);
    g_test_add_func("/cputlb/slot/flush-of-the-page", test_slot_flush_page);
    g_test_add_func("/cputlb/slot/flush-after-the-entry-went", test_slot_outlives_entry);
    g_test_add_func("/cputlb/slot/flush-of-a-large-leaf", test_slot_flush_large);
    g_test_add_func("/cputlb/slot/crossing", test_slot_crossing);
    g_test_add_func("/cputlb/slot/empty-matches-nothing", test_slot_empty_matches_nothing);
    g_test_add_func("/cputlb/slot/bad-site-does-without", test_slot_bad_site);
}
