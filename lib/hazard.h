/* SPDX-License-Identifier: MIT */
/*
 * Whether a breakpoint could kill the process (P6): a thread that meets one
 * while it blocks SIGTRAP dies of it, and all with it.  Floor 3.
 */
#ifndef FTR__HAZARD_H
#define FTR__HAZARD_H

#include "lib/compiler.h"

enum ftr__hazard_kind {
	FTR__HAZARD_NONE,
	FTR__HAZARD_THREAD,  /* it blocks SIGTRAP, or may as it returns from a system call */
	FTR__HAZARD_HANDLER, /* a signal's handler runs with SIGTRAP blocked */
	FTR__HAZARD_UNKNOWN  /* /proc does not tell */
};

struct ftr__hazard {
	enum ftr__hazard_kind kind;
	int which;    /* thread id, signal or errno */
	bool running; /* the thread does not sleep */
};

/* The first hazard that is found.  Costs two files of /proc a thread. */
struct ftr__hazard ftr__hazard_look(void);

/*
 * Wait until no thread blocks SIGTRAP: most_ms in all, sleep_ms for one that
 * sleeps meanwhile; one that waits for a processor is given the time to get it.
 * What a handler's mask says stays, and is not waited for.  What is left.
 */
struct ftr__hazard ftr__hazard_wait(struct ftr__hazard hazard, unsigned sleep_ms,
				    unsigned most_ms);

/* For tests: how often it was looked; never find anything. */
extern uint64_t ftr__hazard_looks;
extern bool ftr__hazard_ignored;

#endif
