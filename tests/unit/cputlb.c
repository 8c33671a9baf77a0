/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine behind the cputlb tests: how it is made, run, and looked at.
 *
 * GODWIT_TEST_ACCEL holds options for the accelerator.
 */
#include "cputlb.h"

#include <string.h>

#include "system/accel.h"
#include "system/runstate.h"

#define PAD_SIZE (100 * TARGET_PAGE_SIZE) /* makes the RAM's ram_addr_t offset differ from 0 */

MemoryRegion ram;
uint8_t *host;
CPUState *cpu[N_CPUS];
unsigned dev_reads;
bool read_only;

static MemoryRegion pad, dev;

/* --- making it --- */

static void map_windows(const ToyCPU *toy, vaddr addr, MMUAccessType access, TlbFill *fill)
{
    if (read_only && access != MMU_DATA_STORE) {
        fill->prot &= ~PAGE_WRITE;
    }
    fill->global = addr < WINDOW;
    if (addr >= GIANT) {
        fill->page_bits = 39;
        fill->paddr = RAM_BASE + (addr & TARGET_PAGE_MASK & (RAM_SIZE - 1));
    } else if (addr >= LARGE) {
        fill->page_bits = 21;
        fill->paddr = RAM_BASE + ((addr - LARGE) & 0x1ff000 & (RAM_SIZE - 1));
    } else if (addr >= WINDOW) {
        fill->paddr =
            RAM_BASE + ((addr - WINDOW + toy->asid * TARGET_PAGE_SIZE) & (RAM_SIZE - 1) & TARGET_PAGE_MASK);
    }
}

static MemTxResult dev_read(void *opaque, hwaddr addr, uint64_t *data, unsigned size)
{
    g_assert_true(bql_locked());
    dev_reads++;
    tcg_quiesce(); /* on a vCPU thread, with the big lock */
    *data = 0x55;
    return MEMTX_OK;
}

static MemTxResult dev_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    return MEMTX_OK;
}

static const MemoryRegionOps dev_ops = {.read = dev_read, .write = dev_write};

void make_machine(void)
{
    const char *options = g_getenv("GODWIT_TEST_ACCEL");
    g_autoptr(GError) error = NULL;

    toy_map = map_windows;
    bql_init();
    bql_lock();
    memory_init();
    accel_select("tcg", options ? options : "tb-size=16", &error);
    g_assert_no_error(error);
    memory_region_init_ram(&pad, NULL, "pad", PAD_SIZE, &error);
    memory_region_init_ram(&ram, NULL, "ram", RAM_SIZE, &error);
    g_assert_no_error(error);
    memory_region_init_io(&dev, NULL, &dev_ops, NULL, "dev", TARGET_PAGE_SIZE);
    memory_region_add_subregion(get_system_memory(), RAM_BASE, &ram);
    memory_region_add_subregion(get_system_memory(), DEV_BASE, &dev);
    host = memory_region_get_ram_ptr(&ram);
    for (int n = 0; n < N_CPUS; n++) {
        cpu[n] = cpu_new("toy", NULL, n, &error);
        g_assert_no_error(error);
    }
    bql_unlock();
}

/* --- programs --- */

void put_code(uint64_t offset, const uint32_t *code, size_t bytes)
{
    if (memcmp(host + offset, code, bytes)) {
        address_space_write(&address_space_memory, RAM_BASE + offset, code, bytes);
    }
}

static bool want_stop(CPUState *cs)
{
    TCGEnv *env = cs->env;

    return atomic_read(&env->var[15]) != 0;
}

void run(CPUState *cs, uint64_t offset)
{
    TCGEnv *env = cs->env;

    env->pc = RAM_BASE + offset;
    current_cpu = cs;
    do {
        tcg_cpu_exec(cs);
        if (atomic_read(&cs->work_pending)) {
            bql_lock();
            cs->unplug = true; /* does what is queued and waits for nothing */
            cpu_wait_io_event(cs);
            cs->unplug = false;
            bql_unlock();
        }
    } while (!cs->halted && !want_stop(cs));
    current_cpu = NULL;
}

uint64_t *var(int n, int v)
{
    return &((TCGEnv *)cpu[n]->env)->var[v];
}

TcgStats *stats(int n)
{
    return &((TcgCpu *)cpu[n]->accel)->stats;
}

static void find_counter(const char *name, const char *help, uint64_t value, void *opaque)
{
    *(uint64_t *)opaque = value;
}

uint64_t counter(const char *name)
{
    uint64_t value = 0;

    counters_foreach(name, find_counter, &value);
    return value;
}

/* --- single accesses --- */

void set_asid(uint16_t asid)
{
    ((ToyCPU *)cpu[0]->env)->asid = asid;
    tlb_switch_asid(cpu[0]->env, 1, asid);
}

uint64_t load(vaddr addr)
{
    uint64_t value;

    current_cpu = cpu[0];
    value = cpu_load(cpu[0]->env, addr, 3, 0);
    current_cpu = NULL;
    return value;
}

void store(vaddr addr, uint64_t value)
{
    current_cpu = cpu[0];
    cpu_store(cpu[0]->env, addr, value, 3, 0);
    current_cpu = NULL;
}

void load_and_store(uint64_t offset)
{
    TcgCpu *tc = cpu[0]->accel;

    tc->tlb.foreseen = 0;
    load(RAM_BASE + offset);
    store(RAM_BASE + offset, 1);
}

void store_once(uint64_t code, uint64_t to, uint64_t value)
{
    const uint32_t program[] = {insn(ST, 1, 2, 0), insn(HALT, 0, 0, 0)};

    put_code(code, program, sizeof(program));
    *var(0, 1) = value;
    *var(0, 2) = RAM_BASE + to;
    run(cpu[0], code);
}

/* --- memory --- */

ram_addr_t ram_addr(uint64_t offset)
{
    return memory_region_get_ram_addr(&ram) + offset;
}

uint64_t word_at(uint64_t offset)
{
    return atomic_read((uint64_t *)(host + offset));
}

void fill_pages(void)
{
    for (unsigned i = 0; i < RAM_SIZE / TARGET_PAGE_SIZE; i++) {
        uint64_t value = i;

        address_space_write(&address_space_memory, RAM_BASE + i * TARGET_PAGE_SIZE, &value, 8);
    }
}

void start_log(void)
{
    g_assert_true(memory_global_dirty_log_start(GLOBAL_DIRTY_MIGRATION, NULL));
    physical_memory_test_and_clear_dirty(ram_addr(0), RAM_SIZE, DIRTY_MEMORY_MIGRATION, NULL);
    physical_memory_quiesce();
}

void stop_log(void)
{
    memory_global_dirty_log_stop(GLOBAL_DIRTY_MIGRATION);
}

bool migration_dirty(uint64_t offset)
{
    return physical_memory_get_dirty_flag(ram_addr(offset), DIRTY_MEMORY_MIGRATION);
}

uint64_t take_dirty(uint64_t offset, unsigned long *dest)
{
    uint64_t pages = physical_memory_test_and_clear_dirty(ram_addr(offset), TARGET_PAGE_SIZE,
                                                          DIRTY_MEMORY_MIGRATION, dest);

    physical_memory_quiesce();
    return pages;
}
