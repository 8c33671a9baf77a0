/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What only "-cpu max" offers or tells: Svnapot, Svpbmt, Svinval, Sv57, Smepmp, Smstateen, Zimop, Zcmop, Zcb. */
#include "guest.h"

#define TEST_VA 0x40000000
#define LEAF_AD 0xc7 /* V R W A D */

#define FAULT(mode, cause, ...)                                                                              \
    ENTER_MODE(mode);                                                                                        \
    EXPECT_TRAP(cause, __VA_ARGS__)
#define WORKS(mode, ...)                                                                                     \
    ENTER_MODE(mode);                                                                                        \
    __VA_ARGS__;                                                                                             \
    EXPECT_TRAP(8 + mode, ecall)

    .text
    .globl test_main
    .balign 4
test_main:
    csrr t0, misa
    andi t0, t0, 2
    CHECK(t0, 2)                /* B: all of Zba, Zbb, Zbs */

    /* may-be-operations give zero; c.mop does nothing */
    li t0, 5
    .word 0x81c2c2f3 | 0        /* mop.r.0 t0, t0 */
    CHECK(t0, 0)
    li t0, 5
    .word 0x8252c2f3            /* mop.rr.0 t0, t0, t0 */
    CHECK(t0, 0)
    .half 0x6081                /* c.mop.1 */

    /* Zcb */
    li a0, 0xffffffffffff8382
    .half 0x9d61                /* c.zext.b a0 */
    CHECK(a0, 0x82)
    .half 0x9d65                /* c.sext.b a0 */
    CHECK(a0, -126)
    .half 0x9d75                /* c.not a0 */
    CHECK(a0, 125)
    li a1, 3
    .half 0x9d4d                /* c.mul a0, a1 */
    CHECK(a0, 375)
    la a1, page_a
    li a2, 0x8081
    .half 0x8d90                /* c.sh a2, 0(a1) */
    .half 0x8590                /* c.lhu a2 */
    CHECK(a2, 0x8081)

    /* tables */
    OPEN_PMP
    la t0, root
    la t1, level1
    srli t1, t1, 2
    ori t1, t1, 1
    sd t1, 8(t0)
    li t1, (0x80000000 >> 2) | 0xcf
    sd t1, 16(t0)
    la t0, level1
    la t1, level0
    srli t1, t1, 2
    ori t1, t1, 1
    sd t1, 0(t0)
    la t0, root
    srli t0, t0, 12
    li t1, 8
    slli t1, t1, 60
    or s6, t0, t1
    csrw satp, s6
    sfence.vma
    li s0, TEST_VA

    /* Svnapot: sixteen equal entries map 64 KiB */
    la t0, napot
    li t1, 0x8000
    add t0, t0, t1
    srli t0, t0, 2
    ori t0, t0, LEAF_AD
    li t1, 1
    slli t1, t1, 63
    or t0, t0, t1
    la t1, level0
    li t2, 16
1:  sd t0, 0(t1)
    addi t1, t1, 8
    addi t2, t2, -1
    bnez t2, 1b
    sfence.vma
    la t3, napot
    li t4, 0x5000
    add t5, t3, t4
    li t6, 0x77
    sd t6, 0(t5)
    add t4, s0, t4
    WORKS(1, ld t1, 0(t4))
    CHECK(t1, 0x77)
    li t4, TEST_VA + 0xf008
    li t1, 0x99
    WORKS(1, sd t1, 0(t4))
    li t4, 0xf008
    add t4, t4, t3
    ld t1, 0(t4)
    CHECK(t1, 0x99)
    la t1, level0               /* a size that does not exist */
    ld t0, 0(t1)
    li t2, 0x4000 >> 2
    or t0, t0, t2
    sd t0, 0(t1)
    sfence.vma
    FAULT(1, 13, ld t1, 0(s0))

    /* Svpbmt: reserved without PBMTE, and as 3 */
    li t0, 1
    slli t0, t0, 62
    csrc 0x30a, t0
    la t0, page_a
    srli t0, t0, 2
    ori t0, t0, LEAF_AD
    li t1, 1
    slli t1, t1, 61
    or t0, t0, t1
    la t1, level0
    sd t0, 0(t1)
    sfence.vma
    FAULT(1, 13, ld t1, 0(s0))
    li t0, 1
    slli t0, t0, 62
    csrs 0x30a, t0
    sfence.vma
    WORKS(1, ld t1, 0(s0))
    la t1, level0
    ld t0, 0(t1)
    li t2, 3
    slli t2, t2, 61
    or t0, t0, t2
    sd t0, 0(t1)
    sfence.vma
    FAULT(1, 13, ld t1, 0(s0))

    /* Svinval */
    la t0, page_a
    srli t0, t0, 2
    ori t0, t0, LEAF_AD
    la t1, level0
    sd t0, 0(t1)
    .word 0x18000073            /* sfence.w.inval */
    .word 0x16040073            /* sinval.vma s0, zero */
    .word 0x18100073            /* sfence.inval.ir */
    WORKS(1, ld t1, 0(s0))
    csrw satp, zero
    csrw satp, zero
    FAULT(0, 2, .word 0x18000073)
    FAULT(0, 2, .word 0x16040073)

    /* Sv57 */
    la t0, root57
    la t1, root48
    srli t2, t1, 2
    ori t2, t2, 1
    sd t2, 0(t0)
    la t2, root
    srli t2, t2, 2
    ori t2, t2, 1
    sd t2, 0(t1)
    srli t0, t0, 12
    li t1, 10
    slli t1, t1, 60
    or t0, t0, t1
    csrw satp, t0
    csrr t1, satp
    CHECK_REG(t1, t0)
    sfence.vma
    WORKS(1, ld t1, 0(s0))
    li t0, 1 << 56
    FAULT(1, 13, ld t1, 0(t0))
    csrw satp, zero

    /* Smstateen */
    csrw 0x30c, zero
    FAULT(1, 2, csrr t0, 0x10a)
    FAULT(1, 2, csrr t0, 0x10c)
    li t0, 3
    slli t0, t0, 62
    csrs 0x30c, t0
    WORKS(1, csrr t0, 0x10a; csrr t0, 0x10c)

    /* Smepmp: RLB lets a locked entry be changed; MML gives L another meaning */
    csrwi 0x747, 4
    csrr t0, 0x747
    CHECK(t0, 4)
    la t0, page_b
    srli t0, t0, 2
    ori t0, t0, 0x1ff
    csrw pmpaddr1, t0
    li t0, -1
    csrw pmpaddr2, t0
    li t0, (0x80000000 >> 2) | 0xfff
    csrw pmpaddr0, t0
    la s1, page_b
    /* 0: M may read and execute the code (L R X); the old entry 0 goes */
    li t0, 0x9d
    csrw pmpcfg0, t0
    csrsi 0x747, 1
    csrr t0, 0x747
    andi t0, t0, 1
    CHECK(t0, 1)
    /* 1: page_b for S and U only (R W); 2: the rest is everybody's data (W X, which is reserved without MML) */
    li t0, 0x9d | (0x1b << 8) | (0x1e << 16)
    csrw pmpcfg0, t0
    csrr t1, pmpcfg0
    CHECK_REG(t1, t0)
    EXPECT_TRAP(5, ld t1, 0(s1))        /* M may not touch what is S's */
    la t0, page_code
    la s8, 1f
    jr t0                               /* nor execute outside its own */
    .balign 4
1:  li s8, 0
    CHECK(s9, 1)
    la t0, page_a
    ld t1, 0(t0)
    csrci 0x747, 1                      /* sticky */
    csrr t0, 0x747
    andi t0, t0, 1
    CHECK(t0, 1)
    PASS

    .bss
    .balign 65536
napot:  .space 65536
root:   .space 4096
root48: .space 4096
root57: .space 4096
level1: .space 4096
level0: .space 4096
page_a: .space 4096
page_b: .space 4096
page_code: .space 4096
