/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address translation: the page table walk (Sv39, Sv48, Sv57) and physical memory protection around it.
 *
 * A fill answers for all kinds of access that the leaf allows at the moment, so that a page read first and
 * written later costs a second walk only if its D bit was clear.
 */
#include "cpu.h"

#include "system/ram-gate.h"
#include "util/rcu.h"

#define PTE_V        BIT_ULL(0)
#define PTE_R        BIT_ULL(1)
#define PTE_W        BIT_ULL(2)
#define PTE_X        BIT_ULL(3)
#define PTE_U        BIT_ULL(4)
#define PTE_G        BIT_ULL(5)
#define PTE_A        BIT_ULL(6)
#define PTE_D        BIT_ULL(7)
#define PTE_RESERVED (UINT64_C(0x7f) << 54)
#define PTE_PBMT     (UINT64_C(3) << 61)
#define PTE_N        BIT_ULL(63)
#define PTE_PPN(pte) (((pte) >> 10) & SATP_PPN)
#define NAPOT_BITS   4 /* 64 KiB is the only size */

typedef enum WalkResult { WALK_OK, WALK_PAGE_FAULT, WALK_ACCESS_FAULT } WalkResult;

typedef struct Leaf {
    uint64_t pte;
    hwaddr pte_addr;
    hwaddr paddr; /* of the address walked */
    uint8_t bits; /* log2 of the bytes it maps */
    bool global;
} Leaf;

static unsigned levels_of(uint64_t satp)
{
    switch (SATP_MODE(satp)) {
    case SATP_SV39:
        return 3;
    case SATP_SV48:
        return 4;
    case SATP_SV57:
        return 5;
    default:
        return 0;
    }
}

bool riscv_satp_mode_valid(const RISCVCPU *cpu, unsigned mode)
{
    switch (mode) {
    case SATP_BARE:
    case SATP_SV39:
        return true;
    case SATP_SV48:
        return cpu->cfg.sv48;
    case SATP_SV57:
        return cpu->cfg.sv57 || riscv_has_hyper(cpu); /* the peer offers it, and its guests take it */
    default:
        return false;
    }
}

/* Both halves of the address space: the bits above the top level copy its highest bit. */
static bool is_canonical(vaddr va, unsigned levels)
{
    unsigned bits = 12 + 9 * levels;

    return (uint64_t)sextract64(va, 0, bits) == va;
}

/* --- page table entries in guest memory; RCU read side --- */
typedef struct PTEPlace {
    MemoryRegion *mr;
    hwaddr offset;
    uint64_t *host;
} PTEPlace;

static bool find_pte(RISCVCPU *cpu, hwaddr addr, PTEPlace *place)
{
    MemoryRegionSection section;

    if (!address_space_translate(cpu->cs.as, addr, &section, &place->offset)) {
        return false;
    }
    place->mr = section.mr;
    place->host = NULL;
    if (memory_region_is_direct(section.mr, true) && !section.readonly) {
        place->host = (uint64_t *)((char *)memory_region_get_ram_ptr(section.mr) + place->offset);
    }
    return true;
}

/* RAM that somebody must see to first; the vCPU is at a safe point while it waits. */
static bool pass_gate(RISCVCPU *cpu, const PTEPlace *place, bool is_write)
{
    RAMBlock *block = place->mr->ram_block;
    bool passed;

    if (!ram_gate_closed()) {
        return true;
    }
    cpu_leave_guest(&cpu->tcg);
    ram_gate_restartable = true;
    passed = is_write ? ram_gate_pass_write(block, place->offset, 8) : ram_gate_pass_read(block, place->offset, 8);
    ram_gate_restartable = false;
    cpu_enter_guest(&cpu->tcg);
    return passed;
}

static bool load_pte_slow(RISCVCPU *cpu, hwaddr addr, uint64_t *pte)
{
    RCU_READ_LOCK_GUARD();
    PTEPlace place;

    if (!find_pte(cpu, addr, &place)) {
        return false;
    }
    if (place.host) {
        if (!pass_gate(cpu, &place, false)) {
            return false;
        }
        *pte = atomic_read(place.host);
        return true;
    }
    return address_space_load(cpu->cs.as, addr, 8, pte) == MEMTX_OK;
}

/* Most walks end here, and need no RCU read section: what it orders would wait for the guest's last loads. */
static bool load_pte(RISCVCPU *cpu, hwaddr addr, uint64_t *pte)
{
    const uint64_t *host = tlb_ram_host(&cpu->tcg, addr);

    if (likely(host)) {
        *pte = atomic_read(host);
        return true;
    }
    return load_pte_slow(cpu, addr, pte);
}

/* WALK_OK with *again: somebody changed the entry meanwhile. */
static WalkResult set_pte_bits(RISCVCPU *cpu, hwaddr addr, uint64_t old, uint64_t bits, bool *again)
{
    RCU_READ_LOCK_GUARD();
    PTEPlace place;
    bool whole;

    if (!(riscv_pmp_check(cpu, addr, 8, PRIV_S, &whole) & PAGE_WRITE) || !find_pte(cpu, addr, &place) ||
        !place.host || !pass_gate(cpu, &place, true)) {
        return WALK_ACCESS_FAULT;
    }
    *again = atomic_cmpxchg(place.host, old, old | bits) != old;
    if (!*again) {
        physical_memory_invalidate_and_set_dirty(place.mr, place.offset, 8);
    }
    return WALK_OK;
}

/* --- the walk --- */
static bool reserved_bits_set(const RISCVCPU *cpu, uint64_t pte, bool is_leaf, unsigned level)
{
    uint64_t reserved = PTE_RESERVED, pbmt = pte & PTE_PBMT;

    if (!is_leaf) {
        return pte & (reserved | PTE_PBMT | PTE_N | PTE_U | PTE_A | PTE_D);
    }
    if (pbmt && (!(cpu->menvcfg & ENVCFG_PBMTE) || pbmt == PTE_PBMT)) {
        return true;
    }
    if ((pte & PTE_N) && (!riscv_has(cpu, EXT_svnapot) || level > 0 ||
                          (PTE_PPN(pte) & MAKE_64BIT_MASK(0, NAPOT_BITS)) != BIT(NAPOT_BITS - 1))) {
        return true;
    }
    return pte & reserved;
}

static WalkResult find_leaf(RISCVCPU *cpu, vaddr va, bool debug, Leaf *leaf)
{
    unsigned levels = levels_of(cpu->satp);
    hwaddr table = (cpu->satp & SATP_PPN) << 12;

    leaf->global = false;
    if (!is_canonical(va, levels)) {
        return WALK_PAGE_FAULT;
    }
    for (int level = levels - 1; level >= 0; level--) {
        unsigned shift = 12 + 9 * level;
        hwaddr addr = table + extract64(va, shift, 9) * 8;
        uint64_t pte;
        bool is_leaf, whole;

        if ((!debug && !(riscv_pmp_check(cpu, addr, 8, PRIV_S, &whole) & PAGE_READ)) ||
            !load_pte(cpu, addr, &pte)) {
            return WALK_ACCESS_FAULT;
        }
        is_leaf = pte & (PTE_R | PTE_X);
        if (!(pte & PTE_V) || (pte & (PTE_R | PTE_W)) == PTE_W ||
            reserved_bits_set(cpu, pte, is_leaf, level)) {
            return WALK_PAGE_FAULT;
        }
        leaf->global |= !!(pte & PTE_G);
        if (is_leaf) {
            unsigned bits = pte & PTE_N ? 12 + NAPOT_BITS : shift;
            hwaddr base = PTE_PPN(pte) << 12;

            if (!(pte & PTE_N) && (base & MAKE_64BIT_MASK(0, bits))) {
                return WALK_PAGE_FAULT; /* superpage off its alignment */
            }
            leaf->pte = pte;
            leaf->pte_addr = addr;
            leaf->bits = bits;
            leaf->paddr = (base & ~MAKE_64BIT_MASK(0, bits)) | (va & MAKE_64BIT_MASK(0, bits));
            return WALK_OK;
        }
        table = PTE_PPN(pte) << 12;
    }
    return WALK_PAGE_FAULT;
}

/* What a leaf allows in a mode, D bit aside. */
static unsigned leaf_prot(const RISCVCPU *cpu, uint64_t pte, unsigned mmu_idx)
{
    unsigned prot =
        (pte & PTE_R ? PAGE_READ : 0) | (pte & PTE_W ? PAGE_WRITE : 0) | (pte & PTE_X ? PAGE_EXEC : 0);

    if ((pte & PTE_X) && (cpu->mstatus & MSTATUS_MXR)) {
        prot |= PAGE_READ;
    }
    if (mmu_idx == MMU_IDX_U) {
        return pte & PTE_U ? prot : 0;
    }
    if (pte & PTE_U) {
        return mmu_idx == MMU_IDX_S_SUM ? prot & ~PAGE_EXEC : 0;
    }
    return prot;
}

static unsigned prot_needed(MMUAccessType access)
{
    return access == MMU_DATA_LOAD ? PAGE_READ : access == MMU_DATA_STORE ? PAGE_WRITE : PAGE_EXEC;
}

static WalkResult walk(RISCVCPU *cpu, vaddr va, MMUAccessType access, unsigned mmu_idx, Leaf *leaf,
                       unsigned *prot)
{
    for (;;) {
        WalkResult result = find_leaf(cpu, va, false, leaf);
        uint64_t want = PTE_A | (access == MMU_DATA_STORE ? PTE_D : 0);
        bool again = false;

        if (result != WALK_OK) {
            return result;
        }
        *prot = leaf_prot(cpu, leaf->pte, mmu_idx);
        if (!(*prot & prot_needed(access))) {
            return WALK_PAGE_FAULT;
        }
        if ((leaf->pte & want) != want) {
            if (!(cpu->menvcfg & ENVCFG_ADUE)) {
                return WALK_PAGE_FAULT;
            }
            result = set_pte_bits(cpu, leaf->pte_addr, leaf->pte, want, &again);
            if (result != WALK_OK) {
                return result;
            }
            leaf->pte |= want;
        }
        if (!again) {
            *prot &= leaf->pte & PTE_D ? ~0u : ~(unsigned)PAGE_WRITE;
            return WALK_OK;
        }
    }
}

/* --- fills --- */
static unsigned priv_of_mmu_idx(unsigned mmu_idx)
{
    return mmu_idx == MMU_IDX_M ? PRIV_M : mmu_idx == MMU_IDX_U ? PRIV_U : PRIV_S;
}

/* Narrows @fill by PMP: to the largest page that has one answer, else to the access itself. */
static WalkResult apply_pmp(RISCVCPU *cpu, hwaddr paddr, unsigned size, unsigned mmu_idx, unsigned need,
                            TlbFill *fill)
{
    static const uint8_t page_sizes[] = {30, 21, 16, 12};
    unsigned priv = priv_of_mmu_idx(mmu_idx), allowed;
    bool whole;

    for (unsigned n = 0; n < ARRAY_SIZE(page_sizes); n++) {
        hwaddr page = UINT64_C(1) << page_sizes[n];

        if (page_sizes[n] > fill->page_bits) {
            continue;
        }
        allowed = riscv_pmp_check(cpu, paddr & -page, page, priv, &whole);
        if (whole) {
            fill->page_bits = page_sizes[n];
            fill->prot &= allowed;
            return fill->prot & need ? WALK_OK : WALK_ACCESS_FAULT;
        }
    }
    fill->page_bits = 0;
    fill->prot &= riscv_pmp_check(cpu, paddr, size, priv, &whole);
    return fill->prot & need ? WALK_OK : WALK_ACCESS_FAULT;
}

static WalkResult fill_translated(RISCVCPU *cpu, vaddr addr, unsigned size, MMUAccessType access,
                                  unsigned mmu_idx, TlbFill *fill)
{
    unsigned need = prot_needed(access), prot = PAGE_READ | PAGE_WRITE | PAGE_EXEC;
    Leaf leaf = {.paddr = addr, .bits = 30, .global = mmu_idx == MMU_IDX_M};

    if (mmu_idx != MMU_IDX_M && SATP_MODE(cpu->satp) != SATP_BARE) {
        WalkResult result = walk(cpu, addr, access, mmu_idx, &leaf, &prot);

        if (result != WALK_OK) {
            return result;
        }
    } else if (addr >> 56) {
        return WALK_ACCESS_FAULT;
    }
    fill->paddr = leaf.paddr & TARGET_PAGE_MASK;
    fill->prot = prot;
    fill->page_bits = leaf.bits;
    fill->global = leaf.global;
    fill->asid = SATP_ASID(cpu->satp);
    return apply_pmp(cpu, leaf.paddr, size, mmu_idx, need, fill);
}

bool riscv_tlb_fill(TCGEnv *env, vaddr addr, unsigned size, MMUAccessType access, unsigned mmu_idx,
                    bool probe, TlbFill *fill)
{
    WalkResult result = fill_translated(env_riscv(env), addr, size, access, mmu_idx, fill);

    if (result != WALK_OK && !probe) {
        riscv_raise_access(env, addr, access, result == WALK_PAGE_FAULT);
    }
    return result == WALK_OK;
}

unsigned riscv_fetch_mmu_idx(TCGEnv *env)
{
    static const uint8_t idx[4] = {[PRIV_U] = MMU_IDX_U, [PRIV_S] = MMU_IDX_S, [PRIV_M] = MMU_IDX_M};

    return idx[env_riscv(env)->priv & 3];
}

/*
 * A change of mode acts at once, without a fence; so does, to be kind to simple guests, another table under
 * the same ASID.  Another ASID only means that other entries count.
 */
void riscv_satp_write(RISCVCPU *cpu, uint64_t value)
{
    uint64_t old = cpu->satp;

    if (value == old || !riscv_satp_mode_valid(cpu, SATP_MODE(value))) {
        return;
    }
    cpu->satp = value;
    if (SATP_MODE(value) != SATP_MODE(old) || SATP_ASID(value) == SATP_ASID(old)) {
        tlb_flush(&cpu->tcg);
    }
    tlb_switch_asid(&cpu->tcg, BIT(MMU_IDX_U) | BIT(MMU_IDX_S) | BIT(MMU_IDX_S_SUM), SATP_ASID(value));
}

/* --- for people --- */
bool riscv_translate_debug(CPUState *cs, vaddr va, hwaddr *pa)
{
    RISCVCPU *cpu = cpu_riscv(cs);
    Leaf leaf;
    bool found;

    if (riscv_data_mmu_idx(cpu) == MMU_IDX_M || SATP_MODE(cpu->satp) == SATP_BARE) {
        *pa = va;
        return true;
    }
    rcu_read_lock();
    found = find_leaf(cpu, va, true, &leaf) == WALK_OK;
    rcu_read_unlock();
    *pa = found ? leaf.paddr : 0;
    return found;
}

/* One run of pages with the same attributes, being collected. */
typedef struct Run {
    vaddr va;
    hwaddr pa;
    uint64_t size, attr;
    unsigned tables; /* seen so far: a table may point at itself */
} Run;

#define MAX_TABLES_PRINTED 65536

static void print_run(GString *out, const Run *run)
{
    static const char letters[] = "rwxugad";

    if (!run->size) {
        return;
    }
    g_string_append_printf(out, "%016" PRIx64 " %016" PRIx64 " %016" PRIx64 " ", run->va, run->pa, run->size);
    for (unsigned n = 0; n < 7; n++) {
        g_string_append_c(out, run->attr & (PTE_R << n) ? letters[n] : '-');
    }
    g_string_append_c(out, '\n');
}

static void add_to_run(GString *out, Run *run, vaddr va, hwaddr pa, uint64_t size, uint64_t attr)
{
    if (run->size && run->attr == attr && run->va + run->size == va && run->pa + run->size == pa) {
        run->size += size;
        return;
    }
    print_run(out, run);
    *run = (Run){va, pa, size, attr, run->tables};
}

static void print_table(RISCVCPU *cpu, GString *out, Run *run, hwaddr table, int level, vaddr base,
                        unsigned top_bits)
{
    for (unsigned n = 0; n < 512; n++) {
        unsigned shift = 12 + 9 * level;
        vaddr va = sextract64(base | (uint64_t)n << shift, 0, top_bits);
        uint64_t pte;

        if (!load_pte(cpu, table + n * 8, &pte) || !(pte & PTE_V)) {
            continue;
        }
        if (pte & (PTE_R | PTE_X)) {
            add_to_run(out, run, va, PTE_PPN(pte) << 12, UINT64_C(1) << shift, pte & 0xfe);
        } else if (level > 0 && run->tables++ < MAX_TABLES_PRINTED) {
            print_table(cpu, out, run, PTE_PPN(pte) << 12, level - 1, base | (uint64_t)n << shift, top_bits);
        }
    }
}

void riscv_print_tlb(CPUState *cs, GString *out)
{
    RISCVCPU *cpu = cpu_riscv(cs);
    unsigned levels = levels_of(cpu->satp);
    Run run = {0};

    if (levels == 0) {
        g_string_append(out, "No translation or protection\n");
        return;
    }
    g_string_append(out, "vaddr            paddr            size             attr\n"
                         "---------------- ---------------- ---------------- -------\n");
    rcu_read_lock();
    print_table(cpu, out, &run, (cpu->satp & SATP_PPN) << 12, levels - 1, 0, 12 + 9 * levels);
    rcu_read_unlock();
    print_run(out, &run);
}
