/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes of guest RAM at their host address: single host accesses when aligned; the guest races with itself. */
#ifndef ACCEL_TCG_HOST_MEM_H
#define ACCEL_TCG_HOST_MEM_H

#include "tcg/ir.h"
#include "util/atomic.h"

#include <string.h>

/* Of the description of an access that slow paths get. */
#define MOP_SIZE(mop)    (1u << ((mop) & IR_MEM_SIZE))
#define MOP_MMU_IDX(mop) (((mop) >> 8) % TCG_MMU_MODES)

static inline uint64_t NO_TSAN host_load(const void *host, unsigned size)
{
    uint64_t value = 0;

    if ((uintptr_t)host & (size - 1)) {
        memcpy(&value, host, size);
        return value;
    }
    switch (size) {
    case 1:
        return atomic_read((const uint8_t *)host);
    case 2:
        return atomic_read((const uint16_t *)host);
    case 4:
        return atomic_read((const uint32_t *)host);
    default:
        return atomic_read((const uint64_t *)host);
    }
}

static inline void NO_TSAN host_store(void *host, uint64_t value, unsigned size)
{
    if ((uintptr_t)host & (size - 1)) {
        memcpy(host, &value, size);
        return;
    }
    switch (size) {
    case 1:
        atomic_set((uint8_t *)host, value);
        break;
    case 2:
        atomic_set((uint16_t *)host, value);
        break;
    case 4:
        atomic_set((uint32_t *)host, value);
        break;
    default:
        atomic_set((uint64_t *)host, value);
    }
}

/* A value that was loaded, as the guest's register gets it. */
static inline uint64_t extend(uint64_t value, uint32_t mop)
{
    unsigned unused = 64 - (8u << (mop & IR_MEM_SIZE));

    if (mop & IR_MEM_SIGN) {
        return (int64_t)(value << unused) >> unused;
    }
    value = value << unused >> unused;
    return mop & IR_MEM_FP_BOX && unused ? value | UINT64_MAX << (64 - unused) : value;
}

#endif
