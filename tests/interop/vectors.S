/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine whose state is in its vector unit: all registers, vl, vtype, vcsr, mstatus.VS.  It compares them with what it put
 * there, round after round, and prints PASS for each hundred rounds, or FAIL.
 */
    .option arch, +v
    .equ UART, 0x10000000
    .section .text.start, "ax"
    .globl _start
_start:
    csrr    t0, mhartid
1:  bnez    t0, 1b
    li      t0, 1 << 9
    csrs    mstatus, t0
    csrr    s0, vlenb
    slli    s0, s0, 3               /* bytes of eight registers */
    la      s1, wanted
    slli    t1, s0, 2
    add     s2, s1, t1
    mv      t0, s1
    li      t2, 0x9e3779b97f4a7c15
    mv      t3, t2
2:  sd      t3, (t0)
    mul     t3, t3, t2
    addi    t3, t3, 1
    addi    t0, t0, 8
    bne     t0, s2, 2b
    mv      t0, s1
    .irp    first, 0, 8, 16, 24
    vl8re8.v v\first, (t0)
    add     t0, t0, s0
    .endr
    li      t0, 5
    vsetvli zero, t0, e16, m2, tu, ma
    csrwi   vcsr, 5
    li      s6, 0

round:
    li      s3, 0                   /* the first wrong thing */
    csrr    t0, vl
    addi    t0, t0, -5
    bnez    t0, fail
    csrr    t0, vtype
    addi    t0, t0, -0x89
    bnez    t0, fail
    csrr    t0, vcsr
    addi    t0, t0, -5
    bnez    t0, fail
    csrr    t0, mstatus
    srli    t0, t0, 9
    andi    t0, t0, 3
    addi    t0, t0, -3
    bnez    t0, fail
    la      t1, found
    mv      t0, t1
    .irp    first, 0, 8, 16, 24
    vs8r.v  v\first, (t0)
    add     t0, t0, s0
    .endr
    mv      t0, s1
3:  ld      t2, (t0)
    ld      t3, (t1)
    bne     t2, t3, fail
    addi    t0, t0, 8
    addi    t1, t1, 8
    bne     t0, s2, 3b
    addi    s6, s6, 1
    li      t0, 100
    bne     s6, t0, round
    li      s6, 0
    la      a0, pass_text
    call    print
    j       round

fail:
    la      a0, fail_text
    call    print
4:  wfi
    j       4b

print:
    li      t1, UART
5:  lbu     t0, (a0)
    beqz    t0, 6f
    sb      t0, (t1)
    addi    a0, a0, 1
    j       5b
6:  ret

pass_text:
    .asciz "PASS\n"
fail_text:
    .asciz "FAIL\n"
    .bss
    .balign 16
wanted:
    .space 4096
found:
    .space 4096

