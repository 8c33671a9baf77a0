#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiles each public header alone: whoever includes it first gets what it needs.

Usage: check-headers.py SOURCE BUILD.  A header is compiled with the flags of its module, taken from BUILD's
compile_commands.json, in which warnings count as errors here.
"""
import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

WITH_ARGUMENT = {'-o', '-MF', '-MQ', '-MT'}
ALONE = {'-c', '-MD', '-MMD'}


def compile_flags(entry):
    flags, words = [], iter(shlex.split(entry['command']))
    for word in words:
        if word in WITH_ARGUMENT:
            next(words)
        elif word not in ALONE and word != entry['file']:
            flags.append(word)
    return flags


def flags_by_module(source, build):
    """Module -> (folder, flags); '' is for a module that has no source yet: the flags with most in them."""
    result = {}
    for entry in json.loads((build / 'compile_commands.json').read_text()):
        path = (Path(entry['directory']) / entry['file']).resolve()
        if source in path.parents and path.suffix == '.c':
            result.setdefault(path.relative_to(source).parts[0], (entry['directory'], compile_flags(entry)))
    if result:
        result[''] = max(result.values(), key=lambda entry: len(entry[1]))
    return result


def compile_alone(header, source, flags):
    name = header.relative_to(source / 'include')
    directory, command = flags.get(name.parts[0], flags[''])
    done = subprocess.run(command + ['-Werror', '-fdiagnostics-color=never', '-fsyntax-only', '-x', 'c', '-'],
                          cwd=directory, text=True, input=f'#include "{name}"\n', capture_output=True)
    return None if done.returncode == 0 else f'{name} does not compile alone:\n{done.stderr}'


def main():
    source, build = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    flags = flags_by_module(source, build)
    headers = sorted((source / 'include').glob('*/*.h'))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = [p for p in pool.map(lambda header: compile_alone(header, source, flags), headers) if p]
    print('\n'.join(problems) or f'{len(headers)} public headers compile alone')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
