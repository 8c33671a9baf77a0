/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QMP sessions and the schema, without a socket: text in, text out. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "api/command.h"
#include "api/fds.h"
#include "monitor/qmp.h"
#include "util/error.h"

/* --- commands and events to play with --- */

typedef struct EchoArgs {
    char *text;
    uint64_t times;
} EchoArgs;

static const Field echo_args[] = {
    F_STRING(EchoArgs, text, "text"),
    F_U64(EchoArgs, times, "times", .optional = true, .max = 10),
    FIELD_END,
};

static const Field echo_reply[] = {
    F_STRING(EchoArgs, text, "text"),
    FIELD_END,
};

static bool run_echo(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const EchoArgs *a = args;

    if (!strcmp(a->text, "fail")) {
        return fail_class(error, API_ERROR_DEVICE_NOT_FOUND, "device '%s' not found", a->text);
    }
    ((EchoArgs *)reply)->text = g_strdup(a->text);
    return true;
}

COMMAND(echo, .qmp = "echo", .help = "echo", .args = echo_args, .args_size = sizeof(EchoArgs),
        .reply = echo_reply, .reply_size = sizeof(EchoArgs), .reply_name = "Echo", .run = run_echo);

static bool run_urgent(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    return true;
}

COMMAND(urgent, .qmp = "urgent", .hmp = "urgent", .help = "urgent", .oob = true, .run = run_urgent);

static const Field happened_fields[] = {
    F_STRING(EchoArgs, text, "what"),
    FIELD_END,
};

EVENT(happened, .name = "HAPPENED", .fields = happened_fields);

/* --- a client --- */

static QmpSession *session;

static void nothing(void *opaque)
{
}

static const QmpSessionOps ops = {.want_run = nothing, .want_output = nothing, .want_input = nothing};

static char *output(void)
{
    size_t len;
    char *text = qmp_session_take_output(session, &len);

    return text ? text : g_strdup("");
}

static void run_all(void)
{
    while (qmp_session_run(session)) {
    }
}

static char *ask(const char *text)
{
    qmp_session_input(session, (const uint8_t *)text, strlen(text));
    run_all();
    return output();
}

static void assert_reply(const char *request, const char *expected)
{
    g_autofree char *reply = ask(request);
    g_autofree char *line = g_strconcat(expected, "\r\n", NULL);

    g_assert_cmpstr(reply, ==, line);
}

static void assert_error(const char *request, const char *class, const char *id)
{
    g_autofree char *reply = ask(request);
    g_autofree char *start = g_strdup_printf("{\"error\":{\"class\":\"%s\",", class);

    g_assert_true(g_str_has_prefix(reply, start));
    g_assert_true(!id || g_str_has_suffix(reply, id));
    g_assert_cmpint(strlen(reply) - strcspn(reply, "\n"), ==, 1); /* one line */
}

static void begin(const char *capabilities)
{
    session = qmp_session_new(&ops, NULL, true, false);
    qmp_session_opened(session);
    g_free(output());
    if (capabilities) {
        assert_reply(capabilities, "{\"return\":{}}");
    }
}

static void end(void)
{
    qmp_session_free(session);
}

#define PLAIN "{\"execute\":\"qmp_capabilities\"}"
#define OOB   "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}"

/* --- tests --- */

static void test_greeting(void)
{
    session = qmp_session_new(&ops, NULL, true, false);
    qmp_session_opened(session);
    g_autofree char *greeting = output();
    g_assert_true(g_str_has_prefix(greeting, "{\"QMP\":{\"version\":{\"qemu\":{"));
    g_assert_true(g_str_has_suffix(greeting, "\"capabilities\":[\"oob\"]}}\r\n"));
    end();
}

static void test_negotiation(void)
{
    begin(NULL);
    assert_error("{\"execute\":\"echo\",\"arguments\":{\"text\":\"x\"}}", "CommandNotFound", NULL);
    assert_error("{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"nothing\"]}}",
                 "GenericError", NULL);
    assert_reply(PLAIN, "{\"return\":{}}");
    assert_error(PLAIN, "CommandNotFound", NULL);
    assert_reply("{\"execute\":\"echo\",\"arguments\":{\"text\":\"x\"}}", "{\"return\":{\"text\":\"x\"}}");
    end();
}

static void test_ids(void)
{
    begin(PLAIN);
    assert_reply("{\"execute\":\"urgent\",\"id\":{\"a\":[1]}}", "{\"return\":{},\"id\":{\"a\":[1]}}");
    assert_error("{\"execute\":\"nosuch\",\"id\":\"i\"}", "CommandNotFound", "\"id\":\"i\"}\r\n");
    end();
}

static void test_concatenated(void)
{
    begin(PLAIN);
    assert_reply("{\"execute\":\"urgent\",\"id\":1}{\"execute\":\"urgent\",\"id\":2}",
                 "{\"return\":{},\"id\":1}\r\n{\"return\":{},\"id\":2}");
    end();
}

static void test_errors(void)
{
    begin(PLAIN);
    assert_error("{\"execute\":\"echo\"}", "GenericError", NULL);
    assert_error("{\"execute\":\"echo\",\"arguments\":{\"text\":1}}", "GenericError", NULL);
    assert_error("{\"execute\":\"echo\",\"arguments\":{\"text\":\"x\",\"times\":11}}", "GenericError", NULL);
    assert_error("{\"execute\":\"echo\",\"arguments\":{\"text\":\"fail\"}}", "DeviceNotFound", NULL);
    assert_error("{\"execute\":\"echo\",\"arguments\":[]}", "GenericError", NULL);
    assert_error("{\"execute\":1}", "GenericError", NULL);
    assert_error("{\"exec-oob\":\"urgent\"}", "GenericError", NULL);
    assert_error("{\"execute\":\"urgent\",\"extra\":1}", "GenericError", NULL);
    assert_error("{}", "GenericError", NULL);
    assert_error("[]", "GenericError", NULL);
    assert_error("null\n", "GenericError", NULL);
    assert_error("{\"execute\" \"urgent\"}", "GenericError", NULL);
    assert_reply("{\"execute\":\"urgent\"}", "{\"return\":{}}");
    end();
}

static void test_nested(void)
{
    g_autofree char *brackets = g_strnfill(100000, '[');
    g_autofree char *line = g_strconcat(brackets, "\n", NULL);

    begin(PLAIN);
    assert_error(line, "GenericError", NULL);
    assert_reply("{\"execute\":\"urgent\"}", "{\"return\":{}}");
    end();
}

static void test_oob_overtakes(void)
{
    const char *text = "{\"execute\":\"urgent\",\"id\":1}{\"exec-oob\":\"urgent\",\"id\":2}";

    begin(OOB);
    qmp_session_input(session, (const uint8_t *)text, strlen(text));
    g_autofree char *first = output();
    g_assert_cmpstr(first, ==, "{\"return\":{},\"id\":2}\r\n");
    run_all();
    g_autofree char *second = output();
    g_assert_cmpstr(second, ==, "{\"return\":{},\"id\":1}\r\n");
    assert_error("{\"exec-oob\":\"echo\",\"arguments\":{\"text\":\"x\"}}", "GenericError", NULL);
    end();
}

static void test_flow_control(void)
{
    begin(PLAIN);
    for (int i = 0; i < 8; i++) {
        g_assert_cmpuint(qmp_session_can_read(session), >, 0);
        qmp_session_input(session, (const uint8_t *)"{}", 2);
    }
    g_assert_cmpuint(qmp_session_can_read(session), ==, 0);
    qmp_session_run(session);
    g_assert_cmpuint(qmp_session_can_read(session), >, 0);
    run_all();
    end();
}

static void test_events(void)
{
    EchoArgs data = {.text = (char *)"it"};

    begin(NULL);
    event_emit(&event_happened, &data);
    g_autofree char *before = output();
    g_assert_cmpstr(before, ==, "");
    assert_reply(PLAIN, "{\"return\":{}}");
    event_emit(&event_happened, &data);
    g_autofree char *after = output();
    g_assert_true(g_str_has_prefix(after, "{\"timestamp\":{\"seconds\":"));
    g_assert_true(g_str_has_suffix(after, "},\"event\":\"HAPPENED\",\"data\":{\"what\":\"it\"}}\r\n"));
    end();
}

static void test_reconnect(void)
{
    const char *request = "{\"execute\":\"urgent\"}";

    begin(PLAIN);
    qmp_session_input(session, (const uint8_t *)request, strlen(request));
    qmp_session_closed(session);
    qmp_session_opened(session);
    run_all();
    g_autofree char *text = output();
    g_assert_true(g_str_has_prefix(text, "{\"QMP\":"));
    g_assert_null(strstr(text, "return"));
    assert_error(request, "CommandNotFound", NULL); /* not negotiated any more */
    end();
}

static void test_getfd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    begin(PLAIN);
    qmp_session_add_fds(session, &fd, 1);
    assert_reply("{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"f\"}}", "{\"return\":{}}");
    g_assert_cmpint(fd_store_take("f", NULL), ==, fd);
    g_assert_cmpint(fd_store_take("f", NULL), ==, -1);
    close(fd);
    assert_error("{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"f\"}}", "GenericError", NULL);
    end();
}

static void test_fdsets(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    g_autofree char *added = g_strdup_printf("{\"return\":{\"fdset-id\":7,\"fd\":%d}}", fd);
    g_autofree char *listed =
        g_strdup_printf("{\"return\":[{\"fdset-id\":7,\"fds\":[{\"fd\":%d,\"opaque\":\"o\"}]}]}", fd);
    g_autoptr(GError) error = NULL;

    begin(PLAIN);
    qmp_session_add_fds(session, &fd, 1);
    assert_reply("{\"execute\":\"add-fd\",\"arguments\":{\"fdset-id\":7,\"opaque\":\"o\"}}", added);
    assert_reply("{\"execute\":\"query-fdsets\"}", listed);
    int copy = fdset_open("/dev/fdset/7", O_RDONLY, &error);
    g_assert_no_error(error);
    g_assert_cmpint(copy, >=, 0);
    close(copy);
    g_assert_cmpint(fdset_open("/dev/fdset/7", O_WRONLY, NULL), ==, -1);
    g_assert_cmpint(fdset_open("/dev/fdset/8", O_RDONLY, NULL), ==, -1);
    assert_reply("{\"execute\":\"remove-fd\",\"arguments\":{\"fdset-id\":7}}", "{\"return\":{}}");
    assert_reply("{\"execute\":\"query-fdsets\"}", "{\"return\":[]}");
    end();
}

static void test_human(void)
{
    begin(PLAIN);
    assert_reply("{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"help urgent\"}}",
                 "{\"return\":\"urgent -- urgent\\n\"}");
    end();
}

static JsonObject *schema_entry(JsonArray *schema, const char *name)
{
    for (guint i = 0; i < json_array_get_length(schema); i++) {
        JsonObject *entry = json_array_get_object_element(schema, i);
        if (!strcmp(json_object_get_string_member(entry, "name"), name)) {
            return entry;
        }
    }
    return NULL;
}

static void test_schema_describes_a_command(void)
{
    JsonArray *schema = schema_dump();
    JsonObject *echo = schema_entry(schema, "echo");
    JsonObject *args = schema_entry(schema, json_object_get_string_member(echo, "arg-type"));
    JsonObject *times = json_array_get_object_element(json_object_get_array_member(args, "members"), 1);

    g_assert_cmpstr(json_object_get_string_member(echo, "meta-type"), ==, "command");
    g_assert_cmpstr(json_object_get_string_member(echo, "ret-type"), ==, "Echo");
    g_assert_cmpstr(json_object_get_string_member(args, "meta-type"), ==, "object");
    g_assert_cmpstr(json_object_get_string_member(times, "name"), ==, "times");
    g_assert_cmpstr(json_object_get_string_member(times, "type"), ==, "int");
    g_assert_true(json_object_get_null_member(times, "default"));
    g_assert_true(json_object_get_boolean_member(schema_entry(schema, "urgent"), "allow-oob"));
    g_assert_cmpstr(json_object_get_string_member(schema_entry(schema, "HAPPENED"), "meta-type"), ==,
                    "event");
    json_array_unref(schema);
}

static void assert_has_type(JsonArray *schema, JsonObject *entry, const char *member)
{
    if (json_object_has_member(entry, member)) {
        g_assert_nonnull(schema_entry(schema, json_object_get_string_member(entry, member)));
    }
}

static void test_schema_is_closed(void)
{
    JsonArray *schema = schema_dump();
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < json_array_get_length(schema); i++) {
        JsonObject *entry = json_array_get_object_element(schema, i);
        g_assert_true(g_hash_table_add(names, (void *)json_object_get_string_member(entry, "name")));
        assert_has_type(schema, entry, "arg-type");
        assert_has_type(schema, entry, "ret-type");
        assert_has_type(schema, entry, "element-type");
        if (strcmp(json_object_get_string_member(entry, "meta-type"), "object")) {
            continue;
        }
        JsonArray *members = json_object_get_array_member(entry, "members");
        for (guint m = 0; m < json_array_get_length(members); m++) {
            assert_has_type(schema, json_array_get_object_element(members, m), "type");
        }
    }
    json_array_unref(schema);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qmp/session/greets", test_greeting);
    g_test_add_func("/qmp/session/negotiates-first", test_negotiation);
    g_test_add_func("/qmp/session/echoes-ids", test_ids);
    g_test_add_func("/qmp/session/concatenated-documents", test_concatenated);
    g_test_add_func("/qmp/session/errors-have-classes", test_errors);
    g_test_add_func("/qmp/session/survives-nesting", test_nested);
    g_test_add_func("/qmp/session/reconnect-starts-anew", test_reconnect);
    g_test_add_func("/qmp/session/queue-is-bounded", test_flow_control);
    g_test_add_func("/qmp/oob/overtakes", test_oob_overtakes);
    g_test_add_func("/qmp/events/after-negotiation", test_events);
    g_test_add_func("/qmp/fds/getfd", test_getfd);
    g_test_add_func("/qmp/fds/sets", test_fdsets);
    g_test_add_func("/qmp/commands/human-monitor-command", test_human);
    g_test_add_func("/schema/dump/describes-a-command", test_schema_describes_a_command);
    g_test_add_func("/schema/dump/every-type-is-there", test_schema_is_closed);
    return g_test_run();
}
