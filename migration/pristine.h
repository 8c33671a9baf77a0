/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages that are known to be zero without a look at their bytes, which would make the host allocate them first.
 *
 * A page is pristine when nobody has written to it since the host gave its memory, or gave it anew: the machine has
 * never run (ram_block_pristine()), or the host's page tables hold nothing for it.  They tell of private anonymous memory
 * only; what is behind a page of a file or of shared memory need not be mapped here.
 *
 * Why no store is lost: the look comes after the take, the re-arm and the quiesce of the pass (D2).  A store that was
 * done before the look has made its page present.  One that comes later marks its page, whose bit is clear, and
 * the next take finds it.  So an answer holds until bits are taken again, when all answers are forgotten.  For a
 * background snapshot, whose writers must pass the gate, it holds as long as the page is unsaved.
 */
#ifndef MIGRATION_PRISTINE_H
#define MIGRATION_PRISTINE_H

#include "system/physmem.h"

/* Below this a page is read sooner than asked for: what is dirty in small pieces was written to. */
#define PRISTINE_MIN_PAGES 64

/* One thread. */
typedef struct PristineLook {
    int fd; /* of the host's page tables; -1: they are not asked */
    /* the answers: pages [first, end) of the block */
    const RAMBlock *block;
    uint64_t first, end;
    unsigned long *present; /* bit 0 is page @first */
    uint64_t *entries;
} PristineLook;

/* @wanted false, or a host that does not tell: no page is pristine. */
void pristine_look_init(PristineLook *look, bool wanted);
/* A zeroed one will do. */
void pristine_look_clear(PristineLook *look);
/* Bits are taken: what was seen before holds no more. */
void pristine_forget(PristineLook *look);
/* How many of the pages [page, page + n) are as the first of them is; @n is not 0. */
uint64_t pristine_run(PristineLook *look, RAMBlock *block, uint64_t page, uint64_t n, bool *pristine);

#endif
