/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices, buses, lines, objects, sections of state; and the commands on them. */
#include "system/device.h"

#include <glib/gstdio.h>
#include <string.h>

#include "api/command.h"
#include "system/memory-backend.h"
#include "system/memory.h"
#include "system/physmem.h"
#include "system/runstate.h"
#include "system/state.h"
#include "util/rcu.h"

/* --- a bus and a device --- */

static bool refuse_plug;

static bool toy_plug(Bus *bus, Device *child, GError **error)
{
    if (refuse_plug) {
        g_set_error(error, g_quark_from_static_string("test"), 1, "no free slot");
        return false;
    }
    return true;
}

static const BusOps toy_bus_ops = {.type = "toy-bus", .plug = toy_plug, .hotplug = true};

typedef struct Lamp {
    Device parent;
    uint32_t watts;
    char *label;
    IRQ *out;
    unsigned resets, realizes;
    int input;
} Lamp;

static void lamp_input(void *opaque, int n, int level)
{
    Lamp *lamp = opaque;

    lamp->input = n * 10 + level;
}

static void lamp_init(Device *dev)
{
    Lamp *lamp = (Lamp *)dev;

    device_init_irq_in(dev, lamp_input, NULL, 2);
    device_init_irq_out(dev, &lamp->out, "shine", 1);
}

static bool lamp_realize(Device *dev, GError **error)
{
    ((Lamp *)dev)->realizes++;
    return true;
}

static void lamp_unrealize(Device *dev)
{
    ((Lamp *)dev)->realizes--;
}

static void lamp_reset(Device *dev)
{
    ((Lamp *)dev)->resets++;
}

static void lamp_fields(StateIO *io, void *opaque)
{
    Lamp *lamp = opaque;

    STATE_U32_RANGE(io, lamp->watts, 1, 100);
}

static const StateSection lamp_state = {
    .name = "lamp", .version = 1, .min_version = 1, .fields = lamp_fields};

static const Field lamp_properties[] = {
    F_U32(Lamp, watts, "watts", .default_value = "60"),
    F_STRING(Lamp, label, "label", .optional = true),
    FIELD_END,
};

DEVICE_TYPE(lamp_type, .name = "lamp", .alias = "light", .help = "shines", .bus = "toy-bus",
            .user_creatable = true, .hotpluggable = true, .instance_size = sizeof(Lamp),
            .properties = lamp_properties, .init = lamp_init, .realize = lamp_realize,
            .unrealize = lamp_unrealize, .reset = lamp_reset, .state = &lamp_state);

static Bus *bus;

static Lamp *add(const char *options, GError **error)
{
    g_autoptr(GPtrArray) pairs = options_split(options, "driver", NULL);

    return (Lamp *)device_add_from_options(pairs, error);
}

static void assert_fails(const char *options, const char *part)
{
    GError *error = NULL;

    g_assert_null(add(options, &error));
    g_assert_nonnull(error);
    if (!strstr(error->message, part)) {
        g_error("'%s' does not say '%s'", error->message, part);
    }
    g_error_free(error);
}

static void test_options_make_a_device(void)
{
    Lamp *lamp = add("light,id=l0,watts=25,label=desk", NULL);

    g_assert_nonnull(lamp);
    g_assert_cmpuint(lamp->watts, ==, 25);
    g_assert_cmpstr(lamp->label, ==, "desk");
    g_assert_cmpstr(lamp->parent.path, ==, "/machine/peripheral/l0");
    g_assert_true(lamp->parent.parent_bus == bus);
    g_assert_true(device_by_path_or_id("l0") == &lamp->parent);
    g_assert_true(device_by_path_or_id("/machine/peripheral/l0") == &lamp->parent);
    g_assert_nonnull(state_find("lamp", 0));
    device_delete(&lamp->parent);
    g_assert_null(state_find("lamp", 0));
    g_assert_null(device_by_path_or_id("l0"));
    g_assert_cmpuint(bus->children->len, ==, 0);
}

static void test_bad_options_leave_nothing(void)
{
    assert_fails("lamb", "did you mean 'lamp'");
    assert_fails("lamp,wats=3", "watts");
    assert_fails("lamp,watts=much", "watts");
    assert_fails("lamp,bus=nowhere", "bus 'nowhere' not found");
    refuse_plug = true;
    assert_fails("lamp", "no free slot");
    refuse_plug = false;
    g_assert_cmpuint(bus->children->len, ==, 0);
}

static void test_ids_are_unique(void)
{
    Lamp *lamp = add("lamp,id=only", NULL);

    assert_fails("lamp,id=only", "already a device");
    device_delete(&lamp->parent);
}

static void test_full_bus_refuses(void)
{
    Lamp *lamp;

    bus->max_children = 1;
    lamp = add("lamp", NULL);
    assert_fails("lamp", "has room");
    assert_fails("lamp,bus=toys.0", "is full");
    device_delete(&lamp->parent);
    bus->max_children = 0;
}

static void test_global_changes_default(void)
{
    Lamp *lamp;

    g_assert_true(device_global_add("lamp", "watts", "11", NULL));
    g_assert_false(device_global_add("lamp", "wings", "2", NULL));
    g_assert_true(device_global_add("unknown-type", "wings", "2", NULL));
    lamp = add("lamp", NULL);
    g_assert_cmpuint(lamp->watts, ==, 11);
    device_delete(&lamp->parent);
}

static void test_reset_reaches_realized_devices(void)
{
    Lamp *lamp = add("lamp", NULL);

    devices_reset_all();
    g_assert_cmpuint(lamp->resets, ==, 1);
    device_delete(&lamp->parent);
}

static void test_property_is_fixed_once_realized(void)
{
    Lamp *lamp = add("lamp,id=fixed", NULL);

    g_assert_false(device_set(&lamp->parent, "watts", "1", NULL));
    device_delete(&lamp->parent);
}

/* --- lines --- */

static int observed;

static void observe(void *opaque, int n, int level)
{
    observed = 100 + n * 10 + level;
}

static void test_lines_reach_their_listener(void)
{
    Lamp *a = add("lamp", NULL), *b = add("lamp", NULL);

    irq_raise(NULL);
    irq_raise(a->out);
    device_connect_irq(&a->parent, "shine", 0, device_irq_in(&b->parent, NULL, 1));
    irq_raise(a->out);
    g_assert_cmpint(b->input, ==, 11);
    irq_lower(a->out);
    g_assert_cmpint(b->input, ==, 10);
    g_assert_null(device_irq_in(&b->parent, NULL, 2));
    device_delete(&a->parent);
    device_delete(&b->parent);
}

static void test_interception_sees_changes(void)
{
    Lamp *a = add("lamp", NULL);

    g_assert_true(device_intercept_irqs(&a->parent, "shine", true, observe, NULL));
    g_assert_false(device_intercept_irqs(&a->parent, "nothing", true, observe, NULL));
    irq_raise(a->out);
    g_assert_cmpint(observed, ==, 101);
    observed = 0;
    irq_raise(a->out);
    g_assert_cmpint(observed, ==, 0); /* no change */
    irq_lower(a->out);
    g_assert_cmpint(observed, ==, 100);
    g_assert_true(device_intercept_irqs(&a->parent, NULL, false, observe, NULL));
    irq_raise(device_irq_in(&a->parent, NULL, 1));
    g_assert_cmpint(observed, ==, 111);
    g_assert_cmpint(a->input, ==, 11);
    device_delete(&a->parent);
}

/* --- objects --- */

static bool add_object(const char *type, const char *id, const char *options, GError **error)
{
    g_autoptr(GPtrArray) pairs = options_split(options, NULL, NULL);

    return object_add(type, id, pairs, error);
}

static void test_memory_backend_is_claimed_once(void)
{
    MemoryBackend *backend;
    MemoryRegion *region;

    g_assert_true(add_object("memory-backend-ram", "m0", "size=1M", NULL));
    backend = memory_backend_find("m0", NULL);
    region = memory_backend_claim(backend, NULL);
    g_assert_nonnull(region);
    g_assert_cmpstr(region->ram_block->idstr, ==, "m0");
    g_assert_null(memory_backend_claim(backend, NULL));
    g_assert_false(object_del("m0", NULL));
    memory_backend_release(backend);
    g_assert_true(object_del("m0", NULL));
    g_assert_null(memory_backend_find("m0", NULL));
}

static void test_file_backend_shares_its_file(void)
{
    g_autofree char *dir = g_dir_make_tmp("godwit-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "ram", NULL);
    g_autofree char *options = g_strdup_printf("size=64k,share=on,mem-path=%s", path);
    g_autofree char *contents = NULL;
    MemoryBackend *backend;
    gsize length;

    g_assert_true(add_object("memory-backend-file", "f0", options, NULL));
    backend = memory_backend_find("f0", NULL);
    strcpy(memory_region_get_ram_ptr(memory_backend_claim(backend, NULL)), "written by the guest");
    g_assert_true(g_file_get_contents(path, &contents, &length, NULL));
    g_assert_cmpuint(length, ==, 65536);
    g_assert_cmpstr(contents, ==, "written by the guest");
    memory_backend_release(backend);
    g_assert_true(object_del("f0", NULL));
    g_assert_false(add_object("memory-backend-file", "f1", "size=64k", NULL));
    g_assert_false(add_object("memory-backend-ram", "f1", "", NULL));
    g_assert_false(add_object("memory-backend-rum", "f1", "size=1M", NULL));
    g_remove(path);
    g_rmdir(dir);
}

/* --- state --- */

static bool load_number(StateIO *io, const char *name, StateFieldType type, void *data, size_t n,
                        size_t stride)
{
    *(uint32_t *)data = 1000;
    return true;
}

static const StateIOOps loader = {.field = load_number};

static void test_loaded_value_out_of_range_fails(void)
{
    StateIO io = {.ops = &loader, .direction = STATE_LOADING};
    Lamp lamp = {.watts = 40};

    lamp_fields(&io, &lamp);
    g_assert_nonnull(io.error);
    g_assert_nonnull(strstr(io.error->message, "watts"));
    g_assert_cmpuint(lamp.watts, ==, 40);
    g_error_free(io.error);
}

static void test_sections_are_sorted_by_priority(void)
{
    static const StateSection low = {.name = "low"},
                              high = {.name = "high", .priority = STATE_PRIORITY_PCI_BUS};
    g_autoptr(GPtrArray) entries = NULL;

    state_register(&low, NULL, -1, NULL);
    state_register(&low, NULL, -1, &refuse_plug);
    state_register(&high, NULL, -1, NULL);
    entries = state_entries();
    g_assert_cmpstr(((StateEntry *)g_ptr_array_index(entries, 0))->idstr, ==, "high");
    g_assert_nonnull(state_find("low", 1));
    state_unregister(&low, &refuse_plug);
    g_assert_null(state_find("low", 1));
    state_unregister(&low, NULL);
    state_unregister(&high, NULL);
}

/* --- commands --- */

static JsonNode *qmp(const char *name, const char *args, GError **error)
{
    g_autoptr(JsonNode) node = json_from_string(args, NULL);
    CommandContext ctx = {0};

    return command_run_json(command_find_qmp(name), &ctx, json_node_get_object(node), error);
}

static void test_commands_add_and_delete(void)
{
    GError *error = NULL;
    g_autoptr(JsonNode) added = qmp("device_add", "{'driver':'lamp','id':'q0','watts':7}", NULL);
    g_autoptr(JsonNode) watts = qmp("qom-get", "{'path':'/machine/peripheral/q0','property':'watts'}", NULL);
    g_autoptr(JsonNode) listed = qmp("qom-list", "{'path':'/machine/peripheral'}", NULL);
    g_autoptr(JsonNode) deleted = qmp("device_del", "{'id':'q0'}", NULL);

    g_assert_nonnull(added);
    g_assert_cmpint(json_node_get_int(watts), ==, 7);
    g_assert_cmpuint(json_array_get_length(json_node_get_array(listed)), ==, 1);
    g_assert_nonnull(deleted);
    g_assert_null(qmp("device_del", "{'id':'q0'}", &error));
    g_assert_cmpstr(api_error_class(error), ==, "DeviceNotFound");
    g_error_free(error);
}

static void test_types_are_listed_by_kind(void)
{
    g_autoptr(JsonNode) devices = qmp("qom-list-types", "{'implements':'device'}", NULL);
    JsonArray *list = json_node_get_array(devices);
    bool found = false;

    for (unsigned i = 0; i < json_array_get_length(list); i++) {
        JsonObject *type = json_array_get_object_element(list, i);

        found |= !strcmp(json_object_get_string_member(type, "name"), "lamp");
    }
    g_assert_true(found);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bql_init();
    bql_lock();
    memory_init();
    bus = bus_new(NULL, &toy_bus_ops, "toys.0");
    g_test_add_func("/device/add/options-make-a-device", test_options_make_a_device);
    g_test_add_func("/device/add/bad-options-leave-nothing", test_bad_options_leave_nothing);
    g_test_add_func("/device/add/ids-are-unique", test_ids_are_unique);
    g_test_add_func("/device/add/full-bus-refuses", test_full_bus_refuses);
    g_test_add_func("/device/reset/reaches-realized-devices", test_reset_reaches_realized_devices);
    g_test_add_func("/device/property/fixed-once-realized", test_property_is_fixed_once_realized);
    g_test_add_func("/device/irq/lines-reach-their-listener", test_lines_reach_their_listener);
    g_test_add_func("/device/irq/interception-sees-changes", test_interception_sees_changes);
    g_test_add_func("/object/memory-backend/claimed-once", test_memory_backend_is_claimed_once);
    g_test_add_func("/object/memory-backend/file-is-shared", test_file_backend_shares_its_file);
    g_test_add_func("/state/range/value-outside-fails", test_loaded_value_out_of_range_fails);
    g_test_add_func("/state/entries/sorted-by-priority", test_sections_are_sorted_by_priority);
    g_test_add_func("/device/commands/add-and-delete", test_commands_add_and_delete);
    g_test_add_func("/device/commands/types-by-kind", test_types_are_listed_by_kind);
    g_test_add_func("/device/global/changes-default", test_global_changes_default);
    return g_test_run();
}
