/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Drivers that never stop asking: the device serves them in turns.  Requests longer than any driver's are refused. */
#include "virtio-driver.h"

#include <sys/socket.h>
#include <unistd.h>

#include "backend/chardev.h"

#define REQUESTS 3000

/* Adds a request for each that is served, as another hart could. */
typedef struct Feeder {
    Slot *s;
    Ring r;
    uint16_t head;
} Feeder;

static void served(void *opaque, int n, int level)
{
    Feeder *f = opaque;

    if (level) {
        if (f->r.next < REQUESTS) {
            offer(&f->r, f->head);
        }
        set_reg(f->s, 0x64, VIRTIO_ISR_QUEUE);
    }
}

static void feeder_begin(Feeder *f, Slot *s, unsigned queue)
{
    *f = (Feeder){.s = s};
    driver_begin(s, VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX));
    f->r = ring_setup(s, queue, RINGS);
    driver_ready(s);
    s->irq.handler = served;
    s->irq.opaque = f;
}

static void check_turns(Feeder *f)
{
    offer(&f->r, f->head);
    kick(&f->r);
    g_assert_cmpuint(used_index(&f->r), <=, VIRTQUEUE_TURN);
    settle();
    g_assert_cmpuint(used_index(&f->r), ==, REQUESTS);
    device_delete(f->s->child);
}

static void test_rng(void)
{
    Feeder f;

    feeder_begin(&f, slot_with(MODERN, "virtio-rng-device"), 0);
    put_desc(f.r.desc, 0, DATA, 1, WRITE, 0);
    check_turns(&f);
}

static void test_disk(void)
{
    Feeder f;

    feeder_begin(&f, disk_with(MODERN, ""), 0);
    put_request(f.r.desc, 99, 0, 512, true); /* answered at once */
    check_turns(&f);
}

static void test_net_control(void)
{
    Feeder f;

    feeder_begin(&f, slot_with(MODERN, "virtio-net-device"), 2);
    put_desc(f.r.desc, 0, DATA, 4, NEXT, 1);
    put_desc(f.r.desc, 1, DATA + 64, 1, WRITE, 0);
    check_turns(&f);
}

static Device *add_port(const char *chardev, const char *text)
{
    g_autoptr(GPtrArray) pairs = options_split(text, "driver", NULL);
    GError *error = NULL;
    Device *port;

    chardev_new_from_options(chardev, &error);
    g_assert_no_error(error);
    port = device_add_from_options(pairs, &error);
    g_assert_no_error(error);
    return port;
}

static void test_console(void)
{
    Slot *s = slot_with(MODERN, "virtio-serial-device,id=turns0");
    Device *port = add_port("null,id=turns0", "virtconsole,chardev=turns0,bus=turns0.0");
    Feeder f;

    feeder_begin(&f, s, 1);
    put_desc(f.r.desc, 0, DATA, 1, 0, 0);
    offer(&f.r, 0);
    kick(&f.r);
    g_assert_cmpuint(used_index(&f.r), <=, VIRTQUEUE_TURN);
    settle();
    g_assert_cmpuint(used_index(&f.r), ==, REQUESTS);
    device_delete(port);
    device_delete(s->child);
}

static void test_console_long_request(void)
{
    Slot *s = slot_with(MODERN, "virtio-serial-device,id=turns1");
    Device *port = add_port("null,id=turns1", "virtconsole,chardev=turns1,bus=turns1.0");
    Ring out;

    driver_begin(s, 0);
    out = ring_setup(s, 1, RINGS);
    driver_ready(s);
    put_desc(out.desc, 0, RAM_BASE, 3 << 20, 0, 0);
    offer(&out, 0);
    kick(&out);
    g_assert_cmpuint(used_index(&out), ==, 0);
    settle();
    g_assert_cmpuint(used_index(&out), ==, 1);

    put_desc(out.desc, 0, RAM_BASE, RAM_BYTES, NEXT, 1);
    put_desc(out.desc, 1, RAM_BASE, 1, 0, 0);
    offer(&out, 0);
    kick(&out);
    g_assert_cmpuint(reg(s, 0x70) & VIRTIO_STATUS_NEEDS_RESET, !=, 0);
    g_assert_cmpuint(used_index(&out), ==, 1);
    device_delete(port);
    device_delete(s->child);
}

/* What the guest has no room for stays with the other side. */
static void test_console_input_waits(void)
{
    Slot *s = slot_with(MODERN, "virtio-serial-device,id=turns2");
    g_autofree char *chardev = NULL;
    Device *port;
    Ring in;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    chardev = g_strdup_printf("fd,id=turns2,fd=%d", fds[0]);
    port = add_port(chardev, "virtconsole,chardev=turns2,bus=turns2.0");
    driver_begin(s, VIRTIO_FEATURE(1)); /* no ports but this one, which needs no opening */
    in = ring_setup(s, 0, RINGS);
    driver_ready(s);
    put_desc(in.desc, 0, DATA, 4, WRITE, 0);
    put_desc(in.desc, 1, DATA + 4, 4, WRITE, 0);
    offer(&in, 0);
    offer(&in, 1);
    kick(&in);
    g_assert_cmpint(write(fds[1], "0123456789", 10), ==, 10);
    g_assert_cmpuint(wait_used(&in), ==, 4);
    g_assert_cmpuint(wait_used(&in), ==, 4);
    put_desc(in.desc, 2, DATA + 8, 64, WRITE, 0);
    offer(&in, 2);
    kick(&in);
    g_assert_cmpuint(wait_used(&in), ==, 2);
    g_assert_cmpmem(host(DATA), 10, "0123456789", 10);
    device_delete(port);
    device_delete(s->child);
    close(fds[1]);
}

void add_turn_tests(void)
{
    g_test_add_func("/virtio/turns/random-numbers-end-theirs", test_rng);
    g_test_add_func("/virtio/turns/a-disk-ends-its", test_disk);
    g_test_add_func("/virtio/turns/commands-of-a-card-end-theirs", test_net_control);
    g_test_add_func("/virtio/turns/a-console-ends-its", test_console);
    g_test_add_func("/virtio/turns/a-long-request-takes-several", test_console_long_request);
    g_test_add_func("/virtio/console/input-without-room-waits", test_console_input_waits);
}
