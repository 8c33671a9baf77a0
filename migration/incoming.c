/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The destination of a migration.
 *
 *    NONE, FAILED, CANCELLED --incoming_start()--> SETUP --accept--> ACTIVE --load--> COMPLETED
 *                                                    |                 |
 *                                                    +--------+--------+
 *                                                   any error v  incoming_cancel()
 *                                                    FAILED or CANCELLED
 *
 * A link that breaks when all was loaded, but the machine not handed over: handover-incoming.c.
 *
 * The load runs on a thread of its own; it takes the big lock for device states only, and lets it go while it waits
 * for the peer.  The machine starts after all was loaded, and in the native profile only when the source has said that
 * it gave the machine up.
 */
#include <string.h>

#include "api/command.h"
#include "api/option.h"
#include "incoming.h"
#include "migration/migration.h"
#include "postcopy.h"
#include "system/accel.h"
#include "system/cpu.h"
#include "system/machine.h"
#include "system/runstate.h"
#include "util/bswap.h"
#include "util/error.h"
#include "util/lock.h"

static Incoming incoming = {
    .lock = LOCK_INITIALIZER(RANK_MIGRATION, "incoming"),
    .way_back_lock = LOCK_INITIALIZER(RANK_LEAF, "way back"),
};

/* --- the way back --- */

static bool pong(SectionLoader *loader, uint32_t cookie)
{
    Incoming *in = loader->opaque;
    GError *error = NULL;

    /* the source takes it for "all device states are loaded" */
    if (loader == &in->loader && in->postcopy.in_package && !sections_check_devices(loader)) {
        return false;
    }
    if (!in->return_path || incoming_send_u32(in, RETURN_PATH_PONG, cookie, &error)) {
        return true;
    }
    if (in->postcopy.listening && loader->config.profile == STATE_PROFILE_QEMU) {
        g_error_free(error); /* the machine is ours all the same: there will be another link */
        return true;
    }
    return reader_take_error(loader->reader, error);
}

static void return_path_opened(SectionLoader *loader)
{
    Incoming *in = loader->opaque;
    Channel *channel = loader->reader->channel;
    GError *error = NULL;

    in->return_path = channel && channel->bidirectional;
    if (!in->return_path) {
        return;
    }
    incoming_set_way_back(in, channel);
    /* No device here has to prepare itself: agreed at once.  Native sources take or leave it. */
    if ((in->options.capabilities[CAPABILITY_SWITCHOVER_ACK] || loader->config.profile == STATE_PROFILE_NATIVE) &&
        !incoming_send(in, RETURN_PATH_SWITCHOVER_ACK, NULL, 0, &error)) {
        reader_take_error(loader->reader, error);
    }
}

/* --- load --- */

static __thread bool dropped_bql;

static void drop_bql(void)
{
    dropped_bql = bql_locked();
    if (dropped_bql) {
        bql_unlock();
    }
}

static void retake_bql(void)
{
    if (dropped_bql) {
        bql_lock();
    }
}

/* Waits for the source: its one connection, or all of multifd's. */
static bool wait_for_source(Incoming *in, Channel *channel, GError **error)
{
    static const ChannelMagics magics = {STREAM_MAGIC, MULTIFD_MAGIC};
    bool several = in->options.capabilities[CAPABILITY_MULTIFD] && !channel->seekable;
    unsigned n = several ? in->options.parameters.multifd_channels : 0;

    in->multifd = NULL;
    in->multifd_channels = 0;
    channel->keep_listening = in->options.capabilities[CAPABILITY_POSTCOPY_PREEMPT];
    if (!channel_prepare_group(channel, &magics, in->others, n, error)) {
        return false;
    }
    in->multifd_channels = n;
    return true;
}

static bool load_all(Incoming *in, StreamReader *reader)
{
    static const uint8_t no_uuid[16];
    SectionLoader *loader = &in->loader;
    const Machine *machine = machine_current();
    bool ok;

    ram_load_init(&in->ram, false, machine ? machine->machine_type->default_ram_id : NULL);
    if (in->multifd_channels) { /* from here on their errors are heard, even if the main stream says nothing */
        in->multifd = multifd_recv_new(reader->channel, in->others, in->multifd_channels,
                                       in->options.parameters.multifd_compression,
                                       machine && machine->config.has_uuid ? machine->config.uuid : no_uuid, &in->ram);
        in->ram.multifd = in->multifd;
    }
    section_loader_init(loader, reader, &in->local);
    loader->iterative = &ram_section;
    loader->iterative_opaque = &in->ram;
    loader->lock_bql = true;
    loader->pong = pong;
    loader->return_path_opened = return_path_opened;
    loader->command = postcopy_command;
    loader->opaque = in;
    ok = sections_load_header(loader);
    loader->missing_is_error = loader->config.profile == STATE_PROFILE_NATIVE;
    in->ram.fixed_ram = loader->config.mapped_ram;
    in->ram.fixed = (FixedRamLoad){
        .records = loader->config.records,
        .map = in->options.parameters.mapped_restore,
        .direct = in->options.parameters.direct_io,
        .readers = in->options.capabilities[CAPABILITY_MULTIFD] ? in->options.parameters.multifd_channels
                                                                : g_get_num_processors(),
    };
    return ok && sections_load(loader);
}

/* Registers, page tables and memory are others now. */
void incoming_flush_cpus(void)
{
    const AccelOps *accel = accel_current();
    CPUState *cpu;
    int i;

    CPU_FOREACH (cpu, i) {
        if (accel && accel->cpu_flush) {
            accel->cpu_flush(cpu);
        }
    }
}

bool incoming_commit(Incoming *in, GError **error)
{
    LOCK_GUARD(&incoming.lock);

    in->committed = !in->cancelled;
    return in->committed || fail(error, "cancelled");
}

/* Big lock. */
void incoming_start_machine(void)
{
    static const RunState kept[] = {
        RUN_STATE_PAUSED, RUN_STATE_PRELAUNCH, RUN_STATE_SHUTDOWN, RUN_STATE_SUSPENDED, RUN_STATE_IO_ERROR,
        RUN_STATE_WATCHDOG, RUN_STATE_GUEST_PANICKED, RUN_STATE_INTERNAL_ERROR, RUN_STATE_DEBUG,
    };
    const char *name = globalstate_received();

    if (!name || !strcmp(name, run_state_names[RUN_STATE_RUNNING])) {
        if (autostart) {
            vm_start();
        } else {
            runstate_set(RUN_STATE_PAUSED);
        }
        return;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(kept); i++) {
        if (!strcmp(name, run_state_names[kept[i]])) {
            runstate_set(kept[i]);
            return;
        }
    }
    runstate_set(RUN_STATE_PAUSED);
}

static bool run_load(Incoming *in, StreamReader *reader, GError **error)
{
    bool ok = load_all(in, reader);
    GError *multifd_error = NULL;

    if (in->postcopy.listening) {
        return postcopy_incoming_run(in, ok, error);
    }
    if (!multifd_recv_free(in->multifd, &multifd_error)) {
        g_clear_error(&reader->error); /* which is but the consequence */
        ok = reader_take_error(reader, multifd_error);
    }
    in->multifd = NULL;
    bql_lock();
    ram_load_clear(&in->ram);
    incoming_flush_cpus();
    bql_unlock();
    if ((!ok && !reader_ok(reader, error)) || !handover_take(in, error)) {
        return false;
    }
    bql_lock();
    incoming_start_machine();
    bql_unlock();
    handover_confirm(in);
    return true;
}

/* --- the thread --- */

void incoming_set_status(Incoming *in, MigrationStatus status)
{
    lock_acquire(&incoming.lock);
    in->status = status;
    lock_release(&incoming.lock);
    migration_emit_status(status);
}

static Channel *release_channel(Incoming *in)
{
    LOCK_GUARD(&incoming.lock);
    Channel *channel = in->channel;

    in->channel = NULL;
    return channel;
}

static void report_failure(Incoming *in, GError *error)
{
    bool cancelled, is_fatal;

    lock_acquire(&incoming.lock);
    cancelled = in->cancelled;
    is_fatal = in->exit_on_error && !cancelled;
    in->status = cancelled ? MIGRATION_CANCELLED : MIGRATION_FAILED;
    g_free(in->error);
    in->error = g_strdup(error->message);
    lock_release(&incoming.lock);
    error_report("incoming migration: %s", error->message);
    g_error_free(error);
    migration_emit_status(cancelled ? MIGRATION_CANCELLED : MIGRATION_FAILED);
    if (is_fatal) {
        system_shutdown_request_with_code(SHUTDOWN_HOST_QMP_QUIT, 1);
    }
}

static gpointer incoming_thread(gpointer opaque)
{
    Incoming *in = opaque;
    Channel *channel = in->channel; /* stays until this thread releases it */
    GError *error = NULL;
    bool ok = wait_for_source(in, channel, &error);

    if (ok) {
        incoming_set_status(in, MIGRATION_ACTIVE);
        in->reader = reader_new(channel);
        in->reader->before_wait = drop_bql;
        in->reader->after_wait = retake_bql;
        ok = run_load(in, in->reader, &error);
    }
    if (!ok && in->reader) {
        incoming_send_failure(in, error->message);
    }
    incoming_set_way_back(in, NULL);
    channel_free(release_channel(in));
    g_clear_pointer(&in->reader, reader_free);
    section_loader_clear(&in->loader);
    migration_options_clear(&in->options);
    if (ok) {
        incoming_set_status(in, MIGRATION_COMPLETED);
    } else {
        report_failure(in, error);
    }
    return NULL;
}

/* --- control: big lock --- */

static bool may_start(Incoming *in, GError **error)
{
    LOCK_GUARD(&incoming.lock);

    if (runstate_get() != RUN_STATE_INMIGRATE) {
        return fail(error, "the machine does not wait for an incoming migration (-incoming was not given)");
    }
    if (in->channel || in->status == MIGRATION_POSTCOPY_PAUSED || in->status == MIGRATION_HANDOVER_PAUSED) {
        return fail(error, "an incoming migration is active already");
    }
    return true;
}

static void init_cond(Incoming *in)
{
    static bool ready;

    if (!ready) {
        cond_init(&in->changed);
        ready = true;
    }
}

bool incoming_start(const char *uri, bool exit_on_error, GError **error)
{
    Incoming *in = &incoming;
    Channel *channel;

    if (!may_start(in, error)) {
        return false;
    }
    channel = channel_open(uri, true, error);
    if (!channel) {
        return false;
    }
    globalstate_clear();
    init_cond(in);
    lock_acquire(&incoming.lock);
    g_clear_pointer(&in->error, g_free);
    g_clear_pointer(&in->address, json_node_unref);
    memset(&in->loader, 0, sizeof(in->loader));
    memset(&in->ram, 0, sizeof(in->ram));
    memset(&in->postcopy, 0, sizeof(in->postcopy));
    in->address = channel->address ? json_node_copy(channel->address) : NULL;
    in->channel = channel;
    in->cancelled = in->committed = in->seized = in->quit = in->return_path = false;
    in->exit_on_error = exit_on_error;
    migration_options_copy(&in->options, migration_options());
    stream_config_local(&in->local, &in->options);
    in->status = MIGRATION_SETUP;
    lock_release(&incoming.lock);
    migration_emit_status(MIGRATION_SETUP);
    g_thread_unref(g_thread_new("incoming", incoming_thread, in));
    return true;
}

/* The source may have given the machine up or not: the user decides. */
static bool in_broken_handover(const Incoming *in)
{
    return in->status == MIGRATION_HANDOVER_PAUSED || in->status == MIGRATION_HANDOVER_RECOVER;
}

void incoming_cancel(void)
{
    LOCK_GUARD(&incoming.lock);

    if (in_broken_handover(&incoming) || (incoming.channel && !incoming.committed)) {
        incoming.cancelled = true;
        if (incoming.channel) {
            channel_cancel(incoming.channel);
        }
        cond_broadcast(&incoming.changed);
    }
}

/* --- links that break --- */

static bool in_postcopy(const Incoming *in)
{
    return in->status >= MIGRATION_POSTCOPY_ACTIVE && in->status <= MIGRATION_POSTCOPY_RECOVER;
}

bool incoming_in_postcopy(void)
{
    LOCK_GUARD(&incoming.lock);
    return in_postcopy(&incoming);
}

/* All is loaded, and the last word of the source is waited for. */
static bool in_handover(const Incoming *in)
{
    return (in->status == MIGRATION_ACTIVE && in->committed) || in_broken_handover(in);
}

void incoming_shutdown(void)
{
    lock_acquire(&incoming.lock);
    incoming.quit = true;
    if ((in_postcopy(&incoming) || in_handover(&incoming)) && incoming.channel) {
        channel_cancel(incoming.channel);
    }
    cond_broadcast(&incoming.changed);
    lock_release(&incoming.lock);
    epilogue_pause();
    postcopy_pages_abandon();
}

bool incoming_pause(void)
{
    LOCK_GUARD(&incoming.lock);
    Channel *channel = incoming.channel ? incoming.channel : incoming.next; /* next: nobody has taken it yet */

    if ((!in_postcopy(&incoming) && !in_handover(&incoming)) || !channel) {
        return epilogue_pause();
    }
    channel_cancel(channel);
    return true;
}

/* The lock is held. */
static bool may_listen_again(const Incoming *in, GError **error)
{
    if (in->status == MIGRATION_COMPLETED && epilogue_due()) {
        return !epilogue_waits() || fail(error, "this machine waits for its source already");
    }
    return in->status == MIGRATION_POSTCOPY_PAUSED || in->status == MIGRATION_HANDOVER_PAUSED ||
           fail(error, "there is no broken postcopy or handover to recover");
}

/* Before anything is opened: that could take the name of the socket that is listened on already. */
static bool check_recover(const char *uri, GError **error)
{
    LOCK_GUARD(&incoming.lock);
    return may_listen_again(&incoming, error) && channel_may_be_socket(uri, error);
}

/* The lock is held; @channel is taken over. */
static bool listen_again(Incoming *in, Channel *channel, GError **error)
{
    JsonNode *address = channel->address ? json_node_copy(channel->address) : NULL;
    bool ok = true;

    if (!may_listen_again(in, error)) {
        channel_free(channel);
        ok = false;
    } else if (in->status == MIGRATION_COMPLETED) {
        ok = epilogue_start(in, channel, error);
    } else {
        in->next = channel;
        in->status = in->status == MIGRATION_POSTCOPY_PAUSED ? MIGRATION_POSTCOPY_RECOVER_SETUP
                                                             : MIGRATION_HANDOVER_RECOVER;
        cond_broadcast(&in->changed);
    }
    if (ok) { /* a refusal changes nothing */
        JsonNode *old = in->address;

        in->address = address;
        address = old;
    }
    g_clear_pointer(&address, json_node_unref);
    return ok;
}

bool incoming_recover(const char *uri, GError **error)
{
    Channel *channel = check_recover(uri, error) ? channel_open(uri, true, error) : NULL;
    MigrationStatus status;
    bool ok;

    if (!channel) {
        return false;
    }
    lock_acquire(&incoming.lock);
    ok = listen_again(&incoming, channel, error);
    status = incoming.status;
    lock_release(&incoming.lock);
    if (ok && status != MIGRATION_COMPLETED) {
        migration_emit_status(status);
    }
    return ok;
}

bool incoming_seize(GError **error)
{
    LOCK_GUARD(&incoming.lock);

    if (incoming.status != MIGRATION_HANDOVER_PAUSED) {
        return fail(error, "no machine waits here for a broken handover");
    }
    incoming.seized = true;
    cond_broadcast(&incoming.changed);
    return true;
}

MigrationStatus incoming_status(char **error, JsonNode **address)
{
    LOCK_GUARD(&incoming.lock);

    *error = g_strdup(incoming.error);
    *address = incoming.address ? json_node_copy(incoming.address) : NULL;
    return incoming.status;
}

/* --- the command line --- */

static char *requested;

static bool parse_incoming(const char *value, GError **error)
{
    g_free(requested);
    requested = NULL;
    if (value[0] == '{' || value[0] == '[') {
        g_autoptr(JsonNode) node = json_from_string(value, error);

        requested = node ? channel_uri_from_json(node, error) : NULL;
        return requested != NULL;
    }
    requested = g_strdup(value);
    return true;
}

OPTION(incoming, .name = "incoming", .arg = "URI|defer", .section = "Migration",
       .help = "wait for a migration, or restore from a file (unix:PATH, tcp:HOST:PORT, fd:N, exec:COMMAND, "
               "file:PATH[,offset=N])",
       .parse = parse_incoming);

bool incoming_requested(void)
{
    return requested != NULL;
}

bool incoming_start_requested(GError **error)
{
    if (!requested || !strcmp(requested, "defer")) {
        return true;
    }
    if (!incoming_start(requested, true, error)) {
        error_context(error, "-incoming");
        return false;
    }
    return true;
}

/* --- commands --- */

typedef struct IncomingArgs {
    char *uri;
    JsonNode *channels;
    bool exit_on_error;
} IncomingArgs;

static const Field incoming_args[] = {
    F_STRING(IncomingArgs, uri, "uri", .optional = true, .positional = true, .rest_of_line = true),
    F_ANY(IncomingArgs, channels, "channels", .optional = true),
    F_BOOL(IncomingArgs, exit_on_error, "exit-on-error", .optional = true, .default_value = "on"),
    FIELD_END,
};

static bool run_incoming(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const IncomingArgs *a = args;
    g_autofree char *uri = NULL;

    if (!a->uri == !a->channels) {
        return fail(error, "exactly one of 'uri' and 'channels' is needed");
    }
    uri = a->uri ? g_strdup(a->uri) : channel_uri_from_json(a->channels, error);
    return uri && incoming_start(uri, a->exit_on_error, error);
}

COMMAND(migrate_incoming, .qmp = "migrate-incoming", .hmp = "migrate_incoming",
        .help = "wait for a migration (after -incoming defer)", .args = incoming_args,
        .args_size = sizeof(IncomingArgs), .run = run_incoming);
