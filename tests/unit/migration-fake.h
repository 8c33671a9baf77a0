/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A machine for the migration tests: two blocks of RAM and a device that has one field of each kind. */
#ifndef TESTS_UNIT_MIGRATION_FAKE_H
#define TESTS_UNIT_MIGRATION_FAKE_H

#include <string.h>

#include "migration/migration-internal.h"
#include "migration/sections.h"
#include "migration/state-io.h"
#include "system/physmem.h"
#include "system/runstate.h"

#define PAGE TARGET_PAGE_SIZE

typedef struct Fake {
    bool flag;
    uint8_t small;
    uint16_t shorts[3];
    uint32_t word;
    uint64_t wide;
    int64_t sign;
    uint8_t bytes[5];
    uint32_t extra; /* travels only when not 0 */
    uint32_t inner[3];
} Fake;

extern Fake fake;
extern RAMBlock *ram0, *ram1; /* of 4 and 67 pages */
extern const StreamConfig native_config, qemu_config;

void fake_fields(StateIO *io, void *opaque);

void make_machine(void);
void end_machine(void);
/* @seed is in a byte of ram0, a page of ram1, and a field that travels only when not 0. */
void fill_machine(unsigned seed);
/* The whole machine as a stream in memory. */
GByteArray *save_machine(const StreamConfig *config);
/* What is wrong with the stream; NULL: nothing. */
char *load_machine(const void *data, size_t size, const StreamConfig *config);

/* @text is freed. */
#define assert_contains(text, part)                                                                          \
    do {                                                                                                     \
        g_autofree char *text_ = (text);                                                                     \
        if (!text_ || !strstr(text_, part)) {                                                                \
            g_error("'%s' does not say '%s'", text_ ? text_ : "(success)", part);                            \
        }                                                                                                    \
    } while (0)

#define TEST(path, name) g_test_add_func("/migration/" path, test_##name)

void add_process_tests(void);
void end_process_tests(void);

#endif
