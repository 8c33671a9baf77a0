/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Monitors on a chardev and a thread of their own: their end, while both threads still have something to say. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/command.h"
#include "monitor/monitors.h"
#include "system/runstate.h"

enum { LINES = 300, SESSIONS = 30 };

EVENT(tick, .name = "TICK");

static bool run_tick(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    event_emit(&event_tick, NULL);
    return true;
}

COMMAND(tick, .hmp = "tick", .qmp = "tick", .help = "say so", .run = run_tick);

static Chardev *pair_chardev(int *peer)
{
    g_autofree char *text = NULL;
    Chardev *chr;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    text = g_strdup_printf("fd:%d", fds[0]);
    chr = chardev_new_from_legacy("peer", text, NULL);
    g_assert_nonnull(chr);
    close(fds[0]);
    *peer = fds[1];
    return chr;
}

static void type(int peer, const char *text)
{
    g_assert_cmpint(write(peer, text, strlen(text)), ==, strlen(text));
}

/* Runs the main loop until the peer was told @part. */
static void run_until_told(int peer, const char *part)
{
    g_autoptr(GString) seen = g_string_new(NULL);
    char bytes[4096];

    while (!strstr(seen->str, part)) {
        ssize_t n = recv(peer, bytes, sizeof(bytes), MSG_DONTWAIT);

        g_string_append_len(seen, bytes, MAX(n, 0));
        event_loop_run_once(event_loop_main(), false);
    }
}

/* The line is done on the main loop; the editor's turn on the other may come just when the monitor ends. */
static void test_hmp_ends_behind_a_line(void)
{
    EventLoop *loop = event_loop_new_thread("io", NULL);

    for (unsigned i = 0; i < LINES; i++) {
        int peer;
        Chardev *chr = pair_chardev(&peer);
        HmpMonitor *m = hmp_monitor_new(chr, loop, false, NULL);

        type(peer, "tick\r");
        event_loop_run_once(event_loop_main(), true);
        hmp_monitor_free(m);
        chardev_delete(chr, NULL);
        close(peer);
    }
    event_loop_free(loop);
}

static gpointer emit_thread(gpointer opaque)
{
    while (!__atomic_load_n((bool *)opaque, __ATOMIC_ACQUIRE)) {
        event_emit(&event_tick, NULL);
    }
    return NULL;
}

static void test_qmp_ends_among_events(void)
{
    EventLoop *loop = event_loop_new_thread("io", NULL);
    bool stop = false;
    GThread *emitter = g_thread_new("emit", emit_thread, &stop);

    for (unsigned i = 0; i < SESSIONS; i++) {
        int peer;
        Chardev *chr = pair_chardev(&peer);
        QmpMonitor *m = qmp_monitor_new(chr, loop, false, NULL);

        type(peer, "{'execute': 'qmp_capabilities'}");
        run_until_told(peer, "TICK");
        qmp_monitor_free(m);
        chardev_delete(chr, NULL);
        close(peer);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    g_thread_join(emitter);
    event_loop_free(loop);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bql_init();
    event_loop_main();
    bql_lock();
    g_test_add_func("/monitors/hmp/ends-right-behind-a-line", test_hmp_ends_behind_a_line);
    g_test_add_func("/monitors/qmp/ends-among-events", test_qmp_ends_among_events);
    return g_test_run();
}
