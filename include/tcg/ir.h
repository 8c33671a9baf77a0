/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The intermediate representation: what a guest front end says and the back ends understand.
 *
 * A block is a list of IROps for guest instructions of ONE guest page.  Values are *vars* (guest registers: mutable, with
 * a home in TCGEnv.var[]) and *temps* (assigned once, read later in the same straight-line stretch; dead at IR_LABEL).
 * Ref 0 reads as zero, and a result written to it is dropped.  Almost every guest instruction is one op from vars to a var.
 *
 * Semantics are total and the same in every back end (tcg/interp.c is the reference):
 *   - 64-bit results.  type IR_I32: the op works on the low 32 bits and the result is sign-extended.
 *   - shifts and rotates take the count modulo 64 (IR_I32: 32).
 *   - x / 0 = all ones, x % 0 = x, INT_MIN / -1 = INT_MIN, INT_MIN % -1 = 0.
 *   - floating point: IEEE 754; NaN results are the default NaN; tininess after rounding; flags accrue in fflags.  F32
 *     values (and F16) live NaN-boxed in 64 bits: an operand that is not boxed counts as the default NaN.
 *   - a faulting op changes nothing but what the fault itself changes; all vars have their values from before the
 *     guest instruction.
 */
#ifndef TCG_IR_H
#define TCG_IR_H

#include "tcg/env.h"
#include <stdbool.h>
#include <stdint.h>

typedef uint16_t IRRef;
enum {
    IR_ZERO = 0,
    IR_TEMP0 = TCG_MAX_VARS, /* temps follow the vars */
    IR_IMM = 0xfffe,         /* as operand b: use .imm */
    IR_NONE = 0xffff,
};

typedef enum IRType { IR_I64, IR_I32, IR_F64, IR_F32, IR_F16 } IRType;

typedef enum IRCond { IR_EQ, IR_NE, IR_LT, IR_GE, IR_LTU, IR_GEU, IR_LE, IR_GT, IR_LEU, IR_GTU } IRCond;

/* Memory access, in IROp.mem. */
enum {
    IR_MEM_SIZE = 3,    /* mask: log2 of the bytes, 0..3 */
    IR_MEM_SIGN = 4,    /* sign-extend a load */
    IR_MEM_ALIGN = 8,   /* a misaligned address faults (atomics) */
    IR_MEM_FP_BOX = 16, /* load of F32/F16 into a var: set the bits above */
};

/* Rounding mode in IROp.rm: RISC-V encoding. */
enum { IR_RNE, IR_RTZ, IR_RDN, IR_RUP, IR_RMM, IR_DYN = 7 };

/* Properties of ops beyond those of their kind. */
enum {
    IR_P_NO_DST = 1 << 0,       /* has no result */
    IR_P_SEES_VARS = 1 << 1,    /* every var must have its value there: may fault, call or leave */
    IR_P_ENDS = 1 << 2,         /* what follows it does not run */
    IR_P_TAKES_B = 1 << 3,      /* VALUE: has two operands */
    IR_P_OWN_IMM = 1 << 4,      /* .imm means something of its own, so b cannot be an immediate */
    IR_P_COMMUTES = 1 << 5,
    IR_P_LOW_FROM_LOW = 1 << 6, /* the low half of the result depends on the low halves of the operands only */
    IR_P_READS_LOW = 1 << 7,    /* looks at the low halves of its operands only, */
    IR_P_READS_LOW32 = 1 << 8,  /* or so when its type is IR_I32 */
    IR_P_INT32 = 1 << 9,        /* the result is always the sign-extension of its low half, */
    IR_P_WIDE = 1 << 10,        /* or is not, even when the type is IR_I32 */
    IR_P_ARITH = IR_P_TAKES_B | IR_P_LOW_FROM_LOW | IR_P_READS_LOW32,
    /* what kinds have in common */
    IR_P_OF_VALUE = 0,
    IR_P_OF_MEM = IR_P_SEES_VARS,
    IR_P_OF_FP = 0,
    IR_P_OF_CALL = IR_P_SEES_VARS,
    IR_P_OF_FLOW = IR_P_NO_DST | IR_P_SEES_VARS,
    IR_P_OF_NOTE = IR_P_NO_DST,
};

/*
 * X(name, kind, properties).  Kinds: VALUE (dst from a, b; no effect, can be folded and dropped), MEM (may fault),
 * FP (flags), CALL, FLOW (ends or may leave the block), NOTE.
 */
#define IR_OPS(X)                                                                                                      \
    /* dst = a */                                                                                                      \
    X(MOV, VALUE, IR_P_READS_LOW32 | IR_P_LOW_FROM_LOW)                                                                \
    /* dst = imm */                                                                                                    \
    X(MOVI, VALUE, IR_P_OWN_IMM)                                                                                       \
    /* dst = page_base + imm (auipc, link values): position independent */                                             \
    X(PCREL, VALUE, IR_P_OWN_IMM)                                                                                      \
    /* dst = a op b; b may be IR_IMM */                                                                                \
    X(ADD, VALUE, IR_P_ARITH | IR_P_COMMUTES)                                                                          \
    X(SUB, VALUE, IR_P_ARITH)                                                                                          \
    X(AND, VALUE, IR_P_ARITH | IR_P_COMMUTES)                                                                          \
    X(OR, VALUE, IR_P_ARITH | IR_P_COMMUTES)                                                                           \
    X(XOR, VALUE, IR_P_ARITH | IR_P_COMMUTES)                                                                          \
    X(ANDN, VALUE, IR_P_ARITH)                                                                                         \
    X(ORN, VALUE, IR_P_ARITH)                                                                                          \
    X(XNOR, VALUE, IR_P_ARITH | IR_P_COMMUTES)                                                                         \
    X(SHL, VALUE, IR_P_TAKES_B | IR_P_READS_LOW32)                                                                     \
    X(SHR, VALUE, IR_P_TAKES_B | IR_P_READS_LOW32)                                                                     \
    X(SAR, VALUE, IR_P_TAKES_B | IR_P_READS_LOW32)                                                                     \
    X(ROTL, VALUE, IR_P_TAKES_B | IR_P_READS_LOW32)                                                                    \
    X(ROTR, VALUE, IR_P_TAKES_B | IR_P_READS_LOW32)                                                                    \
    X(MUL, VALUE, IR_P_ARITH | IR_P_COMMUTES)                                                                          \
    X(MULHS, VALUE, IR_P_TAKES_B | IR_P_COMMUTES)                                                                      \
    X(MULHU, VALUE, IR_P_TAKES_B | IR_P_COMMUTES)                                                                      \
    X(MULHSU, VALUE, IR_P_TAKES_B)                                                                                     \
    X(DIVS, VALUE, IR_P_TAKES_B)                                                                                       \
    X(DIVU, VALUE, IR_P_TAKES_B)                                                                                       \
    X(REMS, VALUE, IR_P_TAKES_B)                                                                                       \
    X(REMU, VALUE, IR_P_TAKES_B)                                                                                       \
    X(MINS, VALUE, IR_P_TAKES_B | IR_P_COMMUTES)                                                                       \
    X(MAXS, VALUE, IR_P_TAKES_B | IR_P_COMMUTES)                                                                       \
    X(MINU, VALUE, IR_P_TAKES_B | IR_P_COMMUTES)                                                                       \
    X(MAXU, VALUE, IR_P_TAKES_B | IR_P_COMMUTES)                                                                       \
    /* dst = (a << imm) + b, imm 1..3; type IR_I32: a is zero-extended from 32 bits first (sh1add.uw) */               \
    X(SHADD, VALUE, IR_P_TAKES_B | IR_P_OWN_IMM | IR_P_LOW_FROM_LOW | IR_P_WIDE)                                       \
    /* dst = zext32(a) + b */                                                                                          \
    X(ADDUW, VALUE, IR_P_TAKES_B | IR_P_LOW_FROM_LOW | IR_P_WIDE)                                                      \
    /* dst = zext32(a) << imm */                                                                                       \
    X(SHLUW, VALUE, IR_P_OWN_IMM | IR_P_WIDE)                                                                          \
    /* single bits: b (or imm) modulo 64 names the bit; BEXT gives 0 or 1 */                                           \
    X(BSET, VALUE, IR_P_TAKES_B)                                                                                       \
    X(BCLR, VALUE, IR_P_TAKES_B)                                                                                       \
    X(BINV, VALUE, IR_P_TAKES_B)                                                                                       \
    X(BEXT, VALUE, IR_P_TAKES_B | IR_P_INT32)                                                                          \
    /* dst = cond(a, b) ? 1 : 0 */                                                                                     \
    X(SETCOND, VALUE, IR_P_TAKES_B | IR_P_INT32)                                                                       \
    /* dst = b if a == 0 else 0 (CZERO_NEZ); dst = b if a != 0 else 0 (CZERO_EQZ).  Note: b is the value */            \
    X(CZERO_EQZ, VALUE, IR_P_TAKES_B)                                                                                  \
    X(CZERO_NEZ, VALUE, IR_P_TAKES_B)                                                                                  \
    /* dst = op a.  CLZ/CTZ of 0 is the width */                                                                       \
    X(CLZ, VALUE, IR_P_INT32)                                                                                          \
    X(CTZ, VALUE, IR_P_INT32)                                                                                          \
    X(POPCNT, VALUE, IR_P_INT32)                                                                                       \
    X(BSWAP, VALUE, 0)                                                                                                 \
    X(ORCB, VALUE, 0)                                                                                                  \
    X(SEXT8, VALUE, IR_P_READS_LOW | IR_P_INT32)                                                                       \
    X(SEXT16, VALUE, IR_P_READS_LOW | IR_P_INT32)                                                                      \
    X(SEXT32, VALUE, IR_P_READS_LOW | IR_P_INT32)                                                                      \
    X(ZEXT8, VALUE, IR_P_READS_LOW | IR_P_INT32)                                                                       \
    X(ZEXT16, VALUE, IR_P_READS_LOW | IR_P_INT32)                                                                      \
    X(ZEXT32, VALUE, IR_P_READS_LOW)                                                                                   \
    X(CLMUL, VALUE, IR_P_TAKES_B | IR_P_COMMUTES)                                                                      \
    X(CLMULH, VALUE, IR_P_TAKES_B | IR_P_COMMUTES)                                                                     \
    X(CLMULR, VALUE, IR_P_TAKES_B | IR_P_COMMUTES)                                                                     \
    /* dst = *(u8/u16/u32/u64 by .mem size) (env + imm), zero-extended unless SIGN; store a to it */                   \
    X(LDENV, VALUE, IR_P_OWN_IMM)                                                                                      \
    X(STENV, NOTE, 0)                                                                                                  \
    /* dst = guest memory [a + imm], .mem; guest memory [a + imm] = b */                                               \
    X(LD, MEM, 0)                                                                                                      \
    X(ST, MEM, IR_P_NO_DST)                                                                                            \
    /* dst = old value at [a] (sign-extended), then [a] = old op b; sequentially consistent; .mem size 2 or 3 */       \
    X(AMO_SWAP, MEM, 0)                                                                                                \
    X(AMO_ADD, MEM, 0)                                                                                                 \
    X(AMO_AND, MEM, 0)                                                                                                 \
    X(AMO_OR, MEM, 0)                                                                                                  \
    X(AMO_XOR, MEM, 0)                                                                                                 \
    X(AMO_MINS, MEM, 0)                                                                                                \
    X(AMO_MAXS, MEM, 0)                                                                                                \
    X(AMO_MINU, MEM, 0)                                                                                                \
    X(AMO_MAXU, MEM, 0)                                                                                                \
    /* dst = [a], and reserve; dst = 0 and [a] = b if still reserved, else dst = 1 */                                  \
    X(LR, MEM, 0)                                                                                                      \
    X(SC, MEM, 0)                                                                                                      \
    /* a barrier that orders earlier stores before later loads (imm 1: only the compiler's own order, emits nothing) */ \
    X(FENCE, MEM, IR_P_NO_DST)                                                                                         \
    /* floating point; .type F64/F32/F16 of the operation, .rm rounding */                                             \
    /* leave inline code unless fp_ok: calls runtime.fp_check, which may raise */                                      \
    X(FP_CHECK, FP, IR_P_SEES_VARS | IR_P_NO_DST)                                                                      \
    X(FADD, FP, 0)                                                                                                     \
    X(FSUB, FP, 0)                                                                                                     \
    X(FMUL, FP, 0)                                                                                                     \
    X(FDIV, FP, 0)                                                                                                     \
    X(FSQRT, FP, 0)                                                                                                    \
    /* dst = a * b + c, a * b - c, -(a * b) + c, -(a * b) - c; one rounding */                                         \
    X(FMADD, FP, 0)                                                                                                    \
    X(FMSUB, FP, 0)                                                                                                    \
    X(FNMSUB, FP, 0)                                                                                                   \
    X(FNMADD, FP, 0)                                                                                                   \
    X(FSGNJ, FP, 0)                                                                                                    \
    X(FSGNJN, FP, 0)                                                                                                   \
    X(FSGNJX, FP, 0)                                                                                                   \
    X(FMIN, FP, 0)                                                                                                     \
    X(FMAX, FP, 0)                                                                                                     \
    /* Zfa: NaN if either is */                                                                                        \
    X(FMINM, FP, 0)                                                                                                    \
    X(FMAXM, FP, 0)                                                                                                    \
    X(FEQ, FP, 0)                                                                                                      \
    X(FLT, FP, 0)                                                                                                      \
    X(FLE, FP, 0)                                                                                                      \
    X(FLTQ, FP, 0)                                                                                                     \
    X(FLEQ, FP, 0)                                                                                                     \
    X(FCLASS, FP, 0)                                                                                                   \
    /* Zfa: round to integral; imm 1: raise inexact (froundnx) */                                                      \
    X(FROUND, FP, 0)                                                                                                   \
    /* fcvtmod.w.d */                                                                                                  \
    X(FCVTMOD, FP, 0)                                                                                                  \
    /* float a of .type to integer: W, WU, L, LU (results of W/WU sign-extended from 32 bits) */                       \
    X(FCVT_W, FP, 0)                                                                                                   \
    X(FCVT_WU, FP, 0)                                                                                                  \
    X(FCVT_L, FP, 0)                                                                                                   \
    X(FCVT_LU, FP, 0)                                                                                                  \
    /* integer a to float of .type */                                                                                  \
    X(FCVT_FROM_W, FP, 0)                                                                                              \
    X(FCVT_FROM_WU, FP, 0)                                                                                             \
    X(FCVT_FROM_L, FP, 0)                                                                                              \
    X(FCVT_FROM_LU, FP, 0)                                                                                             \
    /* float a of type imm (IRType) to float of .type */                                                               \
    X(FCVT_FF, FP, 0)                                                                                                  \
    /* raw bits: integer to FP register (boxed for F32/F16) and back (F32/F16: sign-extended) */                       \
    X(FMV_TO_F, FP, 0)                                                                                                 \
    X(FMV_TO_X, FP, 0)                                                                                                 \
    /* dst = accrued flags, RISC-V encoding; accrued flags = a modulo 32 */                                            \
    X(FP_GET_FLAGS, FP, 0)                                                                                             \
    X(FP_SET_FLAGS, FP, IR_P_NO_DST)                                                                                   \
    /* dst = fn(env, a, b, c); fn in .imm, .flags IR_CALL_* */                                                         \
    X(CALL, CALL, 0)                                                                                                   \
    /* fn(env, a, b, c) returns the host address to continue at; ends the block */                                     \
    X(CALL_JUMP, FLOW, IR_P_ENDS)                                                                                      \
    /* a new guest instruction: imm = offset in the page; aux = its length in bytes */                                 \
    X(INSN, NOTE, 0)                                                                                                   \
    /* a place in this block that BRCOND/JMP may go back to: imm = offset in the page */                               \
    X(LABEL, NOTE, IR_P_SEES_VARS)                                                                                     \
    /* if cond(a, b) go to offset imm of this page: a label of this block, or a chained exit; c: IR_IMM compares a with aux */ \
    X(BRCOND, FLOW, 0)                                                                                                 \
    /* go to offset imm of this page (chained); ends the block */                                                      \
    X(JMP, FLOW, IR_P_ENDS)                                                                                            \
    /* go to page_base + imm in another page, by the jump table; ends the block */                                     \
    X(JMP_FAR, FLOW, IR_P_ENDS)                                                                                        \
    /* go to virtual address a + imm with bit 0 cleared, by the jump table; ends the block */                          \
    X(JMP_IND, FLOW, IR_P_ENDS)                                                                                        \
    /* store pc = page_base + imm and return to the main loop with exit reason aux; ends the block */                  \
    X(EXIT, FLOW, IR_P_ENDS)

typedef enum IROpcode {
#define IR_ENUM(name, kind, properties) IR_##name,
    IR_OPS(IR_ENUM)
#undef IR_ENUM
    IR_NUM_OPS
} IROpcode;

typedef enum IRKind { IR_KIND_VALUE, IR_KIND_MEM, IR_KIND_FP, IR_KIND_CALL, IR_KIND_FLOW, IR_KIND_NOTE } IRKind;

/* CALL flags */
enum {
    IR_CALL_PURE = 1,        /* neither reads nor changes TCGEnv; cannot raise */
    IR_CALL_WRITES_VARS = 2, /* may change var[] */
    IR_CALL_RAISES = 4,      /* may leave through tcg_exit_to_loop(); insn_offset is stored first */
    IR_CALL_NO_RETURN = 8,
};

typedef struct IROp {
    uint8_t opc;
    uint8_t type; /* IRType */
    uint8_t cond; /* IRCond */
    uint8_t mem;  /* IR_MEM_* */
    uint8_t rm;
    uint8_t flags;
    IRRef dst, a, b, c;
    int32_t aux;
    int64_t imm;
} IROp;

typedef uint64_t (*IRHelper)(TCGEnv *env, uint64_t a, uint64_t b, uint64_t c);
typedef const void *(*IRJumpHelper)(TCGEnv *env, uint64_t a, uint64_t b, uint64_t c);

/* What the front end tells about its vars. */
typedef struct TCGGuest {
    unsigned n_vars;
    const char *var_names[TCG_MAX_VARS];
    uint64_t fp_vars;             /* bit mask of vars that hold floating point */
    const uint8_t *pin_order;     /* var numbers, hottest first, ends with 0 */
} TCGGuest;

#define IR_MAX_OPS    1024
#define IR_MAX_LABELS 32

/* One block under construction; reused, owned by one thread. */
typedef struct IRBlock {
    const TCGGuest *guest;
    unsigned n_ops, n_temps;
    unsigned mmu_idx;      /* of all its memory accesses */
    unsigned jump_mode;    /* which jump table its jumps use; TCG_MMU_MODES: none, ask runtime.lookup */
    uint32_t page_offset;  /* of its first instruction */
    uint64_t code_page;    /* with the offset of an instruction: its name, the same whenever it is translated */
    uint32_t end_offset;   /* past its last one */
    bool parallel;         /* other vCPUs exist: atomics and fences must be real */
    bool soft_fp;          /* the rounding mode cannot be had in hardware: call softfloat */
    IROp ops[IR_MAX_OPS];
} IRBlock;

/* --- builder; a full block drops ops and sets .n_ops to IR_MAX_OPS: front ends stop at IR_OPS_RESERVE before --- */
#define IR_OPS_RESERVE 64
void ir_block_reset(IRBlock *b, const TCGGuest *guest);
IRRef ir_temp(IRBlock *b);
IROp *ir_emit(IRBlock *b, IROpcode opc, IRRef dst, IRRef a, IRRef bb, int64_t imm); /* type IR_I64, rest zero; c NONE */
static inline bool ir_block_nearly_full(const IRBlock *b)
{
    return b->n_ops + IR_OPS_RESERVE > IR_MAX_OPS || b->n_temps + 16 > TCG_MAX_TEMPS;
}
/* Text of a block for -d op. */
void ir_dump(const IRBlock *b, void *gstring);
const char *ir_op_name(IROpcode opc);
extern const uint8_t ir_op_kinds[IR_NUM_OPS];
static inline IRKind ir_op_kind(unsigned opc)
{
    return (IRKind)ir_op_kinds[opc];
}
/* IR_P_*, those of its kind too. */
extern const uint16_t ir_op_props[IR_NUM_OPS];
static inline bool ir_op_is(unsigned opc, unsigned props)
{
    return ir_op_props[opc] & props;
}

#endif
