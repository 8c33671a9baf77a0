/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raw images: a file, a host block device, or nothing at all (null-co).
 *
 * Requests become jobs for the worker pool.  With O_DIRECT a request that the file system finds misaligned is
 * done again through a second, buffered descriptor.  Locks on the file use the byte ranges that other
 * emulators use, so that an image is not written by two of them at once.
 */
#include "block-private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block-pool.h"
#include "util/atomic.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/file.h"

#define ZERO_CHUNK (1u << 20)

typedef struct RawJob {
    BlockJob job;
    BlockBackend *b;
    uint64_t offset, len;
    const struct iovec *iov;
    int n_iov;
    bool may_unmap;
} RawJob;

/* --- vectors --- */

static uint64_t iov_total(const struct iovec *iov, int n)
{
    uint64_t total = 0;

    for (int i = 0; i < n; i++) {
        total += iov[i].iov_len;
    }
    return total;
}

/* The vector without its first @skip bytes, at most IOV_MAX elements, in @out; returns how many. */
static int iov_rest(const struct iovec *iov, int n, uint64_t skip, struct iovec *out, int max)
{
    int count = 0;

    for (int i = 0; i < n && count < max; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        out[count].iov_base = (char *)iov[i].iov_base + skip;
        out[count++].iov_len = iov[i].iov_len - skip;
        skip = 0;
    }
    return count;
}

static void iov_zero(const struct iovec *iov, int n, uint64_t skip)
{
    for (int i = 0; i < n; i++) {
        uint64_t part = MIN(skip, iov[i].iov_len);

        memset((char *)iov[i].iov_base + part, 0, iov[i].iov_len - part);
        skip -= part;
    }
}

/* --- work, on a worker thread --- */

static ssize_t transfer_once(int fd, struct iovec *iov, int n, uint64_t offset, bool is_write)
{
    ssize_t done;

    do {
        done = is_write ? pwritev(fd, iov, n, offset) : preadv(fd, iov, n, offset);
    } while (done < 0 && errno == EINTR);
    return done;
}

static int transfer(RawJob *r, bool is_write)
{
    struct iovec part[64];
    uint64_t done = 0;
    int fd = r->b->fd;

    while (done < r->len) {
        int n = iov_rest(r->iov, r->n_iov, done, part, G_N_ELEMENTS(part));
        ssize_t step = transfer_once(fd, part, n, r->offset + done, is_write);

        if (step < 0 && errno == EINVAL && fd == r->b->fd && r->b->buffered_fd >= 0) {
            fd = r->b->buffered_fd;
            continue;
        }
        if (step < 0) {
            return -errno;
        }
        if (step == 0 && is_write) {
            return -ENOSPC;
        }
        if (step == 0) { /* the tail of a last sector that the file does not fill */
            iov_zero(r->iov, r->n_iov, done);
            return 0;
        }
        done += step;
    }
    return 0;
}

static int sync_file(BlockBackend *b)
{
    if (b->no_flush || b->fd < 0) {
        return 0;
    }
    atomic_set(&b->unsynced, false);
    if (fdatasync(b->fd) == 0) {
        return 0;
    }
    atomic_set(&b->unsynced, true);
    return -errno;
}

static int work_read(BlockJob *job)
{
    RawJob *r = container_of(job, RawJob, job);

    if (r->b->fd < 0) {
        iov_zero(r->iov, r->n_iov, 0);
        return 0;
    }
    return transfer(r, false);
}

static int work_write(BlockJob *job)
{
    RawJob *r = container_of(job, RawJob, job);
    int result;

    atomic_set(&r->b->unsynced, true);
    result = r->b->fd < 0 ? 0 : transfer(r, true);
    return result == 0 && r->b->writethrough ? sync_file(r->b) : result;
}

static int work_flush(BlockJob *job)
{
    return sync_file(container_of(job, RawJob, job)->b);
}

static int punch(BlockBackend *b, int mode, uint64_t offset, uint64_t len)
{
    int result;

    atomic_set(&b->unsynced, true);
    do {
        result = fallocate(b->fd, mode, offset, len);
    } while (result < 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

static int work_discard(BlockJob *job)
{
    RawJob *r = container_of(job, RawJob, job);
    int result;

    if (r->b->fd < 0 || !r->b->unmap) {
        return 0;
    }
    result = punch(r->b, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, r->offset, r->len);
    return result == -EOPNOTSUPP || result == -ENODEV || result == -ENOSYS ? 0 : result;
}

static int write_zero_bytes(RawJob *r)
{
    g_autofree void *zeroes = NULL;
    int fd = r->b->buffered_fd >= 0 ? r->b->buffered_fd : r->b->fd;

    atomic_set(&r->b->unsynced, true);
    zeroes = g_malloc0(MIN(r->len, ZERO_CHUNK));
    for (uint64_t done = 0; done < r->len;) {
        struct iovec iov = {zeroes, MIN(r->len - done, ZERO_CHUNK)};
        ssize_t step = transfer_once(fd, &iov, 1, r->offset + done, true);

        if (step <= 0) {
            return step < 0 ? -errno : -ENOSPC;
        }
        done += step;
    }
    return 0;
}

static int work_write_zeroes(BlockJob *job)
{
    RawJob *r = container_of(job, RawJob, job);
    BlockBackend *b = r->b;
    int result = -EOPNOTSUPP;

    if (b->fd < 0) {
        return 0;
    }
    if (r->may_unmap && b->unmap) {
        result = punch(b, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, r->offset, r->len);
    }
    if (result != 0 && !b->is_device) {
        result = punch(b, FALLOC_FL_ZERO_RANGE, r->offset, r->len);
    }
    if (result != 0) {
        result = write_zero_bytes(r);
    }
    return result == 0 && b->writethrough ? sync_file(b) : result;
}

static int work_refuse(BlockJob *job)
{
    return job->result;
}

/* --- submitting --- */

static int check_range(const BlockBackend *b, uint64_t offset, uint64_t len, bool is_write)
{
    if (is_write && b->read_only) {
        return -EACCES;
    }
    return offset > b->size || len > b->size - offset ? -EIO : 0;
}

static void submit(RawJob job, bool is_write)
{
    RawJob *r = g_new(RawJob, 1);
    int refused = check_range(job.b, job.offset, job.len, is_write);

    *r = job;
    r->job.in_flight = &job.b->in_flight;
    if (!r->job.loop) {
        r->job.loop = event_loop_main();
    }
    if (refused) {
        r->job.result = refused;
        r->job.work = work_refuse;
    }
    block_pool_submit(&r->job);
}

#define JOB(work_)                                                                                           \
    {                                                                                                        \
        .work = (work_), .func = func, .opaque = opaque, .loop = loop                                        \
    }

void block_aio_readv(BlockBackend *b, uint64_t offset, const struct iovec *iov, int n_iov, BlockFunc *func,
                     void *opaque, EventLoop *loop)
{
    submit((RawJob){.job = JOB(work_read),
                    .b = b,
                    .offset = offset,
                    .len = iov_total(iov, n_iov),
                    .iov = iov,
                    .n_iov = n_iov},
           false);
}

void block_aio_writev(BlockBackend *b, uint64_t offset, const struct iovec *iov, int n_iov, BlockFunc *func,
                      void *opaque, EventLoop *loop)
{
    submit((RawJob){.job = JOB(work_write),
                    .b = b,
                    .offset = offset,
                    .len = iov_total(iov, n_iov),
                    .iov = iov,
                    .n_iov = n_iov},
           true);
}

void block_aio_flush(BlockBackend *b, BlockFunc *func, void *opaque, EventLoop *loop)
{
    submit((RawJob){.job = JOB(work_flush), .b = b}, false);
}

void block_aio_discard(BlockBackend *b, uint64_t offset, uint64_t len, BlockFunc *func, void *opaque,
                       EventLoop *loop)
{
    submit((RawJob){.job = JOB(work_discard), .b = b, .offset = offset, .len = len}, true);
}

void block_aio_write_zeroes(BlockBackend *b, uint64_t offset, uint64_t len, bool may_unmap, BlockFunc *func,
                            void *opaque, EventLoop *loop)
{
    submit(
        (RawJob){.job = JOB(work_write_zeroes), .b = b, .offset = offset, .len = len, .may_unmap = may_unmap},
        true);
}

static bool do_now(BlockBackend *b, int (*work)(BlockJob *), uint64_t offset, struct iovec iov, bool is_write,
                   GError **error)
{
    RawJob r = {.b = b, .offset = offset, .len = iov.iov_len, .iov = &iov, .n_iov = 1};
    int result = check_range(b, offset, iov.iov_len, is_write);

    if (result == 0) {
        result = work(&r.job);
    }
    return result == 0 ||
           fail_errno(error, -result, "cannot %s '%s'", is_write ? "write to" : "read from", b->name);
}

bool block_read(BlockBackend *b, uint64_t offset, void *buf, size_t len, GError **error)
{
    return do_now(b, work_read, offset, (struct iovec){buf, len}, false, error);
}

bool block_write(BlockBackend *b, uint64_t offset, const void *buf, size_t len, GError **error)
{
    return do_now(b, work_write, offset, (struct iovec){(void *)buf, len}, true, error);
}

/* Nothing is in flight: what was not written since the last sync need not be synced again. */
bool block_raw_sync(BlockBackend *b, GError **error)
{
    int result = atomic_read(&b->unsynced) ? sync_file(b) : 0;

    return result == 0 || fail_errno(error, -result, "cannot sync '%s'", b->name);
}

/* --- locks on the file --- */

/*
 * Byte 100 + p: somebody uses permission p; byte 200 + p: somebody does not let others use it.  All are
 * shared locks; whether there is a conflict is asked with F_OFD_GETLK for an exclusive one.
 */
enum { LOCK_USE = 100, LOCK_UNSHARED = 200, PERM_READ = 0, PERM_WRITE = 1 };

static bool set_lock(int fd, int type, uint64_t byte)
{
    struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    return fcntl(fd, F_OFD_SETLK, &fl) == 0;
}

static bool lock_is_free(int fd, uint64_t byte)
{
    struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    return fcntl(fd, F_OFD_GETLK, &fl) != 0 || fl.l_type == F_UNLCK;
}

void block_raw_unlock(BlockBackend *b)
{
    if (b->locked) {
        struct flock fl = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = LOCK_USE, .l_len = 200};

        fcntl(b->fd, F_OFD_SETLK, &fl);
        b->locked = false;
    }
}

bool block_raw_lock(BlockBackend *b, GError **error)
{
    bool ok;

    if (b->fd < 0 || b->locked || b->locking == BLOCK_LOCKING_OFF || b->is_device) {
        return true;
    }
    ok = set_lock(b->fd, F_RDLCK, LOCK_USE + PERM_READ) &&
         set_lock(b->fd, F_RDLCK, LOCK_UNSHARED + PERM_WRITE) &&
         (b->read_only || set_lock(b->fd, F_RDLCK, LOCK_USE + PERM_WRITE));
    if (!ok && errno != EAGAIN && errno != EACCES) {
        return true; /* the file system has no such locks */
    }
    b->locked = true;
    ok = ok && lock_is_free(b->fd, LOCK_UNSHARED + PERM_READ) && lock_is_free(b->fd, LOCK_USE + PERM_WRITE) &&
         (b->read_only || lock_is_free(b->fd, LOCK_UNSHARED + PERM_WRITE));
    if (!ok) {
        block_raw_unlock(b);
        return fail(error, "cannot get a %s lock on '%s': another process uses the image",
                    b->read_only ? "shared" : "write", b->filename);
    }
    return true;
}

/* --- opening --- */

static bool find_size(BlockBackend *b, GError **error)
{
    struct stat st;
    uint64_t size;

    if (fstat(b->fd, &st) < 0) {
        return fail_errno(error, errno, "cannot look at '%s'", b->filename);
    }
    if (S_ISREG(st.st_mode)) {
        b->size = ROUND_UP((uint64_t)st.st_size, BLOCK_SECTOR_SIZE);
        return true;
    }
    if (S_ISBLK(st.st_mode)) {
        b->is_device = true;
        if (ioctl(b->fd, BLKGETSIZE64, &size) < 0) {
            return fail_errno(error, errno, "cannot get the size of '%s'", b->filename);
        }
        b->size = size;
        return true;
    }
    return fail(error, "'%s' is neither a regular file nor a block device", b->filename);
}

bool block_raw_open(BlockBackend *b, bool direct, GError **error)
{
    int flags = (b->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;

    b->fd = open(b->filename, flags | (direct ? O_DIRECT : 0));
    if (b->fd < 0) {
        return fail_errno(error, errno, "cannot open '%s'%s", b->filename,
                          errno == EACCES && !b->read_only ? " for writing (readonly=on is an option)" : "");
    }
    if (direct) {
        b->buffered_fd = open(b->filename, flags);
        if (b->buffered_fd < 0) {
            return fail_errno(error, errno, "cannot open '%s'", b->filename);
        }
    }
    return find_size(b, error);
}

void block_raw_close(BlockBackend *b)
{
    block_raw_unlock(b);
    if (b->fd >= 0) {
        close(b->fd);
    }
    if (b->buffered_fd >= 0) {
        close(b->buffered_fd);
    }
    b->fd = b->buffered_fd = -1;
}
