/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xbzrle: a page that was sent before travels as what changed in it.
 *
 * The cache holds pages exactly as the destination has them; whoever sends a page another way tells the cache.  The code
 * is pairs of runs: (ULEB128 bytes that are the same, ULEB128 bytes that differ, these bytes).
 */
#ifndef MIGRATION_XBZRLE_H
#define MIGRATION_XBZRLE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct XbzrleCache XbzrleCache;

typedef enum XbzrleResult {
    XBZRLE_SAME,  /* nothing to send */
    XBZRLE_DELTA, /* send *size bytes of *data as a delta */
    XBZRLE_PAGE,  /* send the page at *data */
    XBZRLE_MISS,  /* not in the cache, and no room: send the page from memory */
} XbzrleResult;

/* Any thread, atomics. */
typedef struct XbzrleStats {
    uint64_t bytes, pages, misses, overflows;
} XbzrleStats;

/* NULL when memory is short. */
XbzrleCache *xbzrle_cache_new(uint64_t bytes);
void xbzrle_cache_free(XbzrleCache *cache); /* NULL is fine */
/* A new pass: pages of older ones may be thrown out. */
void xbzrle_cache_new_pass(XbzrleCache *cache);
/*
 * The page at @address is to be sent; @page may change meanwhile.  *data stays until the next call.
 */
XbzrleResult xbzrle_cache_update(XbzrleCache *cache, uint64_t address, const void *page, XbzrleStats *stats,
                                 const uint8_t **data, size_t *size);
/* The destination gets something else. */
void xbzrle_cache_forget(XbzrleCache *cache, uint64_t address);

/* Returns the size, 0 when nothing differs, -1 when it would be more than @room. */
int xbzrle_encode(const uint8_t *old, const uint8_t *new, size_t page_size, uint8_t *out, size_t room);
bool xbzrle_decode(const uint8_t *in, size_t size, uint8_t *page, size_t page_size, GError **error);

#endif
