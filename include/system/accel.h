/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Accelerators: ways to run vCPUs. */
#ifndef SYSTEM_ACCEL_H
#define SYSTEM_ACCEL_H

#include "api/field.h"
#include "system/cpu.h"
#include "util/linker-set.h"

typedef struct AccelOps {
    const char *name; /* "tcg" */
    const char *help;
    const Field *properties; /* of the accelerator's one configuration struct */
    void *config;            /* that struct */
    bool (*init)(GError **error);                      /* once, before CPUs; big lock */
    bool (*cpu_realize)(CPUState *cpu, GError **error); /* allocates cpu->accel */
    void (*cpu_reset)(CPUState *cpu);
    /*
     * Body of the vCPU thread between waits: runs guest code until something is to be done.  No big lock.  NULL: vCPUs
     * only wait and do queued work.
     */
    void (*cpu_exec)(CPUState *cpu);
    void (*kick)(CPUState *cpu); /* any thread: make the vCPU leave guest code soon; may be NULL */
    /* A vCPU's registers, page tables or memory changed behind the accelerator (reset, load): forget all caches. */
    void (*cpu_flush)(CPUState *cpu);
} AccelOps;
#define ACCEL(ident, ...)                                                                                          \
    const AccelOps accel_##ident = {__VA_ARGS__};                                                                  \
    LINKER_SET_ADD(accels, AccelOps, accel_##ident)

const AccelOps *accel_find(const char *name);
void accels_foreach(void (*fn)(const AccelOps *accel, void *opaque), void *opaque);
/* Chooses and initialises; @options as after "-accel tcg,". */
bool accel_select(const char *name, const char *options, GError **error);
const AccelOps *accel_current(void); /* never NULL after accel_select */
bool tcg_enabled(void);
bool qtest_enabled(void);

#endif
