/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Capabilities and parameters: rows of tables, changed by the user between migrations and copied into a migration when
 * it starts.
 */
#ifndef MIGRATION_OPTIONS_H
#define MIGRATION_OPTIONS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/field.h"

typedef enum MigrationCapability {
    CAPABILITY_XBZRLE,
    CAPABILITY_AUTO_CONVERGE,
    CAPABILITY_EVENTS,
    CAPABILITY_POSTCOPY_RAM,
    CAPABILITY_RELEASE_RAM,
    CAPABILITY_RETURN_PATH,
    CAPABILITY_PAUSE_BEFORE_SWITCHOVER,
    CAPABILITY_MULTIFD,
    CAPABILITY_DIRTY_BITMAPS,
    CAPABILITY_LATE_BLOCK_ACTIVATE,
    CAPABILITY_X_IGNORE_SHARED,
    CAPABILITY_VALIDATE_UUID,
    CAPABILITY_BACKGROUND_SNAPSHOT,
    CAPABILITY_ZERO_COPY_SEND,
    CAPABILITY_POSTCOPY_PREEMPT,
    CAPABILITY_POSTCOPY_BLOCKTIME,
    CAPABILITY_SWITCHOVER_ACK,
    CAPABILITY_DIRTY_LIMIT,
    CAPABILITY_MAPPED_RAM,
    CAPABILITY_FIXED_RAM, /* the same under its first name */
    CAPABILITY_NUM,
} MigrationCapability;
extern const char *const migration_capability_names[CAPABILITY_NUM + 1];

typedef enum MultifdCompression {
    MULTIFD_COMPRESSION_NONE,
    MULTIFD_COMPRESSION_ZLIB,
    MULTIFD_COMPRESSION_ZSTD,
} MultifdCompression;

/* Who looks whether a page is all zeroes. */
typedef enum ZeroPageDetection {
    ZERO_PAGE_DETECTION_NONE,
    ZERO_PAGE_DETECTION_LEGACY,  /* the migration thread */
    ZERO_PAGE_DETECTION_MULTIFD, /* the threads of multifd; without multifd the same as legacy */
} ZeroPageDetection;

typedef struct MigrationParameters {
    uint8_t throttle_trigger_threshold; /* percent */
    uint8_t cpu_throttle_initial, cpu_throttle_increment, max_cpu_throttle;
    bool cpu_throttle_tailslow;
    char *tls_creds, *tls_hostname, *tls_authz;
    uint64_t max_bandwidth;              /* bytes/s, 0: unlimited */
    uint64_t avail_switchover_bandwidth; /* bytes/s, 0: as measured */
    uint64_t downtime_limit;             /* ms */
    uint64_t max_postcopy_bandwidth;     /* bytes/s, 0: unlimited; pages that were asked for do not count */
    uint64_t vcpu_dirty_limit_period; /* ms */
    uint64_t vcpu_dirty_limit;        /* MiB/s */
    int mode;
    int profile; /* StateProfile */
    uint8_t multifd_channels;
    int multifd_compression; /* MultifdCompression */
    uint8_t multifd_zlib_level, multifd_zstd_level;
    int zero_page_detection; /* ZeroPageDetection */
    bool direct_io;
    bool mapped_restore;
    bool skip_pristine;
    uint64_t xbzrle_cache_size; /* bytes */
} MigrationParameters;
extern const Field migration_parameter_fields[];

typedef struct MigrationOptions {
    bool capabilities[CAPABILITY_NUM];
    MigrationParameters parameters;
    bool max_bandwidth_given; /* by the user: it holds for snapshots and files, too, which the default is not meant for */
} MigrationOptions;

/* The limit that holds for a migration to a file, or a snapshot (@saved), or one that moves; 0: none. */
uint64_t migration_bandwidth_limit(const MigrationOptions *options, bool saved);
/* What the user set last.  Big lock. */
MigrationOptions *migration_options(void);
/* An independent copy; cleared by migration_options_clear(). */
void migration_options_copy(MigrationOptions *to, const MigrationOptions *from);
void migration_options_clear(MigrationOptions *options);

/* Changes a copy of the set; false: this build has no such capability. */
bool migration_capability_set(bool caps[CAPABILITY_NUM], int index, bool on, GError **error);
/* Whether they go together. */
bool migration_capabilities_check(const bool caps[CAPABILITY_NUM], GError **error);

void migration_parameters_copy(MigrationParameters *to, const MigrationParameters *from);
/* Makes @p what the user set last: takes it over, or clears it and fails. */
bool migration_parameters_commit(MigrationParameters *p, bool max_bandwidth_given, GError **error);
bool migration_parameter_set(const char *name, const char *value, GError **error);

#endif
