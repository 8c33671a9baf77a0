/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands that show and change capabilities and parameters.  Big lock. */
#include <string.h>

#include "api/command.h"
#include "migration-internal.h"
#include "util/error.h"

/* --- capabilities --- */

typedef struct CapabilityStatus {
    int capability;
    bool state;
} CapabilityStatus;

static const Field capability_status_fields[] = {
    F_ENUM(CapabilityStatus, capability, "capability", migration_capability_names, "MigrationCapability",
           .positional = true),
    F_BOOL(CapabilityStatus, state, "state", .positional = true),
    FIELD_END,
};

static bool set_capabilities(GPtrArray *list, GError **error)
{
    MigrationOptions *options = migration_options();
    bool caps[CAPABILITY_NUM];

    if (migration_is_busy()) {
        return fail(error, "capabilities cannot be changed while a migration is active");
    }
    memcpy(caps, options->capabilities, sizeof(caps));
    for (unsigned i = 0; i < list->len; i++) {
        CapabilityStatus *status = g_ptr_array_index(list, i);

        if (!migration_capability_set(caps, status->capability, status->state, error)) {
            return false;
        }
    }
    if (!migration_capabilities_check(caps, error)) {
        return false;
    }
    for (int i = 0; i < CAPABILITY_NUM; i++) {
        atomic_set(&options->capabilities[i], caps[i]); /* some are read without the big lock */
    }
    return true;
}

typedef struct SetCapabilitiesArgs {
    GPtrArray *capabilities;
} SetCapabilitiesArgs;

static const Field set_capabilities_args[] = {
    F_LIST(SetCapabilitiesArgs, capabilities, "capabilities", capability_status_fields, CapabilityStatus,
           "MigrationCapabilityStatus"),
    FIELD_END,
};

static bool run_set_capabilities(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    return set_capabilities(((const SetCapabilitiesArgs *)args)->capabilities, error);
}

static bool run_set_capability(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new();

    g_ptr_array_add(list, (void *)args);
    return set_capabilities(list, error);
}

static bool run_query_capabilities(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    GPtrArray *list = g_ptr_array_new();

    for (int i = 0; i < CAPABILITY_NUM; i++) {
        CapabilityStatus *status = g_new0(CapabilityStatus, 1);

        *status = (CapabilityStatus){i, migration_options()->capabilities[i]};
        g_ptr_array_add(list, status);
    }
    *(GPtrArray **)reply = list;
    return true;
}

static void print_capabilities(CommandContext *ctx, const void *args, const void *reply)
{
    GPtrArray *list = *(GPtrArray *const *)reply;

    for (unsigned i = 0; i < list->len; i++) {
        CapabilityStatus *status = g_ptr_array_index(list, i);

        g_string_append_printf(ctx->output, "%s: %s\n", migration_capability_names[status->capability],
                               status->state ? "on" : "off");
    }
}

static void complete_capability(unsigned index, const char *prefix, GPtrArray *out)
{
    static const char *const on_off[] = {"on", "off", NULL};
    const char *const *names = index == 0 ? migration_capability_names : on_off;

    for (; index < 2 && *names; names++) {
        if (g_str_has_prefix(*names, prefix)) {
            g_ptr_array_add(out, g_strdup(*names));
        }
    }
}

COMMAND(migrate_set_capabilities, .qmp = "migrate-set-capabilities", .help = "turn migration capabilities on or off",
        .args = set_capabilities_args, .args_size = sizeof(SetCapabilitiesArgs), .run = run_set_capabilities);
COMMAND(migrate_set_capability, .hmp = "migrate_set_capability", .help = "turn a migration capability on or off",
        .args = capability_status_fields, .args_size = sizeof(CapabilityStatus), .run = run_set_capability,
        .complete = complete_capability);
COMMAND(query_migrate_capabilities, .qmp = "query-migrate-capabilities", .hmp = "info migrate_capabilities",
        .help = "show which migration capabilities are on", .reply = capability_status_fields,
        .reply_size = sizeof(CapabilityStatus), .reply_name = "MigrationCapabilityStatus", .reply_list = true,
        .run = run_query_capabilities, .print_hmp = print_capabilities);

/* --- parameters --- */

static bool changed(bool ok)
{
    if (ok) {
        migration_parameters_changed();
    }
    return ok;
}

static bool run_set_parameters(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    MigrationParameters p;

    migration_parameters_copy(&p, &migration_options()->parameters);
    return fields_from_json(migration_parameter_fields, &p, (JsonObject *)args, error) &&
           changed(migration_parameters_commit(&p, json_object_has_member((JsonObject *)args, "max-bandwidth"), error));
}

typedef struct SetParameterArgs {
    char *name, *value;
} SetParameterArgs;

static const Field set_parameter_args[] = {
    F_STRING(SetParameterArgs, name, "parameter", .positional = true),
    F_STRING(SetParameterArgs, value, "value", .positional = true),
    FIELD_END,
};

static bool run_set_parameter(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const SetParameterArgs *a = args;
    const Field *field = field_find(migration_parameter_fields, a->name);
    g_autofree char *value = g_strdup(a->value);

    if (field && field->kind == FIELD_SIZE && *value && g_ascii_isdigit(value[strlen(value) - 1])) {
        g_free(value);
        value = g_strconcat(a->value, "M", NULL); /* people who type a bare number here mean MiB */
    }
    return changed(migration_parameter_set(a->name, value, error));
}

static bool run_query_parameters(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    migration_parameters_copy(reply, &migration_options()->parameters);
    return true;
}

static void print_parameters(CommandContext *ctx, const void *args, const void *reply)
{
    for (const Field *f = migration_parameter_fields; f->name; f++) {
        g_autofree char *value = field_get_string(migration_parameter_fields, reply, f->name);
        const char *unit = f->kind == FIELD_SIZE ? "bytes/second" : f->unit;

        g_string_append_printf(ctx->output, "%s: %s%s%s\n", f->name, value ? value : "", unit ? " " : "",
                               unit ? unit : "");
    }
}

static void complete_parameter(unsigned index, const char *prefix, GPtrArray *out)
{
    for (const Field *f = migration_parameter_fields; index == 0 && f->name; f++) {
        if (g_str_has_prefix(f->name, prefix)) {
            g_ptr_array_add(out, g_strdup(f->name));
        }
    }
}

COMMAND(migrate_set_parameters, .qmp = "migrate-set-parameters", .help = "change migration parameters",
        .args = migration_parameter_fields, .args_size = sizeof(MigrationParameters), .args_any = true,
        .run = run_set_parameters);
COMMAND(migrate_set_parameter, .hmp = "migrate_set_parameter", .help = "change a migration parameter",
        .args = set_parameter_args, .args_size = sizeof(SetParameterArgs), .run = run_set_parameter,
        .complete = complete_parameter);
COMMAND(query_migrate_parameters, .qmp = "query-migrate-parameters", .hmp = "info migrate_parameters",
        .help = "show migration parameters", .reply = migration_parameter_fields,
        .reply_size = sizeof(MigrationParameters), .reply_name = "MigrationParameters", .run = run_query_parameters,
        .print_hmp = print_parameters);
