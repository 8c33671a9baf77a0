/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The border between C and translated code: entering, leaving, and calls that store the pinned registers
 * first, so that C sees the whole guest state.  Compiled once, shared by all blocks.
 */
#include "tcg/x86_64/emit.h"

#include <cpuid.h>
#include <setjmp.h>
#include <xmmintrin.h>

#define THUNK_BUFFER_SIZE 65536
#define MXCSR_MASKS       0x1f80u /* no exception traps */
#define MXCSR_KEPT        0x7fbfu /* everything but flush-to-zero and denormals-are-zero */

X86Host x86_host;

/* Callee-saved in C first: they need no reload after calls. */
static const uint8_t pin_registers[N_PINNED] = {RBX, R14, R15, RSI, RDI, R8, R9, R10, R11, R12, R13};

static bool survives_calls(int reg)
{
    return reg == RBX || (reg >= R12 && reg <= R15);
}

static void store_pinned(Asm *a, bool all)
{
    for (int reg = 0; reg < 16; reg++) {
        if (x86_host.pins.var[reg] && (all || !survives_calls(reg))) {
            asm_store(a, 1, home_of(x86_host.pins.var[reg]), reg);
        }
    }
}

static void load_pinned(Asm *a, bool all)
{
    for (int reg = 0; reg < 16; reg++) {
        if (x86_host.pins.var[reg] && (all || !survives_calls(reg))) {
            asm_load(a, 1, reg, home_of(x86_host.pins.var[reg]));
        }
    }
}

static void load_env_argument(Asm *a)
{
    asm_lea(a, 1, RDI, rm_mem(RBP, -ENV_BIAS));
}

static void call_absolute(Asm *a, const void *fn)
{
    asm_mov_imm_keep_flags(a, RAX, (uintptr_t)fn);
    asm_modrm(a, 0xff, 0, 2, rm_reg(RAX), 0);
}

static const void *begin(Asm *a)
{
    while ((uintptr_t)a->p & 15) {
        asm_byte(a, 0xcc);
    }
    return a->p - a->rx_delta;
}

static const uint8_t saved_registers[] = {RBX, RBP, R12, R13, R14, R15};

static void push_pop(Asm *a, int opcode, int reg)
{
    if (reg & 8) {
        asm_byte(a, 0x41);
    }
    asm_byte(a, opcode | (reg & 7));
}

static void make_enter(Asm *a)
{
    x86_host.thunks.enter = begin(a);
    for (unsigned i = 0; i < G_N_ELEMENTS(saved_registers); i++) {
        push_pop(a, 0x50, saved_registers[i]);
    }
    asm_alu_imm(a, ALU_SUB, 1, rm_reg(RSP), 8);
    asm_lea(a, 1, RBP, rm_mem(RDI, ENV_BIAS));
    asm_store(a, 1, ENV(host_sp), RSP);
    asm_modrm(a, A_0F | 0xae, 0, 2, ENV(host_fp), 0); /* ldmxcsr */
    asm_modrm(a, 0xc6, 0, 0, ENV(in_code), 1);
    asm_byte(a, 1);
    asm_mov_rr(a, 1, RDX, RSI);
    load_pinned(a, true);
    asm_load(a, 1, RAX, ENV(pc));
    asm_modrm(a, 0xff, 0, 4, rm_reg(RDX), 0);
}

/* eax or rax: what tcg_enter() returns.  Two ways in: from code, and from C with the vars stored already. */
static void make_exit(Asm *a)
{
    const uint8_t *after_store;

    x86_host.thunks.exit = begin(a);
    store_pinned(a, true);
    after_store = a->p - a->rx_delta;
    asm_modrm(a, A_0F | 0xae, 0, 3, ENV(host_fp), 0);   /* stmxcsr */
    asm_modrm(a, A_0F | 0xae, 0, 2, ENV(host_fp_c), 0); /* ldmxcsr */
    asm_modrm(a, 0xc6, 0, 0, ENV(in_code), 1);
    asm_byte(a, 0);
    asm_alu_imm(a, ALU_ADD, 1, rm_reg(RSP), 8);
    for (unsigned i = G_N_ELEMENTS(saved_registers); i-- > 0;) {
        push_pop(a, 0x58, saved_registers[i]);
    }
    asm_byte(a, 0xc3);

    x86_host.thunks.exit_from_c = begin(a);
    asm_lea(a, 1, RBP, rm_mem(RDI, ENV_BIAS));
    asm_load(a, 1, RSP, ENV(host_sp));
    asm_mov_rr(a, 0, RAX, RSI);
    asm_jmp(a, after_store);
}

static void make_exits(Asm *a)
{
    Thunks *t = &x86_host.thunks;

    t->exit_chain = begin(a);
    asm_modrm(a, A_0F | 0xb7, 0, RCX, rm_reg(RDX), 0);
    asm_shift_imm(a, SH_SHR, 0, RDX, 16);
    asm_alu(a, ALU_OR, 1, RAX, rm_reg(RDX));
    asm_alu(a, ALU_ADD, 1, RCX, ENV(page_base));
    asm_store(a, 1, ENV(pc), RCX);
    asm_jmp(a, t->exit);

    t->exit_request = begin(a);
    asm_alu(a, ALU_ADD, 1, RDX, ENV(page_base));
    asm_store(a, 1, ENV(pc), RDX);
    asm_mov_imm(a, RAX, TCG_EXIT_REQUEST);
    asm_jmp(a, t->exit);

    t->exit_table = begin(a);
    asm_store(a, 1, ENV(pc), RAX);
    asm_mov_imm(a, RAX, TCG_EXIT_REQUEST);
    asm_jmp(a, t->exit);

    for (unsigned reason = 0; reason <= TCG_EXIT_LAST; reason++) {
        t->exit_reason[reason] = begin(a);
        asm_mov_imm(a, RAX, reason);
        asm_jmp(a, t->exit);
    }
}

/* Continues at the host address in rax, for env->pc. */
static void jump_to_result(Asm *a)
{
    asm_mov_rr(a, 1, RDX, RAX);
    load_pinned(a, true);
    asm_load(a, 1, RAX, ENV(pc));
    asm_modrm(a, 0xff, 0, 4, rm_reg(RDX), 0);
}

static void make_lookup(Asm *a)
{
    x86_host.thunks.lookup = begin(a);
    asm_alu_imm(a, ALU_AND, 1, rm_reg(RAX), -2);
    asm_store(a, 1, ENV(pc), RAX);
    store_pinned(a, true);
    load_env_argument(a);
    call_absolute(a, tcg_state.runtime.lookup);
    jump_to_result(a);
}

typedef struct AccessThunk {
    const void **thunk;
    const void *fn, *fast; /* fast: asked first; may be NULL */
    bool value;       /* takes a value in rcx */
    bool insn_offset; /* takes it in the upper half of edx */
} AccessThunk;

/* rax, rcx, rdx of an access become the arguments of a C function. */
static void pass_access(Asm *a, bool value)
{
    asm_mov_rr(a, 1, RSI, RAX);
    load_env_argument(a);
    if (value) {
        asm_modrm(a, 0x87, 1, RDX, rm_reg(RCX), 0);
    }
}

/*
 * Asks the fast function, with the pinned registers that C may change on the stack.  Returns from the thunk when that
 * did the access; else goes on with everything as it was.
 */
static void make_fast_access(Asm *a, const AccessThunk *t)
{
    static const uint8_t kept[] = {RSI, RDI, R8, R9, R10, R11, RAX, RCX, RDX}; /* with the return address: 80 bytes */
    static const unsigned n_arguments = 3;
    unsigned n = G_N_ELEMENTS(kept);
    uint32_t not_done;

    for (unsigned i = 0; i < n; i++) {
        push_pop(a, 0x50, kept[i]);
    }
    pass_access(a, t->value);
    call_absolute(a, t->fast);
    if (t->value) {
        asm_modrm(a, A_0F | A_BYTE | 0xb6, 0, RDX, rm_reg(RAX), 0);
    }
    asm_rr(a, 0x85, 0, RDX, RDX);
    not_done = asm_jcc_forward(a, CC_E);
    asm_lea(a, 1, RSP, rm_mem(RSP, n_arguments * 8));
    for (unsigned i = n - n_arguments; i-- > 0;) {
        push_pop(a, 0x58, kept[i]);
    }
    asm_byte(a, 0xc3);
    asm_patch_here(a, not_done);
    for (unsigned i = n; i-- > 0;) {
        push_pop(a, 0x58, kept[i]);
    }
}

/* Memory accesses: C may raise, but changes no var. */
static void make_access(Asm *a, const AccessThunk *t)
{
    *t->thunk = begin(a);
    if (t->fast) {
        make_fast_access(a, t);
    }
    asm_alu_imm(a, ALU_SUB, 1, rm_reg(RSP), 8);
    store_pinned(a, true);
    if (t->insn_offset) {
        asm_mov_rr(a, 0, RSI, RDX);
        asm_shift_imm(a, SH_SHR, 0, RSI, 16);
        asm_store(a, 0, ENV(insn_offset), RSI);
        asm_modrm(a, A_0F | 0xb7, 0, RDX, rm_reg(RDX), 0);
    }
    pass_access(a, t->value);
    call_absolute(a, t->fn);
    for (unsigned slot = FIRST_GROUP_SLOT; slot < G_N_ELEMENTS(((TCGEnv *)0)->scratch); slot++) {
        /* C may have changed any mapping: memory groups that are open check again */
        asm_store_imm32(a, 1, rm_mem(RBP, ENV_DISP(scratch) + 8 * (int)slot), 0);
    }
    load_pinned(a, false);
    asm_alu_imm(a, ALU_ADD, 1, rm_reg(RSP), 8);
    asm_byte(a, 0xc3);
}

static void make_accesses(Asm *a)
{
    Thunks *t = &x86_host.thunks;
    const AccessThunk accesses[] = {
        {&t->load, tcg_state.runtime.load, tcg_state.runtime.load_fast, false, true},
        {&t->store, tcg_state.runtime.store, tcg_state.runtime.store_fast, true, true},
        {&t->amo, tcg_amo_slow, NULL, true, false},
        {&t->sc, tcg_sc_slow, NULL, true, false},
        {&t->lr, tcg_lr_slow, NULL, false, false},
        {&t->fp_check, tcg_state.runtime.fp_check, NULL, false, false},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(accesses); i++) {
        make_access(a, &accesses[i]);
    }
}

/* rax, rdx, rcx become the second to fourth argument; the function's address is in scratch[0]. */
static void call_helper(Asm *a)
{
    asm_mov_rr(a, 1, RSI, RAX);
    load_env_argument(a);
    asm_modrm(a, 0xff, 0, 2, ENV(scratch[0]), 0);
}

static const void *make_call(Asm *a, bool store_all, bool load_all, bool extra_argument)
{
    const void *thunk = begin(a);

    asm_alu_imm(a, ALU_SUB, 1, rm_reg(RSP), 8);
    store_pinned(a, store_all);
    if (extra_argument) {
        asm_load(a, 1, R8, ENV(scratch[1]));
    }
    call_helper(a);
    load_pinned(a, load_all);
    asm_alu_imm(a, ALU_ADD, 1, rm_reg(RSP), 8);
    asm_byte(a, 0xc3);
    return thunk;
}

static void make_calls(Asm *a)
{
    Thunks *t = &x86_host.thunks;

    t->fp_call = make_call(a, false, false, true);
    t->call = make_call(a, true, false, false);
    t->call_vars = make_call(a, true, true, false);
    t->call_jump = begin(a);
    store_pinned(a, true);
    call_helper(a);
    jump_to_result(a);
}

/* 16 bytes each: operands of orps and the like must be whole and aligned. */
static const uint64_t *make_constant(Asm *a, uint64_t low, uint64_t high)
{
    const uint64_t *p = begin(a);

    asm_u64(a, low);
    asm_u64(a, high);
    return p;
}

static void make_constants(Asm *a)
{
    Thunks *t = &x86_host.thunks;

    t->nan64 = make_constant(a, 0x7ff8000000000000, 0);
    t->nan32 = make_constant(a, 0xffffffff7fc00000, 0);
    t->sign64 = make_constant(a, 1ULL << 63, 0);
    t->sign32 = make_constant(a, 1ULL << 31, 0);
    t->abs64 = make_constant(a, ~(1ULL << 63), ~0ULL);
    t->abs32 = make_constant(a, ~(1ULL << 31), ~0ULL);
    t->riscv_flags = begin(a);
    for (unsigned mxcsr = 0; mxcsr < 64; mxcsr++) {
        asm_byte(a, tcg_fp_flags_of_mxcsr(mxcsr));
    }
}

static void detect_features(HostFeatures *f)
{
    unsigned a, b, c, d;

    if (__get_cpuid(1, &a, &b, &c, &d)) {
        bool os_saves_ymm = false;

        if (c & bit_OSXSAVE) {
            unsigned lo, hi;

            __asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
            os_saves_ymm = (lo & 6) == 6;
        }
        f->sse41 = c & bit_SSE4_1;
        f->pclmul = c & bit_PCLMUL;
        f->avx = (c & bit_AVX) && os_saves_ymm;
        f->fma = f->avx && (c & bit_FMA);
    }
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        f->bmi1 = f->avx && (b & bit_BMI);
        f->bmi2 = f->avx && (b & bit_BMI2);
    }
    if (__get_cpuid(0x80000001, &a, &b, &c, &d)) {
        f->lzcnt = c & bit_LZCNT;
    }
}

static void assign_pins(const TCGGuest *guest)
{
    unsigned n = 0;

    for (unsigned i = 0; i < TCG_MAX_VARS; i++) {
        x86_host.pins.reg[i] = NO_REG;
    }
    for (unsigned i = 0; i < 16; i++) {
        x86_host.pins.var[i] = 0;
    }
    for (const uint8_t *v = guest->pin_order; v && *v && n < N_PINNED; v++) {
        if (*v < TCG_MAX_VARS && !(guest->fp_vars >> *v & 1) && x86_host.pins.reg[*v] == NO_REG) {
            x86_host.pins.reg[*v] = pin_registers[n];
            x86_host.pins.var[pin_registers[n++]] = *v;
        }
    }
}

bool x86_init(GError **error)
{
    CodeBuffer *cb = &x86_host.buffer;
    Asm a;

    if (!cb->rw && !code_buffer_init(cb, THUNK_BUFFER_SIZE, error)) {
        return false;
    }
    detect_features(&x86_host.features);
    assign_pins(tcg_state.guest);
    a = (Asm){.start = cb->rw, .p = cb->rw, .end = cb->rw + cb->size, .rx_delta = code_buffer_delta(cb)};
    make_constants(&a);
    make_enter(&a);
    make_exit(&a);
    make_exits(&a);
    make_lookup(&a);
    make_accesses(&a);
    make_calls(&a);
    make_slot_thunks(&a);
    make_alone_thunks(&a);
    cb->used = asm_offset(&a);
    return true;
}

/* --- called from C --- */

static void prepare_enter(TCGEnv *env)
{
    env->host_fp_c = _mm_getcsr();
    env->host_fp = (env->host_fp | MXCSR_MASKS) & MXCSR_KEPT;
}

#if TCG_UNWIND_BY_LONGJMP
uintptr_t x86_enter(TCGEnv *env, const void *table_entry)
{
    uintptr_t (*enter)(TCGEnv *, const void *) = (void *)(uintptr_t)x86_host.thunks.enter;
    sigjmp_buf unwind;
    int reason = sigsetjmp(unwind, 0);

    if (reason) {
        return reason;
    }
    env->unwind = &unwind;
    prepare_enter(env);
    return enter(env, table_entry);
}

void x86_exit_to_loop(TCGEnv *env, unsigned reason)
{
    tcg_fp_leave_c(env);
    env->host_fp = _mm_getcsr();
    _mm_setcsr(env->host_fp_c);
    env->in_code = 0;
    siglongjmp(*(sigjmp_buf *)env->unwind, reason);
}
#else
uintptr_t x86_enter(TCGEnv *env, const void *table_entry)
{
    uintptr_t (*enter)(TCGEnv *, const void *) = (void *)(uintptr_t)x86_host.thunks.enter;

    prepare_enter(env);
    return enter(env, table_entry);
}

void x86_exit_to_loop(TCGEnv *env, unsigned reason)
{
    void (*leave)(TCGEnv *, unsigned) G_GNUC_NORETURN = (void *)(uintptr_t)x86_host.thunks.exit_from_c;

    tcg_fp_leave_c(env);
    leave(env, reason);
}
#endif
