/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "info jit" and "info tlb": what the translator did and what the soft TLBs hold. */
#include "internal.h"

#include "api/command.h"
#include "system/accel.h"
#include "util/error.h"

typedef struct HumanText {
    char *text;
} HumanText;

static const Field human_text_fields[] = {F_STRING(HumanText, text, "human-readable-text"), FIELD_END};

static void print_human_text(CommandContext *ctx, const void *args, const void *reply)
{
    const HumanText *human = reply;

    g_string_append(ctx->output, human->text);
}

static bool need_tcg(GError **error)
{
    return tcg_enabled() || fail(error, "this needs accelerator 'tcg'");
}

/* --- info jit --- */

static uint64_t total(size_t offset)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < tcg_cpu_count(); i++) {
        sum += atomic_read((uint64_t *)((char *)&tcg_cpu_nth(i)->stats + offset));
    }
    return sum;
}

static void print_buffers(GString *out)
{
    for (unsigned i = 0; i < tcg_cpu_count(); i++) {
        const TcgCpu *tc = tcg_cpu_nth(i);

        g_string_append_printf(out, "code buffer %u       at %zu of %zu KiB, segment %u of %u\n", i,
                               atomic_read(&tc->code.used) >> 10, tc->code.size >> 10, atomic_read(&tc->segment),
                               tc->n_segments);
    }
}

static void print_counter(const char *name, const char *help, uint64_t value, void *opaque)
{
    g_string_append_printf(opaque, "%-20s %-14" PRIu64 " %s\n", name, value, help);
}

void tcg_print_info(GString *out)
{
    g_string_append_printf(out, "blocks               %zu\n", tb_count());
    print_buffers(out);
    counters_foreach("tb_", print_counter, out);
    counters_foreach("jit_", print_counter, out);
    counters_foreach("quiesce", print_counter, out);
#define TCG_STAT_PRINT(name, help) print_counter(#name, help, total(offsetof(TcgStats, name)), out);
    TCG_STATS(TCG_STAT_PRINT)
#undef TCG_STAT_PRINT
}

static bool run_info_jit(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    g_autoptr(GString) out = g_string_new(NULL);
    HumanText *human = reply;

    if (!need_tcg(error)) {
        return false;
    }
    tcg_print_info(out);
    human->text = g_strdup(out->str);
    return true;
}

COMMAND(info_jit, .qmp = "x-query-jit", .hmp = "info jit", .help = "what the translator did",
        .reply = human_text_fields, .reply_size = sizeof(HumanText), .reply_name = "HumanReadableText",
        .run = run_info_jit, .print_hmp = print_human_text);

/* --- info tlb --- */

typedef struct TlbListing {
    GString *out;
} TlbListing;

static void list_table(TcgCpu *tc, const TLBEntry *table, const TLBIndex *index, unsigned mode, char kind,
                       GString *out)
{
    for (unsigned slot = 0; slot < TLB_ENTRIES; slot++) {
        uint64_t tag = atomic_read(&table[slot].tag);

        if (tag != TLB_EMPTY_TAG(slot) && tlb_index(tag) == slot) {
            g_string_append_printf(out,
                                   "  mode %u %c 0x%016" PRIx64 " -> host 0x%012" PRIx64 " leaf 2^%u%s\n",
                                   mode, kind, tag, tag + table[slot].addend, index->leaf_bits[slot],
                                   index->global[slot / 64] >> slot % 64 & 1 ? " global" : "");
        }
    }
}

/* On the vCPU's thread. */
static void list_tlb(CPUState *cpu, void *opaque)
{
    TlbListing *listing = opaque;
    TcgCpu *tc = cpu->accel;

    g_string_append_printf(listing->out, "CPU %d\n", cpu->index);
    for (unsigned mode = 0; mode < TCG_MMU_MODES; mode++) {
        const TLBMode *m = &tc->tlb.mode[mode];

        g_string_append_printf(listing->out, "  mode %u asid %u\n", mode, m->asid);
        list_table(tc, tc->env->tlb_read[mode], &m->read, mode, 'r', listing->out);
        list_table(tc, tc->env->tlb_write[mode], &m->write, mode, 'w', listing->out);
    }
}

static bool run_info_tlb(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    g_autoptr(GString) out = g_string_new(NULL);
    TlbListing listing = {out};
    HumanText *human = reply;

    if (!need_tcg(error)) {
        return false;
    }
    for (unsigned i = 0; i < tcg_cpu_count(); i++) {
        run_on_cpu(tcg_cpu_nth(i)->cpu, list_tlb, &listing);
    }
    human->text = g_strdup(out->str);
    return true;
}

COMMAND(info_tlb, .qmp = "x-query-tlb", .hmp = "info tlb", .help = "what the soft TLBs hold",
        .reply = human_text_fields, .reply_size = sizeof(HumanText), .reply_name = "HumanReadableText",
        .run = run_info_tlb, .print_hmp = print_human_text);
