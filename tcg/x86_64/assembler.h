/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An x86-64 encoder: appends instructions to code memory through its writable mapping.
 *
 * An opcode is a number with prefix flags: A_0F | 0xAF is "0F AF"; the operand order is that of the encoding
 * (reg, then r/m).  @w: 1 for 64-bit operands, 0 for 32.
 */
#ifndef TCG_X86_64_ASSEMBLER_H
#define TCG_X86_64_ASSEMBLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, NO_REG = -1 };

/* Opcode flags */
enum {
    A_0F = 0x100,
    A_0F38 = 0x200,
    A_0F3A = 0x300,
    A_MAP = 0x300,
    A_66 = 0x400,
    A_F3 = 0x800,
    A_F2 = 0xc00,
    A_PP = 0xc00,
    A_BYTE = 0x1000, /* the registers are byte registers: sil, dil need a prefix */
    A_LOCK = 0x2000,
};

/* Condition codes */
enum {
    CC_O,
    CC_NO,
    CC_B,
    CC_AE,
    CC_E,
    CC_NE,
    CC_BE,
    CC_A,
    CC_S,
    CC_NS,
    CC_P,
    CC_NP,
    CC_L,
    CC_GE,
    CC_LE,
    CC_G
};

/* Group-1 arithmetic: the /digit of 81 and the opcode base. */
enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };
/* Shift group: the /digit of C1 and D3. */
enum { SH_ROL = 0, SH_ROR = 1, SH_SHL = 4, SH_SHR = 5, SH_SAR = 7 };

typedef struct Asm {
    uint8_t *start, *p, *end; /* in the writable mapping */
    ptrdiff_t rx_delta;       /* rx = p - rx_delta */
    bool overflow;            /* ran out of room: code is incomplete */
} Asm;

/* A place in memory or a register: the r/m side of an instruction. */
typedef struct RM {
    int8_t reg; /* a register, or NO_REG: memory */
    int8_t base, index, scale;
    int32_t disp;
    const void *rip; /* memory at this host address (base NO_REG) */
} RM;

static inline RM rm_reg(int reg)
{
    return (RM){.reg = reg, .base = NO_REG, .index = NO_REG};
}
static inline RM rm_mem(int base, int32_t disp)
{
    return (RM){.reg = NO_REG, .base = base, .index = NO_REG, .disp = disp};
}
static inline RM rm_sib(int base, int index, int scale_log2, int32_t disp)
{
    return (RM){.reg = NO_REG, .base = base, .index = index, .scale = scale_log2, .disp = disp};
}
static inline RM rm_rip(const void *address)
{
    return (RM){.reg = NO_REG, .base = NO_REG, .index = NO_REG, .rip = address};
}

/* From the start; modulo 2^32, for code may lie before it. */
static inline uint32_t asm_offset(const Asm *a)
{
    return a->p - a->start;
}
/* Whether @bytes more fit; sets overflow when not.  Called before each group of instructions, not each byte.
 */
bool asm_room(Asm *a, size_t bytes);
static inline void asm_byte(Asm *a, uint8_t v)
{
    *a->p++ = v;
}
static inline void asm_u32(Asm *a, uint32_t v)
{
    memcpy(a->p, &v, sizeof(v));
    a->p += sizeof(v);
}
static inline void asm_u64(Asm *a, uint64_t v)
{
    memcpy(a->p, &v, sizeof(v));
    a->p += sizeof(v);
}
void asm_nops(Asm *a, unsigned n);

/* Any instruction with a ModRM byte; @imm_bytes: size of the immediate that follows (for rip-relative
 * operands). */
void asm_modrm(Asm *a, unsigned opc, int w, int reg, RM rm, unsigned imm_bytes);
/* VEX-encoded: opc with A_PP and A_MAP; @vvvv: the extra source register. */
void asm_vex(Asm *a, unsigned opc, int w, int reg, int vvvv, RM rm, unsigned imm_bytes);

static inline void asm_rr(Asm *a, unsigned opc, int w, int reg, int rm)
{
    asm_modrm(a, opc, w, reg, rm_reg(rm), 0);
}
void asm_mov_rr(Asm *a, int w, int dst, int src); /* w 0 zero-extends; nothing when 64-bit and equal */
void asm_load(Asm *a, int w, int dst, RM src);    /* also reg to reg */
void asm_store(Asm *a, int w, RM dst, int src);
void asm_mov_imm(Asm *a, int dst, uint64_t value);
void asm_mov_imm_keep_flags(Asm *a, int dst, uint64_t value);
void asm_store_imm32(Asm *a, int w, RM dst, int32_t value);
void asm_alu(Asm *a, int op, int w, int dst, RM src);
void asm_alu_store(Asm *a, int op, int w, RM dst, int src);
void asm_alu_imm(Asm *a, int op, int w, RM dst, int32_t imm);
void asm_shift_imm(Asm *a, int op, int w, int reg, unsigned count);
void asm_shift_cl(Asm *a, int op, int w, int reg);
void asm_lea(Asm *a, int w, int dst, RM src);
void asm_movsxd(Asm *a, int dst, RM src);
void asm_setcc(Asm *a, int cc, int reg); /* low byte only */
/* Calls and jumps to host addresses (of the executable mapping). */
void asm_jmp(Asm *a, const void *target);
void asm_jcc(Asm *a, int cc, const void *target);
void asm_call(Asm *a, const void *target);
/* Forward jumps inside this piece of code: returns where the rel32 is; asm_patch_here() makes it land here.
 */
uint32_t asm_jmp_forward(Asm *a);
uint32_t asm_jcc_forward(Asm *a, int cc);
void asm_patch_here(Asm *a, uint32_t at);
void asm_patch_to(Asm *a, uint32_t at, uint32_t target_offset);
/* Short forms for a few bytes. */
uint32_t asm_jcc_short(Asm *a, int cc);
uint32_t asm_jmp_short(Asm *a);
void asm_patch_short(Asm *a, uint32_t at);

#endif
