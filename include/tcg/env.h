/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCGEnv: the part of a vCPU that translated code touches by fixed offset.
 *
 * A guest CPU's struct starts with it.  Guest registers that the translator names are "vars" with a home here; while
 * translated code runs some of them live in pinned host registers, but every call into C through a thunk stores them
 * first: C always sees a complete and exact guest state.
 *
 * Owner: the vCPU's thread, except where a field says otherwise.
 */
#ifndef TCG_ENV_H
#define TCG_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TCG_MAX_VARS  64 /* 0 always reads as zero */
#define TCG_MAX_TEMPS 64
#define TCG_MMU_MODES 4  /* what a block's loads and stores go through; also selects its jump table */
#define TCG_PAGE_BITS 12
#define TCG_PAGE_SIZE (1u << TCG_PAGE_BITS)

#define TLB_BITS    10
#define TLB_ENTRIES (1u << TLB_BITS)
/*
 * One soft TLB entry.  tag: virtual page address.  A hit is (addr ^ tag) <= 4096 - size, unsigned: same page and not
 * crossing it.  Permission, MMIO, not-dirty: the entry is simply absent.  An empty entry holds a tag that no address
 * mapping to its slot can match (TLB_EMPTY_TAG).  The tag may be made empty by another thread holding the vCPU's
 * TLB lock (atomic store); everything else is the vCPU thread's.
 */
typedef struct TLBEntry {
    uint64_t tag;
    uint64_t addend; /* host address - guest virtual address */
} TLBEntry;
static inline unsigned tlb_index(uint64_t addr)
{
    return (addr >> TCG_PAGE_BITS) & (TLB_ENTRIES - 1);
}
#define TLB_EMPTY_TAG(slot) ((uint64_t)((slot) ^ 1) << TCG_PAGE_BITS)

/*
 * The page that a load or store in translated code, or a few that share the slot, accessed last: it skips the
 * first level then.  A hit is (addr ^ tag) < limit, unsigned.  Filled from an entry of the first level, and
 * emptied when that is; write slots by other threads too, like the entries: an atomic store of 0 to limit.  The
 * rest is the vCPU thread's; see tcg/x86_64/page-slots.c.
 */
#define PAGE_SLOTS      64 /* for each mode and direction */
#define PAGE_SLOT_LIMIT (TCG_PAGE_SIZE - 7)
typedef struct PageSlot {
    uint64_t tag, addend;
    uint64_t limit; /* PAGE_SLOT_LIMIT; 0: empty */
    uint64_t since; /* when it was last judged */
    int64_t fills;  /* until it is judged */
} PageSlot;

#define TCG_BAD_SITES 16

/* a kernel that forks and executes jumps to some three thousand places: with 12 bits half of them conflict */
#define JUMP_TABLE_BITS 15
/* Where indirect and cross-page jumps look first; index from pc >> 1.  host: a block's table entry. */
typedef struct JumpTableEntry {
    uint64_t pc;      /* UINT64_MAX: empty */
    const void *host; /* even, also when empty: code compares it with odd addresses */
} JumpTableEntry;
static inline unsigned jump_table_index(uint64_t pc)
{
    /* the low 16 bits alone: one host instruction; functions and return addresses spread well enough */
    return (pc >> 1) & ((1u << JUMP_TABLE_BITS) - 1);
}

/* An exit_request: as an unsigned number larger than the low half of any stack pointer, which polls compare it with. */
#define TCG_EXIT_WANTED UINT32_MAX

typedef struct TCGEnv {
    /* these and the first vars are in reach of an 8-bit displacement */
    uint64_t page_base;    /* virtual address of the page that the running block lies in */
    uint32_t exit_request; /* any thread, atomic: 0, or TCG_EXIT_WANTED to leave at the next poll */
    uint32_t insn_offset;  /* offset from page_base of the instruction that called into C */
    uint64_t var[TCG_MAX_VARS];

    uint64_t pc;           /* valid outside translated code */
    uint8_t fp_ok;         /* inline floating point allowed: unit on and marked dirty, rounding mode representable */
    uint8_t frm;           /* dynamic rounding mode, RISC-V encoding */
    uint8_t fflags;        /* accrued flags, RISC-V encoding (NX 1, UF 2, OF 4, DZ 8, NV 16); see tcg_fp_* */
    uint8_t in_code;       /* between tcg_enter() and its return */
    uint32_t host_fp;      /* x86: MXCSR of the guest while outside, with the sticky flags not yet in fflags */
    uint32_t host_fp_c;    /* x86: MXCSR of C */
    uint64_t lr_addr;      /* reservation: address, UINT64_MAX none */
    uint64_t lr_value;
    uintptr_t host_sp;     /* of tcg_enter(), for tcg_exit_to_loop() */
    void *unwind;          /* interpreter: sigjmp_buf * */
    uint64_t spill[TCG_MAX_TEMPS];
    uint64_t scratch[8];   /* thunks */
    uint32_t n_bad_sites;
    uint64_t bad_site[TCG_BAD_SITES]; /* that page slots are no good for: IRBlock.code_page + offset */
    PageSlot read_slot[TCG_MMU_MODES][PAGE_SLOTS];
    PageSlot write_slot[TCG_MMU_MODES][PAGE_SLOTS];

    JumpTableEntry jump[TCG_MMU_MODES][1u << JUMP_TABLE_BITS];
    TLBEntry tlb_read[TCG_MMU_MODES][TLB_ENTRIES];
    TLBEntry tlb_write[TCG_MMU_MODES][TLB_ENTRIES];
} TCGEnv;

/* The guest pc of the instruction that called into C. */
static inline uint64_t tcg_env_pc(const TCGEnv *env)
{
    return env->page_base + env->insn_offset;
}

#endif
