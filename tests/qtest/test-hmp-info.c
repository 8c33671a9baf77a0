/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the "info" commands print about a machine that is known: two stopped vCPUs under TCG, 128 MiB, one
 * disk. */
#include <string.h>

#include "tests/lib/libqtest.h"

#define ARGS                                                                                                 \
    "-accel tcg -M virt -nodefaults -bios none -S -smp 2 -m 128M -name info-test "                           \
    "-drive file=null-co://,if=none,id=d0 -device virtio-blk-device,drive=d0,id=disk0"

static QTestState *machine;

/* Each of @parts (NULL-terminated) must be there, in this order. */
static void assert_info(const char *what, const char *const *parts)
{
    g_autofree char *text = qtest_hmp(machine, "info %s", what);
    const char *at = text;

    for (; *parts; parts++) {
        const char *found = strstr(at, *parts);

        if (!found) {
            g_error("'info %s' said '%s', without '%s' at its place", what, text, *parts);
        }
        at = found + strlen(*parts);
    }
}

#define INFO(what, ...) assert_info(what, (const char *const[]){__VA_ARGS__, NULL})

static void test_run_state(void)
{
    INFO("status", "VM status: paused (prelaunch)\n");
    INFO("name", "info-test\n");
    INFO("version", "godwit-");
    INFO("uuid", "00000000-0000-0000-0000-000000000000");
    INFO("migrate", "no migration");
}

static void test_cpus(void)
{
    INFO("cpus", "* CPU #0: thread_id=", "  CPU #1: thread_id=");
    INFO("registers", "CPU#0", "pc       0000000000001000", "mstatus", "x10/a0");
    INFO("registers -a", "CPU#0", "CPU#1", "mhartid  0000000000000001");
    INFO("registers 1", "CPU#1");
    INFO("registers 7", "7");
    INFO("tlb", "CPU 0", "CPU 1");
    INFO("mem", "No translation");
}

static void test_memory(void)
{
    INFO("mtree", "address-space: memory", "riscv_virt_board.mrom", "serial", "virtio-mmio",
         "riscv_virt_board.ram");
    INFO("mtree -f", "0000000080000000-0000000087ffffff", "riscv_virt_board.ram");
    INFO("ramblock", "Block Name", "riscv_virt_board.ram", "0x0000000008000000");
    INFO("memory_size_summary", "base-memory: 134217728");
    INFO("dirty", "Block Name", "Migration", "riscv_virt_board.ram", "32768");
}

static void test_translator(void)
{
    INFO("jit", "blocks", "code buffer 0", "code buffer 1", "tb_flushes");
    INFO("stats", "tb_flushes");
}

static void test_devices(void)
{
    INFO("qtree", "virtio-blk-device, id \"disk0\"", "drive = ");
    INFO("block", "d0: null-co://", "Attached to:", "disk0");
    INFO("chardev", "char0: filename=unix:");
}

static void run_with_machine(gconstpointer test)
{
    machine = qtest_init(ARGS);
    ((void (*)(void))test)();
    qtest_quit(machine);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/hmp-info/run-state/is-told", test_run_state, run_with_machine);
    g_test_add_data_func("/hmp-info/cpus/registers-and-tlb-of-each", test_cpus, run_with_machine);
    g_test_add_data_func("/hmp-info/memory/regions-blocks-and-dirty-pages", test_memory, run_with_machine);
    g_test_add_data_func("/hmp-info/translator/blocks-and-counters", test_translator, run_with_machine);
    g_test_add_data_func("/hmp-info/devices/tree-and-back-ends", test_devices, run_with_machine);
    return g_test_run();
}
