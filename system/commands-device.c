/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands about devices and objects: adding, deleting, listing, and their properties. */
#include <string.h>

#include "api/command.h"
#include "system/accel.h"
#include "system/cpu.h"
#include "system/device.h"
#include "system/machine.h"
#include "util/error.h"

/* --- arguments of any shape --- */

static void free_pair(void *data)
{
    KeyValue *pair = data;

    g_free(pair->key);
    g_free(pair->value);
    g_free(pair);
}

static char *value_text(JsonNode *node)
{
    switch (json_node_get_value_type(node)) {
    case G_TYPE_STRING:
        return g_strdup(json_node_get_string(node));
    case G_TYPE_BOOLEAN:
        return g_strdup(json_node_get_boolean(node) ? "on" : "off");
    case G_TYPE_INT64:
        return g_strdup_printf("%" PRId64, json_node_get_int(node));
    case G_TYPE_DOUBLE:
        return g_strdup_printf("%.17g", json_node_get_double(node));
    default:
        return NULL;
    }
}

/* NULL with @error when a value is no scalar. */
static GPtrArray *pairs_from_json(JsonObject *json, GError **error)
{
    g_autoptr(GPtrArray) pairs = g_ptr_array_new_with_free_func(free_pair);
    JsonObjectIter iter;
    const char *name;
    JsonNode *node;

    json_object_iter_init(&iter, json);
    while (json_object_iter_next(&iter, &name, &node)) {
        char *text = JSON_NODE_HOLDS_VALUE(node) ? value_text(node) : NULL;
        KeyValue *pair;

        if (!text) {
            return fail_null(error, "parameter '%s' expects a string, number or boolean", name);
        }
        pair = g_new0(KeyValue, 1);
        pair->key = g_strdup(name);
        pair->value = text;
        g_ptr_array_add(pairs, pair);
    }
    return g_steal_pointer(&pairs);
}

static const char *pair_value(GPtrArray *pairs, const char *key)
{
    for (unsigned i = 0; i < pairs->len; i++) {
        KeyValue *pair = g_ptr_array_index(pairs, i);

        if (!strcmp(pair->key, key)) {
            return pair->value;
        }
    }
    return NULL;
}

/* --- devices --- */

typedef struct DeviceAddArgs {
    char *driver, *id, *bus;
} DeviceAddArgs;

static const Field device_add_args[] = {
    F_STRING(DeviceAddArgs, driver, "driver", .help = "type of the device"),
    F_STRING(DeviceAddArgs, id, "id", .optional = true),
    F_STRING(DeviceAddArgs, bus, "bus", .optional = true),
    FIELD_END,
};

static void complete_driver(unsigned index, const char *prefix, GPtrArray *out)
{
    LINKER_SET_FOREACH (device_types, DeviceType, type) {
        if (!index && type->user_creatable && g_str_has_prefix(type->name, prefix)) {
            g_ptr_array_add(out, g_strdup(type->name));
        }
    }
}

static bool run_device_add(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    g_autoptr(GPtrArray) pairs = pairs_from_json((JsonObject *)args, error);

    return pairs && device_add_from_options(pairs, error);
}

COMMAND(device_add, .qmp = "device_add", .hmp = "device_add", .help = "add a device", .args = device_add_args,
        .args_size = sizeof(DeviceAddArgs), .args_any = true, .args_implied = "driver", .run = run_device_add,
        .complete = complete_driver);

typedef struct IdArgs {
    char *id;
} IdArgs;

static const Field id_args[] = {F_STRING(IdArgs, id, "id", .positional = true), FIELD_END};

typedef struct DeviceDeletedData {
    char *device, *path;
} DeviceDeletedData;

static const Field device_deleted_fields[] = {
    F_STRING(DeviceDeletedData, device, "device", .optional = true),
    F_STRING(DeviceDeletedData, path, "path"),
    FIELD_END,
};

EVENT(device_deleted, .name = "DEVICE_DELETED", .fields = device_deleted_fields, .help = "a device is gone");

static bool run_device_del(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const char *id = ((const IdArgs *)args)->id;
    Device *dev = device_by_path_or_id(id);
    g_autofree char *path = NULL, *device_id = NULL;

    if (!dev || !dev->type) {
        return fail_class(error, API_ERROR_DEVICE_NOT_FOUND, "device '%s' not found", id);
    }
    if (!dev->type->hotpluggable || !dev->type->user_creatable) {
        return fail(error, "device '%s' does not support hot-unplug", id);
    }
    if (dev->parent_bus && !dev->parent_bus->ops->hotplug) {
        return fail(error, "bus '%s' does not support hot-unplug", dev->parent_bus->name);
    }
    path = g_strdup(dev->path);
    device_id = g_strdup(dev->id);
    device_delete(dev);
    event_emit(&event_device_deleted, &(DeviceDeletedData){device_id, path});
    return true;
}

static void add_id(Device *dev, void *opaque)
{
    if (dev->id) {
        g_ptr_array_add(opaque, g_strdup(dev->id));
    }
}

static void complete_device_id(unsigned index, const char *prefix, GPtrArray *out)
{
    g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);

    devices_foreach(add_id, ids);
    for (unsigned i = 0; !index && i < ids->len; i++) {
        if (g_str_has_prefix(g_ptr_array_index(ids, i), prefix)) {
            g_ptr_array_add(out, g_strdup(g_ptr_array_index(ids, i)));
        }
    }
}

COMMAND(device_del, .qmp = "device_del", .hmp = "device_del", .help = "remove a device", .args = id_args,
        .args_size = sizeof(IdArgs), .run = run_device_del, .complete = complete_device_id);

static bool run_info_qtree(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    device_print_tree(ctx->output);
    return true;
}

COMMAND(info_qtree, .hmp = "info qtree", .help = "show the devices", .run = run_info_qtree);

/* --- objects --- */

typedef struct ObjectAddArgs {
    char *type, *id;
} ObjectAddArgs;

static const Field object_add_args[] = {
    F_STRING(ObjectAddArgs, type, "qom-type", .help = "type of the object"),
    F_STRING(ObjectAddArgs, id, "id"),
    FIELD_END,
};

static bool run_object_add(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    g_autoptr(GPtrArray) pairs = pairs_from_json((JsonObject *)args, error);
    const char *type;

    if (!pairs) {
        return false;
    }
    type = pair_value(pairs, "qom-type");
    if (!type) {
        return fail(error, "parameter 'qom-type' is missing");
    }
    return object_add(type, pair_value(pairs, "id"), pairs, error);
}

COMMAND(object_add, .qmp = "object-add", .hmp = "object_add", .help = "create an object",
        .args = object_add_args, .args_size = sizeof(ObjectAddArgs), .args_any = true,
        .args_implied = "qom-type", .preconfig = true, .run = run_object_add);

static bool run_object_del(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    return object_del(((const IdArgs *)args)->id, error);
}

COMMAND(object_del, .qmp = "object-del", .hmp = "object_del", .help = "delete an object", .args = id_args,
        .args_size = sizeof(IdArgs), .preconfig = true, .run = run_object_del);

/* --- types --- */

typedef struct TypeArgs {
    char *implements;
    bool abstract;
} TypeArgs;

typedef struct TypeInfo {
    char *name, *parent;
} TypeInfo;

static const Field type_args[] = {
    F_STRING(TypeArgs, implements, "implements", .optional = true,
             .help = "accel, device, machine, cpu or object"),
    F_BOOL(TypeArgs, abstract, "abstract", .optional = true, .help = "there are none here"),
    FIELD_END,
};

static const Field type_info[] = {
    F_STRING(TypeInfo, name, "name"),
    F_STRING(TypeInfo, parent, "parent", .optional = true),
    FIELD_END,
};

static void add_type(GPtrArray *list, const char *name, const char *suffix, const char *parent)
{
    TypeInfo *info = g_new0(TypeInfo, 1);

    info->name = g_strconcat(name, suffix, NULL);
    info->parent = g_strdup(parent);
    g_ptr_array_add(list, info);
}

static void add_accel_type(const AccelOps *accel, void *list)
{
    add_type(list, accel->name, "-accel", "accel");
}

static void add_device_type(const DeviceType *type, void *list)
{
    add_type(list, type->name, "", "device");
}

static void add_machine_type(const MachineType *type, void *list)
{
    add_type(list, type->name, "-machine", "machine");
}

static void add_cpu_type(const CpuModel *model, void *list)
{
    add_type(list, model->name, "-riscv-cpu", "riscv-cpu");
}

static void add_object_type(const ObjectType *type, void *list)
{
    add_type(list, type->name, "", "object");
}

static bool wanted(const TypeArgs *args, const char *kind)
{
    return !args->implements || !strcmp(args->implements, kind) ||
           (!strcmp(args->implements, "object") && strcmp(kind, "user-creatable")) ||
           (!strcmp(args->implements, "riscv-cpu") && !strcmp(kind, "cpu"));
}

static bool run_list_types(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    GPtrArray **list = reply;

    *list = g_ptr_array_new();
    if (wanted(args, "accel")) {
        accels_foreach(add_accel_type, *list);
    }
    if (wanted(args, "device")) {
        device_types_foreach(add_device_type, *list);
    }
    if (wanted(args, "machine")) {
        machine_types_foreach(add_machine_type, *list);
    }
    if (wanted(args, "cpu")) {
        cpu_models_foreach(add_cpu_type, *list);
    }
    if (wanted(args, "user-creatable")) {
        object_types_foreach(add_object_type, *list);
    }
    return true;
}

COMMAND(qom_list_types, .qmp = "qom-list-types", .help = "list the types", .args = type_args,
        .args_size = sizeof(TypeArgs), .reply = type_info, .reply_size = sizeof(TypeInfo),
        .reply_name = "ObjectTypeInfo", .reply_list = true, .preconfig = true, .run = run_list_types);

/* --- the tree and properties --- */

typedef struct PropertyInfo {
    char *name, *type;
} PropertyInfo;

static const Field property_info[] = {
    F_STRING(PropertyInfo, name, "name"),
    F_STRING(PropertyInfo, type, "type"),
    FIELD_END,
};

/* Something with properties behind a path: a device, the machine, an object. */
typedef struct Subject {
    const Field *properties;
    void *instance;
    Device *device; /* NULL: an object */
    const char *type_name;
} Subject;

static bool find_subject(const char *path, Subject *subject)
{
    Machine *machine = machine_current();
    const ObjectType *type;
    Device *dev;

    if (g_str_has_prefix(path, "/objects/")) {
        subject->instance = object_find(path + strlen("/objects/"), &type);
        subject->properties = subject->instance ? type->properties : NULL;
        subject->type_name = subject->instance ? type->name : NULL;
        return subject->instance != NULL;
    }
    dev = device_by_path_or_id(path);
    if (!dev) {
        return false;
    }
    *subject = (Subject){.instance = dev, .device = dev};
    if (dev->type) {
        subject->properties = dev->type->properties;
        subject->type_name = dev->type->name;
    } else if (machine && dev == &machine->device) {
        subject->properties = machine->machine_type->properties;
        subject->type_name = machine->machine_type->name;
    }
    return true;
}

static const char *kind_name(const Field *field)
{
    static const char *const names[] = {
        [FIELD_BOOL] = "bool",     [FIELD_U8] = "uint8",    [FIELD_U16] = "uint16",    [FIELD_U32] = "uint32",
        [FIELD_U64] = "uint64",    [FIELD_I64] = "int64",   [FIELD_NUMBER] = "number", [FIELD_SIZE] = "size",
        [FIELD_STRING] = "string", [FIELD_ENUM] = "string", [FIELD_OBJECT] = "struct", [FIELD_LIST] = "list",
        [FIELD_ANY] = "any",
    };

    return field->kind == FIELD_ENUM && field->enum_name ? field->enum_name : names[field->kind];
}

static void add_property(GPtrArray *list, const char *name, char *type)
{
    PropertyInfo *info = g_new0(PropertyInfo, 1);

    info->name = g_strdup(name);
    info->type = type;
    g_ptr_array_add(list, info);
}

typedef struct ChildSearch {
    const char *path;
    GPtrArray *list;
    GHashTable *seen;
} ChildSearch;

static void add_child_below(ChildSearch *search, const char *path, const char *type)
{
    size_t length = strlen(search->path);
    g_autofree char *name = NULL;
    const char *rest;
    size_t part;

    if (strncmp(path, search->path, length) || path[length] != '/') {
        return;
    }
    rest = path + length + 1;
    part = strcspn(rest, "/");
    name = g_strndup(rest, part);
    if (!g_hash_table_contains(search->seen, name)) {
        add_property(search->list, name, g_strdup_printf("child<%s>", rest[part] ? "container" : type));
        g_hash_table_add(search->seen, g_steal_pointer(&name));
    }
}

static void add_if_child(Device *dev, void *opaque)
{
    add_child_below(opaque, dev->path, dev->type->name);
}

static void add_if_child_object(const char *id, const ObjectType *type, void *object, void *opaque)
{
    g_autofree char *path = g_strdup_printf("/objects/%s", id);

    add_child_below(opaque, path, type->name);
}

typedef struct PathArgs {
    char *path, *property;
    JsonNode *value;
} PathArgs;

static const Field path_args[] = {F_STRING(PathArgs, path, "path", .positional = true), FIELD_END};

static bool run_qom_list(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const char *path = ((const PathArgs *)args)->path;
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    ChildSearch search = {strcmp(path, "/") ? path : "", found, seen};
    Subject subject = {0};
    bool known = find_subject(path, &subject);

    if (known) {
        if (subject.device) {
            search.path = subject.device->path;
        }
        add_property(found, "type", g_strdup("string"));
        for (const Field *field = subject.properties; field && field->name; field++) {
            add_property(found, field->name, g_strdup(kind_name(field)));
        }
    }
    if (!*search.path) {
        add_property(found, "machine", g_strdup("child<container>"));
        g_hash_table_add(seen, g_strdup("machine"));
    }
    devices_foreach(add_if_child, &search);
    objects_foreach(add_if_child_object, &search);
    if (!known && !found->len) {
        return fail_class(error, API_ERROR_DEVICE_NOT_FOUND, "device '%s' not found", path);
    }
    *(GPtrArray **)reply = g_steal_pointer(&found);
    return true;
}

static void print_qom_list(CommandContext *ctx, const void *args, const void *reply)
{
    GPtrArray *list = *(GPtrArray *const *)reply;

    for (unsigned i = 0; i < list->len; i++) {
        const PropertyInfo *info = g_ptr_array_index(list, i);

        g_string_append_printf(ctx->output, "%s (%s)\n", info->name, info->type);
    }
}

COMMAND(qom_list, .qmp = "qom-list", .hmp = "qom-list", .help = "list the properties and children of a path",
        .args = path_args, .args_size = sizeof(PathArgs), .reply = property_info,
        .reply_size = sizeof(PropertyInfo), .reply_name = "ObjectPropertyInfo", .reply_list = true,
        .run = run_qom_list, .print_hmp = print_qom_list);

static const Field get_args[] = {
    F_STRING(PathArgs, path, "path", .positional = true),
    F_STRING(PathArgs, property, "property", .positional = true),
    FIELD_END,
};

static JsonNode *node_of_string(const char *text)
{
    return json_node_init_string(json_node_alloc(), text);
}

static bool run_qom_get(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const PathArgs *a = args;
    Subject subject = {0};
    g_autoptr(JsonObject) all = NULL;
    JsonNode *node;

    if (!find_subject(a->path, &subject)) {
        return fail_class(error, API_ERROR_DEVICE_NOT_FOUND, "device '%s' not found", a->path);
    }
    if (!strcmp(a->property, "type")) {
        *(JsonNode **)reply = node_of_string(subject.type_name ? subject.type_name : "container");
        return true;
    }
    if (subject.device && (!strcmp(a->property, "realized") || !strcmp(a->property, "hotplugged"))) {
        bool value = *a->property == 'r' ? subject.device->realized : subject.device->hotplugged;

        *(JsonNode **)reply = json_node_init_boolean(json_node_alloc(), value);
        return true;
    }
    if (!subject.properties || !field_find(subject.properties, a->property)) {
        return fail(error, "property '%s' not found in '%s'", a->property, a->path);
    }
    all = fields_to_json(subject.properties, subject.instance);
    node = json_object_get_member(all, field_find(subject.properties, a->property)->name);
    *(JsonNode **)reply = node ? json_node_copy(node) : node_of_string("");
    return true;
}

COMMAND(qom_get, .qmp = "qom-get", .hmp = "qom-get", .help = "read a property", .args = get_args,
        .args_size = sizeof(PathArgs), .reply_any = true, .run = run_qom_get);

static const Field set_args[] = {
    F_STRING(PathArgs, path, "path", .positional = true),
    F_STRING(PathArgs, property, "property", .positional = true),
    F_ANY(PathArgs, value, "value", .positional = true),
    FIELD_END,
};

static bool run_qom_set(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const PathArgs *a = args;
    g_autofree char *text = a->value && JSON_NODE_HOLDS_VALUE(a->value) ? value_text(a->value) : NULL;
    Subject subject = {0};

    if (!find_subject(a->path, &subject)) {
        return fail_class(error, API_ERROR_DEVICE_NOT_FOUND, "device '%s' not found", a->path);
    }
    if (!text) {
        return fail(error, "parameter 'value' expects a string, number or boolean");
    }
    if (!subject.properties || !field_find(subject.properties, a->property)) {
        return fail(error, "property '%s' not found in '%s'", a->property, a->path);
    }
    if (!subject.device || subject.device->realized || !subject.device->type) {
        return fail(error, "property '%s' of '%s' cannot be set any more", a->property, a->path);
    }
    return device_set(subject.device, a->property, text, error);
}

COMMAND(qom_set, .qmp = "qom-set", .hmp = "qom-set", .help = "set a property", .args = set_args,
        .args_size = sizeof(PathArgs), .run = run_qom_set);
