/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mux: one terminal for a serial port and a monitor.
 *
 * All front ends write to the base; the one in focus gets the input.  The escape character (Ctrl-A) starts a
 * command to the mux itself.  Input waits in the mux while the front end takes none, so that an escape still
 * gets through when the guest hangs.
 *
 * Each front end is served on its own loop.  The base follows a front end that is not on the main loop, a monitor:
 * it is heard while the main loop is stuck.  What is for another loop waits in the MuxFrontend until that runs.
 */
#include "char.h"

#include <string.h>

#include "api/option.h"
#include "backend/block.h"
#include "system/clock.h"
#include "system/runstate.h"
#include "util/error.h"

#define MUX_INPUT_SIZE 4096 /* a power of two */
#define MUX_EVENTS (CHAR_EVENT_MUX_OUT + 1)

typedef struct MuxChardev MuxChardev;

/* An event comes after the input that was typed before it, if that is taken. */
typedef struct MuxEvent {
    CharEvent event;
    unsigned at; /* of the input */
} MuxEvent;

typedef struct MuxFrontend {
    /* constant while attached */
    MuxChardev *m;
    CharFrontend *fe;
    BottomHalf *deliver_bh; /* on fe->loop */
    /* under m->chr.lock; what was produced and not consumed is fe->loop's to read without it */
    uint8_t input[MUX_INPUT_SIZE];
    unsigned produced, consumed;
    MuxEvent events[MUX_EVENTS]; /* each kind once, the last one counts */
    unsigned n_events;
    bool writable; /* the base takes output again */
} MuxFrontend;

struct MuxChardev {
    Chardev chr;
    Chardev *base;
    CharFrontend *base_fe; /* changes only before the loops run */
    /* the base's loop */
    bool escaped; /* the escape character was the last byte */
    /* under chr.lock */
    GPtrArray *frontends; /* of MuxFrontend * */
    MuxFrontend *focus;
    bool timestamps, at_line_start;
    int64_t timestamps_start_ns;
};

static uint8_t escape_char = 1; /* Ctrl-A */

static bool parse_echr(const char *value, GError **error)
{
    uint64_t n;

    if (!parse_u64(value, &n, error)) {
        return false;
    }
    if (n == 0 || n > 255) {
        return fail(error, "escape character %s is not between 1 and 255", value);
    }
    escape_char = n;
    return true;
}

OPTION(echr, .name = "echr", .arg = "CHAR", .section = "Character devices",
       .help = "escape character of multiplexed terminals, as a number (1 is Ctrl-A)", .parse = parse_echr);

static MuxFrontend *frontend(MuxChardev *m, unsigned i)
{
    return m->frontends->pdata[i];
}

/* --- output --- */

static void write_with_timestamps(MuxChardev *m, const char *text, size_t len)
{
    LOCK_GUARD(&m->chr.lock);

    for (size_t i = 0; i < len; i++) {
        if (m->at_line_start) {
            int64_t ms = (clock_get_ns(CLOCK_TYPE_REALTIME) - m->timestamps_start_ns) / 1000000;
            g_autofree char *stamp =
                g_strdup_printf("[%02d:%02d:%02d.%03d] ", (int)(ms / 3600000), (int)(ms / 60000 % 60),
                                (int)(ms / 1000 % 60), (int)(ms % 1000));

            chardev_write(m->base, stamp, strlen(stamp));
        }
        chardev_write(m->base, &text[i], 1);
        m->at_line_start = text[i] == '\n';
    }
}

static void mux_write_all(Chardev *chr, const void *buf, size_t len)
{
    MuxChardev *m = (MuxChardev *)chr;

    if (atomic_read(&m->timestamps)) {
        write_with_timestamps(m, buf, len);
    } else {
        chardev_write(m->base, buf, len);
    }
}

static size_t mux_write_some(Chardev *chr, const void *buf, size_t len)
{
    MuxChardev *m = (MuxChardev *)chr;

    if (atomic_read(&m->timestamps)) {
        write_with_timestamps(m, buf, len);
        return len;
    }
    return chardev_write_some(m->base, buf, len);
}

static void base_writable(void *opaque)
{
    MuxChardev *m = opaque;
    LOCK_GUARD(&m->chr.lock);

    for (unsigned i = 0; i < m->frontends->len; i++) {
        MuxFrontend *f = frontend(m, i);

        if (f->fe->writable) {
            f->writable = true;
            bh_schedule(f->deliver_bh);
        }
    }
}

static void mux_when_writable(Chardev *chr)
{
    MuxChardev *m = (MuxChardev *)chr;
    CharFrontend *base_fe = atomic_read(&m->base_fe);

    if (base_fe) {
        chardev_when_writable(base_fe, base_writable, m);
    }
}

/* --- delivery, on the front end's loop --- */

static unsigned waiting(const MuxFrontend *f)
{
    return f->produced - f->consumed;
}

static bool take_event(MuxFrontend *f, CharEvent *event)
{
    LOCK_GUARD(&f->m->chr.lock);

    if (f->n_events == 0) {
        return false;
    }
    *event = f->events[0].event;
    memmove(f->events, f->events + 1, --f->n_events * sizeof(f->events[0]));
    return true;
}

static unsigned due_locked(const MuxFrontend *f)
{
    return (f->n_events ? f->events[0].at : f->produced) - f->consumed;
}

static size_t take_input(MuxFrontend *f, uint8_t *buf, size_t max)
{
    LOCK_GUARD(&f->m->chr.lock);
    unsigned at = f->consumed % MUX_INPUT_SIZE;
    unsigned n = MIN(MIN(max, due_locked(f)), MUX_INPUT_SIZE - at);

    memcpy(buf, f->input + at, n);
    f->consumed += n;
    return n;
}

static bool has_input(MuxFrontend *f)
{
    LOCK_GUARD(&f->m->chr.lock);

    return due_locked(f) > 0;
}

/* Input before the next event; false: there is none, or none is taken. */
static bool deliver_input(MuxFrontend *f)
{
    uint8_t buf[MUX_INPUT_SIZE];
    size_t n = has_input(f) ? take_input(f, buf, char_fe_can_read(f->fe)) : 0;

    if (n > 0) {
        char_fe_read(f->fe, buf, n);
    }
    return n > 0;
}

static bool deliver_event(MuxFrontend *f)
{
    CharEvent event;

    if (!take_event(f, &event)) {
        return false;
    }
    char_fe_event(f->fe, event);
    return true;
}

static void deliver_writable(MuxFrontend *f)
{
    void (*func)(void *) = NULL;
    void *func_opaque = NULL;

    lock_acquire(&f->m->chr.lock);
    if (f->writable) {
        f->writable = false;
        func = f->fe->writable;
        func_opaque = f->fe->writable_opaque;
        f->fe->writable = NULL;
    }
    lock_release(&f->m->chr.lock);
    if (func) {
        func(func_opaque);
    }
}

static void accept_from_base(MuxChardev *m)
{
    CharFrontend *base_fe = atomic_read(&m->base_fe);

    if (base_fe) {
        chardev_accept_input(base_fe);
    }
}

static void deliver(void *opaque)
{
    MuxFrontend *f = opaque;
    bool taken = char_enter(f->fe->loop);

    deliver_writable(f);
    while (deliver_input(f) || deliver_event(f)) {
    }
    accept_from_base(f->m);
    char_leave(taken);
}

/* Returns @f when this is its thread: then the caller has to deliver(), without the lock. */
static MuxFrontend *notify_locked(MuxFrontend *f)
{
    if (!f || event_loop_in_thread(f->fe->loop)) {
        return f;
    }
    bh_schedule(f->deliver_bh);
    return NULL;
}

static void deliver_if(MuxFrontend *f)
{
    if (f) {
        deliver(f);
    }
}

/* --- what is to be delivered --- */

static void post_event_locked(MuxFrontend *f, CharEvent event)
{
    unsigned n = 0;

    for (unsigned i = 0; i < f->n_events; i++) {
        if (f->events[i].event != event) {
            f->events[n++] = f->events[i];
        }
    }
    f->events[n++] = (MuxEvent){event, f->produced};
    f->n_events = n;
}

static void post_event_to_all(MuxChardev *m, CharEvent event)
{
    LOCK_GUARD(&m->chr.lock);

    for (unsigned i = 0; i < m->frontends->len; i++) {
        post_event_locked(frontend(m, i), event);
        bh_schedule(frontend(m, i)->deliver_bh);
    }
}

static void notify_focus(MuxChardev *m)
{
    MuxFrontend *f;

    lock_acquire(&m->chr.lock);
    f = notify_locked(m->focus);
    lock_release(&m->chr.lock);
    deliver_if(f);
}

/* Who is to be served on this thread when the lock is given up. */
typedef struct FocusChange {
    MuxFrontend *from, *to;
} FocusChange;

static FocusChange set_focus_locked(MuxChardev *m, MuxFrontend *f)
{
    MuxFrontend *from = m->focus;

    if (from == f) {
        return (FocusChange){0};
    }
    m->focus = f;
    if (from) {
        post_event_locked(from, CHAR_EVENT_MUX_OUT);
    }
    if (f) {
        post_event_locked(f, CHAR_EVENT_MUX_IN);
    }
    return (FocusChange){notify_locked(from), notify_locked(f)};
}

static void focus_changed(FocusChange change)
{
    deliver_if(change.from);
    deliver_if(change.to);
}

static MuxFrontend *next_locked(MuxChardev *m)
{
    for (unsigned i = 0; i < m->frontends->len; i++) {
        if (frontend(m, i) == m->focus) {
            return frontend(m, (i + 1) % m->frontends->len);
        }
    }
    return m->focus;
}

static void focus_next(MuxChardev *m)
{
    FocusChange change;

    lock_acquire(&m->chr.lock);
    change = set_focus_locked(m, next_locked(m));
    lock_release(&m->chr.lock);
    focus_changed(change);
}

/* --- the escape character --- */

static void say(MuxChardev *m, const char *text)
{
    chardev_write(m->base, text, strlen(text));
}

static void print_help(MuxChardev *m)
{
    char name[16] = "Ctrl-A";
    g_autofree char *text = NULL;

    if (escape_char != 1) {
        g_snprintf(name, sizeof(name), escape_char < 27 ? "Ctrl-%c" : "0x%02x",
                   escape_char < 27 ? escape_char - 1 + 'A' : escape_char);
    }
    text = g_strdup_printf("\r\n"
                           "%s h    this help\r\n"
                           "%s x    end the emulator\r\n"
                           "%s s    write disk data back to the images\r\n"
                           "%s t    timestamps on or off\r\n"
                           "%s b    send a break\r\n"
                           "%s c    switch between console and monitor\r\n"
                           "%s %s  send %s itself\r\n",
                           name, name, name, name, name, name, name, name, name);
    say(m, text);
}

static void toggle_timestamps(MuxChardev *m)
{
    LOCK_GUARD(&m->chr.lock);

    atomic_set(&m->timestamps, !m->timestamps);
    m->timestamps_start_ns = clock_get_ns(CLOCK_TYPE_REALTIME);
    m->at_line_start = false;
}

static void mux_send_break(Chardev *chr)
{
    MuxChardev *m = (MuxChardev *)chr;

    lock_acquire(&m->chr.lock);
    if (m->focus) {
        post_event_locked(m->focus, CHAR_EVENT_BREAK);
    }
    lock_release(&m->chr.lock);
    notify_focus(m);
}

static void flush_images(void *opaque)
{
    block_flush_all();
    say(opaque, "\r\ngodwit: disk images are up to date\r\n");
}

static void escape_command(MuxChardev *m, uint8_t c)
{
    switch (c) {
    case 'h':
    case 'H':
    case '?':
        print_help(m);
        break;
    case 'x':
    case 'X':
        say(m, "\r\ngodwit: terminated\r\n");
        system_shutdown_request(SHUTDOWN_HOST_UI);
        break;
    case 's':
    case 'S':
        event_loop_post(event_loop_main(), flush_images, m);
        break;
    case 't':
    case 'T':
        toggle_timestamps(m);
        break;
    case 'b':
    case 'B':
        mux_send_break(&m->chr);
        break;
    case 'c':
    case 'C':
        focus_next(m);
        break;
    default: /* no command: swallowed, as a mistyped one */
        break;
    }
}

/* --- input, on the base's loop --- */

static void put_byte(MuxChardev *m, uint8_t c)
{
    LOCK_GUARD(&m->chr.lock);
    MuxFrontend *f = m->focus;

    if (f && waiting(f) < MUX_INPUT_SIZE) {
        f->input[f->produced++ % MUX_INPUT_SIZE] = c;
    }
}

static void input_byte(MuxChardev *m, uint8_t c)
{
    if (m->escaped) {
        m->escaped = false;
        if (c != escape_char) {
            escape_command(m, c);
            return;
        }
    } else if (c == escape_char) {
        m->escaped = true;
        return;
    }
    put_byte(m, c);
}

static size_t mux_can_read(void *opaque)
{
    MuxChardev *m = opaque;
    LOCK_GUARD(&m->chr.lock);

    return m->focus ? MUX_INPUT_SIZE - waiting(m->focus) : 1;
}

static void mux_read(void *opaque, const uint8_t *buf, size_t len)
{
    MuxChardev *m = opaque;

    for (size_t i = 0; i < len; i++) {
        input_byte(m, buf[i]);
        if (i + 1 == len || buf[i + 1] == escape_char) {
            notify_focus(m); /* what was typed before an escape arrives before the escape acts */
        }
    }
}

/* A new peer: if nobody takes what the last one typed, the new one's escapes have to get through all the same. */
static void make_room(MuxChardev *m)
{
    LOCK_GUARD(&m->chr.lock);
    MuxFrontend *f = m->focus;

    if (f && waiting(f) == MUX_INPUT_SIZE) {
        f->consumed = f->produced;
        for (unsigned i = 0; i < f->n_events; i++) {
            f->events[i].at = f->produced;
        }
    }
}

static void base_event(void *opaque, CharEvent event)
{
    MuxChardev *m = opaque;

    if (event == CHAR_EVENT_OPENED) {
        make_room(m);
    }

    if (event == CHAR_EVENT_OPENED || event == CHAR_EVENT_CLOSED) {
        atomic_set(&m->chr.connected, event == CHAR_EVENT_OPENED);
    }
    post_event_to_all(m, event);
}

static const CharHandlers base_handlers = {.can_read = mux_can_read, .read = mux_read, .event = base_event};

/* --- front ends --- */

/* Input is read, from now on, on @loop: it must not wait for the main loop. */
static void move_base(MuxChardev *m, EventLoop *loop)
{
    CharFrontend *base_fe = m->base_fe;

    atomic_set(&m->base_fe, NULL);
    chardev_detach(base_fe);
    m->chr.loop = loop;
    atomic_set(&m->base_fe, chardev_attach(m->base, &base_handlers, m, loop, NULL));
    accept_from_base(m); /* somebody may have asked meanwhile */
}

static FocusChange add_frontend(MuxChardev *m, MuxFrontend *f)
{
    LOCK_GUARD(&m->chr.lock);
    bool first = !m->focus || (m->focus->fe->handlers->background && !f->fe->handlers->background);

    g_ptr_array_add(m->frontends, f);
    return first ? set_focus_locked(m, f) : (FocusChange){0};
}

static void mux_attached(Chardev *chr, CharFrontend *fe)
{
    MuxChardev *m = (MuxChardev *)chr;
    MuxFrontend *f = g_new0(MuxFrontend, 1);

    f->m = m;
    f->fe = fe;
    f->deliver_bh = bh_new(fe->loop, deliver, f);
    focus_changed(add_frontend(m, f));
    if (fe->loop != event_loop_main() && chr->loop == event_loop_main()) {
        move_base(m, fe->loop);
    }
}

static FocusChange remove_frontend(MuxChardev *m, MuxFrontend *f)
{
    LOCK_GUARD(&m->chr.lock);

    g_ptr_array_remove(m->frontends, f);
    if (m->focus != f) {
        return (FocusChange){0};
    }
    m->focus = NULL;
    return set_focus_locked(m, m->frontends->len > 0 ? frontend(m, 0) : NULL);
}

static MuxFrontend *slot_of(MuxChardev *m, const CharFrontend *fe)
{
    LOCK_GUARD(&m->chr.lock);

    for (unsigned i = 0; i < m->frontends->len; i++) {
        if (frontend(m, i)->fe == fe) {
            return frontend(m, i);
        }
    }
    return NULL;
}

static void mux_detached(Chardev *chr, CharFrontend *fe)
{
    MuxChardev *m = (MuxChardev *)chr;
    MuxFrontend *f = slot_of(m, fe);

    focus_changed(remove_frontend(m, f));
    bh_free(f->deliver_bh);
    g_free(f);
}

static void mux_accept_input(Chardev *chr, CharFrontend *fe)
{
    MuxFrontend *f = slot_of((MuxChardev *)chr, fe);

    if (f) {
        bh_schedule(f->deliver_bh);
    }
}

static bool mux_open(Chardev *chr, GError **error)
{
    MuxChardev *m = (MuxChardev *)chr;

    if (!m->base) {
        return fail(error, "a mux is made by mux=on or mon:");
    }
    m->frontends = g_ptr_array_new();
    m->base_fe = chardev_attach(m->base, &base_handlers, m, NULL, error);
    if (!m->base_fe) {
        g_ptr_array_unref(m->frontends);
        return false;
    }
    chr->connected = chardev_is_connected(m->base);
    return true;
}

static void mux_close(Chardev *chr)
{
    MuxChardev *m = (MuxChardev *)chr;
    CharFrontend *base_fe = m->base_fe;

    atomic_set(&m->base_fe, NULL);
    chardev_detach(base_fe);
}

static void mux_set_echo(Chardev *chr, bool echo)
{
    chardev_set_echo(((MuxChardev *)chr)->base, echo);
}

static char *mux_filename(Chardev *chr)
{
    g_autofree char *base = chardev_filename(((MuxChardev *)chr)->base);

    return g_strconcat("mux:", base, NULL);
}

bool chardev_is_mux(const Chardev *chr)
{
    return chr->ops->many_frontends;
}

CHARDEV_KIND(mux, .name = "mux", .help = "several users of one character device (use mux=on)",
             .instance_size = sizeof(MuxChardev), .open = mux_open, .close = mux_close,
             .write_some = mux_write_some, .write_all = mux_write_all, .when_writable = mux_when_writable,
             .attached = mux_attached, .detached = mux_detached, .accept_input = mux_accept_input,
             .set_echo = mux_set_echo, .send_break = mux_send_break, .filename = mux_filename, .many_frontends = true,
             .keep_open = true);

Chardev *char_mux_new(const char *id, Chardev *base, GError **error)
{
    MuxChardev *m = (MuxChardev *)char_alloc("mux", id, error);

    if (!m) {
        return NULL;
    }
    m->base = base;
    lock_allow_same_rank(&base->lock); /* the mux's lock is taken first */
    return char_open_and_add(&m->chr, error);
}
