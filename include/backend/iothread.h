/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "-object iothread,id=ID": an event loop on a thread of its own, for devices that take iothread=ID. */
#ifndef BACKEND_IOTHREAD_H
#define BACKEND_IOTHREAD_H

#include <glib.h>

#include "util/event-loop.h"

/* Takes a reference (the object cannot be deleted until iothread_release()).  Big lock. */
EventLoop *iothread_claim(const char *id, GError **error);
void iothread_release(const char *id);

#endif
