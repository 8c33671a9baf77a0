/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An Analysis as JSON, as text for people, and as differences to another one. */
#include <inttypes.h>
#include <string.h>

#include "analyze.h"

#define SHOWN_BYTES 64 /* of a long value */
#define SHOWN_PAGES 8  /* of those that differ */

/* --- JSON --- */

static JsonObject *block_to_json(const Block *block)
{
    JsonObject *out = json_object_new();

    json_object_set_string_member(out, "name", block->name);
    json_object_set_int_member(out, "size", (gint64)block->length);
    json_object_set_int_member(out, "normal-pages", (gint64)block->normal);
    json_object_set_int_member(out, "zero-pages", (gint64)block->zero);
    if (block->fixed) {
        json_object_set_int_member(out, "bitmap-offset", (gint64)block->bitmap_offset);
        json_object_set_int_member(out, "pages-offset", (gint64)block->pages_offset);
        json_object_set_boolean_member(out, "verified", block->verified);
    }
    return out;
}

JsonNode *analysis_to_json(const Analysis *analysis)
{
    JsonNode *root = json_node_new(JSON_NODE_OBJECT), *copy = json_node_new(JSON_NODE_OBJECT);
    JsonArray *ram = json_array_new(), *problems = json_array_new();
    JsonObject *out = json_object_new();
    GList *names = json_object_get_members(analysis->report);

    json_object_set_string_member(out, "file", analysis->name);
    for (GList *name = names; name; name = name->next) {
        json_object_set_member(out, name->data, json_node_copy(json_object_get_member(analysis->report, name->data)));
    }
    g_list_free(names);
    for (guint i = 0; i < analysis->blocks->len; i++) {
        json_array_add_object_element(ram, block_to_json(g_ptr_array_index(analysis->blocks, i)));
    }
    for (guint i = 0; i < analysis->problems->len; i++) {
        json_array_add_string_element(problems, g_ptr_array_index(analysis->problems, i));
    }
    json_object_set_array_member(out, "ram", ram);
    json_object_set_array_member(out, "problems", problems);
    json_node_take_object(root, out);
    json_node_free(copy);
    return root;
}

/* --- text --- */

/* Names and values come from the file: nothing in them may drive the terminal. */
static void append_safe(GString *out, const char *text, size_t most)
{
    size_t n = 0;

    for (; *text && n < most; text++, n++) {
        g_string_append_c(out, g_ascii_iscntrl(*text) ? '?' : *text);
    }
    if (*text) {
        g_string_append_printf(out, "... (%zu more)", strlen(text));
    }
}

static void print_value(GString *out, JsonNode *node, unsigned indent);

static void print_object(GString *out, JsonObject *object, unsigned indent)
{
    GList *names = json_object_get_members(object);

    for (GList *name = names; name; name = name->next) {
        g_string_append_printf(out, "\n%*s", (int)indent, "");
        append_safe(out, name->data, 256);
        g_string_append(out, ": ");
        print_value(out, json_object_get_member(object, name->data), indent + 2);
    }
    g_list_free(names);
}

static void print_array(GString *out, JsonArray *array, unsigned indent)
{
    for (guint i = 0; i < json_array_get_length(array); i++) {
        g_string_append(out, i ? " " : "");
        print_value(out, json_array_get_element(array, i), indent + 2);
    }
}

static void print_value(GString *out, JsonNode *node, unsigned indent)
{
    switch (json_node_get_node_type(node)) {
    case JSON_NODE_OBJECT:
        print_object(out, json_node_get_object(node), indent);
        break;
    case JSON_NODE_ARRAY:
        print_array(out, json_node_get_array(node), indent);
        break;
    case JSON_NODE_VALUE:
        if (json_node_get_value_type(node) == G_TYPE_STRING) {
            append_safe(out, json_node_get_string(node), 2 * SHOWN_BYTES);
        } else if (json_node_get_value_type(node) == G_TYPE_BOOLEAN) {
            g_string_append(out, json_node_get_boolean(node) ? "true" : "false");
        } else {
            g_string_append_printf(out, "%" G_GINT64_FORMAT, json_node_get_int(node));
        }
        break;
    case JSON_NODE_NULL:
        break;
    }
}

static void print_line(GString *out, JsonObject *report, const char *name)
{
    JsonNode *node = json_object_get_member(report, name);

    if (node) {
        g_string_append_printf(out, "%-14s", name);
        print_value(out, node, 2);
        g_string_append_c(out, '\n');
    }
}

static JsonArray *sections_of(const Analysis *analysis)
{
    return json_object_get_array_member(analysis->report, "sections");
}

static void print_sections(const Analysis *analysis, bool fields, GString *out)
{
    JsonArray *sections = sections_of(analysis);

    g_string_append_printf(out, "\n%-48s%8s%8s%12s%12s%7s\n", "section", "inst", "version", "offset", "bytes", "parts");
    for (guint i = 0; i < json_array_get_length(sections); i++) {
        JsonObject *section = json_array_get_object_element(sections, i);

        g_string_append_printf(out, "%-48s%8" G_GINT64_FORMAT "%8" G_GINT64_FORMAT "%12" G_GINT64_FORMAT
                               "%12" G_GINT64_FORMAT "%7" G_GINT64_FORMAT,
                               json_object_get_string_member(section, "name"),
                               json_object_get_int_member(section, "instance"),
                               json_object_get_int_member(section, "version"),
                               json_object_get_int_member(section, "offset"), json_object_get_int_member(section, "size"),
                               json_object_get_int_member(section, "parts"));
        if (fields && json_object_has_member(section, "fields")) {
            print_object(out, json_object_get_object_member(section, "fields"), 4);
        }
        g_string_append_c(out, '\n');
    }
}

static void print_ram(const Analysis *analysis, GString *out)
{
    g_string_append_printf(out, "\n%-32s%16s%14s%14s%14s\n", "RAM", "bytes", "pages", "zero", "non-zero");
    for (guint i = 0; i < analysis->blocks->len; i++) {
        const Block *block = g_ptr_array_index(analysis->blocks, i);

        g_string_append_printf(out, "%-32s%16" PRIu64 "%14" PRIu64 "%14" PRIu64 "%14" PRIu64 "\n", block->name,
                               block->length, block->normal, block->zero,
                               block->fixed ? block->normal : (uint64_t)g_hash_table_size(block->pages));
    }
}

void analysis_print(const Analysis *analysis, bool fields, GString *out)
{
    static const char *const lines[] = {"size", "machine", "profile", "capabilities", "uuid", "commands"};

    g_string_append_printf(out, "%-14s%s\n", "file", analysis->name);
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
        print_line(out, analysis->report, lines[i]);
    }
    print_ram(analysis, out);
    print_sections(analysis, fields, out);
    g_string_append(out, analysis->problems->len ? "\nproblems:\n" : "\nno problem found\n");
    for (guint i = 0; i < analysis->problems->len; i++) {
        g_string_append_printf(out, "  %s\n", (char *)g_ptr_array_index(analysis->problems, i));
    }
}

/* --- differences --- */

typedef struct Diff {
    GString *out;
    unsigned count;
} Diff;

static void note(Diff *diff, const char *place, JsonNode *a, JsonNode *b)
{
    diff->count++;
    append_safe(diff->out, place, 1024);
    g_string_append(diff->out, ": ");
    if (a) {
        print_value(diff->out, a, 4);
    } else {
        g_string_append(diff->out, "(absent)");
    }
    g_string_append(diff->out, " | ");
    if (b) {
        print_value(diff->out, b, 4);
    } else {
        g_string_append(diff->out, "(absent)");
    }
    g_string_append_c(diff->out, '\n');
}

static void diff_nodes(Diff *diff, const char *place, JsonNode *a, JsonNode *b);

static void diff_objects(Diff *diff, const char *place, JsonObject *a, JsonObject *b)
{
    GList *names = json_object_get_members(a), *others = json_object_get_members(b);

    for (GList *name = names; name; name = name->next) {
        g_autofree char *inner = g_strdup_printf("%s.%s", place, (char *)name->data);

        diff_nodes(diff, inner, json_object_get_member(a, name->data), json_object_get_member(b, name->data));
    }
    for (GList *name = others; name; name = name->next) {
        if (!json_object_has_member(a, name->data)) {
            g_autofree char *inner = g_strdup_printf("%s.%s", place, (char *)name->data);

            note(diff, inner, NULL, json_object_get_member(b, name->data));
        }
    }
    g_list_free(names);
    g_list_free(others);
}

static void diff_nodes(Diff *diff, const char *place, JsonNode *a, JsonNode *b)
{
    if (!a && !b) {
        return;
    }
    if (a && b && JSON_NODE_HOLDS_OBJECT(a) && JSON_NODE_HOLDS_OBJECT(b)) {
        diff_objects(diff, place, json_node_get_object(a), json_node_get_object(b));
    } else if (a && b && JSON_NODE_HOLDS_ARRAY(a) && JSON_NODE_HOLDS_ARRAY(b) &&
               json_array_get_length(json_node_get_array(a)) == json_array_get_length(json_node_get_array(b))) {
        for (guint i = 0; i < json_array_get_length(json_node_get_array(a)); i++) {
            g_autofree char *inner = g_strdup_printf("%s[%u]", place, i);

            diff_nodes(diff, inner, json_array_get_element(json_node_get_array(a), i),
                       json_array_get_element(json_node_get_array(b), i));
        }
    } else if (!a || !b || !json_node_equal(a, b)) {
        note(diff, place, a, b);
    }
}

static JsonObject *find_section(const Analysis *analysis, JsonObject *like)
{
    JsonArray *sections = sections_of(analysis);

    for (guint i = 0; i < json_array_get_length(sections); i++) {
        JsonObject *section = json_array_get_object_element(sections, i);

        if (!strcmp(json_object_get_string_member(section, "name"), json_object_get_string_member(like, "name")) &&
            json_object_get_int_member(section, "instance") == json_object_get_int_member(like, "instance")) {
            return section;
        }
    }
    return NULL;
}

static char *section_place(JsonObject *section)
{
    return g_strdup_printf("%s/%" G_GINT64_FORMAT, json_object_get_string_member(section, "name"),
                           json_object_get_int_member(section, "instance"));
}

/* Those only @b has, when @only_missing; else those of @a. */
static void diff_sections(Diff *diff, const Analysis *a, const Analysis *b, bool only_missing)
{
    JsonArray *sections = sections_of(only_missing ? b : a);

    for (guint i = 0; i < json_array_get_length(sections); i++) {
        JsonObject *section = json_array_get_object_element(sections, i);
        JsonObject *other = find_section(only_missing ? a : b, section);
        g_autofree char *place = section_place(section);

        if (!other) {
            g_string_append_printf(diff->out, "section %s: only in %s\n", place, only_missing ? b->name : a->name);
            diff->count++;
        } else if (!only_missing) {
            diff_nodes(diff, place, json_object_get_member(section, "version"), json_object_get_member(other, "version"));
            diff_nodes(diff, place, json_object_get_member(section, "fields"), json_object_get_member(other, "fields"));
        }
    }
}

static bool page_differs(const Analysis *a, const Block *x, const Analysis *b, const Block *y, uint64_t page)
{
    bool in_a, in_b;
    const uint8_t *p = block_page(a, x, page, &in_a), *q = block_page(b, y, page, &in_b);
    uint64_t left = x->length - page * PAGE_BYTES;
    static const uint8_t zeroes[PAGE_BYTES];

    return in_a != in_b || memcmp(p ? p : zeroes, q ? q : zeroes, MIN(left, PAGE_BYTES)) != 0;
}

static void add_page(GArray *pages, uint64_t page)
{
    g_array_append_val(pages, page);
}

static int compare_pages(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static GArray *differing_pages(const Analysis *a, const Block *x, const Analysis *b, const Block *y)
{
    GArray *pages = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    GHashTableIter iter;
    void *key;

    for (uint64_t page = 0; (x->fixed || y->fixed) && page < (x->length + PAGE_BYTES - 1) / PAGE_BYTES; page++) {
        if (page_differs(a, x, b, y, page)) {
            add_page(pages, page);
        }
    }
    if (x->fixed || y->fixed) {
        return pages;
    }
    g_hash_table_iter_init(&iter, x->pages);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        if (page_differs(a, x, b, y, *(uint64_t *)key)) {
            add_page(pages, *(uint64_t *)key);
        }
    }
    g_hash_table_iter_init(&iter, y->pages);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        if (!g_hash_table_contains(x->pages, key)) {
            add_page(pages, *(uint64_t *)key);
        }
    }
    g_array_sort(pages, compare_pages);
    return pages;
}

static void diff_block(Diff *diff, const Analysis *a, const Block *x, const Analysis *b)
{
    const Block *y = analysis_block(b, x->name);
    g_autoptr(GArray) pages = NULL;

    if (!y || y->length != x->length) {
        g_string_append_printf(diff->out, "RAM '%s': %" PRIu64 " bytes | %" PRIu64 " bytes\n", x->name, x->length,
                               y ? y->length : 0);
        diff->count++;
        return;
    }
    pages = differing_pages(a, x, b, y);
    if (!pages->len) {
        return;
    }
    diff->count++;
    g_string_append_printf(diff->out, "RAM '%s': %u pages differ, at", x->name, pages->len);
    for (guint i = 0; i < pages->len && i < SHOWN_PAGES; i++) {
        g_string_append_printf(diff->out, " 0x%" PRIx64, g_array_index(pages, uint64_t, i) * PAGE_BYTES);
    }
    g_string_append(diff->out, pages->len > SHOWN_PAGES ? " ...\n" : "\n");
}

unsigned analysis_diff(const Analysis *a, const Analysis *b, GString *out)
{
    static const char *const members[] = {"machine", "profile", "capabilities"};
    Diff diff = {.out = out};

    for (unsigned i = 0; i < ARRAY_SIZE(members); i++) {
        diff_nodes(&diff, members[i], json_object_get_member(a->report, members[i]),
                   json_object_get_member(b->report, members[i]));
    }
    for (guint i = 0; i < a->blocks->len; i++) {
        diff_block(&diff, a, g_ptr_array_index(a->blocks, i), b);
    }
    for (guint i = 0; i < b->blocks->len; i++) {
        Block *block = g_ptr_array_index(b->blocks, i);

        if (!analysis_block(a, block->name)) {
            g_string_append_printf(out, "RAM '%s': only in %s\n", block->name, b->name);
            diff.count++;
        }
    }
    diff_sections(&diff, a, b, false);
    diff_sections(&diff, a, b, true);
    return diff.count;
}
