/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * StateIO as text: the JSON at the end of a stream says what its sections hold, for people and tools (a loader skips
 * it).  The state functions themselves are asked, so it cannot disagree with the bytes.
 */
#include <string.h>

#include "state-io.h"

/* One open "fields" list, inside a device, subsection or struct. */
typedef struct Level {
    GString *fields;
    GString *subsections;
    uint64_t size;
    char *head; /* struct: its name; subsection: its entry up to "fields" */
    char *tail; /* struct: its entry from "type" up to "fields" */
    int index;  /* struct: in its array, -1: no array */
    /* the struct that was listed last: the next element of its array is merged with it when it looks the same */
    char *last_name, *last_text;
    size_t last_at;
    int last_count;
} Level;

typedef struct Describe {
    StateIO io;
    GArray *levels; /* of Level, innermost last */
} Describe;

static Level *top(StateIO *io)
{
    Describe *describe = container_of(io, Describe, io);

    return &g_array_index(describe->levels, Level, describe->levels->len - 1);
}

static void push(StateIO *io, char *head)
{
    Level level = {.fields = g_string_new(NULL), .subsections = g_string_new(NULL), .head = head};

    g_array_append_val(container_of(io, Describe, io)->levels, level);
}

static Level pop(StateIO *io)
{
    Describe *describe = container_of(io, Describe, io);
    Level level = *top(io);

    g_array_set_size(describe->levels, describe->levels->len - 1);
    return level;
}

static void free_level(Level *level)
{
    g_string_free(level->fields, TRUE);
    g_string_free(level->subsections, TRUE);
    g_free(level->head);
    g_free(level->tail);
    g_free(level->last_name);
    g_free(level->last_text);
}

static void comma(GString *list)
{
    if (list->len) {
        g_string_append(list, ", ");
    }
}

static void append_quoted(GString *out, const char *text)
{
    g_string_append_c(out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            g_string_append_c(out, '\\');
        }
        g_string_append_c(out, (guchar)*text < ' ' ? '?' : *text);
    }
    g_string_append_c(out, '"');
}

static const char *const type_names[] = {
    [STATE_TYPE_BOOL] = "bool",   [STATE_TYPE_U8] = "uint8",    [STATE_TYPE_U16] = "uint16",
    [STATE_TYPE_U32] = "uint32",  [STATE_TYPE_U64] = "uint64",  [STATE_TYPE_I8] = "int8",
    [STATE_TYPE_I32] = "int32",   [STATE_TYPE_I64] = "int64",   [STATE_TYPE_TIMER] = "timer",
    [STATE_TYPE_BUFFER] = "buffer", [STATE_TYPE_UNUSED] = "unused_buffer",
};

static const uint8_t type_sizes[] = {
    [STATE_TYPE_BOOL] = 1, [STATE_TYPE_U8] = 1,  [STATE_TYPE_U16] = 2, [STATE_TYPE_U32] = 4,
    [STATE_TYPE_U64] = 8,  [STATE_TYPE_I8] = 1,  [STATE_TYPE_I32] = 4, [STATE_TYPE_I64] = 8,
    [STATE_TYPE_TIMER] = 8, [STATE_TYPE_BUFFER] = 1, [STATE_TYPE_UNUSED] = 1,
};

/* State functions name fields as they reach them ("s->divider"); a reader of the description sees the member. */
static const char *member_name(const char *name)
{
    const char *arrow = g_strrstr(name, "->");

    return arrow ? arrow + 2 : name;
}

static bool describe_field(StateIO *io, const char *name, StateFieldType type, void *data, size_t n, size_t stride)
{
    Level *level = top(io);
    bool one_piece = type == STATE_TYPE_BUFFER || type == STATE_TYPE_UNUSED;

    comma(level->fields);
    g_string_append(level->fields, "{\"name\": ");
    append_quoted(level->fields, member_name(name));
    if (n > 1 && !one_piece) {
        g_string_append_printf(level->fields, ", \"array_len\": %zu", n);
    }
    g_string_append_printf(level->fields, ", \"type\": \"%s\", \"size\": %zu}", type_names[type],
                           one_piece ? n : type_sizes[type]);
    level->size += n * type_sizes[type];
    return true;
}

/* ", "fields": [...], "subsections": [...]" of a finished level. */
static void append_body(GString *out, const Level *level)
{
    g_string_append_printf(out, ", \"fields\": [%s]", level->fields->str);
    if (level->subsections->len) {
        g_string_append_printf(out, ", \"subsections\": [%s]", level->subsections->str);
    }
}

static bool describe_subsection(StateIO *io, const char *name, int version, bool needed)
{
    GString *head;

    if (!needed) {
        return false;
    }
    head = g_string_new("{\"vmsd_name\": ");
    append_quoted(head, name);
    g_string_append_printf(head, ", \"version\": %d", version);
    push(io, g_string_free(head, FALSE));
    top(io)->size = 1 + 1 + strlen(name) + 4; /* its mark, name and version are bytes of the struct that it is in */
    return true;
}

static void describe_subsection_end(StateIO *io)
{
    Level done = pop(io);
    Level *level = top(io);

    comma(level->subsections);
    g_string_append(level->subsections, done.head);
    append_body(level->subsections, &done);
    g_string_append_c(level->subsections, '}');
    level->size += done.size;
    free_level(&done);
}

static void describe_struct_begin(StateIO *io, const char *name, const char *struct_name, int version, int index)
{
    GString *tail = g_string_new(", \"type\": \"struct\", \"struct\": {\"vmsd_name\": ");

    append_quoted(tail, struct_name);
    g_string_append_printf(tail, ", \"version\": %d", version);
    push(io, g_strdup(name));
    top(io)->tail = g_string_free(tail, FALSE);
    top(io)->index = index;
}

/* Elements of an array that look the same become one entry with a count. */
static void list_struct(Level *level, const char *name, int index, char *text)
{
    bool same = index > 0 && index == level->last_count && !strcmp(name, level->last_name) &&
                !strcmp(text, level->last_text);

    if (same) {
        g_string_truncate(level->fields, level->last_at);
    }
    level->last_count = same ? index + 1 : index == 0 ? 1 : -1;
    level->last_at = level->fields->len;
    comma(level->fields);
    g_string_append(level->fields, "{\"name\": ");
    append_quoted(level->fields, name);
    if (same) {
        g_string_append_printf(level->fields, ", \"array_len\": %d", level->last_count);
    } else if (index >= 0) {
        g_string_append_printf(level->fields, ", \"index\": %d", index);
    }
    g_string_append(level->fields, text);
    g_free(level->last_name);
    g_free(level->last_text);
    level->last_name = g_strdup(name);
    level->last_text = text;
}

static void describe_struct_end(StateIO *io)
{
    Level done = pop(io);
    GString *text = g_string_new(done.tail);

    append_body(text, &done);
    g_string_append_printf(text, "}, \"size\": %" PRIu64 "}", done.size);
    list_struct(top(io), done.head, done.index, g_string_free(text, FALSE));
    top(io)->size += done.size;
    free_level(&done);
}

static const StateIOOps describe_ops = {
    .field = describe_field,
    .subsection = describe_subsection,
    .subsection_end = describe_subsection_end,
    .struct_begin = describe_struct_begin,
    .struct_end = describe_struct_end,
};

static uint64_t saved_size(const StateEntry *entry, StateProfile profile)
{
    StreamWriter *writer = writer_new(NULL);
    uint64_t size;

    state_save(writer, entry, profile, NULL);
    size = writer->position;
    writer_free(writer);
    return size;
}

static void describe_entry(GString *out, const StateEntry *entry, StateProfile profile)
{
    const StateSection *section = entry->section;
    const char *vmsd_name = section->vmsd_name ? section->vmsd_name : section->name;
    Describe describe = {
        .io = {.ops = &describe_ops, .direction = STATE_DESCRIBING, .profile = profile, .version = section->version},
        .levels = g_array_new(FALSE, FALSE, sizeof(Level)),
    };
    Level done;

    g_string_append(out, "{\"name\": ");
    append_quoted(out, entry->idstr);
    g_string_append_printf(out, ", \"instance_id\": %d, \"vmsd_name\": ", entry->instance);
    append_quoted(out, vmsd_name);
    g_string_append_printf(out, ", \"version\": %d", section->version);
    push(&describe.io, NULL);
    if (section->opaque_data) {
        g_string_append_printf(top(&describe.io)->fields,
                               "{\"name\": \"data\", \"type\": \"buffer\", \"size\": %" PRIu64 "}",
                               saved_size(entry, profile));
    } else {
        section->fields(&describe.io, entry->opaque);
    }
    done = pop(&describe.io);
    append_body(out, &done);
    g_string_append_c(out, '}');
    free_level(&done);
    while (describe.levels->len) { /* a state function that failed half way */
        done = pop(&describe.io);
        free_level(&done);
    }
    g_clear_error(&describe.io.error);
    g_array_unref(describe.levels);
}

GString *vmdesc_build(const char *machine, GPtrArray *entries, StateProfile profile)
{
    GString *out = g_string_new(NULL);
    bool first = true;

    g_string_append_printf(out, "{\"configuration\": {\"vmsd_name\": \"configuration\", \"version\": 1, \"fields\": "
                           "[{\"name\": \"len\", \"type\": \"uint32\", \"size\": 4}, {\"name\": \"name\", \"type\": "
                           "\"buffer\", \"size\": %zu}]}, \"page_size\": %" PRIu64 ", \"devices\": [",
                           strlen(machine), TARGET_PAGE_SIZE);
    for (unsigned i = 0; i < entries->len; i++) {
        const StateEntry *entry = g_ptr_array_index(entries, i);

        if (!state_wanted(entry, profile)) {
            continue;
        }
        if (!first) {
            g_string_append(out, ", ");
        }
        first = false;
        describe_entry(out, entry, profile);
    }
    g_string_append(out, "]}");
    return out;
}
