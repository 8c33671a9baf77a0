/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the rest of the program needs of migration: set up, the incoming side of the command line, and the end. */
#ifndef MIGRATION_MIGRATION_H
#define MIGRATION_MIGRATION_H

#include <glib.h>
#include <stdbool.h>

/* Registers the state sections that belong to no device ("timer", "globalstate").  Before the machine is made. */
void migration_init(void);
/* Ends a migration that is under way and waits for its thread; the process is about to end.  Big lock. */
void migration_shutdown(void);

/* "-global migration.PROPERTY=VALUE": parameters, "profile", and capabilities as "x-NAME". */
bool migration_set_global(const char *property, const char *value, GError **error);

/* Whether -incoming was given: the machine then starts in run state inmigrate and vCPUs wait. */
bool incoming_requested(void);
/*
 * Carries out -incoming once the machine is complete: listens or opens; the load runs on a thread of its own, and
 * starts the machine when `autostart` says so.  A load that fails ends the process with status 1.  Big lock.
 */
bool incoming_start_requested(GError **error);

#endif
