/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The saving side of fixed-ram files.  See fixed-ram.h.
 *
 * Several threads write at once; a page belongs to one of them at a time (the next pass waits until all of them are
 * idle), so only the words of the bitmap are shared.
 */
#include "fixed-ram.h"

#include <fcntl.h>
#include <sys/statvfs.h>

#include "util/bitmap.h"
#include "util/bswap.h"
#include "util/error.h"
#include "util/file.h"

static uint64_t block_pages(const RAMBlock *block)
{
    return DIV_ROUND_UP(block->used_length, TARGET_PAGE_SIZE);
}

static uint64_t page_bytes(const RAMBlock *block, uint64_t page, uint64_t n)
{
    return MIN(n * TARGET_PAGE_SIZE, block->used_length - page * TARGET_PAGE_SIZE);
}

/* --- before the first page --- */

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

        for (uint64_t page = 0; page < block_pages(block); page++) {
            uint64_t size = page_bytes(block, page, 1);

            need += is_zero(block->host + page * TARGET_PAGE_SIZE, size) ? 0 : size;
        }
    }
    return enough_space(channel, need, &have) ||
           fail(error, "the file system has %" PRIu64 " MiB left, the machine's memory needs %" PRIu64 " MiB",
                have >> 20, need >> 20);
}

void fixed_ram_save_setup(FixedRamWriter *fixed, StreamWriter *writer, RAMBlock *block)
{
    uint64_t here = writer_file_position(writer) + FIXED_RAM_HEADER_SIZE;
    uint64_t end = here + fixed_ram_bitmap_bytes(block_pages(block)) + (fixed->records ? FIXED_RAM_RECORD_SIZE : 0);

    block->bitmap_offset = here;
    block->pages_offset = ROUND_UP(end, FIXED_RAM_ALIGN);
    writer_be32(writer, FIXED_RAM_VERSION);
    writer_be64(writer, TARGET_PAGE_SIZE);
    writer_be64(writer, block->bitmap_offset);
    writer_be64(writer, block->pages_offset);
    writer_seek(writer, block->pages_offset + block->used_length);
}

/* --- pages --- */

static bool save_present(FixedRamWriter *fixed, RAMBlock *block, uint64_t page, uint64_t n, const uint8_t *host,
                         GError **error)
{
    if (block->page_sums) {
        for (uint64_t i = 0; i < n; i++) {
            block->page_sums[page + i] =
                page_sum(host + i * TARGET_PAGE_SIZE, page_bytes(block, page + i, 1), page + i);
        }
    }
    bitmap_set_atomic(block->shadow_bmap, page, n);
    return channel_pwrite_pages(fixed->channel, host, page_bytes(block, page, n),
                                block->pages_offset + page * TARGET_PAGE_SIZE, error);
}

/* Pages that were saved once and are zero now become holes again. */
void fixed_ram_save_zeroes(FixedRamWriter *fixed, RAMBlock *block, uint64_t page, uint64_t n)
{
    for (uint64_t i = page; i < page + n; i++) {
        if (!test_and_clear_bit_atomic(i, block->shadow_bmap)) {
            continue;
        }
        if (block->page_sums) {
            block->page_sums[i] = 0;
        }
        if (fallocate(fixed->channel->out_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      (off_t)(block->pages_offset + i * TARGET_PAGE_SIZE), (off_t)page_bytes(block, i, 1)) < 0) {
            atomic_set(&fixed->stale, true); /* the bitmap says that the page is zero; a mapping would not */
        }
    }
}

static bool page_is_zero(const FixedRamWriter *fixed, const RAMBlock *block, uint64_t page, const uint8_t *host)
{
    return fixed->find_zeroes && is_zero(host, page_bytes(block, page, 1));
}

bool fixed_ram_save_run(FixedRamWriter *fixed, RAMBlock *block, uint64_t page, uint64_t n, const uint8_t *host,
                        FixedRamCounts *counts, GError **error)
{
    uint64_t end = page + n;

    while (page < end) {
        bool zero = page_is_zero(fixed, block, page, host);
        const uint8_t *from = host;
        uint64_t stop = page + 1;

        host += TARGET_PAGE_SIZE;
        while (stop < end && page_is_zero(fixed, block, stop, host) == zero) {
            stop++;
            host += TARGET_PAGE_SIZE;
        }
        if (zero) {
            fixed_ram_save_zeroes(fixed, block, page, stop - page);
            counts->zero += stop - page;
        } else {
            if (!save_present(fixed, block, page, stop - page, from, error)) {
                return false;
            }
            counts->normal += stop - page;
        }
        page = stop;
    }
    return true;
}

/* --- after the last page --- */

static void put_record(uint8_t *to, const FixedRamRecord *record)
{
    stl_be_p(to, FIXED_RAM_RECORD_MAGIC);
    stl_be_p(to + 4, record->flags);
    stq_be_p(to + 8, record->pages);
    stq_be_p(to + 16, record->bitmap_sum);
    stq_be_p(to + 24, record->pages_sum);
    stq_be_p(to + 32, bytes_sum(to, 32));
}

bool fixed_ram_save_bitmap(FixedRamWriter *fixed, RAMBlock *block, GError **error)
{
    uint64_t pages = block_pages(block), size = fixed_ram_bitmap_bytes(pages);
    g_autofree uint8_t *bytes = g_malloc0(size + FIXED_RAM_RECORD_SIZE);
    struct iovec iov = {bytes, size};

    bitmap_to_le(bytes, block->shadow_bmap, pages);
    if (fixed->records) {
        FixedRamRecord record = {
            .flags = atomic_read(&fixed->stale) ? 0 : FIXED_RAM_ABSENT_ARE_HOLES,
            .pages = bitmap_count(block->shadow_bmap, 0, pages),
            .bitmap_sum = bytes_sum(bytes, size),
        };

        for (uint64_t i = find_next_bit(block->shadow_bmap, pages, 0); i < pages;
             i = find_next_bit(block->shadow_bmap, pages, i + 1)) {
            record.pages_sum += block->page_sums[i];
        }
        put_record(bytes + size, &record);
        iov.iov_len += FIXED_RAM_RECORD_SIZE;
    }
    return channel_pwritev(fixed->channel, &iov, 1, block->bitmap_offset, error);
}
