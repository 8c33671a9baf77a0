/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the destination says in postcopy: requests for pages above all.
 *
 * A thread per link reads the messages.  With capability postcopy-preempt it sends the pages itself, over the second
 * connection, so that none waits behind what the migration thread has put into the first.
 */
#include <string.h>
#include <sys/mman.h>

#include "postcopy-source.h"
#include "util/bitmap.h"
#include "util/bswap.h"
#include "util/error.h"
#include "util/trace.h"

#define URGENT_PAGES 16

TRACE_EVENT(postcopy_asked, "RAM '%s' offset 0x%" PRIx64 " length 0x%x");

typedef struct Answers {
    PostcopySource *pc;
    StreamReader *reader;
    char data[RETURN_PATH_MAX + 1];
    RAMBlock *asked; /* of the last request */
    char *reason;
} Answers;

static bool bad(Answers *a, const char *what)
{
    return reader_fail(a->reader, "%s", what);
}

static RAMBlock *find_block(Answers *a, const char *name)
{
    GPtrArray *blocks = a->pc->m->ram.blocks;

    for (unsigned i = 0; i < blocks->len; i++) {
        RAMBlock *block = g_ptr_array_index(blocks, i);

        if (!strcmp(block->idstr, name)) {
            return block;
        }
    }
    reader_fail(a->reader, "the destination speaks of RAM '%s', which does not travel", name);
    return NULL;
}

/* u8 length, bytes, at the end of the message. */
static RAMBlock *named_block(Answers *a, size_t at, uint16_t size)
{
    char name[256];
    size_t length = size > at ? (uint8_t)a->data[at] : 0;

    if (!length || at + 1 + length != size) {
        bad(a, "a message names no RAM");
        return NULL;
    }
    memcpy(name, a->data + at + 1, length);
    name[length] = 0;
    return find_block(a, name);
}

/* --- requests --- */

static void send_urgent(PostcopySource *pc, RAMBlock *block, uint64_t page, uint64_t n)
{
    uint64_t before = pc->urgent->position;

    ram_write_pages(pc->urgent, &pc->urgent_last, block, page, n, &pc->m->stats);
    writer_flush(pc->urgent);
    postcopy_count(pc, pc->urgent->position - before);
}

/* postcopy-preempt */
static bool answer_request(Answers *a, RAMBlock *block, uint64_t page, uint64_t n)
{
    PostcopySource *pc = a->pc;
    uint64_t end = page + n;
    bool ok = true;

    lock_acquire(&pc->lock);
    while (ok && (page = find_next_bit(block->bmap, end, page)) < end) {
        n = postcopy_claim(pc, block, page, MIN(end - page, URGENT_PAGES));
        postcopy_go_on_at(pc, block, page + n);
        pc->urgent_busy = true;
        lock_release(&pc->lock);
        send_urgent(pc, block, page, n);
        ok = !pc->urgent->error;
        lock_acquire(&pc->lock);
        pc->urgent_busy = false;
        cond_broadcast(&pc->changed);
        page += n;
    }
    lock_release(&pc->lock);
    return ok || reader_take_error(a->reader, g_error_copy(pc->urgent->error));
}

static bool take_request(Answers *a, uint16_t type, uint16_t size)
{
    PostcopySource *pc = a->pc;
    uint64_t offset, length;
    PageRun *run;

    if (type == RETURN_PATH_REQ_PAGES_ID) {
        a->asked = named_block(a, 12, size);
        if (!a->asked) {
            return false;
        }
    } else if (size != 12 || !a->asked) {
        return bad(a, "a request for pages names no RAM");
    }
    offset = ldq_be_p(a->data);
    length = ldl_be_p(a->data + 8);
    if (!length || (offset | length) % TARGET_PAGE_SIZE || !ram_block_offset_valid(a->asked, offset, length)) {
        return reader_fail(a->reader, "the destination asks for 0x%" PRIx64 " bytes at 0x%" PRIx64 " of RAM '%s', "
                           "which are no pages of it", length, offset, a->asked->idstr);
    }
    trace(postcopy_asked, a->asked->idstr, offset, (uint32_t)length);
    atomic_add_relaxed(&pc->m->stats.postcopy_requests, 1);
    if (pc->urgent) {
        return answer_request(a, a->asked, offset / TARGET_PAGE_SIZE, length / TARGET_PAGE_SIZE);
    }
    run = g_new0(PageRun, 1);
    *run = (PageRun){.block = a->asked, .page = offset / TARGET_PAGE_SIZE, .n = length / TARGET_PAGE_SIZE};
    lock_acquire(&pc->lock);
    g_queue_push_tail(&pc->requests, run);
    cond_broadcast(&pc->changed);
    lock_release(&pc->lock);
    return true;
}

/* --- release-ram --- */

static void release(const PageRun *run)
{
    if (run->block->fd < 0) { /* memory that others may share, or a file, is not ours to empty */
        madvise(run->block->host + run->page * TARGET_PAGE_SIZE, run->n * TARGET_PAGE_SIZE, MADV_DONTNEED);
    }
}

static void take_pong(PostcopySource *pc, uint32_t cookie)
{
    LOCK_GUARD(&pc->lock);

    if (cookie == POSTCOPY_PING_PACKAGED) {
        pc->loaded = true;
        cond_broadcast(&pc->changed);
    }
    while (!g_queue_is_empty(&pc->sent) && ((PageRun *)g_queue_peek_head(&pc->sent))->cookie <= cookie) {
        PageRun *run = g_queue_pop_head(&pc->sent);

        release(run);
        g_free(run);
    }
}

/* --- recovery --- */

/* What the destination has; all else is to be sent. */
static void apply_bitmap(PostcopySource *pc, RAMBlock *block, const uint8_t *received)
{
    uint64_t pages = ram_block_pages(block);
    g_autofree unsigned long *have = bitmap_new(pages);
    LOCK_GUARD(&pc->lock);

    bitmap_from_le(have, received, pages);
    pc->m->ram.dirty_pages -= bitmap_count(block->bmap, 0, pages);
    for (uint64_t page = 0; page < pages; page++) {
        if (test_bit(page, have)) {
            clear_bit(page, block->bmap);
        } else {
            set_bit(page, block->bmap);
        }
    }
    pc->m->ram.dirty_pages += bitmap_count(block->bmap, 0, pages);
    atomic_set(&pc->m->stats.remaining_pages, pc->m->ram.dirty_pages);
    pc->bitmaps_due--;
    cond_broadcast(&pc->changed);
}

static bool take_bitmap(Answers *a, uint16_t size)
{
    RAMBlock *block = named_block(a, 0, size);
    g_autofree uint8_t *bytes = NULL;
    uint64_t length;

    if (!block) {
        return false;
    }
    length = reader_be64(a->reader);
    if (a->reader->error || length != postcopy_bitmap_bytes(block)) {
        return bad(a, "a bitmap of received pages has a wrong size");
    }
    bytes = g_try_malloc(length);
    if (!bytes) {
        return bad(a, "no memory for a bitmap of received pages");
    }
    if (!reader_bytes(a->reader, bytes, length)) {
        return false;
    }
    if (reader_be64(a->reader) != POSTCOPY_BITMAP_END) {
        return bad(a, "a bitmap of received pages does not end where it should");
    }
    lock_acquire(&a->pc->lock);
    if (!a->pc->bitmaps_due) {
        lock_release(&a->pc->lock);
        return bad(a, "a bitmap of received pages comes unasked");
    }
    lock_release(&a->pc->lock);
    apply_bitmap(a->pc, block, bytes);
    return true;
}

static void take_resume(PostcopySource *pc)
{
    LOCK_GUARD(&pc->lock);

    pc->resume_acked = true;
    cond_broadcast(&pc->changed);
}

/* --- the thread --- */

/* False at the end, with or without an error. */
static bool take_message(Answers *a, bool *shut)
{
    uint16_t type = reader_be16(a->reader), size = reader_be16(a->reader);

    if (!a->reader->error && size > RETURN_PATH_MAX) {
        return reader_fail(a->reader, "message of %u bytes", size);
    }
    if (!reader_bytes(a->reader, a->data, size)) {
        return false;
    }
    switch (type) {
    case RETURN_PATH_REQ_PAGES:
    case RETURN_PATH_REQ_PAGES_ID:
        return take_request(a, type, size);
    case RETURN_PATH_RECV_BITMAP:
        return take_bitmap(a, size);
    case RETURN_PATH_REASON:
        g_free(a->reason);
        a->reason = g_strndup(a->data, size);
        return true;
    case RETURN_PATH_PONG:
        if (size == 4) {
            take_pong(a->pc, ldl_be_p(a->data));
            return true;
        }
        break;
    case RETURN_PATH_RESUME_ACK:
        if (size == 4 && ldl_be_p(a->data) == 1) {
            take_resume(a->pc);
            return true;
        }
        break;
    case RETURN_PATH_SWITCHOVER_ACK:
        return true;
    case RETURN_PATH_SHUT:
        if (size == 4) {
            *shut = ldl_be_p(a->data) == 0;
            return false;
        }
        break;
    default:
        break;
    }
    return reader_fail(a->reader, "message of type %u and %u bytes, which is not due here", type, size);
}

static gpointer answers_thread(gpointer opaque)
{
    PostcopySource *pc = opaque;
    Answers a = {.pc = pc, .reader = pc->m->answers};
    bool shut = false;

    while (take_message(&a, &shut)) {
    }
    lock_acquire(&pc->lock);
    pc->shut_ok = shut;
    g_clear_error(&pc->error);
    if (!shut && a.reader->error) {
        pc->error = g_error_copy(a.reader->error);
    } else if (!shut) {
        fail(&pc->error, "the destination failed: %s", a.reason ? a.reason : "it gave no reason");
    }
    pc->ended = true;
    cond_broadcast(&pc->changed);
    lock_release(&pc->lock);
    g_free(a.reason);
    return NULL;
}

void postcopy_answers_start(PostcopySource *pc)
{
    Migration *m = pc->m;

    m->answers = m->answers ? m->answers : reader_new(m->channel);
    pc->ended = pc->shut_ok = pc->resume_acked = false;
    pc->answers_thread = g_thread_new("mig/answers", answers_thread, pc);
}

void postcopy_answers_stop(PostcopySource *pc)
{
    if (pc->answers_thread) {
        channel_cancel(pc->m->channel);
        g_thread_join(g_steal_pointer(&pc->answers_thread));
    }
}
