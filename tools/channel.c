/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A captured connection of multifd: its first packet of 64 bytes, then packets of pages.  The connection does not list
 * the blocks, so their length is where the last page seen ends; compressed pages are counted, not looked into.
 */
#include <inttypes.h>
#include <string.h>

#include "analyze.h"
#include "util/bswap.h"

enum {
    MAGIC = 0x11223344,
    INITIAL_BYTES = 64,
    PACKET_BYTES = 1344,
    PACKET_PAGES = 128,
    FLAG_SYNC = 0x1,
    FLAG_ZLIB = 0x2,
    FLAG_ZSTD = 0x4,
    FLAGS_COMPRESSION = 0x3e,
};

typedef struct Packet {
    const uint8_t *bytes;
    uint64_t start; /* in the file */
    uint32_t flags, normal, zero, data_size;
    Block *block;
} Packet;

static Block *packet_block(Analysis *analysis, const Packet *p)
{
    char name[256];
    Block *block;

    g_strlcpy(name, (const char *)p->bytes + 64, sizeof(name));
    for (char *c = name; *c; c++) {
        *c = g_ascii_isprint(*c) ? *c : '?';
    }
    block = analysis_block(analysis, name);
    if (!block) {
        block = block_new();
        strcpy(block->name, name);
        g_ptr_array_add(analysis->blocks, block);
    }
    return block;
}

/* Where page @i of the packet is in the file: zero pages are behind the normal ones. */
static bool note_page(Cursor *cursor, const Packet *p, uint32_t i, uint64_t data)
{
    uint64_t offset = ldq_be_p(p->bytes + 320 + i * 8), page = offset / PAGE_BYTES;

    if (offset % PAGE_BYTES || offset > INT64_MAX - PAGE_BYTES) {
        cursor_complain(cursor, p->start, "offset %u of the packet is 0x%" PRIx64 ", which is no page", i, offset);
        return false;
    }
    p->block->length = MAX(p->block->length, offset + PAGE_BYTES);
    if (i >= p->normal) {
        block_set_page(p->block, page, 0);
    } else if (p->flags & FLAGS_COMPRESSION) {
        g_hash_table_remove(p->block->pages, &page);
    } else {
        block_set_page(p->block, page, data + (uint64_t)i * PAGE_BYTES);
    }
    return true;
}

static bool check_packet(Cursor *cursor, const Packet *p)
{
    uint32_t room = ldl_be_p(p->bytes + 12);

    if (ldl_be_p(p->bytes) != MAGIC || ldl_be_p(p->bytes + 4) != 1) {
        return cursor_fail(cursor, "no packet of multifd (magic 0x%08x, version %u)", ldl_be_p(p->bytes),
                           ldl_be_p(p->bytes + 4));
    }
    if (p->normal > PACKET_PAGES || p->zero > PACKET_PAGES - p->normal || (room != PACKET_PAGES && p->normal + p->zero)) {
        return cursor_fail(cursor, "packet with room for %u pages, %u normal and %u zero ones", room, p->normal, p->zero);
    }
    if (!(p->flags & FLAGS_COMPRESSION) && p->data_size != p->normal * PAGE_BYTES) {
        return cursor_fail(cursor, "packet of %u pages with %u bytes of data", p->normal, p->data_size);
    }
    if ((p->normal || p->zero) && !memchr(p->bytes + 64, 0, 256)) {
        return cursor_fail(cursor, "packet whose block's name has no end");
    }
    return true;
}

static bool walk_packet(Analysis *analysis, Cursor *cursor, Packet *p)
{
    uint64_t data;

    p->start = cursor->at;
    p->bytes = cursor_take(cursor, PACKET_BYTES);
    if (!p->bytes) {
        return false;
    }
    p->flags = ldl_be_p(p->bytes + 8);
    p->normal = ldl_be_p(p->bytes + 16);
    p->data_size = ldl_be_p(p->bytes + 20);
    p->zero = ldl_be_p(p->bytes + 32);
    data = cursor->at;
    if (!check_packet(cursor, p) || !cursor_take(cursor, p->data_size)) {
        return false;
    }
    if (p->normal + p->zero) {
        p->block = packet_block(analysis, p);
        p->block->normal += p->normal;
        p->block->zero += p->zero;
    }
    for (uint32_t i = 0; i < p->normal + p->zero && note_page(cursor, p, i, data); i++) {
    }
    return true;
}

static const char *compression_of(uint32_t flags)
{
    return flags & FLAG_ZLIB ? "zlib" : flags & FLAG_ZSTD ? "zstd" : flags & FLAGS_COMPRESSION ? "other" : "none";
}

static bool walk_initial(Cursor *cursor, JsonObject *out)
{
    uint64_t version;

    cursor_number(cursor, 4); /* the magic that led here */
    version = cursor_number(cursor, 4);
    cursor_take(cursor, 16);
    json_object_set_int_member(out, "id", (gint64)cursor_number(cursor, 1));
    cursor_take(cursor, INITIAL_BYTES - 25);
    return version == 1 ? !cursor->failed : cursor_fail(cursor, "multifd version %" PRIu64 " instead of 1", version);
}

bool channel_walk(Analysis *analysis, Cursor *cursor)
{
    JsonObject *out = json_object_new();
    uint64_t packets = 0, syncs = 0, bytes = 0;
    uint32_t flags = 0;
    Packet p;

    if (walk_initial(cursor, out)) {
        while (cursor->at < cursor->size && walk_packet(analysis, cursor, &p)) {
            packets++;
            syncs += p.flags & FLAG_SYNC;
            bytes += p.data_size;
            flags |= p.flags;
        }
    }
    json_object_set_int_member(out, "packets", (gint64)packets);
    json_object_set_int_member(out, "syncs", (gint64)syncs);
    json_object_set_int_member(out, "data", (gint64)bytes);
    json_object_set_string_member(out, "compression", compression_of(flags));
    json_object_set_object_member(analysis->report, "multifd-channel", out);
    return !cursor->failed;
}
