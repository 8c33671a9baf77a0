/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HMP without a terminal: a line in, text out. */
#ifndef MONITOR_HMP_H
#define MONITOR_HMP_H

#include "api/command.h"

/* Runs one line; whatever there is to say, errors included, goes to ctx->output.  Main loop, big lock. */
void hmp_execute(CommandContext *ctx, const char *line);
/* Candidates for the last word of @prefix. */
void hmp_complete(const char *prefix, GPtrArray *candidates);

#endif
