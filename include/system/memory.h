/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory regions, address spaces and flat views.
 *
 * A machine's memory is a tree of MemoryRegions: containers, RAM, ROM, I/O and aliases, with priorities where they
 * overlap.  Each AddressSpace renders its tree into a FlatView (sorted, disjoint ranges), published under RCU; every
 * access looks up the current FlatView.  Changes to the tree need the big lock and take effect when the outermost
 * transaction commits.  Accesses may come from any thread.
 *
 * MMIO callbacks run with the big lock held (taken by the dispatcher when the caller lacks it) unless the region
 * says .lockless.
 */
#ifndef SYSTEM_MEMORY_H
#define SYSTEM_MEMORY_H

#include "system/types.h"
#include "util/bitmap.h"
#include <glib.h>

/* The clients of the dirty bitmaps; a log mask is a set of (1 << client). */
enum {
    DIRTY_MEMORY_VGA = 0,       /* displays */
    DIRTY_MEMORY_CODE = 1,      /* a clear bit: translated code exists for the page */
    DIRTY_MEMORY_MIGRATION = 2, /* a set bit: the page changed since migration last took it */
    DIRTY_MEMORY_NUM = 3,
};

typedef struct MemoryRegionOps {
    /* @addr is relative to the region, @size 1, 2, 4 or 8.  Return MEMTX_OK, or MEMTX_ERROR to fault the access. */
    MemTxResult (*read)(void *opaque, hwaddr addr, uint64_t *data, unsigned size);
    MemTxResult (*write)(void *opaque, hwaddr addr, uint64_t data, unsigned size);
    /* What the guest may do: other sizes, and misaligned accesses unless .unaligned, give MEMTX_ERROR.  0: 1..8. */
    struct {
        uint8_t min_access_size, max_access_size;
        bool unaligned;
    } valid;
    /* What the callbacks can do: wider accesses are split, narrower ones widened.  0: 1..8. */
    struct {
        uint8_t min_access_size, max_access_size;
    } impl;
    bool lockless; /* callbacks do their own locking */
} MemoryRegionOps;

struct MemoryRegion {
    /* constant after init */
    char *name;
    Device *owner;
    const MemoryRegionOps *ops; /* I/O, and writes to a ROM device */
    void *opaque;
    RAMBlock *ram_block; /* RAM, ROM, ROM device; owned */
    MemoryRegion *alias; /* what this region shows, from alias_offset on */
    bool readonly;       /* ROM: stores from the guest are ignored */
    bool rom_device;     /* reads go to RAM while romd_mode, writes always to ops */
    bool nonvolatile;
    /* under the big lock */
    uint64_t size; /* bytes; UINT64_MAX stands for all 2^64 */
    hwaddr addr;   /* in the container */
    hwaddr alias_offset;
    MemoryRegion *container;
    GPtrArray *subregions; /* of MemoryRegion *, highest priority first */
    int priority;
    bool enabled;
    bool romd_mode;
    uint8_t dirty_log_mask;  /* clients that logging was asked for, VGA only; see memory_region_is_logging() */
    unsigned vga_logging_count;
};

/* --- making regions: big lock.  The MemoryRegion is embedded in its owner; destroy undoes any init. --- */
void memory_region_init(MemoryRegion *mr, Device *owner, const char *name, uint64_t size);
void memory_region_init_io(MemoryRegion *mr, Device *owner, const MemoryRegionOps *ops, void *opaque,
                           const char *name, uint64_t size);
/* RAM that belongs to the region; it appears in the migration stream under @name ("0000:..." prefix never added). */
bool memory_region_init_ram(MemoryRegion *mr, Device *owner, const char *name, uint64_t size, GError **error);
bool memory_region_init_rom(MemoryRegion *mr, Device *owner, const char *name, uint64_t size, GError **error);
bool memory_region_init_rom_device(MemoryRegion *mr, Device *owner, const MemoryRegionOps *ops, void *opaque,
                                   const char *name, uint64_t size, GError **error);
/* RAM over a block made by physmem.h (memory back ends); takes over the block. */
void memory_region_init_ram_block(MemoryRegion *mr, Device *owner, const char *name, RAMBlock *block);
void memory_region_init_alias(MemoryRegion *mr, Device *owner, const char *name, MemoryRegion *target,
                              hwaddr offset, uint64_t size);
/* The region must be in no container.  RAM goes back after an RCU grace period. */
void memory_region_destroy(MemoryRegion *mr);

/* --- the tree: big lock --- */
void memory_region_add_subregion(MemoryRegion *mr, hwaddr offset, MemoryRegion *subregion);
void memory_region_add_subregion_overlap(MemoryRegion *mr, hwaddr offset, MemoryRegion *subregion, int priority);
void memory_region_del_subregion(MemoryRegion *mr, MemoryRegion *subregion);
void memory_region_set_enabled(MemoryRegion *mr, bool enabled);
void memory_region_set_address(MemoryRegion *mr, hwaddr addr);
void memory_region_set_alias_offset(MemoryRegion *mr, hwaddr offset);
void memory_region_set_readonly(MemoryRegion *mr, bool readonly);
void memory_region_rom_device_set_romd(MemoryRegion *mr, bool romd_mode);
/* Nestable; the outermost commit publishes new flat views and calls the listeners. */
void memory_region_transaction_begin(void);
void memory_region_transaction_commit(void);

/* --- asking: any thread --- */
static inline bool memory_region_is_ram(const MemoryRegion *mr)
{
    return mr->ram_block != NULL;
}
/* Reads and writes are plain host memory accesses. */
static inline bool memory_region_is_direct(const MemoryRegion *mr, bool is_write)
{
    return mr->ram_block && (is_write ? !mr->readonly && !mr->rom_device : !mr->rom_device || mr->romd_mode);
}
void *memory_region_get_ram_ptr(MemoryRegion *mr); /* RAM only */
ram_addr_t memory_region_get_ram_addr(const MemoryRegion *mr);
uint64_t memory_region_size(const MemoryRegion *mr);

/* --- dirty logging (D5) --- */
/* The clients that want to know of stores to @mr now: VGA if asked, CODE under TCG, MIGRATION while it is tracked. */
uint8_t memory_region_is_logging(const MemoryRegion *mr);
/* Starts or stops logging for DIRTY_MEMORY_VGA; calls nest.  Big lock. */
void memory_region_set_log(MemoryRegion *mr, bool log, unsigned client);
/* Marks [addr, addr + size) for every client that logs the region.  Any thread. */
void memory_region_set_dirty(MemoryRegion *mr, hwaddr addr, uint64_t size);
/*
 * Takes the bits of @client in [addr, addr + size): a copy that stays as it is while the guest goes on (D2: the
 * re-arm and the quiesce have happened when this returns).
 */
typedef struct DirtyBitmapSnapshot DirtyBitmapSnapshot;
DirtyBitmapSnapshot *memory_region_snapshot_and_clear_dirty(MemoryRegion *mr, hwaddr addr, uint64_t size,
                                                            unsigned client);
bool memory_region_snapshot_get_dirty(const DirtyBitmapSnapshot *snap, hwaddr addr, uint64_t size);
void memory_region_snapshot_free(DirtyBitmapSnapshot *snap);

/*
 * Global logging for DIRTY_MEMORY_MIGRATION; users nest (a migration, a dirty-rate measurement).  Big lock.  After
 * start returns, every later guest or device store is logged.  New bits start clean: the first user sends
 * everything anyway.
 */
enum { GLOBAL_DIRTY_MIGRATION = 1, GLOBAL_DIRTY_DIRTY_RATE = 2, GLOBAL_DIRTY_LIMIT = 4 };
bool memory_global_dirty_log_start(unsigned user, GError **error);
void memory_global_dirty_log_stop(unsigned user);
/* Lets listeners with a log of their own (vhost-like) add it to the bitmaps; call before each take of all RAM. */
void memory_global_dirty_log_sync(void);
unsigned memory_global_dirty_log_users(void);

/* --- address spaces --- */
struct AddressSpace {
    char *name;
    MemoryRegion *root;
    void *current_map; /* FlatView *, RCU */
    GPtrArray *listeners;
};

/* A part of an address space that one region serves. */
typedef struct MemoryRegionSection {
    MemoryRegion *mr; /* never an alias or container */
    hwaddr offset_within_region;
    hwaddr offset_within_address_space;
    uint64_t size; /* UINT64_MAX stands for 2^64 */
    bool readonly;
} MemoryRegionSection;

void address_space_init(AddressSpace *as, MemoryRegion *root, const char *name);
void address_space_destroy(AddressSpace *as);
extern AddressSpace address_space_memory; /* what CPUs and DMA see */
MemoryRegion *get_system_memory(void);    /* its root; exists once memory_init() ran */
void memory_init(void);                   /* once, before any other call */

/*
 * The section at @addr and, in *xlat, the offset in its region; false when nobody is there.  RCU read side: the
 * region stays until the caller's rcu_read_unlock().
 */
bool address_space_translate(AddressSpace *as, hwaddr addr, MemoryRegionSection *section, hwaddr *xlat);

/* Guest byte order is little endian.  Writes to RAM mark it dirty for all clients and drop translated code. */
MemTxResult address_space_read(AddressSpace *as, hwaddr addr, void *buf, uint64_t len);
MemTxResult address_space_write(AddressSpace *as, hwaddr addr, const void *buf, uint64_t len);
/* Like write, but also into ROM: loaders and monitors. */
MemTxResult address_space_write_rom(AddressSpace *as, hwaddr addr, const void *buf, uint64_t len);
MemTxResult address_space_set(AddressSpace *as, hwaddr addr, uint8_t byte, uint64_t len);
/* One access of 1, 2, 4 or 8 bytes, as a CPU makes it (a single callback for MMIO, a single host access for RAM). */
MemTxResult address_space_load(AddressSpace *as, hwaddr addr, unsigned size, uint64_t *value);
MemTxResult address_space_store(AddressSpace *as, hwaddr addr, unsigned size, uint64_t value);
/* Dispatches one access to an I/O region (or ROM device); takes the big lock unless lockless. */
MemTxResult memory_region_dispatch_read(MemoryRegion *mr, hwaddr addr, uint64_t *data, unsigned size);
MemTxResult memory_region_dispatch_write(MemoryRegion *mr, hwaddr addr, uint64_t data, unsigned size);

/* --- listeners: called with the big lock held, in order of .priority --- */
typedef struct MemoryListener MemoryListener;
struct MemoryListener {
    const char *name;
    int priority;
    void (*begin)(MemoryListener *l);
    void (*commit)(MemoryListener *l);
    void (*region_add)(MemoryListener *l, MemoryRegionSection *section);
    void (*region_del)(MemoryListener *l, MemoryRegionSection *section);
    void (*log_start)(MemoryListener *l, MemoryRegionSection *section, uint8_t old_mask, uint8_t new_mask);
    void (*log_stop)(MemoryListener *l, MemoryRegionSection *section, uint8_t old_mask, uint8_t new_mask);
    void (*log_sync)(MemoryListener *l, MemoryRegionSection *section);  /* add a remote log to the bitmaps */
    void (*log_clear)(MemoryListener *l, MemoryRegionSection *section); /* once per range taken, not per page */
    bool (*log_global_start)(MemoryListener *l, GError **error);
    void (*log_global_stop)(MemoryListener *l);
    AddressSpace *address_space; /* owned by memory.c while registered */
};
void memory_listener_register(MemoryListener *listener, AddressSpace *as); /* replays the present topology */
void memory_listener_unregister(MemoryListener *listener);

/* The text of "info mtree". */
void memory_print_tree(GString *out, bool flat);

#endif
