/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The empty machine: no CPU, no memory, no device.  Management tools start it to ask what the program can do. */
#include "system/machine.h"

static bool none_init(Machine *machine, GError **error)
{
    return true;
}

MACHINE_TYPE(none, .name = "none", .help = "empty machine", .max_cpus = 1, .instance_size = sizeof(Machine),
             .init = none_init);
