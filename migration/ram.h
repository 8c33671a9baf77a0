/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory on its way.
 *
 * Source: each block has a bitmap of pages still to send (RAMBlock.bmap, all ones at first).  The order that nothing
 * is lost by (D2): take the log bits into bmap and re-arm (physical_memory_sync_dirty_bitmap), quiesce once, and only
 * then read pages; a page's bit in bmap is cleared before the page is read.
 *
 * RAM that comes while a migration runs joins it: its list goes out in the next part (a MEM_SIZE record, as in the
 * first).  RAM that goes, or changes its size, ends the migration with an error; the source runs on.
 */
#ifndef MIGRATION_RAM_H
#define MIGRATION_RAM_H

#include "channel.h"
#include "fixed-ram.h"
#include "options.h"
#include "pristine.h"
#include "sections.h"
#include "stream.h"
#include "system/physmem.h"
#include "util/lock.h"
#include "xbzrle.h"

enum {
    RAM_SAVE_ZERO = 0x02,
    RAM_SAVE_MEM_SIZE = 0x04,
    RAM_SAVE_PAGE = 0x08,
    RAM_SAVE_EOS = 0x10,
    RAM_SAVE_CONTINUE = 0x20,
    RAM_SAVE_XBZRLE = 0x40,
    RAM_SAVE_MULTIFD_FLUSH = 0x200,
    RAM_SAVE_RUN = 0x400, /* native: with ZERO or PAGE; so many pages (u32) in one record */
    RAM_SAVE_FLAGS = TARGET_PAGE_SIZE - 1,
};

/* Any thread, atomics; what query-migrate shows. */
typedef struct RamStats {
    uint64_t transferred;      /* bytes of pages */
    uint64_t normal, duplicate; /* pages */
    uint64_t pristine;         /* those of the duplicate ones that were not looked at */
    uint64_t remaining_pages;
    uint64_t total;            /* bytes */
    uint64_t sync_count;
    uint64_t dirty_pages_rate; /* per second, at the last sync */
    uint64_t precopy_bytes, downtime_bytes, postcopy_bytes;
    uint64_t postcopy_requests; /* that the destination made */
    uint64_t multifd_bytes;
    XbzrleStats xbzrle;
} RamStats;

typedef struct MultifdSend MultifdSend;
typedef struct MultifdRecv MultifdRecv;

typedef struct RamState {
    /* constant after setup */
    StreamWriter *writer;
    bool fixed_ram;
    bool postcopy;        /* the destination was told that postcopy may follow */
    bool runs;            /* the destination knows RAM_SAVE_RUN */
    FixedRamWriter fixed; /* with fixed_ram; set up after ram_setup() */
    XbzrleCache *xbzrle;  /* NULL: off; not ours */
    int zero_detection;   /* ZeroPageDetection */
    MultifdSend *multifd; /* NULL: one thread does it all; not ours */
    RamStats *stats;
    /* migration thread */
    PristineLook pristine; /* asks nobody until pristine_look_init() */
    bool logged;       /* the MIGRATION log runs for us */
    GPtrArray *blocks; /* of RAMBlock *, each holding a reference */
    GArray *lengths;   /* of uint64_t, their used_length when they joined */
    uint32_t list_version;
    unsigned blocks_listed; /* how many of them the stream knows of */
    unsigned cursor_block; /* where the search for the next dirty page goes on */
    uint64_t cursor_page;
    RAMBlock *last_sent; /* whose name the last record of this part carried */
    uint64_t dirty_pages; /* set bits of all bmaps */
    int64_t last_sync_ns, last_sync_took_ns;
    uint64_t dirtied_last_sync; /* pages gained by it */
    bool barrier_due;    /* multifd: pages queued before must arrive before the next ones */
    /* any thread, atomic */
    bool switchover;     /* the machine is stopped: pages count as downtime */
} RamState;

extern const SectionOps ram_section; /* loading: opaque is a RamLoad */

/* Starts the log and collects the blocks.  Big lock. */
bool ram_setup(RamState *rs, StreamWriter *writer, bool fixed_ram, RamStats *stats, GError **error);
/* The same without the log: who saves the pages knows otherwise which. */
bool ram_setup_unlogged(RamState *rs, StreamWriter *writer, bool fixed_ram, RamStats *stats, GError **error);
/* The START section. */
bool ram_save_setup(RamState *rs, GError **error);
/*
 * Takes all log bits into the bitmaps; afterwards pages may be read.  With or without the big lock: takes it for a
 * moment when the caller lacks it.
 */
void migration_bitmap_sync(RamState *rs);
/*
 * Notices that RAM came, went or changed.  New blocks join.  Big lock.  *@changed: new blocks joined, all their
 * pages are to be sent.
 */
bool ram_check_blocks(RamState *rs, bool *changed, GError **error);
/* Sends blocks that joined; inside a PART or END. */
void ram_save_joined(RamState *rs);
/* Sends one run of dirty pages; false when there is none. */
bool ram_save_block(RamState *rs);
/* How many of the pages from @page on, @n at most, can be sent alike; *@pristine: by ram_save_pristine(), unread. */
uint64_t ram_run_alike(RamState *rs, RAMBlock *block, uint64_t page, uint64_t n, bool *pristine);
void ram_save_pristine(RamState *rs, RAMBlock *block, uint64_t page, uint64_t n);
/* Sends pages as they are in @copy, which stays until the writer is flushed.  Does not touch the bitmaps.  No multifd. */
void ram_save_copy(RamState *rs, RAMBlock *block, uint64_t page, uint64_t n, const uint8_t *copy);
/* PART or END: begin, then ram_save_block()s, then end. */
void ram_part_begin(RamState *rs, uint8_t type);
void ram_part_end(RamState *rs);
/* Until multifd's threads have written everything. */
void ram_save_wait(RamState *rs);
/* Everything that multifd has was written; bitmaps of a fixed-ram file.  Before END's end. */
void ram_save_finish(RamState *rs);
uint64_t ram_remaining_bytes(const RamState *rs);
/*
 * Pages as records of a stream, zero pages for what is zero.  @last: the block that the stream's last record spoke of;
 * theirs are sent by reference, see writer_guest_memory().
 */
void ram_write_pages(StreamWriter *writer, RAMBlock **last, RAMBlock *block, uint64_t page, uint64_t n, RamStats *stats);
/* Stops the log (takes the big lock) and frees the bitmaps after a grace period.  Without the big lock. */
void ram_cleanup(RamState *rs);

/* --- ram-load.c --- */
typedef struct RamLoad {
    bool fixed_ram;
    bool postcopy; /* it may follow: blocks note which pages arrived (RAMBlock.receivedmap) */
    bool placing;  /* it has begun: pages go to postcopy_place() */
    bool published; /* the rest of the machine was told that memory changed */
    FixedRamLoad fixed; /* set after ram_load_init() */
    MultifdRecv *multifd; /* NULL: there are no such channels; not ours */
    bool listed; /* the list of blocks came */
    RAMBlock *block; /* of the last record; big lock or pinned */
    /* written by the loader under the lock, read there without, and by multifd's threads under it */
    Lock lock;
    GPtrArray *blocks; /* of RAMBlock *, listed and pinned */
    /* zero pages that arrived in a row */
    uint64_t zero_start, zero_pages;
    uint64_t pages_loaded;
    /* for messages: what "-m" sets */
    const char *main_ram;
} RamLoad;
void ram_load_init(RamLoad *load, bool fixed_ram, const char *main_ram);
/* Tells the rest of the machine that memory changed behind its back.  Big lock. */
void ram_load_publish(RamLoad *load);
/* The same if that was not done yet, and lets the blocks go.  Big lock. */
void ram_load_clear(RamLoad *load);
/* RAM that this machine has and the source has not is an error.  Without the big lock. */
bool ram_load_check_all_listed(StreamReader *reader, RamLoad *load);
/* Records up to EOS, once postcopy has begun.  @last: the block of this stream's last record. */
bool ram_load_placed(StreamReader *reader, RamLoad *load, RAMBlock **last);
/* The listed block of that name, or NULL.  Any thread. */
RAMBlock *ram_load_find(RamLoad *load, const char *name);
/* The range reads as zeroes afterwards; does not make the host allocate memory that it does not have yet. */
void ram_load_zero(RAMBlock *block, uint64_t offset, uint64_t length);

/* --- block helpers --- */
static inline uint64_t ram_block_pages(const RAMBlock *block)
{
    return DIV_ROUND_UP(block->used_length, TARGET_PAGE_SIZE);
}

#endif
