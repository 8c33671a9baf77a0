/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the run state (runstate.c) and the vCPU threads (cpu.c, cpus.c). */
#ifndef SYSTEM_CPUS_INTERNAL_H
#define SYSTEM_CPUS_INTERNAL_H

#include "system/cpu.h"

/* Waits with the big lock given up. */
void bql_wait(Cond *cond);
/* Makes a sleeping vCPU thread look again; any thread. */
void cpu_wake(CPUState *cpu);

#endif
