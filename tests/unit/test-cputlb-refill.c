/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The short way from a miss to the second level, and D4 against entries for stores that are filled without a lock. */
#include "accel/tcg/tlb-internal.h"
#include "cputlb.h"

#include "tcg/ir.h"

static TcgCpu *vcpu(void)
{
    return cpu[0]->accel;
}

/* --- D4: a take at each moment of a refill --- */

static bool has_write_entry(uint64_t offset)
{
    vaddr addr = RAM_BASE + offset;

    return vcpu()->env->tlb_write[0][tlb_index(addr)].tag == addr;
}

/* A page whose bits are set, without an entry for stores. */
static PageAccess find_dirty_page(void)
{
    PageAccess pa;

    start_log();
    store(RAM_BASE + DATA_AT, 1);
    tlb_flush(cpu[0]->env);
    current_cpu = cpu[0];
    g_assert_true(tlb_lookup(vcpu(), RAM_BASE + DATA_AT, 8, MMU_DATA_STORE, 0, true, &pa));
    current_cpu = NULL;
    tlb_refresh_window(&vcpu()->tlb, pa.window);
    return pa;
}

static void test_undisturbed(void)
{
    PageAccess pa = find_dirty_page();

    tlb_put_write(vcpu(), RAM_BASE + DATA_AT, 0, &pa);
    g_assert_true(tlb_keep_write(vcpu(), RAM_BASE + DATA_AT, 0, &pa));
    g_assert_true(has_write_entry(DATA_AT));
    stop_log();
}

static void test_take_before_fill(void)
{
    PageAccess pa = find_dirty_page();

    take_dirty(DATA_AT, NULL);
    tlb_put_write(vcpu(), RAM_BASE + DATA_AT, 0, &pa);
    g_assert_false(tlb_keep_write(vcpu(), RAM_BASE + DATA_AT, 0, &pa));
    g_assert_false(has_write_entry(DATA_AT));
    stop_log();
}

static void test_take_before_look(void)
{
    PageAccess pa = find_dirty_page();

    tlb_put_write(vcpu(), RAM_BASE + DATA_AT, 0, &pa);
    take_dirty(DATA_AT, NULL);
    g_assert_false(tlb_keep_write(vcpu(), RAM_BASE + DATA_AT, 0, &pa));
    g_assert_false(has_write_entry(DATA_AT));
    stop_log();
}

static void test_take_after_look(void)
{
    PageAccess pa = find_dirty_page();

    tlb_put_write(vcpu(), RAM_BASE + DATA_AT, 0, &pa);
    g_assert_true(tlb_keep_write(vcpu(), RAM_BASE + DATA_AT, 0, &pa));
    take_dirty(DATA_AT, NULL);
    g_assert_false(has_write_entry(DATA_AT));
    stop_log();
}

/* Whoever begins to wait clears no bit that was set, but counts a rearm. */
static void test_log_before_look(void)
{
    PageAccess pa;

    store(RAM_BASE + DATA_AT, 1);
    current_cpu = cpu[0];
    g_assert_true(tlb_lookup(vcpu(), RAM_BASE + DATA_AT, 8, MMU_DATA_STORE, 0, true, &pa));
    current_cpu = NULL;
    tlb_refresh_window(&vcpu()->tlb, pa.window);
    tlb_put_write(vcpu(), RAM_BASE + DATA_AT, 0, &pa);
    start_log();
    g_assert_false(tlb_keep_write(vcpu(), RAM_BASE + DATA_AT, 0, &pa));
    stop_log();
}

/* What the window remembers of clients must not outlive the last of them. */
static void test_fast_again_after_log(void)
{
    uint64_t slow;

    start_log();
    store(RAM_BASE + DATA_AT, 1);
    take_dirty(DATA_AT, NULL);
    stop_log();
    store(RAM_BASE + DATA_AT, 2);
    slow = stats(0)->slow_stores;
    store(RAM_BASE + DATA_AT, 3);
    g_assert_cmpuint(stats(0)->slow_stores, ==, slow);
}

/* --- the short way --- */

static TCGFastLoad fast_load(vaddr addr, uint32_t mop)
{
    TCGFastLoad got;

    current_cpu = cpu[0];
    got = tcg_load_fast(cpu[0]->env, addr, mop);
    current_cpu = NULL;
    return got;
}

static bool fast_store(vaddr addr, uint64_t value, uint32_t mop)
{
    bool done;

    current_cpu = cpu[0];
    done = tcg_store_fast(cpu[0]->env, addr, value, mop);
    current_cpu = NULL;
    return done;
}

static void test_fast_load(void)
{
    const uint64_t value = UINT64_C(0x8877665544332281);

    *(uint64_t *)(host + DATA_AT) = value;
    load(RAM_BASE + DATA_AT);
    g_assert_cmphex(fast_load(RAM_BASE + DATA_AT, 3).value, ==, value);
    g_assert_cmphex(fast_load(RAM_BASE + DATA_AT, 2).value, ==, UINT64_C(0x44332281));
    g_assert_cmphex(fast_load(RAM_BASE + DATA_AT, IR_MEM_SIGN).value, ==, UINT64_C(0xffffffffffffff81));
    g_assert_cmphex(fast_load(RAM_BASE + DATA_AT, 2 | IR_MEM_FP_BOX).value, ==, UINT64_C(0xffffffff44332281));
    g_assert_cmphex(fast_load(RAM_BASE + DATA_AT, 3 | 0xabcd0000).value, ==, value);
}

static void test_fast_store(void)
{
    store(RAM_BASE + DATA_AT, 0);
    g_assert_true(fast_store(RAM_BASE + DATA_AT + 2, 0xabcd1234, 1));
    g_assert_cmphex(word_at(DATA_AT), ==, 0x12340000);
    g_assert_true(has_write_entry(DATA_AT));
}

static void test_fast_unknown_page(void)
{
    tlb_flush(cpu[0]->env);
    g_assert_false(fast_load(RAM_BASE + DATA_AT, 3).done);
    g_assert_false(fast_store(RAM_BASE + DATA_AT, 1, 3));
}

static void test_fast_misaligned(void)
{
    load(RAM_BASE + DATA_AT);
    g_assert_false(fast_load(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE - 4, 3).done);
    g_assert_false(fast_store(RAM_BASE + DATA_AT + 1, 1, 3));
}

static void test_fast_device(void)
{
    unsigned reads = dev_reads;

    load(DEV_BASE);
    g_assert_false(fast_load(DEV_BASE, 3).done);
    g_assert_cmpuint(dev_reads, ==, reads + 1);
}

static void test_fast_read_only(void)
{
    tlb_flush(cpu[0]->env);
    read_only = true;
    load(RAM_BASE + DATA_AT);
    read_only = false;
    g_assert_true(fast_load(RAM_BASE + DATA_AT, 3).done);
    g_assert_false(fast_store(RAM_BASE + DATA_AT, 1, 3));
    tlb_flush(cpu[0]->env);
}

static void test_fast_waited_for(void)
{
    uint64_t before;

    start_log();
    load(RAM_BASE + DATA_AT);
    before = word_at(DATA_AT);
    g_assert_false(fast_store(RAM_BASE + DATA_AT, before + 1, 3));
    g_assert_cmpuint(word_at(DATA_AT), ==, before);
    g_assert_false(has_write_entry(DATA_AT));
    stop_log();
}

/* --- contexts of the second level --- */

/* Each flush uses one up; a number that comes up again must not bring old leaves along. */
static void test_contexts_come_again(void)
{
    uint64_t walks;

    fill_pages();
    set_asid(1);
    for (unsigned i = 0; i < TLB2_CONTEXTS + 10; i++) {
        tlb_flush_asid(cpu[0]->env, 1);
        walks = stats(0)->walks;
        g_assert_cmpuint(load(WINDOW + i % 32 * TARGET_PAGE_SIZE), ==, i % 32 + 1);
        g_assert_cmpuint(stats(0)->walks, ==, walks + 1);
    }
}

/* The first level keeps its entries when that happens, so a flush must still reach all of a large leaf. */
static void test_contexts_keep_reach(void)
{
    uint64_t walks;

    tlb_flush(cpu[0]->env);
    set_asid(1);
    load(LARGE);
    vcpu()->tlb.last_context = TLB2_CONTEXTS - 1;
    load(RAM_BASE);
    load(WINDOW);
    g_assert_cmpuint(vcpu()->tlb.last_context, <, 3); /* it did happen */
    tlb_flush_page(cpu[0]->env, LARGE + TARGET_PAGE_SIZE);
    walks = stats(0)->walks;
    load(LARGE);
    g_assert_cmpuint(stats(0)->walks, ==, walks + 1);
}

/* Two address spaces whose contexts share a place. */
static void test_contexts_collide(void)
{
    fill_pages();
    tlb_flush(cpu[0]->env);
    for (unsigned i = 0; i < 4; i++) {
        set_asid(i & 1 ? 2 : 2 + TLB2_ASIDS);
        g_assert_cmpuint(load(i & 1 ? WINDOW : RAM_BASE), ==, i & 1 ? 2 : 0);
    }
    tlb_flush_asid(cpu[0]->env, 2);
    g_assert_cmpuint(load(WINDOW), ==, 2);
    set_asid(1);
}

void add_refill_tests(void)
{
    g_test_add_func("/cputlb/refill/entry-for-stores-is-kept", test_undisturbed);
    g_test_add_func("/cputlb/refill/D4-take-before-filling", test_take_before_fill);
    g_test_add_func("/cputlb/refill/D4-take-between-filling-and-looking", test_take_before_look);
    g_test_add_func("/cputlb/refill/D4-take-after-looking", test_take_after_look);
    g_test_add_func("/cputlb/refill/D4-client-that-begins-before-looking", test_log_before_look);
    g_test_add_func("/cputlb/refill/fast-again-when-the-client-is-gone", test_fast_again_after_log);
    g_test_add_func("/cputlb/refill/short-load-extends", test_fast_load);
    g_test_add_func("/cputlb/refill/short-store-stores", test_fast_store);
    g_test_add_func("/cputlb/refill/short-way-not-to-unknown-pages", test_fast_unknown_page);
    g_test_add_func("/cputlb/refill/short-way-not-when-misaligned", test_fast_misaligned);
    g_test_add_func("/cputlb/refill/short-way-not-to-devices", test_fast_device);
    g_test_add_func("/cputlb/refill/short-way-not-without-permission", test_fast_read_only);
    g_test_add_func("/cputlb/refill/short-way-not-where-somebody-waits", test_fast_waited_for);
    g_test_add_func("/cputlb/contexts/come-again-empty", test_contexts_come_again);
    g_test_add_func("/cputlb/contexts/flush-of-large-leaf-after-wrap", test_contexts_keep_reach);
    g_test_add_func("/cputlb/contexts/collide-harmlessly", test_contexts_collide);
}
