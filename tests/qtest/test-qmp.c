/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QMP over a socket: greeting, bad input, out-of-band commands, descriptors, schema. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/libqtest.h"

#define ARGS "-M virt -nodefaults -bios none"

/* The session still answers, and in order. */
static void assert_alive(QTestState *s)
{
    JsonObject *error = qtest_qmp_assert_failure_ref(s, "{'execute': 'no-such-command'}");

    g_assert_cmpstr(json_object_get_string_member(error, "class"), ==, "CommandNotFound");
    json_object_unref(error);
}

static void assert_error(QTestState *s, const char *text)
{
    qtest_qmp_send_raw(s, text);
    JsonObject *reply = qtest_qmp_receive(s);
    JsonObject *error = json_object_get_object_member(reply, "error");

    g_assert_nonnull(error);
    g_assert_cmpstr(json_object_get_string_member(error, "class"), ==, "GenericError");
    json_object_unref(reply);
    assert_alive(s);
}

static void test_greeting(void)
{
    QTestState *s = qtest_init_without_qmp_handshake(ARGS);
    JsonObject *greeting = qtest_qmp_receive(s);
    JsonObject *qmp = json_object_get_object_member(greeting, "QMP");
    JsonObject *version = json_object_get_object_member(qmp, "version");
    JsonArray *capabilities = json_object_get_array_member(qmp, "capabilities");

    g_assert_true(json_object_has_member(json_object_get_object_member(version, "qemu"), "major"));
    g_assert_cmpstr(json_array_get_string_element(capabilities, 0), ==, "oob");
    json_object_unref(greeting);
    qtest_quit(s);
}

static void test_negotiation(void)
{
    QTestState *s = qtest_init_without_qmp_handshake(ARGS);

    json_object_unref(qtest_qmp_receive(s));
    JsonObject *error = qtest_qmp_assert_failure_ref(s, "{'execute': 'query-version'}");
    g_assert_cmpstr(json_object_get_string_member(error, "class"), ==, "CommandNotFound");
    json_object_unref(error);
    error = qtest_qmp_assert_failure_ref(
        s, "{'execute': 'qmp_capabilities', 'arguments': {'enable': ['unknown']}}");
    json_object_unref(error);
    qtest_qmp_assert_success(s, "{'execute': 'qmp_capabilities'}");
    qtest_qmp_assert_success(s, "{'execute': 'query-version'}");
    qtest_quit(s);
}

static void test_malformed(void)
{
    g_autofree char *brackets = g_strnfill(100000, '[');
    g_autofree char *nested = g_strconcat(brackets, "\n", NULL);
    QTestState *s = qtest_init(ARGS);

    assert_error(s, "{]\n");
    assert_error(s, "{\xff");
    assert_error(s, "{'bad \xff");
    assert_error(s, "{\x01");
    assert_error(s, "{'execute': 'nonexistent', 'id':'\n");
    assert_error(s, "%p");
    assert_error(s, "null\n");
    assert_error(s, "[]");
    assert_error(s, "{}");
    assert_error(s, "{'execute': true}");
    assert_error(s, "{'execute': 'query-version', 'extra': 1}");
    assert_error(s, nested);
    qtest_quit(s);
}

static void test_ids(void)
{
    QTestState *s = qtest_init(ARGS);

    for (int i = 0; i < 200; i++) { /* far more than the session queues */
        qtest_qmp_send(s, "{'execute': 'query-name', 'id': %d}", i);
    }
    for (int i = 0; i < 200; i++) {
        JsonObject *reply = qtest_qmp_receive(s);
        g_assert_cmpint(json_object_get_int_member(reply, "id"), ==, i);
        json_object_unref(reply);
    }
    qtest_quit(s);
}

static void test_oob_needs_support(void)
{
    QTestState *s = qtest_init(ARGS);
    JsonObject *error = qtest_qmp_assert_failure_ref(s, "{'exec-oob': 'query-version', 'id': 1}");

    g_assert_nonnull(strstr(json_object_get_string_member(error, "desc"), "out-of-band"));
    json_object_unref(error);
    qtest_quit(s);
}

static void test_events(void)
{
    QTestState *s = qtest_init(ARGS);

    qtest_qmp_assert_success(s, "{'execute': 'quit'}");
    JsonObject *event = qtest_qmp_eventwait_ref(s, "SHUTDOWN");
    JsonObject *stamp = json_object_get_object_member(event, "timestamp");
    JsonObject *data = json_object_get_object_member(event, "data");
    g_assert_cmpint(json_object_get_int_member(stamp, "seconds"), >, 0);
    g_assert_cmpint(json_object_get_int_member(stamp, "microseconds"), <, 1000000);
    g_assert_cmpstr(json_object_get_string_member(data, "reason"), ==, "host-qmp-quit");
    json_object_unref(event);
    g_assert_cmpint(qtest_wait_exit(s), ==, 0);
    qtest_quit(s);
}

static void test_fds(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    QTestState *s = qtest_init(ARGS);
    JsonObject *reply =
        qtest_qmp_fds(s, &fd, 1, "{'execute': 'add-fd', 'arguments': {'fdset-id': 3, 'opaque': %s}}", "o");

    g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(reply, "return"), "fdset-id"),
                    ==, 3);
    json_object_unref(reply);
    JsonNode *sets = qtest_qmp_assert_success_ref(s, "{'execute': 'query-fdsets'}");
    g_assert_cmpuint(json_array_get_length(json_node_get_array(sets)), ==, 1);
    json_node_unref(sets);
    json_object_unref(qtest_qmp_assert_failure_ref(s, "{'execute': 'getfd', 'arguments': {'fdname': 'f'}}"));
    reply = qtest_qmp_fds(s, &fd, 1, "{'execute': 'getfd', 'arguments': {'fdname': 'f'}}");
    g_assert_true(json_object_has_member(reply, "return"));
    json_object_unref(reply);
    qtest_qmp_assert_success(s, "{'execute': 'closefd', 'arguments': {'fdname': 'f'}}");
    close(fd);
    qtest_quit(s);
}

static JsonObject *find_entry(JsonArray *schema, const char *name)
{
    for (guint i = 0; i < json_array_get_length(schema); i++) {
        JsonObject *entry = json_array_get_object_element(schema, i);
        if (!strcmp(json_object_get_string_member(entry, "name"), name)) {
            return entry;
        }
    }
    return NULL;
}

/* Every command that is listed is described, and its types are there. */
static void test_schema(void)
{
    QTestState *s = qtest_init(ARGS);
    JsonNode *schema_node = qtest_qmp_assert_success_ref(s, "{'execute': 'query-qmp-schema'}");
    JsonNode *commands_node = qtest_qmp_assert_success_ref(s, "{'execute': 'query-commands'}");
    JsonArray *schema = json_node_get_array(schema_node), *commands = json_node_get_array(commands_node);

    g_assert_cmpuint(json_array_get_length(commands), >, 10);
    for (guint i = 0; i < json_array_get_length(commands); i++) {
        const char *name = json_object_get_string_member(json_array_get_object_element(commands, i), "name");
        JsonObject *entry = find_entry(schema, name);
        g_assert_nonnull(entry);
        g_assert_cmpstr(json_object_get_string_member(entry, "meta-type"), ==, "command");
        g_assert_nonnull(find_entry(schema, json_object_get_string_member(entry, "arg-type")));
        g_assert_nonnull(find_entry(schema, json_object_get_string_member(entry, "ret-type")));
    }
    json_node_unref(schema_node);
    json_node_unref(commands_node);
    qtest_quit(s);
}

/* What only asks may be asked without arguments, at any time, and must not do harm. */
static void test_queries(void)
{
    QTestState *s = qtest_init(ARGS);
    JsonNode *commands_node = qtest_qmp_assert_success_ref(s, "{'execute': 'query-commands'}");
    JsonArray *commands = json_node_get_array(commands_node);

    for (guint i = 0; i < json_array_get_length(commands); i++) {
        const char *name = json_object_get_string_member(json_array_get_object_element(commands, i), "name");
        if (g_str_has_prefix(name, "query-")) {
            JsonObject *reply = qtest_qmp(s, "{'execute': %s}", name);
            g_assert_true(json_object_has_member(reply, "return") || json_object_has_member(reply, "error"));
            json_object_unref(reply);
        }
    }
    json_node_unref(commands_node);
    qtest_quit(s);
}

static void test_two_machines(void)
{
    QTestState *one = qtest_init(ARGS), *two = qtest_init(ARGS);

    qtest_qmp_assert_success(one, "{'execute': 'query-version'}");
    qtest_quit(one);
    qtest_qmp_assert_success(two, "{'execute': 'query-version'}");
    qtest_quit(two);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qmp/greeting/has-version-and-capabilities", test_greeting);
    g_test_add_func("/qmp/negotiation/comes-first", test_negotiation);
    g_test_add_func("/qmp/input/malformed-is-survived", test_malformed);
    g_test_add_func("/qmp/input/many-requests-at-once", test_ids);
    g_test_add_func("/qmp/oob/only-where-supported", test_oob_needs_support);
    g_test_add_func("/qmp/events/shutdown", test_events);
    g_test_add_func("/qmp/fds/are-received", test_fds);
    g_test_add_func("/qmp/schema/describes-all-commands", test_schema);
    g_test_add_func("/qmp/queries/all-answer", test_queries);
    g_test_add_func("/qmp/libqtest/two-machines", test_two_machines);
    return g_test_run();
}
