/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The serial port: sending, receiving, FIFOs, interrupts, loopback. */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/qtest/board.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

typedef struct Port {
    QTestState *s;
    char *dir;
    int fd;
} Port;

static uint8_t get(Port *p, unsigned reg)
{
    return qtest_readb(p->s, UART_BASE + reg);
}

static void put(Port *p, unsigned reg, uint8_t value)
{
    qtest_writeb(p->s, UART_BASE + reg, value);
}

/* The port's other end is p.fd. */
static Port start(void)
{
    Port p = {.dir = g_dir_make_tmp("serial-XXXXXX", NULL)};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_autofree char *path = g_strdup_printf("%s/s", p.dir);

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    p.s = qtest_initf(BOARD_ARGS " -serial unix:%s,server=on,wait=off", path);
    p.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(connect(p.fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    qtest_irq_intercept_out(p.s, "serial");
    return p;
}

static void stop(Port *p)
{
    g_autofree char *path = g_strdup_printf("%s/s", p->dir);

    close(p->fd);
    qtest_quit(p->s);
    unlink(path);
    rmdir(p->dir);
    g_free(p->dir);
}

/* Reads registers until @reg has @bits: input arrives when the emulator's loop comes round. */
static void wait_for(Port *p, unsigned reg, uint8_t bits)
{
    gint64 end = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;

    while ((get(p, reg) & bits) != bits) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
}

static void test_send(void)
{
    Port p = start();
    char got[3];

    for (const char *c = "abc"; *c; c++) {
        put(&p, DATA, *c);
        g_assert_cmphex(get(&p, LSR) & 0x60, ==, 0x60);
    }
    g_assert_cmpint(recv(p.fd, got, sizeof(got), MSG_WAITALL), ==, 3);
    g_assert_cmpmem(got, 3, "abc", 3);
    stop(&p);
}

static void test_receive(void)
{
    Port p = start();

    g_assert_cmpint(write(p.fd, "x", 1), ==, 1);
    wait_for(&p, LSR, 1);
    g_assert_cmphex(get(&p, DATA), ==, 'x');
    g_assert_cmphex(get(&p, LSR) & 1, ==, 0);
    stop(&p);
}

/* Without its FIFO the port takes one byte at a time from the host, and loses none. */
static void test_flow(void)
{
    Port p = start();
    const char *text = "The quick brown fox jumps over the lazy dog.";

    g_assert_cmpint(write(p.fd, text, strlen(text)), ==, strlen(text));
    for (const char *c = text; *c; c++) {
        wait_for(&p, LSR, 1);
        g_assert_cmpint(get(&p, DATA), ==, *c);
    }
    stop(&p);
}

static void test_fifo_trigger(void)
{
    Port p = start();

    put(&p, FCR, 0x41); /* on, trigger level 4 */
    put(&p, IER, 1);
    put(&p, MCR, 0x10); /* loopback: bytes come when we say */
    for (int i = 0; i < 3; i++) {
        put(&p, DATA, i);
    }
    g_assert_false(qtest_get_irq(p.s, 0));
    put(&p, DATA, 3);
    g_assert_true(qtest_get_irq(p.s, 0));
    g_assert_cmphex(get(&p, IIR), ==, 0xc4);
    get(&p, DATA);
    g_assert_false(qtest_get_irq(p.s, 0));
    stop(&p);
}

static void test_fifo_timeout(void)
{
    Port p = start();

    put(&p, FCR, 0x41);
    put(&p, IER, 1);
    put(&p, MCR, 0x10);
    put(&p, DATA, 'x');
    g_assert_false(qtest_get_irq(p.s, 0));
    qtest_clock_step(p.s, 100 * 1000 * 1000);
    g_assert_cmphex(get(&p, IIR), ==, 0xcc);
    g_assert_cmphex(get(&p, DATA), ==, 'x');
    g_assert_cmphex(get(&p, IIR), ==, 0xc1);
    stop(&p);
}

static void test_overrun(void)
{
    Port p = start();

    put(&p, FCR, 0x01);
    put(&p, MCR, 0x10);
    for (int i = 0; i < 17; i++) {
        put(&p, DATA, i);
    }
    g_assert_cmphex(get(&p, LSR) & 3, ==, 3);
    g_assert_cmphex(get(&p, LSR) & 3, ==, 1); /* reading clears it */
    for (int i = 0; i < 16; i++) {
        g_assert_cmphex(get(&p, DATA), ==, i);
    }
    g_assert_cmphex(get(&p, LSR) & 1, ==, 0);
    stop(&p);
}

static void test_transmit_interrupt(void)
{
    Port p = start();

    put(&p, IER, 2);
    g_assert_true(qtest_get_irq(p.s, 0));
    g_assert_cmphex(get(&p, IIR), ==, 0x02);
    g_assert_cmphex(get(&p, IIR), ==, 0x01);
    g_assert_false(qtest_get_irq(p.s, 0));
    put(&p, DATA, 'x');
    g_assert_true(qtest_get_irq(p.s, 0));
    stop(&p);
}

static void test_loopback_modem(void)
{
    Port p = start();

    put(&p, MCR, 0x1f);
    g_assert_cmphex(get(&p, MSR), ==, 0xf0);
    put(&p, MCR, 0x12);
    g_assert_cmphex(get(&p, MSR), ==, 0x10);
    stop(&p);
}

static void test_divisor(void)
{
    Port p = start();

    put(&p, LCR, 0x83);
    put(&p, DATA, 0x34);
    put(&p, IER, 0x12);
    g_assert_cmphex(get(&p, DATA), ==, 0x34);
    g_assert_cmphex(get(&p, IER), ==, 0x12);
    put(&p, LCR, 0x03);
    g_assert_cmphex(get(&p, IER), ==, 0);
    stop(&p);
}

static void test_writable_bits(void)
{
    Port p = start();

    put(&p, IER, 0xf0);
    put(&p, SCR, 0xa5);
    put(&p, LSR, 0);
    g_assert_cmphex(get(&p, IER), ==, 0);
    g_assert_cmphex(get(&p, SCR), ==, 0xa5);
    g_assert_cmphex(get(&p, LSR), ==, 0x60);
    stop(&p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/serial/send/arrives-in-order", test_send);
    g_test_add_func("/serial/receive/byte-arrives", test_receive);
    g_test_add_func("/serial/receive/without-fifo-loses-none", test_flow);
    g_test_add_func("/serial/fifo/interrupts-at-trigger-level", test_fifo_trigger);
    g_test_add_func("/serial/fifo/times-out-below-it", test_fifo_timeout);
    g_test_add_func("/serial/fifo/overrun-keeps-what-was-there", test_overrun);
    g_test_add_func("/serial/interrupt/transmitter-empty-is-told-once", test_transmit_interrupt);
    g_test_add_func("/serial/loopback/modem-lines-come-back", test_loopback_modem);
    g_test_add_func("/serial/registers/divisor-is-behind-dlab", test_divisor);
    g_test_add_func("/serial/registers/only-writable-bits-change", test_writable_bits);
    return g_test_run();
}
