/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of the qtest protocol: one row each, one line of text in, one line out.
 *
 * A handler returns false when its words make no sense or the machine cannot do it; the reply is then "FAIL"
 * and why.
 */
#include "monitor/qtest.h"

#include <inttypes.h>
#include <string.h>

#include "api/field.h"
#include "system/accel.h"
#include "system/clock.h"
#include "system/cpu.h"
#include "system/device.h"
#include "system/memory.h"
#include "util/error.h"

enum { TRANSFER_MAX = 64 << 20, WORDS_MAX = 8 };

typedef struct Line {
    char *word[WORDS_MAX];
    int n;
    GString *reply; /* behind "OK": begins with a space, or is empty */
    uint64_t arg;   /* of the row */
} Line;

static Device *intercepted;
static bool intercepted_out;
static GHashTable *irq_levels; /* line number -> level last reported */
static void (*notify_func)(const char *line);

void qtest_set_notify(void (*notify)(const char *line))
{
    notify_func = notify;
    g_clear_pointer(&irq_levels, g_hash_table_unref); /* a new peer has heard of no line */
}

static AddressSpace *memory(void)
{
    CPUState *cpu = cpu_get(0);

    return cpu && cpu->as ? cpu->as : &address_space_memory;
}

static bool number(const Line *line, int i, uint64_t *value, GError **error)
{
    if (i >= line->n) {
        return fail(error, "argument %d is missing", i);
    }
    if (line->word[i][0] == '-') {
        bool ok = parse_u64(line->word[i] + 1, value, error);
        *value = -*value;
        return ok;
    }
    return parse_u64(line->word[i], value, error);
}

static bool address_and_size(const Line *line, uint64_t *addr, uint64_t *size, GError **error)
{
    if (!number(line, 1, addr, error) || !number(line, 2, size, error)) {
        return false;
    }
    return *size <= TRANSFER_MAX || fail(error, "size %" PRIu64 " is too large", *size);
}

/* --- memory --- */

static bool do_read_value(Line *line, GError **error)
{
    uint64_t addr, value = 0;

    if (!number(line, 1, &addr, error)) {
        return false;
    }
    address_space_load(memory(), addr, line->arg, &value);
    g_string_append_printf(line->reply, " 0x%016" PRIx64, value);
    return true;
}

static bool do_write_value(Line *line, GError **error)
{
    uint64_t addr, value;

    if (!number(line, 1, &addr, error) || !number(line, 2, &value, error)) {
        return false;
    }
    address_space_store(memory(), addr, line->arg, value);
    return true;
}

/* There are no I/O ports: reads see a bus that nobody drives. */
static bool do_port_read(Line *line, GError **error)
{
    uint64_t addr;

    if (!number(line, 1, &addr, error)) {
        return false;
    }
    g_string_append_printf(line->reply, " 0x%04" PRIx64, (UINT64_C(1) << 8 * line->arg) - 1);
    return true;
}

static bool do_port_write(Line *line, GError **error)
{
    uint64_t addr, value;

    return number(line, 1, &addr, error) && number(line, 2, &value, error);
}

static bool read_block(Line *line, uint8_t **data, uint64_t *size, GError **error)
{
    uint64_t addr;

    if (!address_and_size(line, &addr, size, error)) {
        return false;
    }
    *data = g_malloc0(MAX(*size, 1));
    address_space_read(memory(), addr, *data, *size);
    return true;
}

static bool do_read(Line *line, GError **error)
{
    static const char digits[] = "0123456789abcdef";
    g_autofree uint8_t *data = NULL;
    uint64_t size;

    if (!read_block(line, &data, &size, error)) {
        return false;
    }
    gsize at = line->reply->len + 3;
    g_string_append(line->reply, " 0x");
    g_string_set_size(line->reply, at + 2 * size);
    for (uint64_t i = 0; i < size; i++) {
        line->reply->str[at + 2 * i] = digits[data[i] >> 4];
        line->reply->str[at + 2 * i + 1] = digits[data[i] & 15];
    }
    return true;
}

static bool do_b64read(Line *line, GError **error)
{
    g_autofree uint8_t *data = NULL;
    uint64_t size;

    if (!read_block(line, &data, &size, error)) {
        return false;
    }
    g_autofree char *text = g_base64_encode(data, size);
    g_string_append_printf(line->reply, " %s", text);
    return true;
}

/* Bytes that @hex is too short for are zero. */
static bool do_write(Line *line, GError **error)
{
    uint64_t addr, size;

    if (!address_and_size(line, &addr, &size, error)) {
        return false;
    }
    if (line->n < 4 || !g_str_has_prefix(line->word[3], "0x")) {
        return fail(error, "data of the form 0x... is missing");
    }
    const char *hex = line->word[3] + 2;
    size_t digits = strlen(hex);
    g_autofree uint8_t *data = g_malloc0(MAX(size, 1));
    for (uint64_t i = 0; i < size && 2 * i + 1 < digits; i++) {
        int high = g_ascii_xdigit_value(hex[2 * i]), low = g_ascii_xdigit_value(hex[2 * i + 1]);
        if (high < 0 || low < 0) {
            return fail(error, "data is not hexadecimal");
        }
        data[i] = (uint8_t)(high << 4 | low);
    }
    address_space_write(memory(), addr, data, size);
    return true;
}

static bool do_b64write(Line *line, GError **error)
{
    uint64_t addr, size;
    gsize decoded;

    if (!address_and_size(line, &addr, &size, error)) {
        return false;
    }
    if (line->n < 4) {
        return fail(error, "data is missing");
    }
    g_autofree guchar *data = g_base64_decode(line->word[3], &decoded);
    if (decoded != size) {
        return fail(error, "size is %" PRIu64 " but the data has %zu bytes", size, (size_t)decoded);
    }
    address_space_write(memory(), addr, data, size);
    return true;
}

static bool do_memset(Line *line, GError **error)
{
    uint64_t addr, size, byte;

    if (!number(line, 1, &addr, error) || !number(line, 2, &size, error) || !number(line, 3, &byte, error)) {
        return false;
    }
    address_space_set(memory(), addr, (uint8_t)byte, size);
    return true;
}

static bool do_endianness(Line *line, GError **error)
{
    g_string_append(line->reply, " little");
    return true;
}

/* --- time --- */

static bool time_is_ours(GError **error)
{
    return qtest_enabled() ||
           fail(error, "time passes by itself: only the qtest accelerator lets a test set it");
}

static bool do_clock_step(Line *line, GError **error)
{
    int64_t now = clock_get_ns(CLOCK_TYPE_VIRTUAL), target = clock_virtual_next_expire_ns();
    uint64_t step;

    if (!time_is_ours(error)) {
        return false;
    }
    if (line->n > 1) {
        if (!number(line, 1, &step, error)) {
            return false;
        }
        if (step > (uint64_t)(INT64_MAX - now)) {
            return fail(error, "time does not go that far");
        }
        target = now + (int64_t)step;
    }
    now = clock_virtual_advance_to(MAX(target, now));
    g_string_append_printf(line->reply, " %" PRId64, now);
    return true;
}

static bool do_clock_set(Line *line, GError **error)
{
    uint64_t target;

    if (!time_is_ours(error) || !number(line, 1, &target, error)) {
        return false;
    }
    if (target > INT64_MAX) {
        return fail(error, "time does not go that far");
    }
    g_string_append_printf(line->reply, " %" PRId64, clock_virtual_advance_to((int64_t)target));
    return true;
}

/* --- interrupts --- */

static void report_irq(void *opaque, int n, int level)
{
    int known = irq_levels ? GPOINTER_TO_INT(g_hash_table_lookup(irq_levels, GINT_TO_POINTER(n))) : 0;

    if (!notify_func || (known != 0) == (level != 0)) {
        return;
    }
    if (!irq_levels) {
        irq_levels = g_hash_table_new(NULL, NULL);
    }
    g_hash_table_insert(irq_levels, GINT_TO_POINTER(n), GINT_TO_POINTER(level != 0));
    g_autofree char *text = g_strdup_printf("IRQ %s %d\n", level ? "raise" : "lower", n);
    notify_func(text);
}

static Device *device(const Line *line, int i, GError **error)
{
    if (i >= line->n) {
        return fail_null(error, "the path of a device is missing");
    }
    Device *dev = device_by_path_or_id(line->word[i]);
    return dev ? dev : fail_null(error, "device '%s' is unknown", line->word[i]);
}

static const char *line_name(const Line *line, int i)
{
    const char *name = i < line->n ? line->word[i] : NULL;

    return name && strcmp(name, "unnamed-gpio-in") && strcmp(name, "unnamed-gpio-out") ? name : NULL;
}

static bool do_irq_intercept(Line *line, GError **error)
{
    bool out = line->arg;
    Device *dev = device(line, 1, error);

    if (!dev) {
        return false;
    }
    if (intercepted) {
        return (intercepted == dev && intercepted_out == out) ||
               fail(error, "the interrupts of another device are intercepted already");
    }
    if (!device_intercept_irqs(dev, line_name(line, 2), out, report_irq, NULL)) {
        return fail(error, "device '%s' has no such interrupts", line->word[1]);
    }
    intercepted = dev;
    intercepted_out = out;
    return true;
}

static bool do_set_irq_in(Line *line, GError **error)
{
    Device *dev = device(line, 1, error);
    uint64_t n, level;

    if (!dev || !number(line, 3, &n, error) || !number(line, 4, &level, error)) {
        return false;
    }
    IRQ *irq = n <= INT32_MAX ? device_irq_in(dev, line_name(line, 2), (int)n) : NULL;
    if (!irq) {
        return fail(error, "device '%s' has no input '%s' %" PRIu64, line->word[1], line->word[2], n);
    }
    irq_set(irq, (int)level);
    return true;
}

/* --- CPUs --- */

static bool do_csr(Line *line, GError **error)
{
    uint64_t index, csr, value;

    if (!number(line, 2, &index, error) || !number(line, 3, &csr, error) || !number(line, 4, &value, error)) {
        return false;
    }
    CPUState *cpu = index <= INT32_MAX ? cpu_get((int)index) : NULL;
    if (!cpu) {
        return fail(error, "there is no CPU %" PRIu64, index);
    }
    bool set = !strcmp(line->word[1], "set_csr");
    if (!set && strcmp(line->word[1], "get_csr")) {
        return fail(error, "'%s' is neither get_csr nor set_csr", line->word[1]);
    }
    bool (*get)(CPUState *, unsigned, uint64_t *) = cpu->ops->get_csr;
    bool (*put)(CPUState *, unsigned, uint64_t) = cpu->ops->set_csr;
    bool ok =
        csr < 4096 && (set ? put && put(cpu, (unsigned)csr, value) : get && get(cpu, (unsigned)csr, &value));
    g_string_append_printf(line->reply, " %d %016" PRIx64, ok ? 0 : 2, value);
    return true;
}

static bool do_module_load(Line *line, GError **error)
{
    return fail(error, "there are no modules to load");
}

/* --- the table --- */

typedef struct QtestCommand {
    const char *name;
    bool (*run)(Line *line, GError **error);
    uint64_t arg;
} QtestCommand;

static const QtestCommand commands[] = {
    {"readb", do_read_value, 1},
    {"readw", do_read_value, 2},
    {"readl", do_read_value, 4},
    {"readq", do_read_value, 8},
    {"writeb", do_write_value, 1},
    {"writew", do_write_value, 2},
    {"writel", do_write_value, 4},
    {"writeq", do_write_value, 8},
    {"inb", do_port_read, 1},
    {"inw", do_port_read, 2},
    {"inl", do_port_read, 4},
    {"outb", do_port_write, 1},
    {"outw", do_port_write, 2},
    {"outl", do_port_write, 4},
    {"read", do_read, 0},
    {"write", do_write, 0},
    {"b64read", do_b64read, 0},
    {"b64write", do_b64write, 0},
    {"memset", do_memset, 0},
    {"endianness", do_endianness, 0},
    {"clock_step", do_clock_step, 0},
    {"clock_set", do_clock_set, 0},
    {"irq_intercept_in", do_irq_intercept, 0},
    {"irq_intercept_out", do_irq_intercept, 1},
    {"set_irq_in", do_set_irq_in, 0},
    {"csr", do_csr, 0},
    {"module_load", do_module_load, 0},
};

static const QtestCommand *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (!strcmp(commands[i].name, name)) {
            return &commands[i];
        }
    }
    return NULL;
}

/* Words past WORDS_MAX are nobody's business. */
static void split(char *text, Line *line)
{
    char *save = NULL;

    for (char *word = strtok_r(text, " \t\r\n", &save); word && line->n < WORDS_MAX;
         word = strtok_r(NULL, " \t\r\n", &save)) {
        line->word[line->n++] = word;
    }
}

void qtest_process_line(char *text, GString *reply)
{
    g_autoptr(GString) result = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    Line line = {.reply = result};

    split(text, &line);
    const QtestCommand *command = line.n ? find(line.word[0]) : NULL;
    if (!command) {
        g_string_append_printf(reply, "FAIL unknown command '%s'\n", line.n ? line.word[0] : "");
        return;
    }
    line.arg = command->arg;
    if (command->run(&line, &error)) {
        g_string_append(reply, "OK");
        g_string_append_len(reply, result->str, (gssize)result->len);
        g_string_append_c(reply, '\n');
    } else {
        g_string_append_printf(reply, "FAIL %s\n", error->message);
    }
}
