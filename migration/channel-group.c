/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who connects to a destination: the source's connections, told by their first words, among whoever else comes by.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"
#include "util/atomic.h"
#include "util/bswap.h"
#include "util/error.h"

/*
 * How long the group waits for the next connection once it has begun: a source opens all of its own in a row, and a
 * lost packet that asks for one is sent again twice within this time.
 */
#define GROUP_PATIENCE_MS 10000

/* Which connections came: those that have not said yet what they are, and those that have. */
typedef struct Group {
    struct pollfd fds[3 + 256]; /* cancel, listener, then the first kind as they came */
    unsigned count;
    unsigned main_at; /* those from here on came after the main one */
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

/* The others keep their order. */
static void remove_newcomer(Group *group, unsigned i)
{
    struct pollfd *at = &group->fds[POLL_FIRST + i];

    memmove(at, at + 1, (--group->count - i) * sizeof(*at));
    if (group->main_fd < 0) {
        group->main_at = i; /* if this is it */
    } else if (i < group->main_at) {
        group->main_at--;
    }
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
    if (!is_main && !group->wanted) { /* the source notices, and can say it */
        warn_report("'%s': a connection was closed: the source has capability multifd on, which is off here", leader->uri);
        close(fd);
        return true;
    }
    if (is_main ? group->main_fd >= 0 : group->have == group->wanted) {
        close(fd);
        return group->wanted ? fail(error, "more connections came than capability multifd and parameter "
                                    "multifd-channels (%u) allow", group->wanted)
                             : fail(error, "more connections came than one");
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
        remove_newcomer(group, i);
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
    return group_is_complete(group) || !group->fds[POLL_LISTENER].revents ||
           accept_newcomer(group, group->fds[POLL_LISTENER].fd, error);
}

/* Of those that have said nothing the first after the main one is kept for channel_accept_more(). */
static void leave_newcomers(Channel *leader, Group *group)
{
    for (unsigned i = 0; i < group->count; i++) {
        int fd = group->fds[POLL_FIRST + i].fd;

        if (leader->keep_listening && group->main_fd >= 0 && i == group->main_at) {
            leader->early_fd = fd;
        } else {
            close(fd);
        }
    }
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

    if (!channel_is_listening(leader)) {
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
    leave_newcomers(leader, group);
    if (ok) {
        channel_become_connection(leader, group->main_fd);
        return true;
    }
    give_up_group(group);
    error_context(error, "'%s'", leader->uri);
    return false;
}
