/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What CommandContext.monitor points at. */
#ifndef MONITOR_INTERNAL_H
#define MONITOR_INTERNAL_H

#include <stdbool.h>

#include "api/command.h"

typedef struct MonitorHandle {
    /* qmp_capabilities asks for it; NULL on HMP */
    bool (*negotiate)(struct MonitorHandle *handle, bool oob, GError **error);
} MonitorHandle;

#endif
