#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Command lines that cannot work: each ends with status 1 and one line that names the thing, and leaves nothing behind.

Usage: bad_input.py BINARY [WORD...]      (only cases whose command line contains a WORD)
"""
import os
import re
import shlex
import socket
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault('ASAN_OPTIONS', 'detect_leaks=0')   # what an ending process holds is no leak

PROGRAM = 'godwit-system-riscv64'
BASE = ['-bios', 'none', '-display', 'none']
LONG = 'x' * 200

# (command line behind BASE, pieces the message must have)
CASES = [
    # the command line itself
    ('-nosuchoption', "unknown option '-nosuchoption'"),
    ('-machin virt', "'-machin' (did you mean '-machine'?)"),
    ('-m', "option '-m' needs an argument"),
    ('--kernel', "option '--kernel' needs an argument"),
    ('-', "'-'"),
    ('""', "''"),

    # machine, CPU, accelerator
    ('-M vrit', "unknown machine 'vrit' (did you mean 'virt'?)"),
    ('-M zzz', "unknown machine 'zzz'", 'help'),
    ('-M zzz,help', "unknown machine 'zzz'"),
    ('-M virt,aclnt=on', '-machine virt', "'aclnt' (did you mean 'aclint'?)"),
    ('-M virt,aclint=perhaps', '-machine virt', "'aclint'", "'perhaps'"),
    ('-M virt,aia=aplic', "'aia'", "'aplic'"),
    ('-M virt,dumpdtb', "'dumpdtb' needs a value"),
    ('-M virt,dumpdtb=no/such/folder/x.dtb', 'no/such/folder/x.dtb'),
    ('-M virt,memory-backend=nobody', "'nobody' not found"),
    ('-M =virt', "=virt", 'name is missing'),
    ('-M none -kernel plain', "machine 'none'", '-kernel'),
    ('-cpu rv46', "CPU model 'rv46'", "'rv64'"),
    ('-cpu rv64,zbz=on', "CPU model 'rv64'", "'zbz' is unexpected"),
    ('-cpu rv64,zbb=7', "'zbb'", "'7'"),
    ('-accel tgc', "accelerator 'tgc'", "'tcg'"),
    ('-accel kvm', "accelerator 'kvm'"),
    ('-M virt,accel=xen:kvm', "accelerator 'kvm'"),
    ('-accel tcg,thred=multi', '-accel tcg,thred=multi', "'thred'", "'thread'"),
    ('-accel tcg,tb-size=lots', "'tb-size'", "'lots'"),
    ('-accel tcg,thread=some', "'thread'", "'some'"),
    ('-accel qtest,x=1', "'qtest'"),

    # sizes and numbers
    ('-m 0', '-m 0'),
    ('-m -1', "'-1' is not a size"),
    ('-m 16E', "size '16E' does not fit"),
    ('-m 15E', 'RAM'),
    ('-m 100T', 'RAM|memory'),
    ('-m 128X', "'128X' is not a size"),
    ('-m 1.5.5G', "'1.5.5G' is not a size"),
    ('-m ""', "-m"),
    ('-m 99999999999999999999999', 'does not fit'),
    ('-m 128,slots=many', "'many' is not a number"),
    ('-m 128,slots', "'slots' needs a value"),
    ('-m 128,size', "'size' needs a value"),
    ('-m 128,sluts=2', "'sluts'"),
    ('-m 1G,maxmem=512M', 'maxmem'),
    ('-m 1G,maxmem=16000000T,slots=2', 'maxmem|memory|RAM'),
    ('-m 128M,slots=99999999999', "slots"),
    ('-m 4097b', 'RAM'),
    ('-smp 0', "'cpus'", 'from 1'),
    ('-smp 10000', "'cpus'"),
    ('-smp 513', "'cpus'"),
    ('-smp -1', "-smp -1"),
    ('-smp two', "'two' is not a number"),
    ('-smp 4,maxcpus=2', 'maxcpus=2'),
    ('-smp cpuss=2', "'cpuss'", "'cpus'"),
    ('-smp 2,sockets=0', "'sockets'"),
    ('-smp 4,sockets=3', "sockets"),
    ('-smp 4,sockets=1,cores=1,threads=2', "threads"),
    ('-numa nodes', "node"),
    ('-numa node,memdev=nobody', "'nobody'"),
    ('-numa node,cpus=3-1', 'NUMA'),
    ('-numa node,cpus=x', "'cpus=x'"),
    ('-numa node,cpus=0-99', 'NUMA'),

    # what it boots
    ('-kernel nosuchfile', "kernel 'nosuchfile'", 'No such file'),
    ('-kernel folder', "kernel 'folder'", 'director|regular'),
    ('-kernel empty', "kernel 'empty'", 'empty|short'),
    ('-kernel x86.elf', "kernel 'x86.elf'", 'x86-64', 'riscv64'),
    ('-kernel arm64.image', "kernel 'arm64.image'", 'aarch64'),
    ('-kernel riscv32.elf', "kernel 'riscv32.elf'", 'riscv32'),
    ('-kernel bigendian.elf', "kernel 'bigendian.elf'", 'big-endian'),
    ('-kernel short.elf', "kernel 'short.elf'", 'ELF'),
    ('-kernel damaged.elf', "kernel 'damaged.elf'", 'damaged'),
    ('-kernel huge.elf', "kernel 'huge.elf'", 'RAM|large'),
    ('-kernel low.elf', "'reset ROM'", "'low.elf'"),
    ('-kernel gzip', "kernel 'gzip'", 'gzip'),
    ('-kernel text', "kernel 'text'", 'text'),
    ('-kernel qcow2', "kernel 'qcow2'", 'qcow2'),
    ('-kernel plain -m 1M', None),
    ('-kernel big -m 2M', "kernel 'big'", 'RAM'),
    ('-initrd plain', '-initrd needs -kernel'),
    ('-kernel plain -initrd nosuchfile', "initrd 'nosuchfile'", 'No such file'),
    ('-kernel plain -initrd folder', "initrd 'folder'", 'director|regular'),
    ('-kernel plain -initrd empty', "initrd 'empty'", 'empty'),
    ('-kernel plain -initrd big -m 2M', "initrd 'big'", 'RAM'),
    ('-bios nosuchfile', "firmware 'nosuchfile'", 'No such file'),
    ('-bios folder', "firmware 'folder'", 'director|regular'),
    ('-bios empty', "firmware 'empty'", 'empty'),
    ('-bios x86.elf', "firmware 'x86.elf'", 'x86-64'),
    ('-bios qcow2', "firmware 'qcow2'", 'qcow2'),
    ('-bios text', "firmware 'text'", 'text'),
    ('-bios gzip', "firmware 'gzip'", 'gzip'),
    ('-bios big -m 1M', "firmware 'big'", 'RAM'),
    ('-dtb nosuchfile', "'nosuchfile'"),
    ('-dtb text', "'text'", 'device tree'),
    ('-dtb empty', "'empty'"),
    ('-dtb folder', "'folder'"),
    ('-dtb zeroes', "'zeroes'"),
    ('-append hello', '-append needs -kernel'),
    ('-L nosuchfolder', "'nosuchfolder' is not a folder"),
    ('-L plain', "'plain' is not a folder"),
    ('-smbios type=1', 'SMBIOS'),
    ('-boot ordr=c', "'ordr'", "'order'"),
    ('-boot menu=maybe', "'maybe'"),
    ('-k ""', '-k'),

    # devices, objects, globals
    ('-device virtio-blk-devise', "'virtio-blk-devise'", "'virtio-blk-device'"),
    ('-device e1000', "'e1000'"),
    ('-device ""', '-device'),
    ('-device id=x', 'driver'),
    ('-device driver', None),
    ('-device virtio-blk-device', 'drive'),
    ('-device virtio-blk-device,drive=nobody', "'nobody'"),
    ('-device virtio-blk-device,drve=x', "'drve'", "'drive'"),
    ('-device virtio-rng-device,id=a -device virtio-rng-device,id=a', "'a'"),
    ('-device virtio-rng-device,bus=nobus', "'nobus'"),
    ('-device virtio-rng-device,max-bytes=lots', "'max-bytes'", "'lots'"),
    ('-device virtio-net-device,netdev=nobody', "'nobody'"),
    ('-netdev hubport,id=n,hubid=0 -device virtio-net-device,netdev=n,mac=zz', "'zz'"),
    ('-netdev hubport,id=n,hubid=0 -device virtio-net-device,netdev=n,mac=01:00:00:00:00:00', 'multicast'),
    (' '.join(['-device virtio-rng-device'] * 9), 'virtio-rng-device', 'bus|slot|room'),
    ('-device pc-dimm,memdev=m', "'m'"),
    ('-object memory-backend-ram,id=m,size=64M -device pc-dimm,memdev=m', 'maxmem|room'),
    ('-device virtserialport,chardev=x', 'bus|x'),
    ('-device riscv.sifive.plic', 'riscv.sifive.plic'),
    ("-device '{\"driver\":'", 'JSON'),
    ("-device '[1]'", None),
    ('-object memory-backend-rm,id=m,size=1M', "'memory-backend-rm'", "'memory-backend-ram'"),
    ('-object memory-backend-ram,id=m', "'m'", 'size'),
    ('-object memory-backend-ram,size=1M', "id"),
    ('-object memory-backend-ram,id=m,size=0', 'size'),
    ('-object memory-backend-ram,id=m,size=15E', "'m'"),
    ('-object memory-backend-ram,id=m,size=1M,shared=on', "'shared'", "'share'"),
    ('-object memory-backend-ram,id=m,size=1M -object memory-backend-ram,id=m,size=1M', "'m'", 'already'),
    ('-object memory-backend-file,id=m,size=1M', "'mem-path'"),
    ('-object memory-backend-file,id=m,size=1M,mem-path=no/such/folder/x', 'no/such/folder/x'),
    ('-object memory-backend-ram,id=m,size=64M -M virt,memory-backend=m', "'m'", '128 MiB', '64 MiB'),
    ('-object secret,id=s', "'secret'"),
    ('-object iothread', "id"),
    ('-global nonsense', 'TYPE.PROPERTY=VALUE'),
    ('-global virtio-mmio.force-legcy=off', "'force-legcy'"),
    ('-global virtio-mmio.force-legacy=sometimes', 'force-legacy', "'sometimes'"),
    ('-global migration.no-such=1', 'no-such'),

    # drives
    ('-drive file=nosuchfile,format=raw', "'nosuchfile'"),
    ('-drive file=folder,format=raw', "'folder'", 'director|regular'),
    ('-drive file=plain,format=qcow2', "'qcow2'"),
    ('-drive file=qcow2', "'qcow2'", 'raw'),
    ('-drive file=plain,if=ide', "'ide'"),
    ('-drive file=plain,if=vrtio', "'vrtio'", "'virtio'"),
    ('-drive fil=plain', "'fil'", "'file'"),
    ('-drive format=raw', "'file' is missing"),
    ('-drive file=plain,cache=some', "'some'"),
    ('-drive file=plain,unit=5000', '5000'),
    ('-drive file=plain,if=virtio,unit=0 -drive file=plain,if=virtio,unit=0', 'unit 0'),
    ('-drive file=plain,id=d,if=none -drive file=text,id=d,if=none', "'d'", 'already'),
    ('-drive file=plain,id=a,if=none -drive file=plain,id=b,if=none', "'plain'", 'lock|use'),
    ('-drive ""', '-drive'),
    ('-drive file=plain,if=pflash', 'flash', 'size|bytes|MiB'),
    ('-blockdev driver=file,node-name=n,filename=nosuchfile', "'nosuchfile'"),
    ('-blockdev driver=fil,node-name=n', "'fil'", "'file'"),
    ('-blockdev driver=file,filename=plain', 'node-name'),
    ('nosuchimage', "'nosuchimage'"),
    ('folder', "'folder'"),
    ('qcow2', "'qcow2'", 'raw'),
    ('plain plain', "'plain'"),

    # networks
    ('-netdev user', "id="),
    ('-netdev usr,id=n', "'usr'", "'user'"),
    ('-netdev tap,id=n', "'tap'"),
    ('-netdev ""', '-netdev'),
    ('-netdev user,id=n,hostfwd=nonsense', "nonsense"),
    ('-netdev user,id=n,hostfwd=tcp::99999-:22', "99999"),
    ('-netdev user,id=n,hostfwrd=tcp::1-:2', "'hostfwrd'"),
    ('-netdev user,id=n,net=500.0.0.0/8', '500.0.0.0'),
    ('-netdev user,id=n -netdev user,id=n', "'n'", 'already'),
    ('-netdev hubport,id=n,netdev=nobody', "'nobody'"),
    ('-netdev hubport,id=n,hubid=x', "'x'"),
    ('-nic user', "'none'"),
    ('-net user', "'none'"),

    # character devices
    ('-chardev sokcet,id=c', "'sokcet'", "'socket'"),
    ('-chardev null', "'id='"),
    ('-chardev ""', '-chardev'),
    ('-chardev null,id=c -chardev null,id=c', "'c'", 'already'),
    ('-chardev null,id=c,path=x', "'path'"),
    ('-chardev socket,id=c', "path|host"),
    ('-chardev socket,id=c,path=x,host=localhost,port=1', "path|host"),
    ('-chardev socket,id=c,path=no/such/folder/s,server=on,wait=off', 'no/such/folder/s'),
    ('-chardev socket,id=c,path=nobody.sock', 'nobody.sock'),
    ('-chardev socket,id=c,path=plain,server=on,wait=off', 'plain'),
    ('-chardev socket,id=c,path=folder,server=on,wait=off', 'folder'),
    ('-chardev socket,id=c,path=busy.sock,server=on,wait=off', 'busy.sock'),
    (f'-chardev socket,id=c,path={LONG},server=on,wait=off', 'long'),
    ('-chardev socket,id=c,host=localhost,port=99999,server=on,wait=off', '99999'),
    ('-chardev socket,id=c,host=localhost,port=nonsense,server=on,wait=off', 'nonsense'),
    ('-chardev socket,id=c,host=no.such.host.invalid,port=1', 'no.such.host.invalid'),
    ('-chardev socket,id=c,path=s,sever=on', "'sever'", "'server'"),
    ('-chardev socket,id=c,fd=77', '77'),
    ('-chardev socket,id=c,fd=0', 'descriptor 0', 'socket'),
    ('-chardev socket,id=c,fd=0,server=on,wait=off', 'descriptor 0', 'socket'),
    ('-chardev file,id=c', "'path'"),
    ('-chardev file,id=c,path=folder', "'folder'"),
    ('-chardev file,id=c,path=no/such/folder/f', 'no/such/folder/f'),
    ('-chardev pipe,id=c,path=nosuchpipe', "'nosuchpipe'"),
    ('-chardev fd,id=c,fd=77', '77'),
    ('-chardev fd,id=c,fd=x', "'x'"),
    ('-chardev ringbuf,id=c,size=3', "size|power"),
    ('-chardev ringbuf,id=c,size=0', "size|power"),
    ('-chardev null,id=c,logfile=no/such/folder/l', 'no/such/folder/l'),
    ('-chardev null,id=c,mux=maybe', "'maybe'"),
    ('-serial nonsense', "-serial nonsense", "'nonsense'"),
    ('-serial ""', '-serial'),
    ('-serial chardev:nobody', "'nobody'"),
    ('-serial unix:', '-serial unix:'),
    ('-serial unix:no/such/folder/s,server=on,wait=off', 'no/such/folder/s'),
    ('-serial tcp:nowhere', "'nowhere'"),
    ('-serial tcp:', '-serial tcp:'),
    ('-serial tcp:localhost:', 'localhost'),
    ('-serial file:', '-serial file:'),
    ('-serial stdio -monitor stdio', 'stdio'),
    ('-echr 999', '999'),
    ('-echr x', "'x'"),

    # monitors
    ('-qmp nonsense', "'nonsense'"),
    ('-qmp unix:no/such/folder/q,server=on,wait=off', 'no/such/folder/q'),
    ('-qmp unix:nobody.sock', 'nobody.sock'),
    ('-monitor nonsense', "'nonsense'"),
    ('-mon nobody', "'nobody'"),
    ('-mon mode=control', "'chardev'"),
    ('-chardev null,id=c -mon c,mode=contrl', "'contrl'", "'control'"),
    ('-chardev null,id=c -mon c -mon c', "'c'", 'use'),
    ('-qtest nonsense', "-qtest nonsense"),
    ('-qtest unix:nobody.sock', 'nobody.sock'),
    ('-qtest null -qtest null', 'only one'),
    ('-qtest null -qtest-log no/such/folder/l', 'no/such/folder/l'),
    # nothing half done: what was opened before the error goes away
    ('-chardev socket,id=c,path=made.sock,server=on,wait=off -qmp nonsense', "'nonsense'"),
    ('-qmp unix:made.sock,server=on,wait=off -device nonsense', "'nonsense'"),
    ('-qmp unix:made.sock,server=on,wait=off -incoming nonsense', "nonsense"),
    ('-serial unix:made.sock,server=on,wait=off -pidfile made.pid -kernel nosuchfile', "'nosuchfile'"),
    ('-chardev pty,id=c,path=made.pty -kernel nosuchfile', "'nosuchfile'"),

    # migration
    ('-incoming nonsense', '-incoming', 'nonsense'),
    ('-incoming nonsense:x', 'nonsense'),
    ('-incoming ""', '-incoming'),
    ('-incoming unix:', '-incoming'),
    ('-incoming unix:no/such/folder/m', 'no/such/folder/m'),
    ('-incoming tcp:nowhere', 'nowhere'),
    ('-incoming tcp:localhost:99999', '99999'),
    ('-incoming fd:77', '77'),
    ('-incoming fd:nobody', 'nobody'),
    ('-incoming file:nosuchfile', 'nosuchfile'),
    ('-incoming file:plain,offset=x', "x"),
    ('-incoming file:plain,offst=1', 'plain|offst'),
    ('-incoming file:text', 'migration|stream|magic'),
    ('-incoming file:empty', 'end|short|empty|stream'),
    ('-incoming file:folder', 'folder|director'),
    ("-incoming '{}'", 'incoming|transport|addr'),
    ("-incoming '[[['", None),
    ('-incoming exec:false', 'end|stream|exec|command'),
    ('-loadvm x', '-loadvm'),

    # the rest
    ('-pidfile no/such/folder/p', 'no/such/folder/p'),
    ('-pidfile folder', 'folder'),
    ('-pidfile ""', '-pidfile'),
    ('-pidfile pipe', "'pipe'", 'regular'),
    ('-uuid nonsense', "'nonsense'"),
    ('-rtc base=1999', 'base=1999'),
    ('-run-with exit=on', "'exit'"),
    ('-display gtk', "'gtk'"),
    ('-vga std', "'std'"),
    ('-audio alsa', "'alsa'"),
    ('-d nonsense', "'nonsense'"),
    ('-D no/such/folder/l', 'no/such/folder/l'),
    ('-trace nosuchevent', "'nosuchevent'"),
    ('-trace events=nosuchfile', 'nosuchfile'),
    ('-trace file=no/such/folder/t', 'no/such/folder/t'),
    ('-daemonize -kernel nosuchfile', "'nosuchfile'"),
    ('-daemonize -serial stdio', '-daemonize'),
    ('-daemonize -run-with exit-with-parent=on', '-daemonize', 'exit-with-parent'),
    ('-daemonize -incoming unix:no/such/folder/m', 'no/such/folder/m'),
]


def elf(machine=243, elf_class=2, data=1, segments=(), entry=0x80000000):
    ident = b'\x7fELF' + bytes([elf_class, data, 1]) + bytes(9)
    order = '<' if data == 1 else '>'
    header = ident + struct.pack(order + 'HHIQQQIHHHHHH', 2, machine, 1, entry, 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    table = b''.join(struct.pack(order + 'IIQQQQQQ', 1, 7, offset, addr, addr, filesz, memsz, 4096)
                     for offset, addr, filesz, memsz in segments)
    return header + table


def make_files(folder):
    """What the cases speak of."""
    image = bytearray(4096)
    image[0:4] = struct.pack('<I', 0x0000006f)
    arm = bytearray(image)
    arm[0x38:0x3c] = b'ARM\x64'
    files = {
        'empty': b'',
        'plain': bytes(image),
        'big': bytes(image) * 1024,
        'zeroes': bytes(4096),
        'text': b'this is no program at all, and it is long enough to be told from one by its letters\n' * 4,
        'gzip': b'\x1f\x8b\x08\x00' + bytes(4096),
        'qcow2': b'QFI\xfb' + struct.pack('>I', 3) + bytes(4096),
        'x86.elf': elf(machine=62),
        'riscv32.elf': elf(elf_class=1),
        'bigendian.elf': elf(data=2),
        'short.elf': elf()[:20],
        'damaged.elf': elf(segments=[(1 << 40, 0x80000000, 4096, 4096)]),
        'huge.elf': elf(segments=[(0, 0x80000000, 64, 1 << 62)]),
        'low.elf': elf(segments=[(0, 0x1000, 64, 64)], entry=0x1000),
        'arm64.image': bytes(arm),
    }
    for name, data in files.items():
        with open(os.path.join(folder, name), 'wb') as out:
            out.write(data)
    os.mkdir(os.path.join(folder, 'folder'))
    os.mkfifo(os.path.join(folder, 'pipe'))


def snapshot(folder):
    state = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        state[name] = open(path, 'rb').read() if os.path.isfile(path) else None
    return state


def problem_of(result, pieces, before, after):
    """What is wrong with the end of the process; None: nothing."""
    err = result.stderr.decode(errors='replace')
    lines = [line for line in err.splitlines() if line and ': info: ' not in line]
    if 'Sanitizer' in err or 'runtime error' in err:
        return 'a sanitizer complains'
    if result.returncode != 1:
        return f'status {result.returncode} instead of 1'
    if result.stdout:
        return f'it wrote to standard output: {result.stdout[:100]}'
    if len(lines) != 1:
        return f'{len(lines)} lines instead of 1'
    if not lines[0].startswith(PROGRAM + ': ') or not lines[0][len(PROGRAM) + 2:].strip():
        return 'the line does not start with the name of the program and say something'
    for piece in pieces:
        alternatives = piece.split('|') if re.fullmatch(r"[\w|=.-]+", piece) else [piece]
        if not any(text in lines[0] for text in alternatives):
            return f'the line does not say {piece}'
    if before != after:
        return 'files were left behind or changed: ' + ', '.join(sorted(
            name for name in set(before) | set(after) if before.get(name, 0) != after.get(name, 0)))
    return None


def run_case(binary, case):
    """Returns (command line, what is wrong or None, standard error)."""
    line, pieces = case[0], [piece for piece in case[1:] if piece]
    with tempfile.TemporaryDirectory(prefix='cli-') as folder:
        make_files(folder)
        busy = socket.socket(socket.AF_UNIX)
        busy.bind(os.path.join(folder, 'busy.sock'))
        busy.listen(1)
        before = snapshot(folder)
        words = shlex.split(line)
        base = [] if '-bios' in words else BASE[:2]
        base += [] if '-display' in words else BASE[2:]
        try:
            result = subprocess.run([binary] + base + words, cwd=folder, stdin=subprocess.DEVNULL,
                                    capture_output=True, timeout=30)
        except subprocess.TimeoutExpired as late:
            return line, 'it did not end', (late.stderr or b'').decode(errors='replace')
        finally:
            busy.close()
        if '-daemonize' in words and result.returncode == 0:
            return line, 'a process is in the background now', ''
        if None in case[1:] and result.returncode == 0:
            return line, 'it ended well', ''
        return line, problem_of(result, pieces, before, snapshot(folder)), result.stderr.decode(errors='replace')


def main():
    binary = os.path.abspath(sys.argv[1])
    cases = [case for case in CASES if all(word in case[0] for word in sys.argv[2:])]
    failed = 0
    with ThreadPoolExecutor(2) as pool:
        for line, problem, err in pool.map(lambda case: run_case(binary, case), cases):
            if problem:
                failed += 1
                print(f'FAIL {line[:120]}\n     {problem}\n     {err.strip()[:600]}')
            elif '-v' in os.environ.get('CLI_TEST', ''):
                print(f'ok   {line[:60]:60} {err.strip()[len(PROGRAM) + 2:]}')
    print(f'{len(cases) - failed} of {len(cases)} bad command lines end as they should')
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
