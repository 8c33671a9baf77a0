/* SPDX-License-Identifier: GPL-2.0-or-later */
/* File descriptors without short counts and EINTR, and the search for buffers of zeroes. */
#ifndef UTIL_FILE_H
#define UTIL_FILE_H

#include <glib.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "util/compiler.h"

/*
 * Blocking descriptors.  Messages say what went wrong, not with which file: the caller adds that as context.
 */
bool write_all(int fd, const void *data, size_t size, GError **error);
bool writev_all(int fd, const struct iovec *iov, int count, GError **error);
bool pwrite_all(int fd, const void *data, size_t size, off_t offset, GError **error);
/* A file that ends early is an error. */
bool read_all(int fd, void *data, size_t size, GError **error);
bool pread_all(int fd, void *data, size_t size, off_t offset, GError **error);

/*
 * The contents of @path, which must be a regular file of at most @max bytes.  A zero byte follows them.
 * Freed with g_free().  NULL on error.
 */
void *read_whole(const char *path, size_t *size, size_t max, GError **error);

/* Whether all @size bytes are zero.  Fast: this runs over all of a guest's memory. */
bool is_zero(const void *data, size_t size);

#endif
