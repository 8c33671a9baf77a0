/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gate itself: who keeps it, and how many are inside one of the keeper's functions.
 *
 * An access announces itself in @passing before it looks at @ram_gate_ops; ram_gate_open() takes the operations away
 * before it looks at @passing.  Both sides use full barriers, so either the access finds the gate open or the
 * opener waits for it.
 */
#include "system/ram-gate.h"

#include "system/cpu.h"
#include "util/error.h"
#include "util/lock.h"

const RamGateOps *ram_gate_ops;
static uint32_t passing; /* any thread, atomic */
static Lock passing_lock = LOCK_INITIALIZER(RANK_LEAF, "ram gate");
static Cond passing_none = {PTHREAD_COND_INITIALIZER};

__thread bool ram_gate_restartable;

bool ram_gate_vcpu_called(void)
{
    return current_cpu && (atomic_read(&current_cpu->stop) || atomic_read(&current_cpu->work_pending));
}

bool ram_gate_close(const RamGateOps *ops, GError **error)
{
    if (ram_gate_closed()) {
        return fail(error, "guest memory is under the care of another migration");
    }
    atomic_store_release(&ram_gate_ops, ops);
    physical_memory_withdraw_all();
    /* devices on other threads that found the gate open are inside a read section */
    synchronize_rcu();
    return true;
}

static void leave(void)
{
    if (atomic_fetch_dec(&passing) == 1 && !ram_gate_closed()) {
        LOCK_GUARD(&passing_lock);
        cond_broadcast(&passing_none);
    }
}

void ram_gate_open(void)
{
    (void)atomic_xchg(&ram_gate_ops, NULL); /* full barrier; pairs with the increment in ram_gate_pass_slow() */
    LOCK_GUARD(&passing_lock);
    while (atomic_load_acquire(&passing)) { /* pairs with the decrement in leave(): the keeper's state may go */
        cond_wait(&passing_none, &passing_lock);
    }
}

bool ram_gate_pass_slow(RAMBlock *block, uint64_t offset, uint64_t length, bool is_write)
{
    const RamGateOps *ops;
    bool (*before)(RAMBlock *block, uint64_t offset, uint64_t length) = NULL;
    bool passed;

    atomic_inc(&passing); /* full barrier; pairs with the exchange in ram_gate_open() */
    ops = atomic_load_acquire(&ram_gate_ops);
    if (ops) {
        before = is_write ? ops->before_write : ops->before_read;
    }
    passed = !before || before(block, offset, length);
    leave();
    return passed;
}
