/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The dirty bitmaps: one DirtyMemoryBlocks per client, marked and taken by any thread.
 *
 * A client's bits lie in pieces of DIRTY_MEMORY_BLOCK_PAGES bits behind an array of pointers.  Growth makes a
 * longer array with the same pieces in front and publishes it under RCU; the old array goes after a grace
 * period, the pieces stay for ever (D6).  So who holds an old array still sets bits where they count.  Only
 * next_span() knows pieces.
 *
 * Marking against taking.  Everybody marks after storing:
 *
 *   device, monitor     store data;  smp_mb();  read log mask;  test or set bit
 *   vCPU, slow store    store data;  smp_mb();  read log mask;  set bit;  maybe install the fast entry
 *   vCPU, fast store    store data (the bit was set when the entry was installed)
 *   taker               exchange word with 0;  re-arm;  quiesce;  read the page
 *
 * If a slow writer's bit comes before the exchange, its data comes before the read: the exchange reads what
 * the writer set (release/acquire) or, where the writer found the bit set and left it, smp_mb() orders the
 * data before the test, and the test saw the bit before the exchange took it.  If its bit comes after the
 * exchange, the page stays dirty for the next take.  Without smp_mb() the test could pass before the data
 * leaves the store buffer, and a page read in between would be sent old and called clean.
 *
 * A fast store may come after the exchange unmarked.  Either the vCPU checked its entry before the re-arm:
 * then the quiesce waits for the store, and the read sees it.  Or after: then the entry is gone and the store
 * is a slow one. Hence D2's order.
 *
 * The log mask obeys the same rule: turning a client on is "set mask; smp_mb(); re-arm; quiesce", a writer
 * that missed the mask has its data visible to whoever reads pages after that.
 */
#include "memory-internal.h"

#include "util/bits.h"
#include "util/counters.h"
#include "util/lock.h"
#include "util/trace.h"

TRACE_EVENT(dirty_take, "client %u start 0x%" PRIx64 " length 0x%" PRIx64 " pages %" PRIu64);
TRACE_EVENT(dirty_grow, "pieces %u");
TRACE_EVENT(dirty_log, "migration %d");
COUNTER(dirty_takes, "times a range of a dirty bitmap was taken");
COUNTER(dirty_pages_taken, "pages that takes added to a client's own bitmap");
COUNTER(dirty_rearms, "times fast stores were withdrawn because of a take");

typedef struct DirtyMemoryBlocks {
    RcuHead rcu;
    unsigned n;
    unsigned long *pieces[];
} DirtyMemoryBlocks;

/* RCU; writers under grow_lock.  All clients grow together. */
static DirtyMemoryBlocks *dirty_memory[DIRTY_MEMORY_NUM];
static Lock grow_lock = LOCK_INITIALIZER(RANK_DIRTY, "dirty-memory");

/* Clients that log all RAM: CODE under TCG, MIGRATION while it is tracked.  Any thread, atomics. */
static uint8_t global_log_mask;

static const DirtyListenerOps *dirty_listener;

/* --- spans --- */

/* The part of [page, end) that lies in one piece. */
typedef struct DirtySpan {
    unsigned long *map;
    uint64_t bit, n;
} DirtySpan;

static bool next_span(const DirtyMemoryBlocks *blocks, uint64_t *page, uint64_t end, DirtySpan *span)
{
    uint64_t index = *page / DIRTY_MEMORY_BLOCK_PAGES;

    if (*page >= end || !blocks || index >= blocks->n) {
        return false;
    }
    span->map = blocks->pieces[index];
    span->bit = *page % DIRTY_MEMORY_BLOCK_PAGES;
    span->n = MIN(end - *page, DIRTY_MEMORY_BLOCK_PAGES - span->bit);
    *page += span->n;
    return true;
}

/* Runs the statement that follows for each span of [start, start + length) of the client; under RCU. */
#define FOREACH_DIRTY_SPAN(span, start, length, client)                                                      \
    for (uint64_t page_ = (start) >> TARGET_PAGE_BITS, end_ = page_end(start, length), once_ = 1; once_;     \
         once_ = 0)                                                                                          \
        for (const DirtyMemoryBlocks *blocks_ = rcu_dereference(dirty_memory[client]);                       \
             next_span(blocks_, &page_, end_, &(span));)

static uint64_t page_end(ram_addr_t start, uint64_t length)
{
    return length ? ((start + length - 1) >> TARGET_PAGE_BITS) + 1 : start >> TARGET_PAGE_BITS;
}

/* --- growth --- */

static void free_array(RcuHead *head)
{
    g_free(container_of(head, DirtyMemoryBlocks, rcu));
}

static void extend_client(unsigned client, unsigned n)
{
    DirtyMemoryBlocks *old = dirty_memory[client];
    DirtyMemoryBlocks *new = g_malloc0(sizeof(*new) + n * sizeof(new->pieces[0]));
    unsigned old_n = old ? old->n : 0;

    new->n = n;
    for (unsigned i = 0; i < n; i++) {
        new->pieces[i] = i < old_n ? old->pieces[i] : bitmap_new(DIRTY_MEMORY_BLOCK_PAGES);
    }
    rcu_assign_pointer(dirty_memory[client], new);
    if (old) {
        call_rcu(&old->rcu, free_array);
    }
}

void dirty_memory_extend(ram_addr_t end)
{
    unsigned n = DIV_ROUND_UP(DIV_ROUND_UP(end, TARGET_PAGE_SIZE), DIRTY_MEMORY_BLOCK_PAGES);

    LOCK_GUARD(&grow_lock);
    if (dirty_memory[0] && n <= dirty_memory[0]->n) {
        return;
    }
    trace(dirty_grow, n);
    for (unsigned client = 0; client < DIRTY_MEMORY_NUM; client++) {
        extend_client(client, n);
    }
}

/* --- marking --- */

static void mark_words(unsigned long *map, uint64_t bit, uint64_t n)
{
    unsigned long *word = map + BIT_WORD(bit);

    for (uint64_t end = bit + n; bit < end; word++) {
        uint64_t stop = MIN(end, ROUND_DOWN(bit, BITS_PER_LONG) + BITS_PER_LONG);
        unsigned long mask = MAKE_64BIT_MASK(bit % BITS_PER_LONG, stop - bit);

        if ((atomic_read(word) & mask) != mask) {
            atomic_or(word, mask);
        }
        bit = stop;
    }
}

/* The caller has ordered its data before this (see the head of the file) and holds the RCU read side. */
static void mark_rcu(ram_addr_t start, uint64_t length, uint8_t mask)
{
    DirtySpan span;

    for (unsigned client = 0; client < DIRTY_MEMORY_NUM; client++) {
        if (mask & (1 << client)) {
            FOREACH_DIRTY_SPAN (span, start, length, client) {
                mark_words(span.map, span.bit, span.n);
            }
        }
    }
}

void physical_memory_set_dirty_range(ram_addr_t start, uint64_t length, uint8_t mask)
{
    RCU_READ_LOCK_GUARD();

    if (mask) {
        smp_mb(); /* data before the test of the bit; pairs with the exchange in bitmap_take_atomic() */
        mark_rcu(start, length, mask);
    }
}

/* Never skips the write: right for writers that mark before their store and for those that mark after. */
void physical_memory_set_dirty_flag(ram_addr_t addr, unsigned client)
{
    RCU_READ_LOCK_GUARD();
    DirtySpan span;

    FOREACH_DIRTY_SPAN (span, addr, 1, client) {
        set_bit_atomic(span.bit, span.map);
    }
}

/* Whether a page of the range has its bit in state @set. */
static bool any_page(ram_addr_t start, uint64_t length, unsigned client, bool set)
{
    RCU_READ_LOCK_GUARD();
    DirtySpan span;

    FOREACH_DIRTY_SPAN (span, start, length, client) {
        uint64_t end = span.bit + span.n;
        uint64_t found =
            set ? find_next_bit(span.map, end, span.bit) : find_next_zero_bit(span.map, end, span.bit);

        if (found < end) {
            return true;
        }
    }
    return false;
}

bool physical_memory_get_dirty(ram_addr_t start, uint64_t length, unsigned client)
{
    return any_page(start, length, client, true);
}

bool physical_memory_get_dirty_flag(ram_addr_t addr, unsigned client)
{
    RCU_READ_LOCK_GUARD();
    uint64_t page = addr >> TARGET_PAGE_BITS;
    DirtySpan span;

    return next_span(rcu_dereference(dirty_memory[client]), &page, page + 1, &span) &&
           test_bit(span.bit, span.map);
}

const unsigned long *physical_memory_dirty_piece(ram_addr_t addr, unsigned client)
{
    RCU_READ_LOCK_GUARD();
    uint64_t page = addr >> TARGET_PAGE_BITS;
    DirtySpan span;

    return next_span(rcu_dereference(dirty_memory[client]), &page, page + 1, &span) ? span.map : NULL;
}

uint64_t physical_memory_count_dirty(ram_addr_t start, uint64_t length, unsigned client)
{
    RCU_READ_LOCK_GUARD();
    uint64_t count = 0;
    DirtySpan span;

    FOREACH_DIRTY_SPAN (span, start, length, client) {
        count += bitmap_count(span.map, span.bit, span.n);
    }
    return count;
}

void ram_block_written(RAMBlock *block, uint64_t offset, uint64_t length)
{
    RCU_READ_LOCK_GUARD();
    ram_addr_t start = block->offset + offset;
    uint8_t mask;

    if (!length) {
        return;
    }
    ram_block_note_written(block, offset, length);
    /*
     * Data before mask, before CODE bits, before client bits.  Pairs with the exchange in a take, with
     * smp_mb() in set_global_log(), and with the translator's "clear the CODE bit; barrier; read the code
     * bytes".
     */
    smp_mb();
    mask = ram_block_log_mask(block);
    if (mask & (1 << DIRTY_MEMORY_CODE) && any_page(start, length, DIRTY_MEMORY_CODE, false) &&
        dirty_listener) {
        dirty_listener->invalidate_code(start, length);
    }
    mark_rcu(start, length, mask & ~(1 << DIRTY_MEMORY_CODE));
}

void physical_memory_invalidate_and_set_dirty(MemoryRegion *mr, hwaddr addr, uint64_t length)
{
    ram_block_written(mr->ram_block, addr, length);
}

void dirty_memory_forget_code(ram_addr_t start, uint64_t length)
{
    RCU_READ_LOCK_GUARD();
    DirtySpan span;

    if (!dirty_listener || !(atomic_read(&global_log_mask) & (1 << DIRTY_MEMORY_CODE))) {
        return;
    }
    FOREACH_DIRTY_SPAN (span, start, length, DIRTY_MEMORY_CODE) {
        ram_addr_t span_start = (page_ - span.n) << TARGET_PAGE_BITS;
        uint64_t end = span.bit + span.n, from = find_next_zero_bit(span.map, end, span.bit);

        while (from < end) {
            uint64_t to = find_next_bit(span.map, end, from);

            dirty_listener->invalidate_code(span_start + ((from - span.bit) << TARGET_PAGE_BITS),
                                            (to - from) << TARGET_PAGE_BITS);
            from = find_next_zero_bit(span.map, end, to);
        }
    }
}

/* --- taking --- */

static void rearm(ram_addr_t start, uint64_t length)
{
    if (dirty_listener) {
        counter_inc(dirty_rearms);
        dirty_listener->rearm(start, length);
    }
}

static DirtyFault fault; /* set by tests before they start threads */

void dirty_memory_set_fault(DirtyFault new_fault)
{
    fault = new_fault;
}

static void rearm_wrongly(RAMBlock *block, ram_addr_t start, uint64_t length, uint64_t gained)
{
    if (fault == DIRTY_FAULT_REARM_OFFSET) {
        rearm(start - block->offset, length);
    } else if (fault == DIRTY_FAULT_NO_QUIESCE || (fault == DIRTY_FAULT_REARM_CONDITIONAL && gained)) {
        rearm(start, length);
    }
}

/* Moves the bits; *@any tells whether one was cleared, whatever the destination held before (D4). */
static uint64_t take_bits_rcu(ram_addr_t start, uint64_t length, unsigned client, unsigned long *dest,
                              uint64_t dest_bit, bool *any)
{
    uint64_t gained = 0;
    DirtySpan span;

    FOREACH_DIRTY_SPAN (span, start, length, client) {
        bool cleared = false;

        gained += bitmap_take_atomic(dest, dest_bit, span.map, span.bit, span.n, &cleared);
        dest_bit += span.n;
        *any |= cleared;
    }
    return gained;
}

static uint64_t take(RAMBlock *block, ram_addr_t start, uint64_t length, unsigned client, unsigned long *dest,
                     uint64_t dest_bit)
{
    bool any = false;
    uint64_t gained;

    rcu_read_lock();
    gained = take_bits_rcu(start, length, client, dest, dest_bit, &any);
    if (any && unlikely(fault)) {
        rearm_wrongly(block, start, length, gained);
    } else if (any) {
        rearm(start, length);
    }
    rcu_read_unlock();
    if (any && client != DIRTY_MEMORY_CODE) {
        memory_log_clear(block, start - block->offset, length);
    }
    counter_inc(dirty_takes);
    counter_add(dirty_pages_taken, gained);
    trace(dirty_take, client, start, length, gained);
    return gained;
}

/* The block that holds [start, start + length), with a reference; NULL when no single block does. */
static RAMBlock *block_of_range(ram_addr_t start, uint64_t length)
{
    RCU_READ_LOCK_GUARD();
    RAMBlock *block = ram_block_by_addr(start);

    if (!block || length > block->max_length - (start - block->offset) || !ram_block_try_ref(block)) {
        return NULL;
    }
    return block;
}

uint64_t physical_memory_test_and_clear_dirty(ram_addr_t start, uint64_t length, unsigned client,
                                              unsigned long *dest)
{
    RAMBlock *block = length ? block_of_range(start, length) : NULL;
    uint64_t gained;

    if (!block) {
        return 0;
    }
    gained = take(block, start, length, client, dest, (start - block->offset) >> TARGET_PAGE_BITS);
    ram_block_unref(block);
    return gained;
}

uint64_t physical_memory_sync_dirty_bitmap(RAMBlock *block)
{
    unsigned long **bmap = &block->bmap;
    unsigned long *dest = rcu_dereference(*bmap);

    /* without a place to keep them the bits stay where they are */
    return dest ? take(block, block->offset, block->used_length, DIRTY_MEMORY_MIGRATION, dest, 0) : 0;
}

uint64_t physical_memory_take_dirty_to(ram_addr_t start, uint64_t length, unsigned client,
                                       unsigned long *dest)
{
    RAMBlock *block = length ? block_of_range(start, length) : NULL;
    uint64_t gained;

    if (!block) {
        return 0;
    }
    gained = take(block, start, length, client, dest, 0);
    ram_block_unref(block);
    return gained;
}

void physical_memory_clear_dirty(ram_addr_t start, uint64_t length, unsigned client)
{
    RCU_READ_LOCK_GUARD();
    DirtySpan span;

    FOREACH_DIRTY_SPAN (span, start, length, client) {
        bitmap_test_and_clear_atomic(span.map, span.bit, span.n);
    }
}

void physical_memory_quiesce(void)
{
    if (dirty_listener && likely(fault != DIRTY_FAULT_NO_QUIESCE)) {
        dirty_listener->quiesce();
    }
}

void physical_memory_withdraw_all(void)
{
    if (dirty_listener && dirty_listener->forget) {
        dirty_listener->forget();
        dirty_listener->quiesce();
    }
}

/* --- clients on and off --- */

uint8_t ram_block_log_mask(const RAMBlock *block)
{
    uint8_t mask = atomic_read(&global_log_mask);

    if (!(block->flags & RAM_MIGRATABLE)) {
        mask &= ~(1 << DIRTY_MEMORY_MIGRATION);
    }
    return mask | atomic_read(&block->vga_log);
}

void physical_memory_set_dirty_listener(const DirtyListenerOps *ops)
{
    dirty_listener = ops;
}

static void rearm_all(void)
{
    RCU_READ_LOCK_GUARD();
    RAMBlock *block;

    RAMBLOCK_FOREACH (block) {
        rearm(block->offset, block->max_length);
    }
}

/* Fast stores granted while nobody asked are withdrawn; who missed the mask has its data visible after this.
 */
static void withdraw_fast_stores(void)
{
    smp_mb(); /* mask before anything read later; pairs with ram_block_written() */
    rearm_all();
    physical_memory_quiesce();
}

static void set_global_log(unsigned client, bool on)
{
    if (on) {
        atomic_or(&global_log_mask, 1 << client);
        withdraw_fast_stores();
    } else {
        atomic_and(&global_log_mask, ~(1 << client));
    }
}

void dirty_memory_set_migration_log(bool on)
{
    trace(dirty_log, on);
    if (on) {
        physical_memory_clear_dirty(0, ram_list_end(), DIRTY_MEMORY_MIGRATION);
    }
    set_global_log(DIRTY_MEMORY_MIGRATION, on);
}

void dirty_memory_set_vga_log(RAMBlock *block, bool on)
{
    atomic_set(&block->vga_log, on ? 1 << DIRTY_MEMORY_VGA : 0);
    if (on) {
        smp_mb(); /* as in withdraw_fast_stores() */
        /* a display draws all of it first */
        physical_memory_set_dirty_range(block->offset, block->used_length, 1 << DIRTY_MEMORY_VGA);
        rcu_read_lock();
        rearm(block->offset, block->max_length);
        rcu_read_unlock();
        physical_memory_quiesce();
    }
}

void physical_memory_enable_code_log(void)
{
    physical_memory_set_dirty_range(0, ram_list_end(), 1 << DIRTY_MEMORY_CODE);
    set_global_log(DIRTY_MEMORY_CODE, true);
}

void dirty_memory_reset_range(ram_addr_t start, uint64_t length)
{
    uint8_t mask = atomic_read(&global_log_mask);

    for (unsigned client = 0; client < DIRTY_MEMORY_NUM; client++) {
        if (!(mask & (1 << client))) {
            physical_memory_clear_dirty(start, length, client);
        }
    }
    /* no code yet; and what appears while a migration runs has not been sent */
    physical_memory_set_dirty_range(start, length, mask);
}
