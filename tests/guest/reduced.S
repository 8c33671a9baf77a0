/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Without floating point and MMU: satp is read-only zero, and there is no fcsr even if FS is on. */
#include "guest.h"

    .text
    .globl test_main
    .balign 4
test_main:
    li t0, 8
    slli t0, t0, 60
    csrw satp, t0
    csrr t1, satp
    CHECK(t1, 0)
    li t0, 3 << 13
    csrs mstatus, t0
    EXPECT_TRAP(2, csrr t0, fflags)
    EXPECT_TRAP(2, csrr t0, fcsr)
    EXPECT_TRAP(2, fmv.x.d t0, fa0)
    PASS
