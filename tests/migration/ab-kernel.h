/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ab-kernel.S assembled, so that the tests need no cross compiler.  Made with
 *   riscv64-linux-gnu-gcc -nostdlib -static -march=rv64im_zicsr -mabi=lp64 -Wl,-Ttext=0x80000000 ab-kernel.S -o ab
 *   riscv64-linux-gnu-objcopy -O binary -j .text ab ab.bin
 */
#ifndef TESTS_MIGRATION_AB_KERNEL_H
#define TESTS_MIGRATION_AB_KERNEL_H

#include <stdint.h>

/* The last two double words are the start of the region and the bytes per hart. */
static const uint32_t ab_kernel[] = {
    0xf14022f3, 0x00000317, 0x07c30313, 0x00033403, 0x00833483, 0x02928933, 0x01240433, 0x009404b3,
    0x100009b7, 0x00001ab7, 0x00029663, 0x04100393, 0x00798023, 0x00040e13, 0x000e0023, 0x015e3423,
    0x015e0e33, 0xfe9e6ae3, 0x00000a13, 0x00040e13, 0x000e4e83, 0x001e8e93, 0x01de0023, 0x015e0e33,
    0xfe9e68e3, 0x001a0a13, 0x01fa7f13, 0xfe0f10e3, 0xfc029ee3, 0x04200393, 0x00798023, 0xfd1ff06f,
    0x80100000, 0x00000000, 0x01000000, 0x00000000,
};

#endif
