/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The test finisher: a store with which the guest ends or resets the machine. */
#include "system/device.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "util/trace.h"

TRACE_EVENT(sifive_test_bad_write, "offset 0x%" PRIx64 " value 0x%" PRIx64);

#define FINISHER_SIZE  0x1000
#define FINISHER_FAIL  0x3333 /* the upper half is the exit status */
#define FINISHER_PASS  0x5555
#define FINISHER_RESET 0x7777

typedef struct SifiveTestState {
    Device device;
    MemoryRegion mmio;
} SifiveTestState;

static MemTxResult test_read(void *opaque, hwaddr addr, uint64_t *data, unsigned size)
{
    *data = 0;
    return MEMTX_OK;
}

static MemTxResult test_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    int code = (data >> 16) & 0xffff;
    unsigned status = addr == 0 ? data & 0xffff : 0;

    switch (status) {
    case FINISHER_FAIL:
        system_shutdown_request_with_code(SHUTDOWN_GUEST_PANIC, code);
        break;
    case FINISHER_PASS:
        system_shutdown_request_with_code(SHUTDOWN_GUEST_SHUTDOWN, code);
        break;
    case FINISHER_RESET:
        system_reset_request(SHUTDOWN_GUEST_RESET);
        break;
    default:
        trace(sifive_test_bad_write, addr, data);
    }
    return MEMTX_OK;
}

static const MemoryRegionOps test_ops = {
    .read = test_read,
    .write = test_write,
    .valid = {.min_access_size = 2, .max_access_size = 4},
};

static void test_init(Device *dev)
{
    SifiveTestState *s = (SifiveTestState *)dev;

    memory_region_init_io(&s->mmio, dev, &test_ops, s, "riscv.sifive.test", FINISHER_SIZE);
    device_init_mmio(dev, &s->mmio);
}

DEVICE_TYPE(sifive_test_type, .name = "riscv.sifive.test", .help = "lets the guest end or reset the machine",
            .category = "misc", .instance_size = sizeof(SifiveTestState), .init = test_init);
