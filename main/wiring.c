/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wiring: turns the recorded command line into a machine, bottom first.
 *
 * Back ends come before the board that plugs into them, vCPU threads after the machine is complete, monitors last, so
 * that nobody can talk to a machine that is half made.
 */
#include "main/main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/block.h"
#include "backend/chardev.h"
#include "backend/net.h"
#include "migration/migration.h"
#include "monitor/monitor.h"
#include "system/accel.h"
#include "system/cpu.h"
#include "system/runstate.h"
#include "util/error.h"

/* --- lists for "-machine help" and its like: print, then end --- */

static void print_machine(const MachineType *type, void *opaque)
{
    printf("%-20s %s%s\n", type->name, type->help, type->is_default ? " (default)" : "");
}

static void print_cpu_model(const CpuModel *model, void *opaque)
{
    printf("%-20s %s\n", model->name, model->help);
}

static void print_device_type(const DeviceType *type, void *opaque)
{
    if (type->user_creatable) {
        printf("%-24s %s\n", type->name, type->help ? type->help : "");
    }
}

static void print_properties(const Field *fields)
{
    for (const Field *f = fields; f && f->name; f++) {
        printf("  %-24s %s%s%s\n", f->name, f->help ? f->help : "", f->default_value ? ", default " : "",
               f->default_value ? f->default_value : "");
    }
}

static bool wants_help(const char *text)
{
    return text && (!strcmp(text, "help") || !strcmp(text, "?"));
}

static void print_asked_help(void)
{
    if (wants_help(startup.machine)) {
        machine_types_foreach(print_machine, NULL);
    } else if (wants_help(startup.config.cpu_model)) {
        cpu_models_foreach(print_cpu_model, NULL);
    } else if (startup.devices->len && wants_help(startup.devices->pdata[0])) {
        device_types_foreach(print_device_type, NULL);
    } else {
        return;
    }
    exit(0);
}

static void print_device_help(GPtrArray *pairs)
{
    const KeyValue *first = pairs->pdata[0];
    const DeviceType *type = device_type_find(first->value);

    for (guint i = 1; type && i < pairs->len; i++) {
        const KeyValue *kv = pairs->pdata[i];

        if (wants_help(kv->key)) {
            printf("%s: %s\n", type->name, type->help ? type->help : "");
            print_properties(type->properties);
            exit(0);
        }
    }
}

/* --- the steps --- */

/* "-global TYPE.PROPERTY=VALUE"; those of "migration" are its parameters and capabilities. */
static bool apply_global(const char *text, GError **error)
{
    g_auto(GStrv) parts = NULL;
    const char *equals = strchr(text, '=');
    const char *dot = strchr(text, '.');
    g_autofree char *type = NULL;
    g_autofree char *property = NULL;

    if (!equals || !dot || dot > equals) {
        return fail(error, "-global %s: it looks like 'TYPE.PROPERTY=VALUE'", text);
    }
    type = g_strndup(text, dot - text);
    property = g_strndup(dot + 1, equals - dot - 1);
    if (!strcmp(type, "migration")) {
        return migration_set_global(property, equals + 1, error);
    }
    return device_global_add(type, property, equals + 1, error);
}

static bool apply_globals(GError **error)
{
    for (guint i = 0; i < startup.globals->len; i++) {
        if (!apply_global(startup.globals->pdata[i], error)) {
            return false;
        }
    }
    return true;
}

static const char *pairs_take(GPtrArray *pairs, const char *key)
{
    for (guint i = 0; i < pairs->len; i++) {
        KeyValue *kv = pairs->pdata[i];

        if (!strcmp(kv->key, key)) {
            return kv->value;
        }
    }
    return NULL;
}

static bool make_object(const char *text, GError **error)
{
    g_autoptr(GPtrArray) pairs = options_split(text, "qom-type", error);
    const char *type, *id;

    if (!pairs) {
        return false;
    }
    type = pairs_take(pairs, "qom-type");
    id = pairs_take(pairs, "id");
    if (!type || !id) {
        return fail(error, "-object %s: it needs a type and an 'id='", text);
    }
    return object_add(type, id, pairs, error);
}

static bool make_objects(GError **error)
{
    for (guint i = 0; i < startup.objects->len; i++) {
        if (!make_object(startup.objects->pdata[i], error)) {
            return false;
        }
    }
    return true;
}

/* The first accelerator of the list that works; without a list, TCG. */
static bool choose_accel(GError **error)
{
    if (!startup.accels->len) {
        return accel_select("tcg", NULL, error);
    }
    for (guint i = 0; i < startup.accels->len; i++) {
        g_auto(GStrv) parts = g_strsplit(startup.accels->pdata[i], ",", 2);
        const char *name = g_str_has_prefix(parts[0], "accel=") ? parts[0] + 6 : parts[0];

        g_clear_error(error);
        if (accel_select(name, parts[1], error)) {
            return true;
        }
    }
    return false;
}

/* Machine properties that every board has. */
static bool set_common_property(Machine *machine, const KeyValue *kv, bool *known)
{
    static const struct {
        const char *name;
        size_t offset;
    } texts[] = {
        {"memory-backend", offsetof(MachineConfig, memory_backend)},
        {"dumpdtb", offsetof(MachineConfig, dumpdtb)},
        {"kernel", offsetof(MachineConfig, kernel)},
        {"initrd", offsetof(MachineConfig, initrd)},
        {"append", offsetof(MachineConfig, append)},
        {"dtb", offsetof(MachineConfig, dtb)},
        {"firmware", offsetof(MachineConfig, bios)},
    };
    /* set on many command lines, with the only value there is here */
    static const char *const accepted[] = {"usb=off", "dump-guest-core=on", "mem-merge=on", "graphics=off",
                                           "graphics=on", "suppress-vmdesc=off"};
    g_autofree char *text = g_strdup_printf("%s=%s", kv->key, kv->value ? kv->value : "on");

    *known = true;
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (!strcmp(kv->key, texts[i].name)) {
            char **where = (char **)((char *)&machine->config + texts[i].offset);

            g_free(*where);
            *where = g_strdup(kv->value);
            return true;
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(accepted); i++) {
        if (!strcmp(text, accepted[i])) {
            return true;
        }
    }
    *known = false;
    return true;
}

static bool set_machine_properties(Machine *machine, GPtrArray *pairs, GError **error)
{
    for (guint i = 0; i < pairs->len; i++) {
        const KeyValue *kv = pairs->pdata[i];
        bool known;

        if (!strcmp(kv->key, "type")) {
            continue;
        }
        if (!set_common_property(machine, kv, &known)) {
            return false;
        }
        if (!known && !field_set_string(machine->machine_type->properties, machine, kv->key,
                                        kv->value ? kv->value : "on", error)) {
            error_context(error, "-machine %s", machine->machine_type->name);
            return false;
        }
    }
    return true;
}

static void find_default_machine(const MachineType *type, void *opaque)
{
    if (type->is_default) {
        *(const MachineType **)opaque = type;
    }
}

static const char *nth_machine_name(unsigned i, void *opaque)
{
    LINKER_SET_FOREACH(machine_types, MachineType, type)
    {
        if (i-- == 0) {
            return type->name;
        }
    }
    return NULL;
}

static const MachineType *choose_machine_type(const char *name, GError **error)
{
    const MachineType *type = NULL;
    const char *like;

    if (!name) {
        machine_types_foreach(find_default_machine, &type);
        return type ? type : fail_null(error, "no machine given; '-machine help' lists them");
    }
    type = machine_type_find(name);
    if (type) {
        return type;
    }
    like = did_you_mean(name, nth_machine_name, NULL);
    return like ? fail_null(error, "unknown machine '%s' (did you mean '%s'?)", name, like)
                : fail_null(error, "unknown machine '%s'; '-machine help' lists them", name);
}

static bool make_machine(GError **error)
{
    g_autoptr(GPtrArray) pairs = options_split(startup.machine ? startup.machine : "", "type", error);
    const MachineType *type;
    Machine *machine;

    if (!pairs || !(type = choose_machine_type(pairs_take(pairs, "type"), error)) ||
        !(machine = machine_create(type, error))) {
        return false;
    }
    machine->config = startup.config;
    if (!machine->config.cpu_model) {
        machine->config.cpu_model = g_strdup(type->default_cpu);
    }
    return set_machine_properties(machine, pairs, error) && type->init(machine, error);
}

static bool make_device(const char *text, GError **error)
{
    g_autoptr(GPtrArray) pairs = options_split(text, "driver", error);

    if (!pairs) {
        return false;
    }
    print_device_help(pairs);
    if (!device_add_from_options(pairs, error)) {
        error_context(error, "-device %s", text);
        return false;
    }
    return true;
}

static bool make_devices(GError **error)
{
    for (guint i = 0; i < startup.devices->len; i++) {
        if (!make_device(startup.devices->pdata[i], error)) {
            return false;
        }
    }
    return true;
}

static bool complete_machine(GError **error)
{
    Machine *machine = machine_current();

    if (machine->machine_type->done && !machine->machine_type->done(machine, error)) {
        return false;
    }
    if (machine->config.dump_done) {
        exit(0);
    }
    return true;
}

/* Serial port 0 is on the terminal, together with the monitor, unless something else was asked for. */
static void choose_console(void)
{
    if (nographic_requested()) {
        serial_set_default("mon:stdio");
    }
}

static bool start_running(GError **error)
{
    if (incoming_requested()) {
        runstate_set(RUN_STATE_INMIGRATE);
        return incoming_start_requested(error);
    }
    if (autostart) {
        vm_start();
    }
    return true;
}

bool wire_machine(GError **error)
{
    print_asked_help();
    choose_console();
    migration_init();
    if (!apply_globals(error) || !chardevs_create(error) || !make_objects(error) || !drives_create(error) ||
        !netdevs_create(error) || !choose_accel(error) || !make_machine(error) || !make_devices(error) ||
        !complete_machine(error) || !cpus_start_threads(error)) {
        return false;
    }
    system_reset(SHUTDOWN_NONE);
    return monitor_start_all(error) && start_running(error);
}
