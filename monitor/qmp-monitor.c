/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A QMP session on a chardev: three bottom halves carry it between the I/O loop and the main loop. */
#include "monitor/monitors.h"
#include "monitor/qmp.h"

struct QmpMonitor {
    /* constant after qmp_monitor_new() */
    Chardev *chr;
    EventLoop *loop; /* of the chardev's handlers */
    CharFrontend *fe;
    QmpSession *session;
    BottomHalf *run_bh;    /* main loop */
    BottomHalf *output_bh; /* loop */
    /* loop */
    bool open;
};

/* --- chardev side: on the monitor's loop --- */

static void open_session(QmpMonitor *m)
{
    if (!m->open) {
        m->open = true;
        qmp_session_opened(m->session);
    }
}

static void handle_event(void *opaque, CharEvent event)
{
    QmpMonitor *m = opaque;

    if (event == CHAR_EVENT_OPENED) {
        open_session(m);
    } else if (event == CHAR_EVENT_CLOSED && m->open) {
        m->open = false;
        qmp_session_closed(m->session);
    }
}

static size_t can_read(void *opaque)
{
    QmpMonitor *m = opaque;

    return qmp_session_can_read(m->session);
}

static void handle_read(void *opaque, const uint8_t *buf, size_t len)
{
    QmpMonitor *m = opaque;
    int fds[16];
    size_t n = chardev_get_fds(m->chr, fds, G_N_ELEMENTS(fds));

    open_session(m); /* input may be there before the event is */
    if (n) {
        qmp_session_add_fds(m->session, fds, n);
    }
    qmp_session_input(m->session, buf, len);
}

static const CharHandlers handlers = {.can_read = can_read, .read = handle_read, .event = handle_event};

static void send_output(void *opaque)
{
    QmpMonitor *m = opaque;
    size_t len;
    g_autofree char *text = qmp_session_take_output(m->session, &len);

    if (text) {
        chardev_write(m->chr, text, len);
    }
}

/* --- session side --- */

static void run_requests(void *opaque)
{
    QmpMonitor *m = opaque;

    if (qmp_session_run(m->session)) {
        bh_schedule(m->run_bh); /* others get their turn in between */
    }
}

static void want_run(void *opaque)
{
    QmpMonitor *m = opaque;

    bh_schedule(m->run_bh);
}

static void want_output(void *opaque)
{
    QmpMonitor *m = opaque;

    bh_schedule(m->output_bh);
}

static void want_input(void *opaque)
{
    QmpMonitor *m = opaque;

    chardev_accept_input(m->fe);
}

static const QmpSessionOps session_ops = {
    .want_run = want_run, .want_output = want_output, .want_input = want_input};

/* --- life --- */

static void free_parts(QmpMonitor *m)
{
    qmp_session_free(m->session); /* first: events use the output_bh */
    bh_free(m->run_bh);
    bh_free(m->output_bh);
    g_free(m);
}

QmpMonitor *qmp_monitor_new(Chardev *chr, EventLoop *io_loop, bool pretty, GError **error)
{
    QmpMonitor *m = g_new0(QmpMonitor, 1);

    m->chr = chr;
    m->loop = io_loop;
    m->run_bh = bh_new(event_loop_main(), run_requests, m);
    m->output_bh = bh_new(m->loop, send_output, m);
    m->session = qmp_session_new(&session_ops, m, true, pretty);
    chardev_set_echo(chr, true);
    m->fe = chardev_attach(chr, &handlers, m, m->loop, error);
    if (!m->fe) {
        free_parts(m);
        return NULL;
    }
    return m;
}

/* On the loop: whatever of it was scheduled does not run any more. */
static void end_on_loop(void *opaque)
{
    QmpMonitor *m = opaque;

    send_output(m);
    chardev_detach(m->fe);
    free_parts(m);
}

void qmp_monitor_free(QmpMonitor *m)
{
    event_loop_call(m->loop, end_on_loop, m);
}
