/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process: parse, wire, run, end. */
#include "main/main.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

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

static bool write_pidfile(GError **error)
{
    g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());

    return !startup.pidfile || g_file_set_contents(startup.pidfile, text, -1, error);
}

static bool go_to_background(GError **error)
{
    if (startup.daemonize && daemon(1, 0) < 0) {
        return fail(error, "-daemonize: the process cannot go to the background");
    }
    return true;
}

/* The order matters: who may still call whom. */
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
    if (startup.pidfile) {
        unlink(startup.pidfile);
    }
}

int main(int argc, char **argv)
{
    GError *error = NULL;
    int status;

    error_set_program_name("godwit-system-riscv64");
    startup_init();
    if (!options_parse(argc, argv, NULL, &error)) {
        return end_with_error(error);
    }
    if (startup.exit_with_parent) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
    }
    if (!go_to_background(&error)) {
        return end_with_error(error);
    }
    bql_init();
    bql_lock();
    memory_init();
    cpus_init();
    main_loop_init();
    if (!wire_machine(&error) || !write_pidfile(&error)) {
        return end_with_error(error);
    }
    status = main_loop();
    end_machine();
    bql_unlock();
    return status;
}
