/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Platform-level interrupt controller ("sifive,plic-1.0.0"): 95 sources, one context per hart and mode.
 *
 *   line high -> gateway -> pending -> claimed by a context -> completed -> gateway looks at the line again
 *
 * A source is in at most one of pending and claimed.  Pending stays when the line falls before the claim: the
 * request has been forwarded, and the driver finds nothing to do.  Everything is under the big lock.
 */
#include <string.h>

#include "system/device.h"
#include "system/memory.h"
#include "system/state.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/trace.h"

TRACE_EVENT(plic_bad_access, "%s offset 0x%" PRIx64 " value 0x%" PRIx64);

#define PLIC_SOURCES      96 /* 0 is no source */
#define PLIC_WORDS        (PLIC_SOURCES / 32)
#define PLIC_MAX_PRIORITY 7
#define PLIC_MAX_HARTS    512
#define PLIC_MODES        2 /* M, S */

#define PLIC_PENDING        0x1000
#define PLIC_ENABLE         0x2000
#define PLIC_ENABLE_STRIDE  0x80
#define PLIC_CONTEXT        0x200000
#define PLIC_CONTEXT_STRIDE 0x1000
#define PLIC_THRESHOLD      0
#define PLIC_CLAIM          4
#define PLIC_APERTURE       0x600000

typedef struct PlicState {
    Device device;
    MemoryRegion mmio;
    /* properties */
    uint32_t hartid_base, num_harts;
    /* constant after realize */
    unsigned contexts; /* M and S of each hart, in turn */
    IRQ **lines;       /* of each context, to its hart */
    /* under the big lock */
    uint32_t source_priority[PLIC_SOURCES];
    uint32_t pending[PLIC_WORDS], claimed[PLIC_WORDS];
    uint32_t level[PLIC_WORDS]; /* of the input lines */
    uint32_t *target_priority;  /* threshold of each context */
    uint32_t *enable;           /* PLIC_WORDS per context */
    uint8_t *asserted;          /* what each line of .lines was last set to */
} PlicState;

static uint32_t *enables_of(PlicState *s, unsigned context)
{
    return s->enable + context * PLIC_WORDS;
}

/* The pending source that @context would claim: highest priority, lowest number; 0: none. */
static unsigned best_pending(PlicState *s, unsigned context, uint32_t *priority)
{
    unsigned best = 0;

    *priority = 0;
    for (unsigned word = 0; word < PLIC_WORDS; word++) {
        uint32_t candidates = s->pending[word] & enables_of(s, context)[word];

        for (; candidates; candidates &= candidates - 1) {
            unsigned source = word * 32 + ctz32(candidates);

            if (s->source_priority[source] > *priority) {
                *priority = s->source_priority[source];
                best = source;
            }
        }
    }
    return best;
}

static bool wants_line(PlicState *s, unsigned context)
{
    uint32_t priority;

    return best_pending(s, context, &priority) && priority > s->target_priority[context];
}

static void set_context_line(PlicState *s, unsigned context, bool level)
{
    s->asserted[context] = level;
    irq_set(s->lines[context], level);
}

static void update_context(PlicState *s, unsigned context)
{
    bool level = wants_line(s, context);

    if (level != s->asserted[context]) {
        set_context_line(s, context, level);
    }
}

static void plic_update(PlicState *s)
{
    for (unsigned i = 0; i < s->contexts; i++) {
        update_context(s, i);
    }
}

/* Forwards the sources whose line is high and whose last request has been completed. */
static void run_gateways(PlicState *s, unsigned word)
{
    s->pending[word] |= s->level[word] & ~s->claimed[word];
}

static void plic_set_line(void *opaque, int source, int level)
{
    PlicState *s = opaque;
    uint32_t bit = 1u << (source % 32);
    unsigned word = source / 32;

    if (source == 0) {
        return;
    }
    s->level[word] = level ? s->level[word] | bit : s->level[word] & ~bit;
    if (level && !(s->pending[word] & bit)) {
        run_gateways(s, word);
        plic_update(s);
    }
}

static uint32_t plic_claim(PlicState *s, unsigned context)
{
    uint32_t priority;
    unsigned source = best_pending(s, context, &priority);

    if (source) {
        s->pending[source / 32] &= ~(1u << (source % 32));
        s->claimed[source / 32] |= 1u << (source % 32);
        plic_update(s);
    }
    return source;
}

/* A completion of a source that the context does not enable, or that nobody claimed, is ignored. */
static void plic_complete(PlicState *s, unsigned context, uint32_t source)
{
    uint32_t bit = 1u << (source % 32);

    if (source == 0 || source >= PLIC_SOURCES || !(enables_of(s, context)[source / 32] & bit) ||
        !(s->claimed[source / 32] & bit)) {
        return;
    }
    s->claimed[source / 32] &= ~bit;
    run_gateways(s, source / 32);
    plic_update(s);
}

typedef enum PlicKind {
    PLIC_NOTHING,
    PLIC_REG_PRIORITY,
    PLIC_REG_PENDING,
    PLIC_REG_ENABLE,
    PLIC_REG_CONTEXT
} PlicKind;

/* What lies at @addr: its kind, the context, and the source, word or offset in *index. */
static PlicKind decode(PlicState *s, hwaddr addr, unsigned *context, unsigned *index)
{
    if (addr < PLIC_PENDING) {
        *index = addr / 4;
        return *index < PLIC_SOURCES ? PLIC_REG_PRIORITY : PLIC_NOTHING;
    }
    if (addr < PLIC_ENABLE) {
        *index = (addr - PLIC_PENDING) / 4;
        return *index < PLIC_WORDS ? PLIC_REG_PENDING : PLIC_NOTHING;
    }
    if (addr < PLIC_CONTEXT) {
        *context = (addr - PLIC_ENABLE) / PLIC_ENABLE_STRIDE;
        *index = (addr - PLIC_ENABLE) % PLIC_ENABLE_STRIDE / 4;
        return *context < s->contexts && *index < PLIC_WORDS ? PLIC_REG_ENABLE : PLIC_NOTHING;
    }
    *context = (addr - PLIC_CONTEXT) / PLIC_CONTEXT_STRIDE;
    *index = (addr - PLIC_CONTEXT) % PLIC_CONTEXT_STRIDE;
    return *context < s->contexts && (*index == PLIC_THRESHOLD || *index == PLIC_CLAIM) ? PLIC_REG_CONTEXT
                                                                                        : PLIC_NOTHING;
}

static MemTxResult plic_read(void *opaque, hwaddr addr, uint64_t *data, unsigned size)
{
    PlicState *s = opaque;
    unsigned context = 0, index = 0;

    switch (decode(s, addr, &context, &index)) {
    case PLIC_REG_PRIORITY:
        *data = s->source_priority[index];
        break;
    case PLIC_REG_PENDING:
        *data = s->pending[index];
        break;
    case PLIC_REG_ENABLE:
        *data = enables_of(s, context)[index];
        break;
    case PLIC_REG_CONTEXT:
        *data = index == PLIC_CLAIM ? plic_claim(s, context) : s->target_priority[context];
        break;
    case PLIC_NOTHING:
        trace(plic_bad_access, "read", addr, UINT64_C(0));
        *data = 0;
    }
    return MEMTX_OK;
}

static void write_context(PlicState *s, unsigned context, unsigned index, uint32_t value)
{
    if (index == PLIC_CLAIM) {
        plic_complete(s, context, value);
    } else {
        s->target_priority[context] = value & PLIC_MAX_PRIORITY;
        update_context(s, context);
    }
}

static MemTxResult plic_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    PlicState *s = opaque;
    unsigned context = 0, index = 0;
    uint32_t value = data;

    switch (decode(s, addr, &context, &index)) {
    case PLIC_REG_PRIORITY:
        if (index != 0) {
            s->source_priority[index] = value & PLIC_MAX_PRIORITY;
            plic_update(s);
        }
        break;
    case PLIC_REG_ENABLE:
        enables_of(s, context)[index] = index == 0 ? value & ~1u : value;
        update_context(s, context);
        break;
    case PLIC_REG_CONTEXT:
        write_context(s, context, index, value);
        break;
    case PLIC_REG_PENDING: /* read only */
    case PLIC_NOTHING:
        trace(plic_bad_access, "write", addr, data);
    }
    return MEMTX_OK;
}

static const MemoryRegionOps plic_ops = {
    .read = plic_read,
    .write = plic_write,
    .valid = {.min_access_size = 4, .max_access_size = 4},
};

/* Input lines count as low until who drives them, and is reset too, says otherwise. */
static void plic_reset(Device *dev)
{
    PlicState *s = (PlicState *)dev;

    memset(s->source_priority, 0, sizeof(s->source_priority));
    memset(s->pending, 0, sizeof(s->pending));
    memset(s->claimed, 0, sizeof(s->claimed));
    memset(s->target_priority, 0, s->contexts * sizeof(uint32_t));
    memset(s->enable, 0, s->contexts * PLIC_WORDS * sizeof(uint32_t));
    memset(s->level, 0, sizeof(s->level));
    plic_update(s);
}

/* Brings what was loaded into legal values, and the harts' lines to what it asks for. */
static void settle_loaded(PlicState *s)
{
    s->pending[0] &= ~1u;
    s->claimed[0] &= ~1u;
    for (unsigned i = 0; i < PLIC_SOURCES; i++) {
        s->source_priority[i] &= PLIC_MAX_PRIORITY;
    }
    for (unsigned i = 0; i < s->contexts; i++) {
        s->target_priority[i] &= PLIC_MAX_PRIORITY;
        enables_of(s, i)[0] &= ~1u;
        set_context_line(s, i, wants_line(s, i));
    }
}

static void plic_state(StateIO *io, void *opaque)
{
    PlicState *s = opaque;

    STATE_U32S(io, s->source_priority, PLIC_SOURCES);
    STATE_U32S(io, s->target_priority, s->contexts);
    STATE_U32S(io, s->pending, PLIC_WORDS);
    STATE_U32S(io, s->claimed, PLIC_WORDS);
    STATE_U32S(io, s->enable, s->contexts * PLIC_WORDS);
    if (state_loading(io)) {
        settle_loaded(s);
    }
}

static const StateSection plic_state_section = {
    .name = "riscv_sifive_plic",
    .version = 1,
    .min_version = 1,
    .fields = plic_state,
};

static bool plic_realize(Device *dev, GError **error)
{
    PlicState *s = (PlicState *)dev;

    if (s->num_harts == 0 || s->num_harts > PLIC_MAX_HARTS) {
        return fail(error, "num-harts must lie in 1 to %d", PLIC_MAX_HARTS);
    }
    s->contexts = s->num_harts * PLIC_MODES;
    s->target_priority = g_new0(uint32_t, s->contexts);
    s->enable = g_new0(uint32_t, s->contexts * PLIC_WORDS);
    s->asserted = g_new0(uint8_t, s->contexts);
    s->lines = g_new0(IRQ *, s->contexts);
    device_init_irq_in(dev, plic_set_line, NULL, PLIC_SOURCES);
    device_init_irq_out(dev, s->lines, NULL, s->contexts);
    memory_region_init_io(&s->mmio, dev, &plic_ops, s, "riscv.sifive.plic", PLIC_APERTURE);
    device_init_mmio(dev, &s->mmio);
    return true;
}

static const Field plic_properties[] = {
    F_U32(PlicState, hartid_base, "hartid-base", .help = "first hart that is served"),
    F_U32(PlicState, num_harts, "num-harts", .default_value = "1", .help = "how many harts are served"),
    FIELD_END,
};

DEVICE_TYPE(plic_type, .name = "riscv.sifive.plic", .help = "platform-level interrupt controller",
            .category = "misc", .instance_size = sizeof(PlicState), .properties = plic_properties,
            .realize = plic_realize, .reset = plic_reset, .state = &plic_state_section);
