/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One image, shared between the table of images (block.c) and the raw file (block-raw.c). */
#ifndef BACKEND_BLOCK_PRIVATE_H
#define BACKEND_BLOCK_PRIVATE_H

#include "backend/block.h"

enum { BLOCK_LOCKING_AUTO, BLOCK_LOCKING_ON, BLOCK_LOCKING_OFF };

struct BlockBackend {
    /* constant after opening */
    char *name;          /* the drive's id, or the node's name */
    GPtrArray *aliases;  /* of char *: nodes stacked on this one that add nothing */
    char *filename;      /* "null-co://" without a file */
    int fd, buffered_fd; /* -1: none; buffered_fd: for what O_DIRECT refuses */
    uint64_t size;       /* bytes, a multiple of the sector size */
    bool read_only, is_device;
    bool writethrough; /* a completed write is on the medium */
    bool no_flush;     /* cache=unsafe */
    bool unmap;        /* discard=unmap */
    bool direct;
    int locking;
    DriveInterface interface;
    int unit;      /* at its interface; -1: none */
    bool is_drive; /* made by -drive */
    /* atomic: set before the file changes, reset before it is synced */
    bool unsynced;
    /* big lock */
    bool locked;
    char *user; /* the device that has it */
    /* under the pool's lock */
    unsigned in_flight;
};

bool block_raw_open(BlockBackend *b, bool direct, GError **error);
void block_raw_close(BlockBackend *b);
bool block_raw_sync(BlockBackend *b, GError **error);
/* Locks on the file: taken while this process is the one that runs the machine. */
bool block_raw_lock(BlockBackend *b, GError **error);
void block_raw_unlock(BlockBackend *b);

#endif
