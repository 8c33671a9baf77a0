/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * user: a whole small network inside the process, by libslirp; needs no rights on the host.
 *
 * libslirp is not thread-safe: everything runs under the big lock, the guest's frames included.  Its
 * descriptors are polled by a GSource of the main loop that asks libslirp before each poll what it waits for.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <slirp/libslirp.h>

#include "api/command.h"
#include "api/field.h"
#include "net-private.h"
#include "system/clock.h"
#include "system/runstate.h"
#include "system/state.h"
#include "util/error.h"
#include "util/event-loop.h"

typedef struct UserNet UserNet;

typedef struct UserSource {
    GSource source;
    UserNet *net;
} UserSource;

struct UserNet {
    NetClient nc;
    Slirp *slirp;
    GSource *source;
    GPtrArray *polls; /* of GPollFD *; the first n_polls are registered with the source */
    unsigned n_polls;
};

typedef struct UserOptions {
    bool ipv4, ipv6, restricted;
    char *net, *host, *hostname, *dhcpstart, *dns, *domainname, *tftp, *bootfile, *tftp_server;
} UserOptions;

static const Field user_options[] = {
    F_BOOL(UserOptions, ipv4, "ipv4", .default_value = "on", .optional = true),
    F_BOOL(UserOptions, ipv6, "ipv6", .default_value = "on", .optional = true),
    F_BOOL(UserOptions, restricted, "restrict", .optional = true,
           .help = "the guest reaches nothing outside"),
    F_STRING(UserOptions, net, "net", .optional = true, .default_value = "10.0.2.0/24"),
    F_STRING(UserOptions, host, "host", .optional = true),
    F_STRING(UserOptions, hostname, "hostname", .optional = true),
    F_STRING(UserOptions, dhcpstart, "dhcpstart", .optional = true),
    F_STRING(UserOptions, dns, "dns", .optional = true),
    F_STRING(UserOptions, domainname, "domainname", .optional = true),
    F_STRING(UserOptions, tftp, "tftp", .optional = true),
    F_STRING(UserOptions, tftp_server, "tftp-server-name", .optional = true),
    F_STRING(UserOptions, bootfile, "bootfile", .optional = true),
    FIELD_END,
};

/* --- what libslirp calls --- */

static ssize_t send_packet(const void *buf, size_t len, void *opaque)
{
    net_send(&((UserNet *)opaque)->nc, buf, len);
    return len;
}

static void guest_error(const char *msg, void *opaque)
{
    g_debug("user network: %s", msg);
}

static int64_t slirp_clock(void *opaque)
{
    return clock_get_ns(CLOCK_TYPE_VIRTUAL);
}

typedef struct SlirpTimer {
    Timer timer;
    Slirp *slirp;
    SlirpTimerId id;
    void *opaque;
} SlirpTimer;

static void timer_fired(void *opaque)
{
    SlirpTimer *t = opaque;

    slirp_handle_timer(t->slirp, t->id, t->opaque);
}

static void *timer_new_opaque(SlirpTimerId id, void *cb_opaque, void *opaque)
{
    SlirpTimer *t = g_new0(SlirpTimer, 1);

    t->slirp = ((UserNet *)opaque)->slirp;
    t->id = id;
    t->opaque = cb_opaque;
    timer_init(&t->timer, CLOCK_TYPE_VIRTUAL, timer_fired, t);
    return t;
}

static void timer_free_cb(void *timer, void *opaque)
{
    timer_del(&((SlirpTimer *)timer)->timer);
    g_free(timer);
}

static void timer_mod_cb(void *timer, int64_t expire_ms, void *opaque)
{
    timer_mod(&((SlirpTimer *)timer)->timer, expire_ms * 1000000);
}

static void init_completed(Slirp *slirp, void *opaque)
{
    ((UserNet *)opaque)->slirp = slirp; /* timers are made before slirp_new() returns */
}

static void ignore_fd(int fd, void *opaque)
{
}

static void wake_loop(void *opaque)
{
    event_loop_wakeup(event_loop_main());
}

static const SlirpCb slirp_callbacks = {
    .send_packet = send_packet,
    .guest_error = guest_error,
    .clock_get_ns = slirp_clock,
    .timer_free = timer_free_cb,
    .timer_mod = timer_mod_cb,
    .register_poll_fd = ignore_fd,
    .unregister_poll_fd = ignore_fd,
    .notify = wake_loop,
    .init_completed = init_completed,
    .timer_new_opaque = timer_new_opaque,
};

/* --- polling --- */

static bool enter(void)
{
    if (bql_locked()) {
        return false;
    }
    bql_lock();
    return true;
}

static void leave(bool taken)
{
    if (taken) {
        bql_unlock();
    }
}

static int add_poll(int fd, int events, void *opaque)
{
    UserNet *u = opaque;
    GPollFD *p;

    if (u->n_polls == u->polls->len) {
        g_ptr_array_add(u->polls, g_new0(GPollFD, 1));
    }
    p = u->polls->pdata[u->n_polls];
    p->fd = fd;
    p->events = (events & SLIRP_POLL_IN ? G_IO_IN : 0) | (events & SLIRP_POLL_OUT ? G_IO_OUT : 0) |
                (events & SLIRP_POLL_PRI ? G_IO_PRI : 0) | (events & SLIRP_POLL_ERR ? G_IO_ERR : 0) |
                (events & SLIRP_POLL_HUP ? G_IO_HUP : 0);
    p->revents = 0;
    g_source_add_poll(u->source, p);
    return u->n_polls++;
}

static int get_revents(int index, void *opaque)
{
    UserNet *u = opaque;
    int r = (unsigned)index < u->n_polls ? ((GPollFD *)u->polls->pdata[index])->revents : 0;

    return (r & G_IO_IN ? SLIRP_POLL_IN : 0) | (r & G_IO_OUT ? SLIRP_POLL_OUT : 0) |
           (r & G_IO_PRI ? SLIRP_POLL_PRI : 0) | (r & G_IO_ERR ? SLIRP_POLL_ERR : 0) |
           (r & G_IO_HUP ? SLIRP_POLL_HUP : 0);
}

static void forget_polls(UserNet *u)
{
    for (unsigned i = 0; i < u->n_polls; i++) {
        g_source_remove_poll(u->source, u->polls->pdata[i]);
    }
    u->n_polls = 0;
}

static gboolean source_prepare(GSource *source, gint *timeout)
{
    UserNet *u = ((UserSource *)source)->net;
    uint32_t wait_ms = UINT32_MAX;
    bool taken = enter();

    forget_polls(u);
    slirp_pollfds_fill(u->slirp, &wait_ms, add_poll, u);
    leave(taken);
    *timeout = wait_ms > INT32_MAX ? -1 : (gint)wait_ms;
    return FALSE;
}

/* libslirp does its slow work (timeouts, retransmission) in its poll function: each turn of the loop calls
 * it. */
static gboolean source_check(GSource *source)
{
    return TRUE;
}

static gboolean source_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    UserNet *u = ((UserSource *)source)->net;
    bool taken = enter();

    slirp_pollfds_poll(u->slirp, 0, get_revents, u);
    leave(taken);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs user_source_funcs = {
    .prepare = source_prepare, .check = source_check, .dispatch = source_dispatch};

static void start_polling(UserNet *u)
{
    u->polls = g_ptr_array_new_with_free_func(g_free);
    u->source = g_source_new(&user_source_funcs, sizeof(UserSource));
    ((UserSource *)u->source)->net = u;
    g_source_set_name(u->source, "user network");
    g_source_attach(u->source, event_loop_context(event_loop_main()));
}

/* --- the client --- */

static bool user_receive(NetClient *nc, const uint8_t *frame, size_t len)
{
    slirp_input(((UserNet *)nc)->slirp, frame, len);
    event_loop_wakeup(event_loop_main()); /* new sockets to poll, perhaps */
    return true;
}

static void user_destroy(NetClient *nc);
static const NetClientOps user_ops = {.kind = "user", .receive = user_receive, .destroy = user_destroy};

/* --- state: libslirp's own format --- */

static ssize_t write_state(const void *buf, size_t len, void *opaque)
{
    state_field(opaque, "data", STATE_TYPE_BUFFER, (void *)buf, len, 1);
    return state_failed(opaque) ? -1 : (ssize_t)len;
}

static ssize_t read_state(void *buf, size_t len, void *opaque)
{
    memset(buf, 0, len); /* what libslirp sees when the stream is too short */
    state_field(opaque, "data", STATE_TYPE_BUFFER, buf, len, 1);
    return state_failed(opaque) ? -1 : (ssize_t)len;
}

static void user_state(StateIO *io, void *opaque)
{
    UserNet *u = opaque;

    if (!state_loading(io)) {
        slirp_state_save(u->slirp, write_state, io);
        return;
    }
    if (slirp_state_load(u->slirp, io->version, read_state, io) < 0) {
        state_fail(io, "the state of user network '%s' is not valid", u->nc.name);
    }
}

static const StateSection user_section = {
    .name = "slirp", .version = 4, .min_version = 1, .fields = user_state, .opaque_data = true};

static void user_destroy(NetClient *nc)
{
    UserNet *u = (UserNet *)nc;

    state_unregister(&user_section, u);
    forget_polls(u);
    g_source_destroy(u->source);
    g_source_unref(u->source);
    g_ptr_array_unref(u->polls);
    slirp_cleanup(u->slirp);
}

/* --- options --- */

static bool parse_address(const char *text, struct in_addr *addr, const char *what, GError **error)
{
    return inet_pton(AF_INET, text, addr) == 1 || fail(error, "%s '%s' is no IPv4 address", what, text);
}

/* "10.0.2.0/24", "10.0.2.0/255.255.255.0". */
static bool parse_network(const char *text, struct in_addr *net, struct in_addr *mask, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, "/", 2);
    uint64_t bits = 24;

    if (!parts[0] || !parse_address(parts[0], net, "net", error)) {
        return false;
    }
    if (parts[1] && strchr(parts[1], '.')) {
        return parse_address(parts[1], mask, "net mask", error);
    }
    if (parts[1] && !parse_u64(parts[1], &bits, error)) {
        return false;
    }
    if (bits < 4 || bits > 30) {
        return fail(error, "net '%s' has no room for a gateway, a name server and a guest", text);
    }
    mask->s_addr = htonl(UINT32_MAX << (32 - bits));
    net->s_addr &= mask->s_addr;
    return true;
}

static struct in_addr nth_address(struct in_addr net, uint32_t n)
{
    return (struct in_addr){htonl(ntohl(net.s_addr) + n)};
}

static bool in_network(struct in_addr addr, const SlirpConfig *cfg)
{
    return (addr.s_addr & cfg->vnetmask.s_addr) == cfg->vnetwork.s_addr;
}

static bool place(const char *text, const char *what, uint32_t n, const SlirpConfig *cfg,
                  struct in_addr *addr, GError **error)
{
    *addr = nth_address(cfg->vnetwork, n);
    if (text && !parse_address(text, addr, what, error)) {
        return false;
    }
    return in_network(*addr, cfg) || fail(error, "%s '%s' is outside of the guest's network", what, text);
}

static bool fill_config(SlirpConfig *cfg, const UserOptions *o, GError **error)
{
    cfg->version = 4;
    cfg->restricted = o->restricted;
    cfg->in_enabled = o->ipv4;
    cfg->in6_enabled = o->ipv6;
    if (!o->ipv4 && !o->ipv6) {
        return fail(error, "IPv4 and IPv6 are both off");
    }
    if (!parse_network(o->net, &cfg->vnetwork, &cfg->vnetmask, error) ||
        !place(o->host, "host", 2, cfg, &cfg->vhost, error) ||
        !place(o->dns, "dns", 3, cfg, &cfg->vnameserver, error) ||
        !place(o->dhcpstart, "dhcpstart", 15, cfg, &cfg->vdhcp_start, error)) {
        return false;
    }
    if (cfg->vhost.s_addr == cfg->vnameserver.s_addr) {
        return fail(error, "host and dns have the same address");
    }
    inet_pton(AF_INET6, "fec0::", &cfg->vprefix_addr6);
    inet_pton(AF_INET6, "fec0::2", &cfg->vhost6);
    inet_pton(AF_INET6, "fec0::3", &cfg->vnameserver6);
    cfg->vprefix_len = 64;
    cfg->vhostname = o->hostname;
    cfg->vdomainname = o->domainname;
    cfg->tftp_path = o->tftp;
    cfg->tftp_server_name = o->tftp_server;
    cfg->bootfile = o->bootfile;
    return true;
}

typedef struct HostForward {
    bool udp;
    struct in_addr host, guest;
    uint16_t host_port, guest_port;
} HostForward;

static bool parse_port(const char *text, bool zero_ok, uint16_t *port, GError **error)
{
    uint64_t n;

    if (!parse_u64(text, &n, error)) {
        return false;
    }
    *port = n;
    return (n <= 65535 && (n > 0 || zero_ok)) || fail(error, "'%s' is no port number", text);
}

static bool parse_end(const char *text, bool zero_ok, struct in_addr *addr, uint16_t *port, GError **error)
{
    const char *colon = strrchr(text, ':');
    g_autofree char *name = NULL;

    if (!colon) {
        return fail(error, "'%s' is no [ADDR]:PORT", text);
    }
    name = g_strndup(text, colon - text);
    if (*name && !parse_address(name, addr, "address", error)) {
        return false;
    }
    return parse_port(colon + 1, zero_ok, port, error);
}

/* "tcp:[HOSTADDR]:PORT-[GUESTADDR]:PORT" */
static bool parse_hostfwd(const char *text, bool with_guest, HostForward *f, GError **error)
{
    g_auto(GStrv) ends = NULL;
    const char *rest = strchr(text, ':');

    *f = (HostForward){.udp = g_str_has_prefix(text, "udp:")};
    if (!f->udp && !g_str_has_prefix(text, "tcp:") && text[0] != ':') {
        return fail(error, "host forwarding '%s' is neither tcp nor udp", text);
    }
    ends = g_strsplit(rest + 1, "-", 2);
    if (!ends[0] || (with_guest && !ends[1])) {
        return fail(error, "host forwarding '%s' is not tcp|udp:[ADDR]:PORT-[ADDR]:PORT", text);
    }
    if (!parse_end(ends[0], true, &f->host, &f->host_port, error) ||
        (with_guest && !parse_end(ends[1], false, &f->guest, &f->guest_port, error))) {
        error_context(error, "host forwarding '%s'", text);
        return false;
    }
    return true;
}

static bool add_hostfwd(UserNet *u, const char *text, GError **error)
{
    HostForward f;

    if (!parse_hostfwd(text, true, &f, error)) {
        return false;
    }
    if (slirp_add_hostfwd(u->slirp, f.udp, f.host, f.host_port, f.guest, f.guest_port) < 0) {
        return fail_errno(error, errno, "cannot set up host forwarding '%s'", text);
    }
    return true;
}

static bool take_options(GPtrArray *pairs, UserOptions *o, GPtrArray *forwards, GError **error)
{
    for (unsigned i = 0; i < pairs->len; i++) {
        const KeyValue *kv = pairs->pdata[i];

        if (g_str_equal(kv->key, "id") || g_str_equal(kv->key, "type")) {
            continue;
        }
        if (g_str_equal(kv->key, "hostfwd") && kv->value) {
            g_ptr_array_add(forwards, kv->value);
        } else if (!field_set_string(user_options, o, kv->key, kv->value ? kv->value : "on", error)) {
            return false;
        }
    }
    return true;
}

static UserNet *make(const char *id, const UserOptions *o, GError **error)
{
    SlirpConfig cfg = {0};
    UserNet *u;

    if (!fill_config(&cfg, o, error)) {
        return NULL;
    }
    u = g_new0(UserNet, 1);
    u->slirp = slirp_new(&cfg, &slirp_callbacks, u);
    if (!u->slirp) {
        g_free(u);
        return fail_null(error, "libslirp %s refuses these options", slirp_version_string());
    }
    net_client_init(&u->nc, &user_ops, id);
    u->nc.info = g_strdup_printf("net=%s,restrict=%s", o->net, o->restricted ? "on" : "off");
    start_polling(u);
    state_register(&user_section, NULL, -1, u);
    return u;
}

static bool user_create(const char *id, GPtrArray *pairs, GError **error)
{
    g_autoptr(GPtrArray) forwards = g_ptr_array_new();
    UserOptions o = {0};
    UserNet *u = NULL;
    bool ok;

    fields_init(user_options, &o);
    ok = take_options(pairs, &o, forwards, error) && (u = make(id, &o, error)) != NULL;
    for (unsigned i = 0; ok && i < forwards->len; i++) {
        ok = add_hostfwd(u, forwards->pdata[i], error);
    }
    if (!ok && u) {
        user_destroy(&u->nc);
        net_client_remove(&u->nc);
        g_free(u);
    }
    fields_clear(user_options, &o);
    return ok;
}

NETDEV_KIND(user, .name = "user",
            .help = "id=ID[,hostfwd=...][,net=...][,restrict=on]: a network inside the process",
            .create = user_create);

/* --- commands --- */

typedef struct HostfwdArgs {
    char *first, *second;
} HostfwdArgs;

static const Field hostfwd_args[] = {
    F_STRING(HostfwdArgs, first, "netdev-or-rule", .positional = true,
             .help = "[ID] tcp|udp:[ADDR]:PORT-[ADDR]:PORT"),
    F_STRING(HostfwdArgs, second, "rule", .positional = true, .optional = true),
    FIELD_END,
};

/* "ID RULE", or "RULE" for the one there is. */
static UserNet *find_user(const HostfwdArgs *a, const char **rule, GError **error)
{
    NetClient *nc = net_find(a->second ? a->first : "");

    *rule = a->second ? a->second : a->first;
    if (!a->second) {
        StateEntry *entry = state_find("slirp", 0);

        nc = entry ? entry->opaque : NULL;
    }
    if (!nc || nc->ops != &user_ops) {
        return fail_null(error, "there is no user network '%s'", a->second ? a->first : "");
    }
    return (UserNet *)nc;
}

static bool run_hostfwd_add(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const char *rule;
    UserNet *u = find_user(args, &rule, error);

    return u && add_hostfwd(u, rule, error);
}

COMMAND(hostfwd_add, .hmp = "hostfwd_add", .help = "forward a port of the host to the guest",
        .args = hostfwd_args, .args_size = sizeof(HostfwdArgs), .run = run_hostfwd_add);

static bool run_hostfwd_remove(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const char *rule;
    HostForward f;
    UserNet *u = find_user(args, &rule, error);

    if (!u || !parse_hostfwd(rule, false, &f, error)) {
        return false;
    }
    if (slirp_remove_hostfwd(u->slirp, f.udp, f.host, f.host_port) < 0) {
        return fail(error, "there is no host forwarding '%s'", rule);
    }
    return true;
}

COMMAND(hostfwd_remove, .hmp = "hostfwd_remove", .help = "end the forwarding of a port", .args = hostfwd_args,
        .args_size = sizeof(HostfwdArgs), .run = run_hostfwd_remove);

static bool run_info_usernet(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    StateEntry *entry;

    for (int i = 0; ctx->output && (entry = state_find("slirp", i)); i++) {
        UserNet *u = entry->opaque;
        char *text = slirp_connection_info(u->slirp);

        g_string_append_printf(ctx->output, "%s:\n%s", u->nc.name, text);
        free(text);
    }
    return true;
}

COMMAND(info_usernet, .hmp = "info usernet", .help = "show the connections of user networks",
        .run = run_info_usernet);
