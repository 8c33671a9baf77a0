/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two emulators, a guest that never stops writing, and what it takes to move it from one to the other. */
#ifndef TESTS_MIGRATION_HELPERS_H
#define TESTS_MIGRATION_HELPERS_H

#include "tests/lib/libqtest.h"

#define RAM_BASE    UINT64_C(0x80000000)
#define MIB         (UINT64_C(1) << 20)
#define GUEST_START (RAM_BASE + MIB) /* where the guest's pages begin */

/* One folder per test program; the guest's image, files and sockets live there. */
void helpers_init(int *argc, char ***argv);
int helpers_run(void); /* the tests; then the folder goes */
const char *helpers_path(const char *name); /* valid until the next eight calls */
char *unix_uri(void);
char *file_uri(void);

typedef struct Guest {
    const char *args; /* machine options */
    unsigned harts;   /* 0: 1 */
    uint64_t start;   /* of its pages; 0: GUEST_START */
    uint64_t bytes;   /* per hart; 0: 4 MiB */
} Guest;

#define TWO_BLOCKS                                                                                           \
    "-M virt -m 64M -object memory-backend-ram,id=m0,size=32M -object memory-backend-ram,id=m1,size=32M "    \
    "-numa node,memdev=m0 -numa node,memdev=m1"

extern const Guest plain, two_harts, two_blocks;

/* A source that runs, after its first 'A' and 'B'. */
QTestState *start_source(const Guest *guest);
/* A destination that stays stopped after the load; @uri goes to -incoming; @more may be "". */
QTestState *start_destination(const Guest *guest, const char *uri, const char *more);
/* Where a destination listens that was told "tcp:127.0.0.1:0". */
char *tcp_uri(QTestState *to);
/* A destination whose load fails: its exit status and what it says on stderr. */
int run_destination_to_end(const Guest *guest, const char *uri, char **said);

void set_capability(QTestState *qts, const char *name, bool on);
void set_parameter(QTestState *qts, const char *name, int64_t value);
/* @value as JSON: "true", "\"zlib\"" */
void set_text_parameter(QTestState *qts, const char *name, const char *value);
void migrate(QTestState *qts, const char *uri);
/* query-migrate's status, newly allocated; "" when there is none. */
char *migration_status(QTestState *qts);
/* Asks until it is @goal; a final status that is not fails the test. */
void wait_status(QTestState *qts, const char *goal);
/* The same for the error that a failed migration names. */
char *wait_failed(QTestState *qts);
/* The next event MIGRATION names @status. */
void expect_status(QTestState *qts, const char *status);
int64_t query_number(QTestState *qts, const char *object, const char *name);
char *run_status(QTestState *qts);
void wait_run_status(QTestState *qts, const char *goal);
/* Runs a QMP command that takes and returns nothing. */
void execute(QTestState *qts, const char *command);
void check_run_status(QTestState *qts, const char *expected);
/* @reply, which is freed, is an error that says @part. */
void check_error(JsonObject *reply, const char *part);
/* Lets the guest go on after a migration and waits until it has printed. */
void check_guest_runs(QTestState *qts, const char *who);
/* What the dirty map has seen so far: the pages of all blocks, and how often the log was taken. */
int64_t dirty_map_pages(QTestState *qts, int64_t *takes);
/* In pieces: one line of the protocol per MiB. */
void read_memory(QTestState *qts, uint64_t addr, void *bytes, uint64_t size);
/* The source has stopped: its memory and the destination's are the same, and each part is a single step. */
void check_same_memory(QTestState *from, QTestState *to, const Guest *guest);
/* No lost or stale page among those the guest writes. */
void check_guest_pages(QTestState *qts, const Guest *guest);
/* Lets it not converge for two passes, then lets it. */
void migrate_live(QTestState *from, const char *uri);
/* Both have completed: memory is the same, the destination's guest runs and loses no store.  Ends both. */
void finish(QTestState *from, QTestState *to, const Guest *guest);
/* "must not converge" and "must converge" */
void slow_migration(QTestState *qts);
void fast_migration(QTestState *qts);

#endif
