/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exceptions: causes, values, delegation, vectored entry, returns, what each mode may do. */
#include "guest.h"

    .text
    .globl test_main
    .balign 4
test_main:
    /* illegal instructions: cause, bits and pc */
    EXPECT_TRAP(2, .word 0xffffffff)
    CHECK(s10, 0xffffffff)
    la t0, 1f
    la s8, 2f
    .option push
    .option rvc
    .balign 4
1:  .half 0
    .half 0x0001
    .option pop
    j test_fail
    .balign 4
2:  li s8, 0
    CHECK(s9, 2)
    CHECK(s10, 0)
    CHECK_REG(s11, t0)
    EXPECT_TRAP(2, csrw mhartid, zero)
    li t0, 0xf1401073
    CHECK_REG(s10, t0)
    EXPECT_TRAP(2, csrr t0, 0x5c0)
    csrr t0, mhartid            /* reading a read-only register by csrrs x0 is fine */
    csrrsi t0, mhartid, 0
    EXPECT_TRAP(2, csrrwi zero, cycle, 0)

    EXPECT_TRAP(11, ecall)
    CHECK(s10, 0)
    .option push
    .option norvc
    la t0, 1f
    EXPECT_TRAP(3, 1: ebreak)
    .option pop

    /* access faults: nobody at 0x20 (below the ROM there is nothing at 0x0ffff000) */
    li t0, 0x0ffff000
    EXPECT_TRAP(5, lw t1, 4(t0))
    addi t1, t0, 4
    CHECK_REG(s10, t1)
    EXPECT_TRAP(7, sw t1, 8(t0))
    addi t1, t0, 8
    CHECK_REG(s10, t1)
    la s8, 1f
    jr t0
    .balign 4
1:  li s8, 0
    CHECK(s9, 1)
    CHECK_REG(s10, t0)
    CHECK_REG(s11, t0)
    /* a load into x0 faults all the same */
    EXPECT_TRAP(5, lw zero, 0(t0))

    /* misaligned atomics */
    la t0, buffer
    addi t0, t0, 2
    EXPECT_TRAP(6, amoadd.w t1, t1, (t0))
    CHECK_REG(s10, t0)
    EXPECT_TRAP(4, lr.w t1, (t0))
    CHECK_REG(s10, t0)
    EXPECT_TRAP(6, sc.d t1, t1, (t0))

    /* trap entry and mret: mstatus */
    csrsi mstatus, 8
    EXPECT_TRAP(11, ecall)
    csrr t0, mstatus            /* the handler's mret with MPP = 3 */
    andi t1, t0, 0x88
    CHECK(t1, 0x88)
    csrci mstatus, 8
    srli t1, t0, 11
    andi t1, t1, 3
    CHECK(t1, 0)                /* mret leaves U in MPP */

    /* S- and U-mode: ecall causes, privileged instructions */
    OPEN_PMP
    ENTER_MODE(1)
    EXPECT_TRAP(9, ecall)
    ENTER_MODE(0)
    EXPECT_TRAP(8, ecall)
    ENTER_MODE(0)
    EXPECT_TRAP(2, csrr t0, sstatus)
    ENTER_MODE(1)
    EXPECT_TRAP(2, csrr t0, mstatus)
    ENTER_MODE(0)
    EXPECT_TRAP(2, sret)
    ENTER_MODE(1)
    EXPECT_TRAP(2, mret)
    CHECK(s10, 0x30200073)
    ENTER_MODE(0)
    EXPECT_TRAP(2, wfi)
    ENTER_MODE(0)
    EXPECT_TRAP(2, sfence.vma)

    /* TVM, TW, TSR */
    li t0, 1 << 20
    csrs mstatus, t0
    ENTER_MODE(1)
    EXPECT_TRAP(2, csrr t0, satp)
    ENTER_MODE(1)
    EXPECT_TRAP(2, sfence.vma)
    csrr t0, satp
    li t0, 7 << 20
    csrc mstatus, t0
    li t0, 1 << 21
    csrs mstatus, t0
    ENTER_MODE(1)
    EXPECT_TRAP(2, wfi)
    li t0, 1 << 21
    csrc mstatus, t0
    li t0, 1 << 22
    csrs mstatus, t0
    ENTER_MODE(1)
    EXPECT_TRAP(2, sret)
    li t0, 1 << 22
    csrc mstatus, t0

    /* counters */
    csrw mcounteren, zero
    ENTER_MODE(1)
    EXPECT_TRAP(2, rdtime t0)
    li t0, 7
    csrw mcounteren, t0
    csrw scounteren, zero
    ENTER_MODE(0)
    EXPECT_TRAP(2, rdcycle t0)
    csrw scounteren, t0
    li t0, 7
    csrw scounteren, t0
    ENTER_MODE(0)
    rdtime t0
    rdcycle t1
    rdinstret t2
    EXPECT_TRAP(8, ecall)

    /* floating point off */
    li t0, 3 << 13
    csrc mstatus, t0
    EXPECT_TRAP(2, fadd.d fa0, fa1, fa2)
    li t0, 0x02c5f553
    CHECK_REG(s10, t0)
    EXPECT_TRAP(2, csrr t0, fflags)
    EXPECT_TRAP(2, fld fa0, 0(sp))
    EXPECT_TRAP(2, fsgnj.s fa0, fa1, fa1)
    li t0, 1 << 13
    csrs mstatus, t0
    csrr t1, mstatus
    bltz t1, test_fail          /* not dirty yet */
    fmv.d.x fa0, zero
    csrr t1, mstatus
    bgez t1, test_fail          /* SD */
    srli t1, t1, 13
    andi t1, t1, 3
    CHECK(t1, 3)
    /* reserved rounding modes: static always, dynamic when used */
    EXPECT_TRAP(2, .word 0x02c5d553)    /* fadd.d rm 5 */
    fsrmi t0, 5
    EXPECT_TRAP(2, fadd.d fa0, fa1, fa2)
    fsgnj.d fa0, fa1, fa1               /* does not round: fine */
    fadd.d fa0, fa1, fa2, rtz
    fsrmi zero, 4
    li t0, 3
    fcvt.d.l fa1, t0
    li t0, 2
    fcvt.d.l fa2, t0
    fdiv.d fa0, fa1, fa2                /* 1.5, then to nearest, ties away */
    fcvt.l.d t1, fa0
    CHECK(t1, 2)
    fneg.d fa0, fa0
    fcvt.l.d t1, fa0
    CHECK(t1, -2)
    fsrmi zero, 0
    fcvt.l.d t1, fa0
    CHECK(t1, -2)
    fadd.d fa0, fa0, fa1
    fsub.d fa0, fa0, fa2
    fcvt.l.d t1, fa0                    /* -0.5 to even */
    CHECK(t1, 0)

    /* delegation: S handles its own, M's are never delegated */
    li t0, 0xb1ff
    csrw medeleg, t0
    csrr t1, medeleg
    CHECK_REG(t1, t0)
    la t0, s_trap
    csrw stvec, t0
    li s7, 0
    li s5, 0
    ENTER_MODE(0)
    li t0, 0x0ffff000
    lw t1, 0(t0)                        /* skipped by s_trap */
    CHECK(s7, 5)
    .option push
    .option norvc
    ecall
    CHECK(s7, 8)
    .word 0xffffffff
    CHECK(s7, 2)
    CHECK(s6, 0xffffffff)
    .option pop
    csrr t0, sscratch                   /* U-mode: illegal, skipped */
    CHECK(s7, 2)

    la t0, s_to_m
    mv s5, t0
    ecall                               /* s_trap sees s5 and goes to S-mode code there */
    j test_fail
    .balign 4
s_to_m:
    csrr t0, sstatus
    andi t0, t0, 0x100
    CHECK(t0, 0)                        /* sret to S left SPP clear */
    EXPECT_TRAP(9, ecall)
    EXPECT_TRAP(2, .word 0xffffffff)    /* in M-mode: not delegated */
    csrw medeleg, zero

    /* vectored mode moves interrupts only */
    la t0, test_trap
    ori t0, t0, 1
    csrw mtvec, t0
    csrr t1, mtvec
    CHECK_REG(t1, t0)
    EXPECT_TRAP(11, ecall)
    la t0, test_trap
    csrw mtvec, t0
    PASS

    .balign 4
s_trap:
    csrr s7, scause
    csrr s6, stval
    csrr t6, sepc
    addi t6, t6, 4
    beqz s5, 1f
    mv t6, s5
    li s5, 0
    csrw sepc, t6
    li t6, 0x100
    csrs sstatus, t6
    sret
1:  csrw sepc, t6
    sret

    .bss
    .balign 64
buffer:
    .space 128
