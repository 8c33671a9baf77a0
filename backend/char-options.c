/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How people ask for character devices: -chardev, -serial, -nographic, the short forms after -serial and
 * friends, and the monitor's commands.
 */
#include "char.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "api/command.h"
#include "api/option.h"
#include "util/error.h"

static GPtrArray *chardev_texts; /* of char *, from -chardev */
static GPtrArray *serial_texts;  /* of char *, from -serial */
static GPtrArray *serials;       /* of Chardev *, NULL: nothing plugged in */
static char *serial_default;
static bool nographic, display_none;

/* --- one chardev from key/value pairs --- */

typedef struct CharRequest {
    const char *id;
    bool mux, wants_monitor, hot;
    const char *logfile;
    bool logappend;
} CharRequest;

static bool open_log(Chardev *chr, const CharRequest *req, GError **error)
{
    if (!req->logfile) {
        return true;
    }
    chr->log_fd = char_open_output(chr, req->logfile, req->logappend);
    return chr->log_fd >= 0 || fail_errno(error, errno, "cannot open log file '%s'", req->logfile);
}

/* Options every kind has go to @req, the others to @chr. */
static bool take_option(Chardev *chr, CharRequest *req, const char *key, const char *value, GError **error)
{
    if (g_str_equal(key, "mux")) {
        return parse_bool(value, &req->mux, error);
    }
    if (g_str_equal(key, "logfile")) {
        req->logfile = value;
        return true;
    }
    if (g_str_equal(key, "logappend")) {
        return parse_bool(value, &req->logappend, error);
    }
    return char_set_option(chr, key, value, error);
}

/* "server" stands for server=on, "nowait" for wait=off. */
static bool take_pair(Chardev *chr, CharRequest *req, const KeyValue *kv, GError **error)
{
    if (kv->value) {
        return take_option(chr, req, kv->key, kv->value, error);
    }
    if (g_str_has_prefix(kv->key, "no") && (!chr->ops->options || !field_find(chr->ops->options, kv->key))) {
        return take_option(chr, req, kv->key + 2, "off", error);
    }
    return take_option(chr, req, kv->key, "on", error);
}

static Chardev *open_plain(Chardev *chr, const CharRequest *req, GError **error)
{
    if (!open_log(chr, req, error)) {
        char_free(chr);
        return NULL;
    }
    return char_open_and_add(chr, error);
}

static Chardev *open_with_mux(Chardev *base, const CharRequest *req, GError **error)
{
    Chardev *mux;

    g_free(base->id);
    base->id = g_strconcat(req->id, "-base", NULL);
    base->created_for_mux = true;
    base = open_plain(base, req, error);
    mux = base ? char_mux_new(req->id, base, error) : NULL;
    if (mux) {
        mux->wants_monitor = req->wants_monitor;
    }
    return mux;
}

/* @pairs: the options that come after the kind; @skip: those already used, "id" is passed over too. */
static Chardev *make(const char *kind, CharRequest *req, GPtrArray *pairs, unsigned skip, GError **error)
{
    Chardev *chr = char_alloc(kind, req->id, error);

    if (chr && req->hot) {
        chr->hot = true;
        char_set_option(chr, "wait", "off", NULL); /* the default of kinds that know it */
    }
    for (unsigned i = skip; chr && pairs && i < pairs->len; i++) {
        const KeyValue *kv = pairs->pdata[i];

        if (g_str_equal(kv->key, "id") || g_str_equal(kv->key, "backend")) {
            continue;
        }
        if (!take_pair(chr, req, kv, error)) {
            char_free(chr);
            return NULL;
        }
    }
    if (!chr) {
        return NULL;
    }
    return req->mux ? open_with_mux(chr, req, error) : open_plain(chr, req, error);
}

static const char *find_value(GPtrArray *pairs, const char *key)
{
    for (unsigned i = 0; i < pairs->len; i++) {
        const KeyValue *kv = pairs->pdata[i];

        if (g_str_equal(kv->key, key)) {
            return kv->value;
        }
    }
    return NULL;
}

static Chardev *new_from_options(const char *text, bool hot, GError **error)
{
    g_autoptr(GPtrArray) pairs = options_split(text, "backend", error);
    const char *kind, *id;

    if (!pairs) {
        return NULL;
    }
    kind = find_value(pairs, "backend");
    id = find_value(pairs, "id");
    if (!kind || !id || !*id) {
        return fail_null(error, "character device '%s' lacks %s", text, kind ? "'id='" : "its kind");
    }
    if (g_str_equal(kind, "serial") || g_str_equal(kind, "memory")) {
        kind = kind[0] == 'm' ? "ringbuf" : kind;
    }
    return make(kind, &(CharRequest){.id = id, .hot = hot}, pairs, 0, error);
}

Chardev *chardev_new_from_options(const char *text, GError **error)
{
    return new_from_options(text, false, error);
}

/* --- short forms --- */

/* "HOST:PORT" or "[HOST]:PORT" or ":PORT" into two options. */
static bool split_host_port(const char *text, char **host, char **port, GError **error)
{
    const char *colon = strrchr(text, ':');

    if (!colon || !colon[1]) {
        return fail(error, "'%s' is no HOST:PORT", text);
    }
    *host = g_strndup(text, colon - text);
    if (**host == '[' && colon[-1] == ']') {
        memmove(*host, *host + 1, strlen(*host));
        (*host)[strlen(*host) - 1] = 0;
    }
    *port = g_strdup(colon + 1);
    return true;
}

static KeyValue *pair_of(GPtrArray *pairs, unsigned i)
{
    return pairs->pdata[i];
}

static Chardev *make_tcp(CharRequest *req, const char *address, GError **error)
{
    g_autoptr(GPtrArray) pairs = options_split(address, "address", error);
    g_autofree char *host = NULL, *port = NULL;
    GString *text;
    Chardev *chr;
    g_autoptr(GPtrArray) all = NULL;

    if (!pairs || !split_host_port(pairs->len && pair_of(pairs, 0)->value ? pair_of(pairs, 0)->value : "",
                                   &host, &port, error)) {
        return NULL;
    }
    text = g_string_new(NULL);
    g_string_printf(text, "host=%s,port=%s", host, port);
    for (unsigned i = 1; i < pairs->len; i++) {
        const KeyValue *kv = pair_of(pairs, i);

        g_string_append_printf(text, kv->value ? ",%s=%s" : ",%s", kv->key, kv->value);
    }
    all = options_split(text->str, "host", error);
    chr = all ? make("socket", req, all, 0, error) : NULL;
    g_string_free(text, TRUE);
    return chr;
}

static Chardev *make_with_path(const char *kind, const char *option, CharRequest *req, const char *text,
                               GError **error)
{
    g_autoptr(GPtrArray) pairs = options_split(text, option, error);

    return pairs ? make(kind, req, pairs, 0, error) : NULL;
}

static Chardev *make_bare(const char *kind, CharRequest *req, const char *rest, GError **error)
{
    return *rest ? make_with_path(kind, "size", req, rest + 1, error) : make(kind, req, NULL, 0, error);
}

static bool is_bare(const char *text, const char *kind, const char **rest)
{
    size_t n = strlen(kind);

    *rest = text + n;
    return g_str_has_prefix(text, kind) && (text[n] == 0 || text[n] == ',');
}

static Chardev *make_stdio(CharRequest *req, GError **error)
{
    Chardev *chr = char_alloc("stdio", req->id, error);

    /* a guest beside a monitor gets its Ctrl-C; on a plain stdio Ctrl-C ends the emulator */
    if (!chr) {
        return NULL;
    }
    if (!char_set_option(chr, "signal", req->mux ? "off" : "on", error)) {
        char_free(chr);
        return NULL;
    }
    return req->mux ? open_with_mux(chr, req, error) : open_plain(chr, req, error);
}

static Chardev *make_legacy(CharRequest *req, const char *text, GError **error)
{
    static const char *const bare[] = {"null", "pty", "ringbuf", "vc", NULL};
    static const struct {
        const char *prefix, *kind, *option;
    } with_path[] = {{"unix:", "socket", "path"},
                     {"file:", "file", "path"},
                     {"pipe:", "pipe", "path"},
                     {"fd:", "fd", "fd"}};
    const char *rest;

    if (g_str_equal(text, "stdio")) {
        return make_stdio(req, error);
    }
    if (g_str_has_prefix(text, "tcp:")) {
        return make_tcp(req, text + 4, error);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(with_path); i++) {
        if (g_str_has_prefix(text, with_path[i].prefix)) {
            return make_with_path(with_path[i].kind, with_path[i].option, req,
                                  text + strlen(with_path[i].prefix), error);
        }
    }
    for (size_t i = 0; bare[i]; i++) {
        if (is_bare(text, bare[i], &rest)) {
            /* a virtual console needs a display, which takes its place quietly: nobody would see it */
            return make_bare(g_str_equal(bare[i], "vc") ? "null" : bare[i], req, rest, error);
        }
    }
    if (g_str_equal(text, "none")) {
        return fail_null(error, "'none' is no character device");
    }
    return fail_null(error,
                     "'%s' is no character device (stdio, mon:stdio, unix:PATH, tcp:HOST:PORT, file:PATH, "
                     "pipe:PATH, pty, null, chardev:ID)",
                     text);
}

Chardev *chardev_new_from_legacy(const char *id, const char *text, GError **error)
{
    CharRequest req = {.id = id};
    Chardev *chr;

    if (g_str_has_prefix(text, "chardev:")) {
        chr = chardev_find(text + strlen("chardev:"));
        return chr ? chr : fail_null(error, "there is no character device '%s'", text + strlen("chardev:"));
    }
    if (g_str_has_prefix(text, "mon:")) {
        text += strlen("mon:");
        req.mux = req.wants_monitor = true;
    }
    return make_legacy(&req, text, error);
}

/* --- the command line --- */

static bool record(GPtrArray **list, const char *value)
{
    if (!*list) {
        *list = g_ptr_array_new_with_free_func(g_free);
    }
    g_ptr_array_add(*list, g_strdup(value));
    return true;
}

static bool parse_chardev(const char *value, GError **error)
{
    g_autoptr(GPtrArray) pairs = options_split(value, "backend", error);

    return pairs && record(&chardev_texts, value);
}

/* "help", "KIND,help" */
static char *answer_chardev(const char *value)
{
    g_autofree char *name = NULL;
    GString *out = g_string_new(NULL);
    bool asked = option_is_question(value, &name), found = false;

    LINKER_SET_FOREACH (chardev_kinds, CharOps, ops) {
        if (asked && !name) {
            option_list_line(out, ops->name, ops->help);
            found = true;
        } else if (asked && g_str_equal(ops->name, name)) {
            g_string_append_printf(out, "%s: %s\n", ops->name, ops->help);
            fields_append_help(ops->options, out);
            found = true;
        }
    }
    return g_string_free(out, !found); /* NULL when it frees the text too */
}

static bool parse_serial(const char *value, GError **error)
{
    return record(&serial_texts, value);
}

static bool parse_nographic(const char *value, GError **error)
{
    nographic = true;
    return true;
}

static bool parse_display(const char *value, GError **error)
{
    if (!g_str_equal(value, "none")) {
        return fail(error, "display '%s' is not available, only 'none' is", value);
    }
    display_none = true;
    return true;
}

static bool parse_audio(const char *value, GError **error)
{
    if (!g_str_equal(value, "none") && !g_str_has_prefix(value, "none,") &&
        !g_str_has_prefix(value, "driver=none")) {
        return fail(error, "audio driver '%s' is not available, only 'none' is", value);
    }
    return true;
}

#define SECTION "Character devices"
OPTION(
    chardev, .name = "chardev", .arg = "KIND,id=ID[,mux=on][,logfile=PATH][,OPTION=VALUE...]",
    .section = SECTION,
    .help = "make a character device: stdio, socket, file, pipe, pty, fd, null, ringbuf; 'help' lists them",
    .parse = parse_chardev, .answer = answer_chardev);
OPTION(serial, .name = "serial", .arg = "DEV", .section = SECTION,
       .help =
           "connect the next serial port: stdio, mon:stdio, unix:PATH, tcp:HOST:PORT, file:PATH, pty, null, "
           "chardev:ID, none",
       .parse = parse_serial);
OPTION(nographic, .name = "nographic", .section = "Display",
       .help = "no display; serial port and monitor share the terminal", .parse = parse_nographic);
OPTION(display, .name = "display", .arg = "none", .section = "Display", .help = "no display",
       .parse = parse_display);
OPTION(audio, .name = "audio", .arg = "none", .section = "Display", .help = "no sound", .parse = parse_audio);

void serial_set_default(const char *legacy)
{
    g_free(serial_default);
    serial_default = g_strdup(legacy);
}

bool nographic_requested(void)
{
    return nographic;
}

bool display_none_requested(void)
{
    return nographic || display_none;
}

static bool create_serial(const char *text, GError **error)
{
    g_autofree char *id = g_strdup_printf("serial%u", serials->len);
    Chardev *chr = NULL;

    if (!g_str_equal(text, "none")) {
        chr = chardev_new_from_legacy(id, text, error);
        if (!chr) {
            error_context(error, "-serial %s", text);
            return false;
        }
    }
    g_ptr_array_add(serials, chr);
    return true;
}

bool chardevs_create(GError **error)
{
    for (unsigned i = 0; chardev_texts && i < chardev_texts->len; i++) {
        if (!chardev_new_from_options(chardev_texts->pdata[i], error)) {
            error_context(error, "-chardev %s", (char *)chardev_texts->pdata[i]);
            return false;
        }
    }
    serials = g_ptr_array_new();
    if (!serial_texts && serial_default) {
        return create_serial(serial_default, error);
    }
    for (unsigned i = 0; serial_texts && i < serial_texts->len; i++) {
        if (!create_serial(serial_texts->pdata[i], error)) {
            return false;
        }
    }
    return true;
}

Chardev *serial_hd(int n)
{
    return serials && n >= 0 && (unsigned)n < serials->len ? serials->pdata[n] : NULL;
}

/* --- commands --- */

typedef struct ChardevInfo {
    char *label;
    char *filename;
    bool frontend_open;
} ChardevInfo;

static const Field chardev_info_fields[] = {
    F_STRING(ChardevInfo, label, "label"),
    F_STRING(ChardevInfo, filename, "filename"),
    F_BOOL(ChardevInfo, frontend_open, "frontend-open"),
    FIELD_END,
};

static void collect_info(Chardev *chr, void *opaque)
{
    ChardevInfo *info = g_new0(ChardevInfo, 1);

    info->label = g_strdup(chr->id);
    info->filename = chardev_filename(chr);
    info->frontend_open = chr->fe != NULL || chr->ops->many_frontends;
    g_ptr_array_add(opaque, info);
}

static bool run_query_chardev(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    GPtrArray *list = g_ptr_array_new();

    chardevs_foreach(collect_info, list);
    *(GPtrArray **)reply = list;
    return true;
}

static void print_chardevs(CommandContext *ctx, const void *args, const void *reply)
{
    const GPtrArray *list = *(GPtrArray *const *)reply;

    for (unsigned i = 0; i < list->len; i++) {
        const ChardevInfo *info = list->pdata[i];

        g_string_append_printf(ctx->output, "%s: filename=%s\n", info->label, info->filename);
    }
}

COMMAND(query_chardev, .qmp = "query-chardev", .hmp = "info chardev", .help = "show the character devices",
        .reply = chardev_info_fields, .reply_size = sizeof(ChardevInfo), .reply_name = "ChardevInfo",
        .reply_list = true, .preconfig = true, .run = run_query_chardev, .print_hmp = print_chardevs);

typedef struct ChardevBackendInfo {
    char *name;
} ChardevBackendInfo;

static const Field chardev_backend_fields[] = {F_STRING(ChardevBackendInfo, name, "name"), FIELD_END};

static bool run_query_backends(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    GPtrArray *list = g_ptr_array_new();

    LINKER_SET_FOREACH (chardev_kinds, CharOps, ops) {
        ChardevBackendInfo *info = g_new0(ChardevBackendInfo, 1);

        info->name = g_strdup(ops->name);
        g_ptr_array_add(list, info);
    }
    *(GPtrArray **)reply = list;
    return true;
}

COMMAND(query_chardev_backends, .qmp = "query-chardev-backends",
        .help = "list the kinds of character devices", .reply = chardev_backend_fields,
        .reply_size = sizeof(ChardevBackendInfo), .reply_name = "ChardevBackendInfo", .reply_list = true,
        .preconfig = true, .run = run_query_backends);

typedef struct ChardevIdArgs {
    char *id;
} ChardevIdArgs;

static const Field chardev_id_args[] = {F_STRING(ChardevIdArgs, id, "id", .positional = true), FIELD_END};

static Chardev *find_or_fail(const char *id, GError **error)
{
    Chardev *chr = chardev_find(id);

    return chr ? chr : fail_null(error, "there is no character device '%s'", id);
}

static bool run_chardev_remove(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    Chardev *chr = find_or_fail(((const ChardevIdArgs *)args)->id, error);

    for (unsigned i = 0; chr && serials && i < serials->len; i++) {
        if (serials->pdata[i] == chr) {
            return fail(error, "character device '%s' is serial port %u", chr->id, i);
        }
    }
    return chr && chardev_delete(chr, error);
}

COMMAND(chardev_remove, .qmp = "chardev-remove", .hmp = "chardev-remove", .help = "remove a character device",
        .args = chardev_id_args, .args_size = sizeof(ChardevIdArgs), .run = run_chardev_remove);

static bool run_send_break(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    Chardev *chr = find_or_fail(((const ChardevIdArgs *)args)->id, error);

    if (chr && chr->ops->send_break) {
        chr->ops->send_break(chr);
    } else if (chr && chr->fe) {
        char_fe_event(chr->fe, CHAR_EVENT_BREAK);
    }
    return chr != NULL;
}

COMMAND(chardev_send_break, .qmp = "chardev-send-break", .hmp = "chardev-send-break",
        .help = "send a break to the user of a character device", .args = chardev_id_args,
        .args_size = sizeof(ChardevIdArgs), .run = run_send_break);

typedef struct ChardevAddHmpArgs {
    char *options;
} ChardevAddHmpArgs;

static const Field chardev_add_hmp_args[] = {
    F_STRING(ChardevAddHmpArgs, options, "args", .positional = true, .rest_of_line = true), FIELD_END};

static bool run_chardev_add_hmp(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    return new_from_options(((const ChardevAddHmpArgs *)args)->options, true, error) != NULL;
}

COMMAND(chardev_add_hmp, .hmp = "chardev-add", .help = "add a character device, as after -chardev",
        .args = chardev_add_hmp_args, .args_size = sizeof(ChardevAddHmpArgs), .run = run_chardev_add_hmp);

typedef struct ChardevAddArgs {
    char *id;
    JsonNode *backend;
} ChardevAddArgs;

static const Field chardev_add_args[] = {F_STRING(ChardevAddArgs, id, "id"),
                                         F_ANY(ChardevAddArgs, backend, "backend"), FIELD_END};

static void free_pair(gpointer opaque)
{
    KeyValue *kv = opaque;

    g_free(kv->key);
    g_free(kv->value);
    g_free(kv);
}

static void add_member(GPtrArray *pairs, const char *name, JsonNode *node);

static void add_members(JsonObject *object, const char *name, JsonNode *node, gpointer opaque)
{
    add_member(opaque, name, node);
}

/* The wire nests addresses ({"addr":{"type":"unix","data":{"path":...}}}); the options are flat. */
static void add_member(GPtrArray *pairs, const char *name, JsonNode *node)
{
    KeyValue *kv;

    if (JSON_NODE_HOLDS_OBJECT(node)) {
        json_object_foreach_member(json_node_get_object(node), add_members, pairs);
        return;
    }
    if (!JSON_NODE_HOLDS_VALUE(node) || g_str_equal(name, "type")) {
        return;
    }
    kv = g_new0(KeyValue, 1);
    kv->key = g_strdup(g_str_equal(name, "out") ? "path" : g_str_equal(name, "in") ? "input-path" : name);
    switch (json_node_get_value_type(node)) {
    case G_TYPE_BOOLEAN:
        kv->value = g_strdup(json_node_get_boolean(node) ? "on" : "off");
        break;
    case G_TYPE_INT64:
        kv->value = g_strdup_printf("%" G_GINT64_FORMAT, json_node_get_int(node));
        break;
    default:
        kv->value = g_strdup(json_node_get_string(node));
    }
    g_ptr_array_add(pairs, kv);
}

/* {"type": KIND, "data": {...}}; sockets default to server=on there. */
static bool run_chardev_add(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const ChardevAddArgs *a = args;
    g_autoptr(GPtrArray) pairs = g_ptr_array_new_with_free_func(free_pair);
    JsonObject *backend =
        a->backend && JSON_NODE_HOLDS_OBJECT(a->backend) ? json_node_get_object(a->backend) : NULL;
    JsonNode *type = backend ? json_object_get_member(backend, "type") : NULL;
    JsonNode *data = backend ? json_object_get_member(backend, "data") : NULL;
    const char *kind =
        type && json_node_get_value_type(type) == G_TYPE_STRING ? json_node_get_string(type) : NULL;

    if (!kind) {
        return fail(error, "'backend' lacks its 'type'");
    }
    if (g_str_equal(kind, "socket")) {
        KeyValue *server = g_new0(KeyValue, 1);

        *server = (KeyValue){g_strdup("server"), g_strdup("on")};
        g_ptr_array_add(pairs, server);
    }
    if (data) {
        add_member(pairs, "data", data);
    }
    return make(kind, &(CharRequest){.id = a->id, .hot = true}, pairs, 0, error) != NULL;
}

COMMAND(chardev_add, .qmp = "chardev-add", .help = "add a character device", .args = chardev_add_args,
        .args_size = sizeof(ChardevAddArgs), .run = run_chardev_add);
