/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Integer arithmetic and control transfer: mostly one IR op per instruction. */
#include "translate.h"

/* --- register-register and register-immediate --- */
static bool reg_reg(DisasContext *ctx, const RISCVInsn *i, IROpcode opc, IRType type)
{
    ir_emit(ctx->ir, opc, i->rd, i->rs1, i->rs2, 0)->type = type;
    return true;
}

static bool reg_imm(DisasContext *ctx, const RISCVInsn *i, IROpcode opc, IRType type)
{
    ir_emit(ctx->ir, opc, i->rd, i->rs1, IR_IMM, i->imm)->type = type;
    return true;
}

static bool set_cond(DisasContext *ctx, const RISCVInsn *i, IRCond cond, IRRef b)
{
    ir_emit(ctx->ir, IR_SETCOND, i->rd, i->rs1, b, b == IR_IMM ? i->imm : 0)->cond = cond;
    return true;
}

#define TRANS_RR(insn, opc, type)                                                                            \
    bool trans_##insn(DisasContext *ctx, const RISCVInsn *i)                                                 \
    {                                                                                                        \
        return reg_reg(ctx, i, IR_##opc, IR_##type);                                                         \
    }
#define TRANS_RI(insn, opc, type)                                                                            \
    bool trans_##insn(DisasContext *ctx, const RISCVInsn *i)                                                 \
    {                                                                                                        \
        return reg_imm(ctx, i, IR_##opc, IR_##type);                                                         \
    }
#define TRANS_SET(insn, cond, b)                                                                             \
    bool trans_##insn(DisasContext *ctx, const RISCVInsn *i)                                                 \
    {                                                                                                        \
        return set_cond(ctx, i, IR_##cond, b);                                                               \
    }

TRANS_RR(add, ADD, I64)
TRANS_RR(sub, SUB, I64)
TRANS_RR(sll, SHL, I64)
TRANS_RR(srl, SHR, I64)
TRANS_RR(sra, SAR, I64)
TRANS_RR(xor, XOR, I64)
TRANS_RR(or, OR, I64)
TRANS_RR(and, AND, I64)
TRANS_RR(addw, ADD, I32)
TRANS_RR(subw, SUB, I32)
TRANS_RR(sllw, SHL, I32)
TRANS_RR(srlw, SHR, I32)
TRANS_RR(sraw, SAR, I32)
TRANS_RI(xori, XOR, I64)
TRANS_RI(ori, OR, I64)
TRANS_RI(andi, AND, I64)
TRANS_RI(srli, SHR, I64)
TRANS_RI(srai, SAR, I64)
TRANS_RI(slliw, SHL, I32)
TRANS_RI(srliw, SHR, I32)
TRANS_RI(sraiw, SAR, I32)
TRANS_SET(slt, LT, i->rs2)
TRANS_SET(sltu, LTU, i->rs2)
TRANS_SET(slti, LT, IR_IMM)
TRANS_SET(sltiu, LTU, IR_IMM)

TRANS_RR(mul, MUL, I64)
TRANS_RR(mulh, MULHS, I64)
TRANS_RR(mulhu, MULHU, I64)
TRANS_RR(mulhsu, MULHSU, I64)
TRANS_RR(div, DIVS, I64)
TRANS_RR(divu, DIVU, I64)
TRANS_RR(rem, REMS, I64)
TRANS_RR(remu, REMU, I64)
TRANS_RR(mulw, MUL, I32)
TRANS_RR(divw, DIVS, I32)
TRANS_RR(divuw, DIVU, I32)
TRANS_RR(remw, REMS, I32)
TRANS_RR(remuw, REMU, I32)

bool trans_addi(DisasContext *ctx, const RISCVInsn *i)
{
    if (i->rs1 == 0) {
        ir_emit(ctx->ir, IR_MOVI, i->rd, IR_NONE, IR_NONE, i->imm);
    } else if (i->imm == 0) {
        ir_emit(ctx->ir, IR_MOV, i->rd, i->rs1, IR_NONE, 0);
    } else {
        reg_imm(ctx, i, IR_ADD, IR_I64);
    }
    return true;
}

bool trans_addiw(DisasContext *ctx, const RISCVInsn *i)
{
    if (i->imm == 0) {
        ir_emit(ctx->ir, IR_SEXT32, i->rd, i->rs1, IR_NONE, 0);
        return true;
    }
    return reg_imm(ctx, i, IR_ADD, IR_I32);
}

/* slli + srli of one register: takes bits out of the middle. */
static bool fuse_zero_extension(DisasContext *ctx, const RISCVInsn *i)
{
    const RISCVInsn *n = peek_insn(ctx);

    if (!n || n->id != INSN_srli || n->rd != i->rd || n->rs1 != i->rd || i->rd == 0) {
        return false;
    }
    if (i->imm == 32 && n->imm == 32) {
        swallow_insn(ctx);
        ir_emit(ctx->ir, IR_ZEXT32, i->rd, i->rs1, IR_NONE, 0);
    } else if (i->imm == 48 && n->imm == 48) {
        swallow_insn(ctx);
        ir_emit(ctx->ir, IR_ZEXT16, i->rd, i->rs1, IR_NONE, 0);
    } else if (i->imm == 32 && n->imm < 32) {
        swallow_insn(ctx);
        ir_emit(ctx->ir, IR_SHLUW, i->rd, i->rs1, IR_NONE, 32 - n->imm);
    } else {
        return false;
    }
    return true;
}

bool trans_slli(DisasContext *ctx, const RISCVInsn *i)
{
    return fuse_zero_extension(ctx, i) || reg_imm(ctx, i, IR_SHL, IR_I64);
}

bool trans_lui(DisasContext *ctx, const RISCVInsn *i)
{
    const RISCVInsn *n = peek_insn(ctx);
    int64_t value = i->imm;

    if (n && i->rd && n->rd == i->rd && n->rs1 == i->rd && (n->id == INSN_addi || n->id == INSN_addiw)) {
        swallow_insn(ctx);
        value += n->imm;
        value = n->id == INSN_addiw ? (int32_t)value : value;
    }
    if (value == (int32_t)value) {
        ctx->lui[i->rd] = value;
        ctx->lui_valid |= BIT(i->rd);
    } else {
        ctx->lui_valid &= ~BIT(i->rd);
    }
    ir_emit(ctx->ir, IR_MOVI, i->rd, IR_NONE, IR_NONE, value);
    return true;
}

/* --- control transfer --- */
static void gen_link(DisasContext *ctx, unsigned rd)
{
    if (rd) {
        ir_emit(ctx->ir, IR_PCREL, rd, IR_NONE, IR_NONE, ctx->next);
    }
}

/* A jump to a known place, with the return address in @rd. */
static void gen_direct_call(DisasContext *ctx, unsigned rd, int64_t target)
{
    gen_link(ctx, rd);
    gen_jump(ctx, target);
}

bool trans_auipc(DisasContext *ctx, const RISCVInsn *i)
{
    const RISCVInsn *n = peek_insn(ctx);
    int64_t value = (int64_t)ctx->offset + i->imm;

    if (n && i->rd && n->rs1 == i->rd && n->id == INSN_jalr) {
        unsigned link = n->rd;

        value = (value + n->imm) & ~INT64_C(1);
        if (link != i->rd) {
            ir_emit(ctx->ir, IR_PCREL, i->rd, IR_NONE, IR_NONE, (int64_t)ctx->offset + i->imm);
        }
        swallow_insn(ctx);
        gen_direct_call(ctx, link, value);
        return true;
    }
    if (n && i->rd && n->rs1 == i->rd && n->rd == i->rd && n->id == INSN_addi) {
        swallow_insn(ctx);
        value += n->imm;
    }
    ir_emit(ctx->ir, IR_PCREL, i->rd, IR_NONE, IR_NONE, value);
    return true;
}

bool trans_jal(DisasContext *ctx, const RISCVInsn *i)
{
    int64_t target = (int64_t)ctx->offset + i->imm;

    if (i->rd == 0 && target > ctx->offset && ctx->at + 1 < ctx->n_insns &&
        ctx->insns[ctx->at + 1].offset == target) {
        return true; /* the block goes on there */
    }
    gen_direct_call(ctx, i->rd, target);
    return true;
}

bool trans_jalr(DisasContext *ctx, const RISCVInsn *i)
{
    IRRef base = i->rs1;

    if (i->rd && i->rd == i->rs1) {
        base = ir_temp(ctx->ir);
        ir_emit(ctx->ir, IR_MOV, base, i->rs1, IR_NONE, 0);
    }
    gen_link(ctx, i->rd);
    ir_emit(ctx->ir, IR_JMP_IND, IR_NONE, base, IR_NONE, i->imm);
    ctx->done = true;
    return true;
}

static bool branch(DisasContext *ctx, const RISCVInsn *i, IRCond taken, IRCond not_taken)
{
    int64_t target = (int64_t)ctx->offset + i->imm;

    if (in_page(target)) {
        ir_emit(ctx->ir, IR_BRCOND, IR_NONE, i->rs1, i->rs2, target)->cond = taken;
        return true;
    }
    /* only far jumps leave the page, so the near way out is the conditional one */
    if (in_page(ctx->next)) {
        ir_emit(ctx->ir, IR_BRCOND, IR_NONE, i->rs1, i->rs2, ctx->next)->cond = not_taken;
        gen_jump(ctx, target);
        return true;
    }
    /* neither way stays in the page: choose the address by arithmetic */
    {
        IRRef c = ir_temp(ctx->ir), d = ir_temp(ctx->ir), here = ir_temp(ctx->ir), to = ir_temp(ctx->ir);

        ir_emit(ctx->ir, IR_SETCOND, c, i->rs1, i->rs2, 0)->cond = taken;
        ir_emit(ctx->ir, IR_MUL, d, c, IR_IMM, target - ctx->next);
        ir_emit(ctx->ir, IR_PCREL, here, IR_NONE, IR_NONE, ctx->next);
        ir_emit(ctx->ir, IR_ADD, to, here, d, 0);
        ir_emit(ctx->ir, IR_JMP_IND, IR_NONE, to, IR_NONE, 0);
        ctx->done = true;
    }
    return true;
}

#define TRANS_BRANCH(insn, taken, not_taken)                                                                 \
    bool trans_##insn(DisasContext *ctx, const RISCVInsn *i)                                                 \
    {                                                                                                        \
        return branch(ctx, i, IR_##taken, IR_##not_taken);                                                   \
    }
TRANS_BRANCH(beq, EQ, NE)
TRANS_BRANCH(bne, NE, EQ)
TRANS_BRANCH(blt, LT, GE)
TRANS_BRANCH(bge, GE, LT)
TRANS_BRANCH(bltu, LTU, GEU)
TRANS_BRANCH(bgeu, GEU, LTU)
