/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Code buffers: each of their bytes has two places, and all places that execute are near each other. */
#include <string.h>
#include <sys/mman.h>

#include "tcg/tcg.h"

#define MIB(n)    ((size_t)(n) << 20)
#define REACH     (INT64_C(1) << 31) /* of a 32-bit displacement */
#define N_BUFFERS 4

static void test_two_views(void)
{
    g_autoptr(GError) error = NULL;
    CodeBuffer cb;

    g_assert_true(code_buffer_init(&cb, MIB(1), &error));
    strcpy((char *)cb.rw + 5000, "the same");
    g_assert_cmpstr((char *)cb.rx + 5000, ==, "the same");
    code_buffer_destroy(&cb);
}

static void check_near(const CodeBuffer *a, const CodeBuffer *b)
{
    uint8_t *low = MIN(a->rx, b->rx), *high = MAX(a->rx + a->size, b->rx + b->size);

    g_assert_cmpint(high - low, <, REACH);
}

/* As a machine makes them: a small one, then one for each vCPU; the guest's memory lies right above. */
static void test_large_ones_are_near(void)
{
    static const size_t sizes[N_BUFFERS] = {MIB(1), MIB(256), MIB(256), MIB(256)};
    g_autoptr(GError) error = NULL;
    CodeBuffer cb[N_BUFFERS];

    for (int i = 0; i < N_BUFFERS; i++) {
        g_assert_true(code_buffer_init(&cb[i], sizes[i], &error));
        g_assert_no_error(error);
        for (int j = 0; j < i; j++) {
            check_near(&cb[i], &cb[j]);
        }
    }
    for (int i = 0; i < N_BUFFERS; i++) {
        code_buffer_destroy(&cb[i]);
    }
}

int main(int argc, char **argv)
{
    void *ram = mmap(NULL, MIB(4096), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    g_test_init(&argc, &argv, NULL);
    g_assert_true(ram != MAP_FAILED);
    g_test_add_func("/tcg/code-buffer/two-views", test_two_views);
    g_test_add_func("/tcg/code-buffer/large-ones-are-near", test_large_ones_are_near);
    return g_test_run();
}
