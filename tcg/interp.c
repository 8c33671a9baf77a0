/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reference back end: walks the IR in C.  Portable, and the oracle for the others.
 *
 * A "compiled" block is a copy of the IR list in the code buffer; "host addresses" point at such copies, or
 * at one of a few marker objects which mean "leave to the loop".
 */
#include "tcg/tcg-internal.h"
#include "util/atomic.h"
#include "util/counters.h"

#include <setjmp.h>
#include <string.h>

COUNTER(jit_interpreted, "guest instructions that the interpreter ran, counted when it leaves");

typedef struct InterpJump {
    const struct InterpBlock *to; /* atomic; NULL: not linked */
    uint16_t op;                  /* the op that jumps */
} InterpJump;

typedef struct InterpBlock {
    uintptr_t cookie;
    uint32_t n_ops, size;
    uint32_t page_offset;
    uint32_t killed; /* atomic: its table entry goes to runtime.lookup */
    uint8_t mmu_idx, jump_mode;
    bool soft_fp;
    uint16_t n_jumps;
    InterpJump jumps[TCG_MAX_JUMPS];
    IROp ops[];
} InterpBlock;

/* Markers for tcg_exit_address(). */
static const uint8_t exit_marker[TCG_EXIT_LAST + 1];

/* One activation of interp_enter(). */
typedef struct Interp {
    TCGEnv *env;
    const InterpBlock *block;
    uint64_t temp[TCG_MAX_TEMPS];
    uintptr_t result; /* when there is no next op */
    volatile uint64_t *n_insns;
} Interp;

static uint64_t get(const Interp *in, IRRef r)
{
    if (r < TCG_MAX_VARS) {
        return in->env->var[r];
    }
    return ir_is_temp(r) ? in->temp[r - IR_TEMP0] : 0;
}

static uint64_t get_b(const Interp *in, const IROp *op)
{
    return op->b == IR_IMM ? (uint64_t)op->imm : get(in, op->b);
}

static void set(Interp *in, IRRef r, uint64_t value)
{
    if (r == IR_ZERO || !ir_is_ref(r)) {
        return;
    }
    if (r < TCG_MAX_VARS) {
        in->env->var[r] = value;
    } else {
        in->temp[r - IR_TEMP0] = value;
    }
}

static uint64_t read_sized(const void *p, unsigned mem)
{
    uint64_t raw;

    switch (mem & IR_MEM_SIZE) {
    case 0:
        raw = atomic_read((const uint8_t *)p);
        break;
    case 1: {
        uint16_t v;

        memcpy(&v, p, 2);
        raw = v;
        break;
    }
    case 2: {
        uint32_t v;

        memcpy(&v, p, 4);
        raw = v;
        break;
    }
    default:
        memcpy(&raw, p, 8);
    }
    return ir_extend(raw, mem);
}

static void write_sized(void *p, uint64_t value, unsigned mem)
{
    memcpy(p, &value, (size_t)1 << (mem & IR_MEM_SIZE));
}

/* Guest memory is shared with other vCPUs: racing accesses are the guest's business. */
static __attribute__((no_sanitize("thread"))) uint64_t read_guest(const void *p, unsigned mem)
{
    unsigned bits = 8u << (mem & IR_MEM_SIZE);

    if (bits == 64 && ((uintptr_t)p & 7) == 0) {
        return atomic_read((const uint64_t *)p);
    }
    if (bits == 32 && ((uintptr_t)p & 3) == 0) {
        return ir_extend(atomic_read((const uint32_t *)p), mem);
    }
    return read_sized(p, mem);
}

static __attribute__((no_sanitize("thread"))) void write_guest(void *p, uint64_t value, unsigned mem)
{
    unsigned bits = 8u << (mem & IR_MEM_SIZE);

    if (bits == 64 && ((uintptr_t)p & 7) == 0) {
        atomic_store_release((uint64_t *)p, value);
    } else if (bits == 32 && ((uintptr_t)p & 3) == 0) {
        atomic_store_release((uint32_t *)p, (uint32_t)value);
    } else {
        write_sized(p, value, mem);
    }
}

static void *tlb_hit(const TLBEntry *tlb, uint64_t addr, unsigned mem)
{
    const TLBEntry *e = &tlb[tlb_index(addr)];
    uint64_t size = 1u << (mem & IR_MEM_SIZE);

    if ((addr ^ atomic_read(&e->tag)) > TCG_PAGE_SIZE - size ||
        ((mem & IR_MEM_ALIGN) && (addr & (size - 1)))) {
        return NULL;
    }
    return (void *)(uintptr_t)(addr + e->addend);
}

static void do_load(Interp *in, const IROp *op)
{
    TCGEnv *env = in->env;
    uint64_t addr = get(in, op->a) + op->imm;
    void *host = tlb_hit(env->tlb_read[in->block->mmu_idx], addr, op->mem);

    set(in, op->dst,
        host ? read_guest(host, op->mem)
             : tcg_state.runtime.load(env, addr, op->mem | (uint32_t)in->block->mmu_idx << 8));
}

static void do_store(Interp *in, const IROp *op)
{
    TCGEnv *env = in->env;
    uint64_t addr = get(in, op->a) + op->imm, value = get(in, op->b);
    void *host = tlb_hit(env->tlb_write[in->block->mmu_idx], addr, op->mem);

    if (host) {
        write_guest(host, value, op->mem);
    } else {
        tcg_state.runtime.store(env, addr, value, op->mem | (uint32_t)in->block->mmu_idx << 8);
    }
}

static void do_atomic(Interp *in, const IROp *op)
{
    uint32_t mop = op->mem | IR_MEM_ALIGN | (uint32_t)in->block->mmu_idx << 8;
    uint64_t addr = get(in, op->a) + (op->b == IR_IMM ? 0 : op->imm);

    if (op->opc == IR_LR) {
        set(in, op->dst, tcg_lr_slow(in->env, addr, mop));
    } else if (op->opc == IR_SC) {
        set(in, op->dst, tcg_sc_slow(in->env, addr, get_b(in, op), mop));
    } else {
        set(in, op->dst, tcg_amo_slow(in->env, addr, get_b(in, op), mop | (uint32_t)op->opc << 16));
    }
}

static void do_fp(Interp *in, const IROp *op)
{
    if (op->opc == IR_FP_CHECK) {
        if (!in->env->fp_ok) {
            tcg_state.runtime.fp_check(in->env);
        }
        return;
    }
    set(in, op->dst,
        fp_function(op)(in->env, get(in, op->a), get(in, op->b), get(in, op->c), fp_function_rm(op)));
}

static void do_value(Interp *in, const IROp *op)
{
    uint64_t value;

    if (op->opc == IR_PCREL) {
        value = in->env->page_base + op->imm;
    } else if (op->opc == IR_LDENV) {
        value = read_sized((uint8_t *)in->env + op->imm, op->mem);
    } else {
        value = ir_eval(op, get(in, op->a), get_b(in, op));
    }
    set(in, op->dst, value);
}

/* Enters the object at a host address with env->pc set; NULL when that leaves to the loop. */
static const IROp *enter_host(Interp *in, const void *host)
{
    for (;;) {
        const InterpBlock *block = host;

        if ((const uint8_t *)host >= exit_marker && (const uint8_t *)host <= exit_marker + TCG_EXIT_LAST) {
            in->result = (const uint8_t *)host - exit_marker;
            return NULL;
        }
        if (atomic_read(&block->killed)) {
            host = tcg_state.runtime.lookup(in->env);
            continue;
        }
        in->env->page_base = in->env->pc - block->page_offset;
        if (atomic_read(&in->env->exit_request)) {
            in->result = TCG_EXIT_REQUEST;
            return NULL;
        }
        in->block = block;
        return block->ops;
    }
}

static const IROp *far_jump(Interp *in, uint64_t pc)
{
    unsigned mode = in->block->jump_mode;

    in->env->pc = pc;
    if (mode < TCG_MMU_MODES && !tcg_state.config.no_jump_table) {
        const JumpTableEntry *e = &in->env->jump[mode][jump_table_index(pc)];

        if (e->pc == pc) {
            return enter_host(in, e->host);
        }
    }
    return enter_host(in, tcg_state.runtime.lookup(in->env));
}

static const IROp *near_jump(Interp *in, const IROp *op)
{
    const InterpBlock *block = in->block;
    uint16_t index = op - block->ops;

    for (unsigned i = 0; i < block->n_ops; i++) {
        if (block->ops[i].opc == IR_LABEL && block->ops[i].imm == op->imm) {
            if (i <= index && atomic_read(&in->env->exit_request)) {
                in->env->pc = in->env->page_base + op->imm;
                in->result = TCG_EXIT_REQUEST;
                return NULL;
            }
            return &block->ops[i];
        }
    }
    for (unsigned i = 0; i < block->n_jumps; i++) {
        if (block->jumps[i].op == index) {
            const InterpBlock *to = atomic_load_acquire(&block->jumps[i].to);

            in->env->pc = in->env->page_base + op->imm;
            if (to && !atomic_read(&in->env->exit_request)) {
                in->block = to;
                return to->ops;
            }
            in->result = to ? TCG_EXIT_REQUEST : block->cookie | i;
            return NULL;
        }
    }
    in->env->pc = in->env->page_base + op->imm;
    in->result = TCG_EXIT_LOOKUP;
    return NULL;
}

static const IROp *do_flow(Interp *in, const IROp *op)
{
    TCGEnv *env = in->env;

    switch (op->opc) {
    case IR_BRCOND: {
        uint64_t b = op->c == IR_IMM ? (uint64_t)(int64_t)op->aux : get(in, op->b);

        return ir_eval_cond(op->cond, op->type, get(in, op->a), b) ? near_jump(in, op) : op + 1;
    }
    case IR_JMP:
        return near_jump(in, op);
    case IR_JMP_FAR:
        return far_jump(in, env->page_base + op->imm);
    case IR_JMP_IND:
        return far_jump(in, (get(in, op->a) + op->imm) & ~1ULL);
    case IR_CALL_JUMP:
        return enter_host(
            in, ((IRJumpHelper)(uintptr_t)op->imm)(env, get(in, op->a), get(in, op->b), get(in, op->c)));
    default:
        env->pc = env->page_base + op->imm;
        in->result = op->aux;
        return NULL;
    }
}

static void do_note(Interp *in, const IROp *op)
{
    if (op->opc == IR_INSN) {
        in->env->insn_offset = op->imm;
        ++*in->n_insns;
    } else if (op->opc == IR_STENV) {
        write_sized((uint8_t *)in->env + op->imm, get(in, op->a), op->mem);
    }
}

static void do_mem(Interp *in, const IROp *op)
{
    switch (op->opc) {
    case IR_LD:
        do_load(in, op);
        break;
    case IR_ST:
        do_store(in, op);
        break;
    case IR_FENCE:
        smp_mb();
        break;
    default:
        do_atomic(in, op);
    }
}

static void run(Interp *in, const void *host)
{
    const IROp *op = enter_host(in, host);

    while (op) {
        switch (ir_op_kind(op->opc)) {
        case IR_KIND_VALUE:
            do_value(in, op++);
            break;
        case IR_KIND_MEM:
            do_mem(in, op++);
            break;
        case IR_KIND_FP:
            do_fp(in, op++);
            break;
        case IR_KIND_CALL:
            set(in, op->dst,
                ((IRHelper)(uintptr_t)op->imm)(in->env, get(in, op->a), get(in, op->b), get(in, op->c)));
            op++;
            break;
        case IR_KIND_FLOW:
            op = do_flow(in, op);
            break;
        default:
            do_note(in, op++);
        }
    }
}

static uintptr_t interp_enter(TCGEnv *env, const void *table_entry)
{
    volatile uint64_t n_insns = 0; /* what the jump back must not lose */
    Interp in = {.env = env, .n_insns = &n_insns};
    sigjmp_buf unwind;
    uintptr_t reason = sigsetjmp(unwind, 0);

    if (!reason) {
        env->unwind = &unwind;
        env->in_code = 1;
        run(&in, table_entry);
        reason = in.result;
    }
    env->in_code = 0;
    counter_add(jit_interpreted, n_insns);
    return reason;
}

static G_GNUC_NORETURN void interp_exit_to_loop(TCGEnv *env, unsigned reason)
{
    siglongjmp(*(sigjmp_buf *)env->unwind, reason);
}

static const void *interp_exit_address(unsigned reason)
{
    return &exit_marker[reason & 15];
}

static bool has_label(const IRBlock *b, int64_t offset)
{
    for (unsigned i = 0; i < b->n_ops; i++) {
        if (b->ops[i].opc == IR_LABEL && b->ops[i].imm == offset) {
            return true;
        }
    }
    return false;
}

static bool interp_compile(CodeBuffer *cb, const IRBlock *b, uintptr_t cookie, TCGCode *code)
{
    size_t size = sizeof(InterpBlock) + (b->n_ops + 1) * sizeof(IROp);
    size_t start = (cb->used + 15) & ~(size_t)15;
    InterpBlock *block = (InterpBlock *)(cb->rw + start);

    if (start + size > cb->limit) {
        return false;
    }
    memset(block, 0, sizeof(*block));
    block->cookie = cookie;
    block->n_ops = b->n_ops + 1;
    block->page_offset = b->page_offset;
    block->mmu_idx = b->mmu_idx;
    block->jump_mode = b->jump_mode;
    block->soft_fp = b->soft_fp;
    memcpy(block->ops, b->ops, b->n_ops * sizeof(IROp));
    /* A list without an end leaves at its end. */
    memset(&block->ops[b->n_ops], 0, sizeof(IROp));
    block->ops[b->n_ops].opc = IR_EXIT;
    block->ops[b->n_ops].imm = b->end_offset;
    block->ops[b->n_ops].aux = TCG_EXIT_LOOKUP;

    code->rx = cb->rx + start;
    code->size = size;
    code->entry = code->table_entry = 0;
    code->n_jumps = 0;
    for (unsigned i = 0; i < b->n_ops; i++) {
        const IROp *op = &b->ops[i];

        if ((op->opc == IR_JMP || op->opc == IR_BRCOND) && !has_label(b, op->imm) &&
            code->n_jumps < TCG_MAX_JUMPS) {
            unsigned n = code->n_jumps++;

            block->jumps[n].op = i;
            code->jumps[n].target = op->imm;
            code->jumps[n].patch = offsetof(InterpBlock, jumps) + n * sizeof(InterpJump);
            code->jumps[n].stub = 0;
        }
    }
    block->n_jumps = code->n_jumps;
    cb->used = start + size;
    return true;
}

static InterpBlock *writable(const CodeBuffer *cb, const TCGCode *code)
{
    return (InterpBlock *)(code->rx + code_buffer_delta(cb));
}

static void interp_link(const CodeBuffer *cb, const TCGCode *from, unsigned jump, const TCGCode *to)
{
    atomic_store_release(&writable(cb, from)->jumps[jump].to, (const InterpBlock *)to->rx);
}

static void interp_unlink(const CodeBuffer *cb, const TCGCode *from, unsigned jump)
{
    atomic_set(&writable(cb, from)->jumps[jump].to, NULL);
}

static void interp_kill(const CodeBuffer *cb, const TCGCode *code)
{
    atomic_set(&writable(cb, code)->killed, 1);
}

static void interp_revive(const CodeBuffer *cb, const TCGCode *code)
{
    atomic_set(&writable(cb, code)->killed, 0);
}

static void interp_dump(const TCGCode *code, GString *out)
{
    g_string_append_printf(out, "  (interpreted: %u ops)\n", ((const InterpBlock *)code->rx)->n_ops);
}

const TCGBackend tcg_interp_backend = {
    .compile = interp_compile,
    .link = interp_link,
    .unlink = interp_unlink,
    .kill = interp_kill,
    .revive = interp_revive,
    .enter = interp_enter,
    .exit_to_loop = interp_exit_to_loop,
    .exit_address = interp_exit_address,
    .dump = interp_dump,
};
