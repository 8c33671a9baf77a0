/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Host code as instructions, by capstone. */
#include "util/disas.h"

#include <capstone/capstone.h>

#include "disas-bytes.h"

#if defined(__x86_64__)
#define HOST_ARCH CS_ARCH_X86
#define HOST_MODE CS_MODE_64
#elif defined(__aarch64__)
#define HOST_ARCH CS_ARCH_ARM64
#define HOST_MODE CS_MODE_LITTLE_ENDIAN
#else
/* no such architecture: cs_open() refuses, and bytes are listed */
#define HOST_ARCH CS_ARCH_ALL
#define HOST_MODE CS_MODE_LITTLE_ENDIAN
#endif

static void list_instructions(csh handle, GString *out, const uint8_t *code, size_t size, uint64_t addr)
{
    cs_insn *insn = cs_malloc(handle);

    while (size) {
        if (cs_disasm_iter(handle, &code, &size, &addr, insn)) {
            g_string_append_printf(out, "0x%016" PRIx64 ":  %-10s %s\n", insn->address, insn->mnemonic,
                                   insn->op_str);
        } else {
            list_bytes(out, code, 1, addr);
            code++;
            size--;
            addr++;
        }
    }
    cs_free(insn, 1);
}

void host_disassemble(GString *out, const void *code, size_t size, uint64_t addr)
{
    csh handle;

    if (cs_open(HOST_ARCH, HOST_MODE, &handle) != CS_ERR_OK) {
        list_bytes(out, code, size, addr);
        return;
    }
    list_instructions(handle, out, code, size, addr);
    cs_close(&handle);
}

bool host_disassembler_present(void)
{
    return cs_support(HOST_ARCH);
}
