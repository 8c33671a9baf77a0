/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The demo's guest: stores into every page of its RAM, again and again, and checks each time that the page still
 * holds what it wrote the time before.  A store that a migration lost shows as "LOST".
 *
 * Every page holds {pass number, page number, a function of both}.  The pace is held near PAGES_PER_SECOND, so that
 * the machine dirties memory steadily, whatever the speed of the emulator.
 */
#include "../lib/bare-metal.h"

#define RAM_FIRST        UINT64_C(0x80200000)
#define RAM_BYTES        (UINT64_C(RAM_MIB) << 20)
#define RAM_END          (UINT64_C(0x80000000) + RAM_BYTES)
#define PAGE_BYTES       4096
#ifndef PAGES_PER_SECOND
#define PAGES_PER_SECOND 40000
#endif

static uint64_t mark(uint64_t pass, uint64_t page)
{
    return (pass * UINT64_C(0x9e3779b97f4a7c15)) ^ (page << 20) ^ pass;
}

/* Whether the page holds what pass @pass wrote. */
static int page_holds(const volatile uint64_t *page, uint64_t number, uint64_t pass)
{
    return page[0] == pass && page[1] == number && page[2] == mark(pass, number) &&
           page[PAGE_BYTES / 8 - 1] == ~mark(pass, number);
}

static void page_store(volatile uint64_t *page, uint64_t number, uint64_t pass)
{
    page[0] = pass;
    page[1] = number;
    page[2] = mark(pass, number);
    page[PAGE_BYTES / 8 - 1] = ~mark(pass, number);
}

static void report(const char *what, uint64_t n)
{
    print(what);
    print(" ");
    print_number(n);
    print("\n");
}

void guest_main(void);
void guest_main(void)
{
    uint64_t stored = 0, start = read_time();

    print("STORER\n");
    for (uint64_t pass = 1;; pass++) {
        uint64_t lost = 0;

        for (uint64_t address = RAM_FIRST; address < RAM_END; address += PAGE_BYTES) {
            volatile uint64_t *page = (volatile uint64_t *)address;
            uint64_t number = (address - RAM_FIRST) / PAGE_BYTES;

            if (pass > 1 && !page_holds(page, number, pass - 1)) {
                lost++;
            }
            page_store(page, number, pass);
            if (++stored % 256 == 0) {
                while ((read_time() - start) / (TIME_PER_SECOND / 1000) < stored * 1000 / PAGES_PER_SECOND) {
                }
            }
        }
        if (lost) {
            report("LOST", lost);
        }
        report("PASS", pass);
    }
}
