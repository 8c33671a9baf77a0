#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines move between this emulator and QEMU 10.0.

interop.py EMULATOR GOLDEN-FOLDER [--storer ELF] [--vectors ELF] [--peer QEMU] [--guest FOLDER] [TEST ...]

TEST: golden (streams that QEMU wrote, no QEMU needed), stopped (bare-metal machines, both ways), files (the same through
files: streams, mapped-ram, snapshots), vectors (a machine with live vector state; without a QEMU between two of ours),
postcopy (with one connection and two, and links that break), linux (a guest of
--guest, from scripts/get-guest, there and back five times).  What needs a QEMU is skipped without one: --peer or the
environment's GODWIT_PEER; scripts/get-peer fetches it.
"""
import argparse
import lzma
import os
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path += [os.path.join(here, '..', 'lib'), here]
from machine import Lost, MachineError, Machines  # noqa: E402
from stream import Walk, difference  # noqa: E402

SKIPPED = 77
BARE = ['-M', 'virt,acpi=off', '-nodefaults']
VIRTIO = ['-blockdev', 'null-co,node-name=n,size=1048576', '-device', 'virtio-blk-device,drive=n',
          '-netdev', 'hubport,id=h,hubid=0', '-device', 'virtio-net-device,netdev=h', '-device', 'virtio-rng-device']
MODERN = ['-global', 'virtio-mmio.force-legacy=false']
ROUNDS = int(os.environ.get('GODWIT_ROUNDS', '5'))


class Failed(Exception):
    pass


class Interop(Machines):
    def __init__(self, args):
        super().__init__('godwit-interop-')
        self.native = False     # the stream's profile
        self.vectors = args.vectors
        self.ours, self.peer, self.golden, self.storer, self.guest = (args.emulator, args.peer, args.golden, args.storer,
                                                                      args.guest)

    def machine(self, binary, args):
        machine = self.start(binary, args)
        machine.is_peer = binary == self.peer
        if not machine.is_peer and not self.native:
            machine.set_parameters(x_profile='qemu-10.0')
        machine.set_parameters(max_bandwidth=0)
        return machine

    def move(self, source, binary, args, stop):
        """To a new process of `binary`, by unix socket; the machine runs there afterwards."""
        uri = 'unix:' + self.path('migrate')
        if stop:
            source.qmp('stop')
        destination = self.machine(binary, args + ['-incoming', 'defer'])
        destination.qmp('migrate-incoming', uri=uri)
        try:
            source.migrate(uri)
        except MachineError as error:
            raise Failed(f'{error}; {destination.name} says: {destination.log()}')
        return self.take_over(source, destination, stop)

    def take_over(self, source, destination, stopped):
        if stopped:
            destination.wait_status('paused')
            self.compare(source, destination)
            destination.qmp('cont')
        destination.wait_status('running')
        source.quit()
        return destination

    # --- golden: load what QEMU wrote, and save it again ---

    def unpack(self, name):
        path = self.path(name)
        with lzma.open(os.path.join(self.golden, name + '.mig.xz')) as packed, open(path, 'wb') as out:
            while chunk := packed.read(1 << 20):
                if chunk.count(0) == len(chunk):
                    out.seek(len(chunk), os.SEEK_CUR)
                else:
                    out.write(chunk)
            out.truncate()
        return path

    def load_and_save(self, name, *args, mapped=False):
        golden = self.unpack(name)
        machine = self.machine(self.ours, BARE + ['-m', '16M', '-bios', 'none', '-S', '-incoming', 'defer', *args])
        if mapped:
            machine.set_capability('mapped-ram')
        machine.qmp('migrate-incoming', uri='file:' + golden)
        machine.wait_status('prelaunch')
        saved = self.path(name + '.ours')
        machine.migrate('file:' + saved)
        machine.quit()
        wrong = difference(Walk(golden), Walk(saved))
        if wrong:
            raise Failed(f'{name}: {wrong}')
        print(f'  {name}: loads, and saves back byte by byte the same')

    def test_golden(self):
        self.load_and_save('plain')
        self.load_and_save('mmio', *MODERN, *VIRTIO)
        self.load_and_save('mapped', mapped=True)
        self.load_and_save('cpumax', '-cpu', 'max')

    # --- stopped: a bare-metal machine that checks its memory ---

    def test_stopped(self):
        for harts in (1, 2):
            for kind, extra in (('no devices', []), ('legacy virtio', VIRTIO), ('modern virtio', MODERN + VIRTIO)):
                args = BARE + ['-m', '64M', '-smp', str(harts), '-bios', self.storer] + extra
                for way, binaries in (('ours, QEMU, ours', (self.ours, self.peer, self.ours)),
                                      ('QEMU, ours, QEMU', (self.peer, self.ours, self.peer))):
                    machine = self.machine(binaries[0], args)
                    machine.wait_serial(b'PASS 2')
                    for binary in binaries[1:]:
                        machine = self.move(machine, binary, args, stop=True)
                        machine.check_stores(b'PASS', timeout=60)
                    machine.quit()
                    print(f'  {harts} harts, {kind}: {way}')

    # --- files: saved by one, loaded by the other ---

    def save_and_load(self, source, binary, args, capabilities, parameters, options):
        uri = 'file:' + self.path('saved') + options
        destination = self.machine(binary, args + ['-incoming', 'defer'])
        for machine in (source, destination):
            for capability in capabilities:
                machine.set_capability(capability)
            machine.set_parameters(**parameters)
        source.migrate(uri)
        destination.qmp('migrate-incoming', uri=uri)
        return destination

    def move_by_file(self, source, binary, args, stopped, *how):
        if stopped:
            source.qmp('stop')
        try:
            destination = self.save_and_load(source, binary, args, *how)
            return self.take_over(source, destination, stopped)
        finally:
            os.unlink(self.path('saved'))

    def takes_direct_io(self):
        try:
            os.close(os.open(self.path('direct'), os.O_CREAT | os.O_WRONLY | os.O_DIRECT))
            return True
        except OSError:
            return False

    def file_kinds(self):
        threads = {'multifd_channels': 2}
        kinds = [('stream', [], {}, ''), ('stream at an offset', [], {}, ',offset=0x3000'),
                 ('mapped-ram', ['mapped-ram'], {}, ''), ('mapped-ram at an offset', ['mapped-ram'], {}, ',offset=0x345000'),
                 ('mapped-ram, two threads', ['mapped-ram', 'multifd'], threads, '')]
        if self.takes_direct_io():
            kinds.append(('mapped-ram, two threads, direct-io', ['mapped-ram', 'multifd'], {**threads, 'direct_io': True}, ''))
        return kinds

    def snapshot(self, args):
        """Ours goes on; what it was is the other's."""
        machine = self.machine(self.ours, args)
        machine.wait_serial(b'PASS 2')
        machine.set_capability('background-snapshot')
        machine.migrate('file:' + self.path('saved'))
        copy = self.machine(self.peer, args + ['-incoming', 'defer'])
        copy.qmp('migrate-incoming', uri='file:' + self.path('saved'))
        copy.wait_status('running')
        for each in (machine, copy):
            each.check_stores(b'PASS', timeout=60)
            each.quit()
        print('  background snapshot: ours, QEMU', flush=True)

    def test_files(self):
        args = BARE + ['-m', '64M', '-smp', '2', '-bios', self.storer] + MODERN + VIRTIO
        for name, *how in self.file_kinds():
            for way, binaries in (('ours, QEMU, ours', (self.ours, self.peer, self.ours)),
                                  ('QEMU, ours, QEMU', (self.peer, self.ours, self.peer))):
                machine = self.machine(binaries[0], args)
                machine.wait_serial(b'PASS 2')
                for binary in binaries[1:]:
                    machine = self.move_by_file(machine, binary, args, True, *how)
                    machine.check_stores(b'PASS', timeout=60)
                machine.quit()
                print(f'  {name}: {way}', flush=True)
            machine = self.machine(self.ours, args)
            machine.wait_serial(b'PASS 2')
            machine = self.move_by_file(machine, self.peer, args, False, *how)
            machine.check_stores(b'PASS', timeout=60)
            machine.quit()
            print(f'  {name}: ours live, QEMU', flush=True)
        self.snapshot(args)

    # --- vectors: a bare-metal machine that checks its vector unit ---

    def vectors_move(self, what, vlen, *binaries):
        args = BARE + ['-m', '64M', '-cpu', f'rv64,v=true,vlen={vlen}', '-bios', self.vectors]
        machine = self.machine(binaries[0], args)
        machine.wait_serial(b'PASS')
        for binary in binaries[1:]:
            machine = self.move(machine, binary, args, stop=True)
            machine.wait_serial(b'PASS\nPASS', timeout=30)     # after FAIL nothing comes
        machine.quit()
        print(f'  vlen {vlen}: {what}')

    def test_vectors(self):
        for self.native in (True, False):
            self.vectors_move('ours, ours' + (', native' if self.native else ''), 256, self.ours, self.ours)
        if self.peer:
            self.vectors_move('ours, QEMU, ours', 128, self.ours, self.peer, self.ours)
            self.vectors_move('QEMU, ours, QEMU', 512, self.peer, self.ours, self.peer)

    # --- postcopy: the machine first, its memory afterwards ---

    def wait_migration(self, machine, wanted, timeout=60):
        deadline = time.monotonic() + timeout
        while (info := machine.qmp('query-migrate')).get('status') != wanted:
            if time.monotonic() > deadline or info.get('status') in ('failed', 'cancelled'):
                raise Failed(f'{machine.name} is {info}, not {wanted}; it says: {machine.log()}')
            time.sleep(0.01)

    def wait_started(self, machine, timeout=60):
        """The peer pauses where a link breaks, but not before it has taken the command to run."""
        deadline = time.monotonic() + timeout
        while machine.qmp('query-status')['status'] == 'inmigrate':
            if time.monotonic() > deadline:
                raise Failed(f'{machine.name} does not start; it says: {machine.log()}')
            time.sleep(0.01)

    def break_and_recover(self, source, destination):
        self.wait_started(destination)
        source.qmp('migrate-pause')
        for machine in (source, destination):
            self.wait_migration(machine, 'postcopy-paused')
        uri = 'unix:' + self.path('again')
        destination.qmp('migrate-recover', uri=uri)
        source.qmp('migrate', uri=uri, resume=True)
        for machine in (source, destination):
            self.wait_migration(machine, 'postcopy-active')

    def move_postcopy(self, source, binary, args, stop, preempt, broken):
        uri = 'unix:' + self.path('migrate')
        if stop:
            source.qmp('stop')
        destination = self.machine(binary, args + ['-incoming', 'defer'])
        for machine in (source, destination):
            machine.set_capability('postcopy-ram')
            machine.set_capability('postcopy-preempt', preempt)
        source.set_parameters(max_bandwidth=4 << 20, max_postcopy_bandwidth=1 << 20)
        destination.qmp('migrate-incoming', uri=uri)
        source.qmp('migrate', uri=uri)
        self.wait_migration(source, 'active')
        source.qmp('migrate-start-postcopy')
        self.wait_migration(source, 'postcopy-active')
        if broken:
            self.wait_migration(destination, 'postcopy-active')
            self.break_and_recover(source, destination)
        source.set_parameters(max_postcopy_bandwidth=0)
        for machine in (source, destination):
            self.wait_migration(machine, 'completed')
        return self.take_over(source, destination, stop)

    def test_postcopy(self):
        args = BARE + ['-m', '64M', '-smp', '2', '-bios', self.storer] + MODERN + VIRTIO
        for kind, preempt, broken in (('one connection', False, False), ('preempt', True, False),
                                      ('broken link', False, True), ('preempt, broken link', True, True)):
            for way, binaries in (('ours, QEMU', (self.ours, self.peer)), ('QEMU, ours', (self.peer, self.ours))):
                machine = self.machine(binaries[0], args)
                machine.wait_serial(b'PASS 2')
                machine = self.move_postcopy(machine, binaries[1], args, binaries[0] == self.peer, preempt, broken)
                machine.check_stores(b'PASS', timeout=60)
                machine.quit()
                print(f'  {kind}: {way}', flush=True)

    # --- linux ---

    def linux_args(self):
        file = lambda name: os.path.join(self.guest, name)
        disk = self.path('disk')
        if not os.path.exists(disk):
            with open(disk, 'wb') as out:
                out.write(b''.join(b'sector %09d' % n + bytes(496) for n in range(8192)))
        return ['-M', 'virt,acpi=off', '-m', '512M', '-smp', '2', '-nodefaults', *MODERN,
                '-bios', file('fw_dynamic.bin'), '-kernel', file('Image'), '-initrd', file('initrd.gz'),
                '-append', 'console=ttyS0 quiet', '-drive', f'file={disk},format=raw,if=none,id=d',
                '-device', 'virtio-blk-device,drive=d', '-netdev', 'hubport,id=h,hubid=0',
                '-device', 'virtio-net-device,netdev=h', '-device', 'virtio-rng-device']

    def check_linux(self, machine, marker):
        """The shell answers, the disk reads, sleepers wake, and the workload verifies its memory."""
        seen = len(machine.poll_serial())
        machine.type(f'dd if=/dev/vda bs=512 skip={marker} count=1 iflag=direct 2>/dev/null | head -c 16; '
                     f'dd if=/dev/hwrng bs=64 count=1 2>/dev/null | wc -c; sleep 1; echo ALIVE-$((7 * {marker}))\n')
        after = machine.wait_serial(b'ALIVE-%d' % (7 * marker), start=seen, timeout=120)
        if b'sector %09d' % marker not in machine.output[seen:after]:
            raise Failed(f'{machine.name}: the disk gives something else: {machine.output[seen:after]}')
        for n in range(2):
            machine.wait_serial(b'WORK %d round' % n, start=after, timeout=120)
        if b'BAD' in machine.output:
            raise Failed(f'{machine.name}: a page is not what it was: {machine.output[-400:].decode(errors="replace")}')

    def linux(self, first, second, name, stop_ours):
        args = self.linux_args()
        machine = self.machine(first, args)
        machine.wait_serial(b'GUEST-UP', timeout=300)
        machine.wait_serial(b'#')
        machine.type('load-modules >/dev/null 2>&1; dmesg -n 1; memwork 2 32 20 &\n')
        for n in range(2):
            machine.wait_serial(b'WORK %d round' % n, timeout=120)
        self.check_linux(machine, 11)
        binaries = [second, first] * ROUNDS
        for turn, binary in enumerate(binaries):
            stop = machine.is_peer or stop_ours
            machine = self.move(machine, binary, args, stop)
            self.check_linux(machine, 100 + turn)
            print(f'  {name}: move {turn + 1} {"stopped" if stop else "live"} to {"QEMU" if machine.is_peer else "ours"}',
                  flush=True)
        machine.quit()

    def test_linux(self):
        self.linux(self.ours, self.peer, 'booted on ours', stop_ours=False)
        self.linux(self.peer, self.ours, 'booted on QEMU', stop_ours=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('emulator')
    parser.add_argument('golden')
    parser.add_argument('--storer')
    parser.add_argument('--vectors')
    parser.add_argument('--peer', default=os.environ.get('GODWIT_PEER'))
    parser.add_argument('--guest', default=os.environ.get('GODWIT_GUEST'))
    parser.add_argument('tests', nargs='*', metavar='TEST',
                        default=['golden', 'stopped', 'files', 'vectors', 'postcopy', 'linux'])
    args = parser.parse_intermixed_args()
    done, skipped = 0, 0
    for test in args.tests:
        needs = {'golden': (), 'vectors': ('vectors',), 'linux': ('peer', 'guest')}.get(test, ('peer', 'storer'))
        missing = [need for need in needs if not getattr(args, need)]
        if missing:
            print(f'{test}: skipped, --{missing[0]} is not given (nor GODWIT_{missing[0].upper()})')
            skipped += 1
            continue
        print(f'{test}:', flush=True)
        interop = Interop(args)
        try:
            getattr(interop, 'test_' + test)()
            done += 1
        except (Failed, Lost, MachineError, OSError) as error:
            print(f'interop: {test}: {error}', file=sys.stderr)
            for machine in interop.machines:
                print(f'{machine.name} (status {machine.process.poll()}): {machine.log()}', file=sys.stderr)
            return 1
        finally:
            interop.close()
    return 0 if done else SKIPPED


if __name__ == '__main__':
    sys.exit(main())
