/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nothing is lost (D1 to D6): everybody who writes guest memory does so at once, while two clients take their
 * bits at random moments and copy what they took; in the end each copy is what memory is.
 *
 * Writers: dirty-storm-writers.c.  Clients: a migration that goes through random passes, is cancelled and begun
 * again, and sees RAM come while it runs; a display with snapshots of random ranges.
 *
 * GODWIT_STORM_SECONDS: how long (2).  GODWIT_STORM_SEED.  GODWIT_TEST_ACCEL: options of the accelerator.
 */
#include "dirty-storm.h"

#include <stdio.h>
#include <string.h>

#include "accel/tcg/internal.h"
#include "system/accel.h"
#include "system/clock.h"
#include "system/memory-internal.h"
#include "system/physmem.h"
#include "system/runstate.h"
#include "tests/lib/toy-guest.h"
#include "util/bitmap.h"
#include "util/lock.h"

Area areas[N_AREAS] = {
    {.name = "low", .base = 0x80000000, .pages = 37},
    {.name = "high", .base = 0x90000000, .pages = 131},
    {.name = "video", .base = 0xa0000000, .pages = 70},
    {.name = "hot", .base = 0xb0000000, .pages = 19},
};
static uint8_t *screen; /* the display's copy of the video area */
unsigned n_areas;

struct StormCount count;

uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

uint64_t random_below(uint64_t *state, uint64_t limit)
{
    return (random_next(state) >> 16) % limit;
}

uint64_t seed(unsigned who)
{
    const char *text = g_getenv("GODWIT_STORM_SEED");

    return (text ? g_ascii_strtoull(text, NULL, 0) : 1) * UINT64_C(0x9e3779b97f4a7c15) + who * 7919 + 1;
}

/* --- all writers and the display stop together: threads, then the machine --- */

static Lock gate_lock = LOCK_INITIALIZER(RANK_LEAF, "gate");
static Cond gate_cond = {PTHREAD_COND_INITIALIZER};
static uint32_t gate_closed; /* atomic */
static unsigned parked, n_workers;
uint32_t ending;

void gate_pass(void)
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
           count.snapshots, count.stores, count.dma_writes, count.functions, lost);
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
    writers_init();
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
