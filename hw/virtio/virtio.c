/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The common part of virtio devices: status, features, configuration space, interrupts, kicks.
 *
 * Interrupts: the cause is set in vdev->isr (atomic, any thread), then the transport drives its line.  The
 * line is the big lock's, so a queue's own loop leaves that to a bottom half on the main loop.
 */
#include "hw/virtio.h"

#include <stdarg.h>
#include <string.h>

#include "backend/block.h"
#include "system/runstate.h"
#include "util/atomic.h"
#include "util/bits.h"
#include "util/bswap.h"
#include "util/error.h"
#include "util/trace.h"
#include "virtio-private.h"

TRACE_EVENT(virtio_set_status, "%s status 0x%x");
TRACE_EVENT(virtio_kick, "%s queue %u");

const char virtio_bus_type[] = "virtio-bus";

/* --- interrupts --- */

static void deliver_on_main_loop(void *opaque)
{
    VirtIODevice *vdev = opaque;
    bool taken = !bql_locked();

    if (taken) {
        bql_lock();
    }
    virtio_deliver_interrupts(vdev);
    if (taken) {
        bql_unlock();
    }
}

void virtio_deliver_interrupts(VirtIODevice *vdev)
{
    if (vdev->transport) {
        vdev->transport->update_irq(vdev);
    }
}

static void raise_interrupt(VirtIODevice *vdev, uint8_t cause)
{
    atomic_or(&vdev->isr, cause);
    if (bql_locked()) {
        virtio_deliver_interrupts(vdev);
    } else {
        bh_schedule(vdev->irq_bh);
    }
}

void virtio_notify(VirtIODevice *vdev, VirtQueue *vq)
{
    if (virtqueue_wants_interrupt(vq)) {
        raise_interrupt(vdev, VIRTIO_ISR_QUEUE);
    }
}

void virtio_notify_config(VirtIODevice *vdev)
{
    if (vdev->status & VIRTIO_STATUS_DRIVER_OK) {
        vdev->generation++;
        raise_interrupt(vdev, VIRTIO_ISR_CONFIG);
    }
}

void virtio_error(VirtIODevice *vdev, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    if (atomic_xchg(&vdev->broken, true)) {
        return; /* said already; the guest must reset it first */
    }
    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    warn_report("%s: %s; the device stops until the guest resets it", vdev->ops->name, text);
    if (virtio_has_feature(vdev, VIRTIO_F_VERSION_1)) {
        (void)__atomic_fetch_or(&vdev->status, VIRTIO_STATUS_NEEDS_RESET, __ATOMIC_SEQ_CST);
        raise_interrupt(vdev, VIRTIO_ISR_CONFIG);
    }
}

/* --- queues --- */

VirtQueue *virtio_queue(VirtIODevice *vdev, uint32_t index)
{
    return index < vdev->n_queues ? &vdev->queues[index] : NULL;
}

bool virtio_is_live(const VirtIODevice *vdev)
{
    return atomic_read(&vdev->vm_running) && atomic_read(&vdev->started) && !virtio_is_broken(vdev);
}

static void handle_kick(VirtQueue *vq)
{
    if (virtqueue_is_ready(vq) && virtio_is_live(vq->vdev)) {
        vq->handle_output(vq->vdev, vq);
    }
}

static void kicked_on_loop(void *opaque)
{
    VirtQueue *vq = opaque;
    bool taken = !vq->loop && !bql_locked();

    if (taken) {
        bql_lock();
    }
    handle_kick(vq);
    if (taken) {
        bql_unlock();
    }
}

void virtqueue_again(VirtQueue *vq)
{
    bh_schedule(vq->kick_bh);
}

VirtQueue *virtio_add_queue(VirtIODevice *vdev, unsigned size, VirtIOHandleOutput *handle_output,
                            EventLoop *loop)
{
    VirtQueue *vq = &vdev->queues[vdev->n_queues];

    g_return_val_if_fail(vdev->n_queues < VIRTIO_QUEUE_MAX && size <= VIRTQUEUE_MAX_SIZE, NULL);
    vq->vdev = vdev;
    vq->index = vdev->n_queues++;
    vq->num = vq->num_default = size;
    vq->align = 4096;
    vq->handle_output = handle_output;
    vq->loop = loop;
    vq->notification = true;
    vq->kick_bh = bh_new(loop ? loop : event_loop_main(), kicked_on_loop, vq);
    return vq;
}

static void kick(VirtQueue *vq)
{
    if (vq->loop) {
        bh_schedule(vq->kick_bh);
    } else {
        handle_kick(vq);
    }
}

void virtio_queue_kick(VirtIODevice *vdev, uint32_t index)
{
    VirtQueue *vq = virtio_queue(vdev, index);

    if (!vq || !virtqueue_is_ready(vq)) {
        return;
    }
    trace(virtio_kick, vdev->ops->name, (unsigned)vq->index);
    /* drivers of old kick before they say DRIVER_OK */
    if (!virtio_has_feature(vdev, VIRTIO_F_VERSION_1) && (vdev->status & VIRTIO_STATUS_DRIVER)) {
        virtio_set_started(vdev, true);
    }
    kick(vq);
}

static void kick_all(VirtIODevice *vdev)
{
    for (unsigned i = 0; i < vdev->n_queues; i++) {
        if (virtqueue_is_ready(&vdev->queues[i])) {
            kick(&vdev->queues[i]);
        }
    }
}

void virtio_set_started(VirtIODevice *vdev, bool started)
{
    atomic_set(&vdev->started, started);
}

void virtio_queue_set_num(VirtQueue *vq, uint32_t num)
{
    /* a queue neither appears nor vanishes, and cannot outgrow what was offered */
    if (num > 0 && num <= VIRTQUEUE_MAX_SIZE && vq->num > 0) {
        atomic_set(&vq->num, num);
    }
}

void virtio_queue_set_align(VirtQueue *vq, uint32_t align)
{
    if (align > 0 && is_power_of_2(align)) {
        vq->align = align;
        virtio_update_legacy_rings(vq);
    }
}

/* The legacy layout: descriptors, avail ring with its event, then, aligned, the used ring. */
void virtio_update_legacy_rings(VirtQueue *vq)
{
    if (vq->desc != 0) {
        atomic_set(&vq->avail, vq->desc + (uint64_t)vq->num * 16);
        atomic_set(&vq->used, ROUND_UP(vq->avail + 4 + (uint64_t)vq->num * 2 + 2, (uint64_t)vq->align));
    }
}

void virtio_queue_set_addr(VirtQueue *vq, hwaddr addr)
{
    atomic_set(&vq->desc, addr);
    if (addr == 0) {
        atomic_set(&vq->avail, 0);
        atomic_set(&vq->used, 0);
    }
    virtio_update_legacy_rings(vq);
}

void virtio_queue_set_rings(VirtQueue *vq, hwaddr desc, hwaddr avail, hwaddr used)
{
    atomic_set(&vq->desc, desc);
    atomic_set(&vq->avail, avail);
    atomic_set(&vq->used, used);
}

static void queue_reset(VirtQueue *vq)
{
    virtio_queue_set_rings(vq, 0, 0, 0);
    atomic_set(&vq->num, vq->num_default);
    vq->align = 4096;
    vq->enabled = false;
    vq->last_avail_idx = vq->shadow_avail_idx = vq->used_idx = vq->signalled_used = 0;
    vq->signalled_used_valid = false;
    vq->notification = true;
    vq->inuse = 0;
}

/* --- status and features --- */

void virtio_reset(VirtIODevice *vdev)
{
    virtio_set_started(vdev, false);
    if (vdev->ops->reset) {
        vdev->ops->reset(vdev);
    }
    vdev->status = 0;
    vdev->queue_sel = 0;
    vdev->guest_features = 0;
    vdev->generation++;
    atomic_set(&vdev->isr, 0);
    atomic_set(&vdev->broken, false);
    for (unsigned i = 0; i < vdev->n_queues; i++) {
        queue_reset(&vdev->queues[i]);
    }
    virtio_deliver_interrupts(vdev);
}

void virtio_device_reset(Device *dev)
{
    virtio_reset((VirtIODevice *)dev);
}

static bool is_modern(VirtIODevice *vdev)
{
    return vdev->transport && vdev->transport->is_modern(vdev);
}

bool virtio_set_features(VirtIODevice *vdev, uint64_t features)
{
    bool known = (features & ~vdev->host_features) == 0;

    if (vdev->status & VIRTIO_STATUS_FEATURES_OK) {
        return false; /* settled */
    }
    vdev->guest_features = features & vdev->host_features;
    if (vdev->ops->set_features) {
        vdev->ops->set_features(vdev, vdev->guest_features);
    }
    return known;
}

void virtio_set_status(VirtIODevice *vdev, uint8_t status)
{
    bool features_now = (status & VIRTIO_STATUS_FEATURES_OK) && !(vdev->status & VIRTIO_STATUS_FEATURES_OK);

    trace(virtio_set_status, vdev->ops->name, status);
    if (status == 0) {
        virtio_reset(vdev);
        return;
    }
    if (features_now && is_modern(vdev) && !virtio_has_feature(vdev, VIRTIO_F_VERSION_1)) {
        status &= ~VIRTIO_STATUS_FEATURES_OK; /* a legacy driver on a modern transport */
    }
    if (vdev->ops->set_status) {
        vdev->ops->set_status(vdev, status);
    }
    vdev->status = status;
    if (status & VIRTIO_STATUS_DRIVER_OK) {
        virtio_set_started(vdev, true);
    }
}

/* --- configuration space --- */

uint64_t virtio_config_read(VirtIODevice *vdev, uint32_t offset, unsigned size)
{
    if (offset > vdev->config_len || size > vdev->config_len - offset) {
        return UINT64_MAX;
    }
    vdev->ops->get_config(vdev, vdev->config);
    return ldn_le_p(vdev->config + offset, size);
}

void virtio_config_write(VirtIODevice *vdev, uint32_t offset, uint64_t value, unsigned size)
{
    if (offset > vdev->config_len || size > vdev->config_len - offset) {
        return;
    }
    stn_le_p(vdev->config + offset, size, value);
    if (vdev->ops->set_config) {
        vdev->ops->set_config(vdev, vdev->config);
    }
}

/* --- the device's life --- */

static void machine_changed(void *opaque, bool running, RunState state)
{
    VirtIODevice *vdev = opaque;

    if (running) {
        atomic_set(&vdev->vm_running, true);
        if (vdev->ops->vm_running) {
            vdev->ops->vm_running(vdev, true);
        }
        kick_all(vdev); /* what came while it stood, or with an incoming machine */
        return;
    }
    atomic_set(&vdev->vm_running, false);
    if (vdev->ops->vm_running) {
        vdev->ops->vm_running(vdev, false);
    }
    virtio_deliver_interrupts(vdev);
}

void virtio_init(VirtIODevice *vdev, const VirtIOOps *ops, uint32_t config_len)
{
    vdev->ops = ops;
    vdev->config_len = config_len;
    vdev->config = g_malloc0(MAX(config_len, 1));
    vdev->queues = g_new0(VirtQueue, VIRTIO_QUEUE_MAX);
    vdev->irq_bh = bh_new(event_loop_main(), deliver_on_main_loop, vdev);
    vdev->vm_running = runstate_is_running();
    vm_state_change_add(machine_changed, vdev);
}

void virtio_cleanup(VirtIODevice *vdev)
{
    vm_state_change_remove(machine_changed, vdev);
    virtio_set_started(vdev, false);
    for (unsigned i = 0; i < vdev->n_queues; i++) {
        bh_free(vdev->queues[i].kick_bh);
    }
    bh_free(vdev->irq_bh);
    g_clear_pointer(&vdev->queues, g_free);
    g_clear_pointer(&vdev->config, g_free);
    vdev->n_queues = 0;
}

static uint64_t common_features(const VirtIODevice *vdev)
{
    return (vdev->prop_indirect_desc ? VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) : 0) |
           (vdev->prop_event_idx ? VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX) : 0) |
           (vdev->prop_notify_on_empty ? VIRTIO_FEATURE(VIRTIO_F_NOTIFY_ON_EMPTY) : 0) |
           (vdev->prop_any_layout ? VIRTIO_FEATURE(VIRTIO_F_ANY_LAYOUT) : 0);
}

void virtio_plug(VirtIODevice *vdev, const VirtIOTransportOps *transport, void *opaque)
{
    g_autofree char *prefix = NULL;

    vdev->transport = transport;
    vdev->transport_opaque = opaque;
    vdev->host_features = vdev->ops->get_features(vdev, common_features(vdev));
    if (is_modern(vdev)) {
        vdev->host_features |= VIRTIO_FEATURE(VIRTIO_F_VERSION_1);
    } else {
        vdev->host_features &= UINT32_MAX;
    }
    prefix = transport->state_prefix(vdev);
    g_free(vdev->dev.state_id);
    vdev->dev.state_id = g_strconcat(prefix, "/", vdev->ops->name, NULL);
}

/* --- "-drive if=virtio" --- */

static bool add_disk(const BlockBackend *b, GError **error)
{
    g_autofree char *text = g_strdup_printf("virtio-blk-device,drive=%s", block_name(b));
    g_autoptr(GPtrArray) pairs = options_split(text, "driver", error);

    return pairs && device_add_from_options(pairs, error) != NULL;
}

bool virtio_create_default_devices(GError **error)
{
    for (int unit = 0; unit <= 1000; unit++) {
        BlockBackend *b = drive_get(DRIVE_IF_VIRTIO, unit);

        if (b && !block_user(b) && !add_disk(b, error)) {
            return false;
        }
    }
    return true;
}
