/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The core of character devices: front ends, watches, buffered output, the list of all.
 *
 * One connection has up to two watches on the chardev's loop: input while the front end takes some, output
 * while something waits.  A write that finds the peer gone only notes it; the connection always ends on the
 * loop's thread.
 */
#include "char.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "system/runstate.h"
#include "util/error.h"
#include "util/file.h"

static GPtrArray *chardevs; /* of Chardev *, in order of creation; big lock */

bool char_enter(EventLoop *loop)
{
    if (loop != event_loop_main() || bql_locked()) {
        return false;
    }
    bql_lock();
    return true;
}

void char_leave(bool taken)
{
    if (taken) {
        bql_unlock();
    }
}

size_t char_fe_can_read(CharFrontend *fe)
{
    return fe->handlers->can_read && fe->handlers->read ? fe->handlers->can_read(fe->opaque) : 0;
}

void char_fe_read(CharFrontend *fe, const void *buf, size_t len)
{
    fe->handlers->read(fe->opaque, buf, len);
}

void char_fe_event(CharFrontend *fe, CharEvent event)
{
    if (fe->handlers->event) {
        fe->handlers->event(fe->opaque, event);
    }
}

/* --- input --- */

static void close_fds_locked(Chardev *chr)
{
    for (size_t i = 0; i < chr->n_fds; i++) {
        close(chr->fds[i]);
    }
    chr->n_fds = 0;
}

static ssize_t kind_read(Chardev *chr, void *buf, size_t len)
{
    ssize_t n;

    do {
        n = chr->ops->read ? chr->ops->read(chr, buf, len) : read(chr->in_fd, buf, len);
    } while (n < 0 && errno == EINTR);
    return n;
}

static bool peer_hung_up(int fd, GIOCondition condition, void *opaque)
{
    Chardev *chr = opaque;

    lock_acquire(&chr->lock);
    chr->hung_up_watch = NULL;
    lock_release(&chr->lock);
    chr->ops->hung_up(chr);
    return false;
}

/* Whether the input watch may sleep: the front end takes nothing and nobody asked again meanwhile. */
static bool input_sleeps(Chardev *chr)
{
    LOCK_GUARD(&chr->lock);

    if (chr->input_kicked) {
        return false;
    }
    chr->in_watch = NULL;
    if (chr->ops->hung_up && !chr->hung_up_watch) {
        chr->hung_up_watch = event_loop_watch_fd(chr->loop, chr->in_fd, G_IO_HUP | POLLRDHUP, peer_hung_up, chr);
    }
    return true;
}

static size_t input_room(Chardev *chr)
{
    CharFrontend *fe = chr->fe;

    lock_acquire(&chr->lock);
    chr->input_kicked = false;
    lock_release(&chr->lock);
    return fe ? char_fe_can_read(fe) : 0;
}

static void input_ended(Chardev *chr)
{
    lock_acquire(&chr->lock);
    chr->in_watch = NULL;
    if (chr->ops->keep_open) {
        chr->in_fd = chr->in_fd == chr->out_fd ? chr->in_fd : -1;
    }
    lock_release(&chr->lock);
    if (!chr->ops->keep_open) {
        char_end_connection(chr);
    } else if (chr->ops->ended) {
        chr->ops->ended(chr);
    }
}

static bool input_ready_entered(Chardev *chr)
{
    uint8_t buf[65536];
    size_t room = input_room(chr);
    ssize_t n;

    if (room == 0) {
        return !input_sleeps(chr);
    }
    n = kind_read(chr, buf, MIN(room, sizeof(buf)));
    if (n > 0) {
        char_fe_read(chr->fe, buf, n);
        return true; /* ignored when the handler ended the connection: the watch is gone then */
    }
    if (n < 0 && errno == EAGAIN) {
        return true;
    }
    input_ended(chr);
    return false;
}

static bool input_ready(int fd, GIOCondition condition, void *opaque)
{
    Chardev *chr = opaque;
    bool taken = char_enter(chr->loop);
    bool stay = input_ready_entered(chr);

    char_leave(taken);
    return stay;
}

static void watch_input_locked(Chardev *chr)
{
    if (!chr->in_watch && chr->connected && chr->in_fd >= 0 && chr->fe && chr->fe->handlers->can_read) {
        watch_remove(chr->hung_up_watch);
        chr->hung_up_watch = NULL;
        chr->in_watch = event_loop_watch_fd(chr->loop, chr->in_fd, G_IO_IN | G_IO_HUP, input_ready, chr);
    }
}

static void unwatch_locked(Chardev *chr)
{
    watch_remove(chr->in_watch);
    watch_remove(chr->out_watch);
    watch_remove(chr->hung_up_watch);
    chr->in_watch = chr->out_watch = chr->hung_up_watch = NULL;
}

void char_watch_input(Chardev *chr)
{
    LOCK_GUARD(&chr->lock);

    watch_input_locked(chr);
}

void chardev_accept_input(CharFrontend *fe)
{
    Chardev *chr = fe->chr;

    if (chr->ops->accept_input) {
        chr->ops->accept_input(chr, fe);
        return;
    }
    LOCK_GUARD(&chr->lock);
    chr->input_kicked = true;
    watch_input_locked(chr);
}

size_t chardev_get_fds(Chardev *chr, int *fds, size_t max)
{
    LOCK_GUARD(&chr->lock);
    size_t n = MIN(max, chr->n_fds);

    memcpy(fds, chr->fds, n * sizeof(fds[0]));
    memmove(chr->fds, chr->fds + n, (chr->n_fds - n) * sizeof(fds[0]));
    chr->n_fds -= n;
    return n;
}

/* --- output --- */

static void drop_output_locked(Chardev *chr)
{
    g_byte_array_set_size(chr->out, 0);
    chr->out_done = 0;
}

/* The peer is gone: nothing more is written, and the loop ends the connection. */
static void output_failed_locked(Chardev *chr)
{
    drop_output_locked(chr);
    atomic_set(&chr->connected, false);
    bh_schedule(chr->ended_bh);
}

/* Returns what was taken; on failure everything, to nowhere. */
static size_t write_now_locked(Chardev *chr, const void *buf, size_t len)
{
    ssize_t n;

    if (!chr->connected) {
        return len;
    }
    do {
        n = chr->ops->write ? chr->ops->write(chr, buf, len) : write(chr->out_fd, buf, len);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        return n;
    }
    if (errno == EAGAIN) {
        return 0;
    }
    output_failed_locked(chr);
    return len;
}

static size_t waiting_locked(const Chardev *chr)
{
    return chr->out->len - chr->out_done;
}

static void flush_locked(Chardev *chr)
{
    while (waiting_locked(chr) > 0) {
        size_t n = write_now_locked(chr, chr->out->data + chr->out_done, waiting_locked(chr));

        if (n == 0) {
            return;
        }
        chr->out_done = MIN(chr->out_done + n, chr->out->len);
    }
    drop_output_locked(chr);
}

static bool wants_writable_locked(const Chardev *chr)
{
    return chr->fe && chr->fe->writable;
}

static bool output_ready(int fd, GIOCondition condition, void *opaque)
{
    Chardev *chr = opaque;
    bool more;

    lock_acquire(&chr->lock);
    flush_locked(chr);
    more = waiting_locked(chr) > 0;
    if (!more) {
        chr->out_watch = NULL;
        if (wants_writable_locked(chr)) {
            bh_schedule(chr->writable_bh);
        }
    }
    lock_release(&chr->lock);
    return more;
}

static void watch_output_locked(Chardev *chr)
{
    if (!chr->out_watch && chr->connected && chr->out_fd >= 0) {
        chr->out_watch = event_loop_watch_fd(chr->loop, chr->out_fd, G_IO_OUT, output_ready, chr);
    }
}

static void log_output_locked(Chardev *chr, const void *buf, size_t len)
{
    if (chr->log_fd >= 0 && !write_all(chr->log_fd, buf, len, NULL)) {
        close(chr->log_fd);
        chr->log_fd = -1;
    }
}

static void write_buffered(Chardev *chr, const void *buf, size_t len)
{
    LOCK_GUARD(&chr->lock);
    size_t done = 0;

    log_output_locked(chr, buf, len);
    while (waiting_locked(chr) == 0 && done < len) {
        size_t n = write_now_locked(chr, (const uint8_t *)buf + done, len - done);

        if (n == 0) {
            break;
        }
        done += n;
    }
    if (done >= len || !chr->connected) {
        return;
    }
    if (waiting_locked(chr) + (len - done) > CHARDEV_BUFFER_MAX) {
        if (!chr->ops->keep_open) {
            output_failed_locked(chr);
        }
        return;
    }
    if (chr->out_done > 0) {
        g_byte_array_remove_range(chr->out, 0, chr->out_done);
        chr->out_done = 0;
    }
    g_byte_array_append(chr->out, (const uint8_t *)buf + done, len - done);
    watch_output_locked(chr);
}

void chardev_write(Chardev *chr, const void *buf, size_t len)
{
    if (chr->ops->write_all) {
        chr->ops->write_all(chr, buf, len);
    } else {
        write_buffered(chr, buf, len);
    }
}

static size_t write_unbuffered(Chardev *chr, const void *buf, size_t len)
{
    LOCK_GUARD(&chr->lock);
    size_t n = waiting_locked(chr) > 0 ? 0 : write_now_locked(chr, buf, len);

    log_output_locked(chr, buf, n);
    return n;
}

size_t chardev_write_some(Chardev *chr, const void *buf, size_t len)
{
    return chr->ops->write_some ? chr->ops->write_some(chr, buf, len) : write_unbuffered(chr, buf, len);
}

static void run_writable(void *opaque)
{
    Chardev *chr = opaque;
    void (*func)(void *opaque) = NULL;
    void *func_opaque = NULL;
    bool taken = char_enter(chr->loop);

    lock_acquire(&chr->lock);
    if (wants_writable_locked(chr)) {
        func = chr->fe->writable;
        func_opaque = chr->fe->writable_opaque;
        chr->fe->writable = NULL;
    }
    lock_release(&chr->lock);
    if (func) {
        func(func_opaque);
    }
    char_leave(taken);
}

void chardev_when_writable(CharFrontend *fe, void (*func)(void *opaque), void *opaque)
{
    Chardev *chr = fe->chr;

    lock_acquire(&chr->lock);
    fe->writable = func;
    fe->writable_opaque = opaque;
    if (func && !chr->ops->when_writable) {
        watch_output_locked(chr);
        if (!chr->out_watch) {
            bh_schedule(chr->writable_bh); /* nothing to wait for */
        }
    }
    lock_release(&chr->lock);
    if (func && chr->ops->when_writable) {
        chr->ops->when_writable(chr);
    }
}

void chardev_flush(Chardev *chr)
{
    gint64 end = g_get_monotonic_time() + G_USEC_PER_SEC;
    LOCK_GUARD(&chr->lock);

    while (chr->connected && waiting_locked(chr) > 0) {
        struct pollfd pfd = {.fd = chr->out_fd, .events = POLLOUT};
        gint64 left_us = end - g_get_monotonic_time();

        if (left_us <= 0 || poll(&pfd, 1, left_us / 1000 + 1) <= 0) {
            return;
        }
        flush_locked(chr);
    }
}

/* --- connections --- */

void char_connected(Chardev *chr, int in_fd, int out_fd)
{
    CharFrontend *fe;

    lock_acquire(&chr->lock);
    chr->in_fd = in_fd;
    chr->out_fd = out_fd;
    atomic_set(&chr->connected, true);
    fe = chr->fe;
    watch_input_locked(chr);
    lock_release(&chr->lock);
    if (fe) {
        bh_schedule(fe->opened_bh);
    }
}

void char_end_connection(Chardev *chr)
{
    CharFrontend *fe;
    bool had;

    lock_acquire(&chr->lock);
    unwatch_locked(chr);
    drop_output_locked(chr);
    close_fds_locked(chr);
    bh_cancel(chr->ended_bh); /* it would end the next one */
    had = chr->connected || chr->in_fd >= 0 || chr->out_fd >= 0;
    if (chr->in_fd >= 0) {
        close(chr->in_fd);
    }
    if (chr->out_fd >= 0 && chr->out_fd != chr->in_fd) {
        close(chr->out_fd);
    }
    chr->in_fd = chr->out_fd = -1;
    atomic_set(&chr->connected, false);
    fe = chr->fe;
    lock_release(&chr->lock);
    if (fe && had) {
        bh_cancel(fe->opened_bh);
        char_fe_event(fe, CHAR_EVENT_CLOSED);
        chardev_when_writable(fe, fe->writable, fe->writable_opaque);
    }
    if (had && chr->ops->ended) {
        chr->ops->ended(chr);
    }
}

static void ended_on_loop(void *opaque)
{
    Chardev *chr = opaque;
    bool taken = char_enter(chr->loop);

    char_end_connection(chr);
    char_leave(taken);
}

void chardev_disconnect(Chardev *chr)
{
    LOCK_GUARD(&chr->lock);

    if (chr->connected && !chr->ops->keep_open) {
        flush_locked(chr);
        output_failed_locked(chr);
    }
}

bool chardev_is_connected(const Chardev *chr)
{
    return atomic_read(&chr->connected);
}

/* --- front ends --- */

static void opened_on_loop(void *opaque)
{
    CharFrontend *fe = opaque;
    bool taken = char_enter(fe->loop);

    if (chardev_is_connected(fe->chr)) {
        char_fe_event(fe, CHAR_EVENT_OPENED);
    }
    char_leave(taken);
}

static void move_to_loop(Chardev *chr, EventLoop *loop)
{
    if (loop == chr->loop) {
        return;
    }
    lock_acquire(&chr->lock);
    unwatch_locked(chr);
    bh_free(chr->ended_bh);
    bh_free(chr->writable_bh);
    chr->loop = loop;
    chr->ended_bh = bh_new(loop, ended_on_loop, chr);
    chr->writable_bh = bh_new(loop, run_writable, chr);
    if (waiting_locked(chr) > 0) {
        watch_output_locked(chr);
    }
    lock_release(&chr->lock);
    if (chr->ops->move) {
        chr->ops->move(chr);
    }
}

CharFrontend *chardev_attach(Chardev *chr, const CharHandlers *handlers, void *opaque, EventLoop *loop,
                             GError **error)
{
    CharFrontend *fe;

    loop = loop ? loop : event_loop_main();
    if (chr->fe && !chr->ops->many_frontends) {
        return fail_null(error, "character device '%s' is in use", chr->id);
    }
    if (!chr->ops->many_frontends) {
        move_to_loop(chr, loop);
    }
    fe = g_new0(CharFrontend, 1);
    fe->chr = chr;
    fe->loop = loop;
    fe->handlers = handlers;
    fe->opaque = opaque;
    fe->opened_bh = bh_new(loop, opened_on_loop, fe);
    if (chr->ops->attached) {
        chr->ops->attached(chr, fe);
    } else {
        LOCK_GUARD(&chr->lock);
        chr->fe = fe;
        watch_input_locked(chr);
    }
    if (chardev_is_connected(chr)) {
        bh_schedule(fe->opened_bh);
    }
    return fe;
}

void chardev_detach(CharFrontend *fe)
{
    Chardev *chr;

    if (!fe) {
        return;
    }
    chr = fe->chr;
    if (chr->ops->detached) {
        chr->ops->detached(chr, fe);
    } else {
        LOCK_GUARD(&chr->lock);
        watch_remove(chr->in_watch);
        watch_remove(chr->hung_up_watch);
        chr->in_watch = chr->hung_up_watch = NULL;
        chr->fe = NULL;
    }
    bh_free(fe->opened_bh);
    g_free(fe);
}

Chardev *chardev_of(CharFrontend *fe)
{
    return fe->chr;
}

void chardev_set_echo(Chardev *chr, bool echo)
{
    if (chr->ops->set_echo) {
        chr->ops->set_echo(chr, echo);
    }
}

bool chardev_wants_monitor(const Chardev *chr)
{
    return chr->wants_monitor;
}

const char *chardev_id(const Chardev *chr)
{
    return chr->id;
}

char *chardev_filename(Chardev *chr)
{
    return chr->ops->filename ? chr->ops->filename(chr) : g_strdup(chr->ops->name);
}

/* --- the list --- */

static const char *nth_kind(unsigned i, void *opaque)
{
    LINKER_SET_FOREACH (chardev_kinds, CharOps, ops) {
        if (i-- == 0) {
            return ops->name;
        }
    }
    return NULL;
}

static const CharOps *find_kind(const char *name, GError **error)
{
    const char *near;

    LINKER_SET_FOREACH (chardev_kinds, CharOps, ops) {
        if (g_str_equal(ops->name, name)) {
            return ops;
        }
    }
    near = did_you_mean(name, nth_kind, NULL);
    return fail_null(error, "unknown kind of character device '%s'%s%s%s", name,
                     near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

Chardev *char_alloc(const char *kind, const char *id, GError **error)
{
    const CharOps *ops = find_kind(kind, error);
    Chardev *chr;

    if (!ops) {
        return NULL;
    }
    if (chardev_find(id)) {
        return fail_null(error, "a character device '%s' exists already", id);
    }
    chr = g_malloc0(ops->instance_size);
    chr->ops = ops;
    chr->id = g_strdup(id);
    chr->loop = event_loop_main();
    chr->in_fd = chr->out_fd = chr->log_fd = -1;
    chr->out = g_byte_array_new();
    lock_init(&chr->lock, RANK_CHARDEV, "chardev");
    chr->ended_bh = bh_new(chr->loop, ended_on_loop, chr);
    chr->writable_bh = bh_new(chr->loop, run_writable, chr);
    if (ops->options) {
        fields_init(ops->options, chr);
    }
    return chr;
}

bool char_set_option(Chardev *chr, const char *key, const char *value, GError **error)
{
    if (!chr->ops->options) {
        return fail(error, "character device '%s' takes no option '%s'", chr->ops->name, key);
    }
    if (!field_set_string(chr->ops->options, chr, key, value, error)) {
        error_context(error, "character device '%s'", chr->ops->name);
        return false;
    }
    return true;
}

void char_free(Chardev *chr)
{
    if (chr->in_fd >= 0) {
        close(chr->in_fd);
    }
    if (chr->out_fd >= 0 && chr->out_fd != chr->in_fd) {
        close(chr->out_fd);
    }
    if (chr->log_fd >= 0) {
        close(chr->log_fd);
    }
    close_fds_locked(chr);
    bh_free(chr->ended_bh);
    bh_free(chr->writable_bh);
    if (chr->ops->options) {
        fields_clear(chr->ops->options, chr);
    }
    g_byte_array_unref(chr->out);
    lock_destroy(&chr->lock);
    g_free(chr->id);
    g_free(chr);
}

static void close_and_free(Chardev *chr)
{
    chardev_flush(chr);
    lock_acquire(&chr->lock);
    unwatch_locked(chr);
    lock_release(&chr->lock);
    if (chr->ops->close) {
        chr->ops->close(chr);
    }
    char_free(chr);
}

Chardev *char_open_and_add(Chardev *chr, GError **error)
{
    if (!chr->ops->open(chr, error)) {
        error_context(error, "character device '%s'", chr->id);
        close_and_free(chr);
        return NULL;
    }
    if (!chardevs) {
        chardevs = g_ptr_array_new();
    }
    g_ptr_array_add(chardevs, chr);
    return chr;
}

Chardev *chardev_find(const char *id)
{
    for (unsigned i = 0; chardevs && i < chardevs->len; i++) {
        Chardev *chr = chardevs->pdata[i];

        if (!chr->created_for_mux && g_str_equal(chr->id, id)) {
            return chr;
        }
    }
    return NULL;
}

void chardevs_foreach(void (*fn)(Chardev *chr, void *opaque), void *opaque)
{
    for (unsigned i = 0; chardevs && i < chardevs->len; i++) {
        Chardev *chr = chardevs->pdata[i];

        if (!chr->created_for_mux) {
            fn(chr, opaque);
        }
    }
}

bool chardev_delete(Chardev *chr, GError **error)
{
    if (chr->fe || chr->ops->many_frontends) {
        return fail(error, "character device '%s' is in use", chr->id);
    }
    g_ptr_array_remove(chardevs, chr);
    close_and_free(chr);
    return true;
}

static void close_outside(void *opaque)
{
    Chardev *chr = opaque;

    chardev_flush(chr);
    lock_acquire(&chr->lock);
    unwatch_locked(chr);
    atomic_set(&chr->connected, false);
    lock_release(&chr->lock);
    if (chr->ops->close) {
        chr->ops->close(chr);
    }
}

/*
 * Front ends may still exist (devices are not torn down at the end of the process), so the chardevs stay
 * allocated: only what the outside can see is tidied up.
 */
void chardevs_close_all(void)
{
    for (unsigned i = 0; chardevs && i < chardevs->len; i++) {
        Chardev *chr = chardevs->pdata[i];

        event_loop_call(chr->loop, close_outside, chr); /* a peer may be coming just now */
    }
    chardev_restore_terminal();
}

bool char_set_nonblock(int fd, GError **error)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return fail_errno(error, errno, "cannot make descriptor %d non-blocking", fd);
    }
    return true;
}

int char_open_output(const Chardev *chr, const char *path, bool append)
{
    /* a named pipe makes open() wait for a reader */
    return open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC) | (chr->hot ? O_NONBLOCK : 0), 0666);
}
