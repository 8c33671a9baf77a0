/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operands of x86-64 code, and the way of one block through the back end. */
#include "tcg/x86_64/emit.h"
#include "util/disas.h"

#include <string.h>

/* --- operands --- */

void load_ref(Emit *e, int reg, IRRef r)
{
    if (r == IR_ZERO || !ir_is_ref(r)) {
        asm_mov_imm_keep_flags(&e->a, reg, 0);
    } else {
        asm_load(&e->a, 1, reg, rm_of(e, r));
    }
}

int use_reg(Emit *e, IRRef r, int scratch)
{
    RM rm = rm_of(e, r);

    if (rm.reg != NO_REG) {
        return rm.reg;
    }
    load_ref(e, scratch, r);
    return scratch;
}

int use_b(Emit *e, const IROp *op, int scratch)
{
    if (op->b == IR_IMM) {
        asm_mov_imm_keep_flags(&e->a, scratch, op->imm);
        return scratch;
    }
    return use_reg(e, op->b, scratch);
}

void var_changed(Emit *e, IRRef r)
{
    if (r < TCG_MAX_VARS) {
        fp_cache_drop(e, r);
        e->boxed &= ~(1ULL << r);
    }
}

/* Ops that read operand a before they change rax. */
static bool reads_a_first(const IROp *op)
{
    switch (op->opc) {
    case IR_MOV:
    case IR_ADD:
    case IR_SUB:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_SEXT8:
    case IR_SEXT16:
    case IR_SEXT32:
    case IR_ZEXT8:
    case IR_ZEXT16:
    case IR_ZEXT32:
    case IR_STENV:
    case IR_LD:
    case IR_ST:
    case IR_JMP_IND:
        return true;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
        return op->b == IR_IMM;
    default:
        return false;
    }
}

static const IROp *next_op(const Emit *e)
{
    const IROp *next = e->op + 1, *end = e->b->ops + e->b->n_ops;

    while (next < end && next->opc == IR_INSN) {
        next++;
    }
    return next < end ? next : NULL;
}

/* Whether temp @r needs no home: the next op is its only user and reads it first. */
static bool stays_in_rax(const Emit *e, IRRef r)
{
    const IROp *next = next_op(e);

    return next && e->temp_uses[r - IR_TEMP0] == 1 && next->a == r && reads_a_first(next);
}

/* Whether the next op may take var @r, which rax holds too, from there: its home would make it wait. */
static bool next_takes_rax(const Emit *e, IRRef r)
{
    const IROp *next = next_op(e);

    if (!next || r >= TCG_MAX_VARS || is_fp_var(e, r) || tcg_state.config.no_optimize) {
        return false;
    }
    switch (next->opc) {
    case IR_BRCOND:
        return (next->a == r || next->b == r) && !e->fp.dirty;
    case IR_ADD:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
        return next->a == r || next->b == r;
    default:
        return next->a == r && next->b != r && reads_a_first(next);
    }
}

void put_ref(Emit *e, IRRef r, int reg)
{
    int own = emit_own_reg(e, r);

    if (r == IR_ZERO || !ir_is_ref(r)) {
        return;
    }
    if (own != NO_REG) {
        asm_mov_rr(&e->a, 1, own, reg);
    } else if (ir_is_temp(r) && stays_in_rax(e, r)) {
        asm_mov_rr(&e->a, 1, RAX, reg);
        e->rax_for_next = r;
    } else {
        asm_store(&e->a, 1, home_of(r), reg);
        var_changed(e, r);
        if (reg == RAX && next_takes_rax(e, r)) {
            e->rax_for_next = r;
        }
    }
}

SlowPath *new_slow(Emit *e, void (*emit)(Emit *e, const SlowPath *s))
{
    SlowPath *s;

    if (e->n_slow >= MAX_SLOW) {
        /* Blocks have at most IR_MAX_OPS ops and no op more than three slow paths. */
        e->a.overflow = true;
        e->n_slow = 0;
    }
    s = &e->slow[e->n_slow++];
    s->emit = emit;
    s->op = e->op;
    s->n_from = 0;
    s->reg = NO_REG;
    s->insn_offset = e->insn_offset;
    s->back = 0;
    s->arg = 0;
    s->loop = e->loop;
    s->fp = e->fp;
    return s;
}

void slow_from(Emit *e, SlowPath *s, int cc)
{
    s->from[s->n_from++] = asm_jcc_forward(&e->a, cc);
}

/* --- the block --- */

static void emit_note(Emit *e, const IROp *op)
{
    switch (op->opc) {
    case IR_INSN:
        e->insn_offset = op->imm;
        break;
    case IR_STENV:
        emit_store_env(e, op);
        break;
    default:
        emit_label(e, op);
    }
}

/* Homes of FP vars that the op will read.  Inline floating point and stores look at registers themselves. */
static void sync_operands(Emit *e, const IROp *op)
{
    IRRef in[3];
    unsigned n = ir_op_inputs(op, in);

    if (ir_op_kind(op->opc) == IR_KIND_FP || op->opc == IR_ST) {
        return;
    }
    for (unsigned k = 0; k < n; k++) {
        if (is_fp_var(e, in[k])) {
            fp_sync_var(e, in[k]);
        }
    }
}

static void emit_op(Emit *e, const IROp *op)
{
    const MemGroup *in_rcx = e->rcx_group;

    e->op = op;
    enter_loop(e, loop_at(e, op - e->b->ops));
    if (e->fp.dirty) {
        sync_operands(e, op);
    }
    switch (ir_op_kind(op->opc)) {
    case IR_KIND_VALUE:
        emit_value(e, op);
        break;
    case IR_KIND_MEM:
        emit_mem(e, op);
        break;
    case IR_KIND_FP:
        emit_fp(e, op);
        break;
    case IR_KIND_CALL:
        emit_call(e, op);
        break;
    case IR_KIND_FLOW:
        emit_flow(e, op);
        break;
    default:
        emit_note(e, op);
    }
    if (op->opc != IR_INSN) {
        e->in_rax = e->rax_for_next;
        e->rax_for_next = IR_NONE;
    }
    if (ir_op_kind(op->opc) != IR_KIND_MEM && op->opc != IR_INSN && e->rcx_group == in_rcx) {
        e->rcx_group = NULL;
    }
}

static void count_uses(Emit *e)
{
    IRRef in[3];

    memset(e->temp_uses, 0, sizeof(e->temp_uses));
    for (unsigned i = 0; i < e->b->n_ops; i++) {
        unsigned n = ir_op_inputs(&e->b->ops[i], in);

        while (n--) {
            if (ir_is_temp(in[n]) && e->temp_uses[in[n] - IR_TEMP0] < 255) {
                e->temp_uses[in[n] - IR_TEMP0]++;
            }
        }
    }
}

/* No two blocks share 8 bytes: x86_set_jump() writes as many. */
#define CODE_ALIGN 16
/* Room that nearly every block finds enough in a chunk. */
#define MOST_BLOCKS 8192

static GPrivate emit_private = G_PRIVATE_INIT(g_free);

static Emit *emit_state(void)
{
    Emit *e = g_private_get(&emit_private);

    if (!e) {
        e = g_new(Emit, 1);
        g_private_set(&emit_private, e);
    }
    return e;
}

/* Emits the block to @hot, and what seldom runs to @cold, or behind the rest if that is NULL; false: no room. */
static bool compile_to(const CodeBuffer *cb, CodeChunk *hot, CodeChunk *cold, const IRBlock *b, uintptr_t cookie,
                       TCGCode *code)
{
    Emit *e = emit_state();

    memset(e, 0, offsetof(Emit, labels));
    e->a.start = e->a.p = cb->rw + hot->at;
    e->a.end = cb->rw + hot->end;
    e->a.rx_delta = code_buffer_delta(cb);
    e->b = b;
    e->code = code;
    e->cookie = cookie;
    e->in_rax = e->rax_for_next = IR_NONE;
    set_loop(e, 0);
    e->insn_offset = b->page_offset;
    code->rx = cb->rx + hot->at;
    code->cold = NULL;
    code->cold_size = 0;
    code->n_jumps = 0;
    count_uses(e);
    collect_labels(e);
    plan_groups(e);
    plan_slots(e);
    plan_loops(e);
    emit_table_entry(e);
    for (unsigned i = 0; i < b->n_ops && asm_room(&e->a, 2048); i++) {
        emit_op(e, &b->ops[i]);
    }
    if (asm_room(&e->a, 2048)) {
        emit_end(e);
    }
    if (cold) {
        code->size = asm_offset(&e->a);
        e->a.p = cb->rw + cold->at;
        e->a.end = e->a.overflow ? e->a.p : cb->rw + cold->end;
    }
    if (asm_room(&e->a, 2048)) {
        emit_slow_paths(e);
    }
    if (e->a.overflow) {
        return false;
    }
    if (cold) {
        code->cold = cb->rx + cold->at;
        code->cold_size = e->a.p - (cb->rw + cold->at);
        cold->at = ROUND_UP(cold->at + code->cold_size, CODE_ALIGN);
    } else {
        code->size = asm_offset(&e->a);
    }
    hot->at = ROUND_UP(hot->at + code->size, CODE_ALIGN);
    return true;
}

/*
 * Two fifths of a block's code seldom run.  They lie apart from the rest, so that what runs shares cache lines and pages
 * of the host with more of its like.
 */
static bool x86_compile(CodeBuffer *cb, const IRBlock *b, uintptr_t cookie, TCGCode *code)
{
    CodeChunk rest;

    if (!tcg_state.config.no_cold_code && code_buffer_chunk(cb, &cb->hot, MOST_BLOCKS) &&
        code_buffer_chunk(cb, &cb->cold, MOST_BLOCKS) && compile_to(cb, &cb->hot, &cb->cold, b, cookie, code)) {
        return true;
    }
    rest = (CodeChunk){ROUND_UP(cb->used, CODE_ALIGN), cb->limit};
    if (rest.at + 256 > rest.end || !compile_to(cb, &rest, NULL, b, cookie, code)) {
        return false;
    }
    cb->used = rest.at;
    return true;
}

/* An instruction's bytes lie between any two rel32s: no other jump shares the 8 bytes, and what else is there stays. */
static void x86_set_jump(const CodeBuffer *cb, const TCGCode *from, unsigned jump, const uint8_t *target)
{
    const uint8_t *at = from->rx + from->jumps[jump].patch;
    unsigned shift = ((uintptr_t)at & 7) * 8;
    uint64_t *word = (uint64_t *)((uintptr_t)(at + code_buffer_delta(cb)) & ~(uintptr_t)7);
    uint64_t old = __atomic_load_n(word, __ATOMIC_RELAXED), rel = (uint32_t)(target - (at + 4));

    __atomic_store_n(word, (old & ~(0xffffffffULL << shift)) | rel << shift, __ATOMIC_RELEASE);
}

static void x86_link(const CodeBuffer *cb, const TCGCode *from, unsigned jump, const TCGCode *to)
{
    x86_set_jump(cb, from, jump, to->rx + to->entry);
}

static void x86_unlink(const CodeBuffer *cb, const TCGCode *from, unsigned jump)
{
    x86_set_jump(cb, from, jump, from->rx + from->jumps[jump].stub);
}

/* The entry's first instruction is longer than the jump: what follows it stays as it was. */
static void x86_kill(const CodeBuffer *cb, const TCGCode *code)
{
    const uint8_t *at = code->rx + code->table_entry;
    uint64_t *word = (uint64_t *)(at + code_buffer_delta(cb));
    uint32_t rel = (uint32_t)((const uint8_t *)x86_host.thunks.lookup - (at + 5));
    uint64_t old = __atomic_load_n(word, __ATOMIC_RELAXED);

    __atomic_store_n(word, (old & ~0xffffffffffULL) | (uint64_t)rel << 8 | 0xe9, __ATOMIC_RELEASE);
}

static void x86_revive(const CodeBuffer *cb, const TCGCode *code)
{
    const uint8_t *at = code->rx + code->table_entry;

    __atomic_store_n((uint64_t *)(at + code_buffer_delta(cb)), code->alive, __ATOMIC_RELEASE);
}

static void x86_dump(const TCGCode *code, GString *out)
{
    host_disassemble(out, code->rx, code->size, (uintptr_t)code->rx);
    if (code->cold_size) {
        host_disassemble(out, code->cold, code->cold_size, (uintptr_t)code->cold);
    }
}

static const void *x86_exit_address(unsigned reason)
{
    return x86_host.thunks.exit_reason[reason & 15];
}

const TCGBackend tcg_x86_64_backend = {
    .init = x86_init,
    .compile = x86_compile,
    .link = x86_link,
    .unlink = x86_unlink,
    .kill = x86_kill,
    .revive = x86_revive,
    .enter = x86_enter,
    .exit_to_loop = x86_exit_to_loop,
    .exit_address = x86_exit_address,
    .dump = x86_dump,
};
