/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small arithmetic: bits, byte order, rounding, linker sets. */
#include <glib.h>

#include "util/atomic.h"
#include "util/bits.h"
#include "util/bswap.h"
#include "util/linker-set.h"

static void test_fields(void)
{
    g_assert_cmphex(extract64(0x123456789abcdef0, 0, 64), ==, 0x123456789abcdef0);
    g_assert_cmphex(extract64(0x123456789abcdef0, 8, 12), ==, 0xcde);
    g_assert_cmpint(sextract64(0x800, 0, 12), ==, -2048);
    g_assert_cmpint(sextract32(0x7ff, 0, 12), ==, 2047);
    g_assert_cmphex(deposit64(0xffff, 4, 8, 0x12), ==, 0xf12f);
    g_assert_cmphex(deposit64(0, 0, 64, ~0ULL), ==, ~0ULL);
    g_assert_cmphex(MAKE_64BIT_MASK(4, 0), ==, 0);
    g_assert_cmphex(MAKE_64BIT_MASK(0, 64), ==, ~0ULL);
    g_assert_cmphex(MAKE_64BIT_MASK(4, 8), ==, 0xff0);
}

static void test_counts(void)
{
    g_assert_cmpint(ctz64(0), ==, 64);
    g_assert_cmpint(clz64(0), ==, 64);
    g_assert_cmpint(clz32(1), ==, 31);
    g_assert_cmpint(popcount64(~0ULL), ==, 64);
    g_assert_true(is_power_of_2(1ULL << 63));
    g_assert_false(is_power_of_2(0));
    g_assert_cmphex(pow2ceil(0), ==, 1);
    g_assert_cmphex(pow2ceil(4097), ==, 8192);
    g_assert_cmphex(pow2ceil(1ULL << 63), ==, 1ULL << 63);
    g_assert_cmphex(pow2ceil((1ULL << 63) + 1), ==, 0);
    g_assert_cmphex(rol32(0x80000001, 1), ==, 3);
    g_assert_cmphex(ror64(1, 0), ==, 1);
}

static void test_rounding(void)
{
    uint64_t big = 0x100000001;

    g_assert_cmphex(ROUND_UP(big, 4096), ==, 0x100001000);
    g_assert_cmphex(ROUND_DOWN(big, 4096u), ==, 0x100000000);
    g_assert_true(IS_ALIGNED(big - 1, 4096));
    g_assert_cmpint(DIV_ROUND_UP(9, 8), ==, 2);
}

static void test_byte_order(void)
{
    uint8_t bytes[9] = {0, 1, 2, 3, 4, 5, 6, 7, 0xff};

    g_assert_cmphex(ldl_le_p(bytes + 1), ==, 0x04030201);
    g_assert_cmphex(ldq_be_p(bytes), ==, 0x0001020304050607);
    g_assert_cmpint(ldsw_be_p(bytes + 7), ==, 0x07ff);
    g_assert_cmpint(ldsb_p(bytes + 8), ==, -1);
    stn_be_p(bytes, 4, 0xaabbccdd);
    g_assert_cmphex(ldn_le_p(bytes, 4), ==, 0xddccbbaa);
    stw_le_p(bytes + 1, 0x1234);
    g_assert_cmphex(lduw_le_p(bytes + 1), ==, 0x1234);
    g_assert_cmphex(cpu_to_be16(le16_to_cpu(0x1234)), ==, 0x3412);
}

static void test_cmpxchg(void)
{
    uint8_t small = 7;
    void *pointer = NULL;

    g_assert_cmpint(atomic_cmpxchg(&small, 7, 9), ==, 7);
    g_assert_cmpint(atomic_cmpxchg(&small, 7, 1), ==, 9);
    g_assert_cmpint(small, ==, 9);
    g_assert_null(atomic_cmpxchg(&pointer, NULL, &small));
    g_assert_true(atomic_cmpxchg(&pointer, NULL, NULL) == (void *)&small);
}

typedef struct Member {
    int value;
} Member;

static const Member one = {1}, two = {2};
LINKER_SET_ADD(test_members, Member, one);
LINKER_SET_ADD(test_members, Member, two);

static void test_linker_set(void)
{
    int sum = 0, n = 0;

    LINKER_SET_FOREACH (test_members, Member, member) {
        sum += member->value;
        n++;
    }
    g_assert_cmpint(n, ==, 2);
    g_assert_cmpint(sum, ==, 3);
}

static void test_linker_set_empty(void)
{
    LINKER_SET_FOREACH (test_nobody, Member, member) {
        g_error("member %d", member->value);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bits/fields/extract-and-deposit", test_fields);
    g_test_add_func("/bits/counts/know-zero", test_counts);
    g_test_add_func("/bits/rounding/keeps-the-wide-type", test_rounding);
    g_test_add_func("/bswap/loads-and-stores/have-their-order", test_byte_order);
    g_test_add_func("/atomic/cmpxchg/returns-what-it-saw", test_cmpxchg);
    g_test_add_func("/linker-set/foreach/sees-each-member-once", test_linker_set);
    g_test_add_func("/linker-set/foreach/takes-empty-set", test_linker_set_empty);
    return g_test_run();
}
