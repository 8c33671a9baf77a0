/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vCPU threads: one per vCPU, alternating between guest code and waiting.
 *
 *        cpu_exec, no big lock  <------------------------------+
 *               | asked to leave                               |
 *               v                                              |
 *        needs_service()? --no--> WFI? --yes--> poll, sleep ---+
 *               | yes              no -------------------------+
 *               v                                              |
 *        big lock; cpu_wait_io_event(): work, stop ------------+
 *
 * Neither an interrupt of a vCPU that runs nor one that wakes it takes the big lock on the vCPU's side.
 *
 * Sleeping.  A vCPU with nothing to do sleeps on its own lock, not on the big one, so a wake-up by somebody
 * who holds the big lock (a store to the CLINT) does not make the woken thread queue for it.  kicked and
 * sleeping are a store buffering pair: the sleeper clears kicked, looks for reasons to run, sets sleeping,
 * looks at kicked; the kicker sets kicked, looks at sleeping.  Before it sleeps in WFI the vCPU polls kicked
 * for a while, as long as that pays: vCPUs that wake each other in turn then need no system call.
 */
#include "cpus-internal.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "system/accel.h"
#include "system/clock.h"
#include "system/machine.h"
#include "system/runstate.h"
#include "util/counters.h"
#include "util/error.h"
#include "util/rcu.h"
#include "util/trace.h"

TRACE_EVENT(cpus_pause, "all vCPUs");
TRACE_EVENT(cpus_resume, "all vCPUs");
COUNTER(cpus_halts, "times a vCPU thread had nothing to do");
COUNTER(cpus_polls, "of these, times it was woken while it polled");
COUNTER(cpus_polls_in_vain, "times it polled and was not woken");
COUNTER(cpus_sleeps, "times a vCPU thread slept");

#define POLL_MIN_NS      10000 /* about what a sleep and a wake-up cost */
#define POLL_MAX_NS      100000
#define POLL_BACKOFF_MAX 256

static Cond pause_cond = {PTHREAD_COND_INITIALIZER}; /* a vCPU stopped or began; with the big lock */
static Cond work_cond = {PTHREAD_COND_INITIALIZER};  /* a run_on_cpu item is done; with the big lock */
static bool halts_poll = true;                       /* constant once vCPU threads run */
static int throttle_percent;                         /* any thread, atomic */
static Timer throttle_timer;

/* --- queued work --- */

typedef struct WorkItem {
    CpuWork fn;
    void *opaque;
    bool exclusive;
    bool waited_for; /* then it belongs to the waiter */
    bool done;       /* big lock */
} WorkItem;

static void queue_work(CPUState *cpu, WorkItem *item)
{
    lock_acquire(&cpu->work_lock);
    g_queue_push_tail(&cpu->work, item);
    atomic_set(&cpu->work_pending, cpu->work.length);
    lock_release(&cpu->work_lock);
    cpu_kick(cpu);
}

static WorkItem *next_work(CPUState *cpu)
{
    LOCK_GUARD(&cpu->work_lock);
    WorkItem *item = g_queue_pop_head(&cpu->work);

    atomic_set(&cpu->work_pending, cpu->work.length);
    return item;
}

static void run_work(CPUState *cpu, WorkItem *item)
{
    bool waited_for = item->waited_for;

    if (item->exclusive) {
        bql_unlock();
        start_exclusive();
        item->fn(cpu, item->opaque);
        end_exclusive();
        bql_lock();
    } else {
        item->fn(cpu, item->opaque);
    }
    if (waited_for) {
        item->done = true;
        cond_broadcast(&work_cond);
    } else {
        g_free(item);
    }
}

static void process_queued_work(CPUState *cpu)
{
    while (atomic_read(&cpu->work_pending)) {
        WorkItem *item = next_work(cpu);

        if (item) {
            run_work(cpu, item);
        }
    }
}

static WorkItem *new_work(CpuWork fn, void *opaque, bool exclusive)
{
    WorkItem *item = g_new0(WorkItem, 1);

    item->fn = fn;
    item->opaque = opaque;
    item->exclusive = exclusive;
    return item;
}

void async_run_on_cpu(CPUState *cpu, CpuWork fn, void *opaque)
{
    queue_work(cpu, new_work(fn, opaque, false));
}

void async_safe_run_on_cpu(CPUState *cpu, CpuWork fn, void *opaque)
{
    queue_work(cpu, new_work(fn, opaque, true));
}

void run_on_cpu(CPUState *cpu, CpuWork fn, void *opaque)
{
    WorkItem item = {.fn = fn, .opaque = opaque, .waited_for = true};
    bool had_lock = bql_locked();

    if (cpu == current_cpu) {
        fn(cpu, opaque);
        return;
    }
    if (!had_lock) {
        bql_lock();
    }
    if (cpu->created) {
        queue_work(cpu, &item);
        while (!item.done) {
            bql_wait(&work_cond);
        }
    } else {
        fn(cpu, opaque); /* no thread yet: nobody else uses the vCPU */
    }
    if (!had_lock) {
        bql_unlock();
    }
}

/* --- waiting --- */

void cpu_wake(CPUState *cpu)
{
    atomic_xchg(&cpu->kicked, 1); /* full barrier; pairs with the fence in sleep_until_kicked() */
    if (atomic_read(&cpu->sleeping)) {
        lock_acquire(&cpu->work_lock);
        cond_signal(&cpu->halt_cond);
        lock_release(&cpu->work_lock);
    }
}

static void sleep_until_kicked(CPUState *cpu, int64_t timeout_ns)
{
    LOCK_GUARD(&cpu->work_lock);

    atomic_set(&cpu->sleeping, 1);
    smp_mb(); /* sleeping before the look at kicked; pairs with the exchange in cpu_wake() */
    counter_inc(cpus_sleeps);
    while (!atomic_read(&cpu->kicked)) {
        if (timeout_ns < 0) {
            cond_wait(&cpu->halt_cond, &cpu->work_lock);
        } else if (!cond_timedwait_ns(&cpu->halt_cond, &cpu->work_lock, timeout_ns)) {
            break;
        }
    }
    atomic_set(&cpu->sleeping, 0);
}

/* The big lock is held, and given up meanwhile. */
static void idle(CPUState *cpu, int64_t timeout_ns)
{
    bql_unlock();
    counter_inc(cpus_halts);
    sleep_until_kicked(cpu, timeout_ns);
    bql_lock();
}

bool cpu_can_run(CPUState *cpu)
{
    return !cpu->stop && !cpu->stopped && runstate_is_running();
}

/* How long until that time; clears it when it has come. */
static int64_t time_left_ns(int64_t *until_ns)
{
    int64_t until = atomic_read(until_ns);
    int64_t left;

    if (!until) {
        return 0;
    }
    left = until - clock_get_ns(CLOCK_TYPE_REALTIME);
    if (left <= 0) {
        atomic_cmpxchg(until_ns, until, 0);
        return 0;
    }
    return left;
}

static int64_t throttle_left_ns(CPUState *cpu)
{
    int64_t throttle = time_left_ns(&cpu->throttle_until_ns), limit = time_left_ns(&cpu->dirty_until_ns);

    return MAX(throttle, limit);
}

/* How long there is nothing to do: 0 when there is, -1 until somebody kicks. */
static int64_t idle_time_ns(CPUState *cpu)
{
    if (!cpu_can_run(cpu) || !accel_current()->cpu_exec) {
        return -1;
    }
    if (cpu->halted && !cpu->ops->has_work(cpu)) {
        return -1;
    }
    return throttle_left_ns(cpu);
}

static void acknowledge_stop(CPUState *cpu)
{
    if (cpu->stop) {
        atomic_set(&cpu->stop, false);
        atomic_set(&cpu->stopped, true);
        cond_broadcast(&pause_cond);
    }
}

void cpu_wait_io_event(CPUState *cpu)
{
    for (;;) {
        int64_t timeout_ns;

        atomic_xchg(&cpu->kicked, 0); /* before looking for reasons; pairs with the exchange in cpu_wake() */
        atomic_xchg(&cpu->exit_request, 0);
        process_queued_work(cpu);
        acknowledge_stop(cpu);
        if (cpu->unplug) {
            return;
        }
        timeout_ns = idle_time_ns(cpu);
        if (!timeout_ns) {
            return;
        }
        idle(cpu, timeout_ns);
    }
}

/* --- threads --- */

/* Whether something asks for more than to go on with guest code or to wait for an interrupt. */
static bool needs_service(CPUState *cpu)
{
    return atomic_read(&cpu->stop) || atomic_read(&cpu->stopped) ||
           atomic_read(&cpu->unplug) || atomic_read(&cpu->work_pending) ||
           atomic_read(&cpu->throttle_until_ns) || atomic_read(&cpu->dirty_until_ns) || !runstate_is_running();
}

/* Somebody else wanted the host's processor since the last call: it is not ours to burn. */
static bool was_preempted(CPUState *cpu)
{
    long before = cpu->poll_preemptions;
    struct rusage usage;

    getrusage(RUSAGE_THREAD, &usage);
    cpu->poll_preemptions = usage.ru_nivcsw;
    return usage.ru_nivcsw != before;
}

/* Each time that polling was in vain, or would have been at somebody's cost, twice as many halts go without it. */
static void poll_less(CPUState *cpu)
{
    cpu->poll_backoff = MIN(MAX(cpu->poll_backoff * 2, 1), POLL_BACKOFF_MAX);
    cpu->poll_skip = cpu->poll_backoff;
}

/* Looks for a kick for a while; false without one. */
static bool poll_for_kick(CPUState *cpu, int64_t start_ns)
{
    int64_t waited_ns = 0;

    if (cpu->poll_skip) {
        cpu->poll_skip--;
        return false;
    }
    if (was_preempted(cpu)) {
        poll_less(cpu);
        return false;
    }
    while (!atomic_read(&cpu->kicked) && waited_ns < MAX(cpu->poll_ns, POLL_MIN_NS)) {
        for (unsigned i = 0; i < 32 && !atomic_read(&cpu->kicked); i++) {
            cpu_relax();
        }
        waited_ns = clock_get_ns(CLOCK_TYPE_REALTIME) - start_ns;
    }
    if (!atomic_read(&cpu->kicked)) {
        counter_inc(cpus_polls_in_vain);
        poll_less(cpu);
        return false;
    }
    cpu->poll_backoff = 0;
    counter_inc(cpus_polls);
    return true;
}

/* Polls longer when that would have caught the kick that ended this sleep, less when the sleep was a long one. */
static void learn_from_sleep(CPUState *cpu, int64_t start_ns)
{
    bool brief = clock_get_ns(CLOCK_TYPE_REALTIME) - start_ns < POLL_MAX_NS;
    int64_t poll_ns = MAX(cpu->poll_ns, POLL_MIN_NS);

    cpu->poll_ns = brief ? MIN(poll_ns * 2, POLL_MAX_NS) : poll_ns / 2;
}

/* WFI.  Returns when the vCPU was kicked, perhaps sooner; nothing that it looks at needs the big lock. */
static void wait_for_interrupt(CPUState *cpu)
{
    int64_t start_ns;

    atomic_xchg(&cpu->kicked, 0); /* before looking for reasons; pairs with the exchange in cpu_wake() */
    if (cpu->ops->has_work(cpu) || needs_service(cpu)) {
        return;
    }
    counter_inc(cpus_halts);
    start_ns = clock_get_ns(CLOCK_TYPE_REALTIME);
    if (!halts_poll || !poll_for_kick(cpu, start_ns)) {
        sleep_until_kicked(cpu, -1);
        learn_from_sleep(cpu, start_ns);
    }
}

static void run_guest(CPUState *cpu)
{
    const AccelOps *accel = accel_current();

    do {
        accel->cpu_exec(cpu);
        atomic_xchg(&cpu->exit_request, 0); /* before looking at what was asked */
        while (cpu->halted && !needs_service(cpu) && !cpu->ops->has_work(cpu)) {
            wait_for_interrupt(cpu);
        }
    } while (!needs_service(cpu));
}

static void *vcpu_thread(void *opaque)
{
    CPUState *cpu = opaque;

    current_cpu = cpu;
    cpu->thread_id = syscall(SYS_gettid);
    bql_lock();
    cpu->created = true;
    cond_broadcast(&pause_cond);
    cpu_wait_io_event(cpu);
    while (!cpu->unplug) {
        bql_unlock();
        run_guest(cpu);
        bql_lock();
        cpu_wait_io_event(cpu);
    }
    cpu->created = false;
    process_queued_work(cpu);
    cond_broadcast(&pause_cond);
    bql_unlock();
    rcu_unregister_thread();
    return NULL;
}

void cpus_set_halt_polling(bool on)
{
    halts_poll = on;
}

static void throttle_tick(void *opaque);

void cpus_init(void)
{
    cond_init(&pause_cond);
    cond_init(&work_cond);
    timer_init(&throttle_timer, CLOCK_TYPE_REALTIME, throttle_tick, NULL);
}

bool cpus_start_threads(GError **error)
{
    CPUState *cpu;
    int i;

    CPU_FOREACH (cpu, i) {
        g_autofree char *name = g_strdup_printf("CPU %d", i);

        cpu->thread = g_thread_try_new(name, vcpu_thread, cpu, error);
        if (!cpu->thread) {
            cpus_end_threads();
            return false;
        }
        while (!cpu->created) {
            bql_wait(&pause_cond);
        }
    }
    machine_set_ready();
    return true;
}

void cpus_end_threads(void)
{
    CPUState *cpu;
    int i;

    CPU_FOREACH (cpu, i) {
        atomic_set(&cpu->unplug, true);
        cpu_kick(cpu);
    }
    CPU_FOREACH (cpu, i) {
        if (cpu->thread) {
            bql_unlock();
            g_thread_join(cpu->thread);
            bql_lock();
            cpu->thread = NULL;
        }
    }
}

/* --- all of them --- */

/* Asks all to stop, and says whether they have. */
static bool stop_all(void)
{
    bool all = true;
    CPUState *cpu;
    int i;

    clock_virtual_enable(false);
    CPU_FOREACH (cpu, i) {
        if (cpu == current_cpu || !cpu->created) {
            atomic_set(&cpu->stop, false);
            atomic_set(&cpu->stopped, true);
        } else if (!cpu->stopped) {
            atomic_set(&cpu->stop, true);
            cpu_kick(cpu);
            all = false;
        }
    }
    return all;
}

void pause_all_vcpus(void)
{
    trace(cpus_pause);
    if (current_cpu) {
        cpu_exit(current_cpu);
    }
    while (!stop_all()) { /* asks again: another thread may have resumed them meanwhile */
        bql_wait(&pause_cond);
    }
}

void resume_all_vcpus(void)
{
    CPUState *cpu;
    int i;

    if (!runstate_is_running()) {
        return;
    }
    trace(cpus_resume);
    clock_virtual_enable(true);
    CPU_FOREACH (cpu, i) {
        atomic_set(&cpu->stop, false);
        atomic_set(&cpu->stopped, false);
        cpu_kick(cpu);
    }
    cond_broadcast(&pause_cond); /* to whoever waits for a stop */
}

/* --- throttle: each vCPU runs SLICE, then sleeps so that the sleep has the share asked for --- */

#define THROTTLE_SLICE_NS INT64_C(10000000)
#define THROTTLE_MAX      99

static void throttle_tick(void *opaque)
{
    int percent = atomic_read(&throttle_percent);
    int64_t now = clock_get_ns(CLOCK_TYPE_REALTIME);
    int64_t sleep_ns = THROTTLE_SLICE_NS * percent / (100 - percent);
    CPUState *cpu;
    int i;

    if (!percent) {
        return;
    }
    CPU_FOREACH (cpu, i) {
        if (cpu_can_run(cpu)) {
            atomic_set(&cpu->throttle_until_ns, now + sleep_ns);
            cpu_exit(cpu);
        }
    }
    timer_mod(&throttle_timer, now + sleep_ns + THROTTLE_SLICE_NS);
}

void cpu_throttle_set(int percent)
{
    if (!throttle_timer.func) {
        timer_init(&throttle_timer, CLOCK_TYPE_REALTIME, throttle_tick, NULL);
    }
    if (percent <= 0) {
        cpu_throttle_stop();
        return;
    }
    atomic_set(&throttle_percent, MIN(percent, THROTTLE_MAX));
    if (!timer_pending(&throttle_timer)) {
        timer_mod(&throttle_timer, clock_get_ns(CLOCK_TYPE_REALTIME) + THROTTLE_SLICE_NS);
    }
}

void cpu_throttle_stop(void)
{
    CPUState *cpu;
    int i;

    atomic_set(&throttle_percent, 0);
    CPU_FOREACH (cpu, i) {
        if (atomic_xchg(&cpu->throttle_until_ns, 0)) {
            cpu_kick(cpu);
        }
    }
}

int cpu_throttle_get_percentage(void)
{
    return atomic_read(&throttle_percent);
}
