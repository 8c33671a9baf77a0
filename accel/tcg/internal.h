/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of accel/tcg share: the accelerator's part of a vCPU, translated blocks and code pages.
 *
 * Safe points.  Each vCPU has an epoch: odd while it is in guest code (translated code, or C called by it),
 * even outside.  Leaving and entering each add one.  tcg_quiesce() waits until every other vCPU that was odd
 * has moved on; what it held from a check (a TLB hit, a host pointer) is used up by then.  A vCPU that waits
 * for anything that a quiescing thread may hold (the big lock, another vCPU) leaves guest code first.
 */
#ifndef ACCEL_TCG_INTERNAL_H
#define ACCEL_TCG_INTERNAL_H

#include "accel/tcg.h"
#include "api/field.h"
#include "system/physmem.h"
#include "util/counters.h"
#include "util/lock.h"
#include "tlb.h"

#define NO_RAM_PAGE RAM_ADDR_INVALID

typedef struct TcgCpu TcgCpu;

/* --- statistics of one vCPU: what happens too often for a shared counter --- */

#define TCG_STATS(X)                                                                                         \
    X(entries, "entries of translated code from the main loop")                                              \
    X(lookups, "lookups that the inline jump table did not answer")                                          \
    X(table_hits, "lookups that the jump table answered after a change of mode")                             \
    X(cached_blocks, "lookups that found their block in the vCPU's cache of blocks")                         \
    X(table_takeovers, "jump tables emptied because the key of their mode changed")                          \
    X(exit_requests, "exits because of a request")                                                           \
    X(exit_lookups, "exits to look the pc up")                                                               \
    X(exit_events, "exits to look at interrupts")                                                            \
    X(exit_halts, "exits to wait for an interrupt")                                                          \
    X(exit_jumps, "exits at a direct jump that was not linked")                                              \
    X(interrupts, "interrupts taken")                                                                        \
    X(fast_loads, "loads that the second level of the soft TLB answered on the short way")                    \
    X(fast_stores, "stores that the second level of the soft TLB answered on the short way")                  \
    X(slow_loads, "loads that took the slow path")                                                           \
    X(slow_stores, "stores that took the slow path")                                                         \
    X(slow_atomics, "atomics that took the slow path")                                                       \
    X(code_stores, "stores beside translated code that were not looked up")                                  \
    X(notdirty_stores, "stores that somebody waited for")                                                    \
    X(device_loads, "loads from devices")                                                                    \
    X(device_stores, "stores to devices")                                                                    \
    X(crossings, "accesses that crossed a page")                                                             \
    X(bad_sites, "loads and stores translated again without a page slot")                                    \
    X(level2_hits, "soft TLB refills from the second level")                                                 \
    X(stores_ahead, "soft TLB entries for stores that were filled with the one for a load")                  \
    X(walks, "page table walks")                                                                             \
    X(fetch_misses, "fetch lookups that went past the fetch TLB")                                            \
    X(flushes_all, "flushes of the whole soft TLB")                                                          \
    X(flushes_page, "flushes of one page")                                                                   \
    X(flushes_asid, "flushes of one address space identifier")                                               \
    X(asid_switches, "switches to another address space identifier")

typedef struct TcgStats {
#define TCG_STAT_FIELD(name, help) uint64_t name;
    TCG_STATS(TCG_STAT_FIELD)
#undef TCG_STAT_FIELD
} TcgStats;

/* --- translated blocks --- */

typedef struct TranslationBlock TranslationBlock;

/* A direct jump of a block, and its place in the list of jumps into its target.  Under tb_lock. */
typedef struct TBJump {
    TranslationBlock *to; /* NULL: not linked */
    struct TBJump *next, **prev_next;
    TranslationBlock *from;
    unsigned n;
} TBJump;

#define TB_MAX_KEPT_BYTES 510

/* Lives until its segment is emptied, invalid or not.  Aligned to TCG_COOKIE_ALIGN: its address is its cookie. */
struct TranslationBlock {
    /* constant once inserted */
    ram_addr_t ram_pc;
    ram_addr_t ram_page2;   /* of the second page of a straddling instruction; NO_RAM_PAGE */
    uint64_t lines, lines2; /* 64-byte lines of each page that its bytes lie in */
    uint32_t flags;         /* TB_* */
    uint32_t end_offset; /* past the last byte, from the start of the first page */
    uint16_t n_insns;
    uint16_t n_bytes; /* of its source; 0: not kept when the source changes; may become 0, under tb_lock */
    const uint8_t *bytes;
    const CodeBuffer *buffer;
    TBJump *jumps;
    const TCGCode *code;
    TranslationBlock *next_in_segment;
    /* under tb_lock; invalid is also read without it: jumps to the block then find it dead */
    bool invalid;
    bool published; /* its pages and tb_find() know it */
    bool kept;      /* dropped, to be found again by its bytes */
    TBJump *incoming;
};

typedef enum CodePageState {
    CODE_PAGE_OPEN,       /* CODE bit set: stores are fast */
    CODE_PAGE_PROTECTING, /* CODE bit clear, fast stores may still be under way */
    CODE_PAGE_PROTECTED,
} CodePageState;

/* A page of RAM that holds, or once held, translated code.  Never freed. */
typedef struct CodePage {
    ram_addr_t page; /* constant */
    /* under tb_lock */
    CodePageState state; /* code_store() reads it without the lock */
    GPtrArray *blocks;
    uint64_t block_lines; /* union of the blocks' lines */
    unsigned translators; /* translations of this page under way */
    uint32_t changes;     /* counts invalidations: what a translator read before one is void */
    uint32_t protections;
    unsigned store_budget; /* stores_left when the page gets its first block */
    unsigned drops;        /* stores that dropped blocks since the last block was added */
    uint64_t kept_lengths[4]; /* bit n: a block of 2 * n bytes was dropped and may be kept */
    /* any thread, atomics; lines is written under tb_lock */
    uint64_t lines;       /* lines a store must ask about: block_lines and what translators claim */
    unsigned stores_left; /* slow stores until the page is opened again; a few may go uncounted */
    bool atomics;         /* C hands out host addresses of this page for atomics */
} CodePage;

extern Lock tb_lock;

/* What a translator holds while it reads a page. */
typedef struct CodeClaim {
    CodePage *cp;
    uint32_t changes;
} CodeClaim;

/* --- tb-maint.c --- */
void tb_maint_init(void);
TranslationBlock *tb_find(ram_addr_t ram_pc, uint32_t flags, ram_addr_t ram_page2_or_none, bool any_page2);
/* Links jump @n of @from to @to if both are still valid. */
void tb_link(TranslationBlock *from, unsigned n, TranslationBlock *to);
size_t tb_count(void);
void tb_publish_locked(TranslationBlock *tb);
/* Nothing leads to it or from it any more, but for jump tables and vCPUs that are inside. */
void tb_unpublish_locked(TranslationBlock *tb);
/* The same, as its bytes changed: jump tables that lead to it lead to a lookup, and it is kept for its bytes' return. */
void tb_drop_locked(TranslationBlock *tb, uint64_t *kept_lengths);
void tb_forget_kept_locked(TranslationBlock *tb);
/* A kept block for @bytes, no longer kept and not published; NULL: none. */
TranslationBlock *tb_revive_locked(ram_addr_t ram_pc, uint32_t flags, const uint8_t *bytes, unsigned n_bytes,
                                   const uint64_t *kept_lengths);
void tb_forget_all_locked(void);

/* --- code-page.c --- */
void code_pages_init(void);
CodePage *code_page_find(ram_addr_t page);
/*
 * Makes the page safe to read code from, and claims the lines from @offset on.  False: it waited for other
 * vCPUs and took nothing; addresses must be looked up again.  vCPU thread in guest code.
 */
bool tb_claim_page(TcgCpu *tc, ram_addr_t page, uint32_t offset, CodeClaim *claim);
void tb_release_page(CodeClaim *claim);
/*
 * Publishes @tb unless one of the pages changed since it was claimed (then returns false).  Releases the
 * claims.
 * @claim2 may be NULL.
 */
bool tb_insert(TranslationBlock *tb, CodeClaim *claim, CodeClaim *claim2);
/*
 * Publishes a dropped block again that was made of the bytes at @ram_pc, which were read under @claim; releases
 * the claim then.  NULL: there is none.
 */
TranslationBlock *tb_revive(CodeClaim *claim, ram_addr_t ram_pc, uint32_t flags, const uint8_t *bytes,
                            unsigned n_bytes);
/* After bytes of [start, start + length) changed: drops blocks that overlap.  Any thread. */
void tb_invalidate_range(ram_addr_t start, uint64_t length);
/* Drops the blocks that hold the instruction at @addr, not to be found again by their bytes.  Any thread. */
void tb_translate_again(ram_addr_t addr);
/* After a slow store of a vCPU into one page that is not open. */
void tb_store_in_code_page(ram_addr_t addr, unsigned size);
void code_page_stored(CodePage *cp, unsigned offset, unsigned size);
/* Before an atomic operation by host address in a page that is not open. */
void tb_atomic_in_code_page(ram_addr_t addr, unsigned size);
/* The block's memory goes: takes it off the lists of its pages. */
void code_pages_remove_locked(TranslationBlock *tb);
void code_pages_forget_locked(void);

/* --- code-stores.c --- */
#define CODE_STORE_ENTRIES 16
#define CODE_STORE_EMPTY   UINT64_MAX
typedef struct CodeStoreEntry {
    uint64_t tag;             /* virtual page | mmu index */
    uint64_t flushes, rearms; /* SoftTLB's when it was made */
    uint8_t *host;            /* of the page */
    CodePage *cp;
} CodeStoreEntry;
/* Does the store if the vCPU remembers the page as one that only translators wait for.  vCPU thread in guest code. */
bool code_store(TcgCpu *tc, vaddr addr, uint64_t value, uint32_t mop);
/* After a slow store that only translators waited for. */
void code_store_remember(TcgCpu *tc, vaddr addr, unsigned mmu_idx, const PageAccess *pa);

/* --- code-cache.c --- */
#define CODE_SEGMENTS_MAX 64
/* A part of a vCPU's code memory and the blocks in it.  vCPU thread, or while no vCPU is in guest code. */
typedef struct CodeSegment {
    size_t start, end;        /* constant */
    TranslationBlock *blocks; /* all that were made here, by next_in_segment */
    GPtrArray *arena;         /* memory of their descriptions, in chunks */
    size_t arena_used;        /* of the last chunk */
} CodeSegment;

/* What the code buffer holds already stays. */
void code_cache_init(TcgCpu *tc);
/* The present segment is full: goes on in the next if that is empty.  vCPU thread. */
bool code_cache_advance(TcgCpu *tc);
/* Requests that the oldest segment be emptied and makes @tc leave for it. */
void tb_request_room(TcgCpu *tc);
/* Everything; no vCPU is in guest code. */
void tb_drop_all(void);
/* A zeroed block with room for the largest description; tb_fit() then keeps what @code and the source need. */
TranslationBlock *tb_reserve(TcgCpu *tc);
void tb_fit(TcgCpu *tc, TranslationBlock *tb, const TCGCode *code, const uint8_t *bytes, unsigned n_bytes);

/* --- the vCPU --- */

/*
 * A block that this vCPU has found before.  By physical address, so it outlives what empties jump tables:
 * flushes of pages, switches of address space.  Not for straddling blocks.
 *
 * Written by the vCPU thread; whoever drops a block takes it out (tb-maint.c), any thread, atomics.
 */
#define BLOCK_CACHE_BITS 14
typedef struct BlockCacheEntry {
    TranslationBlock *tb; /* NULL: empty */
    ram_addr_t ram_pc;
    const void *host;
    uint32_t flags;
} BlockCacheEntry;

struct TcgCpu {
    /* constant after realize */
    CPUState *cpu;
    TCGEnv *env;
    const TcgCpuOps *ops;

    /* any thread, atomics */
    uint64_t epoch; /* odd: in guest code */
    uint32_t
        flush_tlbs; /* flush everything before guest code goes on: topology changed, or state was loaded */

    /* written by the vCPU thread, read by anybody, atomics */
    TcgStats stats;

    /* vCPU thread */
    unsigned left_depth; /* cpu_leave_guest() calls to undo */
    bool left_guest;     /* the outermost of them went from odd to even */
    SoftTLB tlb;
    CodeStoreEntry code_stores[CODE_STORE_ENTRIES];
    /* a jump that came back unlinked: the next lookup is its target */
    TranslationBlock *link_from;
    unsigned link_jump;
    uint64_t entry_pc;
    BlockCacheEntry block_cache[1u << BLOCK_CACHE_BITS];
    /* translation */
    CodeBuffer code;
    CodeSegment segments[CODE_SEGMENTS_MAX];
    unsigned n_segments;
    unsigned segment;  /* being filled */
    const void *entry; /* block that looks up env->pc and goes there */
    IRBlock *ir;
    TCGCode compiled;
    uint8_t page_copy[2 * TCG_PAGE_SIZE];
    CodeClaim claim, claim2;
    bool have_claim, have_claim2;
    vaddr translating_pc;
    ram_addr_t translating_page2;
};

static inline CodeStoreEntry *code_store_entry(TcgCpu *tc, vaddr addr)
{
    return &tc->code_stores[(addr >> TARGET_PAGE_BITS) % CODE_STORE_ENTRIES];
}

/* Whether code_store() is worth asking. */
static inline bool code_store_knows(TcgCpu *tc, vaddr addr, unsigned mmu_idx)
{
    return code_store_entry(tc, addr)->tag == ((addr & TARGET_PAGE_MASK) | mmu_idx);
}

static inline BlockCacheEntry *block_cache_slot(TcgCpu *tc, ram_addr_t ram_pc, uint32_t flags)
{
    uint64_t key = (ram_pc ^ (uint64_t)flags << 44) * UINT64_C(0x9e3779b97f4a7c15);

    return &tc->block_cache[key >> (64 - BLOCK_CACHE_BITS)];
}

#define tcg_stat(tc, name) atomic_set(&(tc)->stats.name, atomic_read(&(tc)->stats.name) + 1)

/* --- tcg-cpus.c --- */
#define TCG_MAX_CPUS 1024
/* Any thread; entries appear and stay. */
unsigned tcg_cpu_count(void);
TcgCpu *tcg_cpu_nth(unsigned i);
void tcg_cpus_add(TcgCpu *tc); /* big lock; complete, and below TCG_MAX_CPUS */
/* NULL when the vCPU is not realized yet. */
TcgCpu *env_tcg_cpu(TCGEnv *env);

/* --- safe points (tcg-dirty.c) --- */
void tcg_enter_guest_code(TcgCpu *tc);
void tcg_leave_guest_code(TcgCpu *tc);
static inline bool tcg_in_guest_code(const TcgCpu *tc)
{
    return atomic_read(&tc->epoch) & 1;
}
/* Waits for all other vCPUs; the caller, if a vCPU in guest code, counts as outside meanwhile. */
void tcg_quiesce(void);
/*
 * Empties the write entries of [start, start + length) on all vCPUs.  Entries made later are made by somebody who sees
 * what the caller wrote before: the dirty bits it cleared, the log mask it set (D4).  Any thread.
 */
void tcg_withdraw_writes(ram_addr_t start, uint64_t length);
/*
 * The light side of an asymmetric barrier: tcg_withdraw_writes() makes all running threads pass a full one, so that
 * here an order to the compiler is enough.  Constant after init; false where the host cannot do that.
 */
extern bool tcg_barriers_are_heavy;
static inline void tcg_light_barrier(void)
{
    if (likely(tcg_barriers_are_heavy)) {
        compiler_barrier();
    } else {
        smp_mb();
    }
}
void tcg_dirty_init(void);
void tcg_request_tlb_flush(TcgCpu *tc); /* any thread */

/* Has loads and stores that page slots were no good for translated again; outside of guest code. */
void tcg_retranslate_sites(TcgCpu *tc);

/* --- cpu-exec.c, translate-all.c --- */
bool tcg_exec_realize(TcgCpu *tc, uint32_t code_mib, GError **error);
void tcg_cpu_exec(CPUState *cpu);
const void *tcg_lookup_slow(TCGEnv *env);
TranslationBlock *tb_translate(TcgCpu *tc, vaddr pc, const PageAccess *page, uint32_t flags);
/* The fetch mapping of the page after @pc's, for blocks that straddle; false when it would fault. */
bool tb_fetch_page(TcgCpu *tc, vaddr pc, bool probe, PageAccess *page);

/* --- tcg-options.c --- */
typedef struct TcgAccelConfig {
    uint32_t tb_size; /* MiB of code for all vCPUs; 0: the default */
    uint32_t tb_segments;
    int thread;
    bool no_revive, no_code_stores, no_store_ahead, no_fast_refill;
    bool interp, one_insn_per_tb;
    bool no_chain, no_optimize, no_fp_inline, no_jump_table, no_loop_regs, no_page_slots, no_short_jumps;
    bool no_halt_polling, no_cold_code;
    bool lockstep; /* see lockstep.h; implies no_chain and no_jump_table */
    bool perf;
    bool split_wx; /* accepted: always so */
} TcgAccelConfig;
extern TcgAccelConfig tcg_accel_config;
extern const Field tcg_accel_fields[];
uint32_t tcg_code_mib_per_cpu(void);

/* --- perf-map.c --- */
bool perf_map_open(GError **error);
void perf_map_add(const TCGCode *code, vaddr pc);

COUNTER_EXTERN(jit_links);

#endif
