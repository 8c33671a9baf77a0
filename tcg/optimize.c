/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two linear passes over a block; the backward one has a file of its own.
 *
 * Forward: constants and copies travel to their uses, ops on constants fold, sign extensions of values that
 * are known to be extended become copies, shifts join the ops that use them.
 */
#include "tcg/tcg-internal.h"

#include <string.h>

#define N_REFS (TCG_MAX_VARS + TCG_MAX_TEMPS)

/* What the forward pass knows of the value that a ref holds now. */
typedef struct Fact {
    uint32_t version; /* counts writes of the ref */
    bool constant, sext32;
    IRRef copy; /* same value as this ref while that has copy_version; IR_ZERO: none known */
    uint32_t copy_version;
    uint64_t value;
    /* computed by shift (IR_SHL or IR_SHR, 0: no) of shift_source, while that has shift_version, by
     * shift_count */
    uint8_t shift, shift_type, shift_count;
    IRRef shift_source;
    uint32_t shift_version;
} Fact;

typedef struct Facts {
    Fact ref[N_REFS];
    /* vars that an op shifted left in place, and nobody has read or may have seen since */
    uint64_t shifted;
    uint16_t shifted_by[TCG_MAX_VARS]; /* that op's index */
    /* the ref that took the last address of this page, IR_ZERO: none; it holds it while it has address_version */
    IRRef address;
    uint32_t address_version;
    int64_t address_offset;
} Facts;

static void forget(Facts *f, unsigned r)
{
    Fact *fact = &f->ref[r];

    fact->version++;
    fact->constant = false;
    fact->sext32 = false;
    fact->copy = IR_ZERO;
    fact->shift = 0;
}

static void forget_vars(Facts *f)
{
    for (unsigned i = 1; i < TCG_MAX_VARS; i++) {
        forget(f, i);
    }
}

static bool known(const Facts *f, IRRef r, uint64_t *value)
{
    if (r == IR_ZERO) {
        *value = 0;
        return true;
    }
    if (ir_is_ref(r) && f->ref[r].constant) {
        *value = f->ref[r].value;
        return true;
    }
    return false;
}

static bool known_sext32(const Facts *f, IRRef r)
{
    return r == IR_ZERO || (ir_is_ref(r) && f->ref[r].sext32);
}

static bool fits_int32(uint64_t v)
{
    return v == (uint64_t)(int64_t)(int32_t)v;
}

/* An operand that is a copy of something older reads that instead; vars are preferred to temps. */
static IRRef resolve(const Facts *f, IRRef r)
{
    const Fact *fact;

    if (!ir_is_ref(r) || r == IR_ZERO) {
        return r;
    }
    fact = &f->ref[r];
    if (fact->constant && fact->value == 0) {
        return IR_ZERO;
    }
    if (fact->copy != IR_ZERO && f->ref[fact->copy].version == fact->copy_version) {
        return fact->copy;
    }
    return r;
}

static void become_movi(IROp *op, uint64_t value)
{
    op->opc = IR_MOVI;
    op->type = IR_I64;
    op->a = op->b = op->c = IR_NONE;
    op->imm = value;
}

static void become_mov(IROp *op, IRRef a)
{
    op->opc = IR_MOV;
    op->type = IR_I64;
    op->a = a;
    op->b = op->c = IR_NONE;
    op->imm = 0;
}

/* x op 0 and the like. */
static void simplify_identity(const Facts *f, IROp *op)
{
    uint64_t b = op->b == IR_IMM ? (uint64_t)op->imm : 0;

    if (ir_op_is(op->opc, IR_P_OWN_IMM) || (op->b != IR_IMM && op->b != IR_ZERO)) {
        return;
    }
    switch (op->opc) {
    case IR_ADD:
    case IR_SUB:
    case IR_OR:
    case IR_XOR:
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROTL:
    case IR_ROTR:
        if (b == 0 && (op->type == IR_I64 || known_sext32(f, op->a))) {
            become_mov(op, op->a);
        } else if (b == 0 && op->type == IR_I32) {
            become_mov(op, op->a);
            op->opc = IR_SEXT32;
        }
        break;
    case IR_AND:
        if (b == ~0ULL && op->type == IR_I64) {
            become_mov(op, op->a);
        } else if (b == 0xff) {
            become_mov(op, op->a);
            op->opc = IR_ZEXT8;
        }
        break;
    default:
        break;
    }
}

static void simplify_extension(const Facts *f, IROp *op)
{
    if ((op->opc == IR_SEXT32 && known_sext32(f, op->a)) ||
        (op->opc == IR_MOV && op->type == IR_I32 && known_sext32(f, op->a))) {
        become_mov(op, op->a);
    }
}

static bool result_is_sext32(const Facts *f, const IROp *op)
{
    switch (op->opc) {
    case IR_MOVI:
        return fits_int32(op->imm);
    case IR_MOV:
        return op->type == IR_I32 || known_sext32(f, op->a);
    case IR_AND:
        return op->type == IR_I32 || (op->b == IR_IMM && op->imm >= 0 && fits_int32(op->imm)) ||
               (known_sext32(f, op->a) && (op->b == IR_IMM ? fits_int32(op->imm) : known_sext32(f, op->b)));
    case IR_OR:
    case IR_XOR:
        return op->type == IR_I32 ||
               (known_sext32(f, op->a) && (op->b == IR_IMM ? fits_int32(op->imm) : known_sext32(f, op->b)));
    case IR_SHR:
        return op->type == IR_I32 || (op->b == IR_IMM && (op->imm & 63) >= 33);
    case IR_SAR:
        return op->type == IR_I32 || known_sext32(f, op->a) || (op->b == IR_IMM && (op->imm & 63) >= 32);
    case IR_LD:
        return (op->mem & IR_MEM_SIZE) < 2 ? !(op->mem & IR_MEM_FP_BOX)
                                           : (op->mem & IR_MEM_SIZE) == 2 && (op->mem & IR_MEM_SIGN);
    default:
        return ir_op_is(op->opc, IR_P_INT32) ||
               (ir_op_kind(op->opc) == IR_KIND_VALUE && op->type == IR_I32 && !ir_op_is(op->opc, IR_P_WIDE));
    }
}

static const Fact *shift_fact(const Facts *f, IRRef r)
{
    const Fact *fact = ir_is_ref(r) && r != IR_ZERO ? &f->ref[r] : NULL;

    return fact && fact->shift && f->ref[fact->shift_source].version == fact->shift_version ? fact : NULL;
}

/* (x << n) | (x >> width - n) is a rotation. */
static void simplify_rotation(const Facts *f, IROp *op)
{
    const Fact *a = shift_fact(f, op->a), *b = shift_fact(f, op->b);
    unsigned width;

    if (!a || !b || a->shift == b->shift || a->shift_type != b->shift_type ||
        a->shift_source != b->shift_source) {
        return;
    }
    width = a->shift_type == IR_I32 ? 32 : 64;
    /* Both halves of a 32-bit shift are sign-extended: so is what | gives. */
    if (a->shift_count + b->shift_count != width || (op->type == IR_I32 && width == 64)) {
        return;
    }
    op->opc = IR_ROTL;
    op->type = a->shift_type;
    op->imm = a->shift == IR_SHL ? a->shift_count : b->shift_count;
    op->a = a->shift_source;
    op->b = IR_IMM;
}

/* @op, x >> n, becomes what it makes of y when x is y << @left: the low bits, or nothing shorter. */
static bool become_extract(IROp *op, unsigned left)
{
    unsigned n = op->imm & 63;
    bool arithmetic = op->opc == IR_SAR;

    if (op->type != IR_I64 || op->b != IR_IMM) {
        return false;
    }
    if (left == 32 && n < 32 && n > 0 && !arithmetic) {
        op->opc = IR_SHLUW;
        op->imm = 32 - n;
    } else if (left == n && (n == 32 || n == 48 || n == 56)) {
        op->opc = n == 32   ? (arithmetic ? IR_SEXT32 : IR_ZEXT32)
                  : n == 48 ? (arithmetic ? IR_SEXT16 : IR_ZEXT16)
                            : (arithmetic ? IR_SEXT8 : IR_ZEXT8);
        op->imm = 0;
    } else {
        return false;
    }
    op->b = IR_NONE;
    return true;
}

/* x << n >> n and its like take the low bits. */
static void simplify_extract(const Facts *f, IROp *op)
{
    const Fact *a = shift_fact(f, op->a);

    if (a && a->shift == IR_SHL && a->shift_type == IR_I64 && become_extract(op, a->shift_count)) {
        op->a = a->shift_source;
    }
}

/* @op, an addition of @shifted, becomes (source << @left) + the other operand. */
static bool become_shift_add(IROp *op, IRRef shifted, IRRef source, unsigned left)
{
    IRRef other = op->a == shifted ? op->b : op->a;

    if (op->type != IR_I64 || op->b == IR_IMM || op->a == op->b || other == IR_ZERO || left < 1 || left > 3) {
        return false;
    }
    op->opc = IR_SHADD;
    op->a = source;
    op->b = other;
    op->imm = left;
    return true;
}

/* Array elements: (x << n) + y, when nobody wants x << n itself. */
static void simplify_index(const Facts *f, IROp *op)
{
    IRRef shifted = op->dst == op->b ? op->b : op->a;
    const Fact *a = shift_fact(f, shifted);

    if (a && op->dst == shifted && a->shift == IR_SHL && a->shift_type == IR_I64) {
        become_shift_add(op, shifted, a->shift_source, a->shift_count);
    }
}

/* The same two for x <<= n; x >>= n and x <<= n; x += y: the first op goes away. */
static void join_shift(Facts *f, IRBlock *b, IROp *op)
{
    IRRef r = op->dst;
    IROp *shift;
    bool joined = false;

    if (r >= TCG_MAX_VARS || !(f->shifted >> r & 1)) {
        return;
    }
    shift = &b->ops[f->shifted_by[r]];
    if ((op->opc == IR_SHR || op->opc == IR_SAR) && op->a == r) {
        joined = become_extract(op, shift->imm & 63);
    } else if (op->opc == IR_ADD && (op->a == r || op->b == r)) {
        joined = become_shift_add(op, r, r, shift->imm & 63);
    }
    if (joined) {
        become_mov(shift, r);
    }
}

static void note_shift(Facts *f, const IROp *op, unsigned index)
{
    IRRef in[3];
    unsigned n = f->shifted ? ir_op_inputs(op, in) : 0;

    if (ir_op_sees_vars(op)) {
        f->shifted = 0;
    }
    while (n--) {
        if (in[n] < TCG_MAX_VARS) {
            f->shifted &= ~(1ULL << in[n]);
        }
    }
    if (ir_op_has_dst(op) && op->dst < TCG_MAX_VARS) {
        f->shifted &= ~(1ULL << op->dst);
        if (op->opc == IR_SHL && op->type == IR_I64 && op->b == IR_IMM && op->a == op->dst) {
            f->shifted |= 1ULL << op->dst;
            f->shifted_by[op->dst] = index;
        }
    }
}

/* An address near the last one is counted from there, which saves a load; @opc does so. */
static void forward_page_address(const Facts *f, IROp *op, unsigned opc)
{
    int64_t distance = (int64_t)((uint64_t)op->imm - (uint64_t)f->address_offset);

    if (f->address == IR_ZERO || f->ref[f->address].version != f->address_version || !fits_int32(distance)) {
        return;
    }
    op->opc = opc;
    op->a = f->address;
    op->imm = distance;
    if (opc == IR_ADD) {
        op->b = IR_IMM;
    }
}

static void forward_value(const Facts *f, IROp *op)
{
    uint64_t a = 0, b = 0;
    bool const_a = known(f, op->a, &a), const_b;

    if (op->opc == IR_PCREL) {
        forward_page_address(f, op, IR_ADD);
    }
    if (op->opc == IR_LDENV || op->opc == IR_MOVI) {
        return;
    }
    if (op->b == IR_IMM) {
        b = op->imm;
        const_b = true;
    } else {
        const_b = known(f, op->b, &b) || !ir_op_is(op->opc, IR_P_TAKES_B);
    }
    if (const_a && const_b) {
        become_movi(op, ir_eval(op, a, b));
        return;
    }
    if (const_a && !const_b && ir_op_is(op->opc, IR_P_COMMUTES)) {
        IRRef t = op->a;

        op->a = op->b;
        op->b = t;
        b = a;
        const_b = true;
    }
    if (const_b && op->b != IR_IMM && op->b != IR_ZERO && fits_int32(b) && ir_op_is(op->opc, IR_P_TAKES_B) &&
        !ir_op_is(op->opc, IR_P_OWN_IMM)) {
        op->b = IR_IMM;
        op->imm = b;
    }
    simplify_identity(f, op);
    if (op->opc == IR_OR) {
        simplify_rotation(f, op);
    } else if (op->opc == IR_SHR || op->opc == IR_SAR) {
        simplify_extract(f, op);
    } else if (op->opc == IR_ADD) {
        simplify_index(f, op);
    }
    simplify_extension(f, op);
}

/* A constant base joins the displacement. */
static void forward_address(const Facts *f, IROp *op)
{
    uint64_t base;

    if ((op->opc == IR_LD || op->opc == IR_ST) && op->a != IR_ZERO && known(f, op->a, &base) &&
        fits_int32(base + op->imm)) {
        op->imm += base;
        op->a = IR_ZERO;
    }
}

/* The condition on b and a that says what @cond says of a and b. */
static unsigned swapped(unsigned cond)
{
    static const uint8_t other[] = {
        [IR_EQ] = IR_EQ,   [IR_NE] = IR_NE,   [IR_LT] = IR_GT, [IR_GE] = IR_LE,   [IR_LTU] = IR_GTU,
        [IR_GEU] = IR_LEU, [IR_LE] = IR_GE,   [IR_GT] = IR_LT, [IR_LEU] = IR_GEU, [IR_GTU] = IR_LTU};

    return other[cond];
}

static void forward_branch(const Facts *f, IROp *op)
{
    uint64_t a, b;
    bool const_a, const_b;

    if (op->opc != IR_BRCOND || op->c == IR_IMM) {
        return;
    }
    const_a = known(f, op->a, &a);
    const_b = known(f, op->b, &b);
    if (const_a && const_b && !ir_eval_cond(op->cond, op->type, a, b)) {
        /* never taken: nothing, which the backward pass drops */
        op->dst = IR_ZERO;
        become_movi(op, 0);
        return;
    }
    if (const_a && !const_b && fits_int32(a)) {
        op->a = op->b;
        op->cond = swapped(op->cond);
        b = a;
    } else if (!const_b || !fits_int32(b)) {
        return;
    }
    op->c = IR_IMM;
    op->aux = (int32_t)b;
    op->b = IR_NONE;
}

static void record(Facts *f, const IROp *op)
{
    bool sext32 = result_is_sext32(f, op);
    Fact *fact = &f->ref[op->dst];
    IRRef copy = IR_ZERO;
    uint32_t copy_version = 0;

    if (op->opc == IR_MOV && op->type != IR_I32 && op->a != IR_ZERO && op->a != op->dst) {
        copy = op->a;
        copy_version = f->ref[op->a].version;
    }
    if (op->opc == IR_MOV && op->a == op->dst && op->type != IR_I32) {
        return;
    }
    forget(f, op->dst);
    fact->sext32 = sext32;
    fact->copy = copy;
    fact->copy_version = copy_version;
    if (op->opc == IR_MOVI) {
        fact->constant = true;
        fact->value = op->imm;
    }
    if ((op->opc == IR_SHL || op->opc == IR_SHR) && op->b == IR_IMM && op->a != op->dst && op->a != IR_ZERO) {
        fact->shift = op->opc;
        fact->shift_type = op->type == IR_I32 ? IR_I32 : IR_I64;
        fact->shift_count = op->imm & (op->type == IR_I32 ? 31 : 63);
        fact->shift_source = op->a;
        fact->shift_version = f->ref[op->a].version;
    }
}

static void note_address(Facts *f, IRRef r, int64_t offset)
{
    f->address = r;
    f->address_version = f->ref[r].version;
    f->address_offset = offset;
}

static void forward(IRBlock *b)
{
    Facts f;

    memset(&f, 0, (TCG_MAX_VARS + b->n_temps) * sizeof(Fact));
    f.shifted = 0;
    f.address = IR_ZERO;
    for (unsigned i = 0; i < b->n_ops; i++) {
        IROp *op = &b->ops[i];
        bool address = op->opc == IR_PCREL;
        int64_t offset = op->imm;

        if (op->opc == IR_LABEL) {
            forget_vars(&f);
            f.shifted = 0;
            continue;
        }
        /* Inline floating point wants its operands in FP vars. */
        if (ir_op_kind(op->opc) != IR_KIND_FP) {
            op->a = resolve(&f, op->a);
            op->b = resolve(&f, op->b);
            op->c = resolve(&f, op->c);
        }
        if (ir_op_kind(op->opc) == IR_KIND_VALUE) {
            forward_value(&f, op);
            join_shift(&f, b, op);
        } else {
            forward_address(&f, op);
            forward_branch(&f, op);
            if (op->opc == IR_JMP_FAR) {
                forward_page_address(&f, op, IR_JMP_IND);
            }
        }
        note_shift(&f, op, i);
        if (op->opc == IR_CALL && (op->flags & IR_CALL_WRITES_VARS)) {
            forget_vars(&f);
        }
        if (ir_op_has_dst(op)) {
            record(&f, op);
            if (address) {
                note_address(&f, op->dst, offset);
            }
        }
    }
}

void tcg_optimize(IRBlock *b)
{
    if (tcg_state.config.no_optimize || b->n_ops > IR_MAX_OPS || b->n_temps > TCG_MAX_TEMPS) {
        return;
    }
    forward(b);
    tcg_optimize_backward(b);
}
