/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a kind of character device is made of.  The core (char.c) does watches, buffering and front ends; a
 * kind opens something and says how bytes get in and out.  Kinds with file descriptors set in_fd/out_fd
 * through char_connected() and leave the rest to the core.
 */
#ifndef BACKEND_CHAR_H
#define BACKEND_CHAR_H

#include <sys/types.h>

#include "api/field.h"
#include "backend/chardev.h"
#include "util/linker-set.h"
#include "util/lock.h"

typedef struct CharOps {
    const char *name; /* "socket" */
    const char *help;
    size_t instance_size; /* the instance starts with a Chardev */
    const Field *options; /* -chardev NAME,option=value; offsets in the instance; NULL: none */
    /* Opens it.  What is ready at once calls char_connected() here. */
    bool (*open)(Chardev *chr, GError **error);
    /* The chardev goes away, or open() failed: release what open() made.  The core has closed the connection. */
    void (*close)(Chardev *chr);
    /* Takes what the host takes now: bytes, or -1 with errno (EAGAIN: none now).  With chr->lock.  NULL:
     * write(out_fd). */
    ssize_t (*write)(Chardev *chr, const void *buf, size_t len);
    /* A mux: chardev_write() and chardev_write_some() themselves; called without chr->lock. */
    void (*write_all)(Chardev *chr, const void *buf, size_t len);
    size_t (*write_some)(Chardev *chr, const void *buf, size_t len);
    /* Reads from in_fd, as read(2).  On the loop's thread.  NULL: read(in_fd). */
    ssize_t (*read)(Chardev *chr, void *buf, size_t len);
    /*
     * The connection ended and its descriptors are closed: wait for the next one.  keep_open: only the input
     * ended.  On the loop's thread.
     */
    void (*ended)(Chardev *chr);
    /* The peer has left, but its last input is still to be taken.  NULL: that is found out then.  On the loop's thread. */
    void (*hung_up)(Chardev *chr);
    /* chr->loop changed: move watches of your own. */
    void (*move)(Chardev *chr);
    void (*attached)(Chardev *chr, CharFrontend *fe); /* mux */
    void (*detached)(Chardev *chr, CharFrontend *fe);
    void (*accept_input)(Chardev *chr, CharFrontend *fe); /* kinds that hand out input themselves */
    void (*when_writable)(Chardev *chr); /* a front end waits to write; NULL: the core watches out_fd */
    void (*set_echo)(Chardev *chr, bool echo);
    void (*send_break)(Chardev *chr); /* to whom it is for; NULL: the front end */
    char *(*filename)(Chardev *chr); /* NULL: the name of the kind */
    bool many_frontends;
    bool keep_open; /* the peer's end of file does not end the connection: output goes on (stdio, file) */
} CharOps;
#define CHARDEV_KIND(ident, ...)                                                                             \
    static const CharOps char_ops_##ident = {__VA_ARGS__};                                                   \
    LINKER_SET_ADD(chardev_kinds, CharOps, char_ops_##ident)

struct CharFrontend {
    /* constant while attached */
    Chardev *chr;
    const CharHandlers *handlers;
    void *opaque;
    EventLoop *loop; /* of the handlers: chr->loop, but for a mux */
    BottomHalf *opened_bh;
    /* under chr->lock */
    void (*writable)(void *opaque);
    void *writable_opaque;
};

#define CHAR_MAX_FDS 16

struct Chardev {
    /* constant after creation */
    const CharOps *ops;
    char *id;
    bool wants_monitor;
    bool hot;             /* came after the start: opening it must not wait for anybody */
    bool created_for_mux; /* the hidden base of a mux: not listed */
    /* changed with the big lock while nobody is attached */
    EventLoop *loop;
    CharFrontend *fe; /* NULL: none (a mux keeps its own list) */
    Lock lock;
    /* under the lock */
    int in_fd, out_fd;
    bool connected; /* atomic to read without it */
    bool input_kicked; /* accept_input came since can_read() was last asked */
    Watch *in_watch, *out_watch;
    Watch *hung_up_watch; /* while nobody takes input */
    BottomHalf *ended_bh;    /* runs char_end_connection() on the loop */
    BottomHalf *writable_bh; /* runs the writable callbacks on the loop */
    GByteArray *out;         /* output that waits; out_done bytes of it are sent */
    size_t out_done;
    int fds[CHAR_MAX_FDS]; /* came with the last input */
    size_t n_fds;
    int log_fd; /* logfile=; -1: none */
};

/* A new one, not opened, in no list; NULL with @error when there is no such kind, or @id is taken. */
Chardev *char_alloc(const char *kind, const char *id, GError **error);
/* Opens @chr and puts it in the list; frees it when that fails. */
Chardev *char_open_and_add(Chardev *chr, GError **error);
/* Sets options from KeyValues whose "backend", "id", "mux" have been taken out. */
bool char_set_option(Chardev *chr, const char *key, const char *value, GError **error);
/* One that was never opened: nothing of it is the outside's. */
void char_free(Chardev *chr);

/* The kind has a peer: its descriptors pass to the core.  Out may equal in; -1: that direction is the kind's.
 */
void char_connected(Chardev *chr, int in_fd, int out_fd);
/* Ends the connection; on the loop's thread (or before it runs), without chr->lock. */
void char_end_connection(Chardev *chr);
/* Input may be there again after the end of input on a chardev that stays open. */
void char_watch_input(Chardev *chr);
/* For kinds that hand out input themselves. */
size_t char_fe_can_read(CharFrontend *fe);
void char_fe_read(CharFrontend *fe, const void *buf, size_t len);
void char_fe_event(CharFrontend *fe, CharEvent event);

/* Takes the big lock for a callback on @loop when that is the main loop and does not hold it; pass the result to
 * _leave. */
bool char_enter(EventLoop *loop);
void char_leave(bool taken);

/* A mux over @base, under the name @id. */
Chardev *char_mux_new(const char *id, Chardev *base, GError **error);
bool char_set_nonblock(int fd, GError **error);
/* Opens a file for writing, or -1 with errno. */
int char_open_output(const Chardev *chr, const char *path, bool append);

#endif
