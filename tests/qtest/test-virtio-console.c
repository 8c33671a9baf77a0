/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The console: control messages, output into a ring buffer that the monitor reads. */
#include "tests/qtest/virtio.h"

static void control(VRing *out, uint32_t port, uint16_t event, uint16_t value)
{
    QTestState *qts = out->dev->qts;

    qtest_writel(qts, DATA, port);
    qtest_writew(qts, DATA + 4, event);
    qtest_writew(qts, DATA + 6, value);
    vdesc(out, 0, DATA, 8, 0, 0);
    voffer(out, 0);
    vwait(out);
}

static void test_output(void)
{
    QTestState *qts = qtest_init("-M virt -bios none -chardev ringbuf,id=con -device virtio-serial-device"
                                 " -device virtconsole,chardev=con");
    VDev d = vdev_begin(qts, 3);
    VRing out, ctrl_in, ctrl_out;
    JsonNode *reply;

    vring_setup(&d, 0);
    out = vring_setup(&d, 1);
    ctrl_in = vring_setup(&d, 2);
    ctrl_out = vring_setup(&d, 3);
    vdev_ready(&d);
    g_assert_cmpuint(vreg(&d, 0x104), ==, 31);
    vdesc(&ctrl_in, 0, DATA + 4096, 64, DESC_WRITE, 0);
    voffer(&ctrl_in, 0);
    control(&ctrl_out, UINT32_MAX, 0, 1); /* we are ready */
    g_assert_cmpuint(vwait(&ctrl_in), ==, 8);
    g_assert_cmpuint(qtest_readl(qts, DATA + 4096), ==, 0);
    g_assert_cmpuint(qtest_readw(qts, DATA + 4100), ==, 1); /* there is port 0 */
    voffer(&ctrl_in, 0);
    control(&ctrl_out, 0, 3, 1);
    vwait(&ctrl_in);
    g_assert_cmpuint(qtest_readw(qts, DATA + 4100), ==, 4); /* it is a console */
    qtest_memwrite(qts, DATA + 8192, "hello", 5);
    vdesc(&out, 0, DATA + 8192, 5, 0, 0);
    voffer(&out, 0);
    vwait(&out);
    reply = qtest_qmp_assert_success_ref(
        qts, "{'execute': 'ringbuf-read', 'arguments': {'device': 'con', 'size': 100}}");
    g_assert_cmpstr(json_node_get_string(reply), ==, "hello");
    json_node_unref(reply);
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-console/output/arrives-at-the-chardev", test_output);
    return g_test_run();
}
