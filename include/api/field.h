/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fields: how anything is declared to users, once.
 *
 * A Field row describes one member of a C struct under its wire name.  Tables of rows serve QMP arguments and
 * replies, HMP parsing and printing, command line options, device properties, migration parameters, help and
 * query-qmp-schema.  A table ends with FIELD_END.
 *
 * Ownership: strings, lists and sub-objects that fields_from_json() or field_set_string() put into a struct
 * belong to the struct and are released by fields_clear().  All functions: any thread, no locks; the struct
 * is the caller's.
 */
#ifndef API_FIELD_H
#define API_FIELD_H

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum FieldKind {
    FIELD_BOOL, /* bool */
    FIELD_U8,   /* uint8_t .. */
    FIELD_U16,
    FIELD_U32,
    FIELD_U64,
    FIELD_I64,
    FIELD_NUMBER, /* double */
    FIELD_SIZE,   /* uint64_t in bytes; "2G", "64k" accepted as a string */
    FIELD_STRING, /* char *, NULL when absent */
    FIELD_ENUM,   /* int, index into .names */
    FIELD_OBJECT, /* a struct of its own inside the parent, described by .fields */
    FIELD_LIST,   /* GPtrArray * of element structs (.fields, .size) or of char * (.fields NULL) */
    FIELD_ANY,    /* JsonNode *, whatever was given (an owned copy); NULL when absent */
    FIELD_NULL_KIND_END
} FieldKind;

typedef struct Field Field;
struct Field {
    const char *name; /* wire name, e.g. "max-bandwidth" */
    FieldKind kind;
    size_t offset;     /* of the member */
    size_t has_offset; /* 1 + that of a bool that says "was given" (see F_HAS); 0: none */
    bool optional;
    bool positional;           /* HMP: taken without its name, in table order */
    bool rest_of_line;         /* HMP: a string that swallows the rest of the line */
    uint64_t min, max;         /* range of a number; both 0: the whole range of the kind */
    const char *default_value; /* as text, applied by fields_init(); NULL: zero / absent */
    const char *const *names;  /* FIELD_ENUM: NULL-terminated wire names, in value order */
    const char *enum_name;     /* FIELD_ENUM: name of the type in the schema, "MigrationStatus" */
    const Field *fields;       /* FIELD_OBJECT, FIELD_LIST: table of the member or element */
    size_t size;               /* FIELD_LIST: bytes of one element struct */
    const char *type_name;     /* FIELD_OBJECT, FIELD_LIST: name of the type in the schema */
    const char *unit;          /* "bytes/s", "ms", ... for help and printing */
    const char *help;
};

#define FIELD_END                                                                                            \
    {                                                                                                        \
        .name = NULL                                                                                         \
    }

/* Rows by kind; further members follow as designated initialisers: F_U64(Args, x, "x", .optional = true) */
#define F_ROW(Struct, member, wire, Kind, ...)                                                               \
    {                                                                                                        \
        .name = (wire), .kind = (Kind), .offset = offsetof(Struct, member), ##__VA_ARGS__                    \
    }
#define F_BOOL(S, m, wire, ...)   F_ROW(S, m, wire, FIELD_BOOL, ##__VA_ARGS__)
#define F_U8(S, m, wire, ...)     F_ROW(S, m, wire, FIELD_U8, ##__VA_ARGS__)
#define F_U16(S, m, wire, ...)    F_ROW(S, m, wire, FIELD_U16, ##__VA_ARGS__)
#define F_U32(S, m, wire, ...)    F_ROW(S, m, wire, FIELD_U32, ##__VA_ARGS__)
#define F_U64(S, m, wire, ...)    F_ROW(S, m, wire, FIELD_U64, ##__VA_ARGS__)
#define F_I64(S, m, wire, ...)    F_ROW(S, m, wire, FIELD_I64, ##__VA_ARGS__)
#define F_NUMBER(S, m, wire, ...) F_ROW(S, m, wire, FIELD_NUMBER, ##__VA_ARGS__)
#define F_SIZE(S, m, wire, ...)   F_ROW(S, m, wire, FIELD_SIZE, .unit = "bytes", ##__VA_ARGS__)
#define F_STRING(S, m, wire, ...) F_ROW(S, m, wire, FIELD_STRING, ##__VA_ARGS__)
#define F_ANY(S, m, wire, ...)    F_ROW(S, m, wire, FIELD_ANY, ##__VA_ARGS__)
#define F_ENUM(S, m, wire, Names, TypeName, ...)                                                             \
    F_ROW(S, m, wire, FIELD_ENUM, .names = (Names), .enum_name = (TypeName), ##__VA_ARGS__)
#define F_OBJECT(S, m, wire, Table, TypeName, ...)                                                           \
    F_ROW(S, m, wire, FIELD_OBJECT, .fields = (Table), .type_name = (TypeName), ##__VA_ARGS__)
#define F_LIST(S, m, wire, Table, ElemStruct, TypeName, ...)                                                 \
    F_ROW(S, m, wire, FIELD_LIST, .fields = (Table), .size = sizeof(ElemStruct), .type_name = (TypeName),    \
          ##__VA_ARGS__)
#define F_STRING_LIST(S, m, wire, ...) F_ROW(S, m, wire, FIELD_LIST, ##__VA_ARGS__)
/* For a row whose presence matters: F_U64(Args, speed, "speed", .optional = true, F_HAS(Args, has_speed)) */
#define F_HAS(Struct, member) .has_offset = offsetof(Struct, member) + 1

/* Sets every member to its default.  The struct must be zeroed before its first use. */
void fields_init(const Field *table, void *object);
/* Frees what the members own and zeroes them. */
void fields_clear(const Field *table, void *object);

/*
 * Fills @object (initialised) from a JSON object.  Unknown names fail with a did-you-mean, missing mandatory
 * ones, wrong types and values out of range fail and name the member.  On failure @object is left cleared.
 */
bool fields_from_json(const Field *table, void *object, JsonObject *json, GError **error);
/* Returns a new JSON object; absent optional members are left out. */
JsonObject *fields_to_json(const Field *table, const void *object);

/*
 * Sets one member from text, as after "-device x,name=" or "migrate_set_parameter name".  @name accepts '_'
 * for '-'.
 */
bool field_set_string(const Field *table, void *object, const char *name, const char *value, GError **error);
/* The member as text, newly allocated; NULL when absent or unknown. */
char *field_get_string(const Field *table, const void *object, const char *name);
const Field *field_find(const Field *table, const char *name);
/* One line per row for "TYPE,help": name, kind of value, help, default. */
void fields_append_help(const Field *table, GString *out);

/*
 * Parses "a=1,b=two,flag,noflag=off" as after a command line option; ",," stands for a comma inside a value.
 * The first element may lack its name when @implied names it ("virt" in "-M virt,acpi=off").
 */
bool fields_parse_options(const Field *table, void *object, const char *text, const char *implied,
                          GError **error);
/*
 * The same text as a list of key/value pairs, for options whose table depends on one of the keys ("-device").
 */
typedef struct KeyValue {
    char *key;   /* owned */
    char *value; /* owned; NULL: the key stood alone */
} KeyValue;
GPtrArray *options_split(const char *text, const char *implied,
                         GError **error); /* of KeyValue *, frees them */

/* "2G", "512M", "4k", "1.5G", "4096": bytes.  @default_shift scales a number without a suffix. */
bool parse_size(const char *text, unsigned default_shift, uint64_t *value, GError **error);
bool parse_u64(const char *text, uint64_t *value, GError **error);
bool parse_bool(const char *text, bool *value, GError **error);

#endif
