/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Physical memory protection: modes of matching, priorities, partial matches, locks, effect on table walks. */
#include "guest.h"

#define FAULT(mode, cause, ...)                                                                              \
    ENTER_MODE(mode);                                                                                        \
    EXPECT_TRAP(cause, __VA_ARGS__)
#define WORKS(mode, ...)                                                                                     \
    ENTER_MODE(mode);                                                                                        \
    __VA_ARGS__;                                                                                             \
    EXPECT_TRAP(8 + mode, ecall)

/* entries 0..7 (cfg bytes in one value); the last one used should open everything */
#define CFG(value)                                                                                           \
    li t6, value;                                                                                            \
    csrw pmpcfg0, t6
/* NAPOT of 2^bits bytes at the address in reg (aligned) into csr */
#define NAPOT(csr, reg, bits)                                                                                \
    srli t5, reg, 2;                                                                                         \
    li t6, (1 << (bits - 3)) - 1;                                                                            \
    or t5, t5, t6;                                                                                           \
    csrw csr, t5

#define OPEN 0x1f

    .text
    .globl test_main
    .balign 4
test_main:
    la s0, area
    li t0, 0x5a5a
    sd t0, 0(s0)
    sd t0, 64(s0)

    /* nothing matches: S and U may nothing, M everything */
    CFG(0)
    la s8, after_fetch              /* S-mode's very first fetch faults */
    ENTER_MODE(1)
    j test_fail
    .balign 4
after_fetch:
    li s8, 0
    CHECK(s9, 1)

    /* NAPOT: read-only, write-only is reserved, none, execute */
    li t6, -1
    csrw pmpaddr1, t6
    NAPOT(pmpaddr0, s0, 12)
    CFG((OPEN << 8) | 0x19)
    WORKS(1, ld t1, 0(s0))
    CHECK(t1, 0x5a5a)
    FAULT(1, 7, sd t1, 8(s0))
    addi t0, s0, 8
    CHECK_REG(s10, t0)
    WORKS(0, ld t1, 0(s0))
    FAULT(0, 7, amoadd.d t1, t1, (s0))
    sd t1, 8(s0)                    /* M-mode is not held by an entry without L */
    CFG((OPEN << 8) | 0x18)
    FAULT(1, 5, ld t1, 0(s0))
    FAULT(1, 5, lr.d t1, (s0))
    CFG((OPEN << 8) | 0x1b)
    WORKS(1, sd t1, 8(s0); ld t2, 8(s0))
    ENTER_MODE(1)
    la s8, 1f
    jr s0
    .balign 4
1:  li s8, 0
    CHECK(s9, 1)
    CHECK_REG(s10, s0)

    /* NA4 in the middle of a page: exactly those bytes */
    addi t0, s0, 64
    srli t0, t0, 2
    csrw pmpaddr0, t0
    CFG((OPEN << 8) | 0x10)
    FAULT(1, 5, lw t1, 64(s0))
    WORKS(1, lw t1, 60(s0))
    WORKS(1, lw t1, 68(s0))
    FAULT(1, 5, ld t1, 64(s0))      /* matches in part */
    FAULT(1, 5, ld t1, 60(s0))
    FAULT(1, 5, lbu t1, 67(s0))
    WORKS(1, lbu t1, 68(s0))

    /* TOR: from the entry below, or from 0 */
    addi t0, s0, 128
    srli t0, t0, 2
    csrw pmpaddr0, t0
    addi t0, s0, 256
    srli t0, t0, 2
    csrw pmpaddr1, t0
    li t0, -1
    csrw pmpaddr2, t0
    CFG((OPEN << 16) | (0x09 << 8))
    WORKS(1, ld t1, 128(s0))
    FAULT(1, 7, sd t1, 128(s0))
    FAULT(1, 7, sd t1, 248(s0))
    WORKS(1, sd t1, 256(s0))
    WORKS(1, sd t1, 120(s0))
    /* an empty range matches nothing */
    addi t0, s0, 256
    srli t0, t0, 2
    csrw pmpaddr0, t0
    addi t0, s0, 128
    srli t0, t0, 2
    csrw pmpaddr1, t0
    WORKS(1, sd t1, 128(s0))
    /* the lowest entry wins */
    NAPOT(pmpaddr0, s0, 6)
    NAPOT(pmpaddr1, s0, 12)
    CFG((OPEN << 16) | (0x18 << 8) | 0x1b)
    WORKS(1, sd t1, 8(s0))
    FAULT(1, 7, sd t1, 64(s0))

    /* MPRV: M-mode's data as S */
    li t6, 3 << 11
    csrc mstatus, t6
    li t6, (1 << 11) | (1 << 17)
    la s8, 1f
    li s9, -1
    csrs mstatus, t6
    ld t1, 64(s0)
    .balign 4
1:  li s8, 0
    li t6, 1 << 17
    csrc mstatus, t6
    CHECK(s9, 5)

    /* table walks are S-mode's reads: the table's page is closed */
    la t0, root
    li t1, (0x80000000 >> 2) | 0xcf
    sd t1, 16(t0)
    srli t1, t0, 12
    li t2, 8
    slli t2, t2, 60
    or t1, t1, t2
    csrw satp, t1
    sfence.vma
    NAPOT(pmpaddr0, s0, 6)
    WORKS(1, ld t1, 0(s0))
    la t0, root
    NAPOT(pmpaddr0, t0, 12)
    CFG((OPEN << 16) | 0x18)
    sfence.vma
    la s8, after_walk
    ENTER_MODE(1)
    j test_fail
    .balign 4
after_walk:
    li s8, 0
    CHECK(s9, 1)
    csrw satp, zero

    /* locks: binds M-mode too, and the registers stand still */
    la t0, area + 4096
    NAPOT(pmpaddr3, t0, 12)
    li t6, (OPEN << 16)
    li t5, 0x99
    slli t5, t5, 24
    or t6, t6, t5
    csrw pmpcfg0, t6
    li t6, (OPEN << 16)
    NAPOT(pmpaddr2, t0, 12)
    la t0, area + 4096
    csrw pmpcfg0, zero              /* entry 2 off: entry 3 decides; it stays */
    csrr t1, pmpcfg0
    srli t1, t1, 24
    CHECK(t1, 0x99)
    ld t1, 0(t0)
    EXPECT_TRAP(7, sd t1, 0(t0))
    csrr t1, pmpaddr3
    csrw pmpaddr3, zero
    csrr t2, pmpaddr3
    CHECK_REG(t1, t2)
    PASS

    .bss
    .balign 4096
area: .space 8192
root: .space 4096
