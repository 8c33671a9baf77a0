/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net: a network card (virtio 1.2, 5.1) with one pair of queues and a control queue.
 *
 * Sending runs in a bottom half of the main loop, so that a guest's kick returns at once and several packets
 * go together. Receiving happens when the back end hands over a frame; a frame for which the guest has no
 * buffers waits at the back end until the guest adds some.  Everything under the big lock.
 */
#include "hw/virtio.h"

#include <string.h>

#include "backend/net.h"
#include "system/runstate.h"
#include "util/bits.h"
#include "util/bswap.h"
#include "util/error.h"
#include "virtio-net.h"

#define TX_BURST    256
#define HEADER_MAX  12
#define CONFIG_SIZE 8 /* mac, status */

enum { RX = 0, TX = 1, CTRL = 2 };

static VirtIONet *net_of(VirtIODevice *vdev)
{
    return (VirtIONet *)vdev;
}

static size_t header_size(const VirtIONet *n)
{
    return n->mergeable_rx_bufs || virtio_has_feature(&n->vdev, VIRTIO_F_VERSION_1) ? 12 : 10;
}

/* --- receiving --- */

static bool enough_buffers(VirtIONet *n, size_t bytes)
{
    return n->mergeable_rx_bufs ? virtqueue_room(n->rx, bytes) >= bytes : !virtqueue_is_empty(n->rx);
}

/* Leaves the driver's buffers where they are unless there are enough for @bytes. */
static bool have_buffers(VirtIONet *n, size_t bytes)
{
    VirtQueue *vq = n->rx;

    if (enough_buffers(n, bytes)) {
        virtqueue_set_notification(vq, false);
        return true;
    }
    /* ask for a kick, then look again: the driver may have added some before it saw that */
    virtqueue_set_notification(vq, true);
    return enough_buffers(n, bytes);
}

/* Writes the header and the frame into as many requests as it takes; returns how many, 0 on failure. */
static unsigned copy_to_guest(VirtIONet *n, const uint8_t *frame, size_t len)
{
    uint8_t header[HEADER_MAX] = {0};
    size_t head = header_size(n), done = 0;
    VirtQueueElement *first = NULL;
    uint32_t first_len = 0;
    unsigned count = 0;

    while (done < len || count == 0) {
        VirtQueueElement *elem = virtqueue_pop(n->rx);
        size_t at = 0, part;

        if (!elem) {
            break;
        }
        if (count == 0 && virtio_iov_size(elem->in_sg, elem->in_num) < head) {
            virtio_error(&n->vdev, "a receive buffer has no room for the header");
            virtqueue_drop(n->rx, elem);
            return 0;
        }
        if (count == 0) {
            at = virtio_iov_from_buf(elem->in_sg, elem->in_num, 0, header, head);
        }
        part = virtio_iov_from_buf(elem->in_sg, elem->in_num, at, frame + done, len - done);
        done += part;
        if (count == 0) {
            first = elem; /* its header counts the buffers: filled in last */
            first_len = at + part;
        } else {
            virtqueue_fill(n->rx, elem, part, count);
        }
        count++;
        if (!n->mergeable_rx_bufs) {
            break;
        }
    }
    if (!first) {
        return 0;
    }
    if (n->mergeable_rx_bufs) {
        stw_le_p(header, count);
        virtio_iov_from_buf(first->in_sg, first->in_num, 10, header, 2);
    } else if (head == 12) {
        stw_le_p(header, 1);
        virtio_iov_from_buf(first->in_sg, first->in_num, 10, header, 2);
    }
    virtqueue_fill(n->rx, first, first_len, 0);
    return count;
}

static bool net_receive(NetClient *nc, const uint8_t *frame, size_t len)
{
    VirtIONet *n = container_of(nc, VirtIONet, nc);
    unsigned count;

    if (!runstate_is_running()) {
        return false; /* waits until the machine goes on */
    }
    if (!virtio_is_live(&n->vdev) || !virtqueue_is_ready(n->rx) ||
        !(n->vdev.status & VIRTIO_STATUS_DRIVER_OK)) {
        return true; /* nobody listens */
    }
    if (!virtio_net_accepts(n, frame, len)) {
        return true;
    }
    if (!have_buffers(n, header_size(n) + len)) {
        return virtio_is_broken(&n->vdev);
    }
    count = copy_to_guest(n, frame, len);
    if (count > 0) {
        virtqueue_flush(n->rx, count);
        virtio_notify(&n->vdev, n->rx);
    }
    return true;
}

static void handle_rx(VirtIODevice *vdev, VirtQueue *vq)
{
    net_flush(&net_of(vdev)->nc);
}

/* --- sending --- */

static bool send_one(VirtIONet *n, VirtQueueElement *elem)
{
    size_t head = header_size(n);
    size_t size = virtio_iov_size(elem->out_sg, elem->out_num);
    g_autofree uint8_t *copy = NULL;

    if (elem->out_num == 0 || size < head) {
        virtio_error(&n->vdev, "a packet to send without header");
        return false;
    }
    if (size - head > NET_FRAME_MAX) {
        return true; /* too large for anybody: lost, as on a wire */
    }
    virtio_iov_discard_front(&elem->out_sg, &elem->out_num, head);
    if (elem->out_num == 1) {
        net_send(&n->nc, elem->out_sg[0].iov_base, elem->out_sg[0].iov_len);
        return true;
    }
    copy = g_malloc(size - head + 1);
    virtio_iov_to_buf(elem->out_sg, elem->out_num, 0, copy, size - head);
    net_send(&n->nc, copy, size - head);
    return true;
}

/* Returns whether there may be more. */
static bool send_burst(VirtIONet *n)
{
    for (unsigned i = 0; i < TX_BURST; i++) {
        VirtQueueElement *elem = virtqueue_pop(n->tx);

        if (!elem) {
            return false;
        }
        if (!send_one(n, elem)) {
            virtqueue_drop(n->tx, elem);
            return false;
        }
        virtqueue_push(n->tx, elem, 0);
        virtio_notify(&n->vdev, n->tx);
    }
    return true;
}

static void send_entered(VirtIONet *n)
{
    if (!n->tx_waiting || !virtio_is_live(&n->vdev)) {
        return; /* tx_waiting stays: goes on when the machine does */
    }
    n->tx_waiting = 0;
    virtqueue_set_notification(n->tx, false);
    if (!send_burst(n)) {
        virtqueue_set_notification(n->tx, true);
        if (virtqueue_is_empty(n->tx)) {
            return;
        }
        virtqueue_set_notification(n->tx, false);
    }
    n->tx_waiting = 1;
    bh_schedule(n->tx_bh);
}

static void send_on_main_loop(void *opaque)
{
    bool taken = !bql_locked();

    if (taken) {
        bql_lock();
    }
    send_entered(opaque);
    if (taken) {
        bql_unlock();
    }
}

static void handle_tx(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIONet *n = net_of(vdev);

    if (!n->tx_waiting) {
        n->tx_waiting = 1;
        virtqueue_set_notification(vq, false);
        bh_schedule(n->tx_bh);
    }
}

/* --- link and announcement --- */

static void net_link_changed(NetClient *nc)
{
    VirtIONet *n = container_of(nc, VirtIONet, nc);
    uint16_t old = n->status;

    n->status = nc->link_down ? n->status & ~NET_S_LINK_UP : n->status | NET_S_LINK_UP;
    if (n->status != old) {
        virtio_notify_config(&n->vdev);
    }
}

/* After a move the switches of the world should learn where the guest is: its driver says so. */
static void ask_for_announcement(VirtIONet *n)
{
    n->announce_due = false;
    if (virtio_has_feature(&n->vdev, NET_F_GUEST_ANNOUNCE) && virtio_has_feature(&n->vdev, NET_F_CTRL_VQ)) {
        n->status |= NET_S_ANNOUNCE;
        virtio_notify_config(&n->vdev);
    }
}

static void net_vm_running(VirtIODevice *vdev, bool running)
{
    VirtIONet *n = net_of(vdev);

    if (!running) {
        bh_cancel(n->tx_bh);
        return;
    }
    if (n->announce_due) {
        ask_for_announcement(n);
    }
    if (n->tx_waiting) {
        bh_schedule(n->tx_bh);
    }
    net_flush(&n->nc);
}

/* --- virtio --- */

static uint64_t net_get_features(VirtIODevice *vdev, uint64_t features)
{
    VirtIONet *n = net_of(vdev);

    features |= VIRTIO_FEATURE(NET_F_MAC);
    features |= n->prop_status ? VIRTIO_FEATURE(NET_F_STATUS) : 0;
    features |= n->prop_mrg_rxbuf ? VIRTIO_FEATURE(NET_F_MRG_RXBUF) : 0;
    if (n->prop_ctrl_vq) {
        features |= VIRTIO_FEATURE(NET_F_CTRL_VQ) | VIRTIO_FEATURE(NET_F_CTRL_RX) |
                    VIRTIO_FEATURE(NET_F_CTRL_VLAN) | VIRTIO_FEATURE(NET_F_CTRL_RX_EXTRA) |
                    VIRTIO_FEATURE(NET_F_CTRL_MAC_ADDR) | VIRTIO_FEATURE(NET_F_CTRL_GUEST_OFFLOADS) |
                    VIRTIO_FEATURE(NET_F_GUEST_ANNOUNCE);
    }
    return features;
}

static void net_set_features(VirtIODevice *vdev, uint64_t features)
{
    VirtIONet *n = net_of(vdev);

    n->mergeable_rx_bufs = features >> NET_F_MRG_RXBUF & 1;
    /* without the filter command all frames of all VLANs pass */
    if (!(features >> NET_F_CTRL_VLAN & 1)) {
        memset(n->vlans, 0xff, sizeof(n->vlans));
    }
}

static void net_get_config(VirtIODevice *vdev, uint8_t *config)
{
    VirtIONet *n = net_of(vdev);

    memcpy(config, n->mac, ETH_ALEN);
    stw_le_p(config + ETH_ALEN, n->status);
}

/* Old drivers write the address here; later ones use the control queue. */
static void net_set_config(VirtIODevice *vdev, const uint8_t *config)
{
    VirtIONet *n = net_of(vdev);

    if (!virtio_has_feature(vdev, NET_F_CTRL_MAC_ADDR) && !virtio_has_feature(vdev, VIRTIO_F_VERSION_1)) {
        memcpy(n->mac, config, ETH_ALEN);
    }
}

static void net_reset(VirtIODevice *vdev)
{
    VirtIONet *n = net_of(vdev);

    bh_cancel(n->tx_bh);
    n->tx_waiting = 0;
    n->mergeable_rx_bufs = 0;
    n->promisc = 1;
    n->allmulti = n->alluni = n->nomulti = n->nouni = n->nobcast = 0;
    n->announce_due = false;
    n->mac_in_use = n->first_multi = 0;
    n->multi_overflow = n->uni_overflow = 0;
    n->offloads = 0;
    n->status = n->nc.link_down ? 0 : NET_S_LINK_UP;
    memcpy(n->mac, n->permanent_mac, ETH_ALEN);
    memset(n->macs, 0, sizeof(n->macs));
    memset(n->vlans, 0, sizeof(n->vlans));
    net_purge(&n->nc);
}

static void macs_state(StateIO *io, VirtIONet *n)
{
    uint32_t in_use = n->mac_in_use;

    STATE_U32_RANGE(io, in_use, 0, 65535);
    if (state_failed(io)) {
        return;
    }
    if (in_use <= NET_MAC_TABLE) {
        n->mac_in_use = in_use;
        STATE_BUFFER(io, n->macs, in_use * ETH_ALEN);
        return;
    }
    /* a larger table than ours: as if it had overflowed */
    state_unused(io, (size_t)in_use * ETH_ALEN);
    n->mac_in_use = 0;
    n->multi_overflow = n->uni_overflow = 1;
}

static void find_first_multi(VirtIONet *n)
{
    n->first_multi = 0;
    while (n->first_multi < n->mac_in_use && !(n->macs[n->first_multi * ETH_ALEN] & 1)) {
        n->first_multi++;
    }
}

static void net_state(StateIO *io, VirtIODevice *vdev)
{
    VirtIONet *n = net_of(vdev);
    uint32_t has_vnet_hdr = 0;
    uint8_t has_ufo = 0, multi_overflow = n->multi_overflow, uni_overflow = n->uni_overflow;
    bool table_too_large;

    STATE_U8S(io, n->mac, ETH_ALEN);
    STATE_U32(io, n->tx_waiting);
    STATE_U32(io, n->mergeable_rx_bufs);
    STATE_U16(io, n->status);
    STATE_U8(io, n->promisc);
    STATE_U8(io, n->allmulti);
    macs_state(io, n);
    table_too_large = state_loading(io) && n->multi_overflow && n->mac_in_use == 0;
    STATE_BUFFER(io, n->vlans, sizeof(n->vlans));
    STATE_U32(io, has_vnet_hdr);
    STATE_U8(io, multi_overflow);
    STATE_U8(io, uni_overflow);
    STATE_U8(io, n->alluni);
    STATE_U8(io, n->nomulti);
    STATE_U8(io, n->nouni);
    STATE_U8(io, n->nobcast);
    STATE_U8(io, has_ufo);
    if (state_loading(io)) {
        if (has_vnet_hdr || has_ufo) {
            state_fail(io, "its back end does offloads, the one here does not");
            return;
        }
        n->multi_overflow = table_too_large || multi_overflow;
        n->uni_overflow = table_too_large || uni_overflow;
        find_first_multi(n);
        n->announce_due = true;
    }
    if (virtio_has_feature(vdev, NET_F_CTRL_GUEST_OFFLOADS)) {
        STATE_U64(io, n->offloads);
    }
}

static const VirtIOOps net_ops = {
    .name = "virtio-net",
    .device_id = VIRTIO_ID_NET,
    .get_features = net_get_features,
    .set_features = net_set_features,
    .get_config = net_get_config,
    .set_config = net_set_config,
    .reset = net_reset,
    .vm_running = net_vm_running,
    .state = net_state,
};

static const NetClientOps net_client_ops = {
    .kind = "virtio-net", .receive = net_receive, .link_changed = net_link_changed};

static bool queue_size_ok(uint16_t size)
{
    return size >= 256 && size <= VIRTQUEUE_MAX_SIZE && is_power_of_2(size);
}

static bool connect_backend(VirtIONet *n, GError **error)
{
    NetClient *backend;

    if (!n->netdev) {
        warn_report("network card '%s' has no back end (netdev=)", n->nc.name);
        return true;
    }
    backend = net_find(n->netdev);
    if (!backend) {
        return fail(error, "there is no network back end '%s'", n->netdev);
    }
    return net_connect(&n->nc, backend, error);
}

static bool net_realize(Device *dev, GError **error)
{
    VirtIONet *n = (VirtIONet *)dev;

    if (!queue_size_ok(n->rx_queue_size) || !queue_size_ok(n->tx_queue_size)) {
        return fail(error, "queue sizes %u and %u are not powers of two from 256 to %u", n->rx_queue_size,
                    n->tx_queue_size, VIRTQUEUE_MAX_SIZE);
    }
    if (n->mac_text) {
        if (!net_parse_mac(n->mac_text, n->permanent_mac, error)) {
            return false;
        }
    } else {
        net_default_mac(n->permanent_mac);
    }
    net_client_init(&n->nc, &net_client_ops, dev->id ? dev->id : dev->path);
    if (!connect_backend(n, error)) {
        net_client_remove(&n->nc);
        return false;
    }
    n->nc.info = net_format_mac(n->permanent_mac);
    virtio_init(&n->vdev, &net_ops, CONFIG_SIZE);
    n->rx = virtio_add_queue(&n->vdev, n->rx_queue_size, handle_rx, NULL);
    n->tx = virtio_add_queue(&n->vdev, n->tx_queue_size, handle_tx, NULL);
    n->ctrl = virtio_add_queue(&n->vdev, 64, virtio_net_handle_ctrl, NULL);
    n->tx_bh = bh_new(event_loop_main(), send_on_main_loop, n);
    net_reset(&n->vdev);
    return true;
}

static void net_unrealize(Device *dev)
{
    VirtIONet *n = (VirtIONet *)dev;

    virtio_cleanup(&n->vdev);
    bh_free(n->tx_bh);
    net_client_remove(&n->nc);
}

static const Field net_properties[] = {
    VIRTIO_COMMON_PROPERTIES(VirtIONet, vdev),
    F_STRING(VirtIONet, netdev, "netdev", .optional = true, .help = "id of a network back end"),
    F_STRING(VirtIONet, mac_text, "mac", .optional = true, .help = "Ethernet address"),
    F_BOOL(VirtIONet, prop_status, "status", .optional = true, .default_value = "on"),
    F_BOOL(VirtIONet, prop_mrg_rxbuf, "mrg_rxbuf", .optional = true, .default_value = "on"),
    F_BOOL(VirtIONet, prop_ctrl_vq, "ctrl_vq", .optional = true, .default_value = "on"),
    F_U16(VirtIONet, rx_queue_size, "rx_queue_size", .optional = true, .default_value = "256"),
    F_U16(VirtIONet, tx_queue_size, "tx_queue_size", .optional = true, .default_value = "256"),
    FIELD_END,
};

static const StateSection net_section = VIRTIO_STATE_SECTION("virtio-net", 11);

DEVICE_TYPE(device_type_virtio_net, .name = "virtio-net-device", .help = "network card", .bus = "virtio-bus",
            .category = "network", .user_creatable = true, .instance_size = sizeof(VirtIONet),
            .properties = net_properties, .realize = net_realize, .unrealize = net_unrealize,
            .reset = virtio_device_reset, .state = &net_section);
