/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two threads: one atomic counter, one contended mutex, waking each other. */
#include "bench.h"

#include <pthread.h>

static uint64_t counter;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static int turn;
static unsigned rounds;

static void run_two(void *(*body)(void *))
{
    pthread_t other;

    pthread_create(&other, NULL, body, (void *)1);
    body((void *)0);
    pthread_join(other, NULL);
}

static void *add_atomically(void *self)
{
    for (unsigned i = 0; i < rounds; i++) {
        __atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
    }
    return self;
}

static void *add_locked(void *self)
{
    for (unsigned i = 0; i < rounds; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    return self;
}

static void *take_turns(void *self)
{
    int me = (intptr_t)self;

    for (unsigned i = 0; i < rounds; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != me) {
            pthread_cond_wait(&turn_changed, &mutex);
        }
        counter++;
        turn = !me;
        pthread_cond_signal(&turn_changed);
        pthread_mutex_unlock(&mutex);
    }
    return self;
}

static uint64_t run_threads(void *(*body)(void *), unsigned n)
{
    counter = 0;
    rounds = n;
    run_two(body);
    return counter;
}

static uint64_t atomics(unsigned scale)
{
    return run_threads(add_atomically, 5000000 * scale);
}
static uint64_t mutexes(unsigned scale)
{
    return run_threads(add_locked, 500000 * scale);
}
static uint64_t turns(unsigned scale)
{
    return run_threads(take_turns, 8000 * scale);
}

const BenchProgram thread_programs[] = {
    {"atomics-2", "threads", atomics},
    {"mutex-2", "threads", mutexes},
    {"turns-2", "threads", turns},
    {0},
};
