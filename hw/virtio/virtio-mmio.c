/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-mmio: one virtio device behind 512 bytes of registers (virtio 1.2, 4.2).
 *
 * Legacy (version 1, the default as on other machines of this kind) and modern (version 2) register sets; an
 * empty slot has device id 0.  The slot offers a bus for one device.
 */
#include "hw/virtio.h"

#include "system/memory.h"
#include "util/atomic.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/trace.h"
#include "virtio-private.h"

TRACE_EVENT(virtio_mmio_bad_access, "offset 0x%" PRIx64 " size %u");

#define MMIO_MAGIC  0x74726976 /* "virt" */
#define MMIO_VENDOR 0x554d4551
#define MMIO_SIZE   0x200

enum {
    REG_MAGIC = 0x000,
    REG_VERSION = 0x004,
    REG_DEVICE_ID = 0x008,
    REG_VENDOR_ID = 0x00c,
    REG_DEVICE_FEATURES = 0x010,
    REG_DEVICE_FEATURES_SEL = 0x014,
    REG_DRIVER_FEATURES = 0x020,
    REG_DRIVER_FEATURES_SEL = 0x024,
    REG_GUEST_PAGE_SIZE = 0x028, /* legacy */
    REG_QUEUE_SEL = 0x030,
    REG_QUEUE_NUM_MAX = 0x034,
    REG_QUEUE_NUM = 0x038,
    REG_QUEUE_ALIGN = 0x03c, /* legacy */
    REG_QUEUE_PFN = 0x040,   /* legacy */
    REG_QUEUE_READY = 0x044, /* modern, as are the queue addresses */
    REG_QUEUE_NOTIFY = 0x050,
    REG_INTERRUPT_STATUS = 0x060,
    REG_INTERRUPT_ACK = 0x064,
    REG_STATUS = 0x070,
    REG_QUEUE_DESC_LOW = 0x080,
    REG_QUEUE_DESC_HIGH = 0x084,
    REG_QUEUE_AVAIL_LOW = 0x090,
    REG_QUEUE_AVAIL_HIGH = 0x094,
    REG_QUEUE_USED_LOW = 0x0a0,
    REG_QUEUE_USED_HIGH = 0x0a4,
    REG_SHM_LEN_LOW = 0x0b0,
    REG_SHM_BASE_HIGH = 0x0bc,
    REG_CONFIG_GENERATION = 0x0fc,
    REG_CONFIG = 0x100,
};

/* Modern: what the driver writes until it says that the queue is ready. */
typedef struct MmioQueue {
    uint16_t num;
    bool enabled;
    uint32_t desc[2], avail[2], used[2];
} MmioQueue;

typedef struct VirtIOMmio {
    Device dev;
    MemoryRegion mmio;
    IRQ *irq;
    Bus *bus;
    VirtIODevice *vdev; /* NULL: empty */
    /* properties */
    bool force_legacy;
    uint32_t slot; /* number in the bus's name; UINT32_MAX: in order of creation */
    /* guest's registers; big lock */
    uint32_t host_features_sel, guest_features_sel;
    uint32_t guest_page_shift;
    uint32_t guest_features[2];
    MmioQueue queues[VIRTIO_QUEUE_MAX];
} VirtIOMmio;

/* --- registers --- */

static uint32_t device_features(const VirtIOMmio *m)
{
    if (m->force_legacy) {
        return m->host_features_sel == 0 ? (uint32_t)m->vdev->host_features : 0;
    }
    return m->host_features_sel > 1 ? 0 : (uint32_t)(m->vdev->host_features >> (32 * m->host_features_sel));
}

static VirtQueue *selected(const VirtIOMmio *m)
{
    return virtio_queue(m->vdev, m->vdev->queue_sel);
}

static uint32_t read_empty(const VirtIOMmio *m, hwaddr addr)
{
    switch (addr) {
    case REG_MAGIC:
        return MMIO_MAGIC;
    case REG_VERSION:
        return m->force_legacy ? 1 : 2;
    case REG_VENDOR_ID:
        return MMIO_VENDOR;
    default:
        return 0;
    }
}

static uint32_t read_queue_register(const VirtIOMmio *m, hwaddr addr)
{
    VirtQueue *vq = selected(m);

    if (!vq || vq->num == 0) {
        return 0;
    }
    switch (addr) {
    case REG_QUEUE_NUM_MAX:
        return VIRTQUEUE_MAX_SIZE;
    case REG_QUEUE_PFN:
        return m->force_legacy ? vq->desc >> m->guest_page_shift : 0;
    case REG_QUEUE_READY:
        return !m->force_legacy && vq->enabled;
    default:
        return 0;
    }
}

static uint32_t read_register(const VirtIOMmio *m, hwaddr addr)
{
    VirtIODevice *vdev = m->vdev;

    switch (addr) {
    case REG_DEVICE_ID:
        return vdev->ops->device_id;
    case REG_DEVICE_FEATURES:
        return device_features(m);
    case REG_QUEUE_NUM_MAX:
    case REG_QUEUE_PFN:
    case REG_QUEUE_READY:
        return read_queue_register(m, addr);
    case REG_INTERRUPT_STATUS:
        return atomic_read(&vdev->isr);
    case REG_STATUS:
        return atomic_read(&vdev->status);
    case REG_CONFIG_GENERATION:
        return m->force_legacy ? 0 : vdev->generation;
    default:
        if (addr >= REG_SHM_LEN_LOW && addr <= REG_SHM_BASE_HIGH) {
            return UINT32_MAX; /* no shared memory regions */
        }
        return read_empty(m, addr);
    }
}

static MemTxResult mmio_read(void *opaque, hwaddr addr, uint64_t *data, unsigned size)
{
    VirtIOMmio *m = opaque;

    *data = 0;
    if (m->vdev && addr >= REG_CONFIG) {
        *data = virtio_config_read(m->vdev, addr - REG_CONFIG, size);
    } else if (size != 4) {
        trace(virtio_mmio_bad_access, addr, size);
    } else {
        *data = m->vdev ? read_register(m, addr) : read_empty(m, addr);
    }
    return MEMTX_OK;
}

/* Status 0: what was said of queues is forgotten.  A legacy driver's page size stays: it is told before the reset. */
static void soft_reset(VirtIOMmio *m)
{
    memset(m->guest_features, 0, sizeof(m->guest_features));
    memset(m->queues, 0, sizeof(m->queues));
}

static void hard_reset(VirtIOMmio *m)
{
    m->host_features_sel = m->guest_features_sel = 0;
    m->guest_page_shift = 0;
    soft_reset(m);
}

static void write_status(VirtIOMmio *m, uint8_t status)
{
    VirtIODevice *vdev = m->vdev;

    if (!m->force_legacy && (status & VIRTIO_STATUS_FEATURES_OK)) {
        uint64_t features = (uint64_t)m->guest_features[1] << 32 | m->guest_features[0];

        if (!virtio_set_features(vdev, features) && !(vdev->status & VIRTIO_STATUS_FEATURES_OK)) {
            status &= ~VIRTIO_STATUS_FEATURES_OK; /* the driver reads it back and gives up */
        }
    }
    virtio_set_status(vdev, status);
    if (status == 0) {
        soft_reset(m);
    }
}

static void write_driver_features(VirtIOMmio *m, uint32_t value)
{
    if (!m->force_legacy) {
        if (m->guest_features_sel < 2) {
            m->guest_features[m->guest_features_sel] = value;
        }
    } else if (m->guest_features_sel == 0) {
        virtio_set_features(m->vdev, value);
    }
}

static void write_queue_ready(VirtIOMmio *m, VirtQueue *vq, uint32_t value)
{
    MmioQueue *q = &m->queues[vq->index];

    if (value & 1) {
        virtio_queue_set_num(vq, q->num);
        virtio_queue_set_rings(vq, (uint64_t)q->desc[1] << 32 | q->desc[0],
                               (uint64_t)q->avail[1] << 32 | q->avail[0],
                               (uint64_t)q->used[1] << 32 | q->used[0]);
    }
    q->enabled = vq->enabled = value & 1;
}

static void write_queue_register(VirtIOMmio *m, hwaddr addr, uint32_t value)
{
    VirtQueue *vq = selected(m);
    MmioQueue *q;

    if (!vq || vq->num == 0) {
        return;
    }
    q = &m->queues[vq->index];
    switch (addr) {
    case REG_QUEUE_NUM:
        virtio_queue_set_num(vq, value);
        q->num = value;
        if (m->force_legacy) {
            virtio_update_legacy_rings(vq);
        }
        break;
    case REG_QUEUE_ALIGN:
        if (m->force_legacy) {
            virtio_queue_set_align(vq, value);
        }
        break;
    case REG_QUEUE_PFN:
        if (m->force_legacy && value == 0) {
            virtio_reset(m->vdev);
        } else if (m->force_legacy) {
            virtio_queue_set_addr(vq, (uint64_t)value << m->guest_page_shift);
        }
        break;
    case REG_QUEUE_READY:
        if (!m->force_legacy) {
            write_queue_ready(m, vq, value);
        }
        break;
    case REG_QUEUE_DESC_LOW:
    case REG_QUEUE_DESC_HIGH:
        q->desc[(addr - REG_QUEUE_DESC_LOW) / 4] = value;
        break;
    case REG_QUEUE_AVAIL_LOW:
    case REG_QUEUE_AVAIL_HIGH:
        q->avail[(addr - REG_QUEUE_AVAIL_LOW) / 4] = value;
        break;
    case REG_QUEUE_USED_LOW:
    case REG_QUEUE_USED_HIGH:
        q->used[(addr - REG_QUEUE_USED_LOW) / 4] = value;
        break;
    }
}

static void write_register(VirtIOMmio *m, hwaddr addr, uint32_t value)
{
    VirtIODevice *vdev = m->vdev;

    switch (addr) {
    case REG_DEVICE_FEATURES_SEL:
        m->host_features_sel = value;
        break;
    case REG_DRIVER_FEATURES_SEL:
        m->guest_features_sel = value;
        break;
    case REG_DRIVER_FEATURES:
        write_driver_features(m, value);
        break;
    case REG_GUEST_PAGE_SIZE:
        if (m->force_legacy) {
            m->guest_page_shift = value ? ctz64(value) : 0;
        }
        break;
    case REG_QUEUE_SEL:
        if (value < VIRTIO_QUEUE_MAX) {
            vdev->queue_sel = value;
        }
        break;
    case REG_QUEUE_NOTIFY:
        virtio_queue_kick(vdev, value);
        break;
    case REG_INTERRUPT_ACK:
        atomic_and(&vdev->isr, ~value);
        virtio_deliver_interrupts(vdev);
        break;
    case REG_STATUS:
        write_status(m, value);
        break;
    default:
        write_queue_register(m, addr, value);
    }
}

static MemTxResult mmio_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    VirtIOMmio *m = opaque;

    if (!m->vdev) {
        return MEMTX_OK;
    }
    if (addr >= REG_CONFIG) {
        virtio_config_write(m->vdev, addr - REG_CONFIG, data, size);
    } else if (size != 4) {
        trace(virtio_mmio_bad_access, addr, size);
    } else {
        write_register(m, addr, data);
    }
    return MEMTX_OK;
}

static const MemoryRegionOps mmio_ops = {.read = mmio_read, .write = mmio_write};

/* --- what the device asks of its transport --- */

static void mmio_update_irq(VirtIODevice *vdev)
{
    VirtIOMmio *m = vdev->transport_opaque;

    irq_set(m->irq, atomic_read(&vdev->isr) != 0);
}

static bool mmio_is_modern(VirtIODevice *vdev)
{
    return !((VirtIOMmio *)vdev->transport_opaque)->force_legacy;
}

static char *mmio_state_prefix(VirtIODevice *vdev)
{
    VirtIOMmio *m = vdev->transport_opaque;

    return g_strdup_printf("virtio-mmio@%016" PRIx64, m->mmio.addr);
}

static void mmio_config_state(StateIO *io, VirtIODevice *vdev)
{
    VirtIOMmio *m = vdev->transport_opaque;

    if (state_loading(io)) {
        hard_reset(m);
    }
    STATE_U32(io, m->host_features_sel);
    STATE_U32(io, m->guest_features_sel);
    STATE_U32_RANGE(io, m->guest_page_shift, 0, 31);
}

static void mmio_extra_state(StateIO *io, VirtIODevice *vdev)
{
    VirtIOMmio *m = vdev->transport_opaque;

    if (!state_subsection(io, "virtio_mmio/state", 1, true)) {
        return;
    }
    STATE_U32S(io, m->guest_features, 2);
    for (unsigned i = 0; i < VIRTIO_QUEUE_MAX && !state_failed(io); i++) {
        MmioQueue *q = &m->queues[i];

        STATE_U16(io, q->num);
        STATE_BOOL(io, q->enabled);
        STATE_U32S(io, q->desc, 2);
        STATE_U32S(io, q->avail, 2);
        STATE_U32S(io, q->used, 2);
        if (state_loading(io) && i < vdev->n_queues) {
            vdev->queues[i].enabled = q->enabled;
        }
    }
    state_subsection_end(io);
}

static const VirtIOTransportOps mmio_transport = {
    .update_irq = mmio_update_irq,
    .config_state = mmio_config_state,
    .extra_state = mmio_extra_state,
    .is_modern = mmio_is_modern,
    .state_prefix = mmio_state_prefix,
};

/* --- bus and device --- */

static bool mmio_plug(Bus *bus, Device *child, GError **error)
{
    VirtIOMmio *m = (VirtIOMmio *)bus->owner;

    if (m->vdev) {
        return fail(error, "'%s' holds a device already", bus->name);
    }
    m->vdev = (VirtIODevice *)child;
    virtio_plug(m->vdev, &mmio_transport, m);
    return true;
}

static void mmio_unplug(Bus *bus, Device *child)
{
    VirtIOMmio *m = (VirtIOMmio *)bus->owner;

    m->vdev = NULL;
    hard_reset(m);
    irq_lower(m->irq);
}

static const BusOps mmio_bus_ops = {.type = virtio_bus_type, .plug = mmio_plug, .unplug = mmio_unplug};

static void mmio_init(Device *dev)
{
    VirtIOMmio *m = (VirtIOMmio *)dev;

    memory_region_init_io(&m->mmio, dev, &mmio_ops, m, "virtio-mmio", MMIO_SIZE);
    device_init_mmio(dev, &m->mmio);
    device_init_irq_out(dev, &m->irq, NULL, 1);
}

static bool mmio_realize(Device *dev, GError **error)
{
    static unsigned n_slots; /* bus names count the slots */
    VirtIOMmio *m = (VirtIOMmio *)dev;
    unsigned slot = m->slot == UINT32_MAX ? n_slots : m->slot;
    g_autofree char *name = g_strdup_printf("virtio-mmio-bus.%u", slot);

    m->bus = bus_new(dev, &mmio_bus_ops, name);
    m->bus->max_children = 1;
    n_slots++;
    return true;
}

static void mmio_reset(Device *dev)
{
    hard_reset((VirtIOMmio *)dev);
}

static const Field mmio_properties[] = {
    F_BOOL(VirtIOMmio, force_legacy, "force-legacy", .optional = true, .default_value = "on",
           .help = "show the register set of legacy drivers"),
    F_U32(VirtIOMmio, slot, "slot", .optional = true, .default_value = "4294967295",
          .help = "number of the slot's bus"),
    FIELD_END,
};

DEVICE_TYPE(device_type_virtio_mmio, .name = "virtio-mmio", .help = "a slot for a virtio device",
            .category = "misc", .instance_size = sizeof(VirtIOMmio), .properties = mmio_properties,
            .init = mmio_init, .realize = mmio_realize, .reset = mmio_reset);
