/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RCU by a clock: a grace period is over when each thread was seen outside of the read sections that were
 * open when it began.
 *
 * rcu_period counts grace periods from 1 and never wraps.  Each thread has a word of its own, active: 0
 * outside of read sections, else the rcu_period it saw when it entered.
 *
 *     reader                                     writer
 *     R1  p = load(rcu_period)      acquire      W1  unpublish the old object
 *     R2  exchange(active, p)       acq + rel    W2  new = fetch_add(rcu_period, 1) + 1    acq + rel
 *     R3  find objects, use them                 W3  for each thread, until it is 0 or >= new:
 *     R4  store(active, 0)          release              fetch_add(active, 0)              acq + rel
 *                                                W4  free the old object
 *
 * Claim: R3 either does not find the old object or happens before W4.
 *
 * R2, R4 and the accesses of W3 all modify one location, so they have an order; we use nothing else.  Let w
 * be the access that let this reader pass.  Note (*): if R1 reads a value >= new, it synchronizes with W2
 * (all changes of rcu_period are read-modify-writes), so W1 happens before this and all later sections of the
 * reader, and these do not find the old object.
 *
 * 1. w comes before R2.  Let m be the reader's first modification after w.
 *    m is an exchange: it reads from w, or through other writers' fetch_adds, and synchronizes with w.  So W1
 *    happens before m and what follows it, R3 included, which does not find the old object.
 *    m is a store R4': then w fell into that earlier section, read its period, not 0, and passed: it was
 *    >= new, and (*) holds for that section.
 * 2. w comes after R2 and before R4.  It read the period of R2 and passed: >= new, and (*) holds.
 * 3. w comes after R4.  It reads from R4 or from something later that the reader did with release order,
 *    through other writers' fetch_adds perhaps.  It synchronizes with that, so R3 happens before W4.
 *
 * A thread that W3 did not see in the registry joined later or left earlier; the registry lock orders its
 * sections after W1 or before W4.  Writers do W2 and W3 one at a time, but nothing above depends on it.
 *
 * There is no fence and no sequentially consistent access, so ThreadSanitizer can follow the proof too.
 */
#include "util/rcu.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <time.h>

#include "util/lock.h"

/* Looks at a reader this often, yielding, before it goes to sleep between looks. */
#define YIELDS       16
#define SLEEP_MIN_NS 20000
#define SLEEP_MAX_NS 1000000

__thread RcuReader rcu_reader;
uint64_t rcu_period = 1;

/* One grace period at a time. */
static Lock grace_lock = LOCK_INITIALIZER(RANK_RCU, "rcu grace period");
/* The list of threads.  A leaf, since the first read section of a thread may open under any lock. */
static Lock registry_lock = {
    .mutex = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_LEAF, .name = "rcu registry", .same_rank_ok = true};
static RcuReader *registry;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_exit_key;

static struct {
    /* atomic: a stack, latest first; whoever pushes onto the empty stack posts the semaphore */
    RcuHead *pending;
    sem_t wakeup;
    /* atomic to read, under start_lock to write */
    bool started;
} reclaimer;
static Lock start_lock = {
    .mutex = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_LEAF, .name = "rcu start", .same_rank_ok = true};

static void thread_exits(void *reader)
{
    rcu_unregister_thread();
}

/* Only the thread that forked lives on in the child; the reclaimer starts again when it is needed. */
static void after_fork_in_child(void)
{
    RcuReader *self = &rcu_reader;

    lock_init(&grace_lock, RANK_RCU, grace_lock.name);
    lock_init(&registry_lock, RANK_LEAF, registry_lock.name);
    lock_allow_same_rank(&registry_lock);
    lock_init(&start_lock, RANK_LEAF, start_lock.name);
    lock_allow_same_rank(&start_lock);
    self->prev = self->next = NULL;
    registry = self->registered ? self : NULL;
    sem_init(&reclaimer.wakeup, 0, reclaimer.pending ? 1 : 0);
    reclaimer.started = false;
}

static void init_once(void)
{
    pthread_key_create(&thread_exit_key, thread_exits);
    pthread_atfork(NULL, NULL, after_fork_in_child);
    sem_init(&reclaimer.wakeup, 0, 0);
}

void rcu_register_thread(void)
{
    RcuReader *reader = &rcu_reader;

    if (reader->registered) {
        return;
    }
    pthread_once(&once, init_once);
    pthread_setspecific(thread_exit_key, reader);
    lock_acquire(&registry_lock);
    reader->prev = NULL;
    reader->next = registry;
    if (registry) {
        registry->prev = reader;
    }
    registry = reader;
    reader->registered = true;
    lock_release(&registry_lock);
}

void rcu_unregister_thread(void)
{
    RcuReader *reader = &rcu_reader;

    if (!reader->registered) {
        return;
    }
    lock_acquire(&registry_lock);
    if (reader->prev) {
        reader->prev->next = reader->next;
    } else {
        registry = reader->next;
    }
    if (reader->next) {
        reader->next->prev = reader->prev;
    }
    reader->registered = false;
    reader->force = NULL;
    lock_release(&registry_lock);
}

void rcu_set_force_callback(void (*force)(void *opaque), void *opaque)
{
    rcu_register_thread();
    lock_acquire(&registry_lock);
    rcu_reader.force = force;
    rcu_reader.force_opaque = opaque;
    lock_release(&registry_lock);
}

/* Step W3, one look at everybody.  With @force, those in the way are asked to leave. */
static bool all_readers_passed(uint64_t period, bool force)
{
    bool passed = true;

    LOCK_GUARD(&registry_lock);
    for (RcuReader *reader = registry; reader; reader = reader->next) {
        uint64_t active = __atomic_fetch_add(&reader->active, 0, __ATOMIC_ACQ_REL);

        if (active && active < period) {
            passed = false;
            if (force && reader->force) {
                reader->force(reader->force_opaque);
            }
        }
    }
    return passed;
}

static void pause_between_looks(unsigned looks)
{
    unsigned doublings = looks < YIELDS ? 0 : MIN(looks - YIELDS, 10u);
    struct timespec sleep = {.tv_nsec = MIN(SLEEP_MIN_NS << doublings, SLEEP_MAX_NS)};

    if (looks < YIELDS) {
        sched_yield();
    } else {
        nanosleep(&sleep, NULL);
    }
}

void synchronize_rcu(void)
{
    uint64_t period;

    g_return_if_fail(!rcu_read_lock_held());
    LOCK_GUARD(&grace_lock);
    period = __atomic_add_fetch(&rcu_period, 1, __ATOMIC_ACQ_REL);
    for (unsigned looks = 0; !all_readers_passed(period, looks > 0); looks++) {
        pause_between_looks(looks);
    }
}

static RcuHead *oldest_first(RcuHead *stack)
{
    RcuHead *list = NULL;

    while (stack) {
        RcuHead *next = stack->next;

        stack->next = list;
        list = stack;
        stack = next;
    }
    return list;
}

/* rcu_free_at_offset() leaves an offset where the function would be: no function lies in the first page. */
#define MAX_OFFSET 4096

static void dispose_of(RcuHead *head)
{
    uintptr_t offset = (uintptr_t)head->func;

    if (offset < MAX_OFFSET) {
        g_free((char *)head - offset);
    } else {
        head->func(head);
    }
}

static void *reclaim(void *opaque)
{
    for (;;) {
        RcuHead *list;

        while (sem_wait(&reclaimer.wakeup) < 0 && errno == EINTR) {
        }
        /* acquire: pairs with the push in call_rcu() */
        list = oldest_first(atomic_xchg(&reclaimer.pending, NULL));
        if (list) {
            synchronize_rcu();
        }
        while (list) {
            RcuHead *next = list->next;

            dispose_of(list);
            list = next;
        }
    }
    return NULL;
}

/* When there can be no thread now, the next call tries again. */
static void start_reclaimer(void)
{
    pthread_t thread;

    pthread_once(&once, init_once);
    LOCK_GUARD(&start_lock);
    if (!reclaimer.started && pthread_create(&thread, NULL, reclaim, NULL) == 0) {
        pthread_setname_np(thread, "rcu");
        pthread_detach(thread);
        /* release: pairs with the acquire in call_rcu() */
        atomic_store_release(&reclaimer.started, true);
    }
}

void call_rcu(RcuHead *head, RcuCallback *func)
{
    RcuHead *latest = atomic_read(&reclaimer.pending);

    head->func = func;
    if (unlikely(!atomic_load_acquire(&reclaimer.started))) {
        start_reclaimer();
    }
    do {
        head->next = latest;
        /* release: pairs with the exchange in reclaim(), which takes the whole stack, so no ABA */
    } while (!__atomic_compare_exchange_n(&reclaimer.pending, &latest, head, true, __ATOMIC_RELEASE,
                                          __ATOMIC_RELAXED));
    if (!latest) {
        sem_post(&reclaimer.wakeup);
    }
}

void rcu_free_at_offset(RcuHead *head, size_t offset)
{
    g_assert(offset < MAX_OFFSET);
    call_rcu(head, (RcuCallback *)offset);
}

typedef struct Barrier {
    RcuHead rcu;
    sem_t reached;
} Barrier;

static void barrier_reached(RcuHead *head)
{
    sem_post(&container_of(head, Barrier, rcu)->reached);
}

void rcu_barrier(void)
{
    Barrier barrier;

    g_return_if_fail(!rcu_read_lock_held());
    sem_init(&barrier.reached, 0, 0);
    call_rcu(&barrier.rcu, barrier_reached);
    while (sem_wait(&barrier.reached) < 0 && errno == EINTR) {
    }
    sem_destroy(&barrier.reached);
}
