/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Zfa and Zfh: as fp-ops.c, for a CPU that has them. */
#include "fp-test.h"
#include "fp-max-ops-expected.h"

#define HBOX(x) (0xffffffffffff0000 | (x))
static const u64 halves[] = {
    HBOX(0x0000), HBOX(0x8000), HBOX(0x0001), HBOX(0x8003), HBOX(0x03ff), HBOX(0x0400), HBOX(0x8401), HBOX(0x1000),
    HBOX(0x3800), HBOX(0x3bff), HBOX(0x3c00), HBOX(0xbc00), HBOX(0x3c01), HBOX(0x3e00), HBOX(0xc100), HBOX(0x4248),
    HBOX(0x7bff), HBOX(0xfbff), HBOX(0x7c00), HBOX(0xfc00), HBOX(0x7e00), HBOX(0xfe12), HBOX(0x7c01), HBOX(0xfd00),
    BOX(0x3c00), 0x3c00,
};

#include "fp-max-ops-list.h"

static const HashTest tests[] = {
#define ROW(name) {#name, run_##name},
    FP_MAX_OPS(ROW)
};

int test_main(void)
{
    run_hash_tests(tests, fp_max_ops_expected, sizeof(tests) / sizeof(tests[0]));
    return 0;
}
