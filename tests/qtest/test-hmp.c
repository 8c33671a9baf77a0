/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HMP in a running emulator: through QMP, and on a terminal of its own. */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/lib/libqtest.h"

#define ARGS "-M virt -nodefaults -bios none"

static void assert_says(QTestState *s, const char *line, const char *part)
{
    g_autofree char *text = qtest_hmp(s, "%s", line);

    if (!strstr(text, part)) {
        g_error("'%s' said '%s', without '%s'", line, text, part);
    }
}

static void test_commands(void)
{
    QTestState *s = qtest_init(ARGS);

    assert_says(s, "help", "quit");
    assert_says(s, "help info version", "info version");
    assert_says(s, "info", "info status");
    assert_says(s, "info status", "VM status");
    assert_says(s, "info versoin", "did you mean 'info version'?");
    assert_says(s, "hlep", "did you mean 'help'?");
    assert_says(s, "help nonsense", "unknown command");
    assert_says(s, "info version now", "is more than");
    qtest_quit(s);
}

/* Every "info" answers without arguments: with what it knows, or with an error. */
static void test_all_info(void)
{
    QTestState *s = qtest_init(ARGS);
    g_autofree char *list = qtest_hmp(s, "info");
    g_auto(GStrv) lines = g_strsplit(list, "\n", -1);

    for (char **line = lines; *line && **line; line++) {
        g_auto(GStrv) words = g_strsplit(*line, " ", 3);
        g_autofree char *command = g_strdup_printf("%s %s", words[0], words[1]);
        g_free(qtest_hmp(s, "%s", command));
    }
    qtest_quit(s);
}

/* --- a terminal --- */

static int connect_to(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpuint(strlen(path), <, sizeof(addr.sun_path));
    strcpy(addr.sun_path, path);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
    return fd;
}

/* Reads until what was read since the start of @seen contains @part. */
static void read_until(int fd, GString *seen, const char *part)
{
    char buf[4096];

    while (!strstr(seen->str, part)) {
        ssize_t n = read(fd, buf, sizeof(buf));
        if (n <= 0) {
            g_error("the terminal ended after '%s', without '%s'", seen->str, part);
        }
        g_string_append_len(seen, buf, n);
    }
}

static void ask(int fd, GString *seen, const char *keys, const char *part)
{
    g_string_truncate(seen, 0);
    g_assert_cmpint(write(fd, keys, strlen(keys)), ==, (ssize_t)strlen(keys));
    read_until(fd, seen, part);
}

static void test_terminal(void)
{
    g_autofree char *path = g_strdup_printf("%s/godwit-hmp-%d.sock", g_get_tmp_dir(), (int)getpid());
    QTestState *s = qtest_initf(ARGS " -monitor unix:%s,server=on,wait=off", path);
    int fd = connect_to(path);
    GString *seen = g_string_new(NULL);

    read_until(fd, seen, ") ");
    g_assert_nonnull(strstr(seen->str, "type 'help'"));
    ask(fd, seen, "info status\r", "VM status");
    ask(fd, seen, "info sta", "info sta");
    ask(fd, seen, "tuX\x7fs\r", "VM status"); /* edited */
    ask(fd, seen, "\x1b[A\r", "VM status");   /* once more from the history */
    ask(fd, seen, "info vers\t\r", "version");
    ask(fd, seen, "nonsense\r", "unknown command: 'nonsense'");
    g_assert_cmpint(write(fd, "quit\r", 5), ==, 5);
    g_assert_cmpint(qtest_wait_exit(s), ==, 0);
    close(fd);
    g_string_free(seen, TRUE);
    qtest_quit(s);
    unlink(path);
}

static void assert_refused(const char *args, const char *part)
{
    g_autofree char *err = NULL;
    int status = qtest_run(args, NULL, &err);

    g_assert_cmpint(status, ==, 1);
    if (!strstr(err, part)) {
        g_error("'%s' said '%s', without '%s'", args, err, part);
    }
}

static void test_bad_options(void)
{
    assert_refused("-monitro stdio", "did you mean '-monitor'?");
    assert_refused("-mon", "needs an argument");
    assert_refused("-mon mode=control", "parameter 'chardev' is missing");
    assert_refused("-mon c,mode=contrl", "did you mean 'control'?");
    assert_refused("-mon c,moed=control", "did you mean 'mode'?");
    assert_refused("-M virt -bios none -display none -mon nosuch", "'nosuch'");
    assert_refused("-M virt -bios none -display none -qmp unix:/no/such/dir/s,server=on", "/no/such/dir/s");
    assert_refused("stray", "stray");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hmp/commands/help-info-and-typos", test_commands);
    g_test_add_func("/hmp/commands/every-info-answers", test_all_info);
    g_test_add_func("/hmp/terminal/edits-lines", test_terminal);
    g_test_add_func("/hmp/options/bad-ones-are-named", test_bad_options);
    return g_test_run();
}
