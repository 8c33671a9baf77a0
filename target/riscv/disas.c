/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text of guest instructions, from the operand letters of insn.decode. */
#include "cpu.h"
#include "insn.h"

const char *const riscv_x_names[32] = {
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0",  "a1",  "a2", "a3", "a4", "a5",
    "a6",   "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
};
const char *const riscv_f_names[32] = {
    "ft0", "ft1", "ft2", "ft3", "ft4",  "ft5",  "ft6", "ft7", "fs0",  "fs1",  "fa0",
    "fa1", "fa2", "fa3", "fa4", "fa5",  "fa6",  "fa7", "fs2", "fs3",  "fs4",  "fs5",
    "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
};

static const struct {
    const char *name, *operands;
} texts[INSN_COUNT] = {
#define INSN_TEXT(ident, name, operands) {name, operands},
    RISCV_INSNS(INSN_TEXT)
#undef INSN_TEXT
};

static void append_vtype(GString *out, unsigned vtype)
{
    static const char *const lmul[8] = {"m1", "m2", "m4", "m8", "?", "mf8", "mf4", "mf2"};

    if (vtype >> 8) {
        g_string_append_printf(out, "%u", vtype);
        return;
    }
    g_string_append_printf(out, "e%u,%s,%s,%s", 8u << ((vtype >> 3) & 7), lmul[vtype & 7], vtype & 64 ? "ta" : "tu",
                           vtype & 128 ? "ma" : "mu");
}

/* vle8.v of three fields is vlseg3e8.v. */
static void insert_segments(GString *name, unsigned fields)
{
    if (fields > 1) {
        g_autofree char *seg = g_strdup_printf("seg%u", fields);

        g_string_insert(name, strchr(name->str, 'e') - name->str, seg);
    }
}

static void append_fence_set(GString *out, unsigned set)
{
    for (int bit = 3; bit >= 0; bit--) {
        if (set & (1u << bit)) {
            g_string_append_c(out, "wroi"[bit]);
        }
    }
}

static void append_csr(GString *out, unsigned csr)
{
    const char *name = riscv_csr_name(csr);

    if (name) {
        g_string_append(out, name);
    } else {
        g_string_append_printf(out, "0x%x", csr);
    }
}

static void append_rounding(GString *out, unsigned rm)
{
    static const char *const names[8] = {"rne", "rtz", "rdn", "rup", "rmm", "?", "?", "dyn"};

    g_string_append(out, names[rm & 7]);
}

static void append_operand(GString *out, char letter, const RISCVInsn *i, uint64_t pc)
{
    const uint8_t regs[] = {i->rd, i->rs1, i->rs2, i->rs3};
    const char *at;

    if ((at = strchr("dstr", letter))) {
        g_string_append(out, riscv_x_names[regs[at - strchr("dstr", 'd')]]);
        return;
    }
    switch (letter) {
    case 'D':
    case 'S':
    case 'T':
    case 'R':
        g_string_append(out, riscv_f_names[regs[letter == 'D'   ? 0
                                                : letter == 'S' ? 1
                                                : letter == 'T' ? 2
                                                                : 3]]);
        break;
    case 'v':
    case 'w':
    case 'x':
        g_string_append_printf(out, "v%u", letter == 'v' ? i->rd : letter == 'w' ? i->rs2 : i->rs1);
        break;
    case 'k':
        g_string_append(out, i->rm ? "" : ",v0.t");
        break;
    case 'K':
        g_string_append(out, ",v0");
        break;
    case 'o':
        append_vtype(out, i->imm);
        break;
    case 'i':
        g_string_append_printf(out, "%d", i->imm);
        break;
    case 'L':
        g_string_append_printf(out, "%d(%s)", i->imm, riscv_x_names[i->rs1]);
        break;
    case 'A':
        g_string_append_printf(out, "(%s)", riscv_x_names[i->rs1]);
        break;
    case 'b':
        g_string_append_printf(out, "0x%" PRIx64, pc + i->imm);
        break;
    case 'u':
        g_string_append_printf(out, "0x%x", (uint32_t)i->imm >> 12);
        break;
    case 'c':
        append_csr(out, i->imm);
        break;
    case 'z':
        g_string_append_printf(out, "%u", i->rs1);
        break;
    case 'm':
        append_rounding(out, i->rm);
        break;
    case 'f':
        append_fence_set(out, i->rs1);
        g_string_append_c(out, ',');
        append_fence_set(out, i->rs2);
        break;
    default:
        g_string_append_c(out, letter);
    }
}

char *riscv_insn_text(const RISCVInsn *insn, uint64_t pc)
{
    GString *out = g_string_new(texts[insn->id].name);
    const char *operands = texts[insn->id].operands;

    if (*operands == 'n') {
        insert_segments(out, insn->rs3 + 1);
        operands++;
    }
    if (*operands) {
        g_string_append_printf(out, "%*s", (int)MAX(1, 12 - (int)out->len), "");
    }
    for (; *operands; operands++) {
        append_operand(out, *operands, insn, pc);
    }
    return g_string_free(out, FALSE);
}

void riscv_disassemble(CPUState *cs, vaddr pc, const uint8_t *code, size_t size, GString *out)
{
    for (size_t at = 0; at + 2 <= size;) {
        uint32_t raw = code[at] | code[at + 1] << 8;
        unsigned length = riscv_insn_length(raw);
        g_autofree char *text = NULL;
        RISCVInsn insn;

        if (at + length > size) {
            break;
        }
        if (length == 4) {
            raw |= code[at + 2] << 16 | (uint32_t)code[at + 3] << 24;
        }
        text = riscv_decode(raw, &insn) ? riscv_insn_text(&insn, pc + at) : g_strdup("illegal");
        g_string_append_printf(out, "0x%016" PRIx64 ":  %0*x%*s  %s\n", pc + at, (int)length * 2, insn.raw,
                               8 - (int)length * 2, "", text);
        at += length;
    }
}
