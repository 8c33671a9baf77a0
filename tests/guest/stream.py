#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Random instruction streams: one seed makes one bare-metal program, always the same.

The program runs a random body in M-mode, or in S- or U-mode under Sv39, several times; each time another page of the
data window is not mapped, so that its accesses fault in turn.  A trap handler mixes cause, tval and pc of all
traps into a hash and goes on behind the instruction.  At each checkpoint (ecall) all registers, fcsr, the data pages,
the page tables and that hash make one line on the serial port.

seeds.py has the command line.
"""
import random
import sys

import seeds

PAGES = 8
DATA = 0x80200000
WINDOW = 0x40000000      # virtual address of the data pages in S- and U-mode
ALIAS = 0x40010000       # the same pages once more, read-only

SPECIAL = [0, 1, 2, 0xff, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, (1 << 63) - 1, 1 << 63, (1 << 64) - 1,
           0xffffffff80000000, 0xffff, 0x8000, 0x5555555555555555, 0xaaaaaaaaaaaaaaaa]
DOUBLES = [0, 1 << 63, 1, 0x000fffffffffffff, 0x0010000000000000, 0x3ff0000000000000, 0xbff8000000000000,
           0x3ff0000000000001, 0x400921fb54442d18, 0x43e0000000000000, 0xc3e0000000000000, 0x41dfffffffc00000,
           0x41efffffffe00000, 0x7fefffffffffffff, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000,
           0xfff8000000001234, 0x7ff0000000000001, 0x36a0000000000000, 0x47efffffe0000000, 0x3810000000000000]
SINGLES = [0, 1 << 31, 1, 0x7fffff, 0x800000, 0x3f800000, 0xbfc00000, 0x3f800001, 0x40490fdb, 0x4f000000, 0xcf000000,
           0x5f000000, 0x7f7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc01234, 0x7f800001, 0x33800000, 0x477fe000]
HALVES = [0, 0x8000, 1, 0x3ff, 0x400, 0x3c00, 0xbe00, 0x7bff, 0x7c00, 0xfc00, 0x7e00, 0xfe12, 0x7c01]

# x0 as zero; tp counts loops; sp and s0 point into the data; the rest is anybody's
FREE = [1, 3] + list(range(5, 8)) + list(range(9, 32))
ALU = ('add sub sll slt sltu xor srl sra or and addw subw sllw srlw sraw mul mulh mulhsu mulhu div divu rem remu mulw '
       'divw divuw remw remuw andn orn xnor max maxu min minu rol ror rolw rorw sh1add sh2add sh3add add.uw sh1add.uw '
       'sh2add.uw sh3add.uw clmul clmulh clmulr bclr bset binv bext').split()
ALUI = 'addi slti sltiu xori ori andi addiw'.split()
SHIFT = 'slli srli srai rori bclri bseti binvi bexti slli.uw'.split()
SHIFTW = 'slliw srliw sraiw roriw'.split()
UNARY = 'clz ctz cpop clzw ctzw cpopw sext.b sext.h zext.h rev8 orc.b sext.w not neg'.split()
LOADS = [('lb', 1), ('lbu', 1), ('lh', 2), ('lhu', 2), ('lw', 4), ('lwu', 4), ('ld', 8)]
STORES = [('sb', 1), ('sh', 2), ('sw', 4), ('sd', 8)]
AMOS = 'amoswap amoadd amoand amoor amoxor amomin amomax amominu amomaxu'.split()
RM = ['rne', 'rtz', 'rdn', 'rup', 'rmm', 'dyn', 'dyn', 'dyn', 'dyn']
V, R, W, X, U, _, A, D = (1 << n for n in range(8))


class Stream:
    march = 'rv64gc_zba_zbb_zbc_zbs_zfh'
    cpu = 'max'
    limit = 60
    # Seeds for which there is no golden answer: an AMO to a read-only leaf whose A bit is clear.  With one hart the peer loads,
    # which sets the bit, before it finds that it may not store.  The specification's algorithm raises the fault first and sets
    # nothing, though A, unlike D, may be set ahead of time.
    no_golden = {9, 30}

    def __init__(self, seed, _only=''):
        self.r = random.Random(seed)
        self.seed = seed
        self.mode = 'smu'[seed % 3] if seed % 8 else 's'
        self.rich = seed % 4 == 3          # half precision, conditional zero
        self.out = []
        self.labels = 0
        self.base = DATA if self.mode == 'm' else WINDOW
        self.subroutines = []

    # --- small things ---
    def emit(self, text):
        self.out.append('    ' + text)

    def label(self):
        self.labels += 1
        return 'L%d' % self.labels

    def x(self):
        return 'x%d' % self.r.choice(FREE)

    def src(self):
        return 'x%d' % self.r.choice(FREE + [0, 2, 8])

    def f(self):
        return 'f%d' % self.r.randrange(32)

    def value(self):
        k = self.r.randrange(6)
        if k < 3:
            return self.r.choice(SPECIAL)
        if k == 3:
            return (self.r.choice(SPECIAL) + self.r.randrange(-4, 5)) & (2 ** 64 - 1)
        return self.r.getrandbits(self.r.choice([8, 32, 64, 64]))

    def float_bits(self):
        k = self.r.randrange(12)
        if k < 5:
            return self.r.choice(DOUBLES)
        if k < 9:
            return 0xffffffff00000000 | self.r.choice(SINGLES)
        if k == 9:
            return 0xffffffffffff0000 | self.r.choice(HALVES)
        if k == 10:
            return self.r.getrandbits(32) << 32 | self.r.choice(SINGLES)   # not boxed
        return self.r.getrandbits(64)

    def address(self):
        """Biased to page ends; sometimes the alias."""
        page = self.r.randrange(PAGES)
        offset = self.r.choice([0, 8, 2048, 4088, 4092, 4094, 4095, 4096 - 16, self.r.randrange(4096)])
        base = self.base
        if self.mode != 'm' and self.r.randrange(8) == 0:
            base = ALIAS
        last = PAGES * 4096 - 16 if self.mode == 'm' else PAGES * 4096
        return base + min(page * 4096 + offset, last)

    # --- gadgets ---
    def alu(self):
        k = self.r.randrange(10)
        if k < 5:
            self.emit('%s %s, %s, %s' % (self.r.choice(ALU), self.x(), self.src(), self.src()))
        elif k < 7:
            self.emit('%s %s, %s, %d' % (self.r.choice(ALUI), self.x(), self.src(),
                                         self.r.choice([0, 1, -1, 2047, -2048, self.r.randrange(-32, 32)])))
        elif k == 7:
            self.emit('%s %s, %s, %d' % (self.r.choice(SHIFT), self.x(), self.src(), self.r.randrange(64)))
        elif k == 8:
            self.emit('%s %s, %s, %d' % (self.r.choice(SHIFTW), self.x(), self.src(), self.r.randrange(32)))
        else:
            self.emit('%s %s, %s' % (self.r.choice(UNARY), self.x(), self.src()))

    def two_address(self):
        """What the assembler compresses."""
        d, s = self.r.choice([9, 10, 11, 12, 13, 14, 15]), self.r.choice([8, 9, 10, 11, 12, 13, 14, 15])
        k = self.r.randrange(7)
        if k == 0:
            self.emit('li x%d, %d' % (d, self.r.randrange(-32, 32)))
        elif k == 1:
            self.emit('addi x%d, x%d, %d' % (d, d, self.r.choice([-32, -1, 1, 31])))
        elif k == 2:
            self.emit('lui x%d, %d' % (d, self.r.choice([1, 31, 0xfffff, 0xfffe0])))
        elif k == 3:
            self.emit('%s x%d, x%d, %d' % (self.r.choice(['slli', 'srli', 'srai']), d, d, self.r.randrange(1, 64)))
        elif k == 4:
            self.emit('addi x%d, sp, %d' % (d, 4 * self.r.randrange(1, 255)))
        else:
            self.emit('%s x%d, x%d, x%d' % (self.r.choice(['add', 'sub', 'xor', 'or', 'and', 'addw', 'subw']), d, d, s))

    def constant(self):
        self.emit('li %s, 0x%x' % (self.x(), self.value()))

    def czero(self):
        self.emit('.insn r 0x33, %d, 7, %s, %s, %s' % (self.r.choice([5, 7]), self.x(), self.src(), self.src()))

    def pcrel(self):
        self.emit('auipc %s, %d' % (self.x(), self.r.choice([0, 1, 0xfffff, self.r.randrange(1 << 20)])))

    def move_base(self):
        self.emit('li %s, 0x%x' % (self.r.choice(['sp', 's0']), self.address() & ~self.r.choice([0, 7, 7, 15])))

    def memory(self):
        if self.r.randrange(3):
            base, offset = self.r.choice(['sp', 's0']), self.r.choice([0, 8, 16, 24, 32, -8, -16, 4, 2, 1, 40, 7])
            if base == 'sp' and self.r.randrange(2):
                offset = 8 * self.r.randrange(8)
        else:
            base, offset = self.x(), self.r.choice([0, 0, 1, -1, 8])
            self.emit('li %s, 0x%x' % (base, self.address()))
        for _ in range(self.r.choice([1, 1, 1, 2, 4])):
            k = self.r.randrange(10)
            if k < 4:
                self.emit('%s %s, %d(%s)' % (self.r.choice(LOADS)[0], self.r.choice([self.x(), self.x(), 'x0']), offset, base))
                if base not in ('sp', 's0'):
                    return
            elif k < 8:
                self.emit('%s %s, %d(%s)' % (self.r.choice(STORES)[0], self.src(), offset, base))
            elif k == 8:
                self.emit('%s %s, %d(%s)' % (self.r.choice(['flw', 'fld'] + ['flh'] * self.rich), self.f(), offset, base))
            else:
                self.emit('%s %s, %d(%s)' % (self.r.choice(['fsw', 'fsd'] + ['fsh'] * self.rich), self.f(), offset, base))
            offset += self.r.choice([8, 8, 4, -8, 1])

    def atomic(self):
        base = self.x()
        wide = self.r.randrange(2)
        suffix, mask = ('d', 7) if wide else ('w', 3)
        address = self.address()
        pair = self.r.randrange(5) >= 3
        address &= ~mask        # which trap a misaligned one takes is tested elsewhere: the peer is lax
        self.emit('li %s, 0x%x' % (base, address))
        order = self.r.choice(['', '.aq', '.rl', '.aqrl'])
        if not pair:
            self.emit('%s.%s%s %s, %s, (%s)' % (self.r.choice(AMOS), suffix, order, self.x(), self.src(), base))
        else:
            loaded = self.r.choice([n for n in FREE if 'x%d' % n != base])
            self.emit('lr.%s%s x%d, (%s)' % (suffix, order, loaded, base))
            if self.r.randrange(2):
                self.alu_not(base)
            self.emit('sc.%s%s %s, %s, (%s)' % (suffix, order, self.x(), self.src(), base))

    def alu_not(self, keep):
        free = [n for n in FREE if 'x%d' % n != keep]
        self.emit('addi x%d, %s, %d' % (self.r.choice(free), self.src(), self.r.randrange(-5, 5)))

    def fp_load_constant(self):
        t = self.x()
        self.emit('li %s, 0x%x' % (t, self.float_bits()))
        self.emit('fmv.d.x %s, %s' % (self.f(), t))

    def fp(self):
        p = self.r.choice(['s', 'd'])
        rm = self.r.choice(RM)
        k = self.r.randrange(14)
        f = self.f
        if k < 4:
            self.emit('f%s.%s %s, %s, %s, %s' % (self.r.choice(['add', 'sub', 'mul', 'div']), p, f(), f(), f(), rm))
        elif k < 6:
            self.emit('f%s.%s %s, %s, %s, %s, %s' % (self.r.choice(['madd', 'msub', 'nmadd', 'nmsub']), p, f(), f(), f(), f(), rm))
        elif k == 6:
            self.emit('fsqrt.%s %s, %s, %s' % (p, f(), f(), rm))
        elif k == 7:
            self.emit('f%s.%s %s, %s, %s' % (self.r.choice(['min', 'max', 'sgnj', 'sgnjn', 'sgnjx']), p, f(), f(), f()))
        elif k == 8:
            self.emit('f%s.%s %s, %s, %s' % (self.r.choice(['eq', 'lt', 'le']), p, self.x(), f(), f()))
        elif k == 9:
            self.emit('fclass.%s %s, %s' % (p, self.x(), f()))
        elif k == 10:
            self.emit('fcvt.%s.%s %s, %s, %s' % (self.r.choice(['w', 'wu', 'l', 'lu']), p, self.x(), f(), rm))
        elif k == 11:
            to, frm = p, self.r.choice(['w', 'wu', 'l', 'lu'])
            self.emit('fcvt.%s.%s %s, %s%s' % (to, frm, f(), self.src(), '' if to == 'd' and frm[0] == 'w' else ', ' + rm))
        elif k == 12:
            if self.rich:
                self.emit(self.r.choice(['fcvt.s.h %s, %s', 'fcvt.d.h %s, %s', 'fcvt.h.s %s, %s, ' + rm,
                                         'fcvt.h.d %s, %s, ' + rm]) % (f(), f()))
            else:
                self.emit(self.r.choice(['fcvt.d.s %s, %s', 'fcvt.s.d %s, %s, ' + rm]) % (f(), f()))
        else:
            self.emit(self.r.choice(['fmv.x.d %s, %s', 'fmv.x.w %s, %s']) % (self.x(), f()))

    def fp_csr(self):
        csr, limit = self.r.choice([('fflags', 32), ('frm', 5), ('fcsr', 160), ('frm', 8)])
        t = self.x()
        self.emit('li %s, %d' % (t, self.r.randrange(limit)))
        self.emit('csrr%s %s, %s, %s' % (self.r.choice('wwsc'), self.x(), csr, t))

    def csr(self):
        name = {'m': 'mtval', 's': self.r.choice(['sscratch', 'stval']), 'u': 'fflags'}[self.mode]
        k = self.r.randrange(3)
        if k == 0:
            self.emit('csrr%s %s, %s, %s' % (self.r.choice('wsc'), self.x(), name, self.src()))
        elif k == 1:
            self.emit('csrr%si %s, %s, %d' % (self.r.choice('wsc'), self.x(), name, self.r.randrange(32)))
        else:
            self.emit('csrr %s, %s' % (self.x(), self.r.choice(
                {'m': ['mscratch', 'misa', 'mideleg'], 's': ['mstatus', 'scause', 'stvec'], 'u': ['sstatus', 'satp', 'frm']}[self.mode])
                if self.mode != 'm' else 'mcause'))

    def status_bits(self):
        """SUM and MXR in S-mode, the floating point unit off in M-mode."""
        t = self.x()
        if self.mode == 's':
            self.emit('li %s, 0x%x' % (t, self.r.choice([1 << 18, 1 << 18, 1 << 19])))
            self.emit('csr%s sstatus, %s' % (self.r.choice('sc'), t))
        elif self.mode == 'm':
            self.emit('li %s, 3 << 13' % t)
            self.emit('csrc mstatus, %s' % t)
            for _ in range(self.r.randrange(3)):
                self.r.choice([self.fp, self.alu])()
            self.emit('li %s, 1 << 13' % t)
            self.emit('csrs mstatus, %s' % t)

    def pte(self):
        k = self.r.randrange(10)
        if k == 0:
            return 0
        bits = V | self.r.choice([R | W, R | W, R | W | X, R, X, W, R | X])
        bits |= self.r.choice([A | D, A | D, A | D, A, 0, D])
        if self.mode == 'u' or self.r.randrange(6) == 0:
            bits |= U
        if self.r.randrange(20) == 0:
            bits ^= U
        # never G: what is global in one space only may or may not be seen in the other
        return (DATA + 4096 * self.r.randrange(PAGES) >> 12) << 10 | bits

    def remap(self):
        """Another leaf, and the fence that makes it count."""
        if self.mode != 's':
            return self.alu()
        page = self.r.randrange(PAGES)
        a, b = self.r.sample(FREE, 2)
        self.emit('li x%d, window_%d + %d' % (a, self.r.randrange(2), 8 * page))
        self.emit('li x%d, 0x%x' % (b, self.pte()))
        self.emit('sd x%d, (x%d)' % (b, a))
        if self.r.randrange(2):
            self.emit('li x%d, 0x%x' % (a, WINDOW + 4096 * page + self.r.randrange(4096)))
            self.emit('sfence.vma x%d, x0' % a)
        else:
            self.emit('sfence.vma')

    def switch(self):
        """The other address space: another ASID, or the same with a fence."""
        if self.mode != 's':
            return self.alu()
        t = self.x()
        root = self.r.randrange(2)
        self.emit('la %s, satp_%d' % (t, root))
        self.emit('ld %s, (%s)' % (t, t))
        self.emit('csrw satp, %s' % t)

    def patch(self):
        """A store into code that is about to run."""
        a, b = self.r.sample(FREE, 2)
        l = self.label()
        ops = ['addi', 'xori', 'ori']
        d, s, imm = self.r.choice([n for n in FREE if n != a]), self.r.choice(FREE), self.r.randrange(1, 2000)
        word = imm << 20 | s << 15 | {'addi': 0, 'xori': 4, 'ori': 6}[self.r.choice(ops)] << 12 | d << 7 | 0x13
        self.emit('la x%d, %s' % (a, l))
        self.emit('li x%d, 0x%x' % (b, word))
        self.emit('sw x%d, (x%d)' % (b, a))
        self.emit('fence.i')
        for _ in range(self.r.randrange(3)):
            self.alu()
        self.out.append('    .option push\n    .option norvc\n%s: addi x%d, x%d, %d\n    .option pop' % (l, d, d, imm // 2))

    def skip(self):
        l = self.label()
        self.emit('b%s %s, %s, %s' % (self.r.choice(['eq', 'ne', 'lt', 'ge', 'ltu', 'geu']), self.src(), self.src(), l))
        for _ in range(self.r.randrange(1, 6)):
            self.simple()
        self.out.append(l + ':')

    def loop(self):
        l = self.label()
        self.emit('li tp, %d' % self.r.randrange(1, 9))
        self.out.append(l + ':')
        for _ in range(self.r.randrange(1, 12)):
            self.r.choice([self.simple, self.simple, self.skip])()
        self.emit('addi tp, tp, -1')
        self.emit('bgtz tp, %s' % l)

    def call(self):
        self.emit('jal ra, %s' % self.r.choice(self.subroutines))

    def computed_jump(self):
        l, t = self.label(), self.x()
        self.emit('la %s, %s' % (t, l))
        self.emit('jr %s' % t)
        for _ in range(self.r.randrange(3)):
            self.alu()
        self.out.append(l + ':')

    def bad_jump(self):
        t = 'x%d' % self.r.choice([n for n in FREE if n != 1])
        target = self.r.choice([0x10, 0x0ffff000, WINDOW - 2, WINDOW + 0x20000]) if self.mode != 'm' else 0x0ffff000
        self.emit('li %s, 0x%x' % (t, target))
        self.emit('jalr ra, 0(%s)' % t)

    def illegal(self):
        self.emit(self.r.choice(['.word 0xffffffff', '.half 0', 'ebreak', '.word 0x0000405b', 'csrrw x0, cycle, x0',
                                 '.word 0x02057053' if not self.rich else '.half 0']))

    def fence(self):
        self.emit(self.r.choice(['fence', 'fence rw, rw', 'fence w, r', 'fence.tso', 'fence.i', 'nop']))

    def simple(self):
        choices = [(self.alu, 30), (self.two_address, 10), (self.constant, 8), (self.memory, 22), (self.fp, 18),
                   (self.fp_load_constant, 5), (self.atomic, 4), (self.pcrel, 2), (self.move_base, 3), (self.fp_csr, 2),
                   (self.csr, 1), (self.fence, 1)]
        if self.rich:
            choices.append((self.czero, 3))
        self.r.choices([c[0] for c in choices], [c[1] for c in choices])[0]()

    def gadget(self):
        choices = [(self.simple, 70), (self.skip, 10), (self.loop, 6), (self.call, 3), (self.computed_jump, 2), (self.patch, 2),
                   (self.remap, 4), (self.switch, 2), (self.status_bits, 2), (self.bad_jump, 1), (self.illegal, 1)]
        self.r.choices([c[0] for c in choices], [c[1] for c in choices])[0]()

    # --- the program ---
    def program(self):
        r = self.r
        # bodies of subroutines leave ra alone
        self.out = []
        for n in range(4):
            self.subroutines.append('sub%d' % n)
            self.out.append('sub%d:' % n)
            for _ in range(r.randrange(2, 8)):
                d = r.choice([5, 6, 7] + list(range(9, 32)))
                self.emit('%s x%d, %s, %s' % (r.choice(ALU), d, self.src(), self.src()))
            self.emit('ret')
        subs, self.out = self.out, []
        for _ in range(6):
            for _ in range(r.randrange(25, 60)):
                self.gadget()
            self.emit('ecall')
        code = subs + ['    .globl body', 'body:'] + self.out + ['    j body_end']
        rounds = 1 if self.mode == 'm' else PAGES + 1
        text = ['#define STREAM_MODE %d' % 'us?m'.index(self.mode), '#define STREAM_ROUNDS %d' % rounds,
                '#define STREAM_ADUE %d' % (r.randrange(2)), '#include "stream-start.h"', '    .text']
        text += code + ['    .balign 8', 'first_registers:']
        for n in range(32):
            text.append('    .dword 0x%x' % (self.base + 4096 * r.randrange(PAGES - 1) + 2048 if n in (2, 8) else self.value()))
        text += ['first_fp:'] + ['    .dword 0x%x' % self.float_bits() for _ in range(32)]
        text += ['first_ptes:'] + ['    .dword 0x%x' % (self.pte() if self.mode == 's' and r.randrange(4) == 0 else
                 (DATA >> 12) + n % PAGES << 10 | V | R | W | A | D | (U if self.mode == 'u' else 0)) for n in range(2 * PAGES)]
        text += ['first_data:']
        for _ in range(PAGES * 4):
            text.append('    .dword ' + ', '.join('0x%x' % r.choice([self.value(), self.float_bits()]) for _ in range(16)))
        return '\n'.join(text) + '\n'

    def differences(self, a, b):
        return [] if a == b else [seeds.first_difference(a, b)]


if __name__ == '__main__':
    sys.exit(seeds.main(Stream))
