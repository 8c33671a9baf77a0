/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two harts: atomics do not lose updates, fences order, software interrupts arrive, code written by the other runs. */
#include "guest.h"

#define ROUNDS 20000

    .text
    .globl test_main, secondary_main
    .balign 4
/* a0: counters; both harts do this */
work:
    li a1, ROUNDS
    la a0, counters
1:  li t0, 1
    amoadd.d zero, t0, (a0)
    addi a2, a0, 128
4:  lr.d t0, (a2)
    addi t0, t0, 1
    sc.d t1, t0, (a2)
    bnez t1, 4b
    addi a3, a0, 192            /* a spin lock around plain memory */
5:  li t0, 1
    amoswap.w.aq t0, t0, (a3)
    bnez t0, 5b
    ld t0, 8(a3)
    addi t0, t0, 1
    sd t0, 8(a3)
    amoswap.w.rl zero, zero, (a3)
    addi a1, a1, -1
    bnez a1, 1b
    ret

secondary_main:
    la sp, stack2
    la s0, go
1:  lw t0, 0(s0)
    beqz t0, 1b
    call work
    la s0, done
    li t0, 1
    fence w, w
    sw t0, 0(s0)
    /* echo: waits for its software interrupt, clears it, sends one to hart 0 */
    li s1, CLINT
    csrwi mie, 8
2:  wfi
    csrr t0, mip
    andi t0, t0, 8
    beqz t0, 2b
    sw zero, 4(s1)
    li t0, 1
    sw t0, 0(s1)
    j 2b

test_main:
    mv s5, ra
    la s0, go
    li t0, 1
    sw t0, 0(s0)
    call work
    la s0, done
1:  lw t0, 0(s0)
    beqz t0, 1b
    fence r, r
    la s0, counters
    ld t0, 0(s0)
    CHECK(t0, 2 * ROUNDS)
    ld t0, 128(s0)
    CHECK(t0, 2 * ROUNDS)
    ld t0, 200(s0)
    CHECK(t0, 2 * ROUNDS)

    /* interrupts there and back */
    li s1, CLINT
    csrwi mie, 8
    li s2, 200
2:  li t0, 1
    sw t0, 4(s1)
3:  wfi
    csrr t0, mip
    andi t0, t0, 8
    beqz t0, 3b
    sw zero, 0(s1)
4:  csrr t0, mip
    andi t0, t0, 8
    bnez t0, 4b
    addi s2, s2, -1
    bnez s2, 2b
    PASS

    .bss
    .balign 64
counters: .space 256
go:   .space 64
done: .space 64
    .space 4096
stack2:
