/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The work of the source's thread: set up, send pages pass by pass while the machine runs, stop it, send the rest.
 *
 * A pass sends what the last sync found.  When little enough is left (switchover.h), an exact sync decides whether the
 * machine can be stopped within downtime-limit; never an estimate.  After the stop there is one more sync, and one with
 * the big lock held just before the device states are saved: after that one nothing can change any more.
 *
 * Until the destination has confirmed (or the file is on disk) the machine is ours, and runs again after any failure.
 * In the native profile over sockets there is no moment with two running machines: handover-source.c.
 */
#include <poll.h>
#include <string.h>

#include "dirty-limit.h"
#include "multifd.h"
#include "source.h"
#include "switchover.h"
#include "system/machine.h"
#include "system/cpu.h"
#include "util/atomic.h"
#include "util/bits.h"
#include "util/bswap.h"
#include "util/error.h"
#include "util/trace.h"

#define SLICE_NS          (INT64_C(50) * 1000 * 1000)
#define BANDWIDTH_SECONDS 1.0
#define BANDWIDTH_SAMPLE  0.05
#define BANDWIDTH_FIRST_NS (INT64_C(50) * 1000 * 1000)
#define MID_PASS_SYNC_NS  (INT64_C(1) * 1000 * 1000 * 1000)
#define LAST_WORDS_US     (INT64_C(5) * 1000 * 1000)
#define EXPECTED_MAX_NS   9e18 /* fits the number that is shown */
#define THROTTLE_CHECK_NS (INT64_C(1) * 1000 * 1000 * 1000)

TRACE_EVENT(migration_bandwidth, "%.1f MB/s over %.3f s");
TRACE_EVENT(migration_look, "%" PRIu64 " bytes left, downtime %.1f ms, sent at %.1f MB/s, dirtied at %.1f MB/s: stop %d");

typedef enum SwitchResult { SWITCH_DONE, SWITCH_AGAIN, SWITCH_FAILED } SwitchResult;

/* multifd's threads count, too. */
static uint64_t transferred(Migration *m)
{
    return atomic_read(&m->stats.transferred);
}

/* --- set-up --- */

static bool check_channel(Migration *m, GError **error)
{
    if (m->config.mapped_ram && !m->channel->seekable) {
        return fail(error, "capability fixed-ram (mapped-ram) needs a file, '%s' is none", m->channel->uri);
    }
    if (m->options.capabilities[CAPABILITY_RETURN_PATH] && !m->channel->bidirectional) {
        return fail(error, "capability return-path needs a socket, '%s' is none", m->channel->uri);
    }
    /* a snapshot's machine stays here: nobody answers, nothing is handed over */
    m->config.handover = m->config.profile == STATE_PROFILE_NATIVE && m->channel->bidirectional &&
                         !m->options.capabilities[CAPABILITY_BACKGROUND_SNAPSHOT];
    if (m->config.handover && !handover_new_id(m, error)) {
        return false;
    }
    m->config.unfinished = m->channel->seekable;
    m->config.records = m->config.profile == STATE_PROFILE_NATIVE && m->config.mapped_ram;
    m->return_path = m->config.handover || m->options.capabilities[CAPABILITY_RETURN_PATH] ||
                     m->options.capabilities[CAPABILITY_POSTCOPY_RAM];
    return true;
}

static void open_return_path(Migration *m)
{
    uint32_t cookie = cpu_to_be32(1);

    stream_command(m->writer, STREAM_COMMAND_OPEN_RETURN_PATH, NULL, 0);
    stream_command(m->writer, STREAM_COMMAND_PING, &cookie, sizeof(cookie));
}

static bool new_pass(Migration *m, GError **error);

/* How pages travel: the ways to a file, and multifd's channels. */
bool precopy_set_up_pages(Migration *m, GError **error)
{
    static const uint8_t no_uuid[16];
    const Machine *machine = machine_current();
    const MigrationParameters *p = &m->options.parameters;
    FixedRamWriter *fixed = m->config.mapped_ram ? &m->ram.fixed : NULL;

    m->ram.zero_detection = p->zero_page_detection;
    m->ram.postcopy = m->options.capabilities[CAPABILITY_POSTCOPY_RAM];
    m->ram.runs = m->config.profile == STATE_PROFILE_NATIVE;
    pristine_look_init(&m->ram.pristine,
                       p->skip_pristine && p->zero_page_detection != ZERO_PAGE_DETECTION_NONE);
    m->ram.fixed = (FixedRamWriter){
        .channel = m->channel,
        .records = m->config.records,
        .find_zeroes = p->zero_page_detection != ZERO_PAGE_DETECTION_NONE,
    };
    if (fixed && p->direct_io && !channel_open_direct(m->channel, error)) {
        return false;
    }
    if (m->options.capabilities[CAPABILITY_XBZRLE]) {
        m->xbzrle = m->ram.xbzrle = xbzrle_cache_new(MIN(p->xbzrle_cache_size, pow2ceil(m->stats.total)));
        return m->xbzrle || fail(error, "no memory for the cache of capability xbzrle");
    }
    if (m->options.capabilities[CAPABILITY_MULTIFD]) {
        m->multifd = multifd_send_new(m->channel, fixed, &m->options,
                                      machine && machine->config.has_uuid ? machine->config.uuid : no_uuid,
                                      &m->stats, &m->ram.switchover, error);
        m->ram.multifd = m->multifd;
        return m->multifd != NULL;
    }
    return true;
}

bool precopy_open_stream(Migration *m, GError **error)
{
    if (!channel_prepare(m->channel, error) || !check_channel(m, error)) {
        return false;
    }
    m->file_start = m->channel->position;
    m->writer = writer_new(m->channel);
    sections_write_header(m->writer, &m->config);
    return true;
}

static bool set_up(Migration *m, GError **error)
{
    bool ok;

    if (!precopy_open_stream(m, error)) {
        return false;
    }
    if (m->return_path) {
        open_return_path(m);
        channel_start_lending(m->channel); /* the machine stands still until the destination has all of it */
    }
    if (m->options.capabilities[CAPABILITY_POSTCOPY_RAM] && !postcopy_advise(m, error)) {
        return false;
    }
    bql_lock();
    ok = ram_setup(&m->ram, m->writer, m->config.mapped_ram, &m->stats, error);
    bql_unlock();
    if (!ok || !precopy_set_up_pages(m, error) || !ram_save_setup(&m->ram, error) || !new_pass(m, error)) {
        return false;
    }
    atomic_set(&m->setup_ns, migration_now_ns() - m->start_ns);
    if (!migration_set_status(m, MIGRATION_SETUP, MIGRATION_ACTIVE)) {
        return fail(error, "cancelled");
    }
    return true;
}

/* --- auto-converge, dirty-limit --- */

static void raise_throttle(Migration *m, uint64_t dirtied, uint64_t sent)
{
    const MigrationParameters *p = &m->options.parameters;
    int now = cpu_throttle_get_percentage(), step = p->cpu_throttle_increment;

    if (now && p->cpu_throttle_tailslow && dirtied) {
        int wanted = 100 - (int)((100 - now) * MIN(1.0, (double)sent / (double)dirtied)) - now;

        step = CLAMP(wanted, 1, step);
    }
    bql_lock();
    cpu_throttle_set(now ? MIN(now + step, p->max_cpu_throttle) : p->cpu_throttle_initial);
    bql_unlock();
}

static void limit_vcpus(Migration *m)
{
    GError *error = NULL;

    bql_lock();
    if (!dirty_limit_set_migration(m->options.parameters.vcpu_dirty_limit, &error)) {
        warn_report("%s", error->message); /* it goes on, as without the capability */
        g_clear_error(&error);
    }
    bql_unlock();
}

static void slow_down(Migration *m, uint64_t dirtied, uint64_t sent)
{
    if (m->options.capabilities[CAPABILITY_AUTO_CONVERGE]) {
        raise_throttle(m, dirtied, sent);
    } else {
        limit_vcpus(m);
    }
}

/* At each sync: memory that is dirtied faster than it is sent, twice in a row, slows the vCPUs down. */
static void check_convergence(Migration *m)
{
    int64_t now = migration_now_ns();
    uint64_t sent;

    if (!m->options.capabilities[CAPABILITY_AUTO_CONVERGE] && !m->options.capabilities[CAPABILITY_DIRTY_LIMIT]) {
        return;
    }
    m->throttle_dirtied += m->ram.dirtied_last_sync * TARGET_PAGE_SIZE;
    if (now - m->throttle_checked_ns < THROTTLE_CHECK_NS) {
        return;
    }
    sent = transferred(m) - m->throttle_sent;
    if (m->throttle_checked_ns &&
        (double)m->throttle_dirtied > (double)sent * m->options.parameters.throttle_trigger_threshold / 100) {
        if (++m->throttle_high >= 2) {
            m->throttle_high = 0;
            slow_down(m, m->throttle_dirtied, sent);
        }
    } else {
        m->throttle_high = 0;
    }
    m->throttle_checked_ns = now;
    m->throttle_sent = transferred(m);
    m->throttle_dirtied = 0;
}

/* --- passes --- */

/* Bytes that a second moves; 0 while too little was sent to tell (the first bytes only fill the peer's buffer). */
static double speed_now(Migration *m)
{
    uint64_t limit = atomic_read(&m->max_bandwidth);
    int64_t elapsed = migration_now_ns() - m->start_ns - m->setup_ns;
    double speed = m->bandwidth;

    if (speed == 0 && m->setup_ns && elapsed >= BANDWIDTH_FIRST_NS) {
        speed = (double)transferred(m) / (double)elapsed * 1e9; /* too low rather than too high */
    }
    return limit ? MIN(speed, (double)limit) : speed;
}

static double bandwidth_now(Migration *m)
{
    uint64_t given = m->options.parameters.avail_switchover_bandwidth;

    return given ? (double)given : speed_now(m);
}

static SwitchoverView switchover_view(Migration *m)
{
    SwitchoverView view = {
        .left = ram_remaining_bytes(&m->ram),
        .bandwidth = bandwidth_now(m),
        .speed = speed_now(m),
        .dirtied = (double)atomic_read(&m->stats.dirty_pages_rate) * TARGET_PAGE_SIZE,
        .sync_ms = (double)m->ram.last_sync_took_ns / 1e6,
        .limit_ms = (double)atomic_read(&m->downtime_limit_ms),
    };

    if (!m->fits_since_ns && switchover_fits(&view)) {
        m->fits_since_ns = migration_now_ns();
    }
    view.waited_ms = m->fits_since_ns ? (double)(migration_now_ns() - m->fits_since_ns) / 1e6 : 0;
    return view;
}

static bool switchover_due(Migration *m)
{
    SwitchoverView view = switchover_view(m);
    bool due = switchover_is_due(&view);

    trace(migration_look, view.left, switchover_downtime_ms(&view), view.speed / 1e6, view.dirtied / 1e6, due);
    return due;
}

/* Takes the log.  RAM that joined meanwhile is part of it. */
static bool new_pass(Migration *m, GError **error)
{
    bool changed, ok;
    double bandwidth;

    bql_lock();
    ok = ram_check_blocks(&m->ram, &changed, error);
    bql_unlock();
    if (!ok) {
        return false;
    }
    migration_bitmap_sync(&m->ram);
    migration_emit_pass(m->stats.sync_count);
    bandwidth = bandwidth_now(m);
    if (bandwidth > 0) {
        atomic_set(&m->expected_downtime_ns,
                   (int64_t)MIN((double)ram_remaining_bytes(&m->ram) / bandwidth * 1e9, EXPECTED_MAX_NS));
    }
    check_convergence(m);
    return true;
}

/*
 * Bytes and time of the last second or so; older ones fade.  A single slice may be several times faster than the next,
 * and the decision to stop must not pick the lucky one.  Slices of mostly zero pages say how fast memory is read, not
 * how fast data travels.
 */
static void measure_bandwidth(Migration *m, int64_t since_ns, uint64_t bytes, uint64_t zero_pages)
{
    double seconds = (double)(migration_now_ns() - since_ns) / 1e9;
    double keep = MAX(0.0, 1.0 - seconds / BANDWIDTH_SECONDS);

    if (zero_pages * TARGET_PAGE_SIZE > bytes || !bytes) {
        return;
    }
    m->busy_seconds = m->busy_seconds * keep + seconds;
    m->busy_bytes = m->busy_bytes * keep + (double)bytes;
    if (m->busy_seconds >= BANDWIDTH_SAMPLE) {
        lock_acquire(&m->lock);
        m->bandwidth = m->busy_bytes / m->busy_seconds;
        lock_release(&m->lock);
        trace(migration_bandwidth, m->bandwidth / 1e6, m->busy_seconds);
    }
}

/* max-bandwidth: each byte moves the time of the next one. */
void precopy_pace(Migration *m, uint64_t bytes)
{
    uint64_t limit = atomic_read(&m->max_bandwidth);
    int64_t now = migration_now_ns();

    if (!limit) {
        m->next_send_ns = 0;
        return;
    }
    m->next_send_ns = MAX(m->next_send_ns, now) + (int64_t)((double)bytes / (double)limit * 1e9);
}

void precopy_wait_for_turn(Migration *m)
{
    uint64_t limit = atomic_read(&m->max_bandwidth);
    int64_t wait;

    if (limit != m->paced_limit) { /* what a lower limit made us wait for may be hours away */
        m->paced_limit = limit;
        m->next_send_ns = 0;
    }
    wait = m->next_send_ns - migration_now_ns();
    if (wait > 0) {
        migration_sleep(m, MIN(wait, SLICE_NS * 2));
    }
}

bool precopy_may_send(const Migration *m)
{
    return m->next_send_ns - migration_now_ns() < SLICE_NS / 5;
}

/* One PART: as much as a time slice and max-bandwidth allow. */
static void send_slice(Migration *m)
{
    int64_t start = migration_now_ns();
    uint64_t before = transferred(m), seen = before, zero_pages = atomic_read(&m->stats.duplicate);

    precopy_wait_for_turn(m);
    if (precopy_may_send(m)) {
        ram_part_begin(&m->ram, SECTION_PART);
        while (!m->writer->error && precopy_may_send(m) && migration_now_ns() - start < SLICE_NS &&
               ram_save_block(&m->ram)) {
            precopy_pace(m, transferred(m) - seen);
            seen = transferred(m);
        }
        ram_part_end(&m->ram);
        writer_flush(m->writer);
    }
    measure_bandwidth(m, start, transferred(m) - before, atomic_read(&m->stats.duplicate) - zero_pages);
}

static bool mid_pass_sync_due(Migration *m)
{
    int64_t elapsed = migration_now_ns() - m->ram.last_sync_ns;

    if (m->options.capabilities[CAPABILITY_DIRTY_LIMIT]) {
        return elapsed > (int64_t)m->options.parameters.vcpu_dirty_limit_period * 1000000;
    }
    return m->options.capabilities[CAPABILITY_AUTO_CONVERGE] && elapsed > MID_PASS_SYNC_NS;
}

/* --- the way back --- */

/* The messages that end a wait. */
typedef enum Answer { ANSWER_ACK, ANSWER_SHUT, ANSWER_TAKEN } Answer;

/* Reads what the destination answers until @wanted comes.  A SHUT that says why the load failed becomes the error. */
static bool read_answers(Migration *m, Answer wanted, GError **error)
{
    g_autofree char *reason = NULL;
    StreamReader *reader;

    m->answers = m->answers ? m->answers : reader_new(m->channel);
    reader = m->answers;
    while (!(wanted == ANSWER_ACK && m->acknowledged)) {
        uint16_t type = reader_be16(reader), size = reader_be16(reader);
        char data[RETURN_PATH_MAX + 1] = "";

        if (!reader->error && size > RETURN_PATH_MAX) {
            reader_fail(reader, "message of %u bytes", size);
        }
        reader_bytes(reader, data, size);
        if (reader->error) {
            break;
        }
        if (type == RETURN_PATH_REASON) {
            g_free(reason);
            reason = g_strndup(data, size);
        } else if (type == RETURN_PATH_SHUT && size == 4) {
            if (ldl_be_p(data) == 0 && wanted == ANSWER_SHUT) {
                return true;
            }
            return fail(error, "the destination failed: %s", reason ? reason : "it gave no reason");
        } else if (type == RETURN_PATH_TAKEN && size == 0 && wanted == ANSWER_TAKEN) {
            return true;
        } else if (type == RETURN_PATH_SWITCHOVER_ACK && size == 0) {
            m->acknowledged = true;
        } else if (type != RETURN_PATH_PONG || size != 4) {
            reader_fail(reader, "message of type %u, which is not due here", type);
            break;
        }
    }
    if (reader_ok(reader, error)) {
        return true;
    }
    error_context(error, "no answer from the destination");
    return false;
}

bool source_await_taken(Migration *m, GError **error)
{
    return read_answers(m, ANSWER_TAKEN, error);
}

bool source_await_shut(Migration *m, GError **error)
{
    return read_answers(m, ANSWER_SHUT, error);
}

/* switchover-ack: the machine runs on until the destination is ready for it. */
static bool may_switch_over(Migration *m, GError **error)
{
    if (!m->options.capabilities[CAPABILITY_SWITCHOVER_ACK]) {
        return true;
    }
    writer_flush(m->writer);
    return writer_ok(m->writer, error) && read_answers(m, ANSWER_ACK, error);
}

/* --- until the switchover --- */

/* Until the machine is to be stopped. */
static bool iterate(Migration *m, GError **error)
{
    for (;;) {
        if (!migration_going_on(m, error) || !writer_ok(m->writer, error)) {
            return false;
        }
        if (atomic_read(&m->start_postcopy)) {
            return may_switch_over(m, error);
        }
        if (switchover_due(m)) {
            if (!new_pass(m, error)) {
                return false;
            }
            if (switchover_due(m)) {
                return may_switch_over(m, error);
            }
        } else if (mid_pass_sync_due(m) && !new_pass(m, error)) {
            return false;
        }
        send_slice(m);
    }
}

/* --- switchover --- */

static bool wait_for_continue(Migration *m, GError **error)
{
    if (!migration_set_status(m, MIGRATION_ACTIVE, MIGRATION_PRE_SWITCHOVER)) {
        return fail(error, "cancelled");
    }
    lock_acquire(&m->lock);
    while (!m->may_continue && m->status == MIGRATION_PRE_SWITCHOVER) {
        cond_wait(&m->cond, &m->lock);
    }
    lock_release(&m->lock);
    return migration_going_on(m, error);
}

/* Big lock. */
static void stop_machine(Migration *m)
{
    int64_t start = migration_now_ns();

    m->old_state = runstate_get();
    globalstate_set(run_state_names[m->old_state]);
    m->stop_ns = start;
    vm_stop_force_state(RUN_STATE_FINISH_MIGRATE);
    m->stopped = true;
    m->parts.stop = migration_now_ns() - start;
}

bool source_fix_moment(Migration *m, GError **error)
{
    m->resets = system_reset_count();
    return source_still_stopped(m, error);
}

bool source_still_stopped(const Migration *m, GError **error)
{
    if (system_reset_is_due() || system_reset_count() != m->resets) {
        return fail(error, "the machine was reset in the middle of the switchover");
    }
    return runstate_get() == RUN_STATE_FINISH_MIGRATE ||
           fail(error, "the machine was started in the middle of the switchover");
}

static void send_all(Migration *m)
{
    while (!m->writer->error && ram_save_block(&m->ram)) {
    }
}

/* The pages that are left, without the big lock: the monitor goes on answering. */
static void send_rest(Migration *m)
{
    int64_t start = migration_now_ns();

    migration_bitmap_sync(&m->ram);
    m->parts.sync = m->ram.last_sync_took_ns;
    migration_emit_pass(m->stats.sync_count);
    atomic_set(&m->ram.switchover, true);
    stream_command(m->writer, STREAM_COMMAND_SWITCHOVER_START, NULL, 0);
    ram_part_begin(&m->ram, SECTION_END);
    send_all(m);
    writer_flush(m->writer);
    ram_save_wait(&m->ram);
    m->parts.ram = migration_now_ns() - start - m->parts.sync;
}

/* The last sync, and the device states that belong to it.  Big lock: nothing moves between the two. */
static bool save_final_state(Migration *m, StreamWriter *devices, GError **error)
{
    int64_t start = migration_now_ns();
    bool changed;

    if (!source_fix_moment(m, error) || !ram_check_blocks(&m->ram, &changed, error)) {
        return false;
    }
    if (changed) {
        return fail(error, "RAM was added in the middle of the switchover");
    }
    migration_bitmap_sync(&m->ram);
    send_all(m);
    ram_save_finish(&m->ram);
    ram_part_end(&m->ram);
    if (!sections_save_devices(devices, &m->config, error)) {
        return false;
    }
    m->parts.devices = migration_now_ns() - start;
    return writer_ok(m->writer, error);
}

bool source_give_up_machine(Migration *m, GError **error)
{
    bool ok;

    bql_lock();
    ok = source_still_stopped(m, error) && migration_commit(m, error);
    if (ok) {
        runstate_set(RUN_STATE_POSTMIGRATE);
    }
    bql_unlock();
    return ok;
}

/* All is on disk before the file says that it is complete. */
static bool deliver_to_file(Migration *m, const GByteArray *devices, GError **error)
{
    uint32_t magic = cpu_to_be32(STREAM_MAGIC);
    struct iovec iov = {&magic, sizeof(magic)};

    writer_bytes(m->writer, devices->data, devices->len);
    writer_flush(m->writer);
    return writer_ok(m->writer, error) && channel_finish(m->channel, error) && source_give_up_machine(m, error) &&
           channel_pwritev(m->channel, &iov, 1, m->file_start, error) && channel_finish(m->channel, error);
}

/*
 * The peer may have everything, and run.  What it or the command says decides; nobody but the user knows when there is no
 * such word: a broken link, or a cancel.
 */
static bool await_verdict(Migration *m, GError **error)
{
    bool ok;

    lock_acquire(&m->lock);
    m->awaiting_verdict = true;
    lock_release(&m->lock);
    ok = (!m->return_path || source_await_shut(m, error)) && channel_finish(m->channel, error);
    lock_acquire(&m->lock);
    m->awaiting_verdict = false;
    m->given_away = !ok && (channel_is_cancelled(m->channel) || (m->answers && m->answers->error));
    lock_release(&m->lock);
    if (m->given_away) {
        g_autofree char *why = g_strdup((*error)->message);

        g_clear_error(error);
        fail(error, "%s; the destination may have all of the machine: 'cont' here only if it does not run there", why);
    }
    return ok;
}

/*
 * Nobody tells whether the peer has everything: it may run when it has the last byte.  Until there is room for that one a
 * peer that stopped reading can be cancelled.
 */
static bool deliver_to_peer(Migration *m, const GByteArray *devices, GError **error)
{
    writer_bytes(m->writer, devices->data, devices->len - 1);
    if (!writer_flush(m->writer)) {
        return writer_ok(m->writer, error);
    }
    if (!channel_poll(m->channel, m->channel->out_fd, POLLOUT, error) || !source_give_up_machine(m, error)) {
        return false;
    }
    writer_u8(m->writer, devices->data[devices->len - 1]);
    writer_flush(m->writer);
    return writer_ok(m->writer, error) && await_verdict(m, error);
}

static bool deliver(Migration *m, const GByteArray *devices, GError **error)
{
    int64_t start = migration_now_ns();
    bool ok;

    if (m->config.handover) {
        ok = handover_run(m, devices, error);
    } else if (m->channel->seekable) {
        ok = deliver_to_file(m, devices, error);
    } else {
        ok = deliver_to_peer(m, devices, error);
    }
    m->parts.confirm = migration_now_ns() - start;
    return ok;
}

static SwitchResult result_of(bool ok)
{
    return ok ? SWITCH_DONE : SWITCH_FAILED;
}

static bool finish_stream(Migration *m, GError **error)
{
    StreamWriter *devices = writer_new(NULL);
    bool ok;

    send_rest(m);
    bql_lock();
    ok = save_final_state(m, devices, error);
    bql_unlock();
    ok = ok && deliver(m, devices->memory, error);
    writer_free(devices);
    return ok;
}

static SwitchResult switch_over(Migration *m, GError **error)
{
    MigrationStatus from = MIGRATION_ACTIVE;
    bool changed;

    bql_lock();
    if (!migration_going_on(m, error) || !ram_check_blocks(&m->ram, &changed, error)) {
        bql_unlock();
        return SWITCH_FAILED;
    }
    if (changed) { /* RAM that nobody has seen yet: another pass, while the machine runs */
        bql_unlock();
        return SWITCH_AGAIN;
    }
    stop_machine(m);
    bql_unlock();
    if (m->options.capabilities[CAPABILITY_PAUSE_BEFORE_SWITCHOVER]) {
        if (!wait_for_continue(m, error)) {
            return SWITCH_FAILED;
        }
        from = MIGRATION_PRE_SWITCHOVER;
    }
    if (!migration_set_status(m, from, MIGRATION_DEVICE)) {
        fail(error, "cancelled");
        return SWITCH_FAILED;
    }
    return result_of(atomic_read(&m->start_postcopy) ? postcopy_run(m, error) : finish_stream(m, error));
}

/*
 * A peer that went away mostly said why before.  When it was one of multifd's connections that broke the peer may know
 * nothing of it, and waits for us.
 */
static void ask_for_reason(Migration *m, GError **error)
{
    GError *answer = NULL;

    if (!m->return_path || !m->writer || !m->writer->error || !migration_going_on(m, NULL)) {
        return;
    }
    m->channel->deadline_us = g_get_monotonic_time() + LAST_WORDS_US; /* nothing else is said over it */
    source_await_shut(m, &answer);
    if (answer && g_str_has_prefix(answer->message, "the destination failed")) {
        g_clear_error(error);
        g_propagate_error(error, answer);
    } else {
        g_clear_error(&answer);
    }
}

bool precopy_run(Migration *m, GError **error)
{
    SwitchResult result = SWITCH_AGAIN;

    if (!set_up(m, error)) {
        ask_for_reason(m, error);
        return false;
    }
    while (result == SWITCH_AGAIN) {
        result = iterate(m, error) ? switch_over(m, error) : SWITCH_FAILED;
    }
    if (result == SWITCH_FAILED) {
        ask_for_reason(m, error);
    }
    return result == SWITCH_DONE;
}
