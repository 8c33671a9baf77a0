/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The destination's link to the source: messages on the way back, and another link when one broke.
 *
 * In postcopy, and while the machine changes hands, a broken link ends nothing: the thread that reads drops it and waits
 * here until migrate-recover has named another one to listen on.
 */
#include <string.h>

#include "incoming.h"
#include "util/bswap.h"
#include "util/error.h"
#include "util/trace.h"

TRACE_EVENT(incoming_link_broke, "%s");

/* --- the way back --- */

void incoming_set_way_back(Incoming *in, Channel *channel)
{
    LOCK_GUARD(&in->way_back_lock);

    in->way_back = channel;
}

bool incoming_send_more(Incoming *in, uint16_t type, const void *data, uint16_t size, const void *more,
                        size_t more_size, GError **error)
{
    uint8_t head[4];
    struct iovec iov[3] = {
        {head, sizeof(head)}, {(void *)(uintptr_t)data, size}, {(void *)(uintptr_t)more, more_size}};
    LOCK_GUARD(&in->way_back_lock);

    stw_be_p(head, type);
    stw_be_p(head + 2, size);
    return in->way_back ? channel_writev(in->way_back, iov, 3, error)
                        : fail(error, "there is no way back to the source");
}

bool incoming_send(Incoming *in, uint16_t type, const void *data, uint16_t size, GError **error)
{
    return incoming_send_more(in, type, data, size, NULL, 0, error);
}

bool incoming_send_u32(Incoming *in, uint16_t type, uint32_t value, GError **error)
{
    value = cpu_to_be32(value);
    return incoming_send(in, type, &value, sizeof(value), error);
}

void incoming_send_failure(Incoming *in, const char *message)
{
    if (!in->return_path) {
        return;
    }
    if (in->loader.config.profile == STATE_PROFILE_NATIVE) {
        incoming_send(in, RETURN_PATH_REASON, message, (uint16_t)MIN(strlen(message), RETURN_PATH_MAX), NULL);
    }
    incoming_send_u32(in, RETURN_PATH_SHUT, 1, NULL);
    incoming_set_way_back(in, NULL);
}

/* --- broken links --- */

void incoming_drop_link(Incoming *in)
{
    Channel *channel;

    channel_cancel(in->channel);
    incoming_set_way_back(in, NULL);
    g_clear_pointer(&in->reader, reader_free);
    lock_acquire(&in->lock);
    channel = g_steal_pointer(&in->channel);
    lock_release(&in->lock);
    channel_free(channel);
}

bool incoming_await_link(Incoming *in, MigrationStatus paused, const char *why)
{
    bool go_on;

    trace(incoming_link_broke, why);
    lock_acquire(&in->lock);
    g_free(in->error);
    in->error = g_strdup(why);
    go_on = !in->quit;
    lock_release(&in->lock);
    if (!go_on) {
        return false;
    }
    incoming_set_status(in, paused);
    lock_acquire(&in->lock);
    while (!in->next && !in->quit && !in->cancelled && !in->seized) {
        cond_wait(&in->changed, &in->lock);
    }
    in->channel = g_steal_pointer(&in->next);
    go_on = in->channel && !in->quit && !in->cancelled && !in->seized;
    lock_release(&in->lock);
    return go_on;
}

bool incoming_accept_link(Incoming *in, GError **error)
{
    if (!channel_prepare(in->channel, error)) {
        return false;
    }
    if (!in->channel->bidirectional) {
        return fail(error, "another link needs a socket, '%s' is none", in->channel->uri);
    }
    in->reader = reader_new(in->channel);
    incoming_set_way_back(in, in->channel);
    return true;
}
