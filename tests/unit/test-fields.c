/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fields: text and JSON in and out of a struct, and what is said about bad input. */
#include "api/field.h"
#include "util/error.h"

#include <string.h>

typedef struct Point {
    int64_t x, y;
} Point;

static const Field point_fields[] = {
    F_I64(Point, x, "x"),
    F_I64(Point, y, "y", .optional = true),
    FIELD_END,
};

static const char *const color_names[] = {"red", "green", "blue", NULL};

typedef struct Thing {
    bool on, has_speed;
    uint8_t small;
    uint64_t speed, size;
    int64_t offset;
    double ratio;
    char *name;
    int color;
    Point at;
    GPtrArray *points, *words;
    JsonNode *any;
} Thing;

static const Field thing_fields[] = {
    F_BOOL(Thing, on, "on", .optional = true),
    F_U8(Thing, small, "small", .default_value = "7", .max = 100),
    F_U64(Thing, speed, "max-speed", .optional = true, F_HAS(Thing, has_speed)),
    F_SIZE(Thing, size, "size", .optional = true),
    F_I64(Thing, offset, "offset", .optional = true),
    F_NUMBER(Thing, ratio, "ratio", .optional = true),
    F_STRING(Thing, name, "name", .optional = true),
    F_ENUM(Thing, color, "color", color_names, "Color", .default_value = "green"),
    F_OBJECT(Thing, at, "at", point_fields, "Point", .optional = true),
    F_LIST(Thing, points, "points", point_fields, Point, "Point", .optional = true),
    F_STRING_LIST(Thing, words, "words", .optional = true),
    F_ANY(Thing, any, "any", .optional = true),
    FIELD_END,
};

static JsonObject *json(const char *text)
{
    JsonNode *node = json_from_string(text, NULL);
    JsonObject *object = json_node_dup_object(node);

    json_node_unref(node);
    return object;
}

static void assert_json_error(const char *text, const char *expected)
{
    g_autoptr(JsonObject) object = json(text);
    g_autoptr(GError) error = NULL;
    Thing thing = {0};

    fields_init(thing_fields, &thing);
    g_assert_false(fields_from_json(thing_fields, &thing, object, &error));
    g_assert_cmpstr(error->message, ==, expected);
    g_assert_null(thing.name);
    g_assert_null(thing.points);
}

static void test_defaults(void)
{
    Thing thing = {0};

    fields_init(thing_fields, &thing);
    g_assert_cmpuint(thing.small, ==, 7);
    g_assert_cmpint(thing.color, ==, 1);
    g_assert_false(thing.has_speed);
    fields_clear(thing_fields, &thing);
}

static void test_json_round_trip(void)
{
    const char *text = "{\"on\":true,\"small\":9,\"max-speed\":5,\"size\":4096,\"offset\":-3,\"ratio\":0.5,"
                       "\"name\":\"a\\\"b\",\"color\":\"blue\",\"at\":{\"x\":1,\"y\":2},"
                       "\"points\":[{\"x\":3,\"y\":4}],\"words\":[\"p\",\"q\"],\"any\":[null,{}]}";
    g_autoptr(JsonObject) in = json(text);
    g_autoptr(GError) error = NULL;
    Thing thing = {0};

    fields_init(thing_fields, &thing);
    g_assert_true(fields_from_json(thing_fields, &thing, in, &error));
    g_assert_no_error(error);
    JsonNode *out = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(out, fields_to_json(thing_fields, &thing));
    g_autofree char *written = json_to_string(out, FALSE);
    g_assert_cmpstr(written, ==, text);
    json_node_unref(out);
    fields_clear(thing_fields, &thing);
}

static void test_absent_members_are_left_out(void)
{
    g_autoptr(JsonObject) in = json_object_new();
    Thing thing = {0};

    fields_init(thing_fields, &thing);
    g_assert_true(fields_from_json(thing_fields, &thing, in, NULL));
    g_autoptr(JsonObject) out = fields_to_json(thing_fields, &thing);
    g_assert_false(json_object_has_member(out, "max-speed"));
    g_assert_false(json_object_has_member(out, "name"));
    g_assert_false(json_object_has_member(out, "words"));
    g_assert_true(json_object_has_member(out, "small"));
    fields_clear(thing_fields, &thing);
}

static void test_json_errors(void)
{
    assert_json_error("{\"max-sped\":1}", "parameter 'max-sped' is unexpected (did you mean 'max-speed'?)");
    assert_json_error("{\"name\":\"x\",\"zzzzzzzz\":1}", "parameter 'zzzzzzzz' is unexpected");
    assert_json_error("{\"at\":{\"y\":1}}", "in 'at': parameter 'x' is missing");
    assert_json_error("{\"small\":101}", "parameter 'small' expects a number from 0 to 100");
    assert_json_error("{\"small\":-1}", "parameter 'small' expects a number from 0 to 100");
    assert_json_error("{\"small\":1.5}", "invalid type of parameter 'small', expected: an integer");
    assert_json_error("{\"name\":null}", "invalid type of parameter 'name', expected: a string");
    assert_json_error("{\"color\":\"blu\"}",
                      "parameter 'color' does not accept value 'blu' (did you mean 'blue'?)");
    assert_json_error("{\"points\":[{\"x\":1},{\"x\":\"a\"}]}",
                      "in 'points': invalid type of parameter 'x', expected: an integer");
    assert_json_error("{\"words\":[\"a\",1]}",
                      "invalid type of parameter 'words', expected: a list of strings");
}

static void test_options_fill_members(void)
{
    g_autoptr(GError) error = NULL;
    Thing thing = {0};

    fields_init(thing_fields, &thing);
    g_assert_true(fields_parse_options(thing_fields, &thing,
                                       "vi,,rt,on,max_speed=0x10,size=1.5G,at.x=-4,words=a,words=b,,c",
                                       "name", &error));
    g_assert_no_error(error);
    g_assert_cmpstr(thing.name, ==, "vi,rt");
    g_assert_true(thing.on);
    g_assert_true(thing.has_speed);
    g_assert_cmpuint(thing.speed, ==, 16);
    g_assert_cmpuint(thing.size, ==, UINT64_C(3) << 29);
    g_assert_cmpint(thing.at.x, ==, -4);
    g_assert_cmpstr(thing.words->pdata[1], ==, "b,c");
    fields_clear(thing_fields, &thing);
}

static void assert_option_error(const char *text, const char *expected)
{
    g_autoptr(GError) error = NULL;
    Thing thing = {0};

    fields_init(thing_fields, &thing);
    g_assert_false(fields_parse_options(thing_fields, &thing, text, "name", &error));
    g_assert_cmpstr(error->message, ==, expected);
    fields_clear(thing_fields, &thing);
}

static void test_option_errors(void)
{
    assert_option_error("x,colour=red", "parameter 'colour' is unexpected (did you mean 'color'?)");
    assert_option_error("x,size", "parameter 'size' needs a value");
    assert_option_error("x,on=maybe", "parameter 'on': 'maybe' is neither 'on' nor 'off'");
    assert_option_error("x,=3", "a parameter name is missing in 'x,=3'");
    assert_option_error(
        "x,size=4Q",
        "parameter 'size': '4Q' is not a size (a number with an optional suffix k, M, G, T, P or E)");
    assert_option_error("x,max-speed=99999999999999999999",
                        "parameter 'max-speed': '99999999999999999999' does not fit into 64 bits");
}

static void test_no_prefix_turns_off(void)
{
    Thing thing = {0};

    fields_init(thing_fields, &thing);
    g_assert_true(fields_parse_options(thing_fields, &thing, "on=on,noon", NULL, NULL));
    g_assert_false(thing.on);
    fields_clear(thing_fields, &thing);
}

static void test_json_options_are_flattened(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) pairs =
        options_split("{\"driver\":\"d\",\"n\":3,\"b\":true,\"s\":{\"path\":\"p,q\"}}", "driver", &error);

    g_assert_no_error(error);
    g_assert_cmpuint(pairs->len, ==, 4);
    KeyValue *last = pairs->pdata[3];
    g_assert_cmpstr(last->key, ==, "s.path");
    g_assert_cmpstr(last->value, ==, "p,q");
    KeyValue *third = pairs->pdata[2];
    g_assert_cmpstr(third->value, ==, "on");
}

static void assert_size(const char *text, unsigned shift, uint64_t expected)
{
    uint64_t value;

    g_assert_true(parse_size(text, shift, &value, NULL));
    g_assert_cmphex(value, ==, expected);
}

static void test_sizes(void)
{
    static const char *const bad[] = {
        "",  "G", "-1", " 1", "1 G", "1GG", "0x", "99999999999G", "1.5.5", "16E", "18446744073709551616",
        NULL};
    uint64_t value;

    assert_size("4096", 0, 4096);
    assert_size("2G", 0, UINT64_C(2) << 30);
    assert_size("512", 20, UINT64_C(512) << 20);
    assert_size("4k", 20, 4096);
    assert_size("0.5M", 0, 512 << 10);
    assert_size("0x1000", 0, 4096);
    assert_size("18446744073709551615", 0, UINT64_MAX);
    assert_size("15E", 0, UINT64_C(15) << 60);
    for (int i = 0; bad[i]; i++) {
        g_assert_false(parse_size(bad[i], 0, &value, NULL));
    }
}

static void test_get_string(void)
{
    Thing thing = {0};

    fields_init(thing_fields, &thing);
    g_assert_null(field_get_string(thing_fields, &thing, "max-speed"));
    g_assert_true(field_set_string(thing_fields, &thing, "offset", "-5", NULL));
    g_autofree char *offset = field_get_string(thing_fields, &thing, "offset");
    g_autofree char *color = field_get_string(thing_fields, &thing, "color");
    g_assert_cmpstr(offset, ==, "-5");
    g_assert_cmpstr(color, ==, "green");
    fields_clear(thing_fields, &thing);
}

static void test_u64_takes_all_bits(void)
{
    g_autoptr(JsonObject) in = json("{\"max-speed\":18446744073709551615}");
    Thing thing = {0};

    fields_init(thing_fields, &thing);
    g_assert_true(fields_from_json(thing_fields, &thing, in, NULL));
    g_assert_cmpuint(thing.speed, ==, UINT64_MAX);
    fields_clear(thing_fields, &thing);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fields/init/sets-defaults", test_defaults);
    g_test_add_func("/fields/json/round-trips", test_json_round_trip);
    g_test_add_func("/fields/json/leaves-absent-members-out", test_absent_members_are_left_out);
    g_test_add_func("/fields/json/errors-name-the-member", test_json_errors);
    g_test_add_func("/fields/json/u64-takes-all-bits", test_u64_takes_all_bits);
    g_test_add_func("/fields/options/fill-members", test_options_fill_members);
    g_test_add_func("/fields/options/errors-name-the-parameter", test_option_errors);
    g_test_add_func("/fields/options/no-prefix-turns-a-switch-off", test_no_prefix_turns_off);
    g_test_add_func("/fields/options/json-is-flattened", test_json_options_are_flattened);
    g_test_add_func("/fields/text/sizes", test_sizes);
    g_test_add_func("/fields/text/members-as-text", test_get_string);
    return g_test_run();
}
