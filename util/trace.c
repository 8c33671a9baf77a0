/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trace output.  A line is formatted first and written by one stdio call, which keeps lines of different
 * threads apart; no lock of ours is taken, so anything may be traced anywhere.
 */
#include "util/trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/error.h"

/* NULL is stderr.  A file that was replaced stays open: a writer may be at it. */
static FILE *output;

void trace_write(const TraceEvent *event, const char *format, ...)
{
    FILE *to = atomic_load_acquire(&output);
    int64_t now = g_get_real_time();
    va_list args;
    char *message;

    va_start(args, format);
    message = g_strdup_vprintf(format, args);
    va_end(args);
    fprintf(to ? to : stderr, "%" PRId64 ".%06d %ld %s: %s\n", now / 1000000, (int)(now % 1000000),
            syscall(SYS_gettid), event->name, message);
    g_free(message);
}

static const char *nth_event_name(unsigned i, void *opaque)
{
    LINKER_SET_FOREACH (trace, TraceEvent, event) {
        if (i-- == 0) {
            return event->name;
        }
    }
    return NULL;
}

bool trace_enable(const char *pattern, GError **error)
{
    bool on = pattern[0] != '-';
    const char *glob = on ? pattern : pattern + 1;
    const char *similar;
    unsigned matches = 0;

    LINKER_SET_FOREACH (trace, TraceEvent, event) {
        if (g_pattern_match_simple(glob, event->name)) {
            atomic_set(event->enabled, on);
            matches++;
        }
    }
    if (matches) {
        return true;
    }
    similar = did_you_mean(glob, nth_event_name, NULL);
    if (similar) {
        return fail(error, "no trace event matches '%s' (did you mean '%s'?)", glob, similar);
    }
    return fail(error, "no trace event matches '%s'", glob);
}

bool trace_set_file(const char *path, GError **error)
{
    FILE *file = fopen(path, "we");

    if (!file) {
        return fail_errno(error, errno, "cannot write trace file '%s'", path);
    }
    setvbuf(file, NULL, _IOLBF, 0);
    /* release: pairs with the acquire in trace_write() */
    atomic_store_release(&output, file);
    return true;
}

static int compare_names(gconstpointer a, gconstpointer b)
{
    const TraceEvent *const *left = a, *const *right = b;

    return strcmp((*left)->name, (*right)->name);
}

void trace_list(void (*func)(const char *name, const char *format, bool enabled, void *opaque), void *opaque)
{
    GPtrArray *sorted = g_ptr_array_new();

    LINKER_SET_FOREACH (trace, TraceEvent, event) {
        g_ptr_array_add(sorted, (gpointer)event);
    }
    g_ptr_array_sort(sorted, compare_names);
    for (unsigned i = 0; i < sorted->len; i++) {
        const TraceEvent *event = sorted->pdata[i];

        func(event->name, event->format, atomic_read(event->enabled), opaque);
    }
    g_ptr_array_free(sorted, TRUE);
}
