/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's virtio driver in small, for unit tests: it speaks to the registers of a slot and keeps its rings
 * in RAM. */
#ifndef TESTS_VIRTIO_DRIVER_H
#define TESTS_VIRTIO_DRIVER_H

#include <string.h>

#include "api/field.h"
#include "hw/virtio.h"
#include "system/runstate.h"
#include "util/bswap.h"

#define RAM_BASE  UINT64_C(0x80000000)
#define RAM_BYTES (UINT64_C(16) << 20)
#define RING_SIZE 16

enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

typedef struct Slot {
    Device *dev;
    hwaddr base;
    IRQ irq;
    int level;
    Device *child;
} Slot;

typedef struct Ring {
    Slot *slot;
    unsigned index;
    hwaddr desc, avail, used;
    uint16_t next, seen; /* what we offered, what we took back */
} Ring;

static MemoryRegion ram;
static hwaddr next_slot = 0x10001000;

static uint8_t *host(hwaddr addr)
{
    return (uint8_t *)memory_region_get_ram_ptr(&ram) + (addr - RAM_BASE);
}

static void machine_setup(void)
{
    GError *error = NULL;

    bql_init();
    event_loop_main();
    bql_lock();
    memory_init();
    g_assert_true(memory_region_init_ram(&ram, NULL, "ram", RAM_BYTES, &error));
    memory_region_add_subregion(get_system_memory(), RAM_BASE, &ram);
    vm_start();
    g_assert_true(runstate_is_running());
}

static uint32_t reg(const Slot *s, unsigned offset)
{
    uint64_t value = 0;

    g_assert_cmpint(address_space_load(&address_space_memory, s->base + offset, 4, &value), ==, MEMTX_OK);
    return value;
}

static void set_reg(const Slot *s, unsigned offset, uint32_t value)
{
    g_assert_cmpint(address_space_store(&address_space_memory, s->base + offset, 4, value), ==, MEMTX_OK);
}

static void irq_changed(void *opaque, int n, int level)
{
    ((Slot *)opaque)->level = level;
}

static Slot *slot_new(bool legacy)
{
    Slot *s = g_new0(Slot, 1);
    GError *error = NULL;

    s->base = next_slot;
    next_slot += 0x1000;
    s->dev = device_new(device_type_find("virtio-mmio"), NULL, NULL);
    g_assert_true(device_set(s->dev, "force-legacy", legacy ? "on" : "off", &error));
    s->irq = (IRQ){.handler = irq_changed, .opaque = s};
    device_connect_irq(s->dev, NULL, 0, &s->irq);
    memory_region_add_subregion(get_system_memory(), s->base, device_mmio_region(s->dev, 0));
    g_assert_true(device_realize(s->dev, NULL, &error));
    return s;
}

/* A slot with a device in it, as after "-device TEXT". */
static Slot *slot_with(bool legacy, const char *text)
{
    Slot *s = slot_new(legacy);
    Bus *bus = s->dev->buses->pdata[0];
    g_autofree char *full = g_strdup_printf("%s,bus=%s", text, bus->name);
    g_autoptr(GPtrArray) pairs = options_split(full, "driver", NULL);
    GError *error = NULL;

    s->child = device_add_from_options(pairs, &error);
    g_assert_no_error(error);
    device_cold_reset(s->child);
    return s;
}

/* Up to DRIVER_OK with all features that are offered, but for those in @without. */
static void driver_begin(Slot *s, uint64_t without)
{
    bool legacy = reg(s, 4) == 1;

    if (legacy) {
        set_reg(s, 0x28, 4096); /* drivers do that before they reset the device */
    }
    set_reg(s, 0x70, 0);
    set_reg(s, 0x70, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    for (unsigned i = 0; i < 2; i++) {
        set_reg(s, 0x14, i);
        set_reg(s, 0x24, i);
        set_reg(s, 0x20, reg(s, 0x10) & ~(uint32_t)(without >> (32 * i)));
    }
    if (!legacy) {
        set_reg(s, 0x70, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
        g_assert_cmpuint(reg(s, 0x70) & VIRTIO_STATUS_FEATURES_OK, !=, 0);
    }
}

static void driver_ready(Slot *s)
{
    set_reg(s, 0x70, reg(s, 0x70) | VIRTIO_STATUS_DRIVER_OK);
}

/* The rings of queue @index live at @at (three pages). */
static Ring ring_setup(Slot *s, unsigned index, hwaddr at)
{
    Ring r = {.slot = s, .index = index, .desc = at};

    memset(host(at), 0, 3 * 4096);
    set_reg(s, 0x30, index);
    set_reg(s, 0x38, RING_SIZE);
    r.avail = at + RING_SIZE * 16;
    r.used = at + 4096;
    if (reg(s, 4) == 1) {
        set_reg(s, 0x3c, 4096);
        set_reg(s, 0x40, at >> 12);
        return r;
    }
    set_reg(s, 0x80, r.desc);
    set_reg(s, 0x84, r.desc >> 32);
    set_reg(s, 0x90, r.avail);
    set_reg(s, 0x94, r.avail >> 32);
    set_reg(s, 0xa0, r.used);
    set_reg(s, 0xa4, r.used >> 32);
    set_reg(s, 0x44, 1);
    return r;
}

static void put_desc(hwaddr table, unsigned i, hwaddr addr, uint32_t len, uint16_t flags, uint16_t next)
{
    uint8_t *d = host(table + i * 16);

    stq_le_p(d, addr);
    stl_le_p(d + 8, len);
    stw_le_p(d + 12, flags);
    stw_le_p(d + 14, next);
}

static void offer(Ring *r, uint16_t head)
{
    stw_le_p(host(r->avail + 4 + 2 * (r->next % RING_SIZE)), head);
    r->next++;
    __atomic_store_n((uint16_t *)host(r->avail + 2), r->next,
                     __ATOMIC_RELEASE); /* partner: the device's acquire */
}

static void kick(Ring *r)
{
    set_reg(r->slot, 0x50, r->index);
}

static uint16_t used_index(const Ring *r)
{
    return __atomic_load_n((uint16_t *)host(r->used + 2), __ATOMIC_ACQUIRE);
}

/* Waits for the next request to come back; returns the bytes written. */
static uint32_t wait_used(Ring *r)
{
    uint32_t len;

    while (used_index(r) == r->seen) {
        bql_unlock();
        event_loop_run_once(event_loop_main(), false);
        g_thread_yield();
        bql_lock();
    }
    len = ldl_le_p(host(r->used + 4 + 8 * (r->seen % RING_SIZE) + 4));
    r->seen++;
    return len;
}

/* Turns the main loop until nothing happens any more. */
static void settle(void)
{
    while (event_loop_run_once(event_loop_main(), false)) {
    }
}

#endif
