/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The RISC-V CPU: its state, and what the files of this folder offer each other.
 *
 * RISCVCPU starts with the TCGEnv that translated code addresses by offset; vars 1..31 are x1..x31 and 32..63
 * are f0..f31.  A `TCGEnv *` is therefore a `RISCVCPU *` (env_riscv()).  Everything belongs to the vCPU's
 * thread, except where a field says otherwise.
 */
#ifndef TARGET_RISCV_CPU_H
#define TARGET_RISCV_CPU_H

#include "hyper.h"

#include "accel/tcg.h"
#include "system/clock.h"
#include "system/cpu.h"
#include "system/guest-time.h"
#include "tcg/env.h"
#include "util/atomic.h"
#include "util/bits.h"
#include "util/lock.h"

/*
 * Extensions: X(ident, name, rv64, max).  RV_QUIET: works but is not told to the guest, so that a guest that
 * started here can move to an emulator whose rv64 lacks it.
 */
enum { RV_NO, RV_YES, RV_QUIET };
#define RISCV_EXTENSIONS(X)                                                                                  \
    X(m, "m", RV_YES, RV_YES)                                                                                \
    X(a, "a", RV_YES, RV_YES)                                                                                \
    X(f, "f", RV_YES, RV_YES)                                                                                \
    X(d, "d", RV_YES, RV_YES)                                                                                \
    X(c, "c", RV_YES, RV_YES)                                                                                \
    X(b, "b", RV_NO, RV_YES) /* a name for zba, zbb and zbs together; the peer's rv64 does not tell it */    \
    X(zicbom, "zicbom", RV_YES, RV_YES)                                                                      \
    X(zicbop, "zicbop", RV_YES, RV_YES)                                                                      \
    X(zicboz, "zicboz", RV_YES, RV_YES)                                                                      \
    X(zicond, "zicond", RV_QUIET, RV_YES)                                                                    \
    X(zihintntl, "zihintntl", RV_YES, RV_YES)                                                                \
    X(zihintpause, "zihintpause", RV_YES, RV_YES)                                                            \
    X(zimop, "zimop", RV_NO, RV_YES)                                                                         \
    X(zawrs, "zawrs", RV_YES, RV_YES)                                                                        \
    X(zfa, "zfa", RV_YES, RV_YES)                                                                            \
    X(zfh, "zfh", RV_NO, RV_YES)                                                                             \
    X(zfhmin, "zfhmin", RV_QUIET, RV_YES)                                                                    \
    X(zcb, "zcb", RV_NO, RV_YES)                                                                             \
    X(zcmop, "zcmop", RV_NO, RV_YES)                                                                         \
    X(zba, "zba", RV_YES, RV_YES)                                                                            \
    X(zbb, "zbb", RV_YES, RV_YES)                                                                            \
    X(zbc, "zbc", RV_YES, RV_YES)                                                                            \
    X(zbs, "zbs", RV_YES, RV_YES)                                                                            \
    X(v, "v", RV_NO, RV_YES)                                                                                 \
    X(zve32x, "zve32x", RV_NO, RV_YES)                                                                       \
    X(zve32f, "zve32f", RV_NO, RV_YES)                                                                       \
    X(zve64x, "zve64x", RV_NO, RV_YES)                                                                       \
    X(zve64f, "zve64f", RV_NO, RV_YES)                                                                       \
    X(zve64d, "zve64d", RV_NO, RV_YES)                                                                       \
    X(zvfh, "zvfh", RV_NO, RV_YES)                                                                           \
    X(zvfhmin, "zvfhmin", RV_NO, RV_YES)                                                                     \
    X(smepmp, "smepmp", RV_NO, RV_YES)                                                                       \
    X(smstateen, "smstateen", RV_NO, RV_YES)                                                                 \
    X(sstc, "sstc", RV_YES, RV_YES)                                                                          \
    X(svade, "svade", RV_NO, RV_YES)                                                                         \
    X(svadu, "svadu", RV_YES, RV_YES)                                                                        \
    X(svinval, "svinval", RV_QUIET, RV_YES)                                                                  \
    X(svnapot, "svnapot", RV_QUIET, RV_YES)                                                                  \
    X(svpbmt, "svpbmt", RV_QUIET, RV_YES)                                                                    \
    X(svvptc, "svvptc", RV_YES, RV_YES) /* no walk that failed is remembered */

typedef enum RISCVExt {
    EXT_none,
#define EXT_ENUM(ident, name, rv64, max) EXT_##ident,
    RISCV_EXTENSIONS(EXT_ENUM)
#undef EXT_ENUM
        EXT_COUNT
} RISCVExt;

typedef struct RISCVConfig {
    bool ext[EXT_COUNT]; /* properties: what the guest is told */
    bool has[EXT_COUNT]; /* what works; [EXT_none] is true */
    bool mmu, sv48, sv57, pmp;
    uint16_t vlen, elen; /* bits of a vector register, and of its largest element */
    uint16_t vlenb;      /* vlen in bytes */
    int vext_spec;       /* there is only one */
} RISCVConfig;

#define RISCV_CACHE_BLOCK 64
#define RISCV_PMP_ENTRIES 16

enum { PRIV_U = 0, PRIV_S = 1, PRIV_M = 3 };
/* How data accesses are translated. */
enum { MMU_IDX_U, MMU_IDX_S, MMU_IDX_S_SUM, MMU_IDX_M };

/* --- bits --- */
enum {
    CAUSE_FETCH_ACCESS = 1,
    CAUSE_ILLEGAL = 2,
    CAUSE_BREAKPOINT = 3,
    CAUSE_LOAD_MISALIGNED = 4,
    CAUSE_LOAD_ACCESS = 5,
    CAUSE_STORE_MISALIGNED = 6,
    CAUSE_STORE_ACCESS = 7,
    CAUSE_ECALL_U = 8,
    CAUSE_FETCH_PAGE = 12,
    CAUSE_LOAD_PAGE = 13,
    CAUSE_STORE_PAGE = 15,
};
#define CAUSE_INTERRUPT BIT_ULL(63)
#define MISA_B          BIT_ULL(1)
#define MISA_G          BIT_ULL(6) /* stands for several letters */
#define MISA_H          BIT_ULL(7)

enum { IRQ_SSI = 1, IRQ_MSI = 3, IRQ_STI = 5, IRQ_MTI = 7, IRQ_SEI = 9, IRQ_MEI = 11 };
#define MIP_SSIP BIT_ULL(IRQ_SSI)
#define MIP_MSIP BIT_ULL(IRQ_MSI)
#define MIP_STIP BIT_ULL(IRQ_STI)
#define MIP_MTIP BIT_ULL(IRQ_MTI)
#define MIP_SEIP BIT_ULL(IRQ_SEI)
#define MIP_MEIP BIT_ULL(IRQ_MEI)
#define MIP_S    (MIP_SSIP | MIP_STIP | MIP_SEIP)
#define MIP_ALL  (MIP_S | MIP_MSIP | MIP_MTIP | MIP_MEIP)

#define MSTATUS_SIE  BIT_ULL(1)
#define MSTATUS_MIE  BIT_ULL(3)
#define MSTATUS_SPIE BIT_ULL(5)
#define MSTATUS_MPIE BIT_ULL(7)
#define MSTATUS_SPP  BIT_ULL(8)
#define MSTATUS_VS   (UINT64_C(3) << 9)
#define MSTATUS_MPP  (UINT64_C(3) << 11)
#define MSTATUS_FS   (UINT64_C(3) << 13)
#define MSTATUS_MPRV BIT_ULL(17)
#define MSTATUS_SUM  BIT_ULL(18)
#define MSTATUS_MXR  BIT_ULL(19)
#define MSTATUS_TVM  BIT_ULL(20)
#define MSTATUS_TW   BIT_ULL(21)
#define MSTATUS_TSR  BIT_ULL(22)
#define MSTATUS_UXL  (UINT64_C(3) << 32)
#define MSTATUS_SXL  (UINT64_C(3) << 34)
#define MSTATUS_SD   BIT_ULL(63)
#define MSTATUS_XL64 ((UINT64_C(2) << 32) | (UINT64_C(2) << 34))
/* What S-mode sees of it; VS is always off without vectors: riscv_mstatus_mask(). */
#define SSTATUS_WRITE                                                                                        \
    (MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_VS | MSTATUS_FS | MSTATUS_SUM | MSTATUS_MXR)
#define SSTATUS_READ  (SSTATUS_WRITE | MSTATUS_UXL | MSTATUS_SD)
#define MSTATUS_WRITE                                                                                        \
    (SSTATUS_WRITE | MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP | MSTATUS_MPRV | MSTATUS_TVM | MSTATUS_TW |    \
     MSTATUS_TSR)

#define ENVCFG_FIOM  BIT_ULL(0)
#define ENVCFG_CBIE  (UINT64_C(3) << 4)
#define ENVCFG_CBCFE BIT_ULL(6)
#define ENVCFG_CBZE  BIT_ULL(7)
#define ENVCFG_ADUE  BIT_ULL(61)
#define ENVCFG_PBMTE BIT_ULL(62)
#define ENVCFG_STCE  BIT_ULL(63)

#define MSECCFG_MML  BIT_ULL(0)
#define MSECCFG_MMWP BIT_ULL(1)
#define MSECCFG_RLB  BIT_ULL(2)

#define STATEEN_ENVCFG BIT_ULL(62)
#define STATEEN_SE0    BIT_ULL(63)

#define SATP_MODE(satp) ((satp) >> 60)
#define SATP_ASID(satp) ((uint16_t)((satp) >> 44))
#define SATP_PPN        ((UINT64_C(1) << 44) - 1)
enum { SATP_BARE = 0, SATP_SV39 = 8, SATP_SV48 = 9, SATP_SV57 = 10 };

#define PMP_R 1
#define PMP_W 2
#define PMP_X 4
#define PMP_A 0x18
#define PMP_L 0x80
enum { PMP_OFF = 0, PMP_TOR = 8, PMP_NA4 = 16, PMP_NAPOT = 24 };

typedef struct PMPRange {
    uint64_t first, last; /* physical addresses, inclusive */
    uint8_t cfg;
} PMPRange;

/* A stretch of physical addresses for which PMP has one answer. */
typedef struct PMPAnswer {
    uint64_t first, last; /* first > last: none */
    unsigned prot;
} PMPAnswer;

/* A counter that runs by the host's clock: nanoseconds of virtual time plus @base, or just @base while
 * inhibited. */
typedef struct RISCVCounter {
    uint64_t base;
} RISCVCounter;

/* The vector unit.  Registers follow each other, cfg.vlenb bytes each. */
#define RISCV_VLEN_MAX 1024
typedef struct RISCVVector {
    uint64_t reg[32 * RISCV_VLEN_MAX / 64];
    uint64_t vl, vstart, vtype; /* vtype and vl are legal together; without vill, which is next */
    uint64_t vxrm, vxsat;
    bool vill;
} RISCVVector;

/* Records of control transfers, which the peer's "max" has. */
typedef struct RISCVTransferRecords {
    uint64_t mctrctl, vsctrctl, src[256], dst[256], data[256];
    uint32_t sctrdepth, sctrstatus;
} RISCVTransferRecords;

/* What only exists because the stream carries it (the peer's debug triggers, hypervisor state, ...). */
typedef struct RISCVWireState {
    uint64_t trigger_cur, tdata1[2], tdata2[2], tdata3[2];
    RISCVHyper hyper;
    bool has_elp, has_ssp, has_ctr; /* the stream had them */
    uint64_t ssp;
    RISCVTransferRecords ctr;
} RISCVWireState;

typedef struct RISCVCPU {
    TCGEnv tcg; /* first: translated code addresses it */

    uint64_t priv;
    uint64_t mstatus; /* SD, UXL and SXL always up to date */
    uint64_t mie, mideleg, medeleg;
    uint64_t mtvec, mepc, mcause, mtval, mscratch;
    uint64_t stvec, sepc, scause, stval, sscratch;
    uint64_t satp;
    uint64_t menvcfg, senvcfg, mseccfg;
    uint64_t mstateen[4], sstateen[4];
    uint64_t misa, mhartid;
    uint32_t mcounteren, scounteren, mcountinhibit;
    RISCVCounter cycle, instret;
    uint8_t pmpcfg[RISCV_PMP_ENTRIES];
    uint64_t pmpaddr[RISCV_PMP_ENTRIES];
    PMPRange pmp_ranges[RISCV_PMP_ENTRIES]; /* of the entries that are on, in order; from the two above */
    unsigned n_pmp_ranges;
    unsigned spin_hints; /* counts pause and wrs instructions */
    PMPAnswer pmp_last[4]; /* of riscv_pmp_check(), by privilege */
    RISCVWireState wire;

    /* any thread, atomics: mip is their union */
    uint64_t mip_lines; /* levels of the input lines, and STIP while stimecmp is due */
    uint64_t mip_soft;  /* bits that software sets: SSIP, STIP, SEIP */

    Lock timer_lock;   /* stimecmp against its timer's callback */
    uint64_t stimecmp; /* written by the vCPU thread under timer_lock */
    Timer stimer;
    GuestTimeNotifier time_notifier; /* big lock */

    RISCVConfig cfg; /* constant after realize */
    uint64_t resetvec;
    CPUState cs;
    RISCVVector vector;
} RISCVCPU;

static inline RISCVCPU *env_riscv(TCGEnv *env)
{
    return container_of(env, RISCVCPU, tcg);
}
static inline RISCVCPU *cpu_riscv(CPUState *cs)
{
    return container_of(cs, RISCVCPU, cs);
}
static inline uint64_t riscv_mip(RISCVCPU *cpu)
{
    return atomic_read(&cpu->mip_lines) | atomic_read(&cpu->mip_soft);
}
static inline bool riscv_has(const RISCVCPU *cpu, RISCVExt ext)
{
    return cpu->cfg.has[ext];
}

/* The bits of mstatus that are there to be written. */
static inline uint64_t riscv_mstatus_mask(const RISCVCPU *cpu)
{
    return riscv_has(cpu, EXT_zve32x) ? MSTATUS_WRITE : MSTATUS_WRITE & ~MSTATUS_VS;
}

/* --- cpu.c --- */
extern const CpuOps riscv_cpu_ops;
void riscv_cpu_set_models_defaults(CPUState *cs, bool max);

/* --- trap.c --- */
extern const TcgCpuOps riscv_tcg_ops;
/* Trap entry: changes state and env->pc; does not leave translated code. */
void riscv_trap(RISCVCPU *cpu, uint64_t cause, uint64_t tval, uint64_t epc);
/* From a helper: traps at the present instruction and leaves translated code. */
void riscv_raise(TCGEnv *env, uint64_t cause, uint64_t tval) G_GNUC_NORETURN;
void riscv_raise_illegal(TCGEnv *env) G_GNUC_NORETURN;
void riscv_raise_access(TCGEnv *env, vaddr addr, MMUAccessType access, bool page_fault) G_GNUC_NORETURN;
/* The interrupt to take now, or -1. */
int riscv_pending_interrupt(RISCVCPU *cpu);
bool riscv_exec_interrupt(TCGEnv *env);
void riscv_set_priv(RISCVCPU *cpu, unsigned priv);
uint32_t riscv_tb_flags(TCGEnv *env);
unsigned riscv_data_mmu_idx(RISCVCPU *cpu);
/* Stores mstatus with what depends on it (SD, fp_ok); the caller has made the value legal. */
void riscv_put_mstatus(RISCVCPU *cpu, uint64_t value);
void riscv_update_fp_ok(RISCVCPU *cpu);
bool riscv_mret(RISCVCPU *cpu); /* false: illegal here */
bool riscv_sret(RISCVCPU *cpu);

/* --- timer.c --- */
void riscv_timer_init(RISCVCPU *cpu);
void riscv_timer_destroy(RISCVCPU *cpu);
void riscv_stimecmp_write(RISCVCPU *cpu, uint64_t value);
void riscv_stimecmp_update(RISCVCPU *cpu); /* after STCE, time or state changed */
uint64_t riscv_counter_read(RISCVCPU *cpu, const RISCVCounter *counter, unsigned bit);
void riscv_counter_write(RISCVCPU *cpu, RISCVCounter *counter, unsigned bit, uint64_t value);
void riscv_mcountinhibit_write(RISCVCPU *cpu, uint32_t value);

/* --- pmp.c --- */
void riscv_pmp_update(RISCVCPU *cpu); /* recomputes pmp_ranges */
/*
 * What PMP allows at [addr, addr + size) in @priv: PAGE_*.  *whole: one answer holds for all of the range;
 * else the result is what an access of just this range may do (nothing).
 */
unsigned riscv_pmp_check(RISCVCPU *cpu, hwaddr addr, uint64_t size, unsigned priv, bool *whole);
void riscv_pmpcfg_write(RISCVCPU *cpu, unsigned reg, uint64_t value);
uint64_t riscv_pmpcfg_read(const RISCVCPU *cpu, unsigned reg);
void riscv_pmpaddr_write(RISCVCPU *cpu, unsigned n, uint64_t value);

/* --- mmu.c --- */
bool riscv_tlb_fill(TCGEnv *env, vaddr addr, unsigned size, MMUAccessType access, unsigned mmu_idx,
                    bool probe, TlbFill *fill);
unsigned riscv_fetch_mmu_idx(TCGEnv *env);
bool riscv_translate_debug(CPUState *cs, vaddr va, hwaddr *pa);
void riscv_print_tlb(CPUState *cs, GString *out);
bool riscv_satp_mode_valid(const RISCVCPU *cpu, unsigned mode);
void riscv_satp_write(RISCVCPU *cpu, uint64_t value);

/* --- csr.c --- */
typedef enum CSROp { CSR_OP_READ, CSR_OP_WRITE, CSR_OP_SET, CSR_OP_CLEAR } CSROp;
/* One CSR instruction; false: illegal.  *old is read even if @op only writes. */
bool riscv_csr_access(RISCVCPU *cpu, unsigned csr, CSROp op, uint64_t operand, uint64_t *old);
/* After a write the block must end: translation or mode follow from the register. */
bool riscv_csr_ends_block(unsigned csr);
/* A write may change fp_ok. */
bool riscv_csr_changes_fp(unsigned csr);
bool riscv_get_csr(CPUState *cs, unsigned csr, uint64_t *value);
bool riscv_set_csr(CPUState *cs, unsigned csr, uint64_t value);
uint64_t riscv_misa(const RISCVCPU *cpu); /* after a reset */
/* The machine came from the peer, whose hart has the hypervisor extension: hyper.h. */
static inline bool riscv_has_hyper(const RISCVCPU *cpu)
{
    return cpu->misa & MISA_H;
}
uint64_t riscv_menvcfg_mask(const RISCVCPU *cpu);

/* --- vector/config.c --- */
unsigned riscv_vlmax(const RISCVCPU *cpu, uint64_t vtype);
bool riscv_vtype_legal(const RISCVCPU *cpu, uint64_t vtype);

/* --- state.c --- */
void riscv_state_register(RISCVCPU *cpu);
void riscv_state_unregister(RISCVCPU *cpu);

/* --- translate.c, disas.c, cpu-fdt.c --- */
extern const TCGGuest riscv_guest;
void riscv_translate(TranslateContext *tc);
void riscv_disassemble(CPUState *cs, vaddr pc, const uint8_t *code, size_t size, GString *out);
void riscv_fdt_properties(CPUState *cs, void (*set)(const char *name, const char *value, void *opaque),
                          void *opaque);

#endif
