/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The back ends agree: the same IR run by the interpreter and by generated code gives the same state.  Guest
 * memory is a few pages of fake RAM behind a fake runtime.
 */
#include "tcg/tcg.h"
#include "util/bits.h"
#ifdef __x86_64__
#include "tcg/x86_64/emit.h"
#endif

#include <string.h>

#define GUEST_BASE 0x100000000ULL
#define GUEST_SIZE 0x4000
#define PAGE_BASE  0x7fff5000ULL

static uint8_t ram[GUEST_SIZE] __attribute__((aligned(4096)));
static TCGEnv *env;
static CodeBuffer code_buffer;
static unsigned slow_loads, slow_stores, lookups, fp_checks;
static uint64_t fault_addr, fault_pc;
static const void *lookup_result;
static IRBlock *block;
static bool optimize, baseline;

static const uint8_t pin_order[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0};
static const TCGGuest guest = {.n_vars = 64, .fp_vars = ~0ULL << 32, .pin_order = pin_order};

enum { FAULT_REASON = 9 };
#define BLOCK_COOKIE 0x10000

static void check_access(TCGEnv *e, uint64_t addr, unsigned size)
{
    if (addr - GUEST_BASE > GUEST_SIZE - size) {
        fault_addr = addr;
        fault_pc = tcg_env_pc(e);
        e->pc = fault_pc;
        tcg_exit_to_loop(e, FAULT_REASON);
    }
}

static void fill(TLBEntry *tlb, uint64_t addr)
{
    TLBEntry *entry = &tlb[tlb_index(addr)];

    entry->tag = addr & ~0xfffULL;
    entry->addend = (uintptr_t)ram - GUEST_BASE;
}

static uint64_t fake_load(TCGEnv *e, uint64_t addr, uint32_t mop)
{
    unsigned size = 1u << (mop & IR_MEM_SIZE), bits = size * 8;
    uint64_t v = 0;

    slow_loads++;
    check_access(e, addr, size);
    memcpy(&v, ram + (addr - GUEST_BASE), size);
    fill(e->tlb_read[mop >> 8], addr);
    if (mop & IR_MEM_SIGN) {
        return bits == 64 ? v : (uint64_t)sextract64(v, 0, bits);
    }
    return bits < 64 && (mop & IR_MEM_FP_BOX) ? v | ~0ULL << bits : v;
}

static void fake_store(TCGEnv *e, uint64_t addr, uint64_t value, uint32_t mop)
{
    slow_stores++;
    check_access(e, addr, 1u << (mop & IR_MEM_SIZE));
    memcpy(ram + (addr - GUEST_BASE), &value, 1u << (mop & IR_MEM_SIZE));
    fill(e->tlb_write[mop >> 8], addr);
}

static void *fake_atomic_host(TCGEnv *e, uint64_t addr, uint32_t mop)
{
    unsigned size = 1u << (mop & IR_MEM_SIZE);

    check_access(e, addr & (size - 1) ? 0 : addr, size);
    fill(e->tlb_write[mop >> 8], addr);
    return ram + (addr - GUEST_BASE);
}

static uint64_t fake_load_reserved(TCGEnv *e, uint64_t addr, uint32_t mop)
{
    check_access(e, addr & ((1u << (mop & IR_MEM_SIZE)) - 1) ? 0 : addr, 8);
    return fake_load(e, addr, mop);
}

static void fake_fp_check(TCGEnv *e)
{
    fp_checks++;
    e->fp_ok = 1;
}

static const void *fake_lookup(TCGEnv *e)
{
    lookups++;
    return lookup_result ? lookup_result : tcg_exit_address(TCG_EXIT_LOOKUP);
}

static const TCGRuntime runtime = {
    .load = fake_load,
    .store = fake_store,
    .atomic_host = fake_atomic_host,
    .load_reserved = fake_load_reserved,
    .fp_check = fake_fp_check,
    .lookup = fake_lookup,
};

static void clear_tlb(void)
{
    for (unsigned m = 0; m < TCG_MMU_MODES; m++) {
        for (unsigned i = 0; i < TLB_ENTRIES; i++) {
            env->tlb_read[m][i].tag = env->tlb_write[m][i].tag = TLB_EMPTY_TAG(i);
        }
        for (unsigned i = 0; i < 1u << JUMP_TABLE_BITS; i++) {
            env->jump[m][i].pc = UINT64_MAX;
        }
    }
}

static void reset_env(void)
{
    memset(env, 0, offsetof(TCGEnv, jump));
    env->lr_addr = UINT64_MAX;
    env->fp_ok = 1;
    tcg_fp_set(env, IR_RNE, 0);
    clear_tlb();
}

static void use_backend(bool interpreter)
{
    TCGConfig config = {.interpreter = interpreter};
    GError *error = NULL;

    tcg_init(&config, &runtime, &guest, &error);
    g_assert_no_error(error);
#ifdef __x86_64__
    if (baseline) {
        x86_host.features = (HostFeatures){0};
    }
#endif
    code_buffer.used = 0;
}

static void begin_block(void)
{
    ir_block_reset(block, &guest);
    block->page_offset = 0x100;
    block->end_offset = 0x200;
    block->parallel = true;
}

static void end_block(void)
{
    ir_emit(block, IR_EXIT, IR_NONE, IR_NONE, IR_NONE, 0x200)->aux = TCG_EXIT_EVENT;
}

static void compile(TCGCode *code, uintptr_t cookie)
{
    g_assert_true(tcg_compile(&code_buffer, block, cookie, code));
}

static uintptr_t enter(const TCGCode *code)
{
    return tcg_enter(env, code->rx + code->table_entry);
}

static uintptr_t run_block(void)
{
    TCGCode code;

    env->pc = PAGE_BASE + 0x100;
    compile(&code, BLOCK_COOKIE);
    return enter(&code);
}

/* Back ends number the jumps of a block as they like. */
static uintptr_t without_jump_number(uintptr_t result)
{
    return result >= BLOCK_COOKIE ? BLOCK_COOKIE : result;
}

/* --- random straight code --- */

static uint64_t interesting(GRand *r)
{
    static const uint64_t values[] = {0,          1,
                                      2,          ~0ULL,
                                      1ULL << 63, ~0ULL >> 1,
                                      0x80000000, 0x7fffffff,
                                      0xffffffff, 0xffffffff80000000,
                                      63,         64,
                                      31,         32,
                                      0x8000,     0xff00ff00ff00ff00};

    if (g_rand_int_range(r, 0, 3)) {
        return (uint64_t)g_rand_int(r) << 32 | g_rand_int(r);
    }
    return values[g_rand_int_range(r, 0, G_N_ELEMENTS(values))];
}

/* Pinned and unpinned integer vars, and zero. */
static IRRef random_var(GRand *r)
{
    return g_rand_int_range(r, 0, 18);
}

static bool is_plain_value(IROpcode opc)
{
    return ir_op_kind(opc) == IR_KIND_VALUE && opc != IR_LDENV;
}

static void random_op(GRand *r, IRRef *temp)
{
    IROpcode opc;
    IROp *op;
    bool imm;
    IRRef a = random_var(r), dst = random_var(r);

    do {
        opc = g_rand_int_range(r, 0, IR_NUM_OPS);
    } while (!is_plain_value(opc));
    imm = g_rand_int_range(r, 0, 3) == 0;
    if (*temp && g_rand_boolean(r)) {
        a = *temp;
    }
    if (g_rand_int_range(r, 0, 4) == 0 && block->n_temps < TCG_MAX_TEMPS - 2) {
        dst = ir_temp(block);
    }
    op = ir_emit(block, opc, dst, a, imm ? IR_IMM : random_var(r),
                 g_rand_boolean(r) ? (int64_t)interesting(r) : (int32_t)g_rand_int_range(r, -100, 100));
    if (*temp && g_rand_int_range(r, 0, 4) == 0 && !imm) {
        op->b = *temp;
    }
    op->type = g_rand_int_range(r, 0, 3) == 0 ? IR_I32 : IR_I64;
    op->cond = g_rand_int_range(r, 0, IR_GTU + 1);
    if (opc == IR_SHADD) {
        op->imm = g_rand_int_range(r, 1, 4);
        op->b = random_var(r);
    } else if (opc == IR_SHLUW) {
        op->imm &= 63;
        op->b = IR_NONE;
    } else if (opc == IR_MOVI || opc == IR_PCREL) {
        op->type = IR_I64;
        op->a = op->b = IR_NONE;
    } else if (opc == IR_MOV || (opc >= IR_CLZ && opc <= IR_ZEXT32)) {
        op->b = IR_NONE;
    }
    if (dst >= IR_TEMP0) {
        *temp = dst;
    }
}

static void random_block(GRand *r, unsigned n)
{
    IRRef temp = 0;

    begin_block();
    for (unsigned i = 0; i < n; i++) {
        random_op(r, &temp);
    }
    end_block();
}

static void run_both(GRand *r, void (*check)(const TCGEnv *, const TCGEnv *))
{
    static TCGEnv *expected;
    uint64_t vars[TCG_MAX_VARS] = {0};
    static uint8_t ram_before[GUEST_SIZE], ram_expected[GUEST_SIZE];
    uint8_t frm = g_rand_int_range(r, 0, 4);
    uintptr_t result = 0;
    GString *text;

    if (!expected) {
        expected = g_new0(TCGEnv, 1);
    }
    for (unsigned i = 1; i < TCG_MAX_VARS; i++) {
        vars[i] = interesting(r);
    }
    /* Addresses, some near the ends of pages. */
    for (unsigned i = 16; i < 20; i++) {
        vars[i] = GUEST_BASE + 0x1000 * g_rand_int_range(r, 1, 3) + g_rand_int_range(r, -16, 16);
    }
    vars[9] = vars[16];
    vars[10] = vars[17];
    memcpy(ram_before, ram, sizeof(ram));
    text = g_string_new(NULL);
    ir_dump(block, text);
    for (int pass = 0; pass < 2; pass++) {
        memcpy(ram, ram_before, sizeof(ram));
        use_backend(pass == 0);
        reset_env();
        tcg_fp_set(env, frm, 0);
        memcpy(env->var, vars, sizeof(vars));
        if (pass == 1 && optimize) {
            tcg_optimize(block);
        }
        result = without_jump_number(run_block());
        if (pass == 0) {
            memcpy(expected, env, offsetof(TCGEnv, jump));
            expected->fflags = tcg_fp_get_flags(env);
            expected->unwind = (void *)result;
            memcpy(ram_expected, ram, sizeof(ram));
        }
    }
    for (unsigned i = 0; i < TCG_MAX_VARS; i++) {
        if (env->var[i] != expected->var[i]) {
            g_test_message("%s", text->str);
            g_string_truncate(text, 0);
            ir_dump(block, text);
            g_test_message("optimised: %s", text->str);
            for (unsigned k = 0; k < TCG_MAX_VARS; k++) {
                g_test_message("v%u was 0x%" G_GINT64_MODIFIER "x", k, vars[k]);
            }
            g_test_message("v%u: 0x%" G_GINT64_MODIFIER "x, expected 0x%" G_GINT64_MODIFIER "x frm %u", i,
                           env->var[i], expected->var[i], frm);
        }
        g_assert_cmphex(env->var[i], ==, expected->var[i]);
    }
    if (tcg_fp_get_flags(env) != expected->fflags) {
        g_test_message("frm %u\n%s", frm, text->str);
        for (unsigned k = 0; k < TCG_MAX_VARS; k++) {
            g_test_message("v%u was 0x%" G_GINT64_MODIFIER "x", k, vars[k]);
        }
    }
    g_assert_cmpuint(tcg_fp_get_flags(env), ==, expected->fflags);
    g_assert_cmpuint(result, ==, (uintptr_t)expected->unwind);
    g_assert_cmphex(env->pc, ==, expected->pc);
    g_assert_true(memcmp(ram, ram_expected, sizeof(ram)) == 0);
    if (check) {
        check(env, expected);
    }
    g_string_free(text, true);
}

static void test_single_ops(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(1);

    for (unsigned i = 0; i < 6000; i++) {
        random_block(r, 1);
        run_both(r, NULL);
    }
}

static void test_random_blocks(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(2);

    for (unsigned i = 0; i < 1500; i++) {
        random_block(r, 40);
        run_both(r, NULL);
    }
}

static void test_optimized_blocks(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(3);

    optimize = true;
    for (unsigned i = 0; i < 1500; i++) {
        random_block(r, 40);
        run_both(r, NULL);
    }
    optimize = false;
}

/* --- memory --- */

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

static void test_memory(void)
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
        optimize = i & 1;
        run_both(r, NULL);
    }
    optimize = false;
}

/* A base that seldom changes: checks are shared. */
static void test_shared_checks(void)
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
        run_both(r, NULL);
    }
}

/* Shifts of one value that make rotations and extractions, and some that do not. */
static void test_shift_pairs(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(10);

    optimize = true;
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
        run_both(r, NULL);
    }
    optimize = false;
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

    optimize = true;
    for (unsigned i = 0; i < 5000; i++) {
        begin_block();
        for (unsigned k = 0; k < 8; k++) {
            ir_emit(block, IR_INSN, IR_NONE, IR_NONE, IR_NONE, 0x100 + 4 * k)->aux = 4;
            random_shift_op(r);
        }
        end_block();
        run_both(r, NULL);
    }
    optimize = false;
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

/* --- control flow --- */

static void label_at(int64_t offset)
{
    ir_emit(block, IR_LABEL, IR_NONE, IR_NONE, IR_NONE, offset);
}

static IROp *emit_brcond(IRCond cond, IRRef a, IRRef b, int64_t target)
{
    IROp *op = ir_emit(block, IR_BRCOND, IR_NONE, a, b, target);

    op->cond = cond;
    return op;
}

/* Every condition, with constants on either side, both or none. */
static void test_branches_on_constants(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(21);

    optimize = true;
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
        run_both(r, NULL);
    }
    optimize = false;
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
    optimize = true;
    lookup_result = NULL;
    run_both(r, NULL);
    optimize = false;
    g_assert_cmphex(env->pc, ==, PAGE_BASE + 0x5080);
    g_assert_cmpuint(block->ops[block->n_ops - 1].opc, ==, IR_JMP_IND);
}

/* Ops that take what the op before left in rax: vars without registers, each result used at once. */
static void test_results_used_at_once(void)
{
    static const IROpcode opcodes[] = {IR_MOV,    IR_ADD,    IR_SUB,   IR_AND,   IR_OR,  IR_XOR, IR_SHL, IR_SHR,
                                       IR_SAR,    IR_SEXT8,  IR_SEXT32, IR_ZEXT16, IR_MUL, IR_SHADD, IR_ANDN,
                                       IR_SETCOND, IR_ROTL};
    g_autoptr(GRand) r = g_rand_new_with_seed(23);

    for (unsigned i = 0; i < 5000; i++) {
        IRRef last = 20;

        optimize = g_rand_boolean(r);
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
        run_both(r, NULL);
    }
    optimize = false;
}

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
        __atomic_store_n(&e->exit_request, 1, __ATOMIC_RELAXED);
    }
    return a + b + c;
}

static void test_loop_polls(void)
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
        JumpTableEntry *entry = &env->jump[2][jump_table_index(target)];

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
        env->var[1] = target - 4;
        env->pc = PAGE_BASE + 0x100;
        g_assert_cmphex(enter(&a), ==, TCG_EXIT_LOOKUP);
        g_assert_cmphex(env->pc, ==, target);
        g_assert_cmpuint(lookups, ==, 1);

        lookup_result = b.rx + b.table_entry;
        env->pc = PAGE_BASE + 0x100;
        g_assert_cmphex(enter(&a), ==, TCG_EXIT_EVENT);
        g_assert_cmphex(env->var[3], ==, target + 4);
        g_assert_cmpuint(lookups, ==, 2);

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

/* --- floating point --- */

static uint64_t fp_value(GRand *r)
{
    static const uint64_t f64[] = {0,
                                   1ULL << 63,
                                   0x3ff0000000000000,
                                   0xbff0000000000000,
                                   0x7ff0000000000000,
                                   0xfff0000000000000,
                                   0x7ff8000000000000,
                                   0xfff8000000000001,
                                   0x7ff0000000000001,
                                   1,
                                   0x000fffffffffffff,
                                   0x0010000000000000,
                                   0x7fefffffffffffff,
                                   0x3ca0000000000000,
                                   0x41dfffffffc00000,
                                   0xc1e0000000000000,
                                   0x43e0000000000000,
                                   0xc3e0000000000000,
                                   0x41f0000000000000,
                                   0x3fe0000000000000,
                                   0x4008000000000000,
                                   0x41efffffffe00000};
    static const uint32_t f32[] = {0,          1u << 31,   0x3f800000, 0xbf800000, 0x7f800000,
                                   0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001, 1,
                                   0x007fffff, 0x00800000, 0x7f7fffff, 0x4f000000, 0xcf000000,
                                   0x5f000000, 0x4f800000, 0x3f000000, 0x33800000};

    switch (g_rand_int_range(r, 0, 8)) {
    case 0:
    case 1:
        return f64[g_rand_int_range(r, 0, G_N_ELEMENTS(f64))];
    case 2:
    case 3:
        return ~0ULL << 32 | f32[g_rand_int_range(r, 0, G_N_ELEMENTS(f32))];
    case 4:
        return ~0ULL << 32 | g_rand_int(r);
    case 5:
        return ~0ULL << 32 | (0x3f000000 + (g_rand_int(r) & 0x81ffffff));
    case 6:
        return (0x3fe0000000000000 + ((uint64_t)g_rand_int(r) << 32 & 0x803fffff00000000)) | g_rand_int(r);
    default:
        return (uint64_t)g_rand_int(r) << 32 | g_rand_int(r);
    }
}

static bool takes_int(IROpcode opc)
{
    return (opc >= IR_FCVT_FROM_W && opc <= IR_FCVT_FROM_LU) || opc == IR_FMV_TO_F;
}

static bool gives_int(IROpcode opc)
{
    return (opc >= IR_FEQ && opc <= IR_FCLASS) || (opc >= IR_FCVTMOD && opc <= IR_FCVT_LU) ||
           opc == IR_FMV_TO_X;
}

static IRRef random_fp(GRand *r)
{
    return g_rand_int_range(r, 40, 56);
}

static void random_fp_op(GRand *r)
{
    static const uint8_t rms[] = {IR_DYN, IR_DYN, IR_DYN, IR_DYN, IR_RNE,
                                  IR_RTZ, IR_RTZ, IR_RDN, IR_RUP, IR_RMM};
    IROpcode opc = g_rand_int_range(r, IR_FADD, IR_FMV_TO_X + 1);
    IROp *op;

    op = ir_emit(block, opc, gives_int(opc) ? random_var(r) : random_fp(r),
                 takes_int(opc) ? random_var(r) : random_fp(r), IR_NONE, 0);
    op->type = g_rand_int_range(r, 0, 8) == 0 ? IR_F16 : g_rand_boolean(r) ? IR_F64 : IR_F32;
    op->rm = rms[g_rand_int_range(r, 0, G_N_ELEMENTS(rms))];
    if ((opc >= IR_FADD && opc <= IR_FDIV) || (opc >= IR_FMADD && opc <= IR_FLEQ)) {
        op->b = random_fp(r);
    }
    if (opc >= IR_FMADD && opc <= IR_FNMADD) {
        op->c = random_fp(r);
    }
    if (opc == IR_FCVTMOD) {
        op->type = IR_F64;
    } else if (opc == IR_FCVT_FF) {
        op->imm = g_rand_int_range(r, IR_F64, IR_F16 + 1);
    } else if (opc == IR_FROUND) {
        op->imm = g_rand_boolean(r);
    }
}

static void load_fp_vars(GRand *r)
{
    for (unsigned i = 40; i < 56; i++) {
        ir_emit(block, IR_MOVI, i, IR_NONE, IR_NONE, (int64_t)fp_value(r));
    }
}

static void test_fp_single(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(5);

    for (unsigned i = 0; i < 20000; i++) {
        begin_block();
        load_fp_vars(r);
        random_fp_op(r);
        end_block();
        run_both(r, NULL);
    }
}

static void test_fp_blocks(void)
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
        optimize = i & 1;
        run_both(r, NULL);
    }
    optimize = false;
}

static void test_fp_loops(void)
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
        optimize = i & 1;
        run_both(r, NULL);
    }
    optimize = false;
}

/* --- registers of loops --- */

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

static void test_loop_registers(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(12);

    for (unsigned i = 0; i < 4000; i++) {
        begin_block();
        random_loops(r);
        end_block();
        optimize = i & 1;
        run_both(r, NULL);
    }
    optimize = false;
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
    env->exit_request = 1;
    g_assert_cmpuint(tcg_enter(env, code.rx + code.entry), ==, TCG_EXIT_REQUEST);
    g_assert_cmphex(env->pc, ==, PAGE_BASE + 0x100);
    for (unsigned i = 1; i < 24; i++) {
        g_assert_cmpuint(env->var[i], ==, i < 12 ? 100 * i : 101 * i + 100);
    }
}
#endif

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
static void test_fp_nested_loops(void)
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
        optimize = i & 1;
        run_both(r, NULL);
    }
    optimize = false;
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

int main(int argc, char **argv)
{
    GError *error = NULL;

    g_test_init(&argc, &argv, NULL);
    env = g_new0(TCGEnv, 1);
    block = g_new0(IRBlock, 1);
    if (!code_buffer_init(&code_buffer, 1 << 20, &error)) {
        g_error("%s", error->message);
    }
    g_test_add_func("/tcg/value/single-ops-agree", test_single_ops);
    g_test_add_func("/tcg/value/random-blocks-agree", test_random_blocks);
    g_test_add_func("/tcg/optimize/changes-no-result", test_optimized_blocks);
    g_test_add_func("/tcg/memory/random-accesses-agree", test_memory);
    g_test_add_func("/tcg/optimize/shift-pairs-agree", test_shift_pairs);
    g_test_add_func("/tcg/optimize/joined-shifts-agree", test_joined_shifts);
    g_test_add_func("/tcg/optimize/index-is-one-op", test_index_is_one_op);
    g_test_add_func("/tcg/optimize/branches-on-constants-agree", test_branches_on_constants);
    g_test_add_func("/tcg/optimize/never-taken-branches-go", test_branch_never_taken);
    g_test_add_func("/tcg/optimize/near-addresses-agree", test_near_addresses);
    g_test_add_func("/tcg/value/results-used-at-once-agree", test_results_used_at_once);
    g_test_add_func("/tcg/memory/shared-checks-agree", test_shared_checks);
    g_test_add_func("/tcg/memory/a-hit-needs-no-call", test_hit_needs_no_call);
    g_test_add_func("/tcg/memory/faults-are-exact", test_fault_is_exact);
    g_test_add_func("/tcg/memory/empty-slots-never-match", test_empty_slot_never_matches);
    g_test_add_func("/tcg/flow/loop-stays-inside", test_loop);
    g_test_add_func("/tcg/flow/loop-polls", test_loop_polls);
    g_test_add_func("/tcg/loop-regs/random-loops-agree", test_loop_registers);
#ifdef __x86_64__
    g_test_add_func("/tcg/loop-regs/polls-see-all-vars", test_loop_registers_poll);
#endif
    g_test_add_func("/tcg/flow/chained-jumps-link-and-unlink", test_chain);
    g_test_add_func("/tcg/flow/indirect-jumps-and-kill", test_indirect);
    g_test_add_func("/tcg/flow/call-jump", test_call_jump);
    g_test_add_func("/tcg/call/sees-and-changes-vars", test_call_sees_and_changes_vars);
    g_test_add_func("/tcg/code-buffer/full-is-reported", test_full_buffer);
    g_test_add_func("/tcg/fp/single-ops-agree", test_fp_single);
    g_test_add_func("/tcg/fp/random-blocks-agree", test_fp_blocks);
    g_test_add_func("/tcg/fp/loops-agree", test_fp_loops);
    g_test_add_func("/tcg/fp/nested-loops-agree", test_fp_nested_loops);
    g_test_add_func("/tcg/host/baseline-agrees", test_baseline_host);
    g_test_add_func("/tcg/fp/check-is-called-once", test_fp_check);
    g_test_add_func("/tcg/fp/state-from-calls", test_fp_state_from_calls);
    return g_test_run();
}
