/* SPDX-License-Identifier: MIT */
/*
 * What the tests of P6 share: the library started in such a way that it would
 * take breakpoints, and a thread that blocks SIGTRAP.
 */
#ifndef TESTS_BLOCKED_H
#define TESTS_BLOCKED_H

#include "lib/batch.h"
#include "tests/live/live.h"

enum { PADS = 64 };
extern const live_fn live_pads[PADS];

/** How often blocked_handler() ran in this thread. */
extern __thread unsigned blocked_ran;
int blocked_handler(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		    struct ftr_regs *regs);

/** Start the library, on a CPU of which no maker documents stores to code: int3
 *  first, as on most.  A batch waits for a moment alone. */
void blocked_begin(const char *poke);

/** Block all signals in the calling thread. */
void block_all(void);

/** The thread that blocks: it sleeps meanwhile. */
extern pid_t blocker_tid;
void blocker_start(void);
void blocker_stop(void);

/** Start another one in its place; returns when it has called blocker_ready(). */
void blocker_run(void *(*thread)(void *), void *arg);
void blocker_ready(void);

/** Call the function once: its site's handler runs so many times. */
void check_traced(live_fn fn, unsigned times);

/** A site of which bytes 63 and 64 of a cache line are a part: no store serves. */
static inline live_fn astride(void)
{
	return live_sites[63];
}

#endif /* TESTS_BLOCKED_H */
