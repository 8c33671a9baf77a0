/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lockstep: sync points, comparison, and what is said about the first difference.
 *
 * Links and jump tables are off, so that each block is entered by a lookup: there the state that the last
 * one left is compared and the shadow runs ahead through the next.  A block may also leave at a backward jump
 * where somebody asked for the thread; the shadow keeps its state at each of them.
 *
 * A device may write to memory between the shadow's load and the code's.  So before a difference counts, all
 * loads of the shadow are repeated: if one gives something else now, the block proves nothing and is passed
 * over.
 */
#include "lockstep.h"

#include "util/error.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

COUNTER(lockstep_blocks, "blocks that lockstep compared");
COUNTER(lockstep_syncs, "sync points within blocks at which lockstep compared");
COUNTER(lockstep_lost, "blocks that lockstep gave up on: too many iterations");
COUNTER(lockstep_raced, "blocks that lockstep passed over: memory changed meanwhile");

typedef struct Lockstep {
    Shadow shadow;
    GHashTable *blocks; /* TranslationBlock * to ShadowBlock *; of the present code buffer */
    size_t code_used;   /* when the last one was added: less means that the buffer was emptied */
    ShadowBlock *prepared;
    const TranslationBlock *tb;
    bool synced;   /* the block has done something that cannot be undone */
    bool reducing; /* blocks are run again to find the smallest that differs */
    uint64_t start_var[TCG_MAX_VARS], start_pc, start_lr_addr, start_lr_value;
    uint8_t start_fflags;
} Lockstep;

static Lockstep *lockstep; /* there is one vCPU */

bool lockstep_init(TcgCpu *tc, GError **error)
{
    if (lockstep) {
        return fail(error, "lockstep works with one vCPU");
    }
    lockstep = g_new0(Lockstep, 1);
    lockstep->shadow.tc = tc;
    lockstep->shadow.regs = g_new0(TCGEnv, 1);
    lockstep->blocks = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)shadow_block_free);
    return true;
}

/* --- comparing --- */

static void note(GString *out, const char *what, uint64_t code, uint64_t shadow)
{
    g_string_append_printf(out, "  %-10s translated 0x%016" PRIx64 "  interpreted 0x%016" PRIx64 "\n", what,
                           code, shadow);
}

static void note_if_differs(GString *out, const char *what, uint64_t code, uint64_t shadow)
{
    if (code != shadow) {
        note(out, what, code, shadow);
    }
}

static void compare_memory(Shadow *s, GString *out)
{
    for (unsigned i = 0; i < s->n_used; i++) {
        const OverlayGranule *g = &s->overlay[s->used[i]];
        const uint8_t *host = (const uint8_t *)(g->key * 8);

        for (unsigned n = 0; n < 8; n++) {
            if (g->have >> n & 1 && host[n] != g->byte[n]) {
                g_string_append_printf(out, "  memory at host %p: translated 0x%02x  interpreted 0x%02x\n",
                                       (const void *)(host + n), host[n], g->byte[n]);
            }
        }
    }
}

static void compare_env_writes(Shadow *s, GString *out)
{
    for (unsigned i = 0; i < s->n_env_writes; i++) {
        const ShadowEnvWrite *w = &s->env_writes[i];
        uint64_t code = 0, mask;
        bool is_last = true;

        for (unsigned later = i + 1; later < s->n_env_writes; later++) {
            is_last &= s->env_writes[later].offset != w->offset;
        }
        memcpy(&code, (const uint8_t *)s->tc->env + w->offset, 1u << w->mem);
        mask = w->mem == 3 ? UINT64_MAX : (UINT64_C(1) << (8u << w->mem)) - 1;
        if (is_last && code != (w->value & mask)) {
            g_string_append_printf(out, "  state at env + %" PRId64 ": translated 0x%" PRIx64
                                        "  interpreted 0x%" PRIx64 "\n", w->offset, code, w->value & mask);
        }
    }
}

static void compare_registers(Shadow *s, const uint64_t *var, uint8_t fflags, uint64_t lr_addr,
                              uint64_t lr_value, GString *out)
{
    TCGEnv *env = s->tc->env;
    const TCGGuest *guest = s->tc->ops->guest;

    for (unsigned i = 1; i < guest->n_vars; i++) {
        note_if_differs(out, guest->var_names[i], env->var[i], var[i]);
    }
    note_if_differs(out, "fflags", tcg_fp_get_flags(env), fflags);
    note_if_differs(out, "lr address", env->lr_addr, lr_addr);
    if (lr_addr != UINT64_MAX) {
        note_if_differs(out, "lr value", env->lr_value, lr_value);
    }
}

static void compare(Shadow *s, GString *out)
{
    compare_registers(s, s->regs->var, s->regs->fflags, s->regs->lr_addr, s->regs->lr_value, out);
    compare_memory(s, out);
    compare_env_writes(s, out);
}

static bool overlay_has(const Shadow *s, uintptr_t host)
{
    for (unsigned i = 0; i < s->n_used; i++) {
        const OverlayGranule *g = &s->overlay[s->used[i]];

        if (g->key == host / 8 && g->have >> host % 8 & 1) {
            return true;
        }
    }
    return false;
}

/* Slow, and only asked before something is called a difference. */
static bool memory_changed(const Shadow *s)
{
    for (unsigned i = 0; i < s->n_reads; i++) {
        const ShadowRead *r = &s->reads[i];

        for (unsigned n = 0; n < r->size; n++) {
            if (r->host[n] != (uint8_t)(r->value >> (8 * n)) && !overlay_has(s, (uintptr_t)(r->host + n))) {
                return true;
            }
        }
    }
    return s->n_reads == SHADOW_MAX_READS;
}

/* --- reduction: the shortest beginning of the block that differs --- */

static void undo(Lockstep *l)
{
    Shadow *s = &l->shadow;
    TCGEnv *env = s->tc->env;

    for (unsigned i = s->n_writes; i-- > 0;) {
        memcpy(s->writes[i].host, &s->writes[i].old, s->writes[i].size);
    }
    memcpy(env->var, l->start_var, sizeof(env->var));
    tcg_fp_set(env, env->frm, l->start_fflags);
    env->lr_addr = l->start_lr_addr;
    env->lr_value = l->start_lr_value;
    env->pc = l->start_pc;
    atomic_set(&env->exit_request, 0);
}

/* The first @n instructions as a block that then jumps to the next one. */
static bool cut(const ShadowBlock *whole, unsigned n, IRBlock *ir)
{
    const IRBlock *from = whole->ir;
    unsigned seen = 0;

    memcpy(ir, from, offsetof(IRBlock, ops));
    ir->n_ops = 0;
    for (unsigned i = 0; i < whole->n_ops; i++) {
        const IROp *op = &from->ops[i];

        if (op->opc == IR_INSN && seen++ == n) {
            while (ir->n_ops && ir->ops[ir->n_ops - 1].opc == IR_LABEL) {
                ir->n_ops--;
            }
            ir_emit(ir, IR_JMP, IR_NONE, IR_NONE, IR_NONE, op->imm);
            return true;
        }
        ir->ops[ir->n_ops++] = *op;
    }
    return false;
}

/* Runs @ir by the shadow and by translated code from the saved state; what differs is added to @out. */
static bool run_both(Lockstep *l, IRBlock *ir, GString *out)
{
    Shadow *s = &l->shadow;
    TcgCpu *tc = s->tc;
    ShadowBlock *b = shadow_block_new(ir, 0);

    tcg_optimize(ir);
    if (!tcg_compile(&tc->code, ir, TCG_COOKIE_ALIGN, &tc->compiled)) {
        shadow_block_free(b);
        return false;
    }
    shadow_take_state(s);
    s->block = b;
    s->op = 0;
    shadow_run(s);
    tcg_enter(tc->env, tc->compiled.rx + tc->compiled.table_entry);
    if (s->stop == SHADOW_DONE) {
        compare(s, out);
        note_if_differs(out, "pc", tc->env->pc, s->next_pc);
    }
    undo(l);
    shadow_forget_logs(s);
    s->block = NULL;
    shadow_block_free(b);
    return true;
}

static void list(const char *title, const IRBlock *ir, GString *out)
{
    g_string_append(out, title);
    ir_dump(ir, out);
}

static void reduce(Lockstep *l, const ShadowBlock *whole, GString *out)
{
    g_autofree IRBlock *ir = g_new0(IRBlock, 1);

    l->reducing = true;
    undo(l);
    for (unsigned n = 1; cut(whole, n, ir); n++) {
        g_autoptr(GString) found = g_string_new(NULL);

        if (!run_both(l, ir, found)) {
            g_string_append(out, "no room to reduce the block\n");
            return;
        }
        if (found->len) {
            cut(whole, n, ir);
            g_string_append_printf(out, "\nits first %u instructions differ:\n%s", n, found->str);
            list("IR:\n", ir, out);
            list("optimised:\n", (tcg_optimize(ir), ir), out);
            g_string_append(out, "host code:\n");
            tcg_dump_code(&l->shadow.tc->compiled, out);
            return;
        }
    }
    g_string_append(out, "\nno beginning of the block differs when it runs alone\n");
}

/* --- the report --- */

static void list_guest_code(const Lockstep *l, GString *out)
{
    const TranslationBlock *tb = l->tb;
    CPUState *cpu = l->shadow.tc->cpu;
    uint32_t offset = tb->ram_pc & ~TARGET_PAGE_MASK;
    PageAccess page;

    if (cpu->ops->disassemble && tb->end_offset > offset &&
        tlb_lookup_fetch(l->shadow.tc, l->start_pc, l->shadow.tc->ops->fetch_mmu_idx(l->shadow.tc->env), true,
                         &page)) {
        cpu->ops->disassemble(cpu, l->start_pc, page.host,
                              MIN(tb->end_offset, TARGET_PAGE_SIZE) - offset, out);
    }
}

static void list_start(const Lockstep *l, GString *out)
{
    const TCGGuest *guest = l->shadow.tc->ops->guest;

    for (unsigned i = 1; i < guest->n_vars; i++) {
        g_string_append_printf(out, "  %-4s 0x%016" PRIx64 "%s", guest->var_names[i], l->start_var[i],
                               i % 4 == 0 || i + 1 == guest->n_vars ? "\n" : "");
    }
    g_string_append_printf(out, "  fflags 0x%x frm %u\n", l->start_fflags, l->shadow.tc->env->frm);
}

static G_GNUC_NORETURN void report(Lockstep *l, const char *where, const char *differences)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autofree IRBlock *ir = g_new0(IRBlock, 1);
    const ShadowBlock *b = l->shadow.block;

    g_string_printf(out,
                    "lockstep: translated code and interpreter differ %s of the block at 0x%" PRIx64 ":\n%s",
                    where, l->start_pc, differences);
    g_string_append(out, "state before:\n");
    list_start(l, out);
    g_string_append(out, "guest code:\n");
    list_guest_code(l, out);
    list("IR:\n", b->ir, out);
    memcpy(ir, b->ir, offsetof(IRBlock, ops) + b->n_ops * sizeof(IROp));
    tcg_optimize(ir);
    list("optimised:\n", ir, out);
    g_string_append(out, "host code:\n");
    tcg_dump_code(l->tb->code, out);
    fputs(out->str, stderr);
    fflush(stderr);
    g_string_truncate(out, 0);
    if (l->synced) {
        g_string_append(out, "\nnot reduced: the block has done what cannot be undone\n");
    } else {
        reduce(l, b, out);
    }
    fputs(out->str, stderr);
    fflush(stderr);
    _exit(EXIT_FAILURE);
}

/* A difference, unless memory was changed by somebody else; then the shadow is lost for this block. */
static void differ(Lockstep *l, const char *where, const char *differences)
{
    if (!memory_changed(&l->shadow)) {
        report(l, where, differences);
    }
    counter_inc(lockstep_raced);
    shadow_forget_logs(&l->shadow);
    l->shadow.stop = SHADOW_LOST;
}

/* --- the ends of blocks --- */

static bool matches_snapshot(Shadow *s, const ShadowSnapshot *n)
{
    g_autoptr(GString) differences = g_string_new(NULL);

    if (n->pc != s->tc->env->pc) {
        return false;
    }
    compare_registers(s, n->var, n->fflags, n->lr_addr, n->lr_value, differences);
    if (!differences->len) {
        shadow_replay_writes(s, n->n_writes);
        compare_memory(s, differences);
    }
    return !differences->len;
}

static bool left_at_backward_jump(Shadow *s)
{
    for (unsigned i = s->n_snapshots; i-- > 0;) {
        if (matches_snapshot(s, &s->snapshots[i])) {
            return true;
        }
    }
    shadow_replay_writes(s, s->n_writes);
    return false;
}

static bool left_before_start(Lockstep *l)
{
    TCGEnv *env = l->shadow.tc->env;

    return env->pc == l->start_pc && !memcmp(env->var + 1, l->start_var + 1, sizeof(env->var) - 8) &&
           tcg_fp_get_flags(env) == l->start_fflags;
}

static const char *const stop_names[] = {
    [SHADOW_CALL] = "a call that was not made",      [SHADOW_LOAD] = "a load that was not slow",
    [SHADOW_STORE] = "a store that was not slow",    [SHADOW_ATOMIC] = "an atomic that was not slow",
    [SHADOW_RESERVE] = "a load that was not slow",   [SHADOW_FP_CHECK] = "a check that was not made",
};

static void check_end(Lockstep *l)
{
    Shadow *s = &l->shadow;
    g_autoptr(GString) out = g_string_new(NULL);

    if (s->stop == SHADOW_DONE) {
        note_if_differs(out, "pc", s->tc->env->pc, s->next_pc);
        compare(s, out);
    } else {
        g_string_append_printf(out,
                               "  the interpreter stopped at offset 0x%x for %s at 0x%" PRIx64
                               "; pc is 0x%" PRIx64 "\n",
                               s->regs->insn_offset, stop_names[s->stop], s->stop_addr, s->tc->env->pc);
    }
    if (out->len && !(!l->synced && left_before_start(l)) && !left_at_backward_jump(s)) {
        differ(l, "at the end", out->str);
    }
}

bool lockstep_end(TcgCpu *tc)
{
    Lockstep *l = lockstep;

    if (l->reducing) {
        return false;
    }
    switch (l->shadow.stop) {
    case SHADOW_IDLE:
    case SHADOW_IN_C:
        break;
    case SHADOW_LOST:
        counter_inc(lockstep_lost);
        break;
    default:
        counter_inc(lockstep_blocks);
        check_end(l);
    }
    l->shadow.stop = SHADOW_IDLE;
    return true;
}

void lockstep_begin(TcgCpu *tc, const TranslationBlock *tb, uint64_t pc)
{
    Lockstep *l = lockstep;
    Shadow *s = &l->shadow;
    const ShadowBlock *b = g_hash_table_lookup(l->blocks, tb);

    if (!b) {
        return;
    }
    shadow_take_state(s);
    memcpy(l->start_var, s->regs->var, sizeof(l->start_var));
    l->start_pc = pc;
    l->start_fflags = s->regs->fflags;
    l->start_lr_addr = s->regs->lr_addr;
    l->start_lr_value = s->regs->lr_value;
    l->synced = false;
    l->tb = tb;
    s->regs->page_base = pc - b->page_offset;
    s->block = b;
    s->op = 0;
    shadow_run(s);
}

/* --- sync points --- */

/* Translated code is at the op where the shadow stopped: are they in the same state? */
static void sync_states(Lockstep *l)
{
    Shadow *s = &l->shadow;
    g_autoptr(GString) out = g_string_new(NULL);

    compare(s, out);
    if (out->len) {
        g_string_append_printf(out, "  (before the instruction at offset 0x%x)\n", s->regs->insn_offset);
        differ(l, "in the middle", out->str);
    }
    if (s->stop != SHADOW_LOST) {
        counter_inc(lockstep_syncs);
        s->stop = SHADOW_IN_C;
        l->synced = true;
    }
}

static bool is_at(const Shadow *s, ShadowStop stop, uint64_t addr)
{
    return s->stop == stop && s->stop_addr == addr && s->regs->insn_offset == s->tc->env->insn_offset;
}

static uint64_t hooked_load(TCGEnv *env, uint64_t addr, uint32_t mop)
{
    Shadow *s = &lockstep->shadow;
    uint64_t value;

    if (!lockstep->reducing && is_at(s, SHADOW_LOAD, addr)) {
        sync_states(lockstep);
    }
    value = tcg_load_slow(env, addr, mop);
    if (s->stop == SHADOW_IN_C) {
        shadow_resume(s, value);
    }
    return value;
}

static void hooked_store(TCGEnv *env, uint64_t addr, uint64_t value, uint32_t mop)
{
    Shadow *s = &lockstep->shadow;

    if (!lockstep->reducing && is_at(s, SHADOW_STORE, addr)) {
        uint64_t expected = shadow_value(s, shadow_op(s)->b);
        unsigned unused = 64 - (8u << (mop & IR_MEM_SIZE));

        if (value << unused != expected << unused) {
            g_autoptr(GString) out = g_string_new(NULL);

            note(out, "stored", value, expected);
            differ(lockstep, "in the middle", out->str);
        }
        sync_states(lockstep);
    }
    tcg_store_slow(env, addr, value, mop);
    if (s->stop == SHADOW_IN_C) {
        shadow_resume(s, 0);
    }
}

/* The shadow does not know what the code does with the address: it has to give up. */
static void give_up_if_returned(Shadow *s)
{
    if (s->stop == SHADOW_IN_C) {
        s->stop = SHADOW_LOST;
    }
}

static void *hooked_atomic_host(TCGEnv *env, uint64_t addr, uint32_t mop)
{
    Shadow *s = &lockstep->shadow;
    void *host;

    if (!lockstep->reducing && is_at(s, SHADOW_ATOMIC, addr)) {
        sync_states(lockstep);
    }
    host = tcg_atomic_host(env, addr, mop);
    give_up_if_returned(s);
    return host;
}

static uint64_t hooked_load_reserved(TCGEnv *env, uint64_t addr, uint32_t mop)
{
    Shadow *s = &lockstep->shadow;
    uint64_t value;

    if (!lockstep->reducing && is_at(s, SHADOW_RESERVE, addr)) {
        sync_states(lockstep);
    }
    value = tcg_load_reserved(env, addr, mop);
    give_up_if_returned(s);
    return value;
}

static void hooked_fp_check(TCGEnv *env)
{
    Shadow *s = &lockstep->shadow;

    if (!lockstep->reducing && is_at(s, SHADOW_FP_CHECK, 0)) {
        sync_states(lockstep);
    }
    s->tc->ops->fp_check(env);
    if (s->stop == SHADOW_IN_C) {
        shadow_resume(s, 0);
    }
}

void lockstep_hook(TCGRuntime *runtime)
{
    runtime->load = hooked_load;
    runtime->store = hooked_store;
    runtime->load_fast = NULL;
    runtime->store_fast = NULL;
    runtime->atomic_host = hooked_atomic_host;
    runtime->load_reserved = hooked_load_reserved;
    runtime->fp_check = hooked_fp_check;
}

/* --- calls --- */

/* The call of the instruction that runs; for when the shadow cannot tell. */
static const IROp *call_at(const ShadowBlock *b, uint32_t offset)
{
    bool here = false;

    for (unsigned i = 0; i < b->n_ops; i++) {
        const IROp *op = &b->ir->ops[i];

        if (op->opc == IR_INSN) {
            here = op->imm == offset;
        } else if (here && (op->opc == IR_CALL || op->opc == IR_CALL_JUMP) && !(op->flags & IR_CALL_PURE)) {
            return op;
        }
    }
    return NULL;
}

static void compare_arguments(Lockstep *l, const IROp *op, uint64_t a, uint64_t b, uint64_t c)
{
    Shadow *s = &l->shadow;
    g_autoptr(GString) out = g_string_new(NULL);

    note_if_differs(out, "argument a", a, shadow_value(s, op->a));
    note_if_differs(out, "argument b", b, shadow_value(s, op->b));
    note_if_differs(out, "argument c", c, shadow_value(s, op->c));
    if (out->len) {
        differ(l, "in the middle", out->str);
    }
}

/* The op that translated code is at; syncs if the shadow is there too. */
static const IROp *arrive_at_call(TCGEnv *env, uint64_t a, uint64_t b, uint64_t c)
{
    Lockstep *l = lockstep;
    Shadow *s = &l->shadow;
    const IROp *op = call_at(s->block, env->insn_offset);

    if (!l->reducing && s->stop != SHADOW_LOST) {
        if (s->stop != SHADOW_CALL || s->regs->insn_offset != env->insn_offset) {
            differ(l, "in the middle", "  translated code makes a call that the interpreter does not\n");
        } else {
            op = shadow_op(s);
            compare_arguments(l, op, a, b, c);
            sync_states(l);
        }
    }
    return op;
}

static uint64_t hooked_call(TCGEnv *env, uint64_t a, uint64_t b, uint64_t c)
{
    const IROp *op = arrive_at_call(env, a, b, c);
    uint64_t result = ((IRHelper)(uintptr_t)op->imm)(env, a, b, c);

    if (lockstep->shadow.stop == SHADOW_IN_C) {
        shadow_resume(&lockstep->shadow, result);
    }
    return result;
}

/* The helper looks the next block up by itself: the shadow is through with this one. */
static const void *hooked_call_jump(TCGEnv *env, uint64_t a, uint64_t b, uint64_t c)
{
    const IROp *op = arrive_at_call(env, a, b, c);

    return ((IRJumpHelper)(uintptr_t)op->imm)(env, a, b, c);
}

/* --- keeping the IR --- */

void lockstep_prepare(TcgCpu *tc, IRBlock *ir)
{
    Lockstep *l = lockstep;

    g_clear_pointer(&l->prepared, shadow_block_free);
    l->prepared = shadow_block_new(ir, 0);
    for (unsigned i = 0; i < ir->n_ops; i++) {
        IROp *op = &ir->ops[i];

        if (op->opc == IR_CALL_JUMP) {
            op->imm = (intptr_t)hooked_call_jump;
        } else if (op->opc == IR_CALL && !(op->flags & IR_CALL_PURE) && op->flags & IR_CALL_RAISES) {
            op->imm = (intptr_t)hooked_call;
        }
    }
}

void lockstep_keep(TcgCpu *tc, const TranslationBlock *tb)
{
    Lockstep *l = lockstep;

    if (tc->code.used < l->code_used) {
        g_hash_table_remove_all(l->blocks);
    }
    l->code_used = tc->code.used;
    tcg_fp_enter_c(tc->env); /* tables grow by floating point, which would raise the guest's flags */
    g_hash_table_replace(l->blocks, (gpointer)tb, g_steal_pointer(&l->prepared));
    tcg_fp_leave_c(tc->env);
}
