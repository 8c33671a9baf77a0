/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The instructions that int-ops.c goes through. */
RR(add, "add")
RR(sub, "sub")
RR(sll, "sll")
RR(slt, "slt")
RR(sltu, "sltu")
RR(xor, "xor")
RR(srl, "srl")
RR(sra, "sra")
RR(or, "or")
RR(and, "and")
RR(addw, "addw")
RR(subw, "subw")
RR(sllw, "sllw")
RR(srlw, "srlw")
RR(sraw, "sraw")
RR(mul, "mul")
RR(mulh, "mulh")
RR(mulhsu, "mulhsu")
RR(mulhu, "mulhu")
RR(div, "div")
RR(divu, "divu")
RR(rem, "rem")
RR(remu, "remu")
RR(mulw, "mulw")
RR(divw, "divw")
RR(divuw, "divuw")
RR(remw, "remw")
RR(remuw, "remuw")
RR(add_uw, "add.uw")
RR(sh1add, "sh1add")
RR(sh2add, "sh2add")
RR(sh3add, "sh3add")
RR(sh1add_uw, "sh1add.uw")
RR(sh2add_uw, "sh2add.uw")
RR(sh3add_uw, "sh3add.uw")
RR(andn, "andn")
RR(orn, "orn")
RR(xnor, "xnor")
RR(max, "max")
RR(maxu, "maxu")
RR(min, "min")
RR(minu, "minu")
RR(rol, "rol")
RR(ror, "ror")
RR(rolw, "rolw")
RR(rorw, "rorw")
RR(clmul, "clmul")
RR(clmulr, "clmulr")
RR(clmulh, "clmulh")
RR(bclr, "bclr")
RR(bext, "bext")
RR(binv, "binv")
RR(bset, "bset")
UNARY(addi, IMM2("addi", -2048, 2047))
UNARY(addi_b, IMM2("addi", 1, -1))
UNARY(slti, IMM2("slti", -2048, 2047))
UNARY(slti_b, IMM2("slti", 1, -1))
UNARY(sltiu, IMM2("sltiu", -2048, 2047))
UNARY(sltiu_b, IMM2("sltiu", 1, -1))
UNARY(xori, IMM2("xori", -2048, 2047))
UNARY(xori_b, IMM2("xori", 1, -1))
UNARY(ori, IMM2("ori", -2048, 2047))
UNARY(ori_b, IMM2("ori", 1, -1))
UNARY(andi, IMM2("andi", -2048, 2047))
UNARY(andi_b, IMM2("andi", 1, -1))
UNARY(addiw, IMM2("addiw", -2048, 2047))
UNARY(sext_w, IMM2("addiw", 0, 0))
UNARY(slli, IMM2("slli", 0, 63))
UNARY(slli_b, IMM2("slli", 1, 32))
UNARY(srli, IMM2("srli", 0, 63))
UNARY(srli_b, IMM2("srli", 1, 32))
UNARY(srai, IMM2("srai", 0, 63))
UNARY(srai_b, IMM2("srai", 1, 32))
UNARY(rori, IMM2("rori", 0, 63))
UNARY(rori_b, IMM2("rori", 1, 32))
UNARY(bclri, IMM2("bclri", 0, 63))
UNARY(bclri_b, IMM2("bclri", 1, 32))
UNARY(bexti, IMM2("bexti", 0, 63))
UNARY(bexti_b, IMM2("bexti", 1, 32))
UNARY(binvi, IMM2("binvi", 0, 63))
UNARY(binvi_b, IMM2("binvi", 1, 32))
UNARY(bseti, IMM2("bseti", 0, 63))
UNARY(bseti_b, IMM2("bseti", 1, 32))
UNARY(slli_uw, IMM2("slli.uw", 0, 63))
UNARY(slli_uw_b, IMM2("slli.uw", 1, 32))
UNARY(slliw, IMM2("slliw", 0, 31))
UNARY(slliw_b, IMM2("slliw", 1, 13))
UNARY(srliw, IMM2("srliw", 0, 31))
UNARY(srliw_b, IMM2("srliw", 1, 13))
UNARY(sraiw, IMM2("sraiw", 0, 31))
UNARY(sraiw_b, IMM2("sraiw", 1, 13))
UNARY(roriw, IMM2("roriw", 0, 31))
UNARY(roriw_b, IMM2("roriw", 1, 13))
UNARY(clz, "clz %0, %1")
UNARY(ctz, "ctz %0, %1")
UNARY(cpop, "cpop %0, %1")
UNARY(clzw, "clzw %0, %1")
UNARY(ctzw, "ctzw %0, %1")
UNARY(cpopw, "cpopw %0, %1")
UNARY(sext_b, "sext.b %0, %1")
UNARY(sext_h, "sext.h %0, %1")
UNARY(zext_h, "zext.h %0, %1")
UNARY(orc_b, "orc.b %0, %1")
UNARY(rev8, "rev8 %0, %1")
UNARY(zext_32_32, "slli %0, %1, 32\n\tsrli %0, %0, 32")
UNARY(zext_48_48, "slli %0, %1, 48\n\tsrli %0, %0, 48")
UNARY(zext_32_29, "slli %0, %1, 32\n\tsrli %0, %0, 29")
UNARY(zext_32_1, "slli %0, %1, 32\n\tsrli %0, %0, 1")
UNARY(zext_56_56, "slli %0, %1, 56\n\tsrli %0, %0, 56")
UNARY(zext_48_40, "slli %0, %1, 48\n\tsrli %0, %0, 40")
UNARY(lui_addi, "lui %0, 0x12345\n\taddi %0, %0, -1\n\txor %0, %0, %1")
UNARY(lui_addiw, "lui %0, 0x7ffff\n\taddiw %0, %0, 2047\n\txor %0, %0, %1")
UNARY(lui_addiw_b, "lui %0, 0x80000\n\taddiw %0, %0, -1\n\txor %0, %0, %1")
UNARY(czero_eqz, "andi t0, %1, 1\n\t.insn r 0x33, 5, 7, %0, %1, t0\n\t.insn r 0x33, 5, 7, t0, %1, zero\n\tadd %0, %0, t0")
UNARY(czero_nez, "andi t0, %1, 1\n\t.insn r 0x33, 7, 7, %0, %1, t0\n\t.insn r 0x33, 7, 7, t0, %1, zero\n\tadd %0, %0, t0")
#define INT_OPS(R, U) \
    R(add, "add") \
    R(sub, "sub") \
    R(sll, "sll") \
    R(slt, "slt") \
    R(sltu, "sltu") \
    R(xor, "xor") \
    R(srl, "srl") \
    R(sra, "sra") \
    R(or, "or") \
    R(and, "and") \
    R(addw, "addw") \
    R(subw, "subw") \
    R(sllw, "sllw") \
    R(srlw, "srlw") \
    R(sraw, "sraw") \
    R(mul, "mul") \
    R(mulh, "mulh") \
    R(mulhsu, "mulhsu") \
    R(mulhu, "mulhu") \
    R(div, "div") \
    R(divu, "divu") \
    R(rem, "rem") \
    R(remu, "remu") \
    R(mulw, "mulw") \
    R(divw, "divw") \
    R(divuw, "divuw") \
    R(remw, "remw") \
    R(remuw, "remuw") \
    R(add_uw, "add.uw") \
    R(sh1add, "sh1add") \
    R(sh2add, "sh2add") \
    R(sh3add, "sh3add") \
    R(sh1add_uw, "sh1add.uw") \
    R(sh2add_uw, "sh2add.uw") \
    R(sh3add_uw, "sh3add.uw") \
    R(andn, "andn") \
    R(orn, "orn") \
    R(xnor, "xnor") \
    R(max, "max") \
    R(maxu, "maxu") \
    R(min, "min") \
    R(minu, "minu") \
    R(rol, "rol") \
    R(ror, "ror") \
    R(rolw, "rolw") \
    R(rorw, "rorw") \
    R(clmul, "clmul") \
    R(clmulr, "clmulr") \
    R(clmulh, "clmulh") \
    R(bclr, "bclr") \
    R(bext, "bext") \
    R(binv, "binv") \
    R(bset, "bset") \
    U(addi, "") \
    U(addi_b, "") \
    U(slti, "") \
    U(slti_b, "") \
    U(sltiu, "") \
    U(sltiu_b, "") \
    U(xori, "") \
    U(xori_b, "") \
    U(ori, "") \
    U(ori_b, "") \
    U(andi, "") \
    U(andi_b, "") \
    U(addiw, "") \
    U(sext_w, "") \
    U(slli, "") \
    U(slli_b, "") \
    U(srli, "") \
    U(srli_b, "") \
    U(srai, "") \
    U(srai_b, "") \
    U(rori, "") \
    U(rori_b, "") \
    U(bclri, "") \
    U(bclri_b, "") \
    U(bexti, "") \
    U(bexti_b, "") \
    U(binvi, "") \
    U(binvi_b, "") \
    U(bseti, "") \
    U(bseti_b, "") \
    U(slli_uw, "") \
    U(slli_uw_b, "") \
    U(slliw, "") \
    U(slliw_b, "") \
    U(srliw, "") \
    U(srliw_b, "") \
    U(sraiw, "") \
    U(sraiw_b, "") \
    U(roriw, "") \
    U(roriw_b, "") \
    U(clz, "") \
    U(ctz, "") \
    U(cpop, "") \
    U(clzw, "") \
    U(ctzw, "") \
    U(cpopw, "") \
    U(sext_b, "") \
    U(sext_h, "") \
    U(zext_h, "") \
    U(orc_b, "") \
    U(rev8, "") \
    U(zext_32_32, "") \
    U(zext_48_48, "") \
    U(zext_32_29, "") \
    U(zext_32_1, "") \
    U(zext_56_56, "") \
    U(zext_48_40, "") \
    U(lui_addi, "") \
    U(lui_addiw, "") \
    U(lui_addiw_b, "") \
    U(czero_eqz, "") \
    U(czero_nez, "") \
    /* end */
