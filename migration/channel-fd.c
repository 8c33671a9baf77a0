/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fd:NAME - a socket, pipe or file that the management client handed over (getfd), or an inherited number. */
#include "api/fds.h"
#include "channel.h"
#include "util/error.h"

#include <fcntl.h>
#include <unistd.h>

static Channel *open_fd(const char *name, bool incoming, GError **error)
{
    int fd = fd_store_take(name, error);
    Channel *channel;
    int mode;

    if (fd < 0) {
        return NULL;
    }
    mode = fcntl(fd, F_GETFL);
    if (mode < 0 || (mode & O_ACCMODE) == (incoming ? O_WRONLY : O_RDONLY)) {
        close(fd);
        return fail_null(error, incoming ? "fd cannot be read" : "fd cannot be written");
    }
    channel = channel_new(fd, fd);
    channel_classify(channel);
    if (!channel->bidirectional) {
        *(incoming ? &channel->out_fd : &channel->in_fd) = -1;
    }
    if (!channel_can_seek(channel, error)) {
        channel_free(channel);
        return NULL;
    }
    return channel;
}

static Channel *fd_out(const char *name, GError **error)
{
    return open_fd(name, false, error);
}

static Channel *fd_in(const char *name, GError **error)
{
    return open_fd(name, true, error);
}

CHANNEL_TYPE(fd, .scheme = "fd", .arg = "NAME", .open_out = fd_out, .open_in = fd_in);
