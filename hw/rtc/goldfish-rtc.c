/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Goldfish real-time clock: nanoseconds since 1970 in two halves, and one alarm.
 *
 * The guest's time is the host's wall clock plus an offset, so it is right again after the machine stood for
 * a while.  Reading the low half latches the high one.  Big lock.
 */
#include "system/clock.h"
#include "system/device.h"
#include "system/memory.h"
#include "system/state.h"
#include "util/bits.h"
#include "util/trace.h"

TRACE_EVENT(goldfish_rtc_bad_access, "%s offset 0x%" PRIx64);

#define RTC_SIZE 0x24

enum {
    RTC_TIME_LOW = 0x00,
    RTC_TIME_HIGH = 0x04,
    RTC_ALARM_LOW = 0x08,
    RTC_ALARM_HIGH = 0x0c,
    RTC_IRQ_ENABLED = 0x10,
    RTC_CLEAR_ALARM = 0x14,
    RTC_ALARM_STATUS = 0x18,
    RTC_CLEAR_INTERRUPT = 0x1c,
};

typedef struct GoldfishRtcState {
    Device device;
    MemoryRegion mmio;
    IRQ *irq;
    Timer timer; /* on the host's clock */
    /* under the big lock */
    uint64_t tick_offset;
    uint64_t alarm_next;
    uint32_t alarm_running, irq_pending, irq_enabled, time_high;
} GoldfishRtcState;

static uint64_t now(const GoldfishRtcState *s)
{
    return s->tick_offset + (uint64_t)clock_get_ns(CLOCK_TYPE_HOST);
}

static void update_irq(GoldfishRtcState *s)
{
    irq_set(s->irq, s->irq_pending & s->irq_enabled);
}

static void clear_alarm(GoldfishRtcState *s)
{
    timer_del(&s->timer);
    s->alarm_running = 0;
}

static void raise_alarm(void *opaque)
{
    GoldfishRtcState *s = opaque;

    s->alarm_running = 0;
    s->irq_pending = 1;
    update_irq(s);
}

static void set_alarm(GoldfishRtcState *s)
{
    uint64_t expire_ns = s->alarm_next - s->tick_offset, time = now(s);

    clear_alarm(s);
    if (s->alarm_next <= time) {
        raise_alarm(s);
        return;
    }
    s->alarm_running = 1;
    /* with an offset below zero a far time may look like one long ago */
    if (s->alarm_next - time < INT64_MAX && expire_ns < INT64_MAX) {
        timer_mod(&s->timer, expire_ns);
    }
}

static MemTxResult rtc_read(void *opaque, hwaddr addr, uint64_t *data, unsigned size)
{
    GoldfishRtcState *s = opaque;
    uint64_t time;

    switch (addr) {
    case RTC_TIME_LOW:
        time = now(s);
        s->time_high = time >> 32;
        *data = (uint32_t)time;
        break;
    case RTC_TIME_HIGH:
        *data = s->time_high;
        break;
    case RTC_ALARM_LOW:
        *data = (uint32_t)s->alarm_next;
        break;
    case RTC_ALARM_HIGH:
        *data = s->alarm_next >> 32;
        break;
    case RTC_IRQ_ENABLED:
        *data = s->irq_enabled;
        break;
    case RTC_ALARM_STATUS:
        *data = s->alarm_running;
        break;
    default:
        trace(goldfish_rtc_bad_access, "read", addr);
        *data = 0;
    }
    return MEMTX_OK;
}

static void set_time_half(GoldfishRtcState *s, int shift, uint32_t value)
{
    uint64_t time = now(s);

    s->tick_offset += deposit64(time, shift, 32, value) - time;
}

static MemTxResult rtc_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    GoldfishRtcState *s = opaque;

    switch (addr) {
    case RTC_TIME_LOW:
        set_time_half(s, 0, data);
        break;
    case RTC_TIME_HIGH:
        set_time_half(s, 32, data);
        break;
    case RTC_ALARM_LOW: /* written last: starts the alarm */
        s->alarm_next = deposit64(s->alarm_next, 0, 32, data);
        set_alarm(s);
        break;
    case RTC_ALARM_HIGH:
        s->alarm_next = deposit64(s->alarm_next, 32, 32, data);
        break;
    case RTC_IRQ_ENABLED:
        s->irq_enabled = data & 1;
        update_irq(s);
        break;
    case RTC_CLEAR_ALARM:
        clear_alarm(s);
        break;
    case RTC_CLEAR_INTERRUPT:
        s->irq_pending = 0;
        update_irq(s);
        break;
    default:
        trace(goldfish_rtc_bad_access, "write", addr);
    }
    return MEMTX_OK;
}

static const MemoryRegionOps rtc_ops = {
    .read = rtc_read,
    .write = rtc_write,
    .valid = {.min_access_size = 4, .max_access_size = 4},
};

/* tick_offset_vmstate belongs to version 2 of the section; the peer sends zero there. */
static void rtc_state(StateIO *io, void *opaque)
{
    GoldfishRtcState *s = opaque;
    uint64_t tick_offset_vmstate = 0;

    STATE_U64(io, tick_offset_vmstate);
    STATE_U64(io, s->alarm_next);
    STATE_U32_RANGE(io, s->alarm_running, 0, 1);
    STATE_U32_RANGE(io, s->irq_pending, 0, 1);
    STATE_U32_RANGE(io, s->irq_enabled, 0, 1);
    STATE_U32(io, s->time_high);
    STATE_U64(io, s->tick_offset);
    if (state_loading(io)) {
        timer_del(&s->timer);
        if (s->alarm_running) {
            set_alarm(s);
        }
        update_irq(s);
    }
}

static const StateSection rtc_state_section = {
    .name = "goldfish_rtc",
    .version = 3,
    .min_version = 3,
    .fields = rtc_state,
};

static void rtc_reset(Device *dev)
{
    GoldfishRtcState *s = (GoldfishRtcState *)dev;

    timer_del(&s->timer);
    s->tick_offset = s->alarm_next = 0;
    s->alarm_running = s->irq_pending = s->irq_enabled = s->time_high = 0;
    update_irq(s);
}

static bool rtc_realize(Device *dev, GError **error)
{
    GoldfishRtcState *s = (GoldfishRtcState *)dev;

    timer_init(&s->timer, CLOCK_TYPE_HOST, raise_alarm, s);
    device_init_irq_out(dev, &s->irq, NULL, 1);
    memory_region_init_io(&s->mmio, dev, &rtc_ops, s, "goldfish_rtc", RTC_SIZE);
    device_init_mmio(dev, &s->mmio);
    return true;
}

DEVICE_TYPE(goldfish_rtc_type, .name = "goldfish_rtc", .help = "real-time clock", .category = "misc",
            .instance_size = sizeof(GoldfishRtcState), .realize = rtc_realize, .reset = rtc_reset,
            .state = &rtc_state_section);
