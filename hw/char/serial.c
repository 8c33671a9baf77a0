/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A 16550A serial port, one byte register after the other.
 *
 *   guest -> THR or transmit FIFO -> TSR -> chardev      chardev -> RBR or receive FIFO -> guest
 *
 * Sending takes no time: a byte leaves as soon as the chardev takes it, and waits in TSR while it does not.
 * The only timer is the one that tells the guest of bytes which lie in the receive FIFO below its trigger
 * level.  Big lock.
 */
#include <string.h>

#include "backend/chardev.h"
#include "system/clock.h"
#include "system/device.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "system/state.h"
#include "util/error.h"
#include "util/trace.h"

TRACE_EVENT(serial_read, "register %u value 0x%02x");
TRACE_EVENT(serial_write, "register %u value 0x%02x");

#define SERIAL_REGISTERS 8
#define SERIAL_FIFO_SIZE 16
#define SERIAL_BAUD_BASE 399193 /* of divider 1, as the board's clock gives it */
#define SERIAL_MAX_RETRY 4

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

enum { IER_RDI = 1, IER_THRI = 2, IER_RLSI = 4, IER_MSI = 8, IER_ALL = 15 };
enum {
    IIR_NONE = 1,
    IIR_ID = 6,
    IIR_MSI = 0,
    IIR_THRI = 2,
    IIR_RDI = 4,
    IIR_RLSI = 6,
    IIR_CTI = 12,
    IIR_FIFO = 0xc0
};
enum { FCR_ENABLE = 1, FCR_CLEAR_RECV = 2, FCR_CLEAR_XMIT = 4, FCR_DMA = 8, FCR_TRIGGER = 0xc0 };
enum { LCR_DLAB = 0x80 };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 16, MCR_ALL = 31 };
enum { LSR_DR = 1, LSR_OE = 2, LSR_BI = 0x10, LSR_ERRORS = 0x1e, LSR_THRE = 0x20, LSR_TEMT = 0x40 };
enum { MSR_DELTAS = 0x0f, MSR_TERI = 4, MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80 };

typedef struct Fifo8 {
    uint8_t data[SERIAL_FIFO_SIZE];
    uint32_t head, num;
} Fifo8;

typedef struct SerialState {
    Device device;
    MemoryRegion mmio;
    IRQ *irq;
    char *chardev_name; /* property */
    /* constant after realize */
    Chardev *chr; /* NULL: nothing is plugged in */
    CharFrontend *fe;
    /* under the big lock */
    uint16_t divider;
    uint8_t rbr, thr, tsr, ier, iir, lcr, mcr, lsr, msr, scr, fcr;
    Fifo8 recv_fifo, xmit_fifo;
    bool tsr_waits;        /* the chardev has not taken TSR yet */
    bool thr_ipending;     /* "transmitter empty" is to be told */
    bool timeout_ipending; /* "bytes lie in the FIFO" is to be told */
    Timer fifo_timeout;
} SerialState;

/* --- FIFOs --- */

static void fifo_reset(Fifo8 *fifo)
{
    fifo->head = fifo->num = 0;
}

static bool fifo_push(Fifo8 *fifo, uint8_t byte)
{
    if (fifo->num == SERIAL_FIFO_SIZE) {
        return false;
    }
    fifo->data[(fifo->head + fifo->num++) % SERIAL_FIFO_SIZE] = byte;
    return true;
}

/* @fifo is not empty. */
static uint8_t fifo_pop(Fifo8 *fifo)
{
    uint8_t byte = fifo->data[fifo->head];

    fifo->head = (fifo->head + 1) % SERIAL_FIFO_SIZE;
    fifo->num--;
    return byte;
}

static unsigned trigger_level(const SerialState *s)
{
    static const uint8_t levels[] = {1, 4, 8, 14};

    return levels[s->fcr >> 6];
}

/* --- interrupts --- */

/* The most urgent reason that is enabled; IIR_NONE without one. */
static uint8_t interrupt_reason(const SerialState *s)
{
    if ((s->ier & IER_RLSI) && (s->lsr & LSR_ERRORS)) {
        return IIR_RLSI;
    }
    if ((s->ier & IER_RDI) && s->timeout_ipending) {
        return IIR_CTI;
    }
    if ((s->ier & IER_RDI) && (s->lsr & LSR_DR) &&
        (!(s->fcr & FCR_ENABLE) || s->recv_fifo.num >= trigger_level(s))) {
        return IIR_RDI;
    }
    if ((s->ier & IER_THRI) && s->thr_ipending) {
        return IIR_THRI;
    }
    if ((s->ier & IER_MSI) && (s->msr & MSR_DELTAS)) {
        return IIR_MSI;
    }
    return IIR_NONE;
}

static void update_irq(SerialState *s)
{
    uint8_t reason = interrupt_reason(s);

    s->iir = reason | (s->iir & IIR_FIFO);
    irq_set(s->irq, reason != IIR_NONE);
}

/* --- receiving --- */

static int64_t char_time_ns(const SerialState *s)
{
    unsigned bits = 1 + 5 + (s->lcr & 3) + ((s->lcr & 4) ? 2 : 1) + ((s->lcr & 8) ? 1 : 0);
    unsigned divider = s->divider ? s->divider : 1;

    return NANOSECONDS_PER_SECOND * bits * divider / SERIAL_BAUD_BASE;
}

static void arm_fifo_timeout(SerialState *s)
{
    timer_mod(&s->fifo_timeout, clock_get_ns(CLOCK_TYPE_VIRTUAL) + 4 * char_time_ns(s));
}

static void fifo_timeout_expired(void *opaque)
{
    SerialState *s = opaque;

    if (s->recv_fifo.num) {
        s->timeout_ipending = true;
        update_irq(s);
    }
}

static void receive_byte(SerialState *s, uint8_t byte)
{
    if (s->fcr & FCR_ENABLE) {
        if (!fifo_push(&s->recv_fifo, byte)) {
            s->lsr |= LSR_OE;
        }
        arm_fifo_timeout(s);
    } else {
        if (s->lsr & LSR_DR) {
            s->lsr |= LSR_OE;
        }
        s->rbr = byte;
    }
    s->lsr |= LSR_DR;
}

static size_t serial_can_receive(void *opaque)
{
    SerialState *s = opaque;

    if (s->mcr & MCR_LOOP) {
        return 0;
    }
    if (s->fcr & FCR_ENABLE) {
        return SERIAL_FIFO_SIZE - s->recv_fifo.num;
    }
    return !(s->lsr & LSR_DR);
}

static void serial_receive(void *opaque, const uint8_t *buf, size_t len)
{
    SerialState *s = opaque;

    for (size_t i = 0; i < len; i++) {
        receive_byte(s, buf[i]);
    }
    update_irq(s);
}

static void serial_event(void *opaque, CharEvent event)
{
    SerialState *s = opaque;

    if (event == CHAR_EVENT_BREAK) {
        receive_byte(s, 0);
        s->lsr |= LSR_BI;
        update_irq(s);
    }
}

static const CharHandlers serial_handlers = {
    .can_read = serial_can_receive,
    .read = serial_receive,
    .event = serial_event,
};

static uint8_t read_data(SerialState *s)
{
    uint8_t byte = s->rbr;

    if (s->fcr & FCR_ENABLE) {
        byte = s->recv_fifo.num ? fifo_pop(&s->recv_fifo) : 0;
        if (s->recv_fifo.num) {
            arm_fifo_timeout(s);
        } else {
            timer_del(&s->fifo_timeout);
            s->lsr &= ~(LSR_DR | LSR_BI);
        }
        s->timeout_ipending = false;
    } else {
        s->lsr &= ~(LSR_DR | LSR_BI);
    }
    update_irq(s);
    if (s->fe && !(s->mcr & MCR_LOOP)) {
        chardev_accept_input(s->fe);
    }
    return byte;
}

/* --- sending --- */

/* Moves the next byte into TSR; false when there is none. */
static bool next_byte(SerialState *s)
{
    if (s->fcr & FCR_ENABLE) {
        if (!s->xmit_fifo.num) {
            return false;
        }
        s->tsr = fifo_pop(&s->xmit_fifo);
        if (s->xmit_fifo.num) {
            return true;
        }
    } else if (s->lsr & LSR_THRE) {
        return false;
    } else {
        s->tsr = s->thr;
    }
    s->lsr |= LSR_THRE;
    s->thr_ipending = true;
    return true;
}

static void transmit(SerialState *s);

/* A byte that waits while the machine stands belongs to who saves or moves the machine, and leaves after it
 * runs. */
static void serial_writable(void *opaque)
{
    SerialState *s = opaque;

    if (runstate_is_running()) {
        transmit(s);
        update_irq(s);
    }
}

static void run_state_changed(void *opaque, bool running, RunState state)
{
    SerialState *s = opaque;

    if (running && s->tsr_waits) {
        chardev_when_writable(s->fe, serial_writable, s);
    }
}

/* Sends TSR; false when the chardev does not take it now. */
static bool send_tsr(SerialState *s)
{
    if (s->mcr & MCR_LOOP) {
        receive_byte(s, s->tsr);
    } else if (s->chr && chardev_write_some(s->chr, &s->tsr, 1) != 1) {
        chardev_when_writable(s->fe, serial_writable, s);
        return false;
    }
    return true;
}

static void transmit(SerialState *s)
{
    while (s->tsr_waits || next_byte(s)) {
        s->lsr &= ~LSR_TEMT;
        s->tsr_waits = !send_tsr(s);
        if (s->tsr_waits) {
            return;
        }
    }
    s->lsr |= LSR_TEMT;
}

static void write_data(SerialState *s, uint8_t value)
{
    s->thr = value;
    if (s->fcr & FCR_ENABLE) {
        /* a full FIFO loses its oldest byte */
        if (s->xmit_fifo.num == SERIAL_FIFO_SIZE) {
            fifo_pop(&s->xmit_fifo);
        }
        fifo_push(&s->xmit_fifo, value);
    }
    s->thr_ipending = false;
    s->lsr &= ~(LSR_THRE | LSR_TEMT);
    update_irq(s);
    if (!s->tsr_waits) {
        transmit(s);
    }
    update_irq(s);
}

/* --- registers --- */

/* In loopback the modem's inputs are its outputs; else a modem is there and ready. */
static uint8_t modem_status(const SerialState *s)
{
    if (!(s->mcr & MCR_LOOP)) {
        return s->msr;
    }
    return ((s->mcr & MCR_RTS) ? MSR_CTS : 0) | ((s->mcr & MCR_DTR) ? MSR_DSR : 0) |
           ((s->mcr & MCR_OUT1) ? MSR_RI : 0) | ((s->mcr & MCR_OUT2) ? MSR_DCD : 0);
}

static uint8_t read_register(SerialState *s, unsigned reg)
{
    bool dlab = s->lcr & LCR_DLAB;
    uint8_t value;

    switch (reg) {
    case REG_DATA:
        return dlab ? s->divider & 0xff : read_data(s);
    case REG_IER:
        return dlab ? s->divider >> 8 : s->ier;
    case REG_IIR_FCR:
        value = s->iir;
        if ((value & IIR_ID) == IIR_THRI && !(value & IIR_NONE)) {
            s->thr_ipending = false;
            update_irq(s);
        }
        return value;
    case REG_LCR:
        return s->lcr;
    case REG_MCR:
        return s->mcr;
    case REG_LSR:
        value = s->lsr;
        if (value & (LSR_BI | LSR_OE)) {
            s->lsr &= ~(LSR_BI | LSR_OE);
            update_irq(s);
        }
        return value;
    case REG_MSR:
        value = modem_status(s);
        if (!(s->mcr & MCR_LOOP) && (value & MSR_DELTAS)) {
            s->msr &= ~MSR_DELTAS;
            update_irq(s);
        }
        return value;
    default:
        return s->scr;
    }
}

static void write_ier(SerialState *s, uint8_t value)
{
    uint8_t enabled = value & ~s->ier;

    s->ier = value & IER_ALL;
    /* enabling it asks at once whether the transmitter is empty */
    if (enabled & IER_THRI) {
        s->thr_ipending = (s->lsr & LSR_THRE) != 0;
    }
    update_irq(s);
}

static void clear_recv_fifo(SerialState *s)
{
    s->lsr &= ~(LSR_DR | LSR_BI);
    timer_del(&s->fifo_timeout);
    s->timeout_ipending = false;
    fifo_reset(&s->recv_fifo);
}

static void clear_xmit_fifo(SerialState *s)
{
    s->lsr |= LSR_THRE;
    s->thr_ipending = true;
    fifo_reset(&s->xmit_fifo);
    if (!s->tsr_waits) {
        s->lsr |= LSR_TEMT;
    }
}

static void write_fcr(SerialState *s, uint8_t value)
{
    bool toggles = (value ^ s->fcr) & FCR_ENABLE;

    if (toggles || (value & FCR_CLEAR_RECV)) {
        clear_recv_fifo(s);
    }
    if (toggles || (value & FCR_CLEAR_XMIT)) {
        clear_xmit_fifo(s);
    }
    s->fcr = (value & FCR_ENABLE) ? value & (FCR_ENABLE | FCR_DMA | FCR_TRIGGER) : 0;
    s->iir = (s->iir & ~IIR_FIFO) | (s->fcr ? IIR_FIFO : 0);
    update_irq(s);
    if (s->fe) {
        chardev_accept_input(s->fe);
    }
}

static void write_mcr(SerialState *s, uint8_t value)
{
    bool loop_ends = (s->mcr & MCR_LOOP) && !(value & MCR_LOOP);

    s->mcr = value & MCR_ALL;
    if (loop_ends && s->fe) {
        chardev_accept_input(s->fe);
    }
}

static void write_register(SerialState *s, unsigned reg, uint8_t value)
{
    bool dlab = s->lcr & LCR_DLAB;

    switch (reg) {
    case REG_DATA:
        if (dlab) {
            s->divider = (s->divider & 0xff00) | value;
        } else {
            write_data(s, value);
        }
        break;
    case REG_IER:
        if (dlab) {
            s->divider = (s->divider & 0x00ff) | value << 8;
        } else {
            write_ier(s, value);
        }
        break;
    case REG_IIR_FCR:
        write_fcr(s, value);
        break;
    case REG_LCR:
        s->lcr = value;
        break;
    case REG_MCR:
        write_mcr(s, value);
        break;
    case REG_SCR:
        s->scr = value;
        break;
    default: /* LSR and MSR are read only */
        break;
    }
}

/* A wide access reaches the register at its address and no other. */
static MemTxResult serial_mmio_read(void *opaque, hwaddr addr, uint64_t *data, unsigned size)
{
    *data = read_register(opaque, addr);
    trace(serial_read, (unsigned)addr, (unsigned)*data);
    return MEMTX_OK;
}

static MemTxResult serial_mmio_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    trace(serial_write, (unsigned)addr, (unsigned)(data & 0xff));
    write_register(opaque, addr, data & 0xff);
    return MEMTX_OK;
}

static const MemoryRegionOps serial_ops = {
    .read = serial_mmio_read,
    .write = serial_mmio_write,
};

/* --- state --- */

static void state_fifo(StateIO *io, Fifo8 *fifo, const char *name)
{
    state_struct_begin(io, name, "Fifo8", 1, -1);
    state_field(io, "data", STATE_TYPE_BUFFER, fifo->data, SERIAL_FIFO_SIZE, 1);
    state_field_range(io, "head", STATE_TYPE_U32, &fifo->head, 0, SERIAL_FIFO_SIZE - 1);
    state_field_range(io, "num", STATE_TYPE_U32, &fifo->num, 0, SERIAL_FIFO_SIZE);
    state_struct_end(io);
}

/* What the registers let expect of the two flags that are not in them. */
static bool expected_thr_ipending(const SerialState *s)
{
    return (s->iir & (IIR_ID | IIR_NONE)) == IIR_THRI;
}

static bool expected_timeout_ipending(const SerialState *s)
{
    return (s->iir & 0xf) == IIR_CTI;
}

static void state_flag(StateIO *io, const char *subsection, const char *name, bool *flag, bool expected,
                       bool matters)
{
    int32_t value = *flag;

    if (state_subsection(io, subsection, 1, matters && *flag != expected)) {
        state_field(io, name, STATE_TYPE_I32, &value, 1, 4);
        state_subsection_end(io);
        *flag = value != 0;
    } else if (state_loading(io)) {
        *flag = expected;
    }
}

static void state_tsr(StateIO *io, SerialState *s)
{
    uint32_t tsr_retry = s->tsr_waits;

    if (state_subsection(io, "serial/tsr", 1, s->tsr_waits)) {
        state_field_range(io, "tsr_retry", STATE_TYPE_U32, &tsr_retry, 0, SERIAL_MAX_RETRY);
        STATE_U8(io, s->thr);
        STATE_U8(io, s->tsr);
        state_subsection_end(io);
    } else if (state_loading(io)) {
        tsr_retry = 0;
    }
    if (state_loading(io)) {
        s->tsr_waits = tsr_retry != 0;
    }
}

static void state_subsections(StateIO *io, SerialState *s)
{
    int32_t poll_msl = -1;
    Timer poll;

    if (state_loading(io)) {
        fifo_reset(&s->recv_fifo);
        fifo_reset(&s->xmit_fifo);
        timer_del(&s->fifo_timeout);
    }
    state_flag(io, "serial/thr_ipending", "thr_ipending", &s->thr_ipending, expected_thr_ipending(s),
               s->ier & IER_THRI);
    state_tsr(io, s);
    if (state_subsection(io, "serial/recv_fifo", 1, s->recv_fifo.num != 0)) {
        state_fifo(io, &s->recv_fifo, "recv_fifo");
        state_subsection_end(io);
    }
    if (state_subsection(io, "serial/xmit_fifo", 1, s->xmit_fifo.num != 0)) {
        state_fifo(io, &s->xmit_fifo, "xmit_fifo");
        state_subsection_end(io);
    }
    if (state_subsection(io, "serial/fifo_timeout_timer", 1, timer_pending(&s->fifo_timeout))) {
        state_timer(io, "fifo_timeout_timer", &s->fifo_timeout);
        state_subsection_end(io);
    }
    state_flag(io, "serial/timeout_ipending", "timeout_ipending", &s->timeout_ipending,
               expected_timeout_ipending(s), s->ier & IER_RDI);
    /* modem lines of a real port, which we never have: read and dropped */
    if (state_subsection(io, "serial/poll", 1, false)) {
        timer_init(&poll, CLOCK_TYPE_VIRTUAL, fifo_timeout_expired, s);
        state_field(io, "poll_msl", STATE_TYPE_I32, &poll_msl, 1, 4);
        state_timer(io, "modem_status_poll", &poll);
        timer_del(&poll);
        state_subsection_end(io);
    }
}

/* A transmitter that was loaded is empty, or waits for the chardev of this machine. */
static void settle_loaded(SerialState *s)
{
    s->ier &= IER_ALL;
    s->mcr &= MCR_ALL;
    s->fcr = (s->fcr & FCR_ENABLE) ? s->fcr & (FCR_ENABLE | FCR_DMA | FCR_TRIGGER) : 0;
    if (!s->fcr) {
        fifo_reset(&s->recv_fifo);
        fifo_reset(&s->xmit_fifo);
    } else {
        s->lsr = s->recv_fifo.num ? s->lsr | LSR_DR : s->lsr & ~LSR_DR;
    }
    s->iir = (s->iir & ~IIR_FIFO) | (s->fcr ? IIR_FIFO : 0);
    s->tsr_waits = s->tsr_waits && s->fe;
    if (s->tsr_waits) {
        chardev_when_writable(s->fe, serial_writable, s);
    } else if (s->xmit_fifo.num) {
        transmit(s);
    } else {
        s->lsr |= LSR_THRE | LSR_TEMT;
    }
    update_irq(s);
    if (s->fe) {
        chardev_accept_input(s->fe);
    }
}

static void serial_state(StateIO *io, void *opaque)
{
    SerialState *s = opaque;

    state_struct_begin(io, "serial", "serial", 3, -1);
    STATE_U16(io, s->divider);
    STATE_U8(io, s->rbr);
    STATE_U8(io, s->ier);
    STATE_U8(io, s->iir);
    STATE_U8(io, s->lcr);
    STATE_U8(io, s->mcr);
    STATE_U8(io, s->lsr);
    STATE_U8(io, s->msr);
    STATE_U8(io, s->scr);
    state_field(io, "fcr_vmstate", STATE_TYPE_U8, &s->fcr, 1, 1);
    state_subsections(io, s);
    state_struct_end(io);
    if (state_loading(io)) {
        settle_loaded(s);
    }
}

static const StateSection serial_state_section = {
    .name = "serial",
    .version = 3,
    .min_version = 3,
    .fields = serial_state,
};

/* --- life --- */

static void serial_reset(Device *dev)
{
    SerialState *s = (SerialState *)dev;

    if (s->fe) {
        chardev_when_writable(s->fe, NULL, NULL);
    }
    timer_del(&s->fifo_timeout);
    fifo_reset(&s->recv_fifo);
    fifo_reset(&s->xmit_fifo);
    s->divider = 12;
    s->rbr = s->thr = s->tsr = s->ier = s->lcr = s->scr = s->fcr = 0;
    s->iir = IIR_NONE;
    s->mcr = MCR_OUT2;
    s->lsr = LSR_TEMT | LSR_THRE;
    s->msr = MSR_DCD | MSR_DSR | MSR_CTS;
    s->tsr_waits = s->thr_ipending = s->timeout_ipending = false;
    update_irq(s);
    if (s->fe) {
        chardev_accept_input(s->fe);
    }
}

static bool serial_realize(Device *dev, GError **error)
{
    SerialState *s = (SerialState *)dev;

    if (s->chardev_name) {
        s->chr = chardev_find(s->chardev_name);
        if (!s->chr) {
            return fail(error, "there is no chardev '%s'", s->chardev_name);
        }
        s->fe = chardev_attach(s->chr, &serial_handlers, s, NULL, error);
        if (!s->fe) {
            return false;
        }
    }
    timer_init(&s->fifo_timeout, CLOCK_TYPE_VIRTUAL, fifo_timeout_expired, s);
    vm_state_change_add(run_state_changed, s);
    device_init_irq_out(dev, &s->irq, NULL, 1);
    memory_region_init_io(&s->mmio, dev, &serial_ops, s, "serial", SERIAL_REGISTERS);
    device_init_mmio(dev, &s->mmio);
    return true;
}

static const Field serial_properties[] = {
    F_STRING(SerialState, chardev_name, "chardev", .optional = true,
             .help = "where the bytes go to and come from"),
    FIELD_END,
};

DEVICE_TYPE(serial_type, .name = "serial-mm", .help = "16550A serial port", .category = "input",
            .instance_size = sizeof(SerialState), .properties = serial_properties, .realize = serial_realize,
            .reset = serial_reset, .state = &serial_state_section);
