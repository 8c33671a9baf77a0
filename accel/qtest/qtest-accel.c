/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The accelerator "qtest": vCPUs exist and do nothing, and the virtual clock moves only by hand. */
#include "system/accel.h"
#include "system/clock.h"

static bool qtest_accel_init(GError **error)
{
    clock_virtual_set_manual(true);
    return true;
}

/* Without .cpu_exec the vCPU threads wait and do queued work. */
ACCEL(qtest, .name = "qtest", .help = "vCPUs that do nothing, for tests of devices",
      .init = qtest_accel_init);
