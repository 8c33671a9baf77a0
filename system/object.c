/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects that users create by type and id: -object and object-add. */
#include <string.h>

#include "system/device.h"
#include "util/error.h"

typedef struct UserObject {
    char *id;
    const ObjectType *type;
    void *instance;
} UserObject;

static GPtrArray *objects; /* of UserObject *, in order of creation */

const ObjectType *object_type_find(const char *name)
{
    LINKER_SET_FOREACH (object_types, ObjectType, type) {
        if (!strcmp(type->name, name)) {
            return type;
        }
    }
    return NULL;
}

void object_types_foreach(void (*fn)(const ObjectType *type, void *opaque), void *opaque)
{
    LINKER_SET_FOREACH (object_types, ObjectType, type) {
        fn(type, opaque);
    }
}

static const char *nth_type_name(unsigned i, void *opaque)
{
    unsigned n = 0;

    LINKER_SET_FOREACH (object_types, ObjectType, type) {
        if (n++ == i) {
            return type->name;
        }
    }
    return NULL;
}

static UserObject *find(const char *id, unsigned *index)
{
    for (unsigned i = 0; objects && i < objects->len; i++) {
        UserObject *object = g_ptr_array_index(objects, i);

        if (!strcmp(object->id, id)) {
            *index = i;
            return object;
        }
    }
    return NULL;
}

void *object_find(const char *id, const ObjectType **type)
{
    unsigned index;
    UserObject *object = find(id, &index);

    if (!object) {
        return NULL;
    }
    if (type) {
        *type = object->type;
    }
    return object->instance;
}

static void free_instance(const ObjectType *type, void *instance)
{
    if (type->properties) {
        fields_clear(type->properties, instance);
    }
    g_free(instance);
}

static bool is_ours(const char *key)
{
    return !strcmp(key, "qom-type") || !strcmp(key, "id");
}

static bool set_properties(const ObjectType *type, void *instance, GPtrArray *key_values, GError **error)
{
    for (unsigned i = 0; key_values && i < key_values->len; i++) {
        KeyValue *pair = g_ptr_array_index(key_values, i);

        if (is_ours(pair->key)) {
            continue;
        }
        if (!type->properties) {
            return fail(error, "object type '%s' has no property '%s'", type->name, pair->key);
        }
        if (!field_set_string(type->properties, instance, pair->key, pair->value ? pair->value : "on",
                              error)) {
            return false;
        }
    }
    return true;
}

bool object_add(const char *type_name, const char *id, GPtrArray *key_values, GError **error)
{
    const ObjectType *type = object_type_find(type_name);
    UserObject *object;
    void *instance;
    unsigned index;

    if (!type) {
        const char *near = did_you_mean(type_name, nth_type_name, NULL);

        return near ? fail(error, "there is no object type '%s'; did you mean '%s'?", type_name, near)
                    : fail(error, "there is no object type '%s'", type_name);
    }
    if (!id || !*id) {
        return fail(error, "an object needs an id");
    }
    if (find(id, &index)) {
        return fail(error, "there is already an object with id '%s'", id);
    }
    instance = g_malloc0(type->instance_size);
    if (type->properties) {
        fields_init(type->properties, instance);
    }
    if (!set_properties(type, instance, key_values, error) ||
        (type->complete && !type->complete(instance, id, error))) {
        error_context(error, "object '%s'", id);
        free_instance(type, instance);
        return false;
    }
    object = g_new0(UserObject, 1);
    *object = (UserObject){.id = g_strdup(id), .type = type, .instance = instance};
    if (!objects) {
        objects = g_ptr_array_new();
    }
    g_ptr_array_add(objects, object);
    return true;
}

bool object_del(const char *id, GError **error)
{
    unsigned index;
    UserObject *object = find(id, &index);

    if (!object) {
        return fail(error, "object '%s' not found", id);
    }
    if (object->type->can_delete && !object->type->can_delete(object->instance, error)) {
        error_context(error, "object '%s'", id);
        return false;
    }
    g_ptr_array_remove_index(objects, index);
    if (object->type->destroy) {
        object->type->destroy(object->instance);
    }
    free_instance(object->type, object->instance);
    g_free(object->id);
    g_free(object);
    return true;
}

void objects_foreach(void (*fn)(const char *id, const ObjectType *type, void *object, void *opaque),
                     void *opaque)
{
    for (unsigned i = 0; objects && i < objects->len; i++) {
        UserObject *object = g_ptr_array_index(objects, i);

        fn(object->id, object->type, object->instance, opaque);
    }
}
