/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The compiler: IR blocks to host code, and the thunks between C and translated code.
 *
 * Life of a block: the front end fills an IRBlock; tcg_optimize() rewrites it; tcg_compile() appends code to a
 * CodeBuffer and describes it in a TCGCode.  Direct jumps start at stubs that return to C; tcg_link() patches them to
 * another block's entry, tcg_unlink() back.  tcg_kill() makes a block's table entry go to runtime.lookup, so that
 * stale jump-table entries are harmless until the code buffer is reused; tcg_revive() makes the block good again.
 *
 * Threads: an IRBlock and a CodeBuffer belong to the thread that compiles.  tcg_link/unlink/kill/revive may run on any
 * thread while others execute the code (one aligned atomic store each); the caller serialises them per block.
 */
#ifndef TCG_TCG_H
#define TCG_TCG_H

#include "tcg/env.h"
#include "tcg/ir.h"
#include <glib.h>

/* What tcg_enter() returns: (cookie | jump number) of an unlinked direct jump, or one of these reasons. */
enum {
    TCG_EXIT_REQUEST = 1,   /* exit_request was seen at a poll */
    TCG_EXIT_LOOKUP = 2,    /* continue at env->pc; nothing to link */
    TCG_EXIT_EVENT = 3,     /* continue at env->pc after looking at interrupts and the like */
    TCG_EXIT_HALT = 4,      /* the vCPU went to sleep */
    TCG_EXIT_DEBUG = 5,
    TCG_EXIT_LAST = 15,
};
#define TCG_COOKIE_ALIGN 64 /* cookies are multiples; the low bits carry the jump number */
#define TCG_MAX_JUMPS    60

/* C functions that translated code needs; filled by the accelerator before tcg_init(). */
typedef struct TCGFastLoad {
    uint64_t value;
    uint64_t done; /* 0: value means nothing */
} TCGFastLoad;

typedef struct TCGRuntime {
    /*
     * Slow memory accesses: TLB miss, MMIO, page crossing, not dirty.  @mop: IR_MEM_* | mmu_idx << 8.  Loads return
     * the extended value.  insn_offset is set.  They may leave through tcg_exit_to_loop().
     */
    uint64_t (*load)(TCGEnv *env, uint64_t addr, uint32_t mop);
    void (*store)(TCGEnv *env, uint64_t addr, uint64_t value, uint32_t mop);
    /*
     * Asked first, if not NULL, without the vars in their homes: they do the access or nothing, look at no vars and
     * raise nothing.  The upper half of @mop may be anything.
     */
    TCGFastLoad (*load_fast)(TCGEnv *env, uint64_t addr, uint32_t mop);
    bool (*store_fast)(TCGEnv *env, uint64_t addr, uint64_t value, uint32_t mop);
    /* A host address for an aligned atomic access of the size in @mop, or NULL after it was done otherwise is not
     * possible: raises instead.  Write permission and dirty marking are settled when it returns. */
    void *(*atomic_host)(TCGEnv *env, uint64_t addr, uint32_t mop);
    /* LR: like load, aligned. */
    uint64_t (*load_reserved)(TCGEnv *env, uint64_t addr, uint32_t mop);
    /* fp_ok was 0: raises illegal instruction, or sets fp_ok, or leaves to the loop for a soft_fp block. */
    void (*fp_check)(TCGEnv *env);
    /* The host address to continue at for env->pc in the present mode: a table entry, or tcg_exit_lookup(). */
    const void *(*lookup)(TCGEnv *env);
} TCGRuntime;

typedef struct TCGJump {
    int32_t patch;   /* offset in the code of the rel32, which lies within 8 aligned bytes */
    int32_t stub;    /* where it goes while unlinked */
    uint16_t target; /* offset in the guest page */
} TCGJump;

/* One compiled block. */
typedef struct TCGCode {
    const uint8_t *rx;   /* where it runs: the chained entry is at rx + entry */
    const uint8_t *cold; /* the part that seldom runs, when it lies apart; else NULL */
    uint32_t size, cold_size;
    uint32_t entry;       /* direct jumps within the page */
    uint32_t table_entry; /* 8-byte aligned; sets page_base from pc in the return-value register, polls */
    uint16_t n_jumps;
    uint64_t alive; /* the back end's: what tcg_kill() overwrites */
    TCGJump jumps[TCG_MAX_JUMPS];
} TCGCode;

/* A part of a code buffer that is being filled: from @at on it is free. */
typedef struct CodeChunk {
    size_t at, end;
} CodeChunk;

/* Code memory: one memfd mapped twice, read-write and read-execute; nobody ever has a writable executable page. */
typedef struct CodeBuffer {
    uint8_t *rw, *rx;
    size_t size, used;
    size_t limit; /* of used */
    CodeChunk hot, cold; /* below used: for what mostly runs, and for what seldom does */
    int fd;
} CodeBuffer;
bool code_buffer_init(CodeBuffer *cb, size_t size, GError **error);
void code_buffer_destroy(CodeBuffer *cb);
/* From now on code goes to [start, end). */
void code_buffer_use(CodeBuffer *cb, size_t start, size_t end);
/* Makes sure that a chunk has @room bytes; false: the buffer has not. */
bool code_buffer_chunk(CodeBuffer *cb, CodeChunk *chunk, size_t room);
static inline ptrdiff_t code_buffer_delta(const CodeBuffer *cb)
{
    return cb->rw - cb->rx;
}

/* Options of the compiler; each optimisation has its switch.  Constant after tcg_init(). */
typedef struct TCGConfig {
    bool interpreter; /* run IR in C: portable back end and oracle */
    bool no_optimize, no_chain, no_fp_inline, no_jump_table, no_loop_regs, no_page_slots, no_short_jumps,
        no_cold_code;
} TCGConfig;

/* Once: thunks are compiled into a buffer of their own.  @guest: register names and the pinning order. */
bool tcg_init(const TCGConfig *config, const TCGRuntime *runtime, const TCGGuest *guest, GError **error);
const TCGConfig *tcg_config(void);

void tcg_optimize(IRBlock *b);
/*
 * False when the buffer lacks room (nothing is kept: flush and try again).  @cookie: the caller's name for the block.
 */
bool tcg_compile(CodeBuffer *cb, const IRBlock *b, uintptr_t cookie, TCGCode *code);
void tcg_link(const CodeBuffer *cb, const TCGCode *from, unsigned jump, const TCGCode *to);
void tcg_unlink(const CodeBuffer *cb, const TCGCode *from, unsigned jump);
void tcg_kill(const CodeBuffer *cb, const TCGCode *code);
/* Undoes tcg_kill(). */
void tcg_revive(const CodeBuffer *cb, const TCGCode *code);

/* The load or store at IRBlock.code_page + offset is compiled without a page slot from now on.  Any thread. */
void tcg_site_without_slot(uint64_t site);

/*
 * Runs translated code from @code->table_entry at env->pc until something leaves it.  vCPU thread; env->pc is valid
 * when it returns.
 */
uintptr_t tcg_enter(TCGEnv *env, const void *table_entry);
/* From C called by translated code: forget the C frames, return @reason from tcg_enter().  env->pc must be set. */
void tcg_exit_to_loop(TCGEnv *env, unsigned reason) G_GNUC_NORETURN;
/* A host address for IRJumpHelper and runtime.lookup: leaves to the loop with @reason; env->pc must be set. */
const void *tcg_exit_address(unsigned reason);

/* --- floating point state, wherever it lives at the moment (vCPU thread) --- */
uint8_t tcg_fp_get_flags(TCGEnv *env);
void tcg_fp_set(TCGEnv *env, uint8_t frm, uint8_t fflags);
void tcg_fp_or_flags(TCGEnv *env, uint8_t fflags);
/* Does the host's unit have the guest's rounding mode now, and keep its flags?  Then C may compute for the guest as it is. */
bool tcg_fp_is_live(const TCGEnv *env);
/* C that may use host floating point (device models) runs between these when called from translated code. */
void tcg_fp_enter_c(TCGEnv *env);
void tcg_fp_leave_c(TCGEnv *env);

/* Listing of host code for -d out. */
void tcg_dump_code(const TCGCode *code, void *gstring);

#endif
