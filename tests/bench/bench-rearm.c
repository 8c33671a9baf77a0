/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a take of dirty bits asks of vCPUs that store all the time: the re-arm (their write entries go) and the quiesce
 * (each has passed a safe point), apart; and both together as the protection of a page of code has them
 * (tlb_protect_code).  With 0, 1 and 4 vCPUs that store into 16 MiB.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "accel/tcg/internal.h"
#include "system/accel.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "tests/lib/toy-guest.h"

#define RAM_BASE UINT64_C(0x80000000)
#define RAM_SIZE (UINT64_C(64) << 20)
#define CODE_AT   0x1000
#define DATA_AT   (UINT64_C(16) << 20)
#define DATA_SIZE (UINT64_C(16) << 20)
#define MAX_CPUS 4
#define ROUNDS   2000

static MemoryRegion ram;
static CPUState *cpus[MAX_CPUS];
static uint32_t ending; /* atomic */

static double now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void die(GError *error)
{
    if (error) {
        g_printerr("bench-rearm: %s\n", error->message);
        exit(1);
    }
}

static void make_machine(void)
{
    const uint32_t program[] = {insn(ADDI, 1, 1, 1),   insn(ST, 1, 2, 0),    insn(ADDI, 2, 2, 120),
                                insn(BLTU, 2, 4, -3), insn(ADDI, 2, 5, 0), insn(JMP, 0, 0, -5)};
    GError *error = NULL;

    bql_init();
    bql_lock();
    memory_init();
    accel_select("tcg", "tb-size=16", &error);
    die(error);
    memory_region_init_ram(&ram, NULL, "ram", RAM_SIZE, &error);
    die(error);
    memory_region_add_subregion(get_system_memory(), RAM_BASE, &ram);
    for (int n = 0; n < MAX_CPUS; n++) {
        cpus[n] = cpu_new("toy", NULL, n, &error);
        die(error);
    }
    address_space_write(&address_space_memory, RAM_BASE + CODE_AT, program, sizeof(program));
    bql_unlock();
}

/* --- vCPUs --- */

static uint64_t *var(int n, int v)
{
    return &((TCGEnv *)cpus[n]->env)->var[v];
}

static gpointer store_on(gpointer opaque)
{
    int n = GPOINTER_TO_INT(opaque);

    ((TCGEnv *)cpus[n]->env)->pc = RAM_BASE + CODE_AT;
    *var(n, 2) = *var(n, 5) = RAM_BASE + DATA_AT;
    *var(n, 4) = RAM_BASE + DATA_AT + DATA_SIZE;
    current_cpu = cpus[n];
    do {
        tcg_cpu_exec(cpus[n]);
    } while (!atomic_read(&ending));
    current_cpu = NULL;
    return NULL;
}

static void begin(GThread **threads, int n)
{
    atomic_set(&ending, 0);
    for (int i = 0; i < n; i++) {
        threads[i] = g_thread_new("vcpu", store_on, GINT_TO_POINTER(i));
    }
    for (int i = 0; i < n; i++) {
        while (!tcg_in_guest_code(cpus[i]->accel)) {
            g_thread_yield();
        }
    }
}

static void end(GThread **threads, int n)
{
    atomic_set(&ending, 1);
    for (int i = 0; i < n; i++) {
        cpu_exit(cpus[i]);
        g_thread_join(threads[i]);
    }
}

/* --- what is measured --- */

static void rearm_all(void)
{
    tcg_withdraw_writes(ram.ram_block->offset, RAM_SIZE);
}

static void rearm_page(void)
{
    tcg_withdraw_writes(ram.ram_block->offset + DATA_AT, TARGET_PAGE_SIZE);
}

static void protect_code(void)
{
    physical_memory_clear_dirty(ram.ram_block->offset + DATA_AT, TARGET_PAGE_SIZE, DIRTY_MEMORY_CODE);
    rearm_page();
    tcg_quiesce();
    physical_memory_set_dirty_flag(ram.ram_block->offset + DATA_AT, DIRTY_MEMORY_CODE);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void measure(const char *what, void (*fn)(void), int n)
{
    static double took[ROUNDS];
    double sum = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        double start = now_us();

        fn();
        took[i] = now_us() - start;
        sum += took[i];
        g_usleep(20); /* entries come back */
    }
    qsort(took, ROUNDS, sizeof(took[0]), by_value);
    printf("%-28s %d vCPUs   median %8.2f us   99 %% %8.2f us   mean %8.2f us\n", what, n, took[ROUNDS / 2],
           took[ROUNDS * 99 / 100], sum / ROUNDS);
}

int main(void)
{
    static const int counts[] = {0, 1, MAX_CPUS};
    GThread *threads[MAX_CPUS];

    make_machine();
    for (unsigned i = 0; i < G_N_ELEMENTS(counts); i++) {
        begin(threads, counts[i]);
        measure("re-arm, all RAM", rearm_all, counts[i]);
        measure("re-arm, one page", rearm_page, counts[i]);
        measure("quiesce", tcg_quiesce, counts[i]);
        measure("tlb_protect_code, one page", protect_code, counts[i]);
        end(threads, counts[i]);
    }
    return 0;
}
