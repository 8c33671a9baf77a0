/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Block images: raw files and null devices behind asynchronous requests.
 *
 * A request is carried out by a small pool of worker threads; its callback runs on the event loop that the
 * caller named, on the main loop with the big lock held.  Requests of one image run in no particular order:
 * who needs an order waits for completion.
 *
 * Submitting: any thread.  Making, finding, deleting: big lock (or before threads exist).
 */
#ifndef BACKEND_BLOCK_H
#define BACKEND_BLOCK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util/event-loop.h"

#define BLOCK_SECTOR_SIZE 512

typedef struct BlockBackend BlockBackend;

/* What a guest's device is told about an image. */
typedef struct BlockLimits {
    bool can_discard, can_write_zeroes;
    uint32_t memory_alignment; /* of host buffers (O_DIRECT) */
} BlockLimits;

/* @result: 0, or a negative errno. */
typedef void BlockFunc(void *opaque, int result);

/*
 * @iov and the memory behind it stay the caller's and must live until @func has run.  @func runs exactly
 * once, never inside these calls.  A range past the end of the image ends with -EIO, writes to a read-only
 * one with -EACCES.
 */
void block_aio_readv(BlockBackend *b, uint64_t offset, const struct iovec *iov, int n_iov, BlockFunc *func,
                     void *opaque, EventLoop *loop);
void block_aio_writev(BlockBackend *b, uint64_t offset, const struct iovec *iov, int n_iov, BlockFunc *func,
                      void *opaque, EventLoop *loop);
/* Everything written (completed) before is on the medium when @func runs. */
void block_aio_flush(BlockBackend *b, BlockFunc *func, void *opaque, EventLoop *loop);
/* A hint: contents become undefined (in fact: zero or unchanged). */
void block_aio_discard(BlockBackend *b, uint64_t offset, uint64_t len, BlockFunc *func, void *opaque,
                       EventLoop *loop);
/* @may_unmap: the space may go back to the host. */
void block_aio_write_zeroes(BlockBackend *b, uint64_t offset, uint64_t len, bool may_unmap, BlockFunc *func,
                            void *opaque, EventLoop *loop);

/* Blocking twins, for loaders and flash; any thread. */
bool block_read(BlockBackend *b, uint64_t offset, void *buf, size_t len, GError **error);
bool block_write(BlockBackend *b, uint64_t offset, const void *buf, size_t len, GError **error);

uint64_t block_size(const BlockBackend *b); /* bytes */
bool block_read_only(const BlockBackend *b);
bool block_writethrough(const BlockBackend *b); /* cache=writethrough, directsync: a write is on the medium */
BlockLimits block_limits(const BlockBackend *b);
const char *block_name(const BlockBackend *b); /* the drive's id or the node name */

/*
 * Waits until no request is in flight and each callback has run: dispatches the main loop's completions
 * itself, other loops run on their threads.  Big lock, on the main loop or with no main-loop requests.  New
 * requests are the callers' to hold back.  Called on vm_stop.
 */
void block_drain(BlockBackend *b);
void block_drain_all(void);
/* Drains and syncs every image; false when one could not be. */
bool block_flush_all(void);

/* --- drives and nodes: the command line --- */
typedef enum DriveInterface { DRIVE_IF_NONE, DRIVE_IF_VIRTIO, DRIVE_IF_PFLASH, DRIVE_IF_NUM } DriveInterface;

/* After -drive and -blockdev; both open the image. */
BlockBackend *drive_new_from_options(const char *text, GError **error);
BlockBackend *blockdev_new_from_options(const char *text, GError **error);
/* Makes what -drive and -blockdev asked for. */
bool drives_create(GError **error);
/* The drive at an interface's unit, NULL: none ("if=pflash,unit=0", "if=virtio"). */
BlockBackend *drive_get(DriveInterface interface, int unit);
BlockBackend *block_find(const char *id_or_node_name); /* NULL when unknown */
/* A device takes the image; fails when another has it, or for writing when it is read-only. */
bool block_claim(BlockBackend *b, const char *user, bool writable, GError **error);
void block_release(BlockBackend *b);
const char *block_user(const BlockBackend *b); /* NULL: nobody has it */
/* Waits for the requests, closes the images: the end of the process. */
void blocks_close_all(void);

#endif
