/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Splits a byte stream into JSON documents before a parser sees them.
 *
 * Documents follow each other with or without white space between.  What cannot become a document (too deep,
 * too long, brackets that do not match, control characters) is reported at once and the stream goes on behind
 * it, so one bad document never costs the connection.  Strings in single quotes are passed on in double
 * quotes.
 */
#ifndef MONITOR_JSON_FRAMER_H
#define MONITOR_JSON_FRAMER_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    JSON_FRAMER_MAX_DEPTH = 1024,
    JSON_FRAMER_MAX_SIZE = 64 << 20,
    JSON_FRAMER_MAX_TOKENS =
        2 << 20, /* brackets, commas and colons: a parsed document is far larger than its text */
};

/* One document: @text (NUL-terminated), or NULL and what is wrong.  Both only valid during the call. */
typedef void (*JsonDocumentFunc)(const char *text, size_t len, const char *error, void *opaque);

typedef struct JsonFramer {
    JsonDocumentFunc func;
    void *opaque;
    GString *text;     /* the document so far */
    uint8_t *brackets; /* the open ones, JSON_FRAMER_MAX_DEPTH of them */
    unsigned depth;
    unsigned tokens;
    uint64_t skip_depth; /* JSON_FRAMER_SKIP: brackets still to be closed */
    uint8_t quote;       /* inside a string: the character that ends it */
    bool escape;         /* the byte before was a backslash */
    enum {
        JSON_FRAMER_BETWEEN, /* no document yet */
        JSON_FRAMER_INSIDE,  /* within brackets */
        JSON_FRAMER_SCALAR,  /* a number or word at top level */
        JSON_FRAMER_RECOVER, /* after a bad byte: until white space or a bracket */
        JSON_FRAMER_SKIP,    /* after a document too deep or too long: until it ends, or the line does */
    } state;
} JsonFramer;

void json_framer_init(JsonFramer *framer, JsonDocumentFunc func, void *opaque);
void json_framer_destroy(JsonFramer *framer);
/* Forgets an unfinished document: the peer has gone. */
void json_framer_reset(JsonFramer *framer);
void json_framer_feed(JsonFramer *framer, const uint8_t *buf, size_t len);
/* Whether a document has begun and not ended. */
bool json_framer_in_document(const JsonFramer *framer);

#endif
