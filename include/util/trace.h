/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trace points: one line declares an event, one line reports it, one predictable branch is its cost when off.
 *
 *     TRACE_EVENT(dirty_take, "start 0x%" PRIx64 " pages %" PRIu64);
 *     trace(dirty_take, start, pages);
 *
 * -trace 'dirty_*' turns events on by name.  Output goes to stderr or a file: "seconds.micros thread-id name:
 * message".
 */
#ifndef UTIL_TRACE_H
#define UTIL_TRACE_H

#include <glib.h>
#include <inttypes.h>

#include "util/atomic.h"
#include "util/linker-set.h"

typedef struct TraceEvent {
    const char *name;
    const char *format;
    /* any thread */
    bool *enabled;
} TraceEvent;

/*
 * At file scope of the .c file that reports it.  Names are unique in the program; start them with the
 * subsystem.
 */
#define TRACE_EVENT(name_, format_)                                                                          \
    static const char trace_format_##name_[] __attribute__((unused)) = format_;                              \
    static bool trace_enabled_##name_;                                                                       \
    static const TraceEvent trace_event_##name_ = {                                                          \
        .name = #name_, .format = trace_format_##name_, .enabled = &trace_enabled_##name_};                  \
    LINKER_SET_ADD(trace, TraceEvent, trace_event_##name_)

/* Whether arguments that are costly to compute are wanted. */
#define trace_enabled(name_) unlikely(atomic_read(&trace_enabled_##name_))

/* The compiler checks the arguments against the format.  They are not evaluated while the event is off. */
#define trace(name_, ...)                                                                                    \
    do {                                                                                                     \
        if (trace_enabled(name_)) {                                                                          \
            trace_write(&trace_event_##name_, trace_format_##name_, ##__VA_ARGS__);                          \
        }                                                                                                    \
    } while (0)

void trace_write(const TraceEvent *event, const char *format, ...) PRINTF_LIKE(2, 3);

/* Turns on the events whose names match the glob @pattern; fails when none does.  "-pattern" turns off. */
bool trace_enable(const char *pattern, GError **error);
/* Sends the output to a file (created or truncated) instead of stderr. */
bool trace_set_file(const char *path, GError **error);
/* Every event, sorted by name. */
void trace_list(void (*func)(const char *name, const char *format, bool enabled, void *opaque), void *opaque);

#endif
