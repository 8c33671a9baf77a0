/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HMP arguments: words, flags and expressions, led by the command's Field table (see api/command.h). */
#include "monitor/hmp-args.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "util/error.h"

static const char *skip_spaces(const char *p)
{
    while (g_ascii_isspace(*p)) {
        p++;
    }
    return p;
}

/* --- expressions, by recursive descent; one level of precedence each --- */

enum { EXPRESSION_MAX_DEPTH = 64 };

typedef struct Expression {
    const char *at;
    unsigned depth;
    GError **error;
} Expression;

static bool parse_sum(Expression *e, int64_t *value);

static bool parse_number(Expression *e, int64_t *value)
{
    char *end;

    errno = 0;
    *value = (int64_t)g_ascii_strtoull(e->at, &end, 0);
    if (errno == ERANGE) {
        return fail(e->error, "number at '%s' does not fit into 64 bits", e->at);
    }
    e->at = end;
    return true;
}

static bool parse_unary(Expression *e, int64_t *value)
{
    e->at = skip_spaces(e->at);
    char c = *e->at;

    if (g_ascii_isdigit(c)) {
        return parse_number(e, value);
    }
    if (c == '\'' && e->at[1] && e->at[2] == '\'') {
        *value = (uint8_t)e->at[1];
        e->at += 3;
        return true;
    }
    if (!c || !strchr("+-~(", c)) {
        return c == '$' ? fail(e->error, "registers are not known in expressions ('%s')", e->at)
                        : fail(e->error, "a number is expected at '%s'", e->at);
    }
    if (e->depth++ == EXPRESSION_MAX_DEPTH) {
        return fail(e->error, "expression is too deep");
    }
    e->at++;
    if (c == '(') {
        if (!parse_sum(e, value)) {
            return false;
        }
        e->at = skip_spaces(e->at);
        if (*e->at++ != ')') {
            return fail(e->error, "expression lacks a ')'");
        }
    } else {
        if (!parse_unary(e, value)) {
            return false;
        }
        *value = c == '-' ? (int64_t) - (uint64_t)*value : c == '~' ? ~*value : *value;
    }
    e->depth--;
    return true;
}

/* In "pmemsave 0 4096 /tmp/x" a path begins: a division is written "4096/2" or "4096 / 2". */
static bool begins_a_path(const Expression *e, const char *p)
{
    return *p == '/' && p > e->at && p[1] && !g_ascii_isspace(p[1]);
}

/* The operator of @set that comes next, or 0. */
static char next_operator(Expression *e, const char *set)
{
    const char *p = skip_spaces(e->at);

    if (!*p || !strchr(set, *p) || begins_a_path(e, p)) {
        return 0;
    }
    e->at = p + 1;
    return *p;
}

static bool divide(Expression *e, char op, int64_t *value, int64_t by)
{
    if (by == 0) {
        return fail(e->error, "division by zero");
    }
    if (by == -1) { /* INT64_MIN / -1 traps */
        *value = op == '%' ? 0 : (int64_t) - (uint64_t)*value;
    } else {
        *value = op == '%' ? *value % by : *value / by;
    }
    return true;
}

static bool parse_product(Expression *e, int64_t *value)
{
    int64_t right;
    char op;

    if (!parse_unary(e, value)) {
        return false;
    }
    while ((op = next_operator(e, "*/%"))) {
        if (!parse_unary(e, &right)) {
            return false;
        }
        if (op == '*') {
            *value = (int64_t)((uint64_t)*value * (uint64_t)right);
        } else if (!divide(e, op, value, right)) {
            return false;
        }
    }
    return true;
}

static bool parse_logic(Expression *e, int64_t *value)
{
    int64_t right;
    char op;

    if (!parse_product(e, value)) {
        return false;
    }
    while ((op = next_operator(e, "&|^"))) {
        if (!parse_product(e, &right)) {
            return false;
        }
        *value = op == '&' ? *value & right : op == '|' ? *value | right : *value ^ right;
    }
    return true;
}

static bool parse_sum(Expression *e, int64_t *value)
{
    int64_t right;
    char op;

    if (!parse_logic(e, value)) {
        return false;
    }
    while ((op = next_operator(e, "+-"))) {
        if (!parse_logic(e, &right)) {
            return false;
        }
        *value =
            (int64_t)(op == '+' ? (uint64_t)*value + (uint64_t)right : (uint64_t)*value - (uint64_t)right);
    }
    return true;
}

bool hmp_parse_expression(const char **text, int64_t *value, GError **error)
{
    Expression e = {.at = *text, .error = error};

    if (!parse_sum(&e, value)) {
        return false;
    }
    *text = e.at;
    return true;
}

/* --- words --- */

static bool unescape(const char **p, GString *word, GError **error)
{
    static const char from[] = "nrt\\'\"", to[] = "\n\r\t\\'\"";
    const char *found = **p ? strchr(from, **p) : NULL;

    if (!found) {
        return fail(error, "unknown escape '\\%c' in a string", **p ? **p : ' ');
    }
    g_string_append_c(word, to[found - from]);
    (*p)++;
    return true;
}

static char *quoted_word(const char **text, GError **error)
{
    g_autoptr(GString) word = g_string_new(NULL);
    const char *p = *text + 1;

    while (*p != '"') {
        if (!*p) {
            fail(error, "string lacks its closing quote");
            return NULL;
        }
        if (*p == '\\') {
            p++;
            if (!unescape(&p, word, error)) {
                return NULL;
            }
        } else {
            g_string_append_c(word, *p++);
        }
    }
    *text = p + 1;
    return g_strdup(word->str);
}

/* The next word, newly allocated; NULL on error.  The caller has seen that there is one. */
static char *next_word(const char **text, GError **error)
{
    const char *start = *text = skip_spaces(*text);

    if (*start == '"') {
        return quoted_word(text, error);
    }
    while (**text && !g_ascii_isspace(**text)) {
        (*text)++;
    }
    return g_strndup(start, *text - start);
}

static unsigned count_words(const char *p)
{
    unsigned n = 0;

    for (p = skip_spaces(p); *p; p = skip_spaces(p)) {
        g_autofree char *word = next_word(&p, NULL);
        if (!word) {
            return n + 1;
        }
        n++;
    }
    return n;
}

/* --- rows --- */

static bool is_flag(const Field *field)
{
    return field->kind == FIELD_BOOL && !field->positional;
}

static bool is_argument(const Field *field)
{
    return field->positional || field->rest_of_line;
}

static bool is_format(const Field *field)
{
    return field->kind == FIELD_STRING && !strcmp(field->name, "fmt");
}

static const Field *flag_called(const Field *table, char letter)
{
    for (const Field *f = table; f && f->name; f++) {
        if (is_flag(f) && f->name[0] == letter) {
            return f;
        }
    }
    return NULL;
}

static bool has_flags(const Field *table)
{
    for (const Field *f = table; f && f->name; f++) {
        if (is_flag(f)) {
            return true;
        }
    }
    return false;
}

/* Takes the "-d" and "-df" that come next. */
static bool parse_flags(const Field *table, const char **text, void *args, GError **error)
{
    if (!has_flags(table)) {
        return true;
    }
    for (;;) {
        const char *p = skip_spaces(*text);
        if (p[0] != '-' || !g_ascii_isalpha(p[1])) {
            return true;
        }
        for (p++; *p && !g_ascii_isspace(*p); p++) {
            const Field *flag = flag_called(table, *p);
            if (!flag) {
                return fail(error, "unknown flag '-%c'", *p);
            }
            if (!field_set_string(table, args, flag->name, "on", error)) {
                return false;
            }
        }
        *text = p;
    }
}

static bool is_number(const Field *field)
{
    return (field->kind >= FIELD_U8 && field->kind <= FIELD_I64) || field->kind == FIELD_SIZE;
}

/* A size with a suffix is one word; anything else is an expression, which may contain spaces. */
static bool parse_number_argument(const Field *table, const Field *field, const char **text, void *args,
                                  GError **error)
{
    if (field->kind == FIELD_SIZE) {
        const char *after = *text;
        g_autofree char *word = next_word(&after, NULL);
        uint64_t size;
        if (word && parse_size(word, 0, &size, NULL)) {
            *text = after;
            return field_set_string(table, args, field->name, word, error);
        }
    }
    int64_t value;
    if (!hmp_parse_expression(text, &value, error)) {
        error_context(error, "parameter '%s'", field->name);
        return false;
    }
    if (**text && !g_ascii_isspace(**text)) {
        return fail(error, "parameter '%s' is not a number at '%s'", field->name, *text);
    }
    g_autofree char *decimal = field->kind == FIELD_I64 ? g_strdup_printf("%" PRId64, value)
                                                        : g_strdup_printf("%" PRIu64, (uint64_t)value);
    return field_set_string(table, args, field->name, decimal, error);
}

static bool parse_argument(const Field *table, const Field *field, const char **text, void *args,
                           GError **error)
{
    *text = skip_spaces(*text);
    if (field->rest_of_line) {
        g_autofree char *rest = g_strchomp(g_strdup(*text));
        *text += strlen(*text);
        return field_set_string(table, args, field->name, rest, error);
    }
    if (is_number(field)) {
        return parse_number_argument(table, field, text, args, error);
    }
    g_autofree char *word = next_word(text, error);
    return word && field_set_string(table, args, field->name, is_format(field) ? word + 1 : word, error);
}

static bool is_mandatory(const Field *field)
{
    return is_argument(field) && !field->optional && !field->default_value && !is_format(field);
}

static unsigned mandatory_after(const Field *field)
{
    unsigned n = 0;

    for (field++; field->name; field++) {
        n += is_mandatory(field);
    }
    return n;
}

/* Whether the words that are left hold something for @field: mandatory arguments behind it come first. */
static bool comes_next(const Field *field, const char *text)
{
    const char *p = skip_spaces(text);

    if (is_format(field)) {
        return *p == '/';
    }
    return *p && (is_mandatory(field) || count_words(p) > mandatory_after(field));
}

static bool parse_line(const Command *command, const char *text, void *args, GError **error)
{
    const Field *table = command->args;

    for (const Field *f = table; f && f->name; f++) {
        if (!is_argument(f)) {
            if (!is_flag(f) && !f->optional && !f->default_value) {
                return fail(error, "command '%s' cannot take its parameter '%s' here", command->hmp, f->name);
            }
            continue;
        }
        if (!parse_flags(table, &text, args, error)) {
            return false;
        }
        if (comes_next(f, text)) {
            if (!parse_argument(table, f, &text, args, error)) {
                return false;
            }
        } else if (is_mandatory(f)) {
            return fail(error, "parameter '%s' is missing", f->name);
        }
    }
    if (!parse_flags(table, &text, args, error)) {
        return false;
    }
    text = skip_spaces(text);
    return !*text || fail(error, "'%s' is more than command '%s' takes", text, command->hmp);
}

bool hmp_parse_args(const Command *command, const char *text, void *args, GError **error)
{
    if (command->args) {
        fields_init(command->args, args);
    }
    if (!parse_line(command, text, args, error)) {
        fields_clear(command->args, args);
        return false;
    }
    return true;
}

JsonObject *hmp_parse_any_args(const Command *command, const char *text, GError **error)
{
    g_autofree char *line = g_strstrip(g_strdup(text));

    if (!*line) {
        return fail_null(error, "command '%s' needs arguments", command->hmp);
    }
    g_autoptr(GPtrArray) pairs = options_split(line, command->args_implied, error);
    if (!pairs) {
        return NULL;
    }
    JsonObject *json = json_object_new();
    for (guint i = 0; i < pairs->len; i++) {
        const KeyValue *kv = pairs->pdata[i];
        json_object_set_string_member(json, kv->key, kv->value ? kv->value : "on");
    }
    return json;
}

/* --- synopsis --- */

static void append_argument(GString *out, const Field *field)
{
    const char *dots = field->rest_of_line ? "..." : "";

    if (is_format(field)) {
        g_string_append(out, " [/fmt]");
    } else {
        g_string_append_printf(out, is_mandatory(field) ? " %s%s" : " [%s%s]", field->name, dots);
    }
}

void hmp_append_synopsis(GString *out, const Command *command)
{
    if (command->args_any) {
        g_string_append_printf(out, " %s[,name=value...]",
                               command->args_implied ? command->args_implied : "name=value");
        return;
    }
    for (const Field *f = command->args; f && f->name; f++) {
        if (is_flag(f)) {
            g_string_append_printf(out, " [-%c]", f->name[0]);
        }
    }
    for (const Field *f = command->args; f && f->name; f++) {
        if (is_argument(f)) {
            append_argument(out, f);
        }
    }
}
