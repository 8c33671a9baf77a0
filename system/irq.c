/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupt lines: plain calls from who raises to who listens, in groups that devices name. */
#include <string.h>

#include "device-internal.h"

void irq_set(IRQ *irq, int level)
{
    int old;

    if (!irq) {
        return;
    }
    old = irq->level;
    irq->level = level;
    if (irq->observer && old != level) {
        irq->observer->handler(irq->observer->opaque, irq->observer->n, level);
    }
    if (irq->handler) {
        irq->handler(irq->opaque, irq->n, level);
    }
}

static NamedIRQs *find_group(GPtrArray *groups, const char *name)
{
    for (unsigned i = 0; i < groups->len; i++) {
        NamedIRQs *group = g_ptr_array_index(groups, i);

        if (!g_strcmp0(group->name, name)) {
            return group;
        }
    }
    return NULL;
}

static NamedIRQs *new_group(GPtrArray *groups, const char *name, int n)
{
    NamedIRQs *group = g_new0(NamedIRQs, 1);

    group->name = g_strdup(name);
    group->n = n;
    g_ptr_array_add(groups, group);
    return group;
}

static void free_group(void *data)
{
    NamedIRQs *group = data;

    g_free(group->name);
    g_free(group->lines);
    g_free(group->observers);
    g_free(group->unconnected);
    g_free(group);
}

GPtrArray *irq_groups_new(void)
{
    return g_ptr_array_new_with_free_func(free_group);
}

void device_init_irq_in(Device *dev, IRQHandler handler, const char *name, int n)
{
    NamedIRQs *group = new_group(dev->irqs_in, name, n);

    group->lines = g_new0(IRQ, n);
    for (int i = 0; i < n; i++) {
        group->lines[i] = (IRQ){.handler = handler, .opaque = dev, .n = i};
    }
}

void device_init_irq_out(Device *dev, IRQ **lines, const char *name, int n)
{
    new_group(dev->irqs_out, name, n)->slots = lines;
}

IRQ *device_irq_in(Device *dev, const char *name, int n)
{
    NamedIRQs *group = find_group(dev->irqs_in, name);

    return group && n >= 0 && n < group->n ? &group->lines[n] : NULL;
}

void device_connect_irq(Device *dev, const char *name, int n, IRQ *irq)
{
    NamedIRQs *group = find_group(dev->irqs_out, name);

    g_return_if_fail(group && n >= 0 && n < group->n);
    group->slots[n] = irq;
}

static void observe(NamedIRQs *group, int i, IRQHandler handler, void *opaque)
{
    IRQ *line = group->lines ? &group->lines[i] : group->slots[i];

    if (!line) {
        line = group->slots[i] = &group->unconnected[i];
    }
    group->observers[i] = (IRQ){.handler = handler, .opaque = opaque, .n = i};
    line->observer = &group->observers[i];
}

bool device_intercept_irqs(Device *dev, const char *name, bool out, IRQHandler handler, void *opaque)
{
    NamedIRQs *group = find_group(out ? dev->irqs_out : dev->irqs_in, name);

    if (!group || group->observers) {
        return false;
    }
    group->observers = g_new0(IRQ, group->n);
    group->unconnected = out ? g_new0(IRQ, group->n) : NULL;
    for (int i = 0; i < group->n; i++) {
        observe(group, i, handler, opaque);
    }
    return true;
}
