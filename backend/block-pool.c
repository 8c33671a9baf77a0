/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A job goes: queue -> worker -> completion -> callback on its loop.
 *
 * Completions for the main loop wait in a list of our own instead of being posted one by one, so that a drain
 * which holds up the main loop can run them without running anything else of the loop.  Jobs of other loops
 * complete on their threads; those callbacks never take the big lock, or a drain that holds it would wait for
 * ever.
 */
#include "block-pool.h"

#include "system/runstate.h"
#include "util/lock.h"

#define MAX_WORKERS 4

typedef struct JobQueue {
    BlockJob *first, **tail;
} JobQueue;

static struct {
    Lock lock;
    Cond work;     /* a job or the order to stop came */
    Cond progress; /* a job completed */
    /* under lock */
    JobQueue jobs;      /* for the workers */
    JobQueue main_done; /* completed, callback due on the main loop */
    BottomHalf *main_bh;
    pthread_t workers[MAX_WORKERS];
    unsigned n_workers, n_idle;
    bool stop;
} pool = {
    .lock = LOCK_INITIALIZER(RANK_LEAF, "block pool"),
    .work = {PTHREAD_COND_INITIALIZER},
    .progress = {PTHREAD_COND_INITIALIZER},
};

static void queue_push(JobQueue *q, BlockJob *job)
{
    job->next = NULL;
    if (!q->first) {
        q->tail = &q->first;
    }
    *q->tail = job;
    q->tail = &job->next;
}

static BlockJob *queue_pop(JobQueue *q)
{
    BlockJob *job = q->first;

    if (job) {
        q->first = job->next;
    }
    return job;
}

static void run_callback(BlockJob *job)
{
    job->func(job->opaque, job->result);
    lock_acquire(&pool.lock);
    (*job->in_flight)--;
    cond_broadcast(&pool.progress);
    lock_release(&pool.lock);
    g_free(job);
}

static void run_callback_posted(void *opaque)
{
    run_callback(opaque);
}

static BlockJob *pop_main_done(void)
{
    LOCK_GUARD(&pool.lock);

    return queue_pop(&pool.main_done);
}

/* Big lock held. */
static void run_main_done(void)
{
    BlockJob *job;

    while ((job = pop_main_done())) {
        run_callback(job);
    }
}

static void main_done_on_loop(void *opaque)
{
    bool taken = !bql_locked();

    if (taken) {
        bql_lock();
    }
    run_main_done();
    if (taken) {
        bql_unlock();
    }
}

static void complete(BlockJob *job)
{
    if (job->loop != event_loop_main()) {
        event_loop_post(job->loop, run_callback_posted, job);
        return;
    }
    lock_acquire(&pool.lock);
    queue_push(&pool.main_done, job);
    cond_broadcast(&pool.progress); /* a drain waits for it */
    lock_release(&pool.lock);
    bh_schedule(pool.main_bh);
}

static BlockJob *wait_for_job(void)
{
    LOCK_GUARD(&pool.lock);

    while (!pool.jobs.first && !pool.stop) {
        pool.n_idle++;
        cond_wait(&pool.work, &pool.lock);
        pool.n_idle--;
    }
    return queue_pop(&pool.jobs);
}

static void *worker(void *opaque)
{
    BlockJob *job;

    while ((job = wait_for_job())) {
        job->result = job->work(job);
        complete(job);
    }
    return NULL;
}

static void start_worker_locked(void)
{
    if (pool.n_workers < MAX_WORKERS &&
        pthread_create(&pool.workers[pool.n_workers], NULL, worker, NULL) == 0) {
        pthread_setname_np(pool.workers[pool.n_workers], "block");
        pool.n_workers++;
    }
}

void block_pool_submit(BlockJob *job)
{
    bool no_worker;

    lock_acquire(&pool.lock);
    if (!pool.main_bh) {
        pool.main_bh = bh_new(event_loop_main(), main_done_on_loop, NULL);
    }
    (*job->in_flight)++;
    queue_push(&pool.jobs, job);
    if (pool.n_idle == 0) {
        start_worker_locked();
    }
    no_worker = pool.n_workers == 0;
    cond_signal(&pool.work);
    lock_release(&pool.lock);
    if (no_worker) { /* no thread to be had: the work is done here, the callback still comes from the loop */
        job = wait_for_job();
        job->result = job->work(job);
        complete(job);
    }
}

void block_pool_drain(const unsigned *in_flight)
{
    lock_acquire(&pool.lock);
    while (*in_flight > 0) {
        if (pool.main_done.first) {
            lock_release(&pool.lock);
            run_main_done();
            lock_acquire(&pool.lock);
        } else {
            cond_wait(&pool.progress, &pool.lock);
        }
    }
    lock_release(&pool.lock);
}

void block_pool_stop(void)
{
    unsigned n;

    lock_acquire(&pool.lock);
    pool.stop = true;
    cond_broadcast(&pool.work);
    n = pool.n_workers;
    lock_release(&pool.lock);
    for (unsigned i = 0; i < n; i++) {
        pthread_join(pool.workers[i], NULL);
    }
    lock_acquire(&pool.lock);
    pool.n_workers = 0;
    pool.stop = false;
    lock_release(&pool.lock);
}
