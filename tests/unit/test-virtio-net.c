/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio-net: frames both ways, filters and what the guest reads of its card. */
#include "virtio-driver.h"

#include "backend/net.h"

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

void add_net_tests(void)
{
    g_test_add_func("/virtio/net/sends", test_net_send);
    g_test_add_func("/virtio/net/receives-into-several-buffers", test_net_receive_merged);
    g_test_add_func("/virtio/net/frames-wait-for-buffers", test_net_waits_for_buffers);
    g_test_add_func("/virtio/net/filter", test_net_filter);
    g_test_add_func("/virtio/net/configuration", test_net_config);
}
