/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * multifd: page data over several connections, or into several places of a file, by as many threads.
 *
 * The migration thread collects pages of one block into a job and hands it to a thread that has nothing waiting.  Two
 * copies of one page may only meet in order, so the migration thread puts a barrier between two passes: over sockets
 * every channel gets a SYNC packet and the main stream a MULTIFD_FLUSH record, where the destination waits until all
 * channels have come that far; with a file, all threads finish first.
 *
 * A connection begins with a packet of 64 bytes:
 *   u32 magic, u32 version, uuid[16], u8 channel id, 39 zeroes
 * and goes on with packets of 1344 bytes and the data they announce:
 *   u32 magic, u32 version, u32 flags, u32 room for offsets (128), u32 normal pages, u32 bytes of data, u64 number,
 *   u32 zero pages, 28 zeroes, name of the block[256], 128 * u64 offset: normal pages, then zero pages
 * Integers are big endian.  With a fixed-ram file there are no packets at all: pages go to their places.
 */
#ifndef MIGRATION_MULTIFD_H
#define MIGRATION_MULTIFD_H

#include "fixed-ram.h"
#include "options.h"
#include "ram.h"

#define MULTIFD_MAGIC        0x11223344
#define MULTIFD_VERSION      1
#define MULTIFD_PAGES        128 /* offsets in a packet */
#define MULTIFD_INITIAL_SIZE 64
#define MULTIFD_PACKET_SIZE  1344
#define MULTIFD_NAME_SIZE    256

enum { /* places in a packet */
    MULTIFD_AT_FLAGS = 8,
    MULTIFD_AT_ROOM = 12,
    MULTIFD_AT_NORMAL = 16,
    MULTIFD_AT_DATA_SIZE = 20,
    MULTIFD_AT_NUMBER = 24,
    MULTIFD_AT_ZERO = 32,
    MULTIFD_AT_NAME = 64,
    MULTIFD_AT_OFFSETS = 320,
};

enum {
    MULTIFD_FLAG_SYNC = 0x1,
    MULTIFD_FLAG_ZLIB = 0x2,
    MULTIFD_FLAG_ZSTD = 0x4,
    MULTIFD_FLAGS_COMPRESSION = 0x3e,
};

/* --- multifd-send.c: the migration thread --- */
/*
 * Connects, and starts the threads.  @fixed: not NULL when pages go to places of a file.  @switchover: whether bytes
 * count as downtime, read by the threads.  NULL on error.
 */
MultifdSend *multifd_send_new(Channel *leader, FixedRamWriter *fixed, const MigrationOptions *options,
                              const uint8_t uuid[16], RamStats *stats, const bool *switchover, GError **error);
/* Takes a run of pages, whose bits are cleared.  Waits when all threads have enough to do. */
bool multifd_send_run(MultifdSend *send, RAMBlock *block, uint64_t page, uint64_t n, GError **error);
/*
 * Pages queued from here on arrive after those before; the caller then writes the FLUSH record if there are packets.
 */
bool multifd_send_barrier(MultifdSend *send, GError **error);
bool multifd_send_has_packets(const MultifdSend *send);
/* Until everything is written. */
bool multifd_send_wait(MultifdSend *send, GError **error);
/* Ends the threads, whatever they do.  NULL is fine. */
void multifd_send_free(MultifdSend *send);

/* --- multifd-recv.c: the loader's thread --- */
typedef struct MultifdRecv MultifdRecv;
/* Takes over the @n channels. */
MultifdRecv *multifd_recv_new(Channel *leader, Channel **channels, unsigned n, int compression,
                              const uint8_t uuid[16], RamLoad *ram);
/* At a FLUSH record: until every channel had its SYNC. */
bool multifd_recv_sync(MultifdRecv *recv, StreamReader *reader);
/* Ends the threads; false with their first error.  Frees.  NULL is fine. */
bool multifd_recv_free(MultifdRecv *recv, GError **error);

/* --- multifd-codec.c: what happens to the bytes of pages; one object per channel and direction --- */
typedef struct MultifdCodec MultifdCodec;
/* NULL with @error. */
MultifdCodec *multifd_codec_new(int compression, bool sending, int level, GError **error);
void multifd_codec_free(MultifdCodec *codec); /* NULL is fine */
uint32_t multifd_codec_flag(int compression);
/* The bytes of all @pages, compressed, which stay the codec's until the next call. */
bool multifd_codec_compress(MultifdCodec *codec, const struct iovec *pages, int count, struct iovec *out,
                            GError **error);
/* Fills @pages; @data has exactly their bytes. */
bool multifd_codec_decompress(MultifdCodec *codec, const void *data, size_t size, const struct iovec *pages, int count,
                              GError **error);
/* The most bytes that a packet of @raw bytes may have. */
size_t multifd_codec_bound(int compression, size_t raw);

#endif
