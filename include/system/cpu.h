/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU as the rest of the machine sees it.
 *
 * The target allocates its own struct with a CPUState inside and describes itself by CpuOps; the accelerator hangs its
 * data on .accel.  Boards create CPUs by the name of their model and never see more than this header.
 */
#ifndef SYSTEM_CPU_H
#define SYSTEM_CPU_H

#include "api/field.h"
#include "system/device.h"
#include "system/memory.h"
#include "system/types.h"
#include "util/linker-set.h"
#include "util/lock.h"
#include <glib.h>

/* A mode of access for cpu_memory_rw_debug and fault reports. */
typedef enum MMUAccessType { MMU_DATA_LOAD, MMU_DATA_STORE, MMU_INST_FETCH } MMUAccessType;

typedef struct CpuOps {
    size_t env_size; /* of the whole struct cpu_new() allocates (64-byte aligned, zeroed) */
    size_t cpu_state_offset; /* of the CPUState in it */
    const Field *properties; /* offsets in the whole struct; "-cpu rv64,sv57=on" */
    bool (*realize)(CPUState *cpu, GError **error);
    void (*unrealize)(CPUState *cpu);
    void (*reset)(CPUState *cpu);                             /* vCPU stopped, big lock */
    bool (*has_work)(CPUState *cpu);                          /* an interrupt would end WFI; vCPU thread */
    void (*set_irq)(CPUState *cpu, int irq, int level);       /* big lock; raises or lowers mip bits */
    bool set_irq_any_thread; /* set_irq needs no lock: the lines are atomics */
    void (*set_pc)(CPUState *cpu, vaddr pc);
    vaddr (*get_pc)(CPUState *cpu);
    /* Translates without side effects; false when unmapped. */
    bool (*translate_debug)(CPUState *cpu, vaddr va, hwaddr *pa);
    void (*dump)(CPUState *cpu, GString *out);                /* "info registers" */
    void (*print_tlb)(CPUState *cpu, GString *out);           /* "info mem": the page tables */
    bool (*get_csr)(CPUState *cpu, unsigned csr, uint64_t *value); /* qtest and gdb; side-effect free */
    bool (*set_csr)(CPUState *cpu, unsigned csr, uint64_t value);
    void (*disassemble)(CPUState *cpu, vaddr pc, const uint8_t *code, size_t size, GString *out);
    /*
     * Tells the properties of the CPU's device tree node: "riscv,isa", "riscv,isa-base", "mmu-type" are strings,
     * "riscv,isa-extensions" is a list with spaces between, "riscv,*-block-size" are decimal numbers.
     */
    void (*fdt_properties)(CPUState *cpu, void (*set)(const char *name, const char *value, void *opaque),
                           void *opaque);
    const struct TcgCpuOps *tcg; /* what accel/tcg needs (accel/tcg-cpu-ops.h) */
} CpuOps;

typedef struct CpuModel {
    const char *name; /* "rv64", "max" */
    const char *help;
    const CpuOps *ops;
    void (*init)(CPUState *cpu); /* sets the model's defaults before properties */
} CpuModel;
#define CPU_MODEL(ident, ...)                                                                                      \
    static const CpuModel cpu_model_##ident = {__VA_ARGS__};                                                       \
    LINKER_SET_ADD(cpu_models, CpuModel, cpu_model_##ident)
const CpuModel *cpu_model_find(const char *name);
void cpu_models_foreach(void (*fn)(const CpuModel *model, void *opaque), void *opaque);

struct CPUState {
    /* constant after cpu_new() */
    int index;
    const CpuModel *model;
    const CpuOps *ops;
    void *env;        /* start of the target's struct */
    AddressSpace *as;
    void *accel;      /* accelerator's own */
    IRQ *irqs;        /* input lines made at realize; boards connect to cpu_irq() */
    int n_irqs;
    int64_t thread_id; /* host tid, for query-cpus-fast */

    /* any thread, atomics */
    uint32_t exit_request;      /* leave translated code soon; cleared by the vCPU thread before it looks why */
    uint32_t interrupt_request; /* CPU_INTERRUPT_* */
    uint32_t running;           /* between cpu_exec_start() and cpu_exec_end() */
    uint32_t kicked, sleeping;  /* cpu_kick() and a halted vCPU thread: see docs/locking.md */
    uint32_t work_pending;      /* items in .work */
    int64_t throttle_until_ns;  /* realtime clock: no guest code before this; 0: none */
    uint64_t dirty_limit;       /* bytes a second, 0: none; see cpu-dirty-limit.c */
    int64_t dirty_until_ns;     /* like throttle_until_ns, because of dirty_limit */
    /* written by the vCPU thread, read by anybody, atomics */
    uint64_t dirty_pages;    /* pages that this vCPU dirtied while MIGRATION was logged */
    int64_t dirty_waited_ns; /* time that dirty_limit cost it */
    /* vCPU thread */
    int64_t dirty_due_ns;             /* when the pages dirtied so far are paid for */
    uint32_t poll_skip, poll_backoff; /* halts to come without polling, and after the next failure */
    int64_t poll_ns;                  /* how long a halt polls */
    long poll_preemptions;            /* of the thread, when it last asked */

    /* vCPU thread while running; anybody under the big lock while stopped */
    bool halted; /* WFI */

    /* under the big lock */
    bool created, stop, stopped, unplug; /* written under the big lock, read by the vCPU thread without */
    bool throttle_active;
    GThread *thread;

    Lock work_lock;
    Cond halt_cond; /* with work_lock */
    GQueue work;    /* of queued run_on_cpu items; under work_lock */
};

enum {
    CPU_INTERRUPT_HARD = 1,  /* a line of the CPU may be pending: ask ops->tcg */
    CPU_INTERRUPT_RESET = 2,
    CPU_INTERRUPT_EXITTB = 4,
};

/* Big lock.  @options: "sv57=on,..." or NULL. */
CPUState *cpu_new(const char *model, const char *options, int index, GError **error);
CPUState *cpu_get(int index); /* NULL past the end */
int cpu_count(void);
#define CPU_FOREACH(cpu, i) for ((i) = 0; ((cpu) = cpu_get(i)); (i)++)
extern __thread CPUState *current_cpu; /* of this vCPU thread, else NULL */

/* Any thread. */
void cpu_interrupt(CPUState *cpu, uint32_t mask);
void cpu_reset_interrupt(CPUState *cpu, uint32_t mask);
void cpu_kick(CPUState *cpu);  /* out of WFI and out of translated code */
void cpu_exit(CPUState *cpu);  /* out of translated code */
IRQ *cpu_irq(CPUState *cpu, int n);

/* Runs fn on the vCPU's thread: when it next leaves translated code; or at once when called there. */
typedef void (*CpuWork)(CPUState *cpu, void *opaque);
void async_run_on_cpu(CPUState *cpu, CpuWork fn, void *opaque);
void run_on_cpu(CPUState *cpu, CpuWork fn, void *opaque);            /* waits; drops the big lock meanwhile */
void async_safe_run_on_cpu(CPUState *cpu, CpuWork fn, void *opaque); /* alone: no vCPU is in translated code */
/* Exclusive sections: no vCPU runs translated code between the two.  Not with the big lock held. */
void start_exclusive(void);
void end_exclusive(void);
void cpu_exec_start(CPUState *cpu); /* accelerator: brackets running guest code */
void cpu_exec_end(CPUState *cpu);
bool cpu_in_exclusive_context(void);

/* Debug access through the vCPU's page tables; big lock, vCPU stopped or current.  MEMTX_* of the access. */
MemTxResult cpu_memory_rw_debug(CPUState *cpu, vaddr addr, void *buf, uint64_t len, bool is_write);

/* --- vCPU threads: system/cpus.c; big lock --- */
void cpus_init(void);
void cpus_set_halt_polling(bool on); /* default: on.  Before vCPU threads start, or while they are stopped */
bool cpus_start_threads(GError **error); /* after the machine is complete; vCPUs wait stopped */
void pause_all_vcpus(void);
void resume_all_vcpus(void);
void cpus_end_threads(void);
bool cpu_can_run(CPUState *cpu);
/* vCPU thread loop's waiting part: sleeps while stopped or halted, runs queued work.  Big lock held, dropped inside. */
void cpu_wait_io_event(CPUState *cpu);
/* Throttle (auto-converge): the share of time each vCPU sleeps, 0..99. */
void cpu_throttle_set(int percent);
void cpu_throttle_stop(void);
int cpu_throttle_get_percentage(void);
/* Limit on the memory this vCPU dirties; 0: none.  Any thread. */
void cpu_dirty_limit_set(CPUState *cpu, uint64_t bytes_per_second);
/* For the store path: the vCPU, current, has just set a page's MIGRATION bit. */
void cpu_charge_dirty_page(CPUState *cpu);
static inline void cpu_count_dirty_page(CPUState *cpu)
{
    atomic_set(&cpu->dirty_pages, atomic_read(&cpu->dirty_pages) + 1);
    if (unlikely(atomic_read(&cpu->dirty_limit))) {
        cpu_charge_dirty_page(cpu);
    }
}
/* The whole of a reset: ops, accelerator; vCPU stopped, big lock. */
void cpu_reset(CPUState *cpu);

#endif
