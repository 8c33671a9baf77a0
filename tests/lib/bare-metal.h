/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a bare-metal guest in C needs to speak: the serial port of the board, and its clock. */
#ifndef TESTS_LIB_BARE_METAL_H
#define TESTS_LIB_BARE_METAL_H

#include <stdint.h>

#define UART            ((volatile uint8_t *)0x10000000)
#define TIME_PER_SECOND 10000000

static inline uint64_t read_time(void)
{
    uint64_t now;

    __asm__ volatile("rdtime %0" : "=r"(now));
    return now;
}

static inline void print(const char *text)
{
    while (*text) {
        while (!(UART[5] & 0x20)) {
        }
        UART[0] = *text++;
    }
}

static inline void print_number(uint64_t n)
{
    char digits[21];
    char *p = digits + sizeof(digits) - 1;

    *p = 0;
    do {
        *--p = '0' + n % 10;
        n /= 10;
    } while (n);
    print(p);
}

#endif
