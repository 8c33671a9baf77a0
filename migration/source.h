/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The source object, and the ways to save a machine, which migration.c chooses from. */
#ifndef MIGRATION_SOURCE_H
#define MIGRATION_SOURCE_H

#include "migration-internal.h"
#include "system/runstate.h"
#include "util/lock.h"

typedef struct PostcopySource PostcopySource;

typedef struct Migration {
    /* constant from start to end */
    MigrationOptions options;
    StreamConfig config;
    bool return_path; /* the destination answers */
    bool saved;       /* into a file, or as a snapshot: nobody waits at the other end */
    GThread *thread;

    /* under the lock */
    Lock lock; /* RANK_MIGRATION */
    Cond cond; /* cancel, migrate-continue, changed limits */
    MigrationStatus status;
    Channel *channel;
    bool committed;     /* too late to cancel: the destination may run */
    bool awaiting_verdict; /* the last byte is written: cancel ends the wait, the machine stays stopped */
    bool may_continue;  /* migrate-continue was given */
    bool quit;          /* the process ends: a broken link is waited for no longer */
    bool taken_back;    /* the user let the machine run here while the handover was broken */
    char *error_text;   /* why it failed */

    /* migration thread */
    StreamWriter *writer;
    StreamReader *answers; /* the way back; NULL: nothing was read from it yet */
    bool acknowledged;     /* switchover-ack came */
    uint64_t file_start; /* seekable: where our header is */
    MultifdSend *multifd;
    XbzrleCache *xbzrle;
    RamState ram;
    RunState old_state;
    unsigned resets;     /* of the machine, when its device states were saved */
    bool stopped;        /* by us: old_state is to be restored on failure */
    bool given_away;     /* the machine may run at the destination: whatever fails, it is not started here */
    double busy_seconds, busy_bytes; /* of the bandwidth measurement, fading */
    int64_t fits_since_ns; /* when the machine could have been stopped first; 0: not yet */
    int64_t next_send_ns; /* max-bandwidth: not before this */
    uint64_t paced_limit; /* what that was computed from */
    int64_t throttle_checked_ns;
    uint64_t throttle_sent, throttle_dirtied;
    unsigned throttle_high;
    DowntimeParts parts; /* anyone's once the status is final */

    /* any thread, atomics */
    RamStats stats;
    uint64_t max_bandwidth, max_postcopy_bandwidth, downtime_limit_ms;
    bool start_postcopy; /* migrate-start-postcopy was given */
    double bandwidth; /* bytes/s; under the lock */
    int64_t start_ns, setup_ns, end_ns, stop_ns, downtime_ns, expected_downtime_ns;
} Migration;

/* --- source.c --- */
Migration *migration_source(void); /* the one there is */
int64_t migration_now_ns(void);
/* NONE, CANCELLED, COMPLETED or FAILED. */
bool migration_is_final(MigrationStatus status);
MigrationStatus migration_get_status(Migration *m);
/* The one function that changes the status.  .lock held; the caller emits the event once it is released. */
void migration_set_status_locked(Migration *m, MigrationStatus to);
/* The same with lock and event.  False when the status is not @from (cancelled meanwhile). */
bool migration_set_status(Migration *m, MigrationStatus from, MigrationStatus to);
/* False with "cancelled" when it is to end. */
bool migration_going_on(Migration *m, GError **error);
/* Waits; cut short by cancel and changed limits. */
void migration_sleep(Migration *m, int64_t ns);
/* From here on cancel does nothing.  False when cancelled already. */
bool migration_commit(Migration *m, GError **error);

/* From here on a reset is noticed: the device states are about to be saved.  Big lock. */
bool source_fix_moment(Migration *m, GError **error);
/* Whether the machine is as it was then.  Big lock. */
bool source_still_stopped(const Migration *m, GError **error);

/*
 * The machine is given up.  Takes the big lock, so that no "cont" comes between the check and the new state; from here on
 * cancel does nothing.
 */
bool source_give_up_machine(Migration *m, GError **error);
/* Until the destination says that it has loaded all; that it has started the machine. */
bool source_await_shut(Migration *m, GError **error);
bool source_await_taken(Migration *m, GError **error);

/* handover-source.c */
bool handover_new_id(Migration *m, GError **error);
/* The end of the stream, and the machine.  False: nothing happened, or the end is open for good (.given_away). */
bool handover_run(Migration *m, const GByteArray *devices, GError **error);

/* postcopy-source.c: ADVISE, before RAM is listed. */
bool postcopy_advise(Migration *m, GError **error);
/*
 * From the stopped machine, status DEVICE, to the destination's last answer.  False: nothing happened, or the process
 * ends (.given_away).
 */
bool postcopy_run(Migration *m, GError **error);

/* precopy.c: everything from the connection to the destination's answer.  Without the big lock. */
bool precopy_run(Migration *m, GError **error);
/* What every way to save begins with: the connection and the stream's header; how pages travel. */
bool precopy_open_stream(Migration *m, GError **error);
bool precopy_set_up_pages(Migration *m, GError **error);
/* max-bandwidth: so much was sent; waits for a moment if more is not due yet; may more be sent? */
void precopy_pace(Migration *m, uint64_t bytes);
void precopy_wait_for_turn(Migration *m);
bool precopy_may_send(const Migration *m);
/* background-snapshot.c: the same job for capability background-snapshot. */
bool background_snapshot_run(Migration *m, GError **error);

#endif
