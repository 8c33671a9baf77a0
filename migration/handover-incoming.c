/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The destination's side of the moment in which the machine changes hands.
 *
 * From SHUT 0 on the source may give the machine up, so it is loaded and kept here until somebody who knows has said whose
 * it is: the source (HANDOVER or KEEP, over this link or another one), or the user.
 *
 *    ACTIVE --link broke--> HANDOVER_PAUSED --incoming_recover()--> HANDOVER_RECOVER --HANDOVER--> ACTIVE --> COMPLETED
 *
 * In HANDOVER_PAUSED incoming_seize() takes the machine and incoming_cancel() leaves it to the source.  What fails in
 * HANDOVER_RECOVER leads back there.
 */
#include <string.h>

#include "incoming.h"
#include "util/error.h"

typedef enum Word { WORD_TAKE, WORD_LEAVE, WORD_NONE } Word;

/* What the source says; WORD_NONE: nothing, through @reader. */
static Word hear(Incoming *in, StreamReader *reader, GError **error)
{
    const StreamConfig *config = &in->loader.config;
    uint8_t mark = reader_u8(reader), id[sizeof(config->id)];
    uint16_t command = reader_be16(reader), size = reader_be16(reader);

    if (!reader->error && (mark != SECTION_COMMAND || size != sizeof(id))) {
        reader_fail(reader, "command HANDOVER is missing");
    }
    reader_bytes(reader, id, sizeof(id));
    if (!reader->error && memcmp(id, config->id, sizeof(id))) {
        reader_fail(reader, "command %u is of another migration", command);
    }
    if (!reader->error && command != STREAM_COMMAND_HANDOVER && command != STREAM_COMMAND_KEEP) {
        reader_fail(reader, "command %u is not due here", command);
    }
    if (reader->error) {
        return WORD_NONE;
    }
    if (command == STREAM_COMMAND_KEEP) {
        fail(error, "the source keeps the machine");
        return WORD_LEAVE;
    }
    return WORD_TAKE;
}

/* --- broken links --- */

/* Another link, or the user's word instead. */
static Word await_link(Incoming *in, const char *why, GError **error)
{
    g_autofree char *text =
        g_strdup_printf("%s; the source may have given the machine up: migrate-recover here and 'migrate' with resume "
                        "there settle it; if the source is gone for good 'migrate-continue handover-paused' starts the "
                        "machine here, if it runs there migrate_cancel leaves it there", why);

    error_report("incoming migration: %s", text);
    if (!incoming_await_link(in, MIGRATION_HANDOVER_PAUSED, text)) {
        LOCK_GUARD(&in->lock);

        if (in->seized && !in->quit) {
            return WORD_TAKE;
        }
        fail(error, in->quit ? "the process ended before the machine was handed over" : "cancelled");
        return WORD_LEAVE;
    }
    return WORD_NONE;
}

/* Until somebody has said whose the machine is. */
static Word hear_again(Incoming *in, GError **error)
{
    g_autofree char *why = g_strdup(in->reader->error->message);
    GError *broken = NULL;
    Word word;

    for (;;) {
        incoming_drop_link(in);
        word = await_link(in, why, error);
        if (word != WORD_NONE) {
            return word;
        }
        if (incoming_accept_link(in, &broken)) {
            reader_set_place(in->reader, "link after the end of the stream");
            word = hear(in, in->reader, error);
            if (word != WORD_NONE) {
                return word;
            }
            reader_ok(in->reader, &broken);
        }
        g_free(why);
        why = g_strdup(broken->message);
        g_clear_error(&broken);
    }
}

/* The machine is ours, unless the user said otherwise a moment before. */
static bool decide(Incoming *in, GError **error)
{
    lock_acquire(&in->lock);
    if (in->cancelled) {
        lock_release(&in->lock);
        return fail(error, "cancelled");
    }
    in->status = MIGRATION_ACTIVE; /* from here on cancel does nothing */
    g_clear_pointer(&in->error, g_free);
    lock_release(&in->lock);
    return true;
}

bool handover_take(Incoming *in, GError **error)
{
    Word word;

    if (!incoming_commit(in, error) ||
        (in->return_path && !incoming_send_u32(in, RETURN_PATH_SHUT, 0, error))) {
        return false;
    }
    if (!in->loader.config.handover) {
        return true;
    }
    reader_set_place(in->reader, "end of the stream");
    word = hear(in, in->reader, error);
    if (word == WORD_NONE) {
        word = hear_again(in, error);
    }
    return word == WORD_TAKE && decide(in, error);
}

/* --- once the machine runs --- */

static bool tell_again(Incoming *in, StreamReader *reader, GError **error)
{
    reader_set_place(reader, "link after the end of the migration");
    switch (hear(in, reader, error)) {
    case WORD_TAKE:
        return incoming_send(in, RETURN_PATH_TAKEN, NULL, 0, error);
    case WORD_LEAVE:
        return false;
    default:
        return reader_ok(reader, error);
    }
}

void handover_confirm(Incoming *in)
{
    if (in->loader.config.handover) {
        epilogue_remember(tell_again);
        incoming_send(in, RETURN_PATH_TAKEN, NULL, 0, NULL); /* lost: the source asks again */
    }
}
