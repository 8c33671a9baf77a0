/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counters and the supervisor timer.
 *
 * cycle and instret run at one per nanosecond of virtual time.  STIP follows time >= stimecmp (Sstc) while
 * menvcfg.STCE is set: whoever changes one of them, or the timer's callback on the main loop, settles the bit
 * under timer_lock.
 */
#include "cpu.h"

/* --- counters --- */
static bool inhibited(const RISCVCPU *cpu, unsigned bit)
{
    return (cpu->mcountinhibit >> bit) & 1;
}

static uint64_t now(void)
{
    return clock_get_ns(CLOCK_TYPE_VIRTUAL);
}

uint64_t riscv_counter_read(RISCVCPU *cpu, const RISCVCounter *counter, unsigned bit)
{
    return inhibited(cpu, bit) ? counter->base : counter->base + now();
}

void riscv_counter_write(RISCVCPU *cpu, RISCVCounter *counter, unsigned bit, uint64_t value)
{
    counter->base = inhibited(cpu, bit) ? value : value - now();
}

void riscv_mcountinhibit_write(RISCVCPU *cpu, uint32_t value)
{
    uint64_t cycle = riscv_counter_read(cpu, &cpu->cycle, 0),
             instret = riscv_counter_read(cpu, &cpu->instret, 2);

    cpu->mcountinhibit = value;
    riscv_counter_write(cpu, &cpu->cycle, 0, cycle);
    riscv_counter_write(cpu, &cpu->instret, 2, instret);
}

/* --- stimecmp --- */
/* Sets or clears STIP and arms the timer for the other case.  True: STIP is set. */
static bool settle_locked(RISCVCPU *cpu)
{
    bool enabled = riscv_has(cpu, EXT_sstc) && (atomic_read(&cpu->menvcfg) & ENVCFG_STCE);
    uint64_t stimecmp = cpu->stimecmp;
    int64_t at;

    if (!enabled) {
        atomic_and(&cpu->mip_lines, ~MIP_STIP);
        timer_del(&cpu->stimer);
        return false;
    }
    atomic_and(&cpu->mip_soft, ~MIP_STIP);
    if (guest_time_get() >= stimecmp) {
        atomic_or(&cpu->mip_lines, MIP_STIP);
        timer_del(&cpu->stimer);
        return true;
    }
    atomic_and(&cpu->mip_lines, ~MIP_STIP);
    at = guest_time_to_ns(stimecmp);
    if (at == INT64_MAX) {
        timer_del(&cpu->stimer);
    } else {
        timer_mod(&cpu->stimer, at);
    }
    return false;
}

void riscv_stimecmp_update(RISCVCPU *cpu)
{
    lock_acquire(&cpu->timer_lock);
    settle_locked(cpu);
    lock_release(&cpu->timer_lock);
}

void riscv_stimecmp_write(RISCVCPU *cpu, uint64_t value)
{
    lock_acquire(&cpu->timer_lock);
    cpu->stimecmp = value;
    settle_locked(cpu);
    lock_release(&cpu->timer_lock);
}

static void settle_from_outside(RISCVCPU *cpu)
{
    bool due;

    lock_acquire(&cpu->timer_lock);
    due = settle_locked(cpu);
    lock_release(&cpu->timer_lock);
    if (due) {
        cpu_interrupt(&cpu->cs, CPU_INTERRUPT_HARD);
    }
}

static void stimer_fired(void *opaque)
{
    settle_from_outside(opaque);
}

static void time_changed(GuestTimeNotifier *notifier)
{
    settle_from_outside(container_of(notifier, RISCVCPU, time_notifier));
}

void riscv_timer_init(RISCVCPU *cpu)
{
    lock_init(&cpu->timer_lock, RANK_DEVICE, "riscv-stimer");
    timer_init(&cpu->stimer, CLOCK_TYPE_VIRTUAL, stimer_fired, cpu);
    cpu->time_notifier.changed = time_changed;
    guest_time_add_notifier(&cpu->time_notifier);
}

void riscv_timer_destroy(RISCVCPU *cpu)
{
    guest_time_remove_notifier(&cpu->time_notifier);
    timer_del(&cpu->stimer);
    lock_destroy(&cpu->timer_lock);
}
