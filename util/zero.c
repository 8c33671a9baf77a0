/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The search for zero buffers.  Guest memory may change under it: each byte counts as it was when it was
 * read.
 *
 * A buffer that is not zero mostly shows it at its start, middle or end; what passes these is read in
 * vectors.
 */
#include "util/file.h"

#include <string.h>

typedef uint64_t Vector __attribute__((vector_size(16), aligned(1), may_alias));

#define CHUNK (8 * sizeof(Vector))

static NO_TSAN bool chunk_is_zero(const Vector *v)
{
    Vector sum = ((v[0] | v[1]) | (v[2] | v[3])) | ((v[4] | v[5]) | (v[6] | v[7]));

    return (sum[0] | sum[1]) == 0;
}

static NO_TSAN bool bytes_are_zero(const uint8_t *data, size_t size)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < size; i++) {
        sum |= data[i];
    }
    return sum == 0;
}

NO_TSAN bool is_zero(const void *buffer, size_t size)
{
    const uint8_t *data = buffer;

    if (size < CHUNK) {
        return bytes_are_zero(data, size);
    }
    if (data[0] | data[size / 2] | data[size - 1]) {
        return false;
    }
    for (size_t i = 0; i < size - CHUNK; i += CHUNK) {
        if (!chunk_is_zero((const Vector *)(data + i))) {
            return false;
        }
    }
    /* the last chunk, which may overlap the one before it */
    return chunk_is_zero((const Vector *)(data + size - CHUNK));
}
