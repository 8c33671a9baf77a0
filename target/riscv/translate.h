/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the translate*.c files share: one DisasContext per block, one trans_<insn>() per instruction. */
#ifndef TARGET_RISCV_TRANSLATE_H
#define TARGET_RISCV_TRANSLATE_H

#include "cpu.h"
#include "insn.h"

#define MAX_BLOCK_INSNS 64

typedef struct BlockInsn {
    RISCVInsn insn;
    int32_t offset; /* in the page */
    bool valid;     /* else: illegal instruction */
    bool label;     /* a backward branch of this block goes here */
} BlockInsn;

typedef struct DisasContext {
    TranslateContext *tc;
    IRBlock *ir;
    RISCVCPU *cpu;
    unsigned priv;
    bool soft_fp;
    /* the block, decoded before it is translated */
    BlockInsn insns[MAX_BLOCK_INSNS];
    unsigned n_insns, n_labels;
    /* the instruction at hand */
    unsigned at;
    int32_t offset, next; /* of it and of what follows it, in the page */
    unsigned skip;        /* instructions after it that it has swallowed */
    bool done;            /* the last op left the block */
    bool fp_checked;      /* FP_CHECK was done on the way here */
    uint32_t lui_valid;   /* registers whose value lui[] knows */
    int32_t lui[32];
} DisasContext;

/* Translates one instruction; false: it is illegal (nothing was emitted). */
typedef bool (*TranslateFn)(DisasContext *ctx, const RISCVInsn *i);
#define TRANSLATE_DECLARE(ident, name, operands) bool trans_##ident(DisasContext *ctx, const RISCVInsn *i);
RISCV_INSNS(TRANSLATE_DECLARE)
#undef TRANSLATE_DECLARE

static inline IRRef f_var(unsigned reg)
{
    return 32 + reg;
}
static inline bool in_page(int64_t offset)
{
    return offset >= 0 && offset < (int64_t)TCG_PAGE_SIZE;
}

/* A temp that holds @value. */
IRRef gen_const(DisasContext *ctx, uint64_t value);
/* dst = fn(env, a, b, c), which may raise. */
void gen_call(DisasContext *ctx, IRRef dst, IRHelper fn, IRRef a, IRRef b, IRRef c);
/* The same as the block's end: fn returns where to go on. */
void gen_call_jump(DisasContext *ctx, IRJumpHelper fn, IRRef a, IRRef b, IRRef c);
void gen_illegal(DisasContext *ctx, uint32_t raw);
/* Goes to an offset relative to the page, which may lie in another one; ends the block. */
void gen_jump(DisasContext *ctx, int64_t target);
/* The next instruction, when it is sure to run right after this one and nobody else jumps there; else NULL.
 */
const RISCVInsn *peek_insn(DisasContext *ctx);
/* Goes on to the next instruction, which the present translation covers as well. */
void swallow_insn(DisasContext *ctx);
/* A hint of the guest's that it waits for another hart. */
void gen_spin_hint(DisasContext *ctx);
/* Before a floating point instruction; @dynamic_rm: it rounds by frm. */
void gen_fp_check(DisasContext *ctx, const RISCVInsn *i, bool dynamic_rm);

#endif
