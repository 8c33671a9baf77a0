/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Listings of host code, for -d out and 'info jit'. */
#ifndef UTIL_DISAS_H
#define UTIL_DISAS_H

#include <glib.h>

#include "util/compiler.h"

/*
 * Appends one line for each instruction of @code to @out, as it would run at @addr.  Bytes that are no
 * instruction, and everything when the disassembler was not built in, are listed as .byte lines.
 */
void host_disassemble(GString *out, const void *code, size_t size, uint64_t addr);
/* Whether a real disassembler is there. */
bool host_disassembler_present(void);

#endif
