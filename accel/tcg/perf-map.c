/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /tmp/perf-PID.map (accel option perf=on): names translated blocks for Linux perf. */
#include "internal.h"

#include "util/error.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static FILE *map;

/* The name is one perf prescribes in a folder all may write to: never follow what somebody else put there. */
bool perf_map_open(GError **error)
{
    g_autofree char *path = g_strdup_printf("/tmp/perf-%d.map", getpid());
    int fd;

    unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fail_errno(error, errno, "cannot create '%s'", path);
    }
    map = fdopen(fd, "w");
    return true;
}

static void add_range(const uint8_t *start, uint32_t size, const char *kind, vaddr pc)
{
    if (size) {
        fprintf(map, "%" PRIxPTR " %x guest_%s%" PRIx64 "\n", (uintptr_t)start, size, kind, pc);
    }
}

void perf_map_add(const TCGCode *code, vaddr pc)
{
    if (unlikely(map)) {
        add_range(code->rx, code->size, "", pc);
        add_range(code->cold, code->cold_size, "cold_", pc);
        fflush(map);
    }
}
