/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hart in the migration stream: sections "cpu_common" and "cpu" as the peer has them.
 *
 * What travels is a WireState, filled from the CPU before saving and checked into it after loading.  The
 * peer's CPU has a hypervisor extension, triggers and counters that ours lacks: they are sent as they
 * came, or as they are after reset.  What the peer forgets (fflags, who owns which mip bit, ...)
 * travels in "cpu/godwit" between two of us.
 */
#include "cpu.h"

#include "system/state.h"
#include "tcg/tcg.h"
#include <string.h>

#define PEER_INTERRUPT_HARD 2u
#define PEER_PRIV_1_13      3
#define PEER_VEXT_1_0       0x10000
#define PEER_MIDELEG_VS     UINT64_C(0x1444) /* what H makes read-only one */
#define ENVCFG_CFI          UINT64_C(0xc) /* landing pads and shadow stacks */
#define MEDELEG_HYPER       UINT64_C(0xf00400) /* what H adds: carried along, it never happens here */

typedef struct WirePmuCounter {
    uint64_t mhpmcounter_val, mhpmcounterh_val, mhpmcounter_prev, mhpmcounterh_prev;
} WirePmuCounter;

/* Members are named as the stream's description names them. */
typedef struct WireState {
    uint64_t gpr[32], fpr[32];
    uint8_t miprio[64], siprio[64];
    uint64_t pc, load_res, load_val, frm, badaddr, guest_phys_fault_addr, priv_ver, vext_ver;
    uint32_t misa_mxl, misa_ext, misa_ext_mask;
    uint64_t priv;
    bool virt_enabled;
    uint64_t resetvec, mhartid, mstatus, mip, miclaim, mie, mvien, mvip, sie, mideleg, satp, stval, medeleg,
        stvec, sepc, scause, mtvec, mepc, mcause, mtval, miselect, siselect;
    uint32_t scounteren, mcounteren, scountinhibit, mcountinhibit;
    WirePmuCounter pmu_ctrs[32];
    uint64_t mhpmevent_val[32], mhpmeventh_val[32];
    uint64_t sscratch, mscratch, stimecmp;
    uint64_t pmpaddr[16];
    uint8_t pmpcfg[16];
    uint64_t menvcfg, senvcfg, henvcfg;
    RISCVHyper hyper;
    uint64_t trigger_cur, tdata1[2], tdata2[2], tdata3[2];
    uint64_t mstateen[4], hstateen[4], sstateen[4];
    RISCVVector vector;
    bool has_vector, has_elp, has_ssp, has_ctr;
    bool elp;
    uint64_t ssp;
    RISCVTransferRecords ctr;
    bool has_godwit;
    uint8_t fflags;
    uint64_t mseccfg, mip_lines, mip_soft, cycle, instret;
    int64_t time_delta;
} WireState;

/* --- the peer's default interrupt priorities (AIA), which its streams carry --- */
#define PEER_PRIORITIES_FROM_16                                                                              \
    36, 33, 30, 27, 14, 11, 8, 5, 255, 255, 255, 255, 255, 255, 255, 255, 37, 35, 34, 32, 31, 29, 28, 26,    \
        15, 13, 12, 10, 9, 7, 6, 4, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,    \
        255, 255
static const uint8_t peer_miprio[64] = {255, 20, 24, 17, 255, 21, 25, 18, 255, 19, 23,
                                        0,   22, 255, 255, 255, PEER_PRIORITIES_FROM_16};
static const uint8_t peer_siprio[64] = {255, 20, 24, 17, 255, 21, 25, 18, 255, 0, 23,
                                        16,  22, 255, 255, 255, PEER_PRIORITIES_FROM_16};

/* --- filling --- */
/*
 * What the peer is to see as pending.  It never arms a timer that was loaded, so a guest that waits for one would wait
 * for ever: the interrupt comes early instead, and the guest sets the timer again when it finds nothing due.
 */
static uint64_t peer_mip(RISCVCPU *cpu)
{
    uint64_t mip = riscv_mip(cpu), waits = cpu->mie & MIP_MTIP;

    if (riscv_has(cpu, EXT_sstc) && (cpu->menvcfg & ENVCFG_STCE) && cpu->stimecmp != UINT64_MAX) {
        waits |= cpu->mie & MIP_STIP;
    }
    return mip | waits;
}

static void fill_wire(RISCVCPU *cpu, WireState *env, bool native)
{
    memset(env, 0, sizeof(*env));
    memcpy(env->gpr, &cpu->tcg.var[0], sizeof(env->gpr));
    env->gpr[0] = 0;
    memcpy(env->fpr, &cpu->tcg.var[32], sizeof(env->fpr));
    memcpy(env->miprio, peer_miprio, sizeof(peer_miprio));
    memcpy(env->siprio, peer_siprio, sizeof(peer_siprio));
    env->pc = cpu->tcg.pc;
    env->load_res = cpu->tcg.lr_addr;
    env->load_val = cpu->tcg.lr_value;
    env->frm = cpu->tcg.frm;
    env->priv_ver = PEER_PRIV_1_13;
    env->vext_ver = PEER_VEXT_1_0;
    env->misa_mxl = 2;
    env->misa_ext = cpu->misa | (native ? 0 : MISA_H);
    env->misa_ext_mask = env->misa_ext;
    env->priv = cpu->priv;
    env->resetvec = cpu->resetvec;
    env->mhartid = cpu->mhartid;
    env->mstatus = cpu->mstatus & ~MSTATUS_SD;
    env->mip = native ? riscv_mip(cpu) : peer_mip(cpu);
    env->miclaim = native ? 0 : BIT(12);
    env->mie = cpu->mie;
    env->mideleg = cpu->mideleg | (native ? 0 : PEER_MIDELEG_VS);
    env->satp = cpu->satp;
    env->stval = cpu->stval;
    env->medeleg = cpu->medeleg;
    env->stvec = cpu->stvec;
    env->sepc = cpu->sepc;
    env->scause = cpu->scause;
    env->mtvec = cpu->mtvec;
    env->mepc = cpu->mepc;
    env->mcause = cpu->mcause;
    env->mtval = cpu->mtval;
    env->scounteren = cpu->scounteren;
    env->mcounteren = cpu->mcounteren;
    env->mcountinhibit = cpu->mcountinhibit;
    env->sscratch = cpu->sscratch;
    env->mscratch = cpu->mscratch;
    env->stimecmp = cpu->stimecmp;
    memcpy(env->pmpaddr, cpu->pmpaddr, sizeof(env->pmpaddr));
    memcpy(env->pmpcfg, cpu->pmpcfg, sizeof(env->pmpcfg));
    env->menvcfg = cpu->menvcfg;
    env->senvcfg = cpu->senvcfg;
    env->hyper = cpu->wire.hyper;
    env->henvcfg = cpu->wire.hyper.henvcfg;
    memcpy(env->hstateen, cpu->wire.hyper.hstateen, sizeof(env->hstateen));
    env->trigger_cur = cpu->wire.trigger_cur;
    memcpy(env->tdata1, cpu->wire.tdata1, sizeof(env->tdata1));
    memcpy(env->tdata2, cpu->wire.tdata2, sizeof(env->tdata2));
    memcpy(env->tdata3, cpu->wire.tdata3, sizeof(env->tdata3));
    memcpy(env->mstateen, cpu->mstateen, sizeof(env->mstateen));
    memcpy(env->sstateen, cpu->sstateen, sizeof(env->sstateen));
    env->vector = cpu->vector;
    env->ssp = cpu->wire.ssp;
    env->ctr = cpu->wire.ctr;
    env->fflags = tcg_fp_get_flags(&cpu->tcg);
    env->mseccfg = cpu->mseccfg;
    env->mip_lines = atomic_read(&cpu->mip_lines);
    env->mip_soft = atomic_read(&cpu->mip_soft);
    env->cycle = riscv_counter_read(cpu, &cpu->cycle, 0);
    env->instret = riscv_counter_read(cpu, &cpu->instret, 2);
    env->time_delta = guest_time_get_delta();
}

/* --- the fields, in the stream's order --- */
static void main_fields(StateIO *io, WireState *wire)
{
#define env (*wire)
    STATE_U64S(io, env.gpr, 32);
    STATE_U64S(io, env.fpr, 32);
    STATE_U8S(io, env.miprio, 64);
    STATE_U8S(io, env.siprio, 64);
    STATE_U64(io, env.pc);
    STATE_U64(io, env.load_res);
    STATE_U64(io, env.load_val);
    STATE_U64_RANGE(io, env.frm, 0, 7);
    STATE_U64(io, env.badaddr);
    STATE_U64(io, env.guest_phys_fault_addr);
    STATE_U64(io, env.priv_ver);
    STATE_U64(io, env.vext_ver);
    STATE_U32_RANGE(io, env.misa_mxl, 2, 2);
    STATE_U32(io, env.misa_ext);
    state_unused(io, 4);
    STATE_U32(io, env.misa_ext_mask);
    STATE_U64_RANGE(io, env.priv, PRIV_U, PRIV_M);
    STATE_BOOL(io, env.virt_enabled);
    STATE_U64(io, env.resetvec);
    STATE_U64(io, env.mhartid);
    STATE_U64(io, env.mstatus);
    STATE_U64(io, env.mip);
    STATE_U64(io, env.miclaim);
    STATE_U64(io, env.mie);
    STATE_U64(io, env.mvien);
    STATE_U64(io, env.mvip);
    STATE_U64(io, env.sie);
    STATE_U64(io, env.mideleg);
    STATE_U64(io, env.satp);
    STATE_U64(io, env.stval);
    STATE_U64(io, env.medeleg);
    STATE_U64(io, env.stvec);
    STATE_U64(io, env.sepc);
    STATE_U64(io, env.scause);
    STATE_U64(io, env.mtvec);
    STATE_U64(io, env.mepc);
    STATE_U64(io, env.mcause);
    STATE_U64(io, env.mtval);
    STATE_U64(io, env.miselect);
    STATE_U64(io, env.siselect);
    STATE_U32(io, env.scounteren);
    STATE_U32(io, env.mcounteren);
    STATE_U32(io, env.scountinhibit);
    STATE_U32(io, env.mcountinhibit);
    for (int n = 0; n < 32; n++) {
        state_struct_begin(io, "env.pmu_ctrs", "cpu/pmu", 2, n);
        state_field(io, "mhpmcounter_val", STATE_TYPE_U64, &env.pmu_ctrs[n].mhpmcounter_val, 1, 8);
        state_field(io, "mhpmcounterh_val", STATE_TYPE_U64, &env.pmu_ctrs[n].mhpmcounterh_val, 1, 8);
        state_field(io, "mhpmcounter_prev", STATE_TYPE_U64, &env.pmu_ctrs[n].mhpmcounter_prev, 1, 8);
        state_field(io, "mhpmcounterh_prev", STATE_TYPE_U64, &env.pmu_ctrs[n].mhpmcounterh_prev, 1, 8);
        state_struct_end(io);
    }
    STATE_U64S(io, env.mhpmevent_val, 32);
    STATE_U64S(io, env.mhpmeventh_val, 32);
    STATE_U64(io, env.sscratch);
    STATE_U64(io, env.mscratch);
    STATE_U64(io, env.stimecmp);
}

static void pmp_fields(StateIO *io, WireState *wire)
{
    for (int n = 0; n < RISCV_PMP_ENTRIES; n++) {
        state_struct_begin(io, "env.pmp_state.pmp", "cpu/pmp/entry", 1, n);
        state_field(io, "addr_reg", STATE_TYPE_U64, &wire->pmpaddr[n], 1, 8);
        state_field(io, "cfg_reg", STATE_TYPE_U8, &wire->pmpcfg[n], 1, 1);
        state_struct_end(io);
    }
}

static void envcfg_fields(StateIO *io, WireState *wire)
{
    STATE_U64(io, env.menvcfg);
    STATE_U64(io, env.senvcfg);
    STATE_U64(io, env.henvcfg);
}

static void debug_fields(StateIO *io, WireState *wire)
{
    STATE_U64(io, env.trigger_cur);
    STATE_U64S(io, env.tdata1, 2);
    STATE_U64S(io, env.tdata2, 2);
    STATE_U64S(io, env.tdata3, 2);
}

static void stateen_fields(StateIO *io, WireState *wire)
{
    STATE_U64S(io, env.mstateen, 4);
    STATE_U64S(io, env.hstateen, 4);
    STATE_U64S(io, env.sstateen, 4);
}

/* The registers fill the field from its start, whatever their size. */
static void vector_fields(StateIO *io, WireState *wire)
{
    RISCVVector *v = &wire->vector;

    state_field(io, "env.vreg", STATE_TYPE_U64, v->reg, ARRAY_SIZE(v->reg), 8);
    state_field_range(io, "env.vxrm", STATE_TYPE_U64, &v->vxrm, 0, 3);
    state_field_range(io, "env.vxsat", STATE_TYPE_U64, &v->vxsat, 0, 1);
    state_field(io, "env.vl", STATE_TYPE_U64, &v->vl, 1, 8);
    state_field(io, "env.vstart", STATE_TYPE_U64, &v->vstart, 1, 8);
    state_field(io, "env.vtype", STATE_TYPE_U64, &v->vtype, 1, 8);
    state_field(io, "env.vill", STATE_TYPE_BOOL, &v->vill, 1, 1);
    wire->has_vector = true;
}

static void ctr_fields(StateIO *io, WireState *wire)
{
    RISCVTransferRecords *r = &wire->ctr;

    state_field(io, "env.mctrctl", STATE_TYPE_U64, &r->mctrctl, 1, 8);
    state_field(io, "env.sctrdepth", STATE_TYPE_U32, &r->sctrdepth, 1, 4);
    state_field(io, "env.sctrstatus", STATE_TYPE_U32, &r->sctrstatus, 1, 4);
    state_field(io, "env.vsctrctl", STATE_TYPE_U64, &r->vsctrctl, 1, 8);
    state_field(io, "env.ctr_src", STATE_TYPE_U64, r->src, ARRAY_SIZE(r->src), 8);
    state_field(io, "env.ctr_dst", STATE_TYPE_U64, r->dst, ARRAY_SIZE(r->dst), 8);
    state_field(io, "env.ctr_data", STATE_TYPE_U64, r->data, ARRAY_SIZE(r->data), 8);
    wire->has_ctr = true;
}

static void godwit_fields(StateIO *io, WireState *wire)
{
    STATE_U8_RANGE(io, env.fflags, 0, 31);
    STATE_U64_RANGE(io, env.mseccfg, 0, MSECCFG_MML | MSECCFG_MMWP | MSECCFG_RLB);
    STATE_U64(io, env.mip_lines);
    STATE_U64(io, env.mip_soft);
    STATE_U64(io, env.cycle);
    STATE_U64(io, env.instret);
    STATE_I64(io, env.time_delta);
    env.has_godwit = true;
}
#undef env

/* Of extensions that are not here: what came goes on. */
static void peer_max_subsections(StateIO *io, RISCVCPU *cpu, WireState *wire)
{
    if (state_subsection(io, "cpu/elp", 1, cpu->wire.has_elp)) {
        state_field(io, "env.elp", STATE_TYPE_BOOL, &wire->elp, 1, 1);
        wire->has_elp = true;
        state_subsection_end(io);
    }
    if (state_subsection(io, "cpu/ssp", 1, cpu->wire.has_ssp)) {
        state_field(io, "env.ssp", STATE_TYPE_U64, &wire->ssp, 1, 8);
        wire->has_ssp = true;
        state_subsection_end(io);
    }
    if (state_subsection(io, "cpu/ctr", 1, cpu->wire.has_ctr)) {
        ctr_fields(io, wire);
        state_subsection_end(io);
    }
}

static void subsections(StateIO *io, RISCVCPU *cpu, WireState *wire)
{
    if (state_subsection(io, "cpu/pmp", 1, cpu->cfg.pmp)) {
        pmp_fields(io, wire);
        state_subsection_end(io);
    }
    if (state_subsection(io, "cpu/hyper", 4, riscv_has_hyper(cpu) || !state_native(io))) {
        riscv_hyper_fields(io, &wire->hyper);
        state_subsection_end(io);
    }
    if (state_subsection(io, "cpu/vector", 2, riscv_has(cpu, EXT_zve32x))) {
        vector_fields(io, wire);
        state_subsection_end(io);
    }
    if (state_subsection(io, "cpu/envcfg", 1, true)) {
        envcfg_fields(io, wire);
        state_subsection_end(io);
    }
    if (state_subsection(io, "cpu/debug", 2, true)) {
        debug_fields(io, wire);
        state_subsection_end(io);
    }
    if (state_subsection(io, "cpu/smtateen", 1, riscv_has(cpu, EXT_smstateen))) {
        stateen_fields(io, wire);
        state_subsection_end(io);
    }
    peer_max_subsections(io, cpu, wire);
    if (state_subsection(io, "cpu/godwit", 1, state_native(io))) {
        godwit_fields(io, wire);
        state_subsection_end(io);
    }
}

/* --- checking in --- */
static bool vector_legal(const RISCVCPU *cpu, const RISCVVector *v)
{
    return v->vstart < cpu->cfg.vlen &&
           (v->vill ? v->vtype == 0 && v->vl == 0
                    : riscv_vtype_legal(cpu, v->vtype) && v->vl <= riscv_vlmax(cpu, v->vtype));
}

/* Extensions that are storage here, while they are off. */
static bool extras_acceptable(StateIO *io, RISCVCPU *cpu, const WireState *env)
{
    if (env->has_vector && !riscv_has(cpu, EXT_zve32x)) {
        state_fail(io, "the source's CPU has vector registers (-cpu), which this one has not");
    } else if (env->has_vector && !vector_legal(cpu, &env->vector)) {
        state_fail(io, "vl, vtype or vstart is not possible with vlen=%u,elen=%u of this CPU", cpu->cfg.vlen,
                   cpu->cfg.elen);
    } else if (env->elp || ((env->menvcfg | env->senvcfg) & ENVCFG_CFI)) {
        state_fail(io, "landing pads or shadow stacks are on, which this CPU has not");
    } else if (env->ctr.mctrctl || env->ctr.vsctrctl) {
        state_fail(io, "control transfers are recorded, which this CPU cannot");
    }
    return !state_failed(io);
}

static bool acceptable(StateIO *io, RISCVCPU *cpu, const WireState *env)
{
    uint32_t bits = riscv_has(cpu, EXT_zba) && riscv_has(cpu, EXT_zbb) && riscv_has(cpu, EXT_zbs) ? MISA_B : 0;
    uint32_t known = (uint32_t)riscv_misa(cpu) | MISA_G | MISA_H | bits;
    uint32_t foreign = env->misa_ext & ~known & MAKE_64BIT_MASK(0, 26);

    if (foreign) {
        state_fail(io, "the source's CPU has extension '%c' (-cpu), which this one has not", 'a' + ctz32(foreign));
    } else if (env->virt_enabled || env->hyper.hgatp || env->hyper.vsatp) {
        state_fail(io, "the hart runs a guest of its own hypervisor, which this CPU cannot");
    } else if (env->priv == 2) {
        state_fail(io, "privilege mode 2 does not exist");
    } else if (env->mhartid != cpu->mhartid) {
        state_fail(io, "hart id %" PRIu64 " instead of %" PRIu64, env->mhartid, cpu->mhartid);
    } else if (!riscv_satp_mode_valid(cpu, SATP_MODE(env->satp)) &&
               !(SATP_MODE(env->satp) == SATP_SV57 && (env->misa_ext & MISA_H))) {
        state_fail(io, "address translation mode %u is not offered by this CPU",
                   (unsigned)SATP_MODE(env->satp));
    } else if (((env->mstatus & MSTATUS_MPP) >> 11) == 2) {
        state_fail(io, "mstatus.MPP holds the reserved mode 2");
    } else if ((env->stvec & 3) > 1 || (env->mtvec & 3) > 1) {
        state_fail(io, "a trap vector has a reserved mode");
    }
    return !state_failed(io);
}

/*
 * Whose bits are those of mip?  Machine-level and external ones follow lines; their devices set them again
 * anyway.
 */
static void take_mip(RISCVCPU *cpu, const WireState *env)
{
    uint64_t line_bits = MIP_MSIP | MIP_MTIP | MIP_MEIP | MIP_SEIP;

    atomic_set(&cpu->mip_lines, (env->has_godwit ? env->mip_lines : env->mip) & line_bits);
    atomic_set(&cpu->mip_soft, env->has_godwit ? env->mip_soft & MIP_S : env->mip & (MIP_SSIP | MIP_STIP));
}

static void take_timers(RISCVCPU *cpu, const WireState *env)
{
    cpu->mcountinhibit = env->mcountinhibit & ~2u;
    if (env->has_godwit) {
        riscv_counter_write(cpu, &cpu->cycle, 0, env->cycle);
        riscv_counter_write(cpu, &cpu->instret, 2, env->instret);
        guest_time_set_delta(env->time_delta);
    }
    riscv_stimecmp_write(cpu, env->stimecmp);
}

static void take_wire(RISCVCPU *cpu, const WireState *env)
{
    memcpy(&cpu->tcg.var[0], env->gpr, sizeof(env->gpr));
    cpu->tcg.var[0] = 0;
    memcpy(&cpu->tcg.var[32], env->fpr, sizeof(env->fpr));
    cpu->tcg.pc = env->pc & ~UINT64_C(1);
    cpu->tcg.lr_addr = env->load_res;
    cpu->tcg.lr_value = env->load_val;
    cpu->priv = env->priv;
    cpu->misa = riscv_misa(cpu) | (env->misa_ext & (MISA_B | MISA_G | MISA_H));
    cpu->wire.hyper = env->hyper;
    cpu->wire.hyper.henvcfg = env->henvcfg;
    memcpy(cpu->wire.hyper.hstateen, env->hstateen, sizeof(env->hstateen));
    cpu->resetvec = env->resetvec;
    cpu->mie = env->mie & MIP_ALL;
    cpu->mideleg = env->mideleg & MIP_S;
    cpu->satp = env->satp;
    cpu->stval = env->stval;
    cpu->medeleg = env->medeleg & (0xb3ff | (riscv_has_hyper(cpu) ? MEDELEG_HYPER : 0));
    cpu->stvec = env->stvec;
    cpu->sepc = env->sepc & ~UINT64_C(1);
    cpu->scause = env->scause;
    cpu->mtvec = env->mtvec;
    cpu->mepc = env->mepc & ~UINT64_C(1);
    cpu->mcause = env->mcause;
    cpu->mtval = env->mtval;
    cpu->scounteren = env->scounteren;
    cpu->mcounteren = env->mcounteren;
    cpu->sscratch = env->sscratch;
    cpu->mscratch = env->mscratch;
    memcpy(cpu->pmpaddr, env->pmpaddr, sizeof(env->pmpaddr));
    for (int n = 0; n < RISCV_PMP_ENTRIES; n++) {
        cpu->pmpaddr[n] &= MAKE_64BIT_MASK(0, 54);
        cpu->pmpcfg[n] = env->pmpcfg[n] & ~0x60;
    }
    riscv_pmp_update(cpu);
    atomic_set(&cpu->menvcfg, env->menvcfg & riscv_menvcfg_mask(cpu));
    cpu->senvcfg = env->senvcfg & riscv_menvcfg_mask(cpu) & ~(ENVCFG_ADUE | ENVCFG_PBMTE | ENVCFG_STCE);
    cpu->wire.trigger_cur = env->trigger_cur;
    memcpy(cpu->wire.tdata1, env->tdata1, sizeof(env->tdata1));
    memcpy(cpu->wire.tdata2, env->tdata2, sizeof(env->tdata2));
    memcpy(cpu->wire.tdata3, env->tdata3, sizeof(env->tdata3));
    memcpy(cpu->mstateen, env->mstateen, sizeof(env->mstateen));
    memcpy(cpu->sstateen, env->sstateen, sizeof(env->sstateen));
    cpu->mseccfg = env->has_godwit ? env->mseccfg : 0;
    tcg_fp_set(&cpu->tcg, env->frm, env->has_godwit ? env->fflags : 0);
    cpu->vector = env->vector;
    cpu->wire.has_elp = env->has_elp;
    cpu->wire.has_ssp = env->has_ssp;
    cpu->wire.has_ctr = env->has_ctr;
    cpu->wire.ssp = env->ssp;
    cpu->wire.ctr = env->ctr;
    riscv_put_mstatus(cpu, (env->mstatus & riscv_mstatus_mask(cpu)) | MSTATUS_XL64);
    take_mip(cpu, env);
    take_timers(cpu, env);
    tlb_flush(&cpu->tcg);
    tlb_switch_asid(&cpu->tcg, BIT(MMU_IDX_U) | BIT(MMU_IDX_S) | BIT(MMU_IDX_S_SUM), SATP_ASID(cpu->satp));
    cpu_interrupt(&cpu->cs, CPU_INTERRUPT_HARD);
}

static void cpu_fields(StateIO *io, void *opaque)
{
    RISCVCPU *cpu = opaque;
    WireState wire;

    fill_wire(cpu, &wire, state_native(io));
    wire.has_godwit = wire.has_vector = wire.has_elp = wire.has_ssp = wire.has_ctr = false;
    main_fields(io, &wire);
    subsections(io, cpu, &wire);
    if (state_loading(io) && acceptable(io, cpu, &wire) && extras_acceptable(io, cpu, &wire)) {
        take_wire(cpu, &wire);
    }
}

static const StateSection cpu_section = {
    .name = "cpu",
    .version = 10,
    .min_version = 10,
    .fields = cpu_fields,
};

/* --- what any architecture's CPU has --- */
static void cpu_common_fields(StateIO *io, void *opaque)
{
    RISCVCPU *cpu = opaque;
    uint32_t halted = cpu->cs.halted, interrupt_request = 0;

    if (atomic_read(&cpu->cs.interrupt_request) & CPU_INTERRUPT_HARD || riscv_mip(cpu) ||
        (!state_native(io) && peer_mip(cpu))) {
        interrupt_request = PEER_INTERRUPT_HARD;
    }
    STATE_U32(io, halted);
    STATE_U32(io, interrupt_request);
    if (state_subsection(io, "cpu_common/exception_index", 1, false)) {
        state_field(io, "exception_index", STATE_TYPE_I32, &(int32_t){0}, 1, 4);
        state_subsection_end(io);
    }
    if (state_subsection(io, "cpu_common/crash_occurred", 1, false)) {
        state_field(io, "crash_occurred", STATE_TYPE_BOOL, &(bool){false}, 1, 1);
        state_subsection_end(io);
    }
    if (state_loading(io)) {
        cpu->cs.halted = halted;
        cpu_interrupt(&cpu->cs, CPU_INTERRUPT_HARD);
    }
}

static const StateSection cpu_common_section = {
    .name = "cpu_common",
    .version = 1,
    .min_version = 1,
    .fields = cpu_common_fields,
};

void riscv_state_register(RISCVCPU *cpu)
{
    state_register(&cpu_common_section, NULL, cpu->cs.index, cpu);
    state_register(&cpu_section, NULL, cpu->cs.index, cpu);
}

void riscv_state_unregister(RISCVCPU *cpu)
{
    state_unregister(&cpu_common_section, cpu);
    state_unregister(&cpu_section, cpu);
}
