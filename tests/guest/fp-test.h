/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operands and shapes of the floating point table tests: results and flags go into one hash per instruction. */
#ifndef TESTS_FP_TEST_H
#define TESTS_FP_TEST_H

#include "guest.h"

static const u64 doubles[] = {
    0x0000000000000000, 0x8000000000000000, 0x0000000000000001, 0x8000000000000003, 0x000fffffffffffff,
    0x0010000000000000, 0x8010000000000001, 0x0020000000000000, 0x3ca0000000000000, 0x3fe0000000000000,
    0x3fefffffffffffff, 0x3ff0000000000000, 0xbff0000000000000, 0x3ff0000000000001, 0x3ff8000000000000,
    0xc004000000000000, 0x400921fb54442d18, 0x41dfffffffc00000, 0x41e0000000000000, 0xc1e0000000200000,
    0x41efffffffe00000, 0x43dfffffffffffff, 0x43e0000000000000, 0xc3e0000000000000, 0x43f0000000000000,
    0x43efffffffffffff, 0x47efffffe0000000, 0x47effffff0000000, 0x3690000000000000, 0x3810000000000000,
    0x380fffffffffffff, 0x7fefffffffffffff, 0xffefffffffffffff, 0x7ff0000000000000, 0xfff0000000000000,
    0x7ff8000000000000, 0xfff8000000001234, 0x7ff0000000000001, 0xfff4000000000000,
};
#define BOX(x) (0xffffffff00000000 | (x))
static const u64 singles[] = {
    BOX(0x00000000), BOX(0x80000000), BOX(0x00000001), BOX(0x80000003), BOX(0x007fffff), BOX(0x00800000),
    BOX(0x80800001), BOX(0x01000000), BOX(0x33800000), BOX(0x3f000000), BOX(0x3f7fffff), BOX(0x3f800000),
    BOX(0xbf800000), BOX(0x3f800001), BOX(0x3fc00000), BOX(0xc0200000), BOX(0x40490fdb), BOX(0x4effffff),
    BOX(0x4f000000), BOX(0xcf000001), BOX(0x4f7fffff), BOX(0x4f800000), BOX(0x5effffff), BOX(0x5f000000),
    BOX(0xdf000000), BOX(0x5f7fffff), BOX(0x5f800000), BOX(0x7f7fffff), BOX(0xff7fffff), BOX(0x7f800000),
    BOX(0xff800000), BOX(0x7fc00000), BOX(0xffc01234), BOX(0x7f800001), BOX(0xffa00000),
    0x0000000040490fdb, 0xfffffffe3f800000, 0x3ff0000000000000,
};
static const u64 integers[] = {
    0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0xffffffffffffffff, 0xffffffff80000000, 0x1000001,
    0x1000003, 0x20000000000001, 0x20000000000003, 0x7fffffffffffffff, 0x8000000000000000, 0x8000000000000001,
    0xfffffffffffffc00, 0xfffffffffffffbff, 0x8000008000000001, 0x123456789abcdef,
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static u64 hash_flags(u64 h, u64 value)
{
    u64 flags;

    asm volatile("fsflags %0, zero" : "=r"(flags));
    return mix(mix(h, value), flags);
}

static void set_rm(u64 rm)
{
    asm volatile("fsrm %0" : : "r"(rm));
}

#define F2(name, text, table, modes)                                                                         \
    static u64 run_##name(void)                                                                              \
    {                                                                                                        \
        u64 h = 1, x;                                                                                        \
        asm volatile("fsflags zero");                                                                        \
        for (u64 rm = 0; rm < (modes); rm++) {                                                               \
            set_rm(rm);                                                                                      \
            for (unsigned i = 0; i < COUNT(table); i++) {                                                    \
                for (unsigned j = 0; j < COUNT(table); j++) {                                                \
                    asm volatile("fmv.d.x ft0, %1; fmv.d.x fa1, %2; " text " fs0, ft0, fa1\n\tfmv.x.d %0, fs0" \
                                 : "=r"(x) : "r"(table[i]), "r"(table[j]) : "ft0", "fa1", "fs0");            \
                    h = hash_flags(h, x);                                                                    \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
        set_rm(0);                                                                                           \
        return h;                                                                                            \
    }
#define F3(name, text, table)                                                                                \
    static u64 run_##name(void)                                                                              \
    {                                                                                                        \
        u64 h = 1, x;                                                                                        \
        asm volatile("fsflags zero");                                                                        \
        for (u64 rm = 0; rm < 5; rm++) {                                                                     \
            set_rm(rm);                                                                                      \
            for (unsigned i = 0; i < COUNT(table); i += 2) {                                                 \
                for (unsigned j = 0; j < COUNT(table); j += 2) {                                             \
                    for (unsigned k = 0; k < COUNT(table); k += 3) {                                         \
                        asm volatile("fmv.d.x ft0, %1; fmv.d.x fa1, %2; fmv.d.x ft8, %3;" text               \
                                     " fs0, ft0, fa1, ft8; fmv.x.d %0, fs0"                                  \
                                     : "=r"(x) : "r"(table[i]), "r"(table[j]), "r"(table[k])                 \
                                     : "ft0", "fa1", "fs0", "ft8");                                          \
                        h = hash_flags(h, x);                                                                \
                    }                                                                                        \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
        set_rm(0);                                                                                           \
        return h;                                                                                            \
    }
#define F1(name, text, table, modes)                                                                         \
    static u64 run_##name(void)                                                                              \
    {                                                                                                        \
        u64 h = 1, x;                                                                                        \
        asm volatile("fsflags zero");                                                                        \
        for (u64 rm = 0; rm < (modes); rm++) {                                                               \
            set_rm(rm);                                                                                      \
            for (unsigned i = 0; i < COUNT(table); i++) {                                                    \
                asm volatile("fmv.d.x fa0, %1; " text "; fmv.x.d %0, fa2"                                    \
                             : "=r"(x) : "r"(table[i]) : "fa0", "fa2");                                      \
                h = hash_flags(h, x);                                                                        \
            }                                                                                                \
        }                                                                                                    \
        set_rm(0);                                                                                           \
        return h;                                                                                            \
    }
/* float to integer register */
#define X1(name, text, table, modes)                                                                         \
    static u64 run_##name(void)                                                                              \
    {                                                                                                        \
        u64 h = 1, x;                                                                                        \
        asm volatile("fsflags zero");                                                                        \
        for (u64 rm = 0; rm < (modes); rm++) {                                                               \
            set_rm(rm);                                                                                      \
            for (unsigned i = 0; i < COUNT(table); i++) {                                                    \
                asm volatile("fmv.d.x fa0, %1; " text : "=r"(x) : "r"(table[i]) : "fa0");                    \
                h = hash_flags(h, x);                                                                        \
            }                                                                                                \
        }                                                                                                    \
        set_rm(0);                                                                                           \
        return h;                                                                                            \
    }
#define X2(name, text, table)                                                                                \
    static u64 run_##name(void)                                                                              \
    {                                                                                                        \
        u64 h = 1, x;                                                                                        \
        asm volatile("fsflags zero");                                                                        \
        for (unsigned i = 0; i < COUNT(table); i++) {                                                        \
            for (unsigned j = 0; j < COUNT(table); j++) {                                                    \
                asm volatile("fmv.d.x fa0, %1; fmv.d.x fa1, %2; " text " %0, fa0, fa1"                       \
                             : "=r"(x) : "r"(table[i]), "r"(table[j]) : "fa0", "fa1");                       \
                h = hash_flags(h, x);                                                                        \
            }                                                                                                \
        }                                                                                                    \
        return h;                                                                                            \
    }
/* integer to float register */
#define I1(name, text, modes)                                                                                \
    static u64 run_##name(void)                                                                              \
    {                                                                                                        \
        u64 h = 1, x;                                                                                        \
        asm volatile("fsflags zero");                                                                        \
        for (u64 rm = 0; rm < (modes); rm++) {                                                               \
            set_rm(rm);                                                                                      \
            for (unsigned i = 0; i < COUNT(integers); i++) {                                                 \
                asm volatile(text "; fmv.x.d %0, fa2" : "=r"(x) : "r"(integers[i]) : "fa2");                 \
                h = hash_flags(h, x);                                                                        \
            }                                                                                                \
        }                                                                                                    \
        set_rm(0);                                                                                           \
        return h;                                                                                            \
    }

#endif
