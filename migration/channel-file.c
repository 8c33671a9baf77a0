/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * file:PATH[,offset=N] - also "/dev/fdset/N".  What stands before the offset stays as it is; what stood after it goes.
 *
 * A machine that was restored by mapping a file still reads its memory from there and holds a shared lock on it.  Saving
 * to the same name makes a new file then and leaves the old one, nameless, to that machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
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

/* False: somebody's lock is in the way.  A device or a pipe holds nobody's memory, is not locked and never replaced. */
static bool lock(int fd, int kind)
{
    struct stat st;

    return (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) || flock(fd, kind | LOCK_NB) == 0 ||
           errno != EWOULDBLOCK; /* no locks there: nobody can have one */
}

static int open_for_writing(const char *path, uint64_t offset, GError **error)
{
    int fd = fdset_open_path(path, O_WRONLY | O_CREAT, 0600, error);

    if (fd < 0 || fdset_is_path(path) || lock(fd, LOCK_EX)) {
        return fd;
    }
    close(fd); /* somebody's memory is in there */
    if (offset) {
        fail(error, "'%s' is in use: a machine that was restored from it still runs, or it is being written", path);
        return -1;
    }
    if (unlink(path) < 0 && errno != ENOENT) {
        fail_errno(error, errno, "'%s' is in use and cannot be replaced", path);
        return -1;
    }
    fd = fdset_open_path(path, O_WRONLY | O_CREAT | O_EXCL, 0600, error);
    if (fd >= 0) {
        lock(fd, LOCK_EX);
    }
    return fd;
}

static int open_for_reading(const char *path, GError **error)
{
    int fd = fdset_open_path(path, O_RDONLY, 0, error);

    if (fd >= 0 && !fdset_is_path(path) && !lock(fd, LOCK_SH)) {
        close(fd);
        fail(error, "'%s' is being written", path);
        return -1;
    }
    return fd;
}

/* A named pipe that nobody has written to looks like one that has ended: not before somebody does. */
static bool await_writer(Channel *channel, GError **error)
{
    return channel_poll(channel, channel->in_fd, POLLIN, error);
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
    fd = incoming ? open_for_reading(path, error) : open_for_writing(path, offset, error);
    if (fd < 0) {
        return NULL;
    }
    channel = incoming ? channel_new(fd, -1) : channel_new(-1, fd);
    channel_classify(channel);
    if (incoming && !channel->seekable) {
        channel->prepare = await_writer;
    }
    if (!channel->seekable && offset) {
        fail(error, "offset needs a regular file");
    } else if (!channel_can_seek(channel, error)) {
        /* it says why */
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

CHANNEL_TYPE(file, .scheme = "file", .kind = CHANNEL_FILE, .arg = "PATH[,offset=N]", .open_out = file_out, .open_in = file_in);
