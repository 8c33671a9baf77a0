/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Postcopy: the machine moves first and its memory follows.
 *
 * While precopy runs nothing differs, but that the source says ADVISE at first and the destination notes which pages
 * arrive (RAMBlock.receivedmap).  When the user asks for it, the source stops the machine, takes the last sync, names
 * the pages that are stale over there (RAM_DISCARD) and sends the device states as one PACKAGED blob.  The destination
 * runs; whoever touches a page that has not come waits at the RAM gate, and the page is asked for (REQ_PAGES).  The
 * source sends such pages first and all others in between.
 *
 * A link that breaks leaves both sides in postcopy-paused, with all pages on one side or the other.  Over a new link
 * the destination says what it has (RECV_BITMAP), and the source goes on with the rest.
 *
 * Files: postcopy-source.c (the source's thread), postcopy-answers.c (what the destination says), postcopy-link.c (the
 * source's broken links), postcopy-pages.c (the gate at the destination), postcopy-incoming.c (its commands and threads),
 * postcopy-epilogue.c (the last message once more), postcopy-commands.c.
 */
#ifndef MIGRATION_POSTCOPY_H
#define MIGRATION_POSTCOPY_H

#include <glib.h>
#include <stdbool.h>

#include "migration-internal.h"
#include "ram.h"

enum {
    POSTCOPY_ADVISE_SIZE = 16,
    POSTCOPY_DISCARD_RANGES = 12, /* in one command */
    POSTCOPY_PACKAGE_MAX = 64 * 1024 * 1024,
    POSTCOPY_PING_PACKAGED = 3, /* the answer means that the device states are loaded */
};
#define POSTCOPY_BITMAP_END UINT64_C(0x0123456789abcdef)

/* The size of a bitmap on the way back: whole words. */
static inline uint64_t postcopy_bitmap_bytes(const RAMBlock *block)
{
    return DIV_ROUND_UP(ram_block_pages(block), 64) * 8;
}

/* All sizes of host pages that migratable RAM has here, or'ed.  Big lock. */
uint64_t postcopy_page_sizes(void);

/* --- the destination's pages: postcopy-pages.c --- */

/* Asks the source for pages; may fail silently (no link), it is asked again over the next one.  Any thread. */
typedef void (*PostcopyAsk)(RAMBlock *block, uint64_t offset, uint32_t length, void *opaque);

/*
 * Closes the gate: from now on whoever touches a page whose bit in receivedmap is clear waits.  @blocks stay pinned
 * until postcopy_pages_end().  Big lock, machine stopped.
 */
bool postcopy_pages_begin(GPtrArray *blocks, bool blocktime, PostcopyAsk ask, void *opaque, GError **error);
/* Opens the gate.  Whoever still waits fails, as does who comes before the gate is open.  Without the big lock. */
void postcopy_pages_end(void);
/* The machine is being torn down: nobody waits any more.  Any thread. */
void postcopy_pages_abandon(void);
/* A page came; @data NULL: of zeroes.  Only the first to come counts.  Threads of the links. */
void postcopy_place(RAMBlock *block, uint64_t offset, const uint8_t *data);
/* Over a new link: asks again for what is waited for. */
void postcopy_pages_ask_again(void);
/* How many pages have not come. */
uint64_t postcopy_pages_missing(void);

/* How long vCPUs waited: of the postcopy that is under way or was the last one. */
typedef struct PostcopyBlocktime {
    uint64_t requests;
    unsigned waiting; /* vCPUs and others, now */
    bool measured;
    uint32_t all_ms;    /* all vCPUs at once */
    unsigned n;         /* vCPUs */
    uint32_t *vcpu_ms;  /* each one; newly allocated */
} PostcopyBlocktime;
void postcopy_get_blocktime(PostcopyBlocktime *out);

#endif
