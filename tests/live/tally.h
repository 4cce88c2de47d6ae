/* SPDX-License-Identifier: MIT */
/*
 * Exact accounts: calls that a test made of traced functions, against calls
 * that a handler saw and calls that its group missed.  All of it may be done
 * in signal handlers.
 */
#ifndef TESTS_TALLY_H
#define TESTS_TALLY_H

#include "tests/live/live.h"

/** This thread's account; a test's threads add theirs to the sum. */
struct tally {
	_Atomic unsigned long made, seen;
};
extern __thread struct tally tally_here;
extern struct tally tally_sum;

/** Call a fixture and check its result; the process ends where it is wrong. */
void tally_call(live_fn fn);

/** Counts in tally_here and tally_sum, and does nothing else. */
int tally_handler(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		  struct ftr_regs *regs);

/** A group that holds all fixtures, attached, with this handler. */
struct ftr_group *tally_attach(ftr_entry_fn entry, uint32_t flags);

/** Seen and missed are what was made. */
void tally_check(const struct ftr_group *group);

/** Run a thread that has the id `wanted`, which must be free, to its end: start()
 *  stores its id in *got.  False: such wishes are not granted here. */
bool tally_thread_as(pid_t wanted, void *(*start)(void *got), pid_t *got);

#endif /* TESTS_TALLY_H */
