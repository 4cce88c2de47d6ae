/* SPDX-License-Identifier: MIT */
/*
 * Where a thread's own stack is.  Floor 1; async-signal-safe, system calls
 * alone.
 */
#ifndef FTR__STACK_H
#define FTR__STACK_H

#include <signal.h>

#include "lib/thread.h"

/*
 * Whether an address lies on the calling thread's own stack: not a signal's,
 * not a coroutine's.  Found once for each thread; false where it can't be.
 */
bool ftr__stack_is_own(struct ftr__thread *self, uintptr_t addr);

/* The same for the stack of a thread, perhaps ended, by where its TLS is;
 * reads /proc/self/maps each time. */
bool ftr__stack_was_own(uintptr_t tls, uintptr_t addr);

/* Whether a signal's stack has an address. */
bool ftr__stack_has(const stack_t *stack, uintptr_t addr);

/*
 * The stack that the kernel disarmed while the signal's handler runs on it, at sp
 * (SS_AUTODISARM): sigaltstack(2) does not tell of it, but the signal's frame,
 * somewhere above sp, has it in its uc_stack; but not i386's frames of handlers
 * without SA_SIGINFO.  Looks at 64 KiB.
 */
bool ftr__stack_disarmed(uintptr_t sp, stack_t *stack);

/* Whether sp is on the calling thread's alternate signal stack. */
bool ftr__stack_is_for_signals(uintptr_t sp);

#endif
