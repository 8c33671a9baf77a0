/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Integer work: state machines, lists, matrices, hashing, sorting, calls, copies, strings, division. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

/* --- like CoreMark: linked list, small matrix, state machine, crc --- */

typedef struct Node {
    struct Node *next;
    int16_t key, value;
} Node;

static uint16_t crc16(uint16_t crc, uint16_t value)
{
    for (int i = 0; i < 16; i++) {
        unsigned carry = (crc ^ value) & 1;

        crc >>= 1;
        value >>= 1;
        if (carry) {
            crc ^= 0xa001;
        }
    }
    return crc;
}

static Node *reverse_list(Node *list)
{
    Node *done = NULL;

    while (list) {
        Node *next = list->next;

        list->next = done;
        done = list;
        list = next;
    }
    return done;
}

static Node *find_key(Node *list, int key)
{
    while (list && list->key != key) {
        list = list->next;
    }
    return list;
}

static unsigned scan_numbers(const char *text, unsigned counts[6])
{
    enum { START, SIGN, INT, FRACTION, EXPONENT, INVALID } state = START;
    unsigned tokens = 0;

    for (; *text; text++) {
        char c = *text;

        if (c == ',') {
            counts[state]++;
            tokens++;
            state = START;
            continue;
        }
        switch (state) {
        case START:
            state = c == '+' || c == '-' ? SIGN : c >= '0' && c <= '9' ? INT : c == '.' ? FRACTION : INVALID;
            break;
        case SIGN:
            state = c >= '0' && c <= '9' ? INT : c == '.' ? FRACTION : INVALID;
            break;
        case INT:
            state = c == '.' ? FRACTION : c == 'e' ? EXPONENT : c >= '0' && c <= '9' ? INT : INVALID;
            break;
        case FRACTION:
            state = c == 'e' ? EXPONENT : c >= '0' && c <= '9' ? FRACTION : INVALID;
            break;
        case EXPONENT:
            state = (c >= '0' && c <= '9') || c == '-' ? EXPONENT : INVALID;
            break;
        case INVALID:
            break;
        }
    }
    return tokens;
}

static uint64_t coremark_like(unsigned scale)
{
    enum { N = 12, NODES = 64 };
    static const char text[] = "5012,-1.5e7,+0.25,abc,99e-3,.5,17,3.14159,-x,1e9,0,42.42e1,";
    static int16_t a[N][N], b[N][N];
    Node nodes[NODES];
    uint16_t crc = 0;

    for (unsigned round = 0; round < 12000 * scale; round++) {
        unsigned counts[6] = {0};
        Node *list = NULL;

        for (int i = 0; i < NODES; i++) {
            nodes[i] = (Node){list, (i * 7 + round) & 63, i};
            list = &nodes[i];
        }
        list = reverse_list(list);
        for (int i = 0; i < 12; i++) {
            Node *found = find_key(list, (i * 5 + round) & 63);

            crc = crc16(crc, found ? found->value : 0);
        }
        for (int i = 0; i < N; i++) {
            for (int j = 0; j < N; j++) {
                int32_t sum = 0;

                a[i][j] = i * j + round;
                b[i][j] = i + j - round;
                for (int k = 0; k < N; k++) {
                    sum += a[i][k] * b[k][j];
                }
                crc ^= sum >> 3;
            }
        }
        scan_numbers(text, counts);
        for (int i = 0; i < 6; i++) {
            crc = crc16(crc, counts[i]);
        }
    }
    return crc;
}

/* --- like Dhrystone: records, string compares, small procedures --- */

typedef struct Record {
    struct Record *link;
    int kind, number;
    char text[31];
} Record;

static __attribute__((noinline)) int compare_texts(const char *x, const char *y)
{
    return strcmp(x, y) > 0 ? 10 : strlen(x) == strlen(y);
}

static __attribute__((noinline)) void copy_record(Record *from, Record *to, int n)
{
    *to = *from;
    to->number = n + 5;
    if (to->kind == 0) {
        to->kind = from->number > 100 ? 2 : 1;
    } else {
        to->link = from->link;
    }
}

static uint64_t dhrystone_like(unsigned scale)
{
    Record a = {.kind = 0, .number = 40}, b = {0};
    int table[50] = {0};
    uint64_t sum = 0;

    strcpy(a.text, "DHRYSTONE PROGRAM, SOME STRING");
    for (unsigned i = 0; i < 3000000 * scale; i++) {
        char other[31] = "DHRYSTONE PROGRAM, 2ND STRING";

        a.kind = i & 1;
        copy_record(&a, &b, i & 1023);
        table[i % 50] += compare_texts(a.text, other);
        table[(i + 7) % 50] = b.number;
        a.number = table[(i * 3) % 50] * 3 / (1 + (int)(i & 7));
        sum += a.number + b.kind;
    }
    return sum;
}

/* --- hashes --- */

static uint32_t rotr(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static uint32_t sha_k[64];

static void sha256_block(uint32_t h[8], const uint8_t *p)
{
    uint32_t w[64], v[8];

    for (int i = 0; i < 16; i++) {
        w[i] = (uint32_t)p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
    }
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10;

        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    memcpy(v, h, sizeof(v));
    for (int i = 0; i < 64; i++) {
        uint32_t s1 = rotr(v[4], 6) ^ rotr(v[4], 11) ^ rotr(v[4], 25);
        uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + sha_k[i] + w[i];
        uint32_t s0 = rotr(v[0], 2) ^ rotr(v[0], 13) ^ rotr(v[0], 22);
        uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

        memmove(v + 1, v, 7 * sizeof(v[0]));
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) {
        h[i] += v[i];
    }
}

static uint64_t sha256(unsigned scale)
{
    uint32_t h[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    uint8_t block[64];
    uint64_t seed = 88172645463325252u;

    for (int i = 0; i < 64; i++) {
        sha_k[i] = next_random(&seed);
        block[i] = next_random(&seed);
    }
    for (unsigned i = 0; i < 250000 * scale; i++) {
        block[i & 63] ^= h[i & 7];
        sha256_block(h, block);
    }
    return (uint64_t)h[0] << 32 | h[7];
}

static uint64_t crc32(unsigned scale)
{
    static uint32_t table[256];
    static uint8_t data[65536];
    uint32_t crc = ~0u;

    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int k = 0; k < 8; k++) {
            c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
        }
        table[i] = c;
    }
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = i * 31;
    }
    for (unsigned r = 0; r < 1200 * scale; r++) {
        for (size_t i = 0; i < sizeof(data); i++) {
            crc = table[(crc ^ data[i]) & 255] ^ crc >> 8;
        }
    }
    return crc;
}

/* --- sieve, sort, calls --- */

static uint64_t sieve(unsigned scale)
{
    enum { N = 1 << 20 };
    static uint8_t composite[N];
    uint64_t count = 0;

    for (unsigned r = 0; r < 25 * scale; r++) {
        memset(composite, 0, N);
        for (unsigned i = 2; i < N; i++) {
            if (!composite[i]) {
                count++;
                for (unsigned j = i * 2; j < N; j += i) {
                    composite[j] = 1;
                }
            }
        }
    }
    return count;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Our own heap sort with a callback, so that every machine runs the same one. */
static void sort_numbers(uint64_t *v, size_t n, int (*compare)(const void *, const void *))
{
    for (size_t start = n / 2, end = n; end > 1;) {
        size_t root, child;

        if (start) {
            start--;
        } else {
            uint64_t t = v[--end];

            v[end] = v[0];
            v[0] = t;
        }
        for (root = start; (child = 2 * root + 1) < end; root = child) {
            uint64_t t;

            if (child + 1 < end && compare(&v[child], &v[child + 1]) < 0) {
                child++;
            }
            if (compare(&v[root], &v[child]) >= 0) {
                break;
            }
            t = v[root];
            v[root] = v[child];
            v[child] = t;
        }
    }
}

static uint64_t sort(unsigned scale)
{
    enum { N = 100000 };
    uint64_t *v = malloc(N * sizeof(*v));
    uint64_t seed = 4101842887655102017u, sum = 0;

    for (unsigned r = 0; r < 8 * scale; r++) {
        for (int i = 0; i < N; i++) {
            v[i] = next_random(&seed);
        }
        sort_numbers(v, N, compare_numbers);
        sum = mix(sum, v[N / 2]);
    }
    free(v);
    return sum;
}

typedef struct Shape {
    const struct ShapeOps *ops;
    int64_t a, b;
} Shape;
typedef struct ShapeOps {
    int64_t (*area)(const Shape *s);
    void (*grow)(Shape *s, int64_t by);
} ShapeOps;

static __attribute__((noinline)) int64_t box_area(const Shape *s)
{
    return s->a * s->b;
}
static __attribute__((noinline)) int64_t line_area(const Shape *s)
{
    return s->a ^ s->b;
}
static __attribute__((noinline)) int64_t ring_area(const Shape *s)
{
    return s->a * s->a - s->b * s->b;
}
static __attribute__((noinline)) void grow_both(Shape *s, int64_t by)
{
    s->a += by;
    s->b -= by;
}
static __attribute__((noinline)) void grow_one(Shape *s, int64_t by)
{
    s->a ^= by;
}

static uint64_t virtual_calls(unsigned scale)
{
    static const ShapeOps ops[] = {{box_area, grow_both}, {line_area, grow_one}, {ring_area, grow_both}};
    Shape shapes[97];
    uint64_t sum = 0;

    for (int i = 0; i < 97; i++) {
        shapes[i] = (Shape){&ops[i * 7 % 3], i, i + 3};
    }
    for (unsigned r = 0; r < 300000 * scale; r++) {
        for (int i = r & 3; i < 97; i += 3) {
            shapes[i].ops->grow(&shapes[i], r & 15);
            sum += shapes[i].ops->area(&shapes[i]);
        }
    }
    return sum;
}

static __attribute__((noinline)) unsigned ackermann(unsigned m, unsigned n)
{
    return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

static __attribute__((noinline)) uint64_t fibonacci(unsigned n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint64_t recursion(unsigned scale)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < scale; i++) {
        sum += fibonacci(35) + ackermann(2, 900);
    }
    return sum;
}

/* --- copies and strings --- */

static uint64_t copy_many(size_t size, unsigned rounds)
{
    char *from = malloc(size + 64), *to = malloc(size + 64);
    uint64_t sum = 0;

    for (size_t i = 0; i < size + 64; i++) {
        from[i] = i * 13;
    }
    memset(to, 0, size + 64);
    for (unsigned r = 0; r < rounds; r++) {
        memcpy(to + (r & 7), from + (r * 3 & 15), size - (r & 7));
        from[r % size] = to[r * 7 % size];
        sum = mix(sum, (uint8_t)to[r % size]);
    }
    free(from);
    free(to);
    return sum;
}

static uint64_t memcpy_small(unsigned scale)
{
    return copy_many(48, 6000000 * scale);
}
static uint64_t memcpy_large(unsigned scale)
{
    return copy_many(1 << 20, 2500 * scale);
}

static uint64_t strings(unsigned scale)
{
    static const char *const words[] = {"alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel"};
    char text[512];
    uint64_t sum = 0;

    for (unsigned r = 0; r < 150000 * scale; r++) {
        text[0] = 0;
        for (int i = 0; i < 12; i++) {
            strcat(text, words[(r + i * 3) & 7]);
            strcat(text, i & 1 ? "-" : "/");
        }
        sum += strlen(text);
        sum += (uintptr_t)(strstr(text, "echo-") ? strstr(text, "echo-") - text : 0);
        for (char *p = text; (p = strchr(p, '/')); p++) {
            sum = mix(sum, p - text);
        }
        sum += strcmp(text, words[r & 7]) > 0;
    }
    return sum;
}

static uint64_t divide(unsigned scale)
{
    uint64_t seed = 12345678910111213u, sum = 0;

    for (unsigned i = 0; i < 10000000 * scale; i++) {
        uint64_t a = next_random(&seed), b = (a >> 40) + 1;

        sum += a / b + a % (b | 7) + (uint32_t)a / (uint32_t)(b | 1) + (a * b >> 17);
    }
    return sum;
}

const BenchProgram integer_programs[] = {
    {"coremark-like", "integer", coremark_like},
    {"dhrystone-like", "integer", dhrystone_like},
    {"sha256", "integer", sha256},
    {"crc32", "integer", crc32},
    {"sieve", "integer", sieve},
    {"sort", "integer", sort},
    {"virtual-calls", "integer", virtual_calls},
    {"recursion", "integer", recursion},
    {"memcpy-small", "integer", memcpy_small},
    {"memcpy-large", "integer", memcpy_large},
    {"strings", "integer", strings},
    {"divide", "integer", divide},
    {0},
};
