/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fields as JSON: the arguments and replies of QMP. */
#include "api/field.h"

#include <string.h>

#include "api/fields-private.h"
#include "util/error.h"

/* --- from JSON --- */

static bool wrong_type(const Field *field, const char *expected, GError **error)
{
    return fail(error, "invalid type of parameter '%s', expected: %s", field->name, expected);
}

static bool node_has_type(JsonNode *node, GType type)
{
    return JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == type;
}

static bool integer_from_json(const Field *field, void *object, JsonNode *node, GError **error)
{
    if (field->kind == FIELD_SIZE && node_has_type(node, G_TYPE_STRING)) {
        uint64_t size;
        if (!parse_size(json_node_get_string(node), 0, &size, error)) {
            error_context(error, "parameter '%s'", field->name);
            return false;
        }
        return field_store_integer(field, object, size, false, error);
    }
    if (!node_has_type(node, G_TYPE_INT64)) {
        return wrong_type(field, field->kind == FIELD_SIZE ? "a size" : "an integer", error);
    }
    int64_t value = json_node_get_int(node);
    /*
     * the parser hands numbers above INT64_MAX over as their bits, so a 64-bit member takes them as they are
     */
    bool bits = (field->kind == FIELD_U64 || field->kind == FIELD_SIZE) && !field->min && !field->max;
    return field_store_integer(field, object, value, value < 0 && !bits, error);
}

static bool number_from_json(const Field *field, void *object, JsonNode *node, GError **error)
{
    if (!node_has_type(node, G_TYPE_INT64) && !node_has_type(node, G_TYPE_DOUBLE)) {
        return wrong_type(field, "a number", error);
    }
    return field_store_number(field, object, json_node_get_double(node), error);
}

static bool string_from_json(const Field *field, void *object, JsonNode *node, GError **error)
{
    char **member = field_member(field, object);

    if (!node_has_type(node, G_TYPE_STRING)) {
        return wrong_type(field, "a string", error);
    }
    g_free(*member);
    *member = json_node_dup_string(node);
    return true;
}

static void *element_from_json(const Field *field, JsonNode *node, GError **error)
{
    if (!field->fields) {
        if (!node_has_type(node, G_TYPE_STRING)) {
            wrong_type(field, "a list of strings", error);
            return NULL;
        }
        return json_node_dup_string(node);
    }
    if (!JSON_NODE_HOLDS_OBJECT(node)) {
        wrong_type(field, "a list of objects", error);
        return NULL;
    }
    void *element = g_malloc0(field->size);
    fields_init(field->fields, element);
    if (!fields_from_json(field->fields, element, json_node_get_object(node), error)) {
        error_context(error, "in '%s'", field->name);
        g_clear_pointer(&element, g_free);
    }
    return element;
}

static bool list_from_json(const Field *field, void *object, JsonNode *node, GError **error)
{
    GPtrArray **member = field_member(field, object);

    if (!JSON_NODE_HOLDS_ARRAY(node)) {
        return wrong_type(field, "a list", error);
    }
    field_clear(field, object);
    *member = g_ptr_array_new();
    JsonArray *array = json_node_get_array(node);
    for (guint i = 0; i < json_array_get_length(array); i++) {
        void *element = element_from_json(field, json_array_get_element(array, i), error);
        if (!element) {
            return false; /* the caller clears what there is so far */
        }
        g_ptr_array_add(*member, element);
    }
    return true;
}

static bool object_from_json(const Field *field, void *object, JsonNode *node, GError **error)
{
    if (!JSON_NODE_HOLDS_OBJECT(node)) {
        return wrong_type(field, "an object", error);
    }
    if (!fields_from_json(field->fields, field_member(field, object), json_node_get_object(node), error)) {
        error_context(error, "in '%s'", field->name);
        return false;
    }
    return true;
}

bool field_from_json(const Field *field, void *object, JsonNode *node, GError **error)
{
    switch (field->kind) {
    case FIELD_BOOL:
        if (!node_has_type(node, G_TYPE_BOOLEAN)) {
            return wrong_type(field, "a boolean", error);
        }
        *(bool *)field_member(field, object) = json_node_get_boolean(node);
        return true;
    case FIELD_NUMBER:
        return number_from_json(field, object, node, error);
    case FIELD_STRING:
        return string_from_json(field, object, node, error);
    case FIELD_ENUM:
        if (!node_has_type(node, G_TYPE_STRING)) {
            return wrong_type(field, "a string", error);
        }
        return field_store_enum(field, object, json_node_get_string(node), error);
    case FIELD_OBJECT:
        return object_from_json(field, object, node, error);
    case FIELD_LIST:
        return list_from_json(field, object, node, error);
    case FIELD_ANY: {
        JsonNode **member = field_member(field, object);
        g_clear_pointer(member, json_node_unref);
        *member = json_node_copy(node);
        return true;
    }
    default:
        return integer_from_json(field, object, node, error);
    }
}

static bool check_known_names(const Field *table, JsonObject *json, GError **error)
{
    JsonObjectIter iter;
    const char *name;
    JsonNode *node;

    json_object_iter_init(&iter, json);
    while (json_object_iter_next(&iter, &name, &node)) {
        const Field *field = field_find(table, name);
        if (!field || strcmp(field->name, name)) {
            return fail_unknown_field(table, name, error);
        }
    }
    return true;
}

static bool fill_members(const Field *table, void *object, JsonObject *json, GError **error)
{
    for (const Field *f = table; f && f->name; f++) {
        JsonNode *node = json_object_get_member(json, f->name);

        if (!node) {
            if (!f->optional && !f->default_value) {
                return fail(error, "parameter '%s' is missing", f->name);
            }
            continue;
        }
        if (!field_from_json(f, object, node, error)) {
            return false;
        }
        field_mark_given(f, object, true);
    }
    return true;
}

bool fields_from_json(const Field *table, void *object, JsonObject *json, GError **error)
{
    if (!check_known_names(table, json, error) || !fill_members(table, object, json, error)) {
        fields_clear(table, object);
        return false;
    }
    return true;
}

/* --- to JSON --- */

static JsonNode *list_to_json(const Field *field, GPtrArray *list)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; list && i < list->len; i++) {
        if (field->fields) {
            json_array_add_object_element(array, fields_to_json(field->fields, list->pdata[i]));
        } else {
            json_array_add_string_element(array, list->pdata[i]);
        }
    }
    JsonNode *node = json_node_new(JSON_NODE_ARRAY);
    json_node_take_array(node, array);
    return node;
}

JsonNode *field_to_json(const Field *field, const void *object)
{
    void *member = field_member(field, object);
    JsonNode *node;

    switch (field->kind) {
    case FIELD_LIST:
        return list_to_json(field, *(GPtrArray **)member);
    case FIELD_OBJECT:
        node = json_node_new(JSON_NODE_OBJECT);
        json_node_take_object(node, fields_to_json(field->fields, member));
        return node;
    case FIELD_ANY:
        return *(JsonNode **)member ? json_node_copy(*(JsonNode **)member) : json_node_new(JSON_NODE_NULL);
    default:
        break;
    }
    node = json_node_alloc();
    switch (field->kind) {
    case FIELD_BOOL:
        return json_node_init_boolean(node, *(bool *)member);
    case FIELD_NUMBER:
        return json_node_init_double(node, *(double *)member);
    case FIELD_STRING:
        return json_node_init_string(node, *(char **)member ? *(char **)member : "");
    case FIELD_ENUM:
        return json_node_init_string(node, field_load_enum(field, object));
    default:
        return json_node_init_int(node, (gint64)field_load_integer(field, object));
    }
}

JsonObject *fields_to_json(const Field *table, const void *object)
{
    JsonObject *json = json_object_new();

    for (const Field *f = table; f && f->name; f++) {
        if (field_is_given(f, object)) {
            json_object_set_member(json, f->name, field_to_json(f, object));
        }
    }
    return json;
}

/* --- options written as JSON: -device '{"driver":"virtio-blk-device","drive":"d"}' --- */

static char *value_as_text(JsonNode *node)
{
    if (node_has_type(node, G_TYPE_STRING)) {
        return json_node_dup_string(node);
    }
    if (node_has_type(node, G_TYPE_BOOLEAN)) {
        return g_strdup(json_node_get_boolean(node) ? "on" : "off");
    }
    return json_to_string(node, FALSE);
}

static void flatten(GPtrArray *pairs, const char *prefix, JsonObject *json)
{
    JsonObjectIter iter;
    const char *name;
    JsonNode *node;

    json_object_iter_init_ordered(&iter, json);
    while (json_object_iter_next_ordered(&iter, &name, &node)) {
        char *key = g_strconcat(prefix, name, NULL);

        if (JSON_NODE_HOLDS_OBJECT(node)) {
            g_autofree char *inner = g_strconcat(key, ".", NULL);
            flatten(pairs, inner, json_node_get_object(node));
            g_free(key);
        } else {
            key_value_add(pairs, key, value_as_text(node));
        }
    }
}

bool options_from_json(GPtrArray *pairs, const char *text, GError **error)
{
    g_autoptr(GError) why = NULL;
    g_autoptr(JsonNode) node = json_from_string(text, &why);

    if (!node || !JSON_NODE_HOLDS_OBJECT(node)) {
        return fail(error, "'%s' is not a JSON object%s%s", text, why ? ": " : "", why ? why->message : "");
    }
    flatten(pairs, "", json_node_get_object(node));
    return true;
}
