/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of images: what -drive and -blockdev ask for, who uses what, and what happens to images when the
 * machine stops, moves or goes on.
 *
 * When the machine stops all requests are drained and synced.  The file locks belong to the process whose
 * machine runs: an incoming machine takes them when it starts, an outgoing one gives them back when it has
 * stopped to move.
 */
#include "backend/block.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "api/command.h"
#include "api/option.h"
#include "block-pool.h"
#include "block-private.h"
#include "system/runstate.h"
#include "util/bits.h"
#include "util/error.h"

static GPtrArray *blocks;   /* of BlockBackend *, in order of creation; big lock */
static GPtrArray *requests; /* of char *: 'd' or 'b' and the text of -drive or -blockdev */

/* --- asking --- */

uint64_t block_size(const BlockBackend *b)
{
    return b->size;
}

bool block_read_only(const BlockBackend *b)
{
    return b->read_only;
}

bool block_writethrough(const BlockBackend *b)
{
    return b->writethrough;
}

BlockLimits block_limits(const BlockBackend *b)
{
    return (BlockLimits){
        .can_discard = true, .can_write_zeroes = true, .memory_alignment = b->direct ? 4096 : 1};
}

const char *block_name(const BlockBackend *b)
{
    return b->name;
}

static BlockBackend *nth(unsigned i)
{
    return blocks && i < blocks->len ? blocks->pdata[i] : NULL;
}

static bool has_alias(const BlockBackend *b, const char *name)
{
    for (unsigned i = 0; b->aliases && i < b->aliases->len; i++) {
        if (g_str_equal(b->aliases->pdata[i], name)) {
            return true;
        }
    }
    return false;
}

BlockBackend *block_find(const char *name)
{
    BlockBackend *b;

    for (unsigned i = 0; (b = nth(i)); i++) {
        if (g_str_equal(b->name, name) || has_alias(b, name)) {
            return b;
        }
    }
    return NULL;
}

BlockBackend *drive_get(DriveInterface interface, int unit)
{
    BlockBackend *b;

    for (unsigned i = 0; (b = nth(i)); i++) {
        if (b->is_drive && b->interface == interface && b->unit == unit) {
            return b;
        }
    }
    return NULL;
}

bool block_claim(BlockBackend *b, const char *user, bool writable, GError **error)
{
    if (b->user) {
        return fail(error, "image '%s' is in use by '%s'", b->name, b->user);
    }
    if (writable && b->read_only) {
        return fail(error, "image '%s' is read-only", b->name);
    }
    b->user = g_strdup(user);
    return true;
}

const char *block_user(const BlockBackend *b)
{
    return b->user;
}

void block_release(BlockBackend *b)
{
    block_drain(b);
    g_clear_pointer(&b->user, g_free);
}

/* --- the machine stops and goes on --- */

void block_drain(BlockBackend *b)
{
    block_pool_drain(&b->in_flight);
}

void block_drain_all(void)
{
    BlockBackend *b;

    for (unsigned i = 0; (b = nth(i)); i++) {
        block_drain(b);
    }
}

bool block_flush_all(void)
{
    BlockBackend *b;
    bool ok = true;

    block_drain_all();
    for (unsigned i = 0; (b = nth(i)); i++) {
        GError *error = NULL;

        if (!block_raw_sync(b, &error)) {
            error_report_free(error);
            ok = false;
        }
    }
    return ok;
}

static void lock_all(void)
{
    BlockBackend *b;

    for (unsigned i = 0; (b = nth(i)); i++) {
        GError *error = NULL;

        if (!block_raw_lock(b, &error)) {
            error_report_free(error); /* too late to refuse: the machine is here now */
        }
    }
}

static void machine_changed(void *opaque, bool running, RunState state)
{
    BlockBackend *b;

    if (running) {
        lock_all();
        return;
    }
    block_flush_all();
    if (state == RUN_STATE_FINISH_MIGRATE || state == RUN_STATE_POSTMIGRATE) {
        for (unsigned i = 0; (b = nth(i)); i++) {
            block_raw_unlock(b);
        }
    }
}

/* --- making --- */

static void block_free(BlockBackend *b)
{
    block_raw_close(b);
    g_clear_pointer(&b->aliases, g_ptr_array_unref);
    g_free(b->name);
    g_free(b->filename);
    g_free(b->user);
    g_free(b);
}

static BlockBackend *block_add(BlockBackend *b, GError **error)
{
    static bool listening;

    if (block_find(b->name)) {
        fail(error, "an image '%s' exists already", b->name);
        block_free(b);
        return NULL;
    }
    if (runstate_get() != RUN_STATE_INMIGRATE && !block_raw_lock(b, error)) {
        block_free(b);
        return NULL;
    }
    if (!blocks) {
        blocks = g_ptr_array_new();
    }
    g_ptr_array_add(blocks, b);
    if (!listening) {
        listening = true;
        vm_state_change_add(machine_changed, NULL);
    }
    return b;
}

static BlockBackend *block_alloc(const char *name, const char *filename)
{
    BlockBackend *b = g_new0(BlockBackend, 1);

    b->name = g_strdup(name);
    b->filename = g_strdup(filename);
    b->fd = b->buffered_fd = -1;
    b->unit = -1;
    return b;
}

static const char *const interface_names[] = {"none", "virtio", "pflash", NULL};
enum { CACHE_WRITEBACK, CACHE_NONE, CACHE_WRITETHROUGH, CACHE_DIRECTSYNC, CACHE_UNSAFE };
static const char *const cache_names[] = {"writeback", "none", "writethrough", "directsync", "unsafe", NULL};
static const char *const discard_names[] = {"ignore", "off", "unmap", "on", NULL};
static const char *const locking_names[] = {"auto", "on", "off", NULL};
static const char *const format_names[] = {"raw", NULL};
static const char *const aio_names[] = {"threads", NULL};
static const char *const media_names[] = {"disk", NULL};

typedef struct DriveOptions {
    char *file, *id;
    int format, interface, cache, discard, locking, aio, media;
    int64_t unit, index;
    bool read_only, has_format;
} DriveOptions;

static const Field drive_options[] = {
    F_STRING(DriveOptions, file, "file", .optional = true, .help = "path of the image, or null-co://"),
    F_STRING(DriveOptions, id, "id", .optional = true),
    F_ENUM(DriveOptions, format, "format", format_names, "BlockFormat", .optional = true,
           .default_value = "raw", F_HAS(DriveOptions, has_format)),
    F_ENUM(DriveOptions, interface, "if", interface_names, "DriveInterface", .optional = true,
           .default_value = "virtio"),
    F_I64(DriveOptions, unit, "unit", .optional = true, .default_value = "-1"),
    F_I64(DriveOptions, index, "index", .optional = true, .default_value = "-1"),
    F_BOOL(DriveOptions, read_only, "readonly", .optional = true),
    F_BOOL(DriveOptions, read_only, "read-only", .optional = true),
    F_ENUM(DriveOptions, cache, "cache", cache_names, "BlockCache", .optional = true,
           .default_value = "writeback"),
    F_ENUM(DriveOptions, discard, "discard", discard_names, "BlockdevDiscardOptions", .optional = true,
           .default_value = "ignore"),
    F_ENUM(DriveOptions, locking, "file.locking", locking_names, "OnOffAuto", .optional = true,
           .default_value = "auto"),
    F_ENUM(DriveOptions, aio, "aio", aio_names, "BlockdevAioOptions", .optional = true,
           .default_value = "threads"),
    F_ENUM(DriveOptions, media, "media", media_names, "DriveMedia", .optional = true,
           .default_value = "disk"),
    FIELD_END,
};

static int next_unit(DriveInterface interface)
{
    int unit = 0;

    while (drive_get(interface, unit)) {
        unit++;
    }
    return unit;
}

static bool set_unit(BlockBackend *b, const DriveOptions *o, GError **error)
{
    int64_t unit = o->unit >= 0 ? o->unit : o->index;

    b->interface = o->interface;
    b->is_drive = true;
    if (unit > 1000) {
        return fail(error, "unit %" PRId64 " is too large", unit);
    }
    b->unit = unit >= 0 ? (int)unit : next_unit(b->interface);
    if (b->interface != DRIVE_IF_NONE && drive_get(b->interface, b->unit)) {
        return fail(error, "drive with if=%s and unit %d exists already", interface_names[b->interface],
                    b->unit);
    }
    return true;
}

static void set_cache(BlockBackend *b, int cache)
{
    b->direct = cache == CACHE_NONE || cache == CACHE_DIRECTSYNC;
    b->writethrough = cache == CACHE_WRITETHROUGH || cache == CACHE_DIRECTSYNC;
    b->no_flush = cache == CACHE_UNSAFE;
}

/* Who names no format expects it to be found out: an image of another format would look like garbage to the
 * guest. */
static bool check_format(const BlockBackend *b, const DriveOptions *o, GError **error)
{
    static const struct {
        const char *magic, *name;
    } foreign[] = {{"QFI\xfb", "qcow2"},
                   {"QED", "qed"},
                   {"KDMV", "vmdk"},
                   {"vhdxfile", "vhdx"},
                   {"LUKS\xba\xbe", "luks"}};
    char start[8] = {0};

    if (o->has_format || b->fd < 0 || pread(b->fd, start, sizeof(start), 0) < 0) {
        return true; /* what cannot be read tells so when it is used */
    }
    for (size_t i = 0; i < G_N_ELEMENTS(foreign); i++) {
        if (!memcmp(start, foreign[i].magic, strlen(foreign[i].magic))) {
            return fail(error, "image '%s' looks like %s, only raw images are known; format=raw insists",
                        b->filename, foreign[i].name);
        }
    }
    return true;
}

static BlockBackend *drive_make(const DriveOptions *o, GError **error)
{
    g_autofree char *name = NULL;
    BlockBackend *b;
    bool null = o->file && g_str_equal(o->file, "null-co://");

    if (!o->file || !*o->file) {
        return fail_null(error, "option 'file' is missing");
    }
    name = o->id ? g_strdup(o->id)
                 : g_strdup_printf("%s%d", interface_names[o->interface], next_unit(o->interface));
    b = block_alloc(name, g_str_has_prefix(o->file, "file:") ? o->file + 5 : o->file);
    b->read_only = o->read_only;
    b->unmap = o->discard >= 2;
    b->locking = o->locking;
    b->size = UINT64_C(1) << 30;
    set_cache(b, o->cache);
    if (!set_unit(b, o, error) ||
        (!null && (!block_raw_open(b, b->direct, error) || !check_format(b, o, error)))) {
        block_free(b);
        return NULL;
    }
    return block_add(b, error);
}

BlockBackend *drive_new_from_options(const char *text, GError **error)
{
    DriveOptions o = {0};
    BlockBackend *b = NULL;

    fields_init(drive_options, &o);
    if (fields_parse_options(drive_options, &o, text, NULL, error)) {
        b = drive_make(&o, error);
    }
    fields_clear(drive_options, &o);
    return b;
}

enum { DRIVER_RAW, DRIVER_FILE, DRIVER_HOST_DEVICE, DRIVER_NULL };
static const char *const driver_names[] = {"raw", "file", "host_device", "null-co", NULL};

typedef struct NodeOptions {
    int driver, inner_driver, discard, locking;
    char *node_name, *filename, *inner_filename, *file;
    bool read_only, direct, no_flush;
    uint64_t size;
} NodeOptions;

static const Field node_options[] = {
    F_ENUM(NodeOptions, driver, "driver", driver_names, "BlockdevDriver"),
    F_STRING(NodeOptions, node_name, "node-name"),
    F_STRING(NodeOptions, filename, "filename", .optional = true),
    F_STRING(NodeOptions, file, "file", .optional = true, .help = "raw: name of the node below"),
    F_ENUM(NodeOptions, inner_driver, "file.driver", driver_names, "BlockdevDriver", .optional = true,
           .default_value = "file"),
    F_STRING(NodeOptions, inner_filename, "file.filename", .optional = true),
    F_SIZE(NodeOptions, size, "size", .optional = true, .default_value = "1G", .help = "null-co: bytes"),
    F_BOOL(NodeOptions, read_only, "read-only", .optional = true),
    F_BOOL(NodeOptions, direct, "cache.direct", .optional = true),
    F_BOOL(NodeOptions, no_flush, "cache.no-flush", .optional = true),
    F_ENUM(NodeOptions, discard, "discard", discard_names, "BlockdevDiscardOptions", .optional = true,
           .default_value = "ignore"),
    F_ENUM(NodeOptions, locking, "locking", locking_names, "OnOffAuto", .optional = true,
           .default_value = "auto"),
    F_ENUM(NodeOptions, locking, "file.locking", locking_names, "OnOffAuto", .optional = true,
           .default_value = "auto"),
    FIELD_END,
};

/* A raw node over another adds nothing but a name. */
static BlockBackend *add_alias(const NodeOptions *o, GError **error)
{
    BlockBackend *b = block_find(o->file);

    if (!b) {
        return fail_null(error, "there is no image '%s'", o->file);
    }
    if (block_find(o->node_name)) {
        return fail_null(error, "an image '%s' exists already", o->node_name);
    }
    if (!b->aliases) {
        b->aliases = g_ptr_array_new_with_free_func(g_free);
    }
    g_ptr_array_add(b->aliases, g_strdup(o->node_name));
    b->read_only |= o->read_only;
    b->unmap |= o->discard >= 2;
    return b;
}

static BlockBackend *node_make(const NodeOptions *o, GError **error)
{
    int driver = o->driver == DRIVER_RAW ? o->inner_driver : o->driver;
    const char *filename = o->driver == DRIVER_RAW ? o->inner_filename : o->filename;
    BlockBackend *b;

    if (!o->node_name || !*o->node_name) {
        return fail_null(error, "option 'node-name' is missing");
    }
    if (o->driver == DRIVER_RAW && o->file) {
        return add_alias(o, error);
    }
    if (driver != DRIVER_NULL && !filename) {
        return fail_null(error, "option '%s' is missing", o->driver == DRIVER_RAW ? "file" : "filename");
    }
    b = block_alloc(o->node_name, driver == DRIVER_NULL ? "null-co://" : filename);
    b->size = ROUND_UP(o->size, BLOCK_SECTOR_SIZE);
    b->read_only = o->read_only;
    b->direct = o->direct;
    b->no_flush = o->no_flush;
    b->unmap = o->discard >= 2;
    b->locking = o->locking;
    if (driver != DRIVER_NULL && !block_raw_open(b, b->direct, error)) {
        block_free(b);
        return NULL;
    }
    return block_add(b, error);
}

BlockBackend *blockdev_new_from_options(const char *text, GError **error)
{
    NodeOptions o = {0};
    BlockBackend *b = NULL;

    fields_init(node_options, &o);
    if (fields_parse_options(node_options, &o, text, "driver", error)) {
        b = node_make(&o, error);
    }
    fields_clear(node_options, &o);
    return b;
}

/* --- the command line --- */

static bool record(char kind, const char *value, GError **error)
{
    g_autoptr(GPtrArray) pairs = options_split(value, NULL, error);

    if (!pairs) {
        return false;
    }
    if (!requests) {
        requests = g_ptr_array_new_with_free_func(g_free);
    }
    g_ptr_array_add(requests, g_strdup_printf("%c%s", kind, value));
    return true;
}

static bool parse_drive(const char *value, GError **error)
{
    return record('d', value, error);
}

static bool parse_blockdev(const char *value, GError **error)
{
    return record('b', value, error);
}

OPTION(drive, .name = "drive",
       .arg = "file=PATH[,format=raw][,if=none|virtio|pflash][,id=ID][,readonly=on]"
              "[,cache=MODE][,discard=unmap]",
       .section = "Block devices", .help = "make a drive from an image", .parse = parse_drive);
OPTION(blockdev, .name = "blockdev",
       .arg = "driver=raw|file|null-co,node-name=NAME[,filename=PATH][,file=NODE]",
       .section = "Block devices", .help = "make an image under a node name", .parse = parse_blockdev);

bool drives_create(GError **error)
{
    for (unsigned i = 0; requests && i < requests->len; i++) {
        const char *text = requests->pdata[i];
        bool is_drive = text[0] == 'd';

        if (!(is_drive ? drive_new_from_options : blockdev_new_from_options)(text + 1, error)) {
            error_context(error, "%s %s", is_drive ? "-drive" : "-blockdev", text + 1);
            return false;
        }
    }
    return true;
}

void blocks_close_all(void)
{
    BlockBackend *b;

    if (!blocks) {
        return;
    }
    block_flush_all();
    block_pool_stop();
    for (unsigned i = 0; (b = nth(i)); i++) {
        block_raw_close(b); /* devices still hold the structs */
    }
}

/* --- commands --- */

typedef struct BlockImageInfo {
    char *filename, *format;
    uint64_t virtual_size, actual_size;
} BlockImageInfo;

static const Field image_info_fields[] = {F_STRING(BlockImageInfo, filename, "filename"),
                                          F_STRING(BlockImageInfo, format, "format"),
                                          F_U64(BlockImageInfo, virtual_size, "virtual-size"), FIELD_END};

typedef struct BlockCacheInfo {
    bool writeback, direct, no_flush;
} BlockCacheInfo;

static const Field cache_info_fields[] = {F_BOOL(BlockCacheInfo, writeback, "writeback"),
                                          F_BOOL(BlockCacheInfo, direct, "direct"),
                                          F_BOOL(BlockCacheInfo, no_flush, "no-flush"), FIELD_END};

typedef struct BlockDeviceInfo {
    char *file, *node_name, *drv, *detect_zeroes;
    bool ro, encrypted;
    uint64_t depth, zero;
    BlockImageInfo image;
    BlockCacheInfo cache;
} BlockDeviceInfo;

static const Field inserted_fields[] = {
    F_STRING(BlockDeviceInfo, file, "file"),
    F_STRING(BlockDeviceInfo, node_name, "node-name"),
    F_BOOL(BlockDeviceInfo, ro, "ro"),
    F_STRING(BlockDeviceInfo, drv, "drv"),
    F_U64(BlockDeviceInfo, depth, "backing_file_depth"),
    F_BOOL(BlockDeviceInfo, encrypted, "encrypted"),
    F_STRING(BlockDeviceInfo, detect_zeroes, "detect_zeroes"),
    F_U64(BlockDeviceInfo, zero, "bps"),
    F_U64(BlockDeviceInfo, zero, "bps_rd"),
    F_U64(BlockDeviceInfo, zero, "bps_wr"),
    F_U64(BlockDeviceInfo, zero, "iops"),
    F_U64(BlockDeviceInfo, zero, "iops_rd"),
    F_U64(BlockDeviceInfo, zero, "iops_wr"),
    F_U64(BlockDeviceInfo, zero, "write_threshold"),
    F_OBJECT(BlockDeviceInfo, image, "image", image_info_fields, "ImageInfo"),
    F_OBJECT(BlockDeviceInfo, cache, "cache", cache_info_fields, "BlockdevCacheInfo"),
    FIELD_END,
};

typedef struct BlockInfo {
    char *device, *qdev, *type;
    bool removable, locked;
    BlockDeviceInfo inserted;
} BlockInfo;

static const Field block_info_fields[] = {
    F_STRING(BlockInfo, device, "device"),
    F_STRING(BlockInfo, qdev, "qdev", .optional = true),
    F_STRING(BlockInfo, type, "type"),
    F_BOOL(BlockInfo, removable, "removable"),
    F_BOOL(BlockInfo, locked, "locked"),
    F_OBJECT(BlockInfo, inserted, "inserted", inserted_fields, "BlockDeviceInfo"),
    FIELD_END,
};

static BlockInfo *info_of(const BlockBackend *b)
{
    BlockInfo *info = g_new0(BlockInfo, 1);

    info->device = g_strdup(b->is_drive ? b->name : "");
    info->qdev = g_strdup(b->user);
    info->type = g_strdup("unknown");
    info->inserted = (BlockDeviceInfo){
        .file = g_strdup(b->filename),
        .node_name = g_strdup(b->name),
        .drv = g_strdup(b->fd < 0 ? "null-co" : "raw"),
        .detect_zeroes = g_strdup("off"),
        .ro = b->read_only,
        .image = {g_strdup(b->filename), g_strdup("raw"), b->size, 0},
        .cache = {!b->writethrough, b->direct, b->no_flush},
    };
    return info;
}

static bool run_query_block(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    GPtrArray *list = g_ptr_array_new();
    BlockBackend *b;

    for (unsigned i = 0; (b = nth(i)); i++) {
        g_ptr_array_add(list, info_of(b));
    }
    *(GPtrArray **)reply = list;
    return true;
}

static void print_blocks(CommandContext *ctx, const void *args, const void *reply)
{
    const GPtrArray *list = *(GPtrArray *const *)reply;

    for (unsigned i = 0; i < list->len; i++) {
        const BlockInfo *info = list->pdata[i];
        const BlockDeviceInfo *in = &info->inserted;

        g_string_append_printf(ctx->output, "%s: %s (%s%s)\n", in->node_name, in->file, in->drv,
                               in->ro ? ", read-only" : "");
        if (info->qdev) {
            g_string_append_printf(ctx->output, "    Attached to:      %s\n", info->qdev);
        }
        g_string_append_printf(
            ctx->output, "    Cache mode:       %s%s%s\n", in->cache.writeback ? "writeback" : "writethrough",
            in->cache.direct ? ", direct" : "", in->cache.no_flush ? ", ignore flushes" : "");
        g_string_append_printf(ctx->output, "    Size:             %" PRIu64 " bytes\n",
                               in->image.virtual_size);
    }
}

COMMAND(query_block, .qmp = "query-block", .hmp = "info block", .help = "show the block devices",
        .reply = block_info_fields, .reply_size = sizeof(BlockInfo), .reply_name = "BlockInfo",
        .reply_list = true, .run = run_query_block, .print_hmp = print_blocks);
