/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds the accesses that can share one TLB check: saves and restores of a stack frame, fields of a struct,
 * unrolled copies.  Between the first and the last of a group nothing may poll, call C (but for slow paths,
 * which end what the check proved) or change the base, so that a mapping that was there for the first is
 * there for all.
 */
#include "tcg/x86_64/emit.h"

#include <string.h>

#define MAX_OPEN 12

typedef struct Planner {
    Emit *e;
    MemGroup open[MAX_OPEN];
    uint8_t number[MAX_OPEN]; /* in e->groups */
    unsigned n_open;
} Planner;

static void drop_group(Emit *e, unsigned number)
{
    for (unsigned i = e->groups[number].first; i <= e->groups[number].last; i++) {
        if (e->op_group[i] == number + 1) {
            e->op_group[i] = 0;
        }
    }
    e->groups[number].count = 0;
}

static void close_group(Planner *p, unsigned k)
{
    unsigned number = p->number[k];

    p->e->groups[number] = p->open[k];
    if (p->open[k].count < 2) {
        drop_group(p->e, number);
    }
    p->n_open--;
    p->open[k] = p->open[p->n_open];
    p->number[k] = p->number[p->n_open];
}

static void close_all(Planner *p)
{
    while (p->n_open) {
        close_group(p, p->n_open - 1);
    }
}

static bool ends_groups(const IROp *op)
{
    switch (op->opc) {
    case IR_LABEL:
    case IR_CALL_JUMP:
        return true;
    case IR_CALL:
        return !(op->flags & IR_CALL_PURE);
    default:
        return false;
    }
}

static bool is_candidate(const IROp *op)
{
    return (op->opc == IR_LD || op->opc == IR_ST) && op->a != IR_ZERO && !(op->mem & IR_MEM_ALIGN) &&
           fits_s32(op->imm) && op->imm < INT32_MAX - 8;
}

static bool join_group(Planner *p, unsigned index, const IROp *op)
{
    int64_t end = op->imm + (1 << (op->mem & IR_MEM_SIZE));

    for (unsigned k = 0; k < p->n_open; k++) {
        MemGroup *g = &p->open[k];

        if (g->base == op->a && g->opc == op->opc) {
            int64_t min = MIN(g->min, op->imm), max = MAX(g->end, end);

            if (max - min > MAX_GROUP_SPAN || g->count == 255) {
                close_group(p, k);
                return false;
            }
            g->min = min;
            g->end = max;
            g->last = index;
            g->count++;
            p->e->op_group[index] = p->number[k] + 1;
            return true;
        }
    }
    return false;
}

static void open_group(Planner *p, unsigned index, const IROp *op)
{
    Emit *e = p->e;

    if (p->n_open == MAX_OPEN) {
        close_group(p, 0);
    }
    if (e->n_groups == MAX_GROUPS) {
        return;
    }
    p->open[p->n_open] = (MemGroup){.min = op->imm,
                                    .end = op->imm + (1 << (op->mem & IR_MEM_SIZE)),
                                    .base = op->a,
                                    .opc = op->opc,
                                    .count = 1,
                                    .first = index,
                                    .last = index};
    p->number[p->n_open++] = e->n_groups;
    e->op_group[index] = ++e->n_groups;
}

static void close_by_base(Planner *p, IRRef base)
{
    for (unsigned k = p->n_open; k-- > 0;) {
        if (p->open[k].base == base) {
            close_group(p, k);
        }
    }
}

/* Groups whose lives overlap have different slots; one too many goes without. */
static void assign_slots(Emit *e)
{
    uint16_t busy_until[8] = {0};

    for (unsigned i = 0; i < e->n_groups; i++) {
        MemGroup *g = &e->groups[i];
        unsigned slot = FIRST_GROUP_SLOT;

        if (!g->count) {
            continue;
        }
        while (slot < 8 && busy_until[slot] > g->first) {
            slot++;
        }
        if (slot == 8) {
            drop_group(e, i);
        } else {
            g->slot = slot;
            busy_until[slot] = g->last + 1;
        }
    }
}

void plan_groups(Emit *e)
{
    Planner p = {.e = e};

    memset(e->op_group, 0, e->b->n_ops);
    if (tcg_state.config.no_optimize) {
        return;
    }
    for (unsigned i = 0; i < e->b->n_ops; i++) {
        const IROp *op = &e->b->ops[i];

        if (ends_groups(op)) {
            close_all(&p);
        } else if (is_candidate(op) && !join_group(&p, i, op)) {
            open_group(&p, i, op);
        }
        if (ir_op_has_dst(op)) {
            close_by_base(&p, op->dst);
        }
    }
    close_all(&p);
    assign_slots(e);
}

const MemGroup *group_of(const Emit *e, const IROp *op)
{
    unsigned number = e->op_group[op - e->b->ops];

    return number ? &e->groups[number - 1] : NULL;
}
