/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Safe points, and what the memory model asks of the translator: withdraw fast stores, wait for those under
 * way, drop translations, follow the topology.
 *
 * tcg_quiesce() against tcg_enter_guest_code(): both sides use read-modify-writes or full barriers, so a vCPU
 * that the quiescing thread saw outside sees everything that thread did before when it enters.  That is why a
 * change of the topology only sets TcgCpu.flush_tlbs: whoever is outside looks at it on the way in, and the
 * others are waited for.
 */
#include "internal.h"

#include "system/accel.h"
#include "system/memory.h"
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

COUNTER(quiesces, "times a thread waited for stores of vCPUs under way");
COUNTER(quiesce_waits, "vCPUs that such a thread found in guest code");

#define SPINS_BEFORE_SLEEP 2000
#define SLEEP_NS           20000

/* --- entering and leaving --- */

void tcg_enter_guest_code(TcgCpu *tc)
{
    /* seq_cst: odd before any look at memory, TLBs or flush_tlbs; pairs with smp_mb() in tcg_quiesce() */
    atomic_inc(&tc->epoch);
    if (unlikely(atomic_read(&tc->flush_tlbs)) && atomic_xchg(&tc->flush_tlbs, 0)) {
        tlb_forget_all(tc);
    }
}

void tcg_leave_guest_code(TcgCpu *tc)
{
    /* seq_cst: after every store made in guest code; pairs with the acquire in has_moved_on() */
    atomic_inc(&tc->epoch);
}

void cpu_leave_guest(TCGEnv *env)
{
    TcgCpu *tc = env_tcg_cpu(env);

    if (!tc || current_cpu != tc->cpu || tc->left_depth++ > 0) {
        return;
    }
    tc->left_guest = tcg_in_guest_code(tc);
    if (tc->left_guest) {
        tcg_fp_enter_c(env);
        tcg_leave_guest_code(tc);
    }
}

void cpu_enter_guest(TCGEnv *env)
{
    TcgCpu *tc = env_tcg_cpu(env);

    if (!tc || current_cpu != tc->cpu || --tc->left_depth > 0) {
        return;
    }
    if (tc->left_guest) {
        tcg_enter_guest_code(tc);
        tcg_fp_leave_c(env);
    }
}

/* --- waiting for the others --- */

static bool has_moved_on(TcgCpu *tc, uint64_t epoch)
{
    return atomic_load_acquire(&tc->epoch) != epoch;
}

static void wait_for(TcgCpu *tc, uint64_t epoch)
{
    counter_inc(quiesce_waits);
    for (unsigned spins = 0; !has_moved_on(tc, epoch); spins++) {
        /* each time: the vCPU may have cleared an earlier request on its way in */
        atomic_set(&tc->env->exit_request, TCG_EXIT_WANTED);
        if (spins < SPINS_BEFORE_SLEEP) {
            cpu_relax();
        } else {
            nanosleep(&(struct timespec){.tv_nsec = SLEEP_NS}, NULL);
        }
    }
}

static void wait_for_others(TcgCpu *self)
{
    unsigned n = tcg_cpu_count();
    uint64_t epoch[TCG_MAX_CPUS];

    for (unsigned i = 0; i < n; i++) {
        TcgCpu *tc = tcg_cpu_nth(i);

        epoch[i] = tc == self ? 0 : atomic_load_acquire(&tc->epoch);
        if (epoch[i] & 1) {
            atomic_set(&tc->env->exit_request, TCG_EXIT_WANTED);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        if (epoch[i] & 1) {
            wait_for(tcg_cpu_nth(i), epoch[i]);
        }
    }
}

void tcg_quiesce(void)
{
    TcgCpu *self = current_cpu ? current_cpu->accel : NULL;
    bool was_in = self && tcg_in_guest_code(self);

    if (tcg_cpu_count() == 1 && self) {
        return;
    }
    counter_inc(quiesces);
    smp_mb(); /* what was withdrawn before this is withdrawn for whoever enters later */
    /* a vCPU at this point is in no store; two that wait for each other must not wait for ever */
    if (was_in) {
        tcg_leave_guest_code(self);
    }
    wait_for_others(self);
    if (was_in) {
        tcg_enter_guest_code(self);
    }
    smp_mb();
}

/* --- DirtyListenerOps --- */

bool tcg_barriers_are_heavy;

static void use_heavy_barriers(void)
{
    tcg_barriers_are_heavy = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

/* A full barrier in every running thread of the process, at some point of its program during this call. */
static void heavy_barrier(void)
{
    smp_mb();
    if (tcg_barriers_are_heavy) {
        syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    }
}

/*
 * D4 against a refill, without a lock.  A vCPU fills a write entry, then, after a light barrier, looks at rearms and at
 * the bits (tlb_keep_write()).  Here the bits were cleared and rearms is counted, then comes the heavy barrier, then the
 * entries are looked at.  Where the barrier falls in the vCPU's program decides: entries filled before it are
 * found here; whoever looks after it sees what was written before it here.
 */
void tcg_withdraw_writes(ram_addr_t start, uint64_t length)
{
    unsigned n = tcg_cpu_count();
    bool others = n > 1 || !current_cpu || current_cpu->accel != tcg_cpu_nth(0);

    for (unsigned i = 0; i < n; i++) {
        atomic_inc(&tcg_cpu_nth(i)->tlb.rearms);
    }
    if (others) {
        heavy_barrier();
    }
    for (unsigned i = 0; i < tcg_cpu_count(); i++) {
        tlb_drop_writes(tcg_cpu_nth(i), start, length);
    }
}

void tcg_request_tlb_flush(TcgCpu *tc)
{
    atomic_set(&tc->flush_tlbs, 1);
    atomic_set(&tc->env->exit_request, TCG_EXIT_WANTED);
}

static void forget(void)
{
    for (unsigned i = 0; i < tcg_cpu_count(); i++) {
        tcg_request_tlb_flush(tcg_cpu_nth(i));
    }
}

static const DirtyListenerOps tcg_dirty_listener = {
    .rearm = tcg_withdraw_writes,
    .quiesce = tcg_quiesce,
    .invalidate_code = tb_invalidate_range,
    .forget = forget,
};

/* --- topology --- */

/* Host addresses of RAM that went are used by nobody when this returns. */
static void topology_changed(MemoryListener *listener)
{
    forget();
    tcg_quiesce();
}

static MemoryListener topology_listener = {
    .name = "tcg",
    .priority = 10,
    .commit = topology_changed,
};

void tcg_dirty_init(void)
{
    use_heavy_barriers();
    physical_memory_set_dirty_listener(&tcg_dirty_listener);
    physical_memory_enable_code_log();
    memory_listener_register(&topology_listener, &address_space_memory);
}
