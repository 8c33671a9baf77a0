/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile packets on the connections of multifd.
 *
 * Two connections, two blocks of RAM.  The deterministic driver damages a good conversation: every bit of the first
 * packet and of a packet's head, every cut, each count and offset with values that hurt, data that is not what the
 * codec made.  Each case ends with an error that says which connection and why, or with all pages in their places; a
 * page outside the blocks is a crash (build with -Db_sanitize=address).  With libFuzzer (FUZZ_LIBFUZZER) the first byte
 * of the input chooses the compression and what is put right, the rest is what a connection sends.
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migration/multifd.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "util/bswap.h"

#define PAGE     TARGET_PAGE_SIZE
#define PAGES    16
#define CHANNELS 2

static const uint8_t uuid[16] = "of this machine";
static RAMBlock *blocks[2];
static unsigned cases, errors;

static void make_blocks(void)
{
    bql_init();
    bql_lock();
    memory_init();
    for (unsigned i = 0; i < 2; i++) {
        blocks[i] = ram_block_new_anonymous(i ? "second" : "first", PAGES * PAGE, PAGES * PAGE, RAM_MIGRATABLE, NULL);
        g_assert_nonnull(blocks[i]);
    }
    bql_unlock();
}

/* --- what a good peer says --- */

static void put_initial(GByteArray *out, unsigned id)
{
    guint at = out->len;

    g_byte_array_set_size(out, at + MULTIFD_INITIAL_SIZE);
    memset(out->data + at, 0, MULTIFD_INITIAL_SIZE);
    stl_be_p(out->data + at, MULTIFD_MAGIC);
    stl_be_p(out->data + at + 4, MULTIFD_VERSION);
    memcpy(out->data + at + 8, uuid, sizeof(uuid));
    out->data[at + 24] = (uint8_t)id;
}

static uint8_t *put_head(GByteArray *out, uint32_t flags, const char *name, uint32_t normal, uint32_t zero,
                         uint32_t data_size)
{
    guint at = out->len;
    uint8_t *p;

    g_byte_array_set_size(out, at + MULTIFD_PACKET_SIZE);
    p = out->data + at;
    memset(p, 0, MULTIFD_PACKET_SIZE);
    stl_be_p(p, MULTIFD_MAGIC);
    stl_be_p(p + 4, MULTIFD_VERSION);
    stl_be_p(p + MULTIFD_AT_FLAGS, flags);
    stl_be_p(p + MULTIFD_AT_ROOM, MULTIFD_PAGES);
    stl_be_p(p + MULTIFD_AT_NORMAL, normal);
    stl_be_p(p + MULTIFD_AT_DATA_SIZE, data_size);
    stl_be_p(p + MULTIFD_AT_ZERO, zero);
    g_strlcpy((char *)p + MULTIFD_AT_NAME, name, MULTIFD_NAME_SIZE);
    return p;
}

/* Pages 1, 2 and 5 full of 0x5a, page 7 zero. */
static void put_pages(GByteArray *out, MultifdCodec *codec, int compression, const char *name)
{
    static const uint64_t pages[] = {1, 2, 5, 7};
    static uint8_t content[3 * PAGE];
    struct iovec from = {content, sizeof(content)}, data = from;
    uint8_t *p;

    memset(content, 0x5a, sizeof(content));
    g_assert_true(!codec || multifd_codec_compress(codec, &from, 1, &data, NULL));
    p = put_head(out, multifd_codec_flag(compression), name, 3, 1, (uint32_t)data.iov_len);
    for (unsigned i = 0; i < G_N_ELEMENTS(pages); i++) {
        stq_be_p(p + MULTIFD_AT_OFFSETS + i * 8, pages[i] * PAGE);
    }
    g_byte_array_append(out, data.iov_base, (guint)data.iov_len);
}

static void put_sync(GByteArray *out)
{
    put_head(out, MULTIFD_FLAG_SYNC, "", 0, 0, 0);
}

/* SYNC, pages of both blocks, SYNC. */
static GByteArray *conversation(unsigned id, int compression)
{
    GByteArray *out = g_byte_array_new();
    MultifdCodec *codec = compression ? multifd_codec_new(compression, true, 1, NULL) : NULL;

    put_initial(out, id);
    put_sync(out);
    put_pages(out, codec, compression, "first");
    put_pages(out, codec, compression, "second");
    put_sync(out);
    multifd_codec_free(codec);
    return out;
}

/* --- the destination --- */

typedef struct Sender {
    int fd;
    const uint8_t *data;
    size_t size;
} Sender;

static gpointer send_all(gpointer opaque)
{
    Sender *s = opaque;
    ssize_t n;

    while (s->size && (n = send(s->fd, s->data, s->size, MSG_NOSIGNAL)) > 0) {
        s->data += n;
        s->size -= (size_t)n;
    }
    shutdown(s->fd, SHUT_WR);
    return NULL;
}

static Channel *channel_pair(int *peer)
{
    int fds[2];
    Channel *channel;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    *peer = fds[1];
    channel = channel_new(fds[0], fds[0]);
    channel_classify(channel);
    return channel;
}

static void list_blocks(RamLoad *load)
{
    ram_load_init(load, false, "first");
    for (unsigned i = 0; i < 2; i++) {
        g_assert_true(ram_block_try_ref(blocks[i]));
        g_ptr_array_add(load->blocks, blocks[i]);
    }
}

/* The main stream's part: the list of RAM stands from the start, then two barriers. */
static bool take_part(MultifdRecv *recv, StreamReader *reader)
{
    return multifd_recv_sync(recv, reader) && multifd_recv_sync(recv, reader);
}

/* The message of the error, or NULL. */
static char *converse(int compression, const uint8_t *first, size_t first_size, const GByteArray *second)
{
    Sender sender[CHANNELS] = {{.data = first, .size = first_size}, {.data = second->data, .size = second->len}};
    Channel *channels[CHANNELS], *leader;
    GThread *threads[CHANNELS];
    GError *error = NULL;
    StreamReader *reader;
    MultifdRecv *recv;
    RamLoad load;
    char *message = NULL;
    int leader_fd;
    bool ok;

    bql_lock();
    list_blocks(&load);
    bql_unlock();
    leader = channel_pair(&leader_fd);
    reader = reader_new(leader);
    for (unsigned i = 0; i < CHANNELS; i++) {
        channels[i] = channel_pair(&sender[i].fd);
        threads[i] = g_thread_new("sender", send_all, &sender[i]);
    }
    recv = multifd_recv_new(leader, channels, CHANNELS, compression, uuid, &load);
    ok = take_part(recv, reader);
    if (!multifd_recv_free(recv, &error) || !ok) {
        const GError *why = error ? error : reader->error;

        g_assert_true(why && why->message[0]); /* a failure has a reason */
        message = g_strdup(why->message);
    }
    g_clear_error(&error);
    for (unsigned i = 0; i < CHANNELS; i++) {
        g_thread_join(threads[i]);
        close(sender[i].fd);
    }
    close(leader_fd);
    reader_free(reader);
    channel_free(leader);
    bql_lock();
    ram_load_clear(&load);
    bql_unlock();
    cases++;
    errors += message != NULL;
    return message;
}

#ifdef FUZZ_LIBFUZZER

/* Makes the head of the packet at @p one that is let in, so that what follows is reached. */
static void put_right(uint8_t *p, uint8_t what)
{
    stl_be_p(p, MULTIFD_MAGIC);
    stl_be_p(p + 4, MULTIFD_VERSION);
    if (what & 8) {
        stl_be_p(p + MULTIFD_AT_ROOM, MULTIFD_PAGES);
        stl_be_p(p + MULTIFD_AT_NORMAL, ldl_be_p(p + MULTIFD_AT_NORMAL) % 8);
        stl_be_p(p + MULTIFD_AT_ZERO, ldl_be_p(p + MULTIFD_AT_ZERO) % 8);
        g_strlcpy((char *)p + MULTIFD_AT_NAME, "first", MULTIFD_NAME_SIZE);
    }
    for (unsigned i = 0; what & 16 && i < 16; i++) {
        uint8_t *offset = p + MULTIFD_AT_OFFSETS + i * 8;

        stq_be_p(offset, ldq_be_p(offset) % (PAGES + 1) * PAGE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int compressions[] = {MULTIFD_COMPRESSION_NONE, MULTIFD_COMPRESSION_ZLIB, MULTIFD_COMPRESSION_ZSTD,
                                       MULTIFD_COMPRESSION_NONE};
    uint8_t what = size ? data[0] : 0;
    int compression = compressions[what & 3];
    g_autoptr(GByteArray) first = g_byte_array_new();
    g_autoptr(GByteArray) second = NULL;
    g_autofree uint8_t *copy = NULL;
    size_t length;

    if (!blocks[0]) {
        make_blocks();
    }
    second = conversation(1, compression);
    put_initial(first, 0);
    put_sync(first);
    if (what & 4) { /* the first packet is theirs, too */
        g_byte_array_set_size(first, 0);
    }
    length = first->len;
    if (size > 1) {
        g_byte_array_append(first, data + 1, (guint)size - 1);
    }
    if (what & 24 && first->len >= length + MULTIFD_PACKET_SIZE) {
        put_right(first->data + length, what);
    }
    length = first->len;
    copy = g_memdup2(first->data, length);
    g_free(converse(compression, copy, length, second));
    return 0;
}

#else

static void check_page(const RAMBlock *block, unsigned page, uint8_t value)
{
    for (unsigned i = 0; i < PAGE; i++) {
        g_assert_cmpuint(block->host[page * PAGE + i], ==, value);
    }
}

static void test_good(gconstpointer opaque)
{
    int compression = GPOINTER_TO_INT(opaque);
    g_autoptr(GByteArray) first = conversation(0, compression);
    g_autoptr(GByteArray) second = conversation(1, compression);
    g_autofree char *message = NULL;

    memset(blocks[0]->host, 0xff, PAGES * PAGE);
    memset(blocks[1]->host, 0xff, PAGES * PAGE);
    message = converse(compression, first->data, first->len, second);
    g_assert_cmpstr(message, ==, NULL);
    for (unsigned i = 0; i < 2; i++) {
        check_page(blocks[i], 0, 0xff);
        check_page(blocks[i], 1, 0x5a);
        check_page(blocks[i], 5, 0x5a);
        check_page(blocks[i], 7, 0);
    }
}

/* Every bit of the first packet and of all heads; data only here and there. */
static void test_flipped(gconstpointer opaque)
{
    int compression = GPOINTER_TO_INT(opaque);
    g_autoptr(GByteArray) first = conversation(0, compression);
    g_autoptr(GByteArray) second = conversation(1, compression);
    guint heads_end = MULTIFD_INITIAL_SIZE + MULTIFD_PACKET_SIZE + MULTIFD_AT_OFFSETS + 5 * 8;
    guint head = MULTIFD_INITIAL_SIZE + MULTIFD_PACKET_SIZE;

    for (guint bit = 0; bit < first->len * 8; bit++) {
        guint at = bit / 8;
        bool dense = at < 32 || (at >= head && at < head + 72) || (at >= head + MULTIFD_AT_OFFSETS && at < heads_end);

        if (!dense && bit % 97) {
            continue;
        }
        first->data[at] ^= (uint8_t)(1 << bit % 8);
        g_free(converse(compression, first->data, first->len, second));
        first->data[at] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_cut(gconstpointer opaque)
{
    int compression = GPOINTER_TO_INT(opaque);
    g_autoptr(GByteArray) first = conversation(0, compression);
    g_autoptr(GByteArray) second = conversation(1, compression);

    for (guint size = 0; size < first->len; size += size < 100 ? 1 : 61) {
        g_autofree char *message = converse(compression, first->data, size, second);

        g_assert_nonnull(message);
    }
}

/* One field of the first packet of pages takes a value; all but the same value is refused by name. */
static void refuse(unsigned place, unsigned bytes, uint64_t value, const char *says)
{
    g_autoptr(GByteArray) first = conversation(0, MULTIFD_COMPRESSION_NONE);
    g_autoptr(GByteArray) second = conversation(1, MULTIFD_COMPRESSION_NONE);
    g_autofree char *message = NULL;

    stn_be_p(first->data + MULTIFD_INITIAL_SIZE + MULTIFD_PACKET_SIZE + place, bytes, value);
    message = converse(MULTIFD_COMPRESSION_NONE, first->data, first->len, second);
    g_assert_nonnull(message);
    if (!strstr(message, says) || !strstr(message, "multifd channel 0")) {
        g_error("the message '%s' does not name '%s'", message, says);
    }
}

static void test_fields(void)
{
    static const uint64_t counts[] = {129, 4096, 0x7fffffff, 0x80000000, 0xffffffff};

    for (unsigned i = 0; i < G_N_ELEMENTS(counts); i++) {
        refuse(MULTIFD_AT_NORMAL, 4, counts[i], "normal_pages");
        refuse(MULTIFD_AT_ZERO, 4, counts[i], "zero_pages");
        refuse(MULTIFD_AT_ROOM, 4, counts[i], "pages_alloc");
        refuse(MULTIFD_AT_DATA_SIZE, 4, counts[i], "next_packet_size");
    }
    refuse(MULTIFD_AT_ZERO, 4, 126, "zero_pages"); /* with 3 normal ones more than fit */
    refuse(MULTIFD_AT_FLAGS, 4, MULTIFD_FLAG_ZLIB, "multifd-compression");
    refuse(MULTIFD_AT_FLAGS, 4, 0x80000000, "flags");
    refuse(MULTIFD_AT_OFFSETS, 8, 1, "offset[0]");
    refuse(MULTIFD_AT_OFFSETS, 8, PAGES * PAGE, "offset[0]");
    refuse(MULTIFD_AT_OFFSETS + 8, 8, UINT64_MAX - PAGE + 1, "offset[1]");
    refuse(MULTIFD_AT_OFFSETS + 24, 8, UINT64_C(1) << 63, "offset[3]");
    refuse(MULTIFD_AT_NAME, 8, UINT64_C(0x6e6f626f64790000), "nobody");
}

static void refuse_first_packet(const GByteArray *first, const char *says)
{
    g_autoptr(GByteArray) second = conversation(1, MULTIFD_COMPRESSION_NONE);
    g_autofree char *message = converse(MULTIFD_COMPRESSION_NONE, first->data, first->len, second);

    g_assert_nonnull(message);
    g_assert_nonnull(strstr(message, says));
}

static void test_first_packets(void)
{
    g_autoptr(GByteArray) first = conversation(0, MULTIFD_COMPRESSION_NONE);
    g_autoptr(GByteArray) twin = conversation(1, MULTIFD_COMPRESSION_NONE);
    g_autoptr(GByteArray) early = g_byte_array_new();
    g_autoptr(GByteArray) endless = conversation(0, MULTIFD_COMPRESSION_NONE);

    refuse_first_packet(twin, "which another channel has");
    first->data[24] = 9;
    refuse_first_packet(first, "multifd-channels");
    first->data[24] = 0;
    first->data[8] ^= 1;
    refuse_first_packet(first, "uuid");
    put_initial(early, 0);
    put_pages(early, NULL, MULTIFD_COMPRESSION_NONE, "first");
    refuse_first_packet(early, "before the list");
    memset(endless->data + MULTIFD_INITIAL_SIZE + MULTIFD_PACKET_SIZE + MULTIFD_AT_NAME, 'x', MULTIFD_NAME_SIZE);
    refuse_first_packet(endless, "has no end");
}

/* What the codec did not make, where its bytes should be. */
static void test_random_data(gconstpointer opaque)
{
    int compression = GPOINTER_TO_INT(opaque);
    g_autoptr(GByteArray) second = conversation(1, compression);
    g_autoptr(GRand) rand = g_rand_new_with_seed(17);

    for (unsigned round = 0; round < 200; round++) {
        g_autoptr(GByteArray) first = conversation(0, compression);
        guint start = MULTIFD_INITIAL_SIZE + 2 * MULTIFD_PACKET_SIZE;
        unsigned changes = 1u << round % 8;

        for (unsigned i = 0; i < changes; i++) {
            first->data[start + (guint)g_rand_int_range(rand, 0, 24)] = (uint8_t)g_rand_int(rand);
        }
        g_free(converse(compression, first->data, first->len, second));
    }
}

static void add(const char *name, int compression, GTestDataFunc test)
{
    static const char *const names[] = {"none", "zlib", "zstd"};
    g_autofree char *path = g_strdup_printf("/fuzz/multifd/%s/%s", names[compression], name);

    if (compression == MULTIFD_COMPRESSION_NONE || multifd_codec_flag(compression)) {
        g_test_add_data_func(path, GINT_TO_POINTER(compression), test);
    }
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    make_blocks();
    for (int compression = MULTIFD_COMPRESSION_NONE; compression <= MULTIFD_COMPRESSION_ZSTD; compression++) {
        add("good", compression, test_good);
        add("any-bit-flipped", compression, test_flipped);
        add("cut-anywhere", compression, test_cut);
        add("random-data", compression, test_random_data);
    }
    g_test_add_func("/fuzz/multifd/fields/refused-by-name", test_fields);
    g_test_add_func("/fuzz/multifd/first-packet/refused-by-name", test_first_packets);
    status = g_test_run();
    printf("# %u cases: %u errors\n", cases, errors);
    return status;
}

#endif
