/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Somebody between source and destination, who may lose what they say. */
#ifndef TESTS_MIGRATION_PROXY_H
#define TESTS_MIGRATION_PROXY_H

#include <glib.h>

typedef struct Proxy Proxy;

/* Waits at one socket for one connection, and passes it on to the other. */
Proxy *proxy_new(const char *from_path, const char *to_path);
/* From here on nothing comes back. */
void proxy_lose_answers(Proxy *proxy);
/* The link breaks after SHUT 0: with what the source says then, or with the destination's answer to that. */
typedef enum ProxyCut { PROXY_CUT_NOTHING, PROXY_CUT_HANDOVER, PROXY_CUT_TAKEN } ProxyCut;
void proxy_cut(Proxy *proxy, ProxyCut what);
/* After both ends are through. */
void proxy_free(Proxy *proxy);

#endif
