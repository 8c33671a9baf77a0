/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages of RAM that hold translated code: who may store to them and how, and which blocks a store drops.
 *
 * A page is open (its CODE bit set, stores to it fast) or protected:
 *
 *     OPEN --tb_claim_page: clear CODE bit, rearm--> PROTECTING --all vCPUs passed a safe point--> PROTECTED
 *       ^                                                                                             |
 *       +------------------------- its stores_left are spent: open_page ------------------------------+
 *
 * Protecting costs far more than a slow store, so a page that lost its last block stays protected for a few
 * stores more: a patch is soon run.  Stores that drop one block after the other mean that the page is being
 * written anew: then all its blocks go at once.
 *
 * Why no block is ever made of stale bytes.  A translator claims the lines it may read (CodePage.lines),
 * notes CodePage.changes and reads.  A writer stores first and looks at the lines afterwards, with a full
 * barrier in both.  So either the translator reads the new bytes, or the writer sees the claim, and then
 * takes tb_lock, counts a change and drops what overlaps; tb_insert() refuses a block whose page counted a
 * change since it was claimed.  Fast stores that were under way when the page was protected end before the
 * first read, by the quiesce; a second translator that meets a PROTECTING page waits as well.  Devices take
 * the same path by way of the CODE bit (system/dirty-memory.c).
 *
 * Atomics by host address store after they looked, so they set CodePage.atomics before they look, and
 * translators of such a page quiesce after they claimed.
 */
#include "internal.h"

#include "util/bits.h"
#include "util/hashmap.h"

COUNTER(tb_pages_protected, "times a page of RAM began to hold translated code");
COUNTER(tb_pages_opened, "times such a page was given back to fast stores");
COUNTER(tb_pages_rewritten, "times all blocks of a page went because stores dropped one after the other");
COUNTER(tb_slow_stores, "stores into pages that hold translated code");

/* Slow stores that a page takes before its blocks go; doubles each time, since they came back. */
#define STORE_BUDGET_FIRST 2048
#define STORE_BUDGET_LAST  (1u << 20)
/* Slow stores that a page takes when its last block has gone. */
#define STORES_WHEN_EMPTY 32
/* Stores that each drop a block, without a new one between, before all go. */
#define DROPS_BEFORE_ALL 4

static ConcurrentMap code_pages; /* of CodePage */

static bool same_page(const void *entry, const void *userp)
{
    const CodePage *a = entry, *b = userp;

    return a->page == b->page;
}

void code_pages_init(void)
{
    cmap_init(&code_pages, same_page, 1 << 10);
}

static uint32_t hash_page(ram_addr_t page)
{
    return (page * UINT64_C(0x9e3779b97f4a7c15)) >> 32;
}

CodePage *code_page_find(ram_addr_t page)
{
    CodePage key = {.page = page};

    return cmap_lookup(&code_pages, &key, hash_page(page));
}

static CodePage *get_page_locked(ram_addr_t page)
{
    CodePage *cp = code_page_find(page);

    if (!cp) {
        cp = g_new0(CodePage, 1);
        cp->page = page;
        cp->blocks = g_ptr_array_new();
        cp->store_budget = STORE_BUDGET_FIRST;
        cmap_insert(&code_pages, cp, hash_page(page), NULL);
    }
    return cp;
}

/* --- open and protected --- */

/* tlb_protect_code(), first half. */
static void protect_page_locked(CodePage *cp)
{
    physical_memory_clear_dirty(cp->page, TARGET_PAGE_SIZE, DIRTY_MEMORY_CODE);
    tcg_withdraw_writes(cp->page, TARGET_PAGE_SIZE);
    atomic_set(&cp->state, CODE_PAGE_PROTECTING);
    cp->protections++;
    atomic_set(&cp->stores_left, cp->store_budget);
    counter_inc(tb_pages_protected);
}

/* No block is left; translators of the page, if any, start again. */
static void open_page_locked(CodePage *cp)
{
    cp->changes++;
    atomic_set(&cp->state, CODE_PAGE_OPEN);
    cp->block_lines = 0;
    atomic_set(&cp->lines, 0);
    counter_inc(tb_pages_opened);
    physical_memory_set_dirty_flag(cp->page, DIRTY_MEMORY_CODE);
}

static void recompute_lines_locked(CodePage *cp)
{
    uint64_t lines = 0;

    for (unsigned i = 0; i < cp->blocks->len; i++) {
        const TranslationBlock *tb = g_ptr_array_index(cp->blocks, i);

        lines |= ROUND_DOWN(tb->ram_pc, TARGET_PAGE_SIZE) == cp->page ? tb->lines : tb->lines2;
    }
    cp->block_lines = lines;
    if (!cp->translators) {
        atomic_set(&cp->lines, lines);
    }
}

/* The lines of [offset, offset + size) of a page, cut at its end. */
static uint64_t line_mask(unsigned offset, unsigned size)
{
    unsigned first = offset / 64;
    unsigned last = MIN(offset + size - 1, TARGET_PAGE_SIZE - 1) / 64;

    return MAKE_64BIT_MASK(first, last - first + 1);
}

/* The second half of protecting a page: afterwards every store to it comes by here.  Drops tb_lock meanwhile.
 */
static void wait_for_fast_stores(CodePage *cp)
{
    uint32_t protection = cp->protections;

    lock_release(&tb_lock);
    tcg_quiesce();
    lock_acquire(&tb_lock);
    if (cp->state == CODE_PAGE_PROTECTING && cp->protections == protection) {
        atomic_set(&cp->state, CODE_PAGE_PROTECTED);
    }
}

/* --- translators --- */

bool tb_claim_page(TcgCpu *tc, ram_addr_t page, uint32_t offset, CodeClaim *claim)
{
    uint64_t flushes = tc->tlb.flushes;
    CodePage *cp;

    lock_acquire(&tb_lock);
    cp = get_page_locked(page);
    if (cp->state == CODE_PAGE_OPEN) {
        protect_page_locked(cp);
    }
    if (cp->state == CODE_PAGE_PROTECTING) {
        wait_for_fast_stores(cp);
        lock_release(&tb_lock);
        return false;
    }
    cp->translators++;
    *claim = (CodeClaim){cp, cp->changes};
    atomic_or(&cp->lines, line_mask(offset, TARGET_PAGE_SIZE - offset));
    lock_release(&tb_lock);
    smp_mb(); /* claim before the bytes are read; pairs with tb_store_in_code_page() */

    if (atomic_read(&cp->atomics)) {
        tcg_quiesce();
        if (tc->tlb.flushes != flushes) {
            tb_release_page(claim);
            return false;
        }
    }
    return true;
}

static void release_page_locked(CodeClaim *claim)
{
    CodePage *cp = claim->cp;

    if (--cp->translators == 0) {
        atomic_set(&cp->lines, cp->block_lines);
    }
}

void tb_release_page(CodeClaim *claim)
{
    LOCK_GUARD(&tb_lock);
    release_page_locked(claim);
}

static bool claim_holds(const CodeClaim *claim)
{
    return !claim || claim->changes == claim->cp->changes;
}

static void set_extent(TranslationBlock *tb)
{
    unsigned offset = tb->ram_pc & (TARGET_PAGE_SIZE - 1);

    tb->lines = line_mask(offset, MAX(tb->end_offset, offset + 1) - offset);
    tb->lines2 = tb->ram_page2 == NO_RAM_PAGE ? 0 : line_mask(0, tb->end_offset - TARGET_PAGE_SIZE);
}

static void add_block_locked(CodePage *cp, TranslationBlock *tb, uint64_t lines)
{
    if (!cp->blocks->len) {
        atomic_set(&cp->stores_left, cp->store_budget);
    }
    g_ptr_array_add(cp->blocks, tb);
    cp->block_lines |= lines;
    cp->drops = 0;
}

bool tb_insert(TranslationBlock *tb, CodeClaim *claim, CodeClaim *claim2)
{
    LOCK_GUARD(&tb_lock);
    bool good = claim_holds(claim) && claim_holds(claim2);

    if (good) {
        set_extent(tb);
        add_block_locked(claim->cp, tb, tb->lines);
        if (claim2) {
            add_block_locked(claim2->cp, tb, tb->lines2);
        }
        tb_publish_locked(tb);
    }
    release_page_locked(claim);
    if (claim2) {
        release_page_locked(claim2);
    }
    return good;
}

TranslationBlock *tb_revive(CodeClaim *claim, ram_addr_t ram_pc, uint32_t flags, const uint8_t *bytes,
                            unsigned n_bytes)
{
    CodePage *cp = claim->cp;
    TranslationBlock *tb = NULL;
    LOCK_GUARD(&tb_lock);

    if (claim_holds(claim)) {
        tb = tb_revive_locked(ram_pc, flags, bytes, n_bytes, cp->kept_lengths);
    }
    if (tb) {
        add_block_locked(cp, tb, tb->lines);
        tb_publish_locked(tb);
        release_page_locked(claim);
    }
    return tb;
}

/* --- stores --- */

/* A block of two pages leaves the other's list too. */
static void leave_other_page_locked(TranslationBlock *tb, const CodePage *cp)
{
    ram_addr_t page1 = ROUND_DOWN(tb->ram_pc, TARGET_PAGE_SIZE);
    ram_addr_t other = page1 == cp->page ? tb->ram_page2 : page1;
    CodePage *cp2 = other == NO_RAM_PAGE || other == cp->page ? NULL : code_page_find(other);

    if (cp2) {
        g_ptr_array_remove_fast(cp2->blocks, tb);
        recompute_lines_locked(cp2);
    }
}

static bool overlaps(const TranslationBlock *tb, const CodePage *cp, unsigned first, unsigned last)
{
    unsigned offset = tb->ram_pc & (TARGET_PAGE_SIZE - 1);

    if (ROUND_DOWN(tb->ram_pc, TARGET_PAGE_SIZE) == cp->page && offset <= last && tb->end_offset > first) {
        return true;
    }
    return tb->ram_page2 == cp->page && tb->end_offset - TARGET_PAGE_SIZE > first;
}

/* Drops blocks with bytes in [first, last] of the page; whether there were any. */
static bool drop_blocks_locked(CodePage *cp, unsigned first, unsigned last)
{
    bool any = false;

    cp->changes++;
    for (unsigned i = 0; i < cp->blocks->len;) {
        TranslationBlock *tb = g_ptr_array_index(cp->blocks, i);

        if (overlaps(tb, cp, first, last)) {
            tb_drop_locked(tb, cp->kept_lengths);
            leave_other_page_locked(tb, cp);
            g_ptr_array_remove_index_fast(cp->blocks, i);
            any = true;
        } else {
            i++;
        }
    }
    recompute_lines_locked(cp);
    return any;
}

static void drop_all_blocks_locked(CodePage *cp)
{
    drop_blocks_locked(cp, 0, TARGET_PAGE_SIZE - 1);
}

static void open_if_empty_locked(CodePage *cp)
{
    if (!cp->blocks->len && !cp->translators && cp->state != CODE_PAGE_OPEN) {
        open_page_locked(cp);
    }
}

void tb_invalidate_range(ram_addr_t start, uint64_t length)
{
    ram_addr_t last = start + length - 1;

    if (!length) {
        return;
    }
    for (ram_addr_t page = ROUND_DOWN(start, TARGET_PAGE_SIZE); page <= last; page += TARGET_PAGE_SIZE) {
        CodePage *cp = code_page_find(page);

        if (cp) {
            LOCK_GUARD(&tb_lock);
            drop_blocks_locked(cp, start > page ? start - page : 0, MIN(last - page, TARGET_PAGE_SIZE - 1));
            open_if_empty_locked(cp);
        }
    }
}

void tb_translate_again(ram_addr_t addr)
{
    CodePage *cp = code_page_find(ROUND_DOWN(addr, TARGET_PAGE_SIZE));
    unsigned offset = addr & (TARGET_PAGE_SIZE - 1);

    if (!cp) {
        return;
    }
    LOCK_GUARD(&tb_lock);
    for (unsigned i = 0; i < cp->blocks->len; i++) {
        TranslationBlock *tb = g_ptr_array_index(cp->blocks, i);

        if (overlaps(tb, cp, offset, offset)) {
            tb->n_bytes = 0;
        }
    }
    /* the page stays as it is: its code is about to run again */
    drop_blocks_locked(cp, offset, offset);
}

/* The page has taken so many slow stores that its code, if there is any, had better go. */
static void stores_spent_locked(CodePage *cp)
{
    if (cp->blocks->len) {
        cp->store_budget = MIN(cp->store_budget * 2, STORE_BUDGET_LAST);
        drop_all_blocks_locked(cp);
    } else {
        cp->changes++;
    }
    open_if_empty_locked(cp);
}

static void store_in_lines_locked(CodePage *cp, unsigned first, unsigned last)
{
    unsigned had = cp->blocks->len;

    if (drop_blocks_locked(cp, first, last) && ++cp->drops == DROPS_BEFORE_ALL) {
        drop_all_blocks_locked(cp);
        counter_inc(tb_pages_rewritten);
    }
    if (had && !cp->blocks->len) {
        atomic_set(&cp->stores_left, MIN(atomic_read(&cp->stores_left), STORES_WHEN_EMPTY));
    }
}

/* False: the store must be looked at closer. */
static bool beside_code(CodePage *cp, unsigned offset, unsigned size)
{
    unsigned left = atomic_read(&cp->stores_left);

    if (atomic_read(&cp->lines) & line_mask(offset, size) || left <= 1) {
        return false;
    }
    atomic_set(&cp->stores_left, left - 1); /* a guess is good enough */
    return true;
}

void code_page_stored(CodePage *cp, unsigned offset, unsigned size)
{
    unsigned left;

    smp_mb(); /* the store before the look at the claims; pairs with tb_claim_page() */
    if (likely(beside_code(cp, offset, size))) {
        return;
    }
    LOCK_GUARD(&tb_lock);
    left = atomic_read(&cp->stores_left);
    atomic_set(&cp->stores_left, left - (left > 0));
    if (left <= 1 && cp->state != CODE_PAGE_OPEN) {
        stores_spent_locked(cp);
    } else {
        store_in_lines_locked(cp, offset, offset + size - 1);
    }
}

void tb_store_in_code_page(ram_addr_t addr, unsigned size)
{
    CodePage *cp = code_page_find(ROUND_DOWN(addr, TARGET_PAGE_SIZE));

    counter_inc(tb_slow_stores);
    if (cp) {
        code_page_stored(cp, addr & (TARGET_PAGE_SIZE - 1), size);
    }
}

void tb_atomic_in_code_page(ram_addr_t addr, unsigned size)
{
    CodePage *cp = code_page_find(ROUND_DOWN(addr, TARGET_PAGE_SIZE));
    unsigned offset = addr & (TARGET_PAGE_SIZE - 1);

    if (!cp) {
        return;
    }
    atomic_set(&cp->atomics, true);
    smp_mb(); /* the flag before the look at the claims; pairs with tb_claim_page() */
    if (atomic_read(&cp->lines) & line_mask(offset, size)) {
        LOCK_GUARD(&tb_lock);
        drop_blocks_locked(cp, offset, offset + size - 1);
    }
}

/* --- code memory goes --- */

static void remove_block_locked(TranslationBlock *tb, ram_addr_t page)
{
    CodePage *cp = page == NO_RAM_PAGE ? NULL : code_page_find(page);

    if (cp) {
        g_ptr_array_remove_fast(cp->blocks, tb);
        /* lines may stay: a store to them then finds no block and puts them right */
        open_if_empty_locked(cp);
    }
}

void code_pages_remove_locked(TranslationBlock *tb)
{
    remove_block_locked(tb, ROUND_DOWN(tb->ram_pc, TARGET_PAGE_SIZE));
    remove_block_locked(tb, tb->ram_page2);
}

static void forget_page(void *p, uint32_t hash, void *opaque)
{
    CodePage *cp = p;

    g_ptr_array_set_size(cp->blocks, 0);
    memset(cp->kept_lengths, 0, sizeof(cp->kept_lengths));
    if (cp->state != CODE_PAGE_OPEN) {
        open_page_locked(cp);
    }
}

void code_pages_forget_locked(void)
{
    cmap_iter(&code_pages, forget_page, NULL);
}
