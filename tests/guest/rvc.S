/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compressed instructions by their encodings, and branches of every reach. */
#include "guest.h"

    .text
    .globl test_main
test_main:
    .option push
    .option rvc
    la a0, data
    li a1, 0x1122334455667788
    c.li a2, -32
    CHECK(a2, -32)
    c.li a2, 31
    CHECK(a2, 31)
    c.lui a2, 0x1f
    CHECK(a2, 0x1f000)
    c.lui a2, 0xfffe0
    CHECK(a2, -0x20000)
    c.addi a2, 1
    CHECK(a2, -0x1ffff)
    c.addiw a2, -1
    CHECK(a2, -0x20000)
    mv s0, sp
    c.addi16sp sp, -512
    addi s1, s0, -512
    CHECK_REG(sp, s1)
    c.addi16sp sp, 496
    addi s1, s0, -16
    CHECK_REG(sp, s1)
    c.addi4spn a3, sp, 1020
    addi s1, sp, 1020
    CHECK_REG(a3, s1)
    c.addi4spn a3, sp, 4
    addi s1, sp, 4
    CHECK_REG(a3, s1)
    mv sp, a0
    c.sdsp a1, 504(sp)
    ld a2, 504(a0)
    CHECK_REG(a2, a1)
    c.ldsp a3, 504(sp)
    CHECK_REG(a3, a1)
    c.swsp a1, 252(sp)
    c.lwsp a3, 252(sp)
    CHECK(a3, 0x55667788)
    c.sd a1, 248(a0)
    c.ld a4, 248(a0)
    CHECK_REG(a4, a1)
    c.sw a1, 124(a0)
    c.lw a4, 124(a0)
    CHECK(a4, 0x55667788)
    c.fld fa0, 248(a0)
    c.fsdsp fa0, 256(sp)
    c.fldsp ft8, 256(sp)
    fmv.x.d a4, ft8
    CHECK_REG(a4, a1)
    c.fsd fa0, 8(a0)
    ld a4, 8(a0)
    CHECK_REG(a4, a1)
    mv sp, s0
    c.mv a2, a1
    CHECK_REG(a2, a1)
    c.slli a2, 63
    CHECK(a2, 0)
    c.mv a2, a1
    c.slli a2, 4
    CHECK(a2, 0x1223344556677880)
    c.srli a2, 36
    CHECK(a2, 0x1223344)
    c.li a2, -1
    c.srli a2, 63
    CHECK(a2, 1)
    c.li a2, -16
    c.srai a2, 2
    CHECK(a2, -4)
    c.andi a2, -8
    CHECK(a2, -8)
    c.add a2, a1
    CHECK(a2, 0x1122334455667780)
    c.sub a2, a1
    CHECK(a2, -8)
    c.xor a2, a1
    CHECK(a2, 0xeeddccbbaa998870)
    c.or a2, a1
    CHECK(a2, -8)
    c.and a2, a1
    CHECK(a2, 0x1122334455667788)
    c.li a3, -1
    c.subw a2, a3
    CHECK(a2, 0x55667789)
    c.addw a2, a2
    CHECK(a2, -0x553310ee)

    /* loops and branches */
    li a2, 0
    li a3, 100
1:  c.addi a2, 3
    c.addi a3, -1
    c.bnez a3, 1b
    CHECK(a2, 300)
    c.beqz a3, 2f
    j test_fail
2:  c.j 3f
    j test_fail
3:  la a2, 4f
    c.jalr a2
    j 5f
4:  c.jr ra
    j test_fail
5:
    /* a loop with a loop in it, a way out of the middle, and a call */
    li s2, 0
    li s3, 50
6:  li s4, 7
7:  addi s2, s2, 1
    addi s4, s4, -1
    bnez s4, 7b
    li t0, 25
    beq s3, t0, 8f
    addi s3, s3, -1
    bgtz s3, 6b
    j test_fail
8:  CHECK(s2, 7 * 26)
    call leaf
    CHECK(a0, 4242)

    /* recursion, deep enough to overflow any return stack */
    li a0, 600
    la sp, stack + 32768
    call sum
    mv sp, s0
    CHECK(a0, 180300)

    /* every way to leave a page: fall through, branch, jump */
    la t0, page_end
    jalr t0
    CHECK(a0, 7)
    li a1, 1
    la t0, page_end2
    jalr t0
    CHECK(a0, 12)
    li a1, 0
    la t0, page_end2
    jalr t0
    CHECK(a0, 13)
    .option pop
    PASS

sum:
    beqz a0, 1f
    addi sp, sp, -16
    sd ra, 8(sp)
    sd a0, 0(sp)
    addi a0, a0, -1
    call sum
    ld t0, 0(sp)
    add a0, a0, t0
    ld ra, 8(sp)
    addi sp, sp, 16
1:  ret

    .option push
    .option norvc
    .balign 4096
    .space 4088
page_end:
    li a0, 3
    addi a0, a0, 4
    ret
    .space 4080
page_end2:                          /* its branch stands at the page's last two bytes */
    .option pop
    li a0, 12
    c.nop
1:  .option push
    .option norvc
    bnez a1, 2f
    addi a0, a0, 1
2:  ret
    .option pop

    .balign 4096
leaf:
    li a0, 4242
    ret

    .bss
    .balign 4096
data: .space 1024
stack: .space 32768
