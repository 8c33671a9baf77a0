/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flat views: the tree of regions rendered into sorted, disjoint ranges.
 *
 * Regions are painted from the highest priority down, each only where nothing is painted yet.  Painting is
 * done in 128-bit signed numbers, because aliases shift regions below 0 and past 2^64 before they are
 * clipped.
 */
#include "memory-internal.h"

#include <string.h>

typedef __int128 Int128;

/* [start, end) */
typedef struct Span {
    Int128 start, end;
} Span;

#define ADDRESS_END ((Int128)1 << 64)

static Int128 region_length(const MemoryRegion *mr)
{
    return mr->size == UINT64_MAX ? ADDRESS_END : (Int128)mr->size;
}

static bool clip(Span *span, Span bounds)
{
    span->start = MAX(span->start, bounds.start);
    span->end = MIN(span->end, bounds.end);
    return span->start < span->end;
}

static void insert_range(FlatView *view, unsigned at, FlatRange range)
{
    if (view->n == view->allocated) {
        view->allocated = MAX(view->allocated * 2, 16);
        view->ranges = g_renew(FlatRange, view->ranges, view->allocated);
    }
    memmove(view->ranges + at + 1, view->ranges + at, (view->n - at) * sizeof(range));
    view->ranges[at] = range;
    view->n++;
}

/* Paints @mr, whose first byte would be at @base, into the unpainted parts of @span. */
static void paint(FlatView *view, MemoryRegion *mr, Int128 base, Span span, bool readonly)
{
    Int128 at = span.start;
    unsigned i = 0;

    while (at < span.end) {
        Int128 stop = span.end;

        while (i < view->n && (Int128)view->ranges[i].last < at) {
            i++;
        }
        if (i < view->n && (Int128)view->ranges[i].start <= at) {
            at = (Int128)view->ranges[i].last + 1;
            continue;
        }
        if (i < view->n) {
            stop = MIN(stop, (Int128)view->ranges[i].start);
        }
        insert_range(view, i,
                     (FlatRange){
                         .start = (hwaddr)at,
                         .last = (hwaddr)(stop - 1),
                         .offset_in_region = (hwaddr)(at - base),
                         .mr = mr,
                         .readonly = readonly,
                         .romd_mode = mr->romd_mode,
                         .dirty_log_mask = memory_region_is_logging(mr),
                     });
        at = stop;
    }
}

static bool is_terminal(const MemoryRegion *mr)
{
    return mr->ram_block || mr->ops;
}

/* @container_base: where offset 0 of the region's container lies. */
static void render(FlatView *view, MemoryRegion *mr, Int128 container_base, Span bounds, bool readonly)
{
    Int128 base = container_base + mr->addr;
    Span span = {base, base + region_length(mr)};

    if (!mr->enabled || !clip(&span, bounds)) {
        return;
    }
    readonly |= mr->readonly;
    if (mr->alias) {
        render(view, mr->alias, base - mr->alias_offset - mr->alias->addr, span, readonly);
        return;
    }
    for (unsigned i = 0; i < mr->subregions->len; i++) {
        render(view, g_ptr_array_index(mr->subregions, i), base, span, readonly);
    }
    if (is_terminal(mr)) {
        paint(view, mr, base, span, readonly);
    }
}

static bool can_join(const FlatRange *a, const FlatRange *b)
{
    return a->last + 1 == b->start && b->start && a->mr == b->mr &&
           a->offset_in_region + (b->start - a->start) == b->offset_in_region && a->readonly == b->readonly &&
           a->romd_mode == b->romd_mode && a->dirty_log_mask == b->dirty_log_mask;
}

static void join_neighbours(FlatView *view)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < view->n; i++) {
        if (kept && can_join(&view->ranges[kept - 1], &view->ranges[i])) {
            view->ranges[kept - 1].last = view->ranges[i].last;
        } else {
            view->ranges[kept++] = view->ranges[i];
        }
    }
    view->n = kept;
}

FlatView *flatview_render(MemoryRegion *root)
{
    FlatView *view = g_new0(FlatView, 1);

    view->root = root;
    if (root) {
        render(view, root, -(Int128)root->addr, (Span){0, ADDRESS_END}, false);
        join_neighbours(view);
    }
    return view;
}

static void flatview_free(RcuHead *head)
{
    FlatView *view = container_of(head, FlatView, rcu);

    g_free(view->ranges);
    g_free(view);
}

void flatview_free_rcu(FlatView *view)
{
    call_rcu(&view->rcu, flatview_free);
}

const FlatRange *flatview_lookup(const FlatView *view, hwaddr addr)
{
    unsigned low = 0, high = view->n;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (view->ranges[middle].last < addr) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < view->n && view->ranges[low].start <= addr ? &view->ranges[low] : NULL;
}

bool flatrange_same_place(const FlatRange *a, const FlatRange *b)
{
    return a->start == b->start && a->last == b->last && a->mr == b->mr &&
           a->offset_in_region == b->offset_in_region && a->readonly == b->readonly &&
           a->romd_mode == b->romd_mode;
}

bool flatrange_equal(const FlatRange *a, const FlatRange *b)
{
    return flatrange_same_place(a, b) && a->dirty_log_mask == b->dirty_log_mask;
}
