/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Litmus shapes on two harts: outcomes that RVWMO forbids must not be seen.  Each round has a pair of variables in
 * other cache lines; both harts start together and then wait a little, each its own time.  Shapes of more harts are
 * in litmus-many.c.
 *
 * With LITMUS_SEE_SB the one relaxation that the host has must show: store buffering without a fence.
 */
#include "litmus.h"

#ifndef LITMUS_ROUNDS
#define LITMUS_ROUNDS 1000
#endif
#define STRIDE 16 /* words between variables */

static volatile u64 x[STRIDE * 64], y[STRIDE * 64];
static volatile u64 turn[2], result[2][2], counter, lock_word, guarded;
static volatile u32 code[16];

typedef struct Shape {
    const char *name;
    void (*hart[2])(volatile u64 *x, volatile u64 *y, volatile u64 *r);
    /* a: hart 0's results, b: hart 1's; x and y at the end */
    int (*forbidden)(volatile u64 *a, volatile u64 *b, u64 x, u64 y);
} Shape;

#define HART(name) static void name(volatile u64 *x, volatile u64 *y, volatile u64 *r)
#define BAD(name)  static int name(volatile u64 *a, volatile u64 *b, u64 x, u64 y)

HART(mp_0) { STORE(x, 1); FENCE(w, w); STORE(y, 1); }
HART(mp_1) { u64 a = LOAD(y); FENCE(r, r); r[0] = a; r[1] = LOAD(x); }
HART(mp_addr_1) { r[0] = LOAD(y); r[1] = LOAD_AFTER(r[0], x); }
HART(mp_rel_0) { STORE(x, 1); STORE_RELEASE(y, 1); }
HART(mp_acq_1) { u64 a = LOAD_ACQUIRE(y); r[1] = LOAD(x); r[0] = a; }
BAD(mp_bad) { return b[0] == 1 && b[1] == 0; }

HART(sb_0) { STORE(x, 1); FENCE(rw, rw); r[0] = LOAD(y); }
HART(sb_1) { STORE(y, 1); FENCE(rw, rw); r[0] = LOAD(x); }
BAD(sb_bad) { return a[0] == 0 && b[0] == 0; }

HART(sb_amo_0) { SWAP(x); r[0] = LOAD(y); }
HART(sb_amo_1) { SWAP(y); r[0] = LOAD(x); }

HART(lb_0) { u64 a = LOAD(x); FENCE(r, w); STORE(y, 1); r[0] = a; }
HART(lb_1) { u64 a = LOAD(y); FENCE(r, w); STORE(x, 1); r[0] = a; }
HART(lb_data_0) { r[0] = LOAD(x); STORE_AFTER(r[0], y, 1); }
HART(lb_data_1) { r[0] = LOAD(y); STORE_AFTER(r[0], x, 1); }
BAD(lb_bad) { return a[0] == 1 && b[0] == 1; }

HART(s_0) { STORE(x, 2); FENCE(w, w); STORE(y, 1); }
HART(s_1) { u64 a = LOAD(y); FENCE(r, w); STORE(x, 1); r[0] = a; }
BAD(s_bad) { return b[0] == 1 && x == 2; }

HART(r_0) { STORE(x, 1); FENCE(w, w); STORE(y, 1); }
HART(r_1) { STORE(y, 2); FENCE(w, r); r[0] = LOAD(x); }
BAD(r_bad) { return y == 2 && b[0] == 0; }

HART(w2_0) { STORE(x, 1); FENCE(w, w); STORE(y, 2); }
HART(w2_1) { STORE(y, 1); FENCE(w, w); STORE(x, 2); }
BAD(w2_bad) { return x == 1 && y == 1; }

/* coherence: two loads of one place never go back */
HART(corr_0) { STORE(x, 1); STORE(x, 2); }
HART(corr_1) { r[0] = LOAD(x); r[1] = LOAD(x); }
BAD(corr_bad) { return b[0] > b[1]; }

/* coherence: a hart's own accesses of one place, with a store of the other between them */
HART(cowr_0) { STORE(x, 1); r[0] = LOAD(x); }
HART(corw_0) { r[0] = LOAD(x); STORE(x, 1); }
HART(co_1) { STORE(x, 2); }
BAD(cowr_bad) { return a[0] == 0 || (a[0] == 2 && x == 1); }
BAD(corw_bad) { return a[0] == 1 || (a[0] == 2 && x == 2); }

/* a store of eight bytes is seen whole */
HART(whole_0) { STORE(x, ~0UL); STORE(x, 0x123456789abcdef0); }
HART(whole_1) { r[0] = LOAD(x); }
BAD(whole_bad) { return b[0] != 0 && b[0] != ~0UL && b[0] != 0x123456789abcdef0; }

HART(sb_plain_0) { STORE(x, 1); r[0] = LOAD(y); }
HART(sb_plain_1) { STORE(y, 1); r[0] = LOAD(x); }
static u64 sb_seen;
BAD(sb_plain_bad) { sb_seen += a[0] == 0 && b[0] == 0; return 0; }

static const Shape shapes[] = {
    {"MP", {mp_0, mp_1}, mp_bad},
    {"MP+fence+addr", {mp_0, mp_addr_1}, mp_bad},
    {"MP+rl+aq", {mp_rel_0, mp_acq_1}, mp_bad},
    {"SB+fences", {sb_0, sb_1}, sb_bad},
    {"SB+amos", {sb_amo_0, sb_amo_1}, sb_bad},
    {"LB", {lb_0, lb_1}, lb_bad},
    {"LB+datas", {lb_data_0, lb_data_1}, lb_bad},
    {"S", {s_0, s_1}, s_bad},
    {"R", {r_0, r_1}, r_bad},
    {"2+2W", {w2_0, w2_1}, w2_bad},
    {"CoRR", {corr_0, corr_1}, corr_bad},
    {"CoWR", {cowr_0, co_1}, cowr_bad},
    {"CoRW", {corw_0, co_1}, corw_bad},
    {"whole", {whole_0, whole_1}, whole_bad},
    {"SB", {sb_plain_0, sb_plain_1}, sb_plain_bad},
};
#define N_SHAPES (sizeof(shapes) / sizeof(shapes[0]))

/* Both harts leave together; each calls with its own number. */
static void meet(unsigned hart)
{
    u64 mine = turn[hart] + 1;

    FENCE(rw, rw);
    STORE(&turn[hart], mine);
    while (LOAD(&turn[!hart]) < mine) {
    }
    FENCE(rw, rw);
}

static void run_shape(const Shape *s, unsigned hart)
{
    u64 seed = 88172645463325252 + hart * 977;

    for (unsigned round = 0; round < LITMUS_ROUNDS; round++) {
        unsigned place = round % 64 * STRIDE;

        if (hart == 0) {
            STORE(&x[place], 0);
            STORE(&y[place], 0);
        }
        meet(hart);
        wait_a_little(next_random(&seed) % 24);
        s->hart[hart](&x[place], &y[place], result[hart]);
        meet(hart);
        if (hart == 0 && s->forbidden(result[0], result[1], LOAD(&x[place]), LOAD(&y[place]))) {
            put_string(s->name);
            put_string(": forbidden\n");
            test_failed(s - shapes + 1);
        }
    }
}

/* --- atomicity --- */

static void add_by_lr_sc(volatile u64 *p)
{
    u64 t, fail;

    asm volatile("1: lr.d %0, (%2); addi %0, %0, 1; sc.d %1, %0, (%2); bnez %1, 1b"
                 : "=&r"(t), "=&r"(fail) : "r"(p) : "memory");
}

static void add_by_amo(volatile u64 *p)
{
    asm volatile("amoadd.d x0, %0, (%1)" : : "r"(1UL), "r"(p) : "memory");
}

static void with_lock(void)
{
    u32 old;

    do {
        asm volatile("amoswap.w.aq %0, %1, (%2)" : "=r"(old) : "r"(1), "r"(&lock_word) : "memory");
    } while (old);
    guarded++;
    asm volatile("amoswap.w.rl x0, x0, (%0)" : : "r"(&lock_word) : "memory");
}

static void atomicity(void)
{
    for (unsigned n = 0; n < LITMUS_ROUNDS; n++) {
        add_by_lr_sc(&counter);
        add_by_amo(&counter);
        with_lock();
    }
}

/* --- instruction fetch: hart 0 patches, says so by IPI; hart 1 does fence.i and must run the new code --- */

static u64 run_code(void)
{
    register u64 a0 asm("a0") = 0;

    asm volatile("jalr ra, 0(%1)" : "+r"(a0) : "r"(code) : "ra", "memory");
    return a0;
}

static void patching(unsigned hart)
{
    volatile u32 *msip = (volatile u32 *)(CLINT + 4);

    for (unsigned n = 1; n < 500; n++) {
        if (hart == 0) {
            code[0] = n << 20 | 10 << 7 | 0x13; /* li a0, n */
            code[1] = 0x00008067;               /* ret */
            FENCE(w, o);
            *msip = 1;
        } else {
            u64 mip;

            do {
                asm volatile("csrr %0, mip" : "=r"(mip));
            } while (!(mip & 8));
            *msip = 0;
            FENCE(o, rw);
            asm volatile("fence.i" : : : "memory");
            if (run_code() != n) {
                put_string("stale code\n");
                test_failed(100);
            }
        }
        meet(hart);
    }
}

static void both(unsigned hart)
{
    for (unsigned s = 0; s < N_SHAPES; s++) {
        run_shape(&shapes[s], hart);
    }
    atomicity();
    meet(hart);
    patching(hart);
}

void second_hart(void)
{
    both(1);
    for (;;) {
        asm volatile("wfi");
    }
}

static u64 second_stack[512] __attribute__((aligned(16), used));
asm(".globl secondary_main\nsecondary_main: la sp, second_stack + 4096\n call second_hart");

int test_main(void)
{
    both(0);
    if (counter != 4 * LITMUS_ROUNDS || guarded != 2 * LITMUS_ROUNDS) {
        put_string("lost updates\n");
        return 101;
    }
#ifdef LITMUS_SEE_SB
    if (!sb_seen) {
        put_string("store buffering was not seen\n");
        return 102;
    }
#endif
    return 0;
}
