/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The floating point programs once more, with fused multiply-add. */
#define FP_SUFFIX              "-fma"
#define FP_TABLE               fp_fma_programs
#define MULTIPLY_ADD(a, b, c)  __builtin_fma(a, b, c)
#define MULTIPLY_ADDF(a, b, c) __builtin_fmaf(a, b, c)
#include "fp.c"
