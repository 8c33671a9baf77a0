/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process: parse, wire, run, end. */
#include "main/main.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "api/fds.h"
#include "api/option.h"
#include "backend/block.h"
#include "backend/chardev.h"
#include "migration/migration.h"
#include "monitor/monitor.h"
#include "system/cpu.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "util/error.h"

static int end_with_error(GError *error)
{
    chardev_restore_terminal();
    error_report_free(error);
    return EXIT_FAILURE;
}

/* The order matters: who may still call whom.  Also after a start that failed half way. */
static void end_machine(void)
{
    if (runstate_is_running()) {
        vm_stop(RUN_STATE_SHUTDOWN);
    }
    migration_shutdown();
    monitor_stop_all();
    cpus_end_threads();
    block_drain_all();
    blocks_close_all();
    chardevs_close_all();
}

static bool take_disk_image(const char *word, GError **error)
{
    g_ptr_array_add(startup.disk_images, g_strdup(word));
    return true;
}

/* Everything from a command line that is well formed to a machine that is ready, or has nothing to run for.
 */
static bool set_up(bool *run, GError **error)
{
    return wire_machine(run, error) && (!*run || daemonize_finish(error));
}

static int run_machine(void)
{
    GError *error = NULL;
    int status = EXIT_SUCCESS;
    bool run = true;

    bql_init();
    bql_lock();
    memory_init();
    cpus_init();
    main_loop_init();
    if (!set_up(&run, &error)) {
        status = end_with_error(error);
    } else if (run) {
        status = main_loop();
    }
    end_machine();
    bql_unlock();
    return status;
}

int main(int argc, char **argv)
{
    g_autofree char *answer = NULL;
    GError *error = NULL;

    fds_note_inherited();
    error_set_program_name("godwit-system-riscv64");
    startup_init();
    if (!options_parse(argc, argv, take_disk_image, &error)) {
        return end_with_error(error);
    }
    answer = options_take_answer();
    if (answer) {
        fputs(answer, stdout);
        return EXIT_SUCCESS;
    }
    if (startup.exit_with_parent) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
    }
    if (!daemonize_begin(&error) || !pidfile_create(&error)) {
        return end_with_error(error);
    }
    return run_machine();
}
