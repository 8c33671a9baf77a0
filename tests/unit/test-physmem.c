/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RAM blocks: making, finding, resizing, mapping files into them, giving them back. */
#include "system/physmem.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "system/runstate.h"

#define PAGE TARGET_PAGE_SIZE

static RAMBlock *anonymous(const char *name, uint64_t pages, GError **error)
{
    return ram_block_new_anonymous(name, pages * PAGE, 0, RAM_MIGRATABLE, error);
}

static void test_blocks_are_aligned_and_sorted(void)
{
    RAMBlock *small = anonymous("small", 3, NULL), *large = anonymous("large", 100, NULL), *block;
    unsigned n = 0;

    g_assert_cmphex(small->offset % (64 * PAGE), ==, 0);
    g_assert_cmphex(large->offset % (64 * PAGE), ==, 0);
    g_assert_true(ram_list_first() == large);
    RAMBLOCK_FOREACH (block) {
        n++;
    }
    g_assert_cmpuint(n, ==, 2);
    g_assert_cmpuint(ram_bytes_total(), ==, 103 * PAGE);
    g_assert_cmphex(ram_list_end(), ==, large->offset + 100 * PAGE);
    g_assert_true(ram_block_by_addr(large->offset + 99 * PAGE) == large);
    g_assert_null(ram_block_by_addr(small->offset + 3 * PAGE));
    ram_block_free(small);
    ram_block_free(large);
}

static void test_freed_place_is_used_again(void)
{
    RAMBlock *a = anonymous("a", 64, NULL), *b = anonymous("b", 64, NULL), *c = anonymous("c", 64, NULL), *d;
    ram_addr_t place = b->offset;
    uint32_t version = ram_list_version();

    ram_block_free(b);
    g_assert_cmpuint(ram_list_version(), !=, version);
    d = anonymous("d", 10, NULL);
    g_assert_cmphex(d->offset, ==, place);
    ram_block_free(a);
    ram_block_free(c);
    ram_block_free(d);
}

static void test_names_are_unique(void)
{
    RAMBlock *a = anonymous("same", 1, NULL);
    GError *error = NULL;

    g_assert_null(anonymous("same", 1, &error));
    g_assert_cmpstr(error->message, ==, "there is already memory called 'same'");
    g_error_free(error);
    g_assert_true(ram_block_by_name("same") == a);
    ram_block_free(a);
    g_assert_null(ram_block_by_name("same"));
}

static void test_impossible_sizes_fail(void)
{
    g_assert_null(anonymous("zero", 0, NULL));
    g_assert_null(ram_block_new_anonymous("huge", UINT64_MAX - 5, 0, 0, NULL));
    g_assert_null(ram_block_new_anonymous("large", UINT64_C(1) << 60, 0, RAM_NORESERVE, NULL));
    g_assert_null(ram_block_new_memfd("huge", UINT64_MAX - 5, RAM_SHARED, NULL));
}

static void test_guard_follows(void)
{
    RAMBlock *a = anonymous("guarded", 3, NULL);
    int fd[2];

    g_assert_cmpint(pipe(fd), ==, 0);
    g_assert_cmpint(write(fd[1], a->host + 3 * PAGE - 1, 1), ==, 1);
    g_assert_cmpint(write(fd[1], a->host + 3 * PAGE, 1), ==, -1); /* EFAULT: nothing may be read there */
    close(fd[0]);
    close(fd[1]);
    ram_block_free(a);
}

static void test_offsets_are_checked(void)
{
    RAMBlock *a = anonymous("checked", 4, NULL);
    ram_addr_t offset;

    g_assert_true(ram_block_offset_valid(a, 3 * PAGE, PAGE));
    g_assert_false(ram_block_offset_valid(a, 3 * PAGE, PAGE + 1));
    g_assert_false(ram_block_offset_valid(a, UINT64_MAX - 10, 20));
    g_assert_true(ram_block_from_host(a->host + 77, &offset) == a);
    g_assert_cmpuint(offset, ==, 77);
    ram_block_free(a);
}

static void test_resize_stays_within_limits(void)
{
    RAMBlock *fixed = anonymous("fixed", 4, NULL);
    RAMBlock *a = ram_block_new_anonymous("resized", 2 * PAGE, 8 * PAGE, RAM_RESIZEABLE, NULL);

    g_assert_true(ram_block_resize(a, 5 * PAGE - 1, NULL));
    g_assert_cmpuint(a->used_length, ==, 5 * PAGE);
    g_assert_false(ram_block_resize(a, 9 * PAGE, NULL));
    g_assert_false(ram_block_resize(a, 0, NULL));
    g_assert_false(ram_block_resize(a, UINT64_MAX, NULL));
    g_assert_false(ram_block_resize(fixed, 8 * PAGE, NULL));
    ram_block_free(a);
    ram_block_free(fixed);
}

static int file_with(const char *text, uint64_t size)
{
    int fd = memfd_create("contents", MFD_CLOEXEC);

    g_assert_cmpint(ftruncate(fd, size), ==, 0);
    g_assert_cmpint(pwrite(fd, text, strlen(text), PAGE), ==, strlen(text));
    return fd;
}

static void test_private_mapping_leaves_the_file_alone(void)
{
    RAMBlock *a = anonymous("mapped", 8, NULL);
    int fd = file_with("from the file", 4 * PAGE);
    char buf[5] = "";

    g_assert_true(ram_block_map_private(a, fd, PAGE, 2 * PAGE, 2 * PAGE, NULL));
    g_assert_cmpstr((char *)a->host + 2 * PAGE, ==, "from the file");
    memcpy(a->host + 2 * PAGE, "FROM", 4);
    g_assert_cmpint(pread(fd, buf, 4, PAGE), ==, 4);
    g_assert_cmpstr(buf, ==, "from");
    g_assert_false(ram_block_map_private(a, fd, 5, 0, PAGE, NULL));
    g_assert_false(ram_block_map_private(a, fd, 0, 7 * PAGE, 2 * PAGE, NULL));
    close(fd);
    ram_block_free(a);
}

static void test_fd_block_shares(void)
{
    int fd = file_with("shared text", 4 * PAGE);
    RAMBlock *a = ram_block_new_fd("shared", 2 * PAGE, fd, PAGE, RAM_SHARED, NULL);
    char buf[7] = "";

    g_assert_cmpstr((char *)a->host, ==, "shared text");
    memcpy(a->host, "SHARED", 6);
    g_assert_cmpint(pread(fd, buf, 6, PAGE), ==, 6);
    g_assert_cmpstr(buf, ==, "SHARED");
    g_assert_null(ram_block_new_fd("short", 4 * PAGE, fd, PAGE, RAM_SHARED, NULL));
    g_assert_false(ram_block_map_private(a, fd, 0, 0, PAGE, NULL));
    close(fd);
    ram_block_free(a);
}

static void test_memory_is_pristine_until_written(void)
{
    RAMBlock *a = ram_block_new_anonymous("fresh", 3 * RAM_WRITTEN_BYTES, 0, 0, NULL);
    MemoryRegion mr;

    memory_region_init_ram_block(&mr, NULL, "fresh", a);
    g_assert_true(ram_block_pristine(a, 0, 3 * RAM_WRITTEN_BYTES));
    physical_memory_invalidate_and_set_dirty(&mr, RAM_WRITTEN_BYTES + 5, 1);
    g_assert_true(ram_block_pristine(a, 0, RAM_WRITTEN_BYTES));
    g_assert_false(ram_block_pristine(a, RAM_WRITTEN_BYTES, PAGE));
    g_assert_false(ram_block_pristine(a, 0, 3 * RAM_WRITTEN_BYTES));
    g_assert_true(ram_block_pristine(a, 2 * RAM_WRITTEN_BYTES, RAM_WRITTEN_BYTES));
    memory_region_destroy(&mr);
}

static void test_memory_with_a_pointer_out_is_not_pristine(void)
{
    RAMBlock *a = ram_block_new_anonymous("held", RAM_WRITTEN_BYTES, 0, 0, NULL);
    MemoryRegion mr;

    memory_region_init_ram_block(&mr, NULL, "held", a);
    memory_region_get_ram_ptr(&mr);
    g_assert_false(ram_block_pristine(a, 0, PAGE));
    memory_region_destroy(&mr);
}

static void test_memory_of_a_file_is_not_pristine(void)
{
    RAMBlock *a = ram_block_new_memfd("memfd", PAGE, 0, NULL), *b = anonymous("mapped", 1, NULL);
    int fd = file_with("text", PAGE);

    g_assert_false(ram_block_pristine(a, 0, PAGE));
    g_assert_true(ram_block_map_private(b, fd, 0, 0, PAGE, NULL));
    g_assert_false(ram_block_pristine(b, 0, PAGE));
    close(fd);
    ram_block_free(a);
    ram_block_free(b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bql_init();
    bql_lock();
    memory_init();
    g_test_add_func("/ramblock/list/aligned-and-sorted", test_blocks_are_aligned_and_sorted);
    g_test_add_func("/ramblock/list/freed-place-is-used-again", test_freed_place_is_used_again);
    g_test_add_func("/ramblock/new/names-are-unique", test_names_are_unique);
    g_test_add_func("/ramblock/new/impossible-sizes-fail", test_impossible_sizes_fail);
    g_test_add_func("/ramblock/memory/guard-follows", test_guard_follows);
    g_test_add_func("/ramblock/offset/checked", test_offsets_are_checked);
    g_test_add_func("/ramblock/resize/within-limits", test_resize_stays_within_limits);
    g_test_add_func("/ramblock/map/private-leaves-the-file-alone",
                    test_private_mapping_leaves_the_file_alone);
    g_test_add_func("/ramblock/fd/shares", test_fd_block_shares);
    g_test_add_func("/ramblock/pristine/until-written", test_memory_is_pristine_until_written);
    g_test_add_func("/ramblock/pristine/pointer-out", test_memory_with_a_pointer_out_is_not_pristine);
    g_test_add_func("/ramblock/pristine/files-are-not", test_memory_of_a_file_is_not_pristine);
    return g_test_run();
}
