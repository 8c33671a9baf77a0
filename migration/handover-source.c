/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The source's side of the moment in which the machine changes hands.
 *
 *    destination: SHUT 0     all is loaded
 *    source:      HANDOVER   the machine is given up here
 *    destination: TAKEN      it runs there
 *
 * Before HANDOVER is sent any failure leaves the machine here, after TAKEN it is there.  In between a broken link leaves
 * the source in doubt, and no clock can help: a destination that may start until some time may also have started.  So the
 * machine stands still here (HANDOVER_PAUSED) until HANDOVER was said once more over another link, which is harmless when
 * it was heard before, and TAKEN came; or until the user, who knows that it does not run there, lets it run here.
 */
#include <errno.h>
#include <sys/random.h>

#include "source.h"
#include "util/bswap.h"
#include "util/error.h"

static const char in_transit[] = "the machine is being handed over: whether the destination runs it will be known soon";

bool handover_new_id(Migration *m, GError **error)
{
    return getrandom(m->config.id, sizeof(m->config.id), 0) == (ssize_t)sizeof(m->config.id) ||
           fail_errno(error, errno, "no random numbers for the migration's id");
}

/* --- the messages --- */

/*
 * "cont" is refused while HANDOVER may be on its way.  False: it came before, or the machine is in use here for some other
 * reason.
 */
static bool enter_transit(GError **error)
{
    bool ok;

    bql_lock();
    ok = runstate_get() == RUN_STATE_POSTMIGRATE;
    vm_give_away(ok ? in_transit : NULL);
    bql_unlock();
    return ok || fail(error, "the machine was given up for the destination, but is in use here again");
}

static void leave_transit(void)
{
    bql_lock();
    vm_give_away(NULL);
    bql_unlock();
}

static bool say_handover(Migration *m, GError **error)
{
    stream_command(m->writer, STREAM_COMMAND_HANDOVER, m->config.id, sizeof(m->config.id));
    writer_flush(m->writer);
    return writer_ok(m->writer, error);
}

/* Spares the destination, which has everything, to ask whose the machine is. */
static void say_keep(Migration *m)
{
    StreamWriter *writer = writer_new(NULL);

    stream_command(writer, STREAM_COMMAND_KEEP, m->config.id, sizeof(m->config.id));
    channel_send_last(m->channel, writer->memory->data, writer->memory->len);
    writer_free(writer);
}

/* --- broken links --- */

/* Big lock.  The machine runs here although the destination may have it: the user knows better. */
static void notice_run(void *opaque, bool running, RunState state)
{
    Migration *m = opaque;
    LOCK_GUARD(&m->lock);

    if (running && m->status == MIGRATION_HANDOVER_PAUSED) {
        m->taken_back = true;
        cond_broadcast(&m->cond);
    }
}

static void drop_link(Migration *m)
{
    Channel *channel;

    writer_free(g_steal_pointer(&m->writer));
    m->ram.writer = NULL;
    reader_free(g_steal_pointer(&m->answers));
    lock_acquire(&m->lock); /* pause may be at it */
    channel = g_steal_pointer(&m->channel);
    lock_release(&m->lock);
    channel_free(channel);
}

/* With the big lock, so that a "cont" is either refused or noticed. */
static void enter_paused(Migration *m, const char *why)
{
    char *text = g_strdup_printf("%s; the destination may be running: 'cont' here only if it is not (query-migrate there "
                                 "tells); migrate-recover there and 'migrate' with resume here settle it", why);

    error_report("migration: %s", text);
    drop_link(m);
    lock_acquire(&m->lock);
    g_free(m->error_text);
    m->error_text = text;
    lock_release(&m->lock);
    bql_lock();
    vm_give_away(NULL);
    if (!migration_set_status(m, MIGRATION_DEVICE, MIGRATION_HANDOVER_PAUSED)) {
        migration_set_status(m, MIGRATION_HANDOVER_RECOVER, MIGRATION_HANDOVER_PAUSED);
    }
    bql_unlock();
}

/* Until migrate's resume has given a channel; false: it is over. */
static bool await_channel(Migration *m, GError **error)
{
    LOCK_GUARD(&m->lock);

    while (!m->channel && !m->quit && !m->taken_back) {
        cond_wait(&m->cond, &m->lock);
    }
    if (m->taken_back) {
        return fail(error, "the handover broke, and the machine was let run here");
    }
    return !m->quit || fail(error, "the process ended before the destination had confirmed that it has the machine");
}

static bool say_it_again(Migration *m, GError **error)
{
    if (!channel_prepare(m->channel, error)) {
        return false;
    }
    if (!m->channel->bidirectional) {
        return fail(error, "a handover needs a socket, '%s' is none", m->channel->uri);
    }
    m->writer = writer_new(m->channel);
    return say_handover(m, error) && source_await_taken(m, error);
}

/* HANDOVER is on its way, or was lost. */
static bool settle(Migration *m, GError **error)
{
    GError *why = NULL;
    bool taken = source_await_taken(m, &why);

    while (!taken) {
        enter_paused(m, why->message);
        g_clear_error(&why);
        if (!await_channel(m, error) || !enter_transit(error)) {
            return false;
        }
        taken = say_it_again(m, &why);
    }
    return true;
}

static void settled(Migration *m)
{
    leave_transit();
    atomic_set(&m->downtime_ns, migration_now_ns() - m->stop_ns);
    lock_acquire(&m->lock);
    g_clear_pointer(&m->error_text, g_free);
    lock_release(&m->lock);
}

bool handover_run(Migration *m, const GByteArray *devices, GError **error)
{
    bool ok;

    writer_bytes(m->writer, devices->data, devices->len);
    if (!writer_flush(m->writer)) {
        return writer_ok(m->writer, error);
    }
    if (!source_await_shut(m, error) || !source_give_up_machine(m, error) || !enter_transit(error)) {
        say_keep(m);
        return false;
    }
    if (!say_handover(m, error)) { /* so it was not heard */
        leave_transit();
        return false;
    }
    m->given_away = true;
    bql_lock();
    vm_state_change_add(notice_run, m);
    bql_unlock();
    ok = settle(m, error);
    bql_lock();
    vm_state_change_remove(notice_run, m);
    bql_unlock();
    if (ok) {
        settled(m);
    }
    return ok;
}
