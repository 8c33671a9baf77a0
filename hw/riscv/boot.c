/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads what the machine starts from.  Files come from the user and may be anything: each length is checked,
 * and what is meant for another machine is named in the error.
 */
#include "hw/riscv/boot.h"

#include <elf.h>
#include <string.h>

#include "system/device.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "util/bswap.h"
#include "util/error.h"
#include "util/file.h"
#include "util/trace.h"

TRACE_EVENT(boot_image, "%s at 0x%" PRIx64 " size 0x%zx");

#define MIB(n)           ((uint64_t)(n) << 20)
#define MAX_FILE         MIB(4096)

/* --- the images --- */

typedef struct BootImage {
    char *name;
    hwaddr addr;
    uint8_t *data;
    size_t size;
} BootImage;

static GPtrArray *images; /* of BootImage *; big lock */

static const BootImage *overlapping_image(hwaddr addr, size_t size)
{
    for (unsigned i = 0; images && i < images->len; i++) {
        const BootImage *other = g_ptr_array_index(images, i);

        if (addr < other->addr + other->size && other->addr < addr + size) {
            return other;
        }
    }
    return NULL;
}

/* Kernels are large, and are loaded while somebody waits: *@data is kept as it is, and NULL afterwards. */
static bool take_image(const char *name, hwaddr addr, uint8_t **data, size_t size, GError **error)
{
    const BootImage *other = overlapping_image(addr, size);
    BootImage *image;

    if (other) {
        return fail(error,
                    "'%s' (0x%" PRIx64 " to 0x%" PRIx64 ") overlaps '%s' (0x%" PRIx64 " to 0x%" PRIx64 ")",
                    name, addr, addr + size, other->name, other->addr, other->addr + other->size);
    }
    if (!images) {
        images = g_ptr_array_new();
    }
    image = g_new(BootImage, 1);
    *image = (BootImage){g_strdup(name), addr, g_steal_pointer(data), size};
    g_ptr_array_add(images, image);
    trace(boot_image, name, addr, size);
    return true;
}

bool boot_add_image(const char *name, hwaddr addr, const void *data, size_t size, GError **error)
{
    g_autofree uint8_t *copy = g_memdup2(data, size);

    return take_image(name, addr, &copy, size, error);
}

static void write_images(void *opaque)
{
    if (runstate_get() == RUN_STATE_INMIGRATE) {
        return;
    }
    for (unsigned i = 0; images && i < images->len; i++) {
        const BootImage *image = g_ptr_array_index(images, i);

        address_space_write_rom(&address_space_memory, image->addr, image->data, image->size);
    }
}

void boot_register_reset(void)
{
    reset_register(write_images, NULL, 0);
}

/* --- files --- */

static bool range_fits(const BootMemory *memory, hwaddr addr, uint64_t size)
{
    return addr >= memory->base && addr - memory->base <= memory->size &&
           size <= memory->size - (addr - memory->base);
}

/* Code also runs from flash and other memory that is no RAM; only RAM has a size to exceed. */
static bool check_range(const BootMemory *memory, hwaddr addr, uint64_t size, GError **error)
{
    if (addr + size < addr || (addr + size > memory->base && !range_fits(memory, addr, size))) {
        return fail(error,
                    "it needs 0x%" PRIx64 " to 0x%" PRIx64 ", and RAM is from 0x%" PRIx64 " to 0x%" PRIx64,
                    addr, addr + size, memory->base, memory->base + memory->size);
    }
    return true;
}

static const char *machine_name(unsigned machine)
{
    switch (machine) {
    case EM_386:
        return "i386";
    case EM_X86_64:
        return "x86-64";
    case EM_ARM:
        return "arm";
    case EM_AARCH64:
        return "aarch64";
    case EM_PPC64:
        return "ppc64";
    case EM_S390:
        return "s390x";
    default:
        return "another machine";
    }
}

/* --- ELF --- */

static bool is_elf(const uint8_t *data, size_t size)
{
    return size >= SELFMAG && !memcmp(data, ELFMAG, SELFMAG);
}

static bool check_elf_header(const uint8_t *data, size_t size, GError **error)
{
    unsigned machine;

    if (size < sizeof(Elf64_Ehdr)) {
        return fail(error, "the ELF header is cut short");
    }
    if (data[EI_DATA] != ELFDATA2LSB) {
        return fail(error, "it is a big-endian program, not a riscv64 one");
    }
    machine = lduw_le_p(data + offsetof(Elf64_Ehdr, e_machine));
    if (machine != EM_RISCV) {
        return fail(error, "it is a program for %s (ELF machine %u), not for riscv64", machine_name(machine),
                    machine);
    }
    if (data[EI_CLASS] != ELFCLASS64) {
        return fail(error, "it is a program for riscv32, not for riscv64");
    }
    return true;
}

static bool add_segment(const char *name, const BootMemory *memory, const uint8_t *data, size_t size,
                        const uint8_t *header, LoadedImage *image, GError **error)
{
    uint64_t entry = ldq_le_p(data + offsetof(Elf64_Ehdr, e_entry));
    uint64_t offset = ldq_le_p(header + offsetof(Elf64_Phdr, p_offset));
    uint64_t vaddr = ldq_le_p(header + offsetof(Elf64_Phdr, p_vaddr));
    uint64_t paddr = ldq_le_p(header + offsetof(Elf64_Phdr, p_paddr));
    uint64_t file_size = ldq_le_p(header + offsetof(Elf64_Phdr, p_filesz));
    uint64_t mem_size = ldq_le_p(header + offsetof(Elf64_Phdr, p_memsz));
    g_autofree uint8_t *copy = NULL;

    if (mem_size == 0) {
        return true;
    }
    if (file_size > mem_size || offset > size || file_size > size - offset) {
        return fail(error, "the ELF file is damaged: a segment lies outside of it");
    }
    if (!check_range(memory, paddr, mem_size, error)) {
        return false;
    }
    image->low = MIN(image->low, paddr);
    image->high = MAX(image->high, paddr + mem_size);
    /* the entry is a virtual address; memory is not translated yet */
    if (entry >= vaddr && entry - vaddr < mem_size) {
        image->entry = paddr + (entry - vaddr);
    }
    if (mem_size > MAX_FILE) {
        return fail(error, "a segment of 0x%" PRIx64 " bytes is too large", mem_size);
    }
    /* bss is part of the image, so that a reset clears it */
    copy = g_try_malloc0(mem_size);
    if (!copy) {
        return fail(error, "no memory for a segment of 0x%" PRIx64 " bytes", mem_size);
    }
    memcpy(copy, data + offset, file_size);
    return take_image(name, paddr, &copy, mem_size, error);
}

static bool load_elf(const char *name, const BootMemory *memory, const uint8_t *data, size_t size,
                     LoadedImage *image, GError **error)
{
    uint64_t table;
    unsigned count, entry_size;

    if (!check_elf_header(data, size, error)) {
        return false;
    }
    table = ldq_le_p(data + offsetof(Elf64_Ehdr, e_phoff));
    count = lduw_le_p(data + offsetof(Elf64_Ehdr, e_phnum));
    entry_size = lduw_le_p(data + offsetof(Elf64_Ehdr, e_phentsize));
    if (entry_size != sizeof(Elf64_Phdr) || table > size || (uint64_t)count * entry_size > size - table) {
        return fail(error, "the ELF file is damaged: its program headers lie outside of it");
    }
    *image = (LoadedImage){.entry = ldq_le_p(data + offsetof(Elf64_Ehdr, e_entry)), .low = UINT64_MAX};
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *header = data + table + (uint64_t)i * entry_size;

        if (ldl_le_p(header + offsetof(Elf64_Phdr, p_type)) == PT_LOAD &&
            !add_segment(name, memory, data, size, header, image, error)) {
            return false;
        }
    }
    return image->high || fail(error, "the ELF file has nothing to load");
}

/* --- files that are something else --- */

static bool is_text(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < MIN(size, 64); i++) {
        if ((data[i] < 0x20 && !strchr("\t\r\n", data[i])) || data[i] >= 0x7f || data[i] == 0) {
            return false;
        }
    }
    return true;
}

/* What a file that is surely no riscv64 kernel is instead; NULL: it may be one. */
static const char *foreign_kind(const uint8_t *data, size_t size)
{
    static const struct {
        size_t offset;
        const char *magic;
        size_t length;
        const char *what;
    } kinds[] = {
        {0, "\x1f\x8b", 2, "compressed with gzip; unpack it first"},
        {0, "\xfd\x37zXZ", 5, "compressed with xz; unpack it first"},
        {0, "\x28\xb5\x2f\xfd", 4, "compressed with zstd; unpack it first"},
        {4, "zimg", 4, "a compressed EFI image; unpack it first"},
        {0x38, "ARM\x64", 4, "a kernel for aarch64, not for riscv64"},
        {0x202, "HdrS", 4, "a kernel for x86, not for riscv64"},
        {0, "\x27\x05\x19\x56", 4, "a U-Boot image; unpack it first"},
        {0, "QFI\xfb", 4, "a qcow2 disk image"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (size >= kinds[i].offset + kinds[i].length &&
            !memcmp(data + kinds[i].offset, kinds[i].magic, kinds[i].length)) {
            return kinds[i].what;
        }
    }
    if (size < 4) {
        return "too short to be a program";
    }
    if (lduw_le_p(data) == 0 || lduw_le_p(data) == 0xffff) {
        return "no riscv64 code: it does not begin with an instruction";
    }
    return is_text(data, size) ? "no riscv64 code: it is text" : NULL;
}

/* --- firmware --- */

static bool load_plain(const char *name, const BootMemory *memory, hwaddr start, uint8_t **data, size_t size,
                       LoadedImage *image, GError **error)
{
    *image = (LoadedImage){.entry = start, .low = start, .high = start + size};
    return check_range(memory, start, size, error) && take_image(name, start, data, size, error);
}

static bool load_firmware_data(const char *path, const BootMemory *memory, uint8_t **taken, size_t size,
                               LoadedImage *image, GError **error)
{
    const uint8_t *data = *taken;
    const char *foreign;

    if (size == 0) {
        return fail(error, "the file is empty");
    }
    foreign = is_elf(data, size) ? NULL : foreign_kind(data, size);
    if (foreign) {
        return fail(error, "it is %s", foreign);
    }
    return is_elf(data, size) ? load_elf(path, memory, data, size, image, error)
                              : load_plain(path, memory, memory->base, taken, size, image, error);
}

bool boot_load_firmware(const char *path, const BootMemory *memory, LoadedImage *image, GError **error)
{
    size_t size;
    g_autofree uint8_t *data = read_whole(path, &size, MAX_FILE, error);

    if (!data || !load_firmware_data(path, memory, &data, size, image, error)) {
        error_context(error, "firmware '%s'", path);
        return false;
    }
    return true;
}

/* --- kernels --- */

/* The header of a Linux "Image" for RISC-V. */
enum { IMAGE_SIZE = 16, IMAGE_MAGIC2 = 56, IMAGE_HEADER = 64 };

static bool is_linux_image(const uint8_t *data, size_t size)
{
    return size >= IMAGE_HEADER && !memcmp(data + IMAGE_MAGIC2, "RSC\x05", 4);
}

static bool load_linux_image(const char *path, const BootMemory *memory, hwaddr start, uint8_t **data,
                             size_t size, LoadedImage *image, GError **error)
{
    uint64_t image_size = MAX(ldq_le_p(*data + IMAGE_SIZE), size);

    if (!check_range(memory, start, image_size, error) ||
        !load_plain(path, memory, start, data, size, image, error)) {
        return false;
    }
    image->high = start + image_size;
    return true;
}

static bool load_kernel_data(const char *path, const BootMemory *memory, hwaddr start, uint8_t **taken,
                             size_t size, LoadedImage *image, GError **error)
{
    const uint8_t *data = *taken;
    const char *foreign;

    if (is_elf(data, size)) {
        return load_elf(path, memory, data, size, image, error);
    }
    if (is_linux_image(data, size)) {
        return load_linux_image(path, memory, start, taken, size, image, error);
    }
    foreign = foreign_kind(data, size);
    if (foreign) {
        return fail(error, "it is %s", foreign);
    }
    return load_plain(path, memory, start, taken, size, image, error);
}

bool boot_load_kernel(const char *path, const BootMemory *memory, hwaddr start, LoadedImage *image,
                      GError **error)
{
    size_t size;
    g_autofree uint8_t *data = read_whole(path, &size, MAX_FILE, error);

    if (!data || !load_kernel_data(path, memory, start, &data, size, image, error)) {
        error_context(error, "kernel '%s'", path);
        return false;
    }
    return true;
}

/*
 * Half of RAM behind the kernel's start, or 512 MiB when there is plenty: the kernel has room to grow, and
 * small machines still have room for the initrd.
 */
bool boot_load_initrd(const char *path, const BootMemory *memory, const LoadedImage *kernel,
                      LoadedImage *image, GError **error)
{
    hwaddr start = kernel->low + MIN(memory->size / 2, MIB(512));
    size_t size;
    g_autofree uint8_t *data = read_whole(path, &size, MAX_FILE, error);

    start = MAX(start, ROUND_UP(kernel->high, MIB(2)));
    if (data && size == 0) {
        return fail(error, "initrd '%s': the file is empty", path);
    }
    if (!data || !load_plain(path, memory, start, &data, size, image, error)) {
        error_context(error, "initrd '%s'", path);
        return false;
    }
    return true;
}

/* --- device tree and reset ROM --- */

hwaddr boot_fdt_address(const BootMemory *memory, size_t size)
{
    hwaddr end = memory->base + memory->size;

    if (memory->base < MIB(3072)) {
        end = MIN(end, MIB(3072));
    }
    return ROUND_DOWN(end - MIN(size, memory->size), MIB(2));
}

#define FW_DYNAMIC_MAGIC   0x4942534f /* "OSBI" */
#define FW_DYNAMIC_VERSION 2
#define FW_DYNAMIC_MODE_S  1

enum { RESET_ENTRY = 24, RESET_FDT = 32, RESET_INFO = 40, RESET_ROM_SIZE = 88 };

bool boot_add_reset_rom(hwaddr rom, hwaddr entry, hwaddr fdt, hwaddr next, GError **error)
{
    static const uint32_t code[] = {
        0x00000297, /* auipc t0, 0 */
        0x02828613, /* addi  a2, t0, RESET_INFO */
        0xf1402573, /* csrr  a0, mhartid */
        0x0202b583, /* ld    a1, RESET_FDT(t0) */
        0x0182b283, /* ld    t0, RESET_ENTRY(t0) */
        0x00028067, /* jr    t0 */
    };
    const uint64_t words[] = {
        entry,
        fdt,
        /* struct fw_dynamic_info: magic, version, next address, next mode, options, boot hart */
        FW_DYNAMIC_MAGIC,
        FW_DYNAMIC_VERSION,
        next,
        FW_DYNAMIC_MODE_S,
        0,
        0,
    };
    uint8_t bytes[RESET_ROM_SIZE];

    for (unsigned i = 0; i < G_N_ELEMENTS(code); i++) {
        stl_le_p(bytes + i * 4, code[i]);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(words); i++) {
        stq_le_p(bytes + RESET_ENTRY + i * 8, words[i]);
    }
    return boot_add_image("reset ROM", rom, bytes, sizeof(bytes), error);
}
