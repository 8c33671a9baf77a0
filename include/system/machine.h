/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Boards, and what the command line asked of the machine. */
#ifndef SYSTEM_MACHINE_H
#define SYSTEM_MACHINE_H

#include "api/field.h"
#include "system/device.h"
#include "system/memory.h"
#include "util/linker-set.h"

typedef struct NumaNode {
    char *memdev; /* id of a memory back end; NULL: mem */
    uint64_t mem;
    int first_cpu, last_cpu; /* -1: none */
} NumaNode;

/* Filled by main/ before the board is made; the board reads it. */
typedef struct MachineConfig {
    uint64_t ram_size;     /* -m size */
    uint64_t max_ram_size; /* -m maxmem=, == ram_size when absent */
    uint64_t ram_slots;
    int smp_cpus, max_cpus;
    char *cpu_model, *cpu_options; /* -cpu rv64,sv57=on */
    char *bios;    /* path, "default" or "none" */
    char *kernel;  /* path, NULL */
    char *initrd;
    char *append;
    char *dtb;
    char *dumpdtb; /* write the device tree there and end */
    char *memory_backend; /* -machine memory-backend=ID */
    GArray *numa;  /* of NumaNode */
    bool dump_done; /* dumpdtb was written: end with status 0 */
    char *name;    /* -name; NULL: none */
    uint8_t uuid[16];
    bool has_uuid;
} MachineConfig;

typedef struct Machine Machine;
typedef struct MachineType {
    const char *name;
    const char *alias;
    const char *help;
    bool is_default;
    int max_cpus;
    const char *default_cpu; /* "rv64" */
    const char *default_ram_id; /* "riscv_virt_board.ram" */
    uint64_t default_ram_size;
    size_t instance_size;    /* starts with a Machine */
    const Field *properties; /* "-M virt,aclint=on" */
    bool (*init)(Machine *machine, GError **error); /* makes CPUs and devices; big lock */
    /* Everything the command line asked for exists: build the device tree, load kernel and firmware. */
    bool (*done)(Machine *machine, GError **error);
    /* Hot-add of a memory device ("pc-dimm"); NULL: the board has none. */
    bool (*plug_memory)(Machine *machine, Device *dimm, MemoryRegion *mr, uint64_t *addr, GError **error);
    void (*unplug_memory)(Machine *machine, Device *dimm, MemoryRegion *mr);
} MachineType;
#define MACHINE_TYPE(ident, ...)                                                                                   \
    static const MachineType machine_type_##ident = {__VA_ARGS__};                                                 \
    LINKER_SET_ADD(machine_types, MachineType, machine_type_##ident)

struct Machine {
    Device device; /* root of the object tree, "/machine" */
    const MachineType *machine_type;
    MachineConfig config;
    MemoryRegion *ram; /* all of -m, ready to map; a container when NUMA nodes have memdevs */
};

const MachineType *machine_type_find(const char *name);
void machine_types_foreach(void (*fn)(const MachineType *type, void *opaque), void *opaque);
Machine *machine_create(const MachineType *type, GError **error); /* allocates, defaults; sets the current one */
Machine *machine_current(void); /* NULL before */
/* The machine is complete: devices that come now are hot-plugged.  cpus_start_threads() says so. */
void machine_set_ready(void);
bool machine_is_ready(void);
/* Makes machine->ram from the configuration (default RAM, memory-backend=, NUMA memdevs).  Big lock. */
bool machine_make_ram(Machine *machine, GError **error);

#endif
