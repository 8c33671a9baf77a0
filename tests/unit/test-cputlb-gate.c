/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gate before RAM: each way of the soft TLB to a page passes it, once. */
#include "cputlb.h"

#include <string.h>

#include "system/ram-gate.h"

static struct {
    unsigned reads, writes;
    uint64_t read_pages, write_pages; /* sets, by number in the RAM */
    bool at_safe_points;
} gate;

static void note_gate(uint64_t offset, uint64_t *pages)
{
    *pages |= UINT64_C(1) << offset / TARGET_PAGE_SIZE;
    gate.at_safe_points &= !tcg_in_guest_code(cpu[0]->accel);
}

static bool gate_before_read(RAMBlock *block, uint64_t offset, uint64_t length)
{
    gate.reads++;
    note_gate(offset, &gate.read_pages);
    return true;
}

static bool gate_before_write(RAMBlock *block, uint64_t offset, uint64_t length)
{
    gate.writes++;
    note_gate(offset, &gate.write_pages);
    return true;
}

static const RamGateOps gate_ops = {gate_before_read, gate_before_write};

static void close_gate(void)
{
    memset(&gate, 0, sizeof(gate));
    gate.at_safe_points = true;
    g_assert_true(ram_gate_close(&gate_ops, NULL));
}

/* @op r1, [r2]; halt */
static void access_once(unsigned op, uint64_t to)
{
    const uint32_t program[] = {insn(op, 1, 2, 0), insn(HALT, 0, 0, 0)};

    put_code(CODE_AT, program, sizeof(program));
    *var(0, 2) = RAM_BASE + to;
    run(cpu[0], CODE_AT);
}

#define PAGE_BIT(offset) (UINT64_C(1) << (offset) / TARGET_PAGE_SIZE)

/* The program's own page was translated before: its bytes are fetched through the gate all the same. */
static void test_gate_fetch(void)
{
    access_once(LD, DATA_AT);
    close_gate();
    access_once(LD, DATA_AT);
    g_assert_true(gate.read_pages & PAGE_BIT(CODE_AT));
    g_assert_true(gate.at_safe_points);
    ram_gate_open();
}

static void test_gate_load_once(void)
{
    access_once(LD, DATA_AT);
    close_gate();
    access_once(LD, DATA_AT);
    g_assert_cmphex(gate.read_pages, ==, PAGE_BIT(CODE_AT) | PAGE_BIT(DATA_AT));
    g_assert_cmpuint(gate.reads, ==, 2);
    access_once(LD, DATA_AT);
    g_assert_cmpuint(gate.reads, ==, 2);
    g_assert_cmpuint(gate.writes, ==, 0);
    ram_gate_open();
}

static void test_gate_load_opens_no_store(void)
{
    access_once(ST, DATA_AT);
    access_once(LD, DATA_AT);
    close_gate();
    access_once(LD, DATA_AT);
    access_once(ST, DATA_AT);
    g_assert_true(gate.write_pages & PAGE_BIT(DATA_AT));
    g_assert_true(gate.at_safe_points);
    ram_gate_open();
}

/* Nor when stores are foreseen after loads. */
static void test_gate_load_foresees_nothing(void)
{
    tlb_flush(cpu[0]->env);
    load_and_store(DATA_AT);
    close_gate();
    access_once(LD, DATA_AT);
    g_assert_cmpuint(gate.write_pages & PAGE_BIT(DATA_AT), ==, 0);
    access_once(ST, DATA_AT);
    g_assert_true(gate.write_pages & PAGE_BIT(DATA_AT));
    ram_gate_open();
}

static void test_gate_store_once(void)
{
    uint64_t slow;

    access_once(ST, DATA_AT);
    close_gate();
    access_once(ST, DATA_AT);
    g_assert_true(gate.write_pages & PAGE_BIT(DATA_AT));
    slow = stats(0)->slow_stores;
    gate.writes = 0;
    access_once(ST, DATA_AT);
    g_assert_cmpuint(gate.writes, ==, 0);
    g_assert_cmpuint(stats(0)->slow_stores, ==, slow);
    ram_gate_open();
}

static void test_gate_atomic(void)
{
    access_once(AMOADD, DATA_AT);
    close_gate();
    access_once(AMOADD, DATA_AT);
    g_assert_true(gate.write_pages & PAGE_BIT(DATA_AT));
    ram_gate_open();
}

static void test_gate_crossing(void)
{
    access_once(ST, DATA_AT + TARGET_PAGE_SIZE - 4);
    close_gate();
    access_once(ST, DATA_AT + TARGET_PAGE_SIZE - 4);
    g_assert_cmphex(gate.write_pages & ~PAGE_BIT(CODE_AT), ==,
                    PAGE_BIT(DATA_AT) | PAGE_BIT(DATA_AT + TARGET_PAGE_SIZE));
    ram_gate_open();
}

void add_gate_tests(void)
{
    g_test_add_func("/cputlb/gate/fetch-passes", test_gate_fetch);
    g_test_add_func("/cputlb/gate/load-passes-once", test_gate_load_once);
    g_test_add_func("/cputlb/gate/load-opens-no-store", test_gate_load_opens_no_store);
    g_test_add_func("/cputlb/gate/load-foresees-no-store", test_gate_load_foresees_nothing);
    g_test_add_func("/cputlb/gate/store-passes-once", test_gate_store_once);
    g_test_add_func("/cputlb/gate/atomic-passes", test_gate_atomic);
    g_test_add_func("/cputlb/gate/crossing-passes-both-pages", test_gate_crossing);
}
