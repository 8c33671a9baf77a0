/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON as text: unsigned members by their table, escapes, both layouts. */
#include "api/json-write.h"

#include <math.h>

typedef struct Inner {
    uint64_t size;
    int64_t delta;
} Inner;

typedef struct Outer {
    uint64_t address;
    Inner inner;
    GPtrArray *list;
    char *text;
    double ratio;
} Outer;

static const Field inner_fields[] = {
    F_SIZE(Inner, size, "size"),
    F_I64(Inner, delta, "delta"),
    FIELD_END,
};

static const Field outer_fields[] = {
    F_U64(Outer, address, "address"),
    F_OBJECT(Outer, inner, "inner", inner_fields, "Inner"),
    F_LIST(Outer, list, "list", inner_fields, Inner, "Inner"),
    F_STRING(Outer, text, "text"),
    F_NUMBER(Outer, ratio, "ratio"),
    FIELD_END,
};

static void assert_written(const Outer *outer, bool pretty, const char *expected)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    g_autoptr(GString) text = g_string_new(NULL);

    json_node_take_object(node, fields_to_json(outer_fields, outer));
    json_write(text, node, outer_fields, pretty);
    g_assert_cmpstr(text->str, ==, expected);
}

static void test_unsigned(void)
{
    Inner element = {UINT64_MAX, INT64_MIN};
    g_autoptr(GPtrArray) list = g_ptr_array_new();
    Outer outer = {.address = UINT64_C(1) << 63, .inner = {UINT64_MAX, -1}, .list = list};

    g_ptr_array_add(list, &element);
    assert_written(&outer, false,
                   "{\"address\":9223372036854775808,"
                   "\"inner\":{\"size\":18446744073709551615,\"delta\":-1},"
                   "\"list\":[{\"size\":18446744073709551615,\"delta\":-9223372036854775808}],"
                   "\"text\":\"\",\"ratio\":0.0}");
}

static void test_text(void)
{
    Outer outer = {.text = (char *)"a\"\\\n\x01\xff\xc3\xa9", .ratio = NAN};

    assert_written(&outer, false,
                   "{\"address\":0,\"inner\":{\"size\":0,\"delta\":0},\"list\":[],"
                   "\"text\":\"a\\\"\\\\\\n\\u0001\xef\xbf\xbd\xc3\xa9\",\"ratio\":null}");
}

static void test_pretty(void)
{
    Outer outer = {.ratio = 1.5};

    assert_written(
        &outer, true,
        "{\n    \"address\": 0,\n    \"inner\": {\n        \"size\": 0,\n        \"delta\": 0\n    },\n"
        "    \"list\": [],\n    \"text\": \"\",\n    \"ratio\": 1.5\n}");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/json-write/integer/the-table-says-unsigned", test_unsigned);
    g_test_add_func("/json-write/string/is-escaped-and-valid", test_text);
    g_test_add_func("/json-write/layout/pretty-is-indented", test_pretty);
    return g_test_run();
}
