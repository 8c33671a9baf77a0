/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When precopy stops the machine, as arithmetic: nothing here looks at a clock or at a machine.
 *
 * A byte that is sent while the machine runs makes the downtime shorter, and the whole longer by what the machine dirties
 * meanwhile.  So memory that comes back slowly is sent first, whatever is left; memory that comes back fast only as
 * long as the downtime would be more than a moment.
 */
#ifndef MIGRATION_SWITCHOVER_H
#define MIGRATION_SWITCHOVER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct SwitchoverView {
    uint64_t left;    /* bytes to send: exact right after a sync, later the least that it can be */
    double bandwidth; /* bytes/s once the machine stands still; 0: nobody knows yet */
    double speed;     /* bytes/s while it runs; 0: nobody knows yet */
    double dirtied;   /* bytes/s, as the last sync found; 0 before there were two */
    double sync_ms;   /* what the last sync took */
    double limit_ms;  /* downtime-limit */
    double waited_ms; /* since the machine could have been stopped first */
} SwitchoverView;

/* How long the machine would stand still if it were stopped now; huge when nobody knows. */
double switchover_downtime_ms(const SwitchoverView *view);
/* Within downtime-limit. */
bool switchover_fits(const SwitchoverView *view);
/* It fits, and to send more first is not worth it. */
bool switchover_is_due(const SwitchoverView *view);

#endif
