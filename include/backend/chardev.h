/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Character devices: a terminal, a socket, a file, ... behind one interface for serial ports, monitors and
 * consoles.
 *
 * A Chardev is the host's side.  Who uses it attaches a front end: handlers that the Chardev calls on the
 * front end's event loop, on the main loop with the big lock held.  A chardev has one front end, a mux has
 * several and one of them, the one in focus, gets the input.
 *
 * Input flow: can_read() says how many bytes the front end takes now; read() never gets more.  After
 * can_read() said 0 the front end calls chardev_accept_input() once it can take bytes again. Output flow:
 * chardev_write() takes all and keeps what the host does not take at once; chardev_write_some() takes what
 * the host takes, for devices that show the guest a full FIFO.
 *
 * Writing and accept_input: any thread.  Creating, attaching, detaching: big lock (or before threads exist).
 */
#ifndef BACKEND_CHARDEV_H
#define BACKEND_CHARDEV_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/event-loop.h"

typedef struct Chardev Chardev;
typedef struct CharFrontend CharFrontend; /* one attachment */

typedef enum CharEvent {
    CHAR_EVENT_OPENED,  /* a peer is there; also sent at attach when one is there already */
    CHAR_EVENT_CLOSED,  /* it is gone: forget half-read input, drop pending output */
    CHAR_EVENT_BREAK,   /* serial break (Ctrl-A B) */
    CHAR_EVENT_MUX_IN,  /* mux: this front end got the focus */
    CHAR_EVENT_MUX_OUT, /* mux: it lost the focus */
} CharEvent;

typedef struct CharHandlers {
    size_t (*can_read)(void *opaque);                           /* NULL: takes no input */
    void (*read)(void *opaque, const uint8_t *buf, size_t len); /* len <= what can_read() said */
    void (*event)(void *opaque, CharEvent event);               /* may be NULL */
    bool background; /* mux: does not take the focus from others when attached (a monitor beside a serial
                        port) */
} CharHandlers;

/*
 * Attaches a front end; its handlers run on @loop (NULL: the main loop) until chardev_detach().  @handlers stays the
 * caller's and must live as long.  Fails when the chardev is in use.
 * CHAR_EVENT_OPENED, if due, is sent from the loop, not before this returns.
 */
CharFrontend *chardev_attach(Chardev *chr, const CharHandlers *handlers, void *opaque, EventLoop *loop,
                             GError **error);
/* No handler runs after this returns, when called on the front end's loop or its loop has ended.  NULL is
 * fine. */
void chardev_detach(CharFrontend *fe);
Chardev *chardev_of(CharFrontend *fe);
/* The front end can take input again (or differently much). */
void chardev_accept_input(CharFrontend *fe);

/*
 * Writes all of @buf, in order.  What the host does not take now waits in a buffer of CHARDEV_BUFFER_MAX
 * bytes; a peer that lets it overflow is disconnected (sockets), other output is dropped.  Without a peer:
 * dropped.
 */
#define CHARDEV_BUFFER_MAX (16u << 20)
void chardev_write(Chardev *chr, const void *buf, size_t len);
/* Writes what the host takes now and returns how much (all of it when nobody is connected: it goes nowhere).
 */
size_t chardev_write_some(Chardev *chr, const void *buf, size_t len);
/*
 * Calls @func(@opaque) once on the front end's loop when chardev_write_some() may take more.  Replaces an
 * earlier request of this front end; func NULL: cancels it.
 */
void chardev_when_writable(CharFrontend *fe, void (*func)(void *opaque), void *opaque);
/* Waits (at most a second) until the buffered output is out: before the process ends. */
void chardev_flush(Chardev *chr);
/* Ends the present connection (sockets; an ordinary end, a server listens on).  Others: nothing. */
void chardev_disconnect(Chardev *chr);

/*
 * Unix sockets: the descriptors that came with the input handed out last.  Returns how many (at most @max)
 * and passes them to the caller; they are close-on-exec.
 */
size_t chardev_get_fds(Chardev *chr, int *fds, size_t max);
/* Terminals: whether typed characters are echoed by the host and lines edited there (QMP on a terminal). */
void chardev_set_echo(Chardev *chr, bool echo);
bool chardev_is_connected(const Chardev *chr); /* a peer is there now */
bool chardev_is_mux(const Chardev *chr);
/* "mon:" was asked for: the monitor attaches a readline monitor to this mux (as .background). */
bool chardev_wants_monitor(const Chardev *chr);
const char *chardev_id(const Chardev *chr); /* "char0", "serial0", "compat_monitor0" */
char *chardev_filename(Chardev *chr);       /* "unix:/tmp/q.sock,server=on"; newly allocated */

/* --- making them: big lock or start-up --- */
/*
 * After -serial, -monitor, -qmp, -qtest: "stdio", "mon:stdio", "mon:X", "unix:PATH[,server=on][,wait=off]",
 * "tcp:HOST:PORT[,server=on]", "file:PATH", "pipe:PATH", "fd:N", "pty", "null", "ringbuf", "chardev:ID".
 * @id names the new chardev (ignored for "chardev:ID").  "none" has none: it fails here, callers look for it
 * first.
 */
Chardev *chardev_new_from_legacy(const char *id, const char *text, GError **error);
/* After -chardev or chardev-add: "socket,id=q,path=/tmp/q.sock,server=on,wait=off". */
Chardev *chardev_new_from_options(const char *text, GError **error);
Chardev *chardev_find(const char *id); /* NULL when unknown */
void chardevs_foreach(void (*fn)(Chardev *chr, void *opaque), void *opaque);
/* Detached chardevs only. */
bool chardev_delete(Chardev *chr, GError **error);

/* --- the command line --- */
/* Makes what -chardev and -serial asked for, in that order. */
bool chardevs_create(GError **error);
/* Flushes and closes all; the terminal is as it was before.  At the end of the process. */
void chardevs_close_all(void);
/* The terminal as it was before; async-signal-safe, also run at exit and on deadly signals. */
void chardev_restore_terminal(void);
/* Serial port @n of the machine; NULL: nothing is plugged in. */
Chardev *serial_hd(int n);
/* What serial 0 is when the command line has no -serial ("mon:stdio" under -nographic); NULL: none.  Before
 * create. */
void serial_set_default(const char *legacy);
/* -nographic was given (or -display none / nothing else to show on: display_none). */
bool nographic_requested(void);
bool display_none_requested(void);

#endif
