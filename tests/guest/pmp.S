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

    /* instructions: a word in the middle of a page that may not be fetched, come upon in each way */
    la s1, words
    addi t0, s1, 64
    srli t0, t0, 2
    csrw pmpaddr0, t0
    CFG(OPEN << 16)                     /* as yet it may, and the blocks are made */
    WORKS(1, li a0, 0; jalr s1)
    CHECK(a0, 32)
    CFG((OPEN << 16) | 0x13)            /* NA4: R W */
#define NO_FETCH(from, at, count)                                                                            \
    addi t0, s1, from;                                                                                       \
    li a0, 0;                                                                                                \
    ENTER_MODE(1);                                                                                           \
    la s8, 1f;                                                                                               \
    jr t0;                                                                                                   \
    .balign 4;                                                                                               \
1:  li s8, 0;                                                                                                \
    CHECK(s9, 1);                                                                                            \
    addi t0, s1, 64;                                                                                         \
    CHECK_REG(s10, t0);                                                                                      \
    addi t0, s1, at;                                                                                         \
    CHECK_REG(s11, t0);                                                                                      \
    CHECK(a0, count)
    NO_FETCH(0, 64, 16)                 /* in sequence */
    NO_FETCH(64, 64, 0)
    NO_FETCH(136, 64, 2)                /* by a jump */
    NO_FETCH(152, 64, 1)                /* by a branch back */
    addi t0, s1, 68
    WORKS(1, li a0, 0; jalr t0)         /* what is behind it is free */
    CHECK(a0, 15)
    /* its other half lies in the page before: two bytes of an instruction */
    la s1, halves
    addi t0, s1, 64
    srli t0, t0, 2
    csrw pmpaddr0, t0
    CFG((OPEN << 16) | 0x13)
    NO_FETCH(54, 62, 2)
    CFG((OPEN << 16) | 0x17)
    addi t0, s1, 54
    WORKS(1, li a0, 0; jalr t0)
    CHECK(a0, 4)
    /* M-mode is not held by it */
    CFG((OPEN << 16) | 0x13)
    li a0, 0
    addi t0, s1, 54
    jalr t0
    CHECK(a0, 4)

    /* cache blocks: all of the block counts */
    li t0, 0xf0
    csrw 0x30a, t0
    addi t0, s0, 124
    srli t0, t0, 2
    csrw pmpaddr0, t0
    CFG((OPEN << 16) | 0x10)            /* nothing in the last word of the second block */
    WORKS(1, .insn i 0x0f, 2, x0, s0, 4)
    addi t1, s0, 72
    li t2, -1
    sd t2, 64(s0)
    FAULT(1, 7, .insn i 0x0f, 2, x0, t1, 4)
    CHECK_REG(s10, t1)
    ld t2, 64(s0)
    CHECK(t2, -1)
    FAULT(1, 7, .insn i 0x0f, 2, x0, t1, 1)

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
    /* a locked TOR entry holds the register below it, even when that one's entry is off and not locked */
    la t0, area + 4096
    srli t0, t0, 2
    csrw pmpaddr4, t0
    csrw pmpaddr5, t0
    csrr t0, pmpcfg0
    li t1, 0x88
    slli t1, t1, 40
    or t0, t0, t1
    csrw pmpcfg0, t0
    csrr t1, pmpaddr4
    csrw pmpaddr4, zero
    csrr t2, pmpaddr4
    CHECK_REG(t1, t2)
    csrw pmpaddr6, zero
    csrr t2, pmpaddr6
    CHECK(t2, 0)
    PASS

    .option push
    .option norvc
    .balign 4096
words:
    .rept 32
    addi a0, a0, 1
    .endr
    ret                                 /* 128 */
    ret
    addi a0, a0, 1                      /* 136 */
    addi a0, a0, 1
    j words + 64
    ret
    addi a0, a0, 1                      /* 152 */
    bnez a0, words + 64
    ret
    .balign 4096
halves:
    .space 54
    addi a0, a0, 1
    addi a0, a0, 1
    addi a0, a0, 1                      /* 62 */
    addi a0, a0, 1
    ret
    .option pop

    .bss
    .balign 4096
area: .space 8192
root: .space 4096
