/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Printing, and tables of hashes. */
#include "guest.h"

static void put_char(char c)
{
    *(volatile unsigned char *)UART = c;
}

void put_string(const char *s)
{
    while (*s) {
        put_char(*s++);
    }
}

void put_hex(u64 value)
{
    for (int shift = 60; shift >= 0; shift -= 4) {
        put_char("0123456789abcdef"[(value >> shift) & 15]);
    }
    put_char(' ');
}

void test_failed(u64 number)
{
    if (number == 0 || number > 0x7f) {
        number = 0x7f;
    }
    *(volatile u32 *)FINISHER = number << 16 | 0x3333;
    for (;;) {
    }
}

void run_hash_tests(const HashTest *tests, const u64 *expected, unsigned n)
{
    unsigned first_bad = 0;

    for (unsigned i = 0; i < n; i++) {
        u64 hash = tests[i].run();

        if (hash != expected[i]) {
            put_string(tests[i].name);
            put_string(" 0x");
            put_hex(hash);
            put_string("\n");
            first_bad = first_bad ? first_bad : i + 1;
        }
    }
    if (first_bad) {
        test_failed(first_bad);
    }
}
