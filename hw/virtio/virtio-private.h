/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the parts of virtio: the device core, its queues, its state. */
#ifndef HW_VIRTIO_PRIVATE_H
#define HW_VIRTIO_PRIVATE_H

#include "hw/virtio.h"

/* virtqueue.c: whether the driver wants an interrupt for what was pushed. */
bool virtqueue_wants_interrupt(VirtQueue *vq);
/* virtio.c */
void virtio_update_legacy_rings(VirtQueue *vq);
void virtio_set_started(VirtIODevice *vdev, bool started);

#endif
