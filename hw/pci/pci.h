/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PCI functions and the one bus of a host bridge.  Big lock. */
#ifndef HW_PCI_PCI_H
#define HW_PCI_PCI_H

#include "system/device.h"
#include "system/state.h"

#define PCI_CONFIG_SIZE           256
#define PCI_DEVICES_MAX           256 /* functions on a bus */
#define PCI_INTX_PINS             4
#define PCI_DEVFN(slot, function) ((slot) << 3 | (function))

enum {
    PCI_VENDOR_ID = 0x00,
    PCI_DEVICE_ID = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_CLASS_DEVICE = 0x0a,
    PCI_CACHE_LINE_SIZE = 0x0c,
    PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
    PCI_SUBSYSTEM_ID = 0x2e,
    PCI_INTERRUPT_LINE = 0x3c,
};

typedef struct PCIDevice {
    Device device;
    /* constant after realize */
    uint8_t devfn;
    uint8_t wmask[PCI_CONFIG_SIZE];   /* bits that the guest sets and clears */
    uint8_t w1cmask[PCI_CONFIG_SIZE]; /* bits that it clears by writing 1 */
    /* under the big lock */
    uint8_t config[PCI_CONFIG_SIZE];
    uint32_t irq_state[PCI_INTX_PINS];
} PCIDevice;

typedef struct PCIBus {
    Bus *bus;
    PCIDevice *devices[PCI_DEVICES_MAX]; /* by devfn; NULL: nobody */
    int32_t irq_count[PCI_INTX_PINS];
    IRQ *lines[PCI_INTX_PINS];
} PCIBus;

/* What every function has in its configuration space. */
void pci_config_init(PCIDevice *dev, uint16_t vendor, uint16_t device, uint16_t class);
/* The access lies within PCI_CONFIG_SIZE. */
uint32_t pci_config_read(const PCIDevice *dev, unsigned offset, unsigned size);
void pci_config_write(PCIDevice *dev, unsigned offset, uint32_t value, unsigned size);
void pci_device_reset(PCIDevice *dev);
/* "PCIDevice" as a part of a function's section, called @name there. */
void pci_device_state(StateIO *io, const char *name, PCIDevice *dev);
/* Section "PCIBUS". */
extern const StateSection pci_bus_state_section; /* opaque is a PCIBus */

#endif
