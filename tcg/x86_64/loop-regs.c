/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers of loops.
 *
 * Outside of loops every block keeps the same vars in the same registers.  Within a loop of a block the pinned
 * vars that it uses least lend theirs to vars that it uses more.  The lender's value waits in its home.  Wherever
 * somebody may look - other blocks, C - the vars change places again: in line where the code falls into the loop
 * and out of it, and out of line where a branch leaves or C is called.
 */
#include "tcg/x86_64/emit.h"

#include "util/counters.h"
#include <string.h>

COUNTER(jit_loop_regs, "guest registers that got a host register within a loop");

/* Uses count this much more in a loop within the loop; depths beyond the last count like it. */
static const uint32_t weight_of_depth[] = {0, 1, 8, 64};
/*
 * A var must be worth this much more than the one that lends, for changing places costs up to four moves; and the more
 * branches leave the loop, the fewer its rounds.  Of the values from 2 to 6 and 0 to 5 that were tried these save the
 * most accesses to homes, less the moves, in a boot of Linux and in tests/bench.
 */
#define MIN_GAIN      2
#define GAIN_PER_EXIT 3

/* --- finding loops --- */

/* A label, and the last op that goes back to it. */
typedef struct BackEdge {
    unsigned first, last;
} BackEdge;

static unsigned find_back_edges(Emit *e, BackEdge *edges)
{
    unsigned n = 0, last[IR_MAX_LABELS] = {0};

    for (unsigned i = 0; i < e->b->n_ops; i++) {
        const IROp *op = &e->b->ops[i];
        EmitLabel *label = op->opc == IR_BRCOND || op->opc == IR_JMP ? find_label(e, op->imm) : NULL;

        if (label && label->op_index <= i) {
            last[label - e->labels] = i;
        }
    }
    for (unsigned i = 0; i < e->n_labels; i++) {
        if (last[i]) {
            edges[n++] = (BackEdge){.first = e->labels[i].op_index, .last = last[i]};
        }
    }
    return n;
}

/* --- choosing --- */

typedef struct Uses {
    uint32_t weight[TCG_MAX_VARS];
    uint64_t written;
    unsigned min_gain;
} Uses;

static unsigned depth_at(const BackEdge *edges, unsigned n, unsigned op)
{
    unsigned depth = 0;

    for (unsigned i = 0; i < n; i++) {
        depth += edges[i].first <= op && op <= edges[i].last;
    }
    return MIN(depth, G_N_ELEMENTS(weight_of_depth) - 1);
}

static void count_var(Uses *uses, IRRef r, uint32_t weight)
{
    if (r != IR_ZERO && r < TCG_MAX_VARS) {
        uses->weight[r] += weight;
    }
}

static bool leaves_loop(Emit *e, const LoopRegs *loop, const IROp *op)
{
    EmitLabel *label = op->opc == IR_BRCOND ? find_label(e, op->imm) : NULL;

    return op->opc == IR_BRCOND && !(label && loop->first <= label->op_index && label->op_index <= loop->last);
}

/* False: the loop calls C in any case, which wants all vars in their places. */
static bool count_loop_uses(Emit *e, const LoopRegs *loop, const BackEdge *edges, unsigned n, Uses *uses)
{
    memset(uses, 0, sizeof(*uses));
    uses->min_gain = MIN_GAIN;
    for (unsigned i = loop->first; i <= loop->last; i++) {
        const IROp *op = &e->b->ops[i];
        uint32_t weight = weight_of_depth[depth_at(edges, n, i)];
        IRRef in[3];

        if (ir_op_kind(op->opc) == IR_KIND_CALL) {
            return false;
        }
        if (leaves_loop(e, loop, op)) {
            uses->min_gain += GAIN_PER_EXIT;
        }
        for (unsigned k = ir_op_inputs(op, in); k-- > 0;) {
            count_var(uses, in[k], weight);
        }
        if (ir_op_has_dst(op) && op->dst < TCG_MAX_VARS) {
            count_var(uses, op->dst, weight);
            uses->written |= 1ULL << op->dst;
        }
    }
    return true;
}

/* The var without a register that the loop uses most; 0: none. */
static unsigned best_var(const LoopRegs *loop, const Uses *uses)
{
    unsigned best = 0;

    for (unsigned v = 1; v < TCG_MAX_VARS; v++) {
        if (loop->map.reg[v] == NO_REG && !(tcg_state.guest->fp_vars >> v & 1) &&
            uses->weight[v] > uses->weight[best]) {
            best = v;
        }
    }
    return best;
}

/* The register whose pinned var the loop uses least. */
static int cheapest_register(const LoopRegs *loop, const Uses *uses)
{
    int best = NO_REG;

    for (int reg = 0; reg < 16; reg++) {
        unsigned v = x86_host.pins.var[reg];

        if (v && loop->map.var[reg] == v &&
            (best == NO_REG || uses->weight[v] < uses->weight[x86_host.pins.var[best]])) {
            best = reg;
        }
    }
    return best;
}

static bool swap_one(LoopRegs *loop, const Uses *uses)
{
    unsigned var = best_var(loop, uses), lender;
    int reg = cheapest_register(loop, uses);

    if (!var || reg == NO_REG) {
        return false;
    }
    lender = x86_host.pins.var[reg];
    if (uses->weight[var] < uses->weight[lender] + uses->min_gain) {
        return false;
    }
    loop->map.reg[lender] = NO_REG;
    loop->map.reg[var] = reg;
    loop->map.var[reg] = var;
    counter_inc(jit_loop_regs);
    return true;
}

/* Adds a loop, or makes the one before larger when they overlap. */
static void add_loop(Emit *e, const BackEdge *edge)
{
    LoopRegs *before = e->n_loops ? &e->loops[e->n_loops - 1] : NULL;

    if (before && edge->first <= before->last) {
        before->last = MAX(before->last, edge->last);
    } else {
        e->loops[e->n_loops++] = (LoopRegs){.first = edge->first, .last = edge->last};
    }
}

void plan_loops(Emit *e)
{
    BackEdge edges[IR_MAX_LABELS];
    unsigned n, kept = 0;

    if (!e->n_labels || tcg_state.config.no_loop_regs || tcg_state.config.no_optimize) {
        return;
    }
    /* labels, and so edges, are in the order of their ops */
    n = find_back_edges(e, edges);
    for (unsigned i = 0; i < n; i++) {
        add_loop(e, &edges[i]);
    }
    for (unsigned i = 0; i < e->n_loops; i++) {
        LoopRegs loop = e->loops[i];
        Uses uses;

        loop.map = x86_host.pins;
        if (count_loop_uses(e, &loop, edges, n, &uses) && swap_one(&loop, &uses)) {
            while (swap_one(&loop, &uses)) {
                /* the next best */
            }
            loop.written = uses.written;
            e->loops[kept++] = loop;
        }
    }
    e->n_loops = kept;
}

/* --- changing places --- */

unsigned loop_at(const Emit *e, unsigned op_index)
{
    for (unsigned i = 0; i < e->n_loops; i++) {
        if (e->loops[i].first <= op_index && op_index <= e->loops[i].last) {
            return i + 1;
        }
    }
    return 0;
}

static void move_in(Emit *e, const LoopRegs *loop)
{
    for (int reg = 0; reg < 16; reg++) {
        if (loop->map.var[reg] != x86_host.pins.var[reg]) {
            asm_store(&e->a, 1, home_of(x86_host.pins.var[reg]), reg);
            asm_load(&e->a, 1, reg, home_of(loop->map.var[reg]));
        }
    }
}

static void move_out(Emit *e, const LoopRegs *loop)
{
    for (int reg = 0; reg < 16; reg++) {
        unsigned var = loop->map.var[reg];

        if (var != x86_host.pins.var[reg]) {
            if (loop->written >> var & 1) {
                asm_store(&e->a, 1, home_of(var), reg);
            }
            asm_load(&e->a, 1, reg, home_of(x86_host.pins.var[reg]));
        }
    }
}

void set_loop(Emit *e, unsigned loop)
{
    e->loop = loop;
    e->map = loop ? &e->loops[loop - 1].map : &x86_host.pins;
}

void enter_loop(Emit *e, unsigned loop)
{
    if (e->loop == loop) {
        return;
    }
    if (e->loop) {
        move_out(e, &e->loops[e->loop - 1]);
    }
    if (loop) {
        move_in(e, &e->loops[loop - 1]);
    }
    set_loop(e, loop);
}

/* --- calls from within a loop --- */

void emit_loop_movers(Emit *e)
{
    for (unsigned i = 0; i < e->n_loops; i++) {
        LoopRegs *loop = &e->loops[i];

        loop->out = asm_offset(&e->a);
        move_out(e, loop);
        asm_byte(&e->a, 0xc3);
        loop->in = asm_offset(&e->a);
        move_in(e, loop);
        asm_byte(&e->a, 0xc3);
    }
}

static void call_offset(Emit *e, uint32_t offset)
{
    asm_byte(&e->a, 0xe8);
    asm_u32(&e->a, 0);
    asm_patch_to(&e->a, asm_offset(&e->a) - 4, offset);
}

void call_thunk(Emit *e, const void *thunk)
{
    const LoopRegs *loop = e->loop ? &e->loops[e->loop - 1] : NULL;

    if (!loop) {
        asm_call(&e->a, thunk);
    } else if (loop->out) {
        call_offset(e, loop->out);
        asm_call(&e->a, thunk);
        call_offset(e, loop->in);
    } else {
        move_out(e, loop);
        asm_call(&e->a, thunk);
        move_in(e, loop);
    }
}
