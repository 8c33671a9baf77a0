/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Translated code: what drops it, what leaves it alone or finds it again, and the cache that holds it. */
#include "cputlb.h"

/* --- code tracking --- */

#define CODE_TWO (CODE_AT + 0x400) /* other lines of the same page */

static uint64_t call_li(uint64_t offset)
{
    run(cpu[0], offset);
    return *var(0, 3);
}

static void put_li(uint64_t offset, int value)
{
    const uint32_t program[] = {insn(LI, 3, 0, value), insn(HALT, 0, 0, 0)};

    put_code(offset, program, sizeof(program));
}

static uint64_t li_and_halt(int value)
{
    return insn(LI, 3, 0, value) | (uint64_t)insn(HALT, 0, 0, 0) << 32;
}

static void store_elsewhere(uint64_t to, uint64_t value)
{
    store_once(CODE_AT + 0x2000, to, value);
}

static void test_store_drops_overlapping(void)
{
    uint64_t dropped, made;
    uint32_t word = insn(LI, 3, 0, 9);

    put_li(CODE_AT, 1);
    put_li(CODE_TWO, 2);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    g_assert_cmpuint(call_li(CODE_TWO), ==, 2);
    store_once(CODE_AT + 0x2000, DATA_AT, 0);
    dropped = counter("tb_invalidated");
    store_once(CODE_AT + 0x2000, CODE_AT, word | (uint64_t)insn(HALT, 0, 0, 0) << 32);
    g_assert_cmpuint(counter("tb_invalidated"), ==, dropped + 1);
    made = counter("tb_translated");
    g_assert_cmpuint(call_li(CODE_TWO), ==, 2);
    g_assert_cmpuint(counter("tb_translated"), ==, made);
    g_assert_cmpuint(call_li(CODE_AT), ==, 9);
}

static void test_store_beside_code(void)
{
    uint64_t dropped;

    put_li(CODE_AT, 1);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    store_once(CODE_AT + 0x2000, DATA_AT, 0);
    dropped = counter("tb_invalidated");
    store_once(CODE_AT + 0x2000, CODE_AT + 0x800, 5);
    g_assert_cmpuint(counter("tb_invalidated"), ==, dropped);
    g_assert_cmpuint(word_at(CODE_AT + 0x800), ==, 5);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
}

static void test_dma_drops_code(void)
{
    put_li(CODE_AT, 1);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    put_li(CODE_AT, 4);
    g_assert_cmpuint(call_li(CODE_AT), ==, 4);
}

/* tlb_protect_code(): a page that was stored to fast until now. */
static void test_fast_page_becomes_code(void)
{
    const uint64_t page = 0x6000;

    put_li(page, 1);
    store_once(CODE_AT + 0x2000, page + 0x800, 5);
    g_assert_cmpuint(call_li(page), ==, 1);
    store_once(CODE_AT + 0x2000, page, insn(LI, 3, 0, 6) | (uint64_t)insn(HALT, 0, 0, 0) << 32);
    g_assert_cmpuint(call_li(page), ==, 6);
}

static void test_busy_page_opens(void)
{
    const uint32_t loop[] = {insn(ST, 1, 2, 0), insn(ADDI, 1, 1, -1), insn(BNE, 1, 0, -2),
                             insn(HALT, 0, 0, 0)};
    uint64_t slow;

    put_li(CODE_AT, 1);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    put_code(CODE_AT + 0x2000, loop, sizeof(loop));
    slow = stats(0)->notdirty_stores;
    *var(0, 1) = 100000;
    *var(0, 2) = RAM_BASE + CODE_AT + 0x800;
    run(cpu[0], CODE_AT + 0x2000);
    g_assert_cmpuint(stats(0)->notdirty_stores - slow, <, 5000);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
}

static void test_revive(void)
{
    uint64_t made, revived;

    put_li(CODE_AT, 1);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    store_elsewhere(CODE_AT, li_and_halt(2));
    g_assert_cmpuint(call_li(CODE_AT), ==, 2);
    made = counter("tb_translated");
    revived = counter("tb_revived");
    store_elsewhere(CODE_AT, li_and_halt(1));
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    store_elsewhere(CODE_AT, li_and_halt(2));
    g_assert_cmpuint(call_li(CODE_AT), ==, 2);
    g_assert_cmpuint(counter("tb_translated"), ==, made);
    g_assert_cmpuint(counter("tb_revived"), ==, revived + 2);
}

/* Jump tables and blocks that led to the block before lead to it again, and no longer once it is dropped again. */
static void test_revive_is_dropped_again(void)
{
    put_li(CODE_AT, 1);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    for (int i = 0; i < 20; i++) {
        store_elsewhere(CODE_AT, li_and_halt(i % 3 + 1));
        g_assert_cmpuint(call_li(CODE_AT), ==, i % 3 + 1);
        g_assert_cmpuint(call_li(CODE_AT), ==, i % 3 + 1);
    }
}

static void test_rewrite(void)
{
    uint64_t rewritten = counter("tb_pages_rewritten");

    for (int round = 1; round < 4; round++) {
        for (int i = 0; i < 8; i++) {
            store_elsewhere(CODE_AT + 64 * i, li_and_halt(round + i));
        }
        for (int i = 0; i < 8; i++) {
            g_assert_cmpuint(call_li(CODE_AT + 64 * i), ==, round + i);
        }
    }
    g_assert_cmpuint(counter("tb_pages_rewritten"), ==, rewritten + 2);
}

static void test_code_store(void)
{
    uint64_t remembered;

    put_li(CODE_AT, 1);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    store_elsewhere(CODE_AT + 0x800, 5);
    remembered = stats(0)->code_stores;
    store_elsewhere(CODE_AT + 0x808, 6);
    g_assert_cmpuint(stats(0)->code_stores, ==, remembered + 1);
    g_assert_cmpuint(word_at(CODE_AT + 0x808), ==, 6);
    store_elsewhere(CODE_AT, li_and_halt(7));
    g_assert_cmpuint(call_li(CODE_AT), ==, 7);
}

/* D4, of a page that the vCPU remembers. */
static void test_code_store_rearm(void)
{
    put_li(CODE_AT, 1);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    start_log();
    store_elsewhere(CODE_AT + 0x800, 5);
    store_elsewhere(CODE_AT + 0x800, 6);
    g_assert_cmpuint(take_dirty(CODE_AT, NULL), ==, 1);
    store_elsewhere(CODE_AT + 0x800, 7);
    g_assert_true(migration_dirty(CODE_AT));
    stop_log();
}

/* --- the code cache --- */

/* Makes segments smaller, or as large as they were. */
static void shrink_cache(TcgCpu *tc, size_t size)
{
    tb_drop_all();
    for (unsigned n = 0; n < tc->n_segments; n++) {
        tc->segments[n].end = tc->segments[n].start + size;
    }
    tc->code.limit = tc->segments[0].end;
}

#define MANY_BLOCKS 4000

static uint64_t nth_block(int i)
{
    return 0x10000 + 16 * i;
}

static void test_evict(void)
{
    TcgCpu *tc = cpu[0]->accel;
    size_t size = tc->segments[0].end - tc->segments[0].start;
    uint64_t evicted = counter("tb_segments_evicted"), flushed = counter("tb_flushes"), made;

    shrink_cache(tc, 32 << 10);
    flushed++;
    for (int i = 0; i < MANY_BLOCKS; i++) {
        put_li(nth_block(i), i & 63);
        g_assert_cmpuint(call_li(nth_block(i)), ==, i & 63);
    }
    g_assert_cmpuint(counter("tb_segments_evicted"), >, evicted);
    g_assert_cmpuint(counter("tb_flushes"), ==, flushed);

    /* what was made last is still there, what was made first is made again */
    made = counter("tb_translated");
    for (int i = MANY_BLOCKS - 50; i < MANY_BLOCKS; i++) {
        g_assert_cmpuint(call_li(nth_block(i)), ==, i & 63);
    }
    g_assert_cmpuint(counter("tb_translated"), ==, made);
    for (int i = 0; i < 50; i++) {
        g_assert_cmpuint(call_li(nth_block(i)), ==, i & 63);
    }
    g_assert_cmpuint(counter("tb_translated"), ==, made + 50);
    shrink_cache(tc, size);
}

static void test_flush_all(void)
{
    put_li(CODE_AT, 1);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    tb_drop_all();
    g_assert_cmpuint(tb_count(), ==, 0);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
}

void add_code_tests(void)
{
    g_test_add_func("/cputlb/code/store-drops-only-overlapping", test_store_drops_overlapping);
    g_test_add_func("/cputlb/code/store-beside-code-drops-nothing", test_store_beside_code);
    g_test_add_func("/cputlb/code/dma-drops", test_dma_drops_code);
    g_test_add_func("/cputlb/code/fast-page-becomes-code", test_fast_page_becomes_code);
    g_test_add_func("/cputlb/code/busy-page-becomes-fast-again", test_busy_page_opens);
    g_test_add_func("/cputlb/code/same-bytes-revive-the-block", test_revive);
    g_test_add_func("/cputlb/code/revived-block-is-dropped-again", test_revive_is_dropped_again);
    g_test_add_func("/cputlb/code/page-written-anew-goes-at-once", test_rewrite);
    g_test_add_func("/cputlb/code/page-is-remembered-for-stores-beside-code", test_code_store);
    g_test_add_func("/cputlb/code/D4-remembered-page-marks-again", test_code_store_rearm);
    g_test_add_func("/cputlb/code/flush-all", test_flush_all);
    g_test_add_func("/cputlb/code/full-cache-loses-its-oldest-segment", test_evict);
}
