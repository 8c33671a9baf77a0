/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loading side of fixed-ram files.
 *
 * A native file whose absent pages are holes is not read at all: it is mapped, privately, in place of the block's
 * memory.  The machine runs at once, pages come from the file as they are touched, and what is written stays ours.  The
 * file may be deleted meanwhile but must not change: a shared flock() on it, kept as long as the process lives, makes our
 * own writers (channel-file.c) leave it alone.
 *
 * Everything else is read, by several threads, and checked against the record's checksums when there is one.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fixed-ram.h"
#include "ram.h"
#include "system/runstate.h"
#include "util/bitmap.h"
#include "util/bswap.h"
#include "util/error.h"
#include "util/lock.h"
#include "util/trace.h"

#define CHUNK_PAGES 256 /* what a thread takes at a time */
#define MAX_READERS 16
/* Past the page cache nobody reads ahead: the disk has as many requests as threads wait for it, whatever the CPUs. */
#define DIRECT_READERS 8

TRACE_EVENT(fixed_ram_map, "'%s': %" PRIu64 " bytes at file offset 0x%" PRIx64);

typedef struct Header {
    uint64_t bitmap_offset, pages_offset;
} Header;

/* --- headers --- */

/* Everything that later code relies on is checked here, against the size of the file. */
static bool check_header(StreamReader *reader, RAMBlock *block, uint32_t version, uint64_t page_size, const Header *h,
                         uint64_t behind_bitmap, uint64_t used_length)
{
    uint64_t file_size = channel_file_size(reader->channel);
    uint64_t size = fixed_ram_bitmap_bytes(DIV_ROUND_UP(used_length, TARGET_PAGE_SIZE)) + behind_bitmap;

    if (version != FIXED_RAM_VERSION) {
        return reader_fail(reader, "fixed-ram header of RAM '%s' has version %u, this program knows %d", block->idstr,
                           version, FIXED_RAM_VERSION);
    }
    if (page_size != TARGET_PAGE_SIZE) {
        return reader_fail(reader, "fixed-ram header of RAM '%s': page size %" PRIu64 " is not %" PRIu64,
                           block->idstr, page_size, TARGET_PAGE_SIZE);
    }
    if (h->bitmap_offset != reader->position || h->bitmap_offset > file_size ||
        size > file_size - h->bitmap_offset) {
        return reader_fail(reader, "fixed-ram header of RAM '%s': bitmap at 0x%" PRIx64 " does not fit the file",
                           block->idstr, h->bitmap_offset);
    }
    if (h->pages_offset % TARGET_PAGE_SIZE || h->pages_offset < h->bitmap_offset + size ||
        h->pages_offset > INT64_MAX - used_length) {
        return reader_fail(reader, "fixed-ram header of RAM '%s': pages at 0x%" PRIx64 " do not fit the file",
                           block->idstr, h->pages_offset);
    }
    return true;
}

static bool load_record(StreamReader *reader, RAMBlock *block, uint64_t offset, FixedRamRecord *record)
{
    uint8_t bytes[FIXED_RAM_RECORD_SIZE];
    GError *error = NULL;

    if (!channel_pread(reader->channel, bytes, sizeof(bytes), offset, &error)) {
        g_prefix_error(&error, "fixed-ram record of RAM '%s': ", block->idstr);
        return reader_take_error(reader, error);
    }
    if (ldl_be_p(bytes) != FIXED_RAM_RECORD_MAGIC || ldq_be_p(bytes + 32) != bytes_sum(bytes, 32)) {
        return reader_fail(reader, "fixed-ram record of RAM '%s' at 0x%" PRIx64 " is damaged", block->idstr, offset);
    }
    record->flags = ldl_be_p(bytes + 4);
    record->pages = ldq_be_p(bytes + 8);
    record->bitmap_sum = ldq_be_p(bytes + 16);
    record->pages_sum = ldq_be_p(bytes + 24);
    return true;
}

/* --- mapping --- */

static bool can_map(const FixedRamLoad *fixed, Channel *channel, const RAMBlock *block, const Header *h,
                    const FixedRamRecord *record, uint64_t used_length)
{
    uint64_t page = block->page_size, file_size = channel_file_size(channel);

    return fixed->map && fixed->records && (record->flags & FIXED_RAM_ABSENT_ARE_HOLES) &&
           !(block->flags & (RAM_SHARED | RAM_PREALLOC)) && used_length % page == 0 && h->pages_offset % page == 0 &&
           file_size >= used_length && h->pages_offset <= file_size - used_length;
}

/*
 * Our writers see the lock of the open file, which this keeps open.  -1, no fd left: then nobody keeps others from
 * writing the file, which the manual warns of anyway.
 */
static int keep_open(Channel *channel)
{
    if (channel->kept_fd < 0) {
        channel->kept_fd = fcntl(channel->in_fd, F_DUPFD_CLOEXEC, 0);
    }
    return channel->kept_fd;
}

/* False without an error: it cannot be mapped after all, and is to be read. */
static bool map_block(Channel *channel, RAMBlock *block, const Header *h, uint64_t used_length)
{
    bool ok;

    bql_lock();
    ok = mapped_loss_can_watch() &&
         ram_block_map_private(block, channel->in_fd, h->pages_offset, 0, used_length, NULL);
    if (ok) {
        block->file_mapped = true;
        mapped_loss_watch(block->host, used_length, block->idstr, channel->uri, keep_open(channel), h->pages_offset);
    }
    bql_unlock();
    trace(fixed_ram_map, block->idstr, ok ? used_length : 0, h->pages_offset);
    return ok;
}

bool fixed_ram_unmap(RAMBlock *block, GError **error)
{
    int flags = MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | (block->flags & RAM_NORESERVE ? MAP_NORESERVE : 0);

    if (!block->file_mapped) {
        return true;
    }
    mapped_loss_forget(block->host);
    if (block->fd >= 0) {
        if (!ram_block_map_private(block, block->fd, block->fd_offset, 0, block->used_length, error)) {
            return false;
        }
    } else if (mmap(block->host, ROUND_UP(block->used_length, block->page_size), PROT_READ | PROT_WRITE, flags, -1,
                    0) == MAP_FAILED) {
        return fail_errno(error, errno, "no memory for RAM '%s'", block->idstr);
    }
    block->file_mapped = false;
    return true;
}

/* --- reading --- */

typedef struct PageLoad {
    /* constant while threads run */
    Channel *channel;
    RAMBlock *block;
    const unsigned long *map; /* NULL: nothing is known about the pages */
    uint64_t pages, used_length, pages_offset;
    bool sums;
    /* any thread, atomics */
    uint64_t next_page; /* nobody has taken this one yet */
    uint64_t sum;
    bool failed;
    /* under the lock */
    Lock lock;
    GError *error; /* the first */
} PageLoad;

static void take_error(PageLoad *load, GError *error)
{
    LOCK_GUARD(&load->lock);

    atomic_set(&load->failed, true);
    if (load->error) {
        g_error_free(error);
    } else {
        load->error = error;
    }
}

static uint64_t run_bytes(const PageLoad *load, uint64_t start, uint64_t end)
{
    return MIN(end * TARGET_PAGE_SIZE, load->used_length) - start * TARGET_PAGE_SIZE;
}

static bool load_present(PageLoad *load, uint64_t start, uint64_t end, uint64_t *sum)
{
    uint8_t *host = load->block->host;
    GError *error = NULL;

    ram_block_note_written(load->block, start * TARGET_PAGE_SIZE, run_bytes(load, start, end));
    if (!channel_pread_pages(load->channel, host + start * TARGET_PAGE_SIZE, run_bytes(load, start, end),
                             load->pages_offset + start * TARGET_PAGE_SIZE, &error)) {
        g_prefix_error(&error, "page 0x%" PRIx64 " of RAM '%s': ", start * TARGET_PAGE_SIZE, load->block->idstr);
        take_error(load, error);
        return false;
    }
    for (uint64_t i = start; load->sums && i < end; i++) {
        *sum += page_sum(host + i * TARGET_PAGE_SIZE, run_bytes(load, i, i + 1), i);
    }
    return true;
}

static bool load_chunk(PageLoad *load, uint64_t page, uint64_t stop, uint64_t *sum)
{
    while (page < stop) {
        uint64_t start = find_next_bit(load->map, stop, page);
        uint64_t end = find_next_zero_bit(load->map, stop, start);

        if (start > page) {
            ram_load_zero(load->block, page * TARGET_PAGE_SIZE, run_bytes(load, page, start));
        }
        if (start < end && !load_present(load, start, end, sum)) {
            return false;
        }
        page = end;
    }
    return true;
}

static gpointer load_chunks(gpointer opaque)
{
    PageLoad *load = opaque;
    uint64_t sum = 0, page;

    while (!atomic_read(&load->failed) &&
           (page = atomic_fetch_add(&load->next_page, CHUNK_PAGES)) < load->pages) {
        if (!load_chunk(load, page, MIN(page + CHUNK_PAGES, load->pages), &sum)) {
            break;
        }
    }
    atomic_add_relaxed(&load->sum, sum);
    return NULL;
}

static void run_threads(PageLoad *load, unsigned wanted)
{
    uint64_t useful = DIV_ROUND_UP(load->pages, CHUNK_PAGES * 8);
    unsigned n = (unsigned)MIN(MIN(useful, (uint64_t)wanted), MAX_READERS);
    GThread *threads[MAX_READERS];

    for (unsigned i = 1; i < n; i++) {
        threads[i] = g_thread_new("fixed-ram-load", load_chunks, load);
    }
    load_chunks(load);
    for (unsigned i = 1; i < n; i++) {
        g_thread_join(threads[i]);
    }
}

static unsigned long *load_bitmap(StreamReader *reader, RAMBlock *block, uint64_t pages, uint64_t offset,
                                  const FixedRamRecord *record)
{
    uint64_t size = fixed_ram_bitmap_bytes(pages); /* bounded by the local block */
    g_autofree void *bytes = g_malloc(size);
    unsigned long *map = bitmap_new(pages);
    GError *error = NULL;

    if (!channel_pread(reader->channel, bytes, size, offset, &error)) {
        g_prefix_error(&error, "bitmap of RAM '%s': ", block->idstr);
        reader_take_error(reader, error);
        g_free(map);
        return NULL;
    }
    bitmap_from_le(map, bytes, pages);
    if (record && (bytes_sum(bytes, size) != record->bitmap_sum ||
                   bitmap_count(map, 0, pages) != record->pages)) {
        reader_fail(reader, "the bitmap of RAM '%s' is damaged (its checksum is another)", block->idstr);
        g_free(map);
        return NULL;
    }
    return map;
}

static bool read_block(const FixedRamLoad *fixed, StreamReader *reader, RAMBlock *block, const Header *h,
                       uint64_t used_length, const FixedRamRecord *record)
{
    uint64_t pages = DIV_ROUND_UP(used_length, TARGET_PAGE_SIZE);
    g_autofree unsigned long *map = load_bitmap(reader, block, pages, h->bitmap_offset, record);
    PageLoad load = {.channel = reader->channel, .block = block, .map = map, .pages = pages,
                     .used_length = used_length, .pages_offset = h->pages_offset, .sums = record != NULL};

    GError *error = NULL;

    if (!map) {
        return false;
    }
    if (fixed->direct && reader->channel->direct_fd < 0 && !channel_open_direct(reader->channel, &error)) {
        return reader_take_error(reader, error);
    }
    lock_init(&load.lock, RANK_LEAF, "fixed-ram-load");
    run_threads(&load, fixed->direct ? MAX(fixed->readers, DIRECT_READERS) : fixed->readers);
    lock_destroy(&load.lock);
    if (load.error) {
        return reader_take_error(reader, load.error);
    }
    return !record || load.sum == record->pages_sum ||
           reader_fail(reader, "the pages of RAM '%s' are damaged (their checksum is another)", block->idstr);
}

bool fixed_ram_load_block(const FixedRamLoad *fixed, StreamReader *reader, RAMBlock *block, uint64_t used_length)
{
    uint64_t size = fixed_ram_bitmap_bytes(DIV_ROUND_UP(used_length, TARGET_PAGE_SIZE));
    uint32_t version = reader_be32(reader);
    uint64_t page_size = reader_be64(reader);
    FixedRamRecord record = {0};
    Header h;

    h.bitmap_offset = reader_be64(reader);
    h.pages_offset = reader_be64(reader);
    if (reader->error || !check_header(reader, block, version, page_size, &h,
                                       fixed->records ? FIXED_RAM_RECORD_SIZE : 0, used_length)) {
        return false;
    }
    if (fixed->records && !load_record(reader, block, h.bitmap_offset + size, &record)) {
        return false;
    }
    if (!(can_map(fixed, reader->channel, block, &h, &record, used_length) &&
          map_block(reader->channel, block, &h, used_length)) &&
        !read_block(fixed, reader, block, &h, used_length, fixed->records ? &record : NULL)) {
        return false;
    }
    reader_seek(reader, h.pages_offset + used_length);
    return true;
}
