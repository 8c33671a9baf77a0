/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hostile rings: each breaks the device and nothing else, and a reset mends it. */
#include "virtio-driver.h"

static void expect_broken(Ring *r, Slot *s)
{
    kick(r);
    settle();
    g_assert_cmpuint(reg(s, 0x70) & VIRTIO_STATUS_NEEDS_RESET, !=, 0);
    g_assert_cmpuint(used_index(r), ==, r->seen);
    driver_begin(s, 0);
    *r = ring_setup(s, 0, RINGS);
    driver_ready(s);
    g_assert_cmpint(do_request(r, 0, 9, 512, true), ==, 0);
    g_assert_cmpint(*host(DATA + 4096), ==, 9);
    device_delete(s->child);
}

typedef void Poison(Ring *r);

static void poison_head(Ring *r)
{
    offer(r, RING_SIZE);
}

static void poison_avail_index(Ring *r)
{
    stw_le_p(host(r->avail + 2), RING_SIZE + 1);
}

static void poison_next(Ring *r)
{
    put_desc(r->desc, 0, DATA, 16, NEXT, 999);
    offer(r, 0);
}

static void poison_loop(Ring *r)
{
    put_desc(r->desc, 0, DATA, 16, NEXT, 1);
    put_desc(r->desc, 1, DATA, 16, NEXT, 0);
    offer(r, 0);
}

static void poison_nested_indirect(Ring *r)
{
    put_desc(DATA + 0x10000, 0, DATA, 16, NEXT, 1);
    put_desc(DATA + 0x10000, 1, DATA, 32, INDIRECT, 0);
    put_desc(r->desc, 0, DATA + 0x10000, 32, INDIRECT, 0);
    offer(r, 0);
}

static void poison_indirect_length(Ring *r)
{
    put_desc(r->desc, 0, DATA, 17, INDIRECT, 0);
    offer(r, 0);
}

static void poison_indirect_address(Ring *r)
{
    put_desc(r->desc, 0, RAM_BASE + RAM_BYTES - 16, 32, INDIRECT, 0);
    offer(r, 0);
}

static void poison_buffer_outside(Ring *r)
{
    put_request(r->desc, 0, 0, 512, true);
    put_desc(r->desc, 1, 0x1000, 512, NEXT | WRITE, 2);
    offer(r, 0);
}

static void poison_buffer_wraps(Ring *r)
{
    put_request(r->desc, 0, 0, 512, true);
    put_desc(r->desc, 1, UINT64_MAX - 100, 512, NEXT | WRITE, 2);
    offer(r, 0);
}

static void poison_buffer_past_ram(Ring *r)
{
    put_request(r->desc, 0, 0, 512, true);
    put_desc(r->desc, 1, RAM_BASE + RAM_BYTES - 512, 0xffffffff, NEXT | WRITE, 2);
    offer(r, 0);
}

static void poison_mmio_buffer(Ring *r)
{
    put_request(r->desc, 0, 0, 512, true);
    put_desc(r->desc, 1, r->slot->base, 0x100, NEXT | WRITE, 2);
    offer(r, 0);
}

static void poison_zero_length(Ring *r)
{
    put_request(r->desc, 0, 0, 0, true);
    offer(r, 0);
}

static void poison_order(Ring *r)
{
    put_desc(r->desc, 0, DATA, 16, NEXT | WRITE, 1);
    put_desc(r->desc, 1, DATA, 16, 0, 0);
    offer(r, 0);
}

static void poison_no_status(Ring *r)
{
    put_desc(r->desc, 0, DATA, 16, 0, 0);
    offer(r, 0);
}

static void poison_short_header(Ring *r)
{
    put_request(r->desc, 0, 0, 512, true);
    put_desc(r->desc, 0, DATA, 15, NEXT, 1);
    offer(r, 0);
}

static void poison_ring_in_mmio(Ring *r)
{
    set_reg(r->slot, 0x44, 0);
    set_reg(r->slot, 0x90, r->slot->base);
    set_reg(r->slot, 0x94, 0);
    set_reg(r->slot, 0x44, 1);
    r->avail = RINGS + 0x800;
}

static void poison_ring_past_ram(Ring *r)
{
    set_reg(r->slot, 0x44, 0);
    set_reg(r->slot, 0x80, (uint32_t)(RAM_BASE + RAM_BYTES - 32));
    set_reg(r->slot, 0x44, 1);
    offer(r, 0);
}

static void test_hostile(gconstpointer poison)
{
    Slot *s;
    Ring r = fresh_disk(&s);

    ((Poison *)poison)(&r);
    expect_broken(&r, s);
}

/* Random rings, registers and kicks: nothing happens to us. */
static void test_random(void)
{
    const char *devices[] = {"virtio-rng-device", "virtio-net-device", "virtio-serial-device"};
    GRand *rand = g_rand_new_with_seed(20251);
    Slot *slots[8];
    unsigned n = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(devices); i++) {
        slots[n++] = slot_with(MODERN, devices[i]);
        slots[n++] = slot_with(LEGACY, devices[i]);
    }
    slots[n++] = disk_with(MODERN, ",num-queues=3");
    slots[n++] = disk_with(LEGACY, "");
    for (unsigned round = 0; round < 3000; round++) {
        Slot *s = slots[g_rand_int_range(rand, 0, n)];
        unsigned queue = g_rand_int_range(rand, 0, 4);
        Ring r;

        if (g_rand_int_range(rand, 0, 4) == 0) {
            driver_begin(s, g_rand_int(rand) & ~1u);
        }
        r = ring_setup(s, queue, RINGS + queue * 0x4000);
        for (unsigned i = 0; i < RING_SIZE; i++) {
            put_desc(r.desc, i, DATA + g_rand_int_range(rand, 0, 1 << 18), g_rand_int_range(rand, 0, 5000),
                     g_rand_int_range(rand, 0, 8), g_rand_int_range(rand, 0, RING_SIZE + 1));
            stl_le_p(host(DATA + 4 * g_rand_int_range(rand, 0, 1 << 16)), g_rand_int_range(rand, 0, 16));
        }
        for (unsigned i = 0; i < 8; i++) {
            offer(&r, g_rand_int_range(rand, 0, RING_SIZE));
        }
        driver_ready(s);
        kick(&r);
        for (unsigned i = 0; i < 4; i++) {
            set_reg(s, g_rand_int_range(rand, 0, 0x80) * 4,
                    g_rand_int(rand) >> g_rand_int_range(rand, 0, 32));
        }
        if (round % 16 == 0) {
            settle();
        }
        if (round % 64 == 0) {
            vm_stop(RUN_STATE_PAUSED);
            vm_start();
        }
    }
    vm_stop(RUN_STATE_PAUSED);
    for (unsigned i = 0; i < n; i++) {
        device_delete(slots[i]->child);
    }
    vm_start();
    g_rand_free(rand);
}

void add_hostile_tests(void)
{
    static const struct {
        const char *name;
        Poison *poison;
    } poisons[] = {
        {"head-past-the-ring", poison_head},
        {"available-index-jumps", poison_avail_index},
        {"next-past-the-table", poison_next},
        {"looped-chain", poison_loop},
        {"indirect-in-indirect", poison_nested_indirect},
        {"indirect-table-of-odd-length", poison_indirect_length},
        {"indirect-table-outside-ram", poison_indirect_address},
        {"buffer-outside-ram", poison_buffer_outside},
        {"buffer-wraps-around", poison_buffer_wraps},
        {"buffer-goes-past-ram", poison_buffer_past_ram},
        {"buffer-in-mmio", poison_mmio_buffer},
        {"buffer-of-zero-bytes", poison_zero_length},
        {"written-before-read", poison_order},
        {"disk-request-without-status", poison_no_status},
        {"disk-request-with-short-header", poison_short_header},
        {"ring-in-mmio", poison_ring_in_mmio},
        {"ring-goes-past-ram", poison_ring_past_ram},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(poisons); i++) {
        g_autofree char *path = g_strdup_printf("/virtio/hostile-ring/%s", poisons[i].name);

        g_test_add_data_func(path, (gconstpointer)poisons[i].poison, test_hostile);
    }
    g_test_add_func("/virtio/hostile-ring/random", test_random);
}
