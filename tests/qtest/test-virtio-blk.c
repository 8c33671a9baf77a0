/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The disk, as a guest's driver sees it: both register sets, an iothread, interrupts, what the monitor says. */
#include <string.h>

#include <glib/gstdio.h>

#include "tests/qtest/virtio.h"

static char *make_image(void)
{
    char *path = g_build_filename(g_get_tmp_dir(), "qtest-virtio-blk-XXXXXX", NULL);
    int fd = g_mkstemp(path);
    g_autofree char *bytes = g_malloc(1 << 20);

    for (unsigned i = 0; i < 1 << 20; i++) {
        bytes[i] = i / 512;
    }
    g_assert_cmpint(fd, >=, 0);
    g_close(fd, NULL);
    g_assert_true(g_file_set_contents(path, bytes, 1 << 20, NULL));
    return path;
}

static uint8_t request(VRing *r, uint32_t type, uint64_t sector, uint32_t len, bool device_writes)
{
    QTestState *qts = r->dev->qts;

    qtest_writel(qts, DATA, type);
    qtest_writel(qts, DATA + 4, 0);
    qtest_writeq(qts, DATA + 8, sector);
    qtest_writeb(qts, DATA + 16, 0xff);
    vdesc(r, 0, DATA, 16, DESC_NEXT, 1);
    vdesc(r, 1, DATA + 4096, len, DESC_NEXT | (device_writes ? DESC_WRITE : 0), 2);
    vdesc(r, 2, DATA + 16, 1, DESC_WRITE, 0);
    voffer(r, 0);
    vwait(r);
    return qtest_readb(qts, DATA + 16);
}

static void check(const char *more)
{
    g_autofree char *path = make_image();
    QTestState *qts = qtest_initf("-M virt -bios none -drive file=%s,format=raw,if=none,id=d %s", path, more);
    VDev d = vdev_begin(qts, 2);
    VRing r = vring_setup(&d, 0);
    g_autofree char *bytes = NULL;

    vdev_ready(&d);
    g_assert_cmpuint(vreg(&d, 0x100), ==, 2048); /* sectors */
    g_assert_cmpint(request(&r, 0, 5, 512, true), ==, 0);
    g_assert_cmpint(qtest_readb(qts, DATA + 4096), ==, 5);
    qtest_memset(qts, DATA + 4096, 'w', 1024);
    g_assert_cmpint(request(&r, 1, 10, 1024, false), ==, 0);
    g_assert_cmpint(request(&r, 4, 0, 512, false), ==, 0);
    g_assert_cmpint(request(&r, 0, 2048, 512, true), ==, 1);
    qtest_quit(qts);
    g_assert_true(g_file_get_contents(path, &bytes, NULL, NULL));
    g_assert_cmpint(bytes[10 * 512], ==, 'w');
    g_assert_cmpint(bytes[12 * 512 - 1], ==, 'w');
    g_assert_cmpint(bytes[12 * 512], ==, 12);
    g_unlink(path);
}

static void test_legacy(void)
{
    check("-device virtio-blk-device,drive=d");
}

static void test_modern(void)
{
    check("-global virtio-mmio.force-legacy=false -device virtio-blk-device,drive=d,num-queues=4");
}

static void test_iothread(void)
{
    check("-object iothread,id=io -device virtio-blk-device,drive=d,iothread=io");
}

static void test_bad_ring(void)
{
    QTestState *qts = qtest_init("-M virt -bios none -global virtio-mmio.force-legacy=false"
                                 " -blockdev driver=null-co,node-name=d,size=1M -device virtio-blk-device,drive=d");
    VDev d = vdev_begin(qts, 2);
    VRing r = vring_setup(&d, 0);

    vdev_ready(&d);
    vdesc(&r, 0, 0x100000, 16, DESC_NEXT, 0); /* a register, and a loop */
    voffer(&r, 0);
    g_assert_cmphex(vreg(&d, 0x70) & 0x40, ==, 0x40); /* needs reset */
    d = vdev_begin(qts, 2);
    r = vring_setup(&d, 0);
    vdev_ready(&d);
    g_assert_cmpint(request(&r, 0, 0, 512, true), ==, 0);
    qtest_quit(qts);
}

static void test_command_line(void)
{
    static const struct {
        const char *args, *says;
    } bad[] = {
        {"-device virtio-blk-device", "drive"},
        {"-device virtio-blk-device,drive=nope", "nope"},
        {"-drive file=/nonexistent/disk.img,format=raw,if=none,id=d", "/nonexistent/disk.img"},
        {"-blockdev driver=null-co,node-name=d -device virtio-blk-device,drive=d,queue-size=3", "queue-size"},
        {"-blockdev driver=null-co,node-name=d -device virtio-blk-device,drive=d -device virtio-blk-device,drive=d",
         "in use"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *args = g_strdup_printf("-M virt -bios none -display none %s", bad[i].args);
        g_autofree char *err = NULL;

        g_assert_cmpint(qtest_run(args, NULL, &err), ==, 1);
        g_assert_nonnull(strstr(err, bad[i].says));
    }
}

static void test_query_block(void)
{
    QTestState *qts =
        qtest_init("-M virt -bios none -drive file=null-co://,format=raw,if=none,id=disk0,readonly=on"
                   " -device virtio-blk-device,drive=disk0");
    JsonNode *reply = qtest_qmp_assert_success_ref(qts, "{'execute': 'query-block'}");
    JsonObject *first = json_array_get_object_element(json_node_get_array(reply), 0);
    g_autofree char *hmp = qtest_hmp(qts, "info block");

    g_assert_cmpstr(json_object_get_string_member(first, "device"), ==, "disk0");
    g_assert_true(json_object_get_boolean_member(json_object_get_object_member(first, "inserted"), "ro"));
    g_assert_nonnull(strstr(hmp, "disk0: null-co://"));
    json_node_unref(reply);
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-blk/legacy/reads-and-writes", test_legacy);
    g_test_add_func("/virtio-blk/modern/reads-and-writes", test_modern);
    g_test_add_func("/virtio-blk/iothread/reads-and-writes", test_iothread);
    g_test_add_func("/virtio-blk/bad-ring/needs-reset", test_bad_ring);
    g_test_add_func("/virtio-blk/command-line/errors-name-the-thing", test_command_line);
    g_test_add_func("/virtio-blk/monitor/query-block", test_query_block);
    return g_test_run();
}
