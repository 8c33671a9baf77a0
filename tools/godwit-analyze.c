/* SPDX-License-Identifier: GPL-2.0-or-later */
/* godwit-analyze: what is in a saved machine, whether it is sound, and what differs between two.  The command line. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyze.h"
#include "util/error.h"

enum { EXIT_SOUND = 0, EXIT_PROBLEMS = 1, EXIT_CANNOT = 2 };

typedef struct Options {
    gboolean json, fields, diff;
    char **files;
} Options;

/* A pipe has no end to look at first: into a nameless file with it. */
static int spool(int from, GError **error)
{
    g_autofree char *buffer = g_malloc(1 << 20);
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("godwit-analyze-XXXXXX", &path, error);
    ssize_t n;

    if (fd < 0) {
        return -1;
    }
    unlink(path);
    while ((n = read(from, buffer, 1 << 20)) != 0) {
        if (n < 0 && errno == EINTR) {
            continue;
        }
        for (ssize_t done = 0, m; n > 0 && done < n; done += m) {
            m = write(fd, buffer + done, (size_t)(n - done));
            if (m < 0) {
                fail_errno(error, errno, "cannot keep what comes in");
                close(fd);
                return -1;
            }
        }
        if (n < 0) {
            fail_errno(error, errno, "cannot read");
            close(fd);
            return -1;
        }
    }
    return fd;
}

static int open_file(const char *name, GError **error)
{
    struct stat st;
    int fd = strcmp(name, "-") ? open(name, O_RDONLY | O_CLOEXEC) : 0, spooled;

    if (fd < 0 || fstat(fd, &st) < 0) {
        fail_errno(error, errno, "cannot open '%s'", name);
        return -1;
    }
    if (S_ISREG(st.st_mode)) {
        return fd;
    }
    if (S_ISDIR(st.st_mode)) {
        fail(error, "'%s' is a folder", name);
        close(fd);
        return -1;
    }
    spooled = spool(fd, error);
    close(fd);
    return spooled;
}

/* The mapping stays until the process ends. */
static Analysis *analyze(const char *name, GError **error)
{
    static const uint8_t nothing[1];
    int fd = open_file(name, error);
    struct stat st;
    void *data;

    if (fd < 0) {
        return NULL;
    }
    if (fstat(fd, &st) < 0) {
        close(fd);
        return fail_null(error, "cannot tell the size of '%s'", name);
    }
    data = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : (void *)(uintptr_t)nothing;
    close(fd);
    if (data == MAP_FAILED) {
        return fail_null(error, "cannot map '%s': %s", name, g_strerror(errno));
    }
    return analysis_new(name, data, (uint64_t)st.st_size);
}

static void print_json(const Analysis *analysis)
{
    g_autoptr(JsonGenerator) generator = json_generator_new();
    JsonNode *root = analysis_to_json(analysis);
    g_autofree char *text = NULL;

    json_generator_set_pretty(generator, TRUE);
    json_generator_set_root(generator, root);
    text = json_generator_to_data(generator, NULL);
    puts(text);
    json_node_unref(root);
}

static int show(const Options *options, const Analysis *analysis)
{
    if (options->json) {
        print_json(analysis);
    } else {
        GString *out = g_string_new(NULL);

        analysis_print(analysis, options->fields, out);
        fputs(out->str, stdout);
        g_string_free(out, TRUE);
    }
    return analysis->problems->len ? EXIT_PROBLEMS : EXIT_SOUND;
}

static int compare(const Analysis *a, const Analysis *b)
{
    GString *out = g_string_new(NULL);
    unsigned n = analysis_diff(a, b, out);

    for (unsigned i = 0; i < 2; i++) {
        const Analysis *analysis = i ? b : a;

        if (analysis->problems->len) {
            g_string_append_printf(out, "%s is not sound: %s\n", analysis->name,
                                   (char *)g_ptr_array_index(analysis->problems, 0));
            n++;
        }
    }
    fputs(n ? out->str : "the same\n", stdout);
    g_string_free(out, TRUE);
    return n ? EXIT_PROBLEMS : EXIT_SOUND;
}

/* @analyses: room for two. */
static int run(const Options *options, Analysis **analyses, GError **error)
{
    guint n = options->files ? g_strv_length(options->files) : 0;

    if (n != (options->diff ? 2 : 1)) {
        fail(error, options->diff ? "--diff needs two files" : "one file is needed ('-' is standard input); see --help");
        return EXIT_CANNOT;
    }
    for (guint i = 0; i < n; i++) {
        analyses[i] = analyze(options->files[i], error);
        if (!analyses[i]) {
            return EXIT_CANNOT;
        }
    }
    return options->diff ? compare(analyses[0], analyses[1]) : show(options, analyses[0]);
}

int main(int argc, char **argv)
{
    Options options = {0};
    const GOptionEntry entries[] = {
        {"json", 'j', 0, G_OPTION_ARG_NONE, &options.json, "everything, as JSON", NULL},
        {"fields", 'f', 0, G_OPTION_ARG_NONE, &options.fields, "also the fields of each section", NULL},
        {"diff", 'd', 0, G_OPTION_ARG_NONE, &options.diff, "compare two files", NULL},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options.files, NULL, NULL},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("FILE|- [FILE]");
    g_autoptr(GError) error = NULL;
    Analysis *analyses[2] = {NULL, NULL};
    int status = EXIT_CANNOT;

    error_set_program_name("godwit-analyze");
    g_option_context_set_summary(context, "Shows what is in a migration stream or fixed-ram file, and whether it is "
                                          "sound.\nStatus: 0 sound (or the same), 1 not, 2 cannot tell.");
    g_option_context_add_main_entries(context, entries, NULL);
    if (g_option_context_parse(context, &argc, &argv, &error)) {
        status = run(&options, analyses, &error);
    }
    if (error) {
        error_report("%s", error->message);
    }
    for (unsigned i = 0; i < 2; i++) {
        g_clear_pointer(&analyses[i], analysis_free);
    }
    g_strfreev(options.files);
    return status;
}
