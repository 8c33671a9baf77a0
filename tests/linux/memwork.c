/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A workload for a Linux guest that moves: each process keeps changing random pages of its memory and keeps a checksum
 * of every page elsewhere; each round it verifies all pages.  Prints "WORK <n> round <r> ok", or "WORK <n> BAD ..."
 * and ends, when a page is not what it was left as.  Also sleeps a millisecond between batches: a timer that got lost
 * on the way shows as silence.
 *
 * usage: memwork PROCESSES MIB BATCHES-PER-ROUND
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE_WORDS = 512, PAGES_PER_BATCH = 64 };

static uint64_t seed;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t checksum(const uint64_t *page)
{
    uint64_t sum = 0;

    for (int i = 0; i < PAGE_WORDS; i++) {
        sum = (sum << 5 | sum >> 59) ^ page[i];
    }
    return sum;
}

static void change(uint64_t *page)
{
    for (int i = 0; i < 8; i++) {
        uint64_t r = next_random();

        page[r % PAGE_WORDS] = r;
    }
}

static int verify(const uint64_t *memory, const uint64_t *sums, uint64_t pages, int process, uint64_t round)
{
    for (uint64_t p = 0; p < pages; p++) {
        if (checksum(memory + p * PAGE_WORDS) != sums[p]) {
            printf("WORK %d BAD page %lu in round %lu\n", process, (unsigned long)p, (unsigned long)round);
            fflush(stdout);
            return 1;
        }
    }
    return 0;
}

static int work(int process, uint64_t pages, int batches)
{
    struct timespec pause = {.tv_nsec = 1000000};
    uint64_t *memory = aligned_alloc(4096, pages * 4096);
    uint64_t *sums = calloc(pages, sizeof(*sums));

    if (!memory || !sums) {
        printf("WORK %d has too little memory\n", process);
        return 1;
    }
    seed = UINT64_C(0x9e3779b97f4a7c15) * (process + 1);
    for (uint64_t p = 0; p < pages; p++) {
        for (int i = 0; i < PAGE_WORDS; i++) {
            memory[p * PAGE_WORDS + i] = next_random();
        }
        sums[p] = checksum(memory + p * PAGE_WORDS);
    }
    for (uint64_t round = 1;; round++) {
        for (int b = 0; b < batches; b++) {
            for (int i = 0; i < PAGES_PER_BATCH; i++) {
                uint64_t p = next_random() % pages;

                change(memory + p * PAGE_WORDS);
                sums[p] = checksum(memory + p * PAGE_WORDS);
            }
            nanosleep(&pause, NULL);
        }
        if (verify(memory, sums, pages, process, round)) {
            return 1;
        }
        printf("WORK %d round %lu ok\n", process, (unsigned long)round);
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    int processes = argc > 1 ? atoi(argv[1]) : 1;
    uint64_t pages = (argc > 2 ? strtoul(argv[2], NULL, 0) : 64) * 256;
    int batches = argc > 3 ? atoi(argv[3]) : 200;

    for (int n = 0; n < processes; n++) {
        if (fork() == 0) {
            _exit(work(n, pages, batches));
        }
    }
    while (wait(NULL) > 0) {
    }
    return 0;
}
