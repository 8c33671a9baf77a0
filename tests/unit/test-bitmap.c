/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bitmaps: each range operation against a plain loop over bits, and takes under fire. */
#include "util/bitmap.h"

#include <string.h>

#define BITS 700

typedef struct Pair {
    unsigned long *map;
    bool bits[BITS];
} Pair;

static GRand *rng;

static void pair_fill(Pair *pair, unsigned percent)
{
    pair->map = bitmap_new(BITS);
    for (unsigned i = 0; i < BITS; i++) {
        pair->bits[i] = g_rand_int_range(rng, 0, 100) < (int)percent;
        if (pair->bits[i]) {
            set_bit(i, pair->map);
        }
    }
}

static void pair_check(const Pair *pair)
{
    for (unsigned i = 0; i < BITS; i++) {
        g_assert_cmpint(test_bit(i, pair->map), ==, pair->bits[i]);
    }
    for (unsigned i = BITS; i < BITS_TO_LONGS(BITS) * BITS_PER_LONG; i++) {
        g_assert_false(test_bit(i, pair->map));
    }
}

static void random_range(unsigned *start, unsigned *n)
{
    *start = g_rand_int_range(rng, 0, BITS);
    *n = g_rand_int_range(rng, 0, BITS - *start + 1);
}

static void check_range_op(void (*op)(unsigned long *map, uint64_t start, uint64_t n), bool value)
{
    for (unsigned round = 0; round < 500; round++) {
        Pair pair;
        unsigned start, n;

        pair_fill(&pair, 50);
        random_range(&start, &n);
        op(pair.map, start, n);
        memset(pair.bits + start, value, n);
        pair_check(&pair);
        g_free(pair.map);
    }
}

static void test_set(void)
{
    check_range_op(bitmap_set, true);
}

static void test_clear(void)
{
    check_range_op(bitmap_clear, false);
}

static void test_set_atomic(void)
{
    check_range_op(bitmap_set_atomic, true);
}

static void test_and_clear(unsigned long *map, uint64_t start, uint64_t n)
{
    uint64_t count = bitmap_count(map, start, n);

    g_assert_cmpint(bitmap_test_and_clear_atomic(map, start, n), ==, count != 0);
}

static void test_test_and_clear(void)
{
    check_range_op(test_and_clear, false);
}

static void test_count_and_find(void)
{
    for (unsigned round = 0; round < 300; round++) {
        Pair pair;
        unsigned start, n, count = 0, set, clear;

        pair_fill(&pair, round % 3 == 0 ? 1 : round % 3 == 1 ? 50 : 99);
        random_range(&start, &n);
        for (unsigned i = start; i < start + n; i++) {
            count += pair.bits[i];
        }
        g_assert_cmpuint(bitmap_count(pair.map, start, n), ==, count);
        for (set = start; set < start + n && !pair.bits[set]; set++) {
        }
        for (clear = start; clear < start + n && pair.bits[clear]; clear++) {
        }
        g_assert_cmpuint(find_next_bit(pair.map, start + n, start), ==, set);
        g_assert_cmpuint(find_next_zero_bit(pair.map, start + n, start), ==, clear);
        g_free(pair.map);
    }
}

static void test_whole(void)
{
    unsigned long *a = bitmap_new(BITS), *b = bitmap_new(BITS);

    g_assert_true(bitmap_empty(a, BITS));
    bitmap_fill(a, BITS);
    g_assert_true(bitmap_full(a, BITS));
    g_assert_false(bitmap_equal(a, b, BITS));
    bitmap_or(b, b, a, BITS);
    g_assert_true(bitmap_equal(a, b, BITS));
    bitmap_zero(b, BITS);
    g_assert_true(bitmap_empty(b, BITS));
    g_assert_true(bitmap_empty(b, 0));
    g_free(a);
    g_free(b);
}

static void test_le(void)
{
    unsigned long map[2] = {0}, back[2] = {0};
    uint8_t bytes[16];

    set_bit(0, map);
    set_bit(9, map);
    set_bit(127, map);
    bitmap_to_le(bytes, map, 128);
    g_assert_cmphex(bytes[0], ==, 1);
    g_assert_cmphex(bytes[1], ==, 2);
    g_assert_cmphex(bytes[15], ==, 0x80);
    bitmap_from_le(back, bytes, 128);
    g_assert_true(bitmap_equal(map, back, 128));
}

/* Every alignment of source and destination, densities from empty to full. */
static void test_take(void)
{
    for (unsigned round = 0; round < 3000; round++) {
        static const unsigned densities[] = {0, 1, 20, 50, 100};
        Pair src, dst;
        unsigned src_start = g_rand_int_range(rng, 0, 130), dst_start = g_rand_int_range(rng, 0, 130);
        unsigned n = g_rand_int_range(rng, 0, BITS - 130), gained = 0;
        bool any = false, reported;

        pair_fill(&src, densities[round % 5]);
        pair_fill(&dst, densities[round / 5 % 5]);
        for (unsigned i = 0; i < n; i++) {
            if (src.bits[src_start + i]) {
                any = true;
                gained += !dst.bits[dst_start + i];
                dst.bits[dst_start + i] = true;
                src.bits[src_start + i] = false;
            }
        }
        g_assert_cmpuint(gained, ==,
                         bitmap_take_atomic(dst.map, dst_start, src.map, src_start, n, &reported));
        g_assert_cmpint(reported, ==, any);
        pair_check(&src);
        pair_check(&dst);
        g_free(src.map);
        g_free(dst.map);
    }
}

static void test_take_nowhere(void)
{
    unsigned long map[4] = {~0UL, ~0UL, ~0UL, ~0UL};

    g_assert_cmpuint(bitmap_take_atomic(NULL, 0, map, 3, 200, NULL), ==, 200);
    g_assert_cmpuint(bitmap_count(map, 0, 256), ==, 56);
}

/* The last word of the destination is the last of its allocation: the address sanitizer watches. */
static void test_take_stays_inside(void)
{
    unsigned long *src = bitmap_new(128), *dst = bitmap_new(65);

    set_bit(63, src);
    set_bit(64, src);
    g_assert_cmpuint(bitmap_take_atomic(dst, 63, src, 62, 2, NULL), ==, 1);
    g_assert_cmpuint(bitmap_take_atomic(dst, 63, src, 64, 1, NULL), ==, 1);
    g_assert_true(test_bit(63, dst));
    g_assert_true(test_bit(64, dst));
    g_free(src);
    g_free(dst);
}

/* ---- validate: no bit is lost or doubled when setters race with the taker ---- */

#define SHARED_BITS 300
#define SETS        30000
#define SETTERS     2

static unsigned long shared[BITS_TO_LONGS(SHARED_BITS)];
static unsigned setters_left;

/* Returns how often a bit went from clear to set. */
static void *setter(void *opaque)
{
    uint32_t x = GPOINTER_TO_UINT(opaque);
    size_t set = 0;

    for (unsigned i = 0; i < SETS; i++) {
        x = x * 1664525 + 1013904223;
        set += !test_and_set_bit_atomic((x >> 8) % SHARED_BITS, shared);
    }
    atomic_dec(&setters_left);
    return GSIZE_TO_POINTER(set);
}

static void test_take_validate(void)
{
    GThread *threads[SETTERS];
    size_t set = 0, taken = 0;
    bool more = true;

    setters_left = SETTERS;
    for (unsigned i = 0; i < SETTERS; i++) {
        threads[i] = g_thread_new("setter", setter, GUINT_TO_POINTER(i + 1));
    }
    while (more) {
        unsigned long dst[BITS_TO_LONGS(SHARED_BITS + 7)] = {0};

        more = atomic_load_acquire(&setters_left) != 0;
        taken += bitmap_take_atomic(dst, 7, shared, 0, SHARED_BITS, NULL);
    }
    for (unsigned i = 0; i < SETTERS; i++) {
        set += GPOINTER_TO_SIZE(g_thread_join(threads[i]));
    }
    g_assert_cmpuint(taken, ==, set);
    g_assert_true(bitmap_empty(shared, SHARED_BITS));
}

int main(int argc, char **argv)
{
    int result;

    g_test_init(&argc, &argv, NULL);
    rng = g_rand_new_with_seed(2);
    g_test_add_func("/bitmap/set/exactly-the-range", test_set);
    g_test_add_func("/bitmap/clear/exactly-the-range", test_clear);
    g_test_add_func("/bitmap/set-atomic/exactly-the-range", test_set_atomic);
    g_test_add_func("/bitmap/test-and-clear/exactly-the-range", test_test_and_clear);
    g_test_add_func("/bitmap/find/agrees-with-a-plain-loop", test_count_and_find);
    g_test_add_func("/bitmap/whole/empty-full-or-equal", test_whole);
    g_test_add_func("/bitmap/le/round-trips", test_le);
    g_test_add_func("/bitmap/take/moves-each-bit-at-any-alignment", test_take);
    g_test_add_func("/bitmap/take/counts-all-without-destination", test_take_nowhere);
    g_test_add_func("/bitmap/take/stays-inside-the-destination", test_take_stays_inside);
    g_test_add_func("/bitmap/take/validate-no-bit-lost-or-doubled", test_take_validate);
    result = g_test_run();
    g_rand_free(rng);
    return result;
}
