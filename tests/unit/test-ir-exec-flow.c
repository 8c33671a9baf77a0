/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Control flow: loops and their polls, chained and indirect jumps. */
#include "ir-exec.h"

static void test_loop(void)
{
    for (int interpreter = 0; interpreter < 2; interpreter++) {
        use_backend(interpreter);
        reset_env();
        begin_block();
        label_at(0x100);
        ir_emit(block, IR_ADD, 12, 12, 1, 0);
        ir_emit(block, IR_SUB, 1, 1, IR_IMM, 1);
        emit_brcond(IR_NE, 1, IR_ZERO, 0x100);
        end_block();
        env->var[1] = 1000;
        g_assert_cmpuint(run_block(), ==, TCG_EXIT_EVENT);
        g_assert_cmpuint(env->var[12], ==, 500500);
        g_assert_cmphex(env->pc, ==, PAGE_BASE + 0x200);
    }
}

static uint64_t request_exit(TCGEnv *e, uint64_t a, uint64_t b, uint64_t c)
{
    if (a == 10) {
        __atomic_store_n(&e->exit_request, TCG_EXIT_WANTED, __ATOMIC_RELAXED);
    }
    return a + b + c;
}

void test_loop_polls(void)
{
    for (int interpreter = 0; interpreter < 2; interpreter++) {
        use_backend(interpreter);
        reset_env();
        begin_block();
        label_at(0x100);
        ir_emit(block, IR_SUB, 1, 1, IR_IMM, 1);
        ir_emit(block, IR_CALL, 2, 1, IR_ZERO, (intptr_t)request_exit)->c = IR_ZERO;
        ir_emit(block, IR_INSN, IR_NONE, IR_NONE, IR_NONE, 0x108);
        emit_brcond(IR_NE, 1, IR_ZERO, 0x100);
        end_block();
        env->var[1] = 1000;
        g_assert_cmpuint(run_block(), ==, TCG_EXIT_REQUEST);
        g_assert_cmpuint(env->var[1], ==, 10);
        g_assert_cmpuint(env->var[2], ==, 10);
        g_assert_cmphex(env->pc, ==, PAGE_BASE + 0x100);
    }
}

static void test_chain(void)
{
    for (int interpreter = 0; interpreter < 2; interpreter++) {
        TCGCode a, b;

        use_backend(interpreter);
        reset_env();
        begin_block();
        ir_emit(block, IR_INSN, IR_NONE, IR_NONE, IR_NONE, 0x100);
        emit_brcond(IR_EQ, 1, 2, 0x300);
        ir_emit(block, IR_JMP, IR_NONE, IR_NONE, IR_NONE, 0x180);
        compile(&a, 0x1000);
        begin_block();
        block->page_offset = 0x180;
        ir_emit(block, IR_ADD, 3, 3, IR_IMM, 7);
        end_block();
        compile(&b, 0x2000);
        g_assert_cmpuint(a.n_jumps, ==, 2);
        g_assert_cmphex(a.jumps[0].target, ==, 0x300);
        g_assert_cmphex(a.jumps[1].target, ==, 0x180);
        env->pc = PAGE_BASE + 0x100;
        env->var[1] = 1;
        g_assert_cmphex(enter(&a), ==, 0x1001);
        g_assert_cmphex(env->pc, ==, PAGE_BASE + 0x180);
        tcg_link(&code_buffer, &a, 1, &b);
        env->pc = PAGE_BASE + 0x100;
        g_assert_cmphex(enter(&a), ==, TCG_EXIT_EVENT);
        g_assert_cmpuint(env->var[3], ==, 7);
        env->pc = PAGE_BASE + 0x100;
        env->var[1] = 0;
        g_assert_cmphex(enter(&a), ==, 0x1000);
        g_assert_cmphex(env->pc, ==, PAGE_BASE + 0x300);
        tcg_unlink(&code_buffer, &a, 1);
        env->pc = PAGE_BASE + 0x100;
        env->var[1] = 1;
        g_assert_cmphex(enter(&a), ==, 0x1001);
    }
}

static void test_indirect(void)
{
    for (int interpreter = 0; interpreter < 2; interpreter++) {
        uint64_t target = 0x12340080;
        TCGCode a, b;
        JumpTableEntry *entry;

        use_backend(interpreter);
        reset_env();
        begin_block();
        block->jump_mode = 2;
        ir_emit(block, IR_JMP_IND, IR_NONE, 1, IR_NONE, 5);
        compile(&a, 0x1000);
        begin_block();
        block->page_offset = 0x80;
        ir_emit(block, IR_PCREL, 3, IR_NONE, IR_NONE, 0x84);
        end_block();
        compile(&b, 0x2000);

        lookups = 0;
        lookup_result = NULL;
        env->var[1] = target - 5;
        env->pc = PAGE_BASE + 0x100;
        g_assert_cmphex(enter(&a), ==, TCG_EXIT_LOOKUP);
        g_assert_cmphex(env->pc, ==, target);
        g_assert_cmpuint(lookups, ==, 1);

        lookup_result = b.rx + b.table_entry;
        env->pc = PAGE_BASE + 0x100;
        g_assert_cmphex(enter(&a), ==, TCG_EXIT_EVENT);
        g_assert_cmphex(env->var[3], ==, target + 4);
        g_assert_cmpuint(lookups, ==, 2);

        entry = jump_entry(2, target);
        entry->pc = target;
        entry->host = b.rx + b.table_entry;
        env->pc = PAGE_BASE + 0x100;
        g_assert_cmphex(enter(&a), ==, TCG_EXIT_EVENT);
        g_assert_cmphex(env->pc, ==, target - 0x80 + 0x200);
        g_assert_cmpuint(lookups, ==, 2);

        /* A killed block asks again. */
        lookup_result = NULL;
        tcg_kill(&code_buffer, &b);
        env->pc = PAGE_BASE + 0x100;
        g_assert_cmphex(enter(&a), ==, TCG_EXIT_LOOKUP);
        g_assert_cmphex(env->pc, ==, target);
        g_assert_cmpuint(lookups, ==, 3);
    }
}

static const void *jump_away(TCGEnv *e, uint64_t a, uint64_t b, uint64_t c)
{
    e->pc = a + b + c;
    return tcg_exit_address(TCG_EXIT_HALT);
}

static void test_call_jump(void)
{
    for (int interpreter = 0; interpreter < 2; interpreter++) {
        use_backend(interpreter);
        reset_env();
        begin_block();
        ir_emit(block, IR_CALL_JUMP, IR_NONE, 1, 12, (intptr_t)jump_away)->c = 3;
        env->var[1] = 0x1000;
        env->var[12] = 0x200;
        env->var[3] = 0x30;
        g_assert_cmpuint(run_block(), ==, TCG_EXIT_HALT);
        g_assert_cmphex(env->pc, ==, 0x1230);
    }
}

void add_flow_tests(void)
{
    g_test_add_func("/tcg/flow/loop-stays-inside", test_loop);
    g_test_add_func("/tcg/flow/loop-polls", test_loop_polls);
    g_test_add_func("/tcg/flow/chained-jumps-link-and-unlink", test_chain);
    g_test_add_func("/tcg/flow/indirect-jumps-and-kill", test_indirect);
    g_test_add_func("/tcg/flow/call-jump", test_call_jump);
}
