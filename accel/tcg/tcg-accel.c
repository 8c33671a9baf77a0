/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The accelerator "tcg": how it starts, and its part of each vCPU's life. */
#include "internal.h"
#include "lockstep.h"

#include "accel/log.h"
#include "system/accel.h"
#include "util/error.h"
#include <errno.h>
#include <sys/mman.h>

static bool tcg_accel_init(GError **error)
{
    if (log_enabled(LOG_EXEC) || tcg_accel_config.lockstep) {
        tcg_accel_config.no_chain = tcg_accel_config.no_jump_table = true;
    }
    if (tcg_accel_config.lockstep) {
        tcg_accel_config.tb_segments = 1; /* lockstep's own blocks go all at once */
    }
    if (tcg_accel_config.perf && !perf_map_open(error)) {
        return false;
    }
    cpus_set_halt_polling(!tcg_accel_config.no_halt_polling);
    tb_maint_init();
    code_pages_init();
    tcg_dirty_init();
    return true;
}

static void fp_check(TCGEnv *env)
{
    env_tcg_cpu(env)->ops->fp_check(env);
}

static bool start_compiler(const TCGGuest *guest, GError **error)
{
    TCGRuntime runtime = {
        .load = tcg_load_slow,
        .store = tcg_store_slow,
        .load_fast = tcg_accel_config.no_fast_refill ? NULL : tcg_load_fast,
        .store_fast = tcg_accel_config.no_fast_refill ? NULL : tcg_store_fast,
        .atomic_host = tcg_atomic_host,
        .load_reserved = tcg_load_reserved,
        .fp_check = fp_check,
        .lookup = tcg_lookup_slow,
    };
    const TCGConfig config = {
        .interpreter = tcg_accel_config.interp,
        .no_optimize = tcg_accel_config.no_optimize,
        .no_chain = tcg_accel_config.no_chain,
        .no_fp_inline = tcg_accel_config.no_fp_inline,
        .no_jump_table = tcg_accel_config.no_jump_table,
        .no_page_slots = tcg_accel_config.no_page_slots,
        .no_loop_regs = tcg_accel_config.no_loop_regs,
        .no_short_jumps = tcg_accel_config.no_short_jumps,
        .no_cold_code = tcg_accel_config.no_cold_code,
    };

    if (tcg_accel_config.lockstep) {
        lockstep_hook(&runtime);
    }
    return tcg_init(&config, &runtime, guest, error);
}

/* The leak checker's, in builds that have one: what is reachable from there is in use. */
void __lsan_register_root_region(const void *start, size_t size) __attribute__((weak));

static bool tcg_cpu_realize(CPUState *cpu, GError **error)
{
    TcgCpu *tc;

    if (!cpu->ops->tcg) {
        return fail(error, "accelerator 'tcg' does not know CPU model '%s'", cpu->model->name);
    }
    if (tcg_cpu_count() == TCG_MAX_CPUS) {
        return fail(error, "accelerator 'tcg' has at most %d CPUs", TCG_MAX_CPUS);
    }
    if (!tcg_cpu_count() && !start_compiler(cpu->ops->tcg->guest, error)) {
        return false;
    }
    tc = mmap(NULL, sizeof(*tc), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (tc == MAP_FAILED) {
        return fail_errno(error, errno, "cannot allocate the soft TLB of a vCPU");
    }
    tc->cpu = cpu;
    tc->env = cpu->env;
    tc->ops = cpu->ops->tcg;
    tc->env->lr_addr = UINT64_MAX;
    tlb_init(tc);
    if (!tcg_exec_realize(tc, tcg_code_mib_per_cpu(), error) ||
        (tcg_accel_config.lockstep && !lockstep_init(tc, error))) {
        munmap(tc, sizeof(*tc));
        return false;
    }
    if (__lsan_register_root_region) {
        __lsan_register_root_region(tc, sizeof(*tc));
    }
    cpu->accel = tc;
    tcg_cpus_add(tc);
    return true;
}

static void tcg_cpu_reset(CPUState *cpu)
{
    TcgCpu *tc = cpu->accel;

    if (tc) {
        atomic_set(&tc->env->lr_addr, UINT64_MAX);
        tcg_request_tlb_flush(tc);
    }
}

/* Registers, page tables or all of memory were replaced. */
static void tcg_cpu_flush(CPUState *cpu)
{
    tcg_cpu_reset(cpu);
    tb_flush_all();
}

static void tcg_kick(CPUState *cpu)
{
    TCGEnv *env = cpu->env;

    atomic_set(&env->exit_request, TCG_EXIT_WANTED);
}

ACCEL(tcg, .name = "tcg", .help = "translate guest code to host code", .properties = tcg_accel_fields,
      .config = &tcg_accel_config, .init = tcg_accel_init, .cpu_realize = tcg_cpu_realize,
      .cpu_reset = tcg_cpu_reset, .cpu_exec = tcg_cpu_exec, .kick = tcg_kick, .cpu_flush = tcg_cpu_flush);
