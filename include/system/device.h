/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices, buses, irq lines and the object tree.
 *
 * A DeviceType is one const struct at the end of its file (DEVICE_TYPE()).  device_new() allocates an instance,
 * properties are set from the Field table, device_realize() plugs it in.  Everything here: big lock.
 */
#ifndef SYSTEM_DEVICE_H
#define SYSTEM_DEVICE_H

#include "api/field.h"
#include "system/types.h"
#include "util/linker-set.h"
#include <glib.h>

/* --- irq lines --- */
typedef void (*IRQHandler)(void *opaque, int n, int level);
typedef struct IRQ {
    IRQHandler handler; /* NULL: not connected */
    void *opaque;
    int n;
    int level;          /* what was last set */
    const struct IRQ *observer; /* qtest's irq_intercept: told as well */
} IRQ;
/* Sets the line; big lock.  A NULL or unconnected line is ignored.  The handler sees each call, changed or not. */
void irq_set(IRQ *irq, int level);
static inline void irq_raise(IRQ *irq)
{
    irq_set(irq, 1);
}
static inline void irq_lower(IRQ *irq)
{
    irq_set(irq, 0);
}

/* --- buses --- */
typedef struct Bus Bus;
typedef struct BusOps {
    const char *type; /* "virtio-bus", "PCI" */
    /* A child was realized: connect it.  May refuse ("no free slot"). */
    bool (*plug)(Bus *bus, Device *child, GError **error);
    void (*unplug)(Bus *bus, Device *child);
    bool hotplug; /* takes devices after the machine started */
} BusOps;
struct Bus {
    const BusOps *ops;
    char *name; /* "virtio-mmio-bus.7" */
    Device *owner;
    GPtrArray *children; /* of Device * */
    int max_children;    /* 0: any number */
};

/* --- devices --- */
typedef struct DeviceType {
    const char *name;  /* "virtio-blk-device" */
    const char *alias; /* NULL: none */
    const char *help;
    const char *bus;   /* type of the bus it sits on; NULL: none ("System") */
    const char *category; /* "storage", "network", "misc", ...: groups "-device help" */
    bool user_creatable;  /* -device and device_add */
    bool hotpluggable;
    size_t instance_size; /* the instance starts with a Device */
    const Field *properties; /* offsets in the instance */
    /* The instance exists with default properties. */
    void (*init)(Device *dev);
    bool (*realize)(Device *dev, GError **error); /* on failure it has undone what it did */
    void (*unrealize)(Device *dev);
    void (*reset)(Device *dev);
    /* State in the migration stream; NULL: has none.  Registered at realize under state_id or the type's name. */
    const struct StateSection *state;
} DeviceType;
#define DEVICE_TYPE(ident, ...)                                                                                    \
    const DeviceType ident = {__VA_ARGS__};                                                                        \
    LINKER_SET_ADD(device_types, DeviceType, ident)

struct Device {
    const DeviceType *type;
    char *id;      /* user's "id=", NULL */
    char *path;    /* in the object tree: "/machine/peripheral/d0" */
    char *state_id; /* section name; NULL: type->state->name */
    Bus *parent_bus;
    Device *parent;       /* owner in the tree, NULL: the machine */
    GPtrArray *children;  /* of Device * */
    GPtrArray *buses;     /* of Bus * it offers */
    GPtrArray *irqs_in;   /* of NamedIRQs */
    GPtrArray *irqs_out;
    GPtrArray *mmio;      /* of MemoryRegion *: device_mmio_region(dev, n) */
    bool realized;
    bool hotplugged;
};

const DeviceType *device_type_find(const char *name); /* name or alias */
void device_types_foreach(void (*fn)(const DeviceType *type, void *opaque), void *opaque);

/* A new instance with default properties, child of @parent (NULL: the machine's "unattached"). */
Device *device_new(const DeviceType *type, Device *parent, const char *name);
/* -device / device_add: type and properties from options; finds a bus ("bus=" or the first with room). */
Device *device_add_from_options(GPtrArray *key_values, GError **error);
/*
 * "-global TYPE.PROPERTY=VALUE": the default that device_new() gives a property from now on.  Before devices exist.  An
 * unknown type is remembered without a complaint (it may be another binary's); an unknown property of a known type fails.
 */
bool device_global_add(const char *type, const char *property, const char *value, GError **error);
bool device_set(Device *dev, const char *property, const char *value, GError **error);
bool device_realize(Device *dev, Bus *bus, GError **error);
/* Unplugs, unrealizes, removes from the tree and frees (memory by RCU). */
void device_delete(Device *dev);
void devices_reset_all(void); /* in creation order, children after parents */
void device_cold_reset(Device *dev);
/* Something without a Device that is reset with the machine (CPUs, ROM images); lower @stage first. */
void reset_register(void (*fn)(void *opaque), void *opaque, int stage);
void reset_unregister(void (*fn)(void *opaque), void *opaque);

Device *device_by_path_or_id(const char *name);
/* Each device that exists, in order of creation. */
void devices_foreach(void (*fn)(Device *dev, void *opaque), void *opaque);
Device *machine_root_device(void); /* "/machine" */

Bus *bus_new(Device *owner, const BusOps *ops, const char *name);
Bus *bus_find(const char *type_or_name, bool with_room);

/* Input and output lines; @name NULL: the unnamed ones. */
void device_init_irq_in(Device *dev, IRQHandler handler, const char *name, int n); /* opaque is the device */
void device_init_irq_out(Device *dev, IRQ **lines, const char *name, int n); /* lines[i] are set by connecting */
IRQ *device_irq_in(Device *dev, const char *name, int n);
void device_connect_irq(Device *dev, const char *name, int n, IRQ *irq);
/* qtest: reports every change of the device's input or output lines to @handler; false when it has none. */
bool device_intercept_irqs(Device *dev, const char *name, bool out, IRQHandler handler, void *opaque);

/* A region of the device that its board maps. */
void device_init_mmio(Device *dev, MemoryRegion *mr);
MemoryRegion *device_mmio_region(Device *dev, int n);

/* Text of "info qtree". */
void device_print_tree(GString *out);

/* --- user-created objects (-object, object-add) --- */
typedef struct ObjectType {
    const char *name; /* "memory-backend-ram" */
    const char *help;
    size_t instance_size;
    const Field *properties;
    bool (*complete)(void *object, const char *id, GError **error);
    bool (*can_delete)(void *object, GError **error);
    void (*destroy)(void *object);
} ObjectType;
#define OBJECT_TYPE(ident, ...)                                                                                    \
    const ObjectType ident = {__VA_ARGS__};                                                                        \
    LINKER_SET_ADD(object_types, ObjectType, ident)
bool object_add(const char *type, const char *id, GPtrArray *key_values, GError **error);
bool object_del(const char *id, GError **error);
const ObjectType *object_type_find(const char *name);
void object_types_foreach(void (*fn)(const ObjectType *type, void *opaque), void *opaque);
void *object_find(const char *id, const ObjectType **type); /* NULL when unknown */
void objects_foreach(void (*fn)(const char *id, const ObjectType *type, void *object, void *opaque), void *opaque);

#endif
