/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of tcg/ share: the back end interface, the value semantics of IR ops, C functions behind
 * floating point ops and slow atomics.
 */
#ifndef TCG_INTERNAL_H
#define TCG_INTERNAL_H

#include "tcg/eval.h"
#include "tcg/tcg.h"

/* Flag of VALUE ops, set by the optimiser: nobody looks at the upper half of dst (type IR_I32 only). */
#define IR_VALUE_LOW32 0x80

/* One way to execute IR.  Chosen once by tcg_init(). */
typedef struct TCGBackend {
    bool (*init)(GError **error);
    bool (*compile)(CodeBuffer *cb, const IRBlock *b, uintptr_t cookie, TCGCode *code);
    void (*link)(const CodeBuffer *cb, const TCGCode *from, unsigned jump, const TCGCode *to);
    void (*unlink)(const CodeBuffer *cb, const TCGCode *from, unsigned jump);
    void (*kill)(const CodeBuffer *cb, const TCGCode *code);
    void (*revive)(const CodeBuffer *cb, const TCGCode *code);
    uintptr_t (*enter)(TCGEnv *env, const void *table_entry);
    void (*exit_to_loop)(TCGEnv *env, unsigned reason); /* does not return */
    const void *(*exit_address)(unsigned reason);
    void (*dump)(const TCGCode *code, GString *out);
} TCGBackend;

extern const TCGBackend tcg_interp_backend;
#ifdef __x86_64__
extern const TCGBackend tcg_x86_64_backend;
#endif

/* Constant after tcg_init(). */
typedef struct TCGState {
    TCGConfig config;
    TCGRuntime runtime;
    const TCGGuest *guest;
    const TCGBackend *backend;
} TCGState;
extern TCGState tcg_state;

/* --- properties of ops --- */
static inline bool ir_is_ref(IRRef r)
{
    return r < TCG_MAX_VARS + TCG_MAX_TEMPS;
}
static inline bool ir_is_temp(IRRef r)
{
    return r >= TCG_MAX_VARS && ir_is_ref(r);
}
static inline bool ir_op_has_dst(const IROp *op)
{
    return op->dst != IR_ZERO && ir_is_ref(op->dst) && !ir_op_is(op->opc, IR_P_NO_DST);
}
/* Whether every var must have its value there: the op may fault, call or leave. */
static inline bool ir_op_sees_vars(const IROp *op)
{
    return ir_op_is(op->opc, IR_P_SEES_VARS) && !(op->opc == IR_CALL && op->flags & IR_CALL_PURE);
}
/* Operands that the op reads (refs other than IR_ZERO), at most 3. */
static inline unsigned ir_op_inputs(const IROp *op, IRRef in[3])
{
    unsigned n = 0;

    if (op->a != IR_ZERO && ir_is_ref(op->a)) {
        in[n++] = op->a;
    }
    if (op->b != IR_ZERO && ir_is_ref(op->b)) {
        in[n++] = op->b;
    }
    if (op->c != IR_ZERO && ir_is_ref(op->c)) {
        in[n++] = op->c;
    }
    return n;
}

/* --- optimize-backward.c --- */
void tcg_optimize_backward(IRBlock *b);

/* --- fpu-ops.c: every FP op but FP_CHECK as a function; flags are accrued in env->fflags --- */
typedef uint64_t (*FpFunction)(TCGEnv *env, uint64_t a, uint64_t b, uint64_t c, uint64_t rm);
/* Never NULL for FP ops.  The last argument of the call: fp_function_rm(). */
FpFunction fp_function(const IROp *op);

uint64_t fp_function_rm(const IROp *op);
/* fp-state.c: RISC-V flags for the sticky flags of x86 */
uint8_t tcg_fp_flags_of_mxcsr(uint32_t mxcsr);

/* --- atomic.c: the C side of atomics; addresses that the inline code could not handle --- */
/* @mop: IR_MEM_* | mmu_idx << 8 | (opcode << 16).  Old value, sign-extended. */
uint64_t tcg_amo_slow(TCGEnv *env, uint64_t addr, uint64_t value, uint32_t mop);
/* Loads and reserves. */
uint64_t tcg_lr_slow(TCGEnv *env, uint64_t addr, uint32_t mop);
/* 0 when it stored, else 1. */
uint64_t tcg_sc_slow(TCGEnv *env, uint64_t addr, uint64_t value, uint32_t mop);

/* Whether leaving translated code needs siglongjmp, so that a sanitizer's view of the stack stays right. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define TCG_UNWIND_BY_LONGJMP 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define TCG_UNWIND_BY_LONGJMP 1
#endif
#endif
#ifndef TCG_UNWIND_BY_LONGJMP
#define TCG_UNWIND_BY_LONGJMP 0
#endif

/* Whether tcg_site_without_slot() said so. */
bool tcg_site_is_plain(uint64_t site);

#endif
