/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Vector instructions: what the files of this folder share.
 *
 * An instruction is one call of a helper, with its bits and a VOp, which says what its operands look like and
 * which loop computes it.  vector_run() does what all have in common: may it run (unit on, vtype legal,
 * register groups aligned, no reserved overlap), which elements, and putting results in their place.  A loop
 * writes elements [from, to) and need not ask which of them are active: only active ones reach the register.
 * Loops with side effects (flags, saturation) do ask.
 *
 * Elements of a register group lie in RISCVVector.reg one after the other in the guest's byte order, which is
 * the host's.  Tail and inactive elements are left undisturbed, whatever vtype allows.
 */
#ifndef TARGET_RISCV_VECTOR_VECTOR_H
#define TARGET_RISCV_VECTOR_VECTOR_H

#include "../translate.h"

#include "util/softfloat.h"

typedef struct VOp VOp;

/* One instruction while it runs. */
typedef struct VInsn {
    TCGEnv *env;
    RISCVCPU *cpu;
    const VOp *op;
    uint32_t raw;
    uint8_t vd, vs1, vs2;
    bool masked;       /* by v0; else all elements are active */
    uint8_t sew;       /* log2 of the bytes of an element */
    int8_t lmul;       /* log2 of the registers of a group */
    unsigned from, to; /* elements that the instruction covers: vstart and vl */
    unsigned max;      /* elements in a group */
    const uint8_t *v0;
    uint64_t x; /* scalar operand */
    FloatStatus fp;
    bool saturated;
} VInsn;

/* How wide an operand's elements are: log2 relative to SEW, or one of the others. */
enum {
    V_F8 = -3, /* an eighth of SEW */
    V_F4 = -2,
    V_F2 = -1,
    V_SAME = 0,
    V_WIDE = 1,
    V_NONE,        /* no vector register */
    V_MASK,        /* bits of one register */
    V_SCALAR,      /* element 0 of one register */
    V_WIDE_SCALAR, /* the same, twice SEW wide */
    V_16,          /* 16 bits whatever SEW is */
};

enum {
    V_APART = 1,       /* the destination may overlap no source */
    V_NO_VSTART = 2,   /* vstart must be 0 */
    V_CARRY = 4,       /* v0 is an operand, not a mask */
    V_FLOAT = 16,      /* has operands of a floating point format of SEW */
    V_FLOAT_WIDE = 32, /* and of the next one */
    V_F16_MIN = 64,    /* Zvfhmin is enough for half precision */
    V_F_SCALAR = 128,  /* the scalar operand is in an f register */
    V_RTZ = 256,       /* rounds to zero, not by frm */
    V_HIGH = 512,      /* 64-bit elements only with all of V */
    V_READS_D =
        1024,       /* the destination is a source as well, which matters where it is wider than the others */
    V_FUSED = 2048, /* multiplies and adds: not every host's unit can */
};

/* out[i] = ... of elements d[i] (the old destination), b[i] (vs2) and a[i] (vs1) or *a (a scalar). */
typedef void VLoop(VInsn *v, void *out, const void *d, const void *b, const void *a);
/* One element of a floating point instruction. */
typedef uint64_t VFloat(uint64_t d, uint64_t b, uint64_t a, FloatStatus *s);

/* The same by the host's floating point, for single and double precision. */
typedef struct VHostLoops {
    VLoop *f32, *f64;
} VHostLoops;

struct VOp {
    int8_t d, b, a; /* operand kinds */
    uint16_t flags;
    VLoop *loop[4];         /* by SEW; NULL: reserved */
    VFloat *fp[4];          /* for loops that call a function for each element */
    const VHostLoops *host; /* NULL: none */
};

static inline bool v_bit(const void *bits, unsigned i)
{
    return ((const uint8_t *)bits)[i >> 3] >> (i & 7) & 1;
}
static inline void v_set_bit(void *bits, unsigned i, bool value)
{
    uint8_t *byte = (uint8_t *)bits + (i >> 3);

    *byte = (*byte & ~(1u << (i & 7))) | (unsigned)value << (i & 7);
}
static inline bool v_active(const VInsn *v, unsigned i)
{
    return !v->masked || v_bit(v->v0, i);
}
static inline void *v_reg(const VInsn *v, unsigned reg)
{
    return (uint8_t *)v->cpu->vector.reg + reg * v->cpu->cfg.vlenb;
}
/* Element i, 1 << size bytes wide. */
static inline uint64_t v_get(const void *reg, unsigned i, unsigned size)
{
    switch (size) {
    case 0:
        return ((const uint8_t *)reg)[i];
    case 1:
        return ((const uint16_t *)reg)[i];
    case 2:
        return ((const uint32_t *)reg)[i];
    default:
        return ((const uint64_t *)reg)[i];
    }
}
static inline void v_put(void *reg, unsigned i, unsigned size, uint64_t value)
{
    switch (size) {
    case 0:
        ((uint8_t *)reg)[i] = value;
        break;
    case 1:
        ((uint16_t *)reg)[i] = value;
        break;
    case 2:
        ((uint32_t *)reg)[i] = value;
        break;
    default:
        ((uint64_t *)reg)[i] = value;
    }
}

/* --- float-host.c --- */
#define V_HOST_LOOPS(X)                                                                                      \
    X(add)                                                                                                   \
    X(sub) X(rsub) X(mul) X(div) X(rdiv) X(sqrt) X(macc) X(nmacc) X(msac) X(nmsac) X(madd) X(nmadd) X(msub)  \
        X(nmsub)
#ifdef __x86_64__
#define V_HOST_DECLARE(name) extern const VHostLoops vector_host_##name;
V_HOST_LOOPS(V_HOST_DECLARE)
#define V_HOST(name) &vector_host_##name
#else
#define V_HOST(name) NULL
#endif
/* For the present instruction and rounding mode; NULL: none. */
VLoop *vector_host_loop(const VInsn *v);

/* --- run.c --- */
/*
 * Fills @v; raises when the unit is off or, unless @any_vtype, vtype is not legal.  Marks the unit dirty,
 * which the architecture allows to happen early.
 */
void vector_begin(VInsn *v, TCGEnv *env, uint32_t raw, bool any_vtype);
void vector_illegal(const VInsn *v) G_GNUC_NORETURN;
static inline void vector_check(const VInsn *v, bool legal)
{
    if (unlikely(!legal)) {
        vector_illegal(v);
    }
}
/* Is there a group of 1 << emul registers at @reg? */
static inline bool vector_group(unsigned reg, int emul)
{
    return emul >= -3 && emul <= 3 && (emul <= 0 || !(reg & (MAKE_64BIT_MASK(0, emul))));
}
/* Do groups overlap?  Sizes below one register count as one. */
static inline bool vector_overlap(unsigned reg, int emul, unsigned other, int other_emul)
{
    return reg < other + (1u << MAX(other_emul, 0)) && other < reg + (1u << MAX(emul, 0));
}
unsigned vector_elen(const RISCVCPU *cpu); /* log2 of bytes */
static inline void vector_end(VInsn *v)
{
    v->cpu->vector.vstart = 0;
}
bool vector_gen(DisasContext *ctx, const RISCVInsn *i, IRRef dst, IRHelper fn, const void *what, IRRef x);
/* An instruction that vector_run() can do. */
bool vector_gen_op(DisasContext *ctx, const RISCVInsn *i, const VOp *op, IRRef x);
/* Are the floating point formats of the operands offered? */
bool vector_float_possible(const VInsn *v);
/* Before a floating point instruction: the scalar unit is on and frm valid. */
void vector_float_begin(VInsn *v);

/* The translation of @insn: vector_run() with the VOp that follows. */
#define V_TRANS(insn, scalar, ...)                                                                           \
    bool trans_##insn(DisasContext *ctx, const RISCVInsn *i)                                                 \
    {                                                                                                        \
        static const VOp op = {__VA_ARGS__};                                                                 \
        return vector_gen_op(ctx, i, &op, scalar);                                                           \
    }
#define V_X   i->rs1
#define V_IMM gen_const(ctx, (int64_t)i->imm)

/* M(size, unsigned type, signed type, twice as wide: unsigned, signed) */
#define V_INTS(M, ...)                                                                                       \
    M(8, uint8_t, int8_t, uint16_t, int16_t, __VA_ARGS__)                                                    \
    M(16, uint16_t, int16_t, uint32_t, int32_t, __VA_ARGS__)                                                 \
    M(32, uint32_t, int32_t, uint64_t, int64_t, __VA_ARGS__)
#define V_INT64(M, ...) M(64, uint64_t, int64_t, unsigned __int128, __int128, __VA_ARGS__)
/* What M calls its types where its body and expressions use them. */
#define V_TYPES(T_, S_, W_, V_)                                                                              \
    typedef T_ T G_GNUC_UNUSED;                                                                              \
    typedef S_ S G_GNUC_UNUSED;                                                                              \
    typedef W_ W G_GNUC_UNUSED;                                                                              \
    typedef V_ V G_GNUC_UNUSED;

#define V_LOOPS(name)                                                                                        \
    {                                                                                                        \
        name##_8, name##_16, name##_32, name##_64                                                            \
    }
#define V_LOOPS_32(name)                                                                                     \
    {                                                                                                        \
        name##_8, name##_16, name##_32                                                                       \
    } /* not with 64-bit elements */

#endif
