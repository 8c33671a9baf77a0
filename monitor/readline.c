/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The line editor: a table of keys, and one function that draws the line anew after each change. */
#include "monitor/readline.h"

#include <string.h>

enum { LINE_MAX_LENGTH = 4095, HISTORY_MAX = 256 };

struct Readline {
    const ReadlineOps *ops;
    void *opaque;
    char *prompt;

    GString *line;
    size_t cursor;
    char *killed; /* for Ctrl-Y */

    GPtrArray *history; /* of char *, oldest first */
    guint history_at;   /* history->len: the line being typed */
    char *typed;        /* that line, while an older one is shown */

    enum { KEY_PLAIN, KEY_ESC, KEY_CSI, KEY_SS3 } state;
    char csi_parameter; /* first digit of "ESC [ 3 ~" */
    bool after_cr;      /* a line feed right after Enter belongs to it */
};

Readline *readline_new(const char *prompt, const ReadlineOps *ops, void *opaque)
{
    Readline *rl = g_new0(Readline, 1);

    rl->ops = ops;
    rl->opaque = opaque;
    rl->prompt = g_strdup(prompt);
    rl->line = g_string_new(NULL);
    rl->history = g_ptr_array_new_with_free_func(g_free);
    return rl;
}

void readline_free(Readline *rl)
{
    if (!rl) {
        return;
    }
    g_string_free(rl->line, TRUE);
    g_ptr_array_unref(rl->history);
    g_free(rl->typed);
    g_free(rl->killed);
    g_free(rl->prompt);
    g_free(rl);
}

/* --- drawing --- */

static void put(Readline *rl, const char *text)
{
    rl->ops->write(rl->opaque, text, strlen(text));
}

static void draw(Readline *rl)
{
    g_autoptr(GString) out = g_string_new("\r");

    g_string_append(out, rl->prompt);
    g_string_append_len(out, rl->line->str, (gssize)rl->line->len);
    g_string_append(out, "\x1b[K");
    if (rl->cursor < rl->line->len) {
        g_string_append_printf(out, "\x1b[%zuD", rl->line->len - rl->cursor);
    }
    rl->ops->write(rl->opaque, out->str, out->len);
}

void readline_redraw(Readline *rl)
{
    draw(rl);
}

void readline_prompt(Readline *rl)
{
    g_string_truncate(rl->line, 0);
    rl->cursor = 0;
    rl->history_at = rl->history->len;
    g_clear_pointer(&rl->typed, g_free);
    put(rl, rl->prompt);
}

/* --- editing --- */

static void insert(Readline *rl, const char *text, size_t len)
{
    if (rl->line->len + len > LINE_MAX_LENGTH) {
        return;
    }
    g_string_insert_len(rl->line, (gssize)rl->cursor, text, (gssize)len);
    rl->cursor += len;
    if (rl->cursor == rl->line->len) {
        rl->ops->write(rl->opaque, text, len);
    } else {
        draw(rl);
    }
}

static void move_to(Readline *rl, size_t cursor)
{
    rl->cursor = MIN(cursor, rl->line->len);
    draw(rl);
}

/* Removes [from, to) and remembers it for Ctrl-Y when @keep. */
static void erase(Readline *rl, size_t from, size_t to, bool keep)
{
    if (from >= to) {
        return;
    }
    if (keep) {
        g_free(rl->killed);
        rl->killed = g_strndup(rl->line->str + from, to - from);
    }
    g_string_erase(rl->line, (gssize)from, (gssize)(to - from));
    move_to(rl, from);
}

static void erase_back(Readline *rl)
{
    if (rl->cursor > 0) {
        erase(rl, rl->cursor - 1, rl->cursor, false);
    }
}

static void erase_under(Readline *rl)
{
    if (rl->cursor < rl->line->len) {
        erase(rl, rl->cursor, rl->cursor + 1, false);
    }
}

static size_t word_start(const Readline *rl)
{
    size_t at = rl->cursor;

    while (at > 0 && rl->line->str[at - 1] == ' ') {
        at--;
    }
    while (at > 0 && rl->line->str[at - 1] != ' ') {
        at--;
    }
    return at;
}

static size_t word_end(const Readline *rl)
{
    size_t at = rl->cursor;

    while (at < rl->line->len && rl->line->str[at] == ' ') {
        at++;
    }
    while (at < rl->line->len && rl->line->str[at] != ' ') {
        at++;
    }
    return at;
}

/* --- history --- */

static void history_show(Readline *rl, guint at)
{
    if (at > rl->history->len) {
        return;
    }
    if (rl->history_at == rl->history->len) {
        g_free(rl->typed);
        rl->typed = g_strdup(rl->line->str);
    }
    rl->history_at = at;
    const char *text = at < rl->history->len ? rl->history->pdata[at] : rl->typed;
    g_string_assign(rl->line, text ? text : "");
    move_to(rl, rl->line->len);
}

static void history_add(Readline *rl, const char *line)
{
    guint n = rl->history->len;

    if (!*line || (n && !strcmp(rl->history->pdata[n - 1], line))) {
        return;
    }
    if (n == HISTORY_MAX) {
        g_ptr_array_remove_index(rl->history, 0);
    }
    g_ptr_array_add(rl->history, g_strdup(line));
}

/* --- completion --- */

static size_t common_length(GPtrArray *candidates)
{
    const char *first = candidates->pdata[0];
    size_t len = strlen(first);

    for (guint i = 1; i < candidates->len; i++) {
        const char *other = candidates->pdata[i];
        size_t n = 0;
        while (n < len && first[n] == other[n]) {
            n++;
        }
        len = n;
    }
    return len;
}

static void list_candidates(Readline *rl, GPtrArray *candidates)
{
    g_autoptr(GString) out = g_string_new("\r\n");

    for (guint i = 0; i < candidates->len; i++) {
        bool last_column = i % 4 == 3 || i + 1 == candidates->len;
        g_string_append_printf(out, last_column ? "%s\r\n" : "%-20s ", (char *)candidates->pdata[i]);
    }
    rl->ops->write(rl->opaque, out->str, out->len);
    draw(rl);
}

static void complete(Readline *rl)
{
    if (!rl->ops->complete) {
        return;
    }
    g_autoptr(GPtrArray) candidates = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *prefix = g_strndup(rl->line->str, rl->cursor);
    const char *space = strrchr(prefix, ' ');
    size_t typed = strlen(space ? space + 1 : prefix);

    rl->ops->complete(rl->opaque, prefix, candidates);
    if (candidates->len == 0) {
        return;
    }
    size_t common = common_length(candidates);
    if (common > typed) {
        insert(rl, (char *)candidates->pdata[0] + typed, common - typed);
    }
    if (candidates->len == 1) {
        insert(rl, " ", 1);
    } else if (common <= typed) {
        list_candidates(rl, candidates);
    }
}

/* --- keys --- */

static void enter(Readline *rl)
{
    g_autofree char *line = g_strdup(rl->line->str);

    put(rl, "\r\n");
    g_string_truncate(rl->line, 0);
    rl->cursor = 0;
    history_add(rl, line);
    rl->history_at = rl->history->len;
    rl->ops->line(rl->opaque, line);
}

static void control_key(Readline *rl, uint8_t c)
{
    switch (c) {
    case 'A' & 31:
        move_to(rl, 0);
        break;
    case 'B' & 31:
        move_to(rl, rl->cursor ? rl->cursor - 1 : 0);
        break;
    case 'C' & 31:
        put(rl, "^C\r\n");
        readline_prompt(rl);
        break;
    case 'D' & 31:
        erase_under(rl);
        break;
    case 'E' & 31:
        move_to(rl, rl->line->len);
        break;
    case 'F' & 31:
        move_to(rl, rl->cursor + 1);
        break;
    case 'H' & 31:
        erase_back(rl);
        break;
    case 'I' & 31:
        complete(rl);
        break;
    case 'K' & 31:
        erase(rl, rl->cursor, rl->line->len, true);
        break;
    case 'L' & 31:
        put(rl, "\x1b[H\x1b[2J");
        draw(rl);
        break;
    case 'N' & 31:
        history_show(rl, rl->history_at + 1);
        break;
    case 'P' & 31:
        history_show(rl, rl->history_at - 1); /* wraps to "too far" at the oldest */
        break;
    case 'U' & 31:
        erase(rl, 0, rl->cursor, true);
        break;
    case 'W' & 31:
        erase(rl, word_start(rl), rl->cursor, true);
        break;
    case 'Y' & 31:
        if (rl->killed) {
            insert(rl, rl->killed, strlen(rl->killed));
        }
        break;
    default:
        break;
    }
}

/* The last byte of "ESC [ ..." or "ESC O ...". */
static void cursor_key(Readline *rl, uint8_t c)
{
    switch (c) {
    case 'A':
        history_show(rl, rl->history_at - 1);
        break;
    case 'B':
        history_show(rl, rl->history_at + 1);
        break;
    case 'C':
        move_to(rl, rl->cursor + 1);
        break;
    case 'D':
        move_to(rl, rl->cursor ? rl->cursor - 1 : 0);
        break;
    case 'H':
        move_to(rl, 0);
        break;
    case 'F':
        move_to(rl, rl->line->len);
        break;
    case '~':
        if (rl->csi_parameter == '1' || rl->csi_parameter == '7') {
            move_to(rl, 0);
        } else if (rl->csi_parameter == '4' || rl->csi_parameter == '8') {
            move_to(rl, rl->line->len);
        } else if (rl->csi_parameter == '3') {
            erase_under(rl);
        }
        break;
    default:
        break;
    }
}

static void after_escape(Readline *rl, uint8_t c)
{
    rl->state = KEY_PLAIN;
    switch (c) {
    case '[':
        rl->state = KEY_CSI;
        rl->csi_parameter = 0;
        break;
    case 'O':
        rl->state = KEY_SS3;
        break;
    case 'b':
        move_to(rl, word_start(rl));
        break;
    case 'f':
        move_to(rl, word_end(rl));
        break;
    case 'd':
        erase(rl, rl->cursor, word_end(rl), true);
        break;
    case 0x7f:
        erase(rl, word_start(rl), rl->cursor, true);
        break;
    default:
        break;
    }
}

static void in_csi(Readline *rl, uint8_t c)
{
    if (c >= 0x40 && c <= 0x7e) { /* a final byte */
        rl->state = KEY_PLAIN;
        cursor_key(rl, c);
    } else if (!rl->csi_parameter) {
        rl->csi_parameter = (char)c;
    }
}

static void plain_key(Readline *rl, uint8_t c)
{
    bool ends_crlf = c == '\n' && rl->after_cr;

    rl->after_cr = c == '\r';
    if (ends_crlf) {
        return;
    }
    if (c == '\r' || c == '\n') {
        enter(rl);
    } else if (c == 0x1b) {
        rl->state = KEY_ESC;
    } else if (c == 0x7f) {
        erase_back(rl);
    } else if (c < 0x20) {
        control_key(rl, c);
    } else {
        insert(rl, (const char *)&c, 1);
    }
}

void readline_input(Readline *rl, uint8_t c)
{
    switch (rl->state) {
    case KEY_PLAIN:
        plain_key(rl, c);
        break;
    case KEY_ESC:
        after_escape(rl, c);
        break;
    case KEY_CSI:
        in_csi(rl, c);
        break;
    case KEY_SS3:
        rl->state = KEY_PLAIN;
        cursor_key(rl, c);
        break;
    }
}
