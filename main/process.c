/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process and its surroundings: the pid file, and the way to the background.
 *
 * -daemonize forks before anything is opened or started, so that no thread, lock or descriptor is lost.  The
 * parent stays until the child says over a pipe that the machine is set up, or is gone: either way its exit
 * status tells.
 */
#include "main/main.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/error.h"
#include "util/file.h"

/* --- pid file --- */

static int pidfile_fd = -1; /* locked while we live; belongs to pidfile_owner */
static pid_t pidfile_owner;

/* Registered with atexit(), which children of a fork inherit. */
static void remove_pidfile(void)
{
    if (pidfile_fd >= 0 && getpid() == pidfile_owner) {
        unlink(startup.pidfile);
        close(pidfile_fd);
        pidfile_fd = -1;
    }
}

/* Whether @fd is still the file of that name: its owner may have removed it between our open and our lock. */
static bool is_named(int fd, const char *path)
{
    struct stat by_fd, by_path;

    return fstat(fd, &by_fd) == 0 && stat(path, &by_path) == 0 && by_fd.st_dev == by_path.st_dev &&
           by_fd.st_ino == by_path.st_ino;
}

static bool is_regular(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static int open_and_lock(const char *path, GError **error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

    if (fd < 0) {
        fail_errno(error, errno, "cannot open pid file '%s'", path);
        return -1;
    }
    if (!is_regular(fd)) { /* /dev/null is not ours to remove in the end */
        fail(error, "pid file '%s' is no regular file", path);
        close(fd);
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK) {
            fail(error, "pid file '%s' belongs to a process that still runs", path);
        } else {
            fail_errno(error, errno, "cannot lock pid file '%s'", path);
        }
        close(fd);
        return -1;
    }
    return fd;
}

bool pidfile_create(GError **error)
{
    g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());
    int fd;

    if (!startup.pidfile) {
        return true;
    }
    fd = open_and_lock(startup.pidfile, error);
    if (fd < 0) {
        return false;
    }
    if (!is_named(fd, startup.pidfile)) {
        close(fd);
        return fail(error, "pid file '%s' has just been removed by another process", startup.pidfile);
    }
    pidfile_fd = fd;
    pidfile_owner = getpid();
    atexit(remove_pidfile);
    if (ftruncate(fd, 0) < 0) {
        return fail_errno(error, errno, "cannot empty pid file '%s'", startup.pidfile);
    }
    if (!write_all(fd, text, strlen(text), error)) {
        error_context(error, "pid file '%s'", startup.pidfile);
        return false;
    }
    return true;
}

/* --- the background --- */

static int ready_fd = -1; /* in the child: one byte says that all is well */

/* Waits for the child's word; never returns. */
static G_GNUC_NORETURN void wait_for_child(pid_t child, int fd)
{
    int status = EXIT_FAILURE;
    char byte;
    ssize_t n;

    do {
        n = read(fd, &byte, 1);
    } while (n < 0 && errno == EINTR);
    if (n == 1) {
        _exit(EXIT_SUCCESS);
    }
    /* it ended before it was ready, and has said why */
    if (waitpid(child, &status, 0) == child && WIFSIGNALED(status)) {
        error_report("-daemonize: the process was ended by signal %d before the machine was set up",
                     WTERMSIG(status));
    }
    _exit(EXIT_FAILURE);
}

bool daemonize_begin(GError **error)
{
    int fds[2];
    pid_t child;

    if (!startup.daemonize) {
        return true;
    }
    if (startup.exit_with_parent) {
        return fail(error, "-daemonize and -run-with exit-with-parent=on exclude each other");
    }
    if (pipe2(fds, O_CLOEXEC) < 0) {
        return fail_errno(error, errno, "-daemonize");
    }
    child = fork();
    if (child < 0) {
        fail_errno(error, errno, "-daemonize");
        close(fds[0]);
        close(fds[1]);
        return false;
    }
    if (child > 0) {
        close(fds[1]);
        wait_for_child(child, fds[0]);
    }
    close(fds[0]);
    ready_fd = fds[1];
    setsid();
    return true;
}

/* The current folder stays: paths on the command line and in the monitor are relative to it. */
bool daemonize_finish(GError **error)
{
    int null;

    if (ready_fd < 0) {
        return true;
    }
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) {
        return fail_errno(error, errno, "-daemonize: cannot open '/dev/null'");
    }
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    if (null > STDERR_FILENO) {
        close(null);
    }
    if (!write_all(ready_fd, "", 1, NULL)) {
        /* the parent was killed: nobody waits for an answer */
    }
    close(ready_fd);
    ready_fd = -1;
    return true;
}
