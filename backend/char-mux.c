/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mux: one terminal for a serial port and a monitor.
 *
 * All front ends write to the base; the one in focus gets the input.  The escape character (Ctrl-A) starts a
 * command to the mux itself.  Input waits in the mux while the front end takes none, so that an escape still
 * gets through when the guest hangs.  Everything but writing runs on the main loop under the big lock.
 */
#include "char.h"

#include <string.h>

#include "api/option.h"
#include "backend/block.h"
#include "system/clock.h"
#include "system/runstate.h"
#include "util/error.h"

#define MUX_INPUT_SIZE 4096 /* a power of two */

typedef struct MuxFrontend {
    CharFrontend *fe;
    uint8_t input[MUX_INPUT_SIZE];
    unsigned produced, consumed;
} MuxFrontend;

typedef struct MuxChardev {
    Chardev chr;
    Chardev *base;
    CharFrontend *base_fe;
    /* big lock */
    GPtrArray *frontends; /* of MuxFrontend * */
    BottomHalf *input_bh; /* a front end takes input again */
    MuxFrontend *focus;
    bool escaped; /* the escape character was the last byte */
    /* under chr.lock */
    bool timestamps, at_line_start;
    int64_t timestamps_start_ns;
} MuxChardev;

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

static MuxFrontend *slot_of(MuxChardev *m, const CharFrontend *fe)
{
    for (unsigned i = 0; i < m->frontends->len; i++) {
        if (frontend(m, i)->fe == fe) {
            return frontend(m, i);
        }
    }
    return NULL;
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

    for (unsigned i = 0; i < m->frontends->len; i++) {
        CharFrontend *fe = frontend(m, i)->fe;
        void (*func)(void *) = NULL;
        void *func_opaque = NULL;

        lock_acquire(&m->chr.lock);
        func = fe->writable;
        func_opaque = fe->writable_opaque;
        fe->writable = NULL;
        lock_release(&m->chr.lock);
        if (func) {
            func(func_opaque);
        }
    }
}

static void mux_when_writable(Chardev *chr)
{
    MuxChardev *m = (MuxChardev *)chr;

    chardev_when_writable(m->base_fe, base_writable, m);
}

/* --- input --- */

static unsigned waiting(const MuxFrontend *f)
{
    return f->produced - f->consumed;
}

static void drain(MuxFrontend *f)
{
    while (waiting(f) > 0) {
        size_t room = char_fe_can_read(f->fe);
        unsigned at = f->consumed % MUX_INPUT_SIZE;
        unsigned n = MIN(MIN(room, waiting(f)), MUX_INPUT_SIZE - at);

        if (n == 0) {
            return;
        }
        f->consumed += n;
        char_fe_read(f->fe, f->input + at, n);
    }
}

static void set_focus(MuxChardev *m, MuxFrontend *f)
{
    if (m->focus == f) {
        return;
    }
    if (m->focus) {
        char_fe_event(m->focus->fe, CHAR_EVENT_MUX_OUT);
    }
    m->focus = f;
    if (f) {
        char_fe_event(f->fe, CHAR_EVENT_MUX_IN);
    }
}

static void focus_next(MuxChardev *m)
{
    for (unsigned i = 0; i < m->frontends->len; i++) {
        if (frontend(m, i) == m->focus) {
            set_focus(m, frontend(m, (i + 1) % m->frontends->len));
            return;
        }
    }
}

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
        block_flush_all();
        say(m, "\r\ngodwit: disk images are up to date\r\n");
        break;
    case 't':
    case 'T':
        toggle_timestamps(m);
        break;
    case 'b':
    case 'B':
        if (m->focus) {
            char_fe_event(m->focus->fe, CHAR_EVENT_BREAK);
        }
        break;
    case 'c':
    case 'C':
        focus_next(m);
        break;
    default: /* no command: swallowed, as a mistyped one */
        break;
    }
}

static void input_byte(MuxChardev *m, uint8_t c)
{
    MuxFrontend *f = m->focus;

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
    if (f && waiting(f) < MUX_INPUT_SIZE) {
        f->input[f->produced++ % MUX_INPUT_SIZE] = c;
    }
}

static size_t mux_can_read(void *opaque)
{
    MuxChardev *m = opaque;

    return m->focus ? MUX_INPUT_SIZE - waiting(m->focus) : 1;
}

static void mux_read(void *opaque, const uint8_t *buf, size_t len)
{
    MuxChardev *m = opaque;

    for (size_t i = 0; i < len; i++) {
        input_byte(m, buf[i]);
        if (m->focus && waiting(m->focus) > 0 && (i + 1 == len || buf[i + 1] == escape_char)) {
            drain(m->focus); /* what was typed before an escape arrives before the escape acts */
        }
    }
}

static void drain_and_accept(void *opaque)
{
    MuxChardev *m = opaque;
    bool taken = char_enter(&m->chr);

    if (m->focus) {
        drain(m->focus);
    }
    chardev_accept_input(m->base_fe);
    char_leave(taken);
}

static void mux_base_event(void *opaque, CharEvent event)
{
    MuxChardev *m = opaque;

    if (event == CHAR_EVENT_OPENED || event == CHAR_EVENT_CLOSED) {
        atomic_set(&m->chr.connected, event == CHAR_EVENT_OPENED);
    }
    for (unsigned i = 0; i < m->frontends->len; i++) {
        char_fe_event(frontend(m, i)->fe, event);
    }
}

/* --- front ends --- */

static void mux_attached(Chardev *chr, CharFrontend *fe)
{
    MuxChardev *m = (MuxChardev *)chr;
    MuxFrontend *f = g_new0(MuxFrontend, 1);

    f->fe = fe;
    g_ptr_array_add(m->frontends, f);
    if (!m->focus || (m->focus->fe->handlers->background && !fe->handlers->background)) {
        set_focus(m, f);
    }
}

static void mux_detached(Chardev *chr, CharFrontend *fe)
{
    MuxChardev *m = (MuxChardev *)chr;
    MuxFrontend *f = slot_of(m, fe);

    g_ptr_array_remove(m->frontends, f);
    if (m->focus == f) {
        m->focus = NULL;
        set_focus(m, m->frontends->len > 0 ? frontend(m, 0) : NULL);
    }
    g_free(f);
}

/* The front end may ask from a vCPU thread; the big lock covers both. */
static void mux_accept_input(Chardev *chr, CharFrontend *fe)
{
    MuxChardev *m = (MuxChardev *)chr;

    if (m->input_bh) {
        bh_schedule(m->input_bh);
    }
}

void chardev_take_focus(CharFrontend *fe)
{
    if (fe->chr->ops->many_frontends) {
        MuxChardev *m = (MuxChardev *)fe->chr;
        MuxFrontend *f = slot_of(m, fe);

        set_focus(m, f ? f : m->focus);
    }
}

static const CharHandlers mux_handlers = {
    .can_read = mux_can_read, .read = mux_read, .event = mux_base_event};

static bool mux_open(Chardev *chr, GError **error)
{
    MuxChardev *m = (MuxChardev *)chr;

    if (!m->base) {
        return fail(error, "a mux is made by mux=on or mon:");
    }
    m->base_fe = chardev_attach(m->base, &mux_handlers, m, NULL, error);
    if (!m->base_fe) {
        return false;
    }
    m->frontends = g_ptr_array_new();
    m->input_bh = bh_new(event_loop_main(), drain_and_accept, m);
    chr->connected = chardev_is_connected(m->base);
    return true;
}

static void mux_close(Chardev *chr)
{
    MuxChardev *m = (MuxChardev *)chr;

    bh_free(m->input_bh);
    m->input_bh = NULL;
    g_clear_pointer(&m->base_fe, chardev_detach);
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
             .set_echo = mux_set_echo, .filename = mux_filename, .many_frontends = true,
             .main_loop_only = true, .keep_open = true);

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
