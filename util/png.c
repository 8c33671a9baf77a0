/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PNG files of 8-bit palette pictures, without compression: signature, then chunks IHDR, PLTE, IDAT, IEND.
 *
 * The picture is a zlib stream of "stored" blocks, each row led by a filter byte of 0.  Everything is big-endian except
 * the blocks' lengths.
 */
#include "util/png.h"

#include <string.h>

#include "util/bswap.h"
#include "util/error.h"

#define STORED_MAX 65535 /* bytes in a stored block */
#define SIDE_MAX   16384

static void put_be32(GByteArray *out, uint32_t value)
{
    uint8_t bytes[4];

    stl_be_p(bytes, value);
    g_byte_array_append(out, bytes, sizeof(bytes));
}

static uint32_t crc32_of(const uint8_t *data, size_t size)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
        }
    }
    return ~crc;
}

static uint32_t adler32_of(const uint8_t *data, size_t size)
{
    uint32_t a = 1, b = 0;

    for (size_t i = 0; i < size; i++) {
        a = (a + data[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

/* The checksum is over type and data. */
static void put_chunk(GByteArray *out, const char *type, const void *data, size_t size)
{
    guint start;

    put_be32(out, (uint32_t)size);
    start = out->len;
    g_byte_array_append(out, (const uint8_t *)type, 4);
    if (size) {
        g_byte_array_append(out, data, (guint)size);
    }
    put_be32(out, crc32_of(out->data + start, out->len - start));
}

static void put_header(GByteArray *out, uint32_t width, uint32_t height)
{
    uint8_t header[13] = {[8] = 8, [9] = 3}; /* bits per pixel; palette */

    stl_be_p(header, width);
    stl_be_p(header + 4, height);
    put_chunk(out, "IHDR", header, sizeof(header));
}

static GByteArray *filtered_rows(uint32_t width, uint32_t height, const uint8_t *pixels)
{
    GByteArray *rows = g_byte_array_new();

    for (uint32_t y = 0; y < height; y++) {
        g_byte_array_append(rows, (const uint8_t[]){0}, 1);
        g_byte_array_append(rows, pixels + (size_t)y * width, width);
    }
    return rows;
}

static void put_picture(GByteArray *out, const GByteArray *rows)
{
    g_autoptr(GByteArray) stream = g_byte_array_new();

    g_byte_array_append(stream, (const uint8_t[]){0x78, 0x01}, 2);
    for (guint at = 0; at < rows->len; at += STORED_MAX) {
        uint16_t size = (uint16_t)MIN(rows->len - at, STORED_MAX);
        uint8_t head[5] = {at + size == rows->len};

        stw_le_p(head + 1, size);
        stw_le_p(head + 3, (uint16_t)~size);
        g_byte_array_append(stream, head, sizeof(head));
        g_byte_array_append(stream, rows->data + at, size);
    }
    put_be32(stream, adler32_of(rows->data, rows->len));
    put_chunk(out, "IDAT", stream->data, stream->len);
}

bool png_write(const char *path, uint32_t width, uint32_t height, const uint8_t *pixels, const uint8_t palette[256][3],
               GError **error)
{
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autoptr(GByteArray) rows = NULL;

    if (!width || !height || width > SIDE_MAX || height > SIDE_MAX) {
        return fail(error, "a picture of %u x %u pixels: 1 to %u are possible", width, height, SIDE_MAX);
    }
    rows = filtered_rows(width, height, pixels);
    g_byte_array_append(out, signature, sizeof(signature));
    put_header(out, width, height);
    put_chunk(out, "PLTE", palette, 256 * 3);
    put_picture(out, rows);
    put_chunk(out, "IEND", NULL, 0);
    return g_file_set_contents(path, (const char *)out->data, out->len, error);
}
