/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loads, stores and atomics: shared checks, faults, the first level of the TLB. */
#include "ir-exec.h"

static void random_memory_op(GRand *r)
{
    static const IROpcode atomics[] = {IR_AMO_SWAP, IR_AMO_ADD,  IR_AMO_AND,  IR_AMO_OR,
                                       IR_AMO_XOR,  IR_AMO_MINS, IR_AMO_MAXS, IR_AMO_MINU,
                                       IR_AMO_MAXU, IR_LR,       IR_SC};
    unsigned kind = g_rand_int_range(r, 0, 10);
    static const IRRef bases[] = {9, 10, 16, 17, 18, 19};
    IRRef base = bases[g_rand_int_range(r, 0, 6)], value = g_rand_int_range(r, 0, 16);
    IROp *op;

    if (kind < 4) {
        op = ir_emit(block, IR_LD, g_rand_int_range(r, 0, 16), base, IR_NONE, g_rand_int_range(r, -40, 40));
        op->mem = g_rand_int_range(r, 0, 4) | (g_rand_boolean(r) ? IR_MEM_SIGN : 0);
    } else if (kind < 6) {
        op = ir_emit(block, IR_ST, IR_NONE, base, value, g_rand_int_range(r, -40, 40));
        op->mem = g_rand_int_range(r, 0, 4);
    } else if (kind == 6) {
        op = ir_emit(block, IR_LD, g_rand_int_range(r, 40, 48), base, IR_NONE, g_rand_int_range(r, -40, 40));
        op->mem = g_rand_boolean(r) ? 3 : 2 | IR_MEM_FP_BOX;
    } else if (kind == 7) {
        op = ir_emit(block, IR_ST, IR_NONE, base, g_rand_int_range(r, 40, 48), g_rand_int_range(r, -40, 40));
        op->mem = g_rand_int_range(r, 2, 4);
    } else {
        IRRef aligned = ir_temp(block);

        ir_emit(block, IR_AND, aligned, base, IR_IMM, g_rand_int_range(r, 0, 20) ? -8 : -1);
        op = ir_emit(block, atomics[g_rand_int_range(r, 0, G_N_ELEMENTS(atomics))],
                     g_rand_int_range(r, 0, 16), aligned, value, 0);
        op->mem = g_rand_int_range(r, 2, 4) | IR_MEM_ALIGN;
    }
}

void test_memory(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(4);

    for (unsigned i = 0; i < 1500; i++) {
        IRRef temp = 0;

        begin_block();
        block->parallel = g_rand_boolean(r);
        for (unsigned k = 0; k < 20; k++) {
            ir_emit(block, IR_INSN, IR_NONE, IR_NONE, IR_NONE, 0x100 + 4 * k)->aux = 4;
            random_memory_op(r);
            random_op(r, &temp);
        }
        for (unsigned k = 0; k < block->n_ops; k++) {
            IRRef dst = block->ops[k].dst;

            if ((dst >= 16 && dst < 20) || dst == 9 || dst == 10) {
                block->ops[k].dst = 3;
            }
        }
        end_block();
        run_both(r, i & 1);
    }
}

/* A base that seldom changes: checks are shared. */
void test_shared_checks(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(8);

    for (unsigned i = 0; i < 1500; i++) {
        begin_block();
        for (unsigned k = 0; k < 30; k++) {
            IRRef base = g_rand_boolean(r) ? 9 : 16;
            int offset = g_rand_int_range(r, -32, 33) * (g_rand_int_range(r, 0, 8) ? 1 : 40);
            IROp *op;

            ir_emit(block, IR_INSN, IR_NONE, IR_NONE, IR_NONE, 0x100 + 4 * k)->aux = 4;
            if (g_rand_boolean(r)) {
                op = ir_emit(block, IR_LD, g_rand_int_range(r, 0, 9), base, IR_NONE, offset);
                op->dst = g_rand_int_range(r, 0, 4) ? op->dst : 40 + op->dst;
            } else {
                op = ir_emit(block, IR_ST, IR_NONE, base, g_rand_int_range(r, 0, 16), offset);
                op->b = g_rand_int_range(r, 0, 4) ? op->b : 40 + op->b;
            }
            op->mem = op->dst >= 40 && op->opc == IR_LD ? (g_rand_boolean(r) ? 3 : 2 | IR_MEM_FP_BOX)
                                                        : g_rand_int_range(r, 0, 4);
            if (g_rand_int_range(r, 0, 12) == 0) {
                ir_emit(block, IR_ADD, base, base, IR_IMM, g_rand_int_range(r, -8, 9));
            }
        }
        end_block();
        run_both(r, false);
    }
}

static void test_hit_needs_no_call(void)
{
    use_backend(false);
    reset_env();
    begin_block();
    ir_emit(block, IR_LD, 5, 1, IR_NONE, 8)->mem = 3;
    ir_emit(block, IR_LD, 6, 1, IR_NONE, 16)->mem = 3;
    end_block();
    env->var[1] = GUEST_BASE;
    slow_loads = 0;
    run_block();
    g_assert_cmpuint(slow_loads, ==, 1);
}

static void load_at(IRRef dst, IRRef base, int64_t offset)
{
    ir_emit(block, IR_LD, dst, base, IR_NONE, offset)->mem = 3;
}

/* Three accesses share a check; before the last of them C unmaps what it proved. */
static void test_slow_path_ends_proofs(void)
{
    use_backend(false);
    reset_env();
    env->var[1] = GUEST_BASE;
    env->var[2] = GUEST_BASE + TCG_PAGE_SIZE;
    begin_block();
    load_at(5, 1, 0);
    end_block();
    run_block(); /* the first level knows the page now */
    begin_block();
    load_at(5, 1, 0);
    load_at(6, 1, 8);
    load_at(7, 2, 0);
    load_at(8, 1, 16);
    end_block();
    forgotten_in_load = GUEST_BASE;
    slow_loads = 0;
    run_block();
    forgotten_in_load = 0;
    g_assert_cmpuint(slow_loads, ==, 2);
}

static void test_fault_is_exact(void)
{
    for (int interpreter = 0; interpreter < 2; interpreter++) {
        use_backend(interpreter);
        reset_env();
        begin_block();
        ir_emit(block, IR_INSN, IR_NONE, IR_NONE, IR_NONE, 0x100);
        ir_emit(block, IR_ADD, 2, 2, IR_IMM, 1);
        ir_emit(block, IR_INSN, IR_NONE, IR_NONE, IR_NONE, 0x104);
        ir_emit(block, IR_LD, 2, 1, IR_NONE, 8)->mem = 3;
        ir_emit(block, IR_ADD, 2, 2, IR_IMM, 100);
        end_block();
        env->var[1] = 0x1234;
        env->var[2] = 41;
        g_assert_cmpuint(run_block(), ==, FAULT_REASON);
        g_assert_cmphex(fault_addr, ==, 0x123c);
        g_assert_cmphex(fault_pc, ==, PAGE_BASE + 0x104);
        g_assert_cmpuint(env->var[2], ==, 42);
        g_assert_cmpuint(env->in_code, ==, 0);
    }
}

static void test_empty_slot_never_matches(void)
{
    /* The top page and page 0 are where careless encodings of "empty" would match. */
    static const uint64_t addresses[] = {0, 8, 0xfff, ~0ULL - 7, ~0ULL - 4095, 0x1000};

    for (int interpreter = 0; interpreter < 2; interpreter++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(addresses); i++) {
            use_backend(interpreter);
            reset_env();
            begin_block();
            ir_emit(block, IR_LD, 2, 1, IR_NONE, 0)->mem = 3;
            end_block();
            env->var[1] = addresses[i];
            g_assert_cmpuint(run_block(), ==, FAULT_REASON);
        }
    }
}

void add_memory_tests(void)
{
    g_test_add_func("/tcg/memory/random-accesses-agree", test_memory);
    g_test_add_func("/tcg/memory/shared-checks-agree", test_shared_checks);
    g_test_add_func("/tcg/memory/a-hit-needs-no-call", test_hit_needs_no_call);
    g_test_add_func("/tcg/memory/slow-paths-end-what-a-check-proved", test_slow_path_ends_proofs);
    g_test_add_func("/tcg/memory/faults-are-exact", test_fault_is_exact);
    g_test_add_func("/tcg/memory/empty-slots-never-match", test_empty_slot_never_matches);
}
