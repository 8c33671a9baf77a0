/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images: requests on worker threads, bounds, holes, options, locks. */
#include "backend/block.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "system/runstate.h"

static char *image(const char *name, size_t size)
{
    static char *dir;
    char *path;
    g_autofree char *zeroes = g_malloc0(size);

    if (!dir) {
        dir = g_dir_make_tmp("test-block-XXXXXX", NULL);
    }
    path = g_build_filename(dir, name, NULL);
    g_assert_true(g_file_set_contents(path, zeroes, size, NULL));
    return path;
}

static BlockBackend *drive(const char *format, const char *path)
{
    g_autofree char *text = g_strdup_printf(format, path);
    GError *error = NULL;
    BlockBackend *b = drive_new_from_options(text, &error);

    g_assert_no_error(error);
    return b;
}

typedef struct Done {
    int calls, result;
} Done;

static void done(void *opaque, int result)
{
    Done *d = opaque;

    d->result = result;
    __atomic_fetch_add(&d->calls, 1, __ATOMIC_RELEASE);
}

static int wait_for(Done *d)
{
    while (__atomic_load_n(&d->calls, __ATOMIC_ACQUIRE) == 0) {
        event_loop_run_once(event_loop_main(), true);
    }
    g_assert_cmpint(d->calls, ==, 1);
    d->calls = 0;
    return d->result;
}

static void test_round_trip(void)
{
    g_autofree char *path = image("a", 1 << 20);
    BlockBackend *b = drive("file=%s,format=raw,if=none,id=a", path);
    char one[512], two[1024], back[1536];
    struct iovec out[] = {{one, sizeof(one)}, {two, sizeof(two)}}, in = {back, sizeof(back)};
    Done d = {0};

    memset(one, 'x', sizeof(one));
    memset(two, 'y', sizeof(two));
    block_aio_writev(b, 4096, out, 2, done, &d, NULL);
    g_assert_cmpint(d.calls, ==, 0);
    g_assert_cmpint(wait_for(&d), ==, 0);
    block_aio_readv(b, 4096, &in, 1, done, &d, NULL);
    g_assert_cmpint(wait_for(&d), ==, 0);
    g_assert_cmpmem(back, 512, one, 512);
    g_assert_cmpmem(back + 512, 1024, two, 1024);
    block_aio_flush(b, done, &d, NULL);
    g_assert_cmpint(wait_for(&d), ==, 0);
}

static void test_bounds(void)
{
    g_autofree char *path = image("b", 1 << 20);
    BlockBackend *b = drive("file=%s,format=raw,if=none,id=b", path);
    char buf[1024];
    struct iovec iov = {buf, sizeof(buf)};
    Done d = {0};

    block_aio_readv(b, (1 << 20) - 512, &iov, 1, done, &d, NULL);
    g_assert_cmpint(wait_for(&d), ==, -EIO);
    block_aio_readv(b, UINT64_MAX - 511, &iov, 1, done, &d, NULL);
    g_assert_cmpint(wait_for(&d), ==, -EIO);
    block_aio_discard(b, 512, UINT64_MAX, done, &d, NULL);
    g_assert_cmpint(wait_for(&d), ==, -EIO);
}

static void test_read_only(void)
{
    g_autofree char *path = image("ro", 4096);
    BlockBackend *b = drive("file=%s,format=raw,if=none,id=ro,readonly=on", path);
    char buf[512] = {0};
    struct iovec iov = {buf, sizeof(buf)};
    GError *error = NULL;
    Done d = {0};

    block_aio_writev(b, 0, &iov, 1, done, &d, NULL);
    g_assert_cmpint(wait_for(&d), ==, -EACCES);
    g_assert_false(block_claim(b, "flash", true, &error));
    g_assert_nonnull(strstr(error->message, "read-only"));
    g_clear_error(&error);
}

static void test_odd_tail(void)
{
    g_autofree char *path = image("odd", 700);
    BlockBackend *b = drive("file=%s,format=raw,if=none,id=odd", path);
    char buf[512];
    struct iovec iov = {buf, sizeof(buf)};
    Done d = {0};

    g_assert_cmpuint(block_size(b), ==, 1024);
    memset(buf, 1, sizeof(buf));
    block_aio_readv(b, 512, &iov, 1, done, &d, NULL);
    g_assert_cmpint(wait_for(&d), ==, 0);
    for (int i = 0; i < 512; i++) {
        g_assert_cmpint(buf[i], ==, 0);
    }
}

static void test_zeroes_and_holes(void)
{
    g_autofree char *path = image("z", 1 << 20);
    BlockBackend *b = drive("file=%s,format=raw,if=none,id=z,discard=unmap", path);
    g_autofree char *buf = g_malloc(1 << 20);
    struct stat before, after;
    Done d = {0};

    memset(buf, 7, 1 << 20);
    g_assert_true(block_write(b, 0, buf, 1 << 20, NULL));
    g_stat(path, &before);
    block_aio_write_zeroes(b, 4096, 4096, false, done, &d, NULL);
    g_assert_cmpint(wait_for(&d), ==, 0);
    block_aio_discard(b, 65536, 1 << 19, done, &d, NULL);
    g_assert_cmpint(wait_for(&d), ==, 0);
    g_stat(path, &after);
    g_assert_cmpint(after.st_size, ==, before.st_size);
    g_assert_true(block_read(b, 0, buf, 16384, NULL));
    g_assert_cmpint(buf[4095], ==, 7);
    g_assert_cmpint(buf[4096], ==, 0);
    g_assert_cmpint(buf[8191], ==, 0);
    g_assert_cmpint(buf[8192], ==, 7);
}

static void test_drain(void)
{
    g_autofree char *path = image("drain", 1 << 20);
    BlockBackend *b = drive("file=%s,format=raw,if=none,id=drain", path);
    static char buf[64][4096];
    struct iovec iov[64];
    Done d = {0};

    for (int i = 0; i < 64; i++) {
        iov[i] = (struct iovec){buf[i], sizeof(buf[i])};
        block_aio_writev(b, i * 4096, &iov[i], 1, done, &d, NULL);
    }
    block_drain(b);
    g_assert_cmpint(d.calls, ==, 64);
}

static void test_other_loop(void)
{
    g_autofree char *path = image("loop", 1 << 20);
    BlockBackend *b = drive("file=%s,format=raw,if=none,id=loop", path);
    EventLoop *loop = event_loop_new_thread("io", NULL);
    char buf[512] = "data";
    struct iovec iov = {buf, sizeof(buf)};
    Done d = {0};

    block_aio_writev(b, 0, &iov, 1, done, &d, loop);
    block_drain(b);
    g_assert_cmpint(d.calls, ==, 1);
    g_assert_cmpint(d.result, ==, 0);
    event_loop_free(loop);
}

static void test_options(void)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"format=raw", "file"},
        {"file=/nonexistent/disk,format=raw", "/nonexistent/disk"},
        {"file=/dev/null,format=qcow2", "qcow2"},
        {"file=/dev/null,if=scsi", "scsi"},
        {"file=/tmp,if=none", "/tmp"},
        {"file=/dev/null,chace=none", "chace"},
        {"file=/dev/null,if=none", "/dev/null"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        GError *error = NULL;

        g_assert_null(drive_new_from_options(bad[i].text, &error));
        g_assert_nonnull(error);
        g_assert_nonnull(strstr(error->message, bad[i].says));
        g_clear_error(&error);
    }
}

static void test_lock(void)
{
    g_autofree char *path = image("lock", 4096);
    g_autofree char *again = g_strdup_printf("file=%s,format=raw,if=none,id=lock2", path);
    g_autofree char *shared = g_strdup_printf("file=%s,format=raw,if=none,id=lock3,readonly=on", path);
    g_autofree char *off = g_strdup_printf("file=%s,format=raw,if=none,id=lock4,file.locking=off", path);
    GError *error = NULL;

    drive("file=%s,format=raw,if=none,id=lock1", path);
    g_assert_null(drive_new_from_options(again, &error));
    g_assert_nonnull(strstr(error->message, path));
    g_clear_error(&error);
    g_assert_null(drive_new_from_options(shared, &error));
    g_clear_error(&error);
    g_assert_nonnull(drive_new_from_options(off, &error));
}

static void test_readers_share(void)
{
    g_autofree char *path = image("shared", 4096);

    drive("file=%s,format=raw,if=none,id=r1,readonly=on", path);
    drive("file=%s,format=raw,if=none,id=r2,readonly=on", path);
}

static void test_nodes(void)
{
    GError *error = NULL;
    BlockBackend *b = blockdev_new_from_options("driver=null-co,node-name=n0,size=1M", &error);

    g_assert_no_error(error);
    g_assert_cmpuint(block_size(b), ==, 1 << 20);
    g_assert_true(blockdev_new_from_options("driver=raw,node-name=fmt,file=n0", &error) == b);
    g_assert_true(block_find("fmt") == b);
    g_assert_null(blockdev_new_from_options("driver=raw,node-name=fmt2,file=missing", &error));
    g_assert_nonnull(strstr(error->message, "missing"));
    g_clear_error(&error);
}

static void test_units(void)
{
    BlockBackend *b0 = drive("file=%s,if=pflash,format=raw", "null-co://");
    BlockBackend *b1 = drive("file=%s,if=pflash,format=raw", "null-co://");
    GError *error = NULL;

    g_assert_true(drive_get(DRIVE_IF_PFLASH, 0) == b0);
    g_assert_true(drive_get(DRIVE_IF_PFLASH, 1) == b1);
    g_assert_null(drive_new_from_options("file=null-co://,if=pflash,unit=1", &error));
    g_clear_error(&error);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bql_init();
    event_loop_main();
    bql_lock();
    g_test_add_func("/block/aio/what-was-written-is-read", test_round_trip);
    g_test_add_func("/block/aio/ranges-past-the-end-fail", test_bounds);
    g_test_add_func("/block/aio/read-only-image-refuses-writes", test_read_only);
    g_test_add_func("/block/aio/tail-of-a-short-last-sector-is-zero", test_odd_tail);
    g_test_add_func("/block/aio/zeroes-and-holes", test_zeroes_and_holes);
    g_test_add_func("/block/drain/all-callbacks-have-run", test_drain);
    g_test_add_func("/block/drain/waits-for-other-loops", test_other_loop);
    g_test_add_func("/block/options/errors-name-what-is-wrong", test_options);
    g_test_add_func("/block/lock/one-writer", test_lock);
    g_test_add_func("/block/lock/readers-share", test_readers_share);
    g_test_add_func("/block/blockdev/nodes-have-names", test_nodes);
    g_test_add_func("/block/drive/units-count-up", test_units);
    return g_test_run();
}
