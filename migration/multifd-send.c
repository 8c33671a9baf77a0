/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The source's side of multifd: one producer, a thread per channel.  See multifd.h. */
#include "multifd.h"

#include <string.h>

#include "util/bswap.h"
#include "util/error.h"
#include "util/file.h"
#include "util/lock.h"
#include "util/trace.h"

/* To a file, a job is larger: each of its runs is one system call. */
#define FILE_JOB_PAGES 1024

TRACE_EVENT(multifd_send_packet, "channel %u: %u normal, %u zero, %zu bytes of data");

typedef struct PageRun {
    uint64_t page, n;
} PageRun;

/* Pages of one block. */
typedef struct Job {
    RAMBlock *block;
    unsigned runs;
    uint64_t pages;
    PageRun run[MULTIFD_PAGES];
} Job;

typedef struct Sender {
    /* constant */
    MultifdSend *group;
    unsigned id;
    Channel *channel;    /* sockets */
    MultifdCodec *codec; /* NULL: pages travel as they are */
    GThread *thread;
    /* under the group's lock */
    Job *waiting;  /* to be done next */
    bool sync_due; /* after that */
    bool working;
    Cond work;
    /* the thread */
    uint8_t packet[MULTIFD_PACKET_SIZE];
    struct iovec iov[1 + MULTIFD_PAGES];
} Sender;

struct MultifdSend {
    /* constant while threads run */
    Channel *leader;
    FixedRamWriter *fixed;
    RamStats *stats;
    const bool *switchover;
    bool find_zeroes;
    uint32_t codec_flag;
    uint64_t job_pages;
    unsigned n;
    Sender *senders;
    /* migration thread */
    Job *job; /* being filled; NULL: nothing yet */
    unsigned last; /* who got the one before */
    /* under the lock */
    Lock lock;
    Cond changed; /* somebody has room, is done, or failed */
    GError *error;
    bool quit;
    /* any thread, atomic */
    uint64_t packets;
};

/* --- packets --- */

static void packet_begin(Sender *s, uint32_t flags)
{
    memset(s->packet, 0, sizeof(s->packet));
    stl_be_p(s->packet, MULTIFD_MAGIC);
    stl_be_p(s->packet + 4, MULTIFD_VERSION);
    stl_be_p(s->packet + MULTIFD_AT_FLAGS, flags);
    stl_be_p(s->packet + MULTIFD_AT_ROOM, MULTIFD_PAGES);
    stq_be_p(s->packet + MULTIFD_AT_NUMBER, atomic_fetch_inc(&s->group->packets));
    s->iov[0] = (struct iovec){s->packet, sizeof(s->packet)};
}

static void count_pages(MultifdSend *group, uint64_t normal, uint64_t zero, uint64_t bytes)
{
    RamStats *stats = group->stats;

    atomic_add_relaxed(&stats->normal, normal);
    atomic_add_relaxed(&stats->duplicate, zero);
    atomic_add_relaxed(&stats->transferred, bytes);
    atomic_add_relaxed(&stats->multifd_bytes, bytes);
    atomic_add_relaxed(atomic_read(group->switchover) ? &stats->downtime_bytes : &stats->precopy_bytes, bytes);
}

/* Puts the job's offsets into the packet and its normal pages behind it in iov[]; returns how many of those. */
static unsigned sort_pages(Sender *s, const Job *job, uint32_t *normal_pages)
{
    uint64_t zeroes[MULTIFD_PAGES];
    uint32_t normal = 0, zero = 0;
    unsigned count = 0;

    for (unsigned r = 0; r < job->runs; r++) {
        for (uint64_t page = job->run[r].page; page < job->run[r].page + job->run[r].n; page++) {
            uint64_t offset = page * TARGET_PAGE_SIZE;
            uint8_t *host = job->block->host + offset;
            struct iovec *last = &s->iov[count];

            if (s->group->find_zeroes && is_zero(host, TARGET_PAGE_SIZE)) {
                zeroes[zero++] = offset;
                continue;
            }
            stq_be_p(s->packet + MULTIFD_AT_OFFSETS + normal++ * 8, offset);
            if (count && (uint8_t *)last->iov_base + last->iov_len == host) {
                last->iov_len += TARGET_PAGE_SIZE;
            } else {
                s->iov[++count] = (struct iovec){host, TARGET_PAGE_SIZE};
            }
        }
    }
    for (uint32_t i = 0; i < zero; i++) {
        stq_be_p(s->packet + MULTIFD_AT_OFFSETS + (normal + i) * 8, zeroes[i]);
    }
    stl_be_p(s->packet + MULTIFD_AT_NORMAL, normal);
    stl_be_p(s->packet + MULTIFD_AT_ZERO, zero);
    *normal_pages = normal;
    return count;
}

static bool send_pages(Sender *s, const Job *job, GError **error)
{
    uint32_t normal;
    unsigned count;
    size_t data;
    bool ok;

    packet_begin(s, s->group->codec_flag);
    memcpy(s->packet + MULTIFD_AT_NAME, job->block->idstr, strlen(job->block->idstr));
    count = sort_pages(s, job, &normal);
    data = normal * TARGET_PAGE_SIZE;
    if (s->codec && count) {
        if (!multifd_codec_compress(s->codec, s->iov + 1, (int)count, &s->iov[1], error)) {
            return false;
        }
        count = 1;
        data = s->iov[1].iov_len;
    }
    stl_be_p(s->packet + MULTIFD_AT_DATA_SIZE, (uint32_t)data);
    trace(multifd_send_packet, s->id, normal, (unsigned)(job->pages - normal), data);
    ok = s->codec ? channel_writev(s->channel, s->iov, (int)count + 1, error)
                  : channel_writev_memory(s->channel, s->iov, (int)count + 1, error);
    if (!ok) {
        return false;
    }
    count_pages(s->group, normal, job->pages - normal, MULTIFD_PACKET_SIZE + data);
    return true;
}

static bool send_sync(Sender *s, GError **error)
{
    if (!s->channel) {
        return true;
    }
    packet_begin(s, MULTIFD_FLAG_SYNC);
    return channel_writev(s->channel, s->iov, 1, error);
}

static bool write_places(Sender *s, const Job *job, GError **error)
{
    FixedRamCounts counts = {0};
    bool ok = true;

    for (unsigned r = 0; ok && r < job->runs; r++) {
        ok = fixed_ram_save_run(s->group->fixed, job->block, job->run[r].page, job->run[r].n,
                                job->block->host + job->run[r].page * TARGET_PAGE_SIZE, &counts, error);
    }
    count_pages(s->group, counts.normal, counts.zero, counts.normal * TARGET_PAGE_SIZE);
    return ok;
}

static bool send_initial(Sender *s, const uint8_t uuid[16], GError **error)
{
    uint8_t packet[MULTIFD_INITIAL_SIZE] = {0};
    struct iovec iov = {packet, sizeof(packet)};

    stl_be_p(packet, MULTIFD_MAGIC);
    stl_be_p(packet + 4, MULTIFD_VERSION);
    memcpy(packet + 8, uuid, 16);
    packet[24] = (uint8_t)s->id;
    return channel_writev(s->channel, &iov, 1, error);
}

/* --- the threads --- */

/* Lock held.  NULL: nothing is left to do. */
static bool next_work_locked(Sender *s, Job **job)
{
    MultifdSend *group = s->group;

    while (!group->quit && !s->waiting && !s->sync_due) {
        cond_wait(&s->work, &group->lock);
    }
    *job = s->waiting;
    s->waiting = NULL;
    s->working = !group->quit;
    cond_broadcast(&group->changed);
    return s->working;
}

static bool do_work(Sender *s, const Job *job, GError **error)
{
    if (!job) {
        return send_sync(s, error);
    }
    return s->group->fixed ? write_places(s, job, error) : send_pages(s, job, error);
}

static gpointer sender_thread(gpointer opaque)
{
    Sender *s = opaque;
    MultifdSend *group = s->group;
    bool ok = true;
    Job *job;

    lock_acquire(&group->lock);
    while (ok && next_work_locked(s, &job)) {
        GError *error = NULL;

        lock_release(&group->lock);
        ok = do_work(s, job, &error);
        lock_acquire(&group->lock);
        s->working = false;
        s->sync_due = s->sync_due && job;
        g_free(job);
        job = NULL;
        if (!ok) {
            error_context(&error, "multifd channel %u", s->id);
            if (group->error) {
                g_error_free(error);
            } else {
                group->error = error;
            }
        }
        cond_broadcast(&group->changed);
    }
    lock_release(&group->lock);
    g_free(job);
    return NULL;
}

/* --- the migration thread --- */

static bool check_locked(MultifdSend *group, GError **error)
{
    if (group->error && error) {
        *error = g_error_copy(group->error);
    }
    return !group->error;
}

static Sender *find_room_locked(MultifdSend *group)
{
    Sender *room = NULL;

    for (unsigned i = 1; i <= group->n; i++) {
        Sender *s = &group->senders[(group->last + i) % group->n];

        if (s->waiting || s->sync_due) {
            continue;
        }
        if (!s->working) {
            return s;
        }
        room = room ? room : s;
    }
    return room;
}

/* Hands the job over. */
static bool dispatch(MultifdSend *group, GError **error)
{
    LOCK_GUARD(&group->lock);
    Sender *s = NULL;

    if (!group->job) {
        return check_locked(group, error);
    }
    while (check_locked(group, error) && !(s = find_room_locked(group))) {
        cond_wait(&group->changed, &group->lock);
    }
    if (!s) {
        return false;
    }
    group->last = s->id;
    s->waiting = group->job;
    group->job = NULL;
    cond_signal(&s->work);
    return true;
}

bool multifd_send_run(MultifdSend *group, RAMBlock *block, uint64_t page, uint64_t n, GError **error)
{
    while (n) {
        Job *job = group->job;
        uint64_t some;

        if (job && (job->block != block || job->pages == group->job_pages || job->runs == MULTIFD_PAGES)) {
            if (!dispatch(group, error)) {
                return false;
            }
            job = NULL;
        }
        if (!job) {
            job = group->job = g_new(Job, 1);
            job->block = block;
            job->runs = 0;
            job->pages = 0;
        }
        some = MIN(n, group->job_pages - job->pages);
        job->run[job->runs++] = (PageRun){page, some};
        job->pages += some;
        page += some;
        n -= some;
    }
    return true;
}

static bool all_idle_locked(const MultifdSend *group)
{
    for (unsigned i = 0; i < group->n; i++) {
        const Sender *s = &group->senders[i];

        if (s->waiting || s->working || s->sync_due) {
            return false;
        }
    }
    return true;
}

bool multifd_send_wait(MultifdSend *group, GError **error)
{
    if (!dispatch(group, error)) {
        return false;
    }
    LOCK_GUARD(&group->lock);
    while (!group->error && !all_idle_locked(group)) {
        cond_wait(&group->changed, &group->lock);
    }
    return check_locked(group, error);
}

bool multifd_send_has_packets(const MultifdSend *group)
{
    return !group->fixed;
}

bool multifd_send_barrier(MultifdSend *group, GError **error)
{
    if (group->fixed) {
        return multifd_send_wait(group, error);
    }
    if (!dispatch(group, error)) {
        return false;
    }
    LOCK_GUARD(&group->lock);
    for (unsigned i = 0; i < group->n; i++) {
        Sender *s = &group->senders[i];

        while (!group->error && s->sync_due) {
            cond_wait(&group->changed, &group->lock);
        }
        s->sync_due = true;
        cond_signal(&s->work);
    }
    return check_locked(group, error);
}

/* --- begin and end --- */

static int codec_level(const MigrationParameters *p)
{
    return p->multifd_compression == MULTIFD_COMPRESSION_ZLIB ? p->multifd_zlib_level : p->multifd_zstd_level;
}

static bool open_sender(Sender *s, const MigrationOptions *options, const uint8_t uuid[16], GError **error)
{
    const MigrationParameters *p = &options->parameters;

    if (s->group->fixed) {
        return true;
    }
    s->channel = channel_connect_more(s->group->leader, error);
    if (!s->channel || !send_initial(s, uuid, error)) {
        error_context(error, "multifd channel %u (is capability multifd on at the destination?)", s->id);
        return false;
    }
    if (p->multifd_compression != MULTIFD_COMPRESSION_NONE) {
        s->codec = multifd_codec_new(p->multifd_compression, true, codec_level(p), error);
        return s->codec != NULL;
    }
    if (s->group->leader->lend_pipe[0] >= 0) {
        channel_start_lending(s->channel);
    }
    return true;
}

MultifdSend *multifd_send_new(Channel *leader, FixedRamWriter *fixed, const MigrationOptions *options,
                              const uint8_t uuid[16], RamStats *stats, const bool *switchover, GError **error)
{
    const MigrationParameters *p = &options->parameters;
    MultifdSend *group = g_new0(MultifdSend, 1);
    bool ok = true;

    group->leader = leader;
    group->fixed = fixed;
    group->stats = stats;
    group->switchover = switchover;
    group->find_zeroes = p->zero_page_detection == ZERO_PAGE_DETECTION_MULTIFD;
    group->codec_flag = multifd_codec_flag(p->multifd_compression);
    group->job_pages = fixed ? FILE_JOB_PAGES : MULTIFD_PAGES;
    group->n = p->multifd_channels;
    group->senders = g_new0(Sender, group->n);
    lock_init(&group->lock, RANK_LEAF, "multifd-send");
    cond_init(&group->changed);
    for (unsigned i = 0; i < group->n; i++) {
        Sender *s = &group->senders[i];

        s->group = group;
        s->id = i;
        cond_init(&s->work);
        ok = ok && open_sender(s, options, uuid, error);
    }
    for (unsigned i = 0; ok && i < group->n; i++) {
        g_autofree char *name = g_strdup_printf("mig/send_%u", i);

        group->senders[i].thread = g_thread_new(name, sender_thread, &group->senders[i]);
    }
    if (!ok) {
        multifd_send_free(group);
        return NULL;
    }
    return group;
}

static void stop_threads(MultifdSend *group)
{
    lock_acquire(&group->lock);
    group->quit = true;
    for (unsigned i = 0; i < group->n; i++) {
        Sender *s = &group->senders[i];

        cond_signal(&s->work);
        if (s->channel && !all_idle_locked(group)) {
            channel_cancel(s->channel);
        }
    }
    lock_release(&group->lock);
    for (unsigned i = 0; i < group->n; i++) {
        if (group->senders[i].thread) {
            g_thread_join(group->senders[i].thread);
        }
    }
}

void multifd_send_free(MultifdSend *group)
{
    if (!group) {
        return;
    }
    stop_threads(group);
    for (unsigned i = 0; i < group->n; i++) {
        Sender *s = &group->senders[i];

        g_free(s->waiting);
        multifd_codec_free(s->codec);
        channel_free(s->channel);
        cond_destroy(&s->work);
    }
    g_free(group->job);
    g_clear_error(&group->error);
    cond_destroy(&group->changed);
    lock_destroy(&group->lock);
    g_free(group->senders);
    g_free(group);
}
