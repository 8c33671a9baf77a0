/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Host code as bytes: this build has no disassembler. */
#include "util/disas.h"

#include "disas-bytes.h"

void host_disassemble(GString *out, const void *code, size_t size, uint64_t addr)
{
    list_bytes(out, code, size, addr);
}

bool host_disassembler_present(void)
{
    return false;
}
