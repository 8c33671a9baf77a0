/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bare-metal test programs: start-up in start.S, and what the assembler and the C tests share.
 *
 * An assembler test defines test_main and runs in M-mode.  CHECK compares a register with a value; the first failure
 * ends the program with its number (gp counts them).  EXPECT_TRAP runs an instruction, in whatever mode, that must trap to
 * M-mode with the given cause; execution goes on in M-mode behind it with s9 = mcause, s10 = mtval, s11 = mepc.
 */
#ifndef TESTS_GUEST_H
#define TESTS_GUEST_H

#define FINISHER 0x100000
#define UART     0x10000000
#define CLINT    0x2000000

#ifdef __ASSEMBLER__

/* clobbers t6 */
#define CHECK(reg, value)                                                                                    \
    addi gp, gp, 1;                                                                                          \
    li t6, value;                                                                                            \
    bne reg, t6, test_fail

#define CHECK_REG(reg, other)                                                                                \
    addi gp, gp, 1;                                                                                          \
    bne reg, other, test_fail

#define EXPECT_TRAP(cause, ...)                                                                              \
    la s8, 9f;                                                                                               \
    li s9, -1;                                                                                               \
8:  __VA_ARGS__;                                                                                             \
    j test_fail;                                                                                             \
    .balign 4;                                                                                               \
9:  li s8, 0;                                                                                                \
    CHECK(s9, cause)

/* mode: 0 U, 1 S; goes on at the next instruction in that mode; clobbers t5 and t6 */
#define ENTER_MODE(mode)                                                                                     \
    li t6, 3 << 11;                                                                                          \
    csrc mstatus, t6;                                                                                        \
    li t6, mode << 11;                                                                                       \
    csrs mstatus, t6;                                                                                        \
    la t5, 7f;                                                                                               \
    csrw mepc, t5;                                                                                           \
    mret;                                                                                                    \
    .balign 4;                                                                                               \
7:

/* all memory for S and U */
#define OPEN_PMP                                                                                             \
    li t6, -1;                                                                                               \
    csrw pmpaddr0, t6;                                                                                       \
    li t6, 0x1f;                                                                                             \
    csrw pmpcfg0, t6

#define PASS j test_pass

#else

typedef unsigned long u64;
typedef unsigned int u32;

void put_string(const char *s);
void put_hex(u64 value);
void test_failed(u64 number) __attribute__((noreturn));
int test_main(void);

/* One row of a table test: @run mixes all results of one instruction into a hash. */
typedef struct HashTest {
    const char *name;
    u64 (*run)(void);
} HashTest;
/* Compares with @expected; prints what differs. */
void run_hash_tests(const HashTest *tests, const u64 *expected, unsigned n);

static inline u64 mix(u64 hash, u64 value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15;
    return hash ^ hash >> 29;
}

#endif
#endif
