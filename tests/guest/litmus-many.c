/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Litmus shapes on three and four harts: outcomes that RVWMO forbids must not be seen.
 *
 * A store is seen by all other harts at once (RVWMO is multi-copy atomic), so all these outcomes are forbidden as soon
 * as each hart's own two accesses are in order, by a fence or by a dependency.  A translator on a host with total store
 * order gets that for nothing as long as it neither moves a load or store over another nor forgets that a load after a
 * store needs the guest's "fence w, r" (3.SB, RWC).  The dependencies are on values that an optimiser knows to be 0.
 *
 * There may be fewer host processors than harts, so harts that wait for all others do so in WFI, which lets those run;
 * and they wait only after every few rounds, each of which has a place of its own.  Harts begin in pairs, others each
 * time.  With two processors no more than two are ever in a round at the same moment: what needs three at once shows on
 * larger hosts only.
 */
#include "litmus.h"

#ifndef LITMUS_BATCHES
#define LITMUS_BATCHES 150
#endif
#define N_HARTS  4
#define N_PLACES 8
#define N_SPINS  300 /* about what a wake-up costs */
#define LINE     8   /* words */

typedef struct Place {
    u64 x[LINE], y[LINE], z[LINE];
} Place;

static volatile Place places[N_PLACES] __attribute__((aligned(64)));
static volatile u64 results[N_HARTS][N_PLACES][2];

typedef void HartFn(volatile u64 *x, volatile u64 *y, volatile u64 *z, volatile u64 *r);

typedef struct Shape {
    const char *name;
    HartFn *hart[N_HARTS];
    /* r0 to r3: the harts' results; x: at the end */
    int (*forbidden)(volatile u64 *r0, volatile u64 *r1, volatile u64 *r2, volatile u64 *r3, volatile Place *p);
} Shape;

#define HART(name) static void name(volatile u64 *x, volatile u64 *y, volatile u64 *z, volatile u64 *r)
#define BAD(name)                                                                                            \
    static int name(volatile u64 *r0, volatile u64 *r1, volatile u64 *r2, volatile u64 *r3, volatile Place *p)

HART(write_x) { STORE(x, 1); }
HART(write_y) { STORE(y, 1); }
HART(write_xy) { STORE(x, 1); FENCE(w, w); STORE(y, 1); }
HART(read_xy) { u64 a = LOAD(x); FENCE(r, r); r[1] = LOAD(y); r[0] = a; }
HART(read_yx) { u64 a = LOAD(y); FENCE(r, r); r[1] = LOAD(x); r[0] = a; }
HART(read_zx) { u64 a = LOAD(z); FENCE(r, r); r[1] = LOAD(x); r[0] = a; }
HART(read_xy_addr) { u64 a = LOAD(x); r[1] = LOAD_AFTER(a, y); r[0] = a; }
HART(read_yx_addr) { u64 a = LOAD(y); r[1] = LOAD_AFTER(a, x); r[0] = a; }
HART(read_zx_addr) { u64 a = LOAD(z); r[1] = LOAD_AFTER(a, x); r[0] = a; }
HART(read_x_write_y) { u64 a = LOAD(x); FENCE(r, w); STORE(y, 1); r[0] = a; }
HART(read_y_write_z) { u64 a = LOAD(y); FENCE(r, w); STORE(z, 1); r[0] = a; }
HART(read_z_write_x) { u64 a = LOAD(z); FENCE(r, w); STORE(x, 1); r[0] = a; }
HART(read_y_write_x) { u64 a = LOAD(y); FENCE(r, w); STORE(x, 1); r[0] = a; }
HART(read_x_write_y_data) { u64 a = LOAD(x); STORE_AFTER(a, y, 1); r[0] = a; }
HART(read_y_write_z_data) { u64 a = LOAD(y); STORE_AFTER(a, z, 1); r[0] = a; }
HART(read_z_write_x_data) { u64 a = LOAD(z); STORE_AFTER(a, x, 1); r[0] = a; }
HART(write_x_read_y) { STORE(x, 1); FENCE(w, r); r[0] = LOAD(y); }
HART(write_y_read_z) { STORE(y, 1); FENCE(w, r); r[0] = LOAD(z); }
HART(write_z_read_x) { STORE(z, 1); FENCE(w, r); r[0] = LOAD(x); }
HART(write_y_read_x) { STORE(y, 1); FENCE(w, r); r[0] = LOAD(x); }
HART(swap_y_read_x) { SWAP(y); r[0] = LOAD(x); }
HART(write_x2) { STORE(x, 2); }
HART(write_x1_y2) { STORE(x, 1); FENCE(w, w); STORE(y, 2); }
HART(write_y1_z2) { STORE(y, 1); FENCE(w, w); STORE(z, 2); }
HART(write_z1_x2) { STORE(z, 1); FENCE(w, w); STORE(x, 2); }

/* a write that one hart saw before it wrote is there for whoever sees that hart's write */
BAD(wrc_bad) { return r1[0] == 1 && r2[0] == 1 && r2[1] == 0; }
/* the same through a third place */
BAD(isa2_bad) { return r1[0] == 1 && r2[0] == 1 && r2[1] == 0; }
/* a read between the write and a later write */
BAD(rwc_bad) { return r1[0] == 1 && r1[1] == 0 && r2[0] == 0; }
/* the last write comes after the first in the order of x */
BAD(wwc_bad) { return r1[0] == 2 && r2[0] == 1 && p->x[0] == 2; }
BAD(sb3_bad) { return r0[0] == 0 && r1[0] == 0 && r2[0] == 0; }
BAD(lb3_bad) { return r0[0] == 1 && r1[0] == 1 && r2[0] == 1; }
BAD(w3_bad) { return p->x[0] == 1 && p->y[0] == 1 && p->z[0] == 1; }
/* two readers do not see two writes in different orders */
BAD(iriw_bad) { return r1[0] == 1 && r1[1] == 0 && r3[0] == 1 && r3[1] == 0; }

static const Shape shapes[] = {
    {"WRC+fences", {write_x, read_x_write_y, read_yx}, wrc_bad},
    {"WRC+data+addr", {write_x, read_x_write_y_data, read_yx_addr}, wrc_bad},
    {"ISA2+fences", {write_xy, read_y_write_z, read_zx}, isa2_bad},
    {"ISA2+fence+data+addr", {write_xy, read_y_write_z_data, read_zx_addr}, isa2_bad},
    {"RWC+fences", {write_x, read_xy, write_y_read_x}, rwc_bad},
    {"RWC+addr+amo", {write_x, read_xy_addr, swap_y_read_x}, rwc_bad},
    {"WWC+fences", {write_x2, read_x_write_y, read_y_write_x}, wwc_bad},
    {"3.SB+fences", {write_x_read_y, write_y_read_z, write_z_read_x}, sb3_bad},
    {"3.LB+fences", {read_x_write_y, read_y_write_z, read_z_write_x}, lb3_bad},
    {"3.LB+datas", {read_x_write_y_data, read_y_write_z_data, read_z_write_x_data}, lb3_bad},
    {"3.2W+fences", {write_x1_y2, write_y1_z2, write_z1_x2}, w3_bad},
    {"IRIW+fences", {write_x, read_xy, write_y, read_yx}, iriw_bad},
    {"IRIW+addrs", {write_x, read_xy_addr, write_y, read_yx_addr}, iriw_bad},
};
#define N_SHAPES (sizeof(shapes) / sizeof(shapes[0]))

/* --- meeting --- */

static volatile u64 arrived, meetings, asleep[N_HARTS], present;

static void set_software_interrupt(unsigned hart, u32 on)
{
    ((volatile u32 *)CLINT)[hart] = on;
}

/* Interrupts are disabled: WFI ends, and nothing else happens.  It may end for an interrupt of an earlier meeting. */
static void sleep_until_met(unsigned hart, u64 before)
{
    STORE(&asleep[hart], 1);
    FENCE(rw, rw); /* pairs with wake_others(): one of the two sees the other */
    while (LOAD(&meetings) == before) {
        asm volatile("wfi");
        set_software_interrupt(hart, 0);
        FENCE(o, rw);
    }
    STORE(&asleep[hart], 0);
}

static void wake_others(u64 before)
{
    STORE(&arrived, 0);
    STORE(&present, 0);
    FENCE(rw, rw);
    STORE(&meetings, before + 1);
    FENCE(rw, rw);
    for (unsigned n = 0; n < N_HARTS; n++) {
        unsigned i = (n + before * 0x9e3779b97f4a7c15 % 7) % N_HARTS;

        if (LOAD(&asleep[i])) {
            set_software_interrupt(i, 1);
        }
    }
}

static void meet(unsigned hart)
{
    u64 before = LOAD(&meetings), others;

    asm volatile("amoadd.d.aqrl %0, %1, (%2)" : "=r"(others) : "r"(1UL), "r"(&arrived) : "memory");
    if (others == N_HARTS - 1) {
        wake_others(before);
        return;
    }
    for (unsigned i = 0; i < N_SPINS && LOAD(&meetings) == before; i++) {
    }
    sleep_until_met(hart, before);
    FENCE(rw, rw);
}

/* Waits a little for a second hart to be here, or a fourth. */
static void find_partner(void)
{
    u64 others;

    asm volatile("amoadd.d.aqrl %0, %1, (%2)" : "=r"(others) : "r"(1UL), "r"(&present) : "memory");
    for (unsigned i = 0; i < N_SPINS * 20 && LOAD(&present) <= (others | 1); i++) {
    }
}

/* --- running --- */

static void clear_places(void)
{
    for (unsigned n = 0; n < N_PLACES; n++) {
        STORE(places[n].x, 0);
        STORE(places[n].y, 0);
        STORE(places[n].z, 0);
    }
}

static void check_places(const Shape *s)
{
    for (unsigned n = 0; n < N_PLACES; n++) {
        if (s->forbidden(results[0][n], results[1][n], results[2][n], results[3][n], &places[n])) {
            put_string(s->name);
            put_string(": forbidden\n");
            test_failed(s - shapes + 1);
        }
    }
}

static void run_batch(const Shape *s, unsigned hart, u64 *seed)
{
    unsigned spread = next_random(seed) % 64 + 1;

    find_partner();
    for (unsigned n = 0; n < N_PLACES; n++) {
        volatile Place *p = &places[n];

        wait_a_little(next_random(seed) % spread);
        s->hart[hart](p->x, p->y, p->z, results[hart][n]);
    }
}

static void run_all(unsigned hart)
{
    u64 seed = 88172645463325252 + hart * 977;

    asm volatile("csrs mie, %0" : : "r"(8));
    for (const Shape *s = shapes; s < shapes + N_SHAPES; s++) {
        for (unsigned batch = 0; batch < LITMUS_BATCHES; batch++) {
            if (hart == 0) {
                clear_places();
            }
            meet(hart);
            if (s->hart[hart]) {
                run_batch(s, hart, &seed);
            }
            meet(hart);
            if (hart == 0) {
                check_places(s);
            }
        }
    }
}

void other_hart(unsigned hart)
{
    run_all(hart);
    for (;;) {
        asm volatile("wfi");
    }
}

static u64 stacks[N_HARTS][256] __attribute__((aligned(16), used));
asm(".globl secondary_main\n"
    "secondary_main: csrr a0, mhartid\n"
    "slli t0, a0, 11\n"
    "la sp, stacks + 2048\n"
    "add sp, sp, t0\n"
    "call other_hart");

int test_main(void)
{
    run_all(0);
    return 0;
}
