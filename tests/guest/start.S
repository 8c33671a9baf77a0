/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Start-up of the test programs, their trap handler and their end.  Other harts sleep unless secondary_main exists. */
#include "guest.h"

    .section .text.start, "ax"
    .globl _start
_start:
    la sp, stack_top
    csrr t0, mhartid
    bnez t0, park           /* without a stack */
    la t0, test_trap
    csrw mtvec, t0
    li t0, 1 << 13          /* floating point on: initial */
    csrs mstatus, t0
    li gp, 0
    li s8, 0
    call test_main
    bnez a0, 1f
    j test_pass
1:  mv gp, a0
    j test_fail

park:
    lla t0, 2f
    ld t0, 0(t0)
    beqz t0, 1f
    jr t0
1:  wfi
    j 1b
    .weak secondary_main
    .balign 8
2:  .dword secondary_main

    .globl test_pass
test_pass:
    li t0, FINISHER
    li t1, 0x5555
    sw t1, 0(t0)
1:  j 1b

    .globl test_fail
test_fail:
    li a0, UART
    la a1, fail_text
1:  lbu a2, 0(a1)
    beqz a2, 2f
    sb a2, 0(a0)
    addi a1, a1, 1
    j 1b
2:  li a3, 28
3:  srl a2, gp, a3
    andi a2, a2, 15
    addi a2, a2, 48
    li a4, 58
    blt a2, a4, 4f
    addi a2, a2, 39
4:  sb a2, 0(a0)
    addi a3, a3, -4
    bgez a3, 3b
    li a2, 10
    sb a2, 0(a0)
    andi gp, gp, 0x7f
    bnez gp, 5f
    li gp, 1
5:  slli t1, gp, 16
    li t2, 0x3333
    or t1, t1, t2
    li t0, FINISHER
    sw t1, 0(t0)
6:  j 6b

    .balign 4
    .globl test_trap
test_trap:
    csrr s9, mcause
    csrr s10, mtval
    csrr s11, mepc
    beqz s8, unexpected
    csrw mepc, s8
    li t6, 3 << 11
    csrs mstatus, t6
    bgez s9, 1f
    li t6, 1 << 7           /* an interrupt that still waits is taken once */
    csrc mstatus, t6
1:  mret
unexpected:
    la a0, trap_text
    call put_string
    mv a0, s9
    call put_hex
    mv a0, s11
    call put_hex
    mv a0, s10
    call put_hex
    j test_fail

    .section .rodata
fail_text:
    .asciz "FAIL number 0x"
trap_text:
    .asciz "unexpected trap: cause, pc, tval "

    .bss
    .balign 16
    .space 16384
stack_top:
