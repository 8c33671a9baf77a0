/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a guest pc to a translated block: claim the page, copy its bytes, and either find a dropped block that was
 * made of them, or let the guest's front end build IR, optimise, compile; publish.
 *
 * The front end reads a copy, so that it sees one version of the bytes however often it looks.  If the page
 * changes meanwhile the block is thrown away and made again (tb_insert()).  Runs inside guest code, where a
 * fetch may raise.
 */
#include "internal.h"
#include "lockstep.h"

#include "accel/log.h"

COUNTER(tb_translated, "blocks translated");
COUNTER(tb_retries, "translations thrown away because the page changed meanwhile");
COUNTER(tb_guest_bytes, "guest code bytes translated");
COUNTER(tb_guest_insns, "guest instructions translated");
COUNTER(tb_host_bytes, "host code bytes made");
COUNTER(tb_cold_bytes, "of these, bytes that lie apart because they seldom run");
COUNTER(tb_buffer_full, "times a code buffer was full");

#define MAX_INSNS 128

/* --- claims: at most the block's page and the one after it --- */

static void release_claims(TcgCpu *tc)
{
    if (tc->have_claim) {
        tb_release_page(&tc->claim);
        tc->have_claim = false;
    }
    if (tc->have_claim2) {
        tb_release_page(&tc->claim2);
        tc->have_claim2 = false;
    }
}

static void NO_TSAN copy_code(uint8_t *to, const uint8_t *from, unsigned offset, unsigned size)
{
    memcpy(to + offset, from + offset, size);
}

bool tb_fetch_page(TcgCpu *tc, vaddr pc, bool probe, PageAccess *page)
{
    vaddr next = (pc & TARGET_PAGE_MASK) + TARGET_PAGE_SIZE;

    return tlb_lookup_fetch(tc, next, tc->ops->fetch_mmu_idx(tc->env), probe, page);
}

/* A straddling instruction: the first line of the next page joins the block, or the fetch raises. */
static void fetch_second_page(TcgCpu *tc)
{
    PageAccess next;

    do {
        if (!tb_fetch_page(tc, tc->translating_pc, true, &next)) {
            release_claims(tc);
            tb_fetch_page(tc, tc->translating_pc, false, &next);
            /* mapped after all, by another vCPU at this moment */
            tcg_exit_to_loop(tc->env, TCG_EXIT_LOOKUP);
        }
        tc->translating_page2 = next.ram & TARGET_PAGE_MASK;
    } while (!tb_claim_page(tc, tc->translating_page2, 0, &tc->claim2));
    tc->have_claim2 = true;
    copy_code(tc->page_copy + TARGET_PAGE_SIZE, next.host, 0, 64);
}

uint16_t translate_fetch16(TranslateContext *ctx, uint32_t offset)
{
    TcgCpu *tc = ctx->cpu->accel;
    uint16_t value;

    if (offset >= TARGET_PAGE_SIZE && !tc->have_claim2) {
        fetch_second_page(tc);
    }
    memcpy(&value, tc->page_copy + MIN(offset, TARGET_PAGE_SIZE + 62), sizeof(value));
    return value;
}

/* --- listings --- */

static void log_guest_code(TranslateContext *ctx)
{
    g_autoptr(GString) text = g_string_new(NULL);
    uint64_t base = ctx->pc - ctx->offset;

    g_string_append_printf(text, "IN: 0x%016" PRIx64 " flags 0x%x, %u instructions\n", ctx->pc, ctx->flags,
                           ctx->n_insns);
    if (ctx->cpu->ops->disassemble && ctx->end_offset > ctx->offset) {
        ctx->cpu->ops->disassemble(ctx->cpu, base + ctx->offset, ctx->page + ctx->offset,
                                   ctx->end_offset - ctx->offset, text);
    }
    log_text(text->str);
}

static void log_ir(const IRBlock *ir, const char *title)
{
    g_autoptr(GString) text = g_string_new(title);

    ir_dump(ir, text);
    log_text(text->str);
}

static void log_host_code(const TCGCode *code)
{
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_printf(text, "OUT: %u bytes, %u of them apart\n", code->size + code->cold_size, code->cold_size);
    tcg_dump_code(code, text);
    log_text(text->str);
}

/* --- making a block --- */

static void build_ir(TcgCpu *tc, TranslateContext *ctx)
{
    IRBlock *ir = tc->ir;

    ir_block_reset(ir, tc->ops->guest);
    ir->mmu_idx = ctx->flags & TB_MMU_IDX;
    ir->jump_mode = ctx->flags & TB_NO_TABLE ? TCG_MMU_MODES : ir->mmu_idx;
    ir->page_offset = ctx->offset;
    ir->parallel = tcg_cpu_count() > 1;
    ir->soft_fp = ctx->flags & TB_SOFT_FP;
    tc->ops->translate(ctx);
    ir->end_offset = ctx->end_offset;
    if (log_enabled(LOG_IN)) {
        log_guest_code(ctx);
    }
    if (log_enabled(LOG_OP)) {
        log_ir(ir, "OP:\n");
    }
    if (unlikely(tcg_accel_config.lockstep)) {
        lockstep_prepare(tc, ir);
    }
    if (!tcg_accel_config.no_optimize) {
        tcg_optimize(ir);
        if (log_enabled(LOG_OPT)) {
            log_ir(ir, "OPT:\n");
        }
    }
}

static TranslationBlock *compile(TcgCpu *tc)
{
    TranslationBlock *tb;

    do {
        tb = tb_reserve(tc);
        if (tcg_compile(&tc->code, tc->ir, (uintptr_t)tb, &tc->compiled)) {
            return tb;
        }
    } while (code_cache_advance(tc));
    return NULL;
}

static void leave_for_room(TcgCpu *tc)
{
    counter_inc(tb_buffer_full);
    release_claims(tc);
    tb_request_room(tc);
    tcg_exit_to_loop(tc->env, TCG_EXIT_REQUEST);
}

static void count(const TranslationBlock *tb, const TranslateContext *ctx, const TCGCode *code)
{
    counter_inc(tb_translated);
    counter_add(tb_guest_insns, ctx->n_insns);
    counter_add(tb_guest_bytes, tb->end_offset - ctx->offset);
    counter_add(tb_host_bytes, code->size + code->cold_size);
    counter_add(tb_cold_bytes, code->cold_size);
}

/* NULL: the page changed meanwhile. */
static TranslationBlock *translate_claimed(TcgCpu *tc, vaddr pc, const PageAccess *page, uint32_t flags)
{
    uint32_t offset = pc & ~TARGET_PAGE_MASK;
    TranslateContext ctx = {
        .cpu = tc->cpu,
        .env = tc->env,
        .ir = tc->ir,
        .flags = flags,
        .pc = pc,
        .offset = offset,
        .max_insns = flags & TB_ONE_INSN ? 1 : MAX_INSNS,
        .page = tc->page_copy,
        .end_offset = offset,
    };
    TranslationBlock *tb;
    unsigned n_bytes;
    bool good;

    tc->translating_pc = pc;
    tc->translating_page2 = NO_RAM_PAGE;
    build_ir(tc, &ctx);
    tc->ir->code_page = page->ram & TARGET_PAGE_MASK;
    tb = compile(tc);
    if (!tb) {
        leave_for_room(tc);
    }
    n_bytes = tc->have_claim2 ? 0 : MIN(ctx.end_offset, TARGET_PAGE_SIZE) - offset;
    tb_fit(tc, tb, &tc->compiled, tc->page_copy + offset, n_bytes);
    tb->ram_pc = page->ram;
    tb->ram_page2 = tc->have_claim2 ? tc->translating_page2 : NO_RAM_PAGE;
    tb->flags = flags;
    tb->end_offset =
        tc->have_claim2 ? MAX(ctx.end_offset, TARGET_PAGE_SIZE + 1) : MIN(ctx.end_offset, TARGET_PAGE_SIZE);
    tb->n_insns = ctx.n_insns;
    good = tb_insert(tb, &tc->claim, tc->have_claim2 ? &tc->claim2 : NULL);
    tc->have_claim = tc->have_claim2 = false;
    if (!good) {
        counter_inc(tb_retries);
        return NULL;
    }
    if (unlikely(tcg_accel_config.lockstep)) {
        lockstep_keep(tc, tb);
    }
    count(tb, &ctx, &tc->compiled);
    if (log_enabled(LOG_OUT)) {
        log_host_code(&tc->compiled);
    }
    perf_map_add(&tc->compiled, pc);
    return tb;
}

TranslationBlock *tb_translate(TcgCpu *tc, vaddr pc, const PageAccess *page, uint32_t flags)
{
    uint32_t offset = pc & ~TARGET_PAGE_MASK;
    TranslationBlock *tb;

    if (!tb_claim_page(tc, page->ram & TARGET_PAGE_MASK, offset, &tc->claim)) {
        return NULL;
    }
    tc->have_claim = true;
    copy_code(tc->page_copy, page->host - offset, offset, TARGET_PAGE_SIZE - offset);
    tb = tb_revive(&tc->claim, page->ram, flags, tc->page_copy + offset, TARGET_PAGE_SIZE - offset);
    if (tb) {
        tc->have_claim = false;
        return tb;
    }
    return translate_claimed(tc, pc, page, flags);
}
