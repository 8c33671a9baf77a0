/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images that are in memory when the machine starts: firmware, kernel, initrd, device tree, reset ROM.
 *
 * They are kept and written again at each reset, except while a machine comes in, whose memory has them
 * already.
 */
#ifndef HW_RISCV_BOOT_H
#define HW_RISCV_BOOT_H

#include <glib.h>

#include "system/types.h"

/* What the board's memory offers: RAM from @base on, the first part of it without holes. */
typedef struct BootMemory {
    hwaddr base;
    uint64_t size;
} BootMemory;

typedef struct LoadedImage {
    hwaddr entry;
    hwaddr low, high; /* [low, high): what it takes, bss included */
} LoadedImage;

/* Queues a copy of @data for @addr.  @name tells overlapping images apart in messages; fails when they do
 * overlap. */
bool boot_add_image(const char *name, hwaddr addr, const void *data, size_t size, GError **error);

/* Firmware: an ELF program, or bytes for the start of RAM. */
bool boot_load_firmware(const char *path, const BootMemory *memory, LoadedImage *image, GError **error);
/* A kernel: an ELF program, a Linux "Image" or plain code; the latter two go to @start. */
bool boot_load_kernel(const char *path, const BootMemory *memory, hwaddr start, LoadedImage *image,
                      GError **error);
/* Puts the initrd behind the kernel, with room for the kernel to unpack itself. */
bool boot_load_initrd(const char *path, const BootMemory *memory, const LoadedImage *kernel,
                      LoadedImage *image, GError **error);
/* Where a device tree of @size goes: as high as 32-bit code reaches. */
hwaddr boot_fdt_address(const BootMemory *memory, size_t size);
/* Code at @rom that jumps to @entry with a0 = hart, a1 = device tree, a2 = fw_dynamic_info about @next. */
bool boot_add_reset_rom(hwaddr rom, hwaddr entry, hwaddr fdt, hwaddr next, GError **error);

/* From now on each reset writes the images. */
void boot_register_reset(void);

#endif
