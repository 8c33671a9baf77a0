/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vCPU threads, work, exclusive sections, run states: with an accelerator whose "guest" counts. */
#include <string.h>

#include "api/command.h"
#include "system/accel.h"
#include "system/clock.h"
#include "system/cpu.h"
#include "system/machine.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "util/counters.h"

#define N_CPUS 3

/* --- a guest that counts and sometimes waits for an interrupt --- */

typedef struct ToyCpu {
    CPUState parent;
    bool naps;       /* property: WFI after each turn */
    uint32_t lines;  /* atomic */
    uint64_t turns;  /* atomic */
    uint32_t inside; /* atomic: in "translated code" */
    bool was_reset;
} ToyCpu;

static ToyCpu *toy(CPUState *cpu)
{
    return container_of(cpu, ToyCpu, parent);
}

static void toy_reset(CPUState *cpu)
{
    toy(cpu)->was_reset = true;
}

static bool toy_has_work(CPUState *cpu)
{
    return atomic_read(&toy(cpu)->lines) != 0;
}

static void toy_set_irq(CPUState *cpu, int irq, int level)
{
    if (level) {
        atomic_or(&toy(cpu)->lines, 1u << irq);
        cpu_interrupt(cpu, CPU_INTERRUPT_HARD);
    } else {
        atomic_and(&toy(cpu)->lines, ~(1u << irq));
    }
}

static const Field toy_properties[] = {F_BOOL(ToyCpu, naps, "naps"), FIELD_END};

static const CpuOps toy_ops = {
    .env_size = sizeof(ToyCpu),
    .cpu_state_offset = offsetof(ToyCpu, parent),
    .properties = toy_properties,
    .reset = toy_reset,
    .has_work = toy_has_work,
    .set_irq = toy_set_irq,
};
CPU_MODEL(toy, .name = "toy", .help = "counts", .ops = &toy_ops);

static uint64_t busy_until_turn; /* atomic: of vCPU 0, which does not leave before */

static bool is_busy(const ToyCpu *t)
{
    return t->parent.index == 0 && atomic_read(&t->turns) < atomic_read(&busy_until_turn);
}

static void toy_exec(CPUState *cpu)
{
    ToyCpu *t = toy(cpu);

    cpu_exec_start(cpu);
    atomic_set(&t->inside, 1);
    if (t->naps) {
        atomic_set(&t->lines, 0); /* before the turn: whoever saw that may raise it again */
    }
    do {
        atomic_add(&t->turns, 1);
        cpu_count_dirty_page(cpu); /* each turn writes to another page */
    } while ((!atomic_read(&cpu->exit_request) && !t->naps) || is_busy(t));
    atomic_set(&t->inside, 0);
    cpu_exec_end(cpu);
    cpu->halted = t->naps;
}
ACCEL(toy, .name = "toy", .help = "counts", .cpu_exec = toy_exec);

static uint64_t turns(int i)
{
    return atomic_read(&toy(cpu_get(i))->turns);
}

/* Lets others run until the vCPU got on. */
static void wait_for_turn(int i)
{
    uint64_t before = turns(i);

    bql_unlock();
    while (turns(i) == before) {
        g_thread_yield();
    }
    bql_lock();
}

/* --- tests --- */

static void test_options_set_properties(void)
{
    g_assert_false(toy(cpu_get(0))->naps);
    g_assert_true(toy(cpu_get(2))->naps);
    g_assert_true(toy(cpu_get(0))->was_reset);
}

static void test_unknown_model_fails(void)
{
    GError *error = NULL;

    g_assert_null(cpu_new("toyy", NULL, N_CPUS, &error));
    g_assert_nonnull(strstr(error->message, "did you mean 'toy'"));
    g_error_free(error);
}

static void test_stop_stops_all(void)
{
    uint64_t before;

    vm_start();
    wait_for_turn(0);
    wait_for_turn(1);
    g_assert_true(vm_stop(RUN_STATE_PAUSED));
    g_assert_cmpint(runstate_get(), ==, RUN_STATE_PAUSED);
    before = turns(0);
    for (int i = 0; i < N_CPUS; i++) {
        g_assert_true(cpu_get(i)->stopped);
        g_assert_cmpuint(atomic_read(&toy(cpu_get(i))->inside), ==, 0);
    }
    g_assert_cmpuint(turns(0), ==, before);
}

static void assert_all_stopped(void)
{
    for (int i = 0; i < N_CPUS; i++) {
        g_assert_true(cpu_get(i)->stopped);
        g_assert_cmpuint(atomic_read(&toy(cpu_get(i))->inside), ==, 0);
    }
}

/* Gets the big lock when the other thread waits for the vCPUs. */
static gpointer start_thread(gpointer opaque)
{
    bql_lock();
    vm_start();
    atomic_set(&busy_until_turn, 0);
    bql_unlock();
    return NULL;
}

/* As a migration that fails lets the machine go on while a user stops it. */
static void test_stop_meets_a_start(void)
{
    GThread *thread;

    vm_start();
    wait_for_turn(0);
    atomic_set(&busy_until_turn, UINT64_MAX);
    thread = g_thread_new("start", start_thread, NULL);
    g_assert_true(vm_stop(RUN_STATE_PAUSED));
    g_assert_cmpint(runstate_get(), ==, RUN_STATE_PAUSED);
    assert_all_stopped();
    g_thread_join(thread);
}

static gpointer stop_thread(gpointer opaque)
{
    bql_lock();
    g_assert_true(vm_stop_force_state(RUN_STATE_FINISH_MIGRATE));
    assert_all_stopped();
    bql_unlock();
    return NULL;
}

/* As a migration switches over while a user stops the machine. */
static void test_stop_meets_a_stop(void)
{
    GThread *thread;

    vm_start();
    wait_for_turn(0);
    atomic_set(&busy_until_turn, turns(0) + 1000000);
    thread = g_thread_new("stop", stop_thread, NULL);
    g_assert_true(vm_stop(RUN_STATE_PAUSED));
    assert_all_stopped();
    bql_unlock();
    g_thread_join(thread);
    bql_lock();
    runstate_set(RUN_STATE_PAUSED);
}

static void test_virtual_clock_stands_while_stopped(void)
{
    int64_t then = clock_get_ns(CLOCK_TYPE_VIRTUAL);

    g_assert_cmpint(clock_get_ns(CLOCK_TYPE_VIRTUAL), ==, then);
    vm_start();
    while (clock_get_ns(CLOCK_TYPE_VIRTUAL) == then) {
        g_thread_yield();
    }
    vm_stop(RUN_STATE_PAUSED);
    g_assert_cmpint(clock_get_ns(CLOCK_TYPE_VIRTUAL), >, then);
}

static void note_thread(CPUState *cpu, void *opaque)
{
    *(CPUState **)opaque = current_cpu;
    g_assert_true(bql_locked());
}

static void test_work_runs_on_the_cpu(void)
{
    CPUState *where = NULL;

    run_on_cpu(cpu_get(1), note_thread, &where); /* stopped vCPUs work too */
    g_assert_true(where == cpu_get(1));
    vm_start();
    where = NULL;
    run_on_cpu(cpu_get(0), note_thread, &where);
    g_assert_true(where == cpu_get(0));
    vm_stop(RUN_STATE_PAUSED);
}

static void test_interrupt_ends_wfi(void)
{
    vm_start();
    for (unsigned i = 0; i < 50; i++) {
        uint64_t before = turns(2);

        irq_raise(cpu_irq(cpu_get(2), 3));
        bql_unlock();
        while (turns(2) == before) {
            g_thread_yield();
        }
        bql_lock();
    }
    vm_stop(RUN_STATE_PAUSED);
}

static void spin_us(unsigned us)
{
    int64_t until = clock_get_ns(CLOCK_TYPE_REALTIME) + us * INT64_C(1000);

    while (clock_get_ns(CLOCK_TYPE_REALTIME) < until) {
        cpu_relax();
    }
}

/* Interrupts that come at every moment of a halt: while it polls, about when it stops doing so, while it sleeps. */
static void test_no_wakeup_is_lost(void)
{
    vm_start();
    bql_unlock();
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t before = turns(2);

        toy_set_irq(cpu_get(2), 3, 1);
        while (turns(2) == before) {
            g_thread_yield();
        }
        spin_us(i % 100 < 50 ? i % 12 : i * 7919 % 120);
    }
    bql_lock();
    vm_stop(RUN_STATE_PAUSED);
}

COUNTER_EXTERN(cpus_polls);
COUNTER_EXTERN(cpus_polls_in_vain);

/* The same when halted vCPUs sleep at once. */
static void test_halts_without_polling(void)
{
    uint64_t before = counter_read(cpus_polls) + counter_read(cpus_polls_in_vain);

    cpus_set_halt_polling(false);
    test_no_wakeup_is_lost();
    cpus_set_halt_polling(true);
    g_assert_cmpuint(counter_read(cpus_polls) + counter_read(cpus_polls_in_vain), ==, before);
}

static void test_stop_ends_wfi(void)
{
    for (unsigned i = 0; i < 100; i++) {
        vm_start();
        toy_set_irq(cpu_get(2), 3, 1);
        spin_us(i % 12);
        g_assert_true(vm_stop(RUN_STATE_PAUSED));
        g_assert_true(cpu_get(2)->stopped);
    }
}

static void check_nobody_inside(void)
{
    for (int i = 0; i < N_CPUS; i++) {
        g_assert_cmpuint(atomic_read(&toy(cpu_get(i))->inside), ==, 0);
    }
}

static void test_exclusive_section_is_alone(void)
{
    vm_start();
    bql_unlock();
    for (unsigned i = 0; i < 200; i++) {
        start_exclusive();
        g_assert_true(cpu_in_exclusive_context());
        check_nobody_inside();
        g_thread_yield();
        check_nobody_inside();
        end_exclusive();
    }
    bql_lock();
    vm_stop(RUN_STATE_PAUSED);
}

static uint32_t exclusive_runs;

static void exclusive_work(CPUState *cpu, void *opaque)
{
    g_assert_true(cpu_in_exclusive_context());
    check_nobody_inside();
    atomic_inc(&exclusive_runs);
}

static void test_safe_work_is_alone(void)
{
    vm_start();
    for (unsigned i = 0; i < 60; i++) {
        async_safe_run_on_cpu(cpu_get(i % 2), exclusive_work, NULL);
    }
    bql_unlock();
    while (atomic_read(&exclusive_runs) < 60) {
        g_thread_yield();
    }
    bql_lock();
    vm_stop(RUN_STATE_PAUSED);
}

static void test_throttled_cpu_still_does_work(void)
{
    CPUState *where = NULL;

    vm_start();
    cpu_throttle_set(99);
    g_assert_cmpint(cpu_throttle_get_percentage(), ==, 99);
    while (!atomic_read(&cpu_get(0)->throttle_until_ns)) { /* its timer is the main loop's: that is us */
        clock_run_timers();
        bql_unlock();
        g_thread_yield();
        bql_lock();
    }
    run_on_cpu(cpu_get(0), note_thread, &where);
    g_assert_true(where == cpu_get(0));
    cpu_throttle_stop();
    wait_for_turn(0);
    vm_stop(RUN_STATE_PAUSED);
}

/* At one page a second: the first may be free, the second makes it sleep. */
static void test_limited_cpu_still_works_and_stops(void)
{
    CPUState *cpu = cpu_get(0), *where = NULL;
    uint64_t pages;

    cpu_dirty_limit_set(cpu, TARGET_PAGE_SIZE);
    pages = atomic_read(&cpu->dirty_pages);
    vm_start();
    while (!atomic_read(&cpu->dirty_until_ns)) {
        bql_unlock();
        g_thread_yield();
        bql_lock();
    }
    run_on_cpu(cpu, note_thread, &where);
    g_assert_true(where == cpu);
    wait_for_turn(1); /* the others are not held */
    vm_stop(RUN_STATE_PAUSED);
    /* turns go on until the vCPU sees that it is to leave: a few, not the millions of a free one */
    g_assert_cmpuint(atomic_read(&cpu->dirty_pages) - pages, <, 100);
    cpu_dirty_limit_set(cpu, 0);
    g_assert_cmpint(atomic_read(&cpu->dirty_until_ns), ==, 0);
    vm_start();
    wait_for_turn(0);
    vm_stop(RUN_STATE_PAUSED);
}

static void note_change(void *opaque, bool running, RunState state)
{
    g_string_append_printf(opaque, "%c%s ", running ? '+' : '-', run_state_names[state]);
}

static void test_handlers_hear_changes(void)
{
    g_autoptr(GString) heard = g_string_new(NULL);

    vm_state_change_add(note_change, heard);
    vm_start();
    vm_start();
    vm_stop(RUN_STATE_PAUSED);
    vm_stop(RUN_STATE_PAUSED);
    g_assert_cmpstr(heard->str, ==, "+running -paused ");
    vm_state_change_remove(note_change, heard);
}

static void note_event(const Event *event, JsonObject *data, gint64 realtime_us, void *opaque)
{
    g_string_append_printf(opaque, "%s ", event->name);
}

static void test_requests_are_carried_out_with_events(void)
{
    g_autoptr(GString) heard = g_string_new(NULL);
    int code = -1;

    event_sink_add(note_event, heard);
    vm_start();
    system_reset_request(SHUTDOWN_HOST_QMP_RESET);
    system_powerdown_request();
    g_assert_false(main_loop_should_exit(&code));
    vm_stop(RUN_STATE_PAUSED);
    system_shutdown_request_with_code(SHUTDOWN_GUEST_SHUTDOWN, 3);
    no_shutdown = true;
    g_assert_false(main_loop_should_exit(&code));
    g_assert_cmpint(runstate_get(), ==, RUN_STATE_SHUTDOWN);
    no_shutdown = false;
    system_shutdown_request_with_code(SHUTDOWN_GUEST_SHUTDOWN, 3);
    g_assert_true(main_loop_should_exit(&code));
    g_assert_cmpint(code, ==, 3);
    g_assert_cmpstr(heard->str, ==, "RESUME RESET POWERDOWN STOP SHUTDOWN SHUTDOWN ");
    event_sink_remove(note_event, heard);
    system_reset_request(SHUTDOWN_HOST_QMP_RESET);
    g_assert_false(main_loop_should_exit(&code));
    g_assert_cmpint(runstate_get(), ==, RUN_STATE_PRELAUNCH);
}

/* Else it would be lost when the machine moves, or end the migration. */
static void test_stop_resets_first(void)
{
    g_autoptr(GString) heard = g_string_new(NULL);
    int code = -1;

    event_sink_add(note_event, heard);
    vm_start();
    system_reset_request(SHUTDOWN_GUEST_RESET);
    vm_stop(RUN_STATE_FINISH_MIGRATE);
    g_assert_false(main_loop_should_exit(&code));
    system_reset_request(SHUTDOWN_GUEST_RESET); /* as if the main loop took it while the vCPUs were waited for */
    g_assert_false(main_loop_should_exit(&code));
    g_assert_cmpint(runstate_get(), ==, RUN_STATE_FINISH_MIGRATE);
    g_assert_cmpstr(heard->str, ==, "RESUME RESET STOP RESET ");
    event_sink_remove(note_event, heard);
    vm_start();
    vm_stop(RUN_STATE_PAUSED);
}

static JsonObject *run_command(const char *name)
{
    CommandContext ctx = {0};
    g_autoptr(JsonNode) node = command_run_json(command_find_qmp(name), &ctx, NULL, NULL);

    return node ? json_object_ref(json_node_get_object(node)) : NULL;
}

static void test_commands_stop_and_go(void)
{
    JsonObject *reply;

    json_object_unref(run_command("cont"));
    reply = run_command("query-status");
    g_assert_true(json_object_get_boolean_member(reply, "running"));
    g_assert_cmpstr(json_object_get_string_member(reply, "status"), ==, "running");
    json_object_unref(reply);
    json_object_unref(run_command("stop"));
    reply = run_command("query-status");
    g_assert_cmpstr(json_object_get_string_member(reply, "status"), ==, "paused");
    json_object_unref(reply);
    reply = run_command("query-version");
    g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(reply, "qemu"), "major"), ==,
                    10);
    json_object_unref(reply);
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    bql_init();
    bql_lock();
    memory_init();
    cpus_init();
    g_assert_true(accel_select("toy", NULL, NULL));
    for (int i = 0; i < N_CPUS; i++) {
        g_assert_nonnull(cpu_new("toy", i == 2 ? "naps=on" : NULL, i, NULL));
    }
    g_assert_true(cpus_start_threads(NULL));
    g_test_add_func("/cpus/new/options-set-properties", test_options_set_properties);
    g_test_add_func("/cpus/new/unknown-model-fails", test_unknown_model_fails);
    g_test_add_func("/cpus/stop/stops-all", test_stop_stops_all);
    g_test_add_func("/cpus/stop/one-that-meets-a-start", test_stop_meets_a_start);
    g_test_add_func("/cpus/stop/one-that-meets-a-stop-waits-too", test_stop_meets_a_stop);
    g_test_add_func("/cpus/stop/virtual-clock-stands", test_virtual_clock_stands_while_stopped);
    g_test_add_func("/cpus/queued-work/runs-on-the-cpu", test_work_runs_on_the_cpu);
    g_test_add_func("/cpus/wfi/interrupt-ends-it", test_interrupt_ends_wfi);
    g_test_add_func("/cpus/wfi/no-wake-up-is-lost", test_no_wakeup_is_lost);
    g_test_add_func("/cpus/wfi/no-wake-up-is-lost-without-polling", test_halts_without_polling);
    g_test_add_func("/cpus/wfi/stop-ends-it", test_stop_ends_wfi);
    g_test_add_func("/cpus/exclusive/section-is-alone", test_exclusive_section_is_alone);
    g_test_add_func("/cpus/exclusive/safe-work-is-alone", test_safe_work_is_alone);
    g_test_add_func("/cpus/throttle/work-goes-on", test_throttled_cpu_still_does_work);
    g_test_add_func("/cpus/dirty-limit/work-and-stop-go-on", test_limited_cpu_still_works_and_stops);
    g_test_add_func("/runstate/handlers/hear-changes", test_handlers_hear_changes);
    g_test_add_func("/runstate/requests/carried-out-with-events", test_requests_are_carried_out_with_events);
    g_test_add_func("/runstate/stop/a-reset-comes-first", test_stop_resets_first);
    g_test_add_func("/runstate/commands/stop-and-go", test_commands_stop_and_go);
    status = g_test_run();
    cpus_end_threads();
    bql_unlock();
    return status;
}
