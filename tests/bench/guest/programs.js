// SPDX-License-Identifier: GPL-2.0-or-later
// What JavaScript programs do, in parts: prints "BENCH node-part node seconds checksum" for each.  Runs by itself in the
// userland of scripts/get-rootfs, and on the host.
'use strict';

// The checksum of a part is that of all numbers and strings that it hands to note().
let sum = 0xcbf29ce484222325n;

function note(value) {
    for (const c of String(value))
        sum = ((sum ^ BigInt(c.codePointAt(0))) * 0x100000001b3n) & 0xffffffffffffffffn;
}

let seed = 1;

function random(n) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % n;
}

function word() {
    let text = '';
    for (let n = 2 + random(7); n > 0; n--)
        text += String.fromCharCode(97 + random(26));
    return text;
}

// Classes with virtual methods, short-lived objects, strings as keys of objects and of Map.
class Shape { constructor(name) { this.name = name; } area() { return 0; } }
class Box extends Shape { constructor(a, b) { super('box'); this.a = a; this.b = b; } area() { return this.a * this.b; } }
class Disc extends Shape { constructor(r) { super('disc'); this.r = r; } area() { return 3 * this.r * this.r; } }

function objects() {
    const words = Array.from({length: 3000}, word), counts = new Map(), byName = {};
    for (let i = 0; i < 200000; i++) {
        const w = words[random(words.length)];
        counts.set(w, (counts.get(w) || 0) + 1);
        const shape = i % 3 ? new Box(i % 17, 3) : new Disc(i % 11);
        byName[shape.name + i % 50] = (byName[shape.name + i % 50] || 0) + shape.area();
    }
    note([...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 20).join());
    note(Object.keys(byName).sort().map(name => name + byName[name]).join());
}

// Integer and floating point loops over typed arrays.
function arrays() {
    const n = 120, a = new Float64Array(n * n), b = new Float64Array(n * n), c = new Float64Array(n * n);
    for (let i = 0; i < n * n; i++) {
        a[i] = random(1000) / 8;
        b[i] = random(1000) / 16;
    }
    for (let i = 0; i < n; i++)
        for (let j = 0; j < n; j++) {
            let s = 0;
            for (let k = 0; k < n; k++)
                s += a[i * n + k] * b[k * n + j];
            c[i * n + j] = s;
        }
    note(c.reduce((x, y) => x + y));
    const sieve = new Uint8Array(1000000);
    let primes = 0;
    for (let i = 2; i < sieve.length; i++) {
        if (sieve[i])
            continue;
        primes++;
        for (let k = i * 2; k < sieve.length; k += i)
            sieve[k] = 1;
    }
    note(primes);
    const table = new Int32Array(1 << 16);
    for (let i = 0; i < 2000000; i++)
        table[random(table.length)] += i & 0xff;
    note(table.reduce((x, y) => (Math.imul(x, 31) + y) | 0));
}

function regexps() {
    let text = '';
    for (let i = 0; i < 12000; i++)
        text += `${word()}@${word()}.${random(2) ? 'org' : 'net'} 19${10 + random(90)}-0${1 + random(9)}-1${random(10)} `;
    for (let round = 0; round < 3; round++) {
        note((text.match(/\b[a-z]+@[a-z]+\.org\b/g) || []).length);
        let years = 0;
        for (const m of text.matchAll(/(?<year>\d{4})-(?<month>\d\d)-(?<day>\d\d)/g))
            years += Number(m.groups.year) * Number(m.groups.month);
        note(years);
        note(text.replace(/([aeiou])([^aeiou\s]+)/g, '$2$1').length);
        note(text.split(/[\s@.]+/).filter(w => /^(.).*\1$/.test(w)).length);
    }
}

// Functions that make functions, generators, exceptions, promises.
function closures() {
    const compose = (...fs) => x => fs.reduce((v, f) => f(v), x);
    const steps = Array.from({length: 8}, (_, i) => x => (Math.imul(x, 2 * i + 3) + i) | 0);
    let x = 1;
    for (let i = 0; i < 60000; i++)
        x = compose(...steps.slice(i % 4))(x);
    note(x);
    function* numbers(n) { for (let i = 0; i < n; i++) yield i; }
    let total = 0;
    for (const i of numbers(300000))
        total += i % 7;
    note(total);
    for (let i = 0; i < 20000; i++) {
        try {
            if (i % 3)
                throw new RangeError('a' + i);
            total++;
        } catch (error) {
            total += error.message.length;
        }
    }
    note(total);
    const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2);
    note(fib(27));
}

function json() {
    const rows = Array.from({length: 4000}, (_, id) => ({id, name: word(), tags: [word(), word()], at: {x: random(1000) / 7, y: null}}));
    let text = JSON.stringify(rows);
    for (let i = 0; i < 6; i++) {
        const back = JSON.parse(text);
        back.forEach(row => { row.id += 1; row.tags.reverse(); });
        text = JSON.stringify(back);
    }
    note(text.length);
    note(text.slice(0, 2000));
}

// Trees that live for different times, so that both generations are collected.
function garbage() {
    const tree = depth => depth ? {left: tree(depth - 1), right: tree(depth - 1), depth} : null;
    const count = t => t ? 1 + count(t.left) + count(t.right) : 0;
    const kept = [];
    let nodes = 0;
    for (let i = 0; i < 120; i++) {
        nodes += count(tree(11));
        if (i % 8 === 0)
            kept.push(tree(12));
        if (kept.length > 6)
            nodes += count(kept.shift());
    }
    note(nodes);
}

// Code that was never run before: each function is compiled, runs a few times and is forgotten.
function evaluate() {
    let total = 0;
    for (let i = 0; i < 1500; i++) {
        const f = new Function('a', 'b', `let s = ${i}; for (let i = a; i < b; i++) { s = (s * ${i % 9 + 2} + i) % ${i + 1009}; } return s;`);
        total += f(0, 20) + f(3, 9);
    }
    note(total);
}

const parts = {objects, arrays, regexps, closures, json, garbage, evaluate};
const only = process.argv.slice(2);
for (const [name, part] of Object.entries(parts)) {
    if (only.length && !only.includes(name))
        continue;
    const began = process.hrtime.bigint();
    sum = 0xcbf29ce484222325n;
    seed = 1;
    part();
    const seconds = Number(process.hrtime.bigint() - began) / 1e9;
    console.log(`BENCH node-${name} node ${seconds.toFixed(3)} ${sum.toString(16).padStart(16, '0')}`);
}
