/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's virtio driver in small over the qtest protocol: finds its device, sets up rings, does one request at a time. */
#ifndef TESTS_QTEST_VIRTIO_H
#define TESTS_QTEST_VIRTIO_H

#include "tests/lib/libqtest.h"

#define VIRTIO_SLOTS 8
#define RING_SIZE    8
#define RINGS        UINT64_C(0x80100000)
#define DATA         UINT64_C(0x80200000)

enum { DESC_NEXT = 1, DESC_WRITE = 2 };

typedef struct VDev {
    QTestState *qts;
    uint64_t base;
    bool legacy;
} VDev;

typedef struct VRing {
    VDev *dev;
    unsigned index;
    uint64_t desc, avail, used;
    uint16_t next;
} VRing;

static inline uint32_t vreg(VDev *d, unsigned offset)
{
    return qtest_readl(d->qts, d->base + offset);
}

static inline void vset(VDev *d, unsigned offset, uint32_t value)
{
    qtest_writel(d->qts, d->base + offset, value);
}

/* The slot that holds the device with this id, ready for rings: all features that are offered are taken. */
static inline VDev vdev_begin(QTestState *qts, uint32_t device_id)
{
    VDev d = {.qts = qts};

    for (unsigned i = 0; i < VIRTIO_SLOTS && d.base == 0; i++) {
        uint64_t base = 0x10001000 + i * 0x1000;

        g_assert_cmphex(qtest_readl(qts, base), ==, 0x74726976);
        d.base = qtest_readl(qts, base + 8) == device_id ? base : 0;
    }
    g_assert_cmphex(d.base, !=, 0);
    d.legacy = vreg(&d, 4) == 1;
    if (d.legacy) {
        vset(&d, 0x28, 4096); /* drivers do that before they reset the device */
    }
    vset(&d, 0x70, 0);
    vset(&d, 0x70, 3);
    for (unsigned i = 0; i < 2; i++) {
        vset(&d, 0x14, i);
        vset(&d, 0x24, i);
        vset(&d, 0x20, vreg(&d, 0x10));
    }
    if (!d.legacy) {
        vset(&d, 0x70, 0xb);
        g_assert_cmphex(vreg(&d, 0x70), ==, 0xb);
    }
    return d;
}

static inline VRing vring_setup(VDev *d, unsigned index)
{
    uint64_t at = RINGS + index * 0x4000;
    VRing r = {.dev = d, .index = index, .desc = at, .avail = at + RING_SIZE * 16, .used = at + 4096};

    qtest_memset(d->qts, at, 0, 8192);
    vset(d, 0x30, index);
    vset(d, 0x38, RING_SIZE);
    if (d->legacy) {
        vset(d, 0x3c, 4096);
        vset(d, 0x40, at >> 12);
        return r;
    }
    vset(d, 0x80, r.desc);
    vset(d, 0x90, r.avail);
    vset(d, 0xa0, r.used);
    for (unsigned high = 0x84; high <= 0xa4; high += 0x10) {
        vset(d, high, 0);
    }
    vset(d, 0x44, 1);
    return r;
}

static inline void vdev_ready(VDev *d)
{
    vset(d, 0x70, vreg(d, 0x70) | 4);
}

static inline void vdesc(VRing *r, unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
    QTestState *qts = r->dev->qts;

    qtest_writeq(qts, r->desc + i * 16, addr);
    qtest_writel(qts, r->desc + i * 16 + 8, len);
    qtest_writew(qts, r->desc + i * 16 + 12, flags);
    qtest_writew(qts, r->desc + i * 16 + 14, next);
}

static inline void voffer(VRing *r, uint16_t head)
{
    QTestState *qts = r->dev->qts;

    qtest_writew(qts, r->avail + 4 + 2 * (r->next % RING_SIZE), head);
    qtest_writew(qts, r->avail + 2, ++r->next);
    vset(r->dev, 0x50, r->index);
}

/* Waits until all that was offered is used; returns the length of the last. */
static inline uint32_t vwait(VRing *r)
{
    QTestState *qts = r->dev->qts;
    gint64 end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;

    while (qtest_readw(qts, r->used + 2) != r->next) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
    return qtest_readl(qts, r->used + 4 + 8 * ((uint16_t)(r->next - 1) % RING_SIZE) + 4);
}

#endif
