/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The soft TLB, dirty tracking and code tracking of accel/tcg, on a toy guest over the real memory model.
 *
 * The toy: registers are vars 1..15; an instruction is four bytes {op, rd, rs, imm}; addresses from WINDOW on
 * show RAM shifted by the address space identifier.  GODWIT_TEST_ACCEL holds options for the accelerator.
 */
#include <glib.h>
#include <string.h>

#include "accel/tcg.h"
#include "accel/tcg/internal.h"
#include "system/accel.h"
#include "system/memory.h"
#include "system/ram-gate.h"
#include "system/runstate.h"

enum { HALT, ADDI, LD, ST, BNE, JMP, JR, AMOADD, LI, BLTU, SLOW, MARK, LOOP };

#define RAM_BASE 0x80000000ul
#define RAM_SIZE (64 * TARGET_PAGE_SIZE)
#define PAD_SIZE (100 * TARGET_PAGE_SIZE) /* makes the RAM's ram_addr_t offset differ from 0 */
#define WINDOW   0x4000000000ul
#define DEV_BASE 0x10000000ul
#define N_CPUS   2

typedef struct ToyCPU {
    TCGEnv tcg;
    uint16_t asid;
    bool read_only; /* all there is */
    CPUState cs;
} ToyCPU;

static MemoryRegion pad, ram, dev;
static CPUState *cpu[N_CPUS];
static uint8_t *host;
static unsigned dev_reads;

/* --- the toy guest --- */

static uint32_t insn(unsigned op, unsigned rd, unsigned rs, int imm)
{
    return op | rd << 8 | rs << 16 | (uint32_t)(uint8_t)imm << 24;
}

static uint32_t toy_tb_flags(TCGEnv *env)
{
    return 0;
}

static unsigned toy_fetch_mmu_idx(TCGEnv *env)
{
    return 0;
}

static void emit_mem(IRBlock *ir, IROpcode opc, IRRef dst, IRRef a, IRRef b, int64_t imm)
{
    ir_emit(ir, opc, dst, a, b, imm)->mem = 3;
}

static uint64_t help_halt(TCGEnv *env, uint64_t a, uint64_t b, uint64_t c)
{
    ((ToyCPU *)env)->cs.halted = true;
    return 0;
}

/* Stays between two safe points until a quiescing thread asks, and for a while after. */
static uint32_t slow_entered, slow_left;

static uint64_t help_slow(TCGEnv *env, uint64_t a, uint64_t b, uint64_t c)
{
    atomic_store_release(&slow_entered, 1);
    for (unsigned i = 0; i < 1u << 28 && !atomic_read(&env->exit_request); i++) {
        cpu_relax();
    }
    for (unsigned i = 0; i < 1u << 16; i++) {
        cpu_relax();
    }
    atomic_store_release(&slow_left, 1);
    return 0;
}

/* False: the block ends. */
static bool translate_one(IRBlock *ir, uint32_t at, uint32_t word)
{
    unsigned op = word & 0xff, rd = word >> 8 & 15, rs = word >> 16 & 15;
    int64_t imm = (int8_t)(word >> 24);
    IROp *o;

    ir_emit(ir, IR_INSN, IR_ZERO, IR_ZERO, IR_ZERO, at)->aux = 4;
    switch (op) {
    case ADDI:
        ir_emit(ir, IR_ADD, rd, rs, IR_IMM, imm);
        return true;
    case LI:
        ir_emit(ir, IR_MOVI, rd, IR_ZERO, IR_ZERO, imm);
        return true;
    case SLOW:
        ir_emit(ir, IR_CALL, IR_ZERO, IR_ZERO, IR_ZERO, (intptr_t)help_slow)->c = IR_ZERO;
        return true;
    case LD:
        emit_mem(ir, IR_LD, rd, rs, IR_ZERO, imm);
        return true;
    case ST:
        emit_mem(ir, IR_ST, IR_ZERO, rs, rd, imm);
        return true;
    case AMOADD:
        o = ir_emit(ir, IR_AMO_ADD, rd, rs, rd, 0);
        o->mem = 3 | IR_MEM_ALIGN;
        return true;
    case BNE:
    case BLTU:
        o = ir_emit(ir, IR_BRCOND, IR_ZERO, rd, rs, at + imm * 4);
        o->cond = op == BNE ? IR_NE : IR_LTU;
        ir_emit(ir, IR_JMP, IR_ZERO, IR_ZERO, IR_ZERO, at + 4);
        return false;
    case MARK: /* where LOOP may go without leaving the block */
        ir_emit(ir, IR_LABEL, IR_ZERO, IR_ZERO, IR_ZERO, at);
        return true;
    case LOOP:
        o = ir_emit(ir, IR_BRCOND, IR_ZERO, rd, rs, at + imm * 4);
        o->cond = IR_NE;
        return true;
    case JMP:
        ir_emit(ir, IR_JMP, IR_ZERO, IR_ZERO, IR_ZERO, at + imm * 4);
        return false;
    case JR:
        ir_emit(ir, IR_JMP_IND, IR_ZERO, rs, IR_ZERO, 0);
        return false;
    default:
        ir_emit(ir, IR_CALL, IR_ZERO, IR_ZERO, IR_ZERO, (intptr_t)help_halt)->c = IR_ZERO;
        ir_emit(ir, IR_EXIT, IR_ZERO, IR_ZERO, IR_ZERO, at)->aux = TCG_EXIT_HALT;
        return false;
    }
}

static void toy_translate(TranslateContext *ctx)
{
    uint32_t at = ctx->offset;
    bool more = true;

    while (more) {
        uint32_t word;

        memcpy(&word, ctx->page + at, 4);
        more = translate_one(ctx->ir, at, word);
        at += 4;
        ctx->n_insns++;
        if (more && (ctx->n_insns == ctx->max_insns || at == TARGET_PAGE_SIZE)) {
            ir_emit(ctx->ir, at == TARGET_PAGE_SIZE ? IR_JMP_FAR : IR_JMP, IR_ZERO, IR_ZERO, IR_ZERO, at);
            more = false;
        }
    }
    ctx->end_offset = at;
}

#define GIANT (UINT64_C(1) << 40) /* from here on leaves have 512 GiB */

static bool toy_tlb_fill(TCGEnv *env, vaddr addr, unsigned size, MMUAccessType access, unsigned mmu_idx,
                         bool probe, TlbFill *fill)
{
    ToyCPU *toy = (ToyCPU *)env;

    *fill = (TlbFill){.prot = PAGE_READ | PAGE_WRITE | PAGE_EXEC, .page_bits = 12, .asid = toy->asid};
    if (toy->read_only && access != MMU_DATA_STORE) {
        fill->prot &= ~PAGE_WRITE;
    }
    if (addr >= GIANT) {
        fill->page_bits = 39;
        fill->paddr = RAM_BASE + (addr & TARGET_PAGE_MASK & (RAM_SIZE - 1));
    } else if (addr >= WINDOW + 0x40000000) {
        fill->page_bits = 21;
        fill->paddr = RAM_BASE + ((addr - WINDOW - 0x40000000) & 0x1ff000 & (RAM_SIZE - 1));
    } else if (addr >= WINDOW) {
        fill->paddr =
            RAM_BASE + ((addr - WINDOW + toy->asid * TARGET_PAGE_SIZE) & (RAM_SIZE - 1) & TARGET_PAGE_MASK);
    } else {
        fill->paddr = addr & TARGET_PAGE_MASK;
        fill->global = true;
    }
    return true;
}

static bool toy_exec_interrupt(TCGEnv *env)
{
    return false;
}

static void toy_failed(TCGEnv *env, vaddr addr, MMUAccessType access, MemTxResult result)
{
    g_error("access to 0x%" PRIx64 " failed", addr);
}

static void toy_misaligned(TCGEnv *env, vaddr addr, MMUAccessType access)
{
    g_error("misaligned access to 0x%" PRIx64, addr);
}

static void toy_fp_check(TCGEnv *env)
{
}

static const uint8_t toy_pins[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0};
static const TCGGuest toy_guest = {.n_vars = 16, .pin_order = toy_pins};
static const TcgCpuOps toy_tcg_ops = {
    .guest = &toy_guest,
    .tb_flags = toy_tb_flags,
    .translate = toy_translate,
    .tlb_fill = toy_tlb_fill,
    .fetch_mmu_idx = toy_fetch_mmu_idx,
    .exec_interrupt = toy_exec_interrupt,
    .transaction_failed = toy_failed,
    .misaligned = toy_misaligned,
    .fp_check = toy_fp_check,
};

static void toy_reset(CPUState *cs)
{
}

static bool toy_has_work(CPUState *cs)
{
    return false;
}

static const CpuOps toy_ops = {
    .env_size = sizeof(ToyCPU),
    .cpu_state_offset = offsetof(ToyCPU, cs),
    .reset = toy_reset,
    .has_work = toy_has_work,
    .tcg = &toy_tcg_ops,
};
CPU_MODEL(toy, .name = "toy", .help = "test", .ops = &toy_ops);

/* --- running it --- */

static void put_code(uint64_t offset, const uint32_t *code, size_t bytes)
{
    if (memcmp(host + offset, code, bytes)) {
        address_space_write(&address_space_memory, RAM_BASE + offset, code, bytes);
    }
}

static bool want_stop(CPUState *cs)
{
    TCGEnv *env = cs->env;

    return atomic_read(&env->var[15]) != 0;
}

/* Until the program halts, or var 15 is set from outside and a request makes it leave. */
static void run(CPUState *cs, uint64_t offset)
{
    TCGEnv *env = cs->env;

    env->pc = RAM_BASE + offset;
    current_cpu = cs;
    do {
        tcg_cpu_exec(cs);
        if (atomic_read(&cs->work_pending)) {
            bql_lock();
            cs->unplug = true; /* does what is queued and waits for nothing */
            cpu_wait_io_event(cs);
            cs->unplug = false;
            bql_unlock();
        }
    } while (!cs->halted && !want_stop(cs));
    current_cpu = NULL;
}

static uint64_t *var(int n, int v)
{
    return &((TCGEnv *)cpu[n]->env)->var[v];
}

static TcgStats *stats(int n)
{
    return &((TcgCpu *)cpu[n]->accel)->stats;
}

static ram_addr_t ram_addr(uint64_t offset)
{
    return memory_region_get_ram_addr(&ram) + offset;
}

static uint64_t word_at(uint64_t offset)
{
    return atomic_read((uint64_t *)(host + offset));
}

/* st r1 -> [r2]; halt */
static void store_once(uint64_t code, uint64_t to, uint64_t value)
{
    const uint32_t program[] = {insn(ST, 1, 2, 0), insn(HALT, 0, 0, 0)};

    put_code(code, program, sizeof(program));
    *var(0, 1) = value;
    *var(0, 2) = RAM_BASE + to;
    run(cpu[0], code);
}

static bool migration_dirty(uint64_t offset)
{
    return physical_memory_get_dirty_flag(ram_addr(offset), DIRTY_MEMORY_MIGRATION);
}

static void start_log(void)
{
    g_assert_true(memory_global_dirty_log_start(GLOBAL_DIRTY_MIGRATION, NULL));
    physical_memory_test_and_clear_dirty(ram_addr(0), RAM_SIZE, DIRTY_MEMORY_MIGRATION, NULL);
    physical_memory_quiesce();
}

static void stop_log(void)
{
    memory_global_dirty_log_stop(GLOBAL_DIRTY_MIGRATION);
}

/* --- dirty tracking --- */

#define CODE_AT 0x1000
#define DATA_AT 0x8000

static void test_first_store_marks(void)
{
    start_log();
    store_once(CODE_AT, DATA_AT, 7);
    g_assert_cmpuint(word_at(DATA_AT), ==, 7);
    g_assert_true(migration_dirty(DATA_AT));
    g_assert_false(migration_dirty(DATA_AT + TARGET_PAGE_SIZE));
    stop_log();
}

static void test_second_store_fast(void)
{
    uint64_t slow;

    start_log();
    store_once(CODE_AT, DATA_AT, 1);
    slow = stats(0)->slow_stores;
    store_once(CODE_AT, DATA_AT + 8, 2);
    g_assert_cmpuint(stats(0)->slow_stores, ==, slow);
    g_assert_cmpuint(word_at(DATA_AT + 8), ==, 2);
    stop_log();
}

/* D4: at the true ram_addr_t, in a block whose offset is not 0. */
static void test_rearm_marks_again(void)
{
    g_assert_cmpuint(ram_addr(0), >, 0);
    start_log();
    store_once(CODE_AT, DATA_AT, 1);
    g_assert_cmpuint(physical_memory_test_and_clear_dirty(ram_addr(DATA_AT), TARGET_PAGE_SIZE,
                                                          DIRTY_MEMORY_MIGRATION, NULL),
                     ==, 1);
    physical_memory_quiesce();
    g_assert_false(migration_dirty(DATA_AT));
    store_once(CODE_AT, DATA_AT, 2);
    g_assert_true(migration_dirty(DATA_AT));
    stop_log();
}

/* D4: the destination bitmap already had the page, so the take gains nothing, but it re-arms all the same. */
static void test_rearm_when_pending(void)
{
    g_autofree unsigned long *dest = bitmap_new(RAM_SIZE / TARGET_PAGE_SIZE);

    start_log();
    store_once(CODE_AT, DATA_AT, 1);
    set_bit(DATA_AT / TARGET_PAGE_SIZE, dest);
    g_assert_cmpuint(physical_memory_test_and_clear_dirty(ram_addr(DATA_AT), TARGET_PAGE_SIZE,
                                                          DIRTY_MEMORY_MIGRATION, dest),
                     ==, 0);
    physical_memory_quiesce();
    store_once(CODE_AT, DATA_AT, 2);
    g_assert_true(migration_dirty(DATA_AT));
    stop_log();
}

static void test_atomic_marks(void)
{
    const uint32_t program[] = {insn(AMOADD, 1, 2, 0), insn(HALT, 0, 0, 0)};

    start_log();
    put_code(CODE_AT, program, sizeof(program));
    *(uint64_t *)(host + DATA_AT) = 40;
    *var(0, 1) = 2;
    *var(0, 2) = RAM_BASE + DATA_AT;
    run(cpu[0], CODE_AT);
    g_assert_cmpuint(word_at(DATA_AT), ==, 42);
    g_assert_cmpuint(*var(0, 1), ==, 40);
    g_assert_true(migration_dirty(DATA_AT));
    stop_log();
}

static void test_crossing_marks_both(void)
{
    start_log();
    store_once(CODE_AT, DATA_AT + TARGET_PAGE_SIZE - 4, UINT64_C(0x1122334455667788));
    g_assert_true(migration_dirty(DATA_AT));
    g_assert_true(migration_dirty(DATA_AT + TARGET_PAGE_SIZE));
    g_assert_cmphex(*(uint32_t *)(host + DATA_AT + TARGET_PAGE_SIZE - 4), ==, 0x55667788);
    g_assert_cmphex(*(uint32_t *)(host + DATA_AT + TARGET_PAGE_SIZE), ==, 0x11223344);
    stop_log();
}

/* --- code tracking --- */

static void find_counter(const char *name, const char *help, uint64_t value, void *opaque)
{
    *(uint64_t *)opaque = value;
}

static uint64_t counter(const char *name)
{
    uint64_t value = 0;

    counters_foreach(name, find_counter, &value);
    return value;
}

#define CODE_TWO (CODE_AT + 0x400) /* other lines of the same page */

static uint64_t call_li(uint64_t offset)
{
    run(cpu[0], offset);
    return *var(0, 3);
}

static void put_li(uint64_t offset, int value)
{
    const uint32_t program[] = {insn(LI, 3, 0, value), insn(HALT, 0, 0, 0)};

    put_code(offset, program, sizeof(program));
}

static void test_store_drops_overlapping(void)
{
    uint64_t dropped, made;
    uint32_t word = insn(LI, 3, 0, 9);

    put_li(CODE_AT, 1);
    put_li(CODE_TWO, 2);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    g_assert_cmpuint(call_li(CODE_TWO), ==, 2);
    store_once(CODE_AT + 0x2000, DATA_AT, 0);
    dropped = counter("tb_invalidated");
    store_once(CODE_AT + 0x2000, CODE_AT, word | (uint64_t)insn(HALT, 0, 0, 0) << 32);
    g_assert_cmpuint(counter("tb_invalidated"), ==, dropped + 1);
    made = counter("tb_translated");
    g_assert_cmpuint(call_li(CODE_TWO), ==, 2);
    g_assert_cmpuint(counter("tb_translated"), ==, made);
    g_assert_cmpuint(call_li(CODE_AT), ==, 9);
}

static void test_store_beside_code(void)
{
    uint64_t dropped;

    put_li(CODE_AT, 1);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    store_once(CODE_AT + 0x2000, DATA_AT, 0);
    dropped = counter("tb_invalidated");
    store_once(CODE_AT + 0x2000, CODE_AT + 0x800, 5);
    g_assert_cmpuint(counter("tb_invalidated"), ==, dropped);
    g_assert_cmpuint(word_at(CODE_AT + 0x800), ==, 5);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
}

static void test_dma_drops_code(void)
{
    put_li(CODE_AT, 1);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    put_li(CODE_AT, 4);
    g_assert_cmpuint(call_li(CODE_AT), ==, 4);
}

/* tlb_protect_code(): a page that was stored to fast until now. */
static void test_fast_page_becomes_code(void)
{
    const uint64_t page = 0x6000;

    put_li(page, 1);
    store_once(CODE_AT + 0x2000, page + 0x800, 5);
    g_assert_cmpuint(call_li(page), ==, 1);
    store_once(CODE_AT + 0x2000, page, insn(LI, 3, 0, 6) | (uint64_t)insn(HALT, 0, 0, 0) << 32);
    g_assert_cmpuint(call_li(page), ==, 6);
}

static void test_busy_page_opens(void)
{
    const uint32_t loop[] = {insn(ST, 1, 2, 0), insn(ADDI, 1, 1, -1), insn(BNE, 1, 0, -2),
                             insn(HALT, 0, 0, 0)};
    uint64_t slow;

    put_li(CODE_AT, 1);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    put_code(CODE_AT + 0x2000, loop, sizeof(loop));
    slow = stats(0)->notdirty_stores;
    *var(0, 1) = 100000;
    *var(0, 2) = RAM_BASE + CODE_AT + 0x800;
    run(cpu[0], CODE_AT + 0x2000);
    g_assert_cmpuint(stats(0)->notdirty_stores - slow, <, 5000);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
}

static uint64_t li_and_halt(int value)
{
    return insn(LI, 3, 0, value) | (uint64_t)insn(HALT, 0, 0, 0) << 32;
}

static void store_elsewhere(uint64_t to, uint64_t value)
{
    store_once(CODE_AT + 0x2000, to, value);
}

static void test_revive(void)
{
    uint64_t made, revived;

    put_li(CODE_AT, 1);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    store_elsewhere(CODE_AT, li_and_halt(2));
    g_assert_cmpuint(call_li(CODE_AT), ==, 2);
    made = counter("tb_translated");
    revived = counter("tb_revived");
    store_elsewhere(CODE_AT, li_and_halt(1));
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    store_elsewhere(CODE_AT, li_and_halt(2));
    g_assert_cmpuint(call_li(CODE_AT), ==, 2);
    g_assert_cmpuint(counter("tb_translated"), ==, made);
    g_assert_cmpuint(counter("tb_revived"), ==, revived + 2);
}

/* Jump tables and blocks that led to the block before lead to it again, and no longer once it is dropped again. */
static void test_revive_is_dropped_again(void)
{
    put_li(CODE_AT, 1);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    for (int i = 0; i < 20; i++) {
        store_elsewhere(CODE_AT, li_and_halt(i % 3 + 1));
        g_assert_cmpuint(call_li(CODE_AT), ==, i % 3 + 1);
        g_assert_cmpuint(call_li(CODE_AT), ==, i % 3 + 1);
    }
}

static void test_rewrite(void)
{
    uint64_t rewritten = counter("tb_pages_rewritten");

    for (int round = 1; round < 4; round++) {
        for (int i = 0; i < 8; i++) {
            store_elsewhere(CODE_AT + 64 * i, li_and_halt(round + i));
        }
        for (int i = 0; i < 8; i++) {
            g_assert_cmpuint(call_li(CODE_AT + 64 * i), ==, round + i);
        }
    }
    g_assert_cmpuint(counter("tb_pages_rewritten"), ==, rewritten + 2);
}

static void test_code_store(void)
{
    uint64_t remembered;

    put_li(CODE_AT, 1);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    store_elsewhere(CODE_AT + 0x800, 5);
    remembered = stats(0)->code_stores;
    store_elsewhere(CODE_AT + 0x808, 6);
    g_assert_cmpuint(stats(0)->code_stores, ==, remembered + 1);
    g_assert_cmpuint(word_at(CODE_AT + 0x808), ==, 6);
    store_elsewhere(CODE_AT, li_and_halt(7));
    g_assert_cmpuint(call_li(CODE_AT), ==, 7);
}

/* D4, of a page that the vCPU remembers. */
static void test_code_store_rearm(void)
{
    put_li(CODE_AT, 1);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    start_log();
    store_elsewhere(CODE_AT + 0x800, 5);
    store_elsewhere(CODE_AT + 0x800, 6);
    g_assert_cmpuint(physical_memory_test_and_clear_dirty(ram_addr(CODE_AT), TARGET_PAGE_SIZE,
                                                          DIRTY_MEMORY_MIGRATION, NULL),
                     ==, 1);
    physical_memory_quiesce();
    store_elsewhere(CODE_AT + 0x800, 7);
    g_assert_true(migration_dirty(CODE_AT));
    stop_log();
}

/* --- the code cache --- */

/* Makes segments smaller, or as large as they were. */
static void shrink_cache(TcgCpu *tc, size_t size)
{
    tb_drop_all();
    for (unsigned n = 0; n < tc->n_segments; n++) {
        tc->segments[n].end = tc->segments[n].start + size;
    }
    tc->code.limit = tc->segments[0].end;
}

#define MANY_BLOCKS 4000

static uint64_t nth_block(int i)
{
    return 0x10000 + 16 * i;
}

static void test_evict(void)
{
    TcgCpu *tc = cpu[0]->accel;
    size_t size = tc->segments[0].end - tc->segments[0].start;
    uint64_t evicted = counter("tb_segments_evicted"), flushed = counter("tb_flushes"), made;

    shrink_cache(tc, 32 << 10);
    flushed++;
    for (int i = 0; i < MANY_BLOCKS; i++) {
        put_li(nth_block(i), i & 63);
        g_assert_cmpuint(call_li(nth_block(i)), ==, i & 63);
    }
    g_assert_cmpuint(counter("tb_segments_evicted"), >, evicted);
    g_assert_cmpuint(counter("tb_flushes"), ==, flushed);

    /* what was made last is still there, what was made first is made again */
    made = counter("tb_translated");
    for (int i = MANY_BLOCKS - 50; i < MANY_BLOCKS; i++) {
        g_assert_cmpuint(call_li(nth_block(i)), ==, i & 63);
    }
    g_assert_cmpuint(counter("tb_translated"), ==, made);
    for (int i = 0; i < 50; i++) {
        g_assert_cmpuint(call_li(nth_block(i)), ==, i & 63);
    }
    g_assert_cmpuint(counter("tb_translated"), ==, made + 50);
    shrink_cache(tc, size);
}

static void test_flush_all(void)
{
    put_li(CODE_AT, 1);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
    tb_drop_all();
    g_assert_cmpuint(tb_count(), ==, 0);
    g_assert_cmpuint(call_li(CODE_AT), ==, 1);
}

/* --- address spaces --- */

static void set_asid(uint16_t asid)
{
    ((ToyCPU *)cpu[0]->env)->asid = asid;
    tlb_switch_asid(cpu[0]->env, 1, asid);
}

static uint64_t load(vaddr addr)
{
    uint64_t value;

    current_cpu = cpu[0];
    value = cpu_load(cpu[0]->env, addr, 3, 0);
    current_cpu = NULL;
    return value;
}

static void fill_pages(void)
{
    for (unsigned i = 0; i < RAM_SIZE / TARGET_PAGE_SIZE; i++) {
        uint64_t value = i;

        address_space_write(&address_space_memory, RAM_BASE + i * TARGET_PAGE_SIZE, &value, 8);
    }
}

static void test_switch_asid(void)
{
    uint64_t walks;

    fill_pages();
    tlb_flush(cpu[0]->env);
    set_asid(1);
    g_assert_cmpuint(load(WINDOW), ==, 1);
    set_asid(2);
    g_assert_cmpuint(load(WINDOW), ==, 2);
    walks = stats(0)->walks;
    set_asid(1);
    g_assert_cmpuint(load(WINDOW), ==, 1);
    g_assert_cmpuint(stats(0)->walks, ==, walks);
}

static void test_flush_asid(void)
{
    uint64_t walks;

    fill_pages();
    tlb_flush(cpu[0]->env);
    set_asid(2);
    load(WINDOW);
    set_asid(1);
    load(WINDOW);
    load(RAM_BASE);
    tlb_flush_asid(cpu[0]->env, 1);
    walks = stats(0)->walks;
    load(RAM_BASE); /* global */
    g_assert_cmpuint(stats(0)->walks, ==, walks);
    load(WINDOW);
    g_assert_cmpuint(stats(0)->walks, ==, walks + 1);
    set_asid(2);
    load(WINDOW);
    g_assert_cmpuint(stats(0)->walks, ==, walks + 1);
}

static void test_flush_page(void)
{
    uint64_t walks;

    fill_pages();
    tlb_flush(cpu[0]->env);
    set_asid(1);
    load(WINDOW);
    load(WINDOW + TARGET_PAGE_SIZE);
    tlb_flush_page(cpu[0]->env, WINDOW + 8);
    walks = stats(0)->walks;
    load(WINDOW + TARGET_PAGE_SIZE);
    g_assert_cmpuint(stats(0)->walks, ==, walks);
    load(WINDOW);
    g_assert_cmpuint(stats(0)->walks, ==, walks + 1);
}

/* A page flush inside a 2 MiB leaf drops all of the leaf; a refill inside it needs no walk. */
static void test_flush_large(void)
{
    const vaddr large = WINDOW + 0x40000000;
    uint64_t walks;

    fill_pages();
    tlb_flush(cpu[0]->env);
    walks = stats(0)->walks;
    g_assert_cmpuint(load(large + 5 * TARGET_PAGE_SIZE), ==, 5);
    g_assert_cmpuint(load(large + 6 * TARGET_PAGE_SIZE), ==, 6);
    g_assert_cmpuint(stats(0)->walks, ==, walks + 1);
    tlb_flush_page(cpu[0]->env, large + 9 * TARGET_PAGE_SIZE);
    load(large + 6 * TARGET_PAGE_SIZE);
    g_assert_cmpuint(stats(0)->walks, ==, walks + 2);
}

/* The same where the leaf is larger than anything that the second level keeps in one entry. */
static void test_flush_giant(void)
{
    uint64_t walks;

    fill_pages();
    tlb_flush(cpu[0]->env);
    load(GIANT + 5 * TARGET_PAGE_SIZE);
    walks = stats(0)->walks;
    tlb_flush_page(cpu[0]->env, GIANT + (UINT64_C(3) << 30));
    load(GIANT + 5 * TARGET_PAGE_SIZE);
    g_assert_cmpuint(stats(0)->walks, ==, walks + 1);
}

/* Flushes of small pages leave large leaves alone, wherever they are. */
static void test_flush_beside_large(void)
{
    const vaddr large = WINDOW + 0x40000000;
    uint64_t walks;

    fill_pages();
    tlb_flush(cpu[0]->env);
    load(large);
    walks = stats(0)->walks;
    tlb_flush_page(cpu[0]->env, WINDOW);
    load(large + TARGET_PAGE_SIZE);
    g_assert_cmpuint(stats(0)->walks, ==, walks);
}

/* --- stores foreseen --- */

static void store(vaddr addr, uint64_t value)
{
    current_cpu = cpu[0];
    cpu_store(cpu[0]->env, addr, value, 3, 0);
    current_cpu = NULL;
}

/* After this the next load brings the entry for stores along. */
static void load_and_store(uint64_t offset)
{
    TcgCpu *tc = cpu[0]->accel;

    tc->tlb.foreseen = 0;
    load(RAM_BASE + offset);
    store(RAM_BASE + offset, 1);
}

static void test_foreseen(void)
{
    uint64_t slow;

    tlb_flush(cpu[0]->env);
    load_and_store(DATA_AT);
    load(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE);
    slow = stats(0)->slow_stores;
    store(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE, 5);
    g_assert_cmpuint(stats(0)->slow_stores, ==, slow);
    g_assert_cmpuint(word_at(DATA_AT + TARGET_PAGE_SIZE), ==, 5);
}

static void test_foreseen_loads_alone(void)
{
    uint64_t ahead = stats(0)->stores_ahead;

    tlb_flush(cpu[0]->env);
    ((TcgCpu *)cpu[0]->accel)->tlb.foreseen = 0;
    load(RAM_BASE + DATA_AT);
    load(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE);
    g_assert_cmpuint(stats(0)->stores_ahead, ==, ahead);
}

static void test_foreseen_read_only(void)
{
    ToyCPU *toy = (ToyCPU *)cpu[0]->env;
    uint64_t walks;

    tlb_flush(cpu[0]->env);
    load_and_store(DATA_AT);
    toy->read_only = true;
    load(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE);
    walks = stats(0)->walks;
    store(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE, 6); /* asks the guest */
    g_assert_cmpuint(stats(0)->walks, ==, walks + 1);
    toy->read_only = false;
    tlb_flush(cpu[0]->env);
}

static void test_foreseen_marks(void)
{
    start_log();
    tlb_flush(cpu[0]->env);
    store(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE, 1);
    tlb_flush(cpu[0]->env);
    load_and_store(DATA_AT);
    physical_memory_test_and_clear_dirty(ram_addr(DATA_AT + TARGET_PAGE_SIZE), TARGET_PAGE_SIZE,
                                         DIRTY_MEMORY_MIGRATION, NULL);
    physical_memory_quiesce();
    load(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE);
    store(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE, 7);
    g_assert_true(migration_dirty(DATA_AT + TARGET_PAGE_SIZE));
    stop_log();
}

/* D4 for the entry that a load brought. */
static void test_foreseen_rearm(void)
{
    start_log();
    tlb_flush(cpu[0]->env);
    store(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE, 1);
    tlb_flush(cpu[0]->env);
    load_and_store(DATA_AT);
    load(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE);
    physical_memory_test_and_clear_dirty(ram_addr(DATA_AT + TARGET_PAGE_SIZE), TARGET_PAGE_SIZE,
                                         DIRTY_MEMORY_MIGRATION, NULL);
    physical_memory_quiesce();
    store(RAM_BASE + DATA_AT + TARGET_PAGE_SIZE, 8);
    g_assert_true(migration_dirty(DATA_AT + TARGET_PAGE_SIZE));
    stop_log();
}

/* --- devices, topology --- */

static MemTxResult dev_read(void *opaque, hwaddr addr, uint64_t *data, unsigned size)
{
    g_assert_true(bql_locked());
    dev_reads++;
    tcg_quiesce(); /* on a vCPU thread, with the big lock */
    *data = 0x55;
    return MEMTX_OK;
}

static MemTxResult dev_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    return MEMTX_OK;
}

static const MemoryRegionOps dev_ops = {.read = dev_read, .write = dev_write};

static void test_device(void)
{
    const uint32_t program[] = {insn(LD, 3, 2, 0), insn(HALT, 0, 0, 0)};
    unsigned reads = dev_reads;

    put_code(CODE_AT, program, sizeof(program));
    *var(0, 2) = DEV_BASE;
    run(cpu[0], CODE_AT);
    g_assert_cmpuint(dev_reads, ==, reads + 1);
    g_assert_cmpuint(*var(0, 3), ==, 0x55);
}

static void test_topology(void)
{
    fill_pages();
    g_assert_cmpuint(load(RAM_BASE + 3 * TARGET_PAGE_SIZE), ==, 3);
    bql_lock();
    memory_region_del_subregion(get_system_memory(), &ram);
    memory_region_add_subregion(get_system_memory(), RAM_BASE - TARGET_PAGE_SIZE, &ram);
    bql_unlock();
    run(cpu[0], 0); /* page 0 of the new place holds page 1's bytes: anything that halts */
    g_assert_cmpuint(load(RAM_BASE + 3 * TARGET_PAGE_SIZE), ==, 4);
    bql_lock();
    memory_region_del_subregion(get_system_memory(), &ram);
    memory_region_add_subregion(get_system_memory(), RAM_BASE, &ram);
    bql_unlock();
    run(cpu[0], 0);
}

/* --- page slots: what a loop's loads and stores remember goes when the first level's entry goes --- */

static bool slots_wanted(void)
{
    return !tcg_config()->interpreter && !tcg_config()->no_page_slots;
}

static unsigned filled_slots(const PageSlot *slots, vaddr page)
{
    unsigned n = 0;

    for (unsigned i = 0; i < PAGE_SLOTS; i++) {
        n += slots[i].limit && slots[i].tag == page;
    }
    return n;
}

/* r3 times: st r1 -> [r2], or ld r1 <- [r2] */
static void run_loop(unsigned op, vaddr addr, uint64_t value, unsigned times)
{
    const uint32_t program[] = {insn(MARK, 0, 0, 0), insn(op, 1, 2, 0), insn(ADDI, 3, 3, -1),
                                insn(LOOP, 3, 0, -3), insn(HALT, 0, 0, 0)};

    put_code(CODE_AT, program, sizeof(program));
    *var(0, 1) = value;
    *var(0, 2) = addr;
    *var(0, 3) = times;
    run(cpu[0], CODE_AT);
}

static void fill_slot(unsigned op, vaddr addr)
{
    TCGEnv *env = cpu[0]->env;
    const PageSlot *slots = op == ST ? env->write_slot[0] : env->read_slot[0];

    run_loop(op, addr, 1, 10);
    g_assert_cmpuint(filled_slots(slots, addr & TARGET_PAGE_MASK), ==, slots_wanted());
}

/* D4 with a slot between the store and the first level. */
static void test_slot_rearm(void)
{
    start_log();
    fill_slot(ST, RAM_BASE + DATA_AT);
    physical_memory_test_and_clear_dirty(ram_addr(DATA_AT), TARGET_PAGE_SIZE, DIRTY_MEMORY_MIGRATION, NULL);
    physical_memory_quiesce();
    g_assert_false(migration_dirty(DATA_AT));
    run_loop(ST, RAM_BASE + DATA_AT, 2, 1);
    g_assert_true(migration_dirty(DATA_AT));
    stop_log();
}

static void test_slot_becomes_code(void)
{
    const uint32_t program[] = {insn(LI, 7, 0, 7), insn(HALT, 0, 0, 0)};

    fill_slot(ST, RAM_BASE + 0x6800);
    put_code(0x6800, program, sizeof(program));
    run(cpu[0], 0x6800);
    run_loop(ST, RAM_BASE + 0x6800, insn(LI, 7, 0, 8) | (uint64_t)program[1] << 32, 1);
    run(cpu[0], 0x6800);
    g_assert_cmpuint(*var(0, 7), ==, 8);
}

static void test_slot_asid(void)
{
    fill_pages();
    set_asid(1);
    fill_slot(LD, WINDOW + 8 * TARGET_PAGE_SIZE);
    g_assert_cmpuint(*var(0, 1), ==, 9);
    set_asid(2);
    run_loop(LD, WINDOW + 8 * TARGET_PAGE_SIZE, 0, 1);
    g_assert_cmpuint(*var(0, 1), ==, 10);
    ((ToyCPU *)cpu[0]->env)->asid = 3; /* the mapping changed, and the guest says so */
    tlb_flush_asid(cpu[0]->env, 2);
    run_loop(LD, WINDOW + 8 * TARGET_PAGE_SIZE, 0, 1);
    g_assert_cmpuint(*var(0, 1), ==, 11);
    set_asid(0);
}

static void test_slot_flush_page(void)
{
    fill_pages();
    set_asid(1);
    fill_slot(LD, WINDOW + 8 * TARGET_PAGE_SIZE);
    ((ToyCPU *)cpu[0]->env)->asid = 2;
    tlb_flush_page(cpu[0]->env, WINDOW + 8 * TARGET_PAGE_SIZE + 16);
    run_loop(LD, WINDOW + 8 * TARGET_PAGE_SIZE, 0, 1);
    g_assert_cmpuint(*var(0, 1), ==, 10);
    set_asid(0);
}

/* Its entry in the first level has gone to another page meanwhile. */
static void test_slot_outlives_entry(void)
{
    const vaddr page = WINDOW + 8 * TARGET_PAGE_SIZE;

    fill_pages();
    set_asid(1);
    fill_slot(LD, page);
    load(page + TLB_ENTRIES * TARGET_PAGE_SIZE);
    ((ToyCPU *)cpu[0]->env)->asid = 2;
    tlb_flush_page(cpu[0]->env, page);
    run_loop(LD, page, 0, 1);
    g_assert_cmpuint(*var(0, 1), ==, 10);
    set_asid(0);
}

/* Jumps into a large leaf go when any of its pages is flushed; others stay when none leads into it. */
static void check_jump_after_flush(uint64_t pc, uint64_t expected)
{
    const vaddr large = WINDOW + 0x40000000;
    const TCGEnv *env = cpu[0]->env;
    const JumpTableEntry *e = &env->jump[0][jump_table_index(pc)];

    tlb_flush(cpu[0]->env);
    load(large);
    tlb_jump_insert(cpu[0]->accel, 0, pc, host, false);
    tlb_flush_page(cpu[0]->env, large + 9 * TARGET_PAGE_SIZE);
    g_assert_cmphex(e->pc, ==, expected);
    tlb_flush(cpu[0]->env);
}

static void test_flush_large_jump(void)
{
    check_jump_after_flush(WINDOW + 0x40005000, UINT64_MAX);
}

static void test_flush_large_straddling_jump(void)
{
    check_jump_after_flush(WINDOW + 0x40000000 - 2, UINT64_MAX);
}

static void test_flush_large_data(void)
{
    check_jump_after_flush(RAM_BASE + CODE_AT, RAM_BASE + CODE_AT);
}

static void test_slot_flush_large(void)
{
    const vaddr large = WINDOW + 0x40000000;
    const TCGEnv *env = cpu[0]->env;

    fill_slot(LD, large + 5 * TARGET_PAGE_SIZE);
    tlb_flush_page(cpu[0]->env, large + 9 * TARGET_PAGE_SIZE);
    g_assert_cmpuint(filled_slots(env->read_slot[0], large + 5 * TARGET_PAGE_SIZE), ==, 0);
}

/* The last bytes of a page: a slot must not let an access cross. */
static void test_slot_crossing(void)
{
    fill_pages();
    fill_slot(LD, RAM_BASE + 3 * TARGET_PAGE_SIZE);
    run_loop(LD, RAM_BASE + 4 * TARGET_PAGE_SIZE - 4, 0, 10);
    g_assert_cmpuint(*var(0, 1), ==, UINT64_C(4) << 32);
}

/* The highest and the lowest page differ from an empty slot's tag in all ways that a page can. */
static void test_slot_empty_matches_nothing(void)
{
    TCGEnv *env = cpu[0]->env;

    for (unsigned i = 0; i < PAGE_SLOTS; i++) {
        env->read_slot[0][i].limit = 0;
        env->read_slot[0][i].tag = RAM_BASE + 3 * TARGET_PAGE_SIZE;
        env->read_slot[0][i].addend = 0;
    }
    fill_pages();
    run_loop(LD, RAM_BASE + 3 * TARGET_PAGE_SIZE, 0, 1);
    g_assert_cmpuint(*var(0, 1), ==, 3);
}

/* A site that goes from page to page is translated without a slot, and does what it did. */
static void test_slot_bad_site(void)
{
    /* r4 and r2 change places each time round */
    const uint32_t program[] = {insn(MARK, 0, 0, 0),   insn(LD, 1, 2, 0),    insn(ADDI, 5, 2, 0),
                                insn(ADDI, 2, 4, 0),   insn(ADDI, 4, 5, 0),  insn(ADDI, 3, 3, -1),
                                insn(LOOP, 3, 0, -6),  insn(HALT, 0, 0, 0)};
    uint64_t bad = stats(0)->bad_sites;

    fill_pages();
    put_code(CODE_AT, program, sizeof(program));
    for (unsigned round = 0; round < 100 && stats(0)->bad_sites == bad; round++) {
        *var(0, 2) = RAM_BASE + 3 * TARGET_PAGE_SIZE;
        *var(0, 4) = RAM_BASE + 4 * TARGET_PAGE_SIZE;
        *var(0, 3) = 2000;
        run(cpu[0], CODE_AT);
        g_assert_cmpuint(*var(0, 1), ==, 4);
    }
    for (unsigned round = 0; round < 20; round++) {
        *var(0, 3) = 2000;
        run(cpu[0], CODE_AT);
    }
    g_assert_cmpuint(stats(0)->bad_sites, ==, bad + slots_wanted());
}

/* --- storms --- */

static void *runner(void *opaque)
{
    int n = GPOINTER_TO_INT(opaque);

    run(cpu[n], n == 0 ? 0x1000 : 0x2000);
    return NULL;
}

static GThread *start(int n)
{
    atomic_set(var(n, 15), 0);
    return g_thread_new("vcpu", runner, GINT_TO_POINTER(n));
}

static void stop(int n, GThread *thread)
{
    atomic_set(var(n, 15), 1);
    cpu_exit(cpu[n]);
    while (atomic_read(var(n, 15)) != 1) {
        atomic_set(var(n, 15), 1);
    }
    g_thread_join(thread);
    *var(n, 15) = 0;
}

/* Both vCPUs store rising counters all over 16 pages; at the end what was taken and copied is what is there.
 */
static void dirty_storm(const uint32_t *program, size_t length)
{
    const uint64_t first = 0x10000, bytes = 16 * TARGET_PAGE_SIZE;
    g_autofree unsigned long *dest = bitmap_new(RAM_SIZE / TARGET_PAGE_SIZE);
    g_autofree uint8_t *copy = g_malloc0(RAM_SIZE);
    GThread *thread[N_CPUS];

    start_log();
    memcpy(copy, host, RAM_SIZE);
    for (int n = 0; n < N_CPUS; n++) {
        put_code(n == 0 ? 0x1000 : 0x2000, program, length);
        *var(n, 1) = n * 1000000;
        *var(n, 6) = 0;
        *var(n, 2) = *var(n, 5) = RAM_BASE + first + n * 8;
        *var(n, 4) = RAM_BASE + first + bytes - 256;
    }
    memcpy(copy, host, first);
    for (int n = 0; n < N_CPUS; n++) {
        thread[n] = start(n);
    }
    for (int pass = 0; pass < 300; pass++) {
        if (pass == 299) {
            stop(0, thread[0]);
            stop(1, thread[1]);
        }
        memset(dest, 0, BITMAP_SIZE(RAM_SIZE / TARGET_PAGE_SIZE));
        physical_memory_test_and_clear_dirty(ram_addr(0), RAM_SIZE, DIRTY_MEMORY_MIGRATION, dest);
        physical_memory_quiesce();
        for (uint64_t page = 0; page < RAM_SIZE / TARGET_PAGE_SIZE; page++) {
            if (test_bit(page, dest)) {
                for (uint64_t at = page * TARGET_PAGE_SIZE; at < (page + 1) * TARGET_PAGE_SIZE; at += 8) {
                    *(uint64_t *)(copy + at) = word_at(at);
                }
            }
        }
    }
    g_assert_true(memcmp(copy + first, host + first, bytes) == 0);
    stop_log();
}

static void test_dirty_storm(void)
{
    const uint32_t program[] = {insn(ADDI, 1, 1, 1),   insn(ST, 1, 2, 0),    insn(ST, 1, 2, 64),
                                insn(ADDI, 2, 2, 120), insn(BLTU, 2, 4, -4), insn(ADDI, 2, 5, 0),
                                insn(JMP, 0, 0, -6)};

    dirty_storm(program, sizeof(program));
}

/* The same with each word stored a number of times by a loop with page slots. */
static void test_slot_storm(void)
{
    const uint32_t program[] = {insn(LI, 6, 0, 20),    insn(MARK, 0, 0, 0),  insn(ADDI, 1, 1, 1),
                                insn(ST, 1, 2, 0),     insn(ST, 1, 2, 64),   insn(ADDI, 6, 6, -1),
                                insn(LOOP, 6, 0, -5),  insn(ADDI, 2, 2, 120), insn(BLTU, 2, 4, -8),
                                insn(ADDI, 2, 5, 0),   insn(JMP, 0, 0, -10)};

    dirty_storm(program, sizeof(program));
}

/*
 * One vCPU patches a function and then counts the patch; the other reads the count and calls the function,
 * which must be at least that new.
 */
static void test_patch_storm(void)
{
    const uint64_t function = 0x3000, count_at = 0x4000;
    const uint32_t patcher[] = {
        /* r6: instruction pair, r10: where the next one is, r2: function, r4: count, r1: number, r8: delay */
        insn(ADDI, 1, 1, 1),  insn(ST, 6, 2, 0),     insn(ST, 1, 4, 0),   insn(LI, 8, 0, 100),
        insn(ADDI, 8, 8, -1), insn(BNE, 8, 0, -1),   insn(BNE, 1, 9, 2),  insn(HALT, 0, 0, 0),
        insn(LD, 6, 10, 0),   insn(ADDI, 10, 10, 8), insn(JMP, 0, 0, -10)};
    const uint32_t caller[] = {insn(LD, 1, 4, 0), insn(JR, 0, 2, 0),
                               /* the function returns here */
                               insn(BLTU, 3, 1, 3), insn(ADDI, 12, 12, 1), insn(BNE, 1, 9, -4),
                               insn(HALT, 0, 0, 0)};
    const unsigned patches = 120;
    const uint32_t first[] = {insn(LI, 3, 0, 0), insn(JR, 0, 11, 0)};
    GThread *thread[N_CPUS];
    uint64_t zero = 0;

    put_code(0x1000, patcher, sizeof(patcher));
    put_code(0x2000, caller, sizeof(caller));
    put_code(function, first, sizeof(first));
    address_space_write(&address_space_memory, RAM_BASE + count_at, &zero, 8);
    for (unsigned i = 1; i <= patches; i++) { /* a table of instruction pairs */
        uint64_t pair = insn(LI, 3, 0, i) | (uint64_t)first[1] << 32;

        address_space_write(&address_space_memory, RAM_BASE + 0x5000 + i * 8, &pair, 8);
    }
    *var(0, 6) = insn(LI, 3, 0, 1) | (uint64_t)first[1] << 32;
    *var(0, 1) = 0;
    *var(0, 10) = RAM_BASE + 0x5000 + 16;
    *var(0, 9) = patches;
    *var(1, 9) = patches;
    *var(1, 3) = 0;
    *var(1, 12) = 0;
    *var(0, 2) = *var(1, 2) = RAM_BASE + function;
    *var(0, 4) = *var(1, 4) = RAM_BASE + count_at;
    *var(1, 11) = RAM_BASE + 0x2000 + 8;
    for (int n = 0; n < N_CPUS; n++) {
        thread[n] = start(n);
    }
    for (int n = 0; n < N_CPUS; n++) {
        g_thread_join(thread[n]);
    }
    g_assert_cmpuint(*var(1, 1), ==, patches); /* else it stopped at an old version */
    g_assert_cmpuint(*var(1, 3), >=, *var(1, 1));
}

/* A vCPU that runs an endless loop does not hold a quiescing thread up, with and without the big lock. */
static void test_quiesce_running(void)
{
    const uint32_t program[] = {insn(ADDI, 1, 1, 1), insn(JMP, 0, 0, -1)};
    GThread *thread;

    put_code(0x1000, program, sizeof(program));
    thread = start(0);
    while (!tcg_in_guest_code(cpu[0]->accel)) {
        g_thread_yield();
    }
    for (int i = 0; i < 50; i++) {
        physical_memory_quiesce();
    }
    bql_lock();
    for (int i = 0; i < 50; i++) {
        physical_memory_quiesce();
    }
    bql_unlock();
    stop(0, thread);
}

/* D2: what a vCPU began before is done when quiesce returns. */
static void test_quiesce_waits(void)
{
    const uint32_t program[] = {insn(SLOW, 0, 0, 0), insn(HALT, 0, 0, 0)};
    GThread *thread;

    put_code(0x1000, program, sizeof(program));
    atomic_set(&slow_entered, 0);
    atomic_set(&slow_left, 0);
    thread = start(0);
    while (!atomic_load_acquire(&slow_entered)) {
        g_thread_yield();
    }
    physical_memory_quiesce();
    g_assert_cmpuint(atomic_load_acquire(&slow_left), ==, 1);
    g_thread_join(thread);
}

/* --- start --- */

static void make_machine(void)
{
    const char *options = g_getenv("GODWIT_TEST_ACCEL");
    g_autoptr(GError) error = NULL;

    bql_init();
    bql_lock();
    memory_init();
    accel_select("tcg", options ? options : "tb-size=16", &error);
    g_assert_no_error(error);
    memory_region_init_ram(&pad, NULL, "pad", PAD_SIZE, &error);
    memory_region_init_ram(&ram, NULL, "ram", RAM_SIZE, &error);
    g_assert_no_error(error);
    memory_region_init_io(&dev, NULL, &dev_ops, NULL, "dev", TARGET_PAGE_SIZE);
    memory_region_add_subregion(get_system_memory(), RAM_BASE, &ram);
    memory_region_add_subregion(get_system_memory(), DEV_BASE, &dev);
    host = memory_region_get_ram_ptr(&ram);
    for (int n = 0; n < N_CPUS; n++) {
        cpu[n] = cpu_new("toy", NULL, n, &error);
        g_assert_no_error(error);
    }
    bql_unlock();
}

/* --- the gate before RAM --- */

static struct {
    unsigned reads, writes;
    uint64_t read_pages, write_pages; /* sets, by number in the RAM */
    bool at_safe_points;
} gate;

static void note_gate(uint64_t offset, uint64_t *pages)
{
    *pages |= UINT64_C(1) << offset / TARGET_PAGE_SIZE;
    gate.at_safe_points &= !tcg_in_guest_code(cpu[0]->accel);
}

static bool gate_before_read(RAMBlock *block, uint64_t offset, uint64_t length)
{
    gate.reads++;
    note_gate(offset, &gate.read_pages);
    return true;
}

static bool gate_before_write(RAMBlock *block, uint64_t offset, uint64_t length)
{
    gate.writes++;
    note_gate(offset, &gate.write_pages);
    return true;
}

static const RamGateOps gate_ops = {gate_before_read, gate_before_write};

static void close_gate(void)
{
    memset(&gate, 0, sizeof(gate));
    gate.at_safe_points = true;
    g_assert_true(ram_gate_close(&gate_ops, NULL));
}

/* @op r1, [r2]; halt */
static void access_once(unsigned op, uint64_t to)
{
    const uint32_t program[] = {insn(op, 1, 2, 0), insn(HALT, 0, 0, 0)};

    put_code(CODE_AT, program, sizeof(program));
    *var(0, 2) = RAM_BASE + to;
    run(cpu[0], CODE_AT);
}

#define PAGE_BIT(offset) (UINT64_C(1) << (offset) / TARGET_PAGE_SIZE)

/* The program's own page was translated before: its bytes are fetched through the gate all the same. */
static void test_gate_fetch(void)
{
    access_once(LD, DATA_AT);
    close_gate();
    access_once(LD, DATA_AT);
    g_assert_true(gate.read_pages & PAGE_BIT(CODE_AT));
    g_assert_true(gate.at_safe_points);
    ram_gate_open();
}

static void test_gate_load_once(void)
{
    access_once(LD, DATA_AT);
    close_gate();
    access_once(LD, DATA_AT);
    g_assert_cmphex(gate.read_pages, ==, PAGE_BIT(CODE_AT) | PAGE_BIT(DATA_AT));
    g_assert_cmpuint(gate.reads, ==, 2);
    access_once(LD, DATA_AT);
    g_assert_cmpuint(gate.reads, ==, 2);
    g_assert_cmpuint(gate.writes, ==, 0);
    ram_gate_open();
}

static void test_gate_load_opens_no_store(void)
{
    access_once(ST, DATA_AT);
    access_once(LD, DATA_AT);
    close_gate();
    access_once(LD, DATA_AT);
    access_once(ST, DATA_AT);
    g_assert_true(gate.write_pages & PAGE_BIT(DATA_AT));
    g_assert_true(gate.at_safe_points);
    ram_gate_open();
}

/* Nor when stores are foreseen after loads. */
static void test_gate_load_foresees_nothing(void)
{
    tlb_flush(cpu[0]->env);
    load_and_store(DATA_AT);
    close_gate();
    access_once(LD, DATA_AT);
    g_assert_cmpuint(gate.write_pages & PAGE_BIT(DATA_AT), ==, 0);
    access_once(ST, DATA_AT);
    g_assert_true(gate.write_pages & PAGE_BIT(DATA_AT));
    ram_gate_open();
}

static void test_gate_store_once(void)
{
    uint64_t slow;

    access_once(ST, DATA_AT);
    close_gate();
    access_once(ST, DATA_AT);
    g_assert_true(gate.write_pages & PAGE_BIT(DATA_AT));
    slow = stats(0)->slow_stores;
    gate.writes = 0;
    access_once(ST, DATA_AT);
    g_assert_cmpuint(gate.writes, ==, 0);
    g_assert_cmpuint(stats(0)->slow_stores, ==, slow);
    ram_gate_open();
}

static void test_gate_atomic(void)
{
    access_once(AMOADD, DATA_AT);
    close_gate();
    access_once(AMOADD, DATA_AT);
    g_assert_true(gate.write_pages & PAGE_BIT(DATA_AT));
    ram_gate_open();
}

static void test_gate_crossing(void)
{
    access_once(ST, DATA_AT + TARGET_PAGE_SIZE - 4);
    close_gate();
    access_once(ST, DATA_AT + TARGET_PAGE_SIZE - 4);
    g_assert_cmphex(gate.write_pages & ~PAGE_BIT(CODE_AT), ==,
                    PAGE_BIT(DATA_AT) | PAGE_BIT(DATA_AT + TARGET_PAGE_SIZE));
    ram_gate_open();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    make_machine();
    g_test_add_func("/cputlb/store/first-marks", test_first_store_marks);
    g_test_add_func("/cputlb/store/second-is-fast", test_second_store_fast);
    g_test_add_func("/cputlb/store/crossing-marks-both-pages", test_crossing_marks_both);
    g_test_add_func("/cputlb/atomic/marks", test_atomic_marks);
    g_test_add_func("/cputlb/rearm/D4-next-store-marks-at-true-ram-addr", test_rearm_marks_again);
    g_test_add_func("/cputlb/rearm/D4-also-when-page-was-pending", test_rearm_when_pending);
    g_test_add_func("/cputlb/code/store-drops-only-overlapping", test_store_drops_overlapping);
    g_test_add_func("/cputlb/code/store-beside-code-drops-nothing", test_store_beside_code);
    g_test_add_func("/cputlb/code/dma-drops", test_dma_drops_code);
    g_test_add_func("/cputlb/code/fast-page-becomes-code", test_fast_page_becomes_code);
    g_test_add_func("/cputlb/code/busy-page-becomes-fast-again", test_busy_page_opens);
    g_test_add_func("/cputlb/code/same-bytes-revive-the-block", test_revive);
    g_test_add_func("/cputlb/code/revived-block-is-dropped-again", test_revive_is_dropped_again);
    g_test_add_func("/cputlb/code/page-written-anew-goes-at-once", test_rewrite);
    g_test_add_func("/cputlb/code/page-is-remembered-for-stores-beside-code", test_code_store);
    g_test_add_func("/cputlb/code/D4-remembered-page-marks-again", test_code_store_rearm);
    g_test_add_func("/cputlb/code/flush-all", test_flush_all);
    g_test_add_func("/cputlb/code/full-cache-loses-its-oldest-segment", test_evict);
    g_test_add_func("/cputlb/foreseen/store-after-load-is-fast", test_foreseen);
    g_test_add_func("/cputlb/foreseen/not-where-only-loads-come", test_foreseen_loads_alone);
    g_test_add_func("/cputlb/foreseen/not-without-permission", test_foreseen_read_only);
    g_test_add_func("/cputlb/foreseen/not-where-somebody-waits", test_foreseen_marks);
    g_test_add_func("/cputlb/foreseen/D4-rearm-empties", test_foreseen_rearm);
    g_test_add_func("/cputlb/asid/switch-back-needs-no-walk", test_switch_asid);
    g_test_add_func("/cputlb/asid/flush-keeps-others-and-global", test_flush_asid);
    g_test_add_func("/cputlb/page/flush-drops-one-page", test_flush_page);
    g_test_add_func("/cputlb/page/flush-drops-whole-large-leaf", test_flush_large);
    g_test_add_func("/cputlb/page/flush-drops-whole-giant-leaf", test_flush_giant);
    g_test_add_func("/cputlb/page/flush-beside-large-leaf-keeps-it", test_flush_beside_large);
    g_test_add_func("/cputlb/page/flush-of-large-leaf-drops-jumps-into-it", test_flush_large_jump);
    g_test_add_func("/cputlb/page/flush-of-large-leaf-drops-straddling-jump", test_flush_large_straddling_jump);
    g_test_add_func("/cputlb/page/flush-of-large-leaf-keeps-jumps-elsewhere", test_flush_large_data);
    g_test_add_func("/cputlb/gate/fetch-passes", test_gate_fetch);
    g_test_add_func("/cputlb/gate/load-passes-once", test_gate_load_once);
    g_test_add_func("/cputlb/gate/load-opens-no-store", test_gate_load_opens_no_store);
    g_test_add_func("/cputlb/gate/load-foresees-no-store", test_gate_load_foresees_nothing);
    g_test_add_func("/cputlb/gate/store-passes-once", test_gate_store_once);
    g_test_add_func("/cputlb/gate/atomic-passes", test_gate_atomic);
    g_test_add_func("/cputlb/gate/crossing-passes-both-pages", test_gate_crossing);
    g_test_add_func("/cputlb/slot/D4-rearm-empties", test_slot_rearm);
    g_test_add_func("/cputlb/slot/page-becomes-code", test_slot_becomes_code);
    g_test_add_func("/cputlb/slot/another-address-space", test_slot_asid);
    g_test_add_func("/cputlb/slot/flush-of-the-page", test_slot_flush_page);
    g_test_add_func("/cputlb/slot/flush-after-the-entry-went", test_slot_outlives_entry);
    g_test_add_func("/cputlb/slot/flush-of-a-large-leaf", test_slot_flush_large);
    g_test_add_func("/cputlb/slot/crossing", test_slot_crossing);
    g_test_add_func("/cputlb/slot/empty-matches-nothing", test_slot_empty_matches_nothing);
    g_test_add_func("/cputlb/slot/bad-site-does-without", test_slot_bad_site);
    g_test_add_func("/cputlb/device/runs-quiescent-under-the-big-lock", test_device);
    g_test_add_func("/cputlb/topology/change-is-seen", test_topology);
    g_test_add_func("/cputlb/quiesce/running-vcpu-passes-safe-point", test_quiesce_running);
    g_test_add_func("/cputlb/quiesce/D2-waits-for-what-is-under-way", test_quiesce_waits);
    g_test_add_func("/cputlb/storm/D1-no-store-is-lost", test_dirty_storm);
    g_test_add_func("/cputlb/storm/D1-nor-with-page-slots", test_slot_storm);
    g_test_add_func("/cputlb/storm/no-block-of-stale-bytes", test_patch_storm);
    return g_test_run();
}
