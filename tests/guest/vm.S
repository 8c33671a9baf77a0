/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtual memory: Sv39 and Sv48, permissions, A and D bits, SUM, MXR, MPRV, superpages, flushes.
 *
 * Code runs identity-mapped by a 1 GiB page of S-mode; the pages under test lie at 0x40000000 (Sv39 index 1).
 */
#include "guest.h"

#define V 1
#define R 2
#define W 4
#define X 8
#define U 16
#define G 32
#define A 64
#define D 128

#define TEST_VA 0x40000000

/* sets the leaf of page n under test to @page with @flags; clobbers t5, t6 */
#define LEAF(n, page, flags)                                                                                 \
    la t5, page;                                                                                             \
    srli t5, t5, 2;                                                                                          \
    li t6, flags;                                                                                            \
    or t5, t5, t6;                                                                                           \
    la t6, level0;                                                                                           \
    sd t5, (8 * n)(t6);                                                                                      \
    sfence.vma

/* a load or store or fetch from S-mode (1) or U-mode (0) that must fault */
#define FAULT(mode, cause, ...)                                                                              \
    ENTER_MODE(mode);                                                                                        \
    EXPECT_TRAP(cause, __VA_ARGS__)
/* ... that must work; back to M-mode by ecall */
#define WORKS(mode, ...)                                                                                     \
    ENTER_MODE(mode);                                                                                        \
    __VA_ARGS__;                                                                                             \
    EXPECT_TRAP(8 + mode, ecall)

    .text
    .globl test_main
    .balign 4
test_main:
    OPEN_PMP
    /* ADUE off: A and D are the software's */
    li t0, 1
    slli t0, t0, 61
    csrc 0x30a, t0

    /* root: [1] -> level1, [2] = 1 GiB of RAM for S; U code gets its own mapping at [3] */
    la t0, level1
    srli t0, t0, 2
    ori t0, t0, V
    la t1, root
    sd t0, 8(t1)
    li t0, (0x80000000 >> 2) | V | R | W | X | A | D
    sd t0, 16(t1)
    li t0, (0x80000000 >> 2) | V | R | W | X | A | D | U
    sd t0, 24(t1)
    la t0, level0
    srli t0, t0, 2
    ori t0, t0, V
    la t1, level1
    sd t0, 0(t1)
    la t0, root
    srli t0, t0, 12
    li t1, 8
    slli t1, t1, 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    mv s6, t0

    la t0, page_a
    li t1, 0x1111
    sd t1, 0(t0)
    la t0, page_b
    li t1, 0x2222
    sd t1, 0(t0)
    li s0, TEST_VA

    /* plain */
    LEAF(0, page_a, V | R | W | A | D)
    WORKS(1, ld t1, 0(s0))
    CHECK(t1, 0x1111)
    li t2, 0x3333
    WORKS(1, sd t2, 8(s0))
    la t0, page_a
    ld t1, 8(t0)
    CHECK(t1, 0x3333)

    /* not valid, read-only, write without read, execute-only */
    LEAF(0, page_a, R | W | A | D)
    FAULT(1, 13, ld t1, 24(s0))
    addi t0, s0, 24
    CHECK_REG(s10, t0)
    FAULT(1, 15, sd t1, 32(s0))
    addi t0, s0, 32
    CHECK_REG(s10, t0)
    FAULT(1, 15, amoadd.d t1, t1, (s0))
    FAULT(1, 13, lr.d t1, (s0))
    LEAF(0, page_a, V | R | A | D)
    WORKS(1, ld t1, 0(s0))
    FAULT(1, 15, sd t1, 0(s0))
    FAULT(1, 15, amoadd.d t1, t1, (s0))
    LEAF(0, page_a, V | W | A | D)
    FAULT(1, 13, ld t1, 0(s0))
    LEAF(0, page_a, V | X | A | D)
    FAULT(1, 13, ld t1, 0(s0))
    li t0, 1 << 19                  /* MXR */
    csrs mstatus, t0
    WORKS(1, ld t1, 0(s0))
    CHECK(t1, 0x1111)
    li t0, 1 << 19
    csrc mstatus, t0
    FAULT(1, 13, ld t1, 0(s0))

    /* fetch */
    LEAF(0, page_code, V | R | A | D)
    FAULT(1, 12, jr s0)
    CHECK_REG(s10, s0)
    CHECK_REG(s11, s0)
    LEAF(0, page_code, V | R | X | A | D)
    ENTER_MODE(1)
    jalr s0
    CHECK(a0, 99)
    EXPECT_TRAP(9, ecall)
    LEAF(0, page_code, V | R | X | A | D | U)
    FAULT(1, 12, jr s0)            /* S never executes U pages */

    /* an instruction that straddles into a page that is not there, then is */
    LEAF(0, page_straddle, V | R | X | A | D)
    LEAF(1, page_b, 0)
    li t1, TEST_VA + 4094
    ENTER_MODE(1)
    la s8, 1f
    jr t1
    .balign 4
1:  li s8, 0
    CHECK(s9, 12)
    li t1, TEST_VA + 4096
    CHECK_REG(s10, t1)
    addi t1, t1, -2
    CHECK_REG(s11, t1)
    LEAF(1, page_straddle2, V | R | X | A | D)
    ENTER_MODE(1)
    jalr t1
    CHECK(a0, 0x123)
    EXPECT_TRAP(9, ecall)

    /* U bit and SUM */
    LEAF(0, page_a, V | R | W | A | D | U)
    LEAF(1, page_b, V | R | W | A | D)
    FAULT(1, 13, ld t1, 0(s0))
    FAULT(1, 15, sd t1, 0(s0))
    li t0, 1 << 18
    csrs mstatus, t0
    li t1, 0
    WORKS(1, ld t1, 0(s0))
    CHECK(t1, 0x1111)
    li t0, 1 << 18
    csrc mstatus, t0
    FAULT(1, 13, ld t1, 0(s0))
    ENTER_MODE(1)                   /* toggled by S itself, in one block */
    lui t0, 0x40
    csrs sstatus, t0
    ld t1, 0(s0)
    csrc sstatus, t0
    EXPECT_TRAP(13, ld t2, 0(s0))
    CHECK(t1, 0x1111)

    /* U-mode, by way of its alias of the code */
#define IN_U(...)                                                                                            \
    li t6, 3 << 11;                                                                                          \
    csrc mstatus, t6;                                                                                        \
    la t5, 7f;                                                                                               \
    li t6, 0x40000000;                                                                                       \
    add t5, t5, t6;                                                                                          \
    csrw mepc, t5;                                                                                           \
    la s8, 9f;                                                                                               \
    mret;                                                                                                    \
    .balign 4;                                                                                               \
7:  __VA_ARGS__;                                                                                             \
    ecall;                                                                                                   \
    .balign 4;                                                                                               \
9:  li s8, 0
    IN_U(ld t1, 0(s0))
    CHECK(s9, 8)
    CHECK(t1, 0x1111)
    li t2, TEST_VA + 4096
    IN_U(ld t1, 0(t2))
    CHECK(s9, 13)
    CHECK_REG(s10, t2)
    IN_U(la t3, root; sd t1, 0(t3))
    CHECK(s9, 8)                    /* la is pc-relative: the alias is its own */
    la t3, root
    IN_U(ld t1, 0(t3))
    CHECK(s9, 13)

    /* accesses over a page boundary: the fault names the second page */
    LEAF(1, page_b, 0)
    li t2, TEST_VA + 4092
    IN_U(sd t1, 0(t2))
    CHECK(s9, 15)
    li t3, TEST_VA + 4096
    CHECK_REG(s10, t3)
    LEAF(1, page_b, V | R | W | A | D | U)
    li t1, 0x5566778899aabbcc
    IN_U(sd t1, 0(t2); ld t4, 0(t2))
    CHECK(s9, 8)
    CHECK_REG(t4, t1)
    la t3, page_a
    li t4, 4092
    add t3, t3, t4
    lwu t4, 0(t3)
    CHECK(t4, 0x99aabbcc)
    la t3, page_b
    lwu t4, 0(t3)
    CHECK(t4, 0x55667788)
    li t4, 0x2222
    sd t4, 0(t3)

    /* A and D by software */
    LEAF(0, page_a, V | R | W)
    FAULT(1, 13, ld t1, 0(s0))
    LEAF(0, page_a, V | R | W | A)
    WORKS(1, ld t1, 0(s0))
    FAULT(1, 15, sd t1, 0(s0))
    /* and by hardware */
    li t0, 1
    slli t0, t0, 61
    csrs 0x30a, t0
    csrr t1, 0x30a
    and t1, t1, t0
    beqz t1, no_adue
    LEAF(0, page_a, V | R | W)
    WORKS(1, ld t1, 0(s0))
    la t0, level0
    ld t1, 0(t0)
    andi t1, t1, 0xff
    CHECK(t1, V | R | W | A)
    li t1, 0x1111
    WORKS(1, sd t1, 0(s0))
    la t0, level0
    ld t1, 0(t0)
    andi t1, t1, 0xff
    CHECK(t1, V | R | W | A | D)
    LEAF(0, page_a, V | R)
    FAULT(1, 15, sd t1, 0(s0))
    la t0, level0
    ld t1, 0(t0)
    andi t1, t1, 0xff
    CHECK(t1, V | R)                /* a store that may not sets nothing */
    FAULT(1, 15, amoor.d t1, zero, (s0))
    la t0, level0
    ld t1, 0(t0)
    andi t1, t1, 0xff
    CHECK(t1, V | R)                /* nor does an AMO, though it would also read */
    FAULT(1, 15, lr.d t1, (s0); sc.d t1, t1, (s0))
    la t0, level0
    ld t1, 0(t0)
    andi t1, t1, 0xff
    CHECK(t1, V | R | A)            /* while LR is a read */
    li t0, 1
    slli t0, t0, 61
    csrc 0x30a, t0
no_adue:

    /* MPRV: M-mode's data goes as MPP's */
    LEAF(0, page_a, V | R | W | A | D)
#define MPRV_LOAD(mpp, ...)                                                                                  \
    li t6, 3 << 11;                                                                                          \
    csrc mstatus, t6;                                                                                        \
    li t6, (mpp << 11) | (1 << 17);                                                                          \
    la s8, 9f;                                                                                               \
    li s9, -1;                                                                                               \
    csrs mstatus, t6;                                                                                        \
    __VA_ARGS__;                                                                                             \
    .balign 4;                                                                                               \
9:  li s8, 0;                                                                                                \
    li t6, 1 << 17;                                                                                          \
    csrc mstatus, t6
    MPRV_LOAD(1, ld t1, 0(s0))
    CHECK(t1, 0x1111)
    MPRV_LOAD(0, ld t1, 0(s0))
    CHECK(s9, 13)
    LEAF(0, page_a, V | R | W | A | D | U)
    MPRV_LOAD(0, ld t1, 0(s0))
    CHECK(s9, -1)
    MPRV_LOAD(1, ld t1, 0(s0))
    CHECK(s9, 13)
    li t6, 3 << 11                  /* MPP = M: as ever */
    csrs mstatus, t6
    li t6, 1 << 17
    csrs mstatus, t6
    la t0, page_b
    ld t1, 0(t0)
    csrc mstatus, t6
    CHECK(t1, 0x2222)

    /* Svvptc: what became valid is seen without a fence, by loads, stores and fetches, in all levels of the table */
#define BECOMES_VALID(page, flags)                                                                           \
    la t5, page;                                                                                             \
    srli t5, t5, 2;                                                                                          \
    ori t5, t5, flags;                                                                                       \
    la t6, level0;                                                                                           \
    sd t5, 0(t6)
    LEAF(0, page_a, 0)
    FAULT(1, 13, ld t1, 0(s0))
    BECOMES_VALID(page_a, V | R | W | A | D)
    WORKS(1, ld t1, 0(s0))
    CHECK(t1, 0x1111)
    LEAF(0, page_a, 0)
    li t1, 0x1111
    FAULT(1, 15, sd t1, 0(s0))
    BECOMES_VALID(page_a, V | R | W | A | D)
    WORKS(1, sd t1, 0(s0))
    LEAF(0, page_code, 0)
    FAULT(1, 12, jr s0)
    BECOMES_VALID(page_code, V | R | X | A | D)
    ENTER_MODE(1)
    jalr s0
    CHECK(a0, 99)
    EXPECT_TRAP(9, ecall)
    LEAF(0, page_a, V | R | W | A | D)
    la t3, level1
    ld t4, 0(t3)
    sd zero, 0(t3)
    sfence.vma
    FAULT(1, 13, ld t1, 0(s0))
    la t3, level1
    sd t4, 0(t3)
    WORKS(1, ld t1, 0(s0))
    CHECK(t1, 0x1111)

    /* a stale entry may stay until sfence, but not after; by address, by ASID, global */
    LEAF(0, page_a, V | R | W | A | D)
    WORKS(1, ld t1, 0(s0))
    LEAF(0, page_b, V | R | W | A | D)
    WORKS(1, ld t1, 0(s0))
    CHECK(t1, 0x2222)
    la t5, page_a
    srli t5, t5, 2
    ori t5, t5, V | R | W | A | D
    la t6, level0
    sd t5, 0(t6)
    sfence.vma s0
    WORKS(1, ld t1, 0(s0))
    CHECK(t1, 0x1111)
    la t5, page_b
    srli t5, t5, 2
    ori t5, t5, V | R | W | A | D
    la t6, level0
    sd t5, 0(t6)
    li t0, 0
    sfence.vma s0, t0
    WORKS(1, ld t1, 0(s0))
    CHECK(t1, 0x2222)
    la t5, page_a
    srli t5, t5, 2
    ori t5, t5, V | R | W | A | D
    la t6, level0
    sd t5, 0(t6)
    li t0, 0
    sfence.vma zero, t0
    WORKS(1, ld t1, 0(s0))
    CHECK(t1, 0x1111)

    /* two ASIDs: each sees its own */
    la t0, root
    la t1, root2
    ld t2, 16(t0)
    sd t2, 16(t1)
    ld t2, 24(t0)
    sd t2, 24(t1)
    la t2, level1b
    srli t2, t2, 2
    ori t2, t2, V
    sd t2, 8(t1)
    la t1, level1b
    la t2, level0b
    srli t2, t2, 2
    ori t2, t2, V
    sd t2, 0(t1)
    la t1, level0b
    la t2, page_b
    srli t2, t2, 2
    ori t2, t2, V | R | W | A | D
    sd t2, 0(t1)
    la t0, root2
    srli t0, t0, 12
    li t1, (8 << 16) | 7
    slli t1, t1, 44
    or s7, t0, t1
    li s5, 100
1:  csrw satp, s7
    WORKS(1, ld t1, 0(s0))
    CHECK(t1, 0x2222)
    csrw satp, s6
    WORKS(1, ld t1, 0(s0))
    CHECK(t1, 0x1111)
    addi s5, s5, -1
    bnez s5, 1b

    /* superpage of 2 MiB off its alignment; on it */
    la t1, level1
    li t0, ((0x80000000 + 4096) >> 2) | V | R | A | D
    sd t0, 8(t1)
    li t0, (0x80000000 >> 2) | V | R | A | D
    sd t0, 16(t1)
    sfence.vma
    li t0, TEST_VA + 0x200000
    FAULT(1, 13, ld t1, 0(t0))
    li t0, TEST_VA + 0x400000
    la t2, page_b
    li t1, 0x80000000
    sub t2, t2, t1
    add t0, t0, t2
    WORKS(1, ld t1, 0(t0))
    CHECK(t1, 0x2222)

    /* addresses that are not canonical; reserved bits; a leaf missing at the last level */
    li t0, 1 << 45
    FAULT(1, 13, ld t1, 0(t0))
    CHECK_REG(s10, t0)
    la t1, level0
    ld t2, 0(t1)
    li t0, 1
    slli t0, t0, 57
    or t0, t0, t2
    sd t0, 0(t1)
    sfence.vma
    FAULT(1, 13, ld t1, 0(s0))
    la t1, level0
    srli t0, t1, 2
    ori t0, t0, V
    sd t0, 0(t1)
    sfence.vma
    FAULT(1, 13, ld t1, 0(s0))

    /* every reserved bit of a leaf; PBMT while menvcfg.PBMTE is clear; W and X without R */
    LEAF(0, page_a, V | R | W | A | D)
    WORKS(1, ld t1, 0(s0))
    li s5, 54
1:  la t1, level0
    ld t2, 0(t1)
    li t0, 1
    sll t0, t0, s5
    xor t0, t0, t2
    sd t0, 0(t1)
    sfence.vma
    mv s7, t2
    FAULT(1, 13, ld t1, 0(s0))
    la t1, level0
    sd s7, 0(t1)
    addi s5, s5, 1
    li t0, 63
    bne s5, t0, 1b
    LEAF(0, page_a, V | W | X | A | D)
    FAULT(1, 15, sd t1, 0(s0))
    FAULT(1, 13, ld t1, 0(s0))

    /* a pointer to a table: A, D and U are reserved, and so are the bits above the page number; G is not */
    LEAF(0, page_a, V | R | W | A | D)
#define POINTER(bits)                                                                                        \
    la t1, level0;                                                                                           \
    srli t1, t1, 2;                                                                                          \
    li t2, V | bits;                                                                                         \
    or t1, t1, t2;                                                                                           \
    la t2, level1;                                                                                           \
    sd t1, 0(t2);                                                                                            \
    sfence.vma
    POINTER(A)
    FAULT(1, 13, ld t1, 0(s0))
    POINTER(D)
    FAULT(1, 15, sd t1, 0(s0))
    POINTER(U)
    FAULT(1, 13, ld t1, 0(s0))
    POINTER((1 << 63))
    FAULT(1, 13, ld t1, 0(s0))
    POINTER((1 << 61))
    FAULT(1, 13, ld t1, 0(s0))
    POINTER((1 << 54))
    FAULT(1, 13, ld t1, 0(s0))
    POINTER(W)
    FAULT(1, 13, ld t1, 0(s0))
    POINTER(G)
    WORKS(1, ld t1, 0(s0))
    POINTER(0)
    WORKS(1, ld t1, 0(s0))

    /* MXR and SUM are asked separately; neither lets S-mode execute what is U's */
    LEAF(0, page_a, V | X | A | D | U)
    li t0, 1 << 19
    csrs mstatus, t0
    FAULT(1, 13, ld t1, 0(s0))
    li t0, 1 << 18
    csrs mstatus, t0
    WORKS(1, ld t1, 0(s0))
    FAULT(1, 15, sd t1, 0(s0))
    FAULT(1, 12, jr s0)
    li t0, 1 << 19
    csrc mstatus, t0
    FAULT(1, 13, ld t1, 0(s0))
    li t0, 1 << 18
    csrc mstatus, t0

    /* 1 GiB off its alignment; the upper half; the edges of the canonical halves, for data and for code */
    la t1, root
    li t0, ((0x80000000 + 0x200000) >> 2) | V | R | A | D
    sd t0, 40(t1)
    li t2, 511 * 8
    add t2, t2, t1
    li t0, (0x80000000 >> 2) | V | R | A | D
    sd t0, 0(t2)
    sfence.vma
    li t0, 5 << 30
    FAULT(1, 13, ld t1, 0(t0))
    li t0, -1 << 30
    la t1, page_b
    li t2, 0x80000000
    sub t1, t1, t2
    add t0, t0, t1
    WORKS(1, ld t1, 0(t0))
    CHECK(t1, 0x2222)
    li t0, 511 << 30                /* the same entry, but not sign-extended */
    FAULT(1, 13, ld t1, 0(t0))
    CHECK_REG(s10, t0)
    li t0, 1 << 38
    ENTER_MODE(1)
    la s8, 1f
    jr t0
    .balign 4
1:  li s8, 0
    CHECK(s9, 12)
    CHECK_REG(s10, t0)
    CHECK_REG(s11, t0)

    /* the last page there is: data up to its last byte, code that ends with it, and the first page behind it */
    la t1, root
    la t2, level1b
    srli t0, t2, 2
    ori t0, t0, V
    li t3, 511 * 8
    add t1, t1, t3
    sd t0, 0(t1)
    add t2, t2, t3
    la t1, level0b
    srli t0, t1, 2
    ori t0, t0, V
    sd t0, 0(t2)
    add t1, t1, t3
    la t0, page_top
    srli t0, t0, 2
    ori t0, t0, V | R | W | X | A | D
    sd t0, 0(t1)
    sfence.vma
    li t3, -16
    li t1, 0x5a
    WORKS(1, sb t1, 3(t3); lbu t2, 3(t3))
    CHECK(t2, 0x5a)
    ENTER_MODE(1)
    li t0, -8
    jalr t0
    CHECK(a0, 0x77)
    lbu t2, -1(zero)
    lwu t3, -4(zero)
    EXPECT_TRAP(13, ld t1, -4(zero))
    CHECK(s10, 0)
    CHECK(t2, 0)
    CHECK(t3, 0x00008067)
    li t3, -4
    FAULT(1, 15, sd t1, 0(t3))
    CHECK(s10, 0)
    ENTER_MODE(1)
    la s8, 1f
    li t0, -12
    jr t0                               /* runs off the end */
    .balign 4
1:  li s8, 0
    CHECK(s9, 12)
    CHECK(s10, 0)
    CHECK(s11, 0)

    /* page table where nobody is: access fault of the access's kind */
    la t1, level1
    li t0, (0x70000000000 >> 2) | V
    sd t0, 0(t1)
    sfence.vma
    FAULT(1, 5, ld t1, 0(s0))
    FAULT(1, 7, sd t1, 0(s0))

    /* Sv48 */
    la t0, root48
    la t1, root
    srli t1, t1, 2
    ori t1, t1, V
    sd t1, 0(t0)
    srli t0, t0, 12
    li t1, 9
    slli t1, t1, 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    la t1, level0
    srli t0, t1, 2
    ori t0, t0, V
    la t2, level1
    sd t0, 0(t2)
    LEAF(0, page_b, V | R | W | A | D)
    WORKS(1, ld t1, 0(s0))
    CHECK(t1, 0x2222)
    li t0, 1 << 47
    FAULT(1, 13, ld t1, 0(t0))
    li t0, 1 << 45
    FAULT(1, 13, ld t1, 0(t0))
    csrw satp, zero
    PASS

    .balign 4096
page_code:
    li a0, 99
    ret
    .balign 4096
page_straddle:
    .option push
    .option norvc
    .space 4094
    li a0, 0x123
    ret
    .option pop
    .balign 4096

page_top:
    .option push
    .option norvc
    .space 4084
    beqz zero, page_top + 4096          /* to address 0 */
    li a0, 0x77
    ret
    .option pop

    .globl page_straddle2
    .equ page_straddle2, page_straddle + 4096

    .bss
    .balign 4096
root:     .space 4096
root2:    .space 4096
root48:   .space 4096
level1:   .space 4096
level1b:  .space 4096
level0:   .space 4096
level0b:  .space 4096
page_a:   .space 4096
page_b:   .space 4096
