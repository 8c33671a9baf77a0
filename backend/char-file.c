/* SPDX-License-Identifier: GPL-2.0-or-later */
/* null, file, pipe and fd: what one or two descriptors are enough for. */
#include "char.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util/error.h"

/* --- null: takes everything, says nothing --- */

static ssize_t null_write(Chardev *chr, const void *buf, size_t len)
{
    return len;
}

static bool null_open(Chardev *chr, GError **error)
{
    char_connected(chr, -1, -1);
    return true;
}

CHARDEV_KIND(null, .name = "null", .help = "takes everything, says nothing", .instance_size = sizeof(Chardev),
             .open = null_open, .write = null_write, .keep_open = true);

/* --- file --- */

typedef struct FileChardev {
    Chardev chr;
    char *path;
    char *input_path;
    bool append;
} FileChardev;

static bool file_open(Chardev *chr, GError **error)
{
    FileChardev *f = (FileChardev *)chr;
    int out, in = -1;

    if (!f->path) {
        return fail(error, "option 'path' is missing");
    }
    out = char_open_output(chr, f->path, f->append);
    if (out < 0) {
        return fail_errno(error, errno, "cannot open '%s' for writing", f->path);
    }
    if (!char_set_nonblock(out, error)) { /* a named pipe that nobody empties must not stop the machine */
        close(out);
        return false;
    }
    if (f->input_path) {
        in = open(f->input_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (in < 0) {
            fail_errno(error, errno, "cannot open '%s' for reading", f->input_path);
            close(out);
            return false;
        }
    }
    char_connected(chr, in, out);
    return true;
}

static char *file_filename(Chardev *chr)
{
    return g_strdup("file");
}

static const Field file_options[] = {
    F_STRING(FileChardev, path, "path", .help = "file that gets the output"),
    F_STRING(FileChardev, input_path, "input-path", .optional = true, .help = "file that gives the input"),
    F_BOOL(FileChardev, append, "append", .optional = true, .default_value = "off",
           .help = "add to the file instead of starting it anew"),
    FIELD_END,
};

CHARDEV_KIND(file, .name = "file", .help = "output to a file", .instance_size = sizeof(FileChardev),
             .options = file_options, .open = file_open, .filename = file_filename, .keep_open = true);

/* --- pipe: PATH.in and PATH.out, or PATH both ways --- */

typedef struct PipeChardev {
    Chardev chr;
    char *path;
} PipeChardev;

static bool pipe_open(Chardev *chr, GError **error)
{
    PipeChardev *p = (PipeChardev *)chr;
    g_autofree char *in_path = NULL, *out_path = NULL;
    int in, out;

    if (!p->path) {
        return fail(error, "option 'path' is missing");
    }
    in_path = g_strconcat(p->path, ".in", NULL);
    out_path = g_strconcat(p->path, ".out", NULL);
    in = open(in_path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    out = open(out_path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (in < 0 && out < 0) {
        in = out = open(p->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    }
    if (in >= 0 && out >= 0) {
        char_connected(chr, in, out);
        return true;
    }
    fail_errno(error, errno, "cannot open pipe '%s'", p->path);
    if (in >= 0) {
        close(in);
    }
    if (out >= 0) {
        close(out);
    }
    return false;
}

static const Field pipe_options[] = {
    F_STRING(PipeChardev, path, "path", .help = "named pipes PATH.in and PATH.out, or one PATH"),
    FIELD_END,
};

CHARDEV_KIND(pipe, .name = "pipe", .help = "named pipes", .instance_size = sizeof(PipeChardev),
             .options = pipe_options, .open = pipe_open, .keep_open = true);

/* --- fd: a descriptor that the parent process left open --- */

typedef struct FdChardev {
    Chardev chr;
    uint32_t fd;
} FdChardev;

static bool fd_open(Chardev *chr, GError **error)
{
    FdChardev *f = (FdChardev *)chr;
    int fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 3);

    if (fd < 0) {
        return fail_errno(error, errno, "cannot use descriptor %u", f->fd);
    }
    if (!char_set_nonblock(fd, error)) {
        close(fd);
        return false;
    }
    char_connected(chr, fd, fd);
    return true;
}

static const Field fd_options[] = {
    F_U32(FdChardev, fd, "fd", .max = INT32_MAX, .help = "number of an open descriptor"),
    FIELD_END,
};

CHARDEV_KIND(fd, .name = "fd", .help = "a descriptor the parent process left open",
             .instance_size = sizeof(FdChardev), .options = fd_options, .open = fd_open);
