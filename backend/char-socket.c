/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * socket: a unix or TCP stream, as server or client.
 *
 * A server has one peer at a time and listens again when it left; input it left behind waits to be taken until the next
 * one comes.  A client may reconnect on its own.
 * Descriptors sent over a unix socket are kept for chardev_get_fds().
 */
#include "char.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/error.h"

#define CONNECT_MS 2000

typedef struct SocketChardev {
    Chardev chr;
    /* options */
    char *path;
    bool abstract, tight;
    char *host, *port;
    int64_t fd; /* -1: not given */
    bool server, wait, nodelay;
    bool ipv4, ipv6;
    uint32_t reconnect_s, reconnect_ms;
    bool patient; /* connect() may take its time: at the start of the process */
    /* loop */
    int listen_fd;
    Watch *listen_watch;
    GSource *reconnect;
    int connecting_fd; /* -1: none is under way */
    Watch *connecting_watch;
    bool bound_path; /* the path is ours to remove */
} SocketChardev;

static SocketChardev *socket_of(Chardev *chr)
{
    return (SocketChardev *)chr;
}

static bool has_fd(const SocketChardev *s)
{
    return s->fd >= 0 && s->fd <= INT32_MAX;
}

static char *address_text(const SocketChardev *s)
{
    return has_fd(s) ? g_strdup_printf("fd:%d", (int)s->fd)
           : s->path ? g_strdup_printf("unix:%s", s->path)
                     : g_strdup_printf(strchr(s->host, ':') ? "tcp:[%s]:%s" : "tcp:%s:%s", s->host, s->port);
}

/* --- bytes --- */

static void keep_fds(Chardev *chr, struct msghdr *msg)
{
    LOCK_GUARD(&chr->lock);

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (chr->n_fds < CHAR_MAX_FDS) {
                chr->fds[chr->n_fds++] = fd;
            } else {
                close(fd);
            }
        }
    }
}

static ssize_t socket_read(Chardev *chr, void *buf, size_t len)
{
    union {
        char space[CMSG_SPACE(sizeof(int) * CHAR_MAX_FDS)];
        struct cmsghdr align;
    } control;
    struct iovec iov = {buf, len};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(chr->in_fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

    if (n > 0) {
        keep_fds(chr, &msg);
    }
    return n;
}

static ssize_t socket_write(Chardev *chr, const void *buf, size_t len)
{
    return send(chr->out_fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* --- addresses --- */

static int socket_type(const SocketChardev *s)
{
    return SOCK_STREAM | SOCK_CLOEXEC | (s->server || s->patient ? 0 : SOCK_NONBLOCK);
}

static bool unix_address(const SocketChardev *s, struct sockaddr_un *addr, socklen_t *len, GError **error)
{
    size_t n = strlen(s->path);

    memset(addr, 0, sizeof(*addr));
    addr->sun_family = AF_UNIX;
    if (n == 0 || n + 1 > sizeof(addr->sun_path)) {
        return fail(error, "socket path '%s' is empty or longer than %zu bytes", s->path,
                    sizeof(addr->sun_path) - 1);
    }
    memcpy(addr->sun_path + s->abstract, s->path, n);
    *len = s->abstract && s->tight ? offsetof(struct sockaddr_un, sun_path) + 1 + n : sizeof(*addr);
    return true;
}

/*
 * Whether a process has a socket there.  Connecting with the wrong type tells without disturbing it: the
 * kernel looks for the socket first, and refuses one of another type with an error of its own.
 */
static bool somebody_listens(const struct sockaddr_un *addr, socklen_t len)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool there = fd >= 0 && connect(fd, (const struct sockaddr *)addr, len) < 0 && errno == EPROTOTYPE;

    if (fd >= 0) {
        close(fd);
    }
    return there;
}

/* Left behind by an earlier run; anything but a socket stays and makes bind() fail. */
static bool remove_stale_socket(const char *path, const struct sockaddr_un *addr, socklen_t len,
                                GError **error)
{
    struct stat st;

    if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        return true;
    }
    if (somebody_listens(addr, len)) {
        return fail(error, "another process listens at '%s'", path);
    }
    unlink(path);
    return true;
}

static int unix_socket(SocketChardev *s, GError **error)
{
    struct sockaddr_un addr;
    socklen_t len = 0;
    int fd;

    if (!unix_address(s, &addr, &len, error)) {
        return -1;
    }
    fd = socket(AF_UNIX, socket_type(s), 0);
    if (fd < 0) {
        fail_errno(error, errno, "cannot make a socket");
        return -1;
    }
    if (!s->server) {
        if (connect(fd, (struct sockaddr *)&addr, len) == 0) {
            return fd;
        }
        fail_errno(error, errno, "cannot connect to '%s'", s->path);
        close(fd);
        return -1;
    }
    if (!s->abstract && !remove_stale_socket(s->path, &addr, len, error)) {
        close(fd);
        return -1;
    }
    if (bind(fd, (struct sockaddr *)&addr, len) == 0 && listen(fd, 1) == 0) {
        s->bound_path = !s->abstract;
        return fd;
    }
    fail_errno(error, errno, "cannot listen at '%s'", s->path);
    close(fd);
    return -1;
}

static void set_nodelay(int fd)
{
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static int try_tcp(const SocketChardev *s, const struct addrinfo *ai)
{
    int one = 1;
    int fd = socket(ai->ai_family, socket_type(s), 0);
    bool ok;

    if (fd < 0) {
        return -1;
    }
    if (s->server) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        ok = bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, 1) == 0;
    } else {
        ok = connect(fd, ai->ai_addr, ai->ai_addrlen) == 0 || errno == EINPROGRESS;
    }
    if (!ok) {
        int saved_errno = errno;

        close(fd);
        errno = saved_errno;
        return -1;
    }
    return fd;
}

/* The resolver takes numbers modulo 65536. */
static bool check_port(const char *port, GError **error)
{
    uint64_t number;

    return !parse_u64(port, &number, NULL) || number <= UINT16_MAX ||
           fail(error, "port %s is above %d", port, UINT16_MAX);
}

static int tcp_socket(SocketChardev *s, GError **error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = s->server ? AI_PASSIVE : 0};
    struct addrinfo *list = NULL;
    int gai, fd = -1;

    if (!check_port(s->port, error)) {
        return -1;
    }

    hints.ai_family = s->ipv4 == s->ipv6 ? AF_UNSPEC : s->ipv4 ? AF_INET : AF_INET6;
    gai = getaddrinfo(s->host[0] ? s->host : NULL, s->port, &hints, &list);
    if (gai != 0) {
        fail(error, "cannot resolve '%s:%s': %s", s->host, s->port, gai_strerror(gai));
        return -1;
    }
    errno = EADDRNOTAVAIL;
    for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next) {
        fd = try_tcp(s, ai);
    }
    if (fd < 0) {
        fail_errno(error, errno, "cannot %s '%s:%s'", s->server ? "listen at" : "connect to", s->host,
                   s->port);
    }
    freeaddrinfo(list);
    return fd;
}

/* accept() on anything else would fail again and again. */
static bool check_socket(const SocketChardev *s, GError **error)
{
    int listens = 0;
    socklen_t len = sizeof(listens);

    if (getsockopt(s->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0) {
        return fail_errno(error, errno, "cannot use descriptor %d", (int)s->fd);
    }
    return (listens != 0) == s->server ||
           fail(error, "descriptor %d %s: 'server' must be %s", (int)s->fd,
                listens ? "listens" : "does not listen", listens ? "on" : "off");
}

static int open_given(const SocketChardev *s, GError **error)
{
    int fd;

    if (!check_socket(s, error)) {
        return -1;
    }
    fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) {
        fail_errno(error, errno, "cannot use descriptor %d", (int)s->fd);
    }
    return fd;
}

static int open_socket(SocketChardev *s, GError **error)
{
    if (has_fd(s)) {
        return open_given(s, error);
    }
    return s->path ? unix_socket(s, error) : tcp_socket(s, error);
}

/* --- connections --- */

static void connected(SocketChardev *s, int fd)
{
    if (!s->path && !has_fd(s) && s->nodelay) {
        set_nodelay(fd);
    }
    char_connected(&s->chr, fd, fd);
}

static bool peer_waits(int fd, GIOCondition condition, void *opaque)
{
    SocketChardev *s = opaque;
    int peer;

    if (s->chr.in_fd >= 0) { /* of one that has left: its place is needed */
        char_end_connection(&s->chr);
        return false; /* a new watch looks */
    }
    peer = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (peer < 0) {
        return true;
    }
    s->listen_watch = NULL;
    connected(s, peer);
    return false;
}

static void start_listening(SocketChardev *s)
{
    watch_remove(s->listen_watch);
    s->listen_watch = NULL;
    if (s->listen_fd >= 0 && !chardev_is_connected(&s->chr)) {
        s->listen_watch = event_loop_watch_fd(s->chr.loop, s->listen_fd, G_IO_IN, peer_waits, s);
    }
}

static void socket_hung_up(Chardev *chr)
{
    SocketChardev *s = socket_of(chr);

    if (s->listen_fd >= 0 && !s->listen_watch) {
        s->listen_watch = event_loop_watch_fd(chr->loop, s->listen_fd, G_IO_IN, peer_waits, s);
    }
}

static bool wait_for_peer(SocketChardev *s, GError **error)
{
    g_autofree char *address = address_text(s);
    int peer;

    info_report("waiting for a connection on %s,server=on", address);
    peer = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (peer < 0) { /* also when a signal asks the emulator to end */
        return fail_errno(error, errno, "cannot accept a connection on '%s'", address);
    }
    connected(s, peer);
    return true;
}

static void stop_reconnecting(SocketChardev *s)
{
    watch_remove(s->connecting_watch);
    s->connecting_watch = NULL;
    if (s->connecting_fd >= 0) {
        close(s->connecting_fd);
        s->connecting_fd = -1;
    }
    if (s->reconnect) {
        g_source_destroy(s->reconnect);
        g_source_unref(s->reconnect);
        s->reconnect = NULL;
    }
}

static void schedule_reconnect(SocketChardev *s);

/* 0 when it is connected, or errno. */
static int connect_result(int fd)
{
    int result = 0;
    socklen_t len = sizeof(result);

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &len) < 0 ? errno : result;
}

static bool connect_ended(int fd, GIOCondition condition, void *opaque)
{
    SocketChardev *s = opaque;

    s->connecting_watch = NULL;
    s->connecting_fd = -1;
    if (connect_result(fd) == 0) {
        connected(s, fd);
    } else {
        close(fd);
        schedule_reconnect(s);
    }
    return false;
}

static gboolean try_again(gpointer opaque)
{
    SocketChardev *s = opaque;
    int fd = open_socket(s, NULL);

    if (fd < 0) {
        return G_SOURCE_CONTINUE;
    }
    stop_reconnecting(s);
    s->connecting_fd = fd;
    s->connecting_watch = event_loop_watch_fd(s->chr.loop, fd, G_IO_OUT, connect_ended, s);
    return G_SOURCE_REMOVE;
}

static unsigned reconnect_ms(const SocketChardev *s)
{
    return s->reconnect_ms ? s->reconnect_ms : s->reconnect_s * 1000;
}

static void schedule_reconnect(SocketChardev *s)
{
    stop_reconnecting(s);
    s->reconnect = g_timeout_source_new(reconnect_ms(s));
    g_source_set_callback(s->reconnect, try_again, s, NULL);
    g_source_attach(s->reconnect, event_loop_context(s->chr.loop));
}

static void socket_ended(Chardev *chr)
{
    SocketChardev *s = socket_of(chr);

    if (s->server) {
        start_listening(s);
    } else if (reconnect_ms(s) > 0) {
        schedule_reconnect(s);
    }
}

static void socket_move(Chardev *chr)
{
    SocketChardev *s = socket_of(chr);

    if (s->server) {
        start_listening(s);
    } else if (s->reconnect || s->connecting_fd >= 0) {
        schedule_reconnect(s);
    }
}

/* --- opening --- */

static bool check_options(SocketChardev *s, GError **error)
{
    if (!s->path && !s->port && !has_fd(s)) {
        return fail(error, "option 'path', 'port' or 'fd' is missing");
    }
    if ((s->path != NULL) + (s->port != NULL) + has_fd(s) > 1) {
        return fail(error, "options 'path', 'port' and 'fd' exclude each other");
    }
    if (s->server && s->wait && s->chr.hot) {
        return fail(error, "option 'wait' is on, but only a machine that is being started can wait for a peer");
    }
    if (s->server && reconnect_ms(s) > 0) {
        return fail(error, "option 'reconnect' is for clients, 'server' is on");
    }
    if (s->port && !s->host) {
        s->host = g_strdup(s->server ? "" : "localhost");
    }
    return true;
}

/* The machine stands while a monitor's command tries: a peer far away has this long. */
static bool await_connection(SocketChardev *s, int fd, GError **error)
{
    struct pollfd pfd = {.fd = fd, .events = POLLOUT};
    g_autofree char *address = address_text(s);
    int result = poll(&pfd, 1, CONNECT_MS) > 0 ? connect_result(fd) : ETIMEDOUT;

    return result == 0 || fail_errno(error, result, "cannot connect to '%s'", address);
}

static int open_first(SocketChardev *s, GError **error)
{
    int fd;

    s->patient = !s->chr.hot;
    fd = open_socket(s, error);
    s->patient = false;
    if (fd >= 0 && !s->server && !has_fd(s) && !await_connection(s, fd, error)) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool socket_open(Chardev *chr, GError **error)
{
    SocketChardev *s = socket_of(chr);
    GError *first = NULL;
    int fd;

    s->listen_fd = s->connecting_fd = -1;
    if (!check_options(s, error)) {
        return false;
    }
    if (chr->hot && reconnect_ms(s) > 0) {
        schedule_reconnect(s);
        try_again(s);
        return true;
    }
    fd = open_first(s, &first);
    if (fd < 0 && !s->server && reconnect_ms(s) > 0) {
        g_clear_error(&first);
        schedule_reconnect(s);
        return true;
    }
    if (fd < 0) {
        g_propagate_error(error, first);
        return false;
    }
    if (!s->server) {
        connected(s, fd);
        return true;
    }
    s->listen_fd = fd;
    if (s->wait) {
        return wait_for_peer(s, error);
    }
    if (!char_set_nonblock(fd, error)) {
        return false;
    }
    start_listening(s);
    return true;
}

static void socket_close(Chardev *chr)
{
    SocketChardev *s = socket_of(chr);

    stop_reconnecting(s);
    watch_remove(s->listen_watch);
    s->listen_watch = NULL;
    if (s->listen_fd >= 0) {
        close(s->listen_fd);
        s->listen_fd = -1;
    }
    if (s->bound_path) {
        unlink(s->path);
        s->bound_path = false;
    }
}

static char *socket_filename(Chardev *chr)
{
    SocketChardev *s = socket_of(chr);
    g_autofree char *address = address_text(s);

    return g_strdup_printf("%s%s%s", chardev_is_connected(chr) ? "" : "disconnected:", address,
                           s->server ? ",server=on" : "");
}

static const Field socket_options[] = {
    F_STRING(SocketChardev, path, "path", .optional = true, .help = "path of a unix socket"),
    F_BOOL(SocketChardev, abstract, "abstract", .optional = true, .help = "the path is an abstract name"),
    F_BOOL(SocketChardev, tight, "tight", .optional = true, .default_value = "on",
           .help = "the abstract name ends with its last character"),
    F_STRING(SocketChardev, host, "host", .optional = true, .help = "host name or address"),
    F_STRING(SocketChardev, port, "port", .optional = true, .help = "port number or service name"),
    F_I64(SocketChardev, fd, "fd", .optional = true, .default_value = "-1",
          .help = "descriptor of an open socket"),
    F_BOOL(SocketChardev, server, "server", .optional = true, .help = "listen instead of connecting"),
    F_BOOL(SocketChardev, wait, "wait", .optional = true, .default_value = "on",
           .help = "a server waits for its first peer before the machine is made"),
    F_BOOL(SocketChardev, nodelay, "nodelay", .optional = true, .default_value = "on",
           .help = "send small packets at once"),
    F_BOOL(SocketChardev, ipv4, "ipv4", .optional = true, .help = "use IPv4"),
    F_BOOL(SocketChardev, ipv6, "ipv6", .optional = true, .help = "use IPv6"),
    F_U32(SocketChardev, reconnect_s, "reconnect", .optional = true, .max = 86400, .unit = "s",
          .help = "a client tries to connect again after so long"),
    F_U32(SocketChardev, reconnect_ms, "reconnect-ms", .optional = true, .max = 86400000, .unit = "ms",
          .help = "the same in milliseconds"),
    FIELD_END,
};

CHARDEV_KIND(socket, .name = "socket", .help = "a unix or TCP socket", .instance_size = sizeof(SocketChardev),
             .options = socket_options, .open = socket_open, .close = socket_close, .read = socket_read,
             .write = socket_write, .ended = socket_ended, .hung_up = socket_hung_up, .move = socket_move, .filename = socket_filename);
