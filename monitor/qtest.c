/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The qtest server on a chardev: splits lines, keeps the log. */
#include "monitor/qtest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "monitor/monitors.h"
#include "util/error.h"

enum { LINE_MAX_LENGTH = 136 << 20 }; /* the largest transfer in hexadecimal, and its words */

typedef struct QtestServer {
    Chardev *chr;
    CharFrontend *fe;
    GString *line; /* the one that is not complete */
    FILE *log;     /* NULL: none */
    gint64 start_us;
    bool open;
} QtestServer;

static QtestServer server;

static void log_line(char tag, const char *text)
{
    if (!server.log) {
        return;
    }
    fprintf(server.log, "[%c +%.6f] %.*s\n", tag,
            (double)(g_get_monotonic_time() - server.start_us) / G_USEC_PER_SEC, (int)strcspn(text, "\n"),
            text);
    fflush(server.log);
}

static void send_line(const char *line)
{
    if (server.open) {
        log_line('S', line);
        chardev_write(server.chr, line, strlen(line));
    }
}

static void process(char *line)
{
    g_autoptr(GString) reply = g_string_new(NULL);

    log_line('R', line);
    qtest_process_line(line, reply);
    log_line('S', reply->str);
    chardev_write(server.chr, reply->str, reply->len);
}

static void handle_open(void)
{
    if (!server.open) {
        server.open = true;
        server.start_us = g_get_monotonic_time();
        g_string_truncate(server.line, 0);
        qtest_set_notify(send_line);
        log_line('I', "OPENED");
    }
}

static size_t can_read(void *opaque)
{
    return 65536;
}

/* Runs every line that is complete in @buf; what is left begins the next one. */
static void handle_read(void *opaque, const uint8_t *buf, size_t len)
{
    handle_open();
    while (len) {
        const uint8_t *end = memchr(buf, '\n', len);
        size_t n = end ? (size_t)(end - buf) : len;

        if (server.line->len + n <= LINE_MAX_LENGTH) {
            g_string_append_len(server.line, (const char *)buf, (gssize)n);
        }
        if (end) {
            process(server.line->str);
            g_string_truncate(server.line, 0);
            n++;
        }
        buf += n;
        len -= n;
    }
}

static void handle_event(void *opaque, CharEvent event)
{
    if (event == CHAR_EVENT_OPENED) {
        handle_open();
    } else if (event == CHAR_EVENT_CLOSED && server.open) {
        log_line('I', "CLOSED");
        server.open = false;
        qtest_set_notify(NULL);
    }
}

static const CharHandlers handlers = {.can_read = can_read, .read = handle_read, .event = handle_event};

static bool open_log(const char *path, GError **error)
{
    if (!path) {
        server.log = stderr;
    } else if (strcmp(path, "none") && strcmp(path, "/dev/null")) {
        server.log = fopen(path, "we");
        if (!server.log) {
            return fail_errno(error, errno, "could not open the qtest log '%s'", path);
        }
    }
    return true;
}

bool qtest_server_start(Chardev *chr, const char *log_path, GError **error)
{
    if (!open_log(log_path, error)) {
        return false;
    }
    server.chr = chr;
    server.line = g_string_new(NULL);
    server.fe = chardev_attach(chr, &handlers, &server, NULL, error);
    return server.fe != NULL;
}

void qtest_server_stop(void)
{
    if (!server.chr) {
        return;
    }
    qtest_set_notify(NULL);
    chardev_detach(server.fe);
    g_string_free(server.line, TRUE);
    if (server.log && server.log != stderr) {
        fclose(server.log);
    }
    memset(&server, 0, sizeof(server));
}
