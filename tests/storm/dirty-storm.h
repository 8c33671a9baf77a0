/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of the dirty storm: the areas of memory, those who write to them, and how they all stop. */
#ifndef TESTS_STORM_DIRTY_STORM_H
#define TESTS_STORM_DIRTY_STORM_H

#include "system/cpu.h"
#include "system/memory.h"

#define PAGE        TARGET_PAGE_SIZE
#define N_CPUS      3
#define N_AREAS     4
#define HOT_AREA    3 /* comes and goes */
#define VGA_AREA    2
#define CODE_OFFSET 0x800 /* of each page: 1 KiB that holds functions; other writers leave it alone */
#define CODE_BYTES  0x400

/* Lengths are no multiples of 64 pages; all but the first lie at a ram_addr_t that is not 0. */
typedef struct Area {
    const char *name;
    hwaddr base;
    uint64_t pages;
    MemoryRegion mr;
    uint8_t *host, *copy;
    uint64_t dirty; /* set bits of bmap */
    unsigned long *bmap;
} Area;

extern Area areas[N_AREAS];
extern unsigned n_areas; /* that may be written; atomic */

extern struct StormCount {
    uint64_t rounds, cancels, passes, takes, pages_sent, hot_adds, snapshots, dma_writes, stores, functions;
} count;

uint64_t random_next(uint64_t *state);
uint64_t random_below(uint64_t *state, uint64_t limit);
uint64_t seed(unsigned who);

/* Threads call it between two things they do: waits while the gate is closed. */
void gate_pass(void);
extern uint32_t ending; /* atomic: threads shall end */

/* --- writers --- */

extern CPUState *cpu[N_CPUS];
extern uint32_t stale_code; /* how often a vCPU ran a function that it had replaced */

void writers_init(void); /* makes the vCPUs */
void prepare_vcpu(unsigned n);
/* With the next choice of places.  vCPUs stopped. */
void restart_program(unsigned n);
void *device_thread(void *opaque);

#endif
