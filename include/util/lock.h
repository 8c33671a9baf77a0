/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locks with ranks.  A thread takes locks in rising rank only, so no cycle of waiters can exist.
 *
 * Debug and sanitizer builds (and -Ddebug-locks=true) check this at every acquire and stop the program
 * with the names of both locks when it does not hold: that is our own bug, never the guest's.
 */
#ifndef UTIL_LOCK_H
#define UTIL_LOCK_H

#include <pthread.h>

#include "util/atomic.h"

/*
 * Every rank of the project, outermost first.
 *
 * rank              protects                                                taken inside
 */
typedef enum LockRank {
    RANK_NONE,        /* not ranked: only for tests                          anything             */
    RANK_BQL,         /* devices, memory topology, monitor, run state        nothing              */
    RANK_MIGRATION,   /* one migration's status and its threads              BQL                  */
    RANK_RAM_LIST,    /* the list of RAMBlocks, its writers                  BQL                  */
    RANK_DIRTY,       /* growth of dirty bitmaps, listeners                  RAM_LIST, BQL        */
    RANK_TB,          /* translated blocks: page lists, jump lists           BQL                  */
    RANK_TLB,         /* one vCPU's soft TLB                                 TB, DIRTY            */
    RANK_CODE_BUFFER, /* allocation in the code buffer                       TB                   */
    RANK_DEVICE,      /* one device's state shared with its workers          BQL                  */
    RANK_CHARDEV,     /* one character device                                DEVICE, BQL          */
    RANK_MONITOR,     /* one monitor's queue and output                      CHARDEV, BQL         */
    RANK_TIMER,       /* one clock's timer list                              any of the above     */
    RANK_CPU_WORK,    /* work queued for a vCPU, its halt condition          any of the above     */
    RANK_RCU,         /* grace periods, one at a time                        any of the above     */
    RANK_TRACE,       /* the trace output                                    any of the above     */
    RANK_LEAF,        /* small things; nothing is taken while it is held     anything             */
} LockRank;

typedef struct Lock {
    pthread_mutex_t mutex;
    /* constant after init */
    const char *name;
    LockRank rank;
    bool same_rank_ok;
    /* who holds it: written by the holder, others may only compare it with themselves */
    const void *owner;
} Lock;

#define LOCK_INITIALIZER(rank_, name_) {.mutex = PTHREAD_MUTEX_INITIALIZER, .name = (name_), .rank = (rank_)}

/* @name must outlive the lock. */
void lock_init(Lock *lock, LockRank rank, const char *name);
/* This lock may be taken while another of its rank is held: the caller has an order of its own among them. */
void lock_allow_same_rank(Lock *lock);
void lock_destroy(Lock *lock);

void lock_acquire(Lock *lock);
/* Returns whether the lock was taken.  Never waits, so any rank may be tried. */
bool lock_try(Lock *lock);
void lock_release(Lock *lock);
bool lock_held_by_me(const Lock *lock);

static inline void lock_guard_release(Lock **lock)
{
    lock_release(*lock);
}

/* Holds @lock until the end of the enclosing block. */
#define LOCK_GUARD(lock)                                                                                     \
    Lock *glue(lock_guard_, __LINE__) __attribute__((cleanup(lock_guard_release), unused)) = ({              \
        Lock *guarded_ = (lock);                                                                             \
        lock_acquire(guarded_);                                                                              \
        guarded_;                                                                                            \
    })

/* Turns the rank checks on or off at run time (for tests).  Returns what they were. */
bool lock_set_checking(bool on);

typedef struct Cond {
    pthread_cond_t cond;
} Cond;

/* Uses the monotonic clock: wall clock jumps do not matter. */
void cond_init(Cond *cond);
void cond_destroy(Cond *cond);
/* The caller holds @lock; wake-ups may be spurious, so wait in a loop. */
void cond_wait(Cond *cond, Lock *lock);
/* Returns false when @timeout_ns (relative) passed without a wake-up. */
bool cond_timedwait_ns(Cond *cond, Lock *lock, int64_t timeout_ns);
void cond_signal(Cond *cond);
void cond_broadcast(Cond *cond);

/* For sections of a few instructions that never wait and never take another lock.  All zero is unlocked. */
typedef struct SpinLock {
    uint32_t locked;
} SpinLock;

static inline void spin_init(SpinLock *lock)
{
    atomic_set(&lock->locked, 0);
}

static inline bool spin_try(SpinLock *lock)
{
    /* acquire: pairs with the release in spin_unlock() */
    return __atomic_exchange_n(&lock->locked, 1, __ATOMIC_ACQUIRE) == 0;
}

void spin_lock_slow(SpinLock *lock);

static inline void spin_lock(SpinLock *lock)
{
    if (unlikely(!spin_try(lock))) {
        spin_lock_slow(lock);
    }
}

static inline void spin_unlock(SpinLock *lock)
{
    atomic_store_release(&lock->locked, 0);
}

#endif
