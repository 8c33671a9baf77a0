/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The firmware configuration device: items, files, DMA. */
#include <string.h>

#include "tests/qtest/board.h"
#include "util/bswap.h"

#define DATA     FW_CFG_BASE
#define SELECTOR (FW_CFG_BASE + 8)
#define DMA      (FW_CFG_BASE + 16)
#define REQUEST  (RAM_BASE + 0x1000)
#define TARGET   (RAM_BASE + 0x2000)

#define PCI_WINDOW UINT64_C(0x40000000)

enum { KEY_SIGNATURE = 0, KEY_ID = 1, KEY_NB_CPUS = 5, KEY_FILE_DIR = 0x19 };
enum { CONTROL_ERROR = 1, CONTROL_READ = 2, CONTROL_SKIP = 4, CONTROL_SELECT = 8, CONTROL_WRITE = 16 };

static void select_key(QTestState *s, uint16_t key)
{
    qtest_writew(s, SELECTOR, bswap16(key));
}

/* Returns the control word afterwards. */
static uint32_t dma(QTestState *s, uint32_t control, uint32_t length, uint64_t target)
{
    uint8_t request[16], answer[4];

    stl_be_p(request, control);
    stl_be_p(request + 4, length);
    stq_be_p(request + 8, target);
    qtest_memwrite(s, REQUEST, request, sizeof(request));
    qtest_writel(s, DMA, 0);
    qtest_writel(s, DMA + 4, bswap32((uint32_t)REQUEST));
    qtest_memread(s, REQUEST, answer, sizeof(answer));
    return ldl_be_p(answer);
}

static void test_signature(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);
    const char *signature = "QEMU";

    select_key(s, KEY_SIGNATURE);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmphex(qtest_readb(s, DATA), ==, signature[i]);
    }
    g_assert_cmphex(qtest_readb(s, DATA), ==, 0); /* past the end */
    qtest_quit(s);
}

static void test_wide_read(void)
{
    QTestState *s = qtest_init(BOARD_ARGS " -smp 3");

    select_key(s, KEY_NB_CPUS);
    g_assert_cmphex(qtest_readw(s, DATA), ==, 3);
    select_key(s, KEY_ID);
    g_assert_cmphex(qtest_readl(s, DATA), ==, 3);
    qtest_quit(s);
}

static void test_directory(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);
    uint8_t dir[4 + 64];

    g_assert_cmphex(dma(s, KEY_FILE_DIR << 16 | CONTROL_SELECT | CONTROL_READ, sizeof(dir), TARGET), ==, 0);
    qtest_memread(s, TARGET, dir, sizeof(dir));
    g_assert_cmpuint(ldl_be_p(dir), ==, 1);
    g_assert_cmphex(lduw_be_p(dir + 8), ==, 0x20);
    g_assert_cmpstr((char *)dir + 12, ==, "bootorder");
    qtest_quit(s);
}

static void test_dma_skip(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    g_assert_cmphex(dma(s, KEY_SIGNATURE << 16 | CONTROL_SELECT | CONTROL_SKIP, 2, 0), ==, 0);
    qtest_memset(s, TARGET, 0xff, 4);
    g_assert_cmphex(dma(s, CONTROL_READ, 4, TARGET), ==, 0);
    g_assert_cmphex(qtest_readl(s, TARGET), ==, 'M' | 'U' << 8);
    qtest_quit(s);
}

static void test_dma_signature(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    g_assert_cmphex(bswap64(qtest_readq(s, DMA)), ==, UINT64_C(0x51454d5520434647));
    qtest_quit(s);
}

static void test_hostile_dma(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    g_assert_cmphex(dma(s, KEY_SIGNATURE << 16 | CONTROL_SELECT | CONTROL_READ, UINT32_MAX, UINT64_MAX - 5),
                    ==, CONTROL_ERROR);
    g_assert_cmphex(dma(s, KEY_SIGNATURE << 16 | CONTROL_SELECT | CONTROL_WRITE, 4, TARGET), ==,
                    CONTROL_ERROR);
    dma(s, KEY_SIGNATURE << 16 | CONTROL_SELECT | CONTROL_READ, 8, DMA); /* into itself */
    qtest_writeq(s, DMA, UINT64_MAX);
    select_key(s, 0xffff);
    g_assert_cmphex(qtest_readq(s, DATA), ==, 0);
    select_key(s, 0x8000);
    g_assert_cmphex(qtest_readq(s, DATA), ==, 0);
    qtest_quit(s);
}

static void test_dma_to_device(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    g_assert_cmphex(dma(s, KEY_SIGNATURE << 16 | CONTROL_SELECT | CONTROL_READ, 8, PCI_WINDOW), ==, CONTROL_ERROR);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fw-cfg/items/signature", test_signature);
    g_test_add_func("/fw-cfg/items/wide-reads-are-little-endian", test_wide_read);
    g_test_add_func("/fw-cfg/files/directory-lists-them", test_directory);
    g_test_add_func("/fw-cfg/dma/skips-and-reads", test_dma_skip);
    g_test_add_func("/fw-cfg/dma/register-tells-its-presence", test_dma_signature);
    g_test_add_func("/fw-cfg/dma/hostile-requests-fail", test_hostile_dma);
    g_test_add_func("/fw-cfg/dma/a-device-is-no-target", test_dma_to_device);
    return g_test_run();
}
