/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The big lock, run states, and the requests that stop, reset or end the machine.
 */
#ifndef SYSTEM_RUNSTATE_H
#define SYSTEM_RUNSTATE_H

#include <glib.h>
#include <stdbool.h>

/* The big lock (rank RANK_BQL): devices, topology, run state.  Taken first, never inside another lock. */
void bql_lock(void);
bool bql_try_lock(void); /* does not wait */
void bql_unlock(void);
bool bql_locked(void); /* by this thread */
void bql_init(void);

/* Wire names are RunState's of QMP, in this order of the enum. */
typedef enum RunState {
    RUN_STATE_DEBUG,
    RUN_STATE_INMIGRATE,
    RUN_STATE_INTERNAL_ERROR,
    RUN_STATE_IO_ERROR,
    RUN_STATE_PAUSED,
    RUN_STATE_POSTMIGRATE,
    RUN_STATE_PRELAUNCH,
    RUN_STATE_FINISH_MIGRATE,
    RUN_STATE_RESTORE_VM,
    RUN_STATE_RUNNING,
    RUN_STATE_SAVE_VM,
    RUN_STATE_SHUTDOWN,
    RUN_STATE_SUSPENDED,
    RUN_STATE_WATCHDOG,
    RUN_STATE_GUEST_PANICKED,
    RUN_STATE_COLO,
    RUN_STATE_NUM,
} RunState;
extern const char *const run_state_names[RUN_STATE_NUM + 1];

RunState runstate_get(void);
bool runstate_is_running(void);
void runstate_set(RunState state); /* big lock; only legal transitions, others are reported and refused */

/* Big lock.  vm_stop(): no vCPU runs and the virtual clock stands when it returns.  Both emit STOP / RESUME. */
bool vm_stop(RunState state);
bool vm_stop_force_state(RunState state); /* also when the machine does not run: sets the state */
void vm_start(void);
/* From now on the machine does not run in this process, because it runs elsewhere.  @why: constant; NULL: it may. */
void vm_give_away(const char *why);
const char *vm_given_away(void); /* why, or NULL */
/* A handler learns of each change (running or not), with the big lock held: stop worker threads, flush, ... */
typedef void (*VMStateChange)(void *opaque, bool running, RunState state);
void vm_state_change_add(VMStateChange fn, void *opaque);
void vm_state_change_remove(VMStateChange fn, void *opaque);

typedef enum ShutdownCause {
    SHUTDOWN_NONE,
    SHUTDOWN_HOST_QMP_QUIT,
    SHUTDOWN_HOST_QMP_RESET,
    SHUTDOWN_HOST_SIGNAL,
    SHUTDOWN_HOST_UI,
    SHUTDOWN_GUEST_SHUTDOWN,
    SHUTDOWN_GUEST_RESET,
    SHUTDOWN_GUEST_PANIC,
} ShutdownCause;

/* Any thread; carried out on the main loop. */
void system_shutdown_request(ShutdownCause cause);
void system_shutdown_request_with_code(ShutdownCause cause, int exit_code);
void system_reset_request(ShutdownCause cause);
void system_powerdown_request(void);
/* A board's answer to system_powerdown; big lock. */
void powerdown_notifier_add(void (*fn)(void *opaque), void *opaque);
/* Main loop, each turn, with the big lock: does what was asked; true when the process should end with *exit_code. */
bool main_loop_should_exit(int *exit_code);
extern bool autostart; /* run once the machine is complete (no -S), or once what comes in has been loaded */
extern bool no_shutdown, no_reboot; /* -no-shutdown: stop instead of end; -no-reboot: end instead of reset */
/* Resets all devices and CPUs; big lock, vCPUs stopped by the callee. */
void system_reset(ShutdownCause cause);
/* Why a reset would do harm to a machine that comes or has gone, or NULL; big lock. */
const char *system_reset_refused(void);
/* How often the machine was reset on request so far, and whether such a request is still to be carried out; big lock. */
unsigned system_reset_count(void);
bool system_reset_is_due(void);

#endif
