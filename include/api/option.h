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
    /*
     * When @value asks a question ("help", "TYPE,help"): the text that answers it, newly allocated.  NULL: it
     * does not. NULL function: no value of this option is a question.  Called instead of .parse.
     */
    char *(*answer)(const char *value);
} Option;

#define OPTION(ident, ...)                                                                                   \
    static const Option option_##ident = {__VA_ARGS__};                                                      \
    LINKER_SET_ADD(options, Option, option_##ident)

/* Parses argv; a word that is no option goes to @positional.  Unknown options fail with a did-you-mean. */
bool options_parse(int argc, char **argv, bool (*positional)(const char *word, GError **error),
                   GError **error);
/*
 * The answer to the first question on the command line, newly allocated; NULL: there was none.  The command
 * line ends at a question: print the answer and end well.
 */
char *options_take_answer(void);
/* The text of -help, newly allocated. */
char *options_help(void);

/*
 * Whether @value is "help" or "?", or "NAME,help": then @name (owned by the caller) is NAME, else NULL. @name
 * may itself be NULL, where only the plain question counts.
 */
bool option_is_question(const char *value, char **name);
/* One line of a list: name, then help in a column. */
void option_list_line(GString *out, const char *name, const char *help);

#endif
