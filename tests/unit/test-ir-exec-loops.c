/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Vars that live in registers while a loop runs. */
#include "ir-exec.h"

static void access_at(GRand *r, IRRef base)
{
    if (g_rand_boolean(r)) {
        IRRef dst = g_rand_int_range(r, 1, 16);

        ir_emit(block, IR_LD, dst, base, IR_NONE, g_rand_int_range(r, -40, 40))->mem = g_rand_int_range(r, 0, 8);
    } else {
        ir_emit(block, IR_ST, IR_NONE, base, random_var(r), g_rand_int_range(r, -40, 40))->mem =
            g_rand_int_range(r, 0, 4);
    }
}

/* Vars 18 and 19 stay addresses; 20 and above count loops. */
static void random_loop_body(GRand *r, unsigned n)
{
    IRRef temp = 0;

    for (unsigned k = 0; k < n; k++) {
        ir_emit(block, IR_INSN, IR_NONE, IR_NONE, IR_NONE, 0x104 + 4 * k)->aux = 4;
        switch (g_rand_int_range(r, 0, 12)) {
        case 0:
        case 1:
        case 2:
            access_at(r, g_rand_int_range(r, 18, 20));
            break;
        case 3:
            random_fp_op(r);
            break;
        case 4:
            if (g_rand_int_range(r, 0, 8) == 0) {
                /* most often a fault */
                access_at(r, random_var(r));
            }
            break;
        case 5:
            if (g_rand_int_range(r, 0, 4) == 0) {
                emit_brcond(g_rand_int_range(r, 0, IR_GTU + 1), random_var(r), random_var(r), 0x1c0);
            }
            break;
        default:
            random_op(r, &temp);
        }
    }
}

static void close_loop(IRRef counter, int64_t head)
{
    ir_emit(block, IR_SUB, counter, counter, IR_IMM, 1);
    emit_brcond(IR_NE, counter, IR_ZERO, head);
}

/* One loop, or one within another, or two behind each other, of which the first may skip the second. */
static void random_loops(GRand *r)
{
    unsigned shape = g_rand_int_range(r, 0, 3);

    ir_emit(block, IR_MOVI, 20, IR_NONE, IR_NONE, 3);
    ir_emit(block, IR_MOVI, 21, IR_NONE, IR_NONE, 2);
    random_loop_body(r, 3);
    label_at(0x100);
    random_loop_body(r, 8);
    if (shape == 0) {
        close_loop(20, 0x100);
    } else if (shape == 1) {
        label_at(0x140);
        random_loop_body(r, 6);
        close_loop(21, 0x140);
        ir_emit(block, IR_MOVI, 21, IR_NONE, IR_NONE, 2);
        random_loop_body(r, 3);
        close_loop(20, 0x100);
    } else {
        if (g_rand_boolean(r)) {
            emit_brcond(IR_LTU, random_var(r), random_var(r), 0x140);
        }
        close_loop(20, 0x100);
        if (g_rand_boolean(r)) {
            random_loop_body(r, 2);
        }
        label_at(0x140);
        random_loop_body(r, 6);
        close_loop(21, 0x140);
    }
    random_loop_body(r, 3);
}

void test_loop_registers(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(12);

    for (unsigned i = 0; i < 4000; i++) {
        begin_block();
        random_loops(r);
        end_block();
        run_both(r, i & 1);
    }
}

#ifdef __x86_64__
/* A poll within a loop leaves with all vars in their places. */
static void test_loop_registers_poll(void)
{
    TCGCode code;

    use_backend(false);
    reset_env();
    begin_block();
    label_at(0x100);
    for (unsigned i = 12; i < 24; i++) {
        ir_emit(block, IR_ADD, i, i, IR_IMM, i);
        ir_emit(block, IR_ADD, i, i, 1, 0);
    }
    emit_brcond(IR_NE, 1, IR_ZERO, 0x100);
    end_block();
    for (unsigned i = 1; i < 24; i++) {
        env->var[i] = 100 * i;
    }
    compile(&code, 0);
    env->pc = PAGE_BASE + 0x100;
    env->page_base = PAGE_BASE;
    env->exit_request = TCG_EXIT_WANTED;
    g_assert_cmpuint(tcg_enter(env, code.rx + code.entry), ==, TCG_EXIT_REQUEST);
    g_assert_cmphex(env->pc, ==, PAGE_BASE + 0x100);
    for (unsigned i = 1; i < 24; i++) {
        g_assert_cmpuint(env->var[i], ==, i < 12 ? 100 * i : 101 * i + 100);
    }
}
#endif

void add_loop_tests(void)
{
    g_test_add_func("/tcg/loop-regs/random-loops-agree", test_loop_registers);
#ifdef __x86_64__
    g_test_add_func("/tcg/loop-regs/polls-see-all-vars", test_loop_registers_poll);
#endif
}
