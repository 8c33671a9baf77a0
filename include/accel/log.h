/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log of what the translator and the guest CPU do: -d item,... and -D file.
 *
 * The main loop sets what is logged and where (big lock held); text may come from any thread.  Items of
 * translation show blocks translated from then on.
 */
#ifndef ACCEL_LOG_H
#define ACCEL_LOG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/atomic.h"
#include "util/compiler.h"

enum {
    LOG_IN = 1 << 0,           /* guest instructions of each block */
    LOG_OP = 1 << 1,           /* its IR */
    LOG_OPT = 1 << 2,          /* the IR after the optimiser */
    LOG_OUT = 1 << 3,          /* host instructions */
    LOG_EXEC = 1 << 4,         /* each block that is entered; given at the start it turns off links and jump tables */
    LOG_INT = 1 << 5,          /* traps and interrupts */
    LOG_MMU = 1 << 6,          /* page table walks */
    LOG_GUEST_ERRORS = 1 << 7, /* things a guest should not do */
    LOG_UNIMP = 1 << 8,
};
extern uint32_t log_mask;
#define log_enabled(items) unlikely(atomic_read(&log_mask) & (items))

void log_text(const char *text);
void log_printf(const char *format, ...) PRINTF_LIKE(1, 2);
/* "in,op" or "none"; an unknown item fails and names those there are. */
bool log_set_items(const char *items, GError **error);
bool log_set_file(const char *path, GError **error);

#endif
