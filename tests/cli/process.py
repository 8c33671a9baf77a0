#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The process and its surroundings: the background, pid files, disk images as words, questions.

Usage: process.py BINARY [WORD...]        (only tests whose name contains a WORD)
"""
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from machine import Machine                                                            # noqa: E402

os.environ.setdefault('ASAN_OPTIONS', 'detect_leaks=0')   # what an ending process holds is no leak

TIMEOUT = 30


class Run:
    """A folder for one test, and the emulator to run in it."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        with open(os.path.join(folder, 'loop'), 'wb') as loop:
            loop.write(bytes.fromhex('6f000000'))

    def path(self, name):
        return os.path.join(self.folder, name)

    def __call__(self, *args):
        return subprocess.run([self.binary, *args], cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=TIMEOUT)

    def ok(self, *args):
        result = self(*args)
        assert result.returncode == 0, result.stderr
        return result.stdout.decode()

    def background(self, *args):
        """Starts a daemon; returns its process id.  Its output is not captured: it would keep the pipes."""
        with open(self.path('log'), 'wb') as log:
            status = subprocess.call([self.binary, '-daemonize', '-display', 'none', '-bios', 'loop',
                                      '-pidfile', 'pid', *args], cwd=self.folder, stdin=subprocess.DEVNULL,
                                     stdout=log, stderr=log, timeout=TIMEOUT)
        assert status == 0, open(self.path('log')).read()
        return int(open(self.path('pid')).read())

    def machine(self, name, *args):
        return Machine(self.binary, self.folder, name, ['-bios', self.path('loop'), *args])


def wait_until(condition, what):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def is_gone(pid):
    """A daemon's parent may be slow to collect it."""
    try:
        return open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()[0] in 'ZX'
    except FileNotFoundError:
        return True


def test_daemon_runs_and_ends_by_signal(run):
    pid = run.background('-qmp', 'unix:q.sock,server=on,wait=off')
    assert not is_gone(pid)
    assert os.readlink(f'/proc/{pid}/fd/0') == '/dev/null' and os.readlink(f'/proc/{pid}/fd/2') == '/dev/null'
    assert os.getsid(pid) == pid
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(TIMEOUT)
    client.connect(run.path('q.sock'))
    assert b'"QMP"' in client.recv(4096)
    client.sendall(b'{"execute":"qmp_capabilities"}{"execute":"query-status"}')
    data = b''
    while b'"running":true' not in data:
        more = client.recv(4096)
        assert more, data
        data += more
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: is_gone(pid), 'it did not end')
    assert not os.path.exists(run.path('pid')) and not os.path.exists(run.path('q.sock'))


def test_daemon_error_reaches_the_parent(run):
    result = run('-daemonize', '-display', 'none', '-bios', 'loop', '-pidfile', 'pid', '-kernel', 'nosuchfile')
    assert result.returncode == 1 and b'nosuchfile' in result.stderr, result
    assert not os.path.exists(run.path('pid'))


def test_pidfile_of_a_running_process_is_refused(run):
    pid = run.background()
    try:
        result = run('-display', 'none', '-bios', 'loop', '-pidfile', 'pid')
        assert result.returncode == 1 and b'still runs' in result.stderr, result
        assert int(open(run.path('pid')).read()) == pid
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: is_gone(pid), 'it did not end')


def test_pidfile_of_a_dead_process_is_taken_over(run):
    with open(run.path('pid'), 'w') as pidfile:
        pidfile.write('99999999 and more text than a number has\n')
    machine = run.machine('m', '-pidfile', run.path('pid'))
    try:
        assert open(run.path('pid')).read() == f'{machine.process.pid}\n'
    finally:
        assert machine.quit() == 0
    assert not os.path.exists(run.path('pid'))


def test_words_are_disk_images(run):
    for name in ('a,b.img', 'second.img'):
        with open(run.path(name), 'wb') as image:
            image.truncate(1 << 20)
    machine = run.machine('m', run.path('a,b.img'), run.path('second.img'))
    try:
        blocks = machine.qmp('query-block')
        assert [os.path.basename(block['inserted']['file']) for block in blocks] == ['a,b.img', 'second.img'], blocks
        assert all(block.get('qdev') for block in blocks), blocks
    finally:
        assert machine.quit() == 0


def test_stale_socket_is_replaced(run):
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(run.path('s.sock'))
    dead.close()
    machine = run.machine('m', '-chardev', f'socket,id=c,path={run.path("s.sock")},server=on,wait=off')
    client = socket.socket(socket.AF_UNIX)
    client.connect(run.path('s.sock'))
    assert machine.quit() == 0
    assert not os.path.exists(run.path('s.sock'))


def test_machine_none_can_be_probed(run):
    machine = Machine(run.binary, run.folder, 'm', ['-machine', 'none', '-accel', 'qtest', '-nodefaults'])
    try:
        machines = {info['name']: info for info in machine.qmp('query-machines')}
        assert machines['virt']['is-default'] and 'none' in machines
        accels = {info['name'] for info in machine.qmp('qom-list-types', implements='accel')}
        assert {'tcg-accel', 'qtest-accel'} <= accels
        devices = {info['name'] for info in machine.qmp('qom-list-types', implements='device')}
        assert {'virtio-blk-device', 'virtio-net-device'} <= devices
        assert {'rv64', 'max'} <= {info['name'] for info in machine.qmp('query-cpu-definitions')}
        assert machine.qmp('query-cpus-fast') == []
        assert machine.qmp('query-status')['status'] == 'running'
        machine.qmp('stop')
        machine.qmp('cont')
        machine.qmp('system_reset')
        for line in ('status', 'cpus', 'registers', 'tlb', 'mtree', 'ramblock', 'jit', 'dirty', 'qtree', 'migrate'):
            machine.hmp('info ' + line)
        assert len(machine.qmp('query-qmp-schema')) > 100
    finally:
        assert machine.quit() == 0


def test_pmemsave_takes_a_path(run):
    machine = run.machine('m')
    try:
        answer = machine.hmp(f'pmemsave 0x80000000 0x1000 {run.path("out")}')
        assert answer == '', answer
        assert open(run.path('out'), 'rb').read()[:4] == bytes.fromhex('6f000000')
    finally:
        assert machine.quit() == 0


def test_pmemsave_that_fails_leaves_the_file_alone(run):
    with open(run.path('kept'), 'w') as kept:
        kept.write('precious')
    os.mkfifo(run.path('pipe'))
    machine = run.machine('m', '-m', '16M')
    try:
        for area in ('0x10 0x1000', '0x80000000 0x2000000', '0x80000000 0xffffffffffffffff'):
            assert machine.hmp(f'pmemsave {area} {run.path("kept")}').startswith('Error'), area
            assert open(run.path('kept')).read() == 'precious', area
        assert 'nobody reads' in machine.hmp(f'pmemsave 0x80000000 0x1000 {run.path("pipe")}')
    finally:
        assert machine.quit() == 0


def test_log_is_turned_on_and_led_elsewhere_while_the_machine_runs(run):
    """A bare-metal loop of ecalls: each is a trap in the log."""
    with open(run.path('traps'), 'wb') as traps:
        # auipc t0, 0; addi t0, t0, 12; csrw mtvec, t0; ecall (which mtvec names)
        traps.write(b''.join(word.to_bytes(4, 'little') for word in (0x00000297, 0x00c28293, 0x30529073, 0x00000073)))
    machine = run.machine('m', '-bios', run.path('traps'), '-D', run.path('first'))
    try:
        assert "no log item 'intt'; did you mean 'int'" in machine.hmp('log intt')
        assert os.path.getsize(run.path('first')) == 0
        for name in ('first', 'second'):
            assert machine.hmp('logfile ' + run.path(name)) == ''
            assert machine.hmp('log int') == ''
            wait_until(lambda: os.path.getsize(run.path(name)) > 1000, 'traps in the log')
            assert machine.hmp('log none') == ''
        assert 'no/such' in machine.hmp('logfile no/such/folder')
    finally:
        assert machine.quit() == 0


def test_questions_are_answered(run):
    expected = {
        '-M help': 'virt', '-M virt,help': 'aclint=', '-cpu help': 'rv64', '-cpu rv64,help': 'zbb=',
        '-accel help': 'tcg', '-accel tcg,help': 'tb-size=', '-device help': 'virtio-blk-device',
        '-device ?': 'virtio-net-device', '-device virtio-blk-device,help': 'drive=',
        '-object help': 'memory-backend-ram', '-object memory-backend-file,help': 'mem-path=',
        '-netdev help': 'user', '-netdev user,help': 'user', '-chardev help': 'socket',
        '-chardev socket,help': 'path=', '-trace help': '\n', '-help': '-kernel', '-h': '-kernel',
        '--version': 'Godwit',
    }
    for line, text in expected.items():
        assert text in run.ok(*line.split()), line


def test_harmless_options_are_taken(run):
    machine = run.machine('m', '-boot', 'strict=on', '-L', run.folder, '-k', 'de', '-nodefaults', '-no-user-config',
                          '-vga', 'none', '-machine', 'usb=off,accel=kvm:tcg', '-name', 'guest=x', '-rtc', 'base=utc')
    try:
        assert machine.qmp('query-name') == {'name': 'x'}
    finally:
        assert machine.quit() == 0


def test_firmware_is_looked_for_in_data_folders(run):
    os.mkdir(run.path('data'))
    os.rename(run.path('loop'), run.path('data/mine.bin'))
    machine = Machine(run.binary, run.folder, 'm', ['-L', run.path('data'), '-bios', 'mine.bin'])
    try:
        assert '0x0000006f' in machine.hmp('xp /1xw 0x80000000')
    finally:
        assert machine.quit() == 0


def main():
    binary = os.path.abspath(sys.argv[1])
    tests = [(name, value) for name, value in globals().items()
             if name.startswith('test_') and all(word in name for word in sys.argv[2:])]
    failed = 0
    for name, test in tests:
        with tempfile.TemporaryDirectory(prefix='cli-') as folder:
            try:
                test(Run(binary, folder))
            except Exception as error:
                failed += 1
                print(f'FAIL {name}: {type(error).__name__}: {error}')
    print(f'{len(tests) - failed} of {len(tests)} tests of the process passed')
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
