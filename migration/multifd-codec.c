/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compression of multifd channels: one zlib or zstd stream per channel for its whole life, flushed at each packet.
 *
 * Guest memory may change while it is sent, and neither library bears that: pages are copied first.
 */
#include "config-host.h"

#include <string.h>
#ifdef CONFIG_ZLIB
#include <zlib.h>
#endif
#ifdef CONFIG_ZSTD
#include <zstd.h>
#endif

#include "multifd.h"
#include "util/error.h"

typedef struct CodecOps {
    uint32_t flag;
    bool (*open)(MultifdCodec *codec, bool sending, int level);
    void (*close)(MultifdCodec *codec);
    /* From .copy into .out; sets .out_size. */
    bool (*compress)(MultifdCodec *codec, size_t size);
    /* The next @size bytes of the stream; *@data moves on. */
    bool (*decompress)(MultifdCodec *codec, const uint8_t **data, size_t *left, void *page, size_t size);
    /* The flush mark after the last byte of data is part of the packet; false when more than that is left. */
    bool (*skip_mark)(MultifdCodec *codec, const uint8_t *data, size_t left);
} CodecOps;

struct MultifdCodec {
    const CodecOps *ops;
    bool sending;
    uint8_t *copy, *out;
    size_t out_room, out_size;
#ifdef CONFIG_ZLIB
    z_stream zlib;
#endif
#ifdef CONFIG_ZSTD
    ZSTD_CStream *zstd_out;
    ZSTD_DStream *zstd_in;
#endif
};

#define RAW_BYTES ((size_t)MULTIFD_PAGES * TARGET_PAGE_SIZE)

size_t multifd_codec_bound(int compression, size_t raw)
{
    return compression == MULTIFD_COMPRESSION_NONE ? raw : raw + raw / 64 + 4096;
}

/* --- zlib --- */

#ifdef CONFIG_ZLIB
static bool zlib_open(MultifdCodec *codec, bool sending, int level)
{
    return (sending ? deflateInit(&codec->zlib, level) : inflateInit(&codec->zlib)) == Z_OK;
}

static void zlib_close(MultifdCodec *codec)
{
    if (codec->sending) {
        deflateEnd(&codec->zlib);
    } else {
        inflateEnd(&codec->zlib);
    }
}

static bool zlib_compress(MultifdCodec *codec, size_t size)
{
    z_stream *z = &codec->zlib;

    z->next_in = codec->copy;
    z->avail_in = (uInt)size;
    z->next_out = codec->out;
    z->avail_out = (uInt)codec->out_room;
    if (deflate(z, Z_SYNC_FLUSH) != Z_OK || z->avail_in || !z->avail_out) {
        return false;
    }
    codec->out_size = codec->out_room - z->avail_out;
    return true;
}

static bool zlib_decompress(MultifdCodec *codec, const uint8_t **data, size_t *left, void *page, size_t size)
{
    z_stream *z = &codec->zlib;
    int result = Z_OK;

    z->next_in = (uint8_t *)(uintptr_t)*data;
    z->avail_in = (uInt)*left;
    z->next_out = page;
    z->avail_out = (uInt)size;
    while (z->avail_out && result == Z_OK) {
        result = inflate(z, Z_SYNC_FLUSH);
    }
    *data = z->next_in;
    *left = z->avail_in;
    return z->avail_out == 0;
}

static bool zlib_skip_mark(MultifdCodec *codec, const uint8_t *data, size_t left)
{
    z_stream *z = &codec->zlib;
    uint8_t more;

    z->next_in = (uint8_t *)(uintptr_t)data;
    z->avail_in = (uInt)left;
    z->next_out = &more;
    z->avail_out = 1;
    inflate(z, Z_SYNC_FLUSH); /* also without input: bytes of the last page's successor may wait inside */
    return z->avail_in == 0 && z->avail_out == 1;
}

static const CodecOps zlib_ops = {MULTIFD_FLAG_ZLIB, zlib_open, zlib_close, zlib_compress, zlib_decompress,
                                  zlib_skip_mark};
#endif

/* --- zstd --- */

#ifdef CONFIG_ZSTD
static bool zstd_open(MultifdCodec *codec, bool sending, int level)
{
    if (sending) {
        codec->zstd_out = ZSTD_createCStream();
        return codec->zstd_out && !ZSTD_isError(ZSTD_initCStream(codec->zstd_out, level));
    }
    codec->zstd_in = ZSTD_createDStream();
    return codec->zstd_in && !ZSTD_isError(ZSTD_initDStream(codec->zstd_in));
}

static void zstd_close(MultifdCodec *codec)
{
    ZSTD_freeCStream(codec->zstd_out);
    ZSTD_freeDStream(codec->zstd_in);
}

static bool zstd_compress(MultifdCodec *codec, size_t size)
{
    ZSTD_inBuffer in = {codec->copy, size, 0};
    ZSTD_outBuffer out = {codec->out, codec->out_room, 0};
    size_t left = 1;

    while (left && out.pos < out.size) {
        left = ZSTD_compressStream2(codec->zstd_out, &out, &in, ZSTD_e_flush);
        if (ZSTD_isError(left)) {
            return false;
        }
    }
    codec->out_size = out.pos;
    return left == 0 && in.pos == in.size;
}

static bool zstd_decompress(MultifdCodec *codec, const uint8_t **data, size_t *left, void *page, size_t size)
{
    ZSTD_inBuffer in = {*data, *left, 0};
    ZSTD_outBuffer out = {page, size, 0};

    while (out.pos < out.size) {
        size_t had = out.pos + in.pos;

        if (ZSTD_isError(ZSTD_decompressStream(codec->zstd_in, &out, &in)) || out.pos + in.pos == had) {
            break;
        }
    }
    *data += in.pos;
    *left -= in.pos;
    return out.pos == out.size;
}

static bool zstd_skip_mark(MultifdCodec *codec, const uint8_t *data, size_t left)
{
    uint8_t more;
    ZSTD_inBuffer in = {data, left, 0};
    ZSTD_outBuffer out = {&more, 1, 0};

    /* also without input: bytes of the last page's successor may wait inside */
    return !ZSTD_isError(ZSTD_decompressStream(codec->zstd_in, &out, &in)) && in.pos == left && !out.pos;
}

static const CodecOps zstd_ops = {MULTIFD_FLAG_ZSTD, zstd_open, zstd_close, zstd_compress, zstd_decompress,
                                  zstd_skip_mark};
#endif

/* --- any --- */

static const CodecOps *find_ops(int compression)
{
    switch (compression) {
#ifdef CONFIG_ZLIB
    case MULTIFD_COMPRESSION_ZLIB:
        return &zlib_ops;
#endif
#ifdef CONFIG_ZSTD
    case MULTIFD_COMPRESSION_ZSTD:
        return &zstd_ops;
#endif
    default:
        return NULL;
    }
}

uint32_t multifd_codec_flag(int compression)
{
    const CodecOps *ops = find_ops(compression);

    return ops ? ops->flag : 0;
}

MultifdCodec *multifd_codec_new(int compression, bool sending, int level, GError **error)
{
    MultifdCodec *codec = g_new0(MultifdCodec, 1);

    codec->ops = find_ops(compression);
    codec->sending = sending;
    if (!codec->ops || !codec->ops->open(codec, sending, level)) {
        codec->ops = NULL;
        multifd_codec_free(codec);
        return fail_null(error, "cannot start compression");
    }
    if (sending) {
        codec->copy = g_malloc(RAW_BYTES);
        codec->out_room = multifd_codec_bound(compression, RAW_BYTES);
        codec->out = g_malloc(codec->out_room);
    }
    return codec;
}

void multifd_codec_free(MultifdCodec *codec)
{
    if (!codec) {
        return;
    }
    if (codec->ops) {
        codec->ops->close(codec);
    }
    g_free(codec->copy);
    g_free(codec->out);
    g_free(codec);
}

__attribute__((no_sanitize("thread"))) static void copy_guest_memory(void *to, const void *from, size_t size)
{
    memcpy(to, from, size);
}

bool multifd_codec_compress(MultifdCodec *codec, const struct iovec *pages, int count, struct iovec *out,
                            GError **error)
{
    size_t size = 0;

    for (int i = 0; i < count; i++) {
        copy_guest_memory(codec->copy + size, pages[i].iov_base, pages[i].iov_len);
        size += pages[i].iov_len;
    }
    if (!codec->ops->compress(codec, size)) {
        return fail(error, "compression failed");
    }
    *out = (struct iovec){codec->out, codec->out_size};
    return true;
}

bool multifd_codec_decompress(MultifdCodec *codec, const void *data, size_t size, const struct iovec *pages, int count,
                              GError **error)
{
    const uint8_t *at = data;

    for (int i = 0; i < count; i++) {
        if (!codec->ops->decompress(codec, &at, &size, pages[i].iov_base, pages[i].iov_len)) {
            return fail(error, "the data is damaged, or less than the pages");
        }
    }
    return codec->ops->skip_mark(codec, at, size) || fail(error, "the data is more than the pages");
}
