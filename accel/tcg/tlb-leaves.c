/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeping the second level of the soft TLB: leaves that page walks found, of all address spaces, with their size.
 *
 * A context stands for the leaves of one mode and address space, or for a mode's global ones.  Forgetting it is the
 * flush; its number comes up again only after all have been used, and the tables are emptied then.
 */
#include "tlb-internal.h"

/* --- contexts --- */

static uint64_t context_of(const TLBMode *m, uint16_t asid)
{
    const TLBContext *c = &m->contexts[asid % TLB2_ASIDS];

    return c->asid == asid && c->context ? c->context : NO_CONTEXT;
}

static void forget_context(SoftTLB *tlb, uint64_t context)
{
    if (context && context != NO_CONTEXT) {
        slot_remove(tlb->live, context);
    }
}

static void forget_contexts(SoftTLB *tlb, TLBMode *m)
{
    for (unsigned i = 0; i < TLB2_ASIDS; i++) {
        forget_context(tlb, m->contexts[i].context);
        m->contexts[i].context = 0;
    }
    forget_context(tlb, m->global_context);
    m->context = m->global_context = NO_CONTEXT;
}

void tlb_forget_leaves_of_mode(SoftTLB *tlb, unsigned mode)
{
    TLBMode *m = &tlb->mode[mode];

    forget_contexts(tlb, m);
    memset(m->large_2m, 0, sizeof(m->large_2m));
    memset(m->large_1g, 0, sizeof(m->large_1g));
    m->any_large = m->larger_than_1g = false;
}

void tlb_forget_leaves_of_asid(SoftTLB *tlb, uint16_t asid)
{
    for (unsigned mode = 0; mode < TCG_MMU_MODES; mode++) {
        TLBMode *m = &tlb->mode[mode];
        TLBContext *c = &m->contexts[asid % TLB2_ASIDS];

        if (c->asid == asid) {
            forget_context(tlb, c->context);
            c->context = 0;
            m->context = context_of(m, m->asid);
        }
    }
}

void tlb_use_asid(SoftTLB *tlb, unsigned mode, uint16_t asid)
{
    TLBMode *m = &tlb->mode[mode];

    m->asid = asid;
    m->context = context_of(m, asid);
}

void tlb_init_leaves(SoftTLB *tlb)
{
    for (unsigned mode = 0; mode < TCG_MMU_MODES; mode++) {
        forget_contexts(tlb, &tlb->mode[mode]);
    }
}

/* The first level may still hold pages of large leaves: where these are is not forgotten here. */
static uint64_t new_context(SoftTLB *tlb)
{
    if (++tlb->last_context == TLB2_CONTEXTS) {
        tlb_init_leaves(tlb);
        memset(tlb->leaf_4k, 0, sizeof(tlb->leaf_4k));
        memset(tlb->leaf_2m, 0, sizeof(tlb->leaf_2m));
        memset(tlb->leaf_1g, 0, sizeof(tlb->leaf_1g));
        tlb->last_context = 1;
    }
    slot_add(tlb->live, tlb->last_context);
    return tlb->last_context;
}

/* The context that a leaf found now belongs to. */
static uint64_t present_context(SoftTLB *tlb, TLBMode *m, bool global)
{
    if (global) {
        if (m->global_context == NO_CONTEXT) {
            uint64_t context = new_context(tlb);

            m->global_context = context;
        }
        return m->global_context;
    }
    if (m->context == NO_CONTEXT) {
        TLBContext *c = &m->contexts[m->asid % TLB2_ASIDS];

        forget_context(tlb, c->context);
        m->context = new_context(tlb);
        *c = (TLBContext){.asid = m->asid, .context = m->context};
    }
    return m->context;
}

/* --- where large leaves may be; these ask for less than a lookup and may say yes for nothing --- */

typedef struct LargeHash {
    unsigned one, two;
} LargeHash;

/* Two bits a place: with one, every thirtieth page would be taken for large where the guest maps 1 GiB. */
static LargeHash large_hash(vaddr addr, unsigned class_bits)
{
    uint64_t hash = (addr >> class_bits) * UINT64_C(0x9e3779b97f4a7c15);

    return (LargeHash){hash >> (64 - LARGE_HASH_BITS), hash << LARGE_HASH_BITS >> (64 - LARGE_HASH_BITS)};
}

static bool large_in(const uint64_t *slots, vaddr addr, unsigned class_bits)
{
    LargeHash hash = large_hash(addr, class_bits);

    return slot_in(slots, hash.one) && slot_in(slots, hash.two);
}

static bool in_large_2m(const TLBMode *m, vaddr addr)
{
    return large_in(m->large_2m, addr, LEAF_2M_BITS);
}

static bool in_large_1g(const TLBMode *m, vaddr addr)
{
    return large_in(m->large_1g, addr, LEAF_1G_BITS);
}

static void large_add(uint64_t *slots, LargeHash hash)
{
    slot_add(slots, hash.one);
    slot_add(slots, hash.two);
}

bool tlb_find_large(SoftTLB *tlb, vaddr addr, unsigned mode, FoundLeaf *found)
{
    const TLBMode *m = &tlb->mode[mode];
    unsigned class_bits = LEAF_2M_BITS;
    const TLB2Entry *e = NULL;

    if (in_large_2m(m, addr)) {
        e = find_leaf_in(tlb, addr, mode, class_bits);
    }
    if (!e && in_large_1g(m, addr)) {
        class_bits = LEAF_1G_BITS;
        e = find_leaf_in(tlb, addr, mode, class_bits);
    }
    if (e) {
        *found = leaf_of(e, addr, class_bits);
    }
    return e;
}

/* --- leaves --- */

LeafReach tlb_leaf_reach(const TLBMode *m, vaddr addr)
{
    if (m->larger_than_1g || in_large_1g(m, addr)) {
        return REACH_MORE;
    }
    return in_large_2m(m, addr) ? REACH_2M : REACH_PAGE;
}

static unsigned leaf_class(unsigned leaf_bits)
{
    return leaf_bits >= LEAF_1G_BITS   ? LEAF_1G_BITS
           : leaf_bits >= LEAF_2M_BITS ? LEAF_2M_BITS
                                       : TARGET_PAGE_BITS;
}

static void note_large(TLBMode *m, vaddr addr, unsigned leaf_bits)
{
    if (leaf_bits <= LEAF_2M_BITS) {
        large_add(m->large_2m, large_hash(addr, LEAF_2M_BITS));
    } else {
        large_add(m->large_1g, large_hash(addr, LEAF_1G_BITS));
    }
    m->any_large = true;
    m->larger_than_1g |= leaf_bits > LEAF_1G_BITS;
}

static TLB2Entry *leaf_to_replace(SoftTLB *tlb, vaddr addr, unsigned mode, unsigned class_bits)
{
    TLB2Entry *old = find_leaf_in(tlb, addr, mode, class_bits);
    TLB2Entry *set = leaf_set(tlb, addr, class_bits);
    unsigned home = home_way(addr, class_bits);

    for (unsigned i = 0; !old && i < TLB2_WAYS; i++) {
        old = slot_in(tlb->live, set[home ^ i].tag % TLB2_CONTEXTS) ? NULL : &set[home ^ i];
    }
    return old ? old : &set[tlb->victim++ % TLB2_WAYS];
}

void tlb_insert_leaf(SoftTLB *tlb, vaddr addr, unsigned mode, const TlbFill *fill)
{
    TLBMode *m = &tlb->mode[mode];
    unsigned class_bits = leaf_class(fill->page_bits);
    uint64_t in_class = BIT_ULL(class_bits) - 1, context;

    if (m->asid != fill->asid) {
        tlb_use_asid(tlb, mode, fill->asid);
    }
    context = present_context(tlb, m, fill->global);
    if (fill->page_bits > TARGET_PAGE_BITS) {
        note_large(m, addr, fill->page_bits);
    }
    *leaf_to_replace(tlb, addr, mode, class_bits) = (TLB2Entry){
        .tag = (addr & ~in_class) | context,
        .leaf = (PAGE_OF(fill->paddr) - (PAGE_OF(addr) & in_class)) | (fill->prot & LEAF_PROT) |
                (fill->global ? LEAF_GLOBAL : 0) | (uint64_t)fill->page_bits << LEAF_SIZE_SHIFT,
    };
}

static bool of_address_space(const SoftTLB *tlb, uint64_t context, uint16_t asid)
{
    for (unsigned mode = 0; mode < TCG_MMU_MODES; mode++) {
        if (context_of(&tlb->mode[mode], asid) == context) {
            return true;
        }
    }
    return false;
}

static void drop_entry(SoftTLB *tlb, TLB2Entry *e, int asid)
{
    if (asid < 0 || of_address_space(tlb, e->tag % TLB2_CONTEXTS, asid)) {
        e->tag = 0;
    }
}

static void drop_leaf_in(SoftTLB *tlb, vaddr addr, int asid, unsigned class_bits)
{
    TLB2Entry *set = leaf_set(tlb, addr, class_bits);

    for (unsigned way = 0; way < TLB2_WAYS; way++) {
        if (PAGE_OF(set[way].tag) == addr >> class_bits << class_bits) {
            drop_entry(tlb, &set[way], asid);
        }
    }
}

/* Leaves above 1 GiB are kept as several entries of 1 GiB. */
static void drop_giant_leaf(SoftTLB *tlb, vaddr addr, int asid)
{
    for (unsigned i = 0; i < TLB2_SETS_1G * TLB2_WAYS; i++) {
        TLB2Entry *e = &tlb->leaf_1g[i / TLB2_WAYS][i % TLB2_WAYS];

        if (!((e->tag ^ addr) >> leaf_of(e, addr, LEAF_1G_BITS).leaf_bits)) {
            drop_entry(tlb, e, asid);
        }
    }
}

void tlb_drop_leaf(SoftTLB *tlb, vaddr addr, int asid, bool large)
{
    drop_leaf_in(tlb, addr, asid, TARGET_PAGE_BITS);
    if (large) {
        drop_leaf_in(tlb, addr, asid, LEAF_2M_BITS);
        drop_giant_leaf(tlb, addr, asid);
        /* leaves of 64 KiB (Svnapot) are kept as single pages */
        for (unsigned i = 0; i < 16; i++) {
            drop_leaf_in(tlb, (addr & ~UINT64_C(0xffff)) + i * TARGET_PAGE_SIZE, asid, TARGET_PAGE_BITS);
        }
    }
}
