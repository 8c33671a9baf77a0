#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Host instructions that emulators execute for each instruction of the guest, counted by valgrind.

usage: count-insns.py [--cc COMPILER] [--only NAME,...] GODWIT [NAME=EMULATOR ...]

The programs are those of tests/bench/guest, without a kernel (count-insns.c).  Each is run with its work and without:
the difference is free of start-up, not of translation.  The guest's instructions are counted by GODWIT's interpreter,
and so are the same for all emulators; the others may be older builds or QEMU.
"""
import argparse
import math
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'lib'))
from machine import Machine  # noqa: E402

PROGRAMS = ['coremark-like', 'dhrystone-like', 'crc32', 'sort', 'virtual-calls', 'recursion', 'nbody', 'linpack-like']
TIMEOUT = 3600


def build(cc, folder, program, scale):
    path = os.path.join(folder, f'{program}-{scale}.elf')
    at = lambda *names: os.path.join(HERE, *names)
    subprocess.run([cc, '-O2', '-march=rv64gc', '-mabi=lp64d', '-mcmodel=medany', '-ffp-contract=off', '-fno-math-errno',
                    # what count-insns.c defines is what is called
                    '-fno-builtin-malloc', '-fno-builtin-strcat', '-fno-builtin-strcpy', '-fno-tree-loop-distribute-patterns',
                    '-fno-pic', '-no-pie', '-static', '-nostdlib', '-fno-stack-protector', '-Wl,--build-id=none',
                    '-Wl,-T,' + at('..', 'guest', 'link.ld'), '-I' + at('..', 'guest'), f'-DPROGRAM="{program}"',
                    f'-DSCALE={scale}', at('..', 'guest', 'start.S'), at('..', 'guest', 'lib.c'), at('count-insns.c'),
                    at('guest', 'integer.c'), at('guest', 'fp.c'), '-lgcc', '-o', path], check=True)
    return path


def guest_insns(emulator, folder, elf):
    machine = Machine(emulator, folder, 'count',
                      ['-M', 'virt', '-bios', elf, '-accel', 'tcg,interp=on', '-no-shutdown'])
    try:
        machine.wait_serial(b'SUM ', timeout=TIMEOUT)
        while machine.qmp('query-status')['status'] == 'running':
            time.sleep(0.01)
        return int(re.search(r'^jit_interpreted +(\d+)', machine.hmp('info jit'), re.M)[1])
    finally:
        machine.quit()


def host_insns(emulator, folder, elf):
    """Returns the count and what the program printed."""
    done = subprocess.run(['valgrind', '--tool=cachegrind', '--cache-sim=no', '--smc-check=all',
                           '--trace-children=yes',  # an emulator may be a script that starts it
                           '--cachegrind-out-file=' + os.path.join(folder, 'cachegrind.out'),
                           emulator, '-M', 'virt', '-bios', elf, '-nographic'],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=True)
    total = re.findall(rb'I +refs: +([0-9,]+)', done.stderr)[-1]
    return int(total.replace(b',', b'')), re.search(rb'SUM ([0-9a-f]+)', done.stdout)[1]


def count(args, emulators, folder, program):
    elfs = [build(args.cc, folder, program, scale) for scale in (0, 1)]
    guest = guest_insns(args.godwit, folder, elfs[1]) - guest_insns(args.godwit, folder, elfs[0])
    ratios, sums = [], set()
    for emulator in emulators.values():
        (without, _), (total, checksum) = (host_insns(emulator, folder, elf) for elf in elfs)
        ratios.append((total - without) / guest)
        sums.add(checksum)
    if len(sums) > 1:
        sys.exit(f'{program}: checksums differ')
    return guest, ratios


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--cc', default='riscv64-linux-gnu-gcc')
    parser.add_argument('--only', type=lambda names: names.split(','), default=PROGRAMS)
    parser.add_argument('godwit')
    parser.add_argument('others', nargs='*', metavar='NAME=EMULATOR')
    args = parser.parse_args()
    emulators = {'godwit': args.godwit, **dict(other.split('=', 1) for other in args.others)}
    print(f'{"program":<20}{"guest 10^6":>12}' + ''.join(f'{name:>10}' for name in emulators), flush=True)
    rows = []
    with tempfile.TemporaryDirectory(prefix='count-insns-') as folder:
        for program in args.only:
            guest, ratios = count(args, emulators, folder, program)
            rows.append(ratios)
            print(f'{program:<20}{guest / 1e6:12.1f}' + ''.join(f'{r:10.2f}' for r in ratios), flush=True)
    means = [math.exp(sum(math.log(row[i]) for row in rows) / len(rows)) for i in range(len(emulators))]
    print(f'{"geomean":<32}' + ''.join(f'{mean:10.2f}' for mean in means))


if __name__ == '__main__':
    main()
