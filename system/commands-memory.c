/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands about the memory of the machine: blocks, regions, dirty bits, memory devices; and the counters. */
#include "memory-internal.h"

#include "api/command.h"
#include "system/machine.h"
#include "system/memory-backend.h"
#include "system/physmem.h"
#include "util/counters.h"

static bool run_info_ramblock(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    ram_block_print_all(ctx->output);
    return true;
}

COMMAND(info_ramblock, .hmp = "info ramblock", .help = "list the RAM blocks", .run = run_info_ramblock);

typedef struct MtreeArgs {
    bool flat;
} MtreeArgs;

static const Field mtree_args[] = {
    F_BOOL(MtreeArgs, flat, "flatview", .optional = true, .help = "what the tree amounts to"),
    FIELD_END,
};

static bool run_info_mtree(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    memory_print_tree(ctx->output, ((const MtreeArgs *)args)->flat);
    return true;
}

COMMAND(info_mtree, .hmp = "info mtree", .help = "show the memory regions (-f: the flat views)",
        .args = mtree_args, .args_size = sizeof(MtreeArgs), .run = run_info_mtree);

static bool run_info_dirty(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    RCU_READ_LOCK_GUARD();
    RAMBlock *block;

    g_string_append_printf(ctx->output, "dirty log users: 0x%x\n%24s %12s %12s %12s %12s\n",
                           memory_global_dirty_log_users(), "Block Name", "Pages", "VGA", "Code",
                           "Migration");
    RAMBLOCK_FOREACH (block) {
        uint64_t pages = block->used_length >> TARGET_PAGE_BITS;
        uint64_t dirty[DIRTY_MEMORY_NUM], with_code;

        for (unsigned client = 0; client < DIRTY_MEMORY_NUM; client++) {
            dirty[client] = physical_memory_count_dirty(block->offset, block->used_length, client);
        }
        /* a clear CODE bit is what means something: the page has translated code */
        with_code = ram_block_log_mask(block) & (1 << DIRTY_MEMORY_CODE) ? pages - dirty[DIRTY_MEMORY_CODE] : 0;
        g_string_append_printf(ctx->output, "%24s %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n",
                               block->idstr, pages, dirty[DIRTY_MEMORY_VGA],
                               with_code,
                               dirty[DIRTY_MEMORY_MIGRATION]);
    }
    return true;
}

COMMAND(info_dirty, .hmp = "info dirty",
        .help = "count the dirty pages (and those with code) of each RAM block", .run = run_info_dirty);

static void print_counter(const char *name, const char *help, uint64_t value, void *opaque)
{
    g_string_append_printf(opaque, "%-28s %16" PRIu64 "  %s\n", name, value, help);
}

static bool run_info_stats(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    counters_foreach("", print_counter, ctx->output);
    return true;
}

COMMAND(info_stats, .hmp = "info stats", .help = "show the counters of the emulator", .run = run_info_stats);

/* --- memory devices --- */

typedef struct DimmData {
    char *id;
    uint64_t addr, size, slot, node;
    char *memdev;
    bool hotplugged, hotpluggable;
} DimmData;

typedef struct DimmInfo {
    char *type;
    DimmData data;
} DimmInfo;

static const Field dimm_data[] = {
    F_STRING(DimmData, id, "id", .optional = true),
    F_U64(DimmData, addr, "addr"),
    F_U64(DimmData, size, "size"),
    F_U64(DimmData, slot, "slot"),
    F_U64(DimmData, node, "node"),
    F_STRING(DimmData, memdev, "memdev"),
    F_BOOL(DimmData, hotplugged, "hotplugged"),
    F_BOOL(DimmData, hotpluggable, "hotpluggable"),
    FIELD_END,
};

static const Field dimm_info[] = {
    F_STRING(DimmInfo, type, "type"),
    F_OBJECT(DimmInfo, data, "data", dimm_data, "PCDIMMDeviceInfo"),
    FIELD_END,
};

static uint64_t number_property(const Device *dev, const char *name)
{
    g_autofree char *text = field_get_string(dev->type->properties, dev, name);
    uint64_t value = 0;

    if (text) {
        parse_size(text, 0, &value, NULL);
    }
    return value;
}

/* Memory devices are those that hold a back end in "memdev". */
static void add_dimm(Device *dev, void *opaque)
{
    g_autofree char *memdev = dev->type->properties && dev->realized
                                  ? field_get_string(dev->type->properties, dev, "memdev")
                                  : NULL;
    MemoryBackend *backend = memdev ? memory_backend_find(memdev, NULL) : NULL;
    DimmInfo *info;

    if (!backend) {
        return;
    }
    info = g_new0(DimmInfo, 1);
    info->type = g_strdup("dimm");
    info->data = (DimmData){
        .id = g_strdup(dev->id),
        .addr = number_property(dev, "addr"),
        .size = memory_backend_size(backend),
        .slot = number_property(dev, "slot"),
        .node = number_property(dev, "node"),
        .memdev = g_strdup_printf("/objects/%s", memdev),
        .hotplugged = dev->hotplugged,
        .hotpluggable = dev->type->hotpluggable,
    };
    g_ptr_array_add(opaque, info);
}

static bool run_query_memory_devices(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    GPtrArray **list = reply;

    *list = g_ptr_array_new();
    devices_foreach(add_dimm, *list);
    return true;
}

COMMAND(query_memory_devices, .qmp = "query-memory-devices", .hmp = "info memory-devices",
        .help = "list the memory devices", .reply = dimm_info, .reply_size = sizeof(DimmInfo),
        .reply_name = "MemoryDeviceInfo", .reply_list = true, .run = run_query_memory_devices);

typedef struct MemorySizes {
    uint64_t base, plugged;
} MemorySizes;

static const Field memory_sizes[] = {
    F_SIZE(MemorySizes, base, "base-memory"),
    F_SIZE(MemorySizes, plugged, "plugged-memory", .optional = true),
    FIELD_END,
};

static void add_plugged(Device *dev, void *opaque)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new();

    add_dimm(dev, list);
    for (unsigned i = 0; i < list->len; i++) {
        DimmInfo *info = g_ptr_array_index(list, i);

        *(uint64_t *)opaque += info->data.size;
        fields_clear(dimm_info, info);
        g_free(info);
    }
}

static bool run_query_memory_sizes(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    MemorySizes *sizes = reply;

    sizes->base = machine_current() ? machine_current()->config.ram_size : 0;
    devices_foreach(add_plugged, &sizes->plugged);
    return true;
}

COMMAND(query_memory_sizes, .qmp = "query-memory-size-summary", .hmp = "info memory_size_summary",
        .help = "show how much memory the machine has", .reply = memory_sizes,
        .reply_size = sizeof(MemorySizes), .reply_name = "MemoryInfo", .run = run_query_memory_sizes);
