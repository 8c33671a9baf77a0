/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors travel up as GError, gain context on the way and are reported once, at the edge.
 *
 * Messages are lower case, end without a full stop and quote the values they speak of.  Every function here
 * takes @error == NULL (the caller does not want to know) and returns what a failing caller returns:
 *
 *     return fail(error, "page at 0x%" PRIx64 " is past the end of '%s'", offset, name);
 */
#ifndef UTIL_ERROR_H
#define UTIL_ERROR_H

#include <glib.h>

#include "util/compiler.h"

#define GODWIT_ERROR godwit_error_quark()
GQuark godwit_error_quark(void);

/* Sets @error; returns false. */
bool fail(GError **error, const char *format, ...) PRINTF_LIKE(2, 3);
/* Sets @error; returns NULL. */
void *fail_null(GError **error, const char *format, ...) PRINTF_LIKE(2, 3);
/* Sets @error to the message, ": " and what @errnum means; returns false. */
bool fail_errno(GError **error, int errnum, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts the message and ": " in front of *@error, if there is one. */
void error_context(GError **error, const char *format, ...) PRINTF_LIKE(2, 3);

/*
 * One line on stderr: "<program>: message", "<program>: warning: message", "<program>: info: message". Any
 * thread.  Control characters in the message are shown as \xNN, so a hostile name cannot drive the terminal.
 */
void error_report(const char *format, ...) PRINTF_LIKE(1, 2);
void warn_report(const char *format, ...) PRINTF_LIKE(1, 2);
void info_report(const char *format, ...) PRINTF_LIKE(1, 2);
/* Reports @error at the edge and frees it.  @error is not NULL. */
void error_report_free(GError *error);

/* The name in front of reports; @name must outlive the program's last report.  Call before threads start. */
void error_set_program_name(const char *name);

/*
 * The candidate most like @given, or NULL when none is close enough to suggest.
 * @nth returns candidate number @i, NULL after the last.
 */
const char *did_you_mean(const char *given, const char *(*nth)(unsigned i, void *opaque), void *opaque);

#endif
