/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every combination of pending, enabled and delegated interrupts, mode, MIE and SIE, against the rules of the
 * specification: which one is taken, by whom, and what is left in the registers of that level.
 */
#include "guest.h"

enum { SSI = 1, MSI = 3, STI = 5, SEI = 9 };
enum { MODE_U, MODE_S, MODE_M = 3 };
enum { BREAKPOINT = 3, ECALL_S = 9 };

#define BIT(n)    (1UL << (n))
#define INTERRUPT BIT(63)
#define SIE       BIT(1)
#define MIE       BIT(3)
#define MPIE      BIT(7)
#define SPP       BIT(8)
#define MPP(mode) ((u64)(mode) << 11)
#define STCE      BIT(63)

typedef struct Case {
    u64 pending, enabled, delegated, mode;
    int mie, sie;
} Case;

typedef struct Outcome {
    u64 mcause, scause, sepc, spp; /* of S-mode only if it was there */
} Outcome;

static u64 subset(unsigned n)
{
    return (n & 1 ? BIT(SSI) : 0) | (n & 2 ? BIT(STI) : 0) | (n & 4 ? BIT(SEI) : 0) | (n & 8 ? BIT(MSI) : 0);
}

/* Runs one instruction, a breakpoint, in the mode; an interrupt comes before it. */
static Outcome perform(const Case *c, u64 *where, u64 *mepc)
{
    register u64 cause asm("s9");
    register u64 epc asm("s11");
    u64 status = (c->sie ? SIE : 0) | (c->mie ? MPIE : 0) | MPP(c->mode), target;
    Outcome o = {0};

    asm volatile("csrw mie, %0; csrw mideleg, %1; csrw mip, %2"
                 :
                 : "r"(c->enabled), "r"(c->delegated), "r"(c->pending));
    asm volatile("csrc mstatus, %0; csrs mstatus, %1" : : "r"(SIE | MPIE | MPP(3)), "r"(status));
    asm volatile("la %[target], 1f; csrw mepc, %[target]; la t0, 2f; csrw stvec, t0; la s8, 3f;"
                 "li %[scause], 0; mret; .balign 4;"
                 "1: ebreak; .balign 4;"
                 "2: csrr %[scause], scause; csrr %[sepc], sepc; csrr %[spp], sstatus; ecall; .balign 4;"
                 "3: li s8, 0; csrci mstatus, 8; csrw mie, zero"
                 : [target] "=&r"(target), "=r"(cause), "=r"(epc), [scause] "=&r"(o.scause),
                   [sepc] "=&r"(o.sepc), [spp] "=&r"(o.spp)
                 :
                 : "t0", "t6", "s8", "s10", "memory");
    o.mcause = cause;
    *where = target;
    *mepc = epc;
    return o;
}

static u64 first_of(u64 set)
{
    static const unsigned char order[] = {MSI, SEI, SSI, STI};

    for (unsigned n = 0; n < sizeof(order); n++) {
        if (set & BIT(order[n])) {
            return INTERRUPT | order[n];
        }
    }
    return 0;
}

static int run(const Case *c)
{
    u64 due = c->pending & c->enabled, for_m = 0, for_s = 0, where, mepc;
    Outcome is = perform(c, &where, &mepc);
    int good;

    if (c->mode < MODE_M || c->mie) {
        for_m = first_of(due & ~c->delegated);
    }
    if (c->mode < MODE_S || (c->mode == MODE_S && c->sie)) {
        for_s = first_of(due & c->delegated);
    }
    if (for_m) {
        good = is.mcause == for_m && mepc == where && !is.scause;
    } else if (for_s) {
        good = is.mcause == ECALL_S && is.scause == for_s && is.sepc == where &&
               !(is.spp & SPP) == (c->mode == MODE_U) && !(is.spp & SIE);
    } else {
        good = is.mcause == BREAKPOINT && mepc == where && !is.scause;
    }
    if (!good) {
        put_string("mip, mie, mideleg: ");
        put_hex(c->pending);
        put_hex(c->enabled);
        put_hex(c->delegated);
        put_string(" mode, MIE, SIE: ");
        put_hex(c->mode << 8 | c->mie << 4 | c->sie);
        put_string(" gave ");
        put_hex(is.mcause);
        put_hex(is.scause);
        put_string("\n");
    }
    return !good;
}

/* The only one of these that software does not set in mip. */
static void set_msi(int level)
{
    u64 mip;

    *(volatile u32 *)CLINT = level;
    do {
        asm volatile("csrr %0, mip" : "=r"(mip));
    } while (!(mip & BIT(MSI)) == level);
}

int test_main(void)
{
    int failures = 0;

    asm volatile("csrw pmpaddr0, %0; csrw pmpcfg0, %1; csrc 0x30a, %2" : : "r"(-1L), "r"(0x1f), "r"(STCE));
    for (unsigned pending = 0; pending < 16; pending++) {
        set_msi(pending >> 3);
        for (unsigned n = 0; n < 16 * 8 * 16 && !failures; n++) {
            Case c = {
                .pending = subset(pending),
                .enabled = subset(n & 15),
                .delegated = subset(n >> 4 & 7),
                .mode = n >> 7 & 3,
                .mie = n >> 9 & 1,
                .sie = n >> 10 & 1,
            };

            if (c.mode != 2) {
                failures += run(&c);
            }
        }
    }
    return failures != 0;
}
