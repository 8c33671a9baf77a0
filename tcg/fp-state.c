/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's floating point flags and rounding mode, wherever they live.
 *
 * env->fflags holds flags that C code raised; inline code raises sticky bits of MXCSR, which is in the
 * register while env->in_code is IN_CODE and in env->host_fp otherwise.  The guest's flags are the union.
 */
#include "tcg/tcg-internal.h"

/* env->in_code: outside; in code with the guest's MXCSR loaded; in C that was given its own MXCSR. */
enum { OUTSIDE, IN_CODE, IN_C };

#ifdef __x86_64__
#include <xmmintrin.h>

#define MXCSR_FLAGS   0x3fu
#define MXCSR_DEFAULT 0x1f80u /* all exceptions masked, round to nearest */

bool tcg_fp_is_live(const TCGEnv *env)
{
    return env->in_code == IN_CODE && !tcg_state.config.interpreter;
}

static uint32_t mxcsr_get(const TCGEnv *env)
{
    return tcg_fp_is_live(env) ? _mm_getcsr() : env->host_fp;
}

uint8_t tcg_fp_flags_of_mxcsr(uint32_t mxcsr)
{
    return (mxcsr >> 5 & 1) | (mxcsr >> 3 & 2) | (mxcsr >> 1 & 4) | (mxcsr << 1 & 8) | (mxcsr << 4 & 16);
}

uint8_t tcg_fp_get_flags(TCGEnv *env)
{
    return (env->fflags | tcg_fp_flags_of_mxcsr(mxcsr_get(env))) & 0x1f;
}

void tcg_fp_set(TCGEnv *env, uint8_t frm, uint8_t fflags)
{
    /* Modes that the hardware lacks never reach inline code: any will do. */
    static const uint8_t rc[8] = {[IR_RNE] = 0, [IR_RTZ] = 3, [IR_RDN] = 1, [IR_RUP] = 2};
    uint32_t mxcsr = MXCSR_DEFAULT | (uint32_t)rc[frm & 7] << 13, now = mxcsr_get(env);

    env->frm = frm & 7;
    env->fflags = fflags & 0x1f;
    /* Writing the register is slow; flags that it holds already do no harm in it. */
    if ((now & ~MXCSR_FLAGS) == mxcsr && !(tcg_fp_flags_of_mxcsr(now) & ~fflags)) {
        return;
    }
    env->host_fp = mxcsr;
    if (tcg_fp_is_live(env)) {
        _mm_setcsr(mxcsr);
    }
}

void tcg_fp_enter_c(TCGEnv *env)
{
    if (tcg_fp_is_live(env)) {
        env->host_fp = _mm_getcsr();
        _mm_setcsr(env->host_fp_c);
        env->in_code = IN_C;
    }
}

void tcg_fp_leave_c(TCGEnv *env)
{
    if (env->in_code == IN_C) {
        env->host_fp_c = _mm_getcsr();
        _mm_setcsr(env->host_fp);
        env->in_code = IN_CODE;
    }
}
#else
bool tcg_fp_is_live(const TCGEnv *env)
{
    return false;
}

uint8_t tcg_fp_flags_of_mxcsr(uint32_t mxcsr)
{
    return 0;
}

uint8_t tcg_fp_get_flags(TCGEnv *env)
{
    return env->fflags;
}

void tcg_fp_set(TCGEnv *env, uint8_t frm, uint8_t fflags)
{
    env->frm = frm & 7;
    env->fflags = fflags & 0x1f;
}

void tcg_fp_enter_c(TCGEnv *env)
{
}

void tcg_fp_leave_c(TCGEnv *env)
{
}
#endif

void tcg_fp_or_flags(TCGEnv *env, uint8_t fflags)
{
    env->fflags |= fflags & 0x1f;
}
