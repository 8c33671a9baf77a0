#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo: a bare-metal guest that stores into all of its memory moves live to a second process, into a file, and
out of it again; its RAM is compared byte for byte after each move.

usage: demo.py EMULATOR GUEST.elf
"""
import os
import sys

from show import MIB, Show, run_demo
from machine import Machine, MachineError  # show.py has put its folder on the path

RAM_MIB = 256


def same_file(a, b):
    """The offset of the first difference, or None."""
    with open(a, 'rb') as one, open(b, 'rb') as two:
        offset = 0
        while True:
            x, y = one.read(MIB), two.read(MIB)
            if x != y:
                return offset + next((i for i, (p, q) in enumerate(zip(x, y)) if p != q), min(len(x), len(y)))
            if not x:
                return None
            offset += len(x)


class Demo:
    def __init__(self, binary, guest, folder):
        self.binary, self.guest, self.folder = binary, guest, folder
        self.show = Show()
        self.machines = []
        self.dirty = 0  # MiB/s, the highest seen during the last move
        self.rows = [('move', 'sent', 'passes', 'dirtied', 'total', 'downtime', 'RAM')]

    def start(self, name, *args):
        machine = Machine(self.binary, self.folder, name,
                          ['-M', 'virt', '-m', f'{RAM_MIB}M', '-bios', self.guest, *args])
        self.machines.append(machine)
        return machine

    def compare(self, source, destination):
        """Both stopped: is the RAM of one that of the other?"""
        dumps = []
        for machine in (source, destination):
            dumps.append(os.path.join(self.folder, machine.name + '.ram'))
            machine.qmp('pmemsave', val=0x80000000, size=RAM_MIB * MIB, filename=dumps[-1])
        difference = same_file(*dumps)
        for dump in dumps:
            os.unlink(dump)
        if difference is not None:
            raise MachineError(f'RAM of {source.name} and {destination.name} differs at 0x{0x80000000 + difference:x}')
        self.show.step(f'all {RAM_MIB} MiB of RAM are the same, byte for byte')

    def check_guest(self, machine):
        """The guest goes on and has lost none of its stores."""
        seen = len(machine.poll_serial())
        for _ in range(2):
            seen = machine.wait_serial(b'PASS', start=seen)
        if b'LOST' in machine.output:
            raise MachineError(f'{machine.name}: the guest misses stores of its own: {machine.output.decode()}')
        self.show.step('the guest runs on and finds every store it made')

    def row(self, name, info):
        ram = info['ram']
        self.rows.append((name, f'{ram["transferred"] / MIB:.0f} MiB', ram['dirty-sync-count'],
                          f'{self.dirty:.0f} MiB/s' if self.dirty else 'too short to say',
                          f'{info["total-time"]} ms', f'{info["downtime"]} ms', 'identical'))

    def move(self, source, uri):
        info = source.migrate(uri, self.show.progress, interval=0.02)
        self.dirty = self.show.moved(info)
        return info

    def run(self):
        show = self.show
        show.title(f'1. A guest that stores into all of its {RAM_MIB} MiB, about 150 MiB every second')
        first = self.start('first')
        first.wait_serial(b'PASS 2')
        show.step('it runs: two passes over its memory are done')

        show.title('2. It moves, live, to a second process')
        socket = os.path.join(self.folder, 'migrate.sock')
        second = self.start('second', '-S', '-incoming', f'unix:{socket}')
        first.qmp('migrate-set-parameters', **{'max-bandwidth': 0, 'downtime-limit': 200})
        info = self.move(first, f'unix:{socket}')
        second.wait_status('paused')
        self.compare(first, second)
        self.row('live, unix socket', info)
        second.qmp('cont')
        self.check_guest(second)

        show.title('3. It is saved, live, as a fixed-ram file')
        saved = os.path.join(self.folder, 'machine.fixed-ram')
        second.qmp('migrate-set-capabilities', capabilities=[{'capability': 'fixed-ram', 'state': True}])
        second.qmp('migrate-set-parameters', **{'max-bandwidth': 0})
        info = self.move(second, f'file:{saved}')
        stat = os.stat(saved)
        show.step(f'{stat.st_size / MIB:.0f} MiB long, {stat.st_blocks * 512 / MIB:.0f} MiB on disk')

        show.title('4. It is restored from the file, in a third process')
        third = self.start('third', '-S', '-incoming', 'defer')
        third.qmp('migrate-set-capabilities', capabilities=[{'capability': 'fixed-ram', 'state': True}])
        third.qmp('migrate-incoming', uri=f'file:{saved}')
        third.wait_status('paused')
        self.compare(second, third)
        self.row('to a fixed-ram file and back', info)
        third.qmp('cont')
        self.check_guest(third)

        show.title('Summary')
        show.table(self.rows)
        print('\n  No store was lost.  Try a Linux guest: ninja -C build demo-linux\n')


if __name__ == '__main__':
    sys.exit(run_demo(Demo))
