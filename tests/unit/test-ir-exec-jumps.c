/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the short code of jumps must not lose: odd and empty addresses at the table, patching wherever a rel32 lies. */
#include "ir-exec.h"

#include "util/counters.h"

static void make_indirect(TCGCode *code)
{
    begin_block();
    block->jump_mode = 1;
    ir_emit(block, IR_JMP_IND, IR_NONE, 1, IR_NONE, 0);
    compile(code, 0x1000);
}

static uintptr_t jump_to(const TCGCode *code, uint64_t target)
{
    lookup_result = NULL;
    env->var[1] = target;
    env->pc = PAGE_BASE + 0x100;
    return enter(code);
}

static void test_odd_target(void)
{
    for (int interpreter = 0; interpreter < 2; interpreter++) {
        TCGCode code;

        use_backend(interpreter);
        reset_env();
        make_indirect(&code);
        g_assert_cmphex(jump_to(&code, 0x12340081), ==, TCG_EXIT_LOOKUP);
        g_assert_cmphex(env->pc, ==, 0x12340080);
    }
}

/* Every pc an empty entry could be taken for. */
static void test_empty_entries(void)
{
    for (int interpreter = 0; interpreter < 2; interpreter++) {
        TCGCode code;

        use_backend(interpreter);
        reset_env();
        make_indirect(&code);
        lookups = 0;
        g_assert_cmphex(jump_to(&code, UINT64_MAX), ==, TCG_EXIT_LOOKUP);
        g_assert_cmphex(env->pc, ==, UINT64_MAX - 1);
        g_assert_cmphex(jump_to(&code, 0), ==, TCG_EXIT_LOOKUP);
        g_assert_cmphex(jump_to(&code, 1), ==, TCG_EXIT_LOOKUP);
        g_assert_cmpuint(lookups, ==, 3);
    }
}

/* An odd address that equals what an entry holds beside its pc is still not that entry's. */
static void test_odd_target_is_not_a_host_address(void)
{
    TCGCode code;
    uint64_t target;

    use_backend(false);
    reset_env();
    make_indirect(&code);
    target = (uintptr_t)(code.rx + code.table_entry) | 1;
    jump_entry(1, target)->host = code.rx + code.table_entry;
    lookups = 0;
    g_assert_cmphex(jump_to(&code, target), ==, TCG_EXIT_LOOKUP);
    g_assert_cmpuint(lookups, ==, 1);
}

/* Three ways out, behind @n ops of odd lengths that move their rel32s about. */
static void make_branches(TCGCode *code, unsigned n)
{
    begin_block();
    ir_emit(block, IR_INSN, IR_NONE, IR_NONE, IR_NONE, 0x100);
    for (unsigned i = 0; i < n; i++) {
        ir_emit(block, IR_ADD, 1 + i % 3, 1 + i % 3, IR_IMM, i % 2 ? 1 : 1000);
    }
    emit_brcond(IR_EQ, 12, 13, 0x300);
    emit_brcond(IR_EQ, 12, 14, 0x340);
    ir_emit(block, IR_JMP, IR_NONE, IR_NONE, IR_NONE, 0x380);
    compile(code, 0x40000);
}

static void make_target(TCGCode *code, unsigned value)
{
    begin_block();
    ir_emit(block, IR_MOVI, 20, IR_NONE, IR_NONE, value);
    end_block();
    compile(code, 0x80000);
}

/* Which way out is taken when var 12 equals the @way'th of vars 13, 14: 0, 1, or 2 for neither. */
static uintptr_t take(const TCGCode *code, unsigned way)
{
    env->var[12] = 0x77;
    env->var[13] = way == 0 ? 0x77 : 0;
    env->var[14] = way == 1 ? 0x77 : 0;
    env->var[20] = 0;
    env->pc = PAGE_BASE + 0x100;
    return enter(code);
}

static void check_links(const TCGCode *code, const TCGCode *targets)
{
    static const uint16_t offsets[] = {0x300, 0x340, 0x380};

    for (unsigned linked = 0; linked < 8; linked++) {
        for (unsigned jump = 0; jump < code->n_jumps; jump++) {
            unsigned way = (code->jumps[jump].target - 0x300) / 0x40;

            if (linked >> way & 1) {
                tcg_link(&code_buffer, code, jump, &targets[way]);
            } else {
                tcg_unlink(&code_buffer, code, jump);
            }
        }
        for (unsigned way = 0; way < 3; way++) {
            uintptr_t result = take(code, way);

            if (linked >> way & 1) {
                g_assert_cmphex(result, ==, TCG_EXIT_EVENT);
                g_assert_cmpuint(env->var[20], ==, 50 + way);
            } else {
                g_assert_cmphex(result & ~(uintptr_t)63, ==, 0x40000);
                g_assert_cmphex(env->pc, ==, PAGE_BASE + offsets[way]);
                g_assert_cmpuint(env->var[20], ==, 0);
            }
        }
    }
}

/* Returns a bit for each place within 8 bytes that a rel32 had. */
static unsigned link_everywhere(void)
{
    unsigned seen = 0;

    for (unsigned n = 0; n < 40; n++) {
        TCGCode code, targets[3];

        use_backend(false);
        reset_env();
        make_branches(&code, n);
        for (unsigned way = 0; way < 3; way++) {
            make_target(&targets[way], 50 + way);
        }
        g_assert_cmpuint(code.n_jumps, ==, 3);
        for (unsigned jump = 0; jump < 3; jump++) {
            unsigned at = (uintptr_t)(code.rx + code.jumps[jump].patch) % 8;

            g_assert_cmpuint(at, <=, 4);
            seen |= 1u << at;
        }
        check_links(&code, targets);
    }
    return seen;
}

/* Linking one jump of a block changes nothing else, wherever in its 8 bytes the rel32 lies. */
static void test_links_at_every_alignment(void)
{
    unsigned seen = link_everywhere();

#ifdef __x86_64__
    g_assert_cmphex(seen, ==, 0x1f);
#endif
}

#ifdef __x86_64__
COUNTER_EXTERN(jit_short_jumps);

/* The same, and polls and the table too. */
static void test_long_jumps(void)
{
    uint64_t before;

    long_jumps = true;
    before = counter_read(jit_short_jumps);
    g_assert_cmphex(link_everywhere(), ==, 0x11);
    test_odd_target();
    test_empty_entries();
    test_loop_polls();
    g_assert_cmpuint(counter_read(jit_short_jumps), ==, before);
    long_jumps = false;
    link_everywhere();
    g_assert_cmpuint(counter_read(jit_short_jumps), >, before);
    before = counter_read(jit_short_jumps);
    test_loop_polls();
    g_assert_cmpuint(counter_read(jit_short_jumps), >, before);
}
#endif

void add_jump_tests(void)
{
    g_test_add_func("/tcg/jump/odd-target-is-made-even", test_odd_target);
    g_test_add_func("/tcg/jump/empty-entries-match-nothing", test_empty_entries);
    g_test_add_func("/tcg/jump/odd-target-is-no-host-address", test_odd_target_is_not_a_host_address);
    g_test_add_func("/tcg/jump/links-at-every-alignment", test_links_at_every_alignment);
#ifdef __x86_64__
    g_test_add_func("/tcg/jump/long-form-works-too", test_long_jumps);
#endif
}
