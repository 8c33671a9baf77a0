/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names of a migration's statuses, and the events that tell of it. */
#include "api/command.h"
#include "migration-internal.h"

const char *const migration_status_names[MIGRATION_STATUS_NUM + 1] = {
    [MIGRATION_NONE] = "none",
    [MIGRATION_SETUP] = "setup",
    [MIGRATION_CANCELLING] = "cancelling",
    [MIGRATION_CANCELLED] = "cancelled",
    [MIGRATION_ACTIVE] = "active",
    [MIGRATION_PRE_SWITCHOVER] = "pre-switchover",
    [MIGRATION_DEVICE] = "device",
    [MIGRATION_POSTCOPY_ACTIVE] = "postcopy-active",
    [MIGRATION_POSTCOPY_PAUSED] = "postcopy-paused",
    [MIGRATION_POSTCOPY_RECOVER_SETUP] = "postcopy-recover-setup",
    [MIGRATION_POSTCOPY_RECOVER] = "postcopy-recover",
    [MIGRATION_HANDOVER_PAUSED] = "handover-paused",
    [MIGRATION_HANDOVER_RECOVER] = "handover-recover",
    [MIGRATION_COMPLETED] = "completed",
    [MIGRATION_FAILED] = "failed",
};

typedef struct StatusData {
    int status;
} StatusData;
static const Field status_fields[] = {
    F_ENUM(StatusData, status, "status", migration_status_names, "MigrationStatus"),
    FIELD_END,
};
EVENT(migration, .name = "MIGRATION", .fields = status_fields, .help = "the migration's status changed");

typedef struct PassData {
    int64_t pass;
} PassData;
static const Field pass_fields[] = {
    F_I64(PassData, pass, "pass"),
    FIELD_END,
};
EVENT(migration_pass, .name = "MIGRATION_PASS", .fields = pass_fields, .help = "a pass over dirty memory begins");

/* Read without a lock: the option changes between migrations only. */
static bool events_wanted(void)
{
    return atomic_read(&migration_options()->capabilities[CAPABILITY_EVENTS]);
}

void migration_emit_status(MigrationStatus status)
{
    if (events_wanted()) {
        event_emit(&event_migration, &(StatusData){(int)status});
    }
}

void migration_emit_pass(uint64_t pass)
{
    if (events_wanted()) {
        event_emit(&event_migration_pass, &(PassData){(int64_t)pass});
    }
}
