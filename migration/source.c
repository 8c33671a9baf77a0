/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The source object and its status.
 *
 *                       migration_start()
 *    NONE, CANCELLED, ----------------> SETUP --set_up()--> ACTIVE --switch_over()--> DEVICE --finish()--> COMPLETED
 *    COMPLETED, FAILED                    |                   |  |                      ^ |
 *                                         |                   |  +-> PRE_SWITCHOVER ----+ |
 *                                         |                   | wait_for_continue() |     |
 *                                         +---------+---------+---------------------+-----+
 *                                                   | error: finish()               | migration_cancel(), until
 *                                                   v                               v migration_commit()
 *                                                FAILED                         CANCELLING --finish()--> CANCELLED
 *
 * After migrate-start-postcopy DEVICE leads to POSTCOPY_ACTIVE, where the machine is the destination's; broken links:
 * postcopy-link.c.  A link that breaks while DEVICE hands the machine over leads to HANDOVER_PAUSED: handover-source.c.
 *
 * migration_set_status_locked() makes every transition and holds them to this drawing.
 * After FAILED and CANCELLED the machine is as it was before.
 */
#include "source.h"
#include "util/error.h"
#include "util/trace.h"

TRACE_EVENT(migration_status, "%s -> %s");

Migration *migration_source(void)
{
    static Migration migration;
    static gsize ready;

    if (g_once_init_enter(&ready)) {
        lock_init(&migration.lock, RANK_MIGRATION, "migration");
        cond_init(&migration.cond);
        g_once_init_leave(&ready, 1);
    }
    return &migration;
}

int64_t migration_now_ns(void)
{
    return g_get_monotonic_time() * 1000;
}

bool migration_is_final(MigrationStatus status)
{
    return status == MIGRATION_NONE || status == MIGRATION_CANCELLED || status == MIGRATION_COMPLETED ||
           status == MIGRATION_FAILED;
}

static const uint32_t legal_next[MIGRATION_STATUS_NUM] = {
#define S(status) (1u << MIGRATION_##status)
#define ENDS      (S(CANCELLING) | S(FAILED))
    [MIGRATION_NONE] = S(SETUP),
    [MIGRATION_SETUP] = S(ACTIVE) | ENDS,
    [MIGRATION_CANCELLING] = S(CANCELLED),
    [MIGRATION_CANCELLED] = S(SETUP),
    [MIGRATION_ACTIVE] = S(PRE_SWITCHOVER) | S(DEVICE) | ENDS,
    [MIGRATION_PRE_SWITCHOVER] = S(DEVICE) | ENDS,
    [MIGRATION_DEVICE] = S(COMPLETED) | S(POSTCOPY_ACTIVE) | S(HANDOVER_PAUSED) | ENDS,
    /* the machine is elsewhere: only the end of the process makes it FAILED */
    [MIGRATION_POSTCOPY_ACTIVE] = S(COMPLETED) | S(POSTCOPY_PAUSED) | S(FAILED),
    [MIGRATION_POSTCOPY_PAUSED] = S(POSTCOPY_RECOVER_SETUP) | S(FAILED),
    [MIGRATION_POSTCOPY_RECOVER_SETUP] = S(POSTCOPY_RECOVER) | S(POSTCOPY_PAUSED) | S(FAILED),
    [MIGRATION_POSTCOPY_RECOVER] = S(POSTCOPY_ACTIVE) | S(POSTCOPY_PAUSED) | S(FAILED),
    /* the machine may be elsewhere: FAILED when it was taken back, or at the end of the process */
    [MIGRATION_HANDOVER_PAUSED] = S(HANDOVER_RECOVER) | S(FAILED),
    [MIGRATION_HANDOVER_RECOVER] = S(COMPLETED) | S(HANDOVER_PAUSED) | S(FAILED),
    [MIGRATION_COMPLETED] = S(SETUP),
    [MIGRATION_FAILED] = S(SETUP),
#undef S
#undef ENDS
};

void migration_set_status_locked(Migration *m, MigrationStatus to)
{
    g_assert(legal_next[m->status] & (1u << to)); /* the drawing above */
    trace(migration_status, migration_status_names[m->status], migration_status_names[to]);
    m->status = to;
}

bool migration_set_status(Migration *m, MigrationStatus from, MigrationStatus to)
{
    lock_acquire(&m->lock);
    if (m->status != from) {
        lock_release(&m->lock);
        return false;
    }
    migration_set_status_locked(m, to);
    lock_release(&m->lock);
    migration_emit_status(to);
    return true;
}

MigrationStatus migration_get_status(Migration *m)
{
    LOCK_GUARD(&m->lock);
    return m->status;
}

bool migration_is_busy(void)
{
    return !migration_is_final(migration_get_status(migration_source()));
}

bool migration_took_log_since(int64_t time_us)
{
    Migration *m = migration_source();
    LOCK_GUARD(&m->lock);

    return m->status != MIGRATION_NONE && (!migration_is_final(m->status) || m->end_ns / 1000 >= time_us) &&
           !m->options.capabilities[CAPABILITY_BACKGROUND_SNAPSHOT];
}

bool migration_going_on(Migration *m, GError **error)
{
    return migration_get_status(m) != MIGRATION_CANCELLING || fail(error, "cancelled");
}

void migration_sleep(Migration *m, int64_t ns)
{
    lock_acquire(&m->lock);
    if (m->status != MIGRATION_CANCELLING) {
        cond_timedwait_ns(&m->cond, &m->lock, ns);
    }
    lock_release(&m->lock);
}

bool migration_commit(Migration *m, GError **error)
{
    LOCK_GUARD(&m->lock);

    m->committed = m->status != MIGRATION_CANCELLING;
    return m->committed || fail(error, "cancelled");
}
