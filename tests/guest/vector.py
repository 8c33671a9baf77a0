#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Random vector instructions: one seed makes one bare-metal program, always the same.

Each case fills the vector registers, sets vtype, vl, vstart and the rounding modes, runs one instruction taken from
target/riscv/insn.decode, and prints a hash of all registers, CSRs, the trap and (after stores) the memory.  Emulators
must print the same lines; vector.golden has what the peer printed, and must be made anew when the table gets more
instructions of Zve32x or Zve32f.

seeds.py has the command line; --only chooses instructions.
"""
import os
import random
import sys

import seeds
from stream import DOUBLES, HALVES, SINGLES, SPECIAL

TABLE = os.path.join(seeds.HERE, '..', '..', 'target', 'riscv', 'insn.decode')
CASES = 300
WINDOW, PAGES = 0x40000000, 8
POOL_BYTES = 4096
VLENS = (128, 256, 128, 512, 1024)
# Formats whose rs1 is no vector register.
SCALAR_RS1 = ('@vmem', '@vmems', '@vmemx', '@vvx', '@vvxm', '@vtx', '@vvi', '@vvu', '@vvim')


def vector_lines():
    """(name, bits, format) of each vector instruction in the decoder's table."""
    with open(TABLE, encoding='utf-8') as table:
        for line in table:
            words = line.split()
            if words and words[-1] in ('zve32x', 'zve32f') and not line.startswith('//'):
                at = next(n for n, w in enumerate(words) if w.startswith('@'))
                yield words[0], ''.join(words[1:at]), words[at]


class Vector:
    march = 'rv64gc'
    limit = 120
    no_golden = ()

    def __init__(self, seed, only=''):
        self.r = random.Random(seed)
        self.vlen = VLENS[seed % len(VLENS)]
        self.cpu = 'rv64,v=true,zfh=true,zvfh=true,vlen=%d' % self.vlen
        self.insns = [i for i in vector_lines() if i[0].startswith(only)]
        self.out = []
        self.names = []

    def emit(self, text):
        self.out.append('    ' + text)

    # --- values ---
    def number(self, bits):
        k = self.r.randrange(4)
        if k == 0:
            return self.r.choice(SPECIAL) & ((1 << bits) - 1)
        if k == 1:
            return (self.r.choice([0, 1 << (bits - 1)]) + self.r.randrange(-3, 4)) & ((1 << bits) - 1)
        return self.r.getrandbits(bits)

    def real(self, bits):
        special = {8: [0], 16: HALVES, 32: SINGLES, 64: DOUBLES}[bits]
        fraction, exponent = {8: (4, 3), 16: (10, 5), 32: (23, 8), 64: (52, 11)}[bits]
        k = self.r.randrange(4)
        if k == 0:
            return self.r.choice(special)
        if k == 1:
            return self.r.getrandbits(bits)
        # near 1, so that sums and products mean something
        e = (1 << (exponent - 1)) - 1 + self.r.randrange(-4, 5)
        return (self.r.getrandbits(1) << (bits - 1)) | max(e, 0) << fraction | self.r.getrandbits(fraction)

    def pool(self, kind, bits):
        make = {'int': self.number, 'float': self.real, 'index': lambda bits: self.r.randrange(min(1 << bits, 9000))}[kind]
        data = b''.join(make(bits).to_bytes(bits // 8, 'little') for _ in range(POOL_BYTES * 8 // bits))
        return data

    # --- one case ---
    def register(self, lmul):
        """Mostly such that groups are aligned."""
        step = self.r.choice([8, 4, 1 << max(0, lmul), 1 << max(0, lmul), 1 << max(0, lmul + 1), 1])
        return self.r.randrange(0, 32, min(step, 8))

    def vtype(self):
        if self.r.randrange(40) == 0:
            return self.r.getrandbits(9)
        lmul = self.r.choice([0, 0, 1, 1, 2, 3, 5, 6, 7])
        return lmul | self.r.randrange(4) << 3 | self.r.choice([0, 0xc0, 0x40, 0x80])

    def address(self):
        page = self.r.randrange(PAGES)
        return WINDOW + page * 4096 + self.r.choice([0, 8, 2048, 4096 - 64, 4096 - 32, 4096 - 7, 4095, self.r.randrange(4096)])

    def word(self, name, bits, fmt, lmul):
        fields = {}
        masked = self.r.randrange(2) == 0
        vd = self.register(lmul)
        if masked and vd == 0 and self.r.randrange(8):
            vd = 8
        fields[7] = 12 if fmt in ('@vxv', '@vfv', '@vset', '@vseti', '@r') else vd
        if fmt in ('@vset', '@r') and self.r.randrange(4) == 0:
            fields[7] = 0
        fields[20] = self.register(lmul)
        fields[15] = self.register(lmul)
        if fmt in ('@vmem', '@vmems', '@vmemx', '@vmemr'):
            fields[15] = 10
            fields[29] = 0 if 'ff.' in name else self.r.choice([0, 0, 0, 1, 3, 7, self.r.randrange(8)])
            if fmt == '@vmems':
                fields[20] = self.r.choice([11, 11, 11, 0])
        elif fmt in ('@vvx', '@vvxm', '@vtx', '@vmvx', '@vset', '@r'):
            fields[15] = self.r.choice([11, 11, 11, 0])
            if fmt == '@r':
                fields[20] = 13
        elif fmt in ('@vvf', '@vvfm', '@vtf', '@vmvf'):
            fields[15] = 10
        elif fmt in ('@vvi', '@vvu', '@vvim', '@vmvi', '@vseti'):
            fields[15] = self.r.randrange(32)
        if name == 'vcompress.vm' and fields[20] <= fields[15] < fields[20] + 8:
            fields[20] = ((fields[15] & 24) + 8) % 32       # the mask within the source: the same
        fields[25] = 0 if masked else 1
        if bits[6] == '0' or (bits[6] == '.' and masked):
            # v0 as an operand beside the mask is reserved: the peer runs some of these
            for low in (15, 20):
                if fields[low] == 0 and bits[31 - low] == '.' and not (low == 15 and fmt in SCALAR_RS1):
                    fields[low] = 8
        if fmt == '@vmemx' and name.startswith('vs') and vd <= fields[20] < vd + 8:
            # the index within the data is reserved: the peer looks at the first field only
            fields[20] = vd + 8 if vd < 24 else 8
        value = 0
        for at, c in enumerate(bits):
            bit = 31 - at
            if c != '.':
                value |= int(c) << bit
                continue
            low = max(k for k in (7, 15, 20, 25, 29) if k <= bit)
            if fmt in ('@vset', '@vseti') and bit >= 20:
                value |= (self.vset_type >> (bit - 20) & 1) << bit
            else:
                value |= (fields.get(low, 0) >> (bit - low) & 1) << bit
        return value, fields

    def fill(self, name, fmt, sew):
        """Loads all registers from the pools; the index operand from one with small values."""
        for group in range(4):
            kind, bits = 'int', 8 << self.r.randrange(4)
            if name.startswith(('vf', 'vmf')):
                kind, bits = 'float', 8 << min(3, sew + self.r.choice([0, 0, 0, 1]))
            if fmt == '@vmemx' and group == self.index_group:
                kind, bits = 'index', int(''.join(c for c in name if c.isdigit()))
            offset = self.r.randrange(0, POOL_BYTES - 8 * self.vlen // 8 + 1, 8)
            self.emit('lla t0, pool_%s_%d + %d' % (kind, bits, offset))
            self.emit('vl8re8.v v%d, (t0)' % (8 * group))

    def case(self):
        name, bits, fmt = self.r.choice(self.insns)
        vtype = self.vtype()
        lmul = (vtype & 7) - (8 if vtype & 4 else 0)
        sew = vtype >> 3 & 3
        if 'ext.vf' in name and lmul < 0:
            vtype &= ~7     # sources of less than an eighth of a register are reserved: the peer runs them
            lmul = 0
        if name.startswith(('vf', 'vmf')) and sew == 0:
            vtype |= self.r.choice([1, 2, 3]) << 3
            sew = vtype >> 3 & 3
        self.vset_type = self.r.choice([vtype, self.vtype(), self.r.getrandbits(11)])
        word, fields = self.word(name, bits, fmt, lmul)
        self.index_group = fields[20] // 8
        self.fill(name, fmt, sew)
        top = (self.vlen << max(lmul, 0) >> max(-lmul, 0)) >> (3 + sew)
        vl = self.r.choice([top, top, self.r.randrange(top + 2), self.r.randrange(top + 2), self.r.randrange(4), 0])
        self.emit('li t0, %d' % vl)
        self.emit('li t1, 0x%x' % vtype)
        self.emit('vsetvl zero, t0, t1')
        self.emit('csrwi vcsr, %d' % self.r.randrange(8))
        self.emit('fsrmi %d' % self.r.choice([0, 0, 0, 1, 2, 3, 4]))
        self.emit('fsflagsi %d' % self.r.choice([0, 0, 0, 31]))
        base = self.address() if fmt.startswith('@vmem') else self.number(64)
        if 'ff.' in name or fmt == '@vmemr':
            base &= ~7      # the peer ends itself when an element crosses a page, and segments make it so
        if fmt == '@vmemx':
            base = WINDOW + self.r.choice([0, 4096, 3 * 4096])
        scalar = self.number(64)
        if fmt == '@vmems':
            scalar = self.r.choice([0, 1, 2, 4, 8, 16, 24, 100, 512, -8 & 2 ** 64 - 1, self.r.randrange(2048)])
        elif self.r.randrange(2):
            scalar = self.r.randrange(2 * top + 2)
        self.emit('li a0, 0x%x' % base)
        self.emit('li a1, 0x%x' % scalar)
        self.emit('li a2, 0')
        self.emit('li a3, 0x%x' % self.r.choice([self.vtype(), self.vtype(), self.number(64)]))
        boxed = {1: 0xffffffffffff0000, 2: 0xffffffff00000000}.get(sew, 0) if self.r.randrange(8) else 0
        self.emit('li t0, 0x%x' % (boxed | self.real(8 << sew)))
        self.emit('fmv.d.x fa0, t0')
        self.emit('li a7, %d' % (1 if name.startswith('vs') and fmt.startswith('@vmem') else 0))
        if self.r.randrange(5) == 0 and fmt != '@vmemr' and 'ff.' not in name:  # the peer ends itself with some of these
            self.emit('csrwi vstart, %d' % self.r.randrange(min(32, max(1, vl + 1))))
        self.emit('.word 0x%08x   # %s vtype 0x%x vl %d' % (word, name, vtype, vl))
        self.emit('lla s11, 1f')
        self.emit('j check')
        self.out.append('1:')
        self.names.append('%s 0x%08x vtype 0x%x vl %d' % (name, word, vtype, vl))

    def program(self):
        self.out += ['#include "vector-start.h"', '    .text', '    .option norvc', 'cases:']
        for _ in range(CASES):
            self.case()
        self.emit('j cases_end')
        self.out.append('    .balign 8')
        for kind, sizes in (('int', (8, 16, 32, 64)), ('float', (8, 16, 32, 64)), ('index', (8, 16, 32, 64))):
            for bits in sizes:
                data = self.pool(kind, bits)
                self.out.append('pool_%s_%d:' % (kind, bits))
                for at in range(0, len(data), 64):
                    self.out.append('    .dword ' + ', '.join(
                        '0x%x' % int.from_bytes(data[n:n + 8], 'little') for n in range(at, at + 64, 8)))
        return '\n'.join(self.out) + '\n'

    def differences(self, a, b):
        """What two outputs disagree about; each case prints a line."""
        a, b = a.splitlines(), b.splitlines()
        if len(a) != CASES or len(b) != CASES:
            return ['%d and %d lines: %s' % (len(a), len(b), seeds.first_difference('\n'.join(a), '\n'.join(b)))]
        return ['case %d: %s' % (n, self.names[n]) for n in range(CASES) if a[n] != b[n]]


if __name__ == '__main__':
    sys.exit(seeds.main(Vector))
