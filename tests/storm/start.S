/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entry of the storm's guest: a stack for each hart; memory is zero at start. */
    .section .text.start, "ax"
    .globl _start
_start:
    csrr    a0, mhartid
    la      sp, stack_top
    slli    t0, a0, 12
    sub     sp, sp, t0
    call    guest_main
1:  wfi
    j       1b
