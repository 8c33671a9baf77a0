/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * StateIO: one function describes a device's state and runs in three directions: save, load and describe.
 *
 * Fields travel in big-endian order without tags; see docs/stream-format.md.  An error (short stream, value out
 * of range) is remembered by the StateIO: the remaining calls do nothing and the load fails, naming section, instance,
 * field and offset.  A function that indexes by a loaded value checks it first with one of the _RANGE macros, or with
 * state_failed().  Called with the machine stopped and the big lock held.
 *
 * Profiles: STATE_PROFILE_QEMU writes exactly the fields QEMU 10.0 knows; STATE_PROFILE_NATIVE adds subsections that
 * carry what those lose.
 */
#ifndef SYSTEM_STATE_H
#define SYSTEM_STATE_H

#include "system/clock.h"
#include "system/types.h"
#include <glib.h>

typedef enum StateProfile { STATE_PROFILE_NATIVE, STATE_PROFILE_QEMU } StateProfile;

typedef enum StateFieldType {
    STATE_TYPE_BOOL,
    STATE_TYPE_U8,
    STATE_TYPE_U16,
    STATE_TYPE_U32,
    STATE_TYPE_U64,
    STATE_TYPE_I8,
    STATE_TYPE_I32,
    STATE_TYPE_I64,
    STATE_TYPE_TIMER,
    STATE_TYPE_BUFFER,
    STATE_TYPE_UNUSED,
} StateFieldType;

/* Filled by migration/: where the bytes go to or come from. */
typedef struct StateIOOps {
    /* Transfers @n elements of @type, @stride bytes apart at @data.  False when failed. */
    bool (*field)(StateIO *io, const char *name, StateFieldType type, void *data, size_t n, size_t stride);
    /* Load: peeks whether the subsection comes next.  Save: writes its head.  Describe: lists it.  True: go in. */
    bool (*subsection)(StateIO *io, const char *name, int version, bool needed);
    void (*subsection_end)(StateIO *io);
    void (*struct_begin)(StateIO *io, const char *name, const char *struct_name, int version, int index);
    void (*struct_end)(StateIO *io);
} StateIOOps;

struct StateIO {
    const StateIOOps *ops;
    enum { STATE_SAVING, STATE_LOADING, STATE_DESCRIBING } direction;
    StateProfile profile;
    int version;       /* of the section being handled: loading: the stream's; else ours */
    GError *error;     /* the first one */
};

/* A section: registered under a name and an instance number. */
typedef struct StateSection {
    const char *name;       /* "serial"; the idstr, unless the device has a state_id */
    const char *vmsd_name;  /* name in vmdesc when it differs from the idstr; NULL: the same */
    int version, min_version;
    int priority;           /* higher first; STATE_PRIORITY_* */
    void (*fields)(StateIO *io, void *opaque);
    bool (*needed)(void *opaque); /* NULL: always */
    bool opaque_data;       /* vmdesc lists one field "data" (QEMU's non-vmstate sections, virtio) */
    bool native_only;       /* absent in the qemu profile */
} StateSection;
enum { STATE_PRIORITY_DEFAULT = 0, STATE_PRIORITY_IOMMU = 10, STATE_PRIORITY_PCI_BUS = 20 };

/* @instance -1: the next free number of that name.  Big lock.  @idstr NULL: section->name. */
void state_register(const StateSection *section, const char *idstr, int instance, void *opaque);
void state_unregister(const StateSection *section, void *opaque);

typedef struct StateEntry {
    const StateSection *section;
    char *idstr;
    int instance;
    void *opaque;
    unsigned order; /* of registration */
} StateEntry;
/* All entries, priority then order of registration; free with g_ptr_array_unref (entries stay state.c's).  Big lock. */
GPtrArray *state_entries(void);
StateEntry *state_find(const char *idstr, int instance);

/* --- inside StateSection.fields --- */
static inline bool state_loading(const StateIO *io)
{
    return io->direction == STATE_LOADING && !io->error;
}
static inline bool state_saving(const StateIO *io)
{
    return io->direction == STATE_SAVING;
}
static inline bool state_failed(const StateIO *io)
{
    return io->error != NULL;
}
static inline bool state_native(const StateIO *io)
{
    return io->profile == STATE_PROFILE_NATIVE;
}
/* Rejects what was loaded. */
void state_fail(StateIO *io, const char *format, ...) G_GNUC_PRINTF(2, 3);
void state_field(StateIO *io, const char *name, StateFieldType type, void *data, size_t n, size_t stride);
/* The loaded value must lie in [min, max], else the load fails and the old value stays. */
void state_field_range(StateIO *io, const char *name, StateFieldType type, void *data, uint64_t min, uint64_t max);
void state_unused(StateIO *io, size_t bytes);
/* -1 on the wire when not armed; re-armed on load. */
void state_timer(StateIO *io, const char *name, Timer *timer);
/* A value of the wire only: sent as @value, and on load must be equal. */
void state_u32_equal(StateIO *io, const char *name, uint32_t value);
bool state_subsection(StateIO *io, const char *name, int version, bool needed);
void state_subsection_end(StateIO *io);
void state_struct_begin(StateIO *io, const char *name, const char *struct_name, int version, int index);
void state_struct_end(StateIO *io);

#define STATE_BOOL(io, lv) state_field(io, #lv, STATE_TYPE_BOOL, (bool *){&(lv)}, 1, 1)
#define STATE_U8(io, lv)   state_field(io, #lv, STATE_TYPE_U8, (uint8_t *){&(lv)}, 1, 1)
#define STATE_U16(io, lv)  state_field(io, #lv, STATE_TYPE_U16, (uint16_t *){&(lv)}, 1, 2)
#define STATE_U32(io, lv)  state_field(io, #lv, STATE_TYPE_U32, (uint32_t *){&(lv)}, 1, 4)
#define STATE_U64(io, lv)  state_field(io, #lv, STATE_TYPE_U64, (uint64_t *){&(lv)}, 1, 8)
#define STATE_I32(io, lv)  state_field(io, #lv, STATE_TYPE_I32, (int32_t *){&(lv)}, 1, 4)
#define STATE_I64(io, lv)  state_field(io, #lv, STATE_TYPE_I64, (int64_t *){&(lv)}, 1, 8)
#define STATE_U8_RANGE(io, lv, min, max)  state_field_range(io, #lv, STATE_TYPE_U8, (uint8_t *){&(lv)}, min, max)
#define STATE_U16_RANGE(io, lv, min, max) state_field_range(io, #lv, STATE_TYPE_U16, (uint16_t *){&(lv)}, min, max)
#define STATE_U32_RANGE(io, lv, min, max) state_field_range(io, #lv, STATE_TYPE_U32, (uint32_t *){&(lv)}, min, max)
#define STATE_U64_RANGE(io, lv, min, max) state_field_range(io, #lv, STATE_TYPE_U64, (uint64_t *){&(lv)}, min, max)
/* Arrays: whole C arrays, or the first n elements. */
#define STATE_U8S(io, array, n)   state_field(io, #array, STATE_TYPE_U8, (uint8_t *){array}, n, 1)
#define STATE_U16S(io, array, n)  state_field(io, #array, STATE_TYPE_U16, (uint16_t *){array}, n, 2)
#define STATE_U32S(io, array, n)  state_field(io, #array, STATE_TYPE_U32, (uint32_t *){array}, n, 4)
#define STATE_U64S(io, array, n)  state_field(io, #array, STATE_TYPE_U64, (uint64_t *){array}, n, 8)
#define STATE_BUFFER(io, ptr, n)  state_field(io, #ptr, STATE_TYPE_BUFFER, ptr, n, 1)

#endif
