/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all random streams share: start-up, rounds, trap handler, checkpoints.  Included by the assembler.
 *
 * The handler keeps every register.  STREAM_MODE: 0 U, 1 S, 3 M.  In round k > 0 page k - 1 of the window is
 * not mapped.
 */
#define FINISHER 0x100000
#define UART     0x10000000
#define DATA     0x80200000
#define PAGES    8
#define ROOT_0   0x80210000
#define TABLES   0x80210000
#define TABLE_BYTES 0x8000

    .section .text.start, "ax"
    .globl _start
_start:
    csrr t0, mhartid
    bnez t0, park
    la t0, trap
    csrw mtvec, t0
    la t0, context
    csrw mscratch, t0
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    li t0, 1 << 61
    csrc menvcfg, t0
#if STREAM_ADUE
    csrs menvcfg, t0
#endif
    csrw medeleg, zero
    csrw mideleg, zero
    csrw stvec, zero
    csrw scause, zero
    csrw stval, zero
    csrw sscratch, zero
    csrw mtval, zero

next_round:
    la t0, round
    ld t1, (t0)
    li t2, STREAM_ROUNDS
    beq t1, t2, all_done
    addi t2, t1, 1
    sd t2, (t0)

    /* data: the generated 4 KiB for each page */
    li t0, DATA
    li t2, DATA + PAGES * 4096
1:  la t3, first_data
    li t4, 512
2:  ld t5, (t3)
    sd t5, (t0)
    addi t3, t3, 8
    addi t0, t0, 8
    addi t4, t4, -1
    bnez t4, 2b
    bne t0, t2, 1b

    /* two address spaces: a gigapage for the code, a window of small pages */
    li t0, TABLES
    li t2, TABLES + TABLE_BYTES
1:  sd zero, (t0)
    addi t0, t0, 8
    bne t0, t2, 1b
    li a0, TABLES
    la a1, first_ptes
    li a2, 2
3:  li t3, (0x80000 << 10) | 0xcf
#if STREAM_MODE == 0
    ori t3, t3, 0x10
#endif
    sd t3, 16(a0)           /* 0x80000000: itself */
    li t4, 0x1000
    add t5, a0, t4
    srli t3, t5, 2
    ori t3, t3, 1
    sd t3, 8(a0)            /* 0x40000000 */
    add t6, t5, t4
    srli t3, t6, 2
    ori t3, t3, 1
    sd t3, (t5)
    li a3, PAGES
4:  ld t3, (a1)
    sd t3, (t6)
    andi t3, t3, ~4         /* the alias cannot be written */
    sd t3, 128(t6)
    addi a1, a1, 8
    addi t6, t6, 8
    addi a3, a3, -1
    bnez a3, 4b
    li t4, 0x4000
    add a0, a0, t4
    addi a2, a2, -1
    bnez a2, 3b
    /* this round's hole, in both */
    beqz t1, 5f
    slli t2, t1, 3
    li t3, TABLES + 0x2000 - 8
    add t3, t3, t2
    sd zero, (t3)
    li t4, 0x4000
    add t3, t3, t4
    sd zero, (t3)
5:
#if STREAM_MODE != 3
    la t0, satp_0
    ld t0, (t0)
    csrw satp, t0
#endif
    sfence.vma
    fence.i

    li t0, (3 << 11) | (3 << 13) | (1 << 17) | (1 << 18) | (1 << 19)
    csrc mstatus, t0
    li t0, (STREAM_MODE << 11) | (1 << 13)
    csrs mstatus, t0
    csrw fcsr, zero
    la t0, first_fp
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld f\n, \n * 8(t0)
    .endr
    la t0, body
    csrw mepc, t0
    la x31, first_registers
    .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\n, \n * 8(x31)
    .endr
    mret

body_end:
    la a0, ended
    li a7, 1
    sd a7, (a0)
    ecall

    .balign 4
trap:
    csrrw sp, mscratch, sp
    .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\n, \n * 8(sp)
    .endr
    csrr t0, mscratch
    sd t0, 16(sp)
    la t1, ended
    ld t2, (t1)
    beqz t2, 1f
    sd zero, (t1)
    csrw mscratch, sp
    li t0, 3 << 11
    csrs mstatus, t0
    la t0, next_round
    csrw mepc, t0
    mret
1:  csrr s0, mcause
    csrr s1, mepc
    csrr s2, mtval
    csrr s3, mstatus
    /* ecall of any mode: a checkpoint */
    addi t0, s0, -8
    li t1, 4
    bltu t0, t1, checkpoint
    li t0, 4                /* a misaligned load-reserved, or what some report for atomics */
    bne s0, t0, 2f
    li s0, 6
2:  la t0, trap_hash
    ld a0, (t0)
    mv a1, s0
    call mix
    mv a1, s1
    call mix
    mv a1, s2
    call mix
    srli a1, s3, 11
    andi a1, a1, 3
    call mix
    la t0, trap_hash
    sd a0, (t0)
    /* a fetch that failed: back to the caller; else behind the instruction */
    ld t1, 8(sp)
    beqz s0, 3f
    li t0, 1
    beq s0, t0, 3f
    li t0, 12
    beq s0, t0, 3f
    lhu t0, (s1)
    andi t0, t0, 3
    addi t0, t0, -3
    addi t1, s1, 4
    beqz t0, 3f
    addi t1, s1, 2
3:  csrw mepc, t1
    j restore

checkpoint:
    addi t1, s1, 4
    csrw mepc, t1
    li s0, 3 << 13
    csrs mstatus, s0
    la t0, trap_hash
    ld a0, (t0)
    .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld a1, \n * 8(sp)
    call mix
    .endr
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fmv.x.d a1, f\n
    call mix
    .endr
    csrr a1, fcsr
    call mix
    csrr a1, sscratch
    call mix
    li s4, DATA
    li s5, DATA + PAGES * 4096
4:  ld a1, (s4)
    call mix
    addi s4, s4, 8
    bne s4, s5, 4b
    li s4, TABLES
    li s5, TABLES + TABLE_BYTES
5:  ld a1, (s4)
    beqz a1, 6f
    call mix
6:  addi s4, s4, 8
    bne s4, s5, 5b
    /* the FS field comes back as it was, but dirty if it was on: emulators may differ there */
    li t0, 3 << 13
    and t1, s3, t0
    csrc mstatus, t0
    beqz t1, 7f
    csrs mstatus, t0
7:  li t1, UART
    li t2, 60
8:  srl t3, a0, t2
    andi t3, t3, 15
    addi t3, t3, 48
    li t4, 58
    blt t3, t4, 9f
    addi t3, t3, 39
9:  sb t3, (t1)
    addi t2, t2, -4
    bgez t2, 8b
    li t3, 10
    sb t3, (t1)
restore:
    ld t0, 16(sp)
    csrw mscratch, t0
    .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\n, \n * 8(sp)
    .endr
    csrrw sp, mscratch, sp
    mret

/* a0 = mix(a0, a1); clobbers t0.  With -DSTREAM_TRACE prints every value, to find what differs. */
mix:
#ifdef STREAM_TRACE
    la t0, trace_save
    sd t1, 0(t0)
    sd t2, 8(t0)
    sd t3, 16(t0)
    sd t4, 24(t0)
    li t1, UART
    li t2, 60
1:  srl t3, a1, t2
    andi t3, t3, 15
    addi t3, t3, 48
    li t4, 58
    blt t3, t4, 2f
    addi t3, t3, 39
2:  sb t3, (t1)
    addi t2, t2, -4
    bgez t2, 1b
    li t3, 46
    sb t3, (t1)
    li t3, 10
    sb t3, (t1)
    ld t1, 0(t0)
    ld t2, 8(t0)
    ld t3, 16(t0)
    ld t4, 24(t0)
#endif
    xor a0, a0, a1
    li t0, 0x9e3779b97f4a7c15
    mul a0, a0, t0
    srli t0, a0, 29
    xor a0, a0, t0
    ret

all_done:
    li t0, FINISHER
    li t1, 0x5555
    sw t1, (t0)
park:
    wfi
    j park

    .balign 8
context:
    .space 256
round:
    .dword 0
ended:
    .dword 0
trap_hash:
    .dword 1
#ifdef STREAM_TRACE
trace_save:
    .space 32
#endif
    .globl satp_0, satp_1, window_0, window_1
satp_0:
    .dword (8 << 60) | (1 << 44) | (TABLES >> 12)
satp_1:
    .dword (8 << 60) | (2 << 44) | ((TABLES + 0x4000) >> 12)
    .equ window_0, TABLES + 0x2000
    .equ window_1, TABLES + 0x6000
