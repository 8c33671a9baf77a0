/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * StateIO out of a stream.
 *
 * Fields carry no tags, so a subsection can only be told by its mark and name: the reader looks ahead and takes it
 * when it is the one asked for.  One that nobody asks for is found by the section's footer check.
 */
#include <string.h>

#include "state-io.h"
#include "util/bswap.h"
#include "util/error.h"

typedef struct StateLoad {
    StateIO io;
    StreamReader *reader;
} StateLoad;

static StreamReader *reader_of(StateIO *io)
{
    return container_of(io, StateLoad, io)->reader;
}

static void load_element(StreamReader *reader, StateFieldType type, void *data)
{
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    uint8_t u8;

    switch (type) {
    case STATE_TYPE_BOOL:
        u8 = reader_u8(reader);
        if (u8 > 1) {
            reader_fail(reader, "%u is neither 0 nor 1", u8);
        }
        if (!reader->error) {
            *(bool *)data = u8;
        }
        return;
    case STATE_TYPE_U16:
        u16 = reader_be16(reader);
        if (!reader->error) {
            memcpy(data, &u16, sizeof(u16));
        }
        return;
    case STATE_TYPE_U32:
    case STATE_TYPE_I32:
        u32 = reader_be32(reader);
        if (!reader->error) {
            memcpy(data, &u32, sizeof(u32));
        }
        return;
    case STATE_TYPE_U64:
    case STATE_TYPE_I64:
    case STATE_TYPE_TIMER:
        u64 = reader_be64(reader);
        if (!reader->error) {
            memcpy(data, &u64, sizeof(u64));
        }
        return;
    default:
        u8 = reader_u8(reader);
        if (!reader->error) {
            *(uint8_t *)data = u8;
        }
    }
}

/* The reader's error, which knows the offset, becomes the StateIO's as well: then nothing more is asked for. */
static bool load_ok(StateIO *io)
{
    return reader_ok(reader_of(io), &io->error);
}

static bool load_field(StateIO *io, const char *name, StateFieldType type, void *data, size_t n, size_t stride)
{
    StreamReader *reader = reader_of(io);

    reader->field = name;
    if (type == STATE_TYPE_UNUSED) {
        reader_skip(reader, n);
    } else if (type == STATE_TYPE_BUFFER || (type == STATE_TYPE_U8 && stride == 1)) {
        reader_bytes(reader, data, n);
    } else {
        for (size_t i = 0; i < n && !reader->error; i++) {
            load_element(reader, type, (char *)data + i * stride);
        }
    }
    if (!reader->error) {
        reader->field = NULL;
    }
    return load_ok(io);
}

static bool load_subsection(StateIO *io, const char *name, int version, bool needed)
{
    StreamReader *reader = reader_of(io);
    size_t length = strlen(name);
    const uint8_t *head = reader_peek(reader, 2 + length);
    uint32_t got;

    if (reader->error) {
        return load_ok(io);
    }
    if (!head || head[0] != STATE_SUBSECTION_MARK || head[1] != length || memcmp(head + 2, name, length)) {
        return false;
    }
    reader_skip(reader, 2 + length);
    got = reader_be32(reader);
    if (!reader->error && got > (uint32_t)version) {
        reader_fail(reader, "subsection '%s' has version %u, this program knows %d", name, got, version);
    }
    return load_ok(io);
}

static void load_nothing(StateIO *io)
{
}

static void load_struct_begin(StateIO *io, const char *name, const char *struct_name, int version, int index)
{
}

static const StateIOOps load_ops = {
    .field = load_field,
    .subsection = load_subsection,
    .subsection_end = load_nothing,
    .struct_begin = load_struct_begin,
    .struct_end = load_nothing,
};

bool state_load(StreamReader *reader, const StateEntry *entry, int version, StateProfile profile)
{
    StateLoad load = {
        .io = {.ops = &load_ops, .direction = STATE_LOADING, .profile = profile, .version = version},
        .reader = reader,
    };

    entry->section->fields(&load.io, entry->opaque);
    if (!load.io.error) {
        return true;
    }
    if (reader->error) { /* it began there */
        g_error_free(load.io.error);
        return false;
    }
    return reader_take_error(reader, load.io.error);
}
