/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Floating point inline, with results and flags exactly those of RISC-V.
 *
 * MXCSR holds the guest's rounding mode and sticky flags.  SSE arithmetic agrees with RISC-V but for NaN
 * results, which are made canonical out of line; for the cases where flags or values differ (NaN operands of
 * min and max, products of zero and infinity added to NaN, conversions out of range) and for rounding modes
 * that MXCSR does not hold, the op's C function is called.
 */
#include "tcg/x86_64/emit.h"

/* --- calls of C functions --- */

void emit_fp_function(Emit *e, const IROp *op)
{
    Asm *a = &e->a;

    asm_mov_imm_keep_flags(a, RAX, (uintptr_t)fp_function(op));
    asm_store(a, 1, ENV(scratch[0]), RAX);
    asm_store_imm32(a, 1, ENV(scratch[1]), (int32_t)fp_function_rm(op));
    load_ref(e, RAX, op->a);
    load_ref(e, RDX, op->b);
    load_ref(e, RCX, op->c);
    call_thunk(e, x86_host.thunks.fp_call);
}

static bool result_is_boxed_f32(const IROp *op)
{
    return op->type == IR_F32 && !(op->opc >= IR_FEQ && op->opc <= IR_FCLASS) &&
           !(op->opc >= IR_FCVTMOD && op->opc <= IR_FCVT_LU) && op->opc != IR_FMV_TO_X;
}

static void emit_by_function(Emit *e, const IROp *op)
{
    fp_sync(e);
    emit_fp_function(e, op);
    fp_cache_clear(e);
    put_ref(e, op->dst, RAX);
    if (is_fp_var(e, op->dst) && result_is_boxed_f32(op)) {
        e->boxed |= 1ULL << op->dst;
    }
}

static void slow_back(Emit *e, const SlowPath *s)
{
    asm_byte(&e->a, 0xe9);
    asm_u32(&e->a, 0);
    asm_patch_to(&e->a, asm_offset(&e->a) - 4, s->back);
}

/* The op again, in C.  The result goes where the inline code would have put it: xmm s->arg, or rax. */
static void slow_function(Emit *e, const SlowPath *s)
{
    bool to_xmm = is_fp_var(e, s->op->dst);

    fp_sync_slow(e, &s->fp);
    emit_fp_function(e, s->op);
    fp_cache_reload(e, &s->fp, to_xmm ? s->op->dst : 0);
    if (to_xmm) {
        asm_rr(&e->a, A_66 | A_0F | 0x6e, 1, s->arg, RAX);
    }
    slow_back(e, s);
}

/* --- instructions --- */

static FpView view_of_type(unsigned type)
{
    return type == IR_F32 ? VIEW_F32 : VIEW_F64;
}

static unsigned scalar(const IROp *op)
{
    return A_0F | (op->type == IR_F64 ? A_F2 : A_F3);
}

/* dst = a op b; any of the registers may be the same. */
static void sse(Emit *e, unsigned opc, int dst, int a, RM b)
{
    if (x86_host.features.avx) {
        asm_vex(&e->a, opc, 0, dst, a, b, 0);
        return;
    }
    if (b.reg == dst && a != dst) {
        fp_move(e, 2, b.reg);
        b = rm_reg(2);
    }
    fp_move(e, dst, a);
    asm_modrm(&e->a, opc, 0, dst, b, 0);
}

/* ucomis (0x2e) and comis (0x2f) */
static void compare(Emit *e, const IROp *op, unsigned opc, int a, int b)
{
    opc |= A_0F | (op->type == IR_F64 ? A_66 : 0);
    if (x86_host.features.avx) {
        asm_vex(&e->a, opc, 0, a, NO_REG, rm_reg(b), 0);
    } else {
        asm_rr(&e->a, opc, 0, a, b);
    }
}

/* xmm to general register */
static void move_to_gpr(Emit *e, int w, int reg, int xmm)
{
    if (x86_host.features.avx) {
        asm_vex(&e->a, A_66 | A_0F | 0x7e, w, xmm, NO_REG, rm_reg(reg), 0);
    } else {
        asm_rr(&e->a, A_66 | A_0F | 0x7e, w, xmm, reg);
    }
}

static void move_from_gpr(Emit *e, int w, int xmm, RM from)
{
    if (x86_host.features.avx) {
        asm_vex(&e->a, A_66 | A_0F | 0x6e, w, xmm, NO_REG, from, 0);
    } else {
        asm_modrm(&e->a, A_66 | A_0F | 0x6e, w, xmm, from, 0);
    }
}

static int use(Emit *e, const IROp *op, IRRef r)
{
    return fp_use(e, r, view_of_type(op->type), NO_REG);
}

static void emit_binary(Emit *e, const IROp *op, unsigned opc)
{
    int a = use(e, op, op->a), b = use(e, op, op->b), d = fp_define(e, op->dst, view_of_type(op->type));

    sse(e, scalar(op) | opc, d, a, rm_reg(b));
    fp_defined(e, d, true);
}

static void emit_sqrt(Emit *e, const IROp *op)
{
    int a = use(e, op, op->a), d = fp_define(e, op->dst, view_of_type(op->type));

    sse(e, scalar(op) | 0x51, d, a, rm_reg(a));
    fp_defined(e, d, true);
}

/* The result is in xmm0 and its op has not been seen by the cache yet. */
static void finish_from_scratch(Emit *e, const IROp *op, SlowPath *s)
{
    int d = fp_define(e, op->dst, view_of_type(op->type));

    fp_move(e, d, 0);
    s->arg = d;
    s->back = asm_offset(&e->a);
    fp_defined(e, d, false);
}

static void emit_fma(Emit *e, const IROp *op)
{
    /* What FNMSUB and FNMADD are called here and there differs. */
    static const uint8_t kind[] = {[IR_FMADD - IR_FMADD] = 0x9,
                                   [IR_FMSUB - IR_FMADD] = 0xb,
                                   [IR_FNMSUB - IR_FMADD] = 0xd,
                                   [IR_FNMADD - IR_FMADD] = 0xf};
    int w = op->type == IR_F64, a = use(e, op, op->a), b = use(e, op, op->b), c = use(e, op, op->c);
    SlowPath *s = new_slow(e, slow_function);

    /* Not to its own register yet: the slow path needs the operands. */
    fp_move(e, 0, c);
    /* 231: d = a * b + d */
    asm_vex(&e->a, A_66 | A_0F38 | 0xb0 | kind[op->opc - IR_FMADD], w, 0, a, rm_reg(b), 0);
    compare(e, op, 0x2e, 0, 0);
    slow_from(e, s, CC_P);
    finish_from_scratch(e, op, s);
}

static void emit_minmax(Emit *e, const IROp *op)
{
    bool max = op->opc == IR_FMAX;
    int a = use(e, op, op->a), b = use(e, op, op->b);
    SlowPath *s = new_slow(e, slow_function);
    uint32_t different;

    compare(e, op, 0x2e, a, b);
    slow_from(e, s, CC_P);
    sse(e, scalar(op) | (max ? 0x5f : 0x5d), 0, a, rm_reg(b));
    different = asm_jcc_short(&e->a, CC_NE);
    /* Equal: the same, or zeroes of two signs. */
    sse(e, A_0F | (max ? 0x54 : 0x56), 0, a, rm_reg(b));
    asm_patch_short(&e->a, different);
    finish_from_scratch(e, op, s);
}

static void emit_sign(Emit *e, const IROp *op)
{
    const Thunks *t = &x86_host.thunks;
    bool f64 = op->type == IR_F64;
    RM sign = rm_rip(f64 ? t->sign64 : t->sign32), magnitude = rm_rip(f64 ? t->abs64 : t->abs32);
    int a = use(e, op, op->a), b = use(e, op, op->b), d;
    bool nan;

    if (op->a != op->b || op->opc != IR_FSGNJ) {
        fp_canonical(e, a);
        fp_canonical(e, b);
    }
    nan = e->fp.nan >> a & 1;
    d = fp_define(e, op->dst, view_of_type(op->type));
    if (op->a == op->b) {
        if (op->opc == IR_FSGNJ) {
            fp_move(e, d, a);
        } else if (op->opc == IR_FSGNJN) {
            sse(e, A_0F | 0x57, d, a, sign);
        } else {
            sse(e, A_0F | 0x54, d, a, magnitude);
        }
    } else {
        sse(e, A_0F | 0x54, 0, b, sign);
        if (op->opc == IR_FSGNJX) {
            sse(e, A_0F | 0x57, d, a, rm_reg(0));
        } else {
            if (op->opc == IR_FSGNJN) {
                sse(e, A_0F | 0x57, 0, 0, sign);
            }
            sse(e, A_0F | 0x54, 1, a, magnitude);
            sse(e, A_0F | 0x56, d, 1, rm_reg(0));
        }
    }
    fp_defined(e, d, nan);
}

/* --- flags --- */

/* eax: flags that MXCSR holds, RISC-V encoding; MXCSR itself is in scratch[1]. */
static void load_mxcsr_flags(Emit *e)
{
    Asm *a = &e->a;

    asm_modrm(a, A_0F | 0xae, 0, 3, ENV(scratch[1]), 0); /* stmxcsr */
    asm_load(a, 0, RAX, ENV(scratch[1]));
    asm_lea(a, 1, RDX, rm_rip(x86_host.thunks.riscv_flags));
    asm_alu_imm(a, ALU_AND, 0, rm_reg(RAX), 0x3f);
    asm_modrm(a, A_0F | A_BYTE | 0xb6, 0, RAX, rm_sib(RDX, RAX, 0, 0), 0);
}

static void emit_get_flags(Emit *e, const IROp *op)
{
    load_mxcsr_flags(e);
    asm_modrm(&e->a, A_BYTE | 0x0a, 0, RAX, ENV(fflags), 0);
    put_ref(e, op->dst, RAX);
}

/* Sets the flags to the value of @r out of line. */
static void set_flags_slowly(Emit *e, IRRef r)
{
    load_ref(e, RCX, r);
    load_mxcsr_flags(e);
    asm_alu_imm(&e->a, ALU_AND, 0, rm_reg(RCX), 31);
    asm_modrm(&e->a, A_BYTE | 0x88, 0, RCX, ENV(fflags), 0);
    asm_alu_imm(&e->a, ALU_AND, 0, ENV(scratch[1]), ~0x3f);
    asm_modrm(&e->a, A_0F | 0xae, 0, 2, ENV(scratch[1]), 0); /* ldmxcsr */
}

static const IROp *neighbour(const Emit *e, const IROp *op, int step)
{
    const IROp *end = e->b->ops + e->b->n_ops;

    do {
        op += step;
    } while (op >= e->b->ops && op < end && op->opc == IR_INSN);
    return op >= e->b->ops && op < end ? op : NULL;
}

/*
 * The var that keeps the flags while @op, a comparison, runs between reading and restoring them: frflags, flt, fsflags.
 * Then there is nothing to restore unless the operands were unordered.
 */
static IRRef kept_flags(const Emit *e, const IROp *op)
{
    const IROp *get = neighbour(e, op, -1), *set = neighbour(e, op, 1);

    if (!get || !set || get->opc != IR_FP_GET_FLAGS || set->opc != IR_FP_SET_FLAGS || get->dst != set->a ||
        get->dst == op->dst || get->dst == IR_ZERO || get->dst >= TCG_MAX_VARS) {
        return IR_NONE;
    }
    return get->dst;
}

static bool is_inline_less(const Emit *e, const IROp *op);

/* Did the comparison before take care of the flags? */
static bool flags_are_restored(const Emit *e, const IROp *op)
{
    const IROp *before = neighbour(e, op, -1);

    return before && is_inline_less(e, before) && kept_flags(e, before) != IR_NONE;
}

static void slow_unordered(Emit *e, const SlowPath *s)
{
    set_flags_slowly(e, kept_flags(e, s->op));
    asm_rr(&e->a, 0x33, 0, s->reg, s->reg);
    slow_back(e, s);
}

static void slow_set_flags(Emit *e, const SlowPath *s)
{
    asm_alu_imm(&e->a, ALU_AND, 0, ENV(scratch[1]), ~0x3f);
    asm_modrm(&e->a, A_0F | 0xae, 0, 2, ENV(scratch[1]), 0); /* ldmxcsr */
    slow_back(e, s);
}

/* The guest's flags are those of MXCSR and env->fflags together: writing MXCSR is slow, and only for flags to vanish. */
static void emit_set_flags(Emit *e, const IROp *op)
{
    SlowPath *s;

    if (flags_are_restored(e, op)) {
        return;
    }
    s = new_slow(e, slow_set_flags);
    load_ref(e, RCX, op->a);
    load_mxcsr_flags(e);
    asm_alu_imm(&e->a, ALU_AND, 0, rm_reg(RCX), 31);
    asm_modrm(&e->a, A_BYTE | 0x88, 0, RCX, ENV(fflags), 0);
    asm_modrm(&e->a, 0xf7, 0, 2, rm_reg(RCX), 0);
    asm_rr(&e->a, 0x85, 0, RCX, RAX);
    slow_from(e, s, CC_NE);
    s->back = asm_offset(&e->a);
}

/* --- results in integer registers --- */

static void emit_equal(Emit *e, const IROp *op)
{
    int a = use(e, op, op->a), b = use(e, op, op->b);

    if (x86_host.features.avx) {
        asm_vex(&e->a, scalar(op) | 0xc2, 0, 0, a, rm_reg(b), 1);
    } else {
        fp_move(e, 0, a);
        asm_modrm(&e->a, scalar(op) | 0xc2, 0, 0, rm_reg(b), 1);
    }
    asm_byte(&e->a, 0);
    move_to_gpr(e, 0, RAX, 0);
    asm_alu_imm(&e->a, ALU_AND, 0, rm_reg(RAX), 1);
    put_ref(e, op->dst, RAX);
}

static void emit_less(Emit *e, const IROp *op)
{
    bool quiet = op->opc == IR_FLTQ || op->opc == IR_FLEQ, or_equal = op->opc == IR_FLE || op->opc == IR_FLEQ;
    int a = use(e, op, op->a), b = use(e, op, op->b), d = dst_reg(e, op->dst);
    SlowPath *s = NULL;

    /* b > a: false when unordered, for that sets the carry. */
    asm_rr(&e->a, 0x33, 0, d, d);
    compare(e, op, quiet ? 0x2e : 0x2f, b, a);
    if (kept_flags(e, op) != IR_NONE) {
        s = new_slow(e, slow_unordered);
        s->reg = d;
        slow_from(e, s, CC_P);
    }
    asm_setcc(&e->a, or_equal ? CC_AE : CC_A, d);
    if (s) {
        s->back = asm_offset(&e->a);
    }
    put_ref(e, op->dst, d);
}

static void convert_to_int(Emit *e, const IROp *op, int w, int xmm)
{
    unsigned opc = scalar(op) | (op->rm == IR_RTZ ? 0x2c : 0x2d);

    if (x86_host.features.avx) {
        asm_vex(&e->a, opc, w, RAX, NO_REG, rm_reg(xmm), 0);
    } else {
        asm_rr(&e->a, opc, w, RAX, xmm);
    }
}

static void emit_to_signed(Emit *e, const IROp *op)
{
    int w = op->opc == IR_FCVT_L, a = use(e, op, op->a);
    SlowPath *s = new_slow(e, slow_function);

    convert_to_int(e, op, w, a);
    /* The result of invalid conversions is the only number that overflows here. */
    asm_alu_imm(&e->a, ALU_CMP, w, rm_reg(RAX), 1);
    slow_from(e, s, CC_O);
    if (!w) {
        asm_movsxd(&e->a, RAX, rm_reg(RAX));
    }
    s->back = asm_offset(&e->a);
    put_ref(e, op->dst, RAX);
}

/* Inline for numbers that are certainly in range, seen by sign and exponent. */
static void emit_to_unsigned(Emit *e, const IROp *op)
{
    bool f64 = op->type == IR_F64, wide = op->opc == IR_FCVT_LU;
    int limit = wide ? 62 : op->rm == IR_RTZ ? 31 : 30, a = use(e, op, op->a);
    SlowPath *s = new_slow(e, slow_function);

    move_to_gpr(e, f64, RCX, a);
    asm_shift_imm(&e->a, SH_SHR, f64, RCX, f64 ? 52 : 23);
    asm_alu_imm(&e->a, ALU_CMP, 0, rm_reg(RCX), (f64 ? 1023 : 127) + limit);
    slow_from(e, s, CC_A);
    convert_to_int(e, op, 1, a);
    if (!wide) {
        asm_movsxd(&e->a, RAX, rm_reg(RAX));
    }
    s->back = asm_offset(&e->a);
    put_ref(e, op->dst, RAX);
}

/* --- results from integer registers --- */

static void convert_from_int(Emit *e, const IROp *op, int w, int d, RM from)
{
    if (x86_host.features.avx) {
        asm_vex(&e->a, A_0F | 0x57, 0, d, d, rm_reg(d), 0);
        asm_vex(&e->a, scalar(op) | 0x2a, w, d, d, from, 0);
    } else {
        asm_rr(&e->a, A_0F | 0x57, 0, d, d);
        asm_modrm(&e->a, scalar(op) | 0x2a, w, d, from, 0);
    }
}

static void emit_from_int(Emit *e, const IROp *op)
{
    FpView view = view_of_type(op->type);
    SlowPath *s = NULL;
    RM from = rm_of(e, op->a);
    int w = op->opc != IR_FCVT_FROM_W, d;

    if (op->opc == IR_FCVT_FROM_WU) {
        asm_load(&e->a, 0, RAX, from);
        from = rm_reg(RAX);
    }
    if (op->opc == IR_FCVT_FROM_LU) {
        from = rm_reg(use_reg(e, op->a, RAX));
        asm_rr(&e->a, 0x85, 1, from.reg, from.reg);
    }
    d = fp_define(e, op->dst, view);
    if (op->opc == IR_FCVT_FROM_LU) {
        s = new_slow(e, slow_function);
        s->arg = d;
        slow_from(e, s, CC_S);
    }
    convert_from_int(e, op, w, d, from);
    if (s) {
        s->back = asm_offset(&e->a);
    }
    fp_defined(e, d, false);
}

static void emit_convert(Emit *e, const IROp *op)
{
    bool widen = op->type == IR_F64;
    int a = fp_use(e, op->a, widen ? VIEW_F32 : VIEW_F64, NO_REG),
        d = fp_define(e, op->dst, view_of_type(op->type));

    sse(e, A_0F | (widen ? A_F3 : A_F2) | 0x5a, d, a, rm_reg(a));
    fp_defined(e, d, true);
}

static void emit_move_to_f(Emit *e, const IROp *op)
{
    FpView view = view_of_type(op->type);
    RM from = rm_of(e, op->a);
    int d = fp_define(e, op->dst, view);

    move_from_gpr(e, op->type == IR_F64, d, from);
    fp_defined(e, d, false);
}

static void emit_move_to_x(Emit *e, const IROp *op)
{
    int d = dst_reg(e, op->dst), xmm = fp_cached(e, op->a, VIEW_F64);

    if (op->type == IR_F64) {
        if (xmm != NO_REG) {
            fp_canonical(e, xmm);
            move_to_gpr(e, 1, d, xmm);
        } else {
            fp_sync_var(e, op->a);
            load_ref(e, d, op->a);
        }
    } else {
        /* The raw bits, boxed or not. */
        xmm = fp_cached(e, op->a, VIEW_F32);
        if (xmm != NO_REG && (e->fp.checked >> xmm & 1)) {
            fp_canonical(e, xmm);
            move_to_gpr(e, 0, RAX, xmm);
            asm_movsxd(&e->a, d, rm_reg(RAX));
        } else {
            fp_sync_var(e, op->a);
            asm_movsxd(&e->a, d, rm_of(e, op->a));
        }
    }
    put_ref(e, op->dst, d);
}

/* --- which way --- */

static void slow_fp_check(Emit *e, const SlowPath *s)
{
    fp_sync_slow(e, &s->fp);
    asm_store_imm32(&e->a, 0, ENV(insn_offset), s->insn_offset);
    call_thunk(e, x86_host.thunks.fp_check);
    fp_cache_reload(e, &s->fp, 0);
    slow_back(e, s);
}

static void emit_fp_check(Emit *e)
{
    SlowPath *s = new_slow(e, slow_fp_check);

    asm_modrm(&e->a, 0x80, 0, ALU_CMP, ENV(fp_ok), 1);
    asm_byte(&e->a, 0);
    slow_from(e, s, CC_E);
    s->back = asm_offset(&e->a);
}

/* Exact whatever the rounding mode. */
static bool never_rounds(const IROp *op)
{
    switch (op->opc) {
    case IR_FSGNJ:
    case IR_FSGNJN:
    case IR_FSGNJX:
    case IR_FMIN:
    case IR_FMAX:
    case IR_FEQ:
    case IR_FLT:
    case IR_FLE:
    case IR_FLTQ:
    case IR_FLEQ:
    case IR_FMV_TO_F:
    case IR_FMV_TO_X:
        return true;
    case IR_FCVT_FROM_W:
    case IR_FCVT_FROM_WU:
        return op->type == IR_F64;
    case IR_FCVT_FF:
        return op->type == IR_F64;
    default:
        return false;
    }
}

static bool is_to_int(const IROp *op)
{
    return op->opc >= IR_FCVT_W && op->opc <= IR_FCVT_LU;
}

static bool has_right_rounding(const Emit *e, const IROp *op)
{
    return never_rounds(op) || (is_to_int(op) && op->rm == IR_RTZ) || (op->rm == IR_DYN && !e->b->soft_fp);
}

static bool takes_int(const IROp *op)
{
    return (op->opc >= IR_FCVT_FROM_W && op->opc <= IR_FCVT_FROM_LU) || op->opc == IR_FMV_TO_F;
}

static bool gives_int(const IROp *op)
{
    return (op->opc >= IR_FEQ && op->opc <= IR_FLEQ) || is_to_int(op) || op->opc == IR_FMV_TO_X;
}

static unsigned count_fp_operands(const IROp *op)
{
    if (takes_int(op)) {
        return 0;
    }
    if (op->opc >= IR_FMADD && op->opc <= IR_FNMADD) {
        return 3;
    }
    return (op->opc >= IR_FADD && op->opc <= IR_FDIV) || (op->opc >= IR_FSGNJ && op->opc <= IR_FLEQ) ? 2 : 1;
}

static bool has_inline_form(const IROp *op)
{
    switch (op->opc) {
    case IR_FMINM:
    case IR_FMAXM:
    case IR_FCLASS:
    case IR_FROUND:
    case IR_FCVTMOD:
        return false;
    case IR_FMADD:
    case IR_FMSUB:
    case IR_FNMSUB:
    case IR_FNMADD:
        return x86_host.features.fma;
    case IR_FCVT_FF:
        return op->imm == (op->type == IR_F64 ? IR_F32 : IR_F64);
    default:
        return true;
    }
}

static bool is_inline(const Emit *e, const IROp *op)
{
    const IRRef operands[3] = {op->a, op->b, op->c};

    if (tcg_state.config.no_fp_inline || (op->type != IR_F64 && op->type != IR_F32) || !has_inline_form(op) ||
        !has_right_rounding(e, op) || is_fp_var(e, op->dst) == gives_int(op)) {
        return false;
    }
    for (unsigned i = 0; i < count_fp_operands(op); i++) {
        if (!is_fp_var(e, operands[i])) {
            return false;
        }
    }
    return true;
}

static bool is_inline_less(const Emit *e, const IROp *op)
{
    return op->opc >= IR_FLT && op->opc <= IR_FLEQ && is_inline(e, op);
}

static void emit_inline(Emit *e, const IROp *op)
{
    switch (op->opc) {
    case IR_FADD:
        emit_binary(e, op, 0x58);
        break;
    case IR_FSUB:
        emit_binary(e, op, 0x5c);
        break;
    case IR_FMUL:
        emit_binary(e, op, 0x59);
        break;
    case IR_FDIV:
        emit_binary(e, op, 0x5e);
        break;
    case IR_FSQRT:
        emit_sqrt(e, op);
        break;
    case IR_FMADD:
    case IR_FMSUB:
    case IR_FNMSUB:
    case IR_FNMADD:
        emit_fma(e, op);
        break;
    case IR_FSGNJ:
    case IR_FSGNJN:
    case IR_FSGNJX:
        emit_sign(e, op);
        break;
    case IR_FMIN:
    case IR_FMAX:
        emit_minmax(e, op);
        break;
    case IR_FEQ:
        emit_equal(e, op);
        break;
    case IR_FLT:
    case IR_FLE:
    case IR_FLTQ:
    case IR_FLEQ:
        emit_less(e, op);
        break;
    case IR_FCVT_W:
    case IR_FCVT_L:
        emit_to_signed(e, op);
        break;
    case IR_FCVT_WU:
    case IR_FCVT_LU:
        emit_to_unsigned(e, op);
        break;
    case IR_FCVT_FF:
        emit_convert(e, op);
        break;
    case IR_FMV_TO_F:
        emit_move_to_f(e, op);
        break;
    case IR_FMV_TO_X:
        emit_move_to_x(e, op);
        break;
    default:
        emit_from_int(e, op);
    }
}

void emit_fp(Emit *e, const IROp *op)
{
    if (op->opc == IR_FP_CHECK) {
        emit_fp_check(e);
    } else if (op->opc == IR_FP_GET_FLAGS && !tcg_state.config.no_fp_inline) {
        emit_get_flags(e, op);
    } else if (op->opc == IR_FP_SET_FLAGS && !tcg_state.config.no_fp_inline) {
        emit_set_flags(e, op);
    } else if (is_inline(e, op)) {
        emit_inline(e, op);
    } else {
        emit_by_function(e, op);
    }
}
