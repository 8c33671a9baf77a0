/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * calc-dirty-rate: how fast the machine changes its memory.
 *
 * dirty-bitmap counts pages in the log, exactly; page-sampling compares hashes of some pages before and after, and
 * costs the machine nothing.  The measuring thread only sleeps.
 */
#include <string.h>

#include "api/command.h"
#include "dirty-map.h"
#include "migration-internal.h"
#include "system/physmem.h"
#include "system/runstate.h"
#include "util/error.h"
#include "util/lock.h"

#define SAMPLE_BLOCK_MIN (UINT64_C(128) << 20)

static const char *const mode_names[] = {"page-sampling", "dirty-ring", "dirty-bitmap", NULL};
enum { MODE_SAMPLING, MODE_RING, MODE_BITMAP };
static const char *const status_names[] = {"unstarted", "measuring", "measured", NULL};
enum { UNSTARTED, MEASURING, MEASURED };
static const char *const unit_names[] = {"second", "millisecond", NULL};

static struct DirtyRate {
    Lock lock;
    int status, mode, unit;
    int64_t start_time, calc_time; /* seconds; in .unit */
    int64_t sample_pages;          /* per GiB */
    int64_t mib_per_second;
} rate = {.lock = LOCK_INITIALIZER(RANK_LEAF, "dirty-rate"), .sample_pages = 512};

static int64_t window_us(void)
{
    return rate.unit ? rate.calc_time * 1000 : rate.calc_time * 1000000;
}

/* --- dirty-bitmap --- */

/* What the log holds from before does not count.  Big lock: no migration starts meanwhile. */
static bool start_log(GError **error)
{
    RAMBlock *block;

    if (!memory_global_dirty_log_start(GLOBAL_DIRTY_DIRTY_RATE, error)) {
        return false;
    }
    RAMBLOCK_FOREACH_MIGRATABLE (block) {
        physical_memory_test_and_clear_dirty(block->offset, block->used_length, DIRTY_MEMORY_MIGRATION, NULL);
    }
    dirty_map_begin();
    return true;
}

static uint64_t count_log(void)
{
    uint64_t pages = 0;
    RAMBlock *block;

    bql_lock();
    memory_global_dirty_log_sync();
    dirty_map_sample();
    RAMBLOCK_FOREACH_MIGRATABLE (block) {
        pages += physical_memory_count_dirty(block->offset, block->used_length, DIRTY_MEMORY_MIGRATION);
    }
    memory_global_dirty_log_stop(GLOBAL_DIRTY_DIRTY_RATE);
    bql_unlock();
    return pages;
}

/* --- page-sampling --- */

typedef struct Sample {
    uint64_t offset, hash;
} Sample;

typedef struct SampledBlock {
    RAMBlock *block; /* pinned */
    uint64_t pages;
    GArray *samples;
} SampledBlock;

/* FNV-1a over words: two states of one page differ in it unless somebody tries. */
static uint64_t hash_page(const void *page)
{
    const uint64_t *word = page;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (unsigned i = 0; i < TARGET_PAGE_SIZE / sizeof(*word); i++) {
        hash = (hash ^ atomic_read(&word[i])) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static void free_sampled(void *opaque)
{
    SampledBlock *s = opaque;

    ram_block_unref(s->block);
    g_array_unref(s->samples);
    g_free(s);
}

static GPtrArray *take_samples(void)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(free_sampled);
    GRand *rand = g_rand_new();
    RAMBlock *block;

    bql_lock();
    RAMBLOCK_FOREACH_MIGRATABLE (block) {
        SampledBlock *s;

        if (block->used_length < SAMPLE_BLOCK_MIN || !ram_block_try_ref(block)) {
            continue;
        }
        s = g_new0(SampledBlock, 1);
        s->block = block;
        s->pages = block->used_length / TARGET_PAGE_SIZE;
        s->samples = g_array_new(FALSE, FALSE, sizeof(Sample));
        g_ptr_array_add(list, s);
    }
    bql_unlock();
    for (unsigned i = 0; i < list->len; i++) {
        SampledBlock *s = g_ptr_array_index(list, i);
        uint64_t n = MAX(1, s->pages * (uint64_t)rate.sample_pages / (1 << 18));

        while (n--) {
            Sample sample = {.offset = (uint64_t)(g_rand_double(rand) * (double)s->pages) * TARGET_PAGE_SIZE};

            sample.hash = hash_page(s->block->host + sample.offset);
            g_array_append_val(s->samples, sample);
        }
    }
    g_rand_free(rand);
    return list;
}

static uint64_t compare_samples(GPtrArray *list)
{
    double dirty = 0;

    for (unsigned i = 0; i < list->len; i++) {
        SampledBlock *s = g_ptr_array_index(list, i);
        unsigned changed = 0;

        for (unsigned j = 0; j < s->samples->len; j++) {
            Sample *sample = &g_array_index(s->samples, Sample, j);

            changed += hash_page(s->block->host + sample->offset) != sample->hash;
        }
        dirty += (double)s->pages * changed / s->samples->len;
    }
    return (uint64_t)dirty;
}

/* --- the measurement --- */

static void publish(uint64_t pages, int64_t elapsed_us)
{
    double bytes = (double)pages * (double)TARGET_PAGE_SIZE;

    lock_acquire(&rate.lock);
    rate.mib_per_second = (int64_t)(bytes / (1 << 20) / ((double)MAX(elapsed_us, 1) / 1e6));
    rate.status = MEASURED;
    lock_release(&rate.lock);
}

/* There is no result. */
static void give_up(void)
{
    warn_report("calc-dirty-rate: a migration began and took the dirty log: nothing was measured; query-migrate shows its "
                "dirty-pages-rate");
    lock_acquire(&rate.lock);
    rate.status = UNSTARTED;
    lock_release(&rate.lock);
}

static gpointer measure(gpointer unused)
{
    GPtrArray *samples = rate.mode == MODE_SAMPLING ? take_samples() : NULL;
    int64_t start = g_get_monotonic_time();
    uint64_t pages;

    g_usleep((gulong)window_us());
    pages = samples ? compare_samples(samples) : count_log();
    if (samples || !migration_took_log_since(start)) {
        publish(pages, g_get_monotonic_time() - start);
    } else {
        give_up();
    }
    if (samples) {
        g_ptr_array_unref(samples);
    }
    return NULL;
}

typedef struct CalcArgs {
    int64_t calc_time;
    int unit, mode;
    int64_t sample_pages;
    bool has_samples, bitmap, ring;
} CalcArgs;

static const Field calc_args[] = {
    F_I64(CalcArgs, calc_time, "calc-time"),
    F_ENUM(CalcArgs, unit, "calc-time-unit", unit_names, "TimeUnit", .optional = true, .default_value = "second"),
    F_I64(CalcArgs, sample_pages, "sample-pages", .optional = true, F_HAS(CalcArgs, has_samples), .min = 128,
          .max = 16384),
    F_ENUM(CalcArgs, mode, "mode", mode_names, "DirtyRateMeasureMode", .optional = true,
           .default_value = "page-sampling"),
    FIELD_END,
};

static bool check_calc(const CalcArgs *a, GError **error)
{
    int64_t ms = a->unit ? a->calc_time : CLAMP(a->calc_time, 0, 1000) * 1000;

    if (ms < 50 || ms > 60000) {
        return fail(error, "calc-time is not between 50 ms and 60 s");
    }
    if (a->mode == MODE_RING) {
        return fail(error, "mode 'dirty-ring' needs a hardware accelerator");
    }
    if (a->has_samples && a->mode != MODE_SAMPLING) {
        return fail(error, "'sample-pages' goes with mode 'page-sampling' only");
    }
    if (rate.status == MEASURING) {
        return fail(error, "a measurement is under way already");
    }
    if (a->mode == MODE_BITMAP && migration_is_busy()) {
        return fail(error, "a migration uses the dirty log now, and query-migrate shows its dirty-pages-rate");
    }
    return true;
}

static bool calc_dirty_rate(const CalcArgs *a, GError **error)
{
    if (!check_calc(a, error) || (a->mode == MODE_BITMAP && !start_log(error))) {
        return false;
    }
    lock_acquire(&rate.lock);
    rate.status = MEASURING;
    rate.mode = a->mode;
    rate.unit = a->unit;
    rate.calc_time = a->calc_time;
    rate.sample_pages = a->has_samples ? a->sample_pages : 512;
    rate.start_time = g_get_monotonic_time() / 1000000;
    lock_release(&rate.lock);
    g_thread_unref(g_thread_new("dirty-rate", measure, NULL));
    return true;
}

static bool run_calc(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    return calc_dirty_rate(args, error);
}

static const Field calc_hmp_args[] = {
    F_BOOL(CalcArgs, bitmap, "bitmap", .optional = true, .help = "count the dirty log"),
    F_BOOL(CalcArgs, ring, "ring", .optional = true, .help = "use the dirty ring"),
    F_I64(CalcArgs, calc_time, "seconds", .positional = true, .min = 1, .max = 60),
    F_I64(CalcArgs, sample_pages, "sample-pages", .positional = true, .optional = true, F_HAS(CalcArgs, has_samples),
          .min = 128, .max = 16384),
    FIELD_END,
};

static bool run_calc_hmp(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    CalcArgs a = *(const CalcArgs *)args;

    a.mode = a.bitmap ? MODE_BITMAP : a.ring ? MODE_RING : MODE_SAMPLING;
    if (!calc_dirty_rate(&a, error)) {
        return false;
    }
    g_string_append(ctx->output, "the measurement has begun; 'info dirty_rate' shows its result\n");
    return true;
}

typedef struct RateReply {
    bool has_rate;
    int64_t rate, start_time, calc_time, sample_pages;
    int status, mode, unit;
} RateReply;

static const Field rate_reply_fields[] = {
    F_I64(RateReply, rate, "dirty-rate", .optional = true, F_HAS(RateReply, has_rate), .unit = "MiB/s"),
    F_ENUM(RateReply, status, "status", status_names, "DirtyRateStatus"),
    F_I64(RateReply, start_time, "start-time", .unit = "s"),
    F_I64(RateReply, calc_time, "calc-time"),
    F_ENUM(RateReply, unit, "calc-time-unit", unit_names, "TimeUnit"),
    F_I64(RateReply, sample_pages, "sample-pages"),
    F_ENUM(RateReply, mode, "mode", mode_names, "DirtyRateMeasureMode"),
    FIELD_END,
};

static bool run_query(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    RateReply *r = reply;
    LOCK_GUARD(&rate.lock);

    *r = (RateReply){
        .has_rate = rate.status == MEASURED,
        .rate = rate.mib_per_second,
        .start_time = rate.start_time,
        .calc_time = rate.calc_time,
        .sample_pages = rate.mode == MODE_SAMPLING ? rate.sample_pages : 0,
        .status = rate.status,
        .mode = rate.mode,
        .unit = rate.unit,
    };
    return true;
}

static void print_rate(CommandContext *ctx, const void *args, const void *reply)
{
    const RateReply *r = reply;

    g_string_append_printf(ctx->output, "Status: %s\nStart Time: %" PRId64 " s\n", status_names[r->status],
                           r->start_time);
    g_string_append_printf(ctx->output, "Period: %" PRId64 " (%s)\nMode: %s\n", r->calc_time, unit_names[r->unit],
                           mode_names[r->mode]);
    if (r->has_rate) {
        g_string_append_printf(ctx->output, "Dirty rate: %" PRId64 " MiB/s\n", r->rate);
    }
}

COMMAND(calc_dirty_rate, .qmp = "calc-dirty-rate", .help = "measure how fast memory changes", .args = calc_args,
        .args_size = sizeof(CalcArgs), .run = run_calc);
COMMAND(calc_dirty_rate_hmp, .hmp = "calc_dirty_rate",
        .help = "measure how fast memory changes, for some seconds (-b: by the dirty log)", .args = calc_hmp_args,
        .args_size = sizeof(CalcArgs), .run = run_calc_hmp);
COMMAND(query_dirty_rate, .qmp = "query-dirty-rate", .hmp = "info dirty_rate", .help = "show the dirty rate",
        .reply = rate_reply_fields, .reply_size = sizeof(RateReply), .reply_name = "DirtyRateInfo", .run = run_query,
        .print_hmp = print_rate);
