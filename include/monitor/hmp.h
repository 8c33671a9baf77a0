/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HMP without a terminal: a line in, text out. */
#ifndef MONITOR_HMP_H
#define MONITOR_HMP_H

#include "api/command.h"

/*
 * Runs one line; whatever there is to say, errors included, goes to ctx->output.  Main loop, big lock; a line that
 * hmp_is_unlocked() on any thread.
 */
void hmp_execute(CommandContext *ctx, const char *line);
/* Whether it is an .unlocked command (api/command.h). */
bool hmp_is_unlocked(const char *line);
/* Candidates for the last word of @prefix.  Big lock. */
void hmp_complete(const char *prefix, GPtrArray *candidates);

#endif
