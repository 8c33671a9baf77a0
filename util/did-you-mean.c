/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The nearest name to a mistyped one: edit distance with transpositions, '-' and '_' and case being equal. */
#include "util/error.h"

#include <string.h>

/* Longer names are compared by their first characters. */
#define LONGEST 64

static char folded(char c)
{
    return c == '_' ? '-' : g_ascii_tolower(c);
}

static unsigned edit_distance(const char *a, const char *b)
{
    size_t a_len = MIN(strlen(a), LONGEST), b_len = MIN(strlen(b), LONGEST);
    /* the rows for the last two characters of @a and for the current one */
    unsigned rows[3][LONGEST + 1];

    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            bool same = folded(a[i - 1]) == folded(b[j - 1]);

            row[j] = MIN(MIN(above[j], row[j - 1]) + 1, above[j - 1] + !same);
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
                folded(a[i - 2]) == folded(b[j - 1])) {
                row[j] = MIN(row[j], above2[j - 2] + 1);
            }
        }
    }
    return rows[a_len % 3][b_len];
}

const char *did_you_mean(const char *given, const char *(*nth)(unsigned i, void *opaque), void *opaque)
{
    /* a third of the letters may be wrong; one of a very short name */
    unsigned best_distance = MAX(strlen(given) / 3, 1) + 1;
    const char *best = NULL, *candidate;

    for (unsigned i = 0; (candidate = nth(i, opaque)); i++) {
        unsigned distance = edit_distance(given, candidate);

        if (distance < best_distance && distance < strlen(candidate)) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}
