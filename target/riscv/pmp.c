/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Physical memory protection: sixteen entries, the lowest that matches decides.
 *
 * An entry that matches only part of an access denies it.  Entries that are on are kept decoded, as address
 * ranges.
 */
#include "cpu.h"

/* --- decoding --- */
static bool decode_entry(const RISCVCPU *cpu, unsigned n, PMPRange *r)
{
    uint64_t addr = cpu->pmpaddr[n], ones;

    switch (cpu->pmpcfg[n] & PMP_A) {
    case PMP_TOR:
        r->first = n ? cpu->pmpaddr[n - 1] << 2 : 0;
        r->last = (addr << 2) - 1;
        return r->first < addr << 2;
    case PMP_NA4:
        r->first = addr << 2;
        r->last = r->first + 3;
        return true;
    case PMP_NAPOT:
        ones = addr ^ (addr + 1); /* the trailing ones and the zero above them */
        r->first = (addr & ~ones) << 2;
        r->last = r->first + (ones << 2 | 3);
        return true;
    default:
        return false;
    }
}

void riscv_pmp_update(RISCVCPU *cpu)
{
    cpu->n_pmp_ranges = 0;
    for (unsigned priv = 0; priv < ARRAY_SIZE(cpu->pmp_last); priv++) {
        cpu->pmp_last[priv] = (PMPAnswer){1, 0, 0};
    }
    for (unsigned n = 0; n < RISCV_PMP_ENTRIES; n++) {
        PMPRange r = {.cfg = cpu->pmpcfg[n]};

        if (decode_entry(cpu, n, &r)) {
            cpu->pmp_ranges[cpu->n_pmp_ranges++] = r;
        }
    }
}

/* --- permissions --- */
static unsigned rwx_to_prot(unsigned cfg)
{
    return (cfg & PMP_R ? PAGE_READ : 0) | (cfg & PMP_W ? PAGE_WRITE : 0) | (cfg & PMP_X ? PAGE_EXEC : 0);
}

/* Smepmp, machine mode lockdown: each combination of L, R, W, X means something else to M than to S and U. */
static unsigned mml_prot(unsigned cfg, bool m_mode)
{
    bool locked = cfg & PMP_L;

    switch (cfg & (PMP_R | PMP_W | PMP_X)) {
    case PMP_W: /* shared: data */
        return locked ? PAGE_EXEC : PAGE_READ | (m_mode ? PAGE_WRITE : 0);
    case PMP_W | PMP_X:
        return locked ? PAGE_EXEC | (m_mode ? PAGE_READ : 0) : PAGE_READ | PAGE_WRITE;
    case PMP_R | PMP_W | PMP_X:
        if (locked) {
            return PAGE_READ;
        }
        break;
    default:
        break;
    }
    return locked == m_mode ? rwx_to_prot(cfg) : 0;
}

static unsigned entry_prot(const RISCVCPU *cpu, unsigned cfg, unsigned priv)
{
    if (cpu->mseccfg & MSECCFG_MML) {
        return mml_prot(cfg, priv == PRIV_M);
    }
    if (priv == PRIV_M && !(cfg & PMP_L)) {
        return PAGE_READ | PAGE_WRITE | PAGE_EXEC;
    }
    return rwx_to_prot(cfg);
}

/* What holds where no entry matches. */
static unsigned default_prot(const RISCVCPU *cpu, unsigned priv)
{
    if (priv != PRIV_M) {
        return cpu->cfg.pmp ? 0 : PAGE_READ | PAGE_WRITE | PAGE_EXEC;
    }
    if (cpu->mseccfg & MSECCFG_MMWP) {
        return 0;
    }
    return PAGE_READ | PAGE_WRITE | (cpu->mseccfg & MSECCFG_MML ? 0 : PAGE_EXEC);
}

/* The stretch around @addr, which entry @n decides (n_pmp_ranges: none), up to where another entry does. */
static void remember(RISCVCPU *cpu, hwaddr addr, unsigned n, unsigned priv, unsigned prot)
{
    PMPAnswer answer = {0, UINT64_MAX, prot};

    if (n < cpu->n_pmp_ranges) {
        answer.first = cpu->pmp_ranges[n].first;
        answer.last = cpu->pmp_ranges[n].last;
    }
    for (unsigned i = 0; i < n; i++) {
        const PMPRange *r = &cpu->pmp_ranges[i];

        if (r->last < addr) {
            answer.first = MAX(answer.first, r->last + 1);
        } else {
            answer.last = MIN(answer.last, r->first - 1);
        }
    }
    cpu->pmp_last[priv] = answer;
}

unsigned riscv_pmp_check(RISCVCPU *cpu, hwaddr addr, uint64_t size, unsigned priv, bool *whole)
{
    const PMPAnswer *known = &cpu->pmp_last[priv];
    hwaddr last = addr + size - 1;
    unsigned n, prot;

    *whole = true;
    if (likely(addr >= known->first && last <= known->last)) {
        return known->prot;
    }
    for (n = 0; n < cpu->n_pmp_ranges; n++) {
        const PMPRange *r = &cpu->pmp_ranges[n];

        if (last < r->first || addr > r->last) {
            continue;
        }
        if (addr < r->first || last > r->last) {
            *whole = false;
            return 0;
        }
        break;
    }
    prot = n < cpu->n_pmp_ranges ? entry_prot(cpu, cpu->pmp_ranges[n].cfg, priv) : default_prot(cpu, priv);
    remember(cpu, addr, n, priv, prot);
    return prot;
}

/* --- registers --- */
static bool entry_locked(const RISCVCPU *cpu, unsigned n)
{
    return (cpu->pmpcfg[n] & PMP_L) && !(cpu->mseccfg & MSECCFG_RLB);
}

/* With MML, rules that let M-mode execute cannot be added, unless locks are bypassed. */
static bool adds_m_execute(const RISCVCPU *cpu, uint8_t cfg)
{
    return (cpu->mseccfg & MSECCFG_MML) && !(cpu->mseccfg & MSECCFG_RLB) && (cfg & PMP_L) &&
           (mml_prot(cfg, true) & PAGE_EXEC);
}

static void write_cfg(RISCVCPU *cpu, unsigned n, uint8_t cfg)
{
    cfg &= ~0x60;
    if (entry_locked(cpu, n) || adds_m_execute(cpu, cfg)) {
        return;
    }
    if (!(cpu->mseccfg & MSECCFG_MML) && (cfg & (PMP_R | PMP_W)) == PMP_W) {
        cfg &= ~(PMP_R | PMP_W | PMP_X); /* write without read is reserved */
    }
    cpu->pmpcfg[n] = cfg;
}

static void changed(RISCVCPU *cpu)
{
    riscv_pmp_update(cpu);
    tlb_flush(&cpu->tcg);
}

void riscv_pmpcfg_write(RISCVCPU *cpu, unsigned reg, uint64_t value)
{
    for (unsigned n = 0; n < 8; n++) {
        write_cfg(cpu, reg * 4 + n, value >> (8 * n));
    }
    changed(cpu);
}

uint64_t riscv_pmpcfg_read(const RISCVCPU *cpu, unsigned reg)
{
    uint64_t value = 0;

    for (unsigned n = 0; n < 8; n++) {
        value |= (uint64_t)cpu->pmpcfg[reg * 4 + n] << (8 * n);
    }
    return value;
}

void riscv_pmpaddr_write(RISCVCPU *cpu, unsigned n, uint64_t value)
{
    bool is_base_of_locked =
        n + 1 < RISCV_PMP_ENTRIES && entry_locked(cpu, n + 1) && (cpu->pmpcfg[n + 1] & PMP_A) == PMP_TOR;

    if (entry_locked(cpu, n) || is_base_of_locked) {
        return;
    }
    cpu->pmpaddr[n] = value & MAKE_64BIT_MASK(0, 54);
    changed(cpu);
}
