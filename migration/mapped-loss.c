/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine that runs from a file whose pages cannot be read any more: somebody made it shorter, or its disk fails.
 *
 * The host tells whoever touches such a page by SIGBUS.  What the page held is lost, so the machine stops and needs a
 * reset (internal-error); but the process lives, and says why.  The handler only puts an empty page under the access, so
 * that the thread gets out of it, and calls the main loop.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixed-ram.h"
#include "system/runstate.h"
#include "util/atomic.h"
#include "util/error.h"
#include "util/event-loop.h"

#define MAPPINGS_MAX 64

typedef struct Mapping {
    uintptr_t start, end; /* atomic, read by the handler; .end is .start when nothing is left of it */
    char *what;           /* for messages; until the process ends */
    int fd;
    uint64_t offset; /* of .start in the file */
    bool lost;       /* atomic; set by the handler */
    bool reported;
} Mapping;

static Mapping mappings[MAPPINGS_MAX];
static unsigned mapping_count; /* big lock; atomic: entries below are complete */
static struct sigaction action_before;
static uintptr_t host_page;
static BottomHalf *loss;

/* --- the handler: any thread that was in guest memory --- */

static Mapping *find_mapping(uintptr_t address)
{
    for (unsigned i = 0; i < atomic_load_acquire(&mapping_count); i++) {
        Mapping *m = &mappings[i];

        if (address >= atomic_read(&m->start) && address < atomic_read(&m->end)) {
            return m;
        }
    }
    return NULL;
}

static bool replace(uintptr_t start, uintptr_t end)
{
    return mmap((void *)start, end - start, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0) !=
           MAP_FAILED;
}

static void bus_error(int sig, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    uintptr_t page = (uintptr_t)info->si_addr & ~(host_page - 1);
    Mapping *m = info->si_code > 0 ? find_mapping(page) : NULL;

    if (m && replace(page, page + host_page)) {
        atomic_set(&m->lost, true);
        bh_schedule(loss);
    } else {
        sigaction(SIGBUS, &action_before, NULL); /* it comes again, and does what it would have done */
        if (info->si_code <= 0) {
            raise(sig); /* unless somebody sent it */
        }
    }
    errno = saved_errno;
}

/* --- the main loop --- */

/*
 * A page after the end of the file is lost also when the machine had written to it.  From here on they are ordinary memory,
 * so that a machine that is reset finds nothing else that is lost.  False: there is none.
 */
static bool replace_tail(Mapping *m)
{
    uint64_t length = m->end - m->start, left = 0;
    struct stat st;

    if (fstat(m->fd, &st) < 0) {
        return false;
    }
    if ((uint64_t)st.st_size > m->offset) {
        left = MIN(length, ROUND_UP((uint64_t)st.st_size - m->offset, host_page));
    }
    if (left == length || !replace(m->start + left, m->end)) {
        return false;
    }
    atomic_set(&m->end, m->start + left);
    return true;
}

static void take_loss(Mapping *m)
{
    bool lost = atomic_xchg(&m->lost, false);

    if (m->start < m->end && (replace_tail(m) || lost) && !m->reported) {
        error_report("%s cannot be read any more: the file was made shorter, or its disk fails; the machine has lost memory "
                     "and is stopped until it is reset", m->what);
        m->reported = true;
    }
}

/* Big lock. */
static void stop_machine(void *opaque)
{
    if (runstate_is_running()) {
        vm_stop(RUN_STATE_INTERNAL_ERROR);
    } else {
        runstate_set(RUN_STATE_INTERNAL_ERROR);
    }
    for (unsigned i = 0; i < mapping_count; i++) {
        take_loss(&mappings[i]);
    }
}

/* --- who maps: big lock --- */

static void install_handler(void)
{
    struct sigaction action = {.sa_sigaction = bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    host_page = (uintptr_t)sysconf(_SC_PAGESIZE);
    loss = bh_new(event_loop_main(), stop_machine, NULL);
    sigaction(SIGBUS, &action, &action_before);
}

bool mapped_loss_can_watch(void)
{
    return mapping_count < MAPPINGS_MAX;
}

void mapped_loss_watch(const void *host, uint64_t length, const char *block, const char *uri, int fd, uint64_t offset)
{
    Mapping *m = &mappings[mapping_count];

    if (!loss) {
        install_handler();
    }
    *m = (Mapping){
        .start = (uintptr_t)host,
        .end = (uintptr_t)host + length,
        .what = g_strdup_printf("memory '%s', which is mapped from '%s',", block, uri),
        .fd = fd,
        .offset = offset,
    };
    atomic_store_release(&mapping_count, mapping_count + 1);
}

void mapped_loss_forget(const void *host)
{
    for (unsigned i = 0; i < mapping_count; i++) {
        if (mappings[i].start == (uintptr_t)host) {
            atomic_set(&mappings[i].end, mappings[i].start);
        }
    }
}
