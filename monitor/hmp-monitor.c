/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HMP on a chardev: a line editor in front of hmp_execute().
 *
 * Main loop, big lock.  While a command waits (command_wait()) the terminal takes no input and shows no
 * prompt.
 */
#include <string.h>

#include "monitor/hmp.h"
#include "monitor/monitor-internal.h"
#include "monitor/monitors.h"
#include "monitor/readline.h"
#include "util/compiler.h"

struct HmpMonitor {
    MonitorHandle handle; /* first: what commands see */
    Chardev *chr;
    CharFrontend *fe;
    Readline *readline;
    GString *pending; /* input behind a line that is still being worked on */
    CommandWait wait;
    bool waiting;
    bool open;    /* a peer is there */
    bool greeted; /* and has been told what this is */
    bool mux;     /* speaks only once it has the focus */
};

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

/* --- commands that wait --- */

static void feed_pending(HmpMonitor *m)
{
    while (m->pending->len && !m->waiting) {
        uint8_t byte = (uint8_t)m->pending->str[0];
        g_string_erase(m->pending, 0, 1);
        readline_input(m->readline, byte);
    }
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
    if (m->open) {
        readline_prompt(m->readline);
        feed_pending(m);
    }
    if (m->fe) {
        chardev_accept_input(m->fe);
    }
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

/* --- lines --- */

static void run_line(void *opaque, const char *line)
{
    HmpMonitor *m = opaque;
    g_autoptr(GString) output = g_string_new(NULL);
    CommandContext ctx = {.monitor = &m->handle, .output = output, .wait = begin_wait};

    hmp_execute(&ctx, line);
    print(m, output->str);
    if (!m->waiting) {
        readline_prompt(m->readline);
    }
}

static void complete_line(void *opaque, const char *prefix, GPtrArray *candidates)
{
    hmp_complete(prefix, candidates);
}

static const ReadlineOps readline_ops = {.write = write_raw, .line = run_line, .complete = complete_line};

/* --- chardev --- */

static void greet(HmpMonitor *m)
{
    m->greeted = true;
    print(m, "Godwit monitor - type 'help' for more information\n");
    if (!m->waiting) {
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
    } else if (!m->waiting) {
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

    return m->waiting ? 0 : 1024;
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

HmpMonitor *hmp_monitor_new(Chardev *chr, bool background, GError **error)
{
    HmpMonitor *m = g_new0(HmpMonitor, 1);

    m->chr = chr;
    m->mux = chardev_is_mux(chr);
    m->wait = (CommandWait){.print = wait_print, .resume = wait_resume};
    m->pending = g_string_new(NULL);
    m->readline = readline_new("(godwit) ", &readline_ops, m);
    m->fe = chardev_attach(chr, background ? &background_handlers : &handlers, m, NULL, error);
    if (!m->fe) {
        hmp_monitor_free(m);
        return NULL;
    }
    return m;
}

void hmp_monitor_free(HmpMonitor *m)
{
    chardev_detach(m->fe);
    readline_free(m->readline);
    g_string_free(m->pending, TRUE);
    g_free(m);
}
