/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exclusive sections: one thread runs while no vCPU is in translated code.
 *
 * A vCPU brackets translated code with cpu_exec_start() and cpu_exec_end(); both are one atomic exchange and
 * one look at exclusive_pending.  It is the store buffering pattern:
 *
 *   vCPU          running = 1;    (full barrier)   read pending
 *   exclusive     pending = 1;    (full barrier)   read running
 *
 * At least one of them sees the other.  A vCPU that sees pending steps back and waits; an owner that sees
 * running waits until the vCPU leaves.  Who owns the section is settled under exclusive_lock, and pending is
 * only changed under it, so a vCPU which finds pending clear under the lock may set running there.
 */
#include "cpus-internal.h"
#include "system/runstate.h"

static Lock exclusive_lock = LOCK_INITIALIZER(RANK_CPU_WORK, "exclusive");
static Cond left_cond = {PTHREAD_COND_INITIALIZER};  /* a vCPU left translated code */
static Cond ended_cond = {PTHREAD_COND_INITIALIZER}; /* the section ended */
static uint32_t exclusive_pending;                   /* atomic; written under exclusive_lock */
static __thread bool in_exclusive;

bool cpu_in_exclusive_context(void)
{
    return in_exclusive;
}

static void step_back(CPUState *cpu)
{
    LOCK_GUARD(&exclusive_lock);

    while (atomic_read(&exclusive_pending)) {
        atomic_set(&cpu->running, 0);
        cond_broadcast(&left_cond);
        cond_wait(&ended_cond, &exclusive_lock);
    }
    atomic_set(&cpu->running, 1);
}

void cpu_exec_start(CPUState *cpu)
{
    atomic_xchg(&cpu->running, 1); /* full barrier; pairs with the exchange in start_exclusive() */
    if (unlikely(atomic_read(&exclusive_pending)) && !in_exclusive) {
        step_back(cpu);
    }
}

void cpu_exec_end(CPUState *cpu)
{
    atomic_xchg(&cpu->running, 0); /* all that the vCPU did comes before; pairs with any_running() */
    if (unlikely(atomic_read(&exclusive_pending)) && !in_exclusive) {
        lock_acquire(&exclusive_lock);
        cond_broadcast(&left_cond);
        lock_release(&exclusive_lock);
    }
}

/* Asks those that run to leave. */
static bool any_running(void)
{
    bool any = false;
    CPUState *cpu;
    int i;

    CPU_FOREACH (cpu, i) {
        if (cpu != current_cpu && atomic_load_acquire(&cpu->running)) {
            cpu_exit(cpu);
            any = true;
        }
    }
    return any;
}

void start_exclusive(void)
{
    g_return_if_fail(!bql_locked() && !in_exclusive);
    lock_acquire(&exclusive_lock);
    while (atomic_read(&exclusive_pending)) {
        cond_wait(&ended_cond, &exclusive_lock);
    }
    atomic_xchg(&exclusive_pending, 1); /* full barrier; pairs with the exchange in cpu_exec_start() */
    while (any_running()) {
        cond_wait(&left_cond, &exclusive_lock);
    }
    lock_release(&exclusive_lock);
    in_exclusive = true;
}

void end_exclusive(void)
{
    in_exclusive = false;
    lock_acquire(&exclusive_lock);
    atomic_set(&exclusive_pending, 0);
    cond_broadcast(&ended_cond);
    lock_release(&exclusive_lock);
}
