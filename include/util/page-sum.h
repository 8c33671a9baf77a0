/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The checksums of fixed-ram files.  Any thread. */
#ifndef UTIL_PAGE_SUM_H
#define UTIL_PAGE_SUM_H

#include <stddef.h>
#include <stdint.h>

/* A page's share in its block's checksum: the shares are added up, in any order.  Never 0. */
uint64_t page_sum(const void *data, size_t size, uint64_t page);
uint64_t bytes_sum(const void *data, size_t size);

#endif
