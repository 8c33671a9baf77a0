/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The optimiser changes no result, and does what it is there for. */
#include "ir-exec.h"

static void test_optimized_blocks(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(3);

    for (unsigned i = 0; i < 1500; i++) {
        random_block(r, 40);
        run_both(r, true);
    }
}

/* Shifts of one value that make rotations and extractions, and some that do not. */
static void test_shift_pairs(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(10);

    for (unsigned i = 0; i < 3000; i++) {
        unsigned width = g_rand_boolean(r) ? 32 : 64, left = g_rand_int_range(r, 1, width),
                 any = g_rand_int_range(r, 0, width);
        unsigned right = g_rand_int_range(r, 0, 4) ? width - left : any;
        static const uint8_t round[] = {32, 48, 56};

        begin_block();
        if (g_rand_boolean(r)) {
            left = round[g_rand_int_range(r, 0, 3)];
            right = g_rand_boolean(r) ? left : (unsigned)g_rand_int_range(r, 0, 64);
        }
        ir_emit(block, IR_SHL, 5, random_var(r), IR_IMM, left)->type = width == 32 ? IR_I32 : IR_I64;
        ir_emit(block, IR_SHR, 6, block->ops[0].a, IR_IMM, right)->type =
            g_rand_int_range(r, 0, 8) ? block->ops[0].type : IR_I64;
        if (g_rand_boolean(r)) {
            ir_emit(block, IR_OR, 7, 5, 6, 0)->type = g_rand_boolean(r) ? IR_I64 : IR_I32;
        } else {
            ir_emit(block, g_rand_boolean(r) ? IR_SHR : IR_SAR, 7, 5, IR_IMM, right);
        }
        ir_emit(block, IR_MOVI, 5, IR_NONE, IR_NONE, 1);
        end_block();
        run_both(r, true);
    }
}

/* Few vars, so that shifts meet what may join them, and what may look at them before. */
static void random_shift_op(GRand *r)
{
    static const IRRef vars[] = {3, 4, 12, 13};
    static const uint8_t counts[] = {1, 2, 3, 4, 32, 48, 56};
    IRRef dst = vars[g_rand_int_range(r, 0, 4)], a = vars[g_rand_int_range(r, 0, 4)];
    int64_t count = counts[g_rand_int_range(r, 0, 7)];

    switch (g_rand_int_range(r, 0, 8)) {
    case 0:
    case 1:
    case 2:
        ir_emit(block, IR_SHL, dst, g_rand_boolean(r) ? dst : a, IR_IMM, count);
        break;
    case 3:
        ir_emit(block, g_rand_boolean(r) ? IR_SHR : IR_SAR, dst, g_rand_boolean(r) ? dst : a, IR_IMM, count);
        break;
    case 4:
    case 5:
        ir_emit(block, IR_ADD, dst, a, g_rand_boolean(r) ? dst : vars[g_rand_int_range(r, 0, 4)], 0)->type =
            g_rand_int_range(r, 0, 8) ? IR_I64 : IR_I32;
        break;
    case 6:
        ir_emit(block, IR_AND, dst, a, IR_IMM, 255);
        break;
    default:
        /* rarely there */
        ir_emit(block, IR_LD, dst, g_rand_int_range(r, 0, 4) ? 16 : a, IR_NONE, 0)->mem = 3;
    }
}

static void test_joined_shifts(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(13);

    for (unsigned i = 0; i < 5000; i++) {
        begin_block();
        for (unsigned k = 0; k < 8; k++) {
            ir_emit(block, IR_INSN, IR_NONE, IR_NONE, IR_NONE, 0x100 + 4 * k)->aux = 4;
            random_shift_op(r);
        }
        end_block();
        run_both(r, true);
    }
}

/* slli, add: the address of an array's element. */
static void test_index_is_one_op(void)
{
    begin_block();
    ir_emit(block, IR_SHL, 5, 5, IR_IMM, 3);
    ir_emit(block, IR_INSN, IR_NONE, IR_NONE, IR_NONE, 0x104);
    ir_emit(block, IR_ADD, 5, 6, 5, 0);
    end_block();
    tcg_optimize(block);
    g_assert_cmpuint(block->n_ops, ==, 3);
    g_assert_cmpuint(block->ops[1].opc, ==, IR_SHADD);
}

/* Every condition, with constants on either side, both or none. */
static void test_branches_on_constants(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(21);

    for (unsigned i = 0; i < 2000; i++) {
        IRRef operands[2];

        begin_block();
        for (unsigned k = 0; k < 2; k++) {
            operands[k] = g_rand_int_range(r, 0, 4) ? 5 + 15 * k : IR_ZERO;
            if (operands[k] != IR_ZERO && g_rand_boolean(r)) {
                ir_emit(block, IR_MOVI, operands[k], IR_NONE, IR_NONE, interesting(r));
            }
        }
        emit_brcond(i % (IR_GTU + 1), operands[0], operands[1], 0x180)->type = g_rand_boolean(r) ? IR_I64 : IR_I32;
        ir_emit(block, IR_MOVI, 7, IR_NONE, IR_NONE, 1);
        end_block();
        run_both(r, true);
    }
}

static void test_branch_never_taken(void)
{
    begin_block();
    ir_emit(block, IR_MOVI, 5, IR_NONE, IR_NONE, 4);
    emit_brcond(IR_LTU, 5, IR_ZERO, 0x180);
    end_block();
    tcg_optimize(block);
    g_assert_cmpuint(block->n_ops, ==, 2);
    g_assert_cmpuint(block->ops[0].opc, ==, IR_MOVI);
}

/* auipc of one place, then of others, and a call of another page. */
static void test_near_addresses(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(22);

    begin_block();
    ir_emit(block, IR_PCREL, 5, IR_NONE, IR_NONE, 0x12345);
    ir_emit(block, IR_PCREL, 5, IR_NONE, IR_NONE, 0x12341);
    ir_emit(block, IR_STENV, IR_NONE, 5, IR_NONE, offsetof(TCGEnv, scratch[7]))->mem = 3;
    ir_emit(block, IR_PCREL, 20, IR_NONE, IR_NONE, 0x12341);
    ir_emit(block, IR_MOVI, 5, IR_NONE, IR_NONE, 1);
    ir_emit(block, IR_PCREL, 6, IR_NONE, IR_NONE, INT64_C(0x700000000));
    ir_emit(block, IR_PCREL, 1, IR_NONE, IR_NONE, 0x104);
    ir_emit(block, IR_JMP_FAR, IR_NONE, IR_NONE, IR_NONE, 0x5080);
    lookup_result = NULL;
    run_both(r, true);
    g_assert_cmphex(env->pc, ==, PAGE_BASE + 0x5080);
    g_assert_cmpuint(block->ops[block->n_ops - 1].opc, ==, IR_JMP_IND);
}

void add_optimize_tests(void)
{
    g_test_add_func("/tcg/optimize/changes-no-result", test_optimized_blocks);
    g_test_add_func("/tcg/optimize/shift-pairs-agree", test_shift_pairs);
    g_test_add_func("/tcg/optimize/joined-shifts-agree", test_joined_shifts);
    g_test_add_func("/tcg/optimize/index-is-one-op", test_index_is_one_op);
    g_test_add_func("/tcg/optimize/branches-on-constants-agree", test_branches_on_constants);
    g_test_add_func("/tcg/optimize/never-taken-branches-go", test_branch_never_taken);
    g_test_add_func("/tcg/optimize/near-addresses-agree", test_near_addresses);
}
