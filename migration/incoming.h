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
    Channel *urgent_channel;
    bool urgent_ended; /* nothing more comes over it */
    bool urgent_done;  /* nothing more is expected from it; atomic, too */
    /* any thread, atomic */
    bool asking;     /* the source takes requests for pages */
} PostcopyIncoming;

typedef struct Incoming {
    /* under the lock */
    Lock lock; /* RANK_MIGRATION */
    Cond changed; /* postcopy, broken links */
    MigrationStatus status;
    Channel *channel;
    Channel *next; /* what migrate-recover listens on */
    bool cancelled;
    bool committed; /* the source was told that all is loaded, or postcopy began: cancel is too late */
    bool seized;    /* the user says that the machine is ours */
    bool quit;      /* no other link is waited for: the process ends, or postcopy's package failed */
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

/* --- incoming-link.c: the way back, any thread --- */
void incoming_set_way_back(Incoming *in, Channel *channel);
/* One message, with @more behind it that its size does not count. */
bool incoming_send_more(Incoming *in, uint16_t type, const void *data, uint16_t size, const void *more,
                        size_t more_size, GError **error);
bool incoming_send(Incoming *in, uint16_t type, const void *data, uint16_t size, GError **error);
bool incoming_send_u32(Incoming *in, uint16_t type, uint32_t value, GError **error);

/* The last message, with the reason for sources that understand it; once. */
void incoming_send_failure(Incoming *in, const char *message);

/* --- incoming-link.c: broken links, the thread that reads --- */
void incoming_drop_link(Incoming *in);
/* In status @paused, until migrate-recover; false: cancelled, seized, or the process ends. */
bool incoming_await_link(Incoming *in, MigrationStatus paused, const char *why);
/* Waits for the source's connection: reader and way back are its. */
bool incoming_accept_link(Incoming *in, GError **error);

/* --- handover-incoming.c --- */
/* All is loaded: tells the source, and waits until the machine is ours.  False: it is not. */
bool handover_take(Incoming *in, GError **error);
/* The machine has been started: the source may forget it. */
void handover_confirm(Incoming *in);

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

/* --- epilogue.c --- */
/* What is said over one more link to a source that does not know of the end. */
typedef bool (*EpilogueTell)(Incoming *in, StreamReader *reader, GError **error);
/* A migration has completed here whose source may not know it. */
void epilogue_remember(EpilogueTell tell);
/* There was one: migrate-recover can only mean that. */
bool epilogue_due(void);
/* It listens for the source already. */
bool epilogue_waits(void);
/* Tells the source that connects to @channel, which is taken over. */
bool epilogue_start(Incoming *in, Channel *channel, GError **error);
/* Ends that; false: there is none. */
bool epilogue_pause(void);

#endif
