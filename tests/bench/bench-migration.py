#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Times moving and saving machines under this emulator and under QEMU, alternating, beside what the host can do.

usage: bench-migration.py [--quick] [--runs N] [--peer QEMU] [--guest FOLDER] [--dirty-sync BENCH]
                          [--storer RATE=ELF ...] EMULATOR

Guests: an idle Linux with data in its memory, and bare-metal ones that dirty memory at a steady RATE (MB/s).  The
memory of every destination is touched before the clock starts: first touch costs as much as the move.  A ratio above 1 is
for this emulator.
"""
import argparse
import mmap
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from machine import Machine, MachineError  # noqa: E402

MIB = 1 << 20
TICKS = os.sysconf('SC_CLK_TCK')


# --- what the host can do ---

def rate(amount, work):
    began = time.monotonic()
    work()
    return amount / MIB / (time.monotonic() - began)


def memory_read(size):
    data = b'y' * size
    return rate(size, lambda: data.find(b'x'))


def socket_throughput(size):
    a, b = socket.socketpair()
    data = memoryview(b'y' * (64 * MIB))  # more than the caches hold, as a guest's memory is

    def receive():
        room, at = bytearray(64 * MIB), 0
        while n := b.recv_into(memoryview(room)[at:at + MIB]):
            at = (at + n) % (63 * MIB)

    pid = os.fork()
    if pid == 0:
        a.close()
        receive()
        os._exit(0)
    b.close()

    def send():
        for n in range(size // MIB):
            a.sendall(data[n % 64 * MIB:n % 64 * MIB + MIB])
        a.close()
        os.waitpid(pid, 0)

    return rate(size, send)


def disk_write(folder, size, direct):
    path = os.path.join(folder, 'disk-limit')
    buffer = mmap.mmap(-1, 4 * MIB)
    buffer.write(os.urandom(4 * MIB))
    try:
        fd = os.open(path, os.O_CREAT | os.O_WRONLY | (os.O_DIRECT if direct else 0), 0o600)
    except OSError:
        return None

    def write():
        for _ in range(size // len(buffer)):
            os.write(fd, buffer)
        os.fsync(fd)

    try:
        return rate(size, write)
    except OSError:
        return None
    finally:
        os.close(fd)
        os.unlink(path)


# --- machines ---

class Guest:
    """How to start one kind of guest, and how to tell that it is ready."""

    def __init__(self, name, mib, args, ready):
        self.name, self.mib, self.args, self.ready = name, mib, args, ready

    def machine_args(self):
        return ['-M', 'virt,acpi=off,memory-backend=ram', '-nodefaults', '-m', f'{self.mib}M',
                '-object', f'memory-backend-ram,id=ram,size={self.mib}M,prealloc=on', *self.args]


def linux_guest(folder, mib, data_mib):
    file = lambda name: os.path.join(folder, name)

    def ready(machine):
        machine.wait_serial(b'GUEST-UP', timeout=300)
        machine.wait_serial(b'#')
        machine.type(f'dd if=/dev/urandom of=/tmp/data bs=1M count={data_mib} 2>/dev/null; echo FILLED-$((6+1))\n')
        machine.wait_serial(b'FILLED-7', timeout=300)

    return Guest(f'Linux {mib} MiB, {data_mib} of data, idle', mib,
                 ['-smp', '2', '-bios', file('fw_dynamic.bin'), '-kernel', file('Image'), '-initrd', file('initrd.gz'),
                  '-append', 'console=ttyS0 quiet'], ready)


def storer_guest(mb_per_second, elf, mib):
    return Guest(f'dirties {mb_per_second} MB/s of {mib} MiB', mib, ['-bios', elf],
                 lambda machine: machine.wait_serial(b'PASS 1', timeout=300))


def cpu_seconds(machine):
    with open(f'/proc/{machine.process.pid}/stat') as stat:
        fields = stat.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Bench:
    def __init__(self, args):
        self.args = args
        self.folder = tempfile.mkdtemp(prefix='godwit-bench-', dir=args.folder)
        self.binaries = [('godwit', args.emulator)] + ([('qemu', args.peer)] if args.peer else [])
        self.machines = []
        self.results = {}  # (row, column) -> {emulator: [values]}
        self.rows = []

    def close(self):
        for machine in self.machines:
            machine.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, binary, guest, *more):
        machine = Machine(binary, self.folder, f'm{len(self.machines)}', guest.machine_args() + list(more))
        self.machines.append(machine)
        return machine

    def destination(self, binary, guest, mapped=False):
        machine = self.start(binary, guest, '-incoming', 'defer')
        if mapped:
            self.map_ram(machine)
        return machine

    @staticmethod
    def map_ram(machine):
        machine.qmp('migrate-set-capabilities', capabilities=[{'capability': 'mapped-ram', 'state': True}])

    def record(self, row, column, name, value):
        if row not in self.rows:
            self.rows.append(row)
        self.results.setdefault((row, column), {}).setdefault(name, []).append(value)

    def listen(self, machine, transport):
        if transport == 'unix':
            uri = 'unix:' + os.path.join(self.folder, 'socket')
            machine.qmp('migrate-incoming', uri=uri)
            return uri
        machine.qmp('migrate-incoming', uri='tcp:127.0.0.1:0')
        return f"tcp:127.0.0.1:{machine.qmp('query-migrate')['socket-address'][0]['port']}"

    def timed_migrate(self, source, uri, row, name):
        source.qmp('migrate-set-parameters', **{'max-bandwidth': 0, 'downtime-limit': 300})
        before = cpu_seconds(source)
        try:
            info = source.migrate(uri, timeout=self.args.patience, interval=0.02)
        except MachineError as error:
            print(f'  {row}, {name}: {error}', file=sys.stderr)
            return None
        self.record(row, 'CPU s', name, cpu_seconds(source) - before)
        self.record(row, 'total ms', name, info['total-time'])
        return info

    def precopy(self, name, binary, guest, transport):
        row = f'{guest.name}, {transport}'
        source = self.start(binary, guest)
        guest.ready(source)
        destination = self.destination(binary, guest)
        info = self.timed_migrate(source, self.listen(destination, transport), row, name)
        if info:
            destination.wait_status('running')
            self.record(row, 'MiB/s', name, info['ram']['transferred'] / MIB / max(info['total-time'], 1) * 1000)
            self.record(row, 'downtime ms', name, info['downtime'])
            self.record(row, 'passes', name, info['ram']['dirty-sync-count'])
        source.quit()
        destination.quit()

    def save_and_restore(self, name, binary, guest, live):
        row = f'{guest.name}, fixed-ram {"live" if live else "stopped"}'
        path = os.path.join(self.folder, 'saved')
        source = self.start(binary, guest)
        guest.ready(source)
        self.map_ram(source)
        if not live:
            source.qmp('stop')
        info = self.timed_migrate(source, 'file:' + path, row, name)
        source.quit()
        if info:
            stat = os.stat(path)
            self.record(row, 'disk MiB', name, stat.st_blocks * 512 / MIB)
            self.record(row, 'MiB/s', name, info['ram']['transferred'] / MIB / max(info['total-time'], 1) * 1000)
            self.restore(row, name, binary, guest, path, live)
            os.unlink(path)

    def restore(self, row, name, binary, guest, path, live):
        destination = self.destination(binary, guest, mapped=True)
        began = time.monotonic()
        destination.qmp('migrate-incoming', uri='file:' + path)
        destination.wait_status('running' if live else 'paused')
        if not live:
            destination.qmp('cont')
        self.record(row, 'restore ms', name, 1000 * (time.monotonic() - began))
        destination.quit()

    # --- output ---

    def limits(self):
        size = 256 * MIB if self.args.quick else 1024 * MIB
        print('limits of this host, MiB/s')
        for what, value in (('memory read, one thread', memory_read(size)), ('unix socket', socket_throughput(size)),
                            ('disk write, buffered + fsync', disk_write(self.folder, size, False)),
                            ('disk write, O_DIRECT', disk_write(self.folder, size, True))):
            print(f'  {what:<32}' + (f'{value:10.0f}' if value else '         -'))

    def report(self):
        columns = ['total ms', 'downtime ms', 'MiB/s', 'passes', 'CPU s', 'disk MiB', 'restore ms']
        more_is_better = ('MiB/s',)
        print(f'\n{"":<54}{"":<14}{"godwit":>12}{"qemu":>12}{"ratio":>8}')
        for row in self.rows:
            label = row
            for column in columns:
                values = self.results.get((row, column))
                if not values:
                    continue
                ours, theirs = (statistics.median(values[n]) if n in values else None for n in ('godwit', 'qemu'))
                ratio = ''
                if ours and theirs and column not in ('passes', 'disk MiB'):
                    ratio = f'{ours / theirs if column in more_is_better else theirs / ours:.2f}'
                cell = lambda v: f'{"-" if v is None else format(v, ".1f"):>12}'
                print(f'{label:<54}{column:<14}{cell(ours)}{cell(theirs)}{ratio:>8}')
                label = ''

    def run(self):
        args = self.args
        if args.dirty_sync:
            subprocess.run([args.dirty_sync], check=False)
        self.limits()
        sys.stdout.flush()
        linux = linux_guest(args.guest, 1024 if args.quick else 2048, 100 if args.quick else 900) if args.guest else None
        for _ in range(1 if args.quick else args.runs):
            for name, binary in self.binaries:
                if linux:
                    for transport in ('unix', 'tcp'):
                        self.precopy(name, binary, linux, transport)
                    for live in (False, True):
                        self.save_and_restore(name, binary, linux, live)
                for rate_mb, elf in args.storer:
                    self.precopy(name, binary, storer_guest(rate_mb, elf, args.storer_mib), 'unix')
                print(f'{name}: done', file=sys.stderr)
        self.report()


def storer_argument(text):
    rate_mb, _, elf = text.partition('=')
    return int(rate_mb), elf


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('emulator')
    parser.add_argument('--quick', action='store_true', help='one run, smaller guests')
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument('--peer', help='qemu-system-riscv64 to compare with')
    parser.add_argument('--guest', help='folder of scripts/get-guest')
    parser.add_argument('--dirty-sync', help='bench-dirty-sync, whose table comes first')
    parser.add_argument('--storer', type=storer_argument, action='append', default=[])
    parser.add_argument('--storer-mib', type=int, default=512)
    parser.add_argument('--patience', type=float, default=60, help='seconds for one migration')
    parser.add_argument('--folder', help='where files are saved (default: the system\'s temporary folder)')
    bench = Bench(parser.parse_args())
    try:
        bench.run()
    except MachineError as error:
        print(f'bench-migration: {error}', file=sys.stderr)
        return 1
    finally:
        bench.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
