/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree of memory regions, and how a change of it reaches everybody.
 *
 * A change marks the tree as pending; the outermost commit renders every address space anew, tells the
 * listeners what went and what came, publishes the new flat view under RCU and calls the listeners' commit
 * (where the accelerator forgets its translations).  Who still holds the old view may use it until its RCU
 * read section ends.
 */
#include "memory-internal.h"

#include <string.h>

#include "system/device.h"
#include "system/runstate.h"
#include "util/error.h"
#include "util/trace.h"

TRACE_EVENT(memory_commit, "address space '%s' ranges %u");
TRACE_EVENT(memory_global_log, "users 0x%x");

AddressSpace address_space_memory;
static MemoryRegion *system_memory;

/* under the big lock */
static GPtrArray *address_spaces;
static GPtrArray *all_listeners; /* by priority, of every address space */
static unsigned transaction_depth;
static bool update_pending;
static bool log_update_pending;
static unsigned global_log_users;

/* any thread, atomics: whether taking has anybody to tell */
static uint32_t n_log_sync, n_log_clear;

GPtrArray *memory_address_spaces(void)
{
    return address_spaces;
}

/* --- making regions --- */

void memory_region_init(MemoryRegion *mr, Device *owner, const char *name, uint64_t size)
{
    memset(mr, 0, sizeof(*mr));
    mr->name = g_strdup(name);
    mr->owner = owner;
    mr->size = size;
    mr->enabled = true;
    mr->romd_mode = true;
    mr->subregions = g_ptr_array_new();
}

void memory_region_init_io(MemoryRegion *mr, Device *owner, const MemoryRegionOps *ops, void *opaque,
                           const char *name, uint64_t size)
{
    memory_region_init(mr, owner, name, size);
    mr->ops = ops;
    mr->opaque = opaque;
}

void memory_region_init_ram_block(MemoryRegion *mr, Device *owner, const char *name, RAMBlock *block)
{
    memory_region_init(mr, owner, name, block->used_length);
    mr->ram_block = block;
    block->mr = mr;
}

bool memory_region_init_ram(MemoryRegion *mr, Device *owner, const char *name, uint64_t size, GError **error)
{
    RAMBlock *block = ram_block_new_anonymous(name, size, size, RAM_MIGRATABLE, error);

    if (!block) {
        return false;
    }
    memory_region_init_ram_block(mr, owner, name, block);
    return true;
}

bool memory_region_init_rom(MemoryRegion *mr, Device *owner, const char *name, uint64_t size, GError **error)
{
    if (!memory_region_init_ram(mr, owner, name, size, error)) {
        return false;
    }
    mr->readonly = true;
    return true;
}

bool memory_region_init_rom_device(MemoryRegion *mr, Device *owner, const MemoryRegionOps *ops, void *opaque,
                                   const char *name, uint64_t size, GError **error)
{
    if (!memory_region_init_ram(mr, owner, name, size, error)) {
        return false;
    }
    mr->ops = ops;
    mr->opaque = opaque;
    mr->rom_device = true;
    return true;
}

void memory_region_init_alias(MemoryRegion *mr, Device *owner, const char *name, MemoryRegion *target,
                              hwaddr offset, uint64_t size)
{
    memory_region_init(mr, owner, name, size);
    mr->alias = target;
    mr->alias_offset = offset;
}

void memory_region_destroy(MemoryRegion *mr)
{
    if (!mr->name) {
        return;
    }
    memory_region_transaction_begin();
    while (mr->subregions->len) {
        memory_region_del_subregion(mr, g_ptr_array_index(mr->subregions, mr->subregions->len - 1));
    }
    memory_region_transaction_commit();
    if (mr->ram_block) {
        mr->ram_block->mr = NULL;
        ram_block_free(mr->ram_block);
    }
    g_ptr_array_free(mr->subregions, true);
    g_free(mr->name);
    memset(mr, 0, sizeof(*mr));
}

/* --- the tree --- */

static void tree_changed(void)
{
    memory_region_transaction_begin();
    update_pending = true;
    memory_region_transaction_commit();
}

/* Among equals the latest wins, as the last one mapped hides those before. */
static void insert_subregion(MemoryRegion *mr, MemoryRegion *subregion)
{
    unsigned i = 0;

    while (i < mr->subregions->len) {
        MemoryRegion *other = g_ptr_array_index(mr->subregions, i);

        if (subregion->priority >= other->priority) {
            break;
        }
        i++;
    }
    g_ptr_array_insert(mr->subregions, i, subregion);
}

void memory_region_add_subregion_overlap(MemoryRegion *mr, hwaddr offset, MemoryRegion *subregion,
                                         int priority)
{
    g_return_if_fail(!subregion->container);
    subregion->container = mr;
    subregion->addr = offset;
    subregion->priority = priority;
    insert_subregion(mr, subregion);
    tree_changed();
}

void memory_region_add_subregion(MemoryRegion *mr, hwaddr offset, MemoryRegion *subregion)
{
    memory_region_add_subregion_overlap(mr, offset, subregion, 0);
}

void memory_region_del_subregion(MemoryRegion *mr, MemoryRegion *subregion)
{
    g_return_if_fail(subregion->container == mr);
    g_ptr_array_remove(mr->subregions, subregion);
    subregion->container = NULL;
    tree_changed();
}

void memory_region_set_enabled(MemoryRegion *mr, bool enabled)
{
    if (mr->enabled != enabled) {
        mr->enabled = enabled;
        tree_changed();
    }
}

void memory_region_set_address(MemoryRegion *mr, hwaddr addr)
{
    MemoryRegion *container = mr->container;

    if (mr->addr == addr) {
        return;
    }
    mr->addr = addr;
    if (container) {
        g_ptr_array_remove(container->subregions, mr);
        insert_subregion(container, mr);
        tree_changed();
    }
}

void memory_region_set_alias_offset(MemoryRegion *mr, hwaddr offset)
{
    if (mr->alias_offset != offset) {
        mr->alias_offset = offset;
        tree_changed();
    }
}

void memory_region_set_readonly(MemoryRegion *mr, bool readonly)
{
    if (mr->readonly != readonly) {
        mr->readonly = readonly;
        tree_changed();
    }
}

void memory_region_rom_device_set_romd(MemoryRegion *mr, bool romd_mode)
{
    if (mr->romd_mode != romd_mode) {
        mr->romd_mode = romd_mode;
        tree_changed();
    }
}

void memory_region_ram_resized(MemoryRegion *mr)
{
    mr->size = mr->ram_block->used_length;
    tree_changed();
}

void *memory_region_get_ram_ptr(MemoryRegion *mr)
{
    hwaddr offset = 0;

    while (mr->alias) {
        offset += mr->alias_offset;
        mr = mr->alias;
    }
    if (!mr->ram_block) {
        return NULL;
    }
    ram_block_note_written(mr->ram_block, 0, mr->ram_block->max_length); /* who has a pointer may write */
    return mr->ram_block->host + offset;
}

ram_addr_t memory_region_get_ram_addr(const MemoryRegion *mr)
{
    return mr->ram_block ? mr->ram_block->offset : RAM_ADDR_INVALID;
}

uint64_t memory_region_size(const MemoryRegion *mr)
{
    return mr->size;
}

/* --- listeners --- */

static MemoryRegionSection section_of(const FlatRange *range)
{
    uint64_t size = range->last - range->start + 1;

    return (MemoryRegionSection){
        .mr = range->mr,
        .offset_within_region = range->offset_in_region,
        .offset_within_address_space = range->start,
        .size = size ? size : UINT64_MAX,
        .readonly = range->readonly,
    };
}

typedef void SectionCall(MemoryListener *listener, MemoryRegionSection *section, uint8_t old_mask,
                         uint8_t new_mask);

static void call_region_add(MemoryListener *l, MemoryRegionSection *section, uint8_t old_mask,
                            uint8_t new_mask)
{
    if (l->region_add) {
        l->region_add(l, section);
    }
    if (new_mask && l->log_start) {
        l->log_start(l, section, 0, new_mask);
    }
}

static void call_region_del(MemoryListener *l, MemoryRegionSection *section, uint8_t old_mask,
                            uint8_t new_mask)
{
    if (old_mask && l->log_stop) {
        l->log_stop(l, section, old_mask, 0);
    }
    if (l->region_del) {
        l->region_del(l, section);
    }
}

static void call_log_change(MemoryListener *l, MemoryRegionSection *section, uint8_t old_mask,
                            uint8_t new_mask)
{
    if (new_mask & ~old_mask && l->log_start) {
        l->log_start(l, section, old_mask, new_mask);
    }
    if (old_mask & ~new_mask && l->log_stop) {
        l->log_stop(l, section, old_mask, new_mask);
    }
}

static void for_listeners(AddressSpace *as, const FlatRange *range, SectionCall *call, bool reverse,
                          uint8_t old_mask, uint8_t new_mask)
{
    unsigned n = as->listeners->len;

    for (unsigned i = 0; i < n; i++) {
        MemoryRegionSection section = section_of(range);

        call(g_ptr_array_index(as->listeners, reverse ? n - 1 - i : i), &section, old_mask, new_mask);
    }
}

/* Tells what is in @old and not in @new (@adding false), or the other way round and what changed its logging.
 */
static void topology_pass(AddressSpace *as, const FlatView *old, const FlatView *new, bool adding)
{
    unsigned i = 0, j = 0;

    while (i < old->n || j < new->n) {
        const FlatRange *a = i < old->n ? &old->ranges[i] : NULL;
        const FlatRange *b = j < new->n ? &new->ranges[j] : NULL;

        if (a && b && flatrange_same_place(a, b)) {
            if (adding && a->dirty_log_mask != b->dirty_log_mask) {
                for_listeners(as, b, call_log_change, false, a->dirty_log_mask, b->dirty_log_mask);
            }
            i++;
            j++;
        } else if (a && (!b || a->start <= b->start)) {
            if (!adding) {
                for_listeners(as, a, call_region_del, true, a->dirty_log_mask, 0);
            }
            i++;
        } else {
            if (adding) {
                for_listeners(as, b, call_region_add, false, 0, b->dirty_log_mask);
            }
            j++;
        }
    }
}

static bool views_equal(const FlatView *a, const FlatView *b)
{
    if (a->n != b->n || a->root != b->root) {
        return false;
    }
    for (unsigned i = 0; i < a->n; i++) {
        if (!flatrange_equal(&a->ranges[i], &b->ranges[i])) {
            return false;
        }
    }
    return true;
}

static void update_address_space(AddressSpace *as)
{
    FlatView *old = address_space_flatview(as);
    FlatView *new = flatview_render(as->root);

    if (views_equal(old, new)) {
        flatview_free_rcu(new);
        return;
    }
    topology_pass(as, old, new, false);
    topology_pass(as, old, new, true);
    rcu_assign_pointer(as->current_map, (void *)new);
    flatview_free_rcu(old);
    trace(memory_commit, as->name, new->n);
}

void memory_region_transaction_begin(void)
{
    transaction_depth++;
}

static void commit_updates(void)
{
    for (unsigned i = 0; i < all_listeners->len; i++) {
        MemoryListener *l = g_ptr_array_index(all_listeners, i);

        if (l->begin) {
            l->begin(l);
        }
    }
    for (unsigned i = 0; i < address_spaces->len; i++) {
        update_address_space(g_ptr_array_index(address_spaces, i));
    }
    for (unsigned i = 0; i < all_listeners->len; i++) {
        MemoryListener *l = g_ptr_array_index(all_listeners, i);

        if (l->commit) {
            l->commit(l);
        }
    }
}

void memory_region_transaction_commit(void)
{
    g_return_if_fail(transaction_depth);
    if (--transaction_depth || !(update_pending || log_update_pending) || !address_spaces) {
        return;
    }
    /* a listener may change the tree: that is the next round's */
    while (update_pending || log_update_pending) {
        update_pending = false;
        log_update_pending = false;
        transaction_depth++;
        commit_updates();
        transaction_depth--;
    }
}

static void insert_by_priority(GPtrArray *array, MemoryListener *listener)
{
    unsigned i = 0;

    while (i < array->len &&
           ((MemoryListener *)g_ptr_array_index(array, i))->priority <= listener->priority) {
        i++;
    }
    g_ptr_array_insert(array, i, listener);
}

void memory_listener_register(MemoryListener *listener, AddressSpace *as)
{
    const FlatView *view = address_space_flatview(as);

    listener->address_space = as;
    insert_by_priority(all_listeners, listener);
    insert_by_priority(as->listeners, listener);
    atomic_add(&n_log_sync, listener->log_sync ? 1 : 0);
    atomic_add(&n_log_clear, listener->log_clear ? 1 : 0);
    if (listener->begin) {
        listener->begin(listener);
    }
    if (global_log_users && listener->log_global_start && !listener->log_global_start(listener, NULL)) {
        warn_report("'%s' cannot log writes for the migration under way", listener->name);
    }
    for (unsigned i = 0; i < view->n; i++) {
        MemoryRegionSection section = section_of(&view->ranges[i]);

        call_region_add(listener, &section, 0, view->ranges[i].dirty_log_mask);
    }
    if (listener->commit) {
        listener->commit(listener);
    }
}

void memory_listener_unregister(MemoryListener *listener)
{
    AddressSpace *as = listener->address_space;
    const FlatView *view;

    if (!as) {
        return;
    }
    view = address_space_flatview(as);
    if (listener->begin) {
        listener->begin(listener);
    }
    for (unsigned i = 0; i < view->n; i++) {
        MemoryRegionSection section = section_of(&view->ranges[i]);

        call_region_del(listener, &section, view->ranges[i].dirty_log_mask, 0);
    }
    if (listener->commit) {
        listener->commit(listener);
    }
    g_ptr_array_remove(all_listeners, listener);
    g_ptr_array_remove(as->listeners, listener);
    atomic_sub(&n_log_sync, listener->log_sync ? 1 : 0);
    atomic_sub(&n_log_clear, listener->log_clear ? 1 : 0);
    listener->address_space = NULL;
}

/* --- address spaces --- */

void address_space_init(AddressSpace *as, MemoryRegion *root, const char *name)
{
    as->name = g_strdup(name);
    as->root = root;
    as->listeners = g_ptr_array_new();
    rcu_assign_pointer(as->current_map, (void *)flatview_render(root));
    g_ptr_array_add(address_spaces, as);
}

void address_space_destroy(AddressSpace *as)
{
    while (as->listeners->len) {
        memory_listener_unregister(g_ptr_array_index(as->listeners, 0));
    }
    g_ptr_array_remove(address_spaces, as);
    flatview_free_rcu(address_space_flatview(as));
    g_ptr_array_free(as->listeners, true);
    g_free(as->name);
    memset(as, 0, sizeof(*as));
}

MemoryRegion *get_system_memory(void)
{
    return system_memory;
}

void memory_init(void)
{
    if (address_spaces) {
        return;
    }
    address_spaces = g_ptr_array_new();
    all_listeners = g_ptr_array_new();
    system_memory = g_new0(MemoryRegion, 1);
    memory_region_init(system_memory, NULL, "system", UINT64_MAX);
    address_space_init(&address_space_memory, system_memory, "memory");
}

/* --- dirty logging --- */

uint8_t memory_region_is_logging(const MemoryRegion *mr)
{
    while (mr->alias) {
        mr = mr->alias;
    }
    return mr->ram_block ? ram_block_log_mask(mr->ram_block) : 0;
}

/* Listeners hear of changed masks like of changed topology. */
static void log_masks_changed(void)
{
    memory_region_transaction_begin();
    log_update_pending = true;
    memory_region_transaction_commit();
}

void memory_region_set_log(MemoryRegion *mr, bool log, unsigned client)
{
    bool was;

    while (mr->alias) {
        mr = mr->alias;
    }
    g_return_if_fail(client == DIRTY_MEMORY_VGA && mr->ram_block && (log || mr->vga_logging_count));
    was = mr->vga_logging_count > 0;
    mr->vga_logging_count += log ? 1 : -1;
    if (was != (mr->vga_logging_count > 0)) {
        mr->dirty_log_mask = log ? 1 << DIRTY_MEMORY_VGA : 0;
        dirty_memory_set_vga_log(mr->ram_block, log);
        log_masks_changed();
    }
}

void memory_region_set_dirty(MemoryRegion *mr, hwaddr addr, uint64_t size)
{
    if (mr->ram_block) {
        physical_memory_set_dirty_range(mr->ram_block->offset + addr, size,
                                        ram_block_log_mask(mr->ram_block));
    }
}

/* Calls @fn for each listener and each of its sections that shows a part of @mr [offset, offset + length). */
static void for_shown_sections(MemoryRegion *mr, uint64_t offset, uint64_t length,
                               void (*fn)(MemoryListener *l, MemoryRegionSection *section))
{
    for (unsigned i = 0; i < all_listeners->len; i++) {
        MemoryListener *l = g_ptr_array_index(all_listeners, i);
        const FlatView *view = address_space_flatview(l->address_space);

        for (unsigned j = 0; j < view->n; j++) {
            FlatRange part = view->ranges[j];
            uint64_t size = part.last - part.start + 1;
            uint64_t from = MAX(offset, part.offset_in_region);
            uint64_t to = MIN(offset + length, part.offset_in_region + size);
            MemoryRegionSection section;

            if (part.mr != mr || from >= to) {
                continue;
            }
            part.start += from - part.offset_in_region;
            part.last = part.start + (to - from - 1);
            part.offset_in_region = from;
            section = section_of(&part);
            fn(l, &section);
        }
    }
}

static void call_log_clear(MemoryListener *l, MemoryRegionSection *section)
{
    if (l->log_clear) {
        l->log_clear(l, section);
    }
}

static void call_log_sync(MemoryListener *l, MemoryRegionSection *section)
{
    if (l->log_sync) {
        l->log_sync(l, section);
    }
}

/* Listeners want the big lock; takers may or may not have it. */
static void with_big_lock(void (*fn)(void *opaque), void *opaque)
{
    bool had = bql_locked();

    if (!had) {
        bql_lock();
    }
    fn(opaque);
    if (!had) {
        bql_unlock();
    }
}

typedef struct LogRange {
    RAMBlock *block;
    uint64_t offset, length;
} LogRange;

static void log_clear_range(void *opaque)
{
    LogRange *range = opaque;

    if (range->block->mr) {
        for_shown_sections(range->block->mr, range->offset, range->length, call_log_clear);
    }
}

void memory_log_clear(RAMBlock *block, uint64_t offset, uint64_t length)
{
    if (atomic_read(&n_log_clear)) {
        with_big_lock(log_clear_range, &(LogRange){block, offset, length});
    }
}

static void log_sync_all(void *opaque)
{
    for (unsigned i = 0; i < all_listeners->len; i++) {
        MemoryListener *l = g_ptr_array_index(all_listeners, i);
        const FlatView *view = address_space_flatview(l->address_space);

        for (unsigned j = 0; l->log_sync && j < view->n; j++) {
            if (view->ranges[j].mr->ram_block) {
                MemoryRegionSection section = section_of(&view->ranges[j]);

                l->log_sync(l, &section);
            }
        }
    }
}

void memory_global_dirty_log_sync(void)
{
    if (atomic_read(&n_log_sync)) {
        with_big_lock(log_sync_all, NULL);
    }
}

unsigned memory_global_dirty_log_users(void)
{
    return atomic_read(&global_log_users);
}

static void listeners_log_stop(unsigned n)
{
    for (unsigned i = n; i-- > 0;) {
        MemoryListener *l = g_ptr_array_index(all_listeners, i);

        if (l->log_global_stop) {
            l->log_global_stop(l);
        }
    }
}

static bool listeners_log_start(GError **error)
{
    for (unsigned i = 0; i < all_listeners->len; i++) {
        MemoryListener *l = g_ptr_array_index(all_listeners, i);

        if (l->log_global_start && !l->log_global_start(l, error)) {
            listeners_log_stop(i);
            return false;
        }
    }
    return true;
}

bool memory_global_dirty_log_start(unsigned user, GError **error)
{
    if (!global_log_users) {
        if (!listeners_log_start(error)) {
            return false;
        }
        dirty_memory_set_migration_log(true);
    }
    atomic_set(&global_log_users, global_log_users | user);
    trace(memory_global_log, global_log_users);
    log_masks_changed();
    return true;
}

void memory_global_dirty_log_stop(unsigned user)
{
    unsigned users = global_log_users & ~user;

    if (global_log_users && !users) {
        dirty_memory_set_migration_log(false);
        listeners_log_stop(all_listeners->len);
    }
    atomic_set(&global_log_users, users);
    trace(memory_global_log, users);
    log_masks_changed();
}

/* --- snapshots --- */

struct DirtyBitmapSnapshot {
    hwaddr start, end; /* of the region, page aligned */
    unsigned long bits[];
};

static void sync_region(void *opaque)
{
    MemoryRegion *mr = opaque;

    for_shown_sections(mr, 0, mr->size, call_log_sync);
}

DirtyBitmapSnapshot *memory_region_snapshot_and_clear_dirty(MemoryRegion *mr, hwaddr addr, uint64_t size,
                                                            unsigned client)
{
    hwaddr start = ROUND_DOWN(addr, TARGET_PAGE_SIZE);
    hwaddr end = ROUND_UP(addr + size, TARGET_PAGE_SIZE);
    uint64_t pages = (end - start) >> TARGET_PAGE_BITS;
    DirtyBitmapSnapshot *snap = g_malloc0(sizeof(*snap) + BITMAP_SIZE(pages));

    snap->start = start;
    snap->end = end;
    if (atomic_read(&n_log_sync)) {
        with_big_lock(sync_region, mr);
    }
    physical_memory_take_dirty_to(mr->ram_block->offset + start, end - start, client, snap->bits);
    physical_memory_quiesce();
    return snap;
}

bool memory_region_snapshot_get_dirty(const DirtyBitmapSnapshot *snap, hwaddr addr, uint64_t size)
{
    uint64_t first, end;

    if (!size || addr < snap->start || addr + size > snap->end) {
        return false;
    }
    first = (addr - snap->start) >> TARGET_PAGE_BITS;
    end = ((addr + size - 1 - snap->start) >> TARGET_PAGE_BITS) + 1;
    return find_next_bit(snap->bits, end, first) < end;
}

void memory_region_snapshot_free(DirtyBitmapSnapshot *snap)
{
    g_free(snap);
}
