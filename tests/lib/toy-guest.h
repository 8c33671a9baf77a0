/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest CPU for tests of accel/tcg ("toy"): registers are vars 1..15, var 0 is zero; an instruction is four
 * bytes {op, rd, rs, imm}.  Memory is mapped as it is unless the test sets toy_map.
 */
#ifndef TESTS_LIB_TOY_GUEST_H
#define TESTS_LIB_TOY_GUEST_H

#include "accel/tcg.h"

/* Branches go to their own address + 4 * imm. */
enum {
    HALT,
    ADDI,   /* rd = rs + imm */
    LI,     /* rd = imm */
    LD,     /* rd = [rs + imm] */
    ST,     /* [rs + imm] = rd */
    AMOADD, /* rd = [rs], [rs] += rd */
    BNE,    /* rd, rs */
    BLTU,   /* rd, rs */
    JMP,
    JR,   /* to rs */
    MARK, /* where LOOP may go without leaving the block */
    LOOP, /* like BNE, to a MARK */
    CALL, /* toy_call */
};

typedef struct ToyCPU {
    TCGEnv tcg;
    uint16_t asid;
    CPUState cs;
} ToyCPU;

/* Changes @fill, which maps @addr to itself for all address spaces. */
extern void (*toy_map)(const ToyCPU *toy, vaddr addr, MMUAccessType access, TlbFill *fill);
/* May change vars. */
extern uint64_t (*toy_call)(TCGEnv *env, uint64_t a, uint64_t b, uint64_t c);

static inline uint32_t insn(unsigned op, unsigned rd, unsigned rs, int imm)
{
    return op | rd << 8 | rs << 16 | (uint32_t)(uint8_t)imm << 24;
}

#endif
