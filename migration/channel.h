/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Channels: where the bytes of a migration go to or come from.
 *
 * A ChannelType turns the rest of a URI ("unix:" PATH) into a Channel; that is quick and happens on the main loop,
 * so that a malformed URI, a missing file or a port in use is the command's own error.  What may take long (connect,
 * accept) is channel_prepare(), on the migration's thread.
 *
 * All waiting is done in poll() beside a "cancelled" eventfd: channel_cancel(), from any thread, ends each wait at
 * once and for good.
 */
#ifndef MIGRATION_CHANNEL_H
#define MIGRATION_CHANNEL_H

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "util/linker-set.h"

typedef struct Channel Channel;
struct Channel {
    /* constant once prepared */
    char *uri;          /* for messages */
    int in_fd, out_fd;  /* the same fd when bidirectional; -1: this direction does not exist */
    int cancel_fd;
    bool bidirectional; /* a socket: there is a way back */
    bool seekable;      /* a regular file: has positions, can be synced */
    int direct_fd;      /* the same file without the page cache (O_DIRECT); -1: none */
    int kept_fd;        /* the file stays open and locked under this until the process ends; -1: it need not */
    int lend_pipe[2];   /* channel-lend.c; -1: nothing is lent */
    const Channel *leader; /* its cancel ends our waits, too; it outlives us */
    JsonNode *address;  /* listening sockets: SocketAddress for query-migrate */
    bool keep_listening; /* set before channel_prepare(): more connections come, for channel_accept_more() */
    int listener;       /* they come here; -1: nowhere */
    int early_fd;       /* who came there too soon for it; -1: nobody */
    char *socket_path;  /* we listen under this name, which goes with us; NULL: none */
    uint64_t socket_dev, socket_ino; /* what the name stood for when it was made */
    GPid child;         /* exec: 0 when there is none or it was waited for */
    /* connect or accept: replaces the fds; NULL: nothing to do */
    bool (*prepare)(Channel *channel, GError **error);
    void *private;      /* of .prepare; freed with g_free() */
    /* the thread that does the transfers */
    uint64_t position;  /* seekable: where the next sequential byte goes to or comes from */
    int64_t deadline_us; /* waits end with an error then (monotonic time); 0: never */
    /* any thread, atomic */
    bool cancelled;
};

/* What a URI leads to, as far as its scheme tells. */
typedef enum ChannelKind {
    CHANNEL_ANY, /* an fd: it is looked at when it is opened */
    CHANNEL_SOCKET,
    CHANNEL_PIPE,
    CHANNEL_FILE,
} ChannelKind;

typedef struct ChannelType {
    const char *scheme; /* "unix" */
    ChannelKind kind;
    const char *arg;    /* for messages: "PATH" */
    Channel *(*open_out)(const char *rest, GError **error);
    Channel *(*open_in)(const char *rest, GError **error);
} ChannelType;
#define CHANNEL_TYPE(ident, ...)                                                                             \
    static const ChannelType channel_type_##ident = {__VA_ARGS__};                                           \
    LINKER_SET_ADD(channel_types, ChannelType, channel_type_##ident)

/* To know before anything is opened, and by that changed. */
bool channel_kind(const char *uri, ChannelKind *kind, GError **error);
/* A link that replaces a broken one can be nothing else. */
bool channel_may_be_socket(const char *uri, GError **error);
/* Main loop.  NULL with @error. */
Channel *channel_open(const char *uri, bool incoming, GError **error);
/* The URI that a "channels" argument (or its single element) stands for; newly allocated. */
char *channel_uri_from_json(JsonNode *node, GError **error);

bool channel_prepare(Channel *channel, GError **error);
bool channel_writev(Channel *channel, struct iovec *iov, int count, GError **error);
/*
 * The same, but pieces may be lent where channel_start_lending() was called: they stay, and the peer gets what they hold
 * when it reads them, until it has answered that it did.
 */
bool channel_writev_memory(Channel *channel, struct iovec *iov, int count, GError **error);
#define LEND_BYTES (64 * 1024) /* what is smaller is copied: that costs less than the system calls */
/* Where the socket can do it; otherwise nothing changes. */
void channel_start_lending(Channel *channel);
/* Whatever is there, at least one byte; 0: the end; -1: error. */
ssize_t channel_readv(Channel *channel, const struct iovec *iov, int count, GError **error);
/* Seekable channels, positions of the file; the sequential position stays. */
bool channel_pwritev(Channel *channel, struct iovec *iov, int count, uint64_t offset, GError **error);
bool channel_pread(Channel *channel, void *data, size_t size, uint64_t offset, GError **error);
/* The same for guest pages: past the page cache when channel_open_direct() was called and alignment allows.  Any thread. */
bool channel_pwrite_pages(Channel *channel, const void *data, size_t size, uint64_t offset, GError **error);
bool channel_pread_pages(Channel *channel, void *data, size_t size, uint64_t offset, GError **error);
/* Seekable channels: opens the file a second time with O_DIRECT. */
bool channel_open_direct(Channel *channel, GError **error);
/* All of it; 1: done, 0: the end came before the first byte, -1: error. */
int channel_readv_all(Channel *channel, struct iovec *iov, int count, GError **error);

/* --- several connections to one peer; the first is the leader --- */
/* The source's: one more connection to where @leader leads. */
Channel *channel_connect_more(Channel *leader, GError **error);
/* The first words of the leader's connection, and of the others. */
typedef struct ChannelMagics {
    uint32_t main, other;
} ChannelMagics;
/*
 * The destination's, instead of channel_prepare(): waits for the leader's connection and for @n others, in any order.
 * Who connects and says something else, or nothing, is none of them.
 */
bool channel_prepare_group(Channel *leader, const ChannelMagics *magics, Channel **others, unsigned n, GError **error);
/* The destination's, with .keep_listening: waits for one more connection, the last one. */
Channel *channel_accept_more(Channel *leader, GError **error);
/* Nobody comes any more: ends the wait of channel_accept_more().  Any thread. */
void channel_stop_listening(Channel *leader);
/* Size of the file; 0 when it cannot be told. */
uint64_t channel_file_size(Channel *channel);
/*
 * Everything has been written: makes it durable (file), or closes the pipe and waits for the command to end well
 * (exec); a cancel ends the command.  Does nothing for sockets.
 */
bool channel_finish(Channel *channel, GError **error);
/* Last words over a socket: as far as they go without waiting, also when it was cancelled. */
void channel_send_last(Channel *channel, const void *data, size_t size);
/* Any thread: every wait in this channel, now or later, fails with "cancelled". */
void channel_cancel(Channel *channel);
bool channel_is_cancelled(const Channel *channel);
void channel_free(Channel *channel); /* NULL is fine */

/* --- for the files that define types --- */
Channel *channel_new(int in_fd, int out_fd);
/* Looks at what kind of thing the fd is: sets .bidirectional, .seekable, .position. */
void channel_classify(Channel *channel);
/* After that: whether a file can be written at any place.  One that was opened for appending grows at each write. */
bool channel_can_seek(const Channel *channel, GError **error);
/* Sockets: whether somebody has yet to connect; that it is @fd who did. */
bool channel_is_listening(const Channel *channel);
void channel_become_connection(Channel *channel, int fd);
/* A connection of its own, which @leader's cancel ends as well. */
Channel *channel_new_follower(const Channel *leader, int fd);
/* False with @error when cancelled, else the fd is ready for @events. */
bool channel_poll(Channel *channel, int fd, short events, GError **error);

#endif
