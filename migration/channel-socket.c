/* SPDX-License-Identifier: GPL-2.0-or-later */
/* unix:PATH and tcp:HOST:PORT (port 0 on the listening side; IPv6 as tcp:[::1]:PORT). */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "channel.h"
#include "util/atomic.h"
#include "util/bswap.h"
#include "util/error.h"

#define LISTEN_BACKLOG 256 /* all connections of a multifd source at once */

/*
 * Of a unix socket, whose default of some 200 KiB makes both ends wait for each other several times per MiB.  TCP finds
 * its own.  The host may grant less.
 */
#define SEND_BUFFER (1024 * 1024)

/* Where to connect: resolved on the migration's thread, since a name server may take its time. */
typedef struct Target {
    bool is_unix;
    struct sockaddr_un un;
    char host[256], port[32];
} Target;

static bool parse_unix(const char *path, struct sockaddr_un *addr, GError **error)
{
    memset(addr, 0, sizeof(*addr));
    addr->sun_family = AF_UNIX;
    if (!*path) {
        return fail(error, "path is empty");
    }
    if (strlen(path) >= sizeof(addr->sun_path)) {
        return fail(error, "path is longer than %zu bytes", sizeof(addr->sun_path) - 1);
    }
    strcpy(addr->sun_path, path);
    return true;
}

/* "host:port" or "[v6]:port", then options after a comma which QEMU knows and which change nothing here. */
static bool parse_tcp(const char *text, Target *target, GError **error)
{
    g_autofree char *all = g_strndup(text, strcspn(text, ","));
    char *colon = strrchr(all, ':'), *host = all, *end;
    unsigned long port;

    if (!colon || !colon[1]) {
        return fail(error, "port is missing (HOST:PORT)");
    }
    *colon = 0;
    if (host[0] == '[' && g_str_has_suffix(host, "]")) {
        host++;
        host[strlen(host) - 1] = 0;
    } else if (strchr(host, ':')) {
        return fail(error, "write an IPv6 address in brackets ('[%s]:%s')", host, colon + 1);
    }
    port = strtoul(colon + 1, &end, 10);
    if (*end || port > 65535) {
        return fail(error, "'%s' is no port (0 to 65535)", colon + 1);
    }
    if (g_strlcpy(target->host, host, sizeof(target->host)) >= sizeof(target->host)) {
        return fail(error, "host name is too long");
    }
    g_snprintf(target->port, sizeof(target->port), "%lu", port);
    return true;
}

static struct addrinfo *resolve(const Target *target, bool passive, GError **error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0)};
    struct addrinfo *list = NULL;
    int result = getaddrinfo(target->host[0] ? target->host : NULL, target->port, &hints, &list);

    if (result) {
        return fail_null(error, "host '%s': %s", target->host, gai_strerror(result));
    }
    return list;
}

static int connect_one(Channel *channel, int family, const struct sockaddr *addr, socklen_t size, GError **error)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int errnum = 0;
    socklen_t errnum_size = sizeof(errnum);

    if (fd < 0) {
        fail_errno(error, errno, "socket");
        return -1;
    }
    if (connect(fd, addr, size) < 0) {
        if (errno != EINPROGRESS) {
            errnum = errno;
        } else if (!channel_poll(channel, fd, POLLOUT, error)) {
            close(fd);
            return -1;
        } else {
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &errnum_size);
        }
    }
    if (errnum) {
        close(fd);
        fail_errno(error, errnum, "connect");
        return -1;
    }
    return fd;
}

static void use_socket(Channel *channel, int fd)
{
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* fails on unix sockets, which have no delay */
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    channel->in_fd = channel->out_fd = fd;
    channel_classify(channel);
}

static int connect_tcp(Channel *channel, const Target *target, GError **error)
{
    struct addrinfo *list = resolve(target, false, error);
    int fd = -1;

    for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next) {
        g_clear_error(error);
        fd = connect_one(channel, ai->ai_family, ai->ai_addr, ai->ai_addrlen, error);
    }
    if (list) {
        freeaddrinfo(list);
    }
    return fd;
}

static bool connect_target(Channel *channel, GError **error)
{
    Target *target = channel->private;
    GError *local = NULL;
    int fd;

    if (target->is_unix) {
        int size = SEND_BUFFER;

        fd = connect_one(channel, AF_UNIX, (struct sockaddr *)&target->un, sizeof(target->un), &local);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    } else {
        fd = connect_tcp(channel, target, &local);
    }
    if (fd < 0) {
        g_propagate_error(error, local);
        return false;
    }
    use_socket(channel, fd);
    return true;
}

/* -1 on error. */
static int accept_one(Channel *channel, int listener, GError **error)
{
    for (;;) {
        int fd;

        if (!channel_poll(channel, listener, POLLIN, error)) {
            return -1;
        }
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            return fd;
        }
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            fail_errno(error, errno, "accept");
            return -1;
        }
    }
}

/* in_fd listens until somebody comes; then it is the connection. */
static void become_connection(Channel *channel, int fd)
{
    if (channel->keep_listening) {
        channel->listener = channel->in_fd;
    } else {
        close(channel->in_fd);
    }
    use_socket(channel, fd);
}

static bool accept_peer(Channel *channel, GError **error)
{
    int fd = accept_one(channel, channel->in_fd, error);

    if (fd < 0) {
        return false;
    }
    become_connection(channel, fd);
    return true;
}

Channel *channel_accept_more(Channel *leader, GError **error)
{
    Channel *channel;
    int fd;

    if (leader->listener < 0) {
        return fail_null(error, "'%s' is a single connection", leader->uri);
    }
    fd = accept_one(leader, leader->listener, error);
    if (fd < 0) {
        return NULL;
    }
    channel = channel_new_follower(leader, fd);
    use_socket(channel, fd);
    return channel;
}

void channel_stop_listening(Channel *leader)
{
    if (leader->listener >= 0) {
        shutdown(leader->listener, SHUT_RDWR);
    }
}

/*
 * How long the group waits for the next connection once it has begun: a source opens all of its own in a row, and a
 * lost packet that asks for one is sent again twice within this time.
 */
#define GROUP_PATIENCE_MS 10000

/* Which connections came: those that have not said yet what they are, and those that have. */
typedef struct Group {
    struct pollfd fds[3 + 256]; /* cancel, listener, then the first kind */
    unsigned count;
    /* the second */
    const ChannelMagics *magics;
    int main_fd;
    Channel **others;
    unsigned wanted, have;
    int64_t last_us; /* when the last of them came */
} Group;

enum { POLL_CANCEL, POLL_LISTENER, POLL_FIRST };

/* The first word of the connection, which stays to be read; 0: not yet; -1: it ended. */
static int peek_magic(const struct pollfd *newcomer, uint32_t *magic)
{
    uint8_t bytes[4];
    ssize_t n = recv(newcomer->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);

    if (n == (ssize_t)sizeof(bytes)) {
        *magic = ldl_be_p(bytes);
        return 1;
    }
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    }
    return n == 0 || (newcomer->revents & (POLLRDHUP | POLLHUP)) ? -1 : 0;
}

static bool accept_newcomer(Group *group, int listener, GError **error)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0) {
        return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED || fail_errno(error, errno, "accept");
    }
    if (group->count == ARRAY_SIZE(group->fds) - POLL_FIRST) {
        close(fd);
        return true;
    }
    group->fds[POLL_FIRST + group->count++] = (struct pollfd){.fd = fd, .events = POLLIN | POLLRDHUP};
    return true;
}

/* It has said @magic. */
static bool take_member(Channel *leader, Group *group, int fd, uint32_t magic, GError **error)
{
    bool is_main = magic == group->magics->main;

    if (!is_main && magic != group->magics->other) {
        warn_report("'%s': a connection that begins with 0x%08x was closed: it is no migration", leader->uri, magic);
        close(fd);
        return true;
    }
    if (is_main ? group->main_fd >= 0 : group->have == group->wanted) {
        close(fd);
        return group->wanted ? fail(error, "more connections came than capability multifd and parameter "
                                    "multifd-channels (%u) allow", group->wanted)
                             : fail(error, "the source has capability multifd on, which is off here");
    }
    if (is_main) {
        group->main_fd = fd;
    } else {
        group->others[group->have++] = channel_new_follower(leader, fd);
    }
    group->last_us = g_get_monotonic_time();
    return true;
}

/* Finds out who those are that have spoken; how many began a word. */
static bool sort_newcomers(Channel *leader, Group *group, unsigned *half_spoken, GError **error)
{
    *half_spoken = 0;
    for (unsigned i = group->count; i-- > 0;) {
        struct pollfd newcomer = group->fds[POLL_FIRST + i];
        uint32_t magic;
        int known = newcomer.revents ? peek_magic(&newcomer, &magic) : 0;

        if (!known) {
            *half_spoken += newcomer.revents != 0;
            continue;
        }
        group->fds[POLL_FIRST + i] = group->fds[POLL_FIRST + --group->count];
        if (known < 0) {
            close(newcomer.fd); /* somebody who only looked whether we are here */
        } else if (!take_member(leader, group, newcomer.fd, magic, error)) {
            return false;
        }
    }
    return true;
}

static bool group_is_complete(const Group *group)
{
    return group->main_fd >= 0 && group->have == group->wanted;
}

/* One round of the wait. */
static bool gather(Channel *leader, Group *group, GError **error)
{
    int64_t waited_ms = (g_get_monotonic_time() - group->last_us) / 1000;
    bool begun = group->main_fd >= 0 || group->have;
    unsigned half_spoken;

    if (begun && waited_ms >= GROUP_PATIENCE_MS) {
        return fail(error, "%u of %u connections of capability multifd came%s: is multifd, and are multifd-channels, the "
                    "same on both sides?", group->have, group->wanted,
                    group->main_fd < 0 ? " and the main one did not" : "");
    }
    if (poll(group->fds, POLL_FIRST + group->count, begun ? (int)(GROUP_PATIENCE_MS - waited_ms) : -1) < 0) {
        return errno == EINTR || fail_errno(error, errno, "poll");
    }
    if (atomic_load_acquire(&leader->cancelled)) {
        return fail(error, "cancelled");
    }
    if (!sort_newcomers(leader, group, &half_spoken, error)) {
        return false;
    }
    if (half_spoken) {
        poll(&group->fds[POLL_CANCEL], 1, 5); /* poll() has nothing better to wait for */
    }
    return !group->fds[POLL_LISTENER].revents || accept_newcomer(group, group->fds[POLL_LISTENER].fd, error);
}

static void give_up_group(Group *group)
{
    if (group->main_fd >= 0) {
        close(group->main_fd);
    }
    for (unsigned i = 0; i < group->have; i++) {
        g_clear_pointer(&group->others[i], channel_free);
    }
}

bool channel_prepare_group(Channel *leader, const ChannelMagics *magics, Channel **others, unsigned n, GError **error)
{
    g_autofree Group *group = g_new0(Group, 1);
    bool ok = true;

    if (leader->prepare != accept_peer) {
        return !n ? channel_prepare(leader, error)
                  : fail(error, "'%s' takes a single connection, capability multifd needs several", leader->uri);
    }
    group->magics = magics;
    group->main_fd = -1;
    group->others = others;
    group->wanted = n;
    group->fds[POLL_CANCEL] = (struct pollfd){.fd = leader->cancel_fd, .events = POLLIN};
    group->fds[POLL_LISTENER] = (struct pollfd){.fd = leader->in_fd, .events = POLLIN};
    while (ok && !group_is_complete(group)) {
        ok = gather(leader, group, error);
    }
    for (unsigned i = 0; i < group->count; i++) {
        close(group->fds[POLL_FIRST + i].fd);
    }
    if (ok) {
        become_connection(leader, group->main_fd);
        return true;
    }
    give_up_group(group);
    error_context(error, "'%s'", leader->uri);
    return false;
}

static Channel *new_connecting(Target *target)
{
    Channel *channel = channel_new(-1, -1);

    channel->prepare = connect_target;
    channel->private = target;
    return channel;
}

static Channel *new_listening(int fd, JsonObject *address)
{
    Channel *channel = channel_new(fd, -1);

    channel->prepare = accept_peer;
    channel->address = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(channel->address, address);
    return channel;
}

static Channel *unix_out(const char *path, GError **error)
{
    Target *target = g_new0(Target, 1);

    target->is_unix = true;
    if (!parse_unix(path, &target->un, error)) {
        g_free(target);
        return NULL;
    }
    return new_connecting(target);
}

/* A socket that a dead process left behind is in the way; anything else with that name is not ours to remove. */
static void remove_stale_socket(const char *path)
{
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        unlink(path);
    }
}

static void note_path(Channel *channel, const char *path)
{
    struct stat st;

    if (lstat(path, &st) == 0) {
        channel->socket_path = g_strdup(path);
        channel->socket_dev = st.st_dev;
        channel->socket_ino = st.st_ino;
    }
}

static Channel *unix_in(const char *path, GError **error)
{
    struct sockaddr_un addr;
    JsonObject *address;
    Channel *channel;
    int fd;

    if (!parse_unix(path, &addr, error)) {
        return NULL;
    }
    remove_stale_socket(path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
        fail_errno(error, errno, "listen");
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    address = json_object_new();
    json_object_set_string_member(address, "type", "unix");
    json_object_set_string_member(address, "path", path);
    channel = new_listening(fd, address);
    note_path(channel, path);
    return channel;
}

static Channel *tcp_out(const char *text, GError **error)
{
    Target *target = g_new0(Target, 1);

    if (!parse_tcp(text, target, error)) {
        g_free(target);
        return NULL;
    }
    return new_connecting(target);
}

static int listen_one(const struct addrinfo *ai, GError **error)
{
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int one = 1;

    if (fd < 0) {
        fail_errno(error, errno, "socket");
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
        fail_errno(error, errno, "listen");
        close(fd);
        return -1;
    }
    return fd;
}

static JsonObject *inet_address(int fd)
{
    struct sockaddr_storage addr;
    socklen_t size = sizeof(addr);
    char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "";
    JsonObject *address = json_object_new();

    getsockname(fd, (struct sockaddr *)&addr, &size);
    getnameinfo((struct sockaddr *)&addr, size, host, sizeof(host), port, sizeof(port),
                NI_NUMERICHOST | NI_NUMERICSERV);
    json_object_set_string_member(address, "type", "inet");
    json_object_set_string_member(address, "host", host);
    json_object_set_string_member(address, "port", port);
    return address;
}

static Channel *tcp_in(const char *text, GError **error)
{
    Target target = {0};
    struct addrinfo *list;
    GError *local = NULL;
    int fd = -1;

    if (!parse_tcp(text, &target, error)) {
        return NULL;
    }
    list = resolve(&target, true, error);
    if (!list) {
        return NULL;
    }
    for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next) {
        g_clear_error(&local);
        fd = listen_one(ai, &local);
    }
    freeaddrinfo(list);
    if (fd < 0) {
        g_propagate_error(error, local);
        return NULL;
    }
    g_clear_error(&local);
    return new_listening(fd, inet_address(fd));
}

CHANNEL_TYPE(unix, .scheme = "unix", .kind = CHANNEL_SOCKET, .arg = "PATH", .open_out = unix_out, .open_in = unix_in);
CHANNEL_TYPE(tcp, .scheme = "tcp", .kind = CHANNEL_SOCKET, .arg = "HOST:PORT", .open_out = tcp_out, .open_in = tcp_in);
