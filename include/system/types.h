/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The address types of a machine and the size of its pages. */
#ifndef SYSTEM_TYPES_H
#define SYSTEM_TYPES_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t hwaddr;     /* guest physical address in an address space */
typedef uint64_t vaddr;      /* guest virtual address */
typedef uint64_t ram_addr_t; /* offset in the one number line of all RAMBlocks; not a guest address */

#define RAM_ADDR_INVALID UINT64_MAX

#define TARGET_PAGE_BITS 12
#define TARGET_PAGE_SIZE (UINT64_C(1) << TARGET_PAGE_BITS)
#define TARGET_PAGE_MASK (~(TARGET_PAGE_SIZE - 1))

typedef enum MemTxResult {
    MEMTX_OK = 0,
    MEMTX_ERROR = 1,        /* the device refused */
    MEMTX_DECODE_ERROR = 2, /* nobody is there */
} MemTxResult;

typedef struct MemoryRegion MemoryRegion;
typedef struct AddressSpace AddressSpace;
typedef struct RAMBlock RAMBlock;
typedef struct Device Device;
typedef struct CPUState CPUState;
typedef struct StateIO StateIO;

#endif
