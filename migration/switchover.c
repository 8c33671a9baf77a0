/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When to stop the machine.  See switchover.h. */
#include "switchover.h"

#include <glib.h>

#define FEW_MS       1.0    /* another pass would take longer than it saves */
#define MOMENT_MS    20.0
#define PATIENCE_MS  1000.0 /* the machine could have been stopped: now it is */

/* Of what is sent, the part that the machine dirties again meanwhile: more than that, and the pass is not worth it. */
#define MOST_BACK_LONG  0.5   /* while the downtime would be longer than a moment */
#define MOST_BACK_SHORT 0.125

double switchover_downtime_ms(const SwitchoverView *view)
{
    if (!view->left) {
        return 0;
    }
    return view->bandwidth > 0 ? (double)view->left / view->bandwidth * 1e3 + view->sync_ms : 1e18;
}

bool switchover_fits(const SwitchoverView *view)
{
    return switchover_downtime_ms(view) <= view->limit_ms;
}

bool switchover_is_due(const SwitchoverView *view)
{
    double downtime = switchover_downtime_ms(view);
    double pages_ms = view->left ? downtime - view->sync_ms : 0;
    double back = view->speed > 0 ? view->dirtied / view->speed : 0;

    if (downtime > view->limit_ms) {
        return false;
    }
    return pages_ms <= MAX(FEW_MS, view->sync_ms) || view->waited_ms >= PATIENCE_MS ||
           back > (pages_ms > MOMENT_MS ? MOST_BACK_LONG : MOST_BACK_SHORT);
}
