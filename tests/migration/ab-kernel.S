/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that never stops writing.  Hart 0 prints 'A' once; each hart zeroes a byte in every page of its part of the
 * region and writes a word behind it, then adds one to each of them, round after round; hart 0 prints 'B' every 32 rounds.  So at any moment the
 * bytes of a part are v, v, ..., v-1, v-1: anything else is a lost or stale page.
 *
 * ab-kernel.h is this file assembled (the command is in it); the tests fill in the two words at the end.
 */
    .option norvc
    .globl _start
_start:
    csrr    t0, mhartid
    lla     t1, params
    ld      s0, 0(t1)       # start of the region
    ld      s1, 8(t1)       # bytes per hart
    mul     s2, t0, s1
    add     s0, s0, s2
    add     s1, s0, s1
    li      s3, 0x10000000  # serial port
    li      s5, 4096
    bnez    t0, 1f
    li      t2, 'A'
    sb      t2, 0(s3)
1:  mv      t3, s0
2:  sb      zero, 0(t3)
    sd      s5, 8(t3)       # no page is all zeroes, also when its counter is: it would cost the stream nothing
    add     t3, t3, s5
    bltu    t3, s1, 2b
    li      s4, 0
3:  mv      t3, s0
4:  lbu     t4, 0(t3)
    addi    t4, t4, 1
    sb      t4, 0(t3)
    add     t3, t3, s5
    bltu    t3, s1, 4b
    addi    s4, s4, 1
    andi    t5, s4, 31
    bnez    t5, 3b
    bnez    t0, 3b
    li      t2, 'B'
    sb      t2, 0(s3)
    j       3b
    .balign 8
params:
    .dword  0x80100000
    .dword  0x1000000
