/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The concurrent hash map: buckets of one cache line, chained when full.
 *
 * A slot is free while its pointer is NULL.  To insert, a writer stores the hash, then the pointer with
 * release; to remove, it stores NULL.  Entries never move within a table, so a lookup that goes along the
 * chain meets every entry that is there throughout.  It may pair the hash of one entry with the pointer of
 * the next user of the slot: that costs a comparison that fails, or finds what was just inserted.
 *
 * To grow, a writer locks every bucket, copies all to a larger table and publishes that; the old table,
 * unchanged from then on, goes away after a grace period.  A writer who waited for a bucket of the old table
 * sees that the table has changed and starts again.  A lookup that still reads the old table began before the
 * new one was there: it may answer as of then.
 */
#include "util/hashmap.h"

#include <stdlib.h>
#include <string.h>

#include "util/bits.h"

#define SLOTS 4

typedef struct Bucket Bucket;

struct Bucket {
    /* of the whole chain; only that of its first bucket is used */
    SpinLock lock;
    /* written under the lock, read by anybody */
    uint32_t hashes[SLOTS];
    void *pointers[SLOTS];
    Bucket *next;
} CACHE_ALIGNED;

struct CMapTable {
    RcuHead rcu;
    /* constant; a power of two */
    size_t n_buckets;
    Bucket *buckets;
    /* atomic: chained buckets, each in addition to those */
    size_t chained;
};

static void *alloc_buckets(size_t n)
{
    Bucket *buckets;

    if (posix_memalign((void **)&buckets, CACHE_LINE, n * sizeof(Bucket)) != 0) {
        g_error("no memory for %zu hash buckets", n);
    }
    memset(buckets, 0, n * sizeof(Bucket));
    return buckets;
}

static CMapTable *table_new(size_t n_buckets)
{
    CMapTable *table = g_new0(CMapTable, 1);

    table->n_buckets = n_buckets;
    table->buckets = alloc_buckets(n_buckets);
    return table;
}

static void table_free(CMapTable *table)
{
    for (size_t i = 0; i < table->n_buckets; i++) {
        Bucket *bucket = table->buckets[i].next;

        while (bucket) {
            Bucket *next = bucket->next;

            free(bucket);
            bucket = next;
        }
    }
    free(table->buckets);
    g_free(table);
}

static void table_free_rcu(RcuHead *head)
{
    table_free(container_of(head, CMapTable, rcu));
}

static Bucket *table_bucket(const CMapTable *table, uint32_t hash)
{
    return &table->buckets[hash & (table->n_buckets - 1)];
}

void cmap_init(ConcurrentMap *map, CMapEqual *equal, size_t n_elems)
{
    map->equal = equal;
    map->table = table_new(MAX(pow2ceil(n_elems / SLOTS), 1));
    map->entries = 0;
    lock_init(&map->resize_lock, RANK_LEAF, "hash map resize");
    lock_allow_same_rank(&map->resize_lock);
}

void cmap_destroy(ConcurrentMap *map)
{
    table_free(map->table);
    map->table = NULL;
    lock_destroy(&map->resize_lock);
}

/* ---- lookup ---- */

void *cmap_lookup_custom(ConcurrentMap *map, const void *userp, uint32_t hash, CMapEqual *equal)
{
    void *found = NULL;

    rcu_read_lock();
    for (Bucket *bucket = table_bucket(rcu_dereference(map->table), hash); bucket && !found;
         bucket = rcu_dereference(bucket->next)) {
        for (unsigned i = 0; i < SLOTS; i++) {
            if (atomic_read(&bucket->hashes[i]) == hash) {
                /* acquire: pairs with the release in fill_slot() */
                void *p = atomic_load_acquire(&bucket->pointers[i]);

                if (p && equal(p, userp)) {
                    found = p;
                    break;
                }
            }
        }
    }
    rcu_read_unlock();
    return found;
}

void *cmap_lookup(ConcurrentMap *map, const void *userp, uint32_t hash)
{
    return cmap_lookup_custom(map, userp, hash, map->equal);
}

/* ---- one bucket, locked ---- */

/*
 * Locks the bucket of @hash in the map's current table.  In a read section, which the caller ends after
 * unlocking.
 */
static Bucket *lock_bucket(ConcurrentMap *map, uint32_t hash, CMapTable **current)
{
    for (;;) {
        CMapTable *table = rcu_dereference(map->table);
        Bucket *bucket = table_bucket(table, hash);

        spin_lock(&bucket->lock);
        if (table == atomic_read(&map->table)) {
            *current = table;
            return bucket;
        }
        spin_unlock(&bucket->lock);
    }
}

static void *find_equal_locked(Bucket *bucket, const void *userp, uint32_t hash, CMapEqual *equal)
{
    for (; bucket; bucket = bucket->next) {
        for (unsigned i = 0; i < SLOTS; i++) {
            if (bucket->pointers[i] && bucket->hashes[i] == hash && equal(bucket->pointers[i], userp)) {
                return bucket->pointers[i];
            }
        }
    }
    return NULL;
}

static void fill_slot(Bucket *bucket, unsigned i, void *p, uint32_t hash)
{
    atomic_set(&bucket->hashes[i], hash);
    /* release: pairs with the acquire in cmap_lookup_custom() */
    atomic_store_release(&bucket->pointers[i], p);
}

static void add_locked(CMapTable *table, Bucket *bucket, void *p, uint32_t hash)
{
    Bucket *chained;

    for (;; bucket = bucket->next) {
        for (unsigned i = 0; i < SLOTS; i++) {
            if (!bucket->pointers[i]) {
                fill_slot(bucket, i, p, hash);
                return;
            }
        }
        if (!bucket->next) {
            break;
        }
    }
    chained = alloc_buckets(1);
    fill_slot(chained, 0, p, hash);
    rcu_assign_pointer(bucket->next, chained);
    atomic_add_relaxed(&table->chained, 1);
}

static bool remove_locked(Bucket *bucket, const void *p)
{
    for (; bucket; bucket = bucket->next) {
        for (unsigned i = 0; i < SLOTS; i++) {
            if (bucket->pointers[i] == p) {
                atomic_set(&bucket->pointers[i], NULL);
                return true;
            }
        }
    }
    return false;
}

/* ---- the whole table, locked ---- */

static CMapTable *lock_table(ConcurrentMap *map)
{
    CMapTable *table;

    lock_acquire(&map->resize_lock);
    table = map->table;
    for (size_t i = 0; i < table->n_buckets; i++) {
        spin_lock(&table->buckets[i].lock);
    }
    return table;
}

/* @table need not be the map's any more, but is not freed yet. */
static void unlock_table(ConcurrentMap *map, CMapTable *table)
{
    for (size_t i = 0; i < table->n_buckets; i++) {
        spin_unlock(&table->buckets[i].lock);
    }
    lock_release(&map->resize_lock);
}

static void copy_entries_locked(CMapTable *to, const CMapTable *from)
{
    for (size_t i = 0; i < from->n_buckets; i++) {
        for (Bucket *bucket = &from->buckets[i]; bucket; bucket = bucket->next) {
            for (unsigned j = 0; j < SLOTS; j++) {
                if (bucket->pointers[j]) {
                    add_locked(to, table_bucket(to, bucket->hashes[j]), bucket->pointers[j],
                               bucket->hashes[j]);
                }
            }
        }
    }
}

static bool is_crowded(const CMapTable *table)
{
    return atomic_read(&table->chained) > table->n_buckets / 8 && table->n_buckets < (1u << 30);
}

static void grow(ConcurrentMap *map)
{
    CMapTable *old = lock_table(map);
    CMapTable *bigger = NULL;

    /* somebody else may have been faster */
    if (is_crowded(old)) {
        bigger = table_new(old->n_buckets * 2);
        copy_entries_locked(bigger, old);
        rcu_assign_pointer(map->table, bigger);
    }
    unlock_table(map, old);
    if (bigger) {
        call_rcu(&old->rcu, table_free_rcu);
    }
}

/* ---- writers ---- */

bool cmap_insert(ConcurrentMap *map, void *p, uint32_t hash, void **existing)
{
    CMapTable *table;
    Bucket *bucket;
    void *equal_one;
    bool crowded;

    rcu_read_lock();
    bucket = lock_bucket(map, hash, &table);
    equal_one = find_equal_locked(bucket, p, hash, map->equal);
    if (!equal_one) {
        add_locked(table, bucket, p, hash);
        atomic_add_relaxed(&map->entries, 1);
    }
    spin_unlock(&bucket->lock);
    crowded = !equal_one && is_crowded(table);
    rcu_read_unlock();

    if (crowded) {
        grow(map);
    }
    if (equal_one && existing) {
        *existing = equal_one;
    }
    return !equal_one;
}

bool cmap_remove(ConcurrentMap *map, const void *p, uint32_t hash)
{
    CMapTable *table;
    Bucket *bucket;
    bool removed;

    rcu_read_lock();
    bucket = lock_bucket(map, hash, &table);
    removed = remove_locked(bucket, p);
    if (removed) {
        atomic_add_relaxed(&map->entries, -1);
    }
    spin_unlock(&bucket->lock);
    rcu_read_unlock();
    return removed;
}

void cmap_reset(ConcurrentMap *map)
{
    CMapTable *table = lock_table(map);

    for (size_t i = 0; i < table->n_buckets; i++) {
        for (Bucket *bucket = &table->buckets[i]; bucket; bucket = bucket->next) {
            for (unsigned j = 0; j < SLOTS; j++) {
                atomic_set(&bucket->pointers[j], NULL);
            }
        }
    }
    atomic_set(&map->entries, 0);
    unlock_table(map, table);
}

/* ---- iteration: under resize_lock the table stays, and each chain is locked in turn ---- */

void cmap_iter_remove(ConcurrentMap *map, bool (*func)(void *p, uint32_t hash, void *opaque), void *opaque)
{
    CMapTable *table;

    LOCK_GUARD(&map->resize_lock);
    table = map->table;
    for (size_t i = 0; i < table->n_buckets; i++) {
        spin_lock(&table->buckets[i].lock);
        for (Bucket *bucket = &table->buckets[i]; bucket; bucket = bucket->next) {
            for (unsigned j = 0; j < SLOTS; j++) {
                if (bucket->pointers[j] && func(bucket->pointers[j], bucket->hashes[j], opaque)) {
                    atomic_set(&bucket->pointers[j], NULL);
                    atomic_add_relaxed(&map->entries, -1);
                }
            }
        }
        spin_unlock(&table->buckets[i].lock);
    }
}

typedef struct Visitor {
    void (*func)(void *p, uint32_t hash, void *opaque);
    void *opaque;
} Visitor;

static bool visit_and_keep(void *p, uint32_t hash, void *opaque)
{
    Visitor *visitor = opaque;

    visitor->func(p, hash, visitor->opaque);
    return false;
}

void cmap_iter(ConcurrentMap *map, void (*func)(void *p, uint32_t hash, void *opaque), void *opaque)
{
    Visitor visitor = {.func = func, .opaque = opaque};

    cmap_iter_remove(map, visit_and_keep, &visitor);
}

size_t cmap_count(ConcurrentMap *map)
{
    return atomic_read(&map->entries);
}

static size_t entries_in(const Bucket *bucket)
{
    size_t n = 0;

    for (unsigned i = 0; i < SLOTS; i++) {
        n += bucket->pointers[i] != NULL;
    }
    return n;
}

void cmap_stats(ConcurrentMap *map, CMapStats *stats)
{
    CMapTable *table = lock_table(map);

    *stats = (CMapStats){.buckets = table->n_buckets};
    for (size_t i = 0; i < table->n_buckets; i++) {
        size_t entries = 0, chain = 0;

        for (Bucket *bucket = &table->buckets[i]; bucket; bucket = bucket->next) {
            entries += entries_in(bucket);
            chain++;
        }
        stats->entries += entries;
        stats->used_buckets += entries != 0;
        stats->longest_chain = entries ? MAX(stats->longest_chain, chain) : stats->longest_chain;
    }
    unlock_table(map, table);
}
