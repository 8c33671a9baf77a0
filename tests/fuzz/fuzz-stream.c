/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile streams for the loader of a whole `virt` machine, in one process.
 *
 * The deterministic driver captures the machine's own stream, cuts it at every byte and flips every bit that
 * is no page content; then flips the headers and bitmaps of its fixed-ram file.  Each case ends in an error
 * with a message or in a machine that can run; the machine then loads the unharmed stream, so that nothing of
 * a bad one stays. FUZZ_STRIDE: only each n-th case.  FUZZ_SEED: writes the captured stream to that file and ends.  With libFuzzer
 * (FUZZ_LIBFUZZER) the input is a stream, or a list of changes to a fixed-ram file.
 */
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/option.h"
#include "main/main.h"
#include "migration/migration-internal.h"
#include "migration/migration.h"
#include "migration/ram.h"
#include "migration/sections.h"
#include "system/cpu.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "util/bitmap.h"
#include "util/bswap.h"

#define PAGE TARGET_PAGE_SIZE
#define MARK 0x5a /* fills the pages that are not zero */

static StreamConfig config;
static struct {
    uint64_t cases, errors, loaded, ran;
} count;

/* --- the machine --- */

static bool no_disk_images(const char *word, GError **error)
{
    return false;
}

static void make_machine(void)
{
    char *argv[] = {"fuzz-stream", "-M",       "virt",        "-m",       "16M",          "-smp", "2",
                    "-bios",       "none",     "-nodefaults", "-display", "none",         "-S",   "-serial",
                    "null",        "-monitor", "none",        "-accel",   "tcg,tb-size=8"};
    GError *error = NULL;
    bool run = true;

    startup_init();
    if (!options_parse(G_N_ELEMENTS(argv), argv, no_disk_images, &error)) {
        g_error("%s", error->message);
    }
    bql_init();
    bql_lock();
    memory_init();
    cpus_init();
    main_loop_init();
    if (!wire_machine(&run, &error)) {
        g_error("%s", error->message);
    }
    stream_config_local(&config, migration_options());
}

static RAMBlock *main_ram(void)
{
    return ram_block_by_name("riscv_virt_board.ram");
}

/*
 * Only some pages of the main memory travel: the cases stay small.  Three of zeroes and two full ones side by side, and
 * one of each by itself.
 */
static const struct {
    unsigned page, n;
    bool full;
} chosen[] = {{0, 3, false}, {3, 2, true}, {8, 1, false}, {9, 1, true}};
#define CHOSEN_PAGES 7

static void choose_pages(RamState *rs)
{
    rs->dirty_pages = CHOSEN_PAGES;
    for (unsigned i = 0; i < rs->blocks->len; i++) {
        RAMBlock *block = g_ptr_array_index(rs->blocks, i);

        bitmap_clear(block->bmap, 0, ram_block_pages(block));
        for (unsigned c = 0; block == main_ram() && c < G_N_ELEMENTS(chosen); c++) {
            bitmap_set(block->bmap, chosen[c].page, chosen[c].n);
        }
    }
}

static void fill_pages(void)
{
    for (unsigned c = 0; c < G_N_ELEMENTS(chosen); c++) {
        memset(main_ram()->host + chosen[c].page * PAGE, chosen[c].full ? MARK : 0, chosen[c].n * PAGE);
        ram_block_note_written(main_ram(), chosen[c].page * PAGE, chosen[c].n * PAGE);
    }
}

static void save_machine(StreamWriter *writer, bool fixed_ram)
{
    StreamWriter *devices = writer_new(NULL);
    StreamConfig local = config;
    RamStats stats = {0};
    GError *error = NULL;
    RamState rs;

    local.mapped_ram = fixed_ram;
    fill_pages();
    sections_write_header(writer, &local);
    if (!ram_setup(&rs, writer, fixed_ram, &stats, &error)) {
        g_error("%s", error->message);
    }
    rs.zero_detection = ZERO_PAGE_DETECTION_LEGACY;
    rs.fixed = (FixedRamWriter){.channel = writer->channel, .records = local.records, .find_zeroes = true};
    if (!ram_save_setup(&rs, &error)) {
        g_error("%s", error->message);
    }
    migration_bitmap_sync(&rs);
    choose_pages(&rs);
    ram_part_begin(&rs, SECTION_END);
    rs.runs = true; /* the pages that lie side by side are runs, the others records as all profiles have them */
    while (ram_save_block(&rs)) {
        rs.runs = false;
    }
    ram_save_finish(&rs);
    ram_part_end(&rs);
    if (!sections_save_devices(devices, &local, &error)) {
        g_error("%s", error->message);
    }
    writer_bytes(writer, devices->memory->data, devices->memory->len);
    writer_free(devices);
    bql_unlock();
    ram_cleanup(&rs);
    bql_lock();
}

/* The error's message, or NULL. */
static char *load(StreamReader *reader, bool fixed_ram)
{
    StreamConfig local = config;
    SectionLoader loader;
    RamLoad ram;
    char *message = NULL;
    bool ok;

    local.mapped_ram = fixed_ram;
    globalstate_clear();
    section_loader_init(&loader, reader, &local);
    loader.iterative = &ram_section;
    loader.iterative_opaque = &ram;
    loader.lock_bql = true;
    bql_unlock();
    ok = sections_load_header(&loader);
    loader.missing_is_error = loader.config.profile == STATE_PROFILE_NATIVE;
    ram_load_init(&ram, loader.config.mapped_ram, "riscv_virt_board.ram");
    ram.fixed = (FixedRamLoad){.records = loader.config.records, .readers = 1};
    ok = ok && sections_load(&loader);
    bql_lock();
    ram_load_clear(&ram);
    if (!ok) {
        if (!reader->error || !reader->error->message[0]) {
            g_error("a load failed without a reason");
        }
        message = g_strdup(reader->error->message);
    }
    section_loader_clear(&loader);
    reader_free(reader);
    return message;
}

/* What was let in must be able to run. */
static void run_a_little(void)
{
    vm_start();
    bql_unlock();
    g_usleep(200);
    bql_lock();
    vm_stop(RUN_STATE_PAUSED);
    count.ran++;
}

/* Counts the case; whether it was an error. */
static bool settle(char *message)
{
    count.cases++;
    if (message) {
        count.errors++;
        g_free(message);
        return true;
    }
    if (count.loaded++ % 32 == 0) {
        run_a_little();
    }
    return false;
}

/* --- the good stream --- */

static GByteArray *capture(void)
{
    StreamWriter *writer = writer_new(NULL);
    GByteArray *bytes = g_byte_array_ref(writer->memory);

    save_machine(writer, false);
    writer_free(writer);
    return bytes;
}

static char *load_bytes(const uint8_t *data, size_t size)
{
    g_autofree uint8_t *copy = g_memdup2(data, size); /* of its own: a checker sees overruns */

    return load(reader_new_memory(copy, size), false);
}

/* A run of pages in the stream: the head of its record (u64 offset | flags), and the u32 that counts them. */
typedef struct Run {
    uint8_t *head, *count;
} Run;

static Run find_run(const GByteArray *stream, uint64_t page, uint64_t flags)
{
    uint8_t head[8];
    uint8_t *found;
    Run run;

    stq_be_p(head, page * PAGE | flags | RAM_SAVE_RUN);
    found = memmem(stream->data, stream->len, head, sizeof(head));
    g_assert_nonnull(found);
    run.head = found;
    run.count = found + 8 + (flags & RAM_SAVE_CONTINUE ? 0 : 1 + found[8]);
    return run;
}

/* Of zeroes, which is the first record, and of bytes. */
static void find_runs(const GByteArray *stream, Run runs[2])
{
    runs[0] = find_run(stream, chosen[0].page, RAM_SAVE_ZERO);
    runs[1] = find_run(stream, chosen[1].page, RAM_SAVE_PAGE | RAM_SAVE_CONTINUE);
    g_assert_cmpuint(ldl_be_p(runs[0].count), ==, chosen[0].n);
    g_assert_cmpuint(ldl_be_p(runs[1].count), ==, chosen[1].n);
}

/* --- a fixed-ram file --- */

static char *load_file(const char *path)
{
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    GError *error = NULL;
    Channel *channel = channel_open(uri, true, &error);
    char *message;

    g_assert_no_error(error);
    g_assert_true(channel_prepare(channel, &error));
    message = load(reader_new(channel), true);
    channel_free(channel);
    return message;
}

static void save_file(const char *path)
{
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    GError *error = NULL;
    Channel *channel = channel_open(uri, false, &error);
    StreamWriter *writer;

    g_assert_no_error(error);
    g_assert_true(channel_prepare(channel, &error));
    writer = writer_new(channel);
    save_machine(writer, true);
    writer_flush(writer);
    g_assert_true(writer_ok(writer, &error));
    writer_free(writer);
    channel_free(channel);
}

#ifdef FUZZ_LIBFUZZER

/*
 * An input that begins with "RUN" is a list of changes to the runs of a good stream: u8 which, u64 what its head or count
 * is xored with.  One that does not begin like a stream is a list of changes to a good fixed-ram file: u8 which block, u16
 * where from its entry in the list on (name, header, bitmap, record), u8 what the byte is xored with.
 */
#define RUN_PATCH_BYTES 9
#define PATCH_BYTES 4
#define ENTRY_BYTES 64 /* before the bitmap: name, length, header */

static char *file_path;
static int file_fd;

static void make_file(void)
{
    g_autofree char *dir = g_dir_make_tmp("godwit-fuzz-XXXXXX", NULL);

    file_path = g_build_filename(dir, "file", NULL);
    save_file(file_path);
    file_fd = open(file_path, O_RDWR | O_CLOEXEC);
    g_assert_cmpint(file_fd, >=, 0);
}

static off_t patch_place(const uint8_t *patch)
{
    RAMBlock *block = ram_list_first();

    for (unsigned skip = patch[0] % 8; skip && block->next; skip--) {
        block = block->next;
    }
    return (off_t)MAX(block->bitmap_offset, ENTRY_BYTES) - ENTRY_BYTES + (patch[1] << 8 | patch[2]) % 1024;
}

/* Applied twice the file is as it was. */
static void apply_patches(const uint8_t *data, size_t size)
{
    for (size_t at = 0; at + PATCH_BYTES <= size; at += PATCH_BYTES) {
        off_t place = patch_place(data + at);
        uint8_t byte;

        if (pread(file_fd, &byte, 1, place) == 1) {
            byte ^= data[at + 3];
            g_assert_cmpint(pwrite(file_fd, &byte, 1, place), ==, 1);
        }
    }
}

static char *load_changed_runs(const uint8_t *data, size_t size)
{
    static GByteArray *good;
    g_autofree uint8_t *copy = NULL;
    Run runs[2];

    good = good ? good : capture();
    find_runs(good, runs);
    copy = g_memdup2(good->data, good->len);
    for (size_t at = 0; at + RUN_PATCH_BYTES <= size; at += RUN_PATCH_BYTES) {
        const Run *run = &runs[data[at] & 1];
        bool head = data[at] & 2;
        uint8_t *place = copy + ((head ? run->head : run->count) - good->data);

        for (unsigned i = 0; i < (head ? 8 : 4); i++) {
            place[i] ^= data[at + 1 + i];
        }
    }
    return load_bytes(copy, good->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool made;

    if (!made) {
        make_machine();
        make_file();
        made = true;
    }
    if (size >= 4 && !memcmp(data, "QEVM", 4)) {
        settle(load(reader_new_memory(data, size), false));
    } else if (size >= 3 && !memcmp(data, "RUN", 3)) {
        settle(load_changed_runs(data + 3, size - 3));
    } else {
        apply_patches(data, size);
        settle(load_file(file_path));
        apply_patches(data, size);
    }
    return 0;
}

#else

static size_t stride(void)
{
    const char *text = g_getenv("FUZZ_STRIDE");

    return MAX(1, text ? g_ascii_strtoull(text, NULL, 0) : 1);
}

static void write_seed(const char *path)
{
    g_autoptr(GByteArray) stream = capture();
    bool ok = g_file_set_contents(path, (char *)stream->data, stream->len, NULL);

    _exit(ok ? 0 : 1);
}

/* Between the bytes of a page; what stands there is of no matter. */
static bool in_content(const GByteArray *stream, size_t at)
{
    static const uint8_t mark[32] = {[0 ... 31] = MARK};

    return at >= 16 && at + 16 <= stream->len && !memcmp(stream->data + at - 16, mark, sizeof(mark));
}

static void check_unharmed(const GByteArray *stream)
{
    g_autofree char *message = load_bytes(stream->data, stream->len);

    g_assert_cmpstr(message, ==, NULL);
}

static void test_truncated(void)
{
    g_autoptr(GByteArray) stream = capture();
    size_t end = stream->len;

    while (memcmp(stream->data + end - 3, "\0\6\0", 3)) {
        end--; /* EOF, then the description, which may be missing */
    }
    for (size_t n = 0; n + 2 < end; n += in_content(stream, n) ? 61 : stride()) {
        g_assert_true(settle(load_bytes(stream->data, n)));
    }
    check_unharmed(stream);
}

static void test_flipped(void)
{
    g_autoptr(GByteArray) stream = capture();
    size_t skip = stride();

    check_unharmed(stream);
    for (size_t n = 0; n < stream->len * 8; n += skip) {
        if (in_content(stream, n / 8)) {
            continue;
        }
        stream->data[n / 8] ^= (uint8_t)(1 << n % 8);
        settle(load_bytes(stream->data, stream->len));
        stream->data[n / 8] ^= (uint8_t)(1 << n % 8);
    }
    check_unharmed(stream);
}

static void refuse(const GByteArray *stream, const char *part)
{
    g_autofree char *message = load_bytes(stream->data, stream->len);

    if (!message || !strstr(message, part)) {
        g_error("the load says '%s', not '%s'", message ? message : "(success)", part);
    }
    settle(g_steal_pointer(&message));
}

/* Counts and places that are not in the block; and shorter or longer runs that are, behind which nothing fits. */
static void test_runs(void)
{
    g_autoptr(GByteArray) stream = capture();
    const uint64_t pages = ram_block_pages(main_ram());
    Run runs[2];

    find_runs(stream, runs);
    for (unsigned i = 0; i < 2; i++) {
        const uint32_t n = chosen[i].n, page = chosen[i].page, past = (uint32_t)pages - page + 1;
        const uint32_t outside[] = {0, past, past + 1, 1u << 20, INT32_MAX, 1u << 31, UINT32_MAX - 1, UINT32_MAX};
        const uint64_t places[] = {pages - n + 1, pages, UINT64_C(1) << 51, (UINT64_C(1) << 52) - 1};
        uint64_t head = ldq_be_p(runs[i].head);

        for (unsigned c = 0; c < G_N_ELEMENTS(outside); c++) {
            stl_be_p(runs[i].count, outside[c]);
            refuse(stream, "cannot be in RAM");
        }
        for (uint32_t c = 1; i == 1 && c < past; c = c < 8 ? c + 1 : c * 2) { /* zeroes have no length of their own */
            stl_be_p(runs[i].count, c);
            g_assert_true(c == n || settle(load_bytes(stream->data, stream->len)));
        }
        stl_be_p(runs[i].count, n);
        for (unsigned c = 0; c < G_N_ELEMENTS(places); c++) {
            stq_be_p(runs[i].head, places[c] * PAGE | (head & (PAGE - 1)));
            refuse(stream, "cannot be in RAM");
        }
        stq_be_p(runs[i].head, head);
    }
    check_unharmed(stream);
}

static void flip_file(int fd, size_t n)
{
    uint8_t byte;

    g_assert_cmpint(pread(fd, &byte, 1, (off_t)(n / 8)), ==, 1);
    byte ^= (uint8_t)(1 << n % 8);
    g_assert_cmpint(pwrite(fd, &byte, 1, (off_t)(n / 8)), ==, 1);
}

/* The first block's header, bitmap and what stands around them; the others' are like it.  Then the file is
 * cut. */
static void test_fixed_ram(void)
{
    g_autofree char *dir = g_dir_make_tmp("godwit-fuzz-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "file", NULL);
    size_t step = MAX(stride(), 1);
    int fd;

    save_file(path);
    g_assert_cmpstr(load_file(path), ==, NULL);
    fd = open(path, O_RDWR | O_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    for (size_t n = 0; n<2048 * 8; n += n> 400 * 8 ? step * 37 : step) {
        flip_file(fd, n);
        settle(load_file(path));
        flip_file(fd, n);
    }
    for (off_t size = 3000; size >= 0; size -= (off_t)step) { /* downwards: what is cut off stays off */
        g_assert_cmpint(ftruncate(fd, size), ==, 0);
        g_assert_true(settle(load_file(path)));
    }
    close(fd);
    unlink(path);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    make_machine();
    if (g_getenv("FUZZ_SEED")) {
        write_seed(g_getenv("FUZZ_SEED"));
    }
    g_test_add_func("/fuzz/stream/truncated-anywhere", test_truncated);
    g_test_add_func("/fuzz/stream/any-bit-flipped", test_flipped);
    g_test_add_func("/fuzz/stream/runs-of-any-length-and-place", test_runs);
    g_test_add_func("/fuzz/fixed-ram/any-bit-flipped-or-cut", test_fixed_ram);
    status = g_test_run();
    printf("# %" PRIu64 " cases: %" PRIu64 " errors, %" PRIu64 " loaded, %" PRIu64 " of them run\n",
           count.cases, count.errors, count.loaded, count.ran);
    fflush(stdout);
    _exit(status); /* the machine's threads are waiting; nothing is left to say */
}

#endif
