#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Migrations that are killed, cut, cancelled or run out of space at random moments.

kills.py EMULATOR GUEST [--rounds N] [--seed N]

Never two machines run, never none, and the one that runs has lost nothing: the guest checks itself.  After each
failure a second attempt succeeds, and the machine that it made is the source of the next round.
"""
import argparse
import os
import random
import resource
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from machine import Lost, MachineError, Machines  # noqa: E402

RAM_MIB = 24
FAST = {'max_bandwidth': 0, 'downtime_limit': 2000}
STREAM_BYTES = 40 << 20  # about what a move takes; a cut comes anywhere in it, or not at all


class Wrong(Exception):
    pass


SHUT = bytes([0, 1, 0, 4, 0, 0, 0, 0])  # "all is loaded", before the machine changes hands


class CuttingProxy:
    """Passes bytes both ways between two unix sockets and closes both: after `limit` bytes towards the destination, or
    after SHUT with what the source says then ('handover'), or with the destination's answer to that ('taken')."""

    def __init__(self, path, target, limit, lose=None):
        self.limit = limit
        self.lose = lose
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        self.target = target
        self.passed = 0
        self.shut = self.handed_over = False
        self.cut = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        source, _ = self.listener.accept()
        destination = socket.socket(socket.AF_UNIX)
        destination.connect(self.target)
        back = threading.Thread(target=self.pump, args=(destination, source, False), daemon=True)
        back.start()
        self.pump(source, destination, True)
        self.close(source, destination)
        back.join(10)
        source.close()
        destination.close()
        self.listener.close()

    @staticmethod
    def close(*ends):
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def pump(self, a, b, forward):
        try:
            while not forward or self.passed < self.limit:
                data = a.recv(min(65536, self.limit - self.passed) if forward else 65536)
                if not data:
                    return
                if (self.lose == 'handover' and forward and self.shut) or \
                        (self.lose == 'taken' and not forward and self.handed_over):
                    break
                if forward:
                    self.handed_over = self.shut
                    self.passed += len(data)
                else:
                    self.shut = self.shut or data.endswith(SHUT)
                b.sendall(data)
            self.cut = True
            self.close(a, b)
        except OSError:
            pass


class Kills(Machines):
    def __init__(self, binary, guest, seed):
        super().__init__('godwit-kills-')
        self.binary = binary
        self.guest = guest
        self.random = random.Random(seed)
        self.counts = {}
        self.number = 0

    def new_path(self, name):
        self.number += 1
        return self.path(f'{name}{self.number}')

    def machine(self, *more):
        args = ['-M', 'virt', '-smp', '2', '-m', f'{RAM_MIB}M', '-bios', self.guest]
        return self.start(self.binary, args + list(more))

    def destination(self, uri, capability=None):
        machine = self.machine('-incoming', 'defer')
        if capability:
            machine.set_capability(capability)
        machine.qmp('migrate-incoming', uri=uri)
        return machine

    # --- looking ---

    @staticmethod
    def alive(machine):
        return machine.process.poll() is None

    def drain(self):
        for machine in self.machines:
            if self.alive(machine):
                machine.poll_serial()

    def pause(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.drain()
            time.sleep(min(0.02, max(0, end - time.monotonic())))

    def ask(self, machine, command):
        """A destination whose load fails ends, perhaps while it is asked: {} then."""
        if not self.alive(machine):
            return {}
        try:
            return machine.qmp(command)
        except (OSError, MachineError):
            machine.process.wait(20)
            return {}

    def running(self, machine):
        return self.ask(machine, 'query-status').get('running', False)

    def wait(self, what, condition, timeout=60):
        end = time.monotonic() + timeout
        while not condition():
            self.drain()
            if time.monotonic() > end:
                raise Wrong(f'{what} does not come')
            time.sleep(0.01)

    def status(self, machine):
        return machine.qmp('query-migrate').get('status')

    def ended(self, machine):
        """In handover-paused somebody has to decide."""
        return self.status(machine) in ('completed', 'failed', 'cancelled', 'handover-paused')

    def undecided(self, machine):
        return self.ask(machine, 'query-migrate').get('status') == 'handover-paused'

    def settle(self, source, destination):
        """The link broke in the handover: another one settles it, unless the destination has died."""
        self.note('handovers that another link settled')
        self.wait('the end of the load', lambda: self.undecided(destination) or self.running(destination))
        if self.running(source):
            raise Wrong('the source runs while it is in doubt')
        uri = 'unix:' + self.new_path('again')
        destination.qmp('migrate-recover', uri=uri)
        source.qmp('migrate', uri=uri, resume=True)
        self.wait('the end of the handover', lambda: self.status(source) == 'completed')

    def heard_nothing(self, source, destination):
        """The source, which runs on, left before its first word: the destination waits for the next one."""
        return self.running(source) and self.ask(destination, 'query-migrate').get('status') == 'setup'

    def exactly_one(self, source, destination):
        """The machine that runs, now that the attempt is over on the source, if it lives; the other one ends."""
        self.wait('the end of the load', lambda: self.undecided(destination) or
                  self.ask(destination, 'query-status').get('status') != 'inmigrate' or
                  self.heard_nothing(source, destination), 30)
        running = [m for m in (source, destination) if self.alive(m) and self.running(m)]
        if len(running) != 1:
            states = [(m.name, m.qmp('query-status')['status'] if self.alive(m) else 'dead', m.log()[-200:])
                      for m in (source, destination)]
            raise Wrong(f'{len(running)} machines run: {states}')
        (destination if running[0] is source else source).kill()
        return running[0]

    def note(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    # --- the accidents; each returns the machine that runs ---

    def random_moment(self):
        self.pause(self.random.choice([0, 0.01, 0.05, 0.1, 0.2, 0.4]) * self.random.random() * 2)

    def move(self, source, uri):
        source.set_parameters(max_bandwidth=self.random.choice([0, 16 << 20, 64 << 20]),
                              downtime_limit=self.random.choice([1, 50, 1000]))
        source.qmp('migrate', uri=uri)

    def let_converge(self, source):
        if self.alive(source) and not self.ended(source):
            source.set_parameters(**FAST)

    def late_or_early(self, source, seconds):
        """A random moment, half of the time one in which the migration is about to end."""
        self.random_moment()
        if self.random.random() < 0.5:
            self.let_converge(source)
            self.pause(self.random.random() * seconds)

    def kill_destination(self, source):
        uri = 'unix:' + self.new_path('s')
        destination = self.destination(uri)
        self.move(source, uri)
        self.late_or_early(source, 0.1)
        took_over = self.running(destination)
        destination.kill()
        self.wait('the end of the migration', lambda: self.ended(source))
        if self.status(source) in ('completed', 'handover-paused'):
            # it was, or may have been, the destination's machine: killing it is killing the machine; here it is again
            self.note('killed destinations that had the machine' if took_over else 'killed at the handover')
            if self.running(source):
                raise Wrong('the source runs although it gave the machine up')
            source.qmp('cont')
            self.wait('the end of the migration', lambda: self.status(source) in ('completed', 'failed'))
        else:
            self.note('destinations killed')
        return self.exactly_one(source, destination)

    def kill_source(self, source):
        """With a file of the machine to start again from, when it dies with the source."""
        uri = 'unix:' + self.new_path('s')
        destination = self.destination(uri)
        saved = self.save(source)
        self.move(source, uri)
        self.late_or_early(source, 0.1)
        source.kill()
        self.note('sources killed')
        end = time.monotonic() + 30
        while self.alive(destination) and not self.running(destination) and time.monotonic() < end:
            if self.undecided(destination):
                self.note('machines of killed sources that the user took')
                destination.qmp('migrate-continue', state='handover-paused')
            time.sleep(0.01)
        if self.alive(destination) and self.running(destination):
            self.note('sources killed after the machine had moved')
            os.unlink(saved)
            return destination
        destination.kill()
        restored = self.destination('file:' + saved, 'mapped-ram')
        self.wait('the restored machine', lambda: self.running(restored))
        restored.set_capability('mapped-ram', False)
        os.unlink(saved)
        return restored

    def save(self, source):
        path = self.new_path('saved')
        source.set_capability('mapped-ram')
        source.set_parameters(**FAST)
        source.qmp('migrate', uri='file:' + path)
        self.wait('the end of the save', lambda: self.ended(source))
        if self.status(source) != 'completed':
            raise Wrong(f'the save failed: {source.qmp("query-migrate").get("error-desc")}')
        source.set_capability('mapped-ram', False)
        source.qmp('cont')
        return path

    def cut_connection(self, source):
        target, front = self.new_path('t'), self.new_path('p')
        destination = self.destination('unix:' + target)
        limit = self.random.choice([self.random.randrange(1, 2000), self.random.randrange(1, STREAM_BYTES)])
        lose = self.random.choice([None, None, 'handover', 'taken'])
        proxy = CuttingProxy(front, target, 1 << 62 if lose else limit, lose)
        self.move(source, 'unix:' + front)
        self.random_moment()
        self.let_converge(source)
        self.wait('the end of the migration', lambda: self.ended(source))
        self.note('connections cut' if proxy.cut else 'connections that outlived the migration')
        if self.status(source) == 'handover-paused':
            self.settle(source, destination)
        return self.exactly_one(source, destination)

    def cancel(self, source):
        uri = 'unix:' + self.new_path('s')
        destination = self.destination(uri)
        self.move(source, uri)
        self.late_or_early(source, 0.05)
        source.qmp('migrate_cancel')
        self.wait('the end of the migration', lambda: self.ended(source))
        self.note('cancelled' if self.status(source) == 'cancelled' else 'cancelled too late')
        if self.status(source) == 'completed':
            self.wait('the destination', lambda: self.running(destination))
        return self.exactly_one(source, destination)

    def file_limit(self, source):
        """The file may not grow past a random size: as on a full disk."""
        mapped = self.random.random() < 0.5
        path = self.new_path('f')
        limit = self.random.randrange(1, RAM_MIB << 19)
        source.set_capability('mapped-ram', mapped)
        resource.prlimit(source.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        self.move(source, 'file:' + path)
        self.let_converge(source)
        self.wait('the end of the save', lambda: self.ended(source))
        resource.prlimit(source.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        source.set_capability('mapped-ram', False)
        if self.status(source) != 'failed':
            raise Wrong(f'a save of {RAM_MIB} MiB into {limit} bytes (mapped {mapped}) ended as {self.status(source)}')
        self.note('full disks')
        if os.path.exists(path):
            os.unlink(path)
        return source

    def broken_device(self, source):
        self.move(source, self.random.choice(['file:/dev/full', 'exec:head -c 100000 > /dev/null; exit 3',
                                              'exec:cat > /dev/full']))
        self.let_converge(source)
        self.wait('the end of the save', lambda: self.ended(source))
        if self.status(source) != 'failed':
            raise Wrong(f'a save to a broken device ended as {self.status(source)}')
        self.note('broken devices')
        return source

    # --- rounds ---

    def second_attempt(self, source):
        uri = 'unix:' + self.new_path('s')
        destination = self.destination(uri)
        source.set_parameters(**FAST)
        source.qmp('migrate', uri=uri)
        self.wait('the second attempt', lambda: self.ended(source))
        if self.status(source) != 'completed':
            raise Wrong(f'the second attempt failed: {source.qmp("query-migrate").get("error-desc")}')
        self.wait('the destination', lambda: self.running(destination))
        if self.running(source):
            raise Wrong('both machines run')
        source.kill()
        return destination

    def run(self, rounds):
        accidents = [self.kill_destination, self.cut_connection, self.cancel, self.file_limit, self.kill_source,
                     self.broken_device]
        source = self.machine()
        source.check_stores(b'V', timeout=60)
        for n in range(rounds):
            accident = accidents[n % len(accidents)]
            try:
                source = accident(source)
                source.check_stores(b'V', timeout=60)
                source = self.second_attempt(source)
                source.check_stores(b'V', timeout=60)
            except (Wrong, Lost, MachineError, OSError) as error:
                raise Wrong(f'round {n}, {accident.__name__}: {error}') from error
            self.machines = [source]
        return rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('binary')
    parser.add_argument('guest')
    parser.add_argument('--rounds', type=int, default=18)
    parser.add_argument('--seed', type=int, default=1)
    options = parser.parse_args()
    kills = Kills(options.binary, options.guest, options.seed)
    start = time.monotonic()
    try:
        kills.run(options.rounds)
        problem = None
    except Wrong as error:
        problem = error
    finally:
        kills.close()
    print('# ' + ', '.join(f'{n} {what}' for what, n in sorted(kills.counts.items())) +
          f'; {time.monotonic() - start:.1f} s')
    print(f'not ok 1 kills # {problem}' if problem else 'ok 1 kills')
    return 1 if problem else 0


if __name__ == '__main__':
    sys.exit(main())
