/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ringbuf: the last bytes of output, kept in memory, read and fed by monitor commands. */
#include "char.h"

#include <string.h>

#include "api/command.h"
#include "util/bits.h"
#include "util/error.h"

typedef struct RingbufChardev {
    Chardev chr;
    uint64_t size; /* a power of two */
    /* under chr.lock: bytes [consumed, produced) are in the ring at their number modulo size */
    uint8_t *ring;
    uint64_t produced, consumed;
} RingbufChardev;

static ssize_t ringbuf_write(Chardev *chr, const void *buf, size_t len)
{
    RingbufChardev *r = (RingbufChardev *)chr;
    const uint8_t *bytes = buf;

    for (size_t i = 0; i < len; i++) {
        r->ring[r->produced++ & (r->size - 1)] = bytes[i];
    }
    r->consumed = MAX(r->consumed, r->produced > r->size ? r->produced - r->size : 0);
    return len;
}

static bool ringbuf_open(Chardev *chr, GError **error)
{
    RingbufChardev *r = (RingbufChardev *)chr;

    if (r->size == 0 || (r->size & (r->size - 1)) != 0) {
        return fail(error, "size of a ring buffer must be a power of two");
    }
    r->ring = g_malloc(r->size);
    char_connected(chr, -1, -1);
    return true;
}

static void ringbuf_close(Chardev *chr)
{
    RingbufChardev *r = (RingbufChardev *)chr;

    LOCK_GUARD(&chr->lock);
    g_clear_pointer(&r->ring, g_free);
    atomic_set(&chr->connected, false);
}

static const Field ringbuf_options[] = {
    F_SIZE(RingbufChardev, size, "size", .optional = true, .default_value = "64k", .min = 1, .max = 1 << 30,
           .help = "bytes kept, a power of two"),
    FIELD_END,
};

CHARDEV_KIND(ringbuf, .name = "ringbuf", .help = "the last bytes of output, in memory",
             .instance_size = sizeof(RingbufChardev), .options = ringbuf_options, .open = ringbuf_open,
             .close = ringbuf_close, .write = ringbuf_write, .keep_open = true);

static RingbufChardev *ringbuf_find(const char *id, GError **error)
{
    Chardev *chr = chardev_find(id);

    if (!chr) {
        return fail_null(error, "there is no character device '%s'", id);
    }
    if (chr->ops != &char_ops_ringbuf) {
        return fail_null(error, "character device '%s' is no ring buffer", id);
    }
    return (RingbufChardev *)chr;
}

typedef struct RingbufReadArgs {
    char *device;
    uint64_t size;
    int format;
} RingbufReadArgs;

static const char *const data_formats[] = {"utf8", "base64", NULL};
static const Field ringbuf_read_args[] = {
    F_STRING(RingbufReadArgs, device, "device", .positional = true),
    F_SIZE(RingbufReadArgs, size, "size", .positional = true, .max = 1 << 30),
    F_ENUM(RingbufReadArgs, format, "format", data_formats, "DataFormat", .optional = true,
           .default_value = "utf8"),
    FIELD_END,
};

static bool run_ringbuf_read(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const RingbufReadArgs *a = args;
    RingbufChardev *r = ringbuf_find(a->device, error);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autofree char *text = NULL;

    if (!r) {
        return false;
    }
    lock_acquire(&r->chr.lock);
    while (bytes->len < a->size && r->consumed < r->produced) {
        g_byte_array_append(bytes, &r->ring[r->consumed++ & (r->size - 1)], 1);
    }
    lock_release(&r->chr.lock);
    text = a->format == 1 ? g_base64_encode(bytes->data, bytes->len)
                          : g_utf8_make_valid((const char *)bytes->data, bytes->len);
    *(JsonNode **)reply = json_node_init_string(json_node_alloc(), text);
    return true;
}

static void print_ringbuf_read(CommandContext *ctx, const void *args, const void *reply)
{
    g_string_append_printf(ctx->output, "%s\n", json_node_get_string(*(JsonNode *const *)reply));
}

COMMAND(ringbuf_read, .qmp = "ringbuf-read", .hmp = "ringbuf_read", .help = "read from a ring buffer",
        .args = ringbuf_read_args, .args_size = sizeof(RingbufReadArgs), .reply_any = true,
        .run = run_ringbuf_read, .print_hmp = print_ringbuf_read);

typedef struct RingbufWriteArgs {
    char *device;
    char *data;
    int format;
} RingbufWriteArgs;

static const Field ringbuf_write_args[] = {
    F_STRING(RingbufWriteArgs, device, "device", .positional = true),
    F_STRING(RingbufWriteArgs, data, "data", .positional = true),
    F_ENUM(RingbufWriteArgs, format, "format", data_formats, "DataFormat", .optional = true,
           .default_value = "utf8"),
    FIELD_END,
};

static bool run_ringbuf_write(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const RingbufWriteArgs *a = args;
    RingbufChardev *r = ringbuf_find(a->device, error);
    g_autofree guchar *decoded = NULL;
    gsize len = strlen(a->data);

    if (!r) {
        return false;
    }
    if (a->format == 1) {
        decoded = g_base64_decode(a->data, &len);
    }
    LOCK_GUARD(&r->chr.lock);
    ringbuf_write(&r->chr, decoded ? (const char *)decoded : a->data, len);
    return true;
}

COMMAND(ringbuf_write, .qmp = "ringbuf-write", .hmp = "ringbuf_write", .help = "write into a ring buffer",
        .args = ringbuf_write_args, .args_size = sizeof(RingbufWriteArgs), .run = run_ringbuf_write);
