#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Times moving and saving machines under this emulator and under QEMU, alternating, beside what the host can do.

usage: bench-migration.py [--quick] [--runs N] [--peer QEMU] [--guest FOLDER] [--dirty-sync BENCH]
                          [--storer RATE=ELF ...] EMULATOR

Guests: an idle Linux with data in its memory; bare-metal ones that dirty memory at a steady RATE (MB/s); and one of
these, stopped, whose memory is all in use, so that nothing but bytes that travel is measured.  Sources are started as
users start them; the memory of destinations is touched before the clock starts: first touch costs as much as the move.
CPU seconds are those of both processes, with what the guest uses meanwhile.  A ratio above 1 is for this emulator.
"""
import argparse
import mmap
import os
import re
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
FLAT_OUT = 100000  # MB/s: a rate that no guest comes to


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

    def __init__(self, name, mib, args, ready, touched=False, status='running'):
        self.name, self.mib, self.args, self.ready, self.touched = name, mib, args, ready, touched
        self.status = status  # once it is ready, and where it arrives

    def with_touched_memory(self):
        return Guest(self.name, self.mib, self.args, self.ready, True, self.status)

    def machine_args(self):
        prealloc = 'on' if self.touched else 'off'
        return ['-M', 'virt,acpi=off,memory-backend=ram', '-nodefaults', '-m', f'{self.mib}M',
                '-object', f'memory-backend-ram,id=ram,size={self.mib}M,prealloc={prealloc}', *self.args]


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
    pace = 'flat out' if mb_per_second >= FLAT_OUT else f'{mb_per_second} MB/s'
    return Guest(f'dirties {mib} MiB, {pace}', mib, ['-bios', elf],
                 lambda machine: machine.wait_serial(b'PASS 1', timeout=300))


def full_guest(elf, mib):
    """Stands still; every page holds something."""
    def ready(machine):
        machine.wait_serial(b'PASS 1', timeout=300)
        machine.qmp('stop')

    return Guest(f'{mib} MiB, all in use, stopped', mib, ['-bios', elf], ready, status='paused')


def last_pass(machine):
    """The last pass that the guest told of."""
    found = re.findall(rb'PASS (\d+)\r?\n', machine.poll_serial())
    return int(found[-1]) if found else 0


def passes_per_second(machine, seconds=2):
    """From one pass that ends to another."""
    marks = []
    deadline = None
    while not deadline or time.monotonic() < deadline:
        number = last_pass(machine)
        if not marks or number != marks[-1][0]:
            marks.append((number, time.monotonic()))
            if len(marks) == 2:  # the first is seen in the middle of a pass
                deadline = time.monotonic() + seconds
        time.sleep(0.001)
    (first, began), (last, ended) = marks[1], marks[-1]
    return (last - first) / (ended - began) if last > first else 0


def cpu_seconds(machine):
    with open(f'/proc/{machine.process.pid}/stat') as stat:
        fields = stat.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Way:
    """How a machine travels: transport, and what both sides are told before."""

    def __init__(self, name, transport, capabilities=(), **parameters):
        self.name, self.transport = name, transport
        self.capabilities = [{'capability': c, 'state': True} for c in capabilities]
        self.parameters = parameters

    def tell(self, machine):
        if self.capabilities:
            machine.qmp('migrate-set-capabilities', capabilities=self.capabilities)
        if self.parameters:
            machine.qmp('migrate-set-parameters', **self.parameters)


def multifd(channels, compression='none'):
    name = f'multifd {channels}' + (f' {compression}' if compression != 'none' else '')
    return Way(name, 'unix', ['multifd'], **{'multifd-channels': channels, 'multifd-compression': compression})


def writers(n, direct):
    return Way(f'{n} writers' + (', direct-io' if direct else ''), 'file', ['mapped-ram', 'multifd'],
               **{'multifd-channels': n, 'direct-io': direct})


UNIX, TCP, ONE_WRITER = Way('unix', 'unix'), Way('tcp', 'tcp'), Way('1 writer', 'file', ['mapped-ram'])
SOCKETS = [UNIX, TCP, multifd(1), multifd(2), multifd(4), multifd(2, 'zstd')]
FULL = [UNIX, TCP, multifd(2)]
FILES = [ONE_WRITER, writers(2, False), writers(4, False), writers(2, True)]


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

    def destination(self, binary, guest, way):
        machine = self.start(binary, guest, '-incoming', 'defer')
        way.tell(machine)
        return machine

    def warm_destination(self, binary, guest, way):
        return self.destination(binary, guest.with_touched_memory(), way)

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

    def timed_migrate(self, source, uri, row, name, destination=None, arrives='running'):
        machines = [source, destination] if destination else [source]
        source.qmp('migrate-set-parameters', **{'max-bandwidth': 0, 'downtime-limit': 300})
        before = sum(map(cpu_seconds, machines))
        try:
            info = source.migrate(uri, timeout=self.args.patience, interval=0.02)
        except MachineError as error:
            print(f'  {row}, {name}: {error}', file=sys.stderr)
            return None
        if destination:
            destination.wait_status(arrives)
        self.record(row, 'CPU s', name, sum(map(cpu_seconds, machines)) - before)
        self.record(row, 'total ms', name, info['total-time'])
        return info

    def precopy(self, name, binary, guest, way):
        row = f'{guest.name}, {way.name}'
        source = self.start(binary, guest)
        guest.ready(source)
        way.tell(source)
        destination = self.warm_destination(binary, guest, way)
        uri = self.listen(destination, way.transport)
        info = self.timed_migrate(source, uri, row, name, destination, guest.status)
        if info:
            self.record(row, 'MiB/s', name, info['ram']['transferred'] / MIB / max(info['total-time'], 1) * 1000)
            self.record(row, 'downtime ms', name, info['downtime'])
            self.record(row, 'passes', name, info['ram']['dirty-sync-count'])
        source.quit()
        destination.quit()

    def save_and_restore(self, name, binary, guest, way, live):
        row = f'{guest.name}, fixed-ram {"live" if live else "stopped"}, {way.name}'
        path = os.path.join(self.folder, 'saved')
        source = self.start(binary, guest)
        guest.ready(source)
        way.tell(source)
        if not live:
            source.qmp('stop')
        info = self.timed_migrate(source, 'file:' + path, row, name)
        source.quit()
        if info:
            stat = os.stat(path)
            self.record(row, 'disk MiB', name, stat.st_blocks * 512 / MIB)
            self.record(row, 'MiB/s', name, info['ram']['transferred'] / MIB / max(info['total-time'], 1) * 1000)
            self.restore(row, name, binary, guest, way, path, live)
            os.unlink(path)

    def restore(self, row, name, binary, guest, way, path, live):
        """Once with memory that was touched before, once as a user would start it."""
        for column, destination in (('restore ms', self.warm_destination(binary, guest, way)),
                                    ('cold restore ms', self.destination(binary, guest, way))):
            began = time.monotonic()
            destination.qmp('migrate-incoming', uri='file:' + path)
            while destination.qmp('query-status')['status'] != ('running' if live else 'paused'):
                time.sleep(0.001)
            if not live:
                destination.qmp('cont')
            self.record(row, column, name, 1000 * (time.monotonic() - began))
            destination.quit()

    def tracking(self, name, binary, guest):
        """What a guest that stores flat out pays for a migration that goes on beside it."""
        row = f'{guest.name}: passes/s'
        source = self.start(binary, guest)
        guest.ready(source)
        self.record(row, 'alone', name, passes_per_second(source))
        destination = self.warm_destination(binary, guest, UNIX)
        source.qmp('migrate-set-parameters', **{'max-bandwidth': 100 * MIB, 'downtime-limit': 1})
        source.qmp('migrate', uri=self.listen(destination, 'unix'))
        self.record(row, 'migrating', name, passes_per_second(source))
        source.qmp('migrate_cancel')
        source.quit()
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
        columns = ['total ms', 'downtime ms', 'MiB/s', 'passes', 'CPU s', 'disk MiB', 'restore ms', 'cold restore ms',
                   'alone', 'migrating']
        more_is_better = ('MiB/s', 'alone', 'migrating')
        print(f'\n{"":<72}{"":<18}{"godwit":>12}{"qemu":>12}{"ratio":>8}')
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
                cell = lambda v: '-' if v is None else f'{v:.2f}' if v < 10 else f'{v:.1f}'
                print(f'{label:<72}{column:<18}{cell(ours):>12}{cell(theirs):>12}{ratio:>8}')
                label = ''

    def run(self):
        args = self.args
        if args.dirty_sync:
            subprocess.run([args.dirty_sync], check=False)
        self.limits()
        sys.stdout.flush()
        guests = []
        if args.guest:
            guests.append(linux_guest(args.guest, 1024 if args.quick else 2048, 100 if args.quick else 400))
        if args.guest and not args.quick:
            guests.append(linux_guest(args.guest, 8192, 100))
        for _ in range(1 if args.quick else args.runs):
            for name, binary in self.binaries:
                self.run_once(name, binary, guests)
                print(f'{name}: done', file=sys.stderr)
        self.report()

    def run_once(self, name, binary, guests):
        for guest in guests:
            first = guest is guests[0]
            for way in SOCKETS if first else [UNIX]:
                self.attempt(self.precopy, name, binary, guest, way)
            for way in FILES if first else [ONE_WRITER]:
                self.attempt(self.save_and_restore, name, binary, guest, way, False)
            self.attempt(self.save_and_restore, name, binary, guest, ONE_WRITER, True)
        if self.args.storer:
            guest = full_guest(max(self.args.storer)[1], self.args.storer_mib)
            for way in FULL:
                self.attempt(self.precopy, name, binary, guest, way)
        for rate_mb, elf in self.args.storer:
            guest = storer_guest(rate_mb, elf, self.args.storer_mib)
            if rate_mb >= FLAT_OUT:
                self.attempt(self.tracking, name, binary, guest)
            else:
                self.attempt(self.precopy, name, binary, guest, UNIX)

    def attempt(self, measure, name, binary, guest, *rest):
        """One row that cannot be measured costs no other."""
        try:
            measure(name, binary, guest, *rest)
        except MachineError as error:
            print(f'  {guest.name}, {name}: {error}', file=sys.stderr)
            for machine in self.machines:
                machine.kill()


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
