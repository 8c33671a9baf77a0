/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "info mtree": the tree of regions and the flat views, as people know them. */
#include "memory-internal.h"

static const char *region_kind(const MemoryRegion *mr)
{
    if (mr->alias) {
        return region_kind(mr->alias);
    }
    if (mr->rom_device) {
        return "romd";
    }
    if (mr->ram_block) {
        return mr->readonly ? "rom" : "ram";
    }
    return "i/o";
}

static hwaddr last_of(hwaddr start, uint64_t size)
{
    return size == UINT64_MAX ? UINT64_MAX : start + (size ? size - 1 : 0);
}

static int by_address(gconstpointer a, gconstpointer b)
{
    const MemoryRegion *x = *(MemoryRegion *const *)a, *y = *(MemoryRegion *const *)b;

    return (x->addr > y->addr) - (x->addr < y->addr);
}

static void print_region(GString *out, const MemoryRegion *mr, hwaddr base, unsigned level,
                         GPtrArray *aliased)
{
    hwaddr start = base + mr->addr;
    g_autoptr(GPtrArray) sorted = NULL;

    g_string_append_printf(out, "%*s%016" PRIx64 "-%016" PRIx64 " (prio %d, %s%s): ", level * 2, "", start,
                           last_of(start, mr->size), mr->priority, mr->nonvolatile ? "nv-" : "",
                           region_kind(mr));
    if (mr->alias) {
        g_string_append_printf(out, "alias %s @%s %016" PRIx64 "-%016" PRIx64, mr->name, mr->alias->name,
                               mr->alias_offset, last_of(mr->alias_offset, mr->size));
        if (!mr->alias->container && !g_ptr_array_find(aliased, mr->alias, NULL)) {
            g_ptr_array_add(aliased, mr->alias);
        }
    } else {
        g_string_append(out, mr->name);
    }
    g_string_append(out, mr->enabled ? "\n" : " [disabled]\n");
    sorted = g_ptr_array_copy(mr->subregions, NULL, NULL);
    g_ptr_array_sort(sorted, by_address);
    for (unsigned i = 0; i < sorted->len; i++) {
        print_region(out, g_ptr_array_index(sorted, i), start, level + 1, aliased);
    }
}

static void print_trees(GString *out)
{
    GPtrArray *spaces = memory_address_spaces();
    g_autoptr(GPtrArray) aliased = g_ptr_array_new();

    for (unsigned i = 0; i < spaces->len; i++) {
        const AddressSpace *as = g_ptr_array_index(spaces, i);

        g_string_append_printf(out, "address-space: %s\n", as->name);
        print_region(out, as->root, 0, 1, aliased);
        g_string_append_c(out, '\n');
    }
    for (unsigned i = 0; i < aliased->len; i++) {
        const MemoryRegion *mr = g_ptr_array_index(aliased, i);

        g_string_append_printf(out, "memory-region: %s\n", mr->name);
        print_region(out, mr, 0, 1, aliased);
        g_string_append_c(out, '\n');
    }
}

static void print_flat_range(GString *out, const FlatRange *range)
{
    g_string_append_printf(out, "  %016" PRIx64 "-%016" PRIx64 " (prio %d, %s): %s", range->start,
                           range->last, range->mr->priority,
                           range->readonly && range->mr->ram_block ? "rom" : region_kind(range->mr),
                           range->mr->name);
    if (range->offset_in_region) {
        g_string_append_printf(out, " @%016" PRIx64, range->offset_in_region);
    }
    g_string_append_c(out, '\n');
}

static void print_flat_views(GString *out)
{
    GPtrArray *spaces = memory_address_spaces();

    for (unsigned i = 0; i < spaces->len; i++) {
        AddressSpace *as = g_ptr_array_index(spaces, i);
        const FlatView *view = address_space_flatview(as);

        g_string_append_printf(out, "FlatView #%u\n AS \"%s\", root: %s\n Root memory region: %s\n", i,
                               as->name, as->root->name, view->root->name);
        for (unsigned j = 0; j < view->n; j++) {
            print_flat_range(out, &view->ranges[j]);
        }
        g_string_append(out, view->n ? "\n" : "  No rendered FlatView\n\n");
    }
}

void memory_print_tree(GString *out, bool flat)
{
    if (flat) {
        print_flat_views(out);
    } else {
        print_trees(out);
    }
}
