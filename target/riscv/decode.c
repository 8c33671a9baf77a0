/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instruction words to RISCVInsn, by the switch trees that scripts/decode.py makes. */
#include "cpu.h"
#include "insn.h"

#include "insn-table-functions.h"

bool riscv_decode(uint32_t raw, RISCVInsn *insn)
{
    *insn = (RISCVInsn){.length = riscv_insn_length(raw)};
    insn->raw = insn->length == 2 ? (uint16_t)raw : raw;
    return insn->length == 2 ? decode16(insn->raw, insn) : decode32(raw, insn);
}
