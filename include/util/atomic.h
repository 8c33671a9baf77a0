/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Atomic access to plain fields: thin names over the compiler's __atomic builtins.
 *
 * A field that two threads touch without a lock is read and written only through these.  Unless the name
 * says otherwise, reads and writes are relaxed and read-modify-writes are sequentially consistent.
 * Every acquire, release and barrier names its partner in a comment.  Not to be mixed with <stdatomic.h>.
 */
#ifndef UTIL_ATOMIC_H
#define UTIL_ATOMIC_H

#include "util/compiler.h"

#if defined(__SANITIZE_THREAD__)
#define TSAN_ENABLED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN_ENABLED 1
#endif
#endif

#define atomic_read(p)             __atomic_load_n((p), __ATOMIC_RELAXED)
#define atomic_set(p, v)           __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define atomic_load_acquire(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define atomic_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

#define atomic_fetch_add(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define atomic_fetch_sub(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_SEQ_CST)
#define atomic_fetch_or(p, v)  __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define atomic_fetch_and(p, v) __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST)
#define atomic_fetch_xor(p, v) __atomic_fetch_xor((p), (v), __ATOMIC_SEQ_CST)
#define atomic_fetch_inc(p)    atomic_fetch_add((p), 1)
#define atomic_fetch_dec(p)    atomic_fetch_sub((p), 1)
#define atomic_inc(p)          ((void)atomic_fetch_add((p), 1))
#define atomic_dec(p)          ((void)atomic_fetch_sub((p), 1))
#define atomic_add(p, v)       ((void)atomic_fetch_add((p), (v)))
#define atomic_sub(p, v)       ((void)atomic_fetch_sub((p), (v)))
#define atomic_or(p, v)        ((void)atomic_fetch_or((p), (v)))
#define atomic_and(p, v)       ((void)atomic_fetch_and((p), (v)))
#define atomic_xchg(p, v)      __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)

/* Stores @new_ if *@p is @old_.  Returns what *@p held: equal to @old_ exactly when it was stored. */
#define atomic_cmpxchg(p, old_, new_)                                                                        \
    ({                                                                                                       \
        __typeof__(*(p)) seen_ = (old_);                                                                     \
        (void)__atomic_compare_exchange_n((p), &seen_, (new_), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);   \
        seen_;                                                                                               \
    })

/* Statistics: no ordering, no lost updates. */
#define atomic_add_relaxed(p, v) ((void)__atomic_fetch_add((p), (v), __ATOMIC_RELAXED))

#define compiler_barrier() __asm__ __volatile__("" ::: "memory")

#ifdef TSAN_ENABLED
/* ThreadSanitizer does not know fences: a read-modify-write of one word all threads share orders as much. */
extern unsigned tsan_fence_word;
#define smp_fence_(order) ((void)__atomic_fetch_add(&tsan_fence_word, 0, __ATOMIC_SEQ_CST))
#else
#define smp_fence_(order) __atomic_thread_fence(order)
#endif

#define smp_mb()  smp_fence_(__ATOMIC_SEQ_CST)
#define smp_rmb() smp_fence_(__ATOMIC_ACQUIRE)
#define smp_wmb() smp_fence_(__ATOMIC_RELEASE)

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield" ::: "memory");
#else
    compiler_barrier();
#endif
}

#endif
