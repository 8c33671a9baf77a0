/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory modules.  The board decides where they go (MachineType.plug_memory); their RAM travels as the back
 * end's. */
#include "hw/mem/pc-dimm.h"

#include "system/machine.h"
#include "util/error.h"

static bool plug_into_board(PcDimm *dimm, GError **error)
{
    Machine *machine = machine_current();

    if (!machine || !machine->machine_type->plug_memory) {
        return fail(error, "this machine takes no memory devices");
    }
    return machine->machine_type->plug_memory(machine, &dimm->device, dimm->region, &dimm->addr, error);
}

static bool dimm_realize(Device *dev, GError **error)
{
    PcDimm *dimm = (PcDimm *)dev;

    if (!dimm->memdev) {
        return fail(error, "property 'memdev' is missing");
    }
    dimm->backend = memory_backend_find(dimm->memdev, error);
    if (!dimm->backend) {
        return false;
    }
    dimm->region = memory_backend_claim(dimm->backend, error);
    if (!dimm->region) {
        return false;
    }
    dimm->size = memory_backend_size(dimm->backend);
    if (!plug_into_board(dimm, error)) {
        memory_backend_release(dimm->backend);
        return false;
    }
    return true;
}

static void dimm_unrealize(Device *dev)
{
    PcDimm *dimm = (PcDimm *)dev;
    Machine *machine = machine_current();

    machine->machine_type->unplug_memory(machine, dev, dimm->region);
    memory_backend_release(dimm->backend);
}

static const Field dimm_properties[] = {
    F_STRING(PcDimm, memdev, "memdev", .optional = true, .help = "memory back end"),
    F_U64(PcDimm, addr, "addr", .optional = true,
          .help = "where in the machine's memory; 0: where there is room"),
    F_U64(PcDimm, size, "size", .optional = true, .help = "as the back end has it"),
    F_I64(PcDimm, slot, "slot", .optional = true, .default_value = "-1", .help = "-1: the first free one"),
    F_U32(PcDimm, node, "node", .optional = true, .help = "NUMA node"),
    FIELD_END,
};

DEVICE_TYPE(pc_dimm_type, .name = "pc-dimm", .help = "memory module", .category = "misc",
            .user_creatable = true, .hotpluggable = true, .instance_size = sizeof(PcDimm),
            .properties = dimm_properties, .realize = dimm_realize, .unrealize = dimm_unrealize);
