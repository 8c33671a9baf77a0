/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams: big-endian values over a channel or a piece of memory.
 *
 * Both sides remember the first error; later calls do nothing (a reader returns zeroes), so that code reads a group
 * of fields and asks once.  The reader never looks past what has arrived and never allocates by a number that it
 * read.  One thread each.
 */
#ifndef MIGRATION_STREAM_H
#define MIGRATION_STREAM_H

#include <glib.h>

#include "channel.h"
#include "util/compiler.h"

/* --- writing --- */
#define WRITER_ARENA (64 * 1024)
#define WRITER_IOV   512

typedef struct StreamWriter {
    Channel *channel;   /* NULL: into memory */
    GByteArray *memory; /* owned */
    GError *error;
    uint64_t position;  /* bytes put so far */
    /* channel only: what waits to be written */
    struct iovec iov[WRITER_IOV];
    int iov_count;
    size_t queued;
    uint8_t *arena;
    size_t arena_used;
} StreamWriter;

StreamWriter *writer_new(Channel *channel); /* NULL: memory */
void writer_free(StreamWriter *writer);
void writer_bytes(StreamWriter *writer, const void *data, size_t size);
void writer_u8(StreamWriter *writer, uint8_t value);
void writer_be16(StreamWriter *writer, uint16_t value);
void writer_be32(StreamWriter *writer, uint32_t value);
void writer_be64(StreamWriter *writer, uint64_t value);
/* u8 length, bytes.  @text is at most 255 bytes long. */
void writer_counted_string(StreamWriter *writer, const char *text);
/*
 * By reference: @data stays until the next flush, on a channel that lends until the peer has answered; it may change
 * meanwhile (guest memory).
 */
void writer_guest_memory(StreamWriter *writer, const void *data, size_t size);
bool writer_flush(StreamWriter *writer);
/* False with a copy of the first error. */
bool writer_ok(StreamWriter *writer, GError **error);
/* Seekable channels: flushes, and tells or sets the place in the file. */
uint64_t writer_file_position(StreamWriter *writer);
void writer_seek(StreamWriter *writer, uint64_t file_position);

/* --- reading --- */
typedef struct StreamReader {
    Channel *channel; /* NULL: memory only */
    GError *error;
    uint64_t position; /* bytes taken so far; with a seekable channel, the place in the file */
    char place[320];   /* "section 'serial' instance 0", for messages */
    const char *field; /* being read, or NULL */
    uint8_t *buffer;
    size_t start, end, capacity;
    size_t ahead;      /* how much the next look at the channel takes */
    bool owns_buffer;
    /* Around a wait for the peer (drops and takes the big lock); may be NULL. */
    void (*before_wait)(void);
    void (*after_wait)(void);
} StreamReader;

StreamReader *reader_new(Channel *channel);
StreamReader *reader_new_memory(const void *data, size_t size); /* @data stays the caller's */
void reader_free(StreamReader *reader);
bool reader_bytes(StreamReader *reader, void *data, size_t size);
bool reader_skip(StreamReader *reader, uint64_t size);
uint8_t reader_u8(StreamReader *reader);
uint16_t reader_be16(StreamReader *reader);
uint32_t reader_be32(StreamReader *reader);
uint64_t reader_be64(StreamReader *reader);
/* u8 length, bytes; @text gets a terminating zero.  A zero byte inside is an error. */
bool reader_counted_string(StreamReader *reader, char text[256]);
/* The next @size (<= 4096) bytes without taking them; NULL when the stream ends before that (no error). */
const uint8_t *reader_peek(StreamReader *reader, size_t size);
void reader_set_place(StreamReader *reader, const char *format, ...) PRINTF_LIKE(2, 3);
/* Remembers the error, with place, field and offset; returns false. */
bool reader_fail(StreamReader *reader, const char *format, ...) PRINTF_LIKE(2, 3);
/* The same for an error made elsewhere, which is taken over. */
bool reader_take_error(StreamReader *reader, GError *error);
/* False with a copy of the first error. */
bool reader_ok(StreamReader *reader, GError **error);
void reader_seek(StreamReader *reader, uint64_t file_position);

#endif
