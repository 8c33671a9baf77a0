/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The source's links in postcopy: the second one of postcopy-preempt, and a new one when the old one broke.
 *
 *    POSTCOPY_ACTIVE --broken--> POSTCOPY_PAUSED --migration_resume()--> POSTCOPY_RECOVER_SETUP --connected-->
 *    POSTCOPY_RECOVER --bitmaps came, RESUME was acknowledged--> POSTCOPY_ACTIVE
 *
 * What fails on the way leads back to POSTCOPY_PAUSED.
 */
#include <string.h>

#include "postcopy-source.h"
#include "util/error.h"

#define LOOK_NS (INT64_C(100) * 1000 * 1000)

bool postcopy_connect_urgent(PostcopySource *pc, GError **error)
{
    if (!pc->m->options.capabilities[CAPABILITY_POSTCOPY_PREEMPT]) {
        return true;
    }
    pc->urgent_channel = channel_connect_more(pc->m->channel, error);
    if (!pc->urgent_channel) {
        error_context(error, "capability postcopy-preempt (is it on at the destination?)");
        return false;
    }
    pc->urgent = writer_new(pc->urgent_channel);
    pc->urgent_last = NULL;
    return true;
}

void postcopy_drop_link(PostcopySource *pc)
{
    Migration *m = pc->m;
    Channel *channel;

    writer_free(g_steal_pointer(&pc->urgent));
    channel_free(g_steal_pointer(&pc->urgent_channel));
    writer_free(g_steal_pointer(&m->writer));
    m->ram.writer = NULL;
    reader_free(g_steal_pointer(&m->answers));
    lock_acquire(&m->lock); /* cancel and pause may be at it */
    channel = g_steal_pointer(&m->channel);
    lock_release(&m->lock);
    channel_free(channel);
    g_queue_clear_full(&pc->requests, g_free); /* they are asked for again */
    g_queue_init(&pc->requests);
    g_queue_clear_full(&pc->sent, g_free); /* nobody confirms them any more */
    g_queue_init(&pc->sent);
    pc->unconfirmed = 0;
}

/* @from: any state of an unbroken or half made link. */
static void enter_paused(PostcopySource *pc, const GError *error)
{
    const char *what = error ? error->message : "the link to the destination broke";
    Migration *m = pc->m;

    lock_acquire(&m->lock);
    g_free(m->error_text);
    m->error_text = pc->all_written
                        ? g_strdup_printf("%s; all memory was sent, but the destination did not confirm it: it may have "
                                          "completed (see query-migrate there), migrate-recover makes it tell again", what)
                        : g_strdup(what);
    pc->all_written = false;
    lock_release(&m->lock);
    if (!migration_set_status(m, MIGRATION_POSTCOPY_ACTIVE, MIGRATION_POSTCOPY_PAUSED) &&
        !migration_set_status(m, MIGRATION_POSTCOPY_RECOVER, MIGRATION_POSTCOPY_PAUSED)) {
        migration_set_status(m, MIGRATION_POSTCOPY_RECOVER_SETUP, MIGRATION_POSTCOPY_PAUSED);
    }
}

/* Until migrate's resume has given a channel; false: the process ends. */
static bool await_channel(Migration *m)
{
    LOCK_GUARD(&m->lock);

    while (!m->channel && !m->quit) {
        cond_wait(&m->cond, &m->lock);
    }
    return !m->quit;
}

static bool bitmaps_came(const PostcopySource *pc)
{
    return !pc->bitmaps_due;
}

static bool resume_acked(const PostcopySource *pc)
{
    return pc->resume_acked;
}

static bool await(PostcopySource *pc, bool (*done)(const PostcopySource *pc), GError **error)
{
    LOCK_GUARD(&pc->lock);

    while (!done(pc) && !pc->ended && !pc->m->writer->error) {
        cond_timedwait_ns(&pc->changed, &pc->lock, LOOK_NS);
    }
    if (done(pc)) {
        return true;
    }
    if (pc->error) {
        g_propagate_error(error, g_steal_pointer(&pc->error));
        return false;
    }
    return writer_ok(pc->m->writer, error) && fail(error, "the destination ended the recovery");
}

static void ask_for_bitmaps(PostcopySource *pc)
{
    GPtrArray *blocks = pc->m->ram.blocks;

    for (unsigned i = 0; i < blocks->len; i++) {
        const RAMBlock *block = g_ptr_array_index(blocks, i);
        char data[256];
        size_t n = strlen(block->idstr);

        data[0] = (char)n;
        memcpy(data + 1, block->idstr, n);
        stream_command(pc->m->writer, STREAM_COMMAND_RECV_BITMAP, data, (uint16_t)(n + 1));
    }
    writer_flush(pc->m->writer);
}

static bool agree(PostcopySource *pc, GError **error)
{
    Migration *m = pc->m;

    pc->bitmaps_due = m->ram.blocks->len;
    postcopy_answers_start(pc);
    ask_for_bitmaps(pc);
    if (!await(pc, bitmaps_came, error)) {
        return false;
    }
    stream_command(m->writer, STREAM_COMMAND_POSTCOPY_RESUME, NULL, 0);
    writer_flush(m->writer);
    if (!await(pc, resume_acked, error)) {
        return false;
    }
    if (m->config.profile == STATE_PROFILE_NATIVE) { /* the first one may have been lost */
        stream_command(m->writer, STREAM_COMMAND_POSTCOPY_RUN, NULL, 0);
        writer_flush(m->writer);
    }
    return writer_ok(m->writer, error);
}

static bool connect_again(PostcopySource *pc, GError **error)
{
    Migration *m = pc->m;

    if (!channel_prepare(m->channel, error)) {
        return false;
    }
    if (!m->channel->bidirectional) {
        return fail(error, "postcopy needs a socket, '%s' is none", m->channel->uri);
    }
    m->writer = m->ram.writer = writer_new(m->channel);
    migration_set_status(m, MIGRATION_POSTCOPY_RECOVER_SETUP, MIGRATION_POSTCOPY_RECOVER);
    return postcopy_connect_urgent(pc, error) && agree(pc, error);
}

bool postcopy_recover(PostcopySource *pc)
{
    Migration *m = pc->m;

    for (;;) {
        GError *error = NULL;
        bool ok;

        postcopy_answers_stop(pc);
        enter_paused(pc, pc->error);
        postcopy_drop_link(pc);
        if (!await_channel(m)) {
            return false;
        }
        ok = connect_again(pc, &error);
        if (ok) {
            lock_acquire(&m->lock);
            g_clear_pointer(&m->error_text, g_free);
            lock_release(&m->lock);
            migration_set_status(m, MIGRATION_POSTCOPY_RECOVER, MIGRATION_POSTCOPY_ACTIVE);
            return true;
        }
        postcopy_answers_stop(pc);
        g_clear_error(&pc->error);
        pc->error = error;
    }
}
