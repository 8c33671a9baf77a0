/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The code and the cache of xbzrle.  See xbzrle.h. */
#include "xbzrle.h"

#include <string.h>

#include "system/types.h"
#include "util/atomic.h"
#include "util/error.h"

#define KEEP_PASSES 2 /* a page that was sent that recently is not thrown out for another */
#define NOBODY      UINT64_MAX

typedef struct Slot {
    uint64_t address;
    uint64_t pass;
    uint8_t *page;
} Slot;

struct XbzrleCache {
    Slot *slots;
    uint64_t mask;
    uint64_t pass;
    uint8_t current[TARGET_PAGE_SIZE], delta[TARGET_PAGE_SIZE];
};

/* --- the code --- */

/* At most two bytes: pages are no larger than 2^14. */
static size_t put_uleb(uint8_t *out, size_t value)
{
    if (value < 0x80) {
        out[0] = (uint8_t)value;
        return 1;
    }
    out[0] = (uint8_t)(value | 0x80);
    out[1] = (uint8_t)(value >> 7);
    return 2;
}

static bool get_uleb(const uint8_t **in, const uint8_t *end, size_t *value)
{
    const uint8_t *p = *in;

    if (p < end && !(p[0] & 0x80)) {
        *value = p[0];
        *in = p + 1;
        return true;
    }
    if (end - p < 2 || (p[1] & 0x80)) {
        return false;
    }
    *value = (size_t)(p[0] & 0x7f) | (size_t)p[1] << 7;
    *in = p + 2;
    return true;
}

static size_t run_of_same(const uint8_t *old, const uint8_t *new, size_t at, size_t size)
{
    size_t start = at;

    while (at + 8 <= size && memcmp(old + at, new + at, 8) == 0) {
        at += 8;
    }
    while (at < size && old[at] == new[at]) {
        at++;
    }
    return at - start;
}

static size_t run_of_different(const uint8_t *old, const uint8_t *new, size_t at, size_t size)
{
    size_t start = at;

    while (at < size && old[at] != new[at]) {
        at++;
    }
    return at - start;
}

int xbzrle_encode(const uint8_t *old, const uint8_t *new, size_t page_size, uint8_t *out, size_t room)
{
    size_t at = 0, used = 0;

    while (at < page_size) {
        size_t same = run_of_same(old, new, at, page_size), different;

        at += same;
        if (at == page_size) {
            break;
        }
        different = run_of_different(old, new, at, page_size);
        if (used + 4 + different > room) {
            return -1;
        }
        used += put_uleb(out + used, same);
        used += put_uleb(out + used, different);
        memcpy(out + used, new + at, different);
        used += different;
        at += different;
    }
    return (int)used;
}

bool xbzrle_decode(const uint8_t *in, size_t size, uint8_t *page, size_t page_size, GError **error)
{
    const uint8_t *p = in, *end = in + size;
    size_t at = 0;

    while (p < end) {
        size_t same, different;

        if (!get_uleb(&p, end, &same) || !get_uleb(&p, end, &different)) {
            return fail(error, "the length of a run at byte %zu is damaged", (size_t)(p - in));
        }
        if (!different || (!same && at)) {
            return fail(error, "a run before byte %zu is empty", (size_t)(p - in));
        }
        if (same > page_size - at || different > page_size - at - same) {
            return fail(error, "a run before byte %zu goes past the end of the page", (size_t)(p - in));
        }
        if (different > (size_t)(end - p)) {
            return fail(error, "the data ends inside a run");
        }
        at += same;
        memcpy(page + at, p, different);
        at += different;
        p += different;
    }
    return true;
}

/* --- the cache --- */

XbzrleCache *xbzrle_cache_new(uint64_t bytes)
{
    uint64_t n = bytes / TARGET_PAGE_SIZE;
    XbzrleCache *cache = g_new0(XbzrleCache, 1);

    cache->slots = g_try_new0(Slot, n);
    cache->mask = n - 1;
    if (!cache->slots) {
        g_free(cache);
        return NULL;
    }
    for (uint64_t i = 0; i < n; i++) {
        cache->slots[i].address = NOBODY;
    }
    return cache;
}

void xbzrle_cache_free(XbzrleCache *cache)
{
    if (!cache) {
        return;
    }
    for (uint64_t i = 0; i <= cache->mask; i++) {
        g_free(cache->slots[i].page);
    }
    g_free(cache->slots);
    g_free(cache);
}

void xbzrle_cache_new_pass(XbzrleCache *cache)
{
    cache->pass++;
}

static Slot *find_slot(XbzrleCache *cache, uint64_t address)
{
    return &cache->slots[address / TARGET_PAGE_SIZE & cache->mask];
}

void xbzrle_cache_forget(XbzrleCache *cache, uint64_t address)
{
    Slot *slot = find_slot(cache, address);

    if (slot->address == address) {
        slot->address = NOBODY;
    }
}

/* Takes the place over, unless its owner is in use. */
static bool claim_slot(XbzrleCache *cache, Slot *slot, uint64_t address)
{
    if (slot->address != NOBODY && cache->pass - slot->pass < KEEP_PASSES) {
        return false;
    }
    if (!slot->page) {
        slot->page = g_try_malloc(TARGET_PAGE_SIZE);
    }
    slot->address = slot->page ? address : NOBODY;
    return slot->page != NULL;
}

/* Guest memory may change while it is copied; what counts is that the destination gets this very copy. */
__attribute__((no_sanitize("thread"))) static void copy_page(uint8_t *to, const void *page)
{
    memcpy(to, page, TARGET_PAGE_SIZE);
}

XbzrleResult xbzrle_cache_update(XbzrleCache *cache, uint64_t address, const void *page, XbzrleStats *stats,
                                 const uint8_t **data, size_t *size)
{
    Slot *slot = find_slot(cache, address);
    int delta;

    if (slot->address != address) {
        atomic_add_relaxed(&stats->misses, 1);
        if (!claim_slot(cache, slot, address)) {
            return XBZRLE_MISS;
        }
        copy_page(slot->page, page);
        slot->pass = cache->pass;
        *data = slot->page;
        return XBZRLE_PAGE;
    }
    slot->pass = cache->pass;
    copy_page(cache->current, page);
    delta = xbzrle_encode(slot->page, cache->current, TARGET_PAGE_SIZE, cache->delta, sizeof(cache->delta));
    if (delta) {
        memcpy(slot->page, cache->current, TARGET_PAGE_SIZE);
    }
    if (delta < 0) {
        atomic_add_relaxed(&stats->overflows, 1);
        *data = slot->page;
        return XBZRLE_PAGE;
    }
    atomic_add_relaxed(&stats->pages, 1);
    atomic_add_relaxed(&stats->bytes, (uint64_t)delta);
    *data = cache->delta;
    *size = (size_t)delta;
    return delta ? XBZRLE_DELTA : XBZRLE_SAME;
}
