/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest of the storms: each hart changes pages in every way a hart can, and checks before each change
 * that the page is as the last change left it.
 *
 * A page's visits are counted in a table elsewhere in memory, and each visit rewrites all of the page's
 * places as a function of the count: plain, narrow, misaligned and page-crossing stores, an AMO, LR/SC,
 * cbo.zero, and a function in the page, which it calls.  So a store that was lost shows at the next visit, on
 * whatever machine that is. A line "LOST page place" per finding; "V" every few thousand visits.
 *
 * Most of the time it keeps to a few pages at the end of RAM, as programs do: their stores stay fast, so that
 * a single re-arm that was missed loses all that follow.  Now and then it goes everywhere.
 */
#include "../lib/bare-metal.h"

#define FIRST     UINT64_C(0x80200000)
#define END       (UINT64_C(0x80000000) + ((uint64_t)RAM_MIB << 20))
#define PAGE      4096
#define N_PAGES   ((END - FIRST) / PAGE - 1) /* the last one takes what crosses into it */
#define N_HARTS   2
#define HOT_PAGES 32
#define PER_V     50000
#define CYCLE     (1u << 25) /* visits */
#define ANYWHERE  (1u << 13) /* of them all over memory */

/* Places in a page.  The first bytes belong to the page before: what crosses. */
enum {
    PLAIN = 16,
    BYTE = 25,
    HALF = 30,
    WORD = 36,
    AMO = 64,
    LRSC = 72,
    MISALIGNED = 131,
    CODE = 512,
    ZERO = 2048
};
#define CROSSING (PAGE - 3)

static uint32_t visits[N_PAGES];  /* in .bss: below FIRST */
static uint32_t crossed[N_PAGES]; /* visit of the last store that crossed; 0: none */

static volatile uint32_t uart_lock;

static void lock_uart(void)
{
    while (__atomic_exchange_n(&uart_lock, 1, __ATOMIC_ACQUIRE)) {
    }
}

static void unlock_uart(void)
{
    __atomic_store_n(&uart_lock, 0, __ATOMIC_RELEASE);
}

static void report_lost(uint64_t page, unsigned place)
{
    lock_uart();
    print("LOST ");
    print_number(page);
    print(" ");
    print_number(place);
    print("\n");
    unlock_uart();
}

static uint64_t mix(uint64_t page, uint64_t visit)
{
    return (visit * UINT64_C(0x9e3779b97f4a7c15)) ^ (page << 40) ^ visit;
}

/* The compiler must neither split nor align them. */
static void store_any(uint64_t at, uint64_t value)
{
    __asm__ volatile("sd %0, 0(%1)" : : "r"(value), "r"(at) : "memory");
}

static uint64_t load_any(uint64_t at)
{
    uint64_t value;

    __asm__ volatile("ld %0, 0(%1)" : "=r"(value) : "r"(at) : "memory");
    return value;
}

static void add_with_lr_sc(uint64_t at)
{
    uint64_t old, failed;

    __asm__ volatile("1: lr.d.aq %0, (%2); addi %0, %0, 1; sc.d.rl %1, %0, (%2); bnez %1, 1b"
                     : "=&r"(old), "=&r"(failed)
                     : "r"(at)
                     : "memory");
}

/* li a0, value; ret.  @value < 2048. */
static void write_function(uint64_t at, uint32_t value)
{
    ((volatile uint32_t *)at)[0] = 0x00000513 | value << 20;
    ((volatile uint32_t *)at)[1] = 0x00008067;
    __asm__ volatile("fence.i" : : : "memory");
}

static unsigned visit_code(uint64_t visit)
{
    return (visit * 37 + 5) % 2048;
}

static void check(uint64_t page, unsigned place, uint64_t is, uint64_t wanted)
{
    if (is != wanted) {
        report_lost(page, place);
    }
}

/* @cross: accesses across pages take the slow path; such stores mark both pages again, which hides lost
 * marks. */
static void check_page(uint64_t page, uint64_t at, uint64_t visit, int cross)
{
    uint64_t m = mix(page, visit);

    check(page, PLAIN, load_any(at + PLAIN), m);
    check(page, BYTE, *(volatile uint8_t *)(at + BYTE), m & 0xff);
    check(page, HALF, *(volatile uint16_t *)(at + HALF), m & 0xffff);
    check(page, WORD, *(volatile uint32_t *)(at + WORD), m & 0xffffffff);
    check(page, AMO, load_any(at + AMO), visit);
    check(page, LRSC, load_any(at + LRSC), visit);
    check(page, MISALIGNED, load_any(at + MISALIGNED), ~m);
    if (cross && crossed[page]) {
        check(page, CROSSING, load_any(at + CROSSING), mix(page, crossed[page]));
    }
    check(page, ZERO, load_any(at + ZERO), 0);
    check(page, ZERO + 8, load_any(at + ZERO + 8), m);
    check(page, ZERO + 56, load_any(at + ZERO + 56), 0);
}

static void change_page(uint64_t page, uint64_t at, uint64_t visit, int cross)
{
    uint64_t m = mix(page, visit);

    store_any(at + PLAIN, m);
    *(volatile uint8_t *)(at + BYTE) = m;
    *(volatile uint16_t *)(at + HALF) = m;
    *(volatile uint32_t *)(at + WORD) = m;
    __asm__ volatile("amoadd.d zero, %0, (%1)" : : "r"(UINT64_C(1)), "r"(at + AMO) : "memory");
    add_with_lr_sc(at + LRSC);
    store_any(at + MISALIGNED, ~m);
    if (cross) {
        store_any(at + CROSSING, m);
        crossed[page] = visit;
    }
    store_any(at + ZERO, m);
    store_any(at + ZERO + 56, m);
    __asm__ volatile(".insn i 0x0f, 2, x0, %0, 4" : : "r"(at + ZERO) : "memory"); /* cbo.zero */
    store_any(at + ZERO + 8, m);
}

static void patch_and_call(uint64_t page, uint64_t at, uint64_t visit)
{
    uint64_t (*function)(void) = (uint64_t(*)(void))(at + CODE);

    if (visit > 8 && page % 16 == 0) {
        check(page, CODE, function(), visit_code((visit - 1) / 8 * 8));
    }
    if (visit % 8 == 0 && page % 16 == 0) {
        write_function(at + CODE, visit_code(visit));
        check(page, CODE, function(), visit_code(visit));
    }
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}

void guest_main(uint64_t hart);
void guest_main(uint64_t hart)
{
    uint64_t random = 88172645463325252u + hart * 7777777;

    for (uint64_t n = 1;; n++) {
        uint64_t r = random_next(&random);
        int anywhere = n % CYCLE < ANYWHERE;
        uint64_t page = anywhere ? r % N_PAGES : N_PAGES - 1 - r % HOT_PAGES;
        uint64_t at, visit;

        page = page - page % N_HARTS + hart; /* each hart has pages of its own */
        if (page >= N_PAGES) {
            continue;
        }
        at = FIRST + page * PAGE;
        visit = visits[page];
        if (visit) {
            check_page(page, at, visit, anywhere);
        } else { /* there may be a device tree */
            store_any(at + AMO, 0);
            store_any(at + LRSC, 0);
        }
        visits[page] = ++visit;
        change_page(page, at, visit, anywhere);
        patch_and_call(page, at, visit);
        if (n % PER_V == 0) {
            lock_uart();
            print("V");
            unlock_uart();
        }
    }
}
