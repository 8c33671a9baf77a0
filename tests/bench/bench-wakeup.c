/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two vCPUs in WFI that wake each other in turn: how long one interrupt and wake-up take. */
#include <stdio.h>

#include "system/accel.h"
#include "system/clock.h"
#include "system/cpu.h"
#include "system/memory.h"
#include "system/runstate.h"

#define TURNS 200000

typedef struct PingCpu {
    CPUState parent;
    uint32_t line; /* atomic */
} PingCpu;

static uint64_t turns; /* atomic */

static PingCpu *ping(CPUState *cpu)
{
    return container_of(cpu, PingCpu, parent);
}

static void ping_reset(CPUState *cpu)
{
}

static bool ping_has_work(CPUState *cpu)
{
    return atomic_read(&ping(cpu)->line) != 0;
}

static void ping_set_irq(CPUState *cpu, int irq, int level)
{
    atomic_set(&ping(cpu)->line, level);
    cpu_interrupt(cpu, CPU_INTERRUPT_HARD);
}

static const CpuOps ping_ops = {
    .env_size = sizeof(PingCpu),
    .cpu_state_offset = offsetof(PingCpu, parent),
    .reset = ping_reset,
    .has_work = ping_has_work,
    .set_irq = ping_set_irq,
};
CPU_MODEL(ping, .name = "ping", .help = "wakes the other", .ops = &ping_ops);

/* An interrupt handler that sends an IPI through a device, as a guest does, and then waits for the answer. */
static void ping_exec(CPUState *cpu)
{
    cpu_exec_start(cpu);
    if (atomic_read(&ping(cpu)->line)) {
        atomic_set(&ping(cpu)->line, 0);
        bql_lock();
        irq_raise(cpu_irq(cpu_get(1 - cpu->index), 1));
        bql_unlock();
        atomic_add(&turns, 1);
    }
    cpu->halted = true;
    cpu_exec_end(cpu);
}
ACCEL(ping, .name = "ping", .help = "wakes the other", .cpu_exec = ping_exec);

int main(void)
{
    int64_t start;

    bql_init();
    bql_lock();
    memory_init();
    cpus_init();
    accel_select("ping", NULL, NULL);
    cpu_new("ping", NULL, 0, NULL);
    cpu_new("ping", NULL, 1, NULL);
    cpus_start_threads(NULL);
    vm_start();
    start = clock_get_ns(CLOCK_TYPE_REALTIME);
    irq_raise(cpu_irq(cpu_get(0), 1));
    bql_unlock();
    while (atomic_read(&turns) < TURNS) {
        g_usleep(1000);
    }
    printf("one wake-up: %.0f ns\n", (double)(clock_get_ns(CLOCK_TYPE_REALTIME) - start) / TURNS);
    bql_lock();
    vm_stop(RUN_STATE_PAUSED);
    cpus_end_threads();
    bql_unlock();
    return 0;
}
