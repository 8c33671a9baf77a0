/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The NOR flash: identification, programming, erasing, buffered writes, the image behind it. */
#include <string.h>
#include <unistd.h>

#include "tests/qtest/board.h"

#define FLASH_SIZE (32u << 20)
#define SECTOR     0x40000
#define BOTH(cmd)  ((cmd) | (uint32_t)(cmd) << 16)

static void command(QTestState *s, uint64_t offset, uint8_t cmd)
{
    qtest_writel(s, FLASH_BASE + offset, BOTH(cmd));
}

static void program(QTestState *s, uint64_t offset, uint32_t value)
{
    command(s, offset, 0x40);
    qtest_writel(s, FLASH_BASE + offset, value);
    g_assert_cmphex(qtest_readl(s, FLASH_BASE + offset), ==, BOTH(0x80));
    command(s, offset, 0xff);
}

static void erase(QTestState *s, uint64_t offset)
{
    command(s, offset, 0x20);
    command(s, offset, 0xd0);
    g_assert_cmphex(qtest_readl(s, FLASH_BASE + offset), ==, BOTH(0x80));
    command(s, offset, 0xff);
}

static void test_query(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);
    const char *qry = "QRY";

    command(s, 0x55 * 4, 0x98);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmphex(qtest_readl(s, FLASH_BASE + (0x10 + i) * 4), ==, BOTH(qry[i]));
    }
    g_assert_cmphex(qtest_readl(s, FLASH_BASE + 0x27 * 4), ==, BOTH(24)); /* 16 MiB per chip */
    command(s, 0, 0xff);
    g_assert_cmphex(qtest_readl(s, FLASH_BASE), ==, 0);
    qtest_quit(s);
}

static void test_id(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    command(s, 0, 0x90);
    g_assert_cmphex(qtest_readl(s, FLASH_BASE), ==, BOTH(0x89));
    g_assert_cmphex(qtest_readl(s, FLASH_BASE + 4), ==, BOTH(0x18));
    qtest_quit(s);
}

static void test_erase_and_program(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    erase(s, SECTOR + 0x1234);
    g_assert_cmphex(qtest_readl(s, FLASH_BASE + SECTOR), ==, UINT32_MAX);
    g_assert_cmphex(qtest_readl(s, FLASH_BASE + 2 * SECTOR - 4), ==, UINT32_MAX);
    g_assert_cmphex(qtest_readl(s, FLASH_BASE + 2 * SECTOR), ==, 0);
    program(s, SECTOR + 8, 0x12345678);
    g_assert_cmphex(qtest_readl(s, FLASH_BASE + SECTOR + 8), ==, 0x12345678);
    qtest_quit(s);
}

static void test_program_clears_only(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    erase(s, 0);
    program(s, 0, 0xff00ff00);
    program(s, 0, 0x0ff00ff0);
    g_assert_cmphex(qtest_readl(s, FLASH_BASE), ==, 0x0f000f00);
    qtest_quit(s);
}

static void test_buffered(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    erase(s, 0);
    command(s, 0x100, 0xe8);
    g_assert_cmphex(qtest_readl(s, FLASH_BASE) & 0x80, ==, 0x80);
    command(s, 0x100, 3); /* four words */
    for (unsigned i = 0; i < 4; i++) {
        qtest_writel(s, FLASH_BASE + 0x100 + i * 4, i);
    }
    command(s, 0x100, 0xd0);
    g_assert_cmphex(qtest_readl(s, FLASH_BASE), ==, BOTH(0x80));
    command(s, 0, 0xff);
    g_assert_cmphex(qtest_readl(s, FLASH_BASE + 0x10c), ==, 3);
    g_assert_cmphex(qtest_readl(s, FLASH_BASE + 0x110), ==, UINT32_MAX);
    qtest_quit(s);
}

static void test_bad_sequences(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    command(s, 0, 0xe8);
    command(s, 0, 1); /* two words, which lie far apart */
    qtest_writel(s, FLASH_BASE, 0);
    qtest_writel(s, FLASH_BASE + FLASH_SIZE - 4, 0);
    command(s, 0, 0xd0);
    g_assert_cmphex(qtest_readl(s, FLASH_BASE) & 0x10, ==, 0x10);
    command(s, 0, 0x50);
    command(s, 0, 0x20);
    command(s, 0, 0x11); /* no confirmation: nothing is erased */
    g_assert_cmphex(qtest_readl(s, FLASH_BASE) & 0x30, ==, 0x30);
    command(s, 0, 0x50);
    g_assert_cmphex(qtest_readl(s, FLASH_BASE), ==, 0);
    command(s, 0, 0xe8);
    qtest_writel(s, FLASH_BASE, 0xffff); /* longer than the buffer */
    g_assert_cmphex(qtest_readl(s, FLASH_BASE) & 0x30, ==, 0x30);
    qtest_quit(s);
}

static char *make_image(void)
{
    char *path = NULL;
    int fd = g_file_open_tmp("flash-XXXXXX", &path, NULL);

    g_assert_cmpint(ftruncate(fd, FLASH_SIZE), ==, 0);
    g_assert_cmpint(pwrite(fd, "image", 5, 0), ==, 5);
    close(fd);
    return path;
}

static void test_image(void)
{
    g_autofree char *path = make_image();
    QTestState *s = qtest_initf(BOARD_ARGS " -drive if=pflash,unit=0,format=raw,file=%s", path);
    g_autofree char *data = NULL;
    gsize size;

    g_assert_cmphex(qtest_readb(s, FLASH_BASE), ==, 'i');
    program(s, 0, 0);
    erase(s, FLASH_SIZE - 4);
    qtest_quit(s);
    g_assert_true(g_file_get_contents(path, &data, &size, NULL));
    g_assert_cmpmem(data, 5, "\0\0\0\0e", 5);
    g_assert_cmphex((uint8_t)data[FLASH_SIZE - 1], ==, 0xff);
    unlink(path);
}

static void test_readonly(void)
{
    g_autofree char *path = make_image();
    QTestState *s = qtest_initf(BOARD_ARGS " -drive if=pflash,unit=0,format=raw,readonly=on,file=%s", path);

    command(s, 0, 0x40);
    qtest_writel(s, FLASH_BASE, 0);
    g_assert_cmphex(qtest_readl(s, FLASH_BASE) & 0x10, ==, 0x10);
    command(s, 0, 0xff);
    g_assert_cmphex(qtest_readb(s, FLASH_BASE), ==, 'i');
    qtest_quit(s);
    unlink(path);
}

static void test_wrong_size(void)
{
    g_autofree char *path = make_image();
    g_autofree char *args = g_strdup_printf(BOARD_ARGS " -drive if=pflash,unit=0,format=raw,file=%s", path);
    g_autofree char *err = NULL;

    g_assert_cmpint(truncate(path, 4096), ==, 0);
    g_assert_cmpint(qtest_run(args, NULL, &err), ==, 1);
    g_assert_nonnull(strstr(err, "4096 bytes"));
    unlink(path);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pflash/query/tells-geometry", test_query);
    g_test_add_func("/pflash/query/tells-identity", test_id);
    g_test_add_func("/pflash/write/erase-and-program", test_erase_and_program);
    g_test_add_func("/pflash/write/program-clears-only", test_program_clears_only);
    g_test_add_func("/pflash/write/buffered", test_buffered);
    g_test_add_func("/pflash/write/bad-sequences-change-nothing", test_bad_sequences);
    g_test_add_func("/pflash/image/is-read-and-written", test_image);
    g_test_add_func("/pflash/image/readonly-stays", test_readonly);
    g_test_add_func("/pflash/image/wrong-size-is-an-error", test_wrong_size);
    return g_test_run();
}
