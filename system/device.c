/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices: created, configured, realized onto a bus, reset, deleted.
 *
 *   device_new() -> device_set()... -> device_realize() -> (reset, state) -> device_delete()
 *
 * Every device has a path under /machine: "peripheral" for those with a user's id, "peripheral-anon" for
 * those without, "unattached" for what boards make, and below their parent for parts of other devices.
 */
#include <string.h>

#include "device-internal.h"
#include "system/machine.h"
#include "system/memory.h"
#include "system/state.h"
#include "util/error.h"
#include "util/rcu.h"
#include "util/trace.h"

TRACE_EVENT(device_realize, "%s");
TRACE_EVENT(device_delete, "%s");

static GPtrArray *all_devices; /* of Device *, in order of creation: parents before children */

/* --- types --- */

const DeviceType *device_type_find(const char *name)
{
    LINKER_SET_FOREACH (device_types, DeviceType, type) {
        if (!strcmp(type->name, name) || !g_strcmp0(type->alias, name)) {
            return type;
        }
    }
    return NULL;
}

void device_types_foreach(void (*fn)(const DeviceType *type, void *opaque), void *opaque)
{
    LINKER_SET_FOREACH (device_types, DeviceType, type) {
        fn(type, opaque);
    }
}

static const char *nth_creatable_type(unsigned i, void *opaque)
{
    unsigned n = 0;

    LINKER_SET_FOREACH (device_types, DeviceType, type) {
        if (type->user_creatable && n++ == i) {
            return type->name;
        }
    }
    return NULL;
}

/* --- the tree --- */

void devices_foreach(void (*fn)(Device *dev, void *opaque), void *opaque)
{
    for (unsigned i = 0; all_devices && i < all_devices->len; i++) {
        fn(g_ptr_array_index(all_devices, i), opaque);
    }
}

Device *machine_root_device(void)
{
    static Device root;

    if (machine_current()) {
        return &machine_current()->device;
    }
    if (!root.path) {
        device_instance_init(&root, NULL, g_strdup("/machine"));
    }
    return &root;
}

static Device *device_by_path(const char *path)
{
    if (!strcmp(path, "/machine")) {
        return machine_root_device();
    }
    for (unsigned i = 0; all_devices && i < all_devices->len; i++) {
        Device *dev = g_ptr_array_index(all_devices, i);

        if (!strcmp(dev->path, path)) {
            return dev;
        }
    }
    return NULL;
}

/* "plic" finds "/machine/unattached/plic" too when it is the only one that ends so. */
static Device *device_by_last_part(const char *name)
{
    Device *found = NULL;

    for (unsigned i = 0; all_devices && i < all_devices->len; i++) {
        Device *dev = g_ptr_array_index(all_devices, i);

        if (!strcmp(strrchr(dev->path, '/') + 1, name)) {
            if (found) {
                return NULL;
            }
            found = dev;
        }
    }
    return found;
}

Device *device_by_path_or_id(const char *name)
{
    if (*name == '/') {
        return device_by_path(name);
    }
    for (unsigned i = 0; all_devices && i < all_devices->len; i++) {
        Device *dev = g_ptr_array_index(all_devices, i);

        if (!g_strcmp0(dev->id, name)) {
            return dev;
        }
    }
    return device_by_last_part(name);
}

/* A path that nobody has: "<parent>/<name>", or "<parent>/<name>[n]" with the first free n. */
static char *unique_path(const char *parent, const char *name, bool always_number)
{
    char *path = always_number ? NULL : g_strdup_printf("%s/%s", parent, name);

    for (unsigned n = 0; !path || device_by_path(path); n++) {
        g_free(path);
        path = g_strdup_printf("%s/%s[%u]", parent, name, n);
    }
    return path;
}

/* --- -global --- */

typedef struct GlobalDefault {
    char *type, *property, *value;
} GlobalDefault;

static GArray *global_defaults; /* of GlobalDefault, in order of the command line */

/* Tries the value on an instance that nobody sees. */
static bool check_global(const DeviceType *type, const char *property, const char *value, GError **error)
{
    void *scratch;
    bool ok;

    if (!type->properties || !field_find(type->properties, property)) {
        return fail(error, "device '%s' has no property '%s'", type->name, property);
    }
    scratch = g_malloc0(MAX(type->instance_size, sizeof(Device)));
    fields_init(type->properties, scratch);
    ok = field_set_string(type->properties, scratch, property, value, error);
    fields_clear(type->properties, scratch);
    g_free(scratch);
    return ok;
}

bool device_global_add(const char *type_name, const char *property, const char *value, GError **error)
{
    const DeviceType *type = device_type_find(type_name);
    GlobalDefault added = {g_strdup(type ? type->name : type_name), g_strdup(property), g_strdup(value)};

    if (type && !check_global(type, property, value, error)) {
        g_free(added.type);
        g_free(added.property);
        g_free(added.value);
        return false;
    }
    if (!global_defaults) {
        global_defaults = g_array_new(false, false, sizeof(added));
    }
    g_array_append_val(global_defaults, added);
    return true;
}

static void apply_global_defaults(Device *dev)
{
    for (unsigned i = 0; global_defaults && i < global_defaults->len; i++) {
        const GlobalDefault *global = &g_array_index(global_defaults, GlobalDefault, i);
        GError *error = NULL;

        if (!strcmp(global->type, dev->type->name) &&
            !device_set(dev, global->property, global->value, &error)) {
            error_context(&error, "-global %s.%s", global->type, global->property);
            error_report_free(error);
        }
    }
}

/* --- life --- */

void device_instance_init(Device *dev, const DeviceType *type, char *path)
{
    dev->type = type;
    dev->path = path;
    dev->children = g_ptr_array_new();
    dev->buses = g_ptr_array_new();
    dev->irqs_in = irq_groups_new();
    dev->irqs_out = irq_groups_new();
    dev->mmio = g_ptr_array_new();
}

static Device *new_at_path(const DeviceType *type, Device *parent, char *path)
{
    Device *dev = g_malloc0(MAX(type->instance_size, sizeof(Device)));

    device_instance_init(dev, type, path);
    dev->parent = parent;
    if (!all_devices) {
        all_devices = g_ptr_array_new();
    }
    g_ptr_array_add(all_devices, dev);
    if (parent) {
        g_ptr_array_add(parent->children, dev);
    }
    if (type->properties) {
        fields_init(type->properties, dev);
        apply_global_defaults(dev);
    }
    if (type->init) {
        type->init(dev);
    }
    return dev;
}

Device *device_new(const DeviceType *type, Device *parent, const char *name)
{
    const char *above = parent ? parent->path : "/machine/unattached";

    return new_at_path(type, parent, unique_path(above, name ? name : "device", !name));
}

bool device_set(Device *dev, const char *property, const char *value, GError **error)
{
    if (dev->realized) {
        return fail(error, "property '%s' of '%s' cannot be set any more", property, dev->path);
    }
    if (!dev->type->properties) {
        return fail(error, "device '%s' has no property '%s'", dev->type->name, property);
    }
    return field_set_string(dev->type->properties, dev, property, value, error);
}

static bool may_plug(const Device *dev, const Bus *bus, GError **error)
{
    if (!machine_is_ready()) {
        return true;
    }
    if (bus && !bus->ops->hotplug) {
        return fail(error, "bus '%s' does not support hotplugging", bus->name);
    }
    if (!dev->type->hotpluggable) {
        return fail(error, "device '%s' does not support hotplugging", dev->type->name);
    }
    return true;
}

static bool plug(Device *dev, GError **error)
{
    Bus *bus = dev->parent_bus;

    return !bus || !bus->ops->plug || bus->ops->plug(bus, dev, error);
}

static void leave_bus(Device *dev)
{
    if (dev->parent_bus) {
        g_ptr_array_remove(dev->parent_bus->children, dev);
        dev->parent_bus = NULL;
    }
}

bool device_realize(Device *dev, Bus *bus, GError **error)
{
    if (dev->realized) {
        return fail(error, "device '%s' is realized already", dev->path);
    }
    if (!bus && dev->type->bus) {
        bus = bus_for_type(dev->type, NULL, error);
        if (!bus) {
            return false;
        }
    }
    if (bus) {
        dev->parent_bus = bus;
        g_ptr_array_add(bus->children, dev);
    }
    if (dev->type->realize && !dev->type->realize(dev, error)) {
        leave_bus(dev);
        return false;
    }
    if (!plug(dev, error)) {
        if (dev->type->unrealize) {
            dev->type->unrealize(dev);
        }
        leave_bus(dev);
        return false;
    }
    if (dev->type->state) {
        state_register(dev->type->state, dev->state_id, -1, dev);
    }
    dev->realized = true;
    dev->hotplugged = machine_is_ready();
    trace(device_realize, dev->path);
    if (dev->hotplugged) {
        device_cold_reset(dev);
    }
    return true;
}

typedef struct DeferredFree {
    RcuHead rcu;
    Device *dev;
} DeferredFree;

static void free_device(RcuHead *head)
{
    DeferredFree *deferred = container_of(head, DeferredFree, rcu);

    g_free(deferred->dev);
    g_free(deferred);
}

/*
 * The parts go now; the instance, which may hold memory regions a reader still looks at, after a grace
 * period.
 */
static void dispose(Device *dev)
{
    DeferredFree *deferred = g_new0(DeferredFree, 1);

    if (dev->type->properties) {
        fields_clear(dev->type->properties, dev);
    }
    g_ptr_array_free(dev->children, true);
    g_ptr_array_free(dev->buses, true);
    g_ptr_array_free(dev->irqs_in, true);
    g_ptr_array_free(dev->irqs_out, true);
    g_ptr_array_free(dev->mmio, true);
    g_free(dev->id);
    g_free(dev->path);
    g_free(dev->state_id);
    deferred->dev = dev;
    call_rcu(&deferred->rcu, free_device);
}

static void unrealize(Device *dev)
{
    if (!dev->realized) {
        return;
    }
    dev->realized = false;
    if (dev->type->state) {
        state_unregister(dev->type->state, dev);
    }
    if (dev->parent_bus && dev->parent_bus->ops->unplug) {
        dev->parent_bus->ops->unplug(dev->parent_bus, dev);
    }
    if (dev->type->unrealize) {
        dev->type->unrealize(dev);
    }
}

void device_delete(Device *dev)
{
    trace(device_delete, dev->path);
    for (unsigned i = dev->buses->len; i-- > 0;) {
        Bus *bus = g_ptr_array_index(dev->buses, i);

        while (bus->children->len) {
            device_delete(g_ptr_array_index(bus->children, bus->children->len - 1));
        }
    }
    while (dev->children->len) {
        device_delete(g_ptr_array_index(dev->children, dev->children->len - 1));
    }
    unrealize(dev);
    leave_bus(dev);
    while (dev->buses->len) {
        bus_free(g_ptr_array_remove_index(dev->buses, dev->buses->len - 1));
    }
    if (dev->parent) {
        g_ptr_array_remove(dev->parent->children, dev);
    }
    g_ptr_array_remove(all_devices, dev);
    dispose(dev);
}

/* --- from the user --- */

static const char *option(GPtrArray *key_values, const char *key)
{
    for (unsigned i = 0; i < key_values->len; i++) {
        KeyValue *pair = g_ptr_array_index(key_values, i);

        if (!strcmp(pair->key, key)) {
            return pair->value;
        }
    }
    return NULL;
}

static bool is_ours(const char *key)
{
    return !strcmp(key, "driver") || !strcmp(key, "id") || !strcmp(key, "bus");
}

static bool set_options(Device *dev, GPtrArray *key_values, GError **error)
{
    for (unsigned i = 0; i < key_values->len; i++) {
        KeyValue *pair = g_ptr_array_index(key_values, i);

        if (!is_ours(pair->key) && !device_set(dev, pair->key, pair->value ? pair->value : "on", error)) {
            return false;
        }
    }
    return true;
}

static const DeviceType *creatable_type(const char *name, GError **error)
{
    const DeviceType *type = name ? device_type_find(name) : NULL;
    const char *near;

    if (!name) {
        return fail_null(error, "parameter 'driver' is missing");
    }
    if (!type) {
        near = did_you_mean(name, nth_creatable_type, NULL);
        return near
                   ? fail_null(error, "'%s' is not a valid device model name; did you mean '%s'?", name, near)
                   : fail_null(error, "'%s' is not a valid device model name", name);
    }
    if (!type->user_creatable) {
        return fail_null(error, "device '%s' is part of a board and cannot be added", name);
    }
    return type;
}

Device *device_add_from_options(GPtrArray *key_values, GError **error)
{
    const DeviceType *type = creatable_type(option(key_values, "driver"), error);
    const char *id = option(key_values, "id");
    Bus *bus = NULL;
    Device *dev;

    if (!type) {
        return NULL;
    }
    if (id && (!*id || strchr(id, '/'))) {
        return fail_null(error, "'%s' is not a valid id", id);
    }
    if (id && device_by_path_or_id(id) && device_by_path_or_id(id)->id) {
        return fail_null(error, "there is already a device with id '%s'", id);
    }
    if (type->bus && !(bus = bus_for_type(type, option(key_values, "bus"), error))) {
        return NULL;
    }
    dev = new_at_path(type, NULL,
                      id ? unique_path("/machine/peripheral", id, false)
                         : unique_path("/machine/peripheral-anon", "device", true));
    dev->id = g_strdup(id);
    if (!may_plug(dev, bus, error) || !set_options(dev, key_values, error) ||
        !device_realize(dev, bus, error)) {
        error_context(error, "device '%s'", type->name);
        device_delete(dev);
        return NULL;
    }
    return dev;
}

/* --- reset --- */

void device_cold_reset(Device *dev)
{
    if (dev->type && dev->type->reset) {
        dev->type->reset(dev);
    }
    for (unsigned i = 0; i < dev->buses->len; i++) {
        Bus *bus = g_ptr_array_index(dev->buses, i);

        for (unsigned j = 0; j < bus->children->len; j++) {
            device_cold_reset(g_ptr_array_index(bus->children, j));
        }
    }
}

static void reset_one(Device *dev, void *opaque)
{
    if (dev->realized && dev->type->reset) {
        dev->type->reset(dev);
    }
}

void devices_reset_all(void)
{
    devices_foreach(reset_one, NULL);
    reset_run_registered();
}

/* --- regions --- */

void device_init_mmio(Device *dev, MemoryRegion *mr)
{
    g_ptr_array_add(dev->mmio, mr);
}

MemoryRegion *device_mmio_region(Device *dev, int n)
{
    return n >= 0 && (unsigned)n < dev->mmio->len ? g_ptr_array_index(dev->mmio, n) : NULL;
}

/* --- info qtree --- */

static void print_device(GString *out, Device *dev, unsigned indent);

static void print_bus(GString *out, Bus *bus, unsigned indent)
{
    g_string_append_printf(out, "%*sbus: %s\n%*stype %s\n", indent, "", bus->name, indent + 2, "",
                           bus->ops->type);
    for (unsigned i = bus->children->len; i-- > 0;) {
        print_device(out, g_ptr_array_index(bus->children, i), indent + 2);
    }
}

static void print_groups(GString *out, GPtrArray *groups, const char *word, unsigned indent)
{
    for (unsigned i = 0; i < groups->len; i++) {
        NamedIRQs *group = g_ptr_array_index(groups, i);

        g_string_append_printf(out, "%*s%s \"%s\" %d\n", indent, "", word, group->name ? group->name : "",
                               group->n);
    }
}

static void print_properties(GString *out, Device *dev, unsigned indent)
{
    for (const Field *field = dev->type->properties; field && field->name; field++) {
        g_autofree char *value = field_get_string(dev->type->properties, dev, field->name);
        bool quoted = field->kind == FIELD_STRING || field->kind == FIELD_ENUM;

        g_string_append_printf(out, quoted ? "%*s%s = \"%s\"\n" : "%*s%s = %s\n", indent, "", field->name,
                               value ? value : "");
    }
}

static void print_device(GString *out, Device *dev, unsigned indent)
{
    g_string_append_printf(out, "%*sdev: %s, id \"%s\"\n", indent, "", dev->type->name,
                           dev->id ? dev->id : "");
    print_groups(out, dev->irqs_in, "gpio-in", indent + 2);
    print_groups(out, dev->irqs_out, "gpio-out", indent + 2);
    print_properties(out, dev, indent + 2);
    for (unsigned i = 0; i < dev->mmio->len; i++) {
        MemoryRegion *mr = g_ptr_array_index(dev->mmio, i);

        g_string_append_printf(out, "%*smmio %016" PRIx64 "/%016" PRIx64 "\n", indent + 2, "",
                               mr->container ? mr->addr : UINT64_MAX, mr->size);
    }
    for (unsigned i = 0; i < dev->buses->len; i++) {
        print_bus(out, g_ptr_array_index(dev->buses, i), indent + 2);
    }
}

static void print_if_on_no_bus(Device *dev, void *opaque)
{
    if (!dev->parent_bus) {
        print_device(opaque, dev, 2);
    }
}

void device_print_tree(GString *out)
{
    g_string_append(out, "bus: main-system-bus\n  type System\n");
    devices_foreach(print_if_on_no_bus, out);
}
