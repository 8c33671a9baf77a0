/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands about the machine as a whole: its state, stop and go, reset, who it is. */
#include <stdio.h>
#include <string.h>

#include "api/command.h"
#include "config-host.h"
#include "system/accel.h"
#include "system/machine.h"
#include "system/runstate.h"
#include "util/error.h"

/* --- status --- */

typedef struct StatusInfo {
    bool running;
    int status;
} StatusInfo;

static const Field status_info[] = {
    F_BOOL(StatusInfo, running, "running", .help = "whether vCPUs run"),
    F_ENUM(StatusInfo, status, "status", run_state_names, "RunState"),
    FIELD_END,
};

static bool run_query_status(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    StatusInfo *info = reply;

    info->running = runstate_is_running();
    info->status = runstate_get();
    return true;
}

static void print_status(CommandContext *ctx, const void *args, const void *reply)
{
    const StatusInfo *info = reply;

    g_string_append_printf(ctx->output, "VM status: %s", info->running ? "running" : "paused");
    if (!info->running && info->status != RUN_STATE_PAUSED) {
        g_string_append_printf(ctx->output, " (%s)", run_state_names[info->status]);
    }
    g_string_append_c(ctx->output, '\n');
}

COMMAND(query_status, .qmp = "query-status", .hmp = "info status", .help = "show whether the machine runs",
        .reply = status_info, .reply_size = sizeof(StatusInfo), .reply_name = "StatusInfo",
        .run = run_query_status, .print_hmp = print_status);

/* --- stop and go --- */

static bool run_stop(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    if (runstate_get() == RUN_STATE_INMIGRATE) {
        autostart = false;
        return true;
    }
    vm_stop(RUN_STATE_PAUSED);
    return true;
}

COMMAND(stop, .qmp = "stop", .hmp = "stop", .hmp_alias = "s", .help = "stop the machine", .run = run_stop);

static bool run_cont(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    if (vm_given_away()) {
        return fail(error, "%s", vm_given_away());
    }
    switch (runstate_get()) {
    case RUN_STATE_INMIGRATE:
        autostart = true;
        return true;
    case RUN_STATE_INTERNAL_ERROR:
    case RUN_STATE_SHUTDOWN:
        return fail(error, "resetting the virtual machine is required");
    case RUN_STATE_FINISH_MIGRATE:
        return fail(error, "migration is not finalized yet");
    case RUN_STATE_SAVE_VM:
    case RUN_STATE_RESTORE_VM:
        return fail(error, "the machine is being saved or restored");
    default:
        vm_start();
        return true;
    }
}

COMMAND(cont, .qmp = "cont", .hmp = "cont", .hmp_alias = "c", .help = "let the machine run again",
        .run = run_cont);

static bool run_quit(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    system_shutdown_request(SHUTDOWN_HOST_QMP_QUIT);
    return true;
}

COMMAND(quit, .qmp = "quit", .hmp = "quit", .hmp_alias = "q", .help = "end the emulator", .preconfig = true,
        .run = run_quit);

static bool run_system_reset(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    if (system_reset_refused()) {
        return fail(error, "the machine is not reset: %s", system_reset_refused());
    }
    system_reset_request(SHUTDOWN_HOST_QMP_RESET);
    return true;
}

COMMAND(system_reset, .qmp = "system_reset", .hmp = "system_reset", .help = "reset the machine",
        .run = run_system_reset);

static bool run_system_powerdown(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    system_powerdown_request();
    return true;
}

COMMAND(system_powerdown, .qmp = "system_powerdown", .hmp = "system_powerdown",
        .help = "ask the guest to switch itself off", .run = run_system_powerdown);

/* --- who --- */

typedef struct VersionTriple {
    int64_t major, minor, micro;
} VersionTriple;

typedef struct VersionInfo {
    VersionTriple qemu;
    char *package;
} VersionInfo;

static const Field version_triple[] = {
    F_I64(VersionTriple, major, "major"),
    F_I64(VersionTriple, minor, "minor"),
    F_I64(VersionTriple, micro, "micro"),
    FIELD_END,
};

static const Field version_info[] = {
    F_OBJECT(VersionInfo, qemu, "qemu", version_triple, "VersionTriple",
             .help = "release whose management protocol this is"),
    F_STRING(VersionInfo, package, "package", .help = "what it really is"),
    FIELD_END,
};

static bool run_query_version(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    VersionInfo *info = reply;

    info->qemu = (VersionTriple){10, 0, 2};
    info->package = g_strdup("godwit-" GODWIT_VERSION);
    return true;
}

static void print_version(CommandContext *ctx, const void *args, const void *reply)
{
    const VersionInfo *info = reply;

    g_string_append_printf(ctx->output, "%s (management protocol of %d.%d.%d)\n", info->package,
                           (int)info->qemu.major, (int)info->qemu.minor, (int)info->qemu.micro);
}

COMMAND(query_version, .qmp = "query-version", .hmp = "info version", .help = "show the version",
        .reply = version_info, .reply_size = sizeof(VersionInfo), .reply_name = "VersionInfo",
        .preconfig = true, .run = run_query_version, .print_hmp = print_version);

typedef struct NameInfo {
    char *name;
} NameInfo;

static const Field name_info[] = {F_STRING(NameInfo, name, "name", .optional = true), FIELD_END};

static bool run_query_name(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    NameInfo *info = reply;
    const Machine *machine = machine_current();

    info->name = machine ? g_strdup(machine->config.name) : NULL;
    return true;
}

static void print_name(CommandContext *ctx, const void *args, const void *reply)
{
    const NameInfo *info = reply;

    if (info->name) {
        g_string_append_printf(ctx->output, "%s\n", info->name);
    }
}

COMMAND(query_name, .qmp = "query-name", .hmp = "info name", .help = "show the machine's name",
        .reply = name_info, .reply_size = sizeof(NameInfo), .reply_name = "NameInfo", .run = run_query_name,
        .print_hmp = print_name);

typedef struct UuidInfo {
    char *uuid;
} UuidInfo;

static const Field uuid_info[] = {F_STRING(UuidInfo, uuid, "UUID"), FIELD_END};

static bool run_query_uuid(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    static const uint8_t none[16];
    UuidInfo *info = reply;
    const Machine *machine = machine_current();
    const uint8_t *u = machine ? machine->config.uuid : none;

    info->uuid = g_strdup_printf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0],
                                 u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12],
                                 u[13], u[14], u[15]);
    return true;
}

static void print_uuid(CommandContext *ctx, const void *args, const void *reply)
{
    g_string_append_printf(ctx->output, "%s\n", ((const UuidInfo *)reply)->uuid);
}

COMMAND(query_uuid, .qmp = "query-uuid", .hmp = "info uuid", .help = "show the machine's UUID",
        .reply = uuid_info, .reply_size = sizeof(UuidInfo), .reply_name = "UuidInfo", .run = run_query_uuid,
        .print_hmp = print_uuid);

typedef struct KvmInfo {
    bool enabled, present;
} KvmInfo;

static const Field kvm_info[] = {
    F_BOOL(KvmInfo, enabled, "enabled"),
    F_BOOL(KvmInfo, present, "present"),
    FIELD_END,
};

static bool run_query_kvm(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    return true;
}

static void print_kvm(CommandContext *ctx, const void *args, const void *reply)
{
    g_string_append(ctx->output, "kvm support: not compiled\n");
}

COMMAND(query_kvm, .qmp = "query-kvm", .hmp = "info kvm", .help = "show whether KVM is used: it is not",
        .reply = kvm_info, .reply_size = sizeof(KvmInfo), .reply_name = "KvmInfo", .run = run_query_kvm,
        .print_hmp = print_kvm);

/* --- boards --- */

typedef struct MachineInfo {
    char *name, *alias, *default_cpu_type, *default_ram_id;
    bool is_default;
    int64_t cpu_max;
    bool hotpluggable_cpus, numa_mem_supported, deprecated, acpi;
} MachineInfo;

static const Field machine_info[] = {
    F_STRING(MachineInfo, name, "name"),
    F_STRING(MachineInfo, alias, "alias", .optional = true),
    F_BOOL(MachineInfo, is_default, "is-default", .optional = true),
    F_I64(MachineInfo, cpu_max, "cpu-max"),
    F_BOOL(MachineInfo, hotpluggable_cpus, "hotpluggable-cpus"),
    F_BOOL(MachineInfo, numa_mem_supported, "numa-mem-supported"),
    F_BOOL(MachineInfo, deprecated, "deprecated"),
    F_STRING(MachineInfo, default_cpu_type, "default-cpu-type", .optional = true),
    F_STRING(MachineInfo, default_ram_id, "default-ram-id", .optional = true),
    F_BOOL(MachineInfo, acpi, "acpi"),
    FIELD_END,
};

static void add_machine_info(const MachineType *type, void *opaque)
{
    MachineInfo *info = g_new0(MachineInfo, 1);

    info->name = g_strdup(type->name);
    info->alias = g_strdup(type->alias);
    info->is_default = type->is_default;
    info->cpu_max = type->max_cpus;
    info->numa_mem_supported = true;
    info->default_cpu_type = type->default_cpu ? g_strdup_printf("%s-riscv-cpu", type->default_cpu) : NULL;
    info->default_ram_id = g_strdup(type->default_ram_id);
    g_ptr_array_add(opaque, info);
}

static bool run_query_machines(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    GPtrArray **list = reply;

    *list = g_ptr_array_new();
    machine_types_foreach(add_machine_info, *list);
    return true;
}

COMMAND(query_machines, .qmp = "query-machines", .help = "list the boards", .reply = machine_info,
        .reply_size = sizeof(MachineInfo), .reply_name = "MachineInfo", .reply_list = true, .preconfig = true,
        .run = run_query_machines);
