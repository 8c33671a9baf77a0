/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The "virt" board: where everything is, and the order in which it is made.
 *
 * The map and the interrupt numbers are those that guests know from QEMU's board of this name.  Devices are
 * made by the name of their type, so the board knows their registers no better than their drivers do.  The
 * order of making is the order of sections in the migration stream.
 */
#include "hw/riscv/virt.h"

#include <string.h>

#include "backend/block.h"
#include "backend/chardev.h"
#include "hw/mem/pc-dimm.h"
#include "hw/nvram/fw-cfg.h"
#include "hw/riscv/boot.h"
#include "system/accel.h"
#include "system/cpu.h"
#include "config-host.h"
#include "util/error.h"

#define GIB(n) ((uint64_t)(n) << 30)

const VirtMapEntry virt_map[VIRT_NUM_PLACES] = {
    [VIRT_MROM] = {0x1000, 0xf000},
    [VIRT_TEST] = {0x100000, 0x1000},
    [VIRT_RTC] = {0x101000, 0x1000},
    [VIRT_CLINT] = {0x2000000, 0x10000},      /* of each socket */
    [VIRT_ACLINT_SSWI] = {0x2f00000, 0x4000}, /* of each socket */
    [VIRT_PCIE_PIO] = {0x3000000, 0x10000},
    [VIRT_PLATFORM_BUS] = {0x4000000, 0x2000000},
    [VIRT_PLIC] = {0xc000000, 0x600000}, /* of each socket */
    [VIRT_UART] = {0x10000000, 0x100},
    [VIRT_VIRTIO] = {0x10001000, 0x1000}, /* of each slot */
    [VIRT_FW_CFG] = {0x10100000, 0x18},
    [VIRT_FLASH] = {0x20000000, 0x4000000}, /* two chips */
    [VIRT_PCIE_ECAM] = {0x30000000, 0x10000000},
    [VIRT_PCIE_MMIO] = {0x40000000, 0x40000000},
    [VIRT_DRAM] = {0x80000000, 0}, /* as -m says */
};

#define PCIE_HIGH_SIZE      GIB(16)
#define DEVICE_MEMORY_ALIGN GIB(1)
#define MTIMER_OFFSET       0x4000 /* behind the software interrupts */

/* A socket of their own for the virtio slots, and one for PCI, as far as there are any. */
const VirtSocket *virt_mmio_socket(const VirtMachine *v)
{
    return &v->sockets[0];
}

const VirtSocket *virt_virtio_socket(const VirtMachine *v)
{
    return &v->sockets[MIN(v->num_sockets - 1, 1)];
}

const VirtSocket *virt_pcie_socket(const VirtMachine *v)
{
    return &v->sockets[MIN(v->num_sockets - 1, 2)];
}

/* --- devices by name --- */

/* Makes a device with properties from @properties ("name", "value", ..., NULL).  NULL on error. */
static Device *make_device(const char *type_name, const char *name, const char *const *properties,
                           GError **error)
{
    const DeviceType *type = device_type_find(type_name);
    Device *dev;

    if (!type) {
        return fail_null(error, "this build has no device '%s'", type_name);
    }
    dev = device_new(type, NULL, name);
    for (; properties && *properties; properties += 2) {
        if (!device_set(dev, properties[0], properties[1], error)) {
            device_delete(dev);
            return NULL;
        }
    }
    if (!device_realize(dev, NULL, error)) {
        device_delete(dev);
        return NULL;
    }
    return dev;
}

static void map_device(Device *dev, int n, hwaddr base)
{
    memory_region_add_subregion(get_system_memory(), base, device_mmio_region(dev, n));
}

static void connect_irq(Device *dev, int n, const VirtSocket *socket, int source)
{
    device_connect_irq(dev, NULL, n, device_irq_in(socket->plic, NULL, source));
}

/* --- sockets and harts --- */

/* CPUs of nodes that do not say which they have are dealt out evenly. */
static void default_cpu_ranges(GArray *nodes, unsigned cpus)
{
    unsigned share = MAX(cpus / nodes->len, 1);

    for (unsigned i = 0; i < nodes->len; i++) {
        if (g_array_index(nodes, NumaNode, i).first_cpu >= 0) {
            return;
        }
    }
    for (unsigned i = 0; i < nodes->len && i * share < cpus; i++) {
        NumaNode *node = &g_array_index(nodes, NumaNode, i);

        node->first_cpu = i * share;
        node->last_cpu = i + 1 == nodes->len ? cpus - 1 : MIN((i + 1) * share, cpus) - 1;
    }
}

static bool add_socket(VirtMachine *v, int node, unsigned first, unsigned last, GError **error)
{
    if (v->num_sockets == VIRT_MAX_SOCKETS) {
        return fail(error, "the board has at most %d NUMA nodes with CPUs", VIRT_MAX_SOCKETS);
    }
    v->sockets[v->num_sockets++] =
        (VirtSocket){.node = node, .first_hart = first, .num_harts = last - first + 1};
    return true;
}

static bool find_sockets(VirtMachine *v, GError **error)
{
    const MachineConfig *config = &v->machine.config;
    GArray *nodes = config->numa;
    int next = 0;

    if (!nodes || nodes->len == 0) {
        return add_socket(v, -1, 0, config->smp_cpus - 1, error);
    }
    default_cpu_ranges(nodes, config->smp_cpus);
    for (unsigned i = 0; i < nodes->len; i++) {
        const NumaNode *node = &g_array_index(nodes, NumaNode, i);

        if (node->first_cpu < 0) {
            continue;
        }
        if (node->first_cpu != next || node->last_cpu < node->first_cpu ||
            node->last_cpu >= config->smp_cpus) {
            return fail(error,
                        "CPUs of NUMA nodes must follow each other and be less than %d: node %u has %d to %d",
                        config->smp_cpus, i, node->first_cpu, node->last_cpu);
        }
        if (!add_socket(v, i, node->first_cpu, node->last_cpu, error)) {
            return false;
        }
        next = node->last_cpu + 1;
    }
    return next == config->smp_cpus || fail(error, "CPU %d is in no NUMA node", next);
}

static Device *make_hart_device(const VirtSocket *socket, const char *type, const char *name, bool sswi,
                                GError **error)
{
    g_autofree char *first = g_strdup_printf("%u", socket->first_hart);
    g_autofree char *count = g_strdup_printf("%u", socket->num_harts);
    const char *const properties[] = {"hartid-base",        first, "num-harts", count,
                                      sswi ? "sswi" : NULL, "on",  NULL};

    return make_device(type, name, properties, error);
}

static void connect_harts(Device *dev, const VirtSocket *socket, int line)
{
    for (unsigned i = 0; i < socket->num_harts; i++) {
        device_connect_irq(dev, NULL, i, cpu_irq(cpu_get(socket->first_hart + i), line));
    }
}

static bool make_local_interrupts(VirtMachine *v, const VirtSocket *socket, GError **error)
{
    unsigned index = socket - v->sockets;
    hwaddr base = virt_map[VIRT_CLINT].base + index * virt_map[VIRT_CLINT].size;
    Device *mswi = make_hart_device(socket, "riscv.aclint.swi", "mswi", false, error);
    Device *mtimer = mswi ? make_hart_device(socket, "riscv.aclint.mtimer", "mtimer", false, error) : NULL;
    Device *sswi;

    if (!mtimer) {
        return false;
    }
    map_device(mswi, 0, base);
    map_device(mtimer, 0, base + MTIMER_OFFSET);
    connect_harts(mswi, socket, LINE_MSI);
    connect_harts(mtimer, socket, LINE_MTI);
    if (v->aclint) {
        sswi = make_hart_device(socket, "riscv.aclint.swi", "sswi", true, error);
        if (!sswi) {
            return false;
        }
        map_device(sswi, 0, virt_map[VIRT_ACLINT_SSWI].base + index * virt_map[VIRT_ACLINT_SSWI].size);
        connect_harts(sswi, socket, LINE_SSI);
    }
    return true;
}

static bool make_plic(VirtMachine *v, VirtSocket *socket, GError **error)
{
    hwaddr base = virt_map[VIRT_PLIC].base + (socket - v->sockets) * virt_map[VIRT_PLIC].size;

    socket->plic = make_hart_device(socket, "riscv.sifive.plic", "plic", false, error);
    if (!socket->plic) {
        return false;
    }
    map_device(socket->plic, 0, base);
    for (unsigned i = 0; i < socket->num_harts; i++) {
        CPUState *cpu = cpu_get(socket->first_hart + i);

        device_connect_irq(socket->plic, NULL, 2 * i, cpu_irq(cpu, LINE_MEI));
        device_connect_irq(socket->plic, NULL, 2 * i + 1, cpu_irq(cpu, LINE_SEI));
    }
    return true;
}

static bool make_harts(const VirtMachine *v, const VirtSocket *socket, GError **error)
{
    const MachineConfig *config = &v->machine.config;

    for (unsigned i = 0; i < socket->num_harts; i++) {
        if (!cpu_new(config->cpu_model, config->cpu_options, socket->first_hart + i, error)) {
            return false;
        }
    }
    return true;
}

static bool make_sockets(VirtMachine *v, GError **error)
{
    for (unsigned i = 0; i < v->num_sockets; i++) {
        VirtSocket *socket = &v->sockets[i];

        if (!make_harts(v, socket, error) || !make_local_interrupts(v, socket, error) ||
            !make_plic(v, socket, error)) {
            return false;
        }
    }
    return true;
}

/* --- memory --- */

static bool check_config(VirtMachine *v, GError **error)
{
    MachineConfig *config = &v->machine.config;

    if (config->ram_size == 0) {
        config->ram_size = v->machine.machine_type->default_ram_size;
    }
    config->max_ram_size = MAX(config->max_ram_size, config->ram_size);
    if (config->ram_size % TARGET_PAGE_SIZE || config->ram_size > GIB(1) * 1024 * 64) {
        return fail(error, "%" PRIu64 " bytes of RAM are no multiple of %" PRIu64 " or too many",
                    config->ram_size, TARGET_PAGE_SIZE);
    }
    if (config->smp_cpus < 1 || config->smp_cpus > VIRT_MAX_CPUS) {
        return fail(error, "the board has 1 to %d CPUs", VIRT_MAX_CPUS);
    }
    if (v->acpi == 1) {
        warn_report("ACPI tables are not built; the guest gets the device tree only");
    }
    return true;
}

static bool check_numa_memory(const MachineConfig *config, GError **error)
{
    uint64_t total = 0;

    for (unsigned i = 0; config->numa && i < config->numa->len; i++) {
        total += g_array_index(config->numa, NumaNode, i).mem;
    }
    return !config->numa || config->numa->len == 0 || total == config->ram_size ||
           fail(error, "the NUMA nodes have %" PRIu64 " bytes of memory, -m says %" PRIu64, total,
                config->ram_size);
}

/* RAM, then the window for RAM that is plugged in later, then the upper PCI window. */
static bool make_memory(VirtMachine *v, GError **error)
{
    MachineConfig *config = &v->machine.config;
    hwaddr base = virt_map[VIRT_DRAM].base, end = base + config->ram_size;
    Device *root = &v->machine.device;
    MemoryRegion *rom;

    if (!machine_make_ram(&v->machine, error) || !check_numa_memory(config, error)) {
        return false;
    }
    rom = g_new0(MemoryRegion, 1);
    if (!memory_region_init_rom(rom, root, "riscv_virt_board.mrom", virt_map[VIRT_MROM].size, error)) {
        g_free(rom);
        return false;
    }
    memory_region_add_subregion(get_system_memory(), base, v->machine.ram);
    memory_region_add_subregion(get_system_memory(), virt_map[VIRT_MROM].base, rom);
    if (config->max_ram_size > config->ram_size) {
        v->device_memory.base = ROUND_UP(end, DEVICE_MEMORY_ALIGN);
        v->device_memory.size = ROUND_UP(config->max_ram_size - config->ram_size, DEVICE_MEMORY_ALIGN) +
                                config->ram_slots * DEVICE_MEMORY_ALIGN;
        end = v->device_memory.base + v->device_memory.size;
    }
    v->pcie_high = (VirtMapEntry){ROUND_UP(end, PCIE_HIGH_SIZE), PCIE_HIGH_SIZE};
    return true;
}

/* --- devices --- */

static bool make_finisher(VirtMachine *v, GError **error)
{
    Device *dev = make_device("riscv.sifive.test", "test", NULL, error);

    if (dev) {
        map_device(dev, 0, virt_map[VIRT_TEST].base);
    }
    return dev != NULL;
}

/* fw_cfg's three regions: selector, data, DMA. */
static bool make_fw_cfg(VirtMachine *v, GError **error)
{
    hwaddr base = virt_map[VIRT_FW_CFG].base;

    v->fw_cfg = make_device("fw_cfg_mem", "fw_cfg", NULL, error);
    if (!v->fw_cfg) {
        return false;
    }
    map_device(v->fw_cfg, 0, base + 8);
    map_device(v->fw_cfg, 1, base);
    map_device(v->fw_cfg, 2, base + 16);
    fw_cfg_add_u16(v->fw_cfg, FW_CFG_NB_CPUS, v->machine.config.smp_cpus);
    fw_cfg_add_u16(v->fw_cfg, FW_CFG_NOGRAPHIC, nographic_requested() || display_none_requested());
    if (v->machine.config.has_uuid) {
        fw_cfg_add_bytes(v->fw_cfg, FW_CFG_UUID, v->machine.config.uuid, sizeof(v->machine.config.uuid));
    }
    return true;
}

static bool make_virtio_slots(VirtMachine *v, GError **error)
{
    const VirtMapEntry *place = &virt_map[VIRT_VIRTIO];

    /* the highest first: a device without "bus=" gets the oldest free bus, and people know it at 0x10008000 */
    for (unsigned i = VIRT_VIRTIO_SLOTS; i-- > 0;) {
        g_autofree char *name = g_strdup_printf("virtio-mmio.%u", i);
        g_autofree char *slot = g_strdup_printf("%u", i);
        const char *const properties[] = {"slot", slot, NULL};
        Device *dev = make_device("virtio-mmio", name, properties, error);

        if (!dev) {
            return false;
        }
        map_device(dev, 0, place->base + i * place->size);
        connect_irq(dev, 0, virt_virtio_socket(v), VIRT_IRQ_VIRTIO + i);
    }
    return true;
}

static void map_window(Device *dev, const char *name, MemoryRegion *target, const VirtMapEntry *place)
{
    MemoryRegion *window = g_new0(MemoryRegion, 1);

    memory_region_init_alias(window, dev, name, target, place->base, place->size);
    memory_region_add_subregion(get_system_memory(), place->base, window);
}

/* The host bridge's three regions: configuration space, memory, I/O ports. */
static bool make_pcie(VirtMachine *v, GError **error)
{
    Device *dev = make_device("gpex-pcihost", "gpex", NULL, error);

    if (!dev) {
        return false;
    }
    map_device(dev, 0, virt_map[VIRT_PCIE_ECAM].base);
    map_window(dev, "pcie-mmio", device_mmio_region(dev, 1), &virt_map[VIRT_PCIE_MMIO]);
    map_window(dev, "pcie-mmio-high", device_mmio_region(dev, 1), &v->pcie_high);
    map_device(dev, 2, virt_map[VIRT_PCIE_PIO].base);
    for (int i = 0; i < 4; i++) {
        connect_irq(dev, i, virt_pcie_socket(v), VIRT_IRQ_PCIE + i);
    }
    return true;
}

static bool make_serial(VirtMachine *v, GError **error)
{
    const char *chardev = serial_hd(0) ? chardev_id(serial_hd(0)) : NULL;
    const char *const properties[] = {chardev ? "chardev" : NULL, chardev, NULL};
    Device *dev = make_device("serial-mm", "serial", properties, error);

    if (dev) {
        map_device(dev, 0, virt_map[VIRT_UART].base);
        connect_irq(dev, 0, virt_mmio_socket(v), VIRT_IRQ_UART);
    }
    return dev != NULL;
}

static bool make_rtc(VirtMachine *v, GError **error)
{
    Device *dev = make_device("goldfish_rtc", "rtc", NULL, error);

    if (dev) {
        map_device(dev, 0, virt_map[VIRT_RTC].base);
        connect_irq(dev, 0, virt_mmio_socket(v), VIRT_IRQ_RTC);
    }
    return dev != NULL;
}

static bool make_flash(VirtMachine *v, GError **error)
{
    uint64_t size = virt_map[VIRT_FLASH].size / 2;

    for (int i = 0; i < 2; i++) {
        g_autofree char *name = g_strdup_printf("virt.flash%d", i);
        BlockBackend *drive = drive_get(DRIVE_IF_PFLASH, i);
        const char *const properties[] = {"name", name, drive ? "drive" : NULL,
                                          drive ? block_name(drive) : NULL, NULL};
        Device *dev = make_device("cfi.pflash01", name, properties, error);

        if (!dev) {
            error_context(error, "flash chip %d", i);
            return false;
        }
        map_device(dev, 0, virt_map[VIRT_FLASH].base + i * size);
    }
    return true;
}

static bool virt_init(Machine *machine, GError **error)
{
    VirtMachine *v = (VirtMachine *)machine;

    v->dimms = g_ptr_array_new();
    return check_config(v, error) && find_sockets(v, error) && make_memory(v, error) &&
           make_sockets(v, error) && make_finisher(v, error) && make_fw_cfg(v, error) &&
           make_virtio_slots(v, error) && make_pcie(v, error) && make_serial(v, error) &&
           make_rtc(v, error) && make_flash(v, error);
}

/* --- what it starts from --- */

typedef struct VirtBoot {
    BootMemory memory;
    hwaddr entry; /* where the harts start */
    hwaddr next;  /* where firmware goes on; 0: nowhere */
    LoadedImage firmware, kernel, initrd;
} VirtBoot;

/* "none" starts at RAM's beginning whatever is there; a test without guest code needs no default firmware. */
static bool load_firmware(const MachineConfig *config, VirtBoot *boot, GError **error)
{
    bool by_default = !config->bios || g_str_equal(config->bios, "default");
    const char *path = by_default ? GODWIT_FIRMWARE_DIR "/fw_dynamic.bin" : config->bios;

    boot->entry = boot->memory.base;
    boot->firmware = (LoadedImage){.entry = boot->entry, .low = boot->entry, .high = boot->entry};
    if (g_str_equal(path, "none") || (by_default && qtest_enabled())) {
        return true;
    }
    if (by_default && !g_file_test(path, G_FILE_TEST_EXISTS)) {
        return fail(error, "there is no default firmware at '%s': install package 'opensbi', or give -bios",
                    path);
    }
    if (!boot_load_firmware(path, &boot->memory, &boot->firmware, error)) {
        return false;
    }
    boot->entry = boot->firmware.entry;
    return true;
}

static bool no_firmware(const MachineConfig *config)
{
    return config->bios && g_str_equal(config->bios, "none");
}

static bool load_kernel(const MachineConfig *config, VirtBoot *boot, GError **error)
{
    hwaddr start = ROUND_UP(boot->firmware.high, UINT64_C(2) << 20);

    if (!config->kernel) {
        return !config->initrd || fail(error, "-initrd needs -kernel");
    }
    if (!boot_load_kernel(config->kernel, &boot->memory, start, &boot->kernel, error)) {
        return false;
    }
    boot->next = boot->kernel.entry;
    if (no_firmware(config)) {
        boot->entry = boot->kernel.entry;
    }
    return !config->initrd ||
           boot_load_initrd(config->initrd, &boot->memory, &boot->kernel, &boot->initrd, error);
}

/* Flash holds the first program when there is no firmware, else the one after it, which asks fw_cfg for a
 * kernel. */
static bool boot_from_flash(VirtMachine *v, VirtBoot *boot, GError **error)
{
    const MachineConfig *config = &v->machine.config;
    hwaddr flash = virt_map[VIRT_FLASH].base;

    if (no_firmware(config)) {
        boot->entry = flash;
        return load_kernel(config, boot, error);
    }
    boot->next = flash;
    return fw_cfg_add_kernel(v->fw_cfg, config->kernel, config->initrd, config->append, error);
}

static bool write_dump(VirtMachine *v, const void *fdt, size_t size, GError **error)
{
    MachineConfig *config = &v->machine.config;

    config->dump_done = true;
    return g_file_set_contents(config->dumpdtb, fdt, size, error);
}

static bool add_fdt_and_rom(VirtMachine *v, const VirtBoot *boot, GError **error)
{
    const MachineConfig *config = &v->machine.config;
    VirtChosen chosen = {config->append, boot->initrd.low, boot->initrd.high};
    size_t size;
    g_autofree void *fdt = config->dtb ? virt_fdt_from_file(config->dtb, &chosen, &size, error)
                                       : virt_fdt_build(v, &chosen, &size, error);
    hwaddr addr;

    if (!fdt) {
        return false;
    }
    if (config->dumpdtb) {
        return write_dump(v, fdt, size, error);
    }
    addr = boot_fdt_address(&boot->memory, size);
    return boot_add_image("device tree", addr, fdt, size, error) &&
           boot_add_reset_rom(virt_map[VIRT_MROM].base, boot->entry, addr, boot->next, error);
}

static bool virt_done(Machine *machine, GError **error)
{
    VirtMachine *v = (VirtMachine *)machine;
    VirtBoot boot = {.memory = {virt_map[VIRT_DRAM].base, machine->config.ram_size}};

    if (!load_firmware(&machine->config, &boot, error) ||
        !(drive_get(DRIVE_IF_PFLASH, 0) ? boot_from_flash(v, &boot, error)
                                        : load_kernel(&machine->config, &boot, error)) ||
        !add_fdt_and_rom(v, &boot, error)) {
        return false;
    }
    boot_register_reset();
    return true;
}

/* --- RAM that is plugged in --- */

static bool place_is_free(const VirtMachine *v, hwaddr addr, uint64_t size)
{
    for (unsigned i = 0; i < v->dimms->len; i++) {
        const PcDimm *other = g_ptr_array_index(v->dimms, i);

        if (addr < other->addr + other->size && other->addr < addr + size) {
            return false;
        }
    }
    return true;
}

static bool in_window(const VirtMachine *v, hwaddr addr, uint64_t size)
{
    const VirtMapEntry *window = &v->device_memory;

    return addr >= window->base && size <= window->size && addr - window->base <= window->size - size;
}

/* The first place for @size bytes; 0: none. */
static hwaddr find_place(const VirtMachine *v, uint64_t size)
{
    for (hwaddr addr = v->device_memory.base; in_window(v, addr, size); addr += DEVICE_MEMORY_ALIGN) {
        if (place_is_free(v, addr, size)) {
            return addr;
        }
    }
    return 0;
}

static bool choose_place(const VirtMachine *v, PcDimm *dimm, GError **error)
{
    const VirtMapEntry *window = &v->device_memory;

    if (dimm->addr == 0) {
        dimm->addr = find_place(v, dimm->size);
        return dimm->addr || fail(error, "no %" PRIu64 " MiB are free for memory devices", dimm->size >> 20);
    }
    if (!in_window(v, dimm->addr, dimm->size) || dimm->addr % TARGET_PAGE_SIZE) {
        return fail(error,
                    "address 0x%" PRIx64 " is not in the window for memory devices, 0x%" PRIx64
                    " to 0x%" PRIx64,
                    dimm->addr, window->base, window->base + window->size);
    }
    return place_is_free(v, dimm->addr, dimm->size) ||
           fail(error, "the memory at 0x%" PRIx64 " is taken", dimm->addr);
}

static bool slot_is_free(const VirtMachine *v, int64_t slot)
{
    for (unsigned i = 0; i < v->dimms->len; i++) {
        if (((const PcDimm *)g_ptr_array_index(v->dimms, i))->slot == slot) {
            return false;
        }
    }
    return true;
}

static bool choose_slot(const VirtMachine *v, PcDimm *dimm, GError **error)
{
    int64_t slots = v->machine.config.ram_slots;

    if (dimm->slot < 0) {
        for (dimm->slot = 0; dimm->slot < slots && !slot_is_free(v, dimm->slot); dimm->slot++) {
        }
    }
    if (dimm->slot >= slots) {
        return fail(error, "all %" PRId64 " memory slots are taken", slots);
    }
    return slot_is_free(v, dimm->slot) || fail(error, "memory slot %" PRId64 " is taken", dimm->slot);
}

static bool check_dimm(const VirtMachine *v, const PcDimm *dimm, GError **error)
{
    const MachineConfig *config = &v->machine.config;
    uint64_t total = config->ram_size + dimm->size;

    if (v->device_memory.size == 0 || config->ram_slots == 0) {
        return fail(error, "there is no room for more memory: start with -m SIZE,slots=N,maxmem=SIZE");
    }
    if (dimm->node && (!config->numa || dimm->node >= config->numa->len)) {
        return fail(error, "there is no NUMA node %u", dimm->node);
    }
    for (unsigned i = 0; i < v->dimms->len; i++) {
        total += ((const PcDimm *)g_ptr_array_index(v->dimms, i))->size;
    }
    return total <= config->max_ram_size ||
           fail(error, "it would make %" PRIu64 " MiB of memory, maxmem is %" PRIu64 " MiB", total >> 20,
                config->max_ram_size >> 20);
}

/* @addr is the module's own, where 0 asks for any place. */
static bool virt_plug_memory(Machine *machine, Device *dev, MemoryRegion *mr, uint64_t *addr, GError **error)
{
    VirtMachine *v = (VirtMachine *)machine;
    PcDimm *dimm = (PcDimm *)dev;

    if (!check_dimm(v, dimm, error) || !choose_slot(v, dimm, error) || !choose_place(v, dimm, error)) {
        return false;
    }
    *addr = dimm->addr;
    g_ptr_array_add(v->dimms, dimm);
    memory_region_add_subregion(get_system_memory(), *addr, mr);
    return true;
}

static void virt_unplug_memory(Machine *machine, Device *dev, MemoryRegion *mr)
{
    VirtMachine *v = (VirtMachine *)machine;

    memory_region_del_subregion(get_system_memory(), mr);
    g_ptr_array_remove(v->dimms, dev);
}

/* --- the type --- */

static const char *const acpi_names[] = {"off", "on", "auto", NULL};
static const char *const aia_names[] = {"none", NULL};

static const Field virt_properties[] = {
    F_ENUM(VirtMachine, acpi, "acpi", acpi_names, "OnOffAuto", .default_value = "auto",
           .help = "accepted; tables are not built"),
    F_BOOL(VirtMachine, aclint, "aclint", .help = "an ACLINT with interrupts for S-mode instead of a CLINT"),
    F_ENUM(VirtMachine, aia, "aia", aia_names, "VirtAia", .default_value = "none",
           .help = "interrupt architecture"),
    FIELD_END,
};

MACHINE_TYPE(virt, .name = "virt", .help = "RISC-V board of virtio devices", .is_default = true,
             .max_cpus = VIRT_MAX_CPUS, .default_cpu = "rv64", .default_ram_id = "riscv_virt_board.ram",
             .default_ram_size = UINT64_C(128) << 20, .instance_size = sizeof(VirtMachine),
             .properties = virt_properties, .init = virt_init, .done = virt_done,
             .plug_memory = virt_plug_memory, .unplug_memory = virt_unplug_memory);
