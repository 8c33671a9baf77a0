/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stores behind api/fds.h: names with one fd each, and numbered sets of fds. */
#include "api/fds.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/field.h"
#include "util/error.h"
#include "util/lock.h"

typedef struct SetMember {
    int64_t set;
    int fd;
    char *opaque; /* the client's own text, NULL: none */
} SetMember;

static Lock fds_lock = LOCK_INITIALIZER(RANK_LEAF, "fds");
/* under fds_lock */
static GHashTable *named;  /* name -> fd, owned */
static GPtrArray *members; /* of SetMember *, owned, sorted by set */

/* --- names --- */

static GHashTable *named_locked(void)
{
    if (!named) {
        named = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    }
    return named;
}

/* Forgets the name; -1 when it is unknown. */
static int steal_named(const char *name)
{
    LOCK_GUARD(&fds_lock);
    gpointer key, value;

    if (!g_hash_table_steal_extended(named_locked(), name, &key, &value)) {
        return -1;
    }
    g_free(key);
    return GPOINTER_TO_INT(value);
}

bool fd_store_put(const char *name, int fd, GError **error)
{
    if (g_ascii_isdigit(name[0])) {
        close(fd);
        return fail(error, "fd name '%s' starts with a digit", name);
    }
    int old = steal_named(name);
    if (old >= 0) {
        close(old);
    }
    LOCK_GUARD(&fds_lock);
    g_hash_table_replace(named_locked(), g_strdup(name), GINT_TO_POINTER(fd));
    return true;
}

/* --- numbers --- */

static GHashTable *inherited; /* numbers; NULL: not noted; made before there are threads, then under fds_lock */

void fds_note_inherited(void)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;

    if (!dir) {
        return;
    }
    inherited = g_hash_table_new(NULL, NULL);
    while ((entry = readdir(dir))) {
        int fd = (int)strtol(entry->d_name, NULL, 10); /* "." and "..": 0, which is always open */

        if (fd != dirfd(dir)) {
            g_hash_table_add(inherited, GINT_TO_POINTER(fd));
        }
    }
    closedir(dir);
}

/* Once: the caller closes it, and the number may then stand for one of our own. */
static bool take_inherited(int fd)
{
    LOCK_GUARD(&fds_lock);
    return !inherited || g_hash_table_remove(inherited, GINT_TO_POINTER(fd));
}

/* The standard streams are always open: what is opened next must not become the place where messages go. */
static int take_number(int fd)
{
    int null, taken;

    if (fd > STDERR_FILENO) {
        return fd;
    }
    taken = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (taken >= 0 && null >= 0) {
        dup2(null, fd);
    }
    if (null >= 0) {
        close(null);
    }
    return taken;
}

int fd_store_take(const char *name, GError **error)
{
    uint64_t number;
    int fd;

    if (!g_ascii_isdigit(name[0])) {
        fd = steal_named(name);
        if (fd < 0) {
            fail(error, "no fd named '%s' was received", name);
        }
        return fd;
    }
    if (!parse_u64(name, &number, error)) {
        return -1;
    }
    if (number > INT_MAX || fcntl((int)number, F_GETFD) < 0) {
        fail(error, "fd %s is not open", name);
        return -1;
    }
    if (!take_inherited((int)number)) {
        fail(error, "fd %s was not given to this process when it was started, or is in use", name);
        return -1;
    }
    fd = take_number((int)number);
    if (fd < 0) {
        fail_errno(error, errno, "fd %s", name);
    }
    return fd;
}

bool fd_store_close(const char *name, GError **error)
{
    int fd = steal_named(name);

    if (fd < 0) {
        return fail(error, "no fd named '%s' was received", name);
    }
    close(fd);
    return true;
}

/* --- sets --- */

static void member_free(gpointer data)
{
    SetMember *member = data;

    close(member->fd);
    g_free(member->opaque);
    g_free(member);
}

static GPtrArray *members_locked(void)
{
    if (!members) {
        members = g_ptr_array_new_with_free_func(member_free);
    }
    return members;
}

static int64_t lowest_free_id_locked(void)
{
    int64_t id = 0;

    for (guint i = 0; i < members_locked()->len; i++) {
        const SetMember *member = members->pdata[i];
        if (member->set == id) {
            id++;
        }
    }
    return id;
}

static guint place_of_locked(int64_t id)
{
    guint i = 0;

    while (i < members_locked()->len && ((SetMember *)members->pdata[i])->set <= id) {
        i++;
    }
    return i;
}

bool fdset_add(int64_t *id, int fd, const char *opaque, GError **error)
{
    if (*id < -1) {
        close(fd);
        return fail(error, "fd set %" PRId64 " cannot exist", *id);
    }
    LOCK_GUARD(&fds_lock);
    if (*id == -1) {
        *id = lowest_free_id_locked();
    }
    SetMember *member = g_new(SetMember, 1);
    *member = (SetMember){.set = *id, .fd = fd, .opaque = g_strdup(opaque)};
    g_ptr_array_insert(members_locked(), (gint)place_of_locked(*id), member);
    return true;
}

bool fdset_remove(int64_t id, int fd, GError **error)
{
    LOCK_GUARD(&fds_lock);
    bool found = false;

    for (guint i = members_locked()->len; i-- > 0;) {
        const SetMember *member = members->pdata[i];
        if (member->set == id && (fd == -1 || member->fd == fd)) {
            g_ptr_array_remove_index(members, i);
            found = true;
        }
    }
    if (!found && fd == -1) {
        return fail(error, "there is no fd set %" PRId64, id);
    }
    return found || fail(error, "there is no fd %d in fd set %" PRId64, fd, id);
}

void fdset_foreach(void (*fn)(int64_t id, int fd, const char *opaque, void *data), void *data)
{
    LOCK_GUARD(&fds_lock);

    for (guint i = 0; i < members_locked()->len; i++) {
        const SetMember *member = members->pdata[i];
        fn(member->set, member->fd, member->opaque, data);
    }
}

/* --- opening --- */

static const char fdset_prefix[] = "/dev/fdset/";

bool fdset_is_path(const char *path)
{
    return g_str_has_prefix(path, fdset_prefix);
}

/* Whether @fd can stand for one opened with @flags: same access mode, O_DIRECT when wanted. */
static bool serves(int fd, int flags)
{
    int have = fcntl(fd, F_GETFL);

    return have >= 0 && (have & O_ACCMODE) == (flags & O_ACCMODE) && (have & O_DIRECT) == (flags & O_DIRECT);
}

int fdset_open(const char *path, int flags, GError **error)
{
    uint64_t id;
    bool exists = false;

    if (!fdset_is_path(path) || !parse_u64(path + strlen(fdset_prefix), &id, NULL)) {
        fail(error, "'%s' does not name an fd set", path);
        return -1;
    }
    LOCK_GUARD(&fds_lock);
    for (guint i = 0; i < members_locked()->len; i++) {
        const SetMember *member = members->pdata[i];
        if ((uint64_t)member->set != id) {
            continue;
        }
        exists = true;
        if (serves(member->fd, flags)) {
            int fd = fcntl(member->fd, F_DUPFD_CLOEXEC, 0);
            if (fd < 0) {
                fail_errno(error, errno, "could not duplicate the fd of '%s'", path);
            }
            return fd;
        }
    }
    fail(error, exists ? "no fd in '%s' has the wanted access mode" : "'%s' does not exist", path);
    return -1;
}

int fdset_open_path(const char *path, int flags, unsigned mode, GError **error)
{
    if (fdset_is_path(path)) {
        return fdset_open(path, flags, error);
    }
    /* a named pipe would wait for its other end, with all locks held */
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, mode);
    if (fd < 0 && errno == ENXIO) {
        fail(error, "could not open '%s': it is a socket, or a pipe that nobody reads from", path);
    } else if (fd < 0) {
        fail_errno(error, errno, "could not open '%s'", path);
    }
    return fd;
}
