/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A machine with two toy vCPUs, some RAM and a device, for tests of the soft TLB and of translated code. */
#ifndef TESTS_UNIT_CPUTLB_H
#define TESTS_UNIT_CPUTLB_H

#include "accel/tcg/internal.h"
#include "system/memory.h"
#include "tests/lib/toy-guest.h"

#define RAM_BASE UINT64_C(0x80000000)
#define RAM_SIZE (64 * TARGET_PAGE_SIZE)
#define CODE_AT  0x1000 /* offsets in RAM */
#define DATA_AT  0x8000
#define DEV_BASE UINT64_C(0x10000000)
#define N_CPUS   2

/* Virtual addresses from here on show RAM shifted by the address space identifier, */
#define WINDOW UINT64_C(0x4000000000)
/* RAM through leaves of 2 MiB, */
#define LARGE (WINDOW + 0x40000000)
/* and of 512 GiB. */
#define GIANT (UINT64_C(1) << 40)

extern MemoryRegion ram; /* its ram_addr_t is not 0 */
extern uint8_t *host;    /* its contents */
extern CPUState *cpu[N_CPUS];
extern unsigned dev_reads; /* of the device at DEV_BASE, each of which quiesces */
extern bool read_only;     /* pages are mapped without PAGE_WRITE, unless for a store */

void make_machine(void);

void put_code(uint64_t offset, const uint32_t *code, size_t bytes);
/* Until the program halts, or var 15 is set from outside and a request makes it leave. */
void run(CPUState *cs, uint64_t offset);
uint64_t *var(int n, int v);
TcgStats *stats(int n);
uint64_t counter(const char *name);

/* vCPU 0, without a program */
void set_asid(uint16_t asid);
uint64_t load(vaddr addr);
void store(vaddr addr, uint64_t value);
/* After this the next load brings the entry for stores along. */
void load_and_store(uint64_t offset);
/* vCPU 0 runs "st r1 -> [r2]; halt" at @code. */
void store_once(uint64_t code, uint64_t to, uint64_t value);

ram_addr_t ram_addr(uint64_t offset);
uint64_t word_at(uint64_t offset);
/* Each page begins with its number. */
void fill_pages(void);
void start_log(void); /* with no page dirty */
void stop_log(void);
bool migration_dirty(uint64_t offset);
/* Takes the page's bit, which re-arms it; the number of pages that were dirty and not in @dest yet. */
uint64_t take_dirty(uint64_t offset, unsigned long *dest);

void add_code_tests(void);
void add_flush_tests(void);
void add_gate_tests(void);
void add_refill_tests(void);
void add_slot_tests(void);
void add_storm_tests(void);

#endif
