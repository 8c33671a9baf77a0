/* SPDX-License-Identifier: GPL-2.0-or-later */
/* x86-64 code for VALUE ops: one small function per shape of operation. */
#include "tcg/x86_64/emit.h"

static bool is_wide(const IROp *op)
{
    return op->type != IR_I32;
}

/* The result of a 32-bit operation is in @reg: extends it if somebody will look, and writes it back. */
static void finish(Emit *e, const IROp *op, int reg)
{
    if (!is_wide(op) && !(op->flags & IR_VALUE_LOW32)) {
        int d = dst_reg(e, op->dst);

        asm_movsxd(&e->a, d, rm_reg(reg));
        reg = d;
    }
    put_ref(e, op->dst, reg);
}

/* A result register that is none of the registers of @b; rax when b is in the destination itself. */
static int dst_reg_apart(const Emit *e, const IROp *op, RM b)
{
    int d = dst_reg(e, op->dst);

    return b.reg == d ? RAX : d;
}

static bool b_is_small(const IROp *op)
{
    return (op->b == IR_IMM && fits_s32(op->imm)) || op->b == IR_ZERO;
}

static int32_t small_b(const IROp *op)
{
    return op->b == IR_IMM ? (int32_t)op->imm : 0;
}

/* b as an r/m operand; a large immediate is loaded into rcx. */
static RM rm_b(Emit *e, const IROp *op)
{
    return op->b == IR_IMM ? rm_reg(use_b(e, op, RCX)) : rm_of(e, op->b);
}

/* op [home], x for a var that is in no register. */
static bool emit_alu_in_place(Emit *e, const IROp *op, int alu)
{
    if (op->a != op->dst || rm_of(e, op->dst).reg != NO_REG || !is_wide(op) || ir_is_temp(op->dst)) {
        return false;
    }
    if (b_is_small(op)) {
        asm_alu_imm(&e->a, alu, 1, home_of(op->dst), small_b(op));
    } else {
        asm_alu_store(&e->a, alu, 1, home_of(op->dst), use_b(e, op, RCX));
    }
    var_changed(e, op->dst);
    return true;
}

static void emit_alu(Emit *e, const IROp *op, int alu, bool commutative)
{
    int w = is_wide(op), d;
    IRRef first = op->a;
    RM b;

    if (emit_alu_in_place(e, op, alu)) {
        return;
    }
    if (b_is_small(op)) {
        RM a = rm_of(e, op->a);
        int32_t imm = small_b(op);

        d = dst_reg(e, op->dst);
        if (a.reg != NO_REG && a.reg != d && (alu == ALU_ADD || (alu == ALU_SUB && imm != INT32_MIN))) {
            asm_lea(&e->a, w, d, rm_mem(a.reg, alu == ALU_ADD ? imm : -imm));
        } else {
            load_ref(e, d, op->a);
            asm_alu_imm(&e->a, alu, w, rm_reg(d), imm);
        }
        finish(e, op, d);
        return;
    }
    b = rm_b(e, op);
    if (alu == ALU_ADD && b.reg != NO_REG && rm_of(e, op->a).reg != NO_REG) {
        int a = rm_of(e, op->a).reg;

        d = dst_reg(e, op->dst);
        if (d != a && d != b.reg) {
            asm_lea(&e->a, w, d, rm_sib(a, b.reg, 0, 0));
            finish(e, op, d);
            return;
        }
    }
    if (commutative && b.reg == dst_reg(e, op->dst) && op->a != op->b) {
        first = op->b;
        b = rm_of(e, op->a);
        if (op->a == IR_ZERO) {
            b = home_of(IR_ZERO);
        }
        d = dst_reg(e, op->dst);
    } else {
        d = op->a == op->b ? dst_reg(e, op->dst) : dst_reg_apart(e, op, b);
    }
    load_ref(e, d, first);
    asm_alu(&e->a, alu, w, d, b);
    finish(e, op, d);
}

static void emit_sub(Emit *e, const IROp *op)
{
    if (op->a == IR_ZERO && op->b != IR_IMM) {
        int d = dst_reg(e, op->dst);

        load_ref(e, d, op->b);
        asm_modrm(&e->a, 0xf7, is_wide(op), 3, rm_reg(d), 0);
        finish(e, op, d);
    } else {
        emit_alu(e, op, ALU_SUB, false);
    }
}

/* a op ~b */
static void emit_alu_not_b(Emit *e, const IROp *op, int alu)
{
    int d = dst_reg(e, op->dst);

    if (op->b == IR_IMM) {
        asm_mov_imm(&e->a, RCX, ~op->imm);
    } else {
        load_ref(e, RCX, op->b);
        asm_modrm(&e->a, 0xf7, 1, 2, rm_reg(RCX), 0);
    }
    load_ref(e, d, op->a);
    asm_alu(&e->a, alu, is_wide(op), d, rm_reg(RCX));
    finish(e, op, d);
}

static void emit_shift(Emit *e, const IROp *op, int shift)
{
    int w = is_wide(op), d = dst_reg(e, op->dst);

    if (op->b == IR_IMM || op->b == IR_ZERO) {
        unsigned count = (op->b == IR_IMM ? op->imm : 0) & (w ? 63 : 31);
        int a = rm_of(e, op->a).reg;

        if (shift == SH_SHL && count == 1 && a != NO_REG && a != d) {
            asm_lea(&e->a, w, d, rm_sib(a, a, 0, 0));
        } else if (shift <= SH_ROR && x86_host.features.bmi2 && op->a != IR_ZERO) {
            asm_vex(&e->a, A_0F3A | A_F2 | 0xf0, w, d, NO_REG, rm_of(e, op->a), 1);
            asm_byte(&e->a, (shift == SH_ROL ? -count : count) & (w ? 63 : 31));
        } else {
            load_ref(e, d, op->a);
            asm_shift_imm(&e->a, shift, w, d, count);
        }
        if (shift == SH_SHR && !w && count) {
            /* zero-extended, and not negative */
            put_ref(e, op->dst, d);
            return;
        }
    } else if (x86_host.features.bmi2 && shift >= SH_SHL) {
        unsigned prefix = shift == SH_SHL ? A_66 : shift == SH_SHR ? A_F2 : A_F3;
        int count = use_reg(e, op->b, RCX);
        RM a = op->a == IR_ZERO ? home_of(IR_ZERO) : rm_of(e, op->a);

        asm_vex(&e->a, A_0F38 | prefix | 0xf7, w, d, count, a, 0);
    } else {
        load_ref(e, RCX, op->b);
        load_ref(e, d, op->a);
        asm_shift_cl(&e->a, shift, w, d);
    }
    finish(e, op, d);
}

static void emit_mul(Emit *e, const IROp *op)
{
    int w = is_wide(op), d;
    RM b;

    if (op->b == IR_IMM && fits_s32(op->imm)) {
        d = dst_reg(e, op->dst);
        asm_modrm(&e->a, 0x69, w, d, rm_of(e, op->a), 4);
        asm_u32(&e->a, (uint32_t)op->imm);
    } else {
        b = rm_b(e, op);
        if (b.reg == dst_reg(e, op->dst)) {
            d = b.reg;
            b = rm_of(e, op->a);
        } else {
            d = dst_reg(e, op->dst);
            load_ref(e, d, op->a);
        }
        asm_modrm(&e->a, A_0F | 0xaf, w, d, b, 0);
    }
    finish(e, op, d);
}

static void emit_mul_high(Emit *e, const IROp *op)
{
    int b = use_b(e, op, RCX);

    load_ref(e, RAX, op->a);
    asm_modrm(&e->a, 0xf7, 1, op->opc == IR_MULHS ? 5 : 4, rm_reg(b), 0);
    if (op->opc == IR_MULHSU) {
        /* A negative a was taken as a + 2^64. */
        load_ref(e, RAX, op->a);
        asm_shift_imm(&e->a, SH_SAR, 1, RAX, 63);
        asm_alu(&e->a, ALU_AND, 1, RAX, rm_reg(b));
        asm_alu(&e->a, ALU_SUB, 1, RDX, rm_reg(RAX));
    }
    put_ref(e, op->dst, RDX);
}

static void emit_divide(Emit *e, const IROp *op)
{
    bool is_signed = op->opc == IR_DIVS || op->opc == IR_REMS;
    bool remainder = op->opc == IR_REMS || op->opc == IR_REMU;
    int w = is_wide(op);
    uint32_t special, zero, done[2], n_done = 0;
    Asm *a = &e->a;

    if (op->b == IR_IMM) {
        asm_mov_imm(a, RCX, op->imm);
    } else {
        load_ref(e, RCX, op->b);
    }
    load_ref(e, RAX, op->a);
    if (is_signed) {
        asm_lea(a, w, RDX, rm_mem(RCX, 1));
        asm_alu_imm(a, ALU_CMP, w, rm_reg(RDX), 1);
        special = asm_jcc_short(a, CC_BE);
        if (w) {
            asm_byte(a, 0x48);
        }
        asm_byte(a, 0x99);
        asm_modrm(a, 0xf7, w, 7, rm_reg(RCX), 0);
        done[n_done++] = asm_jmp_short(a);
        asm_patch_short(a, special);
    }
    asm_rr(a, 0x85, w, RCX, RCX);
    zero = asm_jcc_short(a, CC_E);
    if (is_signed) {
        /* by -1 */
        asm_modrm(a, 0xf7, w, 3, rm_reg(RAX), 0);
        asm_rr(a, 0x33, 0, RDX, RDX);
    } else {
        asm_rr(a, 0x33, 0, RDX, RDX);
        asm_modrm(a, 0xf7, w, 6, rm_reg(RCX), 0);
    }
    done[n_done++] = asm_jmp_short(a);
    asm_patch_short(a, zero);
    asm_mov_rr(a, 1, RDX, RAX);
    asm_mov_imm(a, RAX, ~0ULL);
    while (n_done) {
        asm_patch_short(a, done[--n_done]);
    }
    finish(e, op, remainder ? RDX : RAX);
}

static void emit_minmax(Emit *e, const IROp *op, int cc_take_b)
{
    int w = is_wide(op), d = dst_reg(e, op->dst);
    RM b = rm_b(e, op);
    IRRef first = op->a;

    if (b.reg == d && op->a != op->b) {
        first = op->b;
        b = rm_of(e, op->a);
    }
    load_ref(e, d, first);
    asm_alu(&e->a, ALU_CMP, w, d, b);
    asm_modrm(&e->a, A_0F | 0x40 | cc_take_b, w, d, b, 0);
    finish(e, op, d);
}

static void emit_shift_add(Emit *e, const IROp *op)
{
    int d = dst_reg(e, op->dst), a, b;
    unsigned scale = op->opc == IR_SHADD ? op->imm & 63 : 0;

    if (op->type == IR_I32 || op->opc == IR_ADDUW || scale > 3) {
        asm_load(&e->a, op->opc == IR_SHADD && op->type != IR_I32, RCX, rm_of(e, op->a));
        a = RCX;
    } else {
        a = use_reg(e, op->a, RCX);
    }
    if (scale > 3) {
        asm_shift_imm(&e->a, SH_SHL, 1, RCX, scale);
        scale = 0;
    }
    b = op->opc == IR_SHADD ? use_reg(e, op->b, RDX) : use_b(e, op, RDX);
    asm_lea(&e->a, 1, d, rm_sib(b, a, scale, 0));
    put_ref(e, op->dst, d);
}

static void emit_shift_uw(Emit *e, const IROp *op)
{
    int d = dst_reg(e, op->dst);

    asm_load(&e->a, 0, d, rm_of(e, op->a));
    asm_shift_imm(&e->a, SH_SHL, 1, d, op->imm & 63);
    put_ref(e, op->dst, d);
}

/* bts, btr, btc: @digit of the immediate form. */
static void emit_bit(Emit *e, const IROp *op, int digit)
{
    int w = is_wide(op), d = dst_reg(e, op->dst);

    if (op->b == IR_IMM || op->b == IR_ZERO) {
        load_ref(e, d, op->a);
        asm_modrm(&e->a, A_0F | 0xba, w, digit, rm_reg(d), 1);
        asm_byte(&e->a, (op->b == IR_IMM ? op->imm : 0) & (w ? 63 : 31));
    } else {
        int b = use_reg(e, op->b, RCX);

        if (b == d && op->a != op->b) {
            d = RAX;
        }
        load_ref(e, d, op->a);
        asm_modrm(&e->a, A_0F | 0x83 | digit << 3, w, b, rm_reg(d), 0);
    }
    finish(e, op, d);
}

static void emit_bit_extract(Emit *e, const IROp *op)
{
    int w = is_wide(op), d = dst_reg(e, op->dst);

    if (op->b == IR_IMM) {
        load_ref(e, d, op->a);
        asm_shift_imm(&e->a, SH_SHR, w, d, op->imm & (w ? 63 : 31));
    } else {
        load_ref(e, RCX, op->b);
        load_ref(e, d, op->a);
        asm_shift_cl(&e->a, SH_SHR, w, d);
    }
    asm_alu_imm(&e->a, ALU_AND, 0, rm_reg(d), 1);
    put_ref(e, op->dst, d);
}

int cc_of(unsigned cond)
{
    static const uint8_t codes[] = {
        [IR_EQ] = CC_E,   [IR_NE] = CC_NE, [IR_LT] = CC_L, [IR_GE] = CC_GE,  [IR_LTU] = CC_B,
        [IR_GEU] = CC_AE, [IR_LE] = CC_LE, [IR_GT] = CC_G, [IR_LEU] = CC_BE, [IR_GTU] = CC_A};

    return codes[cond <= IR_GTU ? cond : IR_EQ];
}

void emit_compare(Emit *e, IRRef a, IRRef b, bool b_is_imm, int64_t imm, unsigned type)
{
    int w = type != IR_I32, reg;
    RM ra = rm_of(e, a);

    if (b == IR_ZERO && !b_is_imm) {
        b_is_imm = true;
        imm = 0;
    }
    if (b_is_imm && fits_s32(imm)) {
        if (a == IR_ZERO) {
            ra = home_of(IR_ZERO);
        }
        if (imm == 0 && ra.reg != NO_REG) {
            asm_rr(&e->a, 0x85, w, ra.reg, ra.reg);
        } else {
            asm_alu_imm(&e->a, ALU_CMP, w, ra, (int32_t)imm);
        }
        return;
    }
    if (b_is_imm) {
        asm_mov_imm(&e->a, RCX, imm);
        reg = RCX;
    } else {
        RM rb = rm_of(e, b);

        if (rb.reg == NO_REG) {
            /* At least one in a register. */
            reg = use_reg(e, a, RAX);
            asm_alu(&e->a, ALU_CMP, w, reg, rb);
            return;
        }
        reg = rb.reg;
    }
    if (ra.reg != NO_REG) {
        asm_alu(&e->a, ALU_CMP, w, ra.reg, rm_reg(reg));
    } else {
        asm_alu_store(&e->a, ALU_CMP, w, ra, reg);
    }
}

static void emit_setcond(Emit *e, const IROp *op)
{
    int d = emit_own_reg(e, op->dst);

    if (d != NO_REG && rm_of(e, op->a).reg != d && rm_of(e, op->b).reg != d) {
        asm_rr(&e->a, 0x33, 0, d, d);
        emit_compare(e, op->a, op->b, op->b == IR_IMM, op->imm, op->type);
        asm_setcc(&e->a, cc_of(op->cond), d);
    } else {
        d = dst_reg(e, op->dst);
        emit_compare(e, op->a, op->b, op->b == IR_IMM, op->imm, op->type);
        asm_setcc(&e->a, cc_of(op->cond), RAX);
        asm_modrm(&e->a, A_0F | A_BYTE | 0xb6, 0, d, rm_reg(RAX), 0);
    }
    put_ref(e, op->dst, d);
}

static void emit_conditional_zero(Emit *e, const IROp *op)
{
    RM b = rm_b(e, op);

    asm_rr(&e->a, 0x33, 0, RAX, RAX);
    emit_compare(e, op->a, IR_ZERO, false, 0, IR_I64);
    asm_modrm(&e->a, A_0F | 0x40 | (op->opc == IR_CZERO_EQZ ? CC_NE : CC_E), 1, RAX, b, 0);
    finish(e, op, RAX);
}

static void emit_unary(Emit *e, const IROp *op, unsigned opc)
{
    int d = dst_reg(e, op->dst);

    asm_modrm(&e->a, opc, is_wide(op), d, rm_of(e, op->a), 0);
    put_ref(e, op->dst, d);
}

static void emit_bswap(Emit *e, const IROp *op)
{
    int d = dst_reg(e, op->dst), w = is_wide(op);

    load_ref(e, d, op->a);
    if (w || d & 8) {
        asm_byte(&e->a, 0x40 | (w ? 8 : 0) | (d >> 3));
    }
    asm_byte(&e->a, 0x0f);
    asm_byte(&e->a, 0xc8 | (d & 7));
    finish(e, op, d);
}

static void emit_or_bytes(Emit *e, const IROp *op)
{
    int d = dst_reg(e, op->dst);

    asm_modrm(&e->a, A_66 | A_0F | 0x6e, 1, 0, rm_of(e, op->a), 0);
    asm_rr(&e->a, A_66 | A_0F | 0xef, 0, 1, 1);
    /* Twice "equal to zero": 0xff for the bytes that were not zero. */
    asm_rr(&e->a, A_66 | A_0F | 0x74, 0, 0, 1);
    asm_rr(&e->a, A_66 | A_0F | 0x74, 0, 0, 1);
    asm_rr(&e->a, A_66 | A_0F | 0x7e, 1, 0, d);
    put_ref(e, op->dst, d);
}

static void emit_carryless(Emit *e, const IROp *op)
{
    int b = use_b(e, op, RCX);

    asm_modrm(&e->a, A_66 | A_0F | 0x6e, 1, 0, rm_of(e, op->a), 0);
    asm_rr(&e->a, A_66 | A_0F | 0x6e, 1, 1, b);
    asm_modrm(&e->a, A_66 | A_0F3A | 0x44, 0, 0, rm_reg(1), 1);
    asm_byte(&e->a, 0);
    asm_rr(&e->a, A_66 | A_0F | 0x7e, 1, 0, RAX);
    if (op->opc != IR_CLMUL) {
        asm_modrm(&e->a, A_66 | A_0F | 0x73, 0, 3, rm_reg(0), 1);
        asm_byte(&e->a, 8);
        asm_rr(&e->a, A_66 | A_0F | 0x7e, 1, 0, RDX);
        if (op->opc == IR_CLMULR) {
            /* shld rdx, rax, 1 */
            asm_modrm(&e->a, A_0F | 0xa4, 1, RAX, rm_reg(RDX), 1);
            asm_byte(&e->a, 1);
        }
        asm_mov_rr(&e->a, 1, RAX, RDX);
    }
    put_ref(e, op->dst, RAX);
}

static void emit_extend(Emit *e, const IROp *op)
{
    int d = dst_reg(e, op->dst);
    RM a = rm_of(e, op->a);

    switch (op->opc) {
    case IR_SEXT8:
        asm_modrm(&e->a, A_0F | A_BYTE | 0xbe, 1, d, a, 0);
        break;
    case IR_SEXT16:
        asm_modrm(&e->a, A_0F | 0xbf, 1, d, a, 0);
        break;
    case IR_ZEXT8:
        asm_modrm(&e->a, A_0F | A_BYTE | 0xb6, 0, d, a, 0);
        break;
    case IR_ZEXT16:
        asm_modrm(&e->a, A_0F | 0xb7, 0, d, a, 0);
        break;
    case IR_ZEXT32:
        if (is_wide(op)) {
            asm_load(&e->a, 0, d, a);
            break;
        }
        /* fall through */
    default:
        asm_movsxd(&e->a, d, a);
    }
    put_ref(e, op->dst, d);
}

static void emit_move(Emit *e, const IROp *op)
{
    RM a = rm_of(e, op->a);

    if (op->type == IR_I32) {
        emit_extend(e, op);
    } else if (op->a == IR_ZERO) {
        if (emit_own_reg(e, op->dst) != NO_REG) {
            asm_mov_imm(&e->a, emit_own_reg(e, op->dst), 0);
        } else {
            asm_mov_imm(&e->a, RAX, 0);
            put_ref(e, op->dst, RAX);
        }
    } else if (a.reg != NO_REG) {
        put_ref(e, op->dst, a.reg);
    } else {
        int d = dst_reg(e, op->dst);

        load_ref(e, d, op->a);
        put_ref(e, op->dst, d);
    }
}

static void emit_move_imm(Emit *e, const IROp *op)
{
    int own = emit_own_reg(e, op->dst);

    if (own == NO_REG && fits_s32(op->imm) && !ir_is_temp(op->dst)) {
        asm_store_imm32(&e->a, 1, home_of(op->dst), (int32_t)op->imm);
        var_changed(e, op->dst);
        return;
    }
    asm_mov_imm(&e->a, dst_reg(e, op->dst), op->imm);
    put_ref(e, op->dst, dst_reg(e, op->dst));
}

static void emit_pcrel(Emit *e, const IROp *op)
{
    int d = dst_reg(e, op->dst);

    asm_load(&e->a, 1, d, ENV(page_base));
    if (fits_s32(op->imm)) {
        asm_alu_imm(&e->a, ALU_ADD, 1, rm_reg(d), (int32_t)op->imm);
    } else {
        asm_mov_imm(&e->a, RCX, op->imm);
        asm_alu(&e->a, ALU_ADD, 1, d, rm_reg(RCX));
    }
    put_ref(e, op->dst, d);
}

static void emit_load_env(Emit *e, const IROp *op)
{
    static const unsigned opcodes[8] = {A_0F | A_BYTE | 0xb6, A_0F | 0xb7, 0x8b, 0x8b,
                                        A_0F | A_BYTE | 0xbe, A_0F | 0xbf, 0x63, 0x8b};
    unsigned kind = op->mem & (IR_MEM_SIZE | IR_MEM_SIGN);
    int d = dst_reg(e, op->dst);

    asm_modrm(&e->a, opcodes[kind], kind >= 3, d, rm_mem(RBP, (int32_t)op->imm - ENV_BIAS), 0);
    put_ref(e, op->dst, d);
}

void emit_store_env(Emit *e, const IROp *op)
{
    unsigned size = op->mem & IR_MEM_SIZE;
    int reg = use_reg(e, op->a, RCX);

    if (size == 1) {
        asm_modrm(&e->a, A_66 | 0x89, 0, reg, rm_mem(RBP, (int32_t)op->imm - ENV_BIAS), 0);
    } else {
        asm_modrm(&e->a, size ? 0x89 : A_BYTE | 0x88, size == 3, reg,
                  rm_mem(RBP, (int32_t)op->imm - ENV_BIAS), 0);
    }
}

/* What has no code of its own: ir_eval() on the op's description. */
static uint64_t eval_packed(TCGEnv *env, uint64_t a, uint64_t b, uint64_t imm, uint64_t description)
{
    IROp op = {.opc = description & 0xff,
               .type = description >> 8 & 0xff,
               .cond = description >> 16 & 0xff,
               .imm = (int64_t)imm};

    return ir_eval(&op, a, b);
}

static void emit_eval(Emit *e, const IROp *op)
{
    Asm *a = &e->a;

    fp_sync(e);
    asm_mov_imm(a, RAX, (uintptr_t)eval_packed);
    asm_store(a, 1, ENV(scratch[0]), RAX);
    asm_store_imm32(a, 1, ENV(scratch[1]), op->opc | op->type << 8 | op->cond << 16);
    if (op->b == IR_IMM) {
        asm_mov_imm(a, RDX, op->imm);
    } else {
        load_ref(e, RDX, op->b);
    }
    load_ref(e, RAX, op->a);
    asm_mov_imm(a, RCX, op->imm);
    call_thunk(e, x86_host.thunks.fp_call);
    fp_cache_clear(e);
    put_ref(e, op->dst, RAX);
}

/* Ops whose 32-bit form is rare or has no short code. */
static bool lacks_code(const IROp *op)
{
    const HostFeatures *f = &x86_host.features;

    switch (op->opc) {
    case IR_CLZ:
        return !f->lzcnt;
    case IR_CTZ:
        return !f->bmi1;
    case IR_CLMUL:
    case IR_CLMULH:
    case IR_CLMULR:
        return !f->pclmul || op->type == IR_I32;
    case IR_MULHS:
    case IR_MULHU:
    case IR_MULHSU:
    case IR_ORCB:
    case IR_ADDUW:
    case IR_SHLUW:
    case IR_CZERO_EQZ:
    case IR_CZERO_NEZ:
        return op->type == IR_I32;
    default:
        return false;
    }
}

void emit_value(Emit *e, const IROp *op)
{
    if (!ir_op_has_dst(op)) {
        return;
    }
    if (lacks_code(op)) {
        emit_eval(e, op);
        return;
    }
    switch (op->opc) {
    case IR_MOV:
        emit_move(e, op);
        break;
    case IR_MOVI:
        emit_move_imm(e, op);
        break;
    case IR_PCREL:
        emit_pcrel(e, op);
        break;
    case IR_ADD:
        emit_alu(e, op, ALU_ADD, true);
        break;
    case IR_SUB:
        emit_sub(e, op);
        break;
    case IR_AND:
        emit_alu(e, op, ALU_AND, true);
        break;
    case IR_OR:
        emit_alu(e, op, ALU_OR, true);
        break;
    case IR_XOR:
        emit_alu(e, op, ALU_XOR, true);
        break;
    case IR_ANDN:
        emit_alu_not_b(e, op, ALU_AND);
        break;
    case IR_ORN:
        emit_alu_not_b(e, op, ALU_OR);
        break;
    case IR_XNOR:
        emit_alu_not_b(e, op, ALU_XOR);
        break;
    case IR_SHL:
        emit_shift(e, op, SH_SHL);
        break;
    case IR_SHR:
        emit_shift(e, op, SH_SHR);
        break;
    case IR_SAR:
        emit_shift(e, op, SH_SAR);
        break;
    case IR_ROTL:
        emit_shift(e, op, SH_ROL);
        break;
    case IR_ROTR:
        emit_shift(e, op, SH_ROR);
        break;
    case IR_MUL:
        emit_mul(e, op);
        break;
    case IR_MULHS:
    case IR_MULHU:
    case IR_MULHSU:
        emit_mul_high(e, op);
        break;
    case IR_DIVS:
    case IR_DIVU:
    case IR_REMS:
    case IR_REMU:
        emit_divide(e, op);
        break;
    case IR_MINS:
        emit_minmax(e, op, CC_G);
        break;
    case IR_MAXS:
        emit_minmax(e, op, CC_L);
        break;
    case IR_MINU:
        emit_minmax(e, op, CC_A);
        break;
    case IR_MAXU:
        emit_minmax(e, op, CC_B);
        break;
    case IR_SHADD:
    case IR_ADDUW:
        emit_shift_add(e, op);
        break;
    case IR_SHLUW:
        emit_shift_uw(e, op);
        break;
    case IR_BSET:
        emit_bit(e, op, 5);
        break;
    case IR_BCLR:
        emit_bit(e, op, 6);
        break;
    case IR_BINV:
        emit_bit(e, op, 7);
        break;
    case IR_BEXT:
        emit_bit_extract(e, op);
        break;
    case IR_SETCOND:
        emit_setcond(e, op);
        break;
    case IR_CZERO_EQZ:
    case IR_CZERO_NEZ:
        emit_conditional_zero(e, op);
        break;
    case IR_CLZ:
        emit_unary(e, op, A_F3 | A_0F | 0xbd);
        break;
    case IR_CTZ:
        emit_unary(e, op, A_F3 | A_0F | 0xbc);
        break;
    case IR_POPCNT:
        emit_unary(e, op, A_F3 | A_0F | 0xb8);
        break;
    case IR_BSWAP:
        emit_bswap(e, op);
        break;
    case IR_ORCB:
        emit_or_bytes(e, op);
        break;
    case IR_CLMUL:
    case IR_CLMULH:
    case IR_CLMULR:
        emit_carryless(e, op);
        break;
    case IR_LDENV:
        emit_load_env(e, op);
        break;
    default:
        emit_extend(e, op);
    }
}
