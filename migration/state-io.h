/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The three back ends of StateIO: into a stream, out of one, and as text for people and tools (vmdesc). */
#ifndef MIGRATION_STATE_IO_H
#define MIGRATION_STATE_IO_H

#include "stream.h"
#include "system/state.h"

enum { STATE_SUBSECTION_MARK = 0x05 };

/* Machine stopped, big lock.  The payload of one section; its error names section, instance and field. */
bool state_save(StreamWriter *writer, const StateEntry *entry, StateProfile profile, GError **error);
/* @version: as in the stream.  Fails through the reader. */
bool state_load(StreamReader *reader, const StateEntry *entry, int version, StateProfile profile);
/* Whether the section belongs into a stream of that profile now. */
bool state_wanted(const StateEntry *entry, StateProfile profile);
/* The JSON text that ends a stream: what each section of @entries looks like.  Machine stopped, big lock. */
GString *vmdesc_build(const char *machine, GPtrArray *entries, StateProfile profile);

#endif
