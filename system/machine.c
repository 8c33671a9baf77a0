/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The registry of boards, the current machine, and the RAM that -m, -machine and -numa ask for. */
#include "system/machine.h"

#include <string.h>

#include "device-internal.h"
#include "system/memory-backend.h"
#include "util/error.h"

static Machine *current_machine;
static bool machine_ready; /* big lock */

const MachineType *machine_type_find(const char *name)
{
    LINKER_SET_FOREACH (machine_types, MachineType, type) {
        if (!strcmp(type->name, name) || !g_strcmp0(type->alias, name)) {
            return type;
        }
    }
    return NULL;
}

void machine_types_foreach(void (*fn)(const MachineType *type, void *opaque), void *opaque)
{
    LINKER_SET_FOREACH (machine_types, MachineType, type) {
        fn(type, opaque);
    }
}

Machine *machine_current(void)
{
    return current_machine;
}

void machine_set_ready(void)
{
    machine_ready = true;
}

bool machine_is_ready(void)
{
    return machine_ready;
}

Machine *machine_create(const MachineType *type, GError **error)
{
    Machine *machine;

    if (current_machine) {
        return fail_null(error, "there is a machine already");
    }
    machine = g_malloc0(MAX(type->instance_size, sizeof(*machine)));
    machine->machine_type = type;
    machine->config.ram_size = type->default_ram_size;
    machine->config.max_ram_size = type->default_ram_size;
    machine->config.smp_cpus = machine->config.max_cpus = 1;
    device_instance_init(&machine->device, NULL, g_strdup("/machine"));
    if (type->properties) {
        fields_init(type->properties, machine);
    }
    current_machine = machine;
    return machine;
}

/* --- RAM --- */

static MemoryRegion *claim_backend(const char *id, uint64_t *size, GError **error)
{
    MemoryBackend *backend = memory_backend_find(id, error);

    if (!backend) {
        return NULL;
    }
    *size = memory_backend_size(backend);
    return memory_backend_claim(backend, error);
}

static bool ram_from_backend(Machine *machine, const char *id, GError **error)
{
    uint64_t size;

    machine->ram = claim_backend(id, &size, error);
    if (!machine->ram) {
        return false;
    }
    if (size != machine->config.ram_size) {
        return fail(error, "-m asks for %" PRIu64 " MiB of RAM, memory back end '%s' has %" PRIu64 " MiB",
                    machine->config.ram_size >> 20, id, size >> 20);
    }
    return true;
}

static bool add_node(Machine *machine, NumaNode *node, uint64_t *offset, GError **error)
{
    MemoryRegion *region;
    uint64_t size;

    if (!node->memdev) {
        return fail(error, "every NUMA node needs a 'memdev' when one has it");
    }
    region = claim_backend(node->memdev, &size, error);
    if (!region) {
        return false;
    }
    node->mem = size;
    memory_region_add_subregion(machine->ram, *offset, region);
    *offset += size;
    return true;
}

static bool ram_from_nodes(Machine *machine, GError **error)
{
    GArray *nodes = machine->config.numa;
    uint64_t total = 0;

    machine->ram = g_new0(MemoryRegion, 1);
    memory_region_init(machine->ram, &machine->device, "ram", machine->config.ram_size);
    for (unsigned i = 0; i < nodes->len; i++) {
        if (!add_node(machine, &g_array_index(nodes, NumaNode, i), &total, error)) {
            return false;
        }
    }
    if (total != machine->config.ram_size) {
        return fail(error, "-m asks for %" PRIu64 " MiB of RAM, the NUMA nodes have %" PRIu64 " MiB",
                    machine->config.ram_size >> 20, total >> 20);
    }
    return true;
}

static bool any_memdev(const GArray *nodes)
{
    for (unsigned i = 0; nodes && i < nodes->len; i++) {
        if (g_array_index(nodes, NumaNode, i).memdev) {
            return true;
        }
    }
    return false;
}

bool machine_make_ram(Machine *machine, GError **error)
{
    const MachineConfig *config = &machine->config;
    const char *name = machine->machine_type->default_ram_id;

    if (any_memdev(config->numa)) {
        if (config->memory_backend) {
            return fail(error, "'memory-backend' and NUMA nodes with 'memdev' exclude each other");
        }
        return ram_from_nodes(machine, error);
    }
    if (config->memory_backend) {
        return ram_from_backend(machine, config->memory_backend, error);
    }
    machine->ram = g_new0(MemoryRegion, 1);
    return memory_region_init_ram(machine->ram, &machine->device, name ? name : "ram", config->ram_size,
                                  error);
}
