/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HMP on a chardev: a line editor in front of hmp_execute().
 *
 * The chardev and the editor live on the monitors' own loop.  A line is run by the main loop with the big lock, but those
 * that need neither run at once: the main loop may be waiting for memory that they would bring.  While a line is run, or
 * its command waits (command_wait()), the terminal takes no input and shows no prompt.
 */
#include <string.h>

#include "monitor/hmp.h"
#include "monitor/monitor-internal.h"
#include "monitor/monitors.h"
#include "monitor/readline.h"
#include "system/runstate.h"
#include "util/atomic.h"
#include "util/compiler.h"

#define COMPLETION_TRIES 100 /* 1 ms each */

struct HmpMonitor {
    MonitorHandle handle; /* first: what commands see */
    /* constant after hmp_monitor_new() */
    Chardev *chr;
    CharFrontend *fe;
    EventLoop *loop;     /* of the chardev's handlers */
    BottomHalf *run_bh;  /* main loop */
    BottomHalf *done_bh; /* loop */
    bool mux;            /* speaks only once it has the focus */
    /* loop */
    Readline *readline;
    GString *pending; /* input behind a line that is still being worked on */
    bool open;        /* a peer is there */
    bool greeted;     /* and has been told what this is */
    /* main loop */
    CommandWait wait;
    bool waiting;
    /* whose turn it is, atomic: set by the loop, which leaves @line to the main loop until that clears it */
    bool busy;
    char *line;
};

static bool is_busy(const HmpMonitor *m)
{
    return atomic_load_acquire(&m->busy);
}

static void write_raw(void *opaque, const char *text, size_t len)
{
    HmpMonitor *m = opaque;

    chardev_write(m->chr, text, len);
}

/* Terminals want a carriage return before each line feed. */
static void print(HmpMonitor *m, const char *text)
{
    g_autoptr(GString) out = g_string_new(NULL);

    for (; *text; text++) {
        if (*text == '\n') {
            g_string_append_c(out, '\r');
        }
        g_string_append_c(out, *text);
    }
    chardev_write(m->chr, out->str, out->len);
}

static void feed_pending(HmpMonitor *m)
{
    while (m->pending->len && !is_busy(m)) {
        uint8_t byte = (uint8_t)m->pending->str[0];
        g_string_erase(m->pending, 0, 1);
        readline_input(m->readline, byte);
    }
}

/* The line that was busy is through: on the loop. */
static void line_done(void *opaque)
{
    HmpMonitor *m = opaque;

    if (m->open && !is_busy(m)) {
        readline_prompt(m->readline);
        feed_pending(m);
    }
    if (m->fe) {
        chardev_accept_input(m->fe);
    }
}

/* --- the main loop's part --- */

static void end_line(HmpMonitor *m)
{
    atomic_store_release(&m->busy, false);
    bh_schedule(m->done_bh);
}

static void wait_print(CommandWait *wait, const char *text)
{
    HmpMonitor *m = container_of(wait, HmpMonitor, wait);

    print(m, text);
}

static void wait_resume(CommandWait *wait)
{
    HmpMonitor *m = container_of(wait, HmpMonitor, wait);

    m->waiting = false;
    end_line(m);
}

static CommandWait *begin_wait(CommandContext *ctx)
{
    HmpMonitor *m = container_of((MonitorHandle *)ctx->monitor, HmpMonitor, handle);

    if (m->waiting) {
        return NULL;
    }
    m->waiting = true;
    return &m->wait;
}

static void execute(HmpMonitor *m, const char *line)
{
    g_autoptr(GString) output = g_string_new(NULL);
    CommandContext ctx = {.monitor = &m->handle, .output = output, .wait = begin_wait};

    hmp_execute(&ctx, line);
    print(m, output->str);
}

static void run_queued(void *opaque)
{
    HmpMonitor *m = opaque;
    g_autofree char *line = g_steal_pointer(&m->line);

    execute(m, line);
    if (!m->waiting) {
        end_line(m);
    }
}

/* --- lines --- */

static void run_line(void *opaque, const char *line)
{
    HmpMonitor *m = opaque;

    if (hmp_is_unlocked(line)) {
        execute(m, line);
        readline_prompt(m->readline);
        return;
    }
    m->line = g_strdup(line);
    atomic_store_release(&m->busy, true);
    bh_schedule(m->run_bh);
}

/* Not at any price: the main loop may be waiting for what the user is typing. */
static bool try_big_lock(void)
{
    for (unsigned i = 0; i < COMPLETION_TRIES; i++) {
        if (bql_try_lock()) {
            return true;
        }
        g_usleep(1000);
    }
    return false;
}

static void complete_line(void *opaque, const char *prefix, GPtrArray *candidates)
{
    if (try_big_lock()) {
        hmp_complete(prefix, candidates);
        bql_unlock();
    }
}

static const ReadlineOps readline_ops = {.write = write_raw, .line = run_line, .complete = complete_line};

/* --- chardev --- */

static void greet(HmpMonitor *m)
{
    m->greeted = true;
    print(m, "Godwit monitor - type 'help' for more information\n");
    if (!is_busy(m)) {
        readline_prompt(m->readline);
    }
}

static void handle_open(HmpMonitor *m)
{
    if (!m->open) {
        m->open = true;
        m->greeted = false;
        g_string_truncate(m->pending, 0);
        if (!m->mux) {
            greet(m);
        }
    }
}

static void got_focus(HmpMonitor *m)
{
    m->open = true;
    print(m, "\n");
    if (!m->greeted) {
        greet(m);
    } else if (!is_busy(m)) {
        readline_redraw(m->readline);
    }
}

static void handle_event(void *opaque, CharEvent event)
{
    HmpMonitor *m = opaque;

    switch (event) {
    case CHAR_EVENT_OPENED:
        handle_open(m);
        break;
    case CHAR_EVENT_CLOSED:
        m->open = m->greeted = false;
        break;
    case CHAR_EVENT_MUX_IN:
        got_focus(m);
        break;
    case CHAR_EVENT_MUX_OUT:
        print(m, "\n");
        break;
    default:
        break;
    }
}

static size_t can_read(void *opaque)
{
    HmpMonitor *m = opaque;

    return is_busy(m) ? 0 : 1024;
}

static void handle_read(void *opaque, const uint8_t *buf, size_t len)
{
    HmpMonitor *m = opaque;

    handle_open(m); /* input may be there before the event is */
    g_string_append_len(m->pending, (const char *)buf, (gssize)len);
    feed_pending(m);
}

static const CharHandlers handlers = {.can_read = can_read, .read = handle_read, .event = handle_event};
static const CharHandlers background_handlers = {
    .can_read = can_read, .read = handle_read, .event = handle_event, .background = true};

static void free_parts(HmpMonitor *m)
{
    bh_free(m->run_bh);
    bh_free(m->done_bh);
    readline_free(m->readline);
    g_string_free(m->pending, TRUE);
    g_free(m->line);
    g_free(m);
}

HmpMonitor *hmp_monitor_new(Chardev *chr, EventLoop *io_loop, bool background, GError **error)
{
    HmpMonitor *m = g_new0(HmpMonitor, 1);

    m->chr = chr;
    m->mux = chardev_is_mux(chr);
    m->loop = io_loop;
    m->run_bh = bh_new(event_loop_main(), run_queued, m);
    m->done_bh = bh_new(m->loop, line_done, m);
    m->wait = (CommandWait){.print = wait_print, .resume = wait_resume};
    m->pending = g_string_new(NULL);
    m->readline = readline_new("(godwit) ", &readline_ops, m);
    m->fe = chardev_attach(chr, background ? &background_handlers : &handlers, m, m->loop, error);
    if (!m->fe) {
        free_parts(m);
        return NULL;
    }
    return m;
}

/* On the loop: line_done() does not run any more. */
static void end_on_loop(void *opaque)
{
    HmpMonitor *m = opaque;

    chardev_detach(m->fe);
    free_parts(m);
}

void hmp_monitor_free(HmpMonitor *m)
{
    event_loop_call(m->loop, end_on_loop, m);
}
