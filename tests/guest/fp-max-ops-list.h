/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The instructions that fp-max-ops.c goes through. */
F2(fminm_s, ".insn r 0x53, 2, 0x14,", singles, 1)
F2(fmaxm_s, ".insn r 0x53, 3, 0x14,", singles, 1)
F1(fround_s, ".insn r 0x53, 7, 0x20, fa2, fa0, f4", singles, 5)
F1(froundnx_s, ".insn r 0x53, 7, 0x20, fa2, fa0, f5", singles, 5)
F1(fround_rtz_s, ".insn r 0x53, 1, 0x20, fa2, fa0, f4", singles, 1)
X2(fltq_s, ".insn r 0x53, 5, 0x50,", singles)
X2(fleq_s, ".insn r 0x53, 4, 0x50,", singles)
I1(fli_s_0, ".insn r 0x53, 0, 0x78, fa2, x0, x1", 1)
I1(fli_s_1, ".insn r 0x53, 0, 0x78, fa2, x1, x1", 1)
I1(fli_s_2, ".insn r 0x53, 0, 0x78, fa2, x2, x1", 1)
I1(fli_s_3, ".insn r 0x53, 0, 0x78, fa2, x3, x1", 1)
I1(fli_s_4, ".insn r 0x53, 0, 0x78, fa2, x4, x1", 1)
I1(fli_s_5, ".insn r 0x53, 0, 0x78, fa2, x5, x1", 1)
I1(fli_s_6, ".insn r 0x53, 0, 0x78, fa2, x6, x1", 1)
I1(fli_s_7, ".insn r 0x53, 0, 0x78, fa2, x7, x1", 1)
I1(fli_s_8, ".insn r 0x53, 0, 0x78, fa2, x8, x1", 1)
I1(fli_s_9, ".insn r 0x53, 0, 0x78, fa2, x9, x1", 1)
I1(fli_s_10, ".insn r 0x53, 0, 0x78, fa2, x10, x1", 1)
I1(fli_s_11, ".insn r 0x53, 0, 0x78, fa2, x11, x1", 1)
I1(fli_s_12, ".insn r 0x53, 0, 0x78, fa2, x12, x1", 1)
I1(fli_s_13, ".insn r 0x53, 0, 0x78, fa2, x13, x1", 1)
I1(fli_s_14, ".insn r 0x53, 0, 0x78, fa2, x14, x1", 1)
I1(fli_s_15, ".insn r 0x53, 0, 0x78, fa2, x15, x1", 1)
I1(fli_s_16, ".insn r 0x53, 0, 0x78, fa2, x16, x1", 1)
I1(fli_s_17, ".insn r 0x53, 0, 0x78, fa2, x17, x1", 1)
I1(fli_s_18, ".insn r 0x53, 0, 0x78, fa2, x18, x1", 1)
I1(fli_s_19, ".insn r 0x53, 0, 0x78, fa2, x19, x1", 1)
I1(fli_s_20, ".insn r 0x53, 0, 0x78, fa2, x20, x1", 1)
I1(fli_s_21, ".insn r 0x53, 0, 0x78, fa2, x21, x1", 1)
I1(fli_s_22, ".insn r 0x53, 0, 0x78, fa2, x22, x1", 1)
I1(fli_s_23, ".insn r 0x53, 0, 0x78, fa2, x23, x1", 1)
I1(fli_s_24, ".insn r 0x53, 0, 0x78, fa2, x24, x1", 1)
I1(fli_s_25, ".insn r 0x53, 0, 0x78, fa2, x25, x1", 1)
I1(fli_s_26, ".insn r 0x53, 0, 0x78, fa2, x26, x1", 1)
I1(fli_s_27, ".insn r 0x53, 0, 0x78, fa2, x27, x1", 1)
I1(fli_s_28, ".insn r 0x53, 0, 0x78, fa2, x28, x1", 1)
I1(fli_s_29, ".insn r 0x53, 0, 0x78, fa2, x29, x1", 1)
I1(fli_s_30, ".insn r 0x53, 0, 0x78, fa2, x30, x1", 1)
I1(fli_s_31, ".insn r 0x53, 0, 0x78, fa2, x31, x1", 1)
F2(fminm_d, ".insn r 0x53, 2, 0x15,", doubles, 1)
F2(fmaxm_d, ".insn r 0x53, 3, 0x15,", doubles, 1)
F1(fround_d, ".insn r 0x53, 7, 0x21, fa2, fa0, f4", doubles, 5)
F1(froundnx_d, ".insn r 0x53, 7, 0x21, fa2, fa0, f5", doubles, 5)
F1(fround_rtz_d, ".insn r 0x53, 1, 0x21, fa2, fa0, f4", doubles, 1)
X2(fltq_d, ".insn r 0x53, 5, 0x51,", doubles)
X2(fleq_d, ".insn r 0x53, 4, 0x51,", doubles)
I1(fli_d_0, ".insn r 0x53, 0, 0x79, fa2, x0, x1", 1)
I1(fli_d_1, ".insn r 0x53, 0, 0x79, fa2, x1, x1", 1)
I1(fli_d_2, ".insn r 0x53, 0, 0x79, fa2, x2, x1", 1)
I1(fli_d_3, ".insn r 0x53, 0, 0x79, fa2, x3, x1", 1)
I1(fli_d_4, ".insn r 0x53, 0, 0x79, fa2, x4, x1", 1)
I1(fli_d_5, ".insn r 0x53, 0, 0x79, fa2, x5, x1", 1)
I1(fli_d_6, ".insn r 0x53, 0, 0x79, fa2, x6, x1", 1)
I1(fli_d_7, ".insn r 0x53, 0, 0x79, fa2, x7, x1", 1)
I1(fli_d_8, ".insn r 0x53, 0, 0x79, fa2, x8, x1", 1)
I1(fli_d_9, ".insn r 0x53, 0, 0x79, fa2, x9, x1", 1)
I1(fli_d_10, ".insn r 0x53, 0, 0x79, fa2, x10, x1", 1)
I1(fli_d_11, ".insn r 0x53, 0, 0x79, fa2, x11, x1", 1)
I1(fli_d_12, ".insn r 0x53, 0, 0x79, fa2, x12, x1", 1)
I1(fli_d_13, ".insn r 0x53, 0, 0x79, fa2, x13, x1", 1)
I1(fli_d_14, ".insn r 0x53, 0, 0x79, fa2, x14, x1", 1)
I1(fli_d_15, ".insn r 0x53, 0, 0x79, fa2, x15, x1", 1)
I1(fli_d_16, ".insn r 0x53, 0, 0x79, fa2, x16, x1", 1)
I1(fli_d_17, ".insn r 0x53, 0, 0x79, fa2, x17, x1", 1)
I1(fli_d_18, ".insn r 0x53, 0, 0x79, fa2, x18, x1", 1)
I1(fli_d_19, ".insn r 0x53, 0, 0x79, fa2, x19, x1", 1)
I1(fli_d_20, ".insn r 0x53, 0, 0x79, fa2, x20, x1", 1)
I1(fli_d_21, ".insn r 0x53, 0, 0x79, fa2, x21, x1", 1)
I1(fli_d_22, ".insn r 0x53, 0, 0x79, fa2, x22, x1", 1)
I1(fli_d_23, ".insn r 0x53, 0, 0x79, fa2, x23, x1", 1)
I1(fli_d_24, ".insn r 0x53, 0, 0x79, fa2, x24, x1", 1)
I1(fli_d_25, ".insn r 0x53, 0, 0x79, fa2, x25, x1", 1)
I1(fli_d_26, ".insn r 0x53, 0, 0x79, fa2, x26, x1", 1)
I1(fli_d_27, ".insn r 0x53, 0, 0x79, fa2, x27, x1", 1)
I1(fli_d_28, ".insn r 0x53, 0, 0x79, fa2, x28, x1", 1)
I1(fli_d_29, ".insn r 0x53, 0, 0x79, fa2, x29, x1", 1)
I1(fli_d_30, ".insn r 0x53, 0, 0x79, fa2, x30, x1", 1)
I1(fli_d_31, ".insn r 0x53, 0, 0x79, fa2, x31, x1", 1)
F2(fminm_h, ".insn r 0x53, 2, 0x16,", halves, 1)
F2(fmaxm_h, ".insn r 0x53, 3, 0x16,", halves, 1)
F1(fround_h, ".insn r 0x53, 7, 0x22, fa2, fa0, f4", halves, 5)
F1(froundnx_h, ".insn r 0x53, 7, 0x22, fa2, fa0, f5", halves, 5)
F1(fround_rtz_h, ".insn r 0x53, 1, 0x22, fa2, fa0, f4", halves, 1)
X2(fltq_h, ".insn r 0x53, 5, 0x52,", halves)
X2(fleq_h, ".insn r 0x53, 4, 0x52,", halves)
I1(fli_h_0, ".insn r 0x53, 0, 0x7a, fa2, x0, x1", 1)
I1(fli_h_1, ".insn r 0x53, 0, 0x7a, fa2, x1, x1", 1)
I1(fli_h_2, ".insn r 0x53, 0, 0x7a, fa2, x2, x1", 1)
I1(fli_h_3, ".insn r 0x53, 0, 0x7a, fa2, x3, x1", 1)
I1(fli_h_4, ".insn r 0x53, 0, 0x7a, fa2, x4, x1", 1)
I1(fli_h_5, ".insn r 0x53, 0, 0x7a, fa2, x5, x1", 1)
I1(fli_h_6, ".insn r 0x53, 0, 0x7a, fa2, x6, x1", 1)
I1(fli_h_7, ".insn r 0x53, 0, 0x7a, fa2, x7, x1", 1)
I1(fli_h_8, ".insn r 0x53, 0, 0x7a, fa2, x8, x1", 1)
I1(fli_h_9, ".insn r 0x53, 0, 0x7a, fa2, x9, x1", 1)
I1(fli_h_10, ".insn r 0x53, 0, 0x7a, fa2, x10, x1", 1)
I1(fli_h_11, ".insn r 0x53, 0, 0x7a, fa2, x11, x1", 1)
I1(fli_h_12, ".insn r 0x53, 0, 0x7a, fa2, x12, x1", 1)
I1(fli_h_13, ".insn r 0x53, 0, 0x7a, fa2, x13, x1", 1)
I1(fli_h_14, ".insn r 0x53, 0, 0x7a, fa2, x14, x1", 1)
I1(fli_h_15, ".insn r 0x53, 0, 0x7a, fa2, x15, x1", 1)
I1(fli_h_16, ".insn r 0x53, 0, 0x7a, fa2, x16, x1", 1)
I1(fli_h_17, ".insn r 0x53, 0, 0x7a, fa2, x17, x1", 1)
I1(fli_h_18, ".insn r 0x53, 0, 0x7a, fa2, x18, x1", 1)
I1(fli_h_19, ".insn r 0x53, 0, 0x7a, fa2, x19, x1", 1)
I1(fli_h_20, ".insn r 0x53, 0, 0x7a, fa2, x20, x1", 1)
I1(fli_h_21, ".insn r 0x53, 0, 0x7a, fa2, x21, x1", 1)
I1(fli_h_22, ".insn r 0x53, 0, 0x7a, fa2, x22, x1", 1)
I1(fli_h_23, ".insn r 0x53, 0, 0x7a, fa2, x23, x1", 1)
I1(fli_h_24, ".insn r 0x53, 0, 0x7a, fa2, x24, x1", 1)
I1(fli_h_25, ".insn r 0x53, 0, 0x7a, fa2, x25, x1", 1)
I1(fli_h_26, ".insn r 0x53, 0, 0x7a, fa2, x26, x1", 1)
I1(fli_h_27, ".insn r 0x53, 0, 0x7a, fa2, x27, x1", 1)
I1(fli_h_28, ".insn r 0x53, 0, 0x7a, fa2, x28, x1", 1)
I1(fli_h_29, ".insn r 0x53, 0, 0x7a, fa2, x29, x1", 1)
I1(fli_h_30, ".insn r 0x53, 0, 0x7a, fa2, x30, x1", 1)
I1(fli_h_31, ".insn r 0x53, 0, 0x7a, fa2, x31, x1", 1)
X1(fcvtmod, ".insn r 0x53, 1, 0x61, %0, fa0, f8", doubles, 1)
F2(fadd_h, "fadd.h", halves, 5)
F2(fsub_h, "fsub.h", halves, 5)
F2(fmul_h, "fmul.h", halves, 5)
F2(fdiv_h, "fdiv.h", halves, 5)
F2(fsgnj_h, "fsgnj.h", halves, 1)
F2(fsgnjn_h, "fsgnjn.h", halves, 1)
F2(fsgnjx_h, "fsgnjx.h", halves, 1)
F2(fmin_h, "fmin.h", halves, 1)
F2(fmax_h, "fmax.h", halves, 1)
F3(fmadd_h, "fmadd.h", halves)
F3(fmsub_h, "fmsub.h", halves)
F3(fnmsub_h, "fnmsub.h", halves)
F3(fnmadd_h, "fnmadd.h", halves)
F1(fsqrt_h, "fsqrt.h fa2, fa0", halves, 5)
X2(feq_h, "feq.h", halves)
X2(flt_h, "flt.h", halves)
X2(fle_h, "fle.h", halves)
X1(fclass_h, "fclass.h %0, fa0", halves, 1)
X1(fcvt_w_h, "fcvt.w.h %0, fa0", halves, 5)
I1(fcvt_h_w, "fcvt.h.w fa2, %1", 5)
X1(fcvt_wu_h, "fcvt.wu.h %0, fa0", halves, 5)
I1(fcvt_h_wu, "fcvt.h.wu fa2, %1", 5)
X1(fcvt_l_h, "fcvt.l.h %0, fa0", halves, 5)
I1(fcvt_h_l, "fcvt.h.l fa2, %1", 5)
X1(fcvt_lu_h, "fcvt.lu.h %0, fa0", halves, 5)
I1(fcvt_h_lu, "fcvt.h.lu fa2, %1", 5)
F1(fcvt_s_h, "fcvt.s.h fa2, fa0", halves, 1)
F1(fcvt_d_h, "fcvt.d.h fa2, fa0", halves, 1)
F1(fcvt_h_s, "fcvt.h.s fa2, fa0", singles, 5)
F1(fcvt_h_d, "fcvt.h.d fa2, fa0", doubles, 5)
X1(fmv_x_h, "fmv.x.h %0, fa0", doubles, 1)
I1(fmv_h_x, "fmv.h.x fa2, %1", 1)
#define FP_MAX_OPS(X) \
    X(fminm_s) \
    X(fmaxm_s) \
    X(fround_s) \
    X(froundnx_s) \
    X(fround_rtz_s) \
    X(fltq_s) \
    X(fleq_s) \
    X(fli_s_0) \
    X(fli_s_1) \
    X(fli_s_2) \
    X(fli_s_3) \
    X(fli_s_4) \
    X(fli_s_5) \
    X(fli_s_6) \
    X(fli_s_7) \
    X(fli_s_8) \
    X(fli_s_9) \
    X(fli_s_10) \
    X(fli_s_11) \
    X(fli_s_12) \
    X(fli_s_13) \
    X(fli_s_14) \
    X(fli_s_15) \
    X(fli_s_16) \
    X(fli_s_17) \
    X(fli_s_18) \
    X(fli_s_19) \
    X(fli_s_20) \
    X(fli_s_21) \
    X(fli_s_22) \
    X(fli_s_23) \
    X(fli_s_24) \
    X(fli_s_25) \
    X(fli_s_26) \
    X(fli_s_27) \
    X(fli_s_28) \
    X(fli_s_29) \
    X(fli_s_30) \
    X(fli_s_31) \
    X(fminm_d) \
    X(fmaxm_d) \
    X(fround_d) \
    X(froundnx_d) \
    X(fround_rtz_d) \
    X(fltq_d) \
    X(fleq_d) \
    X(fli_d_0) \
    X(fli_d_1) \
    X(fli_d_2) \
    X(fli_d_3) \
    X(fli_d_4) \
    X(fli_d_5) \
    X(fli_d_6) \
    X(fli_d_7) \
    X(fli_d_8) \
    X(fli_d_9) \
    X(fli_d_10) \
    X(fli_d_11) \
    X(fli_d_12) \
    X(fli_d_13) \
    X(fli_d_14) \
    X(fli_d_15) \
    X(fli_d_16) \
    X(fli_d_17) \
    X(fli_d_18) \
    X(fli_d_19) \
    X(fli_d_20) \
    X(fli_d_21) \
    X(fli_d_22) \
    X(fli_d_23) \
    X(fli_d_24) \
    X(fli_d_25) \
    X(fli_d_26) \
    X(fli_d_27) \
    X(fli_d_28) \
    X(fli_d_29) \
    X(fli_d_30) \
    X(fli_d_31) \
    X(fminm_h) \
    X(fmaxm_h) \
    X(fround_h) \
    X(froundnx_h) \
    X(fround_rtz_h) \
    X(fltq_h) \
    X(fleq_h) \
    X(fli_h_0) \
    X(fli_h_1) \
    X(fli_h_2) \
    X(fli_h_3) \
    X(fli_h_4) \
    X(fli_h_5) \
    X(fli_h_6) \
    X(fli_h_7) \
    X(fli_h_8) \
    X(fli_h_9) \
    X(fli_h_10) \
    X(fli_h_11) \
    X(fli_h_12) \
    X(fli_h_13) \
    X(fli_h_14) \
    X(fli_h_15) \
    X(fli_h_16) \
    X(fli_h_17) \
    X(fli_h_18) \
    X(fli_h_19) \
    X(fli_h_20) \
    X(fli_h_21) \
    X(fli_h_22) \
    X(fli_h_23) \
    X(fli_h_24) \
    X(fli_h_25) \
    X(fli_h_26) \
    X(fli_h_27) \
    X(fli_h_28) \
    X(fli_h_29) \
    X(fli_h_30) \
    X(fli_h_31) \
    X(fcvtmod) \
    X(fadd_h) \
    X(fsub_h) \
    X(fmul_h) \
    X(fdiv_h) \
    X(fsgnj_h) \
    X(fsgnjn_h) \
    X(fsgnjx_h) \
    X(fmin_h) \
    X(fmax_h) \
    X(fmadd_h) \
    X(fmsub_h) \
    X(fnmsub_h) \
    X(fnmadd_h) \
    X(fsqrt_h) \
    X(feq_h) \
    X(flt_h) \
    X(fle_h) \
    X(fclass_h) \
    X(fcvt_w_h) \
    X(fcvt_h_w) \
    X(fcvt_wu_h) \
    X(fcvt_h_wu) \
    X(fcvt_l_h) \
    X(fcvt_h_l) \
    X(fcvt_lu_h) \
    X(fcvt_h_lu) \
    X(fcvt_s_h) \
    X(fcvt_d_h) \
    X(fcvt_h_s) \
    X(fcvt_h_d) \
    X(fmv_x_h) \
    X(fmv_h_x) \
    /* end */
