/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nothing is lost (D1 to D6): everybody who writes guest memory does so at once, while two clients take their
 * bits at random moments and copy what they took; in the end each copy is what memory is.
 *
 * Writers: vCPUs of a toy guest (translated stores, atomics, stores by C helpers, stores across pages and
 * blocks of their own code) and a device thread.  Clients: a migration that goes through random passes, is
 * cancelled and begun again, and sees RAM come while it runs; a display with snapshots of random ranges.
 *
 * GODWIT_STORM_SECONDS: how long (2).  GODWIT_STORM_SEED.  GODWIT_TEST_ACCEL: options of the accelerator.
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "accel/tcg.h"
#include "accel/tcg/internal.h"
#include "system/accel.h"
#include "system/clock.h"
#include "system/cpu.h"
#include "system/dma.h"
#include "system/memory-internal.h"
#include "system/memory.h"
#include "system/physmem.h"
#include "system/runstate.h"
#include "util/bitmap.h"
#include "util/lock.h"

#define PAGE            TARGET_PAGE_SIZE
#define N_CPUS          3
#define N_AREAS         4
#define HOT_AREA        3 /* comes and goes */
#define VGA_AREA        2
#define CODE_OFFSET     0x800 /* of each page: 1 KiB that holds functions; other writers leave it alone */
#define CODE_BYTES      0x400
#define WORKING_SET     8 /* pages */
#define STORES_PER_CALL 7

/* --- areas of memory --- */

/* Lengths are no multiples of 64 pages; all but the first lie at a ram_addr_t that is not 0. */
typedef struct Area {
    const char *name;
    hwaddr base;
    uint64_t pages;
    MemoryRegion mr;
    uint8_t *host, *copy;
    uint64_t dirty; /* set bits of bmap */
    unsigned long *bmap;
} Area;

static Area areas[N_AREAS] = {
    {.name = "low", .base = 0x80000000, .pages = 37},
    {.name = "high", .base = 0x90000000, .pages = 131},
    {.name = "video", .base = 0xa0000000, .pages = 70},
    {.name = "hot", .base = 0xb0000000, .pages = 19},
};
static uint8_t *screen;  /* the display's copy of the video area */
static unsigned n_areas; /* that may be written; atomic */

static struct {
    uint64_t rounds, cancels, passes, takes, pages_sent, hot_adds, snapshots, dma_writes, calls, functions;
} count;

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint64_t random_below(uint64_t *state, uint64_t limit)
{
    return (random_next(state) >> 16) % limit;
}

static uint64_t seed(unsigned who)
{
    const char *text = g_getenv("GODWIT_STORM_SEED");

    return (text ? g_ascii_strtoull(text, NULL, 0) : 1) * UINT64_C(0x9e3779b97f4a7c15) + who * 7919 + 1;
}

/* --- all writers and the display stop together: threads, then the machine --- */

static Lock gate_lock = LOCK_INITIALIZER(RANK_LEAF, "gate");
static Cond gate_cond = {PTHREAD_COND_INITIALIZER};
static uint32_t gate_closed; /* atomic */
static unsigned parked, n_workers;
static uint32_t ending;

static void gate_pass(void)
{
    if (!atomic_load_acquire(&gate_closed)) {
        return;
    }
    lock_acquire(&gate_lock);
    parked++;
    cond_broadcast(&gate_cond);
    while (atomic_read(&gate_closed)) {
        cond_wait(&gate_cond, &gate_lock);
    }
    parked--;
    cond_broadcast(&gate_cond);
    lock_release(&gate_lock);
}

static void gate_close(void)
{
    lock_acquire(&gate_lock);
    atomic_store_release(&gate_closed, 1);
    while (parked < n_workers) {
        cond_wait(&gate_cond, &gate_lock);
    }
    lock_release(&gate_lock);
    bql_lock();
    vm_stop(RUN_STATE_PAUSED);
    bql_unlock();
}

static void gate_open_threads(void)
{
    lock_acquire(&gate_lock);
    atomic_store_release(&gate_closed, 0);
    cond_broadcast(&gate_cond);
    while (parked) {
        cond_wait(&gate_cond, &gate_lock);
    }
    lock_release(&gate_lock);
}

static void gate_open(void)
{
    bql_lock();
    vm_start();
    bql_unlock();
    gate_open_threads();
}

/* --- the toy guest: registers are vars 1..15; an instruction is four bytes {op, rd, rs, imm} --- */

enum { HALT, PICK, ST, AMOADD, LI, JR, BNE };

typedef struct ToyCPU {
    TCGEnv tcg;
    uint64_t random, expected, sequence;
    hwaddr set[WORKING_SET]; /* 0: to be chosen */
    bool called;
    CPUState cs;
} ToyCPU;

static CPUState *cpu[N_CPUS];
static uint32_t stale_code;

static uint32_t insn(unsigned op, unsigned rd, unsigned rs, int imm)
{
    return op | rd << 8 | rs << 16 | (uint32_t)(uint8_t)imm << 24;
}

/*
 * A writer keeps to a few pages for a while, as programs do: what it stores there is lost for good if one
 * re-arm is missed, where writers that are everywhere would soon mark the page again.
 */
static hwaddr any_page(uint64_t *state)
{
    const Area *a = &areas[random_below(state, atomic_load_acquire(&n_areas))];

    return a->base + random_below(state, a->pages) * PAGE;
}

static const Area *area_of(hwaddr addr)
{
    for (unsigned i = 0; i < N_AREAS; i++) {
        if (addr - areas[i].base < areas[i].pages * PAGE) {
            return &areas[i];
        }
    }
    g_assert_not_reached();
}

static hwaddr random_page(ToyCPU *toy)
{
    hwaddr *page = &toy->set[random_below(&toy->random, WORKING_SET)];

    if (!*page || random_below(&toy->random, 3000) == 0) {
        *page = any_page(&toy->random);
    }
    return *page;
}

/* Eight aligned bytes outside the functions. */
static hwaddr random_word(ToyCPU *toy)
{
    return random_page(toy) + (random_below(&toy->random, CODE_OFFSET) & ~UINT64_C(7));
}

/* Eight bytes across the end of a page that is not an area's last. */
static hwaddr random_crossing(ToyCPU *toy)
{
    hwaddr page = random_page(toy);
    const Area *a = area_of(page);

    return MIN(page, a->base + (a->pages - 2) * PAGE) + PAGE - 1 - random_below(&toy->random, 7);
}

/* Writes a new function for the program to call next; most times where the last one was. */
static void write_function(ToyCPU *toy)
{
    TCGEnv *env = &toy->tcg;

    if (!toy->called || random_below(&toy->random, 100) == 0) {
        env->var[10] = any_page(&toy->random) + CODE_OFFSET + 64 * toy->cs.index;
    } else if (random_below(&toy->random, 4)) {
        return;
    }
    toy->expected = random_below(&toy->random, 127);
    cpu_store(env, env->var[10], insn(LI, 9, 0, toy->expected) | (uint64_t)insn(JR, 0, 12, 0) << 32, 3, 0);
    atomic_add_relaxed(&count.functions, 1);
}

static uint64_t help_pick(TCGEnv *env, uint64_t x, uint64_t y, uint64_t z)
{
    ToyCPU *toy = (ToyCPU *)env;

    if (toy->called && env->var[9] != toy->expected) {
        atomic_inc(&stale_code);
    }
    env->var[1] = toy->sequence += N_CPUS;
    for (int i = 2; i <= 5; i++) {
        env->var[i] = random_word(toy);
    }
    if (random_below(&toy->random, 8) == 0) {
        cpu_store(env, random_crossing(toy), toy->sequence, 3, 0);
    }
    cpu_store(env, random_word(toy) + random_below(&toy->random, 8), toy->sequence, 0, 0);
    write_function(toy);
    toy->called = true;
    atomic_add_relaxed(&count.calls, 1);
    return 0;
}

static uint64_t help_halt(TCGEnv *env, uint64_t a, uint64_t b, uint64_t c)
{
    ((ToyCPU *)env)->cs.halted = true;
    return 0;
}

static void emit_call(IRBlock *ir, intptr_t helper)
{
    IROp *op = ir_emit(ir, IR_CALL, IR_ZERO, IR_ZERO, IR_ZERO, helper);

    op->c = IR_ZERO;
    op->flags = IR_CALL_WRITES_VARS;
}

/* False: the block ends. */
static bool translate_one(IRBlock *ir, uint32_t at, uint32_t word)
{
    unsigned op = word & 0xff, rd = word >> 8 & 15, rs = word >> 16 & 15;
    int64_t imm = (int8_t)(word >> 24);
    IROp *o;

    ir_emit(ir, IR_INSN, IR_ZERO, IR_ZERO, IR_ZERO, at)->aux = 4;
    switch (op) {
    case PICK:
        emit_call(ir, (intptr_t)help_pick);
        return true;
    case ST:
        ir_emit(ir, IR_ST, IR_ZERO, rs, rd, imm)->mem = 3;
        return true;
    case AMOADD:
        ir_emit(ir, IR_AMO_ADD, rd, rs, rd, 0)->mem = 3 | IR_MEM_ALIGN;
        return true;
    case LI:
        ir_emit(ir, IR_MOVI, rd, IR_ZERO, IR_ZERO, imm);
        return true;
    case BNE:
        o = ir_emit(ir, IR_BRCOND, IR_ZERO, rd, rs, at + imm * 4);
        o->cond = IR_NE;
        ir_emit(ir, IR_JMP, IR_ZERO, IR_ZERO, IR_ZERO, at + 4);
        return false;
    case JR:
        ir_emit(ir, IR_JMP_IND, IR_ZERO, rs, IR_ZERO, 0);
        return false;
    default:
        emit_call(ir, (intptr_t)help_halt);
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
        if (more && (ctx->n_insns == ctx->max_insns || at == PAGE)) {
            ir_emit(ctx->ir, at == PAGE ? IR_JMP_FAR : IR_JMP, IR_ZERO, IR_ZERO, IR_ZERO, at);
            more = false;
        }
    }
    ctx->end_offset = at;
}

static bool toy_tlb_fill(TCGEnv *env, vaddr addr, unsigned size, MMUAccessType access, unsigned mmu_idx,
                         bool probe, TlbFill *fill)
{
    *fill = (TlbFill){.paddr = addr & TARGET_PAGE_MASK,
                      .prot = PAGE_READ | PAGE_WRITE | PAGE_EXEC,
                      .page_bits = 12,
                      .global = true};
    return true;
}

static uint32_t toy_tb_flags(TCGEnv *env)
{
    return 0;
}

static unsigned toy_fetch_mmu_idx(TCGEnv *env)
{
    return 0;
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

static hwaddr program_at(unsigned n)
{
    return areas[0].base + CODE_OFFSET + 0x200 + 64 * n;
}

static void put_program(unsigned n)
{
    const uint32_t program[] = {
        insn(PICK, 0, 0, 0),  insn(ST, 1, 2, 0),   insn(ST, 1, 3, 0),     insn(ST, 1, 4, 0),
        insn(ST, 1, 4, 0),    insn(ST, 1, 2, 0),   insn(AMOADD, 6, 5, 0), insn(JR, 0, 10, 0),
        insn(BNE, 13, 0, -8), insn(HALT, 0, 0, 0),
    };

    address_space_write(&address_space_memory, program_at(n), program, sizeof(program));
}

/* With the next choice of places.  vCPUs stopped. */
static void restart_program(unsigned n)
{
    ToyCPU *toy = (ToyCPU *)cpu[n]->env;

    toy->called = false;
    memset(toy->set, 0, sizeof(toy->set));
    toy->tcg.var[12] = program_at(n) + 8 * 4;
    toy->tcg.var[13] = 1;
    toy->tcg.pc = program_at(n);
}

static void prepare_vcpu(unsigned n)
{
    ToyCPU *toy = (ToyCPU *)cpu[n]->env;

    put_program(n);
    cpu[n]->halted = false;
    toy->random = seed(n + 1);
    toy->sequence = n;
    restart_program(n);
}

/* --- the device --- */

static void NO_TSAN fill_bytes(uint8_t *host, uint64_t value, uint64_t length)
{
    for (uint64_t i = 0; i < length; i++) {
        ((volatile uint8_t *)host)[i] = value >> (i % 8 * 8);
    }
}

static void dma_through_mapping(hwaddr addr, uint64_t length, uint64_t value)
{
    DmaMapping mapping;
    uint64_t mapped = length;

    if (dma_map(&address_space_memory, addr, &mapped, true, &mapping)) {
        fill_bytes(mapping.host, value, mapped);
        dma_unmap(&mapping, mapped);
    }
}

static void *device_thread(void *opaque)
{
    uint64_t random = seed(100), data[128];

    while (!atomic_read(&ending)) {
        hwaddr addr = any_page(&random);
        const Area *a = area_of(addr);
        uint64_t length = 1 + random_below(&random, sizeof(data));

        gate_pass();
        if (addr + PAGE < a->base + a->pages * PAGE && random_below(&random, 2)) {
            addr += PAGE - random_below(&random, MIN(length, CODE_BYTES)); /* into the next page */
        } else {
            addr += random_below(&random, CODE_OFFSET - length);
        }
        if (random_below(&random, 2)) {
            dma_through_mapping(addr, length, random_next(&random));
        } else {
            memset(data, (int)random_next(&random), length);
            dma_write(&address_space_memory, addr, data, length);
        }
        atomic_add_relaxed(&count.dma_writes, 1);
        g_usleep(random_below(&random, 400));
    }
    return NULL;
}

/* --- clients --- */

static void NO_TSAN copy_page(uint8_t *to, const uint8_t *from)
{
    for (unsigned i = 0; i < PAGE / 8; i++) {
        ((uint64_t *)to)[i] = ((const volatile uint64_t *)from)[i];
    }
}

static void take_snapshot(uint64_t first, uint64_t pages)
{
    Area *a = &areas[VGA_AREA];
    DirtyBitmapSnapshot *snap =
        memory_region_snapshot_and_clear_dirty(&a->mr, first * PAGE, pages * PAGE, DIRTY_MEMORY_VGA);

    for (uint64_t page = first; page < first + pages; page++) {
        if (memory_region_snapshot_get_dirty(snap, page * PAGE, PAGE)) {
            copy_page(screen + page * PAGE, a->host + page * PAGE);
        }
    }
    memory_region_snapshot_free(snap);
    atomic_add_relaxed(&count.snapshots, 1);
}

static void set_display(bool on)
{
    bql_lock();
    memory_region_set_log(&areas[VGA_AREA].mr, on, DIRTY_MEMORY_VGA);
    bql_unlock();
}

static void *display_thread(void *opaque)
{
    uint64_t random = seed(200);

    while (!atomic_read(&ending)) {
        uint64_t first = random_below(&random, areas[VGA_AREA].pages);

        gate_pass();
        if (random_below(&random, 40) == 0) {
            set_display(false);
            set_display(true); /* all of it is dirty again */
        }
        take_snapshot(first, 1 + random_below(&random, areas[VGA_AREA].pages - first));
        g_usleep(random_below(&random, 300));
    }
    return NULL;
}

/* --- the migration --- */

static void start_area(Area *a)
{
    a->bmap = bitmap_new(a->pages);
    bitmap_set(a->bmap, 0, a->pages);
    a->dirty = a->pages;
    memset(a->copy, 0xa5, a->pages * PAGE);
    a->mr.ram_block->bmap = a->bmap;
}

static void end_area(Area *a)
{
    a->mr.ram_block->bmap = NULL;
    g_clear_pointer(&a->bmap, g_free);
}

static void start_log(void)
{
    bql_lock();
    g_assert_true(memory_global_dirty_log_start(GLOBAL_DIRTY_MIGRATION, NULL));
    for (unsigned i = 0; i < n_areas; i++) {
        start_area(&areas[i]);
    }
    bql_unlock();
}

static void stop_log(void)
{
    bql_lock();
    memory_global_dirty_log_stop(GLOBAL_DIRTY_MIGRATION);
    bql_unlock();
    for (unsigned i = 0; i < N_AREAS; i++) {
        if (areas[i].bmap) {
            end_area(&areas[i]);
        }
    }
}

/* Takes all of an area, or pieces of it that begin and end anywhere in a word. */
static void take_area(Area *a, uint64_t *random, bool all)
{
    if (all || random_below(random, 2)) {
        a->dirty += physical_memory_sync_dirty_bitmap(a->mr.ram_block);
        count.takes++;
        return;
    }
    for (int n = 0; n < 3; n++) {
        uint64_t first = random_below(random, a->pages), pages = 1 + random_below(random, a->pages - first);

        a->dirty += physical_memory_test_and_clear_dirty(memory_region_get_ram_addr(&a->mr) + first * PAGE,
                                                         pages * PAGE, DIRTY_MEMORY_MIGRATION, a->bmap);
        count.takes++;
    }
}

static void sync_all(uint64_t *random, bool all)
{
    for (unsigned i = 0; i < n_areas; i++) {
        if (all || random_below(random, 4)) {
            take_area(&areas[i], random, all);
        }
    }
    physical_memory_quiesce(); /* D2 */
}

/* The bit goes before the page is read. */
static void send_some(Area *a, uint64_t *random, bool all)
{
    for (uint64_t page = find_next_bit(a->bmap, a->pages, 0); page < a->pages;
         page = find_next_bit(a->bmap, a->pages, page + 1)) {
        if (!all && random_below(random, 3) == 0) {
            continue;
        }
        clear_bit(page, a->bmap);
        a->dirty--;
        copy_page(a->copy + page * PAGE, a->host + page * PAGE);
        count.pages_sent++;
    }
}

static void send_pages(uint64_t *random, bool all)
{
    for (unsigned i = 0; i < n_areas; i++) {
        send_some(&areas[i], random, all);
    }
}

/* Memory comes while everybody runs. */
static void add_hot_area(bool migrating)
{
    Area *a = &areas[HOT_AREA];
    GError *error = NULL;

    bql_lock();
    memory_region_init_ram(&a->mr, NULL, a->name, a->pages * PAGE, &error);
    g_assert_no_error(error);
    a->host = memory_region_get_ram_ptr(&a->mr);
    memory_region_add_subregion(get_system_memory(), a->base, &a->mr);
    if (migrating) {
        start_area(a);
    }
    bql_unlock();
    atomic_store_release(&n_areas, N_AREAS);
    count.hot_adds++;
}

/* Writers are parked. */
static void remove_hot_area(void)
{
    Area *a = &areas[HOT_AREA];

    if (n_areas < N_AREAS) {
        return;
    }
    atomic_store_release(&n_areas, N_AREAS - 1);
    bql_lock();
    memory_region_del_subregion(get_system_memory(), &a->mr);
    memory_region_destroy(&a->mr);
    bql_unlock();
    for (unsigned n = 0; n < N_CPUS; n++) {
        restart_program(n); /* it may have chosen a place there */
    }
}

static unsigned different_pages(const uint8_t *a, const uint8_t *b, uint64_t pages)
{
    unsigned n = 0;

    for (uint64_t page = 0; page < pages; page++) {
        n += memcmp(a + page * PAGE, b + page * PAGE, PAGE) != 0;
    }
    return n;
}

/* Everybody is parked: the last sync, the last pages. */
static unsigned switch_over(uint64_t *random)
{
    unsigned lost = 0;

    sync_all(random, true);
    send_pages(random, true);
    for (unsigned i = 0; i < n_areas; i++) {
        g_assert_cmpuint(areas[i].dirty, ==, 0); /* what the takes counted is what there was */
        lost += different_pages(areas[i].copy, areas[i].host, areas[i].pages);
    }
    take_snapshot(0, areas[VGA_AREA].pages);
    return lost + different_pages(screen, areas[VGA_AREA].host, areas[VGA_AREA].pages);
}

/* Auto-converge comes and goes; its timer has no main loop here. */
static void change_throttle(uint64_t *random)
{
    bql_lock();
    switch (random_below(random, 12)) {
    case 0:
        cpu_throttle_set(1 + (int)random_below(random, 60));
        break;
    case 1:
        cpu_throttle_stop();
        break;
    }
    clock_run_timers();
    bql_unlock();
}

/* One migration; returns how many pages it lost. */
static unsigned migrate_once(uint64_t *random)
{
    unsigned passes = 1 + random_below(random, 8), hot_pass = random_below(random, 16), lost = 0;
    bool cancel = random_below(random, 5) == 0;

    if (n_areas < N_AREAS && random_below(random, 8) == 0) {
        add_hot_area(false);
    }
    start_log();
    for (unsigned pass = 0; pass < passes; pass++) {
        if (pass == hot_pass && n_areas < N_AREAS) {
            add_hot_area(true);
        }
        sync_all(random, pass == 0); /* the first one's quiesce comes before the first page */
        g_usleep(random_below(random, 200));
        send_pages(random, false);
        g_usleep(random_below(random, 600));
        change_throttle(random);
        count.passes++;
    }
    if (cancel) {
        count.cancels++;
    } else {
        gate_close();
        lost = switch_over(random);
        count.rounds++;
    }
    stop_log();
    if (!cancel) {
        remove_hot_area();
        gate_open();
    }
    return lost;
}

/* --- running it --- */

static double storm_seconds(void)
{
    const char *text = g_getenv("GODWIT_STORM_SECONDS");

    return text ? g_ascii_strtod(text, NULL) : 2;
}

/* Until the time is over or pages were lost; returns how many. */
static unsigned storm(DirtyFault fault, double seconds)
{
    gint64 end = g_get_monotonic_time() + (gint64)(seconds * G_USEC_PER_SEC);
    GThread *thread[2];
    uint64_t random = seed(0);
    unsigned lost = 0;

    memset(&count, 0, sizeof(count));
    atomic_set(&ending, 0);
    atomic_set(&stale_code, 0);
    dirty_memory_set_fault(fault);
    set_display(true);
    memset(screen, 0x5a, areas[VGA_AREA].pages * PAGE);
    n_workers = G_N_ELEMENTS(thread);
    for (unsigned n = 0; n < N_CPUS; n++) {
        prepare_vcpu(n);
    }
    thread[0] = g_thread_new("device", device_thread, NULL);
    thread[1] = g_thread_new("display", display_thread, NULL);
    gate_open();
    while (!lost && g_get_monotonic_time() < end) {
        lost = migrate_once(&random);
    }
    gate_close();
    atomic_set(&ending, 1);
    gate_open_threads();
    for (unsigned n = 0; n < G_N_ELEMENTS(thread); n++) {
        g_thread_join(thread[n]);
    }
    remove_hot_area();
    set_display(false);
    bql_lock();
    cpu_throttle_stop();
    bql_unlock();
    dirty_memory_set_fault(DIRTY_FAULT_NONE);
    printf("# %" PRIu64 " migrations, %" PRIu64 " cancelled, %" PRIu64 " passes, %" PRIu64 " takes, %" PRIu64
           " pages sent, %" PRIu64 " hot-adds, %" PRIu64 " snapshots, %" PRIu64 " stores, %" PRIu64
           " device writes, %" PRIu64 " functions written; %u pages lost\n",
           count.rounds, count.cancels, count.passes, count.takes, count.pages_sent, count.hot_adds,
           count.snapshots, count.calls * STORES_PER_CALL, count.dma_writes, count.functions, lost);
    return lost;
}

static void test_nothing_lost(void)
{
    g_assert_cmpuint(storm(DIRTY_FAULT_NONE, storm_seconds()), ==, 0);
    g_assert_cmpuint(count.rounds, >, 0);
    g_assert_cmpuint(stale_code, ==, 0);
}

/* The storm must be able to fail: with a bug put in it does. */
static void test_fault_noticed(gconstpointer fault)
{
    g_assert_cmpuint(storm((DirtyFault)GPOINTER_TO_UINT(fault), 60), >, 0);
}

/* A block that was removed takes its translated code along: the next one at its place starts without. */
static void test_removed_code_gone(void)
{
    for (int value = 1; value <= 3; value++) {
        Area *a = &areas[HOT_AREA];
        uint32_t code[] = {insn(LI, 9, 0, value), insn(HALT, 0, 0, 0)};
        TCGEnv *env = cpu[0]->env;

        add_hot_area(false);
        memcpy(a->host, code, sizeof(code)); /* as a back end with contents of its own would bring it */
        env->pc = a->base;
        current_cpu = cpu[0];
        tcg_cpu_exec(cpu[0]);
        current_cpu = NULL;
        g_assert_cmpuint(env->var[9], ==, value);
        remove_hot_area();
    }
}

static void make_machine(void)
{
    const char *options = g_getenv("GODWIT_TEST_ACCEL");
    g_autoptr(GError) error = NULL;

    bql_init();
    bql_lock();
    memory_init();
    cpus_init();
    accel_select("tcg", options ? options : "tb-size=32", &error);
    g_assert_no_error(error);
    n_areas = N_AREAS - 1;
    for (unsigned i = 0; i < N_AREAS; i++) {
        Area *a = &areas[i];

        a->copy = g_malloc(a->pages * PAGE);
        if (i == HOT_AREA) {
            continue;
        }
        memory_region_init_ram(&a->mr, NULL, a->name, a->pages * PAGE, &error);
        g_assert_no_error(error);
        memory_region_add_subregion(get_system_memory(), a->base, &a->mr);
        a->host = memory_region_get_ram_ptr(&a->mr);
    }
    screen = g_malloc(areas[VGA_AREA].pages * PAGE);
    for (int n = 0; n < N_CPUS; n++) {
        cpu[n] = cpu_new("toy", NULL, n, &error);
        g_assert_no_error(error);
    }
    g_assert_true(cpus_start_threads(NULL));
    bql_unlock();
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    make_machine();
    g_test_add_func("/storm/dirty/nothing-is-lost", test_nothing_lost);
    g_test_add_data_func("/storm/mutation/rearm-at-block-offset-is-noticed",
                         GUINT_TO_POINTER(DIRTY_FAULT_REARM_OFFSET), test_fault_noticed);
    g_test_add_data_func("/storm/mutation/conditional-rearm-is-noticed",
                         GUINT_TO_POINTER(DIRTY_FAULT_REARM_CONDITIONAL), test_fault_noticed);
    g_test_add_data_func("/storm/mutation/no-rearm-is-noticed", GUINT_TO_POINTER(DIRTY_FAULT_NO_REARM),
                         test_fault_noticed);
    if (g_test_slow()) { /* a store in that window comes along when it wants to */
        g_test_add_data_func("/storm/mutation/no-quiesce-is-noticed",
                             GUINT_TO_POINTER(DIRTY_FAULT_NO_QUIESCE), test_fault_noticed);
    }
    g_test_add_func("/storm/code/removed-memory-takes-its-code-along", test_removed_code_gone);
    status = g_test_run();
    bql_lock();
    cpus_end_threads();
    bql_unlock();
    return status;
}
