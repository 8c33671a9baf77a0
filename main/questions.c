/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers to the questions a command line may ask: "-machine help", "-device TYPE,help" and their like.
 *
 * Each lists the registry that the option's value comes from, or the properties of one type in it; an unknown
 * type leaves the question to the option itself, whose error names what there is.
 */
#include "main/main.h"

#include <string.h>

#include "api/option.h"
#include "system/accel.h"
#include "system/cpu.h"

static GString *properties_of(const char *name, const Field *table)
{
    GString *out = g_string_new(NULL);

    if (table && table->name) {
        g_string_append_printf(out, "%s has these properties:\n", name);
        fields_append_help(table, out);
    } else {
        g_string_append_printf(out, "%s has no properties\n", name);
    }
    return out;
}

static char *text_of(GString *out)
{
    return g_string_free(out, FALSE);
}

/* --- boards --- */

static void add_machine(const MachineType *type, void *opaque)
{
    g_autofree char *help =
        g_strconcat(type->help ? type->help : "", type->is_default ? " (default)" : "", NULL);

    option_list_line(opaque, type->name, help);
}

char *answer_machine(const char *value)
{
    g_autofree char *name = NULL;
    const MachineType *type;
    GString *out;

    if (!option_is_question(value, &name)) {
        return NULL;
    }
    if (!name) {
        out = g_string_new(NULL);
        machine_types_foreach(add_machine, out);
        return text_of(out);
    }
    type = machine_type_find(name);
    if (!type) {
        return NULL;
    }
    out = properties_of(type->name, type->properties);
    g_string_append(out, "and every machine has:\n");
    common_properties_append_help(out);
    return text_of(out);
}

/* --- vCPU models --- */

static void add_cpu_model(const CpuModel *model, void *opaque)
{
    option_list_line(opaque, model->name, model->help);
}

char *answer_cpu(const char *value)
{
    g_autofree char *name = NULL;
    const CpuModel *model;
    GString *out;

    if (!option_is_question(value, &name)) {
        return NULL;
    }
    if (name) {
        model = cpu_model_find(name);
        return model ? text_of(properties_of(model->name, model->ops->properties)) : NULL;
    }
    out = g_string_new(NULL);
    cpu_models_foreach(add_cpu_model, out);
    return text_of(out);
}

/* --- accelerators --- */

static void add_accel(const AccelOps *accel, void *opaque)
{
    option_list_line(opaque, accel->name, accel->help);
}

char *answer_accel(const char *value)
{
    g_autofree char *name = NULL;
    const AccelOps *accel;
    GString *out;

    if (!option_is_question(value, &name)) {
        return NULL;
    }
    if (name) {
        accel = accel_find(name);
        return accel ? text_of(properties_of(accel->name, accel->properties)) : NULL;
    }
    out = g_string_new(NULL);
    accels_foreach(add_accel, out);
    return text_of(out);
}

/* --- devices, by category --- */

static const char *category_of(const DeviceType *type)
{
    return type->category ? type->category : "misc";
}

static void collect_device(const DeviceType *type, void *opaque)
{
    if (type->user_creatable) {
        g_ptr_array_add(opaque, (void *)type);
    }
}

static int by_category_then_name(gconstpointer a, gconstpointer b)
{
    const DeviceType *x = *(const DeviceType *const *)a, *y = *(const DeviceType *const *)b;
    int order = strcmp(category_of(x), category_of(y));

    return order ? order : strcmp(x->name, y->name);
}

static char *list_devices(void)
{
    g_autoptr(GPtrArray) types = g_ptr_array_new();
    GString *out = g_string_new(NULL);
    const char *category = NULL;

    device_types_foreach(collect_device, types);
    g_ptr_array_sort(types, by_category_then_name);
    for (guint i = 0; i < types->len; i++) {
        const DeviceType *type = types->pdata[i];

        if (g_strcmp0(category, category_of(type))) {
            g_string_append_printf(out, "%s%s devices:\n", category ? "\n" : "", category_of(type));
            category = category_of(type);
        }
        g_string_append(out, "  ");
        option_list_line(out, type->name, type->help);
    }
    return text_of(out);
}

char *answer_device(const char *value)
{
    g_autofree char *name = NULL;
    const DeviceType *type;

    if (!option_is_question(value, &name)) {
        return NULL;
    }
    type = name ? device_type_find(name) : NULL;
    return !name ? list_devices() : type ? text_of(properties_of(type->name, type->properties)) : NULL;
}

/* --- objects --- */

static void add_object(const ObjectType *type, void *opaque)
{
    option_list_line(opaque, type->name, type->help);
}

char *answer_object(const char *value)
{
    g_autofree char *name = NULL;
    const ObjectType *type;
    GString *out;

    if (!option_is_question(value, &name)) {
        return NULL;
    }
    if (name) {
        type = object_type_find(name);
        return type ? text_of(properties_of(type->name, type->properties)) : NULL;
    }
    out = g_string_new(NULL);
    object_types_foreach(add_object, out);
    return text_of(out);
}
