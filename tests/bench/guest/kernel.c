/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernel work: system calls, pipes, processes, mappings, protection changes, signals. */
#include "bench.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t getppid_calls(unsigned scale)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < 400000 * scale; i++) {
        n += syscall(SYS_getppid) >= 0;
    }
    return n;
}

static uint64_t pipe_ping_pong(unsigned scale)
{
    unsigned rounds = 15000 * scale;
    int there[2], back[2];
    uint64_t sum = 0;
    char byte = 1;

    if (pipe(there) || pipe(back)) {
        return 0;
    }
    if (fork() == 0) {
        for (unsigned i = 0; i < rounds; i++) {
            if (read(there[0], &byte, 1) != 1 || (byte++, write(back[1], &byte, 1)) != 1) {
                _exit(1);
            }
        }
        _exit(0);
    }
    for (unsigned i = 0; i < rounds; i++) {
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) {
            break;
        }
        sum += byte;
    }
    wait(NULL);
    close(there[0]), close(there[1]), close(back[0]), close(back[1]);
    return sum;
}

static uint64_t fork_wait(unsigned scale)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < 400 * scale; i++) {
        int status;

        if (fork() == 0) {
            _exit(i & 63);
        }
        wait(&status);
        n += WEXITSTATUS(status);
    }
    return n;
}

static uint64_t fork_exec(unsigned scale)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < 150 * scale; i++) {
        int status = 0;

        if (fork() == 0) {
            close(1);
            execl("/proc/self/exe", "bench", "no-such-program", (char *)NULL);
            _exit(1);
        }
        wait(&status);
        n += status == 0;
    }
    return n;
}

static uint64_t mmap_touch(unsigned scale)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < 60 * scale; i++) {
        size_t bytes = 4 << 20;
        volatile char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        for (size_t o = 0; o < bytes; o += 4096) {
            p[o] = i + o;
            sum += p[o];
        }
        munmap((void *)p, bytes);
    }
    return sum;
}

static uint64_t mprotect_flips(unsigned scale)
{
    size_t bytes = 64 << 10;
    volatile char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t sum = 0;

    for (unsigned i = 0; i < 25000 * scale; i++) {
        mprotect((void *)p, bytes, PROT_READ);
        sum += p[i * 64 % bytes];
        mprotect((void *)p, bytes, PROT_READ | PROT_WRITE);
        p[i * 64 % bytes]++;
    }
    munmap((void *)p, bytes);
    return sum;
}

static volatile sig_atomic_t signals;

static void on_signal(int n)
{
    signals += n != 0;
}

static uint64_t signal_self(unsigned scale)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGUSR1, &action, NULL);
    signals = 0;
    for (unsigned i = 0; i < 100000 * scale; i++) {
        raise(SIGUSR1);
    }
    return signals;
}

const BenchProgram kernel_programs[] = {
    {"getppid", "kernel", getppid_calls},     {"pipe-ping-pong", "kernel", pipe_ping_pong},
    {"fork-wait", "kernel", fork_wait},       {"fork-exec", "kernel", fork_exec},
    {"mmap-touch", "kernel", mmap_touch},     {"mprotect-flips", "kernel", mprotect_flips},
    {"signals", "kernel", signal_self},       {0},
};
