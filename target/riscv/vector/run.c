/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all vector instructions have in common: legality, the elements they cover, results to their place. */
#include "vector.h"

#include <string.h>

enum { V_REGISTER_BYTES = 1024 / 8, V_GROUP_BYTES = 8 * V_REGISTER_BYTES };

void vector_illegal(const VInsn *v)
{
    riscv_raise(v->env, CAUSE_ILLEGAL, v->raw);
}

unsigned vector_elen(const RISCVCPU *cpu)
{
    return riscv_has(cpu, EXT_zve64x) && cpu->cfg.elen >= 64 ? 3 : 2;
}

void vector_begin(VInsn *v, TCGEnv *env, uint32_t raw, bool any_vtype)
{
    RISCVCPU *cpu = env_riscv(env);
    const RISCVVector *s = &cpu->vector;

    *v = (VInsn){
        .env = env,
        .cpu = cpu,
        .raw = raw,
        .vd = (raw >> 7) & 31,
        .vs1 = (raw >> 15) & 31,
        .vs2 = (raw >> 20) & 31,
        .masked = !((raw >> 25) & 1),
        .sew = (s->vtype >> 3) & 7,
        .lmul = (int8_t)((s->vtype & 7) << 5) >> 5,
        .from = s->vstart,
        .to = s->vl,
        .v0 = (const uint8_t *)s->reg,
    };
    vector_check(v, (cpu->mstatus & MSTATUS_VS) && (any_vtype || !s->vill));
    if (unlikely((cpu->mstatus & MSTATUS_VS) != MSTATUS_VS)) {
        riscv_put_mstatus(cpu, cpu->mstatus | MSTATUS_VS);
    }
    v->max = riscv_vlmax(cpu, s->vtype);
}

/* --- legality --- */
typedef struct VOperand {
    unsigned reg;
    int eew, emul; /* logs; a mask has eew -3: bits */
    bool used;
} VOperand;

/* False: no such element size, or no such group. */
static bool describe(const VInsn *v, VOperand *o, int kind, unsigned reg)
{
    *o = (VOperand){.reg = reg, .used = kind != V_NONE && kind != V_SCALAR && kind != V_WIDE_SCALAR};
    switch (kind) {
    case V_NONE:
    case V_SCALAR:
        return true;
    case V_WIDE_SCALAR:
        return v->sew < (int)vector_elen(v->cpu);
    case V_MASK:
        o->eew = -3;
        return true;
    case V_16:
        kind = 1 - v->sew;
        break;
    }
    o->eew = v->sew + kind;
    o->emul = v->lmul + kind;
    return o->eew >= 0 && o->eew <= (int)vector_elen(v->cpu) && vector_group(reg, o->emul);
}

/* May the group @d be written while @s is read? */
static bool may_overlap(const VOperand *d, const VOperand *s)
{
    if (!d->used || !s->used || !vector_overlap(d->reg, d->emul, s->reg, s->emul) || d->eew == s->eew) {
        return true;
    }
    if (d->eew < s->eew) {
        return d->reg == s->reg; /* the low end of the source */
    }
    /* the high end of the destination, if the source fills its registers */
    return s->emul >= 0 && s->reg + (1u << s->emul) == d->reg + (1u << MAX(d->emul, 0));
}

/* No register is read with two element sizes. */
static bool sources_agree(const VOperand *b, const VOperand *a)
{
    return !b->used || !a->used || b->eew == a->eew || !vector_overlap(b->reg, b->emul, a->reg, a->emul);
}

static bool operands_legal(const VInsn *v)
{
    static const VOperand mask = {.reg = 0, .eew = -3, .used = true};
    const VOp *op = v->op;
    VOperand d, a, b;

    if (!describe(v, &d, op->d, v->vd) || !describe(v, &b, op->b, v->vs2) ||
        !describe(v, &a, op->a, v->vs1)) {
        return false;
    }
    if ((op->flags & V_NO_VSTART) && v->from) {
        return false;
    }
    if (v->masked && ((d.used && v->vd == 0 && (op->d != V_MASK || (op->flags & V_APART))) ||
                      !sources_agree(&mask, &b) || !sources_agree(&mask, &a))) {
        return false;
    }
    if ((op->flags & V_APART) && ((b.used && vector_overlap(d.reg, d.emul, b.reg, b.emul)) ||
                                  (a.used && vector_overlap(d.reg, d.emul, a.reg, a.emul)))) {
        return false;
    }
    if ((op->flags & V_READS_D) && (!sources_agree(&d, &b) || !sources_agree(&d, &a))) {
        return false;
    }
    return may_overlap(&d, &b) && may_overlap(&d, &a) && sources_agree(&b, &a);
}

/* --- floating point --- */
static bool float_size_possible(const VInsn *v, unsigned sew)
{
    static const uint8_t needs[4] = {EXT_COUNT, EXT_zvfh, EXT_zve32f, EXT_zve64d};
    bool min = sew == 1 && (v->op->flags & V_F16_MIN) && riscv_has(v->cpu, EXT_zvfhmin);

    return min || (needs[sew] != EXT_COUNT && riscv_has(v->cpu, needs[sew]));
}

/* A scalar that is not boxed properly is the default NaN. */
static uint64_t float_scalar(const VInsn *v)
{
    uint64_t f = v->env->var[32 + v->vs1];

    switch (v->sew) {
    case 1:
        return f >> 16 == MAKE_64BIT_MASK(0, 48) ? (uint16_t)f : FLOAT_NAN_F16;
    case 2:
        return f >> 32 == UINT32_MAX ? (uint32_t)f : FLOAT_NAN_F32;
    default:
        return f;
    }
}

void vector_float_begin(VInsn *v)
{
    RISCVCPU *cpu = v->cpu;

    vector_check(v, (cpu->mstatus & MSTATUS_FS) && v->env->frm <= FLOAT_RMM);
    if ((cpu->mstatus & MSTATUS_FS) != MSTATUS_FS) {
        riscv_put_mstatus(cpu, cpu->mstatus | MSTATUS_FS);
    }
    v->fp.rm = v->op->flags & V_RTZ ? FLOAT_RTZ : v->env->frm;
    if (v->op->flags & V_F_SCALAR) {
        v->x = float_scalar(v);
    }
}

bool vector_float_possible(const VInsn *v)
{
    unsigned flags = v->op->flags;

    return (!(flags & V_FLOAT) || float_size_possible(v, v->sew)) &&
           (!(flags & V_FLOAT_WIDE) || (v->sew < 3 && float_size_possible(v, v->sew + 1)));
}

/* --- results --- */
static void commit_bits(const VInsn *v, uint8_t *d, const uint8_t *out)
{
    for (unsigned i = v->from; i < v->to; i++) {
        if (v_active(v, i)) {
            v_set_bit(d, i, v_bit(out, i));
        }
    }
}

static void commit_elements(const VInsn *v, uint8_t *d, const uint8_t *out, unsigned size)
{
    if (!v->masked) {
        memcpy(d + (v->from << size), out + (v->from << size), (v->to - v->from) << size);
        return;
    }
    for (unsigned i = v->from; i < v->to; i++) {
        if (v_active(v, i)) {
            v_put(d, i, size, v_get(out, i, size));
        }
    }
}

static void commit(const VInsn *v, void *d, const void *out)
{
    switch (v->op->d) {
    case V_MASK:
        commit_bits(v, d, out);
        break;
    case V_SCALAR:
        memcpy(d, out, 1u << v->sew);
        break;
    case V_WIDE_SCALAR:
        memcpy(d, out, 2u << v->sew);
        break;
    default:
        commit_elements(v, d, out, v->sew + v->op->d);
    }
}

static void compute(VInsn *v, VLoop *loop)
{
    const VOp *op = v->op;
    uint64_t buffer[V_GROUP_BYTES / 8];
    void *d = v_reg(v, v->vd);
    bool in_place = op->d == V_SAME && op->b >= V_SAME && op->b != V_WIDE && !op->host && !v->masked;
    const void *a = op->a == V_NONE ? &v->x : v_reg(v, v->vs1);

    loop(v, in_place ? d : buffer, d, v_reg(v, v->vs2), a);
    if (!in_place) {
        commit(v, d, buffer);
    }
    if (v->saturated) {
        v->cpu->vector.vxsat = 1;
    }
    if (v->fp.flags) {
        tcg_fp_or_flags(v->env, v->fp.flags);
    }
}

static uint64_t vector_run(TCGEnv *env, uint64_t raw, uint64_t what, uint64_t x)
{
    const VOp *op = (const VOp *)(uintptr_t)what;
    VLoop *loop;
    VInsn v;

    vector_begin(&v, env, raw, false);
    v.op = op;
    v.x = x;
    loop = op->loop[v.sew];
    vector_check(&v, loop && operands_legal(&v));
    vector_check(&v, !(op->flags & V_HIGH) || v.sew < 3 || riscv_has(v.cpu, EXT_v));
    if (op->flags & (V_FLOAT | V_FLOAT_WIDE)) {
        vector_check(&v, vector_float_possible(&v));
        vector_float_begin(&v);
        loop = vector_host_loop(&v) ?: loop;
    }
    if (op->flags & V_CARRY) {
        v.masked = false;
    }
    if (v.from < v.to) {
        compute(&v, loop);
    }
    vector_end(&v);
    return 0;
}

/* --- translation --- */
bool vector_gen(DisasContext *ctx, const RISCVInsn *i, IRRef dst, IRHelper fn, const void *what, IRRef x)
{
    gen_call(ctx, dst, fn, gen_const(ctx, i->raw), gen_const(ctx, (uintptr_t)what), x);
    return true;
}

bool vector_gen_op(DisasContext *ctx, const RISCVInsn *i, const VOp *op, IRRef x)
{
    return vector_gen(ctx, i, IR_NONE, vector_run, op, x);
}
