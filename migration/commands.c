/* SPDX-License-Identifier: GPL-2.0-or-later */
/* migrate and its kin, and query-migrate. */
#include <string.h>

#include "api/command.h"
#include "postcopy.h"
#include "source.h"
#include "system/clock.h"
#include "util/error.h"

#define PROGRESS_NS (INT64_C(200) * 1000 * 1000)

/* --- query-migrate --- */

typedef struct RamReply {
    int64_t transferred, remaining, total, duplicate, normal, normal_bytes, dirty_pages_rate, dirty_sync_count;
    int64_t postcopy_requests, page_size, multifd_bytes, pages_per_second, precopy_bytes, downtime_bytes;
    int64_t postcopy_bytes, missed_zero_copy, pristine;
    double mbps;
} RamReply;

#define R(member, wire) F_I64(RamReply, member, wire)
static const Field ram_reply_fields[] = {
    R(transferred, "transferred"),
    R(remaining, "remaining"),
    R(total, "total"),
    R(duplicate, "duplicate"),
    R(normal, "normal"),
    R(normal_bytes, "normal-bytes"),
    R(dirty_pages_rate, "dirty-pages-rate"),
    F_NUMBER(RamReply, mbps, "mbps"),
    R(dirty_sync_count, "dirty-sync-count"),
    R(postcopy_requests, "postcopy-requests"),
    R(page_size, "page-size"),
    R(multifd_bytes, "multifd-bytes"),
    R(pages_per_second, "pages-per-second"),
    R(precopy_bytes, "precopy-bytes"),
    R(downtime_bytes, "downtime-bytes"),
    R(postcopy_bytes, "postcopy-bytes"),
    R(missed_zero_copy, "dirty-sync-missed-zero-copy"),
    R(pristine, "x-pristine"),
    FIELD_END,
};
#undef R

typedef struct XbzrleReply {
    int64_t cache_size, bytes, pages, misses, overflows;
    double miss_rate, encoding_rate;
} XbzrleReply;

static const Field xbzrle_reply_fields[] = {
    F_I64(XbzrleReply, cache_size, "cache-size", .unit = "bytes"),
    F_I64(XbzrleReply, bytes, "bytes"),
    F_I64(XbzrleReply, pages, "pages"),
    F_I64(XbzrleReply, misses, "cache-miss"),
    F_NUMBER(XbzrleReply, miss_rate, "cache-miss-rate"),
    F_NUMBER(XbzrleReply, encoding_rate, "encoding-rate"),
    F_I64(XbzrleReply, overflows, "overflow"),
    FIELD_END,
};

typedef struct DowntimeReply {
    double stop, sync, ram, devices, confirm;
} DowntimeReply;

static const Field downtime_reply_fields[] = {
    F_NUMBER(DowntimeReply, stop, "stop", .unit = "ms"),
    F_NUMBER(DowntimeReply, sync, "sync", .unit = "ms"),
    F_NUMBER(DowntimeReply, ram, "ram", .unit = "ms"),
    F_NUMBER(DowntimeReply, devices, "devices", .unit = "ms"),
    F_NUMBER(DowntimeReply, confirm, "confirm", .unit = "ms"),
    FIELD_END,
};

typedef struct QueryReply {
    bool has_status, has_ram, has_total, has_downtime, has_expected, has_setup, has_throttle, has_breakdown, has_xbzrle, has_dirty_limit;
    int status;
    RamReply ram;
    int64_t total_time, downtime, expected_downtime, setup_time, throttle, limit_waited, ring_full;
    bool has_blocktime;
    int64_t blocktime;
    bool has_waiting;
    int64_t waiting;
    JsonNode *vcpu_blocktime; /* ms each vCPU waited for memory */
    char *error_desc;
    JsonNode *socket_address;
    DowntimeReply breakdown;
    XbzrleReply xbzrle;
} QueryReply;

#define Q QueryReply
static const Field query_reply_fields[] = {
    F_ENUM(Q, status, "status", migration_status_names, "MigrationStatus", .optional = true, F_HAS(Q, has_status)),
    F_OBJECT(Q, ram, "ram", ram_reply_fields, "MigrationStats", .optional = true, F_HAS(Q, has_ram)),
    F_OBJECT(Q, xbzrle, "xbzrle-cache", xbzrle_reply_fields, "XBZRLECacheStats", .optional = true,
             F_HAS(Q, has_xbzrle)),
    F_I64(Q, total_time, "total-time", .optional = true, F_HAS(Q, has_total), .unit = "ms"),
    F_I64(Q, expected_downtime, "expected-downtime", .optional = true, F_HAS(Q, has_expected), .unit = "ms"),
    F_I64(Q, downtime, "downtime", .optional = true, F_HAS(Q, has_downtime), .unit = "ms"),
    F_I64(Q, setup_time, "setup-time", .optional = true, F_HAS(Q, has_setup), .unit = "ms"),
    F_I64(Q, throttle, "cpu-throttle-percentage", .optional = true, F_HAS(Q, has_throttle), .unit = "percent"),
    F_I64(Q, limit_waited, "dirty-limit-throttle-time-per-round", .optional = true, F_HAS(Q, has_dirty_limit),
          .unit = "us", .help = "how long the vCPU that waited longest stood still"),
    F_I64(Q, ring_full, "dirty-limit-ring-full-time", .optional = true, F_HAS(Q, has_dirty_limit), .unit = "us",
          .help = "always 0: there is no ring"),
    F_I64(Q, blocktime, "postcopy-blocktime", .optional = true, F_HAS(Q, has_blocktime), .unit = "ms",
          .help = "how long all vCPUs waited for memory at once"),
    F_I64(Q, waiting, "x-postcopy-waiting", .optional = true, F_HAS(Q, has_waiting),
          .help = "vCPUs and others that wait for memory now"),
    F_ANY(Q, vcpu_blocktime, "postcopy-vcpu-blocktime", .optional = true),
    F_STRING(Q, error_desc, "error-desc", .optional = true),
    F_ANY(Q, socket_address, "socket-address", .optional = true),
    F_OBJECT(Q, breakdown, "x-downtime-breakdown", downtime_reply_fields, "MigrationDowntime", .optional = true,
             F_HAS(Q, has_breakdown)),
    FIELD_END,
};
#undef Q

static void fill_ram(RamReply *to, const MigrationInfo *info)
{
    const RamStats *from = &info->ram;

    *to = (RamReply){
        .transferred = (int64_t)from->transferred,
        .remaining = (int64_t)(from->remaining_pages * TARGET_PAGE_SIZE),
        .total = (int64_t)from->total,
        .duplicate = (int64_t)from->duplicate,
        .normal = (int64_t)from->normal,
        .normal_bytes = (int64_t)(from->normal * TARGET_PAGE_SIZE),
        .dirty_pages_rate = (int64_t)from->dirty_pages_rate,
        .dirty_sync_count = (int64_t)from->sync_count,
        .page_size = (int64_t)TARGET_PAGE_SIZE,
        .pages_per_second = (int64_t)info->pages_per_second,
        .precopy_bytes = (int64_t)from->precopy_bytes,
        .downtime_bytes = (int64_t)from->downtime_bytes,
        .postcopy_bytes = (int64_t)from->postcopy_bytes,
        .postcopy_requests = (int64_t)from->postcopy_requests,
        .multifd_bytes = (int64_t)from->multifd_bytes,
        .pristine = (int64_t)from->pristine,
        .mbps = info->mbps,
    };
}

static void fill_xbzrle(XbzrleReply *to, const MigrationInfo *info)
{
    const XbzrleStats *from = &info->ram.xbzrle;
    uint64_t asked = from->pages + from->misses + from->overflows;

    *to = (XbzrleReply){
        .cache_size = (int64_t)info->xbzrle_cache_size,
        .bytes = (int64_t)from->bytes,
        .pages = (int64_t)from->pages,
        .misses = (int64_t)from->misses,
        .overflows = (int64_t)from->overflows,
        .miss_rate = asked ? (double)from->misses / (double)asked : 0,
        .encoding_rate = from->bytes ? (double)(from->pages * TARGET_PAGE_SIZE) / (double)from->bytes : 0,
    };
}

static void fill_breakdown(DowntimeReply *to, const DowntimeParts *from)
{
    *to = (DowntimeReply){(double)from->stop / 1e6, (double)from->sync / 1e6, (double)from->ram / 1e6,
                          (double)from->devices / 1e6, (double)from->confirm / 1e6};
}

static void fill_outgoing(QueryReply *r, MigrationInfo *info)
{
    bool completed = info->status == MIGRATION_COMPLETED;
    bool postcopy = info->status >= MIGRATION_POSTCOPY_ACTIVE && info->status <= MIGRATION_POSTCOPY_RECOVER;
    bool handover = info->status == MIGRATION_HANDOVER_PAUSED || info->status == MIGRATION_HANDOVER_RECOVER;

    r->has_status = true;
    r->status = (int)info->status;
    r->has_total = r->has_setup = true;
    r->total_time = info->total_ns / 1000000;
    r->setup_time = info->setup_ns / 1000000;
    r->has_ram = info->status != MIGRATION_SETUP;
    fill_ram(&r->ram, info);
    r->has_xbzrle = r->has_ram && info->xbzrle_cache_size;
    fill_xbzrle(&r->xbzrle, info);
    r->has_throttle = info->has_throttle;
    r->throttle = info->throttle_percent;
    r->has_dirty_limit = info->has_dirty_limit;
    r->limit_waited = info->dirty_limit_waited_us;
    r->has_downtime = completed || postcopy;
    r->has_breakdown = completed;
    r->downtime = info->downtime_ns / 1000000;
    fill_breakdown(&r->breakdown, &info->parts);
    r->has_expected = !completed && !postcopy && !handover && info->status != MIGRATION_FAILED &&
                      info->status != MIGRATION_CANCELLED;
    r->expected_downtime = info->expected_downtime_ns / 1000000;
    r->error_desc = g_steal_pointer(&info->error);
}

static void fill_blocktime(QueryReply *r)
{
    PostcopyBlocktime times;
    JsonArray *list = json_array_new();

    postcopy_get_blocktime(&times);
    r->has_waiting = r->status >= MIGRATION_POSTCOPY_ACTIVE && r->status <= MIGRATION_POSTCOPY_RECOVER;
    r->waiting = times.waiting;
    r->has_blocktime = times.measured;
    r->blocktime = times.all_ms;
    for (unsigned i = 0; i < times.n; i++) {
        json_array_add_int_element(list, times.vcpu_ms[i]);
    }
    if (times.measured) {
        r->vcpu_blocktime = json_node_new(JSON_NODE_ARRAY);
        json_node_set_array(r->vcpu_blocktime, list);
    }
    json_array_unref(list);
    g_free(times.vcpu_ms);
}

static void fill_incoming(QueryReply *r)
{
    JsonNode *address;
    MigrationStatus status = incoming_status(&r->error_desc, &address);

    r->has_status = status != MIGRATION_NONE;
    r->status = (int)status;
    fill_blocktime(r);
    if (address) {
        JsonArray *list = json_array_new();

        json_array_add_element(list, address);
        r->socket_address = json_node_new(JSON_NODE_ARRAY);
        json_node_take_array(r->socket_address, list);
    }
}

static bool run_query(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    MigrationInfo info;

    migration_get_info(&info);
    if (info.status == MIGRATION_NONE) {
        fill_incoming(reply);
    } else {
        fill_outgoing(reply, &info);
    }
    g_free(info.error);
    return true;
}

static void print_ram(GString *out, const RamReply *ram)
{
    g_string_append_printf(out, "transferred ram: %" PRId64 " kbytes\n", ram->transferred >> 10);
    g_string_append_printf(out, "throughput: %.2f mbps\n", ram->mbps);
    g_string_append_printf(out, "remaining ram: %" PRId64 " kbytes\n", ram->remaining >> 10);
    g_string_append_printf(out, "total ram: %" PRId64 " kbytes\n", ram->total >> 10);
    g_string_append_printf(out, "duplicate: %" PRId64 " pages\n", ram->duplicate);
    g_string_append_printf(out, "pristine: %" PRId64 " pages (part of duplicate, not read)\n", ram->pristine);
    g_string_append_printf(out, "normal: %" PRId64 " pages\n", ram->normal);
    g_string_append_printf(out, "normal bytes: %" PRId64 " kbytes\n", ram->normal_bytes >> 10);
    g_string_append_printf(out, "dirty sync count: %" PRId64 "\n", ram->dirty_sync_count);
    g_string_append_printf(out, "page size: %" PRId64 " kbytes\n", ram->page_size >> 10);
    g_string_append_printf(out, "pages-per-second: %" PRId64 "\n", ram->pages_per_second);
    g_string_append_printf(out, "precopy ram: %" PRId64 " kbytes\n", ram->precopy_bytes >> 10);
    g_string_append_printf(out, "downtime ram: %" PRId64 " kbytes\n", ram->downtime_bytes >> 10);
    if (ram->postcopy_bytes) {
        g_string_append_printf(out, "postcopy ram: %" PRId64 " kbytes\n", ram->postcopy_bytes >> 10);
        g_string_append_printf(out, "postcopy request count: %" PRId64 "\n", ram->postcopy_requests);
    }
    if (ram->dirty_pages_rate) {
        g_string_append_printf(out, "dirty pages rate: %" PRId64 " pages\n", ram->dirty_pages_rate);
    }
}

static void print_breakdown(GString *out, const DowntimeReply *d)
{
    g_string_append_printf(out, "downtime: stop %.2f ms, sync %.2f ms, ram %.2f ms, devices %.2f ms, confirm %.2f ms\n",
                           d->stop, d->sync, d->ram, d->devices, d->confirm);
}

static void print_query(CommandContext *ctx, const void *args, const void *reply)
{
    const QueryReply *r = reply;
    GString *out = ctx->output;

    if (!r->has_status) {
        g_string_append(out, "no migration\n");
        return;
    }
    g_string_append_printf(out, "Migration status: %s\n", migration_status_names[r->status]);
    if (r->error_desc) {
        g_string_append_printf(out, "error: %s\n", r->error_desc);
    }
    if (r->has_total) {
        g_string_append_printf(out, "total time: %" PRId64 " ms\n", r->total_time);
    }
    if (r->has_expected) {
        g_string_append_printf(out, "expected downtime: %" PRId64 " ms\n", r->expected_downtime);
    }
    if (r->has_downtime) {
        g_string_append_printf(out, "downtime: %" PRId64 " ms\n", r->downtime);
    }
    if (r->has_setup) {
        g_string_append_printf(out, "setup: %" PRId64 " ms\n", r->setup_time);
    }
    if (r->has_ram) {
        print_ram(out, &r->ram);
    }
    if (r->has_throttle) {
        g_string_append_printf(out, "cpu throttle percentage: %" PRId64 "\n", r->throttle);
    }
    if (r->has_dirty_limit) {
        g_string_append_printf(out, "dirty-limit throttle time: %" PRId64 " us\n", r->limit_waited);
    }
    if (r->has_waiting) {
        g_string_append_printf(out, "waiting for memory: %" PRId64 "\n", r->waiting);
    }
    if (r->has_blocktime) {
        g_autofree char *each = json_to_string(r->vcpu_blocktime, FALSE);

        g_string_append_printf(out, "postcopy blocktime: %" PRId64 " ms\npostcopy vcpu blocktime: %s ms\n", r->blocktime,
                               each);
    }
    if (r->socket_address) {
        g_autofree char *text = json_to_string(r->socket_address, FALSE);

        g_string_append_printf(out, "socket address: %s\n", text);
    }
    if (r->has_breakdown) {
        print_breakdown(out, &r->breakdown);
    }
}

COMMAND(query_migrate, .qmp = "query-migrate", .hmp = "info migrate", .help = "show the migration's progress",
        .reply = query_reply_fields, .reply_size = sizeof(QueryReply), .reply_name = "MigrationInfo", .oob = true,
        .unlocked = true, .run = run_query, .print_hmp = print_query);

/* --- the live line of "migrate" without -d --- */

typedef struct Progress {
    Timer timer;
    CommandWait *wait;
    int width; /* of the line shown last */
} Progress;

static char *rate_text(double bytes)
{
    return bytes >= 1e9 ? g_strdup_printf("%.2f GB/s", bytes / 1e9) : g_strdup_printf("%.1f MB/s", bytes / 1e6);
}

static char *progress_line(const MigrationInfo *info)
{
    const RamStats *ram = &info->ram;
    double bytes = info->mbps * 1e6 / 8, left = (double)ram->remaining_pages * (double)TARGET_PAGE_SIZE;
    g_autofree char *rate = rate_text(bytes);
    g_autofree char *dirty = rate_text((double)ram->dirty_pages_rate * (double)TARGET_PAGE_SIZE);
    g_autofree char *eta = bytes > 0 ? g_strdup_printf("%.0f s", left / bytes) : g_strdup("?");
    double done = ram->total ? 100.0 * (1.0 - MIN(1.0, left / (double)ram->total)) : 0;

    return g_strdup_printf("%s: %3.0f%%, %s, dirty %s, pass %" PRIu64 ", %.1f MiB left, eta %s, downtime %.0f ms",
                           migration_status_names[info->status], done, rate, dirty, ram->sync_count,
                           left / (1024.0 * 1024.0), eta, (double)info->expected_downtime_ns / 1e6);
}

static void show_line(Progress *p, const char *text)
{
    g_autofree char *line = g_strdup_printf("\r%-*s", p->width, text);

    p->width = (int)strlen(text);
    p->wait->print(p->wait, line);
}

/* The user has to do something, for which the prompt is needed. */
static bool waits_for_link(const MigrationInfo *info)
{
    return info->status == MIGRATION_POSTCOPY_PAUSED || info->status == MIGRATION_HANDOVER_PAUSED;
}

static void show_summary(Progress *p, MigrationInfo *info)
{
    g_autoptr(GString) out = g_string_new("\n");
    const RamStats *ram = &info->ram;
    DowntimeReply d;

    if (info->status == MIGRATION_COMPLETED) {
        g_string_append_printf(out, "completed in %.2f s: %.1f MiB sent of %.1f MiB, %" PRIu64 " pages, %" PRIu64
                               " of zeroes, %" PRIu64 " passes, downtime %.1f ms\n",
                               (double)info->total_ns / 1e9, (double)ram->transferred / 1048576,
                               (double)ram->total / 1048576, ram->normal, ram->duplicate, ram->sync_count,
                               (double)info->downtime_ns / 1e6);
        fill_breakdown(&d, &info->parts);
        print_breakdown(out, &d);
    } else if (waits_for_link(info)) {
        g_string_append_printf(out, "%s: %s\n", migration_status_names[info->status],
                               info->error ? info->error : "the link to the destination broke");
    } else if (info->error) {
        g_string_append_printf(out, "Error: %s%s\n", info->error,
                               runstate_get() == RUN_STATE_POSTMIGRATE ? "" : "; the machine goes on here");
    } else {
        g_string_append_printf(out, "%s; the machine goes on here\n", migration_status_names[info->status]);
    }
    p->wait->print(p->wait, out->str);
}

static void progress_tick(void *opaque)
{
    Progress *p = opaque;
    MigrationInfo info;
    g_autofree char *line = NULL;

    migration_get_info(&info);
    line = progress_line(&info);
    show_line(p, line);
    if (!migration_is_final(info.status) && !waits_for_link(&info)) {
        timer_mod(&p->timer, clock_get_ns(CLOCK_TYPE_REALTIME) + PROGRESS_NS);
    } else {
        show_summary(p, &info);
        p->wait->resume(p->wait);
        g_free(p);
    }
    g_free(info.error);
}

static void show_progress(CommandContext *ctx)
{
    CommandWait *wait = command_wait(ctx);
    Progress *p;

    if (!wait) {
        return;
    }
    p = g_new0(Progress, 1);
    p->wait = wait;
    timer_init(&p->timer, CLOCK_TYPE_REALTIME, progress_tick, p);
    timer_mod(&p->timer, clock_get_ns(CLOCK_TYPE_REALTIME) + PROGRESS_NS / 4);
}

/* --- control --- */

typedef struct MigrateArgs {
    bool detach, resume;
    char *uri;
    JsonNode *channels;
} MigrateArgs;

static const Field migrate_args[] = {
    F_BOOL(MigrateArgs, detach, "detach", .optional = true, .help = "return at once"),
    F_BOOL(MigrateArgs, resume, "resume", .optional = true, .help = "continue a broken postcopy"),
    F_STRING(MigrateArgs, uri, "uri", .optional = true, .positional = true, .rest_of_line = true),
    F_ANY(MigrateArgs, channels, "channels", .optional = true),
    FIELD_END,
};

static bool run_migrate(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const MigrateArgs *a = args;
    g_autofree char *uri = NULL;

    if (!a->uri == !a->channels) {
        return fail(error, "exactly one of 'uri' and 'channels' is needed");
    }
    uri = a->uri ? g_strdup(a->uri) : channel_uri_from_json(a->channels, error);
    if (!uri || !(a->resume ? migration_resume : migration_start)(uri, error)) {
        return false;
    }
    if (ctx->output && !a->detach) {
        show_progress(ctx);
    }
    return true;
}

static bool run_cancel(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    migration_cancel();
    incoming_cancel();
    return true;
}

typedef struct ContinueArgs {
    int state; /* MigrationStatus */
} ContinueArgs;

static const Field continue_args[] = {
    F_ENUM(ContinueArgs, state, "state", migration_status_names, "MigrationStatus", .positional = true),
    FIELD_END,
};

static bool run_continue(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    MigrationStatus state = (MigrationStatus)((const ContinueArgs *)args)->state;

    return state == MIGRATION_HANDOVER_PAUSED ? incoming_seize(error) : migration_continue(state, error);
}

COMMAND(migrate, .qmp = "migrate", .hmp = "migrate",
        .help = "move the running machine to another emulator, or save it (-d: return at once)", .args = migrate_args,
        .args_size = sizeof(MigrateArgs), .run = run_migrate);
COMMAND(migrate_cancel, .qmp = "migrate_cancel", .hmp = "migrate_cancel", .help = "cancel the migration",
        .run = run_cancel);
COMMAND(migrate_continue, .qmp = "migrate-continue", .hmp = "migrate_continue",
        .help = "go on after pre-switchover; at a destination in handover-paused: take the machine",
        .args = continue_args, .args_size = sizeof(ContinueArgs), .run = run_continue);
