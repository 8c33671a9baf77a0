/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The source of a migration: its thread, from start to end, and what users may tell it meanwhile. */
#include <string.h>

#include "migration/migration.h"
#include "dirty-limit.h"
#include "multifd.h"
#include "source.h"
#include "system/cpu.h"
#include "util/error.h"
#include "util/event-loop.h"

/* --- the thread --- */

/* The machine goes on as if nothing had been. */
static void restore_machine(Migration *m)
{
    RunState now = runstate_get();

    if (!m->stopped || (now != RUN_STATE_FINISH_MIGRATE && now != RUN_STATE_POSTMIGRATE)) {
        return;
    }
    if (m->old_state == RUN_STATE_RUNNING) {
        vm_start();
    } else if (m->old_state != now) {
        runstate_set(m->old_state);
    }
}

static void release_channel(Migration *m)
{
    Channel *channel;

    reader_free(m->answers);
    m->answers = NULL;
    xbzrle_cache_free(m->xbzrle);
    m->xbzrle = m->ram.xbzrle = NULL;
    multifd_send_free(m->multifd);
    m->multifd = m->ram.multifd = NULL;
    writer_free(m->writer);
    m->writer = NULL;
    lock_acquire(&m->lock); /* cancel may be at it */
    channel = m->channel;
    m->channel = NULL;
    lock_release(&m->lock);
    channel_free(channel);
}

/* Everything is undone or done before the status says so. */
static void finish(Migration *m, bool ok, GError *error)
{
    int64_t now = migration_now_ns();
    MigrationStatus status;

    bql_lock();
    if (m->options.capabilities[CAPABILITY_AUTO_CONVERGE]) {
        cpu_throttle_stop();
    }
    if (m->options.capabilities[CAPABILITY_DIRTY_LIMIT]) {
        dirty_limit_set_migration(0, NULL);
    }
    if (!ok && !m->given_away) {
        restore_machine(m);
    }
    bql_unlock();
    if (m->stopped && !m->given_away) {
        atomic_set(&m->downtime_ns, now - m->stop_ns);
    }
    atomic_set(&m->end_ns, now);
    release_channel(m);
    ram_cleanup(&m->ram);
    lock_acquire(&m->lock);
    if (ok) {
        status = MIGRATION_COMPLETED;
    } else if (m->status == MIGRATION_CANCELLING) {
        status = MIGRATION_CANCELLED;
    } else {
        status = MIGRATION_FAILED;
        g_free(m->error_text);
        m->error_text = g_strdup(error->message);
    }
    migration_set_status_locked(m, status);
    lock_release(&m->lock);
    g_clear_error(&error);
    migration_emit_status(status);
}

static gpointer migration_thread(gpointer opaque)
{
    Migration *m = opaque;
    GError *error = NULL;
    bool snapshot = m->options.capabilities[CAPABILITY_BACKGROUND_SNAPSHOT];
    bool ok = snapshot ? background_snapshot_run(m, &error) : precopy_run(m, &error);

    finish(m, ok, error);
    return NULL;
}

/* --- control: big lock --- */

/* The thread of a migration that is over takes no big lock any more. */
static void join_finished(Migration *m)
{
    if (m->thread) {
        g_thread_join(m->thread);
        m->thread = NULL;
    }
}

static void reset(Migration *m, Channel *channel)
{
    LOCK_GUARD(&m->lock);

    migration_options_clear(&m->options);
    migration_options_copy(&m->options, migration_options());
    stream_config_local(&m->config, &m->options);
    m->channel = channel;
    m->committed = m->may_continue = m->stopped = m->acknowledged = m->given_away = false;
    m->start_postcopy = m->taken_back = false;
    g_clear_pointer(&m->error_text, g_free);
    memset(&m->ram, 0, sizeof(m->ram));
    memset(&m->stats, 0, sizeof(m->stats));
    memset(&m->parts, 0, sizeof(m->parts));
    m->busy_seconds = m->busy_bytes = m->bandwidth = 0;
    m->throttle_sent = m->throttle_dirtied = 0;
    m->next_send_ns = m->throttle_checked_ns = 0;
    m->paced_limit = 0;
    m->throttle_high = 0;
    m->setup_ns = m->end_ns = m->downtime_ns = m->expected_downtime_ns = 0;
    m->start_ns = migration_now_ns();
    m->saved = channel->seekable || m->options.capabilities[CAPABILITY_BACKGROUND_SNAPSHOT];
    m->max_bandwidth = migration_bandwidth_limit(&m->options, m->saved);
    m->max_postcopy_bandwidth = m->options.parameters.max_postcopy_bandwidth;
    m->downtime_limit_ms = m->options.parameters.downtime_limit;
}

static bool may_start(GError **error)
{
    if (migration_is_busy()) {
        return fail(error, "a migration is active already");
    }
    if (incoming_in_postcopy()) {
        return fail(error, "memory of the machine is still at the source of its postcopy migration, which must complete "
                    "first (see query-migrate)");
    }
    if (runstate_get() == RUN_STATE_INMIGRATE) {
        return fail(error, "the machine waits for an incoming migration");
    }
    if (runstate_get() == RUN_STATE_POSTMIGRATE) {
        return fail(error, "the machine has been migrated already ('cont' brings it back)");
    }
    return true;
}

/* Before @uri is opened: a file would lose what it holds, a command would begin.  What an fd is is seen later. */
static bool check_uri(const char *uri, GError **error)
{
    const bool *caps = migration_options()->capabilities;
    ChannelKind kind;

    if (!channel_kind(uri, &kind, error)) {
        return false;
    }
    if (caps[CAPABILITY_MAPPED_RAM] && (kind == CHANNEL_SOCKET || kind == CHANNEL_PIPE)) {
        return fail(error, "capability fixed-ram (mapped-ram) needs a file, '%s' is none", uri);
    }
    if (caps[CAPABILITY_MULTIFD] && !caps[CAPABILITY_MAPPED_RAM] && kind != CHANNEL_SOCKET) {
        return fail(error, "capability multifd needs unix: or tcp:, or a file with capability fixed-ram; '%s' is "
                    "neither", uri);
    }
    if (caps[CAPABILITY_RETURN_PATH] && (kind == CHANNEL_FILE || kind == CHANNEL_PIPE)) {
        return fail(error, "capability return-path needs a socket, '%s' is none", uri);
    }
    if (caps[CAPABILITY_POSTCOPY_PREEMPT] && kind != CHANNEL_SOCKET) {
        return fail(error, "capability postcopy-preempt needs unix: or tcp:, '%s' is neither", uri);
    }
    return !caps[CAPABILITY_POSTCOPY_RAM] || kind == CHANNEL_SOCKET || kind == CHANNEL_ANY ||
           fail(error, "capability postcopy-ram needs a socket, '%s' is none", uri);
}

bool migration_start(const char *uri, GError **error)
{
    Migration *m = migration_source();
    MigrationStatus old = migration_get_status(m);
    Channel *channel;

    if (!may_start(error) || !check_uri(uri, error)) {
        return false;
    }
    channel = channel_open(uri, false, error);
    if (!channel) {
        return false;
    }
    if (migration_options()->capabilities[CAPABILITY_MAPPED_RAM] && !channel->seekable) {
        channel_free(channel);
        return fail(error, "capability fixed-ram (mapped-ram) needs a file, '%s' is none", uri);
    }
    join_finished(m);
    reset(m, channel);
    migration_set_status(m, old, MIGRATION_SETUP);
    m->thread = g_thread_new("migration", migration_thread, m);
    return true;
}

void migration_cancel(void)
{
    Migration *m = migration_source();
    MigrationStatus old;

    lock_acquire(&m->lock);
    old = m->status;
    if (m->awaiting_verdict) {
        channel_cancel(m->channel);
    }
    if (migration_is_final(old) || old == MIGRATION_CANCELLING || m->committed) {
        lock_release(&m->lock);
        return;
    }
    migration_set_status_locked(m, MIGRATION_CANCELLING);
    if (m->channel) {
        channel_cancel(m->channel);
    }
    cond_broadcast(&m->cond);
    lock_release(&m->lock);
    migration_emit_status(MIGRATION_CANCELLING);
}

/* --- postcopy and broken links --- */

bool migration_start_postcopy(GError **error)
{
    Migration *m = migration_source();
    LOCK_GUARD(&m->lock);

    if (migration_is_final(m->status) || m->status == MIGRATION_CANCELLING) {
        return fail(error, "no migration is active that could go on as postcopy");
    }
    if (!m->options.capabilities[CAPABILITY_POSTCOPY_RAM]) {
        return fail(error, "capability 'postcopy-ram' was off when the migration was started");
    }
    atomic_set(&m->start_postcopy, true);
    cond_broadcast(&m->cond); /* it may wait for its turn to send */
    return true;
}

bool migration_resume(const char *uri, GError **error)
{
    Migration *m = migration_source();
    MigrationStatus old = migration_get_status(m);
    MigrationStatus next = old == MIGRATION_POSTCOPY_PAUSED ? MIGRATION_POSTCOPY_RECOVER_SETUP
                                                            : MIGRATION_HANDOVER_RECOVER;
    Channel *channel;

    if (old != MIGRATION_POSTCOPY_PAUSED && old != MIGRATION_HANDOVER_PAUSED) {
        return fail(error, "there is no broken postcopy or handover to resume");
    }
    if (!channel_may_be_socket(uri, error)) {
        return false;
    }
    channel = channel_open(uri, false, error);
    if (!channel) {
        return false;
    }
    lock_acquire(&m->lock);
    if (m->taken_back) {
        lock_release(&m->lock);
        channel_free(channel);
        return fail(error, "the machine runs here again");
    }
    m->channel = channel; /* PAUSED has none, and only we leave it */
    migration_set_status_locked(m, next);
    cond_broadcast(&m->cond);
    lock_release(&m->lock);
    migration_emit_status(next);
    return true;
}

static bool in_postcopy(MigrationStatus status)
{
    return status >= MIGRATION_POSTCOPY_ACTIVE && status <= MIGRATION_POSTCOPY_RECOVER;
}

/* The machine may be the destination's already, and the link is all that tells. */
static bool in_handover(const Migration *m)
{
    return (m->status == MIGRATION_DEVICE && m->committed && m->config.handover) ||
           m->status == MIGRATION_HANDOVER_PAUSED || m->status == MIGRATION_HANDOVER_RECOVER;
}

bool migration_pause(void)
{
    Migration *m = migration_source();
    LOCK_GUARD(&m->lock);

    if ((!in_postcopy(m->status) && !in_handover(m)) || !m->channel) {
        return false;
    }
    channel_cancel(m->channel);
    return true;
}

/* The process ends: who waits for a link waits no longer. */
static void give_up_link(Migration *m)
{
    LOCK_GUARD(&m->lock);

    m->quit = true;
    if ((in_postcopy(m->status) || in_handover(m)) && m->channel) {
        channel_cancel(m->channel);
    }
    cond_broadcast(&m->cond);
}

bool migration_continue(MigrationStatus state, GError **error)
{
    Migration *m = migration_source();
    LOCK_GUARD(&m->lock);

    if (state != MIGRATION_PRE_SWITCHOVER) {
        return fail(error, "'pre-switchover', and 'handover-paused' at a destination, are what can be continued from, not "
                    "'%s'", migration_status_names[state]);
    }
    if (m->status != state) {
        return fail(error, "the migration is in status '%s', not '%s'", migration_status_names[m->status],
                    migration_status_names[state]);
    }
    m->may_continue = true;
    cond_broadcast(&m->cond);
    return true;
}

void migration_parameters_changed(void)
{
    Migration *m = migration_source();
    const MigrationParameters *p = &migration_options()->parameters;

    lock_acquire(&m->lock);
    atomic_set(&m->max_bandwidth, migration_bandwidth_limit(migration_options(), m->saved));
    atomic_set(&m->max_postcopy_bandwidth, p->max_postcopy_bandwidth);
    atomic_set(&m->downtime_limit_ms, p->downtime_limit);
    cond_broadcast(&m->cond);
    lock_release(&m->lock);
}

/* All members are counters of 64 bits, which the migration thread moves on meanwhile. */
static void copy_stats(RamStats *to, const RamStats *from)
{
    for (size_t i = 0; i < sizeof(*to) / sizeof(uint64_t); i++) {
        ((uint64_t *)to)[i] = atomic_read(&((const uint64_t *)from)[i]);
    }
}

void migration_get_info(MigrationInfo *info)
{
    Migration *m = migration_source();
    int64_t end;
    LOCK_GUARD(&m->lock);

    memset(info, 0, sizeof(*info));
    info->status = m->status;
    info->error = g_strdup(m->error_text);
    end = migration_is_final(m->status) ? atomic_read(&m->end_ns) : migration_now_ns();
    info->total_ns = m->status == MIGRATION_NONE ? 0 : end - m->start_ns;
    info->setup_ns = atomic_read(&m->setup_ns);
    info->downtime_ns = atomic_read(&m->downtime_ns);
    info->expected_downtime_ns = atomic_read(&m->expected_downtime_ns);
    info->mbps = m->bandwidth * 8 / 1e6;
    info->pages_per_second = m->bandwidth / TARGET_PAGE_SIZE;
    copy_stats(&info->ram, &m->stats);
    if (migration_is_final(m->status)) { /* until then they are the thread's */
        info->parts = m->parts;
    }
    info->throttle_percent = cpu_throttle_get_percentage();
    info->xbzrle_cache_size =
        m->options.capabilities[CAPABILITY_XBZRLE] ? m->options.parameters.xbzrle_cache_size : 0;
    info->has_dirty_limit = dirty_limit_waited_us(&info->dirty_limit_waited_us);
    info->has_throttle = m->options.capabilities[CAPABILITY_AUTO_CONVERGE] && info->throttle_percent > 0;
}

void migration_shutdown(void)
{
    Migration *m = migration_source();

    migration_cancel();
    give_up_link(m);
    incoming_cancel();
    incoming_shutdown();
    if (m->thread) {
        bql_unlock();
        g_thread_join(m->thread);
        bql_lock();
        m->thread = NULL;
    }
}
