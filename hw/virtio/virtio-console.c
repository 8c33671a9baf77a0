/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-serial and its ports (virtio 1.2, 5.3): "virtconsole" is a terminal, "virtserialport" a plain
 * channel with a name, each connected to a character device.
 *
 * Port 0 has queues 0 (to the guest) and 1 (from it), the control messages have 2 and 3, port n > 0 has 2n +
 * 2 and 2n + 3.  Input for the guest is taken from the chardev only as far as the guest has given buffers.
 * Output that the chardev does not take now stays in its request.
 */
#include "hw/virtio.h"

#include <string.h>

#include "backend/chardev.h"
#include "util/bswap.h"
#include "util/error.h"

enum { CONSOLE_F_SIZE = 0, CONSOLE_F_MULTIPORT = 1, CONSOLE_F_EMERG_WRITE = 2 };

enum {
    MSG_DEVICE_READY = 0,
    MSG_PORT_ADD = 1,
    MSG_PORT_REMOVE = 2,
    MSG_PORT_READY = 3,
    MSG_CONSOLE_PORT = 4,
    MSG_RESIZE = 5,
    MSG_PORT_OPEN = 6,
    MSG_PORT_NAME = 7,
};

#define MAX_PORTS     31
#define CONFIG_SIZE   12 /* cols, rows, max_nr_ports, emerg_wr */
#define MSG_SIZE      8  /* port, event, value */
#define MSG_QUEUE_MAX 1024
#define INPUT_MAX     4096       /* bytes taken from the chardev at once */
#define OUTPUT_MAX    (16 << 20) /* bytes of one request: far above what drivers put into one */
#define OUTPUT_TURN   (1 << 20)  /* bytes written before others have their turn */

typedef struct SerialPort SerialPort;

typedef struct VirtIOSerial {
    VirtIODevice vdev;
    uint32_t max_ports; /* property */
    bool emergency_write;
    Bus *bus;
    /* big lock */
    VirtQueue *control_in, *control_out;
    SerialPort *ports[MAX_PORTS];
    GQueue *messages; /* of GBytes *: for the guest, waiting for buffers */
} VirtIOSerial;

struct SerialPort {
    Device dev;
    /* properties */
    char *chardev_id, *name;
    uint32_t nr; /* UINT32_MAX: the first free one */
    /* constant after realize */
    VirtIOSerial *serial;
    bool is_console;
    Chardev *chr;
    CharFrontend *fe;
    VirtQueue *in, *out;
    /* big lock */
    bool guest_connected, host_connected;
    VirtQueueElement *elem; /* output half written */
    size_t elem_done;
};

static const BusOps serial_bus_ops = {.type = "virtio-serial-bus", .hotplug = true};

/* --- control messages to the guest --- */

static void flush_messages(VirtIOSerial *s)
{
    GBytes *msg;

    while (virtio_is_live(&s->vdev) && (msg = g_queue_peek_head(s->messages))) {
        VirtQueueElement *elem = virtqueue_pop(s->control_in);
        gsize size;
        const void *data = g_bytes_get_data(msg, &size);
        size_t done;

        if (!elem) {
            return;
        }
        done = virtio_iov_from_buf(elem->in_sg, elem->in_num, 0, data, size);
        virtqueue_push(s->control_in, elem, done);
        virtio_notify(&s->vdev, s->control_in);
        g_bytes_unref(g_queue_pop_head(s->messages));
    }
}

static bool multiport(const VirtIOSerial *s)
{
    return virtio_has_feature(&s->vdev, CONSOLE_F_MULTIPORT);
}

static void send_message(VirtIOSerial *s, uint32_t port, uint16_t event, uint16_t value, const char *text)
{
    size_t len = text ? strlen(text) : 0;
    uint8_t *msg;

    if (!multiport(s) || s->messages->length >= MSG_QUEUE_MAX) {
        return;
    }
    msg = g_malloc(MSG_SIZE + len);
    stl_le_p(msg, port);
    stw_le_p(msg + 4, event);
    stw_le_p(msg + 6, value);
    if (len > 0) {
        memcpy(msg + MSG_SIZE, text, len);
    }
    g_queue_push_tail(s->messages, g_bytes_new_take(msg, MSG_SIZE + len));
    flush_messages(s);
}

static void forget_messages(VirtIOSerial *s)
{
    GBytes *msg;

    while ((msg = g_queue_pop_head(s->messages))) {
        g_bytes_unref(msg);
    }
}

/* --- input: chardev to guest --- */

static bool guest_listens(const SerialPort *p)
{
    return virtio_is_live(&p->serial->vdev) && virtqueue_is_ready(p->in) &&
           (p->guest_connected || !multiport(p->serial));
}

static size_t port_can_read(void *opaque)
{
    SerialPort *p = opaque;
    size_t room;

    if (!guest_listens(p)) {
        return 0;
    }
    room = virtqueue_room(p->in, INPUT_MAX);
    if (room == 0) {
        virtqueue_set_notification(p->in, true);
        room = virtqueue_room(p->in, INPUT_MAX); /* still none: the guest's kick asks for input again */
    }
    return room;
}

static void port_read(void *opaque, const uint8_t *buf, size_t len)
{
    SerialPort *p = opaque;
    VirtQueueElement *elem;

    while (len > 0 && (elem = virtqueue_pop(p->in))) {
        size_t done = virtio_iov_from_buf(elem->in_sg, elem->in_num, 0, buf, len);

        virtqueue_push(p->in, elem, done);
        buf += done;
        len -= done;
    }
    virtio_notify(&p->serial->vdev, p->in);
}

/* --- output: guest to chardev --- */

static void write_output(SerialPort *p);

static void chardev_ready(void *opaque)
{
    write_output(opaque);
}

/* Whether all of p->elem is out; writes at most *turn bytes, and takes them off. */
static bool write_element(SerialPort *p, size_t *turn)
{
    size_t skip = p->elem_done;

    for (unsigned i = 0; i < p->elem->out_num; i++) {
        const struct iovec *iov = &p->elem->out_sg[i];
        size_t n;

        if (skip >= iov->iov_len) {
            skip -= iov->iov_len;
            continue;
        }
        n = chardev_write_some(p->chr, (const char *)iov->iov_base + skip, MIN(iov->iov_len - skip, *turn));
        p->elem_done += n;
        *turn -= n;
        if (n < iov->iov_len - skip) {
            return false;
        }
        skip = 0;
    }
    return true;
}

/* Makes the next request, unless there is one, the present one. */
static bool take_output(SerialPort *p)
{
    size_t bytes;

    if (p->elem) {
        return true;
    }
    p->elem = virtqueue_pop(p->out);
    p->elem_done = 0;
    if (!p->elem) {
        return false;
    }
    bytes = virtio_iov_size(p->elem->out_sg, p->elem->out_num);
    if (bytes > OUTPUT_MAX) {
        virtio_error(&p->serial->vdev, "a request to write %zu bytes, where %d is the limit", bytes, OUTPUT_MAX);
        virtqueue_drop(p->out, p->elem);
        p->elem = NULL;
        return false;
    }
    return true;
}

static void write_output(SerialPort *p)
{
    size_t turn = OUTPUT_TURN;

    for (unsigned i = 0; i < VIRTQUEUE_TURN && turn > 0; i++) {
        if (!virtio_is_live(&p->serial->vdev) || !take_output(p)) {
            return;
        }
        if (p->chr && !write_element(p, &turn)) {
            if (turn > 0) {
                chardev_when_writable(p->fe, chardev_ready, p);
                return;
            }
            break;
        }
        virtqueue_push(p->out, p->elem, 0);
        p->elem = NULL;
        virtio_notify(&p->serial->vdev, p->out);
    }
    virtqueue_again(p->out);
}

/* What is half out goes out whole now: a request in flight cannot travel. */
static void finish_output(SerialPort *p)
{
    if (!p->elem) {
        return;
    }
    for (unsigned i = 0; p->chr && i < p->elem->out_num; i++) {
        const struct iovec *iov = &p->elem->out_sg[i];
        size_t part = MIN(p->elem_done, iov->iov_len);

        p->elem_done -= part;
        chardev_write(p->chr, (const char *)iov->iov_base + part, iov->iov_len - part);
    }
    virtqueue_push(p->out, p->elem, 0);
    p->elem = NULL;
    virtio_notify(&p->serial->vdev, p->out);
}

/* --- queues --- */

static SerialPort *port_of_queue(VirtIOSerial *s, const VirtQueue *vq)
{
    for (unsigned i = 0; i < MAX_PORTS; i++) {
        if (s->ports[i] && (s->ports[i]->in == vq || s->ports[i]->out == vq)) {
            return s->ports[i];
        }
    }
    return NULL;
}

static void discard_output(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtQueueElement *elem;
    unsigned served = 0;

    while (served < VIRTQUEUE_TURN && (elem = virtqueue_pop(vq))) {
        virtqueue_push(vq, elem, 0);
        served++;
    }
    virtio_notify(vdev, vq);
    if (served == VIRTQUEUE_TURN) {
        virtqueue_again(vq);
    }
}

static void handle_port_out(VirtIODevice *vdev, VirtQueue *vq)
{
    SerialPort *p = port_of_queue((VirtIOSerial *)vdev, vq);

    if (p) {
        write_output(p);
    } else {
        discard_output(vdev, vq);
    }
}

static void handle_port_in(VirtIODevice *vdev, VirtQueue *vq)
{
    SerialPort *p = port_of_queue((VirtIOSerial *)vdev, vq);

    if (p && p->fe) {
        chardev_accept_input(p->fe);
    }
}

static void set_guest_connected(SerialPort *p, bool connected)
{
    p->guest_connected = connected;
    if (connected && p->fe) {
        chardev_accept_input(p->fe);
    }
}

static void announce_port(SerialPort *p)
{
    if (p->is_console) {
        send_message(p->serial, p->nr, MSG_CONSOLE_PORT, 1, NULL);
    }
    if (p->name) {
        send_message(p->serial, p->nr, MSG_PORT_NAME, 1, p->name);
    }
    if (p->host_connected) {
        send_message(p->serial, p->nr, MSG_PORT_OPEN, 1, NULL);
    }
}

static void device_ready(VirtIOSerial *s)
{
    for (unsigned i = 0; i < s->max_ports; i++) {
        if (s->ports[i]) {
            send_message(s, i, MSG_PORT_ADD, 1, NULL);
        }
    }
}

static void control_message(VirtIOSerial *s, uint32_t port, uint16_t event, uint16_t value)
{
    SerialPort *p = port < s->max_ports ? s->ports[port] : NULL;

    if (event == MSG_DEVICE_READY) {
        if (value) {
            device_ready(s);
        }
        return;
    }
    if (!p) {
        return;
    }
    if (event == MSG_PORT_READY && value) {
        announce_port(p);
    } else if (event == MSG_PORT_OPEN) {
        set_guest_connected(p, value != 0);
    }
}

static void handle_control_out(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOSerial *s = (VirtIOSerial *)vdev;
    VirtQueueElement *elem;
    unsigned served = 0;

    while (served < VIRTQUEUE_TURN && (elem = virtqueue_pop(vq))) {
        uint8_t msg[MSG_SIZE];

        if (virtio_iov_to_buf(elem->out_sg, elem->out_num, 0, msg, sizeof(msg)) == sizeof(msg)) {
            control_message(s, ldl_le_p(msg), lduw_le_p(msg + 4), lduw_le_p(msg + 6));
        }
        virtqueue_push(vq, elem, 0);
        served++;
    }
    virtio_notify(vdev, vq);
    if (served == VIRTQUEUE_TURN) {
        virtqueue_again(vq);
    }
}

static void handle_control_in(VirtIODevice *vdev, VirtQueue *vq)
{
    flush_messages((VirtIOSerial *)vdev);
}

/* --- the device --- */

static uint64_t serial_get_features(VirtIODevice *vdev, uint64_t features)
{
    VirtIOSerial *s = (VirtIOSerial *)vdev;

    features |= s->emergency_write ? VIRTIO_FEATURE(CONSOLE_F_EMERG_WRITE) : 0;
    return features | (s->max_ports > 1 ? VIRTIO_FEATURE(CONSOLE_F_MULTIPORT) : 0);
}

static void serial_get_config(VirtIODevice *vdev, uint8_t *config)
{
    memset(config, 0, CONFIG_SIZE);
    stl_le_p(config + 4, ((VirtIOSerial *)vdev)->max_ports);
}

static SerialPort *first_console(VirtIOSerial *s)
{
    for (unsigned i = 0; i < MAX_PORTS; i++) {
        if (s->ports[i] && s->ports[i]->is_console) {
            return s->ports[i];
        }
    }
    return NULL;
}

/* A byte that a driver without queues has to say. */
static void serial_set_config(VirtIODevice *vdev, const uint8_t *config)
{
    VirtIOSerial *s = (VirtIOSerial *)vdev;
    SerialPort *p = first_console(s);
    uint8_t byte = config[8];

    if (s->emergency_write && byte && p && p->chr) {
        chardev_write(p->chr, &byte, 1);
    }
    s->vdev.config[8] = 0;
}

static void serial_set_status(VirtIODevice *vdev, uint8_t status)
{
    VirtIOSerial *s = (VirtIOSerial *)vdev;

    /* without control messages nobody can say that the guest listens: it does */
    if ((status & VIRTIO_STATUS_DRIVER_OK) && !multiport(s) && s->ports[0]) {
        set_guest_connected(s->ports[0], true);
    }
}

static void serial_reset(VirtIODevice *vdev)
{
    VirtIOSerial *s = (VirtIOSerial *)vdev;

    forget_messages(s);
    for (unsigned i = 0; i < MAX_PORTS; i++) {
        SerialPort *p = s->ports[i];

        if (!p) {
            continue;
        }
        p->guest_connected = false;
        if (p->elem) {
            virtqueue_drop(p->out, p->elem);
            p->elem = NULL;
        }
        if (p->fe) {
            chardev_when_writable(p->fe, NULL, NULL);
        }
    }
}

static void serial_vm_running(VirtIODevice *vdev, bool running)
{
    VirtIOSerial *s = (VirtIOSerial *)vdev;

    for (unsigned i = 0; i < MAX_PORTS; i++) {
        SerialPort *p = s->ports[i];

        if (!p) {
            continue;
        }
        if (!running) {
            finish_output(p);
            continue;
        }
        write_output(p);
        if (p->fe) {
            chardev_accept_input(p->fe);
        }
    }
    if (running) {
        flush_messages(s);
    }
}

static void port_state(StateIO *io, VirtIOSerial *s, uint32_t id, SerialPort *p)
{
    uint8_t guest_connected = p && p->guest_connected, host_connected = p && p->host_connected;
    uint32_t elem_popped = 0;

    STATE_U8(io, guest_connected);
    STATE_U8(io, host_connected);
    STATE_U32(io, elem_popped);
    if (!state_loading(io)) {
        return;
    }
    if (!p) {
        state_fail(io, "port %u is open there but does not exist here", id);
        return;
    }
    if (elem_popped) {
        state_fail(io, "port %u has a request in flight, which cannot be loaded", id);
        return;
    }
    p->guest_connected = guest_connected;
    if (p->host_connected != (host_connected != 0)) {
        send_message(s, id, MSG_PORT_OPEN, p->host_connected, NULL);
    }
}

static void ports_state(StateIO *io, VirtIOSerial *s)
{
    uint32_t n_ports = 0;

    for (unsigned i = 0; i < MAX_PORTS; i++) {
        n_ports += s->ports[i] != NULL;
    }
    STATE_U32_RANGE(io, n_ports, 0, MAX_PORTS);
    for (unsigned i = 0, at = 0; i < n_ports && !state_failed(io); i++, at++) {
        uint32_t id;

        while (!state_loading(io) && at < MAX_PORTS && !s->ports[at]) {
            at++;
        }
        id = at;
        STATE_U32_RANGE(io, id, 0, MAX_PORTS - 1);
        if (!state_failed(io)) {
            port_state(io, s, id, s->ports[id]);
        }
    }
}

static void serial_state(StateIO *io, VirtIODevice *vdev)
{
    VirtIOSerial *s = (VirtIOSerial *)vdev;
    uint16_t cols = 0, rows = 0;
    uint32_t max_nr_ports = s->max_ports, ports_map = 0, here;

    for (unsigned i = 0; i < MAX_PORTS; i++) {
        ports_map |= s->ports[i] ? 1u << i : 0;
    }
    here = ports_map;
    STATE_U16(io, cols);
    STATE_U16(io, rows);
    STATE_U32(io, max_nr_ports);
    if (state_loading(io) && (max_nr_ports > 32 || max_nr_ports == 0)) {
        state_fail(io, "it has up to %u ports", max_nr_ports);
    }
    STATE_U32(io, ports_map);
    if (state_loading(io) && ports_map != here) {
        state_fail(io, "it has the ports 0x%x, the device here 0x%x", ports_map, here);
    }
    ports_state(io, s);
}

static const VirtIOOps serial_ops = {
    .name = "virtio-console",
    .device_id = VIRTIO_ID_CONSOLE,
    .get_features = serial_get_features,
    .get_config = serial_get_config,
    .set_config = serial_set_config,
    .set_status = serial_set_status,
    .reset = serial_reset,
    .vm_running = serial_vm_running,
    .state = serial_state,
};

static bool serial_realize(Device *dev, GError **error)
{
    VirtIOSerial *s = (VirtIOSerial *)dev;
    g_autofree char *name = g_strdup_printf("%s.0", dev->id ? dev->id : "virtio-serial");

    if (s->max_ports == 0 || s->max_ports > MAX_PORTS) {
        return fail(error, "max_ports %u is not between 1 and %u", s->max_ports, MAX_PORTS);
    }
    s->messages = g_queue_new();
    virtio_init(&s->vdev, &serial_ops, CONFIG_SIZE);
    for (unsigned i = 0; i <= s->max_ports; i++) {
        bool control = i == 1;
        VirtQueue *in = virtio_add_queue(&s->vdev, control ? 32 : 128,
                                         control ? handle_control_in : handle_port_in, NULL);
        VirtQueue *out = virtio_add_queue(&s->vdev, control ? 32 : 128,
                                          control ? handle_control_out : handle_port_out, NULL);

        if (control) {
            s->control_in = in;
            s->control_out = out;
        }
    }
    s->bus = bus_new(dev, &serial_bus_ops, name);
    return true;
}

static void serial_unrealize(Device *dev)
{
    VirtIOSerial *s = (VirtIOSerial *)dev;

    forget_messages(s);
    g_queue_free(s->messages);
    virtio_cleanup(&s->vdev);
}

/* --- ports --- */

static void port_event(void *opaque, CharEvent event)
{
    SerialPort *p = opaque;
    bool connected = event == CHAR_EVENT_OPENED;

    if ((event != CHAR_EVENT_OPENED && event != CHAR_EVENT_CLOSED) || p->is_console ||
        connected == p->host_connected) {
        return; /* a console is always there */
    }
    p->host_connected = connected;
    send_message(p->serial, p->nr, MSG_PORT_OPEN, connected, NULL);
}

static const CharHandlers port_handlers = {.can_read = port_can_read, .read = port_read, .event = port_event};

static bool choose_number(SerialPort *p, GError **error)
{
    VirtIOSerial *s = p->serial;
    uint32_t nr = p->nr;

    if (nr == UINT32_MAX) {
        /* port 0 belongs to consoles: drivers of old take it for one */
        for (nr = p->is_console ? 0 : 1; nr < s->max_ports && s->ports[nr]; nr++) {
        }
    }
    if (nr >= s->max_ports) {
        return fail(error, "there are only %u ports", s->max_ports);
    }
    if (s->ports[nr]) {
        return fail(error, "port %u is taken", nr);
    }
    p->nr = nr;
    return true;
}

static bool port_attach(SerialPort *p, GError **error)
{
    if (!p->chardev_id) {
        return true;
    }
    p->chr = chardev_find(p->chardev_id);
    if (!p->chr) {
        return fail(error, "there is no character device '%s'", p->chardev_id);
    }
    p->fe = chardev_attach(p->chr, &port_handlers, p, NULL, error);
    return p->fe != NULL;
}

static bool port_realize(Device *dev, GError **error)
{
    SerialPort *p = (SerialPort *)dev;
    VirtIOSerial *s = (VirtIOSerial *)dev->parent_bus->owner;
    unsigned first;

    p->serial = s;
    p->is_console = g_str_equal(dev->type->name, "virtconsole");
    if (!choose_number(p, error) || !port_attach(p, error)) {
        return false;
    }
    first = p->nr == 0 ? 0 : p->nr * 2 + 2;
    p->in = virtio_queue(&s->vdev, first);
    p->out = virtio_queue(&s->vdev, first + 1);
    p->host_connected = p->is_console || (p->chr && chardev_is_connected(p->chr));
    s->ports[p->nr] = p;
    send_message(s, p->nr, MSG_PORT_ADD, 1, NULL);
    return true;
}

static void port_unrealize(Device *dev)
{
    SerialPort *p = (SerialPort *)dev;

    send_message(p->serial, p->nr, MSG_PORT_REMOVE, 1, NULL);
    if (p->elem) {
        virtqueue_push(p->out, p->elem, 0);
        p->elem = NULL;
    }
    p->serial->ports[p->nr] = NULL;
    chardev_detach(p->fe);
}

static const Field serial_properties[] = {
    VIRTIO_COMMON_PROPERTIES(VirtIOSerial, vdev),
    F_U32(VirtIOSerial, max_ports, "max_ports", .optional = true, .default_value = "31"),
    F_BOOL(VirtIOSerial, emergency_write, "emergency-write", .optional = true, .default_value = "on"),
    FIELD_END,
};

static const Field port_properties[] = {
    F_STRING(SerialPort, chardev_id, "chardev", .optional = true, .help = "id of a character device"),
    F_STRING(SerialPort, name, "name", .optional = true, .help = "how the guest finds the port"),
    F_U32(SerialPort, nr, "nr", .optional = true, .default_value = "4294967295"),
    FIELD_END,
};

static const StateSection serial_section = VIRTIO_STATE_SECTION("virtio-console", 3);

DEVICE_TYPE(device_type_virtio_serial, .name = "virtio-serial-device", .help = "serial ports and consoles",
            .bus = "virtio-bus", .category = "input", .user_creatable = true,
            .instance_size = sizeof(VirtIOSerial), .properties = serial_properties, .realize = serial_realize,
            .unrealize = serial_unrealize, .reset = virtio_device_reset, .state = &serial_section);

DEVICE_TYPE(device_type_virtconsole, .name = "virtconsole", .help = "a console of a virtio-serial device",
            .bus = "virtio-serial-bus", .category = "input", .user_creatable = true, .hotpluggable = true,
            .instance_size = sizeof(SerialPort), .properties = port_properties, .realize = port_realize,
            .unrealize = port_unrealize);

DEVICE_TYPE(device_type_virtserialport, .name = "virtserialport",
            .help = "a channel of a virtio-serial device", .bus = "virtio-serial-bus", .category = "input",
            .user_creatable = true, .hotpluggable = true, .instance_size = sizeof(SerialPort),
            .properties = port_properties, .realize = port_realize, .unrealize = port_unrealize);
