/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of "-accel tcg". */
#include "internal.h"

#include "api/field.h"
#include "system/machine.h"
#include <unistd.h>

TcgAccelConfig tcg_accel_config;

static const char *const thread_names[] = {"multi", "single", NULL};

const Field tcg_accel_fields[] = {
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
    F_BOOL(TcgAccelConfig, no_cold_code, "no-cold-code", .help = "put code that seldom runs right behind its block"),
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
    F_BOOL(TcgAccelConfig, no_short_jumps, "no-short-jumps",
           .help = "jumps and polls in their long form"),
    F_BOOL(TcgAccelConfig, no_halt_polling, "no-halt-polling",
           .help = "a halted vCPU sleeps at once, and never looks for a wake-up first"),
    F_BOOL(TcgAccelConfig, lockstep, "lockstep",
           .help = "interpret each block beside its translation, and stop at the first difference (one CPU)"),
    F_BOOL(TcgAccelConfig, perf, "perf", .help = "write /tmp/perf-PID.map"),
    F_BOOL(TcgAccelConfig, split_wx, "split-wx", .default_value = "on",
           .help = "code memory is never writable and executable in one place"),
    FIELD_END,
};

/* Code buffers lie within reach of each other's jumps. */
#define CODE_TOTAL_MAX_MIB 768
/* One run of gcc -O2 makes 39 MiB of code; what does not fit is translated again in the next. */
#define CODE_DEFAULT_MIB       256
#define CODE_DEFAULT_TOTAL_MIB 512
#define CODE_DEFAULT_MIN_MIB   64

static uint32_t default_code_mib(uint32_t cpus)
{
    uint64_t host_mib = (uint64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) >> 20;
    uint32_t most = MIN(CODE_DEFAULT_TOTAL_MIB, host_mib / 16);

    return MAX(MIN(CODE_DEFAULT_MIB * cpus, most), CODE_DEFAULT_MIN_MIB * cpus);
}

uint32_t tcg_code_mib_per_cpu(void)
{
    const Machine *machine = machine_current();
    uint32_t cpus = machine && machine->config.max_cpus > 0 ? machine->config.max_cpus : 1;
    uint32_t total = tcg_accel_config.tb_size ? tcg_accel_config.tb_size : default_code_mib(cpus);

    return MAX(MIN(total, CODE_TOTAL_MAX_MIB) / cpus, 1);
}
