/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fixed-ram: every page has one place in the file, however often it is saved.
 *
 * Per block, after its entry in the list: a header (version, page size, place of the bitmap, place of page 0), the
 * bitmap of pages present, then the pages at the next 1 MiB boundary.  A zero page is absent from the bitmap and a
 * hole in the file.  Places are file offsets.  Bitmaps are written at the end; until the writer has synced everything
 * the file starts with another magic number, so it is complete or refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

#include "ram.h"
#include "util/bitmap.h"
#include "util/error.h"
#include "util/file.h"

#define LOAD_PIECE (UINT64_C(1) << 20)

static uint64_t bitmap_bytes(uint64_t pages)
{
    return DIV_ROUND_UP(pages, 64) * 8;
}

/* --- save --- */

static bool enough_space(Channel *channel, uint64_t need, uint64_t *have)
{
    struct statvfs vfs;

    if (fstatvfs(channel->out_fd, &vfs) < 0) {
        return true; /* the file system does not tell: writing will */
    }
    *have = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    return need <= *have;
}

bool fixed_ram_check_space(Channel *channel, GPtrArray *blocks, GError **error)
{
    uint64_t most = 0, need = 0, have = 0;

    for (unsigned i = 0; i < blocks->len; i++) {
        most += ((RAMBlock *)g_ptr_array_index(blocks, i))->used_length;
    }
    if (enough_space(channel, most, &have)) {
        return true;
    }
    for (unsigned i = 0; i < blocks->len; i++) { /* it may still do: zero pages take none */
        RAMBlock *block = g_ptr_array_index(blocks, i);

        for (uint64_t at = 0; at < block->used_length; at += TARGET_PAGE_SIZE) {
            need += is_zero(block->host + at, TARGET_PAGE_SIZE) ? 0 : TARGET_PAGE_SIZE;
        }
    }
    return enough_space(channel, need, &have) ||
           fail(error, "the file system has %" PRIu64 " MiB left, the machine's memory needs %" PRIu64 " MiB",
                have >> 20, need >> 20);
}

void fixed_ram_save_setup(StreamWriter *writer, RAMBlock *block)
{
    uint64_t here = writer_file_position(writer) + FIXED_RAM_HEADER_SIZE;

    block->bitmap_offset = here;
    block->pages_offset = ROUND_UP(here + bitmap_bytes(ram_block_pages(block)), FIXED_RAM_ALIGN);
    writer_be32(writer, FIXED_RAM_VERSION);
    writer_be64(writer, TARGET_PAGE_SIZE);
    writer_be64(writer, block->bitmap_offset);
    writer_be64(writer, block->pages_offset);
    writer_seek(writer, block->pages_offset + block->used_length);
}

static void save_present(RamState *rs, RAMBlock *block, uint64_t page, uint64_t n)
{
    struct iovec iov = {block->host + page * TARGET_PAGE_SIZE, n * TARGET_PAGE_SIZE};
    StreamWriter *writer = rs->writer;

    if (!writer->error) {
        channel_pwritev(writer->channel, &iov, 1, block->pages_offset + page * TARGET_PAGE_SIZE, &writer->error);
    }
    bitmap_set(block->shadow_bmap, page, n);
    atomic_add_relaxed(&rs->stats->normal, n);
    atomic_add_relaxed(&rs->stats->transferred, n * TARGET_PAGE_SIZE);
    atomic_add_relaxed(rs->switchover ? &rs->stats->downtime_bytes : &rs->stats->precopy_bytes, n * TARGET_PAGE_SIZE);
}

/* Pages that were saved once and are zero now become holes again. */
static void save_absent(RamState *rs, RAMBlock *block, uint64_t page, uint64_t n)
{
    for (uint64_t i = page; i < page + n; i++) {
        if (test_and_clear_bit(i, block->shadow_bmap) &&
            fallocate(rs->writer->channel->out_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      (off_t)(block->pages_offset + i * TARGET_PAGE_SIZE), TARGET_PAGE_SIZE) < 0) {
            continue; /* costs disk space only: the bitmap says that the page is zero */
        }
    }
    atomic_add_relaxed(&rs->stats->duplicate, n);
}

void fixed_ram_save_run(RamState *rs, RAMBlock *block, uint64_t page, uint64_t n)
{
    uint64_t end = page + n;

    while (page < end) {
        bool zero = is_zero(block->host + page * TARGET_PAGE_SIZE, TARGET_PAGE_SIZE);
        uint64_t stop = page + 1;

        while (stop < end && is_zero(block->host + stop * TARGET_PAGE_SIZE, TARGET_PAGE_SIZE) == zero) {
            stop++;
        }
        (zero ? save_absent : save_present)(rs, block, page, stop - page);
        page = stop;
    }
}

void fixed_ram_save_bitmap(StreamWriter *writer, RAMBlock *block)
{
    uint64_t pages = ram_block_pages(block), size = bitmap_bytes(pages);
    g_autofree void *bytes = g_malloc0(size);
    struct iovec iov = {bytes, size};

    bitmap_to_le(bytes, block->shadow_bmap, pages);
    if (!writer->error) {
        channel_pwritev(writer->channel, &iov, 1, block->bitmap_offset, &writer->error);
    }
}

/* --- load --- */

typedef struct Header {
    uint64_t bitmap_offset, pages_offset;
} Header;

/* Everything that later code relies on is checked here, against the size of the file. */
static bool check_header(StreamReader *reader, RAMBlock *block, uint32_t version, uint64_t page_size, const Header *h,
                         uint64_t used_length)
{
    uint64_t file_size = channel_file_size(reader->channel);
    uint64_t size = bitmap_bytes(DIV_ROUND_UP(used_length, TARGET_PAGE_SIZE));

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

static unsigned long *load_bitmap(StreamReader *reader, RAMBlock *block, uint64_t pages, uint64_t offset)
{
    uint64_t size = bitmap_bytes(pages); /* bounded by the local block */
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
    return map;
}

static bool load_present(StreamReader *reader, RAMBlock *block, const Header *h, uint64_t start, uint64_t end)
{
    GError *error = NULL;

    for (uint64_t at = start; at < end; at += LOAD_PIECE) {
        if (!channel_pread(reader->channel, block->host + at, MIN(LOAD_PIECE, end - at), h->pages_offset + at,
                           &error)) {
            g_prefix_error(&error, "page 0x%" PRIx64 " of RAM '%s': ", at, block->idstr);
            return reader_take_error(reader, error);
        }
    }
    return true;
}

static bool load_pages(StreamReader *reader, RAMBlock *block, const Header *h, uint64_t used_length)
{
    uint64_t pages = DIV_ROUND_UP(used_length, TARGET_PAGE_SIZE), page = 0;
    g_autofree unsigned long *map = load_bitmap(reader, block, pages, h->bitmap_offset);

    if (!map) {
        return false;
    }
    while (page < pages) {
        uint64_t start = find_next_bit(map, pages, page);
        uint64_t end = find_next_zero_bit(map, pages, start);

        if (start > page) {
            ram_load_zero(block, page * TARGET_PAGE_SIZE, MIN(start * TARGET_PAGE_SIZE, used_length) -
                          page * TARGET_PAGE_SIZE);
        }
        if (start < end && !load_present(reader, block, h, start * TARGET_PAGE_SIZE,
                                         MIN(end * TARGET_PAGE_SIZE, used_length))) {
            return false;
        }
        page = end;
    }
    return true;
}

bool fixed_ram_load_block(StreamReader *reader, RAMBlock *block, uint64_t used_length)
{
    uint32_t version = reader_be32(reader);
    uint64_t page_size = reader_be64(reader);
    Header h;

    h.bitmap_offset = reader_be64(reader);
    h.pages_offset = reader_be64(reader);
    if (reader->error || !check_header(reader, block, version, page_size, &h, used_length) ||
        !load_pages(reader, block, &h, used_length)) {
        return false;
    }
    reader_seek(reader, h.pages_offset + used_length);
    return true;
}
