/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * file:PATH[,offset=N] - also "/dev/fdset/N".  What stands before the offset stays as it is; what stood after it goes.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "api/fds.h"
#include "api/field.h"
#include "channel.h"
#include "util/error.h"

static bool split(const char *rest, char **path, uint64_t *offset, GError **error)
{
    const char *option = g_strrstr(rest, ",offset=");

    *offset = 0;
    if (option && !parse_size(option + strlen(",offset="), 0, offset, error)) {
        return false;
    }
    if (*offset > INT64_MAX) {
        return fail(error, "offset is too large");
    }
    *path = option ? g_strndup(rest, (gsize)(option - rest)) : g_strdup(rest);
    return **path || fail(error, "path is empty");
}

static Channel *open_file(const char *rest, bool incoming, GError **error)
{
    g_autofree char *path = NULL;
    uint64_t offset;
    Channel *channel;
    int fd;

    if (!split(rest, &path, &offset, error)) {
        return NULL;
    }
    fd = fdset_open_path(path, incoming ? O_RDONLY : O_WRONLY | O_CREAT, 0600, error);
    if (fd < 0) {
        return NULL;
    }
    channel = incoming ? channel_new(fd, -1) : channel_new(-1, fd);
    channel_classify(channel);
    if (!channel->seekable && offset) {
        fail(error, "offset needs a regular file");
    } else if (channel->seekable && !incoming && ftruncate(fd, (off_t)offset) < 0) {
        fail_errno(error, errno, "cannot truncate");
    } else {
        channel->position = offset;
        return channel;
    }
    channel_free(channel);
    return NULL;
}

static Channel *file_out(const char *rest, GError **error)
{
    return open_file(rest, false, error);
}

static Channel *file_in(const char *rest, GError **error)
{
    return open_file(rest, true, error);
}

CHANNEL_TYPE(file, .scheme = "file", .arg = "PATH[,offset=N]", .open_out = file_out, .open_in = file_in);
