/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The source's thread in postcopy: hands the machine over, then sends its memory.
 *
 * Native profile: RUN follows when the destination has said that the device states are loaded; until then any failure
 * lets the machine go on here.  In the qemu-10.0 profile RUN is part of the package, so the machine is given up before
 * the package leaves.  From then on nothing ends the migration but its completion or the end of the process.
 *
 * Two threads send pages when capability postcopy-preempt is on.  Whoever clears a page's bit in bmap, under the
 * lock, sends it.
 */
#include <string.h>
#include <sys/mman.h>

#include "postcopy-source.h"
#include "system/runstate.h"
#include "util/bitmap.h"
#include "util/bswap.h"
#include "util/error.h"
#include "util/trace.h"

#define BACKGROUND_PAGES 16  /* sent between two looks at the requests */
#define CONFIRM_PAGES    256 /* release-ram: pages between two PINGs */
#define FIRST_COOKIE     0x1000
#define IDLE_NS          (INT64_C(100) * 1000 * 1000)
#define LAST_WORDS_NS    (INT64_C(500) * 1000 * 1000)

TRACE_EVENT(postcopy_package, "%" PRIu64 " pages stale, discards %zu bytes, package %zu bytes");

uint64_t postcopy_page_sizes(void)
{
    RAMBlock *block;
    uint64_t sizes = 0;

    RAMBLOCK_FOREACH_MIGRATABLE (block) {
        sizes |= MAX(block->page_size, TARGET_PAGE_SIZE);
    }
    return sizes;
}

bool postcopy_advise(Migration *m, GError **error)
{
    uint64_t data[2], sizes;

    if (!m->channel->bidirectional) {
        return fail(error, "capability postcopy-ram needs a socket, '%s' is none", m->channel->uri);
    }
    if (m->options.capabilities[CAPABILITY_POSTCOPY_PREEMPT] && !m->channel->prepare) {
        return fail(error, "capability postcopy-preempt needs unix: or tcp:, '%s' is neither", m->channel->uri);
    }
    bql_lock();
    sizes = postcopy_page_sizes();
    bql_unlock();
    if (m->config.profile == STATE_PROFILE_QEMU && sizes != TARGET_PAGE_SIZE) {
        return fail(error, "capability postcopy-ram in the qemu-10.0 profile needs RAM of host pages of %" PRIu64
                    " bytes", TARGET_PAGE_SIZE);
    }
    data[0] = cpu_to_be64(sizes);
    data[1] = cpu_to_be64(TARGET_PAGE_SIZE);
    stream_command(m->writer, STREAM_COMMAND_POSTCOPY_ADVISE, data, POSTCOPY_ADVISE_SIZE);
    return true;
}

/* --- the package --- */

static void write_discard(StreamWriter *writer, const RAMBlock *block, const uint64_t *ranges, unsigned n)
{
    size_t name = strlen(block->idstr);

    writer_u8(writer, SECTION_COMMAND);
    writer_be16(writer, STREAM_COMMAND_POSTCOPY_RAM_DISCARD);
    writer_be16(writer, (uint16_t)(3 + name + n * 16));
    writer_u8(writer, 0); /* version */
    writer_counted_string(writer, block->idstr);
    writer_u8(writer, 0);
    for (unsigned i = 0; i < n * 2; i++) {
        writer_be64(writer, ranges[i]);
    }
}

/* The pages that are still to be sent: whatever the destination has of them is stale. */
static void write_discards(StreamWriter *writer, RAMBlock *block)
{
    uint64_t ranges[POSTCOPY_DISCARD_RANGES * 2], pages = ram_block_pages(block), page = 0;
    unsigned n = 0;

    while ((page = find_next_bit(block->bmap, pages, page)) < pages) {
        uint64_t end = find_next_zero_bit(block->bmap, pages, page);

        ranges[n * 2] = page * TARGET_PAGE_SIZE;
        ranges[n * 2 + 1] = (end - page) * TARGET_PAGE_SIZE;
        page = end;
        if (++n == POSTCOPY_DISCARD_RANGES) {
            write_discard(writer, block, ranges, n);
            n = 0;
        }
    }
    if (n) {
        write_discard(writer, block, ranges, n);
    }
}

static void write_ping(StreamWriter *writer, uint32_t cookie)
{
    cookie = cpu_to_be32(cookie);
    stream_command(writer, STREAM_COMMAND_PING, &cookie, sizeof(cookie));
}

/* The last sync and what belongs to it.  Big lock: nothing moves in between. */
static bool save_package(PostcopySource *pc, StreamWriter *discards, StreamWriter *package, GError **error)
{
    Migration *m = pc->m;
    int64_t start = migration_now_ns();
    bool changed;

    if (!source_fix_moment(m, error) || !ram_check_blocks(&m->ram, &changed, error)) {
        return false;
    }
    if (changed) {
        return fail(error, "RAM was added in the middle of the switchover");
    }
    migration_bitmap_sync(&m->ram);
    m->parts.sync = m->ram.last_sync_took_ns;
    migration_emit_pass(m->stats.sync_count);
    for (unsigned i = 0; i < m->ram.blocks->len; i++) {
        write_discards(discards, g_ptr_array_index(m->ram.blocks, i));
    }
    stream_command(package, STREAM_COMMAND_POSTCOPY_LISTEN, NULL, 0);
    if (!sections_save_states(package, &m->config, error)) {
        return false;
    }
    write_ping(package, POSTCOPY_PING_PACKAGED);
    if (m->config.profile == STATE_PROFILE_QEMU) {
        stream_command(package, STREAM_COMMAND_POSTCOPY_RUN, NULL, 0);
    }
    m->parts.devices = migration_now_ns() - start - m->parts.sync;
    trace(postcopy_package, m->ram.dirty_pages, (size_t)discards->memory->len, (size_t)package->memory->len);
    return true;
}

/* From here on the machine never runs on this side again. */
static bool give_up_machine(PostcopySource *pc, GError **error)
{
    bool ok;

    bql_lock();
    ok = source_still_stopped(pc->m, error) && migration_commit(pc->m, error);
    if (ok) {
        vm_give_away("the machine has moved: it runs at the destination of its postcopy migration");
        pc->given_up = pc->m->given_away = true;
    }
    bql_unlock();
    return ok;
}

static bool send_package(PostcopySource *pc, const StreamWriter *discards, const StreamWriter *package,
                         GError **error)
{
    StreamWriter *writer = pc->m->writer;
    uint32_t size = cpu_to_be32(package->memory->len);

    stream_command(writer, STREAM_COMMAND_SWITCHOVER_START, NULL, 0);
    writer_bytes(writer, discards->memory->data, discards->memory->len);
    write_ping(writer, POSTCOPY_PING_PACKAGED - 1);
    stream_command(writer, STREAM_COMMAND_PACKAGED, &size, sizeof(size));
    if (pc->m->config.profile == STATE_PROFILE_QEMU &&
        (!writer_flush(writer) || !give_up_machine(pc, error))) {
        return writer_ok(writer, error) && false;
    }
    writer_bytes(writer, package->memory->data, package->memory->len);
    write_ping(writer, POSTCOPY_PING_PACKAGED + 1);
    writer_flush(writer);
    return pc->given_up || writer_ok(writer, error); /* a link that breaks now is a matter of recovery */
}

/* --- pages --- */

uint64_t postcopy_claim(PostcopySource *pc, RAMBlock *block, uint64_t page, uint64_t n)
{
    RamState *rs = &pc->m->ram;
    uint64_t end = page + n;

    end = find_next_zero_bit(block->bmap, end, page);
    bitmap_clear(block->bmap, page, end - page);
    rs->dirty_pages -= end - page;
    atomic_set(&rs->stats->remaining_pages, rs->dirty_pages);
    return end - page;
}

void postcopy_go_on_at(PostcopySource *pc, const RAMBlock *block, uint64_t page)
{
    RamState *rs = &pc->m->ram;

    for (unsigned i = 0; i < rs->blocks->len; i++) {
        if (g_ptr_array_index(rs->blocks, i) == block) {
            rs->cursor_block = i;
            rs->cursor_page = page;
        }
    }
}

void postcopy_count(PostcopySource *pc, uint64_t bytes)
{
    atomic_add_relaxed(&pc->m->stats.transferred, bytes);
    atomic_add_relaxed(&pc->m->stats.postcopy_bytes, bytes);
}

/* What the destination waits for longest, as far as it was not sent meanwhile. */
static bool next_request(PostcopySource *pc, PageRun *run)
{
    while (!g_queue_is_empty(&pc->requests)) {
        PageRun *asked = g_queue_peek_head(&pc->requests);
        uint64_t end = asked->page + asked->n, page = find_next_bit(asked->block->bmap, end, asked->page);

        if (page < end) {
            *run = (PageRun){.block = asked->block, .page = page};
            run->n = postcopy_claim(pc, run->block, page, MIN(end - page, BACKGROUND_PAGES));
            postcopy_go_on_at(pc, run->block, page + run->n); /* its neighbours are likely next */
            return true;
        }
        g_free(g_queue_pop_head(&pc->requests));
    }
    return false;
}

static bool next_background(PostcopySource *pc, PageRun *run)
{
    RamState *rs = &pc->m->ram;

    for (unsigned tried = 0; rs->dirty_pages && tried <= rs->blocks->len; tried++) {
        RAMBlock *block = g_ptr_array_index(rs->blocks, rs->cursor_block);
        uint64_t pages = ram_block_pages(block), page = find_next_bit(block->bmap, pages, rs->cursor_page);

        if (page < pages) {
            *run = (PageRun){.block = block, .page = page};
            run->n = postcopy_claim(pc, block, page, MIN(pages - page, BACKGROUND_PAGES));
            rs->cursor_page = page + run->n;
            return true;
        }
        rs->cursor_page = 0;
        rs->cursor_block = (rs->cursor_block + 1) % rs->blocks->len;
    }
    return false;
}

/* release-ram: the pages go back to the host when the destination has answered the PING behind them. */
static void note_sent(PostcopySource *pc, const PageRun *run)
{
    PageRun *sent;

    if (!pc->m->options.capabilities[CAPABILITY_RELEASE_RAM] || !pc->given_up) {
        return;
    }
    sent = g_memdup2(run, sizeof(*run));
    sent->cookie = pc->next_cookie;
    lock_acquire(&pc->lock);
    g_queue_push_tail(&pc->sent, sent);
    lock_release(&pc->lock);
    pc->unconfirmed += run->n;
    if (pc->unconfirmed >= CONFIRM_PAGES) {
        write_ping(pc->m->writer, pc->next_cookie++);
        pc->unconfirmed = 0;
    }
}

static void send_run(PostcopySource *pc, const PageRun *run)
{
    StreamWriter *writer = pc->m->writer;
    uint64_t before = writer->position;
    RAMBlock *last = NULL;

    section_begin(writer, SECTION_PART, ram_section.id, NULL, 0, 0);
    ram_write_pages(writer, &last, run->block, run->page, run->n, &pc->m->stats);
    writer_be64(writer, RAM_SAVE_EOS);
    section_end(writer, ram_section.id);
    note_sent(pc, run);
    writer_flush(writer);
    postcopy_count(pc, writer->position - before);
}

static void pace(PostcopySource *pc, uint64_t pages)
{
    uint64_t limit = atomic_read(&pc->m->max_postcopy_bandwidth);

    pc->next_send_ns = limit ? MAX(pc->next_send_ns, migration_now_ns()) +
                                   (int64_t)((double)(pages * TARGET_PAGE_SIZE) / (double)limit * 1e9)
                             : 0;
}

/* What a lower limit made us wait for may be hours away. */
static void follow_limit(PostcopySource *pc)
{
    uint64_t limit = atomic_read(&pc->m->max_postcopy_bandwidth);

    if (limit != pc->paced_limit) {
        pc->paced_limit = limit;
        pc->next_send_ns = 0;
    }
}

static bool device_states_loaded(const PostcopySource *pc)
{
    return pc->loaded;
}

static bool all_sent(const PostcopySource *pc)
{
    return !pc->m->ram.dirty_pages && !pc->urgent_busy;
}

/* What is to be sent next.  Waits; false: @enough, or the link is broken. */
static bool next_run(PostcopySource *pc, bool (*enough)(const PostcopySource *pc), PageRun *run)
{
    LOCK_GUARD(&pc->lock);

    while (!pc->ended && !pc->m->writer->error && !enough(pc)) {
        int64_t wait;

        follow_limit(pc);
        wait = pc->next_send_ns - migration_now_ns();
        if (next_request(pc, run)) {
            return true;
        }
        if (wait <= 0 && next_background(pc, run)) {
            pace(pc, run->n);
            return true;
        }
        cond_timedwait_ns(&pc->changed, &pc->lock, wait > 0 ? MIN(wait, IDLE_NS) : IDLE_NS);
    }
    return false;
}

/* Sends pages until @enough; false: the link broke before. */
static bool send_until(PostcopySource *pc, bool (*enough)(const PostcopySource *pc))
{
    PageRun run;

    while (next_run(pc, enough, &run)) {
        send_run(pc, &run);
    }
    LOCK_GUARD(&pc->lock);
    return !pc->m->writer->error && !pc->ended && enough(pc);
}

/* --- the end --- */

static bool await_shut(PostcopySource *pc)
{
    LOCK_GUARD(&pc->lock);

    while (!pc->ended && !pc->m->writer->error) {
        cond_timedwait_ns(&pc->changed, &pc->lock, IDLE_NS);
    }
    return pc->shut_ok;
}

/* All pages are written: does the destination have them? */
static bool complete(PostcopySource *pc)
{
    StreamWriter *writer = pc->m->writer;

    section_begin(writer, SECTION_END, ram_section.id, NULL, 0, 0);
    writer_be64(writer, RAM_SAVE_EOS);
    section_end(writer, ram_section.id);
    writer_u8(writer, SECTION_EOF);
    writer_flush(writer);
    if (pc->urgent) {
        writer_be64(pc->urgent, RAM_SAVE_EOS);
        writer_flush(pc->urgent);
    }
    pc->all_written = !writer->error;
    return await_shut(pc);
}

/* Until the destination has everything; false: the process ends before. */
static bool send_all(PostcopySource *pc)
{
    while (!send_until(pc, all_sent) || !complete(pc)) {
        if (!postcopy_recover(pc)) {
            return false;
        }
    }
    return true;
}

/* --- from begin to end --- */

static PostcopySource *postcopy_new(Migration *m)
{
    PostcopySource *pc = g_new0(PostcopySource, 1);

    pc->m = m;
    lock_init(&pc->lock, RANK_LEAF, "postcopy");
    cond_init(&pc->changed);
    g_queue_init(&pc->requests);
    g_queue_init(&pc->sent);
    pc->next_cookie = FIRST_COOKIE;
    return pc;
}

static void postcopy_free(PostcopySource *pc)
{
    g_queue_clear_full(&pc->requests, g_free);
    g_queue_clear_full(&pc->sent, g_free);
    g_clear_error(&pc->error);
    lock_destroy(&pc->lock);
    cond_destroy(&pc->changed);
    g_free(pc);
}

/* Until RUN is on its way. */
static bool hand_over(PostcopySource *pc, GError **error)
{
    StreamWriter *discards = writer_new(NULL), *package = writer_new(NULL);
    Migration *m = pc->m;
    int64_t start;
    bool ok;

    bql_lock();
    ok = save_package(pc, discards, package, error);
    bql_unlock();
    start = migration_now_ns();
    if (ok) {
        postcopy_answers_start(pc);
        ok = send_package(pc, discards, package, error);
    }
    writer_free(discards);
    writer_free(package);
    if (!ok) {
        return false;
    }
    if (!pc->given_up) {
        if (!send_until(pc, device_states_loaded)) {
            return writer_ok(m->writer, error) && false;
        }
        if (!give_up_machine(pc, error)) {
            return false;
        }
        stream_command(m->writer, STREAM_COMMAND_POSTCOPY_RUN, NULL, 0);
        writer_flush(m->writer);
    }
    m->parts.confirm = migration_now_ns() - start;
    atomic_set(&m->downtime_ns, migration_now_ns() - m->stop_ns);
    return true;
}

/* A peer that went away mostly said why before: that is read to its end. */
static void hear_last_words(PostcopySource *pc)
{
    int64_t deadline = migration_now_ns() + LAST_WORDS_NS;
    LOCK_GUARD(&pc->lock);

    while (pc->answers_thread && !pc->ended && migration_now_ns() < deadline) {
        cond_timedwait_ns(&pc->changed, &pc->lock, deadline - migration_now_ns());
    }
}

/* The destination knows best why it ended the link. */
static void take_reason(PostcopySource *pc, GError **error)
{
    if (pc->error && migration_going_on(pc->m, NULL) &&
        (!error || !*error || g_str_has_prefix(pc->error->message, "the destination failed"))) {
        g_clear_error(error);
        g_propagate_error(error, g_steal_pointer(&pc->error));
    }
    if (error && !*error && migration_going_on(pc->m, error)) {
        fail(error, "the link to the destination broke");
    }
}

bool postcopy_run(Migration *m, GError **error)
{
    PostcopySource *pc = postcopy_new(m);
    bool ok = postcopy_connect_urgent(pc, error) && hand_over(pc, error);

    if (ok) {
        migration_set_status(m, MIGRATION_DEVICE, MIGRATION_POSTCOPY_ACTIVE);
        ok = send_all(pc);
        postcopy_answers_stop(pc);
        if (ok) {
            bql_lock();
            runstate_set(RUN_STATE_POSTMIGRATE);
            bql_unlock();
        } else {
            fail(error, "the process ended before the destination had all memory");
        }
    } else {
        if (m->writer->error) {
            hear_last_words(pc);
        }
        postcopy_answers_stop(pc);
        take_reason(pc, error);
    }
    postcopy_drop_link(pc);
    postcopy_free(pc);
    return ok;
}
