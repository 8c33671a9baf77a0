/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PNG files, against what zlib and its checksums make of the same picture. */
#include <glib/gstdio.h>
#include <string.h>

#include "util/bswap.h"
#include "util/png.h"

static const uint8_t palette[256][3] = {{1, 2, 3}, {4, 5, 6}};

/* The whole file; the caller frees. */
static uint8_t *written(uint32_t width, uint32_t height, const uint8_t *pixels, gsize *size)
{
    g_autofree char *dir = g_dir_make_tmp("godwit-png-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "picture", NULL);
    GError *error = NULL;
    char *bytes;

    png_write(path, width, height, pixels, palette, &error);
    g_assert_no_error(error);
    g_assert_true(g_file_get_contents(path, &bytes, size, NULL));
    g_unlink(path);
    g_rmdir(dir);
    return (uint8_t *)bytes;
}

static void test_small_picture(void)
{
    /* 2 x 1 pixels: 0, 1 */
    static const uint8_t idat[] = {0x00, 0x00, 0x00, 0x0e, 0x49, 0x44, 0x41, 0x54, 0x78, 0x01, 0x01, 0x03, 0x00,
                                   0xfc, 0xff, 0x00, 0x00, 0x01, 0x00, 0x04, 0x00, 0x02, 0x0b, 0x21, 0x8b, 0x71};
    static const uint8_t iend[] = {0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};
    gsize size;
    g_autofree uint8_t *bytes = written(2, 1, (const uint8_t[]){0, 1}, &size);

    g_assert_cmpmem(bytes, 8, "\x89PNG\r\n\x1a\n", 8);
    g_assert_cmpmem(bytes + size - sizeof(iend), sizeof(iend), iend, sizeof(iend));
    g_assert_cmpmem(bytes + size - sizeof(iend) - sizeof(idat), sizeof(idat), idat, sizeof(idat));
}

/* More than one stored block: the lengths add up to all rows. */
static void test_large_picture(void)
{
    const uint32_t width = 500, height = 400;
    g_autofree uint8_t *pixels = g_malloc0((gsize)width * height);
    gsize size, rows = (gsize)(width + 1) * height, seen = 0;
    g_autofree uint8_t *bytes = written(width, height, pixels, &size);
    const uint8_t *block = bytes + 8 + 25 + (12 + 768) + 8 + 2;

    for (;;) {
        bool last = block[0];
        uint16_t length = lduw_le_p(block + 1);

        g_assert_cmpuint(length ^ lduw_le_p(block + 3), ==, 0xffff);
        seen += length;
        block += 5 + length;
        if (last) {
            break;
        }
    }
    g_assert_cmpuint(seen, ==, rows);
    g_assert_cmpuint((gsize)(block - bytes) + 4 + 4 + 12, ==, size);
}

static void test_no_pixels(void)
{
    GError *error = NULL;

    g_assert_false(png_write("/nonexistent/x", 0, 7, NULL, palette, &error));
    g_assert_nonnull(strstr(error->message, "0 x 7"));
    g_error_free(error);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/png/write/small-picture", test_small_picture);
    g_test_add_func("/png/write/several-blocks", test_large_picture);
    g_test_add_func("/png/write/no-pixels", test_no_pixels);
    return g_test_run();
}
