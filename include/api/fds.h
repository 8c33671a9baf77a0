/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * File descriptors that a management client handed over: by name (getfd) or in sets (add-fd, "/dev/fdset/N").
 *
 * Whoever opens something for the user looks here, and need not know which monitor it came through.
 * Any thread; takes a leaf lock.
 */
#ifndef API_FDS_H
#define API_FDS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Keeps @fd (owned from here on, also on failure) as @name; an earlier fd of that name is closed. */
bool fd_store_put(const char *name, int fd, GError **error);
/* At the start of the process, before anything is opened: which numbers the user can mean. */
void fds_note_inherited(void);
/*
 * Hands the fd over to the caller and forgets the name.  A number is an fd that this process inherited.  -1:
 * error.
 */
int fd_store_take(const char *name_or_number, GError **error);
/* Closes the fd of that name. */
bool fd_store_close(const char *name, GError **error);

/*
 * Adds @fd (owned from here on, also on failure) to set @*id, or to a new set when @*id is -1; @id is then
 * filled.
 */
bool fdset_add(int64_t *id, int fd, const char *opaque, GError **error);
/* Closes one fd of the set, or all when @fd is -1. */
bool fdset_remove(int64_t id, int fd, GError **error);
/* Calls @fn for each fd, set by set; an empty set is not listed. */
void fdset_foreach(void (*fn)(int64_t id, int fd, const char *opaque, void *data), void *data);

/* Whether @path has the form "/dev/fdset/N". */
bool fdset_is_path(const char *path);
/*
 * A duplicate of the fd in set N whose access mode is that of @flags; O_DIRECT must agree when asked for. -1:
 * error.
 */
int fdset_open(const char *path, int flags, GError **error);
/* open(), but understands "/dev/fdset/N".  Close-on-exec.  -1: error, which names @path. */
int fdset_open_path(const char *path, int flags, unsigned mode, GError **error);

#endif
