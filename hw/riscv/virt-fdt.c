/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device tree of the "virt" board, written front to back in the order of its nodes.
 *
 * Handles (phandles) are numbered ahead of writing: two per hart, then one per PLIC, then the finisher.
 * Errors of libfdt are sticky: each call does nothing after the first one, and the end reports it.
 */
#include "hw/riscv/virt.h"

#include <libfdt.h>
#include <stdarg.h>
#include <string.h>

#include "hw/mem/pc-dimm.h"
#include "system/cpu.h"
#include "system/guest-time.h"
#include "util/bswap.h"
#include "util/error.h"
#include "util/file.h"

#define FDT_SPACE        (2u << 20)
#define FDT_MAX_FILE     (1u << 24)
#define PLIC_LAST_SOURCE 95
#define SERIAL_CLOCK     3686400

typedef struct FdtWriter {
    void *fdt;
    int status; /* of the first call that failed */
    const VirtMachine *v;
} FdtWriter;

static void note(FdtWriter *w, int status)
{
    if (!w->status && status < 0) {
        w->status = status;
    }
}

static void begin(FdtWriter *w, const char *format, ...) PRINTF_LIKE(2, 3);
static void begin(FdtWriter *w, const char *format, ...)
{
    g_autofree char *name = NULL;
    va_list args;

    va_start(args, format);
    name = g_strdup_vprintf(format, args);
    va_end(args);
    note(w, fdt_begin_node(w->fdt, name));
}

static void end(FdtWriter *w)
{
    note(w, fdt_end_node(w->fdt));
}

static void put_bytes(FdtWriter *w, const char *name, const void *data, size_t size)
{
    note(w, fdt_property(w->fdt, name, data, size));
}

static void put_flag(FdtWriter *w, const char *name)
{
    put_bytes(w, name, NULL, 0);
}

static void put_string(FdtWriter *w, const char *name, const char *value)
{
    put_bytes(w, name, value, strlen(value) + 1);
}

/* A list of strings, given with zero bytes between them. */
#define put_strings(w, name, literal) put_bytes(w, name, literal, sizeof(literal))

static void put_cell_array(FdtWriter *w, const char *name, const uint32_t *cells, size_t n)
{
    g_autofree uint32_t *wire = g_new(uint32_t, n);

    for (size_t i = 0; i < n; i++) {
        stl_be_p(&wire[i], cells[i]);
    }
    put_bytes(w, name, wire, n * sizeof(uint32_t));
}

#define put_cells(w, name, ...)                                                                              \
    put_cell_array(w, name, (const uint32_t[]){__VA_ARGS__},                                                 \
                   sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

#define CELLS64(value) (uint32_t)((value) >> 32), (uint32_t)(value)

static void put_reg(FdtWriter *w, hwaddr base, uint64_t size)
{
    put_cells(w, "reg", CELLS64(base), CELLS64(size));
}

/* --- handles --- */

static unsigned num_harts(const VirtMachine *v)
{
    return v->machine.config.smp_cpus;
}

/* The last hart has the first handles. */
static uint32_t cpu_handle(const VirtMachine *v, unsigned hart)
{
    return 1 + 2 * (num_harts(v) - 1 - hart);
}

static uint32_t cpu_intc_handle(const VirtMachine *v, unsigned hart)
{
    return cpu_handle(v, hart) + 1;
}

static uint32_t plic_handle(const VirtMachine *v, const VirtSocket *socket)
{
    return 1 + 2 * num_harts(v) + (v->num_sockets - 1 - (socket - v->sockets));
}

static uint32_t finisher_handle(const VirtMachine *v)
{
    return 1 + 2 * num_harts(v) + v->num_sockets;
}

/* --- nodes --- */

static void put_numa_node(FdtWriter *w, int node)
{
    if (node >= 0) {
        put_cells(w, "numa-node-id", node);
    }
}

static void put_interrupt(FdtWriter *w, const VirtSocket *socket, uint32_t number)
{
    put_cells(w, "interrupts", number);
    put_cells(w, "interrupt-parent", plic_handle(w->v, socket));
}

static void write_syscon(FdtWriter *w, const char *name, const char *compatible, uint32_t value)
{
    begin(w, "%s", name);
    put_cells(w, "value", value);
    put_cells(w, "offset", 0);
    put_cells(w, "regmap", finisher_handle(w->v));
    put_string(w, "compatible", compatible);
    end(w);
}

static void write_platform_bus(FdtWriter *w)
{
    const VirtMapEntry *place = &virt_map[VIRT_PLATFORM_BUS];

    begin(w, "platform-bus@%" PRIx64, place->base);
    put_cells(w, "interrupt-parent", plic_handle(w->v, virt_mmio_socket(w->v)));
    put_cells(w, "ranges", 0, CELLS64(place->base), (uint32_t)place->size);
    put_cells(w, "#address-cells", 1);
    put_cells(w, "#size-cells", 1);
    put_strings(w, "compatible", "qemu,platform\0simple-bus");
    end(w);
}

static void write_memory_node(FdtWriter *w, hwaddr base, uint64_t size, int node)
{
    begin(w, "memory@%" PRIx64, base);
    put_numa_node(w, node);
    put_string(w, "device_type", "memory");
    put_reg(w, base, size);
    end(w);
}

/* Modules that are there from the start; the guest is not told of later ones. */
static void write_dimms(FdtWriter *w)
{
    for (unsigned i = 0; i < w->v->dimms->len; i++) {
        const PcDimm *dimm = g_ptr_array_index(w->v->dimms, i);

        write_memory_node(w, dimm->addr, dimm->size, w->v->sockets[0].node >= 0 ? (int)dimm->node : -1);
    }
}

static void write_ram(FdtWriter *w)
{
    const MachineConfig *config = &w->v->machine.config;
    hwaddr base = virt_map[VIRT_DRAM].base;

    if (!config->numa || config->numa->len == 0) {
        write_memory_node(w, base, config->ram_size, -1);
        return;
    }
    for (unsigned i = 0; i < config->numa->len; i++) {
        uint64_t size = g_array_index(config->numa, NumaNode, i).mem;

        if (size) {
            write_memory_node(w, base, size, i);
        }
        base += size;
    }
}

/* One property of a CPU, as the CPU tells it (CpuOps.fdt_properties). */
static void put_cpu_property(const char *name, const char *value, void *opaque)
{
    FdtWriter *w = opaque;
    g_autofree char *list = NULL;
    size_t length = strlen(value) + 1;

    if (g_str_has_suffix(name, "-block-size")) {
        put_cells(w, name, (uint32_t)g_ascii_strtoull(value, NULL, 10));
        return;
    }
    list = g_strdup(value);
    put_bytes(w, name, g_str_equal(name, "riscv,isa-extensions") ? g_strdelimit(list, " ", '\0') : list,
              length);
}

static void write_cpu(FdtWriter *w, unsigned hart, int node)
{
    CPUState *cpu = cpu_get(hart);

    begin(w, "cpu@%x", hart);
    put_cells(w, "phandle", cpu_handle(w->v, hart));
    put_numa_node(w, node);
    put_string(w, "device_type", "cpu");
    put_cells(w, "reg", hart);
    put_string(w, "status", "okay");
    put_string(w, "compatible", "riscv");
    if (cpu && cpu->ops->fdt_properties) {
        cpu->ops->fdt_properties(cpu, put_cpu_property, w);
    }
    begin(w, "interrupt-controller");
    put_cells(w, "#interrupt-cells", 1);
    put_flag(w, "interrupt-controller");
    put_string(w, "compatible", "riscv,cpu-intc");
    put_cells(w, "phandle", cpu_intc_handle(w->v, hart));
    end(w);
    end(w);
}

static void write_cpu_map(FdtWriter *w)
{
    begin(w, "cpu-map");
    for (unsigned i = 0; i < w->v->num_sockets; i++) {
        begin(w, "cluster%u", i);
        for (unsigned n = 0; n < w->v->sockets[i].num_harts; n++) {
            begin(w, "core%u", n);
            put_cells(w, "cpu", cpu_handle(w->v, w->v->sockets[i].first_hart + n));
            end(w);
        }
        end(w);
    }
    end(w);
}

static void write_cpus(FdtWriter *w)
{
    begin(w, "cpus");
    put_cells(w, "#address-cells", 1);
    put_cells(w, "#size-cells", 0);
    put_cells(w, "timebase-frequency", GUEST_TIME_FREQUENCY);
    for (unsigned i = 0; i < w->v->num_sockets; i++) {
        const VirtSocket *socket = &w->v->sockets[i];

        for (unsigned n = 0; n < socket->num_harts; n++) {
            write_cpu(w, socket->first_hart + n, socket->node);
        }
    }
    write_cpu_map(w);
    end(w);
}

static void write_fw_cfg(FdtWriter *w)
{
    const VirtMapEntry *place = &virt_map[VIRT_FW_CFG];

    begin(w, "fw-cfg@%" PRIx64, place->base);
    put_flag(w, "dma-coherent");
    put_reg(w, place->base, place->size);
    put_string(w, "compatible", "qemu,fw-cfg-mmio");
    end(w);
}

static void write_flash(FdtWriter *w)
{
    hwaddr base = virt_map[VIRT_FLASH].base;
    uint64_t size = virt_map[VIRT_FLASH].size / 2;

    begin(w, "flash@%" PRIx64, base);
    put_cells(w, "bank-width", 4);
    put_cells(w, "reg", CELLS64(base), CELLS64(size), CELLS64(base + size), CELLS64(size));
    put_string(w, "compatible", "cfi-flash");
    end(w);
}

static void write_console(FdtWriter *w)
{
    g_autofree char *path = g_strdup_printf("/soc/serial@%" PRIx64, virt_map[VIRT_UART].base);
    uint32_t seed[8];

    for (unsigned i = 0; i < G_N_ELEMENTS(seed); i++) {
        seed[i] = g_random_int();
    }
    begin(w, "aliases");
    put_string(w, "serial0", path);
    end(w);
    begin(w, "chosen");
    put_string(w, "stdout-path", path);
    put_cell_array(w, "rng-seed", seed, G_N_ELEMENTS(seed));
    end(w);
}

static void write_rtc(FdtWriter *w)
{
    const VirtMapEntry *place = &virt_map[VIRT_RTC];

    begin(w, "rtc@%" PRIx64, place->base);
    put_interrupt(w, virt_mmio_socket(w->v), VIRT_IRQ_RTC);
    put_reg(w, place->base, place->size);
    put_string(w, "compatible", "google,goldfish-rtc");
    end(w);
}

static void write_serial(FdtWriter *w)
{
    const VirtMapEntry *place = &virt_map[VIRT_UART];

    begin(w, "serial@%" PRIx64, place->base);
    put_interrupt(w, virt_mmio_socket(w->v), VIRT_IRQ_UART);
    put_cells(w, "clock-frequency", SERIAL_CLOCK);
    put_reg(w, place->base, place->size);
    put_string(w, "compatible", "ns16550a");
    end(w);
}

static void write_finisher(FdtWriter *w)
{
    const VirtMapEntry *place = &virt_map[VIRT_TEST];

    begin(w, "test@%" PRIx64, place->base);
    put_cells(w, "phandle", finisher_handle(w->v));
    put_reg(w, place->base, place->size);
    put_strings(w, "compatible", "sifive,test1\0sifive,test0\0syscon");
    end(w);
}

static void write_virtio(FdtWriter *w)
{
    const VirtMapEntry *place = &virt_map[VIRT_VIRTIO];

    for (unsigned n = VIRT_VIRTIO_SLOTS; n-- > 0;) {
        begin(w, "virtio_mmio@%" PRIx64, place->base + n * place->size);
        put_interrupt(w, virt_virtio_socket(w->v), VIRT_IRQ_VIRTIO + n);
        put_reg(w, place->base + n * place->size, place->size);
        put_string(w, "compatible", "virtio,mmio");
        end(w);
    }
}

/* "interrupts-extended": two lines of each hart of the socket; @second 0: only one. */
static void put_hart_lines(FdtWriter *w, const VirtSocket *socket, uint32_t first, uint32_t second)
{
    g_autofree uint32_t *cells = g_new(uint32_t, socket->num_harts * 4);
    size_t n = 0;

    for (unsigned i = 0; i < socket->num_harts; i++) {
        cells[n++] = cpu_intc_handle(w->v, socket->first_hart + i);
        cells[n++] = first;
        if (second) {
            cells[n++] = cpu_intc_handle(w->v, socket->first_hart + i);
            cells[n++] = second;
        }
    }
    put_cell_array(w, "interrupts-extended", cells, n);
}

static void write_plic(FdtWriter *w, const VirtSocket *socket)
{
    const VirtMapEntry *place = &virt_map[VIRT_PLIC];
    hwaddr base = place->base + (socket - w->v->sockets) * place->size;

    begin(w, "plic@%" PRIx64, base);
    put_cells(w, "phandle", plic_handle(w->v, socket));
    put_numa_node(w, socket->node);
    put_cells(w, "riscv,ndev", PLIC_LAST_SOURCE);
    put_reg(w, base, place->size);
    put_hart_lines(w, socket, LINE_MEI, LINE_SEI);
    put_flag(w, "interrupt-controller");
    put_strings(w, "compatible", "sifive,plic-1.0.0\0riscv,plic0");
    put_cells(w, "#address-cells", 0);
    put_cells(w, "#interrupt-cells", 1);
    end(w);
}

static void write_clint(FdtWriter *w, const VirtSocket *socket)
{
    const VirtMapEntry *place = &virt_map[VIRT_CLINT];
    hwaddr base = place->base + (socket - w->v->sockets) * place->size;

    begin(w, "clint@%" PRIx64, base);
    put_numa_node(w, socket->node);
    put_hart_lines(w, socket, LINE_MSI, LINE_MTI);
    put_reg(w, base, place->size);
    put_strings(w, "compatible", "sifive,clint0\0riscv,clint0");
    end(w);
}

static void write_swi(FdtWriter *w, const VirtSocket *socket, VirtPlace where, const char *kind,
                      uint32_t line)
{
    uint64_t size = 0x4000;
    hwaddr base = virt_map[where].base + (socket - w->v->sockets) * virt_map[where].size;

    begin(w, "%s@%" PRIx64, kind, base);
    put_numa_node(w, socket->node);
    put_cells(w, "#interrupt-cells", 0);
    put_flag(w, "interrupt-controller");
    put_hart_lines(w, socket, line, 0);
    put_reg(w, base, size);
    put_string(w, "compatible", where == VIRT_CLINT ? "riscv,aclint-mswi" : "riscv,aclint-sswi");
    end(w);
}

static void write_mtimer(FdtWriter *w, const VirtSocket *socket)
{
    const VirtMapEntry *place = &virt_map[VIRT_CLINT];
    hwaddr base = place->base + (socket - w->v->sockets) * place->size + 0x4000;
    uint64_t time = 0x7ff8;

    begin(w, "mtimer@%" PRIx64, base);
    put_numa_node(w, socket->node);
    put_hart_lines(w, socket, LINE_MTI, 0);
    put_cells(w, "reg", CELLS64(base + time), CELLS64(UINT64_C(0x4008)), CELLS64(base), CELLS64(time));
    put_string(w, "compatible", "riscv,aclint-mtimer");
    end(w);
}

static void write_local_interrupts(FdtWriter *w, const VirtSocket *socket)
{
    if (!w->v->aclint) {
        write_clint(w, socket);
        return;
    }
    write_swi(w, socket, VIRT_ACLINT_SSWI, "sswi", LINE_SSI);
    write_mtimer(w, socket);
    write_swi(w, socket, VIRT_CLINT, "mswi", LINE_MSI);
}

/* The four lines of a slot are those of its neighbour, one further. */
static void put_interrupt_map(FdtWriter *w)
{
    enum { PINS = 4, ENTRY = 6 };
    uint32_t plic = plic_handle(w->v, virt_pcie_socket(w->v));
    uint32_t cells[PINS * PINS * ENTRY];
    uint32_t *cell = cells;

    for (uint32_t slot = 0; slot < PINS; slot++) {
        for (uint32_t pin = 0; pin < PINS; pin++) {
            *cell++ = slot << 11;
            *cell++ = 0;
            *cell++ = 0;
            *cell++ = pin + 1;
            *cell++ = plic;
            *cell++ = VIRT_IRQ_PCIE + (slot + pin) % PINS;
        }
    }
    put_cells(w, "interrupt-map-mask", 0x1800, 0, 0, 7);
    put_cell_array(w, "interrupt-map", cells, G_N_ELEMENTS(cells));
}

static void write_pcie(FdtWriter *w)
{
    enum { RANGE_IO = 0x01000000, RANGE_MMIO = 0x02000000, RANGE_MMIO64 = 0x03000000 };
    const VirtMapEntry *ecam = &virt_map[VIRT_PCIE_ECAM], *pio = &virt_map[VIRT_PCIE_PIO];
    const VirtMapEntry *mmio = &virt_map[VIRT_PCIE_MMIO], *high = &w->v->pcie_high;

    begin(w, "pci@%" PRIx64, ecam->base);
    put_interrupt_map(w);
    put_cells(w, "ranges", RANGE_IO, 0, 0, CELLS64(pio->base), CELLS64(pio->size), RANGE_MMIO,
              CELLS64(mmio->base), CELLS64(mmio->base), CELLS64(mmio->size), RANGE_MMIO64,
              CELLS64(high->base), CELLS64(high->base), CELLS64(high->size));
    put_reg(w, ecam->base, ecam->size);
    put_flag(w, "dma-coherent");
    put_cells(w, "bus-range", 0, (uint32_t)(ecam->size >> 20) - 1);
    put_cells(w, "linux,pci-domain", 0);
    put_string(w, "device_type", "pci");
    put_string(w, "compatible", "pci-host-ecam-generic");
    put_cells(w, "#size-cells", 2);
    put_cells(w, "#interrupt-cells", 1);
    put_cells(w, "#address-cells", 3);
    end(w);
}

static void write_soc(FdtWriter *w)
{
    begin(w, "soc");
    put_cells(w, "#address-cells", 2);
    put_cells(w, "#size-cells", 2);
    put_string(w, "compatible", "simple-bus");
    put_flag(w, "ranges");
    write_rtc(w);
    write_serial(w);
    write_finisher(w);
    write_virtio(w);
    for (unsigned i = 0; i < w->v->num_sockets; i++) {
        write_plic(w, &w->v->sockets[i]);
    }
    for (unsigned i = 0; i < w->v->num_sockets; i++) {
        write_local_interrupts(w, &w->v->sockets[i]);
    }
    write_pcie(w);
    end(w);
}

static void write_root(FdtWriter *w)
{
    begin(w, "%s", "");
    put_cells(w, "#address-cells", 2);
    put_cells(w, "#size-cells", 2);
    put_string(w, "compatible", "riscv-virtio");
    put_string(w, "model", "riscv-virtio,qemu");
    write_syscon(w, "poweroff", "syscon-poweroff", 0x5555);
    write_syscon(w, "reboot", "syscon-reboot", 0x7777);
    write_platform_bus(w);
    write_ram(w);
    write_dimms(w);
    write_cpus(w);
    write_fw_cfg(w);
    write_flash(w);
    write_console(w);
    write_soc(w);
    end(w);
}

/* --- /chosen, in trees of any origin --- */

static int set_chosen(void *fdt, const VirtChosen *chosen)
{
    int node = fdt_path_offset(fdt, "/chosen");
    int status = 0;

    if (node == -FDT_ERR_NOTFOUND) {
        node = fdt_add_subnode(fdt, 0, "chosen");
    }
    if (node < 0) {
        return node;
    }
    if (chosen->initrd_end > chosen->initrd_start) {
        status = fdt_setprop_u64(fdt, node, "linux,initrd-end", chosen->initrd_end);
        status = status ? status : fdt_setprop_u64(fdt, node, "linux,initrd-start", chosen->initrd_start);
    }
    if (!status && chosen->bootargs && *chosen->bootargs) {
        status = fdt_setprop_string(fdt, node, "bootargs", chosen->bootargs);
    }
    return status;
}

/* A copy of @fdt with @chosen in it. */
static void *complete(const void *fdt, const VirtChosen *chosen, size_t *size, GError **error)
{
    size_t space = fdt_totalsize(fdt) + FDT_SPACE;
    void *copy = g_malloc0(space);
    int status = fdt_open_into(fdt, copy, space);

    status = status ? status : set_chosen(copy, chosen);
    status = status ? status : fdt_pack(copy);
    if (status) {
        g_free(copy);
        return fail_null(error, "the device tree cannot be completed: %s", fdt_strerror(status));
    }
    *size = fdt_totalsize(copy);
    return copy;
}

void *virt_fdt_build(const VirtMachine *v, const VirtChosen *chosen, size_t *size, GError **error)
{
    g_autofree void *space = g_malloc0(FDT_SPACE);
    FdtWriter w = {.fdt = space, .v = v};

    note(&w, fdt_create(space, FDT_SPACE));
    note(&w, fdt_finish_reservemap(space));
    write_root(&w);
    note(&w, fdt_finish(space));
    if (w.status) {
        return fail_null(error, "the device tree cannot be made: %s", fdt_strerror(w.status));
    }
    return complete(space, chosen, size, error);
}

void *virt_fdt_from_file(const char *path, const VirtChosen *chosen, size_t *size, GError **error)
{
    size_t file_size;
    g_autofree void *file = read_whole(path, &file_size, FDT_MAX_FILE, error);
    void *fdt = NULL;

    if (file && fdt_check_full(file, file_size)) {
        fail(error, "it is no device tree");
    } else if (file) {
        fdt = complete(file, chosen, size, error);
    }
    if (!fdt) {
        error_context(error, "device tree '%s'", path);
    }
    return fdt;
}
