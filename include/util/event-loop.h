/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Event loops over GMainContext: file descriptors, posted functions, bottom halves.  Timers are in
 * system/clock.h.
 *
 * One loop is the main loop, run by main(); others are threads of their own (iothreads).  Callbacks of a loop
 * run on its thread, one at a time.
 */
#ifndef UTIL_EVENT_LOOP_H
#define UTIL_EVENT_LOOP_H

#include <glib.h>

#include "util/compiler.h"

typedef struct EventLoop EventLoop;
typedef struct Watch Watch;
typedef struct BottomHalf BottomHalf;

/* Returns false to be removed (the Watch is then freed by the loop). */
typedef bool WatchFunc(int fd, GIOCondition condition, void *opaque);
typedef void EventFunc(void *opaque);

/* The loop of the default GMainContext.  It belongs to the thread that called this first. */
EventLoop *event_loop_main(void);

/* Starts a thread @name that runs a new loop until event_loop_free(). */
EventLoop *event_loop_new_thread(const char *name, GError **error);
/*
 * Stops and joins the thread, not from the loop itself.  Functions posted before have run; watches are gone.
 */
void event_loop_free(EventLoop *loop);

const char *event_loop_name(const EventLoop *loop);
/* For GLib sources that need the context itself. */
GMainContext *event_loop_context(EventLoop *loop);
/* Whether the caller is the thread of this loop. */
bool event_loop_in_thread(const EventLoop *loop);

/*
 * Waits for events (when @may_block) and runs their callbacks once.  On the loop's thread.  Returns whether
 * any ran.
 */
bool event_loop_run_once(EventLoop *loop, bool may_block);
/* Makes a waiting loop go round once more.  Any thread. */
void event_loop_wakeup(EventLoop *loop);

/* Calls @func while @fd is ready for any of @condition (errors and hang-ups always count).  Any thread. */
Watch *event_loop_watch_fd(EventLoop *loop, int fd, GIOCondition condition, WatchFunc *func, void *opaque);
/*
 * Frees @watch; NULL is fine.  From the loop's own thread the callback does not run any more after this
 * returns.
 */
void watch_remove(Watch *watch);

/* Runs @func(@opaque) once on the loop's thread, in order of posting.  Any thread. */
void event_loop_post(EventLoop *loop, EventFunc *func, void *opaque);
/* The same, and waits until it has run; called directly when already on the loop's thread. */
void event_loop_call(EventLoop *loop, EventFunc *func, void *opaque);

/* A function that is scheduled often and runs once for all the times it was scheduled before it ran. */
BottomHalf *bh_new(EventLoop *loop, EventFunc *func, void *opaque);
/* Any thread.  What the caller wrote before is visible to the function. */
void bh_schedule(BottomHalf *bh);
/* Forgets that it was scheduled.  On the loop's thread it certainly does not run. */
void bh_cancel(BottomHalf *bh);
/* Any thread; it does not start to run after this, but may be running when called from another thread. */
void bh_free(BottomHalf *bh);

#endif
