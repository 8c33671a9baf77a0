/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program of bench/guest without a kernel, for count-insns.py: PROGRAM with SCALE, then its checksum and the end.
 * Nothing interrupts it, so its instructions are the same each time.
 */
#include "guest/bench.h"

#include <stdlib.h>
#include <string.h>

/* of tests/guest/lib.c, whose header has a mix() of its own */
void put_string(const char *s);
void put_hex(uint64_t value);
void test_failed(uint64_t number) __attribute__((noreturn));
#define FINISHER ((volatile uint32_t *)0x100000)

/* --- what the programs need of a C library --- */

/* Small, so that no two pages in use share an entry of a direct-mapped table of 4 MiB. */
static char heap[1 << 20] __attribute__((aligned(16)));
static size_t heap_used;

/* No program frees what it needs again. */
void *malloc(size_t size)
{
    void *p = heap + heap_used;

    size = (size + 15) & ~(size_t)15;
    if (size > sizeof(heap) - heap_used) {
        test_failed(1);
    }
    heap_used += size;
    return p;
}

void free(void *p)
{
}

/* Plain loops: compiled so that they do not become calls of themselves. */
void *memset(void *to, int value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ((char *)to)[i] = value;
    }
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ((char *)to)[i] = ((const char *)from)[i];
    }
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    if (to <= from) {
        return memcpy(to, from, n);
    }
    while (n--) {
        ((char *)to)[n] = ((const char *)from)[n];
    }
    return to;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n]) {
        n++;
    }
    return n;
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++, b++;
    }
    return (unsigned char)*a - (unsigned char)*b;
}

char *strcpy(char *to, const char *from)
{
    return memcpy(to, from, strlen(from) + 1);
}

char *strcat(char *to, const char *from)
{
    strcpy(to + strlen(to), from);
    return to;
}

char *strchr(const char *s, int c)
{
    while (*s && *s != (char)c) {
        s++;
    }
    return *s == (char)c ? (char *)s : NULL;
}

char *strstr(const char *s, const char *part)
{
    size_t n = strlen(part);

    for (; *s; s++) {
        size_t i = 0;

        while (i < n && s[i] == part[i]) {
            i++;
        }
        if (i == n) {
            return (char *)s;
        }
    }
    return NULL;
}

/* --- the program --- */

/* The machine may stop a while after it was told to: the guest must execute nothing until then. */
static void end(void)
{
    *FINISHER = 0x5555;
    for (;;) {
        __asm__ volatile("wfi");
    }
}

void run_program(void)
{
    static const BenchProgram *const tables[] = {integer_programs, fp_plain_programs};

    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
        for (const BenchProgram *p = tables[t]; p->name; p++) {
            if (!strcmp(p->name, PROGRAM)) {
                put_string("SUM ");
                put_hex(p->run(SCALE));
                put_string("\n");
                end();
            }
        }
    }
    test_failed(2);
}

/* On a stack that is deep enough for the programs. */
static char stack[1 << 20] __attribute__((aligned(16), used));
__asm__(".globl test_main\n"
        "test_main: la sp, stack + (1 << 20)\n"
        "call run_program");
