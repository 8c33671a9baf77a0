/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hash map of pointers which many threads read without a lock while others insert and remove.
 *
 * The caller brings the hash (spread over all 32 bits) and says when two things are equal.  Lookups run in an
 * RCU read section and never wait; writers lock one bucket.  An entry that was removed may still be seen by
 * lookups under way, so whoever frees it waits for a grace period.
 */
#ifndef UTIL_HASHMAP_H
#define UTIL_HASHMAP_H

#include "util/lock.h"
#include "util/rcu.h"

/* @entry is in the map; @userp is what the caller looks for (or, for inserts, the new entry). */
typedef bool CMapEqual(const void *entry, const void *userp);

typedef struct CMapTable CMapTable;

typedef struct ConcurrentMap {
    /* constant after init */
    CMapEqual *equal;
    /* under RCU; replaced under resize_lock */
    CMapTable *table;
    Lock resize_lock;
    /* atomic */
    size_t entries;
} ConcurrentMap;

/* @n_elems is a guess at the number of entries; the map grows past it by itself. */
void cmap_init(ConcurrentMap *map, CMapEqual *equal, size_t n_elems);
/* No other thread uses the map any more.  The entries are the caller's. */
void cmap_destroy(ConcurrentMap *map);

/*
 * The entry with @hash that is equal to @userp, or NULL.  Valid until the read section ends; takes one of its
 * own for the search, so a caller whose entries are never freed needs none.
 */
void *cmap_lookup(ConcurrentMap *map, const void *userp, uint32_t hash);
/* The same with an equality of the caller's: @userp may then be a key instead of an entry. */
void *cmap_lookup_custom(ConcurrentMap *map, const void *userp, uint32_t hash, CMapEqual *equal);

/*
 * Adds @p (not NULL), unless an entry equal to it is there: then returns false and leaves that in *@existing
 * when @existing is not NULL.  Any thread.
 */
bool cmap_insert(ConcurrentMap *map, void *p, uint32_t hash, void **existing);
/* Removes the very pointer @p.  Returns false when it is not there. */
bool cmap_remove(ConcurrentMap *map, const void *p, uint32_t hash);
/* Removes everything.  Any thread. */
void cmap_reset(ConcurrentMap *map);

/*
 * Calls @func for the entries, each bucket locked meanwhile: @func must not use the map nor take locks.
 * Entries that are there throughout are seen once.
 */
void cmap_iter(ConcurrentMap *map, void (*func)(void *p, uint32_t hash, void *opaque), void *opaque);
/* The same, and removes those for which @func returns true. */
void cmap_iter_remove(ConcurrentMap *map, bool (*func)(void *p, uint32_t hash, void *opaque), void *opaque);

/* How many entries there are; a guess while others write. */
size_t cmap_count(ConcurrentMap *map);

typedef struct CMapStats {
    size_t entries;
    size_t buckets;
    size_t used_buckets;
    /* of the used buckets, in chunks of slots */
    size_t longest_chain;
} CMapStats;

void cmap_stats(ConcurrentMap *map, CMapStats *stats);

#endif
