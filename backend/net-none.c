/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a build without libslirp says to "-netdev user". */
#include "net-private.h"
#include "util/error.h"

static bool user_create(const char *id, GPtrArray *options, GError **error)
{
    return fail(error,
                "user networking is not in this build (libslirp was not found when it was configured)");
}

NETDEV_KIND(user, .name = "user", .help = "not in this build: needs libslirp", .create = user_create);
