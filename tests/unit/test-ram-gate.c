/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gate before RAM: who passes it, with what, and what closing and opening wait for. */
#include "system/ram-gate.h"

#include <string.h>

#include "system/dma.h"
#include "system/runstate.h"
#include "util/error.h"

#define PAGE TARGET_PAGE_SIZE
#define BASE UINT64_C(0x80000000)
#define SIZE (16 * PAGE)

static MemoryRegion ram;

/* --- a keeper that remembers, and may hold whoever comes --- */

static struct {
    unsigned reads, writes;
    RAMBlock *block;
    uint64_t offset, length;
    bool broken;
    bool in_rcu;
    uint8_t at_first_write; /* the byte before the store */
    uint32_t hold, held;    /* atomics */
} seen;

static bool note(RAMBlock *block, uint64_t offset, uint64_t length)
{
    seen.block = block;
    seen.offset = offset;
    seen.length = length;
    seen.in_rcu = rcu_read_lock_held();
    atomic_store_release(&seen.held, 1);
    while (atomic_load_acquire(&seen.hold)) { /* until the test lets go */
        g_thread_yield();
    }
    return !seen.broken;
}

static bool before_read(RAMBlock *block, uint64_t offset, uint64_t length)
{
    seen.reads++;
    return note(block, offset, length);
}

static bool before_write(RAMBlock *block, uint64_t offset, uint64_t length)
{
    if (!seen.writes++) {
        seen.at_first_write = block->host[offset];
    }
    return note(block, offset, length);
}

static const RamGateOps both = {before_read, before_write};
static const RamGateOps writes_only = {.before_write = before_write};

static void with_gate(const RamGateOps *ops, void (*test)(void))
{
    memset(&seen, 0, sizeof(seen));
    g_assert_true(ram_gate_close(ops, NULL));
    test();
    ram_gate_open();
    g_assert_false(ram_gate_closed());
}

/* --- the paths --- */

static void access_all(void)
{
    uint64_t len = 8, value = 1;
    DmaMapping map;
    uint8_t buf[8];

    g_assert_cmpint(address_space_read(&address_space_memory, BASE, buf, 8), ==, MEMTX_OK);
    g_assert_cmpint(address_space_write(&address_space_memory, BASE, buf, 8), ==, MEMTX_OK);
    g_assert_cmpint(address_space_load(&address_space_memory, BASE, 4, &value), ==, MEMTX_OK);
    g_assert_cmpint(address_space_store(&address_space_memory, BASE, 4, value), ==, MEMTX_OK);
    g_assert_true(dma_map(&address_space_memory, BASE, &len, false, &map));
    dma_unmap(&map, 0);
    g_assert_true(dma_map(&address_space_memory, BASE, &len, true, &map));
    dma_unmap(&map, 8);
}

static void test_open_gate_calls_nobody(void)
{
    memset(&seen, 0, sizeof(seen));
    access_all();
    g_assert_cmpuint(seen.reads + seen.writes, ==, 0);
}

static void check_each_path(void)
{
    access_all();
    g_assert_cmpuint(seen.reads, ==, 3);
    g_assert_cmpuint(seen.writes, ==, 3);
}

static void test_each_access_passes_once(void)
{
    with_gate(&both, check_each_path);
}

static void check_reads_free(void)
{
    access_all();
    g_assert_cmpuint(seen.reads, ==, 0);
    g_assert_cmpuint(seen.writes, ==, 3);
}

static void test_no_operation_means_free(void)
{
    with_gate(&writes_only, check_reads_free);
}

static void check_place(void)
{
    uint8_t bytes[PAGE + 100] = {0};

    address_space_write(&address_space_memory, BASE + 3 * PAGE - 50, bytes, sizeof(bytes));
    g_assert_true(seen.block == ram.ram_block);
    g_assert_cmphex(seen.offset, ==, 3 * PAGE - 50);
    g_assert_cmphex(seen.length, ==, sizeof(bytes));
}

static void test_keeper_is_told_the_place(void)
{
    with_gate(&both, check_place);
}

static void check_before(void)
{
    ram.ram_block->host[0] = 0x11;
    address_space_store(&address_space_memory, BASE, 1, 0x22);
    g_assert_cmphex(seen.at_first_write, ==, 0x11);
    g_assert_cmphex(ram.ram_block->host[0], ==, 0x22);
}

static void test_keeper_sees_the_old_bytes(void)
{
    with_gate(&writes_only, check_before);
}

static void check_outside_rcu(void)
{
    seen.in_rcu = true;
    address_space_store(&address_space_memory, BASE, 8, 1);
    g_assert_false(seen.in_rcu);
    seen.in_rcu = true;
    access_all(); /* ends with dma_map() */
    g_assert_false(seen.in_rcu);
}

/* Else a grace period would wait for whatever the keeper waits for. */
static void test_waiting_is_outside_of_rcu(void)
{
    with_gate(&both, check_outside_rcu);
}

static void check_broken(void)
{
    uint64_t len = 8, value = 0;
    DmaMapping map;

    ram.ram_block->host[0] = 0x33;
    seen.broken = true;
    g_assert_cmpint(address_space_load(&address_space_memory, BASE, 4, &value), !=, MEMTX_OK);
    g_assert_cmpint(address_space_store(&address_space_memory, BASE, 4, 1), !=, MEMTX_OK);
    g_assert_false(dma_map(&address_space_memory, BASE, &len, true, &map));
    g_assert_cmphex(ram.ram_block->host[0], ==, 0x33);
}

static void test_refusal_is_a_bus_error(void)
{
    with_gate(&both, check_broken);
}

/* --- closing and opening --- */

static void check_second_keeper(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(ram_gate_close(&writes_only, &error));
    g_assert_nonnull(error);
}

static void test_one_keeper_at_a_time(void)
{
    with_gate(&both, check_second_keeper);
}

static gpointer load_once(gpointer opaque)
{
    uint64_t value;

    address_space_load(&address_space_memory, BASE, 8, &value);
    return NULL;
}

static gpointer open_gate(gpointer opaque)
{
    ram_gate_open();
    atomic_store_release((uint32_t *)opaque, 1);
    return NULL;
}

static void test_open_waits_for_who_is_inside(void)
{
    uint32_t opened = 0;
    GThread *reader, *opener;

    memset(&seen, 0, sizeof(seen));
    seen.hold = 1;
    g_assert_true(ram_gate_close(&both, NULL));
    reader = g_thread_new("reader", load_once, NULL);
    while (!atomic_load_acquire(&seen.held)) {
        g_thread_yield();
    }
    opener = g_thread_new("opener", open_gate, &opened);
    while (ram_gate_closed()) {
        g_thread_yield();
    }
    g_assert_false(atomic_load_acquire(&opened));
    atomic_store_release(&seen.hold, 0);
    g_thread_join(opener);
    g_thread_join(reader);
    g_assert_true(opened);
}

static unsigned forgets, quiesces;

static void fake_rearm(ram_addr_t start, uint64_t length)
{
}

static void fake_forget(void)
{
    g_assert_true(ram_gate_closed()); /* else a refill after it could miss the gate */
    forgets++;
}

static void fake_quiesce(void)
{
    quiesces += forgets;
}

static void fake_invalidate_code(ram_addr_t start, uint64_t length)
{
}

static void check_withdrawn(void)
{
    g_assert_cmpuint(forgets, ==, 1);
    g_assert_cmpuint(quiesces, ==, 1);
}

static void test_close_withdraws_fast_access(void)
{
    static const DirtyListenerOps accel = {fake_rearm, fake_quiesce, fake_invalidate_code, fake_forget};

    physical_memory_set_dirty_listener(&accel);
    with_gate(&both, check_withdrawn);
    physical_memory_set_dirty_listener(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bql_init();
    bql_lock();
    memory_init();
    g_assert_true(memory_region_init_ram(&ram, NULL, "ram", SIZE, NULL));
    memory_region_add_subregion(get_system_memory(), BASE, &ram);
    g_test_add_func("/ram-gate/open/calls-nobody", test_open_gate_calls_nobody);
    g_test_add_func("/ram-gate/paths/each-passes-once", test_each_access_passes_once);
    g_test_add_func("/ram-gate/paths/no-operation-is-free", test_no_operation_means_free);
    g_test_add_func("/ram-gate/paths/place", test_keeper_is_told_the_place);
    g_test_add_func("/ram-gate/paths/old-bytes", test_keeper_sees_the_old_bytes);
    g_test_add_func("/ram-gate/paths/outside-rcu", test_waiting_is_outside_of_rcu);
    g_test_add_func("/ram-gate/paths/refusal", test_refusal_is_a_bus_error);
    g_test_add_func("/ram-gate/keeper/one-at-a-time", test_one_keeper_at_a_time);
    g_test_add_func("/ram-gate/open/waits-for-who-is-inside", test_open_waits_for_who_is_inside);
    g_test_add_func("/ram-gate/close/withdraws-fast-access", test_close_withdraws_fast_access);
    return g_test_run();
}
