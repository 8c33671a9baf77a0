/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The qtest protocol itself: memory in every width, time by hand, and lines that make no sense. */
#include <string.h>

#include "tests/lib/libqtest.h"

#define ARGS "-M virt -m 64M -nodefaults -bios none"
#define RAM  UINT64_C(0x80000000)

static void assert_reply(QTestState *s, const char *command, const char *start)
{
    g_autofree char *reply = qtest_command(s, "%s", command);

    if (!g_str_has_prefix(reply, start)) {
        g_error("'%s' was answered '%s', not '%s'", command, reply, start);
    }
}

static void test_widths(void)
{
    QTestState *s = qtest_init(ARGS);

    qtest_writeq(s, RAM, UINT64_C(0x1122334455667788));
    g_assert_cmphex(qtest_readq(s, RAM), ==, UINT64_C(0x1122334455667788));
    g_assert_cmphex(qtest_readl(s, RAM), ==, 0x55667788);
    g_assert_cmphex(qtest_readw(s, RAM + 2), ==, 0x5566);
    g_assert_cmphex(qtest_readb(s, RAM + 7), ==, 0x11);
    qtest_writeb(s, RAM, 0xaa);
    qtest_writew(s, RAM + 2, 0xbbcc);
    qtest_writel(s, RAM + 4, 0xdddddddd);
    g_assert_cmphex(qtest_readq(s, RAM), ==, UINT64_C(0xddddddddbbcc77aa));
    g_assert_false(qtest_big_endian(s));
    qtest_quit(s);
}

static void test_blocks(void)
{
    uint8_t out[5000], in[5000];
    QTestState *s = qtest_init(ARGS);

    for (size_t i = 0; i < sizeof(out); i++) {
        out[i] = (uint8_t)(i * 7 + i / 256);
    }
    qtest_memwrite(s, RAM + 100, out, sizeof(out));
    qtest_memread(s, RAM + 100, in, sizeof(in));
    g_assert_cmpmem(in, sizeof(in), out, sizeof(out));
    qtest_bufread(s, RAM + 100, in, sizeof(in));
    g_assert_cmpmem(in, sizeof(in), out, sizeof(out));
    qtest_bufwrite(s, RAM + 9000, out, sizeof(out));
    qtest_memread(s, RAM + 9000, in, sizeof(in));
    g_assert_cmpmem(in, sizeof(in), out, sizeof(out));
    qtest_memset(s, RAM + 9000, 0x5a, 10);
    g_assert_cmphex(qtest_readb(s, RAM + 9009), ==, 0x5a);
    g_assert_cmphex(qtest_readb(s, RAM + 9010), ==, out[10]);
    qtest_quit(s);
}

static void test_nobody_there(void)
{
    QTestState *s = qtest_init(ARGS);

    assert_reply(s, "readl 0x50000", "OK 0x0000000000000000");
    assert_reply(s, "writel 0xfffffffffffffffc 1", "OK");
    assert_reply(s, "inl 0x3f8", "OK 0x");
    qtest_quit(s);
}

static void test_time(void)
{
    QTestState *s = qtest_init(ARGS);
    int64_t start = qtest_clock_step(s, 0);

    g_assert_cmpint(qtest_clock_step(s, 1000), ==, start + 1000);
    g_assert_cmpint(qtest_clock_set(s, start + 5000000), ==, start + 5000000);
    g_assert_cmpint(qtest_clock_step_next(s), >=, start + 5000000);
    g_assert_cmpint(qtest_clock_set(s, start), >=, start + 5000000); /* time does not go back */
    qtest_quit(s);
}

static void test_nonsense(void)
{
    static const char *const lines[] = {"nonsense",
                                        "",
                                        "   ",
                                        "readb",
                                        "readb x",
                                        "readb 0x",
                                        "writeb 1",
                                        "writeb 1 z",
                                        "read 0x80000000",
                                        "read 0x80000000 0xffffffffffffffff",
                                        "write 0x80000000 4",
                                        "write 0x80000000 4 xyz",
                                        "write 0x80000000 2 0xgggg",
                                        "b64write 0x80000000 4 A",
                                        "b64read 0 -1",
                                        "memset 0 1",
                                        "clock_step -5",
                                        "clock_step x",
                                        "clock_set",
                                        "clock_set -1",
                                        "irq_intercept_in",
                                        "irq_intercept_in /nowhere",
                                        "set_irq_in /nowhere unnamed-gpio-in 0 1",
                                        "csr",
                                        "csr get_csr 99 0x300 0",
                                        "csr frob 0 0x300 0",
                                        "module_load a b",
                                        "a b c d e f g h i j k l m n"};
    QTestState *s = qtest_init(ARGS);

    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        assert_reply(s, lines[i], "FAIL");
    }
    assert_reply(s, "endianness", "OK little");
    qtest_quit(s);
}

static void test_csr(void)
{
    QTestState *s = qtest_init(ARGS);
    uint64_t value = UINT64_C(0x123456789);

    g_assert_cmpuint(qtest_csr_call(s, "set_csr", 0, 0x340, &value), ==, 0); /* mscratch */
    value = 0;
    g_assert_cmpuint(qtest_csr_call(s, "get_csr", 0, 0x340, &value), ==, 0);
    g_assert_cmphex(value, ==, UINT64_C(0x123456789));
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qtest/memory/all-widths", test_widths);
    g_test_add_func("/qtest/memory/blocks", test_blocks);
    g_test_add_func("/qtest/memory/nobody-there", test_nobody_there);
    g_test_add_func("/qtest/clock/moves-by-hand", test_time);
    g_test_add_func("/qtest/csr/round-trips", test_csr);
    g_test_add_func("/qtest/lines/nonsense-fails", test_nonsense);
    return g_test_run();
}
