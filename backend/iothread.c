/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event loops that users create by name. */
#include "backend/iothread.h"

#include <string.h>

#include "api/command.h"
#include "system/device.h"
#include "util/error.h"

typedef struct IOThread {
    EventLoop *loop;
    unsigned users; /* big lock */
} IOThread;

static bool iothread_complete(void *object, const char *id, GError **error)
{
    IOThread *t = object;

    t->loop = event_loop_new_thread(id, error);
    return t->loop != NULL;
}

static bool iothread_can_delete(void *object, GError **error)
{
    IOThread *t = object;

    return t->users == 0 || fail(error, "a device uses the iothread");
}

static void iothread_destroy(void *object)
{
    IOThread *t = object;

    if (t->loop) {
        event_loop_free(t->loop);
    }
}

OBJECT_TYPE(object_type_iothread, .name = "iothread", .help = "a thread that serves devices with iothread=ID",
            .instance_size = sizeof(IOThread), .complete = iothread_complete,
            .can_delete = iothread_can_delete, .destroy = iothread_destroy);

static IOThread *find(const char *id)
{
    const ObjectType *type = NULL;
    void *object = object_find(id, &type);

    return type == &object_type_iothread ? object : NULL;
}

EventLoop *iothread_claim(const char *id, GError **error)
{
    IOThread *t = find(id);

    if (!t) {
        return fail_null(error, "there is no iothread '%s'", id);
    }
    t->users++;
    return t->loop;
}

void iothread_release(const char *id)
{
    IOThread *t = find(id);

    if (t) {
        t->users--;
    }
}

typedef struct IOThreadInfo {
    char *id;
} IOThreadInfo;

static const Field iothread_info_fields[] = {F_STRING(IOThreadInfo, id, "id"), FIELD_END};

static void collect(const char *id, const ObjectType *type, void *object, void *opaque)
{
    if (type == &object_type_iothread) {
        IOThreadInfo *info = g_new0(IOThreadInfo, 1);

        info->id = g_strdup(id);
        g_ptr_array_add(opaque, info);
    }
}

static bool run_query_iothreads(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    GPtrArray *list = g_ptr_array_new();

    objects_foreach(collect, list);
    *(GPtrArray **)reply = list;
    return true;
}

COMMAND(query_iothreads, .qmp = "query-iothreads", .hmp = "info iothreads", .help = "show the iothreads",
        .reply = iothread_info_fields, .reply_size = sizeof(IOThreadInfo), .reply_name = "IOThreadInfo",
        .reply_list = true, .run = run_query_iothreads);
