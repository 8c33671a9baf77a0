/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The back ends agree: the same IR run by the interpreter and by generated code gives the same state. */
#include "ir-exec.h"

static void test_single_ops(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(1);

    for (unsigned i = 0; i < 6000; i++) {
        random_block(r, 1);
        run_both(r, false);
    }
}

static void test_random_blocks(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(2);

    for (unsigned i = 0; i < 1500; i++) {
        random_block(r, 40);
        run_both(r, false);
    }
}

/* Ops that take what the op before left in rax: vars without registers, each result used at once. */
static void test_results_used_at_once(void)
{
    static const IROpcode opcodes[] = {IR_MOV,    IR_ADD,    IR_SUB,   IR_AND,   IR_OR,  IR_XOR, IR_SHL, IR_SHR,
                                       IR_SAR,    IR_SEXT8,  IR_SEXT32, IR_ZEXT16, IR_MUL, IR_SHADD, IR_ANDN,
                                       IR_SETCOND, IR_ROTL};
    g_autoptr(GRand) r = g_rand_new_with_seed(23);

    for (unsigned i = 0; i < 5000; i++) {
        bool optimize = g_rand_boolean(r);
        IRRef last = 20;

        begin_block();
        for (unsigned k = 0; k < 8; k++) {
            IRRef dst = g_rand_int_range(r, 0, 6) ? g_rand_int_range(r, 20, 23) : 5;
            IRRef other = g_rand_int_range(r, 0, 4) ? g_rand_int_range(r, 20, 23) : 5;
            bool swap = g_rand_boolean(r), imm = !g_rand_int_range(r, 0, 3);
            IROpcode opc = opcodes[g_rand_int_range(r, 0, G_N_ELEMENTS(opcodes))];
            IROp *op;

            if (!g_rand_int_range(r, 0, 5)) {
                emit_brcond(g_rand_int_range(r, 0, IR_GTU + 1), swap ? last : other, swap ? other : last, 0x180);
            } else if (!g_rand_int_range(r, 0, 5)) {
                /* the address too is fresh */
                ir_emit(block, IR_MOV, 20, 16, IR_NONE, 0);
                ir_emit(block, IR_ST, IR_NONE, 20, swap ? 20 : other, 8)->mem = g_rand_int_range(r, 0, 4);
            } else {
                op = ir_emit(block, opc, dst, swap ? last : other, swap ? other : last, 0);
                op->type = g_rand_boolean(r) && opc != IR_SHADD ? IR_I32 : IR_I64;
                if (opc == IR_SHADD) {
                    op->imm = 1 + k % 3;
                } else if (imm && opc != IR_MOV) {
                    op->b = IR_IMM;
                    op->imm = g_rand_int_range(r, 0, 8);
                }
                last = dst;
            }
        }
        end_block();
        run_both(r, optimize);
    }
}

static uint64_t change_vars(TCGEnv *e, uint64_t a, uint64_t b, uint64_t c)
{
    for (unsigned i = 1; i < 20; i++) {
        e->var[i] += i;
    }
    return a;
}

static void test_call_sees_and_changes_vars(void)
{
    for (int interpreter = 0; interpreter < 2; interpreter++) {
        use_backend(interpreter);
        reset_env();
        begin_block();
        for (unsigned i = 1; i < 20; i++) {
            ir_emit(block, IR_MOVI, i, IR_NONE, IR_NONE, 1000 * i);
        }
        ir_emit(block, IR_CALL, IR_ZERO, 1, IR_ZERO, (intptr_t)change_vars)->flags = IR_CALL_WRITES_VARS;
        end_block();
        tcg_optimize(block);
        run_block();
        for (unsigned i = 1; i < 20; i++) {
            g_assert_cmpuint(env->var[i], ==, 1001 * i);
        }
    }
}

static void test_full_buffer(void)
{
    size_t size = code_buffer.limit;
    g_autoptr(GRand) r = g_rand_new_with_seed(9);
    TCGCode code;

    use_backend(false);
    random_block(r, 200);
    code_buffer.limit = 4096;
    g_assert_false(tcg_compile(&code_buffer, block, 0, &code));
    g_assert_cmpuint(code_buffer.used, ==, 0);
    code_buffer.limit = size;
}

/* What seldom runs lies apart; in a buffer without room for both it lies behind its block. */
static void test_cold_apart(void)
{
    size_t size = code_buffer.size;
    TCGCode code[2];

    use_backend(false);
    if (tcg_config()->interpreter) {
        g_test_skip("the interpreter makes no code");
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        begin_block();
        ir_emit(block, IR_LD, 1, 16, IR_NONE, 8)->mem = 3;
        end_block();
        code_buffer_use(&code_buffer, 0, i ? 4096 : size);
        g_assert_true(tcg_compile(&code_buffer, block, 0, &code[i]));
    }
    g_assert_cmpuint(code[0].cold_size, >, 0);
    g_assert_cmpuint(code[1].cold_size, ==, 0);
    g_assert_cmpuint(code[1].size, ==, code[0].size + code[0].cold_size);
    code_buffer_use(&code_buffer, 0, size);
}

/* tcg_link() writes eight bytes at once: those of a jump are in no other block, which another thread may be making. */
static void test_blocks_share_no_word(void)
{
    TCGCode code[2];

    use_backend(false);
    for (unsigned i = 0; i < 2; i++) {
        begin_block();
        emit_brcond(IR_EQ, 1, 2, 0x80);
        end_block();
        g_assert_true(tcg_compile(&code_buffer, block, 0, &code[i]));
    }
    g_assert_cmpuint((uintptr_t)code[1].rx % 8, ==, 0);
    g_assert_cmpuint((uintptr_t)code[1].cold % 8, ==, 0);
}

/* All of it again on a host that has SSE2 only. */
static void test_baseline_host(void)
{
    baseline = true;
    test_single_ops();
    test_random_blocks();
    test_memory();
    test_shared_checks();
    test_fp_single();
    test_fp_blocks();
    test_fp_loops();
    test_fp_nested_loops();
    test_loop_registers();
    baseline = false;
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ir_exec_init();
    g_test_add_func("/tcg/value/single-ops-agree", test_single_ops);
    g_test_add_func("/tcg/value/random-blocks-agree", test_random_blocks);
    g_test_add_func("/tcg/value/results-used-at-once-agree", test_results_used_at_once);
    g_test_add_func("/tcg/call/sees-and-changes-vars", test_call_sees_and_changes_vars);
    g_test_add_func("/tcg/code-buffer/full-is-reported", test_full_buffer);
    g_test_add_func("/tcg/code-buffer/seldom-run-code-lies-apart", test_cold_apart);
    g_test_add_func("/tcg/code-buffer/blocks-share-no-word", test_blocks_share_no_word);
    g_test_add_func("/tcg/host/baseline-agrees", test_baseline_host);
    add_optimize_tests();
    add_memory_tests();
    add_flow_tests();
    add_jump_tests();
    add_loop_tests();
    add_fp_tests();
    return g_test_run();
}
