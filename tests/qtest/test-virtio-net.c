/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The network card: an ARP request to the user network's gateway is answered; link state; command line. */
#include <string.h>

#include "tests/qtest/virtio.h"

#define HEADER 12

static const uint8_t arp_request[42] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x11, 0x22, 0x33, 0x08, 0x06, /* Ethernet */
    0, 1, 8, 0, 6, 4, 0, 1, 0x52, 0x54, 0, 0x11, 0x22, 0x33, 10, 0, 2, 15,           /* from us */
    0, 0, 0, 0, 0, 0, 10, 0, 2, 2,                                                   /* who is the gateway */
};

static void test_arp(void)
{
    QTestState *qts = qtest_init("-M virt -bios none -netdev user,id=n"
                                 " -device virtio-net-device,netdev=n,mac=52:54:00:11:22:33");
    VDev d = vdev_begin(qts, 1);
    VRing rx = vring_setup(&d, 0), tx = vring_setup(&d, 1);
    uint8_t frame[64];

    vdev_ready(&d);
    g_assert_cmphex(vreg(&d, 0x100), ==, 0x11005452);
    vdesc(&rx, 0, DATA, 2048, DESC_WRITE, 0);
    voffer(&rx, 0);
    qtest_memset(qts, DATA + 4096, 0, HEADER);
    qtest_memwrite(qts, DATA + 4096 + HEADER, arp_request, sizeof(arp_request));
    vdesc(&tx, 0, DATA + 4096, HEADER + sizeof(arp_request), 0, 0);
    voffer(&tx, 0);
    vwait(&tx);
    g_assert_cmpuint(vwait(&rx), >=, HEADER + 42);
    qtest_memread(qts, DATA + HEADER, frame, sizeof(frame));
    g_assert_cmpmem(frame, 6, "\x52\x54\0\x11\x22\x33", 6);
    g_assert_cmpint(frame[21], ==, 2); /* a reply */
    g_assert_cmpmem(frame + 28, 4, "\x0a\0\2\2", 4);
    qtest_quit(qts);
}

static void test_link(void)
{
    QTestState *qts = qtest_init("-M virt -bios none -netdev user,id=n -device virtio-net-device,netdev=n,id=card");
    VDev d = vdev_begin(qts, 1);
    g_autofree char *info = NULL;

    vdev_ready(&d);
    g_assert_cmphex(vreg(&d, 0x104) >> 16, ==, 1);
    qtest_qmp_assert_success(qts, "{'execute': 'set_link', 'arguments': {'name': 'card', 'up': false}}");
    g_assert_cmphex(vreg(&d, 0x104) >> 16, ==, 0);
    g_assert_cmphex(vreg(&d, 0x60) & 2, ==, 2);
    info = qtest_hmp(qts, "info network");
    g_assert_nonnull(strstr(info, "card: type=virtio-net"));
    qtest_quit(qts);
}

static void test_command_line(void)
{
    static const struct {
        const char *args, *says;
    } bad[] = {
        {"-netdev usr,id=n", "did you mean 'user'"},
        {"-netdev user", "id="},
        {"-netdev user,id=n,hostfwd=tcp::x-:22", "hostfwd=tcp::x-:22"},
        {"-netdev user,id=n,net=10.0.2.0/99", "10.0.2.0/99"},
        {"-device virtio-net-device,netdev=missing", "missing"},
        {"-device virtio-net-device,mac=hello", "hello"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *args = g_strdup_printf("-M virt -bios none -display none %s", bad[i].args);
        g_autofree char *err = NULL;

        g_assert_cmpint(qtest_run(args, NULL, &err), ==, 1);
        g_assert_nonnull(strstr(err, bad[i].says));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-net/user/gateway-answers-arp", test_arp);
    g_test_add_func("/virtio-net/link/guest-sees-the-cable-go", test_link);
    g_test_add_func("/virtio-net/command-line/errors-name-the-thing", test_command_line);
    return g_test_run();
}
