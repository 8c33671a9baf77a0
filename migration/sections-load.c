/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading the frame of a stream.
 *
 * The peer may be anybody: whatever does not fit ends the load with a message that says where, and what the command
 * line would have to say.
 */
#include <string.h>

#include "sections.h"
#include "system/runstate.h"
#include "util/error.h"

#define MAX_VMDESC      (64u * 1024 * 1024)
#define MAX_CAPABILITIES 64

/* Stands in by_id for the section that comes in parts. */
static const StateEntry iterative_marker;

void section_loader_init(SectionLoader *loader, StreamReader *reader, const StreamConfig *local)
{
    memset(loader, 0, sizeof(*loader));
    loader->reader = reader;
    loader->local = local;
    loader->missing_is_error = true;
    loader->by_id = g_hash_table_new(NULL, NULL);
    loader->seen = g_hash_table_new(NULL, NULL);
}

void section_loader_clear(SectionLoader *loader)
{
    g_clear_pointer(&loader->by_id, g_hash_table_unref);
    g_clear_pointer(&loader->seen, g_hash_table_unref);
}

/* --- header and configuration --- */

static bool load_machine_name(SectionLoader *loader)
{
    StreamReader *reader = loader->reader;
    StreamConfig *config = &loader->config;
    uint32_t length = reader_be32(reader);

    if (reader->error) {
        return false;
    }
    if (length >= sizeof(config->machine)) {
        return reader_fail(reader, "the machine's name is %u bytes long", length);
    }
    reader_bytes(reader, config->machine, length);
    config->machine[length] = 0;
    if (!reader->error && strcmp(config->machine, loader->local->machine)) {
        g_autofree char *shown = g_strescape(config->machine, NULL);

        return reader_fail(reader, "the source is machine '%s' (-M), this one is '%s'", shown, loader->local->machine);
    }
    return !reader->error;
}

static bool load_capabilities(SectionLoader *loader)
{
    StreamReader *reader = loader->reader;
    uint32_t count = reader_be32(reader);
    char name[256];

    if (!reader->error && count > MAX_CAPABILITIES) {
        return reader_fail(reader, "%u capabilities", count);
    }
    for (uint32_t i = 0; i < count && reader_counted_string(reader, name); i++) {
        if (!strcmp(name, "mapped-ram")) {
            loader->config.mapped_ram = true;
        } else {
            return reader_fail(reader, "the source has capability '%s' on, which this program does not know", name);
        }
    }
    return !reader->error;
}

static bool load_uuid(SectionLoader *loader)
{
    StreamReader *reader = loader->reader;

    loader->config.has_uuid = true;
    reader_bytes(reader, loader->config.uuid, sizeof(loader->config.uuid));
    if (!reader->error && loader->local->has_uuid &&
        memcmp(loader->config.uuid, loader->local->uuid, sizeof(loader->config.uuid))) {
        return reader_fail(reader, "the source has another -uuid than this machine");
    }
    return !reader->error;
}

static bool load_page_bits(SectionLoader *loader)
{
    uint32_t bits = reader_be32(loader->reader);

    if (!loader->reader->error && bits != TARGET_PAGE_BITS) {
        return reader_fail(loader->reader, "the source has pages of 2^%u bytes, this machine of 2^%d", bits,
                           TARGET_PAGE_BITS);
    }
    return !loader->reader->error;
}

static bool load_godwit(SectionLoader *loader)
{
    uint8_t flags = reader_u8(loader->reader);

    loader->config.profile = STATE_PROFILE_NATIVE;
    loader->config.handover = flags & 1;
    loader->config.records = flags & 2;
    if (loader->config.handover) {
        reader_bytes(loader->reader, loader->config.id, sizeof(loader->config.id));
    }
    return !loader->reader->error;
}

static const struct ConfigSubsection {
    const char *name;
    bool (*load)(SectionLoader *loader);
} config_subsections[] = {
    {"configuration/target-page-bits", load_page_bits},
    {"configuration/capabilities", load_capabilities},
    {"configuration/uuid", load_uuid},
    {"configuration/godwit", load_godwit},
};

static bool load_config_subsection(SectionLoader *loader)
{
    StreamReader *reader = loader->reader;
    char name[256];
    uint32_t version;

    reader_u8(reader);
    reader_counted_string(reader, name);
    version = reader_be32(reader);
    if (reader->error) {
        return false;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(config_subsections); i++) {
        if (!strcmp(name, config_subsections[i].name)) {
            if (version != 1) {
                return reader_fail(reader, "subsection '%s' has version %u, this program knows 1", name, version);
            }
            return config_subsections[i].load(loader);
        }
    }
    return reader_fail(reader, "subsection '%s' is unknown", name);
}

static bool load_magic(StreamReader *reader)
{
    uint32_t magic = reader_be32(reader), version;

    if (reader->error) {
        return false;
    }
    if (magic == STREAM_MAGIC_UNFINISHED) {
        return reader_fail(reader, "the save into this file did not complete");
    }
    if (magic != STREAM_MAGIC) {
        return reader_fail(reader, "this is no migration stream (it starts with 0x%08x)", magic);
    }
    version = reader_be32(reader);
    if (!reader->error && version != STREAM_VERSION) {
        return reader_fail(reader, "the stream has version %u, this program knows %d", version, STREAM_VERSION);
    }
    return !reader->error;
}

bool sections_load_header(SectionLoader *loader)
{
    StreamReader *reader = loader->reader;
    const uint8_t *mark;

    reader_set_place(reader, "stream header");
    loader->config.profile = STATE_PROFILE_QEMU;
    if (!load_magic(reader)) {
        return false;
    }
    reader_set_place(reader, "configuration");
    if (reader_u8(reader) != SECTION_CONFIGURATION) {
        return reader_fail(reader, "the configuration section is missing");
    }
    if (!load_machine_name(loader)) {
        return false;
    }
    while ((mark = reader_peek(reader, 1)) && *mark == STATE_SUBSECTION_MARK) {
        if (!load_config_subsection(loader)) {
            return false;
        }
    }
    if (reader->error) {
        return false;
    }
    if (loader->config.mapped_ram && !(reader->channel && reader->channel->seekable)) {
        return reader_fail(reader, "capability fixed-ram (mapped-ram) needs a file");
    }
    if (!loader->config.mapped_ram && loader->local->mapped_ram) {
        return reader_fail(reader, "the source has capability fixed-ram (mapped-ram) off, turn it off here as well");
    }
    if (loader->local->has_uuid && !loader->config.has_uuid && loader->config.profile == STATE_PROFILE_NATIVE) {
        return reader_fail(reader, "the source does not tell its -uuid (capability validate-uuid)");
    }
    return true;
}

/* --- sections --- */

/* What should be the footer is something else: most often a subsection that nobody here asked for. */
static bool load_footer(SectionLoader *loader, uint32_t id)
{
    StreamReader *reader = loader->reader;
    const uint8_t *mark = reader_peek(reader, 1);
    uint32_t got;

    if (mark && *mark == STATE_SUBSECTION_MARK) {
        char name[256];

        reader_u8(reader);
        if (!reader_counted_string(reader, name)) {
            return false;
        }
        return reader_fail(reader, "subsection '%s' is unknown here", name);
    }
    if (reader_u8(reader) != SECTION_FOOTER) {
        return reader_fail(reader, "the section does not end here (a field more or less than this "
                           "machine has: are the -smp, -cpu, -M and -device options the source's?)");
    }
    got = reader_be32(reader);
    if (!reader->error && got != id) {
        return reader_fail(reader, "the footer is of section id %u, not %u", got, id);
    }
    return !reader->error;
}

static bool check_version(SectionLoader *loader, const char *idstr, uint32_t version, int min, int max)
{
    if (version > (uint32_t)max) {
        return reader_fail(loader->reader, "section '%s' has version %u, this program knows up to %d", idstr, version,
                           max);
    }
    if (version < (uint32_t)min) {
        return reader_fail(loader->reader, "section '%s' has version %u, this program knows %d and later", idstr,
                           version, min);
    }
    return true;
}

static bool load_part(SectionLoader *loader, uint8_t type, uint32_t id)
{
    if (loader->iterative_done) {
        return reader_fail(loader->reader, "section '%s' goes on after its end", loader->iterative->name);
    }
    if (!loader->iterative->load(loader->reader, loader->iterative_opaque)) {
        return false;
    }
    if (type == SECTION_END) {
        loader->iterative_done = true;
        if (loader->iterative->loaded && !loader->iterative->loaded(loader->reader, loader->iterative_opaque)) {
            return false;
        }
    }
    return load_footer(loader, id);
}

static bool load_device(SectionLoader *loader, StateEntry *entry, uint32_t id, uint32_t version)
{
    bool ok;

    if (!check_version(loader, entry->idstr, version, entry->section->min_version, entry->section->version)) {
        return false;
    }
    if (!g_hash_table_add(loader->seen, entry)) {
        return reader_fail(loader->reader, "the section comes a second time");
    }
    if (loader->lock_bql) {
        bql_lock();
    }
    ok = state_load(loader->reader, entry, (int)version, loader->config.profile);
    if (loader->lock_bql) {
        bql_unlock();
    }
    return ok && load_footer(loader, id);
}

static bool load_first(SectionLoader *loader, uint8_t type)
{
    StreamReader *reader = loader->reader;
    uint32_t id = reader_be32(reader), instance, version;
    StateEntry *entry;
    char idstr[256];

    reader_counted_string(reader, idstr);
    instance = reader_be32(reader);
    version = reader_be32(reader);
    if (reader->error) {
        return false;
    }
    reader_set_place(reader, "section '%s' instance %u", idstr, instance);
    if (type == SECTION_START) {
        if (strcmp(idstr, loader->iterative->name) || instance) {
            return reader_fail(reader, "this program does not know the section");
        }
        if (g_hash_table_size(loader->by_id)) {
            return reader_fail(reader, "the section starts a second time");
        }
        g_hash_table_insert(loader->by_id, GUINT_TO_POINTER(id), (gpointer)&iterative_marker);
        return check_version(loader, idstr, version, loader->iterative->version, loader->iterative->version) &&
               load_part(loader, type, id);
    }
    entry = instance <= INT32_MAX ? state_find(idstr, (int)instance) : NULL;
    if (!entry) {
        return reader_fail(reader, "this machine has no such device (are the -device, -smp, -cpu and -M options the "
                           "source's?)");
    }
    return load_device(loader, entry, id, version);
}

static bool load_next_part(SectionLoader *loader, uint8_t type)
{
    uint32_t id = reader_be32(loader->reader);

    if (loader->reader->error) {
        return false;
    }
    if (!g_hash_table_contains(loader->by_id, GUINT_TO_POINTER(id))) {
        return reader_fail(loader->reader, "section id %u was not started", id);
    }
    reader_set_place(loader->reader, "section '%s' instance 0", loader->iterative->name);
    return load_part(loader, type, id);
}

static bool load_command(SectionLoader *loader)
{
    StreamReader *reader = loader->reader;
    uint16_t command, size;

    reader_set_place(reader, "command");
    command = reader_be16(reader);
    size = reader_be16(reader);
    if (reader->error) {
        return false;
    }
    switch (command) {
    case STREAM_COMMAND_OPEN_RETURN_PATH:
        if (size == 0) {
            if (loader->return_path_opened) {
                loader->return_path_opened(loader);
            }
            return true;
        }
        break;
    case STREAM_COMMAND_PING:
        if (size == 4) {
            uint32_t cookie = reader_be32(reader);

            return !reader->error && (!loader->pong || loader->pong(loader, cookie));
        }
        break;
    case STREAM_COMMAND_SWITCHOVER_START:
        if (size == 0) {
            return true;
        }
        break;
    default:
        if (loader->command) {
            return loader->command(loader, command, size);
        }
        return reader_fail(reader, "command %u is unknown, or needs a capability that this program lacks", command);
    }
    return reader_fail(reader, "command %u has %u bytes of data", command, size);
}

/* A device whose section did not come would go on in its reset state, and nobody would know. */
bool sections_check_devices(SectionLoader *loader)
{
    g_autoptr(GPtrArray) entries = NULL;
    bool ok = true;

    if (!loader->missing_is_error) {
        return true;
    }
    if (loader->lock_bql) {
        bql_lock();
    }
    entries = state_entries();
    for (unsigned i = 0; ok && i < entries->len; i++) {
        StateEntry *entry = g_ptr_array_index(entries, i);

        if (entry->section->needed || !state_wanted(entry, loader->config.profile) ||
            g_hash_table_contains(loader->seen, entry)) {
            continue;
        }
        ok = reader_fail(loader->reader, "section '%s' instance %d is missing: the source has no such device",
                         entry->idstr, entry->instance);
    }
    if (loader->lock_bql) {
        bql_unlock();
    }
    return ok;
}

static bool check_complete(SectionLoader *loader)
{
    reader_set_place(loader->reader, "end of the stream");
    if (loader->iterative && !loader->iterative_done) {
        return reader_fail(loader->reader, "section '%s' is missing or not complete", loader->iterative->name);
    }
    return loader->only_parts || sections_check_devices(loader);
}

/* Only a reader that knows there is more (a file, an open socket) waits for it: the known format allows its absence. */
static bool load_vmdesc(SectionLoader *loader)
{
    StreamReader *reader = loader->reader;
    const uint8_t *mark = reader_peek(reader, 1);
    uint32_t size;

    if (!mark) {
        return !reader->error;
    }
    if (*mark != SECTION_VMDESC) {
        return true;
    }
    reader_u8(reader);
    size = reader_be32(reader);
    if (!reader->error && size > MAX_VMDESC) {
        return reader_fail(reader, "the description is %u bytes long", size);
    }
    return reader_skip(reader, size);
}

/* One section or command.  *@type: what it was; at the end of the stream nothing more is read. */
static bool load_one(SectionLoader *loader, uint8_t *type)
{
    StreamReader *reader = loader->reader;

    reader_set_place(reader, "between sections");
    *type = reader_u8(reader);
    if (reader->error) {
        return false;
    }
    switch (*type) {
    case SECTION_START:
    case SECTION_FULL:
        return loader->only_parts ? reader_fail(reader, "a section starts where only parts of '%s' are due",
                                                loader->iterative->name)
                                  : load_first(loader, *type);
    case SECTION_PART:
    case SECTION_END:
        return load_next_part(loader, *type);
    case SECTION_COMMAND:
        return load_command(loader);
    case SECTION_EOF:
        return true;
    default:
        return reader_fail(reader, "0x%02x begins no section", *type);
    }
}

bool sections_load(SectionLoader *loader)
{
    uint8_t type;

    do {
        if (!load_one(loader, &type)) {
            return false;
        }
    } while (type != SECTION_EOF && !loader->taken_over);
    return loader->taken_over || (check_complete(loader) && (loader->only_parts || load_vmdesc(loader)));
}

bool sections_load_package(SectionLoader *loader)
{
    uint8_t type;

    while (reader_peek(loader->reader, 1)) {
        if (!load_one(loader, &type)) {
            return false;
        }
        if (type == SECTION_EOF) {
            return reader_fail(loader->reader, "the stream ends inside of a package");
        }
    }
    return !loader->reader->error;
}

void section_loader_continue(SectionLoader *loader, const SectionLoader *first, StreamReader *reader)
{
    GHashTableIter iter;
    gpointer id, entry;

    section_loader_init(loader, reader, first->local);
    loader->iterative = first->iterative;
    loader->iterative_opaque = first->iterative_opaque;
    loader->config = first->config;
    loader->missing_is_error = false;
    loader->only_parts = true;
    loader->pong = first->pong;
    loader->command = first->command;
    loader->opaque = first->opaque;
    g_hash_table_iter_init(&iter, first->by_id);
    while (g_hash_table_iter_next(&iter, &id, &entry)) {
        g_hash_table_insert(loader->by_id, id, entry);
    }
}
