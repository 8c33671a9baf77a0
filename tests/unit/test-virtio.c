/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio: registers, queues with good and hostile rings, disks, cards, consoles, and their state. */
#include "virtio-driver.h"

#include <glib/gstdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/block.h"
#include "backend/chardev.h"
#include "backend/net.h"
#include "system/physmem.h"
#include "system/state.h"

#define RINGS (RAM_BASE + 0x100000)
#define DATA  (RAM_BASE + 0x200000)

enum { MODERN = 0, LEGACY = 1 };

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

static Slot *disk_with(bool legacy, const char *more)
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

/* Puts a request at descriptors 0..2: header, @len bytes of data, status. */
static void put_request(hwaddr table, uint32_t type, uint64_t sector, uint32_t len, bool device_writes)
{
    stl_le_p(host(DATA), type);
    stl_le_p(host(DATA + 4), 0);
    stq_le_p(host(DATA + 8), sector);
    *host(DATA + 16) = 0xff;
    put_desc(table, 0, DATA, 16, NEXT, 1);
    put_desc(table, 1, DATA + 4096, len, NEXT | (device_writes ? WRITE : 0), 2);
    put_desc(table, 2, DATA + 16, 1, WRITE, 0);
}

static uint8_t do_request(Ring *r, uint32_t type, uint64_t sector, uint32_t len, bool device_writes)
{
    put_request(r->desc, type, sector, len, device_writes);
    offer(r, 0);
    kick(r);
    wait_used(r);
    return *host(DATA + 16);
}

static void check_disk(bool legacy, const char *more, uint64_t without)
{
    Slot *s = disk_with(legacy, more);
    Ring r;

    driver_begin(s, without);
    r = ring_setup(s, 0, RINGS);
    driver_ready(s);
    g_assert_cmpint(do_request(&r, 0, 7, 1024, true), ==, 0);
    g_assert_cmpint(*host(DATA + 4096), ==, 7);
    g_assert_cmpint(*host(DATA + 4096 + 512), ==, 8);
    memset(host(DATA + 4096), 'w', 512);
    g_assert_cmpint(do_request(&r, 1, 100, 512, false), ==, 0);
    g_assert_cmpint(do_request(&r, 4, 0, 512, false), ==, 0);
    memset(host(DATA + 4096), 0, 512);
    g_assert_cmpint(do_request(&r, 0, 100, 512, true), ==, 0);
    g_assert_cmpint(*host(DATA + 4096), ==, 'w');
    settle();
    g_assert_cmpint(s->level, ==, 1);
    g_assert_cmpuint(reg(s, 0x60), ==, 1);
    set_reg(s, 0x64, 1);
    g_assert_cmpint(s->level, ==, 0);
    device_delete(s->child);
}

static void test_empty_slot(void)
{
    Slot *s = slot_new(LEGACY);

    g_assert_cmpuint(reg(s, 0), ==, 0x74726976);
    g_assert_cmpuint(reg(s, 4), ==, 1);
    g_assert_cmpuint(reg(s, 8), ==, 0);
    g_assert_cmpuint(reg(slot_new(MODERN), 4), ==, 2);
}

static void test_disk_legacy(void)
{
    check_disk(LEGACY, "", 0);
}

static void test_disk_modern(void)
{
    check_disk(MODERN, ",num-queues=2", 0);
}

static void test_disk_no_event_idx(void)
{
    check_disk(MODERN, "", VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX));
}

static void test_disk_iothread(void)
{
    static bool made;
    GError *error = NULL;

    if (!made) {
        g_autoptr(GPtrArray) none = g_ptr_array_new();

        made = object_add("iothread", "io0", none, &error);
        g_assert_no_error(error);
    }
    check_disk(MODERN, ",iothread=io0", 0);
}

static Ring fresh_disk(Slot **slot)
{
    Slot *s = disk_with(MODERN, ",serial=abc");
    Ring r;

    driver_begin(s, 0);
    r = ring_setup(s, 0, RINGS);
    driver_ready(s);
    *slot = s;
    return r;
}

static void test_disk_indirect(void)
{
    Slot *s;
    Ring r = fresh_disk(&s);

    put_request(DATA + 0x10000, 0, 3, 512, true);
    put_desc(r.desc, 5, DATA + 0x10000, 3 * 16, INDIRECT, 0);
    offer(&r, 5);
    kick(&r);
    g_assert_cmpuint(wait_used(&r), ==, 513);
    g_assert_cmpint(*host(DATA + 4096), ==, 3);
    g_assert_cmpint(*host(DATA + 16), ==, 0);
    device_delete(s->child);
}

static void test_disk_refuses(void)
{
    Slot *s;
    Ring r = fresh_disk(&s);

    g_assert_cmpint(do_request(&r, 0, 2048, 512, true), ==, 1);       /* past the end */
    g_assert_cmpint(do_request(&r, 0, UINT64_MAX, 512, true), ==, 1); /* overflow */
    g_assert_cmpint(do_request(&r, 0, UINT64_MAX / 512, 512, true), ==, 1);
    g_assert_cmpint(do_request(&r, 0, 0, 100, true), ==, 1);  /* no whole sector */
    g_assert_cmpint(do_request(&r, 99, 0, 512, true), ==, 2); /* unknown */
    g_assert_cmpint(do_request(&r, 8, 0, 20, true), ==, 0);   /* serial */
    g_assert_cmpstr((char *)host(DATA + 4096), ==, "abc");
    memset(host(DATA + 4096), 0, 16);
    stl_le_p(host(DATA + 4096 + 8), 8);
    g_assert_cmpint(do_request(&r, 13, 0, 16, false), ==, 0); /* write zeroes */
    stl_le_p(host(DATA + 4096 + 12), 2);
    g_assert_cmpint(do_request(&r, 13, 0, 16, false), ==, 2); /* unknown flag */
    stl_le_p(host(DATA + 4096 + 12), 0);
    stl_le_p(host(DATA + 4096 + 8), UINT32_MAX);
    g_assert_cmpint(do_request(&r, 11, 0, 16, false), ==, 1); /* too much to discard */
    device_delete(s->child);
}

static void test_disk_marks_dirty(void)
{
    Slot *s;
    Ring r = fresh_disk(&s);
    ram_addr_t data = memory_region_get_ram_addr(&ram) + (DATA + 4096 - RAM_BASE);
    GError *error = NULL;

    g_assert_true(memory_global_dirty_log_start(GLOBAL_DIRTY_MIGRATION, &error));
    physical_memory_test_and_clear_dirty(memory_region_get_ram_addr(&ram), RAM_BYTES, DIRTY_MEMORY_MIGRATION,
                                         NULL);
    g_assert_cmpint(do_request(&r, 0, 0, 512, true), ==, 0);
    g_assert_true(physical_memory_get_dirty_flag(data, DIRTY_MEMORY_MIGRATION));
    g_assert_true(physical_memory_get_dirty_flag(data - 4096, DIRTY_MEMORY_MIGRATION)); /* status byte */
    g_assert_false(physical_memory_get_dirty_flag(data + 4096, DIRTY_MEMORY_MIGRATION));
    memory_global_dirty_log_stop(GLOBAL_DIRTY_MIGRATION);
    device_delete(s->child);
}

static void check_stop(const char *more)
{
    Slot *s = disk_with(MODERN, more);
    Ring r;

    driver_begin(s, 0);
    r = ring_setup(s, 0, RINGS);
    driver_ready(s);
    for (unsigned i = 0; i < RING_SIZE / 4; i++) {
        put_desc(r.desc, 3 * i, DATA, 16, NEXT, 3 * i + 1);
        put_desc(r.desc, 3 * i + 1, DATA + 4096 * (i + 1), 4096, NEXT | WRITE, 3 * i + 2);
        put_desc(r.desc, 3 * i + 2, DATA + 16 + i, 1, WRITE, 0);
        offer(&r, 3 * i);
    }
    memset(host(DATA), 0, 16);
    kick(&r);
    vm_stop(RUN_STATE_PAUSED);
    /* what was taken has come back; what was not taken waits for the machine to go on */
    g_assert_cmpuint(((VirtIODevice *)s->child)->queues[0].inuse, ==, 0);
    vm_start();
    while (r.seen < RING_SIZE / 4) {
        wait_used(&r);
    }
    device_delete(s->child);
}

static void test_stop_drains(void)
{
    check_stop("");
}

static void test_stop_drains_iothread(void)
{
    check_stop(",iothread=io0");
}

/* --- hostile rings: each breaks the device, and a reset mends it --- */

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

/* --- network --- */

typedef struct Wire {
    NetClient nc;
    GString *got;
    unsigned frames;
} Wire;

static bool wire_receive(NetClient *nc, const uint8_t *frame, size_t len)
{
    Wire *w = (Wire *)nc;

    g_string_append_len(w->got, (const char *)frame, len);
    w->frames++;
    return true;
}

static const NetClientOps wire_ops = {.kind = "wire", .receive = wire_receive};

typedef struct Card {
    Wire wire;
    Slot *s;
    Ring rx, tx, ctrl;
} Card;

static Card *card_new(bool legacy)
{
    static unsigned n;
    Card *c = g_new0(Card, 1);
    g_autofree char *name = g_strdup_printf("wire%u", n++);
    g_autofree char *device = g_strdup_printf("virtio-net-device,netdev=%s,mac=52:54:00:aa:bb:cc", name);

    c->wire.got = g_string_new(NULL);
    net_client_init(&c->wire.nc, &wire_ops, name);
    c->s = slot_with(legacy, device);
    driver_begin(c->s, 0);
    c->rx = ring_setup(c->s, 0, RINGS);
    c->tx = ring_setup(c->s, 1, RINGS + 0x4000);
    c->ctrl = ring_setup(c->s, 2, RINGS + 0x8000);
    driver_ready(c->s);
    return c;
}

static void card_free(Card *c)
{
    device_delete(c->s->child);
    net_client_remove(&c->wire.nc);
    g_string_free(c->wire.got, TRUE);
    g_free(c);
}

static void test_net_send(void)
{
    Card *c = card_new(LEGACY);

    memset(host(DATA), 0, 12);
    memset(host(DATA + 4096), 'a', 100);
    put_desc(c->tx.desc, 0, DATA, 12, NEXT, 1);
    put_desc(c->tx.desc, 1, DATA + 4096, 60, NEXT, 2);
    put_desc(c->tx.desc, 2, DATA + 4096, 40, 0, 0);
    offer(&c->tx, 0);
    kick(&c->tx);
    wait_used(&c->tx);
    g_assert_cmpuint(c->wire.frames, ==, 1);
    g_assert_cmpuint(c->wire.got->len, ==, 100);
    card_free(c);
}

static void give_buffers(Card *c, unsigned n, uint32_t size)
{
    for (unsigned i = 0; i < n; i++) {
        put_desc(c->rx.desc, i, DATA + 4096 * i, size, WRITE, 0);
        offer(&c->rx, i);
    }
}

static void test_net_receive_merged(void)
{
    Card *c = card_new(MODERN);
    uint8_t frame[1500];

    memset(frame, 'f', sizeof(frame));
    give_buffers(c, 4, 600);
    net_send(&c->wire.nc, frame, sizeof(frame));
    g_assert_cmpuint(wait_used(&c->rx), ==, 600);
    g_assert_cmpuint(wait_used(&c->rx), ==, 600);
    g_assert_cmpuint(wait_used(&c->rx), ==, 1500 + 12 - 1200);
    g_assert_cmpuint(lduw_le_p(host(DATA + 10)), ==, 3);
    g_assert_cmpmem(host(DATA + 12), 588, frame, 588);
    g_assert_cmpmem(host(DATA + 4096), 600, frame, 600);
    card_free(c);
}

static void test_net_waits_for_buffers(void)
{
    Card *c = card_new(MODERN);
    uint8_t frame[64];

    memset(frame, 'f', sizeof(frame));
    net_send(&c->wire.nc, frame, sizeof(frame));
    g_assert_cmpuint(used_index(&c->rx), ==, 0);
    give_buffers(c, 1, 2048);
    kick(&c->rx);
    g_assert_cmpuint(wait_used(&c->rx), ==, 76);
    card_free(c);
}

static uint8_t control(Card *c, const void *command, size_t len)
{
    memcpy(host(DATA), command, len);
    *host(DATA + 4096) = 0xff;
    put_desc(c->ctrl.desc, 0, DATA, len, NEXT, 1);
    put_desc(c->ctrl.desc, 1, DATA + 4096, 1, WRITE, 0);
    offer(&c->ctrl, 0);
    kick(&c->ctrl);
    wait_used(&c->ctrl);
    return *host(DATA + 4096);
}

static bool gets(Card *c, const uint8_t *to)
{
    uint8_t frame[64] = {0};
    uint16_t before = used_index(&c->rx);

    memcpy(frame, to, 6);
    net_send(&c->wire.nc, frame, sizeof(frame));
    return used_index(&c->rx) != before;
}

static void test_net_filter(void)
{
    static const uint8_t own[] = {0x52, 0x54, 0, 0xaa, 0xbb, 0xcc}, other[] = {0x52, 0x54, 0, 1, 2, 3};
    static const uint8_t multi[] = {1, 0, 0x5e, 0, 0, 1}, all[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t table[] = {1, 0, 1, 0, 0, 0, 0x52, 0x54, 0, 1, 2,
                                    3, 1, 0, 0, 0, 1, 0,    0x5e, 0, 0, 1};
    static const uint8_t lie[] = {1, 0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5, 6};
    Card *c = card_new(MODERN);

    give_buffers(c, 12, 2048);
    g_assert_true(gets(c, other)); /* promiscuous until told otherwise */
    g_assert_cmpint(control(c, "\0\0\0", 3), ==, 0);
    g_assert_false(gets(c, other));
    g_assert_false(gets(c, multi));
    g_assert_true(gets(c, own));
    g_assert_true(gets(c, all));
    g_assert_cmpint(control(c, table, sizeof(table)), ==, 0);
    g_assert_true(gets(c, other));
    g_assert_true(gets(c, multi));
    g_assert_cmpint(control(c, lie, sizeof(lie)), ==, 1);
    g_assert_cmpint(control(c, "\x63\0", 2), ==, 1);
    card_free(c);
}

static void test_net_config(void)
{
    Card *c = card_new(MODERN);

    g_assert_cmphex(reg(c->s, 0x100), ==, 0xaa005452);
    g_assert_cmphex(reg(c->s, 0x104), ==, 0x0001ccbb);
    g_assert_cmphex(reg(c->s, 0x108), ==, 0xffffffff);
    card_free(c);
}

/* --- random numbers, consoles --- */

static void test_rng(void)
{
    Slot *s = slot_with(MODERN, "virtio-rng-device");
    Ring r;
    bool changed = false;

    driver_begin(s, 0);
    r = ring_setup(s, 0, RINGS);
    driver_ready(s);
    memset(host(DATA), 0, 64);
    put_desc(r.desc, 0, DATA, 64, WRITE, 0);
    offer(&r, 0);
    kick(&r);
    g_assert_cmpuint(wait_used(&r), ==, 64);
    for (unsigned i = 0; i < 64; i++) {
        changed |= *host(DATA + i) != 0;
    }
    g_assert_true(changed);
    device_delete(s->child);
}

static void test_console(void)
{
    Slot *s = slot_with(MODERN, "virtio-serial-device,id=vs0");
    g_autoptr(GPtrArray) pairs = NULL;
    g_autofree char *fd_text = NULL;
    GError *error = NULL;
    Device *port;
    Ring in, out, ctrl_in, ctrl_out;
    char buf[8] = {0};
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    fd_text = g_strdup_printf("fd,id=con,fd=%d", fds[0]);
    g_assert_nonnull(chardev_new_from_options(fd_text, &error));
    pairs = options_split("virtconsole,chardev=con", "driver", NULL);
    port = device_add_from_options(pairs, &error);
    g_assert_no_error(error);
    driver_begin(s, 0);
    in = ring_setup(s, 0, RINGS);
    out = ring_setup(s, 1, RINGS + 0x4000);
    ctrl_in = ring_setup(s, 2, RINGS + 0x8000);
    ctrl_out = ring_setup(s, 3, RINGS + 0xc000);
    driver_ready(s);
    put_desc(ctrl_in.desc, 0, DATA + 0x1000, 64, WRITE, 0);
    offer(&ctrl_in, 0);
    memcpy(host(DATA), "\0\0\0\0\0\0\1\0", 8); /* device ready */
    put_desc(ctrl_out.desc, 0, DATA, 8, 0, 0);
    offer(&ctrl_out, 0);
    kick(&ctrl_out);
    g_assert_cmpuint(wait_used(&ctrl_in), ==, 8);
    g_assert_cmpuint(lduw_le_p(host(DATA + 0x1004)), ==, 1); /* there is a port */
    memcpy(host(DATA), "\0\0\0\0\6\0\1\0", 8);               /* we open it */
    offer(&ctrl_out, 0);
    kick(&ctrl_out);
    memcpy(host(DATA + 0x2000), "out", 3);
    put_desc(out.desc, 0, DATA + 0x2000, 3, 0, 0);
    offer(&out, 0);
    kick(&out);
    wait_used(&out);
    g_assert_cmpint(read(fds[1], buf, sizeof(buf)), ==, 3);
    g_assert_cmpstr(buf, ==, "out");
    g_assert_cmpint(write(fds[1], "in", 2), ==, 2);
    settle(); /* no buffer yet: it waits */
    put_desc(in.desc, 0, DATA + 0x3000, 64, WRITE, 0);
    offer(&in, 0);
    kick(&in);
    g_assert_cmpuint(wait_used(&in), ==, 2);
    g_assert_cmpmem(host(DATA + 0x3000), 2, "in", 2);
    device_delete(port);
    device_delete(s->child);
    close(fds[1]);
}

/* --- state --- */

typedef struct TestIO {
    StateIO io;
    GByteArray *bytes;
    size_t at;
} TestIO;

static bool io_field(StateIO *io, const char *name, StateFieldType type, void *data, size_t n, size_t stride)
{
    static const size_t sizes[] = {
        [STATE_TYPE_BOOL] = 1,   [STATE_TYPE_U8] = 1,     [STATE_TYPE_U16] = 2,  [STATE_TYPE_U32] = 4,
        [STATE_TYPE_U64] = 8,    [STATE_TYPE_I8] = 1,     [STATE_TYPE_I32] = 4,  [STATE_TYPE_I64] = 8,
        [STATE_TYPE_BUFFER] = 1, [STATE_TYPE_UNUSED] = 1, [STATE_TYPE_TIMER] = 8};
    TestIO *t = (TestIO *)io;
    size_t size = sizes[type];

    for (size_t i = 0; i < n; i++) {
        uint8_t *p = data ? (uint8_t *)data + i * stride : NULL, raw[8] = {0};

        for (size_t b = 0; b < size && io->direction == STATE_SAVING; b++) {
            raw[b] = p ? p[size - 1 - b] : 0;
        }
        if (io->direction == STATE_SAVING) {
            g_byte_array_append(t->bytes, raw, size);
            continue;
        }
        if (t->bytes->len - t->at < size) {
            return false;
        }
        for (size_t b = 0; p && b < size; b++) {
            p[b] = t->bytes->data[t->at + size - 1 - b];
        }
        if (p && type == STATE_TYPE_BOOL) {
            *p = *p != 0;
        }
        t->at += size;
    }
    return true;
}

static bool io_subsection(StateIO *io, const char *name, int version, bool needed)
{
    TestIO *t = (TestIO *)io;
    size_t n = strlen(name);
    uint8_t head[2] = {5, n}, number[4] = {0, 0, 0, version};

    if (io->direction == STATE_SAVING) {
        if (needed) {
            g_byte_array_append(t->bytes, head, 2);
            g_byte_array_append(t->bytes, (const uint8_t *)name, n);
            g_byte_array_append(t->bytes, number, 4);
        }
        return needed;
    }
    if (t->bytes->len - t->at < n + 6 || memcmp(t->bytes->data + t->at, head, 2) != 0 ||
        memcmp(t->bytes->data + t->at + 2, name, n) != 0) {
        return false;
    }
    t->at += n + 6;
    return true;
}

static void io_nothing(StateIO *io)
{
}

static const StateIOOps io_ops = {
    .field = io_field, .subsection = io_subsection, .subsection_end = io_nothing};

static GByteArray *save(Slot *s)
{
    TestIO t = {.io = {.ops = &io_ops, .direction = STATE_SAVING, .version = s->child->type->state->version},
                .bytes = g_byte_array_new()};

    s->child->type->state->fields(&t.io, s->child);
    g_assert_no_error(t.io.error);
    return t.bytes;
}

static bool load(Slot *s, GByteArray *bytes)
{
    TestIO t = {.io = {.ops = &io_ops, .direction = STATE_LOADING, .version = s->child->type->state->version},
                .bytes = bytes};
    bool ok;

    s->child->type->state->fields(&t.io, s->child);
    ok = !t.io.error && t.at == bytes->len;
    g_clear_error(&t.io.error);
    return ok;
}

typedef struct SizeCase {
    const char *device;
    size_t legacy, modern;
} SizeCase;

/* Sizes measured at the peer with idle devices. */
static const SizeCase size_cases[] = {{"blk", 139, 44249},
                                      {"virtio-net-device", 670, 44780},
                                      {"virtio-rng-device", 81, 44191},
                                      {"virtio-serial-device", 0, 45363 - 10}};

static void test_state_size(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(size_cases); i++) {
        for (int legacy = 0; legacy < 2; legacy++) {
            const SizeCase *c = &size_cases[i];
            size_t expected = legacy ? c->legacy : c->modern;
            Slot *s = g_str_equal(c->device, "blk") ? disk_with(legacy, "") : slot_with(legacy, c->device);
            GByteArray *bytes = save(s);

            if (expected) {
                g_assert_cmpuint(bytes->len, ==, expected);
            }
            g_assert_true(load(s, bytes));
            g_byte_array_unref(bytes);
            device_delete(s->child);
        }
    }
}

static void test_state_name(void)
{
    Slot *s = slot_with(LEGACY, "virtio-rng-device");
    g_autofree char *expected = g_strdup_printf("virtio-mmio@%016" PRIx64 "/virtio-rng", s->base);

    g_assert_cmpstr(s->child->state_id, ==, expected);
    g_assert_nonnull(state_find(expected, 0));
    device_delete(s->child);
}

static void check_move(bool legacy)
{
    Slot *from = disk_with(legacy, ""), *to = disk_with(legacy, "");
    GByteArray *bytes;
    Ring r;

    driver_begin(from, 0);
    r = ring_setup(from, 0, RINGS);
    driver_ready(from);
    g_assert_cmpint(do_request(&r, 0, 1, 512, true), ==, 0);
    vm_stop(RUN_STATE_PAUSED);
    bytes = save(from);
    device_delete(from->child);
    g_assert_true(load(to, bytes));
    g_byte_array_unref(bytes);
    vm_start();
    r.slot = to;
    g_assert_cmpint(do_request(&r, 0, 2, 512, true), ==, 0);
    g_assert_cmpint(*host(DATA + 4096), ==, 2);
    device_delete(to->child);
}

static void test_state_moves_legacy(void)
{
    check_move(LEGACY);
}

static void test_state_moves_modern(void)
{
    check_move(MODERN);
}

/* A stream with wrong bytes is refused or makes a device that can still be reset. */
static void test_state_hostile(void)
{
    GRand *rand = g_rand_new_with_seed(7);

    for (int legacy = 0; legacy < 2; legacy++) {
        Slot *slots[] = {disk_with(legacy, ""), slot_with(legacy, "virtio-net-device"),
                         slot_with(legacy, "virtio-serial-device"), slot_with(legacy, "virtio-rng-device")};

        for (unsigned i = 0; i < G_N_ELEMENTS(slots); i++) {
            GByteArray *good;

            driver_begin(slots[i], 0);
            ring_setup(slots[i], 0, RINGS);
            driver_ready(slots[i]);
            vm_stop(RUN_STATE_PAUSED);
            good = save(slots[i]);
            for (unsigned round = 0; round < 150; round++) {
                GByteArray *bad = g_byte_array_new();

                g_byte_array_append(bad, good->data,
                                    round % 5 == 0 ? (guint)g_rand_int_range(rand, 0, good->len) : good->len);
                for (unsigned k = 0; k < 3 && bad->len > 0; k++) {
                    bad->data[g_rand_int_range(rand, 0, MIN(bad->len, 700))] = g_rand_int(rand);
                }
                load(slots[i], bad);
                vm_start();
                set_reg(slots[i], 0x50, 0);
                settle();
                vm_stop(RUN_STATE_PAUSED);
                g_byte_array_unref(bad);
            }
            g_assert_true(load(slots[i], good));
            g_byte_array_unref(good);
            device_delete(slots[i]->child);
            vm_start();
        }
    }
    g_rand_free(rand);
}

int main(int argc, char **argv)
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

    g_test_init(&argc, &argv, NULL);
    machine_setup();
    g_test_add_func("/virtio/mmio/empty-slot-has-no-device", test_empty_slot);
    g_test_add_func("/virtio/blk/legacy-reads-and-writes", test_disk_legacy);
    g_test_add_func("/virtio/blk/modern-reads-and-writes", test_disk_modern);
    g_test_add_func("/virtio/blk/works-without-event-index", test_disk_no_event_idx);
    g_test_add_func("/virtio/blk/iothread-reads-and-writes", test_disk_iothread);
    g_test_add_func("/virtio/blk/indirect-descriptors", test_disk_indirect);
    g_test_add_func("/virtio/blk/bad-requests-get-a-status", test_disk_refuses);
    g_test_add_func("/virtio/blk/marks-what-it-writes-d1", test_disk_marks_dirty);
    g_test_add_func("/virtio/blk/stop-drains", test_stop_drains);
    g_test_add_func("/virtio/blk/stop-drains-the-iothread", test_stop_drains_iothread);
    for (unsigned i = 0; i < G_N_ELEMENTS(poisons); i++) {
        g_autofree char *path = g_strdup_printf("/virtio/hostile-ring/%s", poisons[i].name);

        g_test_add_data_func(path, (gconstpointer)poisons[i].poison, test_hostile);
    }
    g_test_add_func("/virtio/hostile-ring/random", test_random);
    g_test_add_func("/virtio/net/sends", test_net_send);
    g_test_add_func("/virtio/net/receives-into-several-buffers", test_net_receive_merged);
    g_test_add_func("/virtio/net/frames-wait-for-buffers", test_net_waits_for_buffers);
    g_test_add_func("/virtio/net/filter", test_net_filter);
    g_test_add_func("/virtio/net/configuration", test_net_config);
    g_test_add_func("/virtio/rng/fills-the-buffer", test_rng);
    g_test_add_func("/virtio/console/carries-bytes-both-ways", test_console);
    g_test_add_func("/virtio/state/sizes-are-those-of-the-peer", test_state_size);
    g_test_add_func("/virtio/state/section-is-named-by-the-slot", test_state_name);
    g_test_add_func("/virtio/state/legacy-disk-moves", test_state_moves_legacy);
    g_test_add_func("/virtio/state/modern-disk-moves", test_state_moves_modern);
    g_test_add_func("/virtio/state/hostile-streams-do-no-harm", test_state_hostile);
    return g_test_run();
}
