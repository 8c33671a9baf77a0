/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vCPUs that run while others quiesce them, take dirty bits, or change their code. */
#include "cputlb.h"

#include <string.h>

#include "system/runstate.h"

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

/* --- quiesce --- */

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

/* D2: what a vCPU began before is done when quiesce returns. */
static void test_quiesce_waits(void)
{
    const uint32_t program[] = {insn(CALL, 0, 0, 0), insn(HALT, 0, 0, 0)};
    GThread *thread;

    toy_call = help_slow;
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

/* --- storms --- */

/* Both vCPUs store rising counters all over 16 pages; at the end what was taken and copied is what is there. */
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

void add_storm_tests(void)
{
    g_test_add_func("/cputlb/quiesce/running-vcpu-passes-safe-point", test_quiesce_running);
    g_test_add_func("/cputlb/quiesce/D2-waits-for-what-is-under-way", test_quiesce_waits);
    g_test_add_func("/cputlb/storm/D1-no-store-is-lost", test_dirty_storm);
    g_test_add_func("/cputlb/storm/D1-nor-with-page-slots", test_slot_storm);
    g_test_add_func("/cputlb/storm/no-block-of-stale-bytes", test_patch_storm);
}
