/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fields of device sections.  They carry no tags; the JSON description at the end of the stream says what they are,
 * and is as little to be trusted as the rest: depth, sizes and counts are checked against what the file holds.
 */
#include <string.h>

#include "analyze.h"

#define MAX_DEPTH       32
#define MAX_DESCRIPTION (64u << 20)
#define MARK_SUBSECTION 5
#define MARK_DESCRIPTION 6
#define LONG_ARRAY      1024 /* elements; longer ones are shown as bytes */

/* --- the description --- */

/* The JSON parser recurses: refuse what nests deeper than any description. */
static bool shallow(const char *text, uint64_t size)
{
    unsigned depth = 0;
    bool in_string = false;

    for (uint64_t i = 0; i < size; i++) {
        char c = text[i];

        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > 4 * MAX_DEPTH) {
                return false;
            }
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        }
    }
    return true;
}

static JsonObject *parse(Cursor *cursor, uint64_t at, uint64_t size)
{
    const char *text = (const char *)cursor->data + at;
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonNode *root;

    if (size > MAX_DESCRIPTION || !shallow(text, size)) {
        cursor_complain(cursor, at, "the description nests too deep or is too long");
        return NULL;
    }
    if (!g_utf8_validate(text, (gssize)size, NULL) || !json_parser_load_from_data(parser, text, (gssize)size, &error)) {
        cursor_complain(cursor, at, "the description is no JSON: %s", error ? error->message : "no UTF-8");
        return NULL;
    }
    root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
        cursor_complain(cursor, at, "the description is no JSON object");
        return NULL;
    }
    return json_object_ref(json_node_get_object(root));
}

/* It is the last thing in the file, or nearly: looked for from the end. */
JsonObject *description_find(Cursor *cursor)
{
    static const char head[] = "{\"configuration\"";
    const uint64_t head_size = sizeof(head) - 1;

    for (uint64_t at = cursor->size >= head_size ? cursor->size - head_size + 1 : 0; at-- > 5;) {
        const uint8_t *p = cursor->data + at;
        uint64_t size;

        if (p[0] != '{' || memcmp(p, head, head_size) || p[-5] != MARK_DESCRIPTION) {
            continue;
        }
        size = (uint64_t)p[-4] << 24 | p[-3] << 16 | p[-2] << 8 | p[-1];
        if (size > cursor->size - at) {
            cursor_complain(cursor, at, "the description is cut off: %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                            " bytes", cursor->size - at, size);
            return NULL;
        }
        return parse(cursor, at, size);
    }
    return NULL;
}

/* --- members of hostile JSON --- */

static JsonNode *member(JsonObject *object, const char *name, JsonNodeType type)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && json_node_get_node_type(node) == type ? node : NULL;
}

static const char *text_member(JsonObject *object, const char *name)
{
    JsonNode *node = member(object, name, JSON_NODE_VALUE);

    return node && json_node_get_value_type(node) == G_TYPE_STRING ? json_node_get_string(node) : "";
}

static uint64_t number_member(JsonObject *object, const char *name, uint64_t missing)
{
    JsonNode *node = member(object, name, JSON_NODE_VALUE);

    return node && json_node_get_value_type(node) == G_TYPE_INT64 ? (uint64_t)json_node_get_int(node) : missing;
}

/* The objects of an array member, one after the other. */
static JsonObject *object_at(JsonObject *object, const char *name, guint i)
{
    JsonNode *node = member(object, name, JSON_NODE_ARRAY), *element;
    JsonArray *array = node ? json_node_get_array(node) : NULL;

    if (!array || i >= json_array_get_length(array)) {
        return NULL;
    }
    element = json_array_get_element(array, i);
    return JSON_NODE_HOLDS_OBJECT(element) ? json_node_get_object(element) : NULL;
}

/* --- values --- */

static bool decode_body(Cursor *cursor, JsonObject *body, JsonObject *out, unsigned depth);

static JsonNode *string_node(const char *text)
{
    return json_node_init_string(json_node_alloc(), text);
}

static JsonNode *bytes_node(const uint8_t *bytes, uint64_t n)
{
    GString *hex = g_string_sized_new(2 * n + 1);
    JsonNode *node;

    for (uint64_t i = 0; i < n; i++) {
        g_string_append_c(hex, "0123456789abcdef"[bytes[i] >> 4]);
        g_string_append_c(hex, "0123456789abcdef"[bytes[i] & 15]);
    }
    node = string_node(hex->str);
    g_string_free(hex, TRUE);
    return node;
}

/* 64-bit values do not fit JSON's integers in every reader: hex strings; what is short or signed is a number. */
static JsonNode *number_node(uint64_t value, uint64_t size, const char *type)
{
    g_autofree char *hex = NULL;

    if (!strcmp(type, "bool")) {
        return json_node_init_boolean(json_node_alloc(), value);
    }
    if (g_str_has_prefix(type, "int") || !strcmp(type, "timer")) {
        return json_node_init_int(json_node_alloc(), (gint64)(value << (64 - 8 * size)) >> (64 - 8 * size));
    }
    if (size < 4) {
        return json_node_init_int(json_node_alloc(), (gint64)value);
    }
    hex = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", value);
    return string_node(hex);
}

static bool is_number(const char *type, uint64_t size)
{
    return (size == 1 || size == 2 || size == 4 || size == 8) &&
           (!strcmp(type, "bool") || !strcmp(type, "timer") || g_str_has_prefix(type, "int") ||
            g_str_has_prefix(type, "uint"));
}

static JsonNode *decode_element(Cursor *cursor, JsonObject *field, uint64_t size, unsigned depth)
{
    const char *type = text_member(field, "type");
    JsonNode *inner = member(field, "struct", JSON_NODE_OBJECT);
    const uint8_t *bytes;

    if (inner) {
        g_autoptr(JsonObject) out = json_object_new();
        uint64_t start = cursor->at;

        if (!decode_body(cursor, json_node_get_object(inner), out, depth + 1)) {
            return NULL;
        }
        if (cursor->at == start && size) {
            cursor_fail(cursor, "a struct of %" G_GUINT64_FORMAT " bytes is described as empty", size);
            return NULL;
        }
        return json_node_init_object(json_node_alloc(), out);
    }
    if (is_number(type, size)) {
        uint64_t value = cursor_number(cursor, (unsigned)size);

        return cursor->failed ? NULL : number_node(value, size, type);
    }
    bytes = cursor_take(cursor, size);
    return bytes ? bytes_node(bytes, size) : NULL;
}

static JsonNode *decode_array(Cursor *cursor, JsonObject *field, uint64_t n, uint64_t size, unsigned depth)
{
    g_autoptr(JsonArray) array = NULL;

    if (!size || n > (cursor->size - cursor->at) / size) {
        cursor_fail(cursor, "field '%s': %" G_GUINT64_FORMAT " elements of %" G_GUINT64_FORMAT
                    " bytes are more than the file holds", text_member(field, "name"), n, size);
        return NULL;
    }
    if (n > LONG_ARRAY && !member(field, "struct", JSON_NODE_OBJECT)) {
        return bytes_node(cursor_take(cursor, n * size), n * size);
    }
    array = json_array_new();
    for (uint64_t i = 0; i < n; i++) {
        uint64_t start = cursor->at;
        JsonNode *element = decode_element(cursor, field, size, depth);

        if (!element) {
            return NULL;
        }
        json_array_add_element(array, element);
        if (cursor->at == start) { /* or a count out of nowhere would go on for ever */
            cursor_fail(cursor, "field '%s': its elements are empty", text_member(field, "name"));
            return NULL;
        }
    }
    return json_node_init_array(json_node_alloc(), array);
}

static bool decode_field(Cursor *cursor, JsonObject *field, JsonObject *out, unsigned depth)
{
    uint64_t n = number_member(field, "array_len", 1), size = number_member(field, "size", 0);
    const char *name = text_member(field, "name");
    g_autofree char *indexed = NULL;
    JsonNode *value;

    if (json_object_has_member(field, "index")) {
        name = indexed = g_strdup_printf("%s[%" G_GUINT64_FORMAT "]", name, number_member(field, "index", 0));
    }
    value = n == 1 ? decode_element(cursor, field, size, depth) : decode_array(cursor, field, n, size, depth);
    if (!value) {
        return cursor->failed ? false : cursor_fail(cursor, "field '%s' cannot be read", name);
    }
    json_object_set_member(out, name, value);
    return true;
}

static bool decode_subsection(Cursor *cursor, JsonObject *described, JsonObject *out, unsigned depth)
{
    g_autoptr(JsonObject) body = json_object_new();
    const char *expected = text_member(described, "vmsd_name");
    char name[256];

    if (cursor_number(cursor, 1) != MARK_SUBSECTION) {
        return cursor_fail(cursor, "subsection '%s' is described but not there", expected);
    }
    cursor_name(cursor, name);
    cursor_number(cursor, 4);
    if (cursor->failed || strcmp(name, expected)) {
        return cursor_fail(cursor, "subsection '%s' where '%s' is described", name, expected);
    }
    if (!decode_body(cursor, described, body, depth + 1)) {
        return false;
    }
    json_object_set_object_member(out, name, g_steal_pointer(&body));
    return true;
}

static bool decode_body(Cursor *cursor, JsonObject *body, JsonObject *out, unsigned depth)
{
    JsonObject *item;

    if (depth > MAX_DEPTH) {
        return cursor_fail(cursor, "structs nest too deep");
    }
    for (guint i = 0; (item = object_at(body, "fields", i)); i++) {
        if (!decode_field(cursor, item, out, depth)) {
            return false;
        }
    }
    for (guint i = 0; (item = object_at(body, "subsections", i)); i++) {
        if (!decode_subsection(cursor, item, out, depth)) {
            return false;
        }
    }
    return true;
}

JsonObject *fields_decode(Cursor *cursor, JsonObject *device)
{
    JsonObject *out = json_object_new();

    decode_body(cursor, device, out, 0);
    return out;
}
