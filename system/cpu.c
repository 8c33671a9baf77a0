/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vCPUs as objects: models, creation, lines, interrupts, debug access to memory. */
#include "system/cpu.h"

#include <stdlib.h>
#include <string.h>

#include "cpus-internal.h"
#include "system/accel.h"
#include "util/error.h"

#define MAX_CPUS         1024
#define DEFAULT_CPU_IRQS 64
#define CPU_RESET_STAGE  0

__thread CPUState *current_cpu;

/* Slots are written under the big lock and never change again, so any thread may walk them. */
static CPUState *cpus[MAX_CPUS];
static int n_cpus;

const CpuModel *cpu_model_find(const char *name)
{
    LINKER_SET_FOREACH (cpu_models, CpuModel, model) {
        if (!strcmp(model->name, name)) {
            return model;
        }
    }
    return NULL;
}

void cpu_models_foreach(void (*fn)(const CpuModel *model, void *opaque), void *opaque)
{
    LINKER_SET_FOREACH (cpu_models, CpuModel, model) {
        fn(model, opaque);
    }
}

int cpu_count(void)
{
    return atomic_load_acquire(&n_cpus); /* pairs with publish_cpu() */
}

CPUState *cpu_get(int index)
{
    return index >= 0 && index < cpu_count() ? atomic_read(&cpus[index]) : NULL;
}

static void publish_cpu(CPUState *cpu)
{
    atomic_set(&cpus[cpu->index], cpu);
    atomic_store_release(&n_cpus, n_cpus + 1);
}

static void set_cpu_line(void *opaque, int n, int level)
{
    CPUState *cpu = opaque;

    cpu->ops->set_irq(cpu, n, level);
}

static void make_lines(CPUState *cpu)
{
    if (cpu->irqs) {
        return;
    }
    cpu->n_irqs = cpu->n_irqs ? cpu->n_irqs : DEFAULT_CPU_IRQS;
    cpu->irqs = g_new0(IRQ, cpu->n_irqs);
    for (int i = 0; i < cpu->n_irqs; i++) {
        cpu->irqs[i] = (IRQ){.handler = cpu->ops->set_irq ? set_cpu_line : NULL, .opaque = cpu, .n = i};
    }
}

IRQ *cpu_irq(CPUState *cpu, int n)
{
    return n >= 0 && n < cpu->n_irqs ? &cpu->irqs[n] : NULL;
}

void cpu_reset(CPUState *cpu)
{
    const AccelOps *accel = accel_current();

    atomic_set(&cpu->interrupt_request, 0);
    cpu->halted = false;
    cpu->ops->reset(cpu);
    if (accel && accel->cpu_reset) {
        accel->cpu_reset(cpu);
    }
}

static void reset_cpu(void *opaque)
{
    cpu_reset(opaque);
}

static CPUState *allocate(const CpuModel *model, int index)
{
    const CpuOps *ops = model->ops;
    void *env = aligned_alloc(64, ROUND_UP(ops->env_size, 64));
    CPUState *cpu;

    if (!env) {
        return NULL;
    }
    memset(env, 0, ROUND_UP(ops->env_size, 64));
    cpu = (CPUState *)((char *)env + ops->cpu_state_offset);
    cpu->env = env;
    cpu->index = index;
    cpu->model = model;
    cpu->ops = ops;
    cpu->as = &address_space_memory;
    cpu->stopped = true;
    lock_init(&cpu->work_lock, RANK_CPU_WORK, "cpu-work");
    cond_init(&cpu->halt_cond);
    g_queue_init(&cpu->work);
    return cpu;
}

static void free_cpu(CPUState *cpu)
{
    if (cpu->ops->properties) {
        fields_clear(cpu->ops->properties, cpu->env);
    }
    lock_destroy(&cpu->work_lock);
    cond_destroy(&cpu->halt_cond);
    g_free(cpu->irqs);
    free(cpu->env);
}

static bool apply_properties(CPUState *cpu, const char *options, GError **error)
{
    const CpuOps *ops = cpu->ops;

    if (ops->properties) {
        fields_init(ops->properties, cpu->env);
    }
    if (cpu->model->init) {
        cpu->model->init(cpu);
    }
    if (!options || !*options) {
        return true;
    }
    if (!ops->properties) {
        return fail(error, "CPU model '%s' has no properties", cpu->model->name);
    }
    return fields_parse_options(ops->properties, cpu->env, options, NULL, error);
}

static bool realize(CPUState *cpu, GError **error)
{
    const AccelOps *accel = accel_current();

    if (cpu->ops->realize && !cpu->ops->realize(cpu, error)) {
        return false;
    }
    make_lines(cpu);
    if (accel && accel->cpu_realize && !accel->cpu_realize(cpu, error)) {
        if (cpu->ops->unrealize) {
            cpu->ops->unrealize(cpu);
        }
        return false;
    }
    return true;
}

static const char *nth_model_name(unsigned i, void *opaque)
{
    unsigned n = 0;

    LINKER_SET_FOREACH (cpu_models, CpuModel, model) {
        if (n++ == i) {
            return model->name;
        }
    }
    return NULL;
}

static CPUState *no_such_model(const char *name, GError **error)
{
    const char *near = did_you_mean(name, nth_model_name, NULL);

    return near ? fail_null(error, "there is no CPU model '%s'; did you mean '%s'?", name, near)
                : fail_null(error, "there is no CPU model '%s'", name);
}

CPUState *cpu_new(const char *model_name, const char *options, int index, GError **error)
{
    const CpuModel *model = cpu_model_find(model_name);
    CPUState *cpu;

    if (!model) {
        return no_such_model(model_name, error);
    }
    if (index != n_cpus || index >= MAX_CPUS) {
        return fail_null(error, "CPU %d cannot be made now", index);
    }
    cpu = allocate(model, index);
    if (!cpu) {
        return fail_null(error, "no memory for CPU %d", index);
    }
    if (!apply_properties(cpu, options, error) || !realize(cpu, error)) {
        error_context(error, "CPU model '%s'", model_name);
        free_cpu(cpu);
        return NULL;
    }
    publish_cpu(cpu);
    reset_register(reset_cpu, cpu, CPU_RESET_STAGE);
    cpu_reset(cpu);
    return cpu;
}

/* --- interrupts --- */

/* False when the accelerator has no means of its own. */
static bool kick_accel(CPUState *cpu)
{
    const AccelOps *accel = accel_current();

    if (!accel || !accel->kick) {
        return false;
    }
    accel->kick(cpu);
    return true;
}

void cpu_exit(CPUState *cpu)
{
    atomic_set(&cpu->exit_request, 1);
    kick_accel(cpu);
}

void cpu_kick(CPUState *cpu)
{
    cpu_exit(cpu);
    cpu_wake(cpu);
}

void cpu_interrupt(CPUState *cpu, uint32_t mask)
{
    atomic_or(&cpu->interrupt_request, mask); /* before the kick: who was kicked sees it */
    /* the accelerator takes it without leaving cpu_exec(): no exit_request where it has a kick */
    if (!kick_accel(cpu)) {
        atomic_set(&cpu->exit_request, 1);
    }
    if (cpu != current_cpu) {
        cpu_wake(cpu);
    }
}

void cpu_reset_interrupt(CPUState *cpu, uint32_t mask)
{
    atomic_and(&cpu->interrupt_request, ~mask);
}

/* --- debug access --- */

MemTxResult cpu_memory_rw_debug(CPUState *cpu, vaddr addr, void *buf, uint64_t len, bool is_write)
{
    uint8_t *at = buf;

    while (len) {
        uint64_t step = MIN(len, TARGET_PAGE_SIZE - (addr & ~TARGET_PAGE_MASK));
        MemTxResult result;
        hwaddr pa;

        if (!cpu->ops->translate_debug(cpu, addr, &pa)) {
            return MEMTX_DECODE_ERROR;
        }
        result = is_write ? address_space_write_rom(cpu->as, pa, at, step)
                          : address_space_read(cpu->as, pa, at, step);
        if (result != MEMTX_OK) {
            return result;
        }
        addr += step;
        at += step;
        len -= step;
    }
    return MEMTX_OK;
}
