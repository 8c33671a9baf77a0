/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looking at a saved machine: what the parts of godwit-analyze share.
 *
 * A stream is walked once into an Analysis: a JSON tree for printing and comparing, and where each page of RAM lies.
 * The bytes may be anything: every read goes through the Cursor, which never leaves the file; the first thing that does
 * not fit becomes a problem with its place, and ends the walk.
 */
#ifndef TOOLS_ANALYZE_H
#define TOOLS_ANALYZE_H

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/compiler.h"

#define PAGE_BYTES 4096

typedef struct Cursor {
    const uint8_t *data;
    uint64_t size, at;
    bool failed;          /* reads give zeroes from then on */
    GPtrArray *problems;  /* of char *, the Analysis' */
} Cursor;

/* "offset 0x..: message" becomes a problem; returns false. */
bool cursor_fail(Cursor *cursor, const char *format, ...) PRINTF_LIKE(2, 3);
/* A problem that the walk survives. */
void cursor_complain(Cursor *cursor, uint64_t at, const char *format, ...) PRINTF_LIKE(3, 4);
/* The next @size bytes; NULL when the file ends before. */
const uint8_t *cursor_take(Cursor *cursor, uint64_t size);
uint64_t cursor_number(Cursor *cursor, unsigned bytes); /* big endian */
/* u8 length, bytes; what is not printable comes as '?'.  Always a string. */
void cursor_name(Cursor *cursor, char name[256]);

/* A block of RAM, and where its pages are. */
typedef struct Block {
    char name[256];
    uint64_t length;
    uint64_t normal, zero; /* records of a stream; pages of a fixed-ram file */
    GHashTable *pages;     /* stream: page number -> file offset of its last copy; zero pages are not there */
    /* fixed-ram */
    bool fixed, verified; /* its checksums are there, and right */
    uint64_t bitmap_offset, pages_offset;
} Block;

typedef struct Analysis {
    char *name; /* of the file */
    const uint8_t *data;
    uint64_t size;
    GPtrArray *problems; /* of char * */
    GPtrArray *blocks;   /* of Block */
    JsonObject *report;  /* all but RAM and problems */
} Analysis;

/* Walks @data.  Never fails: what is wrong is in ->problems. */
Analysis *analysis_new(const char *name, const uint8_t *data, uint64_t size);
void analysis_free(Analysis *analysis);
/* The whole of it; a new node. */
JsonNode *analysis_to_json(const Analysis *analysis);
/* The page's bytes, possibly fewer than PAGE_BYTES at the end of a block; NULL: zero, or not there (*@there). */
const uint8_t *block_page(const Analysis *analysis, const Block *block, uint64_t page, bool *there);
Block *analysis_block(const Analysis *analysis, const char *name);

Block *block_new(void);
/* The page's last copy is at @at in the file; 0: it is all zeroes. */
void block_set_page(Block *block, uint64_t page, uint64_t at);

/* --- fixed-ram.c --- */
/* What follows the block's entry in the list; @records: with checksums. */
bool fixed_walk(Cursor *cursor, Block *block, bool records);

/* --- channel.c --- */
/* A captured connection of multifd, from its first packet on.  False: it does not end where a packet does. */
bool channel_walk(Analysis *analysis, Cursor *cursor);

/* --- fields.c --- */
/* The description at the end of the stream; NULL: there is none, or it is damaged (then a problem says so). */
JsonObject *description_find(Cursor *cursor);
/* A section's fields as @device (an element of "devices") lists them. */
JsonObject *fields_decode(Cursor *cursor, JsonObject *device);

/* --- print.c --- */
void analysis_print(const Analysis *analysis, bool fields, GString *out);
/* What differs, as text; returns the number of differences. */
unsigned analysis_diff(const Analysis *a, const Analysis *b, GString *out);

#endif
