/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Event loops on GMainContext.
 *
 * Posted functions go through one queue per loop, drained by one GSource; a bottom half is a GSource of its
 * own.  GLib wakes the loop; what one thread hands to another is ordered by our own locks and atomics, so
 * that a reader (and ThreadSanitizer, which does not see into GLib) need not know GLib's.
 */
#include "util/event-loop.h"

#include <glib-unix.h>
#include <pthread.h>

#include "util/error.h"
#include "util/lock.h"

typedef struct Posted Posted;

struct Posted {
    Posted *next;
    EventFunc *func;
    void *opaque;
};

struct EventLoop {
    /* constant after init */
    char *name;
    GMainContext *context;
    GSource *post_source;
    pthread_t thread;
    /* the loop's thread */
    bool stop;
    /* under lock */
    Lock lock;
    Posted *first, **tail;
};

/* ---- posted functions ---- */

typedef struct PostSource {
    GSource source;
    EventLoop *loop;
} PostSource;

static Posted *take_posted(EventLoop *loop)
{
    Posted *list;

    LOCK_GUARD(&loop->lock);
    list = loop->first;
    loop->first = NULL;
    loop->tail = &loop->first;
    return list;
}

static void run_posted(EventLoop *loop)
{
    Posted *posted = take_posted(loop);

    while (posted) {
        Posted *next = posted->next;

        posted->func(posted->opaque);
        g_free(posted);
        posted = next;
    }
}

static gboolean post_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    g_source_set_ready_time(source, -1);
    run_posted(((PostSource *)source)->loop);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs post_source_funcs = {.dispatch = post_dispatch};

void event_loop_post(EventLoop *loop, EventFunc *func, void *opaque)
{
    Posted *posted = g_new(Posted, 1);

    *posted = (Posted){.func = func, .opaque = opaque};
    lock_acquire(&loop->lock);
    *loop->tail = posted;
    loop->tail = &posted->next;
    lock_release(&loop->lock);
    g_source_set_ready_time(loop->post_source, 0);
}

typedef struct Call {
    EventFunc *func;
    void *opaque;
    Lock lock;
    Cond done_cond;
    bool done;
} Call;

static void run_call(void *opaque)
{
    Call *call = opaque;

    call->func(call->opaque);
    LOCK_GUARD(&call->lock);
    call->done = true;
    cond_signal(&call->done_cond);
}

void event_loop_call(EventLoop *loop, EventFunc *func, void *opaque)
{
    Call call = {.func = func, .opaque = opaque};

    if (event_loop_in_thread(loop)) {
        func(opaque);
        return;
    }
    lock_init(&call.lock, RANK_LEAF, "event loop call");
    lock_allow_same_rank(&call.lock);
    cond_init(&call.done_cond);
    event_loop_post(loop, run_call, &call);
    lock_acquire(&call.lock);
    while (!call.done) {
        cond_wait(&call.done_cond, &call.lock);
    }
    lock_release(&call.lock);
    cond_destroy(&call.done_cond);
    lock_destroy(&call.lock);
}

/* ---- loops ---- */

static EventLoop *loop_new(const char *name, GMainContext *context)
{
    EventLoop *loop = g_new0(EventLoop, 1);

    loop->name = g_strdup(name);
    loop->context = context;
    loop->tail = &loop->first;
    lock_init(&loop->lock, RANK_LEAF, "event loop queue");
    lock_allow_same_rank(&loop->lock);
    loop->post_source = g_source_new(&post_source_funcs, sizeof(PostSource));
    ((PostSource *)loop->post_source)->loop = loop;
    g_source_attach(loop->post_source, context);
    return loop;
}

static void loop_delete(EventLoop *loop)
{
    g_source_destroy(loop->post_source);
    g_source_unref(loop->post_source);
    g_main_context_unref(loop->context);
    lock_destroy(&loop->lock);
    g_free(loop->name);
    g_free(loop);
}

static EventLoop *main_loop;
static pthread_once_t main_loop_once = PTHREAD_ONCE_INIT;

static void main_loop_init(void)
{
    main_loop = loop_new("main", g_main_context_ref(g_main_context_default()));
    main_loop->thread = pthread_self();
}

EventLoop *event_loop_main(void)
{
    pthread_once(&main_loop_once, main_loop_init);
    return main_loop;
}

static void *loop_thread(void *opaque)
{
    EventLoop *loop = opaque;

    g_main_context_push_thread_default(loop->context);
    while (!loop->stop) {
        g_main_context_iteration(loop->context, TRUE);
    }
    g_main_context_pop_thread_default(loop->context);
    return NULL;
}

EventLoop *event_loop_new_thread(const char *name, GError **error)
{
    EventLoop *loop = loop_new(name, g_main_context_new());
    char short_name[16];
    int err;

    /* the new thread may run before pthread_create() returns: nothing below changes what it reads */
    err = pthread_create(&loop->thread, NULL, loop_thread, loop);
    if (err) {
        fail_errno(error, err, "cannot start thread '%s'", name);
        loop_delete(loop);
        return NULL;
    }
    g_strlcpy(short_name, name, sizeof(short_name));
    pthread_setname_np(loop->thread, short_name);
    return loop;
}

static void stop_loop(void *opaque)
{
    ((EventLoop *)opaque)->stop = true;
}

void event_loop_free(EventLoop *loop)
{
    g_return_if_fail(loop != main_loop && !event_loop_in_thread(loop));
    event_loop_post(loop, stop_loop, loop);
    pthread_join(loop->thread, NULL);
    /* posted by the last functions that ran */
    run_posted(loop);
    loop_delete(loop);
}

const char *event_loop_name(const EventLoop *loop)
{
    return loop->name;
}

GMainContext *event_loop_context(EventLoop *loop)
{
    return loop->context;
}

bool event_loop_in_thread(const EventLoop *loop)
{
    return pthread_equal(loop->thread, pthread_self());
}

bool event_loop_run_once(EventLoop *loop, bool may_block)
{
    return g_main_context_iteration(loop->context, may_block);
}

void event_loop_wakeup(EventLoop *loop)
{
    g_main_context_wakeup(loop->context);
}

/* ---- file descriptors ---- */

struct Watch {
    GSource *source;
    WatchFunc *func;
    void *opaque;
    /* atomic: hands the fields from the thread that made the watch to the loop, and back to who frees it */
    bool ready;
};

static gboolean watch_dispatch(gint fd, GIOCondition condition, gpointer opaque)
{
    Watch *watch = opaque;
    bool keep;

    /* acquire: pairs with the release in event_loop_watch_fd() */
    (void)atomic_load_acquire(&watch->ready);
    keep = watch->func(fd, condition, watch->opaque);
    /* release: pairs with the acquire in watch_free() */
    atomic_store_release(&watch->ready, true);
    return keep ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* GLib calls this when the source is gone and no dispatch of it is under way. */
static void watch_free(gpointer opaque)
{
    Watch *watch = opaque;

    (void)atomic_load_acquire(&watch->ready);
    g_source_unref(watch->source);
    g_free(watch);
}

Watch *event_loop_watch_fd(EventLoop *loop, int fd, GIOCondition condition, WatchFunc *func, void *opaque)
{
    Watch *watch = g_new0(Watch, 1);

    watch->source = g_unix_fd_source_new(fd, condition | G_IO_ERR | G_IO_HUP);
    watch->func = func;
    watch->opaque = opaque;
    g_source_set_callback(watch->source, G_SOURCE_FUNC(watch_dispatch), watch, watch_free);
    /* release: pairs with the acquire in watch_dispatch() */
    atomic_store_release(&watch->ready, true);
    g_source_attach(watch->source, loop->context);
    return watch;
}

/* A function of its own, so that watch_remove() stands in the stacks that tests/tsan.supp looks at. */
static void __attribute__((noinline)) destroy_source(GSource *source)
{
    g_source_destroy(source);
}

void watch_remove(Watch *watch)
{
    if (watch) {
        destroy_source(watch->source);
    }
}

/* ---- bottom halves ---- */

struct BottomHalf {
    /* constant after init */
    GSource *source;
    EventFunc *func;
    void *opaque;
    /* atomic: the source holds one, a dispatch under way another */
    unsigned references;
    bool scheduled;
};

static void bh_unref(gpointer opaque)
{
    BottomHalf *bh = opaque;

    if (atomic_fetch_dec(&bh->references) == 1) {
        g_free(bh);
    }
}

static gboolean bh_run(gpointer opaque)
{
    BottomHalf *bh = opaque;

    atomic_inc(&bh->references);
    /* reset first, so that it can be scheduled again while it runs; acquire: pairs with bh_schedule() */
    if (atomic_xchg(&bh->scheduled, false)) {
        bh->func(bh->opaque);
    }
    bh_unref(bh);
    return G_SOURCE_CONTINUE;
}

static gboolean bh_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    g_source_set_ready_time(source, -1);
    return callback(data);
}

static GSourceFuncs bh_source_funcs = {.dispatch = bh_dispatch};

BottomHalf *bh_new(EventLoop *loop, EventFunc *func, void *opaque)
{
    BottomHalf *bh = g_new(BottomHalf, 1);

    *bh = (BottomHalf){.source = g_source_new(&bh_source_funcs, sizeof(GSource)),
                       .func = func, .opaque = opaque, .references = 1};
    g_source_set_callback(bh->source, bh_run, bh, bh_unref);
    g_source_attach(bh->source, loop->context);
    return bh;
}

void bh_schedule(BottomHalf *bh)
{
    if (!atomic_xchg(&bh->scheduled, true)) {
        g_source_set_ready_time(bh->source, 0);
    }
}

void bh_cancel(BottomHalf *bh)
{
    (void)atomic_xchg(&bh->scheduled, false);
}

void bh_free(BottomHalf *bh)
{
    GSource *source = bh->source;

    g_source_destroy(source);
    g_source_unref(source);
}
