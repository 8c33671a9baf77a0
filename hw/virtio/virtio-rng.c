/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-rng: random bytes from the host (virtio 1.2, 5.4), at most max-bytes per period of milliseconds.
 */
#include "hw/virtio.h"

#include <errno.h>
#include <sys/random.h>

#include "system/clock.h"
#include "util/error.h"

typedef struct VirtIORng {
    VirtIODevice vdev;
    /* properties */
    uint64_t max_bytes;
    uint32_t period_ms;
    /* big lock */
    VirtQueue *vq;
    uint64_t quota; /* bytes left in this period */
    Timer period;
} VirtIORng;

/* Fills the front of the vectors with up to @len bytes. */
static size_t fill(VirtQueueElement *elem, uint64_t len)
{
    size_t done = 0;

    for (unsigned i = 0; i < elem->in_num && done < len; i++) {
        size_t part = MIN(elem->in_sg[i].iov_len, len - done);
        ssize_t n = getrandom(elem->in_sg[i].iov_base, MIN(part, 256), 0); /* up to 256 bytes come whole */

        if (n <= 0) {
            break;
        }
        done += n;
        if ((size_t)n < elem->in_sg[i].iov_len) {
            break; /* the driver asks again for the rest */
        }
    }
    return done;
}

static void serve(VirtIORng *s)
{
    VirtQueueElement *elem;
    unsigned served = 0;

    while (virtio_is_live(&s->vdev) && s->quota > 0 && (elem = virtqueue_pop(s->vq))) {
        size_t len = fill(elem, s->quota);

        s->quota -= len;
        virtqueue_push(s->vq, elem, len);
        virtio_notify(&s->vdev, s->vq);
        if (++served == VIRTQUEUE_TURN) {
            virtqueue_again(s->vq);
            break;
        }
    }
    if (s->quota < s->max_bytes && !timer_pending(&s->period)) {
        timer_mod(&s->period, clock_get_ns(CLOCK_TYPE_VIRTUAL) + s->period_ms * INT64_C(1000000));
    }
}

static void period_over(void *opaque)
{
    VirtIORng *s = opaque;

    s->quota = s->max_bytes;
    serve(s);
}

static void handle_input(VirtIODevice *vdev, VirtQueue *vq)
{
    serve((VirtIORng *)vdev);
}

static uint64_t rng_get_features(VirtIODevice *vdev, uint64_t features)
{
    return features;
}

static void rng_get_config(VirtIODevice *vdev, uint8_t *config)
{
}

static const VirtIOOps rng_ops = {
    .name = "virtio-rng",
    .device_id = VIRTIO_ID_RNG,
    .get_features = rng_get_features,
    .get_config = rng_get_config,
};

static bool rng_realize(Device *dev, GError **error)
{
    VirtIORng *s = (VirtIORng *)dev;

    if (s->max_bytes == 0 || s->period_ms == 0) {
        return fail(error, "max-bytes and period must not be zero");
    }
    s->quota = s->max_bytes;
    timer_init(&s->period, CLOCK_TYPE_VIRTUAL, period_over, s);
    virtio_init(&s->vdev, &rng_ops, 0);
    s->vq = virtio_add_queue(&s->vdev, 8, handle_input, NULL);
    return true;
}

static void rng_unrealize(Device *dev)
{
    VirtIORng *s = (VirtIORng *)dev;

    timer_del(&s->period);
    virtio_cleanup(&s->vdev);
}

static const Field rng_properties[] = {
    VIRTIO_COMMON_PROPERTIES(VirtIORng, vdev),
    F_U64(VirtIORng, max_bytes, "max-bytes", .optional = true, .default_value = "9223372036854775807",
          .help = "bytes the guest may have per period"),
    F_U32(VirtIORng, period_ms, "period", .optional = true, .default_value = "65536", .unit = "ms"),
    FIELD_END,
};

static const StateSection rng_section = VIRTIO_STATE_SECTION("virtio-rng", 1);

DEVICE_TYPE(device_type_virtio_rng, .name = "virtio-rng-device", .help = "random numbers",
            .bus = "virtio-bus", .category = "misc", .user_creatable = true,
            .instance_size = sizeof(VirtIORng), .properties = rng_properties, .realize = rng_realize,
            .unrealize = rng_unrealize, .reset = virtio_device_reset, .state = &rng_section);
