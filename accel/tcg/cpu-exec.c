/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The body of a vCPU thread: take interrupts, enter translated code, see why it came back.
 *
 *     tcg_cpu_exec: requests? interrupts? --> tcg_enter(entry block) --> tcg_lookup_next --> block --> block
 * ... ^                                                                                    |
 *          +------------- an exit reason, or a direct jump that is not linked yet --------------+
 *
 * Every entry goes through a block of two ops, the entry block, that calls tcg_lookup_next().  So finding the
 * next block, translating it and raising a fetch fault always happen inside guest code, and there is one way
 * to do each.
 */
#include "internal.h"
#include "lockstep.h"

#include "accel/log.h"
#include "system/accel.h"
#include "system/runstate.h"
#include "util/error.h"

COUNTER(jit_links, "direct jumps linked");

/* --- finding the block of the present state --- */

static uint32_t present_flags(TcgCpu *tc)
{
    uint32_t flags = tc->ops->tb_flags(tc->env);

    return tcg_accel_config.one_insn_per_tb ? flags | TB_ONE_INSN : flags;
}

/*
 * Jumps through a mode's table do not look at the flags: a table holds blocks of one key at a time.  All
 * changes of the key come by here before the next jump.
 */
static void own_jump_table(TcgCpu *tc, uint32_t flags)
{
    TLBMode *m = &tc->tlb.mode[flags & TB_MMU_IDX];

    if (m->jump_flags != flags) {
        tcg_stat(tc, table_takeovers);
        tlb_jump_flush(tc, flags & TB_MMU_IDX);
        m->jump_flags = flags;
    }
}

static bool has_table(uint32_t flags)
{
    return !(flags & TB_NO_TABLE) && !tcg_accel_config.no_jump_table;
}

static TranslationBlock *find_block(TcgCpu *tc, vaddr pc, const PageAccess *page, uint32_t flags)
{
    TranslationBlock *tb = tb_find(page->ram, flags, NO_RAM_PAGE, true);
    PageAccess next;

    if (!tb || tb->ram_page2 == NO_RAM_PAGE) {
        return tb;
    }
    if (!tb_fetch_page(tc, pc, true, &next)) {
        return NULL;
    }
    return tb_find(page->ram, flags, next.ram & TARGET_PAGE_MASK, false);
}

/*
 * A page that protection splits: what may be fetched changes from one instruction to the next, so each is a
 * block, found by a lookup of all its bytes.
 */
static bool is_split(const PageAccess *page)
{
    return !page->leaf_bits;
}

/* The first two bytes of the block have been fetched. */
static void fetch_rest(TcgCpu *tc, vaddr pc, const TranslationBlock *tb)
{
    unsigned idx = tc->ops->fetch_mmu_idx(tc->env);
    uint32_t start = pc & ~TARGET_PAGE_MASK, end = MIN(tb->end_offset, TARGET_PAGE_SIZE);
    PageAccess page;

    for (uint32_t offset = start + 2; offset < end; offset += 2) {
        tlb_lookup_fetch(tc, pc + (offset - start), idx, false, &page);
    }
}

/* May raise a fetch fault. */
static TranslationBlock *find_or_translate(TcgCpu *tc, vaddr pc, uint32_t flags, PageAccess *page)
{
    TranslationBlock *tb = NULL;

    for (unsigned tries = 0; !tb; tries++) {
        uint64_t flushes;

        if (tries && atomic_read(&tc->env->exit_request)) {
            tcg_exit_to_loop(tc->env, TCG_EXIT_REQUEST);
        }
        tlb_lookup_fetch(tc, pc, tc->ops->fetch_mmu_idx(tc->env), false, page);
        if (unlikely(is_split(page))) {
            flags |= TB_ONE_INSN;
            tc->link_from = NULL;
        }
        tb = find_block(tc, pc, page, flags);
        flushes = tc->tlb.flushes;
        if (!tb) {
            tb = tb_translate(tc, pc, page, flags);
        }
        if (tb && unlikely(is_split(page))) {
            fetch_rest(tc, pc, tb);
        }
        if (flushes != tc->tlb.flushes) {
            tb = NULL;
        }
    }
    return tb;
}

/*
 * Straddling blocks depend on the mapping of a second page, so no direct jump may lead to them.  It leads to
 * a stub instead, which asks the jump table; the stub depends on no bytes and is good for as long as code
 * memory is.
 */
static TranslationBlock *stub_for(TcgCpu *tc, TranslationBlock *tb)
{
    uint32_t offset = tb->ram_pc & ~TARGET_PAGE_MASK;
    TranslationBlock *stub;
    IRBlock *ir = tc->ir;

    ir_block_reset(ir, tc->ops->guest);
    ir->mmu_idx = tb->flags & TB_MMU_IDX;
    ir->jump_mode = ir->mmu_idx;
    ir->page_offset = offset;
    ir->end_offset = TARGET_PAGE_SIZE;
    ir_emit(ir, IR_INSN, IR_ZERO, IR_ZERO, IR_ZERO, offset)->aux = 2;
    ir_emit(ir, IR_JMP_FAR, IR_ZERO, IR_ZERO, IR_ZERO, offset);
    stub = tb_reserve(tc);
    if (!tcg_compile(&tc->code, ir, (uintptr_t)stub, &tc->compiled)) {
        return NULL;
    }
    tb_fit(tc, stub, &tc->compiled, NULL, 0);
    stub->ram_pc = tb->ram_pc;
    stub->flags = tb->flags;
    return stub;
}

/* The jump that brought us here goes there directly from now on. */
static void link_pending(TcgCpu *tc, TranslationBlock *tb)
{
    TranslationBlock *from = tc->link_from;

    tc->link_from = NULL;
    if (!from || tcg_accel_config.no_chain || tb->flags != from->flags ||
        tb->ram_pc != (from->ram_pc & TARGET_PAGE_MASK) + from->code->jumps[tc->link_jump].target) {
        return;
    }
    if (tb->ram_page2 != NO_RAM_PAGE) {
        tb = has_table(tb->flags) ? stub_for(tc, tb) : NULL;
    }
    if (tb) {
        tb_link(from, tc->link_jump, tb);
    }
}

static const void *table_entry(const TranslationBlock *tb)
{
    return tb->code->rx + tb->code->table_entry;
}

static void cache_block(TcgCpu *tc, TranslationBlock *tb)
{
    BlockCacheEntry *cached = block_cache_slot(tc, tb->ram_pc, tb->flags);

    if (tb->ram_page2 != NO_RAM_PAGE) {
        return;
    }
    atomic_set(&cached->tb, NULL);
    cached->ram_pc = tb->ram_pc;
    cached->flags = tb->flags;
    cached->host = table_entry(tb);
    atomic_set(&cached->tb, tb);
    smp_mb(); /* in the cache before the look at invalid; pairs with leave_block_caches() */
    if (atomic_read(&tb->invalid)) {
        atomic_set(&cached->tb, NULL);
    }
}

/* Looks at no block, which is where the time would go.  NULL: look further.  May raise. */
static const void *find_cached(TcgCpu *tc, vaddr pc, uint32_t flags, PageAccess *page)
{
    const BlockCacheEntry *cached;

    if (tc->link_from || unlikely(tcg_accel_config.lockstep)) {
        return NULL;
    }
    tlb_lookup_fetch(tc, pc, tc->ops->fetch_mmu_idx(tc->env), false, page);
    if (unlikely(is_split(page))) {
        return NULL;
    }
    cached = block_cache_slot(tc, page->ram, flags);
    if (!atomic_read(&cached->tb) || cached->ram_pc != page->ram || cached->flags != flags) {
        return NULL;
    }
    tcg_stat(tc, cached_blocks);
    return cached->host;
}

/* Everything that the present state's next block takes; may raise. */
static const void *find_next(TcgCpu *tc, vaddr pc, uint32_t flags)
{
    TCGEnv *env = tc->env;
    TranslationBlock *tb = NULL;
    const void *host;
    PageAccess page;

    if (unlikely(tcg_accel_config.lockstep) && !lockstep_end(tc)) {
        return tcg_exit_address(TCG_EXIT_LOOKUP);
    }
    tcg_stat(tc, lookups);
    /* for a fetch that faults: the pc that C sees is the one looked for */
    env->page_base = pc & TARGET_PAGE_MASK;
    env->insn_offset = pc & ~TARGET_PAGE_MASK;
    host = find_cached(tc, pc, flags, &page);
    if (!host) {
        tb = find_or_translate(tc, pc, flags, &page);
        link_pending(tc, tb);
        cache_block(tc, tb);
        host = table_entry(tb);
    }
    if (has_table(flags) && !is_split(&page)) {
        tlb_jump_insert(tc, flags & TB_MMU_IDX, pc, host, page.global);
    }
    if (log_enabled(LOG_EXEC)) {
        log_printf("EXEC: cpu %d pc 0x%016" PRIx64 " flags 0x%x\n", tc->cpu->index, pc, flags);
    }
    if (unlikely(tcg_accel_config.lockstep)) {
        lockstep_begin(tc, tb, pc);
    }
    return host;
}

/* runtime.lookup: the inline jump table missed, or led to a block that was dropped. */
const void *tcg_lookup_slow(TCGEnv *env)
{
    TcgCpu *tc = env_tcg_cpu(env);
    uint32_t flags = present_flags(tc);

    if (has_table(flags)) {
        own_jump_table(tc, flags);
    }
    return find_next(tc, env->pc, flags);
}

const void *tcg_lookup_next(TCGEnv *env)
{
    TcgCpu *tc = env_tcg_cpu(env);
    uint32_t flags = present_flags(tc);
    const JumpTableEntry *e = &env->jump[flags & TB_MMU_IDX][jump_table_index(env->pc)];

    if (has_table(flags)) {
        own_jump_table(tc, flags);
        if (e->pc == env->pc) {
            tcg_stat(tc, table_hits);
            return e->host;
        }
    }
    return tcg_lookup_slow(env);
}

/* --- the entry block --- */

static const void *enter_block(TCGEnv *env, uint64_t a, uint64_t b, uint64_t c)
{
    TcgCpu *tc = env_tcg_cpu(env);

    env->pc = tc->entry_pc;
    return tc->link_from ? tcg_lookup_slow(env) : tcg_lookup_next(env);
}

/* As if it stood at offset 0 of every page; reads and writes no guest state. */
static bool make_entry_block(TcgCpu *tc, GError **error)
{
    IRBlock *ir = tc->ir;
    IROp *op;

    ir_block_reset(ir, tc->ops->guest);
    ir->jump_mode = TCG_MMU_MODES;
    ir->end_offset = 2;
    op = ir_emit(ir, IR_INSN, IR_ZERO, IR_ZERO, IR_ZERO, 0);
    op->aux = 2;
    op = ir_emit(ir, IR_CALL_JUMP, IR_ZERO, IR_ZERO, IR_ZERO, (intptr_t)enter_block);
    op->c = IR_ZERO;
    op->flags = IR_CALL_WRITES_VARS | IR_CALL_RAISES;
    if (!tcg_compile(&tc->code, ir, 0, &tc->compiled)) {
        return fail(error, "the code buffer has no room for a single block");
    }
    tc->entry = tc->compiled.rx + tc->compiled.table_entry;
    return true;
}

bool tcg_exec_realize(TcgCpu *tc, uint32_t code_mib, GError **error)
{
    tc->ir = g_new0(IRBlock, 1);
    if (!code_buffer_init(&tc->code, (size_t)code_mib << 20, error) || !make_entry_block(tc, error)) {
        return false;
    }
    code_cache_init(tc);
    return true;
}

/* --- the loop --- */

static void run_reset(CPUState *cpu)
{
    cpu_reset_interrupt(cpu, CPU_INTERRUPT_RESET);
    bql_lock();
    cpu->ops->reset(cpu);
    bql_unlock();
}

/* False: the thread has other things to do.  @ask: the guest's own state changed so that an interrupt may be
 * due. */
static bool handle_requests(TcgCpu *tc, bool ask)
{
    CPUState *cpu = tc->cpu;
    uint32_t interrupts;

    atomic_set(&tc->env->exit_request, 0);
    if (unlikely(tc->env->n_bad_sites)) {
        tcg_retranslate_sites(tc);
    }
    smp_mb(); /* before looking at what was asked; pairs with those who ask first and set exit_request then */
    if (atomic_read(&cpu->exit_request)) {
        atomic_set(&cpu->exit_request, 0);
        return false;
    }
    interrupts = atomic_read(&cpu->interrupt_request);
    if (unlikely(interrupts & CPU_INTERRUPT_RESET)) {
        run_reset(cpu);
        tc->link_from = NULL;
    }
    if (unlikely(interrupts & CPU_INTERRUPT_EXITTB)) {
        cpu_reset_interrupt(cpu, CPU_INTERRUPT_EXITTB);
    }
    if ((ask || interrupts & CPU_INTERRUPT_HARD) && tc->ops->exec_interrupt(tc->env)) {
        tcg_stat(tc, interrupts);
        tc->link_from = NULL;
    }
    return true;
}

static uintptr_t run_guest_code(TcgCpu *tc)
{
    uintptr_t reason;

    tcg_stat(tc, entries);
    tc->entry_pc = tc->env->pc;
    tcg_enter_guest_code(tc);
    reason = tcg_enter(tc->env, tc->entry);
    if (unlikely(tcg_accel_config.lockstep)) {
        lockstep_end(tc);
    }
    tc->left_depth = 0;
    if (likely(tcg_in_guest_code(tc))) {
        tcg_leave_guest_code(tc);
    }
    return reason;
}

static void note_jump(TcgCpu *tc, uintptr_t reason)
{
    tcg_stat(tc, exit_jumps);
    tc->link_from = (TranslationBlock *)(reason & ~(uintptr_t)(TCG_COOKIE_ALIGN - 1));
    tc->link_jump = reason % TCG_COOKIE_ALIGN;
}

/* False: leave tcg_cpu_exec(). */
static bool handle_exit(TcgCpu *tc, uintptr_t reason, bool *ask)
{
    tc->link_from = NULL;
    *ask = false;
    switch (reason) {
    case TCG_EXIT_REQUEST:
        tcg_stat(tc, exit_requests);
        return true;
    case TCG_EXIT_LOOKUP:
        tcg_stat(tc, exit_lookups);
        return true;
    case TCG_EXIT_EVENT:
        tcg_stat(tc, exit_events);
        *ask = true;
        return true;
    case TCG_EXIT_HALT:
        tcg_stat(tc, exit_halts);
        return !tc->cpu->halted;
    case TCG_EXIT_DEBUG:
        return false;
    default:
        if (reason > TCG_EXIT_LAST) {
            note_jump(tc, reason);
        }
        return true;
    }
}

void tcg_cpu_exec(CPUState *cpu)
{
    TcgCpu *tc = cpu->accel;
    bool ask = true;

    tc->link_from = NULL;
    cpu->halted = false; /* whoever waits for WFI to end has done so */
    cpu_exec_start(cpu);
    while (handle_requests(tc, ask) && handle_exit(tc, run_guest_code(tc), &ask)) {
    }
    cpu_exec_end(cpu);
}
