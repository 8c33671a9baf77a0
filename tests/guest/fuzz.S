/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random bytes as code, in S- and U-mode, shut into two pages by PMP: whatever it does, it must end in a trap or in the
 * timer's interrupt, and the machine must live.
 */
#include "guest.h"

#define SEEDS    1500
#define MTIMECMP (CLINT + 0x4000)
#define MTIME    (CLINT + 0xbff8)

    .text
    .globl test_main
    .balign 4
test_main:
    la t0, cage
    srli t0, t0, 2
    ori t0, t0, 0x3ff           /* 8 KiB */
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    la t0, fuzz_trap
    csrw mtvec, t0
    li t0, 0x80
    csrw mie, t0
    li t0, -1
    csrw mcounteren, t0
    csrw scounteren, t0

next_seed:
    csrci mstatus, 8
    la a0, seed
    ld s0, 0(a0)                /* count */
    ld s1, 8(a0)                /* generator */
    li t0, SEEDS
    beq s0, t0, test_pass
    addi s0, s0, 1
    sd s0, 0(a0)
    la a1, cage
    li a2, 1024
    la a3, opcodes
1:  slli t0, s1, 13             /* xorshift */
    xor s1, s1, t0
    srli t0, s1, 7
    xor s1, s1, t0
    slli t0, s1, 17
    xor s1, s1, t0
    mv t1, s1
    andi t2, s1, 3              /* three of four words get a sensible opcode */
    beqz t2, 2f
    srli t2, s1, 40
    andi t2, t2, 15
    add t2, t2, a3
    lbu t2, 0(t2)
    andi t1, t1, -128
    or t1, t1, t2
2:  sw t1, 0(a1)
    addi a1, a1, 4
    addi a2, a2, -1
    bnez a2, 1b
    sd s1, 8(a0)
    fence.i

    li t0, MTIME
    ld t1, 0(t0)
    li t0, MTIMECMP
    addi t1, t1, 1000           /* 0.1 ms */
    sd t1, 0(t0)

    li t0, (3 << 11) | (1 << 19) | (1 << 18) | (1 << 17)
    csrc mstatus, t0
    srli t1, s1, 20
    li t0, (1 << 11) | (1 << 18)
    and t1, t1, t0
    li t0, 1 << 13
    or t1, t1, t0
    csrs mstatus, t1
    csrw satp, zero
    la t0, cage
    srli t1, s1, 33
    li t2, 0x7fe
    and t1, t1, t2
    add t0, t0, t1
    csrw mepc, t0

    /* half of the registers point into the cage, the others hold anything */
    la x31, cage
    li x1, 4096
    add x31, x31, x1
    mv x1, x31
    mv x2, x31
    srli x3, s1, 52
    add x3, x3, x31
    addi x4, x31, 256
    mv x5, s1
    slli x6, s1, 20
    li x7, -1
    addi x8, x31, 1024
    srli x10, s1, 53
    add x10, x10, x31
    addi x11, x31, 64
    addi x12, x31, -1000
    neg x13, s1
    li x14, 17
    addi x15, x31, 128
    mret

    .balign 4
fuzz_trap:
    la s0, test_trap
    csrr s1, mcause
    j next_seed

    .data
    .balign 8
seed:
    .dword 0, 0x123456789abcdef1
opcodes:
    .byte 0x03, 0x13, 0x33, 0x3b, 0x1b, 0x23, 0x63, 0x53, 0x07, 0x27, 0x2f, 0x43, 0x6f, 0x33, 0x73, 0x17

    .bss
    .balign 8192
cage:
    .space 8192
