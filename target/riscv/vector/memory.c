/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Vector loads and stores.
 *
 * A fault leaves vstart at the element that had it, and the instruction goes on there when it runs again.
 * Elements that follow each other in memory are copied as far as the page goes when the first level of the
 * soft TLB allows it; the first element of a page that it does not know takes the slow way, and fills it.
 */
#include "vector.h"

#include <string.h>

typedef enum VMemKind {
    VMEM_UNIT,
    VMEM_STRIDED,
    VMEM_INDEXED,
    VMEM_MASK,
    VMEM_WHOLE,
    VMEM_FAULT_FIRST
} VMemKind;

typedef struct VMem {
    VMemKind kind;
    uint8_t eew; /* log2 of bytes: of elements in memory, or of the index */
    bool store;
} VMem;

/* One access while it runs. */
typedef struct Access {
    VInsn v;
    VMem mem;
    unsigned size;   /* log2 of the bytes of an element in memory */
    unsigned fields; /* of a segment */
    int emul;        /* of each field's group */
    vaddr base;
    uint64_t stride;
    unsigned mmu_idx;
} Access;

/* --- legality --- */
static bool fields_fit(const Access *m)
{
    unsigned regs = m->fields << MAX(m->emul, 0);

    return regs <= 8 && m->v.vd + regs <= 32;
}

static bool index_legal(const Access *m)
{
    const VInsn *v = &m->v;
    int emul = m->mem.eew - v->sew + v->lmul;

    if (m->mem.eew > vector_elen(v->cpu) || !vector_group(v->vs2, emul) ||
        (v->masked && (v->vs2 == 0 || v->vd == 0))) {
        return false;
    }
    for (unsigned f = 0; f < m->fields; f++) {
        unsigned reg = v->vd + (f << MAX(m->emul, 0));

        if (!vector_overlap(reg, m->emul, v->vs2, emul) ||
            (m->mem.eew == v->sew && (m->fields == 1 || m->mem.store))) {
            continue;
        }
        if (m->fields > 1 || m->mem.store) {
            return false;
        }
        if (m->mem.eew > v->sew ? reg != v->vs2
                                : emul < 0 || v->vs2 + (1u << emul) != reg + (1u << MAX(m->emul, 0))) {
            return false;
        }
    }
    return true;
}

static bool legal(const Access *m)
{
    const VInsn *v = &m->v;

    if (m->mem.kind == VMEM_MASK) {
        return true;
    }
    if (m->size > vector_elen(v->cpu)) {
        return false;
    }
    if (m->mem.kind == VMEM_WHOLE) {
        return !(v->vd & (m->fields - 1));
    }
    return vector_group(v->vd, m->emul) && fields_fit(m) && !(v->masked && v->vd == 0 && !m->mem.store) &&
           (m->mem.kind != VMEM_INDEXED || index_legal(m));
}

/* --- elements --- */
static uint64_t offset_of(const Access *m, unsigned i)
{
    switch (m->mem.kind) {
    case VMEM_STRIDED:
        return i * m->stride;
    case VMEM_INDEXED:
        return v_get(v_reg(&m->v, m->v.vs2), i, m->mem.eew);
    default:
        return (uint64_t)i * m->fields << m->size;
    }
}

static void *field_reg(const Access *m, unsigned field)
{
    return v_reg(&m->v, m->v.vd + (field << MAX(m->emul, 0)));
}

static void one_access(Access *m, unsigned i, unsigned field, vaddr addr)
{
    void *reg = field_reg(m, field);

    m->v.cpu->vector.vstart = i;
    if (m->mem.store) {
        cpu_store(m->v.env, addr, v_get(reg, i, m->size), m->size, m->mmu_idx);
    } else {
        v_put(reg, i, m->size, cpu_load(m->v.env, addr, m->size, m->mmu_idx));
    }
}

static void one_segment(Access *m, unsigned i)
{
    vaddr addr = m->base + offset_of(m, i);

    for (unsigned f = 0; f < m->fields; f++) {
        one_access(m, i, f, addr + ((vaddr)f << m->size));
    }
}

static void each_element(Access *m)
{
    for (unsigned i = m->v.from; i < m->v.to; i++) {
        if (v_active(&m->v, i)) {
            one_segment(m, i);
        }
    }
}

/* Host memory of @n elements from @addr, if they are in one page of RAM that is at hand. */
static void *host_of(const Access *m, vaddr addr, unsigned n)
{
    TCGEnv *env = m->v.env;
    unsigned bytes = n << m->size;

    if (!n) {
        return NULL;
    }
    return m->mem.store ? cpu_store_host(env, addr, bytes, m->mmu_idx)
                        : (void *)cpu_load_host(env, addr, bytes, m->mmu_idx);
}

/* One after the other, all active. */
static void contiguous(Access *m)
{
    uint8_t *reg = field_reg(m, 0);

    for (unsigned i = m->v.from; i < m->v.to;) {
        vaddr addr = m->base + ((vaddr)i << m->size);
        unsigned room = (TCG_PAGE_SIZE - (addr & (TCG_PAGE_SIZE - 1))) >> m->size, n = MIN(m->v.to - i, room);
        void *host = host_of(m, addr, n), *elements = reg + (i << m->size);

        if (!host) {
            one_access(m, i++, 0, addr);
            continue;
        }
        memcpy(m->mem.store ? host : elements, m->mem.store ? elements : host, n << m->size);
        i += n;
    }
}

/* --- fault only first --- */
/* Can [addr, addr + bytes) be read at once?  No is allowed to mean "not easily". */
static bool readable(Access *m, vaddr addr, unsigned bytes)
{
    unsigned room = TCG_PAGE_SIZE - (addr & (TCG_PAGE_SIZE - 1)), here = MIN(room, bytes);

    return cpu_probe_host(m->v.env, addr, here, MMU_DATA_LOAD, m->mmu_idx) &&
           (here == bytes || cpu_probe_host(m->v.env, addr + here, bytes - here, MMU_DATA_LOAD, m->mmu_idx));
}

/* Elements after the first that cannot be read end the vector instead of trapping. */
static void fault_first(Access *m)
{
    for (unsigned i = m->v.from; i < m->v.to; i++) {
        if (!v_active(&m->v, i)) {
            continue;
        }
        if (i && !readable(m, m->base + offset_of(m, i), m->fields << m->size)) {
            m->v.cpu->vector.vl = i;
            return;
        }
        one_segment(m, i);
    }
}

/* --- the instruction --- */
/* Sizes as if the elements followed each other in one group; vtype does not matter. */
static void cover_whole(Access *m)
{
    unsigned bytes = m->v.cpu->cfg.vlenb * m->fields;

    m->v.masked = false;
    m->v.to = m->mem.kind == VMEM_MASK ? (m->v.to + 7) / 8 : bytes >> m->size;
    m->emul = 0;
}

static void run(Access *m)
{
    switch (m->mem.kind) {
    case VMEM_FAULT_FIRST:
        fault_first(m);
        break;
    case VMEM_MASK:
    case VMEM_WHOLE:
        contiguous(m);
        break;
    case VMEM_UNIT:
        if (m->fields == 1 && !m->v.masked) {
            contiguous(m);
            break;
        }
        /* fall through */
    default:
        each_element(m);
    }
}

static uint64_t helper_mem(TCGEnv *env, uint64_t raw, uint64_t what, uint64_t base)
{
    Access m = {.mem = *(const VMem *)(uintptr_t)what, .base = base, .fields = ((raw >> 29) & 7) + 1};
    VInsn *v = &m.v;

    vector_begin(v, env, raw, m.mem.kind == VMEM_WHOLE);
    m.size = m.mem.kind == VMEM_INDEXED ? v->sew : m.mem.eew;
    m.emul = (int)m.size - v->sew + v->lmul;
    vector_check(v, legal(&m));
    if (m.mem.kind == VMEM_STRIDED) {
        m.stride = env->var[v->vs2];
    } else if (m.mem.kind == VMEM_MASK || m.mem.kind == VMEM_WHOLE) {
        cover_whole(&m);
    }
    m.mmu_idx = riscv_data_mmu_idx(v->cpu);
    if (v->from < v->to) {
        run(&m);
    }
    vector_end(v);
    return 0;
}

#define MEM(insn, ...)                                                                                       \
    bool trans_##insn(DisasContext *ctx, const RISCVInsn *i)                                                 \
    {                                                                                                        \
        static const VMem mem = {__VA_ARGS__};                                                               \
        return vector_gen(ctx, i, IR_NONE, helper_mem, &mem, i->rs1);                                        \
    }
#define MEM_SIZES(M) M(8, 0) M(16, 1) M(32, 2) M(64, 3)
#define MEM_SIZE(size, eew)                                                                                  \
    MEM(vle##size##_v, VMEM_UNIT, eew, false)                                                                \
    MEM(vse##size##_v, VMEM_UNIT, eew, true)                                                                 \
    MEM(vlse##size##_v, VMEM_STRIDED, eew, false)                                                            \
    MEM(vsse##size##_v, VMEM_STRIDED, eew, true)                                                             \
    MEM(vluxei##size##_v, VMEM_INDEXED, eew, false)                                                          \
    MEM(vsuxei##size##_v, VMEM_INDEXED, eew, true)                                                           \
    MEM(vloxei##size##_v, VMEM_INDEXED, eew, false)                                                          \
    MEM(vsoxei##size##_v, VMEM_INDEXED, eew, true)                                                           \
    MEM(vle##size##ff_v, VMEM_FAULT_FIRST, eew, false)                                                       \
    MEM(vl1re##size##_v, VMEM_WHOLE, eew, false)                                                             \
    MEM(vl2re##size##_v, VMEM_WHOLE, eew, false)                                                             \
    MEM(vl4re##size##_v, VMEM_WHOLE, eew, false)                                                             \
    MEM(vl8re##size##_v, VMEM_WHOLE, eew, false)
MEM_SIZES(MEM_SIZE)
MEM(vlm_v, VMEM_MASK, 0, false)
MEM(vsm_v, VMEM_MASK, 0, true)
MEM(vs1r_v, VMEM_WHOLE, 0, true)
MEM(vs2r_v, VMEM_WHOLE, 0, true)
MEM(vs4r_v, VMEM_WHOLE, 0, true)
MEM(vs8r_v, VMEM_WHOLE, 0, true)
