/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of capabilities and parameters, and what goes with what.  Big lock. */
#include "config-host.h"

#include "options.h"

#include <string.h>

#include "migration/migration.h"
#include "system/state.h"
#include "util/bits.h"
#include "util/error.h"

/* --- capabilities --- */

#define NEEDS(x) (1u << CAPABILITY_##x)

static const struct CapabilityRow {
    const char *name;
    bool supported;
    uint32_t excludes, requires; /* sets of capabilities */
    const char *help;
} capability_rows[CAPABILITY_NUM] = {
    [CAPABILITY_XBZRLE] = {"xbzrle", true, .excludes = NEEDS(MULTIFD) | NEEDS(MAPPED_RAM), .help = "resend pages as deltas"},
    [CAPABILITY_AUTO_CONVERGE] = {"auto-converge", true, .excludes = NEEDS(DIRTY_LIMIT),
                                  .help = "slow vCPUs down while they dirty memory faster than it can be sent"},
    [CAPABILITY_EVENTS] = {"events", true, .help = "emit MIGRATION and MIGRATION_PASS"},
    [CAPABILITY_POSTCOPY_RAM] = {"postcopy-ram", true,
                                 .excludes = NEEDS(MAPPED_RAM) | NEEDS(MULTIFD) | NEEDS(X_IGNORE_SHARED),
                                 .help = "let the destination run before its memory has arrived"},
    [CAPABILITY_RELEASE_RAM] = {"release-ram", true, .help = "give memory back as it is sent (postcopy)"},
    [CAPABILITY_RETURN_PATH] = {"return-path", true, .help = "wait for the destination's answer"},
    [CAPABILITY_PAUSE_BEFORE_SWITCHOVER] = {"pause-before-switchover", true,
                                            .help = "stop in pre-switchover until migrate-continue"},
    [CAPABILITY_MULTIFD] = {"multifd", true, .help = "send pages over several connections"},
    [CAPABILITY_DIRTY_BITMAPS] = {"dirty-bitmaps", .help = "migrate dirty bitmaps of block devices"},
    [CAPABILITY_LATE_BLOCK_ACTIVATE] = {"late-block-activate", .help = "activate block devices at cont"},
    [CAPABILITY_X_IGNORE_SHARED] = {"x-ignore-shared", .help = "leave shared memory where it is"},
    [CAPABILITY_VALIDATE_UUID] = {"validate-uuid", true, .help = "check that both sides have the same -uuid"},
    [CAPABILITY_BACKGROUND_SNAPSHOT] = {"background-snapshot", true,
                                        .excludes = NEEDS(POSTCOPY_RAM) | NEEDS(DIRTY_BITMAPS) |
                                                    NEEDS(LATE_BLOCK_ACTIVATE) | NEEDS(RETURN_PATH) | NEEDS(MULTIFD) |
                                                    NEEDS(PAUSE_BEFORE_SWITCHOVER) | NEEDS(AUTO_CONVERGE) |
                                                    NEEDS(DIRTY_LIMIT) | NEEDS(RELEASE_RAM) | NEEDS(XBZRLE) |
                                                    NEEDS(VALIDATE_UUID) | NEEDS(ZERO_COPY_SEND) |
                                                    NEEDS(POSTCOPY_PREEMPT) | NEEDS(POSTCOPY_BLOCKTIME),
                                        .help = "save a moment while the machine runs on"},
    [CAPABILITY_ZERO_COPY_SEND] = {"zero-copy-send", .help = "send without copying"},
    [CAPABILITY_POSTCOPY_PREEMPT] = {"postcopy-preempt", true, .requires = NEEDS(POSTCOPY_RAM),
                                     .help = "a channel of its own for urgent pages"},
    [CAPABILITY_POSTCOPY_BLOCKTIME] = {"postcopy-blocktime", true,
                                       .help = "measure how long vCPUs wait for memory (postcopy, destination)"},
    [CAPABILITY_SWITCHOVER_ACK] = {"switchover-ack", true, .requires = NEEDS(RETURN_PATH),
                                   .help = "the destination agrees before the switchover"},
    [CAPABILITY_DIRTY_LIMIT] = {"dirty-limit", true, .excludes = NEEDS(AUTO_CONVERGE),
                                .help = "limit each vCPU's dirty rate while it is higher than can be sent"},
    [CAPABILITY_MAPPED_RAM] = {"mapped-ram", true, .help = "each page has one place in the file"},
    [CAPABILITY_FIXED_RAM] = {"fixed-ram", true, .help = "each page has one place in the file (same as mapped-ram)"},
};

const char *const migration_capability_names[CAPABILITY_NUM + 1] = {
    "xbzrle", "auto-converge", "events", "postcopy-ram", "release-ram", "return-path", "pause-before-switchover",
    "multifd", "dirty-bitmaps", "late-block-activate", "x-ignore-shared", "validate-uuid", "background-snapshot",
    "zero-copy-send", "postcopy-preempt", "postcopy-blocktime", "switchover-ack", "dirty-limit", "mapped-ram",
    "fixed-ram", NULL,
};

bool migration_capability_set(bool caps[CAPABILITY_NUM], int index, bool on, GError **error)
{
    if (on && !capability_rows[index].supported) {
        return fail(error, "capability '%s' is not supported yet by this build", capability_rows[index].name);
    }
    caps[index] = on;
    if (index == CAPABILITY_MAPPED_RAM || index == CAPABILITY_FIXED_RAM) {
        caps[CAPABILITY_MAPPED_RAM] = caps[CAPABILITY_FIXED_RAM] = on;
    }
    return true;
}

bool migration_capabilities_check(const bool caps[CAPABILITY_NUM], GError **error)
{
    for (int i = 0; i < CAPABILITY_NUM; i++) {
        for (int j = 0; caps[i] && j < CAPABILITY_NUM; j++) {
            if ((capability_rows[i].excludes & (1u << j)) && caps[j]) {
                return fail(error, "capabilities '%s' and '%s' exclude each other", capability_rows[i].name,
                            capability_rows[j].name);
            }
            if ((capability_rows[i].requires & (1u << j)) && !caps[j]) {
                return fail(error, "capability '%s' needs capability '%s'", capability_rows[i].name,
                            capability_rows[j].name);
            }
        }
    }
    return true;
}

/* --- parameters --- */

static const char *const mode_names[] = {"normal", NULL};
static const char *const profile_names[] = {
    [STATE_PROFILE_NATIVE] = "native", [STATE_PROFILE_QEMU] = "qemu-10.0", NULL};

static const char *const compression_names[] = {
    [MULTIFD_COMPRESSION_NONE] = "none", [MULTIFD_COMPRESSION_ZLIB] = "zlib", [MULTIFD_COMPRESSION_ZSTD] = "zstd",
    NULL};
static const char *const zero_detection_names[] = {
    [ZERO_PAGE_DETECTION_NONE] = "none", [ZERO_PAGE_DETECTION_LEGACY] = "legacy",
    [ZERO_PAGE_DETECTION_MULTIFD] = "multifd", NULL};

#define P MigrationParameters
const Field migration_parameter_fields[] = {
    F_U8(P, throttle_trigger_threshold, "throttle-trigger-threshold", .optional = true, .default_value = "50", .min = 1,
         .max = 100, .unit = "percent", .help = "dirtied bytes to sent bytes at which vCPUs are slowed down"),
    F_U8(P, cpu_throttle_initial, "cpu-throttle-initial", .optional = true, .default_value = "20", .min = 1, .max = 99,
         .unit = "percent", .help = "time a vCPU sleeps when slowing down begins"),
    F_U8(P, cpu_throttle_increment, "cpu-throttle-increment", .optional = true, .default_value = "10", .min = 1,
         .max = 99, .unit = "percent", .help = "how much more each further time"),
    F_BOOL(P, cpu_throttle_tailslow, "cpu-throttle-tailslow", .optional = true, .default_value = "off",
           .help = "smaller steps near the end"),
    F_STRING(P, tls_creds, "tls-creds", .optional = true, .default_value = "", .help = "not supported yet"),
    F_STRING(P, tls_hostname, "tls-hostname", .optional = true, .default_value = "", .help = "not supported yet"),
    F_STRING(P, tls_authz, "tls-authz", .optional = true, .default_value = "", .help = "not supported yet"),
    F_SIZE(P, max_bandwidth, "max-bandwidth", .optional = true, .default_value = "134217728",
           .help = "most that is sent in a second; 0: no limit"),
    F_SIZE(P, avail_switchover_bandwidth, "avail-switchover-bandwidth", .optional = true, .default_value = "0",
           .help = "what the network gives at the switchover; 0: as measured"),
    F_U64(P, downtime_limit, "downtime-limit", .optional = true, .default_value = "300", .min = 0, .max = 2000000,
          .unit = "ms", .help = "longest the machine may stand still"),
    F_SIZE(P, max_postcopy_bandwidth, "max-postcopy-bandwidth", .optional = true, .default_value = "0",
           .help = "most that is sent unasked in a second of postcopy; 0: no limit"),
    F_U8(P, max_cpu_throttle, "max-cpu-throttle", .optional = true, .default_value = "99", .min = 1, .max = 99,
         .unit = "percent", .help = "most that a vCPU is made to sleep"),
    F_U64(P, vcpu_dirty_limit_period, "x-vcpu-dirty-limit-period", .optional = true, .default_value = "1000", .min = 1,
          .max = 1000, .unit = "ms", .help = "how often capability dirty-limit takes the log"),
    F_U64(P, vcpu_dirty_limit, "vcpu-dirty-limit", .optional = true, .default_value = "1", .min = 1, .max = 1048576,
          .unit = "MB/s", .help = "what capability dirty-limit leaves each vCPU"),
    F_ENUM(P, mode, "mode", mode_names, "MigMode", .optional = true, .default_value = "normal"),
    F_ENUM(P, profile, "x-profile", profile_names, "MigrationProfile", .optional = true, .default_value = "native",
           .help = "native, or exactly what QEMU 10.0 can load"),
    F_U8(P, multifd_channels, "multifd-channels", .optional = true, .default_value = "2", .min = 1, .max = 255,
         .help = "connections (or threads, to and from a file) of capability multifd; the same on both sides"),
    F_ENUM(P, multifd_compression, "multifd-compression", compression_names, "MultiFDCompression", .optional = true,
           .default_value = "none", .help = "how multifd connections compress pages; the same on both sides"),
    F_U8(P, multifd_zlib_level, "multifd-zlib-level", .optional = true, .default_value = "1", .min = 0, .max = 9,
         .help = "0: not at all, 1: fastest, 9: smallest"),
    F_U8(P, multifd_zstd_level, "multifd-zstd-level", .optional = true, .default_value = "1", .min = 0, .max = 20,
         .help = "0: zstd's default, 1: fastest, 20: smallest"),
    F_ENUM(P, zero_page_detection, "zero-page-detection", zero_detection_names, "ZeroPageDetection", .optional = true,
           .default_value = "multifd", .help = "who looks for zero pages: nobody, one thread, or those of multifd"),
    F_BOOL(P, direct_io, "direct-io", .optional = true, .default_value = "off",
           .help = "pages go to and come from a fixed-ram file past the host's page cache (O_DIRECT)"),
    F_BOOL(P, mapped_restore, "mapped-restore", .optional = true, .default_value = "on",
           .help = "restore from a fixed-ram file by mapping it: the machine runs at once, the file must not change"),
    F_BOOL(P, skip_pristine, "skip-pristine", .optional = true, .default_value = "on",
           .help = "memory that the host never gave the machine is known to be zero, and not read"),
    F_SIZE(P, xbzrle_cache_size, "xbzrle-cache-size", .optional = true, .default_value = "67108864",
           .help = "memory for the pages that capability xbzrle compares with"),
    FIELD_END,
};
#undef P

static bool check_parameters(const MigrationParameters *p, GError **error)
{
    if ((p->tls_creds && *p->tls_creds) || (p->tls_hostname && *p->tls_hostname) || (p->tls_authz && *p->tls_authz)) {
        return fail(error, "TLS is not supported yet by this build");
    }
#ifndef CONFIG_ZLIB
    if (p->multifd_compression == MULTIFD_COMPRESSION_ZLIB) {
        return fail(error, "this build has no zlib");
    }
#endif
#ifndef CONFIG_ZSTD
    if (p->multifd_compression == MULTIFD_COMPRESSION_ZSTD) {
        return fail(error, "this build has no zstd");
    }
#endif
    if (p->xbzrle_cache_size < TARGET_PAGE_SIZE || !is_power_of_2(p->xbzrle_cache_size)) {
        return fail(error, "parameter 'xbzrle-cache-size' is a power of two, at least %" PRIu64, TARGET_PAGE_SIZE);
    }
    return p->cpu_throttle_initial <= p->max_cpu_throttle ||
           fail(error, "parameter 'cpu-throttle-initial' is larger than 'max-cpu-throttle'");
}

void migration_parameters_copy(MigrationParameters *to, const MigrationParameters *from)
{
    *to = *from;
    to->tls_creds = g_strdup(from->tls_creds);
    to->tls_hostname = g_strdup(from->tls_hostname);
    to->tls_authz = g_strdup(from->tls_authz);
}

bool migration_parameters_commit(MigrationParameters *p, bool max_bandwidth_given, GError **error)
{
    MigrationParameters *now = &migration_options()->parameters;

    if (!check_parameters(p, error)) {
        fields_clear(migration_parameter_fields, p);
        return false;
    }
    fields_clear(migration_parameter_fields, now);
    *now = *p;
    migration_options()->max_bandwidth_given |= max_bandwidth_given;
    return true;
}

bool migration_parameter_set(const char *name, const char *value, GError **error)
{
    MigrationParameters p;

    migration_parameters_copy(&p, &migration_options()->parameters);
    if (!field_set_string(migration_parameter_fields, &p, name, value, error)) {
        fields_clear(migration_parameter_fields, &p);
        return false;
    }
    return migration_parameters_commit(&p, !strcmp(name, "max-bandwidth"), error);
}

/* --- all of them --- */

MigrationOptions *migration_options(void)
{
    static MigrationOptions options;
    static bool ready;

    if (!ready) {
        fields_init(migration_parameter_fields, &options.parameters);
        ready = true;
    }
    return &options;
}

void migration_options_copy(MigrationOptions *to, const MigrationOptions *from)
{
    memcpy(to->capabilities, from->capabilities, sizeof(to->capabilities));
    migration_parameters_copy(&to->parameters, &from->parameters);
    to->max_bandwidth_given = from->max_bandwidth_given;
}

uint64_t migration_bandwidth_limit(const MigrationOptions *options, bool saved)
{
    return saved && !options->max_bandwidth_given ? 0 : options->parameters.max_bandwidth;
}

void migration_options_clear(MigrationOptions *options)
{
    fields_clear(migration_parameter_fields, &options->parameters);
}

static int find_capability(const char *name)
{
    for (int i = 0; i < CAPABILITY_NUM; i++) {
        if (!strcmp(name, capability_rows[i].name)) {
            return i;
        }
    }
    return -1;
}

bool migration_set_global(const char *property, const char *value, GError **error)
{
    if (!strcmp(property, "profile")) {
        return migration_parameter_set("x-profile", value, error);
    }
    if (g_str_has_prefix(property, "x-") && find_capability(property + 2) >= 0) {
        bool on;

        return parse_bool(value, &on, error) &&
               migration_capability_set(migration_options()->capabilities, find_capability(property + 2), on, error) &&
               migration_capabilities_check(migration_options()->capabilities, error);
    }
    return migration_parameter_set(property, value, error);
}
