/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What single ops mean, as C functions: for interpreters of IR outside the compiler (accel/tcg/lockstep.c).
 */
#ifndef TCG_EVAL_H
#define TCG_EVAL_H

#include "tcg/ir.h"

/* The value of a VALUE op other than PCREL and LDENV; @b is the immediate already where the op has one. */
uint64_t ir_eval(const IROp *op, uint64_t a, uint64_t b);
bool ir_eval_cond(unsigned cond, unsigned type, uint64_t a, uint64_t b);
/* Every FP op but FP_CHECK, by softfloat; reads env->frm, accrues in env->fflags. */
uint64_t ir_eval_fp(const IROp *op, TCGEnv *env, uint64_t a, uint64_t b, uint64_t c);

/* Sign extension and boxing of a raw memory value. */
static inline uint64_t ir_extend(uint64_t raw, unsigned mem)
{
    unsigned bits = 8u << (mem & IR_MEM_SIZE);

    if (bits == 64) {
        return raw;
    }
    raw &= (1ULL << bits) - 1;
    if (mem & IR_MEM_SIGN) {
        return (uint64_t)((int64_t)(raw << (64 - bits)) >> (64 - bits));
    }
    if (mem & IR_MEM_FP_BOX) {
        return raw | ~((1ULL << bits) - 1);
    }
    return raw;
}

/* What AMO @opc leaves in memory that held @old. */
uint64_t ir_eval_amo(unsigned opc, uint64_t old, uint64_t value);

#endif
