/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine behind the virtio tests, and the driver in it. */
#include "virtio-driver.h"

#include <glib/gstdio.h>

#include "backend/block.h"

MemoryRegion ram;

static hwaddr next_slot = 0x10001000;

uint8_t *host(hwaddr addr)
{
    return (uint8_t *)memory_region_get_ram_ptr(&ram) + (addr - RAM_BASE);
}

void machine_setup(void)
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

uint32_t reg(const Slot *s, unsigned offset)
{
    uint64_t value = 0;

    g_assert_cmpint(address_space_load(&address_space_memory, s->base + offset, 4, &value), ==, MEMTX_OK);
    return value;
}

void set_reg(const Slot *s, unsigned offset, uint32_t value)
{
    g_assert_cmpint(address_space_store(&address_space_memory, s->base + offset, 4, value), ==, MEMTX_OK);
}

static void irq_changed(void *opaque, int n, int level)
{
    ((Slot *)opaque)->level = level;
}

Slot *slot_new(bool legacy)
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

Slot *slot_with(bool legacy, const char *text)
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

void driver_begin(Slot *s, uint64_t without)
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

void driver_ready(Slot *s)
{
    set_reg(s, 0x70, reg(s, 0x70) | VIRTIO_STATUS_DRIVER_OK);
}

Ring ring_setup(Slot *s, unsigned index, hwaddr at)
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

void put_desc(hwaddr table, unsigned i, hwaddr addr, uint32_t len, uint16_t flags, uint16_t next)
{
    uint8_t *d = host(table + i * 16);

    stq_le_p(d, addr);
    stl_le_p(d + 8, len);
    stw_le_p(d + 12, flags);
    stw_le_p(d + 14, next);
}

void offer(Ring *r, uint16_t head)
{
    stw_le_p(host(r->avail + 4 + 2 * (r->next % RING_SIZE)), head);
    r->next++;
    __atomic_store_n((uint16_t *)host(r->avail + 2), r->next,
                     __ATOMIC_RELEASE); /* partner: the device's acquire */
}

void kick(Ring *r)
{
    set_reg(r->slot, 0x50, r->index);
}

uint16_t used_index(const Ring *r)
{
    return __atomic_load_n((uint16_t *)host(r->used + 2), __ATOMIC_ACQUIRE);
}

uint32_t wait_used(Ring *r)
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

void settle(void)
{
    while (event_loop_run_once(event_loop_main(), false)) {
    }
}

/* --- disks --- */

static char *make_image(void)
{
    static char *dir;
    static unsigned n;
    char *path;
    g_autofree char *bytes = g_malloc(1 << 20);

    for (unsigned i = 0; i < 1 << 20; i++) {
        bytes[i] = i / 512;
    }
    dir = dir ? dir : g_dir_make_tmp("test-virtio-XXXXXX", NULL);
    path = g_strdup_printf("%s/image%u", dir, n++);
    g_assert_true(g_file_set_contents(path, bytes, 1 << 20, NULL));
    return path;
}

Slot *disk_with(bool legacy, const char *more)
{
    static unsigned n;
    g_autofree char *path = make_image();
    g_autofree char *drive = g_strdup_printf("file=%s,format=raw,if=none,id=d%u", path, n);
    g_autofree char *device = g_strdup_printf("virtio-blk-device,drive=d%u%s", n++, more);
    GError *error = NULL;

    drive_new_from_options(drive, &error);
    g_assert_no_error(error);
    return slot_with(legacy, device);
}

void put_request(hwaddr table, uint32_t type, uint64_t sector, uint32_t len, bool device_writes)
{
    stl_le_p(host(DATA), type);
    stl_le_p(host(DATA + 4), 0);
    stq_le_p(host(DATA + 8), sector);
    *host(DATA + 16) = 0xff;
    put_desc(table, 0, DATA, 16, NEXT, 1);
    put_desc(table, 1, DATA + 4096, len, NEXT | (device_writes ? WRITE : 0), 2);
    put_desc(table, 2, DATA + 16, 1, WRITE, 0);
}

uint8_t do_request(Ring *r, uint32_t type, uint64_t sector, uint32_t len, bool device_writes)
{
    put_request(r->desc, type, sector, len, device_writes);
    offer(r, 0);
    kick(r);
    wait_used(r);
    return *host(DATA + 16);
}

Ring fresh_disk(Slot **slot)
{
    Slot *s = disk_with(MODERN, ",serial=abc");
    Ring r;

    driver_begin(s, 0);
    r = ring_setup(s, 0, RINGS);
    driver_ready(s);
    *slot = s;
    return r;
}
