/* SPDX-License-Identifier: GPL-2.0-or-later */
/* printf for JSON: conversions count only outside strings, so values never need escaping by hand. */
#include "tests/lib/json-printf.h"

#include <glib.h>
#include <json-glib/json-glib.h>

static void append_node(GString *out, JsonNode *node)
{
    g_autofree char *text = json_to_string(node, FALSE);

    g_string_append(out, text);
    json_node_unref(node);
}

static void append_string(GString *out, const char *text)
{
    JsonNode *node = json_node_new(JSON_NODE_VALUE);

    json_node_set_string(node, text);
    append_node(out, node);
}

/* The conversion behind a '%'; returns the character after it. */
static const char *convert(GString *out, const char *p, va_list *ap)
{
    int longs = 0;

    for (; *p == 'l'; p++) {
        longs++;
    }
    switch (*p) {
    case '%':
        g_string_append_c(out, '%');
        break;
    case 's':
        append_string(out, va_arg(*ap, const char *));
        break;
    case 'i':
        g_string_append(out, va_arg(*ap, int) ? "true" : "false");
        break;
    case 'd':
        g_string_append_printf(out, "%lld", longs ? va_arg(*ap, long long) : (long long)va_arg(*ap, int));
        break;
    case 'u':
        g_string_append_printf(
            out, "%llu", longs ? va_arg(*ap, unsigned long long) : (unsigned long long)va_arg(*ap, unsigned));
        break;
    case 'f': {
        char buf[G_ASCII_DTOSTR_BUF_SIZE];
        g_string_append(out, g_ascii_dtostr(buf, sizeof(buf), va_arg(*ap, double)));
        break;
    }
    case 'p':
        append_node(out, va_arg(*ap, JsonNode *));
        break;
    default:
        g_error("json_vprintf: unknown conversion '%%%c'", *p);
    }
    return p + 1;
}

/* A '...' string becomes a "..." string; returns the character after it. */
static const char *requote(GString *out, const char *p)
{
    g_string_append_c(out, '"');
    for (p++; *p && *p != '\''; p++) {
        if (*p == '"') {
            g_string_append_c(out, '\\');
        } else if (*p == '\\' && p[1]) {
            g_string_append_c(out, *p++);
        }
        g_string_append_c(out, *p);
    }
    g_string_append_c(out, '"');
    return *p ? p + 1 : p;
}

char *json_vprintf(const char *format, va_list ap)
{
    GString *out = g_string_new(NULL);
    va_list args;

    va_copy(args, ap);
    for (const char *p = format; *p;) {
        if (*p == '%') {
            p = convert(out, p + 1, &args);
        } else if (*p == '\'') {
            p = requote(out, p);
        } else {
            g_string_append_c(out, *p++);
        }
    }
    va_end(args);
    return g_string_free(out, FALSE);
}
