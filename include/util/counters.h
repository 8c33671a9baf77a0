/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Named statistics: COUNTER(tb_flushes, "times all translated code was thrown away") in a .c file, then
 * counter_inc(tb_flushes).  'info stats' and 'info jit' print all of them.  For slow paths: an add is an
 * atomic.
 */
#ifndef UTIL_COUNTERS_H
#define UTIL_COUNTERS_H

#include "util/atomic.h"
#include "util/linker-set.h"

typedef struct Counter {
    const char *name;
    const char *help;
    uint64_t *value;
} Counter;

/* At file scope; names are unique in the program and start with the subsystem. */
#define COUNTER(name_, help_)                                                                                \
    COUNTER_EXTERN(name_);                                                                                   \
    uint64_t counter_value_##name_;                                                                          \
    static const Counter counter_##name_ = {.name = #name_, .help = help_, .value = &counter_value_##name_}; \
    LINKER_SET_ADD(counters, Counter, counter_##name_)

/* For a header, when another file of the module counts too. */
#define COUNTER_EXTERN(name_) extern uint64_t counter_value_##name_

#define counter_add(name_, n) atomic_add_relaxed(&counter_value_##name_, (uint64_t)(n))
#define counter_inc(name_)    counter_add(name_, 1)
#define counter_read(name_)   atomic_read(&counter_value_##name_)

/* The counters whose names start with @prefix ("" for all), sorted by name. */
void counters_foreach(const char *prefix,
                      void (*func)(const char *name, const char *help, uint64_t value, void *opaque),
                      void *opaque);

#endif
