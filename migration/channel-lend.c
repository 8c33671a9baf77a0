/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory goes to a unix socket by reference: its pages are put into a pipe (vmsplice) and from there into the
 * socket (splice).  One copy less, which is half of what sending costs.  (Over TCP to the same host the receiver then
 * pays more than the sender wins.)
 *
 * The receiver sees what a page holds when it takes it, not when it was lent.  For precopy both are right: a store in
 * between has marked the page, and it is sent once more.  But nobody may call the stream complete because it was
 * written: pages may be waiting in the socket, and the machine must stand still until they were read.  So it takes
 * a peer that answers.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "channel.h"
#include "util/error.h"

#define PIPE_BYTES (1024 * 1024)

static void stop_lending(Channel *channel)
{
    close(channel->lend_pipe[0]);
    close(channel->lend_pipe[1]);
    channel->lend_pipe[0] = channel->lend_pipe[1] = -1;
}

static bool is_unix_socket(int fd)
{
    int domain = -1;
    socklen_t size = sizeof(domain);

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

void channel_start_lending(Channel *channel)
{
    if (!is_unix_socket(channel->out_fd) || pipe2(channel->lend_pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
        return;
    }
    fcntl(channel->lend_pipe[1], F_SETPIPE_SZ, PIPE_BYTES); /* else it takes less at a time */
}

/* 1: done; 0: this kernel or socket cannot do it, *@size bytes were not sent; -1: error. */
static int empty_pipe(Channel *channel, size_t *size, GError **error)
{
    while (*size) {
        ssize_t n = splice(channel->lend_pipe[0], NULL, channel->out_fd, NULL, *size, SPLICE_F_NONBLOCK);

        if (n > 0) {
            *size -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            if (!channel_poll(channel, channel->out_fd, POLLOUT, error)) {
                return -1;
            }
        } else if (n == 0 || errno == EINVAL) {
            return 0;
        } else if (errno != EINTR) {
            fail_errno(error, errno, "writing to '%s'", channel->uri);
            return -1;
        }
    }
    return 1;
}

/* What was not lent is left in @iov. */
static bool lend(Channel *channel, struct iovec *iov, GError **error)
{
    while (iov->iov_len && channel->lend_pipe[0] >= 0) {
        ssize_t n = vmsplice(channel->lend_pipe[1], iov, 1, 0);
        size_t taken = n > 0 ? (size_t)n : 0, left = taken;
        int result = taken ? empty_pipe(channel, &left, error) : 0;

        if (result < 0) {
            return false;
        }
        iov->iov_base = (char *)iov->iov_base + (taken - left);
        iov->iov_len -= taken - left;
        if (!result) {
            stop_lending(channel);
        }
    }
    return true;
}

bool channel_writev_memory(Channel *channel, struct iovec *iov, int count, GError **error)
{
    while (count) {
        int small = 0;

        while (small < count && (channel->lend_pipe[0] < 0 || iov[small].iov_len < LEND_BYTES)) {
            small++;
        }
        if (small && !channel_writev(channel, iov, small, error)) {
            return false;
        }
        iov += small;
        count -= small;
        if (count && !lend(channel, iov, error)) {
            return false;
        }
        if (count && !iov->iov_len) {
            iov++;
            count--;
        }
    }
    return true;
}
