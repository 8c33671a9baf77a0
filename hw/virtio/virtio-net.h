/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A network card: its queues (virtio-net.c), and what it lets through (virtio-net-filter.c). */
#ifndef HW_VIRTIO_NET_H
#define HW_VIRTIO_NET_H

#include "backend/net.h"
#include "hw/virtio.h"

enum {
    NET_F_CTRL_GUEST_OFFLOADS = 2,
    NET_F_MAC = 5,
    NET_F_MRG_RXBUF = 15,
    NET_F_STATUS = 16,
    NET_F_CTRL_VQ = 17,
    NET_F_CTRL_RX = 18,
    NET_F_CTRL_VLAN = 19,
    NET_F_CTRL_RX_EXTRA = 20,
    NET_F_GUEST_ANNOUNCE = 21,
    NET_F_CTRL_MAC_ADDR = 23,
};

enum { NET_S_LINK_UP = 1, NET_S_ANNOUNCE = 2 };

#define NET_MAC_TABLE 64
#define NET_VLANS     4096

typedef struct VirtIONet {
    VirtIODevice vdev;
    NetClient nc;
    /* properties */
    char *netdev, *mac_text;
    bool prop_status, prop_mrg_rxbuf, prop_ctrl_vq;
    uint16_t rx_queue_size, tx_queue_size;
    /* constant after realize */
    VirtQueue *rx, *tx, *ctrl;
    BottomHalf *tx_bh;
    uint8_t permanent_mac[ETH_ALEN];
    /* big lock */
    uint8_t mac[ETH_ALEN];
    uint16_t status;
    uint32_t tx_waiting;        /* the bottom half is to send */
    uint32_t mergeable_rx_bufs; /* the driver takes frames in pieces */
    bool announce_due;          /* came from elsewhere: tell the world when the machine runs */
    uint64_t offloads;
    /* what the driver wants to get */
    uint8_t promisc, allmulti, alluni, nomulti, nouni, nobcast;
    uint8_t multi_overflow, uni_overflow; /* more addresses than the table holds: take all of that kind */
    uint32_t mac_in_use, first_multi;     /* unicast addresses lie before first_multi */
    uint8_t macs[NET_MAC_TABLE * ETH_ALEN];
    uint32_t vlans[NET_VLANS / 32]; /* wire: 512 bytes in the byte order of the saving host */
} VirtIONet;

/* Whether the card lets a frame through. */
bool virtio_net_accepts(const VirtIONet *n, const uint8_t *frame, size_t len);
void virtio_net_handle_ctrl(VirtIODevice *vdev, VirtQueue *vq);

#endif
