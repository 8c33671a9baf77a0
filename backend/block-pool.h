/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Worker threads for blocking file operations, and the way of their results back to event loops. */
#ifndef BACKEND_BLOCK_POOL_H
#define BACKEND_BLOCK_POOL_H

#include "backend/block.h"

typedef struct BlockJob BlockJob;
struct BlockJob {
    /* constant after submission */
    int (*work)(BlockJob *job); /* on a worker; returns 0 or -errno */
    BlockFunc *func;
    void *opaque;
    EventLoop *loop;
    unsigned *in_flight; /* counter of the image; under the pool's lock */
    /* handed over: submitter, then worker, then loop */
    int result;
    BlockJob *next;
};

/* Queues @job, whose memory is g_free()d after its callback.  Any thread. */
void block_pool_submit(BlockJob *job);
/* Waits until *in_flight is 0; runs main loop callbacks itself.  See block_drain(). */
void block_pool_drain(const unsigned *in_flight);
/* Ends the worker threads; nothing is in flight. */
void block_pool_stop(void);

#endif
