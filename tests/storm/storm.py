#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole machines that store everywhere, moved back and forth; after each move memory is compared byte for byte.

storm.py EMULATOR GUEST [--faulty EMULATOR] [--seconds N] [--seed N] [NAME ...]

The machines have two NUMA nodes, so that the second RAM block lies at a ram_addr_t that is not 0.  EMULATOR in
--faulty has a bug of the peer's put in (named by GODWIT_TEST_FAULT): the regressions must notice it.
"""
import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from machine import Lost, MachineError, Machines  # noqa: E402

RAM_MIB = 24
NODES = (9, 15)  # MiB; no multiples of the 256 KiB that a word of the dirty bitmap stands for


class Storm(Machines):
    def __init__(self, binary, guest, seed):
        super().__init__('godwit-storm-')
        self.binary = binary
        self.guest = guest
        self.random = random.Random(seed)
        self.counts = {'moves': 0, 'saves': 0, 'cancels': 0, 'passes': 0, 'pages': 0, 'bytes compared': 0}

    def machine(self, *more, one_block=False, env=None):
        args = ['-M', 'virt', '-smp', '2', '-m', f'{RAM_MIB}M', '-bios', self.guest]
        for i, size in enumerate(() if one_block else NODES):
            args += ['-object', f'memory-backend-ram,id=m{i},size={size}M', '-numa', f'node,memdev=m{i}']
        return self.start(self.binary, args + list(more), env)

    def destination(self, uri, **how):
        """Stays stopped after the load, so that its memory can be compared."""
        machine = self.machine('-S', '-incoming', 'defer', **how)
        machine.qmp('migrate-incoming', uri=uri)
        return machine

    def pause(self, seconds):
        """Reads what guests print meanwhile: one whose serial line is full waits, and stores nothing."""
        end = time.monotonic() + seconds
        while True:
            for machine in self.machines:
                if machine.process.poll() is None:
                    machine.poll_serial()
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.05))

    # --- checks ---

    def note(self, info):
        self.counts['passes'] += info['ram']['dirty-sync-count']
        self.counts['pages'] += info['ram']['normal'] + info['ram']['duplicate']

    # --- moves ---

    def wait_passes(self, machine, passes, timeout=60):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            info = machine.qmp('query-migrate')
            if info.get('ram', {}).get('dirty-sync-count', 0) >= passes or info['status'] not in ('setup', 'active'):
                return
            self.pause(0.01)

    def cancel(self, machine):
        machine.qmp('migrate_cancel')
        deadline = time.monotonic() + 60
        while machine.qmp('query-migrate')['status'] not in ('cancelled', 'failed', 'completed'):
            if time.monotonic() > deadline:
                raise MachineError(f'{machine.name}: cancel did not end')
            self.pause(0.01)
        self.counts['cancels'] += 1

    def finish(self, machine, timeout=120):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            info = machine.qmp('query-migrate')
            if info['status'] == 'completed':
                self.note(info)
                return
            if info['status'] in ('failed', 'cancelled'):
                raise MachineError(f'{machine.name}: {info["status"]}: {info.get("error-desc")}')
            self.pause(0.01)
        raise MachineError(f'{machine.name}: the migration does not end')

    def converge(self, source):
        source.set_parameters(max_bandwidth=0, downtime_limit=2000)
        self.finish(source)

    def slow_then_fast(self, source, uri, passes, bandwidth):
        """Too slow to converge for some passes, then as fast as can be."""
        source.set_parameters(max_bandwidth=bandwidth, downtime_limit=1)
        source.qmp('migrate', uri=uri)
        self.wait_passes(source, passes)
        self.converge(source)

    def regression(self, one_block=False, auto_converge=False, passes=5, bandwidth=32 << 20, env=None):
        uri = 'unix:' + self.path('socket')
        source = self.machine(one_block=one_block, env=env)
        source.check_stores(b'V')
        destination = self.destination(uri, one_block=one_block)
        if auto_converge:
            source.set_capability('auto-converge')
        self.slow_then_fast(source, uri, passes, bandwidth)
        destination.wait_status('paused')
        self.counts['moves'] += 1
        self.counts['bytes compared'] += self.compare(source, destination)
        destination.qmp('cont')
        destination.check_stores(b'V')
        source.kill()
        destination.kill()

    def conditional(self, **how):
        """At 8 MiB/s the first pass takes 3 s; of the second block a sync each second finds only pending pages."""
        self.regression(auto_converge=True, bandwidth=8 << 20, passes=4, **how)

    # --- the storms ---

    def parallel(self, machine, compression, channels, on=True):
        """Both sides need the same; a file takes neither packets nor compression, only as many threads."""
        machine.set_capability('multifd', on)
        machine.set_parameters(multifd_channels=channels, multifd_compression=compression)

    def move_with(self, source, compression=None, channels=2, xbzrle=False, settings=None):
        """One move over a socket: multifd when there is a compression ("none" is one), or deltas."""
        uri = 'unix:' + self.path('socket')
        destination = self.machine('-S', '-incoming', 'defer')
        source.set_capability('xbzrle', False)
        for machine in (source, destination):
            self.parallel(machine, compression or 'none', channels, compression is not None)
        source.set_capability('xbzrle', xbzrle)
        destination.qmp('migrate-incoming', uri=uri)
        (settings or self.random_settings)(source)
        source.qmp('migrate', uri=uri)
        self.wait_passes(source, 3, timeout=0.2 + self.random.random() * 0.5)
        self.converge(source)
        self.counts['moves'] += 1
        return self.handed_over(source, destination)

    def cancel_with(self, source, compression, channels):
        uri = 'unix:' + self.path('cancelled')
        destination = self.machine('-S', '-incoming', 'defer')
        source.set_capability('xbzrle', False)
        for machine in (source, destination):
            self.parallel(machine, compression, channels)
        destination.qmp('migrate-incoming', uri=uri)
        self.start_and_cancel(source, destination, uri)

    def slow_settings(self, source):
        """Several passes at first, so that pages are sent again: what deltas and barriers are for."""
        source.set_parameters(max_bandwidth=48 << 20, downtime_limit=1)

    def every_transport(self, seconds):
        """From machine to machine, each move another way; cancels in between."""
        ways = [{'compression': 'none'}, {'compression': 'zlib'}, {'compression': 'zstd'}, {'xbzrle': True}]
        end = time.monotonic() + seconds
        source = self.machine()
        rounds = 0
        while time.monotonic() < end or rounds < len(ways):
            way = ways[rounds % len(ways)]
            channels = self.random.choice([1, 2, 3, 8])
            source.check_stores(b'V', 1)
            if 'compression' in way and self.random.random() < 0.3:
                self.cancel_with(source, way['compression'], channels)
            source = self.move_with(source, channels=channels, settings=self.slow_settings if rounds % 2 else None, **way)
            rounds += 1
        source.check_stores(b'V')

    def back_and_forth(self, seconds):
        """Moves and saves with random settings, cancels in between."""
        end = time.monotonic() + seconds
        source = self.machine()
        rounds = 0
        while time.monotonic() < end or rounds < 4:
            source.check_stores(b'V', 1)
            if self.random.random() < 0.3:
                uri = 'unix:' + self.path('cancelled')
                self.start_and_cancel(source, self.destination(uri), uri)
            kind = rounds % 4
            source = self.move_by_file(source, live=kind == 3) if kind % 2 else self.move_by_socket(source)
            rounds += 1
        source.check_stores(b'V')

    def random_settings(self, source):
        slowed_by = self.random.choice([None, 'auto-converge', 'dirty-limit'])
        for name in ('auto-converge', 'dirty-limit'):  # which exclude each other
            source.set_capability(name, False)
        if slowed_by:
            source.set_capability(slowed_by)
        source.set_parameters(**{'x-vcpu-dirty-limit-period': 100, 'vcpu-dirty-limit': self.random.choice([1, 8])})
        source.set_parameters(max_bandwidth=self.random.choice([0, 8 << 20, 64 << 20]),
                              downtime_limit=self.random.choice([1, 20, 300]))

    def start_and_cancel(self, source, destination, uri):
        source.set_parameters(max_bandwidth=4 << 20, downtime_limit=1)
        source.qmp('migrate', uri=uri)
        self.wait_passes(source, self.random.randint(1, 3), timeout=0.3)
        self.cancel(source)
        destination.kill()
        source.check_stores(b'V', 1)

    def handed_over(self, source, destination):
        destination.wait_status('paused')
        self.counts['bytes compared'] += self.compare(source, destination)
        source.kill()
        destination.qmp('cont')
        destination.check_stores(b'V', 1)
        return destination

    def move_by_socket(self, source):
        uri = 'unix:' + self.path('socket')
        destination = self.destination(uri)
        self.random_settings(source)
        source.qmp('migrate', uri=uri)
        self.pause(self.random.random() * 0.4)
        self.converge(source)
        self.counts['moves'] += 1
        return self.handed_over(source, destination)

    def move_by_file(self, source, live):
        path = self.path('state')
        if os.path.exists(path):
            os.unlink(path)
        source.set_capability('mapped-ram')
        if not live:
            source.qmp('stop')
        self.random_settings(source)
        source.qmp('migrate', uri='file:' + path)
        self.pause(self.random.random() * 0.3)
        self.converge(source)
        self.counts['saves'] += 1
        destination = self.machine('-S', '-incoming', 'defer')
        destination.set_capability('mapped-ram')
        destination.qmp('migrate-incoming', uri='file:' + path)
        destination = self.handed_over(source, destination)
        destination.set_capability('mapped-ram', False)
        return destination


# --- the tests: name -> function(storm, options) ---

def second_block_is_rearmed_at_its_address(storm, options):
    """The peer's wrong offset: too slow to converge, then unlimited; stores into the second block."""
    storm.regression()


def rearm_does_not_depend_on_pending(storm, options):
    """The peer's conditional re-arm: auto-converge, whose syncs in mid-pass find only pages that are pending."""
    storm.conditional()
    storm.conditional(one_block=True)


def back_and_forth(storm, options):
    storm.back_and_forth(options.seconds)


def every_transport(storm, options):
    """multifd without and with compression, and xbzrle."""
    storm.every_transport(options.seconds)


def must_be_noticed(storm, options, test, fault):
    storm.binary = options.faulty
    for _ in range(12):
        try:
            test(storm, fault)
        except Lost as lost:
            print(f'#   with {fault}: {lost}')
            return
    raise AssertionError(f'nobody noticed {fault}')


def wrong_offset_is_noticed(storm, options):
    must_be_noticed(storm, options, lambda s, fault: s.regression(env={'GODWIT_TEST_FAULT': fault}), 'rearm-offset')


def conditional_rearm_is_noticed(storm, options):
    must_be_noticed(storm, options, lambda s, fault: s.conditional(env={'GODWIT_TEST_FAULT': fault}),
                    'rearm-conditional')


TESTS = [second_block_is_rearmed_at_its_address, rearm_does_not_depend_on_pending, back_and_forth, every_transport]
MUTATIONS = [wrong_offset_is_noticed, conditional_rearm_is_noticed]


def run(test, options):
    storm = Storm(options.binary, options.guest, options.seed)
    start = time.monotonic()
    try:
        test(storm, options)
    except (Lost, MachineError, AssertionError) as error:
        return f'{error}'
    finally:
        storm.close()
        counts = ', '.join(f'{value} {name}' for name, value in storm.counts.items() if value)
        print(f'#   {counts or "nothing counted"}; {time.monotonic() - start:.1f} s')
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('binary')
    parser.add_argument('guest')
    parser.add_argument('--faulty')
    parser.add_argument('--seconds', type=float, default=6)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('names', nargs='*')
    options = parser.parse_intermixed_args()
    tests = [t for t in TESTS + (MUTATIONS if options.faulty else []) if not options.names or
             t.__name__ in options.names]
    failed = 0
    for number, test in enumerate(tests, 1):
        problem = run(test, options)
        failed += problem is not None
        print(f'{"not ok" if problem else "ok"} {number} {test.__name__}{" # " + problem if problem else ""}',
              flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
