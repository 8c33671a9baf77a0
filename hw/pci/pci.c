/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Configuration space of PCI functions, and the state of functions and buses. */
#include "hw/pci/pci.h"

#include <string.h>

#include "util/bswap.h"

#define PCI_DEVICE_VERSION 2

enum {
    COMMAND_IO = 1,
    COMMAND_MEMORY = 2,
    COMMAND_MASTER = 4,
    COMMAND_PARITY = 0x40,
    COMMAND_SERR = 0x100,
    COMMAND_INTX_DISABLE = 0x400
};
#define STATUS_ERRORS 0xf900

void pci_config_init(PCIDevice *dev, uint16_t vendor, uint16_t device, uint16_t class)
{
    stw_le_p(dev->config + PCI_VENDOR_ID, vendor);
    stw_le_p(dev->config + PCI_DEVICE_ID, device);
    stw_le_p(dev->config + PCI_CLASS_DEVICE, class);
    stw_le_p(dev->config + PCI_SUBSYSTEM_VENDOR_ID, 0x1af4);
    stw_le_p(dev->config + PCI_SUBSYSTEM_ID, 0x1100);
    stw_le_p(dev->wmask + PCI_COMMAND, COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_PARITY |
                                           COMMAND_SERR | COMMAND_INTX_DISABLE);
    stw_le_p(dev->w1cmask + PCI_STATUS, STATUS_ERRORS);
    dev->wmask[PCI_CACHE_LINE_SIZE] = 0xff;
    dev->wmask[PCI_INTERRUPT_LINE] = 0xff;
    /* the rest belongs to the function; without capabilities there it takes what it is given */
    memset(dev->wmask + 0x40, 0xff, PCI_CONFIG_SIZE - 0x40);
}

uint32_t pci_config_read(const PCIDevice *dev, unsigned offset, unsigned size)
{
    return ldn_le_p(dev->config + offset, size);
}

void pci_config_write(PCIDevice *dev, unsigned offset, uint32_t value, unsigned size)
{
    for (unsigned i = offset; i < offset + size; i++, value >>= 8) {
        uint8_t byte = value & 0xff;

        dev->config[i] = (dev->config[i] & ~dev->wmask[i]) | (byte & dev->wmask[i]);
        dev->config[i] &= ~(byte & dev->w1cmask[i]);
    }
}

void pci_device_reset(PCIDevice *dev)
{
    for (unsigned i = 0; i < 0x40; i++) {
        dev->config[i] &= ~(dev->wmask[i] | dev->w1cmask[i]);
    }
    memset(dev->irq_state, 0, sizeof(dev->irq_state));
}

/* What the guest cannot change must be what this machine's function has. */
static bool config_agrees(const PCIDevice *dev, const uint8_t *config)
{
    for (unsigned i = 0; i < 0x40; i++) {
        if ((config[i] ^ dev->config[i]) & ~(dev->wmask[i] | dev->w1cmask[i])) {
            return false;
        }
    }
    return true;
}

static void state_config(StateIO *io, PCIDevice *dev)
{
    uint8_t config[PCI_CONFIG_SIZE];

    memcpy(config, dev->config, sizeof(config));
    state_field(io, "config", STATE_TYPE_BUFFER, config, sizeof(config), 1);
    if (state_loading(io)) {
        if (config_agrees(dev, config)) {
            memcpy(dev->config, config, sizeof(config));
        } else {
            state_fail(io, "the configuration space is that of another PCI function");
        }
    }
}

void pci_device_state(StateIO *io, const char *name, PCIDevice *dev)
{
    int32_t version_id = PCI_DEVICE_VERSION;

    state_struct_begin(io, name, "PCIDevice", PCI_DEVICE_VERSION, -1);
    state_field_range(io, "version_id", STATE_TYPE_I32, &version_id, 0, PCI_DEVICE_VERSION);
    state_config(io, dev);
    STATE_U32S(io, dev->irq_state, PCI_INTX_PINS);
    state_struct_end(io);
    if (state_loading(io)) {
        for (unsigned i = 0; i < PCI_INTX_PINS; i++) {
            dev->irq_state[i] &= 1;
        }
    }
}

static void pci_bus_state(StateIO *io, void *opaque)
{
    PCIBus *bus = opaque;

    state_u32_equal(io, "nirq", PCI_INTX_PINS);
    state_field(io, "irq_count", STATE_TYPE_I32, bus->irq_count, PCI_INTX_PINS, sizeof(int32_t));
    if (state_loading(io)) {
        for (unsigned i = 0; i < PCI_INTX_PINS; i++) {
            irq_set(bus->lines[i], bus->irq_count[i] != 0);
        }
    }
}

const StateSection pci_bus_state_section = {
    .name = "PCIBUS",
    .version = 1,
    .min_version = 1,
    .fields = pci_bus_state,
};
