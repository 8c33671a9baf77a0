/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random ops for the ir-exec tests: any of them, with operands that make them meet their corners. */
#include "ir-exec.h"

/* --- integers --- */

uint64_t interesting(GRand *r)
{
    static const uint64_t values[] = {0,          1,
                                      2,          ~0ULL,
                                      1ULL << 63, ~0ULL >> 1,
                                      0x80000000, 0x7fffffff,
                                      0xffffffff, 0xffffffff80000000,
                                      63,         64,
                                      31,         32,
                                      0x8000,     0xff00ff00ff00ff00};

    if (g_rand_int_range(r, 0, 3)) {
        return (uint64_t)g_rand_int(r) << 32 | g_rand_int(r);
    }
    return values[g_rand_int_range(r, 0, G_N_ELEMENTS(values))];
}

IRRef random_var(GRand *r)
{
    return g_rand_int_range(r, 0, 18);
}

static bool is_plain_value(IROpcode opc)
{
    return ir_op_kind(opc) == IR_KIND_VALUE && opc != IR_LDENV;
}

void random_op(GRand *r, IRRef *temp)
{
    IROpcode opc;
    IROp *op;
    bool imm;
    IRRef a = random_var(r), dst = random_var(r);

    do {
        opc = g_rand_int_range(r, 0, IR_NUM_OPS);
    } while (!is_plain_value(opc));
    imm = g_rand_int_range(r, 0, 3) == 0;
    if (*temp && g_rand_boolean(r)) {
        a = *temp;
    }
    if (g_rand_int_range(r, 0, 4) == 0 && block->n_temps < TCG_MAX_TEMPS - 2) {
        dst = ir_temp(block);
    }
    op = ir_emit(block, opc, dst, a, imm ? IR_IMM : random_var(r),
                 g_rand_boolean(r) ? (int64_t)interesting(r) : (int32_t)g_rand_int_range(r, -100, 100));
    if (*temp && g_rand_int_range(r, 0, 4) == 0 && !imm) {
        op->b = *temp;
    }
    op->type = g_rand_int_range(r, 0, 3) == 0 ? IR_I32 : IR_I64;
    op->cond = g_rand_int_range(r, 0, IR_GTU + 1);
    if (opc == IR_SHADD) {
        op->imm = g_rand_int_range(r, 1, 4);
        op->b = random_var(r);
    } else if (opc == IR_SHLUW) {
        op->imm &= 63;
        op->b = IR_NONE;
    } else if (opc == IR_MOVI || opc == IR_PCREL) {
        op->type = IR_I64;
        op->a = op->b = IR_NONE;
    } else if (opc == IR_MOV || (opc >= IR_CLZ && opc <= IR_ZEXT32)) {
        op->b = IR_NONE;
    }
    if (dst >= IR_TEMP0) {
        *temp = dst;
    }
}

void random_block(GRand *r, unsigned n)
{
    IRRef temp = 0;

    begin_block();
    for (unsigned i = 0; i < n; i++) {
        random_op(r, &temp);
    }
    end_block();
}

/* --- floating point --- */

static uint64_t fp_value(GRand *r)
{
    static const uint64_t f64[] = {0,
                                   1ULL << 63,
                                   0x3ff0000000000000,
                                   0xbff0000000000000,
                                   0x7ff0000000000000,
                                   0xfff0000000000000,
                                   0x7ff8000000000000,
                                   0xfff8000000000001,
                                   0x7ff0000000000001,
                                   1,
                                   0x000fffffffffffff,
                                   0x0010000000000000,
                                   0x7fefffffffffffff,
                                   0x3ca0000000000000,
                                   0x41dfffffffc00000,
                                   0xc1e0000000000000,
                                   0x43e0000000000000,
                                   0xc3e0000000000000,
                                   0x41f0000000000000,
                                   0x3fe0000000000000,
                                   0x4008000000000000,
                                   0x41efffffffe00000};
    static const uint32_t f32[] = {0,          1u << 31,   0x3f800000, 0xbf800000, 0x7f800000,
                                   0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001, 1,
                                   0x007fffff, 0x00800000, 0x7f7fffff, 0x4f000000, 0xcf000000,
                                   0x5f000000, 0x4f800000, 0x3f000000, 0x33800000};

    switch (g_rand_int_range(r, 0, 8)) {
    case 0:
    case 1:
        return f64[g_rand_int_range(r, 0, G_N_ELEMENTS(f64))];
    case 2:
    case 3:
        return ~0ULL << 32 | f32[g_rand_int_range(r, 0, G_N_ELEMENTS(f32))];
    case 4:
        return ~0ULL << 32 | g_rand_int(r);
    case 5:
        return ~0ULL << 32 | (0x3f000000 + (g_rand_int(r) & 0x81ffffff));
    case 6:
        return (0x3fe0000000000000 + ((uint64_t)g_rand_int(r) << 32 & 0x803fffff00000000)) | g_rand_int(r);
    default:
        return (uint64_t)g_rand_int(r) << 32 | g_rand_int(r);
    }
}

static bool takes_int(IROpcode opc)
{
    return (opc >= IR_FCVT_FROM_W && opc <= IR_FCVT_FROM_LU) || opc == IR_FMV_TO_F;
}

static bool gives_int(IROpcode opc)
{
    return (opc >= IR_FEQ && opc <= IR_FCLASS) || (opc >= IR_FCVTMOD && opc <= IR_FCVT_LU) ||
           opc == IR_FMV_TO_X;
}

IRRef random_fp(GRand *r)
{
    return g_rand_int_range(r, 40, 56);
}

void random_fp_op(GRand *r)
{
    static const uint8_t rms[] = {IR_DYN, IR_DYN, IR_DYN, IR_DYN, IR_RNE,
                                  IR_RTZ, IR_RTZ, IR_RDN, IR_RUP, IR_RMM};
    IROpcode opc = g_rand_int_range(r, IR_FADD, IR_FMV_TO_X + 1);
    IROp *op;

    op = ir_emit(block, opc, gives_int(opc) ? random_var(r) : random_fp(r),
                 takes_int(opc) ? random_var(r) : random_fp(r), IR_NONE, 0);
    op->type = g_rand_int_range(r, 0, 8) == 0 ? IR_F16 : g_rand_boolean(r) ? IR_F64 : IR_F32;
    op->rm = rms[g_rand_int_range(r, 0, G_N_ELEMENTS(rms))];
    if ((opc >= IR_FADD && opc <= IR_FDIV) || (opc >= IR_FMADD && opc <= IR_FLEQ)) {
        op->b = random_fp(r);
    }
    if (opc >= IR_FMADD && opc <= IR_FNMADD) {
        op->c = random_fp(r);
    }
    if (opc == IR_FCVTMOD) {
        op->type = IR_F64;
    } else if (opc == IR_FCVT_FF) {
        op->imm = g_rand_int_range(r, IR_F64, IR_F16 + 1);
    } else if (opc == IR_FROUND) {
        op->imm = g_rand_boolean(r);
    }
}

void load_fp_vars(GRand *r)
{
    for (unsigned i = 40; i < 56; i++) {
        ir_emit(block, IR_MOVI, i, IR_NONE, IR_NONE, (int64_t)fp_value(r));
    }
}
