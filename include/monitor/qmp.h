/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One QMP session: bytes in, replies and events out.  Knows no character device, so a test can be its client.
 *
 * Input arrives on the I/O thread, where it is split, parsed and queued; exec-oob commands run there at once.
 * All other requests run on the main loop, one per qmp_session_run().  Output is one text of whole lines that
 * the owner takes on the I/O thread; anybody appends to it.
 */
#ifndef MONITOR_QMP_H
#define MONITOR_QMP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct QmpSession QmpSession;

typedef struct QmpSessionOps {
    /* Requests wait: call qmp_session_run() on the main loop.  I/O thread. */
    void (*want_run)(void *opaque);
    /* Output waits: call qmp_session_take_output() on the I/O thread.  Any thread; leaf locks only. */
    void (*want_output)(void *opaque);
    /* There is room in the queue again.  Main loop. */
    void (*want_input)(void *opaque);
} QmpSessionOps;

QmpSession *qmp_session_new(const QmpSessionOps *ops, void *opaque, bool oob, bool pretty);
/* Nothing of the session is in use by another thread any more. */
void qmp_session_free(QmpSession *session);

/* I/O thread. */
void qmp_session_opened(QmpSession *session); /* greets */
void qmp_session_closed(QmpSession *session);
/* How much input the session wants now: 0 while its queue is full. */
size_t qmp_session_can_read(QmpSession *session);
void qmp_session_input(QmpSession *session, const uint8_t *buf, size_t len);
void qmp_session_add_fds(QmpSession *session, const int *fds, size_t n); /* takes them over */
/* The output so far, newly allocated, NULL when there is none. */
char *qmp_session_take_output(QmpSession *session, size_t *len);

/* Main loop, big lock: runs the oldest request.  Returns whether more wait. */
bool qmp_session_run(QmpSession *session);

#endif
