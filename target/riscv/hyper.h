/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is left of the hypervisor extension: its registers, as storage.
 *
 * A machine that started on the peer's rv64 has firmware that found H in misa and touches these registers in its
 * trap handler.  Such a hart keeps H and the registers' values, here and on its way back.  Virtualisation itself is
 * never entered: what would enter it (hstatus.SPV, hgatp, vsatp) is read-only zero, and there are no interrupts of
 * VS-mode.  A hart that was reset here has no H.
 */
#ifndef TARGET_RISCV_HYPER_H
#define TARGET_RISCV_HYPER_H

#include <stdbool.h>
#include <stdint.h>

struct StateIO;

/* 64-bit registers in the stream's order; hcounteren and hviprio stand between the groups. */
#define RISCV_HYPER_FIRST(X) X(hstatus) X(hedeleg) X(hideleg)
#define RISCV_HYPER_SECOND(X)                                                                                \
    X(htval) X(htinst) X(hgatp) X(hgeie) X(hgeip) X(hvien) X(hvip) X(htimedelta) X(vstimecmp) X(hvictl)
#define RISCV_HYPER_THIRD(X)                                                                                 \
    X(vsstatus) X(vstvec) X(vsscratch) X(vsepc) X(vscause) X(vstval) X(vsatp) X(vsiselect) X(vsie) X(mtval2) \
    X(mtinst) X(stvec_hs) X(sscratch_hs) X(sepc_hs) X(scause_hs) X(stval_hs) X(satp_hs) X(mstatus_hs)

/* GVA, SPVP, HU, VTVM, VTW, VTSR; not SPV, which an sret would follow into VS-mode. */
#define HSTATUS_WRITE UINT64_C(0x700340)

typedef struct RISCVHyper {
#define HYPER_MEMBER(name) uint64_t name;
    RISCV_HYPER_FIRST(HYPER_MEMBER)
    RISCV_HYPER_SECOND(HYPER_MEMBER)
    RISCV_HYPER_THIRD(HYPER_MEMBER)
#undef HYPER_MEMBER
    uint32_t hcounteren;
    uint8_t hviprio[64];
    uint64_t henvcfg, hstateen[4]; /* these travel in other subsections */
} RISCVHyper;

void riscv_hyper_reset(RISCVHyper *hyper);
/* The fields of subsection "cpu/hyper". */
void riscv_hyper_fields(struct StateIO *io, RISCVHyper *hyper);

#endif
