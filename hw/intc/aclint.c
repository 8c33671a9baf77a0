/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Software interrupts and the machine timer of RISC-V: two devices, which lie side by side as a CLINT or
 * stand alone as an ACLINT.
 *
 *   - riscv.aclint.swi: a word per hart; bit 0 is the hart's software interrupt line.  As SSWI a write of 1
 *     sets the supervisor's pending bit, which only the hart itself clears, and reads give 0.
 *   - riscv.aclint.mtimer: mtimecmp per hart, and mtime for all of them (system/guest-time.h).
 *
 * An armed mtimecmp is a timer on the virtual clock, so it stands while the machine stands.  Big lock, except
 * that a hart interrupts another one without it: that is on the path of every TLB shootdown and every
 * wake-up.
 */
#include "system/clock.h"
#include "system/cpu.h"
#include "system/device.h"
#include "system/guest-time.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "system/state.h"
#include "util/atomic.h"
#include "util/bits.h"
#include "util/compiler.h"
#include "util/error.h"
#include "util/trace.h"

TRACE_EVENT(aclint_bad_access, "%s offset 0x%" PRIx64 " value 0x%" PRIx64);

#define ACLINT_MAX_HARTS 4095
#define CSR_MIP          0x344
#define MIP_MSIP         (1u << 3)

/* --- software interrupts --- */

#define SWI_SIZE 0x4000

typedef struct SwiState {
    Device device;
    MemoryRegion mmio;
    /* properties */
    uint32_t hartid_base, num_harts;
    bool sswi;
    /* constant after realize */
    IRQ **lines;
} SwiState;

/* The bit lives in the hart, which carries it in its state: ask there. */
static uint64_t msip_of(const SwiState *s, unsigned n)
{
    CPUState *cpu = cpu_get(s->hartid_base + n);
    uint64_t mip;

    if (cpu && cpu->ops->get_csr && cpu->ops->get_csr(cpu, CSR_MIP, &mip)) {
        return (mip & MIP_MSIP) != 0;
    }
    return s->lines[n] ? s->lines[n]->level : 0;
}

static bool lock_unless_held(void)
{
    if (bql_locked()) {
        return false;
    }
    bql_lock();
    return true;
}

static MemTxResult swi_read(void *opaque, hwaddr addr, uint64_t *data, unsigned size)
{
    const SwiState *s = opaque;
    bool locked = lock_unless_held();

    *data = addr / 4 < s->num_harts && !s->sswi ? msip_of(s, addr / 4) : 0;
    if (locked) {
        bql_unlock();
    }
    return MEMTX_OK;
}

static bool needs_lock(const CPUState *cpu, const IRQ *line)
{
    return !cpu || !cpu->ops->set_irq_any_thread || line->observer;
}

/* Writers of the same line race as they would on the bus: the line ends at the level of one of them. */
static void set_line(const SwiState *s, unsigned n, int level)
{
    IRQ *line = s->lines[n];
    bool locked;

    if (!line) {
        return;
    }
    if (needs_lock(cpu_get(s->hartid_base + n), line)) {
        locked = lock_unless_held();
        irq_set(line, level);
        if (locked) {
            bql_unlock();
        }
    } else {
        atomic_set(&line->level, level);
        line->handler(line->opaque, line->n, level);
    }
}

static MemTxResult swi_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    SwiState *s = opaque;
    unsigned n = addr / 4;

    if (n >= s->num_harts) {
        trace(aclint_bad_access, "write", addr, data);
    } else if (!s->sswi || (data & 1)) {
        set_line(s, n, data & 1);
    }
    return MEMTX_OK;
}

static const MemoryRegionOps swi_ops = {
    .read = swi_read,
    .write = swi_write,
    .valid = {.min_access_size = 4, .max_access_size = 4},
    .lockless = true,
};

static void swi_reset(Device *dev)
{
    SwiState *s = (SwiState *)dev;

    for (unsigned i = 0; i < s->num_harts && !s->sswi; i++) {
        irq_lower(s->lines[i]);
    }
}

static bool check_harts(uint32_t num_harts, GError **error)
{
    return (num_harts > 0 && num_harts <= ACLINT_MAX_HARTS) ||
           fail(error, "num-harts must lie in 1 to %d", ACLINT_MAX_HARTS);
}

static bool swi_realize(Device *dev, GError **error)
{
    SwiState *s = (SwiState *)dev;

    if (!check_harts(s->num_harts, error)) {
        return false;
    }
    s->lines = g_new0(IRQ *, s->num_harts);
    device_init_irq_out(dev, s->lines, NULL, s->num_harts);
    memory_region_init_io(&s->mmio, dev, &swi_ops, s, "riscv.aclint.swi", SWI_SIZE);
    device_init_mmio(dev, &s->mmio);
    return true;
}

static const Field swi_properties[] = {
    F_U32(SwiState, hartid_base, "hartid-base", .help = "first hart that is served"),
    F_U32(SwiState, num_harts, "num-harts", .default_value = "1", .help = "how many harts are served"),
    F_BOOL(SwiState, sswi, "sswi", .help = "interrupts of the supervisor instead of the machine"),
    FIELD_END,
};

DEVICE_TYPE(aclint_swi_type, .name = "riscv.aclint.swi", .help = "software interrupts", .category = "misc",
            .instance_size = sizeof(SwiState), .properties = swi_properties, .realize = swi_realize,
            .reset = swi_reset);

/* --- the machine timer --- */

#define MTIMER_SIZE 0x8000
#define MTIMER_TIME 0x7ff8

typedef struct MtimerState MtimerState;

typedef struct MtimerHart {
    MtimerState *mtimer;
    unsigned n;
    Timer timer; /* armed while mtimecmp lies ahead */
} MtimerHart;

struct MtimerState {
    Device device;
    MemoryRegion mmio;
    GuestTimeNotifier time_notifier;
    /* properties */
    uint32_t hartid_base, num_harts;
    /* constant after realize */
    IRQ **lines;
    MtimerHart *harts;
    /* under the big lock */
    uint64_t *timecmp;
};

/* Sets the line to mtime >= mtimecmp, and arms the timer for when that becomes true. */
static void update_hart(MtimerState *s, unsigned n)
{
    int64_t expire_ns;

    if (guest_time_get() >= s->timecmp[n]) {
        timer_del(&s->harts[n].timer);
        irq_raise(s->lines[n]);
        return;
    }
    irq_lower(s->lines[n]);
    expire_ns = guest_time_to_ns(s->timecmp[n]);
    if (expire_ns == INT64_MAX) {
        timer_del(&s->harts[n].timer);
    } else {
        timer_mod(&s->harts[n].timer, expire_ns);
    }
}

static void update_all(MtimerState *s)
{
    for (unsigned i = 0; i < s->num_harts; i++) {
        update_hart(s, i);
    }
}

static void timer_expired(void *opaque)
{
    MtimerHart *hart = opaque;

    update_hart(hart->mtimer, hart->n);
}

static void guest_time_changed(GuestTimeNotifier *notifier)
{
    update_all(container_of(notifier, MtimerState, time_notifier));
}

/* The part of the 64-bit register @value that an access of @size at @addr sees. */
static uint64_t read_part(uint64_t value, hwaddr addr, unsigned size)
{
    return size == 8 ? value : (uint32_t)(value >> (addr & 4) * 8);
}

static uint64_t write_part(uint64_t old, hwaddr addr, uint64_t data, unsigned size)
{
    return size == 8 ? data : deposit64(old, (addr & 4) * 8, 32, data);
}

static MemTxResult mtimer_read(void *opaque, hwaddr addr, uint64_t *data, unsigned size)
{
    const MtimerState *s = opaque;

    if (addr / 8 < s->num_harts) {
        *data = read_part(s->timecmp[addr / 8], addr, size);
    } else if (addr >= MTIMER_TIME) {
        *data = read_part(guest_time_get(), addr, size);
    } else {
        trace(aclint_bad_access, "read", addr, UINT64_C(0));
        *data = 0;
    }
    return MEMTX_OK;
}

static MemTxResult mtimer_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    MtimerState *s = opaque;
    uint64_t now;

    if (addr / 8 < s->num_harts) {
        s->timecmp[addr / 8] = write_part(s->timecmp[addr / 8], addr, data, size);
        update_hart(s, addr / 8);
    } else if (addr >= MTIMER_TIME) {
        now = guest_time_get();
        guest_time_set_delta(guest_time_get_delta() + (int64_t)(write_part(now, addr, data, size) - now));
    } else {
        trace(aclint_bad_access, "write", addr, data);
    }
    return MEMTX_OK;
}

static const MemoryRegionOps mtimer_ops = {
    .read = mtimer_read,
    .write = mtimer_write,
    .valid = {.min_access_size = 4, .max_access_size = 8},
};

static void mtimer_reset(Device *dev)
{
    MtimerState *s = (MtimerState *)dev;

    for (unsigned i = 0; i < s->num_harts; i++) {
        s->timecmp[i] = UINT64_MAX;
    }
    guest_time_set_delta(0);
    update_all(s);
}

/* The delta is what the guest made of mtime by writing it; QEMU 10.0 loses it. */
static void mtimer_state(StateIO *io, void *opaque)
{
    MtimerState *s = opaque;
    int64_t delta = guest_time_get_delta();

    STATE_U64S(io, s->timecmp, s->num_harts);
    if (state_subsection(io, "riscv_mtimer/time_delta", 1, state_native(io) && delta != 0)) {
        STATE_I64(io, delta);
        state_subsection_end(io);
    } else if (state_loading(io)) {
        delta = 0;
    }
    if (state_loading(io)) {
        guest_time_set_delta(delta);
        update_all(s);
    }
}

static const StateSection mtimer_state_section = {
    .name = "riscv_mtimer",
    .version = 1,
    .min_version = 1,
    .fields = mtimer_state,
};

static bool mtimer_realize(Device *dev, GError **error)
{
    MtimerState *s = (MtimerState *)dev;

    if (!check_harts(s->num_harts, error)) {
        return false;
    }
    s->timecmp = g_new0(uint64_t, s->num_harts);
    s->lines = g_new0(IRQ *, s->num_harts);
    s->harts = g_new0(MtimerHart, s->num_harts);
    for (unsigned i = 0; i < s->num_harts; i++) {
        s->harts[i] = (MtimerHart){.mtimer = s, .n = i};
        timer_init(&s->harts[i].timer, CLOCK_TYPE_VIRTUAL, timer_expired, &s->harts[i]);
    }
    s->time_notifier.changed = guest_time_changed;
    guest_time_add_notifier(&s->time_notifier);
    device_init_irq_out(dev, s->lines, NULL, s->num_harts);
    memory_region_init_io(&s->mmio, dev, &mtimer_ops, s, "riscv.aclint.mtimer", MTIMER_SIZE);
    device_init_mmio(dev, &s->mmio);
    return true;
}

static const Field mtimer_properties[] = {
    F_U32(MtimerState, hartid_base, "hartid-base", .help = "first hart that is served"),
    F_U32(MtimerState, num_harts, "num-harts", .default_value = "1", .help = "how many harts are served"),
    FIELD_END,
};

DEVICE_TYPE(aclint_mtimer_type, .name = "riscv.aclint.mtimer", .help = "machine timer", .category = "misc",
            .instance_size = sizeof(MtimerState), .properties = mtimer_properties, .realize = mtimer_realize,
            .reset = mtimer_reset, .state = &mtimer_state_section);
