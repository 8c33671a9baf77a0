/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's virtio driver in small: it speaks to the registers of a slot and keeps its rings in RAM. */
#ifndef TESTS_UNIT_VIRTIO_DRIVER_H
#define TESTS_UNIT_VIRTIO_DRIVER_H

#include <string.h>

#include "api/field.h"
#include "hw/virtio.h"
#include "system/runstate.h"
#include "util/bswap.h"

#define RAM_BASE  UINT64_C(0x80000000)
#define RAM_BYTES (UINT64_C(16) << 20)
#define RINGS     (RAM_BASE + 0x100000)
#define DATA      (RAM_BASE + 0x200000)
#define RING_SIZE 16

enum { MODERN = 0, LEGACY = 1 };
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

typedef struct Slot {
    Device *dev;
    hwaddr base;
    IRQ irq;
    int level;
    Device *child;
} Slot;

typedef struct Ring {
    Slot *slot;
    unsigned index;
    hwaddr desc, avail, used;
    uint16_t next, seen; /* what we offered, what we took back */
} Ring;

extern MemoryRegion ram;

void machine_setup(void);
uint8_t *host(hwaddr addr);
Slot *slot_new(bool legacy);
/* A slot with a device in it, as after "-device TEXT". */
Slot *slot_with(bool legacy, const char *text);
uint32_t reg(const Slot *s, unsigned offset);
void set_reg(const Slot *s, unsigned offset, uint32_t value);

/* Up to DRIVER_OK with all features that are offered, but for those in @without. */
void driver_begin(Slot *s, uint64_t without);
void driver_ready(Slot *s);
/* The rings of queue @index live at @at (three pages). */
Ring ring_setup(Slot *s, unsigned index, hwaddr at);
void put_desc(hwaddr table, unsigned i, hwaddr addr, uint32_t len, uint16_t flags, uint16_t next);
void offer(Ring *r, uint16_t head);
void kick(Ring *r);
uint16_t used_index(const Ring *r);
/* Waits for the next request to come back; returns the bytes written. */
uint32_t wait_used(Ring *r);
/* Turns the main loop until nothing happens any more. */
void settle(void);

/* A disk of 1 MiB; each sector is full of its number. */
Slot *disk_with(bool legacy, const char *more);
Ring fresh_disk(Slot **slot);
/* Puts a request at descriptors 0..2: header, @len bytes of data, status. */
void put_request(hwaddr table, uint32_t type, uint64_t sector, uint32_t len, bool device_writes);
/* Its status. */
uint8_t do_request(Ring *r, uint32_t type, uint64_t sector, uint32_t len, bool device_writes);

void add_hostile_tests(void);
void add_net_tests(void);
void add_state_tests(void);
void add_turn_tests(void);

#endif
