/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The child process, its two sockets, and the protocols on them. */
#include "tests/lib/libqtest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/json-printf.h"

enum { TIMEOUT_MS = 120 * 1000, POLL_MS = 50 };

/* One connection and what has been read from it ahead. */
typedef struct Stream {
    int fd;
    GString *ahead;
} Stream;

struct QTestState {
    pid_t pid;
    bool ended;
    int wait_status, expected_status;
    char *dir, *stderr_path;
    Stream qtest, qmp;
    GQueue events;      /* of JsonObject * that nobody has waited for yet */
    GHashTable *raised; /* of irq line numbers */
};

/* --- failing --- */

char *qtest_stderr(QTestState *s)
{
    char *text = NULL;

    g_file_get_contents(s->stderr_path, &text, NULL, NULL);
    return text ? text : g_strdup("");
}

static G_NORETURN void PRINTF_LIKE(2, 3) give_up(QTestState *s, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    g_autofree char *message = g_strdup_vprintf(format, ap);
    va_end(ap);
    g_autofree char *said = qtest_stderr(s);
    g_printerr("libqtest: %s\n%s%s", message, *said ? "the emulator said:\n" : "", said);
    if (!s->ended) {
        kill(s->pid, SIGKILL);
    }
    abort();
}

/* --- streams --- */

static bool check_ended(QTestState *s)
{
    if (!s->ended) {
        s->ended = waitpid(s->pid, &s->wait_status, WNOHANG) == s->pid;
    }
    return s->ended;
}

/* Waits until @fd can be read. */
static void wait_readable(QTestState *s, int fd, const char *what)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};

    for (int waited = 0; waited < TIMEOUT_MS; waited += POLL_MS) {
        int n = poll(&pfd, 1, POLL_MS);
        if (n > 0) {
            return;
        }
        if (n < 0 && errno != EINTR) {
            give_up(s, "poll: %s", g_strerror(errno));
        }
        if (check_ended(s) && poll(&pfd, 1, 0) <= 0) {
            give_up(s, "the emulator ended while %s", what);
        }
    }
    give_up(s, "no answer in %d s while %s", TIMEOUT_MS / 1000, what);
}

static void stream_fill(QTestState *s, Stream *stream, const char *what)
{
    char buf[65536];
    ssize_t n;

    wait_readable(s, stream->fd, what);
    n = read(stream->fd, buf, sizeof(buf));
    if (n == 0 || (n < 0 && errno != EINTR)) {
        give_up(s, "the connection ended while %s", what);
    }
    if (n > 0) {
        g_string_append_len(stream->ahead, buf, n);
    }
}

/* The next line, without its end. */
static char *stream_line(QTestState *s, Stream *stream, const char *what)
{
    size_t seen = 0;
    char *end;

    while (!(end = memchr(stream->ahead->str + seen, '\n', stream->ahead->len - seen))) {
        seen = stream->ahead->len;
        stream_fill(s, stream, what);
    }
    size_t len = (size_t)(end - stream->ahead->str);
    char *line = g_strndup(stream->ahead->str, len);
    g_string_erase(stream->ahead, 0, (gssize)len + 1);
    return g_strchomp(line);
}

static void stream_send(QTestState *s, Stream *stream, const char *text, size_t len)
{
    while (len) {
        ssize_t n = send(stream->fd, text, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            check_ended(s);
            give_up(s, "could not send: %s", g_strerror(errno));
        }
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
}

static int listen_on(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpuint(strlen(path), <, sizeof(addr.sun_path));
    strcpy(addr.sun_path, path);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    return fd;
}

static void accept_into(QTestState *s, Stream *stream, int listener, const char *what)
{
    wait_readable(s, listener, what);
    stream->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    stream->ahead = g_string_new(NULL);
    g_assert_cmpint(stream->fd, >=, 0);
    close(listener);
}

/* --- the child --- */

static char *binary_of_this_build(void)
{
    static const char *const places[] = {"godwit-system-riscv64", "main/godwit-system-riscv64"};
    g_autofree char *exe = g_file_read_link("/proc/self/exe", NULL);
    char *dir = g_path_get_dirname(exe ? exe : ".");

    while (strlen(dir) > 1) {
        for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
            g_autofree char *path = g_build_filename(dir, places[i], NULL);
            if (g_file_test(path, G_FILE_TEST_IS_EXECUTABLE)) {
                g_free(dir);
                return g_steal_pointer(&path);
            }
        }
        char *parent = g_path_get_dirname(dir);
        g_free(dir);
        dir = parent;
    }
    g_free(dir);
    g_error("no emulator found: set GODWIT_BINARY");
}

const char *qtest_binary(void)
{
    static char *binary;

    if (!binary) {
        const char *given = g_getenv("GODWIT_BINARY");
        given = given ? given : g_getenv("QTEST_QEMU_BINARY");
        binary = given ? g_strdup(given) : binary_of_this_build();
    }
    return binary;
}

static void in_child(gpointer opaque)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that dies takes its emulators along */
}

static pid_t spawn(const char *command, int out_fd, int err_fd)
{
    char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)command, NULL};
    GSpawnFlags flags = G_SPAWN_DO_NOT_REAP_CHILD | (out_fd < 0 ? G_SPAWN_STDOUT_TO_DEV_NULL : 0);
    g_autoptr(GError) error = NULL;
    GPid pid;

    if (!g_spawn_async_with_fds(NULL, argv, NULL, flags, in_child, NULL, &pid, -1, out_fd, err_fd, &error)) {
        g_error("could not start '%s': %s", command, error->message);
    }
    return pid;
}

static int create_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

QTestState *qtest_init_without_qmp_handshake(const char *args)
{
    QTestState *s = g_new0(QTestState, 1);
    bool verbose = g_getenv("QTEST_LOG") != NULL;

    s->dir = g_dir_make_tmp("godwit-qtest-XXXXXX", NULL);
    g_assert_nonnull(s->dir);
    s->stderr_path = g_build_filename(s->dir, "stderr", NULL);
    s->raised = g_hash_table_new(NULL, NULL);
    g_autofree char *qtest_path = g_build_filename(s->dir, "qtest.sock", NULL);
    g_autofree char *qmp_path = g_build_filename(s->dir, "qmp.sock", NULL);
    int qtest_listener = listen_on(qtest_path), qmp_listener = listen_on(qmp_path);
    g_autofree char *command = g_strdup_printf(
        "exec %s -qtest unix:%s -qtest-log %s -chardev socket,path=%s,id=char0 -mon "
        "chardev=char0,mode=control "
        "-display none -audio none %s -accel qtest",
        qtest_binary(), qtest_path, verbose ? "/dev/fd/2" : "/dev/null", qmp_path, args ? args : "");
    int err_fd = create_file(s->stderr_path);

    s->pid = spawn(command, -1, err_fd);
    close(err_fd);
    accept_into(s, &s->qtest, qtest_listener, "connecting to qtest");
    accept_into(s, &s->qmp, qmp_listener, "connecting to QMP");
    return s;
}

static void handshake(QTestState *s)
{
    JsonObject *greeting = qtest_qmp_receive(s);
    JsonArray *capabilities =
        json_object_get_array_member(json_object_get_object_member(greeting, "QMP"), "capabilities");
    bool oob = json_array_get_length(capabilities) > 0;

    json_object_unref(greeting);
    qtest_qmp_assert_success(s, oob ? "{'execute': 'qmp_capabilities', 'arguments': {'enable': ['oob']}}"
                                    : "{'execute': 'qmp_capabilities'}");
}

QTestState *qtest_init(const char *args)
{
    QTestState *s = qtest_init_without_qmp_handshake(args);

    handshake(s);
    return s;
}

QTestState *qtest_initf(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    g_autofree char *args = g_strdup_vprintf(format, ap);
    va_end(ap);
    return qtest_init(args);
}

static int status_of(int wait_status)
{
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -WTERMSIG(wait_status);
}

static bool wait_end(QTestState *s, int timeout_ms)
{
    for (int waited = 0; !check_ended(s) && waited < timeout_ms; waited += 10) {
        poll(NULL, 0, 10);
    }
    return s->ended;
}

int qtest_wait_exit(QTestState *s)
{
    if (!wait_end(s, TIMEOUT_MS)) {
        give_up(s, "the emulator does not end");
    }
    return status_of(s->wait_status);
}

void qtest_set_expected_status(QTestState *s, int status)
{
    s->expected_status = status;
}

void qtest_kill(QTestState *s, int signal)
{
    if (!check_ended(s)) {
        kill(s->pid, signal);
    }
}

pid_t qtest_pid(QTestState *s)
{
    return s->pid;
}

const char *qtest_dir(QTestState *s)
{
    return s->dir;
}

static void remove_dir(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        unlink(file);
    }
    g_clear_pointer(&dir, g_dir_close);
    rmdir(path);
}

static void stream_close(Stream *stream)
{
    close(stream->fd);
    g_string_free(stream->ahead, TRUE);
}

void qtest_quit(QTestState *s)
{
    if (!s) {
        return;
    }
    qtest_kill(s, SIGTERM);
    int status = qtest_wait_exit(s);
    if (s->expected_status >= 0 && status != s->expected_status) {
        give_up(s, "the exit status is %d, not %d", status, s->expected_status);
    }
    stream_close(&s->qtest);
    stream_close(&s->qmp);
    g_queue_clear_full(&s->events, (GDestroyNotify)json_object_unref);
    g_hash_table_unref(s->raised);
    remove_dir(s->dir);
    g_free(s->dir);
    g_free(s->stderr_path);
    g_free(s);
}

static char *take_file(const char *path)
{
    char *text = NULL;

    g_file_get_contents(path, &text, NULL, NULL);
    unlink(path);
    return text;
}

int qtest_run(const char *args, char **out, char **err)
{
    QTestState child = {0};
    g_autofree char *dir = g_dir_make_tmp("godwit-qtest-XXXXXX", NULL);
    g_autofree char *out_path = g_build_filename(dir, "stdout", NULL);
    g_autofree char *command = g_strdup_printf("exec %s %s </dev/null", qtest_binary(), args);

    child.stderr_path = g_build_filename(dir, "stderr", NULL);
    int out_fd = create_file(out_path), err_fd = create_file(child.stderr_path);
    child.pid = spawn(command, out_fd, err_fd);
    close(out_fd);
    close(err_fd);
    int status = qtest_wait_exit(&child);
    g_autofree char *out_text = take_file(out_path);
    g_autofree char *err_text = take_file(child.stderr_path);
    if (out) {
        *out = g_steal_pointer(&out_text);
    }
    if (err) {
        *err = g_steal_pointer(&err_text);
    }
    rmdir(dir);
    g_free(child.stderr_path);
    return status;
}

/* --- QMP --- */

static JsonObject *receive_any(QTestState *s, const char *what)
{
    g_autofree char *line = stream_line(s, &s->qmp, what);
    JsonNode *node = json_from_string(line, NULL);

    if (!node || !JSON_NODE_HOLDS_OBJECT(node)) {
        give_up(s, "QMP sent '%s'", line);
    }
    JsonObject *object = json_node_dup_object(node);
    json_node_unref(node);
    return object;
}

JsonObject *qtest_qmp_receive(QTestState *s)
{
    for (;;) {
        JsonObject *object = receive_any(s, "waiting for a QMP reply");
        if (!json_object_has_member(object, "event")) {
            return object;
        }
        g_queue_push_tail(&s->events, object);
    }
}

void qtest_qmp_send_raw(QTestState *s, const char *text)
{
    stream_send(s, &s->qmp, text, strlen(text));
}

static void vsend(QTestState *s, const char *format, va_list ap)
{
    g_autofree char *text = json_vprintf(format, ap);

    qtest_qmp_send_raw(s, text);
    qtest_qmp_send_raw(s, "\n");
}

void qtest_qmp_send(QTestState *s, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsend(s, format, ap);
    va_end(ap);
}

JsonObject *qtest_vqmp(QTestState *s, const char *format, va_list ap)
{
    vsend(s, format, ap);
    return qtest_qmp_receive(s);
}

JsonObject *qtest_qmp(QTestState *s, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    JsonObject *reply = qtest_vqmp(s, format, ap);
    va_end(ap);
    return reply;
}

JsonObject *qtest_qmp_fds(QTestState *s, const int *fds, size_t n, const char *format, ...)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(16 * sizeof(int))];
    } control = {0};
    va_list ap;

    g_assert_cmpuint(n, <=, 16);
    va_start(ap, format);
    g_autofree char *text = json_vprintf(format, ap);
    va_end(ap);
    struct iovec iov = {.iov_base = text, .iov_len = strlen(text)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = CMSG_SPACE(n * sizeof(int))};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(cmsg), fds, n * sizeof(int));
    g_assert_cmpint(sendmsg(s->qmp.fd, &msg, MSG_NOSIGNAL), ==, (ssize_t)iov.iov_len);
    qtest_qmp_send_raw(s, "\n");
    return qtest_qmp_receive(s);
}

static char *as_text(JsonObject *object)
{
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);

    json_node_set_object(node, object);
    char *text = json_to_string(node, FALSE);
    json_node_unref(node);
    return text;
}

/* The member of the reply, which must be there. */
static JsonNode *take_member(QTestState *s, JsonObject *reply, const char *member)
{
    JsonNode *node = json_object_get_member(reply, member);

    if (!node) {
        g_autofree char *text = as_text(reply);
        give_up(s, "QMP did not reply with '%s' but %s", member, text);
    }
    node = json_node_copy(node);
    json_object_unref(reply);
    return node;
}

void qtest_qmp_assert_success(QTestState *s, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    json_node_unref(take_member(s, qtest_vqmp(s, format, ap), "return"));
    va_end(ap);
}

JsonNode *qtest_qmp_assert_success_ref(QTestState *s, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    JsonNode *node = take_member(s, qtest_vqmp(s, format, ap), "return");
    va_end(ap);
    return node;
}

JsonObject *qtest_qmp_assert_failure_ref(QTestState *s, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    JsonNode *node = take_member(s, qtest_vqmp(s, format, ap), "error");
    va_end(ap);
    JsonObject *error = json_node_dup_object(node);
    json_node_unref(node);
    return error;
}

JsonObject *qtest_qmp_event_ref(QTestState *s, const char *event)
{
    for (GList *l = s->events.head; l; l = l->next) {
        JsonObject *object = l->data;
        if (!strcmp(json_object_get_string_member(object, "event"), event)) {
            g_queue_delete_link(&s->events, l);
            return object;
        }
    }
    return NULL;
}

JsonObject *qtest_qmp_eventwait_ref(QTestState *s, const char *event)
{
    g_autofree char *what = g_strdup_printf("waiting for event %s", event);
    JsonObject *found;

    while (!(found = qtest_qmp_event_ref(s, event))) {
        JsonObject *object = receive_any(s, what);
        if (!json_object_has_member(object, "event")) {
            g_autofree char *text = as_text(object);
            give_up(s, "QMP sent %s while %s", text, what);
        }
        g_queue_push_tail(&s->events, object);
    }
    return found;
}

void qtest_qmp_eventwait(QTestState *s, const char *event)
{
    json_object_unref(qtest_qmp_eventwait_ref(s, event));
}

char *qtest_hmp(QTestState *s, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    g_autofree char *line = g_strdup_vprintf(format, ap);
    va_end(ap);
    JsonNode *node = qtest_qmp_assert_success_ref(
        s, "{'execute': 'human-monitor-command', 'arguments': {'command-line': %s}}", line);
    char *text = json_node_dup_string(node);
    json_node_unref(node);
    return text;
}

/* --- qtest --- */

/* "IRQ raise 5" */
static void note_irq(QTestState *s, const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 3);

    if (g_strv_length(words) != 3) {
        give_up(s, "qtest sent '%s'", line);
    }
    gpointer n = GINT_TO_POINTER(atoi(words[2]) + 1);
    if (!strcmp(words[1], "raise")) {
        g_hash_table_add(s->raised, n);
    } else {
        g_hash_table_remove(s->raised, n);
    }
}

static char *reply_line(QTestState *s)
{
    for (;;) {
        g_autofree char *line = stream_line(s, &s->qtest, "waiting for a qtest reply");
        if (!g_str_has_prefix(line, "IRQ ")) {
            return g_steal_pointer(&line);
        }
        note_irq(s, line);
    }
}

static char *vcommand(QTestState *s, const char *format, va_list ap)
{
    g_autofree char *line = g_strdup_vprintf(format, ap);

    stream_send(s, &s->qtest, line, strlen(line));
    stream_send(s, &s->qtest, "\n", 1);
    return reply_line(s);
}

char *qtest_command(QTestState *s, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    char *reply = vcommand(s, format, ap);
    va_end(ap);
    return reply;
}

/* What follows "OK ", newly allocated; anything but OK fails the test. */
static char *PRINTF_LIKE(2, 3) expect_ok(QTestState *s, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    g_autofree char *reply = vcommand(s, format, ap);
    va_end(ap);
    if (strcmp(reply, "OK") && !g_str_has_prefix(reply, "OK ")) {
        give_up(s, "qtest replied '%s'", reply);
    }
    return g_strdup(reply + (reply[2] ? 3 : 2));
}

#define DO(...) g_free(expect_ok(__VA_ARGS__))

static uint64_t number_of(QTestState *s, const char *command, uint64_t addr)
{
    g_autofree char *text = expect_ok(s, "%s 0x%" PRIx64, command, addr);

    return g_ascii_strtoull(text, NULL, 0);
}

uint8_t qtest_readb(QTestState *s, uint64_t addr)
{
    return (uint8_t)number_of(s, "readb", addr);
}

uint16_t qtest_readw(QTestState *s, uint64_t addr)
{
    return (uint16_t)number_of(s, "readw", addr);
}

uint32_t qtest_readl(QTestState *s, uint64_t addr)
{
    return (uint32_t)number_of(s, "readl", addr);
}

uint64_t qtest_readq(QTestState *s, uint64_t addr)
{
    return number_of(s, "readq", addr);
}

static void write_value(QTestState *s, const char *command, uint64_t addr, uint64_t value)
{
    DO(s, "%s 0x%" PRIx64 " 0x%" PRIx64, command, addr, value);
}

void qtest_writeb(QTestState *s, uint64_t addr, uint8_t value)
{
    write_value(s, "writeb", addr, value);
}

void qtest_writew(QTestState *s, uint64_t addr, uint16_t value)
{
    write_value(s, "writew", addr, value);
}

void qtest_writel(QTestState *s, uint64_t addr, uint32_t value)
{
    write_value(s, "writel", addr, value);
}

void qtest_writeq(QTestState *s, uint64_t addr, uint64_t value)
{
    write_value(s, "writeq", addr, value);
}

void qtest_memread(QTestState *s, uint64_t addr, void *data, size_t size)
{
    g_autofree char *text = expect_ok(s, "read 0x%" PRIx64 " 0x%zx", addr, size);
    uint8_t *bytes = data;

    g_assert_cmpuint(strlen(text), ==, 2 + 2 * size);
    for (size_t i = 0; i < size; i++) {
        bytes[i] =
            (uint8_t)(g_ascii_xdigit_value(text[2 + 2 * i]) << 4 | g_ascii_xdigit_value(text[3 + 2 * i]));
    }
}

void qtest_memwrite(QTestState *s, uint64_t addr, const void *data, size_t size)
{
    GString *hex = g_string_sized_new(2 * size + 1);
    const uint8_t *bytes = data;

    for (size_t i = 0; i < size; i++) {
        g_string_append_printf(hex, "%02x", bytes[i]);
    }
    DO(s, "write 0x%" PRIx64 " 0x%zx 0x%s", addr, size, hex->str);
    g_string_free(hex, TRUE);
}

void qtest_bufread(QTestState *s, uint64_t addr, void *data, size_t size)
{
    g_autofree char *text = expect_ok(s, "b64read 0x%" PRIx64 " 0x%zx", addr, size);
    gsize decoded;
    g_autofree guchar *bytes = g_base64_decode(text, &decoded);

    g_assert_cmpuint(decoded, ==, size);
    memcpy(data, bytes, size);
}

void qtest_bufwrite(QTestState *s, uint64_t addr, const void *data, size_t size)
{
    g_autofree char *text = g_base64_encode(data, size);

    DO(s, "b64write 0x%" PRIx64 " 0x%zx %s", addr, size, text);
}

void qtest_memset(QTestState *s, uint64_t addr, uint8_t byte, size_t size)
{
    DO(s, "memset 0x%" PRIx64 " 0x%zx 0x%02x", addr, size, byte);
}

bool qtest_big_endian(QTestState *s)
{
    g_autofree char *text = expect_ok(s, "endianness");

    return !strcmp(text, "big");
}

int64_t qtest_clock_step_next(QTestState *s)
{
    g_autofree char *text = expect_ok(s, "clock_step");

    return g_ascii_strtoll(text, NULL, 0);
}

int64_t qtest_clock_step(QTestState *s, int64_t step)
{
    g_autofree char *text = expect_ok(s, "clock_step %" PRId64, step);

    return g_ascii_strtoll(text, NULL, 0);
}

int64_t qtest_clock_set(QTestState *s, int64_t ns)
{
    g_autofree char *text = expect_ok(s, "clock_set %" PRId64, ns);

    return g_ascii_strtoll(text, NULL, 0);
}

bool qtest_get_irq(QTestState *s, int n)
{
    g_free(expect_ok(s, "endianness")); /* what was reported before its reply is known now */
    return g_hash_table_contains(s->raised, GINT_TO_POINTER(n + 1));
}

void qtest_irq_intercept_in(QTestState *s, const char *path)
{
    DO(s, "irq_intercept_in %s", path);
}

void qtest_irq_intercept_out(QTestState *s, const char *path)
{
    DO(s, "irq_intercept_out %s", path);
}

void qtest_irq_intercept_out_named(QTestState *s, const char *path, const char *name)
{
    DO(s, "irq_intercept_out %s %s", path, name);
}

void qtest_set_irq_in(QTestState *s, const char *path, const char *name, int n, int level)
{
    DO(s, "set_irq_in %s %s %d %d", path, name ? name : "unnamed-gpio-in", n, level);
}

uint64_t qtest_csr_call(QTestState *s, const char *name, uint64_t cpu, int csr, uint64_t *value)
{
    g_autofree char *text = expect_ok(s, "csr %s 0x%" PRIx64 " %d 0x%" PRIx64, name, cpu, csr, *value);
    g_auto(GStrv) words = g_strsplit(text, " ", 2);

    g_assert_cmpuint(g_strv_length(words), ==, 2);
    *value = g_ascii_strtoull(words[1], NULL, 16);
    return g_ascii_strtoull(words[0], NULL, 0);
}
