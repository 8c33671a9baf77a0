/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every integer instruction over all pairs of awkward values; the results' hashes were taken from a trusted machine. */
#include "guest.h"
#include "int-ops-expected.h"

static const u64 values[] = {
    0, 1, 2, 3, 7, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
    0xffffffff, 0x100000000, 0x123456789abcdef0, 0x7fffffffffffffff, 0x8000000000000000, 0x8000000000000001,
    0xffffffff80000000, 0xffffffff7fffffff, 0xfffffffffffffffe, 0xffffffffffffffff, 0xdeadbeefcafebabe,
};
#define N (sizeof(values) / sizeof(values[0]))

/* Compiled code uses some registers more than others: once with low ones, once with high ones, once onto a source. */
#define RR(name, text)                                                                                       \
    static u64 run_##name(void)                                                                              \
    {                                                                                                        \
        u64 h = 1;                                                                                           \
        for (unsigned i = 0; i < N; i++) {                                                                   \
            for (unsigned j = 0; j < N; j++) {                                                               \
                register u64 a asm("a0") = values[i];                                                        \
                register u64 b asm("t4") = values[j];                                                        \
                register u64 r asm("t5");                                                                    \
                register u64 d asm("s7");                                                                    \
                asm volatile(text " %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));                                 \
                h = mix(h, r);                                                                               \
                d = values[j];                                                                               \
                asm volatile(text " %0, %1, %0" : "+r"(d) : "r"(a));                                         \
                h = mix(h, d);                                                                               \
                asm volatile(text " %0, %0, %1" : "+r"(a) : "r"(b));                                         \
                h = mix(h, a);                                                                               \
                asm volatile(text " %0, %1, zero" : "=r"(r) : "r"(b));                                       \
                h = mix(h, r);                                                                               \
                asm volatile(text " %0, zero, %1" : "=r"(r) : "r"(b));                                       \
                h = mix(h, r);                                                                               \
            }                                                                                                \
        }                                                                                                    \
        return h;                                                                                            \
    }

#define UNARY(name, text)                                                                                    \
    static u64 run_##name(void)                                                                              \
    {                                                                                                        \
        u64 h = 1;                                                                                           \
        for (unsigned i = 0; i < N; i++) {                                                                   \
            register u64 a asm("a5") = values[i];                                                            \
            register u64 b asm("t6");                                                                        \
            asm volatile(text : "=&r"(b) : "r"(a) : "t0");                                                           \
            h = mix(h, b);                                                                                   \
            asm volatile(text : "=&r"(a) : "r"(b) : "t0");                                                           \
            h = mix(h, a);                                                                                   \
        }                                                                                                    \
        return h;                                                                                            \
    }
#define IMM2(op, i, j) op " %0, %1, " #i "\n\tadd %0, %0, %1\n\t" op " %0, %0, " #j

#include "int-ops-list.h"

static const HashTest tests[] = {
#define RR_ROW(name, text)    {text, run_##name},
#define UNARY_ROW(name, text) {#name, run_##name},
    INT_OPS(RR_ROW, UNARY_ROW)
};

int test_main(void)
{
    run_hash_tests(tests, int_ops_expected, sizeof(tests) / sizeof(tests[0]));
    return 0;
}
