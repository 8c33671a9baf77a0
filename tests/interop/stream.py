# SPDX-License-Identifier: GPL-2.0-or-later
"""Walks a finished stream file by the description at its end and gives it back without what may differ: section ids
and the description itself."""
import json
import struct

EOF, START, PART, END, FULL, SUBSECTION, VMDESC, CONFIGURATION, COMMAND = range(9)
FOOTER = 0x7e
ZERO, MEM_SIZE, PAGE, RAM_EOS, CONTINUE = 2, 4, 8, 16, 32
PAGE_SIZE = 4096


class StreamError(Exception):
    pass


def body_size(body):
    size = sum(field.get('array_len', 1) * field['size'] for field in body['fields'])
    for sub in body.get('subsections', ()):
        size += 1 + 1 + len(sub['vmsd_name']) + 4 + body_size(sub)
    return size


class Walk:
    def __init__(self, path):
        with open(path, 'rb') as file:
            self.data = bytearray(file.read())
        self.at = 0
        self.names = []  # sections in order
        start = self.data.rfind(b'{"configuration"')
        if start < 0:
            raise StreamError('no description')
        length = struct.unpack_from('>I', self.data, start - 4)[0]
        self.description = json.loads(self.data[start:start + length])
        self.sizes = {(d['name'], d['instance_id']): body_size(d) for d in self.description['devices']}
        self.blocks = {}
        self.walk()

    def take(self, size):
        self.at += size
        if self.at > len(self.data):
            raise StreamError(f'the stream ends before {self.at}')
        return self.data[self.at - size:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), 'big')

    def name(self):
        return bytes(self.take(self.number(1))).decode()

    def forget_id(self):
        self.take(4)
        self.data[self.at - 4:self.at] = b'\0\0\0\0'

    def configuration(self):
        self.take(self.number(4))
        while self.data[self.at] == SUBSECTION:
            self.number(1)
            name, _ = self.name(), self.number(4)
            if name != 'configuration/capabilities':
                raise StreamError(f'subsection {name}')
            self.capabilities = [self.name() for _ in range(self.number(4))]

    def block_list(self, total):
        while total:
            name, length = self.name(), self.number(8)
            total -= length
            self.blocks[name] = length
            if 'mapped-ram' in getattr(self, 'capabilities', ()):
                _, _, bitmap, pages = struct.unpack('>IQQQ', self.take(28))
                self.at = pages + length

    def ram(self):
        while True:
            record = self.number(8)
            flags = record % PAGE_SIZE
            if flags & MEM_SIZE:
                self.block_list(record - flags)
            elif flags == RAM_EOS:
                return
            elif flags & (ZERO | PAGE):
                if not flags & CONTINUE:
                    self.name()
                self.take(1 if flags & ZERO else PAGE_SIZE)
            else:
                raise StreamError(f'RAM flags {flags:#x} before {self.at}')

    def section(self, mark):
        self.forget_id()
        if mark in (START, FULL):
            name, instance, _ = self.name(), self.number(4), self.number(4)
            self.names.append(name)
        if mark == FULL:
            self.take(self.sizes[(name, instance)])
        else:
            self.ram()
        if self.number(1) != FOOTER:
            raise StreamError(f'no footer at {self.at - 1}')
        self.forget_id()

    def walk(self):
        if self.take(8) != b'QEVM\0\0\0\3' or self.number(1) != CONFIGURATION:
            raise StreamError('no stream')
        self.configuration()
        while True:
            mark = self.number(1)
            if mark == EOF:
                break
            if mark == COMMAND:
                self.number(2)
                self.take(self.number(2))
            else:
                self.section(mark)
        del self.data[self.at:]


def difference(a, b):
    """Where two walked streams differ, as text; None: they are the same."""
    if a.names != b.names:
        return f'sections {a.names} and {b.names}'
    if a.blocks != b.blocks:
        return f'RAM blocks {a.blocks} and {b.blocks}'
    if a.data == b.data:
        return None
    at = next((i for i, (x, y) in enumerate(zip(a.data, b.data)) if x != y), min(len(a.data), len(b.data)))
    return (f'{len(a.data)} and {len(b.data)} bytes, the first difference at {at}: '
            f'{bytes(a.data[at - 8:at + 24]).hex()} and {bytes(b.data[at - 8:at + 24]).hex()}')
