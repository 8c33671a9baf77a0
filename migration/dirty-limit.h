/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Limits on how fast vCPUs dirty memory: the part of a migration with capability dirty-limit. */
#ifndef MIGRATION_DIRTY_LIMIT_H
#define MIGRATION_DIRTY_LIMIT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Holds every vCPU to @mib_per_second (0: not any more), beside the limits that the user set: the lower one counts.
 * Big lock.
 */
bool dirty_limit_set_migration(uint64_t mib_per_second, GError **error);

/* How long the vCPU that waited longest stood still in the last period; false: no limit of migration is in force.  Big lock. */
bool dirty_limit_waited_us(int64_t *us);

#endif
