/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A static rounding mode gives what the same dynamic mode gives, whatever frm says; flags that were set stay set and
 * are or-ed to.  What the dynamic modes give is fp-ops' business.
 */
#include "fp-test.h"

typedef struct Outcome {
    u64 value, flags;
} Outcome;

#define RUN(text, a, b, c)                                                                                   \
    ({                                                                                                       \
        Outcome o_;                                                                                          \
        asm volatile("fmv.d.x ft0, %2; fmv.d.x fa1, %3; fmv.d.x ft8, %4; fmv.d.x fs0, zero; " text           \
                     "; fmv.x.d %0, fs0; frflags %1"                                                         \
                     : "=&r"(o_.value), "=r"(o_.flags)                                                       \
                     : "r"(a), "r"(b), "r"(c)                                                                \
                     : "ft0", "fa1", "ft8", "fs0", "t0");                                                    \
        o_;                                                                                                  \
    })

static void set_fcsr(u64 frm, u64 flags)
{
    asm volatile("fscsr %0" : : "r"(frm << 5 | flags));
}

static u64 failures;

static void same(const char *name, Outcome is, Outcome should, u64 preset)
{
    if (is.value != should.value || is.flags != (should.flags | preset)) {
        if (failures++ < 8) {
            put_string(name);
            put_hex(is.value);
            put_hex(should.value);
            put_hex(is.flags);
            put_hex(should.flags | preset);
            put_string("\n");
        }
    }
}

#define ONE_MODE(name, op, operands, mode, number)                                                           \
    do {                                                                                                     \
        Outcome dynamic;                                                                                     \
                                                                                                             \
        set_fcsr(number, 0);                                                                                 \
        dynamic = RUN(op " " operands ", dyn", a, b, c);                                                     \
        set_fcsr(4 - number, 0);                                                                             \
        same(name, RUN(op " " operands ", " mode, a, b, c), dynamic, 0);                                     \
        set_fcsr(number, 1u << (i + j) % 5);                                                                 \
        same(name, RUN(op " " operands ", dyn", a, b, c), dynamic, 1u << (i + j) % 5);                       \
        set_fcsr((number + 1) % 5, 31);                                                                      \
        same(name, RUN(op " " operands ", " mode, a, b, c), dynamic, 31);                                    \
    } while (0)

#define OP(name, op, operands, table)                                                                        \
    static void test_##name(void)                                                                            \
    {                                                                                                        \
        for (unsigned i = 0; i < COUNT(table); i += 2) {                                                     \
            for (unsigned j = 0; j < COUNT(table); j += 3) {                                                 \
                u64 a = table[i], b = table[j], c = table[(i * 7 + j * 5) % COUNT(table)];                   \
                                                                                                             \
                ONE_MODE(#name " ", op, operands, "rne", 0);                                                 \
                ONE_MODE(#name " ", op, operands, "rtz", 1);                                                 \
                ONE_MODE(#name " ", op, operands, "rdn", 2);                                                 \
                ONE_MODE(#name " ", op, operands, "rup", 3);                                                 \
                ONE_MODE(#name " ", op, operands, "rmm", 4);                                                 \
            }                                                                                                \
        }                                                                                                    \
    }

#define BOTH(X, table, p)                                                                                    \
    X(add_##p, "fadd." #p, "fs0, ft0, fa1", table)                                                           \
    X(sub_##p, "fsub." #p, "fs0, ft0, fa1", table)                                                           \
    X(mul_##p, "fmul." #p, "fs0, ft0, fa1", table)                                                           \
    X(div_##p, "fdiv." #p, "fs0, ft0, fa1", table)                                                           \
    X(sqrt_##p, "fsqrt." #p, "fs0, ft0", table)                                                              \
    X(madd_##p, "fmadd." #p, "fs0, ft0, fa1, ft8", table)                                                    \
    X(msub_##p, "fmsub." #p, "fs0, ft0, fa1, ft8", table)                                                    \
    X(nmadd_##p, "fnmadd." #p, "fs0, ft0, fa1, ft8", table)                                                  \
    X(nmsub_##p, "fnmsub." #p, "fs0, ft0, fa1, ft8", table)
#define OPS(X)                                                                                               \
    BOTH(X, doubles, d)                                                                                      \
    BOTH(X, singles, s)                                                                                      \
    X(s_from_d, "fcvt.s.d", "fs0, ft0", doubles)                                                             \
    X(h_from_d, "fcvt.h.d", "fs0, ft0", doubles)                                                             \
    X(h_from_s, "fcvt.h.s", "fs0, ft0", singles)

OPS(OP)

/* inf * 0 + qNaN is invalid; results of NaN operands are the canonical NaN */
static void test_nans(void)
{
    u64 inf = 0x7ff0000000000000, nan = 0xfff8000000001234, canonical = 0x7ff8000000000000;
    Outcome o;

    set_fcsr(0, 0);
    o = RUN("fmadd.d fs0, ft0, fa1, ft8", inf, 0UL, nan);
    same("inf*0+nan ", o, (Outcome){canonical, 16}, 0);
    set_fcsr(0, 0);
    o = RUN("fnmsub.s fs0, ft0, fa1, ft8", BOX(0x7f800000), BOX(0x80000000), BOX(0xffc01234));
    same("-(inf*0)+nan ", o, (Outcome){BOX(0x7fc00000), 16}, 0);
    set_fcsr(0, 0);
    o = RUN("fadd.d fs0, ft0, fa1", nan, 0x3ff0000000000000, 0UL);
    same("nan+1 ", o, (Outcome){canonical, 0}, 0);
    set_fcsr(0, 0);
    o = RUN("fadd.s fs0, ft0, fa1", 0x000000003f800000, BOX(0x3f800000), 0UL);
    same("not boxed ", o, (Outcome){BOX(0x7fc00000), 0}, 0);
    set_fcsr(0, 0);
    o = RUN("fsgnj.s fs0, ft0, fa1", 0x000000003f800000, BOX(0xbf800000), 0UL);
    same("sign of not boxed ", o, (Outcome){BOX(0xffc00000), 0}, 0);
}

int test_main(void)
{
#define CALL(name, ...) test_##name();
    OPS(CALL)
    test_nans();
    return failures ? 1 : 0;
}
