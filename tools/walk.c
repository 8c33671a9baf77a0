/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The walk through a stream: frame and RAM.  docs/stream-format.md has the grammar.
 *
 * A device section does not say how long it is.  Where the description tells, its fields are decoded; where there is no
 * description, the next footer of the section is looked for.
 */
#include <inttypes.h>
#include <string.h>

#include "analyze.h"
#include "util/bswap.h"

enum {
    MAGIC = 0x5145564d,            /* "QEVM" */
    MAGIC_UNFINISHED = 0x47574950, /* "GWIP" */
    MAGIC_CHANNEL = 0x11223344,    /* a connection of multifd */
    GODWIT_HANDOVER = 1,           /* of configuration/godwit: the migration's id follows */
    GODWIT_RECORDS = 2,            /* of configuration/godwit: fixed-ram blocks have records */
    MARK_EOF = 0,
    MARK_START = 1,
    MARK_PART = 2,
    MARK_END = 3,
    MARK_FULL = 4,
    MARK_SUBSECTION = 5,
    MARK_DESCRIPTION = 6,
    MARK_CONFIGURATION = 7,
    MARK_COMMAND = 8,
    MARK_FOOTER = 0x7e,
    RAM_ZERO = 0x02,
    RAM_MEM_SIZE = 0x04,
    RAM_PAGE = 0x08,
    RAM_EOS = 0x10,
    RAM_CONTINUE = 0x20,
    RAM_XBZRLE = 0x40,
    RAM_MULTIFD_FLUSH = 0x200,
    RAM_RUN = 0x400,
    RAM_FLAGS = PAGE_BYTES - 1,
    MAX_PROBLEMS = 100,
};

/* --- cursor --- */

static void add_problem(GPtrArray *problems, uint64_t at, const char *format, va_list args)
{
    g_autofree char *message = g_strdup_vprintf(format, args);

    for (char *c = message; *c; c++) {
        *c = g_ascii_iscntrl(*c) ? '?' : *c; /* names come from the file */
    }
    if (problems->len < MAX_PROBLEMS) {
        g_ptr_array_add(problems, g_strdup_printf("offset 0x%" PRIx64 ": %s", at, message));
    }
}

bool cursor_fail(Cursor *cursor, const char *format, ...)
{
    va_list args;

    if (!cursor->failed) {
        va_start(args, format);
        add_problem(cursor->problems, cursor->at, format, args);
        va_end(args);
    }
    cursor->failed = true;
    return false;
}

void cursor_complain(Cursor *cursor, uint64_t at, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_problem(cursor->problems, at, format, args);
    va_end(args);
}

const uint8_t *cursor_take(Cursor *cursor, uint64_t size)
{
    if (cursor->failed || size > cursor->size - cursor->at) {
        cursor_fail(cursor, "the file ends where %" PRIu64 " more bytes should be", size);
        return NULL;
    }
    cursor->at += size;
    return cursor->data + cursor->at - size;
}

uint64_t cursor_number(Cursor *cursor, unsigned bytes)
{
    const uint8_t *p = cursor_take(cursor, bytes);
    uint64_t value = 0;

    for (unsigned i = 0; p && i < bytes; i++) {
        value = value << 8 | p[i];
    }
    return value;
}

void cursor_name(Cursor *cursor, char name[256])
{
    uint64_t size = cursor_number(cursor, 1);
    const uint8_t *p = cursor_take(cursor, size);

    for (uint64_t i = 0; p && i < size; i++) {
        name[i] = g_ascii_isprint((char)p[i]) ? (char)p[i] : '?';
    }
    name[p ? size : 0] = 0;
}

/* --- the walk's state --- */

typedef struct Section {
    uint64_t id, instance, version, offset, size;
    unsigned parts;
    char name[256];
    JsonObject *fields; /* owned, or NULL */
} Section;

typedef struct Walk {
    Analysis *analysis;
    Cursor cursor;
    JsonObject *description; /* or NULL */
    GPtrArray *sections;     /* of Section */
    GHashTable *commands;    /* number -> how many */
    bool fixed, native, records, ended;
    uint64_t ram_lists;
    Block *last_block;
} Walk;

static void section_free(void *opaque)
{
    Section *section = opaque;

    g_clear_pointer(&section->fields, json_object_unref);
    g_free(section);
}

Block *block_new(void)
{
    Block *block = g_new0(Block, 1);

    block->pages = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    return block;
}

void block_set_page(Block *block, uint64_t page, uint64_t at)
{
    if (!at) {
        g_hash_table_remove(block->pages, &page);
        return;
    }
    g_hash_table_insert(block->pages, g_memdup2(&page, sizeof(page)), (void *)(uintptr_t)at);
}

static void block_free(void *opaque)
{
    Block *block = opaque;

    g_clear_pointer(&block->pages, g_hash_table_unref);
    g_free(block);
}

Block *analysis_block(const Analysis *analysis, const char *name)
{
    for (guint i = 0; i < analysis->blocks->len; i++) {
        Block *block = g_ptr_array_index(analysis->blocks, i);

        if (!strcmp(block->name, name)) {
            return block;
        }
    }
    return NULL;
}

/* --- configuration --- */

static void walk_capabilities(Walk *walk, JsonArray *names)
{
    Cursor *cursor = &walk->cursor;
    char name[256];

    for (uint64_t n = cursor_number(cursor, 4); n && !cursor->failed; n--) {
        cursor_name(cursor, name);
        json_array_add_string_element(names, name);
        walk->fixed |= !strcmp(name, "mapped-ram");
    }
}

static bool walk_config_subsection(Walk *walk, JsonArray *capabilities)
{
    Cursor *cursor = &walk->cursor;
    JsonObject *report = walk->analysis->report;
    uint64_t flags;
    char name[256];

    cursor_number(cursor, 1);
    cursor_name(cursor, name);
    cursor_number(cursor, 4);
    if (!strcmp(name, "configuration/capabilities")) {
        walk_capabilities(walk, capabilities);
    } else if (!strcmp(name, "configuration/uuid")) {
        cursor_take(cursor, 16);
        json_object_set_boolean_member(report, "uuid", true);
    } else if (!strcmp(name, "configuration/target-page-bits")) {
        json_object_set_int_member(report, "target-page-bits", (gint64)cursor_number(cursor, 4));
    } else if (!strcmp(name, "configuration/godwit")) {
        walk->native = true;
        flags = cursor_number(cursor, 1);
        walk->records = flags & GODWIT_RECORDS;
        if (flags & GODWIT_HANDOVER) {
            cursor_take(cursor, 16); /* the migration's id */
        }
        json_object_set_int_member(report, "godwit-flags", (gint64)flags);
    } else {
        return cursor_fail(cursor, "configuration subsection '%s' is unknown", name);
    }
    return !cursor->failed;
}

static bool walk_configuration(Walk *walk)
{
    Cursor *cursor = &walk->cursor;
    JsonObject *report = walk->analysis->report;
    JsonArray *capabilities = json_array_new();
    uint64_t size = cursor_number(cursor, 4);
    const uint8_t *name = cursor_take(cursor, size);
    g_autofree char *valid = name ? g_utf8_make_valid((const char *)name, (gssize)MIN(size, 255)) : g_strdup("");

    json_object_set_string_member(report, "machine", valid);
    while (!cursor->failed && cursor->at < cursor->size && cursor->data[cursor->at] == MARK_SUBSECTION &&
           walk_config_subsection(walk, capabilities)) {
    }
    json_object_set_array_member(report, "capabilities", capabilities);
    json_object_set_string_member(report, "profile", walk->native ? "native" : "qemu-10.0");
    return !cursor->failed;
}

static bool walk_header(Walk *walk)
{
    Cursor *cursor = &walk->cursor;
    JsonObject *report = walk->analysis->report;
    uint64_t magic = cursor_number(cursor, 4);
    uint64_t version;

    if (!cursor->failed && magic == MAGIC_UNFINISHED) {
        cursor_complain(cursor, 0, "the save into this file did not complete");
    } else if (magic != MAGIC) {
        return cursor_fail(cursor, "this is no migration stream (it starts with 0x%08" PRIx64 ")", magic);
    }
    json_object_set_boolean_member(report, "finished", magic == MAGIC);
    version = cursor_number(cursor, 4);
    if (version != 3) {
        return cursor_fail(cursor, "stream version %" PRIu64 " instead of 3", version);
    }
    if (cursor_number(cursor, 1) != MARK_CONFIGURATION) {
        return cursor_fail(cursor, "the configuration is missing");
    }
    return walk_configuration(walk);
}

/* --- RAM --- */

static bool walk_block_list(Walk *walk, uint64_t total)
{
    Cursor *cursor = &walk->cursor;

    walk->ram_lists++;
    while (total && !cursor->failed) {
        Block *block = block_new();

        cursor_name(cursor, block->name);
        block->length = cursor_number(cursor, 8);
        if (cursor->failed || !block->length || block->length > total || analysis_block(walk->analysis, block->name)) {
            cursor_fail(cursor, "RAM '%s' of %" PRIu64 " bytes does not fit the list (%" PRIu64 " left)", block->name,
                        block->length, total);
            block_free(block);
            return false;
        }
        g_ptr_array_add(walk->analysis->blocks, block);
        total -= block->length;
        if (walk->fixed && !fixed_walk(cursor, block, walk->records)) {
            return false;
        }
    }
    return !cursor->failed;
}

static bool walk_record_block(Walk *walk, uint64_t record)
{
    Cursor *cursor = &walk->cursor;
    char name[256];

    if (!(record & RAM_CONTINUE)) {
        cursor_name(cursor, name);
        walk->last_block = analysis_block(walk->analysis, name);
        if (!walk->last_block) {
            return cursor_fail(cursor, "a page of RAM '%s', which is not listed", name);
        }
    }
    return walk->last_block || cursor_fail(cursor, "a page of no block");
}

typedef struct PageRange {
    uint64_t first, end;
} PageRange;

static gboolean in_range(void *key, void *value, void *opaque)
{
    const PageRange *range = opaque;
    uint64_t page = *(const uint64_t *)key;

    return page >= range->first && page < range->end;
}

/* The number comes from the file, a run of zeroes has no bytes that bound it: the work is in what is known already. */
static void walk_zeroes(Walk *walk, uint64_t page, uint64_t n)
{
    PageRange range = {page, page + n};
    Block *block = walk->last_block;

    cursor_take(&walk->cursor, 1);
    block->zero += n;
    if (n == 1) {
        block_set_page(block, page, 0);
    } else {
        g_hash_table_foreach_remove(block->pages, in_range, &range);
    }
}

static void walk_page(Walk *walk, uint64_t page)
{
    Block *block = walk->last_block;
    uint64_t at = walk->cursor.at;

    block->normal++;
    if (cursor_take(&walk->cursor, MIN(PAGE_BYTES, block->length - page * PAGE_BYTES))) {
        block_set_page(block, page, at);
    }
}

/* A difference to what was there: not looked into. */
static void walk_delta(Walk *walk, uint64_t page)
{
    cursor_number(&walk->cursor, 1);
    cursor_take(&walk->cursor, cursor_number(&walk->cursor, 2));
    walk->last_block->normal++;
    block_set_page(walk->last_block, page, 0);
}

static bool walk_pages(Walk *walk, uint64_t record)
{
    Cursor *cursor = &walk->cursor;
    uint64_t offset = record & ~(uint64_t)RAM_FLAGS, n;
    Block *block;

    if (!walk_record_block(walk, record)) {
        return false;
    }
    block = walk->last_block;
    n = record & RAM_RUN ? cursor_number(cursor, 4) : 1;
    if (!n || offset >= block->length || n > DIV_ROUND_UP(block->length - offset, PAGE_BYTES)) {
        return cursor_fail(cursor, "%" PRIu64 " pages at 0x%" PRIx64 " are not in RAM '%s'", n, offset, block->name);
    }
    if (record & RAM_ZERO) {
        walk_zeroes(walk, offset / PAGE_BYTES, n);
    } else if (record & RAM_XBZRLE) {
        walk_delta(walk, offset / PAGE_BYTES);
    } else {
        for (; n && !cursor->failed; n--, offset += PAGE_BYTES) {
            walk_page(walk, offset / PAGE_BYTES);
        }
    }
    return !cursor->failed;
}

static bool walk_ram(Walk *walk)
{
    Cursor *cursor = &walk->cursor;

    walk->last_block = NULL;
    while (!cursor->failed) {
        uint64_t record = cursor_number(cursor, 8);
        unsigned flags = record & RAM_FLAGS & ~RAM_CONTINUE;

        if (cursor->failed) {
            break;
        }
        if (flags == RAM_EOS) {
            return true;
        }
        if (flags == RAM_MEM_SIZE) {
            walk_block_list(walk, record & ~(uint64_t)RAM_FLAGS);
        } else if ((flags & ~RAM_RUN) == RAM_ZERO || (flags & ~RAM_RUN) == RAM_PAGE || flags == RAM_XBZRLE) {
            walk_pages(walk, record);
        } else if (flags != RAM_MULTIFD_FLUSH) {
            return cursor_fail(cursor, "RAM record 0x%" PRIx64 " is none", record);
        }
    }
    return false;
}

/* --- sections --- */

static JsonObject *described(Walk *walk, const Section *section)
{
    JsonNode *devices = walk->description ? json_object_get_member(walk->description, "devices") : NULL;
    JsonArray *array = devices && JSON_NODE_HOLDS_ARRAY(devices) ? json_node_get_array(devices) : NULL;

    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);
        JsonObject *device = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
        JsonNode *name = device ? json_object_get_member(device, "name") : NULL;
        JsonNode *instance = device ? json_object_get_member(device, "instance_id") : NULL;

        if (name && JSON_NODE_HOLDS_VALUE(name) && json_node_get_value_type(name) == G_TYPE_STRING &&
            !strcmp(json_node_get_string(name), section->name) && instance && JSON_NODE_HOLDS_VALUE(instance) &&
            (uint64_t)json_node_get_int(instance) == section->instance) {
            return device;
        }
    }
    return NULL;
}

/* To the first place that looks like this section's footer, with the mark of another section behind it. */
static bool skip_to_footer(Walk *walk, const Section *section)
{
    Cursor *cursor = &walk->cursor;

    for (uint64_t at = cursor->at; cursor->size - at >= 6; at++) {
        const uint8_t *p = cursor->data + at;

        if (p[0] == MARK_FOOTER && ldl_be_p(p + 1) == section->id && (p[5] <= MARK_FULL || p[5] == MARK_COMMAND)) {
            cursor->at = at;
            return true;
        }
    }
    return cursor_fail(cursor, "section '%s' has no end", section->name);
}

static Section *section_by_id(Walk *walk, uint64_t id)
{
    for (guint i = 0; i < walk->sections->len; i++) {
        Section *section = g_ptr_array_index(walk->sections, i);

        if (section->id == id) {
            return section;
        }
    }
    return NULL;
}

static Section *new_section(Walk *walk, uint64_t id, uint64_t offset)
{
    Section *section = g_new0(Section, 1);

    section->id = id;
    section->offset = offset;
    cursor_name(&walk->cursor, section->name);
    section->instance = cursor_number(&walk->cursor, 4);
    section->version = cursor_number(&walk->cursor, 4);
    g_ptr_array_add(walk->sections, section);
    return section;
}

static bool walk_payload(Walk *walk, Section *section, unsigned mark)
{
    JsonObject *device;

    if (!strcmp(section->name, "ram")) {
        return walk_ram(walk);
    }
    device = mark == MARK_FULL ? described(walk, section) : NULL;
    if (!device) {
        return skip_to_footer(walk, section);
    }
    g_clear_pointer(&section->fields, json_object_unref);
    section->fields = fields_decode(&walk->cursor, device);
    return !walk->cursor.failed;
}

static bool walk_section(Walk *walk, unsigned mark, uint64_t offset)
{
    Cursor *cursor = &walk->cursor;
    uint64_t id = cursor_number(cursor, 4);
    Section *section = mark == MARK_START || mark == MARK_FULL ? new_section(walk, id, offset) : section_by_id(walk, id);

    if (!section) {
        return cursor_fail(cursor, "a part of section %" PRIu64 ", which did not start", id);
    }
    section->parts++;
    if (cursor->failed || !walk_payload(walk, section, mark)) {
        cursor_complain(cursor, offset, "section '%s' instance %" PRIu64 " is not sound", section->name,
                        section->instance);
        return false;
    }
    if (cursor_number(cursor, 1) != MARK_FOOTER || cursor_number(cursor, 4) != id) {
        return cursor_fail(cursor, "section '%s' instance %" PRIu64 " does not end with its footer", section->name,
                           section->instance);
    }
    section->size += cursor->at - offset;
    return true;
}

static bool walk_command(Walk *walk)
{
    Cursor *cursor = &walk->cursor;
    gpointer number = GUINT_TO_POINTER((guint)cursor_number(cursor, 2));
    uint64_t size = cursor_number(cursor, 2);

    cursor_take(cursor, size);
    if (!cursor->failed) {
        g_hash_table_insert(walk->commands, number,
                            GUINT_TO_POINTER(GPOINTER_TO_UINT(g_hash_table_lookup(walk->commands, number)) + 1));
    }
    return !cursor->failed;
}

/* After the end: the description, and a command of the native profile's hand-over. */
static void walk_tail(Walk *walk)
{
    Cursor *cursor = &walk->cursor;

    walk->ended = true;
    while (!cursor->failed && cursor->at < cursor->size) {
        unsigned mark = (unsigned)cursor_number(cursor, 1);

        if (mark == MARK_DESCRIPTION) {
            cursor_take(cursor, cursor_number(cursor, 4));
        } else if (mark == MARK_COMMAND) {
            walk_command(walk);
        } else {
            cursor->at--;
            cursor_fail(cursor, "%" PRIu64 " bytes after the end", cursor->size - cursor->at);
        }
    }
}

static void walk_sections(Walk *walk)
{
    Cursor *cursor = &walk->cursor;

    while (!cursor->failed) {
        uint64_t offset = cursor->at;
        unsigned mark = (unsigned)cursor_number(cursor, 1);

        if (cursor->failed) {
            break;
        }
        if (mark == MARK_EOF) {
            walk_tail(walk);
            return;
        }
        if (mark >= MARK_START && mark <= MARK_FULL) {
            walk_section(walk, mark, offset);
        } else if (mark == MARK_COMMAND) {
            walk_command(walk);
        } else {
            cursor->at--;
            cursor_fail(cursor, "0x%02x is no section", mark);
        }
    }
}

/* --- the report --- */

static void report_sections(Walk *walk)
{
    JsonArray *list = json_array_new();

    for (guint i = 0; i < walk->sections->len; i++) {
        Section *section = g_ptr_array_index(walk->sections, i);
        JsonObject *out = json_object_new();

        json_object_set_string_member(out, "name", section->name);
        json_object_set_int_member(out, "instance", (gint64)section->instance);
        json_object_set_int_member(out, "version", (gint64)section->version);
        json_object_set_int_member(out, "id", (gint64)section->id);
        json_object_set_int_member(out, "offset", (gint64)section->offset);
        json_object_set_int_member(out, "size", (gint64)section->size);
        json_object_set_int_member(out, "parts", section->parts);
        if (section->fields) {
            json_object_set_object_member(out, "fields", json_object_ref(section->fields));
        }
        json_array_add_object_element(list, out);
    }
    json_object_set_array_member(walk->analysis->report, "sections", list);
}

static void report_commands(Walk *walk)
{
    JsonObject *out = json_object_new();
    GHashTableIter iter;
    void *number, *count;

    g_hash_table_iter_init(&iter, walk->commands);
    while (g_hash_table_iter_next(&iter, &number, &count)) {
        g_autofree char *name = g_strdup_printf("%u", GPOINTER_TO_UINT(number));

        json_object_set_int_member(out, name, GPOINTER_TO_UINT(count));
    }
    json_object_set_object_member(walk->analysis->report, "commands", out);
}

Analysis *analysis_new(const char *name, const uint8_t *data, uint64_t size)
{
    Analysis *analysis = g_new0(Analysis, 1);
    Walk walk = {.analysis = analysis};

    *analysis = (Analysis){g_strdup(name), data, size, g_ptr_array_new_with_free_func(g_free),
                           g_ptr_array_new_with_free_func(block_free), json_object_new()};
    walk.cursor = (Cursor){.data = data, .size = size, .problems = analysis->problems};
    walk.sections = g_ptr_array_new_with_free_func(section_free);
    walk.commands = g_hash_table_new(NULL, NULL);
    json_object_set_int_member(analysis->report, "size", (gint64)size);
    if (size >= 4 && ldl_be_p(data) == MAGIC_CHANNEL) {
        walk.ended = channel_walk(analysis, &walk.cursor);
    } else {
        walk.description = description_find(&walk.cursor);
        json_object_set_boolean_member(analysis->report, "description", walk.description != NULL);
        if (walk_header(&walk)) {
            walk_sections(&walk);
        }
    }
    json_object_set_boolean_member(analysis->report, "ended", walk.ended);
    if (!walk.ended && !walk.cursor.failed) {
        cursor_fail(&walk.cursor, "the stream has no end");
    }
    report_sections(&walk);
    report_commands(&walk);
    g_clear_pointer(&walk.description, json_object_unref);
    g_ptr_array_unref(walk.sections);
    g_hash_table_unref(walk.commands);
    return analysis;
}

void analysis_free(Analysis *analysis)
{
    json_object_unref(analysis->report);
    g_ptr_array_unref(analysis->blocks);
    g_ptr_array_unref(analysis->problems);
    g_free(analysis->name);
    g_free(analysis);
}

const uint8_t *block_page(const Analysis *analysis, const Block *block, uint64_t page, bool *there)
{
    void *at = NULL;

    if (block->fixed) {
        *there = true;
        return analysis->data[block->bitmap_offset + page / 8] >> page % 8 & 1
                   ? analysis->data + block->pages_offset + page * PAGE_BYTES
                   : NULL;
    }
    *there = g_hash_table_lookup_extended(block->pages, &page, NULL, &at);
    return *there && at ? analysis->data + (uintptr_t)at : NULL;
}
