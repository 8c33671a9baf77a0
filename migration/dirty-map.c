/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The dirty map and its commands: as text, as numbers, as a picture.
 *
 * Each block has at most REGIONS regions of equal size and a ring of columns, one count of dirty pages per region in
 * each.  Counting reads the bitmap once more, so a take that follows finds it in the cache.
 */
#include "dirty-map.h"

#include <math.h>
#include <string.h>

#include "api/command.h"
#include "migration-internal.h"
#include "system/physmem.h"
#include "util/error.h"
#include "util/lock.h"
#include "util/png.h"

#define REGIONS  256
#define COLUMNS  256
#define MERGE_NS (INT64_C(20) * 1000 * 1000) /* takes that follow each other sooner share a column */

typedef struct BlockMap {
    char idstr[256];
    uint64_t length;       /* bytes; a block that changes its size begins anew */
    uint64_t region_pages; /* the last region may have fewer */
    unsigned regions;
    uint32_t counts[]; /* [COLUMNS][regions] */
} BlockMap;

static struct DirtyMap {
    Lock lock;
    /* under it */
    GPtrArray *blocks;            /* of BlockMap * */
    int64_t took_ns[COLUMNS];     /* how long each column looked; 0: not used yet */
    unsigned column;              /* the newest */
    int64_t began_ns;             /* when the next one began */
} map = {.lock = LOCK_INITIALIZER(RANK_LEAF, "dirty-map")};

static int64_t now_ns(void)
{
    return g_get_monotonic_time() * 1000;
}

/* --- recording: lock held --- */

static uint32_t *column_of(BlockMap *b, unsigned column)
{
    return b->counts + (size_t)column * b->regions;
}

static BlockMap *new_block_map(const RAMBlock *block)
{
    uint64_t pages = ram_block_pages(block), region_pages = MAX(1, DIV_ROUND_UP(pages, REGIONS));
    unsigned regions = (unsigned)DIV_ROUND_UP(pages, region_pages);
    BlockMap *b = g_try_malloc0(sizeof(*b) + sizeof(b->counts[0]) * COLUMNS * regions);

    if (b) {
        g_strlcpy(b->idstr, block->idstr, sizeof(b->idstr));
        b->length = block->used_length;
        b->region_pages = region_pages;
        b->regions = regions;
    }
    return b;
}

/* NULL when there is no memory: the block is then not in the map. */
static BlockMap *map_of(const RAMBlock *block)
{
    BlockMap *b;

    map.blocks = map.blocks ? map.blocks : g_ptr_array_new_with_free_func(g_free);
    for (unsigned i = 0; i < map.blocks->len; i++) {
        b = g_ptr_array_index(map.blocks, i);
        if (!strcmp(b->idstr, block->idstr)) {
            if (b->length == block->used_length) {
                return b;
            }
            g_ptr_array_remove_index(map.blocks, i);
            break;
        }
    }
    b = new_block_map(block);
    if (b) {
        g_ptr_array_add(map.blocks, b);
    }
    return b;
}

static void next_column(void)
{
    map.column = (map.column + 1) % COLUMNS;
    map.took_ns[map.column] = 0;
    for (unsigned i = 0; map.blocks && i < map.blocks->len; i++) {
        BlockMap *b = g_ptr_array_index(map.blocks, i);

        memset(column_of(b, map.column), 0, sizeof(b->counts[0]) * b->regions);
    }
}

static void count_block(const RAMBlock *block)
{
    BlockMap *b = map_of(block);
    uint64_t region_bytes = b ? b->region_pages * TARGET_PAGE_SIZE : 0;

    for (unsigned i = 0; b && i < b->regions; i++) {
        uint64_t start = i * region_bytes;

        column_of(b, map.column)[i] += (uint32_t)physical_memory_count_dirty(
            block->offset + start, MIN(region_bytes, b->length - start), DIRTY_MEMORY_MIGRATION);
    }
}

void dirty_map_begin(void)
{
    LOCK_GUARD(&map.lock);

    map.began_ns = now_ns();
}

void dirty_map_sample(void)
{
    RCU_READ_LOCK_GUARD();
    LOCK_GUARD(&map.lock);
    int64_t now = now_ns(), took = MAX(now - map.began_ns, 1);
    RAMBlock *block;

    if (took >= MERGE_NS || !map.took_ns[map.column]) {
        next_column();
    }
    map.took_ns[map.column] += took;
    map.began_ns = now;
    RAMBLOCK_FOREACH_MIGRATABLE (block) {
        count_block(block);
    }
}

/* --- reading: lock held --- */

/* How many columns hold something, and how long they looked in all. */
static unsigned columns_used(double *seconds)
{
    unsigned n = 0;
    int64_t ns = 0;

    for (unsigned i = 0; i < COLUMNS; i++) {
        n += map.took_ns[i] != 0;
        ns += map.took_ns[i];
    }
    *seconds = (double)ns / 1e9;
    return n;
}

static uint64_t region_sum(BlockMap *b, unsigned region)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < COLUMNS; i++) {
        sum += column_of(b, i)[region];
    }
    return sum;
}

static uint64_t block_sum(BlockMap *b)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < b->regions; i++) {
        sum += region_sum(b, i);
    }
    return sum;
}

static uint64_t pages_of_region(const BlockMap *b, unsigned region)
{
    return MIN(b->region_pages, DIV_ROUND_UP(b->length, TARGET_PAGE_SIZE) - region * b->region_pages);
}

static bool any_column(GError **error)
{
    double seconds;

    return columns_used(&seconds) ||
           fail(error, "nothing was recorded yet: migrate, limit vCPUs, or run calc_dirty_rate -b");
}

/* --- text --- */

#define TEXT_WIDTH 64

/* The mean share of a region's pages that changed in one column. */
static const struct {
    double from;
    char shown;
} shades[] = {{0.5, '@'}, {0.2, '#'}, {0.1, '*'}, {0.05, '+'}, {0.01, '='}, {0.001, '-'}, {0, '.'}};

static char shade_of(double share)
{
    for (unsigned i = 0; share > 0 && i < G_N_ELEMENTS(shades); i++) {
        if (share >= shades[i].from) {
            return shades[i].shown;
        }
    }
    return ' ';
}

/* One character for regions [first, end). */
static char shade_of_regions(BlockMap *b, unsigned first, unsigned end, unsigned columns)
{
    uint64_t dirtied = 0, pages = 0;

    for (unsigned i = first; i < end; i++) {
        dirtied += region_sum(b, i);
        pages += pages_of_region(b, i);
    }
    return shade_of((double)dirtied / ((double)pages * columns));
}

static void print_block(GString *out, BlockMap *b, unsigned columns, double seconds)
{
    unsigned step = DIV_ROUND_UP(b->regions, TEXT_WIDTH);
    double bytes = (double)block_sum(b) * (double)TARGET_PAGE_SIZE;

    g_string_append_printf(out, "%s: %.1f MiB, %.2f MiB/s dirtied, a character is %.3g MiB\n[", b->idstr,
                           (double)b->length / 1048576, bytes / 1048576 / seconds,
                           (double)(step * b->region_pages * TARGET_PAGE_SIZE) / 1048576);
    for (unsigned i = 0; i < b->regions; i += step) {
        g_string_append_c(out, shade_of_regions(b, i, MIN(i + step, b->regions), columns));
    }
    g_string_append(out, "]\n");
}

static void print_legend(GString *out)
{
    g_string_append(out, "pages changed per take:");
    for (unsigned i = G_N_ELEMENTS(shades); i-- > 0;) {
        g_string_append_printf(out, "  %c %s%g%%", shades[i].shown, shades[i].from > 0 ? ">=" : ">",
                               shades[i].from * 100);
    }
    g_string_append_c(out, '\n');
}

static bool print_map(GString *out, GError **error)
{
    LOCK_GUARD(&map.lock);
    double seconds;
    unsigned columns = columns_used(&seconds);

    if (!any_column(error)) {
        return false;
    }
    g_string_append_printf(out, "%u takes of the log in %.2f s\n", columns, seconds);
    for (unsigned i = 0; i < map.blocks->len; i++) {
        BlockMap *b = g_ptr_array_index(map.blocks, i);

        if (block_sum(b)) {
            print_block(out, b, columns, seconds);
        }
    }
    print_legend(out);
    return true;
}

/* --- picture: time goes right, addresses go down, one row per region --- */

#define WIDTH_MAX  (4 * COLUMNS) /* pixels */
#define WIDE       16            /* a column, as long as there are few */
#define GAP_ROWS   3
#define GAP_COLOUR 255

typedef struct Picture {
    uint8_t *pixels;
    unsigned width, height;
    unsigned columns, column_width;
} Picture;

static void make_palette(uint8_t palette[256][3])
{
    static const uint8_t stops[][3] = {{0, 0, 0}, {60, 10, 110}, {190, 40, 80}, {245, 130, 30}, {255, 250, 160}};

    for (unsigned i = 0; i < 255; i++) {
        unsigned at = i * 4 / 255, part = i * 4 % 255;

        for (unsigned c = 0; c < 3; c++) {
            palette[i][c] = (uint8_t)((stops[at][c] * (255 - part) + stops[at + 1][c] * part) / 255);
        }
    }
    memset(palette[GAP_COLOUR], 128, 3);
}

/* Logarithmic in the share of pages that changed in a second: 0 none, 254 all. */
static uint8_t heat(const BlockMap *b, unsigned region, uint32_t dirtied, int64_t took_ns)
{
    double share = (double)dirtied / ((double)pages_of_region(b, region) * (double)MAX(took_ns, 1) / 1e9);

    return dirtied ? (uint8_t)(1 + 253 * log2(1 + 4095 * MIN(share, 1)) / 12) : 0;
}

/* Fills the block's rows, the oldest column first; returns the row after them. */
static unsigned draw_block(const Picture *p, BlockMap *b, unsigned row)
{
    for (unsigned r = 0; r < b->regions; r++, row++) {
        for (unsigned i = 0; i < p->columns; i++) {
            unsigned column = (map.column + COLUMNS + 1 - p->columns + i) % COLUMNS;

            memset(p->pixels + (size_t)row * p->width + i * p->column_width,
                   heat(b, r, column_of(b, column)[r], map.took_ns[column]), p->column_width);
        }
    }
    return row;
}

/* The first block is always in the picture, the others when they have something to show. */
static bool is_drawn(unsigned i)
{
    return i == 0 || block_sum(g_ptr_array_index(map.blocks, i));
}

static bool draw_map(Picture *p, GError **error)
{
    LOCK_GUARD(&map.lock);
    double seconds;
    unsigned row = 0;

    if (!any_column(error)) {
        return false;
    }
    p->columns = columns_used(&seconds);
    p->column_width = CLAMP(WIDTH_MAX / p->columns, 1, WIDE);
    p->width = p->columns * p->column_width;
    p->height = 0;
    for (unsigned i = 0; i < map.blocks->len; i++) {
        BlockMap *b = g_ptr_array_index(map.blocks, i);

        p->height += is_drawn(i) ? b->regions + (i ? GAP_ROWS : 0) : 0;
    }
    p->pixels = g_malloc((size_t)p->width * p->height);
    memset(p->pixels, GAP_COLOUR, (size_t)p->width * p->height);
    for (unsigned i = 0; i < map.blocks->len; i++) {
        if (is_drawn(i)) {
            row = draw_block(p, g_ptr_array_index(map.blocks, i), row + (i ? GAP_ROWS : 0));
        }
    }
    return true;
}

static bool save_picture(const char *path, GError **error)
{
    uint8_t palette[256][3];
    Picture picture;
    bool ok;

    if (!draw_map(&picture, error)) {
        return false;
    }
    make_palette(palette);
    ok = png_write(path, picture.width, picture.height, picture.pixels, palette, error);
    g_free(picture.pixels);
    return ok;
}

/* --- commands --- */

typedef struct MapArgs {
    bool output;
    char *filename;
} MapArgs;

static const Field map_hmp_args[] = {
    F_BOOL(MapArgs, output, "output", .optional = true, .help = "write a picture (PNG)"),
    F_STRING(MapArgs, filename, "filename", .optional = true, .positional = true),
    FIELD_END,
};

static bool run_info_map(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const MapArgs *a = args;

    if (a->output != (a->filename != NULL)) {
        return fail(error, "'-o' goes with the name of a file");
    }
    return a->output ? save_picture(a->filename, error) : print_map(ctx->output, error);
}

static const Field map_save_args[] = {
    F_STRING(MapArgs, filename, "filename"),
    FIELD_END,
};

static bool run_save_map(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    return save_picture(((const MapArgs *)args)->filename, error);
}

static JsonNode *block_node(BlockMap *b)
{
    JsonObject *object = json_object_new();
    JsonArray *pages = json_array_new();
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);

    for (unsigned i = 0; i < b->regions; i++) {
        json_array_add_int_element(pages, (int64_t)region_sum(b, i));
    }
    json_object_set_string_member(object, "block", b->idstr);
    json_object_set_int_member(object, "length", (int64_t)b->length);
    json_object_set_int_member(object, "region-size", (int64_t)(b->region_pages * TARGET_PAGE_SIZE));
    json_object_set_array_member(object, "dirtied-pages", pages);
    json_node_take_object(node, object);
    return node;
}

static bool run_query_map(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    LOCK_GUARD(&map.lock);
    JsonObject *object = json_object_new();
    JsonArray *blocks = json_array_new();
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);
    double seconds;

    json_object_set_int_member(object, "takes", columns_used(&seconds));
    json_object_set_double_member(object, "seconds", seconds);
    for (unsigned i = 0; map.blocks && i < map.blocks->len; i++) {
        json_array_add_element(blocks, block_node(g_ptr_array_index(map.blocks, i)));
    }
    json_object_set_array_member(object, "blocks", blocks);
    json_node_take_object(node, object);
    *(JsonNode **)reply = node;
    return true;
}

COMMAND(info_dirty_map, .hmp = "info dirty_map",
        .help = "show which regions of memory changed lately (-o FILE: over time, as a picture)", .args = map_hmp_args,
        .args_size = sizeof(MapArgs), .run = run_info_map);
COMMAND(save_dirty_map, .qmp = "x-save-dirty-map", .help = "write which regions of memory changed over time (PNG)",
        .args = map_save_args, .args_size = sizeof(MapArgs), .run = run_save_map);
COMMAND(query_dirty_map, .qmp = "x-query-dirty-map", .help = "which regions of memory changed lately",
        .reply_any = true, .run = run_query_map);
