/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Encoding of x86-64 instructions. */
#include "tcg/x86_64/assembler.h"

bool asm_room(Asm *a, size_t bytes)
{
    if ((size_t)(a->end - a->p) < bytes) {
        a->overflow = true;
    }
    return !a->overflow;
}

void asm_nops(Asm *a, unsigned n)
{
    static const uint8_t nops[9][9] = {
        {0x90},
        {0x66, 0x90},
        {0x0f, 0x1f, 0x00},
        {0x0f, 0x1f, 0x40, 0x00},
        {0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
        {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    };

    while (n) {
        unsigned step = n > 9 ? 9 : n;

        memcpy(a->p, nops[step - 1], step);
        a->p += step;
        n -= step;
    }
}

/*
 * These work on a pointer of their own: bytes written through the Asm could be part of it, for all that the compiler
 * knows.
 */
static uint8_t *put_u32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, sizeof(v));
    return p + sizeof(v);
}

/* Memory at base + index * scale + disp; @r: the reg field, in place. */
static uint8_t *put_memory(uint8_t *p, int r, RM rm)
{
    bool sib = rm.index != NO_REG || (rm.base & 7) == RSP;
    int base = rm.base == NO_REG ? RBP : rm.base & 7;
    int mod = rm.base == NO_REG                ? 0
              : rm.disp == 0 && base != RBP    ? 0
              : rm.disp == (int8_t)rm.disp     ? 0x40
                                               : 0x80;

    *p++ = mod | r | (sib ? 4 : base);
    if (sib) {
        *p++ = rm.scale << 6 | (rm.index == NO_REG ? 4 : rm.index & 7) << 3 | base;
    }
    if (mod == 0x40) {
        *p++ = (uint8_t)rm.disp;
    } else if (mod == 0x80 || rm.base == NO_REG) {
        p = put_u32(p, (uint32_t)rm.disp);
    }
    return p;
}

static uint8_t *put_operand(const Asm *a, uint8_t *p, int reg, RM rm, unsigned imm_bytes)
{
    int r = (reg & 7) << 3;

    if (rm.reg != NO_REG) {
        *p++ = 0xc0 | r | (rm.reg & 7);
        return p;
    }
    if (rm.rip) {
        intptr_t next = (intptr_t)(p + 5 + imm_bytes) - a->rx_delta;

        *p++ = 0x05 | r;
        return put_u32(p, (uint32_t)((intptr_t)rm.rip - next));
    }
    return put_memory(p, r, rm);
}

static bool high_reg(int reg)
{
    return reg != NO_REG && (reg & 8);
}

static bool needs_byte_rex(int reg)
{
    return reg >= RSP && reg <= RDI;
}

void asm_modrm(Asm *a, unsigned opc, int w, int reg, RM rm, unsigned imm_bytes)
{
    static const uint8_t prefixes[] = {0, 0x66, 0xf3, 0xf2};
    uint8_t prefix = prefixes[(opc & A_PP) >> 10];
    uint8_t rex = (w ? 8 : 0) | (high_reg(reg) ? 4 : 0) | (high_reg(rm.index) ? 2 : 0) |
                  (high_reg(rm.reg != NO_REG ? rm.reg : rm.base) ? 1 : 0);
    bool byte_rex = (opc & A_BYTE) && (needs_byte_rex(reg) || (rm.reg != NO_REG && needs_byte_rex(rm.reg)));
    uint8_t *p = a->p;

    if (opc & A_LOCK) {
        *p++ = 0xf0;
    }
    if (prefix) {
        *p++ = prefix;
    }
    if (rex || byte_rex) {
        *p++ = 0x40 | rex;
    }
    if (opc & A_MAP) {
        *p++ = 0x0f;
        if ((opc & A_MAP) != A_0F) {
            *p++ = (opc & A_MAP) == A_0F38 ? 0x38 : 0x3a;
        }
    }
    *p++ = (uint8_t)opc;
    a->p = put_operand(a, p, reg, rm, imm_bytes);
}

void asm_vex(Asm *a, unsigned opc, int w, int reg, int vvvv, RM rm, unsigned imm_bytes)
{
    int map = (opc & A_MAP) >> 8, pp = (opc & A_PP) >> 10;
    bool x = high_reg(rm.index), b = high_reg(rm.reg != NO_REG ? rm.reg : rm.base);
    uint8_t *p = a->p;

    if (vvvv == NO_REG) {
        vvvv = 0;
    }
    /* The prefix field counts none, 66, F3, F2 just as A_PP does. */
    if (map == 1 && !w && !x && !b) {
        *p++ = 0xc5;
        *p++ = (high_reg(reg) ? 0 : 0x80) | (~vvvv & 15) << 3 | pp;
    } else {
        *p++ = 0xc4;
        *p++ = (high_reg(reg) ? 0 : 0x80) | (x ? 0 : 0x40) | (b ? 0 : 0x20) | map;
        *p++ = (w ? 0x80 : 0) | (~vvvv & 15) << 3 | pp;
    }
    *p++ = (uint8_t)opc;
    a->p = put_operand(a, p, reg, rm, imm_bytes);
}

void asm_mov_rr(Asm *a, int w, int dst, int src)
{
    if (dst != src || !w) {
        asm_rr(a, 0x8b, w, dst, src);
    }
}

void asm_load(Asm *a, int w, int dst, RM src)
{
    if (src.reg != dst || !w) {
        asm_modrm(a, 0x8b, w, dst, src, 0);
    }
}

void asm_store(Asm *a, int w, RM dst, int src)
{
    asm_modrm(a, 0x89, w, src, dst, 0);
}

void asm_mov_imm_keep_flags(Asm *a, int dst, uint64_t value)
{
    if (value == (uint32_t)value) {
        if (dst & 8) {
            asm_byte(a, 0x41);
        }
        asm_byte(a, 0xb8 | (dst & 7));
        asm_u32(a, (uint32_t)value);
    } else if (value == (uint64_t)(int64_t)(int32_t)value) {
        asm_modrm(a, 0xc7, 1, 0, rm_reg(dst), 4);
        asm_u32(a, (uint32_t)value);
    } else {
        asm_byte(a, 0x48 | (dst >> 3));
        asm_byte(a, 0xb8 | (dst & 7));
        asm_u64(a, value);
    }
}

void asm_mov_imm(Asm *a, int dst, uint64_t value)
{
    if (value == 0) {
        asm_rr(a, 0x33, 0, dst, dst);
    } else {
        asm_mov_imm_keep_flags(a, dst, value);
    }
}

void asm_store_imm32(Asm *a, int w, RM dst, int32_t value)
{
    asm_modrm(a, 0xc7, w, 0, dst, 4);
    asm_u32(a, (uint32_t)value);
}

void asm_alu(Asm *a, int op, int w, int dst, RM src)
{
    asm_modrm(a, op << 3 | 3, w, dst, src, 0);
}

void asm_alu_store(Asm *a, int op, int w, RM dst, int src)
{
    asm_modrm(a, op << 3 | 1, w, src, dst, 0);
}

void asm_alu_imm(Asm *a, int op, int w, RM dst, int32_t imm)
{
    if (imm == (int8_t)imm) {
        asm_modrm(a, 0x83, w, op, dst, 1);
        asm_byte(a, (uint8_t)imm);
    } else {
        asm_modrm(a, 0x81, w, op, dst, 4);
        asm_u32(a, (uint32_t)imm);
    }
}

void asm_shift_imm(Asm *a, int op, int w, int reg, unsigned count)
{
    asm_modrm(a, 0xc1, w, op, rm_reg(reg), 1);
    asm_byte(a, (uint8_t)count);
}

void asm_shift_cl(Asm *a, int op, int w, int reg)
{
    asm_modrm(a, 0xd3, w, op, rm_reg(reg), 0);
}

void asm_lea(Asm *a, int w, int dst, RM src)
{
    asm_modrm(a, 0x8d, w, dst, src, 0);
}

void asm_movsxd(Asm *a, int dst, RM src)
{
    asm_modrm(a, 0x63, 1, dst, src, 0);
}

void asm_setcc(Asm *a, int cc, int reg)
{
    asm_modrm(a, A_0F | A_BYTE | 0x90 | cc, 0, 0, rm_reg(reg), 0);
}

static void emit_rel32(Asm *a, const void *target)
{
    intptr_t next = (intptr_t)(a->p + 4) - a->rx_delta;

    asm_u32(a, (uint32_t)((intptr_t)target - next));
}

void asm_jmp(Asm *a, const void *target)
{
    asm_byte(a, 0xe9);
    emit_rel32(a, target);
}

void asm_jcc(Asm *a, int cc, const void *target)
{
    asm_byte(a, 0x0f);
    asm_byte(a, 0x80 | cc);
    emit_rel32(a, target);
}

void asm_call(Asm *a, const void *target)
{
    asm_byte(a, 0xe8);
    emit_rel32(a, target);
}

uint32_t asm_jmp_forward(Asm *a)
{
    asm_byte(a, 0xe9);
    asm_u32(a, 0);
    return asm_offset(a) - 4;
}

uint32_t asm_jcc_forward(Asm *a, int cc)
{
    asm_byte(a, 0x0f);
    asm_byte(a, 0x80 | cc);
    asm_u32(a, 0);
    return asm_offset(a) - 4;
}

void asm_patch_to(Asm *a, uint32_t at, uint32_t target_offset)
{
    uint32_t rel = target_offset - (at + 4);

    memcpy(a->start + (int32_t)at, &rel, 4);
}

void asm_patch_here(Asm *a, uint32_t at)
{
    asm_patch_to(a, at, asm_offset(a));
}

uint32_t asm_jcc_short(Asm *a, int cc)
{
    asm_byte(a, 0x70 | cc);
    asm_byte(a, 0);
    return asm_offset(a) - 1;
}

uint32_t asm_jmp_short(Asm *a)
{
    asm_byte(a, 0xeb);
    asm_byte(a, 0);
    return asm_offset(a) - 1;
}

void asm_patch_short(Asm *a, uint32_t at)
{
    a->start[(int32_t)at] = (uint8_t)(asm_offset(a) - (at + 1));
}
