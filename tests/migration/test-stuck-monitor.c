/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The main loop waits, with the big lock, for a page behind a broken link: the monitors still take what brings it. */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "helpers.h"

#define MACHINE "-M virt -m 64M -device virtio-serial-device -device virtconsole,chardev=console"

/* 16 MiB: long enough on its way for postcopy to begin. */
static const Guest big = {.args = MACHINE " -chardev null,id=console", .bytes = 16 * MIB};
/* start() says what its console is. */
static const Guest arriving = {.args = MACHINE, .bytes = 16 * MIB};

typedef struct Stuck {
    QTestState *from, *to;
    int terminal;      /* of the destination */
    GThread *reader;   /* of a page that has not come */
    uint64_t addr, value;
} Stuck;

static int connect_to(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpuint(g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path)), <, sizeof(addr.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
    return fd;
}

/* Types @keys and reads until @part. */
static void ask(Stuck *s, const char *keys, const char *part)
{
    g_autoptr(GString) seen = g_string_new(NULL);
    char bytes[4096];

    g_assert_cmpint(write(s->terminal, keys, strlen(keys)), ==, (ssize_t)strlen(keys));
    while (!strstr(seen->str, part)) {
        ssize_t n = read(s->terminal, bytes, sizeof(bytes));

        g_assert_cmpint(n, >, 0);
        g_string_append_len(seen, bytes, n);
    }
}

static gpointer read_thread(gpointer opaque)
{
    Stuck *s = opaque;

    s->value = qtest_readq(s->to, s->addr);
    return NULL;
}

static const char own_terminal[] = ",id=terminal -mon terminal -chardev null,id=console";
static const char behind_mux[] = ",id=console,mux=on -mon console";

/* @terminal: of the destination, behind what makes a chardev of a socket. */
static void start(Stuck *s, const char *terminal)
{
    g_autofree char *uri = unix_uri();
    g_autofree char *options =
        g_strdup_printf("-global migration.x-postcopy-ram=on -chardev socket,path=%s,server=on,wait=off%s",
                        helpers_path("terminal"), terminal);

    s->addr = GUEST_START + big.bytes - 4096;
    s->from = start_source(&big);
    s->to = start_destination(&arriving, uri, options);
    s->terminal = connect_to(helpers_path("terminal"));
    set_capability(s->from, "postcopy-ram", true);
    set_parameter(s->from, "max-postcopy-bandwidth", 64 * 1024); /* unasked pages play no part */
    slow_migration(s->from);
    migrate(s->from, uri);
    execute(s->from, "migrate-start-postcopy");
    wait_status(s->from, "postcopy-active");
    wait_status(s->to, "postcopy-active");
    execute(s->from, "migrate-pause");
    wait_status(s->from, "postcopy-paused");
    wait_status(s->to, "postcopy-paused");
    s->reader = g_thread_new("read", read_thread, s);
    while (query_number(s->to, NULL, "x-postcopy-waiting") < 1) {
        g_usleep(1000);
    }
}

static void end(Stuck *s)
{
    g_autofree char *uri = g_strconcat("unix:", helpers_path("again"), NULL);

    qtest_qmp_assert_success(s->from, "{'execute': 'migrate', 'arguments': {'uri': %s, 'resume': true}}", uri);
    g_thread_join(s->reader);
    g_assert_cmphex(s->value, ==, qtest_readq(s->from, s->addr));
    set_parameter(s->from, "max-postcopy-bandwidth", 0);
    wait_status(s->from, "completed");
    close(s->terminal);
    finish(s->from, s->to, &big);
}

static void recover_by_hand(Stuck *s)
{
    g_autofree char *recover = g_strdup_printf("migrate_recover unix:%s\r", helpers_path("again"));

    ask(s, "info migrate\r", "Migration status: postcopy-paused");
    ask(s, "info mig\trate\r", "Migration status: postcopy-paused"); /* no completion, and no waiting for it */
    ask(s, "migrate_pause\r", "Error: no postcopy");
    ask(s, recover, "\r\n(godwit) ");
    ask(s, "info migrate\r", "postcopy-recover-setup");
    ask(s, "migrate_pause\r", "\r\n(godwit) ");
    wait_status(s->to, "postcopy-paused");
    ask(s, recover, "\r\n(godwit) ");
    end(s);
}

static void test_terminal(void)
{
    Stuck s = {0};

    start(&s, own_terminal);
    recover_by_hand(&s);
}

/* As -nographic has it: the console is the main loop's, what is typed for it waits. */
static void test_mux(void)
{
    Stuck s = {0};

    start(&s, behind_mux);
    ask(&s, "typed\1c", "(godwit) ");
    recover_by_hand(&s);
}

static void test_human_monitor_command(void)
{
    g_autofree char *recover = g_strdup_printf("migrate_recover unix:%s", helpers_path("again"));
    g_autofree char *text = NULL;
    g_autofree char *said = NULL;
    Stuck s = {0};

    start(&s, own_terminal);
    text = qtest_hmp(s.to, "info migrate");
    g_assert_nonnull(strstr(text, "postcopy-paused"));
    said = qtest_hmp(s.to, "%s", recover);
    g_assert_cmpstr(said, ==, "");
    end(&s);
}

/* A line that needs the main loop is run when that goes on; what is typed behind it waits. */
static void test_other_lines_wait(void)
{
    g_autofree char *uri = g_strconcat("unix:", helpers_path("again"), NULL);
    Stuck s = {0};

    start(&s, own_terminal);
    g_assert_cmpint(write(s.terminal, "info status\r", 12), ==, 12);
    qtest_qmp_assert_success(s.to, "{'execute': 'migrate-recover', 'arguments': {'uri': %s}}", uri);
    qtest_qmp_assert_success(s.from, "{'execute': 'migrate', 'arguments': {'uri': %s, 'resume': true}}", uri);
    ask(&s, "info version\r", "VM status");
    g_thread_join(g_steal_pointer(&s.reader));
    set_parameter(s.from, "max-postcopy-bandwidth", 0);
    wait_status(s.from, "completed");
    close(s.terminal);
    finish(s.from, s.to, &big);
}

int main(int argc, char **argv)
{
    helpers_init(&argc, &argv);
    g_test_add_func("/stuck-monitor/terminal", test_terminal);
    g_test_add_func("/stuck-monitor/behind-a-mux", test_mux);
    g_test_add_func("/stuck-monitor/human-monitor-command", test_human_monitor_command);
    g_test_add_func("/stuck-monitor/other-lines-wait", test_other_lines_wait);
    return helpers_run();
}
