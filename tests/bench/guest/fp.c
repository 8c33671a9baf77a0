/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Floating point: nbody, mandelbrot, a linear solver.  fp-fma.c is the same with fused multiply-add.  What is fused is
 * said here and not left to the compiler, whose choice differs between machines: all is compiled with contraction off.
 */
#include "bench.h"

#include <math.h>
#include <string.h>

#ifndef FP_SUFFIX
#define FP_SUFFIX ""
#define FP_TABLE  fp_plain_programs
/* a * b + c */
#define MULTIPLY_ADD(a, b, c)  ((a) * (b) + (c))
#define MULTIPLY_ADDF(a, b, c) ((a) * (b) + (c))
#endif

static uint64_t bits(double d)
{
    uint64_t u;

    memcpy(&u, &d, sizeof(u));
    return u;
}

typedef struct Body {
    double x[3], v[3], mass;
} Body;

static uint64_t nbody(unsigned scale)
{
    Body b[5];

    for (int i = 0; i < 5; i++) {
        b[i] = (Body){{i * 1.25, i * -0.75 + 1, i * 0.5}, {0.01 * i, 0.02 - 0.003 * i, 0.001 * i}, 1.0 / (i + 1)};
    }
    for (unsigned step = 0; step < 400000 * scale; step++) {
        for (int i = 0; i < 5; i++) {
            for (int j = i + 1; j < 5; j++) {
                double d[3], r2 = 1e-3, f;

                for (int k = 0; k < 3; k++) {
                    d[k] = b[i].x[k] - b[j].x[k];
                    r2 = MULTIPLY_ADD(d[k], d[k], r2);
                }
                f = 0.001 / (r2 * sqrt(r2));
                for (int k = 0; k < 3; k++) {
                    b[i].v[k] = MULTIPLY_ADD(-d[k] * b[j].mass, f, b[i].v[k]);
                    b[j].v[k] = MULTIPLY_ADD(d[k] * b[i].mass, f, b[j].v[k]);
                }
            }
        }
        for (int i = 0; i < 5; i++) {
            for (int k = 0; k < 3; k++) {
                b[i].x[k] = MULTIPLY_ADD(0.001, b[i].v[k], b[i].x[k]);
            }
        }
    }
    return bits(b[0].x[0] + b[1].v[2]);
}

static uint64_t mandelbrot64(unsigned scale)
{
    uint64_t sum = 0;

    for (int py = 0; py < 160; py++) {
        for (int px = 0; px < 200; px++) {
            double cx = px / 80.0 - 2, cy = py / 80.0 - 1, x = 0, y = 0;
            unsigned n = 0;

            while (n < 400 * scale && x * x + y * y < 4) {
                double t = MULTIPLY_ADD(x, x, cx - y * y);

                y = MULTIPLY_ADD(2 * x, y, cy);
                x = t;
                n++;
            }
            sum += n;
        }
    }
    return sum;
}

static uint64_t mandelbrot32(unsigned scale)
{
    uint64_t sum = 0;

    for (int py = 0; py < 160; py++) {
        for (int px = 0; px < 200; px++) {
            float cx = px / 80.0f - 2, cy = py / 80.0f - 1, x = 0, y = 0;
            unsigned n = 0;

            while (n < 400 * scale && x * x + y * y < 4) {
                float t = MULTIPLY_ADDF(x, x, cx - y * y);

                y = MULTIPLY_ADDF(2 * x, y, cy);
                x = t;
                n++;
            }
            sum += n;
        }
    }
    return sum;
}

enum { LINPACK_N = 120 };

static void eliminate(double a[LINPACK_N][LINPACK_N], double b[LINPACK_N])
{
    for (int k = 0; k < LINPACK_N - 1; k++) {
        for (int i = k + 1; i < LINPACK_N; i++) {
            double f = a[i][k] / a[k][k];

            for (int j = k; j < LINPACK_N; j++) {
                a[i][j] = MULTIPLY_ADD(-f, a[k][j], a[i][j]);
            }
            b[i] = MULTIPLY_ADD(-f, b[k], b[i]);
        }
    }
}

static uint64_t linpack_like(unsigned scale)
{
    static double a[LINPACK_N][LINPACK_N], b[LINPACK_N];
    double sum = 0;

    for (unsigned r = 0; r < 25 * scale; r++) {
        for (int i = 0; i < LINPACK_N; i++) {
            for (int j = 0; j < LINPACK_N; j++) {
                a[i][j] = (i * 31 + j * 17 + r) % 97 / 97.0 + (i == j ? 60 : 0);
            }
            b[i] = i;
        }
        eliminate(a, b);
        for (int i = LINPACK_N - 1; i >= 0; i--) {
            for (int j = i + 1; j < LINPACK_N; j++) {
                b[i] = MULTIPLY_ADD(-a[i][j], b[j], b[i]);
            }
            b[i] /= a[i][i];
            sum += b[i];
        }
    }
    return bits(sum);
}

const BenchProgram FP_TABLE[] = {
    {"nbody" FP_SUFFIX, "fp", nbody},
    {"mandelbrot-f64" FP_SUFFIX, "fp", mandelbrot64},
    {"mandelbrot-f32" FP_SUFFIX, "fp", mandelbrot32},
    {"linpack-like" FP_SUFFIX, "fp", linpack_like},
    {0},
};
