/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of QMP about itself: negotiation, lists, schema, and HMP lines inside QMP. */
#include <string.h>

#include "api/command.h"
#include "monitor/hmp.h"
#include "monitor/monitor-internal.h"
#include "util/error.h"

/* --- qmp_capabilities --- */

typedef struct CapabilitiesArgs {
    GPtrArray *enable;
} CapabilitiesArgs;

static const Field capabilities_args[] = {
    F_STRING_LIST(CapabilitiesArgs, enable, "enable", .optional = true, .help = "capabilities to turn on"),
    FIELD_END,
};

static bool run_capabilities(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const CapabilitiesArgs *a = args;
    MonitorHandle *handle = ctx->monitor;
    bool oob = false;

    for (guint i = 0; a->enable && i < a->enable->len; i++) {
        const char *name = a->enable->pdata[i];
        if (strcmp(name, "oob")) {
            return fail(error, "capability '%s' is unknown", name);
        }
        oob = true;
    }
    if (!handle || !handle->negotiate) {
        return fail(error, "there is nothing to negotiate here");
    }
    return handle->negotiate(handle, oob, error);
}

COMMAND(qmp_capabilities, .qmp = "qmp_capabilities", .help = "begin a session", .args = capabilities_args,
        .args_size = sizeof(CapabilitiesArgs), .preconfig = true, .run = run_capabilities);

/* --- query-commands --- */

typedef struct CommandInfo {
    char *name;
} CommandInfo;

static const Field command_info[] = {
    F_STRING(CommandInfo, name, "name"),
    FIELD_END,
};

static void add_command_info(const Command *command, void *opaque)
{
    if (command->qmp) {
        CommandInfo *info = g_new(CommandInfo, 1);
        info->name = g_strdup(command->qmp);
        g_ptr_array_add(opaque, info);
    }
}

static bool run_query_commands(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    GPtrArray **list = reply;

    *list = g_ptr_array_new();
    commands_foreach(add_command_info, *list);
    return true;
}

COMMAND(query_commands, .qmp = "query-commands", .help = "list the commands of QMP", .reply = command_info,
        .reply_size = sizeof(CommandInfo), .reply_name = "CommandInfo", .reply_list = true, .preconfig = true,
        .run = run_query_commands);

/* --- query-qmp-schema --- */

static bool run_query_schema(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    JsonNode **node = reply;

    *node = json_node_new(JSON_NODE_ARRAY);
    json_node_take_array(*node, schema_dump());
    return true;
}

COMMAND(query_qmp_schema, .qmp = "query-qmp-schema", .help = "describe all commands, events and types",
        .reply_any = true, .preconfig = true, .run = run_query_schema);

/* --- human-monitor-command --- */

typedef struct HumanArgs {
    char *command_line;
    int64_t cpu_index;
} HumanArgs;

static const Field human_args[] = {
    F_STRING(HumanArgs, command_line, "command-line", .help = "the line of HMP"),
    F_I64(HumanArgs, cpu_index, "cpu-index", .optional = true, .help = "accepted for compatibility"),
    FIELD_END,
};

static bool run_human(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const HumanArgs *a = args;
    MonitorHandle hmp = {0};
    g_autoptr(GString) text = g_string_new(NULL);
    CommandContext inner = {.monitor = &hmp, .output = text};
    JsonNode **node = reply;

    hmp_execute(&inner, a->command_line);
    g_autofree char *valid = g_utf8_make_valid(text->str, (gssize)text->len);
    *node = json_node_new(JSON_NODE_VALUE);
    json_node_set_string(*node, valid);
    return true;
}

COMMAND(human_monitor_command, .qmp = "human-monitor-command",
        .help = "run a line of HMP and return its output", .args = human_args, .args_size = sizeof(HumanArgs),
        .reply_any = true, .run = run_human);
