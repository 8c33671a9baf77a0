/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A decoded instruction: which one it is and its operands, compressed forms already expanded. */
#ifndef TARGET_RISCV_INSN_H
#define TARGET_RISCV_INSN_H

#include "insn-table.h" /* made from insn.decode */

#include <stdbool.h>
#include <stdint.h>

typedef enum RISCVInsnId {
#define INSN_ENUM(ident, name, operands) INSN_##ident,
    RISCV_INSNS(INSN_ENUM)
#undef INSN_ENUM
        INSN_COUNT
} RISCVInsnId;

typedef struct RISCVInsn {
    uint16_t id;    /* RISCVInsnId */
    uint8_t length; /* 2 or 4 */
    uint8_t rd, rs1, rs2, rs3;
    uint8_t rm;
    uint8_t need, need2; /* RISCVExt, EXT_none */
    int32_t imm;
    uint32_t raw;
} RISCVInsn;

static inline unsigned riscv_insn_length(uint16_t first_half)
{
    return (first_half & 3) == 3 ? 4 : 2;
}
/* False: no such instruction; .raw and .length are set all the same.  Extensions are not looked at. */
bool riscv_decode(uint32_t raw, RISCVInsn *insn);
/* Text such as "addi a0,a0,16". */
char *riscv_insn_text(const RISCVInsn *insn, uint64_t pc);
const char *riscv_csr_name(unsigned csr); /* NULL: none known */

extern const char *const riscv_x_names[32];
extern const char *const riscv_f_names[32];

#endif
