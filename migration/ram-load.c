/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The destination's side of guest memory.
 *
 * The list of blocks is checked against this machine, in terms of its command line, before any page is loaded.  Every
 * record is checked against the block it speaks of.
 */
#include <string.h>
#include <sys/mman.h>

#include "ram.h"
#include "multifd.h"
#include "postcopy.h"
#include "system/runstate.h"
#include "util/bitmap.h"
#include "util/error.h"
#include "util/file.h"

/* Below this a system call costs more than writing the zeroes. */
#define DISCARD_BYTES (UINT64_C(64) * 1024)
#define LIST_MAX      (UINT64_C(1) << 56)

void ram_load_init(RamLoad *load, bool fixed_ram, const char *main_ram)
{
    memset(load, 0, sizeof(*load));
    load->fixed_ram = fixed_ram;
    load->main_ram = main_ram;
    load->blocks = g_ptr_array_new();
    lock_init(&load->lock, RANK_LEAF, "ram-load");
}

RAMBlock *ram_load_find(RamLoad *load, const char *name)
{
    LOCK_GUARD(&load->lock);

    for (unsigned i = 0; i < load->blocks->len; i++) {
        RAMBlock *block = g_ptr_array_index(load->blocks, i);

        if (!strcmp(block->idstr, name)) {
            return block;
        }
    }
    return NULL;
}

void ram_load_publish(RamLoad *load)
{
    for (unsigned i = 0; i < load->blocks->len; i++) {
        RAMBlock *block = g_ptr_array_index(load->blocks, i);

        if (block->mr) {
            physical_memory_invalidate_and_set_dirty(block->mr, 0, block->used_length);
        }
    }
    load->published = true;
}

void ram_load_clear(RamLoad *load)
{
    if (!load->blocks) {
        return;
    }
    if (!load->published) {
        ram_load_publish(load);
    }
    for (unsigned i = 0; i < load->blocks->len; i++) {
        RAMBlock *block = g_ptr_array_index(load->blocks, i);

        g_clear_pointer(&block->receivedmap, g_free);
        ram_block_unref(block);
    }
    g_clear_pointer(&load->blocks, g_ptr_array_unref);
    lock_destroy(&load->lock);
}

static void make_zero(RAMBlock *block, uint64_t offset, uint64_t length)
{
    uint8_t *host = block->host + offset;
    bool give_back = block->fd < 0 && !(block->flags & RAM_PREALLOC);

    if (give_back && length >= DISCARD_BYTES && madvise(host, length, MADV_DONTNEED) == 0) {
        return;
    }
    for (uint64_t at = 0; at < length; at += TARGET_PAGE_SIZE) {
        uint64_t n = MIN(TARGET_PAGE_SIZE, length - at);

        if (!is_zero(host + at, n)) {
            memset(host + at, 0, n);
        }
    }
}

void ram_load_zero(RAMBlock *block, uint64_t offset, uint64_t length)
{
    uint64_t end = offset + length;

    while (offset < end) {
        uint64_t stop = MIN(end, ROUND_DOWN(offset, RAM_WRITTEN_BYTES) + RAM_WRITTEN_BYTES);

        if (!ram_block_pristine(block, offset, stop - offset)) {
            make_zero(block, offset, stop - offset);
        }
        offset = stop;
    }
}

/* --- the list of blocks --- */

static char *size_text(uint64_t bytes)
{
    if (bytes && bytes % (1 << 30) == 0) {
        return g_strdup_printf("%" PRIu64 "G", bytes >> 30);
    }
    if (bytes && bytes % (1 << 20) == 0) {
        return g_strdup_printf("%" PRIu64 "M", bytes >> 20);
    }
    return g_strdup_printf("0x%" PRIx64 " bytes", bytes);
}

static bool size_mismatch(StreamReader *reader, RamLoad *load, const RAMBlock *block, uint64_t used_length)
{
    g_autofree char *here = size_text(block->used_length), *there = size_text(used_length);

    if (load->main_ram && !strcmp(block->idstr, load->main_ram)) {
        return reader_fail(reader, "destination has -m %s, source -m %s (RAM '%s')", here, there, block->idstr);
    }
    return reader_fail(reader, "destination has %s of RAM '%s', source %s", here, block->idstr, there);
}

/* Big lock. */
static bool fit_block(StreamReader *reader, RamLoad *load, RAMBlock *block, uint64_t used_length)
{
    GError *error = NULL;

    if (used_length == block->used_length) {
        return true;
    }
    if (!(block->flags & RAM_RESIZEABLE) || used_length > block->max_length || !used_length) {
        return size_mismatch(reader, load, block, used_length);
    }
    return ram_block_resize(block, used_length, &error) || reader_take_error(reader, error);
}

/* Finds and pins.  Big lock. */
static RAMBlock *claim_block(StreamReader *reader, RamLoad *load, const char *name, uint64_t used_length)
{
    RAMBlock *block = ram_block_by_name(name);
    GError *error = NULL;

    if (!block || !(block->flags & RAM_MIGRATABLE)) {
        g_autofree char *size = size_text(used_length);

        reader_fail(reader, "the source has RAM '%s' (%s), this machine has not: are the -m, -M, -object and -device "
                    "options the source's?", name, size);
        return NULL;
    }
    if (g_ptr_array_find(load->blocks, block, NULL)) {
        reader_fail(reader, "RAM '%s' is listed twice", name);
        return NULL;
    }
    if (!fit_block(reader, load, block, used_length)) {
        return NULL;
    }
    if (!ram_block_try_ref(block)) {
        reader_fail(reader, "RAM '%s' is being removed", name);
        return NULL;
    }
    if (!fixed_ram_unmap(block, &error)) {
        ram_block_unref(block);
        reader_take_error(reader, error);
        return NULL;
    }
    if (load->postcopy && !block->receivedmap) {
        block->receivedmap = bitmap_try_new(ram_block_pages(block));
        if (!block->receivedmap) {
            ram_block_unref(block);
            reader_fail(reader, "no memory for the bitmap of RAM '%s'", name);
            return NULL;
        }
    }
    lock_acquire(&load->lock);
    g_ptr_array_add(load->blocks, block);
    lock_release(&load->lock);
    return block;
}

/* With postcopy the list says which host pages the source works with, where they are larger than the guest's. */
static bool load_page_size(StreamReader *reader, const RAMBlock *block)
{
    uint64_t there;

    if (block->page_size <= TARGET_PAGE_SIZE) {
        return true;
    }
    there = reader_be64(reader);
    return !reader->error &&
           (there == block->page_size ||
            reader_fail(reader, "RAM '%s' has host pages of 0x%" PRIx64 " bytes here, of 0x%" PRIx64 " at the source",
                        block->idstr, block->page_size, there));
}

static bool load_list_entry(StreamReader *reader, RamLoad *load, uint64_t *left)
{
    char name[256];
    uint64_t used_length;
    RAMBlock *block;

    reader_counted_string(reader, name);
    used_length = reader_be64(reader);
    if (reader->error) {
        return false;
    }
    if (used_length > *left) {
        return reader_fail(reader, "RAM '%s' of 0x%" PRIx64 " bytes is larger than what the list has left (0x%" PRIx64
                           ")", name, used_length, *left);
    }
    *left -= used_length;
    bql_lock();
    block = claim_block(reader, load, name, used_length);
    bql_unlock();
    if (!block || (load->postcopy && !load_page_size(reader, block))) {
        return false;
    }
    return !load->fixed_ram || fixed_ram_load_block(&load->fixed, reader, block, used_length);
}

/* What this machine has and the source has not would keep whatever it holds now. */
bool ram_load_check_all_listed(StreamReader *reader, RamLoad *load)
{
    RAMBlock *block;
    bool ok = true;

    bql_lock();
    RAMBLOCK_FOREACH_MIGRATABLE (block) {
        if (ok && !g_ptr_array_find(load->blocks, block, NULL)) {
            g_autofree char *size = size_text(block->used_length);

            ok = reader_fail(reader, "this machine has RAM '%s' (%s), the source has not", block->idstr, size);
        }
    }
    bql_unlock();
    return ok;
}

static bool load_list(StreamReader *reader, RamLoad *load, uint64_t total)
{
    if (total > LIST_MAX) {
        return reader_fail(reader, "0x%" PRIx64 " bytes of RAM", total);
    }
    while (total) {
        if (!load_list_entry(reader, load, &total)) {
            return false;
        }
    }
    load->listed = true;
    return true;
}

/* --- pages --- */

static void flush_zeroes(RamLoad *load)
{
    if (load->zero_pages) {
        ram_load_zero(load->block, load->zero_start, load->zero_pages * TARGET_PAGE_SIZE);
        load->zero_pages = 0;
    }
}

/* The block that a record speaks of: named, or that of the record before. */
static bool record_block(StreamReader *reader, RamLoad *load, uint64_t flags)
{
    char name[256];

    if (flags & RAM_SAVE_CONTINUE) {
        return load->block ? true : reader_fail(reader, "the first record names no RAM");
    }
    flush_zeroes(load);
    if (!reader_counted_string(reader, name)) {
        return false;
    }
    load->block = ram_load_find(load, name);
    return load->block || reader_fail(reader, "RAM '%s' is not in the list", name);
}

static bool load_zeroes(StreamReader *reader, RamLoad *load, uint64_t offset, uint64_t n)
{
    uint8_t fill = reader_u8(reader);

    if (reader->error) {
        return false;
    }
    if (fill) {
        return reader_fail(reader, "a zero page is filled with 0x%02x", fill);
    }
    if (load->zero_pages && load->zero_start + load->zero_pages * TARGET_PAGE_SIZE == offset) {
        load->zero_pages += n;
        return true;
    }
    flush_zeroes(load);
    load->zero_start = offset;
    load->zero_pages = n;
    return true;
}

static bool load_delta(StreamReader *reader, RamLoad *load, uint64_t offset)
{
    uint8_t delta[TARGET_PAGE_SIZE], kind = reader_u8(reader);
    uint16_t size = reader_be16(reader);
    GError *error = NULL;

    if (reader->error) {
        return false;
    }
    if (kind != 1 || size > sizeof(delta)) {
        return reader_fail(reader, "xbzrle data of kind %u, %u bytes", kind, size);
    }
    if (!reader_bytes(reader, delta, size)) {
        return false;
    }
    return xbzrle_decode(delta, size, load->block->host + offset, TARGET_PAGE_SIZE, &error) ||
           reader_take_error(reader, error);
}

static bool load_record(StreamReader *reader, RamLoad *load, uint64_t offset, uint64_t flags)
{
    uint64_t n;

    if (!load->listed) {
        return reader_fail(reader, "a page comes before the list of RAM");
    }
    if (!record_block(reader, load, flags)) {
        return false;
    }
    n = flags & RAM_SAVE_RUN ? reader_be32(reader) : 1;
    if (reader->error) {
        return false;
    }
    if (!n || !ram_block_offset_valid(load->block, offset, n * TARGET_PAGE_SIZE)) {
        return reader_fail(reader, "%" PRIu64 " page%s at 0x%" PRIx64 " cannot be in RAM '%s' of 0x%" PRIx64 " bytes", n,
                           n == 1 ? "" : "s", offset, load->block->idstr, load->block->used_length);
    }
    load->pages_loaded += n;
    if (load->block->receivedmap) {
        bitmap_set(load->block->receivedmap, offset / TARGET_PAGE_SIZE, n);
    }
    if (flags & RAM_SAVE_ZERO) {
        return load_zeroes(reader, load, offset, n);
    }
    flush_zeroes(load);
    ram_block_note_written(load->block, offset, n * TARGET_PAGE_SIZE);
    if (flags & RAM_SAVE_XBZRLE) {
        return load_delta(reader, load, offset);
    }
    return reader_bytes(reader, load->block->host + offset, n * TARGET_PAGE_SIZE);
}

static bool load_ram_part(StreamReader *reader, void *opaque)
{
    RamLoad *load = opaque;

    if (load->placing) {
        return ram_load_placed(reader, load, &load->block);
    }
    for (;;) {
        uint64_t head = reader_be64(reader);
        uint64_t offset = head & TARGET_PAGE_MASK, flags = head & RAM_SAVE_FLAGS;
        bool ok;

        if (reader->error) {
            return false;
        }
        switch (flags & ~(uint64_t)RAM_SAVE_CONTINUE) {
        case RAM_SAVE_MEM_SIZE:
            flush_zeroes(load);
            ok = load_list(reader, load, head & ~(uint64_t)RAM_SAVE_MEM_SIZE);
            break;
        case RAM_SAVE_ZERO:
        case RAM_SAVE_PAGE:
        case RAM_SAVE_ZERO | RAM_SAVE_RUN:
        case RAM_SAVE_PAGE | RAM_SAVE_RUN:
        case RAM_SAVE_XBZRLE:
            ok = load_record(reader, load, offset, flags);
            break;
        case RAM_SAVE_MULTIFD_FLUSH:
            flush_zeroes(load);
            if (load->multifd) {
                ok = multifd_recv_sync(load->multifd, reader);
            } else { /* in a file all threads were done before */
                ok = load->fixed_ram ||
                     reader_fail(reader, "the source has capability multifd on, turn it on here as well");
            }
            break;
        case RAM_SAVE_EOS:
            flush_zeroes(load);
            if (!load->listed) {
                return reader_fail(reader, "the list of RAM is missing");
            }
            return true;
        default:
            ok = reader_fail(reader, "record has flags 0x%" PRIx64 ", which need a capability that is off or unknown",
                             flags);
        }
        if (!ok) {
            return false;
        }
    }
}

/* --- postcopy --- */

static bool place_record(StreamReader *reader, RamLoad *load, RAMBlock **last, uint64_t offset, uint64_t flags)
{
    const uint8_t *data;
    char name[256];
    uint8_t fill;

    if (!(flags & RAM_SAVE_CONTINUE)) {
        if (!reader_counted_string(reader, name)) {
            return false;
        }
        *last = ram_load_find(load, name);
        if (!*last) {
            return reader_fail(reader, "RAM '%s' is not in the list", name);
        }
    } else if (!*last) {
        return reader_fail(reader, "the first record names no RAM");
    }
    if (!ram_block_offset_valid(*last, offset, TARGET_PAGE_SIZE)) {
        return reader_fail(reader, "page at 0x%" PRIx64 " is past the end of RAM '%s'", offset, (*last)->idstr);
    }
    if (flags & RAM_SAVE_ZERO) {
        fill = reader_u8(reader);
        if (reader->error || fill) {
            return reader_fail(reader, "a zero page is filled with 0x%02x", fill);
        }
        postcopy_place(*last, offset, NULL);
        return true;
    }
    data = reader_peek(reader, TARGET_PAGE_SIZE);
    if (!data) {
        return reader_fail(reader, "the stream ends here");
    }
    postcopy_place(*last, offset, data);
    return reader_skip(reader, TARGET_PAGE_SIZE);
}

bool ram_load_placed(StreamReader *reader, RamLoad *load, RAMBlock **last)
{
    for (;;) {
        uint64_t head = reader_be64(reader);
        uint64_t offset = head & TARGET_PAGE_MASK, flags = head & RAM_SAVE_FLAGS;

        if (reader->error) {
            return false;
        }
        switch (flags & ~(uint64_t)RAM_SAVE_CONTINUE) {
        case RAM_SAVE_ZERO:
        case RAM_SAVE_PAGE:
            if (!place_record(reader, load, last, offset, flags)) {
                return false;
            }
            break;
        case RAM_SAVE_EOS:
            return true;
        default:
            return reader_fail(reader, "record has flags 0x%" PRIx64 ", which have no place in postcopy", flags);
        }
    }
}

/* At the end: blocks may join until then. */
static bool end_of_ram(StreamReader *reader, void *opaque)
{
    RamLoad *load = opaque;

    return load->placing || ram_load_check_all_listed(reader, load); /* it was checked when postcopy began */
}

const SectionOps ram_section = {
    .name = "ram",
    .version = 4,
    .id = SECTION_ID_RAM,
    .load = load_ram_part,
    .loaded = end_of_ram,
};
