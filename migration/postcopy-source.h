/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The source's side of postcopy: shared by postcopy-source.c, postcopy-answers.c and postcopy-link.c. */
#ifndef MIGRATION_POSTCOPY_SOURCE_H
#define MIGRATION_POSTCOPY_SOURCE_H

#include "postcopy.h"
#include "source.h"

/* Pages side by side: asked for, or sent and not confirmed yet. */
typedef struct PageRun {
    RAMBlock *block;
    uint64_t page, n;
    uint32_t cookie; /* sent: of the PING that follows */
} PageRun;

struct PostcopySource {
    Migration *m;
    /* migration thread */
    GThread *answers_thread; /* of this link */
    bool given_up;           /* the destination may run: there is no way back */
    int64_t next_send_ns;    /* max-postcopy-bandwidth */
    uint64_t paced_limit;    /* what that was computed from */
    uint32_t next_cookie;
    uint64_t unconfirmed;    /* pages since the last PING (release-ram) */
    bool all_written;        /* over this link; only the destination's last word is due */
    /* capability postcopy-preempt: written while no answers thread runs, used by it */
    Channel *urgent_channel;
    StreamWriter *urgent;
    RAMBlock *urgent_last;

    /* under the lock; so are the blocks' bmaps, and RamState's cursor and dirty_pages, from the first page on */
    Lock lock;
    Cond changed;
    GQueue requests;     /* of PageRun *, what the destination waits for */
    GQueue sent;         /* of PageRun *, to be given back once confirmed (release-ram) */
    bool urgent_busy;    /* the answers thread writes a page */
    bool ended;          /* nothing more comes from the destination */
    bool shut_ok;        /* it has everything */
    GError *error;       /* why it ended; NULL with shut_ok */
    bool loaded;         /* the device states */
    bool resume_acked;
    unsigned bitmaps_due; /* in recovery: blocks whose bitmap has not come */
};

/* --- postcopy-source.c --- */
/* Takes up to @n pages that are to be sent from @page on; how many.  Lock held. */
uint64_t postcopy_claim(PostcopySource *pc, RAMBlock *block, uint64_t page, uint64_t n);
/* Where the background goes on.  Lock held. */
void postcopy_go_on_at(PostcopySource *pc, const RAMBlock *block, uint64_t page);
void postcopy_count(PostcopySource *pc, uint64_t bytes);

/* --- postcopy-answers.c --- */
void postcopy_answers_start(PostcopySource *pc);
/* Cuts the link, whatever the thread does, and waits for its end. */
void postcopy_answers_stop(PostcopySource *pc);

/* --- postcopy-link.c --- */
/* The second connection of capability postcopy-preempt, if it is on.  No answers thread runs. */
bool postcopy_connect_urgent(PostcopySource *pc, GError **error);
/* Lets the link go, with what belongs to it. */
void postcopy_drop_link(PostcopySource *pc);
/* The link broke: waits until there is another and both sides agree.  False: the process ends. */
bool postcopy_recover(PostcopySource *pc);

#endif
