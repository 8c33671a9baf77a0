/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest atomics done in C on host memory: what inline code cannot handle, and all of the interpreter's. */
#include "tcg/eval.h"
#include "tcg/tcg-internal.h"
#include "util/atomic.h"

uint64_t ir_eval_amo(unsigned opc, uint64_t old, uint64_t value)
{
    switch (opc) {
    case IR_AMO_SWAP:
        return value;
    case IR_AMO_ADD:
        return old + value;
    case IR_AMO_AND:
        return old & value;
    case IR_AMO_OR:
        return old | value;
    case IR_AMO_XOR:
        return old ^ value;
    case IR_AMO_MINS:
        return (int64_t)old < (int64_t)value ? old : value;
    case IR_AMO_MAXS:
        return (int64_t)old > (int64_t)value ? old : value;
    case IR_AMO_MINU:
        return old < value ? old : value;
    default:
        return old > value ? old : value;
    }
}

/* Sign extension keeps the unsigned order of 32-bit values too. */
static uint64_t amo32(uint32_t *p, unsigned opc, uint64_t value)
{
    uint32_t old = atomic_read(p), seen;

    value = (uint64_t)(int64_t)(int32_t)value;
    for (;;) {
        seen = atomic_cmpxchg(p, old, (uint32_t)ir_eval_amo(opc, (uint64_t)(int64_t)(int32_t)old, value));
        if (seen == old) {
            return (uint64_t)(int64_t)(int32_t)old;
        }
        old = seen;
    }
}

static uint64_t amo64(uint64_t *p, unsigned opc, uint64_t value)
{
    uint64_t old = atomic_read(p), seen;

    for (;;) {
        seen = atomic_cmpxchg(p, old, ir_eval_amo(opc, old, value));
        if (seen == old) {
            return old;
        }
        old = seen;
    }
}

uint64_t tcg_amo_slow(TCGEnv *env, uint64_t addr, uint64_t value, uint32_t mop)
{
    void *host = tcg_state.runtime.atomic_host(env, addr, mop & 0xffff);
    unsigned opc = mop >> 16;

    return (mop & IR_MEM_SIZE) == 2 ? amo32(host, opc, value) : amo64(host, opc, value);
}

uint64_t tcg_lr_slow(TCGEnv *env, uint64_t addr, uint32_t mop)
{
    uint64_t value = tcg_state.runtime.load_reserved(env, addr, (mop & 0xffff) | IR_MEM_SIGN);

    env->lr_addr = addr;
    env->lr_value = value;
    return value;
}

uint64_t tcg_sc_slow(TCGEnv *env, uint64_t addr, uint64_t value, uint32_t mop)
{
    unsigned size = 1u << (mop & IR_MEM_SIZE);
    bool stored = false;

    /* A misaligned address faults even without a reservation. */
    if (env->lr_addr == addr || (addr & (size - 1))) {
        void *host = tcg_state.runtime.atomic_host(env, addr, mop & 0xffff);

        if (env->lr_addr != addr) {
            stored = false;
        } else if (size == 4) {
            stored = atomic_cmpxchg((uint32_t *)host, (uint32_t)env->lr_value, (uint32_t)value) ==
                     (uint32_t)env->lr_value;
        } else {
            stored = atomic_cmpxchg((uint64_t *)host, env->lr_value, value) == env->lr_value;
        }
    }
    env->lr_addr = UINT64_MAX;
    return !stored;
}
