/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory for translated code: one memfd mapped twice.  All buffers of the process lie within reach of a
 * 32-bit displacement of each other, so that code may jump to thunks and to blocks of other buffers directly.
 */
#include "tcg/tcg-internal.h"
#include "util/atomic.h"
#include "util/error.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#define REACH ((uint64_t)1 << 30) /* half of what rel32 can do: any two buffers within REACH of the anchor   \
                                   */

/* Holds a hundred blocks. */
#define CODE_CHUNK (64u << 10)

/* Where the first buffer was mapped; set once. */
static uintptr_t anchor;

static bool within_reach(const void *p, size_t size, uintptr_t from)
{
    uintptr_t start = (uintptr_t)p, end = start + size;

    return (start >= from ? end - from : from - start) <= REACH;
}

static void *map_near(size_t size, int fd, uintptr_t from)
{
    const uint64_t step = 64 << 20;

    for (uint64_t distance = 0; distance < REACH; distance += step) {
        for (int side = -1; side <= 1; side += 2) {
            uintptr_t hint = side < 0 ? from - distance - size : from + distance;
            void *p =
                mmap((void *)(hint & ~(uintptr_t)0xffff), size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);

            if (p != MAP_FAILED && within_reach(p, size, from)) {
                return p;
            }
            if (p != MAP_FAILED) {
                munmap(p, size);
            }
        }
    }
    errno = ENOMEM;
    return MAP_FAILED;
}

static void *map_code(size_t size, int fd)
{
    uintptr_t from = atomic_read(&anchor);
    void *p;

    if (from) {
        return map_near(size, fd, from);
    }
    p = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED) {
        uintptr_t seen = atomic_cmpxchg(&anchor, 0, (uintptr_t)p);

        if (seen && !within_reach(p, size, seen)) {
            munmap(p, size);
            return map_near(size, fd, seen);
        }
    }
    return p;
}

/* Where nothing executes need not be near, and would take the room of what must be. */
static void *map_far(size_t size, int fd)
{
    static uintptr_t taken; /* atomic */
    uintptr_t below = atomic_fetch_add(&taken, size) + size + 16 * REACH;
    uintptr_t from = atomic_read(&anchor);
    void *hint = from > below ? (void *)((from - below) & ~(uintptr_t)0xffff) : NULL;

    return mmap(hint, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

bool code_buffer_init(CodeBuffer *cb, size_t size, GError **error)
{
    size = (size + 0xffff) & ~(size_t)0xffff;
    cb->rw = cb->rx = NULL;
    cb->size = size;
    code_buffer_use(cb, 0, size);
    cb->fd = memfd_create("godwit-code", MFD_CLOEXEC);
    if (cb->fd < 0 || ftruncate(cb->fd, size) < 0) {
        fail_errno(error, errno, "cannot create a code buffer of %zu bytes", size);
        code_buffer_destroy(cb);
        return false;
    }
    cb->rx = map_code(size, cb->fd);
    cb->rw = map_far(size, cb->fd);
    if (cb->rw == MAP_FAILED || cb->rx == MAP_FAILED) {
        fail_errno(error, errno, "cannot map a code buffer of %zu bytes", size);
        code_buffer_destroy(cb);
        return false;
    }
    return true;
}

void code_buffer_destroy(CodeBuffer *cb)
{
    if (cb->rw && cb->rw != MAP_FAILED) {
        munmap(cb->rw, cb->size);
    }
    if (cb->rx && cb->rx != MAP_FAILED) {
        munmap(cb->rx, cb->size);
    }
    if (cb->fd >= 0) {
        close(cb->fd);
    }
    cb->rw = cb->rx = NULL;
    cb->fd = -1;
    cb->size = 0;
    code_buffer_use(cb, 0, 0);
}

void code_buffer_use(CodeBuffer *cb, size_t start, size_t end)
{
    cb->used = start;
    cb->limit = end;
    cb->hot = cb->cold = (CodeChunk){0};
}

bool code_buffer_chunk(CodeBuffer *cb, CodeChunk *chunk, size_t room)
{
    if (chunk->at + room <= chunk->end) {
        return true;
    }
    if (cb->used + CODE_CHUNK > cb->limit) {
        return false;
    }
    *chunk = (CodeChunk){cb->used, cb->used + CODE_CHUNK};
    cb->used += CODE_CHUNK;
    return true;
}
