/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The shadow of lockstep: an interpreter of IR that changes nothing but its own copy of the state. */
#include "lockstep.h"

#include "tcg/eval.h"

#include <string.h>

/* --- blocks --- */

static int find_label(const IRBlock *ir, int64_t offset)
{
    for (unsigned i = 0; i < ir->n_ops; i++) {
        if (ir->ops[i].opc == IR_LABEL && ir->ops[i].imm == offset) {
            return i;
        }
    }
    return -1;
}

ShadowBlock *shadow_block_new(const IRBlock *ir, unsigned n_insns)
{
    ShadowBlock *b = g_malloc0(sizeof(*b) + ir->n_ops * sizeof(b->target[0]));

    b->n_ops = ir->n_ops;
    b->n_insns = n_insns;
    b->mmu_idx = ir->mmu_idx;
    b->page_offset = ir->page_offset;
    b->end_offset = ir->end_offset;
    b->ir = g_memdup2(ir, offsetof(IRBlock, ops) + ir->n_ops * sizeof(IROp));
    for (unsigned i = 0; i < ir->n_ops; i++) {
        bool jumps = ir->ops[i].opc == IR_JMP || ir->ops[i].opc == IR_BRCOND;

        b->target[i] = jumps ? find_label(ir, ir->ops[i].imm) : -1;
    }
    return b;
}

void shadow_block_free(ShadowBlock *b)
{
    g_free(b->ir);
    g_free(b);
}

const IROp *shadow_op(const Shadow *s)
{
    return &s->block->ir->ops[s->op];
}

/* --- values --- */

uint64_t shadow_value(const Shadow *s, IRRef r)
{
    if (r < TCG_MAX_VARS) {
        return s->regs->var[r];
    }
    return r < TCG_MAX_VARS + TCG_MAX_TEMPS ? s->temp[r - IR_TEMP0] : 0;
}

static uint64_t value_b(const Shadow *s, const IROp *op)
{
    return op->b == IR_IMM ? (uint64_t)op->imm : shadow_value(s, op->b);
}

static void set(Shadow *s, IRRef r, uint64_t value)
{
    if (r == IR_ZERO) {
        return;
    }
    if (r < TCG_MAX_VARS) {
        s->regs->var[r] = value;
    } else if (r < TCG_MAX_VARS + TCG_MAX_TEMPS) {
        s->temp[r - IR_TEMP0] = value;
    }
}

/* --- the overlay: bytes that the block has stored --- */

static OverlayGranule *find_granule(Shadow *s, uintptr_t key, bool add)
{
    unsigned slot = (key * UINT64_C(0x9e3779b97f4a7c15)) >> 49;

    while (s->overlay[slot].key && s->overlay[slot].key != key) {
        slot = (slot + 1) % OVERLAY_SLOTS;
    }
    if (s->overlay[slot].key) {
        return &s->overlay[slot];
    }
    if (!add) {
        return NULL;
    }
    s->overlay[slot] = (OverlayGranule){.key = key};
    s->used[s->n_used++] = slot;
    return &s->overlay[slot];
}

static void overlay_put(Shadow *s, const uint8_t *host, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++, value >>= 8) {
        OverlayGranule *g = find_granule(s, (uintptr_t)(host + i) / 8, true);
        unsigned n = (uintptr_t)(host + i) % 8;

        g->byte[n] = value;
        g->have |= 1 << n;
    }
}

static void overlay_clear(Shadow *s)
{
    for (unsigned i = 0; i < s->n_used; i++) {
        s->overlay[s->used[i]].key = 0;
    }
    s->n_used = 0;
}

void shadow_replay_writes(Shadow *s, unsigned n)
{
    overlay_clear(s);
    for (unsigned i = 0; i < n; i++) {
        overlay_put(s, s->writes[i].host, s->writes[i].value, s->writes[i].size);
    }
}

static uint64_t NO_TSAN read_host(const uint8_t *host, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, host, size);
    return value;
}

/* --- guest memory --- */

/* A guest access as one or two stretches of host memory. */
typedef struct Stretch {
    uint8_t *host[2];
    unsigned size[2];
} Stretch;

static uint8_t *host_of(Shadow *s, uint64_t addr, unsigned size, MMUAccessType access)
{
    TCGEnv *env = s->tc->env;
    unsigned mode = s->block->mmu_idx;
    bool is_store = access == MMU_DATA_STORE;
    const TLBEntry *e = &(is_store ? env->tlb_write : env->tlb_read)[mode][tlb_index(addr)];
    PageAccess pa;

    if ((addr ^ atomic_read(&e->tag)) < TCG_PAGE_SIZE) {
        return (uint8_t *)(uintptr_t)(addr + e->addend);
    }
    if (!tlb_lookup(s->tc, addr, size, access, mode, true, &pa)) {
        return NULL;
    }
    return (is_store ? pa.host_write : pa.host_read) ? pa.host : NULL;
}

static bool find_memory(Shadow *s, uint64_t addr, unsigned size, MMUAccessType access, Stretch *m)
{
    unsigned room = TCG_PAGE_SIZE - (addr & (TCG_PAGE_SIZE - 1));

    m->size[0] = MIN(size, room);
    m->size[1] = size - m->size[0];
    m->host[0] = host_of(s, addr, m->size[0], access);
    m->host[1] = m->size[1] ? host_of(s, addr + m->size[0], m->size[1], access) : NULL;
    return m->host[0] && (!m->size[1] || m->host[1]);
}

static uint64_t read_stretch(Shadow *s, const uint8_t *host, unsigned size)
{
    uint64_t memory = read_host(host, size), value = 0;

    if (s->n_reads < SHADOW_MAX_READS) {
        s->reads[s->n_reads++] = (ShadowRead){host, memory, size};
    }
    for (unsigned i = 0; i < size; i++, memory >>= 8) {
        const OverlayGranule *g = s->n_used ? find_granule(s, (uintptr_t)(host + i) / 8, false) : NULL;
        unsigned n = (uintptr_t)(host + i) % 8;

        value |= (g && g->have >> n & 1 ? g->byte[n] : memory & 0xff) << (8 * i);
    }
    return value;
}

static uint64_t read_memory(Shadow *s, const Stretch *m)
{
    uint64_t value = read_stretch(s, m->host[0], m->size[0]);

    return m->size[1] ? value | read_stretch(s, m->host[1], m->size[1]) << (8 * m->size[0]) : value;
}

static void write_memory(Shadow *s, const Stretch *m, uint64_t value)
{
    for (int i = 0; i < 2 && m->size[i]; i++) {
        s->writes[s->n_writes++] =
            (ShadowWrite){m->host[i], value, read_host(m->host[i], m->size[i]), m->size[i]};
        overlay_put(s, m->host[i], value, m->size[i]);
        value = m->size[i] < 8 ? value >> (8 * m->size[i]) : 0;
    }
}

/* --- ops; false: stopped --- */

static bool stop_at(Shadow *s, ShadowStop why, uint64_t addr)
{
    s->stop = why;
    s->stop_addr = addr;
    return false;
}

static bool is_aligned(const IROp *op, uint64_t addr)
{
    return !(op->mem & IR_MEM_ALIGN) || !(addr & ((1u << (op->mem & IR_MEM_SIZE)) - 1));
}

static bool do_load(Shadow *s, const IROp *op)
{
    uint64_t addr = shadow_value(s, op->a) + op->imm;
    Stretch m;

    if (!is_aligned(op, addr) || !find_memory(s, addr, 1u << (op->mem & IR_MEM_SIZE), MMU_DATA_LOAD, &m)) {
        return stop_at(s, SHADOW_LOAD, addr);
    }
    set(s, op->dst, ir_extend(read_memory(s, &m), op->mem));
    return true;
}

static bool do_store(Shadow *s, const IROp *op)
{
    uint64_t addr = shadow_value(s, op->a) + op->imm;
    Stretch m;

    if (!is_aligned(op, addr) || !find_memory(s, addr, 1u << (op->mem & IR_MEM_SIZE), MMU_DATA_STORE, &m)) {
        return stop_at(s, SHADOW_STORE, addr);
    }
    write_memory(s, &m, shadow_value(s, op->b));
    return true;
}

static bool do_reserve(Shadow *s, const IROp *op, uint64_t addr, unsigned size)
{
    Stretch m;

    if ((addr & (size - 1)) || !find_memory(s, addr, size, MMU_DATA_LOAD, &m)) {
        return stop_at(s, SHADOW_RESERVE, addr);
    }
    s->regs->lr_addr = addr;
    s->regs->lr_value = ir_extend(read_memory(s, &m), op->mem | IR_MEM_SIGN);
    set(s, op->dst, s->regs->lr_value);
    return true;
}

static bool do_atomic(Shadow *s, const IROp *op)
{
    uint64_t addr = shadow_value(s, op->a) + (op->b == IR_IMM ? 0 : op->imm), old, value;
    unsigned size = 1u << (op->mem & IR_MEM_SIZE), mem = (op->mem & IR_MEM_SIZE) | IR_MEM_SIGN;
    bool is_sc = op->opc == IR_SC;
    Stretch m;

    if (op->opc == IR_LR) {
        return do_reserve(s, op, addr, size);
    }
    if (is_sc && s->regs->lr_addr != addr && !(addr & (size - 1))) {
        s->regs->lr_addr = UINT64_MAX;
        set(s, op->dst, 1);
        return true;
    }
    if ((addr & (size - 1)) || !find_memory(s, addr, size, MMU_DATA_STORE, &m)) {
        return stop_at(s, SHADOW_ATOMIC, addr);
    }
    old = ir_extend(read_memory(s, &m), mem);
    value = ir_extend(value_b(s, op), mem);
    if (!is_sc) {
        write_memory(s, &m, ir_eval_amo(op->opc, old, value));
        set(s, op->dst, old);
        return true;
    }
    if (old == ir_extend(s->regs->lr_value, mem)) {
        write_memory(s, &m, value);
        set(s, op->dst, 0);
    } else {
        set(s, op->dst, 1);
    }
    s->regs->lr_addr = UINT64_MAX;
    return true;
}

static bool do_mem(Shadow *s, const IROp *op)
{
    if (s->n_writes + 2 > SHADOW_MAX_WRITES) {
        return stop_at(s, SHADOW_LOST, 0);
    }
    switch (op->opc) {
    case IR_LD:
        return do_load(s, op);
    case IR_ST:
        return do_store(s, op);
    case IR_FENCE:
        return true;
    default:
        return do_atomic(s, op);
    }
}

static bool do_fp(Shadow *s, const IROp *op)
{
    if (op->opc == IR_FP_CHECK) {
        return s->tc->env->fp_ok || stop_at(s, SHADOW_FP_CHECK, 0);
    }
    set(s, op->dst,
        ir_eval_fp(op, s->regs, shadow_value(s, op->a), shadow_value(s, op->b), shadow_value(s, op->c)));
    return true;
}

static uint64_t read_env(const Shadow *s, const IROp *op)
{
    for (unsigned i = s->n_env_writes; i-- > 0;) {
        if (s->env_writes[i].offset == op->imm) {
            return ir_extend(s->env_writes[i].value, op->mem);
        }
    }
    return ir_extend(
        read_host((const uint8_t *)s->tc->env + op->imm, 1u << (op->mem & IR_MEM_SIZE)), op->mem);
}

static void do_value(Shadow *s, const IROp *op)
{
    uint64_t value;

    if (op->opc == IR_PCREL) {
        value = s->regs->page_base + op->imm;
    } else if (op->opc == IR_LDENV) {
        value = read_env(s, op);
    } else {
        value = ir_eval(op, shadow_value(s, op->a), value_b(s, op));
    }
    set(s, op->dst, value);
}

static bool do_note(Shadow *s, const IROp *op)
{
    if (op->opc == IR_INSN) {
        s->regs->insn_offset = op->imm;
    } else if (op->opc == IR_STENV) {
        if (s->n_env_writes == SHADOW_MAX_ENV) {
            return stop_at(s, SHADOW_LOST, 0);
        }
        s->env_writes[s->n_env_writes++] = (ShadowEnvWrite){op->imm, shadow_value(s, op->a), op->mem};
    }
    return true;
}

static bool do_call(Shadow *s, const IROp *op)
{
    if (op->flags & IR_CALL_PURE) {
        set(s, op->dst,
            ((IRHelper)(uintptr_t)op->imm)(s->tc->env, shadow_value(s, op->a), shadow_value(s, op->b),
                                           shadow_value(s, op->c)));
        return true;
    }
    return stop_at(s, op->flags & IR_CALL_RAISES ? SHADOW_CALL : SHADOW_LOST, 0);
}

static void take_snapshot(Shadow *s, uint64_t pc)
{
    ShadowSnapshot *n = &s->snapshots[s->n_snapshots++];

    memcpy(n->var, s->regs->var, sizeof(n->var));
    n->pc = pc;
    n->lr_addr = s->regs->lr_addr;
    n->lr_value = s->regs->lr_value;
    n->fflags = s->regs->fflags;
    n->n_writes = s->n_writes;
}

static bool leave(Shadow *s, uint64_t pc)
{
    s->next_pc = pc;
    return stop_at(s, SHADOW_DONE, 0);
}

static bool near_jump(Shadow *s, const IROp *op)
{
    int target = s->block->target[s->op];

    if (target < 0) {
        return leave(s, s->regs->page_base + op->imm);
    }
    if ((unsigned)target <= s->op) {
        if (s->n_snapshots == SHADOW_MAX_SNAPSHOTS) {
            return stop_at(s, SHADOW_LOST, 0);
        }
        take_snapshot(s, s->regs->page_base + op->imm);
    }
    s->op = target - 1; /* the loop adds one */
    return true;
}

static bool do_flow(Shadow *s, const IROp *op)
{
    uint64_t b;

    switch (op->opc) {
    case IR_BRCOND:
        b = op->c == IR_IMM ? (uint64_t)(int64_t)op->aux : shadow_value(s, op->b);
        return !ir_eval_cond(op->cond, op->type, shadow_value(s, op->a), b) || near_jump(s, op);
    case IR_JMP:
        return near_jump(s, op);
    case IR_JMP_IND:
        return leave(s, (shadow_value(s, op->a) + op->imm) & ~UINT64_C(1));
    case IR_CALL_JUMP:
        return stop_at(s, SHADOW_CALL, 0);
    default: /* JMP_FAR, EXIT */
        return leave(s, s->regs->page_base + op->imm);
    }
}

static bool step(Shadow *s, const IROp *op)
{
    switch (ir_op_kind(op->opc)) {
    case IR_KIND_VALUE:
        do_value(s, op);
        return true;
    case IR_KIND_MEM:
        return do_mem(s, op);
    case IR_KIND_FP:
        return do_fp(s, op);
    case IR_KIND_CALL:
        return do_call(s, op);
    case IR_KIND_FLOW:
        return do_flow(s, op);
    default:
        return do_note(s, op);
    }
}

void shadow_run(Shadow *s)
{
    while (s->op < s->block->n_ops) {
        if (!step(s, shadow_op(s))) {
            return;
        }
        s->op++;
    }
    leave(s, s->regs->page_base + s->block->end_offset);
}

void shadow_forget_logs(Shadow *s)
{
    overlay_clear(s);
    s->n_writes = s->n_reads = s->n_env_writes = s->n_snapshots = 0;
}

void shadow_take_state(Shadow *s)
{
    TCGEnv *env = s->tc->env;

    memcpy(s->regs->var, env->var, sizeof(env->var));
    s->regs->var[0] = 0;
    s->regs->frm = env->frm;
    s->regs->fflags = tcg_fp_get_flags(env);
    s->regs->lr_addr = env->lr_addr;
    s->regs->lr_value = env->lr_value;
    shadow_forget_logs(s);
}

void shadow_resume(Shadow *s, uint64_t result)
{
    const IROp *op = shadow_op(s);

    shadow_take_state(s);
    if (op->opc == IR_LD || op->opc == IR_CALL || op->opc == IR_LR) {
        set(s, op->dst, result);
    }
    s->op++;
    shadow_run(s);
}
