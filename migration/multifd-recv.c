/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The destination's side of multifd: a thread per connection, which writes pages where the packets say.
 *
 * Packets come from a peer that may be broken or hostile: each field is checked before it is used, and errors name the
 * channel and the field.  A page may only come after the first barrier, when the list of RAM is known.
 */
#include "multifd.h"

#include <string.h>
#include <sys/socket.h>

#include "util/bswap.h"
#include "util/error.h"
#include "util/lock.h"

typedef struct Receiver {
    /* constant */
    MultifdRecv *group;
    Channel *channel;
    GThread *thread;
    /* the thread */
    int id; /* as its first packet says; -1: not yet */
    MultifdCodec *codec;
    uint8_t packet[MULTIFD_PACKET_SIZE];
    uint8_t *data; /* compressed */
    struct iovec iov[MULTIFD_PAGES];
    bool synced_once;
    /* under the group's lock */
    bool at_sync; /* waits at a barrier */
    bool ended;
} Receiver;

struct MultifdRecv {
    /* constant while threads run */
    Channel *leader;
    RamLoad *ram;
    int compression;
    uint8_t uuid[16];
    unsigned n;
    Receiver *receivers;
    /* under the lock */
    Lock lock;
    Cond changed;
    bool quit;
    GError *error; /* the first */
    uint8_t ids[256]; /* who is there */
};

/* --- packets --- */

static bool bad(GError **error, const char *field, uint64_t value)
{
    return fail(error, "field '%s' is 0x%" PRIx64, field, value);
}

static bool check_magic(const uint8_t *packet, GError **error)
{
    uint32_t magic = ldl_be_p(packet), version = ldl_be_p(packet + 4);

    if (magic != MULTIFD_MAGIC) {
        return bad(error, "magic", magic);
    }
    return version == MULTIFD_VERSION || bad(error, "version", version);
}

/* 1: done, 0: the peer is gone, -1: error. */
static int read_initial(Receiver *r, GError **error)
{
    MultifdRecv *group = r->group;
    struct iovec iov = {r->packet, MULTIFD_INITIAL_SIZE};
    int got = channel_readv_all(r->channel, &iov, 1, error);
    bool twice;
    uint8_t id;

    if (got <= 0) {
        return got;
    }
    id = r->packet[24];
    if (!check_magic(r->packet, error)) {
        return -1;
    }
    if (memcmp(r->packet + 8, group->uuid, sizeof(group->uuid))) {
        fail(error, "field 'uuid' is not this machine's -uuid");
        return -1;
    }
    if (id >= group->n) {
        fail(error, "field 'id' is %u, but parameter multifd-channels is %u here", id, group->n);
        return -1;
    }
    lock_acquire(&group->lock);
    twice = group->ids[id];
    group->ids[id] = 1;
    lock_release(&group->lock);
    if (twice) {
        fail(error, "field 'id' is %u, which another channel has", id);
        return -1;
    }
    r->id = id;
    return 1;
}

typedef struct Packet {
    uint32_t flags, normal, zero, data_size;
    RAMBlock *block;
} Packet;

static bool check_counts(const Receiver *r, const Packet *p, GError **error)
{
    uint32_t room = ldl_be_p(r->packet + MULTIFD_AT_ROOM);
    uint32_t known = MULTIFD_FLAG_SYNC | multifd_codec_flag(r->group->compression);
    size_t raw = (size_t)p->normal * TARGET_PAGE_SIZE;

    if (room != MULTIFD_PAGES && (room || p->normal || p->zero)) { /* a SYNC may leave it out */
        return bad(error, "pages_alloc", room);
    }
    if (p->normal > MULTIFD_PAGES) {
        return bad(error, "normal_pages", p->normal);
    }
    if (p->zero > MULTIFD_PAGES - p->normal) {
        return bad(error, "zero_pages", p->zero);
    }
    if (p->flags & ~known) {
        return fail(error, "field 'flags' is 0x%x: is multifd-compression the same on both sides?", p->flags);
    }
    if (p->normal && (p->flags & MULTIFD_FLAGS_COMPRESSION) != multifd_codec_flag(r->group->compression)) {
        return fail(error, "field 'flags' is 0x%x: is multifd-compression the same on both sides?", p->flags);
    }
    if (r->codec ? p->data_size > (raw ? multifd_codec_bound(r->group->compression, raw) : 0) : p->data_size != raw) {
        return bad(error, "next_packet_size", p->data_size);
    }
    return true;
}

static bool find_block(Receiver *r, Packet *p, GError **error)
{
    const char *name = (const char *)r->packet + MULTIFD_AT_NAME;

    if (!memchr(name, 0, MULTIFD_NAME_SIZE)) {
        return fail(error, "field 'ramblock' has no end");
    }
    p->block = ram_load_find(r->group->ram, name);
    if (!p->block) {
        g_autofree char *shown = g_strescape(name, NULL);

        return fail(error, "field 'ramblock' is '%s', which is not in the list of RAM", shown);
    }
    return true;
}

static uint64_t page_offset(const Receiver *r, uint32_t i)
{
    return ldq_be_p(r->packet + MULTIFD_AT_OFFSETS + i * 8);
}

static bool check_offsets(const Receiver *r, const Packet *p, GError **error)
{
    for (uint32_t i = 0; i < p->normal + p->zero; i++) {
        uint64_t offset = page_offset(r, i);

        if (offset % TARGET_PAGE_SIZE || !ram_block_offset_valid(p->block, offset, TARGET_PAGE_SIZE)) {
            return fail(error, "field 'offset[%u]' is 0x%" PRIx64 ", which is no page of RAM '%s'", i, offset,
                        p->block->idstr);
        }
    }
    return true;
}

/* Where the normal pages go; pages that lie side by side are one piece. */
static int page_iov(Receiver *r, const Packet *p)
{
    int count = 0;

    for (uint32_t i = 0; i < p->normal; i++) {
        uint8_t *host = p->block->host + page_offset(r, i);
        struct iovec *last = count ? &r->iov[count - 1] : NULL;

        ram_block_note_written(p->block, page_offset(r, i), TARGET_PAGE_SIZE);
        if (last && (uint8_t *)last->iov_base + last->iov_len == host) {
            last->iov_len += TARGET_PAGE_SIZE;
        } else {
            r->iov[count++] = (struct iovec){host, TARGET_PAGE_SIZE};
        }
    }
    return count;
}

static bool read_data(Receiver *r, const Packet *p, GError **error)
{
    int count = page_iov(r, p), got = 1;

    if (!count) {
        return true;
    }
    if (!r->codec) {
        got = channel_readv_all(r->channel, r->iov, count, error);
    } else {
        struct iovec iov = {r->data, p->data_size};

        got = channel_readv_all(r->channel, &iov, 1, error);
    }
    if (got == 0) {
        return fail(error, "the connection ended where pages are due");
    }
    return got > 0 &&
           (!r->codec || multifd_codec_decompress(r->codec, r->data, p->data_size, r->iov, count, error));
}

static void load_zeroes(Receiver *r, const Packet *p)
{
    for (uint32_t i = p->normal; i < p->normal + p->zero;) {
        uint64_t offset = page_offset(r, i), size = TARGET_PAGE_SIZE;

        for (i++; i < p->normal + p->zero && page_offset(r, i) == offset + size; i++) {
            size += TARGET_PAGE_SIZE;
        }
        ram_load_zero(p->block, offset, size);
    }
}

static bool load_pages(Receiver *r, Packet *p, GError **error)
{
    if (!r->synced_once) {
        return fail(error, "pages come before the list of RAM");
    }
    if (!find_block(r, p, error) || !check_offsets(r, p, error) || !read_data(r, p, error)) {
        return false;
    }
    load_zeroes(r, p);
    return true;
}

/* Stays here until the loader's thread has come to the barrier, too. */
static void wait_at_sync(Receiver *r)
{
    LOCK_GUARD(&r->group->lock);

    r->synced_once = true;
    r->at_sync = true;
    cond_broadcast(&r->group->changed);
    while (r->at_sync && !r->group->quit) {
        cond_wait(&r->group->changed, &r->group->lock);
    }
}

/* 1: done, 0: the connection ended, -1: error. */
static int load_packet(Receiver *r, GError **error)
{
    struct iovec iov = {r->packet, sizeof(r->packet)};
    int got = channel_readv_all(r->channel, &iov, 1, error);
    Packet p = {0};

    if (got <= 0) {
        return got;
    }
    p.flags = ldl_be_p(r->packet + MULTIFD_AT_FLAGS);
    p.normal = ldl_be_p(r->packet + MULTIFD_AT_NORMAL);
    p.zero = ldl_be_p(r->packet + MULTIFD_AT_ZERO);
    p.data_size = ldl_be_p(r->packet + MULTIFD_AT_DATA_SIZE);
    if (!check_magic(r->packet, error) || !check_counts(r, &p, error)) {
        return -1;
    }
    if ((p.normal || p.zero) && !load_pages(r, &p, error)) {
        return -1;
    }
    if (p.flags & MULTIFD_FLAG_SYNC) {
        wait_at_sync(r);
    }
    return 1;
}

/* --- the threads --- */

static bool open_codec(Receiver *r, GError **error)
{
    if (r->group->compression == MULTIFD_COMPRESSION_NONE) {
        return true;
    }
    r->codec = multifd_codec_new(r->group->compression, false, 0, error);
    r->data = g_malloc(multifd_codec_bound(r->group->compression, MULTIFD_PAGES * TARGET_PAGE_SIZE));
    return r->codec != NULL;
}

/* The loader may be waiting for the main stream: that ends here, and the way back stays open to say why. */
static void fail_group(Receiver *r, GError *error)
{
    MultifdRecv *group = r->group;
    LOCK_GUARD(&group->lock);

    if (r->id >= 0) {
        error_context(&error, "multifd channel %d", r->id);
    } else {
        error_context(&error, "multifd connection");
    }
    if (group->error || group->quit) {
        g_error_free(error);
        return;
    }
    group->error = error;
    shutdown(group->leader->in_fd, SHUT_RD);
}

static gpointer receiver_thread(gpointer opaque)
{
    Receiver *r = opaque;
    GError *error = NULL;
    int got = open_codec(r, &error) ? read_initial(r, &error) : -1;

    while (got > 0) {
        got = load_packet(r, &error);
    }
    if (got < 0) {
        fail_group(r, error);
    }
    lock_acquire(&r->group->lock);
    r->ended = true;
    cond_broadcast(&r->group->changed);
    lock_release(&r->group->lock);
    return NULL;
}

/* --- the loader's thread --- */

MultifdRecv *multifd_recv_new(Channel *leader, Channel **channels, unsigned n, int compression,
                              const uint8_t uuid[16], RamLoad *ram)
{
    MultifdRecv *group = g_new0(MultifdRecv, 1);

    group->leader = leader;
    group->ram = ram;
    group->compression = compression;
    memcpy(group->uuid, uuid, sizeof(group->uuid));
    group->n = n;
    group->receivers = g_new0(Receiver, n);
    lock_init(&group->lock, RANK_LEAF, "multifd-recv");
    cond_init(&group->changed);
    for (unsigned i = 0; i < n; i++) {
        group->receivers[i] = (Receiver){.group = group, .channel = channels[i], .id = -1};
    }
    for (unsigned i = 0; i < n; i++) {
        g_autofree char *name = g_strdup_printf("mig/recv_%u", i);

        group->receivers[i].thread = g_thread_new(name, receiver_thread, &group->receivers[i]);
    }
    return group;
}

/* Lock held. */
static bool all_at_sync_locked(const MultifdRecv *group)
{
    for (unsigned i = 0; i < group->n; i++) {
        if (!group->receivers[i].at_sync) {
            return false;
        }
    }
    return true;
}

static Receiver *lost_locked(const MultifdRecv *group)
{
    for (unsigned i = 0; i < group->n; i++) {
        if (group->receivers[i].ended && !group->receivers[i].at_sync) {
            return &group->receivers[i];
        }
    }
    return NULL;
}

bool multifd_recv_sync(MultifdRecv *group, StreamReader *reader)
{
    LOCK_GUARD(&group->lock);

    while (!all_at_sync_locked(group)) {
        Receiver *lost = lost_locked(group);

        if (group->error) {
            return reader_take_error(reader, g_error_copy(group->error));
        }
        if (lost) {
            return reader_fail(reader, "multifd channel %d ended before its SYNC", lost->id);
        }
        cond_wait(&group->changed, &group->lock);
    }
    for (unsigned i = 0; i < group->n; i++) {
        group->receivers[i].at_sync = false;
    }
    cond_broadcast(&group->changed);
    return true;
}

bool multifd_recv_free(MultifdRecv *group, GError **error)
{
    bool ok;

    if (!group) {
        return true;
    }
    lock_acquire(&group->lock);
    group->quit = true;
    cond_broadcast(&group->changed);
    lock_release(&group->lock);
    for (unsigned i = 0; i < group->n; i++) {
        channel_cancel(group->receivers[i].channel);
    }
    for (unsigned i = 0; i < group->n; i++) {
        Receiver *r = &group->receivers[i];

        g_thread_join(r->thread);
        multifd_codec_free(r->codec);
        g_free(r->data);
        channel_free(r->channel);
    }
    ok = !group->error;
    if (group->error) {
        g_propagate_error(error, group->error);
    }
    cond_destroy(&group->changed);
    lock_destroy(&group->lock);
    g_free(group->receivers);
    g_free(group);
    return ok;
}
