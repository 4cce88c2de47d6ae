/* SPDX-License-Identifier: MIT */
/*
 * Start, lock and refresh.  Floor 5.
 *
 * Lock order: the loader's lock, then the library's (recursive: callbacks of
 * the user's may call the library).  Grace periods are waited for without
 * either.
 */
#ifndef FTR__CORE_H
#define FTR__CORE_H

#include "lib/compiler.h"
#include "ftr/common.h"

/*
 * Run fn(arg) under both locks, the library started and the list of modules
 * up to date.  What fn returned; or -EDEADLK where the calling thread is in
 * the library already (a handler interrupted it), or an error of the start.
 */
int ftr__core_run(int (*fn)(void *arg), void *arg);

/* The same, and an attached group that could not follow new modules is an error. */
int ftr__core_run_strictly(int (*fn)(void *arg), void *arg);

/* Run fn(arg) under our lock alone, started or not. */
int ftr__core_run_stopped(int (*fn)(void *arg), void *arg);

/* Start with options, once checked; -EALREADY. */
int ftr__core_start(const struct ftr_options *options);
bool ftr__core_started(void);
/* Under the lock: the library is out of use until its next start. */
void ftr__core_stop(void);

/* How long a detach waits, ms. */
unsigned ftr__core_detach_timeout(void);

/* Around a call of the user's made under the lock: it may call the library. */
struct ftr__core_out {
	uint32_t depth;
};
struct ftr__core_out ftr__core_call_out(void);
void ftr__core_call_in(struct ftr__core_out out);

#endif
