/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A generic PCI Express host bridge: configuration space as memory (ECAM), windows for memory and I/O ports,
 * and a bus with the bridge itself as its only function, 00:00.0.
 *
 * An ECAM address is bus, slot, function and register, from bit 20, 15, 12 and 0.  Where nobody is, reads
 * give ones.  Big lock.
 */
#include <string.h>

#include "hw/pci/pci.h"
#include "system/memory.h"
#include "util/error.h"

#define ECAM_SIZE 0x10000000
#define PIO_SIZE  0x10000

#define PCI_VENDOR_REDHAT        0x1b36
#define PCI_DEVICE_REDHAT_BRIDGE 0x0008
#define PCI_CLASS_BRIDGE_HOST    0x0600

/* --- the function 00:00.0 --- */

static bool root_realize(Device *dev, GError **error)
{
    pci_config_init((PCIDevice *)dev, PCI_VENDOR_REDHAT, PCI_DEVICE_REDHAT_BRIDGE, PCI_CLASS_BRIDGE_HOST);
    return true;
}

static void root_reset(Device *dev)
{
    pci_device_reset((PCIDevice *)dev);
}

static void root_state(StateIO *io, void *opaque)
{
    pci_device_state(io, "parent_obj", opaque);
}

static const StateSection root_state_section = {
    .name = "gpex_root",
    .version = 1,
    .min_version = 1,
    .fields = root_state,
};

DEVICE_TYPE(gpex_root_type, .name = "gpex-root", .help = "host bridge as a PCI function", .bus = "PCIE",
            .category = "bridge", .instance_size = sizeof(PCIDevice), .realize = root_realize,
            .reset = root_reset, .state = &root_state_section);

/* --- the bridge --- */

typedef struct GpexState {
    Device device;
    MemoryRegion ecam, mmio, pio;
    PCIBus bus;
    /* under the big lock */
    uint32_t config_reg; /* of a mechanism that this bridge lacks; travels for QEMU's sake */
} GpexState;

static PCIDevice *function_at(GpexState *s, hwaddr addr)
{
    return addr >> 20 ? NULL : s->bus.devices[(addr >> 12) & 0xff];
}

static MemTxResult ecam_read(void *opaque, hwaddr addr, uint64_t *data, unsigned size)
{
    PCIDevice *dev = function_at(opaque, addr);
    unsigned offset = addr & 0xfff;

    *data = dev && offset + size <= PCI_CONFIG_SIZE ? pci_config_read(dev, offset, size) : UINT64_MAX;
    return MEMTX_OK;
}

static MemTxResult ecam_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    PCIDevice *dev = function_at(opaque, addr);
    unsigned offset = addr & 0xfff;

    if (dev && offset + size <= PCI_CONFIG_SIZE) {
        pci_config_write(dev, offset, data, size);
    }
    return MEMTX_OK;
}

static MemTxResult read_ones(void *opaque, hwaddr addr, uint64_t *data, unsigned size)
{
    *data = UINT64_MAX;
    return MEMTX_OK;
}

static MemTxResult ignore_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    return MEMTX_OK;
}

static const MemoryRegionOps ecam_ops = {
    .read = ecam_read,
    .write = ecam_write,
    .valid = {.min_access_size = 1, .max_access_size = 8, .unaligned = true},
    .impl = {.min_access_size = 1, .max_access_size = 4},
};

static const MemoryRegionOps empty_window_ops = {
    .read = read_ones,
    .write = ignore_write,
    .valid = {.min_access_size = 1, .max_access_size = 8, .unaligned = true},
};

/* --- the bus --- */

static bool bus_plug(Bus *bus, Device *child, GError **error)
{
    GpexState *s = (GpexState *)bus->owner;
    PCIDevice *dev = (PCIDevice *)child;

    if (s->bus.devices[dev->devfn]) {
        return fail(error, "PCI slot %u of '%s' is taken", dev->devfn >> 3, bus->name);
    }
    s->bus.devices[dev->devfn] = dev;
    return true;
}

static void bus_unplug(Bus *bus, Device *child)
{
    GpexState *s = (GpexState *)bus->owner;

    s->bus.devices[((PCIDevice *)child)->devfn] = NULL;
}

static const BusOps bus_ops = {.type = "PCIE", .plug = bus_plug, .unplug = bus_unplug};

static void host_state(StateIO *io, void *opaque)
{
    GpexState *s = opaque;

    STATE_U32(io, s->config_reg);
}

static const StateSection host_state_section = {
    .name = "PCIHost",
    .version = 1,
    .min_version = 1,
    .fields = host_state,
};

static void gpex_reset(Device *dev)
{
    GpexState *s = (GpexState *)dev;

    s->config_reg = 0;
    memset(s->bus.irq_count, 0, sizeof(s->bus.irq_count));
    for (unsigned i = 0; i < PCI_INTX_PINS; i++) {
        irq_lower(s->bus.lines[i]);
    }
}

/* Sections in the order of the stream: the function, the bridge, the bus. */
static bool make_root(GpexState *s, GError **error)
{
    Device *root = device_new(&gpex_root_type, &s->device, "gpex-root");

    root->state_id = g_strdup("0000:00:00.0/gpex_root");
    if (!device_realize(root, s->bus.bus, error)) {
        device_delete(root);
        return false;
    }
    state_register(&host_state_section, NULL, -1, s);
    state_register(&pci_bus_state_section, NULL, -1, &s->bus);
    return true;
}

static bool gpex_realize(Device *dev, GError **error)
{
    GpexState *s = (GpexState *)dev;

    memory_region_init_io(&s->ecam, dev, &ecam_ops, s, "pcie-mmcfg-mmio", ECAM_SIZE);
    memory_region_init_io(&s->mmio, dev, &empty_window_ops, s, "gpex_mmio_window", UINT64_MAX);
    memory_region_init_io(&s->pio, dev, &empty_window_ops, s, "gpex_ioport_window", PIO_SIZE);
    device_init_mmio(dev, &s->ecam);
    device_init_mmio(dev, &s->mmio);
    device_init_mmio(dev, &s->pio);
    device_init_irq_out(dev, s->bus.lines, NULL, PCI_INTX_PINS);
    s->bus.bus = bus_new(dev, &bus_ops, "pcie.0");
    return make_root(s, error);
}

DEVICE_TYPE(gpex_type, .name = "gpex-pcihost", .help = "generic PCI Express host bridge",
            .category = "bridge", .instance_size = sizeof(GpexState), .realize = gpex_realize,
            .reset = gpex_reset);
