/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clients, their queues, -netdev, and the hub that connects several back ends. */
#include "backend/net.h"

#include <stdio.h>
#include <string.h>

#include "api/command.h"
#include "api/option.h"
#include "net-private.h"
#include "util/error.h"

#define QUEUE_MAX_FRAMES 1024

static GPtrArray *clients;      /* of NetClient *; big lock */
static GPtrArray *netdev_texts; /* of char *, from -netdev */

/* --- clients --- */

void net_client_init(NetClient *client, const NetClientOps *ops, const char *name)
{
    if (!clients) {
        clients = g_ptr_array_new();
    }
    client->ops = ops;
    client->name = g_strdup(name);
    client->queue = g_queue_new();
    g_ptr_array_add(clients, client);
}

static void drop_queue(NetClient *client)
{
    GBytes *frame;

    while ((frame = g_queue_pop_head(client->queue))) {
        g_bytes_unref(frame);
    }
}

void net_client_remove(NetClient *client)
{
    if (client->peer) {
        drop_queue(client->peer);
        client->peer->peer = NULL;
    }
    drop_queue(client);
    g_queue_free(client->queue);
    g_ptr_array_remove(clients, client);
    g_free(client->name);
    g_free(client->info);
}

bool net_connect(NetClient *card, NetClient *backend, GError **error)
{
    if (backend->peer) {
        return fail(error, "network back end '%s' is in use by '%s'", backend->name, backend->peer->name);
    }
    card->peer = backend;
    backend->peer = card;
    return true;
}

NetClient *net_find(const char *name)
{
    for (unsigned i = 0; clients && i < clients->len; i++) {
        NetClient *client = clients->pdata[i];

        if (g_str_equal(client->name, name)) {
            return client;
        }
    }
    return NULL;
}

static bool link_is_up(const NetClient *from)
{
    return from->peer && !from->link_down && !from->peer->link_down;
}

void net_send(NetClient *from, const uint8_t *frame, size_t len)
{
    if (!link_is_up(from) || len == 0 || len > NET_FRAME_MAX) {
        return;
    }
    if (g_queue_is_empty(from->queue) && from->peer->ops->receive(from->peer, frame, len)) {
        return;
    }
    if (from->queue->length >= QUEUE_MAX_FRAMES) {
        from->dropped++;
        return;
    }
    g_queue_push_tail(from->queue, g_bytes_new(frame, len));
}

void net_flush(NetClient *client)
{
    NetClient *from = client->peer;
    GBytes *frame;

    while (from && (frame = g_queue_peek_head(from->queue))) {
        gsize len;
        const uint8_t *data = g_bytes_get_data(frame, &len);

        if (link_is_up(from) && !client->ops->receive(client, data, len)) {
            return;
        }
        g_bytes_unref(g_queue_pop_head(from->queue));
    }
}

void net_purge(NetClient *client)
{
    if (client->peer) {
        drop_queue(client->peer);
    }
}

/* --- addresses --- */

void net_default_mac(uint8_t mac[ETH_ALEN])
{
    static const uint8_t first[ETH_ALEN] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
    static uint8_t used;

    memcpy(mac, first, ETH_ALEN);
    mac[5] += used++;
}

bool net_parse_mac(const char *text, uint8_t mac[ETH_ALEN], GError **error)
{
    unsigned b[ETH_ALEN];
    int end = 0;

    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6 ||
        text[end] != 0) {
        return fail(error, "'%s' is no Ethernet address", text);
    }
    if (b[0] & 1) {
        return fail(error, "Ethernet address '%s' is a multicast address", text);
    }
    for (int i = 0; i < ETH_ALEN; i++) {
        mac[i] = b[i];
    }
    return true;
}

char *net_format_mac(const uint8_t mac[ETH_ALEN])
{
    return g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

/* --- hub: what one port sends all others get --- */

typedef struct HubPort {
    NetClient nc;
    uint32_t hub_id;
} HubPort;

static bool hub_receive(NetClient *nc, const uint8_t *frame, size_t len);
static const NetClientOps hub_ops = {.kind = "hubport", .receive = hub_receive};

static bool hub_receive(NetClient *nc, const uint8_t *frame, size_t len)
{
    for (unsigned i = 0; i < clients->len; i++) {
        NetClient *other = clients->pdata[i];

        if (other != nc && other->ops == &hub_ops && ((HubPort *)other)->hub_id == ((HubPort *)nc)->hub_id) {
            net_send(other, frame, len);
        }
    }
    return true;
}

static bool hub_create(const char *id, GPtrArray *options, GError **error)
{
    HubPort *port;
    NetClient *backend = NULL;
    uint64_t hub_id = 0;

    for (unsigned i = 0; i < options->len; i++) {
        const KeyValue *kv = options->pdata[i];

        if (g_str_equal(kv->key, "hubid")) {
            if (!parse_u64(kv->value ? kv->value : "", &hub_id, error)) {
                return false;
            }
        } else if (g_str_equal(kv->key, "netdev")) {
            backend = net_find(kv->value ? kv->value : "");
            if (!backend) {
                return fail(error, "there is no network back end '%s'", kv->value);
            }
        } else if (!g_str_equal(kv->key, "id") && !g_str_equal(kv->key, "type")) {
            return fail(error, "unknown option '%s'", kv->key);
        }
    }
    port = g_new0(HubPort, 1);
    net_client_init(&port->nc, &hub_ops, id);
    port->hub_id = hub_id;
    port->nc.info = g_strdup_printf("hub %u", port->hub_id);
    if (backend && !net_connect(&port->nc, backend, error)) {
        net_client_remove(&port->nc);
        g_free(port);
        return false;
    }
    return true;
}

NETDEV_KIND(hubport, .name = "hubport", .help = "id=ID,hubid=N[,netdev=ID]: a port of a hub",
            .create = hub_create);

/* --- -netdev --- */

static const char *nth_kind(unsigned i, void *opaque)
{
    LINKER_SET_FOREACH (netdev_kinds, NetdevKind, kind) {
        if (i-- == 0) {
            return kind->name;
        }
    }
    return NULL;
}

static const NetdevKind *find_kind(const char *name, GError **error)
{
    const char *near;

    LINKER_SET_FOREACH (netdev_kinds, NetdevKind, kind) {
        if (g_str_equal(kind->name, name)) {
            return kind;
        }
    }
    near = did_you_mean(name, nth_kind, NULL);
    return fail_null(error, "unknown kind of network back end '%s'%s%s%s", name,
                     near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static const char *find_value(GPtrArray *pairs, const char *key)
{
    for (unsigned i = 0; i < pairs->len; i++) {
        const KeyValue *kv = pairs->pdata[i];

        if (g_str_equal(kv->key, key)) {
            return kv->value;
        }
    }
    return NULL;
}

bool netdev_new_from_options(const char *text, GError **error)
{
    g_autoptr(GPtrArray) pairs = options_split(text, "type", error);
    const NetdevKind *kind;
    const char *type, *id;

    if (!pairs) {
        return false;
    }
    type = find_value(pairs, "type");
    id = find_value(pairs, "id");
    if (!type || !id || !*id) {
        return fail(error, "network back end '%s' lacks %s", text, type ? "'id='" : "its type");
    }
    kind = find_kind(type, error);
    if (!kind) {
        return false;
    }
    if (net_find(id)) {
        return fail(error, "a network back end '%s' exists already", id);
    }
    if (!kind->create(id, pairs, error)) {
        error_context(error, "network back end '%s'", id);
        return false;
    }
    return true;
}

static bool parse_netdev(const char *value, GError **error)
{
    g_autoptr(GPtrArray) pairs = options_split(value, "type", error);

    if (!pairs) {
        return false;
    }
    if (!netdev_texts) {
        netdev_texts = g_ptr_array_new_with_free_func(g_free);
    }
    g_ptr_array_add(netdev_texts, g_strdup(value));
    return true;
}

static char *answer_netdev(const char *value)
{
    g_autofree char *name = NULL;
    GString *out = g_string_new(NULL);
    bool asked = option_is_question(value, &name), found = false;

    LINKER_SET_FOREACH (netdev_kinds, NetdevKind, kind) {
        if (asked && (!name || g_str_equal(kind->name, name))) {
            option_list_line(out, kind->name, kind->help);
            found = true;
        }
    }
    return g_string_free(out, !found); /* NULL when it frees the text too */
}

static bool parse_nic(const char *value, GError **error)
{
    if (!g_str_equal(value, "none")) {
        return fail(error,
                    "only 'none' is known here: use -netdev %s%sid=ID -device virtio-net-device,netdev=ID",
                    value, *value ? "," : "");
    }
    return true;
}

OPTION(netdev, .name = "netdev",
       .arg = "user,id=ID[,hostfwd=tcp|udp:[ADDR]:PORT-[ADDR]:PORT][,restrict=on][,net=ADDR/BITS]",
       .section = "Network", .help = "make a network back end; 'help' lists the kinds", .parse = parse_netdev,
       .answer = answer_netdev);
OPTION(nic, .name = "nic", .arg = "none", .section = "Network",
       .help = "no network card beside those of -device", .parse = parse_nic);
OPTION(net, .name = "net", .arg = "none", .section = "Network", .help = "the same, by its older name",
       .parse = parse_nic);

bool netdevs_create(GError **error)
{
    for (unsigned i = 0; netdev_texts && i < netdev_texts->len; i++) {
        if (!netdev_new_from_options(netdev_texts->pdata[i], error)) {
            error_context(error, "-netdev %s", (char *)netdev_texts->pdata[i]);
            return false;
        }
    }
    return true;
}

static void delete_backend(NetClient *client)
{
    if (client->ops->destroy) {
        client->ops->destroy(client);
    }
    net_client_remove(client);
    g_free(client);
}

static bool is_backend(const NetClient *client)
{
    return client->ops->destroy || client->ops == &hub_ops;
}

void netdevs_close_all(void)
{
    for (unsigned i = clients ? clients->len : 0; i-- > 0;) {
        NetClient *client = clients->pdata[i];

        if (is_backend(client)) {
            delete_backend(client);
        }
    }
}

/* --- commands --- */

static void print_client(GString *out, const char *indent, const NetClient *client)
{
    g_string_append_printf(out, "%s%s: type=%s%s%s%s\n", indent, client->name, client->ops->kind,
                           client->info ? "," : "", client->info ? client->info : "",
                           client->link_down ? ",link=off" : "");
}

static bool run_info_network(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    for (unsigned i = 0; ctx->output && clients && i < clients->len; i++) {
        const NetClient *client = clients->pdata[i];

        if (is_backend(client) && client->peer && !is_backend(client->peer)) {
            continue; /* shown below its card */
        }
        print_client(ctx->output, "", client);
        if (client->peer) {
            print_client(ctx->output, " \\ ", client->peer);
        }
    }
    return true;
}

COMMAND(info_network, .hmp = "info network", .help = "show the network cards and back ends",
        .run = run_info_network);

typedef struct SetLinkArgs {
    char *name;
    bool up;
} SetLinkArgs;

static const Field set_link_args[] = {
    F_STRING(SetLinkArgs, name, "name", .positional = true, .help = "card or back end"),
    F_BOOL(SetLinkArgs, up, "up", .positional = true),
    FIELD_END,
};

static bool run_set_link(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const SetLinkArgs *a = args;
    NetClient *client = net_find(a->name);

    if (!client) {
        return fail(error, "there is no network card or back end '%s'", a->name);
    }
    client->link_down = !a->up;
    if (client->ops->link_changed) {
        client->ops->link_changed(client);
    }
    if (client->peer && is_backend(client)) {
        client->peer->link_down = !a->up;
        if (client->peer->ops->link_changed) {
            client->peer->ops->link_changed(client->peer);
        }
    }
    return true;
}

COMMAND(set_link, .qmp = "set_link", .hmp = "set_link", .help = "plug or unplug a network cable",
        .args = set_link_args, .args_size = sizeof(SetLinkArgs), .run = run_set_link);

typedef struct NetdevAddArgs {
    char *options;
} NetdevAddArgs;

static const Field netdev_add_args[] = {
    F_STRING(NetdevAddArgs, options, "netdev", .positional = true, .rest_of_line = true), FIELD_END};

static bool run_netdev_add(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    return netdev_new_from_options(((const NetdevAddArgs *)args)->options, error);
}

COMMAND(netdev_add, .hmp = "netdev_add", .help = "add a network back end, as after -netdev",
        .args = netdev_add_args, .args_size = sizeof(NetdevAddArgs), .run = run_netdev_add);

typedef struct NetdevDelArgs {
    char *id;
} NetdevDelArgs;

static const Field netdev_del_args[] = {F_STRING(NetdevDelArgs, id, "id", .positional = true), FIELD_END};

static bool run_netdev_del(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const char *id = ((const NetdevDelArgs *)args)->id;
    NetClient *client = net_find(id);

    if (!client || !is_backend(client)) {
        return fail(error, "there is no network back end '%s'", id);
    }
    delete_backend(client);
    return true;
}

COMMAND(netdev_del, .qmp = "netdev_del", .hmp = "netdev_del", .help = "remove a network back end",
        .args = netdev_del_args, .args_size = sizeof(NetdevDelArgs), .run = run_netdev_del);
