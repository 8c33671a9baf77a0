/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory: misaligned accesses, atomics, reservations, cache block operations, code that changes. */
#include "guest.h"

    .text
    .globl test_main
test_main:
    /* misaligned, within and across lines and pages */
    la s0, area
    li s1, 0x1122334455667788
    li s2, 0
1:  add t0, s0, s2
    sd s1, 0(t0)
    ld t1, 0(t0)
    CHECK_REG(t1, s1)
    lw t1, 2(t0)
    CHECK(t1, 0x33445566)
    lwu t1, 4(t0)
    CHECK(t1, 0x11223344)
    lh t1, 1(t0)
    CHECK(t1, 0x6677)
    lhu t1, 3(t0)
    CHECK(t1, 0x4455)
    lb t1, 0(t0)
    CHECK(t1, -0x78)
    lbu t1, 0(t0)
    CHECK(t1, 0x88)
    sw s1, 1(t0)
    ld t1, 0(t0)
    CHECK(t1, 0x1122335566778888)
    sh s1, 5(t0)
    ld t1, 0(t0)
    CHECK(t1, 0x1177885566778888)
    fld fa0, 0(t0)
    fsd fa0, 16(t0)
    ld t2, 16(t0)
    CHECK_REG(t1, t2)
    flw fa0, 3(t0)
    fmv.x.d t2, fa0
    CHECK(t2, 0xffffffff77885566)
    fsw fa0, 17(t0)
    lw t2, 17(t0)
    CHECK(t2, 0x77885566)
    addi s2, s2, 1
    li t0, 4200
    blt s2, t0, 1b

    /* AMOs */
#define AMO(insn, mem, reg, result, old)                                                                     \
    la t0, area;                                                                                             \
    li t1, mem;                                                                                              \
    sd t1, 8(t0);                                                                                            \
    addi t0, t0, 8;                                                                                          \
    li t1, reg;                                                                                              \
    insn t2, t1, (t0);                                                                                       \
    CHECK(t2, old);                                                                                          \
    ld t2, 0(t0);                                                                                            \
    CHECK(t2, result);                                                                                       \
    li s3, mem;                                                                                              \
    sd s3, 0(t0);                                                                                            \
    insn t1, t1, (t0);                                                                                       \
    CHECK(t1, old);                                                                                          \
    sd s3, 0(t0);                                                                                            \
    li t1, reg;                                                                                              \
    insn zero, t1, (t0);                                                                                     \
    ld t2, 0(t0);                                                                                            \
    CHECK(t2, result)

    AMO(amoadd.d, 0x7fffffffffffffff, 1, 0x8000000000000000, 0x7fffffffffffffff)
    AMO(amoadd.w, 0x5555555580000000, -1, 0x555555557fffffff, -0x80000000)
    AMO(amoswap.d, 5, 9, 9, 5)
    AMO(amoswap.w, 0xaaaaaaaa80000001, 0x123456789, 0xaaaaaaaa23456789, 0xffffffff80000001)
    AMO(amoand.d, 0xff00ff00ff00ff00, 0x0ff00ff00ff00ff0, 0x0f000f000f000f00, 0xff00ff00ff00ff00)
    AMO(amoand.w, 0xff00ff00ff00ff00, 0x0ff00ff0, 0xff00ff000f000f00, 0xffffffffff00ff00)
    AMO(amoor.d, 0xf0, 0x0f, 0xff, 0xf0)
    AMO(amoor.w, 0xf0, -0x80000000, 0x800000f0, 0xf0)
    AMO(amoxor.d, 0xff, 0xf0, 0x0f, 0xff)
    AMO(amoxor.w, -1, -1, 0xffffffff00000000, -1)
    AMO(amomin.d, -5, 3, -5, -5)
    AMO(amomin.w, 3, -5, 0xfffffffb, 3)
    AMO(amomax.d, -5, 3, 3, -5)
    AMO(amomax.w, 0x80000000, 1, 1, -0x80000000)
    AMO(amominu.d, -5, 3, 3, -5)
    AMO(amominu.w, 0x1fffffff0, 3, 0x100000003, -16)
    AMO(amomaxu.d, -5, 3, -5, -5)
    AMO(amomaxu.w, 3, -5, 0xfffffffb, 3)

    /* reservations */
    la t0, area
    li t1, 77
    sd t1, 0(t0)
    lr.d t2, (t0)
    CHECK(t2, 77)
    li t1, 78
    sc.d t2, t1, (t0)
    CHECK(t2, 0)
    ld t2, 0(t0)
    CHECK(t2, 78)
    sc.d t2, t1, (t0)               /* used up */
    CHECK(t2, 1)
    lr.w t2, (t0)
    addi t3, t0, 64
    sc.w t2, t1, (t3)               /* elsewhere */
    CHECK(t2, 1)
    li t1, -1
    sw t1, 0(t0)
    lr.w t2, (t0)
    CHECK(t2, -1)
    sc.w t2, zero, (t0)
    CHECK(t2, 0)
    lwu t2, 0(t0)
    CHECK(t2, 0)
    li s4, 1000                     /* a loop of increments */
1:  lr.d t2, (t0)
    addi t2, t2, 1
    sc.d t3, t2, (t0)
    bnez t3, 1b
    addi s4, s4, -1
    bnez s4, 1b
    lwu t2, 0(t0)
    CHECK(t2, 1000)

    /* cache blocks */
    la t0, area
    li t1, -1
    sd t1, 0(t0)
    sd t1, 56(t0)
    sd t1, 64(t0)
    addi t0, t0, 13
    .insn i 0x0f, 2, x0, t0, 4      /* cbo.zero */
    addi t0, t0, -13
    ld t2, 0(t0)
    CHECK(t2, 0)
    ld t2, 56(t0)
    CHECK(t2, 0)
    ld t2, 64(t0)
    CHECK(t2, -1)
    .insn i 0x0f, 2, x0, t0, 0
    .insn i 0x0f, 2, x0, t0, 1
    .insn i 0x0f, 2, x0, t0, 2
    ori zero, t0, 1                 /* prefetch.r */
    OPEN_PMP
    csrw 0x30a, zero
    ENTER_MODE(1)
    EXPECT_TRAP(2, .insn i 0x0f, 2, x0, t0, 4)
    ENTER_MODE(1)
    EXPECT_TRAP(2, .insn i 0x0f, 2, x0, t0, 0)
    li t1, 0xf0
    csrw 0x30a, t1
    ENTER_MODE(1)
    .insn i 0x0f, 2, x0, t0, 4
    .insn i 0x0f, 2, x0, t0, 0
    .insn i 0x0f, 2, x0, t0, 2
    EXPECT_TRAP(9, ecall)
    csrw 0x10a, zero
    ENTER_MODE(0)
    EXPECT_TRAP(2, .insn i 0x0f, 2, x0, t0, 1)
    li t1, 0xf0
    csrw 0x10a, t1
    ENTER_MODE(0)
    .insn i 0x0f, 2, x0, t0, 1
    .insn i 0x0f, 2, x0, t0, 4
    EXPECT_TRAP(8, ecall)

    /* fences */
    fence
    fence rw, rw
    fence.tso
    fence w, r
    .word 0x0100000f                /* pause */

    /* code that changes: li a0, n; ret */
    la s0, code
    li s1, 0
    li s3, 0x00000513
    li s4, 0x00008067
2:  slli t0, s1, 20
    or t0, t0, s3
    sw t0, 0(s0)
    sw s4, 4(s0)
    fence.i
    jalr s0
    CHECK_REG(a0, s1)
    addi s1, s1, 1
    li t0, 300
    blt s1, t0, 2b

    /* the same in one's own page, and by a misaligned store across both words */
    la s0, own_code
    li s1, 0
3:  slli t0, s1, 20
    or t0, t0, s3
    srli t1, t0, 16
    sh t1, 2(s0)
    fence.i
    call own_code
    CHECK_REG(a0, s1)
    addi s1, s1, 1
    li t0, 50
    blt s1, t0, 3b

    /* data beside code changes without harm */
    la s0, own_data
    li s1, 1000
4:  sd s1, 0(s0)
    call own_code
    ld t0, 0(s0)
    CHECK_REG(t0, s1)
    addi s1, s1, -1
    bnez s1, 4b
    CHECK(a0, 49)
    PASS

    .option push
    .option norvc
    .balign 8
own_code:
    li a0, 0
    ret
    .option pop
    .balign 8
own_data:
    .dword 0

    .bss
    .balign 4096
area:
    .space 8192
code:
    .space 4096
