/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The front door of the compiler: hands each call to the back end that tcg_init() chose. */
#include "tcg/tcg-internal.h"
#include "util/atomic.h"

TCGState tcg_state;

bool tcg_init(const TCGConfig *config, const TCGRuntime *runtime, const TCGGuest *guest, GError **error)
{
    tcg_state.config = *config;
    tcg_state.runtime = *runtime;
    tcg_state.guest = guest;
#ifdef __x86_64__
    tcg_state.backend = config->interpreter ? &tcg_interp_backend : &tcg_x86_64_backend;
#else
    tcg_state.config.interpreter = true;
    tcg_state.backend = &tcg_interp_backend;
#endif
    return !tcg_state.backend->init || tcg_state.backend->init(error);
}

const TCGConfig *tcg_config(void)
{
    return &tcg_state.config;
}

bool tcg_compile(CodeBuffer *cb, const IRBlock *b, uintptr_t cookie, TCGCode *code)
{
    return tcg_state.backend->compile(cb, b, cookie, code);
}

void tcg_link(const CodeBuffer *cb, const TCGCode *from, unsigned jump, const TCGCode *to)
{
    if (!tcg_state.config.no_chain && jump < from->n_jumps) {
        tcg_state.backend->link(cb, from, jump, to);
    }
}

void tcg_unlink(const CodeBuffer *cb, const TCGCode *from, unsigned jump)
{
    if (jump < from->n_jumps) {
        tcg_state.backend->unlink(cb, from, jump);
    }
}

void tcg_kill(const CodeBuffer *cb, const TCGCode *code)
{
    tcg_state.backend->kill(cb, code);
}

void tcg_revive(const CodeBuffer *cb, const TCGCode *code)
{
    tcg_state.backend->revive(cb, code);
}

uintptr_t tcg_enter(TCGEnv *env, const void *table_entry)
{
    return tcg_state.backend->enter(env, table_entry);
}

void tcg_exit_to_loop(TCGEnv *env, unsigned reason)
{
    tcg_state.backend->exit_to_loop(env, reason);
    __builtin_unreachable();
}

const void *tcg_exit_address(unsigned reason)
{
    return tcg_state.backend->exit_address(reason);
}

void tcg_dump_code(const TCGCode *code, void *gstring)
{
    tcg_state.backend->dump(code, gstring);
}

/* --- loads and stores that are better off without a page slot: a set that may forget.  Any thread, atomics --- */

#define PLAIN_BITS 14
static uint64_t plain_sites[1u << PLAIN_BITS];

static uint64_t *plain_place(uint64_t site)
{
    return &plain_sites[site * UINT64_C(0x9e3779b97f4a7c15) >> (64 - PLAIN_BITS)];
}

void tcg_site_without_slot(uint64_t site)
{
    atomic_set(plain_place(site), site);
}

bool tcg_site_is_plain(uint64_t site)
{
    return atomic_read(plain_place(site)) == site;
}
