/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accesses to an address space: finding the region, touching RAM, calling devices.
 *
 * RAM is touched under the RCU read side.  For a device the read side is left before the big lock is waited
 * for (a thread that has the big lock may wait for a grace period's callbacks), and the address is looked up
 * again after.
 */
#include "memory-internal.h"

#include <string.h>

#include "system/ram-gate.h"
#include "system/runstate.h"
#include "util/bswap.h"

/* --- devices --- */

static unsigned limit_or(uint8_t limit, unsigned otherwise)
{
    return limit ? limit : otherwise;
}

static bool access_valid(const MemoryRegionOps *ops, hwaddr addr, unsigned size)
{
    return size >= limit_or(ops->valid.min_access_size, 1) &&
           size <= limit_or(ops->valid.max_access_size, 8) &&
           (ops->valid.unaligned || IS_ALIGNED(addr, size));
}

static uint64_t low_bytes(uint64_t value, unsigned size)
{
    return size >= 8 ? value : value & ((UINT64_C(1) << (size * 8)) - 1);
}

/* What the callbacks get for an access of @size. */
static unsigned callback_size(const MemoryRegionOps *ops, unsigned size)
{
    unsigned min = limit_or(ops->impl.min_access_size, 1);
    unsigned max = limit_or(ops->impl.max_access_size, 8);

    return MAX(MIN(size, max), min);
}

static MemTxResult call_read(MemoryRegion *mr, hwaddr addr, uint64_t *data, unsigned size)
{
    *data = 0;
    return mr->ops->read ? mr->ops->read(mr->opaque, addr, data, size) : MEMTX_OK;
}

static MemTxResult call_write(MemoryRegion *mr, hwaddr addr, uint64_t data, unsigned size)
{
    return mr->ops->write ? mr->ops->write(mr->opaque, addr, data, size) : MEMTX_OK;
}

static MemTxResult read_pieces(MemoryRegion *mr, hwaddr addr, uint64_t *data, unsigned size)
{
    unsigned step = callback_size(mr->ops, size);
    MemTxResult result = MEMTX_OK;
    uint64_t piece;

    if (step > size) {
        hwaddr base = ROUND_DOWN(addr, step);

        result = call_read(mr, base, &piece, step);
        *data = low_bytes(piece >> ((addr - base) * 8), size);
        return result;
    }
    *data = 0;
    for (unsigned i = 0; i < size; i += step) {
        result |= call_read(mr, addr + i, &piece, step);
        *data |= low_bytes(piece, step) << (i * 8);
    }
    return result;
}

static MemTxResult write_pieces(MemoryRegion *mr, hwaddr addr, uint64_t data, unsigned size)
{
    unsigned step = callback_size(mr->ops, size);
    MemTxResult result = MEMTX_OK;

    data = low_bytes(data, size);
    if (step > size) {
        hwaddr base = ROUND_DOWN(addr, step);

        return call_write(mr, base, data << ((addr - base) * 8), step);
    }
    for (unsigned i = 0; i < size; i += step) {
        result |= call_write(mr, addr + i, low_bytes(data >> (i * 8), step), step);
    }
    return result;
}

/* Whether this call took it. */
static bool lock_for_callbacks(const MemoryRegion *mr)
{
    if (mr->ops->lockless || bql_locked()) {
        return false;
    }
    bql_lock();
    return true;
}

MemTxResult memory_region_dispatch_read(MemoryRegion *mr, hwaddr addr, uint64_t *data, unsigned size)
{
    MemTxResult result;
    bool locked;

    *data = 0;
    if (!mr->ops || !access_valid(mr->ops, addr, size)) {
        return MEMTX_ERROR;
    }
    locked = lock_for_callbacks(mr);
    result = read_pieces(mr, addr, data, size);
    if (locked) {
        bql_unlock();
    }
    return result;
}

MemTxResult memory_region_dispatch_write(MemoryRegion *mr, hwaddr addr, uint64_t data, unsigned size)
{
    MemTxResult result;
    bool locked;

    if (!mr->ops) {
        return mr->ram_block ? MEMTX_OK : MEMTX_ERROR; /* a store to ROM is ignored */
    }
    if (!access_valid(mr->ops, addr, size)) {
        return MEMTX_ERROR;
    }
    locked = lock_for_callbacks(mr);
    result = write_pieces(mr, addr, data, size);
    if (locked) {
        bql_unlock();
    }
    return result;
}

/* --- RAM: an aligned access of a power of two is a single host access --- */

static void ram_copy_in(uint8_t *host, const void *buf, uint64_t len)
{
    if (!((uintptr_t)host & (len - 1))) {
        switch (len) {
        case 1:
            atomic_set(host, ldub_p(buf));
            return;
        case 2:
            atomic_set((uint16_t *)host, lduw_he_p(buf));
            return;
        case 4:
            atomic_set((uint32_t *)host, ldl_he_p(buf));
            return;
        case 8:
            atomic_set((uint64_t *)host, ldq_he_p(buf));
            return;
        }
    }
    memcpy(host, buf, len);
}

static void ram_copy_out(void *buf, const uint8_t *host, uint64_t len)
{
    if (!((uintptr_t)host & (len - 1))) {
        switch (len) {
        case 1:
            stb_p(buf, atomic_read(host));
            return;
        case 2:
            stw_he_p(buf, atomic_read((const uint16_t *)host));
            return;
        case 4:
            stl_he_p(buf, atomic_read((const uint32_t *)host));
            return;
        case 8:
            stq_he_p(buf, atomic_read((const uint64_t *)host));
            return;
        }
    }
    memcpy(buf, host, len);
}

/* --- one address space --- */

bool address_space_translate(AddressSpace *as, hwaddr addr, MemoryRegionSection *section, hwaddr *xlat)
{
    const FlatRange *range = flatview_lookup(address_space_flatview(as), addr);
    uint64_t size;

    if (!range) {
        return false;
    }
    size = range->last - range->start + 1;
    *section = (MemoryRegionSection){
        .mr = range->mr,
        .offset_within_region = range->offset_in_region,
        .offset_within_address_space = range->start,
        .size = size ? size : UINT64_MAX,
        .readonly = range->readonly,
    };
    if (xlat) {
        *xlat = addr - range->start + range->offset_in_region;
    }
    return true;
}

/* A place in an address space and how far it goes. */
typedef struct Place {
    MemoryRegion *mr;
    hwaddr xlat;
    uint64_t len;
    bool direct;
} Place;

typedef enum AccessKind { ACCESS_READ, ACCESS_WRITE, ACCESS_WRITE_ROM } AccessKind;

static bool find_place(AddressSpace *as, hwaddr addr, uint64_t len, AccessKind kind, Place *place)
{
    const FlatRange *range = flatview_lookup(address_space_flatview(as), addr);

    if (!range) {
        return false;
    }
    place->mr = range->mr;
    place->xlat = addr - range->start + range->offset_in_region;
    place->len = MIN(len - 1, range->last - addr) + 1;
    if (kind == ACCESS_WRITE_ROM) {
        place->direct = memory_region_is_ram(range->mr);
    } else {
        place->direct = memory_region_is_direct(range->mr, kind == ACCESS_WRITE) &&
                        (kind == ACCESS_READ || !range->readonly);
    }
    return true;
}

/* Where nobody is, up to the next that is somebody. */
static uint64_t hole_length(AddressSpace *as, hwaddr addr, uint64_t len)
{
    const FlatView *view = address_space_flatview(as);

    for (unsigned i = 0; i < view->n; i++) {
        if (view->ranges[i].start > addr) {
            return MIN(len, view->ranges[i].start - addr);
        }
    }
    return len;
}

/* The widest access that is aligned, allowed and not longer than what is left. */
static unsigned device_access_size(const MemoryRegion *mr, hwaddr xlat, uint64_t len)
{
    unsigned max = mr->ops ? limit_or(mr->ops->valid.max_access_size, 8) : 8;
    unsigned size = 1;

    while (size * 2 <= max && size * 2 <= len && IS_ALIGNED(xlat, size * 2)) {
        size *= 2;
    }
    return size;
}

static MemTxResult device_access(const Place *place, void *buf, unsigned size, AccessKind kind)
{
    uint8_t bytes[8] = {0};
    MemTxResult result;
    uint64_t data;

    if (kind == ACCESS_READ) {
        result = memory_region_dispatch_read(place->mr, place->xlat, &data, size);
        stq_le_p(bytes, data);
        memcpy(buf, bytes, size);
        return result;
    }
    memcpy(bytes, buf, size);
    return memory_region_dispatch_write(place->mr, place->xlat, ldq_le_p(bytes), size);
}

static bool needs_big_lock(const Place *place)
{
    return !place->direct && place->mr->ops && !place->mr->ops->lockless && !bql_locked();
}

static bool same_place(const Place *a, const Place *b)
{
    return a->mr == b->mr && a->xlat == b->xlat && a->len == b->len && a->direct == b->direct;
}

/*
 * Waits for the gate outside of the read side, and looks again after.  False: there is nobody any more, or what is
 * there is out of reach for good.
 */
static bool pass_gate(AddressSpace *as, hwaddr addr, uint64_t len, AccessKind kind, Place *place)
{
    Place passed;

    do {
        RAMBlock *block = place->mr->ram_block;
        bool ok = ram_block_try_ref(block);

        passed = *place;
        rcu_read_unlock();
        if (ok) {
            ok = kind == ACCESS_READ ? ram_gate_pass_read(block, passed.xlat, passed.len)
                                     : ram_gate_pass_write(block, passed.xlat, passed.len);
            ram_block_unref(block);
        }
        rcu_read_lock();
        if (!ok || !find_place(as, addr, len, kind, place)) {
            return false;
        }
    } while (place->direct && !same_place(place, &passed));
    return true;
}

/*
 * Finds the place and enters the read side; for a device that needs the big lock takes that first and looks
 * again. leave_place() undoes both, whether somebody was found or not.
 */
static bool enter_place(AddressSpace *as, hwaddr addr, uint64_t len, AccessKind kind, Place *place,
                        bool *locked)
{
    bool found;

    *locked = false;
    rcu_read_lock();
    found = find_place(as, addr, len, kind, place);
    if (found && place->direct && ram_gate_closed()) {
        found = pass_gate(as, addr, len, kind, place);
    }
    if (found && needs_big_lock(place)) {
        rcu_read_unlock();
        bql_lock();
        *locked = true;
        rcu_read_lock();
        found = find_place(as, addr, len, kind, place);
    }
    return found;
}

static void leave_place(bool locked)
{
    rcu_read_unlock();
    if (locked) {
        bql_unlock();
    }
}

static void ram_access(const Place *place, void *buf, uint64_t len, AccessKind kind)
{
    RAMBlock *block = place->mr->ram_block;

    if (kind == ACCESS_READ) {
        ram_copy_out(buf, block->host + place->xlat, len);
    } else {
        ram_copy_in(block->host + place->xlat, buf, len);
        ram_block_written(block, place->xlat, len);
    }
}

/* Does the first piece of an access; returns its length. */
static uint64_t access_piece(AddressSpace *as, hwaddr addr, uint8_t *buf, uint64_t len, AccessKind kind,
                             MemTxResult *result)
{
    bool locked;
    Place place;

    if (!enter_place(as, addr, len, kind, &place, &locked)) {
        len = hole_length(as, addr, len);
        if (kind == ACCESS_READ) {
            memset(buf, 0, len);
        }
        *result |= MEMTX_DECODE_ERROR;
    } else if (place.direct) {
        len = place.len;
        ram_access(&place, buf, len, kind);
    } else {
        len = device_access_size(place.mr, place.xlat, place.len);
        *result |= device_access(&place, buf, len, kind);
    }
    leave_place(locked);
    return len;
}

static MemTxResult access_all(AddressSpace *as, hwaddr addr, void *buf, uint64_t len, AccessKind kind)
{
    MemTxResult result = MEMTX_OK;
    uint8_t *at = buf;

    while (len) {
        uint64_t done = access_piece(as, addr, at, len, kind, &result);

        addr += done;
        at += done;
        len -= done;
    }
    return result;
}

MemTxResult address_space_read(AddressSpace *as, hwaddr addr, void *buf, uint64_t len)
{
    return access_all(as, addr, buf, len, ACCESS_READ);
}

MemTxResult address_space_write(AddressSpace *as, hwaddr addr, const void *buf, uint64_t len)
{
    return access_all(as, addr, (void *)buf, len, ACCESS_WRITE);
}

MemTxResult address_space_write_rom(AddressSpace *as, hwaddr addr, const void *buf, uint64_t len)
{
    return access_all(as, addr, (void *)buf, len, ACCESS_WRITE_ROM);
}

MemTxResult address_space_set(AddressSpace *as, hwaddr addr, uint8_t byte, uint64_t len)
{
    MemTxResult result = MEMTX_OK;
    uint8_t buf[TARGET_PAGE_SIZE];

    memset(buf, byte, sizeof(buf));
    while (len) {
        uint64_t step = MIN(len, sizeof(buf) - (addr & (sizeof(buf) - 1)));

        result |= address_space_write(as, addr, buf, step);
        addr += step;
        len -= step;
    }
    return result;
}

/*
 * One access within one region: the device's limits decide.  False when the region ends inside it, or nobody
 * is there.
 */
static bool single_access(AddressSpace *as, hwaddr addr, unsigned size, uint64_t *value, AccessKind kind,
                          MemTxResult *result)
{
    uint8_t bytes[8];
    bool locked, done;
    Place place;

    done = enter_place(as, addr, size, kind, &place, &locked) && place.len == size;
    if (done && !place.direct) {
        *result = kind == ACCESS_READ ? memory_region_dispatch_read(place.mr, place.xlat, value, size)
                                      : memory_region_dispatch_write(place.mr, place.xlat, *value, size);
    } else if (done) {
        stq_le_p(bytes, kind == ACCESS_READ ? 0 : *value);
        ram_access(&place, bytes, size, kind);
        *value = ldq_le_p(bytes);
        *result = MEMTX_OK;
    }
    leave_place(locked);
    return done;
}

MemTxResult address_space_load(AddressSpace *as, hwaddr addr, unsigned size, uint64_t *value)
{
    uint8_t bytes[8] = {0};
    MemTxResult result;

    if (single_access(as, addr, size, value, ACCESS_READ, &result)) {
        return result;
    }
    result = address_space_read(as, addr, bytes, size);
    *value = ldq_le_p(bytes);
    return result;
}

MemTxResult address_space_store(AddressSpace *as, hwaddr addr, unsigned size, uint64_t value)
{
    uint8_t bytes[8];
    MemTxResult result;

    if (single_access(as, addr, size, &value, ACCESS_WRITE, &result)) {
        return result;
    }
    stq_le_p(bytes, value);
    return address_space_write(as, addr, bytes, size);
}
