/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The instructions that fp-ops.c goes through. */
F2(fadd_d, "fadd.d", doubles, 5)
F2(fsub_d, "fsub.d", doubles, 5)
F2(fmul_d, "fmul.d", doubles, 5)
F2(fdiv_d, "fdiv.d", doubles, 5)
F2(fsgnj_d, "fsgnj.d", doubles, 1)
F2(fsgnjn_d, "fsgnjn.d", doubles, 1)
F2(fsgnjx_d, "fsgnjx.d", doubles, 1)
F2(fmin_d, "fmin.d", doubles, 1)
F2(fmax_d, "fmax.d", doubles, 1)
F3(fmadd_d, "fmadd.d", doubles)
F3(fmsub_d, "fmsub.d", doubles)
F3(fnmsub_d, "fnmsub.d", doubles)
F3(fnmadd_d, "fnmadd.d", doubles)
F1(fsqrt_d, "fsqrt.d fa2, fa0", doubles, 5)
X2(feq_d, "feq.d", doubles)
X2(flt_d, "flt.d", doubles)
X2(fle_d, "fle.d", doubles)
X1(fclass_d, "fclass.d %0, fa0", doubles, 1)
X1(fcvt_w_d, "fcvt.w.d %0, fa0", doubles, 5)
X1(fcvt_w_d_rne, "fcvt.w.d %0, fa0, rne", doubles, 2)
X1(fcvt_w_d_rtz, "fcvt.w.d %0, fa0, rtz", doubles, 2)
X1(fcvt_w_d_rdn, "fcvt.w.d %0, fa0, rdn", doubles, 2)
X1(fcvt_w_d_rup, "fcvt.w.d %0, fa0, rup", doubles, 2)
X1(fcvt_w_d_rmm, "fcvt.w.d %0, fa0, rmm", doubles, 2)
I1(fcvt_d_w, "fcvt.d.w fa2, %1", 1)
X1(fcvt_wu_d, "fcvt.wu.d %0, fa0", doubles, 5)
X1(fcvt_wu_d_rne, "fcvt.wu.d %0, fa0, rne", doubles, 2)
X1(fcvt_wu_d_rtz, "fcvt.wu.d %0, fa0, rtz", doubles, 2)
X1(fcvt_wu_d_rdn, "fcvt.wu.d %0, fa0, rdn", doubles, 2)
X1(fcvt_wu_d_rup, "fcvt.wu.d %0, fa0, rup", doubles, 2)
X1(fcvt_wu_d_rmm, "fcvt.wu.d %0, fa0, rmm", doubles, 2)
I1(fcvt_d_wu, "fcvt.d.wu fa2, %1", 1)
X1(fcvt_l_d, "fcvt.l.d %0, fa0", doubles, 5)
X1(fcvt_l_d_rne, "fcvt.l.d %0, fa0, rne", doubles, 2)
X1(fcvt_l_d_rtz, "fcvt.l.d %0, fa0, rtz", doubles, 2)
X1(fcvt_l_d_rdn, "fcvt.l.d %0, fa0, rdn", doubles, 2)
X1(fcvt_l_d_rup, "fcvt.l.d %0, fa0, rup", doubles, 2)
X1(fcvt_l_d_rmm, "fcvt.l.d %0, fa0, rmm", doubles, 2)
I1(fcvt_d_l, "fcvt.d.l fa2, %1", 5)
X1(fcvt_lu_d, "fcvt.lu.d %0, fa0", doubles, 5)
X1(fcvt_lu_d_rne, "fcvt.lu.d %0, fa0, rne", doubles, 2)
X1(fcvt_lu_d_rtz, "fcvt.lu.d %0, fa0, rtz", doubles, 2)
X1(fcvt_lu_d_rdn, "fcvt.lu.d %0, fa0, rdn", doubles, 2)
X1(fcvt_lu_d_rup, "fcvt.lu.d %0, fa0, rup", doubles, 2)
X1(fcvt_lu_d_rmm, "fcvt.lu.d %0, fa0, rmm", doubles, 2)
I1(fcvt_d_lu, "fcvt.d.lu fa2, %1", 5)
F2(fadd_d_rne, "fadd.d fs0, ft0, fa1, rne\n\t#", doubles, 2)
F2(fdiv_d_rne, "fdiv.d fs0, ft0, fa1, rne\n\t#", doubles, 2)
F2(fadd_d_rtz, "fadd.d fs0, ft0, fa1, rtz\n\t#", doubles, 2)
F2(fdiv_d_rtz, "fdiv.d fs0, ft0, fa1, rtz\n\t#", doubles, 2)
F2(fadd_d_rdn, "fadd.d fs0, ft0, fa1, rdn\n\t#", doubles, 2)
F2(fdiv_d_rdn, "fdiv.d fs0, ft0, fa1, rdn\n\t#", doubles, 2)
F2(fadd_d_rup, "fadd.d fs0, ft0, fa1, rup\n\t#", doubles, 2)
F2(fdiv_d_rup, "fdiv.d fs0, ft0, fa1, rup\n\t#", doubles, 2)
F2(fadd_d_rmm, "fadd.d fs0, ft0, fa1, rmm\n\t#", doubles, 2)
F2(fdiv_d_rmm, "fdiv.d fs0, ft0, fa1, rmm\n\t#", doubles, 2)
F2(fadd_s, "fadd.s", singles, 5)
F2(fsub_s, "fsub.s", singles, 5)
F2(fmul_s, "fmul.s", singles, 5)
F2(fdiv_s, "fdiv.s", singles, 5)
F2(fsgnj_s, "fsgnj.s", singles, 1)
F2(fsgnjn_s, "fsgnjn.s", singles, 1)
F2(fsgnjx_s, "fsgnjx.s", singles, 1)
F2(fmin_s, "fmin.s", singles, 1)
F2(fmax_s, "fmax.s", singles, 1)
F3(fmadd_s, "fmadd.s", singles)
F3(fmsub_s, "fmsub.s", singles)
F3(fnmsub_s, "fnmsub.s", singles)
F3(fnmadd_s, "fnmadd.s", singles)
F1(fsqrt_s, "fsqrt.s fa2, fa0", singles, 5)
X2(feq_s, "feq.s", singles)
X2(flt_s, "flt.s", singles)
X2(fle_s, "fle.s", singles)
X1(fclass_s, "fclass.s %0, fa0", singles, 1)
X1(fcvt_w_s, "fcvt.w.s %0, fa0", singles, 5)
X1(fcvt_w_s_rne, "fcvt.w.s %0, fa0, rne", singles, 2)
X1(fcvt_w_s_rtz, "fcvt.w.s %0, fa0, rtz", singles, 2)
X1(fcvt_w_s_rdn, "fcvt.w.s %0, fa0, rdn", singles, 2)
X1(fcvt_w_s_rup, "fcvt.w.s %0, fa0, rup", singles, 2)
X1(fcvt_w_s_rmm, "fcvt.w.s %0, fa0, rmm", singles, 2)
I1(fcvt_s_w, "fcvt.s.w fa2, %1", 5)
X1(fcvt_wu_s, "fcvt.wu.s %0, fa0", singles, 5)
X1(fcvt_wu_s_rne, "fcvt.wu.s %0, fa0, rne", singles, 2)
X1(fcvt_wu_s_rtz, "fcvt.wu.s %0, fa0, rtz", singles, 2)
X1(fcvt_wu_s_rdn, "fcvt.wu.s %0, fa0, rdn", singles, 2)
X1(fcvt_wu_s_rup, "fcvt.wu.s %0, fa0, rup", singles, 2)
X1(fcvt_wu_s_rmm, "fcvt.wu.s %0, fa0, rmm", singles, 2)
I1(fcvt_s_wu, "fcvt.s.wu fa2, %1", 5)
X1(fcvt_l_s, "fcvt.l.s %0, fa0", singles, 5)
X1(fcvt_l_s_rne, "fcvt.l.s %0, fa0, rne", singles, 2)
X1(fcvt_l_s_rtz, "fcvt.l.s %0, fa0, rtz", singles, 2)
X1(fcvt_l_s_rdn, "fcvt.l.s %0, fa0, rdn", singles, 2)
X1(fcvt_l_s_rup, "fcvt.l.s %0, fa0, rup", singles, 2)
X1(fcvt_l_s_rmm, "fcvt.l.s %0, fa0, rmm", singles, 2)
I1(fcvt_s_l, "fcvt.s.l fa2, %1", 5)
X1(fcvt_lu_s, "fcvt.lu.s %0, fa0", singles, 5)
X1(fcvt_lu_s_rne, "fcvt.lu.s %0, fa0, rne", singles, 2)
X1(fcvt_lu_s_rtz, "fcvt.lu.s %0, fa0, rtz", singles, 2)
X1(fcvt_lu_s_rdn, "fcvt.lu.s %0, fa0, rdn", singles, 2)
X1(fcvt_lu_s_rup, "fcvt.lu.s %0, fa0, rup", singles, 2)
X1(fcvt_lu_s_rmm, "fcvt.lu.s %0, fa0, rmm", singles, 2)
I1(fcvt_s_lu, "fcvt.s.lu fa2, %1", 5)
F2(fadd_s_rne, "fadd.s fs0, ft0, fa1, rne\n\t#", singles, 2)
F2(fdiv_s_rne, "fdiv.s fs0, ft0, fa1, rne\n\t#", singles, 2)
F2(fadd_s_rtz, "fadd.s fs0, ft0, fa1, rtz\n\t#", singles, 2)
F2(fdiv_s_rtz, "fdiv.s fs0, ft0, fa1, rtz\n\t#", singles, 2)
F2(fadd_s_rdn, "fadd.s fs0, ft0, fa1, rdn\n\t#", singles, 2)
F2(fdiv_s_rdn, "fdiv.s fs0, ft0, fa1, rdn\n\t#", singles, 2)
F2(fadd_s_rup, "fadd.s fs0, ft0, fa1, rup\n\t#", singles, 2)
F2(fdiv_s_rup, "fdiv.s fs0, ft0, fa1, rup\n\t#", singles, 2)
F2(fadd_s_rmm, "fadd.s fs0, ft0, fa1, rmm\n\t#", singles, 2)
F2(fdiv_s_rmm, "fdiv.s fs0, ft0, fa1, rmm\n\t#", singles, 2)
F1(fcvt_s_d, "fcvt.s.d fa2, fa0", doubles, 5)
F1(fcvt_d_s, "fcvt.d.s fa2, fa0", singles, 1)
X1(fmv_x_w, "fmv.x.w %0, fa0", doubles, 1)
I1(fmv_w_x, "fmv.w.x fa2, %1", 1)
#define FP_OPS(X) \
    X(fadd_d) \
    X(fsub_d) \
    X(fmul_d) \
    X(fdiv_d) \
    X(fsgnj_d) \
    X(fsgnjn_d) \
    X(fsgnjx_d) \
    X(fmin_d) \
    X(fmax_d) \
    X(fmadd_d) \
    X(fmsub_d) \
    X(fnmsub_d) \
    X(fnmadd_d) \
    X(fsqrt_d) \
    X(feq_d) \
    X(flt_d) \
    X(fle_d) \
    X(fclass_d) \
    X(fcvt_w_d) \
    X(fcvt_w_d_rne) \
    X(fcvt_w_d_rtz) \
    X(fcvt_w_d_rdn) \
    X(fcvt_w_d_rup) \
    X(fcvt_w_d_rmm) \
    X(fcvt_d_w) \
    X(fcvt_wu_d) \
    X(fcvt_wu_d_rne) \
    X(fcvt_wu_d_rtz) \
    X(fcvt_wu_d_rdn) \
    X(fcvt_wu_d_rup) \
    X(fcvt_wu_d_rmm) \
    X(fcvt_d_wu) \
    X(fcvt_l_d) \
    X(fcvt_l_d_rne) \
    X(fcvt_l_d_rtz) \
    X(fcvt_l_d_rdn) \
    X(fcvt_l_d_rup) \
    X(fcvt_l_d_rmm) \
    X(fcvt_d_l) \
    X(fcvt_lu_d) \
    X(fcvt_lu_d_rne) \
    X(fcvt_lu_d_rtz) \
    X(fcvt_lu_d_rdn) \
    X(fcvt_lu_d_rup) \
    X(fcvt_lu_d_rmm) \
    X(fcvt_d_lu) \
    X(fadd_d_rne) \
    X(fdiv_d_rne) \
    X(fadd_d_rtz) \
    X(fdiv_d_rtz) \
    X(fadd_d_rdn) \
    X(fdiv_d_rdn) \
    X(fadd_d_rup) \
    X(fdiv_d_rup) \
    X(fadd_d_rmm) \
    X(fdiv_d_rmm) \
    X(fadd_s) \
    X(fsub_s) \
    X(fmul_s) \
    X(fdiv_s) \
    X(fsgnj_s) \
    X(fsgnjn_s) \
    X(fsgnjx_s) \
    X(fmin_s) \
    X(fmax_s) \
    X(fmadd_s) \
    X(fmsub_s) \
    X(fnmsub_s) \
    X(fnmadd_s) \
    X(fsqrt_s) \
    X(feq_s) \
    X(flt_s) \
    X(fle_s) \
    X(fclass_s) \
    X(fcvt_w_s) \
    X(fcvt_w_s_rne) \
    X(fcvt_w_s_rtz) \
    X(fcvt_w_s_rdn) \
    X(fcvt_w_s_rup) \
    X(fcvt_w_s_rmm) \
    X(fcvt_s_w) \
    X(fcvt_wu_s) \
    X(fcvt_wu_s_rne) \
    X(fcvt_wu_s_rtz) \
    X(fcvt_wu_s_rdn) \
    X(fcvt_wu_s_rup) \
    X(fcvt_wu_s_rmm) \
    X(fcvt_s_wu) \
    X(fcvt_l_s) \
    X(fcvt_l_s_rne) \
    X(fcvt_l_s_rtz) \
    X(fcvt_l_s_rdn) \
    X(fcvt_l_s_rup) \
    X(fcvt_l_s_rmm) \
    X(fcvt_s_l) \
    X(fcvt_lu_s) \
    X(fcvt_lu_s_rne) \
    X(fcvt_lu_s_rtz) \
    X(fcvt_lu_s_rdn) \
    X(fcvt_lu_s_rup) \
    X(fcvt_lu_s_rmm) \
    X(fcvt_s_lu) \
    X(fadd_s_rne) \
    X(fdiv_s_rne) \
    X(fadd_s_rtz) \
    X(fdiv_s_rtz) \
    X(fadd_s_rdn) \
    X(fdiv_s_rdn) \
    X(fadd_s_rup) \
    X(fdiv_s_rup) \
    X(fadd_s_rmm) \
    X(fdiv_s_rmm) \
    X(fcvt_s_d) \
    X(fcvt_d_s) \
    X(fmv_x_w) \
    X(fmv_w_x) \
    /* end */
