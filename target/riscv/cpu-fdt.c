/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the device tree says of the CPU: its instruction set and the sizes of its cache blocks. */
#include "cpu.h"

/* Names in canonical order; .ext EXT_none: always there. */
typedef struct FdtExtension {
    const char *name;
    RISCVExt ext;
} FdtExtension;

static const FdtExtension fdt_extensions[] = {
    {"zic64b", EXT_zicbom},
    {"zicbom", EXT_zicbom},
    {"zicbop", EXT_zicbop},
    {"zicboz", EXT_zicboz},
    {"ziccamoa", EXT_a},
    {"ziccif", EXT_none},
    {"zicclsm", EXT_none},
    {"ziccrse", EXT_a},
    {"zicntr", EXT_none},
    {"zicond", EXT_zicond},
    {"zicsr", EXT_none},
    {"zifencei", EXT_none},
    {"zihintntl", EXT_zihintntl},
    {"zihintpause", EXT_zihintpause},
    {"zihpm", EXT_none},
    {"zimop", EXT_zimop},
    {"zmmul", EXT_m},
    {"za64rs", EXT_a},
    {"zaamo", EXT_a},
    {"zalrsc", EXT_a},
    {"zawrs", EXT_zawrs},
    {"zfa", EXT_zfa},
    {"zfh", EXT_zfh},
    {"zfhmin", EXT_zfhmin},
    {"zca", EXT_c},
    {"zcb", EXT_zcb},
    {"zcd", EXT_d},
    {"zcmop", EXT_zcmop},
    {"zba", EXT_zba},
    {"zbb", EXT_zbb},
    {"zbc", EXT_zbc},
    {"zbs", EXT_zbs},
    {"zve32f", EXT_zve32f},
    {"zve32x", EXT_zve32x},
    {"zve64f", EXT_zve64f},
    {"zve64d", EXT_zve64d},
    {"zve64x", EXT_zve64x},
    {"zvfh", EXT_zvfh},
    {"zvfhmin", EXT_zvfhmin},
    {"smepmp", EXT_smepmp},
    {"smstateen", EXT_smstateen},
    {"ssccptr", EXT_none},
    {"sscounterenw", EXT_none},
    {"sstc", EXT_sstc},
    {"sstvala", EXT_none},
    {"sstvecd", EXT_none},
    {"svade", EXT_svade},
    {"svadu", EXT_svadu},
    {"svinval", EXT_svinval},
    {"svnapot", EXT_svnapot},
    {"svpbmt", EXT_svpbmt},
    {"svvptc", EXT_svvptc},
};

static const struct {
    char letter;
    RISCVExt ext;
} fdt_letters[] = {
    {'i', EXT_none}, {'m', EXT_m}, {'a', EXT_a}, {'f', EXT_f}, {'d', EXT_d}, {'c', EXT_c}, {'b', EXT_b},
    {'v', EXT_v},
};

static bool offered(const RISCVCPU *cpu, RISCVExt ext)
{
    return ext == EXT_none || cpu->cfg.ext[ext];
}

void riscv_fdt_properties(CPUState *cs, void (*set)(const char *name, const char *value, void *opaque),
                          void *opaque)
{
    RISCVCPU *cpu = cpu_riscv(cs);
    g_autoptr(GString) isa = g_string_new("rv64");
    g_autoptr(GString) list = g_string_new(NULL);

    for (unsigned n = 0; n < ARRAY_SIZE(fdt_letters); n++) {
        if (offered(cpu, fdt_letters[n].ext)) {
            g_string_append_c(isa, fdt_letters[n].letter);
            g_string_append_printf(list, "%s%c", list->len ? " " : "", fdt_letters[n].letter);
        }
    }
    for (unsigned n = 0; n < ARRAY_SIZE(fdt_extensions); n++) {
        if (offered(cpu, fdt_extensions[n].ext)) {
            g_string_append_printf(isa, "_%s", fdt_extensions[n].name);
            g_string_append_printf(list, " %s", fdt_extensions[n].name);
        }
    }
    set("riscv,isa", isa->str, opaque);
    set("riscv,isa-base", "rv64i", opaque);
    set("riscv,isa-extensions", list->str, opaque);
    set("mmu-type",
        !cpu->cfg.mmu   ? "riscv,none"
        : cpu->cfg.sv57 ? "riscv,sv57"
        : cpu->cfg.sv48 ? "riscv,sv48"
                        : "riscv,sv39",
        opaque);
    if (cpu->cfg.ext[EXT_zicbom]) {
        set("riscv,cbom-block-size", G_STRINGIFY(RISCV_CACHE_BLOCK), opaque);
    }
    if (cpu->cfg.ext[EXT_zicbop]) {
        set("riscv,cbop-block-size", G_STRINGIFY(RISCV_CACHE_BLOCK), opaque);
    }
    if (cpu->cfg.ext[EXT_zicboz]) {
        set("riscv,cboz-block-size", G_STRINGIFY(RISCV_CACHE_BLOCK), opaque);
    }
}
