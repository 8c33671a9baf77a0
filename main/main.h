/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of main/ share: the requests of the command line, recorded in order while it is parsed and carried
 * out afterwards, when the whole line is known to be well formed.  Main thread only.
 */
#ifndef MAIN_MAIN_H
#define MAIN_MAIN_H

#include "system/machine.h"
#include <glib.h>

typedef struct StartupRequest {
    MachineConfig config;
    char *machine;         /* "virt,acpi=off" */
    GPtrArray *accels;     /* of char *: "tcg,thread=multi"; the first usable one wins */
    GPtrArray *objects;    /* of char *: "memory-backend-ram,id=m0,size=64M" */
    GPtrArray *devices;    /* of char *: "virtio-blk-device,drive=d" */
    GPtrArray *globals;    /* of char *: "virtio-mmio.force-legacy=false" */
    bool daemonize;
    bool exit_with_parent; /* -run-with exit-with-parent=on */
    char *pidfile;
    char *loadvm;
} StartupRequest;

extern StartupRequest startup;

void startup_init(void);

/* Opens, makes and connects everything the command line asked for, bottom first; big lock held. */
bool wire_machine(GError **error);

/* Runs until the machine ends; returns the exit status of the process.  Big lock held. */
int main_loop(void);
void main_loop_init(void);

#endif
