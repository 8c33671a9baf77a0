/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines of HMP against Field tables: parsing arguments, and showing what they look like. */
#ifndef MONITOR_HMP_ARGS_H
#define MONITOR_HMP_ARGS_H

#include "api/command.h"

/*
 * Fills @args (zeroed, command->args_size bytes) from what follows the command's name.  On failure it is
 * cleared.
 */
bool hmp_parse_args(const Command *command, const char *text, void *args, GError **error);
/* The same for a command with .args_any. */
JsonObject *hmp_parse_any_args(const Command *command, const char *text, GError **error);
/*
 * A number at *@text: decimal, hexadecimal, octal, 'c', with + - * / % & | ^ ~ and parentheses.  Moves *@text
 * behind it.
 */
bool hmp_parse_expression(const char **text, int64_t *value, GError **error);
/* Appends "[-d] uri [name]". */
void hmp_append_synopsis(GString *out, const Command *command);

#endif
