/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Traps, interrupts and returns: the changes of privilege, and what follows from them. */
#include "cpu.h"

#include "accel/log.h"
#include "system/ram-gate.h"
#include "util/trace.h"

TRACE_EVENT(riscv_trap,
            "hart %" PRIu64 " cause 0x%" PRIx64 " pc 0x%" PRIx64 " tval 0x%" PRIx64 " to priv %u");

/* --- what follows from mstatus and the mode --- */
unsigned riscv_data_mmu_idx(RISCVCPU *cpu)
{
    unsigned priv = cpu->priv;

    if (priv == PRIV_M && (cpu->mstatus & MSTATUS_MPRV)) {
        priv = (cpu->mstatus & MSTATUS_MPP) >> 11;
    }
    if (priv == PRIV_S) {
        return cpu->mstatus & MSTATUS_SUM ? MMU_IDX_S_SUM : MMU_IDX_S;
    }
    return priv == PRIV_M ? MMU_IDX_M : MMU_IDX_U;
}

uint32_t riscv_tb_flags(TCGEnv *env)
{
    RISCVCPU *cpu = env_riscv(env);
    unsigned idx = riscv_data_mmu_idx(cpu);
    uint32_t flags = idx | cpu->priv << TB_PRIV_SHIFT;

    if (cpu->priv == PRIV_M && idx != MMU_IDX_M) {
        flags |= TB_NO_TABLE;
    }
    if (env->frm >= IR_RMM) {
        flags |= TB_SOFT_FP | TB_NO_TABLE;
    }
    return flags;
}

void riscv_update_fp_ok(RISCVCPU *cpu)
{
    cpu->tcg.fp_ok = (cpu->mstatus & MSTATUS_FS) == MSTATUS_FS && cpu->tcg.frm < IR_RMM;
}

void riscv_put_mstatus(RISCVCPU *cpu, uint64_t value)
{
    uint64_t changed = cpu->mstatus ^ value;

    value &= ~MSTATUS_SD;
    if ((value & MSTATUS_FS) == MSTATUS_FS || (value & MSTATUS_VS) == MSTATUS_VS) {
        value |= MSTATUS_SD;
    }
    cpu->mstatus = value;
    riscv_update_fp_ok(cpu);
    if (changed & MSTATUS_MXR) {
        tlb_flush(&cpu->tcg);
    }
}

void riscv_set_priv(RISCVCPU *cpu, unsigned priv)
{
    cpu->priv = priv;
    /* or a store-conditional could pair with another context's load-reserved */
    cpu->tcg.lr_addr = UINT64_MAX;
}

/* --- traps --- */
static uint64_t vector_address(uint64_t tvec, uint64_t cause)
{
    uint64_t base = tvec & ~UINT64_C(3);

    return (tvec & 1) && (cause & CAUSE_INTERRUPT) ? base + 4 * (cause & 63) : base;
}

static bool is_delegated(const RISCVCPU *cpu, uint64_t cause)
{
    uint64_t delegated = cause & CAUSE_INTERRUPT ? cpu->mideleg : cpu->medeleg;

    return cpu->priv <= PRIV_S && ((delegated >> (cause & 63)) & 1);
}

static void trap_to_s(RISCVCPU *cpu, uint64_t cause, uint64_t tval, uint64_t epc)
{
    uint64_t s = cpu->mstatus & ~(MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_SIE);

    s |= cpu->mstatus & MSTATUS_SIE ? MSTATUS_SPIE : 0;
    s |= cpu->priv == PRIV_S ? MSTATUS_SPP : 0;
    cpu->mstatus = s;
    cpu->scause = cause;
    cpu->sepc = epc;
    cpu->stval = tval;
    cpu->tcg.pc = vector_address(cpu->stvec, cause);
    riscv_set_priv(cpu, PRIV_S);
}

static void trap_to_m(RISCVCPU *cpu, uint64_t cause, uint64_t tval, uint64_t epc)
{
    uint64_t s = cpu->mstatus & ~(MSTATUS_MPIE | MSTATUS_MPP | MSTATUS_MIE);

    s |= cpu->mstatus & MSTATUS_MIE ? MSTATUS_MPIE : 0;
    s |= cpu->priv << 11;
    cpu->mstatus = s;
    cpu->mcause = cause;
    cpu->mepc = epc;
    cpu->mtval = tval;
    cpu->tcg.pc = vector_address(cpu->mtvec, cause);
    riscv_set_priv(cpu, PRIV_M);
}

void riscv_trap(RISCVCPU *cpu, uint64_t cause, uint64_t tval, uint64_t epc)
{
    if (is_delegated(cpu, cause)) {
        trap_to_s(cpu, cause, tval, epc);
    } else {
        trap_to_m(cpu, cause, tval, epc);
    }
    trace(riscv_trap, cpu->mhartid, cause, epc, tval, (unsigned)cpu->priv);
    if (log_enabled(LOG_INT)) {
        log_printf("INT: hart %" PRIu64 " %s %u pc 0x%016" PRIx64 " tval 0x%" PRIx64 " to %c\n", cpu->mhartid,
                   cause & CAUSE_INTERRUPT ? "interrupt" : "exception", (unsigned)(cause & 63), epc, tval,
                   cpu->priv == PRIV_M ? 'M' : 'S');
    }
}

void riscv_raise(TCGEnv *env, uint64_t cause, uint64_t tval)
{
    riscv_trap(env_riscv(env), cause, tval, tcg_env_pc(env));
    tcg_exit_to_loop(env, TCG_EXIT_LOOKUP);
}

/* A fetch faults at the address it goes to, a data access at the instruction that makes it. */
void riscv_raise_access(TCGEnv *env, vaddr addr, MMUAccessType access, bool page_fault)
{
    static const uint8_t causes[2][3] = {
        {[MMU_DATA_LOAD] = CAUSE_LOAD_ACCESS,
         [MMU_DATA_STORE] = CAUSE_STORE_ACCESS,
         [MMU_INST_FETCH] = CAUSE_FETCH_ACCESS},
        {[MMU_DATA_LOAD] = CAUSE_LOAD_PAGE,
         [MMU_DATA_STORE] = CAUSE_STORE_PAGE,
         [MMU_INST_FETCH] = CAUSE_FETCH_PAGE},
    };
    uint64_t pc = access == MMU_INST_FETCH ? env->pc : tcg_env_pc(env);

    if (!page_fault && ram_gate_vcpu_called()) {
        env->pc = pc; /* it may be a wait at the gate that was cut short: once more, after what the vCPU is called for */
        tcg_exit_to_loop(env, TCG_EXIT_REQUEST);
    }
    riscv_trap(env_riscv(env), causes[page_fault][access], addr, pc);
    tcg_exit_to_loop(env, TCG_EXIT_LOOKUP);
}

/* The bits of the present instruction, for mtval; 0 when they cannot be read any more. */
static uint32_t present_insn_bits(TCGEnv *env)
{
    uint64_t pc = tcg_env_pc(env);
    unsigned idx = riscv_fetch_mmu_idx(env);
    const uint16_t *low = cpu_probe_host(env, pc, 2, MMU_INST_FETCH, idx), *high;

    if (!low) {
        return 0;
    }
    if ((*low & 3) != 3) {
        return *low;
    }
    high = cpu_probe_host(env, pc + 2, 2, MMU_INST_FETCH, idx);
    return high ? *low | (uint32_t)*high << 16 : 0;
}

void riscv_raise_illegal(TCGEnv *env)
{
    riscv_raise(env, CAUSE_ILLEGAL, present_insn_bits(env));
}

static void riscv_transaction_failed(TCGEnv *env, vaddr addr, MMUAccessType access, MemTxResult result)
{
    riscv_raise_access(env, addr, access, false);
}

static void riscv_misaligned(TCGEnv *env, vaddr addr, MMUAccessType access)
{
    riscv_raise(env, access == MMU_DATA_LOAD ? CAUSE_LOAD_MISALIGNED : CAUSE_STORE_MISALIGNED, addr);
}

/* The first floating point instruction of a path found fp_ok 0. */
static void riscv_fp_check(TCGEnv *env)
{
    RISCVCPU *cpu = env_riscv(env);

    if (!(cpu->mstatus & MSTATUS_FS)) {
        riscv_raise_illegal(env);
    }
    if ((cpu->mstatus & MSTATUS_FS) != MSTATUS_FS) {
        riscv_put_mstatus(cpu, cpu->mstatus | MSTATUS_FS);
    }
    if (!env->fp_ok) {
        /* a rounding mode without hardware: there is another translation of this code for it */
        env->pc = tcg_env_pc(env);
        tcg_exit_to_loop(env, TCG_EXIT_LOOKUP);
    }
}

/* --- interrupts --- */
static const uint8_t irq_priority[] = {IRQ_MEI, IRQ_MSI, IRQ_MTI, IRQ_SEI, IRQ_SSI, IRQ_STI};

static int highest(uint64_t pending)
{
    for (unsigned n = 0; n < ARRAY_SIZE(irq_priority); n++) {
        if (pending & BIT_ULL(irq_priority[n])) {
            return irq_priority[n];
        }
    }
    return -1;
}

int riscv_pending_interrupt(RISCVCPU *cpu)
{
    uint64_t pending = riscv_mip(cpu) & cpu->mie;
    bool m_enabled, s_enabled;
    int irq = -1;

    if (likely(!pending)) {
        return -1;
    }
    m_enabled = cpu->priv < PRIV_M || (cpu->mstatus & MSTATUS_MIE);
    s_enabled = cpu->priv < PRIV_S || (cpu->priv == PRIV_S && (cpu->mstatus & MSTATUS_SIE));
    if (m_enabled) {
        irq = highest(pending & ~cpu->mideleg);
    }
    if (irq < 0 && s_enabled) {
        irq = highest(pending & cpu->mideleg);
    }
    return irq;
}

bool riscv_exec_interrupt(TCGEnv *env)
{
    RISCVCPU *cpu = env_riscv(env);
    int irq;

    /* cleared before mip is read: whoever raises a line sets the line first and this flag second */
    if (atomic_read(&cpu->cs.interrupt_request) & CPU_INTERRUPT_HARD) {
        atomic_and(&cpu->cs.interrupt_request, ~(uint32_t)CPU_INTERRUPT_HARD);
    }
    irq = riscv_pending_interrupt(cpu);
    if (irq < 0) {
        return false;
    }
    riscv_trap(cpu, CAUSE_INTERRUPT | irq, 0, env->pc);
    return true;
}

/* --- returns --- */
bool riscv_mret(RISCVCPU *cpu)
{
    uint64_t s = cpu->mstatus;
    unsigned priv = (s & MSTATUS_MPP) >> 11;

    if (cpu->priv < PRIV_M) {
        return false;
    }
    s &= ~(MSTATUS_MIE | MSTATUS_MPP);
    s |= s & MSTATUS_MPIE ? MSTATUS_MIE : 0;
    s |= MSTATUS_MPIE;
    if (priv != PRIV_M) {
        s &= ~MSTATUS_MPRV;
    }
    cpu->mstatus = s;
    cpu->tcg.pc = cpu->mepc;
    riscv_set_priv(cpu, priv);
    return true;
}

bool riscv_sret(RISCVCPU *cpu)
{
    uint64_t s = cpu->mstatus;
    unsigned priv = s & MSTATUS_SPP ? PRIV_S : PRIV_U;

    if (cpu->priv < PRIV_S || (cpu->priv == PRIV_S && (s & MSTATUS_TSR))) {
        return false;
    }
    s &= ~(MSTATUS_SIE | MSTATUS_SPP | MSTATUS_MPRV);
    s |= s & MSTATUS_SPIE ? MSTATUS_SIE : 0;
    s |= MSTATUS_SPIE;
    cpu->mstatus = s;
    cpu->tcg.pc = cpu->sepc;
    riscv_set_priv(cpu, priv);
    return true;
}

const TcgCpuOps riscv_tcg_ops = {
    .guest = &riscv_guest,
    .tb_flags = riscv_tb_flags,
    .translate = riscv_translate,
    .tlb_fill = riscv_tlb_fill,
    .fetch_mmu_idx = riscv_fetch_mmu_idx,
    .exec_interrupt = riscv_exec_interrupt,
    .transaction_failed = riscv_transaction_failed,
    .misaligned = riscv_misaligned,
    .fp_check = riscv_fp_check,
};
