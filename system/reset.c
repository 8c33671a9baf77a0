/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is reset with the machine besides devices: CPUs, ROM images, boot arrangements; by stage. */
#include "device-internal.h"

typedef struct ResetEntry {
    void (*fn)(void *opaque);
    void *opaque;
    int stage;
} ResetEntry;

static GPtrArray *entries; /* of ResetEntry *, by stage, then order of registration */

void reset_register(void (*fn)(void *opaque), void *opaque, int stage)
{
    ResetEntry *entry = g_new(ResetEntry, 1);
    unsigned i = 0;

    *entry = (ResetEntry){fn, opaque, stage};
    if (!entries) {
        entries = g_ptr_array_new_with_free_func(g_free);
    }
    while (i < entries->len && ((ResetEntry *)g_ptr_array_index(entries, i))->stage <= stage) {
        i++;
    }
    g_ptr_array_insert(entries, i, entry);
}

void reset_unregister(void (*fn)(void *opaque), void *opaque)
{
    for (unsigned i = 0; entries && i < entries->len; i++) {
        ResetEntry *entry = g_ptr_array_index(entries, i);

        if (entry->fn == fn && entry->opaque == opaque) {
            g_ptr_array_remove_index(entries, i);
            return;
        }
    }
}

void reset_run_registered(void)
{
    for (unsigned i = 0; entries && i < entries->len; i++) {
        ResetEntry *entry = g_ptr_array_index(entries, i);

        entry->fn(entry->opaque);
    }
}
