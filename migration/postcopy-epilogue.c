/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A postcopy whose last message was lost.
 *
 * The destination has all memory, says so (SHUT) and is done.  If the link breaks before the source has read that, the
 * source is left in postcopy-paused for good: it cannot know.  So the destination remembers which RAM came, and after
 * migrate-recover it takes one more link: every page has arrived, SHUT.  Its machine, and its status, are not touched.
 */
#include <string.h>

#include "incoming.h"
#include "postcopy.h"
#include "util/bitmap.h"
#include "util/error.h"

/* RAM as it was then; it may have been resized or unplugged since. */
typedef struct Arrived {
    char name[256];
    uint64_t pages;
} Arrived;

static GPtrArray *arrived; /* of Arrived *; written before the epilogue is remembered */

static const Arrived *find(const char *name)
{
    for (unsigned i = 0; i < arrived->len; i++) {
        const Arrived *a = g_ptr_array_index(arrived, i);

        if (!strcmp(a->name, name)) {
            return a;
        }
    }
    return NULL;
}

static bool tell_bitmap(Incoming *in, StreamReader *reader, uint16_t size, GError **error)
{
    g_autofree unsigned long *all = NULL;
    const Arrived *a;
    char name[256];

    reader_counted_string(reader, name);
    a = find(name);
    if (reader->error || size != 1 + strlen(name) || !a) {
        return fail(error, "the source asks for RAM '%s', which did not come", name);
    }
    all = bitmap_new(a->pages);
    bitmap_set(all, 0, a->pages);
    return postcopy_send_bitmap(in, name, all, a->pages, error);
}

static bool take_command(Incoming *in, StreamReader *reader, GError **error)
{
    uint16_t command = reader_be16(reader), size = reader_be16(reader);

    if (command == STREAM_COMMAND_RECV_BITMAP) {
        return tell_bitmap(in, reader, size, error);
    }
    if (command == STREAM_COMMAND_POSTCOPY_RESUME && !size) {
        return incoming_send_u32(in, RETURN_PATH_RESUME_ACK, 1, error);
    }
    return (command == STREAM_COMMAND_POSTCOPY_RUN && !size) || fail(error, "command %u is not due here", command);
}

/* No page is left that it could hold. */
static bool take_empty_part(StreamReader *reader, GError **error)
{
    uint32_t id = reader_be32(reader);
    uint64_t record = reader_be64(reader);

    return (record == RAM_SAVE_EOS && reader_u8(reader) == SECTION_FOOTER && reader_be32(reader) == id) ||
           fail(error, "RAM comes once more");
}

static bool tell_again(Incoming *in, StreamReader *reader, GError **error)
{
    bool ok = true;

    while (ok && !reader->error) {
        switch (reader_u8(reader)) {
        case SECTION_COMMAND:
            ok = take_command(in, reader, error);
            break;
        case SECTION_PART:
        case SECTION_END:
            ok = take_empty_part(reader, error);
            break;
        case SECTION_EOF:
            return reader_ok(reader, error) && incoming_send_u32(in, RETURN_PATH_SHUT, 0, error);
        default:
            ok = fail(error, "a section is not due here");
        }
    }
    return ok && reader_ok(reader, error);
}

void postcopy_epilogue_remember(const GPtrArray *blocks)
{
    arrived = g_ptr_array_new_with_free_func(g_free);
    for (unsigned i = 0; i < blocks->len; i++) {
        const RAMBlock *block = g_ptr_array_index(blocks, i);
        Arrived *a = g_new0(Arrived, 1);

        g_strlcpy(a->name, block->idstr, sizeof(a->name));
        a->pages = ram_block_pages(block);
        g_ptr_array_add(arrived, a);
    }
    epilogue_remember(tell_again);
}
