/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Read-copy-update: readers never wait, writers wait until nobody can still see what they took away.
 *
 * A reader brackets its accesses with rcu_read_lock() and rcu_read_unlock() (they nest) and follows shared
 * pointers with rcu_dereference().  A writer publishes with rcu_assign_pointer() and frees the old object
 * after synchronize_rcu(), or leaves that to call_rcu().  Threads join by themselves at their first read
 * section. The proof stands in util/rcu.c.
 */
#ifndef UTIL_RCU_H
#define UTIL_RCU_H

#include <glib.h>

#include "util/atomic.h"

typedef struct RcuHead RcuHead;
typedef void RcuCallback(RcuHead *head);

/* Embedded in an object that call_rcu() is to dispose of. */
struct RcuHead {
    RcuHead *next;
    RcuCallback *func;
};

typedef struct RcuReader {
    /* written by its thread, read by those who wait for a grace period: 0 outside of read sections */
    uint64_t active CACHE_ALIGNED;
    /* its thread only */
    unsigned depth;
    bool registered;
    /* under the registry lock */
    struct RcuReader *prev, *next;
    void (*force)(void *opaque);
    void *force_opaque;
} RcuReader;

extern __thread RcuReader rcu_reader;
extern uint64_t rcu_period;

void rcu_register_thread(void);
/*
 * The calling thread is in no read section; one it enters later registers it again.  Also runs at thread
 * exit.
 */
void rcu_unregister_thread(void);

static inline void rcu_read_lock(void)
{
    RcuReader *reader = &rcu_reader;

    if (reader->depth++ == 0) {
        if (unlikely(!reader->registered)) {
            rcu_register_thread();
        }
        /* acquire and read-modify-write: steps R1 and R2 of the proof in util/rcu.c */
        (void)__atomic_exchange_n(&reader->active, atomic_load_acquire(&rcu_period), __ATOMIC_ACQ_REL);
    }
}

static inline void rcu_read_unlock(void)
{
    RcuReader *reader = &rcu_reader;

    if (--reader->depth == 0) {
        /* release: step R4 of the proof in util/rcu.c */
        atomic_store_release(&reader->active, 0);
    }
}

static inline bool rcu_read_lock_held(void)
{
    return rcu_reader.depth != 0;
}

typedef struct RcuGuard {
    char unused;
} RcuGuard;

static inline RcuGuard rcu_guard_enter(void)
{
    rcu_read_lock();
    return (RcuGuard){0};
}

static inline void rcu_guard_leave(RcuGuard *guard)
{
    rcu_read_unlock();
}

/* Stays in a read section until the end of the enclosing block. */
#define RCU_READ_LOCK_GUARD()                                                                                \
    RcuGuard glue(rcu_guard_, __LINE__) __attribute__((cleanup(rcu_guard_leave), unused)) = rcu_guard_enter()

/* acquire: pairs with the release in rcu_assign_pointer() */
#define rcu_dereference(p)       atomic_load_acquire(&(p))
#define rcu_assign_pointer(p, v) atomic_store_release(&(p), (v))

/* Returns when every read section that was open at the call has ended.  Not inside one; any thread. */
void synchronize_rcu(void);

/*
 * Calls @func(@head) after a grace period, on the reclaimer thread, holding no lock.  Callbacks of one thread
 * run in the order of their calls.  Any thread, inside read sections too; never waits.
 */
void call_rcu(RcuHead *head, RcuCallback *func);

/* Returns when every callback queued before the call has run.  Not inside a read section or a callback. */
void rcu_barrier(void);

void rcu_free_at_offset(RcuHead *head, size_t offset);

/* g_free()s @obj after a grace period; @field is its RcuHead. */
#define g_free_rcu(obj, field) rcu_free_at_offset(&(obj)->field, offsetof(__typeof__(*(obj)), field))

/*
 * For threads that stay in one read section for long (a vCPU that runs guest code): @force(@opaque) is
 * called, by the thread that waits, when a grace period waits for the calling thread; it should make that
 * thread leave its section soon.  It must not wait, take a ranked lock, nor use RCU.  NULL removes it: no
 * call is under way once this returns.
 */
void rcu_set_force_callback(void (*force)(void *opaque), void *opaque);

#endif
