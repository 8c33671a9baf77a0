/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking the host's page tables which pages nobody ever touched.  See pristine.h. */
#include "pristine.h"

#include <fcntl.h>
#include <unistd.h>

#include "util/bitmap.h"

/* One question: 32 MiB of guest memory. */
#define WINDOW_PAGES 8192

/* Of an entry in /proc/PID/pagemap. */
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_SWAPPED (UINT64_C(1) << 62)

void pristine_look_init(PristineLook *look, bool wanted)
{
    *look = (PristineLook){.fd = -1};
    if (!wanted || sysconf(_SC_PAGESIZE) != (long)TARGET_PAGE_SIZE) {
        return;
    }
    look->fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (look->fd >= 0) {
        look->present = bitmap_new(WINDOW_PAGES);
        look->entries = g_new(uint64_t, WINDOW_PAGES);
    }
}

void pristine_look_clear(PristineLook *look)
{
    if (look->present) {
        close(look->fd);
    }
    g_free(look->present);
    g_free(look->entries);
    *look = (PristineLook){.fd = -1};
}

void pristine_forget(PristineLook *look)
{
    look->block = NULL;
}

static bool host_tells(const RAMBlock *block)
{
    return block->fd < 0 && !(block->flags & RAM_SHARED) && !block->file_mapped && block->page_size == TARGET_PAGE_SIZE;
}

/* Takes over the answers for the pages from @page on. */
static bool look_at(PristineLook *look, const RAMBlock *block, uint64_t page)
{
    uint64_t end = MIN(DIV_ROUND_UP(block->used_length, TARGET_PAGE_SIZE), page + WINDOW_PAGES), n = end - page;
    off_t at = (off_t)(((uintptr_t)block->host / TARGET_PAGE_SIZE + page) * sizeof(uint64_t));

    pristine_forget(look);
    if (pread(look->fd, look->entries, n * sizeof(uint64_t), at) != (ssize_t)(n * sizeof(uint64_t))) {
        return false;
    }
    bitmap_zero(look->present, WINDOW_PAGES);
    for (uint64_t i = 0; i < n; i++) {
        if (look->entries[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)) {
            set_bit(i, look->present);
        }
    }
    look->block = block;
    look->first = page;
    look->end = end;
    return true;
}

static bool is_seen(const PristineLook *look, const RAMBlock *block, uint64_t page)
{
    return look->block == block && page >= look->first && page < look->end;
}

uint64_t pristine_run(PristineLook *look, RAMBlock *block, uint64_t page, uint64_t n, bool *pristine)
{
    uint64_t at, end, stop;

    *pristine = false;
    if (look->fd < 0 || !host_tells(block)) {
        return n;
    }
    if (ram_block_pristine(block, page * TARGET_PAGE_SIZE, n * TARGET_PAGE_SIZE)) {
        *pristine = true;
        return n;
    }
    if (!is_seen(look, block, page) && (n < PRISTINE_MIN_PAGES || !look_at(look, block, page))) {
        return n;
    }
    at = page - look->first;
    end = MIN(page + n, look->end) - look->first;
    *pristine = !test_bit(at, look->present);
    stop = *pristine ? find_next_bit(look->present, end, at) : find_next_zero_bit(look->present, end, at);
    return stop - at;
}
