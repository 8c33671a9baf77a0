/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An intrusive tree of closed intervals [start, last] of 64-bit numbers, which finds those that overlap a
 * given one. Intervals may overlap and repeat.  Not thread-safe.
 */
#ifndef UTIL_INTERVAL_TREE_H
#define UTIL_INTERVAL_TREE_H

#include "util/compiler.h"

typedef struct IntervalNode IntervalNode;

struct IntervalNode {
    /* set by the caller before insertion, constant while in the tree; start <= last */
    uint64_t start;
    uint64_t last;
    /* the tree's */
    IntervalNode *parent, *left, *right;
    uint64_t subtree_last;
    uint32_t priority;
};

/* All zero is the empty tree. */
typedef struct IntervalTree {
    IntervalNode *root;
    uint32_t seed;
} IntervalTree;

static inline bool interval_tree_is_empty(const IntervalTree *tree)
{
    return tree->root == NULL;
}

void interval_tree_insert(IntervalTree *tree, IntervalNode *node);
/* @node is in @tree. */
void interval_tree_remove(IntervalTree *tree, IntervalNode *node);

/*
 * The intervals that overlap [start, last], by rising start; NULL after the last one.  To remove @node while
 * iterating, fetch the next one first.
 */
IntervalNode *interval_tree_iter_first(const IntervalTree *tree, uint64_t start, uint64_t last);
IntervalNode *interval_tree_iter_next(IntervalNode *node, uint64_t start, uint64_t last);

#endif
