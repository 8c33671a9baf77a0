/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HMP: from a line to a command of the tables, the help about them, and completion. */
#include "monitor/hmp.h"

#include <string.h>

#include "monitor/hmp-args.h"
#include "util/error.h"

/* --- names --- */

static const char info_prefix[] = "info ";

static bool is_info(const char *name)
{
    return g_str_has_prefix(name, info_prefix);
}

/* The length of the word at @p: ends at white space, and at the '/' of "x/4xw". */
static size_t name_length(const char *p)
{
    return strcspn(p, " \t/");
}

/* "info migrate -a" -> "info migrate", with *@rest behind it. */
static char *split_name(const char *line, const char **rest)
{
    size_t len = name_length(line);
    g_autofree char *first = g_strndup(line, len);
    const char *p = line + len;

    if (!strcmp(first, "info")) {
        p += strspn(p, " \t");
        size_t second = name_length(p);
        if (second) {
            *rest = p + second;
            return g_strdup_printf("info %.*s", (int)second, p);
        }
    }
    *rest = p;
    return g_steal_pointer(&first);
}

typedef struct NameSearch {
    const char *prefix; /* of the names wanted */
    GPtrArray *names;   /* of const char * */
    bool info;          /* "info x" names, without "info " */
    bool with_aliases;
} NameSearch;

static void collect_name(const Command *command, void *opaque)
{
    NameSearch *search = opaque;
    const char *names[] = {command->hmp, search->with_aliases ? command->hmp_alias : NULL};

    for (int i = 0; i < 2; i++) {
        const char *name = names[i];
        if (!name || is_info(name) != search->info) {
            continue;
        }
        name += search->info ? strlen(info_prefix) : 0;
        if (g_str_has_prefix(name, search->prefix)) {
            g_ptr_array_add(search->names, (void *)name);
        }
    }
}

static int by_text(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static GPtrArray *find_names(const char *prefix, bool info, bool with_aliases)
{
    NameSearch search = {prefix, g_ptr_array_new(), info, with_aliases};

    commands_foreach(collect_name, &search);
    g_ptr_array_sort(search.names, by_text);
    return search.names;
}

static const char *nth_name(unsigned i, void *opaque)
{
    GPtrArray *names = opaque;

    return i < names->len ? names->pdata[i] : NULL;
}

static void report_unknown(GString *out, const char *name)
{
    bool info = is_info(name);
    const char *what = info ? name + strlen(info_prefix) : name;
    g_autoptr(GPtrArray) names = find_names("", info, true);
    if (!info) {
        g_ptr_array_add(names, (void *)"info");
    }
    const char *like = did_you_mean(what, nth_name, names);

    g_string_append_printf(out, "unknown command: '%s'", name);
    if (like) {
        g_string_append_printf(out, " (did you mean '%s%s'?)", info ? info_prefix : "", like);
    }
    g_string_append(out, "\n");
}

/* --- running --- */

static bool run_any(const Command *command, CommandContext *ctx, const char *text, GError **error)
{
    g_autoptr(JsonObject) json = hmp_parse_any_args(command, text, error);

    return json && command_run_text(command, ctx, json, error);
}

static bool run_with_args(const Command *command, CommandContext *ctx, const char *text, GError **error)
{
    void *args = g_malloc0(MAX(command->args_size, 1));
    bool ok = hmp_parse_args(command, text, args, error);

    if (ok) {
        ok = command_run_text(command, ctx, args, error);
        fields_clear(command->args, args);
    }
    g_free(args);
    return ok;
}

static void list_info(GString *out);

void hmp_execute(CommandContext *ctx, const char *line)
{
    const char *rest;

    line += strspn(line, " \t");
    if (!*line || *line == '#') {
        return;
    }
    g_autofree char *name = split_name(line, &rest);
    const Command *command = command_find_hmp(name);
    g_autoptr(GError) error = NULL;

    if (!command) {
        if (!strcmp(name, "info")) {
            list_info(ctx->output);
        } else {
            report_unknown(ctx->output, name);
        }
        return;
    }
    bool ok =
        command->args_any ? run_any(command, ctx, rest, &error) : run_with_args(command, ctx, rest, &error);
    if (!ok) {
        g_string_append_printf(ctx->output, "Error: %s\n", error->message);
    }
}

bool hmp_is_unlocked(const char *line)
{
    const char *rest;
    g_autofree char *name = split_name(line + strspn(line, " \t"), &rest);
    const Command *command = command_find_hmp(name);

    return command && command->unlocked;
}

/* --- help --- */

static void append_help_line(GString *out, const Command *command)
{
    g_string_append(out, command->hmp);
    if (command->hmp_alias) {
        g_string_append_printf(out, "|%s", command->hmp_alias);
    }
    hmp_append_synopsis(out, command);
    g_string_append_printf(out, " -- %s\n", command->help ? command->help : "");
}

static void append_help_lines(GString *out, bool info)
{
    g_autoptr(GPtrArray) names = find_names("", info, false);

    for (guint i = 0; i < names->len; i++) {
        const char *prefix = info ? info_prefix : "";
        g_autofree char *full = g_strconcat(prefix, (char *)names->pdata[i], NULL);
        append_help_line(out, command_find_hmp(full));
    }
}

static void list_info(GString *out)
{
    append_help_lines(out, true);
}

static void append_parameters(GString *out, const Command *command)
{
    for (const Field *f = command->args; f && f->name; f++) {
        if (!f->help) {
            continue;
        }
        if (f->kind == FIELD_BOOL && !f->positional) {
            g_string_append_printf(out, "  -%c (%s): %s\n", f->name[0], f->name, f->help);
        } else {
            g_string_append_printf(out, "  %s: %s\n", f->name, f->help);
        }
    }
}

typedef struct HelpArgs {
    char *name;
} HelpArgs;

static const Field help_args[] = {
    F_STRING(HelpArgs, name, "name", .optional = true, .rest_of_line = true,
             .help = "the command in question"),
    FIELD_END,
};

static bool run_help(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const HelpArgs *a = args;

    if (!a->name || !*a->name) {
        append_help_lines(ctx->output, false);
        g_string_append(ctx->output,
                        "info [subcommand] -- show various information; 'info' alone lists it\n");
        return true;
    }
    const Command *command = command_find_hmp(a->name);
    if (command) {
        append_help_line(ctx->output, command);
        append_parameters(ctx->output, command);
    } else if (!strcmp(a->name, "info")) {
        list_info(ctx->output);
    } else {
        report_unknown(ctx->output, a->name);
    }
    return true;
}

static void complete_help(unsigned index, const char *prefix, GPtrArray *out)
{
    g_autoptr(GPtrArray) names = find_names(prefix, false, false);

    for (guint i = 0; index == 0 && i < names->len; i++) {
        g_ptr_array_add(out, g_strdup(names->pdata[i]));
    }
}

COMMAND(help, .hmp = "help", .hmp_alias = "?", .help = "show the help of one command or of all",
        .args = help_args, .args_size = sizeof(HelpArgs), .run = run_help, .complete = complete_help);

/* --- completion --- */

static void add_copies(GPtrArray *candidates, GPtrArray *names)
{
    for (guint i = 0; i < names->len; i++) {
        g_ptr_array_add(candidates, g_strdup(names->pdata[i]));
    }
}

static void complete_enum(const Field *field, const char *prefix, GPtrArray *candidates)
{
    static const char *const switches[] = {"on", "off", NULL};
    const char *const *names = field->kind == FIELD_BOOL ? switches : field->names;

    for (int i = 0; names[i]; i++) {
        if (g_str_has_prefix(names[i], prefix)) {
            g_ptr_array_add(candidates, g_strdup(names[i]));
        }
    }
}

/* What the table knows by itself: the values of enums and switches. */
static void complete_from_table(const Field *table, unsigned index, const char *prefix, GPtrArray *candidates)
{
    for (const Field *f = table; f && f->name; f++) {
        if (f->positional && index-- == 0) {
            if (f->kind == FIELD_ENUM || f->kind == FIELD_BOOL) {
                complete_enum(f, prefix, candidates);
            }
            return;
        }
    }
}

static void complete_argument(const Command *command, unsigned index, const char *prefix,
                              GPtrArray *candidates)
{
    if (command->complete) {
        command->complete(index, prefix, candidates);
    } else {
        complete_from_table(command->args, index, prefix, candidates);
    }
}

/* How many whole words there are before the one that is being typed, flags aside. */
static unsigned words_before(const char *text)
{
    g_auto(GStrv) words = g_strsplit_set(text, " \t", -1);
    unsigned n = 0, total = g_strv_length(words);

    for (unsigned i = 0; i + 1 < total; i++) {
        n += words[i][0] && words[i][0] != '-';
    }
    return n;
}

void hmp_complete(const char *prefix, GPtrArray *candidates)
{
    prefix += strspn(prefix, " \t");
    const char *space = strrchr(prefix, ' ');
    const char *word = space ? space + 1 : prefix;
    const char *rest;

    if (!space) {
        g_autoptr(GPtrArray) names = find_names(prefix, false, true);
        if (g_str_has_prefix("info", prefix)) {
            g_ptr_array_add(names, (void *)"info");
        }
        add_copies(candidates, names);
        return;
    }
    g_autofree char *name = split_name(prefix, &rest);
    if (is_info(name) ? rest == prefix + strlen(prefix) : !strcmp(name, "info")) {
        g_autoptr(GPtrArray) names = find_names(word, true, false);
        add_copies(candidates, names);
        return;
    }
    const Command *command = command_find_hmp(name);
    if (command) {
        complete_argument(command, words_before(rest), word, candidates);
    }
}
