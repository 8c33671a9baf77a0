#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks each file of the tree: it names its licence, and no folder of the machine it was written on."""
import re
import sys
from pathlib import Path

# written so that this file does not match itself
MACHINE_PATH = re.compile(r'(?<![\w.)}])/(?:work|root|home)/' + r'[\w.-]+')
SOURCES = {'.c', '.h', '.S', '.py', '.sh', '.build', '.decode', '.inc'}
SPDX = 'SPDX-License-Identifier: GPL-2.0-or-later'


def files(root):
    for path in sorted(root.rglob('*')):
        top = path.relative_to(root).parts[0]
        ours = top != '.git' and not top.startswith('build') and '__pycache__' not in path.parts
        if ours and path.is_file():
            yield path


def check(path):
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        return
    if path.suffix in SOURCES and SPDX not in '\n'.join(text.splitlines()[:2]):
        yield 'has no SPDX line at its top'
    for number, line in enumerate(text.splitlines(), 1):
        match = MACHINE_PATH.search(line)
        if match:
            yield f'line {number} names the machine path {match.group()}'


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else '.').resolve()
    problems = [f'{path.relative_to(root)}: {problem}' for path in files(root) for problem in check(path)]
    print('\n'.join(problems) or 'every file is as it should be')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
