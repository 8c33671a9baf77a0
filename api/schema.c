/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * query-qmp-schema: the tables of all commands and events as SchemaInfo.
 *
 * Types appear once, under the name their rows give them; what has no name of its own (arguments, event data)
 * is named after its command or event.  Clients treat type names as opaque and reach types from commands.
 */
#include "api/command.h"

#include <string.h>

#include "api/fields-private.h"

typedef struct Schema {
    JsonArray *entries;
    GHashTable *tables; /* type name -> Field table or enum names it stands for */
} Schema;

static JsonObject *add_entry(Schema *schema, const char *name, const char *meta_type)
{
    JsonObject *entry = json_object_new();

    json_object_set_string_member(entry, "name", name);
    json_object_set_string_member(entry, "meta-type", meta_type);
    json_array_add_object_element(schema->entries, entry);
    return entry;
}

/*
 * The name under which @what is or is to be listed: @name, or @name and a number when another type has it
 * already.
 * *@is_new says that the caller has to add the entry.
 */
static char *claim_name(Schema *schema, const char *name, const void *what, bool *is_new)
{
    char *unique = g_strdup(name);

    for (unsigned n = 2;; n++) {
        const void *owner = g_hash_table_lookup(schema->tables, unique);
        if (!owner || owner == what) {
            *is_new = !owner;
            g_hash_table_insert(schema->tables, g_strdup(unique), (void *)what);
            return unique;
        }
        g_free(unique);
        unique = g_strdup_printf("%s-%u", name, n);
    }
}

static const char *builtin(Schema *schema, const char *name, const char *json_type)
{
    static const char marker;
    bool is_new;

    g_free(claim_name(schema, name, &marker, &is_new));
    if (is_new) {
        json_object_set_string_member(add_entry(schema, name, "builtin"), "json-type", json_type);
    }
    return name;
}

static char *array_of(Schema *schema, const char *element)
{
    g_autofree char *name = g_strdup_printf("[%s]", element);
    static const char marker;
    bool is_new;
    char *unique = claim_name(schema, name, &marker, &is_new);

    if (is_new) {
        json_object_set_string_member(add_entry(schema, unique, "array"), "element-type", element);
    }
    return unique;
}

static char *enum_type(Schema *schema, const Field *field)
{
    const char *name = field->enum_name ? field->enum_name : field->name;
    bool is_new;
    char *unique = claim_name(schema, name, field->names, &is_new);
    if (!is_new) {
        return unique;
    }
    JsonObject *entry = add_entry(schema, unique, "enum");
    JsonArray *members = json_array_new(), *values = json_array_new();
    for (int i = 0; field->names[i]; i++) {
        JsonObject *member = json_object_new();
        json_object_set_string_member(member, "name", field->names[i]);
        json_array_add_object_element(members, member);
        json_array_add_string_element(values, field->names[i]);
    }
    json_object_set_array_member(entry, "members", members);
    json_object_set_array_member(entry, "values", values);
    return unique;
}

static char *object_type(Schema *schema, const char *name, const Field *table);

static char *member_type(Schema *schema, const Field *field)
{
    switch (field->kind) {
    case FIELD_BOOL:
        return g_strdup(builtin(schema, "bool", "boolean"));
    case FIELD_NUMBER:
        return g_strdup(builtin(schema, "number", "number"));
    case FIELD_STRING:
        return g_strdup(builtin(schema, "str", "string"));
    case FIELD_ANY:
        return g_strdup(builtin(schema, "any", "value"));
    case FIELD_ENUM:
        return enum_type(schema, field);
    case FIELD_OBJECT:
        return object_type(schema, field->type_name ? field->type_name : field->name, field->fields);
    case FIELD_LIST: {
        g_autofree char *element =
            field->fields
                ? object_type(schema, field->type_name ? field->type_name : field->name, field->fields)
                : g_strdup(builtin(schema, "str", "string"));
        return array_of(schema, element);
    }
    default:
        return g_strdup(builtin(schema, "int", "int"));
    }
}

static char *object_type(Schema *schema, const char *name, const Field *table)
{
    static const Field empty[] = {FIELD_END};
    bool is_new;

    table = table ? table : empty;
    char *unique = claim_name(schema, name, table, &is_new);
    if (!is_new) {
        return unique;
    }
    JsonArray *members = json_array_new();
    json_object_set_array_member(add_entry(schema, unique, "object"), "members", members);
    for (const Field *f = table; f->name; f++) {
        JsonObject *member = json_object_new();
        g_autofree char *type = member_type(schema, f);

        json_object_set_string_member(member, "name", f->name);
        if (f->optional || f->default_value) {
            json_object_set_null_member(member, "default");
        }
        json_object_set_string_member(member, "type", type);
        json_array_add_object_element(members, member);
    }
    return unique;
}

static char *arguments_type(Schema *schema, const char *owner, const Field *table)
{
    g_autofree char *name = table ? g_strdup_printf("q_obj_%s-arg", owner) : g_strdup("q_empty");

    return object_type(schema, name, table);
}

static char *reply_type(Schema *schema, const Command *command)
{
    g_autofree char *own_name = g_strdup_printf("q_obj_%s-ret", command->qmp);
    const char *name = command->reply_name ? command->reply_name : own_name;

    if (command->reply_any) {
        return g_strdup(builtin(schema, "any", "value"));
    }
    if (command->reply_list) {
        g_autofree char *element = command->reply ? object_type(schema, name, command->reply)
                                                  : g_strdup(builtin(schema, "str", "string"));
        return array_of(schema, element);
    }
    return command->reply ? object_type(schema, name, command->reply) : object_type(schema, "q_empty", NULL);
}

static void add_command(const Command *command, void *opaque)
{
    Schema *schema = opaque;

    if (!command->qmp) {
        return;
    }
    JsonObject *entry = add_entry(schema, command->qmp, "command");
    g_autofree char *arg = arguments_type(schema, command->qmp, command->args);
    g_autofree char *ret = reply_type(schema, command);
    json_object_set_string_member(entry, "arg-type", arg);
    json_object_set_string_member(entry, "ret-type", ret);
    if (command->oob) {
        json_object_set_boolean_member(entry, "allow-oob", TRUE);
    }
}

JsonArray *schema_dump(void)
{
    Schema schema = {
        .entries = json_array_new(),
        .tables = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
    };

    commands_foreach(add_command, &schema);
    LINKER_SET_FOREACH(events, Event, e) {
        g_autofree char *arg = arguments_type(&schema, e->name, e->fields);
        json_object_set_string_member(add_entry(&schema, e->name, "event"), "arg-type", arg);
    }
    g_hash_table_unref(schema.tables);
    return schema.entries;
}
