/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory: pointer chases that fit, nearly fit and do not fit caches and TLBs, random updates, page strides. */
#include "bench.h"

#include <stdlib.h>

static uint64_t chase(size_t bytes, uint64_t steps)
{
    size_t n = bytes / sizeof(size_t), at = 0;
    size_t *next = malloc(bytes);
    uint64_t seed = 2463534242u, sum = 0;

    for (size_t i = 0; i < n; i++) {
        next[i] = i;
    }
    for (size_t i = n - 1; i > 0; i--) { /* one cycle through all: Sattolo */
        size_t j = next_random(&seed) % i, t = next[i];

        next[i] = next[j];
        next[j] = t;
    }
    for (uint64_t s = 0; s < steps; s++) {
        at = next[at];
        sum += at;
    }
    free(next);
    return sum;
}

static uint64_t chase_32k(unsigned scale)
{
    return chase(32 << 10, UINT64_C(60000000) * scale);
}
static uint64_t chase_4m(unsigned scale)
{
    return chase(4 << 20, UINT64_C(15000000) * scale);
}
static uint64_t chase_256m(unsigned scale)
{
    return chase(256 << 20, UINT64_C(1000000) * scale);
}

static uint64_t updates_256m(unsigned scale)
{
    size_t n = (256u << 20) / 8;
    uint64_t *v = calloc(n, 8);
    uint64_t seed = 362436069, sum = 0;

    for (uint64_t i = 0; i < UINT64_C(4000000) * scale; i++) {
        uint64_t r = next_random(&seed);

        v[r % n] ^= r;
    }
    for (size_t i = 0; i < n; i += 511) {
        sum = mix(sum, v[i]);
    }
    free(v);
    return sum;
}

static uint64_t stride_4k(unsigned scale)
{
    size_t bytes = 64u << 20;
    uint8_t *v = calloc(1, bytes);
    uint64_t sum = 0;

    for (unsigned r = 0; r < 300 * scale; r++) {
        for (size_t i = r & 63; i < bytes; i += 4096) {
            sum += v[i]++;
        }
    }
    free(v);
    return sum;
}

const BenchProgram memory_programs[] = {
    {"chase-32k", "memory", chase_32k},       {"chase-4m", "memory", chase_4m},
    {"chase-256m", "memory", chase_256m},     {"updates-256m", "memory", updates_256m},
    {"stride-4k", "memory", stride_4k},       {0},
};
