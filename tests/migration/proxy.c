/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A thread that copies between two sockets.  See proxy.h. */
#include "proxy.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct Proxy {
    int listener;
    char *to_path;
    gint lose; /* atomic */
    ProxyCut cut; /* constant once a connection came */
    GThread *thread;
};

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    g_assert_cmpuint(g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path)), <, sizeof(addr.sun_path));
    return addr;
}

/* What was passed on last. */
typedef struct Chunk {
    char bytes[64 * 1024];
    ssize_t size;
} Chunk;

/* False at the end. */
static gboolean pass_on(int from, int to, gboolean lose, Chunk *chunk)
{
    chunk->size = read(from, chunk->bytes, sizeof(chunk->bytes));
    for (ssize_t done = 0; done < chunk->size && !lose;) {
        ssize_t some = send(to, chunk->bytes + done, (size_t)(chunk->size - done), MSG_NOSIGNAL);

        if (some <= 0) {
            return FALSE;
        }
        done += some;
    }
    return chunk->size > 0;
}

static gboolean ends_with_shut(const Chunk *chunk)
{
    static const char shut[] = {0, 1, 0, 4, 0, 0, 0, 0};

    return chunk->size >= (ssize_t)sizeof(shut) &&
           !memcmp(chunk->bytes + chunk->size - sizeof(shut), shut, sizeof(shut));
}

/* What follows SHUT, as far as it goes. */
static void pass_last_words(const Proxy *proxy, int from, int to, Chunk *chunk)
{
    if (pass_on(from, to, proxy->cut == PROXY_CUT_HANDOVER, chunk) && proxy->cut == PROXY_CUT_TAKEN) {
        pass_on(to, from, TRUE, chunk);
    }
}

static void pass_all(Proxy *proxy, int from, int to)
{
    struct pollfd fds[] = {{.fd = from, .events = POLLIN}, {.fd = to, .events = POLLIN}};
    g_autofree Chunk *chunk = g_new0(Chunk, 1);
    gboolean open = TRUE;

    while (open) {
        poll(fds, 2, -1);
        open = !fds[0].revents || pass_on(from, to, FALSE, chunk);
        if (open && fds[1].revents) {
            open = pass_on(to, from, g_atomic_int_get(&proxy->lose), chunk);
            if (open && proxy->cut && ends_with_shut(chunk)) {
                pass_last_words(proxy, from, to, chunk);
                return;
            }
        }
    }
}

static gpointer proxy_thread(gpointer opaque)
{
    Proxy *proxy = opaque;
    struct sockaddr_un addr = address(proxy->to_path);
    int from = accept(proxy->listener, NULL, NULL), to = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(from, >=, 0);
    g_assert_cmpint(connect(to, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
    pass_all(proxy, from, to);
    close(from);
    close(to);
    return NULL;
}

Proxy *proxy_new(const char *from_path, const char *to_path)
{
    struct sockaddr_un addr = address(from_path);
    Proxy *proxy = g_new0(Proxy, 1);

    proxy->to_path = g_strdup(to_path);
    proxy->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(from_path);
    g_assert_cmpint(bind(proxy->listener, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
    g_assert_cmpint(listen(proxy->listener, 1), ==, 0);
    proxy->thread = g_thread_new("proxy", proxy_thread, proxy);
    return proxy;
}

void proxy_lose_answers(Proxy *proxy)
{
    g_atomic_int_set(&proxy->lose, 1);
}

void proxy_cut(Proxy *proxy, ProxyCut what)
{
    proxy->cut = what;
}

void proxy_free(Proxy *proxy)
{
    g_thread_join(proxy->thread);
    close(proxy->listener);
    g_free(proxy->to_path);
    g_free(proxy);
}
