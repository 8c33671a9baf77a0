/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What both ways of listing host code share: bytes that are no instruction. */
#ifndef UTIL_DISAS_BYTES_H
#define UTIL_DISAS_BYTES_H

#include <glib.h>
#include <inttypes.h>

static inline void list_bytes(GString *out, const uint8_t *code, size_t size, uint64_t addr)
{
    for (size_t i = 0; i < size; i++) {
        if (i % 16 == 0) {
            g_string_append_printf(out, "%s0x%016" PRIx64 ":  .byte", i ? "\n" : "", addr + i);
        }
        g_string_append_printf(out, " 0x%02x", code[i]);
    }
    if (size) {
        g_string_append_c(out, '\n');
    }
}

#endif
