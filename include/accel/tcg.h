/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What accel/tcg offers to guest CPUs, and what it asks of them.
 *
 * Everything here runs on the vCPU's own thread unless it says otherwise.  A guest CPU struct starts with a TCGEnv.
 */
#ifndef ACCEL_TCG_H
#define ACCEL_TCG_H

#include "system/cpu.h"
#include "tcg/ir.h"
#include "tcg/tcg.h"

/* Key of a block besides its physical pc. */
enum {
    TB_MMU_IDX = 3,        /* mask: mmu index of data accesses */
    TB_PRIV_SHIFT = 2,     /* 2 bits: privilege of execution */
    TB_NO_TABLE = 1 << 4,  /* no jump table for this mode (M with MPRV): every far jump asks lookup */
    TB_SOFT_FP = 1 << 5,
    TB_ONE_INSN = 1 << 6,  /* one instruction per block */
    TB_GUEST_SHIFT = 8,    /* bits from here on are the guest's own */
};

/* One translation: filled by accel, consumed by TcgCpuOps.translate. */
typedef struct TranslateContext {
    CPUState *cpu;
    TCGEnv *env;
    IRBlock *ir;
    uint32_t flags;       /* TB_* */
    uint64_t pc;          /* virtual; only for messages and disassembly: code must be position independent */
    uint32_t offset;      /* in the page, of the first instruction */
    unsigned max_insns;   /* at least 1 */
    const uint8_t *page;  /* host memory of the whole page */
    /* translate's results */
    unsigned n_insns;
    uint32_t end_offset;  /* past the last byte used; > 4096 when the last instruction straddles into the next page */
} TranslateContext;

/* Instruction bytes at @offset; past the page end (a straddling instruction) the next page is fetched: may raise. */
uint16_t translate_fetch16(TranslateContext *ctx, uint32_t offset);

typedef struct TlbFill {
    hwaddr paddr;      /* of the page that holds the address */
    uint8_t prot;      /* PAGE_* that the mapping allows now (D bit clear: no write) */
    uint8_t page_bits; /* size of the leaf, 12, 21, 30, ...; smaller than 12: do not cache (PMP splits the page) */
    bool global;
    uint16_t asid;
} TlbFill;
enum { PAGE_READ = 1, PAGE_WRITE = 2, PAGE_EXEC = 4 };

typedef struct TcgCpuOps {
    const TCGGuest *guest;
    /* The TB_* key for the present state. */
    uint32_t (*tb_flags)(TCGEnv *env);
    /* Builds IR for the block at ctx->offset.  The last op leaves the block on every path. */
    void (*translate)(TranslateContext *ctx);
    /*
     * Walks the page tables for [addr, addr + size) in @mmu_idx.  On failure: with @probe false raises the guest exception (does not
     * return); with @probe true returns false.
     */
    bool (*tlb_fill)(TCGEnv *env, vaddr addr, unsigned size, MMUAccessType access, unsigned mmu_idx, bool probe, TlbFill *fill);
    /* Mmu index for instruction fetch in the present state. */
    unsigned (*fetch_mmu_idx)(TCGEnv *env);
    /* Takes an interrupt if one is enabled and pending; true if state changed.  Big lock NOT held. */
    bool (*exec_interrupt)(TCGEnv *env);
    /* The access reached nobody or was refused by a device: raise access fault.  Does not return. */
    void (*transaction_failed)(TCGEnv *env, vaddr addr, MMUAccessType access, MemTxResult result);
    void (*misaligned)(TCGEnv *env, vaddr addr, MMUAccessType access);
    void (*fp_check)(TCGEnv *env); /* see TCGRuntime.fp_check */
} TcgCpuOps;

static inline TCGEnv *cpu_env(CPUState *cpu)
{
    return cpu->env;
}
CPUState *env_cpu(TCGEnv *env);

/* --- soft TLB: own vCPU only --- */
void tlb_flush(TCGEnv *env);                                      /* everything, second level too */
void tlb_flush_by_mmuidx(TCGEnv *env, unsigned idx_mask);
void tlb_flush_page(TCGEnv *env, vaddr addr);                     /* all modes, all ASIDs */
void tlb_flush_asid(TCGEnv *env, uint16_t asid);                  /* not global pages */
void tlb_flush_page_asid(TCGEnv *env, vaddr addr, uint16_t asid);
/* satp was written: modes in @idx_mask show another address space @asid now. */
void tlb_switch_asid(TCGEnv *env, unsigned idx_mask, uint16_t asid);

/* Guest memory from C on behalf of the guest: may raise.  For helpers. */
uint64_t cpu_load(TCGEnv *env, vaddr addr, unsigned size_log2, unsigned mmu_idx);
void cpu_store(TCGEnv *env, vaddr addr, uint64_t value, unsigned size_log2, unsigned mmu_idx);
/* Host memory of [addr, addr + size) inside one page if it is plain RAM and allowed; NULL when not (no fault). */
void *cpu_probe_host(TCGEnv *env, vaddr addr, unsigned size, MMUAccessType access, unsigned mmu_idx);
/*
 * The same for a store that the first level of the soft TLB allows: a few instructions, and NULL more often.  What it
 * returns may be written until the helper that called returns.
 */
static inline void *cpu_store_host(TCGEnv *env, vaddr addr, unsigned size, unsigned mmu_idx)
{
    const TLBEntry *e = &env->tlb_write[mmu_idx][tlb_index(addr)];
    bool hit = (addr ^ __atomic_load_n(&e->tag, __ATOMIC_RELAXED)) <= TCG_PAGE_SIZE - size;

    return hit ? (void *)(uintptr_t)(addr + e->addend) : NULL;
}
/* The same for a load. */
static inline const void *cpu_load_host(TCGEnv *env, vaddr addr, unsigned size, unsigned mmu_idx)
{
    const TLBEntry *e = &env->tlb_read[mmu_idx][tlb_index(addr)];
    bool hit = (addr ^ __atomic_load_n(&e->tag, __ATOMIC_RELAXED)) <= TCG_PAGE_SIZE - size;

    return hit ? (const void *)(uintptr_t)(addr + e->addend) : NULL;
}
/*
 * Host memory of physical @paddr if it is plain writable RAM and the calling thread's vCPU @env runs guest code, else
 * NULL.  For page table walks; good until the vCPU's next safe point.
 */
void *tlb_ram_host(TCGEnv *env, hwaddr paddr);

/* The host address to continue at for env->pc after a trap or return (IRJumpHelper results). */
const void *tcg_lookup_next(TCGEnv *env);

/* Drops all translations (any thread; done when no vCPU is in translated code). */
void tb_flush_all(void);

/* MXCSR-safe entry to code of devices, with the vCPU counted as quiescent; brackets bql_lock() in helpers. */
void cpu_leave_guest(TCGEnv *env);
void cpu_enter_guest(TCGEnv *env);

/* Counters and text for "info jit". */
void tcg_print_info(GString *out);

#endif
