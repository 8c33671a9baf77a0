/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hart as an object of the machine: models, properties, reset, interrupt lines, register dump. */
#include "cpu.h"
#include "insn.h"

#include "tcg/tcg.h"
#include "util/error.h"
#include <stdio.h>
#include <string.h>

#define RESET_PC 0x1000

/* --- models and properties --- */
static const char *const vext_specs[] = {"v1.0", NULL};

static const Field riscv_properties[] = {
#define EXT_FIELD(ident, wire, rv64, max) F_BOOL(RISCVCPU, cfg.ext[EXT_##ident], wire),
    RISCV_EXTENSIONS(EXT_FIELD)
#undef EXT_FIELD
        F_BOOL(RISCVCPU, cfg.mmu, "mmu", .help = "address translation"),
    F_BOOL(RISCVCPU, cfg.pmp, "pmp", .help = "physical memory protection"),
    F_BOOL(RISCVCPU, cfg.sv48, "sv48", .help = "offer 48-bit virtual addresses"),
    F_BOOL(RISCVCPU, cfg.sv57, "sv57", .help = "offer 57-bit virtual addresses"),
    F_U16(RISCVCPU, cfg.vlen, "vlen", .help = "bits of a vector register: a power of two, 128 to 1024"),
    F_U16(RISCVCPU, cfg.elen, "elen", .help = "bits of the largest vector element: 32 or 64"),
    F_ENUM(RISCVCPU, cfg.vext_spec, "vext_spec", vext_specs, "RISCVVectorSpec",
           .help = "version of the vector extension"),
    FIELD_END,
};

static void set_model(CPUState *cs, bool max)
{
    RISCVCPU *cpu = cpu_riscv(cs);
    static const uint8_t offered[2][EXT_COUNT] = {
        {
#define EXT_RV64(ident, name, rv64, max) [EXT_##ident] = rv64,
            RISCV_EXTENSIONS(EXT_RV64)
#undef EXT_RV64
        },
        {
#define EXT_MAX(ident, name, rv64, max) [EXT_##ident] = max,
            RISCV_EXTENSIONS(EXT_MAX)
#undef EXT_MAX
        },
    };

    for (unsigned e = 1; e < EXT_COUNT; e++) {
        cpu->cfg.ext[e] = offered[max][e] == RV_YES;
        cpu->cfg.has[e] = offered[max][e] == RV_QUIET;
    }
    cpu->cfg.mmu = cpu->cfg.pmp = cpu->cfg.sv48 = true;
    cpu->cfg.sv57 = max;
    cpu->cfg.vlen = 128;
    cpu->cfg.elen = 64;
    cpu->mhartid = cs->index;
    cpu->resetvec = RESET_PC;
}

static void init_rv64(CPUState *cs)
{
    set_model(cs, false);
}

static void init_max(CPUState *cs)
{
    set_model(cs, true);
}

CPU_MODEL(rv64, .name = "rv64", .help = "64-bit, the extensions that Linux distributions expect",
          .ops = &riscv_cpu_ops, .init = init_rv64);
CPU_MODEL(max, .name = "max", .help = "64-bit, everything that is implemented", .ops = &riscv_cpu_ops,
          .init = init_max);

/* --- life --- */
/* An extension brings the ones it is built upon. */
static void add_implied(bool *ext)
{
    static const struct {
        uint8_t ext, brings;
    } implied[] = {
        {EXT_zfh, EXT_zfhmin},    {EXT_zvfh, EXT_zvfhmin},  {EXT_v, EXT_zve64d},      {EXT_zve64d, EXT_zve64f},
        {EXT_zve64f, EXT_zve64x}, {EXT_zve64f, EXT_zve32f}, {EXT_zve64x, EXT_zve32x}, {EXT_zve32f, EXT_zve32x},
    };

    for (unsigned n = 0; n < ARRAY_SIZE(implied); n++) {
        ext[implied[n].brings] |= ext[implied[n].ext];
    }
}

static bool check_vector(const RISCVConfig *cfg, GError **error)
{
    const bool *ext = cfg->ext;
    unsigned smallest = ext[EXT_v] ? 128 : ext[EXT_zve64x] ? 64 : 32;

    if (!ext[EXT_zve32x]) {
        return true;
    }
    if (!is_power_of_2(cfg->vlen) || cfg->vlen < smallest || cfg->vlen > RISCV_VLEN_MAX) {
        return fail(error, "'vlen' is a power of two from %u to %u, not %u", smallest, RISCV_VLEN_MAX,
                    cfg->vlen);
    }
    if (cfg->elen != 32 && cfg->elen != 64) {
        return fail(error, "'elen' is 32 or 64, not %u", cfg->elen);
    }
    if (ext[EXT_zve32f] && !ext[EXT_f]) {
        return fail(error, "'zve32f' needs 'f'");
    }
    if (ext[EXT_zve64d] && !ext[EXT_d]) {
        return fail(error, "'v' and 'zve64d' need 'd'");
    }
    if (ext[EXT_zvfhmin] && !ext[EXT_zve32f]) {
        return fail(error, "'zvfh' and 'zvfhmin' need 'zve32f'");
    }
    return true;
}

static bool check_config(RISCVCPU *cpu, GError **error)
{
    bool *ext = cpu->cfg.ext;

    if (!ext[EXT_c]) {
        return fail(error, "the compressed instructions ('c') cannot be turned off");
    }
    if (ext[EXT_d] && !ext[EXT_f]) {
        return fail(error, "'d' needs 'f'");
    }
    if (cpu->cfg.sv57 && !cpu->cfg.sv48) {
        return fail(error, "'sv57' needs 'sv48'");
    }
    if (ext[EXT_smepmp] && !cpu->cfg.pmp) {
        return fail(error, "'smepmp' needs 'pmp'");
    }
    if (!ext[EXT_f] && (ext[EXT_zfa] || ext[EXT_zfh] || ext[EXT_zfhmin])) {
        return fail(error, "'zfa', 'zfh' and 'zfhmin' need 'f'");
    }
    return check_vector(&cpu->cfg, error);
}

static bool riscv_realize(CPUState *cs, GError **error)
{
    RISCVCPU *cpu = cpu_riscv(cs);

    add_implied(cpu->cfg.ext);
    if (!check_config(cpu, error)) {
        return false;
    }
    cpu->cfg.vlenb = cpu->cfg.vlen / 8;
    cpu->cfg.ext[EXT_b] &= cpu->cfg.ext[EXT_zba] && cpu->cfg.ext[EXT_zbb] && cpu->cfg.ext[EXT_zbs];
    for (unsigned e = 1; e < EXT_COUNT; e++) {
        cpu->cfg.has[e] |= cpu->cfg.ext[e];
    }
    cpu->cfg.has[EXT_none] = true;
    cpu->cfg.has[EXT_zfhmin] &= cpu->cfg.ext[EXT_f];
    cpu->misa = riscv_misa(cpu);
    riscv_timer_init(cpu);
    riscv_state_register(cpu);
    return true;
}

static void riscv_unrealize(CPUState *cs)
{
    RISCVCPU *cpu = cpu_riscv(cs);

    riscv_state_unregister(cpu);
    riscv_timer_destroy(cpu);
}

static void reset_csrs(RISCVCPU *cpu)
{
    cpu->mie = cpu->mideleg = cpu->medeleg = 0;
    cpu->mtvec = cpu->mepc = cpu->mcause = cpu->mtval = cpu->mscratch = 0;
    cpu->stvec = cpu->sepc = cpu->scause = cpu->stval = cpu->sscratch = 0;
    cpu->satp = 0;
    cpu->senvcfg = cpu->mseccfg = 0;
    /* without Svade firmware need not know of ADUE */
    atomic_set(&cpu->menvcfg, riscv_has(cpu, EXT_svadu) && !riscv_has(cpu, EXT_svade) ? ENVCFG_ADUE : 0);
    memset(cpu->mstateen, 0, sizeof(cpu->mstateen));
    memset(cpu->sstateen, 0, sizeof(cpu->sstateen));
    cpu->mcounteren = cpu->scounteren = cpu->mcountinhibit = 0;
    memset(cpu->pmpcfg, 0, sizeof(cpu->pmpcfg));
    memset(cpu->pmpaddr, 0, sizeof(cpu->pmpaddr));
    cpu->misa = riscv_misa(cpu);
    memset(&cpu->vector, 0, sizeof(cpu->vector));
    memset(&cpu->wire, 0, sizeof(cpu->wire));
    riscv_hyper_reset(&cpu->wire.hyper);
    cpu->wire.tdata1[0] = cpu->wire.tdata1[1] = UINT64_C(2) << 60;
}

static void riscv_reset(CPUState *cs)
{
    RISCVCPU *cpu = cpu_riscv(cs);

    memset(cpu->tcg.var, 0, sizeof(cpu->tcg.var));
    cpu->tcg.pc = cpu->resetvec;
    reset_csrs(cpu);
    riscv_pmp_update(cpu);
    riscv_set_priv(cpu, PRIV_M);
    tcg_fp_set(&cpu->tcg, 0, 0);
    cpu->mstatus = MSTATUS_XL64;
    riscv_update_fp_ok(cpu);
    /* lines keep their levels, but not the timer's: it starts disabled */
    atomic_set(&cpu->mip_soft, 0);
    riscv_counter_write(cpu, &cpu->cycle, 0, 0);
    riscv_counter_write(cpu, &cpu->instret, 2, 0);
    riscv_stimecmp_write(cpu, 0);
    tlb_flush(&cpu->tcg);
    tlb_switch_asid(&cpu->tcg, BIT(MMU_IDX_U) | BIT(MMU_IDX_S) | BIT(MMU_IDX_S_SUM), 0);
}

/* --- lines --- */
static bool riscv_has_work(CPUState *cs)
{
    RISCVCPU *cpu = cpu_riscv(cs);

    return riscv_mip(cpu) & atomic_read(&cpu->mie);
}

/* SSIP is the software's once it is set: a line can only raise it. */
static void riscv_set_irq(CPUState *cs, int irq, int level)
{
    RISCVCPU *cpu = cpu_riscv(cs);
    uint64_t bit = irq >= 0 && irq < 16 ? BIT_ULL(irq) & MIP_ALL : 0;

    if (bit == MIP_SSIP) {
        if (level) {
            atomic_or(&cpu->mip_soft, bit);
        }
    } else if (level) {
        atomic_or(&cpu->mip_lines, bit);
    } else {
        atomic_and(&cpu->mip_lines, ~bit);
    }
    if (level && bit) {
        cpu_interrupt(cs, CPU_INTERRUPT_HARD);
    }
}

/* --- for people and debuggers --- */
static void riscv_set_pc(CPUState *cs, vaddr pc)
{
    cpu_riscv(cs)->tcg.pc = pc;
}

static vaddr riscv_get_pc(CPUState *cs)
{
    return cpu_riscv(cs)->tcg.pc;
}

static void riscv_dump(CPUState *cs, GString *out)
{
    static const uint16_t shown[] = {0xf14, 0x300, 0x344, 0x304, 0x303, 0x302, 0x305, 0x105, 0x341,
                                     0x141, 0x342, 0x142, 0x343, 0x143, 0x340, 0x140, 0x180};
    static const char priv_letters[] = "US?M";
    RISCVCPU *cpu = cpu_riscv(cs);
    uint64_t value;

    g_string_append_printf(out, " %-8s %016" PRIx64 "\n", "pc", cpu->tcg.pc);
    g_string_append_printf(out, " %-8s %c\n", "priv", priv_letters[cpu->priv & 3]);
    for (unsigned n = 0; n < ARRAY_SIZE(shown); n++) {
        if (riscv_get_csr(cs, shown[n], &value)) {
            g_string_append_printf(out, " %-8s %016" PRIx64 "\n", riscv_csr_name(shown[n]), value);
        }
    }
    for (unsigned n = 0; n < 32; n++) {
        char name[16];

        snprintf(name, sizeof(name), "x%u/%s", n, riscv_x_names[n]);
        g_string_append_printf(out, " %-8s %016" PRIx64 "%s", name, cpu->tcg.var[n], n % 4 == 3 ? "\n" : "");
    }
    for (unsigned n = 0; n < 32; n++) {
        char name[16];

        snprintf(name, sizeof(name), "f%u/%s", n, riscv_f_names[n]);
        g_string_append_printf(out, " %-8s %016" PRIx64 "%s", name, cpu->tcg.var[32 + n],
                               n % 4 == 3 ? "\n" : "");
    }
}

const CpuOps riscv_cpu_ops = {
    .env_size = sizeof(RISCVCPU),
    .cpu_state_offset = offsetof(RISCVCPU, cs),
    .properties = riscv_properties,
    .realize = riscv_realize,
    .unrealize = riscv_unrealize,
    .reset = riscv_reset,
    .has_work = riscv_has_work,
    .set_irq = riscv_set_irq,
    .set_irq_any_thread = true,
    .set_pc = riscv_set_pc,
    .get_pc = riscv_get_pc,
    .translate_debug = riscv_translate_debug,
    .dump = riscv_dump,
    .print_tlb = riscv_print_tlb,
    .get_csr = riscv_get_csr,
    .set_csr = riscv_set_csr,
    .disassemble = riscv_disassemble,
    .fdt_properties = riscv_fdt_properties,
    .tcg = &riscv_tcg_ops,
};
