/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Trace points turned on and off: -trace, and commands while the machine runs. */
#include "util/trace.h"

#include <string.h>

#include "api/command.h"
#include "api/option.h"
#include "util/error.h"

/* --- -trace --- */

typedef struct TraceOption {
    char *enable, *events, *file;
} TraceOption;

static const Field trace_option[] = {
    F_STRING(TraceOption, enable, "enable", .optional = true, .help = "pattern of names"),
    F_STRING(TraceOption, events, "events", .optional = true, .help = "file with a pattern on each line"),
    F_STRING(TraceOption, file, "file", .optional = true, .help = "where the output goes (default: stderr)"),
    FIELD_END,
};

static bool enable_from_file(const char *path, GError **error)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, error)) {
        return false;
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_strstrip(*line);
        if (**line && **line != '#' && !trace_enable(*line, error)) {
            error_context(error, "'%s'", path);
            return false;
        }
    }
    return true;
}

static bool apply_option(const TraceOption *option, GError **error)
{
    return (!option->file || trace_set_file(option->file, error)) &&
           (!option->enable || trace_enable(option->enable, error)) &&
           (!option->events || enable_from_file(option->events, error));
}

static bool parse_trace(const char *value, GError **error)
{
    TraceOption option = {0};
    bool ok =
        fields_parse_options(trace_option, &option, value, "enable", error) && apply_option(&option, error);

    fields_clear(trace_option, &option);
    return ok;
}

static void append_name(const char *name, const char *format, bool enabled, void *opaque)
{
    g_string_append_printf(opaque, "%s\n", name);
}

static char *answer_trace(const char *value)
{
    GString *out;

    if (!option_is_question(value, NULL)) {
        return NULL;
    }
    out = g_string_new(NULL);
    trace_list(append_name, out);
    return g_string_free(out, FALSE);
}

OPTION(trace, .name = "trace", .arg = "[enable=]PATTERN[,events=FILE][,file=FILE]", .section = "Debugging",
       .help = "report trace events ('help' lists them)", .parse = parse_trace, .answer = answer_trace);

/* --- commands --- */

typedef struct TraceArgs {
    char *name;
    bool enable, ignore_unavailable;
} TraceArgs;

static bool set_state(const TraceArgs *args, GError **error)
{
    g_autofree char *off = g_strconcat("-", args->name, NULL);

    return trace_enable(args->enable ? args->name : off, error);
}

static bool run_trace_event(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    return set_state(args, error);
}

static void complete_trace_event(unsigned index, const char *prefix, GPtrArray *out);

static const Field hmp_trace_args[] = {
    F_STRING(TraceArgs, name, "name", .positional = true, .help = "pattern of names"),
    F_BOOL(TraceArgs, enable, "option", .positional = true, .help = "on or off"),
    FIELD_END,
};

COMMAND(trace_event, .hmp = "trace-event", .help = "turn trace events on or off", .args = hmp_trace_args,
        .args_size = sizeof(TraceArgs), .run = run_trace_event, .complete = complete_trace_event);

static const Field qmp_trace_args[] = {
    F_STRING(TraceArgs, name, "name"),
    F_BOOL(TraceArgs, enable, "enable"),
    F_BOOL(TraceArgs, ignore_unavailable, "ignore-unavailable", .optional = true),
    FIELD_END,
};

COMMAND(trace_event_set_state, .qmp = "trace-event-set-state", .help = "turn trace events on or off",
        .args = qmp_trace_args, .args_size = sizeof(TraceArgs), .run = run_trace_event);

/* --- lists --- */

static const char *const state_names[] = {"unavailable", "disabled", "enabled", NULL};

typedef struct TraceEventInfo {
    char *name;
    int state;
} TraceEventInfo;

static const Field trace_event_info[] = {
    F_STRING(TraceEventInfo, name, "name"),
    F_ENUM(TraceEventInfo, state, "state", state_names, "TraceEventState"),
    FIELD_END,
};

static const Field name_args[] = {
    F_STRING(TraceArgs, name, "name", .positional = true, .optional = true, .default_value = "*",
             .help = "pattern of names"),
    FIELD_END,
};

typedef struct Search {
    const char *pattern;
    GPtrArray *found;
} Search;

static void add_info(const char *name, const char *format, bool enabled, void *opaque)
{
    Search *search = opaque;

    if (g_pattern_match_simple(search->pattern, name)) {
        TraceEventInfo *info = g_new(TraceEventInfo, 1);
        *info = (TraceEventInfo){.name = g_strdup(name), .state = enabled ? 2 : 1};
        g_ptr_array_add(search->found, info);
    }
}

static bool run_query(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    Search search = {((const TraceArgs *)args)->name, g_ptr_array_new()};

    trace_list(add_info, &search);
    *(GPtrArray **)reply = search.found;
    if (search.found->len == 0 && !strpbrk(search.pattern, "*?")) {
        return fail(error, "trace event '%s' is unknown", search.pattern);
    }
    return true;
}

static void print_list(CommandContext *ctx, const void *args, const void *reply)
{
    GPtrArray *list = *(GPtrArray *const *)reply;

    for (guint i = 0; i < list->len; i++) {
        const TraceEventInfo *info = list->pdata[i];
        g_string_append_printf(ctx->output, "%s : state %d\n", info->name, info->state == 2);
    }
}

COMMAND(trace_event_get_state, .qmp = "trace-event-get-state", .hmp = "info trace-events",
        .help = "show trace events and whether they are on", .args = name_args,
        .args_size = sizeof(TraceArgs), .reply = trace_event_info, .reply_size = sizeof(TraceEventInfo),
        .reply_name = "TraceEventInfo", .reply_list = true, .run = run_query, .print_hmp = print_list);

static void add_name(const char *name, const char *format, bool enabled, void *opaque)
{
    Search *search = opaque;

    if (g_str_has_prefix(name, search->pattern)) {
        g_ptr_array_add(search->found, g_strdup(name));
    }
}

static void complete_trace_event(unsigned index, const char *prefix, GPtrArray *out)
{
    Search search = {prefix, out};

    if (index == 0) {
        trace_list(add_name, &search);
    }
}
