#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""godwit-analyze against streams that are sound, cut off, damaged and made up.

usage: analyze.py GODWIT-ANALYZE GOLDEN-FOLDER [--cases N] [--emulator GODWIT]
"""
import argparse
import json
import lzma
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from machine import Machine  # noqa: E402

SOUND, PROBLEMS, CANNOT = 0, 1, 2


class Wrong(Exception):
    pass


PAGE = 4096


def channel_packet(flags=0, normal=(), zero=(), name=b'ram', data=None, number=0):
    """A packet of a multifd connection, with pages full of their number unless there is other data."""
    data = b''.join(bytes([offset // PAGE & 0xff]) * PAGE for offset in normal) if data is None else data
    head = struct.pack('>6IQI28x256s', 0x11223344, 1, flags, 128, len(normal), len(data), number, len(zero), name)
    return head + struct.pack('>128Q', *[*normal, *zero, *[0] * (128 - len(normal) - len(zero))]) + data


def channel_start(number=1):
    return struct.pack('>II16sB39x', 0x11223344, 1, b'', number)


class Test:
    def __init__(self, tool, golden, cases, emulator):
        self.tool, self.golden, self.cases, self.emulator = tool, golden, cases, emulator
        self.folder = tempfile.mkdtemp(prefix='godwit-analyze-')
        self.path = os.path.join(self.folder, 'stream')

    def stream(self, name):
        with lzma.open(os.path.join(self.golden, name + '.mig.xz')) as packed:
            return packed.read()

    def run(self, *args, data=None, expect=None):
        """Runs the tool, on `data` in a file when given; the status must be in `expect`."""
        if data is not None:
            with open(self.path, 'wb') as file:
                file.write(data)
            args = (*args, self.path)
        done = subprocess.run([self.tool, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        sanitizer = b'Sanitizer' in done.stderr or b'runtime error' in done.stderr
        if sanitizer or done.returncode not in (expect if isinstance(expect, tuple) else (expect,)):
            kept = os.path.join(tempfile.gettempdir(), 'godwit-analyze-failed')
            if data is not None:
                shutil.copy(self.path, kept)
            raise Wrong(f'{args} ended with {done.returncode} instead of {expect} (input kept in {kept}): '
                        f'{done.stderr.decode()[-300:]}')
        return done.stdout.decode(errors='replace')

    def test_sound_streams_are_sound(self):
        for name in ('plain', 'mmio', 'cpumax', 'mapped'):
            self.run(data=self.stream(name), expect=SOUND)

    def test_json_has_sections_ram_and_fields(self):
        report = json.loads(self.run('--json', data=self.stream('plain'), expect=SOUND))
        sections = {section['name']: section for section in report['sections']}
        blocks = {block['name']: block for block in report['ram']}
        if report['machine'] != 'virt' or blocks['riscv_virt_board.ram']['size'] != 16 << 20:
            raise Wrong('machine or RAM is not what the stream holds')
        if sections['cpu']['fields']['env.resetvec'] != '0x1000' or sections['serial']['version'] != 3:
            raise Wrong('fields are not what the stream holds')

    def test_pipe_is_like_file(self):
        with subprocess.Popen(['xz', '-dc', os.path.join(self.golden, 'plain.mig.xz')], stdout=subprocess.PIPE) as xz:
            if subprocess.run([self.tool, '-'], stdin=xz.stdout, stdout=subprocess.DEVNULL).returncode != SOUND:
                raise Wrong('from a pipe the stream is not sound')

    def test_every_truncation_is_found(self):
        data = self.stream('plain')
        chooser = random.Random(1)
        # only a cut right between the end mark and the description leaves a whole stream
        whole = data.rfind(b'{"configuration"') - 5
        cuts = [*range(0, 70), *(chooser.randrange(len(data)) for _ in range(self.cases))]
        for cut in cuts:
            self.run(data=data[:cut], expect=SOUND if cut == whole else PROBLEMS)

    def test_flips_never_crash(self):
        data = self.stream('plain')
        chooser = random.Random(2)
        devices = data.find(b'\x05timer') - 6
        for _ in range(2 * self.cases):
            damaged = bytearray(data)
            for _ in range(chooser.choice((1, 1, 1, 4, 50))):
                damaged[chooser.randrange(devices, len(data))] ^= 1 << chooser.randrange(8)
            self.run('--json', data=damaged, expect=(SOUND, PROBLEMS))

    def test_hostile_descriptions_end_quickly(self):
        data = self.stream('plain')
        end = data.rfind(b'{"configuration"')
        for old, new in ((b'"array_len": 32', b'"array_len": 2000000000'), (b'"size": 8', b'"size": 9000000000000000000'),
                         (b'"size": 8', b'"size": -8'), (b'"fields": [', b'"fields": ' + b'[' * 20000),
                         (b'"size": 8', b'"size": 0'), (b'"devices"', b'"devices": 7, "x"')):
            text = data[end:].replace(old, new)
            self.run('--fields', data=data[:end - 4] + len(text).to_bytes(4, 'big') + text, expect=(SOUND, PROBLEMS))

    def test_unfinished_save_is_told(self):
        out = self.run(data=b'GWIP' + self.stream('plain')[4:], expect=PROBLEMS)
        if 'did not complete' not in out:
            raise Wrong(f'an unfinished file is reported as {out}')

    def fixed_ram_damage(self, block, what, value, message):
        """Overwrites field `what` of the block's header."""
        data = bytearray(self.stream('mapped'))
        header = data.find(block) + len(block) + 8
        offset, size = {'version': (0, 4), 'page size': (4, 8), 'bitmap': (12, 8), 'pages': (20, 8)}[what]
        data[header + offset:header + offset + size] = value.to_bytes(size, 'big')
        out = self.run(data=data, expect=PROBLEMS)
        if message not in out:
            raise Wrong(f'{what} {value}: reported as {out}')

    def test_fixed_ram_headers_are_checked(self):
        self.fixed_ram_damage(b'virt.flash0', 'page size', 0, 'page size 0')
        self.fixed_ram_damage(b'virt.flash0', 'version', 9, 'version 9')
        self.fixed_ram_damage(b'virt.flash0', 'bitmap', 1 << 62, 'bitmap')
        self.fixed_ram_damage(b'virt.flash0', 'pages', (1 << 64) - 4096, 'do not fit the file')
        self.fixed_ram_damage(b'virt.flash0', 'pages', 0x100001, 'do not fit the file')

    def test_overlapping_slots_are_found(self):
        self.fixed_ram_damage(b'virt.flash1', 'pages', 0x200000, 'overlap')
        self.fixed_ram_damage(b'virt.flash0', 'pages', 0, 'overlap')

    def test_cut_fixed_ram_file(self):
        data = self.stream('mapped')
        self.run(data=data[:len(data) // 2], expect=PROBLEMS)

    def native_fixed_ram(self):
        """A file with checksums: a machine of 4 MiB with some bytes in its memory, saved before it ran."""
        path = os.path.join(self.folder, 'native')
        if not os.path.exists(path):
            filled = os.path.join(self.folder, 'filled')
            with open(filled, 'wb') as file:
                file.write(bytes(range(1, 256)) * 300)
            machine = Machine(self.emulator, self.folder, 'saver', ['-M', 'virt', '-m', '4M', '-S', '-nodefaults', '-bios',
                                                                   filled])
            machine.qmp('migrate-set-capabilities', capabilities=[{'capability': 'fixed-ram', 'state': True}])
            machine.migrate('file:' + path)
            machine.quit()
        with open(path, 'rb') as file:
            return bytearray(file.read())

    def damage_native(self, message, place):
        """Flips a bit of the main memory's slot; `place` says where, from the offsets of bitmap and pages."""
        data = self.native_fixed_ram()
        block = next(block for block in json.loads(self.run('--json', data=data, expect=SOUND))['ram']
                     if block['name'] == 'riscv_virt_board.ram')
        data[place(block['bitmap-offset'], block['pages-offset'])] ^= 4
        out = self.run(data=data, expect=PROBLEMS)
        if message not in out:
            raise Wrong(f'damage of {message} is reported as {out}')

    def test_checksums_are_verified(self):
        if not self.emulator:
            return
        report = json.loads(self.run('--json', data=self.native_fixed_ram(), expect=SOUND))
        if not all(block['verified'] for block in report['ram']):
            raise Wrong('a sound native file is not verified')
        self.damage_native('pages are not what their checksum says', lambda bitmap, pages: pages + 5)
        self.damage_native('the file does not read as zeroes', lambda bitmap, pages: pages + (4 << 20) - 9)
        self.damage_native('the bitmap', lambda bitmap, pages: bitmap)
        self.damage_native('record is missing or damaged', lambda bitmap, pages: bitmap + (4 << 20) // PAGE // 8 + 20)

    def test_captured_channel(self):
        stream = (channel_start() + channel_packet(flags=1) +
                  channel_packet(normal=[0x1000, 0x3000], zero=[0, 0x8000]) + channel_packet(flags=1))
        report = json.loads(self.run('--json', data=stream, expect=SOUND))
        channel, block = report['multifd-channel'], report['ram'][0]
        if (channel['packets'], channel['syncs'], channel['data'], channel['compression']) != (3, 2, 2 * PAGE, 'none'):
            raise Wrong(f'a channel is reported as {channel}')
        if (block['name'], block['size'], block['normal-pages'], block['zero-pages']) != ('ram', 0x9000, 2, 2):
            raise Wrong(f'the pages of a channel are reported as {block}')
        self.run(data=channel_start() + channel_packet(flags=4, normal=[0x1000], data=b'packed'), expect=SOUND)
        for cut in (3, 64 + 1, 64 + 1343, len(stream) - 1, 64 + 2 * 1344 + 7):
            self.run(data=stream[:cut], expect=PROBLEMS)
        self.run(data=channel_start() + channel_packet(normal=[0x1001]), expect=PROBLEMS)
        self.run(data=channel_start() + channel_packet(normal=[0x1000], data=b'short'), expect=PROBLEMS)
        self.run(data=channel_start() + channel_packet(normal=[0x1000], name=b'x' * 256), expect=PROBLEMS)

    def test_diff(self):
        plain = os.path.join(self.folder, 'plain')
        with open(plain, 'wb') as file:
            file.write(self.stream('plain'))
        self.run('--diff', plain, data=self.stream('plain'), expect=SOUND)
        out = self.run('--diff', plain, data=self.stream('mmio'), expect=PROBLEMS)
        if 'virtio-blk/0: only in' not in out:
            raise Wrong(f'sections of one file only are not shown: {out}')
        changed = bytearray(self.stream('plain'))
        changed[changed.find(b'\x97\x02\0\0') + 2] ^= 1
        out = self.run('--diff', plain, data=changed, expect=PROBLEMS)
        if "RAM 'riscv_virt_board.mrom': 1 pages differ, at 0x0" not in out:
            raise Wrong(f'a page that differs is not shown: {out}')

    def test_bad_command_lines(self):
        self.run(expect=CANNOT)
        self.run('--diff', self.path, expect=CANNOT)
        self.run(os.path.join(self.folder, 'absent'), expect=CANNOT)
        self.run(self.folder, expect=CANNOT)
        self.run('--nonsense', expect=CANNOT)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('tool')
    parser.add_argument('golden')
    parser.add_argument('--cases', type=int, default=150)
    parser.add_argument('--emulator')
    args = parser.parse_args()
    test = Test(args.tool, args.golden, args.cases, args.emulator)
    names = [name for name in dir(test) if name.startswith('test_')]
    failures = 0
    print(f'1..{len(names)}')
    try:
        for number, name in enumerate(names, 1):
            try:
                getattr(test, name)()
                print(f'ok {number} {name}')
            except (Wrong, subprocess.TimeoutExpired) as error:
                failures += 1
                print(f'not ok {number} {name}: {error}')
    finally:
        shutil.rmtree(test.folder, ignore_errors=True)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
