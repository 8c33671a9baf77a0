/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The soft TLB of a vCPU beyond the arrays in TCGEnv.
 *
 * First level: TCGEnv.tlb_read and tlb_write, looked at by translated code.  TLBIndex remembers which of
 * their slots are filled, so that a flush touches only those.  Second level: what page walks found, for all
 * address spaces, with the size of the leaf; never says whether a store may be fast.  A page's way: first
 * level, second level, walk.
 *
 * All of it is the vCPU thread's own, but for what rearm (D4) does from other threads: it counts SoftTLB.rearms, and
 * empties write entries and write slots that it finds with the help of the index, without a lock.  See tlb-fill.c.
 */
#ifndef ACCEL_TCG_TLB_H
#define ACCEL_TCG_TLB_H

#include "accel/tcg.h"
#include "system/physmem.h"

/* A set of slots, as bits. */
typedef uint64_t TLBSlots[TLB_ENTRIES / 64];
typedef uint64_t JumpSlots[(1u << JUMP_TABLE_BITS) / 64];

typedef struct TLBIndex {
    TLBSlots filled;
    TLBSlots global;
    uint8_t leaf_bits[TLB_ENTRIES];
} TLBIndex;

#define JUMP_PAGE_BITS  4096
#define LARGE_HASH_BITS 14

/* --- contexts of the second level, see TLB2Entry --- */

#define TLB2_CONTEXTS 4096 /* 0 is none */
#define TLB2_ASIDS    256
#define NO_CONTEXT    UINT64_MAX

/* The context of the leaves of one mode and address space that are not global. */
typedef struct TLBContext {
    uint16_t asid;
    uint16_t context; /* 0: none yet */
} TLBContext;

typedef struct TLBMode {
    TLBIndex read;
    TLBIndex write;                     /* other threads read which are filled */
    ram_addr_t write_page[TLB_ENTRIES]; /* where the page lies in RAM; other threads read it */
    JumpSlots jump_filled, jump_global;
    uint64_t jump_pages[JUMP_PAGE_BITS / 64]; /* hashes of pages that jump table entries lie in, or did */
    uint64_t jump_2m[JUMP_PAGE_BITS / 64];    /* the same of stretches of 2 MiB */
    uint32_t jump_flags;                      /* key of the blocks that this mode's jump table leads to */
    uint16_t asid;
    /* contexts: of asid, and of global leaves; NO_CONTEXT: the second level has none */
    uint64_t context, global_context;
    TLBContext contexts[TLB2_ASIDS]; /* by low bits of the asid */
    /* hashes of where leaves above 4 KiB were seen since the last flush of the mode */
    uint64_t large_2m[(1u << LARGE_HASH_BITS) / 64]; /* 2 MiB stretches that hold or are such a leaf */
    uint64_t large_1g[(1u << LARGE_HASH_BITS) / 64]; /* the same of 1 GiB, for leaves above 2 MiB */
    bool any_large, larger_than_1g;
} TLBMode;

#define FETCH_TLB_ENTRIES 256
typedef struct FetchEntry {
    uint64_t tag; /* virtual page | mmu index; UINT64_MAX: empty */
    uint8_t *host;
    ram_addr_t ram_page;
    bool global;
    uint8_t leaf_bits;
} FetchEntry;

/*
 * One leaf, small so that a set is one cache line of the host.  Its context says of which mode and address space it
 * is; most flushes only forget contexts, and the leaves of a forgotten one are never found again.
 */
typedef struct TLB2Entry {
    uint64_t tag;  /* virtual address of the leaf | context; 0: empty */
    uint64_t leaf; /* physical address of the leaf | LEAF_* */
} TLB2Entry;

#define TLB2_WAYS     4
#define TLB2_SETS_4K  16384 /* 256 MiB */
#define TLB2_SETS_2M  64
#define TLB2_SETS_1G  8

/* A stretch of RAM in the physical address space: topology as the last lookups saw it. */
typedef struct RamWindow {
    hwaddr first, last; /* whole pages; first > last: empty */
    uint8_t *host;      /* of first */
    ram_addr_t ram;
    MemoryRegion *mr;
    bool readable, writable;
    /* as of rearms: the clients that want to know of stores */
    uint8_t log_mask;
    uint64_t rearms;
    const unsigned long *dirty[DIRTY_MEMORY_NUM]; /* the piece of each bitmap that the whole window lies in */
} RamWindow;
#define RAM_WINDOWS 4

typedef struct SoftTLB {
    TLBMode mode[TCG_MMU_MODES];
    uint64_t flushes; /* counts all flushes: an address looked up before one is void */
    uint64_t rearms;  /* counts rearms begun; any thread, atomic */

    FetchEntry fetch[FETCH_TLB_ENTRIES];

    unsigned victim;
    unsigned last_context;
    uint64_t live[TLB2_CONTEXTS / 64]; /* contexts that are some mode's */
    TLB2Entry leaf_4k[TLB2_SETS_4K][TLB2_WAYS] CACHE_ALIGNED;
    TLB2Entry leaf_2m[TLB2_SETS_2M][TLB2_WAYS];
    TLB2Entry leaf_1g[TLB2_SETS_1G][TLB2_WAYS];

    RamWindow window[RAM_WINDOWS];
    unsigned window_victim;

    /* stores foreseen, see tlb_install_load() */
    uint64_t lone_load; /* page | mmu index of the last refill for a load alone; NO_LONE_LOAD */
    unsigned foreseen;  /* refills for loads that come with the entry for stores, still to be made */
} SoftTLB;
#define NO_LONE_LOAD UINT64_MAX

/* Where one guest access goes. */
typedef struct PageAccess {
    hwaddr paddr;
    uint8_t *host;     /* of the address; NULL: device, or RAM that this access cannot have directly */
    ram_addr_t ram;    /* of the address, when host is set */
    RamWindow *window; /* when host is set; it may have another content by now */
    MemoryRegion *mr;  /* when host is set */
    uint8_t leaf_bits; /* 0: must not be cached */
    uint8_t prot;      /* what the mapping allows at the moment, to other accesses too */
    bool global;
    bool host_read, host_write; /* what host is good for */
} PageAccess;

struct TcgCpu;
void tlb_init(struct TcgCpu *tc);
/* Everything that depends on the memory topology or on state that was replaced. */
void tlb_forget_all(struct TcgCpu *tc);
/* Resolves an access that stays in one page.  False only with @probe; without it a failure raises. */
bool tlb_lookup(struct TcgCpu *tc, vaddr addr, unsigned size, MMUAccessType access, unsigned mmu_idx,
                bool probe, PageAccess *pa);
/* Fetch of the page that holds @addr. */
bool tlb_lookup_fetch(struct TcgCpu *tc, vaddr addr, unsigned mmu_idx, bool probe, PageAccess *pa);
/* Fills a first-level slot, when the access may be cached and had directly. */
void tlb_install_read(struct TcgCpu *tc, vaddr addr, unsigned mmu_idx, const PageAccess *pa);
/*
 * The same after a load that translated code could not do.  When stores followed such loads lately the slot
 * for stores is filled too, if a store may be plain.
 */
void tlb_install_load(struct TcgCpu *tc, vaddr addr, unsigned mmu_idx, const PageAccess *pa);
/* A store that translated code could not do: whether a load of the same page came just before. */
void tlb_note_store(struct TcgCpu *tc, vaddr addr, unsigned mmu_idx);
/*
 * Whether a store may be plain because nobody waits for it; fills the slot then.  The answer holds until the
 * vCPU's next safe point.
 */
bool tlb_install_write(struct TcgCpu *tc, vaddr addr, unsigned mmu_idx, const PageAccess *pa);
/* Clients that want to know of the next store to the page, as a mask. */
uint8_t tlb_clients_waiting(const PageAccess *pa);
/* Removes fast-write entries of RAM in [start, start + length).  Any thread; see tcg_withdraw_writes(). */
void tlb_drop_writes(struct TcgCpu *tc, ram_addr_t start, uint64_t length);
void tlb_jump_insert(struct TcgCpu *tc, unsigned mode, uint64_t pc, const void *host, bool global);
void tlb_jump_flush(struct TcgCpu *tc, unsigned mode);

/* TCGRuntime.load_fast and store_fast: the way of most misses, in one piece. */
TCGFastLoad tcg_load_fast(TCGEnv *env, uint64_t addr, uint32_t mop);
bool tcg_store_fast(TCGEnv *env, uint64_t addr, uint64_t value, uint32_t mop);
uint64_t tcg_load_slow(TCGEnv *env, uint64_t addr, uint32_t mop);
void tcg_store_slow(TCGEnv *env, uint64_t addr, uint64_t value, uint32_t mop);
void *tcg_atomic_host(TCGEnv *env, uint64_t addr, uint32_t mop);
uint64_t tcg_load_reserved(TCGEnv *env, uint64_t addr, uint32_t mop);

#endif
