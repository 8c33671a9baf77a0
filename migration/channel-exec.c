/* SPDX-License-Identifier: GPL-2.0-or-later */
/* exec:COMMAND - a shell command that takes the stream on its input, or gives it on its output. */
#include "channel.h"
#include "util/error.h"

static Channel *spawn(const char *command, bool incoming, GError **error)
{
    const char *argv[] = {"/bin/sh", "-c", command, NULL};
    GPid pid;
    int fd;
    Channel *channel;

    if (!*command) {
        return fail_null(error, "command is empty");
    }
    if (!g_spawn_async_with_pipes(NULL, (char **)argv, NULL,
                                  G_SPAWN_DO_NOT_REAP_CHILD | (incoming ? 0 : G_SPAWN_STDOUT_TO_DEV_NULL), NULL, NULL,
                                  &pid, incoming ? NULL : &fd, incoming ? &fd : NULL, NULL, error)) {
        return NULL;
    }
    channel = incoming ? channel_new(fd, -1) : channel_new(-1, fd);
    channel->child = pid;
    channel_classify(channel);
    return channel;
}

static Channel *exec_out(const char *command, GError **error)
{
    return spawn(command, false, error);
}

static Channel *exec_in(const char *command, GError **error)
{
    return spawn(command, true, error);
}

CHANNEL_TYPE(exec, .scheme = "exec", .kind = CHANNEL_PIPE, .arg = "COMMAND", .open_out = exec_out, .open_in = exec_in);
