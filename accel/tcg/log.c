/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -d and -D, and "log" and "logfile" of the monitor: what to log, and where.  Each piece of text is written
 * by one call, so threads do not mix.
 */
#include "accel/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/command.h"
#include "api/field.h"
#include "api/option.h"
#include "util/error.h"

uint32_t log_mask;
/* NULL: stderr.  Once there it stays, as any thread may be writing to it; what it writes into can change. */
static FILE *log_stream;

static const struct LogItem {
    const char *name, *alias;
    uint32_t mask;
    const char *help;
} log_items[] = {
    {"in", "in_asm", LOG_IN, "guest instructions of each block translated"},
    {"op", "ir", LOG_OP, "its intermediate representation"},
    {"opt", "op_opt", LOG_OPT, "the same after optimisation"},
    {"out", "out_asm", LOG_OUT, "host instructions"},
    {"exec", NULL, LOG_EXEC, "each block entered (slow)"},
    {"int", NULL, LOG_INT, "traps and interrupts"},
    {"mmu", NULL, LOG_MMU, "page table walks"},
    {"guest_errors", NULL, LOG_GUEST_ERRORS, "things a guest should not do"},
    {"unimp", NULL, LOG_UNIMP, "things asked of devices that are not there"},
};

static const char *nth_item(unsigned i, void *opaque)
{
    return i < ARRAY_SIZE(log_items) ? log_items[i].name : NULL;
}

static uint32_t find_item(const char *name)
{
    uint32_t all = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(log_items); i++) {
        const struct LogItem *item = &log_items[i];

        if (!strcmp(name, item->name) || (item->alias && !strcmp(name, item->alias))) {
            return item->mask;
        }
        all |= item->mask;
    }
    return strcmp(name, "all") ? 0 : all;
}

static bool unknown_item(const char *name, GError **error)
{
    const char *near = did_you_mean(name, nth_item, NULL);
    g_autoptr(GString) names = g_string_new(NULL);

    if (near) {
        return fail(error, "there is no log item '%s'; did you mean '%s'?", name, near);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(log_items); i++) {
        g_string_append_printf(names, "\n  %-14s %s", log_items[i].name, log_items[i].help);
    }
    return fail(error, "there is no log item '%s'; items are:%s", name, names->str);
}

bool log_set_items(const char *items, GError **error)
{
    g_auto(GStrv) words = g_strsplit(strcmp(items, "none") ? items : "", ",", -1);
    uint32_t mask = 0;

    for (char **word = words; *word; word++) {
        uint32_t item = find_item(*word);

        if (!item) {
            return unknown_item(*word, error);
        }
        mask |= item;
    }
    atomic_set(&log_mask, mask);
    return true;
}

/* The file of @from takes the place of the one that @stream writes into; takes @from over. */
static bool redirect(FILE *stream, FILE *from, const char *path, GError **error)
{
    bool ok;

    flockfile(stream);
    fflush(stream);
    ok = dup3(fileno(from), fileno(stream), O_CLOEXEC) >= 0;
    funlockfile(stream);
    if (!ok) {
        fail_errno(error, errno, "cannot log to '%s'", path);
    }
    fclose(from);
    return ok;
}

bool log_set_file(const char *path, GError **error)
{
    FILE *stream = fopen(path, "we");

    if (!stream) {
        return fail_errno(error, errno, "cannot open log file '%s'", path);
    }
    if (log_stream) {
        return redirect(log_stream, stream, path, error);
    }
    setvbuf(stream, NULL, _IOLBF, 1 << 16);
    atomic_store_release(&log_stream, stream);
    return true;
}

static FILE *present_stream(void)
{
    FILE *stream = atomic_load_acquire(&log_stream); /* pairs with log_set_file() */

    return stream ? stream : stderr;
}

void log_text(const char *text)
{
    fputs(text, present_stream());
}

void log_printf(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(present_stream(), format, args);
    va_end(args);
}

OPTION(d, .name = "d", .arg = "item,...", .section = "Debugging",
       .help = "log in, op, opt, out, exec, int, mmu, guest_errors, unimp or all", .parse = log_set_items);
OPTION(log_file, .name = "D", .arg = "file", .section = "Debugging", .help = "write the log of -d to a file",
       .parse = log_set_file);

/* --- monitor --- */

typedef struct LogArgs {
    char *text;
} LogArgs;

static const Field items_args[] = {
    F_STRING(LogArgs, text, "items", .positional = true, .help = "item,... as for -d, or none"),
    FIELD_END,
};

static bool run_log(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    return log_set_items(((const LogArgs *)args)->text, error);
}

static const Field file_args[] = {
    F_STRING(LogArgs, text, "filename", .positional = true, .help = "replaced when it is there"),
    FIELD_END,
};

static bool run_logfile(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    return log_set_file(((const LogArgs *)args)->text, error);
}

COMMAND(log, .hmp = "log", .help = "log these items from now on", .args = items_args,
        .args_size = sizeof(LogArgs), .run = run_log);
COMMAND(logfile, .hmp = "logfile", .help = "write the log to a file", .args = file_args,
        .args_size = sizeof(LogArgs), .run = run_logfile);
