/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kinds of monitor, each on a chardev. */
#ifndef MONITOR_MONITORS_H
#define MONITOR_MONITORS_H

#include "backend/chardev.h"

typedef struct QmpMonitor QmpMonitor;
/* @io_loop serves it: it answers what needs no big lock while the main loop is busy. */
QmpMonitor *qmp_monitor_new(Chardev *chr, EventLoop *io_loop, bool pretty, GError **error);
void qmp_monitor_free(QmpMonitor *monitor); /* sends what waits */

typedef struct HmpMonitor HmpMonitor;
/* @io_loop: as above.  @background: beside a serial port on a mux, without taking its focus. */
HmpMonitor *hmp_monitor_new(Chardev *chr, EventLoop *io_loop, bool background, GError **error);
void hmp_monitor_free(HmpMonitor *monitor);

/* The qtest server; one per process.  @log_path NULL: stderr, "none": no log. */
bool qtest_server_start(Chardev *chr, const char *log_path, GError **error);
void qtest_server_stop(void);

#endif
