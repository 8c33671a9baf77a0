/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of capabilities and parameters, and the commands that show and change them.  Big lock. */
#include "config-host.h"

#include "options.h"

#include <string.h>

#include "api/command.h"
#include "migration/migration.h"
#include "migration-internal.h"
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

static bool set_capability(bool caps[CAPABILITY_NUM], int index, bool on, GError **error)
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

static bool check_capabilities(const bool caps[CAPABILITY_NUM], GError **error)
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

typedef struct CapabilityStatus {
    int capability;
    bool state;
} CapabilityStatus;

static const Field capability_status_fields[] = {
    F_ENUM(CapabilityStatus, capability, "capability", migration_capability_names, "MigrationCapability",
           .positional = true),
    F_BOOL(CapabilityStatus, state, "state", .positional = true),
    FIELD_END,
};

static bool set_capabilities(GPtrArray *list, GError **error)
{
    MigrationOptions *options = migration_options();
    bool caps[CAPABILITY_NUM];

    if (migration_is_busy()) {
        return fail(error, "capabilities cannot be changed while a migration is active");
    }
    memcpy(caps, options->capabilities, sizeof(caps));
    for (unsigned i = 0; i < list->len; i++) {
        CapabilityStatus *status = g_ptr_array_index(list, i);

        if (!set_capability(caps, status->capability, status->state, error)) {
            return false;
        }
    }
    if (!check_capabilities(caps, error)) {
        return false;
    }
    for (int i = 0; i < CAPABILITY_NUM; i++) {
        atomic_set(&options->capabilities[i], caps[i]); /* some are read without the big lock */
    }
    return true;
}

typedef struct SetCapabilitiesArgs {
    GPtrArray *capabilities;
} SetCapabilitiesArgs;

static const Field set_capabilities_args[] = {
    F_LIST(SetCapabilitiesArgs, capabilities, "capabilities", capability_status_fields, CapabilityStatus,
           "MigrationCapabilityStatus"),
    FIELD_END,
};

static bool run_set_capabilities(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    return set_capabilities(((const SetCapabilitiesArgs *)args)->capabilities, error);
}

static bool run_set_capability(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new();

    g_ptr_array_add(list, (void *)args);
    return set_capabilities(list, error);
}

static bool run_query_capabilities(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    GPtrArray *list = g_ptr_array_new();

    for (int i = 0; i < CAPABILITY_NUM; i++) {
        CapabilityStatus *status = g_new0(CapabilityStatus, 1);

        *status = (CapabilityStatus){i, migration_options()->capabilities[i]};
        g_ptr_array_add(list, status);
    }
    *(GPtrArray **)reply = list;
    return true;
}

static void print_capabilities(CommandContext *ctx, const void *args, const void *reply)
{
    GPtrArray *list = *(GPtrArray *const *)reply;

    for (unsigned i = 0; i < list->len; i++) {
        CapabilityStatus *status = g_ptr_array_index(list, i);

        g_string_append_printf(ctx->output, "%s: %s\n", capability_rows[status->capability].name,
                               status->state ? "on" : "off");
    }
}

static void complete_capability(unsigned index, const char *prefix, GPtrArray *out)
{
    static const char *const on_off[] = {"on", "off", NULL};
    const char *const *names = index == 0 ? migration_capability_names : on_off;

    for (; index < 2 && *names; names++) {
        if (g_str_has_prefix(*names, prefix)) {
            g_ptr_array_add(out, g_strdup(*names));
        }
    }
}

COMMAND(migrate_set_capabilities, .qmp = "migrate-set-capabilities", .help = "turn migration capabilities on or off",
        .args = set_capabilities_args, .args_size = sizeof(SetCapabilitiesArgs), .run = run_set_capabilities);
COMMAND(migrate_set_capability, .hmp = "migrate_set_capability", .help = "turn a migration capability on or off",
        .args = capability_status_fields, .args_size = sizeof(CapabilityStatus), .run = run_set_capability,
        .complete = complete_capability);
COMMAND(query_migrate_capabilities, .qmp = "query-migrate-capabilities", .hmp = "info migrate_capabilities",
        .help = "show which migration capabilities are on", .reply = capability_status_fields,
        .reply_size = sizeof(CapabilityStatus), .reply_name = "MigrationCapabilityStatus", .reply_list = true,
        .run = run_query_capabilities, .print_hmp = print_capabilities);

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

static void copy_parameters(MigrationParameters *to, const MigrationParameters *from)
{
    *to = *from;
    to->tls_creds = g_strdup(from->tls_creds);
    to->tls_hostname = g_strdup(from->tls_hostname);
    to->tls_authz = g_strdup(from->tls_authz);
}

/* Takes over @p, or clears it and fails. */
static bool commit_parameters(MigrationParameters *p, GError **error)
{
    MigrationParameters *now = &migration_options()->parameters;

    if (!check_parameters(p, error)) {
        fields_clear(migration_parameter_fields, p);
        return false;
    }
    fields_clear(migration_parameter_fields, now);
    *now = *p;
    migration_parameters_changed();
    return true;
}

static bool run_set_parameters(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    MigrationParameters p;

    copy_parameters(&p, &migration_options()->parameters);
    return fields_from_json(migration_parameter_fields, &p, (JsonObject *)args, error) && commit_parameters(&p, error);
}

static bool set_parameter(const char *name, const char *value, GError **error)
{
    MigrationParameters p;

    copy_parameters(&p, &migration_options()->parameters);
    if (!field_set_string(migration_parameter_fields, &p, name, value, error)) {
        fields_clear(migration_parameter_fields, &p);
        return false;
    }
    return commit_parameters(&p, error);
}

typedef struct SetParameterArgs {
    char *name, *value;
} SetParameterArgs;

static const Field set_parameter_args[] = {
    F_STRING(SetParameterArgs, name, "parameter", .positional = true),
    F_STRING(SetParameterArgs, value, "value", .positional = true),
    FIELD_END,
};

static bool run_set_parameter(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const SetParameterArgs *a = args;
    const Field *field = field_find(migration_parameter_fields, a->name);
    g_autofree char *value = g_strdup(a->value);

    if (field && field->kind == FIELD_SIZE && *value && g_ascii_isdigit(value[strlen(value) - 1])) {
        g_free(value);
        value = g_strconcat(a->value, "M", NULL); /* people who type a bare number here mean MiB */
    }
    return set_parameter(a->name, value, error);
}

static bool run_query_parameters(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    copy_parameters(reply, &migration_options()->parameters);
    return true;
}

static void print_parameters(CommandContext *ctx, const void *args, const void *reply)
{
    for (const Field *f = migration_parameter_fields; f->name; f++) {
        g_autofree char *value = field_get_string(migration_parameter_fields, reply, f->name);
        const char *unit = f->kind == FIELD_SIZE ? "bytes/second" : f->unit;

        g_string_append_printf(ctx->output, "%s: %s%s%s\n", f->name, value ? value : "", unit ? " " : "",
                               unit ? unit : "");
    }
}

static void complete_parameter(unsigned index, const char *prefix, GPtrArray *out)
{
    for (const Field *f = migration_parameter_fields; index == 0 && f->name; f++) {
        if (g_str_has_prefix(f->name, prefix)) {
            g_ptr_array_add(out, g_strdup(f->name));
        }
    }
}

COMMAND(migrate_set_parameters, .qmp = "migrate-set-parameters", .help = "change migration parameters",
        .args = migration_parameter_fields, .args_size = sizeof(MigrationParameters), .args_any = true,
        .run = run_set_parameters);
COMMAND(migrate_set_parameter, .hmp = "migrate_set_parameter", .help = "change a migration parameter",
        .args = set_parameter_args, .args_size = sizeof(SetParameterArgs), .run = run_set_parameter,
        .complete = complete_parameter);
COMMAND(query_migrate_parameters, .qmp = "query-migrate-parameters", .hmp = "info migrate_parameters",
        .help = "show migration parameters", .reply = migration_parameter_fields,
        .reply_size = sizeof(MigrationParameters), .reply_name = "MigrationParameters", .run = run_query_parameters,
        .print_hmp = print_parameters);

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
    copy_parameters(&to->parameters, &from->parameters);
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
        return set_parameter("x-profile", value, error);
    }
    if (g_str_has_prefix(property, "x-") && find_capability(property + 2) >= 0) {
        bool on;

        return parse_bool(value, &on, error) &&
               set_capability(migration_options()->capabilities, find_capability(property + 2), on, error) &&
               check_capabilities(migration_options()->capabilities, error);
    }
    return set_parameter(property, value, error);
}
