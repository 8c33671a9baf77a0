/* SPDX-License-Identifier: GPL-2.0-or-later */
/* printf for JSON: single-quoted strings, and conversions that become JSON values. */
#ifndef TESTS_JSON_PRINTF_H
#define TESTS_JSON_PRINTF_H

#include <stdarg.h>

/*
 * %s string, %i boolean, %d %u (with l, ll) integer, %f number, %p a JsonNode * that is taken over, %% a
 * percent.
 */
char *json_vprintf(const char *format, va_list ap);

#endif
