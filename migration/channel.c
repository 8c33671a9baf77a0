/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Channels over file descriptors: cancellable waiting, whole transfers, and the URI front. */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/fds.h"
#include "channel.h"
#include "util/atomic.h"
#include "util/error.h"

#define MAX_IOV 1024

Channel *channel_new(int in_fd, int out_fd)
{
    Channel *channel = g_new0(Channel, 1);

    channel->in_fd = in_fd;
    channel->out_fd = out_fd;
    channel->direct_fd = channel->listener = channel->early_fd = channel->kept_fd = -1;
    channel->lend_pipe[0] = channel->lend_pipe[1] = -1;
    channel->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return channel;
}

void channel_classify(Channel *channel)
{
    int fd = channel->in_fd >= 0 ? channel->in_fd : channel->out_fd;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        return;
    }
    channel->bidirectional = S_ISSOCK(st.st_mode) && channel->in_fd == channel->out_fd;
    channel->seekable = S_ISREG(st.st_mode);
    if (channel->seekable) {
        off_t at = lseek(fd, 0, SEEK_CUR);

        channel->position = at > 0 ? (uint64_t)at : 0;
        return;
    }
    if (channel->in_fd >= 0) {
        g_unix_set_fd_nonblocking(channel->in_fd, TRUE, NULL);
    }
    if (channel->out_fd >= 0) {
        g_unix_set_fd_nonblocking(channel->out_fd, TRUE, NULL);
    }
}

bool channel_can_seek(const Channel *channel, GError **error)
{
    int flags = channel->seekable && channel->out_fd >= 0 ? fcntl(channel->out_fd, F_GETFL) : 0;

    return !(flags & O_APPEND) || fail(error, "the file was opened for appending (O_APPEND) and cannot be written elsewhere");
}

static bool check_cancelled(Channel *channel, GError **error)
{
    return !(atomic_load_acquire(&channel->cancelled) ||
             (channel->leader && atomic_load_acquire(&channel->leader->cancelled))) ||
           fail(error, "cancelled");
}

Channel *channel_new_follower(const Channel *leader, int fd)
{
    Channel *channel = channel_new(fd, fd);

    channel->leader = leader;
    channel->uri = g_strdup(leader->uri);
    channel_classify(channel);
    return channel;
}

bool channel_poll(Channel *channel, int fd, short events, GError **error)
{
    struct pollfd fds[3] = {{.fd = fd, .events = events},
                            {.fd = channel->cancel_fd, .events = POLLIN},
                            {.fd = channel->leader ? channel->leader->cancel_fd : -1, .events = POLLIN}};

    for (;;) {
        int wait_ms = -1;

        if (!check_cancelled(channel, error)) {
            return false;
        }
        if (channel->deadline_us) {
            wait_ms = (int)((channel->deadline_us - g_get_monotonic_time()) / 1000);
            if (wait_ms <= 0) {
                return fail(error, "nothing came from '%s' in time", channel->uri);
            }
        }
        if (poll(fds, 3, wait_ms) < 0 && errno != EINTR) {
            return fail_errno(error, errno, "poll");
        }
        if (fds[0].revents) {
            return check_cancelled(channel, error);
        }
    }
}

bool channel_prepare(Channel *channel, GError **error)
{
    if (channel->prepare && !channel->prepare(channel, error)) {
        error_context(error, "'%s'", channel->uri);
        return false;
    }
    return true;
}

/* Forgets the first @done bytes of @iov. */
static void iov_advance(struct iovec **iov, int *count, size_t done)
{
    while (*count && done >= (*iov)->iov_len) {
        done -= (*iov)->iov_len;
        ++*iov;
        --*count;
    }
    if (done) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + done;
        (*iov)->iov_len -= done;
    }
}

static ssize_t write_some(Channel *channel, struct iovec *iov, int count)
{
    count = MIN(count, MAX_IOV);
    if (channel->bidirectional) {
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};

        return sendmsg(channel->out_fd, &msg, MSG_NOSIGNAL);
    }
    return writev(channel->out_fd, iov, count);
}

static bool file_writev(Channel *channel, int fd, struct iovec *iov, int count, uint64_t offset, GError **error)
{
    while (count) {
        ssize_t n;

        if (!check_cancelled(channel, error)) {
            return false;
        }
        n = pwritev(fd, iov, MIN(count, MAX_IOV), (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return fail_errno(error, n < 0 ? errno : ENOSPC, "writing '%s' at offset 0x%" PRIx64, channel->uri,
                              offset);
        }
        offset += (uint64_t)n;
        iov_advance(&iov, &count, (size_t)n);
    }
    return true;
}

static uint64_t iov_size(const struct iovec *iov, int count)
{
    uint64_t size = 0;

    for (int i = 0; i < count; i++) {
        size += iov[i].iov_len;
    }
    return size;
}

bool channel_writev(Channel *channel, struct iovec *iov, int count, GError **error)
{
    if (channel->seekable) {
        uint64_t offset = channel->position;

        channel->position += iov_size(iov, count);
        return file_writev(channel, channel->out_fd, iov, count, offset, error);
    }
    while (count) {
        ssize_t n;

        if (!check_cancelled(channel, error)) {
            return false;
        }
        n = write_some(channel, iov, count);
        if (n >= 0) {
            iov_advance(&iov, &count, (size_t)n);
        } else if (errno == EAGAIN) {
            if (!channel_poll(channel, channel->out_fd, POLLOUT, error)) {
                return false;
            }
        } else if (errno != EINTR) {
            return fail_errno(error, errno, "writing to '%s'", channel->uri);
        }
    }
    return true;
}

bool channel_pwritev(Channel *channel, struct iovec *iov, int count, uint64_t offset, GError **error)
{
    return file_writev(channel, channel->out_fd, iov, count, offset, error);
}

ssize_t channel_readv(Channel *channel, const struct iovec *iov, int count, GError **error)
{
    for (;;) {
        ssize_t n;

        if (!check_cancelled(channel, error)) {
            return -1;
        }
        n = channel->seekable ? preadv(channel->in_fd, iov, count, (off_t)channel->position)
                              : readv(channel->in_fd, iov, count);
        if (n >= 0) {
            channel->position += (uint64_t)n;
            return n;
        }
        if (errno == EAGAIN) {
            if (!channel_poll(channel, channel->in_fd, POLLIN, error)) {
                return -1;
            }
        } else if (errno != EINTR) {
            fail_errno(error, errno, "reading from '%s'", channel->uri);
            return -1;
        }
    }
}

static bool file_read(Channel *channel, int fd, void *data, size_t size, uint64_t offset, GError **error)
{
    while (size) {
        ssize_t n;

        if (!check_cancelled(channel, error)) {
            return false;
        }
        n = pread(fd, data, size, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return fail_errno(error, errno, "reading '%s' at offset 0x%" PRIx64, channel->uri, offset);
        }
        if (n == 0) {
            return fail(error, "'%s' ends at offset 0x%" PRIx64 ", before all pages", channel->uri, offset);
        }
        data = (char *)data + n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return true;
}

bool channel_pread(Channel *channel, void *data, size_t size, uint64_t offset, GError **error)
{
    return file_read(channel, channel->in_fd, data, size, offset, error);
}

/* --- guest pages, past the page cache --- */

#define DIRECT_ALIGN 4096

/* The file once more: a set's other fd, or the same file opened again. */
bool channel_open_direct(Channel *channel, GError **error)
{
    int fd = channel->in_fd >= 0 ? channel->in_fd : channel->out_fd;
    int mode = channel->in_fd >= 0 ? O_RDONLY : O_WRONLY;
    const char *rest = g_str_has_prefix(channel->uri, "file:") ? channel->uri + strlen("file:") : "";
    g_autofree char *path = g_strndup(rest, strcspn(rest, ","));

    if (!fdset_is_path(path)) {
        g_free(path);
        path = g_strdup_printf("/proc/self/fd/%d", fd);
    }
    channel->direct_fd = fdset_open_path(path, mode | O_DIRECT, 0, error);
    if (channel->direct_fd < 0) {
        error_context(error, "parameter direct-io");
        return false;
    }
    return true;
}

static bool goes_direct(const Channel *channel, const void *data, size_t size, uint64_t offset)
{
    return channel->direct_fd >= 0 && ((uintptr_t)data | size | offset) % DIRECT_ALIGN == 0;
}

/* From here on the host may as well begin to write: everything is to be on disk at the end. */
#define EARLY_BYTES (256 * 1024)

bool channel_pwrite_pages(Channel *channel, const void *data, size_t size, uint64_t offset, GError **error)
{
    bool direct = goes_direct(channel, data, size, offset);
    struct iovec iov = {(void *)(uintptr_t)data, size};

    if (!file_writev(channel, direct ? channel->direct_fd : channel->out_fd, &iov, 1, offset, error)) {
        return false;
    }
    if (!direct && size >= EARLY_BYTES) {
        sync_file_range(channel->out_fd, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
    }
    return true;
}

bool channel_pread_pages(Channel *channel, void *data, size_t size, uint64_t offset, GError **error)
{
    int fd = goes_direct(channel, data, size, offset) ? channel->direct_fd : channel->in_fd;

    return file_read(channel, fd, data, size, offset, error);
}

int channel_readv_all(Channel *channel, struct iovec *iov, int count, GError **error)
{
    bool began = false;

    while (count) {
        ssize_t n;

        if (!check_cancelled(channel, error)) {
            return -1;
        }
        n = readv(channel->in_fd, iov, MIN(count, MAX_IOV));
        if (n > 0) {
            began = true;
            iov_advance(&iov, &count, (size_t)n);
        } else if (n == 0) {
            if (began) {
                fail(error, "'%s' ends in the middle of a packet", channel->uri);
            }
            return began ? -1 : 0;
        } else if (errno == EAGAIN) {
            if (!channel_poll(channel, channel->in_fd, POLLIN, error)) {
                return -1;
            }
        } else if (errno != EINTR) {
            fail_errno(error, errno, "reading from '%s'", channel->uri);
            return -1;
        }
    }
    return 1;
}

Channel *channel_connect_more(Channel *leader, GError **error)
{
    Channel *channel;

    if (!leader->prepare) {
        return fail_null(error, "'%s' is a single connection", leader->uri);
    }
    channel = channel_open(leader->uri, false, error);
    if (!channel) {
        return NULL;
    }
    channel->leader = leader;
    if (!channel_prepare(channel, error)) {
        channel_free(channel);
        return NULL;
    }
    return channel;
}

uint64_t channel_file_size(Channel *channel)
{
    struct stat st;
    int fd = channel->in_fd >= 0 ? channel->in_fd : channel->out_fd;

    return channel->seekable && fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* --- exec --- */

#define LOOK_MS  5
#define GRACE_MS 1000 /* between SIGTERM and SIGKILL */

/* Whether the command has ended, with @status. */
static bool child_ended(Channel *channel, int *status)
{
    pid_t got = waitpid(channel->child, status, WNOHANG);

    if (got == channel->child || (got < 0 && errno != EINTR)) {
        channel->child = 0;
    }
    return !channel->child;
}

/* Ends the command; what it says to that is its status. */
static int end_child(Channel *channel)
{
    int status = 0;

    kill(channel->child, SIGTERM);
    for (int waited = 0; !child_ended(channel, &status); waited += LOOK_MS) {
        if (waited == GRACE_MS) {
            kill(channel->child, SIGKILL);
        }
        g_usleep(LOOK_MS * 1000);
    }
    return status;
}

/* The command that reads our stream decides whether it went well, also when a cancel ends it. */
static bool wait_child(Channel *channel, GError **error)
{
    int status = 0;

    while (!child_ended(channel, &status)) {
        if (!check_cancelled(channel, NULL)) {
            status = end_child(channel);
            break;
        }
        /* no fd tells of the end of a child here: wait for cancel, and look again */
        poll(&(struct pollfd){.fd = channel->cancel_fd, .events = POLLIN}, 1, LOOK_MS);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return true;
    }
    if (WIFSIGNALED(status)) {
        return fail(error, "command of '%s' was ended by signal %d", channel->uri, WTERMSIG(status));
    }
    return fail(error, "command of '%s' ended with status %d", channel->uri, WEXITSTATUS(status));
}

bool channel_finish(Channel *channel, GError **error)
{
    if (channel->seekable && channel->out_fd >= 0 && fdatasync(channel->out_fd) < 0 && errno != EINVAL) {
        return fail_errno(error, errno, "syncing '%s'", channel->uri);
    }
    if (channel->child) {
        if (channel->out_fd >= 0) {
            close(channel->out_fd);
            channel->out_fd = -1;
        }
        return wait_child(channel, error);
    }
    return true;
}

void channel_send_last(Channel *channel, const void *data, size_t size)
{
    if (send(channel->out_fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        /* nobody hears them */
    }
}

/* Somebody else may have taken the name meanwhile.  Any thread. */
static void remove_socket_path(const Channel *channel)
{
    struct stat st;

    if (channel->socket_path && lstat(channel->socket_path, &st) == 0 && st.st_dev == channel->socket_dev &&
        st.st_ino == channel->socket_ino) {
        unlink(channel->socket_path);
    }
}

void channel_cancel(Channel *channel)
{
    uint64_t one = 1;

    atomic_store_release(&channel->cancelled, true);
    if (write(channel->cancel_fd, &one, sizeof(one)) < 0) {
        /* the counter is already not 0: whoever polls wakes up all the same */
    }
    remove_socket_path(channel); /* now: the process may end before the channel is freed */
}

bool channel_is_cancelled(const Channel *channel)
{
    return atomic_load_acquire(&channel->cancelled);
}

void channel_free(Channel *channel)
{
    if (!channel) {
        return;
    }
    if (channel->in_fd >= 0) {
        close(channel->in_fd);
    }
    if (channel->out_fd >= 0 && channel->out_fd != channel->in_fd) {
        close(channel->out_fd);
    }
    if (channel->direct_fd >= 0) {
        close(channel->direct_fd);
    }
    if (channel->early_fd >= 0) {
        close(channel->early_fd);
    }
    if (channel->listener >= 0) {
        close(channel->listener);
    }
    if (channel->lend_pipe[0] >= 0) {
        close(channel->lend_pipe[0]);
        close(channel->lend_pipe[1]);
    }
    if (channel->child) {
        end_child(channel);
    }
    close(channel->cancel_fd);
    remove_socket_path(channel);
    g_free(channel->socket_path);
    if (channel->address) {
        json_node_unref(channel->address);
    }
    g_free(channel->private);
    g_free(channel->uri);
    g_free(channel);
}

static const char *nth_scheme(unsigned i, void *opaque)
{
    LINKER_SET_FOREACH(channel_types, ChannelType, type) {
        if (i-- == 0) {
            return type->scheme;
        }
    }
    return NULL;
}

static const ChannelType *find_type(const char *uri, GError **error)
{
    const char *colon = strchr(uri, ':');
    g_autofree char *scheme = colon ? g_strndup(uri, (gsize)(colon - uri)) : g_strdup(uri);
    const char *hint;

    LINKER_SET_FOREACH(channel_types, ChannelType, type) {
        if (colon && !strcmp(type->scheme, scheme)) {
            return type;
        }
    }
    hint = did_you_mean(scheme, nth_scheme, NULL);
    if (hint) {
        return fail_null(error, "'%s' is no migration URI (did you mean '%s:'?)", uri, hint);
    }
    return fail_null(error, "'%s' is no migration URI (unix:PATH, tcp:HOST:PORT, fd:NAME, exec:COMMAND or "
                     "file:PATH[,offset=N])", uri);
}

bool channel_kind(const char *uri, ChannelKind *kind, GError **error)
{
    const ChannelType *type = find_type(uri, error);

    *kind = type ? type->kind : CHANNEL_ANY;
    return type != NULL;
}

bool channel_may_be_socket(const char *uri, GError **error)
{
    ChannelKind kind;

    return channel_kind(uri, &kind, error) && (kind == CHANNEL_SOCKET || kind == CHANNEL_ANY ||
                                               fail(error, "another link needs a socket, '%s' is none", uri));
}

Channel *channel_open(const char *uri, bool incoming, GError **error)
{
    const ChannelType *type = find_type(uri, error);
    Channel *channel;

    if (!type) {
        return NULL;
    }
    channel = (incoming ? type->open_in : type->open_out)(uri + strlen(type->scheme) + 1, error);
    if (!channel) {
        error_context(error, "'%s'", uri);
        return NULL;
    }
    channel->uri = g_strdup(uri);
    return channel;
}

static const char *member_string(JsonObject *object, const char *name)
{
    JsonNode *node = object ? json_object_get_member(object, name) : NULL;

    return node && json_node_get_value_type(node) == G_TYPE_STRING ? json_node_get_string(node) : NULL;
}

static char *socket_uri(JsonObject *addr, GError **error)
{
    const char *type = member_string(addr, "type");
    const char *host = member_string(addr, "host"), *port = member_string(addr, "port");

    if (!g_strcmp0(type, "inet") && host && port) {
        return strchr(host, ':') ? g_strdup_printf("tcp:[%s]:%s", host, port)
                                 : g_strdup_printf("tcp:%s:%s", host, port);
    }
    if (!g_strcmp0(type, "unix") && member_string(addr, "path")) {
        return g_strconcat("unix:", member_string(addr, "path"), NULL);
    }
    if (!g_strcmp0(type, "fd") && member_string(addr, "str")) {
        return g_strconcat("fd:", member_string(addr, "str"), NULL);
    }
    return fail_null(error, "parameter 'channels': a socket needs type 'inet' with host and port, 'unix' with path, "
                     "or 'fd' with str");
}

static char *exec_uri(JsonObject *addr, GError **error)
{
    JsonNode *node = json_object_get_member(addr, "args");
    g_autoptr(GString) command = g_string_new("exec:");

    if (!node || !JSON_NODE_HOLDS_ARRAY(node) || !json_array_get_length(json_node_get_array(node))) {
        return fail_null(error, "parameter 'channels': transport 'exec' needs a list 'args'");
    }
    for (guint i = 0; i < json_array_get_length(json_node_get_array(node)); i++) {
        JsonNode *word = json_array_get_element(json_node_get_array(node), i);
        g_autofree char *quoted = NULL;

        if (json_node_get_value_type(word) != G_TYPE_STRING) {
            return fail_null(error, "parameter 'channels': 'args' is a list of strings");
        }
        quoted = g_shell_quote(json_node_get_string(word));
        g_string_append_printf(command, "%s%s", i ? " " : "", quoted);
    }
    return g_strdup(command->str);
}

static char *file_uri(JsonObject *addr, GError **error)
{
    JsonNode *offset = json_object_get_member(addr, "offset");
    const char *name = member_string(addr, "filename");

    if (!name || (offset && json_node_get_value_type(offset) != G_TYPE_INT64)) {
        return fail_null(error, "parameter 'channels': transport 'file' needs filename and a number offset");
    }
    return g_strdup_printf("file:%s,offset=%" G_GINT64_FORMAT, name, offset ? json_node_get_int(offset) : 0);
}

char *channel_uri_from_json(JsonNode *node, GError **error)
{
    JsonObject *object, *addr = NULL;
    const char *transport;

    if (JSON_NODE_HOLDS_ARRAY(node)) {
        if (json_array_get_length(json_node_get_array(node)) != 1) {
            return fail_null(error, "parameter 'channels' takes exactly one element");
        }
        node = json_array_get_element(json_node_get_array(node), 0);
    }
    if (!JSON_NODE_HOLDS_OBJECT(node)) {
        return fail_null(error, "parameter 'channels' is a list of objects");
    }
    object = json_node_get_object(node);
    if (g_strcmp0(member_string(object, "channel-type"), "main")) {
        return fail_null(error, "parameter 'channels': only channel-type 'main' is known");
    }
    node = json_object_get_member(object, "addr");
    if (node && JSON_NODE_HOLDS_OBJECT(node)) {
        addr = json_node_get_object(node);
    }
    transport = member_string(addr, "transport");
    if (!g_strcmp0(transport, "socket")) {
        return socket_uri(addr, error);
    }
    if (!g_strcmp0(transport, "exec")) {
        return exec_uri(addr, error);
    }
    if (!g_strcmp0(transport, "file")) {
        return file_uri(addr, error);
    }
    return fail_null(error, "parameter 'channels': transport is one of 'socket', 'exec' and 'file'");
}
