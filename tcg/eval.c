/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each VALUE op means, in C: the interpreter runs on it and the optimiser folds with it. */
#include "tcg/tcg-internal.h"
#include "util/bits.h"

static uint64_t clmul(uint64_t a, uint64_t b, uint64_t *high)
{
    uint64_t lo = 0, hi = 0;

    for (unsigned i = 0; i < 64; i++) {
        if (b >> i & 1) {
            lo ^= a << i;
            hi ^= i ? a >> (64 - i) : 0;
        }
    }
    *high = hi;
    return lo;
}

static uint64_t orc_b(uint64_t a)
{
    uint64_t r = 0;

    for (unsigned i = 0; i < 64; i += 8) {
        if (a >> i & 0xff) {
            r |= 0xffULL << i;
        }
    }
    return r;
}

bool ir_eval_cond(unsigned cond, unsigned type, uint64_t a, uint64_t b)
{
    if (type == IR_I32) {
        a = (uint64_t)(int64_t)(int32_t)a;
        b = (uint64_t)(int64_t)(int32_t)b;
    }
    switch (cond) {
    case IR_EQ:
        return a == b;
    case IR_NE:
        return a != b;
    case IR_LT:
        return (int64_t)a < (int64_t)b;
    case IR_GE:
        return (int64_t)a >= (int64_t)b;
    case IR_LTU:
        return a < b;
    case IR_GEU:
        return a >= b;
    case IR_LE:
        return (int64_t)a <= (int64_t)b;
    case IR_GT:
        return (int64_t)a > (int64_t)b;
    case IR_LEU:
        return a <= b;
    default:
        return a > b;
    }
}

static uint64_t divide(unsigned opc, uint64_t a, uint64_t b)
{
    switch (opc) {
    case IR_DIVU:
        return b ? a / b : ~0ULL;
    case IR_REMU:
        return b ? a % b : a;
    case IR_DIVS:
        return b == 0 ? ~0ULL : b == ~0ULL ? -a : (uint64_t)((int64_t)a / (int64_t)b);
    default:
        return b == 0 ? a : b == ~0ULL ? 0 : (uint64_t)((int64_t)a % (int64_t)b);
    }
}

static uint64_t eval32(const IROp *op, uint32_t a, uint32_t b)
{
    uint64_t sa = (uint64_t)(int64_t)(int32_t)a, sb = (uint64_t)(int64_t)(int32_t)b;
    uint32_t r;

    switch (op->opc) {
    case IR_SHL:
        r = a << (b & 31);
        break;
    case IR_SHR:
        r = a >> (b & 31);
        break;
    case IR_SAR:
        r = (uint32_t)((int32_t)a >> (b & 31));
        break;
    case IR_ROTL:
        r = rol32(a, b);
        break;
    case IR_ROTR:
        r = ror32(a, b);
        break;
    case IR_CLZ:
        r = clz32(a);
        break;
    case IR_CTZ:
        r = ctz32(a);
        break;
    case IR_POPCNT:
        r = popcount32(a);
        break;
    case IR_BSWAP:
        r = __builtin_bswap32(a);
        break;
    case IR_MULHS:
        r = (sa * sb) >> 32;
        break;
    case IR_MULHU:
        r = ((uint64_t)a * b) >> 32;
        break;
    case IR_MULHSU:
        r = (sa * b) >> 32;
        break;
    case IR_DIVU:
    case IR_REMU:
        r = divide(op->opc, a, b);
        break;
    case IR_BSET:
        r = a | 1u << (b & 31);
        break;
    case IR_BCLR:
        r = a & ~(1u << (b & 31));
        break;
    case IR_BINV:
        r = a ^ 1u << (b & 31);
        break;
    case IR_BEXT:
        r = a >> (b & 31) & 1;
        break;
    default: {
        IROp wide = *op;

        wide.type = IR_I64;
        r = ir_eval(&wide, sa, sb);
    }
    }
    return (uint64_t)(int64_t)(int32_t)r;
}

uint64_t ir_eval(const IROp *op, uint64_t a, uint64_t b)
{
    uint64_t high;

    if (op->opc == IR_SHADD) {
        return ((op->type == IR_I32 ? (uint32_t)a : a) << (op->imm & 63)) + b;
    }
    if (op->opc == IR_SETCOND) {
        return ir_eval_cond(op->cond, op->type, a, b);
    }
    if (op->type == IR_I32) {
        return eval32(op, a, b);
    }
    switch (op->opc) {
    case IR_MOV:
        return a;
    case IR_MOVI:
        return op->imm;
    case IR_ADD:
        return a + b;
    case IR_SUB:
        return a - b;
    case IR_AND:
        return a & b;
    case IR_OR:
        return a | b;
    case IR_XOR:
        return a ^ b;
    case IR_ANDN:
        return a & ~b;
    case IR_ORN:
        return a | ~b;
    case IR_XNOR:
        return ~(a ^ b);
    case IR_SHL:
        return a << (b & 63);
    case IR_SHR:
        return a >> (b & 63);
    case IR_SAR:
        return (uint64_t)((int64_t)a >> (b & 63));
    case IR_ROTL:
        return rol64(a, b & 63);
    case IR_ROTR:
        return ror64(a, b & 63);
    case IR_MUL:
        return a * b;
    case IR_MULHS:
        return (uint64_t)(((__int128)(int64_t)a * (int64_t)b) >> 64);
    case IR_MULHU:
        return (uint64_t)(((unsigned __int128)a * b) >> 64);
    case IR_MULHSU:
        return (uint64_t)(((__int128)(int64_t)a * (__int128)b) >> 64);
    case IR_DIVS:
    case IR_DIVU:
    case IR_REMS:
    case IR_REMU:
        return divide(op->opc, a, b);
    case IR_MINS:
        return (int64_t)a < (int64_t)b ? a : b;
    case IR_MAXS:
        return (int64_t)a > (int64_t)b ? a : b;
    case IR_MINU:
        return a < b ? a : b;
    case IR_MAXU:
        return a > b ? a : b;
    case IR_ADDUW:
        return (uint32_t)a + b;
    case IR_SHLUW:
        return (uint64_t)(uint32_t)a << (op->imm & 63);
    case IR_BSET:
        return a | 1ULL << (b & 63);
    case IR_BCLR:
        return a & ~(1ULL << (b & 63));
    case IR_BINV:
        return a ^ 1ULL << (b & 63);
    case IR_BEXT:
        return a >> (b & 63) & 1;
    case IR_CZERO_EQZ:
        return a ? b : 0;
    case IR_CZERO_NEZ:
        return a ? 0 : b;
    case IR_CLZ:
        return clz64(a);
    case IR_CTZ:
        return ctz64(a);
    case IR_POPCNT:
        return popcount64(a);
    case IR_BSWAP:
        return __builtin_bswap64(a);
    case IR_ORCB:
        return orc_b(a);
    case IR_SEXT8:
        return (uint64_t)(int64_t)(int8_t)a;
    case IR_SEXT16:
        return (uint64_t)(int64_t)(int16_t)a;
    case IR_SEXT32:
        return (uint64_t)(int64_t)(int32_t)a;
    case IR_ZEXT8:
        return (uint8_t)a;
    case IR_ZEXT16:
        return (uint16_t)a;
    case IR_ZEXT32:
        return (uint32_t)a;
    case IR_CLMUL:
        return clmul(a, b, &high);
    case IR_CLMULH:
        clmul(a, b, &high);
        return high;
    case IR_CLMULR: {
        uint64_t low = clmul(a, b, &high);

        return high << 1 | low >> 63;
    }
    default:
        return 0;
    }
}
