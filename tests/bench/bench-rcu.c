/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What RCU costs: a read section alone and beside a writer, and a grace period. */
#include "util/rcu.h"

#include <stdio.h>

#define SECTIONS 20000000
#define GRACES   2000

static unsigned stop;
static uint64_t graces;

static double seconds_since(int64_t start)
{
    return (g_get_monotonic_time() - start) / 1e6;
}

static double ns_per_section(void)
{
    int64_t start = g_get_monotonic_time();

    for (unsigned i = 0; i < SECTIONS; i++) {
        rcu_read_lock();
        compiler_barrier();
        rcu_read_unlock();
    }
    return seconds_since(start) * 1e9 / SECTIONS;
}

static void *writer(void *opaque)
{
    while (!atomic_read(&stop)) {
        synchronize_rcu();
        graces++;
    }
    return NULL;
}

int main(void)
{
    GThread *thread;
    int64_t start;

    printf("read section                   %8.2f ns\n", ns_per_section());
    start = g_get_monotonic_time();
    for (unsigned i = 0; i < GRACES; i++) {
        synchronize_rcu();
    }
    printf("grace period, nobody reads     %8.2f us\n", seconds_since(start) * 1e6 / GRACES);

    start = g_get_monotonic_time();
    thread = g_thread_new("writer", writer, NULL);
    printf("read section beside a writer   %8.2f ns\n", ns_per_section());
    atomic_set(&stop, 1);
    g_thread_join(thread);
    printf("grace period beside a reader   %8.2f us\n", seconds_since(start) * 1e6 / graces);
    return 0;
}
