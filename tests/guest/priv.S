/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules of the privileged architecture that one only meets in corners: what returns leave behind, who may
 * touch which register when, which interrupt comes first, which encodings stay reserved.
 */
#include "guest.h"

#define STIMECMP 0x14d
#define MENVCFG  0x30a
#define STCE     63

#define FAULT(mode, cause, ...)                                                                              \
    ENTER_MODE(mode);                                                                                        \
    EXPECT_TRAP(cause, __VA_ARGS__)
#define WORKS(mode, ...)                                                                                     \
    ENTER_MODE(mode);                                                                                        \
    __VA_ARGS__;                                                                                             \
    EXPECT_TRAP(8 + mode, ecall)

/* reg = the bits of mstatus from @bit up, under @mask */
#define STATUS(reg, bit, mask)                                                                               \
    csrr reg, mstatus;                                                                                       \
    srli reg, reg, bit;                                                                                      \
    andi reg, reg, mask

/* an interrupt must follow; MIE is off afterwards */
#define EXPECT_INTERRUPT(number, ...)                                                                        \
    la s8, 9f;                                                                                               \
    li s9, 0;                                                                                                \
    __VA_ARGS__;                                                                                             \
8:  j 8b;                                                                                                    \
    .balign 4;                                                                                               \
9:  li s8, 0;                                                                                                \
    csrci mstatus, 8;                                                                                        \
    bgez s9, test_fail;                                                                                      \
    slli s9, s9, 1;                                                                                          \
    srli s9, s9, 1;                                                                                          \
    CHECK(s9, number)

    .text
    .globl test_main
    .balign 4
test_main:
    OPEN_PMP

    /* --- read-only registers: what counts is whether the instruction may write, not what --- */
    li t0, 0
    EXPECT_TRAP(2, csrrs t1, mhartid, t0)
    EXPECT_TRAP(2, csrrc t1, mhartid, t0)
    EXPECT_TRAP(2, csrrw zero, time, zero)
    EXPECT_TRAP(2, csrrsi zero, instret, 1)
    csrrs t1, mhartid, zero
    csrrci t1, mvendorid, 0

    /* --- registers that do not exist: odd pmpcfg, entries past 15, those of RV32 and of debug mode --- */
    EXPECT_TRAP(2, csrr t1, 0x3a3)
    EXPECT_TRAP(2, csrr t1, 0x3a4)
    EXPECT_TRAP(2, csrr t1, 0x3c0)
    EXPECT_TRAP(2, csrr t1, 0x310)      /* mstatush */
    EXPECT_TRAP(2, csrr t1, 0xb80)      /* mcycleh */
    EXPECT_TRAP(2, csrr t1, 0x7b0)      /* dcsr */
    EXPECT_TRAP(2, csrr t1, 0xc20)

    /* --- legal values --- */
    li t0, -1
    csrw medeleg, t0
    csrr t1, medeleg
    CHECK(t1, 0xb3ff)
    csrw mideleg, t0
    csrr t1, mideleg
    CHECK(t1, 0x222)
    csrw mie, t0
    csrr t1, mie
    CHECK(t1, 0xaaa)
    csrr t1, sie
    CHECK(t1, 0x222)
    csrw mie, zero
    csrw mideleg, zero
    csrw medeleg, zero
    csrw mcountinhibit, t0
    csrr t1, mcountinhibit
    CHECK(t1, 0xfffffffd)               /* time does not stop */
    csrw mcountinhibit, zero
    csrr s0, pmpaddr3
    csrw pmpaddr3, t0
    csrr t1, pmpaddr3
    CHECK(t1, (1 << 54) - 1)
    csrw pmpaddr3, s0
    li t0, 0x62 << 24                   /* write without read, and two bits that are 0 */
    csrs pmpcfg0, t0
    csrr t1, pmpcfg0
    CHECK(t1, 0x1f)
    csrr s0, stvec
    li t0, 0x1002                       /* a reserved mode */
    csrw stvec, t0
    csrr t1, stvec
    CHECK_REG(t1, s0)

    /* --- returns: MPP and SPP become U, xPIE becomes 1, xIE what xPIE was --- */
    csrci mstatus, 8
    li t0, 0x80
    csrc mstatus, t0
    li t0, 3 << 11
    csrs mstatus, t0
    la t0, 1f
    csrw mepc, t0
    mret
1:  STATUS(t1, 0, 0x88)
    CHECK(t1, 0x80)
    STATUS(t1, 11, 3)
    CHECK(t1, 0)
    /* sret works in M-mode too */
    csrci sstatus, 2
    li t0, 0x120
    csrs sstatus, t0
    la t0, 1f
    csrw sepc, t0
    la s8, 2f
    sret
    j test_fail
1:  csrr t1, sstatus                    /* in S-mode */
    ecall
    .balign 4
2:  li s8, 0
    CHECK(s9, 9)
    andi t1, t1, 0x122
    CHECK(t1, 0x22)
    csrci sstatus, 2

    /* MPRV: gone after a return below M-mode, by mret and by sret; kept by one to M-mode */
    li t0, 1 << 17
    csrs mstatus, t0
    li t0, 3 << 11
    csrs mstatus, t0
    la t0, 1f
    csrw mepc, t0
    mret
1:  li t0, 3 << 11                      /* MPP is U now: data would go as U's */
    csrs mstatus, t0
    STATUS(t1, 17, 1)
    CHECK(t1, 1)
    WORKS(1, nop)
    STATUS(t1, 17, 1)
    CHECK(t1, 0)
    li t0, 3 << 11
    csrs mstatus, t0
    li t0, 1 << 17
    csrs mstatus, t0
    li t0, 0x100
    csrs sstatus, t0
    la t0, 1f
    csrw sepc, t0
    la s8, 2f
    sret
1:  ecall
    .balign 4
2:  li s8, 0
    CHECK(s9, 9)
    STATUS(t1, 17, 1)
    CHECK(t1, 0)

    /* a trap to M-mode: MPP is where it came from, MPIE what MIE was; from below it comes whatever MIE is */
    csrci mstatus, 8
    la s8, 1f
    ENTER_MODE(1)
    ecall
    .balign 4
1:  csrr t1, mcause
    li s8, 0
    CHECK(t1, 9)

    /* --- tval: the instruction for an illegal one, the pc for a breakpoint, 0 for a call --- */
    .option push
    .option rvc
    la t0, 1f
    EXPECT_TRAP(3, 1: c.ebreak)
    CHECK_REG(s10, t0)
    CHECK_REG(s11, t0)
    .option pop
    EXPECT_TRAP(2, .half 0x9c41; .half 0x0001)  /* c.mul, which this CPU has not */
    CHECK(s10, 0x9c41)
    csrw mtval, t0
    EXPECT_TRAP(11, ecall)
    CHECK(s10, 0)

    /* --- counters: bit by bit, S by mcounteren, U by both --- */
    csrwi mcounteren, 5                 /* cycle, instret */
    csrwi scounteren, 7
    WORKS(1, rdcycle t0; rdinstret t0)
    FAULT(1, 2, rdtime t0)
    FAULT(0, 2, rdtime t0)
    WORKS(0, rdcycle t0)
    FAULT(1, 2, csrr t0, hpmcounter3)
    li t0, -1
    csrw mcounteren, t0
    csrwi scounteren, 2
    WORKS(0, rdtime t0)
    FAULT(0, 2, rdinstret t0)
    WORKS(1, csrr t0, hpmcounter31)
    FAULT(0, 2, csrr t0, hpmcounter31)

    /* --- Sstc: stimecmp is S-mode's with TM and STCE; STIP is software's without STCE --- */
    li s4, 1
    slli s4, s4, STCE
    csrc MENVCFG, s4
    FAULT(1, 2, csrr t0, STIMECMP)
    csrr t0, STIMECMP
    csrw STIMECMP, zero
    li t0, 0x20
    csrc mip, t0
    csrr t1, mip
    and t1, t1, t0
    CHECK(t1, 0)
    csrs mip, t0
    csrr t1, mip
    and t1, t1, t0
    CHECK(t1, 0x20)
    li t0, -1
    csrw STIMECMP, t0
    csrs MENVCFG, s4
    csrr t1, mip
    andi t1, t1, 0x20
    CHECK(t1, 0)
    WORKS(1, csrr t0, STIMECMP)
    FAULT(0, 2, csrr t0, STIMECMP)
    csrwi mcounteren, 5
    FAULT(1, 2, csrr t0, STIMECMP)
    csrr t0, STIMECMP
    csrc MENVCFG, s4

    /* --- order: SEI, SSI, STI; machine level before them; what is delegated stays out of M-mode --- */
    csrci mstatus, 8
    li t0, 0x222
    csrs mip, t0
    csrw mie, t0
    EXPECT_INTERRUPT(9, csrsi mstatus, 8)
    li t0, 0x200
    csrc mip, t0
    EXPECT_INTERRUPT(1, csrsi mstatus, 8)
    csrci mip, 2
    EXPECT_INTERRUPT(5, csrsi mstatus, 8)
    /* M-mode's own come before delegated ones, whatever their rank */
    li t0, 0x202
    csrs mip, t0
    li t0, 0x200
    csrw mideleg, t0
    la t0, test_fail
    csrw stvec, t0
    EXPECT_INTERRUPT(1, csrsi mstatus, 8)
    csrci mip, 2
    li t0, 0x20
    csrc mip, t0
    csrsi mstatus, 8                    /* only the delegated one is left */
    nop
    csrci mstatus, 8
    /* in S-mode it waits for SIE, and then goes to S-mode */
    la t0, s_handler
    csrw stvec, t0
    csrci sstatus, 2
    li s7, 0
    ENTER_MODE(1)
    nop
    mv t1, s7
    csrsi sstatus, 2
    mv t2, s7
    EXPECT_TRAP(9, ecall)
    CHECK(t1, 0)
    li t0, 1
    slli t0, t0, 63
    addi t0, t0, 9
    CHECK_REG(t2, t0)
    csrci sstatus, 2
    li t0, 0x222
    csrc mip, t0
    csrw mie, zero
    csrw mideleg, zero

    /* --- delegation: from S to S, and SPP says so --- */
    li t0, 0xb1ff                       /* all but S-mode's ecall */
    csrw medeleg, t0
    la t0, s_handler
    csrw stvec, t0
    li s7, 0
    .option push
    .option norvc
    ENTER_MODE(1)
    csrsi sstatus, 2
    ebreak
    mv t1, s7
    mv t2, s6
    csrr t3, sstatus                    /* sret gave SIE back */
    .word 0xffffffff
    csrci sstatus, 2
    EXPECT_TRAP(9, ecall)
    .option pop
    CHECK(t1, 3)
    andi t2, t2, 0x122
    CHECK(t2, 0x120)                    /* in the handler: SPP, SPIE, not SIE */
    andi t3, t3, 0x122
    CHECK(t3, 0x22)
    CHECK(s7, 2)
    csrw medeleg, zero

    /* --- atomics where there is no memory to be atomic in --- */
    li t0, UART
    EXPECT_TRAP(5, lr.w t1, (t0))
    CHECK_REG(s10, t0)
    EXPECT_TRAP(7, amoadd.w t1, zero, (t0))
    CHECK_REG(s10, t0)

    /* --- reserved rounding modes: also where nothing is rounded; not where there is no rounding field --- */
    li t0, 3 << 13
    csrs mstatus, t0
    fsrmi 5
    EXPECT_TRAP(2, .word 0xd2057553)            /* fcvt.d.w fa0, a0, dyn */
    EXPECT_TRAP(2, .word 0x42057553)            /* fcvt.d.s fa0, fa0, dyn */
    EXPECT_TRAP(2, fsqrt.s fa0, fa0)
    EXPECT_TRAP(2, fcvt.l.d t0, fa0, dyn)
    fcvt.l.d t0, fa0, rtz
    fmin.d fa0, fa0, fa1
    feq.s t0, fa0, fa1
    fclass.d t0, fa0
    fmv.d.x fa0, t0
    fsrmi 0
    EXPECT_TRAP(2, .word 0xd2055553)            /* fcvt.d.w rm 5 */
    EXPECT_TRAP(2, .word 0x6a000053 | 3 << 12)  /* no such function */
    EXPECT_TRAP(2, .word 0x06c5f553)            /* fadd of quadruple precision */
    EXPECT_TRAP(2, .word 0xf4100553)            /* fli.h without Zfh */
    WORKS(1, nop)
    li t0, 3 << 13
    csrc mstatus, t0
    FAULT(0, 2, fmv.x.d t0, fa0)
    FAULT(0, 2, flw fa0, 0(zero))               /* not the fault of its address */
    FAULT(1, 2, fsrmi 0)

    /* --- fences: reserved modes and fields are ordinary fences --- */
    .word 0x8ff0000f                            /* fm = tso with I and O */
    .word 0x1330000f
    .word 0x0ff5058f                            /* rd, rs1 */
    .word 0xfff5158f                            /* fence.i with everything set */
    PASS

    .balign 4
s_handler:
    csrr s7, scause
    csrr s6, sstatus
    bltz s7, 1f
    csrr t6, sepc
    addi t6, t6, 4
    csrw sepc, t6
    sret
1:  li t6, 0x220
    csrc sie, t6
    sret
