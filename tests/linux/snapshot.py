#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes background snapshots of a busy Linux guest with two vCPUs, and lets each of them go on elsewhere.

usage: snapshot.py [--rounds N] --guest FOLDER EMULATOR

The guest keeps changing memory whose checksums it knows, and keeps reading a disk, by DMA, whose checksum is known here.
Wrong are, in the guest and in whatever is loaded: a checksum, a complaint of the kernel, silence.
"""
import argparse
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from machine import Machine, MachineError  # noqa: E402

WORK = 'memwork 2 80 50 &\n'
READ = 'while :; do echo "DISK $(dd if=/dev/vda bs=64k iflag=direct 2>/dev/null | md5sum)"; done &\n'
DISK_BYTES = 8 << 20
PROGRESS = 3  # times that each worker is to be heard
COMPLAINTS = re.compile(rb'WORK \d+ BAD|BUG:|Oops|Kernel panic|rcu: INFO|I/O error|Segmentation fault')


def wait_progress(machine, disk_sum, timeout=180):
    """Until both kinds of workers have reported a few times more, without a complaint."""
    start = len(machine.poll_serial())
    deadline = time.monotonic() + timeout
    while True:
        output = machine.poll_serial()
        complaint = COMPLAINTS.search(output)
        if complaint:
            raise MachineError(f'{machine.name}: {output[complaint.start():complaint.start() + 400].decode(errors="replace")}')
        sums = re.findall(rb'DISK ([0-9a-f]{32})', output[start:])
        if any(s.decode() != disk_sum for s in sums[1:]):  # a restored guest may begin in the middle of a line
            raise MachineError(f'{machine.name}: the disk has checksum {sums[1:]}, not {disk_sum}')
        if len(sums) > PROGRESS and len(re.findall(rb'WORK \d+ round \d+ ok', output[start:])) >= PROGRESS:
            return
        if machine.process.poll() is not None or time.monotonic() > deadline:
            raise MachineError(f'{machine.name}: no progress; last: {output[-400:].decode(errors="replace")}')
        time.sleep(0.05)  # output is looked at in pieces; nothing is waited for


def wait_migrated(machine):
    while True:
        info = machine.qmp('query-migrate')
        if info.get('status') == 'completed':
            return info
        if info.get('status') == 'failed':
            raise MachineError(f'{machine.name}: {info.get("error-desc")}')
        time.sleep(0.01)  # between two looks


def take(machine, path, fixed_ram):
    machine.set_capability('fixed-ram', fixed_ram)
    machine.qmp('migrate', uri='file:' + path)
    info = wait_migrated(machine)
    if machine.qmp('query-status')['status'] != 'running':
        raise MachineError('the guest does not run on')
    print(f'fixed-ram {"on" if fixed_ram else "off"}: {info["total-time"]} ms, downtime {info["downtime"]} ms', flush=True)


def load(emulator, folder, options, path, fixed_ram, disk_sum):
    machine = Machine(emulator, folder, 'restored', options + ['-S', '-incoming', 'defer'])
    try:
        machine.set_capability('fixed-ram', fixed_ram)
        machine.qmp('migrate-incoming', uri='file:' + path)
        wait_migrated(machine)
        machine.qmp('cont')
        wait_progress(machine, disk_sum)
    finally:
        machine.kill()


def run(args, folder):
    file = lambda name: os.path.join(args.guest, name)
    disk, saved = os.path.join(folder, 'disk'), os.path.join(folder, 'saved')
    content = os.urandom(DISK_BYTES)
    with open(disk, 'wb') as out:
        out.write(content)
    disk_sum = hashlib.md5(content).hexdigest()
    options = ['-nodefaults', '-M', 'virt', '-m', '512M', '-smp', '2', '-bios', file('fw_dynamic.bin'), '-kernel',
               file('Image'), '-initrd', file('initrd.gz'), '-append', 'console=ttyS0 quiet', '-drive',
               f'if=none,id=d0,file={disk},format=raw,readonly=on', '-device', 'virtio-blk-device,drive=d0']
    machine = Machine(args.emulator, folder, 'source', options)
    try:
        machine.wait_serial(b'GUEST-UP', timeout=300)
        machine.wait_serial(b'#')
        for line in ('load-modules\n', READ, WORK):
            machine.type(line)
        machine.set_capability('background-snapshot', True)
        for n in range(args.rounds):
            wait_progress(machine, disk_sum)
            take(machine, saved, n % 2 == 1)
            load(args.emulator, folder, options, saved, n % 2 == 1, disk_sum)
        wait_progress(machine, disk_sum)
    finally:
        machine.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=4)
    parser.add_argument('--guest', required=True, help='folder of scripts/get-guest')
    parser.add_argument('emulator')
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix='godwit-snapshot-')
    try:
        run(args, folder)
    except MachineError as error:
        print(f'snapshot: {error}', file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
