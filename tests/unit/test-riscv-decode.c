/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The RISC-V decoder: operands, compressed forms, reserved encodings, text. */
#include "target/riscv/insn.h"

#include <glib.h>
#include <string.h>

static RISCVInsn decode(uint32_t raw)
{
    RISCVInsn insn;

    g_assert_true(riscv_decode(raw, &insn));
    return insn;
}

static void assert_text(uint32_t raw, const char *expected)
{
    RISCVInsn insn = decode(raw);
    g_autofree char *text = riscv_insn_text(&insn, 0x1000);
    g_auto(GStrv) words = g_strsplit_set(text, " ", -1);
    GString *packed = g_string_new(NULL);

    for (unsigned n = 0; words[n]; n++) {
        if (*words[n]) {
            g_string_append_printf(packed, "%s%s", packed->len ? " " : "", words[n]);
        }
    }
    g_assert_cmpstr(packed->str, ==, expected);
    g_string_free(packed, TRUE);
}

static void test_immediates(void)
{
    g_assert_cmpint(decode(0x80000037).imm, ==, INT32_MIN); /* lui zero, 0x80000 */
    g_assert_cmpint(decode(0xfff00513).imm, ==, -1);        /* li a0, -1 */
    g_assert_cmpint(decode(0xfea43c23).imm, ==, -8);        /* sd a0, -8(s0) */
    g_assert_cmpint(decode(0xfe000ee3).imm, ==, -4);        /* beqz zero, -4 */
    g_assert_cmpint(decode(0xffdff06f).imm, ==, -4);        /* j -4 */
    g_assert_cmpint(decode(0x7ff00067).imm, ==, 2047);      /* jr 2047(zero) */
    g_assert_cmpint(decode(0x03f51513).imm, ==, 63);        /* slli a0, a0, 63 */
}

static void test_registers(void)
{
    RISCVInsn insn = decode(0x6ac5f553 & ~0x60000000); /* some fp word with all fields */

    g_assert_cmpuint(insn.rd, ==, 10);
    g_assert_cmpuint(insn.rs1, ==, 11);
    g_assert_cmpuint(insn.rs2, ==, 12);
    g_assert_cmpuint(insn.rm, ==, 7);
}

static void test_text(void)
{
    assert_text(0x00c58533, "add a0,a1,a2");
    assert_text(0x00b53423, "sd a1,8(a0)");
    assert_text(0x30529073, "csrrw zero,mtvec,t0");
    assert_text(0x0ff0000f, "fence iorw,iorw");
    assert_text(0x02c5f553, "fadd.d fa0,fa1,fa2,dyn");
    assert_text(0x00000463, "beq zero,zero,0x1008");
    assert_text(0x100526af, "lr.w a3,(a0)");
    assert_text(0x30200073, "mret");
}

static void test_compressed(void)
{
    assert_text(0x4501, "addi a0,zero,0");  /* c.li */
    assert_text(0x852e, "addi a0,a1,0");    /* c.mv */
    assert_text(0x8082, "jalr zero,0(ra)"); /* ret */
    assert_text(0x9002, "ebreak");
    assert_text(0x7139, "addi sp,sp,-64"); /* c.addi16sp */
    assert_text(0x1008, "addi a0,sp,32");  /* c.addi4spn */
    assert_text(0xfc06, "sd ra,56(sp)");
    assert_text(0x70e2, "ld ra,56(sp)");
    assert_text(0xb7fd, "jal zero,0xfee");
    assert_text(0x37fd, "addiw a5,a5,-1");
}

static void test_vector_text(void)
{
    assert_text(0x0d05f557, "vsetvli a0,a1,e32,m1,ta,ma");
    assert_text(0x02056087, "vle32.v v1,(a0)");
    assert_text(0xcc0272d7, "vsetivli t0,4,e8,m1,ta,ma");
    assert_text(0x80b57557, "vsetvl a0,a0,a1");
    assert_text(0x40050407, "vlseg3e8.v v8,(a0),v0.t");
    assert_text(0x2ab55407, "vlsseg2e16.v v8,(a0),a1");
    assert_text(0x66c67227, "vsuxseg4ei64.v v4,(a2),v12");
    assert_text(0x03057107, "vle64ff.v v2,(a0)");
    assert_text(0x62856407, "vl4re32.v v8,(a0)");
    assert_text(0x002eb0d7, "vadd.vi v1,v2,-3,v0.t");
    assert_text(0x9626c0d7, "vsll.vx v1,v2,a3");
    assert_text(0x402180d7, "vadc.vvm v1,v2,v3,v0");
    assert_text(0xf645e457, "vwmacc.vx v8,a1,v4");
    assert_text(0xb045d457, "vfmacc.vf v8,fa1,v4,v0.t");
    assert_text(0xbe2fb0d7, "vnclip.wi v1,v2,31");
    assert_text(0x42302557, "vmv.x.s a0,v3");
    assert_text(0x42301557, "vfmv.f.s fa0,v3");
    assert_text(0x5008a257, "vid.v v4,v0.t");
    assert_text(0x5c2fb0d7, "vmerge.vim v1,v2,-1,v0");
    assert_text(0x4a2a90d7, "vfncvt.rod.f.f.w v1,v2");
    assert_text(0x5e21a0d7, "vcompress.vm v1,v2,v3");
    assert_text(0x9e81b257, "vmv4r.v v4,v8");
}

static void test_reserved(void)
{
    static const uint32_t words[] = {
        0x00000000, 0xffffffff,       0x0000, 0x2001, /* c.addiw zero */
        0x6101,     0x4002,                           /* c.addi16sp 0, c.lwsp zero */
        0x8002,     0x6501 & ~0x107c,                 /* c.jr zero, c.lui with 0 */
        0x0000705b, 0x9c79,
    };

    for (unsigned n = 0; n < G_N_ELEMENTS(words); n++) {
        RISCVInsn insn;

        g_assert_false(riscv_decode(words[n], &insn));
    }
}

static void test_length_and_bits(void)
{
    RISCVInsn insn;

    g_assert_false(riscv_decode(0x12340000, &insn));
    g_assert_cmpuint(insn.length, ==, 2);
    g_assert_cmpuint(insn.raw, ==, 0);
    g_assert_false(riscv_decode(0xffffffff, &insn));
    g_assert_cmpuint(insn.length, ==, 4);
}

/* Whatever the word: the decoder answers, and what it answers has registers and a text. */
static void test_any_word(void)
{
    uint32_t x = 1;

    for (unsigned n = 0; n < 200000; n++) {
        RISCVInsn insn;

        x = x * 1664525 + 1013904223;
        if (riscv_decode(n < 65536 ? n : x | 3, &insn)) {
            g_autofree char *text = riscv_insn_text(&insn, 0);

            g_assert_cmpuint(insn.id, <, INSN_COUNT);
            g_assert_cmpuint(insn.rd | insn.rs1 | insn.rs2 | insn.rs3, <, 32);
            g_assert_cmpuint(strlen(text), >, 1);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/riscv/decode/immediates", test_immediates);
    g_test_add_func("/riscv/decode/registers", test_registers);
    g_test_add_func("/riscv/decode/compressed", test_compressed);
    g_test_add_func("/riscv/decode/reserved", test_reserved);
    g_test_add_func("/riscv/decode/length-and-bits", test_length_and_bits);
    g_test_add_func("/riscv/decode/any-word", test_any_word);
    g_test_add_func("/riscv/disas/text", test_text);
    g_test_add_func("/riscv/disas/vector", test_vector_text);
    return g_test_run();
}
