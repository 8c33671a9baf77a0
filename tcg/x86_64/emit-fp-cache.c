/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FP vars in xmm registers within a block.
 *
 * The cache is write-through: the home in memory always holds the value too, so that a register can be given
 * up at any time and slow paths need not save, only load again.  A register shows its var in one view.
 * VIEW_F32 is the value as an operand of single precision: that of a var that is not NaN-boxed is the default
 * NaN.
 */
#include "tcg/x86_64/emit.h"

#include <string.h>

bool is_fp_var(const Emit *e, IRRef r)
{
    return r != IR_ZERO && r < TCG_MAX_VARS && x86_host.pin[r] == NO_REG &&
           (tcg_state.guest->fp_vars >> r & 1);
}

void fp_move(Emit *e, int dst, int src)
{
    if (dst == src) {
        return;
    }
    if (x86_host.features.avx) {
        asm_vex(&e->a, A_0F | 0x28, 0, dst, NO_REG, rm_reg(src), 0);
    } else {
        asm_rr(&e->a, A_0F | 0x28, 0, dst, src);
    }
}

static void move_memory(Emit *e, unsigned opc, int xmm, RM rm, FpView view)
{
    opc |= A_0F | (view == VIEW_F64 ? A_F2 : A_F3);
    if (x86_host.features.avx) {
        asm_vex(&e->a, opc, 0, xmm, NO_REG, rm, 0);
    } else {
        asm_modrm(&e->a, opc, 0, xmm, rm, 0);
    }
}

void fp_load(Emit *e, int xmm, RM src, FpView view)
{
    move_memory(e, 0x10, xmm, src, view);
}

void fp_store(Emit *e, RM dst, int xmm, FpView view)
{
    move_memory(e, 0x11, xmm, dst, view);
}

static RM upper_half(IRRef r)
{
    RM home = home_of(r);

    home.disp += 4;
    return home;
}

void fp_cache_clear(Emit *e)
{
    memset(&e->fp, 0, sizeof(e->fp));
}

static int register_of(const FpCache *cache, IRRef r)
{
    for (int xmm = FIRST_CACHED_XMM; xmm < N_XMM; xmm++) {
        if (cache->var[xmm] == r) {
            return xmm;
        }
    }
    return NO_REG;
}

void fp_cache_drop(Emit *e, IRRef var)
{
    int xmm = var ? register_of(&e->fp, var) : NO_REG;

    if (xmm != NO_REG) {
        e->fp.var[xmm] = 0;
    }
}

static FpView view_of(const FpCache *cache, int xmm)
{
    return cache->f32 >> xmm & 1 ? VIEW_F32 : VIEW_F64;
}

int fp_cached(const Emit *e, IRRef r, FpView view)
{
    int xmm = register_of(&e->fp, r);

    return xmm != NO_REG && view_of(&e->fp, xmm) == view ? xmm : NO_REG;
}

static void touch(Emit *e, int xmm)
{
    e->fp_stamp[xmm] = ++e->fp_clock;
}

static int allocate(Emit *e, IRRef r)
{
    int best = register_of(&e->fp, r);

    for (int xmm = FIRST_CACHED_XMM; best == NO_REG && xmm < N_XMM; xmm++) {
        if (!e->fp.var[xmm]) {
            best = xmm;
        }
    }
    if (best == NO_REG) {
        best = FIRST_CACHED_XMM;
        for (int xmm = best + 1; xmm < N_XMM; xmm++) {
            if (e->fp_stamp[xmm] < e->fp_stamp[best]) {
                best = xmm;
            }
        }
    }
    return best;
}

static void set_entry(Emit *e, int xmm, IRRef r, FpView view, bool checked)
{
    uint16_t bit = 1u << xmm;

    e->fp.var[xmm] = r;
    e->fp.f32 = view == VIEW_F32 ? e->fp.f32 | bit : e->fp.f32 & ~bit;
    e->fp.checked = checked ? e->fp.checked | bit : e->fp.checked & ~bit;
    touch(e, xmm);
}

int fp_define(Emit *e, IRRef r, FpView view)
{
    int xmm = allocate(e, r);

    set_entry(e, xmm, r, view, true);
    return xmm;
}

/* The home is not boxed: the operand is the default NaN. */
static void slow_unboxed(Emit *e, const SlowPath *s)
{
    fp_load(e, s->arg, rm_rip(x86_host.thunks.nan32), VIEW_F32);
    asm_byte(&e->a, 0xe9);
    asm_u32(&e->a, 0);
    asm_patch_to(&e->a, asm_offset(&e->a) - 4, s->back);
}

int fp_use(Emit *e, IRRef r, FpView view, int scratch)
{
    int xmm = fp_cached(e, r, view);
    bool boxed = e->boxed >> r & 1;

    (void)scratch;
    if (xmm != NO_REG) {
        touch(e, xmm);
        return xmm;
    }
    xmm = allocate(e, r);
    fp_load(e, xmm, home_of(r), view);
    set_entry(e, xmm, r, view, view == VIEW_F64 || boxed);
    if (view == VIEW_F32 && !boxed) {
        SlowPath *s = new_slow(e, slow_unboxed);

        s->arg = xmm;
        asm_alu_imm(&e->a, ALU_CMP, 0, upper_half(r), -1);
        slow_from(e, s, CC_NE);
        s->back = asm_offset(&e->a);
    }
    return xmm;
}

void fp_write_through(Emit *e, IRRef r, int xmm, FpView view)
{
    uint64_t bit = 1ULL << r;

    fp_store(e, home_of(r), xmm, view);
    if (view == VIEW_F64) {
        e->boxed &= ~bit;
    } else if (!(e->boxed & bit)) {
        asm_store_imm32(&e->a, 0, upper_half(r), -1);
        e->boxed |= bit;
    }
}

/* Loads what @cache has in @xmm from its home. */
static void reload(Emit *e, const FpCache *cache, int xmm)
{
    FpView view = view_of(cache, xmm);
    IRRef r = cache->var[xmm];

    fp_load(e, xmm, home_of(r), view);
    if (view == VIEW_F32 && !(cache->checked >> xmm & 1)) {
        uint32_t boxed;

        asm_alu_imm(&e->a, ALU_CMP, 0, upper_half(r), -1);
        boxed = asm_jcc_short(&e->a, CC_E);
        fp_load(e, xmm, rm_rip(x86_host.thunks.nan32), VIEW_F32);
        asm_patch_short(&e->a, boxed);
    }
}

void fp_cache_reload(Emit *e, const FpCache *cache, IRRef except)
{
    for (int xmm = FIRST_CACHED_XMM; xmm < N_XMM; xmm++) {
        if (cache->var[xmm] && cache->var[xmm] != except) {
            reload(e, cache, xmm);
        }
    }
}

/* --- loops --- */

static bool same_entry(const FpCache *now, const FpCache *want, int xmm)
{
    return now->var[xmm] == want->var[xmm] && view_of(now, xmm) == view_of(want, xmm);
}

bool fp_matches(const Emit *e, const FpCache *want)
{
    for (int xmm = FIRST_CACHED_XMM; xmm < N_XMM; xmm++) {
        if (want->var[xmm] && !same_entry(&e->fp, want, xmm)) {
            return false;
        }
    }
    return true;
}

void fp_match(Emit *e, const FpCache *want)
{
    for (int xmm = FIRST_CACHED_XMM; xmm < N_XMM; xmm++) {
        if (want->var[xmm] && !same_entry(&e->fp, want, xmm)) {
            reload(e, want, xmm);
        }
    }
}

/* The index past the last op that jumps back to @label. */
static unsigned end_of_loop(const Emit *e, const EmitLabel *label)
{
    for (unsigned i = e->b->n_ops; i-- > label->op_index;) {
        const IROp *op = &e->b->ops[i];

        if ((op->opc == IR_BRCOND || op->opc == IR_JMP) && op->imm == label->offset) {
            return i + 1;
        }
    }
    return label->op_index;
}

/* Whether @op computes with operands in xmm registers of its type's view. */
static bool works_in_registers(const IROp *op)
{
    if (op->type != IR_F64 && op->type != IR_F32) {
        return false;
    }
    return (op->opc >= IR_FADD && op->opc <= IR_FMAX) || (op->opc >= IR_FEQ && op->opc <= IR_FLEQ) ||
           (op->opc >= IR_FCVT_W && op->opc <= IR_FCVT_LU);
}

/* Registers stay loaded round a loop: what its body reads before it writes is loaded in front of its head. */
void fp_prepare_loop(Emit *e, EmitLabel *label)
{
    unsigned end = end_of_loop(e, label), loaded = 0;
    uint64_t seen = 0;

    if (tcg_state.config.no_fp_inline) {
        return;
    }
    for (unsigned i = label->op_index; i < end && loaded < 8; i++) {
        const IROp *op = &e->b->ops[i];
        FpView view = op->type == IR_F32 ? VIEW_F32 : VIEW_F64;
        IRRef in[3];
        unsigned n = ir_op_inputs(op, in);

        for (unsigned k = 0; k < n; k++) {
            if (is_fp_var(e, in[k]) && !(seen >> in[k] & 1) && works_in_registers(op)) {
                fp_use(e, in[k], view, NO_REG);
                seen |= 1ULL << in[k];
                loaded++;
            }
        }
        if (ir_op_has_dst(op) && op->dst < TCG_MAX_VARS) {
            seen |= 1ULL << op->dst;
        }
    }
}
