/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A line editor for a terminal at the other end of a byte stream: editing keys, history, completion.
 * One thread; knows nothing of monitors.
 */
#ifndef MONITOR_READLINE_H
#define MONITOR_READLINE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct ReadlineOps {
    void (*write)(void *opaque, const char *text, size_t len);
    /* Enter was pressed; the prompt is not shown again until readline_prompt(). */
    void (*line)(void *opaque, const char *line);
    /*
     * Appends what the last word of @prefix (the line up to the cursor) may become, newly allocated.  May be
     * NULL.
     */
    void (*complete)(void *opaque, const char *prefix, GPtrArray *candidates);
} ReadlineOps;

typedef struct Readline Readline;

Readline *readline_new(const char *prompt, const ReadlineOps *ops, void *opaque);
void readline_free(Readline *rl);
/* Starts a new line. */
void readline_prompt(Readline *rl);
/* Shows prompt and unfinished line again, after other output. */
void readline_redraw(Readline *rl);
void readline_input(Readline *rl, uint8_t byte);

#endif
