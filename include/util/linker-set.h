/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linker sets: types register themselves where they are defined, and nothing runs before main.
 *
 * LINKER_SET_ADD puts a pointer to a constant object into the section "set_<set>"; the linker concatenates
 * these sections and bounds them with __start_ and __stop_ symbols.  Pointers and not the objects themselves,
 * since compilers pad objects as they please but never a pointer.  The order is that of linking: depend on
 * none. An object file in a static library joins only when it is linked, so libraries are linked whole.
 */
#ifndef UTIL_LINKER_SET_H
#define UTIL_LINKER_SET_H

#include "util/compiler.h"

#if defined(__has_attribute)
#if __has_attribute(retain)
#define LINKER_SET_KEEP used, retain
#endif
#endif
#ifndef LINKER_SET_KEEP
#define LINKER_SET_KEEP used
#endif

/* Adds @symbol, a static or global `const type` object, to @set.  At file scope; ends with a semicolon. */
#define LINKER_SET_ADD(set, type, symbol)                                                                    \
    static const type *const linker_set_##set##_##symbol                                                     \
        __attribute__((LINKER_SET_KEEP, section("set_" #set))) = &symbol

#define LINKER_SET_BOUND_(name, type)                                                                        \
    ({                                                                                                       \
        extern const type *const name[] __attribute__((weak));                                               \
        (const type *const *)name;                                                                           \
    })

/* Runs the statement that follows with @it, declared here as `const type *`, for each member of @set. */
#define LINKER_SET_FOREACH(set, type, it)                                                                    \
    for (const type *const *it##_slot_ = LINKER_SET_BOUND_(__start_set_##set, type),                         \
                           *const *it##_stop_ = LINKER_SET_BOUND_(__stop_set_##set, type), *it = NULL;       \
         it##_slot_ < it##_stop_ && ((it = *it##_slot_), true); it##_slot_++)

#endif
