/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory: the soft TLB check inline, everything else out of line through thunks.
 *
 * A hit needs eight instructions and touches no register but the scratch ones.  An atomic hit works on host
 * memory that the write TLB vouches for.
 */
#include "tcg/x86_64/emit.h"

#define TLB_SLOT_MASK ((TLB_ENTRIES - 1) << 4)
_Static_assert(sizeof(TLBEntry) == 16, "slots are found by shifting the address by TCG_PAGE_BITS - 4");

/* The address in a register other than rcx and rdx. */
static int emit_sum(Emit *e, IRRef a, int64_t offset)
{
    RM base = rm_of(e, a);

    if (a == IR_ZERO) {
        asm_mov_imm(&e->a, RAX, offset);
        return RAX;
    }
    if (offset == 0) {
        return use_reg(e, a, RAX);
    }
    if (!fits_s32(offset)) {
        load_ref(e, RAX, a);
        asm_mov_imm(&e->a, RCX, offset);
        asm_alu(&e->a, ALU_ADD, 1, RAX, rm_reg(RCX));
    } else if (base.reg != NO_REG) {
        asm_lea(&e->a, 1, RAX, rm_mem(base.reg, (int32_t)offset));
    } else {
        load_ref(e, RAX, a);
        asm_alu_imm(&e->a, ALU_ADD, 1, rm_reg(RAX), (int32_t)offset);
    }
    return RAX;
}

static int emit_address(Emit *e, const IROp *op)
{
    return emit_sum(e, op->a, op->imm);
}

static int32_t tlb_table(unsigned mode, bool write)
{
    return (write ? ENV_DISP(tlb_write) : ENV_DISP(tlb_read)) + (int32_t)(mode * sizeof(TLBEntry) * TLB_ENTRIES);
}

void asm_tlb_index(Asm *a, int addr, unsigned mode, bool write, unsigned span)
{
    if (x86_host.features.bmi2) {
        asm_vex(a, A_0F3A | A_F2 | 0xf0, 0, RCX, NO_REG, rm_reg(addr), 1);
        asm_byte(a, TCG_PAGE_BITS - 4);
    } else {
        asm_mov_rr(a, 0, RCX, addr);
        asm_shift_imm(a, SH_SHR, 0, RCX, TCG_PAGE_BITS - 4);
    }
    asm_alu_imm(a, ALU_AND, 0, rm_reg(RCX), TLB_SLOT_MASK);
    asm_mov_rr(a, 1, RDX, addr);
    asm_alu(a, ALU_XOR, 1, RDX,
            rm_sib(RBP, RCX, 0, tlb_table(mode, write) + (int32_t)offsetof(TLBEntry, tag)));
    asm_alu_imm(a, ALU_CMP, 1, rm_reg(RDX), TCG_PAGE_SIZE - span);
}

void asm_tlb_addend(Asm *a, unsigned mode, bool write)
{
    asm_load(a, 1, RCX, rm_sib(RBP, RCX, 0, tlb_table(mode, write) + (int32_t)offsetof(TLBEntry, addend)));
}

/* Leaves the addend of the page of the @size bytes at @addr in rcx, or goes to @slow. */
static void emit_tlb_range(Emit *e, int addr, bool write, unsigned size, SlowPath *slow)
{
    asm_tlb_index(&e->a, addr, e->b->mmu_idx, write, size);
    slow_from(e, slow, CC_A);
    asm_tlb_addend(&e->a, e->b->mmu_idx, write);
}

static void emit_site_range(Emit *e, int addr, bool write, unsigned size, SlowPath *slow)
{
    if (site_has_slot(e)) {
        emit_slot_check(e, addr, write, size, slow);
    } else {
        emit_tlb_range(e, addr, write, size, slow);
    }
}

static void emit_alignment(Emit *e, int addr, unsigned mem, SlowPath *slow)
{
    unsigned size = 1u << (mem & IR_MEM_SIZE);

    if ((mem & IR_MEM_ALIGN) && size > 1) {
        asm_modrm(&e->a, A_BYTE | 0xf6, 0, 0, rm_reg(addr), 1);
        asm_byte(&e->a, size - 1);
        slow_from(e, slow, CC_NE);
    }
}

static void emit_tlb(Emit *e, int addr, bool write, unsigned mem, SlowPath *slow)
{
    emit_alignment(e, addr, mem, slow);
    emit_tlb_range(e, addr, write, 1u << (mem & IR_MEM_SIZE), slow);
}

static uint32_t mop_of(const Emit *e, const IROp *op, unsigned more)
{
    return op->mem | more | e->b->mmu_idx << 8;
}

static void store_insn_offset(Emit *e, const SlowPath *s)
{
    asm_store_imm32(&e->a, 0, ENV(insn_offset), s->insn_offset);
}

static void slow_back(Emit *e, const SlowPath *s)
{
    asm_byte(&e->a, 0xe9);
    asm_u32(&e->a, 0);
    asm_patch_to(&e->a, asm_offset(&e->a) - 4, s->back);
}

/* --- groups --- */

static RM slot_of(const MemGroup *g)
{
    return rm_mem(RBP, ENV_DISP(scratch) + 8 * g->slot);
}

static bool is_first_of_group(const Emit *e, const IROp *op)
{
    const MemGroup *g = group_of(e, op);

    return g && g->first == op - e->b->ops;
}

/* Where slow paths begin: the address in rax.  What a group's check did not vouch for looks for itself. */
static void slow_address(Emit *e, const SlowPath *s)
{
    if (is_first_of_group(e, s->op)) {
        asm_store_imm32(&e->a, 1, slot_of(group_of(e, s->op)), 0);
    }
    asm_mov_rr(&e->a, 1, RAX, group_of(e, s->op) ? emit_address(e, s->op) : s->reg);
}

/* The next access of the group expects the slot's value in rcx. */
static void back_to_group(Emit *e, const SlowPath *s)
{
    const MemGroup *g = group_of(e, s->op);

    if (g) {
        asm_load(&e->a, 1, RCX, slot_of(g));
    }
    slow_back(e, s);
}

/* Checks the access and says where it is in host memory; @s is where it goes otherwise. */
static RM emit_check(Emit *e, const IROp *op, const MemGroup *g, SlowPath *s)
{
    bool write = op->opc == IR_ST;
    int addr;

    if (!g) {
        addr = emit_address(e, op);
        s->reg = addr;
        emit_alignment(e, addr, op->mem, s);
        emit_site_range(e, addr, write, 1u << (op->mem & IR_MEM_SIZE), s);
        e->rcx_group = NULL;
        return rm_sib(RCX, addr, 0, 0);
    }
    if (is_first_of_group(e, op)) {
        addr = emit_sum(e, g->base, g->min);
        emit_site_range(e, addr, write, g->end - g->min, s);
        asm_alu(&e->a, ALU_ADD, 1, RCX, rm_reg(addr));
        asm_store(&e->a, 1, slot_of(g), RCX);
    } else {
        if (e->rcx_group != g) {
            asm_load(&e->a, 1, RCX, slot_of(g));
        }
        asm_rr(&e->a, 0x85, 1, RCX, RCX);
        slow_from(e, s, CC_E);
    }
    e->rcx_group = g;
    if (g->last == op - e->b->ops) {
        e->rcx_group = NULL;
    }
    return rm_mem(RCX, (int32_t)(op->imm - g->min));
}

/* --- loads --- */

void asm_raw_load(Asm *a, int reg, RM from, unsigned mem)
{
    static const unsigned opcodes[8] = {A_0F | A_BYTE | 0xb6, A_0F | 0xb7, 0x8b, 0x8b,
                                        A_0F | A_BYTE | 0xbe, A_0F | 0xbf, 0x63, 0x8b};
    unsigned kind = mem & (IR_MEM_SIZE | IR_MEM_SIGN);

    asm_modrm(a, opcodes[kind], kind >= 3, reg, from, 0);
}

static FpView load_view(const Emit *e, const IROp *op)
{
    if (!is_fp_var(e, op->dst)) {
        return VIEW_NONE;
    }
    if ((op->mem & IR_MEM_SIZE) == 3) {
        return VIEW_F64;
    }
    return (op->mem & IR_MEM_SIZE) == 2 && (op->mem & IR_MEM_FP_BOX) ? VIEW_F32 : VIEW_NONE;
}

static void slow_load(Emit *e, const SlowPath *s)
{
    FpView view = load_view(e, s->op);

    fp_sync_slow(e, &s->fp);
    slow_address(e, s);
    asm_mov_imm(&e->a, RDX, mop_of(e, s->op, 0) | (uint32_t)s->insn_offset << 16);
    call_thunk(e, group_of(e, s->op) ? alone_load_thunk(e, s->op) : x86_host.thunks.load);
    fp_cache_reload(e, &s->fp, view ? s->op->dst : 0);
    if (view) {
        /* movq; the main line writes it home */
        asm_rr(&e->a, A_66 | A_0F | 0x6e, 1, s->arg, RAX);
    } else {
        asm_mov_rr(&e->a, 1, s->arg, RAX);
    }
    back_to_group(e, s);
}

/* rax: a raw value of 1 << @size bytes; sets the bits above. */
static void box(Emit *e, unsigned size)
{
    if (size < 3) {
        asm_mov_imm(&e->a, RCX, ~0ULL << (8 << size));
        asm_alu(&e->a, ALU_OR, 1, RAX, rm_reg(RCX));
        e->rcx_group = NULL;
    }
}

/* The load itself, to general or xmm register @reg. */
static void load_value(Emit *e, const IROp *op, int reg, RM from)
{
    FpView view = load_view(e, op);

    if (view) {
        fp_load(e, reg, from, view);
        return;
    }
    asm_raw_load(&e->a, reg, from, op->mem);
    if (op->mem & IR_MEM_FP_BOX) {
        box(e, op->mem & IR_MEM_SIZE);
    }
}

static void emit_load(Emit *e, const IROp *op)
{
    const MemGroup *g = group_of(e, op);
    FpView view = load_view(e, op);
    SlowPath *s;
    RM from;
    int reg;

    if (view) {
        fp_make_room(e, op->dst);
    }
    s = new_slow(e, slow_load);
    from = emit_check(e, op, g, s);
    reg = view ? fp_define(e, op->dst, view) : op->mem & IR_MEM_FP_BOX ? RAX : dst_reg(e, op->dst);

    s->arg = reg;
    load_value(e, op, reg, from);
    s->back = asm_offset(&e->a);
    if (view) {
        fp_defined(e, reg, false);
    } else {
        put_ref(e, op->dst, reg);
    }
}

/* --- stores --- */

static void slow_store(Emit *e, const SlowPath *s)
{
    fp_sync_slow(e, &s->fp);
    slow_address(e, s);
    load_ref(e, RCX, s->op->b);
    asm_mov_imm(&e->a, RDX, mop_of(e, s->op, 0) | (uint32_t)s->insn_offset << 16);
    call_thunk(e, group_of(e, s->op) ? alone_store_thunk(e, s->op) : x86_host.thunks.store);
    fp_cache_reload(e, &s->fp, 0);
    back_to_group(e, s);
}

void asm_raw_store(Asm *a, RM to, int reg, unsigned mem)
{
    switch (mem & IR_MEM_SIZE) {
    case 0:
        asm_modrm(a, A_BYTE | 0x88, 0, reg, to, 0);
        break;
    case 1:
        asm_modrm(a, A_66 | 0x89, 0, reg, to, 0);
        break;
    default:
        asm_store(a, (mem & IR_MEM_SIZE) == 3, to, reg);
    }
}

static bool emit_store_fp(Emit *e, const IROp *op, RM to)
{
    unsigned size = op->mem & IR_MEM_SIZE;
    int xmm;

    if (!is_fp_var(e, op->b)) {
        return false;
    }
    if (size < 2) {
        fp_sync_var(e, op->b);
        return false;
    }
    xmm = fp_cached(e, op->b, VIEW_F64);
    if (xmm == NO_REG && size == 2) {
        xmm = fp_cached(e, op->b, VIEW_F32);
        /* An unboxed value shows as NaN in its register, but its low half is what is stored. */
        if (xmm != NO_REG && !(e->fp.checked >> xmm & 1)) {
            xmm = NO_REG;
        }
    }
    if (xmm == NO_REG) {
        fp_sync_var(e, op->b);
        return false;
    }
    fp_canonical(e, xmm);
    fp_store(e, to, xmm, size == 3 ? VIEW_F64 : VIEW_F32);
    return true;
}

static void store_value(Emit *e, const IROp *op, RM to)
{
    if (!emit_store_fp(e, op, to)) {
        asm_raw_store(&e->a, to, use_reg(e, op->b, RDX), op->mem);
    }
}

static void emit_store(Emit *e, const IROp *op)
{
    const MemGroup *g = group_of(e, op);
    SlowPath *s = new_slow(e, slow_store);

    store_value(e, op, emit_check(e, op, g, s));
    s->back = asm_offset(&e->a);
}

/* --- atomics --- */

static void slow_atomic(Emit *e, const SlowPath *s)
{
    const IROp *op = s->op;

    fp_sync_slow(e, &s->fp);
    slow_address(e, s);
    store_insn_offset(e, s);
    if (op->opc != IR_LR) {
        if (op->b == IR_IMM) {
            asm_mov_imm(&e->a, RCX, op->imm);
        } else {
            load_ref(e, RCX, op->b);
        }
    }
    asm_mov_imm(&e->a, RDX,
                mop_of(e, op, IR_MEM_ALIGN) | (op->opc == IR_LR || op->opc == IR_SC ? 0 : op->opc << 16));
    call_thunk(e, op->opc == IR_LR   ? x86_host.thunks.lr
                  : op->opc == IR_SC ? x86_host.thunks.sc
                                     : x86_host.thunks.amo);
    fp_cache_reload(e, &s->fp, 0);
    slow_back(e, s);
}

static unsigned lock_prefix(const Emit *e)
{
    return e->b->parallel ? A_LOCK : 0;
}

static void emit_swap(Emit *e, const IROp *op, int w)
{
    load_ref(e, RDX, op->b);
    if (e->b->parallel) {
        asm_modrm(&e->a, 0x87, w, RDX, rm_mem(RCX, 0), 0);
        asm_mov_rr(&e->a, 1, RAX, RDX);
    } else {
        asm_load(&e->a, w, RAX, rm_mem(RCX, 0));
        asm_store(&e->a, w, rm_mem(RCX, 0), RDX);
    }
}

static void emit_fetch_add(Emit *e, const IROp *op, int w)
{
    load_ref(e, RAX, op->b);
    asm_modrm(&e->a, lock_prefix(e) | A_0F | 0xc1, w, RAX, rm_mem(RCX, 0), 0);
}

/* rax: old; rdx: what to store instead. */
static void emit_amo_combine(Emit *e, const IROp *op, int w)
{
    static const uint8_t take_old[] = {[IR_AMO_MINS - IR_AMO_MINS] = CC_L,
                                       [IR_AMO_MAXS - IR_AMO_MINS] = CC_G,
                                       [IR_AMO_MINU - IR_AMO_MINS] = CC_B,
                                       [IR_AMO_MAXU - IR_AMO_MINS] = CC_A};

    load_ref(e, RDX, op->b);
    switch (op->opc) {
    case IR_AMO_AND:
        asm_alu(&e->a, ALU_AND, w, RDX, rm_reg(RAX));
        break;
    case IR_AMO_OR:
        asm_alu(&e->a, ALU_OR, w, RDX, rm_reg(RAX));
        break;
    case IR_AMO_XOR:
        asm_alu(&e->a, ALU_XOR, w, RDX, rm_reg(RAX));
        break;
    default:
        asm_alu(&e->a, ALU_CMP, w, RAX, rm_reg(RDX));
        asm_modrm(&e->a, A_0F | 0x40 | take_old[op->opc - IR_AMO_MINS], w, RDX, rm_reg(RAX), 0);
    }
}

static void emit_amo_loop(Emit *e, const IROp *op, int w)
{
    uint32_t again;

    asm_load(&e->a, w, RAX, rm_mem(RCX, 0));
    again = asm_offset(&e->a);
    emit_amo_combine(e, op, w);
    if (!e->b->parallel) {
        asm_store(&e->a, w, rm_mem(RCX, 0), RDX);
        return;
    }
    asm_modrm(&e->a, A_LOCK | A_0F | 0xb1, w, RDX, rm_mem(RCX, 0), 0);
    asm_byte(&e->a, 0x70 | CC_NE);
    asm_byte(&e->a, (uint8_t)(again - (asm_offset(&e->a) + 1)));
}

static void emit_amo(Emit *e, const IROp *op)
{
    SlowPath *s = new_slow(e, slow_atomic);
    int w = (op->mem & IR_MEM_SIZE) == 3, addr = use_reg(e, op->a, RAX);

    s->reg = addr;
    emit_tlb(e, addr, true, op->mem | IR_MEM_ALIGN, s);
    asm_alu(&e->a, ALU_ADD, 1, RCX, rm_reg(addr));
    if (op->opc == IR_AMO_SWAP) {
        emit_swap(e, op, w);
    } else if (op->opc == IR_AMO_ADD) {
        emit_fetch_add(e, op, w);
    } else {
        emit_amo_loop(e, op, w);
    }
    if (!w) {
        asm_movsxd(&e->a, RAX, rm_reg(RAX));
    }
    s->back = asm_offset(&e->a);
    put_ref(e, op->dst, RAX);
}

static void emit_load_reserved(Emit *e, const IROp *op)
{
    SlowPath *s = new_slow(e, slow_atomic);
    int w = (op->mem & IR_MEM_SIZE) == 3, addr = use_reg(e, op->a, RAX);

    s->reg = addr;
    emit_tlb(e, addr, false, op->mem | IR_MEM_ALIGN, s);
    asm_modrm(&e->a, w ? 0x8b : 0x63, 1, RDX, rm_sib(RCX, addr, 0, 0), 0);
    asm_store(&e->a, 1, ENV(lr_addr), addr);
    asm_store(&e->a, 1, ENV(lr_value), RDX);
    asm_mov_rr(&e->a, 1, RAX, RDX);
    s->back = asm_offset(&e->a);
    put_ref(e, op->dst, RAX);
}

static void emit_store_conditional(Emit *e, const IROp *op)
{
    SlowPath *s = new_slow(e, slow_atomic);
    int w = (op->mem & IR_MEM_SIZE) == 3, addr = use_reg(e, op->a, RAX);
    Asm *a = &e->a;

    /* No reservation of this address: C decides, for a misaligned address still faults. */
    s->reg = addr;
    asm_alu(a, ALU_CMP, 1, addr, ENV(lr_addr));
    slow_from(e, s, CC_NE);
    emit_tlb(e, addr, true, op->mem & ~IR_MEM_ALIGN, s);
    /* Equal to lr_addr, so aligned if LR was of the same size; a larger SC is checked. */
    if (w) {
        asm_modrm(a, A_BYTE | 0xf6, 0, 0, rm_reg(addr), 1);
        asm_byte(a, 7);
        slow_from(e, s, CC_NE);
    }
    asm_alu(a, ALU_ADD, 1, RCX, rm_reg(addr));
    load_ref(e, RDX, op->b);
    asm_load(a, 1, RAX, ENV(lr_value));
    asm_modrm(a, lock_prefix(e) | A_0F | 0xb1, w, RDX, rm_mem(RCX, 0), 0);
    asm_setcc(a, CC_NE, RAX);
    asm_modrm(a, A_0F | A_BYTE | 0xb6, 0, RAX, rm_reg(RAX), 0);
    asm_store_imm32(a, 1, ENV(lr_addr), -1);
    s->back = asm_offset(a);
    put_ref(e, op->dst, RAX);
}

static void emit_fence(Emit *e, const IROp *op)
{
    if (e->b->parallel && op->imm != 1) {
        /* lock or dword [rsp], 0: orders like mfence and costs less */
        asm_modrm(&e->a, A_LOCK | 0x83, 0, ALU_OR, rm_mem(RSP, 0), 1);
        asm_byte(&e->a, 0);
    }
}

void emit_mem(Emit *e, const IROp *op)
{
    switch (op->opc) {
    case IR_LD:
        emit_load(e, op);
        break;
    case IR_ST:
        emit_store(e, op);
        break;
    case IR_FENCE:
        emit_fence(e, op);
        break;
    case IR_LR:
        emit_load_reserved(e, op);
        break;
    case IR_SC:
        emit_store_conditional(e, op);
        break;
    default:
        emit_amo(e, op);
    }
    if (op->opc != IR_LD && op->opc != IR_ST) {
        e->rcx_group = NULL;
    }
}
