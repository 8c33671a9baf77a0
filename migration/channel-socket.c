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

void channel_become_connection(Channel *channel, int fd)
{
    if (channel->keep_listening) {
        channel->listener = channel->in_fd;
    } else {
        close(channel->in_fd);
    }
    use_socket(channel, fd);
}

/* in_fd listens until somebody comes; then it is the connection. */
static bool accept_peer(Channel *channel, GError **error)
{
    int fd = accept_one(channel, channel->in_fd, error);

    if (fd < 0) {
        return false;
    }
    channel_become_connection(channel, fd);
    return true;
}

bool channel_is_listening(const Channel *channel)
{
    return channel->prepare == accept_peer;
}

Channel *channel_accept_more(Channel *leader, GError **error)
{
    Channel *channel;
    int fd;

    if (leader->listener < 0) {
        return fail_null(error, "'%s' is a single connection", leader->uri);
    }
    fd = leader->early_fd >= 0 ? leader->early_fd : accept_one(leader, leader->listener, error);
    leader->early_fd = -1;
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
