/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FP vars in xmm registers within a block.
 *
 * A value that was computed goes home when the register is wanted for another var, or where somebody else may
 * look: C (slow paths write out of line, before they call), other blocks.  Until then a NaN may have the bits that
 * the host gave it, for arithmetic treats all quiet NaNs alike; it becomes the default NaN on its way out.
 * A register shows its var in one view.  VIEW_F32 is the value as an operand of single precision: that of a var
 * that is not NaN-boxed is the default NaN.
 */
#include "tcg/x86_64/emit.h"

#include <string.h>

bool is_fp_var(const Emit *e, IRRef r)
{
    return r != IR_ZERO && r < TCG_MAX_VARS && x86_host.pins.reg[r] == NO_REG &&
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

#define MAX_LOOP_XMM 11 /* the others are for what comes and goes */

static int register_of(const FpCache *cache, IRRef r)
{
    for (int xmm = FIRST_CACHED_XMM; xmm < N_XMM; xmm++) {
        if (cache->var[xmm] == r) {
            return xmm;
        }
    }
    return NO_REG;
}

static FpView view_of(const FpCache *cache, int xmm)
{
    return cache->f32 >> xmm & 1 ? VIEW_F32 : VIEW_F64;
}

/* --- on the way out --- */

static void slow_canonical(Emit *e, const SlowPath *s)
{
    FpView view = view_of(&s->fp, s->arg);

    fp_load(e, s->arg, rm_rip(view == VIEW_F64 ? x86_host.thunks.nan64 : x86_host.thunks.nan32), view);
    asm_byte(&e->a, 0xe9);
    asm_u32(&e->a, 0);
    asm_patch_to(&e->a, asm_offset(&e->a) - 4, s->back);
}

/* ucomis with itself: parity for a NaN */
static void test_nan(Emit *e, int xmm, FpView view)
{
    unsigned opc = A_0F | 0x2e | (view == VIEW_F64 ? A_66 : 0);

    if (x86_host.features.avx) {
        asm_vex(&e->a, opc, 0, xmm, NO_REG, rm_reg(xmm), 0);
    } else {
        asm_rr(&e->a, opc, 0, xmm, xmm);
    }
}

void fp_canonical(Emit *e, int xmm)
{
    SlowPath *s;

    if (!(e->fp.nan >> xmm & 1)) {
        return;
    }
    s = new_slow(e, slow_canonical);
    s->arg = xmm;
    test_nan(e, xmm, view_of(&e->fp, xmm));
    slow_from(e, s, CC_P);
    s->back = asm_offset(&e->a);
    e->fp.nan &= ~(1u << xmm);
}

static void write_home(Emit *e, IRRef r, int xmm, FpView view, bool boxed)
{
    fp_store(e, home_of(r), xmm, view);
    if (view == VIEW_F32 && !boxed) {
        asm_store_imm32(&e->a, 0, upper_half(r), -1);
    }
}

static void sync_register(Emit *e, int xmm)
{
    FpView view = view_of(&e->fp, xmm);
    IRRef r = e->fp.var[xmm];

    if (!r || !(e->fp.dirty >> xmm & 1)) {
        return;
    }
    fp_canonical(e, xmm);
    write_home(e, r, xmm, view, e->boxed >> r & 1);
    if (view == VIEW_F32) {
        e->boxed |= 1ULL << r;
    }
    e->fp.dirty &= ~(1u << xmm);
}

void fp_sync(Emit *e)
{
    for (int xmm = FIRST_CACHED_XMM; e->fp.dirty >> xmm; xmm++) {
        sync_register(e, xmm);
    }
}

void fp_sync_var(Emit *e, IRRef r)
{
    int xmm = r && e->fp.dirty ? register_of(&e->fp, r) : NO_REG;

    if (xmm != NO_REG) {
        sync_register(e, xmm);
    }
}

/* What was known of boxes on the main line is forgotten by now. */
void fp_sync_slow(Emit *e, const FpCache *cache)
{
    for (int xmm = FIRST_CACHED_XMM; cache->dirty >> xmm; xmm++) {
        FpView view = view_of(cache, xmm);

        if (!cache->var[xmm] || !(cache->dirty >> xmm & 1)) {
            continue;
        }
        if (cache->nan >> xmm & 1) {
            uint32_t number;

            test_nan(e, xmm, view);
            number = asm_jcc_short(&e->a, CC_NP);
            fp_load(e, xmm, rm_rip(view == VIEW_F64 ? x86_host.thunks.nan64 : x86_host.thunks.nan32), view);
            asm_patch_short(&e->a, number);
        }
        write_home(e, cache->var[xmm], xmm, view, false);
    }
}

/* --- entries --- */

void fp_cache_clear(Emit *e)
{
    memset(&e->fp, 0, sizeof(e->fp));
}

static void forget_entry(Emit *e, int xmm)
{
    e->fp.var[xmm] = 0;
    e->fp.dirty &= ~(1u << xmm);
    e->fp.nan &= ~(1u << xmm);
}

void fp_cache_drop(Emit *e, IRRef var)
{
    int xmm = var ? register_of(&e->fp, var) : NO_REG;

    if (xmm != NO_REG) {
        forget_entry(e, xmm);
    }
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
        sync_register(e, best);
    }
    return best;
}

static void set_entry(Emit *e, int xmm, IRRef r, FpView view, bool checked)
{
    uint16_t bit = 1u << xmm;

    e->fp.var[xmm] = r;
    e->fp.f32 = view == VIEW_F32 ? e->fp.f32 | bit : e->fp.f32 & ~bit;
    e->fp.checked = checked ? e->fp.checked | bit : e->fp.checked & ~bit;
    e->fp.dirty &= ~bit;
    e->fp.nan &= ~bit;
    touch(e, xmm);
}

void fp_make_room(Emit *e, IRRef r)
{
    allocate(e, r);
}

int fp_define(Emit *e, IRRef r, FpView view)
{
    int xmm = allocate(e, r);

    set_entry(e, xmm, r, view, true);
    if (view == VIEW_F64) {
        /* from now on a slow path may write it home */
        e->boxed &= ~(1ULL << r);
    }
    return xmm;
}

static bool is_written_later(const Emit *e, IRRef r)
{
    const IROp *end = e->b->ops + e->b->n_ops;

    for (const IROp *op = e->op + 1; op < end; op++) {
        if (op->dst == r && ir_op_has_dst(op)) {
            return true;
        }
    }
    return false;
}

void fp_defined(Emit *e, int xmm, bool nan)
{
    e->fp.dirty |= 1u << xmm;
    if (nan) {
        e->fp.nan |= 1u << xmm;
    }
    /* What must go home once goes at once: the next block may wait for it. */
    if (!e->n_labels && !is_written_later(e, e->fp.var[xmm])) {
        sync_register(e, xmm);
    }
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
    bool boxed;

    (void)scratch;
    if (xmm != NO_REG) {
        touch(e, xmm);
        return xmm;
    }
    fp_sync_var(e, r); /* in the other view */
    boxed = e->boxed >> r & 1;
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

/* A value of ours that the loop head does not have in a register must be in its home there. */
static bool must_go_home(const FpCache *now, const FpCache *want, int xmm)
{
    return (now->dirty >> xmm & 1) && !((want->dirty >> xmm & 1) && same_entry(now, want, xmm));
}

bool fp_matches(const Emit *e, const FpCache *want)
{
    for (int xmm = FIRST_CACHED_XMM; xmm < N_XMM; xmm++) {
        if ((want->var[xmm] && !same_entry(&e->fp, want, xmm)) || must_go_home(&e->fp, want, xmm)) {
            return false;
        }
    }
    return !e->fp.nan;
}

void fp_match_homes(Emit *e, const FpCache *want)
{
    for (int xmm = FIRST_CACHED_XMM; xmm < N_XMM; xmm++) {
        fp_canonical(e, xmm);
        if (must_go_home(&e->fp, want, xmm)) {
            sync_register(e, xmm);
        }
    }
}

void fp_match(Emit *e, const FpCache *want)
{
    fp_match_homes(e, want);
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

/* Loads FP var @r in front of a loop, if it has no register yet. */
static void prepare_var(Emit *e, const IROp *op, IRRef r, uint64_t *seen, unsigned *loaded)
{
    FpView view = op->type == IR_F32 ? VIEW_F32 : VIEW_F64;

    if (is_fp_var(e, r) && !(*seen >> r & 1) && works_in_registers(op) && *loaded < MAX_LOOP_XMM) {
        fp_use(e, r, view, NO_REG);
        *seen |= 1ULL << r;
        ++*loaded;
    }
}

/* Whether whatever ops @from to @end write to @r is a boxed single. */
static bool stays_boxed(const Emit *e, unsigned from, unsigned end, IRRef r)
{
    for (unsigned i = from; i < end; i++) {
        const IROp *op = &e->b->ops[i];
        bool single = op->opc == IR_LD ? (op->mem & IR_MEM_FP_BOX) && (op->mem & IR_MEM_SIZE) == 2
                                       : op->opc >= IR_FADD && op->opc <= IR_FMAX && op->type == IR_F32;

        if ((op->opc == IR_CALL && (op->flags & IR_CALL_WRITES_VARS)) ||
            (ir_op_has_dst(op) && op->dst == r && !single)) {
            return false;
        }
    }
    return true;
}

/* What a register holds at the head of a loop must hold for every round. */
static void settle_register(Emit *e, int xmm, unsigned from, unsigned end)
{
    uint16_t bit = 1u << xmm;

    fp_canonical(e, xmm);
    if ((e->fp.f32 & bit) && !stays_boxed(e, from, end, e->fp.var[xmm])) {
        sync_register(e, xmm);
        e->fp.checked &= ~bit;
    }
    if (e->fp.checked & bit) {
        e->fp.dirty |= bit;
    }
}

/*
 * Registers stay loaded round a loop: what its body reads or computes is loaded in front of its head, and counts as
 * not written home, so that it need not be on the way back either.  But a single that was not known to be boxed must
 * not go home from its register, for that may show a NaN in its stead.
 */
void fp_prepare_loop(Emit *e, EmitLabel *label)
{
    unsigned end = end_of_loop(e, label), loaded = 0;
    uint64_t seen = 0;

    if (tcg_state.config.no_fp_inline || end == label->op_index) {
        fp_sync(e);
        fp_cache_clear(e);
        return;
    }
    for (unsigned i = label->op_index; i < end; i++) {
        const IROp *op = &e->b->ops[i];
        IRRef in[3];
        unsigned n = ir_op_inputs(op, in);

        for (unsigned k = 0; k < n; k++) {
            prepare_var(e, op, in[k], &seen, &loaded);
        }
        if (ir_op_has_dst(op)) {
            prepare_var(e, op, op->dst, &seen, &loaded);
        }
    }
    for (int xmm = FIRST_CACHED_XMM; xmm < N_XMM; xmm++) {
        if (!(seen >> e->fp.var[xmm] & 1)) {
            /* the loop has other uses for the register */
            sync_register(e, xmm);
            forget_entry(e, xmm);
        } else {
            settle_register(e, xmm, label->op_index, end);
        }
    }
}

void fp_enter_loop(Emit *e, const EmitLabel *label)
{
    fp_cache_reload(e, &label->fp, 0);
}
