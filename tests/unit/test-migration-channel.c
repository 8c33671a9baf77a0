/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Large things are not copied: memory that is lent (migration/channel-lend.c), reads past the reader's buffer. */
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "migration/channel.h"
#include "migration/stream.h"

#define KIB 1024
#define MIB (1024 * KIB)

typedef struct Ends {
    Channel *out;
    int in;
} Ends;

static Ends connect_ends(bool lends)
{
    Ends ends;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    ends.out = channel_new(fds[0], fds[0]);
    ends.in = fds[1];
    channel_classify(ends.out);
    if (lends) {
        channel_start_lending(ends.out);
        g_assert_cmpint(ends.out->lend_pipe[0], >=, 0);
    }
    return ends;
}

static void disconnect_ends(Ends *ends)
{
    channel_free(ends->out);
    close(ends->in);
}

static void send_piece(Channel *out, const void *data, size_t size)
{
    struct iovec iov = {(void *)(uintptr_t)data, size};
    GError *error = NULL;

    channel_writev_memory(out, &iov, 1, &error);
    g_assert_no_error(error);
}

static void receive(int fd, uint8_t *data, size_t size)
{
    while (size) {
        ssize_t n = read(fd, data, size);

        g_assert_cmpint(n, >, 0);
        data += n;
        size -= (size_t)n;
    }
}

static uint8_t *make_memory(size_t size)
{
    uint8_t *memory = aligned_alloc(4 * KIB, size);

    for (size_t i = 0; i < size; i++) {
        memory[i] = (uint8_t)(i * 31 + (i >> 12));
    }
    return memory;
}

/* What arrives of a piece of @size bytes that is stored to behind the call. */
static uint8_t byte_stored_behind_the_call(bool lends, size_t size)
{
    Ends ends = connect_ends(lends);
    uint8_t *memory = make_memory(size);
    g_autofree uint8_t *got = g_malloc(size);
    uint8_t seen;

    memory[100] = 1;
    send_piece(ends.out, memory, size);
    memory[100] = 2;
    receive(ends.in, got, size);
    seen = got[100];
    free(memory);
    disconnect_ends(&ends);
    return seen;
}

static void test_large_piece_is_lent(void)
{
    g_assert_cmpint(byte_stored_behind_the_call(true, LEND_BYTES), ==, 2);
}

static void test_small_piece_is_copied(void)
{
    g_assert_cmpint(byte_stored_behind_the_call(true, LEND_BYTES - 4 * KIB), ==, 1);
}

static void test_nothing_is_lent_unasked(void)
{
    g_assert_cmpint(byte_stored_behind_the_call(false, LEND_BYTES), ==, 1);
}

typedef struct Write {
    Channel *out;
    struct iovec *iov;
    int count;
    GError *error;
} Write;

static gpointer write_thread(gpointer opaque)
{
    Write *w = opaque;

    channel_writev_memory(w->out, w->iov, w->count, &w->error);
    return NULL;
}

/* More than socket and pipe take at once, in pieces of all kinds, some of them not at the start of a page. */
static void test_pieces_arrive_in_order(void)
{
    static const size_t sizes[] = {12, 3 * MIB, 100, 64 * KIB, 65 * KIB + 1, 5, 7, 2 * MIB + 11, LEND_BYTES - 1, 1};
    Ends ends = connect_ends(true);
    size_t total = 0;
    uint8_t *memory = make_memory(6 * MIB);
    g_autofree uint8_t *got = g_malloc(6 * MIB);
    struct iovec iov[G_N_ELEMENTS(sizes)];
    Write w = {ends.out, iov, G_N_ELEMENTS(sizes), NULL};
    GThread *thread;

    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        iov[i] = (struct iovec){memory + total, sizes[i]};
        total += sizes[i];
    }
    thread = g_thread_new("write", write_thread, &w);
    receive(ends.in, got, total);
    g_thread_join(thread);
    g_assert_no_error(w.error);
    g_assert_true(memcmp(got, memory, total) == 0);
    free(memory);
    disconnect_ends(&ends);
}

/* Whether the cancel comes before the wait or in it: nobody reads, so the write cannot end otherwise. */
static void test_cancel_ends_the_wait(void)
{
    Ends ends = connect_ends(true);
    uint8_t *memory = make_memory(8 * MIB);
    struct iovec iov = {memory, 8 * MIB};
    Write w = {ends.out, &iov, 1, NULL};
    GThread *thread = g_thread_new("write", write_thread, &w);

    channel_cancel(ends.out);
    g_thread_join(thread);
    g_assert_nonnull(w.error);
    g_assert_cmpstr(w.error->message, ==, "cancelled");
    g_clear_error(&w.error);
    disconnect_ends(&ends);
    free(memory);
}

static void test_peer_that_went_is_an_error(void)
{
    Ends ends = connect_ends(true);
    uint8_t *memory = make_memory(LEND_BYTES);
    struct iovec iov = {memory, LEND_BYTES};
    GError *error = NULL;

    shutdown(ends.in, SHUT_RDWR);
    g_assert_false(channel_writev_memory(ends.out, &iov, 1, &error));
    g_assert_nonnull(error);
    g_clear_error(&error);
    disconnect_ends(&ends);
    free(memory);
}

/* Where the pipe takes nothing (an old kernel, no memory for pipes) the bytes go the usual way. */
static void test_without_a_pipe_it_is_copied(void)
{
    Ends ends = connect_ends(true);
    uint8_t *memory = make_memory(LEND_BYTES);
    g_autofree uint8_t *got = g_malloc(LEND_BYTES);
    int socket_fd = dup(ends.in); /* no pipe: vmsplice() refuses it */

    g_assert_cmpint(dup2(socket_fd, ends.out->lend_pipe[1]), >=, 0);
    close(socket_fd);
    send_piece(ends.out, memory, LEND_BYTES);
    receive(ends.in, got, LEND_BYTES);
    g_assert_true(memcmp(got, memory, LEND_BYTES) == 0);
    g_assert_cmpint(ends.out->lend_pipe[0], ==, -1);
    free(memory);
    disconnect_ends(&ends);
}

/* --- the reader --- */

static StreamReader *make_reader(Ends *ends, const uint8_t *data, size_t size)
{
    *ends = connect_ends(false);
    send_piece(ends->out, data, size); /* the socket takes it all */
    return reader_new(channel_new(ends->in, -1));
}

static void end_reader(StreamReader *reader, Ends *ends)
{
    ends->in = dup(ends->in); /* the other one goes with the channel */
    channel_free(reader->channel);
    reader_free(reader);
    disconnect_ends(ends);
}

/* The head of a record must not draw the pages behind it into the buffer: they would be copied twice. */
static void test_head_takes_little_of_what_follows(void)
{
    uint8_t *memory = make_memory(64 * KIB);
    StreamReader *reader;
    Ends ends;

    reader = make_reader(&ends, memory, 64 * KIB);
    for (unsigned i = 0; i < 3; i++) {
        g_autofree uint8_t *page = g_malloc(20 * KIB);

        reader_be64(reader);
        g_assert_cmpuint(reader->end - reader->start, <, 4 * KIB);
        reader_bytes(reader, page, 20 * KIB);
        g_assert_true(memcmp(page, memory + i * (20 * KIB + 8) + 8, 20 * KIB) == 0);
    }
    end_reader(reader, &ends);
    free(memory);
}

static void test_small_things_in_a_row_take_few_calls(void)
{
    uint8_t *memory = make_memory(64 * KIB);
    StreamReader *reader;
    unsigned calls = 0;
    Ends ends;

    reader = make_reader(&ends, memory, 64 * KIB);
    for (unsigned i = 0; i < 64 * KIB / 8; i++) {
        calls += reader->start == reader->end;
        reader_be64(reader);
    }
    g_assert_true(reader_ok(reader, NULL));
    g_assert_cmpuint(calls, <=, 5); /* 4, 8, 16, 32 and the last 4 KiB */
    end_reader(reader, &ends);
    free(memory);
}

/* --- named pipes: opened by commands, which wait for nobody --- */

static char *make_fifo(void)
{
    char *path = g_strdup_printf("%s/godwit-test-channel-fifo-%d", g_get_tmp_dir(), (int)getpid());

    unlink(path);
    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    return path;
}

static void test_pipe_without_a_reader_is_refused(void)
{
    g_autofree char *path = make_fifo();
    g_autofree char *uri = g_strconcat("file:", path, NULL);
    GError *error = NULL;

    g_assert_null(channel_open(uri, false, &error));
    g_assert_nonnull(strstr(error->message, path));
    g_error_free(error);
    unlink(path);
}

static void test_device_in_use_stays(void)
{
    g_autofree char *path = make_fifo();
    g_autofree char *uri = g_strconcat("file:", path, NULL);
    int other = open(path, O_RDWR);
    struct stat st;
    Channel *out;

    g_assert_cmpint(flock(other, LOCK_EX), ==, 0);
    out = channel_open(uri, false, NULL);
    g_assert_nonnull(out);
    g_assert_true(stat(path, &st) == 0 && S_ISFIFO(st.st_mode));
    channel_free(out);
    close(other);
    unlink(path);
}

static gpointer write_to_pipe(gpointer path)
{
    int fd = open(path, O_WRONLY);

    g_assert_cmpint(write(fd, "word", 4), ==, 4);
    close(fd);
    return NULL;
}

static void test_pipe_waits_for_its_writer_later(void)
{
    g_autofree char *path = make_fifo();
    g_autofree char *uri = g_strconcat("file:", path, NULL);
    GError *error = NULL;
    Channel *in = channel_open(uri, true, &error);
    GThread *writer;
    char word[4];

    g_assert_no_error(error);
    writer = g_thread_new("writer", write_to_pipe, path);
    g_assert_true(channel_prepare(in, NULL));
    g_assert_cmpint(channel_readv(in, &(struct iovec){word, 4}, 1, NULL), ==, 4);
    g_thread_join(writer);
    channel_free(in);
    unlink(path);
}

/* --- who connects to a destination --- */

static const ChannelMagics magics = {0x6d61696e, 0x6f746872}; /* "main", "othr" */

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    return fd;
}

static gpointer prepare_group(gpointer leader)
{
    return GINT_TO_POINTER(channel_prepare_group(leader, &magics, NULL, 0, NULL));
}

/* Requested pages have a connection of their own, which may be seen before the main one has said what it is. */
static void test_second_connection_is_not_lost(void)
{
    g_autofree char *path = g_strdup_printf("%s/godwit-test-channel-group-%d", g_get_tmp_dir(), (int)getpid());
    g_autofree char *uri = g_strconcat("unix:", path, NULL);
    Channel *leader = channel_open(uri, true, NULL), *second;
    int early, main_fd, second_fd, stranger;
    GThread *thread;
    char byte;

    leader->keep_listening = true;
    early = connect_to(path); /* looks whether anybody is here */
    main_fd = connect_to(path);
    second_fd = connect_to(path);
    stranger = connect_to(path);
    g_assert_cmpint(write(stranger, "GET ", 4), ==, 4);
    thread = g_thread_new("incoming", prepare_group, leader);
    g_assert_cmpint(read(stranger, &byte, 1), <=, 0); /* closed, so all before it were seen */
    g_assert_cmpint(write(main_fd, "main", 4), ==, 4);
    g_assert_nonnull(g_thread_join(thread));
    second = channel_accept_more(leader, NULL);
    g_assert_cmpint(write(second_fd, "x", 1), ==, 1);
    g_assert_cmpint(channel_readv(second, &(struct iovec){&byte, 1}, 1, NULL), ==, 1);
    g_assert_cmpint(byte, ==, 'x');
    channel_free(second);
    channel_free(leader);
    close(early);
    close(main_fd);
    close(second_fd);
    close(stranger);
}

#define TEST(path, name) g_test_add_func("/migration-channel/" path, test_##name)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    signal(SIGPIPE, SIG_IGN); /* as the program does: splice() cannot be told */
    TEST("lend/large-piece", large_piece_is_lent);
    TEST("lend/small-piece-is-copied", small_piece_is_copied);
    TEST("lend/nothing-unasked", nothing_is_lent_unasked);
    TEST("lend/pieces-arrive-in-order", pieces_arrive_in_order);
    TEST("lend/cancel-ends-the-wait", cancel_ends_the_wait);
    TEST("lend/peer-that-went-is-an-error", peer_that_went_is_an_error);
    TEST("lend/without-a-pipe-it-is-copied", without_a_pipe_it_is_copied);
    TEST("file/pipe-without-a-reader-is-refused", pipe_without_a_reader_is_refused);
    TEST("file/device-in-use-stays", device_in_use_stays);
    TEST("file/pipe-waits-for-its-writer-later", pipe_waits_for_its_writer_later);
    TEST("group/second-connection-is-not-lost", second_connection_is_not_lost);
    TEST("reader/head-takes-little-of-what-follows", head_takes_little_of_what_follows);
    TEST("reader/small-things-in-a-row-take-few-calls", small_things_in_a_row_take_few_calls);
    return g_test_run();
}
