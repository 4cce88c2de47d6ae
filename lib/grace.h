/* SPDX-License-Identifier: MIT */
/*
 * Grace periods: waiting until every handler that was running has ended (H8).
 * Floor 1.
 *
 * The reader stores its frame, then loads the handler set; the waiting side has
 * stored the new set, runs membarrier, then loads the frames.  So a reader that
 * it sees outside will load the new set.
 */
#ifndef FTR__GRACE_H
#define FTR__GRACE_H

#include "lib/compiler.h"
#include <sys/types.h>

/* Register for the membarriers in use; -ENOSYS with a sentence. */
int ftr__grace_init(void);

/* Every other thread of the process executes a full memory barrier. */
void ftr__membarrier(void);

/* Every thread of the process executes a core serializing instruction before
 * it runs user code again. */
void ftr__sync_core(void);

/* Whether the kernel still lets us do that: 0, or -ENOSYS.  A program may lock
 * itself up (seccomp(2)) after the library was started. */
int ftr__sync_check(void);

/* How many ftr__sync_core() and waits there were. */
extern uint64_t ftr__sync_count, ftr__grace_count;

/*
 * Wait until every thread but the caller has left the handlers it was in.
 * 0, or -ETIMEDOUT after timeout_ms, with the thread in *late.
 */
int ftr__grace_wait(unsigned timeout_ms, pid_t *late);

/*
 * The same without a wait: call done(arg) once all threads, the caller too,
 * have left; perhaps before this returns.  The item must stay until then.
 */
struct ftr__grace_item {
	struct ftr__grace_item *next;
	void (*done)(void *arg);
	void *arg;
	/* Must not run where handlers do (it allocates, takes locks): it waits
	 * for ftr__grace_poll(). */
	bool from_poll;
};
void ftr__grace_async(struct ftr__grace_item *item);

/* Run what has become due.  From a thread that is outside handlers. */
void ftr__grace_poll(void);

/* The outermost handler of a thread that was asked has ended; may_run: what is
 * due may be run here, for vector registers were saved.  sp: from there on the stack is
 * the traced function's. */
void ftr__grace_notice(bool may_run, uintptr_t sp);

/* Let each thread, when it leaves a handler next, call fn(sp): signals are blocked,
 * and it is async-signal-safe.  It does so once for each time that this is called,
 * until the looks end, when none is under way any more. */
void ftr__grace_ask_to_look(void (*fn)(uintptr_t sp));
void ftr__grace_end_looks(void);

/*
 * fn(arg), in which no handler runs in this thread, not even of a group with
 * FTR_GROUP_REENTRANT; the calls are counted as missed.  Around code of others
 * that calls what may be traced with a lock held that a handler may want.
 */
void ftr__grace_quietly(void (*fn)(void *arg), void *arg);

/* In the child of a fork. */
void ftr__grace_forked(void);

/* Whether something still waits in ftr__grace_async(). */
bool ftr__grace_pending(void);

#endif
