/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes an emulator with a bug: GODWIT_TEST_FAULT names it.  For the test that the storms notice; the
 * emulator that users get has no such switch.
 */
#include <stdlib.h>
#include <string.h>

#include "system/memory-internal.h"

static void __attribute__((constructor)) put_fault(void)
{
    static const struct {
        const char *name;
        DirtyFault fault;
    } faults[] = {
        {"rearm-offset", DIRTY_FAULT_REARM_OFFSET},
        {"rearm-conditional", DIRTY_FAULT_REARM_CONDITIONAL},
        {"no-rearm", DIRTY_FAULT_NO_REARM},
        {"no-quiesce", DIRTY_FAULT_NO_QUIESCE},
    };
    const char *wanted = getenv("GODWIT_TEST_FAULT");

    for (size_t i = 0; wanted && i < G_N_ELEMENTS(faults); i++) {
        if (!strcmp(wanted, faults[i].name)) {
            dirty_memory_set_fault(faults[i].fault);
        }
    }
}
