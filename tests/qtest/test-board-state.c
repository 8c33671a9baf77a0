/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The board's devices move in the middle of what they do: all of it is there on the other side. */
#include <string.h>
#include <unistd.h>

#include "tests/qtest/board.h"

#define UART(reg)  (UART_BASE + (reg))
#define FLASH(off) (FLASH_BASE + (off))
#define TICK_NS    100

static void wait_for_status(QTestState *s, const char *status)
{
    for (;;) {
        JsonNode *reply = qtest_qmp_assert_success_ref(s, "{'execute': 'query-migrate'}");
        JsonObject *object = json_node_get_object(reply);
        const char *now =
            json_object_has_member(object, "status") ? json_object_get_string_member(object, "status") : "";
        bool done = !strcmp(now, status);

        g_assert_cmpstr(now, !=, "failed");
        json_node_unref(reply);
        if (done) {
            return;
        }
        g_usleep(1000);
    }
}

/* Moves the machine through a file; @from is ended. */
static QTestState *move(QTestState *from, const char *args)
{
    g_autofree char *path = NULL;
    g_autofree char *uri = NULL;
    QTestState *to;

    close(g_file_open_tmp("move-XXXXXX", &path, NULL));
    uri = g_strdup_printf("file:%s", path);
    qtest_qmp_assert_success(from, "{'execute': 'stop'}");
    qtest_qmp_assert_success(from, "{'execute': 'migrate', 'arguments': {'uri': %s}}", uri);
    wait_for_status(from, "completed");
    qtest_quit(from);
    to = qtest_initf("%s -incoming %s", args, uri);
    wait_for_status(to, "completed");
    qtest_qmp_assert_success(to, "{'execute': 'cont'}");
    unlink(path);
    return to;
}

static void test_serial(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    qtest_writeb(s, UART(2), 0x41);
    qtest_writeb(s, UART(1), 1);
    qtest_writeb(s, UART(4), 0x10);
    qtest_writeb(s, UART(0), 'a');
    qtest_writeb(s, UART(0), 'b');
    s = move(s, BOARD_ARGS);
    g_assert_cmphex(qtest_readb(s, UART(2)), ==, 0xc1);
    qtest_clock_step(s, 1000 * 1000 * 1000); /* the FIFO's timeout was under way */
    g_assert_cmphex(qtest_readb(s, UART(2)), ==, 0xcc);
    g_assert_cmphex(qtest_readb(s, UART(0)), ==, 'a');
    g_assert_cmphex(qtest_readb(s, UART(0)), ==, 'b');
    g_assert_cmphex(qtest_readb(s, UART(5)), ==, 0x60);
    qtest_quit(s);
}

static void test_plic(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    qtest_writel(s, PLIC_BASE + 4 * UART_IRQ, 5);
    qtest_writel(s, PLIC_BASE + 0x2000, 1 << UART_IRQ);
    qtest_writeb(s, UART(1), 2); /* transmitter empty */
    g_assert_cmphex(board_mip(s, 0) & MIP_MEIP, ==, MIP_MEIP);
    s = move(s, BOARD_ARGS);
    g_assert_cmphex(board_mip(s, 0) & MIP_MEIP, ==, MIP_MEIP);
    g_assert_cmpuint(qtest_readl(s, PLIC_BASE + 0x200004), ==, UART_IRQ);
    s = move(s, BOARD_ARGS);
    g_assert_cmphex(board_mip(s, 0) & MIP_MEIP, ==, 0);
    qtest_writel(s, PLIC_BASE + 0x200004, UART_IRQ); /* the line is still high */
    g_assert_cmphex(board_mip(s, 0) & MIP_MEIP, ==, MIP_MEIP);
    qtest_quit(s);
}

static void test_timer(void)
{
    QTestState *s = qtest_init(BOARD_ARGS " -smp 2");

    qtest_writeq(s, MTIME, 1000000);
    qtest_writeq(s, MTIMER_BASE + 8, 1000500);
    qtest_clock_step(s, 100 * TICK_NS);
    s = move(s, BOARD_ARGS " -smp 2");
    g_assert_cmpuint(qtest_readq(s, MTIME), ==, 1000100);
    qtest_clock_step(s, 399 * TICK_NS);
    g_assert_cmphex(board_mip(s, 1) & MIP_MTIP, ==, 0);
    qtest_clock_step(s, TICK_NS);
    g_assert_cmphex(board_mip(s, 1) & MIP_MTIP, ==, MIP_MTIP);
    qtest_quit(s);
}

static void test_software_interrupt(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    qtest_writel(s, CLINT_BASE, 1);
    s = move(s, BOARD_ARGS);
    g_assert_cmphex(board_mip(s, 0) & MIP_MSIP, ==, MIP_MSIP);
    g_assert_cmphex(qtest_readl(s, CLINT_BASE), ==, 1);
    qtest_writel(s, CLINT_BASE, 0);
    g_assert_cmphex(board_mip(s, 0) & MIP_MSIP, ==, 0);
    qtest_quit(s);
}

static void test_flash(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    qtest_writel(s, FLASH(0), 0x00200020);
    qtest_writel(s, FLASH(0), 0x00d000d0);
    qtest_writel(s, FLASH(0x100), 0x00e800e8);
    qtest_writel(s, FLASH(0x100), 0x00010001); /* two words, one of them now */
    qtest_writel(s, FLASH(0x100), 0x11111111);
    s = move(s, BOARD_ARGS);
    qtest_writel(s, FLASH(0x104), 0x22222222);
    qtest_writel(s, FLASH(0x100), 0x00d000d0);
    g_assert_cmphex(qtest_readl(s, FLASH(0)), ==, 0x00800080);
    qtest_writel(s, FLASH(0), 0x00ff00ff);
    g_assert_cmphex(qtest_readl(s, FLASH(0x100)), ==, 0x11111111);
    g_assert_cmphex(qtest_readl(s, FLASH(0x104)), ==, 0x22222222);
    qtest_quit(s);
}

static void test_fw_cfg(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    g_assert_cmphex(qtest_readb(s, FW_CFG_BASE), ==, 'Q');
    s = move(s, BOARD_ARGS);
    g_assert_cmphex(qtest_readb(s, FW_CFG_BASE), ==, 'E');
    qtest_quit(s);
}

static void test_rtc(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    qtest_writel(s, RTC_BASE + 0x10, 1);
    qtest_writel(s, RTC_BASE + 0x0c, 0x7fffffff);
    qtest_writel(s, RTC_BASE + 0x08, 5);
    s = move(s, BOARD_ARGS);
    g_assert_cmphex(qtest_readl(s, RTC_BASE + 0x18), ==, 1);
    g_assert_cmphex(qtest_readl(s, RTC_BASE + 0x0c), ==, 0x7fffffff);
    g_assert_cmphex(qtest_readl(s, RTC_BASE + 0x08), ==, 5);
    qtest_quit(s);
}

static void test_pci(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    qtest_writew(s, ECAM_BASE + 4, 0x406);
    s = move(s, BOARD_ARGS);
    g_assert_cmphex(qtest_readw(s, ECAM_BASE + 4), ==, 0x406);
    qtest_quit(s);
}

static void test_module(void)
{
    const char *args = BOARD_ARGS " -m 128M,slots=1,maxmem=256M -object memory-backend-ram,id=m1,size=64M "
                                  "-device pc-dimm,id=d1,memdev=m1";
    QTestState *s = qtest_init(args);

    qtest_writeq(s, 0xc0000000, 0x123456789abcdef);
    s = move(s, args);
    g_assert_cmphex(qtest_readq(s, 0xc0000000), ==, 0x123456789abcdef);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/board-state/serial/fifo-and-timeout", test_serial);
    g_test_add_func("/board-state/plic/pending-then-claimed", test_plic);
    g_test_add_func("/board-state/aclint/written-time-and-armed-timer", test_timer);
    g_test_add_func("/board-state/aclint/software-interrupt", test_software_interrupt);
    g_test_add_func("/board-state/pflash/half-a-buffered-write", test_flash);
    g_test_add_func("/board-state/fw-cfg/position", test_fw_cfg);
    g_test_add_func("/board-state/rtc/alarm", test_rtc);
    g_test_add_func("/board-state/pci/command-register", test_pci);
    g_test_add_func("/board-state/memory/module", test_module);
    return g_test_run();
}
