/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The destination's side of postcopy: its commands, the threads that take pages in, and broken links.
 *
 * At LISTEN, inside of the package, the gate is closed and the stream goes over to the listener, a thread that never
 * takes the big lock: devices that load their state, and later the machine, may wait for pages with the big lock held.
 * The incoming thread loads the package, starts the machine on RUN, and waits for the listener's end.
 *
 * When a link breaks the listener drops it and waits for another (postcopy-paused), for as long as the process lives:
 * what the machine lacks is at the source only.
 */
#include <string.h>

#include "incoming.h"
#include "postcopy.h"
#include "system/runstate.h"
#include "util/bitmap.h"
#include "util/bswap.h"
#include "util/error.h"
#include "util/trace.h"

#define CHUNK   (1024 * 1024)
#define LOOK_NS (INT64_C(2) * 1000 * 1000)

TRACE_EVENT(postcopy_listen, "%" PRIu64 " pages are missing");
TRACE_EVENT(postcopy_urgent_broke, "%s");

/* --- before the package --- */

static bool load_advise(Incoming *in, StreamReader *reader, uint16_t size)
{
    uint64_t sizes, here, target;

    if (size != POSTCOPY_ADVISE_SIZE || in->postcopy.advised || in->ram.listed) {
        return reader_fail(reader, "command POSTCOPY_ADVISE of %u bytes is not due here", size);
    }
    sizes = reader_be64(reader);
    target = reader_be64(reader);
    if (reader->error) {
        return false;
    }
    if (!in->options.capabilities[CAPABILITY_POSTCOPY_RAM]) {
        return reader_fail(reader, "the source has capability postcopy-ram on, turn it on here as well");
    }
    bql_lock();
    here = postcopy_page_sizes();
    bql_unlock();
    if (sizes != here || target != TARGET_PAGE_SIZE) {
        return reader_fail(reader, "the source has host pages of 0x%" PRIx64 " bytes and guest pages of 0x%" PRIx64
                           ", this machine of 0x%" PRIx64 " and 0x%" PRIx64, sizes, target, here, TARGET_PAGE_SIZE);
    }
    in->postcopy.advised = in->ram.postcopy = true;
    return true;
}

static bool discard(StreamReader *reader, RAMBlock *block, uint64_t start, uint64_t length)
{
    if (!length || (start | length) % TARGET_PAGE_SIZE || !ram_block_offset_valid(block, start, length)) {
        return reader_fail(reader, "0x%" PRIx64 " bytes at 0x%" PRIx64 " are no pages of RAM '%s'", length, start,
                           block->idstr);
    }
    bitmap_clear(block->receivedmap, start / TARGET_PAGE_SIZE, length / TARGET_PAGE_SIZE);
    return true;
}

/* What came of these pages is stale: they come once more. */
static bool load_discard(Incoming *in, StreamReader *reader, uint16_t size)
{
    uint8_t version = reader_u8(reader);
    RAMBlock *block;
    char name[256];
    size_t left;

    reader_counted_string(reader, name);
    left = 3 + strlen(name);
    if (reader_u8(reader) || version || reader->error || size <= left || (size - left) % 16) {
        return reader_fail(reader, "command RAM_DISCARD of version %u, %u bytes", version, size);
    }
    block = ram_load_find(&in->ram, name);
    if (!in->postcopy.advised || in->postcopy.listening || !block) {
        return reader_fail(reader, "command RAM_DISCARD for RAM '%s' is not due here", name);
    }
    for (left = size - left; left; left -= 16) {
        uint64_t start = reader_be64(reader), length = reader_be64(reader);

        if (reader->error || !discard(reader, block, start, length)) {
            return false;
        }
    }
    return true;
}

/* --- links --- */

static void wake(Incoming *in, bool *flag)
{
    lock_acquire(&in->lock);
    *flag = true;
    cond_broadcast(&in->changed);
    lock_release(&in->lock);
}

/* Whether the connection is to be used. */
static bool take_urgent_channel(Incoming *in, Channel *channel)
{
    LOCK_GUARD(&in->lock);

    in->postcopy.urgent_channel = channel;
    return channel && !in->postcopy.urgent_done;
}

/* The second connection: requested pages, and nothing else.  When it breaks, so does the first. */
static gpointer urgent_thread(gpointer opaque)
{
    Incoming *in = opaque;
    Channel *leader = in->channel, *channel = channel_accept_more(leader, NULL);
    RAMBlock *last = NULL;
    StreamReader *reader;

    if (take_urgent_channel(in, channel)) {
        reader = reader_new(channel);
        reader_set_place(reader, "postcopy-preempt");
        if (!ram_load_placed(reader, &in->ram, &last) && !atomic_read(&in->postcopy.urgent_done)) {
            trace(postcopy_urgent_broke, reader->error->message);
            channel_cancel(leader);
        }
        reader_free(reader);
    }
    wake(in, &in->postcopy.urgent_ended);
    return NULL;
}

static void start_urgent(Incoming *in)
{
    in->postcopy.urgent_done = in->postcopy.urgent_ended = false;
    if (in->channel->listener >= 0) {
        in->postcopy.urgent = g_thread_new("mig/urgent", urgent_thread, in);
    }
}

/* Whatever it does: it may wait for its connection, or for pages that nobody sends. */
static void stop_urgent(Incoming *in)
{
    PostcopyIncoming *pc = &in->postcopy;

    if (!pc->urgent) {
        return;
    }
    lock_acquire(&in->lock);
    atomic_set(&pc->urgent_done, true);
    if (pc->urgent_channel) {
        channel_cancel(pc->urgent_channel);
    }
    lock_release(&in->lock);
    channel_stop_listening(in->channel);
    g_thread_join(g_steal_pointer(&pc->urgent));
    g_clear_pointer(&pc->urgent_channel, channel_free);
}

/* The first connection has no more: the last pages may still be in the second, which some sources never end. */
static void await_urgent(Incoming *in)
{
    LOCK_GUARD(&in->lock);

    while (in->postcopy.urgent && !in->postcopy.urgent_ended && postcopy_pages_missing()) {
        cond_timedwait_ns(&in->changed, &in->lock, LOOK_NS);
    }
}

/* The stream has ended: has everything come? */
static bool all_came(Incoming *in)
{
    uint64_t missing;

    await_urgent(in);
    stop_urgent(in);
    missing = postcopy_pages_missing();
    return !missing ||
           reader_fail(in->reader, "the source has sent everything, but %" PRIu64 " pages are missing", missing);
}

static void drop_link(Incoming *in)
{
    atomic_set(&in->postcopy.asking, false);
    channel_cancel(in->channel);
    stop_urgent(in);
    section_loader_clear(&in->postcopy.loader);
    incoming_drop_link(in);
}

static bool accept_link(Incoming *in, GError **error)
{
    in->channel->keep_listening = in->options.capabilities[CAPABILITY_POSTCOPY_PREEMPT];
    return incoming_accept_link(in, error);
}

/* False: the process ends. */
static bool recover(Incoming *in)
{
    g_autofree char *why = g_strdup(in->reader->error->message);
    GError *error = NULL;

    drop_link(in);
    while (incoming_await_link(in, MIGRATION_POSTCOPY_PAUSED, why)) {
        if (accept_link(in, &error)) {
            section_loader_continue(&in->postcopy.loader, &in->loader, in->reader);
            in->postcopy.recovering = true;
            incoming_set_status(in, MIGRATION_POSTCOPY_RECOVER);
            return true;
        }
        g_free(why);
        why = g_strdup(error->message);
        g_clear_error(&error);
        drop_link(in);
    }
    return false;
}

static gpointer listener_thread(gpointer opaque)
{
    Incoming *in = opaque;

    do {
        in->ram.block = NULL;
        start_urgent(in);
    } while (!(sections_load(&in->postcopy.loader) && all_came(in)) && recover(in));
    wake(in, &in->postcopy.ended);
    return NULL;
}

/* --- the package --- */

static void ask_source(RAMBlock *block, uint64_t offset, uint32_t length, void *opaque)
{
    Incoming *in = opaque;
    uint8_t data[12 + 256];
    size_t n = strlen(block->idstr);

    if (!atomic_load_acquire(&in->postcopy.asking)) {
        return;
    }
    stq_be_p(data, offset);
    stl_be_p(data + 8, length);
    data[12] = (uint8_t)n;
    memcpy(data + 13, block->idstr, n);
    incoming_send(in, RETURN_PATH_REQ_PAGES_ID, data, (uint16_t)(13 + n), NULL);
}

static bool load_listen(Incoming *in, SectionLoader *loader, uint16_t size)
{
    PostcopyIncoming *pc = &in->postcopy;
    StreamReader *reader = loader->reader;
    GError *error = NULL;
    bool ok;

    if (size || !pc->in_package || pc->listening || !pc->advised || !in->ram.listed || !in->return_path) {
        return reader_fail(reader, "command POSTCOPY_LISTEN is not due here");
    }
    if (!ram_load_check_all_listed(reader, &in->ram)) {
        return false;
    }
    bql_lock();
    ok = incoming_commit(in, &error);
    if (ok) {
        ram_load_publish(&in->ram);
        ok = postcopy_pages_begin(in->ram.blocks, in->options.capabilities[CAPABILITY_POSTCOPY_BLOCKTIME], ask_source,
                                  in, &error);
    }
    bql_unlock();
    if (!ok) {
        return reader_take_error(reader, error);
    }
    trace(postcopy_listen, postcopy_pages_missing());
    in->ram.placing = pc->listening = true;
    section_loader_continue(&pc->loader, &in->loader, in->reader);
    atomic_store_release(&pc->asking, true);
    incoming_set_status(in, MIGRATION_POSTCOPY_ACTIVE);
    pc->listener = g_thread_new("mig/listener", listener_thread, in);
    return true;
}

/* Never allocates more than has arrived. */
static GByteArray *read_package(StreamReader *reader, uint32_t size)
{
    GByteArray *bytes = g_byte_array_new();

    while (bytes->len < size && !reader->error) {
        guint at = bytes->len, n = MIN(size - at, CHUNK);

        g_byte_array_set_size(bytes, at + n);
        reader_bytes(reader, bytes->data + at, n);
    }
    return bytes;
}

static bool load_package(Incoming *in, SectionLoader *loader, uint16_t size)
{
    PostcopyIncoming *pc = &in->postcopy;
    StreamReader *outer = loader->reader, *inner;
    g_autoptr(GByteArray) bytes = NULL;
    uint32_t length;
    bool ok;

    if (size != 4 || pc->in_package || pc->listening || !pc->advised) {
        return reader_fail(outer, "command PACKAGED is not due here");
    }
    length = reader_be32(outer);
    if (!outer->error && length > POSTCOPY_PACKAGE_MAX) {
        return reader_fail(outer, "a package of 0x%x bytes", length);
    }
    bytes = read_package(outer, length);
    if (outer->error) {
        return false;
    }
    inner = reader_new_memory(bytes->data, bytes->len);
    loader->reader = inner;
    pc->in_package = true;
    ok = sections_load_package(loader);
    pc->in_package = false;
    loader->reader = outer;
    loader->taken_over = pc->listening;
    if (!ok && pc->listening) { /* the outer reader is the listener's by now */
        pc->error = g_steal_pointer(&inner->error);
    } else if (!ok) { /* it says where it was */
        outer->error = g_steal_pointer(&inner->error);
    }
    reader_free(inner);
    return ok;
}

/* --- over a new link --- */

bool postcopy_send_bitmap(Incoming *in, const char *name, const unsigned long *received, uint64_t pages,
                          GError **error)
{
    uint64_t bytes = DIV_ROUND_UP(pages, 64) * 8;
    g_autofree uint8_t *more = g_malloc0(bytes + 16);
    size_t n = strlen(name);
    char head[256];

    head[0] = (char)n;
    memcpy(head + 1, name, n);
    stq_be_p(more, bytes);
    bitmap_to_le(more + 8, received, pages);
    stq_be_p(more + 8 + bytes, POSTCOPY_BITMAP_END);
    return incoming_send_more(in, RETURN_PATH_RECV_BITMAP, head, (uint16_t)(n + 1), more, bytes + 16, error);
}

static bool load_recv_bitmap(Incoming *in, StreamReader *reader, uint16_t size)
{
    char name[256];
    RAMBlock *block;
    GError *error = NULL;

    reader_counted_string(reader, name);
    if (reader->error || size != 1 + strlen(name) || !in->postcopy.recovering) {
        return reader_fail(reader, "command RECV_BITMAP of %u bytes is not due here", size);
    }
    block = ram_load_find(&in->ram, name);
    if (!block) {
        return reader_fail(reader, "RAM '%s' is not in the list", name);
    }
    return postcopy_send_bitmap(in, name, block->receivedmap, ram_block_pages(block), &error) ||
           reader_take_error(reader, error);
}

static bool load_resume(Incoming *in, StreamReader *reader, uint16_t size)
{
    GError *error = NULL;

    if (size || !in->postcopy.recovering) {
        return reader_fail(reader, "command POSTCOPY_RESUME is not due here");
    }
    if (!incoming_send_u32(in, RETURN_PATH_RESUME_ACK, 1, &error)) {
        return reader_take_error(reader, error);
    }
    in->postcopy.recovering = false;
    lock_acquire(&in->lock);
    g_clear_pointer(&in->error, g_free);
    lock_release(&in->lock);
    incoming_set_status(in, MIGRATION_POSTCOPY_ACTIVE);
    atomic_store_release(&in->postcopy.asking, true);
    postcopy_pages_ask_again();
    return true;
}

/* --- commands --- */

static bool load_run(Incoming *in, StreamReader *reader, uint16_t size)
{
    if (size || !in->postcopy.listening) {
        return reader_fail(reader, "command POSTCOPY_RUN is not due here");
    }
    wake(in, &in->postcopy.run);
    return true;
}

bool postcopy_command(SectionLoader *loader, uint16_t command, uint16_t size)
{
    Incoming *in = loader->opaque;
    StreamReader *reader = loader->reader;

    switch (command) {
    case STREAM_COMMAND_POSTCOPY_ADVISE:
        return load_advise(in, reader, size);
    case STREAM_COMMAND_POSTCOPY_RAM_DISCARD:
        return load_discard(in, reader, size);
    case STREAM_COMMAND_PACKAGED:
        return load_package(in, loader, size);
    case STREAM_COMMAND_POSTCOPY_LISTEN:
        return load_listen(in, loader, size);
    case STREAM_COMMAND_POSTCOPY_RUN:
        return load_run(in, reader, size);
    case STREAM_COMMAND_RECV_BITMAP:
        return load_recv_bitmap(in, reader, size);
    case STREAM_COMMAND_POSTCOPY_RESUME:
        return load_resume(in, reader, size);
    default:
        return reader_fail(reader, "command %u is unknown, or needs a capability that this program lacks", command);
    }
}

/* --- the incoming thread, after the package --- */

/* Until the machine is ours, or cannot be any more. */
static bool await_run(Incoming *in, GError **error)
{
    PostcopyIncoming *pc = &in->postcopy;
    LOCK_GUARD(&in->lock);

    while (!pc->run && !pc->ended && !in->quit) {
        cond_wait(&in->changed, &in->lock);
    }
    return pc->run || fail(error, "the source has ended the migration without handing the machine over");
}

/* The package failed: the machine goes on at the source. */
static void stop_listener(Incoming *in)
{
    LOCK_GUARD(&in->lock);

    in->quit = true;
    if (in->channel) {
        channel_cancel(in->channel);
    }
    cond_broadcast(&in->changed);
}

static void clean_up(Incoming *in)
{
    postcopy_pages_end();
    if (in->reader) {
        section_loader_clear(&in->postcopy.loader);
    }
    bql_lock();
    ram_load_clear(&in->ram);
    bql_unlock();
}

bool postcopy_incoming_run(Incoming *in, bool loaded, GError **error)
{
    PostcopyIncoming *pc = &in->postcopy;
    bool run, ok;

    if (!loaded) {
        g_propagate_error(error, g_steal_pointer(&pc->error));
    } else {
        bql_lock();
        incoming_flush_cpus();
        bql_unlock();
    }
    run = loaded && await_run(in, error);
    if (run) {
        bql_lock();
        incoming_start_machine();
        bql_unlock();
    } else {
        incoming_send_failure(in, (*error)->message);
        stop_listener(in);
    }
    g_thread_join(g_steal_pointer(&pc->listener));
    ok = run && !postcopy_pages_missing();
    if (ok) {
        postcopy_epilogue_remember(in->ram.blocks);
    }
    if (run && !ok) {
        fail(error, "the process ended before all memory had come");
    }
    clean_up(in);
    return ok && (incoming_send_u32(in, RETURN_PATH_SHUT, 0, NULL) || true);
}
