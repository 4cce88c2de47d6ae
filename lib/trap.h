/* SPDX-License-Identifier: MIT */
/*
 * SIGTRAP: ours while a breakpoint of a batch, or of a probe, stands in the text,
 * the application's otherwise (P7).  Floor 3.
 */
#ifndef FTR__TRAP_H
#define FTR__TRAP_H

#include <signal.h>

#include "lib/backend.h"

/*
 * Take SIGTRAP, or take it again where the application has installed another
 * handler since.  0, or -EACCES.  Under the library's lock.
 */
int ftr__trap_install(void);

/* Give SIGTRAP back to the handler that was there before, if it is still ours. */
void ftr__trap_uninstall(void);

/*
 * A batch's patches, sorted by address, as the trap handler looks them up.
 * Until ftr__trap_commit() a thread is resumed as the old instruction would
 * have run, then as the new one.  ftr__trap_unpublish() returns once no thread
 * looks at them.
 */
void ftr__trap_publish(const struct ftr__patches *patches);
void ftr__trap_commit(void);
void ftr__trap_rollback(void);
void ftr__trap_unpublish(void);

/* Whether the application has, or had, a handler that signals go to which are
 * not ours: it may run for long, wherever such a signal came. */
bool ftr__trap_hands_on(void);

/* Returns once no thread is in the handler that was in it at the call. */
void ftr__trap_quiesce(void);

/* Enter and leave a section that ftr__trap_quiesce() waits for.  The token goes
 * from one to the other.  Async-signal-safe, may nest. */
unsigned ftr__trap_read_lock(void);
void ftr__trap_read_unlock(unsigned token);

/* Tells whether an address is a site's that was ever written to; handed down
 * by the floor that knows sites.  Called inside the handler. */
extern bool (*ftr__trap_is_site)(uintptr_t addr);

/*
 * Tells whose a breakpoint is that no batch knows; handed down by the floor that
 * knows probes.  Called inside the handler.  *to: where OURS goes on.
 */
enum ftr__trap_claim {
	FTR__TRAP_FOREIGN,
	FTR__TRAP_OURS,
	FTR__TRAP_FORMER /* ours once: unless it is still there, the address is run again */
};
extern enum ftr__trap_claim (*ftr__trap_claim)(uintptr_t addr, uintptr_t *to);

/* Called for each trap of the batch while a rendezvous is under way: the
 * calling thread looks at its own stack (lib/rendezvous.h). */
extern void (*ftr__trap_look)(uintptr_t sp);

/* For tests: called before the handler looks an address up. */
extern void (*ftr__trap_hold)(uintptr_t address);

extern ftr__counter ftr__trap_count, ftr__trap_foreign_count;

/* 1: it was ours; see ftr_handle_trap(). */
int ftr__trap_handle(const siginfo_t *info, void *ucontext);

/* In the child of a fork. */
void ftr__trap_forked(void);

#endif
