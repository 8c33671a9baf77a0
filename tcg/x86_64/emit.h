/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * State of the x86-64 back end while it compiles one block, and the conventions of the code it makes.
 *
 * Registers in translated code:
 *   rbp            env + ENV_BIAS, so that the first 30 vars are in reach of an 8-bit displacement
 *   rax rcx rdx    scratch; hold nothing from one op to the next, but see Emit.in_rax
 *   xmm0-xmm2      scratch;  xmm3-xmm15: FP vars cached within a block; written home when somebody may look
 *   the other 11   pinned vars: they survive jumps between blocks; within a loop some may hold other vars
 *   rsp            16-byte aligned, where tcg_enter() left it; polls compare its low half with exit_request
 * Entering a table entry: rax is the guest pc.
 */
#ifndef TCG_X86_64_EMIT_H
#define TCG_X86_64_EMIT_H

#include "tcg/tcg-internal.h"
#include "tcg/x86_64/assembler.h"

#define ENV_BIAS         128
#define ENV_DISP(field)  ((int32_t)offsetof(TCGEnv, field) - ENV_BIAS)
#define ENV(field)       rm_mem(RBP, ENV_DISP(field))
#define N_PINNED         11
#define FIRST_CACHED_XMM 3
#define N_XMM            16

/* Host features, found out once. */
typedef struct HostFeatures {
    bool bmi1, bmi2, lzcnt, avx, fma, sse41, pclmul;
} HostFeatures;

/* Addresses of thunks; constant after init.  See thunks.c for what each expects. */
typedef struct Thunks {
    const void *enter;        /* C: uintptr_t enter(TCGEnv *env, const void *table_entry) */
    const void *exit_from_c;  /* C: void exit(TCGEnv *env, unsigned reason), does not return */
    const void *exit;         /* jmp; eax: reason, env->pc set */
    const void *exit_chain;   /* jmp; rax: cookie, edx: target | jump number << 16 */
    const void *exit_request; /* jmp; edx: offset in the page to continue at */
    const void *exit_table;   /* jmp; rax: pc.  exit_request seen at a table entry */
    const void *exit_reason[TCG_EXIT_LAST + 1]; /* table-entry-like: env->pc is set already */
    const void *lookup;                         /* jmp; rax: pc, but for bit 0 */
    const void *load;                           /* call; rax: address, edx: mop | insn_offset << 16 -> rax */
    const void *store;                          /* same, rcx: value */
    const void *amo, *sc;                       /* call; rax: address, rcx: value, edx: mop -> rax */
    const void *lr;                             /* call; rax: address, edx: mop -> rax */
    const void *fp_check;                       /* call */
    const void
        *fp_call; /* call; rax, rdx, rcx: a, b, c; scratch[0]: FpFunction, scratch[1]: its last argument */
    const void *fill_slot[2][TCG_MMU_MODES]; /* see page-slots.c */
    /* as load and store, but these look in the first level first; see alone.c */
    const void *load_alone[TCG_MMU_MODES][8], *store_alone[TCG_MMU_MODES][4];
    const void *call;      /* call; rax, rdx, rcx: a, b, c; scratch[0]: IRHelper -> rax */
    const void *call_vars; /* same; the callee may change vars */
    const void *call_jump; /* jmp; the same arguments */
    /* constants in reach */
    const void *riscv_flags; /* bytes, indexed by the sticky flags of MXCSR */
    const uint64_t *nan64, *nan32, *sign64, *sign32, *abs64, *abs32;
} Thunks;

/* Which vars are in general registers. */
typedef struct RegMap {
    int8_t reg[TCG_MAX_VARS]; /* of a var, or NO_REG */
    uint8_t var[16];          /* in a register, 0: none */
} RegMap;

typedef struct X86Host {
    HostFeatures features;
    Thunks thunks;
    RegMap pins; /* in all translated code but within loops that have maps of their own */
    CodeBuffer buffer;
} X86Host;
extern X86Host x86_host;

typedef enum FpView { VIEW_NONE, VIEW_F64, VIEW_F32 } FpView;

/* Which FP vars are in which xmm registers.  Copied into slow paths, so small. */
typedef struct FpCache {
    uint8_t var[N_XMM]; /* 0: free */
    uint16_t f32;       /* bit per register: VIEW_F32, else VIEW_F64 */
    uint16_t checked;   /* bit per register of VIEW_F32: the home is known to be boxed, or will be when written */
    uint16_t dirty;     /* bit per register: the home is older */
    uint16_t nan;       /* bit per register: computed, and if it is a NaN it must be made the default NaN */
} FpCache;

typedef struct Emit Emit;
typedef struct SlowPath SlowPath;

/* Code put behind the block's main line. */
struct SlowPath {
    void (*emit)(Emit *e, const SlowPath *s);
    const IROp *op;
    uint32_t from[3]; /* rel32s that lead here */
    uint8_t n_from;
    int8_t reg; /* the address, or another register the path needs */
    uint16_t insn_offset;
    uint32_t back; /* where to go afterwards */
    uint32_t arg;
    uint32_t at;    /* its own code, once emitted */
    SlowPath *miss; /* of a page slot: where it goes when the first level does not have the page either */
    uint16_t span;
    bool write;
    uint8_t loop;   /* Emit.loop here */
    FpCache fp;
};

typedef struct EmitLabel {
    int64_t offset;
    uint32_t op_index;
    bool placed, forward; /* forward: an earlier op jumps here */
    uint32_t loop;        /* code offset */
    FpCache fp;           /* at .loop */
} EmitLabel;

typedef struct LabelFixup {
    uint32_t at;
    uint8_t label;
} LabelFixup;

/*
 * Plain accesses of one kind off one unchanged base within straight code.  The first checks the page for all
 * of them and leaves the host address of base + min in a slot of env->scratch; 0 there means each must check
 * for itself.
 */
typedef struct MemGroup {
    int64_t min, end; /* offsets from the base: [min, end) */
    IRRef base;
    uint8_t slot, opc, count;
    uint16_t first, last; /* op indices */
} MemGroup;

/* A loop that keeps other vars in registers than the code around it. */
typedef struct LoopRegs {
    uint16_t first, last; /* op indices */
    RegMap map;
    uint64_t written; /* bit per var */
    uint32_t out, in; /* code offsets of the subroutines that call_thunk() uses; 0: not made yet */
} LoopRegs;

#define MAX_GROUPS       128
#define FIRST_GROUP_SLOT 2 /* scratch[0..1] are for calls */
#define MAX_GROUP_SPAN   1024

#define MAX_SLOW   3072
#define MAX_FIXUPS 128

struct Emit {
    Asm a;
    const IRBlock *b;
    TCGCode *code;
    uintptr_t cookie;
    const IROp *op; /* being emitted */
    uint32_t insn_offset;
    uint32_t chain_common; /* code offset of the shared tail of exit stubs, 0: none yet */
    IRRef in_rax;          /* a ref that this op finds in rax; of a temp that is the only place */
    IRRef rax_for_next;    /* what in_rax will be */
    uint8_t temp_uses[TCG_MAX_TEMPS];

    const RegMap *map;
    uint8_t loop; /* number of the loop whose map holds + 1, 0: none */

    FpCache fp;
    uint64_t boxed; /* bit per var: its home is known to hold a boxed F32 */
    uint32_t fp_clock, fp_stamp[N_XMM];

    const MemGroup *rcx_group; /* whose slot rcx holds, from the op before */
    unsigned n_labels, n_fixups, n_slow, n_groups, n_loops, n_short_jumps;
    EmitLabel labels[IR_MAX_LABELS]; /* from here on nothing is cleared for a new block */
    bool in_loop[IR_MAX_OPS]; /* if there are labels */
    uint8_t op_group[IR_MAX_OPS];    /* number of the op's group + 1, or 0 */
    LabelFixup fixups[MAX_FIXUPS];
    SlowPath slow[MAX_SLOW];
    MemGroup groups[MAX_GROUPS];
    LoopRegs loops[IR_MAX_LABELS];
};

/* --- emit.c: operands --- */
static inline RM home_of(IRRef r)
{
    if (ir_is_temp(r)) {
        return rm_mem(RBP, ENV_DISP(spill) + 8 * (r - IR_TEMP0));
    }
    return rm_mem(RBP, ENV_DISP(var) + 8 * (ir_is_ref(r) ? r : IR_ZERO));
}
/* The register that var @r has here, or NO_REG. */
static inline int emit_own_reg(const Emit *e, IRRef r)
{
    return r < TCG_MAX_VARS ? e->map->reg[r] : NO_REG;
}
/* Where the value of @r is. */
static inline RM rm_of(const Emit *e, IRRef r)
{
    int reg = r == e->in_rax ? RAX : emit_own_reg(e, r);

    return reg != NO_REG ? rm_reg(reg) : home_of(r);
}
/* Where to compute the value of @r: its own register or rax. */
static inline int dst_reg(const Emit *e, IRRef r)
{
    int reg = emit_own_reg(e, r);

    return reg != NO_REG ? reg : RAX;
}
static inline bool fits_s32(int64_t v)
{
    return v == (int32_t)v;
}
/* A register that holds @r: its own, or @scratch after loading it.  Does not change flags. */
int use_reg(Emit *e, IRRef r, int scratch);
void load_ref(Emit *e, int reg, IRRef r);
/* Operand b, immediate or not, in a register. */
int use_b(Emit *e, const IROp *op, int scratch);
/* The value of @r is in @reg. */
void put_ref(Emit *e, IRRef r, int reg);
/* Another way than put_ref() wrote the home of var @r. */
void var_changed(Emit *e, IRRef r);
SlowPath *new_slow(Emit *e, void (*emit)(Emit *e, const SlowPath *s));
void slow_from(Emit *e, SlowPath *s, int cc); /* jcc to it */

/* --- emit-value.c --- */
void emit_value(Emit *e, const IROp *op);
void emit_store_env(Emit *e, const IROp *op);
/* cmp or test of two operands; the second may be an immediate. */
void emit_compare(Emit *e, IRRef a, IRRef b, bool b_is_imm, int64_t imm, unsigned type);
int cc_of(unsigned cond);

/* --- emit-mem.c --- */
void emit_mem(Emit *e, const IROp *op);
/* Looks for the page of @span bytes at @addr: flags say "above" when it is not there; its index is in rcx, rdx changes. */
void asm_tlb_index(Asm *a, int addr, unsigned mode, bool write, unsigned span);
/* rcx: from the index to the addend. */
void asm_tlb_addend(Asm *a, unsigned mode, bool write);
/* The access itself.  @mem: IR_MEM_*, of which size and sign count. */
void asm_raw_load(Asm *a, int reg, RM from, unsigned mem);
void asm_raw_store(Asm *a, RM to, int reg, unsigned mem);

/* --- alone.c --- */
void make_alone_thunks(Asm *a);
const void *alone_load_thunk(const Emit *e, const IROp *op);
const void *alone_store_thunk(const Emit *e, const IROp *op);

/* --- page-slots.c --- */
void plan_slots(Emit *e);
bool site_has_slot(const Emit *e);
/* Leaves the addend of the page of the @span bytes at @addr in rcx, or goes to @miss, which was made before. */
void emit_slot_check(Emit *e, int addr, bool write, unsigned span, SlowPath *miss);
void make_slot_thunks(Asm *a);

/* --- mem-groups.c --- */
void plan_groups(Emit *e);
const MemGroup *group_of(const Emit *e, const IROp *op);

/* --- loop-regs.c --- */
void plan_loops(Emit *e);
/* What Emit.loop must be at an op. */
unsigned loop_at(const Emit *e, unsigned op_index);
/* Says where vars are; enter_loop() also emits the moves. */
void set_loop(Emit *e, unsigned loop);
void enter_loop(Emit *e, unsigned loop);
void emit_loop_movers(Emit *e);
/* A call of a thunk, which wants pinned vars in their registers. */
void call_thunk(Emit *e, const void *thunk);

/* --- emit-fp.c: ops; emit-fp-cache.c: registers --- */
void emit_fp(Emit *e, const IROp *op);
/* Calls the op's C function with the operands' homes; the result is in rax.  Only FP registers are lost. */
void emit_fp_function(Emit *e, const IROp *op);
/* Writes all values home; the registers keep them. */
void fp_sync(Emit *e);
void fp_sync_var(Emit *e, IRRef r);
/* The same in a slow path, for the registers that @cache says. */
void fp_sync_slow(Emit *e, const FpCache *cache);
/* Makes a computed NaN in @xmm the default NaN: somebody is about to look at its bits. */
void fp_canonical(Emit *e, int xmm);
void fp_cache_clear(Emit *e);
void fp_cache_drop(Emit *e, IRRef var);
/* After a call: loads again what @cache says, but not @except (0: nothing excepted). */
void fp_cache_reload(Emit *e, const FpCache *cache, IRRef except);
/* The register that holds var @r in @view, or NO_REG. */
int fp_cached(const Emit *e, IRRef r, FpView view);
/* Writes home what fp_define(@r) would: before a check whose slow path comes back behind the definition. */
void fp_make_room(Emit *e, IRRef r);
/* A register for a new value of var @r; its cached value, if any, is gone. */
int fp_define(Emit *e, IRRef r, FpView view);
/* A register with operand @r, loaded (and its box checked) when it must be; @scratch for what is not an FP
 * var. */
int fp_use(Emit *e, IRRef r, FpView view, int scratch);
/* The defined register has its value now; @nan: it may be a NaN of the host's making. */
void fp_defined(Emit *e, int xmm, bool nan);
bool is_fp_var(const Emit *e, IRRef r);
void fp_move(Emit *e, int dst, int src);
void fp_load(Emit *e, int xmm, RM src, FpView view);
void fp_store(Emit *e, RM dst, int xmm, FpView view);
/* Loop heads. */
void fp_prepare_loop(Emit *e, EmitLabel *label);
/* Loads what the head wants in registers, from homes. */
void fp_enter_loop(Emit *e, const EmitLabel *label);
/* Writes home what the loop head expects there; fp_match() then loads what it expects in registers. */
void fp_match_homes(Emit *e, const FpCache *want);
void fp_match(Emit *e, const FpCache *want);
bool fp_matches(const Emit *e, const FpCache *want);

/* --- emit-flow.c --- */
void emit_flow(Emit *e, const IROp *op);
void emit_label(Emit *e, const IROp *op);
void emit_call(Emit *e, const IROp *op);
void emit_table_entry(Emit *e);
/* The way out at the end; what the block does not mostly run. */
void emit_end(Emit *e);
void emit_slow_paths(Emit *e);
void collect_labels(Emit *e);
EmitLabel *find_label(Emit *e, int64_t offset);

/* --- thunks.c --- */
bool x86_init(GError **error);
uintptr_t x86_enter(TCGEnv *env, const void *table_entry);
void x86_exit_to_loop(TCGEnv *env, unsigned reason) G_GNUC_NORETURN;

#endif
