/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making errors, and reporting them once on a terminal that a hostile name must not drive. */
#include "util/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *program_name = "godwit-system-riscv64";

GQuark godwit_error_quark(void)
{
    return g_quark_from_static_string("godwit-error-quark");
}

static void set_error(GError **error, const char *format, va_list args) PRINTF_LIKE(2, 0);

static void set_error(GError **error, const char *format, va_list args)
{
    if (error) {
        g_warn_if_fail(*error == NULL);
        *error = g_error_new_valist(GODWIT_ERROR, 0, format, args);
    }
}

bool fail(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_error(error, format, args);
    va_end(args);
    return false;
}

void *fail_null(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_error(error, format, args);
    va_end(args);
    return NULL;
}

bool fail_errno(GError **error, int errnum, const char *format, ...)
{
    va_list args;
    char *message;

    va_start(args, format);
    message = g_strdup_vprintf(format, args);
    va_end(args);
    fail(error, "%s: %s", message, g_strerror(errnum));
    g_free(message);
    return false;
}

void error_context(GError **error, const char *format, ...)
{
    va_list args;
    char *prefix, *message;

    if (!error || !*error) {
        return;
    }
    va_start(args, format);
    prefix = g_strdup_vprintf(format, args);
    va_end(args);
    message = g_strdup_printf("%s: %s", prefix, (*error)->message);
    g_free(prefix);
    g_free((*error)->message);
    (*error)->message = message;
}

/* C0, DEL and C1 controls act on terminals; so may bytes that are no UTF-8. */
static void append_printable(GString *out, const char *text)
{
    const char *end = text + strlen(text);

    while (text < end) {
        gunichar c = g_utf8_get_char_validated(text, end - text);
        const char *next = (c == (gunichar)-1 || c == (gunichar)-2) ? text + 1 : g_utf8_next_char(text);

        if (next - text == 1 ? (*text < 0x20 || *text == 0x7f) : g_unichar_iscntrl(c)) {
            for (; text < next; text++) {
                g_string_append_printf(out, "\\x%02x", (unsigned char)*text);
            }
        } else {
            g_string_append_len(out, text, next - text);
        }
        text = next;
    }
}

static void report(const char *kind, const char *format, va_list args) PRINTF_LIKE(2, 0);

static void report(const char *kind, const char *format, va_list args)
{
    char *message = g_strdup_vprintf(format, args);
    GString *line = g_string_new(program_name);

    g_string_append(line, kind);
    append_printable(line, message);
    g_string_append_c(line, '\n');
    fputs(line->str, stderr);
    g_string_free(line, TRUE);
    g_free(message);
}

void error_report(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report(": ", format, args);
    va_end(args);
}

void warn_report(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report(": warning: ", format, args);
    va_end(args);
}

void info_report(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report(": info: ", format, args);
    va_end(args);
}

void error_report_free(GError *error)
{
    error_report("%s", error->message);
    g_error_free(error);
}

void error_set_program_name(const char *name)
{
    program_name = name;
}
