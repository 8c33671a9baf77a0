/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translated blocks: finding them, the jumps between them, and dropping them when the bytes they came from
 * change.
 *
 * tb_lock protects everything but lookups: page lists, jump lists, states of pages.  It is held for short
 * steps, never while waiting for a vCPU.  tb_find() needs no lock; blocks and code pages are not freed while
 * a vCPU is in guest code, so what it finds stays readable.
 *
 * A page of RAM is open (its CODE bit set, stores to it fast) or protected:
 *
 *     OPEN --tb_claim_page: clear CODE bit, rearm--> PROTECTING --all vCPUs passed a safe point--> PROTECTED
 *       ^                                                                                             |
 *       +----------- no block left, or too many slow stores: open_page ------------------------------+
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

COUNTER(tb_invalidated, "translated blocks dropped because their bytes changed");
COUNTER(tb_flushes, "times all translated code was dropped");
COUNTER(tb_pages_protected, "times a page of RAM began to hold translated code");
COUNTER(tb_pages_opened, "times such a page was given back to fast stores");
COUNTER(tb_slow_stores, "stores into pages that hold translated code");

/* Slow stores that a page takes before its blocks go; doubles each time, since they came back. */
#define STORE_BUDGET_FIRST 512
#define STORE_BUDGET_LAST  (1u << 20)

#define ARENA_CHUNK (1u << 20)

Lock tb_lock = LOCK_INITIALIZER(RANK_TB, "translated blocks");

static ConcurrentMap blocks;      /* of TranslationBlock */
static ConcurrentMap code_pages;  /* of CodePage */
static uint64_t flush_generation; /* under tb_lock */

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

static bool same_page(const void *entry, const void *userp)
{
    const CodePage *a = entry, *b = userp;

    return a->page == b->page;
}

static uint32_t hash64(uint64_t value)
{
    value *= UINT64_C(0x9e3779b97f4a7c15);
    return value >> 32;
}

static uint32_t hash_block(ram_addr_t ram_pc, uint32_t flags)
{
    return hash64(ram_pc ^ (uint64_t)flags << 44);
}

void tb_maint_init(void)
{
    cmap_init(&blocks, same_block, 1 << 14);
    cmap_init(&code_pages, same_page, 1 << 10);
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

/* --- memory of blocks: per vCPU, in chunks --- */

#define JUMPS_AT           ROUND_UP(sizeof(TranslationBlock), 16)
#define CODE_AT(n_jumps)   ROUND_UP(JUMPS_AT + (n_jumps) * sizeof(TBJump), 16)
#define CODE_SIZE(n_jumps) (offsetof(TCGCode, jumps) + (n_jumps) * sizeof(TCGJump))

TranslationBlock *tb_reserve(TcgCpu *tc)
{
    uint8_t *mem;

    if (!tc->arena->len || tc->arena_used + CODE_AT(TCG_MAX_JUMPS) + CODE_SIZE(TCG_MAX_JUMPS) > ARENA_CHUNK) {
        g_ptr_array_add(tc->arena, aligned_alloc(TCG_COOKIE_ALIGN, ARENA_CHUNK));
        tc->arena_used = 0;
    }
    mem = (uint8_t *)g_ptr_array_index(tc->arena, tc->arena->len - 1) + tc->arena_used;
    memset(mem, 0, sizeof(TranslationBlock));
    return (TranslationBlock *)mem;
}

void tb_fit(TcgCpu *tc, TranslationBlock *tb, const TCGCode *code)
{
    uint8_t *mem = (uint8_t *)tb;
    unsigned n_jumps = code->n_jumps;

    tb->jumps = (TBJump *)(mem + JUMPS_AT);
    for (unsigned n = 0; n < n_jumps; n++) {
        tb->jumps[n] = (TBJump){.from = tb, .n = n};
    }
    tb->code = memcpy(mem + CODE_AT(n_jumps), code, CODE_SIZE(n_jumps));
    tb->buffer = &tc->code;
    tc->arena_used += ROUND_UP(CODE_AT(n_jumps) + CODE_SIZE(n_jumps), TCG_COOKIE_ALIGN);
}

static void arena_reset(TcgCpu *tc)
{
    g_ptr_array_set_size(tc->arena, 0);
    tc->arena_used = 0;
}

/* --- code pages --- */

static CodePage *find_page(ram_addr_t page)
{
    CodePage key = {.page = page};

    return cmap_lookup(&code_pages, &key, hash64(page));
}

static CodePage *get_page_locked(ram_addr_t page)
{
    CodePage *cp = find_page(page);

    if (!cp) {
        cp = g_new0(CodePage, 1);
        cp->page = page;
        cp->blocks = g_ptr_array_new();
        cp->store_budget = STORE_BUDGET_FIRST;
        cmap_insert(&code_pages, cp, hash64(page), NULL);
    }
    return cp;
}

/* tlb_protect_code(), first half. */
static void protect_page_locked(CodePage *cp)
{
    physical_memory_clear_dirty(cp->page, TARGET_PAGE_SIZE, DIRTY_MEMORY_CODE);
    for (unsigned i = 0; i < tcg_cpu_count(); i++) {
        tlb_drop_writes(tcg_cpu_nth(i), cp->page, TARGET_PAGE_SIZE);
    }
    cp->state = CODE_PAGE_PROTECTING;
    cp->protections++;
    atomic_set(&cp->stores_left, cp->store_budget);
    counter_inc(tb_pages_protected);
}

/* No block is left; translators of the page, if any, start again. */
static void open_page_locked(CodePage *cp)
{
    cp->changes++;
    cp->state = CODE_PAGE_OPEN;
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
        cp->state = CODE_PAGE_PROTECTED;
    }
}

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
        if (!cp->blocks->len && cp->state != CODE_PAGE_OPEN) {
            open_page_locked(cp);
        }
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

bool tb_insert(TranslationBlock *tb, CodeClaim *claim, CodeClaim *claim2)
{
    LOCK_GUARD(&tb_lock);
    bool good = claim_holds(claim) && claim_holds(claim2);

    if (good) {
        set_extent(tb);
        tb->hash = hash_block(tb->ram_pc, tb->flags);
        g_ptr_array_add(claim->cp->blocks, tb);
        claim->cp->block_lines |= tb->lines;
        if (claim2) {
            g_ptr_array_add(claim2->cp->blocks, tb);
            claim2->cp->block_lines |= tb->lines2;
        }
        /* when another vCPU made the same block meanwhile, ours is not found but lives all the same */
        cmap_insert(&blocks, tb, tb->hash, NULL);
    }
    release_page_locked(claim);
    if (claim2) {
        release_page_locked(claim2);
    }
    return good;
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

static void invalidate_locked(TranslationBlock *tb)
{
    atomic_set(&tb->invalid, true);
    leave_block_caches(tb);
    cmap_remove(&blocks, tb, tb->hash);
    while (tb->incoming) {
        unlink_jump_locked(tb->incoming);
    }
    for (unsigned n = 0; n < tb->code->n_jumps; n++) {
        unlink_jump_locked(&tb->jumps[n]);
    }
    tcg_kill(tb->buffer, tb->code);
    counter_inc(tb_invalidated);
}

/* A block of two pages leaves the other's list too. */
static void leave_other_page_locked(TranslationBlock *tb, const CodePage *cp)
{
    ram_addr_t page1 = ROUND_DOWN(tb->ram_pc, TARGET_PAGE_SIZE);
    ram_addr_t other = page1 == cp->page ? tb->ram_page2 : page1;
    CodePage *cp2 = other == NO_RAM_PAGE || other == cp->page ? NULL : find_page(other);

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

/* Drops blocks with bytes in [first, last] of the page. */
static void drop_blocks_locked(CodePage *cp, unsigned first, unsigned last)
{
    bool any = false;

    cp->changes++;
    for (unsigned i = 0; i < cp->blocks->len;) {
        TranslationBlock *tb = g_ptr_array_index(cp->blocks, i);

        if (tb->invalid || overlaps(tb, cp, first, last)) {
            if (!tb->invalid) {
                invalidate_locked(tb);
                leave_other_page_locked(tb, cp);
            }
            g_ptr_array_remove_index_fast(cp->blocks, i);
            any = true;
        } else {
            i++;
        }
    }
    if (any) {
        recompute_lines_locked(cp);
    }
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
        CodePage *cp = find_page(page);

        if (cp) {
            LOCK_GUARD(&tb_lock);
            drop_blocks_locked(cp, start > page ? start - page : 0, MIN(last - page, TARGET_PAGE_SIZE - 1));
        }
    }
}

/* Whether the page has taken so many slow stores that its code had better go. */
static bool spend_store_locked(CodePage *cp)
{
    unsigned left = atomic_read(&cp->stores_left);

    if (left > 1) {
        atomic_set(&cp->stores_left, left - 1);
        return false;
    }
    cp->store_budget = MIN(cp->store_budget * 2, STORE_BUDGET_LAST);
    return true;
}

void tb_store_in_code_page(ram_addr_t addr, unsigned size)
{
    CodePage *cp = find_page(ROUND_DOWN(addr, TARGET_PAGE_SIZE));
    unsigned offset = addr & (TARGET_PAGE_SIZE - 1);
    unsigned left;

    counter_inc(tb_slow_stores);
    if (!cp) {
        return;
    }
    smp_mb(); /* the store before the look at the claims; pairs with tb_claim_page() */
    left = atomic_read(&cp->stores_left);
    if (!(atomic_read(&cp->lines) & line_mask(offset, size)) && left > 1) {
        atomic_set(&cp->stores_left, left - 1); /* a guess is good enough */
        return;
    }
    LOCK_GUARD(&tb_lock);
    if (cp->state != CODE_PAGE_OPEN && spend_store_locked(cp)) {
        drop_blocks_locked(cp, 0, TARGET_PAGE_SIZE - 1);
    } else {
        drop_blocks_locked(cp, offset, offset + size - 1);
    }
}

void tb_atomic_in_code_page(ram_addr_t addr, unsigned size)
{
    CodePage *cp = find_page(ROUND_DOWN(addr, TARGET_PAGE_SIZE));
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

/* --- dropping everything --- */

static void forget_page(void *p, uint32_t hash, void *opaque)
{
    CodePage *cp = p;

    g_ptr_array_set_size(cp->blocks, 0);
    if (cp->state != CODE_PAGE_OPEN) {
        open_page_locked(cp);
    }
}

void tb_drop_all(void)
{
    LOCK_GUARD(&tb_lock);

    flush_generation++;
    cmap_reset(&blocks);
    cmap_iter(&code_pages, forget_page, NULL);
    for (unsigned i = 0; i < tcg_cpu_count(); i++) {
        TcgCpu *tc = tcg_cpu_nth(i);

        for (unsigned mode = 0; mode < TCG_MMU_MODES; mode++) {
            tlb_jump_flush(tc, mode);
        }
        tc->link_from = NULL;
        memset(tc->block_cache, 0, sizeof(tc->block_cache));
        tc->code.used = tc->code_start;
        arena_reset(tc);
    }
    counter_inc(tb_flushes);
}

typedef struct FlushRequest {
    uint64_t generation;
} FlushRequest;

static void flush_work(CPUState *cpu, void *opaque)
{
    FlushRequest *request = opaque;
    bool stale;

    lock_acquire(&tb_lock);
    stale = request->generation != flush_generation;
    lock_release(&tb_lock);
    if (!stale) {
        tb_drop_all();
    }
    g_free(request);
}

static void queue_flush(CPUState *cpu)
{
    FlushRequest *request = g_new(FlushRequest, 1);

    lock_acquire(&tb_lock);
    request->generation = flush_generation;
    lock_release(&tb_lock);
    async_safe_run_on_cpu(cpu, flush_work, request);
}

void tb_request_flush(TcgCpu *tc)
{
    queue_flush(tc->cpu);
    cpu_exit(tc->cpu);
}

void tb_flush_all(void)
{
    if (tcg_cpu_count() && tb_count()) {
        queue_flush(current_cpu ? current_cpu : tcg_cpu_nth(0)->cpu);
    }
}
