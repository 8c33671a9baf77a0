/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entry of the bare-metal guests in C: one hart, a stack, zeroed .bss, main(ram_size in a0). */
    .section .text.start, "ax"
    .globl _start
_start:
    csrr    t0, mhartid
    bnez    t0, park
    la      sp, stack_top
    la      t0, bss_start
    la      t1, bss_end
1:  bgeu    t0, t1, 2f
    sd      zero, 0(t0)
    addi    t0, t0, 8
    j       1b
2:  call    guest_main
park:
    wfi
    j       park
