/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kind of network back end: one row of the "netdevs" linker set. */
#ifndef BACKEND_NET_PRIVATE_H
#define BACKEND_NET_PRIVATE_H

#include "backend/net.h"
#include "util/linker-set.h"

typedef struct NetdevKind {
    const char *name;
    const char *help;
    /* Makes the client from options (KeyValues; "type" and "id" are passed over) and puts it in the list. */
    bool (*create)(const char *id, GPtrArray *options, GError **error);
} NetdevKind;
#define NETDEV_KIND(ident, ...)                                                                              \
    static const NetdevKind netdev_kind_##ident = {__VA_ARGS__};                                             \
    LINKER_SET_ADD(netdev_kinds, NetdevKind, netdev_kind_##ident)

#endif
