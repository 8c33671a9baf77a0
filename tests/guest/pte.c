/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every combination of a leaf's flags, mode, SUM, MXR, ADUE and kind of access, at each level of Sv39, against
 * the algorithm of the specification: the cause of the trap, if any, its tval, and what the entry holds then.
 */
#include "guest.h"

enum { V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128 };
enum { LOAD, STORE, AMO, FETCH };
enum { PAGE_FAULT_FETCH = 12, PAGE_FAULT_LOAD = 13, PAGE_FAULT_STORE = 15 };
enum { NONE = -1, ECALL_U = 8, ECALL_S = 9 };

#define MPRV   0x20000L
#define MPP    0x1800L
#define MPP_S  0x800L
#define SUM    0x40000L
#define MXR    0x80000L
#define ADUE   (1L << 61)
#define TARGET 0x80400000L /* what the leaf under test maps: an ecall; aligned for a leaf of level 1 */
#define ECALL  0x73

static u64 tables[3][512] __attribute__((aligned(4096)));

typedef struct Case {
    u64 flags;
    int level, user, sum, mxr, adue, access;
} Case;

/* The trap's cause, or NONE; *flags: of the entry, afterwards. */
static long expected(const Case *c, u64 *flags)
{
    static const signed char faults[] = {
        [LOAD] = PAGE_FAULT_LOAD,
        [STORE] = PAGE_FAULT_STORE,
        [AMO] = PAGE_FAULT_STORE,
        [FETCH] = PAGE_FAULT_FETCH,
    };
    u64 f = c->flags, need = A | (c->access == STORE || c->access == AMO ? D : 0);
    long fault = faults[c->access];
    int allowed;

    *flags = f;
    if (!(f & V) || (f & (R | W)) == W || !(f & (R | X))) { /* the last: a pointer at the last level */
        return fault;
    }
    allowed = c->access == LOAD    ? (f & R) || (c->mxr && f & X)
              : c->access == FETCH ? (f & X) != 0
                                   : (f & W) != 0;
    if (c->user ? !(f & U) : f & U && (c->access == FETCH || !c->sum)) {
        allowed = 0;
    }
    if (!allowed || ((f & need) != need && !c->adue)) {
        return fault;
    }
    *flags = f | need;
    return c->access != FETCH ? NONE : c->user ? ECALL_U : ECALL_S;
}

/* The trap's cause, or NONE; *tval. */
static long perform(const Case *c, u64 va, u64 *tval)
{
    register long cause asm("s9") = NONE;
    register u64 value asm("s10") = va;
    u64 status = (c->user ? 0 : MPP_S) | (c->sum ? SUM : 0) | (c->mxr ? MXR : 0);

    asm volatile("csrc mstatus, %0; csrs mstatus, %1" : : "r"(MPP | SUM | MXR), "r"(status));
#define ACCESS(text)                                                                                         \
    asm volatile("la s8, 1f; li t6, 0x20000; " text "; .balign 4; 1: li s8, 0; csrc mstatus, %[mprv]"        \
                 : "+r"(cause), "+r"(value)                                                                  \
                 : [va] "r"(va), [mprv] "r"(MPRV)                                                            \
                 : "t0", "t6", "s8", "s11", "memory")
    switch (c->access) {
    case LOAD:
        ACCESS("csrs mstatus, t6; lw t0, (%[va]); csrc mstatus, t6");
        break;
    case STORE:
        ACCESS("li t0, 0x73; csrs mstatus, t6; sw t0, (%[va]); csrc mstatus, t6");
        break;
    case AMO:
        ACCESS("csrs mstatus, t6; amoor.w t0, zero, (%[va]); csrc mstatus, t6");
        break;
    default:
        ACCESS("csrw mepc, %[va]; mret");
    }
    *tval = value;
    return cause;
}

static void report(const Case *c, long cause, u64 tval, u64 flags)
{
    put_string("flags, level, user, sum, mxr, adue, access: ");
    put_hex(c->flags);
    put_hex(c->level << 20 | c->user << 16 | c->sum << 12 | c->mxr << 8 | c->adue << 4 | c->access);
    put_string(" gave cause, tval, flags ");
    put_hex(cause);
    put_hex(tval);
    put_hex(flags);
    put_string("\n");
}

static int run(const Case *c)
{
    /* entry 1 of each level leads to the one below; the leaf stands there, and maps the target */
    u64 *entry = &tables[c->level][1], base = TARGET, va = 0, flags, flags_should, tval, tval_should;
    long cause, cause_should;

    if (c->level == 2) {
        base &= -(1L << 30);
    }
    for (int level = 2; level >= 0; level--) {
        va |= level >= c->level ? 1UL << (12 + 9 * level) : 0;
        tables[level][1] = level ? (u64)tables[level - 1] >> 2 | V : 0;
    }
    va |= TARGET - base;
    *entry = base >> 2 | c->flags;
    asm volatile("csrc 0x30a, %0; csrs 0x30a, %1; sfence.vma"
                 :
                 : "r"(ADUE), "r"(c->adue ? ADUE : 0)
                 : "memory");
    cause = perform(c, va, &tval);
    flags = *(volatile u64 *)entry & 0x3ff;
    cause_should = expected(c, &flags_should);
    tval_should = cause_should == ECALL_U || cause_should == ECALL_S ? 0 : va;
    if (cause != cause_should || flags != flags_should || tval != tval_should) {
        report(c, cause, tval, flags);
        return 1;
    }
    return 0;
}

int test_main(void)
{
    int failures = 0;

    *(volatile u32 *)TARGET = ECALL;
    asm volatile("fence.i; csrw pmpaddr0, %0; csrw pmpcfg0, %1" : : "r"(-1L), "r"(0x1f));
    asm volatile("csrw satp, %0" : : "r"(8UL << 60 | (u64)tables[2] >> 12));
    for (int level = 0; level < 3; level++) {
        for (unsigned n = 0; n < 64 * 16; n++) {
            Case c = {
                .flags = (n & 31) | (n & 32 ? A : 0) | (n & 64 ? D : 0) | (n & 1 ? 0x300 : 0),
                .level = level,
                .user = n >> 7 & 1,
                .sum = n >> 8 & 1,
                .mxr = n >> 9 & 1,
            };

            if (level && !(c.flags & (R | X))) {
                continue; /* a pointer */
            }
            for (c.adue = 0; c.adue < 2; c.adue++) {
                for (c.access = LOAD; c.access <= FETCH; c.access++) {
                    failures += run(&c);
                }
            }
        }
    }
    return failures != 0;
}
