/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bitmaps of unsigned long words, bit n in word n / 64; plain and atomic operations.
 *
 * Plain operations need the map to themselves.  Those with _atomic in the name may race with each other;
 * setting a bit has release and taking it has acquire order, so who takes a bit sees what was written before
 * it was set.
 */
#ifndef UTIL_BITMAP_H
#define UTIL_BITMAP_H

#include <glib.h>

#include "util/atomic.h"

#define BITS_PER_LONG     (sizeof(unsigned long) * 8)
#define BIT_WORD(n)       ((n) / BITS_PER_LONG)
#define BIT_MASK(n)       (1UL << ((n) % BITS_PER_LONG))
#define BITS_TO_LONGS(n)  DIV_ROUND_UP((uint64_t)(n), BITS_PER_LONG)
#define BITMAP_SIZE(n)    (BITS_TO_LONGS(n) * sizeof(unsigned long))

/* All clear; freed with g_free().  bitmap_try_new() returns NULL when memory is short. */
unsigned long *bitmap_new(uint64_t n);
unsigned long *bitmap_try_new(uint64_t n);

static inline void set_bit(uint64_t n, unsigned long *map)
{
    map[BIT_WORD(n)] |= BIT_MASK(n);
}

static inline void clear_bit(uint64_t n, unsigned long *map)
{
    map[BIT_WORD(n)] &= ~BIT_MASK(n);
}

static inline void change_bit(uint64_t n, unsigned long *map)
{
    map[BIT_WORD(n)] ^= BIT_MASK(n);
}

/* Safe beside atomic writers; orders nothing. */
static inline bool test_bit(uint64_t n, const unsigned long *map)
{
    return (atomic_read(&map[BIT_WORD(n)]) & BIT_MASK(n)) != 0;
}

static inline bool test_and_set_bit(uint64_t n, unsigned long *map)
{
    bool old = test_bit(n, map);

    set_bit(n, map);
    return old;
}

static inline bool test_and_clear_bit(uint64_t n, unsigned long *map)
{
    bool old = test_bit(n, map);

    clear_bit(n, map);
    return old;
}

static inline void set_bit_atomic(uint64_t n, unsigned long *map)
{
    atomic_or(&map[BIT_WORD(n)], BIT_MASK(n));
}

static inline void clear_bit_atomic(uint64_t n, unsigned long *map)
{
    atomic_and(&map[BIT_WORD(n)], ~BIT_MASK(n));
}

static inline bool test_and_set_bit_atomic(uint64_t n, unsigned long *map)
{
    return (atomic_fetch_or(&map[BIT_WORD(n)], BIT_MASK(n)) & BIT_MASK(n)) != 0;
}

static inline bool test_and_clear_bit_atomic(uint64_t n, unsigned long *map)
{
    return (atomic_fetch_and(&map[BIT_WORD(n)], ~BIT_MASK(n)) & BIT_MASK(n)) != 0;
}

/* [start, start + n) */
void bitmap_set(unsigned long *map, uint64_t start, uint64_t n);
void bitmap_clear(unsigned long *map, uint64_t start, uint64_t n);
void bitmap_set_atomic(unsigned long *map, uint64_t start, uint64_t n);
/* Returns whether any bit was set. */
bool bitmap_test_and_clear_atomic(unsigned long *map, uint64_t start, uint64_t n);
/* How many bits of the range are set. */
uint64_t bitmap_count(const unsigned long *map, uint64_t start, uint64_t n);

/* The first set (clear) bit in [start, size), or size.  Safe beside atomic writers. */
uint64_t find_next_bit(const unsigned long *map, uint64_t size, uint64_t start);
uint64_t find_next_zero_bit(const unsigned long *map, uint64_t size, uint64_t start);

static inline uint64_t find_first_bit(const unsigned long *map, uint64_t size)
{
    return find_next_bit(map, size, 0);
}

static inline uint64_t find_first_zero_bit(const unsigned long *map, uint64_t size)
{
    return find_next_zero_bit(map, size, 0);
}

/* On the first @n bits; what lies after them in the last word does not matter. */
bool bitmap_empty(const unsigned long *map, uint64_t n);
bool bitmap_full(const unsigned long *map, uint64_t n);
bool bitmap_equal(const unsigned long *a, const unsigned long *b, uint64_t n);
void bitmap_zero(unsigned long *map, uint64_t n);
void bitmap_fill(unsigned long *map, uint64_t n);
void bitmap_copy(unsigned long *dst, const unsigned long *src, uint64_t n);
void bitmap_or(unsigned long *dst, const unsigned long *a, const unsigned long *b, uint64_t n);

/*
 * Copies to and from the form that streams and files hold: bit n is bit n % 8 of byte n / 8.  Whole 8-byte
 * words.
 */
void bitmap_to_le(void *dst, const unsigned long *src, uint64_t n);
void bitmap_from_le(unsigned long *dst, const void *src, uint64_t n);

/*
 * Moves the set bits of @src [src_start, src_start + n) into @dst from bit dst_start on: each is cleared in
 * @src atomically, exactly once, and set in @dst, which nobody else touches meanwhile.  @dst may be NULL.
 *
 * Returns how many bits @dst gained: those already set there do not count (all that were taken when @dst is
 * NULL). *@any, when not NULL, tells whether any bit of @src was cleared, whatever @dst held. Runs of clear
 * words cost no atomic operation.
 */
uint64_t bitmap_take_atomic(unsigned long *dst, uint64_t dst_start, unsigned long *src, uint64_t src_start,
                            uint64_t n, bool *any);

#endif
