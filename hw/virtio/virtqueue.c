/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Split virtqueues (virtio 1.2, 2.7).
 *
 * All of a ring is the guest's and may change or lie at any moment: each value is read once, checked and then
 * used. Pieces of a ring are mapped for one access at a time; a piece that is not RAM breaks the device.  The
 * addresses and the size are read once per operation too: a guest that changes them under a running queue
 * harms only itself.
 *
 * Barriers, with the driver as the partner:
 *   pop   reads avail->idx (acquire), then the entries and descriptors below it.
 *   push  writes the used entry, then used->idx (release).
 *   notify  used->idx is written, full barrier, then the driver's wish for an interrupt is read; the driver
 * writes its wish, full barrier, then reads used->idx: one of the two sees the other.
 */
#include "hw/virtio.h"

#include <string.h>

#include "util/atomic.h"
#include "util/bits.h"
#include "util/bswap.h"
#include "virtio-private.h"

enum { DESC_F_NEXT = 1, DESC_F_WRITE = 2, DESC_F_INDIRECT = 4 };
enum { AVAIL_F_NO_INTERRUPT = 1, USED_F_NO_NOTIFY = 1 };
enum { DESC_SIZE = 16, USED_ELEM_SIZE = 8, RING_HEADER = 4 };

typedef struct Desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
} Desc;

/* --- one access to a ring --- */

/* The whole of [addr, addr + len) or nothing. */
static bool map_ring(VirtQueue *vq, hwaddr addr, uint64_t len, bool is_write, DmaMapping *map)
{
    uint64_t got = len;

    if (dma_map(&address_space_memory, addr, &got, is_write, map)) {
        if (got == len) {
            return true;
        }
        dma_unmap(map, 0);
    }
    virtio_error(vq->vdev, "queue %u: ring at 0x%" PRIx64 " is not in RAM", vq->index, addr);
    return false;
}

static bool load_u16(VirtQueue *vq, hwaddr addr, uint16_t *value)
{
    DmaMapping map;
    uint16_t raw;

    if (!map_ring(vq, addr, 2, false, &map)) {
        return false;
    }
    if ((uintptr_t)map.host & 1) {
        memcpy(&raw, map.host, 2);
    } else {
        raw = atomic_load_acquire((uint16_t *)map.host); /* partner: the driver's write barrier */
    }
    dma_unmap(&map, 0);
    *value = le16_to_cpu(raw);
    return true;
}

static bool store_u16(VirtQueue *vq, hwaddr addr, uint16_t value)
{
    DmaMapping map;
    uint16_t raw = cpu_to_le16(value);

    if (!map_ring(vq, addr, 2, true, &map)) {
        return false;
    }
    if ((uintptr_t)map.host & 1) {
        memcpy(map.host, &raw, 2);
    } else {
        atomic_store_release((uint16_t *)map.host, raw); /* partner: the driver's read barrier */
    }
    dma_unmap(&map, 2);
    return true;
}

static hwaddr ring_addr(const hwaddr *field)
{
    return atomic_read(field);
}

static uint32_t ring_num(const VirtQueue *vq)
{
    return atomic_read(&vq->num);
}

static hwaddr used_event_addr(const VirtQueue *vq)
{
    return ring_addr(&vq->avail) + RING_HEADER + 2 * (uint64_t)ring_num(vq);
}

static hwaddr avail_event_addr(const VirtQueue *vq)
{
    return ring_addr(&vq->used) + RING_HEADER + USED_ELEM_SIZE * (uint64_t)ring_num(vq);
}

/* --- what the driver offers --- */

bool virtqueue_is_ready(const VirtQueue *vq)
{
    return ring_num(vq) != 0 && ring_addr(&vq->desc) != 0 && ring_addr(&vq->avail) != 0;
}

static bool usable(const VirtQueue *vq)
{
    return virtqueue_is_ready(vq) && !virtio_is_broken(vq->vdev);
}

/* How many requests wait; refreshes the shadow index.  -1: the ring is bad. */
static int available(VirtQueue *vq)
{
    uint16_t idx, waiting;

    if (!load_u16(vq, ring_addr(&vq->avail) + 2, &idx)) {
        return -1;
    }
    waiting = idx - vq->last_avail_idx;
    if (waiting > ring_num(vq)) {
        virtio_error(vq->vdev, "queue %u: the driver moved its index from %u to %u", vq->index,
                     vq->last_avail_idx, idx);
        return -1;
    }
    vq->shadow_avail_idx = idx;
    return waiting;
}

bool virtqueue_is_empty(VirtQueue *vq)
{
    if (!usable(vq)) {
        return true;
    }
    return vq->shadow_avail_idx == vq->last_avail_idx && available(vq) <= 0;
}

/* --- descriptors --- */

/* Where a chain is read from: the ring's own table or an indirect one. */
typedef struct Chain {
    VirtQueue *vq;
    DmaMapping table;
    unsigned size; /* descriptors in the table */
    unsigned seen;
    Desc desc; /* the present one */
} Chain;

static bool chain_open(Chain *c, hwaddr addr, unsigned size)
{
    c->size = size;
    c->seen = 0;
    return map_ring(c->vq, addr, (uint64_t)size * DESC_SIZE, false, &c->table);
}

static bool chain_read(Chain *c, unsigned index)
{
    const uint8_t *p;

    if (index >= c->size) {
        virtio_error(c->vq->vdev, "queue %u: descriptor %u is past the table of %u", c->vq->index, index,
                     c->size);
        return false;
    }
    if (++c->seen > MIN(c->size, VIRTQUEUE_MAX_SIZE)) {
        virtio_error(c->vq->vdev, "queue %u: descriptor chain is looped, or longer than %u", c->vq->index,
                     VIRTQUEUE_MAX_SIZE);
        return false;
    }
    p = (const uint8_t *)c->table.host + (size_t)index * DESC_SIZE;
    c->desc = (Desc){ldq_le_p(p), ldl_le_p(p + 8), lduw_le_p(p + 12), lduw_le_p(p + 14)};
    return true;
}

/* A head that points to an indirect table: goes on there. */
static bool chain_enter_indirect(Chain *c)
{
    Desc d = c->desc;

    if (!(d.flags & DESC_F_INDIRECT)) {
        return true;
    }
    if (d.len == 0 || d.len % DESC_SIZE != 0 || d.len / DESC_SIZE > 65536) {
        virtio_error(c->vq->vdev, "queue %u: indirect table of %u bytes", c->vq->index, d.len);
        return false;
    }
    dma_unmap(&c->table, 0);
    return chain_open(c, d.addr, d.len / DESC_SIZE) && chain_read(c, 0);
}

/* 1: the next descriptor is read; 0: that was the last; -1: bad. */
static int chain_next(Chain *c)
{
    if (!(c->desc.flags & DESC_F_NEXT)) {
        return 0;
    }
    if (!chain_read(c, c->desc.next)) {
        return -1;
    }
    if (c->desc.flags & DESC_F_INDIRECT) {
        virtio_error(c->vq->vdev, "queue %u: indirect descriptor inside a chain", c->vq->index);
        return -1;
    }
    return 1;
}

/* --- gathering a request --- */

typedef struct Gather {
    VirtQueue *vq;
    unsigned out_num, in_num;
    DmaMapping maps[VIRTQUEUE_MAX_SIZE];
} Gather;

static void gather_undo(Gather *g)
{
    for (unsigned i = 0; i < g->out_num + g->in_num; i++) {
        dma_unmap(&g->maps[i], 0);
    }
}

static bool gather_buffer(Gather *g, const Desc *d)
{
    bool is_write = d->flags & DESC_F_WRITE;
    uint64_t done = 0;

    if (!is_write && g->in_num > 0) {
        virtio_error(g->vq->vdev, "queue %u: a buffer to read comes after one to write", g->vq->index);
        return false;
    }
    if (d->len == 0) {
        virtio_error(g->vq->vdev, "queue %u: a buffer of zero bytes", g->vq->index);
        return false;
    }
    while (done < d->len) {
        uint64_t len = d->len - done;

        if (g->out_num + g->in_num == VIRTQUEUE_MAX_SIZE) {
            virtio_error(g->vq->vdev, "queue %u: a request of more than %u pieces", g->vq->index,
                         VIRTQUEUE_MAX_SIZE);
            return false;
        }
        if (d->addr + done < d->addr || !dma_map(&address_space_memory, d->addr + done, &len, is_write,
                                                 &g->maps[g->out_num + g->in_num])) {
            virtio_error(g->vq->vdev, "queue %u: buffer at 0x%" PRIx64 " is not in RAM", g->vq->index,
                         d->addr + done);
            return false;
        }
        (*(is_write ? &g->in_num : &g->out_num))++;
        done += len;
    }
    return true;
}

static bool gather_chain(Gather *g, unsigned head)
{
    Chain c = {.vq = g->vq};
    int more;
    bool ok = chain_open(&c, ring_addr(&g->vq->desc), ring_num(g->vq)) && chain_read(&c, head) &&
              chain_enter_indirect(&c);

    do {
        ok = ok && gather_buffer(g, &c.desc);
        more = ok ? chain_next(&c) : -1;
    } while (more > 0);
    dma_unmap(&c.table, 0);
    return more == 0;
}

static VirtQueueElement *make_element(const Gather *g, unsigned head)
{
    unsigned n = g->out_num + g->in_num;
    size_t sg_at = ROUND_UP(sizeof(VirtQueueElement), sizeof(void *));
    size_t maps_at = sg_at + n * sizeof(struct iovec);
    VirtQueueElement *elem = g_malloc(maps_at + n * sizeof(DmaMapping));

    elem->index = head;
    elem->scattered = false;
    elem->n_maps = n;
    elem->out_num = g->out_num;
    elem->in_num = g->in_num;
    elem->out_sg = (struct iovec *)((char *)elem + sg_at);
    elem->in_sg = elem->out_sg + g->out_num;
    elem->maps = (DmaMapping *)((char *)elem + maps_at);
    memcpy(elem->maps, g->maps, n * sizeof(DmaMapping));
    for (unsigned i = 0; i < n; i++) {
        elem->out_sg[i] = (struct iovec){g->maps[i].host, g->maps[i].len};
    }
    return elem;
}

static bool take_head(VirtQueue *vq, uint16_t *head)
{
    uint32_t num = ring_num(vq);

    if (!load_u16(vq, ring_addr(&vq->avail) + RING_HEADER + 2 * (uint64_t)(vq->last_avail_idx % num), head)) {
        return false;
    }
    if (*head >= num) {
        virtio_error(vq->vdev, "queue %u: head descriptor %u is past the ring of %u", vq->index, *head, num);
        return false;
    }
    return true;
}

VirtQueueElement *virtqueue_pop(VirtQueue *vq)
{
    Gather g; /* large: not cleared */
    uint16_t head;

    g.vq = vq;
    g.in_num = g.out_num = 0;
    if (virtqueue_is_empty(vq)) {
        return NULL;
    }
    if (vq->inuse >= ring_num(vq)) {
        virtio_error(vq->vdev, "queue %u: more requests than the ring has room for", vq->index);
        return NULL;
    }
    if (!take_head(vq, &head)) {
        return NULL;
    }
    if (!gather_chain(&g, head)) {
        gather_undo(&g);
        return NULL;
    }
    vq->last_avail_idx++;
    vq->inuse++;
    if (virtio_has_feature(vq->vdev, VIRTIO_RING_F_EVENT_IDX) && vq->notification) {
        store_u16(vq, avail_event_addr(vq), vq->last_avail_idx);
    }
    return make_element(&g, head);
}

/* --- giving back --- */

/* @written: bytes the device wrote into the in buffers, from the front. */
static void release(VirtQueueElement *elem, uint64_t written)
{
    for (unsigned i = 0; i < elem->n_maps; i++) {
        DmaMapping *map = &elem->maps[i];
        uint64_t part = map->is_write ? MIN(written, map->len) : 0;

        dma_unmap(map, part);
        written -= part;
    }
    g_free(elem);
}

void virtqueue_drop(VirtQueue *vq, VirtQueueElement *elem)
{
    if (vq->inuse > 0) {
        vq->inuse--;
    }
    release(elem, UINT64_MAX);
}

void virtqueue_unpop(VirtQueue *vq, VirtQueueElement *elem)
{
    vq->last_avail_idx--;
    if (vq->inuse > 0) {
        vq->inuse--;
    }
    release(elem, 0);
}

void virtqueue_fill(VirtQueue *vq, VirtQueueElement *elem, uint32_t len, unsigned ahead)
{
    uint32_t num = ring_num(vq);
    unsigned head = elem->index;
    DmaMapping map;
    uint16_t slot;

    release(elem, elem->scattered ? UINT64_MAX
                                  : len); /* the data is marked dirty before the driver can learn of it */
    if (!usable(vq) || ring_addr(&vq->used) == 0) {
        return;
    }
    slot = (uint16_t)(vq->used_idx + ahead) % num;
    if (!map_ring(vq, ring_addr(&vq->used) + RING_HEADER + USED_ELEM_SIZE * (uint64_t)slot, USED_ELEM_SIZE,
                  true, &map)) {
        return;
    }
    stl_le_p(map.host, head);
    stl_le_p((uint8_t *)map.host + 4, len);
    dma_unmap(&map, USED_ELEM_SIZE);
}

void virtqueue_flush(VirtQueue *vq, unsigned count)
{
    uint16_t old = vq->used_idx, new = old + count;

    vq->inuse -= MIN(vq->inuse, count);
    if (!usable(vq) || !store_u16(vq, ring_addr(&vq->used) + 2, new)) {
        return;
    }
    vq->used_idx = new;
    if ((uint16_t)(new - vq->signalled_used) < (uint16_t)(new - old)) {
        vq->signalled_used_valid = false; /* went once round since the last interrupt */
    }
}

void virtqueue_push(VirtQueue *vq, VirtQueueElement *elem, uint32_t len)
{
    virtqueue_fill(vq, elem, len, 0);
    virtqueue_flush(vq, 1);
}

/* --- notifications --- */

void virtqueue_set_notification(VirtQueue *vq, bool enable)
{
    uint16_t flags;

    vq->notification = enable;
    if (!usable(vq)) {
        return;
    }
    if (virtio_has_feature(vq->vdev, VIRTIO_RING_F_EVENT_IDX)) {
        /* disabled: the event index stays behind, and the driver seldom kicks */
        if (enable) {
            uint16_t idx = vq->last_avail_idx;

            store_u16(vq, avail_event_addr(vq), idx);
        }
    } else if (load_u16(vq, ring_addr(&vq->used), &flags)) {
        flags = enable ? flags & ~USED_F_NO_NOTIFY : flags | USED_F_NO_NOTIFY;
        store_u16(vq, ring_addr(&vq->used), flags);
    }
    if (enable) {
        vq->shadow_avail_idx = vq->last_avail_idx; /* look at the ring again, after the wish is visible */
        smp_mb(); /* partner: the driver's barrier before it reads our wish */
    }
}

/* Whether @event lies in (old, new]. */
static bool event_passed(uint16_t event, uint16_t new, uint16_t old)
{
    return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

static bool driver_wants_interrupt(VirtQueue *vq)
{
    VirtIODevice *vdev = vq->vdev;
    uint16_t value, old = vq->signalled_used;
    bool valid = vq->signalled_used_valid;

    smp_mb(); /* partner: the driver's barrier between its wish and its look at used->idx */
    if (virtio_has_feature(vdev, VIRTIO_F_NOTIFY_ON_EMPTY) && vq->inuse == 0 && virtqueue_is_empty(vq)) {
        return true;
    }
    if (!virtio_has_feature(vdev, VIRTIO_RING_F_EVENT_IDX)) {
        return load_u16(vq, ring_addr(&vq->avail), &value) && !(value & AVAIL_F_NO_INTERRUPT);
    }
    vq->signalled_used_valid = true;
    vq->signalled_used = vq->used_idx;
    return load_u16(vq, used_event_addr(vq), &value) && (!valid || event_passed(value, vq->used_idx, old));
}

bool virtqueue_wants_interrupt(VirtQueue *vq)
{
    return usable(vq) && driver_wants_interrupt(vq);
}

/* --- looking ahead --- */

static bool count_chain(VirtQueue *vq, unsigned head, uint64_t *in)
{
    Chain c = {.vq = vq};
    int more = -1;

    if (chain_open(&c, ring_addr(&vq->desc), ring_num(vq)) && chain_read(&c, head) &&
        chain_enter_indirect(&c)) {
        do {
            *in += c.desc.flags & DESC_F_WRITE ? c.desc.len : 0;
            more = chain_next(&c);
        } while (more > 0);
    }
    dma_unmap(&c.table, 0);
    return more == 0;
}

uint64_t virtqueue_room(VirtQueue *vq, uint64_t limit)
{
    uint32_t num = ring_num(vq);
    uint64_t found = 0;
    int waiting;

    if (!usable(vq) || (waiting = available(vq)) <= 0) {
        return 0;
    }
    for (int i = 0; i < waiting && found < limit; i++) {
        uint16_t head, at = vq->last_avail_idx + i;

        if (!load_u16(vq, ring_addr(&vq->avail) + RING_HEADER + 2 * (uint64_t)(at % num), &head) ||
            !count_chain(vq, head, &found)) {
            return 0;
        }
    }
    return MIN(found, limit);
}

/* --- vectors --- */

size_t virtio_iov_size(const struct iovec *iov, unsigned n)
{
    size_t size = 0;

    for (unsigned i = 0; i < n; i++) {
        size += iov[i].iov_len;
    }
    return size;
}

static size_t iov_copy(const struct iovec *iov, unsigned n, size_t offset, void *buf, size_t len, bool to_iov)
{
    size_t done = 0;

    for (unsigned i = 0; i < n && done < len; i++) {
        size_t part;
        char *p;

        if (offset >= iov[i].iov_len) {
            offset -= iov[i].iov_len;
            continue;
        }
        p = (char *)iov[i].iov_base + offset;
        part = MIN(iov[i].iov_len - offset, len - done);
        memcpy(to_iov ? p : (char *)buf + done, to_iov ? (char *)buf + done : p, part);
        done += part;
        offset = 0;
    }
    return done;
}

size_t virtio_iov_to_buf(const struct iovec *iov, unsigned n, size_t offset, void *buf, size_t len)
{
    return iov_copy(iov, n, offset, buf, len, false);
}

size_t virtio_iov_from_buf(const struct iovec *iov, unsigned n, size_t offset, const void *buf, size_t len)
{
    return iov_copy(iov, n, offset, (void *)buf, len, true);
}

size_t virtio_iov_discard_front(struct iovec **iov, unsigned *n, size_t len)
{
    size_t done = 0;

    while (*n > 0 && done < len) {
        size_t part = MIN((*iov)->iov_len, len - done);

        (*iov)->iov_base = (char *)(*iov)->iov_base + part;
        (*iov)->iov_len -= part;
        done += part;
        if ((*iov)->iov_len == 0) {
            (*iov)++;
            (*n)--;
        }
    }
    return done;
}

size_t virtio_iov_discard_back(struct iovec *iov, unsigned *n, size_t len)
{
    size_t done = 0;

    while (*n > 0 && done < len) {
        struct iovec *last = &iov[*n - 1];
        size_t part = MIN(last->iov_len, len - done);

        last->iov_len -= part;
        done += part;
        if (last->iov_len == 0) {
            (*n)--;
        }
    }
    return done;
}
