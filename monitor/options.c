/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options that ask for monitors, and their start and end in the order of the command line. */
#include <string.h>

#include "api/field.h"
#include "api/option.h"
#include "monitor/monitor.h"
#include "monitor/monitors.h"
#include "util/error.h"

typedef enum MonitorMode { MODE_READLINE, MODE_CONTROL } MonitorMode;
static const char *const mode_names[] = {"readline", "control", NULL};

/* One -mon, -qmp or -monitor. */
typedef struct MonitorRequest {
    char *chardev; /* -mon: its id */
    char *legacy;  /* -qmp, -monitor: what to make */
    int mode;
    bool pretty;
    char *id;
} MonitorRequest;

static const Field mon_fields[] = {
    F_STRING(MonitorRequest, chardev, "chardev", .help = "id of the character device"),
    F_ENUM(MonitorRequest, mode, "mode", mode_names, "MonitorMode", .default_value = "readline"),
    F_BOOL(MonitorRequest, pretty, "pretty", .optional = true, .help = "QMP: indent the replies"),
    F_STRING(MonitorRequest, id, "id", .optional = true),
    FIELD_END,
};

/* Written while the command line is read, before other threads exist; then main thread. */
static GPtrArray *requests; /* of MonitorRequest * */
static char *qtest_legacy, *qtest_log;
static bool hmp_requested;
static unsigned compat_ids;

static GPtrArray *qmp_monitors, *hmp_monitors;
static EventLoop *io_loop; /* runs until the process ends: chardevs stay on it when their monitor has gone */

static void add_request(MonitorRequest *request)
{
    if (!requests) {
        requests = g_ptr_array_new();
    }
    g_ptr_array_add(requests, request);
    hmp_requested |= request->mode == MODE_READLINE;
}

bool monitor_hmp_requested(void)
{
    return hmp_requested;
}

/* --- options --- */

static bool record_legacy(const char *value, MonitorMode mode, bool pretty)
{
    if (!strcmp(value, "none")) {
        hmp_requested |= mode == MODE_READLINE;
        return true;
    }
    MonitorRequest *request = g_new0(MonitorRequest, 1);
    request->legacy = g_strdup(value);
    request->mode = mode;
    request->pretty = pretty;
    add_request(request);
    return true;
}

static bool parse_qmp(const char *value, GError **error)
{
    return record_legacy(value, MODE_CONTROL, false);
}

static bool parse_qmp_pretty(const char *value, GError **error)
{
    return record_legacy(value, MODE_CONTROL, true);
}

static bool parse_monitor(const char *value, GError **error)
{
    return record_legacy(value, MODE_READLINE, false);
}

static bool parse_mon(const char *value, GError **error)
{
    MonitorRequest *request = g_new0(MonitorRequest, 1);

    fields_init(mon_fields, request);
    bool ok = fields_parse_options(mon_fields, request, value, "chardev", error);
    if (ok && !request->chardev) {
        ok = fail(error, "parameter 'chardev' is missing");
    }
    if (!ok) {
        fields_clear(mon_fields, request);
        g_free(request);
        return false;
    }
    add_request(request);
    return true;
}

static bool parse_qtest(const char *value, GError **error)
{
    if (qtest_legacy) {
        return fail(error, "there is only one qtest server");
    }
    qtest_legacy = g_strdup(value);
    return true;
}

static bool parse_qtest_log(const char *value, GError **error)
{
    g_free(qtest_log);
    qtest_log = g_strdup(value);
    return true;
}

#define SECTION "Monitors"
OPTION(qmp, .name = "qmp", .arg = "DEV", .section = SECTION,
       .help = "control over QMP, on a character device", .parse = parse_qmp);
OPTION(qmp_pretty, .name = "qmp-pretty", .arg = "DEV", .section = SECTION,
       .help = "the same, with replies that are easy on the eye", .parse = parse_qmp_pretty);
OPTION(monitor, .name = "monitor", .arg = "DEV", .section = SECTION,
       .help = "a monitor for people, on a character device; 'none' for none", .parse = parse_monitor);
OPTION(mon, .name = "mon", .arg = "[chardev=]ID[,mode=readline|control][,pretty=on|off]", .section = SECTION,
       .help = "a monitor on a character device made with -chardev", .parse = parse_mon);
OPTION(qtest, .name = "qtest", .arg = "DEV", .section = SECTION,
       .help = "let a test drive the machine, over a character device", .parse = parse_qtest);
OPTION(qtest_log, .name = "qtest-log", .arg = "FILE", .section = SECTION,
       .help = "log what the test says there (default: stderr; 'none' for no log)", .parse = parse_qtest_log);

/* --- start --- */

static Chardev *chardev_for(const MonitorRequest *request, GError **error)
{
    if (request->chardev) {
        Chardev *chr = chardev_find(request->chardev);
        return chr ? chr : fail_null(error, "there is no character device '%s'", request->chardev);
    }
    g_autofree char *id = g_strdup_printf("compat_monitor%u", compat_ids++);
    return chardev_new_from_legacy(id, request->legacy, error);
}

static bool start_io_loop(GError **error)
{
    if (!io_loop) {
        io_loop = event_loop_new_thread("mon_iothread", error);
    }
    return io_loop != NULL;
}

static bool start_qmp(Chardev *chr, bool pretty, GError **error)
{
    QmpMonitor *monitor = start_io_loop(error) ? qmp_monitor_new(chr, io_loop, pretty, error) : NULL;

    if (monitor) {
        g_ptr_array_add(qmp_monitors, monitor);
    }
    return monitor != NULL;
}

static bool start_hmp(Chardev *chr, bool background, GError **error)
{
    HmpMonitor *monitor = start_io_loop(error) ? hmp_monitor_new(chr, io_loop, background, error) : NULL;

    if (monitor) {
        g_ptr_array_add(hmp_monitors, monitor);
    }
    return monitor != NULL;
}

static bool start_request(const MonitorRequest *request, GError **error)
{
    Chardev *chr = chardev_for(request, error);

    if (!chr) {
        return false;
    }
    return request->mode == MODE_CONTROL ? start_qmp(chr, request->pretty, error)
                                         : start_hmp(chr, false, error);
}

typedef struct MuxStart {
    GError **error;
    bool ok;
} MuxStart;

static void start_on_mux(Chardev *chr, void *opaque)
{
    MuxStart *start = opaque;

    if (start->ok && chardev_wants_monitor(chr)) {
        start->ok = start_hmp(chr, true, start->error);
    }
}

static bool start_qtest(GError **error)
{
    if (!qtest_legacy) {
        return true;
    }
    Chardev *chr = chardev_new_from_legacy("qtest", qtest_legacy, error);
    return chr && qtest_server_start(chr, qtest_log, error);
}

bool monitor_start_all(GError **error)
{
    MuxStart on_muxes = {error, true};

    qmp_monitors = g_ptr_array_new();
    hmp_monitors = g_ptr_array_new();
    if (!start_qtest(error)) {
        error_context(error, "-qtest %s", qtest_legacy);
        return false;
    }
    chardevs_foreach(start_on_mux, &on_muxes);
    if (!on_muxes.ok) {
        return false;
    }
    for (guint i = 0; requests && i < requests->len; i++) {
        const MonitorRequest *request = requests->pdata[i];
        if (!start_request(request, error)) {
            error_context(error, "monitor '%s'", request->chardev ? request->chardev : request->legacy);
            return false;
        }
    }
    return true;
}

void monitor_stop_all(void)
{
    qtest_server_stop();
    for (guint i = 0; qmp_monitors && i < qmp_monitors->len; i++) {
        qmp_monitor_free(qmp_monitors->pdata[i]);
    }
    for (guint i = 0; hmp_monitors && i < hmp_monitors->len; i++) {
        hmp_monitor_free(hmp_monitors->pdata[i]);
    }
    g_clear_pointer(&qmp_monitors, g_ptr_array_unref);
    g_clear_pointer(&hmp_monitors, g_ptr_array_unref);
}
