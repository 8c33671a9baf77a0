/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The IR as data: building blocks, properties of ops, and text for people. */
#include "tcg/tcg-internal.h"

#include <inttypes.h>
#include <string.h>

static const char *const op_names[] = {
#define IR_NAME(name, kind, properties) #name,
    IR_OPS(IR_NAME)
#undef IR_NAME
};

const uint8_t ir_op_kinds[IR_NUM_OPS] = {
#define IR_KIND(name, kind, properties) IR_KIND_##kind,
    IR_OPS(IR_KIND)
#undef IR_KIND
};

const uint16_t ir_op_props[IR_NUM_OPS] = {
#define IR_PROPS(name, kind, properties) IR_P_OF_##kind | (properties),
    IR_OPS(IR_PROPS)
#undef IR_PROPS
};

const char *ir_op_name(IROpcode opc)
{
    return opc < IR_NUM_OPS ? op_names[opc] : "?";
}

void ir_block_reset(IRBlock *b, const TCGGuest *guest)
{
    memset(b, 0, offsetof(IRBlock, ops));
    b->guest = guest;
}

IRRef ir_temp(IRBlock *b)
{
    if (b->n_temps >= TCG_MAX_TEMPS) {
        /* A front end that ignores ir_block_nearly_full() gets a full block, not a wild index. */
        b->n_ops = IR_MAX_OPS;
        return IR_TEMP0;
    }
    return IR_TEMP0 + b->n_temps++;
}

IROp *ir_emit(IRBlock *b, IROpcode opc, IRRef dst, IRRef a, IRRef bb, int64_t imm)
{
    /* Where ops of a full block go. */
    static __thread IROp dropped;
    IROp *op = b->n_ops < IR_MAX_OPS ? &b->ops[b->n_ops++] : &dropped;

    memset(op, 0, sizeof(*op));
    op->opc = opc;
    op->dst = dst;
    op->a = a;
    op->b = bb;
    op->c = IR_NONE;
    op->imm = imm;
    return op;
}

static void dump_ref(GString *out, const IRBlock *b, IRRef r, const IROp *op)
{
    if (r == IR_ZERO) {
        g_string_append(out, " 0");
    } else if (r == IR_IMM) {
        g_string_append_printf(out, " #%" PRId64, op->opc == IR_BRCOND ? (int64_t)op->aux : op->imm);
    } else if (r < TCG_MAX_VARS) {
        const char *name = b->guest ? b->guest->var_names[r] : NULL;

        if (name) {
            g_string_append_printf(out, " %s", name);
        } else {
            g_string_append_printf(out, " v%u", r);
        }
    } else if (ir_is_temp(r)) {
        g_string_append_printf(out, " t%u", r - IR_TEMP0);
    }
}

static void dump_op(GString *out, const IRBlock *b, const IROp *op)
{
    static const char *const types[] = {"", ".i32", ".f64", ".f32", ".f16"};
    static const char *const conds[] = {"eq", "ne", "lt", "ge", "ltu", "geu", "le", "gt", "leu", "gtu"};

    if (op->opc == IR_INSN) {
        g_string_append_printf(out, "  --- +0x%03" PRIx64 " (%d)\n", (uint64_t)op->imm, op->aux);
        return;
    }
    g_string_append_printf(out, "  %s%s", ir_op_name(op->opc), op->type < 5 ? types[op->type] : ".?");
    if ((op->opc == IR_BRCOND || op->opc == IR_SETCOND) && op->cond < 10) {
        g_string_append_printf(out, ".%s", conds[op->cond]);
    }
    if (op->mem) {
        g_string_append_printf(out, ".%u%s", 8u << (op->mem & IR_MEM_SIZE), op->mem & IR_MEM_SIGN ? "s" : "");
    }
    if (ir_op_kind(op->opc) == IR_KIND_FP && op->rm) {
        g_string_append_printf(out, ".rm%u", op->rm);
    }
    if (op->flags & IR_VALUE_LOW32 && ir_op_kind(op->opc) == IR_KIND_VALUE) {
        g_string_append(out, ".lo");
    }
    if (ir_op_has_dst(op)) {
        dump_ref(out, b, op->dst, op);
        g_string_append(out, " =");
    }
    dump_ref(out, b, op->a, op);
    dump_ref(out, b, op->b, op);
    dump_ref(out, b, op->c, op);
    if (op->imm && op->b != IR_IMM) {
        g_string_append_printf(out, " imm=0x%" PRIx64, (uint64_t)op->imm);
    }
    g_string_append_c(out, '\n');
}

void ir_dump(const IRBlock *b, void *gstring)
{
    for (unsigned i = 0; i < b->n_ops; i++) {
        dump_op(gstring, b, &b->ops[i]);
    }
}
