/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The choice of the accelerator. */
#include "system/accel.h"

#include <string.h>

#include "util/error.h"

static const AccelOps *current_accel;

const AccelOps *accel_find(const char *name)
{
    LINKER_SET_FOREACH (accels, AccelOps, accel) {
        if (!strcmp(accel->name, name)) {
            return accel;
        }
    }
    return NULL;
}

void accels_foreach(void (*fn)(const AccelOps *accel, void *opaque), void *opaque)
{
    LINKER_SET_FOREACH (accels, AccelOps, accel) {
        fn(accel, opaque);
    }
}

static const char *nth_accel_name(unsigned i, void *opaque)
{
    LINKER_SET_FOREACH (accels, AccelOps, accel) {
        if (i-- == 0) {
            return accel->name;
        }
    }
    return NULL;
}

static bool no_such_accel(const char *name, GError **error)
{
    const char *near = did_you_mean(name, nth_accel_name, NULL);

    return near ? fail(error, "there is no accelerator '%s'; did you mean '%s'?", name, near)
                : fail(error, "there is no accelerator '%s'", name);
}

bool accel_select(const char *name, const char *options, GError **error)
{
    const AccelOps *accel = accel_find(name);

    if (!accel) {
        return no_such_accel(name, error);
    }
    if (accel->properties) {
        fields_init(accel->properties, accel->config);
    }
    if (options && *options &&
        (!accel->properties ||
         !fields_parse_options(accel->properties, accel->config, options, NULL, error))) {
        return error && *error ? false : fail(error, "accelerator '%s' has no options", name);
    }
    if (accel->init && !accel->init(error)) {
        return false;
    }
    current_accel = accel;
    return true;
}

const AccelOps *accel_current(void)
{
    return current_accel;
}

static bool current_is(const char *name)
{
    return current_accel && !strcmp(current_accel->name, name);
}

bool tcg_enabled(void)
{
    return current_is("tcg");
}

bool qtest_enabled(void)
{
    return current_is("qtest");
}
