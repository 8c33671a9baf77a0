/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands around received file descriptors; api/fds.h keeps them. */
#include "api/fds.h"

#include <unistd.h>

#include "api/command.h"
#include "util/error.h"

static bool take_fd(CommandContext *ctx, int *fd, GError **error)
{
    *fd = command_take_fd(ctx);
    return *fd >= 0 || fail(error, "no file descriptor came with the command (SCM_RIGHTS)");
}

/* --- getfd, closefd --- */

typedef struct FdNameArgs {
    char *name;
} FdNameArgs;

static const Field fd_name_args[] = {
    F_STRING(FdNameArgs, name, "fdname", .positional = true, .help = "name of the fd"),
    FIELD_END,
};

static bool run_getfd(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const FdNameArgs *a = args;
    int fd;

    return take_fd(ctx, &fd, error) && fd_store_put(a->name, fd, error);
}

COMMAND(getfd, .qmp = "getfd", .help = "keep the fd that came with this command under a name",
        .args = fd_name_args, .args_size = sizeof(FdNameArgs), .run = run_getfd);

static bool run_closefd(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const FdNameArgs *a = args;

    return fd_store_close(a->name, error);
}

COMMAND(closefd, .qmp = "closefd", .hmp = "closefd", .help = "close a received fd", .args = fd_name_args,
        .args_size = sizeof(FdNameArgs), .run = run_closefd);

/* --- add-fd, remove-fd --- */

typedef struct AddFdArgs {
    int64_t set;
    bool has_set;
    char *opaque;
} AddFdArgs;

static const Field add_fd_args[] = {
    F_I64(AddFdArgs, set, "fdset-id", .optional = true, F_HAS(AddFdArgs, has_set),
          .help = "default: a new set"),
    F_STRING(AddFdArgs, opaque, "opaque", .optional = true, .help = "text to find in query-fdsets"),
    FIELD_END,
};

typedef struct AddFdInfo {
    int64_t set, fd;
} AddFdInfo;

static const Field add_fd_info[] = {
    F_I64(AddFdInfo, set, "fdset-id"),
    F_I64(AddFdInfo, fd, "fd"),
    FIELD_END,
};

static bool run_add_fd(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const AddFdArgs *a = args;
    AddFdInfo *info = reply;
    int fd;

    if (a->has_set && a->set < 0) {
        return fail(error, "parameter 'fdset-id' expects a number that is not negative");
    }
    if (!take_fd(ctx, &fd, error)) {
        return false;
    }
    info->set = a->has_set ? a->set : -1;
    info->fd = fd;
    return fdset_add(&info->set, fd, a->opaque, error);
}

COMMAND(add_fd, .qmp = "add-fd", .help = "add the fd that came with this command to a set",
        .args = add_fd_args, .args_size = sizeof(AddFdArgs), .reply = add_fd_info,
        .reply_size = sizeof(AddFdInfo), .reply_name = "AddfdInfo", .run = run_add_fd);

typedef struct RemoveFdArgs {
    int64_t set, fd;
    bool has_fd;
} RemoveFdArgs;

static const Field remove_fd_args[] = {
    F_I64(RemoveFdArgs, set, "fdset-id"),
    F_I64(RemoveFdArgs, fd, "fd", .optional = true, F_HAS(RemoveFdArgs, has_fd),
          .help = "default: all of the set"),
    FIELD_END,
};

static bool run_remove_fd(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    const RemoveFdArgs *a = args;

    if (a->has_fd && (a->fd < 0 || a->fd > G_MAXINT)) {
        return fail(error, "parameter 'fd' expects a file descriptor");
    }
    return fdset_remove(a->set, a->has_fd ? (int)a->fd : -1, error);
}

COMMAND(remove_fd, .qmp = "remove-fd", .help = "close one fd of a set, or all", .args = remove_fd_args,
        .args_size = sizeof(RemoveFdArgs), .run = run_remove_fd);

/* --- query-fdsets --- */

typedef struct FdInfo {
    int64_t fd;
    char *opaque;
} FdInfo;

static const Field fd_info[] = {
    F_I64(FdInfo, fd, "fd"),
    F_STRING(FdInfo, opaque, "opaque", .optional = true),
    FIELD_END,
};

typedef struct FdSetInfo {
    int64_t set;
    GPtrArray *fds;
} FdSetInfo;

static const Field fdset_info[] = {
    F_I64(FdSetInfo, set, "fdset-id"),
    F_LIST(FdSetInfo, fds, "fds", fd_info, FdInfo, "FdsetFdInfo"),
    FIELD_END,
};

static void add_fd_to_list(int64_t id, int fd, const char *opaque, void *data)
{
    GPtrArray *sets = data;
    FdSetInfo *set = sets->len ? sets->pdata[sets->len - 1] : NULL;

    if (!set || set->set != id) {
        set = g_new0(FdSetInfo, 1);
        set->set = id;
        set->fds = g_ptr_array_new();
        g_ptr_array_add(sets, set);
    }
    FdInfo *info = g_new0(FdInfo, 1);
    info->fd = fd;
    info->opaque = g_strdup(opaque);
    g_ptr_array_add(set->fds, info);
}

static bool run_query_fdsets(CommandContext *ctx, const void *args, void *reply, GError **error)
{
    GPtrArray **sets = reply;

    *sets = g_ptr_array_new();
    fdset_foreach(add_fd_to_list, *sets);
    return true;
}

COMMAND(query_fdsets, .qmp = "query-fdsets", .help = "list the sets of received fds", .reply = fdset_info,
        .reply_size = sizeof(FdSetInfo), .reply_name = "FdsetInfo", .reply_list = true,
        .run = run_query_fdsets);
