/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The frame of a stream: header, configuration, sections with footers, commands, end.  docs/stream-format.md has the
 * whole grammar.
 */
#ifndef MIGRATION_SECTIONS_H
#define MIGRATION_SECTIONS_H

#include "state-io.h"
#include "stream.h"

enum {
    STREAM_MAGIC = 0x5145564d,            /* "QEVM" */
    STREAM_MAGIC_UNFINISHED = 0x47574950, /* "GWIP": a file whose writer has not finished */
    STREAM_VERSION = 3,
    SECTION_EOF = 0,
    SECTION_START = 1,
    SECTION_PART = 2,
    SECTION_END = 3,
    SECTION_FULL = 4,
    SECTION_VMDESC = 6,
    SECTION_CONFIGURATION = 7,
    SECTION_COMMAND = 8,
    SECTION_FOOTER = 0x7e,
    SECTION_ID_RAM = 1,
};

typedef enum StreamCommand {
    STREAM_COMMAND_OPEN_RETURN_PATH = 1,
    STREAM_COMMAND_PING = 2,
    STREAM_COMMAND_POSTCOPY_ADVISE = 3,
    STREAM_COMMAND_POSTCOPY_LISTEN = 4,
    STREAM_COMMAND_POSTCOPY_RUN = 5,
    STREAM_COMMAND_POSTCOPY_RAM_DISCARD = 6,
    STREAM_COMMAND_PACKAGED = 7,
    STREAM_COMMAND_POSTCOPY_RESUME = 9,
    STREAM_COMMAND_RECV_BITMAP = 10,
    STREAM_COMMAND_SWITCHOVER_START = 11,
    /* ours, after the vmdesc and SHUT 0, each with the migration's id */
    STREAM_COMMAND_HANDOVER = 0x4757, /* the machine is the destination's now */
    STREAM_COMMAND_KEEP = 0x4758,     /* it is not, and never will be */
} StreamCommand;

/* Messages on the way back: u16 type, u16 size, data. */
enum {
    RETURN_PATH_SHUT = 1,        /* u32 status: 0 when all was loaded; the last one */
    RETURN_PATH_PONG = 2,        /* u32 cookie */
    RETURN_PATH_REQ_PAGES_ID = 3, /* u64 offset, u32 length, name of the block */
    RETURN_PATH_REQ_PAGES = 4,    /* u64 offset, u32 length, the same block as before */
    RETURN_PATH_RECV_BITMAP = 5,  /* name of the block; then, outside of the size, u64 bytes, bitmap, u64 end mark */
    RETURN_PATH_RESUME_ACK = 6,   /* u32 1 */
    RETURN_PATH_SWITCHOVER_ACK = 7, /* the source may stop its machine */
    RETURN_PATH_REASON = 0x4757, /* ours: text, why the SHUT that follows is not 0 */
    RETURN_PATH_TAKEN = 0x4758,  /* ours: HANDOVER came and the machine was started */
    RETURN_PATH_MAX = 512,
};

/* What the two sides must agree on before anything is sent. */
typedef struct StreamConfig {
    char machine[256];
    StateProfile profile;
    bool mapped_ram;
    bool handover; /* native: the destination waits for STREAM_COMMAND_HANDOVER before it runs */
    uint8_t id[16]; /* with .handover: of this migration, so that nobody else takes the machine */
    bool records; /* native fixed-ram: blocks have a record with checksums */
    bool unfinished; /* writing a file: the true magic number comes when everything is on disk */
    bool has_uuid;
    uint8_t uuid[16];
} StreamConfig;

/* --- writing --- */
void sections_write_header(StreamWriter *writer, const StreamConfig *config);
void section_begin(StreamWriter *writer, uint8_t type, uint32_t id, const char *idstr, uint32_t instance,
                   uint32_t version); /* the last three for START and FULL only */
void section_end(StreamWriter *writer, uint32_t id);
void stream_command(StreamWriter *writer, StreamCommand command, const void *data, uint16_t size);
/* All device sections.  Machine stopped, big lock. */
bool sections_save_states(StreamWriter *writer, const StreamConfig *config, GError **error);
/* The same with EOF and vmdesc. */
bool sections_save_devices(StreamWriter *writer, const StreamConfig *config, GError **error);

/* --- loading --- */
/* A section that comes in parts. */
typedef struct SectionOps {
    const char *name;
    int version;
    uint32_t id; /* ours, when we write */
    bool (*load)(StreamReader *reader, void *opaque); /* one part; the loader's thread, without the big lock */
    bool (*loaded)(StreamReader *reader, void *opaque); /* END was loaded */
} SectionOps;

typedef struct SectionLoader {
    StreamReader *reader;
    const SectionOps *iterative; /* "ram" */
    void *iterative_opaque;
    const StreamConfig *local;
    bool lock_bql;       /* take the big lock for device sections */
    bool missing_is_error;
    bool only_parts; /* the postcopy stream: no sections but parts of the iterative one, no description */
    /* filled while loading */
    StreamConfig config; /* the stream's */
    bool iterative_done;
    bool taken_over;     /* by a command: somebody else reads on, sections_load() returns */
    GHashTable *by_id;   /* section id -> StateEntry *, or &iterative_marker */
    GHashTable *seen;    /* StateEntry * */
    /* Answers on the way back; NULL: there is none.  False: it failed, through the reader. */
    bool (*pong)(struct SectionLoader *loader, uint32_t cookie);
    void (*return_path_opened)(struct SectionLoader *loader);
    /* Commands that this file does not know; NULL: none is allowed. */
    bool (*command)(struct SectionLoader *loader, uint16_t command, uint16_t size);
    void *opaque;
} SectionLoader;

void section_loader_init(SectionLoader *loader, StreamReader *reader, const StreamConfig *local);
void section_loader_clear(SectionLoader *loader);
/* Header and configuration. */
bool sections_load_header(SectionLoader *loader);
/* Sections up to and including EOF, and the vmdesc when there is one. */
bool sections_load(SectionLoader *loader);
/* Sections and commands until the reader, which is over memory, has no more. */
bool sections_load_package(SectionLoader *loader);
/* Another loader for later parts of the iterative section, from another thread or connection. */
void section_loader_continue(SectionLoader *loader, const SectionLoader *first, StreamReader *reader);
/* When missing is an error: has every device of this machine had its section? */
bool sections_check_devices(SectionLoader *loader);

#endif
