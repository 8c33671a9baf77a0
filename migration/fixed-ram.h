/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fixed-ram: every page has one place in the file, however often it is saved.
 *
 * Per block, after its entry in the list: a header (version, page size, place of the bitmap, place of page 0), the
 * bitmap of pages present, in native files a record about the block, then the pages at the next 1 MiB boundary.  A zero
 * page is absent from the bitmap and a hole in the file.  Places are file offsets.  Bitmaps and records are written at
 * the end; until the writer has synced everything the file starts with another magic number, so it is complete or
 * refused.
 */
#ifndef MIGRATION_FIXED_RAM_H
#define MIGRATION_FIXED_RAM_H

#include "channel.h"
#include "stream.h"
#include "system/physmem.h"
#include "util/page-sum.h"

#define FIXED_RAM_VERSION     1
#define FIXED_RAM_HEADER_SIZE 28
#define FIXED_RAM_ALIGN       (UINT64_C(1) << 20)

/*
 * Native files only: directly behind the bitmap, where the known format has padding.
 *   u32 "GWFR", u32 flags, u64 pages present, u64 checksum of the bitmap, u64 checksum of the pages, u64 checksum of
 *   the bytes before
 */
#define FIXED_RAM_RECORD_MAGIC 0x47574652
#define FIXED_RAM_RECORD_SIZE  40
enum {
    FIXED_RAM_ABSENT_ARE_HOLES = 1, /* the file reads as zeroes where a page is absent: it can be mapped as it is */
};

typedef struct FixedRamRecord {
    uint32_t flags;
    uint64_t pages, bitmap_sum, pages_sum;
} FixedRamRecord;

/* The saving side, shared by all threads that write. */
typedef struct FixedRamWriter {
    /* constant while pages are written */
    Channel *channel;
    bool records;   /* native */
    bool find_zeroes;
    /* any thread, atomic */
    bool stale; /* some absent page still has bytes in the file */
} FixedRamWriter;

typedef struct FixedRamCounts {
    uint64_t normal, zero; /* pages */
} FixedRamCounts;

/* Makes room for the block in the file: header, bitmap, pages; the stream goes on after them. */
void fixed_ram_save_setup(FixedRamWriter *fixed, StreamWriter *writer, RAMBlock *block);
/* Whether the file system has room for what memory holds now. */
bool fixed_ram_check_space(Channel *channel, GPtrArray *blocks, GError **error);
/*
 * Writes pages, whose bytes are at @host, to their places.  Any thread; a page is in one thread's hands at a time.
 * @counts gains what was done.
 */
bool fixed_ram_save_run(FixedRamWriter *fixed, RAMBlock *block, uint64_t page, uint64_t n, const uint8_t *host,
                        FixedRamCounts *counts, GError **error);
/* The same for pages that are known to be zero. */
void fixed_ram_save_zeroes(FixedRamWriter *fixed, RAMBlock *block, uint64_t page, uint64_t n);
/* When all pages are written. */
bool fixed_ram_save_bitmap(FixedRamWriter *fixed, RAMBlock *block, GError **error);

/* How a file is to be loaded. */
typedef struct FixedRamLoad {
    bool records;       /* the stream says that blocks have one */
    bool map;           /* map the file when its layout allows */
    bool direct;        /* O_DIRECT */
    unsigned readers;   /* threads */
} FixedRamLoad;

/* After the block's entry in the list: header, then the pages themselves; the stream goes on after them. */
bool fixed_ram_load_block(const FixedRamLoad *fixed, StreamReader *reader, RAMBlock *block, uint64_t used_length);
/* Puts ordinary memory back where a file was mapped by an earlier load.  Big lock. */
bool fixed_ram_unmap(RAMBlock *block, GError **error);

/* --- mapped-loss.c, big lock: memory that is a mapping of a file --- */
/* Whether one more mapping can be watched. */
bool mapped_loss_can_watch(void);
/* The machine stops when a page of it cannot be read any more.  @fd: stays open. */
void mapped_loss_watch(const void *host, uint64_t length, const char *block, const char *uri, int fd, uint64_t offset);
void mapped_loss_forget(const void *host);

/* --- what both sides share --- */
static inline uint64_t fixed_ram_bitmap_bytes(uint64_t pages)
{
    return DIV_ROUND_UP(pages, 64) * 8;
}

#endif
