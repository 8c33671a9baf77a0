/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The vCPUs of the accelerator: from their number, and from what translated code has of them. */
#include "internal.h"

static TcgCpu *tcg_cpus[TCG_MAX_CPUS]; /* written under the big lock, before n_tcg_cpus */
static unsigned n_tcg_cpus;

unsigned tcg_cpu_count(void)
{
    return atomic_load_acquire(&n_tcg_cpus); /* pairs with tcg_cpus_add() */
}

TcgCpu *tcg_cpu_nth(unsigned i)
{
    return tcg_cpus[i];
}

void tcg_cpus_add(TcgCpu *tc)
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
