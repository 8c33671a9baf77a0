/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pty: a pseudo terminal that some other program opens.
 *
 * While no program has it open the master reports a hang-up: output is dropped, as on a line nobody listens
 * to, and a slow timer looks for somebody to come.
 */
#include "char.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "util/error.h"

typedef struct PtyChardev {
    Chardev chr;
    char *path; /* optional: a symbolic link to make */
    char *slave_name;
    bool linked;
    GSource *look; /* looks for somebody who opened the terminal; NULL while somebody has */
} PtyChardev;

static bool pty_open_pair(PtyChardev *p, int *master, GError **error)
{
    struct termios raw;
    char name[128];
    int slave, fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd < 0) {
        return fail_errno(error, errno, "cannot open a pseudo terminal");
    }
    if (grantpt(fd) < 0 || unlockpt(fd) < 0 || ptsname_r(fd, name, sizeof(name)) != 0 ||
        (slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
        fail_errno(error, errno, "cannot set up a pseudo terminal");
        close(fd);
        return false;
    }
    if (tcgetattr(slave, &raw) == 0) {
        cfmakeraw(&raw);
        tcsetattr(slave, TCSANOW, &raw);
    }
    close(slave);
    p->slave_name = g_strdup(name);
    *master = fd;
    return true;
}

static bool nobody_there(const Chardev *chr)
{
    struct pollfd pfd = {.fd = chr->out_fd, .events = POLLOUT};

    return poll(&pfd, 1, 0) > 0 && (pfd.revents & POLLHUP);
}

static void stop_looking(PtyChardev *p)
{
    if (p->look) {
        g_source_destroy(p->look);
        g_source_unref(p->look);
        p->look = NULL;
    }
}

static gboolean look(gpointer opaque)
{
    PtyChardev *p = opaque;

    if (nobody_there(&p->chr)) {
        return G_SOURCE_CONTINUE;
    }
    stop_looking(p);
    char_watch_input(&p->chr);
    return G_SOURCE_REMOVE;
}

static void start_looking(Chardev *chr)
{
    PtyChardev *p = (PtyChardev *)chr;

    stop_looking(p);
    p->look = g_timeout_source_new(100);
    g_source_set_callback(p->look, look, p, NULL);
    g_source_attach(p->look, event_loop_context(chr->loop));
}

static ssize_t pty_write(Chardev *chr, const void *buf, size_t len)
{
    return nobody_there(chr) ? (ssize_t)len : write(chr->out_fd, buf, len);
}

static bool pty_open(Chardev *chr, GError **error)
{
    PtyChardev *p = (PtyChardev *)chr;
    int master = -1;

    if (!pty_open_pair(p, &master, error) || !char_set_nonblock(master, error)) {
        return master >= 0 ? close(master), false : false;
    }
    if (p->path) {
        if (symlink(p->slave_name, p->path) < 0) {
            fail_errno(error, errno, "cannot make the link '%s'", p->path);
            close(master);
            return false;
        }
        p->linked = true;
    }
    info_report("char device redirected to %s (label %s)", p->slave_name, chr->id);
    char_connected(chr, master, master);
    return true;
}

static void pty_close(Chardev *chr)
{
    PtyChardev *p = (PtyChardev *)chr;

    if (p->linked) {
        unlink(p->path);
        p->linked = false;
    }
    stop_looking(p);
    g_clear_pointer(&p->slave_name, g_free);
}

static char *pty_filename(Chardev *chr)
{
    PtyChardev *p = (PtyChardev *)chr;

    return g_strdup_printf("pty:%s", p->slave_name ? p->slave_name : "");
}

static const Field pty_options[] = {
    F_STRING(PtyChardev, path, "path", .optional = true,
             .help = "make a symbolic link to the terminal there"),
    FIELD_END,
};

CHARDEV_KIND(pty, .name = "pty", .help = "a new pseudo terminal", .instance_size = sizeof(PtyChardev),
             .options = pty_options, .open = pty_open, .close = pty_close, .write = pty_write,
             .ended = start_looking, .filename = pty_filename, .keep_open = true);
