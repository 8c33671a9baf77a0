/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Smepmp: what each combination of L, R, W and X means once mseccfg.MML is set, and what can no longer be changed. */
#include "guest.h"

enum { R = 1, W = 2, X = 4, NAPOT = 0x18, L = 0x80 };
enum { MML = 1, RLB = 4 };
enum { RET = 0x8067, MPRV = 0x20000, MPP = 0x1800, MPP_S = 0x800 };

/* The first object of .bss, so that code lies in 64 KiB of its own. */
static u32 page[1024] __attribute__((aligned(65536)));

/* By X, W, R as pmpcfg has them: what M-mode may, what S- and U-mode may. */
static const struct {
    unsigned char m, su;
} meaning[2][8] = {
    {
        [0] = {0, 0},
        [R] = {0, R},
        [W] = {R | W, R},
        [R | W] = {0, R | W},
        [X] = {0, X},
        [R | X] = {0, R | X},
        [W | X] = {R | W, R | W},
        [R | W | X] = {0, R | W | X},
    },
    {
        [0] = {0, 0},
        [R] = {R, 0},
        [W] = {X, X},
        [R | W] = {R | W, 0},
        [X] = {X, 0},
        [R | X] = {R | X, 0},
        [W | X] = {R | X, X},
        [R | W | X] = {R, R},
    },
};

/* Runs the instruction; the trap's cause, or -1.  The handler comes back in M-mode. */
#define TRY(text)                                                                                            \
    ({                                                                                                       \
        register long cause_ asm("s9") = -1;                                                                 \
        asm volatile("la s8, 1f; " text "; .balign 4; 1: li s8, 0"                                           \
                     : "+r"(cause_)                                                                          \
                     : [page] "r"(page), [ret] "r"(RET)                                                      \
                     : "ra", "t0", "t5", "t6", "s8", "s10", "s11", "memory");                                \
        cause_;                                                                                              \
    })
/* M-mode's data accesses as S-mode's. */
#define AS_S(text) "li t6, 0x20000; csrs mstatus, t6; " text

static unsigned m_may(void)
{
    unsigned may = 0;

    may |= TRY("lw t0, (%[page])") == -1 ? R : 0;
    may |= TRY("sw %[ret], (%[page])") == -1 ? W : 0;
    may |= TRY("jalr %[page]") == -1 ? X : 0;
    return may;
}

static void set_mpp_s(void)
{
    asm volatile("csrc mstatus, %0; csrs mstatus, %1" : : "r"(MPRV | MPP), "r"(MPP_S));
}

static unsigned s_may(void)
{
    unsigned may = 0;

    set_mpp_s();
    may |= TRY(AS_S("lw t0, (%[page])")) == -1 ? R : 0;
    set_mpp_s();
    may |= TRY(AS_S("sw %[ret], (%[page])")) == -1 ? W : 0;
    set_mpp_s();
    may |= TRY("la t5, 2f; csrw mepc, t5; mret; 2: jalr %[page]; ecall") == 9 ? X : 0;
    return may;
}

static void set_entry(unsigned n, u64 cfg)
{
    u64 mask = 0xffUL << 8 * n;

    asm volatile("csrc pmpcfg0, %0; csrs pmpcfg0, %1" : : "r"(mask & ~(cfg << 8 * n)), "r"(cfg << 8 * n));
}

static unsigned get_entry(unsigned n)
{
    u64 value;

    asm volatile("csrr %0, pmpcfg0" : "=r"(value));
    return value >> 8 * n & 0xff;
}

static u64 napot(u64 base, u64 size)
{
    return base >> 2 | (size / 8 - 1);
}

static u64 failures;

static void check(const char *what, unsigned n, u64 is, u64 should)
{
    if (is != should) {
        put_string(what);
        put_hex(n);
        put_hex(is);
        put_hex(should);
        put_string("\n");
        failures++;
    }
}

int test_main(void)
{
    page[0] = RET;
    asm volatile("fence.i");
    /* 0: the page; 1: code for everybody; 2: data for everybody */
    asm volatile("csrw pmpaddr0, %0" : : "r"(napot((u64)page, sizeof(page))));
    asm volatile("csrw pmpaddr1, %0" : : "r"(napot(0x80000000, 65536)));
    asm volatile("csrw pmpaddr2, %0" : : "r"(-1L));
    asm volatile("csrw 0x747, %0" : : "r"(RLB)); /* first, or locks would bind */
    set_entry(1, L | NAPOT | R | X);
    asm volatile("csrs 0x747, %0" : : "r"(MML));
    set_entry(1, L | NAPOT | W | X); /* only now is that not reserved */
    set_entry(2, NAPOT | W | X);
    for (unsigned bits = 0; bits < 16; bits++) {
        unsigned cfg = NAPOT | (bits & 7) | (bits & 8 ? L : 0);

        set_entry(0, cfg);
        check("entry ", cfg, get_entry(0), cfg);
        check("M-mode ", cfg, m_may(), meaning[bits >> 3][bits & 7].m);
        check("S-mode ", cfg, s_may(), meaning[bits >> 3][bits & 7].su);
    }

    /* without a way round locks: no new code for M-mode, and what is locked stays */
    set_entry(0, 0);
    asm volatile("csrc 0x747, %0" : : "r"(RLB));
    for (unsigned bits = 0; bits < 8; bits++) {
        set_entry(0, 0);
        set_entry(0, L | bits);
        if (meaning[1][bits].m & X) {
            check("refused ", bits, get_entry(0) & 7, 0);
        }
    }
    check("locked ", 1, get_entry(1), L | NAPOT | W | X);
    set_entry(1, 0);
    check("locked ", 1, get_entry(1), L | NAPOT | W | X);
    asm volatile("csrs 0x747, %0" : : "r"(RLB));
    {
        u64 mseccfg;

        asm volatile("csrr %0, 0x747" : "=r"(mseccfg));
        check("RLB cannot come back ", 0, mseccfg & RLB, 0);
    }
    return failures != 0;
}
