/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the files of the device model. */
#ifndef SYSTEM_DEVICE_INTERNAL_H
#define SYSTEM_DEVICE_INTERNAL_H

#include "system/device.h"

/* A group of lines of one device: inputs own their lines, outputs are slots in the device. */
typedef struct NamedIRQs {
    char *name; /* NULL: the unnamed ones */
    int n;
    IRQ *lines;       /* inputs */
    IRQ **slots;      /* outputs */
    IRQ *observers;   /* once intercepted */
    IRQ *unconnected; /* stand in for outputs nobody listens to, once intercepted */
} NamedIRQs;

GPtrArray *irq_groups_new(void);

/* Prepares the parts that every Device has; @path is taken over. */
void device_instance_init(Device *dev, const DeviceType *type, char *path);
/* reset.c: everything of reset_register(), in order of stage. */
void reset_run_registered(void);
/* Looks for the device's bus by "bus=" (NULL: any that fits).  NULL with @error. */
Bus *bus_for_type(const DeviceType *type, const char *name, GError **error);
void bus_free(Bus *bus);
bool bus_has_room(const Bus *bus);

#endif
