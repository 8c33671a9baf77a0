/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where blocks live: the code memory of a vCPU, cut into segments that are filled in turn.
 *
 * When the last one is full, the oldest loses its blocks and is filled again; those of the others stay, and so do
 * the links between them.  Nobody may run or return into what is overwritten, so this is done while all vCPUs
 * are out of translated code.  Jump tables are emptied then: they may lead to blocks that go.
 */
#include "internal.h"

#include "util/bits.h"
#include <sys/mman.h>

COUNTER(tb_flushes, "times all translated code was thrown away");
COUNTER(tb_segments_evicted, "times the oldest part of a vCPU's translated code was thrown away");

/* One huge page of the host: descriptions are half as large as the code, and faults would cost more than filling them. */
#define ARENA_CHUNK (2u << 20)
/* Holds the largest block several times. */
#define MIN_SEGMENT (256u << 10)

static uint64_t flush_generation; /* under tb_lock */

/* --- segments --- */

static void use_segment(TcgCpu *tc, unsigned n)
{
    tc->segment = n;
    code_buffer_use(&tc->code, tc->segments[n].start, tc->segments[n].end);
}

void code_cache_init(TcgCpu *tc)
{
    size_t start = ROUND_UP(tc->code.used, 64);
    size_t size;

    tc->n_segments = MAX(MIN(tcg_accel_config.tb_segments, (tc->code.size - start) / MIN_SEGMENT), 1);
    size = ROUND_DOWN((tc->code.size - start) / tc->n_segments, 64);
    for (unsigned n = 0; n < tc->n_segments; n++) {
        tc->segments[n] = (CodeSegment){
            .start = start + n * size,
            .end = start + (n + 1) * size,
            .arena = g_ptr_array_new_with_free_func(free),
        };
    }
    use_segment(tc, 0);
}

static unsigned next_segment(const TcgCpu *tc)
{
    return (tc->segment + 1) % tc->n_segments;
}

bool code_cache_advance(TcgCpu *tc)
{
    unsigned next = next_segment(tc);

    if (next == tc->segment || tc->segments[next].blocks) {
        return false;
    }
    use_segment(tc, next);
    return true;
}

/* Keeps one chunk: the segment is about to be filled again. */
static void empty_segment(CodeSegment *segment)
{
    segment->blocks = NULL;
    g_ptr_array_set_size(segment->arena, MIN(segment->arena->len, 1));
    segment->arena_used = 0;
}

/* --- the memory of one block: what describes it, its jumps, its code's description, its bytes --- */

#define JUMPS_AT           ROUND_UP(sizeof(TranslationBlock), 16)
#define CODE_AT(n_jumps)   ROUND_UP(JUMPS_AT + (n_jumps) * sizeof(TBJump), 16)
#define CODE_SIZE(n_jumps) (offsetof(TCGCode, jumps) + (n_jumps) * sizeof(TCGJump))
#define BYTES_AT(n_jumps)  (CODE_AT(n_jumps) + CODE_SIZE(n_jumps))
#define MAX_SIZE           ROUND_UP(BYTES_AT(TCG_MAX_JUMPS) + TB_MAX_KEPT_BYTES, TCG_COOKIE_ALIGN)

static void *new_chunk(void)
{
    void *chunk = aligned_alloc(ARENA_CHUNK, ARENA_CHUNK);

    madvise(chunk, ARENA_CHUNK, MADV_HUGEPAGE); /* a wish */
    return chunk;
}

TranslationBlock *tb_reserve(TcgCpu *tc)
{
    CodeSegment *segment = &tc->segments[tc->segment];
    GPtrArray *arena = segment->arena;
    uint8_t *mem;

    if (!arena->len || segment->arena_used + MAX_SIZE > ARENA_CHUNK) {
        g_ptr_array_add(arena, new_chunk());
        segment->arena_used = 0;
    }
    mem = (uint8_t *)g_ptr_array_index(arena, arena->len - 1) + segment->arena_used;
    memset(mem, 0, sizeof(TranslationBlock));
    return (TranslationBlock *)mem;
}

void tb_fit(TcgCpu *tc, TranslationBlock *tb, const TCGCode *code, const uint8_t *bytes, unsigned n_bytes)
{
    CodeSegment *segment = &tc->segments[tc->segment];
    uint8_t *mem = (uint8_t *)tb;
    unsigned n_jumps = code->n_jumps;

    tb->jumps = (TBJump *)(mem + JUMPS_AT);
    for (unsigned n = 0; n < n_jumps; n++) {
        tb->jumps[n] = (TBJump){.from = tb, .n = n};
    }
    tb->code = memcpy(mem + CODE_AT(n_jumps), code, CODE_SIZE(n_jumps));
    tb->buffer = &tc->code;
    if (n_bytes && n_bytes <= TB_MAX_KEPT_BYTES && n_bytes % 2 == 0) {
        tb->bytes = memcpy(mem + BYTES_AT(n_jumps), bytes, n_bytes);
        tb->n_bytes = n_bytes;
    }
    tb->next_in_segment = segment->blocks;
    segment->blocks = tb;
    segment->arena_used += ROUND_UP(BYTES_AT(n_jumps) + tb->n_bytes, TCG_COOKIE_ALIGN);
}

/* --- dropping; no vCPU is in guest code --- */

static void forget_ways_in(TcgCpu *tc)
{
    for (unsigned mode = 0; mode < TCG_MMU_MODES; mode++) {
        tlb_jump_flush(tc, mode);
    }
    tc->link_from = NULL;
}

void tb_drop_all(void)
{
    LOCK_GUARD(&tb_lock);

    flush_generation++;
    tb_forget_all_locked();
    code_pages_forget_locked();
    for (unsigned i = 0; i < tcg_cpu_count(); i++) {
        TcgCpu *tc = tcg_cpu_nth(i);

        forget_ways_in(tc);
        memset(tc->block_cache, 0, sizeof(tc->block_cache));
        for (unsigned n = 0; n < tc->n_segments; n++) {
            empty_segment(&tc->segments[n]);
        }
        use_segment(tc, 0);
    }
    counter_inc(tb_flushes);
}

static void evict_locked(TcgCpu *tc, unsigned n)
{
    for (TranslationBlock *tb = tc->segments[n].blocks; tb; tb = tb->next_in_segment) {
        if (tb->published) {
            code_pages_remove_locked(tb);
        }
        tb_unpublish_locked(tb);
        tb_forget_kept_locked(tb);
    }
    empty_segment(&tc->segments[n]);
    use_segment(tc, n);
    for (unsigned i = 0; i < tcg_cpu_count(); i++) {
        forget_ways_in(tcg_cpu_nth(i));
    }
    counter_inc(tb_segments_evicted);
}

typedef struct DropRequest {
    uint64_t generation; /* of the flush that it must not come after */
    TcgCpu *full;        /* NULL: drop everything */
    unsigned segment;    /* that was full */
} DropRequest;

static void drop_work(CPUState *cpu, void *opaque)
{
    g_autofree DropRequest *request = opaque;
    TcgCpu *full = request->full;
    bool stale, everything;

    lock_acquire(&tb_lock);
    stale = request->generation != flush_generation || (full && full->segment != request->segment);
    everything = !full || full->n_segments == 1;
    if (!stale && !everything) {
        evict_locked(full, next_segment(full));
    }
    lock_release(&tb_lock);
    if (!stale && everything) {
        tb_drop_all();
    }
}

static void request_drop(CPUState *cpu, TcgCpu *full)
{
    DropRequest *request = g_new(DropRequest, 1);

    lock_acquire(&tb_lock);
    *request = (DropRequest){flush_generation, full, full ? full->segment : 0};
    lock_release(&tb_lock);
    async_safe_run_on_cpu(cpu, drop_work, request);
}

void tb_request_room(TcgCpu *tc)
{
    request_drop(tc->cpu, tc);
    cpu_exit(tc->cpu);
}

void tb_flush_all(void)
{
    if (tcg_cpu_count() && tb_count()) {
        request_drop(current_cpu ? current_cpu : tcg_cpu_nth(0)->cpu, NULL);
    }
}
