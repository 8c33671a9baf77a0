/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Regions, flat views, listeners and accesses; random trees against a byte-wise painter. */
#include "system/memory.h"

#include <string.h>

#include "system/dma.h"
#include "system/physmem.h"
#include "system/runstate.h"

#define PAGE TARGET_PAGE_SIZE

/* --- a device that remembers --- */

typedef struct Probe {
    unsigned calls, size;
    hwaddr addr;
    uint64_t data;
    bool locked;
} Probe;

static MemTxResult probe_read(void *opaque, hwaddr addr, uint64_t *data, unsigned size)
{
    Probe *p = opaque;

    *p = (Probe){p->calls + 1, size, addr, p->data, bql_locked()};
    *data = UINT64_C(0x8877665544332211) >> (addr % 8 * 8);
    return MEMTX_OK;
}

static MemTxResult probe_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    Probe *p = opaque;

    *p = (Probe){p->calls + 1, size, addr, data, bql_locked()};
    return MEMTX_OK;
}

static const MemoryRegionOps any_ops = {.read = probe_read, .write = probe_write};
static const MemoryRegionOps word_ops = {.read = probe_read, .write = probe_write, .valid = {4, 4, false}};
static const MemoryRegionOps narrow_ops = {.read = probe_read, .write = probe_write, .impl = {1, 2}};
static const MemoryRegionOps wide_ops = {.read = probe_read, .write = probe_write, .impl = {4, 4}};

static uint64_t load(hwaddr addr, unsigned size, MemTxResult expected)
{
    uint64_t value = 0;

    g_assert_cmpint(address_space_load(&address_space_memory, addr, size, &value), ==, expected);
    return value;
}

static void with_device(const MemoryRegionOps *ops, void (*test)(Probe *probe))
{
    Probe probe = {0};
    MemoryRegion mr;

    memory_region_init_io(&mr, NULL, ops, &probe, "probe", 0x100);
    memory_region_add_subregion(get_system_memory(), 0x1000, &mr);
    test(&probe);
    memory_region_del_subregion(get_system_memory(), &mr);
    memory_region_destroy(&mr);
}

static void check_single_access(Probe *probe)
{
    g_assert_cmphex(load(0x1000, 8, MEMTX_OK), ==, UINT64_C(0x8877665544332211));
    g_assert_cmpuint(probe->calls, ==, 1);
    g_assert_cmpuint(probe->size, ==, 8);
    g_assert_true(probe->locked);
    g_assert_cmpint(address_space_store(&address_space_memory, 0x1010, 2, 0xabcdef), ==, MEMTX_OK);
    g_assert_cmphex(probe->data, ==, 0xcdef);
    g_assert_cmphex(probe->addr, ==, 0x10);
    bql_unlock();
    load(0x1000, 4, MEMTX_OK);
    bql_lock();
    g_assert_true(probe->locked);
}

static void test_device_sees_one_access(void)
{
    with_device(&any_ops, check_single_access);
}

static void check_valid_sizes(Probe *probe)
{
    load(0x1000, 1, MEMTX_ERROR);
    load(0x1000, 8, MEMTX_ERROR);
    load(0x1002, 4, MEMTX_ERROR);
    g_assert_cmpuint(probe->calls, ==, 0);
    load(0x1004, 4, MEMTX_OK);
}

static void test_device_limits_are_kept(void)
{
    with_device(&word_ops, check_valid_sizes);
}

static void check_split(Probe *probe)
{
    g_assert_cmphex(load(0x1000, 8, MEMTX_OK), ==, UINT64_C(0x8877665544332211));
    g_assert_cmpuint(probe->calls, ==, 4);
    g_assert_cmpuint(probe->size, ==, 2);
}

static void test_wide_access_is_split(void)
{
    with_device(&narrow_ops, check_split);
}

static void check_widened(Probe *probe)
{
    g_assert_cmphex(load(0x1002, 1, MEMTX_OK), ==, 0x33);
    g_assert_cmpuint(probe->size, ==, 4);
    g_assert_cmphex(probe->addr, ==, 0);
}

static void test_narrow_access_is_widened(void)
{
    with_device(&wide_ops, check_widened);
}

static void test_nobody_there_is_decode_error(void)
{
    uint8_t buf[16];

    memset(buf, 0xff, sizeof(buf));
    g_assert_cmpint(address_space_read(&address_space_memory, 0x5000, buf, sizeof(buf)), ==,
                    MEMTX_DECODE_ERROR);
    g_assert_cmpint(buf[15], ==, 0);
    g_assert_cmpint(address_space_read(&address_space_memory, UINT64_MAX - 7, buf, 8), ==,
                    MEMTX_DECODE_ERROR);
}

static void test_rom_ignores_guest_and_takes_loader(void)
{
    MemoryRegion rom;

    g_assert_true(memory_region_init_rom(&rom, NULL, "rom", PAGE, NULL));
    memory_region_add_subregion(get_system_memory(), 0x2000, &rom);
    g_assert_cmpint(address_space_store(&address_space_memory, 0x2000, 4, 0x12345678), ==, MEMTX_OK);
    g_assert_cmphex(load(0x2000, 4, MEMTX_OK), ==, 0);
    address_space_write_rom(&address_space_memory, 0x2000, "\x78\x56\x34\x12", 4);
    g_assert_cmphex(load(0x2000, 4, MEMTX_OK), ==, 0x12345678);
    memory_region_del_subregion(get_system_memory(), &rom);
    memory_region_destroy(&rom);
}

static void test_rom_device_switches(void)
{
    Probe probe = {0};
    MemoryRegion mr;

    g_assert_true(memory_region_init_rom_device(&mr, NULL, &any_ops, &probe, "flash", PAGE, NULL));
    memory_region_add_subregion(get_system_memory(), 0x2000, &mr);
    g_assert_cmphex(load(0x2000, 4, MEMTX_OK), ==, 0);
    address_space_store(&address_space_memory, 0x2000, 4, 0x90);
    g_assert_cmpuint(probe.calls, ==, 1);
    memory_region_rom_device_set_romd(&mr, false);
    g_assert_cmphex(load(0x2000, 4, MEMTX_OK), ==, 0x44332211);
    memory_region_del_subregion(get_system_memory(), &mr);
    memory_region_destroy(&mr);
}

static void test_access_crosses_regions(void)
{
    MemoryRegion a, b;
    uint8_t buf[8];

    g_assert_true(memory_region_init_ram(&a, NULL, "a", PAGE, NULL));
    g_assert_true(memory_region_init_ram(&b, NULL, "b", PAGE, NULL));
    memory_region_add_subregion(get_system_memory(), 0x10000, &a);
    memory_region_add_subregion(get_system_memory(), 0x10000 + PAGE, &b);
    g_assert_cmpint(address_space_write(&address_space_memory, 0x10000 + PAGE - 4, "abcdefgh", 8), ==,
                    MEMTX_OK);
    g_assert_cmpmem(b.ram_block->host, 4, "efgh", 4);
    g_assert_cmpint(address_space_read(&address_space_memory, 0x10000 + PAGE - 4, buf, 8), ==, MEMTX_OK);
    g_assert_cmpmem(buf, 8, "abcdefgh", 8);
    memory_region_del_subregion(get_system_memory(), &a);
    memory_region_del_subregion(get_system_memory(), &b);
    memory_region_destroy(&a);
    memory_region_destroy(&b);
}

/* --- DMA --- */

static void test_dma_mapping_outlives_its_region(void)
{
    DmaMapping mapping;
    MemoryRegion mr;
    uint64_t len = 100 * PAGE;

    g_assert_true(memory_region_init_ram(&mr, NULL, "dma", 4 * PAGE, NULL));
    memory_region_add_subregion(get_system_memory(), 0x10000, &mr);
    g_assert_true(dma_map(&address_space_memory, 0x10000 + PAGE, &len, true, &mapping));
    g_assert_cmpuint(len, ==, 3 * PAGE);
    memory_region_del_subregion(get_system_memory(), &mr);
    memory_region_destroy(&mr);
    rcu_barrier();
    memset(mapping.host, 0x55, len);
    dma_unmap(&mapping, len);
    g_assert_false(dma_map(&address_space_memory, 0x10000, &len, true, &mapping));
}

/* --- listeners --- */

static GString *heard;

static void hear_add(MemoryListener *l, MemoryRegionSection *s)
{
    g_string_append_printf(heard, "+%s@%" PRIx64 " ", s->mr->name, s->offset_within_address_space);
}

static void hear_del(MemoryListener *l, MemoryRegionSection *s)
{
    g_string_append_printf(heard, "-%s@%" PRIx64 " ", s->mr->name, s->offset_within_address_space);
}

static void hear_begin(MemoryListener *l)
{
    g_string_append(heard, "( ");
}

static void hear_commit(MemoryListener *l)
{
    g_string_append(heard, ")");
}

static void hear_log_start(MemoryListener *l, MemoryRegionSection *s, uint8_t old_mask, uint8_t new_mask)
{
    g_string_append_printf(heard, "log %s %u>%u ", s->mr->name, old_mask, new_mask);
}

static void test_listener_hears_differences_once(void)
{
    MemoryListener listener = {
        .name = "ear",
        .region_add = hear_add,
        .region_del = hear_del,
        .begin = hear_begin,
        .commit = hear_commit,
        .log_start = hear_log_start,
    };
    MemoryRegion a, b;

    heard = g_string_new(NULL);
    memory_region_init_io(&a, NULL, &any_ops, NULL, "a", 0x1000);
    g_assert_true(memory_region_init_ram(&b, NULL, "b", PAGE, NULL));
    memory_region_add_subregion(get_system_memory(), 0x1000, &a);
    memory_listener_register(&listener, &address_space_memory);
    g_assert_cmpstr(heard->str, ==, "( +a@1000 )");
    g_string_truncate(heard, 0);
    memory_region_transaction_begin();
    memory_region_add_subregion(get_system_memory(), 0x5000, &b);
    memory_region_set_address(&a, 0x3000);
    memory_region_transaction_commit();
    g_assert_cmpstr(heard->str, ==, "( -a@1000 +a@3000 +b@5000 )");
    g_string_truncate(heard, 0);
    memory_region_set_log(&b, true, DIRTY_MEMORY_VGA);
    g_assert_cmpstr(heard->str, ==, "( log b 0>1 )");
    g_string_truncate(heard, 0);
    memory_region_set_enabled(&a, true); /* no change, no call */
    g_assert_cmpstr(heard->str, ==, "");
    memory_listener_unregister(&listener);
    memory_region_set_log(&b, false, DIRTY_MEMORY_VGA);
    memory_region_del_subregion(get_system_memory(), &a);
    memory_region_del_subregion(get_system_memory(), &b);
    memory_region_destroy(&a);
    memory_region_destroy(&b);
    g_string_free(heard, true);
}

/* --- random trees --- */

#define SPACE      256
#define MAX_LEAVES 24

/* What a byte of the painted space shows. */
typedef struct Pixel {
    const MemoryRegion *mr;
    hwaddr offset;
} Pixel;

static void paint(Pixel *space, MemoryRegion *mr, int64_t base, int64_t low, int64_t high)
{
    int64_t start = base + (int64_t)mr->addr;

    low = MAX(low, start);
    high = MIN(high, start + (int64_t)mr->size);
    if (!mr->enabled) {
        return;
    }
    if (mr->alias) {
        paint(space, mr->alias, start - (int64_t)mr->alias_offset - (int64_t)mr->alias->addr, low, high);
        return;
    }
    if (mr->ops) {
        for (int64_t at = low; at < high; at++) {
            space[at] = (Pixel){mr, at - start};
        }
    }
    for (unsigned i = mr->subregions->len; i-- > 0;) { /* lowest first: later ones cover it */
        paint(space, g_ptr_array_index(mr->subregions, i), start, low, high);
    }
}

static void compare(AddressSpace *as, MemoryRegion *root)
{
    RCU_READ_LOCK_GUARD();
    Pixel space[SPACE] = {0};

    paint(space, root, 0, 0, SPACE);
    for (hwaddr at = 0; at < SPACE; at++) {
        MemoryRegionSection section;
        hwaddr xlat;
        bool found = address_space_translate(as, at, &section, &xlat);

        g_assert_cmpint(found, ==, space[at].mr != NULL);
        if (found) {
            g_assert_true(section.mr == space[at].mr);
            g_assert_cmphex(xlat, ==, space[at].offset);
        }
    }
}

static void random_tree(GRand *rand)
{
    MemoryRegion root, containers[2], leaves[MAX_LEAVES];
    AddressSpace as;

    memory_region_init(&root, NULL, "root", SPACE);
    address_space_init(&as, &root, "random");
    for (unsigned i = 0; i < 2; i++) {
        memory_region_init(&containers[i], NULL, "container", g_rand_int_range(rand, 1, SPACE));
        memory_region_add_subregion_overlap(&root, g_rand_int_range(rand, 0, SPACE), &containers[i],
                                            g_rand_int_range(rand, -2, 3));
    }
    for (unsigned i = 0; i < MAX_LEAVES; i++) {
        unsigned in = g_rand_int_range(rand, 0, 3);
        uint64_t size = g_rand_int_range(rand, 1, 80);

        if (i % 3 == 2) {
            memory_region_init_alias(&leaves[i], NULL, "alias", &leaves[i - 1], g_rand_int_range(rand, 0, 20),
                                     size);
        } else {
            memory_region_init_io(&leaves[i], NULL, &any_ops, NULL, "leaf", size);
        }
        memory_region_add_subregion_overlap(in == 2 ? &root : &containers[in],
                                            g_rand_int_range(rand, 0, SPACE), &leaves[i],
                                            g_rand_int_range(rand, -2, 3));
        compare(&as, &root);
    }
    for (unsigned i = 0; i < MAX_LEAVES; i++) {
        memory_region_set_enabled(&leaves[g_rand_int_range(rand, 0, MAX_LEAVES)], g_rand_boolean(rand));
        memory_region_set_address(&leaves[g_rand_int_range(rand, 0, MAX_LEAVES)],
                                  g_rand_int_range(rand, 0, SPACE));
        compare(&as, &root);
    }
    address_space_destroy(&as);
    memory_region_destroy(&root);
    for (unsigned i = 0; i < 2; i++) {
        memory_region_destroy(&containers[i]);
    }
    for (unsigned i = 0; i < MAX_LEAVES; i++) {
        memory_region_destroy(&leaves[i]);
    }
}

static void test_random_trees_equal_painter(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(7);

    for (unsigned i = 0; i < 30; i++) {
        random_tree(rand);
    }
}

static void test_mtree_shows_aliases(void)
{
    g_autoptr(GString) out = g_string_new(NULL);
    MemoryRegion ram, alias;

    g_assert_true(memory_region_init_ram(&ram, NULL, "ram", 4 * PAGE, NULL));
    memory_region_init_alias(&alias, NULL, "low", &ram, PAGE, PAGE);
    memory_region_add_subregion(get_system_memory(), 0x80000000, &ram);
    memory_region_add_subregion(get_system_memory(), 0, &alias);
    memory_print_tree(out, false);
    g_assert_nonnull(strstr(out->str, "    0000000000000000-0000000000000fff (prio 0, ram): alias low @ram "
                                      "0000000000001000-0000000000001fff\n"));
    g_string_truncate(out, 0);
    memory_print_tree(out, true);
    g_assert_nonnull(
        strstr(out->str, "  0000000000000000-0000000000000fff (prio 0, ram): ram @0000000000001000\n"));
    memory_region_del_subregion(get_system_memory(), &alias);
    memory_region_del_subregion(get_system_memory(), &ram);
    memory_region_destroy(&alias);
    memory_region_destroy(&ram);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bql_init();
    bql_lock();
    memory_init();
    g_test_add_func("/memory/device/sees-one-access", test_device_sees_one_access);
    g_test_add_func("/memory/device/limits-are-kept", test_device_limits_are_kept);
    g_test_add_func("/memory/device/wide-access-is-split", test_wide_access_is_split);
    g_test_add_func("/memory/device/narrow-access-is-widened", test_narrow_access_is_widened);
    g_test_add_func("/memory/access/nobody-there-is-decode-error", test_nobody_there_is_decode_error);
    g_test_add_func("/memory/access/rom-ignores-guest-and-takes-loader",
                    test_rom_ignores_guest_and_takes_loader);
    g_test_add_func("/memory/access/rom-device-switches", test_rom_device_switches);
    g_test_add_func("/memory/access/crosses-regions", test_access_crosses_regions);
    g_test_add_func("/memory/dma/mapping-outlives-its-region", test_dma_mapping_outlives_its_region);
    g_test_add_func("/memory/listener/hears-differences-once", test_listener_hears_differences_once);
    g_test_add_func("/memory/flatview/random-trees-equal-painter", test_random_trees_equal_painter);
    g_test_add_func("/memory/mtree/shows-aliases", test_mtree_shows_aliases);
    return g_test_run();
}
