/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Running IR on both back ends: guest memory is a few pages of fake RAM behind a fake runtime. */
#ifndef TESTS_UNIT_IR_EXEC_H
#define TESTS_UNIT_IR_EXEC_H

#include <glib.h>

#include "tcg/tcg.h"

#define GUEST_BASE 0x100000000ULL
#define GUEST_SIZE 0x4000
#define PAGE_BASE  0x7fff5000ULL /* where blocks are */

enum { FAULT_REASON = 9 }; /* accesses outside of the guest's memory leave with it */

extern TCGEnv *env;
extern IRBlock *block; /* the one under construction */
extern CodeBuffer code_buffer;
extern unsigned slow_loads, lookups, fp_checks; /* what the runtime was asked for */
extern uint64_t forgotten_in_load; /* slow loads unmap its page; 0: nothing */
extern uint64_t fault_addr, fault_pc;
extern const void *lookup_result; /* what lookups give; NULL: they leave with TCG_EXIT_LOOKUP */
extern bool baseline;   /* use_backend() forgets the host's extensions */
extern bool long_jumps; /* use_backend() takes the long form of jumps */

void ir_exec_init(void);
void use_backend(bool interpreter);
void reset_env(void);
/* For a test to fill; the next reset_env() empties it. */
JumpTableEntry *jump_entry(unsigned mode, uint64_t pc);

/* --- blocks: at PAGE_BASE + 0x100 --- */

void begin_block(void);
void end_block(void);
void label_at(int64_t offset);
IROp *emit_brcond(IRCond cond, IRRef a, IRRef b, int64_t target);
void compile(TCGCode *code, uintptr_t cookie);
uintptr_t enter(const TCGCode *code);
uintptr_t run_block(void);
/* From the same random state both back ends leave the same registers, flags and memory. */
void run_both(GRand *r, bool optimize);

/* --- random ops; vars 16 to 19 hold addresses at first, and so do 9 and 10 --- */

uint64_t interesting(GRand *r);
/* Pinned and unpinned integer vars, and zero. */
IRRef random_var(GRand *r);
void random_op(GRand *r, IRRef *temp); /* may take @temp and may replace it */
void random_block(GRand *r, unsigned n);
IRRef random_fp(GRand *r);
void random_fp_op(GRand *r);
void load_fp_vars(GRand *r);

/* --- tests: each file's, and those that are run again in another configuration --- */

void add_flow_tests(void);
void add_fp_tests(void);
void add_jump_tests(void);
void add_loop_tests(void);
void add_memory_tests(void);
void add_optimize_tests(void);

void test_loop_polls(void);
void test_memory(void);
void test_shared_checks(void);
void test_fp_single(void);
void test_fp_blocks(void);
void test_fp_loops(void);
void test_fp_nested_loops(void);
void test_loop_registers(void);

#endif
