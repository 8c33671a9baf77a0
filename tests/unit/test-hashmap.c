/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The concurrent hash map: what is there is found, also while others insert, remove and make it grow. */
#include "util/hashmap.h"

typedef struct Entry {
    RcuHead rcu;
    uint32_t key;
} Entry;

static uint32_t hash_of(uint32_t key)
{
    return (key * 2654435761u) ^ (key >> 7);
}

static bool same_key(const void *entry, const void *userp)
{
    return ((const Entry *)entry)->key == ((const Entry *)userp)->key;
}

static bool has_key(const void *entry, const void *userp)
{
    return ((const Entry *)entry)->key == *(const uint32_t *)userp;
}

static Entry *find(ConcurrentMap *map, uint32_t key)
{
    return cmap_lookup_custom(map, &key, hash_of(key), has_key);
}

#define N 5000
static Entry entries[N];

static void fill(ConcurrentMap *map, unsigned guess)
{
    cmap_init(map, same_key, guess);
    for (unsigned i = 0; i < N; i++) {
        entries[i].key = i;
        g_assert_true(cmap_insert(map, &entries[i], hash_of(i), NULL));
    }
}

static void test_grows(void)
{
    ConcurrentMap map;
    CMapStats stats;

    fill(&map, 1);
    for (unsigned i = 0; i < N; i++) {
        g_assert_true(find(&map, i) == &entries[i]);
    }
    g_assert_null(find(&map, N));
    cmap_stats(&map, &stats);
    g_assert_cmpuint(stats.entries, ==, N);
    g_assert_cmpuint(cmap_count(&map), ==, N);
    g_assert_cmpuint(stats.longest_chain, <=, 5);
    cmap_destroy(&map);
}

static void test_duplicate(void)
{
    ConcurrentMap map;
    Entry twin = {.key = 7};
    void *existing = NULL;

    fill(&map, N);
    g_assert_false(cmap_insert(&map, &twin, hash_of(7), &existing));
    g_assert_true(existing == &entries[7]);
    g_assert_false(cmap_remove(&map, &twin, hash_of(7)));
    g_assert_true(cmap_remove(&map, &entries[7], hash_of(7)));
    g_assert_true(cmap_insert(&map, &twin, hash_of(7), &existing));
    g_assert_true(cmap_lookup(&map, &twin, hash_of(7)) == &twin);
    cmap_destroy(&map);
}

static void test_collisions(void)
{
    ConcurrentMap map;

    cmap_init(&map, same_key, 4);
    for (unsigned i = 0; i < 20; i++) {
        entries[i].key = i;
        g_assert_true(cmap_insert(&map, &entries[i], 42, NULL));
    }
    for (unsigned i = 0; i < 20; i++) {
        g_assert_true(cmap_lookup(&map, &entries[i], 42) == &entries[i]);
        g_assert_true(cmap_remove(&map, &entries[i], 42));
        g_assert_null(cmap_lookup(&map, &entries[i], 42));
    }
    cmap_destroy(&map);
}

static void count_one(void *p, uint32_t hash, void *opaque)
{
    unsigned *seen = opaque;

    seen[((Entry *)p)->key]++;
}

static bool is_odd(void *p, uint32_t hash, void *opaque)
{
    return ((Entry *)p)->key % 2;
}

static void test_iter(void)
{
    ConcurrentMap map;
    unsigned *seen = g_new0(unsigned, N);

    fill(&map, 16);
    cmap_iter_remove(&map, is_odd, NULL);
    cmap_iter(&map, count_one, seen);
    for (unsigned i = 0; i < N; i++) {
        g_assert_cmpuint(seen[i], ==, i % 2 == 0);
    }
    g_assert_cmpuint(cmap_count(&map), ==, N / 2);
    cmap_reset(&map);
    g_assert_null(find(&map, 0));
    g_assert_cmpuint(cmap_count(&map), ==, 0);
    g_free(seen);
    cmap_destroy(&map);
}

/* ---- validate: fixed entries are always found; others come and go and are freed ---- */

#define FIXED   64
#define WRITERS 2
#define ROUNDS  4000

static ConcurrentMap shared;
static unsigned writers_left;

static void *reader(void *opaque)
{
    while (atomic_read(&writers_left)) {
        for (uint32_t key = 0; key < 8 * FIXED; key++) {
            RCU_READ_LOCK_GUARD();
            Entry *entry = find(&shared, key);

            g_assert_true(key >= FIXED || entry == &entries[key]);
            g_assert_true(!entry || entry->key == key);
        }
    }
    return NULL;
}

static void *writer(void *opaque)
{
    uint32_t x = GPOINTER_TO_UINT(opaque);

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t key;
        Entry *entry;

        x = x * 1664525 + 1013904223;
        key = FIXED + (x >> 8) % (7 * FIXED);
        rcu_read_lock();
        entry = find(&shared, key);
        if (entry && cmap_remove(&shared, entry, hash_of(key))) {
            g_free_rcu(entry, rcu);
        }
        rcu_read_unlock();
        if (!entry) {
            entry = g_new0(Entry, 1);
            entry->key = key;
            if (!cmap_insert(&shared, entry, hash_of(key), NULL)) {
                g_free(entry);
            }
        }
    }
    atomic_dec(&writers_left);
    return NULL;
}

static void free_rest(void *p, uint32_t hash, void *opaque)
{
    Entry *entry = p;

    if (entry->key >= FIXED) {
        g_free(entry);
    }
}

static void test_validate(void)
{
    GThread *threads[WRITERS + 1];

    cmap_init(&shared, same_key, 1);
    for (unsigned i = 0; i < FIXED; i++) {
        entries[i].key = i;
        cmap_insert(&shared, &entries[i], hash_of(i), NULL);
    }
    writers_left = WRITERS;
    for (unsigned i = 0; i < WRITERS; i++) {
        threads[i] = g_thread_new("writer", writer, GUINT_TO_POINTER(i + 1));
    }
    threads[WRITERS] = g_thread_new("reader", reader, NULL);
    for (unsigned i = 0; i <= WRITERS; i++) {
        g_thread_join(threads[i]);
    }
    cmap_iter(&shared, free_rest, NULL);
    cmap_destroy(&shared);
    rcu_barrier();
}

int main(int argc, char **argv)
{
    int result;

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hashmap/insert/grows-and-finds-all", test_grows);
    g_test_add_func("/hashmap/insert/refuses-equal-entry", test_duplicate);
    g_test_add_func("/hashmap/insert/takes-equal-hashes", test_collisions);
    g_test_add_func("/hashmap/iter/sees-each-entry-once", test_iter);
    g_test_add_func("/hashmap/validate/fixed-entries-are-always-found", test_validate);
    result = g_test_run();
    rcu_barrier();
    return result;
}
