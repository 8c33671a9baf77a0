/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Code that changes: an instruction patched in place, a page rewritten as a JIT does, data stored beside code. */
#include "bench.h"

#include <string.h>
#include <sys/mman.h>

typedef uint64_t (*Function)(uint64_t);

/* Writes a function that returns its argument plus @add, 0 <= add < 2048; returns the bytes written. */
static size_t emit_add(uint8_t *at, unsigned add)
{
#if defined(__riscv)
    uint32_t code[2] = {0x00050513 | add << 20, 0x00008067}; /* addi a0,a0,add; ret */

    memcpy(at, code, sizeof(code));
    return sizeof(code);
#elif defined(__x86_64__)
    uint8_t code[8] = {0x48, 0x8d, 0x87, add, add >> 8, 0, 0, 0xc3}; /* lea rax,[rdi+add]; ret */

    memcpy(at, code, sizeof(code));
    return sizeof(code);
#else
#error "no code for this machine"
#endif
}

static uint8_t *code_page(size_t bytes)
{
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static uint64_t call(uint8_t *at, uint64_t x)
{
    return ((Function)(uintptr_t)at)(x);
}

static uint64_t patch_in_place(unsigned scale)
{
    uint8_t *page = code_page(4096);
    uint64_t sum = 0;

    for (unsigned i = 0; i < 30000 * scale; i++) {
        size_t n = emit_add(page + 64, i & 1023);

        __builtin___clear_cache((char *)page + 64, (char *)page + 64 + n);
        sum = mix(call(page + 64, sum), i);
    }
    munmap(page, 4096);
    return sum;
}

static uint64_t rewrite_page(unsigned scale)
{
    uint8_t *page = code_page(4096);
    uint64_t sum = 0;

    for (unsigned r = 0; r < 1200 * scale; r++) {
        size_t used = 0;

        while (used < 4000) {
            used += emit_add(page + used, (r + used) & 1023);
        }
        __builtin___clear_cache((char *)page, (char *)page + used);
        for (unsigned k = 0; k < 4; k++) {
            for (size_t o = 0; o < used; o += 64) {
                sum = call(page + o, sum);
            }
        }
    }
    munmap(page, 4096);
    return sum;
}

static uint64_t data_beside_code(unsigned scale)
{
    uint8_t *page = code_page(4096);
    volatile uint64_t *data = (volatile uint64_t *)(page + 2048);
    uint64_t sum = 0;
    size_t n = emit_add(page, 3);

    __builtin___clear_cache((char *)page, (char *)page + n);
    for (unsigned i = 0; i < 1500000 * scale; i++) {
        data[i & 127] = call(page, sum);
        sum += data[(i * 7) & 127];
    }
    munmap(page, 4096);
    return sum;
}

const BenchProgram code_programs[] = {
    {"patch-in-place", "code", patch_in_place},
    {"rewrite-page", "code", rewrite_page},
    {"data-beside-code", "code", data_beside_code},
    {0},
};
