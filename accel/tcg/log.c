/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -d and -D: what to log, and where.  Each piece of text is written by one call, so threads do not mix. */
#include "accel/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/option.h"
#include "util/error.h"

uint32_t log_mask;
static FILE *log_stream; /* NULL: stderr */

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
    g_auto(GStrv) words = g_strsplit(items, ",", -1);
    uint32_t mask = 0;

    for (char **word = words; *word; word++) {
        uint32_t item = find_item(*word);

        if (!item) {
            return unknown_item(*word, error);
        }
        mask |= item;
    }
    log_mask = mask;
    return true;
}

bool log_set_file(const char *path, GError **error)
{
    FILE *stream = fopen(path, "w");

    if (!stream) {
        return fail_errno(error, errno, "cannot open log file '%s'", path);
    }
    setvbuf(stream, NULL, _IOLBF, 1 << 16);
    if (log_stream) {
        fclose(log_stream);
    }
    log_stream = stream;
    return true;
}

void log_text(const char *text)
{
    fputs(text, log_stream ? log_stream : stderr);
}

void log_printf(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(log_stream ? log_stream : stderr, format, args);
    va_end(args);
}

OPTION(d, .name = "d", .arg = "item,...", .section = "Debugging",
       .help = "log in, op, opt, out, exec, int, mmu, guest_errors, unimp or all", .parse = log_set_items);
OPTION(log_file, .name = "D", .arg = "file", .section = "Debugging", .help = "write the log of -d to a file",
       .parse = log_set_file);
