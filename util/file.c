/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole reads and writes on blocking descriptors. */
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/error.h"

/* Linux moves at most this much in one call. */
#define MAX_CHUNK ((size_t)1 << 30)
#define HUGE_PAGE ((size_t)2 << 20)

bool write_all(int fd, const void *data, size_t size, GError **error)
{
    struct iovec iov = {.iov_base = (void *)data, .iov_len = size};

    return writev_all(fd, &iov, 1, error);
}

bool writev_all(int fd, const struct iovec *iov, int count, GError **error)
{
    /* the part of iov[0] that has been written */
    size_t done = 0;

    while (count > 0) {
        struct iovec batch[64];
        int n = MIN(count, (int)G_N_ELEMENTS(batch));
        ssize_t written;

        for (int i = 0; i < n; i++) {
            batch[i] = iov[i];
        }
        batch[0].iov_base = (uint8_t *)batch[0].iov_base + done;
        batch[0].iov_len -= done;
        written = writev(fd, batch, n);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return fail_errno(error, errno, "cannot write");
        }
        for (done += written; count && done >= iov->iov_len; iov++, count--) {
            done -= iov->iov_len;
        }
    }
    return true;
}

bool pwrite_all(int fd, const void *data, size_t size, off_t offset, GError **error)
{
    const uint8_t *next = data;

    while (size) {
        ssize_t n = pwrite(fd, next, MIN(size, MAX_CHUNK), offset);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return fail_errno(error, errno, "cannot write at offset %" G_GINT64_FORMAT, (gint64)offset);
        }
        next += n;
        offset += n;
        size -= n;
    }
    return true;
}

bool read_all(int fd, void *data, size_t size, GError **error)
{
    uint8_t *next = data;

    while (size) {
        ssize_t n = read(fd, next, MIN(size, MAX_CHUNK));

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return fail_errno(error, errno, "cannot read");
        }
        if (n == 0) {
            return fail(error, "the data ends %zu bytes early", size);
        }
        next += n;
        size -= n;
    }
    return true;
}

bool pread_all(int fd, void *data, size_t size, off_t offset, GError **error)
{
    uint8_t *next = data;

    while (size) {
        ssize_t n = pread(fd, next, MIN(size, MAX_CHUNK), offset);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return fail_errno(error, errno, "cannot read at offset %" G_GINT64_FORMAT, (gint64)offset);
        }
        if (n == 0) {
            return fail(error, "the file ends at offset %" G_GINT64_FORMAT ", %zu bytes early",
                        (gint64)offset, size);
        }
        next += n;
        offset += n;
        size -= n;
    }
    return true;
}

/* Faults cost more than the reading: whatever whole huge pages of the host lie in a kernel's buffer should be such. */
static void wish_for_huge_pages(uint8_t *data, size_t size)
{
    uintptr_t start = ROUND_UP((uintptr_t)data, HUGE_PAGE), end = ROUND_DOWN((uintptr_t)data + size, HUGE_PAGE);

    if (start < end) {
        madvise((void *)start, end - start, MADV_HUGEPAGE);
    }
}

static void *read_whole_fd(int fd, const char *path, size_t *size, size_t max, GError **error)
{
    struct stat st;
    uint8_t *data;

    if (fstat(fd, &st) < 0) {
        fail_errno(error, errno, "cannot examine '%s'", path);
        return NULL;
    }
    if (!S_ISREG(st.st_mode)) {
        return fail_null(error, "'%s' is not a regular file", path);
    }
    if ((uint64_t)st.st_size > max || (uint64_t)st.st_size >= SIZE_MAX) {
        return fail_null(error, "'%s' has %" G_GINT64_FORMAT " bytes, more than the limit of %zu", path,
                         (gint64)st.st_size, max);
    }
    data = g_try_malloc((size_t)st.st_size + 1);
    if (!data) {
        return fail_null(error, "no memory for the %" G_GINT64_FORMAT " bytes of '%s'", (gint64)st.st_size,
                         path);
    }
    wish_for_huge_pages(data, st.st_size);
    if (!pread_all(fd, data, st.st_size, 0, error)) {
        error_context(error, "'%s'", path);
        g_free(data);
        return NULL;
    }
    data[st.st_size] = 0;
    *size = st.st_size;
    return data;
}

void *read_whole(const char *path, size_t *size, size_t max, GError **error)
{
    /* nonblocking: opening a fifo must not hang before we can refuse it */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    void *data;

    if (fd < 0) {
        fail_errno(error, errno, "cannot open '%s'", path);
        return NULL;
    }
    data = read_whole_fd(fd, path, size, max, error);
    close(fd);
    return data;
}
