/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands and events: one struct beside what it controls.
 *
 *   COMMAND(migrate_cancel, .qmp = "migrate_cancel", .hmp = "migrate_cancel",
 *           .help = "cancel the current migration", .run = run_migrate_cancel);
 *
 * A command with .qmp is reachable over QMP under that name, one with .hmp over HMP; both share arguments and
 * code.  The HMP side prints the reply with .print_hmp, or from the reply table when that is NULL.
 *
 * How a line of HMP fills the arguments: words go to the .positional rows in table order; numbers may be
 * expressions ("0x80000000 + 4*8"); a string may be quoted with "..."; .rest_of_line takes all that is left
 * as it stands.  A bool row that is not positional is a flag named by the first letter of its wire name: "-d"
 * sets "detach".  A string row called "fmt" is taken only when the word starts with '/', which need not be
 * set off from the command ("x/4xw").
 *
 * Threads: .run is called on the main loop with the big lock held, except .oob commands asked for with
 * exec-oob, and .unlocked ones, which run on the monitor's own thread without it.
 */
#ifndef API_COMMAND_H
#define API_COMMAND_H

#include "api/field.h"
#include "util/compiler.h"
#include "util/linker-set.h"

/*
 * An HMP command that goes on after .run: the prompt waits until resume(), after which the object is gone.
 * Both functions: main loop, big lock.
 */
typedef struct CommandWait CommandWait;
struct CommandWait {
    void (*print)(CommandWait *wait, const char *text);
    void (*resume)(CommandWait *wait);
};

/* What a command may use while it runs; valid only inside .run and .print_hmp. */
typedef struct CommandContext {
    CommandWait *(*wait)(struct CommandContext *ctx); /* see command_wait() */
    void *monitor;   /* the monitor that asked, NULL for internal calls; opaque to commands */
    GString *output; /* HMP: text for the user.  QMP: NULL */
    const int *fds;  /* fds that came with the QMP command (SCM_RIGHTS); ownership passes by taking [0] */
    int n_fds;
} CommandContext;

/* Takes over the first fd that came with the command; -1: none is left. */
int command_take_fd(CommandContext *ctx);

/* Keeps the user waiting for the end of this command; NULL: this monitor does not wait (QMP). */
CommandWait *command_wait(CommandContext *ctx);

/* Codes of API_ERROR choose the QMP error class; errors of any other domain are GenericError. */
#define API_ERROR api_error_quark()
GQuark api_error_quark(void);
typedef enum ApiError {
    API_ERROR_GENERIC,
    API_ERROR_COMMAND_NOT_FOUND,
    API_ERROR_DEVICE_NOT_ACTIVE,
    API_ERROR_DEVICE_NOT_FOUND,
    API_ERROR_KVM_MISSING_CAP,
} ApiError;
/* fail() with a class. */
bool fail_class(GError **error, ApiError code, const char *format, ...) PRINTF_LIKE(3, 4);
/* "GenericError" and its kin; @error is not NULL. */
const char *api_error_class(const GError *error);

typedef struct Command {
    const char *qmp;       /* name over QMP, NULL: none */
    const char *hmp;       /* name over HMP, "info migrate" for an info sub-command, NULL: none */
    const char *hmp_alias; /* second HMP name, "c" for "cont" */
    const char *help;      /* one line */
    const Field *args;     /* NULL: takes none */
    size_t args_size;      /* of the struct the args table describes */
    /*
     * Takes members that no table names (device_add): .run gets the JsonObject * itself as @args, never NULL,
     * and .args only serves the schema and help.  On HMP the line is option text
     * ("virtio-blk-device,drive=d") whose values arrive as strings; .args_implied names the first word.
     */
    bool args_any;
    const char *args_implied;
    const Field *reply;     /* NULL: returns {} (or what .reply_list says) */
    size_t reply_size;      /* of the struct the reply table describes */
    const char *reply_name; /* name of the reply type in the schema */
    bool reply_list; /* the reply is a list: .run fills a GPtrArray ** of reply structs (g_malloc'ed) */
    bool reply_any;  /* the reply is a JsonNode ** that .run fills; not described further */
    bool oob;        /* may run out of band */
    bool unlocked;   /* with .oob: runs there for "execute" and on HMP, too, when nothing else is to be answered before */
    bool preconfig;  /* allowed before the machine exists */
    /*
     * @args: filled args struct.  @reply: zeroed reply struct to fill (or GPtrArray ** / JsonNode **), NULL
     * when the command has none.  Returns false with @error set when it failed; then nothing has changed.
     */
    bool (*run)(CommandContext *ctx, const void *args, void *reply, GError **error);
    /* Prints @reply to ctx->output in the form people know. */
    void (*print_hmp)(CommandContext *ctx, const void *args, const void *reply);
    /*
     * Completes HMP word @index after the command's name from @prefix: appends candidates (newly allocated)
     * to @out; may be NULL.
     */
    void (*complete)(unsigned index, const char *prefix, GPtrArray *out);
} Command;

#define COMMAND(ident, ...)                                                                                  \
    static const Command command_##ident = {__VA_ARGS__};                                                    \
    LINKER_SET_ADD(commands, Command, command_##ident)

const Command *command_find_qmp(const char *name);
const Command *command_find_hmp(const char *name); /* whole name, "info migrate" */
/* Calls @fn for each registered command, in name order. */
void commands_foreach(void (*fn)(const Command *command, void *opaque), void *opaque);
/*
 * Runs @command with JSON arguments (NULL: none) and returns its reply as a node, or NULL with @error.
 * @ctx->output stays untouched.  GError code API_ERROR_COMMAND_NOT_FOUND etc. choose the QMP error class.
 */
JsonNode *command_run_json(const Command *command, CommandContext *ctx, JsonObject *args, GError **error);
/*
 * Runs @command with a filled args struct (or JsonObject, see args_any) and prints its reply to @ctx->output.
 */
bool command_run_text(const Command *command, CommandContext *ctx, const void *args, GError **error);

/* An event as listed by the schema. */
typedef struct Event {
    const char *name; /* "MIGRATION" */
    const Field *fields;
    const char *help;
} Event;

#define EVENT(ident, ...)                                                                                    \
    static const Event event_##ident = {__VA_ARGS__};                                                        \
    LINKER_SET_ADD(events, Event, event_##ident)

/*
 * Emits to every sink (each QMP monitor adds one).  @data (may be NULL) is described by event->fields.  Any
 * thread; no lock needed.
 */
void event_emit(const Event *event, const void *data);
/*
 * Called on the emitter's thread, which may hold any lock: a sink takes leaf locks only.  @data is never
 * NULL.
 */
typedef void (*EventSink)(const Event *event, JsonObject *data, gint64 realtime_us, void *opaque);
void event_sink_add(EventSink sink, void *opaque);
/* The sink does not run any more when this returns; not to be called from a sink. */
void event_sink_remove(EventSink sink, void *opaque);

/* query-qmp-schema: the SchemaInfo array, made from the registered commands, events and their tables. */
JsonArray *schema_dump(void);

#endif
