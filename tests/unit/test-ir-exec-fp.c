/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Floating point: results, flags, and values that stay in registers. */
#include "ir-exec.h"

void test_fp_single(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(5);

    for (unsigned i = 0; i < 20000; i++) {
        begin_block();
        load_fp_vars(r);
        random_fp_op(r);
        end_block();
        run_both(r, false);
    }
}

void test_fp_blocks(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(6);

    for (unsigned i = 0; i < 3000; i++) {
        begin_block();
        load_fp_vars(r);
        ir_emit(block, IR_FP_CHECK, IR_NONE, IR_NONE, IR_NONE, 0);
        for (unsigned k = 0; k < 40; k++) {
            ir_emit(block, IR_INSN, IR_NONE, IR_NONE, IR_NONE, 0x100 + 4 * k)->aux = 4;
            random_fp_op(r);
            if (g_rand_int_range(r, 0, 4) == 0) {
                IROp *op = ir_emit(block, IR_LD, random_fp(r), 16, IR_NONE, g_rand_int_range(r, -40, 40));

                op->mem = g_rand_boolean(r) ? 3 : 2 | IR_MEM_FP_BOX;
            } else if (g_rand_int_range(r, 0, 4) == 0) {
                ir_emit(block, IR_ST, IR_NONE, 17, random_fp(r), g_rand_int_range(r, -40, 40))->mem =
                    g_rand_int_range(r, 2, 4);
            }
            if (block->ops[block->n_ops - 1].dst == 16 || block->ops[block->n_ops - 1].dst == 17) {
                block->ops[block->n_ops - 1].dst = 3;
            }
        }
        end_block();
        for (unsigned k = 0; k < block->n_ops; k++) {
            if (block->ops[k].dst == 16 || block->ops[k].dst == 17) {
                block->ops[k].dst = 3;
            }
        }
        run_both(r, i & 1);
    }
}

void test_fp_loops(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(7);

    for (unsigned i = 0; i < 1500; i++) {
        begin_block();
        load_fp_vars(r);
        ir_emit(block, IR_MOVI, 20, IR_NONE, IR_NONE, 4);
        ir_emit(block, IR_INSN, IR_NONE, IR_NONE, IR_NONE, 0x100)->aux = 4;
        label_at(0x100);
        for (unsigned k = 0; k < 12; k++) {
            random_fp_op(r);
        }
        if (g_rand_boolean(r)) {
            ir_emit(block, IR_SUB, 20, 20, IR_IMM, 1);
            emit_brcond(IR_EQ, 20, IR_ZERO, 0x1c0);
            for (unsigned k = 0; k < 4; k++) {
                random_fp_op(r);
            }
            ir_emit(block, IR_JMP, IR_NONE, IR_NONE, IR_NONE, 0x100);
        } else {
            ir_emit(block, IR_SUB, 20, 20, IR_IMM, 1);
            emit_brcond(IR_NE, 20, IR_ZERO, 0x100);
            end_block();
        }
        run_both(r, i & 1);
    }
}

/* What compilers make of a quiet comparison: the flags are kept. */
static void guarded_compare(GRand *r)
{
    IROp *op;

    ir_emit(block, IR_FP_GET_FLAGS, 7, IR_NONE, IR_NONE, 0);
    ir_emit(block, IR_INSN, IR_NONE, IR_NONE, IR_NONE, 0x110)->aux = 4;
    op = ir_emit(block, g_rand_int_range(r, IR_FEQ, IR_FLEQ + 1), g_rand_int_range(r, 5, 16), random_fp(r),
                 random_fp(r), 0);
    op->type = g_rand_boolean(r) ? IR_F64 : IR_F32;
    ir_emit(block, IR_FP_SET_FLAGS, IR_NONE, g_rand_int_range(r, 0, 8) ? 7 : 8, IR_NONE, 0);
}

static void random_fp_mix(GRand *r, unsigned n)
{
    while (n--) {
        IROp *op;

        switch (g_rand_int_range(r, 0, 8)) {
        case 0:
            op = ir_emit(block, IR_LD, random_fp(r), 16, IR_NONE, g_rand_int_range(r, -40, 40));
            op->mem = g_rand_boolean(r) ? 3 : 2 | IR_MEM_FP_BOX;
            break;
        case 1:
            op = ir_emit(block, IR_ST, IR_NONE, 17, random_fp(r), g_rand_int_range(r, -40, 40));
            op->mem = g_rand_int_range(r, 0, 4);
            break;
        case 2:
            if (g_rand_boolean(r)) {
                ir_emit(block, IR_FP_GET_FLAGS, random_var(r), IR_NONE, IR_NONE, 0);
            } else {
                ir_emit(block, IR_FP_SET_FLAGS, IR_NONE, random_var(r), IR_NONE, 0);
            }
            break;
        case 3:
            guarded_compare(r);
            break;
        default:
            random_fp_op(r);
        }
        /* the bases of addresses stay */
        op = &block->ops[block->n_ops - 1];
        op->dst = op->dst == 16 || op->dst == 17 ? 3 : op->dst;
    }
}

/* Values in registers across inner loops, side exits and slow accesses; entered at the top or in the middle. */
void test_fp_nested_loops(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(8);

    for (unsigned i = 0; i < 2000; i++) {
        begin_block();
        load_fp_vars(r);
        ir_emit(block, IR_MOVI, 20, IR_NONE, IR_NONE, 3);
        ir_emit(block, IR_MOVI, 21, IR_NONE, IR_NONE, 2);
        random_fp_mix(r, 4);
        if (g_rand_boolean(r)) {
            emit_brcond(IR_LT, 4, IR_ZERO, 0x140);
        }
        label_at(0x100);
        random_fp_mix(r, 6);
        ir_emit(block, IR_MOVI, 21, IR_NONE, IR_NONE, 3);
        label_at(0x140);
        random_fp_mix(r, 10);
        if (g_rand_boolean(r)) {
            emit_brcond(IR_EQ, 5, 6, 0x1c0);
        }
        ir_emit(block, IR_SUB, 21, 21, IR_IMM, 1);
        emit_brcond(IR_NE, 21, IR_ZERO, 0x140);
        random_fp_mix(r, 4);
        ir_emit(block, IR_SUB, 20, 20, IR_IMM, 1);
        emit_brcond(IR_NE, 20, IR_ZERO, 0x100);
        end_block();
        run_both(r, i & 1);
    }
}

static void test_fp_check(void)
{
    for (int interpreter = 0; interpreter < 2; interpreter++) {
        use_backend(interpreter);
        reset_env();
        env->fp_ok = 0;
        fp_checks = 0;
        begin_block();
        ir_emit(block, IR_FP_CHECK, IR_NONE, IR_NONE, IR_NONE, 0);
        ir_emit(block, IR_FP_CHECK, IR_NONE, IR_NONE, IR_NONE, 0);
        end_block();
        run_block();
        g_assert_cmpuint(fp_checks, ==, 1);
    }
}

static uint64_t get_and_clear_flags(TCGEnv *e, uint64_t a, uint64_t b, uint64_t c)
{
    uint8_t flags = tcg_fp_get_flags(e);

    tcg_fp_set(e, a, 0);
    return flags;
}

static void test_fp_state_from_calls(void)
{
    for (int interpreter = 0; interpreter < 2; interpreter++) {
        IROp *op;

        use_backend(interpreter);
        reset_env();
        begin_block();
        ir_emit(block, IR_MOVI, 40, IR_NONE, IR_NONE, 0x3ff0000000000000);
        ir_emit(block, IR_MOVI, 41, IR_NONE, IR_NONE, 0x4008000000000000);
        ir_emit(block, IR_MOVI, 1, IR_NONE, IR_NONE, IR_RUP);
        op = ir_emit(block, IR_FDIV, 42, 40, 41, 0);
        op->type = IR_F64;
        op->rm = IR_DYN;
        ir_emit(block, IR_CALL, 2, 1, IR_ZERO, (intptr_t)get_and_clear_flags)->c = IR_ZERO;
        op = ir_emit(block, IR_FDIV, 43, 40, 41, 0);
        op->type = IR_F64;
        op->rm = IR_DYN;
        end_block();
        run_block();
        g_assert_cmpuint(env->var[2], ==, 1);
        g_assert_cmphex(env->var[42], ==, 0x3fd5555555555555);
        g_assert_cmphex(env->var[43], ==, 0x3fd5555555555556);
        g_assert_cmpuint(tcg_fp_get_flags(env), ==, 1);
    }
}

void add_fp_tests(void)
{
    g_test_add_func("/tcg/fp/single-ops-agree", test_fp_single);
    g_test_add_func("/tcg/fp/random-blocks-agree", test_fp_blocks);
    g_test_add_func("/tcg/fp/loops-agree", test_fp_loops);
    g_test_add_func("/tcg/fp/nested-loops-agree", test_fp_nested_loops);
    g_test_add_func("/tcg/fp/check-is-called-once", test_fp_check);
    g_test_add_func("/tcg/fp/state-from-calls", test_fp_state_from_calls);
}
