/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bitmap operations on ranges, a word at a time.
 *
 * A range is a first partial word, whole words, a last partial word: range_mask() gives the part of a word
 * that belongs to it, and every loop below goes over words with that mask.
 */
#include "util/bitmap.h"

#include <string.h>

#include "util/bits.h"
#include "util/bswap.h"

/* The bits of word @word that lie in [start, end). */
static inline unsigned long range_mask(uint64_t word, uint64_t start, uint64_t end)
{
    uint64_t first = word * BITS_PER_LONG;
    unsigned long mask = ~0UL;

    if (start > first) {
        mask &= ~0UL << (start - first);
    }
    if (end < first + BITS_PER_LONG) {
        mask &= ~0UL >> (first + BITS_PER_LONG - end);
    }
    return mask;
}

unsigned long *bitmap_new(uint64_t n)
{
    return g_malloc0(MAX(BITMAP_SIZE(n), sizeof(unsigned long)));
}

unsigned long *bitmap_try_new(uint64_t n)
{
    return g_try_malloc0(MAX(BITMAP_SIZE(n), sizeof(unsigned long)));
}

void bitmap_set(unsigned long *map, uint64_t start, uint64_t n)
{
    uint64_t end = start + n;

    for (uint64_t word = BIT_WORD(start); word < BITS_TO_LONGS(end) && n; word++) {
        map[word] |= range_mask(word, start, end);
    }
}

void bitmap_clear(unsigned long *map, uint64_t start, uint64_t n)
{
    uint64_t end = start + n;

    for (uint64_t word = BIT_WORD(start); word < BITS_TO_LONGS(end) && n; word++) {
        map[word] &= ~range_mask(word, start, end);
    }
}

void bitmap_set_atomic(unsigned long *map, uint64_t start, uint64_t n)
{
    uint64_t end = start + n;

    for (uint64_t word = BIT_WORD(start); word < BITS_TO_LONGS(end) && n; word++) {
        atomic_or(&map[word], range_mask(word, start, end));
    }
}

bool bitmap_test_and_clear_atomic(unsigned long *map, uint64_t start, uint64_t n)
{
    return bitmap_take_atomic(NULL, 0, map, start, n, NULL) != 0;
}

uint64_t bitmap_count(const unsigned long *map, uint64_t start, uint64_t n)
{
    uint64_t end = start + n, count = 0;

    for (uint64_t word = BIT_WORD(start); word < BITS_TO_LONGS(end) && n; word++) {
        unsigned long bits = atomic_read(&map[word]);

        if (bits) { /* mostly none */
            count += popcount64(bits & range_mask(word, start, end));
        }
    }
    return count;
}

/* The first bit in [start, size) of the words of @map, each XORed with @flip. */
static inline uint64_t find_next(const unsigned long *map, uint64_t size, uint64_t start, unsigned long flip)
{
    unsigned long bits;
    uint64_t word = BIT_WORD(start);

    if (start >= size) {
        return size;
    }
    bits = (atomic_read(&map[word]) ^ flip) & (~0UL << (start % BITS_PER_LONG));
    while (!bits) {
        if (++word >= BITS_TO_LONGS(size)) {
            return size;
        }
        bits = atomic_read(&map[word]) ^ flip;
    }
    return MIN(word * BITS_PER_LONG + __builtin_ctzl(bits), size);
}

uint64_t find_next_bit(const unsigned long *map, uint64_t size, uint64_t start)
{
    return find_next(map, size, start, 0);
}

uint64_t find_next_zero_bit(const unsigned long *map, uint64_t size, uint64_t start)
{
    return find_next(map, size, start, ~0UL);
}

bool bitmap_empty(const unsigned long *map, uint64_t n)
{
    return find_first_bit(map, n) == n;
}

bool bitmap_full(const unsigned long *map, uint64_t n)
{
    return find_first_zero_bit(map, n) == n;
}

bool bitmap_equal(const unsigned long *a, const unsigned long *b, uint64_t n)
{
    for (uint64_t word = 0; word < BITS_TO_LONGS(n); word++) {
        if ((a[word] ^ b[word]) & range_mask(word, 0, n)) {
            return false;
        }
    }
    return true;
}

void bitmap_zero(unsigned long *map, uint64_t n)
{
    memset(map, 0, BITMAP_SIZE(n));
}

void bitmap_fill(unsigned long *map, uint64_t n)
{
    bitmap_set(map, 0, n);
}

void bitmap_copy(unsigned long *dst, const unsigned long *src, uint64_t n)
{
    memcpy(dst, src, BITMAP_SIZE(n));
}

void bitmap_or(unsigned long *dst, const unsigned long *a, const unsigned long *b, uint64_t n)
{
    for (uint64_t word = 0; word < BITS_TO_LONGS(n); word++) {
        dst[word] = a[word] | b[word];
    }
}

G_STATIC_ASSERT(BITS_PER_LONG == 64);

void bitmap_to_le(void *dst, const unsigned long *src, uint64_t n)
{
    for (uint64_t word = 0; word < BITS_TO_LONGS(n); word++) {
        stq_le_p((uint8_t *)dst + word * 8, src[word]);
    }
}

void bitmap_from_le(unsigned long *dst, const void *src, uint64_t n)
{
    for (uint64_t word = 0; word < BITS_TO_LONGS(n); word++) {
        dst[word] = ldq_le_p((const uint8_t *)src + word * 8);
    }
}

/* Clears the bits of @mask in *@word; returns those that were set.  Costs no atomic when there are none. */
static inline unsigned long take_word(unsigned long *word, unsigned long mask)
{
    if (!(atomic_read(word) & mask)) {
        return 0;
    }
    if (mask == ~0UL) {
        return atomic_xchg(word, 0);
    }
    return atomic_fetch_and(word, ~mask) & mask;
}

#if defined(__x86_64__) && !defined(TSAN_ENABLED)
#define TAKE_PAIR_LOCKED
#endif

/*
 * Clears two words, the first at a multiple of 16 bytes; @taken: what they were.  One locked access for both: where
 * bits are many, such accesses are most of what a take costs.
 */
static inline void take_pair(unsigned long *words, unsigned long taken[2])
{
#ifdef TAKE_PAIR_LOCKED
    unsigned long low = atomic_read(&words[0]), high = atomic_read(&words[1]);

    if (low && high) {
        bool done;

        do {
            asm volatile("lock cmpxchg16b %1"
                         : "=@ccz"(done), "+m"(*(unsigned long(*)[2])words), "+a"(low), "+d"(high)
                         : "b"(0UL), "c"(0UL)
                         : "memory");
        } while (!done);
        taken[0] = low;
        taken[1] = high;
        return;
    }
#endif
    taken[0] = take_word(&words[0], ~0UL);
    taken[1] = take_word(&words[1], ~0UL);
}

/* Sets @bits at bit @pos of @dst (which may be NULL); returns how many it gained. */
static inline unsigned give_bits(unsigned long *dst, uint64_t pos, unsigned long bits)
{
    unsigned shift = pos % BITS_PER_LONG;
    unsigned long low = bits << shift, high = shift ? bits >> (BITS_PER_LONG - shift) : 0;
    unsigned gained;

    if (!dst) {
        return popcount64(bits);
    }
    dst += BIT_WORD(pos);
    gained = popcount64(low & ~dst[0]);
    dst[0] |= low;
    if (high) {
        gained += popcount64(high & ~dst[1]);
        dst[1] |= high;
    }
    return gained;
}

/* Whether the words @word and the next are wanted whole, and can be had by take_pair(). */
static inline bool is_pair(const unsigned long *map, uint64_t word, uint64_t end)
{
    return (uintptr_t)&map[word] % 16 == 0 && (word + 2) * BITS_PER_LONG <= end;
}

/* How many of the eight words from @word on are to be passed over: all or none. */
static inline unsigned clear_run(const unsigned long *map, uint64_t word, uint64_t end_word)
{
    unsigned long any = 0;

    if (end_word - word < 8) {
        return 0;
    }
    for (unsigned i = 0; i < 8; i++) {
        any |= atomic_read(&map[word + i]);
    }
    return any ? 0 : 8;
}

uint64_t bitmap_take_atomic(unsigned long *dst, uint64_t dst_start, unsigned long *src, uint64_t src_start,
                            uint64_t n, bool *any)
{
    uint64_t end = src_start + n, end_word = BITS_TO_LONGS(end), word = BIT_WORD(src_start);
    uint64_t gained = 0;
    unsigned long taken, all = 0;

    if (n) {
        taken = take_word(&src[word], range_mask(word, src_start, end));
        all |= taken;
        if (taken) {
            gained += give_bits(dst, dst_start, taken >> (src_start % BITS_PER_LONG));
        }
        word++;
    }
    while (word < end_word) {
        unsigned skip = clear_run(src, word, end_word);

        if (skip) {
            word += skip;
            continue;
        }
        for (uint64_t stop = MIN(word + 8, end_word); word < stop;) {
            uint64_t pos = dst_start + (word * BITS_PER_LONG - src_start);
            unsigned long pair[2] = {0};

            if (is_pair(src, word, end)) {
                take_pair(&src[word], pair);
                word += 2;
            } else {
                pair[0] = take_word(&src[word], range_mask(word, src_start, end));
                word++;
            }
            all |= pair[0] | pair[1];
            if (pair[0]) {
                gained += give_bits(dst, pos, pair[0]);
            }
            if (pair[1]) {
                gained += give_bits(dst, pos + BITS_PER_LONG, pair[1]);
            }
        }
    }
    if (any) {
        *any = all != 0;
    }
    return gained;
}
