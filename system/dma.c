/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Device access to guest memory: a mapping holds its RAM block, so the memory outlives even a hot-unplug. */
#include "system/dma.h"

#include "memory-internal.h"
#include "system/ram-gate.h"

static bool map_block(AddressSpace *as, hwaddr addr, uint64_t *len, bool is_write, DmaMapping *mapping)
{
    RCU_READ_LOCK_GUARD();
    MemoryRegionSection section;
    hwaddr xlat;

    if (!*len || !address_space_translate(as, addr, &section, &xlat) ||
        !memory_region_is_direct(section.mr, is_write) || (is_write && section.readonly) ||
        !ram_block_try_ref(section.mr->ram_block)) {
        return false;
    }
    *len = MIN(*len, section.size - (addr - section.offset_within_address_space));
    *mapping = (DmaMapping){
        .host = section.mr->ram_block->host + xlat,
        .len = *len,
        .block = section.mr->ram_block,
        .offset = xlat,
        .is_write = is_write,
    };
    return true;
}

bool dma_map(AddressSpace *as, hwaddr addr, uint64_t *len, bool is_write, DmaMapping *mapping)
{
    bool passed;

    if (!map_block(as, addr, len, is_write, mapping)) {
        return false;
    }
    passed = is_write ? ram_gate_pass_write(mapping->block, mapping->offset, mapping->len)
                      : ram_gate_pass_read(mapping->block, mapping->offset, mapping->len);
    if (!passed) {
        ram_block_unref(mapping->block);
    }
    return passed;
}

void dma_unmap(DmaMapping *mapping, uint64_t written)
{
    if (!mapping->block) {
        return;
    }
    if (mapping->is_write) {
        ram_block_written(mapping->block, mapping->offset, MIN(written, mapping->len));
    }
    ram_block_unref(mapping->block);
    mapping->block = NULL;
}

MemTxResult dma_read(AddressSpace *as, hwaddr addr, void *buf, uint64_t len)
{
    return address_space_read(as, addr, buf, len);
}

MemTxResult dma_write(AddressSpace *as, hwaddr addr, const void *buf, uint64_t len)
{
    return address_space_write(as, addr, buf, len);
}
