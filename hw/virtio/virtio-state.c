/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a virtio device in the stream: transport, common part, queues, the device's own part, and then
 * what later times added as subsections of "virtio".
 *
 * Nothing loaded is trusted: sizes and indexes are checked here, ring addresses and contents at each use.
 */
#include "hw/virtio.h"

#include <string.h>

#include "util/atomic.h"
#include "util/file.h"
#include "virtio-private.h"

static void common_state(StateIO *io, VirtIODevice *vdev)
{
    uint32_t features = vdev->guest_features;
    uint32_t config_len = vdev->config_len;

    STATE_U8(io, vdev->status);
    STATE_U8(io, vdev->isr);
    STATE_U16(io, vdev->queue_sel);
    STATE_U32(io, features);
    STATE_U32_RANGE(io, config_len, 0, 4096);
    if (state_loading(io)) {
        if (features & ~vdev->host_features & UINT32_MAX) {
            state_fail(io, "features 0x%x are not all offered here (0x%x)", features,
                       (uint32_t)vdev->host_features);
            return;
        }
        vdev->guest_features = features;
    }
    if (state_saving(io) && state_native(io)) { /* the peer sends what the guest saw when it last read it */
        vdev->ops->get_config(vdev, vdev->config);
    }
    if (!state_failed(io)) {
        /* a peer may know fewer or more bytes of the configuration */
        STATE_BUFFER(io, vdev->config, MIN(config_len, vdev->config_len));
        if (config_len > vdev->config_len) {
            state_unused(io, config_len - vdev->config_len);
        }
    }
}

static unsigned queues_in_use(const VirtIODevice *vdev)
{
    unsigned n = 0;

    while (n < vdev->n_queues && vdev->queues[n].num > 0) {
        n++;
    }
    return n;
}

static void queue_state(StateIO *io, VirtQueue *vq)
{
    STATE_U32_RANGE(io, vq->num, 1, VIRTQUEUE_MAX_SIZE);
    STATE_U32(io, vq->align);
    STATE_U64(io, vq->desc);
    STATE_U16(io, vq->last_avail_idx);
    if (!state_loading(io)) {
        return;
    }
    if (vq->align == 0 || (vq->align & (vq->align - 1)) != 0) {
        state_fail(io, "queue %u has an alignment of %u", vq->index, vq->align);
        vq->align = 4096;
        return;
    }
    vq->shadow_avail_idx = vq->last_avail_idx;
    vq->signalled_used_valid = false;
    vq->notification = true;
    vq->inuse = 0;
    virtio_update_legacy_rings(vq);
}

static void queues_state(StateIO *io, VirtIODevice *vdev)
{
    uint32_t n_queues = queues_in_use(vdev);

    STATE_U32_RANGE(io, n_queues, 0, VIRTIO_QUEUE_MAX);
    if (state_loading(io) && n_queues > vdev->n_queues) {
        state_fail(io, "it has %u queues, the device here %u", n_queues, vdev->n_queues);
    }
    for (unsigned i = 0; i < n_queues && !state_failed(io); i++) {
        queue_state(io, &vdev->queues[i]);
    }
}

/* --- subsections --- */

static void features_subsection(StateIO *io, VirtIODevice *vdev)
{
    uint64_t features = vdev->guest_features;

    if (!state_subsection(io, "virtio/64bit_features", 1, true)) {
        return;
    }
    STATE_U64(io, features);
    if (state_loading(io)) {
        if (features & ~vdev->host_features) {
            state_fail(io, "features 0x%" PRIx64 " are not all offered here (0x%" PRIx64 ")", features,
                       vdev->host_features);
        } else {
            vdev->guest_features = features;
        }
    }
    state_subsection_end(io);
}

static bool is_modern(VirtIODevice *vdev)
{
    return vdev->transport && vdev->transport->is_modern(vdev);
}

static void rings_subsection(StateIO *io, VirtIODevice *vdev)
{
    VirtQueue none = {0};

    if (!state_subsection(io, "virtio/virtqueues", 1, is_modern(vdev))) {
        return;
    }
    for (unsigned i = 0; i < VIRTIO_QUEUE_MAX && !state_failed(io); i++) {
        VirtQueue *vq = i < vdev->n_queues ? &vdev->queues[i] : &none;

        STATE_U64(io, vq->avail);
        STATE_U64(io, vq->used);
    }
    state_subsection_end(io);
}

static bool ring_sizes_changed(const VirtIODevice *vdev)
{
    for (unsigned i = 0; i < vdev->n_queues; i++) {
        if (vdev->queues[i].num != vdev->queues[i].num_default) {
            return true;
        }
    }
    return false;
}

static void ring_sizes_subsection(StateIO *io, VirtIODevice *vdev)
{
    if (!state_subsection(io, "virtio/ringsize", 1, ring_sizes_changed(vdev))) {
        return;
    }
    for (unsigned i = 0; i < VIRTIO_QUEUE_MAX && !state_failed(io); i++) {
        uint32_t num_default = i < vdev->n_queues ? vdev->queues[i].num_default : 0;

        STATE_U32(io, num_default);
        if (!state_loading(io) || i >= vdev->n_queues) {
            continue;
        }
        if (num_default == 0 || num_default > VIRTQUEUE_MAX_SIZE) {
            state_fail(io, "queue %u has a default size of %u", i, num_default);
        } else {
            vdev->queues[i].num_default = num_default;
        }
    }
    state_subsection_end(io);
}

static void flag_subsection(StateIO *io, const char *name, bool *flag)
{
    if (state_subsection(io, name, 1, *flag)) {
        bool value = *flag;

        STATE_BOOL(io, value);
        if (state_loading(io)) {
            *flag = value;
        }
        state_subsection_end(io);
    }
}

static void extra_subsection(StateIO *io, VirtIODevice *vdev)
{
    if (state_subsection(io, "virtio/extra_state", 1, is_modern(vdev))) {
        vdev->transport->extra_state(io, vdev);
        state_subsection_end(io);
    }
}

/* --- after loading --- */

/* The used index is not in the stream: it is in the ring itself. */
static void find_used_index(VirtQueue *vq)
{
    uint8_t raw[2] = {0};

    if (vq->used != 0) {
        address_space_read(&address_space_memory, vq->used + 2, raw, sizeof(raw));
    }
    vq->used_idx = raw[0] | raw[1] << 8;
    vq->signalled_used = 0;
}

static void loaded_queue(StateIO *io, VirtQueue *vq)
{
    if (vq->desc == 0) {
        if (vq->last_avail_idx != 0) {
            state_fail(io, "queue %u has no address but an index of %u", vq->index, vq->last_avail_idx);
        }
        return;
    }
    find_used_index(vq);
    vq->inuse = (uint16_t)(vq->last_avail_idx - vq->used_idx);
    if ((uint16_t)(vq->last_avail_idx - vq->used_idx) > vq->num) {
        state_fail(io, "queue %u: last avail index %u and used index %u do not fit in a ring of %u",
                   vq->index, vq->last_avail_idx, vq->used_idx, vq->num);
    }
}

static void loaded(StateIO *io, VirtIODevice *vdev)
{
    for (unsigned i = 0; i < vdev->n_queues && !state_failed(io); i++) {
        loaded_queue(io, &vdev->queues[i]);
    }
    if (state_failed(io)) {
        return;
    }
    if (vdev->ops->set_features) {
        vdev->ops->set_features(vdev, vdev->guest_features);
    }
    if (vdev->ops->set_config && !is_zero(vdev->config, vdev->config_len)) { /* else: no guest has read it yet */
        vdev->ops->set_config(vdev, vdev->config);
    }
    if (vdev->ops->set_status) {
        vdev->ops->set_status(vdev, vdev->status);
    }
    if (vdev->status & VIRTIO_STATUS_DRIVER_OK) {
        virtio_set_started(vdev, true);
    }
    virtio_deliver_interrupts(vdev);
}

void virtio_state(StateIO *io, void *opaque)
{
    VirtIODevice *vdev = opaque;

    if (state_loading(io)) {
        virtio_reset(vdev);
    }
    if (vdev->transport) {
        vdev->transport->config_state(io, vdev);
    }
    common_state(io, vdev);
    queues_state(io, vdev);
    if (vdev->ops->state && !state_failed(io)) {
        vdev->ops->state(io, vdev);
    }
    features_subsection(io, vdev);
    rings_subsection(io, vdev);
    ring_sizes_subsection(io, vdev);
    flag_subsection(io, "virtio/broken", &vdev->broken);
    extra_subsection(io, vdev);
    flag_subsection(io, "virtio/started", &vdev->started);
    if (state_loading(io)) {
        loaded(io, vdev);
    }
}
