/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The destination's pages in postcopy: the keeper of the RAM gate.
 *
 * A page is absent until its bit in RAMBlock.receivedmap is set, which happens once, after its bytes are in place and
 * with the lock held.  Nobody but postcopy_place() touches an absent page.  A bit that is set may be read without the
 * lock (acquire, pairs with the exchange that sets it).
 *
 * Who needs an absent page enters it in .asked, asks the source if nobody did, and waits.  Pages stay in .asked until
 * they come: over a new link all of them are asked for again.
 */
#include "postcopy.h"

#include <string.h>

#include "system/cpu.h"
#include "system/ram-gate.h"
#include "util/bitmap.h"
#include "util/counters.h"
#include "util/lock.h"
#include "util/trace.h"

TRACE_EVENT(postcopy_request, "RAM '%s' offset 0x%" PRIx64 " length 0x%x");
COUNTER(postcopy_requests, "ranges of pages that postcopy asked the source for");

/* How often a vCPU that waits looks whether it is to stop: it then leaves the instruction undone. */
#define STOP_CHECK_NS (INT64_C(10) * 1000 * 1000)
/* Most pages that one request names. */
#define ASK_PAGES 256

static struct Pages {
    Lock lock;
    Cond arrived;
    /* constant while the gate is closed */
    GPtrArray *blocks;
    PostcopyAsk ask;
    void *opaque;
    bool measured;
    /* under the lock */
    GHashTable *asked; /* set of ram_addr_t page numbers that did not come yet */
    unsigned waiting;
    bool abandoned;
    uint64_t requests;
    /* under the lock: how long vCPUs waited; kept for query-migrate */
    unsigned n_vcpus, vcpus_waiting;
    int64_t *since_ns, *waited_ns; /* by vCPU index; since: 0 when it does not wait */
    int64_t all_since_ns, all_waited_ns;
} pages = {.lock = LOCK_INITIALIZER(RANK_LEAF, "postcopy-pages")};

static int64_t now_ns(void)
{
    return g_get_monotonic_time() * 1000;
}

static gpointer key_of(const RAMBlock *block, uint64_t page)
{
    return GSIZE_TO_POINTER(block->offset / TARGET_PAGE_SIZE + page);
}

/* --- blocktime: lock held --- */

static void blocktime_begin(CPUState *cpu)
{
    if (!pages.measured || !cpu || cpu->index >= (int)pages.n_vcpus || pages.since_ns[cpu->index]) {
        return;
    }
    pages.since_ns[cpu->index] = now_ns();
    if (++pages.vcpus_waiting == pages.n_vcpus) {
        pages.all_since_ns = pages.since_ns[cpu->index];
    }
}

static void blocktime_end(CPUState *cpu)
{
    int64_t now = now_ns();

    if (!pages.measured || !cpu || cpu->index >= (int)pages.n_vcpus || !pages.since_ns[cpu->index]) {
        return;
    }
    if (pages.vcpus_waiting-- == pages.n_vcpus) {
        pages.all_waited_ns += now - pages.all_since_ns;
    }
    pages.waited_ns[cpu->index] += now - pages.since_ns[cpu->index];
    pages.since_ns[cpu->index] = 0;
}

static void blocktime_reset(bool measured)
{
    pages.measured = measured;
    pages.n_vcpus = (unsigned)cpu_count();
    pages.vcpus_waiting = 0;
    pages.all_since_ns = pages.all_waited_ns = 0;
    g_free(pages.since_ns);
    g_free(pages.waited_ns);
    pages.since_ns = g_new0(int64_t, pages.n_vcpus);
    pages.waited_ns = g_new0(int64_t, pages.n_vcpus);
}

void postcopy_get_blocktime(PostcopyBlocktime *out)
{
    LOCK_GUARD(&pages.lock);

    memset(out, 0, sizeof(*out));
    out->requests = pages.requests;
    out->waiting = pages.waiting;
    out->measured = pages.measured;
    out->all_ms = (uint32_t)(pages.all_waited_ns / 1000000);
    out->n = pages.n_vcpus;
    out->vcpu_ms = g_new0(uint32_t, pages.n_vcpus);
    for (unsigned i = 0; i < pages.n_vcpus; i++) {
        out->vcpu_ms[i] = (uint32_t)(pages.waited_ns[i] / 1000000);
    }
}

/* --- the gate --- */

/* Lock held; gives it up around the request, which may have to wait for the link. */
static void ask(RAMBlock *block, uint64_t page, uint64_t n)
{
    PostcopyAsk fn = pages.ask;
    void *opaque = pages.opaque;

    pages.requests++;
    counter_inc(postcopy_requests);
    lock_release(&pages.lock);
    trace(postcopy_request, block->idstr, page * TARGET_PAGE_SIZE, (uint32_t)(n * TARGET_PAGE_SIZE));
    fn(block, page * TARGET_PAGE_SIZE, (uint32_t)(n * TARGET_PAGE_SIZE), opaque);
    lock_acquire(&pages.lock);
}

/* Enters absent pages from @page on which nobody asked for yet; how many. */
static uint64_t claim(const RAMBlock *block, uint64_t page, uint64_t end)
{
    uint64_t n = 0;

    while (page + n < end && n < ASK_PAGES && !test_bit(page + n, block->receivedmap) &&
           g_hash_table_add(pages.asked, key_of(block, page + n))) {
        n++;
    }
    return n;
}

static void ask_for_absent(RAMBlock *block, uint64_t page, uint64_t end)
{
    while ((page = find_next_zero_bit(block->receivedmap, end, page)) < end && !pages.abandoned) {
        uint64_t n = claim(block, page, end);

        if (n) {
            ask(block, page, n);
        }
        page += MAX(n, 1);
    }
}

/* False: not now (the vCPU is to stop) or never. */
static bool wait_for_pages(RAMBlock *block, uint64_t page, uint64_t end)
{
    CPUState *cpu = current_cpu;
    bool stop = false;

    LOCK_GUARD(&pages.lock);
    pages.waiting++;
    blocktime_begin(cpu);
    ask_for_absent(block, page, end);
    while (!pages.abandoned && !stop && (page = find_next_zero_bit(block->receivedmap, end, page)) < end) {
        cond_timedwait_ns(&pages.arrived, &pages.lock, STOP_CHECK_NS);
        stop = ram_gate_restartable && ram_gate_vcpu_called();
    }
    blocktime_end(cpu);
    pages.waiting--;
    return find_next_zero_bit(block->receivedmap, end, page) >= end;
}

static bool before_access(RAMBlock *block, uint64_t offset, uint64_t length)
{
    uint64_t first = offset / TARGET_PAGE_SIZE, end = DIV_ROUND_UP(offset + length, TARGET_PAGE_SIZE);
    uint64_t absent;

    if (!block->receivedmap) {
        return true; /* it does not travel, or was plugged in here */
    }
    end = MIN(end, ram_block_pages(block));
    absent = first < end ? find_next_zero_bit(block->receivedmap, end, first) : end;
    __atomic_thread_fence(__ATOMIC_ACQUIRE); /* pairs with postcopy_place() */
    return absent >= end || wait_for_pages(block, absent, end);
}

static const RamGateOps gate_ops = {.before_read = before_access, .before_write = before_access};

void postcopy_place(RAMBlock *block, uint64_t offset, const uint8_t *data)
{
    uint64_t page = offset / TARGET_PAGE_SIZE;
    LOCK_GUARD(&pages.lock);

    if (test_bit(page, block->receivedmap)) {
        return; /* the guest may have written to it since */
    }
    if (data) {
        memcpy(block->host + offset, data, TARGET_PAGE_SIZE);
    } else {
        ram_load_zero(block, offset, TARGET_PAGE_SIZE);
    }
    set_bit_atomic(page, block->receivedmap); /* full barrier: pairs with the fence in before_access() */
    g_hash_table_remove(pages.asked, key_of(block, page));
    if (pages.waiting) {
        cond_broadcast(&pages.arrived);
    }
}

/* --- from begin to end --- */

bool postcopy_pages_begin(GPtrArray *blocks, bool blocktime, PostcopyAsk fn, void *opaque, GError **error)
{
    static gsize ready;

    if (g_once_init_enter(&ready)) {
        cond_init(&pages.arrived);
        g_once_init_leave(&ready, 1);
    }
    lock_acquire(&pages.lock);
    pages.blocks = blocks;
    pages.ask = fn;
    pages.opaque = opaque;
    pages.asked = g_hash_table_new(NULL, NULL);
    pages.requests = 0;
    pages.abandoned = false;
    blocktime_reset(blocktime);
    lock_release(&pages.lock);
    if (ram_gate_close(&gate_ops, error)) {
        return true;
    }
    g_clear_pointer(&pages.asked, g_hash_table_unref);
    pages.blocks = NULL;
    return false;
}

void postcopy_pages_abandon(void)
{
    LOCK_GUARD(&pages.lock);

    pages.abandoned = true;
    if (pages.waiting) {
        cond_broadcast(&pages.arrived);
    }
}

void postcopy_pages_end(void)
{
    postcopy_pages_abandon();
    ram_gate_open();
    g_clear_pointer(&pages.asked, g_hash_table_unref);
    pages.blocks = NULL;
}

static RAMBlock *block_of_page(uint64_t ram_page, uint64_t *page)
{
    for (unsigned i = 0; i < pages.blocks->len; i++) {
        RAMBlock *block = g_ptr_array_index(pages.blocks, i);
        uint64_t first = block->offset / TARGET_PAGE_SIZE;

        if (ram_page >= first && ram_page - first < ram_block_pages(block)) {
            *page = ram_page - first;
            return block;
        }
    }
    return NULL;
}

void postcopy_pages_ask_again(void)
{
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    GHashTableIter iter;
    gpointer key;
    LOCK_GUARD(&pages.lock);

    g_hash_table_iter_init(&iter, pages.asked);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        uint64_t ram_page = GPOINTER_TO_SIZE(key);

        g_array_append_val(list, ram_page);
    }
    for (unsigned i = 0; i < list->len; i++) { /* the lock is given up in between: the set may change */
        uint64_t page;
        RAMBlock *block = block_of_page(g_array_index(list, uint64_t, i), &page);

        if (block && !test_bit(page, block->receivedmap)) {
            ask(block, page, 1);
        }
    }
}

uint64_t postcopy_pages_missing(void)
{
    uint64_t missing = 0;

    for (unsigned i = 0; i < pages.blocks->len; i++) {
        RAMBlock *block = g_ptr_array_index(pages.blocks, i);
        uint64_t n = ram_block_pages(block);

        missing += n - bitmap_count(block->receivedmap, 0, n);
    }
    return missing;
}
