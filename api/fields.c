/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fields as text: defaults, "name=value" options, and the members of the struct behind them. */
#include "api/field.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "api/fields-private.h"
#include "util/compiler.h"
#include "util/error.h"

/* --- parsing of single values --- */

bool parse_u64(const char *text, uint64_t *value, GError **error)
{
    char *end;

    errno = 0;
    *value = g_ascii_strtoull(text, &end, 0);
    if (!g_ascii_isdigit(text[0]) || *end) { /* strtoull would take white space and signs */
        return fail(error, "'%s' is not a number", text);
    }
    if (errno == ERANGE) {
        return fail(error, "'%s' does not fit into 64 bits", text);
    }
    return true;
}

bool parse_bool(const char *text, bool *value, GError **error)
{
    static const char *const on[] = {"on", "yes", "true", "y", NULL};
    static const char *const off[] = {"off", "no", "false", "n", NULL};

    if (!g_strv_contains(on, text) && !g_strv_contains(off, text)) {
        return fail(error, "'%s' is neither 'on' nor 'off'", text);
    }
    *value = g_strv_contains(on, text);
    return true;
}

static int size_suffix_shift(char suffix)
{
    static const char suffixes[] = "bkmgtpe";
    const char *at = suffix ? strchr(suffixes, g_ascii_tolower(suffix)) : NULL;

    return at ? 10 * (int)(at - suffixes) : -1;
}

bool parse_size(const char *text, unsigned default_shift, uint64_t *value, GError **error)
{
    char *end;
    double fraction = 0;
    int shift = (int)default_shift;

    errno = 0;
    uint64_t whole = g_ascii_strtoull(text, &end, g_str_has_prefix(text, "0x") ? 16 : 10);
    if (!g_ascii_isdigit(text[0])) {
        return fail(error, "'%s' is not a size", text);
    }
    if (*end == '.') {
        double unit = 0.1;
        for (end++; g_ascii_isdigit(*end); end++, unit /= 10) {
            fraction += unit * (*end - '0');
        }
    }
    if (*end) {
        shift = size_suffix_shift(*end++);
    }
    if (shift < 0 || *end) {
        return fail(error, "'%s' is not a size (a number with an optional suffix k, M, G, T, P or E)", text);
    }
    if (errno == ERANGE || (shift && whole >> (64 - shift))) {
        return fail(error, "size '%s' does not fit into 64 bits", text);
    }
    *value = (whole << shift) + (uint64_t)(ldexp(fraction, shift) + 0.5);
    return true;
}

/* --- members --- */

bool field_is_integer(const Field *field)
{
    return (field->kind >= FIELD_U8 && field->kind <= FIELD_I64) || field->kind == FIELD_SIZE;
}

static uint64_t kind_max(FieldKind kind)
{
    switch (kind) {
    case FIELD_U8:
        return UINT8_MAX;
    case FIELD_U16:
        return UINT16_MAX;
    case FIELD_U32:
        return UINT32_MAX;
    default:
        return UINT64_MAX;
    }
}

static bool store_signed(const Field *field, void *object, uint64_t bits, bool negative, GError **error)
{
    int64_t value = (int64_t)bits, min = INT64_MIN, max = INT64_MAX;

    if (field->min || field->max) {
        min = (int64_t)field->min;
        max = (int64_t)field->max;
    }
    if ((value < 0) != negative || value < min || value > max) {
        return fail(error, "parameter '%s' expects a number from %" PRId64 " to %" PRId64, field->name, min,
                    max);
    }
    *(int64_t *)field_member(field, object) = value;
    return true;
}

bool field_store_integer(const Field *field, void *object, uint64_t value, bool negative, GError **error)
{
    uint64_t min = 0, max = kind_max(field->kind);
    void *member = field_member(field, object);

    if (field->kind == FIELD_I64) {
        return store_signed(field, object, value, negative, error);
    }
    if (field->min || field->max) {
        min = field->min;
        max = MIN(max, field->max);
    }
    if (negative || value < min || value > max) {
        return fail(error, "parameter '%s' expects a number from %" PRIu64 " to %" PRIu64 "%s%s", field->name,
                    min, max, field->unit ? " " : "", field->unit ? field->unit : "");
    }
    switch (field->kind) {
    case FIELD_U8:
        *(uint8_t *)member = value;
        break;
    case FIELD_U16:
        *(uint16_t *)member = value;
        break;
    case FIELD_U32:
        *(uint32_t *)member = value;
        break;
    default:
        *(uint64_t *)member = value;
        break;
    }
    return true;
}

uint64_t field_load_integer(const Field *field, const void *object)
{
    const void *member = field_member(field, object);

    switch (field->kind) {
    case FIELD_U8:
        return *(const uint8_t *)member;
    case FIELD_U16:
        return *(const uint16_t *)member;
    case FIELD_U32:
        return *(const uint32_t *)member;
    default:
        return *(const uint64_t *)member;
    }
}

bool field_store_number(const Field *field, void *object, double value, GError **error)
{
    bool ranged = field->min || field->max;

    if (!isfinite(value) || (ranged && (value < (double)field->min || value > (double)field->max))) {
        return fail(error, "parameter '%s' is out of range", field->name);
    }
    *(double *)field_member(field, object) = value;
    return true;
}

static const char *nth_enum_name(unsigned i, void *opaque)
{
    const char *const *names = opaque;

    return names[i];
}

bool field_store_enum(const Field *field, void *object, const char *name, GError **error)
{
    for (int i = 0; field->names[i]; i++) {
        if (!strcmp(field->names[i], name)) {
            *(int *)field_member(field, object) = i;
            return true;
        }
    }
    const char *like = did_you_mean(name, nth_enum_name, (void *)field->names);
    if (like) {
        return fail(error, "parameter '%s' does not accept value '%s' (did you mean '%s'?)", field->name,
                    name, like);
    }
    g_autofree char *all = g_strjoinv("', '", (char **)field->names);
    return fail(error, "parameter '%s' does not accept value '%s', only '%s'", field->name, name, all);
}

const char *field_load_enum(const Field *field, const void *object)
{
    int value = *(const int *)field_member(field, object);
    int count = (int)g_strv_length((char **)field->names);

    return value >= 0 && value < count ? field->names[value] : "unknown";
}

bool field_is_given(const Field *field, const void *object)
{
    if (!field->optional) {
        return true;
    }
    if (field->has_offset) {
        return *(const bool *)((const char *)object + field->has_offset - 1);
    }
    switch (field->kind) {
    case FIELD_STRING:
    case FIELD_LIST:
    case FIELD_ANY:
        return *(void *const *)field_member(field, object) != NULL;
    default:
        return true;
    }
}

void field_mark_given(const Field *field, void *object, bool given)
{
    if (field->has_offset) {
        *(bool *)((char *)object + field->has_offset - 1) = given;
    }
}

static void free_list(const Field *field, GPtrArray *list)
{
    gsize n;
    gpointer *elements = g_ptr_array_steal(list, &n); /* whatever free function the maker gave it: we free */

    for (gsize i = 0; i < n; i++) {
        if (field->fields && elements[i]) {
            fields_clear(field->fields, elements[i]);
        }
        g_free(elements[i]);
    }
    g_free(elements);
    g_ptr_array_unref(list);
}

static size_t scalar_size(FieldKind kind)
{
    switch (kind) {
    case FIELD_BOOL:
        return sizeof(bool);
    case FIELD_U8:
        return 1;
    case FIELD_U16:
        return 2;
    case FIELD_U32:
        return 4;
    case FIELD_ENUM:
        return sizeof(int);
    default:
        return 8;
    }
}

void field_clear(const Field *field, void *object)
{
    void *member = field_member(field, object);
    void **pointer = member;

    switch (field->kind) {
    case FIELD_STRING:
        g_clear_pointer((char **)pointer, g_free);
        break;
    case FIELD_LIST:
        if (*pointer) {
            free_list(field, *pointer);
            *pointer = NULL;
        }
        break;
    case FIELD_ANY:
        g_clear_pointer((JsonNode **)pointer, json_node_unref);
        break;
    case FIELD_OBJECT:
        fields_clear(field->fields, member);
        break;
    default:
        memset(member, 0, scalar_size(field->kind));
        break;
    }
    field_mark_given(field, object, false);
}

void fields_clear(const Field *table, void *object)
{
    for (const Field *f = table; f && f->name; f++) {
        field_clear(f, object);
    }
}

static bool set_from_text(const Field *field, void *object, const char *value, GError **error);

void fields_init(const Field *table, void *object)
{
    for (const Field *f = table; f && f->name; f++) {
        field_clear(f, object);
        if (f->kind == FIELD_OBJECT) {
            fields_init(f->fields, field_member(f, object));
        }
        if (f->default_value && !set_from_text(f, object, f->default_value, NULL)) {
            g_error("default '%s' of field '%s' does not parse", f->default_value, f->name);
        }
    }
}

/* --- by name --- */

static bool same_name(const char *wire, const char *given)
{
    for (; *wire && *given; wire++, given++) {
        if (*wire != *given && !(*wire == '-' && *given == '_')) {
            return false;
        }
    }
    return *wire == *given;
}

const Field *field_find(const Field *table, const char *name)
{
    for (const Field *f = table; f && f->name; f++) {
        if (same_name(f->name, name)) {
            return f;
        }
    }
    return NULL;
}

static const char *nth_field_name(unsigned i, void *opaque)
{
    const Field *table = opaque;

    return table ? table[i].name : NULL;
}

bool fail_unknown_field(const Field *table, const char *name, GError **error)
{
    const char *like = table ? did_you_mean(name, nth_field_name, (void *)table) : NULL;

    if (like) {
        return fail(error, "parameter '%s' is unexpected (did you mean '%s'?)", name, like);
    }
    return fail(error, "parameter '%s' is unexpected", name);
}

/* "socket.path" reaches into the object "socket".  @object is moved along; NULL when unknown. */
static const Field *find_dotted(const Field *table, void **object, const char *name)
{
    const char *dot = strchr(name, '.');
    const Field *field = field_find(table, name);

    if (field || !dot) {
        return field;
    }
    g_autofree char *first = g_strndup(name, dot - name);
    field = field_find(table, first);
    if (!field || field->kind != FIELD_OBJECT) {
        return NULL;
    }
    field_mark_given(field, *object, true);
    *object = field_member(field, *object);
    return find_dotted(field->fields, object, dot + 1);
}

static bool set_integer(const Field *field, void *object, const char *text, GError **error)
{
    bool negative = text[0] == '-' && field->kind == FIELD_I64;
    uint64_t value;

    if (field->kind == FIELD_SIZE ? !parse_size(text, 0, &value, error)
                                  : !parse_u64(text + negative, &value, error)) {
        error_context(error, "parameter '%s'", field->name);
        return false;
    }
    if (negative && value > (uint64_t)INT64_MAX + 1) {
        return fail(error, "parameter '%s': '%s' does not fit into 64 bits", field->name, text);
    }
    return field_store_integer(field, object, negative ? -value : value, negative && value, error);
}

static bool set_number(const Field *field, void *object, const char *text, GError **error)
{
    char *end;
    double value = g_ascii_strtod(text, &end);

    if (end == text || *end) {
        return fail(error, "parameter '%s': '%s' is not a number", field->name, text);
    }
    return field_store_number(field, object, value, error);
}

static bool set_json(const Field *field, void *object, const char *text, GError **error)
{
    JsonNode *node = json_from_string(text, NULL);

    if (!node) {
        node = json_node_new(JSON_NODE_VALUE);
        json_node_set_string(node, text);
    }
    bool ok = field_from_json(field, object, node, error);
    json_node_unref(node);
    return ok;
}

static bool append_string(const Field *field, void *object, const char *text, GError **error)
{
    GPtrArray **list = field_member(field, object);

    if (field->fields) {
        return set_json(field, object, text, error);
    }
    if (!*list) {
        *list = g_ptr_array_new();
    }
    g_ptr_array_add(*list, g_strdup(text));
    return true;
}

static bool set_from_text(const Field *field, void *object, const char *value, GError **error)
{
    switch (field->kind) {
    case FIELD_BOOL:
        if (!parse_bool(value, field_member(field, object), error)) {
            error_context(error, "parameter '%s'", field->name);
            return false;
        }
        return true;
    case FIELD_STRING: {
        char **member = field_member(field, object);
        g_free(*member);
        *member = g_strdup(value);
        return true;
    }
    case FIELD_ENUM:
        return field_store_enum(field, object, value, error);
    case FIELD_NUMBER:
        return set_number(field, object, value, error);
    case FIELD_LIST:
        return append_string(field, object, value, error);
    case FIELD_OBJECT:
    case FIELD_ANY:
        return set_json(field, object, value, error);
    default:
        return set_integer(field, object, value, error);
    }
}

bool field_set_string(const Field *table, void *object, const char *name, const char *value, GError **error)
{
    const Field *field = find_dotted(table, &object, name);

    if (!field) {
        return fail_unknown_field(table, name, error);
    }
    if (!set_from_text(field, object, value, error)) {
        return false;
    }
    field_mark_given(field, object, true);
    return true;
}

static char *list_as_text(const Field *field, GPtrArray *list)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; list && i < list->len; i++) {
        g_string_append_printf(text, "%s%s", i ? "," : "", (char *)list->pdata[i]);
    }
    return g_string_free(text, FALSE);
}

static char *json_as_text(const Field *field, const void *object)
{
    JsonNode *node = field_to_json(field, object);
    char *text = json_to_string(node, FALSE);

    json_node_unref(node);
    return text;
}

char *field_get_string(const Field *table, const void *object, const char *name)
{
    void *owner = (void *)object;
    const Field *field = field_find(table, name);

    if (!field || !field_is_given(field, owner)) {
        return NULL;
    }
    switch (field->kind) {
    case FIELD_BOOL:
        return g_strdup(*(bool *)field_member(field, owner) ? "on" : "off");
    case FIELD_STRING:
        return g_strdup(*(char **)field_member(field, owner));
    case FIELD_ENUM:
        return g_strdup(field_load_enum(field, owner));
    case FIELD_NUMBER: {
        char buf[G_ASCII_DTOSTR_BUF_SIZE];
        return g_strdup(g_ascii_formatd(buf, sizeof(buf), "%.15g", *(double *)field_member(field, owner)));
    }
    case FIELD_I64:
        return g_strdup_printf("%" PRId64, (int64_t)field_load_integer(field, owner));
    case FIELD_LIST:
        if (!field->fields) {
            return list_as_text(field, *(GPtrArray **)field_member(field, owner));
        }
        return json_as_text(field, owner);
    case FIELD_OBJECT:
    case FIELD_ANY:
        return json_as_text(field, owner);
    default:
        return g_strdup_printf("%" PRIu64, field_load_integer(field, owner));
    }
}

/* --- help --- */

static char *kind_of_value(const Field *field)
{
    switch (field->kind) {
    case FIELD_BOOL:
        return g_strdup("on|off");
    case FIELD_SIZE:
        return g_strdup("SIZE");
    case FIELD_STRING:
        return g_strdup("TEXT");
    case FIELD_ENUM:
        return g_strjoinv("|", (char **)field->names);
    case FIELD_LIST:
        return g_strdup("LIST");
    case FIELD_OBJECT:
    case FIELD_ANY:
        return g_strdup("JSON");
    default:
        return g_strdup("NUMBER");
    }
}

void fields_append_help(const Field *table, GString *out)
{
    for (const Field *f = table; f && f->name; f++) {
        g_autofree char *kind = kind_of_value(f);
        g_autofree char *left = g_strdup_printf("%s=%s", f->name, kind);

        g_string_append_printf(out, "  %-32s %s", left, f->help ? f->help : "");
        if (f->default_value) {
            g_string_append_printf(out, "%s(default: %s)", f->help ? " " : "", f->default_value);
        }
        while (out->str[out->len - 1] == ' ') {
            g_string_truncate(out, out->len - 1);
        }
        g_string_append_c(out, '\n');
    }
}

/* --- "a=1,b=two,flag" --- */

static void key_value_free(gpointer data)
{
    KeyValue *kv = data;

    g_free(kv->key);
    g_free(kv->value);
    g_free(kv);
}

void key_value_add(GPtrArray *pairs, char *key, char *value)
{
    KeyValue *kv = g_new(KeyValue, 1);

    kv->key = key;
    kv->value = value;
    g_ptr_array_add(pairs, kv);
}

/* The text up to a lone comma, with ",," made one; @at is moved behind that comma, or NULL at the end. */
static char *next_element(const char **at)
{
    GString *element = g_string_new(NULL);
    const char *p = *at;

    for (; *p; p++) {
        if (*p == ',' && *++p != ',') {
            *at = p;
            return g_string_free(element, FALSE);
        }
        g_string_append_c(element, *p);
    }
    *at = NULL;
    return g_string_free(element, FALSE);
}

GPtrArray *options_split(const char *text, const char *implied, GError **error)
{
    GPtrArray *pairs = g_ptr_array_new_with_free_func(key_value_free);

    if (text[0] == '{') {
        if (!options_from_json(pairs, text, error)) {
            g_clear_pointer(&pairs, g_ptr_array_unref);
        }
        return pairs;
    }
    for (const char *at = text; at && *at;) {
        g_autofree char *element = next_element(&at);
        char *equals = strchr(element, '=');

        if (equals == element || !element[0]) {
            fail(error, "a parameter name is missing in '%s'", text);
            g_ptr_array_unref(pairs);
            return NULL;
        }
        if (equals) {
            key_value_add(pairs, g_strndup(element, equals - element), g_strdup(equals + 1));
        } else if (implied && pairs->len == 0) {
            key_value_add(pairs, g_strdup(implied), g_steal_pointer(&element));
        } else {
            key_value_add(pairs, g_steal_pointer(&element), NULL);
        }
    }
    return pairs;
}

/* A key that stands alone turns a switch on, or off when it is "no" and the switch's name. */
static bool set_lone_key(const Field *table, void *object, const char *key, GError **error)
{
    const Field *field = field_find(table, key);

    if (!field && g_str_has_prefix(key, "no")) {
        const Field *negated = field_find(table, key + 2);
        if (negated && negated->kind == FIELD_BOOL) {
            return field_set_string(table, object, key + 2, "off", error);
        }
    }
    if (field && field->kind != FIELD_BOOL) {
        return fail(error, "parameter '%s' needs a value", key);
    }
    return field_set_string(table, object, key, "on", error);
}

bool fields_parse_options(const Field *table, void *object, const char *text, const char *implied,
                          GError **error)
{
    GPtrArray *pairs = options_split(text, implied, error);
    bool ok = pairs != NULL;

    for (guint i = 0; ok && i < pairs->len; i++) {
        const KeyValue *kv = pairs->pdata[i];
        ok = kv->value ? field_set_string(table, object, kv->key, kv->value, error)
                       : set_lone_key(table, object, kv->key, error);
    }
    g_clear_pointer(&pairs, g_ptr_array_unref);
    return ok;
}
