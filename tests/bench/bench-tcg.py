#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Times guest programs under this emulator, under QEMU and natively, alternating, and prints ratios.

usage: bench-tcg.py [--quick] [--runs N] [--smp N] [--scale N] [--peer QEMU] [--accel OPTIONS]
                    [--only GROUP|NAME,...] [--rootfs IMAGE] EMULATOR GUEST-FOLDER NATIVE-BENCH

A ratio above 1 says how many times faster this emulator is than QEMU.  Every program prints a checksum; they must
agree between all machines.  With --rootfs (scripts/get-rootfs) Debian's own programs run too; --only programs runs
just these.
"""
import argparse
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from machine import Machine, MachineError  # noqa: E402

LINE = re.compile(rb'BENCH (\S+) (\S+) ([0-9.]+) ([0-9a-f]{16})')


def parse(output, machine, results, groups, sums):
    for name, group, seconds, checksum in LINE.findall(output):
        name, group = name.decode(), group.decode()
        groups[name] = group
        results.setdefault(name, {}).setdefault(machine, []).append(float(seconds))
        sums.setdefault(name, {})[machine] = checksum.decode()


def run_guest(binary, folder, guest, args, extra):
    """Boots, runs the programs, ends; returns (serial output, seconds to the shell)."""
    path = lambda file: os.path.join(guest, file)
    disk = ['-drive', f'file={args.rootfs},format=raw,if=none,id=rootfs,readonly=on',
            '-device', 'virtio-blk-device,drive=rootfs'] if args.rootfs else []
    began = time.monotonic()
    machine = Machine(binary, folder, 'bench', ['-M', 'virt', '-m', '1G', '-smp', str(args.smp),
                      '-bios', path('fw_dynamic.bin'), '-kernel', path('Image'), '-initrd', path('initrd.gz'),
                      '-append', 'console=ttyS0 quiet'] + extra + disk)
    try:
        machine.wait_serial(b'GUEST-UP', timeout=300)
        boot = time.monotonic() - began
        machine.wait_serial(b'#')
        if args.only != ['programs']:
            machine.type(f'bench -s {args.scale} {" ".join(args.only)}\n')
            machine.wait_serial(b'BENCH-END', timeout=3600)
        if args.rootfs:
            machine.type('run-programs\n')
            machine.wait_serial(b'PROGRAMS-END', timeout=3600)
        return machine.output, boot
    finally:
        machine.quit()


def geomean(values):
    return math.exp(sum(math.log(v) for v in values) / len(values)) if values else float('nan')


def report(results, groups, sums, peer):
    medians = {name: {m: statistics.median(t) for m, t in by.items()} for name, by in results.items()}
    print(f'\n{"program":<22}{"godwit s":>10}{"qemu s":>10}{"native s":>10}{"x qemu":>9}{"/ native":>10}')
    wrong = []
    for group in dict.fromkeys(groups.values()):
        ratios = []
        for name in (n for n in medians if groups[n] == group):
            m = medians[name]
            ours, theirs, native = m.get('godwit'), m.get('qemu'), m.get('native')
            if ours and theirs:
                ratios.append(theirs / ours)
            cell = lambda v: f'{v:10.3f}' if v else f'{"-":>10}'
            print(f'{name:<22}{cell(ours)}{cell(theirs)}{cell(native)}'
                  + (f'{theirs / ours:9.2f}' if ours and theirs else f'{"-":>9}')
                  + (f'{ours / native:10.1f}' if ours and native else f'{"-":>10}'))
            if len(set(sums[name].values())) > 1 and group != 'kernel':
                wrong.append((name, sums[name]))
        if ratios:
            print(f'{"  geomean " + group:<52}{geomean(ratios):9.2f}\n')
    for name, by in wrong:
        print(f'CHECKSUM of {name} differs: {by}')
    return not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('emulator')
    parser.add_argument('guest')
    parser.add_argument('native')
    parser.add_argument('--quick', action='store_true', help='one run')
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument('--smp', type=int, default=2)
    parser.add_argument('--scale', type=int, default=1)
    parser.add_argument('--peer', help='qemu-system-riscv64 to compare with')
    parser.add_argument('--accel', help='accelerator options of this emulator, "tcg,..."')
    parser.add_argument('--rootfs', help='image of scripts/get-rootfs')
    parser.add_argument('--only', type=lambda s: s.split(','), default=[])
    args = parser.parse_args()
    results, groups, sums, boots = {}, {}, {}, {}
    folder = tempfile.mkdtemp(prefix='godwit-bench-')
    machines = [('godwit', args.emulator, ['-accel', args.accel] if args.accel else [])]
    if args.peer:
        machines.append(('qemu', args.peer, []))
    try:
        for _ in range(1 if args.quick else args.runs):
            for name, binary, extra in machines:
                output, boot = run_guest(binary, folder, args.guest, args, extra)
                boots.setdefault(name, []).append(boot)
                parse(output, name, results, groups, sums)
            if args.only == ['programs']:
                continue
            native = subprocess.run([args.native, '-s', str(args.scale)] + args.only, stdout=subprocess.PIPE, check=True)
            parse(native.stdout, 'native', results, groups, sums)
    except MachineError as error:
        print(f'bench-tcg: {error}', file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    ok = report(results, groups, sums, args.peer)
    for name, seconds in boots.items():
        print(f'boot to a shell, {name}: {statistics.median(seconds):.2f} s')
    return 0 if ok else 1


if __name__ == '__main__':
    sys.exit(main())
