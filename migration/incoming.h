/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The destination object: shared by incoming.c (status, control, precopy) and postcopy-incoming.c. */
#ifndef MIGRATION_INCOMING_H
#define MIGRATION_INCOMING_H

#include "migration-internal.h"
#include "multifd.h"
#include "util/lock.h"

/* Postcopy: the incoming thread loads the package and starts the machine, the listener reads pages meanwhile. */
typedef struct PostcopyIncoming {
    /* incoming thread */
    bool advised;    /* the source told that it may come */
    bool in_package;
    bool listening;  /* the gate is closed, the stream is the listener's; read by others after the listener began */
    GThread *listener;
    GError *error;   /* of the package */
    /* listener */
    SectionLoader loader; /* of this link */
    bool recovering;      /* between a new link and RESUME */
    GThread *urgent;      /* postcopy-preempt */
    /* under the lock */
    bool run;        /* the machine is ours */
    bool ended;      /* the listener is through */
    bool quit;       /* the process ends, or the package failed */
    Channel *next;   /* what migrate-recover listens on */
    Channel *urgent_channel;
    bool urgent_ended; /* nothing more comes over it */
    bool urgent_done;  /* nothing more is expected from it; atomic, too */
    /* any thread, atomic */
    bool asking;     /* the source takes requests for pages */
} PostcopyIncoming;

typedef struct Incoming {
    /* under the lock */
    Lock lock; /* RANK_MIGRATION */
    Cond changed; /* postcopy */
    MigrationStatus status;
    Channel *channel;
    bool cancelled;
    bool committed; /* the source was told that all is loaded, or postcopy began: cancel is too late */
    char *error;
    JsonNode *address;
    /* constant while the thread runs */
    bool exit_on_error;
    MigrationOptions options;
    /* thread; in postcopy the listener */
    StreamReader *reader;
    StreamConfig local;
    SectionLoader loader;
    RamLoad ram;
    Channel *others[256]; /* multifd's, until their threads take them over */
    MultifdRecv *multifd;
    unsigned multifd_channels; /* 0: pages come through the main stream, or from a file */
    bool return_path;
    PostcopyIncoming postcopy;
    /* messages to the source, under this lock */
    Lock way_back_lock; /* RANK_LEAF */
    Channel *way_back;  /* NULL: there is none, or no link */
} Incoming;

void incoming_set_status(Incoming *in, MigrationStatus status);
/* Starts the machine as the source's was, or keeps it stopped.  Big lock. */
void incoming_start_machine(void);
/* Registers, page tables and memory are others now.  Big lock. */
void incoming_flush_cpus(void);
/* From here on cancel does nothing; false when cancelled already. */
bool incoming_commit(Incoming *in, GError **error);

/* --- the way back: any thread --- */
void incoming_set_way_back(Incoming *in, Channel *channel);
/* One message, with @more behind it that its size does not count. */
bool incoming_send_more(Incoming *in, uint16_t type, const void *data, uint16_t size, const void *more,
                        size_t more_size, GError **error);
bool incoming_send(Incoming *in, uint16_t type, const void *data, uint16_t size, GError **error);
bool incoming_send_u32(Incoming *in, uint16_t type, uint32_t value, GError **error);

/* The last message, with the reason for sources that understand it; once. */
void incoming_send_failure(Incoming *in, const char *message);

/* --- postcopy-incoming.c --- */
/* SectionLoader.command, of both threads. */
bool postcopy_command(SectionLoader *loader, uint16_t command, uint16_t size);
/* After load: what became of the package is in @loaded.  Returns when all memory is here. */
bool postcopy_incoming_run(Incoming *in, bool loaded, GError **error);
/* The answer to RECV_BITMAP. */
bool postcopy_send_bitmap(Incoming *in, const char *name, const unsigned long *received, uint64_t pages,
                          GError **error);

/* --- postcopy-epilogue.c --- */
/* All memory has come, of these blocks. */
void postcopy_epilogue_remember(const GPtrArray *blocks);
/* A postcopy has completed here: migrate-recover can only mean that the source does not know. */
bool postcopy_epilogue_due(void);
/* Tells the source that connects to @channel, which is taken over. */
bool postcopy_epilogue_start(Incoming *in, Channel *channel, GError **error);
/* Ends that; false: there is none. */
bool postcopy_epilogue_pause(void);

#endif
