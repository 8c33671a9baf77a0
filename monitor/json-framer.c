/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The scanner behind json-framer.h: one byte at a time, a few states, no look-ahead. */
#include "monitor/json-framer.h"

#include <string.h>

void json_framer_init(JsonFramer *framer, JsonDocumentFunc func, void *opaque)
{
    *framer = (JsonFramer){
        .func = func,
        .opaque = opaque,
        .text = g_string_new(NULL),
        .brackets = g_malloc(JSON_FRAMER_MAX_DEPTH),
    };
}

void json_framer_destroy(JsonFramer *framer)
{
    g_string_free(framer->text, TRUE);
    g_free(framer->brackets);
}

static void start_over(JsonFramer *framer, int state)
{
    if (framer->text->allocated_len > 1 << 16) { /* one huge document must not stay with us for ever */
        g_string_free(framer->text, TRUE);
        framer->text = g_string_new(NULL);
    }
    g_string_truncate(framer->text, 0);
    framer->depth = 0;
    framer->tokens = 0;
    framer->quote = 0;
    framer->escape = false;
    framer->state = state;
}

void json_framer_reset(JsonFramer *framer)
{
    start_over(framer, JSON_FRAMER_BETWEEN);
}

bool json_framer_in_document(const JsonFramer *framer)
{
    return framer->state != JSON_FRAMER_BETWEEN;
}

static void emit(JsonFramer *framer)
{
    framer->func(framer->text->str, framer->text->len, NULL, framer->opaque);
    start_over(framer, JSON_FRAMER_BETWEEN);
}

static void complain(JsonFramer *framer, const char *error, int next_state)
{
    framer->func(NULL, 0, error, framer->opaque);
    start_over(framer, next_state);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_opening(uint8_t c)
{
    return c == '{' || c == '[';
}

static bool is_closing(uint8_t c)
{
    return c == '}' || c == ']';
}

/* The rest of an oversized document, whose brackets are only counted. */
static void skip_rest(JsonFramer *framer, uint64_t depth)
{
    complain(framer, depth > JSON_FRAMER_MAX_DEPTH ? "JSON nesting is too deep" : "JSON document is too long",
             JSON_FRAMER_SKIP);
    framer->skip_depth = depth;
}

static void begin_string(JsonFramer *framer, uint8_t quote)
{
    framer->quote = quote;
    g_string_append_c(framer->text, '"');
}

static void end_string(JsonFramer *framer)
{
    framer->quote = 0;
    g_string_append_c(framer->text, '"');
    if (framer->depth == 0) {
        emit(framer);
    }
}

static void feed_string(JsonFramer *framer, uint8_t c)
{
    if (c < 0x20) {
        complain(framer, "JSON string contains a control character", JSON_FRAMER_BETWEEN);
    } else if (c >= 0xf8 || c == 0xc0 || c == 0xc1) {
        complain(framer, "JSON string is not UTF-8", JSON_FRAMER_RECOVER);
    } else if (framer->escape) {
        framer->escape = false;
        if (c == '\'') { /* JSON knows no such escape */
            g_string_append_c(framer->text, c);
        } else {
            g_string_append_c(framer->text, '\\');
            g_string_append_c(framer->text, (char)c);
        }
    } else if (c == '\\') {
        framer->escape = true;
    } else if (c == framer->quote) {
        end_string(framer);
    } else {
        if (c == '"') {
            g_string_append_c(framer->text, '\\');
        }
        g_string_append_c(framer->text, (char)c);
    }
}

static void open_bracket(JsonFramer *framer, uint8_t c)
{
    if (framer->depth == JSON_FRAMER_MAX_DEPTH) {
        skip_rest(framer, (uint64_t)framer->depth + 1);
        return;
    }
    framer->brackets[framer->depth++] = c;
    framer->state = JSON_FRAMER_INSIDE;
    g_string_append_c(framer->text, (char)c);
}

static void close_bracket(JsonFramer *framer, uint8_t c)
{
    uint8_t open = c == '}' ? '{' : '[';

    if (framer->depth == 0 || framer->brackets[framer->depth - 1] != open) {
        complain(framer, "JSON brackets do not match", JSON_FRAMER_BETWEEN);
        return;
    }
    g_string_append_c(framer->text, (char)c);
    if (--framer->depth == 0) {
        emit(framer);
    }
}

/* Bytes that may stand outside strings besides brackets, quotes and white space. */
static bool is_plain(uint8_t c)
{
    return g_ascii_isalnum(c) || c == '-' || c == '+' || c == '.' || c == ',' || c == ':';
}

static void feed_document(JsonFramer *framer, uint8_t c)
{
    if (framer->state == JSON_FRAMER_SCALAR && (is_space(c) || is_opening(c))) {
        emit(framer);
    }
    framer->tokens += is_opening(c) || is_closing(c) || c == ',' || c == ':';
    if (is_opening(c)) {
        open_bracket(framer, c);
    } else if (is_closing(c)) {
        close_bracket(framer, c);
    } else if (c == '"' || c == '\'') {
        if (framer->state == JSON_FRAMER_BETWEEN) {
            framer->state = JSON_FRAMER_SCALAR;
        }
        begin_string(framer, c);
    } else if (is_space(c)) {
        if (framer->state == JSON_FRAMER_INSIDE) {
            g_string_append_c(framer->text, (char)c);
        }
    } else if (is_plain(c)) {
        if (framer->state == JSON_FRAMER_BETWEEN) {
            framer->state = JSON_FRAMER_SCALAR;
        }
        g_string_append_c(framer->text, (char)c);
    } else {
        complain(framer, "JSON text contains a stray byte", JSON_FRAMER_RECOVER);
    }
}

static void feed_skip(JsonFramer *framer, uint8_t c)
{
    if (is_opening(c)) {
        framer->skip_depth++;
    } else if (c == '\n' || (is_closing(c) && --framer->skip_depth == 0)) {
        start_over(framer, JSON_FRAMER_BETWEEN);
    }
}

/* 0xff never occurs in UTF-8: clients send it to get back to a known state. */
static void feed_reset_byte(JsonFramer *framer)
{
    if (framer->state == JSON_FRAMER_INSIDE || framer->state == JSON_FRAMER_SCALAR) {
        complain(framer, "JSON document was cut off by a reset byte", JSON_FRAMER_BETWEEN);
    }
    start_over(framer, JSON_FRAMER_BETWEEN);
}

static void feed_byte(JsonFramer *framer, uint8_t c)
{
    if (c == 0xff) {
        feed_reset_byte(framer);
    } else if (framer->state == JSON_FRAMER_SKIP) {
        feed_skip(framer, c);
    } else if (framer->quote) {
        feed_string(framer, c);
    } else {
        if (framer->state == JSON_FRAMER_RECOVER) {
            if (!is_space(c) && !is_opening(c)) {
                return;
            }
            framer->state = JSON_FRAMER_BETWEEN;
        }
        feed_document(framer, c);
    }
    if (framer->text->len > JSON_FRAMER_MAX_SIZE || framer->tokens > JSON_FRAMER_MAX_TOKENS) {
        skip_rest(framer, framer->depth);
    }
}

void json_framer_feed(JsonFramer *framer, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        feed_byte(framer, buf[i]);
    }
}
