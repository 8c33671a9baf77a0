/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of postcopy and of broken links.  Those that a stuck main loop must not keep from running do without it. */
#include "api/command.h"
#include "migration-internal.h"
#include "util/error.h"

static bool run_start_postcopy(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    return migration_start_postcopy(error);
}

static bool run_pause(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    bool source = migration_pause(), destination = incoming_pause();

    return source || destination || fail(error, "no postcopy or handover is under way whose link could be broken");
}

typedef struct RecoverArgs {
    char *uri;
} RecoverArgs;

static const Field recover_args[] = {
    F_STRING(RecoverArgs, uri, "uri", .positional = true, .rest_of_line = true),
    FIELD_END,
};

static bool run_recover(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    return incoming_recover(((const RecoverArgs *)args)->uri, error);
}

COMMAND(migrate_start_postcopy, .qmp = "migrate-start-postcopy", .hmp = "migrate_start_postcopy",
        .help = "move the machine now, the rest of its memory afterwards (capability postcopy-ram)",
        .run = run_start_postcopy);
COMMAND(migrate_pause, .qmp = "migrate-pause", .hmp = "migrate_pause", .help = "break the link of a postcopy or handover",
        .oob = true, .unlocked = true, .run = run_pause);
COMMAND(migrate_recover, .qmp = "migrate-recover", .hmp = "migrate_recover",
        .help = "wait for a new link of a broken postcopy or handover (at the destination)", .args = recover_args,
        .args_size = sizeof(RecoverArgs), .oob = true, .unlocked = true, .run = run_recover);
