/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control and status registers: one row each.
 *
 * The number says the lowest privilege (bits 9:8) and whether the register is read-only (bits 11:10 both
 * set).  A row is either a plain 64-bit field with a mask of writable bits, or has functions.  Writes make
 * their value legal; nothing a guest writes can leave a state the other files would not expect.
 */
#include "cpu.h"
#include "insn.h"

#include "tcg/tcg.h"
#include <glib.h>

typedef struct CSRRow {
    uint16_t number;
    const char *name;
    size_t offset; /* of the field, when there is no function */
    uint64_t mask; /* of it: what writes change */
    uint64_t (*read)(RISCVCPU *cpu, unsigned csr);
    void (*write)(RISCVCPU *cpu, unsigned csr, uint64_t value);
    bool (*allowed)(RISCVCPU *cpu, unsigned csr); /* beyond privilege; NULL: yes */
} CSRRow;

/* --- who may --- */
static bool fp_on(RISCVCPU *cpu, unsigned csr)
{
    return riscv_has(cpu, EXT_f) && (cpu->mstatus & MSTATUS_FS);
}

static bool vector_on(RISCVCPU *cpu, unsigned csr)
{
    return riscv_has(cpu, EXT_zve32x) && (cpu->mstatus & MSTATUS_VS);
}

/* cycle, time, instret, hpmcounterN */
static bool counter_enabled(RISCVCPU *cpu, unsigned csr)
{
    uint32_t bit = 1u << (csr & 31);

    return cpu->priv == PRIV_M ||
           ((cpu->mcounteren & bit) && (cpu->priv == PRIV_S || (cpu->scounteren & bit)));
}

static bool satp_allowed(RISCVCPU *cpu, unsigned csr)
{
    return !(cpu->priv == PRIV_S && (cpu->mstatus & MSTATUS_TVM));
}

static bool stimecmp_allowed(RISCVCPU *cpu, unsigned csr)
{
    return riscv_has(cpu, EXT_sstc) &&
           (cpu->priv == PRIV_M || ((cpu->mcounteren & 2) && (cpu->menvcfg & ENVCFG_STCE)));
}

static bool stateen_bit(RISCVCPU *cpu, uint64_t bit)
{
    return !riscv_has(cpu, EXT_smstateen) || cpu->priv == PRIV_M || (cpu->mstateen[0] & bit);
}

static bool senvcfg_allowed(RISCVCPU *cpu, unsigned csr)
{
    return stateen_bit(cpu, STATEEN_ENVCFG);
}

static bool mstateen_allowed(RISCVCPU *cpu, unsigned csr)
{
    return riscv_has(cpu, EXT_smstateen);
}

static bool sstateen_allowed(RISCVCPU *cpu, unsigned csr)
{
    return riscv_has(cpu, EXT_smstateen) && (cpu->priv == PRIV_M || (cpu->mstateen[csr & 3] & STATEEN_SE0));
}

static bool smepmp_present(RISCVCPU *cpu, unsigned csr)
{
    return riscv_has(cpu, EXT_smepmp);
}

static bool hyper_present(RISCVCPU *cpu, unsigned csr)
{
    return riscv_has_hyper(cpu);
}

static bool pmp_present(RISCVCPU *cpu, unsigned csr)
{
    return cpu->cfg.pmp;
}

/* --- floating point --- */
static uint64_t read_fflags(RISCVCPU *cpu, unsigned csr)
{
    return tcg_fp_get_flags(&cpu->tcg) & 31;
}

static uint64_t read_frm(RISCVCPU *cpu, unsigned csr)
{
    return cpu->tcg.frm;
}

static uint64_t read_fcsr(RISCVCPU *cpu, unsigned csr)
{
    return cpu->tcg.frm << 5 | read_fflags(cpu, csr);
}

static void put_fcsr(RISCVCPU *cpu, unsigned frm, unsigned fflags)
{
    tcg_fp_set(&cpu->tcg, frm & 7, fflags & 31);
    riscv_put_mstatus(cpu, cpu->mstatus | MSTATUS_FS);
}

static void write_fflags(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    put_fcsr(cpu, cpu->tcg.frm, value);
}

static void write_frm(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    put_fcsr(cpu, value, read_fflags(cpu, csr));
}

static void write_fcsr(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    put_fcsr(cpu, value >> 5, value);
}

/* --- vectors --- */
static uint64_t read_vstart(RISCVCPU *cpu, unsigned csr)
{
    return cpu->vector.vstart;
}

static void vector_written(RISCVCPU *cpu)
{
    riscv_put_mstatus(cpu, cpu->mstatus | MSTATUS_VS);
}

/* As many bits as the index of an element can have. */
static void write_vstart(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    cpu->vector.vstart = value & (cpu->cfg.vlen - 1);
    vector_written(cpu);
}

static uint64_t read_vcsr(RISCVCPU *cpu, unsigned csr)
{
    return cpu->vector.vxrm << 1 | cpu->vector.vxsat;
}

static void write_vcsr(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    cpu->vector.vxrm = (value >> 1) & 3;
    cpu->vector.vxsat = value & 1;
    vector_written(cpu);
}

static uint64_t read_vxsat(RISCVCPU *cpu, unsigned csr)
{
    return cpu->vector.vxsat;
}

static void write_vxsat(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    write_vcsr(cpu, csr, cpu->vector.vxrm << 1 | (value & 1));
}

static uint64_t read_vxrm(RISCVCPU *cpu, unsigned csr)
{
    return cpu->vector.vxrm;
}

static void write_vxrm(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    write_vcsr(cpu, csr, (value & 3) << 1 | cpu->vector.vxsat);
}

static uint64_t read_vl(RISCVCPU *cpu, unsigned csr)
{
    return cpu->vector.vl;
}

static uint64_t read_vtype(RISCVCPU *cpu, unsigned csr)
{
    return cpu->vector.vtype | (uint64_t)cpu->vector.vill << 63;
}

static uint64_t read_vlenb(RISCVCPU *cpu, unsigned csr)
{
    return cpu->cfg.vlenb;
}

/* --- constants --- */
uint64_t riscv_misa(const RISCVCPU *cpu)
{
    uint64_t letters = BIT_ULL('I' - 'A') | BIT_ULL('S' - 'A') | BIT_ULL('U' - 'A');

    letters |= riscv_has(cpu, EXT_a) ? BIT_ULL('A' - 'A') : 0;
    letters |= riscv_has(cpu, EXT_b) ? MISA_B : 0;
    letters |= riscv_has(cpu, EXT_c) ? BIT_ULL('C' - 'A') : 0;
    letters |= riscv_has(cpu, EXT_d) ? BIT_ULL('D' - 'A') : 0;
    letters |= riscv_has(cpu, EXT_f) ? BIT_ULL('F' - 'A') : 0;
    letters |= riscv_has(cpu, EXT_m) ? BIT_ULL('M' - 'A') : 0;
    letters |= riscv_has(cpu, EXT_v) ? BIT_ULL('V' - 'A') : 0;
    return letters;
}

static uint64_t read_misa(RISCVCPU *cpu, unsigned csr)
{
    return cpu->misa | UINT64_C(2) << 62;
}

static uint64_t read_zero(RISCVCPU *cpu, unsigned csr)
{
    return 0;
}

/* No trigger exists: type 0 is all that tselect can find. */
static uint64_t read_tinfo(RISCVCPU *cpu, unsigned csr)
{
    return 1;
}

static void write_ignored(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
}

/* --- status --- */
static void write_mstatus(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    uint64_t mask = riscv_mstatus_mask(cpu);

    if (((value & MSTATUS_MPP) >> 11) == 2) {
        mask &= ~MSTATUS_MPP;
    }
    riscv_put_mstatus(cpu, (cpu->mstatus & ~mask) | (value & mask));
}

static uint64_t read_sstatus(RISCVCPU *cpu, unsigned csr)
{
    return cpu->mstatus & SSTATUS_READ;
}

static void write_sstatus(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    uint64_t mask = SSTATUS_WRITE & riscv_mstatus_mask(cpu);

    riscv_put_mstatus(cpu, (cpu->mstatus & ~mask) | (value & mask));
}

/* Direct or vectored; a reserved mode leaves the register alone. */
static void write_tvec(uint64_t *tvec, uint64_t value)
{
    if ((value & 3) < 2) {
        *tvec = value;
    }
}

static void write_mtvec(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    write_tvec(&cpu->mtvec, value);
}

static void write_stvec(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    write_tvec(&cpu->stvec, value);
}

/* --- interrupts --- */
static bool stip_is_timer(const RISCVCPU *cpu)
{
    return riscv_has(cpu, EXT_sstc) && (cpu->menvcfg & ENVCFG_STCE);
}

static uint64_t read_mip(RISCVCPU *cpu, unsigned csr)
{
    return riscv_mip(cpu);
}

/* Bit by bit, because a line's owner may set SSIP at the same time. */
static void write_mip_bits(RISCVCPU *cpu, uint64_t mask, uint64_t value)
{
    uint64_t set = value & mask, clear = ~value & mask;

    if (clear) {
        atomic_and(&cpu->mip_soft, ~clear);
    }
    if (set) {
        atomic_or(&cpu->mip_soft, set);
    }
}

static void write_mip(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    write_mip_bits(cpu, MIP_SSIP | MIP_SEIP | (stip_is_timer(cpu) ? 0 : MIP_STIP), value);
}

static uint64_t read_sip(RISCVCPU *cpu, unsigned csr)
{
    return riscv_mip(cpu) & cpu->mideleg;
}

static void write_sip(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    write_mip_bits(cpu, MIP_SSIP & cpu->mideleg, value);
}

static uint64_t read_sie(RISCVCPU *cpu, unsigned csr)
{
    return cpu->mie & cpu->mideleg;
}

static void write_sie(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    cpu->mie = (cpu->mie & ~cpu->mideleg) | (value & cpu->mideleg);
}

/* --- counters --- */
static uint64_t read_counter(RISCVCPU *cpu, unsigned csr)
{
    switch (csr & 31) {
    case 0:
        return riscv_counter_read(cpu, &cpu->cycle, 0);
    case 1:
        return guest_time_get();
    case 2:
        return riscv_counter_read(cpu, &cpu->instret, 2);
    default:
        return 0;
    }
}

static void write_counter(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    switch (csr & 31) {
    case 0:
        riscv_counter_write(cpu, &cpu->cycle, 0, value);
        break;
    case 2:
        riscv_counter_write(cpu, &cpu->instret, 2, value);
        break;
    default:
        break;
    }
}

static uint64_t read_mcounteren(RISCVCPU *cpu, unsigned csr)
{
    return cpu->mcounteren;
}

static void write_mcounteren(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    cpu->mcounteren = value;
}

static uint64_t read_scounteren(RISCVCPU *cpu, unsigned csr)
{
    return cpu->scounteren;
}

static void write_scounteren(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    cpu->scounteren = value;
}

static uint64_t read_hcounteren(RISCVCPU *cpu, unsigned csr)
{
    return cpu->wire.hyper.hcounteren;
}

static void write_hcounteren(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    cpu->wire.hyper.hcounteren = value;
}

static uint64_t read_mcountinhibit(RISCVCPU *cpu, unsigned csr)
{
    return cpu->mcountinhibit;
}

static void write_mcountinhibit(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    riscv_mcountinhibit_write(cpu, value & ~2u);
}

static void write_stimecmp(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    riscv_stimecmp_write(cpu, value);
}

/* --- translation, protection, environment --- */
/* Without an MMU the register is read-only zero. */
static void write_satp(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    if (cpu->cfg.mmu) {
        riscv_satp_write(cpu, value);
    }
}

static uint64_t read_pmpcfg(RISCVCPU *cpu, unsigned csr)
{
    return riscv_pmpcfg_read(cpu, csr & 15);
}

static void write_pmpcfg(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    riscv_pmpcfg_write(cpu, csr & 15, value);
}

static uint64_t read_pmpaddr(RISCVCPU *cpu, unsigned csr)
{
    return cpu->pmpaddr[csr - 0x3b0];
}

static void write_pmpaddr(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    riscv_pmpaddr_write(cpu, csr - 0x3b0, value);
}

/* MML and MMWP stay once set; RLB cannot be set again while an entry is locked. */
static void write_mseccfg(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    uint64_t sticky = cpu->mseccfg & (MSECCFG_MML | MSECCFG_MMWP);

    if (!(cpu->mseccfg & MSECCFG_RLB)) {
        for (unsigned n = 0; n < RISCV_PMP_ENTRIES; n++) {
            if (cpu->pmpcfg[n] & PMP_L) {
                value &= ~MSECCFG_RLB;
            }
        }
    }
    cpu->mseccfg = sticky | (value & (MSECCFG_MML | MSECCFG_MMWP | MSECCFG_RLB));
    riscv_pmp_update(cpu);
    tlb_flush(&cpu->tcg);
}

/* The reserved value of CBIE leaves the field alone. */
static uint64_t legal_envcfg(uint64_t old, uint64_t value, uint64_t mask)
{
    if ((value & ENVCFG_CBIE) == UINT64_C(2) << 4) {
        mask &= ~ENVCFG_CBIE;
    }
    return (old & ~mask) | (value & mask);
}

static uint64_t senvcfg_mask(const RISCVCPU *cpu)
{
    uint64_t mask = ENVCFG_FIOM;

    mask |= riscv_has(cpu, EXT_zicbom) ? ENVCFG_CBIE | ENVCFG_CBCFE : 0;
    mask |= riscv_has(cpu, EXT_zicboz) ? ENVCFG_CBZE : 0;
    return mask;
}

uint64_t riscv_menvcfg_mask(const RISCVCPU *cpu)
{
    uint64_t mask = senvcfg_mask(cpu);

    mask |= riscv_has(cpu, EXT_svadu) ? ENVCFG_ADUE : 0;
    mask |= riscv_has(cpu, EXT_svpbmt) ? ENVCFG_PBMTE : 0;
    mask |= riscv_has(cpu, EXT_sstc) ? ENVCFG_STCE : 0;
    return mask;
}

static void write_menvcfg(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    uint64_t old = cpu->menvcfg;

    cpu->menvcfg = legal_envcfg(old, value, riscv_menvcfg_mask(cpu));
    if ((old ^ cpu->menvcfg) & (ENVCFG_ADUE | ENVCFG_PBMTE)) {
        tlb_flush(&cpu->tcg);
    }
    if ((old ^ cpu->menvcfg) & ENVCFG_STCE) {
        riscv_stimecmp_update(cpu);
    }
}

static void write_senvcfg(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    cpu->senvcfg = legal_envcfg(cpu->senvcfg, value, senvcfg_mask(cpu));
}

static uint64_t read_mstateen(RISCVCPU *cpu, unsigned csr)
{
    return cpu->mstateen[csr & 3];
}

static void write_mstateen(RISCVCPU *cpu, unsigned csr, uint64_t value)
{
    cpu->mstateen[csr & 3] = value & (STATEEN_SE0 | ((csr & 3) == 0 ? STATEEN_ENVCFG : 0));
}

/* --- the table --- */
#define FIELD(number, name, field, writable)                                                                 \
    {                                                                                                        \
        number, name, offsetof(RISCVCPU, field), writable, NULL, NULL, NULL                                  \
    }
#define FN(number, name, ...)                                                                                \
    {                                                                                                        \
        number, name, 0, 0, __VA_ARGS__                                                                      \
    }
/* Storage of the hypervisor extension. */
#define HYPER(number, name, field, writable)                                                                 \
    {                                                                                                        \
        number, name, offsetof(RISCVCPU, wire.hyper.field), writable, NULL, NULL, hyper_present              \
    }
#define MEDELEG_WRITE                                                                                        \
    0xb3ffu /* all that S-mode can handle: not its callers' ecall from M (11), nor reserved ones */

static const CSRRow csr_rows[] = {
    FN(0x001, "fflags", read_fflags, write_fflags, fp_on),
    FN(0x002, "frm", read_frm, write_frm, fp_on),
    FN(0x003, "fcsr", read_fcsr, write_fcsr, fp_on),
    FN(0x008, "vstart", read_vstart, write_vstart, vector_on),
    FN(0x009, "vxsat", read_vxsat, write_vxsat, vector_on),
    FN(0x00a, "vxrm", read_vxrm, write_vxrm, vector_on),
    FN(0x00f, "vcsr", read_vcsr, write_vcsr, vector_on),
    FN(0xc20, "vl", read_vl, NULL, vector_on),
    FN(0xc21, "vtype", read_vtype, NULL, vector_on),
    FN(0xc22, "vlenb", read_vlenb, NULL, vector_on),
    FN(0xc00, "cycle", read_counter, NULL, counter_enabled),
    FN(0xc01, "time", read_counter, NULL, counter_enabled),
    FN(0xc02, "instret", read_counter, NULL, counter_enabled),

    FN(0x100, "sstatus", read_sstatus, write_sstatus, NULL),
    FN(0x104, "sie", read_sie, write_sie, NULL),
    FN(0x105, "stvec", NULL, write_stvec, NULL),
    FN(0x106, "scounteren", read_scounteren, write_scounteren, NULL),
    FN(0x10a, "senvcfg", NULL, write_senvcfg, senvcfg_allowed),
    FN(0x10c, "sstateen0", read_zero, write_ignored, sstateen_allowed),
    FN(0x10d, "sstateen1", read_zero, write_ignored, sstateen_allowed),
    FN(0x10e, "sstateen2", read_zero, write_ignored, sstateen_allowed),
    FN(0x10f, "sstateen3", read_zero, write_ignored, sstateen_allowed),
    FIELD(0x140, "sscratch", sscratch, UINT64_MAX),
    FIELD(0x141, "sepc", sepc, ~UINT64_C(1)),
    FIELD(0x142, "scause", scause, UINT64_MAX),
    FIELD(0x143, "stval", stval, UINT64_MAX),
    FN(0x144, "sip", read_sip, write_sip, NULL),
    FN(0x14d, "stimecmp", NULL, write_stimecmp, stimecmp_allowed),
    FN(0x180, "satp", NULL, write_satp, satp_allowed),

    FN(0xf11, "mvendorid", read_zero, NULL, NULL),
    FN(0xf12, "marchid", read_zero, NULL, NULL),
    FN(0xf13, "mimpid", read_zero, NULL, NULL),
    FIELD(0xf14, "mhartid", mhartid, 0),
    FN(0xf15, "mconfigptr", read_zero, NULL, NULL),
    FN(0x300, "mstatus", NULL, write_mstatus, NULL),
    FN(0x301, "misa", read_misa, write_ignored, NULL),
    FIELD(0x302, "medeleg", medeleg, MEDELEG_WRITE),
    FIELD(0x303, "mideleg", mideleg, MIP_S),
    FIELD(0x304, "mie", mie, MIP_ALL),
    FN(0x305, "mtvec", NULL, write_mtvec, NULL),
    FN(0x306, "mcounteren", read_mcounteren, write_mcounteren, NULL),
    FN(0x30a, "menvcfg", NULL, write_menvcfg, NULL),
    FN(0x30c, "mstateen0", read_mstateen, write_mstateen, mstateen_allowed),
    FN(0x30d, "mstateen1", read_mstateen, write_mstateen, mstateen_allowed),
    FN(0x30e, "mstateen2", read_mstateen, write_mstateen, mstateen_allowed),
    FN(0x30f, "mstateen3", read_mstateen, write_mstateen, mstateen_allowed),
    FN(0x320, "mcountinhibit", read_mcountinhibit, write_mcountinhibit, NULL),
    FIELD(0x340, "mscratch", mscratch, UINT64_MAX),
    FIELD(0x341, "mepc", mepc, ~UINT64_C(1)),
    FIELD(0x342, "mcause", mcause, UINT64_MAX),
    FIELD(0x343, "mtval", mtval, UINT64_MAX),
    FN(0x344, "mip", read_mip, write_mip, NULL),
    FN(0x3a0, "pmpcfg0", read_pmpcfg, write_pmpcfg, pmp_present),
    FN(0x3a2, "pmpcfg2", read_pmpcfg, write_pmpcfg, pmp_present),
    FN(0x747, "mseccfg", NULL, write_mseccfg, smepmp_present),
    FN(0x7a0, "tselect", read_zero, write_ignored, NULL),
    FN(0x7a1, "tdata1", read_zero, write_ignored, NULL),
    FN(0x7a2, "tdata2", read_zero, write_ignored, NULL),
    FN(0x7a3, "tdata3", read_zero, write_ignored, NULL),
    FN(0x7a4, "tinfo", read_tinfo, write_ignored, NULL),
    FN(0xb00, "mcycle", read_counter, write_counter, NULL),
    FN(0xb02, "minstret", read_counter, write_counter, NULL),

    /* what would enter VS-mode, or interrupt it, reads as zero: hyper.h */
    HYPER(0x200, "vsstatus", vsstatus, UINT64_MAX),
    FN(0x204, "vsie", read_zero, write_ignored, hyper_present),
    HYPER(0x205, "vstvec", vstvec, UINT64_MAX),
    HYPER(0x240, "vsscratch", vsscratch, UINT64_MAX),
    HYPER(0x241, "vsepc", vsepc, ~UINT64_C(1)),
    HYPER(0x242, "vscause", vscause, UINT64_MAX),
    HYPER(0x243, "vstval", vstval, UINT64_MAX),
    FN(0x244, "vsip", read_zero, write_ignored, hyper_present),
    HYPER(0x24d, "vstimecmp", vstimecmp, UINT64_MAX),
    FN(0x280, "vsatp", read_zero, write_ignored, hyper_present),
    HYPER(0x34a, "mtinst", mtinst, UINT64_MAX),
    HYPER(0x34b, "mtval2", mtval2, UINT64_MAX),
    HYPER(0x600, "hstatus", hstatus, HSTATUS_WRITE),
    HYPER(0x602, "hedeleg", hedeleg, UINT64_MAX),
    HYPER(0x603, "hideleg", hideleg, UINT64_MAX),
    FN(0x604, "hie", read_zero, write_ignored, hyper_present),
    HYPER(0x605, "htimedelta", htimedelta, UINT64_MAX),
    FN(0x606, "hcounteren", read_hcounteren, write_hcounteren, hyper_present),
    FN(0x607, "hgeie", read_zero, write_ignored, hyper_present),
    HYPER(0x60a, "henvcfg", henvcfg, UINT64_MAX),
    HYPER(0x643, "htval", htval, UINT64_MAX),
    FN(0x644, "hip", read_zero, write_ignored, hyper_present),
    FN(0x645, "hvip", read_zero, write_ignored, hyper_present),
    HYPER(0x64a, "htinst", htinst, UINT64_MAX),
    FN(0x680, "hgatp", read_zero, write_ignored, hyper_present),
    FN(0xe12, "hgeip", read_zero, NULL, hyper_present),
};

/* Families: @first to @last share everything but the number, which their names end with (less @base). */
static const struct {
    uint16_t first, last, base;
    CSRRow row;
} csr_families[] = {
    {0xc03, 0xc1f, 0xc00, FN(0, "hpmcounter", read_zero, NULL, counter_enabled)},
    {0xb03, 0xb1f, 0xb00, FN(0, "mhpmcounter", read_zero, write_ignored, NULL)},
    {0x323, 0x33f, 0x320, FN(0, "mhpmevent", read_zero, write_ignored, NULL)},
    {0x3b0, 0x3bf, 0x3b0, FN(0, "pmpaddr", read_pmpaddr, write_pmpaddr, pmp_present)},
};

/* Fields whose only function is for writing. */
static const struct {
    uint16_t csr;
    size_t offset;
} read_fields[] = {
    {0x105, offsetof(RISCVCPU, stvec)},    {0x10a, offsetof(RISCVCPU, senvcfg)},
    {0x14d, offsetof(RISCVCPU, stimecmp)}, {0x180, offsetof(RISCVCPU, satp)},
    {0x300, offsetof(RISCVCPU, mstatus)},  {0x305, offsetof(RISCVCPU, mtvec)},
    {0x30a, offsetof(RISCVCPU, menvcfg)},  {0x747, offsetof(RISCVCPU, mseccfg)},
};

static CSRRow csr_table[4096]; /* constant after its first use; .name NULL: none */

static void fill_csr_table(void)
{
    for (unsigned n = 0; n < ARRAY_SIZE(csr_rows); n++) {
        csr_table[csr_rows[n].number] = csr_rows[n];
    }
    for (unsigned n = 0; n < ARRAY_SIZE(read_fields); n++) {
        csr_table[read_fields[n].csr].offset = read_fields[n].offset;
    }
    for (unsigned n = 0; n < ARRAY_SIZE(csr_families); n++) {
        for (unsigned csr = csr_families[n].first; csr <= csr_families[n].last; csr++) {
            csr_table[csr] = csr_families[n].row;
            csr_table[csr].number = csr;
            csr_table[csr].name =
                g_strdup_printf("%s%u", csr_families[n].row.name, csr - csr_families[n].base);
        }
    }
}

static const CSRRow *find_csr(unsigned csr)
{
    static size_t filled;

    if (g_once_init_enter(&filled)) {
        fill_csr_table();
        g_once_init_leave(&filled, 1);
    }
    return csr < 4096 && csr_table[csr].name ? &csr_table[csr] : NULL;
}

const char *riscv_csr_name(unsigned csr)
{
    const CSRRow *row = find_csr(csr);

    return row ? row->name : NULL;
}

/* --- access --- */
static uint64_t *field_of(RISCVCPU *cpu, const CSRRow *row)
{
    return (uint64_t *)((char *)cpu + row->offset);
}

static uint64_t read_row(RISCVCPU *cpu, const CSRRow *row)
{
    return row->read ? row->read(cpu, row->number) : *field_of(cpu, row);
}

static void write_row(RISCVCPU *cpu, const CSRRow *row, uint64_t value)
{
    if (row->write) {
        row->write(cpu, row->number, value);
    } else if (!row->read) {
        uint64_t *field = field_of(cpu, row);

        *field = (*field & ~row->mask) | (value & row->mask);
    }
}

/* What set and clear start from: of mip.SEIP only the part that software owns, not the line's level. */
static uint64_t modify_base(RISCVCPU *cpu, unsigned csr, uint64_t old)
{
    return csr == 0x344 ? (old & ~MIP_SEIP) | (atomic_read(&cpu->mip_soft) & MIP_SEIP) : old;
}

/* The hypervisor's own level is S-mode that no hypervisor runs. */
static unsigned lowest_priv(unsigned csr)
{
    unsigned level = (csr >> 8) & 3;

    return level == 2 ? PRIV_S : level;
}

bool riscv_csr_access(RISCVCPU *cpu, unsigned csr, CSROp op, uint64_t operand, uint64_t *old)
{
    const CSRRow *row = find_csr(csr);

    if (!row || cpu->priv < lowest_priv(csr) || (row->allowed && !row->allowed(cpu, csr)) ||
        (op != CSR_OP_READ && (csr >> 10) == 3)) {
        return false;
    }
    *old = read_row(cpu, row);
    switch (op) {
    case CSR_OP_READ:
        break;
    case CSR_OP_WRITE:
        write_row(cpu, row, operand);
        break;
    case CSR_OP_SET:
        write_row(cpu, row, modify_base(cpu, csr, *old) | operand);
        break;
    case CSR_OP_CLEAR:
        write_row(cpu, row, modify_base(cpu, csr, *old) & ~operand);
        break;
    }
    return true;
}

bool riscv_csr_ends_block(unsigned csr)
{
    return csr == 0x180 || csr == 0x300 || csr == 0x30a || csr == 0x747 || (csr >= 0x3a0 && csr <= 0x3ef);
}

bool riscv_csr_changes_fp(unsigned csr)
{
    return csr <= 3 || csr == 0x100 || csr == 0x300;
}

bool riscv_get_csr(CPUState *cs, unsigned csr, uint64_t *value)
{
    const CSRRow *row = find_csr(csr);

    if (!row) {
        return false;
    }
    *value = read_row(cpu_riscv(cs), row);
    return true;
}

bool riscv_set_csr(CPUState *cs, unsigned csr, uint64_t value)
{
    const CSRRow *row = find_csr(csr);

    if (!row || (csr >> 10) == 3) {
        return false;
    }
    write_row(cpu_riscv(cs), row, value);
    return true;
}
