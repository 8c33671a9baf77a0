/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RAM that somebody must see to before others touch it: postcopy (the bytes are still elsewhere) and background
 * snapshot (the bytes must be saved before they change).
 *
 * The keeper closes the gate while the vCPUs are stopped.  From then on everybody else - vCPUs, page walks,
 * instruction fetch, DMA, monitor, debugger - passes the gate before a page is touched.  What passed once may be
 * touched for good: fast paths are opened page by page as they pass, so a page that was seen to costs nothing
 * more.  There is one gate, with one keeper at a time.  The keeper itself uses RAMBlock.host.
 *
 * Waiting.  A vCPU counts as quiescent while it waits in a RamGateOps function.  A device or monitor may wait with
 * the big lock held, or inside an RCU read section of its caller; therefore what the wait is for must come about
 * without the big lock and without a grace period (call_rcu() is fine, synchronize_rcu() and rcu_barrier() are not).
 */
#ifndef SYSTEM_RAM_GATE_H
#define SYSTEM_RAM_GATE_H

#include "system/physmem.h"
#include "util/atomic.h"

typedef struct RamGateOps {
    /*
     * Before bytes [offset, offset + length) of @block, which may span pages, are read or written.  Return when they
     * may be touched; the pages stay free to touch for good.  Any thread; also for a page that passed before.
     * before_write() is called alone for an access that reads and writes.  NULL: that kind of access is free.
     *
     * False: they never will be, because the machine is being torn down; the access fails like one to a broken bus.
     * Or, to a vCPU that said that it can try again: not now (ram_gate_restartable).
     */
    bool (*before_read)(RAMBlock *block, uint64_t offset, uint64_t length);
    bool (*before_write)(RAMBlock *block, uint64_t offset, uint64_t length);
} RamGateOps;

extern const RamGateOps *ram_gate_ops; /* read through the functions below */

/*
 * Closes the gate.  Big lock, vCPUs stopped, not inside an RCU read section.  When it returns nobody is left who
 * found the gate open and still touches RAM, and no soft TLB holds a fast entry.  False: it is closed already.
 */
bool ram_gate_close(const RamGateOps *ops, GError **error);
/*
 * Opens it again, when all is seen to.  Any thread but one inside an operation; vCPUs may run.  When it returns nobody
 * is in, or will come to, a function of the keeper: its state may be freed.  The keeper must not leave anybody
 * waiting: let them go first.
 */
void ram_gate_open(void);

/*
 * Set around a pass by a vCPU that can leave its instruction undone.  A keeper whose wait may be long ends it and fails
 * the pass when ram_gate_vcpu_called(): the vCPU is to stop, or has work queued.  The CPU then begins the instruction
 * anew instead of raising an access fault.
 */
extern __thread bool ram_gate_restartable;
bool ram_gate_vcpu_called(void);

/* The whole cost while there is no keeper.  Acquire: who sees it open again sees the bytes the keeper placed. */
static inline bool ram_gate_closed(void)
{
    return unlikely(atomic_load_acquire(&ram_gate_ops) != NULL);
}

/* For access paths: waits until the bytes may be touched.  Not between a check and a store that depends on it. */
bool ram_gate_pass_slow(RAMBlock *block, uint64_t offset, uint64_t length, bool is_write);

static inline bool ram_gate_pass_read(RAMBlock *block, uint64_t offset, uint64_t length)
{
    return !ram_gate_closed() || ram_gate_pass_slow(block, offset, length, false);
}

static inline bool ram_gate_pass_write(RAMBlock *block, uint64_t offset, uint64_t length)
{
    return !ram_gate_closed() || ram_gate_pass_slow(block, offset, length, true);
}

#endif
