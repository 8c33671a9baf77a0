/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lockstep: a shadow of the vCPU interprets each block before translated code runs it; both must agree.
 *
 *     lookup -> shadow runs the block's IR on copies -> translated code runs -> compare -> lookup ...
 *
 * The shadow never changes guest state: its registers are copies, and its stores stay in an overlay.  What
 * it must not do itself (helpers with effects, devices, accesses that fault) stops it: a sync point.
 * Translated code comes by the same place through a hook here; states are compared, the real thing happens
 * once, and the shadow goes on with its result.
 *
 * All of it belongs to the one vCPU's thread.
 */
#ifndef ACCEL_TCG_LOCKSTEP_H
#define ACCEL_TCG_LOCKSTEP_H

#include "internal.h"

#define SHADOW_MAX_WRITES    8192
#define SHADOW_MAX_READS     8192
#define SHADOW_MAX_SNAPSHOTS 1024
#define SHADOW_MAX_ENV       64
#define OVERLAY_SLOTS        32768 /* a power of two, several times SHADOW_MAX_WRITES */

typedef enum ShadowStop {
    SHADOW_IDLE, /* nothing to compare */
    SHADOW_DONE, /* at the end of the block; next_pc is set */
    SHADOW_CALL,
    SHADOW_LOAD,
    SHADOW_STORE,
    SHADOW_ATOMIC,
    SHADOW_RESERVE,
    SHADOW_FP_CHECK,
    SHADOW_IN_C, /* states agreed, and C that may leave the block runs now */
    SHADOW_LOST, /* too many iterations: nothing to say about the rest of this block */
} ShadowStop;

/* A block as the front end made it; ops whose imm is an offset in the page have their label in @target. */
typedef struct ShadowBlock {
    unsigned n_ops, n_insns;
    unsigned mmu_idx;
    uint32_t page_offset, end_offset;
    IRBlock *ir;
    int16_t target[]; /* index of the label, or -1 */
} ShadowBlock;

typedef struct ShadowWrite {
    uint8_t *host;
    uint64_t value, old;
    unsigned size;
} ShadowWrite;

typedef struct ShadowRead {
    const uint8_t *host;
    uint64_t value;
    unsigned size;
} ShadowRead;

/* State at a backward jump: translated code may leave there because somebody asked. */
typedef struct ShadowSnapshot {
    uint64_t var[TCG_MAX_VARS];
    uint64_t pc, lr_addr, lr_value;
    unsigned n_writes;
    uint8_t fflags;
} ShadowSnapshot;

typedef struct ShadowEnvWrite {
    int64_t offset;
    uint64_t value;
    uint8_t mem;
} ShadowEnvWrite;

typedef struct OverlayGranule {
    uintptr_t key; /* host address / 8; 0: empty */
    uint8_t byte[8], have;
} OverlayGranule;

typedef struct Shadow {
    TcgCpu *tc;
    TCGEnv *regs; /* only var, page_base, insn_offset, frm, fflags, lr_addr, lr_value count */
    uint64_t temp[TCG_MAX_TEMPS];
    const ShadowBlock *block;
    unsigned op; /* where it stopped */
    ShadowStop stop;
    uint64_t stop_addr;
    uint64_t next_pc;

    /* since the last sync point */
    OverlayGranule overlay[OVERLAY_SLOTS];
    unsigned used[SHADOW_MAX_WRITES * 2], n_used;
    ShadowWrite writes[SHADOW_MAX_WRITES];
    unsigned n_writes;
    ShadowRead reads[SHADOW_MAX_READS];
    unsigned n_reads;
    ShadowEnvWrite env_writes[SHADOW_MAX_ENV];
    unsigned n_env_writes;
    ShadowSnapshot snapshots[SHADOW_MAX_SNAPSHOTS];
    unsigned n_snapshots;
} Shadow;

/* Copies the registers of the vCPU and forgets what was logged. */
void shadow_take_state(Shadow *s);
void shadow_forget_logs(Shadow *s);
/* Runs from s->op until something stops it; sets s->stop. */
void shadow_run(Shadow *s);
/* The result of the op that it stopped at; goes on behind it. */
void shadow_resume(Shadow *s, uint64_t result);
/* Sets the overlay to the first @n writes. */
void shadow_replay_writes(Shadow *s, unsigned n);
const IROp *shadow_op(const Shadow *s);
uint64_t shadow_value(const Shadow *s, IRRef r);
ShadowBlock *shadow_block_new(const IRBlock *ir, unsigned n_insns);
void shadow_block_free(ShadowBlock *b);

/* --- hooks of cpu-exec.c, translate-all.c, tcg-accel.c --- */
bool lockstep_init(TcgCpu *tc, GError **error);
/* Keeps the block's IR and puts the hook for calls into it; then, when the block exists, gives it a name. */
void lockstep_prepare(TcgCpu *tc, IRBlock *ir);
void lockstep_keep(TcgCpu *tc, const TranslationBlock *tb);
/* Translated code is about to enter @tb at @pc. */
void lockstep_begin(TcgCpu *tc, const TranslationBlock *tb, uint64_t pc);
/* It left at env->pc.  False: a difference is being narrowed down; leave to the loop. */
bool lockstep_end(TcgCpu *tc);
/* runtime of the compiler with the hooks in place */
void lockstep_hook(TCGRuntime *runtime);

#endif
