/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A migration whose last message was lost.
 *
 * The machine runs here, and the source, which cannot know that, waits in postcopy-paused or handover-paused.  After
 * migrate-recover the destination takes one more link and says again what it said last.  Its machine, and its status,
 * are not touched.
 */
#include "incoming.h"
#include "util/error.h"

static struct {
    Lock lock;
    EpilogueTell tell; /* NULL: no migration has completed here that could need it */
    Channel *channel;  /* of the link that is being waited for, or told; NULL: none */
} epilogue = {.lock = LOCK_INITIALIZER(RANK_LEAF, "epilogue")};

void epilogue_remember(EpilogueTell tell)
{
    LOCK_GUARD(&epilogue.lock);
    epilogue.tell = tell;
}

bool epilogue_due(void)
{
    LOCK_GUARD(&epilogue.lock);
    return epilogue.tell != NULL;
}

bool epilogue_waits(void)
{
    LOCK_GUARD(&epilogue.lock);
    return epilogue.channel != NULL;
}

static gpointer epilogue_thread(gpointer opaque)
{
    Incoming *in = opaque;
    Channel *channel = epilogue.channel; /* ours until we take it out */
    StreamReader *reader = reader_new(channel);
    GError *error = NULL;
    bool ok;

    channel->keep_listening = true; /* postcopy's source may make its second connection: nothing comes over it */
    ok = channel_prepare(channel, &error) &&
         (channel->bidirectional || fail(&error, "another link needs a socket, '%s' is none", channel->uri));
    if (ok) {
        incoming_set_way_back(in, channel);
        ok = epilogue.tell(in, reader, &error);
        incoming_set_way_back(in, NULL);
    }
    if (!ok) {
        error_report("telling the source that the migration has completed: %s", error->message);
        g_error_free(error);
    }
    reader_free(reader);
    lock_acquire(&epilogue.lock);
    epilogue.channel = NULL;
    lock_release(&epilogue.lock);
    channel_free(channel);
    return NULL;
}

bool epilogue_start(Incoming *in, Channel *channel, GError **error)
{
    lock_acquire(&epilogue.lock);
    if (epilogue.channel) {
        lock_release(&epilogue.lock);
        channel_free(channel);
        return fail(error, "this machine waits for its source already");
    }
    epilogue.channel = channel;
    lock_release(&epilogue.lock);
    g_thread_unref(g_thread_new("mig/epilogue", epilogue_thread, in));
    return true;
}

bool epilogue_pause(void)
{
    LOCK_GUARD(&epilogue.lock);

    if (epilogue.channel) {
        channel_cancel(epilogue.channel);
    }
    return epilogue.channel != NULL;
}
