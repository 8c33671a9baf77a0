/* SPDX-License-Identifier: GPL-2.0-or-later */
/* memory-backend-ram, -memfd and -file: user-created RAM for "-machine memory-backend=", NUMA nodes and hot-add. */
#ifndef SYSTEM_MEMORY_BACKEND_H
#define SYSTEM_MEMORY_BACKEND_H

#include "system/memory.h"

typedef struct MemoryBackend MemoryBackend;
MemoryBackend *memory_backend_find(const char *id, GError **error);
/* The back end's region; fails when another user has it.  Big lock. */
MemoryRegion *memory_backend_claim(MemoryBackend *backend, GError **error);
void memory_backend_release(MemoryBackend *backend);
uint64_t memory_backend_size(const MemoryBackend *backend);

#endif
