/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translated blocks: finding them, the jumps between them, and what becomes of those whose bytes changed.
 *
 * A block is published (found by tb_find(), jumped to) or dropped.  Programs that patch themselves, and pages
 * that are used again for the same code, often bring the same bytes back: a dropped block is kept, found by
 * where it was and what it was made of, and published again instead of being made again.  It may be: a
 * translation depends on its key and its bytes alone, and it returns to the very place it had, so an entry of
 * a jump table that still leads to it is right again.
 *
 * tb_lock protects everything but lookups.  It is held for short steps, never while waiting for a vCPU.
 * tb_find() needs no lock; blocks are not freed while a vCPU is in guest code, so what it finds stays readable.
 * Which pages hold code is told in code-page.c, where blocks live in code-cache.c.
 */
#include "internal.h"

#include "util/bits.h"
#include "util/hashmap.h"

COUNTER(tb_invalidated, "translated blocks dropped because their bytes changed");
COUNTER(tb_revived, "of these, blocks published again because the same bytes came back");

Lock tb_lock = LOCK_INITIALIZER(RANK_TB, "translated blocks");

static ConcurrentMap blocks;      /* of TranslationBlock: published */
static ConcurrentMap kept_blocks; /* of TranslationBlock: dropped, by their bytes; under tb_lock */

typedef struct BlockKey {
    ram_addr_t ram_pc, ram_page2;
    uint32_t flags;
    bool any_page2;
} BlockKey;

static bool same_block(const void *entry, const void *userp)
{
    const TranslationBlock *a = entry, *b = userp;

    return a->ram_pc == b->ram_pc && a->flags == b->flags && a->ram_page2 == b->ram_page2;
}

static bool has_key(const void *entry, const void *userp)
{
    const TranslationBlock *tb = entry;
    const BlockKey *key = userp;

    return tb->ram_pc == key->ram_pc && tb->flags == key->flags &&
           (key->any_page2 || tb->ram_page2 == key->ram_page2);
}

static bool same_pointer(const void *entry, const void *userp)
{
    return entry == userp;
}

static uint32_t hash_block(ram_addr_t ram_pc, uint32_t flags)
{
    return ((ram_pc ^ (uint64_t)flags << 44) * UINT64_C(0x9e3779b97f4a7c15)) >> 32;
}

void tb_maint_init(void)
{
    cmap_init(&blocks, same_block, 1 << 14);
    cmap_init(&kept_blocks, same_pointer, 1 << 10);
}

TranslationBlock *tb_find(ram_addr_t ram_pc, uint32_t flags, ram_addr_t ram_page2, bool any_page2)
{
    BlockKey key = {ram_pc, ram_page2, flags, any_page2};

    return cmap_lookup_custom(&blocks, &key, hash_block(ram_pc, flags), has_key);
}

size_t tb_count(void)
{
    return cmap_count(&blocks);
}

void tb_publish_locked(TranslationBlock *tb)
{
    atomic_set(&tb->invalid, false);
    tb->published = true;
    /* when another vCPU made the same block meanwhile, ours is not found but lives all the same */
    cmap_insert(&blocks, tb, hash_block(tb->ram_pc, tb->flags), NULL);
}

/* --- jumps --- */

static void unlink_jump_locked(TBJump *jump)
{
    if (!jump->to) {
        return;
    }
    tcg_unlink(jump->from->buffer, jump->from->code, jump->n);
    *jump->prev_next = jump->next;
    if (jump->next) {
        jump->next->prev_next = jump->prev_next;
    }
    jump->to = NULL;
}

void tb_link(TranslationBlock *from, unsigned n, TranslationBlock *to)
{
    LOCK_GUARD(&tb_lock);
    TBJump *jump;

    if (n >= from->code->n_jumps || from->invalid || to->invalid || from->jumps[n].to) {
        return;
    }
    jump = &from->jumps[n];
    jump->to = to;
    jump->next = to->incoming;
    jump->prev_next = &to->incoming;
    if (jump->next) {
        jump->next->prev_next = &jump->next;
    }
    to->incoming = jump;
    tcg_link(from->buffer, from->code, n, to->code);
    counter_inc(jit_links);
}

/* --- dropping --- */

static void leave_block_caches(TranslationBlock *tb)
{
    smp_mb(); /* invalid before the look at the caches; pairs with cache_block() */
    for (unsigned i = 0; i < tcg_cpu_count(); i++) {
        atomic_cmpxchg(&block_cache_slot(tcg_cpu_nth(i), tb->ram_pc, tb->flags)->tb, tb, NULL);
    }
}

void tb_unpublish_locked(TranslationBlock *tb)
{
    atomic_set(&tb->invalid, true);
    if (tb->published) {
        leave_block_caches(tb);
        cmap_remove(&blocks, tb, hash_block(tb->ram_pc, tb->flags));
        tb->published = false;
    }
    while (tb->incoming) {
        unlink_jump_locked(tb->incoming);
    }
    for (unsigned n = 0; n < tb->code->n_jumps; n++) {
        unlink_jump_locked(&tb->jumps[n]);
    }
}

/* --- keeping --- */

/* One step of the hash of a block's bytes: two of them, as guest code comes in parcels. */
static uint64_t hash_parcel(uint64_t hash, const uint8_t *bytes)
{
    uint16_t parcel;

    memcpy(&parcel, bytes, sizeof(parcel));
    return (hash ^ parcel) * UINT64_C(0x9e3779b97f4a7c15) + (hash >> 29);
}

static uint64_t hash_start(ram_addr_t ram_pc, uint32_t flags)
{
    return ram_pc ^ (uint64_t)flags << 44;
}

static uint32_t hash_bytes(const TranslationBlock *tb)
{
    uint64_t hash = hash_start(tb->ram_pc, tb->flags);

    for (unsigned i = 0; i < tb->n_bytes; i += 2) {
        hash = hash_parcel(hash, tb->bytes + i);
    }
    return hash >> 32;
}

void tb_drop_locked(TranslationBlock *tb, uint64_t *kept_lengths)
{
    tb_unpublish_locked(tb);
    tcg_kill(tb->buffer, tb->code);
    counter_inc(tb_invalidated);
    if (tb->n_bytes && !tb->kept && !tcg_accel_config.no_revive) {
        unsigned parcels = tb->n_bytes / 2;

        kept_lengths[parcels / 64] |= BIT_ULL(parcels % 64);
        tb->kept = true;
        cmap_insert(&kept_blocks, tb, hash_bytes(tb), NULL);
    }
}

void tb_forget_kept_locked(TranslationBlock *tb)
{
    if (tb->kept) {
        cmap_remove(&kept_blocks, tb, hash_bytes(tb));
        tb->kept = false;
    }
}

typedef struct KeptKey {
    ram_addr_t ram_pc;
    uint32_t flags;
    unsigned n_bytes;
    const uint8_t *bytes;
} KeptKey;

static bool made_of(const void *entry, const void *userp)
{
    const TranslationBlock *tb = entry;
    const KeptKey *key = userp;

    return tb->ram_pc == key->ram_pc && tb->flags == key->flags && tb->n_bytes == key->n_bytes &&
           !memcmp(tb->bytes, key->bytes, key->n_bytes);
}

static unsigned longest_kept(const uint64_t *kept_lengths)
{
    for (int word = 3; word >= 0; word--) {
        if (kept_lengths[word]) {
            return 64 * word + 63 - __builtin_clzll(kept_lengths[word]);
        }
    }
    return 0;
}

/* Tries each length that a dropped block of the page had. */
TranslationBlock *tb_revive_locked(ram_addr_t ram_pc, uint32_t flags, const uint8_t *bytes, unsigned n_bytes,
                                   const uint64_t *kept_lengths)
{
    unsigned longest = MIN(n_bytes / 2, longest_kept(kept_lengths));
    uint64_t hash = hash_start(ram_pc, flags);
    TranslationBlock *tb = NULL;

    for (unsigned parcels = 1; parcels <= longest && !tb; parcels++) {
        hash = hash_parcel(hash, bytes + 2 * (parcels - 1));
        if (kept_lengths[parcels / 64] >> parcels % 64 & 1) {
            KeptKey key = {ram_pc, flags, 2 * parcels, bytes};

            tb = cmap_lookup_custom(&kept_blocks, &key, hash >> 32, made_of);
        }
    }
    if (tb) {
        tb_forget_kept_locked(tb);
        tcg_revive(tb->buffer, tb->code);
        counter_inc(tb_revived);
    }
    return tb;
}

void tb_forget_all_locked(void)
{
    cmap_reset(&blocks);
    cmap_reset(&kept_blocks);
}
