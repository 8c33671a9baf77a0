/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every floating point instruction of F and D over awkward operands, all rounding modes: results and flags.  The hashes
 * were taken from a trusted machine.
 */
#include "fp-test.h"
#include "fp-ops-expected.h"

#include "fp-ops-list.h"

static const HashTest tests[] = {
#define ROW(name) {#name, run_##name},
    FP_OPS(ROW)
};

int test_main(void)
{
    run_hash_tests(tests, fp_ops_expected, sizeof(tests) / sizeof(tests[0]));
    return 0;
}
