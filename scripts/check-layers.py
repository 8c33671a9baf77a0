#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Holds every #include in the tree to layers.txt.

A module includes its own headers, and public headers (include/<module>/) of the modules its line in
layers.txt names.  Private headers stay within their module.  Each line may only name modules that stand above
it, so no cycle can be written down.
"""
import re
import sys
from pathlib import Path

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
NOT_MODULES = {'include', 'scripts', 'docs', 'subprojects'}


def read_layers(path, problems):
    layers = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.split('#')[0].strip()
        if not line:
            continue
        module, _, allowed = line.partition(':')
        for other in allowed.split():
            if other not in layers:
                problems.append(f'{path.name}:{number}: {module} names {other}, which is not above it')
        layers[module.strip()] = set(allowed.split())
    return layers


def is_built(path, root):
    top = path.relative_to(root).parts[0]
    return top.startswith('build') or top.startswith('.')


def source_files(root):
    for pattern in ('**/*.c', '**/*.h', '**/*.inc'):
        for path in sorted(root.glob(pattern)):
            if not is_built(path, root):
                yield path


def module_of(path, root):
    parts = path.relative_to(root).parts
    return parts[1] if parts[0] == 'include' and len(parts) > 2 else parts[0]


def resolve(name, including, root):
    """The header in the tree that @name means, or None: generated or the system's."""
    for base in (including.parent, root / 'include', root):
        path = (base / name).resolve()
        if path.is_file() and root in path.parents and not is_built(path, root):
            return path
    return None


def check_include(name, path, root, layers):
    header = resolve(name, path, root)
    if header is None:
        return None
    module, other = module_of(path, root), module_of(header, root)
    public = header.relative_to(root).parts[0] == 'include'
    if not public and path.relative_to(root).parts[0] == 'include':
        return f'a public header includes the private "{name}"'
    if module == other:
        return None
    if not public:
        # a unit test may look inside the module it tests
        inside = path.relative_to(root).parts[:2] in (('tests', 'unit'), ('tests', 'storm'), ('tests', 'fuzz'), ('tests', 'bench'))
        return None if inside else f'"{name}" is private to {other}'
    if other not in layers[module]:
        return f'{module} may not include {other} ("{name}")'
    return None


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else '.').resolve()
    problems = []
    layers = read_layers(root / 'layers.txt', problems)
    for path in source_files(root):
        module = module_of(path, root)
        relative = path.relative_to(root)
        if module in NOT_MODULES:
            continue
        if module not in layers:
            problems.append(f'{relative}: module {module} is not in layers.txt')
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            problem = match and check_include(match.group(1), path, root, layers)
            if problem:
                problems.append(f'{relative}:{number}: {problem}')
    print('\n'.join(problems) or 'every #include keeps to layers.txt')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
