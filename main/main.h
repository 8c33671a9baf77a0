/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of main/ share: the requests of the command line, recorded in order while it is parsed and
 * carried out afterwards, when the whole line is known to be well formed.  Main thread only.
 */
#ifndef MAIN_MAIN_H
#define MAIN_MAIN_H

#include "system/machine.h"
#include <glib.h>

typedef struct StartupRequest {
    MachineConfig config;
    char *machine;          /* "virt,acpi=off" */
    GPtrArray *accels;      /* of char *: "tcg,thread=multi"; the first usable one wins */
    GPtrArray *objects;     /* of char *: "memory-backend-ram,id=m0,size=64M" */
    GPtrArray *devices;     /* of char *: "virtio-blk-device,drive=d" */
    GPtrArray *globals;     /* of char *: "virtio-mmio.force-legacy=false" */
    GPtrArray *disk_images; /* of char *: words that are no options */
    GPtrArray *data_dirs;   /* of char *: -L, where to look for firmware */
    bool daemonize;
    bool exit_with_parent; /* -run-with exit-with-parent=on */
    char *pidfile;
    char *loadvm;
} StartupRequest;

extern StartupRequest startup;

void startup_init(void);

/*
 * Opens, makes and connects everything the command line asked for, bottom first; big lock held.  @run is
 * cleared when that was all there was to do ("-machine dumpdtb=").
 */
bool wire_machine(bool *run, GError **error);

/* Runs until the machine ends; returns the exit status of the process.  Big lock held. */
int main_loop(void);
void main_loop_init(void);

/* -pidfile: writes and locks it; it goes away with the process. */
bool pidfile_create(GError **error);
/* -daemonize: returns in the child only.  Before any thread, lock or descriptor of ours exists. */
bool daemonize_begin(GError **error);
/* The machine is set up: lets go of the terminal and sends the parent home. */
bool daemonize_finish(GError **error);

/* Option.answer of the options whose values come from registries. */
char *answer_machine(const char *value);
char *answer_cpu(const char *value);
char *answer_accel(const char *value);
char *answer_device(const char *value);
char *answer_object(const char *value);
/* The properties that -machine knows for every board. */
void common_properties_append_help(GString *out);

#endif
