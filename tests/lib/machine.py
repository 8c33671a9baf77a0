# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs an emulator as a child process and talks to it: QMP, serial console, migration progress.

Works with every emulator that speaks QEMU's command line and QMP, so that the same script can drive the peer.
"""
import json
import os
import selectors
import shutil
import socket
import subprocess
import tempfile
import time

PAGE = 4096
RAM_BASE = 0x80000000


class MachineError(Exception):
    pass


class Lost(Exception):
    """Something that was in a machine's memory is not there any more."""


class Machine:
    """One emulator process with a QMP socket and its first serial port on a unix socket, both in `folder`."""

    def __init__(self, binary, folder, name, args, env=None):
        self.name = name
        self.folder = folder
        self.events = []
        self.output = b''
        self._input = b''
        self.serial = None
        qmp_path = os.path.join(folder, name + '.qmp')
        serial_path = os.path.join(folder, name + '.serial')
        self.log_path = os.path.join(folder, name + '.log')
        listeners = [self._listen(path) for path in (qmp_path, serial_path)]
        command = [binary, '-display', 'none', '-chardev', f'socket,id=qmp0,path={qmp_path}',
                   '-mon', 'chardev=qmp0,mode=control', '-chardev', f'socket,id=serial0,path={serial_path}',
                   '-serial', 'chardev:serial0', '-monitor', 'none'] + args
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        self.qmp_socket = self._accept(listeners[0])
        self.serial = self._accept(listeners[1])
        self.serial.setblocking(False)
        self._receive()
        self.qmp('qmp_capabilities')

    @staticmethod
    def _listen(path):
        if os.path.exists(path):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(1)
        return listener

    def _accept(self, listener):
        listener.settimeout(0.2)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                connection, _ = listener.accept()
                listener.close()
                connection.settimeout(120)
                return connection
            except socket.timeout:
                if self.process.poll() is not None:
                    raise MachineError(f'{self.name} ended with status {self.process.returncode}: {self.log()}')
        raise MachineError(f'{self.name} did not connect: {self.log()}')

    def log(self):
        with open(self.log_path, 'r', errors='replace') as log:
            return log.read().strip()

    def _receive(self):
        while b'\n' not in self._input:
            try:
                data = self.qmp_socket.recv(65536)
            except ConnectionError:
                data = b''
            if not data:
                raise MachineError(f'{self.name} closed its monitor: {self.log()}')
            self._input += data
        line, self._input = self._input.split(b'\n', 1)
        return json.loads(line)

    def qmp(self, command, **arguments):
        """Runs a command and returns its reply; names with '_' for '-' are for the caller to quote via **{}."""
        request = {'execute': command}
        if arguments:
            request['arguments'] = arguments
        try:
            self.qmp_socket.sendall(json.dumps(request).encode() + b'\n')
        except ConnectionError as error:
            raise MachineError(f'{self.name} closed its monitor: {self.log()}') from error
        while True:
            reply = self._receive()
            if 'event' in reply:
                self.events.append(reply)
            elif 'error' in reply:
                raise MachineError(f'{self.name}: {command}: {reply["error"]["desc"]}')
            else:
                return reply['return']

    def hmp(self, line):
        return self.qmp('human-monitor-command', **{'command-line': line})

    def poll_serial(self):
        """Reads what the serial port has sent so far; returns all of it since the start."""
        try:
            while True:
                data = self.serial.recv(65536)
                if not data:
                    break
                self.output += data
        except (BlockingIOError, ConnectionError):
            pass
        return self.output

    def wait_serial(self, text, timeout=120, start=0):
        """Waits until `text` has come over the serial port; returns the offset behind it."""
        selector = selectors.DefaultSelector()
        selector.register(self.serial, selectors.EVENT_READ)
        deadline = time.monotonic() + timeout
        while True:
            found = self.poll_serial().find(text, start)
            if found >= 0:
                return found + len(text)
            if self.process.poll() is not None:
                raise MachineError(f'{self.name} ended with status {self.process.returncode}: {self.log()}')
            if time.monotonic() > deadline:
                tail = self.output[-400:].decode(errors='replace')
                raise MachineError(f'{self.name}: "{text.decode()}" did not come in {timeout} s; last: {tail}')
            selector.select(0.2)

    def check_stores(self, alive, times=2, timeout=120):
        """The guest, which checks its own stores, says `alive` so often again, and has never missed one."""
        start = len(self.poll_serial())
        for _ in range(times):
            start = self.wait_serial(alive, timeout, start)
        at = self.output.find(b'LOST')
        if at >= 0:
            raise Lost(f'{self.name}: the guest says {self.output[at:at + 60]!r}')

    def type(self, text):
        self.serial.setblocking(True)
        self.serial.sendall(text.encode())
        self.serial.setblocking(False)

    def wait_status(self, wanted, timeout=120):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.qmp('query-status')['status'] == wanted:
                return
            time.sleep(0.01)
        raise MachineError(f'{self.name} did not become {wanted}')

    def set_capability(self, name, on=True):
        self.qmp('migrate-set-capabilities', capabilities=[{'capability': name, 'state': on}])

    def set_parameters(self, **values):
        """Names have '_' for '-'."""
        self.qmp('migrate-set-parameters', **{name.replace('_', '-'): value for name, value in values.items()})

    def migrate(self, uri, on_progress=None, timeout=300, interval=0.1):
        """Starts a migration and waits for its end; returns the last query-migrate reply."""
        self.qmp('migrate', uri=uri)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            info = self.qmp('query-migrate')
            if on_progress:
                on_progress(info)
            status = info.get('status')
            if status == 'completed':
                return info
            if status in ('failed', 'cancelled'):
                raise MachineError(f'{self.name}: migration {status}: {info.get("error-desc", "no reason given")}')
            time.sleep(interval)
        raise MachineError(f'{self.name}: the migration did not end in {timeout} s')

    def quit(self):
        if self.process.poll() is None:
            try:
                self.qmp('quit')
            except (MachineError, OSError):
                pass
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for connection in (self.qmp_socket, self.serial):
            connection.close()
        return self.process.returncode

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Machines:
    """The machines of one test and the folder of their files."""

    def __init__(self, prefix):
        self.folder = tempfile.mkdtemp(prefix=prefix)
        self.machines = []
        self.started = 0

    def close(self):
        for machine in self.machines:
            machine.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, binary, args, env=None):
        machine = Machine(binary, self.folder, f'm{self.started}', args, env={**os.environ, **(env or {})})
        self.started += 1
        self.machines.append(machine)
        return machine

    def compare(self, source, destination):
        """Both are stopped, and have the same in their RAM.  Returns how many bytes that is."""
        size = source.qmp('query-memory-size-summary')['base-memory']
        dumps = [self.path(machine.name + '.ram') for machine in (source, destination)]
        for machine, dump in zip((source, destination), dumps):
            machine.qmp('pmemsave', val=RAM_BASE, size=size, filename=dump)
        with open(dumps[0], 'rb') as a, open(dumps[1], 'rb') as b:
            stale = [at for at in range(0, size, PAGE) if a.read(PAGE) != b.read(PAGE)]
        for dump in dumps:
            os.unlink(dump)
        if stale:
            raise Lost(f'{source.name} and {destination.name} differ in {len(stale)} pages, the first is at '
                       f'0x{RAM_BASE + stale[0]:x}')
        return size
