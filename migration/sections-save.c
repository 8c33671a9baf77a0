/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writing the frame of a stream. */
#include <string.h>

#include "sections.h"
#include "util/error.h"

static void write_subsection_head(StreamWriter *writer, const char *name)
{
    writer_u8(writer, STATE_SUBSECTION_MARK);
    writer_counted_string(writer, name);
    writer_be32(writer, 1);
}

void sections_write_header(StreamWriter *writer, const StreamConfig *config)
{
    writer_be32(writer, config->unfinished ? STREAM_MAGIC_UNFINISHED : STREAM_MAGIC);
    writer_be32(writer, STREAM_VERSION);
    writer_u8(writer, SECTION_CONFIGURATION);
    writer_be32(writer, (uint32_t)strlen(config->machine));
    writer_bytes(writer, config->machine, strlen(config->machine));
    if (config->mapped_ram) {
        write_subsection_head(writer, "configuration/capabilities");
        writer_be32(writer, 1);
        writer_counted_string(writer, "mapped-ram");
    }
    if (config->has_uuid) {
        write_subsection_head(writer, "configuration/uuid");
        writer_bytes(writer, config->uuid, sizeof(config->uuid));
    }
    if (config->profile == STATE_PROFILE_NATIVE) {
        write_subsection_head(writer, "configuration/godwit");
        writer_u8(writer, (uint8_t)(config->handover | config->records << 1));
        if (config->handover) {
            writer_bytes(writer, config->id, sizeof(config->id));
        }
    }
}

void section_begin(StreamWriter *writer, uint8_t type, uint32_t id, const char *idstr, uint32_t instance,
                   uint32_t version)
{
    writer_u8(writer, type);
    writer_be32(writer, id);
    if (type == SECTION_START || type == SECTION_FULL) {
        writer_counted_string(writer, idstr);
        writer_be32(writer, instance);
        writer_be32(writer, version);
    }
}

void section_end(StreamWriter *writer, uint32_t id)
{
    writer_u8(writer, SECTION_FOOTER);
    writer_be32(writer, id);
}

void stream_command(StreamWriter *writer, StreamCommand command, const void *data, uint16_t size)
{
    writer_u8(writer, SECTION_COMMAND);
    writer_be16(writer, (uint16_t)command);
    writer_be16(writer, size);
    writer_bytes(writer, data, size);
}

/* Any number would do; these are the ones that the known format's own writer has. */
static uint32_t section_id(const StateEntry *entry, unsigned index)
{
    return strcmp(entry->idstr, "timer") ? index + 2 : 0;
}

bool sections_save_states(StreamWriter *writer, const StreamConfig *config, GError **error)
{
    g_autoptr(GPtrArray) entries = state_entries();

    for (unsigned i = 0; i < entries->len; i++) {
        const StateEntry *entry = g_ptr_array_index(entries, i);
        uint32_t id = section_id(entry, i);

        if (!state_wanted(entry, config->profile)) {
            continue;
        }
        section_begin(writer, SECTION_FULL, id, entry->idstr, (uint32_t)entry->instance,
                      (uint32_t)entry->section->version);
        if (!state_save(writer, entry, config->profile, error)) {
            return false;
        }
        section_end(writer, id);
    }
    return writer_ok(writer, error);
}

bool sections_save_devices(StreamWriter *writer, const StreamConfig *config, GError **error)
{
    g_autoptr(GPtrArray) entries = state_entries();
    GString *vmdesc;

    if (!sections_save_states(writer, config, error)) {
        return false;
    }
    writer_u8(writer, SECTION_EOF);
    vmdesc = vmdesc_build(config->machine, entries, config->profile);
    writer_u8(writer, SECTION_VMDESC);
    writer_be32(writer, (uint32_t)vmdesc->len);
    writer_bytes(writer, vmdesc->str, vmdesc->len);
    g_string_free(vmdesc, TRUE);
    return writer_ok(writer, error);
}
