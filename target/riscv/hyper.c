/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hypervisor extension's registers as a reset leaves them, and as they travel.  hyper.h says why there are any. */
#include "cpu.h"

#include "system/state.h"
#include <string.h>

/* Interrupt priorities that the peer's streams carry and no register shows. */
static const uint8_t peer_hviprio[24] = {0, 20,  0,   0,   0,  21, 0,  0,  0,  0,  0, 0,
                                         0, 255, 255, 255, 36, 33, 30, 27, 14, 11, 8, 5};

void riscv_hyper_reset(RISCVHyper *hyper)
{
    memset(hyper, 0, sizeof(*hyper));
    memcpy(hyper->hviprio, peer_hviprio, sizeof(peer_hviprio));
    hyper->vsstatus = hyper->mstatus_hs = MSTATUS_XL64;
}

void riscv_hyper_fields(StateIO *io, RISCVHyper *hyper)
{
#define HYPER_FIELD(name) state_field(io, "env." #name, STATE_TYPE_U64, &hyper->name, 1, 8);
    RISCV_HYPER_FIRST(HYPER_FIELD)
    state_field(io, "env.hcounteren", STATE_TYPE_U32, &hyper->hcounteren, 1, 4);
    RISCV_HYPER_SECOND(HYPER_FIELD)
    state_field(io, "env.hviprio", STATE_TYPE_U8, hyper->hviprio, 64, 1);
    RISCV_HYPER_THIRD(HYPER_FIELD)
#undef HYPER_FIELD
}
