/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The writing side: small values are copied into an arena, pages stand by reference, and one writev() sends them all.
 */
#include <string.h>

#include "stream.h"
#include "util/bswap.h"
#include "util/error.h"

#define FLUSH_BYTES (1024 * 1024)

StreamWriter *writer_new(Channel *channel)
{
    StreamWriter *writer = g_new0(StreamWriter, 1);

    writer->channel = channel;
    if (channel) {
        writer->arena = g_malloc(WRITER_ARENA);
    } else {
        writer->memory = g_byte_array_new();
    }
    return writer;
}

void writer_free(StreamWriter *writer)
{
    if (!writer) {
        return;
    }
    if (writer->memory) {
        g_byte_array_unref(writer->memory);
    }
    g_clear_error(&writer->error);
    g_free(writer->arena);
    g_free(writer);
}

bool writer_flush(StreamWriter *writer)
{
    if (!writer->error && writer->iov_count) {
        channel_writev(writer->channel, writer->iov, writer->iov_count, &writer->error);
    }
    writer->iov_count = 0;
    writer->queued = 0;
    writer->arena_used = 0;
    return !writer->error;
}

static void queue(StreamWriter *writer, const void *data, size_t size)
{
    struct iovec *last = writer->iov_count ? &writer->iov[writer->iov_count - 1] : NULL;

    if (last && (const char *)last->iov_base + last->iov_len == data) {
        last->iov_len += size;
    } else {
        writer->iov[writer->iov_count++] = (struct iovec){(void *)(uintptr_t)data, size};
    }
    writer->queued += size;
    if (writer->iov_count == WRITER_IOV || writer->queued >= FLUSH_BYTES) {
        writer_flush(writer);
    }
}

void writer_guest_memory(StreamWriter *writer, const void *data, size_t size)
{
    if (writer->memory) {
        writer_bytes(writer, data, size);
        return;
    }
    writer->position += size;
    if (writer->error) {
        return;
    }
    if (writer->channel->lend_pipe[0] >= 0 && size >= LEND_BYTES) {
        struct iovec iov = {(void *)(uintptr_t)data, size};

        if (writer_flush(writer)) {
            channel_writev_memory(writer->channel, &iov, 1, &writer->error);
        }
        return;
    }
    queue(writer, data, size);
}

void writer_bytes(StreamWriter *writer, const void *data, size_t size)
{
    writer->position += size;
    if (writer->error || !size) {
        return;
    }
    if (writer->memory) {
        g_byte_array_append(writer->memory, data, (guint)size);
        return;
    }
    if (size > WRITER_ARENA / 4) { /* large: not worth a copy */
        queue(writer, data, size);
        writer_flush(writer);
        return;
    }
    if (writer->arena_used + size > WRITER_ARENA) {
        writer_flush(writer);
    }
    memcpy(writer->arena + writer->arena_used, data, size);
    writer->arena_used += size;
    queue(writer, writer->arena + writer->arena_used - size, size);
}

void writer_u8(StreamWriter *writer, uint8_t value)
{
    writer_bytes(writer, &value, 1);
}

void writer_be16(StreamWriter *writer, uint16_t value)
{
    value = cpu_to_be16(value);
    writer_bytes(writer, &value, sizeof(value));
}

void writer_be32(StreamWriter *writer, uint32_t value)
{
    value = cpu_to_be32(value);
    writer_bytes(writer, &value, sizeof(value));
}

void writer_be64(StreamWriter *writer, uint64_t value)
{
    value = cpu_to_be64(value);
    writer_bytes(writer, &value, sizeof(value));
}

void writer_counted_string(StreamWriter *writer, const char *text)
{
    size_t size = MIN(strlen(text), 255);

    writer_u8(writer, (uint8_t)size);
    writer_bytes(writer, text, size);
}

bool writer_ok(StreamWriter *writer, GError **error)
{
    if (writer->error && error) {
        *error = g_error_copy(writer->error);
    }
    return !writer->error;
}

uint64_t writer_file_position(StreamWriter *writer)
{
    writer_flush(writer);
    return writer->channel->position;
}

void writer_seek(StreamWriter *writer, uint64_t file_position)
{
    writer_flush(writer);
    writer->channel->position = file_position;
}
