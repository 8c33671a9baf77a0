/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The backward pass: writes that nobody can see go away, and 32-bit ops whose upper half nobody looks at lose their
 * sign extension.  Everybody looks at every var where an op may fault, call or leave: between two such ops vars are
 * as free as temps.
 */
#include "tcg/tcg-internal.h"

#include <string.h>

/* Bits of refs: [0] vars, [1] temps. */
typedef struct Need {
    uint64_t low[2], high[2];
} Need;

static bool bit_of(const uint64_t set[2], IRRef r)
{
    return set[r >> 6] >> (r & 63) & 1;
}

static void need_ref(Need *n, IRRef r, bool high)
{
    if (r != IR_ZERO && ir_is_ref(r)) {
        n->low[r >> 6] |= 1ULL << (r & 63);
        if (high) {
            n->high[r >> 6] |= 1ULL << (r & 63);
        }
    }
}

/* Whether the low half of the result depends on the low halves of the operands only. */
static bool low_from_low(const IROp *op)
{
    switch (op->opc) {
    case IR_MOV:
    case IR_ADD:
    case IR_SUB:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_ANDN:
    case IR_ORN:
    case IR_XNOR:
    case IR_MUL:
    case IR_ADDUW:
    case IR_SHADD:
        return true;
    case IR_SHL:
        return op->b == IR_IMM;
    default:
        return false;
    }
}

static bool reads_low_only(const IROp *op)
{
    switch (op->opc) {
    case IR_SEXT8:
    case IR_SEXT16:
    case IR_SEXT32:
    case IR_ZEXT8:
    case IR_ZEXT16:
    case IR_ZEXT32:
        return true;
    case IR_MOV:
    case IR_ADD:
    case IR_SUB:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_ANDN:
    case IR_ORN:
    case IR_XNOR:
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROTL:
    case IR_ROTR:
    case IR_MUL:
        return op->type == IR_I32;
    default:
        return false;
    }
}

/* Whether the back ends know how to leave the upper half of the result alone. */
static bool may_skip_extension(const IROp *op)
{
    return op->type == IR_I32 && reads_low_only(op) && op->opc != IR_SEXT32;
}

static bool is_last_chance_dead(const IROp *op, const Need *n)
{
    return ir_op_kind(op->opc) == IR_KIND_VALUE &&
           (!ir_op_has_dst(op) || !bit_of(n->low, op->dst) ||
            (op->opc == IR_MOV && op->type == IR_I64 && op->a == op->dst));
}

void tcg_optimize_backward(IRBlock *b)
{
    Need n = {.low = {~0ULL, 0}, .high = {~0ULL, 0}};
    unsigned out = b->n_ops;

    for (unsigned i = b->n_ops; i-- > 0;) {
        IROp op = b->ops[i];
        bool value = ir_op_kind(op.opc) == IR_KIND_VALUE, high = true;
        IRRef in[3];
        unsigned n_in;

        if (is_last_chance_dead(&op, &n)) {
            continue;
        }
        if (ir_op_has_dst(&op)) {
            uint64_t bit = 1ULL << (op.dst & 63);

            high = n.high[op.dst >> 6] & bit;
            n.low[op.dst >> 6] &= ~bit;
            n.high[op.dst >> 6] &= ~bit;
        }
        if (value && !high && may_skip_extension(&op)) {
            op.flags |= IR_VALUE_LOW32;
        }
        if (ir_op_sees_vars(&op)) {
            n.low[0] = n.high[0] = ~0ULL;
        }
        n_in = ir_op_inputs(&op, in);
        for (unsigned k = 0; k < n_in; k++) {
            need_ref(&n, in[k], !(value && (reads_low_only(&op) || (!high && low_from_low(&op)))));
        }
        b->ops[--out] = op;
    }
    memmove(b->ops, b->ops + out, (b->n_ops - out) * sizeof(IROp));
    b->n_ops -= out;
}
