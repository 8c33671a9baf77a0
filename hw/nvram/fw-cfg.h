/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The firmware configuration device: items by number and files by name, which firmware reads.  Big lock. */
#ifndef HW_NVRAM_FW_CFG_H
#define HW_NVRAM_FW_CFG_H

#include "system/device.h"

enum {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04,
    FW_CFG_NB_CPUS = 0x05,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
};

/* The device keeps a copy.  @key below FW_CFG_FILE_FIRST; an earlier item of that number is replaced. */
void fw_cfg_add_bytes(Device *dev, uint16_t key, const void *data, uint32_t size);
/* Numbers are little-endian. */
void fw_cfg_add_u16(Device *dev, uint16_t key, uint16_t value);
void fw_cfg_add_u32(Device *dev, uint16_t key, uint32_t value);
/* Names end at 55 characters and are unique; fails when all slots are taken. */
bool fw_cfg_add_file(Device *dev, const char *name, const void *data, uint32_t size, GError **error);
/* What -kernel, -initrd and -append name, for firmware that starts it itself; NULL: not given. */
bool fw_cfg_add_kernel(Device *dev, const char *kernel, const char *initrd, const char *append,
                       GError **error);

#endif
