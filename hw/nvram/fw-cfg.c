/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The firmware configuration device ("qemu,fw-cfg-mmio").
 *
 * The guest selects an item and reads its bytes one after the other from the data register, or lets the
 * device copy them by DMA.  Items belong to the host: writes change nothing but the position.  Registers are
 * big-endian, as is everything the interface itself defines; the numbers in items are little-endian.  Big
 * lock.
 */
#include "hw/nvram/fw-cfg.h"

#include <string.h>

#include "system/dma.h"
#include "system/memory.h"
#include "system/state.h"
#include "util/bswap.h"
#include "util/error.h"
#include "util/file.h"
#include "util/trace.h"

TRACE_EVENT(fw_cfg_select, "key 0x%04x");
TRACE_EVENT(fw_cfg_dma, "control 0x%08x length %u address 0x%" PRIx64);

#define FW_CFG_FILE_SLOTS 32
#define FW_CFG_ITEMS      (FW_CFG_FILE_FIRST + FW_CFG_FILE_SLOTS)
#define FW_CFG_ARCH_LOCAL 0x8000
#define FW_CFG_WRITE_BIT  0x4000 /* of the selector; has no meaning any more */
#define FW_CFG_INVALID    0xffff
#define FW_CFG_NAME_SIZE  56
#define FW_CFG_DIR_ENTRY  64
#define FW_CFG_MAX_FILE   (1u << 31)

#define ID_TRADITIONAL 1
#define ID_DMA         2

/* The control word of a DMA request; the selector is in its upper half. */
enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };
#define DMA_REQUEST_SIZE 16
#define DMA_SIGNATURE    UINT64_C(0x51454d5520434647) /* "QEMU CFG" */

typedef struct FwCfgItem {
    uint8_t *data;
    uint32_t size;
} FwCfgItem;

typedef struct FwCfgState {
    Device device;
    MemoryRegion control, data, dma;
    /* constant once the machine runs */
    FwCfgItem items[FW_CFG_ITEMS];
    unsigned files;
    /* under the big lock */
    uint16_t cur_entry;
    uint32_t cur_offset;
    uint64_t dma_addr; /* its high half, until the low half arrives */
    bool dma_busy;     /* a request may lie in our own registers, where the answer goes */
} FwCfgState;

/* --- items --- */

static void set_item(FwCfgState *s, unsigned key, void *data, uint32_t size)
{
    g_free(s->items[key].data);
    s->items[key] = (FwCfgItem){data, size};
}

void fw_cfg_add_bytes(Device *dev, uint16_t key, const void *data, uint32_t size)
{
    g_return_if_fail(key < FW_CFG_FILE_FIRST);
    set_item((FwCfgState *)dev, key, g_memdup2(data, size), size);
}

void fw_cfg_add_u16(Device *dev, uint16_t key, uint16_t value)
{
    uint8_t wire[2];

    stw_le_p(wire, value);
    fw_cfg_add_bytes(dev, key, wire, sizeof(wire));
}

void fw_cfg_add_u32(Device *dev, uint16_t key, uint32_t value)
{
    uint8_t wire[4];

    stl_le_p(wire, value);
    fw_cfg_add_bytes(dev, key, wire, sizeof(wire));
}

/* The directory: a count, then size, key and name of each file. */
static void update_directory(FwCfgState *s, const char *name, uint32_t size)
{
    uint32_t old_size = s->items[FW_CFG_FILE_DIR].size;
    uint8_t *dir = g_malloc0(old_size + FW_CFG_DIR_ENTRY);
    uint8_t *entry = dir + old_size;

    memcpy(dir, s->items[FW_CFG_FILE_DIR].data, old_size);
    stl_be_p(dir, s->files + 1);
    stl_be_p(entry, size);
    stw_be_p(entry + 4, FW_CFG_FILE_FIRST + s->files);
    memcpy(entry + 8, name, MIN(strlen(name), FW_CFG_NAME_SIZE - 1));
    set_item(s, FW_CFG_FILE_DIR, dir, old_size + FW_CFG_DIR_ENTRY);
}

bool fw_cfg_add_file(Device *dev, const char *name, const void *data, uint32_t size, GError **error)
{
    FwCfgState *s = (FwCfgState *)dev;

    if (s->files == FW_CFG_FILE_SLOTS) {
        return fail(error, "no slot is left for file '%s'", name);
    }
    update_directory(s, name, size);
    set_item(s, FW_CFG_FILE_FIRST + s->files, g_memdup2(data, size), size);
    s->files++;
    return true;
}

static bool add_from_file(Device *dev, const char *path, uint16_t size_key, uint16_t data_key, GError **error)
{
    size_t size;
    g_autofree void *data = read_whole(path, &size, FW_CFG_MAX_FILE, error);

    if (!data) {
        error_context(error, "'%s'", path);
        return false;
    }
    fw_cfg_add_u32(dev, size_key, size);
    fw_cfg_add_bytes(dev, data_key, data, size);
    return true;
}

bool fw_cfg_add_kernel(Device *dev, const char *kernel, const char *initrd, const char *append,
                       GError **error)
{
    if ((kernel && !add_from_file(dev, kernel, FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL_DATA, error)) ||
        (initrd && !add_from_file(dev, initrd, FW_CFG_INITRD_SIZE, FW_CFG_INITRD_DATA, error))) {
        return false;
    }
    if (append) {
        fw_cfg_add_u32(dev, FW_CFG_CMDLINE_SIZE, strlen(append) + 1);
        fw_cfg_add_bytes(dev, FW_CFG_CMDLINE_DATA, append, strlen(append) + 1);
    }
    return true;
}

/* --- selecting and reading --- */

static void select_item(FwCfgState *s, uint16_t key)
{
    trace(fw_cfg_select, key);
    s->cur_offset = 0;
    s->cur_entry = (key & ~(FW_CFG_WRITE_BIT | FW_CFG_ARCH_LOCAL)) < FW_CFG_ITEMS ? key : FW_CFG_INVALID;
}

/* The bytes left of the selected item, in *left; architecture's own items are none. */
static const uint8_t *rest_of_item(const FwCfgState *s, uint32_t *left)
{
    unsigned key = s->cur_entry & ~FW_CFG_WRITE_BIT;
    const FwCfgItem *item;

    *left = 0;
    if (key >= FW_CFG_ITEMS) {
        return NULL;
    }
    item = &s->items[key];
    if (s->cur_offset >= item->size) {
        return NULL;
    }
    *left = item->size - s->cur_offset;
    return item->data + s->cur_offset;
}

/* Past the end there are zeroes. */
static void read_item(FwCfgState *s, void *buf, uint32_t size)
{
    uint32_t left, n;
    const uint8_t *data = rest_of_item(s, &left);

    n = MIN(left, size);
    if (n) {
        memcpy(buf, data, n);
    }
    memset((uint8_t *)buf + n, 0, size - n);
    s->cur_offset += n;
}

static MemTxResult data_read(void *opaque, hwaddr addr, uint64_t *data, unsigned size)
{
    uint8_t bytes[8];

    /* the bytes lie in memory order, whatever the access size */
    read_item(opaque, bytes, size);
    *data = ldn_le_p(bytes, size);
    return MEMTX_OK;
}

static MemTxResult ignore_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    return MEMTX_OK;
}

static MemTxResult read_nothing(void *opaque, hwaddr addr, uint64_t *data, unsigned size)
{
    *data = 0;
    return MEMTX_OK;
}

static MemTxResult control_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    select_item(opaque, bswap16(data));
    return MEMTX_OK;
}

/* --- DMA --- */

/*
 * Only to RAM: a request may be 4 GiB long, and piece by piece into the window of a device it would keep the big
 * lock for many seconds.
 */
static bool dma_copy_out(FwCfgState *s, hwaddr address, uint32_t length)
{
    while (length) {
        uint64_t piece = length;
        DmaMapping map;

        if (!dma_map(&address_space_memory, address, &piece, true, &map)) {
            return false;
        }
        read_item(s, map.host, piece);
        dma_unmap(&map, piece);
        address += piece;
        length -= piece;
    }
    return true;
}

static void dma_skip(FwCfgState *s, uint32_t length)
{
    uint32_t left;

    rest_of_item(s, &left);
    s->cur_offset += MIN(left, length);
}

/* Carries out one request; the control word's new value tells the guest how it went. */
static uint32_t dma_run(FwCfgState *s, uint32_t control, uint32_t length, hwaddr address)
{
    trace(fw_cfg_dma, control, length, address);
    if (control & DMA_SELECT) {
        select_item(s, control >> 16);
    }
    if (control & DMA_READ) {
        return dma_copy_out(s, address, length) ? 0 : DMA_ERROR;
    }
    if (control & DMA_WRITE) {
        return DMA_ERROR; /* no item may be written */
    }
    if (control & DMA_SKIP) {
        dma_skip(s, length);
    }
    return 0;
}

static void dma_request(FwCfgState *s, hwaddr where)
{
    uint8_t request[DMA_REQUEST_SIZE], answer[4];
    uint32_t status;

    if (dma_read(&address_space_memory, where, request, sizeof(request)) != MEMTX_OK) {
        stl_be_p(answer, DMA_ERROR);
    } else {
        status = dma_run(s, ldl_be_p(request), ldl_be_p(request + 4), ldq_be_p(request + 8));
        stl_be_p(answer, status);
    }
    dma_write(&address_space_memory, where, answer, sizeof(answer));
}

/* The register reads as a signature, by which drivers know that there is DMA. */
static MemTxResult dma_reg_read(void *opaque, hwaddr addr, uint64_t *data, unsigned size)
{
    uint8_t bytes[8];

    stq_be_p(bytes, DMA_SIGNATURE);
    *data = addr + size <= sizeof(bytes) ? ldn_le_p(bytes + addr, size) : 0;
    return MEMTX_OK;
}

/* An address may come in two halves, the high one first; the low one starts the request. */
static MemTxResult dma_reg_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    FwCfgState *s = opaque;
    hwaddr where;

    if (size == 4 && addr == 0) {
        s->dma_addr = (uint64_t)bswap32(data) << 32;
        return MEMTX_OK;
    }
    if (size == 4 && addr == 4) {
        where = s->dma_addr | bswap32(data);
    } else if (size == 8 && addr == 0) {
        where = bswap64(data);
    } else {
        return MEMTX_OK;
    }
    s->dma_addr = 0;
    if (!s->dma_busy) {
        s->dma_busy = true;
        dma_request(s, where);
        s->dma_busy = false;
    }
    return MEMTX_OK;
}

static const MemoryRegionOps control_ops = {
    .read = read_nothing,
    .write = control_write,
    .valid = {.min_access_size = 2, .max_access_size = 2},
};

static const MemoryRegionOps data_ops = {
    .read = data_read,
    .write = ignore_write,
    .valid = {.min_access_size = 1, .max_access_size = 8},
};

static const MemoryRegionOps dma_ops = {
    .read = dma_reg_read,
    .write = dma_reg_write,
    .valid = {.min_access_size = 1, .max_access_size = 8},
};

/* --- state and life --- */

static void fw_cfg_state(StateIO *io, void *opaque)
{
    FwCfgState *s = opaque;

    STATE_U16(io, s->cur_entry);
    STATE_U32(io, s->cur_offset);
    if (state_subsection(io, "fw_cfg/dma", 0, true)) {
        STATE_U64(io, s->dma_addr);
        state_subsection_end(io);
    }
    /* sizes of ACPI tables, of which this machine has none */
    if (state_subsection(io, "fw_cfg/acpi_mr", 1, false)) {
        state_unused(io, 3 * sizeof(uint64_t));
        state_subsection_end(io);
    }
}

static const StateSection fw_cfg_state_section = {
    .name = "fw_cfg",
    .version = 2,
    .min_version = 2,
    .fields = fw_cfg_state,
};

static void fw_cfg_reset(Device *dev)
{
    FwCfgState *s = (FwCfgState *)dev;

    select_item(s, FW_CFG_SIGNATURE);
    s->dma_addr = 0;
}

static bool fw_cfg_realize(Device *dev, GError **error)
{
    FwCfgState *s = (FwCfgState *)dev;

    memory_region_init_io(&s->control, dev, &control_ops, s, "fwcfg.ctl", 2);
    memory_region_init_io(&s->data, dev, &data_ops, s, "fwcfg.data", 8);
    memory_region_init_io(&s->dma, dev, &dma_ops, s, "fwcfg.dma", 8);
    device_init_mmio(dev, &s->control);
    device_init_mmio(dev, &s->data);
    device_init_mmio(dev, &s->dma);
    fw_cfg_add_bytes(dev, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_add_u32(dev, FW_CFG_ID, ID_TRADITIONAL | ID_DMA);
    fw_cfg_add_bytes(dev, FW_CFG_UUID, (const uint8_t[16]){0}, 16);
    fw_cfg_add_u16(dev, FW_CFG_BOOT_MENU, 0);
    fw_cfg_add_bytes(dev, FW_CFG_FILE_DIR, (const uint8_t[4]){0}, 4);
    return fw_cfg_add_file(dev, "bootorder", "", 0, error);
}

DEVICE_TYPE(fw_cfg_type, .name = "fw_cfg_mem", .help = "firmware configuration", .category = "misc",
            .instance_size = sizeof(FwCfgState), .realize = fw_cfg_realize, .reset = fw_cfg_reset,
            .state = &fw_cfg_state_section);
