/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The big lock, the run state, and requests that any thread makes and the main loop carries out.
 *
 *   prelaunch --vm_start()--> running --vm_stop(paused)--> paused --vm_start()--> running
 *   inmigrate --loaded-----> running, paused, prelaunch
 *   running --migration: finish-migrate--> postmigrate (moved away), running (it failed)
 *   any --system_reset command while stopped--> prelaunch
 *
 * The whole drawing is legal_next[]; runstate_set() holds every change to it.
 */
#include "system/runstate.h"

#include <string.h>

#include "api/command.h"
#include "cpus-internal.h"
#include "ramblock-internal.h"
#include "system/clock.h"
#include "system/device.h"
#include "util/error.h"
#include "util/trace.h"

TRACE_EVENT(runstate_set, "%s -> %s");
TRACE_EVENT(system_request, "%s cause %d");

/* --- the big lock --- */

static Lock bql = LOCK_INITIALIZER(RANK_BQL, "big lock");

void bql_init(void)
{
    lock_init(&bql, RANK_BQL, "big lock");
}

void bql_lock(void)
{
    lock_acquire(&bql);
}

bool bql_try_lock(void)
{
    return lock_try(&bql);
}

void bql_unlock(void)
{
    lock_release(&bql);
}

bool bql_locked(void)
{
    return lock_held_by_me(&bql);
}

void bql_wait(Cond *cond)
{
    cond_wait(cond, &bql);
}

/* --- run states --- */

const char *const run_state_names[RUN_STATE_NUM + 1] = {
    [RUN_STATE_DEBUG] = "debug",
    [RUN_STATE_INMIGRATE] = "inmigrate",
    [RUN_STATE_INTERNAL_ERROR] = "internal-error",
    [RUN_STATE_IO_ERROR] = "io-error",
    [RUN_STATE_PAUSED] = "paused",
    [RUN_STATE_POSTMIGRATE] = "postmigrate",
    [RUN_STATE_PRELAUNCH] = "prelaunch",
    [RUN_STATE_FINISH_MIGRATE] = "finish-migrate",
    [RUN_STATE_RESTORE_VM] = "restore-vm",
    [RUN_STATE_RUNNING] = "running",
    [RUN_STATE_SAVE_VM] = "save-vm",
    [RUN_STATE_SHUTDOWN] = "shutdown",
    [RUN_STATE_SUSPENDED] = "suspended",
    [RUN_STATE_WATCHDOG] = "watchdog",
    [RUN_STATE_GUEST_PANICKED] = "guest-panicked",
    [RUN_STATE_COLO] = "colo",
};

#define S(state) (1u << RUN_STATE_##state)
/* Where every stopped machine may go: on, away, into a file and back, to its start, or nowhere. */
#define FROM_STOPPED                                                                                         \
    (S(RUNNING) | S(FINISH_MIGRATE) | S(PRELAUNCH) | S(PAUSED) | S(SUSPENDED) | S(SAVE_VM) | S(RESTORE_VM) | \
     S(SHUTDOWN) | S(INTERNAL_ERROR))
/* Why a machine stops. */
#define STOP_REASONS                                                                                         \
    (S(DEBUG) | S(INTERNAL_ERROR) | S(IO_ERROR) | S(PAUSED) | S(SHUTDOWN) | S(WATCHDOG) |                    \
     S(GUEST_PANICKED) | S(SUSPENDED))

static const uint32_t legal_next[RUN_STATE_NUM] = {
    [RUN_STATE_DEBUG] = FROM_STOPPED,
    [RUN_STATE_INMIGRATE] = STOP_REASONS | S(RUNNING) | S(FINISH_MIGRATE) | S(PRELAUNCH) | S(POSTMIGRATE) |
                            S(COLO) | S(SAVE_VM) | S(RESTORE_VM),
    [RUN_STATE_INTERNAL_ERROR] = S(PAUSED) | S(FINISH_MIGRATE) | S(PRELAUNCH) | S(SHUTDOWN) | S(RESTORE_VM),
    [RUN_STATE_IO_ERROR] = FROM_STOPPED,
    [RUN_STATE_PAUSED] = FROM_STOPPED | S(POSTMIGRATE) | S(COLO),
    [RUN_STATE_POSTMIGRATE] = FROM_STOPPED,
    [RUN_STATE_PRELAUNCH] = FROM_STOPPED | S(INMIGRATE) | S(POSTMIGRATE),
    [RUN_STATE_FINISH_MIGRATE] = STOP_REASONS | S(RUNNING) | S(POSTMIGRATE) | S(PRELAUNCH) | S(COLO),
    [RUN_STATE_RESTORE_VM] = STOP_REASONS | S(RUNNING) | S(PRELAUNCH) | S(POSTMIGRATE),
    [RUN_STATE_RUNNING] = STOP_REASONS | S(FINISH_MIGRATE) | S(SAVE_VM) | S(RESTORE_VM) | S(COLO),
    [RUN_STATE_SAVE_VM] = STOP_REASONS | S(RUNNING) | S(PRELAUNCH) | S(POSTMIGRATE),
    [RUN_STATE_SHUTDOWN] = S(PAUSED) | S(FINISH_MIGRATE) | S(PRELAUNCH) | S(SAVE_VM) | S(RESTORE_VM),
    [RUN_STATE_SUSPENDED] = FROM_STOPPED | S(COLO),
    [RUN_STATE_WATCHDOG] = FROM_STOPPED | S(COLO),
    [RUN_STATE_GUEST_PANICKED] = FROM_STOPPED,
    [RUN_STATE_COLO] = S(RUNNING) | S(PRELAUNCH) | S(SHUTDOWN) | S(PAUSED),
};

static RunState current_state = RUN_STATE_PRELAUNCH; /* written under the big lock; any thread reads */

bool autostart = true;
bool no_shutdown, no_reboot;

RunState runstate_get(void)
{
    return atomic_read(&current_state);
}

bool runstate_is_running(void)
{
    return runstate_get() == RUN_STATE_RUNNING;
}

static bool change_state(RunState state)
{
    RunState old = current_state;

    if (state == old) {
        return true;
    }
    if (!(legal_next[old] & (1u << state))) {
        error_report("the machine cannot go from '%s' to '%s'", run_state_names[old], run_state_names[state]);
        return false;
    }
    trace(runstate_set, run_state_names[old], run_state_names[state]);
    atomic_set(&current_state, state);
    return true;
}

void runstate_set(RunState state)
{
    change_state(state);
}

/* --- who wants to know --- */

typedef struct Notifier {
    void (*fn)(void);
    void *opaque;
} Notifier;

static GPtrArray *change_handlers, *powerdown_handlers;

static void add_notifier(GPtrArray **list, void (*fn)(void), void *opaque)
{
    Notifier *n = g_new(Notifier, 1);

    if (!*list) {
        *list = g_ptr_array_new_with_free_func(g_free);
    }
    *n = (Notifier){fn, opaque};
    g_ptr_array_add(*list, n);
}

void vm_state_change_add(VMStateChange fn, void *opaque)
{
    add_notifier(&change_handlers, (void (*)(void))fn, opaque);
}

void vm_state_change_remove(VMStateChange fn, void *opaque)
{
    for (unsigned i = 0; change_handlers && i < change_handlers->len; i++) {
        Notifier *n = g_ptr_array_index(change_handlers, i);

        if (n->fn == (void (*)(void))fn && n->opaque == opaque) {
            g_ptr_array_remove_index(change_handlers, i);
            return;
        }
    }
}

/* Devices start before what was added later and stop after it. */
static void notify_change(bool running)
{
    unsigned n = change_handlers ? change_handlers->len : 0;

    for (unsigned i = 0; i < n && i < change_handlers->len; i++) {
        Notifier *handler = g_ptr_array_index(change_handlers, running ? i : change_handlers->len - 1 - i);

        ((VMStateChange)handler->fn)(handler->opaque, running, current_state);
    }
}

void powerdown_notifier_add(void (*fn)(void *opaque), void *opaque)
{
    add_notifier(&powerdown_handlers, (void (*)(void))fn, opaque);
}

/* --- events --- */

static const char *const shutdown_cause_names[] = {
    "none",           "host-qmp-quit", "host-qmp-system-reset", "host-signal", "host-ui",
    "guest-shutdown", "guest-reset",   "guest-panic",           NULL,
};

typedef struct CauseData {
    bool guest;
    int reason;
} CauseData;

static const Field cause_fields[] = {
    F_BOOL(CauseData, guest, "guest", .help = "whether the guest asked for it"),
    F_ENUM(CauseData, reason, "reason", shutdown_cause_names, "ShutdownCause"),
    FIELD_END,
};

EVENT(stop, .name = "STOP", .help = "the machine stopped");
EVENT(resume, .name = "RESUME", .help = "the machine runs again");
EVENT(powerdown, .name = "POWERDOWN", .help = "the guest was asked to switch itself off");
EVENT(shutdown, .name = "SHUTDOWN", .fields = cause_fields, .help = "the machine ends");
EVENT(reset, .name = "RESET", .fields = cause_fields, .help = "the machine was reset");

static void emit_cause(const Event *event, ShutdownCause cause)
{
    CauseData data = {.guest = cause >= SHUTDOWN_GUEST_SHUTDOWN, .reason = cause};

    event_emit(event, &data);
}

/* --- requests: any thread writes, the main loop takes --- */

#define NO_REQUEST (-1)

static int shutdown_requested = NO_REQUEST; /* ShutdownCause */
static int reset_requested = NO_REQUEST;
static int stop_requested = NO_REQUEST; /* RunState */
static int powerdown_requested = NO_REQUEST;
static int requested_exit_code;

static void request(int *slot, int value, const char *name)
{
    trace(system_request, name, value);
    atomic_xchg(slot,
                value); /* full barrier: what was written for the request comes first; pairs with taken() */
    g_main_context_wakeup(NULL);
}

static int taken(int *slot)
{
    return atomic_read(slot) == NO_REQUEST ? NO_REQUEST : atomic_xchg(slot, NO_REQUEST);
}

void system_shutdown_request_with_code(ShutdownCause cause, int exit_code)
{
    atomic_set(&requested_exit_code, exit_code);
    request(&shutdown_requested, cause, "shutdown");
}

void system_shutdown_request(ShutdownCause cause)
{
    system_shutdown_request_with_code(cause, 0);
}

void system_reset_request(ShutdownCause cause)
{
    if (no_reboot) {
        system_shutdown_request(cause);
    } else {
        request(&reset_requested, cause, "reset");
    }
    if (current_cpu) {
        cpu_exit(current_cpu);
    }
}

void system_powerdown_request(void)
{
    request(&powerdown_requested, 0, "powerdown");
}

/* --- stop and start --- */

static unsigned resets; /* on request; big lock */

/* vCPUs are paused. */
static void reset_devices(ShutdownCause cause)
{
    devices_reset_all();
    if (cause != SHUTDOWN_NONE) {
        resets++;
        emit_cause(&event_reset, cause);
    }
}

/*
 * A guest that has asked for a reset waits for it, wherever it runs next: the request does not travel, and later the machine
 * would count as changed while it stood.
 */
static void reset_if_requested(void)
{
    int cause = taken(&reset_requested);

    if (cause != NO_REQUEST) {
        reset_devices(cause);
    }
}

bool vm_stop(RunState state)
{
    bool changed = false;

    if (current_cpu) {
        /* a vCPU cannot wait for itself: the main loop stops it soon */
        request(&stop_requested, state, "stop");
        cpu_exit(current_cpu);
        return true;
    }
    do {
        if (runstate_is_running()) {
            if (!change_state(state)) {
                return false;
            }
            changed = true;
        }
        pause_all_vcpus(); /* also when it was stopped: who did that may still be waiting for them */
    } while (runstate_is_running()); /* another thread let it run while this one waited */
    if (!changed) {
        return true;
    }
    reset_if_requested();
    notify_change(false);
    event_emit(&event_stop, NULL);
    return true;
}

bool vm_stop_force_state(RunState state)
{
    if (!runstate_is_running()) {
        if (!change_state(state)) {
            return false;
        }
        pause_all_vcpus(); /* as above */
    }
    if (runstate_is_running()) {
        return vm_stop(state);
    }
    notify_change(false); /* images are let go when the machine leaves, also when it was stopped before */
    return true;
}

static const char *given_away; /* big lock */

void vm_give_away(const char *why)
{
    given_away = why;
}

const char *vm_given_away(void)
{
    return given_away;
}

void vm_start(void)
{
    if (given_away) {
        error_report("%s", given_away);
        return;
    }
    if (runstate_is_running() || !change_state(RUN_STATE_RUNNING)) {
        return;
    }
    ram_blocks_guest_runs();
    event_emit(&event_resume, NULL);
    notify_change(true);
    resume_all_vcpus();
}

/* --- carrying out --- */

void system_reset(ShutdownCause cause)
{
    pause_all_vcpus();
    reset_devices(cause);
    resume_all_vcpus();
}

const char *system_reset_refused(void)
{
    if (runstate_get() == RUN_STATE_INMIGRATE) {
        return "the machine waits for an incoming migration, which brings all of its state";
    }
    return given_away; /* its memory may still be on the way */
}

unsigned system_reset_count(void)
{
    return resets;
}

bool system_reset_is_due(void)
{
    return atomic_read(&reset_requested) != NO_REQUEST;
}

static void do_reset(ShutdownCause cause)
{
    const char *why = system_reset_refused();

    if (why) { /* since it was asked for */
        warn_report("the machine is not reset: %s", why);
        return;
    }
    system_reset(cause);
    /* a guest asked while it ran; it is being stopped, perhaps to move, and moves as it is now */
    if (!runstate_is_running() && runstate_get() != RUN_STATE_FINISH_MIGRATE && cause != SHUTDOWN_GUEST_RESET) {
        runstate_set(RUN_STATE_PRELAUNCH);
    }
}

static void do_powerdown(void)
{
    event_emit(&event_powerdown, NULL);
    for (unsigned i = 0; powerdown_handlers && i < powerdown_handlers->len; i++) {
        Notifier *n = g_ptr_array_index(powerdown_handlers, i);

        ((void (*)(void *))n->fn)(n->opaque);
    }
}

/* True when the process is to end. */
static bool do_shutdown(ShutdownCause cause)
{
    emit_cause(&event_shutdown, cause);
    if (no_shutdown && cause != SHUTDOWN_HOST_QMP_QUIT && cause != SHUTDOWN_HOST_SIGNAL) {
        vm_stop_force_state(RUN_STATE_SHUTDOWN);
        return false;
    }
    return true;
}

bool main_loop_should_exit(int *exit_code)
{
    int value = taken(&shutdown_requested);

    if (value != NO_REQUEST && do_shutdown(value)) {
        *exit_code = atomic_read(&requested_exit_code);
        return true;
    }
    value = taken(&reset_requested);
    if (value != NO_REQUEST) {
        do_reset(value);
    }
    if (taken(&powerdown_requested) != NO_REQUEST) {
        do_powerdown();
    }
    value = taken(&stop_requested);
    if (value != NO_REQUEST) {
        vm_stop(value);
    }
    return false;
}
