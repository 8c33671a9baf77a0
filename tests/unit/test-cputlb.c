/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The soft TLB and dirty tracking of accel/tcg, on a toy guest over the real memory model. */
#include "cputlb.h"

#include "system/runstate.h"

/* --- dirty tracking --- */

static void test_first_store_marks(void)
{
    start_log();
    store_once(CODE_AT, DATA_AT, 7);
    g_assert_cmpuint(word_at(DATA_AT), ==, 7);
    g_assert_true(migration_dirty(DATA_AT));
    g_assert_false(migration_dirty(DATA_AT + TARGET_PAGE_SIZE));
    stop_log();
}

static void test_second_store_fast(void)
{
    uint64_t slow;

    start_log();
    store_once(CODE_AT, DATA_AT, 1);
    slow = stats(0)->slow_stores;
    store_once(CODE_AT, DATA_AT + 8, 2);
    g_assert_cmpuint(stats(0)->slow_stores, ==, slow);
    g_assert_cmpuint(word_at(DATA_AT + 8), ==, 2);
    stop_log();
}

/* D4: at the true ram_addr_t, in a block whose offset is not 0. */
static void test_rearm_marks_again(void)
{
    g_assert_cmpuint(ram_addr(0), >, 0);
    start_log();
    store_once(CODE_AT, DATA_AT, 1);
    g_assert_cmpuint(take_dirty(DATA_AT, NULL), ==, 1);
    g_assert_false(migration_dirty(DATA_AT));
    store_once(CODE_AT, DATA_AT, 2);
    g_assert_true(migration_dirty(DATA_AT));
    stop_log();
}

/* D4: the destination bitmap already had the page, so the take gains nothing, but it re-arms all the same. */
static void test_rearm_when_pending(void)
{
    g_autofree unsigned long *dest = bitmap_new(RAM_SIZE / TARGET_PAGE_SIZE);

    start_log();
    store_once(CODE_AT, DATA_AT, 1);
    set_bit(DATA_AT / TARGET_PAGE_SIZE, dest);
    g_assert_cmpuint(take_dirty(DATA_AT, dest), ==, 0);
    store_once(CODE_AT, DATA_AT, 2);
    g_assert_true(migration_dirty(DATA_AT));
    stop_log();
}

static void test_atomic_marks(void)
{
    const uint32_t program[] = {insn(AMOADD, 1, 2, 0), insn(HALT, 0, 0, 0)};

    start_log();
    put_code(CODE_AT, program, sizeof(program));
    *(uint64_t *)(host + DATA_AT) = 40;
    *var(0, 1) = 2;
    *var(0, 2) = RAM_BASE + DATA_AT;
    run(cpu[0], CODE_AT);
    g_assert_cmpuint(word_at(DATA_AT), ==, 42);
    g_assert_cmpuint(*var(0, 1), ==, 40);
    g_assert_true(migration_dirty(DATA_AT));
    stop_log();
}

static void test_crossing_marks_both(void)
{
    start_log();
    store_once(CODE_AT, DATA_AT + TARGET_PAGE_SIZE - 4, UINT64_C(0x1122334455667788));
    g_assert_true(migration_dirty(DATA_AT));
    g_assert_true(migration_dirty(DATA_AT + TARGET_PAGE_SIZE));
    g_assert_cmphex(*(uint32_t *)(host + DATA_AT + TARGET_PAGE_SIZE - 4), ==, 0x55667788);
    g_assert_cmphex(*(uint32_t *)(host + DATA_AT + TARGET_PAGE_SIZE), ==, 0x11223344);
    stop_log();
}

/* --- stores foreseen --- */

static void test_foreseen(void)
{
    uint64_t slow;

    tlb_flush(cpu[0]->env);
    load_and_store(DATA_AT);
    load(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE);
    slow = stats(0)->slow_stores;
    store(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE, 5);
    g_assert_cmpuint(stats(0)->slow_stores, ==, slow);
    g_assert_cmpuint(word_at(DATA_AT + TARGET_PAGE_SIZE), ==, 5);
}

static void test_foreseen_loads_alone(void)
{
    uint64_t ahead = stats(0)->stores_ahead;

    tlb_flush(cpu[0]->env);
    ((TcgCpu *)cpu[0]->accel)->tlb.foreseen = 0;
    load(RAM_BASE + DATA_AT);
    load(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE);
    g_assert_cmpuint(stats(0)->stores_ahead, ==, ahead);
}

static void test_foreseen_read_only(void)
{
    uint64_t walks;

    tlb_flush(cpu[0]->env);
    load_and_store(DATA_AT);
    read_only = true;
    load(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE);
    walks = stats(0)->walks;
    store(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE, 6); /* asks the guest */
    g_assert_cmpuint(stats(0)->walks, ==, walks + 1);
    read_only = false;
    tlb_flush(cpu[0]->env);
}

static void test_foreseen_marks(void)
{
    start_log();
    tlb_flush(cpu[0]->env);
    store(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE, 1);
    tlb_flush(cpu[0]->env);
    load_and_store(DATA_AT);
    take_dirty(DATA_AT + TARGET_PAGE_SIZE, NULL);
    load(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE);
    store(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE, 7);
    g_assert_true(migration_dirty(DATA_AT + TARGET_PAGE_SIZE));
    stop_log();
}

/* D4 for the entry that a load brought. */
static void test_foreseen_rearm(void)
{
    start_log();
    tlb_flush(cpu[0]->env);
    store(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE, 1);
    tlb_flush(cpu[0]->env);
    load_and_store(DATA_AT);
    load(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE);
    take_dirty(DATA_AT + TARGET_PAGE_SIZE, NULL);
    store(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE, 8);
    g_assert_true(migration_dirty(DATA_AT + TARGET_PAGE_SIZE));
    stop_log();
}

/* --- devices, topology --- */

static void test_device(void)
{
    const uint32_t program[] = {insn(LD, 3, 2, 0), insn(HALT, 0, 0, 0)};
    unsigned reads = dev_reads;

    put_code(CODE_AT, program, sizeof(program));
    *var(0, 2) = DEV_BASE;
    run(cpu[0], CODE_AT);
    g_assert_cmpuint(dev_reads, ==, reads + 1);
    g_assert_cmpuint(*var(0, 3), ==, 0x55);
}

static void test_topology(void)
{
    fill_pages();
    g_assert_cmpuint(load(RAM_BASE + 3 * TARGET_PAGE_SIZE), ==, 3);
    bql_lock();
    memory_region_del_subregion(get_system_memory(), &ram);
    memory_region_add_subregion(get_system_memory(), RAM_BASE - TARGET_PAGE_SIZE, &ram);
    bql_unlock();
    run(cpu[0], 0); /* page 0 of the new place holds page 1's bytes: anything that halts */
    g_assert_cmpuint(load(RAM_BASE + 3 * TARGET_PAGE_SIZE), ==, 4);
    bql_lock();
    memory_region_del_subregion(get_system_memory(), &ram);
    memory_region_add_subregion(get_system_memory(), RAM_BASE, &ram);
    bql_unlock();
    run(cpu[0], 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    make_machine();
    g_test_add_func("/cputlb/store/first-marks", test_first_store_marks);
    g_test_add_func("/cputlb/store/second-is-fast", test_second_store_fast);
    g_test_add_func("/cputlb/store/crossing-marks-both-pages", test_crossing_marks_both);
    g_test_add_func("/cputlb/atomic/marks", test_atomic_marks);
    g_test_add_func("/cputlb/rearm/D4-next-store-marks-at-true-ram-addr", test_rearm_marks_again);
    g_test_add_func("/cputlb/rearm/D4-also-when-page-was-pending", test_rearm_when_pending);
    g_test_add_func("/cputlb/foreseen/store-after-load-is-fast", test_foreseen);
    g_test_add_func("/cputlb/foreseen/not-where-only-loads-come", test_foreseen_loads_alone);
    g_test_add_func("/cputlb/foreseen/not-without-permission", test_foreseen_read_only);
    g_test_add_func("/cputlb/foreseen/not-where-somebody-waits", test_foreseen_marks);
    g_test_add_func("/cputlb/foreseen/D4-rearm-empties", test_foreseen_rearm);
    g_test_add_func("/cputlb/device/runs-quiescent-under-the-big-lock", test_device);
    g_test_add_func("/cputlb/topology/change-is-seen", test_topology);
    add_code_tests();
    add_flush_tests();
    add_gate_tests();
    add_refill_tests();
    add_slot_tests();
    add_storm_tests();
    return g_test_run();
}
