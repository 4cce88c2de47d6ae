/* SPDX-License-Identifier: MIT */
/*
 * Single-stepping a thread, to park it before any chosen instruction.
 *
 * The trap flag raises SIGTRAP after each instruction.  These traps are not
 * the library's: they reach the handler that was there before it, which is
 * this one.  A parked thread sleeps in a signal handler, its saved pc in the
 * frame on its stack: it "stands" at that instruction as long as the test wants.
 */
#ifndef TESTS_STEP_H
#define TESTS_STEP_H

#include "tests/live/live.h"

struct step {
	/* Called, in the signal handler, before each instruction. */
	void (*at)(struct step *step, uintptr_t ip);
	unsigned long count; /* instructions so far; 0 at the first of fn */
	void *context;       /* for `at`: the interrupted thread's ucontext */

	/* For step_park_nth() and step_park_at(). */
	unsigned long nth;
	uintptr_t ip;
	atomic_bool reached;
	uintptr_t parked_ip;
	sem_t parked, go;

	pthread_t thread;
	live_fn fn;
	long argument, result;
	bool fresh; /* let the library meet the thread for the first time there */
};

/** Own SIGTRAP; before the library is started.  flags: SA_ONSTACK or 0. */
void step_install(int flags);

/** fn(n), stepped in the calling thread; `at` is called for each instruction. */
long step_call(struct step *step, live_fn fn, long n);

/** Values for `at`: park before the nth instruction; before the one at ip. */
void step_park_nth(struct step *step, uintptr_t ip);
void step_park_at(struct step *step, uintptr_t ip);

/** Start a thread that steps through fn(n) and wait until it is parked, or has
 *  come through without: false. */
bool step_start(struct step *step, live_fn fn, long n);

/** Let a parked thread go on and end; what fn returned. */
long step_finish(struct step *step);

#endif /* TESTS_STEP_H */
