/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the source's and the destination's side share. */
#ifndef MIGRATION_INTERNAL_H
#define MIGRATION_INTERNAL_H

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

#include "channel.h"
#include "options.h"
#include "ram.h"
#include "sections.h"

typedef enum MigrationStatus {
    MIGRATION_NONE,
    MIGRATION_SETUP,
    MIGRATION_CANCELLING,
    MIGRATION_CANCELLED,
    MIGRATION_ACTIVE,
    MIGRATION_PRE_SWITCHOVER,
    MIGRATION_DEVICE,
    MIGRATION_POSTCOPY_ACTIVE,
    MIGRATION_POSTCOPY_PAUSED,
    MIGRATION_POSTCOPY_RECOVER_SETUP,
    MIGRATION_POSTCOPY_RECOVER,
    MIGRATION_HANDOVER_PAUSED,
    MIGRATION_HANDOVER_RECOVER,
    MIGRATION_COMPLETED,
    MIGRATION_FAILED,
    MIGRATION_STATUS_NUM,
} MigrationStatus;
extern const char *const migration_status_names[MIGRATION_STATUS_NUM + 1];

/* Where the time of a switchover went, in nanoseconds. */
typedef struct DowntimeParts {
    int64_t stop, sync, ram, devices, confirm;
} DowntimeParts;

/* A consistent picture for query-migrate. */
typedef struct MigrationInfo {
    MigrationStatus status;
    char *error;
    int64_t total_ns, setup_ns, downtime_ns, expected_downtime_ns;
    double mbps, pages_per_second;
    int throttle_percent;
    RamStats ram;
    DowntimeParts parts;
    bool has_throttle, has_dirty_limit;
    int64_t dirty_limit_waited_us;
    uint64_t xbzrle_cache_size; /* 0: off */
} MigrationInfo;

/* --- migration.c: the source.  Big lock unless said otherwise --- */
bool migration_start(const char *uri, GError **error);
void migration_cancel(void);
/* The rest of the memory is to follow the machine. */
bool migration_start_postcopy(GError **error);
/* A new link for a broken postcopy or handover. */
bool migration_resume(const char *uri, GError **error);
/* Breaks the link of a postcopy or handover; false without one.  Any thread. */
bool migration_pause(void);
bool migration_continue(MigrationStatus state, GError **error);
void migration_get_info(MigrationInfo *info); /* any thread */
void migration_parameters_changed(void); /* bandwidth and downtime-limit apply at once */

/* --- source.c, any thread: whether a migration is under way --- */
bool migration_is_busy(void);
/* Whether one that takes the dirty log was under way at some moment since then (monotonic, us). */
bool migration_took_log_since(int64_t time_us);

/* --- incoming.c: the destination --- */
bool incoming_start(const char *uri, bool exit_on_error, GError **error);
/* NONE when there is no incoming migration.  @error: newly allocated or NULL. */
MigrationStatus incoming_status(char **error, JsonNode **address);
/* The machine may run, but not all of its memory is here. */
bool incoming_in_postcopy(void);
void incoming_cancel(void);
/* The process ends: nobody waits for memory any more. */
void incoming_shutdown(void);
/* The destination's side of migrate-pause and migrate-recover.  Any thread. */
bool incoming_pause(void);
bool incoming_recover(const char *uri, GError **error);
/* Status HANDOVER_PAUSED: the machine is ours, the user says so.  Any thread. */
bool incoming_seize(GError **error);

/* --- events.c, any thread --- */
void migration_emit_status(MigrationStatus status);
void migration_emit_pass(uint64_t pass);

/* --- globals.c: sections without a device --- */
void globalstate_set(const char *run_state); /* before saving: what the machine did */
/* After a load: what the source's machine did; NULL: it did not say. */
const char *globalstate_received(void);
void globalstate_clear(void);

/* The local machine as the stream's configuration sees it. */
void stream_config_local(StreamConfig *config, const MigrationOptions *options);

#endif
