/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How fast dirty bits move: bitmap_take_atomic() over the pages of 32 GiB, aligned and not, at several densities. */
#include "util/bitmap.h"

#include <stdio.h>

#define PAGES  (8u << 20)
#define ROUNDS 5

static void fill(unsigned long *map, unsigned one_in)
{
    bitmap_zero(map, PAGES);
    for (uint64_t i = 0; one_in && i < PAGES; i += one_in) {
        set_bit(i, map);
    }
}

static void measure(unsigned one_in, uint64_t dst_start)
{
    unsigned long *src = bitmap_new(PAGES), *dst = bitmap_new(PAGES + 64);
    double best = 1e9;
    uint64_t taken = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        int64_t start;

        fill(src, one_in);
        bitmap_zero(dst, PAGES + 64);
        start = g_get_monotonic_time();
        taken = bitmap_take_atomic(dst, dst_start, src, 0, PAGES, NULL);
        best = MIN(best, (g_get_monotonic_time() - start) / 1e3);
    }
    printf("take, 1 in %-6u set, shift %2u: %8.3f ms for 8 Mi pages, %u taken\n", one_in, (unsigned)dst_start,
           best, (unsigned)taken);
    g_free(src);
    g_free(dst);
}

int main(void)
{
    static const unsigned densities[] = {0, 100000, 1000, 64, 8, 1};

    for (unsigned i = 0; i < G_N_ELEMENTS(densities); i++) {
        measure(densities[i], 0);
        measure(densities[i], 13);
    }
    return 0;
}
