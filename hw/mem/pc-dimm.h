/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A memory module: a memory back end that is plugged into the machine, at start or while it runs. */
#ifndef HW_MEM_PC_DIMM_H
#define HW_MEM_PC_DIMM_H

#include "system/device.h"
#include "system/memory-backend.h"

typedef struct PcDimm {
    Device device;
    /* properties; the board fills in addr, and slot when it is -1 */
    char *memdev;
    uint64_t addr, size;
    int64_t slot;
    uint32_t node;
    /* constant after realize */
    MemoryBackend *backend;
    MemoryRegion *region;
} PcDimm;

#endif
