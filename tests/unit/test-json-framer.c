/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON framer: where documents begin and end, and how it gets over what is none. */
#include "monitor/json-framer.h"

#include <string.h>

static GString *seen; /* documents, and "!" for each complaint, one a line */

static void note(const char *text, size_t len, const char *error, void *opaque)
{
    g_string_append_printf(seen, "%s\n", error ? "!" : text);
}

/* Feeds @text in pieces of @step bytes and returns what came out. */
static const char *frame_by(const char *text, size_t len, size_t step)
{
    JsonFramer framer;

    if (!seen) {
        seen = g_string_new(NULL);
    }
    g_string_truncate(seen, 0);
    json_framer_init(&framer, note, NULL);
    for (size_t i = 0; i < len; i += step) {
        json_framer_feed(&framer, (const uint8_t *)text + i, MIN(step, len - i));
    }
    json_framer_destroy(&framer);
    return seen->str;
}

static void assert_frames(const char *text, const char *expected)
{
    for (size_t step = 1; step < 6; step++) {
        g_assert_cmpstr(frame_by(text, strlen(text), step), ==, expected);
    }
}

static void test_concatenated(void)
{
    assert_frames("{}{\"a\":[1,{}]}[ ]\n {\"b\":2}", "{}\n{\"a\":[1,{}]}\n[ ]\n{\"b\":2}\n");
}

static void test_brackets_in_strings(void)
{
    assert_frames("{\"a\":\"}]{[\\\"\"}{}", "{\"a\":\"}]{[\\\"\"}\n{}\n");
}

static void test_single_quotes(void)
{
    assert_frames("{'a':'x\"y\\'z'}", "{\"a\":\"x\\\"y'z\"}\n");
}

static void test_scalars(void)
{
    assert_frames("null\n12 \"x\"'y'{}", "null\n12\n\"x\"\n\"y\"\n{}\n");
}

static void test_truncated(void)
{
    assert_frames("{\"a\":[1,", "");
}

static void test_mismatch(void)
{
    assert_frames("{]\n{}", "!\n{}\n");
    assert_frames("]{}", "!\n{}\n");
}

static void test_reset_byte(void)
{
    assert_frames("\xff\xff{}", "{}\n");
    assert_frames("{\"a\xff{}", "!\n{}\n");
    assert_frames("{\xff{}", "!\n{}\n");
}

static void test_stray_bytes(void)
{
    assert_frames("{\x01{}", "!\n{}\n");
    assert_frames("%p\n{}", "!\n{}\n");
    assert_frames("{\"a\nb\":1}\n{}", "!\n!\n{}\n");
}

static void test_depth(void)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (int i = 0; i < 100000; i++) {
        g_string_append_c(text, '[');
    }
    g_string_append(text, "\n{}");
    g_assert_cmpstr(frame_by(text->str, text->len, 4096), ==, "!\n{}\n");
}

static void test_depth_balanced(void)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (int i = 0; i < 2 * 2000; i++) {
        g_string_append_c(text, i < 2000 ? '[' : ']');
    }
    g_string_append(text, "{}");
    g_assert_cmpstr(frame_by(text->str, text->len, 4096), ==, "!\n{}\n");
}

static void test_deepest(void)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (int i = 0; i < 2 * JSON_FRAMER_MAX_DEPTH; i++) {
        g_string_append_c(text, i < JSON_FRAMER_MAX_DEPTH ? '[' : ']');
    }
    frame_by(text->str, text->len, 100);
    g_assert_cmpuint(seen->len, ==, text->len + 1);
}

static void test_size(void)
{
    g_autofree char *filler = g_strnfill(1 << 20, 'x');
    JsonFramer framer;

    seen = seen ? seen : g_string_new(NULL);
    g_string_truncate(seen, 0);
    json_framer_init(&framer, note, NULL);
    json_framer_feed(&framer, (const uint8_t *)"[\"", 2);
    for (int i = 0; i < (JSON_FRAMER_MAX_SIZE >> 20) + 3; i++) {
        json_framer_feed(&framer, (const uint8_t *)filler, 1 << 20);
    }
    json_framer_feed(&framer, (const uint8_t *)"\"]{}", 4);
    json_framer_destroy(&framer);
    g_assert_cmpstr(seen->str, ==, "!\n{}\n");
}

static void test_tokens(void)
{
    g_autofree char *filler = g_strnfill(3 << 20, ',');
    JsonFramer framer;

    seen = seen ? seen : g_string_new(NULL);
    g_string_truncate(seen, 0);
    json_framer_init(&framer, note, NULL);
    json_framer_feed(&framer, (const uint8_t *)"[", 1);
    json_framer_feed(&framer, (const uint8_t *)filler, 3 << 20);
    json_framer_feed(&framer, (const uint8_t *)"]{}", 3);
    json_framer_destroy(&framer);
    g_assert_cmpstr(seen->str, ==, "!\n{}\n");
}

/* Whatever comes, after a reset byte a document is understood. */
static void test_random_bytes(void)
{
    static const char alphabet[] = "{}[]\"'\\,: \n\x01\xff\xc0"
                                   "a1";
    GRand *rand = g_rand_new_with_seed(1);
    JsonFramer framer;

    seen = seen ? seen : g_string_new(NULL);
    json_framer_init(&framer, note, NULL);
    for (int round = 0; round < 2000; round++) {
        for (int i = g_rand_int_range(rand, 0, 60); i > 0; i--) {
            uint8_t byte = (uint8_t)alphabet[g_rand_int_range(rand, 0, sizeof(alphabet) - 1)];
            json_framer_feed(&framer, &byte, 1);
        }
        json_framer_feed(&framer, (const uint8_t *)"\xff", 1);
        g_string_truncate(seen, 0);
        json_framer_feed(&framer, (const uint8_t *)"{\"id\":1}", 8);
        g_assert_cmpstr(seen->str, ==, "{\"id\":1}\n");
    }
    json_framer_destroy(&framer);
    g_rand_free(rand);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/json-framer/split/concatenated-documents", test_concatenated);
    g_test_add_func("/json-framer/split/ignores-brackets-in-strings", test_brackets_in_strings);
    g_test_add_func("/json-framer/split/takes-single-quotes", test_single_quotes);
    g_test_add_func("/json-framer/split/top-level-scalars", test_scalars);
    g_test_add_func("/json-framer/split/waits-for-the-rest", test_truncated);
    g_test_add_func("/json-framer/recover/mismatched-brackets", test_mismatch);
    g_test_add_func("/json-framer/recover/reset-byte", test_reset_byte);
    g_test_add_func("/json-framer/recover/stray-bytes", test_stray_bytes);
    g_test_add_func("/json-framer/recover/random-bytes", test_random_bytes);
    g_test_add_func("/json-framer/bounds/one-error-for-100000-brackets", test_depth);
    g_test_add_func("/json-framer/bounds/too-deep-but-balanced", test_depth_balanced);
    g_test_add_func("/json-framer/bounds/deepest-allowed", test_deepest);
    g_test_add_func("/json-framer/bounds/size", test_size);
    g_test_add_func("/json-framer/bounds/tokens", test_tokens);
    return g_test_run();
}
