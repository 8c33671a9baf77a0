/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A limit on how fast one vCPU dirties memory.
 *
 * The store path tells about each page whose MIGRATION bit the vCPU sets.  Each page moves the time when the
 * vCPU may go on by what it costs at the limit; a vCPU that gets ahead of the clock by more than AHEAD_NS leaves
 * guest code and sleeps until then (cpu_wait_io_event(), where it still does queued work and answers a stop).
 * As much time is not lost to it when it wakes late or dirtied nothing for a while.
 * Loads, and stores to pages that are dirty already, cost nothing: only writers are slowed down.
 *
 * A page counts again once its bit was taken, so the limit means something only while somebody takes the bits
 * now and then: migration's passes, else the timer of migration/dirty-limit.c.
 */
#include "cpus-internal.h"

#include "system/clock.h"
#include "system/memory.h"

#define AHEAD_NS INT64_C(10000000)

void cpu_charge_dirty_page(CPUState *cpu)
{
    int64_t now = clock_get_ns(CLOCK_TYPE_REALTIME);
    int64_t due = MAX(cpu->dirty_due_ns, now - AHEAD_NS);
    uint64_t limit = atomic_read(&cpu->dirty_limit); /* may have gone meanwhile */

    if (!limit) {
        return;
    }
    due += (int64_t)(TARGET_PAGE_SIZE * UINT64_C(1000000000) / limit);
    cpu->dirty_due_ns = due;
    if (due - now > AHEAD_NS) {
        int64_t until = atomic_read(&cpu->dirty_until_ns);

        until = MAX(until, now);
        atomic_set(&cpu->dirty_waited_ns, cpu->dirty_waited_ns + due - until);
        atomic_set(&cpu->dirty_until_ns, due);
        cpu_exit(cpu);
    }
}

void cpu_dirty_limit_set(CPUState *cpu, uint64_t bytes_per_second)
{
    atomic_set(&cpu->dirty_limit, bytes_per_second);
    if (atomic_xchg(&cpu->dirty_until_ns, 0)) { /* what it waits for was reckoned at the old limit */
        cpu_kick(cpu);
    }
}
