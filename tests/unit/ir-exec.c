/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Behind the ir-exec tests: a fake runtime, blocks that are built and run, the comparison of back ends. */
#include "ir-exec.h"

#include <inttypes.h>
#include <string.h>

#include "util/bits.h"
#ifdef __x86_64__
#include "tcg/x86_64/emit.h"
#endif

#define BLOCK_COOKIE 0x10000

TCGEnv *env;
IRBlock *block;
CodeBuffer code_buffer;
unsigned slow_loads, lookups, fp_checks;
uint64_t forgotten_in_load;
uint64_t fault_addr, fault_pc;
const void *lookup_result;
bool baseline, long_jumps;

static uint8_t ram[GUEST_SIZE] __attribute__((aligned(4096)));
static TCGEnv *expected; /* what the interpreter left */

/* --- the runtime --- */

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
    if (forgotten_in_load) {
        e->tlb_read[mop >> 8][tlb_index(forgotten_in_load)].tag = TLB_EMPTY_TAG(tlb_index(forgotten_in_load));
    }
    memcpy(&v, ram + (addr - GUEST_BASE), size);
    fill(e->tlb_read[mop >> 8], addr);
    if (mop & IR_MEM_SIGN) {
        return bits == 64 ? v : (uint64_t)sextract64(v, 0, bits);
    }
    return bits < 64 && (mop & IR_MEM_FP_BOX) ? v | ~0ULL << bits : v;
}

static void fake_store(TCGEnv *e, uint64_t addr, uint64_t value, uint32_t mop)
{
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

/* --- making it --- */

static const uint8_t pin_order[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0};
static const TCGGuest guest = {.n_vars = 64, .fp_vars = ~0ULL << 32, .pin_order = pin_order};

static void clear_tlb(void)
{
    for (unsigned m = 0; m < TCG_MMU_MODES; m++) {
        for (unsigned i = 0; i < TLB_ENTRIES; i++) {
            env->tlb_read[m][i].tag = env->tlb_write[m][i].tag = TLB_EMPTY_TAG(i);
        }
    }
}

/* The jump tables are large: only the entries that tests took from jump_entry() can be filled. */
static JumpTableEntry *jumps[8];
static unsigned n_jumps;

JumpTableEntry *jump_entry(unsigned mode, uint64_t pc)
{
    g_assert_cmpuint(n_jumps, <, G_N_ELEMENTS(jumps));
    return jumps[n_jumps++] = &env->jump[mode][jump_table_index(pc)];
}

static void empty_jumps(void)
{
    while (n_jumps) {
        jumps[--n_jumps]->pc = UINT64_MAX;
    }
}

void reset_env(void)
{
    memset(env, 0, offsetof(TCGEnv, jump));
    env->lr_addr = UINT64_MAX;
    env->fp_ok = 1;
    tcg_fp_set(env, IR_RNE, 0);
    clear_tlb();
    empty_jumps();
}

void use_backend(bool interpreter)
{
    TCGConfig config = {.interpreter = interpreter, .no_short_jumps = long_jumps};
    GError *error = NULL;

    tcg_init(&config, &runtime, &guest, &error);
    g_assert_no_error(error);
#ifdef __x86_64__
    if (baseline) {
        x86_host.features = (HostFeatures){0};
    }
#endif
    code_buffer_use(&code_buffer, 0, code_buffer.size);
}

void ir_exec_init(void)
{
    GError *error = NULL;

    env = g_new0(TCGEnv, 1);
    for (unsigned i = 0; i < TCG_MMU_MODES << JUMP_TABLE_BITS; i++) {
        env->jump[i >> JUMP_TABLE_BITS][i % (1u << JUMP_TABLE_BITS)].pc = UINT64_MAX;
    }
    expected = g_new0(TCGEnv, 1);
    block = g_new0(IRBlock, 1);
    if (!code_buffer_init(&code_buffer, 1 << 20, &error)) {
        g_error("%s", error->message);
    }
}

/* --- blocks --- */

void begin_block(void)
{
    ir_block_reset(block, &guest);
    block->page_offset = 0x100;
    block->end_offset = 0x200;
    block->parallel = true;
}

void end_block(void)
{
    ir_emit(block, IR_EXIT, IR_NONE, IR_NONE, IR_NONE, 0x200)->aux = TCG_EXIT_EVENT;
}

void compile(TCGCode *code, uintptr_t cookie)
{
    g_assert_true(tcg_compile(&code_buffer, block, cookie, code));
}

uintptr_t enter(const TCGCode *code)
{
    return tcg_enter(env, code->rx + code->table_entry);
}

uintptr_t run_block(void)
{
    TCGCode code;

    env->pc = PAGE_BASE + 0x100;
    compile(&code, BLOCK_COOKIE);
    return enter(&code);
}

void label_at(int64_t offset)
{
    ir_emit(block, IR_LABEL, IR_NONE, IR_NONE, IR_NONE, offset);
}

IROp *emit_brcond(IRCond cond, IRRef a, IRRef b, int64_t target)
{
    IROp *op = ir_emit(block, IR_BRCOND, IR_NONE, a, b, target);

    op->cond = cond;
    return op;
}

/* --- both back ends --- */

/* Addresses, some near the ends of pages, and anything else. */
static void random_vars(GRand *r, uint64_t *vars)
{
    for (unsigned i = 1; i < TCG_MAX_VARS; i++) {
        vars[i] = interesting(r);
    }
    for (unsigned i = 16; i < 20; i++) {
        vars[i] = GUEST_BASE + 0x1000 * g_rand_int_range(r, 1, 3) + g_rand_int_range(r, -16, 16);
    }
    vars[9] = vars[16];
    vars[10] = vars[17];
}

/* Back ends number the jumps of a block as they like: any of them is BLOCK_COOKIE. */
static uintptr_t run_once(bool interpreter, bool optimize, const uint64_t *vars, uint8_t frm)
{
    uintptr_t result;

    use_backend(interpreter);
    reset_env();
    tcg_fp_set(env, frm, 0);
    memcpy(env->var, vars, sizeof(env->var));
    if (optimize) {
        tcg_optimize(block);
    }
    result = run_block();
    return result >= BLOCK_COOKIE ? BLOCK_COOKIE : result;
}

static void explain(const char *ir, const uint64_t *vars, uint8_t frm)
{
    GString *optimized = g_string_new(NULL);

    ir_dump(block, optimized);
    g_test_message("frm %u\n%s\noptimised: %s", frm, ir, optimized->str);
    for (unsigned i = 0; i < TCG_MAX_VARS; i++) {
        g_test_message("v%u was 0x%" PRIx64 ", is 0x%" PRIx64 ", expected 0x%" PRIx64, i, vars[i],
                       env->var[i], expected->var[i]);
    }
    g_string_free(optimized, true);
}

void run_both(GRand *r, bool optimize)
{
    static uint8_t ram_before[GUEST_SIZE], ram_expected[GUEST_SIZE];
    uint8_t frm = g_rand_int_range(r, 0, 4), flags;
    uint64_t vars[TCG_MAX_VARS] = {0};
    uintptr_t result_expected, result;
    GString *ir = g_string_new(NULL);

    random_vars(r, vars);
    ir_dump(block, ir);
    memcpy(ram_before, ram, sizeof(ram));
    result_expected = run_once(true, false, vars, frm);
    memcpy(expected, env, offsetof(TCGEnv, jump));
    flags = tcg_fp_get_flags(env);
    memcpy(ram_expected, ram, sizeof(ram));
    memcpy(ram, ram_before, sizeof(ram));
    result = run_once(false, optimize, vars, frm);
    if (memcmp(env->var, expected->var, sizeof(env->var)) || tcg_fp_get_flags(env) != flags) {
        explain(ir->str, vars, frm);
    }
    for (unsigned i = 0; i < TCG_MAX_VARS; i++) {
        g_assert_cmphex(env->var[i], ==, expected->var[i]);
    }
    g_assert_cmpuint(tcg_fp_get_flags(env), ==, flags);
    g_assert_cmpuint(result, ==, result_expected);
    g_assert_cmphex(env->pc, ==, expected->pc);
    g_assert_true(memcmp(ram, ram_expected, sizeof(ram)) == 0);
    g_string_free(ir, true);
}
