/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The registry of state sections, and the front of StateIO that devices call.  The bytes are migration's.
 *
 * After the first error every call does nothing: a state function needs no error handling of its own.
 */
#include "system/state.h"

#include <string.h>

#include "util/bits.h"
#include "util/error.h"

static GPtrArray *entries; /* of StateEntry *, in order of registration; big lock */
static unsigned next_order;

/* --- registry --- */

static void free_entry(void *data)
{
    StateEntry *entry = data;

    g_free(entry->idstr);
    g_free(entry);
}

StateEntry *state_find(const char *idstr, int instance)
{
    for (unsigned i = 0; entries && i < entries->len; i++) {
        StateEntry *entry = g_ptr_array_index(entries, i);

        if (entry->instance == instance && !strcmp(entry->idstr, idstr)) {
            return entry;
        }
    }
    return NULL;
}

static int free_instance(const char *idstr)
{
    int instance = 0;

    while (state_find(idstr, instance)) {
        instance++;
    }
    return instance;
}

void state_register(const StateSection *section, const char *idstr, int instance, void *opaque)
{
    StateEntry *entry = g_new0(StateEntry, 1);

    if (!entries) {
        entries = g_ptr_array_new_with_free_func(free_entry);
    }
    entry->section = section;
    entry->idstr = g_strdup(idstr ? idstr : section->name);
    entry->instance = instance < 0 ? free_instance(entry->idstr) : instance;
    entry->opaque = opaque;
    entry->order = next_order++;
    g_ptr_array_add(entries, entry);
}

void state_unregister(const StateSection *section, void *opaque)
{
    for (unsigned i = 0; entries && i < entries->len; i++) {
        StateEntry *entry = g_ptr_array_index(entries, i);

        if (entry->section == section && entry->opaque == opaque) {
            g_ptr_array_remove_index(entries, i);
            return;
        }
    }
}

static int by_priority(gconstpointer a, gconstpointer b)
{
    const StateEntry *x = *(StateEntry *const *)a, *y = *(StateEntry *const *)b;

    if (x->section->priority != y->section->priority) {
        return y->section->priority - x->section->priority;
    }
    return x->order < y->order ? -1 : 1;
}

GPtrArray *state_entries(void)
{
    GPtrArray *sorted = g_ptr_array_new();

    for (unsigned i = 0; entries && i < entries->len; i++) {
        g_ptr_array_add(sorted, g_ptr_array_index(entries, i));
    }
    g_ptr_array_sort(sorted, by_priority);
    return sorted;
}

/* --- fields --- */

void state_fail(StateIO *io, const char *format, ...)
{
    g_autofree char *message = NULL;
    va_list args;

    va_start(args, format);
    message = g_strdup_vprintf(format, args);
    va_end(args);
    if (!io->error) {
        fail(&io->error, "%s", message);
    }
}

static bool transfer(StateIO *io, const char *name, StateFieldType type, void *data, size_t n, size_t stride)
{
    if (io->error) {
        return false;
    }
    if (!io->ops->field(io, name, type, data, n, stride)) {
        state_fail(io, "field '%s' cannot be transferred", name);
        return false;
    }
    return !io->error;
}

void state_field(StateIO *io, const char *name, StateFieldType type, void *data, size_t n, size_t stride)
{
    transfer(io, name, type, data, n, stride);
}

static size_t type_size(StateFieldType type)
{
    switch (type) {
    case STATE_TYPE_U16:
        return 2;
    case STATE_TYPE_U32:
    case STATE_TYPE_I32:
        return 4;
    case STATE_TYPE_U64:
    case STATE_TYPE_I64:
    case STATE_TYPE_TIMER:
        return 8;
    default:
        return 1;
    }
}

typedef union Scalar {
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
} Scalar;

static uint64_t scalar_value(const Scalar *scalar, size_t size)
{
    switch (size) {
    case 1:
        return scalar->u8;
    case 2:
        return scalar->u16;
    case 4:
        return scalar->u32;
    default:
        return scalar->u64;
    }
}

void state_field_range(StateIO *io, const char *name, StateFieldType type, void *data, uint64_t min,
                       uint64_t max)
{
    size_t size = type_size(type);
    Scalar loaded = {0};
    uint64_t value;

    if (!state_loading(io)) {
        transfer(io, name, type, data, 1, size);
        return;
    }
    if (!transfer(io, name, type, &loaded, 1, size)) {
        return;
    }
    value = scalar_value(&loaded, size);
    if (value < min || value > max) {
        state_fail(io, "field '%s' is %" PRIu64 ", which is not in [%" PRIu64 ", %" PRIu64 "]", name, value,
                   min, max);
        return;
    }
    memcpy(data, &loaded, size);
}

void state_unused(StateIO *io, size_t bytes)
{
    transfer(io, "unused", STATE_TYPE_UNUSED, NULL, bytes, 1);
}

void state_timer(StateIO *io, const char *name, Timer *timer)
{
    int64_t expire_ns = timer_expire_ns(timer);

    if (!transfer(io, name, STATE_TYPE_TIMER, &expire_ns, 1, sizeof(expire_ns)) || !state_loading(io)) {
        return;
    }
    if (expire_ns == TIMER_NOT_ARMED) {
        timer_del(timer);
    } else {
        timer_mod(timer, expire_ns);
    }
}

void state_u32_equal(StateIO *io, const char *name, uint32_t value)
{
    uint32_t loaded = value;

    if (transfer(io, name, STATE_TYPE_U32, &loaded, 1, sizeof(loaded)) && loaded != value) {
        state_fail(io, "field '%s' is %" PRIu32 " where this machine has %" PRIu32, name, loaded, value);
    }
}

bool state_subsection(StateIO *io, const char *name, int version, bool needed)
{
    return !io->error && io->ops->subsection(io, name, version, needed) && !io->error;
}

void state_subsection_end(StateIO *io)
{
    if (!io->error) {
        io->ops->subsection_end(io);
    }
}

void state_struct_begin(StateIO *io, const char *name, const char *struct_name, int version, int index)
{
    if (!io->error) {
        io->ops->struct_begin(io, name, struct_name, version, index);
    }
}

void state_struct_end(StateIO *io)
{
    if (!io->error) {
        io->ops->struct_end(io);
    }
}
