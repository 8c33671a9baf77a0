#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes an instruction decoder from a table.

The table (target/riscv/insn.decode) has one line per instruction:

    name  bits...  @format  extensions

bits are 0, 1 or '.', 16 or 32 of them, blanks anywhere.  '@format' names a line

    @format  field=spec ...  : operands

where spec is '#constant' or pieces from the most significant down, joined by '|': 'hi:lo', a single bit, 'z3' (three
zero bits); a leading 's' sign-extends, a leading 'c' adds 8 (registers of compressed instructions).  'operands' is the
text of the disassembler.  'short=long' as a name decodes a compressed instruction as its long form.  The name
'illegal' takes encodings out of the patterns around it.  Of two patterns that match, the one with more fixed bits wins.

Output: a header with the list of names, and one with the functions.
"""
import re
import sys


class Format:
    def __init__(self, name, fields, text):
        self.name, self.fields, self.text = name, fields, text


class Pattern:
    def __init__(self, line_no, name, bits, fmt, exts):
        self.line_no, self.fmt, self.exts = line_no, fmt, exts
        self.short, _, self.name = name.rpartition('=')
        self.width = len(bits)
        self.mask = int(''.join('0' if c == '.' else '1' for c in bits), 2)
        self.value = int(bits.replace('.', '0'), 2)


def die(line_no, message):
    sys.exit(f'insn.decode:{line_no}: {message}')


def parse(path):
    formats, patterns = {}, []
    with open(path, encoding='utf-8') as table:
        for line_no, line in enumerate(table, 1):
            line = line.split(';')[0].strip()
            if not line or line.startswith('//'):
                continue
            if line.startswith('@'):
                left, _, text = line.partition(' :')
                words = left.split()
                formats[words[0]] = Format(words[0][1:], [w.split('=') for w in words[1:]], text.strip())
                continue
            words = line.split()
            at = next((i for i, w in enumerate(words) if w.startswith('@')), None)
            if at is None:
                die(line_no, 'no @format')
            if words[at] not in formats:
                die(line_no, f'unknown format {words[at]}')
            bits = ''.join(words[1:at])
            if len(bits) not in (16, 32) or re.search('[^01.]', bits):
                die(line_no, f'{len(bits)} bits, or not all of 0 1 .')
            patterns.append(Pattern(line_no, words[0], bits, formats[words[at]], words[at + 1:]))
    return formats, patterns


def piece(spec):
    """(C expression, width) of one piece of a field."""
    if spec[0] == 'z':
        return None, int(spec[1:])
    hi, _, lo = spec.partition(':')
    lo = lo or hi
    width = int(hi) - int(lo) + 1
    return f'((raw >> {lo}) & {(1 << width) - 1:#x}u)', width


def field_expression(spec):
    if spec[0] == '#':
        return spec[1:]
    sign, plus8 = spec[0] == 's', spec[0] == 'c'
    parts, total = [], 0
    for p in reversed(spec.lstrip('sc').split('|')):
        expr, width = piece(p)
        if expr:
            parts.append(f'{expr} << {total}' if total else expr)
        total += width
    value = ' | '.join(reversed(parts))
    if sign:
        return f'(int32_t)(({value}) << {32 - total}) >> {32 - total}'
    return f'({value}) + 8' if plus8 else value


def c_name(name):
    return name.replace('.', '_')


def emit_leaf(out, pattern, indent):
    pad = '    ' * indent
    if pattern.name == 'illegal':
        out.append(f'{pad}return false;')
        return
    out.append(f'{pad}extract_{pattern.fmt.name}(raw, insn);')
    out.append(f'{pad}insn->id = INSN_{c_name(pattern.name)};')
    for i, ext in enumerate(pattern.exts):
        out.append(f'{pad}insn->need{"" if i == 0 else i + 1} = EXT_{ext};')
    out.append(f'{pad}return true;')


def emit_tree(out, patterns, tested, indent):
    """A switch over the bits that all of @patterns fix and nobody has tested; compares in order when there are none."""
    pad = '    ' * indent
    common = ~tested & 0xffffffff
    for p in patterns:
        common &= p.mask
    if len(patterns) == 1 or not common:
        for p in sorted(patterns, key=lambda p: -bin(p.mask).count('1')):
            rest = p.mask & ~tested
            if not rest:
                emit_leaf(out, p, indent)
                return
            out.append(f'{pad}if ((raw & {rest:#x}u) == {p.value & rest:#x}u) {{')
            emit_leaf(out, p, indent + 1)
            out.append(f'{pad}}}')
        out.append(f'{pad}return false;')
        return
    groups = {}
    for p in patterns:
        groups.setdefault(p.value & common, []).append(p)
    out.append(f'{pad}switch (raw & {common:#x}u) {{')
    for value in sorted(groups):
        out.append(f'{pad}case {value:#x}u:')
        emit_tree(out, groups[value], tested | common, indent + 1)
    out.append(f'{pad}default:')
    out.append(f'{pad}    return false;')
    out.append(f'{pad}}}')


def write(path, lines):
    with open(path, 'w', encoding='utf-8') as f:
        f.write('\n'.join(lines) + '\n')


def main():
    formats, patterns = parse(sys.argv[1])
    names = sorted({p.name for p in patterns if p.name != 'illegal'})
    text = {p.name: p.fmt.text for p in patterns if p.width == 16}
    text.update({p.name: p.fmt.text for p in patterns if p.width == 32})
    out = ['/* Made by scripts/decode.py from insn.decode: do not edit. */']
    out.append('#define RISCV_INSNS(X) \\')
    out += [f'    X({c_name(n)}, "{n}", "{text[n]}") \\' for n in names]
    out.append('    /* end */')
    write(sys.argv[2], out)
    out = [out[0]]
    for f in formats.values():
        out.append(f'static inline void extract_{f.name}(uint32_t raw, RISCVInsn *insn)\n{{')
        for name, spec in f.fields:
            out.append(f'    insn->{name} = {field_expression(spec)};')
        out.append('}')
    for width in (16, 32):
        out.append(f'static bool decode{width}(uint32_t raw, RISCVInsn *insn)\n{{')
        emit_tree(out, [p for p in patterns if p.width == width], 0, 1)
        out.append('}')
    write(sys.argv[3], out)


main()
