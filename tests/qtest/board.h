/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the virt board's devices are, for their tests. */
#ifndef TESTS_QTEST_BOARD_H
#define TESTS_QTEST_BOARD_H

#include "tests/lib/libqtest.h"

#define BOARD_ARGS "-M virt -nodefaults -bios none"

#define MROM_BASE     0x1000
#define FINISHER_BASE 0x100000
#define RTC_BASE      0x101000
#define CLINT_BASE    0x2000000
#define MTIMER_BASE   0x2004000
#define MTIME         0x200bff8
#define SSWI_BASE     0x2f00000
#define PLIC_BASE     0xc000000
#define UART_BASE     0x10000000
#define FW_CFG_BASE   0x10100000
#define FLASH_BASE    0x20000000
#define ECAM_BASE     0x30000000
#define RAM_BASE      0x80000000

#define UART_IRQ 10
#define RTC_IRQ  11

/* Interrupt-pending bits of a hart. */
enum { MIP_SSIP = 1 << 1, MIP_MSIP = 1 << 3, MIP_MTIP = 1 << 7, MIP_SEIP = 1 << 9, MIP_MEIP = 1 << 11 };

static inline uint64_t board_mip(QTestState *s, int hart)
{
    uint64_t mip = 0;

    g_assert_cmpuint(qtest_csr_call(s, "get_csr", hart, 0x344, &mip), ==, 0);
    return mip;
}

/* Whether the PLIC has @source pending. */
static inline bool board_plic_pending(QTestState *s, unsigned source)
{
    return qtest_readl(s, PLIC_BASE + 0x1000 + source / 32 * 4) >> (source % 32) & 1;
}

/* The source was seen and is wanted no more: claims and completes it in context 0, whatever it is. */
static inline uint32_t board_plic_take(QTestState *s)
{
    uint32_t source = qtest_readl(s, PLIC_BASE + 0x200004);

    qtest_writel(s, PLIC_BASE + 0x200004, source);
    return source;
}

#endif
