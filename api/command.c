/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands: finding them, and running them with JSON or with a filled struct. */
#include "api/command.h"

#include <string.h>

#include "api/fields-private.h"
#include "util/error.h"

/* --- errors with a class --- */

G_DEFINE_QUARK(godwit - api - error - quark, api_error)

bool fail_class(GError **error, ApiError code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, API_ERROR, code, message);
    return false;
}

const char *api_error_class(const GError *error)
{
    static const char *const names[] = {
        [API_ERROR_GENERIC] = "GenericError",
        [API_ERROR_COMMAND_NOT_FOUND] = "CommandNotFound",
        [API_ERROR_DEVICE_NOT_ACTIVE] = "DeviceNotActive",
        [API_ERROR_DEVICE_NOT_FOUND] = "DeviceNotFound",
        [API_ERROR_KVM_MISSING_CAP] = "KVMMissingCap",
    };

    if (error->domain != API_ERROR || error->code < 0 || error->code >= (int)G_N_ELEMENTS(names)) {
        return names[API_ERROR_GENERIC];
    }
    return names[error->code];
}

int command_take_fd(CommandContext *ctx)
{
    if (ctx->n_fds <= 0) {
        return -1;
    }
    ctx->n_fds--;
    return *ctx->fds++;
}

CommandWait *command_wait(CommandContext *ctx)
{
    return ctx->wait ? ctx->wait(ctx) : NULL;
}

/* --- finding --- */

const Command *command_find_qmp(const char *name)
{
    LINKER_SET_FOREACH(commands, Command, c) {
        if (c->qmp && !strcmp(c->qmp, name)) {
            return c;
        }
    }
    return NULL;
}

const Command *command_find_hmp(const char *name)
{
    LINKER_SET_FOREACH(commands, Command, c) {
        if ((c->hmp && !strcmp(c->hmp, name)) || (c->hmp_alias && !strcmp(c->hmp_alias, name))) {
            return c;
        }
    }
    return NULL;
}

static int by_name(gconstpointer a, gconstpointer b)
{
    const Command *x = *(const Command *const *)a, *y = *(const Command *const *)b;
    const char *x_name = x->qmp ? x->qmp : x->hmp, *y_name = y->qmp ? y->qmp : y->hmp;

    return g_strcmp0(x_name, y_name);
}

void commands_foreach(void (*fn)(const Command *command, void *opaque), void *opaque)
{
    g_autoptr(GPtrArray) sorted = g_ptr_array_new();

    LINKER_SET_FOREACH(commands, Command, c) {
        g_ptr_array_add(sorted, (void *)c);
    }
    g_ptr_array_sort(sorted, by_name);
    for (guint i = 0; i < sorted->len; i++) {
        fn(sorted->pdata[i], opaque);
    }
}

/* --- replies --- */

/* What .run fills: a struct, a list of structs or a JSON node, by the command's declaration. */
typedef struct Reply {
    void *object;    /* zeroed struct; NULL when the command replies otherwise */
    GPtrArray *list; /* .reply_list */
    JsonNode *any;   /* .reply_any */
} Reply;

static void *reply_target(const Command *command, Reply *reply)
{
    if (command->reply_any) {
        return &reply->any;
    }
    if (command->reply_list) {
        return &reply->list;
    }
    if (command->reply) {
        reply->object = g_malloc0(command->reply_size);
    }
    return reply->object;
}

/* What .print_hmp is shown. */
static const void *reply_value(const Command *command, const Reply *reply)
{
    return command->reply_any    ? (const void *)&reply->any
           : command->reply_list ? (const void *)&reply->list
                                 : reply->object;
}

/* The whole list as if it were a member: its rows do the freeing and the conversion. */
static Field list_field(const Command *command)
{
    return (Field){.name = "", .kind = FIELD_LIST, .fields = command->reply, .size = command->reply_size};
}

static void reply_clear(const Command *command, Reply *reply)
{
    if (reply->object) {
        fields_clear(command->reply, reply->object);
        g_free(reply->object);
    }
    if (reply->list) {
        Field field = list_field(command);
        field_clear(&field, &reply->list);
    }
    g_clear_pointer(&reply->any, json_node_unref);
}

static JsonNode *object_node(JsonObject *object)
{
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);

    json_node_take_object(node, object);
    return node;
}

static JsonNode *reply_node(const Command *command, Reply *reply)
{
    if (command->reply_any) {
        return reply->any ? g_steal_pointer(&reply->any) : object_node(json_object_new());
    }
    if (command->reply_list) {
        Field field = list_field(command);
        return field_to_json(&field, &reply->list);
    }
    return object_node(reply->object ? fields_to_json(command->reply, reply->object) : json_object_new());
}

/* --- running --- */

static bool run_with(const Command *command, CommandContext *ctx, const void *args, Reply *reply,
                     GError **error)
{
    GError *why = NULL;

    if (command->run(ctx, args, reply_target(command, reply), &why)) {
        g_clear_error(&why);
        return true;
    }
    if (!why) {
        return fail(error, "%s failed", command->qmp ? command->qmp : command->hmp);
    }
    g_propagate_error(error, why);
    return false;
}

/*
 * The args struct filled from @json, to be cleared and freed by args_free(); NULL on error or when there is
 * none.
 */
static bool args_from_json(const Command *command, JsonObject *json, void **args, GError **error)
{
    static const Field no_fields[] = {FIELD_END};
    const Field *table = command->args ? command->args : no_fields;
    void *object = g_malloc0(MAX(command->args_size, 1));

    fields_init(table, object);
    if (!fields_from_json(table, object, json, error)) {
        g_free(object);
        return false;
    }
    *args = object;
    return true;
}

static void args_free(const Command *command, void *args)
{
    fields_clear(command->args, args);
    g_free(args);
}

JsonNode *command_run_json(const Command *command, CommandContext *ctx, JsonObject *args, GError **error)
{
    g_autoptr(JsonObject) json = args ? json_object_ref(args) : json_object_new();
    Reply reply = {0};
    JsonNode *node = NULL;
    bool ok;

    if (command->args_any) {
        ok = run_with(command, ctx, json, &reply, error);
    } else {
        void *object = NULL;
        ok = args_from_json(command, json, &object, error);
        if (ok) {
            ok = run_with(command, ctx, object, &reply, error);
            args_free(command, object);
        }
    }
    if (ok) {
        node = reply_node(command, &reply);
    }
    reply_clear(command, &reply);
    return node;
}

/* --- replies as text --- */

static void print_object(GString *out, const Field *table, const void *object, int indent);

static void print_list(GString *out, const Field *field, GPtrArray *list, int indent)
{
    for (guint i = 0; list && i < list->len; i++) {
        if (field->fields) {
            g_string_append_printf(out, "%*s[%u]\n", indent, "", i);
            print_object(out, field->fields, list->pdata[i], indent + 2);
        } else {
            g_string_append_printf(out, "%*s%s\n", indent, "", (char *)list->pdata[i]);
        }
    }
}

static void print_member(GString *out, const Field *field, const void *object, int indent)
{
    if (field->kind == FIELD_OBJECT) {
        g_string_append_printf(out, "%*s%s:\n", indent, "", field->name);
        print_object(out, field->fields, field_member(field, object), indent + 2);
    } else if (field->kind == FIELD_LIST) {
        g_string_append_printf(out, "%*s%s:\n", indent, "", field->name);
        print_list(out, field, *(GPtrArray **)field_member(field, object), indent + 2);
    } else {
        Field row[] = {*field, FIELD_END};
        g_autofree char *text = field_get_string(row, object, field->name);
        g_string_append_printf(out, "%*s%s: %s%s%s\n", indent, "", field->name, text ? text : "",
                               field->unit ? " " : "", field->unit ? field->unit : "");
    }
}

static void print_object(GString *out, const Field *table, const void *object, int indent)
{
    for (const Field *f = table; f && f->name; f++) {
        if (field_is_given(f, object)) {
            print_member(out, f, object, indent);
        }
    }
}

static void print_reply(const Command *command, const Reply *reply, GString *out)
{
    if (reply->any) {
        g_autofree char *text = json_to_string(reply->any, TRUE);
        g_string_append_printf(out, "%s\n", text);
    } else if (command->reply_list) {
        Field field = list_field(command);
        print_list(out, &field, reply->list, 0);
    } else if (reply->object) {
        print_object(out, command->reply, reply->object, 0);
    }
}

bool command_run_text(const Command *command, CommandContext *ctx, const void *args, GError **error)
{
    Reply reply = {0};
    bool ok = run_with(command, ctx, args, &reply, error);

    if (ok && command->print_hmp) {
        command->print_hmp(ctx, args, reply_value(command, &reply));
    } else if (ok) {
        print_reply(command, &reply, ctx->output);
    }
    reply_clear(command, &reply);
    return ok;
}
