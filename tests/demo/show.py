# SPDX-License-Identifier: GPL-2.0-or-later
"""What the demos print: steps, a live progress line, a summary."""
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from machine import MachineError  # noqa: E402

MIB = 1 << 20


class Show:
    def __init__(self):
        self.live = sys.stdout.isatty()
        self.peak_dirty = 0  # MiB/s, of the move under way

    def title(self, text):
        print(f'\n\033[1m{text}\033[0m' if self.live else f'\n{text}', flush=True)

    def step(self, text):
        print(f'  {text}', flush=True)

    def progress(self, info):
        ram = info.get('ram')
        if not ram or not ram.get('total'):
            return
        dirty = ram['dirty-pages-rate'] * ram['page-size'] / MIB
        self.peak_dirty = max(self.peak_dirty, dirty)
        if not self.live:
            return
        done = 100 * (ram['total'] - ram['remaining']) / ram['total']
        bar = '#' * int(done / 4)
        print(f'\r  [{bar:<25}] {done:5.1f} %  pass {ram["dirty-sync-count"]}  {ram["mbps"] / 8.388608:7.1f} MiB/s'
              f'  dirty {dirty:6.1f} MiB/s  left {ram["remaining"] / MIB:6.1f} MiB ', end='', flush=True)

    def end_progress(self):
        if self.live:
            print('\r' + ' ' * 100 + '\r', end='')

    def moved(self, info):
        ram = info['ram']
        self.end_progress()
        dirty, self.peak_dirty = self.peak_dirty, 0
        self.step(f'sent {ram["transferred"] / MIB:.1f} MiB in {info["total-time"]} ms: {ram["normal"]} pages with data, '
                  f'{ram["duplicate"]} zero pages, {ram["dirty-sync-count"]} passes, '
                  f'{ram["mbps"] / 8.388608:.0f} MiB/s, downtime {info["downtime"]} ms')
        return dirty

    def table(self, rows):
        widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
        for n, row in enumerate(rows):
            print('  ' + '  '.join(f'{str(cell):<{width}}' for cell, width in zip(row, widths)).rstrip())
            if n == 0:
                print('  ' + '  '.join('-' * width for width in widths))
        sys.stdout.flush()


def run_demo(demo_class):
    """Runs demo_class(EMULATOR, GUEST, folder) from the command line's two words; returns the exit status."""
    binary, guest = sys.argv[1:3]
    folder = tempfile.mkdtemp(prefix='godwit-demo-')
    demo = demo_class(binary, guest, folder)
    try:
        demo.run()
    except MachineError as error:
        demo.show.end_progress()
        print(f'{os.path.basename(sys.argv[0])}: {error}', file=sys.stderr)
        return 1
    finally:
        for machine in demo.machines:
            machine.quit()
        shutil.rmtree(folder, ignore_errors=True)
    return 0
