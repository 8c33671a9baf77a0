/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NOR flash with Intel's command set (CFI 01): two 16-bit chips side by side on a 32-bit bus.
 *
 * While it shows its array, reads are plain memory reads.  The first write of a command takes it out of that
 * mode:
 *
 *   array --command--> wcycle 1 --count--> 2 (buffered write: data) --last word--> 3 --confirm--> status
 *     ^                   | erase, program, lock: second cycle                       |
 *     +------ 0xff -------+-----------------------------<---------------------------+
 *
 * The array is RAM of the machine and travels with it; a drive behind it, if any, is written through.
 * Programming only clears bits, as in the real thing.  Big lock.
 */
#include <string.h>

#include "backend/block.h"
#include "system/device.h"
#include "system/memory.h"
#include "system/ram-gate.h"
#include "system/runstate.h"
#include "system/state.h"
#include "util/bits.h"
#include "util/bswap.h"
#include "util/error.h"
#include "util/trace.h"

TRACE_EVENT(pflash_write, "%s offset 0x%" PRIx64 " value 0x%" PRIx64 " command 0x%02x cycle %u");
TRACE_EVENT(pflash_bad_command, "%s offset 0x%" PRIx64 " command 0x%02x");

#define PFLASH_SIZE         (32u << 20)
#define PFLASH_SECTOR       (256u << 10) /* of both chips */
#define PFLASH_BANK_WIDTH   4
#define PFLASH_CHIP_WIDTH   2
#define PFLASH_CHIPS        (PFLASH_BANK_WIDTH / PFLASH_CHIP_WIDTH)
#define PFLASH_BUFFER_SHIFT 11 /* bytes of one chip's write buffer */
#define PFLASH_BUFFER       ((1u << PFLASH_BUFFER_SHIFT) * PFLASH_CHIPS)
#define NO_BUFFERED_WRITE   UINT32_MAX

enum {
    CMD_ARRAY = 0x00,
    CMD_PROGRAM_ALT = 0x10,
    CMD_ERASE = 0x20,
    CMD_PROGRAM = 0x40,
    CMD_CLEAR_STATUS = 0x50,
    CMD_LOCK = 0x60,
    CMD_STATUS = 0x70,
    CMD_ID = 0x90,
    CMD_QUERY = 0x98,
    CMD_CONFIRM = 0xd0,
    CMD_BUFFER = 0xe8,
    CMD_ARRAY_AMD = 0xf0, /* probes of other command sets */
    CMD_READ_ARRAY = 0xff,
};
enum { STATUS_READY = 0x80, STATUS_ERASE_ERROR = 0x20, STATUS_PROGRAM_ERROR = 0x10 };
enum { CFI_TABLE_SIZE = 0x52 };

typedef struct PflashState {
    Device device;
    MemoryRegion mem;
    char *name, *drive_name; /* properties */
    /* constant after realize */
    BlockBackend *drive;
    bool readonly;
    uint8_t *storage;
    uint8_t cfi[CFI_TABLE_SIZE];
    /* under the big lock */
    uint8_t wcycle, cmd, status;
    uint64_t counter;    /* words that a buffered write expects after the next one */
    uint32_t blk_offset; /* where it goes, once that is known */
    uint8_t blk_bytes[PFLASH_BUFFER];
    bool drive_is_stale; /* the array was loaded: write it back when the machine runs */
} PflashState;

/* --- the array --- */

/* What is told of a machine that is being torn down does not matter. */
static void about_to_read(PflashState *s, uint64_t offset, uint64_t size)
{
    (void)ram_gate_pass_read(s->mem.ram_block, offset, size);
}

static void about_to_write(PflashState *s, uint64_t offset, uint64_t size)
{
    (void)ram_gate_pass_write(s->mem.ram_block, offset, size);
}

static void write_back(PflashState *s, uint32_t offset, uint32_t size)
{
    GError *error = NULL;
    uint32_t start = offset & ~(BLOCK_SECTOR_SIZE - 1u);
    uint32_t end = (offset + size + BLOCK_SECTOR_SIZE - 1) & ~(BLOCK_SECTOR_SIZE - 1u);

    about_to_read(s, start, end - start);
    if (s->drive && !s->readonly && !block_write(s->drive, start, s->storage + start, end - start, &error)) {
        error_context(&error, "flash '%s'", s->name);
        error_report_free(error);
        s->status |= STATUS_PROGRAM_ERROR;
    }
}

static void array_changed(PflashState *s, uint32_t offset, uint32_t size)
{
    physical_memory_invalidate_and_set_dirty(&s->mem, offset, size);
    write_back(s, offset, size);
}

static void program(PflashState *s, uint32_t offset, const uint8_t *data, uint32_t size)
{
    if (s->readonly) {
        s->status |= STATUS_PROGRAM_ERROR;
        return;
    }
    about_to_write(s, offset, size);
    for (uint32_t i = 0; i < size; i++) {
        s->storage[offset + i] &= data[i];
    }
    array_changed(s, offset, size);
}

static void erase_sector(PflashState *s, hwaddr offset)
{
    uint32_t start = offset & ~(PFLASH_SECTOR - 1);

    if (s->readonly) {
        s->status |= STATUS_ERASE_ERROR;
        return;
    }
    about_to_write(s, start, PFLASH_SECTOR);
    memset(s->storage + start, 0xff, PFLASH_SECTOR);
    array_changed(s, start, PFLASH_SECTOR);
}

/* --- reading --- */

/* What one chip says, from both of them. */
static uint64_t from_both(uint16_t value, unsigned size)
{
    uint64_t both = value | (uint64_t)value << 16;

    return size == 1 ? both & 0xff : size == 2 ? both & 0xffff : size == 4 ? both : both | both << 32;
}

static uint64_t read_id(unsigned word)
{
    switch (word & 0xff) {
    case 0:
        return 0x89; /* Intel */
    case 1:
        return 0x18;
    default:
        return 0; /* no block is locked */
    }
}

static MemTxResult pflash_read(void *opaque, hwaddr addr, uint64_t *data, unsigned size)
{
    PflashState *s = opaque;
    unsigned word = addr / PFLASH_BANK_WIDTH;

    switch (s->cmd) {
    case CMD_ARRAY:
        about_to_read(s, addr, size);
        *data = ldn_le_p(s->storage + addr, size);
        break;
    case CMD_ID:
        *data = from_both(read_id(word), size);
        break;
    case CMD_QUERY:
        *data = from_both(word < CFI_TABLE_SIZE ? s->cfi[word] : 0, size);
        break;
    default:
        *data = from_both(s->status, size);
    }
    return MEMTX_OK;
}

/* --- commands --- */

static void show_array(PflashState *s)
{
    s->wcycle = 0;
    s->cmd = CMD_ARRAY;
    s->blk_offset = NO_BUFFERED_WRITE;
    memory_region_rom_device_set_romd(&s->mem, true);
}

static void show_status(PflashState *s)
{
    s->wcycle = 0;
    s->cmd = CMD_STATUS;
}

static void first_cycle(PflashState *s, hwaddr addr, uint8_t cmd)
{
    memory_region_rom_device_set_romd(&s->mem, false);
    s->cmd = cmd;
    switch (cmd) {
    case CMD_PROGRAM:
    case CMD_PROGRAM_ALT:
    case CMD_LOCK:
        s->wcycle = 1;
        break;
    case CMD_ERASE:
    case CMD_BUFFER:
        s->status |= STATUS_READY;
        s->wcycle = 1;
        break;
    case CMD_CLEAR_STATUS:
        s->status = STATUS_READY;
        show_array(s);
        break;
    case CMD_STATUS:
    case CMD_ID:
    case CMD_QUERY:
        break;
    default:
        if (cmd != CMD_ARRAY && cmd != CMD_READ_ARRAY && cmd != CMD_ARRAY_AMD) {
            trace(pflash_bad_command, s->name, addr, cmd);
        }
        show_array(s);
    }
}

static void begin_buffered_write(PflashState *s, uint64_t count)
{
    s->counter = count & 0xffff;
    if (s->counter >= PFLASH_BUFFER / PFLASH_BANK_WIDTH) {
        s->status |= STATUS_PROGRAM_ERROR | STATUS_ERASE_ERROR;
        show_status(s);
        return;
    }
    s->blk_offset = NO_BUFFERED_WRITE;
    s->wcycle = 2;
}

static void second_cycle(PflashState *s, hwaddr addr, uint64_t data, unsigned size)
{
    uint8_t bytes[8];

    switch (s->cmd) {
    case CMD_PROGRAM:
    case CMD_PROGRAM_ALT:
        stn_le_p(bytes, size, data);
        program(s, addr, bytes, size);
        s->status |= STATUS_READY;
        show_status(s);
        break;
    case CMD_ERASE:
        if ((data & 0xff) == CMD_CONFIRM) {
            erase_sector(s, addr);
            s->status |= STATUS_READY;
        } else {
            s->status |= STATUS_READY | STATUS_ERASE_ERROR | STATUS_PROGRAM_ERROR;
        }
        show_status(s);
        break;
    case CMD_BUFFER:
        begin_buffered_write(s, data);
        break;
    default: /* locks are not kept: every block may be written */
        s->status |= STATUS_READY;
        show_status(s);
    }
}

/* The first word says where the buffer goes; what no word covers stays as it is. */
static void buffered_data(PflashState *s, hwaddr addr, uint64_t data, unsigned size)
{
    if (s->blk_offset == NO_BUFFERED_WRITE) {
        s->blk_offset = addr & ~(PFLASH_BUFFER - 1);
        about_to_read(s, s->blk_offset, PFLASH_BUFFER);
        memcpy(s->blk_bytes, s->storage + s->blk_offset, PFLASH_BUFFER);
    }
    if ((addr & ~(hwaddr)(PFLASH_BUFFER - 1)) == s->blk_offset) {
        stn_le_p(s->blk_bytes + addr % PFLASH_BUFFER, size, data);
    } else {
        s->status |= STATUS_PROGRAM_ERROR;
    }
    if (s->counter-- == 0) {
        s->wcycle = 3;
    }
}

static void confirm_buffered_write(PflashState *s, uint8_t cmd)
{
    if (cmd == CMD_CONFIRM && s->blk_offset != NO_BUFFERED_WRITE && !(s->status & STATUS_PROGRAM_ERROR)) {
        program(s, s->blk_offset, s->blk_bytes, PFLASH_BUFFER);
    } else {
        s->status |= STATUS_PROGRAM_ERROR;
    }
    s->blk_offset = NO_BUFFERED_WRITE;
    s->status |= STATUS_READY;
    show_status(s);
}

static MemTxResult pflash_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    PflashState *s = opaque;

    trace(pflash_write, s->name, addr, data, s->cmd, s->wcycle);
    switch (s->wcycle) {
    case 0:
        first_cycle(s, addr, data);
        break;
    case 1:
        second_cycle(s, addr, data, size);
        break;
    case 2:
        buffered_data(s, addr, data, size);
        break;
    default:
        confirm_buffered_write(s, data);
    }
    return MEMTX_OK;
}

static const MemoryRegionOps pflash_ops = {
    .read = pflash_read,
    .write = pflash_write,
    .valid = {.min_access_size = 1, .max_access_size = 8},
    .impl = {.min_access_size = 1, .max_access_size = 4},
};

/* --- state and life --- */

static void pflash_state(StateIO *io, void *opaque)
{
    PflashState *s = opaque;

    STATE_U8_RANGE(io, s->wcycle, 0, 3);
    STATE_U8(io, s->cmd);
    STATE_U8(io, s->status);
    STATE_U64(io, s->counter);
    if (state_subsection(io, "pflash_cfi01_blk_write", 1, s->blk_offset != NO_BUFFERED_WRITE)) {
        STATE_BUFFER(io, s->blk_bytes, PFLASH_BUFFER);
        STATE_U32(io, s->blk_offset);
        state_subsection_end(io);
    } else if (state_loading(io)) {
        s->blk_offset = NO_BUFFERED_WRITE;
    }
    if (state_loading(io)) {
        if (s->blk_offset != NO_BUFFERED_WRITE &&
            (s->blk_offset % PFLASH_BUFFER || s->blk_offset >= PFLASH_SIZE)) {
            state_fail(io, "field 'blk_offset' is 0x%x, which is no place for a write buffer", s->blk_offset);
            s->blk_offset = NO_BUFFERED_WRITE;
        }
        memory_region_rom_device_set_romd(&s->mem, s->wcycle == 0 && s->cmd == CMD_ARRAY);
        s->drive_is_stale = s->drive != NULL;
    }
}

static const StateSection pflash_state_section = {
    .name = "pflash_cfi01",
    .version = 1,
    .min_version = 1,
    .fields = pflash_state,
};

static void run_state_changed(void *opaque, bool running, RunState state)
{
    PflashState *s = opaque;

    if (running && s->drive_is_stale) {
        s->drive_is_stale = false;
        write_back(s, 0, PFLASH_SIZE);
    }
}

static void pflash_reset(Device *dev)
{
    PflashState *s = (PflashState *)dev;

    s->status = STATUS_READY;
    s->counter = 0;
    show_array(s);
}

/* The tables of the Common Flash Interface, as one chip has them. */
static void fill_cfi(PflashState *s)
{
    uint32_t chip_size = PFLASH_SIZE / PFLASH_CHIPS, chip_sector = PFLASH_SECTOR / PFLASH_CHIPS;

    memcpy(s->cfi + 0x10, "QRY", 3);
    stw_le_p(s->cfi + 0x13, 0x0001); /* Intel's command set */
    stw_le_p(s->cfi + 0x15, 0x0031); /* its own table */
    s->cfi[0x1b] = 0x45;             /* 4.5 V to 5.5 V */
    s->cfi[0x1c] = 0x55;
    s->cfi[0x1f] = 7; /* program: 2^7 us; buffer: 2^7 us; erase: 2^10 ms; at most 2^4 times that */
    s->cfi[0x20] = 7;
    s->cfi[0x21] = 10;
    s->cfi[0x23] = s->cfi[0x24] = s->cfi[0x25] = 4;
    s->cfi[0x27] = ctz32(chip_size);
    stw_le_p(s->cfi + 0x28, 2); /* 8 or 16 bits wide */
    stw_le_p(s->cfi + 0x2a, PFLASH_BUFFER_SHIFT);
    s->cfi[0x2c] = 1; /* one region of equal blocks */
    stw_le_p(s->cfi + 0x2d, chip_size / chip_sector - 1);
    stw_le_p(s->cfi + 0x2f, chip_sector >> 8);
    memcpy(s->cfi + 0x31, "PRI10", 5);
    s->cfi[0x3f] = 1; /* one protection register */
}

static bool open_drive(PflashState *s, GError **error)
{
    s->drive = block_find(s->drive_name);
    if (!s->drive) {
        return fail(error, "there is no drive '%s'", s->drive_name);
    }
    if (block_size(s->drive) != PFLASH_SIZE) {
        return fail(error, "drive '%s' has %" PRIu64 " bytes, the flash has %u", s->drive_name,
                    block_size(s->drive), PFLASH_SIZE);
    }
    s->readonly = block_read_only(s->drive);
    return block_claim(s->drive, s->name, !s->readonly, error) &&
           block_read(s->drive, 0, s->storage, PFLASH_SIZE, error);
}

static bool pflash_realize(Device *dev, GError **error)
{
    PflashState *s = (PflashState *)dev;

    if (!s->name) {
        return fail(error, "a flash chip needs a name");
    }
    if (!memory_region_init_rom_device(&s->mem, dev, &pflash_ops, s, s->name, PFLASH_SIZE, error)) {
        return false;
    }
    s->storage = memory_region_get_ram_ptr(&s->mem);
    if (s->drive_name && !open_drive(s, error)) {
        memory_region_destroy(&s->mem);
        return false;
    }
    fill_cfi(s);
    s->blk_offset = NO_BUFFERED_WRITE;
    vm_state_change_add(run_state_changed, s);
    device_init_mmio(dev, &s->mem);
    return true;
}

static const Field pflash_properties[] = {
    F_STRING(PflashState, name, "name", .optional = true, .help = "name of its memory"),
    F_STRING(PflashState, drive_name, "drive", .optional = true, .help = "image behind it"),
    FIELD_END,
};

DEVICE_TYPE(pflash_type, .name = "cfi.pflash01", .help = "NOR flash", .category = "storage",
            .instance_size = sizeof(PflashState), .properties = pflash_properties, .realize = pflash_realize,
            .reset = pflash_reset, .state = &pflash_state_section);
