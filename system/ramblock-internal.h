/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the memory behind blocks (ramblock.c) and the list of blocks (physmem.c). */
#ifndef SYSTEM_RAMBLOCK_INTERNAL_H
#define SYSTEM_RAMBLOCK_INTERNAL_H

#include "system/physmem.h"

/* Chooses block->offset, makes the dirty bitmaps large enough, then publishes.  Big lock. */
bool ram_list_insert(RAMBlock *block, GError **error);
void ram_list_remove(RAMBlock *block);

/* From here on no memory is pristine: vCPUs store. */
void ram_blocks_guest_runs(void);

#endif
