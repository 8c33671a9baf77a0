/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio: registers, disks, random numbers and consoles, as a driver sees them. */
#include "virtio-driver.h"

#include <sys/socket.h>
#include <unistd.h>

#include "backend/chardev.h"
#include "system/physmem.h"

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

int main(int argc, char **argv)
{
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
    g_test_add_func("/virtio/rng/fills-the-buffer", test_rng);
    g_test_add_func("/virtio/console/carries-bytes-both-ways", test_console);
    add_hostile_tests();
    add_net_tests();
    add_state_tests();
    add_turn_tests();
    return g_test_run();
}
