/* SPDX-License-Identifier: GPL-2.0-or-later */
/* State that belongs to no device: the virtual clock ("timer") and what the machine was doing ("globalstate"). */
#include <string.h>

#include "migration-internal.h"
#include "migration/migration.h"
#include "system/clock.h"
#include "system/machine.h"
#include "system/runstate.h"
#include "system/state.h"

/* --- timer --- */

static struct TimerState {
    int64_t cpu_ticks_offset; /* of no use here; kept so that a stream saves back as it was */
    int64_t cpu_clock_offset;
} timer_state;

static void timer_fields(StateIO *io, void *opaque)
{
    struct TimerState *s = opaque;

    if (!state_loading(io)) {
        s->cpu_clock_offset = clock_virtual_get_offset();
    }
    state_field(io, "cpu_ticks_offset", STATE_TYPE_I64, &s->cpu_ticks_offset, 1, 8);
    state_unused(io, 8);
    state_field(io, "cpu_clock_offset", STATE_TYPE_I64, &s->cpu_clock_offset, 1, 8);
    if (state_loading(io)) {
        clock_virtual_set_offset(s->cpu_clock_offset);
    }
}

static const StateSection timer_section = {
    .name = "timer",
    .version = 2,
    .min_version = 2,
    .priority = 1000, /* first: devices that load may ask for the time */
    .fields = timer_fields,
};

/* --- globalstate --- */

static struct GlobalState {
    uint32_t size;
    char run_state[32];
    uint8_t has_vm_was_suspended, vm_was_suspended;
    uint8_t unused[66];
    bool received;
} global_state;

void globalstate_set(const char *run_state)
{
    memset(&global_state, 0, sizeof(global_state));
    g_strlcpy(global_state.run_state, run_state, sizeof(global_state.run_state));
    global_state.has_vm_was_suspended = 1;
    global_state.size = (uint32_t)strlen(global_state.run_state) + 1;
}

const char *globalstate_received(void)
{
    return global_state.received ? global_state.run_state : NULL;
}

static void globalstate_fields(StateIO *io, void *opaque)
{
    struct GlobalState *s = opaque;

    if (!state_loading(io) && !s->run_state[0]) {
        globalstate_set(run_state_names[runstate_get()]);
    }
    state_field(io, "size", STATE_TYPE_U32, &s->size, 1, 4);
    state_field(io, "runstate", STATE_TYPE_BUFFER, s->run_state, sizeof(s->run_state), 1);
    state_field(io, "has_vm_was_suspended", STATE_TYPE_U8, &s->has_vm_was_suspended, 1, 1);
    state_field(io, "vm_was_suspended", STATE_TYPE_U8, &s->vm_was_suspended, 1, 1);
    state_field(io, "unused", STATE_TYPE_BUFFER, s->unused, sizeof(s->unused), 1);
    if (!state_loading(io)) {
        return;
    }
    if (!memchr(s->run_state, 0, sizeof(s->run_state))) {
        s->run_state[0] = 0;
        state_fail(io, "the run state's name has no end");
        return;
    }
    for (int i = 0; i < RUN_STATE_NUM; i++) {
        if (!strcmp(s->run_state, run_state_names[i])) {
            s->received = true;
            return;
        }
    }
    s->run_state[0] = 0;
    state_fail(io, "the run state's name is unknown");
}

static const StateSection globalstate_section = {
    .name = "globalstate",
    .version = 1,
    .min_version = 1,
    .priority = -1000, /* last */
    .fields = globalstate_fields,
};

void globalstate_clear(void)
{
    memset(&global_state, 0, sizeof(global_state));
}

void migration_init(void)
{
    state_register(&timer_section, NULL, 0, &timer_state);
    state_register(&globalstate_section, NULL, 0, &global_state);
}

void stream_config_local(StreamConfig *config, const MigrationOptions *options)
{
    const Machine *machine = machine_current();

    memset(config, 0, sizeof(*config));
    g_strlcpy(config->machine, machine ? machine->machine_type->name : "none", sizeof(config->machine));
    config->profile = (StateProfile)options->parameters.profile;
    config->mapped_ram = options->capabilities[CAPABILITY_MAPPED_RAM];
    if (options->capabilities[CAPABILITY_VALIDATE_UUID] && machine && machine->config.has_uuid) {
        config->has_uuid = true;
        memcpy(config->uuid, machine->config.uuid, sizeof(config->uuid));
    }
}
