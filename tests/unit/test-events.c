/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events: every sink gets them from any thread, and none after it was removed. */
#include <string.h>

#include "api/command.h"
#include "util/atomic.h"

typedef struct Data {
    uint64_t n;
} Data;

static const Field data_fields[] = {
    F_U64(Data, n, "n"),
    FIELD_END,
};

EVENT(ticked, .name = "TICKED", .fields = data_fields);

typedef struct Tally {
    uint64_t count, sum;
    uint32_t removed;
} Tally;

static void add_up(const Event *event, JsonObject *data, gint64 realtime_us, void *opaque)
{
    Tally *tally = opaque;

    g_assert_cmpuint(atomic_read(&tally->removed), ==, 0);
    g_assert_cmpstr(event->name, ==, "TICKED");
    atomic_add_relaxed(&tally->count, 1);
    atomic_add_relaxed(&tally->sum, (uint64_t)json_object_get_int_member(data, "n"));
}

static void test_all_sinks(void)
{
    Tally one = {0}, two = {0};
    Data data = {.n = 5};

    event_sink_add(add_up, &one);
    event_sink_add(add_up, &two);
    event_emit(&event_ticked, &data);
    event_sink_remove(add_up, &one);
    one.removed = 1;
    event_emit(&event_ticked, &data);
    event_sink_remove(add_up, &two);
    g_assert_cmpuint(one.sum, ==, 5);
    g_assert_cmpuint(two.sum, ==, 10);
}

static uint32_t stop;

static void *emit_many(void *opaque)
{
    Data data = {.n = 1};

    while (!atomic_read(&stop)) {
        event_emit(&event_ticked, &data);
    }
    return NULL;
}

static void test_removal_waits(void)
{
    GThread *threads[2];

    atomic_set(&stop, 0);
    for (int i = 0; i < 2; i++) {
        threads[i] = g_thread_new("emitter", emit_many, NULL);
    }
    for (int i = 0; i < 200; i++) {
        Tally tally = {0};
        event_sink_add(add_up, &tally);
        while (atomic_read(&tally.count) == 0) {
            g_thread_yield();
        }
        event_sink_remove(add_up, &tally);
        atomic_set(&tally.removed, 1);
    }
    atomic_set(&stop, 1);
    for (int i = 0; i < 2; i++) {
        g_thread_join(threads[i]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/events/emit/reaches-all-sinks", test_all_sinks);
    g_test_add_func("/events/remove/waits-for-emitters", test_removal_waits);
    return g_test_run();
}
