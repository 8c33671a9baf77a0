/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory behind RAM blocks: mapping it, replacing it, giving it back.
 *
 * A block's host memory is one reservation: the mapping of max_length bytes, aligned to 2 MiB where that
 * helps huge pages, followed by at least one page that faults.  The reservation lives until the block's last
 * reference is gone and a grace period has passed.
 */
#include "memory-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ramblock-internal.h"
#include "util/bitmap.h"
#include "util/error.h"

#define HUGE_PAGE_SIZE   (UINT64_C(2) << 20)
#define HUGETLBFS_MAGIC_ 0x958458f6

static uint64_t host_page_size(void)
{
    static uint64_t size;

    if (!size) {
        size = sysconf(_SC_PAGESIZE);
    }
    return size;
}

static uint64_t reservation_align(uint64_t page_size, uint64_t length)
{
    return MAX(page_size, length >= HUGE_PAGE_SIZE ? HUGE_PAGE_SIZE : 0);
}

/* Reserves @length bytes and a guard behind them; NULL when there is no room. */
static uint8_t *reserve(uint64_t length, uint64_t page_size)
{
    uint64_t align = reservation_align(page_size, length);
    uint64_t total = length + align + page_size;
    uint8_t *base, *host;

    if (total < length) {
        errno = ENOMEM;
        return NULL;
    }
    base = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        return NULL;
    }
    host = (uint8_t *)ROUND_UP((uintptr_t)base, align);
    if (host > base) {
        munmap(base, host - base);
    }
    munmap(host + length + page_size, (base + total) - (host + length + page_size));
    return host;
}

static void unreserve(uint8_t *host, uint64_t length, uint64_t page_size)
{
    munmap(host, length + page_size);
}

static bool touch_all(RAMBlock *block, GError **error)
{
#ifdef MADV_POPULATE_WRITE
    if (!madvise(block->host, block->used_length, MADV_POPULATE_WRITE)) {
        return true;
    }
    if (errno != EINVAL) {
        return fail_errno(error, errno, "cannot preallocate memory of '%s'", block->idstr);
    }
#endif
    for (uint64_t at = 0; at < block->used_length; at += host_page_size()) {
        atomic_fetch_or(&block->host[at], 0);
    }
    return true;
}

static bool map_memory(RAMBlock *block, GError **error)
{
    int flags = MAP_FIXED | (block->flags & RAM_SHARED ? MAP_SHARED : MAP_PRIVATE);

    block->host = reserve(block->max_length, block->page_size);
    if (!block->host) {
        return fail_errno(error, errno, "cannot reserve 0x%" PRIx64 " bytes for '%s'", block->max_length,
                          block->idstr);
    }
    if (block->fd < 0) {
        flags |= MAP_ANONYMOUS;
    }
    if (block->flags & RAM_NORESERVE) {
        flags |= MAP_NORESERVE;
    }
    if (mmap(block->host, block->max_length, PROT_READ | PROT_WRITE, flags, block->fd, block->fd_offset) ==
        MAP_FAILED) {
        int errnum = errno;

        unreserve(block->host, block->max_length, block->page_size);
        return fail_errno(error, errnum, "cannot map 0x%" PRIx64 " bytes for '%s'", block->max_length,
                          block->idstr);
    }
    madvise(block->host, block->max_length, MADV_HUGEPAGE); /* a wish: not every memory can */
    return true;
}

/* --- memory that nobody wrote to --- */

static bool guest_has_run; /* any thread, atomic; never false again */

void ram_blocks_guest_runs(void)
{
    atomic_set(&guest_has_run, true);
}

static uint64_t written_bits(const RAMBlock *block)
{
    return DIV_ROUND_UP(block->max_length, RAM_WRITTEN_BYTES);
}

bool ram_block_pristine(const RAMBlock *block, uint64_t offset, uint64_t length)
{
    uint64_t end = DIV_ROUND_UP(offset + length, RAM_WRITTEN_BYTES);

    return block->written && !atomic_read(&guest_has_run) &&
           find_next_bit(block->written, end, offset / RAM_WRITTEN_BYTES) >= end;
}

void ram_block_note_written(RAMBlock *block, uint64_t offset, uint64_t length)
{
    if (!block->written || !length || atomic_read(&guest_has_run)) {
        return;
    }
    for (uint64_t bit = offset / RAM_WRITTEN_BYTES; bit <= (offset + length - 1) / RAM_WRITTEN_BYTES; bit++) {
        if (!test_bit(bit, block->written)) {
            set_bit_atomic(bit, block->written);
        }
    }
}

static void free_memory(RcuHead *head)
{
    RAMBlock *block = container_of(head, RAMBlock, rcu);

    g_free(block->written);
    unreserve(block->host, block->max_length, block->page_size);
    if (block->fd >= 0) {
        close(block->fd);
    }
    g_free(block);
}

bool ram_block_try_ref(RAMBlock *block)
{
    uint32_t refs = atomic_read(&block->refs);

    while (refs) {
        uint32_t seen = atomic_cmpxchg(&block->refs, refs, refs + 1);

        if (seen == refs) {
            return true;
        }
        refs = seen;
    }
    return false;
}

void ram_block_unref(RAMBlock *block)
{
    if (atomic_fetch_dec(&block->refs) == 1) {
        call_rcu(&block->rcu, free_memory);
    }
}

/* Takes over @fd, on failure too. */
static RAMBlock *new_block(const char *idstr, uint64_t size, uint64_t max_size, int fd, uint64_t fd_offset,
                           uint64_t page_size, unsigned flags, GError **error)
{
    RAMBlock *block = g_new0(RAMBlock, 1);

    block->fd = fd;
    block->fd_offset = fd_offset;
    block->page_size = page_size;
    block->flags = flags;
    block->refs = 1;
    g_strlcpy(block->idstr, idstr, sizeof(block->idstr));
    block->used_length = ROUND_UP(size, page_size);
    block->max_length = ROUND_UP(MAX(size, max_size), page_size);
    if (!size || block->max_length < size || strlen(idstr) >= sizeof(block->idstr)) {
        fail(error, "memory '%s' cannot have %" PRIu64 " bytes", block->idstr, size);
        goto out;
    }
    if (!map_memory(block, error)) {
        goto out;
    }
    block->written = fd < 0 ? bitmap_new(written_bits(block)) : NULL;
    if ((!(flags & RAM_PREALLOC) || touch_all(block, error)) && ram_list_insert(block, error)) {
        return block;
    }
    g_free(block->written);
    unreserve(block->host, block->max_length, block->page_size);
out:
    if (fd >= 0) {
        close(fd);
    }
    g_free(block);
    return NULL;
}

RAMBlock *ram_block_new_anonymous(const char *idstr, uint64_t size, uint64_t max_size, unsigned flags,
                                  GError **error)
{
    return new_block(idstr, size, max_size, -1, 0, host_page_size(), flags, error);
}

RAMBlock *ram_block_new_memfd(const char *idstr, uint64_t size, unsigned flags, GError **error)
{
    uint64_t length = ROUND_UP(size, host_page_size());
    int fd = memfd_create(idstr, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0) {
        fail_errno(error, errno, "cannot create a memfd for '%s'", idstr);
        return NULL;
    }
    if (length < size || ftruncate(fd, length) < 0) {
        fail_errno(error, length < size ? EFBIG : errno, "cannot give the memfd of '%s' %" PRIu64 " bytes",
                   idstr, size);
        close(fd);
        return NULL;
    }
    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK); /* a peer that maps it must not make us fault */
    return new_block(idstr, size, 0, fd, 0, host_page_size(), flags, error);
}

static uint64_t fd_page_size(int fd)
{
    struct statfs fs;

    if (!fstatfs(fd, &fs) && (uint64_t)fs.f_type == HUGETLBFS_MAGIC_) {
        return fs.f_bsize;
    }
    return host_page_size();
}

/* The descriptor must be able to hold the memory: a new file grows, one with contents must be large enough.
 */
static bool fit_file(int fd, uint64_t size, uint64_t fd_offset, const char *idstr, GError **error)
{
    uint64_t need = fd_offset + size;
    struct stat st;

    if (need < size || need > INT64_MAX) {
        return fail(error, "memory '%s' does not fit a file", idstr);
    }
    if (fstat(fd, &st) < 0) {
        return fail_errno(error, errno, "cannot examine the file of '%s'", idstr);
    }
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size >= need) {
        return true;
    }
    if (st.st_size > 0) {
        return fail(error, "the file of '%s' has 0x%" PRIx64 " bytes where 0x%" PRIx64 " are needed", idstr,
                    (uint64_t)st.st_size, need);
    }
    if (ftruncate(fd, need) < 0) {
        return fail_errno(error, errno, "cannot grow the file of '%s' to 0x%" PRIx64 " bytes", idstr, need);
    }
    return true;
}

/* Takes over @fd. */
static RAMBlock *new_block_on_fd(const char *idstr, uint64_t size, int fd, uint64_t fd_offset, unsigned flags,
                                 GError **error)
{
    uint64_t page_size = fd_page_size(fd);

    if (!IS_ALIGNED(fd_offset, page_size)) {
        fail(error, "offset 0x%" PRIx64 " of '%s' is not a multiple of the page size", fd_offset, idstr);
    } else if (fit_file(fd, ROUND_UP(size, page_size), fd_offset, idstr, error)) {
        return new_block(idstr, size, 0, fd, fd_offset, page_size, flags, error);
    }
    close(fd);
    return NULL;
}

RAMBlock *ram_block_new_fd(const char *idstr, uint64_t size, int fd, uint64_t fd_offset, unsigned flags,
                           GError **error)
{
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (own < 0) {
        fail_errno(error, errno, "cannot duplicate the descriptor of '%s'", idstr);
        return NULL;
    }
    return new_block_on_fd(idstr, size, own, fd_offset, flags, error);
}

/* In a directory (a hugetlbfs mount, /dev/shm) the memory gets a file without a name. */
static int open_backing_file(const char *path, const char *idstr, GError **error)
{
    int fd;

    if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
        g_autofree char *safe = g_strdelimit(g_strdup(idstr), "/", '_');
        g_autofree char *name = g_strdup_printf("%s/godwit-%s-XXXXXX", path, safe);

        fd = g_mkstemp_full(name, O_RDWR | O_CLOEXEC, 0600);
        if (fd >= 0) {
            unlink(name);
        }
    } else {
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    }
    if (fd < 0) {
        fail_errno(error, errno, "cannot open '%s'", path);
    }
    return fd;
}

RAMBlock *ram_block_new_file_at(const char *idstr, uint64_t size, const char *path, uint64_t fd_offset,
                                unsigned flags, GError **error)
{
    int fd = open_backing_file(path, idstr, error);

    return fd < 0 ? NULL : new_block_on_fd(idstr, size, fd, fd_offset, flags, error);
}

RAMBlock *ram_block_new_file(const char *idstr, uint64_t size, const char *path, unsigned flags,
                             GError **error)
{
    return ram_block_new_file_at(idstr, size, path, 0, flags, error);
}

void ram_block_free(RAMBlock *block)
{
    ram_list_remove(block);
    ram_block_unref(block);
}

bool ram_block_map_private(RAMBlock *block, int fd, uint64_t fd_offset, uint64_t block_offset,
                           uint64_t length, GError **error)
{
    uint64_t page = block->page_size;

    if (block->flags & RAM_SHARED) {
        return fail(error, "memory '%s' is shared with others and cannot be mapped from a file",
                    block->idstr);
    }
    if (!IS_ALIGNED(fd_offset, page) || !IS_ALIGNED(block_offset, page)) {
        return fail(error, "offset 0x%" PRIx64 " of '%s' is not a multiple of the page size", fd_offset,
                    block->idstr);
    }
    if (!ram_block_offset_valid(block, block_offset, length)) {
        return fail(error, "0x%" PRIx64 " bytes at 0x%" PRIx64 " are past the end of '%s'", length,
                    block_offset, block->idstr);
    }
    ram_block_note_written(block, block_offset, length);
    if (mmap(block->host + block_offset, ROUND_UP(length, page), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_FIXED, fd, fd_offset) == MAP_FAILED) {
        return fail_errno(error, errno, "cannot map the file into '%s'", block->idstr);
    }
    return true;
}
