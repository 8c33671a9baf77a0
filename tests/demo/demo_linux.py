#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Linux moves: boots Debian's riscv64 kernel to a shell, starts a workload that checksums its memory, migrates it live
over a unix socket while it runs, then into a fixed-ram file and out of it again.

usage: demo_linux.py EMULATOR GUEST-FOLDER

GUEST-FOLDER comes from scripts/get-guest with memwork in the initramfs: Image, initrd.gz, fw_dynamic.bin.
"""
import os
import re
import sys
import time

from show import MIB, Show, run_demo
from machine import Machine, MachineError  # show.py has put its folder on the path

PROCESSES = 2


class LinuxDemo:
    def __init__(self, binary, guest, folder):
        self.binary, self.guest, self.folder = binary, guest, folder
        self.show = Show()
        self.machines = []
        self.rows = [('step', 'sent', 'passes', 'total', 'downtime', 'checksums')]

    def start(self, name, *args):
        path = lambda file: os.path.join(self.guest, file)
        machine = Machine(self.binary, self.folder, name, [
            '-M', 'virt', '-m', '2G', '-smp', '2', '-bios', path('fw_dynamic.bin'), '-kernel', path('Image'),
            '-initrd', path('initrd.gz'), '-append', 'console=ttyS0 quiet', *args])
        self.machines.append(machine)
        return machine

    def check_work(self, machine, rounds=2):
        """Every process of the workload verifies all its memory `rounds` times from here on."""
        seen = {n: len(machine.poll_serial()) for n in range(PROCESSES)}
        for _ in range(rounds):
            for n in range(PROCESSES):
                seen[n] = machine.wait_serial(b'WORK %d round' % n, start=seen[n])
        if b'BAD' in machine.output:
            raise MachineError(f'{machine.name}: ' + re.search(rb'WORK.*BAD.*', machine.output)[0].decode())
        self.show.step(f'{PROCESSES} processes verified all pages of theirs {rounds} times: every checksum holds')

    def migrate(self, source, uri, what):
        source.qmp('migrate-set-parameters', **{'max-bandwidth': 0, 'downtime-limit': 300})
        info = source.migrate(uri, self.show.progress)
        self.show.moved(info)
        ram = info['ram']
        self.rows.append((what, f'{ram["transferred"] / MIB:.0f} MiB', ram['dirty-sync-count'],
                          f'{info["total-time"]} ms', f'{info["downtime"]} ms', 'hold'))

    def run(self):
        show = self.show
        show.title('1. Linux boots: -smp 2 -m 2G')
        began = time.monotonic()
        first = self.start('first')
        first.wait_serial(b'\n', start=first.wait_serial(b'GUEST-UP', timeout=300))
        up = time.monotonic() - began
        release = re.search(rb'GUEST-UP (.*?)\r?\n', first.output)[1].decode()
        show.step(f'{release}, a shell on ttyS0 after {up:.1f} s')
        first.wait_serial(b'#')
        first.type(f'memwork {PROCESSES} 128 200\n')
        self.check_work(first)

        show.title('2. It moves to a second process while the workload runs')
        socket = os.path.join(self.folder, 'migrate.sock')
        second = self.start('second', '-incoming', f'unix:{socket}')
        self.migrate(first, f'unix:{socket}', 'live, unix socket')
        second.wait_status('running')
        first.quit()
        self.check_work(second)

        show.title('3. It goes into a fixed-ram file, live')
        saved = os.path.join(self.folder, 'linux.fixed-ram')
        second.qmp('migrate-set-capabilities', capabilities=[{'capability': 'fixed-ram', 'state': True}])
        self.migrate(second, f'file:{saved}', 'fixed-ram file and back')
        stat = os.stat(saved)
        show.step(f'{stat.st_size / MIB:.0f} MiB long, {stat.st_blocks * 512 / MIB:.0f} MiB on disk')
        second.quit()

        show.title('4. It comes back from the file')
        third = self.start('third', '-incoming', 'defer')
        third.qmp('migrate-set-capabilities', capabilities=[{'capability': 'fixed-ram', 'state': True}])
        began = time.monotonic()
        third.qmp('migrate-incoming', uri=f'file:{saved}')
        third.wait_status('running')
        show.step(f'it runs {1000 * (time.monotonic() - began):.0f} ms after the command')
        self.check_work(third)

        show.title('Summary')
        show.table(self.rows)
        print(f'\n  Boot to shell {up:.1f} s; the workload went on all the way.\n')


if __name__ == '__main__':
    sys.exit(run_demo(LinuxDemo))
