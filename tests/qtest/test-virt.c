/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The virt board as a whole: its device tree, what it boots, its options, its memory.
 *
 * The device tree is compared with tests/golden/virt-fdt.txt, one property a line; GODWIT_UPDATE_GOLDEN=1
 * writes that file anew.  What the CPU says of itself is the CPU's to test, the seed is random.
 */
#include <elf.h>
#include <libfdt.h>
#include <string.h>
#include <unistd.h>

#include "tests/qtest/board.h"
#include "util/bswap.h"

/* --- the device tree --- */

static bool is_printable(const char *data, int size)
{
    if (size < 2 || data[size - 1] || !data[0]) {
        return false;
    }
    for (int i = 0; i < size - 1; i++) {
        if (data[i] ? !g_ascii_isprint(data[i]) : !data[i + 1]) {
            return false;
        }
    }
    return true;
}

static void print_value(GString *out, const char *data, int size)
{
    if (is_printable(data, size)) {
        for (int i = 0; i < size; i += strlen(data + i) + 1) {
            g_string_append_printf(out, " \"%s\"", data + i);
        }
        return;
    }
    for (int i = 0; i + 4 <= size; i += 4) {
        g_string_append_printf(out, " %x", ldl_be_p(data + i));
    }
}

static bool is_left_out(const char *path, const char *name)
{
    return !strcmp(name, "rng-seed") || (g_str_has_prefix(path, "/cpus/cpu@") &&
                                         (g_str_has_prefix(name, "riscv,") || !strcmp(name, "mmu-type")));
}

static void print_node(GString *out, const void *fdt, int node, const char *path)
{
    int property, child, size;

    fdt_for_each_property_offset(property, fdt, node)
    {
        const char *name;
        const char *data = fdt_getprop_by_offset(fdt, property, &name, &size);

        if (!is_left_out(path, name)) {
            g_string_append_printf(out, "%s %s", *path ? path : "/", name);
            print_value(out, data, size);
            g_string_append_c(out, '\n');
        }
    }
    fdt_for_each_subnode(child, fdt, node)
    {
        g_autofree char *below = g_strdup_printf("%s/%s", path, fdt_get_name(fdt, child, NULL));

        print_node(out, fdt, child, below);
    }
}

/* The device tree that the machine of @args gets. */
static void *dump_fdt(const char *args)
{
    g_autofree char *path = NULL;
    g_autofree char *all = NULL;
    g_autofree char *err = NULL;
    char *fdt = NULL;
    gsize size;

    close(g_file_open_tmp("fdt-XXXXXX", &path, NULL));
    all = g_strdup_printf("-M virt,dumpdtb=%s -nodefaults -display none -accel qtest %s", path, args);
    if (qtest_run(all, NULL, &err)) {
        g_error("%s: %s", all, err);
    }
    g_assert_true(g_file_get_contents(path, &fdt, &size, NULL));
    g_assert_cmpint(fdt_check_full(fdt, size), ==, 0);
    unlink(path);
    return fdt;
}

static void append_case(GString *out, const char *args)
{
    g_autofree void *fdt = dump_fdt(args);

    g_string_append_printf(out, "# %s\n", args);
    print_node(out, fdt, 0, "");
}

static void test_golden(void)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "..", "golden", "virt-fdt.txt", NULL);
    g_autofree char *golden = NULL;

    append_case(out, "-m 1G -smp 2 -append root=/dev/vda");
    append_case(out, "-M aclint=on -m 2G -smp 3 -object memory-backend-ram,id=m0,size=1G "
                     "-object memory-backend-ram,id=m1,size=1G "
                     "-numa node,memdev=m0,cpus=0-1 -numa node,memdev=m1,cpus=2");
    if (g_getenv("GODWIT_UPDATE_GOLDEN")) {
        g_assert_true(g_file_set_contents(path, out->str, out->len, NULL));
        return;
    }
    g_assert_true(g_file_get_contents(path, &golden, NULL, NULL));
    g_assert_cmpstr(out->str, ==, golden);
}

static void test_user_tree(void)
{
    g_autofree void *fdt = dump_fdt("-append first");
    g_autofree char *path = NULL;
    g_autofree char *args = NULL;
    g_autofree void *again = NULL;

    close(g_file_open_tmp("fdt-XXXXXX", &path, NULL));
    g_assert_true(g_file_set_contents(path, fdt, fdt_totalsize(fdt), NULL));
    args = g_strdup_printf("-dtb %s -append second -smp 4", path);
    again = dump_fdt(args);
    g_assert_cmpstr(fdt_getprop(again, fdt_path_offset(again, "/chosen"), "bootargs", NULL), ==, "second");
    g_assert_cmpint(fdt_path_offset(again, "/cpus/cpu@1"), <, 0);
    unlink(path);
}

/* --- images --- */

/* Starts with @option FILE, where FILE holds @data.  Returns what was said when it failed, NULL when it
 * works. */
static char *try_image(const char *option, const void *data, size_t size, const char *more)
{
    g_autofree char *path = NULL;
    g_autofree char *args = NULL;
    char *err = NULL;
    int status;

    close(g_file_open_tmp("image-XXXXXX", &path, NULL));
    g_assert_true(g_file_set_contents(path, data, size, NULL));
    args = g_strdup_printf("-M virt,dumpdtb=/dev/null -nodefaults -display none -accel qtest %s %s %s",
                           option, path, more);
    status = qtest_run(args, NULL, &err);
    unlink(path);
    if (status == 0) {
        g_free(err);
        return NULL;
    }
    g_assert_cmpint(status, ==, 1);
    return err;
}

static void assert_refused(const char *option, const void *data, size_t size, const char *why)
{
    g_autofree char *err = try_image(option, data, size, "");

    g_assert_nonnull(err);
    if (!strstr(err, why)) {
        g_error("'%s' does not say '%s'", err, why);
    }
}

static void make_elf(uint8_t *file, size_t size, uint16_t machine, uint64_t paddr, uint64_t file_size,
                     uint64_t mem_size)
{
    Elf64_Ehdr head = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = machine,
        .e_entry = paddr,
        .e_phoff = sizeof(head),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 1,
    };
    Elf64_Phdr segment = {.p_type = PT_LOAD,
                          .p_offset = 0,
                          .p_vaddr = paddr,
                          .p_paddr = paddr,
                          .p_filesz = file_size,
                          .p_memsz = mem_size};

    memset(file, 0x13, size);
    memcpy(file, &head, sizeof(head));
    memcpy(file + sizeof(head), &segment, sizeof(segment));
}

static void test_foreign_elf(void)
{
    uint8_t file[256];

    make_elf(file, sizeof(file), EM_X86_64, RAM_BASE, sizeof(file), sizeof(file));
    assert_refused("-kernel", file, sizeof(file), "for x86-64");
    assert_refused("-bios", file, sizeof(file), "for x86-64");
}

static void test_damaged_elf(void)
{
    uint8_t file[256];

    make_elf(file, sizeof(file), EM_RISCV, RAM_BASE, sizeof(file) + 1, sizeof(file) + 1);
    assert_refused("-kernel", file, sizeof(file), "damaged");
    make_elf(file, sizeof(file), EM_RISCV, RAM_BASE, sizeof(file), UINT64_C(1) << 40);
    assert_refused("-kernel", file, sizeof(file), "RAM is from");
    make_elf(file, sizeof(file), EM_RISCV, UINT64_MAX - 16, sizeof(file), sizeof(file));
    assert_refused("-kernel", file, sizeof(file), "RAM is from");
    assert_refused("-kernel", file, 20, "cut short");
    make_elf(file, sizeof(file), EM_RISCV, RAM_BASE, sizeof(file), sizeof(file));
    file[offsetof(Elf64_Ehdr, e_phnum)] = 9;
    assert_refused("-kernel", file, sizeof(file), "damaged");
}

static void test_garbage(void)
{
    uint8_t file[1024] = {0x13};

    assert_refused("-kernel", "", 0, "too short");
    assert_refused("-kernel", "Linux kernel, honestly, this is one\n", 36, "text");
    assert_refused("-kernel", "\x1f\x8b\x08\x00", 4, "gzip");
    memcpy(file + 0x38, "ARM\x64", 4);
    assert_refused("-kernel", file, sizeof(file), "aarch64");
    memset(file, 0, sizeof(file));
    assert_refused("-kernel", file, sizeof(file), "instruction");
    assert_refused("-dtb", "no tree", 7, "no device tree");
    assert_refused("-initrd", "x", 1, "-initrd needs -kernel");
}

/* A Linux image says how much memory it takes; the file is less. */
static void test_image_too_big(void)
{
    uint8_t file[64] = {0x13};

    stq_le_p(file + 16, UINT64_C(1) << 30);
    memcpy(file + 56, "RSC\x05", 4);
    assert_refused("-kernel", file, sizeof(file), "RAM is from");
}

static void test_initrd_place(void)
{
    g_autofree char *path = NULL;
    g_autofree char *args = NULL;
    g_autofree void *fdt = NULL;
    const void *start;
    int chosen;

    close(g_file_open_tmp("image-XXXXXX", &path, NULL));
    g_assert_true(g_file_set_contents(path, "\x13\0\0\0", 4, NULL));
    args = g_strdup_printf("-m 256M -kernel %s -initrd %s", path, path);
    fdt = dump_fdt(args);
    chosen = fdt_path_offset(fdt, "/chosen");
    start = fdt_getprop(fdt, chosen, "linux,initrd-start", NULL);
    g_assert_cmphex(ldq_be_p(start), ==, RAM_BASE + (128 << 20));
    g_assert_cmphex(ldq_be_p(fdt_getprop(fdt, chosen, "linux,initrd-end", NULL)), ==, ldq_be_p(start) + 4);
    unlink(path);
}

/* --- the running machine --- */

static void test_reset_rom(void)
{
    QTestState *s = qtest_init(BOARD_ARGS " -m 1G");

    g_assert_cmphex(qtest_readl(s, MROM_BASE), ==, 0x00000297);
    g_assert_cmphex(qtest_readq(s, MROM_BASE + 0x18), ==, RAM_BASE);
    g_assert_cmphex(qtest_readq(s, MROM_BASE + 0x20), ==, 0xbfe00000);
    g_assert_cmphex(qtest_readl(s, 0xbfe00000), ==, bswap32(FDT_MAGIC));
    qtest_writel(s, MROM_BASE, 0);
    g_assert_cmphex(qtest_readl(s, MROM_BASE), ==, 0x00000297);
    qtest_quit(s);
}

static void test_reset_restores(void)
{
    QTestState *s = qtest_init(BOARD_ARGS " -m 1G");

    qtest_writel(s, 0xbfe00000, 0);
    qtest_qmp_assert_success(s, "{'execute': 'system_reset'}");
    qtest_qmp_eventwait(s, "RESET");
    g_assert_cmphex(qtest_readl(s, 0xbfe00000), ==, bswap32(FDT_MAGIC));
    qtest_quit(s);
}

static void test_options(void)
{
    static const struct {
        const char *args, *why;
    } cases[] = {
        {"-M virt,aclnt=on", "aclint"},
        {"-M virt,aia=imsic", "none"},
        {"-M virt -smp 513", "512"},
        {"-M virt -m 1G -numa node,mem=512M", "NUMA nodes"},
        {"-M virt -m 1G -smp 2 -numa node,mem=512M,cpus=0 -numa node,mem=512M", "CPU 1 is in no NUMA node"},
        {"-M virt -bios /nonexistent/firmware", "/nonexistent/firmware"},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *args = g_strdup_printf("%s -nodefaults -display none -accel qtest", cases[i].args);
        g_autofree char *err = NULL;

        g_assert_cmpint(qtest_run(args, NULL, &err), ==, 1);
        if (!strstr(err, cases[i].why)) {
            g_error("'%s' does not say '%s'", err, cases[i].why);
        }
    }
}

static void test_hot_add(void)
{
    QTestState *s = qtest_init(BOARD_ARGS " -m 1G,slots=2,maxmem=3G");
    uint64_t window = 0xc0000000;

    qtest_qmp_assert_success(s, "{'execute': 'object-add', 'arguments': "
                                "{'qom-type': 'memory-backend-ram', 'id': 'm1', 'size': 536870912}}");
    qtest_qmp_assert_success(s, "{'execute': 'device_add', 'arguments': "
                                "{'driver': 'pc-dimm', 'id': 'd1', 'memdev': 'm1'}}");
    qtest_writeq(s, window, 0x123456789abcdef);
    g_assert_cmphex(qtest_readq(s, window), ==, 0x123456789abcdef);
    /* the back end is taken */
    json_object_unref(qtest_qmp_assert_failure_ref(s, "{'execute': 'device_add', 'arguments': "
                                                      "{'driver': 'pc-dimm', 'id': 'd2', 'memdev': 'm1'}}"));
    qtest_qmp_assert_success(s, "{'execute': 'object-add', 'arguments': "
                                "{'qom-type': 'memory-backend-ram', 'id': 'm2', 'size': 2147483648}}");
    /* more than maxmem */
    json_object_unref(qtest_qmp_assert_failure_ref(s, "{'execute': 'device_add', 'arguments': "
                                                      "{'driver': 'pc-dimm', 'id': 'd2', 'memdev': 'm2'}}"));
    qtest_quit(s);
}

static void test_no_hot_add(void)
{
    QTestState *s = qtest_init(BOARD_ARGS);

    qtest_qmp_assert_success(s, "{'execute': 'object-add', 'arguments': "
                                "{'qom-type': 'memory-backend-ram', 'id': 'm1', 'size': 1048576}}");
    JsonObject *error = qtest_qmp_assert_failure_ref(s, "{'execute': 'device_add', 'arguments': "
                                                        "{'driver': 'pc-dimm', 'memdev': 'm1'}}");
    g_assert_nonnull(strstr(json_object_get_string_member(error, "desc"), "maxmem"));
    json_object_unref(error);
    qtest_quit(s);
}

static void test_dimm_at_start(void)
{
    g_autofree void *fdt = dump_fdt("-m 1G,slots=1,maxmem=2G -object memory-backend-ram,id=m1,size=1G "
                                    "-device pc-dimm,memdev=m1");
    int node = fdt_path_offset(fdt, "/memory@c0000000");
    const uint8_t *reg;

    g_assert_cmpint(node, >=, 0);
    reg = fdt_getprop(fdt, node, "reg", NULL);
    g_assert_cmphex(ldq_be_p(reg), ==, 0xc0000000);
    g_assert_cmphex(ldq_be_p(reg + 8), ==, 1 << 30);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virt/device-tree/is-the-golden-one", test_golden);
    g_test_add_func("/virt/device-tree/user's-gets-bootargs", test_user_tree);
    g_test_add_func("/virt/images/foreign-elf-is-named", test_foreign_elf);
    g_test_add_func("/virt/images/damaged-elf-is-refused", test_damaged_elf);
    g_test_add_func("/virt/images/garbage-is-refused", test_garbage);
    g_test_add_func("/virt/images/too-big-for-ram-is-refused", test_image_too_big);
    g_test_add_func("/virt/images/initrd-lies-at-half-of-ram", test_initrd_place);
    g_test_add_func("/virt/reset/rom-is-there-and-readonly", test_reset_rom);
    g_test_add_func("/virt/reset/images-are-restored", test_reset_restores);
    g_test_add_func("/virt/options/wrong-ones-are-explained", test_options);
    g_test_add_func("/virt/memory/module-is-plugged-in", test_hot_add);
    g_test_add_func("/virt/memory/without-maxmem-is-refused", test_no_hot_add);
    g_test_add_func("/virt/memory/module-at-start-is-in-the-tree", test_dimm_at_start);
    return g_test_run();
}
