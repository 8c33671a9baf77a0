/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine behind the migration tests. */
#include "migration-fake.h"

#include "migration/migration.h"
#include "migration/stream.h"
#include "system/memory.h"
#include "util/event-loop.h"

Fake fake;
RAMBlock *ram0, *ram1;
const StreamConfig native_config = {.machine = "toy", .profile = STATE_PROFILE_NATIVE};
const StreamConfig qemu_config = {.machine = "toy", .profile = STATE_PROFILE_QEMU};

void fake_fields(StateIO *io, void *opaque)
{
    Fake *s = opaque;

    STATE_BOOL(io, s->flag);
    STATE_U8_RANGE(io, s->small, 0, 100);
    STATE_U16S(io, s->shorts, 3);
    STATE_U32(io, s->word);
    STATE_U64(io, s->wide);
    STATE_I64(io, s->sign);
    STATE_BUFFER(io, s->bytes, 5);
    state_unused(io, 3);
    for (int i = 0; i < 3; i++) {
        state_struct_begin(io, "inner", "fake/inner", 2, i);
        STATE_U32(io, s->inner[i]);
        state_struct_end(io);
    }
    if (state_subsection(io, "fake/extra", 1, s->extra != 0)) {
        STATE_U32(io, s->extra);
        state_subsection_end(io);
    }
}

static const StateSection fake_section = {.name = "fake", .version = 3, .min_version = 2, .fields = fake_fields};

void make_machine(void)
{
    bql_init();
    bql_lock();
    event_loop_main();
    memory_init();
    migration_init();
    ram0 = ram_block_new_anonymous("ram0", 4 * PAGE, 0, RAM_MIGRATABLE, NULL);
    ram1 = ram_block_new_anonymous("ram1", 67 * PAGE, 0, RAM_MIGRATABLE, NULL);
    state_register(&fake_section, NULL, 0, &fake);
}

void end_machine(void)
{
    migration_shutdown();
    ram_block_free(ram0);
    ram_block_free(ram1);
}

void fill_machine(unsigned seed)
{
    fake = (Fake){true, 42, {1, 2, 3}, 0x12345678, UINT64_C(0x123456789abcdef0), -5, "abcd", seed, {7, 8, 9}};
    memset(ram0->host, 0, ram0->used_length);
    memset(ram1->host, 0, ram1->used_length);
    ram0->host[0] = (uint8_t)seed;
    memset(ram1->host + PAGE, (int)seed, PAGE);
    ram1->host[ram1->used_length - 1] = 1;
    ram_block_note_written(ram0, 0, ram0->used_length); /* what is not noted is taken for zeroes */
    ram_block_note_written(ram1, 0, ram1->used_length);
}

GByteArray *save_machine(const StreamConfig *config)
{
    StreamWriter *writer = writer_new(NULL);
    GByteArray *bytes = writer->memory;
    RamStats stats = {0};
    RamState rs;
    GError *error = NULL;

    sections_write_header(writer, config);
    g_assert_true(ram_setup(&rs, writer, false, &stats, &error));
    g_assert_true(ram_save_setup(&rs, &error));
    migration_bitmap_sync(&rs);
    ram_part_begin(&rs, SECTION_END);
    while (ram_save_block(&rs)) {
    }
    ram_part_end(&rs);
    g_assert_true(sections_save_devices(writer, config, &error));
    bql_unlock();
    ram_cleanup(&rs);
    bql_lock();
    g_byte_array_ref(bytes);
    writer_free(writer);
    return bytes;
}

char *load_machine(const void *data, size_t size, const StreamConfig *config)
{
    StreamReader *reader = reader_new_memory(data, size);
    SectionLoader loader;
    RamLoad ram;
    char *message = NULL;

    section_loader_init(&loader, reader, config);
    ram_load_init(&ram, false, "ram0");
    loader.iterative = &ram_section;
    loader.iterative_opaque = &ram;
    loader.lock_bql = true;
    bql_unlock();
    if (!sections_load_header(&loader) || !sections_load(&loader)) {
        g_assert_nonnull(reader->error);
        message = g_strdup(reader->error->message);
    }
    bql_lock();
    ram_load_clear(&ram);
    section_loader_clear(&loader);
    reader_free(reader);
    return message;
}
