/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Monitors: QMP and HMP on character devices, and the qtest server.
 *
 * Options (-qmp, -monitor, -mon, -qtest, ...) only record what was asked; the functions here carry it out.
 * Main thread, big lock.
 */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

#include <glib.h>
#include <stdbool.h>

/* Whether the command line asked for an HMP monitor (or for none): main then adds none of its own. */
bool monitor_hmp_requested(void);

/*
 * Makes all monitors that were asked for, one on each "mon:" chardev that has none, and the qtest server.
 * After chardevs_create() and once the machine exists.
 */
bool monitor_start_all(GError **error);
/* Sends what is still to be said and takes all monitors away.  Before chardevs_close_all(). */
void monitor_stop_all(void);

#endif
