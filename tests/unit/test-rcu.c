/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RCU: readers never see a freed object, callbacks come in order, late readers are asked to leave. */
#include "util/rcu.h"

#include <sys/wait.h>
#include <unistd.h>

#include "util/bits.h"

static void test_nesting(void)
{
    g_assert_false(rcu_read_lock_held());
    rcu_read_lock();
    {
        RCU_READ_LOCK_GUARD();
        g_assert_true(rcu_read_lock_held());
    }
    g_assert_true(rcu_read_lock_held());
    rcu_read_unlock();
    g_assert_false(rcu_read_lock_held());
}

typedef struct Item {
    RcuHead rcu;
    unsigned number;
} Item;

static unsigned next_number;

static void expect_next(RcuHead *head)
{
    Item *item = container_of(head, Item, rcu);

    g_assert_cmpuint(item->number, ==, next_number);
    next_number++;
    g_free(item);
}

static void test_callbacks_in_order(void)
{
    next_number = 0;
    for (unsigned i = 0; i < 1000; i++) {
        Item *item = g_new(Item, 1);

        item->number = i;
        call_rcu(&item->rcu, expect_next);
    }
    rcu_barrier();
    g_assert_cmpuint(next_number, ==, 1000);
}

typedef struct Tail {
    char text[100];
    RcuHead rcu;
} Tail;

/* Leaks and wrong frees show under the address sanitizer. */
static void test_free(void)
{
    Tail *tail = g_new0(Tail, 1);

    g_free_rcu(tail, rcu);
    rcu_barrier();
}

static unsigned entered, may_leave, forced;

static void force(void *opaque)
{
    atomic_inc((unsigned *)opaque);
    atomic_set(&may_leave, 1);
}

static void *stubborn_reader(void *opaque)
{
    rcu_set_force_callback(force, &forced);
    rcu_read_lock();
    atomic_set(&entered, 1);
    while (!atomic_read(&may_leave)) {
        g_thread_yield();
    }
    rcu_read_unlock();
    rcu_set_force_callback(NULL, NULL);
    return NULL;
}

static void test_force(void)
{
    GThread *thread = g_thread_new("reader", stubborn_reader, NULL);

    while (!atomic_read(&entered)) {
        g_thread_yield();
    }
    synchronize_rcu();
    g_assert_cmpuint(atomic_read(&forced), >=, 1);
    g_thread_join(thread);
}

static void test_call_inside_section(void)
{
    Item *item = g_new(Item, 1);

    next_number = item->number = 5;
    rcu_read_lock();
    call_rcu(&item->rcu, expect_next);
    g_assert_cmpuint(item->number, ==, 5);
    rcu_read_unlock();
    rcu_barrier();
    g_assert_cmpuint(next_number, ==, 6);
}

/* ---- validate: readers check objects that two writers replace, poison and free ---- */

#define READERS  3
#define WRITERS  2
#define REPLACES 2000
#define ALIVE    0x600d
#define DEAD     0xdead

typedef struct Object {
    RcuHead rcu;
    uint64_t value;
} Object;

static Object *shared[WRITERS];
static unsigned writers_left, readers_running;

static Object *object_new(void)
{
    Object *object = g_new(Object, 1);

    object->value = ALIVE;
    return object;
}

static void object_die(RcuHead *head)
{
    Object *object = container_of(head, Object, rcu);

    atomic_set(&object->value, DEAD);
    g_free(object);
}

static void *validate_reader(void *opaque)
{
    unsigned round = 0;

    while (atomic_read(&writers_left)) {
        rcu_read_lock();
        for (unsigned i = 0; i < WRITERS; i++) {
            Object *object = rcu_dereference(shared[i]);

            /* now and then a writer gets the time to replace and free what we look at */
            for (unsigned look = 0; look < 4; look++) {
                g_assert_cmphex(atomic_read(&object->value), ==, ALIVE);
                if (round % 16 == 0) {
                    g_thread_yield();
                }
            }
        }
        rcu_read_unlock();
        if (round++ == 0) {
            atomic_inc(&readers_running);
        }
        if (round % 64 == 0) {
            rcu_unregister_thread();
            g_thread_yield();
        }
    }
    return NULL;
}

static void *validate_writer(void *opaque)
{
    Object **slot = opaque;

    while (atomic_read(&readers_running) < READERS) {
        g_thread_yield();
    }
    for (unsigned i = 0; i < REPLACES; i++) {
        Object *old = *slot;

        rcu_assign_pointer(*slot, object_new());
        if (i % 4 == 0) {
            synchronize_rcu();
            object_die(&old->rcu);
        } else {
            call_rcu(&old->rcu, object_die);
        }
    }
    atomic_dec(&writers_left);
    return NULL;
}

static void test_validate(void)
{
    GThread *readers[READERS], *writers[WRITERS];

    writers_left = WRITERS;
    for (unsigned i = 0; i < WRITERS; i++) {
        shared[i] = object_new();
    }
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = g_thread_new("reader", validate_reader, NULL);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = g_thread_new("writer", validate_writer, &shared[i]);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        g_thread_join(writers[i]);
    }
    for (unsigned i = 0; i < READERS; i++) {
        g_thread_join(readers[i]);
    }
    rcu_barrier();
    for (unsigned i = 0; i < WRITERS; i++) {
        g_free(shared[i]);
    }
}

static void test_fork(void)
{
    int status;
    pid_t child;

#ifdef TSAN_ENABLED
    g_test_skip("no threads may be started after a fork under the thread sanitizer");
    return;
#endif
    rcu_barrier();
    child = fork();
    if (child == 0) {
        Tail *tail = g_new0(Tail, 1);

        g_free_rcu(tail, rcu);
        rcu_barrier();
        _exit(0);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_cmpint(status, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rcu/read-lock/nests", test_nesting);
    g_test_add_func("/rcu/call/runs-in-order", test_callbacks_in_order);
    g_test_add_func("/rcu/call/works-inside-a-read-section", test_call_inside_section);
    g_test_add_func("/rcu/free/frees-the-whole-object", test_free);
    g_test_add_func("/rcu/force/asks-readers-to-leave", test_force);
    g_test_add_func("/rcu/validate/readers-never-see-freed-objects", test_validate);
    g_test_add_func("/rcu/fork/child-has-a-reclaimer", test_fork);
    return g_test_run();
}
