/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the text and the JSON side of fields share. */
#ifndef API_FIELDS_PRIVATE_H
#define API_FIELDS_PRIVATE_H

#include "api/field.h"

static inline void *field_member(const Field *field, const void *object)
{
    return (char *)object + field->offset;
}

/*
 * Integers only (U8..U64, I64, SIZE): checks the range, then stores.  @value is the bits of an int64_t for
 * I64.
 */
bool field_store_integer(const Field *field, void *object, uint64_t value, bool negative, GError **error);
uint64_t field_load_integer(const Field *field, const void *object);
bool field_is_integer(const Field *field);

bool field_store_number(const Field *field, void *object, double value, GError **error);
bool field_store_enum(const Field *field, void *object, const char *name, GError **error);
const char *field_load_enum(const Field *field, const void *object);

/* Whether an optional member holds something. */
bool field_is_given(const Field *field, const void *object);
void field_mark_given(const Field *field, void *object, bool given);
void field_clear(const Field *field, void *object);

/* "parameter 'nmae' is unexpected (did you mean 'name'?)" */
bool fail_unknown_field(const Field *table, const char *name, GError **error);

/* One member from and to JSON. */
bool field_from_json(const Field *field, void *object, JsonNode *node, GError **error);
JsonNode *field_to_json(const Field *field, const void *object);

/* Appends the members of a JSON object as KeyValues, nested ones as "a.b". */
bool options_from_json(GPtrArray *pairs, const char *text, GError **error);
void key_value_add(GPtrArray *pairs, char *key, char *value);

#endif
