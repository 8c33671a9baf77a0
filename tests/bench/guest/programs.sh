#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Whole programs of a Debian userland: prints "BENCH name programs seconds checksum" for each.  Runs in a chroot of the
# image of scripts/get-rootfs.
export PATH=/usr/bin:/usr/sbin LC_ALL=C
cd /tmp || exit 1

# Hundredths of a second since the guest started.
hundredths()
{
    read -r up _ </proc/uptime
    echo "${up/./}"
}

# bench NAME COMMAND: runs the command, takes a checksum of what it prints.
bench()
{
    begin=$(hundredths)
    sum=$(bash -c "$2" 2>/dev/null | sha256sum | cut -c 1-16)
    took=$(($(hundredths) - begin))
    printf 'BENCH %s programs %d.%02d %s\n' "$1" $((took / 100)) $((took % 100)) "$sum"
}

python3 -c 'import random
random.seed(1)
words = [bytes(random.randrange(97, 123) for _ in range(random.randrange(2, 10))) for _ in range(3000)]
open("data", "wb").write(b" ".join(random.choice(words) for _ in range(600000)))'

cat >loops.py <<'END'
def primes(n):
    found = []
    for i in range(2, n):
        if all(i % p for p in found if p * p <= i):
            found.append(i)
    return found
counts = {}
for p in primes(6000):
    counts[p % 97] = counts.get(p % 97, 0) + 1
text = "".join(chr(97 + i * i % 26) for i in range(200000))
print(sorted(counts.items())[:5], len(set(text[i:i + 3] for i in range(len(text) - 3))))
print(sum(x * x % 7 for x in range(600000)))
END
cat >hello.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct item { int key; struct item *next; };
static struct item *table[256];
static void add(int k) { struct item *i = malloc(sizeof *i); i->key = k; i->next = table[k & 255]; table[k & 255] = i; }
int main(void) { for (int i = 0; i < 1000; i++) add(i * 7); printf("%d\n", table[3]->key); return 0; }
END
cat >queries.sql <<'END'
create table t(a integer primary key, b text, c real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)
insert into t select i, 'name' || (i * 7919 % 10007), i * 0.5 from n;
create index tb on t(b);
select count(*), sum(c) from t where b like 'name1%';
select b, count(*) as k from t group by b order by k desc, b limit 5;
select sum(x.c * y.c) from t x join t y on y.a = x.a * 2 % 50000 + 1 where x.a % 3 = 0;
END
cat >words.pl <<'END'
local $/;
my ($text, %count, %pairs) = (<>);
$text =~ s/([aeiou])([^aeiou ]+)/$2$1/g;
my @words = split / /, substr $text, 0, 400000;
$count{$_}++ for @words;
$pairs{$words[$_ - 1] . substr $words[$_], 0, 1} += length $words[$_] for 1 .. $#words;
printf "%s %d\n", $_, $count{$_} for (sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count)[0 .. 20];
print scalar(keys %pairs), "\n", join ',', grep { /^(.).*\1$/ } sort keys %count;
END

bench gzip 'gzip -6 -n -c data'
bench xz 'head -c 1000000 data | xz -3 -T1 -c'
bench zstd 'zstd -q -6 -T1 -c data'
bench sqlite3 'sqlite3 :memory: <queries.sql'
bench python3 'python3 loops.py'
bench gcc 'gcc -O2 -S -o - hello.c; gcc -O2 -S -o - hello.c'
bench openssl-sha256 'for i in 1 2 3 4 5 6; do openssl dgst -sha256 data; done'
bench shell-loop 'i=0; while [ $i -lt 60000 ]; do i=$((i + 1)); case $i in *77) echo $i ;; esac; done'
bench shell-fork 'i=0; while [ $i -lt 120 ]; do i=$((i + 1)); /bin/true; expr $i + 1; done'
bench perl 'perl words.pl data'
bench node-start "node -p '6 * 7'"
node programs.js
echo PROGRAMS-END
