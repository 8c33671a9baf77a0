#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""-nographic on a real terminal: escapes, Ctrl-C, and the terminal as it was after every kind of end.

Usage: terminal.py BINARY [WORD...]       (only tests whose name contains a WORD)
"""
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time

os.environ.setdefault('ASAN_OPTIONS', 'detect_leaks=0')   # what an ending process holds is no leak

TIMEOUT = 30
CTRL_A, CTRL_C = b'\x01', b'\x03'


class Terminal:
    """The emulator on a pseudo terminal of its own, with a guest that does nothing."""

    def __init__(self, binary, *args):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.output = b''
        self.folder = tempfile.TemporaryDirectory(prefix='cli-')
        with open(os.path.join(self.folder.name, 'loop'), 'wb') as loop:
            loop.write(bytes.fromhex('6f000000'))
        self.process = subprocess.Popen(
            [binary, '-nographic', '-bios', 'loop', *args], cwd=self.folder.name,
            stdin=self.slave, stdout=self.slave, stderr=self.slave, preexec_fn=self._own_terminal)

    def _own_terminal(self):
        os.setsid()
        import fcntl
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            self.output += os.read(self.master, 4096)

    def wait_for(self, text, start=0):
        deadline = time.monotonic() + TIMEOUT
        while text not in self.output[start:]:
            assert time.monotonic() < deadline, f'{text} did not come; there is {self.output[-300:]}'
            self.read(0.1)
        return self.output.index(text, start) + len(text)

    def wait_raw(self):
        deadline = time.monotonic() + TIMEOUT
        while termios.tcgetattr(self.slave) == self.before:
            assert time.monotonic() < deadline, f'the terminal never became raw: {self.output[-300:]}'
            self.read(0.02)

    def wait_running(self):
        """The monitor answers only when all is set up."""
        self.wait_raw()
        self.type(CTRL_A + b'c')
        self.wait_for(b'(godwit) ')

    def type(self, data):
        os.write(self.master, data)

    def end(self):
        deadline = time.monotonic() + TIMEOUT
        while self.process.poll() is None:
            assert time.monotonic() < deadline, 'it did not end'
            self.read(0.02)
        self.read(0)
        return self.process.returncode

    def assert_restored(self):
        now = termios.tcgetattr(self.slave)
        assert now == self.before, 'the terminal is not as it was'

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)
        self.folder.cleanup()


def test_ctrl_a_x_quits(terminal):
    terminal.wait_raw()
    terminal.type(CTRL_A + b'x')
    assert terminal.end() == 0
    assert b'terminated' in terminal.output
    terminal.assert_restored()


def test_ctrl_a_h_helps(terminal):
    terminal.wait_raw()
    terminal.type(CTRL_A + b'h')
    terminal.wait_for(b'end the emulator')
    terminal.type(CTRL_A + b'x')
    assert terminal.end() == 0


def test_ctrl_a_c_is_the_monitor(terminal):
    terminal.wait_running()
    terminal.type(b'info status\r')
    terminal.wait_for(b'VM status: running')
    terminal.type(b'quit\r')
    assert terminal.end() == 0
    terminal.assert_restored()


def test_ctrl_c_goes_to_the_guest(terminal):
    terminal.wait_running()
    terminal.type(CTRL_A + b'c' + CTRL_C)
    at = len(terminal.output)
    terminal.type(CTRL_A + b'c')
    terminal.wait_for(b'(godwit) ', at)
    terminal.type(b'info status\r')
    terminal.wait_for(b'VM status: running')
    terminal.type(b'quit\r')
    assert terminal.end() == 0
    terminal.assert_restored()


def ends_by(terminal, signum):
    terminal.wait_running()
    terminal.process.send_signal(signum)
    assert terminal.end() == 0
    assert b'signal %d' % signum in terminal.output
    terminal.assert_restored()


def test_sigterm_ends_well(terminal):
    ends_by(terminal, signal.SIGTERM)


def test_sigint_ends_well(terminal):
    ends_by(terminal, signal.SIGINT)


def test_sighup_ends_well(terminal):
    ends_by(terminal, signal.SIGHUP)


def test_a_crash_restores_the_terminal(terminal):
    terminal.wait_running()
    terminal.process.send_signal(signal.SIGABRT)
    assert terminal.end() != 0
    terminal.assert_restored()


def test_stop_and_continue_keep_the_terminal_raw(terminal):
    terminal.wait_running()
    raw = termios.tcgetattr(terminal.slave)
    terminal.process.send_signal(signal.SIGSTOP)
    termios.tcsetattr(terminal.slave, termios.TCSANOW, terminal.before)
    terminal.process.send_signal(signal.SIGCONT)
    deadline = time.monotonic() + TIMEOUT
    while termios.tcgetattr(terminal.slave) != raw:
        assert time.monotonic() < deadline, 'the terminal is not raw after SIGCONT'
        terminal.read(0.02)
    terminal.type(b'quit\r')
    assert terminal.end() == 0
    terminal.assert_restored()


def late_error(terminal):
    assert terminal.end() == 1
    terminal.assert_restored()


def test_an_error_after_the_terminal_was_opened_restores_it(terminal):
    late_error(terminal)
    assert b'nosuchfile' in terminal.output


test_an_error_after_the_terminal_was_opened_restores_it.args = ['-kernel', 'nosuchfile']


def test_an_error_of_the_last_step_restores_the_terminal(terminal):
    late_error(terminal)
    assert b'no/such/folder' in terminal.output


test_an_error_of_the_last_step_restores_the_terminal.args = ['-incoming', 'unix:no/such/folder/m']


def test_plain_stdio_ends_at_ctrl_c(terminal):
    terminal.wait_raw()
    terminal.type(CTRL_C)
    assert terminal.end() == 0
    terminal.assert_restored()


test_plain_stdio_ends_at_ctrl_c.args = ['-serial', 'stdio']


def test_another_escape_character(terminal):
    terminal.wait_raw()
    terminal.type(b'\x02h')
    terminal.wait_for(b'Ctrl-B x')
    terminal.type(b'\x02x')
    assert terminal.end() == 0


test_another_escape_character.args = ['-echr', '2']


def main():
    binary = os.path.abspath(sys.argv[1])
    tests = [(name, value) for name, value in globals().items()
             if name.startswith('test_') and all(word in name for word in sys.argv[2:])]
    failed = 0
    for name, test in tests:
        terminal = Terminal(binary, *getattr(test, 'args', []))
        try:
            test(terminal)
            if b'Sanitizer' in terminal.output and 'crash' not in name:
                raise AssertionError('a sanitizer complains')
        except AssertionError as error:
            failed += 1
            print(f'FAIL {name}: {error}\n     {terminal.output[-600:]}')
        finally:
            terminal.close()
    print(f'{len(tests) - failed} of {len(tests)} tests on a terminal passed')
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
