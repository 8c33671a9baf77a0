/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The interval tree against a plain array, at random. */
#include "util/interval-tree.h"

#include <glib.h>

#define N 200

static void check_query(IntervalTree *tree, IntervalNode *nodes, const bool *inside, uint64_t start,
                        uint64_t last)
{
    unsigned expected = 0, found = 0;
    uint64_t previous = 0;

    for (unsigned i = 0; i < N; i++) {
        expected += inside[i] && nodes[i].start <= last && nodes[i].last >= start;
    }
    for (IntervalNode *node = interval_tree_iter_first(tree, start, last); node;
         node = interval_tree_iter_next(node, start, last)) {
        g_assert_true(inside[node - nodes]);
        g_assert_true(node->start <= last && node->last >= start);
        g_assert_cmpuint(node->start, >=, previous);
        previous = node->start;
        found++;
    }
    g_assert_cmpuint(found, ==, expected);
}

static void test_random(void)
{
    GRand *rng = g_rand_new_with_seed(3);
    IntervalTree tree = {0};
    IntervalNode nodes[N];
    bool inside[N] = {false};

    for (unsigned round = 0; round < 4000; round++) {
        unsigned i = g_rand_int_range(rng, 0, N);
        uint64_t start = g_rand_int_range(rng, 0, 1000);

        if (inside[i]) {
            interval_tree_remove(&tree, &nodes[i]);
        } else {
            nodes[i].start = g_rand_int_range(rng, 0, 1000);
            nodes[i].last = nodes[i].start + g_rand_int_range(rng, 0, round % 2 ? 10 : 300);
            interval_tree_insert(&tree, &nodes[i]);
        }
        inside[i] = !inside[i];
        check_query(&tree, nodes, inside, start, start + g_rand_int_range(rng, 0, 100));
    }
    for (unsigned i = 0; i < N; i++) {
        if (inside[i]) {
            interval_tree_remove(&tree, &nodes[i]);
        }
    }
    g_assert_true(interval_tree_is_empty(&tree));
    g_rand_free(rng);
}

static void test_limits(void)
{
    IntervalTree tree = {0};
    IntervalNode all = {.start = 0, .last = UINT64_MAX}, top = {.start = UINT64_MAX, .last = UINT64_MAX};

    g_assert_null(interval_tree_iter_first(&tree, 0, UINT64_MAX));
    interval_tree_insert(&tree, &all);
    interval_tree_insert(&tree, &top);
    g_assert_true(interval_tree_iter_first(&tree, UINT64_MAX, UINT64_MAX) == &all);
    g_assert_true(interval_tree_iter_next(&all, UINT64_MAX, UINT64_MAX) == &top);
    g_assert_null(interval_tree_iter_next(&all, 0, UINT64_MAX - 1));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/interval-tree/iter/agrees-with-an-array", test_random);
    g_test_add_func("/interval-tree/iter/takes-the-limits", test_limits);
    return g_test_run();
}
