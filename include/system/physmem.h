/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RAM blocks and the dirty bitmaps.
 *
 * Every piece of RAM is a RAMBlock.  Blocks lie side by side on one number line (ram_addr_t), each aligned to 64
 * target pages.  Per client there is one DirtyMemoryBlocks: an RCU-published array of fixed pieces of bitmap
 * (DIRTY_MEMORY_BLOCK_PAGES pages each), indexed by ram_addr_t page.  The arrays grow while everybody uses them;
 * pieces never move or shrink (D6).
 *
 * Invariants (each has a test that names it):
 *   D1  If a page changed since client C last took it, C's bit is set, or its writer is not done.
 *   D2  A client reads page contents only in this order: take, re-arm, quiesce, read.
 *   D3  Only the client that owns a bit clears it.
 *   D4  Re-arming is exact and unconditional: every page whose log bit was cleared loses its fast-write permission
 *       on every vCPU, at its true ram_addr_t, whether or not the destination bitmap already had it.
 *   D5  A client costs nothing while it has no consumer.
 *   D6  The bitmaps grow while every other thread keeps using them, and never move or shrink.
 */
#ifndef SYSTEM_PHYSMEM_H
#define SYSTEM_PHYSMEM_H

#include "system/memory.h"
#include "system/types.h"
#include "util/rcu.h"
#include <glib.h>

#define RAM_WRITTEN_BYTES        (UINT64_C(2) << 20)
#define DIRTY_MEMORY_BLOCK_PAGES (UINT64_C(256) * 1024 * 8) /* 256 KiB of bitmap, 8 GiB of RAM */

enum {
    RAM_SHARED = 1,      /* share=on: other processes see the stores */
    RAM_RESIZEABLE = 2,  /* used_length may change up to max_length */
    RAM_MIGRATABLE = 4,  /* travels in the RAM section */
    RAM_PREALLOC = 8,    /* touch all of it now */
    RAM_NORESERVE = 16,
};

struct RAMBlock {
    /* constant after creation */
    RcuHead rcu;
    uint8_t *host;
    ram_addr_t offset; /* multiple of 64 target pages */
    uint64_t max_length;
    uint64_t page_size; /* of the host memory behind it */
    unsigned flags;
    int fd; /* -1: anonymous */
    uint64_t fd_offset;
    char idstr[256]; /* "riscv_virt_board.ram" */
    MemoryRegion *mr;
    /* under the big lock, read under RCU */
    uint64_t used_length;
    RAMBlock *next; /* the list, longest max_length first; RCU */
    void (*resized)(const char *idstr, uint64_t length, void *host);
    /* any thread, atomics */
    uint32_t refs;   /* one for the owner, one per DMA mapping; the memory goes back after the last */
    uint8_t vga_log; /* 1 << DIRTY_MEMORY_VGA while a display logs it */
    unsigned long *written; /* see ram_block_pristine(); a bit per RAM_WRITTEN_BYTES; NULL: may be anything */

    /*
     * Belongs to migration: set up before its thread starts, freed after it ended (bmap by RCU, because a late
     * writer may still look).  Indexed from the block's first page.
     */
    unsigned long *bmap;        /* pages still to send */
    unsigned long *shadow_bmap; /* fixed-ram: pages present in the file */
    uint64_t bitmap_offset;     /* fixed-ram: place of the bitmap in the file */
    uint64_t pages_offset;      /* fixed-ram: place of page 0 in the file */
    uint64_t *page_sums;        /* fixed-ram: checksum of each page as it is in the file */
    unsigned long *receivedmap; /* destination: pages that arrived */
    bool file_mapped;           /* destination: memory is a private mapping of the file it was restored from */
};

/* The published list: take the RCU read side, or the big lock.  Compare ram_list_version() to notice changes. */
RAMBlock *ram_list_first(void);
#define RAMBLOCK_FOREACH(block) for ((block) = ram_list_first(); (block); (block) = rcu_dereference((block)->next))
#define RAMBLOCK_FOREACH_MIGRATABLE(block) RAMBLOCK_FOREACH (block) if (!((block)->flags & RAM_MIGRATABLE)) {} else
uint32_t ram_list_version(void);
ram_addr_t ram_list_end(void); /* first ram_addr_t past the last block */
uint64_t ram_bytes_total(void); /* sum of used_length of the migratable blocks */

/* --- making blocks: big lock.  @idstr must be unique. --- */
RAMBlock *ram_block_new_anonymous(const char *idstr, uint64_t size, uint64_t max_size, unsigned flags,
                                  GError **error);
RAMBlock *ram_block_new_memfd(const char *idstr, uint64_t size, unsigned flags, GError **error);
/* @fd is dup'ed.  Without RAM_SHARED the mapping is private. */
RAMBlock *ram_block_new_fd(const char *idstr, uint64_t size, int fd, uint64_t fd_offset, unsigned flags,
                           GError **error);
RAMBlock *ram_block_new_file(const char *idstr, uint64_t size, const char *path, unsigned flags, GError **error);
RAMBlock *ram_block_new_file_at(const char *idstr, uint64_t size, const char *path, uint64_t fd_offset,
                                unsigned flags, GError **error);
void ram_block_free(RAMBlock *block); /* memory goes back after a grace period */
bool ram_block_resize(RAMBlock *block, uint64_t new_length, GError **error);
/*
 * Replaces the memory behind the block's first @length bytes by a private mapping of @fd (lazy restore).  Machine
 * stopped, big lock.
 */
bool ram_block_map_private(RAMBlock *block, int fd, uint64_t fd_offset, uint64_t block_offset, uint64_t length,
                           GError **error);

/* Keeps the block and its memory while it is removed from the machine.  False: it is going away already.  RCU or big lock. */
bool ram_block_try_ref(RAMBlock *block);
void ram_block_unref(RAMBlock *block);
RAMBlock *ram_block_by_name(const char *idstr);     /* RCU read side or big lock */
RAMBlock *ram_block_by_addr(ram_addr_t addr);       /* RCU read side or big lock; NULL when nobody */
RAMBlock *ram_block_from_host(const void *ptr, ram_addr_t *offset);
bool ram_block_offset_valid(const RAMBlock *block, uint64_t offset, uint64_t length);
/*
 * Whether the range still reads as the zeroes that the host gave: the machine has never run, and nobody else wrote there.
 * It need not be looked at, nor, when it was preallocated, given back and touched again.  Any thread.
 */
bool ram_block_pristine(const RAMBlock *block, uint64_t offset, uint64_t length);
/* For writers that mark nothing dirty: migration, as it loads.  Any thread. */
void ram_block_note_written(RAMBlock *block, uint64_t offset, uint64_t length);

/* --- marking: any thread, no lock --- */
/* Marks the pages of [start, start + length) for the clients in @mask. */
void physical_memory_set_dirty_range(ram_addr_t start, uint64_t length, uint8_t mask);
/* The same for one page; the store path of the soft TLB. */
void physical_memory_set_dirty_flag(ram_addr_t addr, unsigned client);
bool physical_memory_get_dirty_flag(ram_addr_t addr, unsigned client);
/*
 * The piece of @client's bitmap that the page's bit lies in, at its number modulo DIRTY_MEMORY_BLOCK_PAGES; it stays
 * there (D6).  NULL: no RAM there.
 */
const unsigned long *physical_memory_dirty_piece(ram_addr_t addr, unsigned client);
bool physical_memory_get_dirty(ram_addr_t start, uint64_t length, unsigned client);
/* How many pages of the range are marked, without taking them. */
uint64_t physical_memory_count_dirty(ram_addr_t start, uint64_t length, unsigned client);
/*
 * After a device or monitor wrote [addr, addr + length) of @mr: drops translated code, then marks (D1: the writer is
 * not done before this returns).
 */
void physical_memory_invalidate_and_set_dirty(MemoryRegion *mr, hwaddr addr, uint64_t length);

/* --- taking --- */
/*
 * Moves the DIRTY_MEMORY_<client> bits of [start, start + length) into @dest, and makes the next guest
 * store to each of those pages mark it again (D4).
 *
 * The range lies in one RAMBlock; @dest is indexed from that block's first page and may be NULL.
 * Returns how many pages @dest gained (all dirty pages when @dest is NULL).
 * Any thread, one per client.  Takes the RCU read side.  The caller calls physical_memory_quiesce() before it reads
 * the pages (D2).
 */
uint64_t physical_memory_test_and_clear_dirty(ram_addr_t start, uint64_t length, unsigned client,
                                              unsigned long *dest);
/* The same, with @dest indexed from the range's first page. */
uint64_t physical_memory_take_dirty_to(ram_addr_t start, uint64_t length, unsigned client, unsigned long *dest);
/* migration's sync of one block: the above for DIRTY_MEMORY_MIGRATION into block->bmap, with the remote log cleared once. */
uint64_t physical_memory_sync_dirty_bitmap(RAMBlock *block);
/*
 * Waits until no vCPU is between a write-TLB check made before this call and its store.  Any thread; with or without
 * the big lock.
 */
void physical_memory_quiesce(void);
/* Clears without taking: what a writer of its own did (migration loading a page).  No re-arm is needed before start. */
void physical_memory_clear_dirty(ram_addr_t start, uint64_t length, unsigned client);

/* The accelerator's part (D4, D2).  One listener; called on any thread, under RCU. */
typedef struct DirtyListenerOps {
    /* Removes the fast-write permission of every page in [start, start + length) on every vCPU. */
    void (*rearm)(ram_addr_t start, uint64_t length);
    void (*quiesce)(void);
    /* Bytes of RAM changed behind the translator's back: drop translations of [start, start + length). */
    void (*invalidate_code)(ram_addr_t start, uint64_t length);
    /* Every access to RAM is looked up anew by vCPUs that enter guest code after this; the others quiesce later. */
    void (*forget)(void);
} DirtyListenerOps;
void physical_memory_set_dirty_listener(const DirtyListenerOps *ops);
/* No vCPU has a fast way to any RAM when this returns.  Any thread; with or without the big lock. */
void physical_memory_withdraw_all(void);
/* Under TCG: DIRTY_MEMORY_CODE is logged for all RAM (bits start dirty: no code). */
void physical_memory_enable_code_log(void);

/* Text of "info ramblock". */
void ram_block_print_all(GString *out);

#endif
