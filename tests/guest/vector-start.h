/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the programs of vector.py share: start-up, the trap handler, the check behind each case.  Included by the assembler.
 *
 * The cases run in S-mode under Sv39, which has memory and devices where they are, and a window of small pages with
 * holes.  s9 is a factor, s10 the hash, s8 where registers are stored; cases keep off the s registers.
 */
#define FINISHER 0x100000
#define UART     0x10000000
#define WINDOW   0x40000000
#define DATA     0x80800000
#define TABLES   0x80810000
#define SAVED    0x80820000
#define PAGES    8

    .section .text.start, "ax"
    .option arch, +v
    .globl _start
_start:
    csrr t0, mhartid
1:  bnez t0, 1b
    la t0, trap
    csrw mtvec, t0
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    csrw medeleg, zero
    csrw mideleg, zero

    li t0, DATA                 /* any bytes */
    li t1, DATA + PAGES * 4096
    li s9, 0x9e3779b97f4a7c15
    li t2, 1
1:  mul t2, t2, s9
    addi t2, t2, 7
    sd t2, (t0)
    addi t0, t0, 8
    bne t0, t1, 1b

    li t0, TABLES
    li t1, (0 << 10) | 0xc7     /* devices: read, write */
    sd t1, 0(t0)
    li t1, ((TABLES + 0x1000) >> 2) | 1
    sd t1, 8(t0)
    li t1, ((0x80000000) >> 2) | 0xcf
    sd t1, 16(t0)
    li t0, TABLES + 0x1000
    li t1, ((TABLES + 0x2000) >> 2) | 1
    sd t1, (t0)
    li t0, TABLES + 0x2000
    la t2, window_bits
    li t1, DATA >> 2
    li t3, PAGES
1:  lbu t4, (t2)
    or t4, t4, t1
    sd t4, (t0)
    addi t0, t0, 8
    addi t2, t2, 1
    addi t1, t1, 0x400
    addi t3, t3, -1
    bnez t3, 1b
    li t0, (8 << 60) | (TABLES >> 12)
    csrw satp, t0
    sfence.vma

    li t0, (3 << 11) | (3 << 13) | (3 << 9)
    csrc mstatus, t0
    li t0, (1 << 11) | (3 << 13) | (3 << 9)
    csrs mstatus, t0
    la t0, cases
    csrw mepc, t0
    li s8, SAVED
    li s10, 1
    mret

    .balign 4
trap:
    csrw mscratch, t0
    csrr t0, mcause
    xor s10, s10, t0
    mul s10, s10, s9
    csrr t0, mtval
    xor s10, s10, t0
    mul s10, s10, s9
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    csrr t0, mscratch
    mret

/* Mixes all that a case may have changed into s10, prints it; a7: memory too. */
check:
    csrr t0, vstart
    call mix
    csrr t0, vl
    call mix
    csrr t0, vtype
    call mix
    csrr t0, vcsr
    call mix
    csrr t0, fcsr
    call mix
    mv t0, a2
    call mix
    fmv.x.d t0, fa2
    call mix
    csrwi vstart, 0
    csrr t3, vlenb
    slli t3, t3, 3
    mv t2, s8
    .irp first, 0, 8, 16, 24
    vs8r.v v\first, (t2)
    add t2, t2, t3
    .endr
    mv t4, t2
    mv t2, s8
    call mix_range
    beqz a7, 1f
    li t2, DATA
    li t4, DATA + PAGES * 4096
    call mix_range
1:  li t1, UART
    li t2, 60
2:  srl t3, s10, t2
    andi t3, t3, 15
    addi t3, t3, 48
    li t4, 58
    blt t3, t4, 3f
    addi t3, t3, 39
3:  sb t3, (t1)
    addi t2, t2, -4
    bgez t2, 2b
    li t3, 10
    sb t3, (t1)
    li s10, 1
    jr s11

mix_range:
    mv t6, ra
1:  ld t0, (t2)
    call mix
    addi t2, t2, 8
    bne t2, t4, 1b
    jr t6

mix:
    xor s10, s10, t0
    mul s10, s10, s9
    srli t5, s10, 29
    xor s10, s10, t5
    ret

cases_end:
    li t0, FINISHER
    li t1, 0x5555
    sw t1, (t0)
1:  j 1b

/* valid, read, write, accessed, dirty; a hole; read-only */
window_bits:
    .byte 0xc7, 0xc7, 0, 0xc7, 0xc3, 0xc7, 0xc7, 0
    .balign 8
