/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The codes that pages travel in: xbzrle, multifd's compression, checksums. */
#include <string.h>

#include "migration/multifd.h"
#include "migration/xbzrle.h"

#define PAGE TARGET_PAGE_SIZE

static void fill(GRand *rand, uint8_t *page)
{
    for (unsigned i = 0; i < PAGE; i++) {
        page[i] = (uint8_t)g_rand_int(rand);
    }
}

/* --- xbzrle --- */

static void test_xbzrle_round_trip(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    uint8_t old[PAGE], new[PAGE], delta[PAGE];

    for (unsigned round = 0; round < 2000; round++) {
        unsigned changes = (unsigned)g_rand_int_range(rand, 0, 40);
        int size;

        fill(rand, old);
        memcpy(new, old, PAGE);
        for (unsigned i = 0; i < changes; i++) {
            unsigned at = (unsigned)g_rand_int_range(rand, 0, PAGE), n = (unsigned)g_rand_int_range(rand, 1, 300);

            for (; n && at < PAGE; n--) {
                new[at++] ^= 0x5a;
            }
        }
        size = xbzrle_encode(old, new, PAGE, delta, sizeof(delta));
        if (size >= 0) {
            g_assert_true(xbzrle_decode(delta, (size_t)size, old, PAGE, NULL));
            g_assert_cmpmem(old, PAGE, new, PAGE);
        }
    }
}

static void test_xbzrle_too_much_is_said(void)
{
    uint8_t old[PAGE], new[PAGE], delta[PAGE];

    memset(old, 0, PAGE);
    memset(new, 1, PAGE);
    g_assert_cmpint(xbzrle_encode(old, new, PAGE, delta, sizeof(delta)), ==, -1);
    g_assert_cmpint(xbzrle_encode(old, old, PAGE, delta, sizeof(delta)), ==, 0);
}

static void test_xbzrle_any_bytes_are_survived(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(2);

    for (unsigned round = 0; round < 20000; round++) {
        size_t size = (size_t)g_rand_int_range(rand, 0, 64);
        g_autofree uint8_t *delta = g_malloc(size), *page = g_malloc0(PAGE); /* a checker sees overruns */

        for (size_t i = 0; i < size; i++) {
            delta[i] = (uint8_t)g_rand_int(rand);
        }
        xbzrle_decode(delta, size, page, PAGE, NULL);
    }
}

static void check_bad_delta(const void *delta, size_t size, const char *expected)
{
    g_autoptr(GError) error = NULL;
    uint8_t page[PAGE];

    g_assert_false(xbzrle_decode(delta, size, page, PAGE, &error));
    g_assert_nonnull(strstr(error->message, expected));
}

static void test_xbzrle_bad_runs_are_named(void)
{
    check_bad_delta("\1\0", 2, "is empty");
    check_bad_delta("\0\1x\0\1x", 6, "is empty");
    check_bad_delta("\xff\x1f\2ab", 5, "past the end of the page");
    check_bad_delta("\0\5abc", 5, "ends inside a run");
    check_bad_delta("\x80\x80\1\1a", 5, "the length of a run");
    check_bad_delta("\1", 1, "the length of a run");
}

static void test_xbzrle_cache_holds_what_was_sent(void)
{
    XbzrleCache *cache = xbzrle_cache_new(4 * PAGE);
    XbzrleStats stats = {0};
    uint8_t page[PAGE] = {1}, theirs[PAGE];
    const uint8_t *data;
    size_t size;

    xbzrle_cache_new_pass(cache);
    g_assert_cmpint(xbzrle_cache_update(cache, 0, page, &stats, &data, &size), ==, XBZRLE_PAGE);
    memcpy(theirs, data, PAGE);
    g_assert_cmpint(xbzrle_cache_update(cache, 0, page, &stats, &data, &size), ==, XBZRLE_SAME);
    page[100] = 7;
    g_assert_cmpint(xbzrle_cache_update(cache, 0, page, &stats, &data, &size), ==, XBZRLE_DELTA);
    g_assert_true(xbzrle_decode(data, size, theirs, PAGE, NULL));
    g_assert_cmpmem(theirs, PAGE, page, PAGE);
    g_assert_cmpint(xbzrle_cache_update(cache, 4 * PAGE, page, &stats, &data, &size), ==, XBZRLE_MISS);
    xbzrle_cache_new_pass(cache);
    xbzrle_cache_new_pass(cache);
    g_assert_cmpint(xbzrle_cache_update(cache, 4 * PAGE, page, &stats, &data, &size), ==, XBZRLE_PAGE);
    xbzrle_cache_forget(cache, 4 * PAGE);
    g_assert_cmpint(xbzrle_cache_update(cache, 4 * PAGE, page, &stats, &data, &size), ==, XBZRLE_PAGE);
    xbzrle_cache_free(cache);
}

/* --- compression --- */

static void round_trip(int compression)
{
    MultifdCodec *out = multifd_codec_new(compression, true, 1, NULL);
    MultifdCodec *in = multifd_codec_new(compression, false, 0, NULL);
    g_autoptr(GRand) rand = g_rand_new_with_seed(3);
    g_autofree uint8_t *from = g_malloc(MULTIFD_PAGES * PAGE), *to = g_malloc0(MULTIFD_PAGES * PAGE);

    for (unsigned round = 1; round <= MULTIFD_PAGES; round += 9) {
        struct iovec pages = {from, round * PAGE}, data, back[2] = {{to, PAGE}, {to + PAGE, (round - 1) * PAGE}};

        for (unsigned i = 0; i < round; i++) {
            (i % 3 ? (void)memset(from + i * PAGE, (int)i, PAGE) : fill(rand, from + i * PAGE));
        }
        g_assert_true(multifd_codec_compress(out, &pages, 1, &data, NULL));
        g_assert_cmpuint(data.iov_len, <=, multifd_codec_bound(compression, round * PAGE));
        g_assert_true(multifd_codec_decompress(in, data.iov_base, data.iov_len, back, round > 1 ? 2 : 1, NULL));
        g_assert_cmpmem(from, round * PAGE, to, round * PAGE);
    }
    multifd_codec_free(out);
    multifd_codec_free(in);
}

static void damage(int compression)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(4);
    g_autofree uint8_t *from = g_malloc(4 * PAGE), *to = g_malloc(4 * PAGE);

    for (unsigned round = 0; round < 300; round++) {
        MultifdCodec *out = multifd_codec_new(compression, true, 1, NULL);
        MultifdCodec *in = multifd_codec_new(compression, false, 0, NULL);
        struct iovec pages = {from, 4 * PAGE}, data, back = {to, 4 * PAGE};
        g_autofree uint8_t *bytes = NULL;
        size_t cut;

        memset(from, (int)round, 4 * PAGE);
        fill(rand, from + PAGE);
        g_assert_true(multifd_codec_compress(out, &pages, 1, &data, NULL));
        cut = round % 2 ? (size_t)g_rand_int_range(rand, 0, (int)data.iov_len) : data.iov_len;
        bytes = g_memdup2(data.iov_base, MAX(cut, 1));
        if (round % 2) {
            bytes[g_rand_int_range(rand, 0, (int)MAX(cut, 1))] ^= 0x10;
        }
        multifd_codec_decompress(in, bytes, cut, &back, 1, NULL);
        back.iov_len = PAGE; /* more data than pages */
        multifd_codec_free(in);
        in = multifd_codec_new(compression, false, 0, NULL);
        g_assert_false(multifd_codec_decompress(in, data.iov_base, data.iov_len, &back, 1, NULL));
        multifd_codec_free(out);
        multifd_codec_free(in);
    }
}

static void test_compression(gconstpointer compression)
{
    if (!multifd_codec_flag(GPOINTER_TO_INT(compression))) {
        g_test_skip("not in this build");
        return;
    }
    round_trip(GPOINTER_TO_INT(compression));
    damage(GPOINTER_TO_INT(compression));
}

/* --- checksums --- */

static void test_checksum_sees_each_bit_and_place(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(5);
    uint8_t page[PAGE];
    uint64_t sum;

    fill(rand, page);
    sum = page_sum(page, PAGE, 7);
    g_assert_cmphex(page_sum(page, PAGE, 8), !=, sum);
    for (unsigned bit = 0; bit < PAGE * 8; bit++) {
        page[bit / 8] ^= (uint8_t)(1 << bit % 8);
        g_assert_cmphex(page_sum(page, PAGE, 7), !=, sum);
        page[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/codecs/xbzrle/round-trip", test_xbzrle_round_trip);
    g_test_add_func("/codecs/xbzrle/too-much-is-said", test_xbzrle_too_much_is_said);
    g_test_add_func("/codecs/xbzrle/any-bytes-are-survived", test_xbzrle_any_bytes_are_survived);
    g_test_add_func("/codecs/xbzrle/bad-runs-are-named", test_xbzrle_bad_runs_are_named);
    g_test_add_func("/codecs/xbzrle/cache-holds-what-was-sent", test_xbzrle_cache_holds_what_was_sent);
    g_test_add_data_func("/codecs/zlib", GINT_TO_POINTER(MULTIFD_COMPRESSION_ZLIB), test_compression);
    g_test_add_data_func("/codecs/zstd", GINT_TO_POINTER(MULTIFD_COMPRESSION_ZSTD), test_compression);
    g_test_add_func("/codecs/checksum/sees-each-bit-and-place", test_checksum_sees_each_bit_and_place);
    return g_test_run();
}
