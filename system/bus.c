/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Buses: where devices can be plugged in. */
#include <string.h>

#include "device-internal.h"
#include "util/error.h"

static GPtrArray *all_buses; /* of Bus *, in order of creation */

Bus *bus_new(Device *owner, const BusOps *ops, const char *name)
{
    Bus *bus = g_new0(Bus, 1);

    if (!all_buses) {
        all_buses = g_ptr_array_new();
    }
    bus->ops = ops;
    bus->name = g_strdup(name);
    bus->owner = owner;
    bus->children = g_ptr_array_new();
    g_ptr_array_add(all_buses, bus);
    if (owner) {
        g_ptr_array_add(owner->buses, bus);
    }
    return bus;
}

void bus_free(Bus *bus)
{
    g_ptr_array_remove(all_buses, bus);
    g_ptr_array_free(bus->children, true);
    g_free(bus->name);
    g_free(bus);
}

bool bus_has_room(const Bus *bus)
{
    return !bus->max_children || bus->children->len < (unsigned)bus->max_children;
}

static bool has_name(const Bus *bus, const char *name)
{
    const char *slash = strrchr(name, '/');

    return !strcmp(bus->name, slash ? slash + 1 : name);
}

Bus *bus_find(const char *type_or_name, bool with_room)
{
    for (unsigned i = 0; all_buses && i < all_buses->len; i++) {
        Bus *bus = g_ptr_array_index(all_buses, i);

        if ((!strcmp(bus->ops->type, type_or_name) || has_name(bus, type_or_name)) &&
            (!with_room || bus_has_room(bus))) {
            return bus;
        }
    }
    return NULL;
}

static Bus *bus_by_name(const char *name)
{
    for (unsigned i = 0; all_buses && i < all_buses->len; i++) {
        Bus *bus = g_ptr_array_index(all_buses, i);

        if (has_name(bus, name)) {
            return bus;
        }
    }
    return NULL;
}

Bus *bus_for_type(const DeviceType *type, const char *name, GError **error)
{
    Bus *bus = name ? bus_by_name(name) : bus_find(type->bus, true);

    if (name && !bus) {
        return fail_null(error, "bus '%s' not found", name);
    }
    if (!bus) {
        return fail_null(error,
                         bus_find(type->bus, false) ? "no '%s' bus has room for device '%s'"
                                                    : "no '%s' bus found for device '%s'",
                         type->bus, type->name);
    }
    if (strcmp(bus->ops->type, type->bus)) {
        return fail_null(error, "device '%s' cannot go on a %s bus", type->name, bus->ops->type);
    }
    if (!bus_has_room(bus)) {
        return fail_null(error, "bus '%s' is full", bus->name);
    }
    return bus;
}
