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
    return ir_op_is(op->opc, IR_P_LOW_FROM_LOW) || (op->opc == IR_SHL && op->b == IR_IMM);
}

/* An extension at its end is all that makes the upper half: the back ends can leave it out. */
static bool may_skip_extension(const IROp *op)
{
    return op->type == IR_I32 && ir_op_is(op->opc, IR_P_READS_LOW32);
}

static bool reads_low_only(const IROp *op)
{
    return ir_op_is(op->opc, IR_P_READS_LOW) || may_skip_extension(op);
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
