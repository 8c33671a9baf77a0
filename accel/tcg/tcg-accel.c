/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The accelerator "tcg": its options, and its part of each vCPU's life. */
#include "internal.h"
#include "lockstep.h"

#include "accel/log.h"
#include "api/field.h"
#include "system/accel.h"
#include "system/machine.h"
#include "util/error.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

TcgAccelConfig tcg_accel_config;

/* --- vCPUs --- */

static TcgCpu *tcg_cpus[TCG_MAX_CPUS]; /* written under the big lock, before n_tcg_cpus */
static unsigned n_tcg_cpus;

unsigned tcg_cpu_count(void)
{
    return atomic_load_acquire(&n_tcg_cpus); /* pairs with publish() */
}

TcgCpu *tcg_cpu_nth(unsigned i)
{
    return tcg_cpus[i];
}

static void publish(TcgCpu *tc)
{
    tcg_cpus[n_tcg_cpus] = tc;
    atomic_store_release(&n_tcg_cpus, n_tcg_cpus + 1);
}

static TcgCpu *find_tcg_cpu(const TCGEnv *env)
{
    for (unsigned i = 0; i < tcg_cpu_count(); i++) {
        if (tcg_cpus[i]->env == env) {
            return tcg_cpus[i];
        }
    }
    return NULL;
}

TcgCpu *env_tcg_cpu(TCGEnv *env)
{
    return likely(current_cpu && current_cpu->env == env) ? current_cpu->accel : find_tcg_cpu(env);
}

CPUState *env_cpu(TCGEnv *env)
{
    CPUState *cpu;
    int i;

    if (likely(current_cpu && current_cpu->env == env)) {
        return current_cpu;
    }
    CPU_FOREACH (cpu, i) {
        if (cpu->env == env) {
            return cpu;
        }
    }
    return NULL;
}

/* --- options --- */

static const char *const thread_names[] = {"multi", "single", NULL};

static const Field tcg_fields[] = {
    F_U32(TcgAccelConfig, tb_size, "tb-size", .max = 1024, .unit = "MiB", .default_value = "0",
          .help = "memory for translated code of all vCPUs (0: by their number and the host's memory)"),
    F_U32(TcgAccelConfig, tb_segments, "tb-segments", .min = 1, .max = CODE_SEGMENTS_MAX, .default_value = "8",
          .help = "parts that it is thrown away by when it is full"),
    F_ENUM(TcgAccelConfig, thread, "thread", thread_names, "TcgThread", .default_value = "multi",
           .help = "vCPUs always have a host thread each"),
    F_BOOL(TcgAccelConfig, interp, "interp", .help = "interpret the intermediate representation"),
    F_BOOL(TcgAccelConfig, one_insn_per_tb, "one-insn-per-tb", .help = "one guest instruction in each block"),
    F_BOOL(TcgAccelConfig, no_chain, "no-chain", .help = "never link direct jumps"),
    F_BOOL(TcgAccelConfig, no_optimize, "no-optimize", .help = "leave the optimiser out"),
    F_BOOL(TcgAccelConfig, no_fp_inline, "no-fp-inline", .help = "all floating point by software"),
    F_BOOL(TcgAccelConfig, no_loop_regs, "no-loop-regs", .help = "the same guest registers in registers everywhere"),
    F_BOOL(TcgAccelConfig, no_jump_table, "no-jump-table", .help = "look every far jump up"),
    F_BOOL(TcgAccelConfig, no_code_stores, "no-code-stores", .help = "look every store beside code up"),
    F_BOOL(TcgAccelConfig, no_fast_refill, "no-fast-refill",
           .help = "take the long way from a soft TLB miss to the second level"),
    F_BOOL(TcgAccelConfig, no_store_ahead, "no-store-ahead",
           .help = "fill soft TLB entries for stores at stores only"),
    F_BOOL(TcgAccelConfig, no_revive, "no-revive",
           .help = "translate again when code that changed is as it was"),
    F_BOOL(TcgAccelConfig, no_page_slots, "no-page-slots",
           .help = "never look first for the page that a load or store in a loop accessed last"),
    F_BOOL(TcgAccelConfig, lockstep, "lockstep",
           .help = "interpret each block beside its translation, and stop at the first difference (one CPU)"),
    F_BOOL(TcgAccelConfig, perf, "perf", .help = "write /tmp/perf-PID.map"),
    F_BOOL(TcgAccelConfig, split_wx, "split-wx", .default_value = "on",
           .help = "code memory is never writable and executable in one place"),
    FIELD_END,
};

/* Code buffers lie within reach of each other's jumps. */
#define CODE_TOTAL_MAX_MIB 768
/* One run of gcc -O2 makes 70 MiB of code; what does not fit is translated again in the next. */
#define CODE_DEFAULT_MIB       256
#define CODE_DEFAULT_TOTAL_MIB 512
#define CODE_DEFAULT_MIN_MIB   64

static uint32_t default_code_mib(uint32_t cpus)
{
    uint64_t host_mib = (uint64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) >> 20;
    uint32_t most = MIN(CODE_DEFAULT_TOTAL_MIB, host_mib / 16);

    return MAX(MIN(CODE_DEFAULT_MIB * cpus, most), CODE_DEFAULT_MIN_MIB * cpus);
}

static uint32_t code_mib_per_cpu(void)
{
    const Machine *machine = machine_current();
    uint32_t cpus = machine && machine->config.max_cpus > 0 ? machine->config.max_cpus : 1;
    uint32_t total = tcg_accel_config.tb_size ? tcg_accel_config.tb_size : default_code_mib(cpus);

    return MAX(MIN(total, CODE_TOTAL_MAX_MIB) / cpus, 1);
}

/* --- start --- */

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
    tb_maint_init();
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
    };

    if (tcg_accel_config.lockstep) {
        lockstep_hook(&runtime);
    }
    return tcg_init(&config, &runtime, guest, error);
}

static bool tcg_cpu_realize(CPUState *cpu, GError **error)
{
    TcgCpu *tc;

    if (!cpu->ops->tcg) {
        return fail(error, "accelerator 'tcg' does not know CPU model '%s'", cpu->model->name);
    }
    if (n_tcg_cpus == TCG_MAX_CPUS) {
        return fail(error, "accelerator 'tcg' has at most %d CPUs", TCG_MAX_CPUS);
    }
    if (!n_tcg_cpus && !start_compiler(cpu->ops->tcg->guest, error)) {
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
    if (!tcg_exec_realize(tc, code_mib_per_cpu(), error) ||
        (tcg_accel_config.lockstep && !lockstep_init(tc, error))) {
        munmap(tc, sizeof(*tc));
        return false;
    }
    cpu->accel = tc;
    publish(tc);
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

ACCEL(tcg, .name = "tcg", .help = "translate guest code to host code", .properties = tcg_fields,
      .config = &tcg_accel_config, .init = tcg_accel_init, .cpu_realize = tcg_cpu_realize,
      .cpu_reset = tcg_cpu_reset, .cpu_exec = tcg_cpu_exec, .kick = tcg_kick, .cpu_flush = tcg_cpu_flush);
