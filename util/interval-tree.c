/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A treap ordered by start: random priorities keep it balanced, and subtree_last, the largest end in each
 * subtree, lets a search leave out subtrees that end too early.
 */
#include "util/interval-tree.h"

static uint64_t last_of(const IntervalNode *node)
{
    return node ? node->subtree_last : 0;
}

static void update_last(IntervalNode *node)
{
    uint64_t last = node->last;

    last = last_of(node->left) > last ? last_of(node->left) : last;
    last = last_of(node->right) > last ? last_of(node->right) : last;
    node->subtree_last = last;
}

static uint32_t next_priority(IntervalTree *tree)
{
    uint32_t x = tree->seed ? tree->seed : 2463534242u;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return tree->seed = x;
}

/* Makes @child take the place of @node under node's parent. */
static void replace(IntervalTree *tree, IntervalNode *node, IntervalNode *child)
{
    IntervalNode *parent = node->parent;

    if (!parent) {
        tree->root = child;
    } else if (parent->left == node) {
        parent->left = child;
    } else {
        parent->right = child;
    }
    if (child) {
        child->parent = parent;
    }
}

/* Swaps @node with its parent, keeping the order. */
static void rotate_up(IntervalTree *tree, IntervalNode *node)
{
    IntervalNode *parent = node->parent;
    IntervalNode *inner;

    replace(tree, parent, node);
    if (parent->left == node) {
        inner = parent->left = node->right;
        node->right = parent;
    } else {
        inner = parent->right = node->left;
        node->left = parent;
    }
    if (inner) {
        inner->parent = parent;
    }
    parent->parent = node;
    update_last(parent);
    update_last(node);
}

void interval_tree_insert(IntervalTree *tree, IntervalNode *node)
{
    IntervalNode *parent = NULL, **link = &tree->root;

    while (*link) {
        parent = *link;
        if (parent->subtree_last < node->last) {
            parent->subtree_last = node->last;
        }
        link = node->start < parent->start ? &parent->left : &parent->right;
    }
    *link = node;
    node->parent = parent;
    node->left = node->right = NULL;
    node->subtree_last = node->last;
    node->priority = next_priority(tree);
    while (node->parent && node->parent->priority < node->priority) {
        rotate_up(tree, node);
    }
}

void interval_tree_remove(IntervalTree *tree, IntervalNode *node)
{
    while (node->left && node->right) {
        rotate_up(tree, node->left->priority > node->right->priority ? node->left : node->right);
    }
    replace(tree, node, node->left ? node->left : node->right);
    for (IntervalNode *above = node->parent; above; above = above->parent) {
        update_last(above);
    }
    node->parent = node->left = node->right = NULL;
}

/* The first overlapping node in the subtree of @node, given that some node in it ends at or after @start. */
static IntervalNode *first_in_subtree(IntervalNode *node, uint64_t start, uint64_t last)
{
    for (;;) {
        if (node->left && node->left->subtree_last >= start) {
            /* if none there overlaps, its late one starts past @last, and so does everything to the right */
            node = node->left;
        } else if (node->start > last) {
            return NULL;
        } else if (node->last >= start) {
            return node;
        } else if (node->right && node->right->subtree_last >= start) {
            node = node->right;
        } else {
            return NULL;
        }
    }
}

IntervalNode *interval_tree_iter_first(const IntervalTree *tree, uint64_t start, uint64_t last)
{
    IntervalNode *root = tree->root;

    return root && root->subtree_last >= start ? first_in_subtree(root, start, last) : NULL;
}

IntervalNode *interval_tree_iter_next(IntervalNode *node, uint64_t start, uint64_t last)
{
    for (;;) {
        IntervalNode *child;

        if (node->right && node->right->subtree_last >= start) {
            return first_in_subtree(node->right, start, last);
        }
        do {
            child = node;
            node = node->parent;
        } while (node && child == node->right);
        if (!node || node->start > last) {
            return NULL;
        }
        if (node->last >= start) {
            return node;
        }
    }
}
