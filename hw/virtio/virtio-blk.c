/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-blk: a disk (virtio 1.2, 5.2).
 *
 * A request goes: queue -> checked and submitted to the image -> worker thread reads or writes guest memory
 * -> completed on the queue's loop: status byte, used ring, interrupt.  With iothread= the queue's loop is
 * that thread, and guest memory is marked dirty by threads that never hold the big lock.
 *
 * When the machine stops no request is taken any more and those in flight are drained, so none is ever in the
 * stream.
 */
#include "hw/virtio.h"

#include <errno.h>
#include <string.h>

#include "backend/block.h"
#include "backend/iothread.h"
#include "util/atomic.h"
#include "util/bits.h"
#include "util/bswap.h"
#include "util/error.h"
#include "util/trace.h"

TRACE_EVENT(virtio_blk_request, "type %u sector %" PRIu64 " bytes %zu");

enum {
    BLK_F_SEG_MAX = 2,
    BLK_F_GEOMETRY = 4,
    BLK_F_RO = 5,
    BLK_F_BLK_SIZE = 6,
    BLK_F_FLUSH = 9,
    BLK_F_TOPOLOGY = 10,
    BLK_F_CONFIG_WCE = 11,
    BLK_F_MQ = 12,
    BLK_F_DISCARD = 13,
    BLK_F_WRITE_ZEROES = 14,
};

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };

#define T_BARRIER   0x80000000u /* old drivers; means nothing any more */
#define HEADER_SIZE 16
#define SERIAL_SIZE 20
#define RANGE_SIZE  16 /* one discard or write zeroes segment */
#define RANGE_UNMAP 1u
#define MAX_SECTORS (INT32_MAX / BLOCK_SECTOR_SIZE)
#define CONFIG_WCE  32
#define CONFIG_SIZE 57 /* up to write_zeroes_may_unmap */

typedef struct VirtIOBlock {
    VirtIODevice vdev;
    /* properties */
    char *drive, *serial, *iothread;
    uint16_t num_queues, queue_size;
    uint32_t logical_block_size, physical_block_size, min_io_size, opt_io_size, discard_granularity;
    uint32_t max_discard_sectors, max_write_zeroes_sectors;
    bool config_wce, discard, write_zeroes, seg_max_adjust;
    /* constant after realize */
    BlockBackend *blk;
    EventLoop *loop; /* NULL: the big lock */
    /* guest's choice; read by the queues' loop */
    bool writeback;
} VirtIOBlock;

typedef struct Request {
    VirtIOBlock *s;
    VirtQueue *vq;
    VirtQueueElement *elem;
    uint32_t type;
    uint64_t sector;
    uint32_t written; /* bytes of data the guest gets */
    uint8_t *status;  /* in guest memory */
    bool flush_after; /* a write that must be on the medium */
} Request;

static VirtIOBlock *blk_of(VirtIODevice *vdev)
{
    return (VirtIOBlock *)vdev;
}

/* --- completion: the queue's loop --- */

static void complete(Request *r, uint8_t status)
{
    VirtIODevice *vdev = &r->s->vdev;

    *r->status = status;
    virtqueue_push(r->vq, r->elem, r->written + 1);
    virtio_notify(vdev, r->vq);
    g_free(r);
}

static void flushed(void *opaque, int result)
{
    complete(opaque, result == 0 ? S_OK : S_IOERR);
}

static void finished(void *opaque, int result)
{
    Request *r = opaque;

    if (result == 0 && r->flush_after) {
        block_aio_flush(r->s->blk, flushed, r, r->s->loop);
        return;
    }
    complete(r, result == 0 ? S_OK : result == -ENOTSUP ? S_UNSUPP : S_IOERR);
}

/* --- requests: the queue's loop --- */

static bool sectors_ok(const VirtIOBlock *s, uint64_t sector, uint64_t bytes)
{
    uint64_t total = block_size(s->blk) / BLOCK_SECTOR_SIZE;

    return bytes % s->logical_block_size == 0 && sector <= total &&
           sector % (s->logical_block_size / BLOCK_SECTOR_SIZE) == 0 &&
           bytes / BLOCK_SECTOR_SIZE <= total - sector;
}

static void do_read(Request *r)
{
    size_t bytes = virtio_iov_size(r->elem->in_sg, r->elem->in_num);

    if (!sectors_ok(r->s, r->sector, bytes)) {
        complete(r, S_IOERR);
        return;
    }
    r->written = bytes;
    block_aio_readv(r->s->blk, r->sector * BLOCK_SECTOR_SIZE, r->elem->in_sg, r->elem->in_num, finished, r,
                    r->s->loop);
}

static void do_write(Request *r)
{
    size_t bytes = virtio_iov_size(r->elem->out_sg, r->elem->out_num);

    if (!sectors_ok(r->s, r->sector, bytes)) {
        complete(r, S_IOERR);
        return;
    }
    r->flush_after = !atomic_read(&r->s->writeback);
    block_aio_writev(r->s->blk, r->sector * BLOCK_SECTOR_SIZE, r->elem->out_sg, r->elem->out_num, finished, r,
                     r->s->loop);
}

static void do_get_id(Request *r)
{
    char id[SERIAL_SIZE] = {0};
    const char *serial = r->s->serial ? r->s->serial : "";

    memcpy(id, serial, MIN(strlen(serial), sizeof(id)));
    r->written = virtio_iov_from_buf(r->elem->in_sg, r->elem->in_num, 0, id, sizeof(id));
    complete(r, S_OK);
}

/* Discard and write zeroes come with one range: sector, count, flags. */
static void do_range(Request *r, bool zeroes)
{
    uint8_t raw[RANGE_SIZE];
    uint32_t n_sectors, flags;
    uint64_t sector;
    uint32_t max = zeroes ? r->s->max_write_zeroes_sectors : r->s->max_discard_sectors;

    if (virtio_iov_size(r->elem->out_sg, r->elem->out_num) != RANGE_SIZE) {
        complete(r, S_UNSUPP); /* we say that we take one range at a time */
        return;
    }
    virtio_iov_to_buf(r->elem->out_sg, r->elem->out_num, 0, raw, sizeof(raw));
    sector = ldq_le_p(raw);
    n_sectors = ldl_le_p(raw + 8);
    flags = ldl_le_p(raw + 12);
    if ((flags & ~RANGE_UNMAP) != 0 || (!zeroes && flags != 0)) {
        complete(r, S_UNSUPP);
        return;
    }
    if (n_sectors > max || !sectors_ok(r->s, sector, (uint64_t)n_sectors * BLOCK_SECTOR_SIZE)) {
        complete(r, S_IOERR);
        return;
    }
    if (zeroes) {
        r->flush_after = !atomic_read(&r->s->writeback);
        block_aio_write_zeroes(r->s->blk, sector * BLOCK_SECTOR_SIZE, (uint64_t)n_sectors * BLOCK_SECTOR_SIZE,
                               flags & RANGE_UNMAP, finished, r, r->s->loop);
    } else {
        block_aio_discard(r->s->blk, sector * BLOCK_SECTOR_SIZE, (uint64_t)n_sectors * BLOCK_SECTOR_SIZE,
                          finished, r, r->s->loop);
    }
}

static void start(Request *r)
{
    trace(virtio_blk_request, r->type, r->sector,
          virtio_iov_size(r->elem->in_sg, r->elem->in_num) +
              virtio_iov_size(r->elem->out_sg, r->elem->out_num));
    switch (r->type & ~T_BARRIER) {
    case T_IN:
        do_read(r);
        break;
    case T_OUT:
        do_write(r);
        break;
    case T_FLUSH:
        block_aio_flush(r->s->blk, finished, r, r->s->loop);
        break;
    case T_GET_ID:
        do_get_id(r);
        break;
    case T_DISCARD:
        do_range(r, false);
        break;
    case T_WRITE_ZEROES:
        do_range(r, true);
        break;
    default:
        complete(r, S_UNSUPP);
    }
}

/* Takes the header from the front and the status byte from the back of the vectors. */
static Request *parse(VirtIOBlock *s, VirtQueue *vq, VirtQueueElement *elem)
{
    uint8_t header[HEADER_SIZE];
    struct iovec *last;
    Request *r;

    if (elem->in_num == 0 || elem->out_num == 0 ||
        virtio_iov_to_buf(elem->out_sg, elem->out_num, 0, header, sizeof(header)) != sizeof(header)) {
        virtio_error(&s->vdev, "a request without header or status");
        virtqueue_drop(vq, elem);
        return NULL;
    }
    elem->scattered = true; /* the status byte is the last one */
    virtio_iov_discard_front(&elem->out_sg, &elem->out_num, HEADER_SIZE);
    last = &elem->in_sg[elem->in_num - 1];
    r = g_new0(Request, 1);
    r->s = s;
    r->vq = vq;
    r->elem = elem;
    r->type = ldl_le_p(header);
    r->sector = ldq_le_p(header + 8);
    r->status = (uint8_t *)last->iov_base + last->iov_len - 1;
    virtio_iov_discard_back(elem->in_sg, &elem->in_num, 1);
    return r;
}

static void handle_output(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOBlock *s = blk_of(vdev);
    VirtQueueElement *elem;
    unsigned taken = 0;

    do {
        virtqueue_set_notification(vq, false);
        while (virtio_is_live(vdev) && taken < VIRTQUEUE_TURN && (elem = virtqueue_pop(vq))) {
            Request *r = parse(s, vq, elem);

            if (r) {
                start(r);
            }
            taken++;
        }
        if (taken == VIRTQUEUE_TURN) {
            virtqueue_again(vq); /* it will ask for kicks when it finds nothing more */
            return;
        }
        virtqueue_set_notification(vq, true);
    } while (virtio_is_live(vdev) && !virtqueue_is_empty(vq));
}

/* --- stopping: big lock --- */

static void nothing(void *opaque)
{
}

/* vdev is not live any more: what runs in the queues' loop ends, then what is in flight completes. */
static void quiesce(VirtIOBlock *s)
{
    if (s->loop) {
        event_loop_call(s->loop, nothing, NULL);
    }
    block_drain(s->blk);
}

static void blk_vm_running(VirtIODevice *vdev, bool running)
{
    if (!running) {
        quiesce(blk_of(vdev));
    }
}

static void blk_reset(VirtIODevice *vdev)
{
    VirtIOBlock *s = blk_of(vdev);

    quiesce(s);
    atomic_set(&s->writeback, !block_writethrough(s->blk));
}

/* --- features and configuration --- */

static uint64_t blk_get_features(VirtIODevice *vdev, uint64_t features)
{
    VirtIOBlock *s = blk_of(vdev);

    features |= VIRTIO_FEATURE(BLK_F_SEG_MAX) | VIRTIO_FEATURE(BLK_F_GEOMETRY) |
                VIRTIO_FEATURE(BLK_F_TOPOLOGY) | VIRTIO_FEATURE(BLK_F_BLK_SIZE) | VIRTIO_FEATURE(BLK_F_FLUSH);
    features |= s->config_wce ? VIRTIO_FEATURE(BLK_F_CONFIG_WCE) : 0;
    features |= block_read_only(s->blk) ? VIRTIO_FEATURE(BLK_F_RO) : 0;
    features |= s->num_queues > 1 ? VIRTIO_FEATURE(BLK_F_MQ) : 0;
    features |= s->discard ? VIRTIO_FEATURE(BLK_F_DISCARD) : 0;
    features |= s->write_zeroes ? VIRTIO_FEATURE(BLK_F_WRITE_ZEROES) : 0;
    return features;
}

/* A driver that knows no flush gets writes that are on the medium. */
static void blk_set_features(VirtIODevice *vdev, uint64_t features)
{
    VirtIOBlock *s = blk_of(vdev);

    if (!(features & (VIRTIO_FEATURE(BLK_F_CONFIG_WCE) | VIRTIO_FEATURE(BLK_F_FLUSH)))) {
        atomic_set(&s->writeback, false);
    }
}

static void blk_get_config(VirtIODevice *vdev, uint8_t *c)
{
    VirtIOBlock *s = blk_of(vdev);
    uint64_t sectors = block_size(s->blk) / BLOCK_SECTOR_SIZE;
    uint64_t cylinders = CLAMP(sectors / (16 * 63), 2, 16383);

    memset(c, 0, CONFIG_SIZE);
    stq_le_p(c, sectors);
    stl_le_p(c + 12, s->seg_max_adjust ? s->queue_size - 2 : 126);
    stw_le_p(c + 16, cylinders);
    stb_p(c + 18, 16);
    stb_p(c + 19, 63);
    stl_le_p(c + 20, s->logical_block_size);
    stb_p(c + 24, ctz64(s->physical_block_size / s->logical_block_size));
    stw_le_p(c + 26, s->min_io_size / s->logical_block_size);
    stl_le_p(c + 28, s->opt_io_size / s->logical_block_size);
    stb_p(c + CONFIG_WCE, atomic_read(&s->writeback));
    stw_le_p(c + 34, s->num_queues);
    stl_le_p(c + 36, s->max_discard_sectors);
    stl_le_p(c + 40, 1);
    stl_le_p(c + 44, MAX(s->discard_granularity, s->logical_block_size) / BLOCK_SECTOR_SIZE);
    stl_le_p(c + 48, s->max_write_zeroes_sectors);
    stl_le_p(c + 52, 1);
    stb_p(c + 56, 1);
}

/* The driver turns the write cache on and off. */
static void blk_set_config(VirtIODevice *vdev, const uint8_t *c)
{
    VirtIOBlock *s = blk_of(vdev);

    if (s->config_wce && !block_writethrough(s->blk) && virtio_has_feature(vdev, BLK_F_CONFIG_WCE)) {
        atomic_set(&s->writeback, c[CONFIG_WCE] != 0);
    }
}

/* --- state --- */

/* The list of requests in flight: always empty here.  Others write their host's structs there: not to be
 * trusted. */
static void blk_state(StateIO *io, VirtIODevice *vdev)
{
    uint8_t more = 0;

    STATE_U8(io, more);
    if (state_loading(io) && more != 0) {
        state_fail(io, "it has requests in flight, which cannot be loaded");
    }
}

static const VirtIOOps blk_ops = {
    .name = "virtio-blk",
    .device_id = VIRTIO_ID_BLOCK,
    .get_features = blk_get_features,
    .set_features = blk_set_features,
    .get_config = blk_get_config,
    .set_config = blk_set_config,
    .reset = blk_reset,
    .vm_running = blk_vm_running,
    .state = blk_state,
};

/* --- the device --- */

static bool is_block_size(uint32_t size)
{
    return size >= BLOCK_SECTOR_SIZE && size <= 2 * 1024 * 1024 && is_power_of_2(size);
}

static bool check_properties(VirtIOBlock *s, GError **error)
{
    if (s->num_queues == 0) {
        s->num_queues = 1;
    }
    if (s->num_queues > VIRTIO_QUEUE_MAX) {
        return fail(error, "num-queues %u is more than %u", s->num_queues, VIRTIO_QUEUE_MAX);
    }
    if (s->queue_size <= 2 || s->queue_size > VIRTQUEUE_MAX_SIZE || !is_power_of_2(s->queue_size)) {
        return fail(error, "queue-size %u is no power of two from 4 to %u", s->queue_size,
                    VIRTQUEUE_MAX_SIZE);
    }
    if (!is_block_size(s->logical_block_size) || !is_block_size(s->physical_block_size) ||
        s->physical_block_size < s->logical_block_size) {
        return fail(error, "block sizes %u and %u are not possible", s->logical_block_size,
                    s->physical_block_size);
    }
    if (s->max_discard_sectors == 0 || s->max_discard_sectors > MAX_SECTORS ||
        s->max_write_zeroes_sectors == 0 || s->max_write_zeroes_sectors > MAX_SECTORS) {
        return fail(error, "max-discard-sectors and max-write-zeroes-sectors lie between 1 and %u",
                    MAX_SECTORS);
    }
    return true;
}

static bool take_image(VirtIOBlock *s, GError **error)
{
    BlockBackend *blk;

    if (!s->drive) {
        return fail(error, "property 'drive' is missing");
    }
    blk = block_find(s->drive);
    if (!blk) {
        return fail(error, "there is no drive '%s'", s->drive);
    }
    if (!block_claim(blk, s->vdev.dev.id ? s->vdev.dev.id : s->vdev.dev.path, false, error)) {
        return false;
    }
    s->blk = blk;
    return true;
}

static bool blk_realize(Device *dev, GError **error)
{
    VirtIOBlock *s = (VirtIOBlock *)dev;

    if (!check_properties(s, error) || !take_image(s, error)) {
        return false;
    }
    if (s->iothread) {
        s->loop = iothread_claim(s->iothread, error);
        if (!s->loop) {
            block_release(s->blk);
            return false;
        }
    }
    s->writeback = !block_writethrough(s->blk);
    virtio_init(&s->vdev, &blk_ops, CONFIG_SIZE);
    for (unsigned i = 0; i < s->num_queues; i++) {
        virtio_add_queue(&s->vdev, s->queue_size, handle_output, s->loop);
    }
    return true;
}

static void blk_unrealize(Device *dev)
{
    VirtIOBlock *s = (VirtIOBlock *)dev;

    virtio_set_status(&s->vdev, 0);
    virtio_cleanup(&s->vdev);
    block_release(s->blk);
    if (s->loop) {
        iothread_release(s->iothread);
    }
}

static const Field blk_properties[] = {
    VIRTIO_COMMON_PROPERTIES(VirtIOBlock, vdev),
    F_STRING(VirtIOBlock, drive, "drive", .help = "id of a drive or node name of an image"),
    F_STRING(VirtIOBlock, serial, "serial", .optional = true,
             .help = "at most 20 characters the guest can read"),
    F_STRING(VirtIOBlock, iothread, "iothread", .optional = true,
             .help = "id of the iothread that serves requests"),
    F_U16(VirtIOBlock, num_queues, "num-queues", .optional = true, .default_value = "1"),
    F_U16(VirtIOBlock, queue_size, "queue-size", .optional = true, .default_value = "256"),
    F_U32(VirtIOBlock, logical_block_size, "logical_block_size", .optional = true, .default_value = "512"),
    F_U32(VirtIOBlock, physical_block_size, "physical_block_size", .optional = true, .default_value = "512"),
    F_U32(VirtIOBlock, min_io_size, "min_io_size", .optional = true),
    F_U32(VirtIOBlock, opt_io_size, "opt_io_size", .optional = true),
    F_U32(VirtIOBlock, discard_granularity, "discard_granularity", .optional = true),
    F_U32(VirtIOBlock, max_discard_sectors, "max-discard-sectors", .optional = true,
          .default_value = "4194303"),
    F_U32(VirtIOBlock, max_write_zeroes_sectors, "max-write-zeroes-sectors", .optional = true,
          .default_value = "4194303"),
    F_BOOL(VirtIOBlock, config_wce, "config-wce", .optional = true, .default_value = "on"),
    F_BOOL(VirtIOBlock, discard, "discard", .optional = true, .default_value = "on"),
    F_BOOL(VirtIOBlock, write_zeroes, "write-zeroes", .optional = true, .default_value = "on"),
    F_BOOL(VirtIOBlock, seg_max_adjust, "seg-max-adjust", .optional = true, .default_value = "on"),
    FIELD_END,
};

static const StateSection blk_section = VIRTIO_STATE_SECTION("virtio-blk", 2);

DEVICE_TYPE(device_type_virtio_blk, .name = "virtio-blk-device", .help = "disk", .bus = "virtio-bus",
            .category = "storage", .user_creatable = true, .instance_size = sizeof(VirtIOBlock),
            .properties = blk_properties, .realize = blk_realize, .unrealize = blk_unrealize,
            .reset = virtio_device_reset, .state = &blk_section);
