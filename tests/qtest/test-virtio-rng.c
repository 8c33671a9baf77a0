/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random numbers: a buffer is filled, and no faster than was allowed. */
#include "tests/qtest/virtio.h"

static void test_fills(void)
{
    QTestState *qts = qtest_init("-M virt -bios none -device virtio-rng-device");
    VDev d = vdev_begin(qts, 4);
    VRing r = vring_setup(&d, 0);

    vdev_ready(&d);
    qtest_memset(qts, DATA, 0, 64);
    vdesc(&r, 0, DATA, 64, DESC_WRITE, 0);
    voffer(&r, 0);
    g_assert_cmpuint(vwait(&r), ==, 64);
    g_assert_true(qtest_readq(qts, DATA) != 0 || qtest_readq(qts, DATA + 8) != 0);
    qtest_quit(qts);
}

static void test_rate(void)
{
    QTestState *qts = qtest_init("-M virt -bios none -device virtio-rng-device,max-bytes=16,period=1000");
    VDev d = vdev_begin(qts, 4);
    VRing r = vring_setup(&d, 0);

    vdev_ready(&d);
    vdesc(&r, 0, DATA, 16, DESC_WRITE, 0);
    vdesc(&r, 1, DATA + 64, 16, DESC_WRITE, 0);
    voffer(&r, 0);
    g_assert_cmpuint(vwait(&r), ==, 16);
    voffer(&r, 1);
    qtest_clock_step(qts, 999000000);
    g_assert_cmpuint(qtest_readw(qts, r.used + 2), ==, 1);
    qtest_clock_step(qts, 2000000);
    g_assert_cmpuint(vwait(&r), ==, 16);
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-rng/request/fills-the-buffer", test_fills);
    g_test_add_func("/virtio-rng/rate/waits-for-the-next-period", test_rate);
    return g_test_run();
}
