/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupts: software, timer (machine and Sstc), priorities, delegation, vectored entry, wfi, enabling with one waiting. */
#include "guest.h"

#define MTIMECMP (CLINT + 0x4000)
#define MTIME    (CLINT + 0xbff8)

/* waits for the trap that leads to 9: */
#define EXPECT_INTERRUPT(number, ...)                                                                        \
    la s8, 9f;                                                                                               \
    li s9, -1;                                                                                               \
    __VA_ARGS__;                                                                                             \
8:  j 8b;                                                                                                    \
    .balign 4;                                                                                               \
9:  li s8, 0;                                                                                                \
    slli t6, s9, 1;                                                                                          \
    srli t6, t6, 1;                                                                                          \
    bgez s9, test_fail;                                                                                      \
    mv s9, t6;                                                                                               \
    CHECK(s9, number);                                                                                       \
    csrci mstatus, 8

    .text
    .globl test_main
    .balign 4
test_main:
    OPEN_PMP
    li s0, CLINT
    li s1, MTIMECMP
    li t0, -1
    sd t0, 0(s1)

    /* software interrupt: pending at once, taken when enabled, at the instruction after */
    li t0, 1
    sw t0, 0(s0)
1:  csrr t1, mip
    andi t1, t1, 8
    beqz t1, 1b
    csrwi mie, 8
    EXPECT_INTERRUPT(3, csrsi mstatus, 8; 6:)
    la t0, 6b
    CHECK_REG(s11, t0)
    sw zero, 0(s0)
1:  csrr t1, mip
    andi t1, t1, 8
    bnez t1, 1b

    /* machine timer, with wfi; it wakes even if not enabled in mstatus */
    li t0, 0x80
    csrw mie, t0
    li t2, MTIME
    ld t0, 0(t2)
    li t1, 2000
    add t0, t0, t1
    sd t0, 0(s1)
    wfi
    ld t1, 0(t2)
    bltu t1, t0, test_fail
    EXPECT_INTERRUPT(7, csrsi mstatus, 8)
    ld t0, 0(t2)
    li t1, 5000
    add t0, t0, t1
    sd t0, 0(s1)
    EXPECT_INTERRUPT(7, csrsi mstatus, 8)   /* interrupts the loop */
    li t0, -1
    sd t0, 0(s1)

    /* time and mtime are the same clock */
    ld t0, 0(t2)
    csrr t1, time
    ld t3, 0(t2)
    bltu t1, t0, test_fail
    bltu t3, t1, test_fail

    /* priorities: MSI before MTI; machine before supervisor */
    li t0, 1
    sw t0, 0(s0)
    sd zero, 0(s1)
1:  csrr t1, mip
    andi t1, t1, 0x88
    addi t1, t1, -0x88
    bnez t1, 1b
    csrsi mip, 2
    li t0, 0x8a
    csrw mie, t0
    EXPECT_INTERRUPT(3, csrsi mstatus, 8)
    sw zero, 0(s0)
1:  csrr t1, mip
    andi t1, t1, 8
    bnez t1, 1b
    EXPECT_INTERRUPT(7, csrsi mstatus, 8)
    li t0, -1
    sd t0, 0(s1)
1:  csrr t1, mip
    andi t1, t1, 0x80
    bnez t1, 1b
    EXPECT_INTERRUPT(1, csrsi mstatus, 8)

    /* delegated: not taken in M, taken in U whatever SIE says, in S when SIE */
    csrwi mideleg, 2
    csrsi mstatus, 8
    nop
    nop
    csrci mstatus, 8
    la t0, s_trap
    csrw stvec, t0
    li s7, 0
    ENTER_MODE(0)
    nop                             /* s_trap comes first and clears SSIP */
    EXPECT_TRAP(8, ecall)
    li t0, 1
    slli t0, t0, 63
    addi t0, t0, 1
    CHECK_REG(s7, t0)
    li s7, 0
    csrsi mip, 2
    csrci sstatus, 2
    ENTER_MODE(1)
    nop
    mv t1, s7
    csrsi sstatus, 2                /* now */
    mv t2, s7
    EXPECT_TRAP(9, ecall)
    CHECK(t1, 0)
    CHECK_REG(t2, s7)
    beqz t2, test_fail

    /* vectored */
    la t0, vectors
    ori t0, t0, 1
    csrw stvec, t0
    li s7, 0
    csrsi mip, 2
    ENTER_MODE(0)
    nop
    EXPECT_TRAP(8, ecall)
    CHECK(s7, 1111)

    /* Sstc: stimecmp drives STIP */
    li t0, 1
    slli t0, t0, 63
    csrs 0x30a, t0
    csrwi mcounteren, 7
    li t0, -1
    csrw 0x14d, t0
    csrr t1, mip
    andi t1, t1, 0x20
    CHECK(t1, 0)
    csrw 0x14d, zero
    csrr t1, mip
    andi t1, t1, 0x20
    CHECK(t1, 0x20)
    li t0, 0x20
    csrc mip, t0                    /* not writable now */
    csrr t1, mip
    andi t1, t1, 0x20
    CHECK(t1, 0x20)
    csrr t0, time
    li t1, 1000000000               /* far: the host may keep us waiting */
    add t0, t0, t1
    csrw 0x14d, t0
    csrr t1, mip
    andi t1, t1, 0x20
    CHECK(t1, 0)
    csrr t0, time
    li t1, 3000
    add t0, t0, t1
    csrw 0x14d, t0
    li t1, 0x20
    csrw mideleg, t1
    csrw mie, t1
    la t1, s_timer
    csrw stvec, t1
    li s7, 0
    ENTER_MODE(1)
    csrsi sstatus, 2
1:  beqz s7, 1b
    csrr t1, time
    EXPECT_TRAP(9, ecall)
    bltu t1, t0, test_fail
    CHECK(s7, 2222)
    PASS

    .balign 4
s_trap:
    csrr s7, scause
    csrci sip, 2
    sret
    .balign 4
s_timer:
    li s7, 2222
    li t6, -1
    csrw 0x14d, t6
    sret
    .balign 256
    .option push
    .option norvc
vectors:
    j test_fail
    j 1f
    j test_fail
    j test_fail
    .option pop
1:  li s7, 1111
    csrci sip, 2
    sret
