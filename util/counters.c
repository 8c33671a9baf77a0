/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists the counters that the linker set holds. */
#include "util/counters.h"

#include <glib.h>
#include <string.h>

static int compare_names(gconstpointer a, gconstpointer b)
{
    const Counter *const *left = a, *const *right = b;

    return strcmp((*left)->name, (*right)->name);
}

void counters_foreach(const char *prefix,
                      void (*func)(const char *name, const char *help, uint64_t value, void *opaque),
                      void *opaque)
{
    GPtrArray *sorted = g_ptr_array_new();

    LINKER_SET_FOREACH (counters, Counter, counter) {
        if (g_str_has_prefix(counter->name, prefix)) {
            g_ptr_array_add(sorted, (gpointer)counter);
        }
    }
    g_ptr_array_sort(sorted, compare_names);
    for (unsigned i = 0; i < sorted->len; i++) {
        const Counter *counter = sorted->pdata[i];

        func(counter->name, counter->help, atomic_read(counter->value), opaque);
    }
    g_ptr_array_free(sorted, TRUE);
}
