/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes a JSON tree and its Field table side by side. */
#include "api/json-write.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct Writer {
    GString *out;
    bool pretty;
    unsigned depth;
} Writer;

static void write_node(Writer *w, JsonNode *node, const Field *field, const Field *table);

static void new_line(Writer *w)
{
    if (w->pretty) {
        g_string_append_printf(w->out, "\n%*s", (int)w->depth * 4, "");
    }
}

static void write_escaped(GString *out, const char *text)
{
    static const char special[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";

    for (; *text; text++) {
        const char *at = strchr(special, *text);

        if (at) {
            g_string_append_c(out, '\\');
            g_string_append_c(out, letters[at - special]);
        } else if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            g_string_append_printf(out, "\\u%04x", *text);
        } else {
            g_string_append_c(out, *text);
        }
    }
}

static void write_string(GString *out, const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);

    g_string_append_c(out, '"');
    write_escaped(out, valid);
    g_string_append_c(out, '"');
}

/* A number with a fraction stays one for the reader, whatever its value. */
static void write_double(GString *out, double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    if (!isfinite(value)) {
        g_string_append(out, "null"); /* JSON has no word for it */
        return;
    }
    g_ascii_dtostr(text, sizeof(text), value);
    g_string_append(out, text);
    if (!strpbrk(text, ".e")) {
        g_string_append(out, ".0");
    }
}

static bool is_unsigned(const Field *field)
{
    return field && (field->kind == FIELD_U64 || field->kind == FIELD_SIZE);
}

static void write_value(GString *out, JsonNode *node, const Field *field)
{
    switch (json_node_get_value_type(node)) {
    case G_TYPE_BOOLEAN:
        g_string_append(out, json_node_get_boolean(node) ? "true" : "false");
        break;
    case G_TYPE_DOUBLE:
        write_double(out, json_node_get_double(node));
        break;
    case G_TYPE_STRING:
        write_string(out, json_node_get_string(node));
        break;
    default:
        g_string_append_printf(out, is_unsigned(field) ? "%" PRIu64 : "%" PRId64, json_node_get_int(node));
        break;
    }
}

static void write_object(Writer *w, JsonObject *object, const Field *table)
{
    JsonObjectIter iter;
    const char *name, *separator = "";
    JsonNode *node;

    g_string_append_c(w->out, '{');
    w->depth++;
    json_object_iter_init_ordered(&iter, object);
    while (json_object_iter_next_ordered(&iter, &name, &node)) {
        const Field *field = table ? field_find(table, name) : NULL;

        g_string_append(w->out, separator);
        separator = ",";
        new_line(w);
        write_string(w->out, name);
        g_string_append(w->out, w->pretty ? ": " : ":");
        write_node(w, node, field, field ? field->fields : NULL);
    }
    w->depth--;
    if (*separator) {
        new_line(w);
    }
    g_string_append_c(w->out, '}');
}

static void write_array(Writer *w, JsonArray *array, const Field *table)
{
    guint n = json_array_get_length(array);

    g_string_append_c(w->out, '[');
    w->depth++;
    for (guint i = 0; i < n; i++) {
        if (i) {
            g_string_append_c(w->out, ',');
        }
        new_line(w);
        write_node(w, json_array_get_element(array, i), NULL, table);
    }
    w->depth--;
    if (n) {
        new_line(w);
    }
    g_string_append_c(w->out, ']');
}

/* @field: the row of a scalar; @table: the rows inside an object or of a list's elements; both may be NULL.
 */
static void write_node(Writer *w, JsonNode *node, const Field *field, const Field *table)
{
    switch (json_node_get_node_type(node)) {
    case JSON_NODE_OBJECT:
        write_object(w, json_node_get_object(node), table);
        break;
    case JSON_NODE_ARRAY:
        write_array(w, json_node_get_array(node), table);
        break;
    case JSON_NODE_VALUE:
        write_value(w->out, node, field);
        break;
    default:
        g_string_append(w->out, "null");
        break;
    }
}

void json_write(GString *out, JsonNode *node, const Field *table, bool pretty)
{
    write_node(&(Writer){.out = out, .pretty = pretty}, node, NULL, table);
}
