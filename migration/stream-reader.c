/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reading side.  The bytes come from a peer that may be broken or hostile: each step says where it was. */
#include <inttypes.h>
#include <string.h>

#include "stream.h"
#include "util/bswap.h"
#include "util/error.h"

#define READER_BUFFER (512 * 1024)
#define LARGE         (16 * 1024) /* not worth a copy */
#define READ_AHEAD    4096        /* behind what is large: the head of what follows; it may be large again */

StreamReader *reader_new(Channel *channel)
{
    StreamReader *reader = g_new0(StreamReader, 1);

    reader->channel = channel;
    reader->buffer = g_malloc(READER_BUFFER);
    reader->capacity = READER_BUFFER;
    reader->ahead = READ_AHEAD;
    reader->owns_buffer = true;
    reader->position = channel->seekable ? channel->position : 0;
    return reader;
}

StreamReader *reader_new_memory(const void *data, size_t size)
{
    StreamReader *reader = g_new0(StreamReader, 1);

    reader->buffer = (uint8_t *)(uintptr_t)data;
    reader->end = reader->capacity = size;
    return reader;
}

void reader_free(StreamReader *reader)
{
    if (!reader) {
        return;
    }
    if (reader->owns_buffer) {
        g_free(reader->buffer);
    }
    g_clear_error(&reader->error);
    g_free(reader);
}

void reader_set_place(StreamReader *reader, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_vsnprintf(reader->place, sizeof(reader->place), format, args);
    va_end(args);
}

bool reader_take_error(StreamReader *reader, GError *error)
{
    if (reader->error) {
        g_error_free(error);
        return false;
    }
    g_prefix_error(&error, "%s%s%s%s%s%soffset 0x%" PRIx64 ": ", reader->place, reader->place[0] ? ", " : "",
                   reader->field ? "field '" : "", reader->field ? reader->field : "", reader->field ? "'" : "",
                   reader->field ? ", " : "", reader->position);
    reader->error = error;
    return false;
}

bool reader_fail(StreamReader *reader, const char *format, ...)
{
    g_autofree char *message = NULL;
    GError *error = NULL;
    va_list args;

    va_start(args, format);
    message = g_strdup_vprintf(format, args);
    va_end(args);
    fail(&error, "%s", message);
    return reader_take_error(reader, error);
}

bool reader_ok(StreamReader *reader, GError **error)
{
    if (reader->error && error) {
        *error = g_error_copy(reader->error);
    }
    return !reader->error;
}

/* What the channel has, at least a byte; 0 at the end or on error. */
static size_t receive(StreamReader *reader, const struct iovec *iov, int count)
{
    GError *error = NULL;
    ssize_t n;

    if (!reader->channel || reader->error) {
        return 0;
    }
    if (reader->before_wait) {
        reader->before_wait();
    }
    n = channel_readv(reader->channel, iov, count, &error);
    if (reader->after_wait) {
        reader->after_wait();
    }
    if (n < 0) {
        reader_take_error(reader, error);
        return 0;
    }
    return (size_t)n;
}

/* At least one more byte; false at the end or on error. */
static bool fill(StreamReader *reader)
{
    struct iovec iov;
    size_t n;

    if (!reader->channel) {
        return false; /* and the memory, which is not ours, stays as it is */
    }
    if (reader->start == reader->end) {
        reader->start = reader->end = 0;
    } else if (reader->end == reader->capacity) {
        memmove(reader->buffer, reader->buffer + reader->start, reader->end - reader->start);
        reader->end -= reader->start;
        reader->start = 0;
    }
    iov = (struct iovec){reader->buffer + reader->end, MIN(reader->ahead, reader->capacity - reader->end)};
    n = receive(reader, &iov, 1);
    if (n == reader->ahead) { /* small things come in a row: fewer calls */
        reader->ahead = MIN(reader->ahead * 2, reader->capacity);
    }
    reader->end += n;
    return n > 0;
}

/* The buffer is empty and much is wanted: past it, to where it is to go; the buffer takes a little of what follows. */
static size_t receive_past(StreamReader *reader, uint8_t *to, size_t size)
{
    struct iovec iov[2] = {{to, size}, {reader->buffer, READ_AHEAD}};
    size_t n = receive(reader, iov, 2);

    reader->start = reader->end = 0;
    reader->ahead = READ_AHEAD;
    if (n > size) {
        reader->end = n - size;
        n = size;
    }
    return n;
}

bool reader_bytes(StreamReader *reader, void *data, size_t size)
{
    uint8_t *to = data;
    size_t whole = size;

    while (size && !reader->error) {
        size_t n = MIN(size, reader->end - reader->start);

        if (!n && size >= LARGE) {
            n = receive_past(reader, to, size);
        } else if (n || fill(reader)) {
            n = MIN(size, reader->end - reader->start);
            memcpy(to, reader->buffer + reader->start, n);
            reader->start += n;
        }
        if (!n) {
            reader_fail(reader, "the stream ends here");
        }
        reader->position += n;
        to += n;
        size -= n;
    }
    if (size) {
        memset(data, 0, whole);
    }
    return !reader->error;
}

bool reader_skip(StreamReader *reader, uint64_t size)
{
    while (size && !reader->error) {
        size_t n = (size_t)MIN(size, (uint64_t)(reader->end - reader->start));

        if (!n && !fill(reader)) {
            reader_fail(reader, "the stream ends here");
        }
        reader->start += n;
        reader->position += n;
        size -= n;
    }
    return !reader->error;
}

uint8_t reader_u8(StreamReader *reader)
{
    uint8_t value;

    reader_bytes(reader, &value, 1);
    return value;
}

uint16_t reader_be16(StreamReader *reader)
{
    uint8_t bytes[2];

    reader_bytes(reader, bytes, sizeof(bytes));
    return lduw_be_p(bytes);
}

uint32_t reader_be32(StreamReader *reader)
{
    uint8_t bytes[4];

    reader_bytes(reader, bytes, sizeof(bytes));
    return ldl_be_p(bytes);
}

uint64_t reader_be64(StreamReader *reader)
{
    uint8_t bytes[8];

    reader_bytes(reader, bytes, sizeof(bytes));
    return ldq_be_p(bytes);
}

bool reader_counted_string(StreamReader *reader, char text[256])
{
    uint8_t size = reader_u8(reader);

    reader_bytes(reader, text, size);
    text[size] = 0;
    if (!reader->error && strlen(text) != size) {
        reader_fail(reader, "a name holds a zero byte");
    }
    if (reader->error) {
        text[0] = 0;
    }
    return !reader->error;
}

const uint8_t *reader_peek(StreamReader *reader, size_t size)
{
    while (reader->end - reader->start < size) {
        if (!fill(reader)) {
            return NULL;
        }
    }
    return reader->buffer + reader->start;
}

void reader_seek(StreamReader *reader, uint64_t file_position)
{
    reader->start = reader->end = 0;
    reader->channel->position = reader->position = file_position;
}
