/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A block's slot in a fixed-ram file: header, bitmap, record, pages.  Native files have checksums of all of them but the
 * header; the pages are read for theirs, once.
 */
#include <inttypes.h>
#include <string.h>

#include "analyze.h"
#include "util/bswap.h"
#include "util/page-sum.h"

enum {
    RECORD_MAGIC = 0x47574652, /* "GWFR" */
    RECORD_BYTES = 40,
    RECORD_SUMMED = 32,        /* what the record's own checksum is of */
    RECORD_ABSENT_ARE_HOLES = 1,
};

static uint64_t block_pages(const Block *block)
{
    return block->length / PAGE_BYTES + (block->length % PAGE_BYTES != 0);
}

static uint64_t bitmap_bytes(const Block *block)
{
    return (block_pages(block) + 63) / 64 * 8;
}

static bool is_present(const uint8_t *bitmap, uint64_t page)
{
    return bitmap[page / 8] >> page % 8 & 1;
}

static void count_present(Cursor *cursor, Block *block)
{
    const uint8_t *bitmap = cursor->data + block->bitmap_offset;
    uint64_t pages = block_pages(block), bits = bitmap_bytes(block) * 8;

    for (uint64_t i = 0; i < bitmap_bytes(block); i++) {
        block->normal += (unsigned)__builtin_popcount(bitmap[i]);
    }
    for (uint64_t page = pages; page < bits; page++) {
        if (is_present(bitmap, page)) {
            cursor_complain(cursor, block->bitmap_offset + page / 8,
                            "RAM '%s': the bitmap has pages past the block's end", block->name);
            break;
        }
    }
    block->zero = pages > block->normal ? pages - block->normal : 0;
}

/* --- checksums --- */

static bool reads_as_zeroes(const uint8_t *page, uint64_t size)
{
    return !size || (!page[0] && !memcmp(page, page + 1, size - 1));
}

/* The sum over the pages present.  Absent pages must be zeroes where the record says so. */
static uint64_t sum_pages(Cursor *cursor, const Block *block, bool absent_are_holes)
{
    const uint8_t *bitmap = cursor->data + block->bitmap_offset, *pages = cursor->data + block->pages_offset;
    uint64_t sum = 0;

    for (uint64_t page = 0; page < block_pages(block); page++) {
        uint64_t at = page * PAGE_BYTES, size = MIN(PAGE_BYTES, block->length - at);

        if (is_present(bitmap, page)) {
            sum += page_sum(pages + at, size, page);
        } else if (absent_are_holes && !reads_as_zeroes(pages + at, size)) {
            cursor_complain(cursor, block->pages_offset + at,
                            "RAM '%s': page 0x%" PRIx64 " is absent, but the file does not read as zeroes there",
                            block->name, at);
            absent_are_holes = false; /* said once */
        }
    }
    return sum;
}

static void check_record(Cursor *cursor, Block *block)
{
    uint64_t at = block->bitmap_offset + bitmap_bytes(block);
    const uint8_t *p = cursor->data + at;

    if (block->pages_offset - at < RECORD_BYTES || ldl_be_p(p) != RECORD_MAGIC ||
        bytes_sum(p, RECORD_SUMMED) != ldq_be_p(p + RECORD_SUMMED)) {
        cursor_complain(cursor, at, "RAM '%s': its record is missing or damaged", block->name);
        return;
    }
    if (ldq_be_p(p + 8) != block->normal) {
        cursor_complain(cursor, at, "RAM '%s': the bitmap has %" PRIu64 " pages, its record says %" PRIu64,
                        block->name, block->normal, ldq_be_p(p + 8));
    }
    if (ldq_be_p(p + 16) != bytes_sum(cursor->data + block->bitmap_offset, bitmap_bytes(block))) {
        cursor_complain(cursor, block->bitmap_offset, "RAM '%s': the bitmap is not what its checksum says", block->name);
    } else if (ldq_be_p(p + 24) != sum_pages(cursor, block, ldl_be_p(p + 4) & RECORD_ABSENT_ARE_HOLES)) {
        cursor_complain(cursor, block->pages_offset, "RAM '%s': the pages are not what their checksum says",
                        block->name);
    } else {
        block->verified = true;
    }
}

/* --- the slot --- */

bool fixed_walk(Cursor *cursor, Block *block, bool records)
{
    uint64_t version = cursor_number(cursor, 4), page_size = cursor_number(cursor, 8);

    block->bitmap_offset = cursor_number(cursor, 8);
    block->pages_offset = cursor_number(cursor, 8);
    if (cursor->failed) {
        return false;
    }
    if (version != 1 || page_size != PAGE_BYTES) {
        return cursor_fail(cursor, "RAM '%s': fixed-ram version %" PRIu64 ", page size %" PRIu64, block->name, version,
                           page_size);
    }
    if (block->bitmap_offset != cursor->at || bitmap_bytes(block) > cursor->size - cursor->at) {
        return cursor_fail(cursor, "RAM '%s': its bitmap at 0x%" PRIx64 " of %" PRIu64 " bytes does not fit the file",
                           block->name, block->bitmap_offset, bitmap_bytes(block));
    }
    if (block->pages_offset < block->bitmap_offset + bitmap_bytes(block)) {
        /* each block lies behind the one before, so this is the only way in which slots can overlap */
        return cursor_fail(cursor, "RAM '%s': its pages at 0x%" PRIx64 " overlap what stands before them", block->name,
                           block->pages_offset);
    }
    if (block->pages_offset % PAGE_BYTES || block->pages_offset > cursor->size || block->length > cursor->size - block->pages_offset) {
        return cursor_fail(cursor, "RAM '%s': its pages at 0x%" PRIx64 " of %" PRIu64 " bytes do not fit the file",
                           block->name, block->pages_offset, block->length);
    }
    block->fixed = true;
    count_present(cursor, block);
    if (records) {
        check_record(cursor, block);
    }
    cursor->at = block->pages_offset + block->length;
    return true;
}
