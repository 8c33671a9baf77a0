#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps a Linux guest with two vCPUs busy in every way at once, and looks at each result.

usage: stress.py [--seconds N] [--native BENCH] --guest FOLDER EMULATOR [OPTION...]

Compute, FP, threads, system calls, patched code, paging and pipes run side by side.  Wrong are: a checksum that is not
the one of the first round (or of the same program on the host), a complaint of the kernel, a worker that falls silent.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from machine import Machine, MachineError  # noqa: E402

# A worker that says nothing hangs: for so many seconds of processor time, of which both vCPUs always want more.  A host that
# gives none proves nothing; one that stands still altogether does.
SILENCE, STANDSTILL = 240, 1800
COMPLAINTS = re.compile(rb'BUG:|Oops|Kernel panic|rcu: INFO|soft lockup|hung_task|blocked for more than|'
                        rb'Segmentation fault|Illegal instruction|Bus error')
# name -> what it runs for ever; each prints lines that LINE knows
WORKERS = {
    'compute': 'while :; do bench integer fp; done',
    'kernel': 'while :; do bench kernel code; done',
    'threads': 'while :; do bench threads chase-4m; done',
    'memory': 'memwork 2 24 50',
    'pipes': 'head -c 3000000 /dev/urandom >/tmp/r; a=$(sha256sum </tmp/r); n=0; while :; do n=$((n+1)); '
             'b=$(gzip -c /tmp/r | gunzip -c | cat | sha256sum); '
             'if [ "$a" = "$b" ]; then echo "PIPE $n ok"; else echo "PIPE $n BAD"; fi; done',
}
LINE = re.compile(rb'(compute|kernel|threads|memory|pipes): (.*?)\r?\n')
RESULT = re.compile(rb'BENCH (\S+) (\S+) \S+ ([0-9a-f]{16})')


def native_sums(bench):
    groups = ['integer', 'fp', 'code', 'threads', 'chase-4m']
    out = subprocess.run([bench, *groups], capture_output=True, check=True).stdout
    return {name: value for name, _, value in RESULT.findall(out)}


class Stress:
    def __init__(self, machine, sums):
        self.machine, self.sums = machine, sums
        self.heard = dict.fromkeys(WORKERS, self.now())
        self.lines = dict.fromkeys(WORKERS, 0)
        self.last = dict.fromkeys(WORKERS, 'nothing')
        self.at = 0

    def now(self):
        """Processor time of the emulator, and the clock's."""
        with open(f'/proc/{self.machine.process.pid}/stat') as stat:
            user, system = stat.read().rpartition(')')[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf('SC_CLK_TCK'), time.monotonic()

    def start(self):
        self.machine.wait_serial(b'GUEST-UP', timeout=300)
        self.machine.wait_serial(b'#')
        for name, work in WORKERS.items():
            self.machine.type(f'({work}) 2>&1 | (n={name}; while read -r l; do echo "$n: $l"; done) &\n')

    def check_line(self, worker, text):
        self.heard[worker] = self.now()
        self.lines[worker] += 1
        self.last[worker] = text.decode(errors='replace')
        if b'BAD' in text:
            raise MachineError(f'{worker}: {text.decode(errors="replace")}')
        for name, _, value in RESULT.findall(text):
            wanted = self.sums.setdefault(name, value)
            if value != wanted:
                raise MachineError(f'{name.decode()}: checksum {value.decode()} is not {wanted.decode()}')

    def look(self):
        output = self.machine.poll_serial()
        for match in LINE.finditer(output, self.at):
            self.check_line(match[1].decode(), match[2])
            self.at = match.end()
        complaint = COMPLAINTS.search(output)
        if complaint:
            raise MachineError(output[max(0, complaint.start() - 300):complaint.end() + 1500].decode(errors='replace'))
        now = self.now()
        for worker, heard in self.heard.items():
            ran, passed = now[0] - heard[0], now[1] - heard[1]
            if ran > SILENCE or passed > STANDSTILL:
                raise MachineError(f'{worker} has said nothing for {passed:.0f} s, {ran:.0f} s of processor time, '
                                   f'since "{self.last[worker]}"')

    def run(self, seconds):
        self.start()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline or not all(self.lines.values()):
            if self.machine.process.poll() is not None:
                raise MachineError(f'the emulator ended with status {self.machine.process.returncode}')
            self.look()
            time.sleep(0.5)  # output is looked at in pieces; nothing is waited for
        print(', '.join(f'{worker} {n} lines' for worker, n in self.lines.items()) + f'; {len(self.sums)} checksums hold')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seconds', type=int, default=60)
    parser.add_argument('--native', help='the benchmark built for the host')
    parser.add_argument('--guest', required=True, help='folder of scripts/get-guest')
    parser.add_argument('emulator')
    parser.add_argument('option', nargs='*', help='more options of the emulator')
    args = parser.parse_args()
    file = lambda name: os.path.join(args.guest, name)
    folder = tempfile.mkdtemp(prefix='godwit-stress-')
    machine = Machine(args.emulator, folder, 'stress',
                      ['-M', 'virt', '-nodefaults', '-smp', '2', '-m', '1G', '-bios', file('fw_dynamic.bin'),
                       '-kernel', file('Image'), '-initrd', file('initrd.gz'), '-append', 'console=ttyS0 quiet', *args.option])
    try:
        Stress(machine, native_sums(args.native) if args.native else {}).run(args.seconds)
    except MachineError as error:
        print(f'stress: {error}', file=sys.stderr)
        return 1
    finally:
        machine.kill()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
