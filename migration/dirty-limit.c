/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * set-vcpu-dirty-limit and its kin: how much memory a vCPU may dirty in a second.
 *
 * The vCPU holds itself back (system/cpu-dirty-limit.c), by the pages that it dirties for the first time since their
 * log bits were taken.  While limits are in force a timer looks at the rates, and takes the bits when nobody else
 * uses the log: a page that is written all the time then costs one page per period.
 */
#include "dirty-limit.h"

#include "api/command.h"
#include "dirty-map.h"
#include "migration-internal.h"
#include "system/clock.h"
#include "system/cpu.h"
#include "system/physmem.h"
#include "util/error.h"

#define PERIOD_NS (INT64_C(1000) * 1000 * 1000)
#define LIMIT_MAX 1048576 /* MiB/s */

typedef struct VcpuLimit {
    uint64_t mib_per_second;  /* the user's; 0: none */
    uint64_t pages_seen;      /* CPUState.dirty_pages at the last look */
    int64_t waited_seen_ns;   /* CPUState.dirty_waited_ns likewise */
    uint64_t bytes_per_second; /* between the last two looks */
    int64_t waited_ns;
} VcpuLimit;

/* Big lock. */
static struct DirtyLimits {
    Timer timer;
    bool active;
    VcpuLimit *vcpu;    /* of all vCPUs, made with the first limit */
    uint64_t migration; /* MiB/s for all; 0: none */
    int64_t looked_ns;
} limits;

static uint64_t limit_of(int index)
{
    uint64_t user = limits.vcpu ? limits.vcpu[index].mib_per_second : 0;

    return user && limits.migration ? MIN(user, limits.migration) : user + limits.migration;
}

/* --- the timer --- */

static void measure_rates(int64_t now)
{
    int64_t elapsed = MAX(now - limits.looked_ns, 1);
    CPUState *cpu;
    int i;

    limits.looked_ns = now;
    CPU_FOREACH (cpu, i) {
        VcpuLimit *v = &limits.vcpu[i];
        uint64_t pages = atomic_read(&cpu->dirty_pages);
        int64_t waited = atomic_read(&cpu->dirty_waited_ns);

        v->bytes_per_second =
            (uint64_t)((double)((pages - v->pages_seen) * TARGET_PAGE_SIZE) * 1e9 / (double)elapsed);
        atomic_set(&v->waited_ns, waited - v->waited_seen_ns);
        v->pages_seen = pages;
        v->waited_seen_ns = waited;
    }
}

/* D3: only while the bits belong to nobody else.  No page is read, so there is nothing to quiesce for. */
static void take_log(void)
{
    RAMBlock *block;

    if (memory_global_dirty_log_users() != GLOBAL_DIRTY_LIMIT) {
        return;
    }
    memory_global_dirty_log_sync();
    dirty_map_sample();
    RAMBLOCK_FOREACH_MIGRATABLE (block) {
        physical_memory_test_and_clear_dirty(block->offset, block->used_length, DIRTY_MEMORY_MIGRATION, NULL);
    }
}

static void tick(void *opaque)
{
    int64_t now = clock_get_ns(CLOCK_TYPE_REALTIME);

    measure_rates(now);
    take_log();
    timer_mod(&limits.timer, now + PERIOD_NS);
}

/* --- putting limits in force --- */

static bool start(GError **error)
{
    RAMBlock *block;

    if (!memory_global_dirty_log_start(GLOBAL_DIRTY_LIMIT, error)) {
        return false;
    }
    limits.active = true;
    if (memory_global_dirty_log_users() == GLOBAL_DIRTY_LIMIT) { /* what the log holds from before does not count */
        RAMBLOCK_FOREACH_MIGRATABLE (block) {
            physical_memory_test_and_clear_dirty(block->offset, block->used_length, DIRTY_MEMORY_MIGRATION, NULL);
        }
        dirty_map_begin();
    }
    if (!limits.timer.func) {
        timer_init(&limits.timer, CLOCK_TYPE_REALTIME, tick, NULL);
    }
    measure_rates(clock_get_ns(CLOCK_TYPE_REALTIME));
    for (int i = 0; i < cpu_count(); i++) { /* of the time before, which nobody asked for */
        limits.vcpu[i].bytes_per_second = 0;
        atomic_set(&limits.vcpu[i].waited_ns, 0);
    }
    timer_mod(&limits.timer, clock_get_ns(CLOCK_TYPE_REALTIME) + PERIOD_NS);
    return true;
}

static void stop(void)
{
    limits.active = false;
    timer_del(&limits.timer);
    memory_global_dirty_log_stop(GLOBAL_DIRTY_LIMIT);
}

static bool any_limit(void)
{
    for (int i = 0; i < cpu_count(); i++) {
        if (limit_of(i)) {
            return true;
        }
    }
    return false;
}

static bool apply(GError **error)
{
    CPUState *cpu;
    int i;

    if (any_limit() && !limits.active && !start(error)) {
        return false;
    }
    CPU_FOREACH (cpu, i) {
        uint64_t bytes = limit_of(i) << 20;

        if (bytes != atomic_read(&cpu->dirty_limit)) {
            cpu_dirty_limit_set(cpu, bytes);
        }
    }
    if (limits.active && !any_limit()) {
        stop();
    }
    return true;
}

static void make_table(void)
{
    if (!limits.vcpu) { /* vCPUs neither come nor go once the machine is complete */
        limits.vcpu = g_new0(VcpuLimit, MAX(1, cpu_count()));
    }
}

bool dirty_limit_set_migration(uint64_t mib_per_second, GError **error)
{
    uint64_t before = limits.migration;

    make_table();
    atomic_store_release(&limits.migration, mib_per_second); /* the table is there: pairs with dirty_limit_waited_us() */
    if (!apply(error)) {
        atomic_set(&limits.migration, before);
        return false;
    }
    return true;
}

bool dirty_limit_waited_us(int64_t *us)
{
    bool limited = atomic_load_acquire(&limits.migration) != 0;
    int64_t longest = 0;

    for (int i = 0; limited && i < cpu_count(); i++) {
        longest = MAX(longest, atomic_read(&limits.vcpu[i].waited_ns));
    }
    *us = longest / 1000;
    return limited;
}

/* --- commands --- */

typedef struct LimitArgs {
    int64_t index;
    bool has_index;
    uint64_t mib_per_second;
} LimitArgs;

static bool set_limit(const LimitArgs *a, uint64_t mib_per_second, GError **error)
{
    if (a->has_index && (a->index < 0 || a->index >= cpu_count())) {
        return fail(error, "there is no CPU %" PRId64, a->index);
    }
    make_table();
    for (int i = 0; i < cpu_count(); i++) {
        if (!a->has_index || a->index == i) {
            limits.vcpu[i].mib_per_second = mib_per_second;
        }
    }
    return apply(error); /* what it cannot put in force now is with the next limit */
}

static bool run_set(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const LimitArgs *a = args;

    return set_limit(a, a->mib_per_second, error);
}

static bool run_cancel(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    return set_limit(args, 0, error);
}

static const Field set_args[] = {
    F_I64(LimitArgs, index, "cpu-index", .optional = true, F_HAS(LimitArgs, has_index), .help = "absent: all"),
    F_U64(LimitArgs, mib_per_second, "dirty-rate", .max = LIMIT_MAX, .unit = "MiB/s", .help = "0: no limit"),
    FIELD_END,
};

/* On a line of HMP the rate comes first. */
static const Field set_hmp_args[] = {
    F_U64(LimitArgs, mib_per_second, "dirty_rate", .positional = true, .max = LIMIT_MAX, .unit = "MiB/s"),
    F_I64(LimitArgs, index, "cpu_index", .positional = true, .optional = true, F_HAS(LimitArgs, has_index)),
    FIELD_END,
};

static const Field cancel_args[] = {
    F_I64(LimitArgs, index, "cpu-index", .positional = true, .optional = true, F_HAS(LimitArgs, has_index),
          .help = "absent: all"),
    FIELD_END,
};

typedef struct LimitReply {
    int64_t index;
    uint64_t limit, current;
} LimitReply;

static const Field limit_reply[] = {
    F_I64(LimitReply, index, "cpu-index"),
    F_U64(LimitReply, limit, "limit-rate", .unit = "MiB/s"),
    F_U64(LimitReply, current, "current-rate", .unit = "MiB/s"),
    FIELD_END,
};

static bool run_query(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    GPtrArray *list = g_ptr_array_new();

    for (int i = 0; i < cpu_count(); i++) {
        LimitReply *r;

        if (!limit_of(i)) {
            continue;
        }
        r = g_new0(LimitReply, 1);
        *r = (LimitReply){i, limit_of(i), (limits.vcpu[i].bytes_per_second + (1 << 19)) >> 20};
        g_ptr_array_add(list, r);
    }
    *(GPtrArray **)reply = list;
    return true;
}

static void print_limits(CommandContext *ctx, const void *args, const void *reply)
{
    GPtrArray *list = *(GPtrArray *const *)reply;

    if (!list->len) {
        g_string_append(ctx->output, "no vCPU has a dirty limit\n");
    }
    for (unsigned i = 0; i < list->len; i++) {
        const LimitReply *r = g_ptr_array_index(list, i);

        g_string_append_printf(ctx->output,
                               "vcpu[%" PRId64 "], limit rate %" PRIu64 " (MB/s), current rate %" PRIu64 " (MB/s)\n",
                               r->index, r->limit, r->current);
    }
}

COMMAND(set_vcpu_dirty_limit, .qmp = "set-vcpu-dirty-limit", .help = "limit how fast vCPUs dirty memory",
        .args = set_args, .args_size = sizeof(LimitArgs), .run = run_set);
COMMAND(set_vcpu_dirty_limit_hmp, .hmp = "set_vcpu_dirty_limit",
        .help = "limit how fast vCPUs (or one) dirty memory, in MiB/s", .args = set_hmp_args,
        .args_size = sizeof(LimitArgs), .run = run_set);
COMMAND(cancel_vcpu_dirty_limit, .qmp = "cancel-vcpu-dirty-limit", .hmp = "cancel_vcpu_dirty_limit",
        .help = "let vCPUs dirty memory as fast as they can", .args = cancel_args, .args_size = sizeof(LimitArgs),
        .run = run_cancel);
COMMAND(query_vcpu_dirty_limit, .qmp = "query-vcpu-dirty-limit", .hmp = "info vcpu_dirty_limit",
        .help = "show the dirty limits of vCPUs", .reply = limit_reply, .reply_size = sizeof(LimitReply),
        .reply_name = "DirtyLimitInfo", .reply_list = true, .run = run_query, .print_hmp = print_limits);
