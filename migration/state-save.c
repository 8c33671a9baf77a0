/* SPDX-License-Identifier: GPL-2.0-or-later */
/* StateIO into a stream. */
#include <string.h>

#include "state-io.h"
#include "util/error.h"

typedef struct StateSave {
    StateIO io;
    StreamWriter *writer;
} StateSave;

static StreamWriter *writer_of(StateIO *io)
{
    return container_of(io, StateSave, io)->writer;
}

static void save_element(StreamWriter *writer, StateFieldType type, const void *data)
{
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;

    switch (type) {
    case STATE_TYPE_BOOL:
        writer_u8(writer, *(const bool *)data);
        break;
    case STATE_TYPE_U16:
        memcpy(&u16, data, sizeof(u16));
        writer_be16(writer, u16);
        break;
    case STATE_TYPE_U32:
    case STATE_TYPE_I32:
        memcpy(&u32, data, sizeof(u32));
        writer_be32(writer, u32);
        break;
    case STATE_TYPE_U64:
    case STATE_TYPE_I64:
    case STATE_TYPE_TIMER:
        memcpy(&u64, data, sizeof(u64));
        writer_be64(writer, u64);
        break;
    default:
        writer_u8(writer, *(const uint8_t *)data);
    }
}

static bool save_field(StateIO *io, const char *name, StateFieldType type, void *data, size_t n, size_t stride)
{
    StreamWriter *writer = writer_of(io);

    if (type == STATE_TYPE_BUFFER || (type == STATE_TYPE_U8 && stride == 1)) {
        writer_bytes(writer, data, n);
    } else if (type == STATE_TYPE_UNUSED) {
        for (size_t i = 0; i < n; i++) {
            writer_u8(writer, 0);
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            save_element(writer, type, (const char *)data + i * stride);
        }
    }
    return writer_ok(writer, &io->error);
}

static bool save_subsection(StateIO *io, const char *name, int version, bool needed)
{
    StreamWriter *writer = writer_of(io);

    if (!needed) {
        return false;
    }
    writer_u8(writer, STATE_SUBSECTION_MARK);
    writer_counted_string(writer, name);
    writer_be32(writer, (uint32_t)version);
    return true;
}

static void save_nothing(StateIO *io)
{
}

static void save_struct_begin(StateIO *io, const char *name, const char *struct_name, int version, int index)
{
}

static const StateIOOps save_ops = {
    .field = save_field,
    .subsection = save_subsection,
    .subsection_end = save_nothing,
    .struct_begin = save_struct_begin,
    .struct_end = save_nothing,
};

bool state_wanted(const StateEntry *entry, StateProfile profile)
{
    const StateSection *section = entry->section;

    return !(section->native_only && profile == STATE_PROFILE_QEMU) &&
           (!section->needed || section->needed(entry->opaque));
}

bool state_save(StreamWriter *writer, const StateEntry *entry, StateProfile profile, GError **error)
{
    StateSave save = {
        .io = {.ops = &save_ops, .direction = STATE_SAVING, .profile = profile, .version = entry->section->version},
        .writer = writer,
    };

    entry->section->fields(&save.io, entry->opaque);
    if (save.io.error) {
        g_propagate_prefixed_error(error, save.io.error, "saving section '%s' instance %d: ", entry->idstr,
                                   entry->instance);
        return false;
    }
    return true;
}
