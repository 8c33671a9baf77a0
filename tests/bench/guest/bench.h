/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest benchmark programs: each does a fixed piece of work and returns a checksum of its result, which must be the
 * same on every machine that ran it.
 */
#ifndef BENCH_GUEST_H
#define BENCH_GUEST_H

#include <stddef.h>
#include <stdint.h>

typedef struct BenchProgram {
    const char *name;
    const char *group;
    uint64_t (*run)(unsigned scale); /* scale 1..: multiplies the work */
} BenchProgram;

extern const BenchProgram integer_programs[], fp_plain_programs[], fp_fma_programs[], memory_programs[], kernel_programs[], code_programs[],
    thread_programs[];

static inline uint64_t mix(uint64_t sum, uint64_t value)
{
    return (sum ^ value) * UINT64_C(0x100000001b3);
}

static inline uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

#endif
