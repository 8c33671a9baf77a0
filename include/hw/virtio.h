/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio: devices, their queues, and what a transport gives them.
 *
 * A device type embeds a VirtIODevice first, names its VirtIOOps in init and adds its queues at realize.  The
 * guest drives it through a transport (virtio-mmio).  Everything the guest says is checked: what cannot be is
 * reported once, marks the device broken (and NEEDS_RESET for modern drivers) and stops it until the guest
 * resets it.
 *
 * Threads: everything under the big lock, except that a queue may belong to an event loop of its own (an
 * iothread): its handle_output, pop, push and notify then run there, without the big lock.  Rings and buffers
 * must lie in RAM, so a queue never waits for the big lock.
 */
#ifndef HW_VIRTIO_H
#define HW_VIRTIO_H

#include <sys/uio.h>

#include "system/device.h"
#include "system/dma.h"
#include "system/state.h"
#include "util/event-loop.h"

#define VIRTQUEUE_MAX_SIZE 1024 /* descriptors in a ring, and pieces of one request */
#define VIRTIO_QUEUE_MAX   1024
#define VIRTQUEUE_TURN     1024 /* requests served in a row; see virtqueue_again() */

enum {
    VIRTIO_ID_NET = 1,
    VIRTIO_ID_BLOCK = 2,
    VIRTIO_ID_CONSOLE = 3,
    VIRTIO_ID_RNG = 4,
};

enum {
    VIRTIO_F_NOTIFY_ON_EMPTY = 24,
    VIRTIO_F_ANY_LAYOUT = 27,
    VIRTIO_RING_F_INDIRECT_DESC = 28,
    VIRTIO_RING_F_EVENT_IDX = 29,
    VIRTIO_F_VERSION_1 = 32,
    VIRTIO_F_RING_RESET = 40,
};

enum {
    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_NEEDS_RESET = 0x40,
    VIRTIO_STATUS_FAILED = 0x80,
};

enum { VIRTIO_ISR_QUEUE = 1, VIRTIO_ISR_CONFIG = 2 };

#define VIRTIO_FEATURE(bit) (UINT64_C(1) << (bit))

typedef struct VirtIODevice VirtIODevice;
typedef struct VirtQueue VirtQueue;

/* A request taken from a ring; mapped until pushed or dropped. */
typedef struct VirtQueueElement {
    unsigned index; /* head descriptor */
    unsigned in_num, out_num;
    struct iovec *in_sg;  /* what the device writes; the device may shorten the vectors */
    struct iovec *out_sg; /* what the driver wrote */
    DmaMapping *maps;     /* as taken, out first */
    unsigned n_maps;
    bool scattered; /* set by a device that does not write from the front: all in buffers count as written */
} VirtQueueElement;

typedef void VirtIOHandleOutput(VirtIODevice *vdev, VirtQueue *vq);

struct VirtQueue {
    /* constant after virtio_add_queue() */
    VirtIODevice *vdev;
    uint16_t index;
    uint16_t num_default;
    VirtIOHandleOutput *handle_output;
    EventLoop *loop;     /* NULL: the big lock */
    BottomHalf *kick_bh; /* calls handle_output, on that loop or the main one */
    /* set by the guest through the transport; big lock, read by the queue's loop */
    uint32_t num; /* descriptors; 0: the queue does not exist */
    uint32_t align;
    bool enabled;
    hwaddr desc, avail, used;
    /* the queue's thread */
    uint16_t last_avail_idx;   /* next entry of the avail ring to take */
    uint16_t shadow_avail_idx; /* what the guest's index last said */
    uint16_t used_idx;
    uint16_t signalled_used; /* used_idx at the last interrupt */
    bool signalled_used_valid;
    bool notification; /* the driver should kick */
    unsigned inuse;    /* popped, not pushed */
};

typedef struct VirtIOOps {
    const char *name; /* "virtio-blk": the last part of the state section's name */
    uint16_t device_id;
    uint64_t (*get_features)(VirtIODevice *vdev, uint64_t common); /* what is offered */
    void (*set_features)(VirtIODevice *vdev, uint64_t features);   /* what was accepted; may be NULL */
    void (*get_config)(VirtIODevice *vdev, uint8_t *config);       /* fills vdev->config_len bytes */
    void (*set_config)(VirtIODevice *vdev,
                       const uint8_t *config);              /* the guest wrote some of it; may be NULL */
    void (*set_status)(VirtIODevice *vdev, uint8_t status); /* before vdev->status changes; may be NULL */
    void (*reset)(VirtIODevice *vdev); /* give up all requests; no handle_output runs when it returns */
    /* The machine stops (drain, or give requests back) or goes on; may be NULL. */
    void (*vm_running)(VirtIODevice *vdev, bool running);
    void (*state)(StateIO *io, VirtIODevice *vdev); /* the device's own part; may be NULL */
} VirtIOOps;

/* What a transport does for the device it holds. */
typedef struct VirtIOTransportOps {
    void (*update_irq)(VirtIODevice *vdev);                /* vdev->isr changed; big lock */
    bool modern_only_state;                                /* whether .extra_state travels */
    void (*config_state)(StateIO *io, VirtIODevice *vdev); /* first part of the section */
    void (*extra_state)(StateIO *io, VirtIODevice *vdev);  /* subsections of virtio/extra_state */
    bool (*is_modern)(VirtIODevice *vdev);
    char *(*state_prefix)(VirtIODevice *vdev); /* "virtio-mmio@0000000010008000" */
} VirtIOTransportOps;

struct VirtIODevice {
    Device dev;
    /* constant after realize */
    const VirtIOOps *ops;
    const VirtIOTransportOps *transport;
    void *transport_opaque;
    VirtQueue *queues;
    unsigned n_queues;
    uint8_t *config;
    uint32_t config_len;
    uint64_t host_features;
    BottomHalf *irq_bh; /* a queue's loop asks the main loop for an interrupt */
    /* properties */
    bool prop_indirect_desc, prop_event_idx, prop_notify_on_empty, prop_any_layout, prop_queue_reset;
    /* big lock */
    uint8_t status;
    uint16_t queue_sel;
    uint64_t guest_features; /* read by the queues' loops */
    uint32_t generation;     /* of the configuration */
    bool started;
    bool vm_running;
    /* atomic */
    uint8_t isr;
    bool broken;
};

/* Rows every virtio device's property table starts with. */
#define VIRTIO_COMMON_PROPERTIES(S, v)                                                                       \
    F_BOOL(S, v.prop_indirect_desc, "indirect_desc", .optional = true, .default_value = "on"),               \
        F_BOOL(S, v.prop_event_idx, "event_idx", .optional = true, .default_value = "on"),                   \
        F_BOOL(S, v.prop_notify_on_empty, "notify_on_empty", .optional = true, .default_value = "on"),       \
        F_BOOL(S, v.prop_any_layout, "any_layout", .optional = true, .default_value = "on"),                 \
        F_BOOL(S, v.prop_queue_reset, "queue_reset", .optional = true, .default_value = "on")

/* --- a device's life: big lock --- */
/* At realize: sets up the common part.  virtio_cleanup() undoes it. */
void virtio_init(VirtIODevice *vdev, const VirtIOOps *ops, uint32_t config_len);
void virtio_cleanup(VirtIODevice *vdev);
/* @loop NULL: handle_output runs under the big lock, when the driver kicks. */
VirtQueue *virtio_add_queue(VirtIODevice *vdev, unsigned size, VirtIOHandleOutput *handle_output,
                            EventLoop *loop);
void virtio_reset(VirtIODevice *vdev);
void virtio_device_reset(Device *dev); /* for DeviceType.reset */
/* StateSection.fields of each virtio device. */
void virtio_state(StateIO *io, void *opaque);
/* The "virtio" state section of a device type. */
#define VIRTIO_STATE_SECTION(name_, version_)                                                                \
    {                                                                                                        \
        .name = (name_), .version = (version_), .min_version = (version_), .fields = virtio_state,           \
        .opaque_data = true                                                                                  \
    }
/* Reports, once until reset, and stops the device.  Any thread. */
void virtio_error(VirtIODevice *vdev, const char *format, ...) G_GNUC_PRINTF(2, 3);
void virtio_notify_config(VirtIODevice *vdev);
static inline bool virtio_has_feature(const VirtIODevice *vdev, unsigned bit)
{
    return vdev->guest_features >> bit & 1;
}
static inline bool virtio_is_broken(const VirtIODevice *vdev)
{
    return __atomic_load_n(&vdev->broken, __ATOMIC_RELAXED);
}
/* The driver is ready and the machine runs. */
bool virtio_is_live(const VirtIODevice *vdev);
/* Interrupts asked for by queues' loops are delivered now; used when the machine stops. */
void virtio_deliver_interrupts(VirtIODevice *vdev);

/* --- a transport's calls: big lock --- */
extern const char virtio_bus_type[]; /* "virtio-bus" */
void virtio_plug(VirtIODevice *vdev, const VirtIOTransportOps *transport, void *opaque);
void virtio_set_status(VirtIODevice *vdev, uint8_t status);
bool virtio_set_features(VirtIODevice *vdev, uint64_t features);
uint64_t virtio_config_read(VirtIODevice *vdev, uint32_t offset, unsigned size);
void virtio_config_write(VirtIODevice *vdev, uint32_t offset, uint64_t value, unsigned size);
void virtio_queue_set_num(VirtQueue *vq, uint32_t num);
void virtio_queue_set_align(VirtQueue *vq, uint32_t align);
void virtio_queue_set_addr(VirtQueue *vq, hwaddr addr); /* legacy: one address, the rest follows */
void virtio_queue_set_rings(VirtQueue *vq, hwaddr desc, hwaddr avail, hwaddr used);
void virtio_queue_kick(VirtIODevice *vdev, uint32_t index);
VirtQueue *virtio_queue(VirtIODevice *vdev, uint32_t index); /* NULL: no such queue */
/* Creates the devices that "-drive if=virtio" stands for. */
bool virtio_create_default_devices(GError **error);

/* --- queues: the queue's thread --- */
bool virtqueue_is_ready(const VirtQueue *vq); /* the driver has set it up */
bool virtqueue_is_empty(VirtQueue *vq);
/*
 * handle_output is called once more, on the queue's thread, after others had their turn.  Who serves until the queue is
 * empty does so after VIRTQUEUE_TURN requests: another hart may add them as fast as they are served, and the
 * big lock, or the event loop, is everybody's.
 */
void virtqueue_again(VirtQueue *vq);
/* The next request; NULL when there is none or the ring is bad. */
VirtQueueElement *virtqueue_pop(VirtQueue *vq);
/* Gives a request back to the driver with @len bytes written, and frees it. */
void virtqueue_push(VirtQueue *vq, VirtQueueElement *elem, uint32_t len);
/* The same in two steps, for several at once: fill at used_idx + @ahead, then flush. */
void virtqueue_fill(VirtQueue *vq, VirtQueueElement *elem, uint32_t len, unsigned ahead);
void virtqueue_flush(VirtQueue *vq, unsigned count);
/* Puts back the element popped last, as if it never had been taken, and frees it. */
void virtqueue_unpop(VirtQueue *vq, VirtQueueElement *elem);
/* Frees it; the driver never hears of it (reset, broken). */
void virtqueue_drop(VirtQueue *vq, VirtQueueElement *elem);
/* Interrupts the driver if it wants that. */
void virtio_notify(VirtIODevice *vdev, VirtQueue *vq);
/* Whether the driver should kick when it adds requests.  After enabling look at the ring once more. */
void virtqueue_set_notification(VirtQueue *vq, bool enable);
/* How many bytes there is room for; stops counting at @limit. */
uint64_t virtqueue_room(VirtQueue *vq, uint64_t limit);

/* --- vectors --- */
size_t virtio_iov_size(const struct iovec *iov, unsigned n);
size_t virtio_iov_to_buf(const struct iovec *iov, unsigned n, size_t offset, void *buf, size_t len);
size_t virtio_iov_from_buf(const struct iovec *iov, unsigned n, size_t offset, const void *buf, size_t len);
/* Cut @len bytes off; return how many there were to cut. */
size_t virtio_iov_discard_front(struct iovec **iov, unsigned *n, size_t len);
size_t virtio_iov_discard_back(struct iovec *iov, unsigned *n, size_t len);

#endif
