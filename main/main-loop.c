/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The main loop: GLib's default context, the timers of the machine's clocks, and the requests to stop, reset
 * or end.
 *
 * Everything runs with the big lock held; it is dropped only while the loop sleeps in ppoll().
 */
#include "main/main.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "system/clock.h"
#include "system/runstate.h"
#include "util/error.h"
#include "util/event-loop.h"

static int signal_pipe[2] = {-1, -1};

static void on_signal(int signum)
{
    int saved_errno = errno;
    uint8_t byte = signum;

    if (write(signal_pipe[1], &byte, 1) < 0) {
        /* the pipe is full: a request to end is on its way already */
    }
    errno = saved_errno;
}

static bool signal_arrived(int fd, GIOCondition condition, void *opaque)
{
    uint8_t signum;

    if (read(fd, &signum, 1) == 1) {
        info_report("terminating on signal %d", signum);
        system_shutdown_request(SHUTDOWN_HOST_SIGNAL);
    }
    return true;
}

static void wake_loop(void)
{
    event_loop_wakeup(event_loop_main());
}

void main_loop_init(void)
{
    struct sigaction end = {.sa_handler = on_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    if (!g_unix_open_pipe(signal_pipe, FD_CLOEXEC, NULL)) {
        return; /* signals then end the process at once */
    }
    event_loop_watch_fd(event_loop_main(), signal_pipe[0], G_IO_IN, signal_arrived, NULL);
    sigaction(SIGINT, &end, NULL);
    sigaction(SIGHUP, &end, NULL);
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore,
              NULL); /* a file at its limit is an error of the write, not the end of the machine */
    clocks_set_notify(wake_loop);
}

/* Sleeps until a descriptor is ready, GLib's @timeout_ms is over, or a timer is due; -1 stands for never. */
static void sleep_in_poll(GPollFD *fds, int n_fds, int timeout_ms)
{
    int64_t timeout_ns = timeout_ms < 0 ? -1 : timeout_ms * INT64_C(1000000);
    int64_t timer_ns = clock_deadline_ns();
    struct timespec ts;

    if (timer_ns >= 0 && (timeout_ns < 0 || timer_ns < timeout_ns)) {
        timeout_ns = timer_ns;
    }
    ts.tv_sec = timeout_ns / NANOSECONDS_PER_SECOND;
    ts.tv_nsec = timeout_ns % NANOSECONDS_PER_SECOND;
    if (timeout_ns != 0) {
        bql_unlock();
    }
    /* GPollFD and struct pollfd have the same layout on every POSIX host: GLib itself relies on it */
    if (ppoll((struct pollfd *)fds, n_fds, timeout_ns < 0 ? NULL : &ts, NULL) < 0) {
        for (int i = 0; i < n_fds; i++) {
            fds[i].revents = 0;
        }
    }
    if (timeout_ns != 0) {
        bql_lock();
    }
}

static void wait_and_dispatch(GMainContext *context, GArray *fds)
{
    int priority, timeout_ms, n_fds;

    g_main_context_prepare(context, &priority);
    while ((n_fds = g_main_context_query(context, priority, &timeout_ms, (GPollFD *)fds->data, fds->len)) >
           (int)fds->len) {
        g_array_set_size(fds, n_fds);
    }
    sleep_in_poll((GPollFD *)fds->data, n_fds, timeout_ms);
    if (g_main_context_check(context, priority, (GPollFD *)fds->data, n_fds)) {
        g_main_context_dispatch(context);
    }
    clock_run_timers();
}

int main_loop(void)
{
    GMainContext *context = event_loop_context(event_loop_main());
    GArray *fds = g_array_new(false, false, sizeof(GPollFD));
    int status = 0;

    g_array_set_size(fds, 16);
    if (!g_main_context_acquire(context)) {
        error_report("the main loop runs on another thread already");
        status = 1;
    } else {
        while (!main_loop_should_exit(&status)) {
            wait_and_dispatch(context, fds);
        }
        g_main_context_release(context);
    }
    g_array_free(fds, true);
    return status;
}
