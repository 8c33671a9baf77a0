/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device access to guest memory.  Any thread (iothreads included); no lock is needed for RAM.
 *
 * dma_map() gives host memory for as long a contiguous piece as there is; dma_unmap() marks what was written (D1: until
 * then the device is a writer that is not done).  An MMIO target has no mapping: use dma_read()/dma_write().
 */
#ifndef SYSTEM_DMA_H
#define SYSTEM_DMA_H

#include "system/memory.h"

typedef struct DmaMapping {
    void *host;
    uint64_t len;
    RAMBlock *block; /* referenced until unmapped: it survives the removal of its region */
    uint64_t offset; /* in the block */
    bool is_write;
} DmaMapping;

/* *len: in wanted, out mapped (> 0).  False when @addr is no RAM, or read-only RAM for a write. */
bool dma_map(AddressSpace *as, hwaddr addr, uint64_t *len, bool is_write, DmaMapping *mapping);
/* @written: bytes from the start that were changed (0 for reads). */
void dma_unmap(DmaMapping *mapping, uint64_t written);
MemTxResult dma_read(AddressSpace *as, hwaddr addr, void *buf, uint64_t len);
MemTxResult dma_write(AddressSpace *as, hwaddr addr, const void *buf, uint64_t len);

#endif
