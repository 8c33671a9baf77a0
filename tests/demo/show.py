# SPDX-License-Identifier: GPL-2.0-or-later
"""What the demos print: steps, a live progress line, a summary."""
import sys

MIB = 1 << 20


class Show:
    def __init__(self):
        self.live = sys.stdout.isatty()

    def title(self, text):
        print(f'\n\033[1m{text}\033[0m' if self.live else f'\n{text}', flush=True)

    def step(self, text):
        print(f'  {text}', flush=True)

    def progress(self, info):
        ram = info.get('ram')
        if not ram or not self.live or not ram.get('total'):
            return
        done = 100 * (ram['total'] - ram['remaining']) / ram['total']
        bar = '#' * int(done / 4)
        dirty = ram['dirty-pages-rate'] * ram['page-size'] / MIB
        print(f'\r  [{bar:<25}] {done:5.1f} %  pass {ram["dirty-sync-count"]}  {ram["mbps"] / 8.388608:7.1f} MiB/s'
              f'  dirty {dirty:6.1f} MiB/s  left {ram["remaining"] / MIB:6.1f} MiB ', end='', flush=True)

    def end_progress(self):
        if self.live:
            print('\r' + ' ' * 100 + '\r', end='')

    def moved(self, info):
        ram = info['ram']
        self.end_progress()
        self.step(f'sent {ram["transferred"] / MIB:.1f} MiB in {info["total-time"]} ms: {ram["normal"]} pages with data, '
                  f'{ram["duplicate"]} zero pages, {ram["dirty-sync-count"]} passes, '
                  f'{ram["mbps"] / 8.388608:.0f} MiB/s, downtime {info["downtime"]} ms')

    def table(self, rows):
        widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
        for n, row in enumerate(rows):
            print('  ' + '  '.join(f'{str(cell):<{width}}' for cell, width in zip(row, widths)).rstrip())
            if n == 0:
                print('  ' + '  '.join('-' * width for width in widths))
        sys.stdout.flush()
