/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Snapshots inside of a disk image: commands that are known from QEMU, not here; they say what is. */
#include "api/command.h"
#include "util/error.h"

typedef struct SnapshotArgs {
    char *name;
} SnapshotArgs;

static const Field snapshot_args[] = {
    F_STRING(SnapshotArgs, name, "name", .optional = true, .positional = true, .rest_of_line = true),
    FIELD_END,
};

static bool refuse(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    return fail(error, "there are no snapshots inside of disk images: 'migrate file:PATH' saves the machine (with "
                "capability background-snapshot it runs on meanwhile), '-incoming file:PATH' restores it");
}

COMMAND(savevm, .hmp = "savevm", .help = "not here: see 'migrate file:PATH'", .args = snapshot_args,
        .args_size = sizeof(SnapshotArgs), .run = refuse);
COMMAND(loadvm, .hmp = "loadvm", .help = "not here: see '-incoming file:PATH'", .args = snapshot_args,
        .args_size = sizeof(SnapshotArgs), .run = refuse);
COMMAND(delvm, .hmp = "delvm", .help = "not here: saved machines are files", .args = snapshot_args,
        .args_size = sizeof(SnapshotArgs), .run = refuse);
COMMAND(info_snapshots, .hmp = "info snapshots", .help = "not here: saved machines are files", .run = refuse);
