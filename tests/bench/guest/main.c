/* SPDX-License-Identifier: GPL-2.0-or-later */
/* usage: bench [-s SCALE] [GROUP|NAME ...]: runs the programs named (default: all), "BENCH name group seconds sum". */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int chosen(const BenchProgram *p, int argc, char **argv, int first)
{
    for (int i = first; i < argc; i++) {
        if (!strcmp(argv[i], p->name) || !strcmp(argv[i], p->group)) {
            return 1;
        }
    }
    return first >= argc;
}

int main(int argc, char **argv)
{
    static const BenchProgram *const tables[] = {integer_programs, fp_plain_programs, fp_fma_programs, memory_programs,
                                                 kernel_programs,  code_programs, thread_programs};
    unsigned scale = 1;
    int first = 1;

    if (argc > 2 && !strcmp(argv[1], "-s")) {
        scale = atoi(argv[2]);
        first = 3;
    }
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
        for (const BenchProgram *p = tables[t]; p->name; p++) {
            if (chosen(p, argc, argv, first)) {
                double start = now();
                uint64_t sum = p->run(scale);

                printf("BENCH %s %s %.4f %016lx\n", p->name, p->group, now() - start, (unsigned long)sum);
                fflush(stdout);
            }
        }
    }
    printf("BENCH-END\n");
    return 0;
}
