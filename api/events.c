/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events go to every sink, on the thread that emits them.
 *
 * The sinks are called without a lock, since an emitter may hold any; a count of emissions under way lets a
 * sink be removed and its owner freed.
 */
#include "api/command.h"

#include "util/lock.h"

typedef struct Sink {
    EventSink func;
    void *opaque;
} Sink;

static Lock events_lock = LOCK_INITIALIZER(RANK_LEAF, "events");
/* under events_lock */
static GArray *sinks;
static unsigned emitting;
static Cond emitted = {PTHREAD_COND_INITIALIZER};

static Sink *copy_sinks(guint *n)
{
    LOCK_GUARD(&events_lock);

    *n = sinks ? sinks->len : 0;
    if (*n == 0) {
        return NULL;
    }
    emitting++;
    return g_memdup2(sinks->data, *n * sizeof(Sink));
}

static void emission_done(void)
{
    LOCK_GUARD(&events_lock);

    if (--emitting == 0) {
        cond_broadcast(&emitted);
    }
}

void event_emit(const Event *event, const void *data)
{
    gint64 now = g_get_real_time();
    guint n;
    g_autofree Sink *copy = copy_sinks(&n);

    if (n == 0) {
        return;
    }
    JsonObject *json = event->fields && data ? fields_to_json(event->fields, data) : json_object_new();
    for (guint i = 0; i < n; i++) {
        copy[i].func(event, json, now, copy[i].opaque);
    }
    json_object_unref(json);
    emission_done();
}

void event_sink_add(EventSink func, void *opaque)
{
    LOCK_GUARD(&events_lock);
    Sink sink = {func, opaque};

    if (!sinks) {
        sinks = g_array_new(FALSE, FALSE, sizeof(Sink));
    }
    g_array_append_val(sinks, sink);
}

static void take_out(EventSink func, void *opaque)
{
    for (guint i = 0; sinks && i < sinks->len; i++) {
        Sink *sink = &g_array_index(sinks, Sink, i);
        if (sink->func == func && sink->opaque == opaque) {
            g_array_remove_index(sinks, i);
            return;
        }
    }
}

void event_sink_remove(EventSink func, void *opaque)
{
    LOCK_GUARD(&events_lock);

    take_out(func, opaque);
    while (emitting > 0) {
        cond_wait(&emitted, &events_lock);
    }
}
