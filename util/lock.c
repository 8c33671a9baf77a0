/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ranked locks over pthreads; each thread keeps the stack of what it holds while checking is on. */
#include "util/lock.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MAX_HELD 32

#ifndef DEBUG_LOCKS
#define DEBUG_LOCKS 0
#endif

static bool checking = DEBUG_LOCKS;

/* Locks past MAX_HELD are not remembered, which only loses checks. */
static __thread struct {
    const Lock *lock[MAX_HELD];
    unsigned count;
} held;

bool lock_set_checking(bool on)
{
    bool old = atomic_read(&checking);

    atomic_set(&checking, on);
    return old;
}

static void NO_INLINE rank_violation(const Lock *wanted, const Lock *has)
{
    fprintf(stderr, "lock rank violation: taking '%s' (rank %d) while holding '%s' (rank %d)\n", wanted->name,
            wanted->rank, has->name, has->rank);
    abort();
}

static void check_rank(const Lock *lock)
{
    for (unsigned i = 0; i < held.count; i++) {
        const Lock *other = held.lock[i];
        bool in_order = lock->rank == RANK_NONE || other->rank < lock->rank ||
                        (other->rank == lock->rank && lock->same_rank_ok);

        if (other == lock || !in_order) {
            rank_violation(lock, other);
        }
    }
}

static void remember(const Lock *lock)
{
    if (held.count < MAX_HELD) {
        held.lock[held.count++] = lock;
    }
}

/* Locks may be released in any order. */
static void forget(const Lock *lock)
{
    for (unsigned i = held.count; i-- > 0;) {
        if (held.lock[i] == lock) {
            for (held.count--; i < held.count; i++) {
                held.lock[i] = held.lock[i + 1];
            }
            return;
        }
    }
}

/* The address of a thread-local object names the thread. */
static const void *self(void)
{
    return &held;
}

void lock_init(Lock *lock, LockRank rank, const char *name)
{
    *lock = (Lock)LOCK_INITIALIZER(rank, name);
    pthread_mutex_init(&lock->mutex, NULL);
}

void lock_allow_same_rank(Lock *lock)
{
    lock->same_rank_ok = true;
}

void lock_destroy(Lock *lock)
{
    pthread_mutex_destroy(&lock->mutex);
}

void lock_acquire(Lock *lock)
{
    bool check = unlikely(atomic_read(&checking));

    if (check) {
        check_rank(lock);
    }
    pthread_mutex_lock(&lock->mutex);
    atomic_set(&lock->owner, self());
    if (check) {
        remember(lock);
    }
}

bool lock_try(Lock *lock)
{
    if (pthread_mutex_trylock(&lock->mutex) != 0) {
        return false;
    }
    atomic_set(&lock->owner, self());
    if (unlikely(atomic_read(&checking))) {
        remember(lock);
    }
    return true;
}

void lock_release(Lock *lock)
{
    if (unlikely(held.count)) {
        forget(lock);
    }
    atomic_set(&lock->owner, NULL);
    pthread_mutex_unlock(&lock->mutex);
}

bool lock_held_by_me(const Lock *lock)
{
    return atomic_read(&lock->owner) == self();
}

void cond_init(Cond *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&cond->cond, &attr);
    pthread_condattr_destroy(&attr);
}

void cond_destroy(Cond *cond)
{
    pthread_cond_destroy(&cond->cond);
}

/* While it waits the thread takes no lock, so its stack of held locks may stay as it is. */
void cond_wait(Cond *cond, Lock *lock)
{
    atomic_set(&lock->owner, NULL);
    pthread_cond_wait(&cond->cond, &lock->mutex);
    atomic_set(&lock->owner, self());
}

bool cond_timedwait_ns(Cond *cond, Lock *lock, int64_t timeout_ns)
{
    const int64_t second = 1000000000;
    struct timespec until;
    int64_t ns;
    int result;

    timeout_ns = timeout_ns < 0 ? 0 : timeout_ns;
    clock_gettime(CLOCK_MONOTONIC, &until);
    ns = until.tv_nsec + timeout_ns % second;
    until.tv_sec += timeout_ns / second + ns / second;
    until.tv_nsec = ns % second;

    atomic_set(&lock->owner, NULL);
    result = pthread_cond_timedwait(&cond->cond, &lock->mutex, &until);
    atomic_set(&lock->owner, self());
    return result != ETIMEDOUT;
}

void cond_signal(Cond *cond)
{
    pthread_cond_signal(&cond->cond);
}

void cond_broadcast(Cond *cond)
{
    pthread_cond_broadcast(&cond->cond);
}

/* The holder may have lost its CPU: after a while let it have ours. */
void spin_lock_slow(SpinLock *lock)
{
    unsigned spins = 0;

    do {
        while (atomic_read(&lock->locked)) {
            if (++spins % 64 == 0) {
                sched_yield();
            } else {
                cpu_relax();
            }
        }
    } while (!spin_try(lock));
}
