/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vsetvli and its like: vtype, vl and what is legal for them. */
#include "vector.h"

enum { VTYPE_KNOWN = 0xff };

unsigned riscv_vlmax(const RISCVCPU *cpu, uint64_t vtype)
{
    unsigned bits = cpu->cfg.vlenb * 8, sew = ((vtype >> 3) & 7) + 3;
    int lmul = (int8_t)((vtype & 7) << 5) >> 5;

    return lmul >= 0 ? bits << lmul >> sew : bits >> -lmul >> sew;
}

bool riscv_vtype_legal(const RISCVCPU *cpu, uint64_t vtype)
{
    /* an element must fit into the group */
    return !(vtype & ~(uint64_t)VTYPE_KNOWN) && (vtype & 7) != 4 && ((vtype >> 3) & 7) <= vector_elen(cpu) &&
           riscv_vlmax(cpu, vtype) > 0;
}

static uint64_t helper_vset(TCGEnv *env, uint64_t raw, uint64_t vtype, uint64_t avl)
{
    RISCVCPU *cpu = env_riscv(env);
    RISCVVector *s = &cpu->vector;
    VInsn v;

    vector_begin(&v, env, raw, true);
    s->vill = !riscv_vtype_legal(cpu, vtype);
    s->vtype = s->vill ? 0 : vtype;
    s->vl = s->vill ? 0 : MIN(avl, riscv_vlmax(cpu, vtype));
    s->vstart = 0;
    return s->vl;
}

static uint64_t helper_vset_keep(TCGEnv *env, uint64_t raw, uint64_t vtype, uint64_t unused)
{
    return helper_vset(env, raw, vtype, env_riscv(env)->vector.vl);
}

/* rs1 x0: as many elements as there can be, or with rd x0 as many as now. */
static bool vset(DisasContext *ctx, const RISCVInsn *i, IRRef vtype)
{
    IRRef raw = gen_const(ctx, i->raw);

    if (!i->rs1 && !i->rd) {
        gen_call(ctx, IR_NONE, helper_vset_keep, raw, vtype, IR_ZERO);
    } else {
        gen_call(ctx, i->rd ? i->rd : IR_NONE, helper_vset, raw, vtype,
                 i->rs1 ? i->rs1 : gen_const(ctx, UINT64_MAX));
    }
    return true;
}

bool trans_vsetvli(DisasContext *ctx, const RISCVInsn *i)
{
    return vset(ctx, i, gen_const(ctx, i->imm));
}

bool trans_vsetvl(DisasContext *ctx, const RISCVInsn *i)
{
    return vset(ctx, i, i->rs2);
}

bool trans_vsetivli(DisasContext *ctx, const RISCVInsn *i)
{
    gen_call(ctx, i->rd ? i->rd : IR_NONE, helper_vset, gen_const(ctx, i->raw), gen_const(ctx, i->imm),
             gen_const(ctx, i->rs1));
    return true;
}
