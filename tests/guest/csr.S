/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CSRs: what can be written, what stays legal, how the read-modify-write forms work. */
#include "guest.h"

/* writes all ones and zeros and checks what is left; t6 and t5 are clobbered */
#define MASK(csr, ones, zeros)                                                                               \
    li t5, -1;                                                                                               \
    csrw csr, t5;                                                                                            \
    csrr t5, csr;                                                                                            \
    CHECK(t5, ones);                                                                                         \
    csrw csr, zero;                                                                                          \
    csrr t5, csr;                                                                                            \
    CHECK(t5, zeros)

    .text
    .globl test_main
test_main:
    /* forms */
    li t0, 0x1234
    csrw mscratch, t0
    li t0, 0xff
    csrrs t1, mscratch, t0
    CHECK(t1, 0x1234)
    csrrc t1, mscratch, t0
    CHECK(t1, 0x12ff)
    csrrwi t1, mscratch, 21
    CHECK(t1, 0x1200)
    csrrsi t1, mscratch, 10
    CHECK(t1, 21)
    csrrci t1, mscratch, 1
    CHECK(t1, 31)
    csrr t1, mscratch
    CHECK(t1, 30)
    li t1, 77
    csrrw t1, mscratch, t1          /* rd is rs1 */
    CHECK(t1, 30)
    csrr t1, mscratch
    CHECK(t1, 77)

    MASK(mscratch, -1, 0)
    MASK(sscratch, -1, 0)
    MASK(sepc, -2, 0)
    MASK(mepc, -2, 0)
    MASK(stval, -1, 0)
    MASK(mtval, -1, 0)
    MASK(mcause, -1, 0)
    MASK(scause, -1, 0)
    li t0, -1
    csrw mie, t0
    csrr t1, mie
    li t0, 0xaaa
    and t1, t1, t0
    CHECK(t1, 0xaaa)
    csrw mie, zero

    /* mstatus: UXL and SXL are fixed, SD follows FS, MPP never holds 2 */
    csrr s0, mstatus
    li t0, 3 << 13
    csrc mstatus, t0
    csrr t1, mstatus
    bltz t1, test_fail
    srli t1, t1, 32
    CHECK(t1, 10)
    csrs mstatus, t0
    csrr t1, mstatus
    bgez t1, test_fail
    csrr t1, sstatus
    bgez t1, test_fail
    li t0, 3 << 11
    csrs mstatus, t0
    li t0, 1 << 11
    csrc mstatus, t0
    csrr t1, mstatus
    srli t1, t1, 11
    andi t1, t1, 3
    addi t1, t1, -2
    beqz t1, test_fail
    csrw mstatus, s0

    /* sstatus is a window on mstatus */
    li t0, 0x40000
    csrs sstatus, t0
    csrr t1, mstatus
    and t1, t1, t0
    CHECK_REG(t1, t0)
    csrc mstatus, t0
    csrr t1, sstatus
    and t1, t1, t0
    CHECK(t1, 0)
    li t0, 8
    csrs sstatus, t0                /* MIE is not S-mode's */
    csrr t1, mstatus
    and t1, t1, t0
    CHECK(t1, 0)

    /* sie and sip show what is delegated */
    csrw mideleg, zero
    li t0, 0x222
    csrw mie, t0
    csrr t1, sie
    CHECK(t1, 0)
    csrw mideleg, t0
    csrr t1, sie
    CHECK(t1, 0x222)
    csrw sie, zero
    csrr t1, mie
    CHECK(t1, 0)
    csrsi sip, 2
    csrr t1, mip
    andi t1, t1, 2
    CHECK(t1, 2)
    csrci sip, 2
    csrr t1, mip
    andi t1, t1, 2
    CHECK(t1, 0)
    li t0, 0x20
    csrs sip, t0                    /* only M-mode may */
    csrr t1, mip
    and t1, t1, t0
    CHECK(t1, 0)
    csrs mip, t0
    csrr t1, sip
    and t1, t1, t0
    CHECK_REG(t1, t0)
    csrc mip, t0
    li t0, 0x200
    csrs mip, t0
    csrr t1, mip
    and t1, t1, t0
    CHECK_REG(t1, t0)
    csrc mip, t0
    csrw mideleg, zero

    /* trap vectors */
    csrr s0, mtvec
    csrr s1, stvec
    csrwi stvec, 1
    csrr t1, stvec
    CHECK(t1, 1)
    csrwi stvec, 4
    csrr t1, stvec
    CHECK(t1, 4)
    csrw stvec, s1

    /* satp: an unknown mode changes nothing */
    li t0, 8 << 60 >> 0
    li t0, 1
    slli t0, t0, 63
    li t1, 0x12345
    or t0, t0, t1
    csrw satp, t0
    csrr t1, satp
    CHECK_REG(t1, t0)
    li t2, 5
    slli t2, t2, 60
    csrw satp, t2
    csrr t1, satp
    CHECK_REG(t1, t0)
    csrw satp, zero

    /* misa */
    csrr t1, misa
    srli t2, t1, 62
    CHECK(t2, 2)
    li t0, 0x14112d                 /* A C D F I M S U */
    and t2, t1, t0
    CHECK_REG(t2, t0)

    /* envcfg */
    li t0, 0xd1
    csrw 0x30a, t0
    csrr t1, 0x30a
    and t1, t1, t0
    CHECK_REG(t1, t0)
    csrw 0x30a, zero

    /* counters */
    csrr t0, mcycle
    csrr t1, mcycle
    bltu t1, t0, test_fail
    csrr t0, time
1:  csrr t1, time
    beq t0, t1, 1b
    bltu t1, t0, test_fail
    li t0, 1 << 40
    csrw minstret, t0
    csrr t1, minstret
    bltu t1, t0, test_fail
    sub t1, t1, t0
    srli t1, t1, 34
    CHECK(t1, 0)
    csrwi mcountinhibit, 5
    csrr t0, mcycle
    csrr t1, mcycle
    CHECK_REG(t0, t1)
    csrwi mcountinhibit, 0
    csrr t0, 0xb03
    csrr t0, 0x323
    csrr t0, 0xc1f

    /* fcsr and its parts */
    li t0, 0xff
    fscsr t0
    frcsr t1
    CHECK(t1, 0xff)
    frflags t1
    CHECK(t1, 31)
    frrm t1
    CHECK(t1, 7)
    fsflagsi t1, 3
    CHECK(t1, 31)
    fsrmi t1, 2
    CHECK(t1, 7)
    frcsr t1
    CHECK(t1, 0x43)
    csrsi fflags, 16
    frcsr t1
    CHECK(t1, 0x53)
    csrci fcsr, 3
    frcsr t1
    CHECK(t1, 0x50)
    fscsr zero

    /* flags accrue across instructions and blocks */
    li t0, 1
    fcvt.d.l fa0, t0
    fmv.d.x fa1, zero
    fdiv.d fa2, fa0, fa1
    j 1f
1:  frflags t1
    CHECK(t1, 8)
    fdiv.d fa2, fa1, fa1
    li t0, 3
    fcvt.d.l fa1, t0
    fdiv.d fa2, fa0, fa1
    frflags t1
    CHECK(t1, 0x19)

    /* debug triggers: there are none */
    csrw tselect, zero
    csrr t0, tselect
    csrr t0, tdata1

    /* PMP registers: 16 entries */
    csrr t0, pmpaddr15
    csrr t0, pmpcfg2
    EXPECT_TRAP(2, csrr t0, 0x3a1)
    PASS
