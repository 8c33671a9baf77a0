/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The qtest protocol without a character device: lines in, lines out. */
#ifndef MONITOR_QTEST_H
#define MONITOR_QTEST_H

#include <glib.h>

/* Appends the reply to @line (which it may cut up) to @reply, with its line feed.  Main loop, big lock. */
void qtest_process_line(char *line, GString *reply);
/* Where lines about interrupts go, which nobody asked for; NULL: nowhere. */
void qtest_set_notify(void (*notify)(const char *line));

#endif
