/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libqtest: runs the emulator as a child and drives it over the qtest protocol and QMP.
 *
 *     QTestState *qts = qtest_init("-M virt");
 *     qtest_writel(qts, 0x80000000, 1);
 *     JsonObject *reply = qtest_qmp(qts, "{'execute': 'query-status'}");
 *     qtest_quit(qts);
 *
 * Whatever goes wrong (no answer in time, an unexpected exit status) ends the test with a message and what
 * the emulator said on stderr.  The names and the start-up contract are those of the field, so another
 * emulator that follows it can be driven as well.  Several emulators may run at once; one thread.
 */
#ifndef TESTS_LIBQTEST_H
#define TESTS_LIBQTEST_H

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/compiler.h"

typedef struct QTestState QTestState;

/* --- life --- */
/* $GODWIT_BINARY, $QTEST_QEMU_BINARY, or the one of this build. */
const char *qtest_binary(void);
/* @args go through a shell.  The machine does not run guest code unless @args has "-accel tcg". */
QTestState *qtest_init(const char *args);
QTestState *qtest_initf(const char *format, ...) PRINTF_LIKE(1, 2);
/* The greeting waits to be read by qtest_qmp_receive(), and nothing is negotiated. */
QTestState *qtest_init_without_qmp_handshake(const char *args);
/* Ends the emulator (SIGTERM), checks its exit status and frees.  NULL is fine. */
void qtest_quit(QTestState *s);
/* What the exit status will be, 0 by default; -1: do not check. */
void qtest_set_expected_status(QTestState *s, int status);
/* Waits until the emulator has ended by itself; returns its exit status, or minus the signal. */
int qtest_wait_exit(QTestState *s);
void qtest_kill(QTestState *s, int signal);
pid_t qtest_pid(QTestState *s);
/* What it has said on stderr up to now, newly allocated. */
char *qtest_stderr(QTestState *s);
/* A folder of this emulator's own, removed by qtest_quit() with the files in it. */
const char *qtest_dir(QTestState *s);

/*
 * Runs the emulator to its end with nothing but @args; returns its exit status (minus the signal that ended
 * it).
 */
int qtest_run(const char *args, char **out, char **err);

/*
 * --- QMP.  Text is printf-JSON: '...' strings; %s becomes a string, %i a boolean, %p takes over a JsonNode
 * ---
 */
JsonObject *qtest_qmp(QTestState *s, const char *format, ...);
JsonObject *qtest_vqmp(QTestState *s, const char *format, va_list ap);
void qtest_qmp_send(QTestState *s, const char *format, ...);
void qtest_qmp_send_raw(QTestState *s, const char *text);
/* Sends it along with file descriptors (SCM_RIGHTS), which stay open here. */
JsonObject *qtest_qmp_fds(QTestState *s, const int *fds, size_t n, const char *format, ...);
/* The next message that is not an event; events are kept for eventwait.  The caller unrefs all of these. */
JsonObject *qtest_qmp_receive(QTestState *s);
/* Fails the test when the reply is an error. */
void qtest_qmp_assert_success(QTestState *s, const char *format, ...);
JsonNode *qtest_qmp_assert_success_ref(QTestState *s, const char *format, ...);
/* Fails the test when the reply is none; returns the error object (class, desc). */
JsonObject *qtest_qmp_assert_failure_ref(QTestState *s, const char *format, ...);
/* Waits for the event, which may have come already. */
void qtest_qmp_eventwait(QTestState *s, const char *event);
JsonObject *qtest_qmp_eventwait_ref(QTestState *s, const char *event);
/* The oldest such event that has come; NULL: none.  Does not wait. */
JsonObject *qtest_qmp_event_ref(QTestState *s, const char *event);
char *qtest_hmp(QTestState *s, const char *format, ...) PRINTF_LIKE(2, 3);

/* --- the machine --- */
uint8_t qtest_readb(QTestState *s, uint64_t addr);
uint16_t qtest_readw(QTestState *s, uint64_t addr);
uint32_t qtest_readl(QTestState *s, uint64_t addr);
uint64_t qtest_readq(QTestState *s, uint64_t addr);
void qtest_writeb(QTestState *s, uint64_t addr, uint8_t value);
void qtest_writew(QTestState *s, uint64_t addr, uint16_t value);
void qtest_writel(QTestState *s, uint64_t addr, uint32_t value);
void qtest_writeq(QTestState *s, uint64_t addr, uint64_t value);
void qtest_memread(QTestState *s, uint64_t addr, void *data, size_t size);
void qtest_memwrite(QTestState *s, uint64_t addr, const void *data, size_t size);
void qtest_bufread(QTestState *s, uint64_t addr, void *data, size_t size);
void qtest_bufwrite(QTestState *s, uint64_t addr, const void *data, size_t size);
void qtest_memset(QTestState *s, uint64_t addr, uint8_t byte, size_t size);
bool qtest_big_endian(QTestState *s);
/* Virtual time in ns; only under the qtest accelerator. */
int64_t qtest_clock_step_next(QTestState *s);
int64_t qtest_clock_step(QTestState *s, int64_t step);
int64_t qtest_clock_set(QTestState *s, int64_t ns);
/* Lines of the device that was intercepted. */
bool qtest_get_irq(QTestState *s, int n);
void qtest_irq_intercept_in(QTestState *s, const char *path);
void qtest_irq_intercept_out(QTestState *s, const char *path);
void qtest_irq_intercept_out_named(QTestState *s, const char *path, const char *name);
void qtest_set_irq_in(QTestState *s, const char *path, const char *name, int n, int level);
/* @name is "get_csr" or "set_csr"; returns the status, 0 for success. */
uint64_t qtest_csr_call(QTestState *s, const char *name, uint64_t cpu, int csr, uint64_t *value);
/* One line of the protocol as it stands; the reply without its line feed, newly allocated. */
char *qtest_command(QTestState *s, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
