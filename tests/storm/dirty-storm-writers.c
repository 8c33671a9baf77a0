/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The writers of the dirty storm: vCPUs of the toy guest (translated stores, atomics, stores by C helpers,
 * stores across pages and blocks of their own code) and a device thread.
 */
#include "dirty-storm.h"

#include <string.h>

#include "system/dma.h"
#include "tests/lib/toy-guest.h"

#define WORKING_SET     8 /* pages */
#define STORES_PER_CALL 7

typedef struct Writer {
    uint64_t random, expected, sequence;
    hwaddr set[WORKING_SET]; /* 0: to be chosen */
    bool called;
} __attribute__((aligned(64))) Writer; /* no cache line has two */

CPUState *cpu[N_CPUS];
uint32_t stale_code;

static Writer writers[N_CPUS];

static Writer *writer_of(TCGEnv *env)
{
    return &writers[((ToyCPU *)env)->cs.index];
}

static hwaddr any_page(uint64_t *state)
{
    const Area *a = &areas[random_below(state, atomic_load_acquire(&n_areas))];

    return a->base + random_below(state, a->pages) * PAGE;
}

static const Area *area_of(hwaddr addr)
{
    for (unsigned i = 0; i < N_AREAS; i++) {
        if (addr - areas[i].base < areas[i].pages * PAGE) {
            return &areas[i];
        }
    }
    g_assert_not_reached();
}

/*
 * A writer keeps to a few pages for a while, as programs do: what it stores there is lost for good if one
 * re-arm is missed, where writers that are everywhere would soon mark the page again.
 */
static hwaddr random_page(Writer *w)
{
    hwaddr *page = &w->set[random_below(&w->random, WORKING_SET)];

    if (!*page || random_below(&w->random, 3000) == 0) {
        *page = any_page(&w->random);
    }
    return *page;
}

/* Eight aligned bytes outside the functions. */
static hwaddr random_word(Writer *w)
{
    return random_page(w) + (random_below(&w->random, CODE_OFFSET) & ~UINT64_C(7));
}

/* Eight bytes across the end of a page that is not an area's last. */
static hwaddr random_crossing(Writer *w)
{
    hwaddr page = random_page(w);
    const Area *a = area_of(page);

    return MIN(page, a->base + (a->pages - 2) * PAGE) + PAGE - 1 - random_below(&w->random, 7);
}

/* Writes a new function for the program to call next; most times where the last one was. */
static void write_function(Writer *w, TCGEnv *env)
{
    if (!w->called || random_below(&w->random, 100) == 0) {
        env->var[10] = any_page(&w->random) + CODE_OFFSET + 64 * (w - writers);
    } else if (random_below(&w->random, 4)) {
        return;
    }
    w->expected = random_below(&w->random, 127);
    cpu_store(env, env->var[10], insn(LI, 9, 0, w->expected) | (uint64_t)insn(JR, 0, 12, 0) << 32, 3, 0);
    atomic_add_relaxed(&count.functions, 1);
}

static uint64_t help_pick(TCGEnv *env, uint64_t x, uint64_t y, uint64_t z)
{
    Writer *w = writer_of(env);

    if (w->called && env->var[9] != w->expected) {
        atomic_inc(&stale_code);
    }
    env->var[1] = w->sequence += N_CPUS;
    for (int i = 2; i <= 5; i++) {
        env->var[i] = random_word(w);
    }
    if (random_below(&w->random, 8) == 0) {
        cpu_store(env, random_crossing(w), w->sequence, 3, 0);
    }
    cpu_store(env, random_word(w) + random_below(&w->random, 8), w->sequence, 0, 0);
    write_function(w, env);
    w->called = true;
    atomic_add_relaxed(&count.stores, STORES_PER_CALL);
    return 0;
}

static hwaddr program_at(unsigned n)
{
    return areas[0].base + CODE_OFFSET + 0x200 + 64 * n;
}

static void put_program(unsigned n)
{
    const uint32_t program[] = {
        insn(CALL, 0, 0, 0),  insn(ST, 1, 2, 0),   insn(ST, 1, 3, 0),     insn(ST, 1, 4, 0),
        insn(ST, 1, 4, 0),    insn(ST, 1, 2, 0),   insn(AMOADD, 6, 5, 0), insn(JR, 0, 10, 0),
        insn(BNE, 13, 0, -8), insn(HALT, 0, 0, 0),
    };

    address_space_write(&address_space_memory, program_at(n), program, sizeof(program));
}

void restart_program(unsigned n)
{
    Writer *w = &writers[n];
    TCGEnv *env = cpu[n]->env;

    w->called = false;
    memset(w->set, 0, sizeof(w->set));
    env->var[12] = program_at(n) + 8 * 4;
    env->var[13] = 1;
    env->pc = program_at(n);
}

void prepare_vcpu(unsigned n)
{
    Writer *w = &writers[n];

    put_program(n);
    cpu[n]->halted = false;
    w->random = seed(n + 1);
    w->sequence = n;
    restart_program(n);
}

void writers_init(void)
{
    GError *error = NULL;

    toy_call = help_pick;
    for (int n = 0; n < N_CPUS; n++) {
        cpu[n] = cpu_new("toy", NULL, n, &error);
        g_assert_no_error(error);
    }
}

/* --- the device --- */

static void NO_TSAN fill_bytes(uint8_t *host, uint64_t value, uint64_t length)
{
    for (uint64_t i = 0; i < length; i++) {
        ((volatile uint8_t *)host)[i] = value >> (i % 8 * 8);
    }
}

static void dma_through_mapping(hwaddr addr, uint64_t length, uint64_t value)
{
    DmaMapping mapping;
    uint64_t mapped = length;

    if (dma_map(&address_space_memory, addr, &mapped, true, &mapping)) {
        fill_bytes(mapping.host, value, mapped);
        dma_unmap(&mapping, mapped);
    }
}

void *device_thread(void *opaque)
{
    uint64_t random = seed(100), data[128];

    while (!atomic_read(&ending)) {
        hwaddr addr = any_page(&random);
        const Area *a = area_of(addr);
        uint64_t length = 1 + random_below(&random, sizeof(data));

        gate_pass();
        if (addr + PAGE < a->base + a->pages * PAGE && random_below(&random, 2)) {
            addr += PAGE - random_below(&random, MIN(length, CODE_BYTES)); /* into the next page */
        } else {
            addr += random_below(&random, CODE_OFFSET - length);
        }
        if (random_below(&random, 2)) {
            dma_through_mapping(addr, length, random_next(&random));
        } else {
            memset(data, (int)random_next(&random), length);
            dma_write(&address_space_memory, addr, data, length);
        }
        atomic_add_relaxed(&count.dma_writes, 1);
        g_usleep(random_below(&random, 400));
    }
    return NULL;
}
