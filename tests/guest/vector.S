/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Vectors where they meet the rest of the CPU: mstatus.VS, CSRs, vtype, faults in the middle. */
#include "guest.h"

    .option arch, +v
    .text
#define VS_BITS   (3 << 9)
#define E8M1      0x00
#define E32M1     0x10
#define E32M8     0x13
#define ILLEGAL   2
#define LOAD_PAGE 13
#define STORE_PAGE 15
#define TABLES    0x80400000
#define WINDOW    0x40000000
#define DATA      0x80500000

/* s2 = mstatus.VS */
#define READ_VS                                                                                              \
    csrr s2, mstatus;                                                                                        \
    srli s2, s2, 9;                                                                                          \
    andi s2, s2, 3

#define SET_VS(value)                                                                                        \
    li t5, VS_BITS;                                                                                          \
    csrc mstatus, t5;                                                                                        \
    li t5, value << 9;                                                                                       \
    csrs mstatus, t5

    .globl test_main
test_main:
    mv s0, ra

    /* misa tells V */
    csrr t0, misa
    srli t0, t0, 21
    andi t0, t0, 1
    CHECK(t0, 1)

    /* off: nothing of it may be touched */
    SET_VS(0)
    EXPECT_TRAP(ILLEGAL, vsetvli t0, zero, e8, m1, ta, ma)
    CHECK(s10, 0x0c0072d7)
    EXPECT_TRAP(ILLEGAL, vl1re8.v v0, (sp))
    EXPECT_TRAP(ILLEGAL, csrr t0, vl)
    EXPECT_TRAP(ILLEGAL, csrr t0, vlenb)
    EXPECT_TRAP(ILLEGAL, csrwi vxrm, 0)

    /* any use makes it dirty, and SD with it */
    SET_VS(1)
    READ_VS
    CHECK(s2, 1)
    vsetvli t0, zero, e32, m1, ta, ma
    READ_VS
    CHECK(s2, 3)
    csrr t0, sstatus
    srli t0, t0, 63
    CHECK(t0, 1)
    SET_VS(1)
    csrwi vxsat, 0
    READ_VS
    CHECK(s2, 3)
    /* S-mode sees the same field */
    li t0, VS_BITS
    csrc sstatus, t0
    READ_VS
    CHECK(s2, 0)
    csrs sstatus, t0
    READ_VS
    CHECK(s2, 3)

    /* vtype and vl; this runs with vlen=256 */
    csrr t0, vlenb
    CHECK(t0, 32)
    vsetvli t0, zero, e32, m8, ta, ma
    CHECK(t0, 64)
    csrr t0, vtype
    CHECK(t0, 0xd3)
    li t1, 5
    vsetvli t0, t1, e8, m1, tu, mu
    CHECK(t0, 5)
    csrr t0, vtype
    CHECK(t0, 0)
    csrr t0, vl
    CHECK(t0, 5)
    vsetvli zero, zero, e32, m1, tu, mu  /* keeps vl */
    csrr t0, vl
    CHECK(t0, 5)
    vsetivli t0, 31, e32, m1, tu, mu
    CHECK(t0, 8)
    EXPECT_TRAP(ILLEGAL, csrw vl, zero)

    /* what cannot be is vill, and nothing runs then but what ignores vtype */
    li t1, 0x100
    vsetvl t0, zero, t1
    CHECK(t0, 0)
    csrr t0, vtype
    CHECK(t0, 1 << 63)
    EXPECT_TRAP(ILLEGAL, vadd.vv v8, v8, v8)
    EXPECT_TRAP(ILLEGAL, vle8.v v8, (sp))
    li t0, DATA
    vl1re8.v v8, (t0)
    vs1r.v v8, (t0)

    /* reserved register groups */
    vsetvli t0, zero, e32, m8, ta, ma
    EXPECT_TRAP(ILLEGAL, .word 0x02108457)      /* vadd.vv v8, v1, v1 */
    EXPECT_TRAP(ILLEGAL, .word 0x00840057)      /* vadd.vv v0, v8, v8, v0.t */
    EXPECT_TRAP(ILLEGAL, .word 0xc2842457)      /* vwaddu.vv: no group is sixteen registers */

    /* CSRs */
    csrwi vcsr, 7
    csrr t0, vxrm
    CHECK(t0, 3)
    csrr t0, vxsat
    CHECK(t0, 1)
    csrwi vxsat, 0
    csrr t0, vcsr
    CHECK(t0, 6)
    csrwi vxrm, 1
    csrr t0, vcsr
    CHECK(t0, 2)
    li t0, -1
    csrw vstart, t0
    csrr t0, vstart
    CHECK(t0, 255)
    EXPECT_TRAP(ILLEGAL, vredsum.vs v8, v8, v8)  /* needs vstart 0 */
    csrr t0, vstart
    CHECK(t0, 255)
    vsetivli t0, 8, e32, m1, ta, ma
    csrr t0, vstart
    CHECK(t0, 0)
    /* saturation is sticky */
    li t1, -1
    vmv.v.x v8, t1
    vsaddu.vi v8, v8, 1
    csrr t0, vxsat
    CHECK(t0, 1)

    call map_window
    /* a load that meets a hole: vstart says where, and it goes on there */
    call load_across
    call store_across
    call fault_first

    mv ra, s0
    PASS

/* data accesses go to a window of two pages, the second one with the bits in a0 */
#define MPRV_ON                                                                                              \
    li t5, 1 << 17;                                                                                          \
    csrs mstatus, t5
#define MPRV_S                                                                                               \
    li t5, 3 << 11;                                                                                          \
    csrc mstatus, t5;                                                                                        \
    li t5, 1 << 11;                                                                                          \
    csrs mstatus, t5;                                                                                        \
    MPRV_ON
#define MPRV_OFF                                                                                             \
    li t5, 1 << 17;                                                                                          \
    csrc mstatus, t5

map_window:
    OPEN_PMP
    li t0, TABLES
    li t1, ((TABLES + 0x1000) >> 2) | 1
    sd t1, 8(t0)
    li t0, TABLES + 0x1000
    li t1, ((TABLES + 0x2000) >> 2) | 1
    sd t1, (t0)
    li t0, TABLES + 0x2000
    li t1, (DATA >> 2) | 0xc7
    sd t1, (t0)
    sd zero, 8(t0)
    li t0, (8 << 60) | (TABLES >> 12)
    csrw satp, t0
    sfence.vma
    li t0, DATA
    li t1, DATA + 0x2000
1:  sw t0, (t0)
    addi t0, t0, 4
    bne t0, t1, 1b
    ret

/* a0: the entry's low bits, 0 for a hole */
set_second:
    li t0, TABLES + 0x2008
    beqz a0, 1f
    li t1, (DATA + 0x1000) >> 2
    or a0, a0, t1
1:  sd a0, (t0)
    sfence.vma
    ret

load_across:
    mv s1, ra
    vsetivli t0, 8, e32, m1, ta, ma
    vmv.v.i v8, 0
    li s3, WINDOW + 0x1000 - 12 /* three elements in the first page */
    MPRV_S
    EXPECT_TRAP(LOAD_PAGE, vle32.v v8, (s3))
    MPRV_OFF
    li t0, WINDOW + 0x1000
    CHECK_REG(s10, t0)
    csrr t0, vstart
    CHECK(t0, 3)
    li a0, 0xc7
    call set_second
    /* elements before vstart stay: show that by making them others */
    csrwi vstart, 0
    vmv.s.x v8, zero
    csrwi vstart, 3
    MPRV_S
    vle32.v v8, (s3)
    MPRV_OFF
    csrr t0, vstart
    CHECK(t0, 0)
    vmv.x.s t0, v8
    CHECK(t0, 0)
    vslidedown.vi v9, v8, 1
    vmv.x.s t0, v9
    li t1, DATA + 0x1000 - 8
    sext.w t1, t1
    CHECK_REG(t0, t1)
    vslidedown.vi v9, v8, 7
    vmv.x.s t0, v9
    li t1, DATA + 0x1000 + 16
    sext.w t1, t1
    CHECK_REG(t0, t1)
    jr s1

store_across:
    mv s1, ra
    li a0, 0xc3                 /* read-only */
    call set_second
    vsetivli t0, 8, e32, m1, ta, ma
    vid.v v8
    li s3, WINDOW + 0x1000 - 20
    MPRV_S
    EXPECT_TRAP(STORE_PAGE, vse32.v v8, (s3))
    MPRV_OFF
    csrr t0, vstart
    CHECK(t0, 5)
    li t1, DATA + 0x1000
    lw t0, -4(t1)
    CHECK(t0, 4)
    lw t0, 0(t1)
    sext.w t2, t1
    CHECK_REG(t0, t2)
    li a0, 0xc7
    call set_second
    csrwi vstart, 5
    MPRV_S
    vse32.v v8, (s3)
    MPRV_OFF
    li t1, DATA + 0x1000
    lw t0, 0(t1)
    CHECK(t0, 5)
    lw t0, 8(t1)
    CHECK(t0, 7)
    jr s1

fault_first:
    mv s1, ra
    li a0, 0
    call set_second
    vsetivli t0, 8, e32, m1, ta, ma
    li s3, WINDOW + 0x1000 - 12
    MPRV_S
    vle32ff.v v8, (s3)
    MPRV_OFF
    csrr t0, vl
    CHECK(t0, 3)
    vsetivli t0, 8, e32, m1, ta, ma
    li s3, WINDOW + 0x1000
    MPRV_S
    EXPECT_TRAP(LOAD_PAGE, vle32ff.v v8, (s3))
    MPRV_OFF
    csrr t0, vl
    CHECK(t0, 8)
    jr s1
