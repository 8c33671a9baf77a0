# SPDX-License-Identifier: GPL-2.0-or-later
"""Random bare-metal programs: one seed makes one program, always the same, and every emulator must print the same of it.

What a kind of program has to bring:
  march, cpu       what its assembler and its emulator are told; limit: seconds that a run may take
  no_golden        seeds whose golden answer is not the peer's
  program()        its text in assembler
  differences(a, b) what two outputs disagree about, as lines

The command line, the same for each kind:
  KIND.py make SEED                 the program in assembler on standard output
  KIND.py check --godwit EXE --cc CC --golden FILE [--seeds N] [--first N] [--accel A]... [--only PREFIX]
                                    builds seeds, runs them, compares all; GODWIT_PEER names another emulator to ask too
  KIND.py golden --golden FILE ...  writes FILE from the peer's answers
"""
import argparse
import hashlib
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ACCELERATORS = ['tcg', 'tcg,interp=on']


def build(cc, program, name, folder):
    source, elf = (os.path.join(folder, name + suffix) for suffix in ('.S', '.elf'))
    with open(source, 'w', encoding='utf-8') as f:
        f.write(program.program())
    subprocess.run([cc, '-march=' + program.march, '-mabi=lp64d', '-nostdlib', '-static', '-no-pie', '-Wl,--build-id=none',
                    '-Wl,--no-warn-rwx-segments', '-Wl,-T,' + os.path.join(HERE, 'stream.ld'), '-I' + HERE, source, '-o', elf],
                   check=True)
    return elf


def run(command, program, elf):
    """What the program prints, and how it ended where that was not well."""
    try:
        p = subprocess.run(command + ['-M', 'virt', '-cpu', program.cpu, '-m', '128', '-nographic', '-bios', elf],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=program.limit)
    except subprocess.TimeoutExpired as e:
        return (e.stdout or b'').decode(errors='replace') + 'timeout\n'
    return p.stdout.decode(errors='replace').replace('\r', '') + ('' if p.returncode == 0 else 'exit %d\n' % p.returncode)


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_golden(path):
    with open(path, encoding='utf-8') as f:
        lines = [line.split() for line in f if not line.startswith('#')]
    return {int(seed): value for seed, value in lines}


def first_difference(a, b):
    a, b = a.splitlines(), b.splitlines()
    for n, (x, y) in enumerate(zip(a, b)):
        if x != y:
            return 'line %d: %s | %s' % (n + 1, x, y)
    return 'lengths %d and %d' % (len(a), len(b))


class Seeds:
    def __init__(self, kind, args):
        self.kind, self.args = kind, args
        self.peer = os.environ.get('GODWIT_PEER')
        self.seeds = range(args.first, args.first + args.seeds)

    def make(self, seed):
        return self.kind(seed, self.args.only)

    def built(self, seed, folder):
        program = self.make(seed)
        return program, build(self.args.cc, program, 'seed-%d' % seed, folder)

    def wrong(self, seed, golden, folder):
        """What is wrong with one seed, as lines."""
        program, elf = self.built(seed, folder)
        answers = {a: run([self.args.godwit, '-accel', a], program, elf) for a in self.args.accel}
        first = answers[self.args.accel[0]]
        for name, text in answers.items():
            yield from ('%s: %s' % (name, line) for line in program.differences(first, text))
        if seed in golden and not self.args.only and digest(first) != golden[seed]:
            yield 'differs from the golden answer'
        if self.peer and seed not in self.kind.no_golden:
            yield from ('the peer: ' + line for line in program.differences(first, run([self.peer], program, elf)))
        if 'timeout' in first or 'exit' in first:
            yield 'did not end well: ' + first[-200:]

    def check(self, folder):
        if not self.peer:
            print('no peer: GODWIT_PEER does not name one')
        golden = read_golden(self.args.golden) if self.args.golden else {}
        bad = 0
        for seed in self.seeds:
            lines = list(self.wrong(seed, golden, folder))
            bad += bool(lines)
            for line in lines:
                print('seed %d: %s' % (seed, line))
        print('%d of %d seeds differ' % (bad, self.args.seeds))
        return 1 if bad else 0

    def write_golden(self, folder):
        if not self.peer:
            sys.exit('golden: the answers are the peer\'s, and GODWIT_PEER does not name one')
        answers = {seed: digest(run([self.peer], *self.built(seed, folder))) for seed in self.seeds if seed not in self.kind.no_golden}
        with open(self.args.golden, 'w', encoding='utf-8') as f:
            f.write('# seed and digest of what the peer prints (%s golden)\n' % os.path.basename(sys.argv[0]))
            f.writelines('%d %s\n' % answer for answer in answers.items())
        return 0


def main(kind):
    p = argparse.ArgumentParser()
    p.add_argument('what', choices=['make', 'check', 'golden'])
    p.add_argument('seed', nargs='?', type=int, default=0)
    p.add_argument('--godwit')
    p.add_argument('--cc', default='riscv64-linux-gnu-gcc')
    p.add_argument('--golden')
    p.add_argument('--first', type=int, default=0)
    p.add_argument('--seeds', type=int, default=10)
    p.add_argument('--accel', action='append')
    p.add_argument('--only', default='', help='only instructions whose name starts so, where the kind can choose')
    args = p.parse_args()
    args.accel = args.accel or ACCELERATORS
    seeds = Seeds(kind, args)
    if args.what == 'make':
        sys.stdout.write(seeds.make(args.seed).program())
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return seeds.check(folder) if args.what == 'check' else seeds.write_golden(folder)
