/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Command line options: rows beside what they set.
 *
 *   OPTION(smp, .name = "smp", .arg = "[cpus=]N", .help = "number of vCPUs", .parse = parse_smp);
 *
 * The command line is read in order on the main thread before any other thread exists; .parse only records
 * what was asked (nothing is opened or started until the whole line is known to be well formed).
 */
#ifndef API_OPTION_H
#define API_OPTION_H

#include "util/linker-set.h"
#include <glib.h>
#include <stdbool.h>

typedef struct Option {
    const char *name;  /* without the dash */
    const char *alias; /* second name, "machine" for "M" */
    const char *arg;   /* how the argument looks in help; NULL: takes none */
    const char *help;
    const char *section; /* heading in -help */
    bool (*parse)(const char *value, GError **error);
} Option;

#define OPTION(ident, ...)                                                                                   \
    static const Option option_##ident = {__VA_ARGS__};                                                      \
    LINKER_SET_ADD(options, Option, option_##ident)

/* Parses argv; a word that is no option goes to @positional.  Unknown options fail with a did-you-mean. */
bool options_parse(int argc, char **argv, bool (*positional)(const char *word, GError **error),
                   GError **error);
/* The text of -help, newly allocated. */
char *options_help(void);

#endif
