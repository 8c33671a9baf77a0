/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams that QEMU 10.0.2 wrote (tests/golden) against our framing.
 *
 * Stand-ins are made from the stream's own description: a section that holds so many bytes, a RAM block of that name
 * and size.  The loader must walk the stream to its end, and saving must give the device sections back byte for byte.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "migration/channel.h"
#include "migration/ram.h"
#include "migration/sections.h"
#include "migration/state-io.h"
#include "system/memory.h"
#include "system/physmem.h"
#include "system/runstate.h"
#include "util/bswap.h"
#include "util/file.h"

static const StreamConfig local = {.machine = "virt", .profile = STATE_PROFILE_QEMU};

/* --- stand-ins --- */

typedef struct Opaque {
    StateSection section;
    uint8_t *bytes;
    size_t size;
} Opaque;

static void opaque_fields(StateIO *io, void *opaque)
{
    Opaque *s = opaque;

    STATE_BUFFER(io, s->bytes, s->size);
}

static uint64_t fields_size(JsonArray *fields)
{
    uint64_t size = 0;

    for (guint i = 0; i < json_array_get_length(fields); i++) {
        JsonObject *field = json_array_get_object_element(fields, i);
        guint64 n = json_object_has_member(field, "array_len") ? json_object_get_int_member(field, "array_len") : 1;

        size += n * (guint64)json_object_get_int_member(field, "size");
    }
    return size;
}

/* A device or a subsection: its fields, then its subsections with mark, name and version. */
static uint64_t body_size(JsonObject *body)
{
    uint64_t size = fields_size(json_object_get_array_member(body, "fields"));
    JsonArray *subs = json_object_has_member(body, "subsections") ? json_object_get_array_member(body, "subsections")
                                                                  : NULL;

    for (guint i = 0; subs && i < json_array_get_length(subs); i++) {
        JsonObject *sub = json_array_get_object_element(subs, i);

        size += 1 + 1 + strlen(json_object_get_string_member(sub, "vmsd_name")) + 4 + body_size(sub);
    }
    return size;
}

static Opaque *register_device(JsonObject *device)
{
    Opaque *s = g_new0(Opaque, 1);

    s->size = body_size(device);
    s->bytes = g_malloc0(s->size);
    s->section = (StateSection){
        .name = json_object_get_string_member(device, "name"),
        .version = (int)json_object_get_int_member(device, "version"),
        .fields = opaque_fields,
    };
    state_register(&s->section, NULL, (int)json_object_get_int_member(device, "instance_id"), s);
    return s;
}

/* The description at the end of the stream; @devices_end: where EOF stands. */
static JsonNode *description(const uint8_t *data, size_t size, size_t *devices_end)
{
    const char *start = memmem(data, size, "{\"configuration\"", 16);
    size_t at, length;
    g_autofree char *text = NULL;

    g_assert_nonnull(start);
    at = (size_t)((const uint8_t *)start - data);
    length = ldl_be_p(data + at - 4);
    g_assert_cmpuint(at + length, ==, size);
    g_assert_cmpint(data[at - 5], ==, SECTION_VMDESC);
    g_assert_cmpint(data[at - 6], ==, SECTION_EOF);
    *devices_end = at - 6;
    text = g_strndup(start, length);
    return json_from_string(text, NULL);
}

static GPtrArray *register_devices(JsonNode *desc)
{
    JsonArray *devices = json_object_get_array_member(json_node_get_object(desc), "devices");
    GPtrArray *list = g_ptr_array_new();

    for (guint i = 0; i < json_array_get_length(devices); i++) {
        g_ptr_array_add(list, register_device(json_array_get_object_element(devices, i)));
    }
    return list;
}

static void unregister_devices(GPtrArray *list)
{
    for (guint i = 0; i < list->len; i++) {
        Opaque *s = g_ptr_array_index(list, i);

        state_unregister(&s->section, s);
        g_free(s->bytes);
        g_free(s);
    }
    g_ptr_array_unref(list);
}

static const struct {
    const char *name;
    uint64_t size;
} blocks[] = {
    {"virt.flash0", 0x2000000}, {"virt.flash1", 0x2000000}, {"riscv_virt_board.ram", 16 << 20},
    {"riscv_virt_board.mrom", 0xf000},
};

/* --- the walk --- */

static char *unpack(const char *name)
{
    g_autofree char *packed = g_test_build_filename(G_TEST_DIST, name, NULL);
    char *path = NULL;
    g_autofree char *command = NULL;
    int fd = g_file_open_tmp("golden-XXXXXX", &path, NULL), status = 0;

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    command = g_strdup_printf("sh -c 'xz -dc \"%s\" | dd of=\"%s\" bs=64k conv=sparse 2>/dev/null'", packed, path);
    g_assert_true(g_spawn_command_line_sync(command, NULL, NULL, &status, NULL));
    g_assert_cmpint(status, ==, 0);
    return path;
}

static void load(SectionLoader *loader, StreamReader *reader, RamLoad *ram)
{
    section_loader_init(loader, reader, &local);
    loader->iterative = &ram_section;
    loader->iterative_opaque = ram;
    loader->lock_bql = true;
    bql_unlock();
    if (!sections_load_header(loader)) {
        g_error("%s", reader->error->message);
    }
    ram_load_init(ram, loader->config.mapped_ram, "riscv_virt_board.ram");
    if (!sections_load(loader)) {
        g_error("%s", reader->error->message);
    }
    bql_lock();
    g_assert_cmpint(loader->config.profile, ==, STATE_PROFILE_QEMU);
    g_assert_cmpuint(ram->blocks->len, ==, G_N_ELEMENTS(blocks));
    ram_load_clear(ram);
    section_loader_clear(loader);
}

/* From the first device section to EOF. */
static void check_saves_back(const uint8_t *data, size_t devices_end)
{
    StreamWriter *writer = writer_new(NULL);
    const uint8_t *eof;
    size_t size;

    g_assert_true(sections_save_devices(writer, &local, NULL));
    eof = memmem(writer->memory->data, writer->memory->len, "{\"configuration\"", 16);
    size = (size_t)(eof - 6 - writer->memory->data);
    g_assert_cmpuint(size, <, devices_end);
    g_assert_cmpmem(writer->memory->data, size, data + devices_end - size, size);
    writer_free(writer);
}

static void walk(const char *name)
{
    g_autofree char *path = unpack(name);
    g_autofree char *uri = g_strconcat("file:", path, NULL);
    gsize size;
    char *data;
    size_t devices_end;
    JsonNode *desc;
    GPtrArray *devices;
    Channel *channel = channel_open(uri, true, NULL);
    StreamReader *reader = reader_new(channel);
    SectionLoader loader;
    RamLoad ram;

    g_assert_true(g_file_get_contents(path, &data, &size, NULL));
    desc = description((uint8_t *)data, size, &devices_end);
    devices = register_devices(desc);
    load(&loader, reader, &ram);
    g_assert_cmpuint(reader->position, ==, size);
    check_saves_back((uint8_t *)data, devices_end);
    reader_free(reader);
    channel_free(channel);
    unregister_devices(devices);
    json_node_unref(desc);
    g_free(data);
    remove(path);
}

static void test_plain(void)
{
    walk("plain.mig.xz");
}

static void test_cpu_max(void)
{
    walk("cpumax.mig.xz");
}

static void test_virtio_mmio(void)
{
    walk("mmio.mig.xz");
}

static void test_mapped_ram(void)
{
    walk("mapped.mig.xz");
    g_assert_cmphex(ldl_le_p(ram_block_by_name("riscv_virt_board.mrom")->host + 0), ==, 0x00000297); /* auipc t0, 0 */
}

int main(int argc, char **argv)
{
    g_autofree char *xz = g_find_program_in_path("xz");

    g_test_init(&argc, &argv, NULL);
    if (!xz) {
        g_print("1..0 # SKIP no xz to unpack the streams\n");
        return 0;
    }
    bql_init();
    bql_lock();
    memory_init();
    for (unsigned i = 0; i < G_N_ELEMENTS(blocks); i++) {
        g_assert_nonnull(ram_block_new_anonymous(blocks[i].name, blocks[i].size, 0, RAM_MIGRATABLE, NULL));
    }
    g_test_add_func("/migration/golden/plain", test_plain);
    g_test_add_func("/migration/golden/cpu-max", test_cpu_max);
    g_test_add_func("/migration/golden/virtio-mmio", test_virtio_mmio);
    g_test_add_func("/migration/golden/mapped-ram", test_mapped_ram);
    return g_test_run();
}
