/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checksums of fixed-ram files: 64 bits, against disks and copies that lose or swap data, not against an enemy.
 *
 * Four lanes of multiply and rotate, so that the host's multipliers and not their latency set the speed.
 */
#include "util/page-sum.h"

#include "util/bswap.h"

#define LANES 4
#define K1    UINT64_C(0x9e3779b97f4a7c15)
#define K2    UINT64_C(0xbf58476d1ce4e5b9)
#define K3    UINT64_C(0x94d049bb133111eb)

static inline uint64_t rotate(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static inline uint64_t scramble(uint64_t x)
{
    x = (x ^ x >> 30) * K2;
    x = (x ^ x >> 27) * K3;
    return x ^ x >> 31;
}

static inline uint64_t step(uint64_t lane, const uint8_t *p)
{
    return rotate((lane ^ ldq_le_p(p)) * K1, 29);
}

/* Guest memory may change while it is read here; then the page is saved again later, with another sum. */
__attribute__((no_sanitize("thread"))) static uint64_t seeded_sum(const uint8_t *p, size_t size, uint64_t seed)
{
    /* variables of their own: an array stays in memory, at less than half of the speed */
    uint64_t a = seed ^ K1, b = seed ^ K2, c = seed ^ K3, d = seed;
    uint64_t sum;

    for (; size >= LANES * 8; size -= LANES * 8, p += LANES * 8) {
        a = step(a, p);
        b = step(b, p + 8);
        c = step(c, p + 16);
        d = step(d, p + 24);
    }
    sum = scramble(scramble(scramble(scramble(size ^ a) ^ b) ^ c) ^ d);
    for (; size; size--, p++) {
        sum = scramble(sum ^ *p);
    }
    return sum;
}

uint64_t bytes_sum(const void *data, size_t size)
{
    return seeded_sum(data, size, size);
}

uint64_t page_sum(const void *data, size_t size, uint64_t page)
{
    uint64_t sum = seeded_sum(data, size, scramble(page + K1));

    return sum ? sum : 1;
}
