/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A background snapshot: the machine as of one moment, saved while it runs on.
 *
 * The machine stops only until its device states are in a buffer and the gate (system/ram-gate.h) is closed for
 * writes.  From then on a page's bit in RAMBlock.bmap says "as of that moment, and not saved yet".  Whoever is about
 * to write such a page puts a copy into a queue first; the migration thread saves the queue and, in between, the pages
 * that nobody was about to write, from a buffer into which it copied them.  So nobody ever waits for a socket
 * with a page in hand; a vCPU waits when the queue is full.  The stream is an ordinary one: all of memory, then the
 * device states.
 *
 * A bit is cleared, under the lock, after the page was copied (or with its copy in the queue): who finds it clear,
 * without the lock, may write.
 */
#include <stdlib.h>

#include "source.h"
#include "system/cpu.h"
#include "system/ram-gate.h"
#include "util/atomic.h"
#include "util/bitmap.h"
#include "util/bswap.h"
#include "util/counters.h"
#include "util/error.h"
#include "util/trace.h"

TRACE_EVENT(snapshot_begin, "machine stood still for %" PRId64 " us, %" PRIu64 " pages to save");
TRACE_EVENT(snapshot_end, "%" PRIu64 " pages were saved because somebody was about to write them");
COUNTER(snapshot_copies, "pages that a writer saved for a background snapshot first");
COUNTER(snapshot_waits, "times a vCPU waited because such pages could not be sent as fast");

#define RUN_PAGES   64
#define QUEUE_PAGES 8192 /* 32 MiB */
#define RECHECK_NS  (INT64_C(10) * 1000 * 1000) /* whether a vCPU that waits is called */

/* A page as it was. */
typedef struct Copy {
    struct Copy *next;
    RAMBlock *block;
    uint64_t page;
    uint8_t data[TARGET_PAGE_SIZE];
} Copy;

/* One at a time, as migrations are; what the gate calls has no other way to it. */
static struct {
    Lock lock;
    Cond cond; /* a run was copied, the queue got shorter, all is over */
    /* under the lock */
    RamState *ram;      /* its bitmaps and dirty_pages, too */
    Copy *first, **last; /* the queue */
    Copy *spare;
    unsigned copies;    /* that wait or are being sent */
    RAMBlock *claimed;  /* of the run that the migration thread is copying; NULL: none */
    uint64_t claimed_page, claimed_end;
    uint64_t saved_for_writers;
    bool over; /* nothing is to be saved any more */
} snapshot = {.lock = LOCK_INITIALIZER(RANK_LEAF, "background snapshot")};

/* --- the writers' side: any thread --- */

static bool is_unsaved(const RAMBlock *block, uint64_t page)
{
    /* acquire: the copy was made before the store that this is asked for; pairs with saved() */
    return atomic_load_acquire(&block->bmap[BIT_WORD(page)]) & BIT_MASK(page);
}

/* Pages whose copies exist.  Lock held. */
static void saved(RAMBlock *block, uint64_t page, uint64_t n)
{
    for (uint64_t i = page; i < page + n; i++) {
        clear_bit_atomic(i, block->bmap);
    }
    snapshot.ram->dirty_pages -= n;
    atomic_set(&snapshot.ram->stats->remaining_pages, snapshot.ram->dirty_pages);
}

static bool is_claimed(const RAMBlock *block, uint64_t page)
{
    return snapshot.claimed == block && page >= snapshot.claimed_page && page < snapshot.claimed_end;
}

/*
 * The queue is bounded for vCPUs, which write most and can wait.  Not for a thread that has the big lock or runs a
 * device: the monitor, which could end it all, would wait for it; nor for a vCPU that somebody waits for.
 */
static bool must_wait(void)
{
    return snapshot.copies >= QUEUE_PAGES && current_cpu && !bql_locked() && !ram_gate_vcpu_called();
}

static void queue_copy(RAMBlock *block, uint64_t page)
{
    Copy *copy = snapshot.spare;

    if (copy) {
        snapshot.spare = copy->next;
    } else {
        copy = g_new(Copy, 1);
    }
    copy->next = NULL;
    copy->block = block;
    copy->page = page;
    memcpy(copy->data, block->host + page * TARGET_PAGE_SIZE, TARGET_PAGE_SIZE);
    *snapshot.last = copy;
    snapshot.last = &copy->next;
    snapshot.copies++;
    snapshot.saved_for_writers++;
    counter_inc(snapshot_copies);
}

static void save_before_write(RAMBlock *block, uint64_t page)
{
    LOCK_GUARD(&snapshot.lock);

    while (!snapshot.over && is_unsaved(block, page)) {
        if (is_claimed(block, page)) {
            cond_wait(&snapshot.cond, &snapshot.lock);
        } else if (must_wait()) {
            counter_inc(snapshot_waits);
            cond_timedwait_ns(&snapshot.cond, &snapshot.lock, RECHECK_NS);
        } else {
            queue_copy(block, page);
            saved(block, page, 1);
        }
    }
}

static bool before_write(RAMBlock *block, uint64_t offset, uint64_t length)
{
    uint64_t end = DIV_ROUND_UP(offset + length, TARGET_PAGE_SIZE);

    if (!block->bmap) { /* not part of the snapshot */
        return true;
    }
    for (uint64_t page = offset / TARGET_PAGE_SIZE; page < end; page++) {
        if (is_unsaved(block, page)) {
            save_before_write(block, page);
        }
    }
    return true;
}

static const RamGateOps gate_ops = {.before_write = before_write};

/* --- the migration thread: saving pages --- */

static void free_copies(Copy *copy)
{
    while (copy) {
        Copy *next = copy->next;

        g_free(copy);
        copy = next;
    }
}

/* Gives the sent copies back; what the queue may not hold goes to the host. */
static void recycle(Copy *sent)
{
    Copy *surplus = NULL;

    lock_acquire(&snapshot.lock);
    while (sent) {
        Copy *next = sent->next, **list = snapshot.copies > QUEUE_PAGES ? &surplus : &snapshot.spare;

        sent->next = *list;
        *list = sent;
        snapshot.copies--;
        sent = next;
    }
    cond_broadcast(&snapshot.cond);
    lock_release(&snapshot.lock);
    free_copies(surplus);
}

/* The front of the queue. */
static Copy *take_copies(void)
{
    LOCK_GUARD(&snapshot.lock);
    Copy *taken = snapshot.first, **end = &snapshot.first;

    for (unsigned n = 0; *end && n < RUN_PAGES; n++) {
        end = &(*end)->next;
    }
    if (!taken) {
        return NULL;
    }
    snapshot.first = *end;
    *end = NULL;
    if (!snapshot.first) {
        snapshot.last = &snapshot.first;
    }
    return taken;
}

static bool send_copies(Migration *m)
{
    Copy *taken = take_copies();

    if (!taken) {
        return false;
    }
    for (Copy *copy = taken; copy; copy = copy->next) {
        ram_save_copy(&m->ram, copy->block, copy->page, 1, copy->data);
    }
    writer_flush(m->writer);
    recycle(taken);
    return true;
}

/* The next run of unsaved pages is ours: writers wait for the moment that copying takes. */
static RAMBlock *claim_run(RamState *rs, uint64_t *page, uint64_t *n)
{
    LOCK_GUARD(&snapshot.lock);

    for (; rs->cursor_block < rs->blocks->len; rs->cursor_block++, rs->cursor_page = 0) {
        RAMBlock *block = g_ptr_array_index(rs->blocks, rs->cursor_block);
        uint64_t pages = DIV_ROUND_UP(g_array_index(rs->lengths, uint64_t, rs->cursor_block), TARGET_PAGE_SIZE);
        uint64_t start = find_next_bit(block->bmap, pages, rs->cursor_page);

        if (start < pages) {
            *page = start;
            *n = find_next_zero_bit(block->bmap, MIN(pages, start + RUN_PAGES), start) - start;
            rs->cursor_page = start + *n;
            snapshot.claimed = block;
            snapshot.claimed_page = start;
            snapshot.claimed_end = start + *n;
            return block;
        }
    }
    return NULL;
}

static void release_claim(RAMBlock *block, uint64_t page, uint64_t n)
{
    LOCK_GUARD(&snapshot.lock);

    saved(block, page, n);
    snapshot.claimed = NULL;
    cond_broadcast(&snapshot.cond);
}

static void send_run(Migration *m, uint8_t *buffer)
{
    uint64_t page, n;
    RAMBlock *block = claim_run(&m->ram, &page, &n);
    bool pristine;

    if (!block) {
        return;
    }
    n = ram_run_alike(&m->ram, block, page, n, &pristine);
    if (pristine) {
        release_claim(block, page, n);
        ram_save_pristine(&m->ram, block, page, n);
        return;
    }
    memcpy(buffer, block->host + page * TARGET_PAGE_SIZE, n * TARGET_PAGE_SIZE);
    release_claim(block, page, n);
    ram_save_copy(&m->ram, block, page, n, buffer);
    writer_flush(m->writer);
}

static void note_bandwidth(Migration *m, int64_t since_ns)
{
    double bytes = (double)atomic_read(&m->stats.transferred);
    LOCK_GUARD(&m->lock);

    m->bandwidth = bytes * 1e9 / (double)MAX(migration_now_ns() - since_ns, 1);
}

/* Looks at both in one step: a writer may move a page from one to the other at any moment. */
static bool all_sent(void)
{
    LOCK_GUARD(&snapshot.lock);
    return !snapshot.ram->dirty_pages && !snapshot.first;
}

/* Pages that somebody waits for room for go first. */
static bool send_memory(Migration *m, uint8_t *buffer, GError **error)
{
    int64_t start = migration_now_ns();

    ram_part_begin(&m->ram, SECTION_END);
    while (!all_sent()) {
        if (!migration_going_on(m, error) || !writer_ok(m->writer, error)) {
            return false;
        }
        precopy_wait_for_turn(m);
        if (precopy_may_send(m)) {
            uint64_t before = atomic_read(&m->stats.transferred);

            if (!send_copies(m)) {
                send_run(m, buffer);
            }
            precopy_pace(m, atomic_read(&m->stats.transferred) - before);
        }
        note_bandwidth(m, start);
    }
    return true;
}

/* --- the moment --- */

static void begin(RamState *rs)
{
    static gsize ready;
    LOCK_GUARD(&snapshot.lock);

    if (g_once_init_enter(&ready)) {
        cond_init(&snapshot.cond);
        g_once_init_leave(&ready, 1);
    }
    snapshot.ram = rs;
    snapshot.first = snapshot.spare = NULL;
    snapshot.last = &snapshot.first;
    snapshot.copies = 0;
    snapshot.saved_for_writers = 0;
    snapshot.claimed = NULL;
    snapshot.over = false;
}

/* Lets everybody go who waits, opens the gate, and forgets. */
static void end(void)
{
    lock_acquire(&snapshot.lock);
    snapshot.over = true;
    cond_broadcast(&snapshot.cond);
    lock_release(&snapshot.lock);
    ram_gate_open();
    trace(snapshot_end, snapshot.saved_for_writers);
    free_copies(snapshot.first);
    free_copies(snapshot.spare);
    snapshot.first = snapshot.spare = NULL;
}

/* The machine stands still.  Big lock. */
static bool capture(Migration *m, StreamWriter *devices, GError **error)
{
    bool changed;

    if (runstate_is_running()) {
        return fail(error, "the machine was started in the middle of the snapshot");
    }
    if (!ram_check_blocks(&m->ram, &changed, error) || !sections_save_devices(devices, &m->config, error)) {
        return false;
    }
    begin(&m->ram);
    return ram_gate_close(&gate_ops, error);
}

/* Fixes the moment: stops the machine for as long as that takes. */
static bool capture_moment(Migration *m, StreamWriter *devices, GError **error)
{
    int64_t start = migration_now_ns();
    RunState old_state;
    bool ok;

    bql_lock();
    old_state = runstate_get();
    globalstate_set(run_state_names[old_state]);
    m->stop_ns = start;
    vm_stop(RUN_STATE_PAUSED);
    m->parts.stop = migration_now_ns() - start;
    ok = capture(m, devices, error);
    m->parts.devices = migration_now_ns() - start - m->parts.stop;
    trace(snapshot_begin, (m->parts.stop + m->parts.devices) / 1000, m->ram.dirty_pages);
    if (old_state == RUN_STATE_RUNNING) {
        vm_start();
        atomic_set(&m->downtime_ns, migration_now_ns() - start);
    }
    bql_unlock();
    return ok;
}

/* --- the whole --- */

static bool set_up(Migration *m, GError **error)
{
    bool ok;

    if (!precopy_open_stream(m, error)) {
        return false;
    }
    bql_lock();
    ok = ram_setup_unlogged(&m->ram, m->writer, m->config.mapped_ram, &m->stats, error);
    bql_unlock();
    return ok && precopy_set_up_pages(m, error) && ram_save_setup(&m->ram, error);
}

/* With the gate closed. */
static bool save_memory(Migration *m, GError **error)
{
    uint8_t *buffer = aligned_alloc(TARGET_PAGE_SIZE, RUN_PAGES * TARGET_PAGE_SIZE);
    bool ok;

    atomic_set(&m->setup_ns, migration_now_ns() - m->start_ns);
    if (!buffer) {
        return fail(error, "no memory for a buffer");
    }
    ok = (migration_set_status(m, MIGRATION_SETUP, MIGRATION_ACTIVE) || fail(error, "cancelled")) &&
         send_memory(m, buffer, error);
    free(buffer);
    return ok;
}

/* The device states of the moment, and the end of the stream.  The gate is open again. */
static bool save_rest(Migration *m, const StreamWriter *devices, GError **error)
{
    uint32_t magic = cpu_to_be32(STREAM_MAGIC);
    struct iovec iov = {&magic, sizeof(magic)};

    if (!migration_set_status(m, MIGRATION_ACTIVE, MIGRATION_DEVICE)) {
        return fail(error, "cancelled");
    }
    ram_save_finish(&m->ram);
    ram_part_end(&m->ram);
    writer_bytes(m->writer, devices->memory->data, devices->memory->len);
    writer_flush(m->writer);
    if (!writer_ok(m->writer, error) || !channel_finish(m->channel, error) || !migration_commit(m, error)) {
        return false;
    }
    return !m->channel->seekable || (channel_pwritev(m->channel, &iov, 1, m->file_start, error) &&
                                     channel_finish(m->channel, error));
}

bool background_snapshot_run(Migration *m, GError **error)
{
    StreamWriter *devices = writer_new(NULL);
    bool ok = set_up(m, error) && capture_moment(m, devices, error);

    if (ok) {
        ok = save_memory(m, error);
        end();
    }
    ok = ok && save_rest(m, devices, error);
    writer_free(devices);
    return ok;
}
