/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stdio: the terminal the emulator was started from, in raw mode while it runs and always restored.
 *
 * Output goes through a descriptor of our own (opened anew, non-blocking), so that the flag does not leak
 * into other programs which share the terminal.  Where opening anew is impossible, short writes after poll()
 * do.
 */
#include "char.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "util/atomic.h"
#include "util/error.h"

typedef struct StdioChardev {
    Chardev chr;
    bool signal; /* Ctrl-C and friends reach the emulator instead of the guest */
    bool echo;
    bool blocking; /* output could not be made non-blocking */
} StdioChardev;

/* Read by signal handlers, on any thread: written before terminal_changed is set, which says that they hold. */
static struct termios terminal_before;
static struct termios terminal_raw;
static int terminal_changed; /* atomic */
static StdioChardev *stdio_user;

static const int deadly_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
static struct sigaction actions_before[G_N_ELEMENTS(deadly_signals)];

void chardev_restore_terminal(void)
{
    if (atomic_xchg(&terminal_changed, 0)) {
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
    }
}

/* Restores the terminal, then lets the signal do what it would have done. */
static void deadly_signal(int sig, siginfo_t *info, void *context)
{
    int saved_errno = errno;

    chardev_restore_terminal();
    for (size_t i = 0; i < G_N_ELEMENTS(deadly_signals); i++) {
        if (deadly_signals[i] == sig) {
            sigaction(sig, &actions_before[i], NULL);
        }
    }
    if (info->si_code <= 0) {
        raise(sig); /* sent by somebody: it would not come again by itself */
    }
    errno = saved_errno;
}

/* After a stop the shell has changed the terminal. */
static void continued(int sig)
{
    int saved_errno = errno;

    if (atomic_load_acquire(&terminal_changed)) {
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal_raw);
        if (!atomic_read(&terminal_changed)) { /* another thread has restored it meanwhile */
            tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
        }
    }
    errno = saved_errno;
}

static void install_handlers_once(void)
{
    static bool installed;
    struct sigaction deadly = {.sa_sigaction = deadly_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    struct sigaction cont = {.sa_handler = continued, .sa_flags = SA_RESTART};

    if (installed) {
        return;
    }
    installed = true;
    atexit(chardev_restore_terminal);
    for (size_t i = 0; i < G_N_ELEMENTS(deadly_signals); i++) {
        sigaction(deadly_signals[i], &deadly, &actions_before[i]);
    }
    sigaction(SIGCONT, &cont, NULL);
}

static void apply_terminal_mode(StdioChardev *s)
{
    struct termios raw;

    if (!atomic_read(&terminal_changed)) {
        if (tcgetattr(STDIN_FILENO, &terminal_before) < 0) {
            return; /* not a terminal */
        }
        install_handlers_once();
    }
    raw = terminal_before;
    if (!s->echo) {
        raw.c_iflag &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
        raw.c_oflag |= OPOST;
        raw.c_lflag &= ~(ECHO | ECHONL | ICANON | IEXTEN);
        raw.c_cflag = (raw.c_cflag & ~(CSIZE | PARENB)) | CS8;
        raw.c_cc[VMIN] = 1;
        raw.c_cc[VTIME] = 0;
    }
    if (!s->signal) {
        raw.c_lflag &= ~ISIG;
    }
    terminal_raw = raw;
    atomic_store_release(&terminal_changed, 1); /* pairs with continued() */
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void stdio_set_echo(Chardev *chr, bool echo)
{
    StdioChardev *s = (StdioChardev *)chr;

    s->echo = echo;
    apply_terminal_mode(s);
}

/* A descriptor for the same terminal or pipe with flags of its own; -1 when there is no way. */
static int open_output_anew(void)
{
    struct stat st;

    if (fstat(STDOUT_FILENO, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode))) {
        return open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }
    return -1;
}

static ssize_t stdio_write(Chardev *chr, const void *buf, size_t len)
{
    StdioChardev *s = (StdioChardev *)chr;
    struct pollfd pfd = {.fd = chr->out_fd, .events = POLLOUT};

    if (!s->blocking) {
        return write(chr->out_fd, buf, len);
    }
    if (poll(&pfd, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(chr->out_fd, buf, MIN(len, 512));
}

static bool stdio_open(Chardev *chr, GError **error)
{
    StdioChardev *s = (StdioChardev *)chr;
    int in, out;

    if (stdio_user) {
        return fail(error, "stdio is in use by '%s'", stdio_user->chr.id);
    }
    in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    if (in < 0) {
        in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    out = open_output_anew();
    if (out < 0) {
        s->blocking = true;
        out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    }
    if (out < 0) {
        out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    }
    if (in < 0 || out < 0) {
        fail_errno(error, errno, "cannot use standard input and output");
        return in >= 0 ? close(in), false : false;
    }
    stdio_user = s;
    apply_terminal_mode(s);
    char_connected(chr, in, out);
    return true;
}

static void stdio_close(Chardev *chr)
{
    if (stdio_user == (StdioChardev *)chr) {
        stdio_user = NULL;
        chardev_restore_terminal();
    }
}

static const Field stdio_options[] = {
    F_BOOL(StdioChardev, signal, "signal", .default_value = "on", .optional = true,
           .help = "Ctrl-C ends the emulator instead of going to the guest"),
    FIELD_END,
};

CHARDEV_KIND(stdio, .name = "stdio", .help = "the terminal the emulator was started from",
             .instance_size = sizeof(StdioChardev), .options = stdio_options, .open = stdio_open,
             .close = stdio_close, .write = stdio_write, .set_echo = stdio_set_echo, .keep_open = true);
