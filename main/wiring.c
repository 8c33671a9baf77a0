/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wiring: turns the recorded command line into a machine, bottom first.
 *
 * Back ends come before the board that plugs into them, vCPU threads after the machine is complete, monitors
 * last, so that nobody can talk to a machine that is half made.
 */
#include "main/main.h"

#include <string.h>

#include "backend/block.h"
#include "backend/chardev.h"
#include "backend/net.h"
#include "hw/virtio.h"
#include "migration/migration.h"
#include "monitor/monitor.h"
#include "system/accel.h"
#include "system/cpu.h"
#include "system/runstate.h"
#include "util/error.h"

/* --- the steps --- */

/* "-global TYPE.PROPERTY=VALUE"; those of "migration" are its parameters and capabilities. */
static bool apply_global(const char *text, GError **error)
{
    const char *equals = strchr(text, '=');
    const char *dot = strchr(text, '.');
    g_autofree char *type = NULL;
    g_autofree char *property = NULL;

    if (!equals || !dot || dot > equals) {
        return fail(error, "-global %s: it looks like 'TYPE.PROPERTY=VALUE'", text);
    }
    type = g_strndup(text, dot - text);
    property = g_strndup(dot + 1, equals - dot - 1);
    if (!(strcmp(type, "migration") ? device_global_add(type, property, equals + 1, error)
                                    : migration_set_global(property, equals + 1, error))) {
        error_context(error, "-global %s", text);
        return false;
    }
    return true;
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

static GPtrArray *machine_pairs(GError **error)
{
    const char *text = startup.machine ? startup.machine : "";
    GPtrArray *pairs = options_split(text, "type", error);

    if (!pairs) {
        error_context(error, "-machine %s", text);
    }
    return pairs;
}

/* "-machine accel=kvm:tcg" counts as if -accel had been given for each name. */
static bool accels_of_machine(GError **error)
{
    g_autoptr(GPtrArray) pairs = machine_pairs(error);
    const char *names = pairs ? pairs_take(pairs, "accel") : NULL;
    g_auto(GStrv) parts = g_strsplit(names ? names : "", ":", -1);

    for (char **name = parts; *name; name++) {
        g_ptr_array_add(startup.accels, g_strdup(*name));
    }
    return pairs != NULL;
}

/* The first accelerator of the list that works; without a list, TCG. */
static bool choose_accel(GError **error)
{
    if (!accels_of_machine(error)) {
        return false;
    }
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
        error_context(error, "-accel %s", (char *)startup.accels->pdata[i]);
    }
    return false;
}

/* Properties that every board has: other names for options. */
static const Field common_properties[] = {
    F_STRING(MachineConfig, memory_backend, "memory-backend", .optional = true,
             .help = "object that is the RAM"),
    F_STRING(MachineConfig, dumpdtb, "dumpdtb", .optional = true,
             .help = "write the device tree there and end"),
    F_STRING(MachineConfig, kernel, "kernel", .optional = true, .help = "as -kernel"),
    F_STRING(MachineConfig, initrd, "initrd", .optional = true, .help = "as -initrd"),
    F_STRING(MachineConfig, append, "append", .optional = true, .help = "as -append"),
    F_STRING(MachineConfig, dtb, "dtb", .optional = true, .help = "as -dtb"),
    F_STRING(MachineConfig, bios, "firmware", .optional = true, .help = "as -bios"),
    FIELD_END,
};

void common_properties_append_help(GString *out)
{
    fields_append_help(common_properties, out);
    g_string_append(out, "  accel=NAME[:NAME...]             as -accel\n");
}

/* Set on many command lines, with the only value there is here; or carried out by another step. */
static bool is_accepted(const KeyValue *kv)
{
    static const char *const accepted[] = {"usb=off",      "dump-guest-core=on", "mem-merge=on",
                                           "graphics=off", "graphics=on",        "suppress-vmdesc=off"};
    g_autofree char *text = g_strdup_printf("%s=%s", kv->key, kv->value ? kv->value : "on");

    for (size_t i = 0; i < G_N_ELEMENTS(accepted); i++) {
        if (!strcmp(text, accepted[i])) {
            return true;
        }
    }
    return !strcmp(kv->key, "type") || !strcmp(kv->key, "accel");
}

static const char *nth_property_name(unsigned i, void *opaque)
{
    const Field *own = opaque;

    while (own && own->name) {
        if (i-- == 0) {
            return own->name;
        }
        own++;
    }
    return i < G_N_ELEMENTS(common_properties) ? common_properties[i].name : NULL;
}

static bool set_machine_property(Machine *machine, const KeyValue *kv, GError **error)
{
    const Field *own = machine->machine_type->properties;
    const char *like;

    if (is_accepted(kv)) {
        return true;
    }
    if (field_find(common_properties, kv->key)) {
        return kv->value ? field_set_string(common_properties, &machine->config, kv->key, kv->value, error)
                         : fail(error, "property '%s' needs a value", kv->key);
    }
    if (own && field_find(own, kv->key)) {
        return field_set_string(own, machine, kv->key, kv->value ? kv->value : "on", error);
    }
    like = did_you_mean(kv->key, nth_property_name, (void *)own);
    return like ? fail(error, "there is no property '%s' (did you mean '%s'?)", kv->key, like)
                : fail(error, "there is no property '%s'; '-machine %s,help' lists them", kv->key,
                       machine->machine_type->name);
}

static bool set_machine_properties(Machine *machine, GPtrArray *pairs, GError **error)
{
    for (guint i = 0; i < pairs->len; i++) {
        if (!set_machine_property(machine, pairs->pdata[i], error)) {
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
    LINKER_SET_FOREACH (machine_types, MachineType, type) {
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

static bool use_firmware_at(MachineConfig *config, const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);

    if (!g_file_test(path, G_FILE_TEST_IS_REGULAR)) {
        return false;
    }
    g_free(config->bios);
    config->bios = g_steal_pointer(&path);
    return true;
}

/* The folders of -L are looked through for firmware that is not in the current one. */
static void find_firmware(MachineConfig *config)
{
    bool by_default = !config->bios || !strcmp(config->bios, "default");

    if (config->bios && !by_default &&
        (!strcmp(config->bios, "none") || strchr(config->bios, '/') ||
         g_file_test(config->bios, G_FILE_TEST_EXISTS))) {
        return;
    }
    for (guint i = 0; i < startup.data_dirs->len; i++) {
        const char *folder = startup.data_dirs->pdata[i];

        if (by_default ? use_firmware_at(config, folder, "fw_dynamic.bin") ||
                             use_firmware_at(config, folder, "opensbi-riscv64-generic-fw_dynamic.bin")
                       : use_firmware_at(config, folder, config->bios)) {
            return;
        }
    }
}

static bool check_boot(const Machine *machine, GError **error)
{
    const MachineConfig *config = &machine->config;
    const char *given = config->kernel ? "-kernel" : config->initrd ? "-initrd" : config->dtb ? "-dtb" : NULL;

    if (given && !machine->machine_type->done) {
        return fail(error, "machine '%s' boots nothing: %s is of no use", machine->machine_type->name, given);
    }
    if (config->append && !config->kernel && !config->dumpdtb) {
        return fail(error, "-append needs -kernel: it is the kernel's command line");
    }
    return true;
}

static bool make_machine(GError **error)
{
    g_autoptr(GPtrArray) pairs = machine_pairs(error);
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
    if (!set_machine_properties(machine, pairs, error)) {
        return false;
    }
    if (!check_boot(machine, error)) {
        return false;
    }
    find_firmware(&machine->config);
    return type->init(machine, error);
}

static bool make_device(const char *text, GError **error)
{
    g_autoptr(GPtrArray) pairs = options_split(text, "driver", error);

    if (!pairs) {
        return false;
    }
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

    return !machine->machine_type->done || machine->machine_type->done(machine, error);
}

/* "godwit-system-riscv64 disk.img": a virtio disk each. */
static bool make_disk_image_drives(GError **error)
{
    for (guint i = 0; i < startup.disk_images->len; i++) {
        g_auto(GStrv) parts = g_strsplit(startup.disk_images->pdata[i], ",", -1);
        g_autofree char *path = g_strjoinv(",,", parts);
        g_autofree char *text = g_strconcat("file=", path, ",if=virtio", NULL);

        if (!drive_new_from_options(text, error)) {
            error_context(error, "disk image '%s'", (char *)startup.disk_images->pdata[i]);
            return false;
        }
    }
    return true;
}

static void note_stdio_user(Chardev *chr, void *opaque)
{
    g_autofree char *filename = chardev_filename(chr);

    if (!strcmp(filename, "stdio") || !strcmp(filename, "mux:stdio")) {
        *(Chardev **)opaque = chr;
    }
}

/* In the background there is no terminal. */
static bool check_background(GError **error)
{
    Chardev *user = NULL;

    chardevs_foreach(note_stdio_user, &user);
    return !startup.daemonize || !user ||
           fail(error, "-daemonize leaves the terminal, which character device '%s' uses", chardev_id(user));
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
        return incoming_start_requested(error);
    }
    if (autostart) {
        vm_start();
    }
    return true;
}

static bool make_parts(GError **error)
{
    return apply_globals(error) && chardevs_create(error) && make_objects(error) && drives_create(error) &&
           make_disk_image_drives(error) && netdevs_create(error) && choose_accel(error) &&
           make_machine(error) && make_devices(error) && virtio_create_default_devices(error) &&
           complete_machine(error);
}

bool wire_machine(bool *run, GError **error)
{
    choose_console();
    migration_init();
    if (incoming_requested()) {
        /* first: images stay unlocked until the machine is here, and the reset leaves RAM to what comes in */
        runstate_set(RUN_STATE_INMIGRATE);
    }
    if (!make_parts(error)) {
        return false;
    }
    *run = !machine_current()->config.dump_done;
    if (!*run) {
        return true;
    }
    if (!cpus_start_threads(error)) {
        return false;
    }
    system_reset(SHUTDOWN_NONE);
    return monitor_start_all(error) && check_background(error) && start_running(error);
}
