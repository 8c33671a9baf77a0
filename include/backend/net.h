/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network: two clients, a guest's card and a host's back end, hand each other Ethernet frames.
 *
 * A frame is delivered at once when the peer takes it, else it waits in the sender's queue (bounded; then it
 * is dropped, as on a wire).  Everything here: big lock.
 */
#ifndef BACKEND_NET_H
#define BACKEND_NET_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_FRAME_MAX (64 * 1024 + 64) /* bytes of the largest frame anybody may send */
#define ETH_ALEN      6

typedef struct NetClient NetClient;
typedef struct NetClientOps {
    const char *kind; /* "user", "virtio-net" */
    /* Takes a frame whole and returns true, or false: not now (it calls net_flush() once it can). */
    bool (*receive)(NetClient *nc, const uint8_t *frame, size_t len);
    void (*link_changed)(NetClient *nc); /* may be NULL */
    /* A back end: release what it has; the core frees the struct. */
    void (*destroy)(NetClient *nc);
} NetClientOps;

/* The first member of each client's own struct. */
struct NetClient {
    const NetClientOps *ops;
    char *name;
    char *info;      /* one line for "info network" */
    NetClient *peer; /* NULL: the cable hangs loose */
    bool link_down;
    GQueue *queue;    /* of GBytes *: frames from this client that the peer did not take yet */
    uint64_t dropped; /* frames from this client that found no room */
};

/* @client: zeroed memory; it joins the list of clients. */
void net_client_init(NetClient *client, const NetClientOps *ops, const char *name);
void net_client_remove(NetClient *client); /* leaves the list and its peer; frees what init made */
/* Fails when @backend has a peer already. */
bool net_connect(NetClient *card, NetClient *backend, GError **error);
/* From @from to its peer. */
void net_send(NetClient *from, const uint8_t *frame, size_t len);
/* @client takes frames again: the ones that wait in the peer's queue are delivered. */
void net_flush(NetClient *client);
/* Frames that wait for @client are forgotten (reset). */
void net_purge(NetClient *client);
NetClient *net_find(const char *name); /* NULL when unknown */

/* 52:54:00:12:34:56 and upwards, one more for each call: cards without mac=. */
void net_default_mac(uint8_t mac[ETH_ALEN]);
bool net_parse_mac(const char *text, uint8_t mac[ETH_ALEN], GError **error);
char *net_format_mac(const uint8_t mac[ETH_ALEN]);

/* --- the command line --- */
/* After -netdev or netdev_add: "user,id=n,hostfwd=tcp::2222-:22". */
bool netdev_new_from_options(const char *text, GError **error);
bool netdevs_create(GError **error);
void netdevs_close_all(void);

#endif
