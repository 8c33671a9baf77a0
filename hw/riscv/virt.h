/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The "virt" board: what its files share. */
#ifndef HW_RISCV_VIRT_H
#define HW_RISCV_VIRT_H

#include "system/machine.h"

#define VIRT_MAX_CPUS     512
#define VIRT_MAX_SOCKETS  8
#define VIRT_VIRTIO_SLOTS 8

/* Interrupt lines of a hart: cpu_irq(). */
enum { LINE_SSI = 1, LINE_MSI = 3, LINE_MTI = 7, LINE_SEI = 9, LINE_MEI = 11 };

/* Interrupt numbers at the PLIC; 0 is none. */
enum {
    VIRT_IRQ_VIRTIO = 1, /* 1 to 8 */
    VIRT_IRQ_UART = 10,
    VIRT_IRQ_RTC = 11,
    VIRT_IRQ_PCIE = 32, /* 32 to 35 */
};

typedef enum VirtPlace {
    VIRT_MROM,
    VIRT_TEST,
    VIRT_RTC,
    VIRT_CLINT,
    VIRT_ACLINT_SSWI,
    VIRT_PCIE_PIO,
    VIRT_PLATFORM_BUS,
    VIRT_PLIC,
    VIRT_UART,
    VIRT_VIRTIO,
    VIRT_FW_CFG,
    VIRT_FLASH,
    VIRT_PCIE_ECAM,
    VIRT_PCIE_MMIO,
    VIRT_DRAM,
    VIRT_NUM_PLACES
} VirtPlace;

typedef struct VirtMapEntry {
    hwaddr base;
    uint64_t size;
} VirtMapEntry;

extern const VirtMapEntry virt_map[VIRT_NUM_PLACES];

/* Harts with a PLIC and an ACLINT of their own: a NUMA node that has CPUs, or the whole machine. */
typedef struct VirtSocket {
    int node; /* -1: the machine has no NUMA nodes */
    unsigned first_hart, num_harts;
    Device *plic;
} VirtSocket;

typedef struct VirtMachine {
    Machine machine;
    /* properties */
    int acpi, aia;
    bool aclint;
    /* constant after init */
    VirtSocket sockets[VIRT_MAX_SOCKETS];
    unsigned num_sockets;
    VirtMapEntry device_memory; /* window for hot-plugged RAM; size 0: none */
    VirtMapEntry pcie_high;
    Device *fw_cfg;
    /* under the big lock */
    GPtrArray *dimms; /* of Device *: what lies in device_memory */
} VirtMachine;

/* The sockets whose PLIC serves the devices of each kind. */
const VirtSocket *virt_mmio_socket(const VirtMachine *v);
const VirtSocket *virt_virtio_socket(const VirtMachine *v);
const VirtSocket *virt_pcie_socket(const VirtMachine *v);

/* What /chosen says besides the console. */
typedef struct VirtChosen {
    const char *bootargs;            /* NULL: none */
    hwaddr initrd_start, initrd_end; /* equal: none */
} VirtChosen;

/* The board's device tree with @chosen in it; g_malloc'ed, *size bytes.  NULL on error. */
void *virt_fdt_build(const VirtMachine *v, const VirtChosen *chosen, size_t *size, GError **error);
/* The user's device tree with @chosen put in. */
void *virt_fdt_from_file(const char *path, const VirtChosen *chosen, size_t *size, GError **error);

#endif
