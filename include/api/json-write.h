/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON as text, written with the Field table it was made from.
 *
 * A JsonNode keeps integers as int64_t, so only the table can tell that a member is unsigned: one above 2^63
 * - 1 must reach the client as what it is.
 */
#ifndef API_JSON_WRITE_H
#define API_JSON_WRITE_H

#include "api/field.h"

/*
 * Appends @node to @out, on one line or (@pretty) indented.  @table describes its members when it is an
 * object, and those of its elements when it is a list; NULL: nothing is known.  Strings leave as valid UTF-8.
 */
void json_write(GString *out, JsonNode *node, const Field *table, bool pretty);

#endif
