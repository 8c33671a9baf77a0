/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio-net's receive filter, and the control queue that sets it (virtio 1.2, 5.1.6.5). */
#include "virtio-net.h"

#include <string.h>

#include "util/bswap.h"
#include "util/error.h"

#define ETH_HEADER  14
#define ETH_P_VLAN  0x8100
#define CTRL_HEADER 2

enum { CTRL_RX = 0, CTRL_MAC = 1, CTRL_VLAN = 2, CTRL_ANNOUNCE = 3, CTRL_GUEST_OFFLOADS = 5 };
enum { RX_PROMISC, RX_ALLMULTI, RX_ALLUNI, RX_NOMULTI, RX_NOUNI, RX_NOBCAST };
enum { MAC_TABLE_SET, MAC_ADDR_SET };
enum { VLAN_ADD, VLAN_DEL };
enum { CTRL_OK = 0, CTRL_ERR = 1 };

static const uint8_t broadcast[ETH_ALEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static bool vlan_accepted(const VirtIONet *n, const uint8_t *frame, size_t len)
{
    unsigned id;

    if (len < ETH_HEADER + 2 || lduw_be_p(frame + 12) != ETH_P_VLAN) {
        return true;
    }
    id = lduw_be_p(frame + 14) & 0xfff;
    return n->vlans[id / 32] >> (id % 32) & 1;
}

static bool in_table(const VirtIONet *n, const uint8_t *mac, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        if (memcmp(mac, n->macs + i * ETH_ALEN, ETH_ALEN) == 0) {
            return true;
        }
    }
    return false;
}

static bool multicast_accepted(const VirtIONet *n, const uint8_t *mac)
{
    if (memcmp(mac, broadcast, ETH_ALEN) == 0) {
        return !n->nobcast;
    }
    if (n->nomulti) {
        return false;
    }
    return n->allmulti || n->multi_overflow || in_table(n, mac, n->first_multi, n->mac_in_use);
}

static bool unicast_accepted(const VirtIONet *n, const uint8_t *mac)
{
    if (n->nouni) {
        return false;
    }
    return n->alluni || n->uni_overflow || memcmp(mac, n->mac, ETH_ALEN) == 0 ||
           in_table(n, mac, 0, n->first_multi);
}

bool virtio_net_accepts(const VirtIONet *n, const uint8_t *frame, size_t len)
{
    if (len < ETH_HEADER) {
        return false;
    }
    if (n->promisc) {
        return true;
    }
    return vlan_accepted(n, frame, len) &&
           ((frame[0] & 1) ? multicast_accepted(n, frame) : unicast_accepted(n, frame));
}

/* --- commands: @data is what follows the class and the command --- */

static uint8_t rx_command(VirtIONet *n, uint8_t command, const uint8_t *data, size_t len)
{
    uint8_t *const flags[] = {
        [RX_PROMISC] = &n->promisc, [RX_ALLMULTI] = &n->allmulti, [RX_ALLUNI] = &n->alluni,
        [RX_NOMULTI] = &n->nomulti, [RX_NOUNI] = &n->nouni,       [RX_NOBCAST] = &n->nobcast};

    if (len < 1 || command >= G_N_ELEMENTS(flags)) {
        return CTRL_ERR;
    }
    *flags[command] = data[0] != 0;
    return CTRL_OK;
}

/* One list of "count, addresses"; returns its length in bytes, 0 when it is malformed. */
static size_t take_macs(VirtIONet *n, const uint8_t *data, size_t len, uint8_t *overflow)
{
    uint32_t count;

    if (len < 4 || (count = ldl_le_p(data)) > (len - 4) / ETH_ALEN) {
        return 0;
    }
    if (count <= NET_MAC_TABLE - n->mac_in_use) {
        memcpy(n->macs + n->mac_in_use * ETH_ALEN, data + 4, count * ETH_ALEN);
        n->mac_in_use += count;
    } else {
        *overflow = 1;
    }
    return 4 + (size_t)count * ETH_ALEN;
}

static uint8_t mac_table_set(VirtIONet *n, const uint8_t *data, size_t len)
{
    size_t uni, multi;

    n->mac_in_use = n->first_multi = 0;
    n->multi_overflow = n->uni_overflow = 0;
    uni = take_macs(n, data, len, &n->uni_overflow);
    n->first_multi = n->mac_in_use;
    multi = uni ? take_macs(n, data + uni, len - uni, &n->multi_overflow) : 0;
    return uni && multi && uni + multi == len ? CTRL_OK : CTRL_ERR;
}

static uint8_t mac_command(VirtIONet *n, uint8_t command, const uint8_t *data, size_t len)
{
    if (command == MAC_ADDR_SET && len == ETH_ALEN) {
        memcpy(n->mac, data, ETH_ALEN);
        return CTRL_OK;
    }
    return command == MAC_TABLE_SET ? mac_table_set(n, data, len) : CTRL_ERR;
}

static uint8_t vlan_command(VirtIONet *n, uint8_t command, const uint8_t *data, size_t len)
{
    unsigned id;

    if (len < 2 || (id = lduw_le_p(data)) >= NET_VLANS || command > VLAN_DEL) {
        return CTRL_ERR;
    }
    if (command == VLAN_ADD) {
        n->vlans[id / 32] |= 1u << (id % 32);
    } else {
        n->vlans[id / 32] &= ~(1u << (id % 32));
    }
    return CTRL_OK;
}

static uint8_t announce_command(VirtIONet *n, uint8_t command)
{
    if (command != 0 || !(n->status & NET_S_ANNOUNCE)) {
        return CTRL_ERR;
    }
    n->status &= ~NET_S_ANNOUNCE;
    return CTRL_OK;
}

/* No back end does offloads, so none can be turned on. */
static uint8_t offloads_command(VirtIONet *n, uint8_t command, const uint8_t *data, size_t len)
{
    if (command != 0 || len < 8 || ldq_le_p(data) != 0) {
        return CTRL_ERR;
    }
    n->offloads = 0;
    return CTRL_OK;
}

static uint8_t run_command(VirtIONet *n, const uint8_t *data, size_t len)
{
    uint8_t class = data[0], command = data[1];

    data += CTRL_HEADER;
    len -= CTRL_HEADER;
    switch (class) {
    case CTRL_RX:
        return rx_command(n, command, data, len);
    case CTRL_MAC:
        return mac_command(n, command, data, len);
    case CTRL_VLAN:
        return vlan_command(n, command, data, len);
    case CTRL_ANNOUNCE:
        return announce_command(n, command);
    case CTRL_GUEST_OFFLOADS:
        return offloads_command(n, command, data, len);
    default:
        return CTRL_ERR;
    }
}

#define COMMAND_MAX (64 * 1024) /* far above a table of all addresses that fit */

void virtio_net_handle_ctrl(VirtIODevice *vdev, VirtQueue *vq)
{
    for (unsigned i = 0; i < VIRTQUEUE_TURN; i++) {
        VirtQueueElement *elem = virtqueue_pop(vq);
        g_autofree uint8_t *data = NULL;
        size_t len;
        uint8_t ack;

        if (!elem) {
            return;
        }
        len = virtio_iov_size(elem->out_sg, elem->out_num);
        if (len < CTRL_HEADER || elem->in_num == 0) {
            virtio_error(vdev, "a control command without header or room for the answer");
            virtqueue_drop(vq, elem);
            return;
        }
        len = MIN(len, COMMAND_MAX);
        data = g_malloc(len);
        virtio_iov_to_buf(elem->out_sg, elem->out_num, 0, data, len);
        ack = run_command((VirtIONet *)vdev, data, len);
        virtio_iov_from_buf(elem->in_sg, elem->in_num, 0, &ack, 1);
        virtqueue_push(vq, elem, 1);
        virtio_notify(vdev, vq);
    }
    virtqueue_again(vq);
}
