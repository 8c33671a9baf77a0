/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Character devices: the short forms, sockets, the mux and its escapes, bounded output. */
#include "backend/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/command.h"
#include "system/runstate.h"

typedef struct Reader {
    GString *got;
    size_t room;
    int opened, closed, breaks, in, out;
    bool show_breaks; /* in @got */
} Reader;

static size_t can_read(void *opaque)
{
    return ((Reader *)opaque)->room;
}

static void take(void *opaque, const uint8_t *buf, size_t len)
{
    Reader *r = opaque;

    g_assert_cmpuint(len, <=, r->room);
    g_string_append_len(r->got, (const char *)buf, len);
}

static void event(void *opaque, CharEvent event)
{
    Reader *r = opaque;

    r->opened += event == CHAR_EVENT_OPENED;
    r->closed += event == CHAR_EVENT_CLOSED;
    r->breaks += event == CHAR_EVENT_BREAK;
    if (event == CHAR_EVENT_BREAK && r->show_breaks) {
        g_string_append_c(r->got, '#');
    }
    r->in += event == CHAR_EVENT_MUX_IN;
    r->out += event == CHAR_EVENT_MUX_OUT;
}

static const CharHandlers handlers = {.can_read = can_read, .read = take, .event = event};
static const CharHandlers background = {
    .can_read = can_read, .read = take, .event = event, .background = true};

static Reader reader(size_t room)
{
    return (Reader){.got = g_string_new(NULL), .room = room};
}

static void reader_clear(Reader *r)
{
    g_string_free(r->got, TRUE);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Reader, reader_clear)

/* Turns the main loop until nothing happens any more. */
static void settle(void)
{
    while (event_loop_run_once(event_loop_main(), false)) {
    }
}

static void run_until(const int *counter, int value)
{
    while (*counter < value) {
        event_loop_run_once(event_loop_main(), true);
    }
}

static void run_until_length(const GString *s, size_t len)
{
    while (s->len < len) {
        event_loop_run_once(event_loop_main(), true);
    }
}

static Chardev *must(const char *id, const char *text)
{
    GError *error = NULL;
    Chardev *chr = chardev_new_from_legacy(id, text, &error);

    g_assert_no_error(error);
    g_assert_nonnull(chr);
    return chr;
}

static char *temp_path(const char *name)
{
    static char *dir;

    if (!dir) {
        dir = g_dir_make_tmp("test-chardev-XXXXXX", NULL);
    }
    return g_build_filename(dir, name, NULL);
}

static int connect_to(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
    return fd;
}

/* A chardev over one end of a socket pair; the other end in *peer. */
static Chardev *pair_chardev(const char *id, const char *prefix, int *peer)
{
    g_autofree char *text = NULL;
    Chardev *chr;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    text = g_strdup_printf("%sfd:%d", prefix, fds[0]);
    chr = must(id, text);
    close(fds[0]);
    *peer = fds[1];
    return chr;
}

static void send_text(int fd, const char *text)
{
    g_assert_cmpint(write(fd, text, strlen(text)), ==, strlen(text));
}

static char *read_some(int fd)
{
    static char buf[4096];
    ssize_t n = read(fd, buf, sizeof(buf) - 1);

    buf[MAX(n, 0)] = 0;
    return buf;
}

static void test_parse_unknown(void)
{
    GError *error = NULL;

    g_assert_null(chardev_new_from_legacy("x", "nonsense", &error));
    g_assert_nonnull(strstr(error->message, "nonsense"));
    g_clear_error(&error);
    g_assert_null(chardev_new_from_options("sokcet,id=x", &error));
    g_assert_nonnull(strstr(error->message, "did you mean 'socket'"));
    g_clear_error(&error);
    g_assert_null(chardev_new_from_options("socket,id=x,paht=/tmp/y", &error));
    g_assert_nonnull(strstr(error->message, "paht"));
    g_clear_error(&error);
    g_assert_null(chardev_new_from_options("null", &error));
    g_assert_nonnull(strstr(error->message, "id="));
    g_clear_error(&error);
}

static void test_parse_by_id(void)
{
    GError *error = NULL;
    Chardev *chr = chardev_new_from_options("null,id=nothing", &error);

    g_assert_no_error(error);
    g_assert_true(chardev_new_from_legacy("y", "chardev:nothing", NULL) == chr);
    g_assert_null(chardev_new_from_legacy("y", "chardev:missing", &error));
    g_clear_error(&error);
    g_assert_null(chardev_new_from_options("null,id=nothing", &error));
    g_assert_nonnull(strstr(error->message, "exists already"));
    g_clear_error(&error);
    g_assert_true(chardev_delete(chr, &error));
}

static void test_file_errors_name_the_path(void)
{
    GError *error = NULL;

    g_assert_null(chardev_new_from_legacy("f", "file:/nonexistent/dir/file", &error));
    g_assert_nonnull(strstr(error->message, "/nonexistent/dir/file"));
    g_clear_error(&error);
    g_assert_null(chardev_new_from_legacy("f", "unix:/nonexistent/sock", &error));
    g_assert_nonnull(strstr(error->message, "/nonexistent/sock"));
    g_clear_error(&error);
}

static void test_file_gets_output(void)
{
    g_autofree char *path = temp_path("out");
    g_autofree char *legacy = g_strconcat("file:", path, NULL);
    g_autofree char *text = NULL;
    Chardev *chr = must("file0", legacy);

    chardev_write(chr, "hello", 5);
    chardev_flush(chr);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "hello");
    chardev_delete(chr, NULL);
    g_unlink(path);
}

static void test_server_listens_again(void)
{
    g_autofree char *path = temp_path("sock");
    g_autofree char *legacy = g_strdup_printf("unix:%s,server=on,wait=off", path);
    Chardev *chr = must("sock0", legacy);
    g_auto(Reader) r = reader(64);
    CharFrontend *fe = chardev_attach(chr, &handlers, &r, NULL, NULL);

    for (int round = 1; round <= 3; round++) {
        int fd = connect_to(path);

        send_text(fd, "abc");
        run_until_length(r.got, 3 * round);
        g_assert_cmpint(r.opened, ==, round);
        chardev_write(chr, "xyz", 3);
        g_assert_cmpstr(read_some(fd), ==, "xyz");
        close(fd);
        run_until(&r.closed, round);
        g_assert_false(chardev_is_connected(chr));
    }
    chardev_detach(fe);
    chardev_delete(chr, NULL);
    g_assert_cmpint(g_access(path, F_OK), !=, 0);
}

static void test_server_keeps_other_files(void)
{
    g_autofree char *path = temp_path("precious");
    g_autofree char *legacy = g_strdup_printf("unix:%s,server=on,wait=off", path);
    GError *error = NULL;

    g_assert_true(g_file_set_contents(path, "data", 4, NULL));
    g_assert_null(chardev_new_from_legacy("s", legacy, &error));
    g_assert_nonnull(strstr(error->message, path));
    g_clear_error(&error);
    g_assert_cmpint(g_access(path, F_OK), ==, 0);
    g_unlink(path);
}

static void test_tcp_loopback(void)
{
    g_autofree char *legacy = NULL;
    Chardev *server, *client;
    GError *error = NULL;
    g_auto(Reader) r = reader(64);
    CharFrontend *fe;

    for (int port = 20100; port < 20200; port++) {
        g_free(legacy);
        legacy = g_strdup_printf("tcp:127.0.0.1:%d,server=on,wait=off", port);
        g_clear_error(&error);
        server = chardev_new_from_legacy("srv", legacy, &error);
        if (server) {
            break;
        }
    }
    g_assert_nonnull(server);
    *strstr(legacy, ",server") = 0;
    client = must("cli", legacy);
    fe = chardev_attach(server, &handlers, &r, NULL, NULL);
    chardev_write(client, "over tcp", 8);
    run_until_length(r.got, 8);
    g_assert_cmpstr(r.got->str, ==, "over tcp");
    chardev_detach(fe);
    chardev_delete(client, NULL);
    chardev_delete(server, NULL);
}

static void test_fds_arrive(void)
{
    g_autofree char *path = temp_path("fds");
    g_autofree char *legacy = g_strdup_printf("unix:%s,server=on,wait=off", path);
    Chardev *chr = must("sock1", legacy);
    g_auto(Reader) r = reader(64);
    CharFrontend *fe = chardev_attach(chr, &handlers, &r, NULL, NULL);
    int fd = connect_to(path), sent = open("/dev/null", O_RDWR), got[4];
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec iov = {(char *)"f", 1};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &sent, sizeof(int));
    g_assert_cmpint(sendmsg(fd, &msg, 0), ==, 1);
    run_until_length(r.got, 1);
    g_assert_cmpuint(chardev_get_fds(chr, got, 4), ==, 1);
    g_assert_cmpint(fcntl(got[0], F_GETFD) & FD_CLOEXEC, !=, 0);
    g_assert_cmpuint(chardev_get_fds(chr, got + 1, 3), ==, 0);
    close(got[0]);
    close(sent);
    close(fd);
    chardev_detach(fe);
    chardev_delete(chr, NULL);
}

static void test_input_waits_for_room(void)
{
    int peer;
    Chardev *chr = pair_chardev("flow", "", &peer);
    g_auto(Reader) r = reader(0);
    CharFrontend *fe = chardev_attach(chr, &handlers, &r, NULL, NULL);

    send_text(peer, "0123456789");
    settle();
    g_assert_cmpuint(r.got->len, ==, 0);
    r.room = 4;
    chardev_accept_input(fe);
    run_until_length(r.got, 10);
    g_assert_cmpstr(r.got->str, ==, "0123456789");
    chardev_detach(fe);
    chardev_delete(chr, NULL);
    close(peer);
}

static void count_calls(void *opaque)
{
    ++*(int *)opaque;
}

/* The guest hangs; its console is closed and opened again. */
static void test_next_peer_past_input_nobody_takes(void)
{
    g_autofree char *path = temp_path("next");
    g_autofree char *text = g_strdup_printf("unix:%s,server=on,wait=off", path);
    g_auto(Reader) r = reader(0);
    Chardev *chr = must("console", text);
    CharFrontend *fe = chardev_attach(chr, &handlers, &r, NULL, NULL);
    int peer = connect_to(path);

    send_text(peer, "for nobody");
    run_until(&r.opened, 1);
    settle();
    close(peer);
    settle();
    g_assert_cmpint(r.closed, ==, 0); /* it may still be taken */
    peer = connect_to(path);
    run_until(&r.opened, 2);
    r.room = 64;
    send_text(peer, "hello");
    chardev_accept_input(fe);
    run_until_length(r.got, 5);
    g_assert_cmpstr(r.got->str, ==, "hello");
    chardev_detach(fe);
    chardev_delete(chr, NULL);
    close(peer);
}

static void test_write_some_reports_full(void)
{
    int peer, calls = 0;
    Chardev *chr = pair_chardev("full", "", &peer);
    g_auto(Reader) r = reader(1);
    CharFrontend *fe = chardev_attach(chr, &handlers, &r, NULL, NULL);
    g_autofree char *block = g_malloc0(65536);
    size_t sent = 0, n, seen = 0;

    while ((n = chardev_write_some(chr, block, 65536)) > 0) {
        sent += n;
    }
    chardev_when_writable(fe, count_calls, &calls);
    settle();
    g_assert_cmpint(calls, ==, 0);
    while (seen < sent) {
        seen += read(peer, block, 65536);
    }
    run_until(&calls, 1);
    g_assert_cmpuint(chardev_write_some(chr, "x", 1), ==, 1);
    chardev_detach(fe);
    chardev_delete(chr, NULL);
    close(peer);
}

static void test_output_is_bounded(void)
{
    int peer;
    Chardev *chr = pair_chardev("bounded", "", &peer);
    g_auto(Reader) r = reader(1);
    CharFrontend *fe = chardev_attach(chr, &handlers, &r, NULL, NULL);
    g_autofree char *block = g_malloc0(1 << 20);

    for (int i = 0; i < 20 && chardev_is_connected(chr); i++) {
        chardev_write(chr, block, 1 << 20);
    }
    g_assert_false(chardev_is_connected(chr));
    run_until(&r.closed, 1);
    chardev_detach(fe);
    chardev_delete(chr, NULL);
    close(peer);
}

static void test_second_frontend_refused(void)
{
    Chardev *chr = must("one", "null");
    g_auto(Reader) r = reader(1);
    GError *error = NULL;
    CharFrontend *fe = chardev_attach(chr, &handlers, &r, NULL, NULL);

    g_assert_null(chardev_attach(chr, &handlers, &r, NULL, &error));
    g_assert_nonnull(strstr(error->message, "in use"));
    g_clear_error(&error);
    g_assert_false(chardev_delete(chr, &error));
    g_clear_error(&error);
    chardev_detach(fe);
    chardev_delete(chr, NULL);
}

/* --- chardev-add, while a machine is there --- */

/* NULL when it was added, or why not. */
static char *add(const char *id, const char *backend)
{
    g_autofree char *text = g_strdup_printf("{\"id\": \"%s\", \"backend\": %s}", id, backend);
    JsonNode *args = json_from_string(text, NULL);
    CommandContext ctx = {0};
    GError *error = NULL;
    JsonNode *reply =
        command_run_json(command_find_qmp("chardev-add"), &ctx, json_node_get_object(args), &error);
    char *why = error ? g_strdup(error->message) : NULL;

    g_clear_error(&error);
    g_clear_pointer(&reply, json_node_unref);
    json_node_unref(args);
    return why;
}

static void test_refused_one_closes_nothing(void)
{
    Chardev *chr = must("taken", "null");
    g_autofree char *why = add("taken", "{\"type\": \"socket\", \"data\": {}}");
    g_autofree char *unknown = add("free", "{\"type\": \"socket\", \"data\": {\"colour\": 1}}");

    g_assert_nonnull(strstr(why, "exists already"));
    g_assert_nonnull(strstr(unknown, "colour"));
    g_assert_cmpint(fcntl(STDIN_FILENO, F_GETFD), >=, 0);
    chardev_delete(chr, NULL);
}

static void test_refused_one_keeps_the_log(void)
{
    g_autofree char *path = temp_path("log");
    g_autofree char *backend = g_strdup_printf("{\"type\": \"null\", \"data\": {\"logfile\": \"%s\"}}", path);
    g_autofree char *why = NULL, *text = NULL;
    Chardev *chr = must("taken", "null");

    g_assert_true(g_file_set_contents(path, "kept", -1, NULL));
    why = add("taken", backend);
    g_assert_nonnull(why);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "kept");
    unlink(path);
    chardev_delete(chr, NULL);
}

static int listen_at(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    unlink(path);
    g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
    g_assert_cmpint(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
    g_assert_cmpint(listen(fd, 0), ==, 0);
    return fd;
}

static void remove_by_id(const char *id)
{
    g_assert_true(chardev_delete(chardev_find(id), NULL));
}

/* Nobody accepts: the first waits in the queue, the second has no place there. */
static void test_add_does_not_wait_for_a_listener(void)
{
    g_autofree char *path = temp_path("full");
    g_autofree char *backend = g_strdup_printf(
        "{\"type\": \"socket\", \"data\": {\"server\": false, \"addr\": {\"path\": \"%s\"}}}", path);
    g_autofree char *again = g_strdup_printf(
        "{\"type\": \"socket\", \"data\": {\"server\": false, \"reconnect\": 1, \"addr\": {\"path\": \"%s\"}}}",
        path);
    g_autofree char *why = NULL;
    int listener = listen_at(path);

    g_assert_null(add("one", backend));
    why = add("two", backend);
    g_assert_nonnull(strstr(why, path));
    g_assert_null(add("three", again));
    g_assert_false(chardev_is_connected(chardev_find("three")));
    remove_by_id("one");
    remove_by_id("three");
    close(listener);
    unlink(path);
}

static void test_reconnects(void)
{
    g_autofree char *path = temp_path("again");
    g_autofree char *backend = g_strdup_printf(
        "{\"type\": \"socket\", \"data\": {\"server\": false, \"reconnect-ms\": 10, \"addr\": {\"path\": \"%s\"}}}",
        path);
    int listener;

    unlink(path);
    g_assert_null(add("again", backend));
    listener = listen_at(path);
    while (!chardev_is_connected(chardev_find("again"))) {
        event_loop_run_once(event_loop_main(), true);
    }
    remove_by_id("again");
    close(listener);
    unlink(path);
}

static void test_add_does_not_wait_for_a_peer(void)
{
    g_autofree char *path = temp_path("server");
    g_autofree char *backend = g_strdup_printf(
        "{\"type\": \"socket\", \"data\": {\"wait\": true, \"addr\": {\"path\": \"%s\"}}}", path);
    g_autofree char *why = add("server", backend);

    g_assert_nonnull(strstr(why, "'wait'"));
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

static void test_add_does_not_wait_for_a_reader(void)
{
    g_autofree char *path = temp_path("fifo");
    g_autofree char *backend = g_strdup_printf("{\"type\": \"file\", \"data\": {\"out\": \"%s\"}}", path);
    g_autofree char *why = NULL;

    unlink(path);
    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    why = add("fifo", backend);
    g_assert_nonnull(strstr(why, path));
    unlink(path);
}

/* --- mux --- */

typedef struct Mux {
    Chardev *chr;
    int peer;
    Reader serial, monitor;
    CharFrontend *serial_fe, *monitor_fe;
} Mux;

static void mux_clear(Mux *m)
{
    g_clear_pointer(&m->serial_fe, chardev_detach);
    g_clear_pointer(&m->monitor_fe, chardev_detach);
    reader_clear(&m->serial);
    reader_clear(&m->monitor);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Mux, mux_clear)

static Mux mux_new(void)
{
    static int n;
    g_autofree char *id = g_strdup_printf("mux%d", n++);
    Mux m = {.serial = reader(4096), .monitor = reader(4096)};

    m.chr = pair_chardev(id, "mon:", &m.peer);
    return m;
}

/* The monitor attaches first, as it does at start-up, and still the serial port has the input. */
static void mux_attach(Mux *m)
{
    m->monitor_fe = chardev_attach(m->chr, &background, &m->monitor, NULL, NULL);
    m->serial_fe = chardev_attach(m->chr, &handlers, &m->serial, NULL, NULL);
}

static void test_mux_escapes(void)
{
    g_auto(Mux) m = mux_new();

    g_assert_true(chardev_is_mux(m.chr));
    g_assert_true(chardev_wants_monitor(m.chr));
    mux_attach(&m);
    send_text(m.peer, "boot\1cinfo\1cmore\1\1!");
    run_until_length(m.serial.got, 10);
    g_assert_cmpstr(m.serial.got->str, ==, "bootmore\1!");
    g_assert_cmpstr(m.monitor.got->str, ==, "info");
    g_assert_cmpint(m.monitor.in, ==, 2); /* when it was alone, and by Ctrl-A C */
    g_assert_cmpint(m.monitor.out, ==, 2);
    send_text(m.peer, "\1b");
    run_until(&m.serial.breaks, 1);
    send_text(m.peer, "\1h");
    settle();
    g_assert_nonnull(strstr(read_some(m.peer), "Ctrl-A x"));
}

static void test_mux_escape_split_over_reads(void)
{
    g_auto(Mux) m = mux_new();

    mux_attach(&m);
    send_text(m.peer, "\1");
    settle();
    send_text(m.peer, "c");
    settle();
    send_text(m.peer, "x");
    run_until_length(m.monitor.got, 1);
    g_assert_cmpuint(m.serial.got->len, ==, 0);
}

static void test_mux_escape_past_a_hung_guest(void)
{
    g_auto(Mux) m = mux_new();

    mux_attach(&m);
    m.serial.room = 0;
    send_text(m.peer, "typed\1chelp");
    run_until_length(m.monitor.got, 4);
    g_assert_cmpuint(m.serial.got->len, ==, 0);
    send_text(m.peer, "\1c");
    settle();
    m.serial.room = 2;
    chardev_accept_input(m.serial_fe);
    run_until_length(m.serial.got, 5);
    g_assert_cmpstr(m.serial.got->str, ==, "typed");
}

/* More than the mux keeps: what the next peer types gets through. */
static void test_mux_next_peer_past_a_hung_guest(void)
{
    g_autofree char *path = temp_path("console");
    g_autofree char *text = g_strdup_printf("mon:unix:%s,server=on,wait=off", path);
    g_autofree char *paste = g_strnfill(10000, 'x');
    g_auto(Mux) m = {.serial = reader(0), .monitor = reader(4096), .chr = must("hung", text)};

    mux_attach(&m);
    m.peer = connect_to(path);
    send_text(m.peer, paste);
    run_until(&m.monitor.opened, 1);
    settle();
    close(m.peer);
    m.peer = connect_to(path);
    run_until(&m.monitor.opened, 2);
    send_text(m.peer, "\1chelp");
    run_until_length(m.monitor.got, 4);
    g_assert_cmpstr(m.monitor.got->str, ==, "help");
}

static void test_mux_quit(void)
{
    g_auto(Mux) m = mux_new();
    int code;

    mux_attach(&m);
    send_text(m.peer, "\1x");
    settle();
    g_assert_nonnull(strstr(read_some(m.peer), "terminated"));
    g_assert_true(main_loop_should_exit(&code));
    g_assert_cmpint(code, ==, 0);
}

static void test_mux_timestamps(void)
{
    g_auto(Mux) m = mux_new();

    mux_attach(&m);
    send_text(m.peer, "\1t");
    settle();
    chardev_write(m.chr, "a\nb\n", 4);
    g_assert_true(g_str_has_prefix(read_some(m.peer), "a\n[00:00:0"));
}

static void wait_for_length(GString *got, size_t len)
{
    while (__atomic_load_n(&got->len, __ATOMIC_ACQUIRE) < len) {
        g_usleep(100);
    }
}

/* The main loop does not turn while the monitor is typed to; what is for the port keeps its order until then. */
static void test_mux_other_loop(void)
{
    EventLoop *loop = event_loop_new_thread("io", NULL);
    g_auto(Mux) m = mux_new();

    m.serial_fe = chardev_attach(m.chr, &handlers, &m.serial, NULL, NULL);
    m.monitor_fe = chardev_attach(m.chr, &background, &m.monitor, loop, NULL);
    send_text(m.peer, "typed\1b\1chelp\1c more\1cagain");
    wait_for_length(m.monitor.got, 9);
    g_assert_cmpint(m.serial.breaks, ==, 0);
    g_assert_cmpuint(m.serial.got->len, ==, 0);
    settle();
    g_assert_cmpstr(m.serial.got->str, ==, "typed more");
    g_assert_cmpint(m.serial.breaks, ==, 1);
    g_assert_cmpstr(m.monitor.got->str, ==, "helpagain");
    event_loop_call(loop, (EventFunc *)chardev_detach, m.monitor_fe);
    m.monitor_fe = NULL;
    send_text(m.peer, "\1c!"); /* nobody else is there */
    run_until_length(m.serial.got, 11);
}

static void test_mux_passes_breaks_on(void)
{
    g_auto(Mux) m = mux_new();
    const Command *send = command_find_qmp("chardev-send-break");
    JsonObject *args = json_object_new();
    CommandContext ctx = {0};

    mux_attach(&m);
    json_object_set_string_member(args, "id", chardev_id(m.chr));
    json_node_unref(command_run_json(send, &ctx, args, NULL));
    run_until(&m.serial.breaks, 1);
    json_object_unref(args);
}

static void test_mux_break_keeps_its_place(void)
{
    g_auto(Mux) m = mux_new();

    mux_attach(&m);
    m.serial.show_breaks = true;
    send_text(m.peer, "a\1bb\1bc");
    run_until_length(m.serial.got, 5);
    g_assert_cmpstr(m.serial.got->str, ==, "a#b#c");
}

static void test_ringbuf(void)
{
    Chardev *chr = must("ring", "ringbuf,size=8");
    const Command *read_command = command_find_qmp("ringbuf-read");
    JsonObject *args = json_object_new();
    CommandContext ctx = {0};
    JsonNode *reply;

    chardev_write(chr, "0123456789", 10);
    json_object_set_string_member(args, "device", "ring");
    json_object_set_int_member(args, "size", 100);
    reply = command_run_json(read_command, &ctx, args, NULL);
    g_assert_cmpstr(json_node_get_string(reply), ==, "23456789");
    json_node_unref(reply);
    json_object_unref(args);
    chardev_delete(chr, NULL);
}

static void test_pty(void)
{
    Chardev *chr = must("pty", "pty");
    g_autofree char *name = chardev_filename(chr);
    g_auto(Reader) r = reader(64);
    CharFrontend *fe = chardev_attach(chr, &handlers, &r, NULL, NULL);
    int fd;

    chardev_write(chr, "lost", 4); /* nobody listens */
    settle();
    fd = open(name + strlen("pty:"), O_RDWR | O_NOCTTY);
    g_assert_cmpint(fd, >=, 0);
    send_text(fd, "in");
    run_until_length(r.got, 2);
    chardev_write(chr, "out", 3);
    g_assert_cmpstr(read_some(fd), ==, "out");
    close(fd);
    chardev_detach(fe);
    chardev_delete(chr, NULL);
}

/* A front end on a thread of its own, as a monitor that answers while the main loop is busy. */
static void test_other_loop(void)
{
    EventLoop *loop = event_loop_new_thread("io", NULL);
    int peer;
    Chardev *chr = pair_chardev("threaded", "", &peer);
    g_auto(Reader) r = reader(64);
    CharFrontend *fe = chardev_attach(chr, &handlers, &r, loop, NULL);

    send_text(peer, "abc");
    wait_for_length(r.got, 3);
    event_loop_call(loop, (EventFunc *)chardev_detach, fe);
    chardev_delete(chr, NULL);
    event_loop_free(loop);
    close(peer);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bql_init();
    event_loop_main();
    bql_lock();
    g_test_add_func("/chardev/parse/names-what-is-unknown", test_parse_unknown);
    g_test_add_func("/chardev/parse/chardev-id-finds-it", test_parse_by_id);
    g_test_add_func("/chardev/open/errors-name-the-path", test_file_errors_name_the_path);
    g_test_add_func("/chardev/file/gets-output", test_file_gets_output);
    g_test_add_func("/chardev/socket/server-listens-again", test_server_listens_again);
    g_test_add_func("/chardev/socket/server-keeps-files-that-are-no-sockets", test_server_keeps_other_files);
    g_test_add_func("/chardev/socket/tcp-carries-bytes", test_tcp_loopback);
    g_test_add_func("/chardev/socket/descriptors-arrive-with-input", test_fds_arrive);
    g_test_add_func("/chardev/input/waits-for-room", test_input_waits_for_room);
    g_test_add_func("/chardev/input/what-nobody-takes-does-not-keep-the-next-peer-out",
                    test_next_peer_past_input_nobody_takes);
    g_test_add_func("/chardev/output/write-some-reports-full", test_write_some_reports_full);
    g_test_add_func("/chardev/output/is-bounded", test_output_is_bounded);
    g_test_add_func("/chardev/attach/second-front-end-is-refused", test_second_frontend_refused);
    g_test_add_func("/chardev/add/one-that-is-refused-closes-nothing", test_refused_one_closes_nothing);
    g_test_add_func("/chardev/add/one-that-is-refused-keeps-the-log", test_refused_one_keeps_the_log);
    g_test_add_func("/chardev/add/waits-for-no-listener", test_add_does_not_wait_for_a_listener);
    g_test_add_func("/chardev/add/waits-for-no-peer", test_add_does_not_wait_for_a_peer);
    g_test_add_func("/chardev/add/waits-for-no-reader", test_add_does_not_wait_for_a_reader);
    g_test_add_func("/chardev/add/connects-again", test_reconnects);
    g_test_add_func("/chardev/mux/chardev-send-break-reaches-the-focus", test_mux_passes_breaks_on);
    g_test_add_func("/chardev/mux/escapes", test_mux_escapes);
    g_test_add_func("/chardev/mux/escape-may-be-split-over-reads", test_mux_escape_split_over_reads);
    g_test_add_func("/chardev/mux/escape-works-when-the-guest-takes-no-input",
                    test_mux_escape_past_a_hung_guest);
    g_test_add_func("/chardev/mux/escape-of-the-next-peer-works-when-the-guest-takes-no-input",
                    test_mux_next_peer_past_a_hung_guest);
    g_test_add_func("/chardev/mux/x-ends-the-emulator", test_mux_quit);
    g_test_add_func("/chardev/mux/a-front-end-on-another-loop-needs-no-main-loop", test_mux_other_loop);
    g_test_add_func("/chardev/mux/a-break-keeps-its-place-in-the-input", test_mux_break_keeps_its_place);
    g_test_add_func("/chardev/mux/timestamps-start-lines", test_mux_timestamps);
    g_test_add_func("/chardev/ringbuf/keeps-the-last-bytes", test_ringbuf);
    g_test_add_func("/chardev/pty/carries-bytes-both-ways", test_pty);
    g_test_add_func("/chardev/loop/front-end-runs-on-its-own-thread", test_other_loop);
    return g_test_run();
}
