/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The QMP session.
 *
 *   closed --opened()--> negotiating --qmp_capabilities--> ready --closed()--> closed
 *
 * Requests and complaints about unreadable input share one queue, so replies come in the order of what they
 * answer; only out-of-band replies and events overtake.  A connection number tells what belongs to a client
 * that has gone.
 */
#include "monitor/qmp.h"

#include <string.h>
#include <unistd.h>

#include "api/command.h"
#include "api/json-write.h"
#include "monitor/hmp.h"
#include "monitor/json-framer.h"
#include "monitor/monitor-internal.h"
#include "util/error.h"
#include "util/lock.h"

enum { QUEUE_MAX = 8, READ_MAX = 4096, FDS_MAX = 256 };

typedef struct Request {
    JsonNode *node; /* NULL: @error is the answer */
    GError *error;
    unsigned connection;
} Request;

struct QmpSession {
    MonitorHandle handle; /* first: commands see only this */
    /* constant after qmp_session_new() */
    const QmpSessionOps *ops;
    void *opaque;
    bool oob, pretty;

    /* I/O thread */
    JsonFramer framer;

    /* under lock (leaf) */
    Lock lock;
    GQueue queue; /* of Request * */
    GString *output;
    GArray *fds; /* came with the input, taken by nobody yet */
    unsigned connection;
    bool open, negotiated, oob_enabled;
    bool run_wanted; /* from want_run() until the queue was found empty */
    bool running;    /* a request that was queued is being answered */
};

static void request_free(Request *request)
{
    g_clear_pointer(&request->node, json_node_unref);
    g_clear_error(&request->error);
    g_free(request);
}

/* --- output --- */

/* @table describes the member @payload of @object; both may be NULL. */
static void put_json(QmpSession *session, unsigned connection, JsonObject *object, const char *payload,
                     const Field *table)
{
    const Field rows[] = {{.name = payload, .kind = FIELD_OBJECT, .fields = table}, FIELD_END};
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    g_autoptr(GString) text = g_string_new(NULL);

    json_node_set_object(node, object);
    json_write(text, node, rows, session->pretty);
    lock_acquire(&session->lock);
    bool put = session->open && session->connection == connection;
    if (put) {
        g_string_append_printf(session->output, "%s\r\n", text->str);
    }
    lock_release(&session->lock);
    if (put) {
        session->ops->want_output(session->opaque);
    }
}

char *qmp_session_take_output(QmpSession *session, size_t *len)
{
    LOCK_GUARD(&session->lock);

    *len = session->output->len;
    if (*len == 0) {
        return NULL;
    }
    GString *full = session->output;
    session->output = g_string_new(NULL);
    return g_string_free(full, FALSE);
}

static JsonNode *version_node(void)
{
    const Command *query = command_find_qmp("query-version");
    CommandContext ctx = {0};
    JsonNode *node = query ? command_run_json(query, &ctx, NULL, NULL) : NULL;

    if (!node) {
        node = json_from_string("{\"qemu\":{\"micro\":0,\"minor\":0,\"major\":0},\"package\":\"\"}", NULL);
    }
    return node;
}

static void greet(QmpSession *session, unsigned connection)
{
    g_autoptr(JsonObject) greeting = json_object_new();
    JsonObject *qmp = json_object_new();
    JsonArray *capabilities = json_array_new();

    if (session->oob) {
        json_array_add_string_element(capabilities, "oob");
    }
    json_object_set_member(qmp, "version", version_node());
    json_object_set_array_member(qmp, "capabilities", capabilities);
    json_object_set_object_member(greeting, "QMP", qmp);
    put_json(session, connection, greeting, NULL, NULL);
}

static void put_reply(QmpSession *session, const Request *request, JsonNode *result, const Field *table,
                      const GError *error)
{
    g_autoptr(JsonObject) reply = json_object_new();
    JsonNode *id = NULL;

    if (request->node && JSON_NODE_HOLDS_OBJECT(request->node)) {
        id = json_object_get_member(json_node_get_object(request->node), "id");
    }
    if (result) {
        json_object_set_member(reply, "return", result);
    } else {
        JsonObject *object = json_object_new();
        json_object_set_string_member(object, "class", api_error_class(error));
        json_object_set_string_member(object, "desc", error->message);
        json_object_set_object_member(reply, "error", object);
    }
    if (id) {
        json_object_set_member(reply, "id", json_node_copy(id));
    }
    put_json(session, request->connection, reply, "return", table);
}

/* The event sink: any thread, any locks held. */
static void put_event(const Event *event, JsonObject *data, gint64 realtime_us, void *opaque)
{
    QmpSession *session = opaque;

    lock_acquire(&session->lock);
    bool wanted = session->open && session->negotiated;
    unsigned connection = session->connection;
    lock_release(&session->lock);
    if (!wanted) {
        return;
    }
    g_autoptr(JsonObject) object = json_object_new();
    JsonObject *stamp = json_object_new();
    json_object_set_int_member(stamp, "seconds", realtime_us / G_USEC_PER_SEC);
    json_object_set_int_member(stamp, "microseconds", realtime_us % G_USEC_PER_SEC);
    json_object_set_object_member(object, "timestamp", stamp);
    json_object_set_string_member(object, "event", event->name);
    if (event->fields) {
        json_object_set_object_member(object, "data", json_object_ref(data));
    }
    put_json(session, connection, object, "data", event->fields);
}

/* --- running --- */

static bool check_names(JsonObject *object, bool oob_enabled, GError **error)
{
    JsonObjectIter iter;
    const char *name;
    JsonNode *node;

    json_object_iter_init(&iter, object);
    while (json_object_iter_next(&iter, &name, &node)) {
        bool is_string = JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING;
        if (!strcmp(name, "execute") || (!strcmp(name, "exec-oob") && oob_enabled)) {
            if (!is_string) {
                return fail(error, "QMP input member '%s' must be a string", name);
            }
        } else if (!strcmp(name, "arguments")) {
            if (!JSON_NODE_HOLDS_OBJECT(node)) {
                return fail(error, "QMP input member 'arguments' must be an object");
            }
        } else if (strcmp(name, "id")) {
            return fail(error, "QMP input member '%s' is unexpected", name);
        }
    }
    return true;
}

static bool check_request(JsonNode *node, bool oob_enabled, GError **error)
{
    if (!JSON_NODE_HOLDS_OBJECT(node)) {
        return fail(error, "QMP input must be a JSON object");
    }
    JsonObject *object = json_node_get_object(node);
    if (!check_names(object, oob_enabled, error)) {
        return false;
    }
    bool execute = json_object_has_member(object, "execute"),
         oob = json_object_has_member(object, "exec-oob");
    if (execute == oob) {
        return execute ? fail(error, "QMP input members 'execute' and 'exec-oob' exclude each other")
                       : fail(error, "QMP input lacks member 'execute'");
    }
    return true;
}

static const char *nth_qmp_name(unsigned i, void *opaque)
{
    LINKER_SET_FOREACH(commands, Command, c) {
        if (c->qmp && i-- == 0) {
            return c->qmp;
        }
    }
    return NULL;
}

static const Command *find_command(const char *name, bool negotiated, GError **error)
{
    const Command *command = command_find_qmp(name);
    bool negotiates = !strcmp(name, "qmp_capabilities");

    if (!negotiated && !negotiates) {
        fail_class(error, API_ERROR_COMMAND_NOT_FOUND,
                   "the session expects capabilities negotiation with 'qmp_capabilities' first");
        return NULL;
    }
    if (negotiated && negotiates) {
        fail_class(error, API_ERROR_COMMAND_NOT_FOUND, "capabilities were negotiated already");
        return NULL;
    }
    if (!command) {
        const char *like = did_you_mean(name, nth_qmp_name, NULL);
        fail_class(error, API_ERROR_COMMAND_NOT_FOUND,
                   like ? "command '%s' is unknown (did you mean '%s'?)" : "command '%s' is unknown", name,
                   like);
    }
    return command;
}

static void session_state(QmpSession *session, bool *negotiated, bool *oob_enabled)
{
    LOCK_GUARD(&session->lock);

    *negotiated = session->negotiated;
    *oob_enabled = session->oob_enabled;
}

/* The fds a command sees; what it leaves goes back by fds_give_back(). */
static GArray *fds_lend(QmpSession *session)
{
    LOCK_GUARD(&session->lock);
    GArray *fds = session->fds;

    session->fds = g_array_new(FALSE, FALSE, sizeof(int));
    return fds;
}

static void fds_give_back(QmpSession *session, GArray *lent, int left)
{
    LOCK_GUARD(&session->lock);

    if (left) {
        g_array_prepend_vals(session->fds, &g_array_index(lent, int, lent->len - (guint)left), (guint)left);
    }
    g_array_unref(lent);
}

static JsonNode *run_command(QmpSession *session, const Command *command, JsonObject *object, GError **error)
{
    JsonObject *arguments = json_object_has_member(object, "arguments")
                                ? json_object_get_object_member(object, "arguments")
                                : NULL;
    GArray *fds = fds_lend(session);
    CommandContext ctx = {
        .monitor = &session->handle, .fds = (const int *)(void *)fds->data, .n_fds = (int)fds->len};
    JsonNode *result = command_run_json(command, &ctx, arguments, error);

    fds_give_back(session, fds, ctx.n_fds);
    return result;
}

/* @table: set to what describes the result. */
static JsonNode *run_checked(QmpSession *session, JsonNode *node, const Field **table, GError **error)
{
    bool negotiated, oob_enabled;

    session_state(session, &negotiated, &oob_enabled);
    if (!check_request(node, oob_enabled, error)) {
        return NULL;
    }
    JsonObject *object = json_node_get_object(node);
    bool oob = json_object_has_member(object, "exec-oob");
    const char *name = json_object_get_string_member(object, oob ? "exec-oob" : "execute");
    const Command *command = find_command(name, negotiated, error);
    if (!command) {
        return NULL;
    }
    if (oob && !command->oob) {
        return fail_null(error, "command '%s' does not support out-of-band execution", name);
    }
    *table = command->reply;
    return run_command(session, command, object, error);
}

static void answer(QmpSession *session, Request *request)
{
    g_autoptr(GError) error = NULL;
    const Field *table = NULL;
    JsonNode *result = request->node ? run_checked(session, request->node, &table, &error) : NULL;

    put_reply(session, request, result, table, request->node ? error : request->error);
    request_free(request);
}

static Request *next_request(QmpSession *session, bool *more, bool *has_room)
{
    LOCK_GUARD(&session->lock);
    Request *request = g_queue_pop_head(&session->queue);

    *more = session->queue.length > 0;
    *has_room = request && session->queue.length == QUEUE_MAX - 1;
    session->run_wanted = *more;
    session->running = request != NULL;
    return request;
}

bool qmp_session_run(QmpSession *session)
{
    bool more, has_room;
    Request *request = next_request(session, &more, &has_room);

    if (request) {
        answer(session, request);
        lock_acquire(&session->lock);
        session->running = false;
        lock_release(&session->lock);
    }
    if (has_room) {
        session->ops->want_input(session->opaque);
    }
    return more;
}

static bool negotiate(MonitorHandle *handle, bool oob, GError **error)
{
    QmpSession *session = container_of(handle, QmpSession, handle);

    if (oob && !session->oob) {
        return fail(error, "capability 'oob' is not available here");
    }
    LOCK_GUARD(&session->lock);
    session->negotiated = true;
    session->oob_enabled = oob;
    return true;
}

/* --- input --- */

static bool is_oob(QmpSession *session, JsonNode *node)
{
    bool negotiated, oob_enabled;

    session_state(session, &negotiated, &oob_enabled);
    return oob_enabled && JSON_NODE_HOLDS_OBJECT(node) &&
           json_object_has_member(json_node_get_object(node), "exec-oob");
}

static const char *member_text(JsonNode *node, const char *name)
{
    JsonNode *member = node && JSON_NODE_HOLDS_OBJECT(node)
                           ? json_object_get_member(json_node_get_object(node), name)
                           : NULL;

    return member && json_node_get_value_type(member) == G_TYPE_STRING ? json_node_get_string(member) : NULL;
}

/* An .unlocked command, by its name or as a line of HMP. */
static bool is_unlocked(JsonNode *node)
{
    const char *name = member_text(node, "execute"), *line;
    const Command *command = name ? command_find_qmp(name) : NULL;

    if (!command || strcmp(name, "human-monitor-command")) {
        return command && command->unlocked;
    }
    line = member_text(json_object_get_member(json_node_get_object(node), "arguments"), "command-line");
    return line && hmp_is_unlocked(line);
}

/*
 * Such a command does not wait for the main loop, which may itself be waiting for memory that is at the other end of a
 * broken link; but answers come in the order of the requests.
 */
static bool runs_here(QmpSession *session, JsonNode *node)
{
    bool unlocked = is_unlocked(node);
    LOCK_GUARD(&session->lock);

    return unlocked && g_queue_is_empty(&session->queue) && !session->running;
}

static void queue_request(QmpSession *session, Request *request)
{
    lock_acquire(&session->lock);
    g_queue_push_tail(&session->queue, request);
    bool want = !session->run_wanted;
    session->run_wanted = true;
    lock_release(&session->lock);
    if (want) {
        session->ops->want_run(session->opaque);
    }
}

static JsonNode *parse_document(const char *text, size_t len, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    g_autoptr(GError) why = NULL;

    if (!json_parser_load_from_data(parser, text, (gssize)len, &why)) {
        return fail_null(error, "JSON parse error: %s", why->message);
    }
    JsonNode *node = json_parser_steal_root(parser);
    return node ? node : fail_null(error, "JSON parse error: the document is empty");
}

static void take_document(const char *text, size_t len, const char *error, void *opaque)
{
    QmpSession *session = opaque;
    Request *request = g_new0(Request, 1);

    request->connection = session->connection; /* written by this thread only */
    if (error) {
        fail(&request->error, "%s", error);
    } else {
        request->node = parse_document(text, len, &request->error);
    }
    if (request->node && (is_oob(session, request->node) || runs_here(session, request->node))) {
        answer(session, request);
    } else {
        queue_request(session, request);
    }
}

size_t qmp_session_can_read(QmpSession *session)
{
    LOCK_GUARD(&session->lock);

    return session->queue.length < QUEUE_MAX ? READ_MAX : 0;
}

void qmp_session_input(QmpSession *session, const uint8_t *buf, size_t len)
{
    json_framer_feed(&session->framer, buf, len);
}

static void close_fds_locked(QmpSession *session)
{
    for (guint i = 0; i < session->fds->len; i++) {
        close(g_array_index(session->fds, int, i));
    }
    g_array_set_size(session->fds, 0);
}

void qmp_session_add_fds(QmpSession *session, const int *fds, size_t n)
{
    LOCK_GUARD(&session->lock);

    /* whatever they came for is long answered */
    if (g_queue_is_empty(&session->queue) && !json_framer_in_document(&session->framer)) {
        close_fds_locked(session);
    }
    for (size_t i = 0; i < n; i++) {
        if (session->fds->len < FDS_MAX) {
            g_array_append_val(session->fds, fds[i]);
        } else {
            close(fds[i]);
        }
    }
}

/* --- coming and going --- */

static void forget_client_locked(QmpSession *session)
{
    Request *request;

    while ((request = g_queue_pop_head(&session->queue))) {
        request_free(request);
    }
    g_string_truncate(session->output, 0);
    close_fds_locked(session);
    session->negotiated = session->oob_enabled = false;
}

void qmp_session_opened(QmpSession *session)
{
    lock_acquire(&session->lock);
    forget_client_locked(session);
    session->open = true;
    unsigned connection = ++session->connection;
    lock_release(&session->lock);
    json_framer_reset(&session->framer);
    greet(session, connection);
}

void qmp_session_closed(QmpSession *session)
{
    json_framer_reset(&session->framer);
    LOCK_GUARD(&session->lock);
    session->open = false;
    forget_client_locked(session);
}

QmpSession *qmp_session_new(const QmpSessionOps *ops, void *opaque, bool oob, bool pretty)
{
    QmpSession *session = g_new0(QmpSession, 1);

    session->handle.negotiate = negotiate;
    session->ops = ops;
    session->opaque = opaque;
    session->oob = oob;
    session->pretty = pretty;
    session->output = g_string_new(NULL);
    session->fds = g_array_new(FALSE, FALSE, sizeof(int));
    g_queue_init(&session->queue);
    lock_init(&session->lock, RANK_LEAF, "qmp-session");
    json_framer_init(&session->framer, take_document, session);
    event_sink_add(put_event, session);
    return session;
}

void qmp_session_free(QmpSession *session)
{
    event_sink_remove(put_event, session);
    qmp_session_closed(session);
    json_framer_destroy(&session->framer);
    g_string_free(session->output, TRUE);
    g_array_unref(session->fds);
    lock_destroy(&session->lock);
    g_free(session);
}
