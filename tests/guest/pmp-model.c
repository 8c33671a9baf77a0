/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random PMP entries over a few words, random accesses of all sizes from all modes, against the rules of the
 * specification: the lowest entry that holds any byte decides, and it must hold all of them.
 */
#include "guest.h"

enum { R = 1, W = 2, X = 4, OFF = 0, TOR = 8, NA4 = 16, NAPOT = 24, KIND = 24 };
enum { LOAD, STORE, FETCH };
enum { FAULT_FETCH = 1, FAULT_LOAD = 5, FAULT_STORE = 7, ECALL_U = 8, NONE = -1 };
enum { ENTRIES = 6, WORDS = 32, ROUNDS = 400, ACCESSES = 24, ECALL = 0x73 };

#define MPRV  0x20000L
#define MPP   0x1800L
#define MPP_M 0x1800L
#define MPP_S 0x800L

/* The entries lie in the middle, on both sides of the boundary of the pages. */
static u32 memory[2048] __attribute__((aligned(4096)));

typedef struct Entry {
    u64 cfg, addr;
} Entry;
static Entry entries[ENTRIES];

static u64 random64(void)
{
    static u64 x = 0x2545f4914f6cdd1d;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

static u64 window(void)
{
    return (u64)memory + 4096 - WORDS * 2;
}

static void random_entry(Entry *e)
{
    static const unsigned char permissions[] = {0, R, R | W, X, R | X, R | W | X};
    u64 r = random64(), size = (r >> 20) % 5;

    e->cfg = (r & KIND) | permissions[(r >> 8) % sizeof(permissions)];
    e->addr = (window() >> 2) + (r >> 32) % WORDS;
    if ((e->cfg & KIND) == NAPOT) {
        e->addr = (e->addr & -(1UL << size)) | ((1UL << size) - 1);
        e->addr &= ~(1UL << size);
    }
}

/* First and last byte; false: it matches nothing. */
static int range_of(unsigned n, u64 *first, u64 *last)
{
    u64 addr = entries[n].addr, ones = addr ^ (addr + 1);

    switch (entries[n].cfg & KIND) {
    case TOR:
        *first = n ? entries[n - 1].addr << 2 : 0;
        *last = (addr << 2) - 1;
        return *first <= *last;
    case NA4:
        *first = addr << 2;
        *last = *first + 3;
        return 1;
    case NAPOT:
        *first = (addr & ~ones) << 2;
        *last = *first + (ones << 2 | 3);
        return 1;
    default:
        return 0;
    }
}

static long expected(u64 addr, unsigned size, int access, u64 mode)
{
    static const unsigned char need[] = {R, W, X}, faults[] = {FAULT_LOAD, FAULT_STORE, FAULT_FETCH};
    u64 first, last;

    for (unsigned n = 0; n < ENTRIES; n++) {
        if (!range_of(n, &first, &last) || addr + size - 1 < first || addr > last) {
            continue;
        }
        if (addr < first || addr + size - 1 > last || (mode != MPP_M && !(entries[n].cfg & need[access]))) {
            return faults[access];
        }
        break;
    }
    return access == FETCH ? ECALL_U + (long)(mode >> 11) : NONE;
}

static long perform(u64 va, unsigned size, int access, u64 mode)
{
    register long cause asm("s9") = NONE;

    asm volatile("csrc mstatus, %0; csrs mstatus, %1" : : "r"(MPP), "r"(mode));
#define ACCESS(text)                                                                                         \
    asm volatile("la s8, 1f; li t6, 0x20000; " text "; .balign 4; 1: li s8, 0; csrc mstatus, %[mprv]"        \
                 : "+r"(cause)                                                                               \
                 : [va] "r"(va), [mprv] "r"(MPRV)                                                            \
                 : "t0", "t6", "s8", "s10", "s11", "memory")
#define DATA(insn)                                                                                           \
    ACCESS("li t0, 0x73; csrs mstatus, t6; " insn " t0, (%[va]); csrc mstatus, t6");                         \
    break
    switch (access == FETCH ? 0 : access << 4 | size) {
    case LOAD << 4 | 1:
        DATA("lb");
    case LOAD << 4 | 2:
        DATA("lh");
    case LOAD << 4 | 4:
        DATA("lw");
    case LOAD << 4 | 8:
        DATA("ld");
    case STORE << 4 | 1:
        DATA("sb");
    case STORE << 4 | 2:
        DATA("sh");
    case STORE << 4 | 4:
        DATA("sw");
    case STORE << 4 | 8:
        DATA("sd");
    default:
        ACCESS("csrw mepc, %[va]; mret");
    }
    return cause;
}

static void write_entries(void)
{
    u64 cfg = 0;

    for (unsigned n = 0; n < ENTRIES; n++) {
        cfg |= entries[n].cfg << 8 * n;
    }
    cfg |= (u64)(NAPOT | R | W | X) << 8 * ENTRIES;
    asm volatile("csrw pmpaddr0, %0; csrw pmpaddr1, %1; csrw pmpaddr2, %2; csrw pmpaddr3, %3;"
                 "csrw pmpaddr4, %4; csrw pmpaddr5, %5; csrw pmpaddr6, %6; csrw pmpcfg0, %7"
                 :
                 : "r"(entries[0].addr), "r"(entries[1].addr), "r"(entries[2].addr), "r"(entries[3].addr),
                   "r"(entries[4].addr), "r"(entries[5].addr), "r"(-1L), "r"(cfg));
}

static int one_access(void)
{
    static const u64 modes[] = {0, MPP_S, MPP_S, MPP_M};
    u64 r = random64(), mode = modes[r & 3], addr;
    int access = (r >> 8) % 3;
    unsigned size = access == FETCH ? 4 : 1 << ((r >> 16) & 3);
    long cause, should;

    if (access == FETCH && mode == MPP_M) {
        mode = MPP_S;
    }
    addr = window() + (((r >> 32) % (WORDS * 4)) & -size);
    if (access == FETCH) {
        *(volatile u32 *)addr = ECALL; /* M-mode may, and words are never held in part */
        asm volatile("fence.i");
    }
    cause = perform(addr, size, access, mode);
    should = expected(addr, size, access, mode);
    if (cause == should) {
        return 0;
    }
    put_string("address, size, access, mode: ");
    put_hex(addr);
    put_hex(size << 16 | access << 8 | mode >> 11);
    put_string(" gave ");
    put_hex(cause);
    put_string("\n");
    for (unsigned n = 0; n < ENTRIES; n++) {
        put_hex(entries[n].cfg);
        put_hex(entries[n].addr << 2);
        put_string("\n");
    }
    return 1;
}

int test_main(void)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned n = 0; n < ENTRIES; n++) {
            random_entry(&entries[n]);
        }
        write_entries();
        for (unsigned n = 0; n < ACCESSES; n++) {
            if (one_access()) {
                return 1;
            }
        }
    }
    return 0;
}
