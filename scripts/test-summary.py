#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints "N passed, N failed[, N skipped]" for meson's testlog.json; fails when a test did, or none ran."""
import json
import sys

GOOD = {'OK', 'EXPECTEDFAIL'}


def main():
    passed = failed = skipped = 0
    try:
        with open(sys.argv[1]) as log:
            results = [json.loads(line)['result'] for line in log if line.strip()]
    except OSError:
        results = []
    for result in results:
        if result in GOOD:
            passed += 1
        elif result == 'SKIP':
            skipped += 1
        else:
            failed += 1
    print(f'{passed} passed, {failed} failed' + (f', {skipped} skipped' if skipped else ''))
    return 0 if passed and not failed else 1


if __name__ == '__main__':
    sys.exit(main())
